"""The daemon's fast path: the few verbs it needs, straight over aiohttp.

The SDK spends most of a millisecond of CPU on one patch (pipeline, policies, serializer, requests objects), which caps
a whole core at about 750 patches a second. The same request here costs a sixth of that. Retry policy, token buckets and
error tree are the ones of the other faces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from remhart_adt.client.answers import error_from_answer, unreachable
from remhart_adt.client.core import USER_AGENT
from remhart_adt.client.credential import BearerSource, LocalBearer, TokenCache, parse_endpoint
from remhart_adt.client.retry import RetryPolicy
from remhart_adt.client.throttle import Kind, Limits, Throttle
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import ServiceError, ThrottledError, UnauthorizedError

__all__ = ["API_VERSION", "HotPath"]

API_VERSION: Final = "2023-10-31"
_PATCH: Final = "application/json-patch+json"
_JSON: Final = "application/json"
# URLs of twins that were written lately; building one costs as much as a tenth of the whole request.
_URLS_REMEMBERED: Final = 50_000


class _Request(NamedTuple):
    method: str
    url: URL
    success: int
    where: str
    kind: Kind
    twin: str | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = {}


class HotPath:
    """Read and patch twins and relationships, publish telemetry; one event loop, many calls at once.

    Every call is repeated on 429, 408, 5xx, resets and timeouts until `deadline` seconds have passed since its first
    attempt, then raises the last ThrottledError or UnavailableError. 400, 403, 404 and 412 are raised at once; a 401
    once gets a new token before it is raised. The per-twin and global buckets are waited for inside.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Any = None,
        *,
        limits: Limits | None = None,
        clock: Clock = SYSTEM,
        connections: int = 32,
        timeout: float = 10.0,
        deadline: float = 60.0,
        retry: RetryPolicy | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """`credential` is an async credential of azure-identity (None: DefaultAzureCredential; none on loopback).

        `timeout` (s) bounds one attempt; `retry` replaces the policy and with it `deadline`; `throttle` shares the
        buckets of another client of the same instance.
        """
        self.endpoint = parse_endpoint(endpoint)
        self._bearer: BearerSource = LocalBearer() if self.endpoint.loopback else TokenCache(credential)
        self._retry = retry or RetryPolicy(deadline=deadline, clock=clock)
        self._throttle = throttle or Throttle(limits, clock)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[tuple[str, ...], URL] = {}

    async def get_twin(self, twin: str) -> tuple[dict[str, Any], str]:
        """The twin's document and its ETag, as of now."""
        return await self._get(("digitaltwins", twin), f"twin {twin}")

    async def get_relationship(self, source: str, relationship: str) -> tuple[dict[str, Any], str]:
        """The relationship's document and its ETag, as of now."""
        path = ("digitaltwins", source, "relationships", relationship)
        return await self._get(path, f"relationship {relationship} of twin {source}")

    async def patch_twin(self, twin: str, operations: bytes, etag: str | None = None) -> str:
        """Apply the patch (JSON bytes, as `bytes(Patch)`) and return the new ETag.

        With `etag` PreconditionFailedError is raised when the twin has changed since; note that this also happens when
        the answer to an earlier attempt of this very call was lost.
        """
        return await self._patch(("digitaltwins", twin), twin, operations, etag, f"twin {twin}")

    async def patch_relationship(
        self, source: str, relationship: str, operations: bytes, etag: str | None = None
    ) -> str:
        """Apply the patch to the relationship's properties and return its new ETag; counts against its source twin."""
        path = ("digitaltwins", source, "relationships", relationship)
        return await self._patch(path, source, operations, etag, f"relationship {relationship} of twin {source}")

    async def publish_telemetry(self, twin: str, body: Any, message_id: str, source_time: str | None = None) -> None:
        """Publish a message (JSON bytes or a JSON value); a repetition keeps its id. `source_time` is RFC 3339."""
        headers = {"Content-Type": _JSON, "Message-Id": message_id}
        if source_time is not None:
            headers["Telemetry-Source-Time"] = source_time
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        url = self._url(("digitaltwins", twin, "telemetry"))
        await self._call(_Request("POST", url, 204, f"telemetry of twin {twin}", Kind.TELEMETRY, None, data, headers))

    async def close(self) -> None:
        """Close the connections and the token source."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self._bearer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _get(self, path: tuple[str, ...], where: str) -> tuple[dict[str, Any], str]:
        body, etag = await self._call(_Request("GET", self._url(path), 200, where, Kind.READ))
        try:
            document = orjson.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ServiceError("the answer is not a JSON object", where=where, code="NotJson", status=200)
        return document, etag or str(document.get("$etag", ""))

    async def _patch(self, path: tuple[str, ...], twin: str, body: bytes, etag: str | None, where: str) -> str:
        headers = {"Content-Type": _PATCH, "If-Match": etag} if etag else {"Content-Type": _PATCH}
        request = _Request("PATCH", self._url(path), 204, where, Kind.PATCH, twin, body, headers)
        return (await self._call(request))[1]

    async def _call(self, request: _Request) -> tuple[bytes, str]:
        renewed = False

        async def attempt(_number: int) -> tuple[bytes, str]:
            nonlocal renewed
            try:
                return await self._once(request, await self._bearer.header())
            except UnauthorizedError:
                if renewed or self.endpoint.loopback:
                    raise
                renewed = True
                return await self._once(request, await self._bearer.header(renew=True))

        return await self._retry.run_async(attempt)

    async def _once(self, request: _Request, bearer: str) -> tuple[bytes, str]:
        delay = self._throttle.reserve(request.kind, request.twin)
        if delay:
            await asyncio.sleep(delay)
        session = self._session or self._open()
        headers = {"Authorization": bearer, **request.headers}
        try:
            async with session.request(request.method, request.url, data=request.body, headers=headers) as answer:
                body = b"" if answer.status == 204 else await answer.read()
                if answer.status == request.success:
                    return body, answer.headers.get("ETag", "")
        except TimeoutError as error:
            raise unreachable(f"no answer within {self._timeout.total:g} s", where=request.where) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise unreachable(f"no whole answer: {reason}", where=request.where) from error
        failure = error_from_answer(answer.status, answer.headers, body, where=request.where)
        if isinstance(failure, ThrottledError):
            self._throttle.throttled(request.kind, request.twin, failure.retry_after or 0.0)
        raise failure

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60.0),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept": _JSON},
            # A proxy named by the environment is for the way out, never for this machine.
            trust_env=not self.endpoint.loopback,
        )
        # Or aiohttp repeats a GET by itself when the line breaks, past our buckets.
        self._session._retry_connection = False
        return self._session

    def _url(self, path: tuple[str, ...]) -> URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= _URLS_REMEMBERED:
                self._urls.clear()
            tail = "/".join(quote(segment, safe="") for segment in path)
            url = self._urls[path] = URL(f"{self.endpoint}/{tail}?api-version={API_VERSION}", encoded=True)
        return url
