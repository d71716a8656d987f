"""Where jobs may read and write: nothing leads out of the folder or to other hosts, and no signature is kept."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from job_stage import ACCOUNT, FLOOR, METER, Stage, floor, whole

from remhart_adt.local.adt import LocalAdt, Options

CONTENT = whole([FLOOR, METER], [floor("a")])


def put(wire: Any, source: str, target: str = f"{ACCOUNT}/out.log", job: str = "job") -> Any:
    return wire("PUT", f"/jobs/imports/{job}", {"inputBlobUri": source, "outputBlobUri": target})


def test_a_file_url_into_the_folder_is_a_blob(stage: Any) -> None:
    file = stage.folder / "some where" / "in.ndjson"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    assert put(stage.wire, file.as_uri(), (stage.folder / "out.log").as_uri()).status == 201
    assert stage.end()["status"] == "succeeded"
    assert json.loads((stage.folder / "out.log").read_text().splitlines()[-1])["details"] == {"status": "Succeeded"}


@pytest.mark.parametrize(
    "uri",
    [
        "invalidUri",
        "ftp://account.blob.core.windows.net/jobs/in",
        "https://account.blob.core.windows.net/jobs",
        "https://account.blob.core.windows.net/jobs/../../in",
        "https://account.blob.core.windows.net/jobs/%2e%2e/%2e%2e/in",
        "https://account.blob.core.windows.net/jobs/a%2fb",
        "https://account.blob.core.windows.net/jobs/a%00",
        "https://me:pw@account.blob.core.windows.net/jobs/in",
        "https://account.blob.core.windows.net:x/jobs/in",
        "file:///etc/hostname",
        "file://other/etc/hostname",
        "file:in.ndjson",
        "https://account.blob.core.windows.net/jobs/in\n",
        "https://[/jobs/in",
        "x" * 3000,
    ],
)
def test_a_uri_that_leads_elsewhere_or_nowhere_is_refused(stage: Any, uri: str) -> None:
    for answer in (put(stage.wire, uri), put(stage.wire, f"{ACCOUNT}/in", uri)):
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert "failed validation" in answer.json["error"]["message"]


def test_a_link_out_of_the_folder_is_not_followed(stage: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "in.ndjson"
    outside.write_bytes(CONTENT)
    (stage.folder / "jobs").mkdir()
    (stage.folder / "jobs" / "in.ndjson").symlink_to(outside)
    assert put(stage.wire, f"{ACCOUNT}/in.ndjson").status == 400


@pytest.mark.parametrize(
    "uri",
    ["http://10.0.0.1/c/b", "https://evil.example/c/b", "http://account.blob.core.windows.net/c/b", "file:///x/y"],
)
def test_without_a_folder_only_azure_storage_and_this_machine_are_asked(wire: Any, uri: str) -> None:
    answer = put(wire, uri)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_pipe_is_no_input(stage: Any) -> None:
    (stage.folder / "jobs").mkdir()
    os.mkfifo(stage.folder / "jobs" / "in.ndjson")
    assert stage.job(None)["status"] == "failed"


def test_a_shared_access_signature_is_neither_kept_nor_shown(tmp_path: Path, wire_of: Any) -> None:
    data = tmp_path / "adt.sqlite"
    journal = tmp_path / "journal.ndjson"
    with LocalAdt(Options(data, blob_folder=tmp_path, journal=journal)) as server:
        wire = wire_of(server)
        stage = Stage(wire, tmp_path)
        (tmp_path / "jobs").mkdir()
        (tmp_path / "jobs" / "in.ndjson").write_bytes(CONTENT)
        source = f"{ACCOUNT}/in.ndjson?sv=2024-01-01&sig=s3same%3D&sp=r"
        shown = put(wire, source, f"{ACCOUNT}/out.log?SIG=s3same2").json
        assert shown["inputBlobUri"] == f"{ACCOUNT}/in.ndjson?sv=2024-01-01&sig=***&sp=r"
        assert stage.end()["status"] == "succeeded"
        assert "s3same" not in json.dumps(server.journal()[0].body)
        refused = put(wire, "https://evil.example/c?sig=s3same", job="other")
        assert b"s3same" not in refused.body
        wire.close()
    with sqlite3.connect(data) as db:
        kept = " ".join(map(str, db.execute("SELECT * FROM jobs").fetchall()))
    db.close()
    assert "s3same" not in kept
    for file in (data, journal, tmp_path / "jobs" / "out.log"):
        assert b"s3same" not in file.read_bytes()
