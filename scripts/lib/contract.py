"""Hold a local ADT server to tests/contract/adt.yaml: requests made from the contract, answers compared with it.

Every operation gets its share of the requests, three in ten of them broken on purpose. What must not be: a status that
the operation does not declare, a 5xx other than a declared 501 or 503, a body, a content type or a header that does not
conform, a header that is not declared, an error code in the header other than in the body. Exit code 1: there was one;
each kind is shown once with a request that does it again. Statuses that were declared and never came are named, those
apart that nothing but options and faults can bring about. Without --endpoint a server of its own is started. The same
--seed makes the same requests while the code stays as it is.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import NonInteractiveExampleWarning
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CheckFunction, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contract_hostile import run_hostile
from contract_jobs import Storage, storage
from contract_stage import Stage, aim

__all__ = ["CONTRACT", "Fault", "Tally", "check_answer", "operations", "run", "run_alone"]

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACT: Final = ROOT / "tests" / "contract" / "adt.yaml"
_CHECKS: Final[list[CheckFunction]] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_MAY_FAIL: Final = (501, 503)
# By faults, options or a package that is missing; 429 of jobs comes without.
_BY_OPTION: Final = {"401", "403", "429", "501", "503"}
# Of HTTP itself; every other header of an answer must be declared.
_FRAMING: Final = {"connection", "content-length", "content-type", "date", "transfer-encoding"}
_TIMEOUT: Final = 30
_ROUNDS: Final = 50  # hypothesis ends early when it has seen every input of a small operation; then it starts again


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that the contract does not allow; `command` sends the request again."""

    operation: str
    what: str
    command: str


@dataclass(slots=True)
class Tally:
    """What came of a run: statuses by operation, and the faults."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(counter.total() for counter in self.statuses.values())

    def share(self, first: int) -> float:
        """The part of all answers whose status begins with a digit, as 2 in 2xx."""
        count = sum(n for counter in self.statuses.values() for status, n in counter.items() if status // 100 == first)
        return count / max(1, self.requests)


def check_answer(case: Case, answer: Response) -> list[str]:
    """What the contract has against an answer, none when it conforms."""
    found = []
    try:
        case.validate_response(answer, checks=_CHECKS)
    except FailureGroup as group:
        found += [f"{one.title}: {one.message}" for one in group.exceptions if isinstance(one, Failure)]
    except Failure as one:
        found.append(f"{one.title}: {one.message}")
    if answer.status_code >= 500 and answer.status_code not in _MAY_FAIL:
        found.append(f"Server error: {answer.status_code} {answer.text}")
    if unknown := answer.headers.keys() - _FRAMING - _declared(case, answer.status_code):
        found.append(f"Undeclared header: {', '.join(sorted(unknown))} with {answer.status_code}")
    code = answer.headers.get("x-ms-error-code")
    if code is not None and code != [answer.json()["error"]["code"]]:
        found.append(f"x-ms-error-code is {code} and the body says otherwise: {answer.text}")
    return found


def _declared(case: Case, status: int) -> set[str]:
    """The headers that the contract names for this status, in lower case."""
    answer = case.operation.definition.raw["responses"].get(str(status), {})
    if "$ref" in answer:
        answer = _components()["responses"][answer["$ref"].rpartition("/")[2]]
    return {name.lower() for name in answer.get("headers", ())}


@functools.cache
def _components() -> Any:
    return yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]


def operations() -> list[APIOperation]:
    """Every operation of the contract."""
    load_all_checks()
    return [result.ok() for result in schemathesis.openapi.from_path(CONTRACT).get_all_operations()]


def run(endpoint: str, count: int, number: int, store: Storage, *, only: str = "") -> Tally:
    """Send `count` requests to a server whose graph is replaced by ours; `number` is the seed, `only` a part of the
    operations' names."""
    stage = Stage(endpoint, store)
    tally = Tally()
    chosen = [one for one in operations() if only in one.definition.raw["operationId"]]
    for place, operation in enumerate(chosen):
        share = count // len(chosen) + (place < count % len(chosen))
        _run_one(stage, operation, share, number * 1000 + place, tally)
    stage.empty()
    return tally


def run_alone(count: int, number: int = 1, *, only: str = "") -> Tally:
    """The same against a server that is started for it."""
    from remhart_adt.local.adt import LocalAdt, Options

    with storage() as store, LocalAdt(Options(blob_folder=store.folder)) as server:
        return run(server.endpoint, count, number, store, only=only)


def _run_one(stage: Stage, operation: APIOperation, share: int, number: int, tally: Tally) -> None:
    name = str(operation.definition.raw["operationId"])
    counter = tally.statuses.setdefault(name, Counter())
    rng = random.Random(number)  # not hypothesis's: its numbers are all too often the same
    rounds = 0
    next_round = 0

    def one(case: Case) -> None:
        nonlocal rounds, next_round
        if counter.total() >= share:
            return
        if counter.total() == next_round:
            next_round += stage.prepare(name, rounds)
            rounds += 1
        case = aim(case, rng, stage)
        answer = case.call(base_url=stage.endpoint, session=stage.session, timeout=_TIMEOUT)
        counter[answer.status_code] += 1
        for what in check_answer(case, answer):
            tally.faults.append(Fault(name, what, case.as_curl_command()))

    good = operation.as_strategy(GenerationMode.POSITIVE)
    bad = operation.as_strategy(GenerationMode.NEGATIVE)
    for attempt in range(_ROUNDS):
        left = share - counter.total()
        if left <= 0:
            return
        for strategy, part in ((good, left - left * 3 // 10), (bad, left * 3 // 10)):
            if part:
                _draw(strategy, part, number * _ROUNDS + attempt, one)


def _draw(strategy: Any, count: int, number: int, one: Any) -> None:
    """Give `count` requests of a strategy to a function, the same ones for the same number."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Case) -> None:
        one(case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        each()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/contract", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many in all (10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--endpoint", help="a running local server; everything on it is removed")
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--hostile", action="store_true", help="no requests from the contract: the heavy bad input")
    return parser.parse_args()


def _never_seen(name: str, tally: Tally) -> list[str]:
    """The statuses that an operation declares and did not answer."""
    raw = next(one.definition.raw for one in operations() if one.definition.raw["operationId"] == name)
    return sorted(raw["responses"].keys() - {str(status) for status in tally.statuses[name]} - _BY_OPTION)


def _print(tally: Tally, seconds: float) -> None:
    for name, counter in tally.statuses.items():
        shown = "  ".join(f"{status}: {n}" for status, n in sorted(counter.items()))
        print(f"{name:32} {shown}")
    never = [f"{name} {', '.join(missing)}" for name in tally.statuses if (missing := _never_seen(name, tally))]
    print(f"never seen: {'; '.join(never) or 'none'}")
    shares = ", ".join(f"{first}xx {tally.share(first):.1%}" for first in (2, 4, 5))
    print(f"{tally.requests} requests in {seconds:.0f} s: {shares}; {len(tally.faults)} faults")
    seen: set[tuple[str, str]] = set()
    for fault in tally.faults:
        kind = (fault.operation, fault.what.partition(":")[0])
        if kind not in seen:
            seen.add(kind)
            print(f"\n{fault.operation}: {fault.what}\n{fault.command}", file=sys.stderr)


def main() -> int:
    asked = _arguments()
    if asked.hostile:
        return 1 if run_hostile(asked.only) else 0
    began = time.monotonic()
    if asked.endpoint:
        with storage() as store:
            tally = run(asked.endpoint, asked.requests, asked.seed, store, only=asked.only)
    else:
        tally = run_alone(asked.requests, asked.seed, only=asked.only)
    seconds = time.monotonic() - began
    if asked.json:
        print(json.dumps({"requests": tally.requests, "2xx": tally.share(2), "faults": len(tally.faults)}))
    else:
        _print(tally, seconds)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
