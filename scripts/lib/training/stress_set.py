"""Worlds and rows for equipment failure: what a point's past says, and the thermal alarm of the next 24 hours.

A world's currents are read under other ratings, as transformers and as lines, so that some run cool and some too hot.
The truth is integrated minute by minute over the noise-free current (IEEE C57.91 clause 7); readings only see what
meters send, every five or fifteen minutes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring import stress
from remhart_adt.scoring.types import Thermal
from remhart_adt.scoring.windows import SLOT_US
from remhart_adt.simulate.weather import OrnsteinUhlenbeck
from training.heat_set import integrate
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.samples import Samples, by_minute, join
from training.table import features_at
from training.world import World, WorldPlan, build, thin

__all__ = ["HOT_ALARM", "LOAD_ALARM", "split", "stress_rows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Hottest spot of normal life expectancy loading, degC (IEEE C57.91-2011 clause 9), and the rating of a line.
HOT_ALARM: Final = 120.0
LOAD_ALARM: Final = 1.0
_AHEAD: Final = 1440
_MINUTE_US: Final = 60_000_000
# One day is not like the other: around the mean of its week, the highest hour of the day of a measured distribution
# transformer varies by 12 %, with a correlation of about 0.35 from one day to the next. The engine's own days vary by
# 3 % where many customers add up. Standard deviations of what the points of a world have in common and of each alone.
_COMMON, _OWN, _DAY_S = 0.09, 0.06, 86_400.0
_LOAD: Final = [CHANNEL_INDEX[f"{x}_{phase}"] for x in "ipq" for phase in "abc"] + [CHANNEL_INDEX["i_n"]]
_OIL, _AIR = CHANNEL_INDEX["oil_temp"], CHANNEL_INDEX["ambient_temp"]


def stress_rows(plan: WorldPlan) -> dict[str, Any]:
    """Rows of one world under two sets of ratings, of a sixth of the quarter hours that have a day before and
    a day after them."""
    world = build(plan)
    one, two = (_rows(world, 1 / 6, plan.seed, turn) for turn in (0, 1))
    both = join([one, two])
    # Two sets of ratings of the same days are no independent blocks.
    both.block = np.concatenate([one.block, two.block])
    return {"stress": both}


def _rows(world: World, share: float, seed: int, turn: int) -> Samples:
    rng = np.random.default_rng([seed, 79, turn])
    world, truth = _loaded(world, rng)
    hours = _hours_until(truth["over"])
    metered = thin(world, int(rng.choice((1, 1, 3))))
    quarter = (metered.time_us - world.plan.start_us) // SLOT_US
    wanted = (
        (quarter >= 96) & (quarter < len(truth["over"]) // 15 - 96) & (rng.random(quarter[-1] + 1) < share)[quarter]
    )
    asked = np.r_[True, quarter[1:] != quarter[:-1]] & wanted
    x, t, p = features_at(metered, np.flatnonzero(asked))
    at = (metered.time_us[t] - world.plan.start_us) // _MINUTE_US
    y = {
        "hours": hours[at, p],
        "alarm": np.isfinite(hours[at, p]).astype(float),
        "now": truth["over"][at, p].astype(float),
        "past": _past(truth["over"])[at, p],
        "life": truth["life"][at, p],
        "transformer": truth["transformer"][p],
        "point": p.astype(float) + turn * len(world.infos),
        "day": (at // 1440).astype(float),
    }
    # The truth of a row reaches a day ahead: two days are a block.
    return Samples(x, y, at // 2880)


def _loaded(world: World, rng: np.random.Generator) -> tuple[World, dict[str, Floats]]:
    """The world under other ratings, and by minute and point: over the alarm limit, life used in 24 h (%)."""
    p_n = len(world.infos)
    minutes = by_minute(world, world.k_true)
    days = _days(*minutes.shape, rng)
    amps = minutes * days * np.array([i.rated_a or np.nan for i in world.infos])
    rated = np.quantile(amps, 0.995, axis=0) / np.exp(rng.uniform(np.log(0.55), np.log(1.8), p_n))
    heat = Thermal(loss_ratio=float(rng.uniform(3.5, 9)), oil_minutes=float(rng.uniform(120, 240)))
    transformer = rng.random(p_n) < 0.6
    infos = [
        replace(info, rated_a=float(a), thermal=heat, kind="transformer" if t else "transmission_line")
        for info, a, t in zip(world.infos, rated, transformer.tolist(), strict=True)
    ]
    k, air = amps / rated, by_minute(world, world.ambient) + rng.uniform(-5, 12)
    oil, hot = integrate(heat, k, air)
    hour = np.sqrt(_mean_before(k * k, 60))
    over = np.where(transformer, hot > HOT_ALARM, hour > LOAD_ALARM)
    life = 100 * 24 / stress.NORMAL_LIFE_H * _mean_before(stress.aging(hot), _AHEAD)
    minute_of = np.minimum((world.time_us - world.plan.start_us) // _MINUTE_US, len(k) - 1)
    values = world.values.copy()
    values[:, :, _LOAD] *= days[minute_of][:, :, None]
    values[:, :, _OIL] = np.nan
    values[:, :, _AIR] = np.where(transformer, np.round(air[minute_of], 1)[:, None], np.nan)
    gauge = np.flatnonzero(transformer & (rng.random(p_n) < 0.5))
    values[:, gauge, _OIL] = np.round(oil[minute_of][:, gauge] + rng.normal(0, 0.5, len(gauge)), 1)
    return replace(world, values=values, infos=infos), {"over": over, "life": life, "transformer": transformer * 1.0}


def _days(minutes: int, points: int, rng: np.random.Generator) -> Floats:
    """Factors on current and power by minute and point, around 1 (a voltage does not follow them)."""
    spread = np.array([_COMMON, *[_OWN] * points])
    walk = OrnsteinUhlenbeck(rng, np.full(points + 1, _DAY_S), spread).block(minutes, 60.0)
    return np.asarray(np.exp(walk[:, :1] + walk[:, 1:]))


def _mean_before(series: Floats, minutes: int) -> Floats:
    """Mean of the last so many minutes, this one included; of what there is at the start."""
    total = np.cumsum(np.concatenate([np.zeros((1, series.shape[1])), series]), axis=0)
    end = np.arange(1, len(series) + 1)
    first = np.maximum(end - minutes, 0)
    return np.asarray((total[end] - total[first]) / (end - first)[:, None])


def _hours_until(over: Floats) -> Floats:
    """Hours from each minute to the next one that is over the limit; NaN when none is within 24 h."""
    out = np.full(over.shape, np.nan)
    next_ = np.full(over.shape[1], np.inf)
    for t in range(len(over) - 1, -1, -1):
        away = next_ - t
        out[t] = np.where(away <= _AHEAD, away / 60, np.nan)
        next_ = np.where(over[t], t, next_)
    return out


def _past(over: Floats) -> Floats:
    """Whether a minute of the 24 hours before was over the limit."""
    return (_mean_before(over.astype(float), _AHEAD) > 0.5 / _AHEAD).astype(float)


def split(quick: bool) -> Split:
    """Twelve days of instants every five minutes: most rows have a week before them. Quick: fewer and shorter."""
    learn, days = (LEARN_FEEDERS[:2], 5.0) if quick else (LEARN_FEEDERS, 12.0)
    seasons = ((2025, 7, 14),) if quick else ((2025, 1, 13), (2025, 3, 10), (2025, 5, 12), (2025, 7, 14))
    unseen = ((2025, 6, 9),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))

    def world(feeder: str, number: int, date: tuple[int, int, int]) -> WorldPlan:
        start = int(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000
        load = float(np.exp(np.random.default_rng([SEED, number]).uniform(0.0, 0.8)).round(3))
        return WorldPlan(
            feeder, SEED + number, start, days, faults=round(0.3 * days), steps=round(3 * days),
            skew=(load, load, load), every=5,
        )  # fmt: skip

    return Split(
        learn=tuple(world(f, 6000 + 10 * k + j, date) for k, f in enumerate(learn) for j, date in enumerate(seasons)),
        calibrate=tuple(world(f, 6100 + k, (2025, 9, 8)) for k, f in enumerate(learn)),
        test_time=tuple(world(f, 6200 + k, (2025, 11, 10)) for k, f in enumerate(learn)),
        test_feeder=tuple(world(TEST_FEEDER, 6300 + j, date) for j, date in enumerate(unseen)),
    )
