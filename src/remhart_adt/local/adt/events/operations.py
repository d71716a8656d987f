"""Operations on event routes."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import orjson

from remhart_adt.local.adt import errors
from remhart_adt.local.adt.instance import Instance, json_body, json_response
from remhart_adt.local.adt.types import Request, Response

__all__ = ["delete_route", "get_route", "list_routes", "put_route"]

_PAGE: Final = 100


def put_route(instance: Instance, request: Request, route_id: str) -> Response:
    """PUT /eventroutes/{id}: 204 for a new one and for a replaced one. The id in the body does not count."""
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Payload is invalid.")
    endpoint, text = body.get("endpointName"), body.get("filter")
    # A member that is missing or no text is like an empty one: no endpoint, and no filter.
    instance.events.put_route(
        route_id, endpoint if isinstance(endpoint, str) else "", text if isinstance(text, str) else ""
    )
    return Response(204)


def get_route(instance: Instance, _request: Request, route_id: str) -> Response:
    """GET /eventroutes/{id}."""
    return json_response(200, instance.events.routes.get(route_id).record())


def delete_route(instance: Instance, _request: Request, route_id: str) -> Response:
    """DELETE /eventroutes/{id}."""
    instance.events.delete_route(route_id)
    return Response(204)


def list_routes(instance: Instance, request: Request) -> Response:
    """GET /eventroutes: pages in order of creation, of the size that max-items-per-page asks for."""
    after = _after(request.param("continuationToken"))
    size = _page_size(request)
    routes = [route for route in instance.events.routes.all() if route.n > after]
    link = None
    if len(routes) > size:
        routes = routes[:size]
        token = quote(orjson.dumps([{"token": f"+RID:~{routes[-1].n}"}]).decode(), safe="")
        link = f"{request.base}/EventRoutes?continuationToken={token}&api-version={request.api_version}"
    return json_response(200, {"value": [route.record() for route in routes], "nextLink": link})


def _page_size(request: Request) -> int:
    given = request.header(b"max-items-per-page")
    if given is None or not given.isascii() or not given.isdigit():
        return _PAGE
    return min(max(int(given[:9]), 1), _PAGE)


def _after(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(str(orjson.loads(token)[0]["token"]).removeprefix("+RID:~")[:18])
    except (ValueError, TypeError, KeyError, IndexError):
        raise errors.bad_request("The continuation token is not valid.") from None
