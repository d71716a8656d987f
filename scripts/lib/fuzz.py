"""Feed the parser broken input: whatever comes, it ends in a report or a DtdlError, soon.

`scripts/fuzz dtdl` makes inputs from sound ones, the same for the same --seed, and gives each to `validate` (and to
`parse` when it is valid, or now and then when not) with options at random. What must not be is written to
.remhart/fuzz/, one JSON file each: another exception, a problem without words, an input that takes more than two
seconds. Exit code 1: there was one, or --seconds did not suffice for --inputs. `--only NUMBER` runs one input again.

`scripts/fuzz query` is another matter: generated queries over generated graphs, see query_oracle.py.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import query_oracle
from fuzz_mutate import Corpus, mutant, mutate_bytes, mutate_text, read_corpus, written
from remhart_adt.dtdl import parse, validate
from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.types import OFFICIAL, OWN, Report
from remhart_adt.errors import DtdlError
from remhart_adt.resources import dtdl_dir

__all__ = ["Input", "check", "corpus_of", "make", "smaller"]

SLOW: Final = 2.0  # seconds of processor time that one input may take
_HANG: Final = 60  # seconds after which one is broken off
_MEMORY: Final = 4 << 30  # bytes a process may have; more is a MemoryError, which is a failure too
_TASK: Final = 250  # inputs in one task of a process
_TRIES: Final = 400  # attempts to make a failing input smaller


@dataclass(frozen=True, slots=True)
class Input:
    """Something to validate: texts (str), files (bytes) and decoded JSON, with options, and what a resolver answers."""

    sources: tuple[Any, ...]
    options: Options
    profile: str | None = None
    answers: tuple[Any, ...] | None = None

    def record(self) -> dict[str, Any]:
        """As JSON, to be read by people and to be run again."""
        shown = [{"base64": base64.b64encode(s).decode()} if isinstance(s, bytes) else s for s in self.sources]
        return {"sources": shown, "options": asdict(self.options), "profile": self.profile, "answers": self.answers}


@dataclass(frozen=True, slots=True)
class Failure:
    """An input, by its number, that ended as none may."""

    number: int
    what: str


class _HangError(Exception):
    """One input took so long that it was broken off."""


@lru_cache(maxsize=1)
def corpus_of(data: Path | None) -> Corpus:
    """The corpus of this process."""
    return read_corpus(dtdl_dir(), data)


def make(number: int, seed: int, corpus: Corpus) -> Input:
    """The input of a number: the same each time."""
    rng = random.Random(f"{seed}:{number}")
    sources = tuple(_source(rng, corpus) for _ in range(rng.choice((1, 1, 1, 1, 2, 3))))
    options = Options(
        undefined_extensions=rng.choice(("per version", "per version", "always", "never")),
        max_version=rng.choice((4, 4, 4, 4, 3, 2)),
        limit_contexts=rng.choice(((), (), ("dtmi:dtdl:limits:onvif",), ("dtmi:dtdl:limits:aio;1", "nonsense"))),
        tolerate_solecisms=rng.random() < 0.2,
        tolerate_solecisms_in_resolved=rng.random() < 0.2,
        max_bytes=rng.choice((8 << 20, 8 << 20, 8 << 20, 300)),
        max_depth=rng.choice((512, 512, 512, 6)),
    )
    answers = None
    if rng.random() < 0.3:
        answers = tuple(_source(rng, corpus) for _ in range(rng.choice((0, 1, 2))))
    return Input(sources, options, rng.choice((None, None, "adt")), answers)


def _source(rng: random.Random, corpus: Corpus) -> Any:
    """A text, a file's bytes or decoded JSON."""
    while True:
        value = mutant(rng, corpus)
        try:
            text = written(rng, value)
            break
        except RecursionError:
            continue  # deep inside deep: json cannot write what it could not read either
    if rng.random() < 0.15 and isinstance(value, (dict, list)):
        return value
    if rng.random() < 0.4:
        text = mutate_text(rng, text, corpus)
    return mutate_bytes(rng, text) if rng.random() < 0.15 else text


def check(given: Input) -> str | None:
    """Run one input; what is wrong with how it ends, in a first line that failures of one kind share, or None."""
    begun = time.process_time()
    try:
        with tempfile.TemporaryDirectory() if _has_files(given.sources, given.answers) else _nowhere() as folder:
            said = _run(given, _placed(given.sources, folder, "source"), folder)
    except _HangError:
        return f"not done after {_HANG} seconds"
    except Exception as error:  # the very thing looked for: anything but a report or a DtdlError
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, {last.name}"
        return f"{type(error).__name__} in {where}\n{traceback.format_exc().rstrip()}"
    taken = time.process_time() - begun
    return said or (f"too slow\n{taken:.1f} seconds" if taken > SLOW else None)


def _has_files(*groups: Sequence[Any] | None) -> bool:
    return any(isinstance(source, bytes) for group in groups for source in group or ())


@contextmanager
def _nowhere() -> Iterator[str]:
    yield ""


def _placed(sources: Sequence[Any], folder: str, name: str) -> list[Any]:
    """The sources as `validate` takes them: bytes become files."""
    placed: list[Any] = []
    for number, source in enumerate(sources):
        if isinstance(source, bytes):
            file = Path(folder) / f"{name}{number}.json"
            file.write_bytes(source)
            placed.append(file)
        else:
            placed.append(source)
    return placed


def _run(given: Input, sources: list[Any], folder: str) -> str | None:
    def resolver(dtmis: Sequence[str]) -> Mapping[str, Any] | list[Any] | None:
        """Each question is answered with the same, under the first identifier asked for."""
        answers = _placed(given.answers or (), folder, "answer")
        return dict(zip(dtmis, answers, strict=False)) if len(dtmis) % 2 else answers or None

    asked: dict[str, Any] = {"options": given.options, "profile": given.profile}
    if given.answers is not None:
        asked["resolver"] = resolver
    report = validate(*sources, **asked)
    if (said := _wordless(report)) is not None:
        return said
    try:
        models = parse(*sources, **asked)
    except DtdlError as error:
        if report.valid:
            return f"validate finds it valid, parse does not\n{error}"
        return None if error.report == report else "parse and validate report different problems"
    if not report.valid:
        return "validate finds problems, parse does not"
    return next((f"an interface has no definition\n{dtmi}" for dtmi in models if not models[dtmi].definition), None)


def _wordless(report: Report) -> str | None:
    """What a report lacks for people to use it."""
    for problem in report.problems:
        if not problem.id.startswith((OFFICIAL, OWN)) or problem.id in (OFFICIAL, OWN):
            return f"a problem has a foreign id\n{problem.id!r}"
        for part in ("message", "remedy", "file"):
            if not getattr(problem, part).strip():
                return f"a problem has no {part}\n{problem.id}: {problem}"
    missing = next((missing for missing in report.unresolved if not missing.dtmi or not missing.places), None)
    return f"something unresolved says nothing\n{missing}" if missing is not None else None


def smaller(given: Input) -> Input:
    """A smaller input that fails in the same way, if a few hundred attempts find one."""
    wanted = _kind(check(given))
    tries = _TRIES

    def fails(candidate: Input) -> bool:
        nonlocal tries
        tries -= 1
        return tries >= 0 and _kind(check(candidate)) == wanted

    for sources in [(source,) for source in given.sources] if len(given.sources) > 1 else []:
        candidate = Input(sources, given.options, given.profile, given.answers)
        if fails(candidate):
            given = candidate
            break
    if given.answers is not None and fails(Input(given.sources, given.options, given.profile)):
        given = Input(given.sources, given.options, given.profile)
    for number, source in enumerate(given.sources):
        length = len(source) if isinstance(source, (str, bytes)) else 0
        while (length := length // 2) and tries > 0:
            at = 0
            while at < len(given.sources[number]) and tries > 0:
                text = given.sources[number]
                candidate = _with_source(given, number, text[:at] + text[at + length :])
                if fails(candidate):
                    given = candidate
                else:
                    at += length
    return given


def _with_source(given: Input, number: int, source: Any) -> Input:
    sources = (*given.sources[:number], source, *given.sources[number + 1 :])
    return Input(sources, given.options, given.profile, given.answers)


def _kind(said: str | None) -> str | None:
    """How an input fails, without what differs from one to the next."""
    return said and said.partition("\n")[0]


def _watched(number: int, seed: int, data: Path | None) -> Failure | None:
    """Make and run one input, and break it off when it hangs."""
    given = make(number, seed, corpus_of(data))

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _HANG)
    try:
        said = check(given)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None if said is None else Failure(number, said)


def _task(numbers: range, seed: int, data: Path | None) -> list[Failure]:
    return [failure for number in numbers if (failure := _watched(number, seed, data)) is not None]


def _prepare(data: Path | None) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    corpus_of(data)


def _run_all(asked: argparse.Namespace) -> tuple[int, list[Failure]]:
    """How many inputs were run before time was up, and which of them failed."""
    ends = time.monotonic() + asked.seconds
    tasks = iter([range(at, min(at + _TASK, asked.inputs)) for at in range(0, asked.inputs, _TASK)])
    running: dict[Future[list[Failure]], range] = {}
    failures: list[Failure] = []
    done = 0
    with ProcessPoolExecutor(asked.processes, initializer=_prepare, initargs=(asked.data,)) as pool:
        while True:
            while len(running) < 2 * asked.processes and time.monotonic() < ends:
                numbers = next(tasks, None)
                if numbers is None:
                    break
                running[pool.submit(_task, numbers, asked.seed, asked.data)] = numbers
            if not running:
                return done, failures
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                numbers = running.pop(future)
                try:
                    failures += future.result()
                except BrokenProcessPool:
                    sys.exit(f"a process died on one of the inputs {numbers.start} to {numbers.stop - 1}; try --only")
                done += len(numbers)


def _save(asked: argparse.Namespace, failure: Failure) -> Path:
    asked.folder.mkdir(parents=True, exist_ok=True)
    file: Path = asked.folder / f"{asked.seed}-{failure.number}.json"
    given = smaller(make(failure.number, asked.seed, corpus_of(asked.data)))
    record = {"seed": asked.seed, "number": failure.number, "what": failure.what, **given.record()}
    file.write_text(_shown(record), encoding="utf-8")
    return file


def _shown(record: dict[str, Any]) -> str:
    """A record as JSON. Documents can be nested as deep as the interpreter goes, and this is a little deeper. The limit
    is raised only here, so that the parser always runs under the usual one."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * limit)
    try:
        return json.dumps(record, indent=2)
    finally:
        sys.setrecursionlimit(limit)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    dtdl = verbs.add_parser("dtdl", help="the DTDL parser")
    dtdl.add_argument("--inputs", type=int, default=200_000)
    dtdl.add_argument("--seed", type=int, default=1)
    dtdl.add_argument("--seconds", type=float, default=1200.0, help="no new input is begun after this time")
    dtdl.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    data = os.environ.get("REMHART_TEST_DATA")
    dtdl.add_argument("--data", type=Path, default=data, help="reference data for the corpus ($REMHART_TEST_DATA)")
    dtdl.add_argument("--only", type=int, metavar="NUMBER", help="run just this input, and show it")
    dtdl.add_argument("--folder", type=Path, default=Path(".remhart/fuzz"), help="where failures go")
    query_oracle.add_arguments(verbs)
    return parser.parse_args()


def main() -> int:
    asked = _arguments()
    if asked.verb == "query":
        return query_oracle.run(asked)
    if asked.only is not None:
        failure = _watched(asked.only, asked.seed, asked.data)
        print(_shown(make(asked.only, asked.seed, corpus_of(asked.data)).record()))
        print("nothing wrong" if failure is None else failure.what)
        return 0 if failure is None else 1
    begun = time.monotonic()
    done, failures = _run_all(asked)
    seconds = time.monotonic() - begun
    print(f"{done} inputs in {seconds:.0f} s, {len(failures)} failures (seed {asked.seed})")
    for kind in sorted({str(_kind(failure.what)) for failure in failures}):
        alike = [failure for failure in failures if _kind(failure.what) == kind]
        file = _save(asked, alike[0])
        print(f"{len(alike)} x {kind}: {file}; also {[failure.number for failure in alike[1:6]]}", file=sys.stderr)
    if done < asked.inputs:
        print(f"time was up after {done} of {asked.inputs} inputs", file=sys.stderr)
    return 1 if failures or done < asked.inputs else 0


if __name__ == "__main__":
    sys.exit(main())
