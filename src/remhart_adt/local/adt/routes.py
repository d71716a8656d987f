"""Which operation a method and path mean.

Paths are split at raw slashes before they are decoded, so an id may hold an encoded one; fixed words match whatever
their case, ids match exactly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from remhart_adt.local.adt import models, queries, relationships, twins
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.events import operations as event_routes
from remhart_adt.local.adt.jobs import operations as jobs
from remhart_adt.local.adt.types import AdtError, Response

__all__ = ["Operation", "find", "split_path"]

Handler = Callable[..., Response | Awaitable[Response]]


class Operation(NamedTuple):
    """A handler, called with the instance, the request and the path's ids; `kind` names the rate limit it counts to."""

    handler: Handler
    kind: str


# Words and ids take turns, so the words and the length identify a path.
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
    add("GET", "eventroutes", event_routes.list_routes, "routes")
    add("GET", "eventroutes/{id}", event_routes.get_route, "routes")
    add("PUT", "eventroutes/{id}", event_routes.put_route, "routes")
    add("DELETE", "eventroutes/{id}", event_routes.delete_route, "routes")
    add("GET", "jobs/imports", jobs.list_imports, "jobs")
    add("PUT", "jobs/imports/{id}", jobs.put_import, "jobs")
    add("GET", "jobs/imports/{id}", jobs.get_import, "jobs")
    add("DELETE", "jobs/imports/{id}", jobs.delete_import, "jobs")
    add("POST", "jobs/imports/{id}/cancel", jobs.cancel_import, "jobs")
    add("GET", "jobs/deletions", jobs.list_deletions, "jobs")
    add("POST", "jobs/deletions", jobs.post_deletion, "jobs")
    add("GET", "jobs/deletions/{id}", jobs.get_deletion, "jobs")
    return table


def _key(segments: Sequence[str]) -> _Key:
    words = [word.lower() for word in _words_and_ids(segments)[0]]
    return (len(segments), words[0], words[1] if len(words) > 1 else "", words[2] if len(words) > 2 else "")


def _words_and_ids(segments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Words stand at even places and ids at odd ones; behind `jobs`, which alone begins with two words, one later."""
    if segments[0].lower() != "jobs":
        return segments[::2], segments[1::2]
    return [segments[0], *segments[1::2]], segments[2::2]


_TABLE: Final = _table()


def split_path(raw_path: bytes) -> tuple[str, ...]:
    """The decoded segments of a raw path; one slash at the end does not count.

    Raises AdtError for escapes that are no UTF-8: replaced, they would make one id of many.
    """
    segments = raw_path.decode("latin-1").split("/")[1:] or [""]
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    try:
        return tuple(unquote(segment, errors="strict") if "%" in segment else segment for segment in segments)
    except UnicodeDecodeError:
        raise invalid_argument("The path is not valid UTF-8.") from None


def find(method: str, segments: tuple[str, ...]) -> tuple[Operation, Sequence[str]]:
    """The operation and the ids of its path; raises 404 or 405."""
    methods = _TABLE.get(_key(segments)) if len(segments) < 6 else None
    if methods is None:
        raise AdtError(404, "NotFound", "There is no operation at this path.")
    operation = methods.get(method)
    if operation is None:
        allowed = ", ".join(methods)
        raise AdtError(405, "MethodNotAllowed", f"{method} is not allowed here; allowed: {allowed}.")
    return operation, _words_and_ids(segments)[1]
