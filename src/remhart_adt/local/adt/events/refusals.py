"""The service's refusals of event routes, worded as it words them (the first three were recorded)."""

from __future__ import annotations

from remhart_adt.local.adt.events.filter import FilterError
from remhart_adt.local.adt.types import AdtError

__all__ = ["endpoint_invalid", "filter_invalid", "id_invalid", "limit_exceeded", "route_not_found"]


def route_not_found() -> AdtError:
    """404 EventRouteNotFound."""
    return AdtError(
        404,
        "EventRouteNotFound",
        "There is no route available that matches the provided input. Check for all valid event routes by calling "
        "EventRoute_List. See Swagger example (https://aka.ms/RouteSwSmpl).",
    )


def endpoint_invalid() -> AdtError:
    """400 EventRouteEndpointInvalid."""
    return AdtError(
        400,
        "EventRouteEndpointInvalid",
        "The endpoint provided does not exist or is not active. Check that your endpoint is provisioned correctly. "
        "See event route documentation (https://aka.ms/ADTv2Routes).",
    )


def filter_invalid(error: FilterError) -> AdtError:
    """400 EventRouteFilterInvalid, with the place."""
    return AdtError(
        400,
        "EventRouteFilterInvalid",
        f"The provided filter is invalid. Parsing error, {error}. See event route documentation for supported values "
        "and structure (https://aka.ms/ADTv2Routes).",
    )


def id_invalid(longest: int) -> AdtError:
    """400 EventRouteIdInvalid."""
    return AdtError(
        400,
        "EventRouteIdInvalid",
        f"The event route id is invalid. It has 1 to {longest} letters, digits and characters of '-._~'. See event "
        "route documentation (https://aka.ms/ADTv2Routes).",
    )


def limit_exceeded(most: int) -> AdtError:
    """400 LimitExceeded."""
    return AdtError(400, "LimitExceeded", f"The maximum number of event routes allowed ({most}) has been reached.")
