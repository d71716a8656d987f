"""The compiled SQL against a naive evaluator of the AST, on generated documents and conditions.

Three values: True, False, and None for a comparison with nothing to compare.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remhart_adt.errors import QueryError
from remhart_adt.query import ast, format_query, parse, project, to_sql

MISSING: Any = object()
MODELS = {"dtmi:m:A;1": ["dtmi:m:A;1", "dtmi:m:A;2", "dtmi:m:B;1"], "dtmi:m:B;1": ["dtmi:m:B;1"]}


def models_of(model: str, exact: bool) -> list[str]:
    return [model] if exact else MODELS.get(model, [])


# --- the naive evaluator


def kind_of(value: Any) -> str:
    if value is MISSING:
        return "missing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {"str": "string", "dict": "object", "list": "array"}[type(value).__name__]


def look_up(path: ast.Path, document: dict[str, Any], alias: str | None) -> Any:
    names = path.names[1:] if alias and path.names[0] == alias else path.names
    value: Any = document
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def compare(left: Any, op: str, right: Any, *, literal: bool = True) -> bool | None:
    """Two values; with the literal null also a value of another type is known to differ."""
    kinds = {kind_of(left), kind_of(right)}
    if "missing" in kinds:
        return None
    if right is None and (literal or left is None):
        return {"=": left is None, "!=": left is not None}.get(op)
    if len(kinds) > 1 or kinds & {"object", "array"}:
        return None
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[op]


def evaluate(expr: ast.Expr, document: dict[str, Any], alias: str | None) -> bool | None:
    match expr:
        case ast.And(items):
            values = [evaluate(item, document, alias) for item in items]
            return False if False in values else None if None in values else True
        case ast.Or(items):
            values = [evaluate(item, document, alias) for item in items]
            return True if True in values else None if None in values else False
        case ast.Not(item):
            value = evaluate(item, document, alias)
            return None if value is None else not value
        case ast.Comparison(left, op, right):
            value = look_up(left, document, alias)
            if isinstance(right, ast.Path):
                return compare(value, op, look_up(right, document, alias), literal=False)
            return compare(value, op, right.value)
        case ast.InList(path, values, negated):
            value = look_up(path, document, alias)
            if value is MISSING:
                return None
            found = any(compare(value, "=", item) is True for item in values)
            return found is not negated
        case ast.TypeTest(name, path):
            kind = kind_of(look_up(path, document, alias))
            return {
                "IS_DEFINED": kind != "missing",
                "IS_NULL": kind in ("missing", "null"),
                "IS_BOOL": kind == "bool",
                "IS_NUMBER": kind == "number",
                "IS_STRING": kind == "string",
                "IS_OBJECT": kind == "object",
                "IS_PRIMITIVE": kind in ("bool", "number", "string", "null"),
            }[name]
        case ast.StringTest(name, path, text):
            value = look_up(path, document, alias)
            if not isinstance(value, str):
                return None
            return {"STARTSWITH": value.startswith, "ENDSWITH": value.endswith, "CONTAINS": value.__contains__}[name](
                text
            )
        case ast.ArrayContains(path, wanted):
            value = look_up(path, document, alias)
            if not isinstance(value, list):
                return None
            return any(kind_of(item) == kind_of(wanted) and item == wanted for item in value)
        case ast.IsOfModel(model, _, exact):
            return document["$metadata"]["$model"] in models_of(model, exact)
    raise AssertionError(expr)


# --- what is generated

NAMES = ["a", "b", "c", "name", "Group"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5, 2.0, 1e300]),
    st.sampled_from(["", "a", "ab", "b", "A", "ä", "it's", "back\\slash", "1", "true"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.dictionaries(st.sampled_from(NAMES), inner, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=6,
)
documents = st.builds(
    lambda number, model, body: {"$dtId": f"t{number}", **body, "$metadata": {"$model": model}},
    st.integers(0, 9),
    st.sampled_from(["dtmi:m:A;1", "dtmi:m:A;2", "dtmi:m:B;1", "dtmi:m:C;1"]),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
)
plain_paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
special_paths = st.sampled_from([("$dtId",), ("$metadata", "$model"), ("$metadata",), ("$metadata", "none")])
paths = st.builds(
    lambda names, qualified: ast.Path(("T", *names) if qualified else names),
    st.one_of(plain_paths, special_paths),
    st.booleans(),
)
texts = st.sampled_from(["", "a", "b", "ab", "t", "t1", "dtmi:m:A", ";1", "'", "\\"])
leaves = st.one_of(
    st.builds(
        ast.Comparison,
        paths,
        st.sampled_from(["=", "!=", "<", ">", "<=", ">="]),
        st.one_of(scalars.map(ast.Value), st.sampled_from(["t1", "dtmi:m:A;2"]).map(ast.Value), paths),
    ),
    st.builds(
        ast.InList,
        paths,
        st.lists(st.one_of(scalars, st.sampled_from(["t1", "t2"])), min_size=1, max_size=4).map(tuple),
        st.booleans(),
    ),
    st.builds(
        ast.TypeTest,
        st.sampled_from(["IS_DEFINED", "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_OBJECT", "IS_PRIMITIVE"]),
        paths,
    ),
    st.builds(ast.StringTest, st.sampled_from(["STARTSWITH", "ENDSWITH", "CONTAINS"]), paths, texts),
    st.builds(ast.ArrayContains, paths, scalars),
    st.builds(ast.IsOfModel, st.sampled_from(list(MODELS)), st.sampled_from([None, "T"]), st.booleans()),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda items: _flat(ast.And, items)),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: _flat(ast.Or, items)),
        inner.map(ast.Not),
    ),
    max_leaves=6,
)


def _flat(kind: Any, items: list[ast.Expr]) -> ast.Expr:
    return kind(tuple(part for item in items for part in (item.items if isinstance(item, kind) else (item,))))


def database(docs: list[dict[str, Any]]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE twins(n INTEGER PRIMARY KEY, id TEXT, model TEXT, doc TEXT)")
    for doc in docs:
        row = (doc["$dtId"], doc["$metadata"]["$model"], json.dumps(doc, ensure_ascii=False))
        db.execute("INSERT INTO twins(id, model, doc) VALUES(?,?,?)", row)
    return db


@settings(max_examples=300, deadline=None)
@given(st.lists(documents, min_size=1, max_size=6), conditions)
def test_sql_selects_what_the_naive_evaluator_selects(docs: list[dict[str, Any]], condition: ast.Expr) -> None:
    query = parse(format_query(ast.Query(ast.Star(), ast.Source("DIGITALTWINS", "T"), condition)))
    assert query.where == condition
    db = database(docs)
    statement = to_sql(query, models_of=models_of)
    selected = [json.loads(doc) for _, doc in db.execute(statement.text, statement.parameters)]
    counted = to_sql(ast.Query(ast.Count(), query.source, condition), models_of=models_of)
    [[count]] = db.execute(counted.text, counted.parameters).fetchall()
    db.close()

    expected = [doc for doc in docs if evaluate(condition, doc, "T") is True]

    assert selected == expected
    assert count == len(expected)


def test_pages_go_on_after_a_row_and_stop_at_the_limit() -> None:
    db = database([{"$dtId": f"t{n}", "$metadata": {"$model": "m"}} for n in range(7)])
    query = parse("SELECT * FROM DIGITALTWINS")
    statement = to_sql(query, models_of=models_of, after=3, limit=2)
    rows = db.execute(statement.text, statement.parameters).fetchall()
    db.close()
    assert [n for n, _ in rows] == [4, 5]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("SELECT * FROM DIGITALTWINS T WHERE T.$dtId = 'x' AND T.a > 1", "by_id"),
        ("SELECT * FROM DIGITALTWINS WHERE $dtId IN ['x', 'y']", "by_id"),
        ("SELECT COUNT() FROM DIGITALTWINS WHERE IS_OF_MODEL('dtmi:m:A;1')", "by_model"),
        ("SELECT COUNT() FROM DIGITALTWINS WHERE $metadata.$model = 'dtmi:m:A;1'", "by_model"),
    ],
)
def test_ids_and_models_are_found_by_index(text: str, index: str) -> None:
    db = database([])
    db.execute("CREATE UNIQUE INDEX by_id ON twins(id)")
    db.execute("CREATE INDEX by_model ON twins(model)")
    statement = to_sql(parse(text), models_of=models_of)
    plan = str(db.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).fetchall())
    db.close()
    assert index in plan


def test_projection_keeps_what_exists_under_its_last_name_or_alias() -> None:
    query = parse("SELECT T, T.a.b AS x, T.a, c FROM DIGITALTWINS T")
    assert project(query, {"a": {"b": 1}}) == {"T": {"a": {"b": 1}}, "x": 1, "a": {"b": 1}}
    assert project(parse("SELECT a.b.c FROM DIGITALTWINS"), {"a": {"b": "text"}}) == {}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_names_that_sqlite_paths_cannot_express_are_refused(name: str) -> None:
    query = ast.Query(ast.Star(), where=ast.TypeTest("IS_DEFINED", ast.Path((name,))))
    with pytest.raises(QueryError):
        to_sql(query, models_of=models_of)


def test_values_are_bound_never_pasted() -> None:
    text = "SELECT * FROM DIGITALTWINS WHERE a = '\\'); DROP TABLE twins; --' AND [[x'); --]] = 1"
    statement = to_sql(parse(text), models_of=models_of)
    assert "DROP" not in statement.text
    assert "--" not in statement.text
    db = database([{"$dtId": "t", "$metadata": {"$model": "m"}}])
    assert db.execute(statement.text, statement.parameters).fetchall() == []
    db.close()


def test_join_and_match_are_not_compiled_and_relationships_have_no_model() -> None:
    for text in (
        "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.r WHERE A.$dtId = 'a'",
        "SELECT A FROM DIGITALTWINS MATCH (A)-[]->(B) WHERE A.$dtId = 'a'",
        "SELECT * FROM RELATIONSHIPS WHERE IS_OF_MODEL('dtmi:m:A;1')",
    ):
        with pytest.raises(QueryError):
            to_sql(parse(text), models_of=models_of)


def test_numbers_beyond_64_bits_compare_as_real_numbers() -> None:
    db = database([{"$dtId": "t", "a": 1, "$metadata": {"$model": "m"}}])
    for text, found in (("a < 99999999999999999999", 1), ("a > 99999999999999999999", 0), ("a < 1e999", 1)):
        statement = to_sql(parse(f"SELECT COUNT() FROM DIGITALTWINS WHERE {text}"), models_of=models_of)
        assert db.execute(statement.text, statement.parameters).fetchone() == (found,)
    db.close()
