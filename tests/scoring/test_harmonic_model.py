"""harmonic_analysis: it says what the meter sends, keeps silent where nothing can be told, and follows physics."""

from __future__ import annotations

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, values

from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.types import ModelScores

INFO = PointInfo("x", 230.0, 50.0, 63.0)
TIMES = minutes(300, START_US - 299 * MINUTE_US)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def distorted(share: float, info: PointInfo = INFO, load: float = 0.5) -> np.ndarray:
    """Five hours of readings whose current carries `share` of its fundamental as harmonics."""
    cells = values(info, TIMES, load)
    cells[:, C["i_a"] : C["i_c"] + 1] *= np.sqrt(1 + share**2)
    return cells


def ask(engine: Engine, cells: np.ndarray, info: PointInfo = INFO, quality: int = 0) -> ModelScores:
    """The answer to the last of the readings."""
    windows, n = Windows([info]), len(cells)
    windows.push(batch([info.point_id], np.zeros(n - 1), TIMES[: n - 1], cells[:-1]))
    last = batch([info.point_id], np.zeros(1), TIMES[n - 1 : n], cells[-1:], np.full(1, quality, np.int8))
    return engine.process(windows, last).models["harmonic_analysis"]


def value(scores: ModelScores, name: str) -> float:
    assert scores.status[-1] == Status.OK, scores.reasons[int(scores.reason[-1])]
    return float(scores.outputs[name][-1])


def why(scores: ModelScores) -> str:
    assert scores.status[-1] == Status.ABSTAINED
    return scores.reasons[int(scores.reason[-1])]


def test_the_distortion_of_the_window_is_averaged_before_any_root(engine: Engine) -> None:
    cells, share = distorted(0.0)[:16], np.linspace(0.1, 0.4, 16)[:, None]
    fundamental = cells[:, C["i_a"] : C["i_c"] + 1].copy()
    cells[:, C["i_a"] : C["i_c"] + 1] *= np.sqrt(1 + share**2)
    cells[3, C["q_b"]] = np.nan
    row = engine.prepare(Windows([INFO]), batch(["x"], np.zeros(16), TIMES[:16], cells)).features[-1]
    square = (cells[:, C["v_a"] : C["v_c"] + 1] * fundamental * share / (230.0 * 63.0)) ** 2
    expected = [square[:, 0].mean(), np.delete(square[:, 1], 3).mean(), square[:, 2].mean()]
    assert [row[INDEX[f"distortion_square_{x}"]] for x in "abc"] == pytest.approx(expected, rel=1e-4)
    current = (cells[:, C["i_a"] : C["i_c"] + 1] ** 2).sum(1).mean() / 63.0**2
    assert row[INDEX["i_square_mean16"]] == pytest.approx(current, rel=1e-5)


@pytest.mark.parametrize(("thd", "level"), [(0.4, 0), (2.99, 0), (3.0, 1), (5.0, 1), (5.01, 2), (14.0, 2)])
def test_a_thd_that_is_sent_is_the_answer(engine: Engine, thd: float, level: int) -> None:
    cells = distorted(0.3)
    cells[-1, [C["thdv_a"], C["thdv_b"], C["thdv_c"]]] = thd / 2, thd, thd / 3
    cells[-1, [C["thdi_a"], C["thdi_b"], C["thdi_c"]]] = 30.0, 20.0, 10.0
    document = ask(engine, cells).document(0)
    assert document["thdEstimate"] == pytest.approx(thd, rel=1e-6)
    assert (document["harmonicLevel"], document["worstPhase"]) == (("low", "medium", "high")[level], "B")
    error = max(0.05 * thd, 0.05)
    assert (document["thdLow"], document["thdHigh"]) == pytest.approx((thd - error, thd + error), rel=1e-5)
    i = cells[-1, C["i_a"] : C["i_c"] + 1] / 63.0
    expected = 100 * (i * np.array([0.3, 0.2, 0.1]) / np.sqrt(1 + np.array([0.3, 0.2, 0.1]) ** 2)).max()
    assert document["tddEstimate"] == pytest.approx(expected, rel=1e-5)


def test_a_meter_that_sends_thd_needs_nothing_else(engine: Engine) -> None:
    info = PointInfo("x", 230.0, 50.0, None, phases="A")
    cells = np.full((3, 25), np.nan)
    cells[:, C["thdv_a"]] = 4.0
    document = ask(engine, cells, info).document(0)
    assert (document["thdEstimate"], document["harmonicLevel"], document["worstPhase"]) == (4.0, "medium", "A")
    assert "tddEstimate" not in document


def test_it_abstains_with_the_reason(engine: Engine) -> None:
    cells = distorted(0.2)
    for name in ("v_b", "i_c", "p_a", "q_a"):
        gone = cells.copy()
        gone[-1, C[name]] = np.nan
        assert why(ask(engine, gone)) == f"missing channel: {name}"
    assert why(ask(engine, cells, PointInfo("x", 230.0, 50.0, None))) == "no rated current"
    assert why(ask(engine, cells, PointInfo("x", 230.0, 50.0, 63.0, phases="A"))) == "needs 3 metered phases"
    assert why(ask(engine, cells, quality=2)) == "quality bad"
    assert why(ask(engine, distorted(0.2, load=0.03))) == "load below 5% of the rating"
    dead = cells.copy()
    dead[-1] = 0.0
    assert why(ask(engine, dead)) == "not energised"


def test_more_distortion_of_the_current_never_means_less(engine: Engine) -> None:
    answers = [ask(engine, distorted(share)) for share in np.linspace(0, 0.8, 17)]
    thd, low, high = (np.array([value(a, f"thd{name}") for a in answers]) for name in ("Estimate", "Low", "High"))
    tdd = np.array([value(a, "tddEstimate") for a in answers])
    assert ((low <= thd) & (thd <= high)).all()
    assert thd[-1] > 1.5 * thd[0]
    assert np.median(np.diff(tdd)) > 1.0
    # The harmonic current itself, within what the meters' class leaves open.
    current = 100 * np.linspace(0, 0.8, 17) * distorted(0.0)[-1, C["i_a"] : C["i_c"] + 1].max() / 63.0
    assert np.abs(tdd - current)[3:].max() < 0.25 * current[-1]


def test_current_with_reversed_power_has_the_same_distortion(engine: Engine) -> None:
    ahead, back = distorted(0.3), distorted(0.3)
    back[:, C["p_a"] : C["q_c"] + 1] *= -1
    assert value(ask(engine, back), "tddEstimate") == pytest.approx(value(ask(engine, ahead), "tddEstimate"), rel=0.3)
