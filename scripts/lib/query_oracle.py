"""Generated queries over generated graphs: SQLite and a naive evaluator in Python must give the same rows.

`scripts/fuzz query` compares --pairs of them, the same for the same --seed: all rows at once, in pages of a random
size, with the conditions that an index serves, and as the server answers them page by page. The generator and the
evaluator are those of the tests (tests/query). Exit code 1: a pair differed; the first ones are printed, and `--only
NUMBER` runs one again. `--forms` only counts the pairs that have each form of query and graph.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

__all__ = ["add_arguments", "run"]

_TASK: Final = 500
_SHOWN: Final = 5


def add_arguments(verbs: Any) -> None:
    """Add the verb `query`; `verbs` is what `add_subparsers` returned."""
    query = verbs.add_parser("query", help="the query language against its oracle", description=__doc__)
    query.add_argument("--pairs", type=int, default=50_000)
    query.add_argument("--seed", type=int, default=1)
    query.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    query.add_argument("--only", type=int, metavar="NUMBER", help="run just this pair")
    query.add_argument("--forms", action="store_true", help="print how many pairs have each form, and compare nothing")


def run(asked: argparse.Namespace) -> int:
    """Compare the pairs that were asked for; the exit code."""
    numbers = range(asked.pairs) if asked.only is None else range(asked.only, asked.only + 1)
    tasks = [numbers[at : at + _TASK] for at in range(0, len(numbers), _TASK)]
    begun = time.monotonic()
    if asked.forms:
        with ProcessPoolExecutor(asked.processes) as pool:
            _print_forms(sum(pool.map(partial(_forms, asked.seed), tasks), Counter()))
        return 0
    with ProcessPoolExecutor(asked.processes) as pool:
        wrong = [said for found in pool.map(partial(_differences, asked.seed), tasks) for said in found]
    print(f"{len(numbers)} pairs in {time.monotonic() - begun:.0f} s, {len(wrong)} differ (seed {asked.seed})")
    for number, said in wrong[:_SHOWN]:
        print(f"pair {number}: {said}", file=sys.stderr)
    return 1 if wrong else 0


def _find_tests() -> None:
    folder = str(Path(__file__).resolve().parents[2] / "tests" / "query")
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _differences(seed: int, numbers: range) -> list[tuple[int, str]]:
    _find_tests()
    from pairs import check_pair
    from served import Served

    with Served() as server:
        said = ((number, check_pair(seed, number) or server.check(seed, number)) for number in numbers)
        return [(number, what) for number, what in said if what is not None]


def _forms(seed: int, numbers: range) -> Counter[str]:
    _find_tests()
    from forms import coverage

    return coverage(seed, numbers)


def _print_forms(counted: Counter[str]) -> None:
    _find_tests()
    from forms import ALL

    for form in ALL:
        print(f"{counted[form]:7}  {form}")
