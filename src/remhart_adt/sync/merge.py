"""What waits to be written, per target: lanes merged until the write that carries them succeeds.

Last value per path, newest source time wins. Every batch that contributed to a target holds on until the target's
write has an outcome. A reading that is superseded here before it was written counts as merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remhart_adt.sync.lanes import Carried, LaneWrite, Rule, Target, Telemetry, merge_ops, rule_of, stamp_on, stamp_path
from remhart_adt.sync.ledger import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PendingLane", "PendingWrites", "TargetState"]


@dataclass(slots=True)
class PendingLane:
    """A lane that waits: its write, the batch of the reading it carries, and whose delay ends with it."""

    write: LaneWrite
    carrier: Batch | None
    fresh_us: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def carried(self) -> Carried | None:
        """The reading the write stands for."""
        return self.write.carried

    def take(self, newer: PendingLane) -> None:
        """Fold a later one into this; the reading that loses is merged, or skipped when it came late."""
        won = merge_ops(self.write, newer.write)
        self.fresh_us += newer.fresh_us
        if newer.carried is None:
            return
        if won:
            if self.carrier is not None and self.carried is not None:
                self.carrier.count("merged")
            self.write.carried, self.carrier = newer.carried, newer.carrier
        elif newer.carrier is not None:
            newer.carrier.count("skipped")


@dataclass(slots=True)
class TargetState:
    """One twin or relationship as the writer knows it.

    `pending` lanes and the batches that wait for them (`claims`); `document` is our view of what stands on it (None
    until it was read), with `etag`; `owned` is what our lanes have written in this process, to restore a target that
    was deleted and made again. `rejected`: paths the service refused lately -> until when they are left out.
    """

    target: Target
    pending: dict[str, PendingLane] = field(default_factory=dict)
    claims: list[Batch] = field(default_factory=list)
    unsent: list[Telemetry] = field(default_factory=list)
    document: dict[str, Any] | None = None
    etag: str = ""
    owned: dict[str, LaneWrite] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    missing_until: float = 0.0
    lost: bool = False
    rejected: dict[str, float] = field(default_factory=dict)

    def lane(self, pending: PendingLane) -> None:
        """Add a lane to what waits."""
        waiting = self.pending.get(pending.write.lane)
        if waiting is None:
            self.pending[pending.write.lane] = pending
        else:
            waiting.take(pending)

    def put_back(self, lanes: dict[str, PendingLane], claims: list[Batch], unsent: list[Telemetry]) -> None:
        """A write failed: what it carried waits again, under anything newer that came meanwhile."""
        newer, self.pending = self.pending, dict(lanes)
        for pending in newer.values():
            self.lane(pending)
        self.claims = claims + self.claims
        self.unsent = unsent + self.unsent


class PendingWrites:
    """All targets with something to write.

    The service counts a twin and its relationships together and takes their writes one after the other, so at most one
    of them is under way: a busbar with two hundred feeders must not keep every worker waiting for its turn.
    """

    def __init__(self) -> None:
        self.targets: dict[Target, TargetState] = {}
        self.dirty: dict[Target, TargetState] = {}
        self._by_twin: dict[str, dict[Target, TargetState]] = {}
        self._busy: set[str] = set()

    def offer(self, write: LaneWrite, batch: Batch | None) -> None:
        """Take a lane write in. `batch` waits until it has an outcome; for lanes of set functions it need not, since
        they are said again after every start."""
        state = self.targets.get(write.target)
        if state is None:
            state = self.targets[write.target] = TargetState(write.target)
        if batch is not None and rule_of(write.lane) is not Rule.SET:
            batch.hold()
            state.claims.append(batch)
        fresh = [write.carried.fresh_us] if write.carried is not None and len(write.carried.fresh_us) else []
        state.lane(PendingLane(write, batch if write.carried is not None else None, fresh))
        self.mark(state)

    def mark(self, state: TargetState) -> None:
        """There is something to write to this target."""
        if state.target not in self.dirty:
            self.dirty[state.target] = state
            self._by_twin.setdefault(state.target.twin, {})[state.target] = state

    def clean(self, state: TargetState) -> None:
        """Nothing is left to write to this target."""
        self.dirty.pop(state.target, None)
        mine = self._by_twin.get(state.target.twin)
        if mine is not None:
            mine.pop(state.target, None)
            if not mine:
                del self._by_twin[state.target.twin]

    def look_again(self, documents: Mapping[Target, Mapping[str, Any]]) -> int:
        """Compare the graph as loaded anew with what we have written: a target without the stamp of a lane of ours was
        made again meanwhile, and gets that lane again. Returns how many there are."""
        found = 0
        for target, state in self.targets.items():
            document = documents.get(target)
            if document is None or target.twin in self._busy:
                continue
            if any(stamp_path(lane) and stamp_on(lane, document) is None for lane in state.owned):
                state.document = None
                self.mark(state)
                found += 1
        return found

    def due(self, now: float) -> list[TargetState]:
        """One target of every twin that is free and has something to write now; they count as under way."""
        found = [self._first(mine, now, None) for twin, mine in self._by_twin.items() if twin not in self._busy]
        chosen = [state for state in found if state is not None]
        self._busy.update(state.target.twin for state in chosen)
        return chosen

    def next_of(self, state: TargetState, now: float) -> TargetState | None:
        """This target's write is over: another one of the same twin, or None and the twin is free again."""
        other = self._first(self._by_twin.get(state.target.twin, {}), now, state)
        if other is None:
            self._busy.discard(state.target.twin)
        return other

    @staticmethod
    def _first(mine: Mapping[Target, TargetState], now: float, but: TargetState | None) -> TargetState | None:
        """The twin itself before its relationships, those in the order in which they came."""
        ready = [state for state in mine.values() if state is not but and state.retry_at <= now]
        return min(ready, key=lambda state: bool(state.target.relationship), default=None)
