"""Changes as CloudEvents 1.0, with the attributes that the service documents."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from remhart_adt.local.adt.events.types import Event, Pending
from remhart_adt.local.adt.types import Relationship, Request, Twin

__all__ = [
    "amqp_properties",
    "relationship_event",
    "relationship_updated",
    "telemetry",
    "twin_event",
    "twin_updated",
]

_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_TELEMETRY: Final = "microsoft.iot.telemetry"
_MAX_ID: Final = 1024


def twin_event(request: Request, what: str, twin: Twin, time: str) -> Event:
    """`what` is Create or Delete; the payload is the twin, with Delete as it was last."""
    return Event(twin.id, _head(request, f"Microsoft.DigitalTwins.Twin.{what}", twin.id, time), twin.raw)


def twin_updated(request: Request, twin: Twin, lines: list[dict[str, Any]], time: str) -> Event:
    """The payload is the model and the patch lines; a change of the model shows the new one."""
    head = _head(request, "Microsoft.DigitalTwins.Twin.Update", twin.id, time)
    return Event(twin.id, head, orjson.dumps({"modelId": twin.model, "patch": lines}))


def relationship_event(request: Request, what: str, relationship: Relationship, time: str) -> Event:
    """`what` is Create or Delete; the payload is the relationship, with Delete as it was last."""
    head = _head(request, f"Microsoft.DigitalTwins.Relationship.{what}", _subject(relationship), time)
    return Event(relationship.source, head, relationship.raw)


def relationship_updated(
    request: Request, relationship: Relationship, model: str, lines: list[dict[str, Any]], time: str
) -> Event:
    """`model` is that of the source twin, which declares the relationship."""
    head = _head(request, "Microsoft.DigitalTwins.Relationship.Update", _subject(relationship), time)
    return Event(relationship.source, head, orjson.dumps({"modelId": model, "patch": lines}))


def telemetry(request: Request, twin_id: str, component: str | None, model: str) -> Event:
    """The payload is the message as it came; `model` is that of the component, or of the twin when there is none.

    The event has no time: the service documents none, whatever Telemetry-Source-Time says.
    """
    head = {
        "specversion": "1.0",
        "type": _TELEMETRY,
        "source": f"{_host(request)}/digitaltwins/{twin_id}",
        "id": (request.header(b"message-id") or "")[:_MAX_ID] or request.chance.guid(),
    }
    if component is not None:
        head["subject"] = component
    head |= {"dataschema": model, "datacontenttype": "application/json", "traceparent": _traceparent(request)}
    return Event(twin_id, head, request.body)


def amqp_properties(row: Pending) -> dict[str, str]:
    """The application properties of a message in an event hub, whose body is the payload; its content type stands
    in the message's own property."""
    return {f"cloudEvents:{name}": value for name, value in row.attributes.items() if name != "datacontenttype"}


def _subject(relationship: Relationship) -> str:
    return f"{relationship.source}/relationships/{relationship.id}"


def _head(request: Request, kind: str, subject: str, time: str) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "type": kind,
        "source": _host(request),
        "id": request.chance.guid(),
        "time": time,
        "subject": subject,
        "datacontenttype": "application/json",
        "traceparent": _traceparent(request),
    }


def _host(request: Request) -> str:
    return request.base.partition("://")[2]


def _traceparent(request: Request) -> str:
    """The caller's, if it is one, or a new one."""
    given = request.header(b"traceparent") or ""
    if _TRACE.fullmatch(given):
        return given
    return f"00-{request.chance.hex(128)}-{request.chance.hex(64)}-01"
