"""Features of the frequency's last seconds, on true time, so that meters of any rate are described alike.

A reading without a frequency is as if it had not been sent. Lags lie on the line between two neighbouring readings;
where these are more than `GAP_S` apart, nothing is made up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.features import LAGS_F
from remhart_adt.scoring.past import Past
from remhart_adt.scoring.windows import Windows

__all__ = ["GAP_S", "frequency_features"]

F64 = NDArray[np.float64]
_NEAR: Final = 32
_FREQ: Final = slice(CHANNEL_INDEX["freq"], CHANNEL_INDEX["freq"] + 1)
# Two readings of a 5 s meter with a lost one between them, and a little for clocks.
GAP_S: Final = 10.5
_SPACING_S: Final = 30.5
_WHEN: Final = -np.array(LAGS_F, np.float64)


def frequency_features(windows: Windows, past: Past, nominal_hz: F64) -> dict[str, F64]:
    """`f_...` columns (m,) by name; `nominal_hz` (m,). A caller ignores invalid-value warnings."""
    f = past.cells(windows, _NEAR, _FREQ)[:, 0] / nominal_hz[:, None] - 1
    s = past.seconds[:, -_NEAR:].copy()
    have = ~(np.isnan(s) | np.isnan(f))
    now = np.where(have[:, -1], f[:, -1], np.nan)
    gone = np.flatnonzero(~have.all(1))
    if len(gone):
        # Those that count to the end, in their order; before them nothing.
        order = np.argsort(have[gone], axis=1, kind="stable")
        here = np.take_along_axis(have[gone], order, 1)
        f[gone] = np.where(here, np.take_along_axis(f[gone], order, 1), np.nan)
        s[gone] = np.where(here, np.take_along_axis(s[gone], order, 1), np.nan)
    lags = _at(f, s, _WHEN) - now[:, None]
    columns = {f"f_lag{lag}": lags[:, k] for k, lag in enumerate(LAGS_F)}
    recent = s >= -_SPACING_S
    n = recent.sum(1)
    oldest = np.fmin.reduce(np.where(recent, s, np.nan), axis=1)
    gap, change = s[:, 1:] - s[:, :-1], f[:, 1:] - f[:, :-1]
    close = gap <= GAP_S
    bend = change[:, 1:] - change[:, :-1] * (gap[:, 1:] / gap[:, :-1])
    # The middle one of three lies off the line through its neighbours by this share of the bend.
    bend = bend * (gap[:, :-1] / (gap[:, :-1] + gap[:, 1:]))
    columns |= {
        "f_spacing_s": np.where(n > 1, -oldest / np.maximum(n - 1, 1), -s[:, -2]),
        "f_noise": _rms(bend, close[:, 1:] & close[:, :-1]),
        "f_rate": _rms(change / np.sqrt(gap), close),
    }
    return {name: np.where(np.isnan(now), np.nan, column) for name, column in columns.items()}


def _at(f: F64, s: F64, when: F64) -> F64:
    """f at the times `when` (k,) (s, negative) between the readings before and after them, (m, k); NaN where there are
    none close by."""
    rows = np.arange(len(f))[:, None]
    # Whether a reading is older (or missing), counted: they stand in the order of time.
    after = np.minimum((~(s[:, None, :] >= when[:, None])).sum(2), f.shape[1] - 1)
    s_after, f_after = s[rows, after], f[rows, after]
    before = np.maximum(after - 1, 0)
    gap = s_after - s[rows, before]
    line = f_after + (f[rows, before] - f_after) * ((s_after - when) / gap)
    return np.where(s_after == when, f_after, np.where((after > 0) & (gap <= GAP_S), line, np.nan))


def _rms(x: F64, use: NDArray[np.bool_]) -> F64:
    n = use.sum(1)
    return np.where(n > 0, np.sqrt(np.where(use, x * x, 0.0).sum(1) / np.maximum(n, 1)), np.nan)
