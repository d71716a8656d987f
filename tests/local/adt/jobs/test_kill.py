"""SIGKILL in the middle of a job: after the restart the job says so, and whatever stands is whole."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from job_stage import DEADLINE, FLOOR, METER, above, floor, whole

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "scripts" / "lib"))

from adt_process import AdtProcess, Caller
from crash_file import FileJudge

pytestmark = [pytest.mark.process, pytest.mark.slow]
MANY = 3000
NOTE = "x" * 1000  # so that a job has dozens of groups, and a moment to kill it in
NOTED = {**FLOOR, "contents": [*FLOOR["contents"], {"@type": "Property", "name": "note", "schema": "string"}]}
CONTENT = whole(
    [NOTED, METER],
    (floor(f"t{number}", level=number, note=NOTE) for number in range(MANY)),
    (above(f"t{number}", f"t{(number * 7 + 1) % MANY}", note=NOTE) for number in range(1, MANY)),
)


class House:
    """A data file, a folder of blobs, and the servers that run on them, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.judge = FileJudge(folder / "adt.sqlite")
        self.blob = (folder / "in.ndjson").as_uri()
        (folder / "in.ndjson").write_bytes(CONTENT)
        self.servers: list[AdtProcess] = []

    def server(self) -> AdtProcess:
        self.servers.append(AdtProcess("--data", str(self.folder / "adt.sqlite"), "--blobs", str(self.folder)))
        return self.servers[-1]

    def start(self, call: Caller, job: str) -> None:
        log = (self.folder / f"{job}.log").as_uri()
        status, _, answer = call("PUT", f"/jobs/imports/{job}", {"inputBlobUri": self.blob, "outputBlobUri": log})
        assert status == 201, answer


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house that leaves no server behind."""
    made = House(tmp_path)
    yield made
    for server in made.servers:
        server.kill()


def until(call: Caller, path: str, reached: Callable[[Any], bool]) -> Any:
    limit = time.monotonic() + DEADLINE
    while not reached(answer := call("GET", path)[2]):
        assert time.monotonic() < limit, answer
    return answer


def ended(job: Any) -> bool:
    return job["status"] not in ("notstarted", "running", "cancelling")


def test_after_a_kill_the_job_is_failed_and_the_graph_is_whole_and_the_next_job_completes_it(house: House) -> None:
    server = house.server()
    for job, table in (("first", "twins"), ("second", "relationships")):
        call = server.caller()
        house.start(call, job)
        until(call, "/_remhart/health", lambda health: health[table] >= 300)  # noqa: B023
        server.kill()
        call.close()

        server = house.server()
        call = server.caller()
        left = call("GET", f"/jobs/imports/{job}")[2]
        assert (left["status"], left["error"]["code"]) == ("failed", "ServerStopped")
        assert left["createdDateTime"] <= left["finishedDateTime"] == left["lastActionDateTime"]
        health = call("GET", "/_remhart/health")[2]
        assert health[table] >= 300
        assert health["relationships"] < MANY - 1
        assert house.judge.judge(health) == []
        lines = (house.folder / f"{job}.log").read_bytes().splitlines()
        assert all(json.loads(line)["jobId"] == job for line in lines)
        call.close()

    with server:
        call = server.caller()
        house.start(call, "third")
        assert until(call, "/jobs/imports/third", ended)["status"] == "succeeded"
        health = call("GET", "/_remhart/health")[2]
        assert (health["models"], health["twins"], health["relationships"]) == (2, MANY, MANY - 1)
        assert house.judge.judge(health) == []
        call.close()


def test_a_kill_in_the_middle_of_a_deletion_leaves_no_relationship_without_ends(house: House) -> None:
    server = house.server()
    for attempt in range(5):  # until one is killed in its middle: it may be over before we have seen it begin
        call = server.caller()
        house.start(call, f"job{attempt}")
        assert until(call, f"/jobs/imports/job{attempt}", ended)["status"] == "succeeded"
        job = call("POST", "/jobs/deletions")[2]["id"]
        until(call, "/_remhart/health", lambda health: health["relationships"] < MANY - 1)
        server.kill()
        call.close()

        server = house.server()
        call = server.caller()
        left = call("GET", f"/jobs/deletions/{job}")[2]
        health = call("GET", "/_remhart/health")[2]
        assert house.judge.judge(health) == []
        if left["status"] == "failed":
            break
        call.close()

    with server:
        assert (left["status"], left["error"]["code"]) == ("failed", "ServerStopped")
        assert health["models"] == 2
        assert health["relationships"] == 0 or health["twins"] == MANY
        again = call("POST", "/jobs/deletions")[2]["id"]
        assert until(call, f"/jobs/deletions/{again}", ended)["status"] == "succeeded"
        health = call("GET", "/_remhart/health")[2]
        assert (health["models"], health["twins"], health["relationships"]) == (0, 0, 0)
        call.close()


def test_a_job_that_was_being_cancelled_when_the_server_was_killed_is_cancelled(house: House, silent: str) -> None:
    house.blob = f"{silent}/in.ndjson"
    server = house.server()
    for attempt in range(5):  # a cancelled job is cut off after a second, which may pass before the server is asked
        job = f"/jobs/imports/job{attempt}"
        call = server.caller()
        house.start(call, f"job{attempt}")
        until(call, job, lambda answer: answer["status"] == "running")
        assert call("POST", f"{job}/cancel")[0] == 200
        before = call("GET", job)[2]
        server.kill()
        call.close()

        server = house.server()
        call = server.caller()
        after = call("GET", job)[2]
        call.close()
        if before["status"] == "cancelling":
            break
    assert before["status"] == "cancelling"
    assert after == {**before, "status": "cancelled"}
