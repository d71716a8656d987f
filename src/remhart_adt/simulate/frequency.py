"""Grid frequency from an aggregated swing equation: 2H dw/dt = pm - pl - D w, all in p.u.

Load and renewables wander (Ornstein-Uhlenbeck), schedules step every quarter of an hour, now and then a unit trips and
is replaced within minutes; governors answer with droop behind a dead band, a slow integral brings the frequency back.
The default constants give what a large interconnection shows: a standard deviation near 15 mHz (50 Hz), and deviations
of 1 % practically never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frequency", "Grid"]

_DEAD_BAND: Final = 0.0002
_NOISE_RATE: Final = 0.02
_SCHEDULE_S: Final = 900.0
_SCHEDULE_FADE_S: Final = 120.0
_REPLACED_S: Final = 180.0


@dataclass(frozen=True)
class Grid:
    """Constants of one interconnection, in p.u. of its load; the defaults are those of a large one.

    `inertia` is H in s, `damping` D, `droop` R, `governor_s` and `integral` (1/s) the time constants of primary and
    secondary control, `noise` the kick of the wandering load (per root second), `schedule` the spread of the quarter
    hourly steps, `trips_per_day` units lost that were giving `trip` (least, most) of the load.
    """

    inertia: float = 5.0
    damping: float = 1.5
    droop: float = 0.08
    governor_s: float = 3.0
    integral: float = 0.0015
    noise: float = 0.0004
    schedule: float = 0.0012
    trips_per_day: float = 8.0
    trip: tuple[float, float] = (0.004, 0.02)


class Frequency:
    """The frequency of one interconnection from one seed; the state goes on from block to block."""

    def __init__(
        self, nominal_hz: float, rng: np.random.Generator, *, warm_s: float = 1200.0, grid: Grid | None = None
    ) -> None:
        self._grid = grid or Grid()
        self._hz, self._rng, self._events = nominal_hz, rng, rng.spawn(1)[0]
        self._w = self._governor = self._agc = self._wander = self._lost = self._schedule = 0.0
        self._to_schedule = float(self._events.uniform(0, _SCHEDULE_S))
        self._to_trip = float(self._events.exponential(86400 / self._grid.trips_per_day))
        self.block(max(1, round(warm_s / 5)), 5.0)

    def block(self, n: int, step_s: float) -> NDArray[np.float64]:
        """Hz at the next n instants, each `step_s` after the one before."""
        g = self._grid
        inner = max(1, math.ceil(step_s / (0.1 if step_s <= 1 else 0.5)))
        dt = step_s / inner
        kicks = (self._rng.standard_normal(n * inner) * (g.noise * math.sqrt(dt))).tolist()
        out = np.empty(n)
        w, governor, agc, wander = self._w, self._governor, self._agc, self._wander
        lost, schedule, to_schedule, to_trip = self._lost, self._schedule, self._to_schedule, self._to_trip
        # Millions of turns: nothing is looked up in an object inside.
        fade, replace = math.exp(-dt / _SCHEDULE_FADE_S), math.exp(-dt / _REPLACED_S)
        reverting, dead, damping, droop, integral = _NOISE_RATE, _DEAD_BAND, g.damping, g.droop, g.integral
        governing, masses = dt / g.governor_s, 2 * g.inertia
        for step in range(n):
            for kick in kicks[step * inner : step * inner + inner]:
                wander += kick - reverting * wander * dt
                lost *= replace
                schedule *= fade
                to_schedule -= dt
                to_trip -= dt
                if to_schedule <= 0:
                    to_schedule += _SCHEDULE_S
                    schedule = float(self._events.normal(0, g.schedule))
                if to_trip <= 0:
                    to_trip += float(self._events.exponential(86400 / g.trips_per_day))
                    sign = -1.0 if self._events.random() < 0.8 else 1.0
                    lost += sign * float(self._events.uniform(*g.trip))
                felt = w - dead if w >= dead else w + dead if w <= -dead else 0.0
                governor += governing * (-felt / droop - governor)
                agc -= integral * w / droop * dt
                w += dt * (governor + agc + wander + lost + schedule - damping * w) / masses
            out[step] = w
        self._w, self._governor, self._agc, self._wander = w, governor, agc, wander
        self._lost, self._schedule, self._to_schedule, self._to_trip = lost, schedule, to_schedule, to_trip
        return self._hz * (1 + out)
