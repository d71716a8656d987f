"""The statements: where they go on, which indexes they use, what is bound, and what a projection takes."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from oracle import Graph
from pairs import database, multiset, page, paged

from remhart_adt.errors import QueryError
from remhart_adt.query import ast, candidates, outputs, parse, probe, project, to_sql


def twin(twin_id: str, **properties: Any) -> dict[str, Any]:
    return {"$dtId": twin_id, **properties, "$metadata": {"$model": "dtmi:m:A;1"}}


def relationship(source: str, name: str, target: str, number: int = 0, **properties: Any) -> dict[str, Any]:
    ends = {"$relationshipId": f"{name}-{target}-{number}", "$sourceId": source, "$relationshipName": name}
    return {**ends, "$targetId": target, **properties}


def plan(db: sqlite3.Connection, graph: Graph, text: str, **options: Any) -> list[str]:
    statement = to_sql(parse(text), models_of=graph.models_of, **options)
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters)]


def select(graph: Graph, text: str) -> list[Any]:
    db = database(graph)
    try:
        return page(db, parse(text), graph)[0]
    finally:
        db.close()


# --- pages


CHAIN = Graph(
    [twin(f"t{n}", a=n) for n in range(7)],
    [relationship(f"t{n}", "r", f"t{m}", k) for n in range(7) for m in range(n + 1, 7) for k in range(2)],
)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS WHERE a >= 2",
        "SELECT R FROM RELATIONSHIPS R",
        "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r JOIN C RELATED B.r WHERE A.$dtId IN ['t0', 't1', 't2']",
        "SELECT A, C FROM DIGITALTWINS MATCH (A)-[]->(B)-[]-(C) WHERE B.$dtId IN ['t3', 't4']",
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE A.$dtId IN ['t0', 't3']",
        "SELECT A FROM DIGITALTWINS MATCH (A) WHERE A.$dtId IN ['t0', 't3', 't5']",
        # A condition on both ends joins them to the walk, which must stay in its order.
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE A.$dtId IN ['t3', 't2', 't0'] AND (A.a = 0 OR B.a > 3)",
    ],
)
def test_pages_of_any_size_are_the_whole(text: str) -> None:
    db = database(CHAIN)
    query = parse(text)
    whole = page(db, query, CHAIN)[0]
    assert len(whole) > 2
    for size in (1, 2, len(whole), len(whole) + 1):
        assert paged(db, query, CHAIN, size) == whole
    db.close()


def test_a_page_goes_on_behind_its_key_whatever_was_removed_and_added() -> None:
    db = database(CHAIN)
    query = parse("SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r WHERE A.$dtId = 't0'")
    whole = page(db, query, CHAIN)[0]
    first, key = page(db, query, CHAIN, limit=4)
    db.execute("DELETE FROM relationships WHERE n = (SELECT MIN(n) FROM relationships WHERE source = 't0')")
    db.execute("DELETE FROM relationships WHERE n = ?", (key[-1],))
    sql = "INSERT INTO relationships VALUES(900, 'new', 't0', 'r', 't1', 'e', '{}')"
    db.execute(sql)
    rest, _ = page(db, query, CHAIN, after=key)
    db.close()
    assert first + rest == [*whole, {"B": CHAIN.twins[1]}]


@pytest.mark.parametrize("after", [(1, 2), ("x",), (1, "x", 3), (True,)])
def test_a_key_of_another_query_is_refused(after: Any) -> None:
    with pytest.raises(QueryError, match="not of this query"):
        to_sql(parse("SELECT * FROM DIGITALTWINS"), models_of=CHAIN.models_of, after=after)


# --- plans


def test_joins_start_from_the_pinned_twin_and_follow_indexes() -> None:
    db = database(CHAIN)
    joins = "A JOIN B RELATED A.r JOIN C RELATED B.r"
    for pinned, node, index in (("A", "t0", "(source=?)"), ("C", "t2", "(target=?)")):
        steps = plan(db, CHAIN, f"SELECT B FROM DIGITALTWINS {joins} WHERE {pinned}.$dtId = 't1' AND B.a > 1")
        searched = [step for step in steps if step.startswith(("SEARCH", "SCAN"))]
        assert searched[0] == f"SEARCH {node} USING INTEGER PRIMARY KEY (rowid=?)"
        assert searched[1].endswith("sqlite_autoindex_twins_1 (id=?)")
        assert searched[2].endswith(index)
        assert searched[4].endswith(index)
        assert not any(step.startswith(("SCAN t", "SCAN r")) for step in steps)
    db.close()


@pytest.mark.parametrize("pattern", ["(A)-[:r]->(B)-[]-(C)", "(A)-[:r*..3]->(B)-[]-(C)", "(C)<-[*2]-(B)-[x]-(A)"])
@pytest.mark.parametrize("pinned", ["A", "B", "C"])
def test_patterns_start_from_whichever_node_is_pinned(pattern: str, pinned: str) -> None:
    db = database(CHAIN)
    steps = plan(db, CHAIN, f"SELECT A, C FROM DIGITALTWINS MATCH {pattern} WHERE {pinned}.$dtId = 't1'")
    db.close()
    searched = [step for step in steps if step.startswith("SEARCH")]
    node = {"A": "t0", "B": "t1", "C": "t2"}[pinned] if pattern.startswith("(A)") else "t"
    assert searched[0].startswith(f"SEARCH {node}")
    assert any("sqlite_autoindex_twins_1 (id=?)" in step for step in searched[:2])
    assert not any(step.startswith(("SCAN t", "SCAN r", "SCAN here")) for step in steps)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("SELECT * FROM DIGITALTWINS T WHERE T.$dtId = 'x' AND T.a > 1", "(id=?)"),
        ("SELECT * FROM DIGITALTWINS WHERE $dtId IN ['x', 'y']", "(id=?)"),
        ("SELECT * FROM DIGITALTWINS WHERE STARTSWITH($dtId, 'x')", "(id>? AND id<?)"),
        ("SELECT COUNT() FROM DIGITALTWINS WHERE IS_OF_MODEL('dtmi:m:A;1', exact)", "(model=? AND rowid=?)"),
        ("SELECT COUNT() FROM DIGITALTWINS WHERE $metadata.$model = 'dtmi:m:A;1'", "(model=? AND rowid=?)"),
        ("SELECT * FROM RELATIONSHIPS WHERE $targetId = 'x'", "(target=? AND rowid=?)"),
        ("SELECT * FROM DIGITALTWINS T WHERE T.a > 4 AND T.b = 1", "by_a (<expr>>? AND <expr><?)"),
        ("SELECT * FROM DIGITALTWINS T WHERE T.a > 4 AND T.b = 1 AND T.a <= 9", "by_a (<expr>>? AND <expr><?)"),
        ("SELECT * FROM DIGITALTWINS T WHERE (T.b = 1 AND STARTSWITH(T.a, 'x'))", "by_a (<expr>>? AND <expr><?)"),
        ("SELECT * FROM DIGITALTWINS WHERE a IN [1, 'x', true]", "by_a (<expr>=?)"),
        ("SELECT * FROM DIGITALTWINS WHERE a = 1 OR a = 'x' OR a IN [true, 2]", "by_a (<expr>=?)"),
        ("SELECT * FROM DIGITALTWINS WHERE $dtId = 'x' OR $dtId IN ['y', 'z']", "(id=?)"),
        ("SELECT * FROM RELATIONSHIPS WHERE length <= 3", "by_length (<expr><?)"),
    ],
)
def test_what_an_index_can_serve_is_narrowed_by_it(text: str, index: str) -> None:
    db = database(CHAIN)
    db.execute("CREATE INDEX by_a ON twins(json_extract(doc,'$.\"a\"'))")
    db.execute("CREATE INDEX by_length ON relationships(json_extract(doc,'$.\"length\"'))")
    query = parse(text)
    found = candidates(query, models_of=CHAIN.models_of)
    steps = plan(db, CHAIN, text, narrowed=[one for one in found if "b" not in one.expression])
    db.close()
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN t") for step in steps)


@pytest.mark.parametrize(
    "condition",
    [
        *(
            "a != 1",
            "NOT a = 1",
            "a = 1 OR b = 2",
            "a = 1 OR a > 2",
            "a = 1 OR a = null",
            "a = null",
            "a = b",
            "CONTAINS(a, 'x')",
            "[[it's]] = 1",
        ),
        *("a NIN [1]", "IS_DEFINED(a)", "STARTSWITH(a, '')", "a = 'x\0y'", "$dtId = 5", "a IN [1, null]"),
    ],
)
def test_what_no_index_serves_is_no_candidate(condition: str) -> None:
    assert candidates(parse(f"SELECT * FROM DIGITALTWINS WHERE {condition}"), models_of=CHAIN.models_of) == []


@pytest.mark.parametrize(
    ("condition", "left", "exact"),
    [
        ("a > 1 AND $dtId = 't5'", (4, 1), [False, True]),
        ("a <= 2 AND $dtId IN ['t1', 't2']", (3, 2), [False, True]),
        # Both ends of a range are one candidate: each by itself would leave half of the table.
        ("a > 1 AND a <= 2", (1,), [False]),
        ("a > 1 AND IS_DEFINED(b) AND a IN [2, 3, 9] AND a < 3", (1,), [False]),
        ("$dtId > 't1' AND $dtId = 't2'", (1,), [True]),
    ],
)
def test_candidates_are_counted_up_to_a_limit(condition: str, left: tuple[int, ...], exact: list[bool]) -> None:
    db = database(CHAIN)
    found = candidates(parse(f"SELECT * FROM DIGITALTWINS WHERE {condition}"), models_of=CHAIN.models_of)
    statement = probe(found, 4)
    [counts] = db.execute(statement.text, statement.parameters)
    db.close()
    assert counts == left
    assert [one.exact for one in found] == exact


# --- values


def test_values_are_bound_never_pasted() -> None:
    hostile = "x'); DROP TABLE twins; --"
    escaped = hostile.replace("'", "\\'")
    text = (
        f"SELECT [[{hostile}]].a FROM DIGITALTWINS MATCH ([[{hostile}]])-[:[[{hostile}]]*..2]-(B) "
        f"WHERE [[{hostile}]].$dtId = '{escaped}' AND [[{hostile}]].[[{hostile}]] = '{escaped}' "
        f"AND STARTSWITH(B.[[{hostile}\"]], '{escaped}')"
    )
    single = f"SELECT * FROM DIGITALTWINS WHERE [[{hostile}]] = '{escaped}' AND a = '{escaped}'"
    graph = Graph([twin("t")])
    db = database(graph)
    for each in (text, single):
        query = parse(each)
        narrowed = candidates(query, models_of=graph.models_of)
        statement = to_sql(query, models_of=graph.models_of, narrowed=narrowed)
        assert "DROP" not in statement.text
        assert "--" not in statement.text
        assert db.execute(statement.text, statement.parameters).fetchall() == []
    db.close()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\0b", "\uffff", "\uffff0", "[0", "$.a", "a.b", "'"])
def test_any_name_reaches_its_property(name: str) -> None:
    graph = Graph([twin("t", **{name: {name: 1, "x": {name: "v"}}}), twin("u", **{name[:1]: {name[:1]: 2}})])
    for condition in (f"[[{name}]].[[{name}]] = 1", f"[[{name}]].x.[[{name}]] = 'v'", f"IS_OBJECT([[{name}]].x)"):
        assert [row["$dtId"] for row in select(graph, f"SELECT * FROM DIGITALTWINS WHERE {condition}")] == ["t"]
    assert select(graph, f"SELECT COUNT() FROM DIGITALTWINS WHERE IS_DEFINED([[{name}]].none)") == [{"COUNT": 0}]


@pytest.mark.parametrize("value", ["a\0b", "\0", "a\\u0000b", "\\\0", "\uffff0\0", "tail\0"])
def test_a_string_with_the_character_zero_is_compared_as_a_whole(value: str) -> None:
    graph = Graph([twin("t", a=value, list=[value]), twin("cut", a=value.split("\0")[0], list=[])])
    literal = value.replace("\\", "\\\\")
    for condition in (
        f"a = '{literal}'",
        f"a IN ['{literal}']",
        f"ARRAY_CONTAINS(list, '{literal}')",
        f"ENDSWITH(a, '{literal[-1]}') AND STARTSWITH(a, '{literal}')",
    ):
        found = [row["$dtId"] for row in select(graph, f"SELECT * FROM DIGITALTWINS WHERE {condition}")]
        assert found == (["t"] if "\0" in value or "list" in condition else ["t", "cut"]), condition


def test_numbers_beyond_64_bits_compare_as_real_numbers() -> None:
    graph = Graph([twin("t", a=1)])
    for text, found in (("a < 99999999999999999999", 1), ("a > 99999999999999999999", 0), ("a < 1e999", 1)):
        assert select(graph, f"SELECT COUNT() FROM DIGITALTWINS WHERE {text}") == [{"COUNT": found}]
    huge = ast.Comparison(ast.Path(("a",)), "<", ast.Value(10**400))
    statement = to_sql(ast.Query(ast.Count(), where=huge), models_of=graph.models_of)
    db = database(graph)
    assert db.execute(statement.text, statement.parameters).fetchone() == (1,)
    db.close()


def test_relationships_have_no_model_even_in_a_query_that_was_built() -> None:
    query = ast.Query(ast.Star(), ast.Source("RELATIONSHIPS"), ast.IsOfModel("dtmi:m:A;1"))
    with pytest.raises(QueryError, match="no model"):
        to_sql(query, models_of=CHAIN.models_of)


# --- rows


def test_projection_keeps_what_exists_under_its_last_name_or_alias() -> None:
    query = parse("SELECT T, T.a.b AS x, T.a, c FROM DIGITALTWINS T")
    projected = outputs(query)
    document = {"a": {"b": 1}}
    assert project(projected, {projected[0].member: document}) == {"T": document, "x": 1, "a": {"b": 1}}
    projected = outputs(parse("SELECT a.b.c FROM DIGITALTWINS"))
    assert project(projected, {projected[0].member: {"a": {"b": "text"}}}) == {}


def test_of_two_projections_with_one_key_the_later_one_stands_when_it_has_a_value() -> None:
    graph = Graph([twin("a", name="A"), twin("b", name="B"), twin("c")])
    graph.relationships += [relationship("a", "r", "b"), relationship("a", "r", "c")]
    text = "SELECT A.name, B.name FROM DIGITALTWINS A JOIN B RELATED A.r WHERE A.$dtId = 'a'"
    assert multiset(select(graph, text)) == multiset([{"name": "B"}, {"name": "A"}])
