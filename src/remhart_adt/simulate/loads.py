"""What customers draw, minute by minute: stochastic profiles by class, photovoltaics, source voltage, bank control.

Homes and businesses follow the standard load profiles of `profiles`; vehicles, heat pumps, motors, street lighting and
photovoltaics, for which there is none, follow clock, temperature and sun. A profile is the mean of many customers: on
it ride slow multiplicative noise, machines that switch on and off, and every load's own habits (hours, weights).
No profile exceeds its load's `peak_kw`, so a feeder whose peaks fit stays inside its limits whatever the seed.
Second by second a fast noise is laid over the straight line between two minutes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.profiles import profile_level
from remhart_adt.simulate.spec import LOAD_KINDS
from remhart_adt.simulate.weather import Air, OrnsteinUhlenbeck, Weather, local_clock

__all__ = ["FastNoise", "Minutes", "Scenery"]

Floats = NDArray[np.float64]

# Slow multiplicative noise of each class: time constant (s) and standard deviation (of the logarithm).
_SLOW: Final = {
    "residential": (1500.0, 0.20),
    "commercial": (2400.0, 0.07),
    "ev": (3600.0, 0.02),
    "heat_pump": (1800.0, 0.04),
    "motor": (900.0, 0.06),
    "lighting": (3600.0, 0.01),
    "pv": (3600.0, 0.005),
}
# Two machines per load switch; classes whose machines serve all three phases at once switch together.
_TOGETHER: Final = frozenset({"heat_pump", "motor", "lighting", "pv"})
_MACHINES: Final = 2
_FAST_TAU_S: Final = 12.0
_FAST_SIGMA: Final = 0.012
_BANK_DWELL_MIN: Final = 12


@dataclass(frozen=True, slots=True)
class Minutes:
    """n minutes of the feeder's surroundings.

    `kw`, `kvar` (n, L) at nominal voltage (photovoltaics negative), `source_pu` (n,), `steps` of the bank (n,) int, and
    the weather.
    """

    time_us: NDArray[np.int64]
    kw: Floats
    kvar: Floats
    source_pu: Floats
    steps: NDArray[np.int64]
    air: Air

    def __len__(self) -> int:
        return len(self.time_us)


def _bump(hour: Floats, centre: Floats | float, width: float) -> Floats:
    """A periodic bell over the day: 1 at its centre, `width` hours to about 0.6."""
    return np.asarray(np.exp((np.cos(2 * np.pi * (hour - centre) / 24) - 1) * (24 / (2 * np.pi * width)) ** 2))


def _plateau(hour: Floats, start: Floats | float, end: Floats | float, ramp: float = 0.5) -> Floats:
    return np.asarray(1 / (1 + np.exp((start - hour) / ramp)) / (1 + np.exp((hour - end) / ramp)))


def _bound(x: Floats) -> Floats:
    """A soft ceiling at 1 that leaves small values as they are."""
    return np.asarray(x / (1 + np.maximum(x, 0.0) ** 6) ** (1 / 6))


class Scenery:
    """The surroundings of one feeder from one seed, from `start_us` on, minute after minute.

    However the minutes are cut into blocks, the same minute has the same values.
    """

    def __init__(self, feeder: Feeder, seed: int, start_us: int) -> None:
        self._site, self._bank, self._nominal = feeder.spec.site, feeder.bank, feeder.spec.source.pu
        self._kinds = np.array(feeder.load_kinds)
        self._peak = feeder.load_peak_kw
        n = feeder.n_loads
        habits, slow, switch, weather, source = np.random.default_rng(
            [seed, zlib.crc32(feeder.spec.name.encode())]
        ).spawn(5)
        groups: dict[tuple[object, ...], int] = {}
        keys = [
            (e, k, None if k in _TOGETHER else p)
            for e, k, p in zip(feeder.load_elements, feeder.load_kinds, feeder.load_phase.tolist(), strict=True)
        ]
        self._group = np.array([groups.setdefault(key, len(groups)) for key in keys])
        self._shift = habits.normal(0, 0.6, len(groups))[self._group]
        self._weight = habits.uniform(0.82, 1.0, (3, n))
        self._balance = habits.uniform(0.97, 1.0, n)
        factor = np.array([LOAD_KINDS[k].power_factor for k in feeder.load_kinds])
        self._tan = np.tan(np.arccos(np.clip(factor + habits.normal(0, 0.008, n), 0.75, 0.999)))
        self._tan[self._kinds == "pv"] = 0.0
        tau, sigma = (np.array([_SLOW[k][j] for k in feeder.load_kinds]) for j in (0, 1))
        self._slow = OrnsteinUhlenbeck(slow, np.tile(tau, 2), np.concatenate([sigma, np.full(n, 0.08)]))
        self._switch = switch
        self._on = switch.random((_MACHINES, len(groups))) < 0.2
        self._weather = Weather(self._site, weather)
        self._source = OrnsteinUhlenbeck(source, np.array([2400.0]), np.array([0.0025]))
        self._next_us = start_us
        self._steps, self._dwell = (self._bank.steps_on if self._bank else 0), 0

    def advance(self, n: int) -> Minutes:
        """The next n minutes."""
        time_us = self._next_us + 60_000_000 * np.arange(n, dtype=np.int64)
        self._next_us += 60_000_000 * n
        air = self._weather.block(time_us)
        hour, year, day = local_clock(self._site, time_us)
        noise = self._slow.block(n, 60.0)
        loads = len(self._kinds)
        season = year if self._site.temp_swing > 0 else year + 0.5
        machines = self._machines(hour, day == 0, air)
        level = np.empty((n, loads))
        for kind in np.unique(self._kinds):
            mine = np.flatnonzero(self._kinds == kind)
            level[:, mine] = self._level(str(kind), mine, hour, day, season, air, machines[:, mine])
        level = _bound(level * np.exp(noise[:, :loads])) * self._balance
        kw = level * self._peak
        kvar = kw * self._tan * (1 + noise[:, loads:])
        kw[:, self._kinds == "pv"] *= -1
        evening = _bump(hour, 19.0, 3.0)
        pu = self._nominal - 0.004 * evening + np.clip(self._source.block(n, 60.0)[:, 0], -0.006, 0.006)
        return Minutes(time_us, kw, kvar, pu, self._control(kvar.sum(axis=1)), air)

    def _level(
        self,
        kind: str,
        mine: NDArray[np.intp],
        hour: Floats,
        day: NDArray[np.intp],
        season: Floats,
        air: Air,
        machines: Floats,
    ) -> Floats:
        """Mean level of the class in p.u. of the peak, (n, loads of the class)."""
        h = hour[:, None] - self._shift[mine]
        w = self._weight[:, mine]
        if kind == "residential":
            dull = (1 - w[0]) * _bump(h, 7.5, 2.0) + (1 - w[1]) * _bump(h, 12.6, 1.8) + (1 - w[2]) * _bump(h, 19.2, 2.4)
            return np.asarray(0.62 * (1 - dull) * profile_level(kind, season, day, h) + 0.12 * machines)
        if kind == "commercial":
            open_share = np.maximum(profile_level(kind, season, day, h) - 0.2, 0.0)
            cooling = 0.012 * np.maximum(air.temperature - 21, 0)[:, None]
            return np.asarray(0.18 + 0.80 * w[0] * open_share * (1 + cooling))
        if kind == "ev":
            return np.asarray(0.01 + 0.93 * machines)
        if kind == "heat_pump":
            return np.asarray(0.04 + 0.86 * machines)
        if kind == "motor":
            busy = np.where(day[:, None] == 0, 1.0, 0.25)
            return np.asarray(0.06 + _plateau(h, 6.6, 17.2, 0.3) * busy * (0.22 + 0.5 * machines))
        if kind == "lighting":
            night = 1 / (1 + np.exp(np.clip((air.sun + 0.03) / 0.02, -50, 50)))
            return np.asarray((0.02 + 0.9 * night)[:, None] * np.ones_like(h))
        cell = air.temperature + 0.03 * air.irradiance
        output = np.maximum(air.irradiance / 1000 * 0.93 * (1 - 0.004 * (cell - 25)), 0.0)
        return np.asarray(output[:, None] * np.ones_like(h))

    def _machines(self, hour: Floats, working: NDArray[np.bool_], air: Air) -> Floats:
        """Share of each load's machines that run, (n, L): on and off as two-state Markov chains."""
        n, groups = len(hour), self._on.shape[1]
        kind = np.empty(groups, dtype=self._kinds.dtype)
        kind[self._group] = self._kinds
        start, stop = np.empty((n, groups)), np.full((n, groups), 1 / 15.0)
        evening = _bump(hour, 18.6, 2.2)
        duty = np.clip((17 - air.temperature) / 26, 0.06, 0.92)
        rates: dict[str, tuple[Floats, Floats | float]] = {
            "residential": (0.004 + 0.022 * evening + 0.012 * _bump(hour, 7.3, 1.0), 1 / 11.0),
            "ev": (0.0006 + 0.0075 * evening + np.where(working, 0.0, 0.0012), 1 / 105.0),
            "heat_pump": (duty / 22, (1 - duty) / 22),
            "motor": (np.full(n, 1 / 9.0), 1 / 12.0),
        }
        for name in np.unique(kind):
            on, off = rates.get(str(name), (np.zeros(n), 1.0))
            start[:, kind == name] = np.asarray(on)[:, None]
            stop[:, kind == name] = np.asarray(off, dtype=np.float64).reshape(-1, 1)
        chance = self._switch.random((n, _MACHINES, groups))
        share, state = np.empty((n, groups)), self._on
        for t in range(n):
            state = np.where(state, chance[t] >= stop[t], chance[t] < start[t])
            share[t] = state.mean(axis=0)
        self._on = state
        return share[:, self._group]

    def _control(self, kvar: Floats) -> NDArray[np.int64]:
        """The bank follows the feeder's reactive load, one step at a time, with a dwell against hunting."""
        out = np.zeros(len(kvar), dtype=np.int64)
        if self._bank is None:
            return out
        size, top = self._bank.step_kvar, self._bank.steps
        for t, q in enumerate(kvar.tolist()):
            self._dwell -= 1
            wanted = self._steps
            if q > (self._steps + 0.9) * size:
                wanted = min(self._steps + 1, top)
            elif q < (self._steps - 0.3) * size:
                wanted = max(self._steps - 1, 0)
            if wanted != self._steps and self._dwell <= 0:
                self._steps, self._dwell = wanted, _BANK_DWELL_MIN
            out[t] = self._steps
        return out


class FastNoise:
    """Second-by-second noise: a factor for every load, an offset for the source voltage.

    `block` gives consecutive instants `step_s` apart; at a step of minutes the values are independent draws of the same
    distribution, which is what a sample once a minute sees.
    """

    def __init__(self, n_loads: int, rng: np.random.Generator) -> None:
        tau, sigma = np.full(n_loads + 1, _FAST_TAU_S), np.full(n_loads + 1, _FAST_SIGMA)
        tau[-1], sigma[-1] = 6.0, 0.0006
        self._process = OrnsteinUhlenbeck(rng, tau, sigma)

    def block(self, n: int, step_s: float) -> tuple[Floats, Floats]:
        """Factors (n, L) and source offsets (n,) in p.u."""
        noise = np.clip(self._process.block(n, step_s), -0.04, 0.04)
        return 1 + noise[:, :-1], noise[:, -1]
