"""The pytest fixture over the local event hub: in a thread of its own, so that sync and async clients work alike."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

from remhart_adt.local.eventhub.server import LocalEventHub, start_hub

__all__ = [
    "CLIENT_LEFTOVERS",
    "HubThread",
    "event_hub_client_leftovers",
    "local_eventhub",
    "local_eventhub_session",
]

# For tests in which connections of the official client break: it leaves their sockets to the garbage collector, whose
# ResourceWarning would then fail some later test. `pytestmark = CLIENT_LEFTOVERS` collects them in the test itself; the
# fixture must be imported in the conftest.py beside it.
CLIENT_LEFTOVERS = [
    pytest.mark.usefixtures("event_hub_client_leftovers"),
    pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:loop is closed:ResourceWarning"),
]
_START_SECONDS = 10.0


class HubThread:
    """An event hub in a thread; the arguments are those of `start_hub`.

    Faults and looks inside go through `do`: `hub.do(lambda h: h.reset())`, `hub.do(lambda h: h.events())`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-eventhub", daemon=True)
        self._hub: LocalEventHub | None = None

    @property
    def connection_string(self) -> str:
        """What the official clients connect with."""
        return str(self.do(lambda hub: hub.connection_string))

    def do(self, action: Callable[[LocalEventHub], Any]) -> Any:
        """Run an action (plain or async) on the hub in its own event loop; its result."""

        async def run() -> Any:
            assert self._hub is not None
            result = action(self._hub)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_START_SECONDS)

    def start(self) -> Self:
        """Start listening; raises LocalServerError when that fails."""
        self._thread.start()
        try:
            started = asyncio.run_coroutine_threadsafe(start_hub(**self._options), self._loop)
            self._hub = started.result(_START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def stop(self) -> None:
        """Hang up and stop; a second call does nothing."""
        if self._hub is not None:
            self.do(lambda hub: hub.close())
            self._hub = None
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture
def event_hub_client_leftovers() -> Iterator[None]:
    """Collects what the client left behind, after the test and its event loop ended. See `CLIENT_LEFTOVERS`."""
    yield
    gc.collect()


@pytest.fixture
def local_eventhub() -> Iterator[HubThread]:
    """A fresh event hub `telemetry` with four partitions in memory; `local_eventhub.connection_string` leads to it."""
    with HubThread() as hub:
        yield hub


@pytest.fixture(scope="session")
def local_eventhub_session() -> Iterator[HubThread]:
    """One event hub for the whole run. It keeps the events of earlier tests: read from the end, or look for your own
    (`hub.do(lambda h: h.events())`)."""
    with HubThread() as hub:
        yield hub
