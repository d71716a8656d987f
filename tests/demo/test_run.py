"""The whole job, as a newcomer starts it: one command, its report, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.resources import examples_dir

EXAMPLE = examples_dir() / "transformer-monitor"


def demo(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "remhart_adt.cli.app",
            "demo",
            "--plain",
            "--folder",
            str(tmp_path / "run"),
            "--report",
            str(report),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done, json.loads(report.read_text()) if report.exists() else {}


@pytest.mark.process
@pytest.mark.slow
def test_a_feeder_is_played_and_every_reading_accounted_for(tmp_path: Path) -> None:
    done, report = demo(tmp_path, "--seconds", "30")

    assert done.returncode == 0, done.stderr[-3000:]
    assert (
        report["sent"]
        == report["hub_retained"]
        == sum(report[k] for k in ("applied", "merged", "skipped", "dead_lettered"))
    )
    assert report["in_flight"] == 0
    assert {alarm["kind"] for alarm in report["alarms"]} == {"voltageSag", "overload", "openPhase", "interruption"}
    assert len(report["alarms"]) == len(report["expected_alarms"])
    assert report["invariants"] == dict.fromkeys(("I1", "I2", "I3", "I4", "I5", "I6", "I7"), True)
    assert sum(report["dead_by_cause"].values()) == report["dead_lettered"] > 10
    assert "remhart-adt query --endpoint" in done.stderr


@pytest.mark.process
@pytest.mark.shared
@pytest.mark.slow
def test_measured_telemetry_ends_with_its_last_good_values_and_three_open_phases(
    tmp_path: Path, shared_data: Path
) -> None:
    telemetry = shared_data / "measured" / "transformer_monitor_head.csv"

    done, report = demo(
        tmp_path,
        "--telemetry",
        str(telemetry),
        "--mapping",
        str(EXAMPLE / "mapping.yaml"),
        "--graph",
        str(EXAMPLE / "graph.yaml"),
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert report["sent"] == 5000
    assert all(report["invariants"].values())
    open_phases = [(a["raisedAt"][:10], a["phases"]) for a in report["alarms"] if a["kind"] == "openPhase"]
    assert open_phases == [("2019-07-16", "AB"), ("2019-08-07", "AC"), ("2019-08-11", "B")]


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    done, _ = demo(tmp_path, "--telemetry", str(tmp_path / "none.csv"))

    assert done.returncode == 2
    assert "--graph" in done.stderr


def test_a_folder_of_someone_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("mine")

    done, _ = demo(tmp_path)

    assert done.returncode == 2
    assert (tmp_path / "run" / "precious.txt").read_text() == "mine"
