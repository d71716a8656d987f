"""The ASGI application: one request from bytes to bytes.

1. `/_remhart/` goes to the admin API. 2. Faults and throttling, as on a gateway. 3. api-version and route. 4. The
operation: synchronous, on the event loop, so operations never interleave; queries and jobs may wait. 5. A journal row.
6. Who wrote waits for the commit that the requests of this loop turn share, and for its sync to disk. A reader waits
for the commit, too: nobody is told of a state that a killed server would not have. 7. The answer.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import orjson

from remhart_adt import limits, log
from remhart_adt.clock import SYSTEM
from remhart_adt.local.adt import errors, routes
from remhart_adt.local.adt.faults import Fault, Faults
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.journal import Journal
from remhart_adt.local.adt.patch import PatchBindingError
from remhart_adt.local.adt.throttle import Throttle
from remhart_adt.local.adt.types import API_VERSIONS, AdtError, Request, Response

__all__ = ["AdtApp", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MODELS_BYTES: Final = 64 * 1024 * 1024
_JSON: Final = b"application/json"
_LOG: Final = log.get(__name__)


class Resetter(Protocol):
    """Called with an ASGI scope; resets the TCP connection the request came on."""

    def __call__(self, scope: Scope) -> None: ...


class AdtApp:
    """`admin` is an ASGI application of its own; `reset` breaks a connection off."""

    def __init__(
        self,
        instance: Instance,
        journal: Journal,
        faults: Faults,
        throttle: Throttle | None,
        *,
        retry_after: int = 5,
    ) -> None:
        self.instance = instance
        self.journal = journal
        self.faults = faults
        self.throttle = throttle
        self.admin: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None
        self.reset: Resetter | None = None
        self._retry_after = str(retry_after).encode()
        self.attach(instance)

    def attach(self, instance: Instance) -> None:
        """Close journal rows at the commits of an instance."""

        def on_commit(committed: bool) -> None:
            self.journal.close(SYSTEM.now_us(), failed=not committed)
            if not committed:  # memory may hold what the file has not
                instance.restore()

        instance.store.on_commit = on_commit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_path: bytes = scope["raw_path"]
        if raw_path.startswith(b"/_remhart") and self.admin is not None:
            await self.instance.store.flush()
            await self.admin(scope, receive, send)
            return
        arrived = SYSTEM.now_us()
        method: str = scope["method"]
        path = raw_path.decode("latin-1")
        limit = _MODELS_BYTES if path[1:7].lower() == "models" else limits.ADT_TWIN_BYTES
        body = await _read(receive, limit)
        headers = dict(scope["headers"])
        fault = self.faults.take(method, path)
        if fault is not None and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        instance = self.instance
        store = instance.store
        dropped = wrote = False
        if fault is not None and fault.action == "reset":
            response, dropped = Response(0), True
        elif fault is not None and fault.action == "status":
            response = _injected(fault)
        else:
            writes = store.writes
            answer = self._answer(instance, method, path, scope, headers, body, limit)
            response = answer if isinstance(answer, Response) else await _later(instance, answer, headers)
            wrote = store.writes != writes
            dropped = fault is not None and fault.action == "drop"
        if_match = headers.get(b"if-match")
        row = self.journal.open(
            arrived,
            method,
            path,
            None if if_match is None else if_match.decode("latin-1"),
            body or b"",
            response.status,
            response.etag,
        )
        if fault is not None:
            row.note = f"fault: {fault.action}"
        if wrote or store.pending:
            try:
                await (store.flush() if wrote else store.committed())
            except (sqlite3.Error, OSError) as error:
                response = _internal(error)
        else:
            self.journal.close(SYSTEM.now_us())
        if dropped and self.reset is not None:
            self.reset(scope)
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await _send(send, response, headers.get(b"traceparent"), close=body is None)

    def _answer(
        self,
        instance: Instance,
        method: str,
        path: str,
        scope: Scope,
        headers: dict[bytes, bytes],
        body: bytes | None,
        limit: int,
    ) -> Response | Awaitable[Response]:
        try:
            segments = routes.split_path(scope["raw_path"])
            operation = routes.find(method, segments)
            if self.throttle is not None:
                changes = operation.kind in ("patch", "create")
                if self.throttle.refuses(operation.kind, segments[1] if changes else None):
                    return self._throttled()
            if body is None:
                raise errors.too_large(limit)
            query_string = scope["query_string"]
            params = _params(query_string)
            version = params.get("api-version", [""])[-1]
            if version not in API_VERSIONS:
                raise _unsupported_version(version)
            base = f"{scope['scheme']}://{headers.get(b'host', b'127.0.0.1').decode('latin-1')}"
            request = Request(method, path, segments, params, headers, body, base, version)
            return operation.handler(instance, request, *segments[1::2])
        except Exception as error:
            return _refusal(instance, error, headers)

    def _throttled(self) -> Response:
        return _gateway_429([(b"retry-after", self._retry_after)])


_version_params: dict[bytes, dict[str, list[str]]] = {}


def _params(query_string: bytes) -> dict[str, list[str]]:
    """The query's parameters; a query of nothing but the api-version, which most are, is decoded once."""
    known = _version_params.get(query_string)
    if known is not None:
        return known
    params = parse_qs(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
    if params.keys() == {"api-version"} and len(_version_params) < 100:
        _version_params[query_string] = params
    return params


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it is longer than the limit."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= limit else None
    parts = [body]
    size = len(body)
    while message.get("more_body", False):
        if size > limit:
            return None
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
    return b"".join(parts) if size <= limit else None


def _unsupported_version(version: str) -> AdtError:
    if not version:
        return AdtError(400, "MissingArgument", "The api-version query parameter is required.")
    return errors.invalid_argument(
        f"The api-version {version} is not supported. Supported versions: {', '.join(API_VERSIONS)}."
    )


def _gateway_429(headers: list[tuple[bytes, bytes]]) -> Response:
    """The gateway's own shape: `statusCode` in place of a code, and no error header."""
    message = (
        "Maximum request rate limit reached. For Azure Digital Twins rate limiting details please see "
        "http://aka.ms/dtv2limits."
    )
    body = orjson.dumps({"error": {"statusCode": 429, "message": message}})
    return Response(429, body, media=_JSON, headers=headers)


def _injected(fault: Fault) -> Response:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.headers.items()]
    if fault.body is None and fault.status == 429:
        return _gateway_429(headers)
    if fault.body is None and fault.status == 401:
        return Response(401, orjson.dumps({"statusCode": 401, "message": "Unauthorized"}), media=_JSON, headers=headers)
    if fault.status in (204, 304):
        return Response(fault.status, None, headers=headers)
    try:
        phrase = HTTPStatus(fault.status).phrase.replace(" ", "")
    except ValueError:
        phrase = "Injected"
    body = fault.body
    if body is None:
        body = {"error": {"code": phrase, "message": "This answer was asked for by POST /_remhart/faults."}}
    return Response(fault.status, orjson.dumps(body), headers=headers)


async def _later(instance: Instance, answer: Awaitable[Response], headers: dict[bytes, bytes]) -> Response:
    try:
        return await answer
    except Exception as error:
        return _refusal(instance, error, headers)


def _refusal(instance: Instance, error: Exception, headers: dict[bytes, bytes]) -> Response:
    """What an exception of an operation becomes; an unforeseen one gives the open transaction up."""
    if isinstance(error, AdtError):
        code = "" if error.code == "BadRequest" else error.code
        return Response(error.status, orjson.dumps(error.body()), code=code)
    if isinstance(error, PatchBindingError):
        return _problem(error, headers.get(b"traceparent"))
    if isinstance(error, sqlite3.Error):
        instance.store.fail(error)
    else:
        instance.store.fail(sqlite3.OperationalError("another request of this transaction failed"))
    return _internal(error)


def _internal(error: Exception) -> Response:
    _LOG.error("a request failed", exc_info=error)
    body = {"error": {"code": "InternalServerError", "message": f"The local server failed: {type(error).__name__}."}}
    return Response(500, orjson.dumps(body), code="InternalServerError")


def _problem(error: PatchBindingError, traceparent: bytes | None) -> Response:
    """What the service's model binding answers when a body cannot be read as a patch document at all."""
    trace_id, span_id = _trace(traceparent)
    body = {
        "errors": error.errors,
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": None,
        "instance": None,
        "extensions": {"traceId": f"00-{trace_id}-{span_id}-00"},
    }
    return Response(400, orjson.dumps(body), media=b"application/problem+json; charset=utf-8")


def _trace(traceparent: bytes | None) -> tuple[str, str]:
    """The caller's trace id, or a new one, and a new span id."""
    parts = traceparent.decode("latin-1").split("-") if traceparent else []
    known = parts[1] if len(parts) >= 4 and len(parts[1]) == 32 and parts[1].isalnum() else ""
    return known or f"{random.getrandbits(128):032x}", f"{random.getrandbits(64):016x}"


async def _send(send: Send, response: Response, traceparent: bytes | None, *, close: bool) -> None:
    trace_id, span_id = _trace(traceparent)
    number = f"{random.getrandbits(128):032x}"
    correlation = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
    headers = [
        (b"strict-transport-security", b"max-age=2592000"),
        (b"traceresponse", f"00-{trace_id}-{span_id}-01".encode()),
        (b"mise-correlation-id", correlation.encode()),
        *response.headers,
    ]
    if response.etag:
        headers.append((b"etag", response.etag.encode()))
    if response.code:
        headers.append((b"x-ms-error-code", response.code.encode()))
    if response.body is not None:
        headers.append((b"content-type", response.media))
        if not response.chunked:
            headers.append((b"content-length", str(len(response.body)).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body or b""})
