"""A delete job: every relationship, twin and model that was there when it came to them.

Groups of rows go in one transaction each, and others are served in between; a twin goes together with what connects
it, so that no relationship ever leads nowhere. What others write meanwhile behind the job's back stays: nobody's write
is refused, and the job ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from remhart_adt.clock import Clock
from remhart_adt.local.adt.jobs.changes import stored
from remhart_adt.local.adt.jobs.types import Graph, JobError

__all__ = ["Deleter"]

_GROUP: Final = 500


class Deleter:
    """One run; `deadline` is a time of the clock's `monotonic`."""

    def __init__(self, graph: Graph, clock: Clock, deadline: float) -> None:
        self._graph = graph
        self._clock = clock
        self._deadline = deadline

    async def run(self) -> None:
        """Delete everything; raises JobError when the time is up or the disk refuses."""
        store = self._graph.store
        for table, delete in (("relationships", self._relationships), ("twins", self._twins)):
            last = store.last_number(table)
            while await self._done(partial(delete, last)):
                pass
        await self._done(self._models)

    def _relationships(self, last: int) -> int:
        numbers = self._graph.store.delete_relationships(last, _GROUP)
        for number in numbers:
            self._graph.lag.changed("relationships", number, None)
        return len(numbers)

    def _twins(self, last: int) -> int:
        twins, relationships = self._graph.store.delete_twins(last, _GROUP)
        for number in relationships:
            self._graph.lag.changed("relationships", number, None)
        for number in twins:
            self._graph.lag.changed("twins", number, None)
        return len(twins)

    def _models(self) -> int:
        self._graph.catalog.clear()
        return 0

    async def _done(self, step: Callable[[], int]) -> int:
        """One transaction; the number of rows it removed."""
        if self._clock.monotonic() >= self._deadline:
            raise JobError("Timeout", "The job has reached its timeout. What it has deleted until then is gone.")
        return await stored(self._graph.store, step)
