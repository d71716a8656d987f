"""The sag simulator: protection, causes, and that truth is truth whether or not a meter saw it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from remhart_adt.scoring.features import INDEX  # noqa: E402
from remhart_adt.simulate import Feeder  # noqa: E402
from remhart_adt.simulate.catalogue import FEEDERS  # noqa: E402
from remhart_adt.simulate.feeder import Fault  # noqa: E402
from training import sag_events, sag_set, sag_world  # noqa: E402
from training.recipes.voltage_sag import average_precision  # noqa: E402

START_US = 1_736_726_400_000_000
PLAN = sag_world.SagPlan("village", 20260101 + 9010, START_US, 2.0, "report")


@pytest.fixture(scope="module")
def world() -> sag_world.SagWorld:
    return sag_world.build(PLAN)


def test_protection_is_the_curve_of_the_standard_and_faster_for_more_current() -> None:
    multiple = np.array([1.3, 2.0, 5.0, 20.0])
    seconds = sag_events.clearing_time(multiple, np.ones(4), sag_events.VERY_INVERSE)
    # IEEE C37.112, very inverse, time dial 1, M = 2: 19.61 / 3 + 0.491 = 7.028 s; M = 5: 1.308 s.
    assert seconds[1:3] == pytest.approx([7.028 + 0.06, 1.308 + 0.06], abs=1e-3)
    assert (np.diff(seconds) < 0).all()
    assert sag_events.clearing_time(np.array(0.5), np.ones(1), sag_events.VERY_INVERSE) <= 30


def test_the_protection_of_a_fault_is_the_nearest_line_above_it() -> None:
    feeder = Feeder(FEEDERS["suburb"])
    for element in feeder.spec.elements:
        p = sag_events.protection(feeder, Fault(element.id, (0,), 0.1))
        guard = feeder.spec.points[p].element
        assert element.id == guard or element.id in feeder.spec.downstream(guard) or p == 0


def test_a_fault_lowers_the_voltage_most_behind_its_place() -> None:
    feeder = Feeder(FEEDERS["suburb"])
    none = np.zeros(feeder.n_loads)
    sol = feeder.solve(none, none, fault=Fault("suburb-l21", (0, 1, 2), 0.05))
    low = np.abs(sol.v[0]).min(1) / feeder.spec.nominal_v
    behind = feeder.spec.points_behind("suburb-l21")
    inside = np.array([p.id in behind for p in feeder.spec.points])
    assert low[inside].max() < low[~inside].min()


def test_storms_bring_more_faults() -> None:
    feeder = Feeder(FEEDERS["village"])
    calm, stormy = (
        np.mean([
            len(sag_events.draw_faults(feeder, 240, storms, np.random.default_rng(seed))) for seed in range(60)
        ])
        for storms in ([], [sag_events.Storm(0, 48 * 3600)])
    )  # fmt: skip
    assert stormy > 3 * calm


def test_a_start_takes_the_voltage_down_as_asked() -> None:
    feeder = Feeder(FEEDERS["workshop"])
    for seed in range(20):
        for motor in sag_events.draw_motors(feeder, 48, 0.0, np.random.default_rng(seed)):
            kw, kvar = np.zeros((2, feeder.n_loads)), np.zeros((2, feeder.n_loads))
            kw[1, list(motor.loads)], kvar[1, list(motor.loads)] = sag_events.start_load(motor.kva)
            v = np.abs(feeder.run(kw, kvar).v) / feeder.spec.nominal_v
            assert 0.01 < (v[0] - v[1]).max() < 0.13
            assert (motor.stops > motor.starts).all()


def test_truth_stands_beside_every_row(world: sag_world.SagWorld) -> None:
    samples = sag_set.rows(PLAN)["sag"]
    y = samples.y
    comes = y["sag"] > 0
    assert len(samples) > 500
    assert (y["wait"][comes] <= sag_set.HORIZON_S).all()
    assert (y["wait"][comes] > 0).all()
    assert (y["depth"][comes] > 0.1).all()
    assert (y["seconds"][comes] > 0).all()
    assert np.isnan(y["depth"][~comes]).all()
    assert {1, 3} <= set(np.unique(y["cause"][comes])) <= {1, 2, 3, 4}


def test_the_same_sags_whatever_the_meter_but_not_the_same_readings(world: sag_world.SagWorld) -> None:
    plain = sag_world.build(replace(PLAN, meter="minute"))
    assert np.array_equal(plain.dip, world.dip)
    assert np.array_equal(plain.events.start, world.events.start)
    sags = int((world.dip < 0.9).any(1).sum())
    assert sags > 0
    assert len(world.time) == len(plain.time) + len(world.events.start)
    limit = 0.9 * world.infos[0].nominal_v_ln
    seen = [int((np.fmin.reduce(w.values[:, :, :3], axis=2) < limit).sum()) for w in (world, plain)]
    assert seen[0] > seen[1]


def test_an_undervoltage_ends_only_well_above_the_limit() -> None:
    low = np.array([[1.0], [0.89], [0.91], [0.915], [0.93], [0.88], [0.95]])
    ((first, after),) = sag_set.spells(low)
    assert first.tolist() == [1, 5]
    assert after.tolist() == [4, 6]


def test_average_precision_is_the_area_under_the_steps() -> None:
    truth = np.array([1.0, 0, 1, 0])
    assert average_precision(truth, np.array([4.0, 3, 2, 1])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(truth, np.ones(4)) == pytest.approx(0.5)
    assert INDEX["sag_count"] > 0
