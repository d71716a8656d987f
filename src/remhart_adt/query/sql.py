"""AST to SQLite: one statement with bound parameters over the documents of the local server.

Tables: `twins(n, id, model, doc)` and `relationships(n, id, source, name, target, doc)`; `n` is the order of creation
and the key that pages go on from; `doc` is the JSON document that the service would return.

Three values, as in the engine below the service: a comparison with a missing property, or between two JSON types, is
undefined (SQL NULL), and stays undefined under NOT. IN and NIN are undefined only when the property is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt.errors import QueryError
from remhart_adt.query import ast

__all__ = ["ModelsOf", "Statement", "project", "to_sql"]

ModelsOf = Callable[[str, bool], Collection[str]]
"""(model id, exact) -> ids of every stored model that IS_OF_MODEL accepts for it."""

_TWIN_COLUMNS: Final[dict[tuple[str, ...], str]] = {("$dtId",): "id", ("$metadata", "$model"): "model"}
_RELATIONSHIP_COLUMNS: Final[dict[tuple[str, ...], str]] = {
    ("$relationshipId",): "id",
    ("$sourceId",): "source",
    ("$relationshipName",): "name",
    ("$targetId",): "target",
}
_TABLES: Final[dict[str, tuple[str, dict[tuple[str, ...], str]]]] = {
    "DIGITALTWINS": ("twins", _TWIN_COLUMNS),
    "RELATIONSHIPS": ("relationships", _RELATIONSHIP_COLUMNS),
}
_TYPES: Final = {
    "IS_DEFINED": None,
    "IS_BOOL": "('true','false')",
    "IS_NUMBER": "('integer','real')",
    "IS_STRING": "('text')",
    "IS_OBJECT": "('object')",
    "IS_PRIMITIVE": "('text','true','false','integer','real','null')",
}
_CLASS: Final = (
    "CASE {0} WHEN 'integer' THEN 'n' WHEN 'real' THEN 'n' WHEN 'true' THEN 'b' WHEN 'false' THEN 'b' ELSE {0} END"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named parameters. Rows are `(n, doc)`, or one `(count,)` when `counts`."""

    text: str
    parameters: dict[str, Any]
    counts: bool


def to_sql(
    query: ast.Query, *, models_of: ModelsOf, after: int = 0, limit: int | None = None, suffix: str = ""
) -> Statement:
    """The statement for one page: rows with `n > after`, at most `limit` of them.

    `suffix` names a delayed copy of the tables. Raises `QueryError` for JOIN and MATCH, and for names that SQLite's
    JSON paths cannot express (a quote, a backslash or a control character).
    """
    if query.joins or query.match:
        raise QueryError("JOIN and MATCH are not compiled to SQL")
    table, columns = _TABLES[query.source.collection]
    builder = _Builder(columns, query.source.alias, models_of)
    conditions = [builder.condition(query.where)] if query.where else []
    counts = isinstance(query.select, ast.Count)
    if counts:
        where = f" WHERE {conditions[0]}" if conditions else ""
        return Statement(f"SELECT COUNT(*) FROM {table}{suffix}{where}", builder.parameters, True)
    conditions.append(f"n > {builder.bind(after)}")
    text = f"SELECT n, doc FROM {table}{suffix} WHERE {' AND '.join(f'({item})' for item in conditions)} ORDER BY n"
    if limit is not None:
        text += f" LIMIT {builder.bind(limit)}"
    return Statement(text, builder.parameters, False)


def project(query: ast.Query, document: dict[str, Any]) -> dict[str, Any]:
    """The result row of a document: `{alias: document}` for the collection, else the values that exist."""
    assert isinstance(query.select, ast.Some)
    row: dict[str, Any] = {}
    for item in query.select.items:
        names = _below(item.path, query.source.alias)
        value: Any = document
        for name in names:
            if not isinstance(value, dict) or name not in value:
                break
            value = value[name]
        else:
            row[item.key] = value
    return row


def _below(path: ast.Path, alias: str | None) -> tuple[str, ...]:
    return path.names[1:] if alias is not None and path.names[0] == alias else path.names


class _Builder:
    """Compiles conditions; equal parameters share one number."""

    def __init__(self, columns: dict[tuple[str, ...], str], alias: str | None, models_of: ModelsOf) -> None:
        self._columns = columns
        self._alias = alias
        self._models_of = models_of
        self._names: dict[tuple[type, Any], str] = {}
        self.parameters: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            value = float(value)
        name = self._names.setdefault((type(value), value), f"p{len(self._names)}")
        self.parameters[name] = value
        return f":{name}"

    def condition(self, expr: ast.Expr) -> str:
        """SQL for a condition: 1, 0 or NULL."""
        match expr:
            case ast.And(items):
                return " AND ".join(f"({self.condition(item)})" for item in items)
            case ast.Or(items):
                return " OR ".join(f"({self.condition(item)})" for item in items)
            case ast.Not(item):
                return f"NOT ({self.condition(item)})"
            case ast.Comparison(left, op, right):
                return self._comparison(left, op, right)
            case ast.InList(path, values, negated):
                return self._in_list(path, values, negated)
            case ast.TypeTest(name, path):
                return self._type_test(name, path)
            case ast.StringTest(name, path, text):
                return self._string_test(name, path, text)
            case ast.ArrayContains(path, value):
                return self._array_contains(path, value)
            case ast.IsOfModel(model, _, exact):
                if "model" not in self._columns.values():
                    raise QueryError("IS_OF_MODEL needs DIGITALTWINS", line=expr.pos.line, column=expr.pos.column)
                ids = sorted(self._models_of(model, exact))
                return f"model IN ({', '.join(self.bind(item) for item in ids)})"
        raise AssertionError(f"a condition of an unknown kind: {expr!r}")

    def _operand(self, path: ast.Path) -> tuple[str, str, bool]:
        """(value, JSON type, whether it is a column and therefore always a string) of a path, as SQL."""
        names = _below(path, self._alias)
        column = self._columns.get(names)
        if column is not None:
            return column, "'text'", True
        for name in names:
            if any(char in '"\\' or char < " " for char in name):
                raise QueryError(
                    f"a name with a quote, a backslash or a control character cannot be queried here: {name!r}",
                    line=path.pos.line,
                    column=path.pos.column,
                )
        number = self.bind("$" + "".join(f'."{name}"' for name in names))
        return f"json_extract(doc, {number})", f"json_type(doc, {number})", False

    def _comparison(self, left: ast.Path, op: ast.CompareOp, right: ast.Value | ast.Path) -> str:
        value, kind, column = self._operand(left)
        if isinstance(right, ast.Path):
            other, other_kind, _ = self._operand(right)
            same = f"{_CLASS.format(kind)} = {_CLASS.format(other_kind)}"
            equal = {"=": "1", "!=": "0", "<=": "NULL", ">=": "NULL", "<": "NULL", ">": "NULL"}[op]
            return (
                f"CASE WHEN {kind} IN ('object','array') THEN NULL WHEN {kind} = 'null' AND {other_kind} = 'null' "
                f"THEN {equal} WHEN {same} THEN {value} {op} {other} END"
            )
        literal = right.value
        if literal is None:
            if op not in ("=", "!="):
                return "NULL"
            return f"{kind} {op} 'null'"
        if column and not isinstance(literal, str):
            return "NULL"
        bound = f"{value} {op} {self.bind(int(literal) if isinstance(literal, bool) else literal)}"
        return bound if column else f"CASE WHEN {kind} IN {_types_like(literal)} THEN {bound} END"

    def _in_list(self, path: ast.Path, values: tuple[ast.Scalar, ...], negated: bool) -> str:
        value, kind, column = self._operand(path)
        if column:
            listed = ", ".join(self.bind(item) for item in values if isinstance(item, str))
            return f"{value} {'NOT ' if negated else ''}IN ({listed})"
        groups: dict[str, list[str]] = {}
        for item in values:
            group = groups.setdefault(_types_like(item), [])
            if item is not None:
                group.append(self.bind(int(item) if isinstance(item, bool) else item))
        tests = [
            f"{kind} IN {types}" + (f" AND {value} IN ({', '.join(bound)})" if bound else "")
            for types, bound in groups.items()
        ]
        test = " OR ".join(f"({item})" for item in tests)
        return f"CASE WHEN {kind} IS NOT NULL THEN {'NOT ' if negated else ''}({test}) END"

    def _type_test(self, name: ast.TypeTestName, path: ast.Path) -> str:
        _, kind, _ = self._operand(path)
        if name == "IS_NULL":
            # The documentation drops twins without a reading by NOT IS_NULL(T.Temperature), and a twin never
            # holds a JSON null: so an unset property counts as null.
            return f"COALESCE({kind}, 'null') = 'null'"
        types = _TYPES[name]
        return f"{kind} IS NOT NULL" if types is None else f"COALESCE({kind}, '') IN {types}"

    def _string_test(self, name: ast.StringTestName, path: ast.Path, text: str) -> str:
        value, kind, _ = self._operand(path)
        if not text:
            return f"CASE WHEN {kind} = 'text' THEN 1 END"
        bound = self.bind(text)
        test = {
            "CONTAINS": f"instr({value}, {bound}) > 0",
            "STARTSWITH": f"substr({value}, 1, length({bound})) = {bound}",
            "ENDSWITH": f"substr({value}, -length({bound})) = {bound}",
        }[name]
        return f"CASE WHEN {kind} = 'text' THEN {test} END"

    def _array_contains(self, path: ast.Path, value: ast.Scalar) -> str:
        array, kind, column = self._operand(path)
        if column:
            return "NULL"
        same = ""
        if value is not None:
            same = f" AND atom = {self.bind(int(value) if isinstance(value, bool) else value)}"
        test = f"EXISTS (SELECT 1 FROM json_each({array}) WHERE type IN {_types_like(value)}{same})"
        return f"CASE WHEN {kind} = 'array' THEN {test} END"


def _types_like(value: ast.Scalar) -> str:
    """The JSON types that compare with this literal, as an SQL list."""
    match value:
        case None:
            return "('null')"
        case bool():
            return "('true','false')"
        case str():
            return "('text')"
        case _:
            return "('integer','real')"
