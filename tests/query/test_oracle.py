"""The compiled SQL against the naive evaluator: generated queries of every form over generated graphs.

`scripts/fuzz query` runs the same for as many pairs as one likes.
"""

from __future__ import annotations

import ast as python
from pathlib import Path

import pytest
from forms import ALL, coverage
from pairs import check_pair
from served import Served

PAIRS = 2000
PARTS = 4
AT_THE_DOOR = 300


@pytest.mark.parametrize("part", range(PARTS))
def test_sqlite_and_the_naive_evaluator_give_the_same_rows(part: int) -> None:
    wrong = [said for number in range(part, PAIRS, PARTS) if (said := check_pair(1, number)) is not None]
    assert not wrong, wrong[0]


def test_the_server_and_the_naive_evaluator_give_the_same_rows_page_by_page() -> None:
    with Served() as server:
        wrong = [said for number in range(AT_THE_DOOR) if (said := server.check(2, number)) is not None]
    assert not wrong, wrong[0]


def test_the_pairs_are_worth_comparing() -> None:
    """Every form occurs, several times, and a good part of the queries finds something."""
    counted = coverage(1, range(PAIRS))
    assert sorted(counted) == sorted(ALL)
    assert min(counted.values()) >= 5
    assert counted["some row"] > PAIRS / 3
    assert counted["more than ten rows"] > PAIRS / 100


def test_the_naive_evaluator_knows_nothing_of_the_compiler() -> None:
    """It may read the tree of a query, and that is all of ours it may import."""
    source = (Path(__file__).parent / "oracle.py").read_text(encoding="utf-8")
    imported = [
        node for node in python.walk(python.parse(source)) if isinstance(node, python.Import | python.ImportFrom)
    ]
    ours = {python.unparse(node) for node in imported if "remhart_adt" in python.unparse(node)}
    assert ours == {"from remhart_adt.query import ast"}
