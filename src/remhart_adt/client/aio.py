"""The asynchronous face: `AsyncAdtClient`, and `connect_async` that makes one; the verbs of `sync`, awaited."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from remhart_adt.client import core
from remhart_adt.client.checks import Checks
from remhart_adt.client.core import Call, ModelRecord
from remhart_adt.client.credential import parse_endpoint
from remhart_adt.client.patch import Patch
from remhart_adt.client.retry import RetryPolicy
from remhart_adt.client.throttle import Limits, Throttle
from remhart_adt.errors import (
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
    ServiceError,
    ThrottledError,
)

if TYPE_CHECKING:
    from remhart_adt.dtdl import ModelSet

__all__ = ["AsyncAdtClient", "connect_async"]

PatchLike = Patch | bytes | Sequence[Mapping[str, Any]]


def connect_async(
    endpoint: str,
    credential: Any = None,
    *,
    retry: RetryPolicy | None = None,
    throttle: Throttle | None = None,
    timeout: float = 10.0,
    models: ModelSet | None = None,
) -> AsyncAdtClient:
    """A client for the instance at `endpoint` (a host or URL).

    `credential` is any token credential of azure-identity, DefaultAzureCredential when None; a loopback address over
    plain http needs none. With `models` everything is checked before it is sent, as `AsyncAdtClient` says. Raises
    ConfigError for an endpoint that cannot be used. Nothing is sent yet.
    """
    return AsyncAdtClient(endpoint, credential, retry=retry, throttle=throttle, timeout=timeout, models=models)


class AsyncAdtClient:
    """Every verb of the data plane, repeated by one policy and kept under the service's rates.

    All verbs raise the classes below `ServiceError`. Documents are plain JSON values as the service sends them.

    With `models`, what is put, patched and published is checked against the twin's model first, and DtdlError, with a
    report of every problem, is raised for what does not fit; nothing of it is sent. The model of a twin is learned
    from what is put and read, else the twin is read once. A twin whose model is not among them is not checked. When
    somebody else gives a twin another model, this client notices as soon as it reads the twin or one of its calls for
    the twin fails.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Any = None,
        *,
        retry: RetryPolicy | None = None,
        throttle: Throttle | None = None,
        timeout: float = 10.0,
        models: ModelSet | None = None,
    ) -> None:
        self.endpoint = parse_endpoint(endpoint)
        self._checks = None if models is None else Checks(models)
        self._retry = retry or RetryPolicy()
        self._throttle = throttle or Throttle(Limits(create_slow_start=not self.endpoint.loopback))
        self._owned_credential: Any = None
        if credential is None and not self.endpoint.loopback:
            from azure.identity.aio import DefaultAzureCredential

            credential = self._owned_credential = DefaultAzureCredential()
        from azure.digitaltwins.core.aio import DigitalTwinsClient

        options = {**core.sdk_options(self.endpoint, timeout), "transport": _transport(timeout)}
        self._sdk: Any = DigitalTwinsClient(self.endpoint, credential or object(), **options)
        self.models = Models(self)
        self.twins = Twins(self)
        self.components = Components(self)
        self.relationships = Relationships(self)
        self.telemetry = Telemetry(self)

    def query(self, text: str, *, page_size: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """The rows of a query, page by page as they are needed; empty pages in between are passed over.

        A query sees a change only some seconds after it was made; `twins.get` sees it at once.
        """
        return self._rows(core.query(text, page_size))

    async def close(self) -> None:
        """Close the connections, and the credential if this client made it."""
        await self._sdk.close()
        if self._owned_credential is not None:
            await self._owned_credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _run(self, call: Call) -> Any:
        checks = self._checks
        if checks is None:
            return await self._send(call)
        for read in checks.reads(call):
            with contextlib.suppress(NotFoundError):  # the service will say so of the call itself
                checks.heard(read, await self._send(read))
        checks.refuse(call)
        try:
            answer = await self._send(call)
        except ServiceError:
            checks.forget(call)
            raise
        checks.heard(call, answer)
        return answer

    async def _send(self, call: Call) -> Any:
        method = core.method_of(self._sdk, call)

        async def attempt(number: int) -> Any:
            try:
                return await self._once(call, lambda: method(*call.args, **call.options))
            except NotFoundError:
                if call.gone_is_done and number > 1:
                    return None
                raise

        return await self._retry.run_async(attempt)

    async def _rows(self, call: Call) -> AsyncIterator[Any]:
        pages = core.method_of(self._sdk, call)(*call.args, **call.options).by_page()

        async def next_page(_number: int) -> list[Any] | None:
            # A page iterator that failed asks for the same page again, so repeating `next` is safe.
            page = await self._once(call, lambda: anext(pages, None))
            return None if page is None else [row async for row in page]

        while (rows := await self._retry.run_async(next_page)) is not None:
            for row in rows:
                if self._checks is not None:
                    self._checks.heard(call, row)
                yield row

    async def _once(self, call: Call, send: Callable[[], Awaitable[Any]]) -> Any:
        await self._throttle.wait_async(call.kind, call.twin)
        try:
            return await send()
        except Exception as error:
            ours = core.translate(error, call.where)
            if ours is None:
                raise
            if isinstance(ours, ThrottledError):
                self._throttle.throttled(call.kind, call.twin, ours.retry_after or 0.0)
            raise ours from error


def _transport(timeout: float) -> Any:
    # aiohttp comes with the `sync` extra. Without it requests in a thread does the same work, only slower.
    limits = {"connection_timeout": timeout, "read_timeout": timeout}
    if find_spec("aiohttp") is None:
        from azure.core.pipeline.transport import AsyncioRequestsTransport

        return AsyncioRequestsTransport(**limits)
    from azure.core.pipeline.transport import AioHttpTransport

    class _Transport(AioHttpTransport):  # type: ignore[misc]  # untyped base
        async def open(self) -> None:
            await super().open()
            # aiohttp silently sends GET, PUT and DELETE a second time when the line breaks: past our buckets, and a
            # DELETE that worked comes back as 404.
            self.session._retry_connection = False

    return _Transport(**limits)


class _Group:
    def __init__(self, client: AsyncAdtClient) -> None:
        self._client = client


class Models(_Group):
    """DTDL models."""

    def list(
        self, *, include_definition: bool = False, dependencies_for: Sequence[str] | None = None
    ) -> AsyncIterator[ModelRecord]:
        """All models, or those that `dependencies_for` need (themselves included)."""
        return self._list(core.list_models(include_definition, dependencies_for))

    async def _list(self, call: Call) -> AsyncIterator[ModelRecord]:
        async for row in self._client._rows(call):
            yield core.record_of(row)

    async def get(self, model_id: str, *, include_definition: bool = True) -> ModelRecord:
        """One model. Raises NotFoundError."""
        return core.record_of(await self._client._run(core.get_model(model_id, include_definition)))

    async def upload(self, models: Sequence[Mapping[str, Any]]) -> tuple[ModelRecord, ...]:
        """Create models in one call: all of them or none. What they extend or contain must be among them or exist.

        Raises BadRequestError (with the service's parser's words) and ConflictError when an id exists already. If the
        answer to an earlier attempt was lost and the models turn out to be there, that is success.
        """
        call = core.create_models(models)
        repeated = False

        async def attempt(number: int) -> Any:
            nonlocal repeated
            repeated = number > 1
            return await self._client._once(call, lambda: self._client._sdk.create_models(*call.args))

        try:
            return tuple([core.record_of(row) for row in await self._client._retry.run_async(attempt)])
        except ConflictError:
            if not repeated:
                raise
            there = tuple([await self.get(str(model["@id"])) for model in models])
            if [record.definition for record in there] != [dict(model) for model in models]:
                raise
            return there

    async def delete(self, model_id: str) -> None:
        """Delete a model. Raises ConflictError while another model needs it; twins of it are left without a model."""
        await self._client._run(core.delete_model(model_id))

    async def decommission(self, model_id: str) -> None:
        """Let no new twin of this model be created."""
        await self._client._run(core.decommission_model(model_id))


class Twins(_Group):
    """Twins as JSON documents (`$dtId`, `$etag`, `$metadata`, properties, components)."""

    async def get(self, twin: str) -> dict[str, Any]:
        """One twin as it is now. Raises NotFoundError."""
        return dict(await self._client._run(core.get_twin(twin)))

    async def put(self, twin: str, document: Mapping[str, Any], *, only_new: bool = False) -> dict[str, Any]:
        """Create or replace a twin; with `only_new` raise PreconditionFailedError when it exists."""
        return dict(await self._client._run(core.put_twin(twin, document, only_new)))

    async def patch(self, twin: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch and return the new ETag. With `etag`: only if it is still current."""
        return str(await self._client._run(core.patch_twin(twin, patch, etag)))

    async def delete(self, twin: str, *, etag: str | None = None) -> None:
        """Delete a twin. Raises BadRequestError while it has relationships, outgoing or incoming."""
        await self._client._run(core.delete_twin(twin, etag))

    async def modify(self, twin: str, change: Callable[[dict[str, Any]], Patch | None], *, tries: int = 3) -> str:
        """Read, let `change` build a patch from what was read, write it only if nobody wrote in between.

        Returns the ETag after the write, or of what was read when `change` returns None or an empty patch. After
        `tries` lost races the last PreconditionFailedError is raised.
        """
        for left in reversed(range(tries)):
            document = await self.get(twin)
            patch = change(document)
            if not patch:
                return str(document["$etag"])
            try:
                return await self.patch(twin, patch, etag=document["$etag"])
            except PreconditionFailedError:
                if not left:
                    raise
        raise ValueError("tries must be at least 1")


class Components(_Group):
    """Components of twins."""

    async def get(self, twin: str, name: str) -> dict[str, Any]:
        """One component as it is now. Raises NotFoundError."""
        return dict(await self._client._run(core.get_component(twin, name)))

    async def patch(self, twin: str, name: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch with paths below the component; returns the twin's new ETag."""
        return str(await self._client._run(core.patch_component(twin, name, patch, etag)))


class Relationships(_Group):
    """Relationships; ids are unique within their source twin."""

    def list(self, twin: str, *, name: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Outgoing relationships of a twin, of one name if given."""
        return self._list(core.list_relationships(twin, name), dict)

    async def _list(self, call: Call, form: Callable[[Any], dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        async for row in self._client._rows(call):
            yield form(row)

    def incoming(self, twin: str) -> AsyncIterator[dict[str, Any]]:
        """Incoming relationships: `$relationshipId`, `$sourceId` and `$relationshipName`, no more."""
        return self._list(core.list_incoming(twin), core.incoming_row)

    async def get(self, twin: str, relationship: str) -> dict[str, Any]:
        """One relationship as it is now. Raises NotFoundError."""
        return dict(await self._client._run(core.get_relationship(twin, relationship)))

    async def put(
        self, twin: str, relationship: str, document: Mapping[str, Any], *, only_new: bool = False
    ) -> dict[str, Any]:
        """Create or replace a relationship: `$relationshipName`, `$targetId` and its properties."""
        return dict(await self._client._run(core.put_relationship(twin, relationship, document, only_new)))

    async def patch(self, twin: str, relationship: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch to its properties and return the new ETag."""
        return str(await self._client._run(core.patch_relationship(twin, relationship, patch, etag)))

    async def delete(self, twin: str, relationship: str, *, etag: str | None = None) -> None:
        """Delete a relationship."""
        await self._client._run(core.delete_relationship(twin, relationship, etag))


class Telemetry(_Group):
    """Messages that pass through the instance to its event routes; nothing is stored."""

    async def publish(
        self,
        twin: str,
        body: Any,
        *,
        component: str | None = None,
        message_id: str | None = None,
        source_time: str | None = None,
    ) -> None:
        """Publish a message. A repetition keeps the id, so that a receiver can tell a second copy."""
        await self._client._run(core.publish(twin, body, component, message_id, source_time))
