"""Any text wherever a query may have one: the rows are those of the naive evaluator, or the query is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import Graph, rows
from pairs import multiset
from served import Served

from remhart_adt.errors import QueryError
from remhart_adt.local.adt.types import AdtError
from remhart_adt.query import ast, format_query, parse

PIECES = [
    *("'", '"', "\\", "\\'", "''", "]]", "[[", "]", "`", ";", "--", "/*", "*/", "\0", "\n", "%", "_", "*", "?1", ":p0"),
    *(
        "$",
        "$.a",
        "$[0]",
        "@x",
        " OR 1=1",
        " UNION SELECT ",
        "DROP TABLE twins",
        "SELECT",
        "twins",
        "doc",
        "json(",
        ")",
    ),
    *("\uffff", "\ufffe", "\U0010ffff", "\u2028", "ſ", "İ", "é", "e\u0301", "NULL", "true", "1e999", "x'00'", "||"),
]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served() as served:
        yield served


def world(text: str) -> Graph:
    """Two twins that have the text wherever one may stand, two that nearly have it, and one that has nothing."""
    near = text[:-1] or "x"

    def twin(twin_id: str, value: Any, model: str) -> dict[str, Any]:
        held = {} if value is None else {text: value, "plain": value, "in": {text: {text: value}}, "list": [value]}
        return {**held, "$dtId": twin_id, "$metadata": {"$model": model}}

    twins = [
        twin(text, text, text),
        twin(f"{text}'", text, "dtmi:m:A;1"),
        twin(f"-{near}", near, "dtmi:m:A;1"),
        twin(f"{text}{text}x", f"{text}x{text}", "dtmi:m:A;1"),
        twin("nothing at all", None, "dtmi:m:A;1"),
    ]
    ends = [(0, 1, text), (0, 2, f"{near}-"), (1, 3, text), (3, 0, text)]
    relationships = [
        {
            "$relationshipId": f"{text}{number}",
            "$sourceId": twins[source]["$dtId"],
            "$relationshipName": name,
            "$targetId": twins[target]["$dtId"],
            text: text,
        }
        for number, (source, target, name) in enumerate(ends)
    ]
    return Graph(twins, relationships, {text: [text]})


def queries(text: str) -> Iterator[ast.Query]:
    """The text as value, name, alias, collection, variable, relationship, model and id."""
    here, plain, twin_id, odd = ast.Path((text,)), ast.Path(("plain",)), ast.Path(("$dtId",)), f"{text} it"
    equal = ast.Comparison(here, "=", ast.Value(text))
    for where in (
        equal,
        *(ast.Comparison(plain, op, ast.Value(text)) for op in ("=", "!=", "<", ">=")),
        *(ast.StringTest(name, plain, text) for name in ("STARTSWITH", "ENDSWITH", "CONTAINS")),
        ast.InList(plain, (text, 1, None)),
        ast.InList(here, ("other", text), True),
        ast.ArrayContains(ast.Path(("list",)), text),
        ast.Comparison(ast.Path(("in", text, text)), "=", here),
        ast.TypeTest("IS_OBJECT", ast.Path(("in", text))),
        ast.Comparison(twin_id, "=", ast.Value(text)),
        ast.InList(twin_id, (text, f"{text}'")),
        ast.StringTest("STARTSWITH", twin_id, text),
        ast.IsOfModel(text, None, True),
        ast.Not(equal),
    ):
        yield ast.Query(ast.Star(), where=where)
    projected = ast.Some((ast.Projection(here, odd), ast.Projection(ast.Path((odd, text))), ast.Projection(here)))
    yield ast.Query(projected, ast.Source("DIGITALTWINS", odd))
    yield ast.Query(ast.Star(), ast.Source("RELATIONSHIPS"), ast.Comparison(here, "=", ast.Value(text)))
    yield ast.Query(ast.Count(), ast.Source("RELATIONSHIPS", odd), ast.InList(ast.Path((odd, "$targetId")), (text,)))
    pin = ast.Comparison(ast.Path((odd, "$dtId")), "=", ast.Value(text))
    also = ast.Comparison(ast.Path((f"{odd}s", text)), "=", ast.Value(text))
    some = ast.Some((ast.Projection(ast.Path(("B",)), odd), ast.Projection(ast.Path((f"{odd}s", "$relationshipId")))))
    joined = ast.Join("B", odd, text, f"{odd}s")
    yield ast.Query(some, ast.Source("DIGITALTWINS", odd), pin & also, joins=(joined,))
    for hops in (None, ast.Hops(None, 3, False)):
        named = ast.Edge("any", None if hops else f"{odd}s", (text, f"{text[:-1] or 'x'}-"), hops)
        match = ast.Match((ast.Node(odd), ast.Node("B")), (named,))
        yield ast.Query(ast.Some(some.items[:1]), where=pin if hops else pin & also, match=match)


@settings(max_examples=15, deadline=None)
@given(texts)
@example("'); DROP TABLE twins; --")
@example("\\")
@example("\\'")
@example("a]")
@example("\0")
@example("\uffff0")
def test_any_text_in_any_place_gives_the_right_rows_or_cannot_be_written(server: Served, text: str) -> None:
    graph = world(text)
    written = 0
    for query in queries(text):
        try:
            asked = format_query(query)
        except QueryError:
            assert "]" in text, query
            continue
        written += 1
        assert parse(asked) == query
        found = [row for page in server.pages(graph, asked, 3) for row in page]
        assert multiset(found) == multiset(rows(query, graph)), asked
    assert written >= 8


RAW = [
    *("{}", "SELECT {}", "SELECT * FROM {}", "SELECT {} FROM DIGITALTWINS", "SELECT * FROM DIGITALTWINS {}"),
    *("SELECT TOP({}) FROM DIGITALTWINS", "SELECT * FROM DIGITALTWINS WHERE {}", "SELECT a AS {} FROM DIGITALTWINS"),
    *("SELECT * FROM DIGITALTWINS WHERE plain = '{}'", "SELECT * FROM DIGITALTWINS WHERE plain IN [{}]"),
    *("SELECT * FROM DIGITALTWINS WHERE [[{}]] = 1", "SELECT * FROM DIGITALTWINS WHERE IS_OF_MODEL({})"),
    "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.{} WHERE A.$dtId = '{}'",
    "SELECT B FROM DIGITALTWINS MATCH (A)-[{}]-(B) WHERE A.$dtId = '{}'",
]


@settings(max_examples=40, deadline=None)
@given(texts, st.sampled_from(RAW))
@example("' OR 1 = 1 --", "SELECT * FROM DIGITALTWINS WHERE plain = '{}'")
@example("a = 1; DROP TABLE twins", "SELECT * FROM DIGITALTWINS WHERE {}")
def test_text_pasted_into_a_query_is_refused_or_shows_nothing_that_is_not_there(
    server: Served, text: str, frame: str
) -> None:
    graph = world("v")
    asked = frame.replace("{}", text)
    try:
        query = parse(asked)
    except QueryError:
        with pytest.raises(AdtError) as refused:
            server.pages(graph, asked, 1000)
        assert (refused.value.status, refused.value.code) == (400, "SqlQueryError")
        return
    found = [row for page in server.pages(graph, asked, 1000) for row in page]
    assert multiset(found) == multiset(rows(query, graph))
