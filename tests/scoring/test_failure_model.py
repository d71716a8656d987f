"""The equipment failure model: exact ageing, a risk that never falls with current, silence where nothing is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, values

from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model

ENTRY = read_manifest(models_dir()).entries["equipment_failure"]
GOLDEN = Path(__file__).parent / "data" / "golden_equipment_failure.npz"
DAY = START_US // (15 * MINUTE_US) * 15 * MINUTE_US + 15 * MINUTE_US * np.arange(97, dtype=np.int64)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(ENTRY, models_dir())


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def document(engine: Engine, info: PointInfo, cells: np.ndarray, times: np.ndarray = DAY) -> dict[str, object]:
    answer = engine.process(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells)).models[ENTRY.id]
    return answer.document(len(answer.rows) - 1)


def day(kind: str, level: float, site: tuple[float, float] = (230.0, 50.0)) -> tuple[PointInfo, np.ndarray]:
    """A day of readings whose current is `level` times that of `values` at 0.4 of the rating."""
    info = PointInfo("x", *site, 100.0, kind=kind)
    cells = values(info, DAY)
    cells[:, C["i_a"] : C["q_c"] + 1] *= level
    cells[:, C["ambient_temp"]] = 25.0
    return info, cells


@pytest.mark.parametrize("kind", ["transformer", "transmission_line"])
@pytest.mark.parametrize("history", [0.3, 2.0])
def test_risk_never_falls_as_current_rises_to_three_times_the_rating(engine: Engine, kind: str, history: float) -> None:
    info, past = day(kind, history)
    windows = Windows([info])
    windows.push(batch(["x"], np.zeros(96), DAY[:96], past[:96]))
    warm = windows.snapshot()
    risks = []
    for k in np.linspace(0, 3, 31):
        windows.restore(warm)
        now = past[96:].copy()
        now[:, C["i_a"] : C["i_c"] + 1] = 100.0 * k
        scores = engine.process(windows, batch(["x"], np.zeros(1), DAY[96:], now)).models[ENTRY.id]
        assert scores.status[-1] == Status.OK
        risks.append(float(scores.outputs["failureRisk"][-1]))
    # The runtime's logistic function is monotone only to one unit in the last place of a float32.
    assert (np.diff(risks) >= -1.2e-7).all()
    assert risks[-1] > risks[0]


@pytest.mark.parametrize("kind", ["transformer", "transmission_line"])
def test_risk_never_falls_when_the_whole_past_was_higher_and_spans_the_scale(engine: Engine, kind: str) -> None:
    risks = [float(document(engine, *day(kind, level))["failureRisk"]) for level in np.linspace(0, 7.5, 26)]
    assert (np.diff(risks) >= -1.2e-7).all()
    assert risks[0] < 0.03
    assert risks[-1] > 0.95


def test_every_load_alone_can_only_raise_the_risk(model: Model) -> None:
    names = list(ENTRY.inputs)
    x = np.load(GOLDEN)["features"]
    before = model.run(x)["failureRisk"]
    loads = [n for n in names if n.startswith(("load_", "i_max", "s_da", "hot_spot_")) and not n.endswith("_age")]
    assert len(loads) >= 12
    for name in (*loads, "oil_rise", "life_day"):
        if name == "s_day_max":
            continue  # beside the same current a higher power means fewer amperes per watt on every other day
        higher = x.copy()
        higher[:, names.index(name)] *= 1.3
        assert (model.run(higher)["failureRisk"] >= before - 1.2e-7).all(), name


@pytest.mark.parametrize("site", [(230.0, 50.0), (127.0, 60.0)])
def test_sites_of_two_continents_age_alike(engine: Engine, site: tuple[float, float]) -> None:
    answer = document(engine, *day("transformer", 2.5, site))
    base = document(engine, *day("transformer", 2.5))
    for name in ("failureRisk", "agingAcceleration", "lossOfLife"):
        assert answer[name] == pytest.approx(base[name], rel=1e-5)


def test_ageing_and_life_are_the_formulas_of_the_hot_spot(engine: Engine) -> None:
    info = PointInfo("x", 230.0, 50.0, 100.0, kind="transformer")
    cells = values(info, DAY)
    cells[:, C["i_a"] : C["i_c"] + 1] = 100.0
    cells[:, C["ambient_temp"]] = 40.0
    answer = document(engine, info, cells)
    faa = math.exp(15000 / 383 - 15000 / (120 + 273))
    assert answer["agingAcceleration"] == pytest.approx(faa, rel=1e-3)
    assert answer["lossOfLife"] == pytest.approx(100 * 24 * faa / 180_000, rel=1e-3)


def test_a_time_is_given_where_an_alarm_is_expected_and_only_there(engine: Engine, model: Model) -> None:
    hot, cool = document(engine, *day("transformer", 7.0)), document(engine, *day("transformer", 1.0))
    assert isinstance(hot["timeToFailure"], int)
    assert 0 <= hot["timeToFailure"] <= 3
    assert "timeToFailure" not in cool
    answer = model.run(np.load(GOLDEN)["features"])
    assert np.array_equal(answer["timeToFailure"] >= 0, answer["failureRisk"] >= 0.5)
    assert (answer["timeToFailure"] >= 0).any()


def test_a_line_and_a_transformer_without_temperature_have_no_ageing(engine: Engine) -> None:
    line = document(engine, *day("transmission_line", 2.0))
    info, cells = day("transformer", 2.0)
    cells[:, C["ambient_temp"]] = np.nan
    bare = document(engine, info, cells)
    for answer in (line, bare):
        assert answer["status"] == "ok"
        assert "agingAcceleration" not in answer
        assert "lossOfLife" not in answer
    assert bare["failureRisk"] == line["failureRisk"]


def test_the_direction_of_power_does_not_matter(engine: Engine) -> None:
    info, cells = day("transmission_line", 2.2)
    forward = document(engine, info, cells)
    cells[:, C["p_a"] : C["q_c"] + 1] *= -1
    assert document(engine, info, cells) == forward


def test_a_dead_line_is_at_little_risk(engine: Engine) -> None:
    info, cells = day("transmission_line", 1.0)
    cells[:, : C["freq"] + 1] = 0.0
    assert float(document(engine, info, cells)["failureRisk"]) < 0.03


def test_it_abstains_with_the_reason(engine: Engine) -> None:
    info, cells = day("transformer", 1.0)
    early = document(engine, info, cells[:60], DAY[:60])
    assert early == {"status": "abstained", "reason": "cold start: 59 of 72 quarter hours with current"}
    gone = cells.copy()
    gone[-1, C["i_b"]] = np.nan
    assert document(engine, info, gone)["reason"] == "missing channel: i_b"
    assert document(engine, PointInfo("x", 230.0, 50.0, None), cells)["reason"] == "no rated current"


def test_hours_of_readings_every_minute_answer_once_a_quarter_hour(engine: Engine) -> None:
    info = PointInfo("x", 230.0, 50.0, 100.0)
    times = minutes(20 * 60)
    scores = engine.process(Windows([info]), batch(["x"], np.zeros(len(times)), times, values(info, times))).models
    assert len(scores[ENTRY.id].rows) in (80, 81)
