"""The grammar: what is in the language, what is not, where it broke, and the published limits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remhart_adt.errors import QueryError
from remhart_adt.query import Path, parse
from remhart_adt.query import ast as tree

# Queries of the public documentation, one of each form; JOIN and MATCH among them.
DOCUMENTED = [
    "SELECT * FROM DIGITALTWINS",
    "SELECT * FROM DIGITALTWINS T",
    "SELECT T FROM DIGITALTWINS T",
    "SELECT COUNT() FROM DIGITALTWINS c WHERE IS_OF_MODEL('dtmi:sample:Room;1') AND c.Capacity > 20",
    "SELECT TOP (5) FROM DIGITALTWINS WHERE T.x > 1",
    "SELECT TOP(50) twin FROM DIGITALTWINS twin WHERE CONTAINS(twin.$dtId,'test') OR CONTAINS(twin.name,'test')",
    "SELECT $dtId, name FROM DIGITALTWINS WHERE STARTSWITH(name, 'foo')",
    "SELECT * FROM DIGITALTWINS T WHERE T.firmwareVersion = '1.1' AND T.$dtId in ['123', '456'] AND T.Temperature = 70",
    "SELECT * FROM DIGITALTWINS WHERE Name = 'D\\'Souza'",
    "SELECT * FROM DIGITALTWINS WHERE NOT IS_DEFINED(tags.red) AND IS_DEFINED(tags.round)",
    "SELECT * FROM DIGITALTWINS T WHERE IS_BOOL( HasTemperature ) AND HasTemperature != false",
    "SELECT * FROM DIGITALTWINS WHERE IS_OBJECT( MapObject ) AND NOT IS_DEFINED ( MapObject.TemperatureReading )",
    "SELECT * FROM DIGITALTWINS WHERE [[Group]] = 'BravoTeam'",
    "SELECT * FROM DIGITALTWINS DT WHERE IS_OF_MODEL(DT, 'dtmi:example:thing;1', exact)",
    "SELECT * FROM DIGITALTWINS DT WHERE NOT DT.Temperature <= 80",
    "SELECT * FROM DIGITALTWINS DT WHERE DT.owner NIN ['John', 'Anil', 'Bailey', 'Alex']",
    "SELECT $sourceId, $targetId FROM relationships WHERE $sourceId IN ['s1','s2'] AND $relationshipName = 'next'",
    "SELECT T.name FROM DIGITALTWINS T WHERE ARRAY_CONTAINS (T.floor_number, 2)",
    (
        "SELECT Room FROM DIGITALTWINS Floor JOIN Room RELATED Floor.contains WHERE Floor.$dtId = 'f' "
        "AND Room. Temperature > 72 AND IS_OF_MODEL(Room, 'dtmi:com:contoso:Room;1')"
    ),
    (
        "SELECT Consumer.name AS consumerName, Factory FROM DIGITALTWINS Factory "
        "JOIN Consumer RELATED Factory.customer Edge WHERE Factory.$dtId = 'ABC' AND Edge.prop1 = 1"
    ),
    (
        "SELECT COUNT() FROM DIGITALTWINS Room JOIN LightPanel RELATED Room.contains "
        "JOIN LightBulb RELATED LightPanel.contains WHERE IS_OF_MODEL(LightBulb, 'dtmi:x;1') AND Room.$dtId IN ['r']"
    ),
    "SELECT Building, Sensor FROM DIGITALTWINS MATCH (Building)-[]->(Sensor) WHERE Building.$dtId = 'B'",
    (
        "SELECT Floor, Room FROM DIGITALTWINS MATCH (Floor)-[:contains|isAssociatedWith*3..5]->(Room) "
        "WHERE Floor.$dtId = 'x'"
    ),
    (
        "SELECT Floor, Room, Building FROM DIGITALTWINS MATCH (Building)-[r1:isAssociatedWith]->(Floor)"
        "<-[r2:isAssociatedWith]-(Room) WHERE Building.$dtId = 'b' AND Room.temperature > 50 AND r1.length = 10"
    ),
]


@pytest.mark.parametrize("text", DOCUMENTED)
def test_documented_queries_are_in_the_language(text: str) -> None:
    parse(text)
    assert parse(text.replace(" ", "\n\t ")) == parse(text)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("foo", 0, "missing SELECT at 'foo'"),
        ("", 0, "missing SELECT at <EOF>"),
        ("SELECT *", 8, "missing FROM at <EOF>"),
        ("SELECT * FROM ROOMS", 14, "mismatched input 'ROOMS' expecting {DIGITALTWINS, RELATIONSHIPS}"),
        ("SELECT * FROM DIGITALTWINS WHERE a", 34, "mismatched input <EOF> expecting"),
        ("SELECT * FROM (SELECT * FROM DIGITALTWINS T)", 14, "mismatched input '('"),
        ("SELECT * FROM DIGITALTWINS ORDER BY name", 27, "reserved word"),
        ("SELECT * FROM DIGITALTWINS WHERE Group = 1", 33, "write [[Group]]"),
        ("SELECT COUNT(a) FROM DIGITALTWINS", 13, "'a'"),
        ("SELECT a FROM DIGITALTWINS WHERE a LIKE 'x%'", 35, "'LIKE'"),
        ("SELECT * FROM DIGITALTWINS WHERE a + 1 = 2", 35, "'+'"),
        ("SELECT * FROM DIGITALTWINS WHERE a[0] = 2", 34, "'['"),
        ("SELECT * FROM DIGITALTWINS WHERE a IN []", 39, "']'"),
        ("SELECT * FROM DIGITALTWINS WHERE a IN ('x')", 38, "'('"),
        ("SELECT * FROM DIGITALTWINS WHERE a = 'x", 37, '"\'"' if False else "'''"),
        ("SELECT * FROM DIGITALTWINS WHERE 5 < a", 33, "'5'"),
        ("SELECT * FROM DIGITALTWINS WHERE IS_OF_MODEL(X, 'dtmi:a;1')", 33, "no collection is called 'X'"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)<-[]->(B) WHERE A.$dtId='a'", 36, "one direction"),
        ("SELECT * FROM DIGITALTWINS A JOIN B RELATED A.r", 7, "SELECT * is not allowed"),
        ("SELECT B FROM RELATIONSHIPS A JOIN B RELATED A.r", 30, "cannot be joined"),
        ("SELECT A FROM RELATIONSHIPS MATCH (A)", 28, "cannot be matched"),
        ("SELECT A FROM DIGITALTWINS T MATCH (A)", 14, "the names stand in the pattern"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[r*2]->(B) WHERE A.$dtId='a'", 36, "exactly one hop"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[*3..3]->(B) WHERE A.$dtId='a'", 36, "no number of hops"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[*0]->(B) WHERE A.$dtId='a'", 36, "no number of hops"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[]-(A) WHERE A.$dtId='a'", 41, "'A' is declared twice"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[A]-(B) WHERE A.$dtId='a'", 36, "'A' is declared twice"),
        ("SELECT A FROM DIGITALTWINS A JOIN A RELATED A.r WHERE A.$dtId='a'", 29, "'A' is declared twice"),
        ("SELECT A FROM DIGITALTWINS A JOIN B RELATED C.r WHERE A.$dtId='a'", 29, "no collection is called 'C'"),
        ("SELECT A FROM DIGITALTWINS A JOIN B RELATED A.r R JOIN C RELATED R.r", 50, "'R' is a relationship"),
        ("SELECT X.a FROM DIGITALTWINS A JOIN B RELATED A.r WHERE A.$dtId='a'", 7, "no collection is called 'X'"),
        ("SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r WHERE A.$dtId='a' AND b=1", 70, "collection is called 'b'"),
        ("SELECT B FROM DIGITALTWINS MATCH (A)-[]-(B) WHERE A.$dtId='a' AND A.x=C.x", 70, "collection is called 'C'"),
        ("SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r WHERE IS_OF_MODEL('dtmi:a;1')", 54, "needs the collection"),
        ("SELECT * FROM RELATIONSHIPS R WHERE IS_OF_MODEL(R, 'dtmi:a;1')", 36, "relationships have no model"),
        (
            "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r JOIN C RELATED B.r WHERE A.$dtId='a' AND r.x=1",
            89,
            "more than one JOIN",
        ),
    ],
)
def test_what_is_not_in_the_language_says_where_and_what(text: str, column: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert message in caught.value.what
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT DISTINCT a FROM DIGITALTWINS",
        "SELECT COUNT(), a FROM DIGITALTWINS",
        "SELECT * , a FROM DIGITALTWINS",
        "SELECT TOP(3) COUNT() FROM DIGITALTWINS",
        "SELECT TOP FROM DIGITALTWINS",
        "SELECT TOP() FROM DIGITALTWINS",
        "SELECT TOP(-1) FROM DIGITALTWINS",
        "SELECT TOP(1.5) FROM DIGITALTWINS",
        "SELECT TOP(9999999999) FROM DIGITALTWINS",
        "SELECT SUM(a) FROM DIGITALTWINS",
        "SELECT AVG(a) FROM DIGITALTWINS",
        "SELECT COUNT(*) FROM DIGITALTWINS",
        "SELECT a + b FROM DIGITALTWINS",
        "SELECT LOWER(a) FROM DIGITALTWINS",
        "SELECT FROM DIGITALTWINS",
        "SELECT a, FROM DIGITALTWINS",
        "SELECT * FROM DIGITALTWINS, RELATIONSHIPS",
        "SELECT * FROM DIGITALTWINS A, DIGITALTWINS B",
        "SELECT * FROM twins",
        "SELECT * FROM DIGITALTWINS GROUP BY a",
        "SELECT * FROM DIGITALTWINS OFFSET 5",
        "SELECT * FROM DIGITALTWINS LIMIT 5",
        "SELECT * FROM DIGITALTWINS HAVING a = 1",
        "SELECT * FROM DIGITALTWINS UNION SELECT * FROM DIGITALTWINS",
        "SELECT * FROM DIGITALTWINS WHERE",
        "SELECT * FROM DIGITALTWINS WHERE a = 1;",
        "SELECT * FROM DIGITALTWINS -- all",
        "SELECT B FROM DIGITALTWINS A LEFT JOIN B RELATED A.r WHERE A.$dtId = 'a'",
        "SELECT B FROM DIGITALTWINS A OUTER JOIN B",
        "SELECT B FROM DIGITALTWINS A JOIN B ON A.r = B.r WHERE A.$dtId = 'a'",
        "SELECT B FROM DIGITALTWINS A JOIN B RELATED r",
        "SELECT A FROM DIGITALTWINS MATCH (A)-[]->(B) MATCH (B)-[]->(C) WHERE A.$dtId = 'a'",
        "SELECT A FROM DIGITALTWINS A JOIN B RELATED A.r MATCH (B)-[]->(C) WHERE A.$dtId = 'a'",
    ],
)
def test_forms_that_the_service_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


@pytest.mark.parametrize(
    "condition",
    [
        "a LIKE 'x%'",
        "a NOT IN [1]",
        "a BETWEEN 1 AND 2",
        "a IS NULL",
        "a == 1",
        "a <> 1",
        "a = @x",
        "a = ?",
        "a = x'00'",
        "a = 'it''s'",
        'a = "x"',
        "a = 0x10",
        "a = .5",
        "a = +1",
        "a = 1.",
        "a = NaN()",
        "a",
        "NOT a",
        "a AND b",
        "a = b = c",
        "LOWER(a) = 'x'",
        "MAX(a) = 1",
        "a * 2 = 4",
        "a[0] = 1",
        "a.b[0].c = 1",
        "a..b = 1",
        ".a = 1",
        "a. = 1",
        "[[]] = 1",
        "IS_DEFINED('a')",
        "IS_DEFINED(a, b)",
        "IS_DEFINED()",
        "IS_NULL a",
        "STARTSWITH(a)",
        "STARTSWITH(a, 5)",
        "STARTSWITH(a, b)",
        "STARTSWITH('x', a)",
        "ARRAY_CONTAINS(a)",
        "ARRAY_CONTAINS(a, b)",
        "ARRAY_CONTAINS(a, [1])",
        "CONTAINS(a, 'x') = true",
        "IS_OF_MODEL()",
        "IS_OF_MODEL(a)",
        "IS_OF_MODEL('dtmi:a;1', 'exact')",
        "IS_OF_MODEL('dtmi:a;1', inexact)",
        "EXISTS (SELECT *)",
        "a IN [b]",
        "a IN [[1]]",
        "a IN [1,]",
        "a IN 'x'",
        "a NIN []",
        "(a = 1",
        "a = 1)",
        "()",
        "a = (1)",
        "a = -",
        "a = [1]",
        "a = {}",
    ],
)
def test_conditions_that_the_service_does_not_have_are_refused(condition: str) -> None:
    with pytest.raises(QueryError):
        parse(f"SELECT * FROM DIGITALTWINS WHERE {condition}")


def test_lines_count_from_one_and_columns_from_zero() -> None:
    with pytest.raises(QueryError) as caught:
        parse("SELECT *\nFROM DIGITALTWINS\n  WHERE ?")
    assert (caught.value.line, caught.value.column) == (3, 8)


def test_nodes_know_where_they_stood() -> None:
    where = parse("SELECT * FROM DIGITALTWINS\nWHERE a.b = 1").where
    assert isinstance(where, tree.Comparison)
    assert where.left.pos == tree.Pos(2, 6)


def test_not_binds_tighter_than_and_and_and_than_or() -> None:
    def a(name: str) -> tree.Expr:
        return tree.TypeTest("IS_DEFINED", Path((name,)))

    where = parse(
        "SELECT * FROM DIGITALTWINS WHERE NOT IS_DEFINED(a) AND IS_DEFINED(b) OR IS_DEFINED(c) AND IS_DEFINED(d)"
    ).where
    assert where == (~a("a") & a("b")) | (a("c") & a("d"))


def test_keywords_have_no_case_and_names_do() -> None:
    upper = parse("SELECT COUNT() FROM DIGITALTWINS T WHERE T.a = TRUE AND NOT IS_OF_MODEL(T, 'dtmi:a;1', EXACT)")
    lower = parse("select count() from digitaltwins T where T.a = true and not is_of_model(T, 'dtmi:a;1', exact)")
    assert upper == lower
    assert parse("SELECT a FROM DIGITALTWINS") != parse("SELECT A FROM DIGITALTWINS")


def test_function_names_are_names_where_no_parenthesis_follows() -> None:
    where = parse("SELECT * FROM DIGITALTWINS T WHERE T.contains.match = 1 AND contains = 2 AND related.join = 3").where
    assert isinstance(where, tree.And)


def test_strings_know_two_escapes_only() -> None:
    where = parse(r"SELECT * FROM DIGITALTWINS WHERE a = 'it\'s \\ \n'").where
    assert isinstance(where, tree.Comparison)
    assert where.right == tree.Value("it's \\ \\n")


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ("a = 1" + " AND a = 1" * 50, "a = 1" + " AND a = 1" * 51),
        ("a = 1" + " OR a = 1 AND b = 2" * 25, "a = 1" + " OR a = 1 AND b = 2" * 26),
        (f"a IN [{','.join('1' * 50)}]", f"a IN [{','.join('1' * 51)}]"),
    ],
)
def test_published_limits_of_a_condition(within: str, beyond: str) -> None:
    parse(f"SELECT * FROM DIGITALTWINS WHERE {within}")
    with pytest.raises(QueryError, match="at most"):
        parse(f"SELECT * FROM DIGITALTWINS WHERE {beyond}")


def test_published_limits_of_a_query() -> None:
    joins = "".join(f" JOIN B{n + 1} RELATED B{n}.r" for n in range(6))
    with pytest.raises(QueryError, match="at most 5 JOINs"):
        parse(f"SELECT B1 FROM DIGITALTWINS B0{joins}")
    for pattern in ("(A)-[*10]->(B)", "(A)-[*..9]->(B)-[]-()", "(A)" + "-[]-()" * 10):
        parse(f"SELECT A FROM DIGITALTWINS MATCH {pattern} WHERE A.$dtId = 'a'")
    for pattern in ("(A)-[*1..11]->(B)", "(A)-[*..9]->(B)-[*2]-()", "(A)" + "-[]-()" * 11):
        with pytest.raises(QueryError, match="at most 10 hops"):
            parse(f"SELECT A FROM DIGITALTWINS MATCH {pattern} WHERE A.$dtId = 'a'")
    text = "SELECT * FROM DIGITALTWINS WHERE a = '" + "x" * 7961 + "'"
    assert len(text) == 8000
    parse(text)
    with pytest.raises(QueryError, match="8000"):
        parse(text + " ")


@pytest.mark.parametrize(
    "where",
    [
        "",
        "WHERE A.x = 1",
        "WHERE NOT A.$dtId = 'a'",
        "WHERE A.$dtId != 'a'",
        "WHERE A.$dtId NIN ['a']",
        "WHERE A.$dtId = 'a' OR A.x = 1",
        "WHERE A.$dtId = 'a' OR B.$dtId = 'b'",
        "WHERE A.$dtId = B.name",
        "WHERE STARTSWITH(A.$dtId, 'a')",
        "WHERE R.$sourceId = 'a'",
        "WHERE A.x.$dtId = 'a'",
    ],
)
def test_join_and_match_need_a_twin_named_by_its_id(where: str) -> None:
    for graph in ("A JOIN B RELATED A.r R", "MATCH (A)-[R:r]->(B)"):
        with pytest.raises(QueryError, match="WHERE must name a twin by \\$dtId") as caught:
            parse(f"SELECT B FROM DIGITALTWINS {graph} {where}")
        assert (caught.value.line, caught.value.column) == (1, 29 if "JOIN" in graph else 27)


@pytest.mark.parametrize(
    "where",
    [
        "A.$dtId = 'a'",
        "B.$dtId IN ['a', 'b'] AND A.x = 1",
        "A.x = 1 AND (B.x = 1 AND B.$dtId = 'b')",
        "A.$dtId = 'a' OR A.$dtId IN ['b']",
        "(A.$dtId = 'a' AND R.x = 1 OR A.$dtId = 'b') AND NOT A.$dtId = 'c'",
    ],
)
def test_a_twin_is_named_wherever_all_of_the_condition_depends_on_it(where: str) -> None:
    for graph in ("A JOIN B RELATED A.r R", "MATCH (A)-[R:r]->(B)"):
        parse(f"SELECT B FROM DIGITALTWINS {graph} WHERE {where}")


def test_not_nests_as_deep_as_the_text_allows() -> None:
    depth = 1300
    where = parse("SELECT * FROM DIGITALTWINS WHERE " + "NOT (" * depth + "a = 1" + ")" * depth).where
    for _ in range(depth):
        assert isinstance(where, tree.Not)
        where = where.item
    assert isinstance(where, tree.Comparison)


def test_half_a_character_is_refused_where_it_stands() -> None:
    with pytest.raises(QueryError, match="U\\+D83D") as caught:
        parse("SELECT *\nFROM DIGITALTWINS WHERE a = '\ud83d'")
    assert (caught.value.line, caught.value.column) == (2, 29)


@pytest.mark.parametrize(
    "text", ["\u017fELECT * FROM DIGITALTWINS", "SELECT * FROM DIGITALTWINS WHERE \u0131S_NULL(a)"]
)
def test_only_ascii_letters_have_a_case(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


def test_parentheses_nest_as_deep_as_the_text_allows() -> None:
    parse("SELECT * FROM DIGITALTWINS WHERE " + "(" * 3900 + "a = 1" + ")" * 3900)


@given(st.text(max_size=60))
@example("SELECT * FROM DIGITALTWINS WHERE \x00")
@example("SELECT * FROM DIGITALTWINS WHERE [[")
@example("SELECT * FROM DIGITALTWINS WHERE a = 9" + "9" * 5000)
def test_any_text_parses_or_raises_query_error(text: str) -> None:
    for candidate in (text, f"SELECT * FROM DIGITALTWINS WHERE {text}"):
        with contextlib.suppress(QueryError):
            parse(candidate)
