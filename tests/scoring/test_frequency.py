"""Frequency: lags on true time for meters of any rate, when its model abstains, and what its answers must obey."""

from __future__ import annotations

import numpy as np
import pytest
from scoring_streams import START_US, C, batch

from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.features import INDEX, LAGS_F
from remhart_adt.scoring.types import ModelScores

NAME = "frequency_stability"
SITE = PointInfo("x", 230.0, 50.0)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def seconds(last: float, every: float) -> np.ndarray:
    """Times of readings, s, the last one at 0."""
    return np.arange(-last, every / 2, every)


def cells(hertz: np.ndarray) -> np.ndarray:
    out = np.full((len(hertz), len(C)), np.nan)
    out[:, C["freq"]] = hertz
    return out


def features(at: np.ndarray, hertz: np.ndarray, info: PointInfo = SITE) -> dict[str, float]:
    times = START_US + np.rint(at * 1e6).astype(np.int64)
    prepared = Engine([]).prepare(Windows([info]), batch(["x"], np.zeros(len(at)), times, cells(hertz)))
    return {name: float(prepared.features[-1, k]) for name, k in INDEX.items()}


def answer(
    engine: Engine, at: np.ndarray, deviation: np.ndarray, info: PointInfo = SITE, quality: int = 0
) -> ModelScores:
    """Deviations are in p.u. of nominal."""
    times = START_US + np.rint(at * 1e6).astype(np.int64)
    flags = np.full(len(at), quality, np.int8)
    sent = batch(["x"], np.zeros(len(at)), times, cells(info.hz * (1 + deviation)), flags)
    return engine.process(Windows([info]), sent).models[NAME]


def why(scores: ModelScores) -> str:
    return scores.reasons[int(scores.reason[-1])]


def noise(n: int, seed: int = 1, size: float = 5e-5) -> np.ndarray:
    """A random walk that ends at zero, p.u.: `size` in a step."""
    walk = np.cumsum(np.random.default_rng(seed).normal(0, size, n))
    return walk - walk[-1]


# --- features ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.5, 1.0, 2.0, 3.0, 5.0])
def test_lags_lie_on_true_time_whatever_the_meters_rate(every: float) -> None:
    at = seconds(60, every)
    got = features(at, 50 + 0.01 * at)
    for lag in LAGS_F:
        expected = -0.01 * lag / 50 if lag <= 31 * every else float("nan")
        assert got[f"f_lag{lag}"] == pytest.approx(expected, abs=2e-7, nan_ok=True), lag
    assert got["f_spacing_s"] == pytest.approx(every)
    assert got["f_rate"] == pytest.approx(0.01 * np.sqrt(every) / 50, rel=1e-2)
    assert got["f_noise"] < 2e-7


def test_lags_are_the_line_between_uneven_readings_and_lost_ones_are_skipped() -> None:
    rng = np.random.default_rng(4)
    at = np.sort(np.r_[-rng.uniform(0.1, 25, 24), 0.0])
    hertz = 50 + rng.normal(0, 0.05, 25)
    hertz[rng.choice(24, 5, replace=False)] = np.nan
    good = np.isfinite(hertz)
    got = features(at, hertz)
    for lag in LAGS_F:
        expected = np.interp(-lag, at[good], hertz[good]) - hertz[-1]
        assert got[f"f_lag{lag}"] * 50 == pytest.approx(expected, abs=2e-5), lag
    step = np.diff(hertz[good]) / np.sqrt(np.diff(at[good]))
    assert got["f_rate"] * 50 == pytest.approx(np.sqrt((step**2).mean()), rel=1e-3)
    assert got["f_spacing_s"] == pytest.approx(-at[good][0] / (good.sum() - 1), rel=1e-5)


def test_nothing_is_made_up_across_a_long_gap_nor_without_a_frequency_now() -> None:
    got = features(np.array([-14.0, -13.0, -1.0, 0.0]), np.full(4, 50.0))
    assert [lag for lag in LAGS_F if got[f"f_lag{lag}"] == got[f"f_lag{lag}"]] == [1]
    got = features(seconds(30, 1.0), np.r_[np.full(30, 50.0), np.nan])
    assert all(got[f"f_lag{lag}"] != got[f"f_lag{lag}"] for lag in LAGS_F)
    assert got["f_rate"] != got["f_rate"]


def test_noise_is_that_of_the_middle_reading_of_three() -> None:
    hertz = np.full(31, 50.0)
    hertz[15] = 50.1
    # The middle one is off by 0.1, and each of its neighbours by half of that.
    assert features(seconds(30, 1.0), hertz)["f_noise"] * 50 == pytest.approx(np.sqrt(0.015 / 29), rel=1e-3)


# --- when it abstains -------------------------------------------------------------------------------------------------


def test_it_says_why_it_abstains(engine: Engine) -> None:
    at = seconds(60, 1.0)
    gone = np.zeros(61)
    gone[-1] = np.nan
    assert why(answer(engine, at, gone)) == "missing channel: freq"
    assert why(answer(engine, at, np.zeros(61), quality=2)) == "quality bad"
    assert why(answer(engine, at[-3:], np.zeros(3))) == "cold start: 3 of 4 readings"
    assert why(answer(engine, at[-9:], np.zeros(9))) == "less than 10 s of frequency"
    assert why(answer(engine, seconds(120, 10.0), np.zeros(13))) == "frequency less often than every 6 s"
    assert why(answer(engine, seconds(600, 60.0), np.zeros(11))) == "frequency less often than every 6 s"
    assert answer(engine, at[-11:], np.zeros(11)).status[-1] == Status.OK
    assert answer(engine, seconds(60, 5.0), np.zeros(13)).status[-1] == Status.OK


def test_a_five_second_meter_may_lose_one_reading(engine: Engine) -> None:
    at = np.delete(seconds(60, 5.0), -2)
    assert answer(engine, at, noise(len(at))).status[-1] == Status.OK


# --- what answers obey ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.5, 1.0, 2.0, 5.0])
def test_fifty_and_sixty_hertz_twins_get_the_same_per_unit_answer(engine: Engine, every: float) -> None:
    at = seconds(60, every)
    deviation = 1e-3 + noise(len(at))
    a = answer(engine, at, deviation).document(len(at) - 1)
    b = answer(engine, at, deviation, PointInfo("x", 127.0, 60.0, 20.0)).document(len(at) - 1)
    assert a["status"] == b["status"] == "ok"
    for name in ("predictedFrequency", "frequencyLow", "frequencyHigh"):
        assert a[name] / 50 == pytest.approx(b[name] / 60, abs=2e-6)
    assert a["bandExitProbability"] == pytest.approx(b["bandExitProbability"], abs=2e-3)
    assert a["stabilityScore"] == pytest.approx(b["stabilityScore"], abs=0.2)


@pytest.mark.parametrize("size", [0.0, 1e-5, 1e-4, 1e-3, 0.02])
def test_answers_are_in_order_and_in_range_from_standstill_to_collapse(engine: Engine, size: float) -> None:
    at = seconds(60, 1.0)
    for seed in range(5):
        got = answer(engine, at, noise(61, seed, size)).outputs
        low, middle, high = (got[n][-1] for n in ("frequencyLow", "predictedFrequency", "frequencyHigh"))
        assert 0 <= low <= middle <= high
        assert high - low > 0.001
        assert 0 <= got["bandExitProbability"][-1] <= 1
        assert 0 <= got["stabilityScore"][-1] <= 100


@pytest.mark.parametrize("side", [-1, 1])
def test_risk_never_falls_and_the_score_never_rises_by_much_as_the_deviation_grows(engine: Engine, side: int) -> None:
    at, shape = seconds(60, 1.0), noise(61)
    got = [answer(engine, at, side * level + shape).outputs for level in np.linspace(2e-4, 6e-3, 30)]
    risk = np.array([g["bandExitProbability"][-1] for g in got])
    score = np.array([g["stabilityScore"][-1] for g in got])
    assert (np.diff(risk) >= -1.2e-7).all()
    assert risk[0] < 0.1
    assert risk[-1] > 0.8
    # Not constrained: a tree may step by a little, never by what matters.
    assert (np.diff(score) < 3).all()
    assert score[0] > 75
    assert score[-1] == 0


def test_the_score_is_never_better_than_the_deviation_now(engine: Engine) -> None:
    at = seconds(60, 1.0)
    for level in np.linspace(-5e-3, 5e-3, 21):
        got = answer(engine, at, level + noise(61)).outputs["stabilityScore"][-1]
        assert got <= 100 * max(0.0, 1 - abs(level) / 0.004) + 0.05


def unit_lost(share: float, every: float = 0.01, inertia: float = 5.0, droop: float = 0.08) -> np.ndarray:
    """Deviation, p.u., by the swing equation with one governor of 3 s, every 10 ms for 20 s after the loss."""
    w = governor = 0.0
    out = np.zeros(2001)
    for k in range(1, len(out)):
        governor += every / 3.0 * (-w / droop - governor)
        w += every * (governor - share - 1.5 * w) / (2 * inertia)
        out[k] = w
    return out


@pytest.mark.parametrize("every", [0.5, 1.0])
@pytest.mark.parametrize("share", [0.015, -0.015])
def test_after_the_loss_of_a_unit_or_a_load_it_foresees_more_than_the_last_reading(
    engine: Engine, every: float, share: float
) -> None:
    at = seconds(40, every)
    quiet, lost = noise(len(at), 2, 4e-5 * np.sqrt(every)), unit_lost(share)
    model, last = [], []
    before = answer(engine, at, quiet).outputs
    for since in (1.0, 1.5, 2.0, 3.0, 4.0):
        follows = lost[np.rint(np.maximum(at + since, 0) * 100).astype(int)]
        after = answer(engine, at, quiet + follows).outputs
        truth = 50 * (1 + lost[round((since + 5) * 100)])
        model.append(abs(after["predictedFrequency"][-1] - truth))
        last.append(abs(50 * (1 + follows[-1]) - truth))
        assert after["bandExitProbability"][-1] > before["bandExitProbability"][-1]
        assert after["stabilityScore"][-1] < before["stabilityScore"][-1] - 10
    assert np.mean(model) < 0.8 * np.mean(last)


def test_the_same_bits_for_any_cut(engine: Engine) -> None:
    at = np.delete(seconds(80, 1.0), [20, 21, 50])
    deviation = noise(len(at))
    deviation[::9] = np.nan
    whole = answer(engine, at, deviation)
    times = START_US + np.rint(at * 1e6).astype(np.int64)
    windows, parts = Windows([SITE]), []
    for rows in np.array_split(np.arange(len(at)), 11):
        sent = batch(["x"], np.zeros(len(rows)), times[rows], cells(50 * (1 + deviation[rows])))
        parts.append(engine.process(windows, sent).models[NAME])
    for name, column in whole.outputs.items():
        assert np.array_equal(np.concatenate([p.outputs[name] for p in parts]), column, equal_nan=True), name
