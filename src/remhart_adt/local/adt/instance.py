"""One ADT instance's parts, handed to every operation, and the small things operations share."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt import errors
from remhart_adt.local.adt.bounds import Bounds
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.control.roles import RoleAssignments
from remhart_adt.local.adt.events import Events
from remhart_adt.local.adt.jobs.blobs import Blobs
from remhart_adt.local.adt.jobs.runner import Jobs
from remhart_adt.local.adt.jobs.types import Graph
from remhart_adt.local.adt.lag import Lag
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.throttle import Throttle
from remhart_adt.local.adt.ticks import Ticker
from remhart_adt.local.adt.types import Request, Response, Twin

__all__ = ["Instance", "check_if_match", "creates_only", "found_twin", "json_body", "json_response"]


@dataclass(slots=True)
class Instance:
    """What an operation works on."""

    store: Store
    catalog: Catalog
    lag: Lag
    clock: Clock = SYSTEM
    ticker: Ticker = field(default_factory=Ticker)
    name: str = "local"
    throttle: Throttle = field(default_factory=lambda: Throttle(enabled=False))
    chance: Chance = field(default_factory=Chance)
    bounds: Bounds = field(default_factory=Bounds)
    blob_folder: Path | None = None
    gone: bool = False  # deleted, while requests of it may be under way

    events: Events = field(init=False)
    jobs: Jobs = field(init=False)
    roles: RoleAssignments = field(init=False)

    def __post_init__(self) -> None:
        self.events = Events(self.store, self.catalog, self.clock, self.ticker)
        graph = Graph(self.store, self.catalog, self.lag, self.ticker, self.bounds, self.chance)
        self.jobs = Jobs(graph, self.clock, Blobs(self.blob_folder))
        self.roles = RoleAssignments(self.store, self.clock)
        self.jobs.recover()

    async def start(self) -> None:
        """Begin background work; called on the server's loop before the first request."""
        await self.events.start()

    async def close(self) -> None:
        """End background work and close the file; called on the server's loop after the last request."""
        await self.jobs.close()
        await self.events.close()
        await asyncio.to_thread(self.store.close)  # it waits for queries that run

    def clear(self) -> None:
        """Remove everything, as part of the open transaction; `restore` after it is committed."""
        self.store.clear()
        self.events.clear()
        self.jobs.clear()
        self.roles.clear()

    def restore(self) -> None:
        """Bring what is held in memory in line with the file, after a reset or a failed commit."""
        self.catalog.reload()
        self.lag.clear()
        self.events.reload()


def json_response(status: int, value: Any, *, etag: str = "") -> Response:
    """A compact JSON body."""
    return Response(status, orjson.dumps(value), etag)


def json_body(request: Request) -> Any:
    """The request's JSON; raises the service's refusals for none and for text that is not JSON."""
    if not request.body:
        raise errors.bad_request("A non-empty request body is required.")
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"The request body is not valid JSON: {error}.") from None


_ETAGS: Final = re.compile(r'(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*')


def check_if_match(request: Request, current: str) -> None:
    """412 when If-Match names entity tags and none is the current one; 400 when it names none; `*` always matches."""
    given = request.header(b"if-match")
    if given is None or given in ("*", current):
        return
    if _ETAGS.fullmatch(given) is None:
        raise errors.invalid_if_match()
    if current not in re.findall(r'(?:W/)?"[^"]*"', given):
        raise errors.etag_mismatch(given)


def creates_only(request: Request) -> bool:
    """Whether If-None-Match asks that nothing be replaced; 400 for any other value than `*`."""
    given = request.header(b"if-none-match")
    if given not in (None, "*"):
        raise errors.invalid_if_none_match()
    return given is not None


def found_twin(instance: Instance, twin_id: str) -> Twin:
    """The twin, or 404."""
    twin = instance.store.twin(twin_id)
    if twin is None:
        raise errors.twin_not_found(twin_id)
    return twin
