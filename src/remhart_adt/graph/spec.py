"""The graph as a file: the format, and what it becomes in memory.

FORMAT (YAML 1.2, or JSON, which is a part of it)

```yaml
version: 1                        # required, this format
components:                       # GridComponent twins
  - id: sub-1                     # required; the twin's $dtId, 1 to 128 of [A-Za-z0-9-.+%_#*?!(),=@$']
    type: substation              # required; the componentType: transformer | substation | circuit_breaker |
                                  #   capacitor_bank | meter | transmission_line | renewable_source
    ratedCapacity: 1000000        # any property of the interface under its own name and in its own unit (VA here)
    electrical: {r1: 0.2, ...}    # object properties as mappings
    switchState: closed           # open | closed, when the twin is created; a circuit breaker without it is closed
    canIsland: true               # a renewable source that keeps its part alive without the grid
    feedsTo: [tr-1]               # relationships: one target, a list of targets, or a list of mappings
                                  #   {to: tr-1, id: <relationship id>, <its properties>}
    monitoredBy: [{to: mp-1, phases: ABC}]
points:                           # GridMeasurementPoint twins
  - id: mp-1
    gridStandard: {nominalVoltage: 230, nominalFrequency: 50, ratedCurrent: 400}
                                  # nominalVoltage (V, line to neutral) and nominalFrequency (Hz) are required
    connectedTo: tr-1
    managedBy: alice
users:                            # User twins
  - id: alice
    username: alice
    role: operator                # admin | operator | analyst | viewer
    manages: [mp-1]
```

Rules
- Every list may be absent. Ids are unique over all three lists. Any other property must be in the interface (DTDL) with
  the right type; dates and times may be written as YAML writes them.
- `fedBy` is the inverse of `feedsTo` and is generated; it cannot be written. `{point: mp-1}` and `{target: mp-1}` mean
  the same as `{to: mp-1}`.
- A relationship's id is `<name>.<target id>` unless it has one of its own; two between the same twins with the same
  name need ids of their own.
- A ring of `feedsTo` is legal while a component in it has `switchState: open`.
- State is not part of the file: measurements, predictions, alarms, connectivity, `energized` and whatever else is in
  `ownership.DAEMON_OWNED` belong to the daemon. `INITIAL_ONLY` ones (switchState, tap position, capacitor steps on) are
  written when a twin is created and then belong to the daemon too.
- At most 50 MB, 32 levels deep; anchors and aliases may be used within those bounds; one document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER

__all__ = [
    "COMPONENT_TYPES",
    "RELATIONSHIPS",
    "VERSION",
    "Entity",
    "GraphSpec",
    "Relation",
    "RelationKind",
    "relationship_id",
]

VERSION: Final = 1

COMPONENT_TYPES: Final = (
    "transformer",
    "substation",
    "circuit_breaker",
    "capacitor_bank",
    "meter",
    "transmission_line",
    "renewable_source",
)


@dataclass(frozen=True, slots=True)
class RelationKind:
    """One relationship of the interfaces: which list may write it and where it may point."""

    name: str
    source: str
    target: str
    written: bool = True


RELATIONSHIPS: Final = {
    kind.name: kind
    for kind in (
        RelationKind("feedsTo", DTMI_COMPONENT, DTMI_COMPONENT),
        RelationKind("fedBy", DTMI_COMPONENT, DTMI_COMPONENT, written=False),
        RelationKind("monitoredBy", DTMI_COMPONENT, DTMI_POINT),
        RelationKind("connectedTo", DTMI_POINT, DTMI_COMPONENT),
        RelationKind("managedBy", DTMI_POINT, DTMI_USER),
        RelationKind("manages", DTMI_USER, DTMI_POINT),
    )
}


@dataclass(frozen=True, slots=True)
class Entity:
    """One twin of the file: `properties` holds DTDL properties only, as JSON values; `line` counts from 1 (0: no file).

    `type` is the componentType of a component, `point` or `user` otherwise; `model` is the DTMI.
    """

    id: str
    type: str
    model: str
    properties: Mapping[str, Any]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Relation:
    """One relationship of the file, or a generated `fedBy`; ids are unique within their source twin."""

    id: str
    source: str
    name: str
    target: str
    properties: Mapping[str, Any]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A whole graph that has passed every check; the order is the file's, then generated `fedBy` last."""

    components: tuple[Entity, ...] = ()
    points: tuple[Entity, ...] = ()
    users: tuple[Entity, ...] = ()
    relationships: tuple[Relation, ...] = ()

    def entities(self) -> Iterator[Entity]:
        """All twins: components, points, users."""
        yield from self.components
        yield from self.points
        yield from self.users


def relationship_id(name: str, other: str) -> str:
    """The id a relationship gets when the file gives none: `<name>.<other twin>`, shortened to the service's 128."""
    plain = f"{name}.{other}"
    if len(plain) <= 128:
        return plain
    import hashlib

    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    return f"{plain[:111]}.{digest}"
