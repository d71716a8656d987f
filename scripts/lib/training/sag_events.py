"""What makes the voltage sag: faults on this feeder and above it, with their protection, and motors that start.

Faults come by chance: a Poisson process whose rate rises in storms. What follows a fault is less of a chance: an
automatic recloser tries again onto a fault that stays, a branch touches the line more than once, a bad cable joint
flashes over again. Motors start on a duty cycle. Depth is what the engine solves, duration what the protection needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.simulate.feeder import Fault, Feeder
from remhart_adt.simulate.spec import Breaker, Line

__all__ = [
    "CAUSES",
    "EXTREMELY_INVERSE",
    "VERY_INVERSE",
    "Happening",
    "Motor",
    "Storm",
    "clearing_time",
    "draw_faults",
    "draw_motors",
    "draw_storms",
    "protection",
    "start_load",
]

Floats = NDArray[np.float64]

# Code of a cause is its place here plus one; the fourth is no event but what the minutes themselves show.
CAUSES: Final = ("new fault", "repeated fault", "motor start", "undervoltage")
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
# A calm network of this kind has 45 to 260 faults a year that its customers could notice; good ones have fewer.
_CALM_PER_HOUR: Final = (0.005, 0.03)
_STORM_FACTOR: Final = 30.0
# One phase, two phases, three phases: 70, 25 and 5 %; two phases to ground are taken as two phases.
_PHASES: Final = (0.70, 0.25, 0.05)
_ABOVE: Final = 0.65
# IEEE C37.112-2018, table 1: A, B, p of the very and the extremely inverse curve.
VERY_INVERSE: Final = (19.61, 0.491, 2.0)
EXTREMELY_INVERSE: Final = (28.2, 0.1217, 2.0)
_BREAKER_S: Final = 0.06
_LONGEST_S: Final = 30.0
_START_FACTOR: Final = 0.3


@dataclass(frozen=True, slots=True)
class Storm:
    """A stretch of wind, in seconds from the start of the world."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Happening:
    """A fault at `start` (s from the start of the world); `repeat` when it is not the first of its chain."""

    start: float
    fault: Fault
    repeat: bool
    dial: float
    pickup: float


@dataclass(frozen=True, slots=True)
class Motor:
    """A machine at the loads `loads` (one a phase); `kva` is its apparent power while it starts at nominal voltage."""

    element: str
    loads: tuple[int, int, int]
    kva: float
    start_s: float
    starts: Floats
    stops: Floats


def clearing_time(multiple: Floats, dial: Floats, curve: tuple[float, float, float]) -> Floats:
    """Seconds until a fault of `multiple` times the pickup current is cleared: t = TD (A / (M^p - 1) + B) of an
    inverse-time relay (IEEE C37.112-2018, equation 2) and the breaker's own time. Below 1.2 times pickup the arc burns
    until something else ends it."""
    a, b, p = curve
    strong = np.maximum(multiple, 1.2)
    return np.minimum(dial * (a / (strong**p - 1) + b) + _BREAKER_S, _LONGEST_S)


def draw_storms(hours: float, rng: np.random.Generator) -> list[Storm]:
    """About one in five days, three to ten hours long."""
    out = []
    for _ in range(rng.poisson(hours / 120)):
        start = rng.uniform(0, hours) * _HOUR_S
        out.append(Storm(start, start + rng.uniform(3, 10) * _HOUR_S))
    return out


def draw_faults(feeder: Feeder, hours: float, storms: Sequence[Storm], rng: np.random.Generator) -> list[Happening]:
    """First faults and what follows each, in time order."""
    calm = float(np.exp(rng.uniform(*np.log(_CALM_PER_HOUR))))
    firsts = (rng.random(rng.poisson(calm * hours)) * hours * _HOUR_S).tolist()
    for storm in storms:
        length = storm.end - storm.start
        count = rng.poisson(calm * _STORM_FACTOR * length / _HOUR_S)
        firsts += (storm.start + rng.random(count) * length).tolist()
    out = []
    for first in firsts:
        above = rng.random() < _ABOVE
        fault = _draw_fault(feeder, above, rng)
        dial = float(rng.uniform(0.3, 2.0) if above else rng.uniform(0.5, 3.0))
        pickup = float(1 / rng.uniform(15, 40) if above else rng.uniform(1.2, 2.5))
        stormy = any(s.start <= first < s.end for s in storms)
        times = _recloses(rng) if above else _flashes(rng)
        if above and stormy:
            times += np.cumsum(rng.exponential(600.0, rng.poisson(0.6))).tolist()
        out.append(Happening(first, fault, False, dial, pickup))
        out += [Happening(first + t, fault, True, dial, pickup) for t in times]
    return sorted((h for h in out if h.start < hours * _HOUR_S - 60), key=lambda h: h.start)


def _draw_fault(feeder: Feeder, above: bool, rng: np.random.Generator) -> Fault:
    count = int(rng.choice([1, 2, 3], p=_PHASES))
    first = int(rng.integers(3))
    phases = tuple(sorted((first + k) % 3 for k in range(count)))
    if above:
        source = feeder.spec.source
        # Distance on the neighbouring line, as multiples of the impedance of the network above.
        ohm = source.kv**2 / source.mva_sc3 * float(np.exp(rng.uniform(np.log(0.1), np.log(8.0))))
        return Fault(source.id, phases, ohm)
    places = [e.id for e in feeder.spec.elements]
    # 5 milliohm to 0.5 ohm: a bolted fault to one through a poor contact.
    return Fault(str(rng.choice(places)), phases, float(np.exp(rng.uniform(np.log(0.005), np.log(0.5)))))


def _recloses(rng: np.random.Generator) -> list[float]:
    """Times after the first of the attempts onto a fault that stays: 0.5 s, 15 s, about a minute, then by hand."""
    if rng.random() < 0.7:
        return []
    times = [0.6, 16.0 + rng.uniform(0, 2), 80.0 + rng.uniform(0, 40)][: int(rng.integers(1, 4))]
    while rng.random() < 0.55 and len(times) < 8:
        times.append(times[-1] + rng.uniform(3, 12) * _MINUTE_S)
    return [float(t) for t in times]


def _flashes(rng: np.random.Generator) -> list[float]:
    """Times after the first at which a fault that clears itself comes back."""
    if rng.random() < 0.55:
        return []
    return [float(t) for t in np.cumsum(rng.exponential(20 * _MINUTE_S, 1 + rng.poisson(1.5)))]


def protection(feeder: Feeder, fault: Fault) -> int:
    """Index of the measurement point of the nearest line or breaker above the fault; 0 is the transformer."""
    parents = {e.id: e.upstream for e in feeder.spec.elements}
    guards = {e.id for e in feeder.spec.elements if isinstance(e, Breaker | Line)}
    measured = {p.element: k for k, p in enumerate(feeder.spec.points)}
    at = fault.element
    while at in parents:
        if at in guards and at in measured:
            return measured[at]
        at = parents[at]
    return 0


def draw_motors(feeder: Feeder, hours: float, start_s: float, rng: np.random.Generator) -> list[Motor]:
    """None to two machines. `start_s` (s) is the local time of day at the start of the world."""
    places = []
    for element in sorted(set(feeder.load_elements)):
        own = [j for j, e in enumerate(feeder.load_elements) if e == element and feeder.load_kinds[j] != "pv"]
        one = [next((j for j in own if feeder.load_phase[j] == phase), None) for phase in range(3)]
        if None not in one:
            places.append((element, tuple(one)))
    out = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.4, 0.4, 0.2]))):
        element, loads = places[int(rng.integers(len(places)))]
        cycle = float(np.exp(rng.uniform(np.log(12), np.log(90)))) * _MINUTE_S
        on = rng.uniform(0.25, 0.7)
        jitter = rng.uniform(0.02, 0.15)
        all_day = rng.random() < 0.35
        opens, closes = rng.uniform(5.5, 8.5) * _HOUR_S, rng.uniform(15.5, 20.0) * _HOUR_S
        lengths = cycle * np.exp(rng.normal(0, jitter, int(hours * _HOUR_S / cycle * 1.5) + 5))
        starts = np.cumsum(lengths)
        stops = starts + on * lengths
        local = (starts + start_s) % 86400
        keep = (starts < hours * _HOUR_S - 60) & (all_day | ((local >= opens) & (local < closes)))
        kva = _start_power(feeder, loads, float(rng.uniform(0.04, 0.12)))
        out.append(Motor(element, loads, kva, float(rng.uniform(2, 12)), starts[keep], stops[keep]))
    return out


def _start_power(feeder: Feeder, loads: tuple[int, ...], dip: float) -> float:
    """Apparent power that lowers the voltage by `dip` p.u. where it is lowered most; at most the transformer's own."""
    kw, kvar = np.zeros((2, feeder.n_loads)), np.zeros((2, feeder.n_loads))
    trial = 0.1 * feeder.spec.transformer.kva
    kw[1, list(loads)], kvar[1, list(loads)] = start_load(trial)
    sol = feeder.run(kw, kvar)
    drop = float((np.abs(sol.v[0]) - np.abs(sol.v[1])).max()) / feeder.spec.nominal_v
    return min(trial * dip / max(drop, 1e-6), feeder.spec.transformer.kva)


def start_load(kva: float) -> tuple[float, float]:
    """kW and kvar per phase of a motor that starts: power factor 0.3."""
    return kva * _START_FACTOR / 3, kva * float(np.sqrt(1 - _START_FACTOR**2)) / 3
