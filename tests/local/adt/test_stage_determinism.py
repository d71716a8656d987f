"""With a seed and a fake clock, the same requests get the same bytes."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import LocalAdt, Options

API = "api-version=2023-10-31"
ROOM = "dtmi:test:Room;1"
Sent = tuple[str, str, Any, dict[str, str]]


def mixed(make_interface: Any, make_prop: Any) -> Iterator[Sent]:
    """About 200 requests of every kind, those that are refused included."""
    room = make_interface(
        "Room", make_prop("name", "string"), make_prop("level", "double"), {"@type": "Relationship", "name": "near"}
    )
    patch = {"Content-Type": "application/json-patch+json"}
    yield "POST", f"/models?{API}", [room, make_interface("Other")], {}
    yield "POST", f"/models?{API}", [room], {}
    yield "GET", f"/models?{API}", None, {"max-items-per-page": "1"}
    for number in range(30):
        twin = f"/digitaltwins/t{number}"
        yield "PUT", f"{twin}?{API}", {"$metadata": {"$model": ROOM}, "name": f"n{number}"}, {}
        yield "PATCH", f"{twin}?{API}", [{"op": "add", "path": "/level", "value": number / 3}], patch
        yield "PATCH", f"{twin}?{API}", {"not": "a patch"}, patch
        if number:
            body = {"$relationshipName": "near", "$targetId": "t0"}
            yield "PUT", f"{twin}/relationships/r?{API}", body, {}
        yield "GET", f"{twin}?{API}", None, {"traceparent": f"00-{number:032x}-{1:016x}-01"}
        yield "POST", "/_remhart/clock", {"advance_s": 0.25}, {}
    yield "GET", f"/digitaltwins/t0/incomingrelationships?{API}", None, {}
    yield "GET", f"/digitaltwins/none?{API}", None, {}
    yield "POST", f"/digitaltwins/t0/telemetry?{API}", {"x": 1}, {}
    yield "POST", "/_remhart/faults", {"status": 500, "probability": 0.5, "count": None, "path": "/models"}, {}
    for _ in range(10):
        yield "GET", f"/models/{quote(ROOM)}?{API}", None, {}
    yield "POST", f"/query?{API}", {"query": "SELECT * FROM digitaltwins WHERE level > 3"}, {"max-items-per-page": "4"}
    yield "POST", f"/query?{API}", {"query": "foo"}, {}
    for number in range(0, 30, 7):
        yield "DELETE", f"/digitaltwins/t{number}/relationships/r?{API}", None, {}
        yield "DELETE", f"/digitaltwins/t{number}?{API}", None, {}
    yield "GET", "/_remhart/faults", None, {}
    yield "GET", "/_remhart/journal", None, {}
    yield "GET", "/_remhart/export?exact=true", None, {}
    yield "GET", "/_remhart/health", None, {}


def transcript(server: LocalAdt, sent: list[Sent]) -> list[bytes]:
    """The bytes of each answer. The Host header is always the same, since links are made of it."""
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    answers = []
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        file = connection.makefile("rb")
        for method, target, body, headers in sent:
            content = b"" if body is None else json.dumps(body).encode()
            lines = [f"{method} {target} HTTP/1.1", "Host: local.localhost", f"Content-Length: {len(content)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
            answers.append(_answer(file))
    return answers


def _answer(file: Any) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += file.readline()
    fields = dict(line.lower().split(b": ", 1) for line in head.strip().splitlines()[1:])
    if b"chunked" not in fields.get(b"transfer-encoding", b""):
        return head + bytes(file.read(int(fields[b"content-length"])))
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    file.readline()
    return head + body  # how an answer is cut into chunks is the network's affair


def run(sent: list[Sent], seed: int) -> list[bytes]:
    with LocalAdt(Options(clock=FakeClock(), seed=seed)) as server:
        return transcript(server, sent)


def test_two_runs_with_one_seed_are_the_same_to_the_byte(make_interface: Any, make_prop: Any) -> None:
    sent = list(mixed(make_interface, make_prop))
    assert len(sent) > 180
    first, second, other = run(sent, 5), run(sent, 5), run(sent, 6)
    for request, one, two in zip(sent, first, second, strict=True):
        assert one == two, request
    assert first[3] != other[3]
    statuses = {answer[9:12] for answer in first}
    assert {b"200", b"201", b"204", b"400", b"404", b"409", b"500"} <= statuses


def rehearsed(sent: list[Sent], events: Path) -> tuple[list[bytes], bytes]:
    """The same with limits, a query lag, and an event route to a file: the answers, and what is in the file."""
    options = Options(clock=FakeClock(), seed=5, throttle=True, capacity=0.01, retry_after=9, query_lag=2.0)
    with LocalAdt(options) as server:
        server.control.put_endpoint("out", {"kind": "file", "path": str(events)})
        route = ("PUT", f"/eventroutes/r?{API}", {"endpointName": "out", "filter": "true"}, {})
        answers = transcript(server, [route, *sent])
        limit = time.monotonic() + 20
        while server.health()["events"]["local"]["pending"]:
            assert time.monotonic() < limit
            time.sleep(0.005)
    return answers, events.read_bytes()


def test_limits_lag_and_events_are_the_same_as_well(tmp_path: Path, make_interface: Any, make_prop: Any) -> None:
    sent: list[Sent] = []
    for request in mixed(make_interface, make_prop):
        if "health" in request[1]:  # counts what is delivered, which happens beside the requests
            continue
        sent.append(request)
        if request[1].startswith("/digitaltwins/t29?"):
            sent += [request] * 11
    (first, wrote), (second, again) = (rehearsed(sent, tmp_path / f"{run}.ndjson") for run in "ab")
    assert first == second
    assert wrote == again
    statuses = Counter(answer[9:12] for answer in first)
    assert statuses[b"429"] > 10
    kinds = Counter(json.loads(line)["type"].rpartition(".")[2] for line in wrote.splitlines())
    assert kinds.keys() >= {"Create", "Update", "telemetry"}


def test_after_a_reset_a_seeded_server_draws_as_at_its_start(make_interface: Any, make_prop: Any) -> None:
    sent = list(mixed(make_interface, make_prop))
    with LocalAdt(Options(clock=FakeClock(), seed=5)) as server:
        first = transcript(server, sent)
        server.reset()
        assert transcript(server, sent) == first


def test_without_a_seed_no_two_runs_are_alike(make_interface: Any) -> None:
    body = {"$metadata": {"$model": ROOM}}
    sent: list[Sent] = [
        ("POST", f"/models?{API}", [make_interface("Room")], {}),
        ("PUT", f"/digitaltwins/a?{API}", body, {}),
    ]
    tags = set()
    for _ in range(2):
        with LocalAdt(Options(clock=FakeClock())) as server:
            tags.add(transcript(server, sent)[1])
    assert len(tags) == 2
