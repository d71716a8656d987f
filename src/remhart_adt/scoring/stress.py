"""Thermal stress of the last day, from quarter-hour means: hot spot, insulation life used, hours of high current.

IEEE C57.91-2011, clause 5: relative ageing FAA = exp(15000/383 - 15000/(hot spot + 273)), and the life used in a time
t is the mean of FAA over it, times t, over the normal insulation life of 180 000 h. Clause 7: top oil follows its
ultimate rise exponentially; the hot spot lies H = hot_spot_rise K^(2m) above it (the winding settles in minutes).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "NORMAL_LIFE_H", "Heat", "aging", "hot_spots", "hourly", "life_used", "oil_rises", "over_day"]

F64 = NDArray[np.float64]
NORMAL_LIFE_H: Final = 180_000.0
# How many of the 96 quarter hours must be there before a day's figures are given.
LEAST: Final = 72
_DAY: Final = 96
# An ambient temperature is good for so many quarter hours.
_AMBIENT_SLOTS: Final = 8
# A state that forgets more than exp(-5) per quarter hour is settled in each; the limit keeps the sums finite.
_FASTEST: Final = 5.0


class Heat(NamedTuple):
    """Thermal constants, (m,) each, as in `types.Thermal`."""

    oil_rise: F64
    loss_ratio: F64
    n: F64
    oil_minutes: F64
    hot_spot_rise: F64
    m: F64


def aging(hot_spot: F64) -> F64:
    """FAA of hot spots in degC; 1 at 110 degC."""
    return np.asarray(np.exp(15000.0 * (hot_spot - 110.0) / (383.0 * (hot_spot + 273.0))))


def life_used(hot_spot: F64) -> F64:
    """Life used in 24 h in % of normal life, from the quarter hours (m, 96); those that are missing took part like the
    mean of the others. NaN when fewer than `LEAST` are there."""
    have = ~np.isnan(hot_spot)
    n = have.sum(1)
    mean = np.where(have, aging(np.where(have, hot_spot, 0.0)), 0.0).sum(1) / np.maximum(n, 1)
    return np.where(n >= LEAST, mean * 24.0 / NORMAL_LIFE_H * 100.0, np.nan)


def oil_rises(square: F64, heat: Heat) -> F64:
    """Top-oil rise at the end of every quarter hour, (m, k) as `square`, the mean squared load, newest first.

    The rise before the oldest quarter hour is not known: it is taken to be that of the same time of the next day.
    Quarter hours without a current take part like the mean of the others.
    """
    have = ~np.isnan(square)
    mean = np.where(have, square, 0.0).sum(1) / np.maximum(have.sum(1), 1)
    oldest_first = np.ascontiguousarray(np.where(have, square, mean[:, None])[:, ::-1])
    ratio = heat.loss_ratio[:, None]
    share = (oldest_first * ratio + 1) / (ratio + 1)
    ultimate = heat.oil_rise[:, None] * np.exp(heat.n[:, None] * np.log(share))
    step = np.minimum(15.0 / heat.oil_minutes, _FASTEST)[:, None]
    k = np.arange(1, square.shape[1] + 1)
    # x_k = a x_(k-1) + (1 - a) u_k as a sum of positive terms, so that nothing cancels.
    rise = np.cumsum(ultimate * np.exp(step * k), axis=1) * (1 - np.exp(-step)) * np.exp(-step * k)
    day = min(_DAY, square.shape[1])
    start = rise[:, day - 1] / (1 - np.exp(-step[:, 0] * day))
    rise += start[:, None] * np.exp(-step * k)
    return np.asarray(rise[:, ::-1])


def hot_spots(square: F64, oil: F64, ambient: F64, heat: Heat) -> F64:
    """Hot spot at the end of the last 96 quarter hours (m, 96), newest first, from columns (m, 96 or more).

    A measured top oil is believed unless it is above 160 degC or 15 K below ambient; without one the model's is taken.
    """
    rise = oil_rises(square, heat)[:, :_DAY]
    ambient = _filled(np.where((ambient >= -60) & (ambient <= 70), ambient, np.nan))[:, :_DAY]
    oil = oil[:, :_DAY]
    good = (oil > -60) & (oil <= 160) & ~(oil < ambient - 15)
    square = square[:, :_DAY]
    winding = heat.hot_spot_rise[:, None] * np.exp(heat.m[:, None] * np.log(np.maximum(square, 1e-18)))
    return np.where(np.isnan(square), np.nan, np.where(good, oil, ambient + rise) + winding)


def _filled(column: F64) -> F64:
    """Missing cells take the newest older one within two hours; newest first."""
    out = column.copy()
    if not np.isnan(out).any():
        return out
    for back in range(1, _AMBIENT_SLOTS):
        older = column[:, back:]
        out[:, : older.shape[1]] = np.where(np.isnan(out[:, : older.shape[1]]), older, out[:, : older.shape[1]])
    return out


def hourly(column: F64) -> F64:
    """Means of every four consecutive cells of which three are there, (m, k) -> (m, k - 3)."""
    have = ~np.isnan(column)
    filled = np.where(have, column, 0.0)
    k = column.shape[1] - 3
    one = have.view(np.uint8)
    n = one[:, :k] + one[:, 1 : k + 1] + one[:, 2 : k + 2] + one[:, 3:]
    total = filled[:, :k] + filled[:, 1 : k + 1] + filled[:, 2 : k + 2] + filled[:, 3:]
    return np.where(n >= 3, total / np.maximum(n, 1), np.nan)


def over_day(column: F64) -> tuple[F64, F64]:
    """Highest cell and how many cells ago the newest such one lies; NaN where there is none."""
    have = ~np.isnan(column)
    some = have.any(1)
    filled = np.where(have, column, -np.inf)
    return np.where(some, filled.max(1), np.nan), np.where(some, filled.argmax(1).astype(np.float64), np.nan)
