"""The text of an AST: the inverse of `parse`.

`parse(format_query(query)) == query` for every query that `parse` can return, and so `format_query` raises `QueryError`
for what has no spelling: a name with `]]` in it, a number that is none, a list that is empty.
"""

from __future__ import annotations

import math
import re
from typing import Final

from remhart_adt import limits
from remhart_adt.errors import QueryError
from remhart_adt.query import ast

__all__ = ["format_query"]

_PLAIN: Final = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TOP_DIGITS: Final = 9


def format_query(query: ast.Query) -> str:
    """The text of a query; raises `QueryError` for what cannot be written."""
    if query.top is not None and not 0 <= query.top < 10**_TOP_DIGITS:
        raise QueryError(f"TOP takes a number of at most {_TOP_DIGITS} digits, not {query.top}")
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
        case ast.And(items) | ast.Or(items) if len(items) < 2:
            raise QueryError("AND and OR stand between conditions")
        case ast.And(items):
            return " AND ".join(_inner(item, ast.And | ast.Or) for item in items)
        case ast.Or(items):
            return " OR ".join(_inner(item, ast.Or) for item in items)
        case ast.Not():
            nots = 0
            while isinstance(expr, ast.Not):  # NOT may nest as deep as a query is long
                expr, nots = expr.item, nots + 1
            return "NOT (" * (nots - 1) + f"NOT {_inner(expr, ast.And | ast.Or)}" + ")" * (nots - 1)
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
            if math.isnan(value):
                raise QueryError("a number that is none cannot be written in a query")
            if math.isinf(value):  # what a number too large for a double is read as
                return "1e999" if value > 0 else "-1e999"
            return repr(value)
        case _:
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
