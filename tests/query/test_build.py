"""The builder: escaped text that parses back to what was built."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.errors import QueryError
from remhart_adt.query import Q, all_of, any_of, format_query, of_model, parse, prop
from remhart_adt.query import ast as tree


def test_a_query_reads_as_it_was_composed() -> None:
    query = (
        Q.twins("T")
        .where(prop("T.alarms.voltageSag.severity").eq("major") & of_model("dtmi:a:B;1", collection="T"))
        .where(any_of(prop("T.load").gt(0.9), ~prop("T.open").is_defined()))
        .select("T.name", total="T.load.max")
        .top(5)
    )
    assert query.text() == (
        "SELECT TOP(5) T.name, T.load.[[max]] AS total FROM DIGITALTWINS T "
        "WHERE T.alarms.voltageSag.severity = 'major' AND IS_OF_MODEL(T, 'dtmi:a:B;1') "
        "AND (T.load > 0.9 OR NOT IS_DEFINED(T.open))"
    )
    assert parse(query.text()) == query.query
    assert str(Q.relationships().count()) == "SELECT COUNT() FROM RELATIONSHIPS"


def test_every_operator_has_a_method() -> None:
    a = prop("a")
    conditions = [
        (a.eq(1), "a = 1"),
        (a.ne(None), "a != null"),
        (a.lt(1.5), "a < 1.5"),
        (a.le(True), "a <= true"),
        (a.gt("x"), "a > 'x'"),
        (a.ge(prop("b")), "a >= b"),
        (a.is_in(["x", 1]), "a IN ['x', 1]"),
        (a.not_in([False]), "a NIN [false]"),
        (a.is_type("IS_NUMBER"), "IS_NUMBER(a)"),
        (a.startswith("x"), "STARTSWITH(a, 'x')"),
        (a.endswith("x"), "ENDSWITH(a, 'x')"),
        (a.contains("x"), "CONTAINS(a, 'x')"),
        (a.array_contains(2), "ARRAY_CONTAINS(a, 2)"),
        (of_model("dtmi:a;1", exact=True), "IS_OF_MODEL('dtmi:a;1', exact)"),
    ]
    for condition, text in conditions:
        assert Q.twins().where(condition).text() == f"SELECT * FROM DIGITALTWINS WHERE {text}"
    both = all_of(*(condition for condition, _ in conditions))
    assert parse(Q.twins().where(both).text()).where == both


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_string_survives_as_a_value(value: str) -> None:
    where = parse(Q.twins().where(prop("a").eq(value)).text()).where
    assert where == prop("a").eq(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_any_number_survives_as_a_value(value: float) -> None:
    where = parse(Q.twins().where(prop("a").eq(value)).text()).where
    assert isinstance(where, tree.Comparison)
    assert isinstance(where.right, tree.Value)
    assert where.right.value == value


@pytest.mark.parametrize("name", ["Group", "order", "1a", "a b", "a.b", "ä", "it's", "$x-y", "a]b"])
def test_odd_and_reserved_names_are_bracketed(name: str) -> None:
    query = Q.twins().where(prop("tags", name).is_defined())
    assert f"tags.[[{name}]]" in query.text()
    assert parse(query.text()) == query.query


@pytest.mark.parametrize("name", ["a]]b", "a]"])
def test_names_that_cannot_be_written_are_refused(name: str) -> None:
    with pytest.raises(QueryError):
        Q.twins().where(prop("tags", name).is_defined()).text()


@pytest.mark.parametrize("path", ["", "a..b", ".a"])
def test_empty_names_are_refused(path: str) -> None:
    with pytest.raises(QueryError):
        prop(path)


def test_what_the_service_would_refuse_is_refused_here() -> None:
    for query in (
        Q.twins().where(prop("a").is_in([])),
        Q.twins().where(prop("a").is_in(range(51))),
        Q.twins().where(prop("a").eq(float("nan"))),
        Q.twins().where(prop("a").eq("x" * 8000)),
        Q.twins().count().top(5),
    ):
        with pytest.raises(QueryError):
            query.text()


def test_joins_and_patterns_are_formatted_too() -> None:
    for text in (
        "SELECT B, R FROM DIGITALTWINS A JOIN B RELATED A.has R JOIN C RELATED B.has WHERE A.$dtId = 'a'",
        "SELECT A, B FROM DIGITALTWINS MATCH (A)-[r:has|owns]->(B)<-[*1..3]-()-[:x*2]-(C)-[*..4]->(D) WHERE A.a = 1",
        "SELECT COUNT() FROM DIGITALTWINS MATCH (A)",
    ):
        assert format_query(parse(text)) == text
