"""The committed models: golden parity, gates against baselines, monotonicity, and sites of two continents."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, values

from remhart_adt.ids import MODELS
from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, Status, Windows
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.manifest import read_manifest, sha256_of
from remhart_adt.scoring.sessions import Model

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).resolve().parents[2]
ENTRIES = read_manifest(models_dir()).entries
NAMES = tuple(ENTRIES)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {name: Model(entry, models_dir()) for name, entry in ENTRIES.items()}


def test_all_are_there_and_small() -> None:
    assert [m.id for m in MODELS if m.id in ENTRIES] == list(NAMES)
    assert sum((models_dir() / e.file).stat().st_size for e in ENTRIES.values()) < 8_000_000


@pytest.mark.parametrize("name", NAMES)
def test_golden_vectors_of_the_trainer_agree_with_the_file(name: str, models: dict[str, Model]) -> None:
    golden = np.load(DATA / f"golden_{name}.npz")
    got = models[name].run(golden["features"])
    assert len(golden["features"]) >= 32
    for output in ENTRIES[name].outputs:
        expected = golden[output.name]
        if output.kind == "double":
            scale = np.maximum(1.0, np.abs(expected))
            assert np.array_equal(np.isnan(expected), np.isnan(got[output.name]))
            assert np.nanmax(np.abs(got[output.name] - expected) / scale, initial=0.0) < 1e-5, output.name
        else:
            assert np.array_equal(got[output.name], expected), output.name


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_the_rows_beside_it(name: str, models: dict[str, Model]) -> None:
    rows = np.resize(np.load(DATA / f"golden_{name}.npz")["features"], (96, len(ENTRIES[name].inputs)))
    whole = models[name].run(rows)
    for size in (1, 2, 3, 5, 7, 31):
        parts = [models[name].run(rows[k : k + size]) for k in range(0, len(rows), size)]
        for output, found in whole.items():
            assert np.concatenate([part[output] for part in parts]).tobytes() == found.tobytes(), (output, size)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "voltage_anomaly"])
def test_gate_error_on_the_unseen_feeder_is_below_the_baseline(name: str, models: dict[str, Model]) -> None:
    mini = np.load(DATA / f"mini_{name}.npz")
    features = mini["features"].copy()
    if name == "phase_imbalance":
        features[:, ENTRIES[name].inputs.index("vuf_line")] = np.nan
    got = models[name].run(features)[str(mini["output"])]
    truth, rule = mini["truth"], mini["baseline"]
    good = np.isfinite(truth) & np.isfinite(rule) & np.isfinite(got)
    # Probabilities are judged by their squares (Brier), all else by its absolute error.
    power = 2 if set(np.unique(truth[good])) <= {0.0, 1.0} else 1
    assert good.sum() > 200
    assert (np.abs(got - truth)[good] ** power).mean() < (np.abs(rule - truth)[good] ** power).mean()


def test_gate_anomalies_rank_above_the_baseline(models: dict[str, Model]) -> None:
    mini = np.load(DATA / "mini_voltage_anomaly.npz")
    answer = models["voltage_anomaly"].run(mini["features"])
    truth = mini["truth"] > 0

    def auc(score: np.ndarray) -> float:
        rank = np.argsort(np.argsort(score)) + 1.0
        n = truth.sum()
        return float((rank[truth].sum() - n * (n + 1) / 2) / (n * (~truth).sum()))

    assert auc(answer["anomalyScore"]) > auc(mini["baseline"])
    assert answer["anomalyDetected"][~truth].mean() < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_manifest_figures_belong_to_the_committed_file(name: str) -> None:
    entry = ENTRIES[name]
    assert sha256_of(models_dir() / entry.file) == entry.sha256
    assert entry.metrics["figures"]
    card = (ROOT / "docs" / "models" / f"{name}.md").read_text()
    assert entry.sha256 in card
    for figure in entry.metrics["figures"]:
        assert f"{figure['value']:.4g}" in card


# --- physics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transformer", "load"])
@pytest.mark.parametrize("site", [(230.0, 50.0), (127.0, 60.0)])
def test_risk_never_falls_as_current_rises_to_three_times_the_rating(kind: str, site: tuple[float, float]) -> None:
    engine = Engine.load()
    info = PointInfo("x", *site, 100.0, kind=kind)
    history = minutes(26 * 60, START_US - 26 * 60 * MINUTE_US)
    cells = values(info, history)
    cells[:, C["ambient_temp"]] = 20.0
    windows = Windows([info])
    windows.push(batch(["x"], np.zeros(len(history)), history, cells))
    warm = windows.snapshot()
    scores, spots, loads, levels = [], [], [], []
    for k in np.linspace(0, 3, 31):
        windows.restore(warm)
        now = cells[:7].copy()
        now[:, C["i_a"] : C["i_c"] + 1] = 100.0 * k
        answer = engine.process(windows, batch(["x"], np.zeros(7), minutes(7), now)).models["overload_risk"]
        assert (answer.status == Status.OK).all()
        scores.append(answer.outputs["riskScore"])
        loads.append(answer.outputs["maxLoading"])
        levels.append(answer.outputs["riskLevel"])
        spots.append(answer.outputs["maxHotSpot"])
    # One reading at that current, and every minute up to seven in a row. The runtime's logistic function itself is
    # monotone only to one unit in the last place of a float32.
    for column in (scores, loads, levels):
        assert (np.diff(np.array(column), axis=0) >= -1.2e-7).all()
    assert levels[0][-1] == 0
    assert levels[-1][-1] == 3
    assert scores[0][-1] < 0.05
    assert scores[-1][-1] > 0.95
    if kind == "transformer":
        assert (np.diff(np.array(spots), axis=0) >= 0).all()
    else:
        assert np.isnan(spots).all()


@pytest.mark.parametrize("kind", ["transformer", "load"])
def test_risk_never_falls_when_the_whole_past_was_higher(kind: str) -> None:
    engine = Engine.load()
    info = PointInfo("x", 230.0, 50.0, 100.0, kind=kind)
    times = minutes(27 * 60)
    scores = []
    for k in np.linspace(0.05, 3, 9):
        cells = values(info, times)
        cells[:, C["i_a"] : C["i_c"] + 1] *= k / 0.4
        cells[:, C["ambient_temp"]] = 20.0
        answer = engine.process(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells)).models[
            "overload_risk"
        ]
        scores.append(float(answer.outputs["riskScore"][-1]))
    assert (np.diff(scores) >= -1.2e-7).all()


@pytest.mark.parametrize("kind", ["transformer", "load"])
def test_nothing_is_said_to_come_where_nothing_ever_flowed(kind: str) -> None:
    engine = Engine.load()
    info = PointInfo("x", 230.0, 50.0, 100.0, kind=kind)
    times = minutes(27 * 60)
    cells = values(info, times)
    cells[:, C["i_a"] : C["q_c"] + 1] = 0.0
    answer = engine.process(Windows([info]), batch(["x"], np.zeros(len(times)), times, cells)).models["overload_risk"]
    assert answer.outputs["maxLoading"][-60:].max() < 0.02
    assert answer.outputs["riskScore"][-60:].max() < 0.001


@pytest.mark.parametrize("kind", ["transformer", "load"])
def test_a_gap_in_the_past_moves_the_loading_to_come_by_little(kind: str) -> None:
    """Two hours of yesterday missing: no mean ramp of the day, nothing of the hour to come a day ago."""
    engine = Engine.load()
    info = PointInfo("x", 230.0, 50.0, 100.0, kind=kind)
    times = minutes(27 * 60)
    cells = values(info, times, load=0.8)
    there = (times < times[-1] - 24 * 60 * MINUTE_US) | (times > times[-1] - 22 * 60 * MINUTE_US)
    said = []
    for keep in (np.ones(len(times), bool), there):
        batched = batch(["x"], np.zeros(keep.sum()), times[keep], cells[keep])
        answer = engine.process(Windows([info]), batched).models["overload_risk"]
        said.append(answer.outputs["maxLoading"][-1])
    assert 0.4 < said[0] < 0.9
    assert said[1] == pytest.approx(said[0], abs=0.05)


@pytest.mark.parametrize("name", [n for n in NAMES if ENTRIES[n].scope == "point"])
def test_both_continents_get_the_same_per_unit_answer(name: str) -> None:
    engine = Engine.load()
    documents = []
    for info in (PointInfo("x", 127.0, 60.0, 20.0), PointInfo("x", 230.0, 50.0, 400.0)):
        times = minutes(26 * 60)
        if name == "frequency_stability":
            times = times[-1] + 1_000_000 * np.arange(60)
        windows, cells = Windows([info]), values(info, times)
        windows.push(batch(["x"], np.zeros(len(times) - 20), times[:-20], cells[:-20]))
        answer = engine.process(windows, batch(["x"], np.zeros(20), times[-20:], cells[-20:])).models[name]
        assert answer.status[-1] == Status.OK
        documents.append((3 * info.nominal_v_ln * (info.rated_a or 1), answer.document(len(answer.rows) - 1)))
    (base_a, a), (base_b, b) = documents
    for spec in engine.slots[name].outputs:
        if spec.name not in a:
            assert spec.name not in b
        elif spec.unit in ("W", "var"):
            assert a[spec.name] / base_a == pytest.approx(b[spec.name] / base_b, rel=0.02, abs=2e-3)
        elif spec.unit == "Hz":
            assert a[spec.name] / 60 == pytest.approx(b[spec.name] / 50, abs=2e-6)
        elif spec.kind == "double":
            assert a[spec.name] == pytest.approx(b[spec.name], rel=0.05, abs=0.02)
        else:
            assert a[spec.name] == b[spec.name]


@pytest.mark.parametrize("seconds", [1, 10, 60, 600, 900])
def test_quiet_normal_operation_at_any_sampling(seconds: int) -> None:
    engine = Engine.load()
    info = PointInfo("x", 230.0, 50.0, 63.0)
    windows = Windows([info])
    history = minutes(26 * 60, START_US - 26 * 60 * MINUTE_US)
    windows.push(batch(["x"], np.zeros(len(history)), history, values(info, history)))
    times = minutes(300, every_us=seconds * 1_000_000)
    answer = engine.process(windows, batch(["x"], np.zeros(300), times, values(info, times, seed=2))).models
    found = answer["voltage_anomaly"].outputs["anomalyDetected"]
    runs = np.convolve(found.astype(int), np.ones(10, int), "valid")
    assert not (runs == 10).any()
    assert (answer["phase_imbalance"].outputs["imbalanceClass"] == 0).all()


def test_open_conductor_is_severe_where_it_is_measured() -> None:
    """Phase voltages of a real single-phasing of a 240 V transformer; its line voltages were 69, 328 and 393 V."""
    engine = Engine.load()
    info = PointInfo("x", 240.0, 50.0, 200.0)
    cells = values(info, minutes(1))
    cells[0, C["v_a"] : C["v_c"] + 1] = (154.0, 87.0, 240.0)
    cells[0, C["v_ab"] : C["v_ca"] + 1] = (69.0, 328.0, 393.0)
    answer = engine.process(Windows([info]), batch(["x"], np.zeros(1), minutes(1), cells)).models["phase_imbalance"]
    assert answer.document(0)["imbalanceClass"] == "severe"
    assert answer.document(0)["vuf"] > 50


def test_reactive_advice_never_overcompensates_and_fits_the_bank() -> None:
    model = Model(ENTRIES["reactive_power"], models_dir())
    names = list(ENTRIES["reactive_power"].inputs)
    golden = np.load(DATA / "golden_reactive_power.npz")["features"]
    x = np.repeat(golden, 4, axis=0)
    x[:, names.index("bank_step")] = np.tile([0.02, 0.05, 0.1, np.nan], len(golden))
    x[:, names.index("bank_steps")] = 4
    x[::3, names.index("v_mean")] = 1.08
    got = model.run(x)
    base = x[:, names.index("base_power")]
    q, step, steps = got["forecastReactivePower"] / base, x[:, names.index("bank_step")], got["recommendedSteps"]
    known = np.isfinite(step)
    assert (steps[~known] == -1).all()
    assert ((steps[known] >= 0) & (steps[known] <= 4)).all()
    assert (steps * step <= np.maximum(q, 0) + 1e-5)[known].all()
    assert (steps[::3][known[::3]] == 0).all()
    factor = got["expectedPowerFactor"]
    assert (np.isnan(factor) | ((factor >= 0) & (factor <= 1))).all()


def test_forecast_intervals_are_in_order() -> None:
    model = Model(ENTRIES["load_forecast"], models_dir())
    got = model.run(np.load(DATA / "golden_load_forecast.npz")["features"])
    for name in ("forecastedLoad", "load15min", "load24h"):
        assert (got[f"{name}Low"] <= got[name]).all()
        assert (got[name] <= got[f"{name}High"]).all()


def test_serving_imports_no_training_library() -> None:
    import subprocess

    code = (
        "import sys; from remhart_adt.scoring import Engine; Engine.load(); "
        "print([m for m in ('sklearn','xgboost','onnx','pandas','scipy','spox','azure') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_feature_names_of_the_manifest_are_in_the_table() -> None:
    for name, entry in ENTRIES.items():
        if entry.scope != "feeder":
            assert set(entry.inputs) <= set(INDEX), name
