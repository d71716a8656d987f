"""Conditions as SQL: 1, 0 or NULL.

Three-valued logic throughout: a comparison with a missing property, or between values of different JSON types, is
undefined (SQL NULL), and stays undefined under NOT. IN and NIN are undefined only when the property is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection as CollectionOf
from typing import Final

from remhart_adt.query import ast
from remhart_adt.query.scope import Member, Scope
from remhart_adt.query.sql.values import Binder, Operand, encoded, operand

__all__ = ["Conditions", "ModelsOf", "conjuncts", "members_of"]

ModelsOf = Callable[[str, bool], CollectionOf[str]]
"""(model id, exact) -> ids of every stored model that IS_OF_MODEL accepts for it."""

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


def conjuncts(where: ast.Expr | None) -> tuple[ast.Expr, ...]:
    """The conditions that all have to hold."""
    if isinstance(where, ast.And):
        return tuple(part for item in where.items for part in conjuncts(item))
    return () if where is None else (where,)


def members_of(expr: ast.Expr, scope: Scope) -> frozenset[Member]:
    """The collections that a condition speaks of."""
    found: set[Member] = set()
    todo = [expr]
    while todo:
        match item := todo.pop():
            case ast.And(items) | ast.Or(items):
                todo += items
            case ast.Not(inner):
                todo.append(inner)
            case ast.Comparison(left, _, right):
                found.add(scope.resolve(left)[0])
                if isinstance(right, ast.Path):
                    found.add(scope.resolve(right)[0])
            case ast.InList(path) | ast.TypeTest(_, path) | ast.StringTest(_, path) | ast.ArrayContains(path):
                found.add(scope.resolve(path)[0])
            case ast.IsOfModel():
                found.add(scope.of_model(item))
    return frozenset(found)


class Conditions:
    """Compiles the conditions of one query; tables are called by their members' keys.

    With one collection, the index of a column serves what is equal: its rows come in the order of their numbers. Those
    of a range do not, and would be sorted for every page anew; and JOIN and MATCH have a way of their own.
    """

    def __init__(self, scope: Scope, models_of: ModelsOf, bind: Binder) -> None:
        self._scope = scope
        self._models_of = models_of
        self._bind = bind

    def sql(self, expr: ast.Expr) -> str:
        """SQL for a condition."""
        return self._nested(expr, False)[0]

    def _nested(self, expr: ast.Expr, negated: bool, within: str = "OR") -> tuple[str, int]:
        """(SQL that may stand `within` AND or OR, levels of parentheses in it).

        SQLite's parser keeps what stands open on a stack of 100 symbols. NOT is moved down to single conditions, only
        an OR within AND has parentheses, and of several items the one with most levels stands first: there nothing is
        open but its own.
        """
        while isinstance(expr, ast.Not):  # NOT may nest as deep as a query is long; twice is not at all
            expr, negated = expr.item, not negated
        if isinstance(expr, ast.And | ast.Or):
            word = "AND" if isinstance(expr, ast.And) is not negated else "OR"
            items = sorted((self._nested(item, negated, word) for item in expr.items), key=lambda one: -one[1])
            text, levels = f" {word} ".join(one for one, _ in items), items[0][1]
            return (f"({text})", levels + 1) if (word, within) == ("OR", "AND") else (text, levels)
        text = self._single(expr)
        return f"NOT ({text})" if negated else text, 0

    def _single(self, expr: ast.Expr) -> str:
        match expr:
            case ast.Comparison(left, op, right):
                if isinstance(right, ast.Path):
                    return self._compare_paths(left, op, right)
                return self._compare(left, op, right.value)
            case ast.InList(path, values, negated):
                return self._in_list(path, values, negated)
            case ast.TypeTest(name, path):
                return self._type_test(name, path)
            case ast.StringTest(name, path, text):
                return self._string_test(name, path, text)
            case ast.ArrayContains(path, value):
                return self._array_contains(path, value)
            case ast.IsOfModel(model, _, exact):
                ids = sorted(self._models_of(model, exact))
                model_of = operand(self._scope.of_model(expr), ("$metadata", "$model"), self._bind)
                return f"{self._served(model_of)} IN ({self._bind.listed(ids)})"
        raise AssertionError(f"a condition of an unknown kind: {expr!r}")

    def _operand(self, path: ast.Path) -> Operand:
        member, names = self._scope.resolve(path)
        return operand(member, names, self._bind)

    def _served(self, one: Operand) -> str:
        return one.column if self._scope.single is not None else one.text

    def _compare_paths(self, left: ast.Path, op: ast.CompareOp, right: ast.Path) -> str:
        one, other = self._operand(left), self._operand(right)
        nulls = {"=": "1", "!=": "0"}.get(op, "NULL")
        same = f"{_CLASS.format(one.kind)} = {_CLASS.format(other.kind)}"
        return (
            f"CASE WHEN {one.kind} IN ('object','array') THEN NULL "
            f"WHEN {one.kind} = 'null' AND {other.kind} = 'null' THEN {nulls} "
            f"WHEN {one.kind} = 'text' AND {other.kind} = 'text' THEN {one.text} {op} {other.text} "
            f"WHEN {same} THEN {one.value} {op} {other.value} END"
        )

    def _compare(self, left: ast.Path, op: ast.CompareOp, literal: ast.Scalar) -> str:
        one = self._operand(left)
        if literal is None:
            return f"{one.kind} {op} 'null'" if op in ("=", "!=") else "NULL"
        if isinstance(literal, str):
            test = f"{self._served(one) if one.column and op == '=' else one.text} {op} {self._bind(literal)}"
            return test if one.column else f"CASE WHEN {one.kind} = 'text' THEN {test} END"
        if one.column:
            return "NULL"
        return f"CASE WHEN {one.kind} IN {_types_like(literal)} THEN {one.value} {op} {self._scalar(literal)} END"

    def _scalar(self, value: bool | float | str) -> str:
        return self._bind(int(value) if isinstance(value, bool) else value)

    def _in_list(self, path: ast.Path, values: tuple[ast.Scalar, ...], negated: bool) -> str:
        one = self._operand(path)
        absent = "NOT " if negated else ""
        strings = self._bind.listed(item for item in values if isinstance(item, str))
        if one.column:
            return f"{self._served(one)} {absent}IN ({strings})"
        tests = [f"{one.kind} = 'text' AND {one.text} IN ({strings})"] if strings else []
        groups: dict[str, list[str]] = {}
        for item in values:
            if item is None:
                tests.append(f"{one.kind} = 'null'")
            elif not isinstance(item, str):
                groups.setdefault(_types_like(item), []).append(self._scalar(item))
        tests += [f"{one.kind} IN {types} AND {one.value} IN ({', '.join(bound)})" for types, bound in groups.items()]
        test = " OR ".join(f"({item})" for item in tests)
        return f"CASE WHEN {one.kind} IS NOT NULL THEN {absent}({test}) END"

    def _type_test(self, name: ast.TypeTestName, path: ast.Path) -> str:
        kind = self._operand(path).kind
        if name == "IS_NULL":
            # The documentation drops twins without a reading by NOT IS_NULL(T.Temperature), and a twin never
            # holds a JSON null: so an unset property counts as null.
            return f"COALESCE({kind}, 'null') = 'null'"
        types = _TYPES[name]
        return f"{kind} IS NOT NULL" if types is None else f"COALESCE({kind}, '') IN {types}"

    def _string_test(self, name: ast.StringTestName, path: ast.Path, text: str) -> str:
        one = self._operand(path)
        if not text:
            return f"CASE WHEN {one.kind} = 'text' THEN 1 END"
        if name == "ENDSWITH":
            # In bytes: SQLite counts characters only up to U+0000. No character ends with another one's bytes. The end
            # of no bytes at all is NULL.
            ending = text.encode()
            test = f"COALESCE(substr(CAST({one.text} AS BLOB), -{len(ending)}) = {self._bind(ending)}, 0)"
        else:
            test = f"instr({one.text}, {self._bind(text)}) {'= 1' if name == 'STARTSWITH' else '> 0'}"
        return f"CASE WHEN {one.kind} = 'text' THEN {test} END"

    def _array_contains(self, path: ast.Path, value: ast.Scalar) -> str:
        one = self._operand(path)
        if one.column:
            return "NULL"
        same = ""
        if value is not None:
            same = f" AND atom = {self._scalar(encoded(value) if isinstance(value, str) else value)}"
        test = f"EXISTS (SELECT 1 FROM json_each({one.array}) WHERE type IN {_types_like(value)}{same})"
        return f"CASE WHEN {one.kind} = 'array' THEN {test} END"


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
