"""Worlds of harmonics: repeatable, of many strengths, never of a test week, and their rows speak of their readings."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from remhart_adt.readings import CHANNEL_INDEX as C
from remhart_adt.scoring.features import INDEX
from training.harmonics_set import harmonic_rows, harmonics, live

PLAN = replace(harmonics(True).learn[0], minutes=60)


def test_the_same_plan_gives_the_same_life_and_another_seed_another_network() -> None:
    one, again, other = live(PLAN), live(PLAN), live(replace(PLAN, seed=PLAN.seed + 1))
    assert np.array_equal(one.values, again.values, equal_nan=True)
    assert one.spec.source.mva_sc3 != other.spec.source.mva_sc3
    assert one.spec.transformer.uk_percent != other.spec.transformer.uk_percent
    assert not np.array_equal(one.found.thd_v, other.found.thd_v)


def test_rows_carry_the_truth_of_their_reading_and_only_some_meters_send_it() -> None:
    life, rows = live(PLAN), harmonic_rows(PLAN)["harmonics"]
    sent = rows.x[:, INDEX["thdv_max"]]
    assert np.array_equal(np.isfinite(sent), rows.y["sends"] > 0)
    assert 0.02 < np.isfinite(sent).mean() < 0.6
    known = np.isfinite(sent)
    # A meter that sends THD is right within its class; another instant's truth would not be.
    assert (np.abs(sent - rows.y["thd"])[known] < 0.055 * rows.y["thd"][known] + 0.03).all()
    share = np.sqrt(np.maximum(sum(rows.x[:, INDEX[f"distortion_square_{x}"]] for x in "abc"), 0))
    assert np.corrcoef(share, rows.y["tdd"])[0, 1] > 0.9
    assert np.isnan(life.values[:, ~life.sends, C["thdv_a"]]).all()


def test_no_test_week_and_no_seed_is_learned_from() -> None:
    for quick in (True, False):
        split = harmonics(quick)
        assert len({plan.seed for plan in split.every}) == len(split.every)
        months = {datetime.fromtimestamp(p.start_us / 1e6, UTC).month for p in split.learn + split.calibrate}
        assert 11 not in months
        assert {datetime.fromtimestamp(p.start_us / 1e6, UTC).month for p in split.test_time} == {11}
        assert {p.feeder for p in split.test_feeder} == {"terrace"}
        assert "terrace" not in {p.feeder for p in split.learn + split.calibrate + split.test_time}


def test_the_distortion_of_the_voltage_is_that_of_low_voltage_networks() -> None:
    """Median 2 to 3 %, 95th percentile 5 to 6 %, within what a few worlds tell."""
    plans = [replace(p, minutes=20, every=5) for p in harmonics(False).learn[::36]]
    thd = np.concatenate([live(plan).found.thd_v.max(2).ravel() for plan in plans])
    assert 1.5 < np.median(thd) < 3.2
    assert 3.5 < np.quantile(thd, 0.95) < 8.0
