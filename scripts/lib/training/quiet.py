"""Fault-free streams in full, for thresholds and for counting false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.windows import Windows
from training.table import batches
from training.world import World

__all__ = ["PHASED", "STREAM", "Stream", "stream"]

PHASED: Final = ("residual", "residual_z", "v", "v_lag1", "v_mean128", "v_std128", "v_spread", "v_step", "source_sigma")
_SINGLE = ("p_step", "q_step", "p_total", "p_total_mean16", "p_total_std16", "gap_s", "window_span_s", "q_total",
           "q_total_mean16", "readings_seen")  # fmt: skip
# What is kept of a stream: what voltage_anomaly looks at.
STREAM: Final = (*(f"{name}_{x}" for name in PHASED for x in "abc"), *_SINGLE)
_HOUR_US = 3_600_000_000


@dataclass
class Stream:
    """Every reading at which the model may speak, by point and then in time order, some features only."""

    names: tuple[str, ...]
    x: NDArray[np.float32]
    point: NDArray[np.int64]
    time_us: NDArray[np.int64]

    @property
    def point_days(self) -> float:
        """Points times days that the stream covers."""
        ends = np.flatnonzero(np.r_[self.point[1:] != self.point[:-1], True])
        starts = np.r_[0, ends[:-1] + 1]
        return float((self.time_us[ends] - self.time_us[starts]).sum() / (24 * _HOUR_US))

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Some of the kept features."""
        return self.x[:, [self.names.index(name) for name in names]]

    def runs(self, margin: NDArray[np.float32], length: int) -> Iterator[float]:
        """Highest value that `length` readings in a row of one point all reach, once per point and hour."""
        for p in np.unique(self.point):
            rows = np.flatnonzero(self.point == p)
            if len(rows) < length:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(margin[rows], length).min(axis=1)
            hour = self.time_us[rows[length - 1 :]] // _HOUR_US
            start = np.flatnonzero(np.r_[True, hour[1:] != hour[:-1]])
            yield from np.maximum.reduceat(windows, start).tolist()


def stream(world: World, names: tuple[str, ...]) -> Stream:
    """All of a world's readings from the third hour on."""
    engine, windows = Engine([]), Windows(world.infos)
    at = [INDEX[name] for name in names]
    known, seen = INDEX["residual_a"], INDEX["v_max"]
    xs, ps, ts = [], [], []
    for batch, _t, p in batches(world):
        prepared = engine.prepare(windows, batch)
        ok = np.isfinite(prepared.features[:, known]) & (prepared.features[:, seen] >= 0.1)
        xs.append(prepared.features[ok][:, at])
        ps.append(p[prepared.index][ok])
        ts.append(batch.time_us[prepared.index][ok])
    x, p, t = np.concatenate(xs), np.concatenate(ps), np.concatenate(ts)
    order = np.argsort(p, kind="stable")
    return Stream(names, x[order], p[order], t[order])
