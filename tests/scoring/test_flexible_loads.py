"""Flexible devices of the training worlds, the truth that is made of them, and the clustering.

Needs the train and simulate extras; without them these tests are skipped and say so.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder
from training import clusters, devices
from training.flexible_set import CUSTOMERS, customers, split
from training.recipes.demand_response import _named
from training.world import WorldPlan, build

MONDAY_US = 1_736_726_400_000_000
HOUR = (np.arange(20 * 1440) / 60) % 24
WORKING = (np.arange(20 * 1440) // 1440) % 7 < 5


def plan(feeder: str, share: float, days: float = 0.25) -> WorldPlan:
    return WorldPlan(feeder, 5, MONDAY_US, days, devices=share)


def test_chargers_draw_their_rating_in_sessions_of_plausible_energy() -> None:
    for seed in range(20):
        draws = devices.charging(np.random.default_rng(seed), HOUR, WORKING, 7.4, shop=False)
        assert set(np.unique(draws)) == {0.0, 3.7, 7.4}
        energy = draws.sum() / 60 / 20
        assert 0.5 < energy < 15
        by_hour = np.array([draws[HOUR.astype(int) == h].mean() for h in range(24)])
        assert by_hour[8:14].sum() < 0.35 * by_hour.sum()
    work = devices.charging(np.random.default_rng(1), HOUR, WORKING, 11.0, shop=True)
    assert work[WORKING].mean() > 4 * work[~WORKING].mean()
    assert HOUR[work > 0].min() > 5


def test_heat_pumps_run_longer_when_it_is_colder_and_water_heaters_at_night() -> None:
    running = []
    for air in (-10.0, 0.0, 10.0, 22.0):
        draws = devices.heating(np.random.default_rng(3), HOUR, np.full(len(HOUR), air), 4.0)
        assert draws.max() <= 4.0 * 1.15
        running.append((draws > 0).mean())
    assert (np.diff(running) < 0).all()
    assert running[-1] < 0.05
    draws = devices.water(np.random.default_rng(3), HOUR, 2.5)
    assert draws[(HOUR > 21) | (HOUR < 7)].sum() > 0.7 * draws.sum()


def test_truth_is_the_power_that_would_be_gone_without_the_devices() -> None:
    """Solved twice, with and without its flexible loads: every point's power differs by the truth, losses apart."""
    feeder = Feeder(FEEDERS["suburb"])
    rng = np.random.default_rng(2)
    base = 0.4 * feeder.load_peak_kw * np.ones((4, 1))
    base[:, np.isin(feeder.load_kinds, (*devices.FLEXIBLE, "pv"))] = 0.0
    more = np.where(np.array(feeder.load_kinds) == "residential", rng.uniform(0, 4, base.shape), 0.0)
    without, with_them = (feeder.run(kw, 0.2 * base, np.ones(4)) for kw in (base, base + more))
    truth = devices.flexible_w(feeder, more, np.abs(with_them.v))
    p_without, p_with = ((s.v * s.i.conj()).real.sum(2) for s in (without, with_them))
    assert truth[:, 0].min() > 20_000
    # What remains is losses and the ordinary load's answer to the lower voltage.
    assert np.abs(p_with - p_without - truth).max() < 0.06 * truth[:, 0].max()
    services = customers(feeder.spec) >= 0
    assert truth[:, 0] == pytest.approx(truth[:, services].sum(1))


def test_worlds_with_devices_have_a_truth_and_others_stay_as_they_are() -> None:
    plain, more = build(plan("village", 0.0)), build(plan("village", 0.5))
    assert plain.flexible is None
    assert more.flexible is not None
    assert more.flexible.shape == more.p_true.shape
    assert (more.flexible >= 0).all()
    assert more.flexible[:, 0].max() > 2000
    again = build(plan("village", 0.5))
    assert np.array_equal(again.flexible, more.flexible)


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_devices_fit_the_transformer_and_the_services(name: str) -> None:
    feeder = Feeder(FEEDERS[name])
    kw, kvar = devices.device_kw(feeder, plan(name, 3.0, 2.0), 2880, np.full(2880, -5.0))
    assert (kw >= 0).all()
    assert kw.sum() > 0
    assert (kvar <= 0.34 * kw + 1e-9).all()
    assert kw.max(0).sum() <= 1.15 * 0.35 * feeder.spec.transformer.kva
    for point in feeder.spec.points:
        own = np.array([e == point.element for e in feeder.load_elements])
        for phase in range(3):
            here = own & (feeder.load_phase == phase)
            top = kw[:, here].sum(1).max() / 1.15 + feeder.load_peak_kw[here].sum() if here.any() else 0.0
            assert top <= 0.96 * point.rated_a * feeder.spec.nominal_v / 1000 or kw[:, here].sum() == 0


def test_services_have_from_one_home_to_all_of_them() -> None:
    feeder = Feeder(FEEDERS["terrace"])
    share = np.array([devices.occupancy(feeder, seed) for seed in range(50)])
    kinds, places = np.array(feeder.load_kinds), np.array(feeder.load_elements)
    assert (share[:, np.isin(kinds, ("ev", "heat_pump", "pv", "lighting"))] == 1).all()
    homes = kinds == "residential"
    assert 0.1 <= share[:, homes].min() < 0.15
    assert 0.9 < share[:, homes].max() <= 1
    one = homes & (places == "terrace-m11")
    assert one.sum() == 3
    assert np.ptp(share[:, one], axis=1).max() == 0


def test_no_test_world_is_learned_from() -> None:
    for quick in (True, False):
        of = split(quick)
        assert len({p.seed for p in of.every}) == len(of.every)
        assert "terrace" not in {p.feeder for p in (*of.learn, *of.calibrate, *of.test_time)}
        assert {p.start_us for p in of.test_time}.isdisjoint({p.start_us for p in (*of.learn, *of.calibrate)})


def test_customers_are_told_by_their_greatest_load() -> None:
    spec = FEEDERS["suburb"]
    found = dict(zip((p.id for p in spec.points), customers(spec).tolist(), strict=True))
    assert found["suburb-mp-t1"] == -1
    assert CUSTOMERS[found["suburb-mp-m02"]] == "residential"
    assert CUSTOMERS[found["suburb-mp-m13"]] == "ev"
    assert CUSTOMERS[found["suburb-mp-m11"]] == "lighting"


def test_k_means_finds_what_is_there_and_its_figures_say_so() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 50)
    x = 10 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[truth] + rng.normal(0, 0.5, (200, 2))
    label = clusters.nearest(x, clusters.kmeans(x, 4, 1))
    assert clusters.ari(label, truth) == 1.0
    assert clusters.silhouette(x, label) > 0.8
    other = rng.integers(0, 4, 200)
    assert abs(clusters.ari(other, truth)) < 0.05
    assert clusters.silhouette(x, other) < 0.0


def test_the_adjusted_rand_index_of_a_small_table() -> None:
    # Pairs together: 2 in both, 2 and 4 in each, of 10; expected 2 x 4 / 10, at most the mean of 2 and 4.
    one, other = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1])
    assert clusters.ari(one, other) == pytest.approx((2 - 0.8) / (3 - 0.8))


def test_names_belong_to_shapes_whatever_the_order_of_the_centroids() -> None:
    # load factor, base ratio, night, office, evening, weekend
    shapes = np.array(
        [[0.9, 0.8, 0.9, 1.0, 1.1, 1.0], [0.4, 0.3, 0.6, 0.9, 1.9, 1.1], [0.4, 0.1, 2.0, 0.3, 1.2, 1.0],
         [0.5, 0.3, 0.4, 1.9, 0.7, 0.6]]
    )  # fmt: skip
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        given = shapes[order]
        assert np.array_equal(given[_named(given)], shapes)
