"""The power quality index: one day of quarter-hour windows against the limits of EN 50160. Exact, no model in it.

One implementation for serving (closed quarter hours of a point) and for training (noise-free truth). It goes in steps:

1. Severity e of a window and part: the value over its limit (table `PARTS`); 1 is the limit itself. A window in which
   the highest phase stays below 5 % of Un is an interruption and does not count (clause 4.2.2 excludes them).
2. Part index, over the n windows that have the quantity: 100 - 30 min(1, q) - min(70, 20 s/a), where a is the share of
   windows that the standard allows outside, s the share that is, and q the severity that all but a share a stay
   within (the 95th percentile for voltage). So 70 is everything inside but no margin left, and a part reaches 50
   exactly when it meets the percentile criterion of its clause over these windows.
3. Index: half the worst part, half the weighted mean of the parts that count. A part with fewer than 72 of 96 windows
   does not count; without voltage there is no index.

EN 50160 judges 10-minute means of a week (IEC 61000-4-30), frequency 10-second means of a year: the limits are its
own, the windows are a quarter hour and the period one day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.masked import count

__all__ = [
    "DAY",
    "LEAST",
    "PARTS",
    "Day",
    "Part",
    "day_index",
    "line_unbalance",
    "live",
    "severities",
    "total",
    "voltage_index",
]

F64 = NDArray[np.float64]


class Part(NamedTuple):
    """What is limited, the clause of EN 50160:2010, the limit, the share of windows allowed outside, and the weight."""

    name: str
    clause: str
    limit: float
    allowed: float
    weight: float


PARTS: Final = (
    Part("voltage", "4.2.2", 0.10, 0.05, 0.4),  # |U / Un - 1|, the worst phase
    Part("unbalance", "4.2.4", 2.0, 0.05, 0.2),  # u2, %
    Part("frequency", "4.2.1", 0.01, 0.005, 0.2),  # |f / fn - 1|
    Part("harmonics", "4.2.5", 8.0, 0.05, 0.2),  # THD of the voltage, %, the worst phase
)
DAY: Final = 96
LEAST: Final = 72
_WITHIN: Final = 30.0
_OUTSIDE: Final = 70.0
_AT_ALLOWED: Final = 20.0
_DEAD: Final = 0.05
_LIMITS: Final = np.array([part.limit for part in PARTS])
_ALLOWED: Final = np.array([part.allowed for part in PARTS])
_WEIGHTS: Final = np.array([part.weight for part in PARTS])
# A value at its limit is inside it; division leaves it a few units in the last place beyond.
_LIMIT: Final = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Day:
    """Of m days: `parts` (m, 4) indices, NaN where a part does not count; `share` (m, 4) of windows outside; `edge`
    (m, 4) q; `typical` (m, 4) median severity; `out` (m, k) whether any part is outside in a window; `windows` (m,)
    that have voltage."""

    parts: F64
    share: F64
    edge: F64
    typical: F64
    out: NDArray[np.bool_]
    windows: NDArray[np.int64]

    @property
    def hours_out(self) -> F64:
        """Time outside any limit, in hours; NaN without voltage."""
        return np.where(np.isnan(self.parts[:, 0]), np.nan, count(self.out) * 0.25)


def line_unbalance(u: F64) -> F64:
    """V2/V1 in % from three line-voltage magnitudes (m, 3) (IEC 61000-4-30 5.7.1); NaN when one is missing or all
    are 0."""
    square = u * u
    total = square[:, 0] + square[:, 1] + square[:, 2]
    beta = (square[:, 0] ** 2 + square[:, 1] ** 2 + square[:, 2] ** 2) / (total * total)
    root = np.sqrt(np.maximum(3 - 6 * beta, 0.0))
    percent: F64 = 100 * np.sqrt(np.maximum((1 - root) / (1 + root), 0.0))
    return percent


def severities(v: F64, u2: F64, f: F64, thd: F64) -> F64:
    """(m, 4, k) from window means: `v` (m, 3, k) and `f` (m, k) in p.u., `u2` (m, k) and `thd` (m, 3, k) in %."""
    severity = np.empty((len(v), len(PARTS), v.shape[2]))
    np.fmax.reduce(np.abs(v - 1), axis=1, out=severity[:, 0])
    severity[:, 1] = u2
    np.abs(f - 1, out=severity[:, 2])
    np.fmax.reduce(thd, axis=1, out=severity[:, 3])
    severity /= _LIMITS[:, None]
    counts = live(np.fmax.reduce(v, axis=1))
    return severity if counts.all() else np.where(counts[:, None], severity, np.nan)


def live(highest: F64) -> NDArray[np.bool_]:
    """Whether a window counts, by its highest phase in p.u.: not unknown and no interruption."""
    with np.errstate(invalid="ignore"):
        return np.asarray(highest >= _DEAD)


def day_index(severity: F64) -> Day:
    """The parts of m days from the severities (m, 4, k) of their windows."""
    with np.errstate(invalid="ignore"):
        outside = severity > _LIMIT
    parts, share, edge, typical, n = _judge(np.ascontiguousarray(severity), outside, _ALLOWED)
    return Day(parts, share, edge, typical, np.asarray(outside.any(1)), n[:, 0])


def voltage_index(severity: F64) -> F64:
    """The voltage part (m, d) of each of d days, from the severities (m, d, k) of voltage alone."""
    with np.errstate(invalid="ignore"):
        return _judge(severity, severity > _LIMIT, _ALLOWED[0])[0]


def _judge(
    severity: F64, outside: NDArray[np.bool_], allowed: F64 | np.float64
) -> tuple[F64, F64, F64, F64, NDArray[np.int64]]:
    """Part index, share outside, q, median severity, and windows that count, along the last axis of `severity`."""
    ordered = np.sort(severity, axis=-1)  # NaN comes last
    n = count(~np.isnan(severity))
    some = np.maximum(n, 1)
    spared = np.floor(allowed * n + 1e-9).astype(np.int64)
    flat = ordered.reshape(-1)
    start = np.arange(n.size).reshape(n.shape) * severity.shape[-1]
    edge = flat.take(start + np.maximum(n - spared - 1, 0))
    middle = flat.take(start + some // 2)
    share = count(outside) / some
    parts = 100 - _WITHIN * np.minimum(edge, 1.0) - np.minimum(_OUTSIDE, _AT_ALLOWED * share / allowed)
    few = n < LEAST
    if few.any():
        for known in (parts, share, edge, middle):
            known[few] = np.nan
    return parts, share, edge, middle, n


def total(parts: F64) -> F64:
    """The index (m,) of part indices (m, 4); NaN where voltage does not count."""
    have = ~np.isnan(parts)
    weight = np.where(have, _WEIGHTS, 0.0)
    weighted = weight * np.where(have, parts, 0.0)
    # Added one by one: the order of a library's sum is its own business.
    mean = (weighted[:, 0] + weighted[:, 1] + weighted[:, 2] + weighted[:, 3]) / np.maximum(
        weight[:, 0] + weight[:, 1] + weight[:, 2] + weight[:, 3], 1e-9
    )
    worst = np.fmin.reduce(parts, axis=1)
    return np.where(have[:, 0], (worst + mean) / 2, np.nan)
