"""Faults around the daemon, with real processes: the graph ends as a fault-free run leaves it, and nothing is lost."""

from __future__ import annotations

import json
import threading
import time

import pytest
from stage import Stage, free_port, reading

from remhart_adt.client import connect

pytestmark = [pytest.mark.process, pytest.mark.slow]


def sending(stage: Stage, rounds: int, pause: float) -> threading.Thread:
    thread = threading.Thread(target=stage.send, args=(rounds,), kwargs={"pause": pause})
    thread.start()
    return thread


def test_killed_in_mid_stream_and_started_again(stage: Stage) -> None:
    stage.start_daemon()
    for _ in range(3):  # a stream for each round: on a slow machine one would be over while the daemon starts
        before = stage.report().get("applied", 0)
        thread = sending(stage, 20, 0.1)
        stage.wait(lambda before=before: stage.report().get("applied", 0) > before + 5, "progress")
        stage.kill("daemon")
        stage.start_daemon()
        thread.join()
    stage.settle()
    stage.check()


def test_a_second_daemon_shares_the_partitions_and_takes_over_from_a_dead_one(stage: Stage) -> None:
    stage.start_daemon()
    thread = sending(stage, 80, 0.1)
    stage.wait(lambda: stage.report().get("received", 0) > 0, "progress")
    stage.processes["first"] = stage.processes.pop("daemon")
    stage.health_port = free_port()
    stage.start_daemon()
    stage.wait(lambda: len(stage.report().get("partitions", {})) == 1, "a partition for the second")
    stage.kill("first")
    stage.wait(lambda: len(stage.report().get("partitions", {})) == 2, "both partitions for the second")
    thread.join()
    stage.settle()
    # What one process knows of the other's switches comes with the next refresh of the graph.
    time.sleep(3)
    stage.check()


def test_poison_of_every_kind(stage: Stage) -> None:
    now = time.time_ns() // 1000
    good = reading("mp-1", now, 1)
    poison = [
        b"not json",
        b"[]",
        b"\xff\xfe\x00",
        b'{"pointId": "mp-1"',
        json.dumps({**good, "pointId": "nobody"}).encode(),
        json.dumps({**good, "frequency": "50"}).encode(),
        json.dumps({**good, "frequency": True}).encode(),
        json.dumps({**good, "frequency": float("nan")}).encode(),
        json.dumps({**good, "frequency": float("inf")}).encode(),
        json.dumps({**good, "timestamp": "2099-01-01T00:00:00Z"}).encode(),
        json.dumps({**good, "voltage": {"phaseA": -5.0}}).encode(),
        json.dumps({**good, "note": "x" * 900_000}).encode(),
        b"[" * 60 + b"]" * 60,
        json.dumps([{"componentId": "nothing", "timestamp": good["timestamp"], "switchState": "open"}]).encode(),
    ]
    stage.start_daemon()
    stage.send(20, extra=poison)
    stage.settle()
    report = stage.check()
    assert report["dead_by_cause"] == {
        "empty": 1,
        "future_timestamp": 1,
        "not_finite": 2,
        "not_json": 3,
        "out_of_range": 1,
        "too_deep": 1,
        "too_large": 1,
        "unknown_component": 1,
        "unknown_point": 1,
        "wrong_type": 2,
    }


def test_adt_killed_and_back(stage: Stage) -> None:
    stage.start_daemon()
    thread = sending(stage, 40, 0.1)
    stage.wait(lambda: stage.report().get("applied", 0) > 5, "progress")
    stage.kill("adt")
    time.sleep(4)
    stage.start_adt()
    thread.join()
    stage.settle()
    report = stage.check()
    assert report["retries"] > 0


def test_hub_killed_and_back(stage: Stage) -> None:
    stage.start_daemon()
    stage.send(15)
    stage.wait(lambda: stage.report().get("received", 0) > 0, "progress")
    stage.kill("hub")
    time.sleep(3)
    stage.start_hub()
    stage.send(15)
    stage.settle()
    stage.check()


def test_a_twin_deleted_while_running(stage: Stage) -> None:
    stage.start_daemon()
    stage.send(10)
    stage.settle()
    with connect(stage.endpoint) as client:
        twin = client.twins.get("mp-2")
        for found in client.relationships.incoming("mp-2"):
            client.relationships.delete(found["$sourceId"], found["$relationshipId"])
        client.twins.delete("mp-2")
    stage.send(5, pause=0.3)
    stage.wait(lambda: stage.report().get("dead_by_cause", {}).get("twin_not_found"), "dead letters of the lost twin")
    assert twin["lastReadingAt"]
    stage.cli("graph", "apply", str(stage.folder / "graph.yaml"), "--endpoint", stage.endpoint)
    time.sleep(6)
    # Half a minute further, so that what is passed on once in 30 seconds is passed on again.
    stage.send(10, pause=0.1, ahead=31.0)
    stage.settle()
    report = stage.check(conserved=False)
    assert set(report["dead_by_cause"]) == {"twin_not_found"}


def test_terminated_under_load_drains_and_the_next_owner_goes_on(stage: Stage) -> None:
    stage.start_daemon()
    thread = sending(stage, 40, 0.05)
    stage.wait(lambda: stage.report().get("applied", 0) > 5, "progress")
    began = time.monotonic()
    assert stage.terminate("daemon") == 0, stage.words("daemon")
    assert time.monotonic() - began < 20
    stage.start_daemon()
    thread.join()
    stage.settle()
    stage.check()


def test_a_model_file_with_a_wrong_hash_is_out_and_the_others_go_on(stage: Stage) -> None:
    broken = stage.folder / "models" / "voltage_anomaly.onnx"
    broken.write_bytes(broken.read_bytes() + b"\0")
    stage.start_daemon()
    stage.send(20)
    stage.settle()
    report = stage.check()
    assert report["models"]["voltage_anomaly"]["state"] == "quarantined"
    assert "wrong hash" in report["models"]["voltage_anomaly"]["reason"]
    assert sum(report["ok_by_model"].values()) > 0, report
    assert "voltage_anomaly" not in report["ok_by_model"]
    assert report["failed_by_model"]["voltage_anomaly"] > 0


def test_a_changed_manifest_is_taken_up_while_the_daemon_runs(stage: Stage) -> None:
    stage.start_daemon()
    stage.send(5)
    stage.settle()
    manifest = json.loads((stage.folder / "models" / "manifest.json").read_text())
    for row in manifest["models"]:
        row["version"] = "9.9.9"
    (stage.folder / "models" / "new").write_text(json.dumps(manifest))
    (stage.folder / "models" / "new").replace(stage.folder / "models" / "manifest.json")
    stage.wait(
        lambda: stage.report()["models"]["phase_imbalance"]["version"] == "9.9.9", "the daemon to see the new manifest"
    )
    stage.send(15, ahead=120.0)
    stage.settle()

    def versions() -> set[str]:
        with connect(stage.endpoint) as client:
            twin = client.twins.get("mp-1")
        modules = [
            twin["mlEngine"][f"{name}Predictions"] for name in ("monitoring", "maintenance", "energy", "decision")
        ]
        return {one.get("modelVersion", "") for module in modules for one in module.values() if isinstance(one, dict)}

    stage.wait(lambda: "9.9.9" in versions(), "answers of the new version on the twin")
    assert {row["state"] for row in stage.report()["models"].values()} <= {"installed", "absent"}
