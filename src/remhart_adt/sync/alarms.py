"""One alarm state machine per measurement point, a pure function of the point's stream.

Readings are classified column-wise; a Python step runs only for the readings of points that are not quiet. Where a
batch was cut makes no difference. An entry is sticky: an alarm raised and cleared between two writes still reaches the
twin, with both times, and both transitions are published as telemetry.

A reading whose sender calls it bad is not judged. All phases dead is an interruption and nothing else: a dead point
has no frequency, balance or anomaly to speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remhart_adt.clock import format_us
from remhart_adt.readings import CHANNEL_INDEX, PHASES, Quality, ReadingBatch
from remhart_adt.scoring.types import PointInfo, Status
from remhart_adt.sync.alarm_rules import RULES, SAG_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remhart_adt.scoring.types import Scores

__all__ = ["AlarmBook", "Change", "Machine"]

# One bit per comparison with a limit; the step below reads nothing else of a reading unless an alarm is raised.
_OPEN, _DEAD, _UNDER, _OVER, _LOW, _HIGH, _NO_V = (1 << i for i in range(7))
_OVERLOAD, _LOADED, _NO_I = (1 << i for i in range(7, 10))
_OFF_F, _NEAR_F, _NO_F = (1 << i for i in range(10, 13))
_HOT, _WARM, _NO_T = (1 << i for i in range(13, 16))
# Three bits per model condition: it holds, it was scored and does not hold, it abstained. None: not scored here.
_CRITICAL, _UNCRITICAL, _RISK_ABSTAINED = (1 << i for i in range(16, 19))
_SEVERE, _NOT_SEVERE, _IMBALANCE_ABSTAINED = (1 << i for i in range(19, 22))
_ANOMALY, _NO_ANOMALY, _ANOMALY_ABSTAINED = (1 << i for i in range(22, 25))
_BAD = 1 << 25
_STIRS: Final = _OPEN | _DEAD | _UNDER | _OVER | _OVERLOAD | _OFF_F | _HOT | _CRITICAL | _SEVERE | _ANOMALY

_SAG_US: Final = SAG_SECONDS * 1_000_000
_V: Final = slice(CHANNEL_INDEX["v_a"], CHANNEL_INDEX["v_c"] + 1)
_I: Final = slice(CHANNEL_INDEX["i_a"], CHANNEL_INDEX["i_c"] + 1)
_COLLINEAR: Final = 0.06
_UNDER_KINDS: Final = ("voltageSag", "undervoltage")
_OVER_KINDS: Final = ("voltageSwell", "overvoltage")


@dataclass(frozen=True, slots=True)
class Change:
    """One transition: `kind` was raised or cleared at `time_us`; `entry` is what then stands on the twin."""

    point_id: str
    kind: str
    raised: bool
    time_us: int
    entry: Mapping[str, Any]


@dataclass(slots=True)
class Machine:
    """What is known of one point's alarms. `entries` are the map entries as they stand (or will stand) on the twin."""

    last_us: int | None = None
    voltage: str | None = None
    onset_us: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    active: dict[str, bool] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Nothing is active and nothing is being confirmed."""
        return self.voltage is None and not self.counts and not self.active

    @property
    def active_count(self) -> int:
        """Alarms raised and not cleared."""
        return sum("clearedAt" not in entry for entry in self.entries.values())

    @classmethod
    def of_twin(cls, alarms: Mapping[str, Any]) -> Machine:
        """From the alarms that stand on a twin."""
        machine = cls()
        for kind, entry in alarms.items():
            if kind not in RULES or not isinstance(entry, Mapping):
                continue
            machine.entries[kind] = dict(entry)
            if "clearedAt" not in entry:
                if RULES[kind].group == "voltage":
                    machine.voltage = kind
                else:
                    machine.active[kind] = True
        return machine

    def dump(self) -> list[Any]:
        """For a snapshot."""
        return [self.last_us, self.voltage, self.onset_us, self.counts, list(self.active), self.entries]

    @classmethod
    def load(cls, state: Sequence[Any]) -> Machine:
        """From a snapshot."""
        last_us, voltage, onset_us, counts, active, entries = state
        return cls(last_us, voltage, onset_us, dict(counts), dict.fromkeys(active, True), dict(entries))


@dataclass(slots=True)
class _Columns:
    values: NDArray[np.float64]
    model_values: Mapping[str, NDArray[np.float64]]


class AlarmBook:
    """The machines of one partition's points."""

    def __init__(self, points: Mapping[str, PointInfo]) -> None:
        self._points = points
        self.machines: dict[str, Machine] = {}

    def update(self, batch: ReadingBatch, order: NDArray[np.int64], scores: Scores) -> list[Change]:
        """Judge the accepted readings. `order`: their rows sorted by point, stream order kept within a point."""
        if not len(order):
            return []
        flags, columns = self._classify(batch, order, scores)
        point = batch.point[order]
        starts = np.flatnonzero(np.r_[True, point[1:] != point[:-1]])
        stirred = np.logical_or.reduceat((flags & _STIRS) != 0, starts)
        ends = np.r_[starts[1:], len(order)]
        times = batch.time_us[order]
        changes: list[Change] = []
        for start, end, stir in zip(starts.tolist(), ends.tolist(), stirred.tolist(), strict=True):
            point_id = batch.points[point[start]]
            machine = self.machines.get(point_id)
            if machine is None:
                machine = self.machines[point_id] = Machine()
            if stir or not machine.idle:
                step = _Step(self._points[point_id], machine, columns, changes)
                bits, stamps = flags[start:end].tolist(), times[start:end].tolist()
                for k, (bit, time_us) in enumerate(zip(bits, stamps, strict=True), start):
                    if not bit & _BAD:
                        step.judge(k, bit, time_us)
                    machine.last_us = time_us
            else:
                machine.last_us = int(times[end - 1])
        return changes

    def _classify(
        self, batch: ReadingBatch, order: NDArray[np.int64], scores: Scores
    ) -> tuple[NDArray[np.int64], _Columns]:
        values = batch.values[order]
        uniq, inverse = np.unique(batch.point[order], return_inverse=True)
        known = [self._points[batch.points[k]] for k in uniq.tolist()]
        nominal = np.array([info.nominal_v_ln for info in known])[inverse]
        rated = np.array([info.rated_a or np.nan for info in known])[inverse]
        hz = np.array([info.hz for info in known])[inverse]
        pu = values[:, _V] / nominal[:, None]
        with np.errstate(invalid="ignore"):
            flags = _voltage_flags(pu)
            load = np.fmax.reduce(values[:, _I], axis=1) / rated
            flags |= np.where(load > RULES["overload"].limit, _OVERLOAD, 0)
            flags |= np.where(load >= RULES["overload"].clear, _LOADED, 0) | np.where(np.isnan(load), _NO_I, 0)
            off = np.abs(values[:, CHANNEL_INDEX["freq"]] - hz) / hz
            flags |= np.where(off > RULES["frequencyDeviation"].limit, _OFF_F, 0)
            flags |= np.where(off > RULES["frequencyDeviation"].clear, _NEAR_F, 0) | np.where(np.isnan(off), _NO_F, 0)
            oil = values[:, CHANNEL_INDEX["oil_temp"]]
            flags |= np.where(oil > RULES["overTemperature"].limit, _HOT, 0)
            flags |= np.where(oil >= RULES["overTemperature"].clear, _WARM, 0) | np.where(np.isnan(oil), _NO_T, 0)
        # What a dead point says about anything but its voltage means nothing.
        flags = np.where(flags & _DEAD, (flags & (_DEAD | _LOW | _OVERLOAD | _LOADED | _NO_I)) | _NO_F | _NO_T, flags)
        model_values: dict[str, NDArray[np.float64]] = {}
        place = np.full(len(batch), -1, np.int64)
        place[order] = np.arange(len(order))
        for model_id, output, label, value, bits in _CONDITIONS:
            column = np.full(len(order), np.nan)
            flags |= _model_flags(scores, model_id, output, label, value, bits, place, column)
            model_values[model_id] = column
        flags = np.where(batch.quality[order] == Quality.BAD, _BAD, flags)
        return flags, _Columns(values, model_values)


# (model, output that is the condition, its value, output shown as the alarm's value, bits: holds, does not, abstained)
_CONDITIONS: Final = (
    ("overload_risk", "riskLevel", "critical", "riskScore", (_CRITICAL, _UNCRITICAL, _RISK_ABSTAINED)),
    ("phase_imbalance", "imbalanceClass", "severe", "vuf", (_SEVERE, _NOT_SEVERE, _IMBALANCE_ABSTAINED)),
    ("voltage_anomaly", "anomalyDetected", "", "anomalyScore", (_ANOMALY, _NO_ANOMALY, _ANOMALY_ABSTAINED)),
)


def _voltage_flags(pu: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bits of the voltage group; (n, 3) p.u., NaN = not measured."""
    low, high = np.fmin.reduce(pu, axis=1), np.fmax.reduce(pu, axis=1)
    under, over, dead = RULES["voltageSag"], RULES["voltageSwell"], RULES["interruption"]
    three = ~np.isnan(pu).any(axis=1)
    lost = three & (low < dead.limit) & (high >= 0.5)
    collinear = three & (high >= 0.5) & (np.abs(2.0 * high - (pu[:, 0] + pu[:, 1] + pu[:, 2])) < _COLLINEAR)
    flags = np.where(lost | collinear, _OPEN, 0) | np.where(high < dead.limit, _DEAD, 0)
    flags |= np.where(low < under.limit, _UNDER, 0) | np.where(low < under.clear, _LOW, 0)
    flags |= np.where(high > over.limit, _OVER, 0) | np.where(high > over.clear, _HIGH, 0)
    result: NDArray[np.int64] = (flags | np.where(np.isnan(high), _NO_V, 0)).astype(np.int64)
    return result


def _model_flags(
    scores: Scores,
    model_id: str,
    output: str,
    label: str,
    value: str,
    bits: tuple[int, int, int],
    place: NDArray[np.int64],
    column: NDArray[np.float64],
) -> NDArray[np.int64]:
    flags = np.zeros(len(column), np.int64)
    answer = scores.models.get(model_id)
    if answer is None or not len(answer.rows):
        return flags
    at = place[answer.rows]
    ok = answer.status == Status.OK
    flags[at[~ok]] = bits[2]
    if output not in answer.outputs:
        return flags
    holds = np.asarray(answer.outputs[output])
    if label:
        spec = next(spec for spec in answer.specs if spec.name == output)
        holds = holds == spec.values.index(label)
    flags[at[ok]] = np.where(holds[ok].astype(bool), bits[0], bits[1])
    if value in answer.outputs:
        column[at] = answer.outputs[value]
    return flags


class _Step:
    """One point's pass over its readings of a batch."""

    def __init__(self, info: PointInfo, machine: Machine, columns: _Columns, changes: list[Change]) -> None:
        self._info = info
        self._m = machine
        self._columns = columns
        self._changes = changes

    def judge(self, k: int, bits: int, time_us: int) -> None:
        """One reading: row `k` of the columns."""
        if not bits & _NO_V:
            self._voltage(k, bits, time_us)
        if not bits & _NO_I:
            self._level("overload", k, time_us, bool(bits & _OVERLOAD), bool(bits & _LOADED))
        if "overload" in self._m.active:
            self._end("overloadForecast", time_us)
        elif bits & (_CRITICAL | _UNCRITICAL | _RISK_ABSTAINED):
            self._model("overloadForecast", k, time_us, bits & _CRITICAL, bits & _UNCRITICAL)
        if not bits & _NO_F:
            self._level("frequencyDeviation", k, time_us, bool(bits & _OFF_F), bool(bits & _NEAR_F))
        if not bits & _NO_T:
            self._level("overTemperature", k, time_us, bool(bits & _HOT), bool(bits & _WARM))
        calm = self._m.voltage is None and not bits & _DEAD
        if bits & (_SEVERE | _NOT_SEVERE | _IMBALANCE_ABSTAINED):
            self._model("voltageImbalance", k, time_us, bits & _SEVERE, bits & _NOT_SEVERE, calm)
        if bits & (_ANOMALY | _NO_ANOMALY | _ANOMALY_ABSTAINED):
            self._model("voltageAnomaly", k, time_us, bits & _ANOMALY, bits & _NO_ANOMALY, calm)

    # --- the voltage group --------------------------------------------------------------------------------------------

    def _voltage(self, k: int, bits: int, time_us: int) -> None:
        m = self._m
        is_open = bool(bits & _OPEN)
        pending = self._count("openPhase", is_open and m.voltage != "openPhase")
        if m.voltage == "openPhase" and not bits & _DEAD and (is_open or bits & _LOW):
            return
        if is_open:
            # Held back: until the second reading says which it is, an open phase must not look like a sag.
            if pending >= RULES["openPhase"].confirm:
                self._count("openPhase", False)
                self._become("openPhase", k, time_us)
            return
        if bits & _DEAD:
            kind: str | None = "interruption"
        elif bits & _UNDER or (m.voltage in _UNDER_KINDS and bits & _LOW):
            kind = self._short_or_long(_UNDER_KINDS, time_us)
        elif bits & _OVER or (m.voltage in _OVER_KINDS and bits & _HIGH):
            kind = self._short_or_long(_OVER_KINDS, time_us)
        else:
            kind = None
        if kind != m.voltage:
            self._become(kind, k, time_us)

    def _short_or_long(self, kinds: tuple[str, str], time_us: int) -> str:
        m = self._m
        if m.voltage in kinds:
            return kinds[1] if m.voltage == kinds[1] or time_us - m.onset_us > _SAG_US else kinds[0]
        return kinds[0] if m.last_us is not None and time_us - m.last_us <= _SAG_US else kinds[1]

    def _become(self, kind: str | None, k: int, time_us: int) -> None:
        m = self._m
        same_dip = any(m.voltage in kinds and kind in kinds for kinds in (_UNDER_KINDS, _OVER_KINDS))
        if not same_dip:
            m.onset_us = time_us
        if m.voltage is not None:
            self._clear(m.voltage, time_us)
        m.voltage = kind
        if kind is not None:
            self._raise(kind, k, time_us)

    # --- single limits and models -------------------------------------------------------------------------------------

    def _level(self, kind: str, k: int, time_us: int, over: bool, near: bool) -> None:
        if kind in self._m.active:
            if not near:
                self._end(kind, time_us)
        elif self._count(kind, over) >= RULES[kind].confirm:
            self._begin(kind, k, time_us)

    def _model(self, kind: str, k: int, time_us: int, holds: int, not_holds: int, calm: bool = True) -> None:
        if kind in self._m.active:
            if self._count(kind, bool(not_holds)) >= RULES[kind].clear_confirm:
                self._end(kind, time_us)
        elif self._count(kind, bool(holds) and calm) >= RULES[kind].confirm:
            self._begin(kind, k, time_us)

    def _count(self, kind: str, more: bool) -> int:
        counts = self._m.counts
        if not more:
            counts.pop(kind, None)
            return 0
        counts[kind] = counts.get(kind, 0) + 1
        return counts[kind]

    def _begin(self, kind: str, k: int, time_us: int) -> None:
        self._m.counts.pop(kind, None)
        self._m.active[kind] = True
        self._raise(kind, k, time_us)

    def _end(self, kind: str, time_us: int) -> None:
        self._m.counts.pop(kind, None)
        if self._m.active.pop(kind, False):
            self._clear(kind, time_us)

    # --- entries ------------------------------------------------------------------------------------------------------

    def _raise(self, kind: str, k: int, time_us: int) -> None:
        rule = RULES[kind]
        entry: dict[str, Any] = {"severity": rule.severity, "raisedAt": format_us(time_us), "source": rule.source}
        value, limit, phases = self._facts(kind, k)
        if value == value:
            entry["value"] = round(value, 4)
        if limit is not None:
            entry["limit"] = round(limit, 4)
        if phases:
            entry["phases"] = phases
        self._m.entries[kind] = entry
        self._changes.append(Change(self._info.point_id, kind, True, time_us, entry))

    def _clear(self, kind: str, time_us: int) -> None:
        # A new dict: the raised entry may be on its way to the service in another thread.
        entry = {**self._m.entries[kind], "clearedAt": format_us(time_us)}
        self._m.entries[kind] = entry
        self._changes.append(Change(self._info.point_id, kind, False, time_us, entry))

    def _facts(self, kind: str, k: int) -> tuple[float, float | None, str]:
        """The alarm's value, its limit in the value's unit, and the phases that break it."""
        rule, info = RULES[kind], self._info
        row = self._columns.values[k]
        volts, amps = row[_V], row[_I]
        if kind in _OVER_KINDS:
            limit = rule.limit * info.nominal_v_ln
            return float(np.nanmax(volts)), limit, _named(volts > limit)
        if rule.group == "voltage":
            limit = rule.limit * info.nominal_v_ln
            worst = np.nanmax(volts) if kind == "interruption" else np.nanmin(volts)
            return float(worst), limit, _named(volts < limit)
        if kind == "overload":
            assert info.rated_a is not None
            limit = rule.limit * info.rated_a
            return float(np.nanmax(amps)), limit, _named(amps > limit)
        if kind == "frequencyDeviation":
            hertz = float(row[CHANNEL_INDEX["freq"]])
            return hertz, info.hz * (1.0 + (rule.limit if hertz > info.hz else -rule.limit)), ""
        if kind == "overTemperature":
            return float(row[CHANNEL_INDEX["oil_temp"]]), rule.limit, ""
        value = float(self._columns.model_values[rule.source][k])
        return value, rule.limit if kind == "voltageImbalance" else None, ""


def _named(which: NDArray[np.bool_]) -> str:
    return "".join(phase for phase, hit in zip(PHASES, which.tolist(), strict=True) if hit)
