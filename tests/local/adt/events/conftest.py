"""What the event tests share: endpoints of a running server, waiting for lines of a file, a web server that judges."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from remhart_adt.local.eventhub.testing import event_hub_client_leftovers as event_hub_client_leftovers
from remhart_adt.local.eventhub.testing import local_eventhub as local_eventhub

DEADLINE = 20.0


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition; fails after a while."""
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class EventsOf:
    """The events of a server in a thread of this process, through the functions that its control plane calls."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.instance = wire.instance
        self.run = wire.run
        self.endpoint = wire.endpoint

    def do(self, action: Callable[[Any], Any]) -> Any:
        """Something done with the events on the server's loop, in a transaction that is committed."""

        async def act() -> Any:
            result = action(self.instance.events)
            await self.instance.store.flush()
            return result

        return self.run(act)

    def route(self, endpoint: str, text: str = "true", name: str = "route") -> None:
        answer = self.wire("PUT", f"/eventroutes/{name}", {"endpointName": endpoint, "filter": text})
        assert answer.status == 204, answer.body

    until = staticmethod(until)
    lines = staticmethod(lines)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.do(lambda events: events.health())
        return found


class RawClient:
    """A connection to a server that may be killed; a broken one is an OSError."""

    def __init__(self, endpoint: str) -> None:
        split = urlsplit(endpoint)
        self._connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=10)

    def __call__(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        try:
            self._connection.request(method, f"{path}?api-version=2023-10-31", json.dumps(body))
            answer = self._connection.getresponse()
            answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        return answer

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def raw_client() -> Any:
    return RawClient


@pytest.fixture
def as_stage() -> Any:
    """A raw client of a server to that server's events."""
    return EventsOf


@pytest.fixture
def stage(house: Any) -> EventsOf:
    """The server `house`, with its events."""
    return EventsOf(house)


class Collected:
    """A route of everything to a file; `events(n)` waits for n of them."""

    def __init__(self, stage: EventsOf, path: Path) -> None:
        self.path = path
        stage.endpoint("file", kind="file", path=str(path))
        stage.route("file")

    def events(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = until(lambda: (got := lines(self.path)) and len(got) >= count and got)
        assert len(found) == count, found
        return found


@pytest.fixture
def collected(stage: EventsOf, tmp_path: Path) -> Collected:
    return Collected(stage, tmp_path / "events.ndjson")


class Judge:
    """A web server that keeps what it gets; `verdict` maps an event to the status it is answered with."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.types: list[str] = []
        self.verdict: Callable[[dict[str, Any]], int] = lambda _event: 200
        judge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = judge.verdict(event)
                judge.types.append(self.headers["Content-Type"])
                judge.got.append({**event, "_status": status})
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def accepted(self) -> list[dict[str, Any]]:
        return [event for event in self.got if event["_status"] < 300]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def judge() -> Iterator[Judge]:
    server = Judge()
    yield server
    server.close()
