"""Clients that are slow, silent, greedy or many: each is ended in time, and nobody else notices."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.local.adt.protocol import Patience

VERSION = "api-version=2023-10-31"
ROOM = "dtmi:test:Room;1"
SHORT = Patience(head=0.6, body=0.6, answer=0.6, idle=1.2)


@contextlib.contextmanager
def connected(server: LocalAdt, **options: int) -> Iterator[socket.socket]:
    split = urlsplit(server.endpoint)
    client = socket.socket()
    client.settimeout(5)
    if "receive" in options:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive"])
    client.connect((split.hostname, split.port))
    with client:
        yield client


def ask(server: LocalAdt, path: str) -> int:
    """The status of a GET on a connection of its own: those of the tests' client are closed soon here."""
    with connected(server) as client:
        client.sendall(f"GET {path}?{VERSION} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return int(read_all(client).split(b" ", 2)[1])


def read_all(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            got += part
    return got


@pytest.fixture
def impatient(wire_to: Any, make_interface: Any, make_prop: Any) -> Any:
    wire = wire_to(Options(patience=SHORT))
    wire.models(make_interface("Room", make_prop("name", "string")))
    return wire


def test_a_request_head_that_trickles_in_is_ended(impatient: Any) -> None:
    with connected(impatient.server) as client:
        began = time.monotonic()
        client.sendall(b"GET /models HTTP/1.1\r\nHost: h\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 4:  # a header line now and then keeps no connection open
                client.sendall(b"X: y\r\n")
                time.sleep(0.1)
        answer = read_all(client)
        took = time.monotonic() - began
    assert took < 4
    assert answer.startswith(b"HTTP/1.1 408 ") or answer == b""
    assert ask(impatient.server, "/models") == 200


def test_a_head_that_stops_is_told_that_it_is_late(impatient: Any) -> None:
    with connected(impatient.server) as client:
        client.sendall(b"GET /models HTTP/1.1\r\nHo")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"RequestTimeout"' in answer


def test_a_body_that_stops_is_told_that_it_is_late_and_changes_nothing(impatient: Any) -> None:
    body = b'{"$metadata":{"$model":"dtmi:test:Room;1"}}'
    for framing in (
        b"Content-Length: 9999\r\n\r\n" + body,
        b"Transfer-Encoding: chunked\r\n\r\n2b\r\n" + body + b"\r\n",
    ):
        with connected(impatient.server) as client:
            client.sendall(f"PUT /digitaltwins/slow?{VERSION} HTTP/1.1\r\nHost: h\r\n".encode() + framing)
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert ask(impatient.server, "/digitaltwins/slow") == 404


def test_a_slow_body_that_goes_on_arrives(impatient: Any) -> None:
    body = b'{"$metadata":{"$model":"dtmi:test:Room;1"}}'
    with connected(impatient.server) as client:
        head = f"PUT /digitaltwins/slow?{VERSION} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        for at in range(0, len(body), 8):
            time.sleep(0.2)
            client.sendall(body[at : at + 8])
        assert read_all(client).startswith(b"HTTP/1.1 200 ")


def test_a_silent_connection_is_closed_after_the_keep_alive_time(impatient: Any) -> None:
    with connected(impatient.server) as client, connected(impatient.server) as used:
        used.sendall(f"GET /models?{VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        began = time.monotonic()
        assert read_all(client) == b""
        assert 0.8 < time.monotonic() - began < 4
        assert read_all(used).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_take_an_answer_is_cut_off(impatient: Any) -> None:
    for n in range(300):
        impatient.twin(f"t{n}", ROOM, name="x" * 4000)
    sent = f"POST /query?{VERSION} HTTP/1.1\r\nHost: h\r\nmax-items-per-page: 1000\r\nContent-Length: 38\r\n\r\n"
    sent += '{"query":"SELECT * FROM DIGITALTWINS"}'
    with connected(impatient.server, receive=4096) as client:
        client.sendall(sent.encode() * 20)  # twenty times 1.2 MB, of which nothing is read
        time.sleep(2.5)
        assert ask(impatient.server, "/models") == 200
        got = read_all(client)
    assert got.count(b"HTTP/1.1 200 ") < 20


def test_a_slow_reader_gets_all_of_a_big_answer(impatient: Any) -> None:
    for n in range(300):
        impatient.twin(f"t{n}", ROOM, name="x" * 4000)
    sent = f"POST /query?{VERSION} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nmax-items-per-page: 1000\r\n"
    sent += 'Content-Length: 38\r\n\r\n{"query":"SELECT * FROM DIGITALTWINS"}'
    got = b""
    with connected(impatient.server, receive=65536) as client:
        client.sendall(sent.encode())
        while part := client.recv(40_000):
            got += part
            time.sleep(0.05)
    assert got.count(b'"$dtId"') == 300
    assert got.endswith(b"0\r\n\r\n")


def test_many_slow_clients_keep_nobody_waiting(wire_to: Any) -> None:
    wire = wire_to(Options(patience=Patience(head=60.0, idle=60.0)))
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(wire.server)) for _ in range(300)]
        for n, client in enumerate(slow):
            client.sendall((b"GET /models HTTP/1.1\r\n", b"", b"POST /query HTTP/1.1\r\nHost: h\r\n")[n % 3])
        assert ask(wire.server, "/models") == 200
        # The answer came while all of them were still waited for: none has been answered or ended.
        assert select.select(slow, [], [], 0)[0] == []


def test_more_connections_than_allowed_are_told_so(wire_to: Any) -> None:
    wire = wire_to(Options(patience=Patience(connections=5)))
    assert wire("GET", "/models").status == 200
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connected(wire.server)).sendall(b"G")
        time.sleep(0.2)
        with connected(wire.server) as client:
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"ServiceUnavailable"' in answer
        assert wire("GET", "/models").status == 200


def test_a_client_that_goes_away_while_it_is_answered_hurts_nobody(impatient: Any) -> None:
    for _ in range(50):
        with connected(impatient.server) as client:
            client.sendall(f"GET /models?{VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert ask(impatient.server, "/models") == 200
