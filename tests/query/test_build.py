"""The builder: escaped text that parses back to what was built."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.errors import QueryError
from remhart_adt.query import Pattern, Q, all_of, any_of, format_query, of_model, parse, prop
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
        Q.twins().top(-1),
        Q.twins().where(tree.And((prop("a").eq(1),))),
        Q.twins().where(prop("a").eq("\ud800")),
        Q.twins("A").join("B", "A.has").select("B"),
        Q.twins("A").join("B", "A.has").where(prop("A.$dtId").eq("a")),
        Q.match(Pattern.at("A").out(hops=11)).where(prop("A.$dtId").eq("a")).select("A"),
        Q.match(Pattern.at("A")).where(prop("B.$dtId").eq("a")).select("A"),
    ):
        with pytest.raises(QueryError):
            query.text()


def test_joins_and_patterns_read_as_they_were_composed() -> None:
    joined = (
        Q.twins("A")
        .join("B", "A.has", "R")
        .join("C", prop("B", "fed by"))
        .where(prop("A.$dtId").is_in(["a", "b"]), prop("R.open").eq(False))
        .select("B", c="C.name")
    )
    assert joined.text() == (
        "SELECT B, C.name AS c FROM DIGITALTWINS A JOIN B RELATED A.has R JOIN C RELATED B.[[fed by]] "
        "WHERE A.$dtId IN ['a', 'b'] AND R.open = false"
    )
    pattern = (
        Pattern.at("A").out("has", "owns", to="B", variable="r").back(hops=2).either("near", to="C", hops=(None, 3))
    )
    matched = Q.match(pattern).where(prop("A.$dtId").eq("a")).count()
    assert matched.text() == (
        "SELECT COUNT() FROM DIGITALTWINS MATCH (A)-[r:has|owns]->(B)<-[*2]-()-[:near*..3]-(C) WHERE A.$dtId = 'a'"
    )
    for composed in (joined, matched):
        assert parse(composed.text()) == composed.query


@pytest.mark.parametrize("along", ["has", "A.b.c"])
def test_a_join_goes_along_a_relationship_of_a_collection(along: str) -> None:
    with pytest.raises(QueryError, match="goes along source"):
        Q.twins("A").join("B", along)


def test_not_may_be_written_as_often_as_there_is_room() -> None:
    condition = prop("a").eq(1)
    for _ in range(1300):
        condition = ~condition
    assert Q.twins().where(condition).text().count("NOT ") == 1300
    assert format_query(parse("SELECT * FROM DIGITALTWINS WHERE NOT (NOT a = 1)")).endswith("NOT (NOT a = 1)")


def test_a_number_too_large_for_a_double_is_read_and_written_alike() -> None:
    for text in ("a < 1e999", "a > -1e999"):
        assert format_query(parse(f"SELECT * FROM DIGITALTWINS WHERE {text}")).endswith(text)


def test_joins_and_patterns_are_formatted_too() -> None:
    for text in (
        "SELECT B, R FROM DIGITALTWINS A JOIN B RELATED A.has R JOIN C RELATED B.has WHERE A.$dtId = 'a'",
        "SELECT A FROM DIGITALTWINS MATCH (A)-[r:has|owns]->(B)<-[*1..3]-()-[:x*2]-(C)-[*..4]->(D) WHERE D.$dtId = 'd'",
        "SELECT COUNT() FROM DIGITALTWINS MATCH ([[A B]]) WHERE [[A B]].$dtId IN ['a']",
    ):
        assert format_query(parse(text)) == text
