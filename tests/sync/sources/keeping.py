"""A handler that keeps what it is given, as the daemon would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from remhart_adt.sync.types import RawEvent, RevokeReason, Store

DEADLINE = 20.0


class Keeper:
    """Loads on assignment, keeps events, and can be told to block or fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log: list[tuple[str, ...]] = []
        self.events: dict[str, list[RawEvent]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self.overlapped = False
        self.fault: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def sequences(self) -> dict[str, list[int]]:
        return {partition: [event.sequence for event in events] for partition, events in self.events.items()}

    @property
    def count(self) -> int:
        return sum(len(events) for events in self.events.values())

    async def on_assigned(self, partition: str) -> None:
        await self.store.load(partition)
        self.log.append(("assigned", partition))
        self.events[partition] = []
        self._changed.set()

    async def on_events(self, partition: str, events: Sequence[RawEvent]) -> None:
        self.running += 1
        self.overlapped = self.overlapped or self.running > len(self.events)
        try:
            await self.gate.wait()
            if self.fault is not None:
                raise self.fault
            self.events[partition].extend(events)
        finally:
            self.running -= 1
            self._changed.set()

    async def on_revoked(self, partition: str, reason: RevokeReason) -> None:
        assert self.running == 0 or len(self.events) > 1
        self.log.append(("revoked", partition, reason.value))
        self._changed.set()

    async def until_called(self) -> None:
        """Wait until a call of on_events is under way."""
        async with asyncio.timeout(DEADLINE):
            while not self.running:  # noqa: ASYNC110 - the gate is closed, so nothing else happens
                await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what was given so far."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
