"""The DTDL parser against the clock: beside the official parser, under growth, and what it takes of memory."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl import parse, validate
from remhart_adt.errors import DtdlError

__all__ = ["run_dtdl"]

NODE: Final = Path(__file__).resolve().parents[2] / "tools" / "node"
_OWN: Final = re.compile(r'"dtmi:(?!dtdl:|standard:|iotcentral:|iotoperations:)')
_COPIES: Final = 10
_INTERFACES: Final = 4000
_LARGE: Final = 50_000_000

# Each program prints one JSON object. Peak memory is VmHWM, which begins anew with a program; getrusage would count too
# what this process held when it started the other.
_PEAK: Final = r"""
import json, re, sys, time
from pathlib import Path
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
"""
_MEMORY: Final = (
    _PEAK
    + """
from remhart_adt.dtdl import parse
begun = time.perf_counter()
models = parse(Path(sys.argv[1]))
print(json.dumps({"s": time.perf_counter() - begun, "peak_mb": peak(), "interfaces": len(models)}))
"""
)
_REFUSED: Final = (
    _PEAK
    + """
from remhart_adt.dtdl import validate
begun = time.perf_counter()
report = validate(Path(sys.argv[1]))
print(json.dumps({"s": time.perf_counter() - begun, "peak_mb": peak(), "rules": [p.rule for p in report.errors]}))
"""
)
_IMPORT: Final = """
import sys, time
begun = time.perf_counter()
import remhart_adt.dtdl
seconds = time.perf_counter() - begun
import json
heavy = {"azure", "pydantic"} & {name.partition(".")[0] for name in sys.modules}
print(json.dumps({"s": seconds, "heavy": sorted(heavy)}))
"""


def run_dtdl(data: Path, repetitions: int) -> dict[str, Any]:
    """Every figure about the parser; `data` is the folder with the ontologies."""
    energygrid = _texts(data / "ontologies" / "energygrid")
    single = _texts(data / "ontologies" / "iot-pnp-models")
    return {
        "repetitions": repetitions,
        "against_official": _against_official(energygrid, single, repetitions),
        "growth": _growth(energygrid, repetitions),
        "memory": _memory(energygrid),
        "import": _import(max(repetitions, 10)),
        "large_file": _large_file(),
    }


def _texts(folder: Path) -> list[str]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        sys.exit(f"{folder} has no *.json files; --data or REMHART_TEST_DATA names the folder of the reference data")
    return [file.read_text(encoding="utf-8-sig") for file in files]


def _against_official(together: list[str], single: list[str], repetitions: int) -> dict[str, Any]:
    """The first ontology as one set and each file of the second alone, by us and by the official parser in turns.

    Both get their texts from memory, and one pass each that does not count. The official parser takes one text, so
    the set is one JSON array for it; what it answers is its whole object model as JSON, which is its only interface.
    """
    documents = ["[" + ",".join(together) + "]", *single]
    ours: list[float] = []
    official: list[float] = []
    with _official(documents) as official_pass:
        for repetition in range(repetitions + 1):
            begun = time.perf_counter()
            valid = sum(_is_valid(texts) for texts in (together, *([text] for text in single)))
            seconds = time.perf_counter() - begun
            answer = official_pass()
            if answer["valid"] != valid:
                sys.exit(
                    f"not the same work: {valid} documents are valid for us, {answer['valid']} for the official one"
                )
            if repetition:
                ours.append(seconds)
                official.append(answer["seconds"])
    return {
        "interfaces_in_one_set": len(together),
        "single_files": len(single),
        "valid": valid,
        "bytes": sum(len(text.encode()) for text in documents),
        "ours_s": _summary(ours),
        "official_s": _summary(official),
        "ratio": round(statistics.median(ours) / statistics.median(official), 3),
    }


def _is_valid(texts: Sequence[str]) -> bool:
    try:
        parse(*texts)
    except DtdlError:
        return False
    return True


@contextmanager
def _official(documents: list[str]) -> Iterator[Callable[[], dict[str, Any]]]:
    """The official parser in a process of its own, started and fed; each call makes it do one pass."""
    command = ["node", str(NODE / "dtdl-bench.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("node was started without pipes")
        pipe, answers = process.stdin, process.stdout

        def one_pass() -> dict[str, Any]:
            pipe.write("pass\n")
            pipe.flush()
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

        pipe.write(json.dumps({"documents": documents}) + "\n")
        pipe.flush()
        if answers.readline() != "ready\n":
            sys.exit("the official parser did not start; `make test` installs its node packages")
        yield one_pass
        pipe.close()


def _copy(texts: Sequence[str], number: int) -> list[str]:
    """The texts with every DTMI of their own renamed, so that copies can stand beside each other."""
    return [_OWN.sub(f'"dtmi:c{number}:', text) for text in texts]


def _growth(texts: list[str], repetitions: int) -> dict[str, Any]:
    """How much longer ten copies of a set take than one, in time of the processor: what else the machine does is not
    the question. One copy is read ten times in a row, in turns with the ten at once, so that both last equally long."""
    one = _copy(texts, 0)
    many = [text for number in range(_COPIES) for text in _copy(texts, number)]
    apart: list[float] = []
    at_once: list[float] = []
    for repetition in range(repetitions + 1):
        for times, sets in ((apart, [one] * _COPIES), (at_once, [many])):
            begun = time.process_time()
            sound = all(validate(*given).valid for given in sets)
            seconds = time.process_time() - begun
            if not sound:
                sys.exit("copies of energygrid are not valid")
            if repetition:
                times.append(seconds / len(sets))
    return {
        "one_copy_cpu_s": _summary(apart),
        "ten_copies_cpu_s": _summary(at_once),
        "ratio": round(statistics.median(at_once) / statistics.median(apart), 2),
        "ratio_of_minima": round(min(at_once) / min(apart), 2),
    }


def _memory(texts: list[str]) -> dict[str, Any]:
    """Peak memory of a process that parses a folder of 4,000 interfaces: whole copies, so that references resolve."""
    with tempfile.TemporaryDirectory() as folder:
        copies = -(-_INTERFACES // len(texts))
        given = [text for number in range(copies) for text in _copy(texts, number)]
        for number, text in enumerate(given):
            (Path(folder) / f"{number:04}.json").write_text(text, encoding="utf-8")
        return {"files": len(given), **_child(_MEMORY, folder)}


def _import(runs: int) -> dict[str, Any]:
    """How long a fresh interpreter needs for the import, and which heavy packages came along."""
    found = [_child(_IMPORT) for _ in range(runs + 1)][1:]  # the first one compiles
    times = _summary([1000 * one["s"] for one in found])
    return {"ms": times, "heavy": found[0]["heavy"]}


def _large_file() -> dict[str, Any]:
    """A file of 50 MB, which is over the limit: how soon and with how much memory it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.json"
        file.write_text('[{"@id":"' + "x" * (_LARGE - 12) + '"}]', encoding="ascii")
        return {"bytes": file.stat().st_size, **_child(_REFUSED, str(file))}


def _child(program: str, *arguments: str) -> dict[str, Any]:
    """What a program says of itself in an interpreter of its own; seconds and megabytes are rounded."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"a measuring process failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in said.items()}


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4)}
