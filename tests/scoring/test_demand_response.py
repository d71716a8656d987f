"""The demand response model: what it answers, when it is silent, its rule; and the features of the day's shape."""

from __future__ import annotations

import numpy as np
import pytest
from scoring_streams import MINUTE_US, C, batch, minutes, values

from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model

INFO = PointInfo("x", 230.0, 50.0, 63.0)
# A Monday, 0 h UTC.
MONDAY_US = 1_760_313_600_000_000
QUARTER_US = 15 * MINUTE_US
SN = 3 * 230.0 * 63.0


def quarters(days: float) -> np.ndarray:
    return MONDAY_US + QUARTER_US * np.arange(round(96 * days) + 1, dtype=np.int64)


def home(times: np.ndarray, charger: np.ndarray | float = 0.0) -> np.ndarray:
    """A home of some 3 kW with a peak in the evening and, where told, a charger of so many kW on three phases."""
    cells = values(INFO, times)
    hour = (times / 3.6e9) % 24
    level = 900 * (0.5 + np.exp(-(((hour - 19.5) / 2.0) ** 2)))
    power = level + np.asarray(charger) * 1000 / 3
    for x in "abc":
        cells[:, C[f"p_{x}"]] = power
        cells[:, C[f"q_{x}"]] = 0.25 * level
        cells[:, C[f"i_{x}"]] = np.hypot(power, 0.25 * level) / 230
    cells[:, C["v_a"] : C["v_c"] + 1] = 228.0
    return cells


def answer(cells: np.ndarray, times: np.ndarray, info: PointInfo = INFO, quality: np.ndarray | None = None) -> dict:
    got = Engine.load().process(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells, quality))
    scores = got.models["demand_response"]
    return scores.document(len(scores.rows) - 1)


def evenings(times: np.ndarray, kw: float, days: int) -> np.ndarray:
    """A charger from 18.00 to 20.00 on so many days."""
    hour, day = (times / 3.6e9) % 24, (times - MONDAY_US) // (96 * QUARTER_US)
    return np.where((hour >= 18) & (hour < 20) & (day < days), kw, 0.0)


def test_a_charger_that_switches_on_is_seen_in_the_sheddable_power() -> None:
    times = quarters(4 + 18.25 / 24)
    without = answer(home(times, evenings(times, 11.0, 4)), times)
    with_it = answer(home(times, evenings(times, 11.0, 5)), times)
    assert with_it["sheddablePower"] - without["sheddablePower"] > 5000
    assert with_it["sheddableHigh"] > 9000 > with_it["sheddablePower"]
    assert without["sheddableHigh"] < 1500
    assert with_it["responseRecommendation"] == "shed"
    assert without["responseRecommendation"] != "shed"


def test_silent_when_it_cannot_know() -> None:
    times = quarters(1)
    cells = home(times)
    assert answer(cells, times)["status"] == "ok"
    reason = answer(cells[:50], times[:50])
    assert (reason["status"], reason["reason"]) == ("abstained", "cold start: 49 of 92 quarter hours")
    assert answer(cells, times, PointInfo("x", 230.0, 50.0, None))["reason"] == "no rated current"
    assert answer(cells, times, PointInfo("x", 230.0, 50.0, 63.0, phases="A"))["reason"] == "needs 3 metered phases"
    bad = np.zeros(len(times), np.int8)
    bad[-1] = 2
    assert answer(cells, times, quality=bad)["reason"] == "quality bad"
    for change, reason in (
        (lambda now: now.__setitem__(C["p_b"], np.nan), "missing channel: p_b"),
        (lambda now: now.__setitem__(slice(C["p_a"], C["p_c"] + 1), -500.0), "feeding back"),
        (lambda now: now.__setitem__(slice(C["v_a"], C["v_c"] + 1), 0.0), "not energised"),
    ):
        other = cells.copy()
        change(other[-1])
        assert answer(other, times)["reason"] == reason


def test_one_phase_that_feeds_back_does_not_silence_it() -> None:
    times = quarters(1)
    cells = home(times)
    cells[-1, C["p_a"]] = -200.0
    got = answer(cells, times)
    assert got["status"] == "ok"
    assert 0 <= got["sheddableLow"] <= got["sheddablePower"] <= got["sheddableHigh"]
    assert got["sheddableHigh"] <= cells[-1, C["p_a"] : C["p_c"] + 1].sum() * (1 + 1e-5)


def test_a_bus_without_load_has_nothing_to_shed_and_no_pattern() -> None:
    times = quarters(1)
    cells = home(times)
    for block in "ipq":
        cells[:, C[f"{block}_a"] : C[f"{block}_c"] + 1] = 0.0
    got = answer(cells, times)
    assert got["status"] == "ok"
    assert "demandCluster" not in got
    assert got["responseRecommendation"] == "none"
    assert got["sheddablePower"] == got["sheddableHigh"] == 0.0


def test_answers_are_in_order_within_the_power_and_follow_the_rule() -> None:
    entry = read_manifest(models_dir()).entries["demand_response"]
    names = list(entry.inputs)
    x = np.load(__file__.replace("test_demand_response.py", "data/mini_demand_response.npz"))["features"]
    got = Model(entry, models_dir()).run(x)
    base, p, mean, top = (
        x[:, names.index(n)].astype(float) for n in ("base_power", "p_total", "p_day_mean", "p_day_max")
    )
    low, middle, high = (got[n] / base for n in ("sheddableLow", "sheddablePower", "sheddableHigh"))
    assert (low >= 0).all()
    assert ((low <= middle) & (middle <= high)).all()
    assert (high <= p * (1 + 1e-5)).all()
    assert (middle > 0.01).mean() > 0.1
    worth = (middle >= 0.1 * p) & (middle >= 0.01)
    full = (p >= mean + 0.7 * (top - mean)) | (p >= 0.9)
    rule = np.where(worth & full, 2, np.where(worth & (p > mean), 1, 0))
    # A value on an edge may fall to either side in single precision.
    assert (rule == got["responseRecommendation"]).mean() > 0.998
    assert set(np.unique(rule)) == {0, 1, 2}
    assert len(np.unique(got["demandCluster"])) >= 3


def test_the_shape_of_day_and_week() -> None:
    times = quarters(8)
    hour, day = (times / 3.6e9) % 24, (times - MONDAY_US) // (96 * QUARTER_US)
    cells = home(times)
    kw = np.select([hour < 6, (hour >= 9) & (hour < 16), (hour >= 17) & (hour < 22)], [1.0, 4.0, 6.0], 2.0)
    kw = np.where(day % 7 >= 5, 2 * kw, kw)
    for x, part in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        cells[:, C[f"p_{x}"]] = 1000 * part * kw
    got = Engine([]).prepare(Windows([INFO]), batch(["x"], np.zeros(len(times)), times, cells)).features[-1]
    found = {n: float(got[INDEX[n]]) for n in INDEX}
    for name, power in (("p_night", 1.0), ("p_office", 4.0), ("p_evening", 6.0), ("p_same_low", 1.0)):
        assert found[name] == pytest.approx(1000 * power / SN, rel=1e-5), name
    assert found["weekend_ratio"] == pytest.approx(2.0, rel=1e-5)
    assert found["p_lag1_a"] == pytest.approx(0.5 * 2000 / (SN / 3), rel=1e-5)
    assert found["p_low_b"] == pytest.approx(0.3 * 1000 / (SN / 3), rel=1e-5)
    assert found["p_rise_c"] == pytest.approx(0.2 * 4000 / (SN / 3), rel=1e-5)
    # Up from 1 to 2, 4, 2, 6 and 2 in one day.
    assert found["p_ramp"] == pytest.approx((1 + 2 + 2 + 4 + 4) * 1000 / SN / 95, rel=1e-5)


def test_the_parts_of_the_day_go_by_local_time() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0, utc_offset_min=-300)
    times = quarters(2)
    cells = home(times)
    night = ((times / 3.6e9 - 5) % 24) < 6
    for x in "abc":
        cells[:, C[f"p_{x}"]] = np.where(night, 3000.0, 1000.0)
    got = Engine([]).prepare(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells)).features[-1]
    assert got[INDEX["p_night"]] == pytest.approx(9000 / SN, rel=1e-5)
    assert got[INDEX["p_office"]] == pytest.approx(3000 / SN, rel=1e-5)
    assert np.isnan(got[INDEX["weekend_ratio"]])


def test_each_quarter_hour_is_answered_once() -> None:
    times = minutes(60, MONDAY_US)
    got = Engine.load().process(Windows([INFO]), batch(["x"], np.zeros(60), times, home(times)))
    scores = got.models["demand_response"]
    assert len(scores.rows) == 4
    assert (scores.status == Status.ABSTAINED).all()
