"""Query text from typed parts, escaped, so that no caller pastes a value into a query.

    Q.twins("T").where(prop("T.alarms.voltageSag.severity").eq("major") & of_model(DTMI)).top(5).text()

`format_query` is the inverse of `parse`: `parse(format_query(query)) == query`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from typing import Final

from remhart_adt import limits
from remhart_adt.errors import QueryError
from remhart_adt.query import ast

__all__ = ["Prop", "Q", "all_of", "any_of", "format_query", "of_model", "prop"]

_PLAIN: Final = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Prop:
    """A property path; its methods make conditions."""

    path: ast.Path

    def eq(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path = value`."""
        return self._compare("=", value)

    def ne(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path != value`."""
        return self._compare("!=", value)

    def lt(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path < value`."""
        return self._compare("<", value)

    def le(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path <= value`."""
        return self._compare("<=", value)

    def gt(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path > value`."""
        return self._compare(">", value)

    def ge(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path >= value`."""
        return self._compare(">=", value)

    def is_in(self, values: Iterable[ast.Scalar]) -> ast.Expr:
        """`path IN [..]`."""
        return ast.InList(self.path, tuple(values))

    def not_in(self, values: Iterable[ast.Scalar]) -> ast.Expr:
        """`path NIN [..]`."""
        return ast.InList(self.path, tuple(values), negated=True)

    def is_defined(self) -> ast.Expr:
        """`IS_DEFINED(path)`."""
        return ast.TypeTest("IS_DEFINED", self.path)

    def is_type(self, name: ast.TypeTestName) -> ast.Expr:
        """`IS_NUMBER(path)` and the like."""
        return ast.TypeTest(name, self.path)

    def startswith(self, text: str) -> ast.Expr:
        """`STARTSWITH(path, 'text')`."""
        return ast.StringTest("STARTSWITH", self.path, text)

    def endswith(self, text: str) -> ast.Expr:
        """`ENDSWITH(path, 'text')`."""
        return ast.StringTest("ENDSWITH", self.path, text)

    def contains(self, text: str) -> ast.Expr:
        """`CONTAINS(path, 'text')`."""
        return ast.StringTest("CONTAINS", self.path, text)

    def array_contains(self, value: ast.Scalar) -> ast.Expr:
        """`ARRAY_CONTAINS(path, value)`."""
        return ast.ArrayContains(self.path, value)

    def _compare(self, op: ast.CompareOp, value: ast.Scalar | Prop) -> ast.Expr:
        return ast.Comparison(self.path, op, value.path if isinstance(value, Prop) else ast.Value(value))


def prop(path: str, *more: str) -> Prop:
    """`prop("T.alarms.voltageSag")`; with more arguments every argument is one name: `prop("tags", "odd.key")`."""
    names = (path, *more) if more else tuple(path.split("."))
    if not all(names):
        raise QueryError(f"an empty name in the path {path!r}")
    return Prop(ast.Path(names))


def of_model(dtmi: str, *, collection: str | None = None, exact: bool = False) -> ast.Expr:
    """`IS_OF_MODEL([collection,] 'dtmi' [, exact])`."""
    return ast.IsOfModel(dtmi, collection, exact)


def all_of(*conditions: ast.Expr) -> ast.Expr:
    """Every condition holds."""
    return reduce(and_, conditions)


def any_of(*conditions: ast.Expr) -> ast.Expr:
    """Some condition holds."""
    return reduce(or_, conditions)


@dataclass(frozen=True, slots=True)
class Q:
    """A query being composed; every method returns a new one."""

    query: ast.Query

    @staticmethod
    def twins(alias: str | None = None) -> Q:
        """Over DIGITALTWINS."""
        return Q(ast.Query(ast.Star(), ast.Source("DIGITALTWINS", alias)))

    @staticmethod
    def relationships(alias: str | None = None) -> Q:
        """Over RELATIONSHIPS."""
        return Q(ast.Query(ast.Star(), ast.Source("RELATIONSHIPS", alias)))

    def select(self, *paths: str | Prop, **aliases: str | Prop) -> Q:
        """Project paths, keyed by their last name, or by the given alias: `select("T.name", total="T.load")`."""
        items = [ast.Projection(_path(path)) for path in paths]
        items += [ast.Projection(_path(path), alias) for alias, path in aliases.items()]
        return Q(replace(self.query, select=ast.Some(tuple(items))))

    def count(self) -> Q:
        """`SELECT COUNT()`."""
        return Q(replace(self.query, select=ast.Count()))

    def top(self, count: int) -> Q:
        """At most `count` rows."""
        return Q(replace(self.query, top=count))

    def where(self, *conditions: ast.Expr) -> Q:
        """Rows for which every condition holds, and those given before."""
        given = (self.query.where,) if self.query.where else ()
        return Q(replace(self.query, where=all_of(*given, *conditions)))

    def text(self) -> str:
        """The query text; raises `QueryError` when it is longer than the service accepts."""
        text = format_query(self.query)
        if len(text) > limits.ADT_QUERY_CHARS:
            raise QueryError(f"the query has {len(text)} characters, more than {limits.ADT_QUERY_CHARS}")
        return text

    def __str__(self) -> str:
        return self.text()


def _path(path: str | Prop) -> ast.Path:
    return path.path if isinstance(path, Prop) else prop(path).path


def format_query(query: ast.Query) -> str:
    """The text of a query."""
    parts = ["SELECT", *([f"TOP({query.top})"] if query.top is not None else [])]
    match query.select:
        case ast.Count():
            if query.top is not None:
                raise QueryError("COUNT() and TOP exclude each other")
            parts.append("COUNT()")
        case ast.Some(items):
            parts.append(", ".join(_projection(item) for item in items))
        case _:
            parts += ["*"] if query.top is None else []
    parts += ["FROM", query.source.collection]
    if query.source.alias is not None:
        parts.append(_name(query.source.alias))
    for join in query.joins:
        parts.append(f"JOIN {_name(join.target)} RELATED {_name(join.source)}.{_name(join.relationship)}")
        parts += [_name(join.variable)] if join.variable else []
    if query.match:
        nodes = [f"({_name(node.name) if node.name else ''})" for node in query.match.nodes]
        edges = [_edge(edge) for edge in query.match.edges]
        parts.append("MATCH " + nodes[0] + "".join(edge + node for edge, node in zip(edges, nodes[1:], strict=True)))
    if query.where is not None:
        parts += ["WHERE", _condition(query.where)]
    return " ".join(parts)


def _projection(item: ast.Projection) -> str:
    return _dotted(item.path) + (f" AS {_name(item.alias)}" if item.alias else "")


def _edge(edge: ast.Edge) -> str:
    inside = _name(edge.variable) if edge.variable else ""
    if edge.names:
        inside += ":" + "|".join(_name(name) for name in edge.names)
    if edge.hops:
        first = "" if edge.hops.first is None else str(edge.hops.first)
        inside += f"*{edge.hops.last}" if edge.hops.exact else f"*{first}..{edge.hops.last}"
    return f"{'<-' if edge.direction == 'in' else '-'}[{inside}]{'->' if edge.direction == 'out' else '-'}"


def _condition(expr: ast.Expr) -> str:
    match expr:
        case ast.And(items):
            return " AND ".join(_inner(item, ast.And | ast.Or) for item in items)
        case ast.Or(items):
            return " OR ".join(_inner(item, ast.Or) for item in items)
        case ast.Not(item):
            return f"NOT {_inner(item, ast.And | ast.Or | ast.Not)}"
        case ast.Comparison(left, op, right):
            return f"{_dotted(left)} {op} {_dotted(right) if isinstance(right, ast.Path) else _literal(right.value)}"
        case ast.InList(path, values, negated):
            if not 0 < len(values) <= limits.ADT_IN_ITEMS:
                raise QueryError(f"a list has 1 to {limits.ADT_IN_ITEMS} items, not {len(values)}")
            listed = ", ".join(_literal(value) for value in values)
            return f"{_dotted(path)} {'NIN' if negated else 'IN'} [{listed}]"
        case ast.TypeTest(name, path):
            return f"{name}({_dotted(path)})"
        case ast.StringTest(name, path, text):
            return f"{name}({_dotted(path)}, {_literal(text)})"
        case ast.ArrayContains(path, value):
            return f"ARRAY_CONTAINS({_dotted(path)}, {_literal(value)})"
        case ast.IsOfModel(model, collection, exact):
            first = f"{_name(collection)}, " if collection else ""
            return f"IS_OF_MODEL({first}{_literal(model)}{', exact' if exact else ''})"
    raise AssertionError(f"a condition of an unknown kind: {expr!r}")


def _inner(expr: ast.Expr, parenthesised: object) -> str:
    text = _condition(expr)
    return f"({text})" if isinstance(expr, parenthesised) else text  # type: ignore[arg-type]


def _dotted(path: ast.Path) -> str:
    return ".".join(_name(name) for name in path.names)


def _name(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.upper() not in ast.RESERVED:
        return name
    if not name or "]]" in name or name.endswith("]"):
        raise QueryError(f"a name that cannot be written in a query: {name!r}")
    return f"[[{name}]]"


def _literal(value: ast.Scalar) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if value - value != 0:  # NaN and the infinities have no spelling in the language
                raise QueryError(f"{value} cannot be written in a query")
            return repr(value)
        case _:
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
