"""What the daemon knows of the whole site: switches, power flows, feeders.

Everything here is a pure function of the set of events consumed so far, over all partitions and whatever their order:
the energized state of components and feedsTo relationships, the flow over each relationship, the losses of a feeder.
Each such value bears the greatest source time that went into it, so a later state never carries a smaller stamp.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from remhart_adt.clock import format_us
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.scoring.types import FeederInfo, FeederScore, Status
from remhart_adt.sync.effects import HEADLINES, prediction_path
from remhart_adt.sync.lanes import FLOW, REMOVE, SUPPLY, LaneWrite, Target, feeder_lane
from remhart_adt.sync.site import ComponentInfo, Edge, Site

if TYPE_CHECKING:
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.windows import Windows

__all__ = ["Flow", "Grid", "SwitchReport", "loading_of"]

_NEVER: Final = -1


class Flow(NamedTuple):
    """What a point said about the flow through its component in a 30-second bucket (first electrical reading of it)."""

    time_us: int
    active_w: float | None
    apparent_va: float | None
    highest_a: float | None


@dataclass(slots=True)
class SwitchReport:
    """One component's switch in its stream: `changed_us` is the report since which it has been in this state."""

    state: str
    changed_us: int


def loading_of(flow: Flow, component: ComponentInfo, rated_a: float | None) -> float | None:
    """Loading in per unit: highest phase current over the rated current where one is declared, else apparent power
    over the capacity. None when that measurement or both ratings are missing."""
    rated = component.rated_a or rated_a
    if rated:
        return None if flow.highest_a is None else round(flow.highest_a / rated, 6)
    if component.rated_va and flow.apparent_va is not None:
        return round(flow.apparent_va / component.rated_va, 6)
    return None


class Grid:
    """Shared by the processors of all partitions; used by one thread at a time."""

    def __init__(self, site: Site, engine: Engine) -> None:
        self._engine = engine
        self.switches: dict[str, dict[str, SwitchReport]] = {}
        self.flows: dict[str, dict[str, Flow]] = {}
        self.windows: dict[str, Windows] = {}
        self._controls: dict[str, tuple[int | None, int | None]] = {}
        self._told: dict[Target, Any] = {}
        self._told_feeders: dict[tuple[str, str], FeederScore] = {}
        self.adopt(site)

    def adopt(self, site: Site) -> None:
        """Work with this site from now on."""
        self.site = site
        self._edges_into = site.edges_into()
        self._main_point = site.main_point()
        self._components_of: dict[str, list[str]] = {}
        for component, point in self._main_point.items():
            self._components_of.setdefault(point, []).append(component)
        self._find_deciders()
        self._feeders_of: dict[str, list[int]] = {}
        for i, (feeder, members) in enumerate(site.feeders):
            for member in {feeder.head_id, *members}:
                self._feeders_of.setdefault(member, []).append(i)
        self._told.clear()
        self._told_feeders.clear()

    def _find_deciders(self) -> None:
        """Which switches can decide whether a component is alive. What no source feeds by design follows the grid that
        it feeds into (a small plant), so any switch may be the one."""
        topology = self.site.topology
        fed = {name for source in topology.sources() for name in (source, *topology.downstream(source))}
        every = tuple(name for name in self.site.components if topology.switch_of(name) is not None)
        self._switches_known = frozenset(every)
        self._deciders = {
            name: tuple(topology.upstream_switches(name)) if name in fed else every for name in self.site.components
        }
        self._supplied: tuple[dict[str, bool], dict[tuple[str, str], bool]] | None = None

    # --- partitions come and go ---------------------------------------------------------------------------------------

    def join(self, partition: str, windows: Windows, switches: dict[str, SwitchReport], flows: dict[str, Flow]) -> None:
        """A partition's state becomes part of the set; the dicts are the processor's own and change in place."""
        self.windows[partition], self.switches[partition], self.flows[partition] = windows, switches, flows
        for name in switches:
            self._turn(name)

    def leave(self, partition: str) -> None:
        """A partition is consumed by another process now."""
        for mine in (self.windows, self.switches, self.flows):
            mine.pop(partition, None)

    # --- what follows from the set ------------------------------------------------------------------------------------

    def switched(self, names: Iterable[str]) -> list[LaneWrite]:
        """Switches have reported: everything downstream whose state or stamp has changed."""
        for name in names:
            self._turn(name)
        return self._supply_writes()

    def flowed(self, points: Iterable[str]) -> list[LaneWrite]:
        """Points have entered a new bucket: the relationships that end at what they monitor."""
        writes = []
        for point in points:
            for component in self._components_of.get(point, ()):
                for edge in self._edges_into.get(component, ()):
                    writes += self._flow_write(edge)
        return writes

    def controlled(self, name: str, tap: int | None, steps: int | None) -> list[LaneWrite]:
        """A component has reported its tap position or the steps that are on: its feeder is judged again."""
        before = self._controls.get(name, (None, None))
        self._controls[name] = (before[0] if tap is None else tap, before[1] if steps is None else steps)
        if self._controls[name] == before:
            return []
        feeders = enumerate(info for info, _ in self.site.feeders)
        return [w for i, info in feeders if name in (info.transformer_id, info.bank_id) for w in self._feeder_writes(i)]

    def minuted(self, points: Iterable[str]) -> list[LaneWrite]:
        """Points have entered a new minute: the feeders they belong to are judged again."""
        due = sorted({i for point in points for i in self._feeders_of.get(point, ())})
        return [write for i in due for write in self._feeder_writes(i)]

    def restate(self) -> list[LaneWrite]:
        """Everything that follows from the set as it is now, said again; what the twins hold already is not written."""
        self._told.clear()
        self._told_feeders.clear()
        for names in self.switches.values():
            for name in names:
                self._turn(name)
        writes = self._supply_writes()
        for i in range(len(self.site.feeders)):
            writes += self._feeder_writes(i)
        return writes

    # --- switches -----------------------------------------------------------------------------------------------------

    def _report(self, name: str) -> SwitchReport | None:
        found = [names[name] for names in self.switches.values() if name in names]
        return max(found, key=lambda report: report.changed_us) if found else None

    def _turn(self, name: str) -> None:
        report = self._report(name)
        if report is not None and name in self.site.components:
            self.site.topology.set_switch(name, report.state, report.changed_us)
            self._supplied = None
            if name not in self._switches_known:
                self._find_deciders()

    def _stamp(self, component: str) -> int:
        reports = (self._report(name) for name in self._deciders[component])
        return max((report.changed_us for report in reports if report is not None), default=_NEVER)

    def _own(self, name: str) -> int:
        report = self._report(name)
        return _NEVER if report is None else report.changed_us

    def _alive(self) -> tuple[dict[str, bool], dict[tuple[str, str], bool]]:
        """Whether components, and feedsTo relationships by (source, id), are reached by a source."""
        if self._supplied is None:
            topology = self.site.topology
            self._supplied = (topology.energized(), topology.energized_feeds())
        return self._supplied

    def _supply_writes(self) -> list[LaneWrite]:
        supplied, _ = self._alive()
        writes: list[LaneWrite] = []
        for name in self.site.components:
            now = (supplied[name], self._stamp(name))
            target = Target(name)
            if self._told.get(target) == now:
                continue
            self._told[target] = now
            ops: dict[str, Any] = {"/energized": now[0]}
            if now[1] != _NEVER:
                ops["/$metadata/energized/sourceTime"] = format_us(now[1])
            writes.append(LaneWrite(target, SUPPLY, now[1], ops))
        for edges in self._edges_into.values():
            for edge in edges:
                writes += self._flow_write(edge)
        return writes

    # --- flows --------------------------------------------------------------------------------------------------------

    def _flow_of(self, component: str) -> Flow | None:
        point = self._main_point.get(component)
        found = [flows[point] for flows in self.flows.values() if point in flows] if point is not None else []
        return max(found, key=lambda flow: flow.time_us) if found else None

    def _flow_write(self, edge: Edge) -> list[LaneWrite]:
        flow = self._flow_of(edge.target)
        stamp = max(self._stamp(edge.source), self._own(edge.source), _NEVER if flow is None else flow.time_us)
        ops: dict[str, Any] = {"/energized": self._alive()[1][edge.source, edge.id]}
        if flow is not None:
            ops["/activePower"] = REMOVE if flow.active_w is None else flow.active_w
            point = self.site.points.get(self._main_point[edge.target])
            loading = loading_of(flow, self.site.components[edge.target], point.rated_a if point else None)
            ops["/loading"] = REMOVE if loading is None else loading
        if stamp != _NEVER:
            ops["/updatedAt"] = format_us(stamp)
        if self._told.get(edge.key) == ops:
            return []
        self._told[edge.key] = ops
        return [LaneWrite(edge.key, FLOW, stamp, dict(ops))]

    # --- feeders ------------------------------------------------------------------------------------------------------

    def _as_set(self, feeder: FeederInfo) -> FeederInfo:
        """The feeder with tap and steps as last reported, where the twin's own are older."""
        tap, _ = self._controls.get(feeder.transformer_id or "", (None, None))
        _, steps = self._controls.get(feeder.bank_id or "", (None, None))
        if tap is None and steps is None:
            return feeder
        return replace(
            feeder,
            tap_position=feeder.tap_position if tap is None else tap,
            steps_on=feeder.steps_on if steps is None else steps,
        )

    def _feeder_writes(self, i: int) -> list[LaneWrite]:
        feeder, members = self.site.feeders[i]
        feeder = self._as_set(feeder)
        windows = [self.windows[partition] for partition in sorted(self.windows)]
        writes = []
        for model_id, score in self._engine.feeder(windows, feeder, members).items():
            key = (feeder.feeder_id, model_id)
            if score.time_us is None or self._told_feeders.get(key) == score:
                continue
            self._told_feeders[key] = score
            document = score.document()
            document["modelVersion"] = self._engine.slots[model_id].version
            document["scoredAt"] = format_us(score.time_us)
            headline = document.get(HEADLINES[model_id], REMOVE) if score.status is Status.OK else REMOVE
            ops = {
                prediction_path(model_id): document,
                f"/mlPredictions/{MODEL_BY_ID[model_id].headline}": headline,
            }
            writes.append(LaneWrite(Target(feeder.head_id), feeder_lane(model_id), score.time_us, ops))
        return writes
