"""Rows for overload: a world's currents under other ratings, as transformers and lines, and what the next hour brings.

A feeder of a dozen homes has peaks that a group of hundreds has not. So some points stand for such groups: the mean of
many services, on other days and some minutes apart. Some are loaded lightly, and a few not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.types import Thermal
from remhart_adt.scoring.windows import Windows
from training.samples import Samples, by_minute
from training.table import batches
from training.world import World, thin

__all__ = ["integrate", "overload_rows"]

Floats = NDArray[np.float64]
_MINUTE_US: Final = 60_000_000
_DAY: Final = 1440
_DAY_US: Final = _DAY * _MINUTE_US
_OIL: Final = CHANNEL_INDEX["oil_temp"]
_LOAD: Final = tuple(slice(CHANNEL_INDEX[f"{x}_a"], CHANNEL_INDEX[f"{x}_c"] + 1) for x in "ipq")
# Shares of the points of a world, and how many services a group has.
_GROUPS, _LIGHT, _IDLE = 0.35, 0.15, 0.04
_SERVICES: Final = (8, 256)
_STAGGER_MIN: Final = 20
_NOISE: Final = 0.002


class _Loads(NamedTuple):
    """By minute and point: highest noise-free phase current (A); by instant and point: readings as metered."""

    amps: Floats
    values: Floats


def overload_rows(world: World, seed: int, every_min: int = 10, read_min: int = 1) -> Samples:
    """The world's currents under other ratings, as transformers and lines, with the hottest spot and the highest load
    of the next 60 minutes as truth (IEEE C57.91 integrated minute by minute over the noise-free current). Rows are
    `every_min` minutes apart; meters read every `read_min`."""
    rng = np.random.default_rng(seed)
    p_n = len(world.infos)
    amps, values = _grouped(world, rng)
    peak = np.quantile(amps, 0.995, axis=0)
    # How high a point's peak lies, in p.u.
    level = np.exp(rng.uniform(np.log(0.35), np.log(1.7), p_n))
    level = np.where(rng.random(p_n) < _LIGHT, np.exp(rng.uniform(np.log(0.02), np.log(0.35), p_n)), level)
    rated = peak / level
    idle = rng.random(p_n) < _IDLE
    amps[:, idle] = 0.0
    for of in _LOAD:
        values[:, idle, of] *= 0.0
    heat = Thermal(loss_ratio=float(rng.uniform(3.5, 9)), oil_minutes=float(rng.uniform(120, 240)))
    transformer = rng.random(p_n) < 0.65
    infos = [
        replace(info, rated_a=float(a), thermal=heat, kind="transformer" if t else "transmission_line")
        for info, a, t in zip(world.infos, rated, transformer.tolist(), strict=True)
    ]
    k = amps / rated
    air = by_minute(world, world.ambient) + rng.uniform(-5, 12)
    oil, hot = integrate(heat, k, air)
    minute_of = np.minimum((world.time_us - world.plan.start_us) // _MINUTE_US, len(k) - 1)
    measured_oil = transformer & (rng.random(p_n) < 0.5)
    values[:, :, _OIL] = np.nan
    values[:, :, _OIL + 1] = np.where(transformer, np.round(air[minute_of], 1)[:, None], np.nan)
    values[:, measured_oil, _OIL] = np.round(
        oil[minute_of][:, measured_oil] + rng.normal(0, 0.5, measured_oil.sum()), 1
    )
    ahead_hot, ahead_k = _ahead_max(hot, 60), _ahead_max(k, 60)
    engine, windows = Engine([]), Windows(infos)
    xs, ts, ps = [], [], []
    other = replace(world, values=values, infos=infos)
    if read_min > 1:
        other = thin(other, read_min)
        minute_of = np.minimum((other.time_us - world.plan.start_us) // _MINUTE_US, len(k) - 1)
    keep = np.zeros(len(other.time_us), bool)
    keep[other.minute[26 * 60 // read_min :: max(1, every_min // read_min)]] = True
    for batch, t, p in batches(other):
        prepared = engine.prepare(windows, batch, keep[t])
        xs.append(prepared.features)
        ts.append(t[prepared.index])
        ps.append(p[prepared.index])
    x, t, p = np.concatenate(xs), np.concatenate(ts), np.concatenate(ps)
    at = minute_of[t]
    y = {
        "hot": ahead_hot[at, p],
        "load": ahead_k[at, p],
        "transformer": transformer[p].astype(float),
        "point": p.astype(float),
    }
    samples = Samples(x, y, (other.time_us[t] - world.plan.start_us) // _DAY_US)
    return samples.take(np.isfinite(y["load"]))


def integrate(heat: Thermal, k: Floats, air: Floats) -> tuple[Floats, Floats]:
    """Top oil and hot spot (degC), minute by minute, starting settled at the first hour's load."""
    ultimate = heat.oil_rise * ((k**2 * heat.loss_ratio + 1) / (heat.loss_ratio + 1)) ** heat.n
    winding_end = heat.hot_spot_rise * k ** (2 * heat.m)
    a, b = np.exp(-1 / heat.oil_minutes), np.exp(-1 / heat.winding_minutes)
    oil, winding = np.empty_like(k), np.empty_like(k)
    x, y = ultimate[:60].mean(0), winding_end[:60].mean(0)
    for t in range(len(k)):
        x = ultimate[t] + (x - ultimate[t]) * a
        y = winding_end[t] + (y - winding_end[t]) * b
        oil[t], winding[t] = x, y
    return air[:, None] + oil, air[:, None] + oil + winding


def _ahead_max(series: Floats, minutes: int) -> Floats:
    """Highest value of the next `minutes`; NaN where the series ends before."""
    out = np.full_like(series, np.nan)
    out[: len(series) - minutes] = sliding_window_view(series[1:], minutes, axis=0).max(-1)
    return out


def _grouped(world: World, rng: np.random.Generator) -> _Loads:
    """The world's loads, with a group of many services at some of the points."""
    n, p_n = len(world.time_us), len(world.infos)
    rated = np.array([i.rated_a or np.nan for i in world.infos])
    amps, values = by_minute(world, world.k_true) * rated, world.values.copy()
    services = np.array([p for p, info in enumerate(world.infos) if info.kind == "meter"])
    size = np.maximum(np.quantile(amps, 0.995, axis=0), 1e-6)[:, None]
    # Currents, P and Q of the phases, (minutes, points, 3, 3), in what the point's highest current makes 1; currents
    # have the noise-free size, and the proportions that the meter gives them.
    own = np.stack([by_minute(world, values[:, :, of]) for of in _LOAD], axis=2) / size[:, :, None]
    own[:, :, 0] *= (amps[:, :, None] / size) / np.maximum(np.fmax.reduce(own[:, :, 0], axis=2, keepdims=True), 1e-9)
    minutes, days = np.arange(len(amps)), max(1, len(amps) // _DAY)
    minute_of = np.minimum((world.time_us - world.plan.start_us) // _MINUTE_US, len(amps) - 1)
    for p in np.flatnonzero(rng.random(p_n) < _GROUPS).tolist():
        many = round(float(np.exp(rng.uniform(*np.log(_SERVICES)))))
        members, turn, weight = rng.choice(services, many), rng.integers(0, 3, many), rng.uniform(0.3, 1.0, many)
        shift = _DAY * rng.integers(0, days, many) + rng.integers(-_STAGGER_MIN, _STAGGER_MIN + 1, many)
        total, there = np.zeros((len(amps), 3, 3)), np.zeros(len(amps))
        for member, by, phase, part in zip(members, shift, turn, weight, strict=True):
            series = np.roll(own[(minutes + by) % (days * _DAY), member], phase, axis=2)
            known = np.isfinite(series).all((1, 2))
            there += part * known
            total += part * np.where(known[:, None, None], series, 0.0)
        total *= size[p] / np.maximum(there, 1e-9)[:, None, None]
        for k, of in enumerate(_LOAD):
            noise = 1 + _NOISE * rng.standard_normal((n, 3))
            values[:, p, of] = np.where(np.isnan(values[:, p, of]), np.nan, total[minute_of, k] * noise)
        amps[:, p] = total[:, 0].max(1)
    return _Loads(amps, values)
