"""A transformer's temperatures after IEEE C57.91-2011, clause 7: top-oil and hottest-spot rises with their time lags.

Ultimate rises: oil = oil_rise * ((K^2 R + 1) / (R + 1))^n, winding over oil = winding_rise * K^(2m), with K the load in
p.u. of the rating and R the ratio of load loss to no-load loss; each follows its ultimate value with one time constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Thermal", "ThermalState"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ThermalState:
    """Rises in K: top oil over ambient, hottest spot over top oil."""

    oil: float
    winding: float


@dataclass(frozen=True, slots=True)
class Thermal:
    """Rated rises (K), exponents and time constants (s) of a naturally cooled 65 K unit; `loss_ratio` is R."""

    loss_ratio: float
    oil_rise: float = 55.0
    winding_rise: float = 25.0
    n: float = 0.8
    m: float = 0.8
    oil_tau_s: float = 3 * 3600.0
    winding_tau_s: float = 300.0

    def ultimate(self, k: ArrayLike) -> tuple[Floats, Floats]:
        """Rises after a very long time at load K p.u.: top oil over ambient, hottest spot over oil."""
        load = np.asarray(k, dtype=np.float64)
        oil = self.oil_rise * ((load**2 * self.loss_ratio + 1) / (self.loss_ratio + 1)) ** self.n
        return oil, self.winding_rise * load ** (2 * self.m)

    def settled(self, k: float) -> ThermalState:
        """The state of a unit that has long been at load K."""
        oil, winding = self.ultimate(k)
        return ThermalState(float(oil), float(winding))

    def run(
        self, state: ThermalState, k: ArrayLike, ambient: ArrayLike, step_s: float
    ) -> tuple[Floats, Floats, ThermalState]:
        """Oil and hottest-spot temperature (degC) after each of T steps at loads `k` (T,), and the state at the end."""
        oil_end, winding_end = self.ultimate(k)
        a, b = np.exp(-step_s / self.oil_tau_s), np.exp(-step_s / self.winding_tau_s)
        oil, winding = np.empty_like(oil_end), np.empty_like(oil_end)
        x, y = state.oil, state.winding
        for t, (to, tw) in enumerate(zip(oil_end.tolist(), winding_end.tolist(), strict=True)):
            x, y = to + (x - to) * a, tw + (y - tw) * b
            oil[t], winding[t] = x, y
        air = np.asarray(ambient, dtype=np.float64)
        return air + oil, air + oil + winding, ThermalState(float(x), float(y))
