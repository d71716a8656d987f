"""I3 and I5: what was written never goes back in source time, and checkpoints never go back at all."""

from __future__ import annotations

from collections.abc import Iterable

from remhart_adt.checker.journal import Write
from remhart_adt.checker.types import Verdict
from remhart_adt.clock import format_us
from remhart_adt.sync.types import CommitRecord

__all__ = ["check_checkpoints", "check_order"]


def check_order(written: Iterable[Write]) -> Verdict:
    """I3: per target and stamp path, the source times of successful writes never decrease."""
    verdict = Verdict("I3")
    latest: dict[tuple[str, str], int] = {}
    for write in written:
        if write.created:  # the twin was made anew: its lanes start again
            latest = {key: us for key, us in latest.items() if key[0] != write.target} if latest else latest
            continue
        for path, us in write.stamps.items():
            verdict.looked_at += 1
            before = latest.get((write.target, path))
            if before is not None and us < before:
                verdict.fail(f"{write.target} {path}: {format_us(us)} was written over {format_us(before)}")
            latest[write.target, path] = us
    return verdict


def check_checkpoints(history: Iterable[CommitRecord]) -> Verdict:
    """I5: per partition the committed sequence never decreases, and neither does any counter of the ledger."""
    verdict = Verdict("I5")
    last: dict[str, CommitRecord] = {}
    for record in history:
        verdict.looked_at += 1
        before = last.get(record.partition)
        if before is not None:
            if record.sequence < before.sequence:
                verdict.fail(
                    f"partition {record.partition}: checkpoint went from {before.sequence} to {record.sequence}"
                )
            for name, value in before.ledger.items():
                if isinstance(value, int) and record.ledger.get(name, 0) < value:
                    verdict.fail(
                        f"partition {record.partition}: counter {name} went from {value} to {record.ledger.get(name)}"
                    )
        last[record.partition] = record
    return verdict
