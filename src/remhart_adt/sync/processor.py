"""One partition's stream, from events to effects. No I/O, no clock: the same events give the same effects.

`feed` decodes a batch, lets the engine take it into the windows and score it, runs the alarm machines, and says what
has to be written, in lanes. However the stream is cut into batches, the state afterwards and the last effect on every
path are the same. `snapshot`/`restore` carry the whole state; feeding with `warm=True` advances it without effects.

A reading that its sender calls bad moves `lastReadingAt` and `dataQuality` only: it is never written over good values.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from remhart_adt.clock import format_us
from remhart_adt.errors import CheckpointError
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.readings import CHANNEL_INDEX, PHASES, ComponentStatus, Quality, ReadingBatch
from remhart_adt.scoring.types import PointInfo, SlotState
from remhart_adt.scoring.windows import Windows
from remhart_adt.sync.alarms import AlarmBook, Machine
from remhart_adt.sync.decode import Dead, Decoder
from remhart_adt.sync.effects import (
    PointMemory,
    alarm_ops,
    alarm_telemetry,
    group_ops,
    last_rows,
    model_counts,
    prediction_ops,
    prediction_path,
)
from remhart_adt.sync.grid import Flow, Grid, SwitchReport, loading_of
from remhart_adt.sync.lanes import LOAD, READING, REMOVE, STATUS, TEMPERATURE, WATCH, Carried, LaneWrite, Target
from remhart_adt.sync.site import Site
from remhart_adt.sync.types import RawEvent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.types import Scores

__all__ = ["BUCKET_US", "FRESH_US", "ComponentMemory", "Effects", "Processor"]

# Relationships count against their twin's 10 writes a second, so what changes all the time is passed on this often.
BUCKET_US: Final = 30 * 1_000_000
# A reading sent later than this after it was measured (history, a sender's backlog) says nothing about our delay.
FRESH_US: Final = 60 * 1_000_000
_MINUTE_US: Final = 60 * 1_000_000
_MAGIC: Final = b"RSP1"
_QUALITY_WORD: Final = {Quality.GOOD: "good", Quality.SUSPECT: "suspect", Quality.BAD: "bad"}
_I: Final = slice(CHANNEL_INDEX["i_a"], CHANNEL_INDEX["i_c"] + 1)
_P: Final = slice(CHANNEL_INDEX["p_a"], CHANNEL_INDEX["p_c"] + 1)
_Q: Final = slice(CHANNEL_INDEX["q_a"], CHANNEL_INDEX["q_c"] + 1)
_OIL: Final = CHANNEL_INDEX["oil_temp"]


@dataclass(slots=True)
class ComponentMemory:
    """The newest report of a component in this stream."""

    last_us: int = -1


@dataclass(slots=True)
class Effects:
    """What one batch has to change, and what became of its items.

    `counts`: received, skipped, merged (within the batch), scored, and answers by model. Dead letters are counted by
    whoever stores them; readings that a write in `writes` carries are counted by its outcome.
    """

    writes: list[LaneWrite] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class Processor:
    """State of one partition. One thread at a time; the Grid it shares with others likewise."""

    def __init__(
        self,
        partition: str,
        site: Site,
        engine: Engine,
        grid: Grid,
        *,
        translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.partition = partition
        self._engine = engine
        self._grid = grid
        self._translate = translate
        self.windows = Windows(list(site.points.values()))
        self._memory: dict[str, PointMemory] = {}
        self._reported: dict[str, ComponentMemory] = {}
        self._switches: dict[str, SwitchReport] = {}
        self._flows: dict[str, Flow] = {}
        self._minutes: dict[str, int] = {}
        self._book = AlarmBook(site.points)
        self.adopt(site)
        grid.join(partition, self.windows, self._switches, self._flows)

    def adopt(self, site: Site) -> None:
        """Go on with a changed graph; what is remembered of points that are still there stays."""
        self._site = site
        self.windows.add(list(site.points.values()))
        self._decoder = Decoder(
            {name: i for i, name in enumerate(site.points)}, frozenset(site.components), translate=self._translate
        )
        book = AlarmBook(site.points)
        book.machines = {name: m for name, m in self._book.machines.items() if name in site.points}
        self._book = book
        self._watches = site.watches_of_point()
        self._components_of: dict[str, list[str]] = {}
        for component, point in site.main_point().items():
            self._components_of.setdefault(point, []).append(component)
        self._unmetered = np.array([[x not in info.phases for x in PHASES] for info in site.points.values()], bool)
        heads = {feeder.head_id for feeder, _ in site.feeders}
        home = {m: feeder.head_id for feeder, members in site.feeders for m in members if m not in heads}
        self._head_of = {name: home.get(name) for name in site.points if name not in heads}

    # --- the stream ---------------------------------------------------------------------------------------------------

    def feed(self, events: Sequence[RawEvent], *, warm: bool = False) -> Effects:
        """Take the next events in; `warm` advances the state only and answers no effects."""
        decoded = self._decoder.decode(events)
        effects = Effects(dead=decoded.dead)
        batch = decoded.batch
        scores = self._engine.process(self.windows, batch)
        accepted = np.flatnonzero(scores.accepted)
        taken, carried = self._readings(batch, accepted, scores, effects)
        reports, stale = self._reports(decoded.statuses, effects)
        effects.counts = {
            "received": decoded.received,
            "skipped": len(batch) - len(accepted) + stale,
            "merged": taken - carried + len(decoded.statuses) - stale - reports,
            "scored": int(np.count_nonzero(batch.quality[accepted] != Quality.BAD)),
            **model_counts(scores),
        }
        return Effects() if warm else effects

    def _readings(
        self, batch: ReadingBatch, accepted: NDArray[np.int64], scores: Scores, effects: Effects
    ) -> tuple[int, int]:
        """Effects of the accepted readings; returns how many there are and how many points they are of."""
        if not len(accepted):
            return 0, 0
        order = accepted[np.lexsort((accepted, batch.point[accepted]))]
        point = batch.point[order]
        starts = np.flatnonzero(np.r_[True, point[1:] != point[:-1]])
        ends = np.r_[starts[1:], len(order)]
        names = {int(point[k]): batch.points[point[k]] for k in starts}
        memory = {at: self._memory.setdefault(name, PointMemory()) for at, name in names.items()}
        ops = group_ops(batch, order, self._site.points)
        newest: dict[int, int] = {}
        slots = self._engine.slots
        for model_id, answer in scores.models.items():
            prediction_ops(answer, slots[model_id].version, batch, memory, ops, newest)
        for at, time_us in newest.items():
            ops.setdefault(at, {})["/mlPredictions/timestamp"] = format_us(time_us)
        changes = self._book.update(batch, order, scores)
        active = {change.point_id: self._book.machines[change.point_id].active_count for change in changes}
        alarms = alarm_ops(changes, active)
        fresh = batch.enqueued_us - batch.time_us <= FRESH_US
        minuted: list[str] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            at = int(point[start])
            name, last = names[at], int(order[end - 1])
            time_us = int(batch.time_us[last])
            mine = ops.setdefault(at, {})
            # The first reading says it, or the time would depend on how the stream was cut.
            self._elsewhere(name, memory[at], int(batch.time_us[order[start]]), slots, mine)
            mine |= alarms.get(name, {})
            mine["/lastReadingAt"] = format_us(time_us)
            rows = order[start:end]
            carried = Carried(
                int(batch.sequence[last]),
                int(batch.index[last]),
                int(batch.enqueued_us[last]),
                batch.enqueued_us[rows[fresh[rows]]],
            )
            telemetry = [alarm_telemetry(change) for change in changes if change.point_id == name]
            effects.writes.append(LaneWrite(Target(name), READING, time_us, mine, carried, telemetry))
            if self._minutes.get(name) != time_us // _MINUTE_US:
                self._minutes[name] = time_us // _MINUTE_US
                minuted.append(name)
        effects.writes += self._watch(batch, order, names, memory)
        effects.writes += self._grid.flowed(self._flow(batch, order, names, memory, effects))
        effects.writes += self._grid.minuted(minuted)
        return len(order), len(starts)

    def _elsewhere(self, name: str, memory: PointMemory, time_us: int, slots: Any, ops: dict[str, Any]) -> None:
        """Say once, on points that head no feeder, where the feeder models' answers are."""
        if name not in self._head_of:
            return
        head = self._head_of[name]
        reason = f"scored at {head}, the head of this feeder" if head else "this point belongs to no feeder"
        for model_id in MODEL_BY_ID:
            slot = slots[model_id]
            if slot.state is not SlotState.INSTALLED or slot.scope != "feeder":
                continue
            before = memory.said.get(model_id)
            if before is not None and before[:2] == ["abstained", reason]:
                continue
            memory.said[model_id] = ["abstained", reason, time_us]
            ops[prediction_path(model_id)] = {"status": "abstained", "reason": reason, "scoredAt": format_us(time_us)}
            ops[f"/mlPredictions/{MODEL_BY_ID[model_id].headline}"] = REMOVE

    # --- buckets ------------------------------------------------------------------------------------------------------

    def _new_buckets(
        self,
        what: str,
        batch: ReadingBatch,
        order: NDArray[np.int64],
        wanted: NDArray[np.bool_],
        memory: dict[int, PointMemory],
    ) -> Iterator[tuple[int, int]]:
        """(point index, row) of the first wanted reading of the newest bucket, where that bucket is new."""
        some = order[wanted]
        for at, last in last_rows(order, batch.point, wanted).items():
            newest = int(batch.time_us[last]) // BUCKET_US
            if newest == memory[at].buckets.get(what):
                continue
            memory[at].buckets[what] = newest
            mine = some[batch.point[some] == at]
            yield at, int(mine[np.flatnonzero(batch.time_us[mine] // BUCKET_US == newest)[0]])

    def _watch(
        self, batch: ReadingBatch, order: NDArray[np.int64], names: dict[int, str], memory: dict[int, PointMemory]
    ) -> list[LaneWrite]:
        """monitoredBy: when it was last heard from, and its word on its own quality."""
        writes: list[LaneWrite] = []
        for at, row in self._new_buckets("watch", batch, order, np.ones(len(order), bool), memory):
            time_us = int(batch.time_us[row])
            word = _QUALITY_WORD[Quality(int(batch.quality[row]))]
            for watch in self._watches.get(names[at], ()):
                ops: dict[str, Any] = {
                    "/phases": self._site.points[names[at]].phases,
                    "/lastReadingAt": format_us(time_us),
                    "/dataQuality": word,
                }
                writes.append(LaneWrite(watch.key, WATCH, time_us, ops))
        return writes

    def _flow(
        self,
        batch: ReadingBatch,
        order: NDArray[np.int64],
        names: dict[int, str],
        memory: dict[int, PointMemory],
        effects: Effects,
    ) -> list[str]:
        """Load and oil temperature of the components that are monitored; returns the points with a new flow."""
        good = batch.quality[order] != Quality.BAD
        values = np.isfinite(batch.values[order])
        unmetered = self._unmetered[batch.point[order]]
        amps = good & values[:, _I].any(axis=1)
        power = good & (values[:, _P] | unmetered).all(axis=1)
        entered: list[str] = []
        for at, row in self._new_buckets("flow", batch, order, amps | power, memory):
            self._flows[names[at]] = _flow(batch, row, self._site.points[names[at]])
            entered.append(names[at])
        # By the declared rating a component's load comes from the current or from the power; each has its own bucket,
        # so that a reading without the one does not hide the other.
        for what, wanted in (("amps", amps), ("power", power & (values[:, _Q] | unmetered).all(axis=1))):
            for at, row in self._new_buckets(what, batch, order, wanted, memory):
                flow, info = _flow(batch, row, self._site.points[names[at]]), self._site.points[names[at]]
                for name in self._components_of.get(names[at], ()):
                    component = self._site.components[name]
                    by_current = bool(component.rated_a or info.rated_a)
                    load = loading_of(flow, component, info.rated_a)
                    if by_current is (what == "amps") and load is not None:
                        stamp = format_us(flow.time_us)
                        ops: dict[str, Any] = {"/loadFactor": load, "/$metadata/loadFactor/sourceTime": stamp}
                        effects.writes.append(LaneWrite(Target(name), LOAD, flow.time_us, ops))
        for at, row in self._new_buckets("oil", batch, order, good & values[:, _OIL], memory):
            time_us, celsius = int(batch.time_us[row]), float(batch.values[row, _OIL])
            for name in self._components_of.get(names[at], ()):
                if self._site.components[name].type == "transformer":
                    effects.writes.append(_temperature(name, time_us, celsius))
        return entered

    # --- component reports --------------------------------------------------------------------------------------------

    def _reports(self, statuses: Sequence[ComponentStatus], effects: Effects) -> tuple[int, int]:
        """Effects of component reports; returns how many components have new state and how many reports were stale."""
        stale = 0
        pending: dict[str, LaneWrite] = {}
        fresh: dict[str, list[int]] = {}
        heat: dict[str, LaneWrite] = {}
        switched: list[str] = []
        controls: dict[str, tuple[int | None, int | None]] = {}
        for status in statuses:
            name, time_us = status.component_id, status.time_us
            memory = self._reported.setdefault(name, ComponentMemory())
            if time_us <= memory.last_us:
                stale += 1
                continue
            memory.last_us = time_us
            write = pending.setdefault(name, LaneWrite(Target(name), STATUS, time_us, {}))
            write.stamp = time_us
            write.ops["/lastUpdatedAt"] = format_us(time_us)
            if status.enqueued_us - time_us <= FRESH_US:
                fresh.setdefault(name, []).append(status.enqueued_us)
            write.carried = Carried(status.sequence, status.index, status.enqueued_us, np.empty(0, np.int64))
            if status.tap_position is not None:
                write.ops["/electrical/tapPosition"] = status.tap_position
            if status.steps_on is not None:
                write.ops["/electrical/stepsOn"] = status.steps_on
            if status.tap_position is not None or status.steps_on is not None:
                before = controls.get(name, (None, None))
                controls[name] = (
                    before[0] if status.tap_position is None else status.tap_position,
                    before[1] if status.steps_on is None else status.steps_on,
                )
            if status.temperature is not None:
                heat[name] = _temperature(name, time_us, status.temperature)
            if status.switch_state is not None:
                write.ops["/switchState"] = status.switch_state
                report = self._switches.get(name)
                if report is None or report.state != status.switch_state:
                    self._switches[name] = SwitchReport(status.switch_state, time_us)
                    switched.append(name)
        for name, write in pending.items():
            assert write.carried is not None
            write.carried.fresh_us = np.array(fresh.get(name, []), np.int64)
        effects.writes += [*pending.values(), *heat.values()]
        for name, (tap, steps) in controls.items():
            effects.writes += self._grid.controlled(name, tap, steps)
        if switched:
            effects.writes += self._grid.switched(switched)
        return len(pending), stale

    # --- state --------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes."""
        head = orjson.dumps(
            {
                "memory": {name: memory.dump() for name, memory in self._memory.items()},
                "machines": {name: machine.dump() for name, machine in self._book.machines.items()},
                "reported": {name: memory.last_us for name, memory in self._reported.items()},
                "switches": {name: [r.state, r.changed_us] for name, r in self._switches.items()},
                "flows": {name: list(flow) for name, flow in self._flows.items()},
                "minutes": self._minutes,
            }
        )
        return _MAGIC + struct.pack("<I", len(head)) + head + self.windows.snapshot()

    def adopt_alarms(self) -> None:
        """Take the active alarms of the twins as loaded for this partition's own; for a start whose past is lost."""
        for target, document in self._site.documents.items():
            alarms = document.get("alarms")
            if target.twin in self._site.points and not target.relationship and isinstance(alarms, Mapping):
                self._book.machines[target.twin] = Machine.of_twin(alarms)

    def restore(self, data: bytes) -> None:
        """Take a state over. Raises CheckpointError when the bytes are damaged or of another version."""
        if data[:4] != _MAGIC or len(data) < 8:
            raise CheckpointError("the snapshot is damaged or of another version", where=f"partition {self.partition}")
        (size,) = struct.unpack_from("<I", data, 4)
        try:
            head = orjson.loads(data[8 : 8 + size])
            self._memory = {name: PointMemory.load(state) for name, state in head["memory"].items()}
            self._book.machines = {
                name: Machine.load(state) for name, state in head["machines"].items() if name in self._site.points
            }
            self._reported = {name: ComponentMemory(last) for name, last in head["reported"].items()}
            self._switches = {name: SwitchReport(*state) for name, state in head["switches"].items()}
            self._flows = {name: Flow(*state) for name, state in head["flows"].items()}
            self._minutes = dict(head["minutes"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the snapshot is damaged: {error}", where=f"partition {self.partition}") from error
        self.windows.restore(data[8 + size :])
        self._grid.join(self.partition, self.windows, self._switches, self._flows)


def _flow(batch: ReadingBatch, row: int, info: PointInfo) -> Flow:
    values = batch.values[row].tolist()
    metered = [k for k, phase in enumerate(PHASES) if phase in info.phases]
    amps = [value for value in values[_I] if value == value]
    p = math.fsum(values[_P.start + k] for k in metered)
    q = math.fsum(values[_Q.start + k] for k in metered)
    return Flow(
        int(batch.time_us[row]),
        round(p, 6) if p == p else None,
        round(math.hypot(p, q), 6) if p == p and q == q else None,
        max(amps) if amps else None,
    )


def _temperature(component: str, time_us: int, celsius: float) -> LaneWrite:
    ops = {"/temperature": celsius, "/$metadata/temperature/sourceTime": format_us(time_us)}
    return LaneWrite(Target(component), TEMPERATURE, time_us, ops)
