"""Result rows: how a statement returns them, which documents a projection needs, and what it takes from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remhart_adt.query import ast
from remhart_adt.query.scope import Member, Scope

__all__ = ["Found", "Key", "Output", "Statement", "needed", "outputs", "project"]


Key = tuple[int | str, ...]
"""What tells one row from all others, and orders them: row numbers, or for chains of hops a text of them."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where rows come from: FROM, conditions, key, and the number of a member, as SQL.

    `before` is a recursion that the statement begins with; rows come out of one in the order of their keys.
    """

    tables: str
    wanted: list[str]
    key: list[str]
    number: Callable[[Member], str]
    before: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named parameters.

    A row is one count when `counts`. Else it begins with the values of its key, whose types are `key`, followed by the
    document of each member of `documents` as JSON text.
    """

    text: str
    parameters: dict[str, Any]
    counts: bool = False
    key: tuple[type[int] | type[str], ...] = ()
    documents: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One projected value: its key in the row, and the path below a member's document; no names are all of it."""

    key: str
    member: Member
    names: tuple[str, ...]


def outputs(query: ast.Query) -> tuple[Output, ...]:
    """The projections of a query, in their order; none for `SELECT *` and `COUNT()`."""
    return _outputs(query, Scope(query))


def _outputs(query: ast.Query, scope: Scope) -> tuple[Output, ...]:
    if not isinstance(query.select, ast.Some):
        return ()
    return tuple(Output(item.key, *scope.resolve(item.path)) for item in query.select.items)


def needed(query: ast.Query, scope: Scope) -> tuple[Member, ...]:
    """The members whose documents the rows are made of."""
    if isinstance(query.select, ast.Count):
        return ()
    if scope.single is not None:
        return (scope.single,)
    return tuple(dict.fromkeys(output.member for output in _outputs(query, scope)))


def project(projected: Sequence[Output], documents: Mapping[Member, Any]) -> dict[str, Any]:
    """The row of these documents: whole ones as they are given, else the values that exist.

    Of two projections with one key the later one stands, when it has a value: the documentation advises aliases.
    """
    row: dict[str, Any] = {}
    for output in projected:
        value = documents[output.member]
        for name in output.names:
            if not isinstance(value, dict) or name not in value:
                break
            value = value[name]
        else:
            row[output.key] = value
    return row
