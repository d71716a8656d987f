"""The partitions of this process: from delivered events to pending writes, and from outcomes to commits.

Everything that computes runs in one worker thread (`Thread`): the windows, the grid and the engine allow one user at a
time, and the event loop stays free for the network. The loop owns the ledgers, the pending writes and the files.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from remhart_adt import log
from remhart_adt.clock import Clock
from remhart_adt.errors import CheckpointError, OwnershipLostError
from remhart_adt.observe.metrics import Rate
from remhart_adt.sync.config import LimitSettings
from remhart_adt.sync.deadletter import DeadLetters
from remhart_adt.sync.decode import Dead
from remhart_adt.sync.grid import Grid
from remhart_adt.sync.lanes import READING, LaneWrite
from remhart_adt.sync.ledger import Batch, PartitionLedger
from remhart_adt.sync.merge import PendingWrites
from remhart_adt.sync.processor import Effects, Processor
from remhart_adt.sync.site import Site
from remhart_adt.sync.types import Commit, RawEvent, RevokeReason, Snapshot, Store

if TYPE_CHECKING:
    from remhart_adt.scoring.engine import Engine

__all__ = ["Stream", "Streams"]

_LOG = log.get(__name__)
T = TypeVar("T")
_ROOM_SECONDS = 0.05


@dataclass(slots=True)
class Stream:
    """One assigned partition."""

    partition: str
    processor: Processor
    ledger: PartitionLedger
    warm_until: int
    seen: int
    queue: deque[RawEvent] = field(default_factory=deque)
    snapshot: Snapshot | None = None
    snapshot_at: float = 0.0
    snapshot_stored: bool = False
    feeding: asyncio.Lock = field(default_factory=asyncio.Lock)
    gone: bool = False

    @property
    def finished(self) -> bool:
        """Whether everything that was taken is committed."""
        # A batch that is being computed has left the queue and is not in the ledger yet; the lock is held as long.
        idle = not self.queue and not self.feeding.locked()
        return idle and self.ledger.unfinished == 0 and self.ledger.committed == self.ledger.sequence


class Streams:
    """The handler that a source delivers to (`PartitionHandler`)."""

    def __init__(
        self,
        site: Site,
        engine: Engine,
        store: Store,
        pending: PendingWrites,
        dead: DeadLetters,
        limits: LimitSettings,
        clock: Clock,
        *,
        snapshot_seconds: float,
        translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        on_heard: Callable[[dict[str, int]], Sequence[LaneWrite]] = lambda _heard: (),
    ) -> None:
        self._site = site
        self._engine = engine
        self._store = store
        self._pending = pending
        self._dead = dead
        self._limits = limits
        self._clock = clock
        self._snapshot_seconds = snapshot_seconds
        self._translate = translate
        self._on_heard = on_heard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self.grid = Grid(site, engine)
        self.streams: dict[str, Stream] = {}
        self.past: dict[str, dict[str, int]] = {}
        self.redelivered = 0
        self.closing = False
        self.finish_seconds = limits.drain_seconds
        self.paused = False
        self.waiting = 0
        self.rate = Rate()
        self.busy_seconds = 0.0
        self.readings = 0

    async def compute(self, work: Callable[[], T]) -> T:
        """Run something in the one thread that may touch windows, grid and engine."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def shut(self) -> None:
        """No more computing."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    # --- what the source calls ----------------------------------------------------------------------------------------

    async def on_assigned(self, partition: str) -> None:
        """See PartitionHandler: load, restore, say again what follows from the whole."""
        resume = await self._store.load(partition)
        snapshot = resume.snapshot

        def make() -> Processor:
            processor = Processor(partition, self._site, self._engine, self.grid, translate=self._translate)
            if snapshot is not None:
                try:
                    processor.restore(snapshot)
                except CheckpointError as error:
                    _LOG.error("%s; the windows start empty", error)
                    return self._cold(partition)
            elif resume.checkpoint_sequence >= 0:
                return self._cold(partition)
            return processor

        processor = await self.compute(make)
        await asyncio.to_thread(self._dead.open, partition, resume.checkpoint_sequence)
        ledger = PartitionLedger(resume.ledger, resume.checkpoint_sequence, resume.checkpoint_offset)
        stream = Stream(partition, processor, ledger, resume.checkpoint_sequence, resume.read_after[0])
        stream.snapshot_at = self._clock.monotonic()
        stream.snapshot_stored = snapshot is not None
        if snapshot is None and resume.checkpoint_sequence >= 0:
            _LOG.warning("partition %s: the store has a checkpoint but no snapshot, the windows start empty", partition)
        self.streams[partition] = stream
        self.past.pop(partition, None)
        if stream.seen >= stream.warm_until:
            await self.restate()

    def _cold(self, partition: str) -> Processor:
        """A processor for a partition whose past is lost: of the alarms, what the twins still say is active goes on."""
        processor = Processor(partition, self._site, self._engine, self.grid, translate=self._translate)
        processor.adopt_alarms()
        return processor

    async def on_events(self, partition: str, events: Sequence[RawEvent]) -> None:
        """See PartitionHandler: queue them, and wait while too much is unfinished."""
        stream = self.streams.get(partition)
        if stream is None or self.closing:
            return  # not taken: they are delivered again after the next start
        fresh = [event for event in events if event.sequence > stream.seen]
        self.redelivered += len(events) - len(fresh)
        if fresh:
            stream.seen = fresh[-1].sequence
            stream.queue.extend(fresh)
        while not self.closing and not stream.gone and not self._room(stream):
            self.waiting += 1
            try:
                await self._breathe()
            finally:
                self.waiting -= 1

    async def on_revoked(self, partition: str, reason: RevokeReason) -> None:
        """See PartitionHandler. What was taken is finished first, at most `finish_seconds` (the end of a file waits as
        long as it takes); after the loss of ownership it is dropped."""
        stream = self.streams.get(partition)
        if stream is None:
            return
        if reason is RevokeReason.SHUTDOWN:
            end = self._clock.monotonic() + self.finish_seconds
            while not self.closing and not stream.finished and self._clock.monotonic() < end:
                await self._breathe()
        self.streams.pop(partition, None)
        stream.gone = True
        async with stream.feeding:
            pass  # a batch under way ends first; it sees that the stream is gone
        if reason is RevokeReason.SHUTDOWN:
            self.past[partition] = stream.ledger.live()
        await self.compute(lambda: self.grid.leave(partition))
        self._dead.close(partition)

    @staticmethod
    async def _breathe() -> None:
        # What is waited for has many makers (writes, commits, the end); looking again costs less than telling.
        await asyncio.sleep(_ROOM_SECONDS)

    def _room(self, stream: Stream) -> bool:
        if self.paused:
            return False
        queued = sum(len(event.body) for event in stream.queue)
        items = sum(other.ledger.waiting_items for other in self.streams.values())
        return (
            queued < self._limits.batch_bytes
            and stream.ledger.unfinished < self._limits.batches
            and items < self._limits.items
        )

    # --- from events to pending writes --------------------------------------------------------------------------------

    async def step(self) -> int:
        """Feed one batch of every partition that has events and room; how many events."""
        if self.paused:
            return 0
        fed = 0
        for stream in list(self.streams.values()):
            crowded = stream.ledger.unfinished >= self._limits.batches
            if stream.queue and not stream.gone and not crowded:
                async with stream.feeding:
                    fed += await self._feed(stream)
        return fed

    async def _feed(self, stream: Stream) -> int:
        events = self._next(stream)
        if events[0].sequence <= stream.warm_until:
            await self.compute(lambda: stream.processor.feed(events, warm=True))
            if events[-1].sequence >= stream.warm_until:
                await self.restate()
            return len(events)
        # The first commit of all carries a snapshot: a checkpoint alone would begin the next life with empty windows.
        due = not stream.snapshot_stored or self._clock.monotonic() - stream.snapshot_at >= self._snapshot_seconds
        want_snapshot = stream.snapshot is None and due

        def work() -> tuple[Effects, bytes | None, float]:
            started = time.perf_counter()
            effects = stream.processor.feed(events)
            spent = time.perf_counter() - started
            return effects, stream.processor.snapshot() if want_snapshot else None, spent

        effects, snapshot, spent = await self.compute(work)
        if stream.gone:
            return len(events)
        self.busy_seconds += spent
        batch = Batch(stream.partition, events, effects.counts)
        stream.ledger.open(batch)
        for dead in effects.dead:
            self.bury(batch, dead)
        heard: dict[str, int] = {}
        for write in effects.writes:
            self._pending.offer(write, batch)
            if write.lane == READING:
                heard[write.target.twin] = 1
        n = effects.counts.get("scored", 0)
        for name in heard:
            heard[name] = max(1, n // len(heard))
        self.offer(self._on_heard(heard))
        batch.release()
        self.readings += n
        self.rate.add(self._clock.monotonic(), effects.counts["received"])
        if snapshot is not None:
            stream.snapshot = Snapshot(batch.sequence, batch.offset, snapshot)
            stream.snapshot_at = self._clock.monotonic()
        return len(events)

    def _next(self, stream: Stream) -> list[RawEvent]:
        """Some events from the front of the queue: either all of them warm-up, or none."""
        events = [stream.queue.popleft()]
        size = len(events[0].body)
        warm = events[0].sequence <= stream.warm_until
        while stream.queue and size < self._limits.batch_bytes:
            if (stream.queue[0].sequence <= stream.warm_until) is not warm:
                break
            events.append(stream.queue.popleft())
            size += len(events[-1].body)
        return events

    def offer(self, writes: Sequence[LaneWrite]) -> None:
        """Take lane writes in that no batch waits for."""
        for write in writes:
            self._pending.offer(write, None)

    async def restate(self) -> None:
        """Say again what follows from everything consumed so far."""
        self.offer(await self.compute(self.grid.restate))

    def bury(self, batch: Batch, dead: Dead) -> None:
        """Store a dead letter and count it."""
        stream = self.streams.get(batch.partition)
        event = batch.events.get(dead.sequence)
        if stream is None or event is None:
            return  # the partition is another owner's now, who will meet the item himself
        self._dead.add(batch.partition, event, dead)
        batch.count("dead_lettered")
        batch.count(f"dead.{dead.cause.value}")

    async def adopt(self, site: Site) -> None:
        """Go on with a changed graph."""

        def work() -> list[LaneWrite]:
            self.grid.adopt(site)
            for stream in self.streams.values():
                stream.processor.adopt(site)
            return self.grid.restate()

        self._site = site
        self.offer(await self.compute(work))

    # --- commits ------------------------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Commit the finished prefix of every partition. Raises CheckpointError when storing fails."""
        for stream in list(self.streams.values()):
            progress = stream.ledger.advance()
            ready = stream.snapshot is not None and stream.ledger.sequence >= stream.snapshot.sequence
            if not (ready or (progress and stream.snapshot_stored)):
                continue
            ledger, snapshot = stream.ledger, stream.snapshot if ready else None
            step = Commit(ledger.sequence, ledger.offset, dict(ledger.totals), snapshot)
            try:
                await asyncio.to_thread(self._dead.sync, stream.partition)
                await self._store.commit(stream.partition, step)
                self._dead.forget(stream.partition, step.sequence)
            except OwnershipLostError as error:
                # The source will say so too; until then nothing of this partition may be stored by us.
                _LOG.warning("%s", error)
                stream.gone = True
                continue
            except KeyError:
                continue  # revoked while we waited
            ledger.committed = step.sequence
            if snapshot is not None:
                stream.snapshot_stored = True
                if stream.snapshot is snapshot:
                    stream.snapshot = None

    async def snapshot_now(self) -> None:
        """Take a snapshot of every partition, so that the next owner starts without a warm-up."""
        for stream in list(self.streams.values()):
            if not stream.queue and stream.ledger.unfinished == 0 and stream.ledger.sequence >= 0:
                data = await self.compute(stream.processor.snapshot)
                stream.snapshot = Snapshot(stream.ledger.sequence, stream.ledger.offset, data)

    def ledgers(self) -> list[dict[str, int]]:
        """Live counters of every partition this process has had."""
        return [*(stream.ledger.live() for stream in self.streams.values()), *self.past.values()]

    @property
    def held_back(self) -> bool:
        """Whether the source waits for us."""
        return self.waiting > 0

    @property
    def backlog(self) -> int:
        """Events delivered and not fed."""
        return sum(len(stream.queue) for stream in self.streams.values())
