"""Where jobs may read and write: nothing leads out of the folder or to other hosts, and no signature is kept."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from job_stage import ACCOUNT, FLOOR, METER, Stage, floor, whole

from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.local.adt.jobs.blobs import Blobs

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
    [
        "http://10.0.0.1/c/b",
        "https://evil.example/c/b",
        "https://evil.example/account.blob.core.windows.net/c/b",
        "https://account.blob.core.windows.net.evil.example/c/b",
        "http://account.blob.core.windows.net/c/b",
        "http://evil.example/devstoreaccount1/c/b",
        "http://169.254.169.254/devstoreaccount1/c/b",
        "http://10.0.0.1:10000/devstoreaccount1/c/b",
        "http://2852039166/devstoreaccount1/c/b",
        "http://0.0.0.0:10000/devstoreaccount1/c/b",
        "http://127.0.0.1:2375/containers/create/b",
        "http://127.0.0.1:10000/devstoreaccount1/c",
        "http://127.0.0.1:10000/devstoreaccount1/../x/y",
        "file:///x/y",
    ],
)
def test_without_a_folder_only_azure_storage_and_this_machine_are_asked(wire: Any, uri: str) -> None:
    answer = put(wire, uri)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:10000/devstoreaccount1/c/b",
        "http://[::1]:10000/devstoreaccount1/c/b",
        "http://localhost:10000/devstoreaccount1/c/some/where/b?sig=x",
        "http://azurite:10000/devstoreaccount1/c/b",
        "http://host.docker.internal:10000/devstoreaccount1/c/b",
        "https://account.blob.core.windows.net/c/b",
        "https://account.z12.blob.storage.azure.net/c/b",
        "https://ACCOUNT.blob.core.usgovcloudapi.net/c/b",
    ],
)
@pytest.mark.parametrize("folder", [None, Path("blobs")])
def test_azurite_and_azure_storage_may_be_asked(uri: str, folder: Path | None) -> None:
    Blobs(folder).check(uri)


@pytest.mark.parametrize("role", ["input", "output"])
def test_a_storage_cannot_send_the_server_elsewhere(stage: Any, role: str) -> None:
    asked: dict[str, list[str]] = {"storage": [], "elsewhere": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = "storage" if self.path.startswith("/devstoreaccount1/") else "elsewhere"
            asked[name].append(self.path)
            self.send_response(307 if name == "storage" else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_HEAD = do_GET
        log_message = staticmethod(lambda *_: None)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as storage:
        thread = threading.Thread(target=storage.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{storage.server_address[1]}/devstoreaccount1/c/b"
        other = f"{ACCOUNT}/other"
        answer = put(stage.wire, *((uri, other) if role == "input" else (other, uri)))
        ended = stage.end() if answer.status == 201 else None
        storage.shutdown()
        thread.join()
    assert ended is not None
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == f"UnableTo{'ReadInput' if role == 'input' else 'WriteToOutput'}Blob"
    assert (len(asked["storage"]) > 0, asked["elsewhere"]) == (True, [])


def test_a_job_replaces_an_older_log_and_no_other_file(stage: Any) -> None:
    assert stage.job(whole(), "first")["status"] == "succeeded"
    for name, old in (("in.ndjson", CONTENT), ("notes.txt", b"notes"), ("adt.sqlite", b"SQLite format 3\0")):
        file = stage.folder / "jobs" / name
        file.write_bytes(old)
        assert put(stage.wire, f"{ACCOUNT}/in.ndjson", f"{ACCOUNT}/{name}", name).status == 201
        ended = stage.end(name)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToWriteToOutputBlob")
        assert file.read_bytes() == old
    assert stage.counts() == (0, 0, 0)
    (stage.folder / "jobs" / "empty").touch()
    for name in ("first.log", "empty"):
        assert put(stage.wire, f"{ACCOUNT}/in.ndjson", f"{ACCOUNT}/{name}", f"to-{name}").status == 201
        assert stage.end(f"to-{name}")["status"] == "succeeded"
        lines = (stage.folder / "jobs" / name).read_text().splitlines()
        assert {json.loads(line)["jobId"] for line in lines} == {f"to-{name}"}


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
