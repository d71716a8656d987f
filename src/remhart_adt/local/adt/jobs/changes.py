"""Changes that a job makes: each is durable before the next one begins."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

from remhart_adt.local.adt.jobs.types import JobError
from remhart_adt.local.adt.store import Store

__all__ = ["stored"]

# A change shares its transaction with the requests of the same moment; when one of those fails, all is rolled back.
_TRIES: Final = 3

T = TypeVar("T")


async def stored(store: Store, change: Callable[[], T]) -> T:
    """Make a change and wait until it is durable; raises JobError when the disk refuses it."""
    for tries_left in reversed(range(_TRIES)):
        try:
            result = _changed(store, change)
            await store.flush()
            return result
        except (sqlite3.Error, OSError) as error:
            if not tries_left:
                raise JobError("StorageFailed", f"The data file cannot be written: {error}.") from error
    raise AssertionError("unreachable")


def _changed(store: Store, change: Callable[[], T]) -> T:
    try:
        return change()
    except sqlite3.Error as error:
        store.fail(error)
        raise
