"""A query as one SQL statement for one page of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from remhart_adt.errors import QueryError
from remhart_adt.query import ast
from remhart_adt.query.scope import Member, Scope
from remhart_adt.query.sql.candidates import Candidate
from remhart_adt.query.sql.chains import staged
from remhart_adt.query.sql.conditions import Conditions, ModelsOf, conjuncts
from remhart_adt.query.sql.graph import Graph, flat
from remhart_adt.query.sql.rows import Key, Statement, needed
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
    counts = isinstance(query.select, ast.Count)
    documents = needed(query, scope)
    before = ""
    number: Callable[[Member], str] = _own_number
    members: tuple[Member, ...]
    key: tuple[type[int] | type[str], ...]

    def table(name: str) -> str:
        return name + suffix

    if scope.single is not None:
        members, key = (scope.single,), (int,)
        from_ = f"{table(TABLES[scope.single.kind])} {scope.single.key}"
        wanted = [conditions.sql(part) for part in parts]
        wanted += [f"{scope.single.key}.n IN ({candidate.rows(bind)})" for candidate in narrowed]
    else:
        graph = Graph.of(scope, query.where, parts)
        members = graph.key
        key = (int, *(str if link.chain else int for link in scope.links))
        if str in key:
            before, from_, wanted, number = staged(graph, conditions, bind, table)
        else:
            from_, wanted, number = flat(graph, conditions, bind, table)
    if counts:
        return Statement(f"{before}SELECT COUNT(*) FROM {from_}{_where(wanted)}", bind.parameters, True)
    if after:
        wanted.append(_behind(after, key, [number(member) for member in members], bind))
    page = "" if limit is None else f" LIMIT {bind(limit)}"
    order = ", ".join(str(place + 1) for place in range(len(key)))
    if scope.single is not None:
        read = "".join(f", {member.key}.doc" for member in documents)
        text = f"SELECT {number(scope.single)}{read} FROM {from_}{_where(wanted)} ORDER BY {order}{page}"
        return Statement(text, bind.parameters, False, key, documents)
    # The page is found by numbers alone, so that sorting moves no documents; only then these are read.
    columns = list(dict.fromkeys((*members, *documents)))
    inner = ", ".join(f"{number(member)} AS {member.key}" for member in columns)
    found = f"SELECT {inner} FROM {from_}{_where(wanted)} ORDER BY {order}{page}"
    read = ", ".join([*(f"page.{member.key}" for member in members), *(f"{m.key}.doc" for m in documents)])
    tables = "".join(
        f" CROSS JOIN {table(TABLES[member.kind])} {member.key} ON {member.key}.n = page.{member.key}"
        for member in documents
    )
    text = f"{before}SELECT {read} FROM ({found}) page{tables} ORDER BY {order}"
    return Statement(text, bind.parameters, False, key, documents)


def _own_number(member: Member) -> str:
    return f"{member.key}.n"


def _where(wanted: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(f'({item})' for item in wanted)}" if wanted else ""


def _behind(after: Key, key: tuple[type, ...], columns: list[str], bind: Binder) -> str:
    if tuple(map(type, after)) != key:
        raise QueryError("the place to go on from is not of this query")
    if len(after) == 1:
        return f"{columns[0]} > {bind(after[0])}"
    return f"({', '.join(columns)}) > ({', '.join(bind(value) for value in after)})"
