"""Measured series, none of which entered training: what the committed models say of them.

England and Wales demand, summer 2000 (half-hourly, MIT licence, in the tests' data), and a distribution transformer
(`transformer_monitor_head.csv` of the reference data, which is not part of this project; skipped where it is not
there). The transformer's logger has no power: P is taken as V times I, Q as zero, in p.u. of a rating of 160 kVA,
which its peak of 143 kVA suggests.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.types import ModelScores, PointInfo, Status
from remhart_adt.scoring.windows import SLOT_US, Windows
from training.recipe import Metric, compare, mae_metric
from training.recipes.equipment_failure import pr_auc
from training.samples import Samples

__all__ = ["Asked", "asked_forecasts", "demand_figures", "measured", "transformer_figures"]

Floats = NDArray[np.float64]
_C: Final = CHANNEL_INDEX
_DAY: Final = 96
_RATED_VA: Final = 160_000.0
_DAY_US: Final = 86_400_000_000
_WEEK_US: Final = 7 * _DAY_US
# As the data set marks them; the others are rows without electrical values, or of a dead logger.
_USABLE: Final = ("ok", "phase_out_of_range")
# A line-to-line voltage this far below the others' is a phase that has lost its supply.
_OPEN_VUF: Final = 10.0
_ENDS: Final = (("model", ""), ("low", "Low"), ("high", "High"))
_HORIZONS: Final = (("load15min", 1, "+15 min"), ("forecastedLoad", 4, "+1 h"), ("load24h", 96, "+24 h"))
_DEMAND: Final = "England and Wales 2000"
# At +15 min half of the answers would lie within the same half hour, whose mean is known: not judged.
_DEMAND_HORIZONS: Final = _HORIZONS[1:]


@dataclass
class _Stream:
    """One point's readings, and what a model said of them."""

    info: PointInfo
    time_us: NDArray[np.int64]
    cells: Floats

    def score(self) -> tuple[dict[str, ModelScores], NDArray[np.float32], NDArray[np.bool_]]:
        n = len(self.time_us)
        zeros = np.zeros(n, np.int32)
        batch = ReadingBatch(
            (self.info.point_id,), zeros, self.time_us, self.cells, zeros.astype(np.int8), np.arange(n), zeros,
            self.time_us,
        )  # fmt: skip
        prepared = Engine([]).prepare(Windows([self.info]), batch)
        features = np.full((n, prepared.features.shape[1]), np.nan, np.float32)
        features[prepared.index] = prepared.features
        scores = Engine.load().process(Windows([self.info]), batch)
        return dict(scores.models), features, scores.accepted


@dataclass(frozen=True)
class Asked:
    """The quarter hours of a measured series that load_forecast answered: the whole feature table of each, its answers
    (W) and, in p.u. of `base`, truth and rules by output."""

    on: str
    features: NDArray[np.float32]
    block: NDArray[np.int64]
    base: float
    abstained: int
    horizons: tuple[tuple[str, int, str], ...]
    answer: Mapping[str, NDArray[Any]]
    truth: Mapping[str, Floats]
    rules: Mapping[str, list[tuple[str, Floats]]]

    @property
    def samples(self) -> Samples:
        """Rows without features: what a metric wants to know of them."""
        return Samples(np.zeros((len(self.block), 0), np.float32), {}, self.block)


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=UTC).timestamp()) * 1_000_000


def demand_figures(path: Path) -> dict[str, Any]:
    """load_forecast on the half-hourly demand; each half hour's mean stands for both of its quarter hours."""
    stream, watts = _demand(path)
    asked = _asked(_DEMAND, stream, watts, _DEMAND_HORIZONS)
    return {**_forecasts(asked), "week": _week(_DEMAND, stream, watts)}


def asked_forecasts(demand: Path, transformer: Path | None) -> list[Asked]:
    """What load_forecast was asked in the measured series that are there, for whoever would answer instead."""
    out = [_asked(_DEMAND, *_demand(demand), _DEMAND_HORIZONS)]
    if transformer is not None:
        stream = _transformer(transformer)
        out.append(_asked("measured transformer", stream, _watts(stream), _HORIZONS))
    return out


def _demand(path: Path) -> tuple[_Stream, Floats]:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    time_us = np.array([_us(row["date"]) for row in rows], np.int64)
    watts = np.array([float(row["value"]) for row in rows]) * 1e6
    time_us = (time_us[:, None] + np.array([0, SLOT_US])).reshape(-1)
    watts = np.repeat(watts, 2)
    info = PointInfo("demand", 230.0, 50.0, float(watts.max()) / 0.9 / 3 / 230.0, utc_offset_min=60)
    cells = np.full((len(watts), len(CHANNELS)), np.nan)
    for x in "abc":
        cells[:, _C[f"p_{x}"]] = watts / 3
    return _Stream(info, time_us, cells), watts


def measured(names: Collection[str], demand: Path, transformer: Path | None) -> dict[str, dict[str, Any]]:
    """Figures of these models on the measured series that are there, by model id."""
    out: dict[str, dict[str, Any]] = {}
    if "load_forecast" in names:
        out["load_forecast"] = demand_figures(demand)
    for name, found in (transformer_figures(transformer) if transformer is not None else {}).items():
        if name in names:
            into = out.setdefault(name, {"metrics": [], "facts": {}})
            into["metrics"] += found["metrics"]
            into["facts"] |= found["facts"]
    return out


def _watts(stream: _Stream) -> Floats:
    return np.asarray(stream.cells[:, _C["p_a"] : _C["p_c"] + 1].sum(1))


def _asked(on: str, stream: _Stream, watts: Floats, horizons: tuple[tuple[str, int, str], ...]) -> Asked:
    """One answer per quarter hour, truth by slot, the last value and the same time yesterday as rules."""
    scores, features, _ = stream.score()
    answer = scores["load_forecast"]
    slots = stream.time_us // SLOT_US
    first = int(slots[0])
    by_slot = np.full(int(slots[-1]) - first + 1, np.nan)
    total, count = np.bincount(slots - first, np.nan_to_num(watts)), np.bincount(slots - first, np.isfinite(watts))
    np.divide(total, count, out=by_slot, where=count > 0)
    ok = answer.status == Status.OK
    at = slots[answer.rows[ok]] - first
    base = 3 * stream.info.nominal_v_ln * float(stream.info.rated_a or 1.0)

    def then(k: NDArray[np.int64]) -> Floats:
        return np.where((k >= 0) & (k < len(by_slot)), by_slot[np.clip(k, 0, len(by_slot) - 1)], np.nan) / base

    rules = {
        name: [("the last quarter hour", then(at - 1)), ("the same time yesterday", then(at + ahead - 1 - _DAY))]
        if ahead < _DAY  # a day ahead both are the same
        else [("the same time yesterday, which is the last quarter hour", then(at - 1))]
        for name, ahead, _ in horizons
    }
    return Asked(
        on, features[answer.rows[ok]], at // _DAY, base, int((~ok).sum()), horizons,
        {name: column[ok] for name, column in answer.outputs.items()},
        {name: then(at + max(ahead - 1, 0)) for name, ahead, _ in horizons}, rules,
    )  # fmt: skip


def _forecasts(asked: Asked) -> dict[str, Any]:
    """Errors against the rules, and how often the intervals held."""
    on = asked.on
    metrics: list[Metric] = []
    facts: dict[str, Any] = {
        f"answers, {on}": len(asked.block),
        f"quarter hours that it abstained in, {on}": asked.abstained,
    }
    for name, _, text in asked.horizons:
        truth = asked.truth[name]
        said, low, high = (asked.answer[f"{name}{end}"] / asked.base for end in ("", "Low", "High"))
        for rule, value in asked.rules[name]:
            error, other = said - truth, value - truth
            metrics.append(
                mae_metric(f"MAE at {text}, {rule}", "p.u. of rating", on, asked.samples, error, other, rule)
            )
        good = np.isfinite(truth)
        inside = (truth >= low) & (truth <= high)
        facts[f"coverage of the 80 % interval at {text}, {on}"] = round(float(inside[good].mean()), 4)
    return {"metrics": [asdict(metric) for metric in metrics], "facts": facts}


def _week(on: str, stream: _Stream, watts: Floats) -> dict[str, Any]:
    """What was said an hour ahead of the series' last whole week (Monday to Sunday, local time) and what came, GW; one
    point per half hour."""
    answer = stream.score()[0]["load_forecast"]
    local = stream.time_us // SLOT_US + stream.info.utc_offset_min // 15
    # 1970-01-01 was a Thursday: a week of local quarter hours begins 4 days later.
    monday = (int(local[-1]) + 1 - 4 * _DAY) // (7 * _DAY) * 7 * _DAY + 4 * _DAY - 7 * _DAY
    said_at = {int(slot): k for k, slot in enumerate(local[answer.rows])}
    came = dict(zip(local.tolist(), watts.tolist(), strict=True))
    # An answer of a quarter hour speaks of the one that begins 45 minutes after it.
    slots = [slot for slot in range(monday, monday + 7 * _DAY, 2) if slot - 3 in said_at and slot in came]
    rows = np.array([said_at[slot - 3] for slot in slots])
    series = {
        "truth": np.array([came[slot] for slot in slots]),
        **{name: answer.outputs[f"forecastedLoad{end}"][rows] for name, end in _ENDS},
    }
    begin = datetime.fromtimestamp(monday * 900, UTC).date().isoformat()
    return {
        "on": on, "from": begin, "unit": "GW",
        "hour": [(slot - monday) / 4 for slot in slots],
        **{name: [round(float(v) / 1e9, 3) for v in values] for name, values in series.items()},
    }  # fmt: skip


# --- the transformer --------------------------------------------------------------------------------------------------


def _transformer(path: Path) -> _Stream:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["v_a"] and row["quality"] in _USABLE]
    time_us = np.array([_us(row["ts"]) for row in rows], np.int64)
    cells = np.full((len(rows), len(CHANNELS)), np.nan)
    for name, column in (
        *((f"{q}_{x}", f"{q}_{x}") for q in "vi" for x in "abc"), *((k, k) for k in ("v_ab", "v_bc", "v_ca", "i_n")),
        ("oil_temp", "oil_temp_c"), ("ambient_temp", "ambient_temp_c"),
    ):  # fmt: skip
        cells[:, _C[name]] = [float(row[column]) if row[column] else np.nan for row in rows]
    # Zero beside live phases: the line voltages were not recorded until July 2019.
    line = slice(_C["v_ab"], _C["v_ca"] + 1)
    cells[(cells[:, line] == 0).all(1), line] = np.nan
    for x in "abc":
        cells[:, _C[f"p_{x}"]] = cells[:, _C[f"v_{x}"]] * cells[:, _C[f"i_{x}"]]
        cells[:, _C[f"q_{x}"]] = 0.0
    info = PointInfo("transformer", 240.0, 50.0, _RATED_VA / 3 / 240.0, kind="transformer", utc_offset_min=330)
    order = np.argsort(time_us, kind="stable")
    return _Stream(info, time_us[order], cells[order])


def transformer_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Figures by model id."""
    stream = _transformer(path)
    on = "measured transformer"
    out = {"load_forecast": _forecasts(_asked(on, stream, _watts(stream), _HORIZONS))}
    scores, features, accepted = stream.score()
    weeks = float(stream.time_us[-1] - stream.time_us[0]) / _WEEK_US
    true_vuf = features[:, INDEX["vuf_line"]].astype(np.float64)
    events = _events(stream.time_us, accepted & (true_vuf > _OPEN_VUF))
    # Without its line voltages the model has to estimate what they would have said.
    blind = _Stream(stream.info, stream.time_us, stream.cells.copy())
    blind.cells[:, _C["v_ab"] : _C["v_ca"] + 1] = np.nan
    found, without, _ = blind.score()
    answer = found["phase_imbalance"]
    ok = answer.status == Status.OK
    rows = answer.rows[ok]
    said, truth = answer.outputs["vuf"][ok], true_vuf[rows]
    samples = Samples(np.zeros((len(rows), 0), np.float32), {}, stream.time_us[rows] // 86_400_000_000)
    rule = 100 * without[rows, INDEX["v_unbalance_magnitude"]].astype(np.float64)
    classes = answer.outputs["imbalanceClass"]
    error = mae_metric("MAE vuf, line voltages hidden", "pp", on, samples, said - truth, rule - truth, "magnitude rule")
    severe = answer.rows[ok & (classes == 3)]
    out["phase_imbalance"] = {
        "metrics": [asdict(error)],
        "facts": _alarms(on, stream, events, severe, weeks, "class severe, line voltages hidden"),
    }
    anomaly = scores["voltage_anomaly"]
    calls = anomaly.rows[(anomaly.status == Status.OK) & (anomaly.outputs["anomalyDetected"].astype(bool))]
    out["voltage_anomaly"] = {"metrics": [], "facts": _alarms(on, stream, events, calls, weeks, "anomalyDetected")}
    out["overload_risk"] = _loading(on, stream, scores["overload_risk"])
    out["equipment_failure"] = _stress(on, stream, scores["equipment_failure"], _flagged(path))
    return out


def _events(time_us: NDArray[np.int64], where: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of rows, an hour without any between two."""
    at = time_us[where]
    if not len(at):
        return []
    cut = np.flatnonzero(np.diff(at) > 3_600_000_000)
    return list(zip(at[np.r_[0, cut + 1]].tolist(), at[np.r_[cut, len(at) - 1]].tolist(), strict=True))


def _alarms(
    on: str, stream: _Stream, events: list[tuple[int, int]], rows: NDArray[np.int64], weeks: float, what: str
) -> dict[str, Any]:
    """How many events an alarm fell into, and how many alarms fell into none, runs of an hour counted once."""
    mask = np.zeros(len(stream.time_us), bool)
    mask[rows] = True
    runs = _events(stream.time_us, mask)
    hit = sum(any(a <= end and b >= start for a, b in runs) for start, end in events)
    false = sum(not any(a <= end and b >= start for start, end in events) for a, b in runs)
    return {
        f"open-phase events (V2/V1 of the line voltages above 10 %) found by {what}, {on}": [hit, len(events)],
        f"other alarms per week by {what}, {on}": round(false / weeks, 3),
    }


def _loading(on: str, stream: _Stream, answer: ModelScores) -> dict[str, Any]:
    """Highest current of the next hour (p.u.) against the present one held, where the hour has readings."""
    top = np.nanmax(stream.cells[:, _C["i_a"] : _C["i_c"] + 1], axis=1) / float(stream.info.rated_a or 1.0)
    ok = answer.status == Status.OK
    rows = answer.rows[ok]
    ends = np.searchsorted(stream.time_us, stream.time_us[rows] + 3_600_000_000, side="right")
    truth = np.array([top[r + 1 : e].max() if e - r > 3 else np.nan for r, e in zip(rows, ends, strict=True)])
    samples = Samples(np.zeros((len(rows), 0), np.float32), {}, stream.time_us[rows] // 86_400_000_000)
    said = answer.outputs["maxLoading"][ok]
    metric = mae_metric("MAE maxLoading", "p.u.", on, samples, said - truth, top[rows] - truth, "the present load held")
    return {"metrics": [asdict(metric)], "facts": {f"answers, {on}": int(ok.sum())}}


def _flagged(path: Path) -> NDArray[np.int64]:
    """Times of all rows with the oil temperature alarm, its trip, or the oil gauge's alarm; without electrical values
    too."""
    with path.open(newline="") as file:
        times = [
            _us(row["ts"])
            for row in csv.DictReader(file)
            if any(float(row[k] or 0) > 0 for k in ("oil_temp_alarm", "oil_temp_trip", "oil_gauge_alarm"))
        ]
    return np.sort(np.array(times, np.int64))


def _stress(on: str, stream: _Stream, answer: ModelScores, flagged: NDArray[np.int64]) -> dict[str, Any]:
    """failureRisk against the protection's own flags of the next 24 hours, and the rule that they come again."""
    ok = answer.status == Status.OK
    rows = answer.rows[ok]
    inside = stream.time_us[rows] + _DAY_US <= stream.time_us[-1]
    rows, risk = rows[inside], answer.outputs["failureRisk"][ok][inside]
    now = stream.time_us[rows]

    def any_in(start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
        return (np.searchsorted(flagged, end, "right") > np.searchsorted(flagged, start, "right")).astype(np.float64)

    truth, rule = any_in(now, now + _DAY_US), any_in(now - _DAY_US, now)
    metric = compare(
        "PR-AUC of the flags within 24 h", "-", on, now // _DAY_US,
        lambda r: (pr_auc(truth[r], risk[r]), pr_auc(truth[r], rule[r])), "a flag in the last 24 h",
        lower_is_better=False,
    )  # fmt: skip
    life = answer.outputs["lossOfLife"][ok]
    return {
        "metrics": [asdict(metric)],
        "facts": {
            f"answers, {on}": int(ok.sum()),
            f"share of answers followed by a flag (PR-AUC of chance), {on}": round(float(truth.mean()), 4),
            f"mean failureRisk where a flag followed / where none did / highest, {on}": [
                float(f"{v:.3g}") for v in (risk[truth > 0].mean(), risk[truth == 0].mean(), risk.max())
            ],
            f"highest lossOfLife of a day (%), {on}": float(f"{np.nanmax(life):.3g}"),
        },
    }
