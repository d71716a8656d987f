"""The ADT query language as data: frozen nodes that know where they stood in the text.

Positions never take part in equality, so a query that was built compares equal to the same query parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = [
    "NOWHERE",
    "RESERVED",
    "And",
    "ArrayContains",
    "Collection",
    "CompareOp",
    "Comparison",
    "Count",
    "Edge",
    "Expr",
    "Hops",
    "InList",
    "IsOfModel",
    "Join",
    "Match",
    "Node",
    "Not",
    "Or",
    "Path",
    "Pos",
    "Projection",
    "Query",
    "Scalar",
    "Select",
    "Some",
    "Source",
    "Star",
    "StringTest",
    "StringTestName",
    "TypeTest",
    "TypeTestName",
    "Value",
]

Scalar = str | int | float | bool | None
CompareOp = Literal["=", "!=", "<", ">", "<=", ">="]
Collection = Literal["DIGITALTWINS", "RELATIONSHIPS"]
TypeTestName = Literal["IS_DEFINED", "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_OBJECT", "IS_PRIMITIVE"]
StringTestName = Literal["STARTSWITH", "ENDSWITH", "CONTAINS"]

RESERVED: Final = frozenset(
    "ALL AND AS ASC AVG BY COUNT DESC DEVICES_JOBS DEVICES_MODULES DEVICES ENDS_WITH FALSE FROM GROUP IN IS_BOOL "  # noqa: SIM905
    "IS_DEFINED IS_NULL IS_NUMBER IS_OBJECT IS_OF_MODEL IS_PRIMITIVE IS_STRING MAX MIN NOT NOT_IN NULL OR ORDER SELECT "
    "STARTS_WITH SUM TOP TRUE WHERE".split()
)
"""Words that name something only inside `[[..]]`, whatever their case."""


@dataclass(frozen=True, slots=True)
class Pos:
    """Where a node begins: `line` counts from 1, `column` from 0, as the service counts in its messages."""

    line: int
    column: int


NOWHERE: Final = Pos(1, 0)


@dataclass(frozen=True, slots=True)
class Path:
    """`T.obj.sub` as its unescaped names; whether the first one is a collection is the compiler's business."""

    names: tuple[str, ...]
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A literal."""

    value: Scalar
    pos: Pos = field(default=NOWHERE, compare=False)


class Expr:
    """A condition. `a & b`, `a | b` and `~a` combine conditions; AND and OR are kept flat."""

    __slots__ = ()

    def __and__(self, other: Expr) -> Expr:
        return And((*_items(self, And), *_items(other, And)))

    def __or__(self, other: Expr) -> Expr:
        return Or((*_items(self, Or), *_items(other, Or)))

    def __invert__(self) -> Expr:
        return Not(self)


@dataclass(frozen=True, slots=True)
class And(Expr):
    """Every item holds."""

    items: tuple[Expr, ...]
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Or(Expr):
    """Some item holds."""

    items: tuple[Expr, ...]
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Not(Expr):
    """The item is known to be false: an undefined comparison stays undefined under NOT."""

    item: Expr
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison(Expr):
    """A property against a literal or another property."""

    left: Path
    op: CompareOp
    right: Value | Path
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class InList(Expr):
    """`path IN [..]`, or NIN when `negated`."""

    path: Path
    values: tuple[Scalar, ...]
    negated: bool = False
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TypeTest(Expr):
    """IS_DEFINED, IS_NULL and the other one-argument tests."""

    name: TypeTestName
    path: Path
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class StringTest(Expr):
    """STARTSWITH, ENDSWITH or CONTAINS, case-sensitive."""

    name: StringTestName
    path: Path
    text: str
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ArrayContains(Expr):
    """The value is an element of an array property."""

    path: Path
    value: Scalar
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class IsOfModel(Expr):
    """The twin's model is `model`, a later version of it or one that extends it; with `exact` only that id."""

    model: str
    collection: str | None = None
    exact: bool = False
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Star:
    """`SELECT *`, and the documented form `SELECT TOP(n)` without a projection."""

    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Count:
    """`SELECT COUNT()`."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One projected path and its alias."""

    path: Path
    alias: str | None = None

    @property
    def key(self) -> str:
        """The key of this projection in a result row."""
        return self.alias or self.path.names[-1]


@dataclass(frozen=True, slots=True)
class Some:
    """`SELECT a, b AS c`."""

    items: tuple[Projection, ...]


Select = Star | Count | Some


@dataclass(frozen=True, slots=True)
class Source:
    """FROM: one collection and its alias."""

    collection: Collection = "DIGITALTWINS"
    alias: str | None = None
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """`JOIN target RELATED source.relationship [variable]`."""

    target: str
    source: str
    relationship: str
    variable: str | None = None
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """`(name)` in a MATCH pattern; anonymous without a name."""

    name: str | None = None
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Hops:
    """`*n` is `first == last == n`; `*a..b` keeps `a` as written (the service excludes it); `*..b` has no `first`."""

    first: int | None
    last: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """`-[variable:name|name*hops]->`; `direction` is "out", "in" or "any"."""

    direction: Literal["out", "in", "any"]
    variable: str | None = None
    names: tuple[str, ...] = ()
    hops: Hops | None = None
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Match:
    """A chain of nodes and the edges between them: `len(edges) == len(nodes) - 1`."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    pos: Pos = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """One whole query."""

    select: Select
    source: Source = field(default_factory=Source)
    where: Expr | None = None
    top: int | None = None
    joins: tuple[Join, ...] = ()
    match: Match | None = None


def _items(expr: Expr, kind: type[And] | type[Or]) -> tuple[Expr, ...]:
    return expr.items if isinstance(expr, kind) else (expr,)
