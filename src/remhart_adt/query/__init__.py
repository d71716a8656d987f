"""The ADT query language: one grammar to parse, build and run it on SQLite."""

from remhart_adt.query.ast import Expr, Path, Pos, Query
from remhart_adt.query.build import Prop, Q, all_of, any_of, format_query, of_model, prop
from remhart_adt.query.parse import parse
from remhart_adt.query.sql import Statement, project, to_sql

__all__ = [
    "Expr",
    "Path",
    "Pos",
    "Prop",
    "Q",
    "Query",
    "Statement",
    "all_of",
    "any_of",
    "format_query",
    "of_model",
    "parse",
    "project",
    "prop",
    "to_sql",
]
