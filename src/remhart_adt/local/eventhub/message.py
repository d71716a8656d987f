"""AMQP messages as bytes: find sections, unpack batches, stamp an event with the hub's annotations, read it back.

An event is encoded once, when it is accepted: the hub's annotations are spliced in front of the sender's own bytes, so
no type the sender chose is lost and a delivery costs one copy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from remhart_adt.local.eventhub.codec import (
    CodecError,
    Described,
    Symbol,
    Typed,
    decode,
    encode,
    list_slices,
    skip,
    timestamp,
)

__all__ = [
    "Incoming",
    "Request",
    "Section",
    "body_of",
    "delivery_annotations",
    "error",
    "performative",
    "properties_of",
    "response",
    "sections",
    "stamp",
]

HEADER: Final = 0x70
DELIVERY_ANNOTATIONS: Final = 0x71
MESSAGE_ANNOTATIONS: Final = 0x72
PROPERTIES: Final = 0x73
APPLICATION_PROPERTIES: Final = 0x74
DATA: Final = 0x75
SEQUENCE: Final = 0x76
VALUE: Final = 0x77
FOOTER: Final = 0x78

_U32: Final = struct.Struct(">I")
# Annotations that only the hub may set; a sender's own are dropped so that nobody can forge a position.
_RESERVED: Final = frozenset(("x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time"))


class Section(NamedTuple):
    """One section of a message: its descriptor code, where it starts, where its value starts, where it ends."""

    code: int
    start: int
    value: int
    end: int


def sections(message: bytes) -> list[Section]:
    """The sections in the order they stand; CodecError for bytes that are no message."""
    found = []
    pos = 0
    while pos < len(message):
        if message[pos] != 0:
            raise CodecError("a message section must be a described value")
        if message[pos + 1 : pos + 2] == b"\x53":
            if pos + 2 >= len(message):
                raise CodecError("a message ends within a section's descriptor")
            code, value = message[pos + 2], pos + 3
        else:
            code, value = decode(message, pos + 1)
        end = skip(message, value)
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise CodecError(f"unknown message section {code!r}")
        found.append(Section(code, pos, value, end))
        pos = end
    return found


def _map_items(message: bytes, section: Section) -> list[tuple[Any, bytes]]:
    """The (key, encoded key and value) pairs of a map section, in order."""
    if message[section.value] not in (0xC1, 0xD1):
        raise CodecError("annotations must be a map")
    wide = message[section.value] == 0xD1
    count = _U32.unpack_from(message, section.value + 5)[0] if wide else message[section.value + 2]
    at = section.value + (9 if wide else 3)
    items = []
    for _ in range(count // 2):
        key, after = decode(message, at)
        end = skip(message, after)
        items.append((key, message[at:end]))
        at = end
    return items


class Incoming(NamedTuple):
    """A transfer from a sender, unpacked: the partition key of its envelope and the events in it, still encoded."""

    key: str | None
    events: list[bytes]

    @classmethod
    def unpack(cls, message: bytes, *, batch: bool) -> Incoming:
        """Unpack a message; a batch holds one complete encoded message per data section."""
        key: str | None = None
        datas: list[bytes] = []
        for section in sections(message):
            if section.code == MESSAGE_ANNOTATIONS:
                for name, _ in _map_items(message, section):
                    if name == "x-opt-partition-key":
                        annotations, _ = decode(message, section.value)
                        key = str(annotations[name])
            elif section.code == DATA and batch:
                value, _ = decode(message, section.value)
                if not isinstance(value, bytes):
                    raise CodecError("a data section must hold binary")
                datas.append(value)
        if not batch:
            return cls(key, [message])
        if not datas:
            raise CodecError("a batch without events")
        return cls(key, datas)


def stamp(event: bytes, *, sequence: int, offset: int, enqueued_ms: int, key: str | None) -> bytes:
    """The event as receivers get it: the hub's annotations added, sections in their prescribed order."""
    head = tail = b""
    kept: list[bytes] = []
    names: set[Any] = set()
    for section in sections(event):
        if section.code == HEADER:
            head = event[section.start : section.end]
        elif section.code == MESSAGE_ANNOTATIONS:
            for name, raw in _map_items(event, section):
                if name not in _RESERVED:
                    kept.append(raw)
                    names.add(name)
        elif section.code != DELIVERY_ANNOTATIONS:  # those end at this hop
            tail = event[section.start :]
            break
    pairs: list[tuple[str, Any]] = [
        ("x-opt-sequence-number", sequence),
        ("x-opt-offset", str(offset)),  # a string: the client decodes it as text
        ("x-opt-enqueued-time", timestamp(enqueued_ms)),
    ]
    if key is not None and "x-opt-partition-key" not in names:
        pairs.append(("x-opt-partition-key", key))
    kept.extend(encode(Symbol(name)) + encode(value) for name, value in pairs)
    body = b"".join(kept)
    return b"".join((head, b"\x00\x53\x72\xd1", _U32.pack(len(body) + 4), _U32.pack(2 * len(kept)), body, tail))


def delivery_annotations(message: bytes, pairs: dict[str, Any]) -> bytes:
    """The message with delivery annotations put where they belong: after the header, before everything else."""
    section = b"\x00\x53\x71" + encode({Symbol(name): value for name, value in pairs.items()})
    first = sections(message)[:1]
    cut = first[0].end if first and first[0].code == HEADER else 0
    return message[:cut] + section + message[cut:]


def body_of(message: bytes) -> bytes:
    """The payload: data sections joined; a string or binary value as bytes; any other value as JSON-like text."""
    parts = []
    for section in sections(message):
        if section.code in (DATA, VALUE, SEQUENCE):
            value, _ = decode(message, section.value)
            if isinstance(value, str):
                value = value.encode()
            parts.append(value if isinstance(value, bytes) else json.dumps(value, default=str).encode())
    return b"".join(parts)


def properties_of(message: bytes) -> dict[str, Any]:
    """The application properties, with the hub's and the sender's message annotations below `annotations`."""
    found: dict[str, Any] = {}
    for section in sections(message):
        if section.code == APPLICATION_PROPERTIES:
            value, _ = decode(message, section.value)
            found.update(value)
        elif section.code == MESSAGE_ANNOTATIONS:
            found["annotations"], _ = decode(message, section.value)
    return found


class Request(NamedTuple):
    """A request to $cbs or $management: its message id still encoded, its application properties, its body."""

    message_id: bytes
    properties: dict[str, Any]
    body: Any

    @classmethod
    def unpack(cls, message: bytes) -> Request:
        """Read a request message; CodecError when it is none."""
        message_id = b"\x40"
        properties: Any = {}
        body: Any = None
        for section in sections(message):
            if section.code == PROPERTIES:
                message_id = _first_element(message, section.value)
            elif section.code == APPLICATION_PROPERTIES:
                properties, _ = decode(message, section.value)
            elif section.code == VALUE:
                body, _ = decode(message, section.value)
        if not isinstance(properties, dict):
            raise CodecError("application properties must be a map")
        return cls(message_id, properties, body)


def _first_element(message: bytes, pos: int) -> bytes:
    elements, _ = list_slices(message, pos)
    return elements[0] if elements else b"\x40"


def response(message_id: bytes, status: int, description: str, body: Any = None) -> bytes:
    """The answer to a request. The correlation id is the request's id byte for byte: the client compares it by type."""
    properties = _raw_list([b"\x40"] * 5 + [message_id])
    answer = {"status-code": Typed("int", status), "status-description": description}
    return b"\x00\x53\x73" + properties + b"\x00\x53\x74" + encode(answer) + b"\x00\x53\x77" + encode(body)


def _raw_list(elements: Sequence[bytes]) -> bytes:
    body = b"".join(elements)
    return b"\xd0" + _U32.pack(len(body) + 4) + _U32.pack(len(elements)) + body


def performative(code: int, elements: Sequence[Any], *, length: int) -> bytes:
    """A described list padded with nulls to `length` fields.

    The official client reads performatives by position and fails on trimmed trailing nulls, which the standard would
    allow; elements that are `bytes` stand for already encoded values.
    """
    fields = [element if isinstance(element, bytes) else encode(element) for element in elements]
    fields += [b"\x40"] * (length - len(fields))
    return b"\x00\x53" + bytes((code,)) + _raw_list(fields)


def error(condition: str, description: str) -> Described:
    """An AMQP error value."""
    return Described(0x1D, [Symbol(condition), description, None])
