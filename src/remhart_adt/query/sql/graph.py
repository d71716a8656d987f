"""JOIN and MATCH as SQL: nested loops from the twin that WHERE pins, along the relationships, in a fixed order.

The order is written down by CROSS JOIN, since SQLite without statistics would sometimes begin with every relationship
of a name. Each row has a key: the number of its first twin and then of each relationship in the order of the walk. It
says which row it is, and changes of properties leave it as it is, so pages go on from it.

Every loop runs in the order of these numbers, so that rows come out in the order of their keys: nothing is sorted, a
page ends when it is full, and the next one begins each loop where the last one left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from remhart_adt.query import ast
from remhart_adt.query.scope import Link, Member, Scope
from remhart_adt.query.sql.conditions import Conditions, members_of
from remhart_adt.query.sql.rows import Found, Key
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
    def chains(self) -> bool:
        """Whether some link may be anything but exactly one relationship."""
        return any(step.link.chain for step in self.steps)

    @property
    def key(self) -> tuple[type[int] | type[str], ...]:
        """The types of what tells rows apart: a path, or the numbers of the first twin and of the relationships."""
        return (str,) if self.chains else (int,) * (1 + len(self.steps))


def hop(step: Step, known: str, table: str, bind: Binder, behind: str = "") -> list[str]:
    """The conditions of one hop from a row of twins to another one, over a row of relationships, by their names in SQL.

    `behind` is a condition on a relationship's number, as the text that follows it.
    """
    relationship, new = step.link.member.key, step.new.key
    source, target = f"{relationship}.source", f"{relationship}.target"
    if step.link.direction == "any":
        # A list, since it is gone through in the order of its numbers; one that leads back to its twin is in it once.
        also = f" AND n {behind}" if behind else ""
        ends = (f"SELECT n FROM {table} WHERE {end} = {known}.id{also}" for end in ("source", "target"))
        wanted = [
            f"{relationship}.n IN ({' UNION ALL '.join(ends)})",
            f"{new}.id = CASE {source} WHEN {known}.id THEN {target} ELSE {source} END",
        ]
    else:
        along = (step.link.direction == "out") == step.forward
        here, there = (source, target) if along else (target, source)
        wanted = [f"{here} = {known}.id", f"{new}.id = {there}"]
        wanted += [f"{relationship}.n {behind}"] if behind else []
    if step.link.names:
        # The plus keeps SQLite from the index on names: one twin's relationships are fewer than all of a name.
        wanted.append(f"+{relationship}.name IN ({bind.listed(step.link.names)})")
    return wanted


def flat(graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str], after: Key) -> Found:
    """One SELECT for a graph without chains."""
    twins, relationships = table(TABLES["twin"]), table(TABLES["relationship"])
    start = graph.start.key
    tables = [f"{twins} {start}"]
    # By number, and not by id, so that several twins are gone through in the order of their numbers.
    wanted = [f"{start}.n IN (SELECT n FROM {twins} WHERE id IN ({bind.listed(graph.ids)}))"]
    key = [f"{start}.n", *(f"{step.link.member.key}.n" for step in graph.steps)]
    behind = _behind(key, after, bind)
    wanted += [f"{key[0]} {behind[0]}"] if after else []
    for step, bound in zip(graph.steps, behind[1:], strict=True):
        tables += [f"{relationships} {step.link.member.key}", f"{twins} {step.new.key}"]
        wanted += hop(step, step.known.key, relationships, bind, bound)
    if graph.scope.distinct:
        keys = [node.key for node in graph.scope.nodes]
        wanted += [f"{one}.n <> {other}.n" for number, one in enumerate(keys) for other in keys[:number]]
    wanted += [conditions.sql(part) for _, part in graph.conditions]
    return Found(" CROSS JOIN ".join(tables), wanted, key, lambda member: f"{member.key}.n")


def _behind(key: list[str], after: Key, bind: Binder) -> list[str]:
    """For each number of a key, as the text that follows it: what it must be for the key to be behind `after`.

    Each is a bound for a loop to begin at; a single comparison of all of them would be checked on every row instead.
    """
    if not after:
        return [""] * len(key)
    found = []
    for at, value in enumerate(after):
        equal = " AND ".join(f"{name} = {bind(one)}" for name, one in zip(key[:at], after, strict=False))
        bound = f"CASE WHEN {equal} THEN {bind(value)} ELSE 0 END" if equal else bind(value)
        found.append(f"{'>' if at == len(key) - 1 else '>='} {bound}")
    return found
