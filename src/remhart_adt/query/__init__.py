"""The ADT query language: one grammar to parse, build and run it on SQLite."""

from remhart_adt.query.ast import Expr, Path, Pos, Query
from remhart_adt.query.build import Pattern, Prop, Q, all_of, any_of, of_model, prop
from remhart_adt.query.parse import parse
from remhart_adt.query.sql import Candidate, Key, Statement, candidates, outputs, probe, project, to_sql
from remhart_adt.query.text import format_query

__all__ = [
    "Candidate",
    "Expr",
    "Key",
    "Path",
    "Pattern",
    "Pos",
    "Prop",
    "Q",
    "Query",
    "Statement",
    "all_of",
    "any_of",
    "candidates",
    "format_query",
    "of_model",
    "outputs",
    "parse",
    "probe",
    "project",
    "prop",
    "to_sql",
]
