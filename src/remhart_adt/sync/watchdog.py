"""Notices a source that says nothing while its hub has more: the client can fall silent for ever.

`judge` compares our own position in each partition with the hub's end. Standing still while behind, and not because
we hold the source back ourselves, is a stall: the first answer is to rebuild the source, the second to give up.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from remhart_adt.clock import Clock

__all__ = ["Advice", "Watchdog"]


class Advice(Enum):
    """What to do about the source."""

    FINE = "fine"
    REBUILD = "rebuild"
    GIVE_UP = "give up"


class Watchdog:
    """Pure but for the clock; one per process."""

    def __init__(self, clock: Clock, stall_seconds: float) -> None:
        self._clock = clock
        self._stall = stall_seconds
        self._positions: dict[str, tuple[int, float]] = {}
        self._rebuilt_at: float | None = None
        self.behind: dict[str, int] = {}

    def judge(self, ours: Mapping[str, int], ends: Mapping[str, int], *, held_back: bool) -> Advice:
        """`ours`: partition -> last sequence received, of assigned partitions only; `ends`: the hub's last ones."""
        now = self._clock.monotonic()
        self.behind = {name: ends[name] - at for name, at in ours.items() if ends.get(name, -1) > at}
        stalled = False
        for name, at in ours.items():
            before = self._positions.get(name)
            if before is None or before[0] != at or name not in self.behind or held_back:
                self._positions[name] = (at, now)
            elif now - before[1] >= self._stall:
                stalled = True
        for gone in [name for name in self._positions if name not in ours]:
            del self._positions[gone]
        if not stalled:
            if not self.behind:
                self._rebuilt_at = None
            return Advice.FINE
        if self._rebuilt_at is not None:
            return Advice.GIVE_UP
        self._rebuilt_at = now
        self._positions.clear()
        return Advice.REBUILD
