"""Fills the feature table for the readings of one window step: vectorised over readings, float64 inside, float32 out.

No reduction across readings and no BLAS call: a row's bits do not depend on the rows computed beside it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.features import FEATURES, INDEX, SLOT_NAMES
from remhart_adt.scoring.frequency import frequency_features
from remhart_adt.scoring.history import slot_features
from remhart_adt.scoring.masked import count, mean_of, only
from remhart_adt.scoring.past import Past
from remhart_adt.scoring.quality import line_unbalance
from remhart_adt.scoring.windows import RAW, SLOT_US, Step, Windows, begins

__all__ = ["compute", "point_table"]

F64 = NDArray[np.float64]
_C: Final = CHANNEL_INDEX
_NEAR: Final = 16
_V, _I, _P, _Q = (slice(_C[f"{name}_a"], _C[f"{name}_c"] + 1) for name in "vipq")
# V, I, P, Q of three phases and the frequency come first among the channels.
_ELECTRICAL: Final = _C["freq"] + 1
assert (_V.start, _I.start, _P.start, _Q.start, _C["freq"]) == (0, 3, 6, 9, 12)
# A phase below this is a sag (IEEE 1159, IEC 61000-4-30), one this far below its own mean a dip.
_SAG: Final = 0.9
_DIP: Final = 0.03
# Where the three phases of a feature begin: they stand beside each other in the table.
_FIRST: Final = {name[:-2]: at for name, at in INDEX.items() if name.endswith("_a") and f"{name[:-2]}_b" in INDEX}
assert all(INDEX[f"{name}_b"] == at + 1 and INDEX[f"{name}_c"] == at + 2 for name, at in _FIRST.items())
# The series that `_stats` describes, and where what it says of them stands.
_STATS: Final = ("v_mean", "i_max", "p_total", "q_total", "f_deviation")
_STATS_AT: Final = {
    what: np.array([INDEX[f"{name}_{what}"] for name in _STATS])
    for what in ("mean16", "std16", "min16", "max16", "slope16")
}
_SQRT3: Final = float(np.sqrt(3.0))
# Order of the columns `slot_features` reads, then the rest of the twin's constants.
_POINT_COLUMNS: Final = 15


def point_table(windows: Windows) -> F64:
    """Constants of every window row as columns, (rows, 15): Vn, In, oil rise, R, n, oil minutes, UTC offset, hz,
    is transformer, hot-spot rise, m, winding minutes, bank step (var), bank steps, and a spare NaN."""
    nan = float("nan")
    return np.array(
        [
            (
                info.nominal_v_ln, nan if info.rated_a is None else info.rated_a, info.thermal.oil_rise,
                info.thermal.loss_ratio, info.thermal.n, info.thermal.oil_minutes, info.utc_offset_min, info.hz,
                info.kind == "transformer", info.thermal.hot_spot_rise, info.thermal.m, info.thermal.winding_minutes,
                nan if info.bank_step_var is None else info.bank_step_var,
                nan if info.bank_steps is None else info.bank_steps, nan,
            )
            for info in windows.infos
        ],
        np.float64,
    ).reshape(-1, _POINT_COLUMNS)  # fmt: skip


def compute(windows: Windows, step: Step, points: F64, quality: NDArray[np.int8]) -> NDArray[np.float32]:
    """Every feature of the step's readings, (m, len(FEATURES)) float32.

    `points` is `point_table(windows)`; `quality` (m,) of the same readings.
    """
    out = np.full((len(step.row), len(FEATURES)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        twin = points[step.row]
        _twin(out, twin)
        _slots(out, windows, step, points)
        now = windows.raw[step.row, step.pos].astype(np.float64)
        _voltage(out, now, twin)
        _current(out, now, twin)
        _power(out, now, twin)
        past = Past.of(windows, step)
        _window(out, windows, step, past, now, twin, quality)
        _far(out, windows, step, past, twin)
        _heat(out, now, twin)
        _residual(out)
        _set(out, **frequency_features(windows, past, twin[:, 7]))
        single = out.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single


def _set(out: F64, **columns: Any) -> None:
    for name, column in columns.items():
        out[:, INDEX[name]] = column


def _phases(out: F64, name: str, columns: F64) -> None:
    first = _FIRST[name]
    out[:, first : first + 3] = columns


def _get(out: F64, name: str) -> F64:
    return out[:, INDEX[name]]


def _abc(out: F64, name: str) -> F64:
    """The three phases, (m, 3): a view."""
    first = _FIRST[name]
    return out[:, first : first + 3]


def _twin(out: F64, twin: F64) -> None:
    base = 3 * twin[:, 0] * twin[:, 1]
    _set(
        out, base_voltage=twin[:, 0], base_current=twin[:, 1], base_power=base, nominal_hz=twin[:, 7],
        is_transformer=twin[:, 8], oil_rise_rated=twin[:, 2], hot_spot_rise_rated=twin[:, 9], loss_ratio=twin[:, 3],
        oil_exponent=twin[:, 4], winding_exponent=twin[:, 10], oil_minutes=twin[:, 5], winding_minutes=twin[:, 11],
        bank_step=twin[:, 12] / base, bank_steps=twin[:, 13],
    )  # fmt: skip


def _slots(out: F64, windows: Windows, step: Step, points: F64) -> None:
    """Quarter-hour features, from the cache where the running quarter hour is the cached one."""
    windows.ensure_slot_cache(len(SLOT_NAMES))
    fresh = windows.slot_cache_tag[step.row] != step.slot
    first = INDEX[SLOT_NAMES[0]]
    block = out[:, first : first + len(SLOT_NAMES)]
    block[~fresh] = windows.slot_cache[step.row[~fresh]]
    if not fresh.any():
        return
    row, slot = step.row[fresh], step.slot[fresh]
    change = begins(row, slot)
    row_u, slot_u = row[change], slot[change]
    values = slot_features(windows, row_u, slot_u, points[row_u])
    block[fresh] = values[np.cumsum(change) - 1]
    last = begins(row_u[::-1])[::-1]
    windows.slot_cache[row_u[last]] = values[last]
    windows.slot_cache_tag[row_u[last]] = slot_u[last]


def _mean_min_max(x: F64) -> tuple[F64, F64, F64]:
    """Mean, least and greatest of three phases, (..., 3), missing ones left out; NaN when all are missing."""
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    total, n = _sum_of_phases(x)
    return total / n, np.fmin(np.fmin(a, b), c), np.fmax(np.fmax(a, b), c)


def _sum_of_phases(x: F64) -> tuple[F64, F64]:
    """Sum of three phases, (..., 3), over those that are there, NaN when none is; and how many are, at least 1."""
    have = ~np.isnan(x)
    if have.all():
        return x[..., 0] + x[..., 1] + x[..., 2], np.full(x.shape[:-1], 3.0)
    n = have[..., 0].astype(np.float64) + have[..., 1] + have[..., 2]
    filled = np.where(have, x, 0.0)
    total = np.where(n > 0, filled[..., 0] + filled[..., 1] + filled[..., 2], np.nan)
    return total, np.maximum(n, 1.0)


def _greatest(x: F64) -> F64:
    return np.fmax(np.fmax(x[:, 0], x[:, 1]), x[:, 2])


def _largest_deviation(x: F64, mean: F64) -> F64:
    away = np.abs(x - mean[:, None])
    worst: F64 = np.fmax(np.fmax(away[:, 0], away[:, 1]), away[:, 2]) / mean
    return worst


def _voltage(out: F64, now: F64, twin: F64) -> None:
    v = now[:, _C["v_a"] : _C["v_c"] + 1] / twin[:, :1]
    mean, low, high = _mean_min_max(v)
    _phases(out, "v", v)
    line = now[:, _C["v_ab"] : _C["v_ca"] + 1] / (_SQRT3 * twin[:, :1])
    # A line voltage of exactly 0 between phases that are both live was not recorded.
    live = v >= 0.5
    line[(line == 0) & live & live[:, [1, 2, 0]]] = np.nan
    for i, name in enumerate(("v_ab", "v_bc", "v_ca")):
        out[:, INDEX[name]] = line[:, i]
    line_mean = (line[:, 0] + line[:, 1] + line[:, 2]) / 3
    complete = ~np.isnan(v).any(1)
    _set(
        out, v_mean=mean, v_min=low, v_max=high, v_range=high - low, v_deviation=mean - 1,
        v_unbalance_magnitude=_largest_deviation(v, mean), v_line_mean=line_mean, vuf_line=line_unbalance(line),
        v_line_excess=np.where(complete, line_mean - mean, np.nan), v_floor_unbalance=line_unbalance(v),
    )  # fmt: skip


def _current(out: F64, now: F64, twin: F64) -> None:
    i = now[:, _C["i_a"] : _C["i_c"] + 1] / twin[:, 1:2]
    mean, low, high = _mean_min_max(i)
    _phases(out, "i", i)
    square = np.where(np.isnan(i), 0.0, i * i)
    _set(
        out, i_mean=mean, i_max=high, i_min=low, i_range=high - low,
        i_unbalance=np.where(mean >= 0.05, _largest_deviation(i, mean), np.nan),
        i_square=np.where(np.isnan(high), np.nan, square[:, 0] + square[:, 1] + square[:, 2]),
        i_neutral=now[:, _C["i_n"]] / twin[:, 1],
    )  # fmt: skip


def _power(out: F64, now: F64, twin: F64) -> None:
    base = (twin[:, 0] * twin[:, 1])[:, None]
    both = now[:, _C["p_a"] : _C["q_c"] + 1].reshape(-1, 2, 3) / base[:, :, None]
    p, q = both[:, 0], both[:, 1]
    s = _abc(out, "v") * _abc(out, "i")
    mean, low, high = _mean_min_max(both)
    total = mean * (~np.isnan(both)).sum(2) / 3
    p_total, q_total, spread = total[:, 0], total[:, 1], high - low
    s_total = np.sqrt(p_total * p_total + q_total * q_total)
    _phases(out, "p", p)
    _phases(out, "q", q)
    _phases(out, "s", s)
    _phases(out, "pf", np.where(s >= 0.01, np.clip(p / s, -1.0, 1.0), np.nan))
    d = np.sqrt(np.maximum(s * s - p * p - q * q, 0.0))
    s_sum = s[:, 0] + s[:, 1] + s[:, 2]
    thd = now[:, _C["thdv_a"] : _C["thdi_c"] + 1]
    _set(
        out, f_deviation=now[:, _C["freq"]] / twin[:, 7] - 1, p_total=p_total, q_total=q_total, s_total=s_total,
        pf_total=np.where(s_total >= 0.001, p_total / s_total, np.nan), p_range=spread[:, 0], q_range=spread[:, 1],
        distortion=np.where(s_sum >= 0.03, (d[:, 0] + d[:, 1] + d[:, 2]) / s_sum, np.nan),
        thdv_max=_greatest(thd[:, :3]), thdi_max=_greatest(thd[:, 3:]),
    )  # fmt: skip
    _phases(out, "thdv", thd[:, :3])
    _phases(out, "thdi", thd[:, 3:])


def _window(out: F64, windows: Windows, step: Step, past: Past, now: F64, twin: F64, quality: NDArray[np.int8]) -> None:
    seconds = past.seconds[:, -_NEAR:]
    x = past.cells(windows, _NEAR, slice(_ELECTRICAL))
    # A ring cell holds an older reading beyond the point's own past only before the ring has filled: `seen` says so.
    if (step.seen < _NEAR).any():
        np.swapaxes(x, 1, 2)[np.isnan(seconds)] = np.nan
    vn, current = twin[:, :1], twin[:, 1:2]
    v, i = x[:, _V], x[:, _I]
    i_max = np.fmax(np.fmax(i[:, 0], i[:, 1]), i[:, 2]) / current
    base = 3 * vn * current
    # Of V, I, P and Q along the window, (m, 4, readings).
    total, n = _sum_of_phases(np.swapaxes(x[:, : _ELECTRICAL - 1].reshape(len(x), 4, 3, _NEAR), 2, 3))
    v_mean = total[:, 0] / n[:, 0] / vn
    p, q = total[:, 2] / base, total[:, 3] / base
    f = x[:, _C["freq"]] / twin[:, 7:8] - 1
    _stats(out, np.stack((v_mean, i_max, p, q, f), axis=1), seconds)
    _phases(out, "v_step", v[:, :, -1] / vn - v[:, :, -2] / vn)
    _phases(out, "v_spread", np.fmax.reduce(v, axis=2) / vn - np.fmin.reduce(v, axis=2) / vn)
    gaps = seconds[:, 1:] - seconds[:, :-1]
    first = step.first
    recent = seconds >= -300.0
    load = _mean_where(i_max * i_max, recent)
    p_age = np.fmin.reduce(np.where(np.isnan(p), np.nan, -seconds), axis=1)
    missing = np.isnan(now[:, :_ELECTRICAL]).sum(1)
    _set(
        out, quality=quality, gap_s=np.where(first, np.nan, (step.time_us - np.where(first, 0, step.prev_us)) / 1e6),
        gap_max_s=np.fmax.reduce(gaps, axis=1), window_span_s=-np.fmin.reduce(seconds, axis=1),
        readings_seen=step.seen, missing_channels=missing, p_age_s=p_age,
        quarter_age_s=(step.time_us - step.slot * SLOT_US) / 1e6, p_step=p[:, -1] - p[:, -2],
        q_step=q[:, -1] - q[:, -2], load_5min=np.sqrt(load),
        q_10min=_mean_where(q, seconds >= -600.0), p_10min=_mean_where(p, seconds >= -600.0),
    )  # fmt: skip
    _distortion(out, x, twin)


def _distortion(out: F64, x: F64, twin: F64) -> None:
    """The non-fundamental apparent power of IEEE 1459, squared and averaged before any root: a root of single readings
    would turn the meters' noise into distortion."""
    v, i, p, q = x[:, _V], x[:, _I], x[:, _P], x[:, _Q]
    base = (twin[:, 0] * twin[:, 1])[:, None, None]
    square = ((v * i) ** 2 - p * p - q * q) / base**2
    _phases(out, "distortion_square", _mean_where(square))
    total = _sum_of_phases(np.swapaxes(i**2, 1, 2))[0]
    _set(out, i_square_mean16=_mean_where(total) / twin[:, 1] ** 2)


def _mean_where(x: F64, where: NDArray[np.bool_] | None = None) -> F64:
    """Mean along the last axis of the cells that are there and chosen; NaN when none is."""
    have = ~np.isnan(x)
    return mean_of(x, have if where is None else where & have)


def _stats(out: F64, x: F64, seconds: F64) -> None:
    """Mean, deviation, extremes and slope (per minute) of the series of `_STATS`, (m, series, readings)."""
    have = ~np.isnan(x)
    n = count(have)
    some = np.maximum(n, 1)
    mean = only(x, have).sum(2) / some
    away = only(x - mean[:, :, None], have)
    minutes = only(seconds[:, None, :], have) / 60.0
    t_mean = minutes.sum(2) / some
    t_away = only(minutes - t_mean[:, :, None], have)
    tt = (t_away * t_away).sum(2)
    columns = {
        "mean16": np.where(n > 0, mean, np.nan),
        "std16": np.where(n > 1, np.sqrt((away * away).sum(2) / some), np.nan),
        "min16": np.fmin.reduce(x, axis=2),
        "max16": np.fmax.reduce(x, axis=2),
        "slope16": np.where((n > 1) & (tt > 0), (t_away * away).sum(2) / np.where(tt > 0, tt, 1), np.nan),
    }
    for what, values in columns.items():
        out[:, _STATS_AT[what]] = values


def _far(out: F64, windows: Windows, step: Step, past: Past, twin: F64) -> None:
    """Mean and deviation of the phase voltages over 128 readings, those in the normal band only, so that a sag that
    has passed leaves no trace."""
    v = past.cells(windows, RAW, _V)
    v /= twin[:, None, :1]
    use = (v >= 0.9) & (v <= 1.1)
    if (step.seen < RAW).any():
        use &= ~np.isnan(past.seconds)[:, None, :]
    n = count(use)
    some = np.maximum(n, 1)
    total = only(v, use).sum(2)
    mean = total / some
    away = only(v - mean[:, :, None], use)
    _phases(out, "v_mean128", np.where(n > 0, mean, np.nan))
    np.multiply(away, away, out=away)  # squared in place: nobody else reads it
    _phases(out, "v_std128", np.where(n > 1, np.sqrt(away.sum(2) / some), np.nan))
    usual = (total - only(v[:, :, -1], use[:, :, -1])) / np.maximum(n - use[:, :, -1], 1)
    _sags(out, v[:, :, :-1], use[:, :, :-1], usual, past.seconds[:, :-1])


def _sags(out: F64, v: F64, use: NDArray[np.bool_], usual: F64, seconds: F64) -> None:
    """Sags and dips among the readings before this one: `v` (m, 3, k) in p.u., `use` where it is within the normal
    band, `usual` (m, 3) its mean there, `seconds` (m, k) below zero, NaN where there is no reading."""
    there = ~np.isnan(seconds)
    known = there.any(1)
    low = np.fmin(np.fmin(v[:, 0], v[:, 1]), v[:, 2])
    floor = (usual - _DIP)[:, :, None]
    dipped = (v[:, 0] < floor[:, 0]) | (v[:, 1] < floor[:, 1]) | (v[:, 2] < floor[:, 2])
    if not there.all():
        low[~there] = np.nan
        dipped &= there
    below = low < _SAG
    level = (v[:, 0] + v[:, 1] + v[:, 2]) / 3
    whole = use[:, 0] & use[:, 1] & use[:, 2]
    pairs = whole[:, 1:] & whole[:, :-1]
    change = only(level[:, 1:] - level[:, :-1], pairs)
    many = count(pairs)
    none = np.where(known, 0.0, np.nan)
    flicker = np.sqrt((change * change).sum(1) / np.maximum(many, 1))
    _set(
        out, sag_count=none, dip_count=none, sag_low=np.fmin.reduce(low, axis=1),
        sag_span_s=-np.fmin.reduce(seconds, axis=1), v_flicker=np.where(many > 0, flicker, np.nan),
    )  # fmt: skip
    # Few points have had one, so the rest is done for those alone.
    some = np.flatnonzero((below | dipped).any(1))
    if not len(some):
        return
    below, dipped, low, seconds = below[some], dipped[some], low[some], seconds[some]
    starts = _starts(below)
    newest = np.fmax.reduce(np.where(starts, seconds, np.nan), axis=1)
    second = np.fmax.reduce(np.where(starts & (seconds < newest[:, None]), seconds, np.nan), axis=1)
    last = np.where(below & (seconds >= newest[:, None]), low, np.nan)
    for name, column in (
        ("sag_count", starts.sum(1)), ("sag_gap_s", newest - second), ("sag_last_low", np.fmin.reduce(last, axis=1)),
        ("sag_age_s", -np.fmax.reduce(np.where(below, seconds, np.nan), axis=1)),
        ("dip_count", _starts(dipped).sum(1)),
        ("dip_age_s", -np.fmax.reduce(np.where(dipped, seconds, np.nan), axis=1)),
    ):  # fmt: skip
        out[some, INDEX[name]] = column


def _starts(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a run begins, along the second axis."""
    starts = inside.copy()
    starts[:, 1:] &= ~inside[:, :-1]
    return starts


def _heat(out: F64, now: F64, twin: F64) -> None:
    oil, ambient = now[:, _C["oil_temp"]], now[:, _C["ambient_temp"]]
    ambient = np.where((ambient >= -60) & (ambient <= 70), ambient, np.nan)
    ambient = np.where(np.isnan(ambient), _get(out, "ambient_mean"), ambient)
    good = (oil > -60) & (oil <= 160) & ~(oil < ambient - 15)
    oil = np.where(good, oil, np.nan)
    load = _get(out, "load_5min")
    rated, ratio, n, hot, m = twin[:, 2], twin[:, 3], twin[:, 4], twin[:, 9], twin[:, 10]
    ultimate = rated * np.exp(n * np.log((load * load * ratio + 1) / (ratio + 1)))
    start = _get(out, "oil_rise_model")
    start = np.where(np.isnan(start), ultimate, start)
    age = _get(out, "quarter_age_s") / 60.0
    model = ultimate + (start - ultimate) * np.exp(-age / twin[:, 5])
    rise = np.where(np.isnan(oil) | np.isnan(ambient), model, oil - ambient)
    winding = hot * np.exp(2 * m * np.log(np.maximum(load, 1e-9)))
    surroundings = np.where(np.isnan(ambient), oil - model, ambient)
    later = ultimate + (rise - ultimate) * np.exp(-60.0 / twin[:, 5])
    _set(
        out, ambient=ambient, oil=oil, oil_rise=rise, hot_spot_now=surroundings + rise + winding,
        hot_spot_hold=surroundings + np.maximum(rise, later) + winding,
    )  # fmt: skip


def _residual(out: F64) -> None:
    expected = _abc(out, "source_e") + _abc(out, "source_zp") * _abc(out, "p") + _abc(out, "source_zq") * _abc(out, "q")
    residual = _abc(out, "v") - expected
    mean, low, high = _mean_min_max(residual)
    _phases(out, "residual", residual)
    _phases(out, "residual_z", residual / _abc(out, "source_sigma"))
    _set(out, residual_common=mean, residual_spread=high - low, residual_worst=np.fmax(np.abs(low), np.abs(high)))
