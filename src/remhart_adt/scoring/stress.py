"""Thermal stress of the last day, from quarter-hour means: hot spot, insulation life used, hours of high current.

IEEE C57.91-2011, clause 5: relative ageing FAA = exp(15000/383 - 15000/(hot spot + 273)), and the life used in a time
t is the mean of FAA over it, times t, over the normal insulation life of 180 000 h. Clause 7: top oil follows its
ultimate rise exponentially; the hot spot lies H = hot_spot_rise K^(2m) above it (the winding settles in minutes).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.masked import count, only

__all__ = [
    "LEAST",
    "NORMAL_LIFE_H",
    "Heat",
    "aging",
    "filled_with_mean",
    "hot_spots",
    "hourly",
    "life_used",
    "oil_rises",
    "over_day",
    "ultimate_rises",
]

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
    n = count(have)
    mean = only(aging(hot_spot), have).sum(1) / np.maximum(n, 1)
    return np.where(n >= LEAST, mean * 24.0 / NORMAL_LIFE_H * 100.0, np.nan)


def ultimate_rises(square: F64, heat: Heat) -> F64:
    """Top-oil rise that every quarter hour's load would end at, (m, k) as `square`, its mean square, all there."""
    ratio = heat.loss_ratio[:, None]
    return heat.oil_rise[:, None] * np.exp(heat.n[:, None] * np.log((square * ratio + 1) / (ratio + 1)))


def filled_with_mean(square: F64) -> F64:
    """Quarter hours (m, k) without a current take part like the mean of the others; no load when there is none."""
    have = ~np.isnan(square)
    if have.all():
        return square
    n = np.maximum(count(have), 1)
    return np.where(have, square, (only(square, have).sum(1) / n)[:, None])


def oil_rises(ultimate: F64, heat: Heat) -> F64:
    """Top-oil rise at the end of every quarter hour, (m, k) as `ultimate`, newest first.

    The rise before the oldest quarter hour is not known: it is taken to be that of the same time of the next day.
    """
    step = np.minimum(15.0 / heat.oil_minutes, _FASTEST)[:, None]
    k = ultimate.shape[1]
    growth, decay = np.exp(step * np.arange(1, k + 1)), np.exp(-step * np.arange(1, k + 1))
    # x_k = a x_(k-1) + (1 - a) u_k as a sum of positive terms, so that nothing cancels.
    rise = np.cumsum(ultimate[:, ::-1] * growth, axis=1) * (1 - np.exp(-step)) * decay
    day = min(_DAY, k)
    start = rise[:, day - 1] / (1 - np.exp(-step[:, 0] * day))
    rise += start[:, None] * decay
    return np.asarray(rise[:, ::-1])


def hot_spots(square: F64, rise: F64, oil: F64, ambient: F64, heat: Heat) -> F64:
    """Hot spot at the end of the last 96 quarter hours (m, 96), newest first, from columns (m, 96 or more) of which
    `rise` is `oil_rises`.

    A measured top oil is believed unless it is above 160 degC or 15 K below ambient; without one the model's is taken.
    """
    ambient = _filled(np.where((ambient >= -60) & (ambient <= 70), ambient, np.nan))[:, :_DAY]
    oil, square = oil[:, :_DAY], square[:, :_DAY]
    good = (oil > -60) & (oil <= 160) & ~(oil < ambient - 15)
    winding = heat.hot_spot_rise[:, None] * np.exp(heat.m[:, None] * np.log(np.maximum(square, 1e-18)))
    return np.where(good, oil, ambient + rise[:, :_DAY]) + winding


def _filled(column: F64) -> F64:
    """Missing cells take the newest older one within two hours; newest first."""
    missing = np.isnan(column)
    # Whoever has no thermometer at all is not searched for one, nor whoever misses nothing.
    some = np.flatnonzero(missing.any(1) & ~missing.all(1))
    if not len(some):
        return column
    out, gaps = column.copy(), column[some]
    for back in range(1, _AMBIENT_SLOTS):
        older = column[some, back:]
        gaps[:, : older.shape[1]] = np.where(np.isnan(gaps[:, : older.shape[1]]), older, gaps[:, : older.shape[1]])
    out[some] = gaps
    return out


def hourly(column: F64) -> F64:
    """Means of every four consecutive cells of which three are there, (..., k) -> (..., k - 3)."""
    have = ~np.isnan(column)
    filled = only(column, have)
    k = column.shape[-1] - 3
    one = have.view(np.uint8)
    n = one[..., :k] + one[..., 1 : k + 1] + one[..., 2 : k + 2] + one[..., 3:]
    total = filled[..., :k] + filled[..., 1 : k + 1] + filled[..., 2 : k + 2] + filled[..., 3:]
    return np.where(n >= 3, total / np.maximum(n, 1), np.nan)


def over_day(column: F64) -> tuple[F64, F64]:
    """Highest cell and how many cells ago the newest such one lies; NaN where there is none."""
    highest = np.fmax.reduce(column, axis=1)
    age = (column == highest[:, None]).argmax(1).astype(np.float64)
    return highest, np.where(np.isnan(highest), np.nan, age)
