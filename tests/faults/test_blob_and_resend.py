"""Checkpoints in Azure Blob Storage, and dead letters sent again, with real processes."""

from __future__ import annotations

import json
import threading
import time

import pytest
from stage import GRAPH, Stage, reading

from remhart_adt.client import connect

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.mark.node
def test_a_killed_daemon_goes_on_from_its_checkpoints_in_blob_storage(stage: Stage, azurite: str) -> None:
    blob = {"account": azurite, "container": f"c{time.time_ns()}"}
    stage.start_daemon(checkpoint=blob)
    thread = threading.Thread(target=stage.send, args=(60,), kwargs={"pause": 0.1})
    thread.start()
    stage.wait(lambda: stage.report().get("applied", 0) > 10, "progress")
    stage.wait(lambda: max(p["checkpoint"] for p in stage.report()["partitions"].values()) > 0, "a commit")
    stage.kill("daemon")
    stage.start_daemon(checkpoint=blob)
    thread.join()
    stage.settle()

    stage.check(commits=False)
    assert not (stage.folder / "checkpoints.db").exists()


def test_a_dead_letter_is_applied_once_its_point_exists(stage: Stage) -> None:
    stage.start_daemon()
    now = time.time_ns() // 1000
    stage.send(2, extra=[json.dumps(reading("mp-new", now, 3)).encode()])
    stage.settle()
    ((letters, row),) = [
        (path, json.loads(line))
        for path in (stage.folder / "dead").glob("*.ndjson")
        for line in path.read_text().splitlines()
    ]
    assert row["cause"] == "unknown_point"
    more = "  - {id: mp-new, gridStandard: {nominalVoltage: 230, nominalFrequency: 50, ratedCurrent: 100}}\n"
    (stage.folder / "graph.yaml").write_text(GRAPH + more)
    stage.cli("graph", "apply", str(stage.folder / "graph.yaml"), "--endpoint", stage.endpoint)
    time.sleep(2.5)  # the daemon reads the graph anew every two seconds here

    stage.cli("sync", "replay", str(letters), "--cause", "unknown_point")

    def arrived() -> bool:
        with connect(stage.endpoint) as client:
            return "lastReadingAt" in client.twins.get("mp-new")

    stage.wait(arrived, "the reading on the new twin")
    stage.settle()
    assert stage.terminate("daemon") == 0
    report = json.loads((stage.folder / "report.json").read_text())
    assert report["dead_lettered"] == 1
    assert report["received"] == stage.sent + 1
