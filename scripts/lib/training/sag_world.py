"""A stretch of a feeder's life with sags: the ordinary part minute by minute, and every event solved by itself.

Truth is the engine's noise-free voltage of every event and every minute. A meter shows a sag only when one of its
samples falls into it: at one reading a minute, a fault of 0.3 s has one chance in two hundred. Some worlds have meters
that report: they send a reading of the event itself beside the usual ones (IEC 61000-4-30 class A or S devices do).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.types import PointInfo
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.loads import FastNoise, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.weather import OrnsteinUhlenbeck
from training import sag_events
from training.sag_events import Happening, Motor, Storm
from training.world import point_infos

__all__ = ["SAG", "Events", "SagPlan", "SagWorld", "build"]

Floats = NDArray[np.float64]
Phasors = NDArray[np.complex128]
Ints = NDArray[np.int64]
SAG: Final = 0.9
_PERIOD_S: Final = {"minute": 60, "report": 60, "ten seconds": 10, "quarter hour": 900}
_POINTS: Final = 4
_DAY_S: Final = 86_400


@dataclass(frozen=True)
class SagPlan:
    """What to simulate; `meter` is how its meters sample. Everything else follows from the seed."""

    feeder: str
    seed: int
    start_us: int
    days: float
    meter: str


@dataclass(frozen=True, slots=True)
class Events:
    """Events in order of `start` (n,) and `end` (s): phasors at all points (n, P, 3), and the cause's code."""

    start: Floats
    end: Floats
    v: Phasors
    i: Phasors
    cause: Ints


@dataclass(frozen=True, slots=True)
class SagWorld:
    """`time` (T,) s from the start, `values` (T, K, channels) of the K metered points, all NaN where there is no
    reading. `low` (M, K) lowest phase of every minute and `dip` (E, K) of every event, p.u., noise-free. `own` (K,)
    whether a machine stands behind the point."""

    plan: SagPlan
    infos: list[PointInfo]
    time: Floats
    values: Floats
    low: Floats
    events: Events
    dip: Floats
    own: NDArray[np.bool_]


def build(plan: SagPlan) -> SagWorld:
    """Simulate one world; the same plan gives the same world."""
    spec = FEEDERS[plan.feeder]
    feeder = Feeder(spec)
    rng = np.random.default_rng([plan.seed, 91])
    minutes, hours = round(plan.days * 1440), plan.days * 24
    scenery = Scenery(feeder, plan.seed, plan.start_us).advance(minutes + 1)
    storms = sag_events.draw_storms(hours, rng)
    local = plan.start_us / 1e6 + spec.site.zone_h * 3600
    motors = sag_events.draw_motors(feeder, hours, local % _DAY_S, rng)
    factor, offset = FastNoise(feeder.n_loads, rng).block(minutes + 1, 60.0)
    factor = factor * float(np.exp(rng.uniform(0, 0.9)))
    kw, kvar = scenery.kw * factor, scenery.kvar * factor
    pu = scenery.source_pu + offset + _supply(minutes + 1, storms, rng)
    for motor in motors:
        _run(motor, kw, kvar)
    base = _filled(feeder.run(kw, kvar, pu, steps=scenery.steps))
    faults = sag_events.draw_faults(feeder, hours, storms, rng)
    parts = [_fault_events(feeder, faults, kw, kvar, pu, scenery.steps)]
    parts += [_motor_events(feeder, motor, kw, kvar, pu, scenery.steps, rng) for motor in motors]
    events = _joined(parts)
    points = np.sort(rng.choice(np.arange(1, feeder.n_points), _POINTS - 1, replace=False))
    points = np.r_[0, points]
    events = replace(events, v=events.v[:, points], i=events.i[:, points])
    time, values = _readings(plan, feeder, points, base, events, rng)
    infos = [point_infos(spec)[p] for p in points]
    own = np.array(
        [any(m.element in spec.downstream(spec.points[p].element) | {spec.points[p].element} for m in motors)
         for p in points.tolist()]
    )  # fmt: skip
    nominal = spec.nominal_v
    return SagWorld(
        plan, infos, time, values, np.abs(base.v[:, points]).min(2) / nominal, events,
        np.abs(events.v).min(2) / nominal, own,
    )  # fmt: skip


def _supply(n: int, storms: list[Storm], rng: np.random.Generator) -> Floats:
    """What the supply voltage is off: a level (one world in three is fed badly), a walk of hours, and a flicker of
    minutes that grows in storms as loads and lines drop out elsewhere."""
    level = rng.uniform(-0.13, -0.04) if rng.random() < 1 / 3 else rng.uniform(-0.02, 0.02)
    walk = OrnsteinUhlenbeck(rng, np.array([8 * 3600.0, 200.0]), np.array([rng.uniform(0.003, 0.007), 1.0]))
    slow, fast = walk.block(n, 60.0).T
    size = np.full(n, 0.0008)
    for storm in storms:
        a, b = int(storm.start // 60), int(storm.end // 60)
        size[a:b] = rng.uniform(0.001, 0.004)
    return np.asarray(level + slow + fast * size)


def _run(motor: Motor, kw: Floats, kvar: Floats) -> None:
    """Between start and stop the machine draws a sixth of its starting power, at a power factor of 0.85; in place."""
    power = motor.kva / 6 / 3
    for start, stop in zip(motor.starts, motor.stops, strict=True):
        a, b = int(start // 60) + 1, int(stop // 60) + 1
        kw[a:b, list(motor.loads)] += 0.85 * power
        kvar[a:b, list(motor.loads)] += 0.53 * power


def _filled(sol: Solution) -> Solution:
    """Minutes that the engine could not solve repeat the one before; a world that has many is wrong."""
    if sol.converged.mean() < 0.98 or not sol.converged[0]:
        raise RuntimeError(f"{1 - sol.converged.mean():.1%} of the minutes did not converge")
    at = np.maximum.accumulate(np.where(sol.converged, np.arange(len(sol)), 0))
    return replace(sol, v=sol.v[at], i=sol.i[at])


def _fault_events(feeder: Feeder, faults: list[Happening], kw: Floats, kvar: Floats, pu: Floats, steps: Ints) -> Events:
    """Every fault solved at the load of its minute; its duration from the current that its protection sees. What the
    engine cannot solve is left out."""
    spec, kept = feeder.spec, []
    for h in faults:
        m = int(h.start // 60)
        sol = feeder.solve(kw[m], kvar[m], float(pu[m]), steps=int(steps[m]), fault=h.fault)
        if not sol.converged[0]:
            continue
        if h.fault.element == spec.source.id:
            zs = spec.source.kv**2 / spec.source.mva_sc3
            multiple = 1 / np.hypot(1.0, h.fault.ohm / zs) / h.pickup
            curve = sag_events.VERY_INVERSE
        else:
            p = sag_events.protection(feeder, h.fault)
            multiple = float(np.abs(sol.i[0, p]).max() / feeder.rated_a[p]) / h.pickup
            curve = sag_events.EXTREMELY_INVERSE
        seconds = float(sag_events.clearing_time(np.array(multiple), np.array(h.dial), curve))
        kept.append((h.start, h.start + seconds, sol.v[0], sol.i[0], 2 if h.repeat else 1))
    return _events(kept, feeder.n_points)


def _events(kept: list[tuple[Any, ...]], points: int) -> Events:
    none = np.zeros((0, points, 3), np.complex128)
    if not kept:
        return Events(np.zeros(0), np.zeros(0), none, none, np.zeros(0, np.int64))
    start, end, v, i, cause = zip(*kept, strict=True)
    return Events(np.array(start), np.array(end), np.stack(v), np.stack(i), np.array(cause, np.int64))


def _motor_events(
    feeder: Feeder, motor: Motor, kw: Floats, kvar: Floats, pu: Floats, steps: Ints, rng: np.random.Generator
) -> Events:
    """Every start solved at the load of its minute; a low voltage makes it longer, as torque goes with its square."""
    if not len(motor.starts):
        return _events([], feeder.n_points)
    m = (motor.starts // 60).astype(np.int64)
    p, q = kw[m].copy(), kvar[m].copy()
    more_p, more_q = sag_events.start_load(motor.kva)
    p[:, list(motor.loads)] += more_p
    q[:, list(motor.loads)] += more_q
    sol = feeder.run(p, q, pu[m], steps=steps[m])
    lowest = np.abs(sol.v).min((1, 2)) / feeder.spec.nominal_v
    seconds = motor.start_s * np.exp(rng.normal(0, 0.1, len(m))) * (0.95 / np.clip(lowest, 0.6, 1.1)) ** 2
    good = sol.converged
    code = sag_events.CAUSES.index("motor start") + 1
    return Events(
        motor.starts[good], (motor.starts + seconds)[good], sol.v[good], sol.i[good],
        np.full(int(good.sum()), code, np.int64),
    )  # fmt: skip


def _joined(parts: list[Events]) -> Events:
    columns = [np.concatenate([getattr(p, name) for p in parts]) for name in ("start", "end", "v", "i", "cause")]
    order = np.argsort(columns[0], kind="stable")
    return Events(*(c[order] for c in columns))


def _readings(
    plan: SagPlan, feeder: Feeder, points: Ints, base: Solution, events: Events, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Instants and what the meters of `points` send at them."""
    spec, period = feeder.spec, _PERIOD_S[plan.meter]
    last = (len(base) - 1) * 60.0
    regular = np.arange(rng.uniform(0, min(period, 60)), last, period)
    told = (events.start + events.end) / 2 if plan.meter == "report" else np.zeros(0)
    told = told[told < last]
    time = np.r_[regular, told]
    order = np.argsort(time, kind="stable")
    time, extra = time[order], (np.arange(len(time)) >= len(regular))[order]
    lower = (time // 60).astype(np.int64)
    part = (time / 60 - lower)[:, None, None]
    v, i = (x[lower][:, points] * (1 - part) + x[lower + 1][:, points] * part for x in (base.v, base.i))
    for k in range(len(events.start)):
        a, b = np.searchsorted(time, [events.start[k], events.end[k]])
        v[a:b], i[a:b] = events.v[k], events.i[k]
    zero = np.zeros(len(time))
    sol = replace(
        base, v=v, i=i, line_loss_w=zero, transformer_loss_w=zero, source_w=zero, source_var=zero,
        transformer_va=zero, converged=zero == 0, alive=base.alive[points],
    )  # fmt: skip
    # Frequency tells nothing of sags here, so it stays at nominal.
    meters = Meters(len(points), spec.nominal_v, rng, rng.spawn(1)[0], dropout=0.003)
    none = np.full(len(time), np.nan)
    values = meters.read(sol, np.full(len(time), spec.hz), none, none, 0)
    # A device reports what falls below the limit where it stands, nothing else.
    quiet = extra[:, None] & (np.abs(v).min(2) >= SAG * spec.nominal_v)
    values[quiet] = np.nan
    return time, values
