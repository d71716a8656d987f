"""I1: every reading that was sent is accounted for, once, and dies only of its true cause."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remhart_adt.checker.types import Verdict

__all__ = ["check_conservation", "read_dead_letters"]

_OUTCOMES = ("applied", "merged", "skipped", "dead_lettered")


def read_dead_letters(folder: Path) -> dict[tuple[str, int, int], str]:
    """Cause by (partition, sequence, index) from every file of the dead-letter folder; a torn last line is left out."""
    found: dict[tuple[str, int, int], str] = {}
    for path in sorted(folder.glob("*.ndjson")) if folder.is_dir() else ():
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    row = json.loads(line)
                    found[str(row["partition"]), row["sequence"], row["index"]] = row["cause"]
    return found


def check_conservation(
    *,
    sent: int | None,
    hub_retained: int,
    ledger: Mapping[str, Any],
    committed: Mapping[str, int],
    dead: Mapping[tuple[str, int, int], str],
    must_die: Mapping[tuple[str, int, int], str],
) -> Verdict:
    """sent = hub_retained = applied + merged + skipped + dead_lettered, and nothing in flight.

    `ledger` is the daemon's report, `committed` the sum of the partitions' last committed ledgers. `must_die` is what a
    decoder of the checker's own refuses in the hub's log; every entry must be in the dead letter with that cause.
    """
    verdict = Verdict("I1")
    verdict.looked_at = hub_retained

    def equal(name: str, one: int, other: int) -> None:
        if one != other:
            verdict.fail(f"{name}: {one} is not {other}")

    if sent is not None:
        equal("sent against hub_retained", sent, hub_retained)
    equal("in_flight", int(ledger["in_flight"]), 0)
    equal("received against hub_retained", int(ledger["received"]), hub_retained)
    equal("sum of outcomes against hub_retained", sum(int(ledger[name]) for name in _OUTCOMES), hub_retained)
    equal(
        "sum of committed outcomes against hub_retained", sum(int(committed.get(n, 0)) for n in _OUTCOMES), hub_retained
    )
    equal("entries of the dead letter against dead_lettered", len(dead), int(ledger["dead_lettered"]))
    by_cause = Counter(dead.values())
    if dict(by_cause) != {cause: n for cause, n in ledger["dead_by_cause"].items() if n}:
        verdict.fail(f"causes in the dead letter {dict(by_cause)} are not those counted {ledger['dead_by_cause']}")
    for key, cause in must_die.items():
        if dead.get(key) != cause:
            verdict.fail(f"event {key}: the dead letter says {dead.get(key)}, the log says {cause}")
    return verdict
