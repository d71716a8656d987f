"""The power quality model: it repeats the exact index, says which parts count, and forecasts within its interval."""

from __future__ import annotations

import numpy as np
import pytest
from scoring_streams import C, batch
from test_quality import DAY_AND_A_BIT, INFO, calm, features

from remhart_adt.scoring import Engine, Status, Windows


def test_the_model_repeats_the_index_and_says_which_parts_count() -> None:
    engine = Engine.load()
    cells = calm()
    cells[:, C["v_a"]] = 214.0
    answer = engine.process(Windows([INFO]), batch(["x"], np.zeros(len(cells)), DAY_AND_A_BIT, cells))
    scores = answer.models["power_quality_index"]
    assert len(scores.rows) == 97
    document = scores.document(96)
    expected = features(cells)
    assert document["qualityIndex"] == expected["quality_index"]
    assert document["voltageQuality"] == expected["quality_voltage"]
    assert document["qualityClass"] == "good"
    assert document["violationTime"] == 0
    assert "frequencyQuality" in document
    assert "unbalanceQuality" not in document
    assert "harmonicQuality" not in document
    assert document["forecastLow"] <= document["forecastQualityIndex"] <= document["forecastHigh"]


def test_the_model_abstains_until_three_quarters_of_a_day_are_there() -> None:
    engine = Engine.load()
    answer = engine.process(Windows([INFO]), batch(["x"], np.zeros(len(DAY_AND_A_BIT)), DAY_AND_A_BIT, calm()))
    scores = answer.models["power_quality_index"]
    assert (scores.status[:72] == Status.ABSTAINED).all()
    assert (scores.status[72:] == Status.OK).all()
    assert scores.document(71)["reason"] == "cold start: 71 of 72 quarter hours with voltage"


def test_a_bus_that_was_dead_for_a_day_has_no_index() -> None:
    engine = Engine.load()
    cells = calm()
    cells[:, : C["freq"] + 1] = 0.0
    answer = engine.process(Windows([INFO]), batch(["x"], np.zeros(len(cells)), DAY_AND_A_BIT, cells))
    document = answer.models["power_quality_index"].document(96)
    assert document == {"status": "abstained", "reason": "cold start: 0 of 72 quarter hours with voltage"}


def test_harmonics_lower_index_and_forecast_alike() -> None:
    engine = Engine.load()
    answers = []
    for thd in (np.nan, 6.0, 9.0):
        cells = calm()
        cells[:, C["thdv_a"] : C["thdv_c"] + 1] = thd
        scores = engine.process(Windows([INFO]), batch(["x"], np.zeros(len(cells)), DAY_AND_A_BIT, cells))
        answers.append(scores.models["power_quality_index"].document(96))
    assert answers[1]["harmonicQuality"] == pytest.approx(77.5, abs=1e-3)
    assert answers[2]["qualityClass"] == "poor"
    for key in ("qualityIndex", "forecastQualityIndex"):
        assert answers[0][key] > answers[1][key] > answers[2][key]
