"""One AMQP 1.0 connection, server side: SASL, open, sessions, links, transfers, heartbeats.

What the official Event Hubs client needs beyond the standard is noted where it is done. Frames are handled as they
arrive in `data_received`, without a task per frame; a peer that breaks the protocol gets a close with the reason.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, cast

from remhart_adt import limits, log
from remhart_adt.local.eventhub.codec import CodecError, Described, Symbol, Typed, decode, list_slices, uint, ushort
from remhart_adt.local.eventhub.hub import Hub, Receiver, Refusal
from remhart_adt.local.eventhub.link import FRAME_HEAD, WINDOW, IncomingLink, Link, OutgoingLink, Session
from remhart_adt.local.eventhub.message import error, performative

__all__ = ["Connection"]

_LOG = log.get(__name__)

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
# How many fields the official client reads of each performative by position, present or not.
_FIELDS: Final = {
    OPEN: 10, BEGIN: 8, ATTACH: 14, FLOW: 11, DISPOSITION: 6, DETACH: 3, END: 1, CLOSE: 1,
    SASL_MECHANISMS: 1, SASL_OUTCOME: 2,
}  # fmt: skip
_AMQP: Final = b"AMQP\x00\x01\x00\x00"
_SASL: Final = b"AMQP\x03\x01\x00\x00"
_FRAME_BYTES: Final = 65536
_SMALLEST_FRAME: Final = 512  # the standard's lower bound for max-frame-size
_CHANNEL_MAX: Final = 4999
_IDLE_SECONDS: Final = 240.0
_BATCH_FORMAT: Final = 0x80013700
_NODES: Final = ("$cbs", "$management")
# A sender is told of fresh credit when this many deliveries have come since the last time.
_TOP_UP: Final = 100


class _Frame(NamedTuple):
    """A performative: its fields (padded with None), the whole frame body, and what follows the performative."""

    channel: int
    fields: list[Any]
    body: bytes
    payload: bytes


class ProtocolError(Exception):
    """The peer broke the protocol; the connection is closed with this condition."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition


class Connection(asyncio.Protocol):
    """Protocol object of one TCP connection to `hub`; `done` is called with it when the connection is lost."""

    def __init__(self, hub: Hub, done: Callable[[Connection], None], *, idle_seconds: float = _IDLE_SECONDS) -> None:
        self.hub = hub
        self.writable = True
        self.blocked: set[OutgoingLink] = set()
        self.peer_frame_bytes = _SMALLEST_FRAME
        self.sessions: dict[int, Session] = {}
        self._done = done
        self._idle_seconds = idle_seconds
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._audiences: list[str] = []
        self._opened = False
        self._heard = 0.0
        self._timers: list[asyncio.TimerHandle] = []
        self._handlers: dict[int, Callable[[_Frame], None]] = {
            OPEN: self._on_open, BEGIN: self._on_begin, ATTACH: self._on_attach, FLOW: self._on_flow,
            TRANSFER: self._on_transfer, DISPOSITION: self._ignore, DETACH: self._on_detach, END: self._on_end,
            CLOSE: self._on_close,
        }  # fmt: skip

    # --- the socket ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=4 * 1024 * 1024)
        self._heard = asyncio.get_running_loop().time()
        self._every(self._idle_seconds / 4, self._check_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        del exc
        self._transport = None
        self.writable = False
        for timer in self._timers:
            timer.cancel()
        for session in list(self.sessions.values()):
            self._end(session)
        self._done(self)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self.writable = self._transport is not None
        waiting, self.blocked = self.blocked, set()
        for link in waiting:
            link.wake()

    def data_received(self, data: bytes) -> None:
        """Bytes came: handle every whole frame."""
        self._heard = asyncio.get_running_loop().time()
        self._buffer += data
        try:
            self._frames()
        except (CodecError, ProtocolError) as problem:
            condition = getattr(problem, "condition", "amqp:decode-error")
            _LOG.warning("closing a connection: %s (%s)", problem, condition)
            self.close(condition, str(problem))

    def write(self, parts: Sequence[bytes]) -> None:
        """Write byte strings, if the connection is still there."""
        if self._transport is not None:
            self._transport.writelines(parts)

    def abort(self) -> None:
        """Drop the TCP connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def close(self, condition: str, description: str) -> None:
        """Close the AMQP connection with an error and hang up."""
        if self._transport is not None:
            if self._opened:
                self._send(0, CLOSE, [error(condition, description)])
            self._transport.close()

    # --- frames -------------------------------------------------------------------------------------------------

    def _frames(self) -> None:
        buffer, at = self._buffer, 0
        while self._transport is not None and not self._transport.is_closing() and len(buffer) - at >= FRAME_HEAD.size:
            if buffer[at : at + 4] == b"AMQP":
                self._on_protocol(bytes(buffer[at : at + 8]))
                at += 8
                continue
            size, words, kind, channel = FRAME_HEAD.unpack_from(buffer, at)
            if size > _FRAME_BYTES or words < 2 or words * 4 > size or kind > 1:
                if not self._opened:  # TLS, HTTP or noise: answer with our protocol header, as the standard asks
                    self.write([_SASL])
                raise ProtocolError("amqp:connection:framing-error", f"not an AMQP frame (size {size}, type {kind})")
            if len(buffer) - at < size:
                break
            body = bytes(buffer[at + words * 4 : at + size])
            at += size
            if body:  # an empty frame is a heartbeat
                self._on_frame(kind, channel, body)
        del buffer[:at]

    def _on_protocol(self, header: bytes) -> None:
        if header not in (_AMQP, _SASL):
            self.write([_SASL])
            raise ProtocolError("amqp:connection:framing-error", f"protocol {header[4:].hex()} is not spoken here")
        self.write([header])
        if header == _SASL:
            # The client only looks for ANONYMOUS; the credentials come later, as tokens put to $cbs.
            names = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"]
            self._send(0, SASL_MECHANISMS, [Typed("symbols", names)], sasl=True)

    def _on_frame(self, kind: int, channel: int, body: bytes) -> None:
        described, end = decode(body)
        if not isinstance(described, Described) or not isinstance(described.value, list):
            raise ProtocolError("amqp:decode-error", "a frame must hold a described list")
        code, fields = described
        if kind == 1:
            if code == SASL_INIT:
                self._send(0, SASL_OUTCOME, [Typed("ubyte", 0)], sasl=True)
            return
        handler = self._handlers.get(code)
        if handler is None or (code != OPEN and not self._opened):
            raise ProtocolError("amqp:not-allowed", f"performative {code!r} is not expected here")
        if code in (FLOW, TRANSFER, DISPOSITION, DETACH, END) and channel not in self.sessions:
            return  # the official client ends its session first and detaches the links in it afterwards
        try:
            handler(_Frame(channel, fields + [None] * 14, body, body[end:]))
        except (TypeError, AttributeError, KeyError) as problem:
            # A field of the wrong type or a handle nobody attached: the peer's doing, so the peer is told.
            _LOG.debug("malformed performative %#x", code, exc_info=True)
            raise ProtocolError("amqp:decode-error", f"malformed performative {code:#x}: {problem!r}") from None

    def _send(self, channel: int, code: int, fields: Sequence[Any], *, sasl: bool = False) -> None:
        body = performative(code, fields, length=_FIELDS[code])
        self.write([FRAME_HEAD.pack(FRAME_HEAD.size + len(body), 2, int(sasl), channel), body])

    def send_flow(self, session: Session, link_fields: Sequence[Any] = ()) -> None:
        """A flow frame of the session, and of one link when its half is given."""
        self._send(session.channel, FLOW, [*session.flow_fields(), *link_fields])

    # --- connection and session ---------------------------------------------------------------------------------

    def _on_open(self, frame: _Frame) -> None:
        self._opened = True
        self.peer_frame_bytes = max(_SMALLEST_FRAME, min(frame.fields[2] or 0xFFFFFFFF, limits.EVENT_BYTES))
        if frame.fields[4]:  # the peer hangs up after this many ms of silence: break it in time
            self._every(frame.fields[4] / 2000, lambda: self.write([FRAME_HEAD.pack(8, 2, 0, 0)]))
        idle_ms = uint(round(self._idle_seconds * 1000))
        names = {Symbol("product"): "remhart-adt local event hub"}
        self._send(
            0, OPEN, [uuid.uuid4().hex, None, uint(_FRAME_BYTES), ushort(_CHANNEL_MAX), idle_ms, *[None] * 4, names]
        )

    def _on_begin(self, frame: _Frame) -> None:
        channel, fields = frame.channel, frame.fields
        if channel in self.sessions or channel > _CHANNEL_MAX:
            raise ProtocolError("amqp:not-allowed", f"channel {channel} cannot be begun")
        self.sessions[channel] = Session(self, channel, int(fields[1]), int(fields[2]))
        self._send(channel, BEGIN, [ushort(channel), uint(0), uint(WINDOW), uint(WINDOW), uint(255)])

    def _on_end(self, frame: _Frame) -> None:
        self._end(self.sessions[frame.channel])
        self._send(frame.channel, END, [])

    def _end(self, session: Session) -> None:
        for link in list(session.links.values()):
            self._forget(link)
        self.sessions.pop(session.channel, None)

    def _on_close(self, frame: _Frame) -> None:
        del frame
        self._send(0, CLOSE, [])
        if self._transport is not None:
            self._transport.close()

    def _ignore(self, frame: _Frame) -> None:
        """Dispositions: everything we send is settled already."""
        del frame

    # --- links --------------------------------------------------------------------------------------------------

    def _on_attach(self, frame: _Frame) -> None:
        channel, fields = frame.channel, frame.fields
        session, name, handle = self.sessions[channel], str(fields[0]), int(fields[1])
        outgoing = bool(fields[2])  # the peer's role is receiver
        if handle in session.links:
            raise ProtocolError("amqp:session:handle-in-use", f"handle {handle} is attached already")
        terminus = fields[5] if outgoing else fields[6]
        address = str(terminus.value[0]) if isinstance(terminus, Described) and terminus.value else ""
        displaced: list[Receiver] = []
        refusal: Refusal | None = None
        link: Link
        try:
            if outgoing:
                link, displaced = self._outgoing(session, name, handle, address, fields)
            else:
                link = self._incoming(session, name, handle, address)
        except Refusal as problem:
            refusal, link = problem, Link(session, name, handle, None)
        raw, _ = list_slices(frame.body, 3)
        raw += [b"\x40"] * (14 - len(raw))
        # Source and target are echoed byte for byte: the client takes a missing one for a refusal, so a refused link
        # loses the terminus that the hub would have provided.
        source, target = raw[5], raw[6]
        if refusal is not None:
            source, target = (b"\x40", target) if outgoing else (source, b"\x40")
        count = uint(0) if outgoing else None
        answer = [raw[0], uint(handle), not outgoing, raw[3], raw[4], source, target, None, None, count]
        self._send(channel, ATTACH, [*answer, Typed("ulong", limits.EVENT_BYTES)])
        if refusal is not None:
            self._send(channel, DETACH, [uint(handle), True, error(refusal.condition, refusal.description)])
            return
        session.links[handle] = link
        for receiver in displaced:
            receiver.detach("amqp:link:stolen", "A new receiver with a higher or equal epoch reads this partition.")
        if isinstance(link, IncomingLink):
            self.send_flow(session, link.flow_fields())

    def _incoming(self, session: Session, name: str, handle: int, address: str) -> IncomingLink:
        if address in _NODES:
            return IncomingLink(session, name, handle, address, None)
        partition, _ = self.hub.resolve(address)
        self._authorise(address)
        return IncomingLink(session, name, handle, None, partition)

    def _outgoing(
        self, session: Session, name: str, handle: int, address: str, fields: list[Any]
    ) -> tuple[OutgoingLink, list[Receiver]]:
        if address in _NODES:
            return OutgoingLink(session, name, handle, address), []
        partition, group = self.hub.resolve(address)
        self._authorise(address)
        if partition is None or group is None:
            raise Refusal("amqp:not-found", f"'{address}' names no partition of a consumer group to receive from.")
        link = OutgoingLink(session, name, handle, None)
        properties = fields[13] or {}
        link.epoch = properties.get("com.microsoft:epoch")
        link.track_last = "com.microsoft:enable-receiver-runtime-metric" in (fields[12] or [])
        filters = (fields[5].value + [None] * 8)[7] or {}
        selector = filters.get("apache.org:selector-filter:string")
        start = partition.start(selector.value if isinstance(selector, Described) else selector)
        displaced = partition.admit(group.lower(), link)
        link.read(partition, group.lower(), start)
        return link, displaced

    def _authorise(self, address: str) -> None:
        """An accepted token for the hub or something in it must have been put to `$cbs` on this connection."""
        for audience in self._audiences:
            path = audience.split("://", 1)[-1].partition("/")[2].strip("/").lower()
            if path.split("/")[0] == self.hub.name.lower() or path == "":
                return
        raise Refusal("amqp:unauthorized-access", f"Unauthorized access to '{address}': put a token to $cbs first.")

    def _on_detach(self, frame: _Frame) -> None:
        link = self.sessions[frame.channel].links.get(frame.fields[0])
        if link is not None:
            self._send(frame.channel, DETACH, [uint(link.handle), bool(frame.fields[1])])
            self._forget(link)

    def detach(self, link: Link, condition: str, description: str) -> None:
        """End one link with an error."""
        self._send(link.session.channel, DETACH, [uint(link.handle), True, error(condition, description)])
        self._forget(link)

    def _forget(self, link: Link) -> None:
        link.session.links.pop(link.handle, None)
        if isinstance(link, OutgoingLink):
            self.blocked.discard(link)
        link.closed()

    # --- transfers ----------------------------------------------------------------------------------------------

    def _on_flow(self, frame: _Frame) -> None:
        session, fields = self.sessions[frame.channel], frame.fields
        session.remote_window = int(fields[0] or 0) + int(fields[1]) - session.next_outgoing
        link = None if fields[4] is None else session.links.get(fields[4])
        if isinstance(link, OutgoingLink):
            link.credit = max(0, int(fields[5] or 0) + int(fields[6] or 0) - link.delivery_count)
            link.drain = bool(fields[8])
        if fields[9]:  # the peer asks for our state
            half = link.flow_fields() if isinstance(link, IncomingLink) else []
            self.send_flow(session, half)
        for candidate in [link] if link is not None else list(session.links.values()):
            if isinstance(candidate, OutgoingLink):
                candidate.wake()

    def _on_transfer(self, frame: _Frame) -> None:
        session, fields = self.sessions[frame.channel], frame.fields
        if session.took_transfer():
            self.send_flow(session)
        link = session.links.get(fields[0])
        if link is None:
            return  # in flight while we detached it
        if not isinstance(link, IncomingLink):
            raise ProtocolError("amqp:not-allowed", "a transfer on a link that the peer receives on")
        if fields[1] is not None:
            link.delivery_id, link.message_format, link.settled = fields[1], fields[3] or 0, bool(fields[4])
        link.settled = link.settled or bool(fields[4])
        link.buffer += frame.payload
        if fields[9]:  # aborted
            link.buffer.clear()
            return
        if len(link.buffer) > limits.EVENT_BYTES + _FRAME_BYTES:
            self.detach(link, "amqp:link:message-size-exceeded", f"A message may have {limits.EVENT_BYTES} bytes.")
            return
        if fields[5]:  # more frames of this delivery follow
            return
        message = bytes(link.buffer)
        link.buffer.clear()
        link.delivery_count += 1
        link.credit -= 1
        self._deliver(link, message)
        if link.delivery_count % _TOP_UP == 0:
            self.send_flow(session, link.flow_fields())

    def _deliver(self, link: IncomingLink, message: bytes) -> None:
        channel, delivery = link.session.channel, uint(link.delivery_id or 0)
        outcome = Described(0x24, [])
        try:
            if link.node is not None:
                self._request(link, message)
            else:
                self.hub.ingest(message, batch=link.message_format == _BATCH_FORMAT, partition=link.partition)
        except CodecError as problem:
            outcome = Described(0x25, [error("amqp:decode-error", str(problem))])
        except OSError as problem:
            _LOG.error("the log cannot be written: %s", problem)
            outcome = Described(0x25, [error("amqp:internal-error", f"The hub's log cannot be written: {problem}")])
        if not link.settled:
            self._send(channel, DISPOSITION, [True, delivery, delivery, True, outcome])

    def _request(self, link: IncomingLink, message: bytes) -> None:
        answer, audience = self.hub.answer(str(link.node), message)
        if audience is not None:
            self._audiences.append(audience)
        # There is no reply-to: the answer goes to the receiving link of the same node on the same session.
        for other in link.session.links.values():
            if isinstance(other, OutgoingLink) and other.node == link.node:
                other.answers.append(answer)
                other.wake()
                return

    # --- time ---------------------------------------------------------------------------------------------------

    def _every(self, seconds: float, action: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        slot = len(self._timers)

        def tick() -> None:
            if self._transport is not None:
                self._timers[slot] = loop.call_later(seconds, tick)
                action()

        self._timers.append(loop.call_later(seconds, tick))

    def _check_idle(self) -> None:
        if asyncio.get_running_loop().time() - self._heard > self._idle_seconds:
            self.close("amqp:resource-limit-exceeded", f"Nothing was heard for {self._idle_seconds:g} seconds.")
