"""Rows for the sag model: what a meter has seen, and the first sag that begins within the next 15 minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNELS, ReadingBatch
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.windows import Windows
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.sag_events import CAUSES
from training.sag_world import SAG, SagPlan, SagWorld, build
from training.samples import Samples

__all__ = ["HORIZON_S", "METERS", "rows", "spells", "split"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HORIZON_S: Final = 900.0
# Hysteresis of 2 % (IEC 61000-4-30:2015, 5.4.2).
_OVER: Final = 0.92
METERS: Final = ("minute", "report", "ten seconds", "quarter hour")
# Every fifth world in turn; devices that report are the ones that learn most.
_TURN: Final = (0, 1, 2, 1, 3)
# Share of the minutes (of the readings, where they are rarer) that become rows.
_SHARE: Final = {"minute": 1 / 8, "report": 1 / 8, "ten seconds": 1 / 4, "quarter hour": 1.0}
_FEWEST: Final = 17
_DAY_S: Final = 86_400


def spells(low: Floats) -> list[tuple[Ints, Ints]]:
    """First and last minute after of every undervoltage at each point, from `low` (M, K): below 0.9 until 0.92."""
    inside = np.zeros(low.shape, bool)
    state = np.zeros(low.shape[1], bool)
    for t in range(len(low)):
        state = (low[t] < SAG) | (state & (low[t] < _OVER))
        inside[t] = state
    out = []
    for k in range(low.shape[1]):
        edge = np.diff(np.r_[0, inside[:, k].astype(np.int8), 0])
        out.append((np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)))
    return out


def _truth(world: SagWorld, k: int) -> tuple[Floats, Floats, Floats, Ints]:
    """Start, end, depth and cause of every sag at point k, in order of start."""
    here = world.dip[:, k] < SAG
    e = world.events
    first, after = spells(world.low[:, k : k + 1])[0]
    deep = np.array([1 - world.low[a:b, k].min() for a, b in zip(first, after, strict=True)])
    start = np.r_[e.start[here], first * 60.0]
    order = np.argsort(start, kind="stable")
    code = np.full(len(first), len(CAUSES), np.int64)
    return (
        start[order], np.r_[e.end[here], after * 60.0][order],
        np.r_[1 - world.dip[here, k], deep][order], np.r_[e.cause[here], code][order],
    )  # fmt: skip


def rows(plan: SagPlan) -> dict[str, Any]:
    """Features at a share of the first readings of minutes, beside the first sag that begins within 15 minutes."""
    world = build(plan)
    rng = np.random.default_rng([plan.seed, 92])
    share = _SHARE[plan.meter]
    engine, windows = Engine([]), Windows(world.infos)
    xs, ts, ps = [], [], []
    end = float(world.time[-1]) - HORIZON_S
    for batch, t, p in _batches(world):
        prepared = engine.prepare(windows, batch)
        due = prepared.minute & (prepared.seen >= _FEWEST) & (rng.random(len(prepared.index)) < share)
        ts.append(t[prepared.index][due])
        ps.append(p[prepared.index][due])
        xs.append(prepared.features[due])
    x, t, p = np.concatenate(xs), np.concatenate(ts), np.concatenate(ps)
    now = world.time[t]
    y = {name: np.zeros(len(x)) for name in ("sag", "cause", "inside", "shown")}
    y |= {name: np.full(len(x), np.nan) for name in ("depth", "seconds", "wait")}
    for k in range(len(world.infos)):
        mine = np.flatnonzero(p == k)
        start, stop, depth, cause = _truth(world, k)
        at = np.searchsorted(start, now[mine], side="right")
        ahead = np.minimum(at, max(len(start) - 1, 0))
        if not len(start):
            continue
        comes = (at < len(start)) & (start[ahead] <= now[mine] + HORIZON_S)
        y["sag"][mine] = comes
        y["depth"][mine] = np.where(comes, depth[ahead], np.nan)
        y["seconds"][mine] = np.where(comes, (stop - start)[ahead], np.nan)
        y["cause"][mine] = np.where(comes, cause[ahead], 0)
        y["wait"][mine] = np.where(comes, start[ahead] - now[mine], np.nan)
        sent = world.time[np.isfinite(world.values[:, k, 0])]
        shown = np.searchsorted(sent, stop) > np.searchsorted(sent, start)
        y["shown"][mine] = np.where(comes, shown[ahead], 0)
        latest = np.r_[-np.inf, np.maximum.accumulate(stop)][at]
        y["inside"][mine] = latest > now[mine]
    y["own"] = world.own[p].astype(float)
    y["meter"] = np.full(len(x), float(METERS.index(plan.meter)))
    y["point"] = p.astype(float)
    samples = Samples(x, y, (now // _DAY_S).astype(np.int64))
    return {"sag": samples.take(now < end)}


def _batches(world: SagWorld, every: int = 64) -> Iterator[tuple[ReadingBatch, Ints, Ints]]:
    """Readings in stream order with instant and point of each; what was never sent is left out."""
    ids = tuple(info.point_id for info in world.infos)
    time_us = world.plan.start_us + np.round(world.time * 1e6).astype(np.int64)
    sent = np.isfinite(world.values[:, :, 0])
    for begin in range(0, len(time_us), every):
        t, p = np.nonzero(sent[begin : begin + every])
        t = t + begin
        n = len(t)
        yield (
            ReadingBatch(
                ids, p.astype(np.int32), time_us[t], world.values[t, p].reshape(n, len(CHANNELS)),
                np.zeros(n, np.int8), np.arange(n, dtype=np.int64), np.zeros(n, np.int32), time_us[t],
            ),
            t, p,
        )  # fmt: skip


def split(quick: bool) -> Split:
    """Worlds of three days, each with a supply, load, storms and machines of its own: many, because what differs most
    is the world. Quick: fewer and shorter ones."""
    learn, days = (LEARN_FEEDERS[:2], 2.0) if quick else (LEARN_FEEDERS, 3.0)

    def worlds(number: int, feeders: tuple[str, ...], first: tuple[int, int], step: int, count: int) -> list[SagPlan]:
        """`count` worlds of each feeder, `step` days apart."""
        start = datetime(2025, *first, tzinfo=UTC)
        return [
            _plan(feeder, number + j, start + timedelta(days=step * k), days)
            for j, (k, feeder) in enumerate((k, f) for k in range(count) for f in feeders)
        ]

    return Split(
        learn=tuple(worlds(0, learn, (1, 7), 9, 6 if quick else 24)),
        calibrate=tuple(worlds(200, learn, (9, 1), 6, 2 if quick else 8)),
        test_time=tuple(worlds(400, learn, (11, 1), 4, 2 if quick else 12)),
        test_feeder=tuple(worlds(600, (TEST_FEEDER,), (1, 13), 9, 6 if quick else 36)),
    )


def _plan(feeder: str, number: int, start: datetime, days: float) -> SagPlan:
    meter = METERS[_TURN[number % len(_TURN)]]
    span = days / 3 if meter == "ten seconds" else days
    return SagPlan(feeder, SEED + 12_000 + number, int(start.timestamp()) * 1_000_000, span, meter)
