"""Snapshots of feeders from hardly loaded to overloaded, each with its distance to the voltage limit and to collapse.

The distance is found by a continuation on the load: every customer draws more in the same proportion (powers at nominal
voltage; the voltage laws of the loads hold), while plants, bank, tap and supply voltage stay as they are. Feeders are
varied too (lengths, transformer, fault power), because from the meters alone the impedances cannot be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, ReadingBatch
from remhart_adt.scoring.feeder import Missing, feeder_features
from remhart_adt.scoring.windows import Windows
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.loads import Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import FeederSpec, Line, Meter, Solar
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.samples import Samples
from training.world import feeder_info, point_infos

__all__ = ["CAP", "COLLAPSE", "LIMIT", "StressPlan", "growth", "rows", "split", "stability_rows", "variant"]

Floats = NDArray[np.float64]
_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 86_400_000_000
_A: Final = np.exp(2j * np.pi / 3)
_C: Final = CHANNEL_INDEX

# Load growth is followed up to this, in units of the load now: beyond ten times today's load nothing is asked.
CAP: Final = 9.0
# p.u.: below half voltage devices drop out and the loads' voltage laws end, so there the search ends, if the power flow
# still has a solution; and the lower limit of EN 50160 4.2.2.
COLLAPSE: Final = 0.5
LIMIT: Final = 0.9
_LADDER: Final = np.geomspace(1.0, 1 + CAP, 11)
_ROUNDS: Final = 3


@dataclass(frozen=True)
class StressPlan:
    """`varied`: the feeder's lengths, transformer and source are drawn from `seed`, otherwise it is as it stands. There
    is a snapshot every `every` minutes."""

    feeder: str
    seed: int
    start_us: int
    days: float
    every: int
    varied: bool = True


def variant(spec: FeederSpec, rng: np.random.Generator) -> FeederSpec:
    """The same customers on other lengths, another transformer and another supply."""
    common = float(np.exp(rng.uniform(np.log(0.7), np.log(4.0))))
    elements = tuple(
        replace(e, length_km=e.length_km * common * float(np.exp(rng.normal(0, 0.25))))
        if isinstance(e, Line | Meter | Solar) else e
        for e in spec.elements
    )  # fmt: skip
    t, size = spec.transformer, float(rng.choice([0.63, 1.0, 1.6, 2.5]))
    # Losses of a series of transformers grow with about the power 3/4 of their rating.
    transformer = replace(
        t, kva=t.kva * size, uk_percent=float(rng.uniform(3.8, 6.0)),
        load_loss_w=t.load_loss_w * size**0.75, no_load_loss_w=t.no_load_loss_w * size**0.75,
    )  # fmt: skip
    fault = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
    source = replace(spec.source, mva_sc3=spec.source.mva_sc3 * fault, mva_sc1=spec.source.mva_sc1 * fault)
    head, *others = spec.points
    thicker = float(rng.uniform(1.0, 1.8))
    points = (
        replace(head, rated_a=round(head.rated_a * size, 1)),
        *(replace(p, rated_a=round(p.rated_a * thicker, 1)) for p in others),
    )
    return replace(spec, elements=elements, transformer=transformer, source=source, points=points)


def growth(lowest: Callable[[Floats, NDArray[np.int64]], Floats], count: int, levels: Sequence[float]) -> list[Floats]:
    """How much more load there may be until the lowest phase is down at each of the levels, arrays (count,) in units of
    the load now, at most `CAP`.

    `lowest(factors, which)` is the lowest phase voltage (p.u.) of some snapshots at some load factors, NaN where the
    power flow has no solution, which counts as below every level. The load climbs a ladder up to the least level, as
    a continuation does; then each crossing is narrowed down by interpolation, by halves where one side has no solution.
    """
    v = np.zeros((len(_LADDER), count))
    active = np.arange(count)
    for k, factor in enumerate(_LADDER):
        v[k, active] = np.nan_to_num(lowest(np.full(len(active), factor), active))
        active = active[v[k, active] > min(levels)]
        if not len(active):
            break
    out = []
    for level in levels:
        first = (v <= level).argmax(0)
        result = np.where((v <= level).any(0), 0.0, CAP)
        which = np.flatnonzero(first > 0)
        at = first[which]
        low, high = _LADDER[at - 1], _LADDER[at]
        v_low, v_high = v[at - 1, which], v[at, which]
        for _ in range(_ROUNDS if len(which) else 0):
            middle = low + _part(level, v_low, v_high).clip(0.1, 0.9) * (high - low)
            now = np.nan_to_num(lowest(middle, which))
            holds = now > level
            low, v_low = np.where(holds, middle, low), np.where(holds, now, v_low)
            high, v_high = np.where(holds, high, middle), np.where(holds, v_high, now)
        result[which] = low + _part(level, v_low, v_high) * (high - low) - 1
        out.append(result)
    return out


def _part(level: float, v_low: Floats, v_high: Floats) -> Floats:
    """Where between two loads the level is crossed: by the straight line, or half way when one has no solution."""
    return np.where(v_high > 0, (v_low - level) / np.maximum(v_low - v_high, 1e-9), 0.5)


def stability_rows(plan: StressPlan) -> dict[str, Samples]:
    """Feeder features of every snapshot beside the true distances: `collapse` and `limit` (load growth, p.u. of the
    load now), `low` (lowest phase voltage, p.u.), `load` (highest phase current over rating), `off` (f / fn - 1) and
    `u2` (highest V2/V1, %)."""
    rng = np.random.default_rng([plan.seed, 91])
    spec = FEEDERS[plan.feeder]
    spec = variant(spec, rng) if plan.varied else spec
    feeder = Feeder(spec)
    minutes = round(plan.days * 1440)
    scenery = Scenery(feeder, plan.seed, plan.start_us).advance(minutes)
    at = np.arange(0, minutes, plan.every)
    # Equal steps of the bank side by side: every change costs the engine a new matrix.
    at = at[np.argsort(scenery.steps[at], kind="stable")]
    n = len(at)
    plants = np.array([kind == "pv" for kind in feeder.load_kinds])
    scale = np.exp(rng.uniform(np.log(0.3), np.log(5.0), (n, 1)))
    phase = np.exp(rng.normal(0, rng.uniform(0.03, 0.3), 3))[feeder.load_phase]
    customer = np.exp(rng.normal(0, 0.2, feeder.n_loads))
    factor = np.where(plants, rng.uniform(0, 2) * np.ones((n, 1)), scale * phase * customer)
    kw = scenery.kw[at] * factor
    kvar = scenery.kvar[at] * factor * np.where(plants, 1.0, np.exp(rng.normal(0, 0.35, (n, 1))))
    pu = scenery.source_pu[at] + rng.uniform(-0.06, 0.05) + rng.normal(0, 0.015, n)
    steps = scenery.steps[at]
    sol = feeder.run(kw, kvar, pu, steps=steps)

    def lowest(load: Floats, which: NDArray[np.int64]) -> Floats:
        more = np.where(plants, 1.0, load[:, None])
        grown = feeder.run(kw[which] * more, kvar[which] * more, pu[which], steps=steps[which])
        voltage = (np.abs(grown.v) / spec.nominal_v).min((1, 2))
        return np.where(grown.converged, voltage, np.nan)

    collapse, limit = growth(lowest, n, (COLLAPSE, LIMIT))
    truth = {"collapse": collapse, "limit": limit}
    hz = spec.hz * (1 + np.where(rng.random(n) < 0.85, rng.normal(0, 4e-4, n), rng.uniform(-0.03, 0.03, n)))
    v = sol.v
    v1, v2 = (np.abs(v[..., 0] + a * v[..., 1] + a**2 * v[..., 2]) / 3 for a in (_A, _A**2))
    truth |= {
        "low": (np.abs(v) / spec.nominal_v).min((1, 2)),
        "load": (np.abs(sol.i).max(2) / feeder.rated_a).max(1),
        "off": hz / spec.hz - 1,
        "u2": (100 * v2 / v1).max(1),
    }
    # A state without a solution sends no readings: nobody can be asked about it.
    return {"stability": _metered(plan, spec, sol, truth, hz, np.flatnonzero(sol.converged), at, rng)}


def _metered(
    plan: StressPlan, spec: FeederSpec, sol: Solution, truth: dict[str, Floats], hz: Floats, kept: NDArray[np.int64],
    at: NDArray[np.int64], rng: np.random.Generator,
) -> Samples:  # fmt: skip
    """The features that the meters' readings give, snapshot by snapshot. A quarter of the snapshots lacks the meters of
    up to a third of the customers."""
    infos = point_infos(spec)
    info = feeder_info(spec)
    if rng.random() < 0.3:
        info = replace(info, short_circuit_v=None)
    meters = Meters(len(infos), spec.nominal_v, rng, rng.spawn(1)[0])
    values = meters.read(sol, hz, np.full(len(hz), np.nan), np.full(len(hz), 15.0), 0)
    values[:, rng.random(len(infos)) < 0.5, _C["v_ab"] : _C["v_ca"] + 1] = np.nan
    members = [i.point_id for i in infos]
    leaves = [i.point_id for i in infos if i.kind in ("meter", "renewable_source", "capacitor_bank")]
    windows = Windows(infos)
    rows, chosen = [], []
    for k, now in enumerate(kept):
        # The reading of the snapshot, and one a minute later that ends its minute.
        for later in (0, 1):
            time_us = plan.start_us + _MINUTE_US * (k * plan.every + later)
            windows.push(_batch(members, time_us, values[now]))
        gone = set()
        if rng.random() < 0.25:
            gone = set(rng.choice(leaves, rng.integers(1, max(2, len(leaves) // 3)), replace=False).tolist())
        try:
            _, x = feeder_features([windows], info, [m for m in members if m not in gone])
        except Missing:
            continue
        rows.append(x[0])
        chosen.append(kept[k])
    index = np.array(chosen, np.int64)
    block = at[index] * _MINUTE_US // _DAY_US
    return Samples(np.array(rows, np.float32), {name: y[index] for name, y in truth.items()}, block)


def _batch(points: list[str], time_us: int, values: Floats) -> ReadingBatch:
    """One reading of every point at one instant; `values` (points, channels)."""
    n = len(points)
    time = np.full(n, time_us, np.int64)
    return ReadingBatch(
        tuple(points), np.arange(n, dtype=np.int32), time, values, np.zeros(n, np.int8), np.arange(n, dtype=np.int64),
        np.zeros(n, np.int32), time,
    )  # fmt: skip


def split(quick: bool) -> Split:
    """Full: many variants of every feeder over all seasons; a third of the test worlds are feeders as they stand."""
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS
    each, days, every = (6, 0.8, 30) if quick else (9, 3.5, 30)

    def worlds(feeder: str, number: int, months: tuple[int, ...], count: int) -> tuple[StressPlan, ...]:
        return tuple(
            StressPlan(feeder, SEED + number + j, _us(months[j % len(months)]), days, every, varied=j % 3 != 2)
            for j in range(count)
        )

    few = max(2, each // 3)
    return Split(
        learn=tuple(w for k, f in enumerate(learn) for w in worlds(f, 5000 + 40 * k, (1, 3, 5, 7), each)),
        calibrate=tuple(w for k, f in enumerate(learn) for w in worlds(f, 5200 + 40 * k, (9,), few)),
        test_time=tuple(w for k, f in enumerate(learn) for w in worlds(f, 5400 + 40 * k, (11,), few)),
        test_feeder=worlds(TEST_FEEDER, 5600, (2, 6, 11), each),
    )


def _us(month: int) -> int:
    """The 10th of the month of 2025, UTC."""
    return int(np.datetime64(f"2025-{month:02d}-10", "us").astype(np.int64))


def rows(plan: Any) -> dict[str, Samples]:
    """`stability_rows` without the warnings of numbers that are not there."""
    np.seterr(all="ignore")
    return stability_rows(plan)
