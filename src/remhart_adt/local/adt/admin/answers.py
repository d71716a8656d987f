"""What the handlers of the admin API share: bodies, parameters, answers, and which instances are meant."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.errors import bad_request, invalid_argument, too_large
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import AdtError

__all__ = ["chosen", "json_answer", "number_param", "on_error", "read_body", "read_json"]

_MOST: Final = 1024 * 1024


def json_answer(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def on_error(_request: Request, error: Exception) -> Response:
    """An AdtError as its envelope; what the server cannot do on this machine as one of status 500."""
    if isinstance(error, LocalServerError):
        error = AdtError(500, "LocalServerError", str(error))
    assert isinstance(error, AdtError)
    return json_answer(error.body(), error.status)


async def read_body(request: Request, most: int = _MOST) -> bytes:
    """The whole body; raises 413 above `most` bytes."""
    parts = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise too_large(most)
            parts.append(part)
    except ClientDisconnect:
        raise bad_request("The connection was closed before the body was whole.") from None
    return b"".join(parts)


async def read_json(request: Request, most: int = _MOST) -> Any:
    """The JSON of a body; raises 400 when it is none and 413 when it is too long."""
    try:
        return orjson.loads(await read_body(request, most))
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}.") from None


def number_param(request: Request, name: str, default: int) -> int:
    """A whole number, zero or more; raises 400."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise invalid_argument(f"{name} is a whole number, zero or more.")
    return int(text)


def chosen(app: AdtApp, request: Request) -> list[Instance]:
    """The instance that the parameter `instance` names, or all of them; raises 404 for an unknown name."""
    name = request.query_params.get("instance", "").lower()
    if not name:
        return list(app.instances.values())
    if name not in app.instances:
        raise AdtError(404, "InstanceNotFound", f"There is no instance {name[:80]!r} on this server.")
    return [app.instances[name]]
