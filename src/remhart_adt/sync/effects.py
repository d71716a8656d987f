"""What a batch does to measurement-point twins: last value per group, predictions, alarms.

Everything is taken from the last reading of the batch that has it, per point, so the final state does not depend on
how the stream was cut. Objects are written whole, each with its own source time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from remhart_adt.clock import format_us
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, Quality, ReadingBatch
from remhart_adt.scoring.types import ModelScores, PointInfo, Status
from remhart_adt.sync.alarms import Change
from remhart_adt.sync.lanes import REMOVE, Telemetry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remhart_adt.scoring.types import Scores

__all__ = [
    "HEADLINES",
    "PointMemory",
    "alarm_ops",
    "alarm_telemetry",
    "group_ops",
    "last_rows",
    "line_vuf",
    "model_counts",
    "prediction_ops",
    "prediction_path",
]

# Which output of a model is its headline in GridMeasurementPoint.mlPredictions.
HEADLINES: Final = {
    "voltage_anomaly": "anomalyDetected",
    "harmonic_analysis": "harmonicLevel",
    "frequency_stability": "predictedFrequency",
    "phase_imbalance": "imbalanceClass",
    "equipment_failure": "failureRisk",
    "overload_risk": "riskLevel",
    "power_quality_index": "qualityIndex",
    "voltage_sag": "sagProbability",
    "load_forecast": "forecastedLoad",
    "energy_loss": "estimatedLoss",
    "power_flow_optimization": "efficiencyGain",
    "demand_response": "sheddablePower",
    "reactive_power": "recommendedCompensation",
    "load_balancing": "balancingRecommendation",
    "grid_stability": "stabilityScore",
    "optimal_dispatch": "dispatchRecommendation",
}


def _three(flat: str) -> tuple[int, int, int]:
    return CHANNEL_INDEX[f"{flat}_a"], CHANNEL_INDEX[f"{flat}_b"], CHANNEL_INDEX[f"{flat}_c"]


_V, _I, _P, _Q, _THDV = _three("v"), _three("i"), _three("p"), _three("q"), _three("thdv")
_LINE: Final = (CHANNEL_INDEX["v_ab"], CHANNEL_INDEX["v_bc"], CHANNEL_INDEX["v_ca"])
_FREQ, _NEUTRAL = CHANNEL_INDEX["freq"], CHANNEL_INDEX["i_n"]
_OIL, _AMBIENT = CHANNEL_INDEX["oil_temp"], CHANNEL_INDEX["ambient_temp"]
# The channels whose presence makes a group worth writing.
_GROUPS: Final = (
    ("voltage", (*_V, *_LINE)),
    ("current", (*_I, _NEUTRAL)),
    ("frequency", (_FREQ,)),
    ("activePower", _P),
    ("reactivePower", _Q),
    ("powerQuality", (*_LINE, *_I, *_P, *_THDV)),
    ("temperature", (_OIL, _AMBIENT)),
)


@dataclass(slots=True)
class PointMemory:
    """What has to be remembered of a point to know whether something is worth saying again.

    `said`: model id -> [status, reason, since which source time]. `buckets`: what was passed on once per 30 seconds
    (`watch`, `flow`, `amps`, `power`, `oil`) -> the last bucket in which it was.
    """

    said: dict[str, list[Any]] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)

    def dump(self) -> list[Any]:
        """For a snapshot."""
        return [self.said, self.buckets]

    @classmethod
    def load(cls, state: list[Any]) -> PointMemory:
        """From a snapshot."""
        said, buckets = state
        return cls(dict(said), dict(buckets))


def last_rows(order: NDArray[np.int64], point: NDArray[np.int32], wanted: NDArray[np.bool_]) -> dict[int, int]:
    """Point index -> its last row among those `wanted`; `order` is sorted by point in stream order, (n,) batch rows."""
    some = order[wanted]
    if not len(some):
        return {}
    at = point[some]
    last = np.flatnonzero(np.r_[at[1:] != at[:-1], True])
    return dict(zip(at[last].tolist(), some[last].tolist(), strict=True))


def group_ops(
    batch: ReadingBatch, order: NDArray[np.int64], points: Mapping[str, PointInfo]
) -> dict[int, dict[str, Any]]:
    """Point index -> {"/voltage": {...}, ...}: the last values of every measured group."""
    measured = np.isfinite(batch.values[order])
    measured[batch.quality[order] == Quality.BAD] = False
    found: dict[int, dict[str, Any]] = {}
    rows: dict[int, list[float]] = {}
    for name, channels in _GROUPS:
        wanted = np.asarray(measured[:, channels].any(axis=1))
        for at, newest in last_rows(order, batch.point, wanted).items():
            info = points[batch.points[at]]
            row, content = newest, _group(name, batch, newest, rows, info)
            if not content:
                # What is derived (imbalance, power factor) may need more than this reading has: then an earlier one
                # of the batch speaks, as it would have, had the stream been cut in between.
                mine = order[wanted & (batch.point[order] == at)]
                for earlier in mine[-2::-1].tolist():
                    row, content = earlier, _group(name, batch, earlier, rows, info)
                    if content:
                        break
            if content:
                content["timestamp"] = format_us(int(batch.time_us[row]))
                found.setdefault(at, {})["/" + name] = content
    return found


def _group(name: str, batch: ReadingBatch, row: int, rows: dict[int, list[float]], info: PointInfo) -> dict[str, Any]:
    values = rows.get(row)
    if values is None:
        values = rows[row] = batch.values[row].tolist()
    content: dict[str, Any] = _BUILDERS[name](values, info)
    return content


def _put(content: dict[str, Any], key: str, value: float) -> None:
    if value == value:
        content[key] = value


def _phases(values: list[float], at: tuple[int, int, int]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, i in zip(("phaseA", "phaseB", "phaseC"), at, strict=True):
        _put(content, key, values[i])
    return content


def _metered(values: list[float], at: tuple[int, int, int], info: PointInfo) -> list[float]:
    return [values[i] for phase, i in zip("ABC", at, strict=True) if phase in info.phases]


def _mean(values: list[float]) -> float:
    return round(math.fsum(values) / len(values), 6) if values else math.nan


def _total(values: list[float]) -> float:
    return round(math.fsum(values), 6) if values else math.nan


def _voltage(values: list[float], info: PointInfo) -> dict[str, Any]:
    content = _phases(values, _V)
    _put(content, "average", _mean(_metered(values, _V, info)))
    for key, i in zip(("ab", "bc", "ca"), _LINE, strict=True):
        _put(content, key, values[i])
    return content


def _current(values: list[float], info: PointInfo) -> dict[str, Any]:
    content = _phases(values, _I)
    _put(content, "average", _mean(_metered(values, _I, info)))
    _put(content, "neutral", values[_NEUTRAL])
    return content


def _frequency(values: list[float], info: PointInfo) -> dict[str, Any]:
    return {"value": values[_FREQ], "deviation": round(values[_FREQ] - info.hz, 6)}


def _power(at: tuple[int, int, int]) -> Any:
    def build(values: list[float], info: PointInfo) -> dict[str, Any]:
        content = _phases(values, at)
        _put(content, "total", _total(_metered(values, at, info)))
        return content

    return build


def line_vuf(ab: float, bc: float, ca: float) -> float:
    """|V2|/|V1| in percent from the three line voltages (IEC 61000-4-30 5.7, the form without angles); NaN when they
    are no triangle's sides or not all known."""
    squares = (ab * ab, bc * bc, ca * ca)
    total = sum(squares)
    if not total > 0.0:
        return math.nan
    beta = sum(s * s for s in squares) / (total * total)
    root = math.sqrt(max(0.0, 3.0 - 6.0 * beta))
    return 100.0 * math.sqrt((1.0 - root) / (1.0 + root)) if root <= 1.0 else math.nan


def _quality(values: list[float], info: PointInfo) -> dict[str, Any]:
    content: dict[str, Any] = {}
    _put(content, "voltageImbalance", round(line_vuf(*(values[i] for i in _LINE)), 4))
    amps = _metered(values, _I, info)
    mean = math.fsum(amps) / len(amps)
    if len(amps) > 1 and mean > 0.0:
        _put(content, "currentImbalance", round(100.0 * max(abs(a - mean) for a in amps) / mean, 4))
    thd = [values[i] for i in _THDV if values[i] == values[i]]
    if thd:
        content["totalHarmonicDistortion"] = max(thd)
    p, q = _total(_metered(values, _P, info)), _total(_metered(values, _Q, info))
    apparent = math.hypot(p, q)
    if apparent > 0.0:
        _put(content, "powerFactor", round(p / apparent, 6))
    return content


def _temperature(values: list[float], _info: PointInfo) -> dict[str, Any]:
    content: dict[str, Any] = {}
    _put(content, "oil", values[_OIL])
    _put(content, "ambient", values[_AMBIENT])
    return content


_BUILDERS: Final[dict[str, Any]] = {
    "voltage": _voltage,
    "current": _current,
    "frequency": _frequency,
    "activePower": _power(_P),
    "reactivePower": _power(_Q),
    "powerQuality": _quality,
    "temperature": _temperature,
}
assert len(CHANNELS) == 25


# --- predictions ------------------------------------------------------------------------------------------------------


def prediction_path(model_id: str) -> str:
    """Where a model's object stands on a measurement point."""
    model = MODEL_BY_ID[model_id]
    return f"/mlEngine/{model.module}/{model.published}"


def prediction_ops(
    answer: ModelScores,
    version: str,
    batch: ReadingBatch,
    memory: Mapping[int, PointMemory],
    found: dict[int, dict[str, Any]],
    newest: dict[int, int],
) -> None:
    """Add one model's last answers to `found` (point index -> ops); `newest` (point index -> time) is moved up to the
    latest ok answer in the batch.

    An ok answer is written with every scoring. A model that abstains says so once: when its status or reason is no
    longer what it last said, with the time at which that began.
    """
    model = MODEL_BY_ID[answer.model_id]
    rows = np.asarray(answer.rows)
    by_point = np.lexsort((rows, batch.point[rows]))
    at = batch.point[rows[by_point]]
    starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    ends = np.r_[starts[1:], len(at)]
    path = prediction_path(answer.model_id)
    headline = f"/mlPredictions/{model.headline}"
    fine = answer.status[by_point] == Status.OK
    code = answer.status[by_point].astype(np.int64) * (len(answer.reasons) + 1) + answer.reason[by_point]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        k = int(by_point[end - 1])
        point = int(at[start])
        said = memory[point].said
        status = Status(int(answer.status[k]))
        time_us = int(batch.time_us[rows[k]])
        good = np.flatnonzero(fine[start:end])
        if len(good):
            newest[point] = max(newest.get(point, 0), int(batch.time_us[rows[by_point[start + int(good[-1])]]]))
        if status is Status.OK:
            said[answer.model_id] = ["ok", "", time_us]
            document = answer.document(k)
            ops = found.setdefault(point, {})
            ops[path] = {**document, **_version(version), "scoredAt": format_us(time_us)}
            ops[headline] = document.get(HEADLINES[answer.model_id], REMOVE)
            continue
        run = code[start:end]
        differs = np.flatnonzero(run != run[-1])
        words = [status.name.lower(), answer.reasons[int(answer.reason[k])]]
        if len(differs):
            since = int(batch.time_us[rows[by_point[start + int(differs[-1]) + 1]]])
        elif (before := said.get(answer.model_id)) is not None and before[:2] == words:
            continue
        else:
            since = int(batch.time_us[rows[by_point[start]]])
        said[answer.model_id] = [*words, since]
        ops = found.setdefault(point, {})
        ops[path] = {"status": words[0], "reason": words[1], **_version(version), "scoredAt": format_us(since)}
        ops[headline] = REMOVE


def _version(version: str) -> dict[str, str]:
    return {"modelVersion": version} if version else {}


# --- alarms -----------------------------------------------------------------------------------------------------------


def alarm_ops(changes: Iterable[Change], active_count: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Point id -> ops of its alarm map: entries whole, and the number of active ones."""
    found: dict[str, dict[str, Any]] = {}
    for change in changes:
        ops = found.setdefault(change.point_id, {})
        ops[f"/alarms/{change.kind}"] = change.entry
        ops["/activeAlarmCount"] = active_count[change.point_id]
    return found


def alarm_telemetry(change: Change) -> Telemetry:
    """The message for one transition; its id is the same however often it is sent."""
    word = "alarmRaised" if change.raised else "alarmCleared"
    stamp = format_us(change.time_us)
    body = {"alarmName": change.kind, "severity": change.entry["severity"], "timestamp": stamp}
    body |= {key: change.entry[key] for key in ("value", "limit", "source", "phases") if key in change.entry}
    return Telemetry({word: body}, f"{change.point_id}:{change.kind}:{word}:{stamp}", change.time_us)


def model_counts(scores: Scores) -> dict[str, int]:
    """`ok.<model>`, `abstained.<model>` and `failed.<model>`: how many answers of each kind."""
    counts: dict[str, int] = {}
    for model_id, answer in scores.models.items():
        for status, n in zip(*np.unique(answer.status, return_counts=True), strict=True):
            counts[f"{Status(int(status)).name.lower()}.{model_id}"] = int(n)
    return counts
