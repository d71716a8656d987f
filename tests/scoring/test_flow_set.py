"""Worlds in which every tap and step is solved, and what an advice is worth by them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from remhart_adt.scoring.feeder import FEEDER_FEATURES
from training.flow_set import STEPS, TAPS, flow, flow_rows
from training.flow_table import LOWEST, Table, greedy
from training.samples import Samples


@pytest.fixture(scope="module")
def samples() -> Samples:
    return flow_rows(replace(flow(True).learn[0], days=1.0))["flow"]


@pytest.fixture(scope="module")
def table(samples: Samples) -> Table:
    return Table.of(samples)


def test_a_higher_tap_raises_every_voltage_and_a_step_too(table: Table) -> None:
    low = table.low.reshape(-1, len(TAPS), len(STEPS))[:, :, :5]
    assert len(low) > 30
    assert (np.diff(low, axis=1) > 0.015).all()
    assert (np.diff(low, axis=2) > 0).all()
    # suburb has four steps: there is no fifth.
    assert np.isnan(table.loss[:, table.steps == 5]).all()
    assert (table.loss[:, table.steps < 5] > 0).all()


def test_features_say_how_the_feeder_is_set(samples: Samples) -> None:
    at = {name: i for i, name in enumerate(FEEDER_FEATURES)}
    assert (samples.x[:, at["tap_position"]] == samples.y["tap"]).all()
    assert (samples.x[:, at["steps_on"]] == samples.y["steps"]).all()
    assert len(np.unique(samples.y["tap"])) == 5
    assert (samples.x[:, at["tap_down"]] + samples.x[:, at["tap_up"]] == 4).all()
    assert (samples.x[:, at["v_lowest"]] <= samples.x[:, at["v_head"]]).all()


def test_voltages_now_agree_with_those_of_the_present_setting(samples: Samples, table: Table) -> None:
    at = {name: i for i, name in enumerate(FEEDER_FEATURES)}
    difference = table.at(table.low, table.now) - samples.x[:, at["v_lowest"]]
    assert np.abs(np.median(difference)) < 0.004
    assert np.abs(difference).max() < 0.06


def test_regret_is_zero_at_the_best_and_a_broken_limit_is_as_bad_as_the_worst(table: Table) -> None:
    possible = table.possible
    assert np.abs(table.regret(table.best)[possible]).max() == 0
    assert (table.regret(table.now)[possible] >= 0).all()
    worst = table.excess.copy()
    worst[~np.isfinite(worst)] = -1
    broken = worst.argmax(1)
    hit = possible & (table.at(table.excess, broken) > 0)
    inside = np.where(table.excess == 0, table.loss, -np.inf)
    assert hit.sum() > 3
    expected = 100 * (inside.max(1) - table.at(table.loss, table.best)) / table.at(table.loss, table.now)
    assert table.regret(broken)[hit] == pytest.approx(expected[hit])
    assert np.isnan(table.regret(table.now)[~possible]).all()


def test_advice_finds_its_column(table: Table) -> None:
    assert (table.place(table.tap[table.best], table.steps[table.best]) == table.best).all()
    absent = np.full(len(table.now), -100)
    assert (table.place(absent, np.full(len(table.now), -1)) == table.now).all()


def test_the_rule_of_thumb_beats_doing_nothing(samples: Samples, table: Table) -> None:
    rule = greedy(samples, table)
    rows = table.possible
    assert table.regret(rule)[rows].mean() < 0.5 * table.regret(table.now)[rows].mean()
    assert (table.at(table.low, rule)[rows & table.fine] > LOWEST - 0.01).all()
