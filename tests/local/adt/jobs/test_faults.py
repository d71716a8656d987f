"""Jobs when something fails beside them or in their storage, and when they are cancelled at an awkward moment."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from job_stage import DEADLINE, FLOOR, METER, Stage, above, floor, whole

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import Options
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.jobs import blobs
from remhart_adt.local.adt.jobs.azure_blobs import unwritable
from remhart_adt.local.adt.store import Store

TWINS = [floor(f"t{number}", level=number) for number in range(1500)]
CHAIN = [above(f"t{number}", f"t{number + 1}") for number in range(1499)]


def test_a_transaction_that_fails_is_done_again(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Store.commit_now
    commits = [0]

    def failing(self: Store) -> None:
        if self.pending:
            commits[0] += 1
            if commits[0] > 1 and commits[0] % 3:  # each of them twice, but for the request that starts the job
                raise sqlite3.OperationalError("the disk is full")
        real(self)

    monkeypatch.setattr(Store, "commit_now", failing)
    assert stage.start(whole([FLOOR, METER], TWINS, CHAIN)).status == 201
    limit = time.monotonic() + DEADLINE
    while b'"status":"succeeded"' not in (answer := stage.wire("GET", "/jobs/imports/job")).body:
        assert time.monotonic() < limit, answer.body
        time.sleep(0.01)
    assert commits[0] > 10
    assert stage.counts() == (2, len(TWINS), len(CHAIN))
    assert stage.problems() == []
    assert stage.wire("GET", "/models").json["value"][1]["id"] == METER["@id"]


def test_a_disk_that_stays_full_fails_the_job_and_what_stands_is_whole(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Store.write_many
    written = 0

    def full(self: Store, sql: str, rows: Any) -> None:
        nonlocal written
        given = list(rows)
        if written > 300:
            real(self, sql, given[:1])
            raise sqlite3.OperationalError("database or disk is full")
        real(self, sql, given)
        written += len(given)

    monkeypatch.setattr(Store, "write_many", full)
    ended = stage.job(whole([FLOOR, METER], TWINS, CHAIN))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "StorageFailed")
    assert "disk is full" in ended["error"]["message"]
    assert 300 < written < len(TWINS)
    assert stage.counts() == (2, written, 0)
    assert len(stage.wire.query("SELECT $dtId FROM DIGITALTWINS")) == written
    assert stage.log()[-1]["status"] == "Failed"


def test_a_model_that_others_delete_while_those_of_the_job_are_parsed_is_missed(
    stage: Any, monkeypatch: pytest.MonkeyPatch, wire_of: Any
) -> None:
    stage.wire.models(METER)
    other = wire_of(stage.wire.server)
    real = Catalog.parse

    def parse(self: Catalog, definitions: list[Any]) -> Any:
        parsed = real(self, definitions)
        assert other("DELETE", f"/models/{METER['@id']}").status == 204
        return parsed

    monkeypatch.setattr(Catalog, "parse", parse)
    ended = stage.job(whole([FLOOR], [floor("a")]))
    other.close()
    assert (ended["status"], ended["error"]["code"]) == ("failed", "DTDLParsingError")
    assert METER["@id"] in ended["error"]["message"]
    assert stage.counts() == (0, 0, 0)


def test_a_log_that_cannot_be_written_any_more_fails_the_job(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append(_self: Any, _data: bytes) -> None:
        raise unwritable()

    monkeypatch.setattr(blobs._FileWriter, "append", append)
    refused = [floor(f"bad{number}", level="x") for number in range(4000)]
    ended = stage.job(whole([FLOOR, METER], [*refused, floor("last")]))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToWriteToOutputBlob")
    assert stage.counts() == (2, 0, 0)  # it stopped long before the last one


def test_the_first_failure_is_told_when_the_log_fails_too(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append(_self: Any, _data: bytes) -> None:
        raise unwritable()

    monkeypatch.setattr(blobs._FileWriter, "append", append)
    assert stage.job(b"no header")["error"]["code"] == "UnsupportedFileFormat"


def test_a_job_that_is_cancelled_before_it_begins_does_nothing(
    tmp_path: Path, wire_of: Any, wire_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    real = os.fdatasync

    def held(fd: int) -> None:
        begun.set()
        assert may_end.wait(20)
        real(fd)

    stage = Stage(wire_to(Options(tmp_path / "adt.sqlite", blob_folder=tmp_path)), tmp_path)
    clients = [wire_of(stage.wire.server) for _ in range(2)]
    content = whole([FLOOR, METER], TWINS)
    starter = threading.Thread(target=Stage(clients[0], tmp_path).start, args=(content,))
    canceller = threading.Thread(target=clients[1], args=("POST", "/jobs/imports/job/cancel"))
    monkeypatch.setattr(os, "fdatasync", held)
    starter.start()
    assert begun.wait(20)
    canceller.start()
    limit = time.monotonic() + DEADLINE
    while stage.wire("GET", "/jobs/imports/job").json["status"] not in ("cancelling", "cancelled"):
        assert time.monotonic() < limit
    may_end.set()
    starter.join()
    canceller.join()
    assert stage.end()["status"] == "cancelled"
    assert stage.counts() == (0, 0, 0)
    for client in clients:
        client.close()


def test_a_reset_leaves_a_job_alone_that_is_started_right_after_it(
    stage: Any, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = blobs._FileWriter.close
    may_close, closed = threading.Event(), threading.Event()

    async def late(self: Any) -> None:
        while not may_close.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await real(self)
        closed.set()

    monkeypatch.setattr(blobs._FileWriter, "close", late)
    assert stage.start(whole([FLOOR, METER], TWINS, CHAIN)).status == 201
    while not stage.counts()[1]:
        pass
    stage.wire.server.reset()
    body = {"inputBlobUri": f"{silent}/in.ndjson", "outputBlobUri": f"{silent}/out.log"}
    assert stage.wire("PUT", "/jobs/imports/next", body).status == 201
    may_close.set()
    assert closed.wait(20)
    assert stage.wire("GET", "/jobs/imports/next").json["status"] == "running"
    assert stage.wire("POST", "/jobs/deletions").status == 429


def test_who_sees_that_a_job_has_ended_can_start_the_next_one(
    tmp_path: Path, wire_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(wire_to(Options(tmp_path / "adt.sqlite", blob_folder=tmp_path)), tmp_path)
    real = os.fdatasync

    def slow(fd: int) -> None:
        time.sleep(0.05)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    for number in range(3):
        assert stage.job(whole(), f"job{number}")["status"] == "succeeded"


def test_looking_at_a_job_does_not_change_what_others_get(tmp_path: Path, wire_to: Any) -> None:
    """With a seed and a fake clock, whoever asks for the job ten times gets the same afterwards as who asks once. And
    the entity tags that requests get are those they would get without any job."""
    wire = wire_to(Options(clock=FakeClock(), seed=5))
    wire.models(FLOOR, METER)
    alone = wire.twin("t0", FLOOR["@id"], meter={"$metadata": {}}).etag
    answers = []
    for looks in (0, 10):
        folder = tmp_path / str(looks)
        folder.mkdir()
        stage = Stage(wire_to(Options(blob_folder=folder, clock=FakeClock(), seed=5)), folder)
        assert stage.job(whole([FLOOR, METER], TWINS[:300], CHAIN[:200]))["status"] == "succeeded"
        for _ in range(looks):
            stage.end()
        put = stage.wire("PUT", "/digitaltwins/t0", {key: TWINS[0][key] for key in ("$metadata", "meter")})
        assert put.etag == alone
        answers.append([put.body, stage.wire("GET", "/digitaltwins/t7").body, stage.wire("GET", "/jobs/imports").body])
    assert answers[0] == answers[1]
