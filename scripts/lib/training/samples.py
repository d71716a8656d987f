"""Rows for learning and judging: features of chosen readings beside what was true, then and later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.feeder import Missing, feeder_features
from remhart_adt.scoring.windows import Windows
from training.table import batches
from training.world import World

__all__ = ["Samples", "by_minute", "feeder_rows", "join", "point_rows"]

Floats = NDArray[np.float64]
_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000


@dataclass
class Samples:
    """`x` features (n, all), `y` what was true (n,) by name, `block` (n,) the world-day a row belongs to."""

    x: NDArray[np.float32]
    y: dict[str, NDArray[np.float64]]
    block: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Samples:
        """Some of the rows."""
        return Samples(self.x[chosen], {k: v[chosen] for k, v in self.y.items()}, self.block[chosen])

    def __len__(self) -> int:
        return len(self.x)


def join(parts: Sequence[Samples]) -> Samples:
    """Rows of several worlds; blocks stay apart."""
    blocks, offset = [], 0
    for part in parts:
        blocks.append(part.block + offset)
        offset += int(part.block.max(initial=0)) + 1
    return Samples(
        np.concatenate([p.x for p in parts]),
        {k: np.concatenate([p.y[k] for p in parts]) for k in parts[0].y},
        np.concatenate(blocks),
    )


def _future_mean(minutes: Floats, start: NDArray[np.int64], length: int) -> Floats:
    """Mean of `length` minutes from `start` on, (n, points) -> per row; NaN beyond the end."""
    total = np.cumsum(np.concatenate([np.zeros((1, minutes.shape[1])), minutes]), axis=0)
    end = start + length
    out = np.full((len(start), minutes.shape[1]), np.nan)
    fits = (start >= 0) & (end < len(total))
    out[fits] = (total[end[fits]] - total[start[fits]]) / length
    return out


def by_minute(world: World, series: Floats) -> Floats:
    """The values at whole minutes, one for every minute of the world; one that was left out repeats its neighbour."""
    at = (world.time_us[world.minute] - world.plan.start_us) // _MINUTE_US
    wanted = np.arange(int(at[-1]) + 1)
    return np.asarray(series[world.minute[np.minimum(np.searchsorted(at, wanted), len(at) - 1)]])


def point_rows(world: World, share: float, seed: int) -> Samples:
    """Rows of one world: every quarter hour, a share of the others, more of those with a fault."""
    rng = np.random.default_rng(seed)
    t_n, p_n = world.fault.shape
    minute = np.zeros(t_n, bool)
    minute[world.minute] = True
    since = (world.time_us - world.plan.start_us) // _MINUTE_US
    # Dropped readings make the first reading of a quarter hour a later minute now and then; those rows are not learned.
    quarter = minute & (since % 15 == 0)
    random = rng.random((t_n, p_n))
    chosen = random < share
    chosen |= (world.fault > 0) & (random < 4 * share)
    keep = chosen | quarter[:, None]
    engine, windows = Engine([]), Windows(world.infos)
    xs, ts, ps = [], [], []
    for batch, t, p in batches(world):
        prepared = engine.prepare(windows, batch, keep[t, p])
        xs.append(prepared.features)
        ts.append(t[prepared.index])
        ps.append(p[prepared.index])
    x, t, p = np.concatenate(xs), np.concatenate(ts), np.concatenate(ps)
    base = np.array([3 * i.nominal_v_ln * (i.rated_a or np.nan) for i in world.infos])
    p_minute, q_minute = by_minute(world, world.p_true) / base, by_minute(world, world.q_true) / base
    at = since[t]
    ahead = {
        "p_15min": _future_mean(p_minute, at, 15)[np.arange(len(t)), p],
        "p_1h": _future_mean(p_minute, at + 45, 15)[np.arange(len(t)), p],
        "p_24h": _future_mean(p_minute, at + 24 * 60 - 15, 15)[np.arange(len(t)), p],
        "q_10min": _future_mean(q_minute, at + 10, 1)[np.arange(len(t)), p],
    }
    y = {
        **ahead,
        "quarter": quarter[t].astype(float), "random": chosen[t, p].astype(float),
        "vuf": world.vuf[t, p], "critical": world.critical[t, p].astype(float),
        "burst": world.burst[t].astype(float), "fault": world.fault[t, p].astype(float),
        "shift": world.shift[t, p], "alive": world.alive[t, p].astype(float), "point": p.astype(float),
    }  # fmt: skip
    return Samples(x, y, (world.time_us[t] - world.plan.start_us) // _DAY_US)


def feeder_rows(world: World, every_min: int, seed: int) -> Samples:
    """Feeder features every so many minutes, with the engine's losses of the same minute as truth (W)."""
    rng = np.random.default_rng(seed)
    windows = Windows(world.infos)
    members = [i.point_id for i in world.infos]
    leaves = [i.point_id for i in world.infos if i.kind in ("meter", "renewable_source", "capacitor_bank")]
    minute_of = (world.time_us - world.plan.start_us) // _MINUTE_US
    loss = np.bincount(minute_of, world.loss_w) / np.maximum(np.bincount(minute_of), 1)
    rows, truth, block, next_minute = [], [], [], 60
    for batch, _t, _p in batches(world, 8):
        windows.push(batch)
        now = int(batch.time_us[-1] - world.plan.start_us) // _MINUTE_US
        if now < next_minute:
            continue
        next_minute = now + every_min
        # Some customers have no meter in the graph: a third of the rows leaves out up to a third of the leaves.
        gone = set()
        if rng.random() < 1 / 3:
            gone = set(rng.choice(leaves, rng.integers(1, max(2, len(leaves) // 3)), replace=False).tolist())
        try:
            end_us, x = feeder_features([windows], world.feeder_info, [m for m in members if m not in gone])
        except Missing:
            continue
        rows.append(x[0])
        minute = (end_us - int(world.plan.start_us)) // _MINUTE_US - 1
        truth.append(float(loss[minute]))
        block.append(minute // 1440)
    return Samples(np.array(rows, np.float32), {"loss_w": np.array(truth)}, np.array(block, np.int64))
