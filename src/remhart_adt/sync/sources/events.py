"""The client's event objects as `RawEvent`."""

from __future__ import annotations

import json
from typing import Any, Final

from remhart_adt.sync.types import RawEvent

__all__ = ["raw_event"]

_SEQUENCE: Final = b"x-opt-sequence-number"
_OFFSET: Final = b"x-opt-offset"
_ENQUEUED: Final = b"x-opt-enqueued-time"
_DEVICE: Final = b"iothub-connection-device-id"


def raw_event(event: Any) -> RawEvent:
    """Sequence, offset, enqueued time, body and (from IoT Hub) device id of an `azure.eventhub.EventData`.

    Reads the message's annotations directly: the properties of EventData build a dictionary or a datetime per access.
    """
    message = event.raw_amqp_message
    notes = message.annotations
    device = notes.get(_DEVICE)
    return RawEvent(
        sequence=int(notes[_SEQUENCE]),
        offset=_text(notes[_OFFSET]),
        enqueued_us=int(notes[_ENQUEUED]) * 1000,
        body=_body(message),
        device_id=None if device is None else _text(device),
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _body(message: Any) -> bytes:
    body = message.body
    if message.body_type.value == "data":
        parts = list(body)
        return parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b"".join(parts)
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    # An AMQP value or sequence that is no text is no reading: shown so that a person can read it in the dead letter.
    shown = list(body) if message.body_type.value == "sequence" else body
    try:
        return json.dumps(shown, default=repr).encode()
    except (TypeError, ValueError):  # for instance a map with binary keys
        return repr(shown).encode()
