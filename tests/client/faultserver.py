"""A small HTTP server that misbehaves on demand, over real sockets, in a thread of its own.

Every request is recorded. The answers come from a script: one entry a request, the last one for ever.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

ETAG = 'W/"11111111-1111-1111-1111-111111111111"'
TWIN = {"$dtId": "t", "$etag": ETAG, "$metadata": {"$model": "dtmi:x;1"}}


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to do with one request: answer, answer half, hang, or cut the line."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def payload(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def ok(body: Any = None, status: int = 200) -> Answer:
    """A good answer with an ETag."""
    return Answer(status, body, {"ETag": ETAG})


def error(status: int, code: str = "Some", text: str = "some reason", **headers: str) -> Answer:
    """The usual error envelope."""
    return Answer(
        status, {"error": {"code": code, "message": text}}, {k.replace("_", "-"): v for k, v in headers.items()}
    )


RESET = Answer(fault="reset")
HALF = Answer(200, TWIN, fault="half")
HANG = Answer(fault="hang")


class FaultServer:
    """`with FaultServer(answer, answer, ...) as server:` serves on `server.endpoint`; `server.seen` has the requests.

    A single callable instead of answers decides for each request.
    """

    def __init__(self, *script: Answer | Callable[[Seen], Answer]) -> None:
        self._script = list(script)
        self.seen: list[Seen] = []
        self.endpoint = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._open: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._track, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _track(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(time.monotonic(), method, path, headers, body)
        self.seen.append(seen)
        step = self._script[0] if len(self._script) == 1 else self._script.pop(0)
        answer = step if isinstance(step, Answer) else step(seen)
        if answer.fault == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: close with RST
            return False
        if answer.fault == "hang":
            await asyncio.sleep(3600)
        payload = answer.payload
        lines = [f"HTTP/1.1 {answer.status} X", "Content-Type: application/json"]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(payload)}")
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        if answer.fault == "half":
            writer.write(payload[: len(payload) // 2])
            await writer.drain()
            return False
        writer.write(payload)
        await writer.drain()
        return True
