"""A hub in a thread for the whole module, and a hand-made AMQP peer that sees bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from remhart_adt.local.eventhub.codec import decode, encode
from remhart_adt.local.eventhub.testing import HubThread, event_hub_client_leftovers

__all__ = ["event_hub_client_leftovers"]


@pytest.fixture(scope="module")
def hub() -> Iterator[HubThread]:
    """An empty hub with two partitions."""
    with HubThread(partitions=2) as thread:
        yield thread


class Peer:
    """A socket that speaks frames: what is sent and what comes back, byte for byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError(data)
            data += part
        return data

    def frame(self) -> tuple[int, int, bytes]:
        """(frame type, channel, body)"""
        size, _, kind, channel = struct.unpack(">IBBH", self.read(8))
        return kind, channel, self.read(size - 8)

    def performative(self) -> tuple[int, list[Any], bytes]:
        """(code, fields, whole body) of the next frame that is no heartbeat"""
        while True:
            _, _, body = self.frame()
            if body:
                described, _ = decode(body)
                return described.descriptor, described.value, body

    def put(self, code: int, fields: list[Any], payload: bytes = b"", *, channel: int = 0, kind: int = 0) -> None:
        body = b"\x00\x53" + bytes((code,)) + encode(fields) + payload
        self.send(struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body)

    def is_closed(self) -> bool:
        """Whether the hub hangs up (reads until it does)."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def peer(hub: HubThread) -> Iterator[Callable[[], Peer]]:
    """Makes peers connected to the hub."""
    made: list[Peer] = []

    def connect() -> Peer:
        made.append(Peer(hub.do(lambda h: h.port)))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Runs every scenario of the module at once (they mostly wait for the client's own pauses); the function answers,
    or raises, what one of them did."""
    scenarios = request.module.SCENARIOS

    async def run() -> list[Any]:
        jobs = [scenario(tmp_path_factory.mktemp("scenario")) for scenario in scenarios.values()]
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = dict(zip(scenarios, asyncio.run(run()), strict=True))

    def outcome(name: str) -> None:
        if results[name] is not None:
            raise results[name]

    return outcome
