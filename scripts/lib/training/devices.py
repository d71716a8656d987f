"""Flexible devices of homes and shops, laid over a world's ordinary load: car chargers, heat pumps, water heaters.

The catalogue's feeders have few of them, always the same; here every home of a world has each with some chance, so
that how much of a load is flexible differs from meter to meter and from world to world; and a service has between one
home and all of the catalogue's, so that single homes are among them. Sizes are the usual ones:
chargers of 3.7 and 7.4 kW on one phase and 11 kW on three (IEC 61851-1, 16 and 32 A), heat pumps of 1.5 to 5 kW, water
heaters of 2 to 3 kW. Where a phase has less than 200 V a device stands between two phases.
What is flexible is what these draw now, with the charging points and heat pumps of the catalogue; nothing else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.spec import LOAD_KINDS, Meter
from remhart_adt.simulate.weather import local_clock

if TYPE_CHECKING:
    from training.world import WorldPlan

__all__ = ["FLEXIBLE", "charging", "device_kw", "flexible_w", "heating", "occupancy", "water"]

Floats = NDArray[np.float64]
FLEXIBLE: Final = ("ev", "heat_pump")
# Reactive over active power of chargers, heat pumps and water heaters.
TAN: Final = (0.10, 0.33, 0.0)
_HOME_KW: Final = 4.0
_SHOP_KW: Final = 12.0
# What all devices of a feeder may draw together over its transformer's rating, and a phase of a service over its own.
_FEEDER_SHARE: Final = 0.35
_SERVICE_SHARE: Final = 0.95
_DAY: Final = 1440


def charging(rng: np.random.Generator, hour: Floats, working: NDArray[np.bool_], kw: float, *, shop: bool) -> Floats:
    """One charger minute by minute (n,) kW: at most one session a day, from arrival (or, for a third of the homes, a
    timer at night) until the energy is there; the last quarter of an hour at half the power."""
    n = len(hour)
    out = np.zeros(n)
    timer = rng.uniform(22.3, 25.0) if not shop and rng.random() < 1 / 3 else None
    usual, often = (rng.normal(8.6, 0.5), 0.8) if shop else (rng.normal(18.0, 1.2), rng.uniform(0.35, 0.85))
    for day in range(-1, n // _DAY + 1):
        # Minute of the world at which this local day begins.
        begin = day * _DAY - round(float(hour[0]) * 60)
        weekday = bool(working[min(max(begin + 720, 0), n - 1)])
        chance = often * (0.1 if shop and not weekday else 1.0)
        arrival = usual + rng.normal(0, 0.7) if weekday or shop else rng.normal(15.0, 3.0)
        energy = float(np.clip(rng.lognormal(np.log(9.0), 0.55), 2.0, 40.0))
        if rng.random() >= chance:
            continue
        start = begin + round(60 * (timer + rng.normal(0, 0.05) if timer is not None else arrival))
        length = max(16, round(60 * energy / kw))
        out[max(start, 0) : max(start + length, 0)] = kw
        out[max(start + length - 15, 0) : max(start + length, 0)] = kw / 2
    return out


def heating(rng: np.random.Generator, hour: Floats, air: Floats, kw: float) -> Floats:
    """One heat pump (n,) kW: its thermostat switches it on for a share of each cycle that grows as it gets colder
    (none above 16 degC), and once a day it heats water for some 40 minutes."""
    n = len(air)
    period, limit = rng.uniform(25, 60), rng.uniform(14.5, 17.0)
    duty = np.clip((limit - air) / rng.uniform(20, 28), 0.0, 0.95)
    pace = np.clip(1 + 0.35 * rng.standard_normal(n // 20 + 2), 0.3, 2.0)
    cycle = rng.random() + np.cumsum(np.repeat(pace, 20)[:n]) / period
    on = (cycle % 1) < duty
    start, length = rng.uniform(3, 22), rng.uniform(0.5, 0.9)
    on |= (hour - start) % 24 < length
    return np.asarray(kw * np.clip(1 - 0.008 * (air - 7), 0.85, 1.15) * on)


def water(rng: np.random.Generator, hour: Floats, kw: float) -> Floats:
    """One water heater (n,) kW: some hours every night from the night tariff on, now and then an hour by day."""
    n = len(hour)
    out = np.zeros(n)
    usual, hours = rng.uniform(22.0, 26.0), rng.uniform(1.2, 3.2)
    for day in range(-1, n // _DAY + 1):
        begin = day * _DAY - round(float(hour[0]) * 60)
        start = begin + round(60 * (usual + rng.normal(0, 0.1)))
        out[max(start, 0) : max(start + round(60 * hours * rng.uniform(0.7, 1.3)), 0)] = kw
        if rng.random() < 0.3:
            start = begin + round(60 * rng.uniform(9, 19))
            out[max(start, 0) : max(start + round(rng.uniform(20, 60)), 0)] = kw
    return out


def occupancy(feeder: Feeder, seed: int) -> Floats:
    """What share of its ordinary load every load of a world has (loads,): one number for each service, at least a
    tenth; photovoltaics and what is flexible itself keep theirs."""
    rng = np.random.default_rng([seed, 81])
    share = {e.id: float(np.exp(rng.uniform(np.log(0.1), 0.0))) for e in feeder.spec.elements}
    keep = (*FLEXIBLE, "pv", "lighting")
    return np.array(
        [1.0 if k in keep else share[e] for e, k in zip(feeder.load_elements, feeder.load_kinds, strict=True)]
    )


def device_kw(feeder: Feeder, plan: WorldPlan, minutes: int, air: Floats) -> tuple[Floats, Floats]:
    """kW and kvar of the world's devices at nominal voltage, minute by minute, (minutes, loads) each; a device is
    added to the home's or shop's own load and answers to voltage as that does."""
    rng = np.random.default_rng([plan.seed, 79])
    spec = feeder.spec
    time_us = plan.start_us + 60_000_000 * np.arange(minutes, dtype=np.int64)
    hour, _, day = local_clock(spec.site, time_us)
    kw, kvar = np.zeros((minutes, feeder.n_loads)), np.zeros((minutes, feeder.n_loads))
    rated = {p.element: p.rated_a * spec.nominal_v / 1000 for p in spec.points}
    left = _FEEDER_SHARE * spec.transformer.kva
    share = occupancy(feeder, plan.seed)
    chance = plan.devices * rng.uniform(0.3, 1.7, 3)
    for element in spec.elements:
        if not isinstance(element, Meter):
            continue
        own = np.array([e == element.id for e in feeder.load_elements])
        peak = np.bincount(feeder.load_phase[own], feeder.load_peak_kw[own], 3)
        free = _SERVICE_SHARE * rated[element.id] - peak
        for kind, size in (("residential", _HOME_KW), ("commercial", _SHOP_KW)):
            at = {
                int(feeder.load_phase[k]): k for k in np.flatnonzero(own) if feeder.load_kinds[k] == kind
            }  # phase -> load
            total = sum(feeder.load_peak_kw[k] * share[k] for k in at.values())
            for _ in range(max(1, round(total / size)) if at else 0):
                for which in range(3):
                    if kind == "commercial" and which == 2:
                        continue
                    if rng.random() >= chance[which]:
                        continue
                    power = float(
                        rng.choice([3.7, 7.4, 11.0], p=[0.35, 0.3, 0.35]) if which == 0
                        else rng.uniform(1.5, 5.0) if which == 1 else rng.uniform(2.0, 3.0)
                    )  # fmt: skip
                    phases = _phases(rng, power, spec.nominal_v, sorted(at))
                    each = power / len(phases)
                    # One that the service or the transformer could not bear was not allowed.
                    if power > left or any(free[f] < each for f in phases):
                        continue
                    left -= power
                    for f in phases:
                        free[f] -= each
                    draws = (
                        charging(rng, hour, day == 0, power, shop=kind == "commercial") if which == 0
                        else heating(rng, hour, air[:minutes], power) if which == 1 else water(rng, hour, power)
                    )  # fmt: skip
                    for f in phases:
                        kw[:, at[f]] += draws / len(phases)
                        kvar[:, at[f]] += draws / len(phases) * TAN[which]
    return kw, kvar


def _phases(rng: np.random.Generator, kw: float, volts: float, there: list[int]) -> list[int]:
    """The phases a device of that power stands on, of those that the customer has."""
    wanted = 3 if kw > 7.5 else 1 if volts >= 200 else 2
    return sorted(rng.permutation(there)[:wanted].tolist())


def flexible_w(feeder: Feeder, kw: Floats, volts: Floats) -> Floats:
    """What flexible loads of nominal `kw` (n, loads) draw at every point (n, points) in W, at `volts` (n, points, 3),
    the magnitudes there: the sum over the loads at the point's element or behind it, losses left out."""
    spec = feeder.spec
    place = {p.element: k for k, p in enumerate(spec.points)}
    drawn = np.zeros_like(kw)
    for j, (element, kind) in enumerate(zip(feeder.load_elements, feeder.load_kinds, strict=True)):
        u = volts[:, place[element], int(feeder.load_phase[j])] / spec.nominal_v
        drawn[:, j] = 1000 * kw[:, j] * u ** LOAD_KINDS[kind].watts
    out = np.empty((len(kw), len(spec.points)))
    for k, point in enumerate(spec.points):
        behind = spec.downstream(point.element)
        out[:, k] = drawn[:, [e in behind for e in feeder.load_elements]].sum(1)
    return out
