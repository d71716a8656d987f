"""The headers that every answer carries, and handing it to the connection."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any, Final

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.types import Response

__all__ = ["Send", "Sender", "trace"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PIECE_BYTES: Final = 1 << 18
_TRACE_PARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace(chance: Chance, traceparent: bytes | None) -> tuple[str, str]:
    """The caller's trace id, or a new one, and a new span id."""
    known = _TRACE_PARENT.match(traceparent) if traceparent else None
    return known[1].decode() if known else chance.hex(128), chance.hex(64)


class Sender:
    """Makes the first message of an answer; times go by the server's clock, ids come from its generator."""

    def __init__(self, chance: Chance, clock: Clock = SYSTEM) -> None:
        self._chance = chance
        self._clock = clock
        self._date = (-1, b"")

    def start(self, response: Response, traceparent: bytes | None, *, close: bool) -> MutableMapping[str, Any]:
        """`http.response.start` with the headers seen on every answer, and those of this one."""
        headers = [(b"date", self._now())]
        if not response.bare:
            trace_id, span_id = trace(self._chance, traceparent)
            headers += [
                (b"strict-transport-security", b"max-age=2592000"),
                (b"traceresponse", f"00-{response.trace_id or trace_id}-{span_id}-01".encode()),
                (b"mise-correlation-id", self._chance.guid().encode()),
            ]
        headers += response.headers
        if response.etag:
            headers.append((b"etag", response.etag.encode()))
        if response.code:
            headers.append((b"x-ms-error-code", response.code.encode()))
        if response.body is not None:
            headers.append((b"content-type", response.media))
            if not response.chunked:
                headers.append((b"content-length", str(len(response.body)).encode()))
        elif not any(name == b"content-length" for name, _ in response.headers):
            # On 204 as well, which HTTP does not ask for and the service does.
            headers.append((b"content-length", b"0"))
        if close:
            headers.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": response.status, "headers": headers}

    async def send(self, send: Send, response: Response, traceparent: bytes | None, *, close: bool) -> None:
        """The whole answer; with `close` its end is left to the caller, who reads what the client still sends."""
        await send(self.start(response, traceparent, close=close))
        body = response.body or b""
        # What is large goes in pieces, each when the one before is nearly taken: so no second copy of it is held for a
        # client that does not read.
        at = 0
        while len(body) - at > _PIECE_BYTES:
            await send({"type": "http.response.body", "body": body[at : at + _PIECE_BYTES], "more_body": True})
            at += _PIECE_BYTES
        await send({"type": "http.response.body", "body": body[at:], "more_body": close})

    def _now(self) -> bytes:
        seconds = self._clock.now_us() // 1_000_000
        if seconds != self._date[0]:
            self._date = (seconds, formatdate(seconds, usegmt=True).encode())
        return self._date[1]
