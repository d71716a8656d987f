"""The compiled SQL against the naive evaluator: generated queries of every form over generated graphs.

`scripts/fuzz query` runs the same for as many pairs as one likes.
"""

from __future__ import annotations

from collections import Counter

import pytest
from generate import Generator
from oracle import rows
from pairs import check_pair

from remhart_adt.query import ast

PAIRS = 2000
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_sqlite_and_the_naive_evaluator_give_the_same_rows(part: int) -> None:
    wrong = [said for number in range(part, PAIRS, PARTS) if (said := check_pair(1, number)) is not None]
    assert not wrong, wrong[0]


def test_the_pairs_are_worth_comparing() -> None:
    """Every form occurs, and a good part of each finds something."""
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for number in range(PAIRS):
        generator = Generator(f"1:{number}")
        graph = generator.graph()
        query = generator.query(graph)
        form = "join" if query.joins else query.source.collection
        if query.match is not None:
            form = "chain" if any(edge.hops for edge in query.match.edges) else "match"
        seen[form] += 1
        answer = rows(query, graph)
        found[form] += bool(answer[0]["COUNT"] if isinstance(query.select, ast.Count) else answer)
    assert set(seen) == {"DIGITALTWINS", "RELATIONSHIPS", "join", "match", "chain"}
    for form, number in seen.items():
        assert number > 150, form
        assert found[form] > number / 8, form
