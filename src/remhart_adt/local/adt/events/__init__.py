"""Event routes: what changes on an instance, as CloudEvents, to files, web servers and event hubs."""

from remhart_adt.local.adt.events.emit import Events
from remhart_adt.local.adt.events.endpoints import Endpoint, Endpoints
from remhart_adt.local.adt.events.filter import Filter, FilterError, parse_filter
from remhart_adt.local.adt.events.routes import Route, Routes
from remhart_adt.local.adt.events.types import Event

__all__ = ["Endpoint", "Endpoints", "Event", "Events", "Filter", "FilterError", "Route", "Routes", "parse_filter"]
