"""What the official client reads by position, pinned by byte: a client that starts to read more shows here first."""

from __future__ import annotations

import struct
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from remhart_adt.local.eventhub.codec import Described, Symbol, Typed, decode, encode, list_slices, uint, ulong, ushort
from remhart_adt.local.eventhub.testing import HubThread

Connect = Callable[[], Any]
SASL = b"AMQP\x03\x01\x00\x00"
AMQP = b"AMQP\x00\x01\x00\x00"
SOURCE = "amqps://127.0.0.1/telemetry/ConsumerGroups/$Default/Partitions/0"
FILTER = "apache.org:selector-filter:string"


def opened(peer: Any, *, frame_bytes: int = 1048576, idle_ms: int | None = None) -> list[Any]:
    """SASL, open and begin; the hub's open fields."""
    peer.send(SASL)
    assert peer.read(8) == SASL
    peer.frame()
    peer.put(0x41, [Symbol("ANONYMOUS"), b"", "127.0.0.1"], kind=1)
    peer.frame()
    peer.send(AMQP)
    assert peer.read(8) == AMQP
    idle = None if idle_ms is None else uint(idle_ms)
    peer.put(0x10, ["me", "127.0.0.1", uint(frame_bytes), ushort(65535), idle, None, None, None, None, {}])
    code, fields, _ = peer.performative()
    assert code == 0x10
    peer.put(0x11, [None, uint(0), uint(65536), uint(65536), uint(255), None, None, None])
    assert peer.performative()[0] == 0x11
    return fields


def attach(
    peer: Any,
    handle: int,
    *,
    receive: bool,
    source: Any = None,
    target: Any = None,
    properties: dict[Any, Any] | None = None,
    capabilities: list[str] | None = None,
) -> None:
    from_, to = Described(0x28, [source] + [None] * 10), Described(0x29, [target] + [None] * 6)
    if isinstance(source, list):
        from_ = Described(0x28, source)
    count = None if receive else uint(0)
    more = Typed("symbols", capabilities) if capabilities else None
    fields = [f"link-{handle}", uint(handle), receive, Typed("ubyte", 0), Typed("ubyte", 0), from_, to]
    peer.put(0x12, [*fields, None, None, count, ulong(0), None, more, properties])


def authorised(peer: Any) -> None:
    """Put a bearer token, which the hub takes unread."""
    attach(peer, 8, receive=True, source="$cbs", target="$cbs")
    attach(peer, 9, receive=False, source="$cbs", target="$cbs")
    assert [peer.performative()[0] for _ in range(3)] == [0x12, 0x12, 0x13]
    peer.put(0x13, [uint(0), uint(65536), uint(0), uint(65536), uint(8), uint(0), uint(10)])
    properties = {"operation": "put-token", "type": "jwt", "name": "sb://127.0.0.1/telemetry"}
    message = b"\x00\x53\x73" + encode([uuid.UUID(int=7)]) + b"\x00\x53\x74" + encode(properties)
    peer.put(0x14, [uint(9), uint(0), b"t", uint(0), True], message + b"\x00\x53\x77" + encode("token"))
    code, _, body = peer.performative()
    assert code == 0x14
    assert uuid.UUID(int=7).bytes in body


def credit(peer: Any, handle: int, count: int, *, delivered: int = 0, drain: bool = False, echo: bool = False) -> None:
    half = [uint(handle), uint(delivered), uint(count), None, drain, echo]
    peer.put(0x13, [uint(0), uint(65536), uint(0), uint(65536), *half[:4], half[4], half[5]])


def fill(hub: HubThread, count: int, size: int = 10) -> None:
    event = b"\x00\x53\x75" + encode(b"x" * size)
    hub.do(lambda h: [h.hub.ingest(event, batch=False, partition=h.hub.partitions[0]) for _ in range(count)])


@pytest.fixture
def fresh() -> Any:
    with HubThread(partitions=2) as thread:
        yield thread


@pytest.fixture
def hub(fresh: HubThread) -> HubThread:
    """Each test its own hub: they look at sequence numbers."""
    return fresh


def test_sasl_offers_anonymous_and_the_outcome_has_two_fields(peer: Connect) -> None:
    p = peer()
    p.send(SASL)
    assert p.read(8) == SASL
    kind, _, body = p.frame()
    described, _ = decode(body)
    assert (kind, described.descriptor) == (1, 0x40)
    assert "ANONYMOUS" in described.value[0]
    p.put(0x41, [Symbol("ANONYMOUS"), b"", "127.0.0.1"], kind=1)
    kind, _, body = p.frame()
    assert (kind, body.hex()) == (1, "005344d000000007000000025000" + "40")


def test_performatives_have_every_field_the_client_reads(peer: Connect) -> None:
    p = peer()
    fields = opened(p)
    assert len(fields) == 10
    assert fields[2] == 65536
    assert fields[4] == 240_000
    attach(p, 0, receive=True, source="$cbs", target="$cbs")
    code, fields, body = p.performative()
    assert (code, len(fields)) == (0x12, 14)
    assert body[:4] == b"\x00\x53\x12\xd0"  # smallulong descriptor and list32, as the client insists
    assert fields[0] == "link-0"  # links are found by name
    assert fields[9] == 0  # initial-delivery-count
    assert fields[10] == 1_048_576  # the largest message: the client's batch size
    p.put(0x16, [uint(0), True])
    code, fields, _ = p.performative()
    assert (code, fields) == (0x16, [0, True, None])
    p.put(0x17, [None])
    assert p.performative()[:2] == (0x17, [None])
    p.put(0x18, [None])
    assert p.performative()[:2] == (0x18, [None])
    assert p.is_closed()


def test_the_terminus_is_echoed_byte_for_byte(hub: HubThread, peer: Connect) -> None:
    p = peer()
    opened(p)
    authorised(p)
    selector = Described(Symbol(FILTER), "amqp.annotation.x-opt-offset > '-1'")
    source = [SOURCE, ulong(2), None, uint(7), None, None, None, {Symbol(FILTER): selector}, None, None, None]
    attach(p, 0, receive=True, source=source, target="me")
    _, _, body = p.performative()
    parts, _ = list_slices(body, 3)
    assert parts[5] == encode(Described(0x28, source))


def test_a_transfer_has_eleven_fields_is_settled_and_always_carries_the_same_tag(hub: HubThread, peer: Connect) -> None:
    fill(hub, 3)
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=True, source=SOURCE)
    p.performative()
    credit(p, 0, 10)
    for delivery in range(1, 4):  # delivery 0 was the answer of $cbs
        _, _, body = p.frame()
        head = "005314c0160b70" + "00000000" + "70" + f"{delivery:08x}" + "a00100" + "43" + "41" + "42" + "40" * 5
        assert body[:27].hex() == head
        assert body[27:30] == b"\x00\x53\x72"


def test_no_more_is_delivered_than_the_credit_allows(hub: HubThread, peer: Connect) -> None:
    fill(hub, 5)
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=True, source=SOURCE)
    p.performative()
    credit(p, 0, 2)
    credit(p, 0, 0, delivered=2, echo=True)  # the echo stands behind whatever was delivered
    assert [p.performative()[0] for _ in range(3)] == [0x14, 0x14, 0x13]
    credit(p, 0, 3, delivered=2)
    assert [p.performative()[0] for _ in range(3)] == [0x14] * 3


def test_draining_delivers_what_is_there_and_uses_the_credit_up(hub: HubThread, peer: Connect) -> None:
    fill(hub, 2)
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=True, source=SOURCE)
    p.performative()
    credit(p, 0, 100, drain=True)
    assert [p.performative()[0] for _ in range(2)] == [0x14] * 2
    code, fields, _ = p.performative()
    assert code == 0x13
    assert (fields[5], fields[6], fields[8]) == (100, 0, True)


def test_a_message_larger_than_a_frame_is_cut_and_joined(hub: HubThread, peer: Connect) -> None:
    p = peer()
    opened(p, frame_bytes=1000)
    authorised(p)
    attach(p, 0, receive=False, target="amqps://127.0.0.1/telemetry/Partitions/0")
    assert [p.performative()[0] for _ in range(2)] == [0x12, 0x13]
    message = b"\x00\x53\x75" + encode(bytes(range(256)) * 40)
    first = [uint(0), uint(5), b"t", uint(0), False]
    p.put(0x14, [*first, True], message[:4000])
    p.put(0x14, [uint(0), None, None, None, None, True], message[4000:8000])
    p.put(0x14, [uint(0), None, None, None, None, False], message[8000:])
    code, fields, _ = p.performative()
    assert code == 0x15
    assert fields[:4] == [True, 5, 5, True]
    assert fields[4].descriptor == 0x24
    attach(p, 1, receive=True, source=SOURCE)
    p.performative()
    credit(p, 1, 1)
    joined, more = b"", True
    while more:
        _, _, body = p.frame()
        assert len(body) + 8 <= 1000
        more = body[21] == 0x41
        joined += body[27:]
    assert joined.endswith(message)


def test_an_aborted_delivery_leaves_nothing(hub: HubThread, peer: Connect) -> None:
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=False, target="amqps://127.0.0.1/telemetry/Partitions/0")
    p.put(0x14, [uint(0), uint(0), b"t", uint(0), False, True], b"\x00\x53\x75")
    p.put(0x14, [uint(0), None, None, None, None, False, None, None, None, True])
    p.put(0x14, [uint(0), uint(1), b"t", uint(0), False], b"\x00\x53\x75" + encode(b"whole"))
    codes = [p.performative() for _ in range(3)]
    assert codes[2][1][:3] == [True, 1, 1]
    assert [event.body for event in hub.do(lambda h: h.events())] == [b"whole"]


def test_what_is_no_message_is_rejected_and_the_link_goes_on(hub: HubThread, peer: Connect) -> None:
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=False, target="amqps://127.0.0.1/telemetry")
    p.performative()
    p.performative()
    p.put(0x14, [uint(0), uint(0), b"t", uint(0), False], b"not a message")
    _, fields, _ = p.performative()
    assert fields[4].descriptor == 0x25
    assert fields[4].value[0].value[0] == "amqp:decode-error"
    p.put(0x14, [uint(0), uint(1), b"t", uint(0), False], b"\x00\x53\x75" + encode(b"ok"))
    assert p.performative()[1][4].descriptor == 0x24


def test_a_message_above_the_limit_ends_the_link(hub: HubThread, peer: Connect) -> None:
    p = peer()
    opened(p)
    authorised(p)
    attach(p, 0, receive=False, target="amqps://127.0.0.1/telemetry")
    p.performative()
    p.performative()
    for place in range(18):
        p.put(0x14, [uint(0), uint(0) if place == 0 else None, b"t", uint(0), False, True], b"x" * 65000)
    code, fields, _ = p.performative()
    assert code == 0x16
    assert fields[2].value[0] == "amqp:link:message-size-exceeded"


@pytest.mark.parametrize(
    ("address", "token", "condition"),
    [
        (SOURCE, False, "amqp:unauthorized-access"),
        ("telemetry/ConsumerGroups/$Default/Partitions/7", True, "com.microsoft:argument-out-of-range"),
        ("amqps://h/other/ConsumerGroups/$Default/Partitions/0", True, "amqp:not-found"),
        ("amqps://h/telemetry", True, "amqp:not-found"),
    ],
)
def test_a_refused_link_is_attached_without_its_terminus_and_detached_with_the_reason(
    hub: HubThread, peer: Connect, address: str, token: bool, condition: str
) -> None:
    p = peer()
    opened(p)
    if token:
        authorised(p)
    attach(p, 0, receive=True, source=address)
    code, fields, _ = p.performative()
    assert code == 0x12
    assert fields[5] is None
    code, fields, _ = p.performative()
    assert (code, fields[1]) == (0x16, True)
    assert len(fields[2].value) == 3
    assert fields[2].value[0] == condition


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"AMQP\x02\x01\x00\x00"]
)
def test_another_protocol_is_answered_with_ours_and_hung_up(peer: Connect, noise: bytes) -> None:
    p = peer()
    p.send(noise)
    assert p.read(8) == SASL
    assert p.is_closed()


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">IBBH", 9, 2, 0, 0) + b"\xff",
        struct.pack(">IBBH", 12, 2, 0, 0) + b"\x00\x53\x10\x40",
        struct.pack(">IBBH", 13, 2, 0, 0) + b"\x00\x53\x99\x45\x40",
        struct.pack(">IBBH", 100_000, 2, 0, 0),
        struct.pack(">IBBH", 12, 2, 0, 9) + b"\x00\x53\x12\x45",
    ],
)
def test_a_broken_frame_closes_only_its_own_connection(hub: HubThread, peer: Connect, frame: bytes) -> None:
    good, bad = peer(), peer()
    opened(good)
    opened(bad)
    bad.send(frame)
    code, fields, _ = bad.performative()
    assert code == 0x18
    assert fields[0].value[0] in ("amqp:decode-error", "amqp:not-allowed", "amqp:connection:framing-error")
    assert bad.is_closed()
    authorised(good)


def test_links_may_be_detached_after_their_session_ended_as_the_client_does(peer: Connect) -> None:
    p = peer()
    opened(p)
    attach(p, 0, receive=True, source="$cbs", target="$cbs")
    p.performative()
    p.put(0x17, [None])
    assert p.performative()[0] == 0x17
    p.put(0x16, [uint(0), True])
    p.put(0x18, [None])
    assert p.performative()[:2] == (0x18, [None])


def test_the_peers_idle_timeout_is_served_with_heartbeats(peer: Connect) -> None:
    p = peer()
    opened(p, idle_ms=100)
    assert p.frame()[2] == b""
    assert p.frame()[2] == b""


def test_a_silent_peer_is_hung_up() -> None:
    with HubThread(idle_seconds=0.2) as hub:
        from contextlib import closing
        from socket import create_connection

        with closing(create_connection(("127.0.0.1", hub.do(lambda h: h.port)), timeout=5)) as silent:
            assert silent.recv(1) == b""


def test_many_frames_in_one_packet_and_one_frame_in_many_packets(hub: HubThread, peer: Connect) -> None:
    p = peer()
    frames = bytearray(SASL)
    body = b"\x00\x53\x41" + encode([Symbol("ANONYMOUS"), b"", "h"])
    frames += struct.pack(">IBBH", len(body) + 8, 2, 1, 0) + body + AMQP
    body = b"\x00\x53\x10" + encode(["me", None, uint(1048576)])
    frames += struct.pack(">IBBH", len(body) + 8, 2, 0, 0) + body
    sender = threading.Thread(target=lambda: [p.send(bytes([byte])) for byte in frames])
    sender.start()
    assert p.read(8) == SASL
    p.frame()
    p.frame()
    assert p.read(8) == AMQP
    assert p.performative()[0] == 0x10
    sender.join()
