"""Feeders are built once for all tests; a solver does not remember what it solved before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from remhart_adt.simulate import Feeder, feeder_spec
from remhart_adt.simulate.spec import LOAD_KINDS


@cache
def _feeder(name: str) -> Feeder:
    return Feeder(feeder_spec(name))


@pytest.fixture(scope="session")
def feeder_of() -> Callable[[str], Feeder]:
    return _feeder


@pytest.fixture(scope="session")
def loads_of() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Random loads (T, L) between `low` and `high` of the peaks, photovoltaics feeding in."""

    def make(feeder: Feeder, steps: int, seed: int = 0, low: float = 0.1, high: float = 0.7):
        rng = np.random.default_rng(seed)
        pv = np.array([k == "pv" for k in feeder.load_kinds])
        factor = np.array([LOAD_KINDS[k].power_factor for k in feeder.load_kinds])
        kw = rng.uniform(low, high, (steps, feeder.n_loads)) * feeder.load_peak_kw * np.where(pv, -1, 1)
        return kw, np.where(pv, 0.0, np.abs(kw) * np.tan(np.arccos(factor)))

    return make
