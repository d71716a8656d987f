"""Frequency and transformer temperatures."""

from __future__ import annotations

import numpy as np
import pytest

from remhart_adt.simulate import Frequency, Thermal


def test_frequency_wanders_like_that_of_a_large_grid():
    hertz = np.concatenate([Frequency(50.0, np.random.default_rng(s)).block(7200, 1.0) for s in range(4)])

    assert abs(hertz.mean() - 50.0) < 0.005
    assert 0.008 < hertz.std() < 0.030
    assert np.abs(hertz - 50).max() < 0.45  # 1 % would be an alarm
    assert np.abs(np.diff(hertz[:7200])).max() < 0.1


def test_sixty_hertz_is_the_same_grid_scaled():
    fifty = Frequency(50.0, np.random.default_rng(1)).block(100, 1.0)
    sixty = Frequency(60.0, np.random.default_rng(1)).block(100, 1.0)

    np.testing.assert_allclose(fifty * 1.2, sixty)


def test_frequency_is_the_same_however_it_is_cut_and_alike_at_other_rates():
    whole = Frequency(50.0, np.random.default_rng(3)).block(200, 1.0)
    cut = Frequency(50.0, np.random.default_rng(3))
    coarse = Frequency(50.0, np.random.default_rng(4)).block(1440, 60.0)

    np.testing.assert_array_equal(np.concatenate([cut.block(n, 1.0) for n in (1, 99, 100)]), whole)
    assert 0.008 < coarse.std() < 0.030


def test_rises_at_rating_and_unloaded_are_those_of_the_nameplate():
    unit = Thermal(loss_ratio=7.5)
    oil, winding = unit.ultimate([0.0, 1.0, 1.3])

    assert oil[1] == pytest.approx(55.0)
    assert winding[1] == pytest.approx(25.0)
    assert oil[0] == pytest.approx(55.0 * (1 / 8.5) ** 0.8)  # iron loss only
    assert winding[0] == 0.0
    assert oil[2] == pytest.approx(55.0 * ((1.69 * 7.5 + 1) / 8.5) ** 0.8)
    assert winding[2] == pytest.approx(25.0 * 1.3**1.6)


def test_oil_goes_63_percent_of_the_way_in_one_time_constant():
    unit = Thermal(loss_ratio=5.0)
    start = unit.settled(0.5)
    steps = round(unit.oil_tau_s / 60)
    oil, spot, end = unit.run(start, np.ones(steps), np.full(steps, 20.0), 60.0)
    goal = 20.0 + 55.0

    assert (oil[-1] - 20 - start.oil) / (goal - 20 - start.oil) == pytest.approx(1 - np.exp(-1), abs=1e-6)
    assert spot[-1] == pytest.approx(oil[-1] + 25.0, abs=1e-3)  # the winding is there long before the oil
    assert end.oil == pytest.approx(oil[-1] - 20.0)


def test_temperatures_do_not_depend_on_the_step():
    unit = Thermal(loss_ratio=5.0)
    fine, _, _ = unit.run(unit.settled(0.3), np.full(3600, 0.9), np.zeros(3600), 1.0)
    coarse, _, _ = unit.run(unit.settled(0.3), np.full(60, 0.9), np.zeros(60), 60.0)

    assert fine[-1] == pytest.approx(coarse[-1], abs=1e-9)
