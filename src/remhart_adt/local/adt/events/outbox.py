"""Events that wait to be sent: rows written in the transaction of the change that raised them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from remhart_adt.local.adt.events.types import Event, Pending
from remhart_adt.local.adt.store import Store

__all__ = ["Outbox"]

# One row for each endpoint an event goes to. Numbers are never used twice, so that a row is one event for ever.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS event_outbox(n INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, key TEXT NOT NULL,
  created INTEGER NOT NULL, head TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_outbox_endpoint ON event_outbox(endpoint);
"""


class Outbox:
    """The rows of one instance, in order of their numbers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)

    def add(self, event: Event, endpoints: Iterable[str], now_us: int) -> None:
        """Write an event for these endpoints, as part of the open transaction."""
        head, data = orjson.dumps(event.head).decode(), event.data.decode()
        sql = "INSERT INTO event_outbox(endpoint, key, created, head, data) VALUES(?,?,?,?,?)"
        for endpoint in endpoints:
            self._store.write(sql, (endpoint, event.key, now_us, head, data))

    async def take(self, endpoint: str, limit: int) -> list[Pending]:
        """The oldest rows of an endpoint, at most `limit`, once they are durable.

        Raises sqlite3.Error and OSError when they cannot be made so.
        """
        # Rows up to here are written; what comes while we wait is not known to be committed afterwards.
        last = self._store.read("SELECT MAX(n) FROM event_outbox WHERE endpoint=?", (endpoint,))[0][0]
        if last is None:
            return []
        await self._store.flush()
        sql = "SELECT n, key, created, head, data FROM event_outbox WHERE endpoint=? AND n<=? ORDER BY n LIMIT ?"
        return [Pending(*row) for row in self._store.read(sql, (endpoint, last, limit))]

    async def remove(self, numbers: Sequence[int]) -> None:
        """Forget rows that are done with; a crash before the commit means that they are sent again."""
        self._store.write_many("DELETE FROM event_outbox WHERE n=?", [(number,) for number in numbers])
        await self._store.committed()

    def discard(self, endpoint: str) -> None:
        """Forget what waits for an endpoint, as part of the open transaction."""
        self._store.write("DELETE FROM event_outbox WHERE endpoint=?", (endpoint,))

    def clear(self) -> None:
        """Forget everything, as part of the open transaction."""
        self._store.write("DELETE FROM event_outbox")

    def count(self, endpoint: str) -> int:
        """How many rows wait for an endpoint."""
        return int(self._store.read("SELECT COUNT(*) FROM event_outbox WHERE endpoint=?", (endpoint,))[0][0])

    def counts(self) -> dict[str, int]:
        """How many rows wait, by endpoint."""
        return dict(self._store.read("SELECT endpoint, COUNT(*) FROM event_outbox GROUP BY endpoint"))
