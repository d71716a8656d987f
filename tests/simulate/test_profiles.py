"""Standard load profiles: what the package publishes stands in the table, and is read back between its points."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from remhart_adt.simulate import profiles
from remhart_adt.simulate.profiles import DAYS, profile_level

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

JANUARY, FEBRUARY = 0.5 / 12, 1.5 / 12
WORKING, SATURDAY, HOLIDAY = (np.array([k]) for k in range(3))


def level(kind, season, day, *hours):
    return profile_level(kind, np.array([season]), day, np.array([hours], dtype=float))[0]


def row(profile, month, day):
    with (Path(profiles.__file__).parent / "profiles.csv").open() as file:
        return next([float(v) for v in values] for name, m, d, *values in csv.reader(file)
                    if (name, m, d) == (profile, str(month), day))  # fmt: skip


def test_the_table_is_what_the_package_publishes():
    pytest.importorskip("demandlib")
    from load_profiles import TABLE, table_text

    assert TABLE.read_text() == table_text()


@pytest.mark.parametrize(("kind", "profile"), [("residential", "H25"), ("commercial", "G25")])
@pytest.mark.parametrize("day", DAYS)
def test_in_the_middle_of_a_quarter_hour_and_a_month_the_value_is_the_published_one(kind, profile, day):
    hours = np.arange(96) / 4 + 0.125

    np.testing.assert_allclose(
        level(kind, FEBRUARY, np.array([DAYS.index(day)]), *hours), row(profile, 2, day), rtol=0, atol=1e-12
    )


def test_between_two_middles_the_value_is_half_of_each():
    first, second = row("H25", 1, "working")[40:42]
    assert level("residential", JANUARY, WORKING, 10.25)[0] == pytest.approx((first + second) / 2)

    january, february = row("H25", 1, "working")[40], row("H25", 2, "working")[40]
    assert level("residential", 1 / 12, WORKING, 10.125)[0] == pytest.approx((january + february) / 2)


def test_hours_and_years_go_round():
    midnight = (row("G25", 1, "working")[95] + row("G25", 1, "working")[0]) / 2
    assert level("commercial", JANUARY, WORKING, 0.0, 24.0, -24.0) == pytest.approx([midnight] * 3)

    new_year = (row("G25", 12, "working")[40] + row("G25", 1, "working")[40]) / 2
    for season in (0.0, 1.0, 2.0):
        assert level("commercial", season, WORKING, 10.125)[0] == pytest.approx(new_year)


def test_homes_are_busiest_on_winter_evenings_and_businesses_on_working_days():
    evening, night = level("residential", JANUARY, HOLIDAY, 18.6, 3.0)
    assert evening > 0.95
    assert evening > 2.5 * night
    assert evening > 1.4 * level("residential", JANUARY + 0.5, HOLIDAY, 18.6)[0]
    noon = [level("commercial", JANUARY, day, 12.0)[0] for day in (WORKING, SATURDAY, HOLIDAY)]
    assert noon[0] > 1.7 * noon[1] > 3 * noon[2]


def test_a_class_without_a_profile_and_a_table_with_a_gap_are_named(monkeypatch):
    with pytest.raises(KeyError, match="motor"):
        level("motor", 0.0, WORKING, 1.0)

    monkeypatch.setitem(profiles.PROFILES, "residential", "H0")
    with pytest.raises(ValueError, match="every day of H0"):
        level("residential", 0.0, WORKING, 1.0)
