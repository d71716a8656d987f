"""Which operation a method and path mean.

Paths are split at raw slashes before they are decoded, so an id may hold an encoded one; fixed words match whatever
their case, ids match exactly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import unquote

from remhart_adt.local.adt import models, queries, relationships, twins
from remhart_adt.local.adt.errors import not_implemented
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import AdtError, Request, Response

__all__ = ["Operation", "find", "split_path"]

Handler = Callable[..., Response | Awaitable[Response]]


class Operation(NamedTuple):
    """A handler, called with the instance, the request and the path's ids; `kind` names the rate limit it counts to."""

    handler: Handler
    kind: str


# Fixed words stand at even places and ids at odd ones, so the words and the length identify a path.
_Key = tuple[int, str, str, str]


def _table() -> dict[_Key, dict[str, Operation]]:
    table: dict[_Key, dict[str, Operation]] = {}

    def add(method: str, pattern: str, handler: Handler, kind: str) -> None:
        parts = pattern.split("/")
        table.setdefault(_key(parts), {})[method] = Operation(handler, kind)

    add("POST", "models", models.upload_models, "models")
    add("GET", "models", models.list_models, "models")
    add("GET", "models/{id}", models.get_model, "models")
    add("PATCH", "models/{id}", models.decommission_model, "models")
    add("DELETE", "models/{id}", models.delete_model, "models")
    twin = "digitaltwins/{id}"
    add("GET", twin, twins.get_twin, "read")
    add("PUT", twin, twins.put_twin, "create")
    add("PATCH", twin, twins.patch_twin, "patch")
    add("DELETE", twin, twins.delete_twin, "create")
    add("GET", f"{twin}/components/{{name}}", twins.get_component, "read")
    add("PATCH", f"{twin}/components/{{name}}", twins.patch_component, "patch")
    add("POST", f"{twin}/telemetry", twins.publish_telemetry, "telemetry")
    add("POST", f"{twin}/components/{{name}}/telemetry", twins.publish_component_telemetry, "telemetry")
    relationship = f"{twin}/relationships/{{rid}}"
    add("GET", f"{twin}/relationships", relationships.list_relationships, "read")
    add("GET", f"{twin}/incomingrelationships", relationships.list_incoming, "read")
    add("GET", relationship, relationships.get_relationship, "read")
    add("PUT", relationship, relationships.put_relationship, "create")
    add("PATCH", relationship, relationships.patch_relationship, "patch")
    add("DELETE", relationship, relationships.delete_relationship, "create")
    add("POST", "query", queries.run_query, "query")
    return table


def _key(segments: list[str] | tuple[str, ...]) -> _Key:
    count = len(segments)
    return (
        count,
        segments[0].lower(),
        segments[2].lower() if count > 2 else "",
        segments[4].lower() if count > 4 else "",
    )


_TABLE: Final = _table()
_ABSENT: Final = {"eventroutes": "Event routing", "jobs": "The jobs API"}


def split_path(raw_path: bytes) -> tuple[str, ...]:
    """The decoded segments of a raw path; one slash at the end does not count."""
    segments = raw_path.decode("latin-1").split("/")[1:]
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    return tuple(unquote(segment) if "%" in segment else segment for segment in segments)


def find(method: str, segments: tuple[str, ...]) -> Operation:
    """The operation; raises 404, 405, or 501 for the parts of the API that this server does not have."""
    methods = _TABLE.get(_key(segments)) if len(segments) < 6 else None
    if methods is None:
        absent = _ABSENT.get(segments[0].lower())
        if absent is not None:
            return Operation(_absent(absent), "models")
        raise AdtError(404, "NotFound", "There is no operation at this path.")
    operation = methods.get(method)
    if operation is None:
        allowed = ", ".join(methods)
        raise AdtError(405, "MethodNotAllowed", f"{method} is not allowed here; allowed: {allowed}.")
    return operation


def _absent(what: str) -> Handler:
    def answer(_instance: Instance, _request: Request, *_ids: str) -> Response:
        raise not_implemented(what)

    return answer
