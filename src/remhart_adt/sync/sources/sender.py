"""Readings to an event hub, as a gateway in the field sends them: arrays of one point's readings, batched.

A point's readings keep their order because they always go to the same partition: the one its id hashes to. The batches
are addressed to partitions, not to keys, so one batch carries many points (the client's own buffered producer does the
same).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt import limits, log
from remhart_adt.errors import ConfigError, MissingExtraError, SourceError
from remhart_adt.local.eventhub.hashing import partition_for

__all__ = ["EventHubSender", "SenderCounters"]

_LOG = log.get(__name__)
# An array is closed before it reaches this size, so that it fits into an event with room for the hub's annotations.
_ARRAY_BYTES: Final = limits.EVENT_BYTES // 4
_RETRY_SECONDS: Final = (0.1, 2.0)


@dataclass(slots=True)
class SenderCounters:
    """What the hub has acknowledged; `retries` counts batches that had to be sent again (the hub may hold them twice
    when only its answer was lost)."""

    readings: int = 0
    events: int = 0
    bytes: int = 0
    batches: int = 0
    retries: int = 0


@dataclass(slots=True)
class _Event:
    body: bytes
    readings: int


class EventHubSender:
    """Sends wire readings and component statuses (dictionaries) with the official producer.

    `per_event`: readings in one event (1 = no array). Readings wait in memory until `flush`, or until `buffer_bytes` of
    closed events are there. While the hub does not answer, sending is repeated for `patience` seconds, then it is a
    SourceError. Use as an async context manager; leaving it flushes.
    """

    def __init__(
        self,
        connection: str,
        eventhub: str | None = None,
        *,
        credential: Any = None,
        per_event: int = 10,
        buffer_bytes: int = limits.EVENT_BYTES,
        patience: float = 60.0,
    ) -> None:
        if per_event < 1:
            raise ConfigError(f"{per_event} readings per event", remedy="Use 1 or more")
        try:
            import orjson
            from azure.eventhub import EventData
            from azure.eventhub.aio import EventHubProducerClient
        except ModuleNotFoundError:
            raise MissingExtraError("sync", needed_for="Sending to Event Hubs") from None
        options: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.1}
        try:
            if "endpoint=" in connection.lower():
                self._client = EventHubProducerClient.from_connection_string(
                    connection, eventhub_name=eventhub, **options
                )
            else:
                self._client = EventHubProducerClient(connection, eventhub, credential, **options)
        except (ValueError, TypeError) as problem:
            raise ConfigError(f"the Event Hubs connection is not usable: {log.redact(str(problem))}") from None
        self.counters = SenderCounters()
        self._dumps = orjson.dumps
        self._event_data = EventData
        self._per_event = per_event
        self._buffer_bytes = buffer_bytes
        self._patience = patience
        self._partitions: list[str] = []
        self._open: dict[str, list[bytes]] = {}
        self._open_bytes: dict[str, int] = {}
        self._closed: dict[str, list[_Event]] = {}
        self._closed_bytes = 0

    async def send(self, readings: Iterable[Mapping[str, Any]]) -> None:
        """Take readings or statuses (`pointId` or `componentId` says where they belong); sends when enough is there."""
        await self._know_partitions()
        for reading in readings:
            key = str(reading.get("pointId") or reading.get("componentId") or "")
            body = self._dumps(reading)
            waiting = self._open.setdefault(key, [])
            waiting.append(body)
            self._open_bytes[key] = self._open_bytes.get(key, 0) + len(body) + 1
            if len(waiting) >= self._per_event or self._open_bytes[key] >= _ARRAY_BYTES:
                self._close_array(key)
            if self._closed_bytes >= self._buffer_bytes:
                await self._send_closed()

    async def send_body(self, key: str, body: bytes, *, readings: int = 1) -> None:
        """Take one event's body as it is, after what was taken for the same key; it counts as `readings` readings."""
        await self._know_partitions()
        self._close_array(key)
        self._add(key, body, readings)
        if self._closed_bytes >= self._buffer_bytes:
            await self._send_closed()

    async def flush(self) -> None:
        """Send everything taken so far; when this returns the hub has acknowledged it."""
        for key in list(self._open):
            self._close_array(key)
        await self._send_closed()

    async def close(self) -> None:
        """Flush, then hang up."""
        try:
            await self.flush()
        finally:
            await self._client.close()

    async def __aenter__(self) -> EventHubSender:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            await self.close()
        else:
            await self._client.close()

    # --- arrays and batches -------------------------------------------------------------------------------------

    def _close_array(self, key: str) -> None:
        waiting = self._open.pop(key, None)
        self._open_bytes.pop(key, None)
        if waiting:
            body = waiting[0] if self._per_event == 1 else b"[" + b",".join(waiting) + b"]"
            self._add(key, body, len(waiting))

    def _add(self, key: str, body: bytes, readings: int) -> None:
        partition = self._partitions[partition_for(key, len(self._partitions))]
        self._closed.setdefault(partition, []).append(_Event(body, readings))
        self._closed_bytes += len(body)

    async def _know_partitions(self) -> None:
        if not self._partitions:
            self._partitions = await self._patiently(self._client.get_partition_ids)

    async def _send_closed(self) -> None:
        closed, self._closed, self._closed_bytes = self._closed, {}, 0
        await asyncio.gather(*[self._send_partition(pid, events) for pid, events in closed.items()])

    async def _send_partition(self, partition: str, events: list[_Event]) -> None:
        place = 0
        while place < len(events):
            batch = await self._patiently(lambda: self._client.create_batch(partition_id=partition))
            first = place
            while place < len(events):
                try:
                    batch.add(self._event_data(events[place].body))
                except ValueError:  # the batch is full
                    break
                place += 1
            if place == first:
                raise SourceError(f"an event of {len(events[place].body)} bytes is larger than the hub takes")
            await self._patiently(lambda batch=batch: self._client.send_batch(batch))
            sent = events[first:place]
            self.counters.batches += 1
            self.counters.events += len(sent)
            self.counters.readings += sum(event.readings for event in sent)
            self.counters.bytes += sum(len(event.body) for event in sent)

    async def _patiently(self, call: Any) -> Any:
        """The call's result, repeated while the hub is away."""
        from azure.eventhub.exceptions import AuthenticationError, EventHubError

        end = time.monotonic() + self._patience
        pause, longest = _RETRY_SECONDS
        while True:
            try:
                return await call()
            except AuthenticationError as problem:
                raise SourceError(
                    f"access denied: {_first_line(problem)}",
                    remedy="Give the identity the role 'Azure Event Hubs Data Sender', or check the connection string",
                ) from problem
            except (EventHubError, OSError) as problem:
                if time.monotonic() + pause > end or _is_final(problem):
                    raise SourceError(f"the events cannot be sent: {_first_line(problem)}") from problem
                _LOG.warning("sending again in %.1f s: %s", pause, _first_line(problem))
                self.counters.retries += 1
                await asyncio.sleep(pause)
                pause = min(longest, pause * 2)


def _first_line(problem: BaseException) -> str:
    return log.redact(str(problem).splitlines()[0] if str(problem) else type(problem).__name__)


def _is_final(problem: BaseException) -> bool:
    text = str(problem)
    return "Status code: 404" in text or "not-found" in text or "could not be found" in text
