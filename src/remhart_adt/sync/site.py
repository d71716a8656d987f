"""The part of the twin graph that the daemon works with: points, components, and who feeds and watches whom.

Built from the graph as loaded from Azure Digital Twins (`build_site`); immutable. A change of the graph makes a new
Site, and the processors go on with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from remhart_adt.errors import ConfigError
from remhart_adt.graph.topology import Topology
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT
from remhart_adt.scoring.types import UNITS, FeederInfo, PointInfo, UnitInfo
from remhart_adt.sync.lanes import Target

if TYPE_CHECKING:
    from remhart_adt.sync.mapping import Mapping as MappingFile

__all__ = ["ComponentInfo", "Edge", "Site", "Watch", "build_site", "is_point"]

_POINT: Final = DTMI_POINT.partition(";")[0]
_COMPONENT: Final = DTMI_COMPONENT.partition(";")[0]
_PHASES: Final = {"singlePhase": "A", "splitPhase": "AB"}
# What kind of equipment a point meters, in the words of scoring.
_KINDS: Final = {"transmission_line": "line", "meter": "load"}


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
    topology: Topology = field(default_factory=lambda: Topology((), ()))
    documents: Mapping[Target, Mapping[str, Any]] = field(default_factory=dict)

    def signature(self) -> tuple[Any, ...]:
        """Differs when the daemon has to take notice: structure, nominal values, ratings, switches moved by others."""
        switches = {name: self.topology.switch_of(name) for name in self.components}
        # Tap and steps come with the stream, and the twin says what this daemon wrote.
        feeders = tuple((replace(info, tap_position=None, steps_on=None), members) for info, members in self.feeders)
        return (dict(self.points), dict(self.components), self.edges, self.watches, feeders, switches)

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


# --- from the loaded graph --------------------------------------------------------------------------------------------


def build_site(
    twins: Iterable[Mapping[str, Any]],
    relationships: Iterable[Mapping[str, Any]],
    mapping: MappingFile | None = None,
) -> Site:
    """The site of a graph as the service has it; twins of other models pass by.

    Nominal values of the mapping file win over the twin's own. Raises ConfigError for a point without nominal voltage
    or frequency: nothing about it can be judged, and guessing 230 V would be wrong in half of the world.
    """
    twins, relationships = list(twins), list(relationships)
    topology = Topology.from_twins(twins, relationships)
    components = {str(t["$dtId"]): t for t in twins if _is(t, _COMPONENT)}
    points = {str(t["$dtId"]): t for t in twins if _is(t, _POINT)}
    edges: list[Edge] = []
    watches: list[Watch] = []
    phases: dict[str, Any] = {}
    for rel in sorted(relationships, key=lambda r: (str(r["$sourceId"]), str(r["$relationshipId"]))):
        source, key, target = str(rel["$sourceId"]), str(rel["$relationshipId"]), str(rel["$targetId"])
        if rel["$relationshipName"] == "feedsTo" and source in components and target in components:
            edges.append(Edge(source, key, target))
        elif rel["$relationshipName"] == "monitoredBy" and source in components and target in points:
            watches.append(Watch(source, key, target))
            phases.setdefault(target, rel.get("phases"))
    home: dict[str, str] = {}
    for name in sorted(components):
        for point in topology.points_of(name):
            home.setdefault(point, name)
    infos: dict[str, PointInfo] = {}
    for name in sorted(points):
        component = home.get(name)
        infos[name] = _point(points[name], components.get(component or ""), phases.get(name), mapping)
        if component is not None and (feeder := topology.source_of(component)) is not None:
            infos[name] = replace(infos[name], feeder_id=feeder)
    feeders = tuple(_feeders(topology, components, infos))
    _with_banks(infos, feeders)
    return Site(
        infos,
        {name: _component(components[name]) for name in sorted(components)},
        tuple(edges),
        tuple(watches),
        feeders,
        topology,
        {Target(str(t["$dtId"])): t for t in twins}
        | {Target(str(r["$sourceId"]), str(r["$relationshipId"])): r for r in relationships},
    )


def is_point(twin: Mapping[str, Any]) -> bool:
    """Whether the document is a measurement point."""
    return _is(twin, _POINT)


def _is(twin: Mapping[str, Any], interface: str) -> bool:
    return str(twin["$metadata"]["$model"]).partition(";")[0] == interface


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _whole(document: Mapping[str, Any], key: str) -> int | None:
    value = document.get(key)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _component(twin: Mapping[str, Any]) -> ComponentInfo:
    kind = str(twin.get("componentType", ""))
    return ComponentInfo(str(twin["$dtId"]), kind, _number(twin, "ratedCapacity"), _number(twin, "ratedCurrent"))


def _point(
    twin: Mapping[str, Any], component: Mapping[str, Any] | None, phases: Any, mapping: MappingFile | None
) -> PointInfo:
    name = str(twin["$dtId"])
    standard = dict(twin.get("gridStandard") or {})
    if mapping is not None and (nominal := mapping.points.get(name)) is not None:
        standard |= nominal.model_dump(by_alias=True, exclude_none=True)
    volts, hertz = _number(standard, "nominalVoltage"), _number(standard, "nominalFrequency")
    if volts is None or hertz is None:
        raise ConfigError(
            "the measurement point declares no nominal voltage or frequency",
            where=f"twin {name}",
            remedy="Set gridStandard.nominalVoltage and nominalFrequency in the graph file, or in the mapping file",
        )
    kind = str((component or {}).get("componentType", "load"))
    metered = phases if isinstance(phases, str) and phases and set(phases) <= set("ABC") else None
    return PointInfo(
        name,
        volts,
        hertz,
        _number(standard, "ratedCurrent"),
        metered or _PHASES.get(str(standard.get("phaseConfiguration")), "ABC"),
        _KINDS.get(kind, kind),
    )


def _with_banks(infos: dict[str, PointInfo], feeders: Iterable[tuple[FeederInfo, tuple[str, ...]]]) -> None:
    """Tell each head of its feeder's largest capacitor bank: steps are planned where all of the load is seen."""
    for feeder, _ in feeders:
        if feeder.bank_id is not None:
            infos[feeder.head_id] = replace(
                infos[feeder.head_id], bank_step_var=feeder.bank_step_var, bank_steps=feeder.bank_steps
            )


def _bank(
    topology: Topology, components: Mapping[str, Mapping[str, Any]], source: str
) -> tuple[str, float, int, int | None] | None:
    """Id, step (var), steps, and steps that are on, of the largest bank under a source."""
    banks = []
    for name in topology.members(source):
        electrical = dict(components[name].get("electrical") or {})
        step, steps = _number(electrical, "stepKvar"), _number(electrical, "steps")
        if components[name].get("componentType") == "capacitor_bank" and step is not None and steps is not None:
            banks.append((step * steps, step, int(steps), name))
    if not banks:
        return None
    _, step, steps, name = max(banks)
    on = _whole(dict(components[name].get("electrical") or {}), "stepsOn")
    return name, 1000.0 * step, steps, on


def _feeders(
    topology: Topology, components: Mapping[str, Mapping[str, Any]], infos: Mapping[str, PointInfo]
) -> Iterable[tuple[FeederInfo, tuple[str, ...]]]:
    """One feeder for each source that has a metered infeed: the point of its nearest transformer, else its own."""
    for source in topology.sources():
        members = tuple(p for p in topology.points_under(source) if p in infos)
        reach = [source, *topology.downstream(source)]
        transformers = [c for c in reach if components[c].get("componentType") == "transformer"]
        supply = next((c for c in transformers if any(p in members for p in topology.points_of(c))), None)
        at = supply or source
        head = next((p for p in topology.points_of(at) if p in members), None)
        if head is None:
            continue
        plate = components[at]
        electrical = dict(plate.get("electrical") or {})
        short, tap_step = _number(electrical, "shortCircuitVoltage"), _number(electrical, "tapStep")
        bank, step_var, steps, on = _bank(topology, components, source) or (None, None, None, None)
        yield (
            FeederInfo(
                source,
                head,
                _number(plate, "ratedCapacity"),
                _number(electrical, "noLoadLoss"),
                _number(electrical, "loadLoss"),
                units=_units(topology, components, members, (supply, source), head),
                short_circuit_v=None if short is None else short / 100,
                tap_min=_whole(electrical, "tapMin"),
                tap_max=_whole(electrical, "tapMax"),
                tap_step=None if tap_step is None else tap_step / 100,
                tap_position=_whole(electrical, "tapPosition"),
                bank_step_var=step_var,
                bank_steps=steps,
                steps_on=on,
                transformer_id=at,
                bank_id=bank,
            ),
            members,
        )


def _units(
    topology: Topology,
    components: Mapping[str, Mapping[str, Any]],
    members: tuple[str, ...],
    infeed: tuple[str | None, str],
    head: str,
) -> tuple[UnitInfo, ...]:
    """What can be dispatched: the infeed, when transformer or source declares limits and a price, then the metered
    components that do, the largest ones. Without a priced infeed there is nothing to weigh the others against."""
    first = next((u for name in infeed if name and (u := _unit(components[name], head)) is not None), None)
    if first is None:
        return ()
    others = []
    for name in topology.members(infeed[1]):
        point = next((p for p in topology.points_of(name) if p in members and p != head), None)
        if name not in infeed and point is not None and (unit := _unit(components[name], point)) is not None:
            others.append(unit)
    largest = sorted(others, key=lambda unit: (-unit.high_w, unit.unit_id))[: UNITS - 1]
    return (first, *sorted(largest, key=lambda unit: unit.unit_id))


def _unit(twin: Mapping[str, Any], point: str) -> UnitInfo | None:
    """The unit that a component declares; None when limits or cost are missing or make no sense."""
    plate = dict(twin.get("dispatch") or {})

    def number(key: str) -> float | None:
        value = plate.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    low, high, linear, quadratic = (number(k) for k in ("minPower", "maxPower", "costB", "costC"))
    if low is None or high is None or linear is None or not low < high or (quadratic or 0.0) < 0:
        return None
    return UnitInfo(str(twin["$dtId"]), point, low, high, linear, quadratic or 0.0, _number(plate, "rampRate"))
