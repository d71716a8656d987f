"""The truth that equipment failure is learned from and judged by: hours to the next alarm, the last day, precision.

Needs the train extra; without it these tests are skipped and say so.
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

from remhart_adt.scoring import stress
from remhart_adt.scoring.features import INDEX
from training import stress_set
from training.recipes.equipment_failure import pr_auc
from training.world import WorldPlan, build


def test_hours_count_from_the_next_minute_and_end_after_a_day() -> None:
    over = np.zeros((4000, 1), bool)
    over[2000] = True
    hours = stress_set._hours_until(over)[:, 0]
    assert hours[1999] == 1 / 60
    assert np.isnan(hours[2000])
    assert hours[2000 - 1440] == 24
    assert np.isnan(hours[2000 - 1441])
    past = stress_set._past(over)[:, 0]
    assert np.flatnonzero(past).tolist() == list(range(2000, 2000 + 1440))


def test_means_look_back_only() -> None:
    series = np.arange(10.0)[:, None]
    assert np.array_equal(stress_set._mean_before(series, 3)[:, 0], [0, 0.5, *np.arange(1.0, 9.0)])


def test_truth_and_features_speak_of_the_same_days() -> None:
    """What the meter's features say of the last day is what the noise-free minutes say; the alarm lies after it."""
    plan = WorldPlan("village", 5, 1_752_451_200_000_000, 3.0, every=5)
    world = build(plan)
    rows = stress_set._rows(world, 1 / 12, 5, 0)
    assert len(rows) > 100
    hot = rows.y["transformer"] > 0
    life, true = rows.x[hot, INDEX["life_day"]], rows.y["life"][hot]
    assert np.nanmedian(np.abs(life / true - 1)) < 0.15
    assert (rows.x[:, INDEX["slots_current"]] >= stress.LEAST).all()
    again = stress_set._rows(world, 1 / 12, 5, 0)
    assert np.array_equal(rows.x, again.x, equal_nan=True)
    spot = np.fmax(rows.x[hot, INDEX["hot_spot_day_max"]], rows.x[hot, INDEX["hot_spot_now"]])
    before = rows.y["past"][hot] > 0
    assert np.mean((spot > stress_set.HOT_ALARM) == before) > 0.9
    assert np.array_equal(np.isfinite(rows.y["hours"]), rows.y["alarm"] > 0)


def test_precision_of_a_ranking() -> None:
    truth = np.array([1.0, 0.0, 1.0, 0.0])
    assert pr_auc(truth, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # Rows that cannot be told apart count together, in whatever order they come.
    assert pr_auc(truth, np.ones(4)) == pytest.approx(0.5)
    assert pr_auc(truth[::-1].copy(), np.ones(4)) == pytest.approx(0.5)
