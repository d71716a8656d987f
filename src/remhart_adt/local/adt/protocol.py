"""One connection: what uvicorn's own protocol leaves open, a client that is slow on purpose or by accident.

Times are looked at by a sweep over all connections, once a second, so that a request costs one note of the time and no
timer of its own. What ends a connection: a request head that is not whole in time, counted from its first byte; a body
of which nothing more comes; an answer of which nothing more is taken; silence for as long as a connection is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection", "Patience", "allow_more_files", "file_room"]

_FAREWELL_SECONDS: Final = 2.0
_PHRASES: Final = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}

# A piece of an answer that is not kept back for the next one.
_JOINED_BYTES: Final = 1 << 16
# Files that a server needs for other than its clients: its data, its journal, and the connections that it makes itself.
_OWN_FILES: Final = 200


def allow_more_files() -> None:
    """Let this process open as many files as its user may; a client's connection is one. No error if it cannot."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def file_room() -> int:
    """How many connections this process can have and still open its own files."""
    try:
        import resource
    except ImportError:
        return 1 << 16
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(1, soft - _OWN_FILES)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds: for the whole head of a request, between two pieces of its body, between
    two pieces that it takes of an answer, and with nothing to say at all; and how many may be connected."""

    head: float = 10.0
    body: float = 20.0
    answer: float = 20.0
    # Longer than any client's pool keeps an idle connection, or a client would now and then write on one just closed.
    idle: float = 120.0
    connections: int = 20_000

    @property
    def resolution(self) -> float:
        """Seconds between two sweeps: a quarter of the shortest time, at most one second."""
        return min(1.0, min(self.head, self.body, self.answer, self.idle) / 4)


class _Joined:
    """A transport whose writes of one turn of the loop leave in one piece: uvicorn writes the head of an answer and its
    body apart, and half of what a GET costs is the second call of the kernel. All else is the transport's own."""

    __slots__ = ("_held", "_later", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._later = loop.call_soon
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not data:
            return
        # What is large goes at once and uncopied, or a client that is slow to take it could not hold its writer back.
        if len(data) > _JOINED_BYTES:
            self.flush()
            self._transport.write(data)
            return
        if not self._held:
            self._later(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        if self._held:
            data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._held.clear()
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self.flush()
        self._transport.abort()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """A connection that is swept. `transports` finds a connection by its client's address, so that a fault can reset
    it."""

    transports: dict[Any, asyncio.Transport]
    patience: Patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport = cast("asyncio.Transport", _Joined(transport, self.loop))
        super().connection_made(transport)
        self.transports[self.client] = transport
        self._heard = self._taken = self.loop.time()
        self._began = self._refused = 0.0
        self._unsent = 0
        if len(self.connections) > self.patience.connections:
            self._refuse(503, "ServiceUnavailable", "Too many connections.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.transports.pop(self.client, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:  # what a refused client still sends is taken and dropped, or it would not get the answer
            return
        self._heard = self.loop.time()
        if self.conn.their_state is h11.IDLE and not self._began:
            self._began = self._heard
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._began = 0.0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # A pipelined head may lie in the buffer in part; silence and a head begun count from here alike.
        if self.conn.their_state is h11.IDLE:
            self._heard = self.loop.time()
            self._began = self._heard if self.conn.trailing_data[0] else 0.0

    def sweep(self, now: float) -> None:
        """End the connection if its client has used up our patience."""
        if self._stalled(now):
            self.transport.abort()
            return
        if self.transport.is_closing():
            return
        if self._refused:
            if now - self._refused > _FAREWELL_SECONDS:
                self.transport.close()
            return
        silent = now - self._heard
        if self.conn.their_state is h11.SEND_BODY:
            if silent > self.patience.body and not self.flow.read_paused:
                self._refuse(408, "RequestTimeout", "The rest of the request body did not come in time.")
        elif self.conn.their_state is h11.IDLE:
            if self.conn.trailing_data[0]:
                if now - self._began > self.patience.head:
                    self._refuse(408, "RequestTimeout", "The rest of the request head did not come in time.")
            elif silent > self.patience.idle:
                self.transport.close()

    def _stalled(self, now: float) -> bool:
        """Whether the client has not taken anything of what it is to be sent for too long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._taken = unsent, now
        return now - self._taken > self.patience.answer

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that are no HTTP, now in the service's envelope."""
        self._refuse(400, "BadRequest", msg)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer, unless an answer is on its way already, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = orjson.dumps({"error": {"code": code, "message": message}})
            headers = [
                (b"content-type", b"application/json; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            parts = (
                h11.Response(status_code=status, headers=headers, reason=_PHRASES[status]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
            if self.transport.can_write_eof():
                self._refused = self.loop.time()
                self.transport.write_eof()
                return
        self.transport.close()
