"""Worlds with flexible devices, and rows that say how much of a point's load is flexible at this moment."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.windows import SLOT_US
from remhart_adt.simulate.spec import FeederSpec, Meter
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.samples import Samples
from training.table import features_at
from training.world import WorldPlan, build, thin

__all__ = ["CUSTOMERS", "customers", "flexible_rows", "split"]

# What a service's ordinary load is; -1 stands for a point that meters several customers.
CUSTOMERS: Final = ("residential", "commercial", "motor", "lighting", "ev", "heat_pump")
# Meters send every minute, every five or every fifteen.
_EVERY: Final = (1, 5, 15)
_AMBIENT: Final = CHANNEL_INDEX["ambient_temp"]
_DAY: Final = 96


def flexible_rows(plan: WorldPlan) -> dict[str, Any]:
    """A share of the quarter hours of one world after its first day, at every point that meters loads.

    y: `flexible` and `p` are the noise-free flexible and total power of that instant over Sn, `customer` the class of
    the service, `point` its number.
    """
    world = build(plan)
    rng = np.random.default_rng([plan.seed, 80])
    world = thin(world, int(rng.choice(_EVERY)))
    # Not every meter has a thermometer beside it.
    world.values[:, rng.random(len(world.infos)) < 0.5, _AMBIENT] = np.nan
    quarter = (world.time_us - plan.start_us) // SLOT_US
    first = np.r_[True, quarter[1:] != quarter[:-1]] & (quarter >= _DAY)
    x, t, p = features_at(world, np.flatnonzero(first & (rng.random(len(first)) < 0.3)))
    assert world.flexible is not None
    base = np.array([3 * i.nominal_v_ln * (i.rated_a or np.nan) for i in world.infos])
    y = {
        "flexible": world.flexible[t, p] / base[p],
        "p": world.p_true[t, p] / base[p],
        "customer": customers(world.spec)[p].astype(float),
        "point": p.astype(float),
    }
    loads = np.array([i.kind not in ("renewable_source", "capacitor_bank") for i in world.infos])
    samples = Samples(x, y, quarter[t] // _DAY)
    return {"flexible": samples.take(loads[p])}


def customers(spec: FeederSpec) -> NDArray[np.int64]:
    """For every point the number in CUSTOMERS of the class with the greatest peak behind its service, or -1."""
    out = np.full(len(spec.points), -1)
    services = {e.id: e for e in spec.elements if isinstance(e, Meter)}
    for k, point in enumerate(spec.points):
        if point.element in services:
            peak = np.zeros(len(CUSTOMERS))
            for load in services[point.element].loads:
                peak[CUSTOMERS.index(load.kind)] += load.peak_kw
            out[k] = int(peak.argmax())
    return out


def _world(feeder: str, number: int, date: tuple[int, int, int], days: float) -> WorldPlan:
    rng = np.random.default_rng([SEED, number])
    start = np.datetime64(f"{date[0]:04d}-{date[1]:02d}-{date[2]:02d}", "us").astype(np.int64)
    return WorldPlan(
        feeder, SEED + number, int(start), days, steps=round(3 * days), devices=round(float(rng.uniform(0.05, 0.7)), 3)
    )


def split(quick: bool) -> Split:
    """Full: worlds of 9 days in four seasons. Quick: the same shape with fewer, shorter ones."""
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS
    days, each = (3.0, 1) if quick else (9.0, 2)
    # Numbers and dates; the numbers keep clear of those that other sets are judged on.
    seasons = {40: (2025, 1, 13)}
    if not quick:
        seasons |= {10: (2025, 3, 17), 20: (2025, 5, 12), 30: (2025, 7, 14)}
    unseen = ((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))

    def worlds(feeder: str, number: int, date: tuple[int, int, int]) -> list[WorldPlan]:
        return [_world(feeder, number + i, date, days) for i in range(each)]

    return Split(
        learn=tuple(
            w for k, f in enumerate(learn) for j, date in seasons.items()
            for w in worlds(f, 3000 + 100 * k + j, date)
        ),
        calibrate=tuple(w for k, f in enumerate(learn) for w in worlds(f, 3500 + 10 * k, (2025, 9, 8))),
        test_time=tuple(w for k, f in enumerate(learn) for w in worlds(f, 3600 + 10 * k, (2025, 11, 10))),
        test_feeder=tuple(w for j, date in enumerate(unseen) for w in worlds(TEST_FEEDER, 3700 + 10 * j, date)),
    )  # fmt: skip
