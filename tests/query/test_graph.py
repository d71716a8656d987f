"""JOIN and MATCH on small graphs drawn by hand: which rows there are, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from oracle import Graph
from pairs import database, page

from remhart_adt.query import parse


def drawn(*edges: str) -> Graph:
    """A graph of edges such as `a-has->b`; relationship ids are `r0`, `r1`, ... in their order."""
    split = [edge.replace("->", "-").split("-") for edge in edges]
    ids = dict.fromkeys(end for source, _, target in split for end in (source, target))
    twins = [{"$dtId": one, "$metadata": {"$model": f"dtmi:m:{one}"}} for one in ids]
    relationships = [
        {"$relationshipId": f"r{number}", "$sourceId": source, "$relationshipName": name, "$targetId": target}
        for number, (source, name, target) in enumerate(split)
    ]
    return Graph(twins, relationships)


def found(graph: Graph, text: str) -> list[str]:
    """Rows as text: the ids of what was selected, in the order of their keys."""
    db = database(graph)
    rows, _ = page(db, parse(text), graph)
    db.close()
    return sorted(" ".join(shown(value) for value in row.values()) for row in rows)


def shown(value: Any) -> str:
    return str(value.get("$dtId") or value.get("$relationshipId")) if isinstance(value, dict) else str(value)


DIAMOND = drawn("a-x->b", "a-x->c", "b-y->d", "c-y->d", "d-z->a")


def test_a_join_gives_a_row_for_each_relationship_and_none_without_one() -> None:
    twice = drawn("a-x->b", "a-x->b", "a-y->b", "b-x->c")
    assert found(twice, "SELECT A, B FROM DIGITALTWINS A JOIN B RELATED A.x WHERE A.$dtId IN ['a', 'c']") == [
        "a b",
        "a b",
    ]
    assert found(twice, "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.z WHERE A.$dtId = 'a'") == []


def test_joins_may_branch_and_come_back() -> None:
    text = "SELECT B, C FROM DIGITALTWINS A JOIN B RELATED A.x JOIN C RELATED A.x WHERE A.$dtId = 'a'"
    assert found(DIAMOND, text) == ["b b", "b c", "c b", "c c"]
    joins = "JOIN B RELATED A.x JOIN D RELATED B.y JOIN E RELATED D.z"
    text = f"SELECT B, D, E FROM DIGITALTWINS A {joins} WHERE D.$dtId = 'd'"
    assert found(DIAMOND, text) == ["b d a", "c d a"]


def test_the_name_of_a_relationship_stands_for_it_when_no_variable_does() -> None:
    graph = drawn("a-x->b", "a-x->c")
    graph.relationships[1]["role"] = "Operator"
    text = "SELECT B, x FROM DIGITALTWINS A JOIN B RELATED A.x WHERE A.$dtId = 'a' AND x.role = 'Operator'"
    assert found(graph, text) == ["c r1"]
    shadowed = "SELECT x FROM DIGITALTWINS A JOIN x RELATED A.x WHERE A.$dtId = 'a'"
    assert found(graph, shadowed) == ["b", "c"]


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("(A)-[]->(B)", ["a b", "a c"]),
        ("(A)<-[]-(B)", ["a d"]),
        ("(A)-[]-(B)", ["a b", "a c", "a d"]),
        ("(B)-[]->(A)", ["a d"]),
        ("(A)-[:x]-(B)", ["a b", "a c"]),
        ("(A)-[:z|x]-(B)", ["a b", "a c", "a d"]),
        ("(A)-[:none]-(B)", []),
        ("(A)-[]->()-[]->(B)", ["a d", "a d"]),
        ("(A)-[:x]->()<-[]-(B)", []),
        ("(A)-[*2]->(B)", ["a d", "a d"]),
        ("(A)-[*1..2]->(B)", ["a d", "a d"]),
        ("(A)-[*0..2]->(B)", ["a b", "a c", "a d", "a d"]),
        ("(A)-[*..2]->(B)", ["a b", "a c", "a d", "a d"]),
        ("(A)-[:x|y*..9]->(B)", ["a b", "a c", "a d", "a d"]),
        ("(A)-[*3]-(B)", ["a b", "a c"]),
        ("(B)-[*..2]->(A)", ["a b", "a c", "a d"]),
        ("(A)-[*2]->()-[]->(B)", []),
        ("(A)-[]->()-[*..2]-(B)", ["a b", "a c", "a d", "a d"]),
    ],
)
def test_a_pattern_gives_a_row_for_each_path_that_visits_no_twin_twice(pattern: str, rows: list[str]) -> None:
    assert found(DIAMOND, f"SELECT A, B FROM DIGITALTWINS MATCH {pattern} WHERE A.$dtId = 'a'") == rows


def test_parallel_relationships_are_paths_of_their_own() -> None:
    graph = drawn("a-x->b", "a-y->b", "b-x->a", "b-x->c")
    assert found(graph, "SELECT B, r FROM DIGITALTWINS MATCH (A)-[r]-(B) WHERE A.$dtId = 'a'") == [
        "b r0",
        "b r1",
        "b r2",
    ]
    assert found(graph, "SELECT C FROM DIGITALTWINS MATCH (A)-[*2]-(C) WHERE A.$dtId = 'a'") == ["c", "c", "c"]


def test_a_node_alone_is_the_twin_itself() -> None:
    assert found(DIAMOND, "SELECT A FROM DIGITALTWINS MATCH (A) WHERE A.$dtId IN ['a', 'd', 'none']") == ["a", "d"]


def test_a_twin_is_never_its_own_neighbour_in_a_pattern_but_in_a_join_it_is() -> None:
    graph = drawn("a-x->a", "a-x->b")
    assert found(graph, "SELECT B FROM DIGITALTWINS MATCH (A)-[]-(B) WHERE A.$dtId = 'a'") == ["b"]
    assert found(graph, "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.x WHERE A.$dtId = 'a'") == ["a", "b"]


def test_conditions_hold_on_every_part_of_a_pattern() -> None:
    graph = drawn("a-x->b", "a-x->c", "b-y->d", "c-y->e")
    for number, one in enumerate(graph.twins):
        one["n"] = number
    graph.relationships[0]["w"] = 1
    pattern = "MATCH (A)-[r:x]->(B)-[*..2]->(C)"
    for condition, rows in (
        ("r.w = 1", ["d"]),
        ("B.n = 2", ["e"]),
        ("IS_OF_MODEL(C, 'dtmi:m:e', exact)", ["e"]),
        ("C.n > B.n AND A.n < r.w", ["d"]),
        ("NOT C.n > B.n", []),
        ("(C.n = 3 OR B.n = 2)", ["d", "e"]),
    ):
        text = f"SELECT C FROM DIGITALTWINS {pattern} WHERE A.$dtId = 'a' AND {condition}"
        assert found(graph, text) == rows, condition


def test_counting_counts_rows() -> None:
    for pattern, count in (("(A)-[*..2]->(B)", "4"), ("(A)-[]-(B)", "3"), ("(A)", "1")):
        assert found(DIAMOND, f"SELECT COUNT() FROM DIGITALTWINS MATCH {pattern} WHERE A.$dtId = 'a'") == [count]


def test_a_pinned_list_that_names_nobody_gives_nothing() -> None:
    for condition in ("A.$dtId = 5", "A.$dtId IN [1, null]", "A.$dtId = 'a' AND A.$dtId = 'b'"):
        assert found(DIAMOND, f"SELECT A FROM DIGITALTWINS MATCH (A)-[*..2]-(B) WHERE {condition}") == []
