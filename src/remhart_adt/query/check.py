"""What a query of the language must also keep: the published limits, declared names, a pinned twin."""

from __future__ import annotations

from typing import Final

from remhart_adt import limits
from remhart_adt.errors import QueryError
from remhart_adt.query import ast
from remhart_adt.query.scope import Scope, fault

__all__ = ["MAX_OPERATORS", "check", "check_text"]

MAX_OPERATORS: Final = 50


def check_text(text: str) -> None:
    """Raises `QueryError` for a text that is too long, or that has half a character of UTF-16 in it."""
    if len(text) > limits.ADT_QUERY_CHARS:
        raise QueryError(f"the query has {len(text)} characters, more than {limits.ADT_QUERY_CHARS}")
    for number, char in enumerate(text):
        if "\ud800" <= char <= "\udfff":
            before = text[:number]
            line, column = before.count("\n") + 1, number - (before.rfind("\n") + 1)
            raise QueryError(f"a lone surrogate, U+{ord(char):04X}, is no character", line=line, column=column)


def check(query: ast.Query) -> None:
    """Raises `QueryError`, with the place where it has one, for a query that the service would refuse."""
    scope = Scope(query)
    graph = bool(query.joins or query.match)
    if graph and isinstance(query.select, ast.Star):
        raise fault("SELECT * is not allowed with JOIN or MATCH; name what you select", query.select.pos)
    if isinstance(query.select, ast.Some):
        for item in query.select.items:
            scope.resolve(item.path)
    if query.where is not None:
        _check_condition(query.where, scope)
    if graph:
        scope.start(query.where)


def _check_condition(where: ast.Expr, scope: Scope) -> None:
    operators = 0
    todo = [where]
    while todo:
        match item := todo.pop():
            case ast.And(items) | ast.Or(items):
                operators += len(items) - 1
                todo += reversed(items)
            case ast.Not(inner):
                todo.append(inner)
            case ast.Comparison(left, _, right):
                scope.resolve(left)
                if isinstance(right, ast.Path):
                    scope.resolve(right)
            case ast.InList(path, values):
                scope.resolve(path)
                if len(values) > limits.ADT_IN_ITEMS:
                    raise fault(f"a list has at most {limits.ADT_IN_ITEMS} items", item.pos)
            case ast.TypeTest(_, path) | ast.StringTest(_, path) | ast.ArrayContains(path):
                scope.resolve(path)
            case ast.IsOfModel():
                scope.of_model(item)
    if operators > MAX_OPERATORS:
        raise QueryError(f"a query has at most {MAX_OPERATORS} AND and OR operators")
