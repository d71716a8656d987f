"""One ADT instance's parts, handed to every operation, and the small things operations share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt import errors
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.lag import Lag
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.ticks import Ticker
from remhart_adt.local.adt.types import Request, Response, Twin

__all__ = ["Instance", "check_if_match", "found_twin", "json_body", "json_response"]


@dataclass(slots=True)
class Instance:
    """What an operation works on."""

    store: Store
    catalog: Catalog
    lag: Lag
    clock: Clock = SYSTEM
    ticker: Ticker = field(default_factory=Ticker)
    name: str = "local"

    async def start(self) -> None:
        """Begin background work; called on the server's loop before the first request."""

    async def close(self) -> None:
        """End background work and close the file; called on the server's loop after the last request."""
        self.store.close()

    def clear(self) -> None:
        """Remove everything, as part of the open transaction; `restore` after it is committed."""
        self.store.clear()

    def restore(self) -> None:
        """Bring what is held in memory in line with the file, after a reset or a failed commit."""
        self.catalog.reload()
        self.lag.clear()


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


def check_if_match(request: Request, current: str) -> None:
    """412 when If-Match names an entity tag that is not the current one; `*` matches whatever exists."""
    given = request.header(b"if-match")
    if given is not None and given not in ("*", current):
        raise errors.etag_mismatch(given)


def found_twin(instance: Instance, twin_id: str) -> Twin:
    """The twin, or 404."""
    twin = instance.store.twin(twin_id)
    if twin is None:
        raise errors.twin_not_found(twin_id)
    return twin
