"""Divided networks: a feeder whose customers are spread badly or well among the phases, and what every move would save.

A life lasts two days and a half. The first is metered; at some quarter hours of the next the model is asked, and the
truth is the engine's: the feeder of the 24 hours that follow, solved as it is and again with the customer of each of
the six pairs moved. All loads of a customer on the one phase move, except three-phase machines, which cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, ReadingBatch
from remhart_adt.scoring.feeder import FEEDER_FEATURES, Missing, feeder_features
from remhart_adt.scoring.members import Members
from remhart_adt.scoring.moves import PAIRS, chosen_moves
from remhart_adt.scoring.types import FeederInfo, PointInfo
from remhart_adt.scoring.windows import Windows
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.loads import FastNoise, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import FeederSpec, Load, Meter
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split, us
from training.samples import Samples
from training.world import point_infos

__all__ = ["DividedPlan", "balance_rows", "life", "savings", "split"]

Floats = NDArray[np.float64]
_QUARTERS: Final = 96
_C: Final = CHANNEL_INDEX
# Kinds whose three phases are one machine: they neither move nor differ between the phases.
_MACHINES: Final = ("motor", "heat_pump")
# Quarter hours of the second day at which the model is asked, and every how many the next day is solved.
_ASKED: Final = (97, 118, 139)
_EVERY: Final = 3
_UNEVEN: Final = (0.0, 0.15, 0.4, 0.8)
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True)
class DividedPlan:
    """`lives` divisions of one feeder in the two days from `start_us` on, each with loads and phases of its own."""

    feeder: str
    seed: int
    start_us: int
    lives: int


@dataclass
class Life:
    """One division: loads (T, L) in quarter hours with the source's voltage, what is metered, and who is there."""

    feeder: Feeder
    infos: list[PointInfo]
    info: FeederInfo
    time_us: NDArray[np.int64]
    kw: Floats
    kvar: Floats
    pu: Floats
    steps: int
    values: Floats


def whole(spec: FeederSpec) -> FeederSpec:
    """The feeder with a load of every kind on all three phases of each meter: the phases that had none stay at zero
    unless something moves there."""
    elements = []
    for e in spec.elements:
        if isinstance(e, Meter):
            peaks = {
                kind: [x.peak_kw for x in e.loads if x.kind == kind] for kind in dict.fromkeys(x.kind for x in e.loads)
            }
            there = {(x.kind, x.phase): x.peak_kw for x in e.loads}
            loads = [Load(p, k, there.get((k, p), max(kw))) for k, kw in peaks.items() for p in range(3)]
            e = replace(e, loads=tuple(loads))
        elements.append(e)
    return replace(spec, elements=tuple(elements))


def life(feeder: Feeder, plan: DividedPlan, number: int) -> Life:
    """One division of the plan: who is on which phase, and what the meters sent."""
    spec, original = feeder.spec, FEEDERS[plan.feeder]
    rng = np.random.default_rng([plan.seed, number, 91])
    minutes = 15 * (_ASKED[-1] + 1 + _QUARTERS)
    scenery = Scenery(feeder, plan.seed * 100 + number, plan.start_us).advance(minutes)
    at = np.arange(minutes // 15) * 15 + 7
    time_us = plan.start_us + at * _MINUTE_US
    factor, offset = FastNoise(feeder.n_loads, rng).block(len(at), 900.0)
    kinds, phase, element = np.array(feeder.load_kinds), feeder.load_phase, np.array(feeder.load_elements)
    machine, plant = np.isin(kinds, _MACHINES), kinds == "pv"
    there = {(e.id, x.kind, x.phase) for e in original.elements if isinstance(e, Meter) for x in e.loads}
    own = np.array([key in there for key in zip(feeder.load_elements, feeder.load_kinds, phase.tolist(), strict=True)])
    # The whole feeder leans to a phase, every customer leans by itself, and some customers have one phase only.
    skew = np.exp(rng.choice(_UNEVEN) * rng.standard_normal(3))
    each = np.exp(rng.choice(_UNEVEN[:3]) * rng.standard_normal(feeder.n_loads))
    lean = skew[phase] * each * (own | (rng.random(feeder.n_loads) < 0.1))
    infos = [replace(info) for info in point_infos(original)]
    single = rng.random() < 0.5
    meters = [(k, i) for k, i in enumerate(infos) if i.kind == "meter"]
    blind: list[tuple[int, int]] = []
    for k, info in meters:
        loads = element == original.points[k].element
        if single and rng.random() < 0.4 and not (machine & loads).any():
            keep = int(rng.choice(3, p=skew / skew.sum()))
            lean[loads & (phase != keep)] = 0.0
            infos[k] = replace(info, phases="ABC"[keep])
            blind += [(k, p) for p in range(3) if p != keep]
    lean = np.where(machine | plant, 1.0, lean)
    kw, kvar = scenery.kw[at] * factor * lean, scenery.kvar[at] * factor * lean
    for e in np.unique(element):
        for kind in _MACHINES:
            loads = (element == e) & (kinds == kind)
            if loads.any():
                kw[:, loads], kvar[:, loads] = (
                    kw[:, loads].mean(1, keepdims=True),
                    kvar[:, loads].mean(1, keepdims=True),
                )
    # From a third of the rating to the rating at the busiest phase.
    t = spec.transformer
    busiest = np.stack([kw[:, (phase == p) & ~plant].sum(1) for p in range(3)]).max() * 3
    level = min(t.kva * rng.uniform(0.3, 1.05) / busiest, 3.0)
    kw[:, ~plant] *= level
    kvar[:, ~plant] *= level
    sun = rng.choice((0.0, 0.3, 1.0))
    kw[:, plant] *= sun
    pu = scenery.source_pu[at] + offset
    # The bank stands still: each of its steps would be a matrix of its own, and it is no part of the question.
    steps = int(rng.integers(0, feeder.bank.steps + 1)) if feeder.bank is not None else 0
    sol = feeder.run(kw, kvar, pu, steps=steps)
    sends = Meters(len(spec.points), spec.nominal_v, rng, rng.spawn(1)[0], dropout=0.002)
    values = sends.read(sol, np.full(len(at), spec.hz), np.full(len(at), np.nan), scenery.air.temperature[at], 0)
    values[~sol.converged] = np.nan
    for k, p in blind:
        values[:, k, [_C[f"{x}_{'abc'[p]}"] for x in "vipq"]] = np.nan
        values[:, k, _C["v_ab"] : _C["v_ca"] + 1] = np.nan
    info = FeederInfo(spec.source.id, spec.points[0].id, t.kva * 1000, t.no_load_loss_w, t.load_loss_w)
    if rng.random() < 0.15:
        info = replace(info, no_load_loss_w=None, load_loss_w=None)
    return Life(feeder, infos, info, time_us, kw, kvar, pu, steps, values)


def moved(life: Life, point: int, x: int, y: int, kw: Floats) -> Floats:
    """Loads (T, L) after the customer behind a point has gone from phase x to y; machines stay."""
    f = life.feeder
    mine = np.array(f.load_elements) == f.spec.points[point].element
    out = kw.copy()
    for j in np.flatnonzero(mine & (f.load_phase == x)):
        if f.load_kinds[j] in _MACHINES or f.load_kinds[j] == "pv":
            continue
        (to,) = (k for k in np.flatnonzero(mine & (f.load_phase == y)) if f.load_kinds[k] == f.load_kinds[j])
        out[:, to] += out[:, j]
        out[:, j] = 0.0
    return out


def savings(life: Life, start: int, leaves: tuple[str | None, ...], known: dict[Any, Floats]) -> tuple[float, Floats]:
    """Mean losses (W) of the 24 hours from quarter hour `start` on, and what each pair's move saves of them (6,);
    NaN where nobody can move. `known` keeps what has been solved already."""
    points = [i.point_id for i in life.infos]

    def losses(key: Any, kw: Floats, kvar: Floats) -> Floats:
        if key not in known:
            sol = life.feeder.run(kw, kvar, life.pu[::_EVERY], steps=life.steps)
            known[key] = np.where(sol.converged, sol.losses_w, np.nan)
        return known[key]

    kw, kvar = life.kw[::_EVERY], life.kvar[::_EVERY]
    day = slice(start // _EVERY, (start + _QUARTERS) // _EVERY)
    base = losses(None, kw, kvar)[day]
    saved = np.full(len(PAIRS), np.nan)
    for n, ((x, y), leaf) in enumerate(zip(PAIRS, leaves, strict=True)):
        if leaf is not None:
            k = points.index(leaf)
            after = losses((k, x, y), moved(life, k, x, y, kw), moved(life, k, x, y, kvar))[day]
            saved[n] = np.nanmean(base - after)
    return float(np.nanmean(base)), saved


def balance_rows(plan: DividedPlan) -> dict[str, Samples]:
    """What feeder meters say of a day, with the next day's losses and the six moves' savings of them (W)."""
    feeder = Feeder(whole(FEEDERS[plan.feeder]))
    xs, losses, saved, blocks = [], [], [], []
    for number in range(plan.lives):
        one = life(feeder, plan, number)
        windows, known, start = Windows(one.infos), dict[Any, Floats](), 0
        members = [i.point_id for i in one.infos]
        for asked in _ASKED:
            windows.push(_batch(one, start, asked + 1))
            start = asked + 1
            try:
                end_us, x = feeder_features([windows], one.info, members, day=True)
            except Missing:
                continue
            there = Members.of([windows], one.info.head_id, members)
            move = chosen_moves(there, one.info, end_us, one.info.rated_va or 0.0)
            loss, gains = savings(one, asked + 1, move.leaves, known)
            xs.append(x[0])
            losses.append(loss)
            saved.append(gains)
            blocks.append(number)
    gains_w = np.array(saved).reshape(-1, len(PAIRS))
    y = {"loss_w": np.array(losses), **{f"saved_{n}": gains_w[:, n] for n in range(len(PAIRS))}}
    x_all = np.array(xs, np.float32).reshape(-1, len(FEEDER_FEATURES))
    return {"divided": Samples(x_all, y, np.array(blocks, np.int64))}


def _batch(one: Life, start: int, end: int) -> ReadingBatch:
    """Readings of some quarter hours in stream order."""
    n, t = len(one.infos), end - start
    time = np.repeat(one.time_us[start:end], n)
    return ReadingBatch(
        tuple(i.point_id for i in one.infos), np.tile(np.arange(n), t).astype(np.int32), time,
        one.values[start:end].reshape(n * t, -1), np.zeros(n * t, np.int8), np.arange(n * t, dtype=np.int64),
        np.zeros(n * t, np.int32), time,
    )  # fmt: skip


def split(quick: bool) -> Split:
    """Learn in four seasons, calibrate in September, judge in November and on the unseen feeder."""
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS
    seasons = ((2025, 1, 13), (2025, 7, 16)) if quick else ((2025, 1, 13), (2025, 3, 11), (2025, 5, 16), (2025, 7, 16))
    lives = 4 if quick else 25
    unseen = ((2025, 11, 11),) if quick else ((2025, 2, 11), (2025, 6, 13), (2025, 11, 11))

    def plan(feeder: str, number: int, date: tuple[int, int, int], more: int = 1) -> DividedPlan:
        return DividedPlan(feeder, SEED + number, us(*date), lives * more)

    return Split(
        learn=tuple(
            plan(f, 3000 + 10 * k + j, date) for k, f in enumerate(learn) for j, date in enumerate(seasons)
        ),
        calibrate=tuple(
            plan(f, 3100 + 10 * k + j, date)
            for k, f in enumerate(learn) for j, date in enumerate(((2025, 9, 9), (2025, 4, 12)))
        ),
        test_time=tuple(plan(f, 3200 + k, (2025, 11, 11)) for k, f in enumerate(learn)),
        test_feeder=tuple(plan(TEST_FEEDER, 3300 + j, date, 3 if quick else 2) for j, date in enumerate(unseen)),
    )  # fmt: skip
