"""Worlds with harmonics: rows of points with the true distortion of voltage and current beside what the meter sent.

Every world has a network strength, an emission of its loads and a background distortion of its own, none of which a
meter sees. A day is read every five minutes, so that the histories are full, then half a day at the pace of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, ReadingBatch
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.windows import Windows
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.frequency import Frequency
from remhart_adt.simulate.harmonics import (
    DEVICES,
    MIX,
    ORDERS,
    Distortion,
    Network,
    device_spectra,
    distortion,
    load_currents,
)
from remhart_adt.simulate.loads import FastNoise, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import FeederSpec, Line, Meter, Solar
from remhart_adt.simulate.weather import OrnsteinUhlenbeck, local_clock
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.samples import Samples
from training.world import point_infos

__all__ = ["HarmonicPlan", "Life", "harmonic_rows", "harmonics", "live"]

Floats = NDArray[np.float64]
_MINUTE_US: Final = 60_000_000
_HISTORY_MIN: Final = 27 * 60
_PACE_MIN: Final = 5
# Medium-voltage background, percent at ORDERS: lowest and highest of a world (planning levels of IEC 61000-3-6, table
# 2, are 4, 5, 4, 1.2, 3 and 2.5; triplens do not pass the delta winding).
_BACKGROUND: Final = np.array([(0.0, 0.2), (0.3, 1.7), (0.2, 1.1), (0.0, 0.1), (0.1, 0.5), (0.1, 0.4)])


@dataclass(frozen=True)
class HarmonicPlan:
    """One world: 27 hours, then `minutes` read every `every` minutes."""

    feeder: str
    seed: int
    start_us: int
    minutes: int = 600
    every: int = 1


@dataclass(frozen=True)
class Life:
    """T instants at P points: readings (T, P, channels), what was true, and which meters send THD (P,)."""

    spec: FeederSpec
    time_us: NDArray[np.int64]
    values: Floats
    truth: Solution
    found: Distortion
    sends: NDArray[np.bool_]


def live(plan: HarmonicPlan) -> Life:
    """Simulate one world; the same plan gives the same world."""
    rng = np.random.default_rng([plan.seed, 79])
    spec = _spec(FEEDERS[plan.feeder], rng)
    feeder = Feeder(spec)
    total = _HISTORY_MIN + plan.minutes
    pick = np.r_[np.arange(0, _HISTORY_MIN, _PACE_MIN), np.arange(_HISTORY_MIN, total, plan.every)]
    scenery = Scenery(feeder, plan.seed, plan.start_us).advance(total)
    factor, offset = FastNoise(feeder.n_loads, rng).block(len(pick), 60.0)
    share = np.exp(rng.uniform(-0.6, 0.8)) * np.exp(rng.normal(0, 0.2, 3)).clip(0.6, 1.6)
    factor = factor * share[feeder.load_phase]
    kw, kvar, steps = scenery.kw[pick] * factor, scenery.kvar[pick] * factor, scenery.steps[pick]
    truth = feeder.run(kw, kvar, scenery.source_pu[pick] + offset, steps=steps)
    if truth.converged.mean() < 0.99:
        raise RuntimeError(f"{plan}: {int((~truth.converged).sum())} instants did not converge")
    time_us = scenery.time_us[pick]
    hour = local_clock(spec.site, time_us)[0]
    minutes = (time_us - time_us[0]) / _MINUTE_US
    size, angle = load_currents(feeder, kw, kvar, truth.v)
    spectrum = _spectra(feeder, minutes, hour, rng)
    background = _background(minutes, hour, rng) * spec.source.kv * 1000 / 3**0.5
    network = Network(spec, damping=float(rng.uniform(0.15, 0.5)))
    found = distortion(feeder, network, truth, size, angle, spectrum, steps, background)
    n = len(spec.points)
    sends = rng.random(n) < 0.25
    hz = Frequency(spec.hz, rng).block(total + 1, 60.0)[pick]
    meters = Meters(n, spec.nominal_v, rng, rng.spawn(1)[0], dropout=0.003)
    nothing = np.full(len(pick), np.nan)
    values = meters.read(truth, hz, nothing, nothing, 0, found, sends)
    values[:, rng.random(n) < 0.5, CHANNEL_INDEX["v_ab"] : CHANNEL_INDEX["v_ca"] + 1] = np.nan
    values[:, rng.random(n) < 0.5, CHANNEL_INDEX["i_n"]] = np.nan
    values[~truth.converged] = np.nan
    return Life(spec, time_us, values, truth, found, sends)


def _spec(spec: FeederSpec, rng: np.random.Generator) -> FeederSpec:
    """The feeder with another strength: fault power, short-circuit voltage of the transformer, lengths of its lines."""
    fault, uk, length = np.exp(rng.uniform(-0.6, 0.6)), np.exp(rng.uniform(-0.15, 0.45)), np.exp(rng.uniform(-0.5, 0.3))
    elements = tuple(
        replace(e, length_km=e.length_km * float(length)) if isinstance(e, Line | Meter | Solar) else e
        for e in spec.elements
    )
    s, t = spec.source, spec.transformer
    return replace(
        spec, elements=elements, transformer=replace(t, uk_percent=t.uk_percent * float(uk)),
        source=replace(s, mva_sc3=s.mva_sc3 * float(fault), mva_sc1=s.mva_sc1 * float(fault)),
    )  # fmt: skip


def _evening(hour: Floats) -> Floats:
    return np.asarray(np.exp((np.cos(2 * np.pi * (hour - 20.0) / 24) - 1) * 3.0))


def _walk(rng: np.random.Generator, minutes: Floats, columns: int, hours: float, deviation: float) -> Floats:
    """(T, columns) of slow noise."""
    tau = np.full(columns, hours * 3600.0)
    noise = OrnsteinUhlenbeck(rng, tau, np.full(columns, deviation)).block(int(minutes[-1]) // _PACE_MIN + 2, 300.0)
    at, part = np.divmod(minutes / _PACE_MIN, 1.0)
    low = at.astype(np.int64)
    return np.asarray(noise[low] * (1 - part[:, None]) + noise[low + 1] * part[:, None])


def _spectra(feeder: Feeder, minutes: Floats, hour: Floats, rng: np.random.Generator) -> NDArray[np.complex128]:
    """(T, L, orders): every load its own mix of devices, which goes with the hour and wanders, and its own angles."""
    loads, names = feeder.n_loads, list(DEVICES)
    day, evening = (
        np.array([[MIX[kind][k].get(name, 0.0) for name in names] for kind in feeder.load_kinds]) for k in (0, 1)
    )
    own = np.exp(rng.normal(0, 0.45, (loads, len(names)))) * np.exp(rng.normal(0.1, 0.3))
    walk = np.exp(_walk(rng, minutes, loads * len(names), 2.0, 0.15)).reshape(-1, loads, len(names))
    late = _evening(hour)[:, None, None]
    share = (day * (1 - late) + evening * late) * own * walk
    fixed = np.isin(feeder.load_kinds, ("ev", "pv"))
    share[:, fixed] = (day * own)[fixed]
    share /= np.maximum(share.sum(2, keepdims=True), 1.0)
    share[:, :, names.index("linear")] += 1 - share.sum(2)
    turn = np.exp(1j * np.radians(rng.normal(0, 8, (loads, len(names), 1))) * np.array(ORDERS))
    return np.asarray(np.einsum("tld,ldk->tlk", share, device_spectra() * turn))


def _background(minutes: Floats, hour: Floats, rng: np.random.Generator) -> NDArray[np.complex128]:
    """(T, orders) per unit of the nominal phase voltage."""
    size = rng.uniform(_BACKGROUND[:, 0], _BACKGROUND[:, 1]) / 100
    level = (0.75 + 0.5 * _evening(hour))[:, None] * np.exp(_walk(rng, minutes, len(ORDERS), 4.0, 0.2))
    angle = rng.uniform(-np.pi, np.pi, len(ORDERS)) + _walk(rng, minutes, len(ORDERS), 6.0, 0.5)
    return np.asarray(size * level * np.exp(1j * angle))


def harmonic_rows(plan: HarmonicPlan) -> dict[str, Any]:
    """Rows of one world, every sixteenth instant: the worst phase's THD of the voltage and TDD, both in percent."""
    np.seterr(all="ignore")
    life = live(plan)
    infos = point_infos(life.spec)
    engine, windows = Engine([]), Windows(infos)
    xs, ts, ps = [], [], []
    for wanted, batch, t, p in _batches([i.point_id for i in infos], life):
        if not wanted:
            windows.push(batch)
            continue
        prepared = engine.prepare(windows, batch)
        xs.append(prepared.features)
        ts.append(t[prepared.index])
        ps.append(p[prepared.index])
    x, t, p = np.concatenate(xs), np.concatenate(ts), np.concatenate(ps)
    rated = np.array([i.rated_a or np.nan for i in infos])
    worst = life.found.thd_v[t, p]
    y = {
        "thd": worst.max(1), "worst": worst.argmax(1).astype(float),
        "tdd": 100 * np.sqrt(life.found.i[t, p].max(1)) / rated[p],
        "sends": life.sends[p].astype(float), "point": p.astype(float),
    }  # fmt: skip
    # A world is one block: strength, emission and background are drawn once for all of it.
    return {"harmonics": Samples(x, y, np.zeros(len(x), np.int64))}


def _batches(
    names: list[str], life: Life, apart: int = 16
) -> Iterator[tuple[bool, ReadingBatch, NDArray[np.int64], NDArray[np.int64]]]:
    """All readings in stream order; one instant in `apart` comes alone and is marked as wanted."""
    n = len(names)
    for start in range(0, len(life.time_us), apart):
        for a, b in ((start, start + 1), (start + 1, min(start + apart, len(life.time_us)))):
            t, p = np.repeat(np.arange(a, b), n), np.tile(np.arange(n), b - a)
            time = life.time_us[t]
            cells = life.values[a:b].reshape(-1, life.values.shape[2])
            count = np.arange(len(t), dtype=np.int64)
            batch = ReadingBatch(
                tuple(names), p.astype(np.int32), time, cells, np.zeros(len(t), np.int8), count,
                np.zeros(len(t), np.int32), time,
            )  # fmt: skip
            if len(t):
                yield b - a == 1 and a == start and start >= 2 * apart, batch, t, p


def harmonics(quick: bool) -> Split:
    """Full: 36 worlds of each learned feeder over the year. Quick: nine short ones of two. November is for tests."""
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS

    def worlds(feeder: str, number: int, count: int, months: tuple[int, ...], first: int = 1) -> list[HarmonicPlan]:
        """Days of the months in turn, hours of the day in turn."""
        out = []
        for j in range(count):
            at = datetime(2025, months[j % len(months)], first + 5 * j % 13, 7 * j % 24, tzinfo=UTC)
            out.append(
                HarmonicPlan(feeder, SEED + number + j, int(at.timestamp()) * 1_000_000, length, (1, 2, 5)[j % 3])
            )
        return out

    each, check, judged, unseen = (9, 2, 2, 4) if quick else (36, 10, 8, 24)
    length = 60 if quick else 600
    year = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
    return Split(
        learn=tuple(w for k, f in enumerate(learn) for w in worlds(f, 7000 + 100 * k, each, year)),
        calibrate=tuple(w for k, f in enumerate(learn) for w in worlds(f, 7500 + 10 * k, check, (9,))),
        test_time=tuple(w for k, f in enumerate(learn) for w in worlds(f, 7600 + 10 * k, judged, (11,), 10)),
        test_feeder=tuple(worlds(TEST_FEEDER, 7700, unseen, (11, 2, 6, 9), 14)),
    )
