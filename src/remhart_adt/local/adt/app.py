"""The ASGI application: one request from bytes to bytes.

1. `/_remhart/` goes to the admin API. 2. Faults and throttling, as on a gateway. 3. api-version and route. 4. The
operation: synchronous, on the event loop, so operations never interleave; queries and jobs may wait. 5. A journal row.
6. Who wrote waits for the commit that the requests of this loop turn share, and for its sync to disk. A reader waits
for the commit, too: nobody is told of a state that a killed server would not have. 7. The answer.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import orjson

from remhart_adt import limits, log
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt import errors, gateway, misbehave, routes
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.control.gate import Gate
from remhart_adt.local.adt.control.hosts import instance_name
from remhart_adt.local.adt.faults import Fault, Faults
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.journal import Journal
from remhart_adt.local.adt.patch import PatchBindingError
from remhart_adt.local.adt.sending import Sender, trace
from remhart_adt.local.adt.types import API_VERSIONS, AdtError, Request, Response

__all__ = ["AdtApp", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The documentation only says that large ontologies must be split. Decoded, JSON takes up to twenty times its text.
_MODELS_BYTES: Final = 16 * 1024 * 1024
_DISCARD_SECONDS: Final = 5.0
_FIELDS: Final = 1000  # parameters of a query string
# Recorded without the error header; that a delete job is like an import job in this is a guess.
_UNNAMED_CODES: Final = frozenset({"BadRequest", "JobNotFound", "JobIdAlreadyExists", "DeleteJobNotFound"})
_LOG: Final = log.get(__name__)


class Resetter(Protocol):
    """Called with an ASGI scope; resets the TCP connection the request came on."""

    def __call__(self, scope: Scope) -> None: ...


class AdtApp:
    """`instance` is the one that answers for addresses and `localhost`; the others have names of their own.

    `admin` is an ASGI application of its own, `gate`, when there is one, checks tokens, `reset` breaks a connection
    off.
    """

    def __init__(
        self,
        instance: Instance,
        journal: Journal,
        faults: Faults,
        *,
        chance: Chance | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.instance = instance
        self.instances = {instance.name: instance}
        self.journal = journal
        self.faults = faults
        self.chance = chance or Chance()
        self.clock = clock
        self.admin: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None
        self.gate: Gate | None = None
        self.reset: Resetter | None = None
        self._sender = Sender(self.chance.branch("wire"), clock)
        self.attach(instance)

    def attach(self, instance: Instance) -> None:
        """Close journal rows at the commits of an instance."""

        def on_commit(committed: bool) -> None:
            self.journal.close(self.clock.now_us(), failed=not committed, instance=instance.name)
            if not committed:  # memory may hold what the file has not
                instance.restore()

        instance.store.on_commit = on_commit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_path: bytes = scope["raw_path"]
        if raw_path.startswith(b"/_remhart") and self.admin is not None:
            # A commit that fails is told to those whose changes it had, and the admin API goes on.
            flushes = (one.store.flush() for one in list(self.instances.values()))
            await asyncio.gather(*flushes, return_exceptions=True)
            await self.admin(scope, receive, send)
            return
        arrived = self.clock.now_us()
        method: str = scope["method"]
        path = raw_path.decode("latin-1")
        limit = _MODELS_BYTES if path[1:7].lower() == "models" else limits.ADT_TWIN_BYTES
        headers = dict(scope["headers"])
        try:
            body = await _read(receive, headers, limit)
        except _GoneError:
            return
        instance = self._instance(headers.get(b"host", b""))
        if instance is None:
            await self._send_nobody(arrived, method, path, headers, body, receive, send)
            return
        fault = self.faults.take(method, path, headers, instance.name)
        if fault is not None and fault.delay_ms:
            await misbehave.wait(fault, fault.delay_ms / 1000, receive)
        try:
            response, wrote = await self._respond(instance, method, path, scope, headers, body, limit, fault)
            size = len(response.body or b"")
            row = self.journal.open(
                arrived,
                method,
                path,
                headers,
                body or b"",
                response.status,
                response.etag,
                size=size,
                instance=instance.name,
            )
            if fault is not None:
                row.note, row.fault = f"fault: {fault.action}", fault.id
            store = instance.store
            if wrote or store.pending:
                try:
                    await (store.flush() if wrote else store.committed())
                except (sqlite3.Error, OSError) as error:
                    response = _internal(error)
            else:
                self.journal.close(self.clock.now_us(), instance=instance.name)
            traceparent = headers.get(b"traceparent")
            if fault is None:
                await self._sender.send(send, response, traceparent, close=body is None)
            else:
                await self._misbehave(fault, response, traceparent, scope, receive, send, close=body is None)
            if body is None and not scope.get("reset"):
                await _end(headers, receive, send)
        finally:
            if instance.throttle.enabled:
                instance.throttle.done(scope.get("twin"))

    def _instance(self, host: bytes) -> Instance | None:
        """The instance that a Host header means; None when it names one that is not there."""
        name = instance_name(host)
        return self.instance if name is None else self.instances.get(name)

    async def _send_nobody(
        self,
        arrived: int,
        method: str,
        path: str,
        headers: dict[bytes, bytes],
        body: bytes | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a request to an instance that is not there; its row has the name that was asked for."""
        response = gateway.sub_domain_not_found()
        # One more character than a name has, so that a long one is not taken for that of an instance.
        name = (instance_name(headers.get(b"host", b"")) or "")[:64]
        size = len(response.body or b"")
        self.journal.open(arrived, method, path, headers, body or b"", response.status, "", size=size, instance=name)
        self.journal.close(self.clock.now_us(), instance=name)
        await self._sender.send(send, response, None, close=body is None)
        if body is None:
            await _end(headers, receive, send)

    async def _respond(
        self,
        instance: Instance,
        method: str,
        path: str,
        scope: Scope,
        headers: dict[bytes, bytes],
        body: bytes | None,
        limit: int,
        fault: Fault | None,
    ) -> tuple[Response, bool]:
        """The answer, and whether something was written for it."""
        if fault is not None and fault.action in ("reset", "hang"):
            return Response(0), False
        if fault is not None and fault.action == "status":
            return gateway.injected(fault), False
        if instance.gone:  # while the request waited for its fault
            return gateway.sub_domain_not_found(), False
        writes = instance.store.writes
        answer = self._answer(instance, method, path, scope, headers, body, limit)
        response = answer if isinstance(answer, Response) else await _later(instance, answer, headers)
        if instance.throttle.enabled:
            charge = next((value for name, value in response.headers if name == b"query-charge"), b"0")
            instance.throttle.charge(float(charge))
        return response, instance.store.writes != writes

    async def _misbehave(
        self,
        fault: Fault,
        response: Response,
        traceparent: bytes | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        close: bool,
    ) -> None:
        """Answer as the fault wants it: slowly, in part, or not at all."""
        if fault.action in ("status", "delay"):
            await self._sender.send(send, response, traceparent, close=close)
            return
        if fault.action == "drip":
            await send(self._sender.start(response, traceparent, close=close))
            await misbehave.drip(fault, response.body or b"", receive, send, more=close)
            return
        if fault.action == "hang":
            await misbehave.hang(fault, receive)
        elif fault.action == "half" and response.body:
            await send(self._sender.start(response, traceparent, close=False))
            await misbehave.half(response.body, send)
        if self.reset is not None:
            self.reset(scope)
            scope["reset"] = True
        while (await receive())["type"] != "http.disconnect":
            pass

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
            if self.gate is not None:
                forbidden = self.gate.refusal(instance, method, segments, headers)
                if forbidden is not None:
                    return forbidden
            operation, ids = routes.find(method, segments)
            throttle = instance.throttle
            if throttle.enabled:
                twin = segments[1] if segments[0].lower() == "digitaltwins" else None
                refused = throttle.admit(operation.kind, twin)
                if refused:
                    refuse = gateway.quota_reached if refused == "quota" else gateway.rate_limited
                    return refuse(throttle.retry_after)
                scope["twin"] = twin
            if body is None:
                raise errors.too_large(limit)
            query_string = scope["query_string"]
            params = _params(query_string)
            version = params.get("api-version", [""])[-1]
            if version not in API_VERSIONS:
                raise _unsupported_version(version)
            base = f"{scope['scheme']}://{headers.get(b'host', b'127.0.0.1').decode('latin-1')}"
            request = Request(method, path, segments, params, headers, body, base, version, instance.chance)
            return operation.handler(instance, request, *ids)
        except Exception as error:
            return _refusal(instance, error, headers)


_version_params: dict[bytes, dict[str, list[str]]] = {}


def _params(query_string: bytes) -> dict[str, list[str]]:
    """The query's parameters; a query of nothing but the api-version, which most are, is decoded once."""
    known = _version_params.get(query_string)
    if known is not None:
        return known
    try:
        params = parse_qs(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise errors.invalid_argument(f"The query string has more than {_FIELDS} parameters.") from None
    if params.keys() == {"api-version"} and len(_version_params) < 100:
        _version_params[query_string] = params
    return params


class _GoneError(Exception):
    """The client closed the connection before its request was whole."""


async def _read(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes | None:
    """The whole body, or None when it is longer than the limit; a length that is announced is believed at once."""
    if int(headers.get(b"content-length", b"0")) > limit:  # h11 has checked that it is a number
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # what came is a part of a request that nobody finished
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


async def _end(headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
    """End an answer that was given before its request was whole."""
    if b"expect" not in headers:  # else the client waits for leave to send, which it was not given
        await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    """Read on for a while and keep nothing: who closes on a client that still sends resets it, answer and all."""
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        return


def _unsupported_version(version: str) -> AdtError:
    if not version:
        return AdtError(400, "MissingArgument", "The api-version query parameter is required.")
    return errors.invalid_argument(
        f"The api-version {version} is not supported. Supported versions: {', '.join(API_VERSIONS)}."
    )


async def _later(instance: Instance, answer: Awaitable[Response], headers: dict[bytes, bytes]) -> Response:
    try:
        return await answer
    except Exception as error:
        return _refusal(instance, error, headers)


def _refusal(instance: Instance, error: Exception, headers: dict[bytes, bytes]) -> Response:
    """What an exception of an operation becomes; an unforeseen one gives the open transaction up."""
    if isinstance(error, AdtError):
        code = "" if error.code in _UNNAMED_CODES else error.code
        return Response(error.status, orjson.dumps(error.body()), code=code)
    if isinstance(error, PatchBindingError):
        return _problem(instance, error, headers.get(b"traceparent"))
    if instance.gone:
        return gateway.sub_domain_not_found()
    if isinstance(error, sqlite3.Error):
        instance.store.fail(error)
    else:
        instance.store.fail(sqlite3.OperationalError("another request of this transaction failed"))
    return _internal(error)


def _internal(error: Exception) -> Response:
    _LOG.error("a request failed", exc_info=error)
    body = {"error": {"code": "InternalServerError", "message": f"The local server failed: {type(error).__name__}."}}
    return Response(500, orjson.dumps(body), code="InternalServerError")


def _problem(instance: Instance, error: PatchBindingError, traceparent: bytes | None) -> Response:
    """What the service's model binding answers when a body cannot be read as a patch document at all."""
    trace_id, span_id = trace(instance.chance, traceparent)
    body = {
        "errors": error.errors,
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": None,
        "instance": None,
        "extensions": {"traceId": f"00-{trace_id}-{span_id}-00"},
    }
    media = b"application/problem+json; charset=utf-8"
    return Response(400, orjson.dumps(body), media=media, trace_id=trace_id)
