"""The server as a process: ready line, signals, restart, refusals, and SIGKILL under write load."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options, serve

pytestmark = pytest.mark.process

MODEL = {
    "@id": "dtmi:crash:Counter;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;3",
    "contents": [
        {"@type": "Property", "name": "value", "schema": "integer"},
        {"@type": "Property", "name": "padding", "schema": "string"},
        {
            "@type": "Relationship",
            "name": "next",
            "properties": [{"@type": "Property", "name": "w", "schema": "integer"}],
        },
    ],
}
VERSION = "?api-version=2023-10-31"


class Process:
    """A server process; `endpoint` once it is ready."""

    def __init__(self, **arguments: Any) -> None:
        code = "from pathlib import PosixPath; from remhart_adt.local.adt import Options, serve"
        code += f"; serve(Options(**{arguments!r}))"
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.popen.stdout is not None
        self.ready = self.popen.stdout.readline()
        self.endpoint = json.loads(self.ready)["endpoint"] if self.ready else ""

    def stop(self, number: int) -> int:
        self.popen.send_signal(number)
        code = self.popen.wait(20)
        self.close()
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start() -> Iterator[Any]:
    running: list[Process] = []

    def begin(**arguments: Any) -> Process:
        running.append(Process(**arguments))
        return running[-1]

    yield begin
    for process in running:
        process.close()


def call(endpoint: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    split = urlsplit(endpoint)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=20)
    try:
        connection.request(method, path + VERSION, None if body is None else json.dumps(body))
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_ready_line_then_a_clean_exit_on_a_signal(start: Any, number: int) -> None:
    process = start()
    assert json.loads(process.ready) == {"endpoint": process.endpoint, "admin": f"{process.endpoint}/_remhart"}
    assert call(process.endpoint, "GET", "/models")[0] == 200
    process.popen.send_signal(number)
    out, err = process.popen.communicate(timeout=20)
    assert (process.popen.returncode, out, err) == (0, "", "")


def test_a_file_is_found_again_and_its_port_bound_again_at_once(start: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "adt.sqlite")
    first = start(data=file)
    port = urlsplit(first.endpoint).port
    call(first.endpoint, "POST", "/models", [MODEL])
    body = {"$metadata": {"$model": MODEL["@id"]}, "value": 1}
    _, twin = call(first.endpoint, "PUT", "/digitaltwins/a", body)
    idle = socket.create_connection(("127.0.0.1", port))  # an open connection must not keep the port
    first.stop(signal.SIGKILL)
    second = start(data=file, port=port)
    idle.close()
    assert second.endpoint == first.endpoint
    assert call(second.endpoint, "GET", "/digitaltwins/a") == (200, twin)
    assert call(second.endpoint, "PUT", "/digitaltwins/b", body)[0] == 200
    assert second.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_acknowledged_is_lost_by_sigkill(start: Any, tmp_path: Path, seed: int) -> None:
    file, journal = str(tmp_path / "adt.sqlite"), tmp_path / "journal.ndjson"
    code = {"data": file, "journal": journal}
    process = start(**code)
    call(process.endpoint, "POST", "/models", [MODEL])
    names = [f"t{number}" for number in range(6)]
    for name in names:
        call(process.endpoint, "PUT", f"/digitaltwins/{name}", {"$metadata": {"$model": MODEL["@id"]}, "value": 0})
    acknowledged = dict.fromkeys(names, 0)
    made: list[str] = []

    def write(name: str) -> None:
        """Count a twin's value up and add relationships, noting only what was acknowledged, until the end."""
        split = urlsplit(process.endpoint)
        connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=20)
        try:
            for value in range(1, 1_000_000):
                patch = [
                    {"op": "add", "path": "/value", "value": value},
                    {"op": "add", "path": "/padding", "value": "x" * (value % 3000)},
                ]
                connection.request("PATCH", f"/digitaltwins/{name}{VERSION}", json.dumps(patch))
                response = connection.getresponse()
                response.read()
                assert response.status == 204
                acknowledged[name] = value
                if value % 10 == 0:
                    path = f"/digitaltwins/{name}/relationships/r{value}{VERSION}"
                    target = names[names.index(name) - 1]
                    connection.request("PUT", path, json.dumps({"$relationshipName": "next", "$targetId": target}))
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200
                    made.append(f"{name}/relationships/r{value}")
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(name,)) for name in names]
    for writer in writers:
        writer.start()
    time.sleep(0.4 + random.Random(seed).random() * 0.5)
    process.stop(signal.SIGKILL)
    for writer in writers:
        writer.join()

    assert min(acknowledged.values()) > 0
    again = start(**code)
    for name, value in acknowledged.items():
        _, twin = call(again.endpoint, "GET", f"/digitaltwins/{name}")
        assert twin["value"] in (value, value + 1)  # one more may have been written and not acknowledged
        assert len(twin["padding"]) == twin["value"] % 3000
    for path in made:
        assert call(again.endpoint, "GET", f"/digitaltwins/{path}")[0] == 200
    assert again.stop(signal.SIGTERM) == 0
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    patched = [(row["path"], row["body"][0]["value"]) for row in rows if row["method"] == "PATCH"]
    assert {(f"/digitaltwins/{name}", value) for name, value in acknowledged.items()} <= set(patched)


def test_other_than_loopback_addresses_are_refused_unless_allowed() -> None:
    with pytest.raises(LocalServerError, match="allow-remote"):
        serve(Options(host="0.0.0.0"))
    with pytest.raises(LocalServerError, match="not an address"):
        serve(Options(host="no such host"))


async def test_a_remote_address_is_served_when_allowed() -> None:
    async with LocalAdt(Options(host="0.0.0.0", allow_remote=True)) as server:
        port = urlsplit(server.endpoint).port
        assert call(f"http://127.0.0.1:{port}", "GET", "/models")[0] == 200


def test_a_taken_port_and_a_foreign_file_say_what_is_wrong(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LocalServerError, match="cannot listen"):
            LocalAdt(Options(port=taken.getsockname()[1])).start()
    foreign = tmp_path / "notes.txt"
    foreign.write_text("this is no database, and it is long enough to look like one" * 100)
    with pytest.raises(LocalServerError, match="data file"):
        LocalAdt(Options(data=foreign)).start()
    assert foreign.read_text().startswith("this is no database")
    with pytest.raises(LocalServerError, match="journal"):
        LocalAdt(Options(journal=tmp_path / "no folder" / "journal")).start()


async def test_the_handle_starts_and_stops_in_this_process(tmp_path: Path) -> None:
    async with LocalAdt(Options(data=tmp_path / "adt.sqlite")) as server:
        assert server.admin == f"{server.endpoint}/_remhart"
        assert call(server.endpoint, "GET", "/models") == (200, {"value": [], "nextLink": None})
    with pytest.raises(ConnectionRefusedError):
        call(server.endpoint, "GET", "/models")
    server.stop()


def test_a_data_file_of_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "adt.sqlite"
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(LocalServerError, match="format 99"):
        serve(Options(data=file))
