"""`remhart-adt simulate`: files, an event hub, the graph and the event list, refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from remhart_adt.cli import app as cli
from remhart_adt.clock import parse_us
from remhart_adt.graph.load import load
from remhart_adt.local.eventhub import log as hub_log
from remhart_adt.simulate import FEEDERS
from remhart_adt.sync.sources import read_records

START = "2026-01-14T18:00:00Z"


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["simulate", *map(str, args)])
    code = caught.value.code
    return code if isinstance(code, int) else 0


def test_the_help_names_every_feeder(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in FEEDERS)


def test_one_command_writes_telemetry_graph_and_events(tmp_path, capsys):
    files = [tmp_path / name for name in ("t.ndjson", "g.yaml", "e.json")]
    code = run(
        "--feeder", "village", "--start", START, "--out", files[0], "--graph-out", files[1], "--events-out", files[2]
    )
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    points = FEEDERS["village"].points
    told = json.loads(files[2].read_text())

    assert code == 0
    assert capsys.readouterr().out == ""
    assert sum("pointId" in row for row in rows) == 60 * len(points)
    assert {row["switchState"] for row in rows if "switchState" in row} == {"open", "closed"}
    assert {p.id for p in load(files[1]).points} == {p.id for p in points}
    assert [e["kind"] for e in told["events"]] == ["voltage_sag", "overload", "open_phase", "breaker"]
    assert {a["kind"] for a in told["expectedAlarms"]} == {"voltageSag", "overload", "openPhase", "interruption"}
    assert told["events"][0]["start_us"] >= parse_us(START)


def test_csv_with_history_reads_back_in_order(tmp_path):
    path = tmp_path / "t.csv"
    code = run(
        "--feeder",
        "workshop",
        "--start",
        START,
        "--seconds",
        3,
        "--no-events",
        "--history",
        0.5,
        "--rate",
        2,
        "--out",
        path,
    )
    times = [record.time_us for record in read_records(path)]

    assert code == 0
    assert len(times) == (30 + 6) * len(FEEDERS["workshop"].points)
    assert times == sorted(times)
    assert times[0] == parse_us(START) - 30 * 60_000_000
    assert times[-1] == parse_us(START) + 2_500_000


def test_standard_output_carries_the_same_bytes_for_the_same_seed(capsys):
    outs = []
    for seed in (3, 3, 4):
        assert run("--seconds", 2, "--no-events", "--seed", seed, "--start", START, "--out", "-", "--form", "flat") == 0
        outs.append(capsys.readouterr().out)

    assert outs[0] == outs[1] != outs[2]
    assert json.loads(outs[0].splitlines()[-1])["pointId"].startswith("suburb-")


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["--seconds", 5], 2, "--out"),
        (["--out", "t.xls"], 2, ".ndjson or .csv"),
        (["--out", "-", "--start", "yesterday"], 2, "RFC 3339"),
        (["--out", "-", "--feeder", "atlantis"], 1, "suburb"),
        (["--out", "-", "--seconds", 0], 2, "nothing to send"),
        (["--out", "-", "--forever"], 2, "--realtime"),
        (["--to", "eventhub", "--seconds", 5], 2, "--connection-string"),
        (["--out", "-", "--seconds", 10], 1, "too few"),
    ],
)
def test_refusals_say_what_to_do(args, code, told, capsys, monkeypatch):
    monkeypatch.delenv("REMHART_EVENTHUB_CONNECTION_STRING", raising=False)

    assert run(*args) == code
    assert told in capsys.readouterr().err


@pytest.mark.process
def test_an_event_hub_gets_history_and_live_readings(tmp_path):
    hub = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "remhart_adt.cli.app",
            "local",
            "eventhub",
            "--data",
            str(tmp_path / "hub"),
            "--partitions",
            "2",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ready = json.loads(hub.stdout.readline())
        before = time.time_ns() // 1000
        # Paced by the clock: the last of the three readings of a point cannot be sent before its time.
        where = ("--to", "eventhub", "--connection-string", ready["connection_string"], "--per-event", 2)
        code = run("--feeder", "village", "--seconds", 3, "--no-events", "--history", 0.25, *where)
        after = time.time_ns() // 1000
    finally:
        hub.send_signal(signal.SIGTERM)
        hub.wait(20)
        hub.stdout.close()
    bodies = [json.loads(body) for _, _, _, _, body, *_ in hub_log.read(tmp_path / "hub")]
    readings = [row for body in bodies for row in (body if isinstance(body, list) else [body]) if "pointId" in row]
    by_point: dict[str, list[int]] = {}
    for row in readings:
        by_point.setdefault(row["pointId"], []).append(parse_us(row["timestamp"]))

    assert code == 0
    assert len(by_point) == len(FEEDERS["village"].points)
    assert all(len(times) == 15 + 3 and times == sorted(times) for times in by_point.values())
    assert after - before >= 1_000_000
    assert all(times[-1] <= after for times in by_point.values())
