"""A query as one SQL statement for one page of rows."""

from __future__ import annotations

from collections.abc import Sequence

from remhart_adt.errors import QueryError
from remhart_adt.query import ast
from remhart_adt.query.scope import Member, Scope
from remhart_adt.query.sql.candidates import Candidate
from remhart_adt.query.sql.chains import walk
from remhart_adt.query.sql.conditions import Conditions, ModelsOf, conjuncts
from remhart_adt.query.sql.graph import Graph, flat
from remhart_adt.query.sql.rows import Found, Key, Statement, needed
from remhart_adt.query.sql.values import TABLES, Binder

__all__ = ["to_sql"]


def to_sql(
    query: ast.Query,
    *,
    models_of: ModelsOf,
    after: Key = (),
    limit: int | None = None,
    suffix: str = "",
    narrowed: Sequence[Candidate] = (),
) -> Statement:
    """The statement for the rows whose key is greater than `after`, at most `limit` of them, in the order of keys.

    `suffix` names a delayed copy of the tables. `narrowed` are candidates of the same query that an index serves.
    Raises `QueryError` as `check` does, and when `after` is not a key of this query.
    """
    scope = Scope(query)
    bind = Binder()
    conditions = Conditions(scope, models_of, bind)
    parts = conjuncts(query.where)

    def table(name: str) -> str:
        return name + suffix

    graph = None if scope.single is not None else Graph.of(scope, query.where, parts)
    key = (int,) if graph is None else graph.key
    if after and tuple(map(type, after)) != key:
        raise QueryError("the place to go on from is not of this query")
    if scope.single is not None:
        wanted = [conditions.sql(part) for part in parts]
        found = _single(scope.single, wanted, table(TABLES[scope.single.kind]), narrowed, bind, after)
    else:
        assert graph is not None
        found = (walk if graph.chains else flat)(graph, conditions, bind, table, after)
    where = " AND ".join(f"({item})" for item in found.wanted)
    from_ = f" FROM {found.tables} WHERE {where}" if where else f" FROM {found.tables}"
    if isinstance(query.select, ast.Count):
        return Statement(f"{found.before}SELECT COUNT(*){from_}", bind.parameters, True)
    # The page is found by numbers alone, so that no document is moved that is not on it; only then these are read.
    documents = needed(query, scope)
    keys = [f"k{number}" for number in range(len(key))]
    columns = [f"{sql} AS {name}" for sql, name in zip(found.key, keys, strict=True)]
    columns += [f"{found.number(member)} AS {member.key}" for member in documents]
    order = "" if found.before else f" ORDER BY {', '.join(map(str, range(1, len(keys) + 1)))}"
    page = "" if limit is None else f" LIMIT {bind(limit)}"
    read = ", ".join([*(f"page.{name}" for name in keys), *(f"{member.key}.doc" for member in documents)])
    tables = "".join(
        f" CROSS JOIN {table(TABLES[member.kind])} {member.key} ON {member.key}.n = page.{member.key}"
        for member in documents
    )
    text = (
        f"{found.before}SELECT {read} FROM (SELECT {', '.join(columns)}{from_}{order}{page}) page{tables} "
        f"ORDER BY {', '.join(keys)}"
    )
    return Statement(text, bind.parameters, False, key, documents)


def _single(
    member: Member, wanted: list[str], table: str, narrowed: Sequence[Candidate], bind: Binder, after: Key
) -> Found:
    """The rows of one collection."""
    number = f"{member.key}.n"
    wanted = [*wanted, *(f"{number} IN ({candidate.rows(bind)})" for candidate in narrowed)]
    wanted += [f"{number} > {bind(after[0])}"] if after else []
    return Found(f"{table} {member.key}", wanted, [number], lambda one: f"{one.key}.n")
