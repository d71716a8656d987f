"""The rows the frequency model learns from: truth is the noise-free future of the same interconnection."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("dss", reason="the simulate extra is not installed")
pytest.importorskip("xgboost", reason="the train extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from remhart_adt.scoring.features import INDEX
from remhart_adt.simulate.frequency import Frequency, Grid
from training import frequency_set as made
from training.samples import Samples

PLAN = made.FrequencyPlan("workshop", 7, 1, 400)


@pytest.fixture(scope="module")
def rows() -> Samples:
    with np.errstate(all="ignore"):
        return made.frequency_rows(PLAN)


def test_truth_lies_ahead_and_is_free_of_noise(rows: Samples) -> None:
    rng = np.random.default_rng([PLAN.seed, 42])
    truth = Frequency(PLAN.hz, rng.spawn(1)[0], grid=PLAN.grid()).block(2 * 3660 + 1, 0.5) / PLAN.hz - 1
    order = np.argsort(truth[:7200])
    t = order[np.searchsorted(truth[:7200], rows.y["now"], sorter=order)]
    assert np.array_equal(truth[t], rows.y["now"])
    assert np.array_equal(truth[t + 10], rows.y["ahead"])
    for k in range(len(t)):
        assert rows.y["farthest"][k] == np.abs(truth[t[k] : t[k] + 61]).max()
        assert rows.y["leaves"][k] == (np.abs(truth[t[k] + 1 : t[k] + 121]).max() > 0.003)
    assert 0 < rows.y["leaves"].mean() < 0.9
    assert rows.y["leaves"].mean() > (np.abs(rows.y["now"]) > 0.003).mean()


def test_readings_are_the_truth_but_for_the_meters_errors(rows: Samples) -> None:
    error = PLAN.hz * np.abs(rows.x[:, INDEX["f_deviation"]] - rows.y["now"])
    coarse = rows.y["meter"] == 2
    assert error.max() < 0.016
    assert error[coarse].mean() > 2 * error[~coarse].mean()
    spacing = [np.median(rows.x[rows.y["meter"] == m, INDEX["f_spacing_s"]]) for m in range(7)]
    assert np.allclose(spacing, [0.5, 1, 1, 1, 2, 3, 5], rtol=0.1)


def test_inertia_and_droop_do_what_they_must() -> None:
    def worst(grid: Grid) -> tuple[float, float]:
        """Fastest change in a second, and farthest deviation."""
        hertz = Frequency(50.0, np.random.default_rng(3), grid=grid).block(7200, 1.0)
        return float(np.abs(np.diff(hertz)).max()), float(np.abs(hertz - 50).max())

    trips = {"trips_per_day": 60.0, "trip": (0.03, 0.03)}
    base, light = worst(Grid(**trips)), worst(Grid(inertia=2.5, **trips))
    stiff = worst(Grid(droop=0.04, **trips))
    assert light[0] > 1.5 * base[0]
    assert stiff[1] < 0.8 * base[1]


def test_the_default_grid_is_the_one_that_worlds_were_always_made_with() -> None:
    plain = Frequency(50.0, np.random.default_rng(3)).block(3, 1.0)
    assert plain == pytest.approx([49.98861731, 49.98810696, 49.98585562], abs=1e-8)
