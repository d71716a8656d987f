"""Sessions and links of one AMQP connection: credit, windows, and how deliveries are cut into frames."""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from remhart_adt.local.eventhub.codec import timestamp, uint
from remhart_adt.local.eventhub.hub import Partition
from remhart_adt.local.eventhub.message import delivery_annotations

if TYPE_CHECKING:
    from remhart_adt.local.eventhub.connection import Connection

__all__ = ["IncomingLink", "Link", "OutgoingLink", "Session"]

FRAME_HEAD: Final = struct.Struct(">IBBH")
WINDOW: Final = 65536
CREDIT: Final = 300
# What is handed to the transport at once: enough to keep a socket busy, little enough that many links share memory.
_CHUNK_BYTES: Final = 256 * 1024
# A transfer's fields, encoded: descriptor, list8 of 11 fields, handle, delivery-id, then the constant rest. The tag is
# the same for every delivery: legal for settled ones, and the official client remembers each distinct tag for ever.
_TRANSFER: Final = struct.Struct(">7sI1sI5s1s5s")
_FIRST: Final = b"\x00\x53\x14\xc0\x16\x0b\x70"
_TAG_FORMAT_SETTLED: Final = b"\xa0\x01\x00\x43\x41"
_MORE: Final = b"\x41"
_DONE: Final = b"\x42"
_NULLS: Final = b"\x40" * 5


class Session:
    """One session: its links by the peer's handle, and both directions' transfer counters and windows."""

    def __init__(self, connection: Connection, channel: int, next_incoming: int, window: int) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.next_incoming = next_incoming
        self.incoming_window = WINDOW
        self.next_outgoing = 0
        self.next_delivery = 0
        self.remote_window = window

    def took_transfer(self) -> bool:
        """Count one incoming transfer frame; True when the peer must be told of a fresh window."""
        self.next_incoming = (self.next_incoming + 1) & 0xFFFFFFFF
        self.incoming_window -= 1
        if self.incoming_window > WINDOW // 2:
            return False
        self.incoming_window = WINDOW
        return True

    def flow_fields(self) -> list[object]:
        """The session half of a flow frame."""
        return [uint(self.next_incoming), uint(self.incoming_window), uint(self.next_outgoing), uint(WINDOW)]


class Link:
    """One link. The hub answers with the peer's own handle number."""

    def __init__(self, session: Session, name: str, handle: int, node: str | None) -> None:
        self.session = session
        self.name = name
        self.handle = handle
        self.node = node
        self.delivery_count = 0

    def closed(self) -> None:
        """The link is gone: forget everything that refers to it."""

    def detach(self, condition: str, description: str) -> None:
        """End the link with an error."""
        self.session.connection.detach(self, condition, description)


class IncomingLink(Link):
    """The peer sends: to the hub, to one partition, or a request to `$cbs` or `$management`."""

    def __init__(self, session: Session, name: str, handle: int, node: str | None, partition: Partition | None) -> None:
        super().__init__(session, name, handle, node)
        self.partition = partition
        self.credit = CREDIT
        self.delivery_id: int | None = None
        self.message_format = 0
        self.settled = False
        self.buffer = bytearray()

    def flow_fields(self) -> list[object]:
        """The link half of a flow frame, after topping the credit up."""
        self.credit = CREDIT
        return [uint(self.handle), uint(self.delivery_count), uint(CREDIT)]


class OutgoingLink(Link):
    """The peer receives: a partition's events, or answers of `$cbs` or `$management`.

    Events go out settled (the client never settles them) while the link has credit, the session has window, and the
    socket takes more.
    """

    def __init__(self, session: Session, name: str, handle: int, node: str | None) -> None:
        super().__init__(session, name, handle, node)
        self.credit = 0
        self.drain = False
        self.partition: Partition | None = None
        self.group = ""
        self.next_sequence = 0
        self.epoch: int | None = None
        self.track_last = False
        self.answers: deque[bytes] = deque()

    def read(self, partition: Partition, group: str, start: int) -> None:
        """Bind the link to a partition, to deliver from sequence `start` on."""
        self.partition = partition
        self.group = group
        self.next_sequence = start

    def closed(self) -> None:
        """Stop reading the partition."""
        if self.partition is not None:
            self.partition.leave(self.group, self)

    def rewind(self) -> None:
        """Start over at the oldest event held."""
        if self.partition is not None:
            self.next_sequence = self.partition.log.begin
            self.wake()

    def wake(self) -> None:
        """Send what credit, window and socket allow."""
        connection = self.session.connection
        while connection.writable and self.credit > 0 and self.session.remote_window > 0:
            messages = self._next_messages(min(self.credit, self.session.remote_window))
            if not messages:
                break
            self.delivery_count = (self.delivery_count + len(messages)) & 0xFFFFFFFF
            self.credit -= len(messages)
            connection.write([frame for message in messages for frame in self._frames(message)])
        if not connection.writable:
            connection.blocked.add(self)
        elif self.drain and self.credit > 0:  # nothing left to send: use the credit up, as draining asks for
            self.delivery_count = (self.delivery_count + self.credit) & 0xFFFFFFFF
            self.credit, self.drain = 0, False
            connection.send_flow(self.session, [uint(self.handle), uint(self.delivery_count), uint(0), None, True])

    def _next_messages(self, count: int) -> list[bytes]:
        if self.partition is None:
            return [self.answers.popleft() for _ in range(min(count, len(self.answers)))]
        if self.partition.paused:
            return []
        log = self.partition.log
        self.next_sequence = max(self.next_sequence, log.begin)  # retention may have overtaken a slow reader
        messages = log.payloads(self.next_sequence, count, _CHUNK_BYTES)
        self.next_sequence += len(messages)
        if self.track_last and messages:
            offset, enqueued_ms = log.last
            notes = {
                "last_enqueued_sequence_number": log.end - 1,
                "last_enqueued_offset": offset,
                "last_enqueued_time_utc": timestamp(enqueued_ms),
                "runtime_info_retrieval_time_utc": timestamp(time.time_ns() // 1_000_000),
            }
            messages = [delivery_annotations(message, notes) for message in messages]
        return messages

    def _frames(self, message: bytes) -> list[bytes]:
        """The message as transfer frames of at most the peer's frame size."""
        session = self.session
        delivery, session.next_delivery = session.next_delivery, (session.next_delivery + 1) & 0xFFFFFFFF
        room = session.connection.peer_frame_bytes - FRAME_HEAD.size - _TRANSFER.size
        frames = []
        for start in range(0, max(1, len(message)), room):
            part = message[start : start + room]
            more = _MORE if start + room < len(message) else _DONE
            frames.append(FRAME_HEAD.pack(FRAME_HEAD.size + _TRANSFER.size + len(part), 2, 0, session.channel))
            frames.append(_TRANSFER.pack(_FIRST, self.handle, b"\x70", delivery, _TAG_FORMAT_SETTLED, more, _NULLS))
            frames.append(part)
            session.next_outgoing = (session.next_outgoing + 1) & 0xFFFFFFFF
            session.remote_window -= 1
        return frames
