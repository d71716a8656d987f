"""The events of one instance: what operations call, and what belongs to it.

Operations ask `active` first, so that an instance without routes pays for one attribute. An event is a row of the
outbox, written in the transaction of the change that raised it; sending begins when that is durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from remhart_adt.clock import Clock
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.events import changes, cloudevents
from remhart_adt.local.adt.events.dispatch import Dispatcher
from remhart_adt.local.adt.events.endpoints import Endpoint, Endpoints
from remhart_adt.local.adt.events.outbox import Outbox
from remhart_adt.local.adt.events.routes import Routes
from remhart_adt.local.adt.events.types import Event
from remhart_adt.local.adt.patch import Op
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.ticks import Ticker, twin_time
from remhart_adt.local.adt.types import AdtError, Relationship, Request, Twin

__all__ = ["Events"]


class Events:
    """Routes, endpoints, the outbox and who sends. `active` says whether anything would be sent at all."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock, ticker: Ticker) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._ticker = ticker
        self.routes = Routes(store)
        self.endpoints = Endpoints(store)
        self._outbox = Outbox(store)
        self._dispatcher = Dispatcher(self._outbox, clock)
        self.active = len(self.routes) > 0

    # --- life

    async def start(self) -> None:
        """Begin to send, first of all what an earlier process left."""
        self._dispatcher.start(self.endpoints)

    async def close(self) -> None:
        """Stop sending; what is not acknowledged is sent after the next start."""
        await self._dispatcher.close()

    def clear(self) -> None:
        """Remove routes, endpoints and waiting events, as part of the open transaction; `reload` once it is
        committed."""
        for route in self.routes.all():
            self.routes.delete(route.id)
        for endpoint in self.endpoints.all():
            self.endpoints.delete(endpoint.name)
        self._outbox.clear()
        self.active = False

    def reload(self) -> None:
        """Bring memory in line with the file."""
        self.routes.reload()
        self.endpoints.reload()
        self.active = len(self.routes) > 0
        self._dispatcher.use(self.endpoints)

    # --- configuration

    def put_route(self, route_id: str, endpoint: str, text: str) -> None:
        """Add or replace a route; raises the service's refusals."""
        self.routes.put(route_id, endpoint, text, self.endpoints)
        self.active = True

    def delete_route(self, route_id: str) -> None:
        """Remove a route; raises the service's refusal. What waits is still sent."""
        self.routes.delete(route_id)
        self.active = len(self.routes) > 0

    def put_endpoint(self, name: str, document: Any) -> Endpoint:
        """Add or replace an endpoint, as part of the open transaction; AdtError 400 with every fault. What waits for
        one that is replaced goes to the new one."""
        endpoint = self.endpoints.put(name, document)
        self._dispatcher.use(self.endpoints)
        return endpoint

    def delete_endpoint(self, name: str) -> None:
        """Remove an endpoint and what waits for it; AdtError 404, or 409 while a route leads to it."""
        self.endpoints.get(name)
        routes = [route.id for route in self.routes.all() if route.endpoint == name]
        if routes:
            raise AdtError(409, "EndpointInUse", f"These event routes lead to {name}: {', '.join(routes)}.")
        self.endpoints.delete(name)
        self._outbox.discard(name)
        self._dispatcher.use(self.endpoints)

    def health(self) -> dict[str, Any]:
        """Counters in all and by endpoint: `pending` now; delivered, dead_lettered, dropped and retries since the
        start; `problem` is why an endpoint does not get through at the moment."""
        pending = self._outbox.counts()
        counters = self._dispatcher.counters()
        endpoints = {
            endpoint.name: {
                "pending": pending.get(endpoint.name, 0),
                **(asdict(counters[endpoint.name]) if endpoint.name in counters else {}),
            }
            for endpoint in self.endpoints
        }
        totals = {
            name: sum(int(held.get(name, 0)) for held in endpoints.values())
            for name in ("pending", "delivered", "dead_lettered", "dropped", "retries")
        }
        return {"routes": len(self.routes), **totals, "endpoints": endpoints}

    # --- what happened

    def twin_put(self, request: Request, old: Twin | None, new: Twin) -> None:
        """A twin was created, or replaced as a whole, which is an update unless nothing changed."""
        if old is None:
            self._emit(cloudevents.twin_event(request, "Create", new, self._time()))
            return
        components = self._catalog.components(new.model)
        self._twin_updated(request, new, changes.between_twins(old.doc, new.doc, components))

    def twin_patched(self, request: Request, new: Twin, ops: Iterable[Op]) -> None:
        """A twin was patched; a patch without operations changed nothing."""
        self._twin_updated(request, new, changes.of_operations(ops))

    def _twin_updated(self, request: Request, new: Twin, lines: list[dict[str, Any]]) -> None:
        if lines:
            self._emit(cloudevents.twin_updated(request, new, lines, self._time()))

    def twin_deleted(self, request: Request, old: Twin) -> None:
        """A twin was deleted."""
        self._emit(cloudevents.twin_event(request, "Delete", old, self._time()))

    def relationship_put(self, request: Request, old: Relationship | None, new: Relationship, model: str) -> None:
        """A relationship was created, or replaced as a whole; `model` is that of the source twin."""
        if old is None:
            self._emit(cloudevents.relationship_event(request, "Create", new, self._time()))
        else:
            self._relationship_updated(request, new, model, changes.between_relationships(old.doc, new.doc))

    def relationship_patched(self, request: Request, new: Relationship, model: str, ops: Iterable[Op]) -> None:
        """A relationship was patched."""
        self._relationship_updated(request, new, model, changes.of_operations(ops))

    def _relationship_updated(
        self, request: Request, new: Relationship, model: str, lines: list[dict[str, Any]]
    ) -> None:
        if lines:
            self._emit(cloudevents.relationship_updated(request, new, model, lines, self._time()))

    def relationship_deleted(self, request: Request, old: Relationship) -> None:
        """A relationship was deleted."""
        self._emit(cloudevents.relationship_event(request, "Delete", old, self._time()))

    def telemetry(self, request: Request, twin: Twin, component: str | None) -> None:
        """A twin, or its component, sent telemetry."""
        model = twin.model
        if component is not None:
            model = self._catalog.components(twin.model).get(component, model)
        self._emit(cloudevents.telemetry(request, twin.id, component, model))

    def _time(self) -> str:
        """Now, with as many of seven digits as it needs."""
        return twin_time(self._ticker.next())[:-1].rstrip("0").rstrip(".") + "Z"

    def _emit(self, event: Event) -> None:
        targets = self.routes.targets(event)
        if targets:
            self._outbox.add(event, targets, self._clock.now_us())
            for name in targets:
                self._dispatcher.wake(name)
