"""Feeders with units that can be dispatched: what the meters show, and what has to be supplied in the next 15 minutes.

Demand is that of a feeder's customers, minute by minute (`Scenery`; losses are left out: they are a few percent and
move with the demand). Every world has units of its own, with limits, ramps and costs, run by an operator who is some
way from the cheapest dispatch. No engine is needed: costs do not depend on where in the feeder a unit stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch
from remhart_adt.scoring.feeder import Missing, feeder_features
from remhart_adt.scoring.types import UNITS, FeederInfo, PointInfo, UnitInfo
from remhart_adt.scoring.windows import Windows
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.loads import Scenery
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split, us
from training.samples import Samples

__all__ = ["DispatchPlan", "dispatch_rows", "split"]

Floats = NDArray[np.float64]
_C: Final = CHANNEL_INDEX
_MINUTE_US: Final = 60_000_000
_QUARTER: Final = 15
_EVERY: Final = 5  # minutes between two readings
_METER: Final = 0.005


@dataclass(frozen=True)
class DispatchPlan:
    """Which feeder's customers, from when, for so many days, with so many units beside the infeed."""

    feeder: str
    seed: int
    start_us: int
    days: float
    units: int


def split(quick: bool) -> Split:
    """Worlds of 8 days (quick: 4), each with one to five units."""
    learn, each, days = (LEARN_FEEDERS[:2], 2, 4.0) if quick else (LEARN_FEEDERS, 2, 8.0)
    seasons = ((2025, 1, 13),) if quick else ((2025, 1, 13), (2025, 4, 14), (2025, 7, 14))

    def worlds(feeder: str, number: int, date: tuple[int, int, int]) -> list[DispatchPlan]:
        return [
            DispatchPlan(feeder, SEED + number + i, us(*date), days, 1 + (number + i) % (UNITS - 1))
            for i in range(each)
        ]

    return Split(
        learn=tuple(
            w for k, f in enumerate(learn) for j, date in enumerate(seasons)
            for w in worlds(f, 9000 + 100 * k + 11 * j, date)
        ),
        calibrate=tuple(w for k, f in enumerate(learn) for w in worlds(f, 9500 + 11 * k, (2025, 9, 8))),
        test_time=tuple(w for k, f in enumerate(learn) for w in worlds(f, 9600 + 11 * k, (2025, 11, 10))),
        test_feeder=tuple(
            w for j, date in enumerate(((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))[-1 if quick else 0 :])
            for w in worlds(TEST_FEEDER, 9700 + 11 * j, date)
        ),
    )  # fmt: skip


def dispatch_rows(plan: DispatchPlan) -> dict[str, Any]:
    """Feeder features every quarter hour, with the mean demand of the 15 minutes that follow (W) as truth."""
    rng = np.random.default_rng([plan.seed, 91])
    spec = FEEDERS[plan.feeder]
    minutes = round(plan.days * 1440)
    scenery = Scenery(Feeder(spec), plan.seed, plan.start_us).advance(minutes)
    rated = spec.transformer.kva * 1000
    demand = np.maximum(1000 * scenery.kw.sum(1), 0.05 * rated)
    units = _units(plan, rated, rng)
    own = _operated(units[1:], demand, rng)
    supply = np.column_stack([demand - own.sum(1), own])
    infos = [PointInfo(u.point_id, spec.nominal_v, spec.hz, rated / 3 / spec.nominal_v, kind="meter",
                       utc_offset_min=round(spec.site.zone_h * 60)) for u in units]  # fmt: skip
    infos.append(PointInfo("customers", spec.nominal_v, spec.hz, rated / 3 / spec.nominal_v, kind="meter"))
    feeder = FeederInfo("source", "infeed", rated, units=units)
    windows = Windows(infos)
    rows, truth, block = [], [], []
    total = np.concatenate([[0.0], np.cumsum(demand)])
    for start in range(0, minutes - 2 * _QUARTER, _QUARTER):
        windows.push(_readings(plan, spec.nominal_v, infos, supply, demand, start, rng))
        try:
            end_us, x = feeder_features([windows], feeder, [info.point_id for info in infos])
        except Missing:
            continue
        now = int(end_us - plan.start_us) // _MINUTE_US
        rows.append(x[0])
        truth.append((total[now + _QUARTER] - total[now]) / _QUARTER)
        block.append(now // 1440)
    return {"dispatch": Samples(np.array(rows, np.float32), {"demand_next": np.array(truth)}, np.array(block))}


def _units(plan: DispatchPlan, rated: float, rng: np.random.Generator) -> tuple[UnitInfo, ...]:
    """The infeed at a flat price, and units whose marginal cost rises with what they give."""
    price = rng.uniform(0.12, 0.30)
    found = [UnitInfo("infeed", "infeed", 0.0, rated, price, rng.uniform(0.0, 0.2) * price / (rated / 1000))]
    for k in range(plan.units):
        high = rated * rng.uniform(0.04, 0.25)
        linear = price * rng.uniform(0.5, 1.5)
        rise = rng.uniform(0.05, 0.8) * linear  # of the marginal cost from nothing to full power
        found.append(
            UnitInfo(
                f"u{k}", f"u{k}", high * float(rng.choice([0.0, 0.0, 0.3])), high, linear, rise / 2 / (high / 1000),
                high * float(np.exp(rng.uniform(np.log(0.01), np.log(0.3)))),
            )
        )  # fmt: skip
    return tuple(found)


def _operated(units: tuple[UnitInfo, ...], demand: Floats, rng: np.random.Generator) -> Floats:
    """What the units give, minute by minute: set anew every quarter hour, somewhere between least and greatest, within
    their ramps and 70 % of the demand together."""
    level = np.array([u.low_w for u in units])
    low, high = level.copy(), np.array([u.high_w for u in units])
    ramp = np.array([u.ramp_w_min or np.inf for u in units])
    wish = rng.uniform(0, 1, len(units))
    out = np.empty((len(demand), len(units)))
    for t in range(len(demand)):
        if t % _QUARTER == 0:
            wish = (wish + rng.normal(0, 0.25, len(units))).clip(0, 1)
            room = max(0.0, 0.7 * demand[t : t + _QUARTER].min() - low.sum())
            spread = wish * (high - low)
            target = low + spread * min(1.0, room / max(1.0, spread.sum()))
        level = level + np.clip(target - level, -ramp, ramp)
        out[t] = level
    # Where even the least of all is too much, units are off.
    return out * np.minimum(1.0, 0.9 * demand / np.maximum(1.0, out.sum(1)))[:, None]


def _readings(
    plan: DispatchPlan, nominal: float, infos: list[PointInfo], supply: Floats, demand: Floats, start: int,
    rng: np.random.Generator,
) -> ReadingBatch:  # fmt: skip
    """All points every five minutes of a quarter hour, with the errors of class 0.5 meters."""
    at = np.arange(start, start + _QUARTER, _EVERY)
    n, m = len(at), len(infos)
    p = np.column_stack([supply[at, 0], -supply[at, 1:], demand[at]])
    p *= 1 + rng.normal(0, _METER / 2, p.shape)
    cells = np.full((n, m, len(CHANNELS)), np.nan)
    for x in "abc":
        cells[:, :, _C[f"v_{x}"]] = nominal
        cells[:, :, _C[f"p_{x}"]] = p / 3
        cells[:, :, _C[f"q_{x}"]] = 0.1 * p / 3
        cells[:, :, _C[f"i_{x}"]] = np.abs(p) / 3 / nominal
    times = np.repeat(plan.start_us + _MINUTE_US * at, m)
    count = n * m
    return ReadingBatch(
        tuple(info.point_id for info in infos), np.tile(np.arange(m, dtype=np.int32), n), times,
        cells.reshape(count, -1), np.zeros(count, np.int8), np.arange(count), np.zeros(count, np.int32), times,
    )  # fmt: skip
