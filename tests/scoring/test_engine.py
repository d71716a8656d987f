"""The engine: reasons, rates, quarantine of one model while the others go on, and the same bits for any cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, site_50, stream, take, values

from remhart_adt.errors import ModelError
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, SlotState, Status, Windows
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.types import ModelScores

INFOS = site_50()
ENTRIES = read_manifest(models_dir()).entries
# What a day of minutes of V, I, P, Q and f is not enough for: model -> how its reason begins.
MORE: dict[str, str] = {"frequency_stability": "frequency less often than every 6 s"}
POINT_MODELS = tuple(name for name, entry in ENTRIES.items() if entry.scope == "point" and name not in MORE)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load()


def why(scores: ModelScores, k: int = -1) -> str:
    return scores.reasons[int(scores.reason[k])]


def warm(infos: list[PointInfo], hours: float = 26.0) -> Windows:
    windows = Windows(infos)
    windows.push(stream(infos, minutes(int(hours * 60), START_US - int(hours * 60) * MINUTE_US)))
    return windows


def one(engine: Engine, info: PointInfo, cells: np.ndarray, hours: float = 26.0) -> dict[str, ModelScores]:
    """Scores of one reading after a day of history."""
    windows = warm([info], hours)
    return dict(engine.process(windows, batch([info.point_id], np.zeros(1), minutes(1), cells)).models)


def test_every_slot_is_there_and_one_without_a_model_says_so(engine: Engine) -> None:
    slots = engine.slots
    assert list(slots) == list(MODEL_BY_ID)
    installed = {name for name, slot in slots.items() if slot.state is SlotState.INSTALLED}
    assert installed == set(ENTRIES)
    assert {s.reason for name, s in slots.items() if name not in ENTRIES} <= {"not installed"}


def test_a_warm_three_phase_point_gets_every_answer(engine: Engine) -> None:
    info = INFOS[1]
    models = one(engine, info, values(info, minutes(1)))
    for name in POINT_MODELS:
        assert models[name].status.tolist() == [Status.OK], (name, why(models[name]))
        document = models[name].document(0)
        assert document["status"] == "ok"
        assert all(value == value for value in document.values())
    for name, begin in MORE.items():
        assert why(models[name]).startswith(begin)
    for name in set(MODEL_BY_ID) - set(ENTRIES):
        assert models[name].document(0) == {"status": "abstained", "reason": "not installed"}
    assert models["voltage_anomaly"].document(0)["anomalyDetected"] is False
    assert models["voltage_anomaly"].document(0)["phase"] == "none"
    assert models["load_forecast"].document(0)["forecastHorizon"] == 60
    assert isinstance(models["reactive_power"].document(0)["recommendedSteps"], int)
    assert "maxHotSpot" not in models["overload_risk"].document(0)


@pytest.mark.parametrize(
    ("gone", "model", "reason"),
    [
        (("p_a", "p_b"), "reactive_power", "missing channel: p_a, p_b"),
        (("p_a", "p_b", "p_c"), "load_forecast", "missing channel: p_a, p_b, p_c"),
        (("i_b",), "overload_risk", "missing channel: i_b"),
        (("v_c",), "phase_imbalance", "missing channel: v_c"),
        (("q_a",), "voltage_anomaly", "missing channel: q_a"),
    ],
)
def test_missing_channels_are_named_and_other_models_go_on(
    engine: Engine, gone: tuple[str, ...], model: str, reason: str
) -> None:
    info = INFOS[1]
    cells = values(info, minutes(1))
    cells[0, [C[name] for name in gone]] = np.nan
    models = one(engine, info, cells)
    assert (Status(int(models[model].status[0])), why(models[model])) == (Status.ABSTAINED, reason)
    assert any(models[name].status[0] == Status.OK for name in POINT_MODELS)
    assert all(np.isnan(x[0]) for x in models[model].outputs.values() if x.dtype == np.float64)


def test_no_rating_no_history_and_bad_quality_are_said(engine: Engine) -> None:
    unrated = PointInfo("u", 230.0, 50.0, None)
    models = one(engine, unrated, values(unrated, minutes(1)))
    assert why(models["overload_risk"]) == "no rated current"
    assert models["phase_imbalance"].status[0] == Status.OK

    info = INFOS[1]
    cold = engine.process(Windows([info]), batch(["m1"], np.zeros(3), minutes(3, every_us=1_000_000),
                                                 values(info, minutes(3)))).models  # fmt: skip
    assert why(cold["voltage_anomaly"], 2) == "cold start: 3 of 10 readings"
    assert why(cold["load_forecast"], 0) == "cold start: 0 of 92 quarter hours"

    windows = warm([info])
    quality = np.full(1, 2, np.int8)
    bad = engine.process(windows, batch(["m1"], np.zeros(1), minutes(1), values(info, minutes(1)), quality)).models
    assert {why(bad[name]) for name in POINT_MODELS} == {"quality bad"}


def test_a_dead_bus_is_no_anomaly_and_no_imbalance(engine: Engine) -> None:
    info = INFOS[1]
    dead = np.zeros((1, 25))
    models = one(engine, info, dead)
    for name in ("voltage_anomaly", "phase_imbalance", "reactive_power"):
        assert why(models[name]) == "not energised"
    assert models["overload_risk"].document(0)["riskLevel"] == "low"


def test_a_single_phase_point_misses_only_its_own_phase(engine: Engine) -> None:
    info = PointInfo("s", 127.0, 60.0, 30.0, phases="B")
    cells = values(info, minutes(1))
    for block in "vipq":
        cells[0, [C[f"{block}_a"], C[f"{block}_c"]]] = np.nan
    windows = Windows([info])
    times = minutes(26 * 60, START_US - 26 * 60 * MINUTE_US)
    history = values(info, times)
    for block in "vipq":
        history[:, [C[f"{block}_a"], C[f"{block}_c"]]] = np.nan
    windows.push(batch(["s"], np.zeros(len(times)), times, history))
    models = engine.process(windows, batch(["s"], np.zeros(1), minutes(1), cells)).models
    assert why(models["phase_imbalance"]) == "needs 3 metered phases"
    for name in ("overload_risk", "load_forecast", "reactive_power"):
        assert models[name].status[0] == Status.OK, why(models[name])


def test_rates_follow_source_time(engine: Engine) -> None:
    info = INFOS[1]
    windows = warm([info])
    times = minutes(1) + 1_000_000 * np.arange(0, 1900, 10, dtype=np.int64)
    models = engine.process(windows, batch(["m1"], np.zeros(len(times)), times, values(info, times))).models
    assert len(models["voltage_anomaly"].rows) == len(times)
    assert len(models["overload_risk"].rows) == len(np.unique(times // MINUTE_US))
    assert len(models["load_forecast"].rows) == len(np.unique(times // (15 * MINUTE_US)))
    again = batch(["m1"], np.zeros(len(times)), times, values(info, times))
    empty = Engine([]).process(warm([info]), again).models
    assert len(empty["harmonic_analysis"].rows) == len(models["load_forecast"].rows)


WARM = Windows(INFOS)
WARM.push(stream(INFOS, minutes(24 * 60, START_US - 24 * 60 * MINUTE_US)))
WARM_BYTES = WARM.snapshot()


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 179), max_size=12))
def test_scores_are_bit_equal_for_every_cut(engine: Engine, cuts: list[int]) -> None:
    times = np.concatenate([minutes(40), minutes(20, START_US + 41 * MINUTE_US, 1_000_000)])
    whole = stream(INFOS, times)

    def rows(parts: list[np.ndarray]) -> dict[tuple[str, str], bytes]:
        windows, found = Windows(INFOS), {}
        windows.restore(WARM_BYTES)
        for part in parts:
            for name, scores in engine.process(windows, take(whole, part)).models.items():
                for key, column in {"status": scores.status, **scores.outputs}.items():
                    found[name, key] = found.get((name, key), b"") + column.tobytes()
        return found

    # Bytes are joined in stream order, so that equality means the same rows with the same bits.
    everything = np.arange(len(whole))
    assert rows(np.split(everything, sorted(set(cuts)))) == rows([everything])


def test_features_of_some_readings_are_those_of_all(engine: Engine) -> None:
    """Whoever asks for some rows only gets the same bits, and the same windows afterwards."""
    times = np.concatenate([minutes(40), minutes(20, START_US + 41 * MINUTE_US, 1_000_000)])
    whole, rng = stream(INFOS, times), np.random.default_rng(4)
    all_, some = Windows(INFOS), Windows(INFOS)
    for windows in (all_, some):
        windows.restore(WARM_BYTES)
    for part in np.split(np.arange(len(whole)), 9):
        batch_ = take(whole, part)
        wanted = rng.random(len(batch_)) < 0.3
        full, fewer = engine.prepare(all_, batch_), engine.prepare(some, batch_, wanted)
        assert (fewer.accepted == full.accepted).all()
        kept = wanted[full.index]
        assert 0 < kept.sum() < len(kept)
        assert (fewer.index == full.index[kept]).all()
        assert fewer.features.tobytes() == full.features[kept].tobytes()
        assert (fewer.quarter == full.quarter[kept]).all()
    assert some.snapshot() == all_.snapshot()


# --- quarantine -------------------------------------------------------------------------------------------------------


def damaged(tmp_path: Path, change: Any) -> Engine:
    folder = tmp_path / "models"
    shutil.copytree(models_dir(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = next(e for e in manifest["models"] if e["id"] == "overload_risk")
    change(folder, entry)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Engine.load(folder)


CHANGES: dict[str, tuple[Any, str]] = {
    "missing file": (lambda folder, _e: (folder / "overload_risk.onnx").unlink(), "missing file"),
    "wrong hash": (lambda folder, _e: (folder / "overload_risk.onnx").write_bytes(b"changed"), "wrong hash"),
    "not a graph": (
        lambda folder, e: (
            (folder / "overload_risk.onnx").write_bytes(b"junk"),
            e.update(sha256="a27ba5ff77b27ff4c7d0f4c9b1cf6e5a1ed7c4b4dbf8c3c1a5b0d2f0ed6b5a9e"),
        ),
        "wrong hash",
    ),
    "wrong shape": (lambda _f, e: e["inputs"].pop(), "wrong shape"),
    "no such output": (lambda _f, e: e["outputs"][1].update(name="other"), "no output named other"),
    "unknown feature": (lambda _f, e: e["inputs"].append("nonsense"), "no such features: nonsense"),
    "extra key": (lambda _f, e: e.update(surprise=1), "surprise"),
    "path in file name": (lambda _f, e: e.update(file="../overload_risk.onnx"), "file"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_broken_model_is_out_and_the_others_go_on(tmp_path: Path, name: str) -> None:
    change, word = CHANGES[name]
    engine = damaged(tmp_path, change)
    slot = engine.slots["overload_risk"]
    assert slot.state is SlotState.QUARANTINED
    assert word in slot.reason
    models = one(engine, INFOS[1], values(INFOS[1], minutes(1)))
    assert models["overload_risk"].document(0) == {"status": "failed", "reason": slot.reason}
    assert models["reactive_power"].status[0] == Status.OK


class Session:
    """Stands in for a runtime session that misbehaves."""

    def __init__(self, real: Any, spoil: Any) -> None:
        self._real, self._spoil = real, spoil

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        return self._spoil(self._real.run(names, feed))


def _nan(out: list[Any]) -> list[Any]:
    return [np.full_like(o, np.nan) if o.dtype == np.float32 else o for o in out]


def _raise(_out: list[Any]) -> list[Any]:
    raise RuntimeError("kernel broke")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_nan, "NaN"),
        (_raise, "kernel broke"),
        (lambda out: [o[:-1] for o in out], "wrong shape"),
        (lambda out: [o * 0 + 99 if o.dtype == np.int64 else o for o in out], "outside its range"),
    ],
)
def test_a_model_that_misbehaves_while_scoring_is_out_from_then_on(spoil: Any, word: str) -> None:
    engine = Engine.load()
    model = engine._models["overload_risk"]
    model._session = Session(model._session, spoil)
    windows, info = warm([INFOS[1]]), INFOS[1]
    first = engine.process(windows, batch(["m1"], np.zeros(1), minutes(1), values(info, minutes(1)))).models
    assert first["overload_risk"].document(0)["status"] == "failed"
    assert word in first["overload_risk"].document(0)["reason"]
    assert first["reactive_power"].status[0] == Status.OK
    assert engine.slots["overload_risk"].state is SlotState.QUARANTINED
    later = minutes(1, START_US + 20 * MINUTE_US)
    second = engine.process(windows, batch(["m1"], np.zeros(1), later, values(info, later))).models
    assert word in second["overload_risk"].document(0)["reason"]


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "models": []}', '{"models": []}', "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="manifest"):
        Engine.load(tmp_path)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        Engine.load(tmp_path)
