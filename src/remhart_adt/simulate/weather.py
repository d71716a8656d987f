"""Sun, clouds and air temperature at a site, minute by minute.

Sun: declination after Spencer (1971), clear-sky global irradiance after Haurwitz (1945). Clouds: two Ornstein-Uhlenbeck
processes (a day's character, a passing cloud) through a logistic curve. Temperature: yearly and daily swing plus a
slow random part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.simulate.spec import Site

__all__ = ["Air", "OrnsteinUhlenbeck", "Weather", "local_clock", "sun_elevation"]

Floats = NDArray[np.float64]

_DAY_S: Final = 86400.0
_YEAR_S: Final = 365.2425 * _DAY_S


class OrnsteinUhlenbeck:
    """K independent stationary processes of mean 0; `tau_s` and `sigma` are (K,). Exact for any step.

    The state goes on from block to block, and one long block equals many short ones.
    """

    def __init__(self, rng: np.random.Generator, tau_s: Floats, sigma: Floats) -> None:
        self._rng, self._tau, self._sigma = rng, tau_s, sigma
        self._state: Floats = np.asarray(rng.standard_normal(len(tau_s)) * sigma)

    def block(self, n: int, step_s: float) -> Floats:
        """The next n values, (n, K); each lies `step_s` after the one before."""
        decay: Floats = np.exp(-step_s / self._tau)
        kick: Floats = self._rng.standard_normal((n, len(self._tau))) * (self._sigma * np.sqrt(1 - decay**2))
        out = np.empty_like(kick)
        state = self._state
        for k in range(n):
            state = state * decay + kick[k]
            out[k] = state
        self._state = state
        return out


def local_clock(site: Site, time_us: NDArray[np.int64]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """In civil time, each (n,): hour of the day (0..24), fraction of the year (0..1), and the kind of day (0: working,
    1: Saturday, 2: Sunday)."""
    local = time_us / 1e6 + site.zone_h * 3600
    hour = (local % _DAY_S) / 3600
    day = np.floor(local / _DAY_S)
    weekday = (day + 3) % 7  # the epoch began on a Thursday
    return hour, (local % _YEAR_S) / _YEAR_S, np.maximum(weekday - 4, 0).astype(np.intp)


def sun_elevation(site: Site, time_us: NDArray[np.int64]) -> Floats:
    """Sine of the sun's elevation over the horizon, (n,)."""
    utc = time_us / 1e6
    g = 2 * np.pi * ((utc % _YEAR_S) / _YEAR_S)
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    minutes = 229.18 * (
        0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.040849 * np.sin(2 * g)
    )
    solar_hour = (utc % _DAY_S) / 3600 + site.longitude / 15 + minutes / 60
    latitude = np.radians(site.latitude)
    angle = np.radians(15 * (solar_hour - 12))
    return np.asarray(np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle))


@dataclass(frozen=True, slots=True)
class Air:
    """Weather of n minutes: degC, W/m2 on the horizontal, sine of the sun's elevation; each (n,)."""

    temperature: Floats
    irradiance: Floats
    sun: Floats


class Weather:
    """The weather of one site from one seed, minute after minute."""

    def __init__(self, site: Site, rng: np.random.Generator) -> None:
        self._site = site
        # air mass, day's cloud character, passing clouds, flicker at a cloud's edge
        self._noise = OrnsteinUhlenbeck(
            rng, np.array([8 * 3600.0, 18 * 3600.0, 2700.0, 150.0]), np.array([2.0, 1.3, 0.9, 0.5])
        )

    def block(self, time_us: NDArray[np.int64]) -> Air:
        """The weather at the next minutes; `time_us` (n,) must go on where the last block ended."""
        noise = self._noise.block(len(time_us), 60.0)
        hour, year, _ = local_clock(self._site, time_us)
        sun = sun_elevation(self._site, time_us)
        high = np.maximum(sun, 0.0)
        clear = 1098.0 * high * np.exp(-0.057 / np.maximum(high, 1e-3))
        openness = 1 / (1 + np.exp(-(0.8 + noise[:, 1] + noise[:, 2] + noise[:, 3])))
        irradiance = clear * (0.18 + 0.82 * openness)
        season = -np.cos(2 * np.pi * (year - 20 / 365))
        daily = np.cos(2 * np.pi * (hour - 15) / 24)
        temperature = self._site.mean_temp + self._site.temp_swing * season + 4.0 * daily + noise[:, 0]
        return Air(temperature, irradiance, sun)
