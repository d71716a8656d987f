"""A world's readings as batches in stream order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import ReadingBatch
from training.world import World

__all__ = ["batches"]


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
