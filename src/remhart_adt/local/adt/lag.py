"""The query lag: on the real service a change reaches queries seconds after it reaches GET.

With a lag of 0 (the default) queries read the live tables. With one, they read copies that changes enter when they are
old enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt.store import Store

__all__ = ["Lag"]

_SUFFIX: Final = "_lagged"


class Lag:
    """`changed` notes a change; `ready` brings the copies up to the moment `seconds` ago."""

    def __init__(self, store: Store, seconds: float = 0.0, clock: Clock = SYSTEM) -> None:
        self._store = store
        self._clock = clock
        self.seconds = seconds
        self._waiting: deque[tuple[float, str, int, tuple[Any, ...] | None]] = deque()
        self._direct: set[tuple[str, int]] | None = None
        self.clear()

    def changed(self, table: str, number: int, row: tuple[Any, ...] | None) -> None:
        """A row was written, or removed when it is None."""
        if self.seconds <= 0:
            return
        if self._direct is not None:
            self._store.copy_row(table, _SUFFIX, number, row)
            self._direct.add((table, number))
        else:
            self._waiting.append((self._clock.monotonic() + self.seconds, table, number, row))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What changes inside reaches queries with the transaction; when this fails, the caller gives that up."""
        direct: set[tuple[str, int]] = set()
        self._direct = direct
        try:
            yield
            self._waiting = deque(one for one in self._waiting if (one[1], one[2]) not in direct)
        finally:
            self._direct = None

    def clear(self) -> None:
        """Begin anew from things as they are: everything was removed, or the lag itself has changed."""
        self._waiting.clear()
        if self.seconds > 0:
            self._store.copy_tables(_SUFFIX)
        else:
            self._store.drop_copies(_SUFFIX)

    def ready(self) -> str:
        """Apply what is old enough; the suffix of the tables to read, once that is committed."""
        if self.seconds <= 0:
            return ""
        now = self._clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, table, number, row = self._waiting.popleft()
            self._store.copy_row(table, _SUFFIX, number, row)
        return _SUFFIX
