"""Messages as bytes: stamping keeps what the sender wrote, in the order the standard prescribes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.local.eventhub.codec import CodecError, Symbol, decode, encode, ubyte
from remhart_adt.local.eventhub.message import (
    Incoming,
    Request,
    body_of,
    delivery_annotations,
    performative,
    properties_of,
    response,
    sections,
    stamp,
)

HEADER = b"\x00\x53\x70" + encode([True, ubyte(4)])
ANNOTATIONS = b"\x00\x53\x72" + encode({Symbol("x-mine"): ubyte(7)})
PROPERTIES = b"\x00\x53\x73" + encode(["id-1"])
APPLICATION = b"\x00\x53\x74" + encode({"k": 1})
DATA = b"\x00\x53\x75" + encode(b"body")


def stamped(event: bytes, key: str | None = None) -> bytes:
    return stamp(event, sequence=5, offset=99, enqueued_ms=1000, key=key)


def test_a_stamped_event_keeps_every_section_and_gains_the_hubs_annotations() -> None:
    event = stamped(HEADER + ANNOTATIONS + PROPERTIES + APPLICATION + DATA, key="k-1")
    assert [section.code for section in sections(event)] == [0x70, 0x72, 0x73, 0x74, 0x75]
    assert event.startswith(HEADER)
    assert event.endswith(PROPERTIES + APPLICATION + DATA)
    assert encode(Symbol("x-mine")) + encode(ubyte(7)) in event  # the sender's own bytes, type and all
    assert properties_of(event) == {
        "k": 1,
        "annotations": {
            "x-mine": 7,
            "x-opt-sequence-number": 5,
            "x-opt-offset": "99",
            "x-opt-enqueued-time": 1000,
            "x-opt-partition-key": "k-1",
        },
    }
    assert body_of(event) == b"body"


def test_a_sender_cannot_forge_a_position() -> None:
    forged = b"\x00\x53\x72" + encode({Symbol("x-opt-sequence-number"): 1, Symbol("x-opt-offset"): "0"})
    event = stamped(forged + DATA)
    assert event.count(b"x-opt-sequence-number") == event.count(b"x-opt-offset") == 1
    notes = properties_of(event)["annotations"]
    assert notes["x-opt-sequence-number"] == 5
    assert notes["x-opt-offset"] == "99"


def test_delivery_annotations_of_the_sender_end_at_the_hub_and_ours_follow_the_header() -> None:
    theirs = b"\x00\x53\x71" + encode({Symbol("a"): 1})
    event = delivery_annotations(stamped(HEADER + theirs + DATA), {"last": 3})
    assert [section.code for section in sections(event)] == [0x70, 0x71, 0x72, 0x75]
    assert b"last" in event
    bare = delivery_annotations(stamped(DATA), {"last": 3})
    assert [section.code for section in sections(bare)] == [0x71, 0x72, 0x75]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8), st.none() | st.text(min_size=1, max_size=10))
def test_a_batch_unpacks_to_its_events(bodies: list[bytes], key: str | None) -> None:
    envelope = b"" if key is None else b"\x00\x53\x72" + encode({Symbol("x-opt-partition-key"): key})
    inner = [b"\x00\x53\x75" + encode(body) for body in bodies]
    message = envelope + b"".join(b"\x00\x53\x75" + encode(event) for event in inner)
    assert Incoming.unpack(message, batch=True) == (key, inner)


@pytest.mark.parametrize(
    "message",
    [b"\x01", b"\x00", b"\x00\x53", b"\x00\x53\x10\x45", b"\x00\x53\x75\xa0\x05ab", b"\x00\xa3\x03abc\x45"],
)
def test_bytes_that_are_no_message_are_refused(message: bytes) -> None:
    with pytest.raises(CodecError):
        sections(message)


def test_a_batch_without_events_is_refused() -> None:
    with pytest.raises(CodecError):
        Incoming.unpack(PROPERTIES, batch=True)


def test_value_bodies_are_shown_as_text() -> None:
    assert body_of(stamped(b"\x00\x53\x77" + encode("text"))) == b"text"
    assert body_of(stamped(b"\x00\x53\x77" + encode({"a": 1}))) == b'{"a": 1}'
    assert body_of(stamped(b"\x00\x53\x75" + encode(b"a") + b"\x00\x53\x75" + encode(b"b"))) == b"ab"


def test_an_answer_carries_the_requests_id_byte_for_byte() -> None:
    uuid_id = b"\x98" + bytes(range(16))
    request = Request.unpack(b"\x00\x53\x73" + b"\xd0\x00\x00\x00\x15\x00\x00\x00\x01" + uuid_id + APPLICATION)
    assert request.message_id == uuid_id
    answer = response(request.message_id, 202, "Accepted")
    assert uuid_id in answer
    assert properties_of(answer) == {"status-code": 202, "status-description": "Accepted"}


def test_performatives_are_padded_never_trimmed() -> None:
    described, _ = decode(performative(0x16, [1], length=3))
    assert described.value == [1, None, None]
    assert performative(0x17, [], length=1)[:4] == b"\x00\x53\x17\xd0"
