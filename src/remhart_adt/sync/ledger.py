"""The counters of the promise: what became of every item, once per (partition, sequence, index).

A *batch* is a contiguous run of a partition's events that was fed at once. It is finished when every write it
contributed to has an outcome. Only the contiguous prefix of finished batches may be committed; its counts are folded
into the partition's totals, which are stored in the same commit, so a crash forgets the rest and the replay counts it
anew: nothing is counted twice and nothing is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from remhart_adt.sync.types import RawEvent

__all__ = ["OUTCOMES", "Batch", "PartitionLedger", "add_counts", "summarise"]

# received = the sum of these + in flight
OUTCOMES: Final = ("applied", "merged", "skipped", "dead_lettered")


def add_counts(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counters to counters."""
    for key, n in more.items():
        if n:
            total[key] = total.get(key, 0) + n


class Batch:
    """One batch on its way. `holds` counts the writes (and other work) it waits for."""

    __slots__ = ("counts", "events", "holds", "offset", "partition", "sequence")

    def __init__(self, partition: str, events: Sequence[RawEvent], counts: Mapping[str, int]) -> None:
        self.partition = partition
        self.sequence = events[-1].sequence
        self.offset = events[-1].offset
        self.counts = dict(counts)
        # Bodies are kept until the batch is finished: a reading may still have to be dead-lettered.
        self.events = {event.sequence: event for event in events}
        self.holds = 1

    def count(self, outcome: str, n: int = 1) -> None:
        """Note an outcome of n of its items."""
        if n:
            self.counts[outcome] = self.counts.get(outcome, 0) + n

    def hold(self) -> None:
        """One more thing to wait for."""
        self.holds += 1

    def release(self) -> None:
        """One thing less; a batch at zero is finished."""
        self.holds -= 1
        if self.holds == 0:
            self.events = {}

    @property
    def finished(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.holds <= 0


class PartitionLedger:
    """The batches of one partition and its totals up to the finished prefix."""

    def __init__(self, totals: Mapping[str, int], sequence: int, offset: str) -> None:
        """`totals`, `sequence` and `offset` are what the store holds."""
        self.totals = dict(totals)
        self.sequence = sequence
        self.offset = offset
        self.committed = sequence
        self._batches: deque[Batch] = deque()

    def open(self, batch: Batch) -> None:
        """A batch begins; they come in order."""
        self._batches.append(batch)

    def advance(self) -> bool:
        """Fold finished batches at the front into the totals; whether there is something to commit."""
        while self._batches and self._batches[0].finished:
            batch = self._batches.popleft()
            add_counts(self.totals, batch.counts)
            self.sequence, self.offset = batch.sequence, batch.offset
        return self.sequence > self.committed

    @property
    def unfinished(self) -> int:
        """Batches that are not committed yet."""
        return len(self._batches)

    @property
    def waiting_items(self) -> int:
        """Items in batches that are not finished."""
        return sum(batch.counts.get("received", 0) for batch in self._batches if not batch.finished)

    def live(self) -> dict[str, int]:
        """Totals with everything that is known of unfinished batches; `in_flight` is the rest."""
        counts = dict(self.totals)
        for batch in self._batches:
            add_counts(counts, batch.counts)
        counts["in_flight"] = counts.get("received", 0) - sum(counts.get(name, 0) for name in OUTCOMES)
        return counts


def summarise(ledgers: Iterable[Mapping[str, int]]) -> dict[str, object]:
    """The report's counters over all partitions."""
    total: dict[str, int] = {}
    for ledger in ledgers:
        add_counts(total, ledger)
    named: dict[str, dict[str, int]] = {"dead": {}, "ok": {}, "abstained": {}, "failed": {}}
    for key, n in sorted(total.items()):
        group, _, name = key.partition(".")
        if name and group in named:
            named[group][name] = n
    plain = {key: total.get(key, 0) for key in ("received", *OUTCOMES, "in_flight", "scored")}
    return {
        **plain,
        "dead_by_cause": named["dead"],
        "ok_by_model": named["ok"],
        "abstained_by_model": named["abstained"],
        "failed_by_model": named["failed"],
    }
