"""Sags and dips in the feature table, and the committed sag model: monotone in voltage, honest where blind."""

from __future__ import annotations

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, values

from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.features import FEATURES
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model

INFO = PointInfo("x", 230.0, 50.0, 63.0)
V = slice(C["v_a"], C["v_c"] + 1)


def flat(count: int, level: float = 1.0) -> np.ndarray:
    cells = values(INFO, minutes(count))
    cells[:, V] = 230.0 * level
    return cells


def row(cells: np.ndarray, times: np.ndarray | None = None) -> dict[str, float]:
    times = minutes(len(cells)) if times is None else times
    got = Engine([]).prepare(Windows([INFO]), batch(["x"], np.zeros(len(cells)), times, cells))
    return {f.name: float(x) for f, x in zip(FEATURES, got.features[-1], strict=True)}


def test_two_sags_in_a_row_of_minutes() -> None:
    cells = flat(100)
    cells[40:43, C["v_b"]] = 230 * 0.7
    cells[80, C["v_c"]] = 230 * 0.8
    cells[81, C["v_a"]] = 230 * 0.85
    got = row(cells)
    assert got["sag_count"] == 2
    assert got["sag_age_s"] == 60 * (99 - 81)
    assert got["sag_gap_s"] == 60 * 40
    assert got["sag_low"] == pytest.approx(0.7)
    assert got["sag_last_low"] == pytest.approx(0.8)
    assert got["sag_span_s"] == 60 * 99
    assert got["dip_count"] == 2
    assert got["v_flicker"] == pytest.approx(0.0, abs=1e-6)


def test_this_reading_is_no_part_of_what_went_before() -> None:
    cells = flat(60)
    cells[-1, V] = 230 * 0.5
    got = row(cells)
    assert got["v_min"] == pytest.approx(0.5)
    assert got["sag_count"] == got["dip_count"] == 0
    assert np.isnan([got[name] for name in ("sag_age_s", "sag_gap_s", "sag_last_low", "dip_age_s")]).all()
    assert got["sag_low"] == pytest.approx(1.0)


def test_a_dip_above_the_limit_is_no_sag() -> None:
    cells = flat(60)
    cells[30, C["v_a"]] = 230 * 0.95
    got = row(cells)
    assert (got["dip_count"], got["sag_count"]) == (1, 0)
    assert got["dip_age_s"] == 60 * 29
    cells[30, C["v_a"]] = 230 * 0.98
    assert row(cells)["dip_count"] == 0


def test_the_first_reading_knows_nothing_of_before() -> None:
    got = row(flat(1))
    assert np.isnan([got[f.name] for f in FEATURES if f.name.startswith(("sag_", "dip_"))]).all()


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def ask(engine: Engine, info: PointInfo, cells: np.ndarray, times: np.ndarray) -> dict[str, object]:
    """The answer to the last of the readings."""
    windows, n = Windows([info]), len(cells) - 1
    windows.push(batch(["x"], np.zeros(n), times[:n], cells[:n]))
    answer = engine.process(windows, batch(["x"], np.zeros(1), times[n:], cells[n:])).models["voltage_sag"]
    return answer.document(0)


@pytest.mark.parametrize("site", [(230.0, 50.0), (127.0, 60.0)])
@pytest.mark.parametrize("sags", [0, 3])
def test_probability_and_depth_never_fall_as_the_voltage_falls(
    engine: Engine, site: tuple[float, float], sags: int
) -> None:
    """The present voltage is swept with the past as it was."""
    info = PointInfo("x", *site, 63.0)
    history = minutes(26 * 60, START_US - 26 * 60 * MINUTE_US)
    cells = values(info, history)
    for k in range(sags):
        cells[-10 - 20 * k, V] = 0.8 * info.nominal_v_ln
    windows = Windows([info])
    windows.push(batch(["x"], np.zeros(len(history)), history, cells))
    warm = windows.snapshot()
    said = []
    for level in np.linspace(1.1, 0.15, 60):
        windows.restore(warm)
        now = cells[-3:-2].copy()
        now[:, V] = level * info.nominal_v_ln
        answer = engine.process(windows, batch(["x"], np.zeros(1), minutes(1), now)).models["voltage_sag"]
        assert answer.status[0] == Status.OK
        said.append([float(answer.outputs[name][0]) for name in ("sagProbability", "sagDepth")])
    probability, depth = np.array(said).T
    assert (np.diff(probability) >= -1.2e-7).all()
    assert (np.diff(depth) >= -1e-6).all()
    assert probability[-1] > probability[0]
    assert depth[-1] == pytest.approx(0.85, abs=0.01)


def test_a_lower_past_or_more_sags_never_lower_the_probability() -> None:
    entry = read_manifest(models_dir()).entries["voltage_sag"]
    model, names = Model(entry, models_dir()), list(entry.inputs)
    mini = np.load("tests/scoring/data/mini_voltage_sag.npz")["features"][::10]
    signs = {"v_min": -1, "v_hour_low": -1, "v_day_low": -1, "sag_low": -1, "sag_count": 1, "dip_count": 1}
    for name, sign in signs.items():
        sweep = np.linspace(0.3, 1.05, 25) if sign < 0 else np.arange(25.0)
        said = []
        for value in sweep:
            x = mini.copy()
            x[:, names.index(name)] = value
            said.append(model.run(x)["sagProbability"])
        assert (sign * np.diff(said, axis=0) >= -1.2e-7).all(), name
        assert np.ptp(said) > 0, name


def test_a_site_with_sags_is_likelier_to_have_another(engine: Engine) -> None:
    times = minutes(26 * 60)
    cells = values(INFO, times)
    calm = ask(engine, INFO, cells, times)
    for k in range(6):
        cells[-5 - 18 * k, V] = 0.85 * 230
    busy = ask(engine, INFO, cells, times)
    assert busy["sagProbability"] > 3 * calm["sagProbability"]
    assert 0 <= calm["sagProbability"] < 0.1
    assert 0.1 <= busy["sagDepth"] <= 1
    assert busy["sagDuration"] > 0


def test_it_says_why_it_does_not_answer(engine: Engine) -> None:
    times = minutes(40)
    cells = values(INFO, times)
    assert ask(engine, INFO, cells[:10], times[:10])["reason"] == "cold start: 10 of 17 readings"
    dead = cells.copy()
    dead[-1, V] = 0.0
    assert ask(engine, INFO, dead, times)["reason"] == "not energised"
    gone = cells.copy()
    gone[-1, C["v_b"]] = np.nan
    assert ask(engine, INFO, gone, times)["reason"] == "missing channel: v_b"


def test_power_may_be_missing_and_may_flow_backwards(engine: Engine) -> None:
    times = minutes(26 * 60)
    cells = values(INFO, times)
    whole = ask(engine, INFO, cells, times)
    bare = cells.copy()
    bare[:, C["i_a"] : C["q_c"] + 1] = np.nan
    back = cells.copy()
    back[:, C["p_a"] : C["p_c"] + 1] *= -1
    for other in (bare, back):
        said = ask(engine, PointInfo("x", 230.0, 50.0), other, times)
        assert said["status"] == "ok"
        assert said["sagProbability"] == pytest.approx(whole["sagProbability"], abs=0.1)
