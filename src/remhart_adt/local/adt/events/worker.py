"""The worker of one endpoint: take the oldest rows, send them, remove what was acknowledged, give up what has no hope.

A row is removed only after its acknowledgement, so a crash at any moment means that some are sent again, and never that
one is lost. Attempts are counted in memory; the age stands in the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import Final

import orjson

from remhart_adt import log
from remhart_adt.clock import Clock, format_us
from remhart_adt.errors import RemhartError
from remhart_adt.local.adt.events.endpoints import Endpoint
from remhart_adt.local.adt.events.files import append_lines
from remhart_adt.local.adt.events.outbox import Outbox
from remhart_adt.local.adt.events.senders import sender_of
from remhart_adt.local.adt.events.types import Counters, Outcome, Pending, Sender

__all__ = ["Worker"]

_LOG: Final = log.get(__name__)
_ROWS: Final = 256
_PAUSE: Final = (0.1, 30.0)
_CLOSE_SECONDS: Final = 3.0
# More than these wait only for an endpoint that is down for long; then the oldest are given up.
_MAX_PENDING: Final = 100_000


class Worker:
    """Sends until it is cancelled; `wake` tells it that there is something new."""

    def __init__(self, endpoint: Endpoint, outbox: Outbox, clock: Clock) -> None:
        self.endpoint = endpoint
        self.counters = Counters()
        self.wake = asyncio.Event()
        self._outbox = outbox
        self._clock = clock
        self._attempts: dict[int, int] = {}

    async def run(self, predecessor: asyncio.Task[None] | None) -> None:
        """Wait for the end of who served this endpoint before, then send."""
        if predecessor is not None:
            await asyncio.wait([predecessor])
        sender: Sender | None = None
        pause, longest = _PAUSE
        try:
            while True:
                self.wake.clear()
                delivered = self.counters.delivered
                try:
                    sender = sender or sender_of(self.endpoint.document)
                    rows = await self._outbox.take(self.endpoint.name, _ROWS)
                    if not rows:
                        await self.wake.wait()
                        continue
                    failed = await self._settle(rows, await sender.send(rows))
                except (RemhartError, sqlite3.Error, OSError) as error:
                    failed = log.redact(str(error))
                except Exception as error:  # a worker that died would hold its events for ever
                    _LOG.error("sending to endpoint %s failed", self.endpoint.name, exc_info=error)
                    failed = type(error).__name__
                if not failed or self.counters.delivered > delivered:
                    pause = _PAUSE[0]
                if not failed:
                    continue
                if failed != self.counters.problem:
                    _LOG.warning("endpoint %s: %s; trying again", self.endpoint.name, failed)
                self.counters.problem = failed
                self.counters.retries += 1
                await asyncio.sleep(pause)
                pause = min(longest, pause * 2)
        finally:
            if sender is not None:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await sender.close()

    async def _settle(self, rows: list[Pending], outcome: Outcome) -> str:
        """Remove what is done with; why the rest failed, or an empty text. Raises OSError, with no row removed, when
        the dead letters cannot be written."""
        given_up = dict(outcome.refused)
        oldest = self._clock.now_us() - self.endpoint.max_age_us
        excess = max(0, self._outbox.count(self.endpoint.name) - _MAX_PENDING) if outcome.failed else 0
        for place, row in enumerate(rows):
            why = outcome.failed.get(row.n)
            if why is not None:
                self._attempts[row.n] = self._attempts.get(row.n, 0) + 1
                if self._attempts[row.n] >= self.endpoint.max_attempts:
                    given_up[row.n] = f"tried {self._attempts[row.n]} times; {why}"
                elif row.created_us < oldest:
                    given_up[row.n] = f"too old; {why}"
            if place < excess and row.n not in given_up and row.n not in outcome.delivered:
                given_up[row.n] = f"more than {_MAX_PENDING} events wait"
        if outcome.delivered:
            # Counted at once with the removal: whoever sees that nothing waits any more sees it counted as well.
            self.counters.delivered += len(outcome.delivered)
            try:
                await self._outbox.remove(outcome.delivered)
            except BaseException:
                self.counters.delivered -= len(outcome.delivered)
                raise
        if given_up:
            await self._give_up([row for row in rows if row.n in given_up], given_up)
        self._attempts = {row.n: self._attempts[row.n] for row in rows if row.n in self._attempts.keys() - given_up}
        if not outcome.failed:
            self.counters.problem = ""
        return next(iter(outcome.failed.values()), "")

    async def _give_up(self, rows: list[Pending], reasons: dict[int, str]) -> None:
        path = self.endpoint.dead_letter
        if path is not None:
            await asyncio.to_thread(append_lines, path, [self._letter(row, reasons[row.n]) for row in rows])
        self._count_given_up(len(rows))
        try:
            await self._outbox.remove([row.n for row in rows])
        except BaseException:
            self._count_given_up(-len(rows))
            raise
        _LOG.warning("endpoint %s: gave up %d events: %s", self.endpoint.name, len(rows), reasons[rows[0].n])

    def _count_given_up(self, many: int) -> None:
        if self.endpoint.dead_letter is not None:
            self.counters.dead_lettered += many
        else:
            self.counters.dropped += many

    def _letter(self, row: Pending, reason: str) -> bytes:
        """The event in structured JSON, with what Event Grid adds to a dead letter as extension attributes."""
        more = {
            "deadletterreason": reason,
            "deliveryattempts": self._attempts.get(row.n, 1),
            "publishtime": format_us(row.created_us),
        }
        return row.structured()[:-1] + b"," + orjson.dumps(more)[1:]
