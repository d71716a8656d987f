"""JOIN and MATCH as SQL: nested loops from the twin that WHERE pins, along the relationships, in a fixed order.

The order is written down by CROSS JOIN, since SQLite without statistics would sometimes begin with every relationship
of a name. Each row has a key: the number of its first twin and then of each of its relationships. It says which row
it is, and changes of properties leave it as it is, so pages go on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from remhart_adt.query import ast
from remhart_adt.query.scope import Link, Member, Scope
from remhart_adt.query.sql.conditions import Conditions, members_of
from remhart_adt.query.sql.values import TABLES, Binder

__all__ = ["Graph", "Step", "flat", "hop"]


@dataclass(frozen=True, slots=True)
class Step:
    """A link to follow from a node that is reached to one that is not."""

    link: Link
    known: Member
    new: Member
    forward: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """What JOIN or MATCH asks for: the walk from the pinned node, and the conditions by the collections they need."""

    scope: Scope
    start: Member
    ids: tuple[str, ...]
    steps: tuple[Step, ...]
    conditions: tuple[tuple[frozenset[Member], ast.Expr], ...]

    @classmethod
    def of(cls, scope: Scope, where: ast.Expr | None, parts: Iterable[ast.Expr]) -> Graph:
        """Raises `QueryError` when no twin is pinned."""
        number, ids = scope.start(where)
        reached, steps = [number], []
        for at in reached:  # grows while it is walked: the nearest nodes first
            for link in scope.links:
                other = link.right if link.left == at else link.left if link.right == at else at
                if other not in reached:
                    reached.append(other)
                    steps.append(Step(link, scope.nodes[at], scope.nodes[other], link.left == at))
        wanted = tuple((members_of(part, scope), part) for part in parts)
        return cls(scope, scope.nodes[number], ids, tuple(steps), wanted)

    @property
    def key(self) -> tuple[Member, ...]:
        """What tells rows apart."""
        return (self.start, *(link.member for link in self.scope.links))


def hop(step: Step, known: str, relationship: str, new: str, bind: Binder) -> list[str]:
    """The conditions of one hop between two rows of twins, over a row of relationships, by their names in SQL."""
    source, target = f"{relationship}.source", f"{relationship}.target"
    if step.link.direction == "any":
        wanted = [
            f"({source} = {known}.id OR {target} = {known}.id)",
            f"{new}.id = CASE {source} WHEN {known}.id THEN {target} ELSE {source} END",
        ]
    else:
        along = (step.link.direction == "out") == step.forward
        here, there = (source, target) if along else (target, source)
        wanted = [f"{here} = {known}.id", f"{new}.id = {there}"]
    if step.link.names:
        # The plus keeps SQLite from the index on names: one twin's relationships are fewer than all of a name.
        wanted.append(f"+{relationship}.name IN ({bind.listed(step.link.names)})")
    return wanted


def flat(
    graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str]
) -> tuple[str, list[str], Callable[[Member], str]]:
    """One SELECT for a graph without chains: its FROM, its conditions, and the number of a member in it."""
    start = graph.start.key
    tables = [f"{table(TABLES['twin'])} {start}"]
    wanted = [f"{start}.id IN ({bind.listed(graph.ids)})"]
    for step in graph.steps:
        relationship, new = step.link.member.key, step.new.key
        tables += [f"{table(TABLES['relationship'])} {relationship}", f"{table(TABLES['twin'])} {new}"]
        wanted += hop(step, step.known.key, relationship, new, bind)
    if graph.scope.distinct:
        keys = [node.key for node in graph.scope.nodes]
        wanted += [f"{one}.n <> {other}.n" for number, one in enumerate(keys) for other in keys[:number]]
    wanted += [conditions.sql(part) for _, part in graph.conditions]
    return " CROSS JOIN ".join(tables), wanted, lambda member: f"{member.key}.n"
