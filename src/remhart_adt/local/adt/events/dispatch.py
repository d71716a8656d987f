"""The workers of one instance: one for each endpoint, so that a blocked one blocks no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from remhart_adt.clock import Clock
from remhart_adt.local.adt.events.endpoints import Endpoint
from remhart_adt.local.adt.events.outbox import Outbox
from remhart_adt.local.adt.events.types import Counters
from remhart_adt.local.adt.events.worker import Worker

__all__ = ["Dispatcher"]


class Dispatcher:
    """Nothing is sent before `start`. All methods belong to the server's event loop."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._workers: dict[str, Worker] = {}
        # The last task of every name, also of endpoints that are gone: a successor waits for it.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started = False

    def start(self, endpoints: Iterable[Endpoint]) -> None:
        """Begin to send."""
        self._started = True
        self.use(endpoints)

    def use(self, endpoints: Iterable[Endpoint]) -> None:
        """Have exactly these endpoints; a worker whose endpoint changed ends before its successor begins."""
        if not self._started:
            return
        wanted = {endpoint.name: endpoint for endpoint in endpoints}
        for name in [name for name, worker in self._workers.items() if worker.endpoint != wanted.get(name)]:
            del self._workers[name]
            self._tasks[name].cancel()
        self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
        for name in wanted.keys() - self._workers.keys():
            worker = self._workers[name] = Worker(wanted[name], self._outbox, self._clock)
            run = worker.run(self._tasks.get(name))
            self._tasks[name] = asyncio.get_running_loop().create_task(run, name=f"adt-events-{name}")

    def wake(self, name: str) -> None:
        """There is something new for this endpoint."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.wake.set()

    def counters(self) -> dict[str, Counters]:
        """By endpoint, since it was configured or the server started."""
        return {name: worker.counters for name, worker in self._workers.items()}

    async def close(self) -> None:
        """Stop sending; what is not acknowledged stays in the outbox."""
        self._started = False
        self._workers.clear()
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
