"""Features of closed quarter hours: lags, seasonal means, the source-impedance fit, the thermal state, the calendar.

They depend on a point and its running quarter hour only, so they are computed once per quarter hour and cached.
Reductions run along the last axis of a C-ordered array, one row at a time for numpy: the result of a row does not
depend on how many rows came with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring import masked, quality, stress
from remhart_adt.scoring.features import LAGS_P, LAGS_Q, SLOT_NAMES
from remhart_adt.scoring.windows import LONG_SLOTS, SHORT_COLUMNS, SHORT_SLOTS, SLACK

if TYPE_CHECKING:
    from remhart_adt.scoring.windows import Windows

__all__ = ["slot_features"]

F64 = NDArray[np.float64]
_S: Final = {name: i for i, name in enumerate(SHORT_COLUMNS)}
_VPQ: Final = np.array([_S[f"{name}_{x}"] for name in "vpq" for x in "abc"])
_V, _P, _THD = (slice(_S[f"{name}_a"], _S[f"{name}_c"] + 1) for name in ("v", "p", "thdv"))
_DAY: Final = 96
_WEEK: Final = 7 * _DAY
_DAY_S: Final = 86_400.0
# Share of a day that must be present before its statistics are used: an hour may be missing.
_DAY_SHARE: Final = 92
_FIT_SLOTS: Final = 8
# The hour to come, a day ago: 93 to 96 quarter hours back.
_COMING: Final = slice(92, 96)
# The same quarter hour on seven days, for each horizon; where it stands in a week that begins with the newest.
_SAME: Final = ("p_same_15min", "p_same_1h", "p_same_24h")
_SAME_AT: Final = np.array([[day * _DAY - ahead for day in range(1, 8)] for ahead in (0, 3, _DAY - 1)]) - 1
_LAST_AND_SAME: Final = np.array([0, *_SAME_AT[0]])
_P_AT, _Q_AT = np.array(LAGS_P) - 1, np.array(LAGS_Q) - 1
assert max(*LAGS_P, *LAGS_Q) <= _WEEK
# Parts of the day (local hours), and from which hour of the week on it is the weekend.
_PARTS_OF_DAY: Final = {"p_night": (0, 6), "p_office": (9, 16), "p_evening": (17, 22)}
_FROM, _TO = (np.array([hours[k] for hours in _PARTS_OF_DAY.values()])[:, None] for k in (0, 1))
_SATURDAY: Final = 120
# Prior of the source-impedance fit: about 3 % drop at rated load, resistive; weight as of half a p.u.^2 of load
# variation, so that a flat load keeps the prior and a varying one overrules it within hours.
_PRIOR_P: Final = -0.03
_PRIOR_Q: Final = -0.015
_PRIOR_WEIGHT: Final = 0.5
_SIGMA_FLOOR: Final = 0.001
_AT: Final = {name: i for i, name in enumerate(SLOT_NAMES)}


def _block(*names: str) -> slice:
    """Where these features stand beside each other."""
    first = _AT[names[0]]
    assert SLOT_NAMES[first : first + len(names)] == names
    return slice(first, first + len(names))


def _of_phases(*names: str) -> slice:
    return _block(*(f"{name}_{x}" for name in names for x in "abc"))


_P_LAGS, _Q_LAGS = _block(*(f"p_lag{k}" for k in LAGS_P)), _block(*(f"q_lag{k}" for k in LAGS_Q))
_SAMES, _DAY_PARTS = _block(*_SAME), _block(*_PARTS_OF_DAY)
_FIT: Final = _of_phases("source_e", "source_zp", "source_zq", "source_sigma")
_V_LAG, _PHASES = _of_phases("v_lag1"), _of_phases("p_lag1", "p_low", "p_rise")
_LEVELS: Final = _block("p_day_mean", "p_day_std", "p_day_max", "p_day_min")
_LOADS: Final = _block("load_next_yesterday", "load_hour", "load_day_max")
_ENDS: Final = _block("v_day_low", "v_day_high", "v_day_low_mean", "v_day_high_mean")
_CLOCK: Final = _block("hour_sin", "hour_cos", "week_sin", "week_cos")
_QUALITY: Final = _block(
    *(f"quality_{what}{part.name}" for what in ("", "edge_", "typical_", "share_") for part in quality.PARTS)
)


def slot_features(windows: Windows, row: NDArray[np.int64], slot: NDArray[np.int64], points: F64) -> F64:
    """Features of `SLOT_NAMES` for pairs of window row and running quarter hour, (m, len(SLOT_NAMES)) float64.

    `points` (m, 15): the constants of each pair's point, as `compute.point_table` orders them.
    """
    vn, current, oil_rise, ratio, exponent, oil_minutes, utc, hz = (points[:, i] for i in range(8))
    heat = stress.Heat(oil_rise, ratio, exponent, oil_minutes, points[:, 9], points[:, 10])
    out = np.empty((len(row), len(SLOT_NAMES)))
    short = _gather(windows.short, windows.short_tag, row, slot, SHORT_SLOTS, SHORT_SLOTS + SLACK)
    long = _gather(windows.long, windows.long_tag, row, slot, _WEEK, LONG_SLOTS + SLACK)
    base = (3 * vn * current)[:, None]
    power = long[:, :2]
    p, q = power[:, 0] / base, power[:, 1] / base
    out[:, _P_LAGS], out[:, _Q_LAGS] = p.take(_P_AT, axis=1), q.take(_Q_AT, axis=1)
    have = ~np.isnan(p)
    slots = masked.count(have[:, :_DAY])
    _load_shape(out, p, have, slots)
    hour = _hour_of_week(slot, utc)
    _habits(out, p, have, slots, hour)
    _phase_shape(out, short[:, _P, :_DAY] / (vn * current)[:, None, None])
    _source_fit(out, short, vn, current)
    _calendar(out, slot, utc)
    _quality(out, short[:, :, :_DAY], vn, hz)
    _quality_before(out, long[:, 2:, _DAY:] / vn[:, None, None])
    square = short[:, _S["i2_max"]] / (current * current)[:, None]
    _thermal(out, square, short, heat)
    week = np.sqrt(power[:, 0] ** 2 + power[:, 1] ** 2) / base
    _peaks(out, square[:, :_DAY], week.reshape(-1, 7, _DAY))
    return out


def _gather(
    ring: NDArray[np.float32],
    tag: NDArray[np.int32],
    row: NDArray[np.int64],
    slot: NDArray[np.int64],
    back: int,
    size: int,
) -> F64:
    """Cells of the last `back` quarter hours before `slot`, newest first, (m, columns, back); NaN where there is
    none. Each column lies in one piece: sums run along it."""
    ago = np.arange(1, back + 1)
    at = (slot % size)[:, None] - ago
    at += (at < 0) * size
    # One flat index for both rings: many times faster than a pair of index arrays.
    at += (row * size)[:, None]
    # Every place lies in the rings; the mode spares the pass that would make sure of it.
    values = ring.reshape(-1, ring.shape[-1]).take(at, axis=0, mode="clip")
    absent = tag.reshape(-1).take(at, mode="clip") != slot[:, None] - ago
    if absent.any():
        values[absent] = np.nan
    return np.swapaxes(values, 1, 2).astype(np.float64, order="C")


def _set(out: F64, **columns: Any) -> None:
    for name, column in columns.items():
        out[:, _AT[name]] = column


def _load_shape(out: F64, p: F64, have: NDArray[np.bool_], slots: NDArray[np.int64]) -> None:
    """The last day's level and spread; `p` (m, 672) in p.u., `slots` (m,) of its first 96 that are there."""
    day, have = p[:, :_DAY], have[:, :_DAY]
    enough, some = slots >= _DAY_SHARE, np.maximum(slots, 1)
    mean = masked.only(day, have).sum(1) / some
    spread = masked.only(day - mean[:, None], have)
    figures = np.stack(
        (mean, np.sqrt((spread * spread).sum(1) / some), np.fmax.reduce(day, axis=1), np.fmin.reduce(day, axis=1)), 1
    )
    out[:, _LEVELS] = np.where(enough[:, None], figures, np.nan)
    out[:, _SAMES] = _seasonal(p.take(_SAME_AT, axis=1))
    now, then = p[:, :4], p[:, _DAY : _DAY + 4]
    moved = now[:, 0] + now[:, 1] + now[:, 2] + now[:, 3] - then[:, 0] - then[:, 1] - then[:, 2] - then[:, 3]
    _set(out, slots_day=slots / _DAY, p_over_yesterday=moved / 4)


def _seasonal(stack: F64) -> F64:
    """Mean of those days (..., k) that are there; NaN when none is."""
    return masked.mean_of(stack, ~np.isnan(stack))


def _thermal(out: F64, square: F64, short: F64, heat: stress.Heat) -> None:
    """Load, top oil, hot spot and life used over the last day; `square` (m, 104) the mean squared load, p.u."""
    have = ~np.isnan(square)
    highest = np.stack(
        (
            np.fmax.reduce(square[:, _COMING], axis=1),
            _seasonal(square[:, :4]),
            np.fmax.reduce(square[:, :_DAY], axis=1),
        ),
        1,
    )
    out[:, _LOADS] = np.sqrt(np.maximum(highest, 0.0))
    # Top-oil rise as the exponentially weighted mean of the ultimate rises of the past quarter hours. Missing ones
    # take no part: the weights of the others grow, as if the load had been like theirs.
    ultimate = stress.ultimate_rises(stress.filled_with_mean(square), heat)
    decay = np.exp(-15.0 / heat.oil_minutes)
    weight = masked.only(np.exp(np.arange(SHORT_SLOTS, dtype=np.float64) * np.log(decay)[:, None]), have)
    total = weight.sum(1)
    ambient = short[:, _S["ambient_temp"]]
    known = ~np.isnan(ambient[:, :8])
    newest = ambient[np.arange(len(ambient)), known.argmax(1)]
    spots = stress.hot_spots(square, stress.oil_rises(ultimate, heat), short[:, _S["oil_temp"]], ambient, heat)
    hottest, age = stress.over_day(spots)
    _set(
        out, oil_rise_model=np.where(total > 0, (weight * ultimate).sum(1) / np.where(total > 0, total, 1), np.nan),
        ambient_mean=newest, slots_current=masked.count(have[:, :_DAY]), hot_spot_day_max=hottest,
        hot_spot_day_age=age / 4, life_day=stress.life_used(spots),
    )  # fmt: skip


def _source_fit(out: F64, short: F64, vn: F64, current: F64) -> None:
    """Voltage of each phase as a line over its P and Q: least squares with a prior."""
    m = len(short)
    scale = np.empty((m, 3, 1, 1))
    scale[:, 0, 0, 0], scale[:, 1:, 0, 0] = vn, (vn * current)[:, None]
    # Of V, P and Q: phases before quarter hours, (m, 3, 3, 104).
    whole = short.take(_VPQ, axis=1).reshape(m, 3, 3, SHORT_SLOTS) / scale
    v = whole[:, 0]
    out[:, _V_LAG] = v[:, :, 0]
    absent = np.isnan(whole)
    use = (v >= 0.9) & (v <= 1.1) & ~(absent[:, 1] | absent[:, 2])
    n = masked.count(use)
    some = np.maximum(n, 1)
    every = bool(use.all())
    if not every:
        whole = np.where(use[:, None], whole, 0.0)
    mean = whole.sum(3) / some[:, None]
    away = whole - mean[:, :, :, None]
    if not every:
        away = np.where(use[:, None], away, 0.0)
    dv, dp, dq = away[:, 0], away[:, 1], away[:, 2]
    pp = (dp * dp).sum(2) + _PRIOR_WEIGHT
    qq = (dq * dq).sum(2) + _PRIOR_WEIGHT
    pq = (dp * dq).sum(2)
    pv = (dp * dv).sum(2) + _PRIOR_WEIGHT * _PRIOR_P
    qv = (dq * dv).sum(2) + _PRIOR_WEIGHT * _PRIOR_Q
    det = pp * qq - pq * pq
    zp, zq = (pv * qq - qv * pq) / det, (qv * pp - pv * pq) / det
    # What is not used is 0 in all three, and so is its error.
    error = dv - zp[:, :, None] * dp - zq[:, :, None] * dq
    sigma = np.maximum(np.sqrt((error * error).sum(2) / some), _SIGMA_FLOOR)
    fit = np.stack((mean[:, 0] - zp * mean[:, 1] - zq * mean[:, 2], zp, zq, sigma), axis=1)
    few = n < _FIT_SLOTS
    out[:, _FIT] = (np.where(few[:, None], np.nan, fit) if few.any() else fit).reshape(m, -1)
    _set(out, slots_line=n.max(1))


def _calendar(out: F64, slot: NDArray[np.int64], utc: F64) -> None:
    # The local middle of the running quarter hour, in seconds since Thursday 1970-01-01.
    local = slot * 900.0 + 450.0 + utc * 60.0
    since_monday = (local + 3 * _DAY_S) % (7 * _DAY_S)
    turn = np.stack((2 * np.pi * (local % _DAY_S) / _DAY_S, 2 * np.pi * since_monday / (7 * _DAY_S)), axis=1)
    out[:, _CLOCK] = np.stack((np.sin(turn), np.cos(turn)), axis=2).reshape(-1, 4)
    _set(out, weekend=since_monday >= 5 * _DAY_S)


def _hour_of_week(slot: NDArray[np.int64], utc: F64) -> F64:
    """Local hours since Monday 0 h at the middle of the quarter hours 1 to 672 back, (m, 672), or (1, 672) when they
    are the same for all, as they mostly are."""
    if (slot == slot[0]).all() and (utc == utc[0]).all():
        slot, utc = slot[:1], utc[:1]
    middle = (slot[:, None] - np.arange(1, _WEEK + 1)) * 0.25 + 0.125 + utc[:, None] / 60
    return np.asarray((middle + 72) % 168)


def _habits(out: F64, p: F64, have: NDArray[np.bool_], slots: NDArray[np.int64], hour: F64) -> None:
    """How total P (m, 672) of the last day and week goes: changes, parts of the day, weekend; `hour` (m or 1, 672) the
    local hour of the week of every quarter hour."""
    enough = slots >= _DAY_SHARE
    day = p[:, :_DAY]
    change = np.abs(day[:, :-1] - day[:, 1:])
    clock = (hour[:, :_DAY] % 24)[:, None]
    parts = (clock >= _FROM) & (clock < _TO) & have[:, None, :_DAY]
    level = np.broadcast_to(day[:, None], parts.shape)
    out[:, _DAY_PARTS] = np.where(enough[:, None], masked.mean_of(level, parts), np.nan)
    free = hour >= _SATURDAY
    idle, busy = have & free, have & ~free
    both = (masked.count(idle) >= _DAY_SHARE) & (masked.count(busy) >= _DAY_SHARE)
    _set(
        out, p_ramp=np.where(enough, _seasonal(change), np.nan),
        p_same_low=np.fmin.reduce(p.take(_LAST_AND_SAME, axis=1), axis=1),
        weekend_ratio=np.where(both, masked.mean_of(p, idle) / masked.mean_of(p, busy), np.nan),
    )  # fmt: skip


def _phase_shape(out: F64, own: F64) -> None:
    """Each phase's power: its newest value, its lowest and its highest rise; `own` (m, 3, 96) in p.u."""
    enough = masked.count(~np.isnan(own)) >= _DAY_SHARE
    change = own[:, :, :-1] - own[:, :, 1:]
    rise = masked.only(change, ~np.isnan(change)).max(2)
    figures = np.stack((own[:, :, 0], np.fmin.reduce(own, axis=2), rise), axis=1)
    if not enough.all():
        figures[:, 1:] = np.where(enough[:, None], figures[:, 1:], np.nan)
    out[:, _PHASES] = figures.reshape(len(own), -1)


def _quality(out: F64, short: F64, vn: F64, hz: F64) -> None:
    """The power quality index of the last day and what its forecast looks at."""
    v = short[:, _V] / vn[:, None, None]
    severity = quality.severities(v, short[:, _S["u2"]], short[:, _S["freq"]] / hz[:, None], short[:, _THD])
    day = quality.day_index(severity)
    known = ~np.isnan(day.parts[:, 0])
    out[:, _QUALITY] = np.concatenate((day.parts, day.edge, day.typical, day.share), axis=1)
    bare = day.parts.copy()
    bare[:, 3] = np.nan
    ends = np.stack((np.fmin.reduce(v, axis=1), np.fmax.reduce(v, axis=1)), axis=1)
    live = quality.live(ends[:, 1])
    if not live.all():
        ends = np.where(live[:, None], ends, np.nan)
    some = np.maximum(day.windows, 1)
    mean = masked.only(ends, live[:, None]).sum(2) / some[:, None]
    lately = _seasonal(ends[:, :, :4])
    figures = np.stack((np.fmin.reduce(ends[:, 0], axis=1), np.fmax.reduce(ends[:, 1], axis=1), *mean.T), axis=1)
    out[:, _ENDS] = np.where(known[:, None], figures, np.nan)
    age = np.where(day.out.any(1), day.out.argmax(1) * 0.25, 24.0)
    _set(
        out, quality_index=quality.total(day.parts), quality_index_bare=quality.total(bare),
        quality_hours_out=day.hours_out, quality_windows=day.windows,
        quality_age_out=np.where(known, age, np.nan), v_hour_low=lately[:, 0], v_hour_high=lately[:, 1],
    )  # fmt: skip


def _quality_before(out: F64, v: F64) -> None:
    """The voltage part of each of the six days before the last, from lowest and highest phase (m, 2, 576) in p.u."""
    live = quality.live(v[:, 1])
    if not live.all():
        v = np.where(live[:, None], v, np.nan)
    severity = np.fmax.reduce(np.abs(v - 1), axis=1) / quality.PARTS[0].limit
    parts = quality.voltage_index(severity.reshape(len(v), -1, _DAY))
    n = masked.count(~np.isnan(parts))
    low, high = np.fmin.reduce(v[:, 0], axis=1), np.fmax.reduce(v[:, 1], axis=1)
    _set(
        out, quality_days=n, quality_voltage_before=_seasonal(parts),
        quality_voltage_worst=np.fmin.reduce(parts, axis=1), quality_voltage_lag2=parts[:, 0],
        quality_voltage_lag7=parts[:, -1], v_week_low=np.where(n > 0, low, np.nan),
        v_week_high=np.where(n > 0, high, np.nan),
    )  # fmt: skip


def _peaks(out: F64, square: F64, week: F64) -> None:
    """Highest hour of the last day's mean squared load (m, 96) and of seven days' apparent power (m, 7, 96), p.u.,
    newest first."""
    hours = stress.hourly(np.concatenate((square[:, None], week), axis=1))
    highest, age = stress.over_day(hours[:, 0])
    days = np.fmax.reduce(hours[:, 1:], axis=2)
    before = days[:, 1:]
    _set(
        out, load_hour_day_max=np.sqrt(highest), load_hour_day_age=age / 4, s_day_max=days[:, 0],
        s_days_max=np.fmax.reduce(before, axis=1), s_days_mean=_seasonal(before), s_day_week_ago=days[:, -1],
    )  # fmt: skip
