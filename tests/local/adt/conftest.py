"""What the tests of the local ADT server share: a server, a raw HTTP client, and two small models."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.local.adt.instance import Instance
from remhart_adt.testing import local_adt as local_adt

API = "2023-10-31"


@dataclass(frozen=True)
class Answer:
    """A response; `json` is decoded with key order kept, None without a body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])

    @property
    def details(self) -> list[str]:
        return [detail["message"] for detail in self.json["error"]["details"]]

    @property
    def etag(self) -> str | None:
        return self.headers.get("etag")


class Wire:
    """Sends paths and bodies exactly as given."""

    def __init__(self, server: LocalAdt) -> None:
        self.server = server
        split = urlsplit(server.endpoint)
        self._connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=10)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = f"api-version={API}",
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
        target = f"{path}?{query}" if query and "?" not in path else path
        self._connection.request(method, target, sent, headers or {})
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, content)

    def close(self) -> None:
        self._connection.close()

    # what many tests begin with

    def models(self, *definitions: dict[str, Any]) -> None:
        answer = self("POST", "/models", list(definitions))
        assert answer.status == 201, answer.body

    def twin(self, twin_id: str, model: str, **properties: Any) -> Answer:
        answer = self("PUT", f"/digitaltwins/{twin_id}", {"$metadata": {"$model": model}, **properties})
        assert answer.status == 200, answer.body
        return answer

    def relate(self, source: str, relationship_id: str, name: str, target: str, **properties: Any) -> Answer:
        body = {"$relationshipName": name, "$targetId": target, **properties}
        answer = self("PUT", f"/digitaltwins/{source}/relationships/{relationship_id}", body)
        assert answer.status == 200, answer.body
        return answer

    def query(self, text: str, **headers: str) -> list[Any]:
        """All rows, following tokens over empty pages."""
        rows: list[Any] = []
        body: dict[str, Any] = {"query": text}
        while True:
            answer = self("POST", "/query", body, headers=headers)
            assert answer.status == 200, answer.body
            rows += answer.json["value"]
            token = answer.json["continuationToken"]
            if token is None:
                return rows
            body = {"continuationToken": token}

    def admin(self, method: str, path: str, body: Any = None) -> Answer:
        return self(method, f"/_remhart{path}", body, query="")

    # what lies behind the operations

    @property
    def instance(self) -> Instance:
        """The server's instance; only `run` may touch it."""
        server: Any = self.server._server
        found: Instance = server.instances.all()[0]
        return found

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """The result of an async function, run on the server's loop."""
        server: Any = self.server._server
        return asyncio.run_coroutine_threadsafe(function(), server.servers[0].get_loop()).result(20)

    def endpoint(self, name: str, **document: Any) -> None:
        """An endpoint for event routes."""
        self.server.control.put_endpoint(name, document)


@pytest.fixture(scope="session")
def session_server() -> Iterator[LocalAdt]:
    """One server for the tests that only need an empty one: starting and stopping costs more than most of them."""
    with LocalAdt(Options()) as server:
        yield server


@pytest.fixture
def wire(session_server: LocalAdt) -> Iterator[Wire]:
    """A raw client of an empty server."""
    client = Wire(session_server)
    assert client.admin("POST", "/reset").status == 204
    yield client
    client.close()


@pytest.fixture(scope="session")
def wire_of() -> Any:
    """A function from a server to a raw client of it, for fixtures of a wider scope than a test."""
    return Wire


@pytest.fixture
def wire_to() -> Iterator[Any]:
    """A function from `Options` to a raw client of a server with them."""
    running: list[tuple[LocalAdt, Wire]] = []

    def start(options: Options) -> Wire:
        server = LocalAdt(options).start()
        running.append((server, Wire(server)))
        return running[-1][1]

    yield start
    for server, client in running:
        client.close()
        server.stop()


def interface(name: str, *contents: dict[str, Any], version: int = 1, **more: Any) -> dict[str, Any]:
    """A DTDL v3 interface `dtmi:test:<name>;<version>`."""
    return {
        "@id": f"dtmi:test:{name};{version}",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
        "contents": list(contents),
        **more,
    }


def prop(name: str, schema: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema}


@pytest.fixture
def house(wire: Wire) -> Wire:
    """A server with three models: Room (properties of many kinds), Engine, Device (component engine)."""
    address = {
        "@type": "Object",
        "fields": [{"name": "street", "schema": "string"}, {"name": "no", "schema": "integer"}],
    }
    tags = {
        "@type": "Map",
        "mapKey": {"name": "key", "schema": "string"},
        "mapValue": {"name": "value", "schema": "double"},
    }
    room = interface(
        "Room",
        prop("name", "string"),
        prop("temperature", "double"),
        prop("floor", "integer"),
        prop("open", "boolean"),
        prop("seen", "dateTime"),
        prop("address", address),
        prop("tags", tags),
        prop("numbers", {"@type": "Array", "elementSchema": "integer"}),
        {
            "@type": "Relationship",
            "name": "contains",
            "target": "dtmi:test:Device;1",
            "properties": [prop("since", "integer")],
        },
        {"@type": "Relationship", "name": "near"},
    )
    engine = interface("Engine", prop("speed", "double"), prop("label", "string"))
    device = interface(
        "Device", prop("name", "string"), {"@type": "Component", "name": "engine", "schema": "dtmi:test:Engine;1"}
    )
    wire.models(room, engine, device)
    return wire


def talk(server: LocalAdt, sent: bytes, *, wait: float = 10.0) -> bytes:
    """What comes back for these bytes until the server closes or has been silent for `wait` seconds."""
    split = urlsplit(server.endpoint)
    got = b""
    address = (split.hostname or "", split.port or 0)
    with socket.create_connection(address, timeout=wait) as client, contextlib.suppress(OSError):
        client.sendall(sent)
        while part := client.recv(65536):
            got += part
    return got


@pytest.fixture
def say(session_server: LocalAdt) -> Any:
    """Sends bytes as they are, and what comes back; ask for `Connection: close`, or it waits for the time-out."""
    return lambda sent, **more: talk(session_server, sent, **more)


ROOM = "dtmi:test:Room;1"
DEVICE = "dtmi:test:Device;1"


@pytest.fixture
def make_interface() -> Any:
    return interface


@pytest.fixture
def make_prop() -> Any:
    return prop
