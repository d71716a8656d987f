"""Feeder features of voltage, loading, frequency and unbalance: how hard a feeder's members are pressed at one minute.

They stand at the end of the feeder table (`feeder.py`), which fills them from the same minute means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, PHASES
from remhart_adt.scoring.quality import line_unbalance
from remhart_adt.scoring.types import PointInfo
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


def margins(
    head_id: str,
    infos: Mapping[str, PointInfo],
    values: Mapping[str, F64],
    homes: Mapping[str, tuple[Windows, int]],
    leaves: Sequence[str],
    rated_va: float,
    minute_us: int,
) -> dict[str, float]:
    """The features by name. `values` are minute means by member, in the order of `MINUTE_COLUMNS`; `minute_us` is the
    start of the minute. NaN stands for what nobody measures."""
    low, loads, off, unbalance = [], [], float("nan"), []
    for member in sorted(infos, key=lambda m: (m != head_id, m)):
        info, mean = infos[member], values[member]
        metered = np.array([x in info.phases for x in PHASES])
        low += (mean[6:9][metered & np.isfinite(mean[6:9])] / info.nominal_v_ln).tolist()
        if info.rated_a is not None:
            loads.append(_current(mean) / info.rated_a)
        raw = _raw(*homes[member], minute_us)
        if np.isnan(off):
            off = _mean(raw[:, _FREQ]) / info.hz - 1
        lines, phases = raw[:, _LINE], np.nan_to_num(raw[:, _V]).max(1, initial=0.0)
        known = (np.isfinite(lines) & (lines > _RECORDED * phases[:, None])).all(1)
        if known.any():
            unbalance.append(float(line_unbalance(lines[known].mean(0)[None, :])[0]))
    fed = -sum(float(np.minimum(np.nan_to_num(values[leaf][0:3]), 0.0).sum()) for leaf in leaves)
    return {
        "v_low": min(low, default=float("nan")),
        "worst_load": max((x for x in loads if np.isfinite(x)), default=float("nan")),
        "feed_in": fed / rated_va,
        "frequency_off": off,
        "unbalance_worst": max(unbalance, default=float("nan")),
    }


def _current(mean: F64) -> float:
    """Highest phase current (A): sqrt(P^2 + Q^2) / V of each phase, scaled to the measured sum of the squares, which
    also holds the harmonics; NaN when no phase carries voltage."""
    v = np.where(mean[6:9] > 0, mean[6:9], np.nan)
    amps = np.hypot(mean[0:3], np.nan_to_num(mean[3:6])) / v
    if not np.isfinite(amps).any():
        return float("nan")
    high, total = float(np.nanmax(amps)), float(np.nansum(amps * amps))
    measured = float(mean[10])
    return high * (measured / total) ** 0.5 if total > 0 and np.isfinite(measured) else high


def _raw(window: Windows, row: int, minute_us: int) -> F64:
    """The member's raw readings of the minute, (n, channels); of the time since, when the ring no longer reaches back;
    of the five minutes before, when the member is that slow."""
    held = min(int(window.count[row]), window.raw_us.shape[1])
    time_us = window.raw_us[row, :held]
    since = time_us >= minute_us
    inside = since & (time_us < minute_us + MINUTE_US)
    chosen = inside if inside.any() else since
    if not chosen.any() and held:
        chosen = time_us == time_us.max()
    return window.raw[row, :held][chosen].astype(np.float64)


def _mean(x: F64) -> float:
    x = x[np.isfinite(x)]
    return float(x.mean()) if len(x) else float("nan")
