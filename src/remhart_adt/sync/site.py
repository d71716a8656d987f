"""The part of the twin graph that the daemon works with: points, components, and who feeds and watches whom.

Built from the graph as loaded from Azure Digital Twins (`from_graph`); immutable. A change of the graph makes a new
Site, and the processors go on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remhart_adt.scoring.types import FeederInfo, PointInfo
from remhart_adt.sync.lanes import Target

__all__ = ["ComponentInfo", "Edge", "Site", "Watch"]


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """One grid component; ratings as its twin declares them (VA, A per phase), None where not declared."""

    id: str
    type: str
    rated_va: float | None = None
    rated_a: float | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One feedsTo relationship."""

    source: str
    id: str
    target: str

    @property
    def key(self) -> Target:
        """The relationship as a write target."""
        return Target(self.source, self.id)


@dataclass(frozen=True, slots=True)
class Watch:
    """One monitoredBy relationship: `point` measures `component`."""

    component: str
    id: str
    point: str

    @property
    def key(self) -> Target:
        """The relationship as a write target."""
        return Target(self.component, self.id)


@dataclass(frozen=True, slots=True)
class Site:
    """Everything the processors need to know of the graph.

    `documents` are the twins and relationships as they were loaded (by target): baselines of switch states and of
    what the lanes of set functions already say.
    """

    points: Mapping[str, PointInfo]
    components: Mapping[str, ComponentInfo]
    edges: tuple[Edge, ...] = ()
    watches: tuple[Watch, ...] = ()
    feeders: tuple[tuple[FeederInfo, tuple[str, ...]], ...] = ()
    topology: Any = None
    documents: Mapping[Target, Mapping[str, Any]] = field(default_factory=dict)

    def watches_of_point(self) -> dict[str, list[Watch]]:
        """Point id -> the relationships that end at it."""
        found: dict[str, list[Watch]] = {}
        for watch in self.watches:
            found.setdefault(watch.point, []).append(watch)
        return found

    def main_point(self) -> dict[str, str]:
        """Component id -> the point whose readings stand for it: the first by id of those that monitor it."""
        found: dict[str, str] = {}
        for watch in sorted(self.watches, key=lambda w: w.point):
            found.setdefault(watch.component, watch.point)
        return found

    def edges_into(self) -> dict[str, list[Edge]]:
        """Component id -> the feedsTo relationships that end at it."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found
