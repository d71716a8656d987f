"""The contracts between a telemetry source, the daemon behind it, and the store of its progress.

A *source* hands over the events of *partitions*, in order. A *handler* (the daemon) finishes them and commits how far
it came to a *store*. The numbers that carry the promise "every reading is counted exactly once":

- `sequence`: the event's number in its partition, without gaps, from the source. -1 = before the first event.
- checkpoint sequence: the last event of the contiguous prefix that is finished (applied, merged, skipped or
  dead-lettered) and counted in the ledger.
- snapshot sequence: the last event that the saved windows have seen; never above the checkpoint. A new owner starts
  reading right after it: events up to the checkpoint only warm the windows, everything later is new work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

__all__ = [
    "BEFORE_FIRST",
    "Commit",
    "CommitRecord",
    "PartitionHandler",
    "RawEvent",
    "Resume",
    "RevokeReason",
    "Scope",
    "Snapshot",
    "Source",
    "SourceCounters",
    "StartAt",
    "StartKind",
    "Store",
]

BEFORE_FIRST = -1
"""The sequence number that stands for "nothing yet"."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as it stood in its partition, its body not yet looked at.

    `enqueued_us`: when the hub accepted it, microseconds since the epoch. `device_id`: the sending device as IoT Hub
    vouches for it, None from a plain Event Hub.
    """

    sequence: int
    offset: str
    enqueued_us: int
    body: bytes
    device_id: str | None = None


class Scope(NamedTuple):
    """Whose progress a store keeps: one consumer group's on one event hub (names compared without case)."""

    namespace: str
    eventhub: str
    group: str

    def key(self) -> tuple[str, str, str]:
        """The scope in lower case, as stores compare it."""
        return self.namespace.lower(), self.eventhub.lower(), self.group.lower()


class Snapshot(NamedTuple):
    """The windows of one partition after the event `sequence` (at `offset`), packed into `data`."""

    sequence: int
    offset: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a partition stands in the store. Defaults: nothing was ever committed.

    With a snapshot, reading starts after `snapshot_sequence`; without one, after `checkpoint_sequence`.
    """

    checkpoint_sequence: int = BEFORE_FIRST
    checkpoint_offset: str = "-1"
    snapshot_sequence: int = BEFORE_FIRST
    snapshot_offset: str = "-1"
    snapshot: bytes | None = None
    ledger: Mapping[str, int] = field(default_factory=dict)

    @property
    def read_after(self) -> tuple[int, str]:
        """(sequence, offset) of the last event that need not be read again; (-1, "-1") = read from the start."""
        if self.snapshot is not None:
            return self.snapshot_sequence, self.snapshot_offset
        return self.checkpoint_sequence, self.checkpoint_offset


@dataclass(frozen=True, slots=True)
class Commit:
    """One step forward of a partition: all of it is stored, or nothing.

    `sequence`/`offset`: the last finished event. `ledger`: the partition's running totals up to and including it.
    `snapshot`: new windows, or None to keep the stored ones.
    """

    sequence: int
    offset: str
    ledger: Mapping[str, int]
    snapshot: Snapshot | tuple[int, str, bytes] | None = None


class CommitRecord(NamedTuple):
    """One line of a store's audit trail: what was committed, by which owner, at which wall time."""

    partition: str
    sequence: int
    offset: str
    owner: str
    committed_us: int
    ledger: Mapping[str, int]


class RevokeReason(StrEnum):
    """Why a partition is taken away from the handler."""

    SHUTDOWN = "shutdown"
    """This process is closing the source; finished work may still be committed."""
    OWNERSHIP_LOST = "ownership_lost"
    """Another process owns the partition, or its receiver failed; uncommitted work must be dropped. After a failed
    receiver the partition is assigned again and read from the stored position."""


class StartKind(StrEnum):
    """Where to begin in a partition that the store knows nothing about."""

    EARLIEST = "earliest"
    LATEST = "latest"
    SEQUENCE = "sequence"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class StartAt:
    """A start position: `value` is the first sequence number wanted, or the enqueued time in microseconds."""

    kind: StartKind = StartKind.EARLIEST
    value: int = 0


@dataclass(slots=True)
class SourceCounters:
    """What a source did since it was made.

    `received` counts events handed to the handler, `redelivered` those dropped because they came again, `missed` gaps
    in the sequence numbers: events that the hub's retention deleted before they were read.
    """

    received: int = 0
    redelivered: int = 0
    missed: int = 0
    received_bytes: int = 0
    last_sequence: dict[str, int] = field(default_factory=dict)


@runtime_checkable
class PartitionHandler(Protocol):
    """What a source calls. Calls for one partition never overlap; different partitions run concurrently.

    An exception from any of these is a bug or a fatal fault, never a bad event: the source stops and `run` raises it.
    """

    async def on_assigned(self, partition: str) -> None:
        """The partition is ours: load its state from the store. Called before its first events."""

    async def on_events(self, partition: str, events: Sequence[RawEvent]) -> None:
        """At least one event, in order, each sequence above the last. Nothing more of this partition is handed over
        until this returns: awaiting here is the back-pressure."""

    async def on_revoked(self, partition: str, reason: RevokeReason) -> None:
        """No more events of this partition will come. Called once for every `on_assigned`."""


@runtime_checkable
class Source(Protocol):
    """Something that delivers partitions of events."""

    @property
    def counters(self) -> SourceCounters:
        """Live counters, updated in place."""

    async def run(self, handler: PartitionHandler) -> None:
        """Deliver until `close` is called or a finite source is read to its end; raises what the handler raised, or
        SourceError when the source cannot be read at all."""

    async def close(self) -> None:
        """Stop delivering: waits for handler calls under way, revokes every partition, then `run` returns. Twice is
        harmless."""

    async def probe(self) -> dict[str, int]:
        """Ask the source itself for the last sequence of every partition (-1 = empty); SourceError when it does not
        answer. An outage of the hub is silent otherwise: this is how a watchdog sees it."""


@runtime_checkable
class Store(Protocol):
    """Durable progress of partitions, shared by every process of one consumer group.

    The ownership methods and `list_checkpoints` are those of `azure.eventhub.aio.CheckpointStore`, so the real client
    balances partitions through it; `list_checkpoints` answers the position to *read* from (`Resume.read_after`).
    """

    async def bind(self, scope: Scope) -> None:
        """Say whose progress `load`, `commit` and `history` mean. The source calls it; binding to another scope later
        is a CheckpointError."""

    async def load(self, partition: str) -> Resume:
        """What was committed last; CheckpointError when the store cannot be read or its content is damaged."""

    async def commit(self, partition: str, commit: Commit) -> None:
        """Store all of it durably, or nothing.

        Raises OwnershipLostError when another owner has claimed the partition since, CheckpointError when the step
        would go back (checkpoint, or snapshot), when the snapshot is ahead of the checkpoint, or when storing failed.
        """

    async def history(self, partition: str | None = None) -> list[CommitRecord]:
        """The commits the store remembers, oldest first."""

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """Who owns what; `last_modified_time` is seconds since the epoch."""

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """Compare-and-set by etag; answers those that were won, with their new etag. Losing one is no error."""

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """The position to read on from, for every partition with a commit."""

    async def update_checkpoint(self, checkpoint: dict[str, Any], **kwargs: Any) -> None:
        """Part of the client's interface; always CheckpointError: progress goes through `commit` only."""

    async def close(self) -> None:
        """Release files and connections; twice is harmless."""
