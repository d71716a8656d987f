"""Taps on either winding: the same voltage, another no-load loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from remhart_adt.simulate import FEEDERS
from remhart_adt.simulate.feeder import Feeder


@pytest.mark.parametrize(("winding", "exponent"), [(1, 2.0), (2, 0.0)])
def test_the_no_load_loss_follows_taps_on_the_medium_voltage_winding(winding: int, exponent: float) -> None:
    spec = FEEDERS["village"]
    feeder = Feeder(replace(spec, transformer=replace(spec.transformer, tap_winding=winding)))
    idle = np.zeros(feeder.n_loads)
    low, high = feeder.solve(idle, idle, tap=-2), feeder.solve(idle, idle, tap=2)
    ratio = 1.05 / 0.95

    assert np.abs(high.v).mean() / np.abs(low.v).mean() == pytest.approx(ratio, rel=1e-3)
    assert high.transformer_loss_w[0] / low.transformer_loss_w[0] == pytest.approx(ratio**exponent, rel=5e-3)
