"""A world's readings as batches in stream order, and the features at chosen instants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import ReadingBatch
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.windows import Windows
from training.world import World

__all__ = ["batches", "features_at"]


def batches(world: World, every: int = 32) -> Iterator[tuple[ReadingBatch, NDArray[np.int64], NDArray[np.int64]]]:
    """The world's readings in stream order, `every` instants a batch; with instant and point of each row."""
    points = tuple(info.point_id for info in world.infos)
    n = len(points)
    for start in range(0, len(world.time_us), every):
        time = world.time_us[start : start + every]
        t = np.repeat(np.arange(start, start + len(time)), n)
        p = np.tile(np.arange(n), len(time))
        sequence = np.arange(len(t), dtype=np.int64)
        yield (
            ReadingBatch(
                points, p.astype(np.int32), np.repeat(time, n), world.values[start : start + every].reshape(-1, 25),
                np.zeros(len(t), np.int8), sequence, np.zeros(len(t), np.int32), np.repeat(time, n),
            ),
            t, p,
        )  # fmt: skip


def features_at(
    world: World, instants: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features (n, all) of every point at the given instants, with instant and point of each row; all other readings
    are only taken in."""
    engine, windows = Engine([]), Windows(world.infos)
    xs, ts, ps = [], [], []
    start = 0
    for t in instants.tolist():
        for batch, _t, _p in batches(_part(world, start, t), 64):
            windows.push(batch)
        for batch, _t, p in batches(_part(world, t, t + 1)):
            prepared = engine.prepare(windows, batch)
            xs.append(prepared.features)
            ps.append(p[prepared.index])
            ts.append(np.full(len(prepared.index), t))
        start = t + 1
    return np.concatenate(xs), np.concatenate(ts), np.concatenate(ps)


def _part(world: World, start: int, end: int) -> World:
    return replace(world, time_us=world.time_us[start:end], values=world.values[start:end])
