"""Who feeds whom, and what is alive: the feeding graph of the components, without any I/O.

`energized` is reachability over `feedsTo` from a source through closed switches. A source is a substation, or a
renewable source that may island. An open switch is itself alive while it is fed (one of its terminals is), what lies
behind it is not. A renewable source that may not island follows the grid: it, and what connects only such sources, is
alive while what it feeds into is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remhart_adt.errors import GraphError
from remhart_adt.ids import DTMI_COMPONENT

if TYPE_CHECKING:
    from remhart_adt.graph.spec import GraphSpec

__all__ = ["Feed", "Node", "Topology", "rings"]

OPEN = "open"
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Node:
    """One component; `switch` is open, closed, or None for what has no switch."""

    id: str
    type: str
    switch: str | None = None
    can_island: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it keeps its surroundings alive by itself."""
        return self.type == "substation" or (self.type == "renewable_source" and self.can_island)


@dataclass(frozen=True, slots=True)
class Feed:
    """One `feedsTo` relationship; `id` is unique within its source."""

    id: str
    source: str
    target: str


class Topology:
    """The feeding graph with the present switch states. Not safe to share between threads."""

    def __init__(
        self, nodes: Iterable[Node], feeds: Iterable[Feed], points: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """`points`: the measurement points of each component. Raises GraphError for a feed of no known component."""
        self.nodes = {node.id: node for node in nodes}
        self.feeds = tuple(feeds)
        self._points = {component: tuple(dict.fromkeys(ids)) for component, ids in (points or {}).items()}
        self._out: dict[str, list[Feed]] = {}
        self._in: dict[str, list[Feed]] = {}
        for feed in self.feeds:
            for end in (feed.source, feed.target):
                if end not in self.nodes:
                    raise GraphError(f"feedsTo {feed.id} of {feed.source} names {end}, which is no component")
            self._out.setdefault(feed.source, []).append(feed)
            self._in.setdefault(feed.target, []).append(feed)
        self._switch = {node.id: node.switch for node in self.nodes.values() if node.switch is not None}
        self._switched_us: dict[str, int] = {}
        self._followers = self._find_followers()
        self._alive: dict[str, bool] | None = None
        self._sources: dict[str, str | None] | None = None

    @classmethod
    def from_spec(cls, spec: GraphSpec) -> Topology:
        """The topology of a graph file."""
        components = [{"$dtId": entity.id, **entity.properties} for entity in spec.components]
        edges = [
            {"$relationshipId": r.id, "$sourceId": r.source, "$relationshipName": r.name, "$targetId": r.target}
            for r in spec.relationships
        ]
        return cls._build(components, edges)

    @classmethod
    def from_twins(cls, twins: Iterable[Mapping[str, Any]], relationships: Iterable[Mapping[str, Any]]) -> Topology:
        """The topology of twins and relationships as the service has them; other models than GridComponent pass by."""
        base = DTMI_COMPONENT.partition(";")[0]
        components = [twin for twin in twins if str(twin["$metadata"]["$model"]).partition(";")[0] == base]
        return cls._build(components, relationships)

    @classmethod
    def _build(cls, components: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]) -> Topology:
        nodes = [
            Node(str(c["$dtId"]), str(c.get("componentType", "")), c.get("switchState"), c.get("canIsland") is True)
            for c in components
        ]
        known = {node.id for node in nodes}
        feeds: list[Feed] = []
        points: dict[str, list[str]] = {}
        for edge in edges:
            name, source, target = edge["$relationshipName"], edge["$sourceId"], edge["$targetId"]
            if name == "feedsTo" and source in known and target in known:
                feeds.append(Feed(edge["$relationshipId"], source, target))
            elif name == "monitoredBy" and source in known:
                points.setdefault(source, []).append(target)
            elif name == "connectedTo" and target in known:
                points.setdefault(target, []).append(source)
        return cls(nodes, feeds, points)

    # --- switching ----------------------------------------------------------------------------------------------------

    def switch_of(self, component: str) -> str | None:
        """`open`, `closed`, or None when the component has no switch."""
        return self._switch.get(component)

    def set_switch(self, component: str, state: str, time_us: int) -> bool:
        """Note a switch's state as of `time_us`; True when it changed something.

        A report that is not newer than the last one of the same switch changes nothing. Raises GraphError for an
        unknown component or state.
        """
        if component not in self.nodes:
            raise GraphError(f"{component} is no component of this graph")
        if state not in (OPEN, CLOSED):
            raise GraphError(f"{component}: a switch is open or closed, not {state!r}")
        if time_us <= self._switched_us.get(component, -1):
            return False
        self._switched_us[component] = time_us
        if self._switch.get(component) == state:
            return False
        was_closed = self._switch.get(component) != OPEN
        self._switch[component] = state
        if was_closed == (state == CLOSED):  # it had no switch until now, and closed is what that meant
            return True
        self._alive = self._sources = None
        return True

    def adopt(self, previous: Topology) -> None:
        """Take over the switch states, and their times, that `previous` has learned from reports."""
        for component, time_us in previous._switched_us.items():
            if component in self.nodes:
                self.set_switch(component, previous._switch[component] or CLOSED, time_us)

    # --- what is alive ------------------------------------------------------------------------------------------------

    def energized(self) -> dict[str, bool]:
        """Whether each component is alive now."""
        if self._alive is None:
            self._alive = self._spread()
        return dict(self._alive)

    def energized_feeds(self) -> dict[tuple[str, str], bool]:
        """Whether each feedsTo, by (source id, relationship id), is alive: its source is, and its switch is closed."""
        alive = self.energized()
        return {(f.source, f.id): alive[f.source] and self._conducts(f.source) for f in self.feeds}

    def sources(self) -> tuple[str, ...]:
        """The components that keep others alive, substations first."""
        found = [node for node in self.nodes.values() if node.is_source]
        return tuple(node.id for node in sorted(found, key=lambda node: (node.type != "substation", node.id)))

    def source_of(self, component: str) -> str | None:
        """The source that feeds the component, or would if the switches in between were closed; None without one.

        Of several sources a substation comes before an islanding one, a closed path before an open one, then the
        nearer. An islanding source that feeds into what a substation feeds is itself a member of the substation.
        """
        if self._sources is None:
            live = self._assign(self._conducts)
            design = self._assign(lambda _component: True)
            self._sources = {one: live.get(one) or design.get(one) for one in self.nodes}
        return self._sources[component]

    def members(self, source: str) -> tuple[str, ...]:
        """The components whose source this is, itself included, in the order of the graph."""
        self.source_of(source)
        assert self._sources is not None
        return tuple(component for component, its in self._sources.items() if its == source)

    def points_of(self, component: str) -> tuple[str, ...]:
        """The measurement points of one component (monitoredBy, and connectedTo from the other end)."""
        return self._points.get(component, ())

    def points_under(self, source: str) -> tuple[str, ...]:
        """The measurement points of all members of a source."""
        return tuple(dict.fromkeys(p for component in self.members(source) for p in self.points_of(component)))

    def upstream_switches(self, component: str) -> tuple[str, ...]:
        """The switches that feed the component on any path, nearest first, open ones included, itself not."""
        seen, found, queue = {component}, [], deque([component])
        while queue:
            for feed in self._in.get(queue.popleft(), ()):
                if feed.source not in seen:
                    seen.add(feed.source)
                    queue.append(feed.source)
                    if feed.source in self._switch:
                        found.append(feed.source)
        return tuple(found)

    def downstream(self, component: str) -> tuple[str, ...]:
        """Everything that the component feeds on any path, nearest first, itself not."""
        seen, queue = {component: None}, deque([component])
        while queue:
            for feed in self._out.get(queue.popleft(), ()):
                if feed.target not in seen:
                    seen[feed.target] = None
                    queue.append(feed.target)
        return tuple(one for one in seen if one != component)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _conducts(self, component: str) -> bool:
        return self._switch.get(component) != OPEN

    def _find_followers(self) -> frozenset[str]:
        # Renewable sources that may not island, and components that nothing but followers feed.
        followers = {
            node.id for node in self.nodes.values() if node.type == "renewable_source" and not node.is_source
        } - {feed.target for feed in self.feeds}
        queue = deque(followers)
        while queue:
            for feed in self._out.get(queue.popleft(), ()):
                target = self.nodes[feed.target]
                if target.id in followers or target.is_source:
                    continue
                if all(one.source in followers for one in self._in[target.id]):
                    followers.add(target.id)
                    queue.append(target.id)
        return frozenset(followers)

    def _spread(self) -> dict[str, bool]:
        alive = dict.fromkeys(self.nodes, False)
        queue = deque(self.sources())
        for source in queue:
            alive[source] = True
        while queue:
            component = queue.popleft()
            if not self._conducts(component):
                continue
            for feed in self._out.get(component, ()):
                if not alive[feed.target]:
                    alive[feed.target] = True
                    queue.append(feed.target)
        # The other way round for those that follow the grid: from what is alive up to what feeds only into it.
        queue = deque(component for component, yes in alive.items() if yes)
        while queue:
            component = queue.popleft()
            if component in self._followers and not self._conducts(component):
                continue
            for feed in self._in.get(component, ()):
                if feed.source in self._followers and not alive[feed.source]:
                    alive[feed.source] = True
                    queue.append(feed.source)
        return alive

    def _assign(self, conducts: Callable[[str], bool]) -> dict[str, str]:
        owner: dict[str, str] = {}
        sources = self.sources()
        islanding = {source for source in sources if self.nodes[source].type != "substation"}
        for starts in ([s for s in sources if s not in islanding], [s for s in sources if s in islanding]):
            left = [source for source in starts if source not in owner]
            owner.update((source, source) for source in left)
            down = self._reach(left, owner, conducts)
            self._gather(down, owner, conducts, self._followers | islanding)
        return owner

    def _reach(self, starts: Iterable[str], owner: dict[str, str], conducts: Callable[[str], bool]) -> list[str]:
        order = list(starts)
        for component in order:  # grows while it is walked: breadth first
            if conducts(component):
                for feed in self._out.get(component, ()):
                    if feed.target not in owner:
                        owner[feed.target] = owner[component]
                        order.append(feed.target)
        return order

    def _gather(
        self, order: list[str], owner: dict[str, str], conducts: Callable[[str], bool], generation: Collection[str]
    ) -> None:
        for component in order:
            if component in generation and not conducts(component):
                continue
            for feed in self._in.get(component, ()):
                if feed.source in generation and feed.source not in owner:
                    owner[feed.source] = owner[component]
                    order.append(feed.source)


def rings(feeds: Iterable[Feed], open_switches: Collection[str] = ()) -> list[list[str]]:
    """The rings of feedsTo that no open switch breaks: one for each knot of components that feed each other.

    Each ring is a path of component ids that ends where it begins. Iterative (Tarjan's strongly connected components
    without recursion), so a chain of any length is fine.
    """
    out: dict[str, list[str]] = {}
    for feed in feeds:
        if feed.source not in open_switches and feed.target not in open_switches:
            out.setdefault(feed.source, []).append(feed.target)
    found = []
    for knot in _knots(out):
        if len(knot) > 1 or knot[0] in out.get(knot[0], ()):
            found.append(_walk_ring(knot, out))
    return found


def _knots(out: Mapping[str, Sequence[str]]) -> list[list[str]]:
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    knots: list[list[str]] = []
    for root in out:
        if root in index:
            continue
        work: list[tuple[str, int]] = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            targets = out.get(node, ())
            for at in range(position, len(targets)):
                target = targets[at]
                if target not in index:
                    work += [(node, at + 1), (target, 0)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    knot: list[str] = []
                    while not knot or knot[-1] != node:
                        knot.append(stack.pop())
                    on_stack.difference_update(knot)
                    knots.append(knot[::-1])
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return knots


def _walk_ring(knot: Sequence[str], out: Mapping[str, Sequence[str]]) -> list[str]:
    # The shortest way from the knot's first component back to itself, for a message a person can follow.
    start, inside = knot[0], set(knot)
    came: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in out.get(node, ()):
            if target == start:
                path = [start, node]
                while path[-1] != start:
                    path.append(came[path[-1]])
                return path[::-1] if len(path) > 2 or node != start else [start, start]
            if target in inside and target not in came:
                came[target] = node
                queue.append(target)
    return [start, start]  # pragma: no cover - a knot always has a way back
