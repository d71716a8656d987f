"""Query text to AST."""

from __future__ import annotations

from remhart_adt.errors import MissingExtraError
from remhart_adt.query import ast
from remhart_adt.query.check import check, check_text

__all__ = ["parse"]


def parse(text: str) -> ast.Query:
    """The AST of a query text.

    Raises `QueryError` with line and column when the text is not in the language or exceeds one of its published
    limits (8,000 characters, 50 AND/OR, 50 list items, 5 JOINs, 10 hops), names a collection that is not declared, or
    has JOIN or MATCH without a twin that WHERE names by `$dtId`.
    """
    try:
        from remhart_adt.query._lalr import parse_text
    except ImportError as error:
        raise MissingExtraError("local", needed_for="Parsing a query") from error
    check_text(text)
    query = parse_text(text)
    check(query)
    return query
