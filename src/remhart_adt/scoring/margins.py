"""Feeder features of voltage, loading, frequency and unbalance: how hard a feeder's members are pressed at one minute.

They stand at the end of the feeder table (`feeder.py`), which fills them from the same minute means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.members import Members, added
from remhart_adt.scoring.quality import line_unbalance
from remhart_adt.scoring.windows import MINUTE_US, Windows

__all__ = ["MARGIN_FEATURES", "margins"]

F64 = NDArray[np.float64]

# name -> (formula, unit)
MARGIN_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "v_low": ("lowest metered phase voltage of all members, the head included, over its Vn; dead ones too", "p.u."),
    "worst_load": ("highest phase current over In among the members that declare it, the head included", "p.u."),
    "feed_in": ("sum of the phase powers that leaves feed in, over rated_va", "p.u."),
    "frequency_off": ("f / fn - 1 of the head, mean over the minute; another member's when the head has none", "-"),
    "unbalance_worst": ("highest V2/V1 (IEC 61000-4-30 5.7.1) of the members that meter line voltages", "%"),
}
_FREQ: Final = CHANNEL_INDEX["freq"]
_V: Final = slice(CHANNEL_INDEX["v_a"], CHANNEL_INDEX["v_c"] + 1)
_LINE: Final = slice(CHANNEL_INDEX["v_ab"], CHANNEL_INDEX["v_ca"] + 1)
# Below this share of what its phases allow, a line voltage is not recorded rather than low (a register of zeros).
_RECORDED: Final = 0.05


def margins(members: Members, values: F64, rated_va: float, minute_us: int) -> dict[str, float]:
    """The features by name. `values` (n, MINUTE_COLUMNS) are the members' minute means; `minute_us` is the start of the
    minute. NaN stands for what nobody measures."""
    volts = values[:, 6:9]
    low = np.where(members.metered & np.isfinite(volts), volts, np.nan) / members.nominal_v[:, None]
    loads = _current(values) / members.rated_a
    off, unbalance = _raw(members, minute_us)
    # The head's frequency, or that of the first other member by name that sends it.
    order = sorted(np.flatnonzero(~np.isnan(off)).tolist(), key=lambda k: (k > 0, members.ids[k]))
    fed = np.minimum(np.nan_to_num(values[members.leaf, 0:3]), 0.0)
    return {
        "v_low": float(np.fmin.reduce(low, axis=None)),
        "worst_load": float(np.fmax.reduce(np.where(np.isfinite(loads), loads, np.nan))),
        "feed_in": -added(fed[:, 0] + fed[:, 1] + fed[:, 2]) / rated_va,
        "frequency_off": float(off[order[0]]) if order else float("nan"),
        "unbalance_worst": float(np.fmax.reduce(unbalance)),
    }


def _current(values: F64) -> F64:
    """Highest phase current of each member (A): sqrt(P^2 + Q^2) / V of each phase, scaled to the measured sum of the
    squares, which also holds the harmonics; NaN when no phase carries voltage."""
    v = np.where(values[:, 6:9] > 0, values[:, 6:9], np.nan)
    amps = np.hypot(values[:, 0:3], np.nan_to_num(values[:, 3:6])) / v
    square = np.where(np.isnan(amps), 0.0, amps * amps)
    total, measured = square[:, 0] + square[:, 1] + square[:, 2], values[:, 10]
    high: F64 = np.fmax.reduce(amps, axis=1)
    scaled = (total > 0) & np.isfinite(measured)
    return np.where(scaled, high * np.sqrt(measured / np.where(scaled, total, 1.0)), high)


def _raw(members: Members, minute_us: int) -> tuple[F64, F64]:
    """Of each member's raw readings of the minute: f / fn - 1, and V2/V1 (%) of its line voltages, NaN where it sends
    none. Of the time since, when the ring no longer reaches back; of the newest reading, when the member is slow."""

    def means(window: Windows, row: NDArray[np.int64]) -> F64:
        time_us = window.raw_us[row]
        held = np.arange(time_us.shape[1]) < window.count[row][:, None]
        since = held & (time_us >= minute_us)
        inside = since & (time_us < minute_us + MINUTE_US)
        chosen = np.where(inside.any(1, keepdims=True), inside, since)
        slow = ~chosen.any(1, keepdims=True)
        if slow.any():
            newest = np.where(held, time_us, np.iinfo(np.int64).min).max(1, keepdims=True)
            chosen |= slow & held & (time_us == newest)
        who, cell = np.nonzero(chosen)
        raw = window.raw[row[who], cell].astype(np.float64)
        lines, phases = raw[:, _LINE], np.nan_to_num(raw[:, _V]).max(1, initial=0.0)
        known = np.asarray((np.isfinite(lines) & (lines > _RECORDED * phases[:, None])).all(1))
        sent = np.asarray(np.isfinite(raw[:, _FREQ]))
        columns = [_mean_by(who[sent], raw[sent, _FREQ], len(row))]
        columns += [_mean_by(who[known], line, len(row)) for line in lines[known].T]
        return np.stack(columns, axis=1)

    found = members.collect(means)
    return found[:, 0] / members.hz - 1, line_unbalance(found[:, 1:])


def _mean_by(who: NDArray[np.int64], x: F64, n: int) -> F64:
    """Mean of the values of each of n; NaN for one that has none."""
    count = np.bincount(who, minlength=n)
    return np.where(count > 0, np.bincount(who, x, n) / np.maximum(count, 1), np.nan)
