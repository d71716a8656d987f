"""The feature table and its values: per-unit, missing channels, irregular sampling, thermal state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scoring_streams import START_US, C, batch, minutes, stream, values

from remhart_adt.scoring import features, feeder
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.features import FEATURES, INDEX
from remhart_adt.scoring.types import PointInfo
from remhart_adt.scoring.windows import Windows

ROOT = Path(__file__).resolve().parents[2]


def last(infos: list[PointInfo], times: np.ndarray, load: float = 0.4) -> np.ndarray:
    got = Engine([]).prepare(Windows(infos), stream(infos, times, load))
    return got.features[-len(infos) :]


def row(info: PointInfo, cells: np.ndarray, times: np.ndarray | None = None) -> dict[str, float]:
    times = minutes(len(cells)) if times is None else times
    got = Engine([]).prepare(Windows([info]), batch([info.point_id], np.zeros(len(cells)), times, cells))
    return {f.name: float(x) for f, x in zip(FEATURES, got.features[-1], strict=True)}


def test_at_least_eighty_features_with_unique_names_formula_and_unit() -> None:
    assert len(FEATURES) >= 80
    assert len({f.name for f in FEATURES}) == len(FEATURES)
    assert all(f.formula and f.unit and f.source for f in FEATURES)
    known = set(C)
    assert all(need in known for f in FEATURES for need in f.needs)


def test_docs_table_is_generated_from_the_code() -> None:
    assert (ROOT / "docs" / "features.md").read_text() == features.markdown() + feeder.markdown()


def test_every_feature_is_filled_when_all_is_there() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0, kind="transformer", bank_step_var=5000.0, bank_steps=4)
    # The last seconds of the frequency need readings by the second.
    times = minutes(8 * 96 * 2, every_us=450_000_000)
    times = np.r_[times, times[-1] + 1_000_000 * np.arange(1, 41)]
    cells = values(info, times)
    cells[:, C["i_n"]] = 3.0
    cells[:, C["thdv_a"] : C["thdi_c"] + 1] = 2.0
    cells[:, C["oil_temp"]] = 40.0
    cells[:, C["ambient_temp"]] = 15.0
    cells[[-40, -20], C["v_a"]] = 190.0
    got = row(info, cells, times)
    assert [name for name, value in got.items() if value != value] == []


def test_a_127_volt_and_a_230_volt_site_look_the_same_in_per_unit() -> None:
    times = minutes(300)
    small = PointInfo("x", 127.0, 60.0, 20.0)
    large = PointInfo("x", 230.0, 50.0, 400.0)
    a, b = last([small], times)[0], last([large], times)[0]
    own = [INDEX[n] for n in ("base_voltage", "base_current", "base_power", "nominal_hz")]
    rest = [i for i in range(len(FEATURES)) if i not in own]
    assert np.allclose(a[rest], b[rest], rtol=5e-3, atol=2e-4, equal_nan=True)


@pytest.mark.parametrize("seconds", [1, 10, 60, 600, 900])
def test_slopes_are_per_minute_of_true_time(seconds: int) -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0)
    times = minutes(40, every_us=seconds * 1_000_000)
    cells = values(info, times)
    cells[:, C["p_a"] : C["p_c"] + 1] = (np.arange(40) * 100.0)[:, None]
    got = row(info, cells, times)
    assert got["p_total_slope16"] == pytest.approx(100 * 3 / (3 * 230 * 63) * 60 / seconds, rel=1e-4)
    assert got["gap_s"] == seconds


def test_a_missing_channel_makes_only_its_own_features_missing() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0)
    cells = values(info, minutes(40))
    cells[:, C["freq"]] = np.nan
    cells[:, C["v_ab"]] = np.nan
    got = row(info, cells)
    assert got["f_deviation"] != got["f_deviation"]
    assert got["vuf_line"] != got["vuf_line"]
    assert got["p_total"] == got["p_total"]
    assert got["missing_channels"] == 1


def test_line_voltage_zero_beside_live_phases_is_not_recorded() -> None:
    info = PointInfo("x", 240.0, 50.0, 200.0)
    cells = values(info, minutes(5))
    cells[:, C["v_ab"]] = 0.0
    got = row(info, cells)
    assert np.isnan(got["v_ab"])
    assert np.isnan(got["vuf_line"])
    assert got["v_bc"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("u", "expected"), [((400, 400, 400), 0.0), ((69.0, 328.0, 393.0), 91.0)])
def test_unbalance_formula(u: tuple[float, float, float], expected: float) -> None:
    """The second case is computed from the triangle of the three line voltages by symmetrical components."""
    info = PointInfo("x", 400 / 3**0.5, 50.0, 200.0)
    cells = values(info, minutes(2))
    cells[:, C["v_ab"] : C["v_ca"] + 1] = u
    a, b, c = u
    ab = complex(a, 0)
    x = (c * c - a * a - b * b) / (2 * a)
    bc = complex(x, -(abs(max(0.0, b * b - x * x)) ** 0.5))
    ca = -ab - bc
    turn = np.exp(2j * np.pi / 3)
    one, two = ab + turn * bc + turn**2 * ca, ab + turn**2 * bc + turn * ca
    truth = 100 * min(abs(one), abs(two)) / max(abs(one), abs(two))
    got = row(info, cells)["vuf_line"]
    assert got == pytest.approx(truth, abs=0.05)
    assert got == pytest.approx(expected, abs=1.5)


def test_source_fit_recovers_the_impedance_it_was_made_with() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0)
    times = minutes(26 * 60)
    cells = values(info, times)
    rng = np.random.default_rng(0)
    p = np.clip(0.4 + 0.35 * np.sin(np.arange(len(times)) / 200), 0, 1)[:, None] * rng.uniform(
        0.9, 1.1, (len(times), 3)
    )
    q = 0.2 + 0.15 * np.cos(np.arange(len(times)) / 77)[:, None] * np.ones((1, 3))
    cells[:, C["p_a"] : C["p_c"] + 1] = p * 230 * 63
    cells[:, C["q_a"] : C["q_c"] + 1] = q * 230 * 63
    cells[:, C["v_a"] : C["v_c"] + 1] = 230 * (1.03 - 0.05 * p - 0.02 * q)
    got = row(info, cells, times)
    assert got["source_zp_a"] == pytest.approx(-0.05, abs=0.004)
    assert got["source_zq_b"] == pytest.approx(-0.02, abs=0.004)
    assert abs(got["residual_worst"]) < 0.002


def test_oil_model_reaches_the_ultimate_rise_of_a_steady_load() -> None:
    info = PointInfo("x", 230.0, 50.0, 100.0, kind="transformer")
    times = minutes(26 * 60)
    cells = values(info, times)
    cells[:, C["i_a"] : C["i_c"] + 1] = 100.0
    cells[:, C["ambient_temp"]] = 20.0
    got = row(info, cells, times)
    assert got["oil_rise"] == pytest.approx(55.0, abs=0.2)
    assert got["hot_spot_now"] == pytest.approx(20 + 55 + 25, abs=0.4)


@pytest.mark.parametrize("oil", [0.0, 245.0])
def test_an_oil_reading_that_cannot_be_is_a_sensor_fault(oil: float) -> None:
    info = PointInfo("x", 240.0, 50.0, 200.0, kind="transformer")
    cells = values(info, minutes(30))
    cells[:, C["oil_temp"]] = oil
    cells[:, C["ambient_temp"]] = 37.0
    got = row(info, cells)
    assert np.isnan(got["oil"])
    assert 37 < got["hot_spot_now"] < 120


def test_dead_bus_reverse_power_and_leading_power_factor_are_finite_or_missing() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0)
    times = minutes(30)
    dead = np.zeros((30, 25))
    got = row(info, dead, times)
    assert got["v_mean"] == 0
    assert np.isnan(got["pf_total"])
    assert np.isnan(got["i_unbalance"])
    cells = values(info, times)
    cells[:, C["p_a"] : C["q_c"] + 1] *= -1
    reverse = row(info, cells, times)
    assert reverse["pf_total"] == pytest.approx(-0.96, abs=0.01)
    assert reverse["q_total"] < 0


def test_a_gap_longer_than_the_ring_leaves_no_stale_quarter_hours() -> None:
    info = PointInfo("x", 230.0, 50.0, 63.0)
    quarter = 900_000_000
    times = np.concatenate([minutes(140, every_us=quarter), minutes(1, START_US + 340 * quarter, quarter)])
    cells = values(info, times)
    assert row(info, cells[:140], times[:140])["v_lag1_a"] == pytest.approx(1.01, abs=0.03)
    after = row(info, cells, times)
    assert np.isnan(after["v_lag1_a"])
    assert np.isnan(after["source_e_a"])
    assert after["slots_line"] == 0


def test_calendar_is_local() -> None:
    utc, local = PointInfo("x", 230.0, 50.0, 63.0), PointInfo("x", 230.0, 50.0, 63.0, utc_offset_min=360)
    times = minutes(3, START_US // 86_400_000_000 * 86_400_000_000)
    a, b = row(utc, values(utc, times), times), row(local, values(local, times), times)
    assert a["hour_sin"] == pytest.approx(0, abs=0.05)
    assert b["hour_sin"] == pytest.approx(1, abs=0.05)
