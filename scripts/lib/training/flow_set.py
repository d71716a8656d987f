"""What every tap position and number of capacitor steps would do to a feeder: solved by the engine, one by one.

A row is a moment of a feeder: its metered features and, for every setting, the losses and the extreme voltages of the
quarter hour after it. The loads are those of that quarter hour; each answers to voltage as its class does.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNELS, ReadingBatch
from remhart_adt.scoring.feeder import Missing, feeder_features
from remhart_adt.scoring.windows import MINUTE_US, Windows
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.loads import FastNoise, Scenery
from remhart_adt.simulate.meters import Meters
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split, us
from training.samples import Samples
from training.world import WorldPlan, feeder_info, point_infos

__all__ = ["STEPS", "TAPS", "flow", "flow_rows"]

Floats = NDArray[np.float64]
# The tap positions and the numbers of steps that a row has a place for: column k is TAPS[k // 7], STEPS[k % 7].
TAPS: Final = tuple(range(-2, 3))
STEPS: Final = tuple(range(7))
# The minutes after the reading at which a setting is judged.
_AHEAD: Final = (1, 8, 15)


def flow_rows(plan: WorldPlan) -> dict[str, Samples]:
    """Rows of one world. Half of them are as the feeder is operated (tap as built, bank under its controller, ordinary
    supply and load); in the others load, supply voltage, tap and steps are drawn, so that limits are met."""
    spec = FEEDERS[plan.feeder]
    # Taps sit on the medium-voltage winding, so that the no-load loss follows them.
    feeder = Feeder(replace(spec, transformer=replace(spec.transformer, tap_winding=1)))
    t = spec.transformer
    rng = np.random.default_rng([plan.seed, 79])
    minutes = round(plan.days * 1440)
    scenery = Scenery(feeder, plan.seed, plan.start_us).advance(minutes)
    factor, offset = FastNoise(feeder.n_loads, rng).block(minutes, 60.0)
    at = np.arange(0, minutes - _AHEAD[-1], plan.every)
    n, most = len(at), feeder.bank.steps if feeder.bank else 0
    varied = rng.random(n) < 0.5
    size = np.exp(rng.uniform(-0.7, 0.9, (n, 1)) + rng.normal(0, 0.25, (n, 3)))[:, feeder.load_phase]
    size[~varied] = 1.0
    size[:, np.array(feeder.load_kinds) == "pv"] = 1.0
    lift = np.where(varied, rng.uniform(-0.07, 0.07, n), 0.0)
    tap = np.where(varied, rng.integers(t.tap_min, t.tap_max + 1, n), t.tap)
    steps = np.where(varied, rng.integers(0, most + 1, n), scenery.steps[at])

    def solve(ahead: int, tap: NDArray[np.int64], steps: NDArray[np.int64]) -> Solution:
        minute = at + ahead
        order = np.lexsort((steps, tap))  # the engine is set anew only where tap or steps change
        solved = feeder.run(
            (scenery.kw[minute] * factor[minute] * size)[order], (scenery.kvar[minute] * factor[minute] * size)[order],
            (scenery.source_pu[minute] + offset[minute] + lift)[order], tap=tap[order], steps=steps[order],
        )  # fmt: skip
        back = np.argsort(order)
        return replace(solved, **{f.name: getattr(solved, f.name)[back] for f in fields(Solution) if f.name != "alive"})

    now = solve(0, tap, steps)
    loss, low, high = (np.full((n, len(TAPS) * len(STEPS)), np.nan) for _ in range(3))
    whole = now.converged
    for k, (position, on) in enumerate((position, on) for position in TAPS for on in STEPS):
        if not t.tap_min <= position <= t.tap_max or on > most:
            continue
        parts = [solve(ahead, np.full(n, position), np.full(n, on)) for ahead in _AHEAD]
        volts = np.stack([np.abs(part.v).reshape(n, -1) for part in parts]) / spec.nominal_v
        loss[:, k] = np.mean([part.losses_w for part in parts], axis=0)
        low[:, k], high[:, k] = volts.min((0, 2)), volts.max((0, 2))
        whole = whole & np.all([part.converged for part in parts], axis=0)
    x, rows = _features(plan, feeder, _metered(feeder, now, rng), at, tap, steps)
    keep = rows[whole[rows]]
    y = {"tap": tap, "steps": steps, "varied": varied}
    y |= {f"{name}_{k}": table[:, k] for name, table in (("loss", loss), ("low", low), ("high", high))
          for k in range(table.shape[1])}  # fmt: skip
    return {"flow": Samples(x[whole[rows]], {k: v[keep].astype(np.float64) for k, v in y.items()}, at[keep] // 1440)}


def _metered(feeder: Feeder, now: Solution, rng: np.random.Generator) -> Floats:
    """What the meters read, (T, P, channels)."""
    n = len(now)
    meters = Meters(feeder.n_points, feeder.spec.nominal_v, rng, rng.spawn(1)[0])
    return meters.read(now, np.full(n, feeder.spec.hz), np.full(n, np.nan), np.full(n, np.nan), 0)


def _features(
    plan: WorldPlan, feeder: Feeder, values: Floats, at: NDArray[np.int64], tap: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # fmt: skip
    """Features of every moment at which a feeder may be judged, and which moments those are."""
    infos, info = point_infos(feeder.spec), feeder_info(feeder.spec)
    windows, members = Windows(infos), tuple(i.point_id for i in infos)
    p_n, out, rows = len(infos), [], []
    for k, minute in enumerate(at.tolist()):
        time_us = np.full(p_n, plan.start_us + minute * MINUTE_US)
        windows.push(
            ReadingBatch(
                members, np.arange(p_n, dtype=np.int32), time_us, values[k].reshape(p_n, len(CHANNELS)),
                np.zeros(p_n, np.int8), np.arange(p_n, dtype=np.int64), np.zeros(p_n, np.int32), time_us,
            )
        )  # fmt: skip
        if k == 0:
            continue
        # The minute before is complete now.
        state = replace(info, tap_position=int(tap[k - 1]), steps_on=int(steps[k - 1]) if feeder.bank else None)
        try:
            out.append(feeder_features([windows], state, members)[1][0])
        except Missing:
            continue
        rows.append(k - 1)
    return np.array(out, np.float32), np.array(rows, np.int64)


def flow(quick: bool) -> Split:
    """Full: three seasons of ten days, a moment every 35 minutes. Quick: the same shape with fewer, shorter worlds."""
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS
    seasons = ((2025, 1, 13),) if quick else ((2025, 1, 20), (2025, 4, 21), (2025, 7, 21))
    unseen = ((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))

    def world(feeder: str, number: int, date: tuple[int, int, int]) -> WorldPlan:
        return WorldPlan(feeder, SEED + number, us(*date), 4.0 if quick else 10.0, every=35)

    return Split(
        learn=tuple(world(f, 3000 + 10 * k + j, date) for k, f in enumerate(learn) for j, date in enumerate(seasons)),
        calibrate=tuple(world(f, 3100 + k, (2025, 9, 8)) for k, f in enumerate(learn)),
        test_time=tuple(world(f, 3200 + k, (2025, 11, 10)) for k, f in enumerate(learn)),
        test_feeder=tuple(world(TEST_FEEDER, 3300 + j, date) for j, date in enumerate(unseen)),
    )
