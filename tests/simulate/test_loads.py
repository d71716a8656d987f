"""Profiles: bounded, reproducible, however they are cut; with the habits of their class."""

from __future__ import annotations

import numpy as np
import pytest

from remhart_adt.clock import parse_us
from remhart_adt.simulate import FEEDERS, FastNoise, Scenery
from remhart_adt.simulate.spec import Site
from remhart_adt.simulate.weather import OrnsteinUhlenbeck, local_clock, sun_elevation

MONDAY = parse_us("2026-06-15T00:00:00Z")
SUNDAY = parse_us("2026-06-14T00:00:00Z")
DAY_US = 86_400_000_000


def mean_of(feeder, kind, start, hours, seeds=4):
    mine = np.array([k == kind for k in feeder.load_kinds])
    rows = []
    for seed in range(seeds):
        minutes = Scenery(feeder, seed, start).advance(24 * 60)
        hour, _, _ = local_clock(feeder.spec.site, minutes.time_us)
        inside = (hour >= hours[0]) & (hour < hours[1])
        rows.append((minutes.kw[inside][:, mine] / feeder.load_peak_kw[mine]).mean())
    return float(np.mean(rows))


def test_the_same_minute_is_the_same_however_the_minutes_are_cut(feeder_of):
    feeder = feeder_of("suburb")
    whole = Scenery(feeder, 5, MONDAY).advance(300)
    cut = Scenery(feeder, 5, MONDAY)
    parts = [cut.advance(n) for n in (1, 2, 60, 237)]

    for name in ("time_us", "kw", "kvar", "source_pu", "steps"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


def test_another_seed_or_feeder_is_another_day(feeder_of):
    one = Scenery(feeder_of("suburb"), 1, MONDAY).advance(60)
    two = Scenery(feeder_of("suburb"), 2, MONDAY).advance(60)

    assert np.abs(one.kw - two.kw).max() > 0.1


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_nobody_draws_more_than_the_peak_and_only_plants_feed_in(name, feeder_of):
    feeder = feeder_of(name)
    minutes = Scenery(feeder, 3, MONDAY).advance(24 * 60)
    pv = np.array([k == "pv" for k in feeder.load_kinds])

    assert (np.abs(minutes.kw) <= feeder.load_peak_kw).all()
    assert (minutes.kw[:, ~pv] >= 0).all()
    assert (minutes.kw[:, pv] <= 0).all()
    assert (minutes.kvar[:, pv] == 0).all()
    assert (minutes.kvar[:, ~pv] >= 0).all()


def test_classes_keep_their_hours(feeder_of):
    suburb, workshop = feeder_of("suburb"), feeder_of("workshop")

    assert mean_of(suburb, "residential", MONDAY, (18, 21)) > 1.8 * mean_of(suburb, "residential", MONDAY, (1, 4))
    assert mean_of(suburb, "commercial", MONDAY, (10, 16)) > 1.3 * mean_of(suburb, "commercial", SUNDAY, (10, 16))
    assert mean_of(suburb, "ev", MONDAY, (18, 23)) > 3 * mean_of(suburb, "ev", MONDAY, (7, 12))
    assert mean_of(workshop, "motor", MONDAY, (8, 16)) > 4 * mean_of(workshop, "motor", MONDAY, (20, 24))
    assert mean_of(suburb, "lighting", MONDAY, (0, 2)) > 10 * mean_of(suburb, "lighting", MONDAY, (11, 14))
    assert mean_of(suburb, "pv", MONDAY, (11, 14)) < -0.15
    assert mean_of(suburb, "pv", MONDAY, (0, 3)) == 0


def test_heat_pumps_work_harder_in_winter(feeder_of):
    feeder = feeder_of("suburb")
    winter, summer = parse_us("2026-01-12T00:00:00Z"), parse_us("2026-07-13T00:00:00Z")

    assert mean_of(feeder, "heat_pump", winter, (0, 24)) > 2 * mean_of(feeder, "heat_pump", summer, (0, 24))


def test_homes_draw_more_in_their_own_winter(feeder_of):
    january, july = parse_us("2026-01-12T00:00:00Z"), parse_us("2026-07-13T00:00:00Z")
    north, south = feeder_of("suburb"), feeder_of("orchard")

    assert mean_of(north, "residential", january, (0, 24)) > 1.2 * mean_of(north, "residential", july, (0, 24))
    assert mean_of(south, "residential", july, (0, 24)) > 1.2 * mean_of(south, "residential", january, (0, 24))


def test_saturdays_lie_between_working_days_and_sundays(feeder_of):
    days = [mean_of(feeder_of("arcade"), "commercial", day, (9, 15)) for day in (MONDAY, SUNDAY - DAY_US, SUNDAY)]

    assert days[0] > 1.2 * days[1] > 1.2 * days[2]


def test_three_phase_machines_switch_on_all_phases_together(feeder_of):
    feeder = feeder_of("workshop")
    minutes = Scenery(feeder, 1, MONDAY).advance(24 * 60)
    mine = [
        j
        for j, (e, k) in enumerate(zip(feeder.load_elements, feeder.load_kinds, strict=True))
        if (e, k) == ("workshop-m01", "motor")
    ]
    level = minutes.kw[:, mine] / feeder.load_peak_kw[mine]

    assert len(mine) == 3
    assert np.corrcoef(level.T).min() > 0.9


def test_the_bank_follows_the_reactive_load_without_hunting(feeder_of):
    feeder = feeder_of("workshop")
    minutes = Scenery(feeder, 1, MONDAY).advance(24 * 60)
    changes = np.flatnonzero(np.diff(minutes.steps))

    assert minutes.steps.max() >= 2
    assert minutes.steps.min() >= 0
    assert minutes.steps.max() <= feeder.bank.steps
    assert (np.abs(np.diff(minutes.steps)) <= 1).all()
    assert np.diff(changes).min() >= 12
    q = minutes.kvar.sum(axis=1)
    assert np.corrcoef(q, minutes.steps)[0, 1] > 0.7


def test_fast_noise_is_small_stationary_and_the_same_at_any_rate():
    slow = FastNoise(3, np.random.default_rng(1)).block(4000, 60.0)[0]
    fast = FastNoise(3, np.random.default_rng(2)).block(40_000, 1.0)[0]

    for factor in (slow, fast):
        assert abs(factor.mean() - 1) < 0.002
        assert 0.010 < factor.std() < 0.014
        assert np.abs(factor - 1).max() <= 0.0401
    assert np.corrcoef(fast[:-1, 0], fast[1:, 0])[0, 1] > 0.88
    assert abs(np.corrcoef(slow[:-1, 0], slow[1:, 0])[0, 1]) < 0.1


def test_an_ornstein_uhlenbeck_process_has_its_spread_and_memory():
    noise = OrnsteinUhlenbeck(np.random.default_rng(0), np.array([600.0]), np.array([2.0])).block(60_000, 60.0)[:, 0]

    assert abs(noise.std() - 2.0) < 0.15
    assert abs(np.corrcoef(noise[:-10], noise[10:])[0, 1] - np.exp(-1)) < 0.06


@pytest.mark.parametrize(
    ("site", "time", "elevation"),
    [
        # Noon altitude = 90 - |latitude - declination|; declination is +23.44 at the June solstice, 0 at the equinox.
        (Site(50.0, 0.0, 0.0), "2026-06-21T12:02:00Z", 63.4),
        (Site(-23.55, -46.63, -3.0), "2026-12-21T15:05:00Z", 89.8),
        (Site(0.0, 0.0, 0.0), "2026-03-20T12:07:00Z", 90.0),
        (Site(50.0, 0.0, 0.0), "2026-12-21T11:58:00Z", 16.6),
    ],
)
def test_the_sun_stands_where_the_almanac_says(site, time, elevation):
    sine = sun_elevation(site, np.array([parse_us(time)]))[0]

    assert np.degrees(np.arcsin(min(1.0, sine))) == pytest.approx(elevation, abs=1.0)
