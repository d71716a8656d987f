"""What the engine found for every setting of a feeder, and what an advice is worth by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.feeder import FEEDER_FEATURES
from training.flow_set import STEPS, TAPS
from training.samples import Samples

__all__ = ["HIGHEST", "LOWEST", "Table", "greedy"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
# EN 50160 (4.2.2) allows 0.90..1.10 p.u. of ten-minute means; the lower end keeps room for the customer's own wiring.
LOWEST: Final = 0.94
HIGHEST: Final = 1.10
_AT: Final = {name: i for i, name in enumerate(FEEDER_FEATURES)}


@dataclass(frozen=True)
class Table:
    """N moments, K settings: `loss` (W; NaN where there is no such setting), `low`, `high` (p.u.), `excess` p.u. beyond
    the limits; `now` (N,) the setting as it is. `tap`, `steps` (K,) name the settings."""

    loss: Floats
    low: Floats
    high: Floats
    excess: Floats
    now: Whole
    tap: Whole
    steps: Whole

    @classmethod
    def of(cls, samples: Samples) -> Table:
        """The table of these rows."""
        k = range(len(TAPS) * len(STEPS))
        loss, low, high = (np.stack([samples.y[f"{n}_{j}"] for j in k], axis=1) for n in ("loss", "low", "high"))
        excess = np.maximum(np.maximum(LOWEST - low, high - HIGHEST), 0.0)
        tap, steps = (a.ravel() for a in np.meshgrid(TAPS, STEPS, indexing="ij"))
        now = cls._place(samples.y["tap"], samples.y["steps"])
        return cls(loss, low, high, np.where(np.isfinite(loss), excess, np.inf), now, tap, steps)

    @staticmethod
    def _place(tap: NDArray[np.float64], steps: NDArray[np.float64]) -> Whole:
        return np.asarray((tap - TAPS[0]) * len(STEPS) + steps, np.int64)

    def place(self, tap: NDArray[np.int64], steps: NDArray[np.int64]) -> Whole:
        """Column of each row's advice; an absent tap or number of steps is the present one."""
        tap = np.where(tap < TAPS[0], self.tap[self.now], tap)
        return self._place(tap, np.where(steps < 0, self.steps[self.now], steps))

    def at(self, values: Floats, column: Whole) -> Floats:
        """One value per row."""
        return np.asarray(values[np.arange(len(column)), column])

    @property
    def fine(self) -> NDArray[np.bool_]:
        """(N,) the present setting breaks no limit."""
        return np.asarray(self.at(self.excess, self.now) == 0)

    @property
    def possible(self) -> NDArray[np.bool_]:
        """(N,) some setting breaks no limit."""
        return np.asarray((self.excess == 0).any(1))

    @property
    def best(self) -> Whole:
        """(N,) the setting with the least losses inside the limits, else the one that comes nearest to them."""
        inside = np.where(self.excess == 0, self.loss, np.inf).argmin(1)
        return np.where(self.possible, inside, self.excess.argmin(1))

    def regret(self, column: Whole) -> Floats:
        """(N,) losses beyond the best setting's, in percent of the present losses; NaN where every setting breaks a
        limit. A setting that breaks one counts as the worst that breaks none."""
        least = self.at(self.loss, self.best)
        worst = np.where(self.excess == 0, self.loss, -np.inf).max(1)
        mine = np.where(self.at(self.excess, column) == 0, self.at(self.loss, column), worst)
        return np.where(self.possible, 100 * (mine - least) / self.at(self.loss, self.now), np.nan)


def greedy(samples: Samples, table: Table) -> Whole:
    """An engineer's rule of thumb: the steps that bring the head's reactive power nearest to zero, then the lowest tap
    that leaves the metered voltages 0.01 p.u. inside the limits, else the one that comes nearest."""
    x = samples.x.astype(np.float64)
    tap, steps = table.tap[None, :], table.steps[None, :]
    size = np.nan_to_num(x[:, _AT["bank_step"], None])
    q = x[:, _AT["head_q"], None] - size * (steps - samples.y["steps"][:, None])
    rise = x[:, _AT["tap_step"], None] * (tap - samples.y["tap"][:, None])
    low, high = (x[:, _AT[f"v_{n}"], None] * (1 + rise) for n in ("lowest", "highest"))
    outside = np.maximum(np.maximum(LOWEST + 0.01 - low, high - (HIGHEST - 0.01)), 0.0)
    cost = 1e6 * outside + 1e3 * np.abs(q) + tap
    return np.asarray(np.where(np.isfinite(table.loss), cost, np.inf).argmin(1))
