"""Thermal stress of the last day: ageing and life used against IEEE C57.91 written out step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, batch, values

from remhart_adt.scoring import Engine, PointInfo, Windows
from remhart_adt.scoring import stress as thermal
from remhart_adt.scoring.features import INDEX

HEAT = thermal.Heat(*(np.array([v]) for v in (55.0, 6.0, 0.8, 180.0, 25.0, 0.8)))
QUARTERS = START_US // (15 * MINUTE_US) * 15 * MINUTE_US + 15 * MINUTE_US * np.arange(105, dtype=np.int64)


def last(info: PointInfo, cells: np.ndarray) -> dict[str, float]:
    times = QUARTERS[: len(cells)]
    prepared = Engine([]).prepare(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells))
    return {name: float(prepared.features[-1, k]) for name, k in INDEX.items()}


def steady(k: float, ambient: float = 30.0, n: int = 105) -> tuple[PointInfo, np.ndarray]:
    info = PointInfo("x", 230.0, 50.0, 100.0, kind="transformer")
    cells = values(info, QUARTERS[:n])
    cells[:, C["i_a"] : C["i_c"] + 1] = 100.0 * k
    cells[:, C["ambient_temp"]] = ambient
    return info, cells


@pytest.mark.parametrize(("spot", "faa"), [(110.0, 1.0), (120.0, 2.71), (98.0, 0.28), (130.0, 6.98), (60.0, 0.0028)])
def test_ageing_is_that_of_the_table_in_the_standard(spot: float, faa: float) -> None:
    assert thermal.aging(np.array([spot]))[0] == pytest.approx(faa, rel=0.01)
    assert thermal.aging(np.array([spot]))[0] == pytest.approx(math.exp(15000 / 383 - 15000 / (spot + 273)))


def test_at_rated_load_in_thirty_degrees_a_day_takes_a_day_of_life() -> None:
    found = last(*steady(1.0))
    assert found["hot_spot_day_max"] == pytest.approx(110.0, abs=0.01)
    assert found["life_day"] == pytest.approx(24 / 180_000 * 100, rel=1e-3)
    assert found["load_hour_day_max"] == pytest.approx(1.0, abs=1e-5)


def rises(square: np.ndarray, heat: thermal.Heat = HEAT) -> np.ndarray:
    return thermal.oil_rises(thermal.ultimate_rises(square, heat), heat)


def test_oil_follows_its_equation_quarter_hour_by_quarter_hour() -> None:
    rng = np.random.default_rng(1)
    day = rng.uniform(0.1, 1.7, 96)
    square = np.r_[day, day[:8]][None, ::-1] ** 2
    rise = 0.0
    # A day that repeats for ever: the start does not matter after ten of them.
    for k in [*np.tile(day, 10), *day[:8]]:
        ultimate = 55.0 * ((k * k * 6.0 + 1) / 7.0) ** 0.8
        rise = ultimate + (rise - ultimate) * math.exp(-15 / 180)
    assert rises(square)[0, 0] == pytest.approx(rise, rel=1e-6)


@pytest.mark.parametrize("oil_minutes", [1.0, 180.0, 5000.0])
def test_oil_of_any_time_constant_settles_where_it_must(oil_minutes: float) -> None:
    heat = HEAT._replace(oil_minutes=np.array([oil_minutes]))
    assert rises(np.ones((1, 104)), heat)[0] == pytest.approx(np.full(104, 55.0), rel=1e-9)


def test_a_measured_oil_rules_and_a_broken_gauge_does_not() -> None:
    info, cells = steady(0.5)
    model = last(info, cells)["hot_spot_day_max"]
    cells[:, C["oil_temp"]] = 90.0
    assert last(info, cells)["hot_spot_day_max"] == pytest.approx(90.0 + 25.0 * 0.5**1.6, abs=0.01)
    cells[:, C["oil_temp"]] = 245.0
    assert last(info, cells)["hot_spot_day_max"] == pytest.approx(model)


def test_an_hour_of_overload_is_found_with_its_age() -> None:
    info, cells = steady(0.5)
    cells[60:64, C["i_a"]] = 130.0
    found = last(info, cells)
    assert found["load_hour_day_max"] == pytest.approx(1.3, abs=1e-5)
    assert found["load_hour_day_age"] == (103 - 63) / 4
    assert found["hot_spot_day_age"] == (103 - 63) / 4
    cells[62:64, C["i_a"]] = 50.0
    assert last(info, cells)["load_hour_day_max"] == pytest.approx(math.sqrt((1.3**2 + 0.5**2) / 2), abs=1e-5)


def test_without_ambient_or_oil_there_is_no_hot_spot_and_no_life() -> None:
    info, cells = steady(1.2)
    cells[:, C["ambient_temp"]] = np.nan
    found = last(info, cells)
    assert math.isnan(found["hot_spot_day_max"])
    assert math.isnan(found["life_day"])
    assert found["load_hour_day_max"] == pytest.approx(1.2, abs=1e-5)


def test_an_ambient_is_good_for_two_hours_and_no_longer() -> None:
    info, cells = steady(1.0)
    cells[np.arange(105) % 8 > 0, C["ambient_temp"]] = np.nan
    assert last(info, cells)["life_day"] == pytest.approx(24 / 180_000 * 100, rel=1e-3)
    column = np.full((1, 20), np.nan)
    column[0, 19] = 30.0
    load = np.ones((1, 20))
    spots = thermal.hot_spots(load, rises(load), np.full((1, 20), np.nan), column, HEAT)
    assert np.isfinite(spots[0]).tolist() == [False] * 12 + [True] * 8


def test_an_hour_counts_with_three_of_its_quarter_hours() -> None:
    square = np.array([[4.0, 4.0, np.nan, 4.0, np.nan, 1.0, 1.0, 1.0]])
    assert np.array_equal(thermal.hourly(square)[0], [4.0, np.nan, np.nan, 2.0, 1.0], equal_nan=True)


def test_a_quarter_of_a_day_missing_is_too_much_for_a_days_life() -> None:
    for gone, known in ((24, True), (25, False)):
        info, cells = steady(1.0)
        cells[40 : 40 + gone, C["i_a"] : C["i_c"] + 1] = np.nan
        found = last(info, cells)
        assert found["slots_current"] == 96 - gone
        assert math.isfinite(found["life_day"]) == known


def test_the_future_is_not_seen() -> None:
    """The running quarter hour is not closed: its own reading does not enter the last day."""
    info, cells = steady(0.5)
    before = last(info, cells)
    cells[-1, C["i_a"]] = 500.0
    after = last(info, cells)
    for name in ("hot_spot_day_max", "life_day", "load_hour_day_max", "s_day_max", "s_days_max", "s_day_week_ago"):
        assert before[name] == after[name] or math.isnan(before[name])


def test_peaks_of_the_days_before_are_told_apart() -> None:
    info = PointInfo("x", 230.0, 50.0, 100.0)
    n = 7 * 96 + 1
    times = QUARTERS[0] + 15 * MINUTE_US * np.arange(n, dtype=np.int64)
    cells = values(info, times)
    cells[:, C["p_a"] : C["q_c"] + 1] = 0.0
    for day in range(7):
        # Day 0 is the one a week before the coming day, day 6 the last one.
        cells[day * 96 + 40 : day * 96 + 48, C["p_a"] : C["p_c"] + 1] = 2300.0 * (day + 1)
    prepared = Engine([]).prepare(Windows([info]), batch(["x"], np.zeros(n), times, cells))
    found = {name: float(prepared.features[-1, k]) for name, k in INDEX.items()}
    assert found["s_day_max"] == pytest.approx(0.7, abs=1e-5)
    assert found["s_days_max"] == pytest.approx(0.6, abs=1e-5)
    assert found["s_days_mean"] == pytest.approx(0.35, abs=1e-5)
    assert found["s_day_week_ago"] == pytest.approx(0.1, abs=1e-5)
