"""Features of a world's readings, by the serving library itself: windows, steps and `compute` as the daemon runs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from remhart_adt.readings import ReadingBatch
from remhart_adt.scoring.engine import Engine, Prepared
from remhart_adt.scoring.types import PointInfo
from remhart_adt.scoring.windows import Windows

from training.world import World

__all__ = ["Table", "batches", "features", "merge"]


@dataclass
class Table:
    """Rows of features with where they came from: instant `t`, point `p`, and which `world` of a list."""

    x: NDArray[np.float32]
    t: NDArray[np.int64]
    p: NDArray[np.int64]
    world: NDArray[np.int64]


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


def features(
    world: World, number: int, keep: NDArray[np.bool_], infos: list[PointInfo] | None = None
) -> tuple[Table, Windows]:
    """Feature rows where `keep` (T, P) says so, and the windows as they stand at the end."""
    engine = Engine([])
    windows = Windows(infos or world.infos)
    rows: list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]] = []
    for batch, t, p in batches(world):
        prepared: Prepared = engine.prepare(windows, batch)
        wanted = keep[t[prepared.index], p[prepared.index]]
        rows.append((prepared.features[wanted], t[prepared.index][wanted], p[prepared.index][wanted]))
    x, t, p = (np.concatenate([row[k] for row in rows]) for k in range(3))
    return Table(x, t, p, np.full(len(x), number)), windows


def merge(tables: list[Table]) -> Table:
    """Rows of several worlds in one table."""
    return Table(*(np.concatenate([getattr(table, name) for table in tables]) for name in ("x", "t", "p", "world")))


def with_rating(infos: list[PointInfo], rated: NDArray[np.float64], **changes: object) -> list[PointInfo]:
    """The same points with other ratings."""
    return [replace(info, rated_a=float(a), **changes) for info, a in zip(infos, rated, strict=True)]  # type: ignore[arg-type]
