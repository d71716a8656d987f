"""A stretch of one feeder's life: what its meters sent, and what was true.

Truth comes from the engine's noise-free phasors; readings carry meter errors. Disturbances that belong to normal
operation (load steps, motor starts, other branches switched) are part of every world, so that no model learns to call
them anomalies; faults are added on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.types import FeederInfo, PointInfo, Thermal
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.frequency import Frequency
from remhart_adt.simulate.loads import FastNoise, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import Bank, Breaker, FeederSpec, Line, Solar
from remhart_adt.simulate.weather import OrnsteinUhlenbeck
from training.devices import FLEXIBLE, device_kw, flexible_w, occupancy
from training.faults import FAULTS, Fault, apply_engine, apply_phasors, apply_readings, draw_faults

__all__ = ["World", "WorldPlan", "build", "feeder_info", "point_infos", "thin"]

Floats = NDArray[np.float64]
MINUTE_US: Final = 60_000_000
_C: Final = CHANNEL_INDEX
_A: Final = np.exp(2j * np.pi / 3)


@dataclass(frozen=True)
class WorldPlan:
    """What to simulate: `bursts` are stretches of one-second readings, `faults` the number of faults to inject, `skew`
    factors on the loads of each phase (a badly divided network). `lift` is added to the supply voltage (p.u.), which
    wanders around that with `wander` as its standard deviation over hours. `every` minutes there is an instant."""

    feeder: str
    seed: int
    start_us: int
    days: float
    bursts: int = 0
    burst_s: int = 150
    faults: int = 0
    steps: int = 0
    skew: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: float = 0.0
    wander: float = 0.0
    every: int = 1
    # The chance with which a home has each of the flexible devices (`training.devices`), on the average.
    devices: float = 0.0


@dataclass
class World:
    """T instants at P points. `minute` (M,) are the indices of whole minutes among the T instants."""

    plan: WorldPlan
    spec: FeederSpec
    infos: list[PointInfo]
    feeder_info: FeederInfo
    time_us: NDArray[np.int64]
    values: Floats  # (T, P, channels) as metered, NaN = missing
    minute: NDArray[np.int64]
    burst: NDArray[np.bool_]  # (T,)
    vuf: Floats  # (T, P) percent, true |V2|/|V1|
    critical: NDArray[np.int8]  # (T, P) phase that departs most from the positive sequence
    loss_w: Floats  # (T,)
    p_true: Floats  # (T, P) W
    q_true: Floats
    k_true: Floats  # (T, P) highest phase current over rating
    ambient: Floats  # (T,)
    fault: NDArray[np.int8]  # (T, P) code of the active fault, 0 = none
    shift: Floats  # (T, P) largest change of a phase voltage that the fault made, p.u.
    alive: NDArray[np.bool_]  # (T, P) no fault at the supply: every phase within 0.9..1.1 p.u.
    v_true: Floats  # (T, P, 3) p.u., noise-free magnitudes
    hz_true: Floats  # (T,)
    events: list[Fault] = field(default_factory=list)
    flexible: Floats | None = None  # (T, P) W that flexible loads draw, in worlds with devices


def point_infos(spec: FeederSpec) -> list[PointInfo]:
    """The points as their twins declare them."""
    kinds = {spec.transformer.id: "transformer"}
    for e in spec.elements:
        kinds[e.id] = (
            "circuit_breaker" if isinstance(e, Breaker) else "transmission_line" if isinstance(e, Line)
            else "capacitor_bank" if isinstance(e, Bank) else "renewable_source" if isinstance(e, Solar) else "meter"
        )  # fmt: skip
    t = spec.transformer
    heat = Thermal(loss_ratio=t.load_loss_w / t.no_load_loss_w)
    bank = next((e for e in spec.elements if isinstance(e, Bank)), None)
    out = []
    for p in spec.points:
        head = p.element == t.id
        out.append(
            PointInfo(
                p.id, spec.nominal_v, spec.hz, p.rated_a, kind=kinds[p.element], feeder_id=spec.source.id,
                thermal=heat if head else Thermal(),
                bank_step_var=bank.step_kvar * 1000 if bank and head else None,
                bank_steps=bank.steps if bank and head else None,
                utc_offset_min=round(spec.site.zone_h * 60),
            )
        )  # fmt: skip
    return out


def feeder_info(spec: FeederSpec) -> FeederInfo:
    """The feeder as its twins declare it, in the state in which they are written down."""
    t = spec.transformer
    bank = next((e for e in spec.elements if isinstance(e, Bank)), None)
    return FeederInfo(
        spec.source.id, spec.points[0].id, t.kva * 1000, t.no_load_loss_w, t.load_loss_w,
        short_circuit_v=t.uk_percent / 100, tap_min=t.tap_min, tap_max=t.tap_max, tap_step=t.tap_step / 100,
        tap_position=t.tap, bank_step_var=bank.step_kvar * 1000 if bank else None,
        bank_steps=bank.steps if bank else None, steps_on=bank.steps_on if bank else None,
        transformer_id=t.id, bank_id=bank.id if bank else None,
    )  # fmt: skip


def build(plan: WorldPlan) -> World:
    """Simulate one world; the same plan gives the same world."""
    spec = FEEDERS[plan.feeder]
    feeder = Feeder(spec)
    rng = np.random.default_rng([plan.seed, 77])
    minutes = round(plan.days * 1440)
    scenery = Scenery(feeder, plan.seed, plan.start_us).advance(minutes + 1)
    time_us, burst = _grid(plan, minutes, rng)
    at = (time_us - plan.start_us) / MINUTE_US
    lower = np.minimum(at.astype(np.int64), minutes - 1)
    part = (at - lower)[:, None]
    kw = scenery.kw[lower] * (1 - part) + scenery.kw[lower + 1] * part
    kvar = scenery.kvar[lower] * (1 - part) + scenery.kvar[lower + 1] * part
    pu = scenery.source_pu[lower] * (1 - part[:, 0]) + scenery.source_pu[lower + 1] * part[:, 0]
    factor, offset = _fast(feeder.n_loads, time_us, rng)
    factor = factor * np.asarray(plan.skew)[feeder.load_phase]
    kw, kvar, pu = kw * factor, kvar * factor, pu + offset
    if plan.lift or plan.wander:
        pu = pu + plan.lift + _wander(plan, at)
    ambient = scenery.air.temperature[lower]
    faults = draw_faults(plan.faults, feeder, time_us, rng)
    bend = None
    if plan.devices:
        kw, kvar = (a * occupancy(feeder, plan.seed) for a in (kw, kvar))
        more, more_var = (part[lower] for part in device_kw(feeder, plan, minutes, scenery.air.temperature))
        bend = more + np.where(np.isin(feeder.load_kinds, FLEXIBLE), kw, 0.0)
        kw, kvar = kw + more, kvar + more_var
    _steps(plan.steps, feeder, time_us, burst, kw, kvar, rng)
    tap = np.full(len(time_us), spec.transformer.tap)
    groups = apply_engine(faults, feeder, time_us, pu, tap)
    sol = _solve(feeder, kw, kvar, pu, tap, scenery.steps[lower], groups)
    if not sol.converged.all():
        # What the engine could not solve is no truth: those instants are left out; a world that loses many is wrong.
        share = 1 - sol.converged.mean()
        if share > 0.08:
            raise RuntimeError(f"{plan}: {share:.1%} of the instants did not converge")
        time_us, burst, ambient = time_us[sol.converged], burst[sol.converged], ambient[sol.converged]
        bend = None if bend is None else bend[sol.converged]
        sol = Solution(**{f.name: getattr(sol, f.name)[sol.converged] for f in fields(sol) if f.name != "alive"},
                       alive=sol.alive)  # fmt: skip
    infos = point_infos(spec)
    v, i = sol.v, sol.i
    flexible = None if bend is None else flexible_w(feeder, bend, np.abs(v))
    shift = np.zeros(v.shape[:2])
    code = np.zeros(v.shape[:2], np.int8)
    for f in faults:
        inside = (time_us >= f.start_us) & (time_us < f.end_us)
        for p in f.points:
            code[inside, p] = FAULTS.index(f.kind) + 1
    nominal = spec.nominal_v
    v, i = apply_phasors(faults, time_us, v, i, shift, nominal)
    values, hertz = _meter(spec, time_us, replace(sol, v=v, i=i), ambient, rng)
    apply_readings(faults, time_us, values, shift, nominal)
    v1 = np.abs(v[..., 0] + _A * v[..., 1] + _A**2 * v[..., 2]) / 3
    v2 = np.abs(v[..., 0] + _A**2 * v[..., 1] + _A * v[..., 2]) / 3
    with np.errstate(divide="ignore", invalid="ignore"):
        vuf = 100 * v2 / v1
    positive = (v[..., 0] + _A * v[..., 1] + _A**2 * v[..., 2]) / 3
    away = np.abs(v - positive[..., None] * np.array([1, _A**2, _A]))
    s = v * i.conj()
    magnitude = np.abs(v) / nominal
    return World(
        plan, spec, infos, feeder_info(spec), time_us, values,
        np.flatnonzero((time_us - plan.start_us) % MINUTE_US == 0), burst,
        vuf, away.argmax(2).astype(np.int8), sol.losses_w, s.real.sum(2), s.imag.sum(2),
        np.abs(i).max(2) / feeder.rated_a, ambient, code, shift,
        ((magnitude >= 0.9) & (magnitude <= 1.1)).all(2) & sol.converged[:, None], magnitude, hertz, faults, flexible,
    )  # fmt: skip


def _grid(plan: WorldPlan, minutes: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole minutes, and `bursts` stretches of seconds, all after the first day."""
    whole = plan.start_us + MINUTE_US * np.arange(0, minutes, plan.every, dtype=np.int64)
    parts = [whole]
    first = min(1440, minutes // 3)
    for start in rng.choice(np.arange(first, minutes - 5), plan.bursts, replace=False):
        begin = plan.start_us + MINUTE_US * int(start)
        parts.append(begin + 1_000_000 * np.arange(plan.burst_s, dtype=np.int64))
    time_us = np.unique(np.concatenate(parts))
    gap = np.diff(time_us, prepend=time_us[0] - MINUTE_US)
    return time_us, gap <= 1_000_000


def _fast(loads: int, time_us: NDArray[np.int64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    noise = FastNoise(loads, rng)
    steps = np.diff(time_us, prepend=time_us[0] - MINUTE_US) / 1e6
    cut = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    parts = [noise.block(int(b - a), float(steps[a])) for a, b in zip(cut, [*cut[1:], len(steps)], strict=True)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _steps(
    count: int,
    feeder: Feeder,
    time_us: NDArray[np.int64],
    burst: NDArray[np.bool_],
    kw: Floats,
    kvar: Floats,
    rng: np.random.Generator,
) -> None:
    """Sudden loads that belong to normal life: machines, motor starts, and everybody behind one line at once; in place.

    Half of them begin within a stretch of one-second readings, where their edges can be seen.
    """
    plants = np.array([kind == "pv" for kind in feeder.load_kinds])
    seconds_there = np.flatnonzero(burst)
    places = [e.id for e in feeder.spec.elements]
    for k in range(count):
        pick = int(rng.choice(seconds_there)) if k % 2 and len(seconds_there) else int(rng.integers(len(time_us)))
        seconds = float(np.exp(rng.uniform(np.log(5), np.log(120 if k % 2 else 3600))))
        inside = (time_us >= time_us[pick]) & (time_us < time_us[pick] + seconds * 1e6)
        behind = feeder.spec.downstream(str(rng.choice(places)))
        loads = np.flatnonzero(np.array([e in behind for e in feeder.load_elements]) & ~plants)
        if not len(loads):
            continue
        if rng.random() < 0.3:
            loads = loads[[int(rng.integers(len(loads)))]]
        size = rng.uniform(0.2, 1.3) * feeder.load_peak_kw[loads]
        tan = rng.uniform(0.0, 0.6) if rng.random() < 0.8 else rng.uniform(0.8, 1.5)
        kw[np.ix_(inside, loads)] += size
        kvar[np.ix_(inside, loads)] += size * tan


def _solve(
    feeder: Feeder, kw: Floats, kvar: Floats, pu: Floats, tap: Floats, steps: NDArray[np.int64],
    groups: Sequence[tuple[NDArray[np.bool_], dict[str, tuple[int, ...]]]],
) -> Solution:  # fmt: skip
    """Solve everything; stretches with broken conductors are solved again with them and put in their place."""
    sol = feeder.run(kw, kvar, pu, tap=tap, steps=steps)
    for inside, broken in groups:
        if inside.any():
            part = feeder.run(
                kw[inside], kvar[inside], pu[inside], tap=tap[inside], steps=steps[inside], open_phases=broken
            )
            for name in ("v", "i", "line_loss_w", "transformer_loss_w", "converged"):
                getattr(sol, name)[inside] = getattr(part, name)
    return sol


def _meter(
    spec: FeederSpec, time_us: NDArray[np.int64], sol: Solution, ambient: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Readings with the meters' errors, and the true frequency; half of the meters do not send line voltages."""
    minutes = (time_us - time_us[0]) / MINUTE_US
    hz = Frequency(spec.hz, rng).block(int(minutes[-1]) + 2, 60.0)
    hertz = np.interp(minutes, np.arange(len(hz)), hz)
    meters = Meters(len(spec.points), spec.nominal_v, rng, rng.spawn(1)[0], dropout=0.003)
    oil = np.full(len(time_us), np.nan)
    values = meters.read(sol, hertz, oil, ambient, 0)
    without = rng.random(len(spec.points)) < 0.5
    values[:, without, _C["v_ab"] : _C["v_ca"] + 1] = np.nan
    return values, hertz


def _wander(plan: WorldPlan, minutes: Floats) -> Floats:
    """The slow part of the supply voltage: an Ornstein-Uhlenbeck walk with a time constant of eight hours."""
    rng = np.random.default_rng([plan.seed, 78])
    walk = OrnsteinUhlenbeck(rng, np.array([8 * 3600.0]), np.array([plan.wander])).block(int(minutes[-1]) + 2, 60.0)
    return np.interp(minutes, np.arange(len(walk)), walk[:, 0])


def thin(world: World, every: int) -> World:
    """The same life read once every so many minutes only."""
    keep = world.minute[::every]
    one = {
        name: getattr(world, name)[keep]
        for name in ("time_us", "values", "burst", "vuf", "critical", "loss_w", "p_true", "q_true", "k_true", "ambient",
                     "fault", "shift", "alive", "v_true", "hz_true")
    }  # fmt: skip
    if world.flexible is not None:
        one["flexible"] = world.flexible[keep]
    return replace(world, minute=np.arange(len(keep)), **one)
