"""Meters stay within their class, are the same meters every time, and say nothing they cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.simulate import Meters

T = 400


@pytest.fixture(scope="module")
def truth(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    return feeder.run(*loads_of(feeder, T, seed=8))


def read(truth, seed=1, noise=2, dropout=0.0):
    meters = Meters(truth.v.shape[1], 230.0, np.random.default_rng(seed), np.random.default_rng(noise), dropout=dropout)
    flat = np.full(T, 25.0)
    return meters.read(truth, np.full(T, 50.01), flat + 30, flat, 0)


def block(values, first):
    at = CHANNEL_INDEX[first]
    return values[..., at : at + 3]


def test_every_channel_is_within_its_class(truth):
    values = read(truth)
    size = np.abs(truth.s)
    for first, exact, error, digit in (
        ("v_a", np.abs(truth.v), 0.002 * np.abs(truth.v), 0.01),
        ("i_a", np.abs(truth.i), 0.005 * np.abs(truth.i), 0.001),
        ("p_a", truth.s.real, 0.005 * size, 0.1),
        ("q_a", truth.s.imag, 0.010 * size, 0.1),
    ):
        off = np.abs(block(values, first) - exact)

        assert np.mean(off <= error + digit) > 0.995
        assert off.max() > 0  # a meter without error would be none


def test_line_voltages_neutral_and_frequency_fit_the_phasors(truth):
    values = read(truth)
    line = np.abs(truth.v[..., [0, 1, 2]] - truth.v[..., [1, 2, 0]])

    np.testing.assert_allclose(block(values, "v_ab"), line, rtol=0.004)
    neutral = values[..., CHANNEL_INDEX["i_n"]]
    assert np.abs(neutral - np.abs(truth.i.sum(axis=2))).max() < 0.01 * np.abs(truth.i).max()
    assert np.abs(values[..., CHANNEL_INDEX["freq"]] - 50.01).max() < 0.004


def test_what_is_not_measured_is_absent(truth):
    values = read(truth)

    assert np.isnan(block(values, "thdv_a")).all()
    assert np.isnan(block(values, "thdi_a")).all()
    assert np.isnan(values[:, 1:, CHANNEL_INDEX["oil_temp"]]).all()
    assert np.abs(values[:, 0, CHANNEL_INDEX["oil_temp"]] - 55).max() < 1.0
    assert not np.isnan(values[..., : CHANNEL_INDEX["thdv_a"]]).any()


def test_a_dead_point_reads_zero_and_no_frequency(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    truth = feeder.run(*loads_of(feeder, T), switches={"suburb-cb2": "open"})
    values = read(truth)
    dead = feeder.point_ids.index("suburb-mp-m05")

    assert (values[:, dead, : CHANNEL_INDEX["freq"]] == 0).all()
    assert np.isnan(values[:, dead, CHANNEL_INDEX["freq"]]).all()


def test_there_is_no_negative_zero_on_the_wire(feeder_of):
    feeder = feeder_of("suburb")
    nothing = np.zeros((T, feeder.n_loads))
    values = read(feeder.run(nothing, nothing))

    assert (values == 0).any()
    assert not (np.signbit(values) & (values == 0)).any()


def test_the_same_meter_keeps_its_error_and_draws_new_noise(truth):
    first, again, later, other = read(truth), read(truth), read(truth, noise=3), read(truth, seed=9)

    np.testing.assert_array_equal(first, again)
    gain = lambda values: (block(values, "v_a") / np.abs(truth.v)).mean(axis=0)  # noqa: E731
    assert np.abs(gain(first) - gain(later)).max() < 1e-4
    assert np.abs(gain(first) - gain(other)).max() > 5e-4
    assert (first != later).any()


def test_lost_readings_are_lost_whole(truth):
    lost = np.isnan(read(truth, dropout=0.1)[..., 0])

    assert 0.08 < lost.mean() < 0.12
    assert np.isnan(read(truth, dropout=0.1)[lost]).all()
