"""Rows for the power quality index: what a meter's last day looks like, and the noise-free index of the day after."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring import quality
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.windows import SLOT_US
from training.samples import Samples, by_minute
from training.table import features_at
from training.world import World, thin

__all__ = ["quality_rows"]

Floats = NDArray[np.float64]
_WEEK: Final = 7 * quality.DAY
# Meters send every minute, every five or every fifteen.
_EVERY: Final = (1, 5, 5, 15)


def quality_rows(world: World, share: float, seed: int) -> Samples:
    """A share of the world's quarter hours that have a day before and a day after them, at every point."""
    rng = np.random.default_rng(seed)
    truth = _true_severities(world)
    metered = thin(world, max(1, int(rng.choice(_EVERY)) // world.plan.every))
    first = int(world.plan.start_us // SLOT_US)
    last = len(truth) - quality.DAY
    chosen = np.zeros(len(truth) + 1, bool)
    chosen[quality.DAY : last + 1] = rng.random(last + 1 - quality.DAY) < share
    quarter = metered.time_us // SLOT_US - first
    asked = np.r_[True, quarter[1:] != quarter[:-1]] & chosen[np.minimum(quarter, len(truth))]
    x, t, p = features_at(metered, np.flatnonzero(asked))
    q = quarter[t]
    # Truth counts the parts that the meter's own index counts.
    blind = np.isnan(x[:, INDEX["quality_unbalance"]])
    y = {"point": p.astype(float)}
    for name, shift in (("next", 0), ("now", -quality.DAY), ("week", -_WEEK)):
        day = _days(truth, q + shift, p)
        parts = day.parts.copy()
        parts[blind, 1] = np.nan
        y[name] = quality.total(parts)
        y[f"{name}_hours"] = day.hours_out
    y["before"] = _mean_before(truth, q, p, blind)
    return Samples(x, y, q // quality.DAY)


def _true_severities(world: World) -> Floats:
    """(quarter hours, points, 4) of the noise-free minutes; THD is unknown to the engine."""
    v = _quarters(by_minute(world, world.v_true))
    u2 = _quarters(by_minute(world, np.nan_to_num(world.vuf)))
    f = _quarters(by_minute(world, world.hz_true))[:, None] / world.spec.hz
    phases = np.ascontiguousarray(np.swapaxes(v, 1, 2))
    none = np.full(phases.shape, np.nan)
    return np.swapaxes(quality.severities(phases, u2, np.broadcast_to(f, u2.shape), none), 1, 2)


def _quarters(minutes: Floats) -> Floats:
    whole = len(minutes) // 15
    return np.asarray(minutes[: whole * 15].reshape(whole, 15, *minutes.shape[1:]).mean(1))


def _days(truth: Floats, start: NDArray[np.int64], point: NDArray[np.int64]) -> quality.Day:
    """The days that begin with the quarter hours `start`; one that begins before the world knows nothing."""
    at = start[:, None] + np.arange(quality.DAY)
    severity = truth[np.clip(at, 0, len(truth) - 1), point[:, None]]
    severity[start < 0] = np.nan
    return quality.day_index(np.swapaxes(severity, 1, 2))


def _mean_before(truth: Floats, q: NDArray[np.int64], p: NDArray[np.int64], blind: NDArray[np.bool_]) -> Floats:
    """Mean index of the whole days before, up to seven."""
    sum_, n = np.zeros(len(q)), np.zeros(len(q))
    for back in range(1, 8):
        parts = _days(truth, q - back * quality.DAY, p).parts
        parts[blind, 1] = np.nan
        index = quality.total(parts)
        sum_ += np.nan_to_num(index)
        n += np.isfinite(index)
    return np.where(n > 0, sum_ / np.maximum(n, 1), np.nan)
