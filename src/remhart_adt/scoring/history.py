"""Features of closed quarter hours: lags, seasonal means, the source-impedance fit, the thermal state, the calendar.

They depend on a point and its running quarter hour only, so they are computed once per quarter hour and cached.
Reductions run along the last axis of a C-ordered array, one row at a time for numpy: the result of a row does not
depend on how many rows came with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring import quality, stress
from remhart_adt.scoring.features import LAGS_P, LAGS_Q, SLOT_NAMES
from remhart_adt.scoring.windows import LONG_SLOTS, SHORT_COLUMNS, SHORT_SLOTS, SLACK

if TYPE_CHECKING:
    from remhart_adt.scoring.windows import Windows

__all__ = ["slot_features"]

F64 = NDArray[np.float64]
_S: Final = {name: i for i, name in enumerate(SHORT_COLUMNS)}
_DAY: Final = 96
_WEEK: Final = 7 * _DAY
_DAY_S: Final = 86_400.0
# Share of a day that must be present before its statistics are used: an hour may be missing.
_DAY_SHARE: Final = 92
_FIT_SLOTS: Final = 8
# The quarter hours of the six days before the last.
_BEFORE: Final = np.arange(_DAY + 1, _WEEK + 1)
# The quarter hours back of which total P and Q are looked at: the last day and an hour without a gap, then the same
# quarter hours of other days.
_LAGS: Final = np.array(
    sorted({*LAGS_P, *LAGS_Q, *range(1, _DAY + 5), *(k * _DAY + j for k in range(1, 8) for j in (0, -3)),
            *(1 + k * _DAY for k in range(7))})
)  # fmt: skip


def _at(*back: int) -> NDArray[np.intp]:
    """Where quarter hours back stand in `_LAGS`."""
    return np.searchsorted(_LAGS, back)


_P_AT: Final = _at(*LAGS_P)
_Q_AT: Final = _at(*LAGS_Q)
# The same quarter hour on seven days, for each horizon.
_SAME: Final = ("p_same_15min", "p_same_1h", "p_same_24h")
_SAME_AT: Final = np.stack(
    [_at(*(k * _DAY for k in range(1, 8))), _at(*(k * _DAY - 3 for k in range(1, 8))),
     _at(*(1 + k * _DAY for k in range(7)))]
)  # fmt: skip
_P_NAMES: Final = tuple((f"p_lag{k}", at) for k, at in zip(LAGS_P, _P_AT.tolist(), strict=True))
_Q_NAMES: Final = tuple((f"q_lag{k}", at) for k, at in zip(LAGS_Q, _Q_AT.tolist(), strict=True))
_LAST_AND_SAME: Final = _at(1, *(k * _DAY for k in range(1, 8)))
# Prior of the source-impedance fit: about 3 % drop at rated load, resistive; weight as of half a p.u.^2 of load
# variation, so that a flat load keeps the prior and a varying one overrules it within hours.
_PRIOR_P: Final = -0.03
_PRIOR_Q: Final = -0.015
_PRIOR_WEIGHT: Final = 0.5
_SIGMA_FLOOR: Final = 0.001


def slot_features(windows: Windows, row: NDArray[np.int64], slot: NDArray[np.int64], points: F64) -> F64:
    """Features of `SLOT_NAMES` for pairs of window row and running quarter hour, (m, len(SLOT_NAMES)) float64.

    `points` (m, 15): the constants of each pair's point, as `compute.point_table` orders them.
    """
    vn, current, oil_rise, ratio, exponent, oil_minutes, utc, hz = (points[:, i] for i in range(8))
    columns: dict[str, F64] = {}
    back = np.arange(1, SHORT_SLOTS + 1)
    short = _gather(windows.short, windows.short_tag, row, slot, back, SHORT_SLOTS + SLACK)
    long = _gather(windows.long, windows.long_tag, row, slot, _LAGS, LONG_SLOTS + SLACK)
    base = (3 * vn * current)[:, None]
    days = _gather(windows.long, windows.long_tag, row, slot, _BEFORE, LONG_SLOTS + SLACK)
    p, q = np.ascontiguousarray(long[:, :, 0]) / base, np.ascontiguousarray(long[:, :, 1]) / base
    columns.update((name, p[:, at]) for name, at in _P_NAMES)
    columns.update((name, q[:, at]) for name, at in _Q_NAMES)
    _load_shape(columns, p)
    _thermal(columns, short, current, oil_rise, ratio, exponent, oil_minutes)
    _source_fit(columns, short, vn, current)
    _calendar(columns, slot, utc)
    _quality(columns, short[:, : quality.DAY], vn, hz)
    _quality_before(columns, days[:, :, 2:] / vn[:, None, None])
    heat = stress.Heat(oil_rise, ratio, exponent, oil_minutes, points[:, 9], points[:, 10])
    _stress(columns, short, current, heat)
    # The first lags are 1 to 96, without a gap.
    week = np.concatenate([long[:, :_DAY, :2], days[:, :, :2]], axis=1)
    _peaks(columns, np.sqrt(week[:, :, 0] ** 2 + week[:, :, 1] ** 2) / base)
    _shape(columns, p, short, (vn * current)[:, None], days[:, :, 0] / base, _hour_of_week(slot, utc))
    return np.ascontiguousarray(np.concatenate([columns[name] for name in SLOT_NAMES]).reshape(-1, len(row)).T)


def _gather(
    ring: NDArray[np.float32],
    tag: NDArray[np.int32],
    row: NDArray[np.int64],
    slot: NDArray[np.int64],
    back: NDArray[np.int64],
    size: int,
) -> F64:
    """Cells that lie `back` quarter hours before `slot`, (m, len(back), columns); NaN where there is none."""
    at = (slot % size)[:, None] - back
    at += (at < 0) * size
    # One flat index for both rings: many times faster than a pair of index arrays.
    at += (row * size)[:, None]
    values = ring.reshape(-1, ring.shape[-1]).take(at, axis=0)
    absent = tag.reshape(-1).take(at) != slot[:, None] - back
    if absent.any():
        values[absent] = np.nan
    return values.astype(np.float64)


def _load_shape(columns: dict[str, F64], p: F64) -> None:
    """`p` (m, len(_LAGS)) in p.u."""
    day = np.ascontiguousarray(p[:, :_DAY])
    have = ~np.isnan(day)
    n = have.sum(1)
    enough = n >= _DAY_SHARE
    filled = np.where(have, day, 0.0)
    mean = filled.sum(1) / np.maximum(n, 1)
    spread = np.where(have, day - mean[:, None], 0.0)
    columns["p_day_mean"] = np.where(enough, mean, np.nan)
    columns["p_day_std"] = np.where(enough, np.sqrt((spread * spread).sum(1) / np.maximum(n, 1)), np.nan)
    columns["p_day_max"] = np.where(enough, np.where(have, day, -np.inf).max(1), np.nan)
    columns["p_day_min"] = np.where(enough, np.where(have, day, np.inf).min(1), np.nan)
    columns["slots_day"] = n / _DAY
    columns.update(zip(_SAME, _seasonal(p.take(_SAME_AT, axis=1)).T, strict=True))
    # The lags 1 to 4 stand at 0 to 3, 97 to 100 at 96 to 99.
    now, then = (p[:, k : k + 4] for k in (0, _DAY))
    columns["p_over_yesterday"] = (
        now[:, 0] + now[:, 1] + now[:, 2] + now[:, 3] - then[:, 0] - then[:, 1] - then[:, 2] - then[:, 3]
    ) / 4


def _seasonal(stack: F64) -> F64:
    """Mean of those days (..., k) that are there; NaN when none is."""
    have = ~np.isnan(stack)
    n = have.sum(-1)
    return np.where(n > 0, np.where(have, stack, 0.0).sum(-1) / np.maximum(n, 1), np.nan)


def _thermal(
    columns: dict[str, F64], short: F64, current: F64, oil_rise: F64, ratio: F64, exponent: F64, oil_minutes: F64
) -> None:
    square = np.ascontiguousarray(short[:, :, _S["i2_max"]]) / (current * current)[:, None]
    have = ~np.isnan(square)
    coming = np.where(have[:, 92:96], square[:, 92:96], -np.inf).max(1)
    columns["load_next_yesterday"] = np.where(have[:, 92:96].any(1), np.sqrt(np.maximum(coming, 0.0)), np.nan)
    columns["load_hour"] = np.sqrt(_seasonal(square[:, :4]))
    highest = np.where(have[:, :_DAY], square[:, :_DAY], -np.inf).max(1)
    columns["load_day_max"] = np.where(have[:, :_DAY].any(1), np.sqrt(np.maximum(highest, 0.0)), np.nan)
    # Top-oil rise as the exponentially weighted mean of the ultimate rises of the past quarter hours. Missing ones
    # take no part: the weights of the others grow, as if the load had been like theirs.
    ultimate = oil_rise[:, None] * _power(
        (np.where(have, square, 0.0) * ratio[:, None] + 1) / (ratio[:, None] + 1), exponent[:, None]
    )
    decay = np.exp(-15.0 / oil_minutes)
    weight = np.where(have, _power(decay[:, None], np.arange(SHORT_SLOTS, dtype=np.float64)[None, :]), 0.0)
    total = weight.sum(1)
    columns["oil_rise_model"] = np.where(total > 0, (weight * ultimate).sum(1) / np.where(total > 0, total, 1), np.nan)
    ambient = short[:, :8, _S["ambient_temp"]]
    newest = np.full(len(ambient), np.nan)
    for k in range(7, -1, -1):
        newest = np.where(np.isnan(ambient[:, k]), newest, ambient[:, k])
    columns["ambient_mean"] = newest


def _power(base: F64, exponent: F64) -> F64:
    """base ** exponent for base > 0."""
    return np.exp(exponent * np.log(base))


def _source_fit(columns: dict[str, F64], short: F64, vn: F64, current: F64) -> None:
    # Phases before quarter hours, (m, 3, 104): a sum runs along one row.
    whole = np.ascontiguousarray(np.swapaxes(short[:, :, : _S["q_c"] + 1], 1, 2))
    v = whole[:, _S["v_a"] : _S["v_c"] + 1] / vn[:, None, None]
    base = (vn * current)[:, None, None]
    p, q = whole[:, _S["p_a"] : _S["p_c"] + 1] / base, whole[:, _S["q_a"] : _S["q_c"] + 1] / base
    lag = v[:, :, 0].copy()
    use = (v >= 0.9) & (v <= 1.1) & ~np.isnan(p) & ~np.isnan(q)
    n = use.sum(2)
    some = np.maximum(n, 1)
    v, p, q = (np.where(use, x, 0.0) for x in (v, p, q))
    vm, pm, qm = v.sum(2) / some, p.sum(2) / some, q.sum(2) / some
    dv, dp, dq = (np.where(use, x - mean[:, :, None], 0.0) for x, mean in ((v, vm), (p, pm), (q, qm)))
    pp = (dp * dp).sum(2) + _PRIOR_WEIGHT
    qq = (dq * dq).sum(2) + _PRIOR_WEIGHT
    pq = (dp * dq).sum(2)
    pv = (dp * dv).sum(2) + _PRIOR_WEIGHT * _PRIOR_P
    qv = (dq * dv).sum(2) + _PRIOR_WEIGHT * _PRIOR_Q
    det = pp * qq - pq * pq
    zp, zq = (pv * qq - qv * pq) / det, (qv * pp - pv * pq) / det
    error = np.where(use, dv - zp[:, :, None] * dp - zq[:, :, None] * dq, 0.0)
    sigma = np.sqrt((error * error).sum(2) / some)
    few = n < _FIT_SLOTS
    fit = {"e": vm - zp * pm - zq * qm, "zp": zp, "zq": zq, "sigma": np.maximum(sigma, _SIGMA_FLOOR)}
    for name, values in fit.items():
        values[few] = np.nan
        for k, x in enumerate("abc"):
            columns[f"source_{name}_{x}"] = values[:, k]
    for k, x in enumerate("abc"):
        columns[f"v_lag1_{x}"] = lag[:, k]
    columns["slots_line"] = n.max(1).astype(np.float64)


def _calendar(columns: dict[str, F64], slot: NDArray[np.int64], utc: F64) -> None:
    # The local middle of the running quarter hour, in seconds since Thursday 1970-01-01.
    local = slot * 900.0 + 450.0 + utc * 60.0
    day = 2 * np.pi * (local % _DAY_S) / _DAY_S
    since_monday = (local + 3 * _DAY_S) % (7 * _DAY_S)
    week = 2 * np.pi * since_monday / (7 * _DAY_S)
    columns["hour_sin"], columns["hour_cos"] = np.sin(day), np.cos(day)
    columns["week_sin"], columns["week_cos"] = np.sin(week), np.cos(week)
    columns["weekend"] = (since_monday >= 5 * _DAY_S).astype(np.float64)


def _hour_of_week(slot: NDArray[np.int64], utc: F64) -> F64:
    """Local hours since Monday 0 h at the middle of the quarter hours 1 to 672 back, (m, 672), or (1, 672) when they
    are the same for all, as they mostly are."""
    if (slot == slot[0]).all() and (utc == utc[0]).all():
        slot, utc = slot[:1], utc[:1]
    middle = (slot[:, None] - np.arange(1, _WEEK + 1)) * 0.25 + 0.125 + utc[:, None] / 60
    return np.asarray((middle + 72) % 168)


def _shape(columns: dict[str, F64], p: F64, short: F64, phase: F64, before: F64, hour: F64) -> None:
    """How the last day and week look: phases, changes, parts of the day, weekend. `before` (m, 576) is the total P
    of the days before the last, p.u.; `hour` (m or 1, 672) the local hour of the week of every quarter hour."""
    own = np.ascontiguousarray(np.swapaxes(short[:, :_DAY, _S["p_a"] : _S["p_c"] + 1], 1, 2)) / phase[:, :, None]
    have = ~np.isnan(own)
    enough = have.sum(2) >= _DAY_SHARE
    change = own[:, :, :-1] - own[:, :, 1:]
    low = np.where(enough, np.where(have, own, np.inf).min(2), np.nan)
    rise = np.where(enough, np.where(np.isnan(change), 0.0, change).max(2), np.nan)
    for k, x in enumerate("abc"):
        columns[f"p_lag1_{x}"], columns[f"p_low_{x}"], columns[f"p_rise_{x}"] = own[:, k, 0], low[:, k], rise[:, k]
    day = np.ascontiguousarray(p[:, :_DAY])
    enough = (~np.isnan(day)).sum(1) >= _DAY_SHARE
    change = np.abs(day[:, :-1] - day[:, 1:])
    columns["p_ramp"] = np.where(enough, _mean_of(change, ~np.isnan(change)), np.nan)
    clock = hour[:, :_DAY] % 24
    for name, start, end in (("night", 0, 6), ("office", 9, 16), ("evening", 17, 22)):
        part = _mean_of(day, (clock >= start) & (clock < end))
        columns[f"p_{name}"] = np.where(enough, part, np.nan)
    same = p.take(_LAST_AND_SAME, axis=1)
    have = ~np.isnan(same)
    columns["p_same_low"] = np.where(have.any(1), np.where(have, same, np.inf).min(1), np.nan)
    week = np.concatenate([day, before], axis=1)
    free = hour >= 120
    have = ~np.isnan(week)
    both = ((have & free).sum(1) >= _DAY_SHARE) & ((have & ~free).sum(1) >= _DAY_SHARE)
    ratio = _mean_of(week, free) / _mean_of(week, ~free)
    columns["weekend_ratio"] = np.where(both, ratio, np.nan)


def _mean_of(x: F64, where: NDArray[np.bool_]) -> F64:
    """Mean of each row's cells that are there and chosen; NaN when none is."""
    use = where & ~np.isnan(x)
    n = use.sum(1)
    return np.where(n > 0, np.where(use, x, 0.0).sum(1) / np.maximum(n, 1), np.nan)


def _quality(columns: dict[str, F64], short: F64, vn: F64, hz: F64) -> None:
    """The power quality index of the last day and what its forecast looks at."""
    v = short[:, :, _S["v_a"] : _S["v_c"] + 1] / vn[:, None, None]
    thd = short[:, :, _S["thdv_a"] : _S["thdv_c"] + 1]
    severity = quality.severities(v, short[:, :, _S["u2"]], short[:, :, _S["freq"]] / hz[:, None], thd)
    day = quality.day_index(severity)
    known = ~np.isnan(day.parts[:, 0])
    bare = day.parts.copy()
    bare[:, 3] = np.nan
    columns["quality_index"] = quality.total(day.parts)
    columns["quality_index_bare"] = quality.total(bare)
    for k, part in enumerate(quality.PARTS):
        columns[f"quality_{part.name}"] = day.parts[:, k]
        columns[f"quality_edge_{part.name}"] = day.edge[:, k]
        columns[f"quality_typical_{part.name}"] = day.typical[:, k]
        columns[f"quality_share_{part.name}"] = day.share[:, k]
    columns["quality_hours_out"] = day.hours_out
    columns["quality_windows"] = day.windows.astype(np.float64)
    age = np.where(day.out.any(1), day.out.argmax(1) * 0.25, 24.0)
    columns["quality_age_out"] = np.where(known, age, np.nan)
    live = quality.live(np.fmax(np.fmax(v[..., 0], v[..., 1]), v[..., 2]))
    low = np.where(live, np.fmin(np.fmin(v[..., 0], v[..., 1]), v[..., 2]), np.nan)
    high = np.where(live, np.fmax(np.fmax(v[..., 0], v[..., 1]), v[..., 2]), np.nan)
    some = np.maximum(day.windows, 1)
    columns["v_day_low"] = np.where(known, np.where(live, low, np.inf).min(1), np.nan)
    columns["v_day_high"] = np.where(known, np.where(live, high, -np.inf).max(1), np.nan)
    columns["v_day_low_mean"] = np.where(known, np.where(live, low, 0.0).sum(1) / some, np.nan)
    columns["v_day_high_mean"] = np.where(known, np.where(live, high, 0.0).sum(1) / some, np.nan)
    columns["v_hour_low"] = _seasonal(low[:, :4])
    columns["v_hour_high"] = _seasonal(high[:, :4])


def _quality_before(columns: dict[str, F64], v: F64) -> None:
    """The voltage part of each of the six days before the last, from lowest and highest phase (m, 576, 2) in p.u."""
    low, high = (np.ascontiguousarray(v[:, :, k]) for k in (0, 1))
    live = quality.live(high)
    severity = np.where(live, np.fmax(np.abs(low - 1), np.abs(high - 1)) / quality.PARTS[0].limit, np.nan)
    parts = quality.voltage_index(severity.reshape(len(v), -1, _DAY))
    have = ~np.isnan(parts)
    n = have.sum(1)
    columns["quality_days"] = n.astype(np.float64)
    columns["quality_voltage_before"] = _seasonal(parts)
    columns["quality_voltage_worst"] = np.where(n > 0, np.where(have, parts, np.inf).min(1), np.nan)
    columns["quality_voltage_lag2"] = parts[:, 0].copy()
    columns["quality_voltage_lag7"] = parts[:, -1].copy()
    columns["v_week_low"] = np.where(n > 0, np.where(live, low, np.inf).min(1), np.nan)
    columns["v_week_high"] = np.where(n > 0, np.where(live, high, -np.inf).max(1), np.nan)


def _stress(columns: dict[str, F64], short: F64, current: F64, heat: stress.Heat) -> None:
    """Hot spot, life used and highest hourly current of the last day."""
    square = np.ascontiguousarray(short[:, :, _S["i2_max"]]) / (current * current)[:, None]
    columns["slots_current"] = (~np.isnan(square[:, :_DAY])).sum(1).astype(np.float64)
    spots = stress.hot_spots(square, short[:, :, _S["oil_temp"]], short[:, :, _S["ambient_temp"]], heat)
    highest, age = stress.over_day(spots)
    columns["hot_spot_day_max"], columns["hot_spot_day_age"] = highest, age / 4
    columns["life_day"] = stress.life_used(spots)
    highest, age = stress.over_day(stress.hourly(square[:, :_DAY]))
    columns["load_hour_day_max"], columns["load_hour_day_age"] = np.sqrt(highest), age / 4


def _peaks(columns: dict[str, F64], week: F64) -> None:
    """Daily highest apparent power from the last seven days (m, 672), newest first."""
    highest = stress.over_day(stress.hourly(week.reshape(-1, _DAY)))[0].reshape(len(week), -1)
    before = np.ascontiguousarray(highest[:, 1:])
    columns["s_day_max"] = highest[:, 0].copy()
    columns["s_days_max"] = stress.over_day(before)[0]
    columns["s_days_mean"] = _seasonal(before)
    columns["s_day_week_ago"] = highest[:, -1].copy()
