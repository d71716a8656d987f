"""`scoring run` and its neighbours, as a user calls them: hostile files, formats, the measured series."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scoring_streams import C, minutes, values
from typer.testing import CliRunner, Result

from remhart_adt.cli.scoring import app
from remhart_adt.clock import format_us
from remhart_adt.errors import ConfigError, SourceError
from remhart_adt.readings import CHANNELS
from remhart_adt.resources import models_dir
from remhart_adt.scoring import PointInfo
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.offline import FlatFile, read_points

INFO = PointInfo("m1", 230.0, 50.0, 63.0)
POINTS = "pointId,nominal_v_ln,hz,rated_a,remark\nm1,230,50,63,home\nm2,127,60,,shop\n"


def write(path: Path, rows: list[str], header: str | None = None) -> Path:
    path.write_text(
        (header or "pointId,timestamp," + ",".join(c.name for c in CHANNELS)) + "\n" + "\n".join(rows) + "\n"
    )
    return path


def good_rows(count: int, point: str = "m1", every_us: int = 60_000_000) -> list[str]:
    times = minutes(count, every_us=every_us)
    cells = values(INFO, times)
    text = [["" if x != x else f"{x:.3f}" for x in row] for row in cells]
    return [",".join([point, format_us(int(t)), *row]) for t, row in zip(times, text, strict=True)]


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


def test_scores_go_to_stdout_as_csv_and_notes_to_stderr(tmp_path: Path, points: Path) -> None:
    result = run("run", write(tmp_path / "f.csv", good_rows(40)), "--points", points)
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 40
    assert list(rows[0])[:2] == ["pointId", "timestamp"]
    assert rows[-1]["phase_imbalance.status"] == "ok"
    assert float(rows[-1]["phase_imbalance.vuf"]) < 2
    assert rows[0]["load_forecast.reason"] == "cold start: 0 of 92 quarter hours"
    assert "40 scored" in result.stderr
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "manifest.json").write_text('{"schema": 1, "models": []}')
    bare = run("run", tmp_path / "f.csv", "--points", points, "--models", tmp_path / "none")
    assert next(csv.DictReader(io.StringIO(bare.stdout)))["harmonic_analysis.reason"] == "not installed"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_out_files_and_the_report(tmp_path: Path, points: Path, suffix: str) -> None:
    import pandas as pd

    out, page = tmp_path / f"o{suffix}", tmp_path / "r.html"
    result = run("run", write(tmp_path / "f.csv", good_rows(30)), "--points", points, "-o", out, "--html", page)
    assert result.exit_code == 0, result.stderr
    frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert len(frame) == 30
    assert frame["phase_imbalance.imbalanceClass"].iloc[-1] == "balanced"
    assert frame["overload_risk.riskScore"].iloc[-1] < 0.5
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "phase_imbalance" in text


def test_bad_rows_are_counted_and_named_and_the_rest_goes_on(tmp_path: Path, points: Path) -> None:
    rows = good_rows(20)
    width = len(rows[0].split(",")) - 3
    rows[3] = rows[3].replace("m1", "ghost", 1)
    rows[5] = "m1,yesterday,230" + "," * width
    rows[7] = f"m1,2026-01-01T00:00:00Z,{'9' * 30}" + "," * width
    rows[9] = "m1,2026-01-01T00:00:00Z,nan" + "," * width
    rows[11] = "m1,2026-01-01T00:00:00Z,volts" + "," * width
    rows[13] = "m1,2026-01-01T00:00:00Z,1,2"
    rows[15] = '"' + rows[15]
    rows.append("\0\0")
    result = run("run", write(tmp_path / "f.csv", rows), "--points", points)
    assert result.exit_code == 0, result.stderr
    for word in ("unknown_point 1", "bad_timestamp 1", "out_of_range 1", "not_finite 1", "wrong_type 1", "line 5:"):
        assert word in result.stderr
    good = list(csv.DictReader(io.StringIO(result.stdout)))
    assert 8 <= len(good) <= 14


def test_late_and_doubled_rows_are_counted(tmp_path: Path, points: Path) -> None:
    rows = good_rows(10)
    result = run("run", write(tmp_path / "f.csv", [*rows, rows[4], rows[9]]), "--points", points)
    assert "10 scored, 2 late or duplicate" in result.stderr


@pytest.mark.parametrize(
    ("header", "word"),
    [("pointId,v_a", "timestamp"), ("pointId,timestamp,v_a,v_a", "twice"), ("pointId,timestamp,x", "no channel")],
)
def test_an_unusable_header_is_an_error(tmp_path: Path, points: Path, header: str, word: str) -> None:
    path = write(tmp_path / "f.csv", ["m1,2026-01-01T00:00:00Z,230"], header)
    with pytest.raises(SourceError, match=word):
        list(FlatFile(path, read_points(points)).chunks())


def test_a_binary_file_is_refused_or_named_row_by_row(tmp_path: Path, points: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)))
    with pytest.raises(SourceError):
        list(FlatFile(path, read_points(points)).chunks())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("pointId,hz\n", "columns are missing"),
        (POINTS + "m1,230,50,10,again\n", "listed twice"),
        ("pointId,nominal_v_ln,hz,rated_a\nm1,-5,50,3\nm2,x,50,3\n", "line 3"),
        ("pointId,nominal_v_ln,hz,rated_a\nm1,inf,50,3\n", "finite"),
        ("pointId,nominal_v_ln,hz,rated_a\n", "no point"),
    ],
)
def test_points_files_are_checked_as_a_whole(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        read_points(path)


def test_an_empty_rating_means_not_declared(points: Path) -> None:
    assert read_points(points)["m2"].rated_a is None


def test_either_points_or_graph(tmp_path: Path, points: Path) -> None:
    path = write(tmp_path / "f.csv", good_rows(2))
    assert isinstance(run("run", path).exception, ConfigError)
    assert isinstance(run("run", path, "--points", points, "--graph", points).exception, ConfigError)
    assert isinstance(run("run", path, "--points", points, "-o", tmp_path / "x.xls").exception, ConfigError)


def test_list_and_check() -> None:
    listed = run("list", "--output", "json")
    assert listed.exit_code == 0
    assert listed.stdout.count('"installed"') == len(read_manifest(models_dir()).entries)
    checked = run("check")
    assert checked.exit_code == 0, checked.stdout


def test_check_fails_when_a_model_is_quarantined(tmp_path: Path) -> None:
    import shutil

    from remhart_adt.resources import models_dir

    shutil.copytree(models_dir(), tmp_path / "m")
    (tmp_path / "m" / "load_forecast.onnx").write_bytes(b"x")
    result = run("check", "--models", tmp_path / "m")
    assert result.exit_code == 1
    assert "wrong hash" in result.stdout


def test_a_graph_brings_feeder_scope(tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    from remhart_adt.simulate.scenario import Scenario

    pytest.importorskip("dss")
    scenario = Scenario("village", seed=3, seconds=60, events=(), history_hours=1)
    graph = tmp_path / "g.yaml"
    YAML().dump(scenario.graph(), graph)
    history = scenario.history(step_s=60)
    rows = []
    for t, cells in zip(history.time_us[-10:].tolist(), history.values[-10:], strict=True):
        for name, row in zip(scenario.point_ids, cells, strict=True):
            rows.append(",".join([name, format_us(t), *("" if x != x else f"{x:.4f}" for x in row)]))
    result = run("run", write(tmp_path / "f.csv", rows), "--graph", graph)
    assert result.exit_code == 0, result.stderr
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    losses = [float(r["energy_loss.lossInWatts"]) for r in table if r["energy_loss.status"] == "ok"]
    assert len(losses) >= 8
    assert all(50 < watts < 10_000 for watts in losses)
    points = [json.loads(r["optimal_dispatch.setpoints"]) for r in table if r["optimal_dispatch.status"] == "ok"]
    assert points
    assert all(scenario.spec.source.id in units and len(units) > 1 for units in points)


@pytest.mark.shared
def test_the_measured_transformer_abstains_where_it_must(shared_data: Path, tmp_path: Path) -> None:
    """V, I, line voltages and temperatures only, every 15 minutes: no model may invent P, Q or f."""
    source = shared_data / "measured" / "transformer_monitor_head.csv"
    names = {"oil_temp_c": "oil_temp", "ambient_temp_c": "ambient_temp"}
    rows = []
    with source.open() as stream:
        for row in csv.DictReader(stream):
            if row["quality"] in ("ok", "phase_out_of_range"):
                cells = {names.get(k, k): v for k, v in row.items()}
                rows.append(
                    ",".join(
                        ["tx", row["ts"].replace(" ", "T") + "+05:30", *(cells.get(c.name, "") or "" for c in CHANNELS)]
                    )
                )
    points = tmp_path / "p.csv"
    points.write_text("pointId,nominal_v_ln,hz,rated_a\ntx,240,50,200\n")
    out = tmp_path / "o.csv"
    result = run("run", write(tmp_path / "f.csv", rows), "--points", points, "-o", out)
    assert result.exit_code == 0, result.stderr
    table = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len(table) > 4000
    for model in ("voltage_anomaly", "load_forecast", "reactive_power"):
        assert {r[f"{model}.status"] for r in table} <= {"abstained", ""}
        assert any("missing channel: p_a, p_b, p_c" in r[f"{model}.reason"] for r in table)
    balanced = [r for r in table if r["phase_imbalance.status"] == "ok"]
    assert len(balanced) > 3900
    severe = [r["timestamp"] for r in balanced if r["phase_imbalance.imbalanceClass"] == "severe"]
    assert 1 <= len(severe) <= 15
    assert any(t.startswith("2019-07-16T06") for t in severe)
    assert sum(r["overload_risk.status"] == "ok" for r in table) > 3900
    assert C["freq"] == 12
