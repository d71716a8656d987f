"""A job's life: one at a time, cancelled, listed, forgotten; beside other clients; over a restart and a kill."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from job_stage import ACCOUNT, DEADLINE, FLOOR, METER, Stage, above, floor, whole

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.local.adt.jobs.blobs import _FileReader
from remhart_adt.local.adt.store import Store

MANY = [floor(f"t{number}", level=number) for number in range(4000)]
CHAIN = [above(f"t{number}", f"t{number + 1}") for number in range(3999)]


def endless(wire: Any, storage: str, job: str = "job") -> Any:
    """Start a job that does not end by itself."""
    body = {"inputBlobUri": f"{storage}/in.ndjson", "outputBlobUri": f"{storage}/out.log"}
    return wire("PUT", f"/jobs/imports/{job}", body)


def test_only_one_job_runs_at_a_time_of_whatever_kind(stage: Any, silent: str) -> None:
    assert endless(stage.wire, silent).status == 201
    for answer in (endless(stage.wire, silent, "other"), stage.wire("POST", "/jobs/deletions")):
        assert answer.status == 429
        assert json.loads(answer.json)["error"]["code"] == "TooManyRequests"
        assert "retry-after" not in answer.headers
    assert stage.wire("POST", "/jobs/imports/job/cancel").status == 200
    assert stage.end()["status"] == "cancelled"
    assert stage.job(whole(), "other")["status"] == "succeeded"


def test_a_cancelled_job_keeps_what_it_did_and_has_no_time_of_its_end(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, readings = _FileReader.chunks, 0
    may_go_on = threading.Event()

    async def chunks(self: _FileReader) -> AsyncGenerator[bytes, None]:
        nonlocal readings
        readings += 1
        async for chunk in real(self):
            yield chunk
            while readings == 2 and not may_go_on.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    monkeypatch.setattr(_FileReader, "chunks", chunks)
    assert stage.start(whole([FLOOR, METER], MANY, CHAIN)).status == 201
    limit = time.monotonic() + DEADLINE
    while stage.counts()[1] < 500:
        assert time.monotonic() < limit
    assert stage.wire("POST", "/jobs/imports/job/cancel").json["status"] == "running"
    may_go_on.set()
    ended = stage.end()
    assert ended["status"] == "cancelled"
    assert "finishedDateTime" not in ended
    models, twins, relationships = stage.counts()
    assert (models, twins >= 500) == (2, True)
    assert relationships < len(CHAIN)
    assert stage.log()[-1]["status"] == "Cancelled"
    again = stage.wire("POST", "/jobs/imports/job/cancel")
    assert (again.status, again.json["status"]) == (200, "cancelled")


def test_a_job_that_runs_cannot_be_deleted_and_one_that_ended_can(stage: Any, silent: str) -> None:
    endless(stage.wire, silent)
    assert stage.wire("DELETE", "/jobs/imports/job").status == 400
    stage.wire("POST", "/jobs/imports/job/cancel")
    stage.end()
    assert stage.wire("DELETE", "/jobs/imports/job").status == 204
    for method, path in (("GET", "job"), ("DELETE", "job"), ("POST", "job/cancel")):
        assert stage.wire(method, f"/jobs/imports/{path}").code == "JobNotFound"


def test_jobs_are_listed_by_pages_in_order_of_creation(stage: Any) -> None:
    names = [f"job-{number}" for number in (3, 1, 2, 5, 4)]
    for name in names:
        stage.job(whole(), name)
    found: list[str] = []
    answer = stage.wire("GET", "/jobs/imports", headers={"max-items-per-page": "2"})
    while True:
        found += [job["id"] for job in answer.json["value"]]
        link = answer.json["nextLink"]
        if link is None:
            break
        path, _, query = link.removeprefix(stage.wire.server.endpoint).partition("?")
        answer = stage.wire("GET", path, query=query, headers={"max-items-per-page": "2"})
    assert found == names
    for token, status in (
        ("x", 400),
        ("[]", 400),
        ('[{"token":"+RID:~x"}]', 400),
        (f'[{{"token":"-{"9" * 40}"}}]', 200),
    ):
        query = f"api-version=2023-10-31&continuationToken={quote(token)}"
        assert stage.wire("GET", "/jobs/imports", query=query).status == status, token


@pytest.mark.parametrize("job", ["A b", "ä/%", "x" * 128, "J", "j"])
def test_a_job_id_is_taken_as_it_is_given(stage: Any, job: str) -> None:
    body = {"inputBlobUri": f"{ACCOUNT}/in.ndjson", "outputBlobUri": f"{ACCOUNT}/out.log"}
    path = f"/jobs/imports/{quote(job, safe='')}"
    assert stage.wire("PUT", path, body).json["id"] == job
    stage.end(quote(job, safe=""))
    other = stage.wire("PUT", f"/jobs/imports/{quote(job.swapcase(), safe='')}", body)
    assert other.status == (409 if job.swapcase() == job else 201)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"inputBlobUri": 1, "outputBlobUri": f"{ACCOUNT}/o"},
        {"inputBlobUri": f"{ACCOUNT}/i"},
        {"inputBlobUri": "", "outputBlobUri": f"{ACCOUNT}/o"},
    ],
)
def test_a_body_without_two_uris_is_refused(stage: Any, body: Any) -> None:
    assert stage.wire("PUT", "/jobs/imports/job", body).status == 400
    assert stage.wire("PUT", f"/jobs/imports/{'x' * 129}", body).status == 400


def test_a_job_is_forgotten_after_thirty_days(wire_to: Any, tmp_path: Path) -> None:
    wire = wire_to(Options(blob_folder=tmp_path, clock=FakeClock()))
    assert Stage(wire, tmp_path).job(whole())["status"] == "succeeded"
    wire.server.advance(30 * 86_400 - 10)
    assert wire("GET", "/jobs/imports/job").status == 200
    wire.server.advance(20)
    assert wire("GET", "/jobs/imports/job").code == "JobNotFound"


def test_older_versions_have_no_jobs(stage: Any) -> None:
    for version, imports, deletions in (
        ("2022-05-31", 404, 404),
        ("2023-02-27-preview", 200, 404),
        ("2023-06-30", 200, 404),
        ("2023-10-31", 200, 200),
    ):
        query = f"api-version={version}"
        assert stage.wire("GET", "/jobs/imports", query=query).status == imports
        assert stage.wire("GET", "/jobs/deletions", query=query).status == deletions
    body = {"inputBlobUri": f"{ACCOUNT}/in", "outputBlobUri": f"{ACCOUNT}/out"}
    for method, path, sent in (
        ("PUT", "/jobs/imports/j", body),
        ("GET", "/jobs/imports/j", None),
        ("POST", "/jobs/imports/j/cancel", None),
        ("DELETE", "/jobs/imports/j", None),
        ("POST", "/jobs/deletions", None),
        ("GET", "/jobs/deletions/j", None),
    ):
        old = "2022-05-31" if "imports" in path else "2023-06-30"
        assert stage.wire(method, path, sent, query=f"api-version={old}").code == "NotFound"


def test_the_preview_shows_the_end_that_is_not_there_yet_as_null(stage: Any, silent: str) -> None:
    endless(stage.wire, silent)
    shown = stage.wire("GET", "/jobs/imports/job", query="api-version=2023-02-27-preview").json
    assert shown["finishedDateTime"] is None
    assert "finishedDateTime" not in stage.wire("GET", "/jobs/imports/job").json


def test_others_are_served_while_a_job_runs_and_their_conditions_hold(stage: Any) -> None:
    stage.job(whole([FLOOR, METER], MANY[:10]), "first")
    wire = stage.wire
    mine = floor("mine", level=0)
    del mine["$dtId"]
    begun = wire("PUT", "/digitaltwins/mine", mine)
    etag, applied = begun.etag, 0
    stage.start(whole([], MANY, CHAIN))
    slowest = 0.0
    while wire("GET", "/jobs/imports/job").json["status"] != "succeeded":
        started = time.monotonic()
        patch = [{"op": "replace", "path": "/level", "value": applied + 1}]
        answer = wire("PATCH", "/digitaltwins/mine", patch, headers={"If-Match": etag})
        slowest = max(slowest, time.monotonic() - started)
        assert answer.status == 204
        applied, etag = applied + 1, answer.etag
        assert wire("PATCH", "/digitaltwins/mine", patch, headers={"If-Match": begun.etag}).status == 412
    assert applied > 3
    assert slowest < 5
    assert wire("GET", "/digitaltwins/mine").json["level"] == applied
    assert stage.counts() == (2, 4001, 3999)


def test_a_reset_ends_the_job_that_runs_and_forgets_it(stage: Any, silent: str) -> None:
    endless(stage.wire, silent)
    stage.wire.server.reset()
    assert stage.wire("GET", "/jobs/imports").json["value"] == []
    assert stage.start(whole([FLOOR, METER], MANY, CHAIN)).status == 201
    while stage.counts()[1] < 100:
        pass
    stage.wire.server.reset()
    time.sleep(0.1)
    assert stage.counts() == (0, 0, 0)
    assert stage.job(whole(), "next")["status"] == "succeeded"


def test_a_job_that_a_stopped_server_left_is_failed_and_says_so(tmp_path: Path, wire_of: Any, silent: str) -> None:
    options = Options(tmp_path / "adt.sqlite", blob_folder=tmp_path)
    with LocalAdt(options) as server:
        wire = wire_of(server)
        endless(wire, silent)
        wire.close()
    with LocalAdt(options) as server:
        wire = wire_of(server)
        job = wire("GET", "/jobs/imports/job").json
        wire.close()
    assert (job["status"], job["error"]["code"]) == ("failed", "ServerStopped")
    assert job["finishedDateTime"] >= job["createdDateTime"]


# --- delete jobs


def test_a_delete_job_removes_everything_but_routes_and_jobs(stage: Any) -> None:
    stage.job(whole([FLOOR, METER], MANY[:700], CHAIN[:600]), "import")
    wire = stage.wire
    wire.endpoint("events", kind="file", path=str(stage.folder / "events.ndjson"))
    wire("PUT", "/eventroutes/r", {"endpointName": "events", "filter": "true"})
    begun = wire("POST", "/jobs/deletions", headers={"operation-id": "gone 1"})
    assert (begun.status, begun.json["status"], begun.headers["operation-id"]) == (202, "notstarted", "gone 1")
    assert list(begun.json) == ["id", "createdDateTime", "purgeDateTime", "status"]
    path, _, query = begun.headers["operation-location"].removeprefix(wire.server.endpoint).partition("?")
    limit = time.monotonic() + DEADLINE
    while (job := wire("GET", path, query=query).json)["status"] != "succeeded":
        assert time.monotonic() < limit
    assert list(job) == ["id", "createdDateTime", "finishedDateTime", "purgeDateTime", "status"]
    assert stage.counts() == (0, 0, 0)
    assert wire.query("SELECT * FROM DIGITALTWINS") == []
    assert wire("GET", "/eventroutes/r").status == 200
    assert wire("GET", "/jobs/imports/import").status == 200
    assert [one["id"] for one in wire("GET", "/jobs/deletions").json["value"]] == ["gone 1"]
    assert not (stage.folder / "events.ndjson").exists()
    again = wire("POST", "/jobs/deletions", headers={"operation-id": "gone 1"})
    assert (again.status, again.code) == (400, "ValidationFailed")
    assert wire("GET", "/jobs/deletions/other").code == "DeleteJobNotFound"


@pytest.mark.parametrize("minutes", ["14", "1441", "-15", "x", "", "1e2", "15.5", "٢٠"])
def test_a_timeout_outside_the_published_range_is_refused(stage: Any, minutes: str) -> None:
    query = f"api-version=2023-10-31&timeoutInMinutes={quote(minutes)}"
    assert stage.wire("POST", "/jobs/deletions", query=query).code == "ValidationFailed"


class Hurrying(FakeClock):
    """Every look at it takes two minutes."""

    def monotonic(self) -> float:
        self.steady += 120
        return self.steady


def test_a_deletion_that_takes_longer_than_it_may_fails_and_what_it_left_is_whole(wire_to: Any, tmp_path: Path) -> None:
    clock = Hurrying()
    stage = Stage(wire_to(Options(blob_folder=tmp_path, clock=clock)), tmp_path)
    stage.job(whole([FLOOR, METER], MANY, CHAIN), "import")
    begun = stage.wire("POST", "/jobs/deletions", query="api-version=2023-10-31&timeoutInMinutes=18")
    assert begun.status == 202
    ended = stage.end(begun.json["id"], "deletions")
    assert (ended["status"], ended["error"]["code"]) == ("failed", "Timeout")
    models, twins, relationships = stage.counts()
    assert (models, relationships < len(CHAIN), twins > 0) == (2, True, True)
    assert relationships == 0 or twins == len(MANY)
    begun = stage.wire("POST", "/jobs/deletions", query="api-version=2023-10-31&timeoutInMinutes=1440")
    assert stage.end(begun.json["id"], "deletions")["status"] == "succeeded"
    assert stage.counts() == (0, 0, 0)


def test_a_twin_is_deleted_together_with_what_leaves_and_reaches_it(stage: Any) -> None:
    twins, links = (
        [floor("a"), floor("a\0b"), floor("c"), floor("d")],
        [above("a\0b", "c"), above("d", "a\0b"), above("c", "d")],
    )
    assert stage.job(whole([FLOOR, METER], twins, links), "import")["status"] == "succeeded"
    assert stage.counts() == (2, 4, 3)
    store: Store = stage.wire.instance.store

    async def delete() -> None:
        assert store.delete_twins(4, 1) == ([1], [])  # an id that is the begin of another one, up to a NUL
        assert store.delete_twins(4, 1) == ([2], [1, 2])
        assert store.delete_twins(4, 5) == ([3, 4], [3])
        store.rollback()

    stage.wire.run(delete)


def test_with_a_query_lag_queries_see_a_deletion_later(wire_to: Any, tmp_path: Path) -> None:
    wire = wire_to(Options(blob_folder=tmp_path, query_lag=5, clock=FakeClock()))
    stage = Stage(wire, tmp_path)
    stage.job(whole([FLOOR, METER], MANY[:20], CHAIN[:10]), "import")
    wire.server.advance(5)
    begun = wire("POST", "/jobs/deletions").json["id"]
    assert stage.end(begun, "deletions")["status"] == "succeeded"
    assert len(wire.query("SELECT * FROM DIGITALTWINS")) == 20
    wire.server.advance(5)
    assert wire.query("SELECT * FROM DIGITALTWINS") == []
    assert wire.query("SELECT * FROM RELATIONSHIPS") == []


def test_what_is_written_while_everything_is_deleted_never_leads_nowhere(stage: Any) -> None:
    stage.job(whole([FLOOR, METER], MANY, CHAIN), "import")
    stop = threading.Event()
    statuses: set[int] = set()

    def relate() -> None:
        number = 0
        from http.client import HTTPConnection

        client = HTTPConnection(stage.wire.server.endpoint.removeprefix("http://"))
        while not stop.is_set():
            number += 1
            body = json.dumps({"$relationshipName": "above", "$targetId": f"t{3999 - number % 500}"})
            path = f"/digitaltwins/t{3000 + number % 400}/relationships/late{number}?api-version=2023-10-31"
            client.request("PUT", path, body)
            answer = client.getresponse()
            answer.read()
            statuses.add(answer.status)
        client.close()

    writer = threading.Thread(target=relate)
    writer.start()
    job = stage.wire("POST", "/jobs/deletions").json["id"]
    assert stage.end(job, "deletions")["status"] == "succeeded"
    stop.set()
    writer.join()
    assert statuses <= {200, 404, 400}
    assert stage.counts()[1:] == (0, 0)
