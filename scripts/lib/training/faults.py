"""Faults that voltage_anomaly must find: at the supply, at the neutral, and in the sensors themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.spec import Line

__all__ = ["FAULTS", "Fault", "apply_engine", "apply_phasors", "apply_readings", "draw_faults"]

Floats = NDArray[np.float64]
FAULTS: Final = ("tap_jump", "loose_neutral", "sensor_drift", "stuck_value", "phase_swap", "sag", "open_conductor")
_C: Final = CHANNEL_INDEX


@dataclass(frozen=True)
class Fault:
    """One fault: `points` are indices of the points it shows at, `size` its strength in the unit of its kind."""

    kind: str
    start_us: int
    end_us: int
    points: tuple[int, ...]
    phase: int
    size: float
    element: str = ""


def draw_faults(count: int, feeder: Feeder, time_us: NDArray[np.int64], rng: np.random.Generator) -> list[Fault]:
    """`count` faults after the first 26 hours (or the first third), kinds in turn; one point has one at a time."""
    first = min(26 * 60 * 60_000_000, (int(time_us[-1]) - int(time_us[0])) // 3)
    everyone = tuple(range(feeder.n_points))
    out: list[Fault] = []
    for k in range(count):
        kind = FAULTS[k % len(FAULTS)]
        hours = float(rng.uniform(0.5, 4.0))
        sign = float(rng.choice([-1, 1]))
        points, size, element = (int(rng.integers(feeder.n_points)),), 0.0, ""
        if kind == "tap_jump":
            points, size = everyone, float(rng.choice([-2, -1, 1]))
        elif kind == "loose_neutral":
            size = float(np.exp(rng.uniform(np.log(0.3), np.log(30.0))))  # ohm in the neutral
        elif kind == "sensor_drift":
            size = sign * float(rng.uniform(0.03, 0.10))
            hours = float(rng.uniform(2.0, 6.0))
        elif kind == "sag":
            points, size = everyone, float(rng.uniform(0.12, 0.5))
            hours = float(rng.uniform(3.0, 25.0)) / 60
        elif kind == "open_conductor":
            lines = [e.id for e in feeder.spec.elements if isinstance(e, Line)]
            element = str(rng.choice(lines))
            behind = feeder.spec.points_behind(element)
            points = tuple(j for j, name in enumerate(feeder.point_ids) if name in behind)
            hours = float(rng.uniform(0.3, 1.5))
        start = int(rng.integers(int(time_us[0]) + first, int(time_us[-1]) - int(hours * 3.6e9)))
        fault = Fault(kind, start, start + int(hours * 3.6e9), points, int(rng.integers(3)), size, element)
        # Two faults at once would leave each other's label wrong; an hour apart lets the window forget.
        apart = 3_600_000_000
        if all(
            fault.end_us + apart < f.start_us or f.end_us + apart < fault.start_us or not set(f.points) & set(points)
            for f in out
        ):
            out.append(fault)
    return out


def _inside(fault: Fault, time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((time_us >= fault.start_us) & (time_us < fault.end_us))


def apply_engine(
    faults: Sequence[Fault], feeder: Feeder, time_us: NDArray[np.int64], pu: Floats, tap: NDArray[np.int64]
) -> list[tuple[NDArray[np.bool_], dict[str, tuple[int, ...]]]]:
    """Faults that the engine itself must see: taps and sags in place, broken conductors as stretches to solve again."""
    t = feeder.spec.transformer
    groups: list[tuple[NDArray[np.bool_], dict[str, tuple[int, ...]]]] = []
    for fault in faults:
        inside = _inside(fault, time_us)
        if fault.kind == "tap_jump":
            tap[inside] = np.clip(t.tap + int(fault.size), t.tap_min, t.tap_max)
        elif fault.kind == "sag":
            pu[inside] -= fault.size
        elif fault.kind == "open_conductor":
            groups.append((inside, {fault.element: (fault.phase,)}))
    return groups


def apply_phasors(
    faults: Sequence[Fault], time_us: NDArray[np.int64], v: NDArray[np.complex128], i: NDArray[np.complex128],
    shift: Floats, nominal: float,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:  # fmt: skip
    """A neutral with resistance R moves the star point by sum(V Y) / (sum Y + 1/R), loads taken as admittances."""
    v, i = v.copy(), i.copy()
    for fault in faults:
        inside = _inside(fault, time_us)
        if fault.kind == "loose_neutral":
            p = fault.points[0]
            y = i[inside, p] / v[inside, p]
            star = (v[inside, p] * y).sum(1) / (y.sum(1) + 1 / fault.size)
            moved = v[inside, p] - star[:, None]
            shift[inside, p] = np.abs(np.abs(moved) - np.abs(v[inside, p])).max(1) / nominal
            v[inside, p] = moved
            i[inside, p] = y * moved
        elif fault.kind in ("tap_jump", "sag", "open_conductor"):
            for p in fault.points:
                shift[inside, p] = 0.025 * abs(fault.size) if fault.kind == "tap_jump" else 1.0
    return v, i


def apply_readings(
    faults: Sequence[Fault], time_us: NDArray[np.int64], values: Floats, shift: Floats, nominal: float
) -> None:
    """Drift, stuck and swapped voltage inputs; in place."""
    for fault in faults:
        inside = np.flatnonzero(_inside(fault, time_us))
        if not len(inside):
            continue
        p, channel = fault.points[0], _C["v_a"] + fault.phase
        if fault.kind == "sensor_drift":
            ramp = np.minimum(np.linspace(0, 2, len(inside)), 1.0) * fault.size
            shift[inside, p] = np.abs(ramp)
            values[inside, p, channel] *= 1 + ramp
        elif fault.kind == "stuck_value":
            held = values[inside[0], p, channel]
            shift[inside, p] = np.abs(values[inside, p, channel] - held) / nominal
            values[inside, p, channel] = held
        elif fault.kind == "phase_swap":
            other = _C["v_a"] + (fault.phase + 1) % 3
            a, b = values[inside, p, channel].copy(), values[inside, p, other].copy()
            shift[inside, p] = np.abs(a - b) / nominal
            values[inside, p, channel], values[inside, p, other] = b, a
