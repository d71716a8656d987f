"""The synchronous face: `AdtClient`, and `connect` that makes one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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

__all__ = ["AdtClient", "connect"]

PatchLike = Patch | bytes | Sequence[Mapping[str, Any]]


def connect(
    endpoint: str,
    credential: Any = None,
    *,
    retry: RetryPolicy | None = None,
    throttle: Throttle | None = None,
    timeout: float = 10.0,
    models: ModelSet | None = None,
) -> AdtClient:
    """A client for the instance at `endpoint` (a host or URL).

    `credential` is any token credential of azure-identity, DefaultAzureCredential when None; a loopback address over
    plain http needs none. With `models` everything is checked before it is sent, as `AdtClient` says. Raises
    ConfigError for an endpoint that cannot be used. Nothing is sent yet.
    """
    return AdtClient(endpoint, credential, retry=retry, throttle=throttle, timeout=timeout, models=models)


class AdtClient:
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
            from azure.identity import DefaultAzureCredential

            credential = self._owned_credential = DefaultAzureCredential()
        from azure.digitaltwins.core import DigitalTwinsClient

        options = core.sdk_options(self.endpoint, timeout)
        self._sdk: Any = DigitalTwinsClient(self.endpoint, credential or object(), **options)
        self.models = Models(self)
        self.twins = Twins(self)
        self.components = Components(self)
        self.relationships = Relationships(self)
        self.telemetry = Telemetry(self)

    def query(self, text: str, *, page_size: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a query, page by page as they are needed; empty pages in between are passed over.

        A query sees a change only some seconds after it was made; `twins.get` sees it at once.
        """
        return self._rows(core.query(text, page_size))

    def close(self) -> None:
        """Close the connections, and the credential if this client made it."""
        self._sdk._client.close()
        if self._owned_credential is not None:
            self._owned_credential.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self, call: Call) -> Any:
        checks = self._checks
        if checks is None:
            return self._send(call)
        for read in checks.reads(call):
            with contextlib.suppress(NotFoundError):  # the service will say so of the call itself
                checks.heard(read, self._send(read))
        checks.refuse(call)
        try:
            answer = self._send(call)
        except ServiceError:
            checks.forget(call)
            raise
        checks.heard(call, answer)
        return answer

    def _send(self, call: Call) -> Any:
        method = core.method_of(self._sdk, call)

        def attempt(number: int) -> Any:
            try:
                return self._once(call, lambda: method(*call.args, **call.options))
            except NotFoundError:
                if call.gone_is_done and number > 1:
                    return None
                raise

        return self._retry.run(attempt)

    def _rows(self, call: Call) -> Iterator[Any]:
        pages = core.method_of(self._sdk, call)(*call.args, **call.options).by_page()

        def next_page(_number: int) -> list[Any] | None:
            # A page iterator that failed asks for the same page again, so repeating `next` is safe.
            page = self._once(call, lambda: next(pages, None))
            return None if page is None else list(page)

        while (rows := self._retry.run(next_page)) is not None:
            for row in rows:
                if self._checks is not None:
                    self._checks.heard(call, row)
                yield row

    def _once(self, call: Call, send: Callable[[], Any]) -> Any:
        self._throttle.wait(call.kind, call.twin)
        try:
            return send()
        except Exception as error:
            ours = core.translate(error, call.where)
            if ours is None:
                raise
            if isinstance(ours, ThrottledError):
                self._throttle.throttled(call.kind, call.twin, ours.retry_after or 0.0)
            raise ours from error


class _Group:
    def __init__(self, client: AdtClient) -> None:
        self._client = client


class Models(_Group):
    """DTDL models."""

    def list(
        self, *, include_definition: bool = False, dependencies_for: Sequence[str] | None = None
    ) -> Iterator[ModelRecord]:
        """All models, or those that `dependencies_for` need (themselves included)."""
        rows = self._client._rows(core.list_models(include_definition, dependencies_for))
        return (core.record_of(row) for row in rows)

    def get(self, model_id: str, *, include_definition: bool = True) -> ModelRecord:
        """One model. Raises NotFoundError."""
        return core.record_of(self._client._run(core.get_model(model_id, include_definition)))

    def upload(self, models: Sequence[Mapping[str, Any]]) -> tuple[ModelRecord, ...]:
        """Create models in one call: all of them or none. What they extend or contain must be among them or exist.

        Raises BadRequestError (with the service's parser's words) and ConflictError when an id exists already. If the
        answer to an earlier attempt was lost and the models turn out to be there, that is success.
        """
        call = core.create_models(models)
        repeated = False

        def attempt(number: int) -> Any:
            nonlocal repeated
            repeated = number > 1
            return self._client._once(call, lambda: self._client._sdk.create_models(*call.args))

        try:
            return tuple(core.record_of(row) for row in self._client._retry.run(attempt))
        except ConflictError:
            if not repeated:
                raise
            there = tuple(self.get(str(model["@id"])) for model in models)
            if [record.definition for record in there] != [dict(model) for model in models]:
                raise
            return there

    def delete(self, model_id: str) -> None:
        """Delete a model. Raises ConflictError while another model needs it; twins of it are left without a model."""
        self._client._run(core.delete_model(model_id))

    def decommission(self, model_id: str) -> None:
        """Let no new twin of this model be created."""
        self._client._run(core.decommission_model(model_id))


class Twins(_Group):
    """Twins as JSON documents (`$dtId`, `$etag`, `$metadata`, properties, components)."""

    def get(self, twin: str) -> dict[str, Any]:
        """One twin as it is now. Raises NotFoundError."""
        return dict(self._client._run(core.get_twin(twin)))

    def put(self, twin: str, document: Mapping[str, Any], *, only_new: bool = False) -> dict[str, Any]:
        """Create or replace a twin; with `only_new` raise PreconditionFailedError when it exists."""
        return dict(self._client._run(core.put_twin(twin, document, only_new)))

    def patch(self, twin: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch and return the new ETag. With `etag`: only if it is still current."""
        return str(self._client._run(core.patch_twin(twin, patch, etag)))

    def delete(self, twin: str, *, etag: str | None = None) -> None:
        """Delete a twin. Raises BadRequestError while it has relationships, outgoing or incoming."""
        self._client._run(core.delete_twin(twin, etag))

    def modify(self, twin: str, change: Callable[[dict[str, Any]], Patch | None], *, tries: int = 3) -> str:
        """Read, let `change` build a patch from what was read, write it only if nobody wrote in between.

        Returns the ETag after the write, or of what was read when `change` returns None or an empty patch. After
        `tries` lost races the last PreconditionFailedError is raised.
        """
        for left in reversed(range(tries)):
            document = self.get(twin)
            patch = change(document)
            if not patch:
                return str(document["$etag"])
            try:
                return self.patch(twin, patch, etag=document["$etag"])
            except PreconditionFailedError:
                if not left:
                    raise
        raise ValueError("tries must be at least 1")


class Components(_Group):
    """Components of twins."""

    def get(self, twin: str, name: str) -> dict[str, Any]:
        """One component as it is now. Raises NotFoundError."""
        return dict(self._client._run(core.get_component(twin, name)))

    def patch(self, twin: str, name: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch with paths below the component; returns the twin's new ETag."""
        return str(self._client._run(core.patch_component(twin, name, patch, etag)))


class Relationships(_Group):
    """Relationships; ids are unique within their source twin."""

    def list(self, twin: str, *, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Outgoing relationships of a twin, of one name if given."""
        return (dict(row) for row in self._client._rows(core.list_relationships(twin, name)))

    def incoming(self, twin: str) -> Iterator[dict[str, Any]]:
        """Incoming relationships: `$relationshipId`, `$sourceId` and `$relationshipName`, no more."""
        return (core.incoming_row(row) for row in self._client._rows(core.list_incoming(twin)))

    def get(self, twin: str, relationship: str) -> dict[str, Any]:
        """One relationship as it is now. Raises NotFoundError."""
        return dict(self._client._run(core.get_relationship(twin, relationship)))

    def put(
        self, twin: str, relationship: str, document: Mapping[str, Any], *, only_new: bool = False
    ) -> dict[str, Any]:
        """Create or replace a relationship: `$relationshipName`, `$targetId` and its properties."""
        return dict(self._client._run(core.put_relationship(twin, relationship, document, only_new)))

    def patch(self, twin: str, relationship: str, patch: PatchLike, *, etag: str | None = None) -> str:
        """Apply a patch to its properties and return the new ETag."""
        return str(self._client._run(core.patch_relationship(twin, relationship, patch, etag)))

    def delete(self, twin: str, relationship: str, *, etag: str | None = None) -> None:
        """Delete a relationship."""
        self._client._run(core.delete_relationship(twin, relationship, etag))


class Telemetry(_Group):
    """Messages that pass through the instance to its event routes; nothing is stored."""

    def publish(
        self,
        twin: str,
        body: Any,
        *,
        component: str | None = None,
        message_id: str | None = None,
        source_time: str | None = None,
    ) -> None:
        """Publish a message. A repetition keeps the id, so that a receiver can tell a second copy."""
        self._client._run(core.publish(twin, body, component, message_id, source_time))
