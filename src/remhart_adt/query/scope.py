"""The collections of a query: what FROM, JOIN and MATCH name, and which of them a path speaks of.

JOIN and MATCH become the same graph: nodes stand for twins and links for relationships between them.

- With one collection a path that does not begin with its alias is a property of it.
- With JOIN or MATCH every path begins with a declared collection.
- A name is declared once. In a pattern a second node of one name could never match, as no twin is visited twice.
- A relationship that a JOIN follows without a variable goes by its own name, where that name is not ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from remhart_adt.errors import QueryError
from remhart_adt.query import ast

__all__ = ["MAX_HOPS", "MAX_JOINS", "Link", "Member", "Scope", "fault", "pins"]

MAX_JOINS: Final = 5
MAX_HOPS: Final = 10

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A twin or relationship of a row; `key` is unique in the query and fit for SQL, such as `t0` or `r1`."""

    kind: Literal["twin", "relationship"]
    key: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A relationship between two nodes, by their numbers, or with more than one hop a chain of relationships.

    `out` leads from `left` to `right`, `in` from `right` to `left`. Without `names` every name will do.
    """

    member: Member
    left: int
    right: int
    direction: Literal["out", "in", "any"]
    names: tuple[str, ...]
    fewest: int = 1
    most: int = 1

    @property
    def chain(self) -> bool:
        """Whether it may be anything but exactly one relationship."""
        return (self.fewest, self.most) != (1, 1)


class Scope:
    """The collections of one query.

    Raises `QueryError` for a name declared twice, a JOIN from a collection that is not declared before it, more JOINs
    or hops than the service allows, and other forms that it does not have.
    """

    def __init__(self, query: ast.Query) -> None:
        self.nodes: list[Member] = []
        self.links: list[Link] = []
        self.single: Member | None = None
        # In a pattern no twin is visited twice; a JOIN may come back to where it was.
        self.distinct = query.match is not None
        self._named: dict[str, Member] = {}
        self._by_relationship: dict[str, list[Member]] = {}
        # Where JOIN or MATCH stands, for what is wrong with the query as a whole.
        self._pos = query.match.pos if query.match else query.joins[0].pos if query.joins else ast.NOWHERE
        source = query.source
        if query.match is not None:
            self._match(query.match, source)
        elif query.joins:
            self._joins(query.joins, source)
        elif source.collection == "RELATIONSHIPS":
            self.single = self._declare(Member("relationship", "r0", source.alias), source.pos)
        else:
            self.single = self._node(source.alias, source.pos)

    # --- what is declared

    def _declare(self, member: Member, pos: ast.Pos) -> Member:
        if member.name is not None:
            if member.name in self._named:
                raise fault(f"'{member.name}' is declared twice", pos)
            self._named[member.name] = member
        return member

    def _node(self, name: str | None, pos: ast.Pos) -> Member:
        self.nodes.append(self._declare(Member("twin", f"t{len(self.nodes)}", name), pos))
        return self.nodes[-1]

    def _joins(self, joins: tuple[ast.Join, ...], source: ast.Source) -> None:
        if source.collection == "RELATIONSHIPS":
            raise fault("RELATIONSHIPS cannot be joined", joins[0].pos)
        if len(joins) > MAX_JOINS:
            raise fault(f"a query has at most {MAX_JOINS} JOINs", joins[MAX_JOINS].pos)
        self._node(source.alias, source.pos)
        for number, join in enumerate(joins):
            start = self.member(join.source, join.pos)
            if start.kind != "twin":
                raise fault(f"'{join.source}' is a relationship, and a JOIN starts from twins", join.pos)
            self._node(join.target, join.pos)
            member = self._declare(Member("relationship", f"r{number}", join.variable), join.pos)
            if join.variable is None:
                self._by_relationship.setdefault(join.relationship, []).append(member)
            left, right = self.nodes.index(start), len(self.nodes) - 1
            self.links.append(Link(member, left, right, "out", (join.relationship,)))

    def _match(self, match: ast.Match, source: ast.Source) -> None:
        if source.collection == "RELATIONSHIPS":
            raise fault("RELATIONSHIPS cannot be matched", match.pos)
        if source.alias is not None:
            raise fault("with MATCH the names stand in the pattern, not after DIGITALTWINS", source.pos)
        for node in match.nodes:
            self._node(node.name, node.pos)
        hops = 0
        for number, edge in enumerate(match.edges):
            fewest, most = _hops(edge)
            hops += most
            if hops > MAX_HOPS:
                raise fault(f"a pattern has at most {MAX_HOPS} hops", edge.pos)
            if edge.variable is not None and (fewest, most) != (1, 1):
                raise fault("a relationship variable needs exactly one hop", edge.pos)
            member = self._declare(Member("relationship", f"r{number}", edge.variable), edge.pos)
            self.links.append(Link(member, number, number + 1, edge.direction, edge.names, fewest, most))

    # --- what is asked

    def member(self, name: str, pos: ast.Pos) -> Member:
        """The collection of a name; raises `QueryError` when none has it."""
        found = self._named.get(name)
        if found is not None:
            return found
        several = self._by_relationship.get(name, ())
        if len(several) > 1:
            raise fault(f"'{name}' is the relationship of more than one JOIN; give each a variable", pos)
        for member in several:
            return member
        raise fault(f"no collection is called '{name}'", pos)

    def resolve(self, path: ast.Path) -> tuple[Member, tuple[str, ...]]:
        """The collection that a path speaks of, and the names below it; none for the collection as a whole."""
        first, rest = path.names[0], path.names[1:]
        if self.single is None:
            return self.member(first, path.pos), rest
        return self.single, rest if first == self.single.name else path.names

    def of_model(self, condition: ast.IsOfModel) -> Member:
        """The twins that IS_OF_MODEL asks about."""
        if condition.collection is not None:
            member = self.member(condition.collection, condition.pos)
        elif self.single is not None:
            member = self.single
        else:
            raise fault("with JOIN or MATCH, IS_OF_MODEL needs the collection as its first argument", condition.pos)
        if member.kind != "twin":
            raise fault("IS_OF_MODEL needs DIGITALTWINS; relationships have no model", condition.pos)
        return member

    def start(self, where: ast.Expr | None) -> tuple[int, Ids]:
        """The node to start from and the ids it may have: of the nodes that WHERE pins, the one with fewest ids.

        Raises `QueryError` when no twin is pinned.
        """
        pinned = pins(where, self) if where is not None else {}
        if not pinned:
            what = (
                "with JOIN or MATCH, WHERE must name a twin by $dtId: <collection>.$dtId = '..' or IN ['..'], "
                "not under NOT, and under OR only when each alternative names one of the same collection"
            )
            raise fault(what, self._pos)
        member = min(pinned, key=lambda member: len(pinned[member]))
        return self.nodes.index(member), pinned[member]


def pins(where: ast.Expr, scope: Scope) -> dict[Member, Ids]:
    """For every collection of twins that a condition holds to a list of `$dtId`s: that list."""
    match where:
        case ast.Comparison(left, "=", ast.Value(value)):
            return _pinned(left, (value,), scope)
        case ast.InList(path, values, False):
            return _pinned(path, values, scope)
        case ast.And(items):
            found: dict[Member, Ids] = {}
            for item in items:
                for member, ids in pins(item, scope).items():
                    before = found.get(member)
                    found[member] = ids if before is None else tuple(one for one in before if one in ids)
            return found
        case ast.Or(items):
            each = [pins(item, scope) for item in items]
            shared = [member for member in each[0] if all(member in other for other in each)]
            return {member: tuple(dict.fromkeys(one for other in each for one in other[member])) for member in shared}
    return {}


def _pinned(path: ast.Path, values: tuple[ast.Scalar, ...], scope: Scope) -> dict[Member, Ids]:
    member, names = scope.resolve(path)
    if member.kind != "twin" or names != ("$dtId",):
        return {}
    return {member: tuple(dict.fromkeys(value for value in values if isinstance(value, str)))}


def _hops(edge: ast.Edge) -> tuple[int, int]:
    """The fewest and the most hops of an edge. The service documents the start of a range as excluded."""
    if edge.hops is None:
        return 1, 1
    last = edge.hops.last
    fewest = last if edge.hops.exact else (edge.hops.first or 0) + 1
    if not 0 < fewest <= last:
        raise fault("no number of hops fits; the start of a range is excluded, its end included", edge.pos)
    return fewest, last


def fault(what: str, pos: ast.Pos) -> QueryError:
    """The error of a place."""
    return QueryError(what, line=pos.line, column=pos.column)
