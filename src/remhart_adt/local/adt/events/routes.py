"""Event routes: which events go to which endpoint."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from remhart_adt.local.adt.events import refusals
from remhart_adt.local.adt.events.filter import Filter, FilterError, parse_filter
from remhart_adt.local.adt.events.types import Event
from remhart_adt.local.adt.store import Store

__all__ = ["MAX_ROUTES", "Route", "Routes"]

MAX_ROUTES: Final = 6
_MAX_ID: Final = 128
_ID: Final = re.compile(rf"[A-Za-z0-9._~-]{{1,{_MAX_ID}}}", re.ASCII)
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS event_routes(id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, filter TEXT NOT NULL);"
)
_PUT: Final = (
    "INSERT INTO event_routes VALUES(?,?,?) ON CONFLICT(id) DO UPDATE SET endpoint=excluded.endpoint, "
    "filter=excluded.filter RETURNING rowid"
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `n` grows with each new one, `matches` is its filter, ready to be asked."""

    n: int
    id: str
    endpoint: str
    filter: str
    matches: Filter = field(repr=False, compare=False)

    def record(self) -> dict[str, str]:
        """The route on the wire."""
        return {"id": self.id, "endpointName": self.endpoint, "filter": self.filter}


class Routes:
    """At most six routes by id, kept in the data file. A change is part of the open transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)
        self._all: dict[str, Route] = {}
        self.reload()

    def reload(self) -> None:
        """Read everything from the file again."""
        rows = self._store.read("SELECT rowid, id, endpoint, filter FROM event_routes ORDER BY rowid")
        self._all = {name: Route(n, name, endpoint, text, parse_filter(text)) for n, name, endpoint, text in rows}

    def __len__(self) -> int:
        return len(self._all)

    def all(self) -> list[Route]:
        """Every route in order of creation (recorded); one that is replaced keeps its place."""
        return sorted(self._all.values(), key=lambda route: route.n)

    def get(self, route_id: str) -> Route:
        """A route by id; raises 404 EventRouteNotFound."""
        found = self._all.get(route_id)
        if found is None:
            raise refusals.route_not_found()
        return found

    def put(self, route_id: str, endpoint: str, text: str, endpoints: Container[str]) -> None:
        """Add or replace a route to one of the endpoints that exist; raises the service's refusals."""
        if not _ID.fullmatch(route_id):
            raise refusals.id_invalid(_MAX_ID)
        try:
            matches = parse_filter(text)
        except FilterError as error:
            raise refusals.filter_invalid(error) from None
        if endpoint not in endpoints:
            raise refusals.endpoint_invalid()
        if route_id not in self._all and len(self._all) >= MAX_ROUTES:
            raise refusals.limit_exceeded(MAX_ROUTES)
        number = self._store.write(_PUT, (route_id, endpoint, text)).fetchone()[0]
        self._all[route_id] = Route(number, route_id, endpoint, text, matches)

    def delete(self, route_id: str) -> None:
        """Remove a route; raises 404 EventRouteNotFound."""
        self.get(route_id)
        self._store.write("DELETE FROM event_routes WHERE id=?", (route_id,))
        del self._all[route_id]

    def targets(self, event: Event) -> set[str]:
        """The endpoints that an event goes to; one that several routes lead to gets it once."""
        return {route.endpoint for route in self._all.values() if route.matches(event)}
