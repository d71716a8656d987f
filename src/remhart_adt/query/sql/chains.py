"""A pattern with an edge of several hops: one recursive query that walks the pattern, relationship by relationship.

A row of it is a walk so far: its `path`, the `step` of the pattern it is in, the `hops` of that step, whether it `fits`
as the whole of that step, the twins it has `seen`, as text: `,1,17,`, and the numbers of what is bound.

The path is the key of a row: the number of the first twin, then those of the relationships, `!` before the first one of
a step and `.` before its others, all of the same length. So texts sort like the walk depth first: the recursion goes in
this order, what waits to be followed stays short however many walks there are, and rows come out sorted. A page ends
when it is full, and the next one follows no walk that lies before its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from remhart_adt.query.scope import Member
from remhart_adt.query.sql.conditions import Conditions
from remhart_adt.query.sql.graph import Graph, Step, hop
from remhart_adt.query.sql.rows import Found, Key
from remhart_adt.query.sql.values import TABLES, Binder

__all__ = ["DIGITS", "walk"]

DIGITS: Final = 15
"""Of a number in a path; rows are numbered from 1, and no file has so many."""


def walk(graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str], after: Key) -> Found:
    """A recursive query for a graph with chains.

    A condition on what one step binds is part of that step; one on several steps comes last.
    """
    walked = _Walk(graph, conditions, bind, table, str(after[0]) if after else "")
    terms = [walked.begin()]
    for number, step in enumerate(graph.steps, 1):
        terms += walked.step(number, step)
    columns = ", ".join(["path", "step", "hops", "fits", "seen", *walked.columns])
    # SQLite drops the order of a part that is joined to others, unless it has a limit.
    before = f"WITH RECURSIVE w({columns}) AS ({' UNION ALL '.join(terms)} ORDER BY 1 LIMIT -1) "
    tables, wanted = ["w"], [f"w.step = {len(graph.steps)} AND w.fits"]
    for member in sorted({member for members, _ in walked.left for member in members}, key=lambda one: one.key):
        tables.append(f"{table(TABLES[member.kind])} {member.key}")
        wanted.append(f"{member.key}.n = w.{member.key}")
    wanted += [conditions.sql(part) for _, part in walked.left]
    wanted += [f"w.path > {bind(after[0])}"] if after else []
    return Found(" CROSS JOIN ".join(tables), wanted, ["w.path"], lambda member: f"w.{member.key}", before)


class _Walk:
    """The terms of the recursion. `left` are the conditions that no term has taken."""

    def __init__(
        self, graph: Graph, conditions: Conditions, bind: Binder, table: Callable[[str], str], after: str
    ) -> None:
        self._conditions = conditions
        self._bind = bind
        self._twins, self._relationships = table(TABLES["twin"]), table(TABLES["relationship"])
        self._after = after
        self._graph = graph
        self.left = list(graph.conditions)
        bound = [graph.start]
        for step in graph.steps:
            bound += [step.new] if step.link.chain else [step.link.member, step.new]
        self.columns = [member.key for member in bound]

    def begin(self) -> str:
        """The term that the recursion begins with: the pinned twins."""
        start = self._graph.start
        wanted = [f"{start.key}.id IN ({self._bind.listed(self._graph.ids)})", *self._take(start)]
        number = f"{start.key}.n"
        values = [_digits(number), "0", "0", "1", f"',' || {number} || ','", number, *["NULL"] * len(self.columns[1:])]
        return f"SELECT {', '.join(values)} FROM {self._twins} {start.key}{_where(wanted)}"

    def step(self, number: int, step: Step) -> list[str]:
        """The terms of one step: from the end of the one before, and from one hop of it to the next."""
        link = step.link
        if not link.chain:
            conditions = self._take(link.member, step.new)
            return [self._term(step, number, step.known.key, f"w.step = {number - 1} AND w.fits", "!", "1", conditions)]
        # A chain that goes on need not fulfil what its end has to, so that does not stop it.
        fits = " AND ".join(f"({one})" for one in self._take(step.new)) or "1"
        first = fits if link.fewest == 1 else "0"
        terms = [self._term(step, number, step.known.key, f"w.step = {number - 1} AND w.fits", "!", first)]
        if link.most > 1:
            further = f"CASE WHEN w.hops + 1 >= {link.fewest} THEN {fits} END"
            within = f"w.step = {number} AND w.hops < {link.most}"
            terms.append(self._term(step, number, step.new.key, within, ".", further))
        return terms

    def _term(
        self,
        step: Step,
        number: int,
        known: str,
        within: str,
        mark: str,
        fits: str,
        conditions: list[str] | None = None,
    ) -> str:
        relationship, new = step.link.member.key, step.new.key
        path = f"w.path || '{mark}' || {_digits(f'{relationship}.n')}"
        hops = "1" if mark == "!" else "w.hops + 1"
        bound = {relationship: f"{relationship}.n", new: f"{new}.n"}
        values = [path, str(number), hops, fits, f"w.seen || {new}.n || ','"]
        values += [bound.get(column, f"w.{column}") for column in self.columns]
        wanted = [
            within,
            f"here.n = w.{known}",
            *hop(step, "here", self._relationships, self._bind),
            f"instr(w.seen, ',' || {new}.n || ',') = 0",
        ]
        if self._after:  # no walk before that path, and all of those that it is the beginning of
            wanted.append(f"{path} >= substr({self._bind(self._after)}, 1, length(w.path) + {1 + DIGITS})")
        tables = f"w CROSS JOIN {self._twins} here CROSS JOIN {self._relationships} {relationship}"
        tables += f" CROSS JOIN {self._twins} {new}"
        return f"SELECT {', '.join(values)} FROM {tables}{_where(wanted + (conditions or []))}"

    def _take(self, *bound: Member) -> list[str]:
        """The conditions that need nothing but these."""
        taken = [part for members, part in self.left if members <= set(bound)]
        self.left = [(members, part) for members, part in self.left if not members <= set(bound)]
        return [self._conditions.sql(part) for part in taken]


def _digits(number: str) -> str:
    return f"printf('%0{DIGITS}d', {number})"


def _where(wanted: list[str]) -> str:
    return f" WHERE {' AND '.join(f'({one})' for one in wanted)}"
