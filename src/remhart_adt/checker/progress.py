"""I4: no checkpoint is ahead of what had been written when it was committed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from remhart_adt.checker.journal import Write
from remhart_adt.checker.types import Verdict
from remhart_adt.clock import format_us
from remhart_adt.sync.decode import Decoded
from remhart_adt.sync.types import CommitRecord

__all__ = ["Demand", "check_progress", "demands"]

_STAMPS = ("/lastReadingAt", "/lastUpdatedAt")


class Demand(NamedTuple):
    """A reading that must stand on its twin once the checkpoint has passed `sequence`: its source time in us."""

    sequence: int
    twin: str
    time_us: int


def demands(decoded: Iterable[Decoded], dead: frozenset[tuple[int, int]]) -> Iterator[Demand]:
    """What one partition's log demands, in order: readings newer than any before of their twin.

    `dead` holds the (sequence, index) of readings that ended in the dead letter after decoding.
    """
    newest: dict[str, int] = {}
    for part in decoded:
        batch = part.batch
        names = [batch.points[i] for i in batch.point.tolist()]
        rows = list(zip(batch.sequence.tolist(), batch.index.tolist(), names, batch.time_us.tolist(), strict=True))
        rows += [(s.sequence, s.index, s.component_id, s.time_us) for s in part.statuses]
        for sequence, index, twin, time_us in sorted(rows):
            if time_us > newest.get(twin, -1) and (sequence, index) not in dead:
                newest[twin] = time_us
                yield Demand(sequence, twin, time_us)


def check_progress(
    history: Iterable[CommitRecord], demanded: Mapping[str, Sequence[Demand]], written: Sequence[Write]
) -> Verdict:
    """Hold every commit against the writes that the server had finished by then."""
    verdict = Verdict("I4")
    stamps = sorted(
        (write.done_us, write.target, us) for write in written for path, us in write.stamps.items() if path in _STAMPS
    )
    on_twin: dict[str, int] = defaultdict(lambda: -1)
    place = dict.fromkeys(demanded, 0)
    at = 0
    for record in sorted(history, key=lambda r: r.committed_us):
        while at < len(stamps) and stamps[at][0] <= record.committed_us:
            _, target, us = stamps[at]
            on_twin[target] = max(on_twin[target], us)
            at += 1
        rows = demanded.get(record.partition, ())
        k = place.get(record.partition, 0)
        while k < len(rows) and rows[k].sequence <= record.sequence:
            verdict.looked_at += 1
            wish = rows[k]
            if on_twin[wish.twin] < wish.time_us:
                verdict.fail(
                    f"partition {record.partition}: checkpoint {record.sequence} was committed before "
                    f"{wish.twin} held the reading of {format_us(wish.time_us)} (event {wish.sequence})"
                )
            k += 1
        place[record.partition] = k
    return verdict
