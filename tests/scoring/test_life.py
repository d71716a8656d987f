"""The life of a model: taken up while the engine runs, watched for drift, explained, replaced by one's own."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_streams import START_US, C, minutes, stream, values
from typer.testing import CliRunner

from remhart_adt.cli.scoring import app
from remhart_adt.clock import format_us
from remhart_adt.errors import ModelError
from remhart_adt.readings import CHANNELS
from remhart_adt.resources import examples_dir, models_dir
from remhart_adt.scoring import Engine, PointInfo, SlotState, Windows
from remhart_adt.scoring.drift import LEAST_ROWS, Drift, Reference, make_reference
from remhart_adt.scoring.features import FEATURES, INDEX

INFO = PointInfo("m1", 230.0, 50.0, 63.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(models_dir(), tmp_path / "models"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    """Another manifest entry, as a deployment would write it: a new file put in the place of the old one."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for row in manifest["models"]:
        if row["id"] == name:
            row |= changes
    (folder / "new").write_text(json.dumps(manifest))
    os.replace(folder / "new", folder / "manifest.json")


# --- hot reload -------------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_again_while_nothing_changes(folder: Path) -> None:
    engine = Engine.load(folder)
    assert not engine.refresh()
    kept = engine._models["load_forecast"]
    edit(folder, "voltage_anomaly", version="9.0.0")
    assert engine.refresh()
    assert engine.slots["voltage_anomaly"].version == "9.0.0"
    assert engine._models["load_forecast"] is kept
    assert not engine.refresh()


def test_a_model_stays_until_its_replacement_is_sound(folder: Path) -> None:
    engine = Engine.load(folder)
    edit(folder, "load_forecast", version="2.0.0", sha256="0" * 64)
    assert engine.refresh()
    assert engine.slots["load_forecast"].state is SlotState.INSTALLED
    assert engine.slots["load_forecast"].version == "1.0.0"
    edit(folder, "load_forecast", version="2.0.0", sha256=Engine.load().entry("load_forecast").sha256)
    assert engine.refresh()
    assert engine.slots["load_forecast"].version == "2.0.0"


def test_a_quarantined_model_comes_back_when_its_file_is_mended(folder: Path) -> None:
    whole = (folder / "load_forecast.onnx").read_bytes()
    (folder / "load_forecast.onnx").write_bytes(whole[:-1])
    engine = Engine.load(folder)
    assert engine.slots["load_forecast"].state is SlotState.QUARANTINED
    (folder / "load_forecast.onnx").write_bytes(whole)
    assert engine.refresh()
    assert engine.slots["load_forecast"].state is SlotState.INSTALLED


def test_a_broken_manifest_changes_nothing_and_a_shorter_one_empties_slots(folder: Path) -> None:
    engine = Engine.load(folder)
    before = {name: slot.state for name, slot in engine.slots.items()}
    good = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(good[:-20])
    assert not engine.refresh()
    assert {name: slot.state for name, slot in engine.slots.items()} == before
    manifest = json.loads(good)
    manifest["models"] = [row for row in manifest["models"] if row["id"] != "load_forecast"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert engine.refresh()
    assert engine.slots["load_forecast"].state is SlotState.ABSENT
    windows = Windows([INFO])
    answer = engine.process(windows, stream([INFO], minutes(1))).models["load_forecast"]
    assert answer.document(0) == {"status": "abstained", "reason": "not installed"}


# --- drift ------------------------------------------------------------------------------------------------------------


def table(rows: int, seed: int, **columns: Any) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(rows, len(FEATURES))).astype(np.float32)
    for name, column in columns.items():
        x[:, INDEX[name]] = column
    return x


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    (tmp_path / "reference.json").write_text(json.dumps(make_reference(table(20_000, 1))))
    found = Reference.load(tmp_path)
    assert found is not None
    return found


def test_the_same_population_is_stable_and_another_one_is_not(reference: Reference) -> None:
    drift = Drift(reference)
    missing = np.where(np.arange(4000) % 2, np.nan, table(4000, 3)[:, 0])
    drift.add(table(4000, 2, v_mean=table(4000, 4)[:, 0] + 1.0, q_total=missing))
    psi = drift.psi()
    assert psi["v_mean"] > 0.5
    assert psi["q_total"] > 0.5
    others = [value for name, value in psi.items() if name not in ("v_mean", "q_total")]
    assert len(others) > 150
    assert max(others) < 0.02
    assert not {"base_voltage", "hour_sin", "weekend"} & psi.keys()


def test_the_index_is_the_formula(reference: Reference) -> None:
    drift = Drift(reference)
    drift.add(table(1000, 2, v_mean=100.0))
    # All rows in the highest bin, which held a tenth; nothing in nine bins (1e-4 at least) and none missing.
    low = 1e-4
    expected = (1 - 0.1) * np.log(1 / 0.1) + 9 * (low - 0.1) * np.log(low / 0.1)
    assert drift.psi()["v_mean"] == pytest.approx(expected, rel=1e-3)


def test_few_rows_say_nothing(reference: Reference) -> None:
    drift = Drift(reference)
    drift.add(table(LEAST_ROWS - 1, 2))
    assert drift.psi() == {}
    drift.add(table(1, 3))
    assert drift.psi()


def test_old_rows_fade(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remhart_adt.scoring.drift._MEMORY", 5_000)
    drift = Drift(reference)
    shifted, usual = table(1_000, 0, v_mean=50.0), table(1_000, 10)
    for _ in range(6):
        drift.add(shifted)
    assert drift.psi()["v_mean"] > 0.25
    for _ in range(20):
        drift.add(usual)
    assert drift.psi()["v_mean"] < 0.1


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema": 2, "features": {}}', '{"schema": 1, "features": {"v_mean": {"edges": [1], "shares": [1]}}}',
     '{"schema": 1, "features": {"v_mean": 5}}', '{"schema": 1, "features": []}'],
)  # fmt: skip
def test_a_broken_reference_is_named_and_scoring_goes_on(folder: Path, text: str) -> None:
    (folder / "reference.json").write_text(text)
    with pytest.raises(ModelError, match=r"reference\.json cannot be used"):
        Reference.load(folder)
    engine = Engine.load(folder)
    assert engine.drift is None
    assert engine.slots["load_forecast"].state is SlotState.INSTALLED


def test_the_engine_counts_one_row_per_point_and_quarter_hour() -> None:
    engine = Engine.load()
    assert engine.drift is not None
    infos = [INFO, PointInfo("m2", 230.0, 50.0, 63.0)]
    engine.process(Windows(infos), stream(infos, minutes(120, START_US - START_US % 900_000_000)))
    assert engine.drift.rows == 2 * 8


# --- explain ----------------------------------------------------------------------------------------------------------


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture
def readings(tmp_path: Path) -> tuple[Path, Path]:
    """An hour of readings of m1, its current far above the rating in the end."""
    times = minutes(60)
    cells = values(INFO, times)
    cells[-5:, C["i_a"] : C["i_c"] + 1] = 150.0
    rows = [
        ",".join(["m1", format_us(int(t)), *("" if x != x else f"{x:.3f}" for x in row)])
        for t, row in zip(times, cells, strict=True)
    ]
    (tmp_path / "r.csv").write_text(
        "pointId,timestamp," + ",".join(c.name for c in CHANNELS) + "\n" + "\n".join(rows) + "\n"
    )
    (tmp_path / "p.csv").write_text("pointId,nominal_v_ln,hz,rated_a\nm1,230,50,63\n")
    return tmp_path / "r.csv", tmp_path / "p.csv"


def test_explain_names_the_current_when_the_current_is_the_reason(readings: tuple[Path, Path]) -> None:
    file, points = readings
    result = run("explain", "overload_risk", file, "--points", points, "--output", "json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert rows[0]["feature"].startswith(("load_5min", "i_max"))
    assert float(rows[0]["effect"]) > 0.05
    assert re.search(r"^m1 at 2025-\S+: riskScore is [01](\.\d+)?$", result.stderr, re.MULTILINE)


def test_explain_without_a_file_lists_inputs_outputs_figures_and_limits() -> None:
    result = run("explain", "load_forecast", "--output", "json")
    rows = json.loads(result.stdout)
    entry = Engine.load().entry("load_forecast")
    assert entry is not None
    assert [r["name"] for r in rows if r["kind"] == "input"] == list(entry.inputs)
    assert {r["name"] for r in rows if r["kind"] == "output"} == {o.name for o in entry.outputs}
    assert "quarters of day: 92" in result.stderr
    assert result.stderr.count("limit: ") == len(entry.limits)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "no_such"), "there is no model 'no_such'"),
        (("explain", "load_forecast", "F"), "give either --points or --graph"),
        (("explain", "load_forecast", "F", "--points", "P"), "it answered to no reading of the file"),
        (("explain", "energy_loss", "F", "--points", "P"), "it looks at a whole feeder"),
        (("explain", "overload_risk", "F", "--points", "P", "--of", "x"), "has no number named 'x'"),
        (("explain", "overload_risk", "F", "--points", "P", "--point", "x"), "the point 'x' is not declared"),
    ],
)
def test_explain_says_why_it_cannot(readings: tuple[Path, Path], arguments: tuple[str, ...], said: str) -> None:
    file, points = readings
    result = run(*({"F": file, "P": points}.get(a, a) for a in arguments))
    assert result.exit_code != 0
    assert said in str(result.exception) + result.output


# --- one's own --------------------------------------------------------------------------------------------------------


def test_a_model_of_ones_own_needs_a_file_and_an_entry_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(examples_dir() / "own_model.py"))["main"](tmp_path / "own")
    out = capsys.readouterr().out
    assert "load_forecast: installed, version 0.1.0-own" in out
    assert "'forecastedLoad': 10000.0" in out
    checked = run("check", "--models", tmp_path / "own", "--output", "json")
    assert checked.exit_code == 0, checked.stdout
    assert "load_forecast" in {row["model"] for row in json.loads(checked.stdout)}
