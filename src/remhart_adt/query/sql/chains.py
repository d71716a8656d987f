"""A pattern with an edge of several hops: one stage after the other, the hops by a recursive query.

A stage has the numbers of what is bound so far and, as text, the twins that were visited: `,1,17,`. A chain of hops is
told from others by the numbers of its relationships: `.5.9`. The recursion goes depth first, so that what waits to be
followed stays short however many paths there are.
"""

from __future__ import annotations

from collections.abc import Callable

from remhart_adt.query.scope import Member
from remhart_adt.query.sql.conditions import Conditions
from remhart_adt.query.sql.graph import Graph, Step, hop
from remhart_adt.query.sql.values import TABLES, Binder

__all__ = ["staged"]


def staged(
    graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str]
) -> tuple[str, str, list[str], Callable[[Member], str]]:
    """For a graph with chains: common table expressions, FROM, conditions, and the number of a member in it.

    A condition on what one stage binds is part of that stage; one on several stages comes last.
    """
    stages = _Stages(graph, conditions, bind, table)
    for step in graph.steps:
        stages.chain(step) if step.link.chain else stages.single(step)
    tables, wanted = [stages.last], []
    needed = dict.fromkeys(member for members, _ in stages.left for member in sorted(members, key=lambda m: m.key))
    for member in needed:
        tables.append(f"{table(TABLES[member.kind])} {member.key}")
        wanted.append(f"{member.key}.n = {stages.last}.{member.key}")
    wanted += [conditions.sql(part) for _, part in stages.left]
    with_ = f"WITH RECURSIVE {', '.join(stages.expressions)} "
    return with_, " CROSS JOIN ".join(tables), wanted, lambda member: f"{stages.last}.{member.key}"


class _Stages:
    def __init__(self, graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str]) -> None:
        self._conditions = conditions
        self._bind = bind
        self._twins, self._relationships = table(TABLES["twin"]), table(TABLES["relationship"])
        self.left = list(graph.conditions)
        self.expressions: list[str] = []
        self._bound: list[str] = []
        start = graph.start
        wanted = [f"{start.key}.id IN ({bind.listed(graph.ids)})", *self._take(start)]
        self._add([f"{start.key}.n"], [start.key], f"',' || {start.key}.n || ','", f"{self._twins} {start.key}", wanted)

    @property
    def last(self) -> str:
        """The last stage so far."""
        return f"w{len(self.expressions) - 1}"

    def _take(self, *bound: Member) -> list[str]:
        """The conditions that need nothing but these."""
        taken = [part for members, part in self.left if members <= set(bound)]
        self.left = [(members, part) for members, part in self.left if not members <= set(bound)]
        return [self._conditions.sql(part) for part in taken]

    def _carried(self, source: str) -> list[str]:
        return [f"{source}.{name}" for name in self._bound]

    def _add(self, values: list[str], names: list[str], seen: str, tables: str, wanted: list[str]) -> None:
        carried = self._carried(self.last) if self.expressions else []
        self._bound += names
        columns = ", ".join([*self._bound, "seen"])
        select = (
            f"SELECT {', '.join([*carried, *values, seen])} FROM {tables} WHERE {' AND '.join(map(_inner, wanted))}"
        )
        self.expressions.append(f"w{len(self.expressions)}({columns}) AS ({select})")

    def single(self, step: Step) -> None:
        """A stage of exactly one hop."""
        known, relationship, new = step.known.key, step.link.member.key, step.new.key
        tables = f"{self.last} CROSS JOIN {self._twins} {known} CROSS JOIN {self._relationships} {relationship}"
        wanted = [
            f"{known}.n = {self.last}.{known}",
            *hop(step, known, relationship, new, self._bind),
            f"instr({self.last}.seen, ',' || {new}.n || ',') = 0",
            *self._take(step.link.member, step.new),
        ]
        seen = f"{self.last}.seen || {new}.n || ','"
        values, names = [f"{relationship}.n", f"{new}.n"], [relationship, new]
        self._add(values, names, seen, f"{tables} CROSS JOIN {self._twins} {new}", wanted)

    def chain(self, step: Step) -> None:
        """A recursion over the hops, and the stage of those chains that are long enough."""
        link, trail, new = step.link, step.link.member.key, step.new.key
        hops = f"w{len(self.expressions)}"
        begin = ", ".join([*self._carried(self.last), f"{self.last}.{step.known.key}", f"{self.last}.seen", "0", "''"])
        values = [*self._carried(hops), "next.n", f"{hops}.seen || next.n || ','", f"{hops}.hops + 1"]
        wanted = [
            f"{hops}.hops < {link.most}",
            f"here.n = {hops}.here",
            *hop(step, "here", "over", "next", self._bind),
            f"instr({hops}.seen, ',' || next.n || ',') = 0",
        ]
        columns = [*self._bound, "here", "seen", "hops", "trail"]
        self.expressions.append(
            f"{hops}({', '.join(columns)}) AS (SELECT {begin} FROM {self.last} UNION ALL "
            f"SELECT {', '.join(values)}, {hops}.trail || '.' || over.n FROM {hops} CROSS JOIN {self._twins} here "
            f"CROSS JOIN {self._relationships} over CROSS JOIN {self._twins} next "
            f"WHERE {' AND '.join(map(_inner, wanted))} ORDER BY {columns.index('hops') + 1} DESC)"
        )
        self._add(
            [f"{hops}.trail", f"{hops}.here"],
            [trail, new],
            f"{hops}.seen",
            f"{hops} CROSS JOIN {self._twins} {new}",
            [f"{new}.n = {hops}.here", f"{hops}.hops >= {link.fewest}", *self._take(step.new)],
        )


def _inner(condition: str) -> str:
    return f"({condition})"
