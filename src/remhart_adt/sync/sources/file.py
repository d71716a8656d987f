"""A telemetry file as a source: one partition "0" whose sequence numbers are the record numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import ConfigError, SourceError
from remhart_adt.sync.sources.records import FileRecord, Translate, read_records
from remhart_adt.sync.types import PartitionHandler, RawEvent, RevokeReason, Scope, SourceCounters, Store

__all__ = ["FileSource"]

_PARTITION = "0"
_BATCH = 500


class FileSource:
    """A `Source` over a CSV or NDJSON file; `run` returns when it is read to its end.

    `speed`: 0 = as fast as the handler takes it; otherwise records are handed over when their source time is due, that
    many times faster than they were recorded. It goes on after the record that the store knows, so a file that grew
    may be read again; a file that was replaced needs another `group`.
    """

    def __init__(
        self,
        path: Path | str,
        translate: Translate | None = None,
        speed: float = 0.0,
        *,
        store: Store,
        group: str = "$Default",
        clock: Clock = SYSTEM,
    ) -> None:
        if not 0 <= speed < float("inf"):
            raise ConfigError(f"speed {speed}", remedy="Use 0 for as fast as possible, or a factor above 0")
        self.path = Path(path)
        self._translate = translate
        self._speed = speed
        self._store = store
        self._group = group
        self._clock = clock
        self._counters = SourceCounters()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._started = False
        self._origin: tuple[int, float] | None = None

    @property
    def counters(self) -> SourceCounters:
        """Live counters."""
        return self._counters

    @property
    def scope(self) -> Scope:
        """The store's scope: the file's own name stands for the event hub."""
        return Scope("file", self.path.name, self._group)

    async def run(self, handler: PartitionHandler) -> None:
        """See `Source.run`."""
        if self._started:
            raise SourceError("this source was run before", where=str(self.path))
        self._started = True
        try:
            await self._store.bind(self.scope)
            after, _ = (await self._store.load(_PARTITION)).read_after
            await handler.on_assigned(_PARTITION)
            try:
                await self._deliver(handler, after)
            finally:
                await handler.on_revoked(_PARTITION, RevokeReason.SHUTDOWN)
        finally:
            self._ended.set()

    async def _deliver(self, handler: PartitionHandler, after: int) -> None:
        self._counters.last_sequence[_PARTITION] = after
        with closing(read_records(self.path, self._translate)) as records:
            while batch := self._next_batch(records, after):
                for due in self._due(batch):
                    await self._wait_for(due[0])
                    if self._stop.is_set():
                        return
                    await handler.on_events(_PARTITION, [self._event(record) for record in due])
                    await asyncio.sleep(0)  # a handler that never waits must not keep close() from being heard

    def _next_batch(self, records: Iterator[FileRecord], after: int) -> list[FileRecord]:
        batch: list[FileRecord] = []
        for record in records:
            if record.number > after:
                batch.append(record)
                if len(batch) >= _BATCH:
                    break
        return batch

    def _due(self, batch: list[FileRecord]) -> Iterator[list[FileRecord]]:
        """The batch in groups that are due together: all at once, or those of one source time."""
        if self._speed == 0:
            yield batch
            return
        group: list[FileRecord] = []
        for record in batch:
            if group and record.time_us not in (None, group[0].time_us):
                yield group
                group = []
            group.append(record)
        yield group

    async def _wait_for(self, record: FileRecord) -> None:
        if self._speed == 0 or record.time_us is None:
            return
        now = self._clock.monotonic()
        if self._origin is None:
            self._origin = (record.time_us, now)
        start_us, start = self._origin
        delay = start + (record.time_us - start_us) / 1e6 / self._speed - now
        if delay > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), delay)
            except TimeoutError:
                return

    def _event(self, record: FileRecord) -> RawEvent:
        counters = self._counters
        counters.received += 1
        counters.received_bytes += len(record.body)
        counters.last_sequence[_PARTITION] = record.number
        return RawEvent(record.number, str(record.number), self._clock.now_us(), record.body)

    async def close(self) -> None:
        """See `Source.close`."""
        self._stop.set()
        if self._started:
            await self._ended.wait()

    async def probe(self) -> dict[str, int]:
        """See `Source.probe`: the number of the file's last record."""

        def last() -> int:
            number = -1
            for record in read_records(self.path):
                number = record.number
            return number

        return {_PARTITION: await asyncio.to_thread(last)}
