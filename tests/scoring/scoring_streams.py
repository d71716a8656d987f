"""Readings made up for tests: smooth, physical, seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch
from remhart_adt.scoring.types import PointInfo

START_US = 1_760_000_400_000_000
MINUTE_US = 60_000_000
C = CHANNEL_INDEX


def site_50() -> list[PointInfo]:
    return [
        PointInfo("t1", 230.0, 50.0, 400.0, kind="transformer"),
        PointInfo("m1", 230.0, 50.0, 63.0, bank_step_var=5000.0, bank_steps=4),
        PointInfo("m2", 230.0, 50.0, 63.0),
    ]


def values(info: PointInfo, time_us: NDArray[np.int64], load: float = 0.4, seed: int = 1) -> NDArray[np.float64]:
    """Readings (n, 25) of one point: a day's swing and noise around `load` (p.u. of the rating)."""
    rng = np.random.default_rng([seed, sum(map(ord, info.point_id))])
    n = len(time_us)
    rated = info.rated_a or 60.0
    hour = (time_us / 3.6e9) % 24
    level = load * (0.7 + 0.3 * np.sin(2 * np.pi * (hour - 9) / 24))[:, None] * (1 + rng.normal(0, 0.03, (n, 3)))
    out = np.full((n, len(CHANNELS)), np.nan)
    i = rated * level
    v = info.nominal_v_ln * (1.02 - 0.03 * level + rng.normal(0, 0.0005, (n, 3)))
    out[:, C["v_a"] : C["v_c"] + 1] = v
    out[:, C["i_a"] : C["i_c"] + 1] = np.abs(i)
    out[:, C["p_a"] : C["p_c"] + 1] = 0.96 * v * i
    out[:, C["q_a"] : C["q_c"] + 1] = 0.28 * v * i
    out[:, C["freq"]] = info.hz * (1 + rng.normal(0, 2e-4, n))
    out[:, C["v_ab"] : C["v_ca"] + 1] = np.sqrt(3) * v.mean(1, keepdims=True) * (1 + rng.normal(0, 5e-4, (n, 3)))
    if info.kind == "transformer":
        out[:, C["ambient_temp"]] = 15.0
    return out


def batch(
    ids: Sequence[str],
    point: NDArray[np.int64],
    time_us: NDArray[np.int64],
    cells: NDArray[np.float64],
    quality: NDArray[np.int8] | None = None,
) -> ReadingBatch:
    n = len(point)
    return ReadingBatch(
        tuple(ids),
        np.asarray(point, np.int32),
        np.asarray(time_us, np.int64),
        np.array(cells, np.float64).reshape(n, len(CHANNELS)),
        np.zeros(n, np.int8) if quality is None else quality,
        np.arange(n, dtype=np.int64),
        np.zeros(n, np.int32),
        np.asarray(time_us, np.int64),
    )


def stream(infos: Sequence[PointInfo], times: NDArray[np.int64], load: float = 0.4, seed: int = 1) -> ReadingBatch:
    """All points at all times, time-major."""
    n = len(infos)
    cells = np.stack([values(info, times, load, seed) for info in infos], axis=1)
    return batch([i.point_id for i in infos], np.tile(np.arange(n), len(times)), np.repeat(times, n), cells)


def take(b: ReadingBatch, rows: NDArray[np.int64]) -> ReadingBatch:
    return ReadingBatch(
        b.points, b.point[rows], b.time_us[rows], b.values[rows].copy(), b.quality[rows], b.sequence[rows],
        b.index[rows], b.enqueued_us[rows],
    )  # fmt: skip


def minutes(count: int, start_us: int = START_US, every_us: int = MINUTE_US) -> NDArray[np.int64]:
    return start_us + every_us * np.arange(count, dtype=np.int64)
