"""Query text to AST, and the limits the service publishes for a query."""

from __future__ import annotations

from typing import Final

from remhart_adt import limits
from remhart_adt.errors import MissingExtraError, QueryError
from remhart_adt.query import ast

__all__ = ["MAX_HOPS", "MAX_JOINS", "MAX_OPERATORS", "parse"]

MAX_OPERATORS: Final = 50
MAX_JOINS: Final = 5
MAX_HOPS: Final = 10
# Parentheses cost nothing and AND/OR are limited by the service, so only NOT could nest without bound; SQLite
# refuses an expression deeper than 1,000, and Python recurses as deep as the condition does.
_MAX_NOTS: Final = 100


def parse(text: str) -> ast.Query:
    """The AST of a query text.

    Raises `QueryError` with line and column when the text is not in the language or exceeds one of its published
    limits (8,000 characters, 50 AND/OR, 50 list items, 5 JOINs, 10 hops).
    """
    try:
        from remhart_adt.query._lalr import parse_text
    except ImportError as error:
        raise MissingExtraError("local", needed_for="Parsing a query") from error
    if len(text) > limits.ADT_QUERY_CHARS:
        raise QueryError(f"the query has {len(text)} characters, more than {limits.ADT_QUERY_CHARS}")
    query = parse_text(text)
    _check(query)
    return query


def _check(query: ast.Query) -> None:
    names = {query.source.alias}
    if len(query.joins) > MAX_JOINS:
        pos = query.joins[MAX_JOINS].pos
        raise QueryError(f"a query has at most {MAX_JOINS} JOINs", line=pos.line, column=pos.column)
    if query.joins or query.match:
        if query.source.collection == "RELATIONSHIPS":
            raise QueryError("RELATIONSHIPS cannot be joined or matched")
        if isinstance(query.select, ast.Star):
            raise QueryError("SELECT * is not allowed with JOIN or MATCH; name what you select")
    for join in query.joins:
        names |= {join.target, join.variable}
    if query.match:
        names |= {node.name for node in query.match.nodes} | {edge.variable for edge in query.match.edges}
        for edge in query.match.edges:
            if edge.hops and edge.hops.last > MAX_HOPS:
                raise QueryError(f"a pattern has at most {MAX_HOPS} hops")
            if edge.hops and edge.hops.last > 1 and edge.variable:
                raise QueryError("a relationship variable needs exactly one hop")
    operators = nots = 0
    todo = [query.where] if query.where else []
    while todo:
        item = todo.pop()
        if isinstance(item, ast.And | ast.Or):
            operators += len(item.items) - 1
            todo += item.items
        elif isinstance(item, ast.Not):
            nots += 1
            todo.append(item.item)
        elif isinstance(item, ast.InList) and len(item.values) > limits.ADT_IN_ITEMS:
            what = f"a list has at most {limits.ADT_IN_ITEMS} items"
            raise QueryError(what, line=item.pos.line, column=item.pos.column)
        elif isinstance(item, ast.IsOfModel) and item.collection is not None and item.collection not in names:
            what = f"no collection is called '{item.collection}'"
            raise QueryError(what, line=item.pos.line, column=item.pos.column)
    if operators > MAX_OPERATORS:
        raise QueryError(f"a query has at most {MAX_OPERATORS} AND and OR operators")
    if nots > _MAX_NOTS:
        raise QueryError(f"a query has at most {_MAX_NOTS} NOT operators")
