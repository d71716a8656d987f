"""Grid frequency from an aggregated swing equation: 2H dw/dt = pm - pl - D w, all in p.u.

Load and renewables wander (Ornstein-Uhlenbeck), schedules step every quarter of an hour, now and then a unit trips and
is replaced within minutes; governors answer with droop behind a dead band, a slow integral brings the frequency back.
The constants give what a large interconnection shows: a standard deviation near 15 mHz (50 Hz), and deviations of 1 %
practically never.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frequency"]

_INERTIA: Final = 5.0
_DAMPING: Final = 1.5
_DROOP: Final = 0.08
_GOVERNOR_S: Final = 3.0
_INTEGRAL: Final = 0.0015
_DEAD_BAND: Final = 0.0002
_NOISE_RATE: Final = 0.02
_NOISE: Final = 0.0004
_SCHEDULE: Final = 0.0012
_SCHEDULE_S: Final = 900.0
_SCHEDULE_FADE_S: Final = 120.0
_TRIPS_PER_DAY: Final = 8.0
_REPLACED_S: Final = 180.0


class Frequency:
    """The frequency of one interconnection from one seed; the state goes on from block to block."""

    def __init__(self, nominal_hz: float, rng: np.random.Generator, *, warm_s: float = 1200.0) -> None:
        self._hz, self._rng, self._events = nominal_hz, rng, rng.spawn(1)[0]
        self._w = self._governor = self._agc = self._wander = self._lost = self._schedule = 0.0
        self._to_schedule = float(self._events.uniform(0, _SCHEDULE_S))
        self._to_trip = float(self._events.exponential(86400 / _TRIPS_PER_DAY))
        self.block(max(1, round(warm_s / 5)), 5.0)

    def block(self, n: int, step_s: float) -> NDArray[np.float64]:
        """Hz at the next n instants, each `step_s` after the one before."""
        inner = max(1, math.ceil(step_s / (0.1 if step_s <= 1 else 0.5)))
        dt = step_s / inner
        kicks = (self._rng.standard_normal(n * inner) * (_NOISE * math.sqrt(dt))).tolist()
        out = np.empty(n)
        w, governor, agc, wander = self._w, self._governor, self._agc, self._wander
        lost, schedule, k = self._lost, self._schedule, 0
        fade, replace = math.exp(-dt / _SCHEDULE_FADE_S), math.exp(-dt / _REPLACED_S)
        for step in range(n):
            for _ in range(inner):
                wander += kicks[k] - _NOISE_RATE * wander * dt
                k += 1
                lost *= replace
                schedule *= fade
                self._to_schedule -= dt
                self._to_trip -= dt
                if self._to_schedule <= 0:
                    self._to_schedule += _SCHEDULE_S
                    schedule = float(self._events.normal(0, _SCHEDULE))
                if self._to_trip <= 0:
                    self._to_trip += float(self._events.exponential(86400 / _TRIPS_PER_DAY))
                    sign = -1.0 if self._events.random() < 0.8 else 1.0
                    lost += sign * float(self._events.uniform(0.004, 0.02))
                felt = 0.0 if abs(w) < _DEAD_BAND else w - math.copysign(_DEAD_BAND, w)
                governor += dt / _GOVERNOR_S * (-felt / _DROOP - governor)
                agc -= _INTEGRAL * w / _DROOP * dt
                w += dt * (governor + agc + wander + lost + schedule - _DAMPING * w) / (2 * _INERTIA)
            out[step] = w
        self._w, self._governor, self._agc, self._wander = w, governor, agc, wander
        self._lost, self._schedule = lost, schedule
        return self._hz * (1 + out)
