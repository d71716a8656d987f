"""Answers that do not come from the service itself: what its gateway says, and what a fault rule asks for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson

from remhart_adt.local.adt.faults import Fault
from remhart_adt.local.adt.types import Response

__all__ = ["forbidden", "injected", "quota_reached", "rate_limited", "sub_domain_not_found", "unauthorized"]

_JSON: Final = b"application/json"
_RATE: Final = (
    "Maximum request rate limit reached. For Azure Digital Twins rate limiting details please see "
    "http://aka.ms/dtv2limits."
)
_AWAY: Final = "The service is unavailable."
# What carries a length of its own, or none: HTTP would not fit together with another one from a rule.
_OWN_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection"})


def rate_limited(retry_after: int) -> Response:
    """429 of the gateway (recorded, spaces and all): `statusCode` in place of a code, and no header of the service."""
    return _gateway(429, _RATE, [(b"retry-after", str(retry_after).encode())])


def quota_reached(retry_after: int) -> Response:
    """429 of the query engine: too many query units in one second."""
    message = "The query unit quota of this instance is used up for the current second. Please try again later."
    body = orjson.dumps({"error": {"code": "QuotaReachedError", "message": message}})
    headers = [(b"retry-after", str(retry_after).encode())]
    return Response(429, body, code="QuotaReachedError", headers=headers)


def _gateway(status: int, message: str, headers: list[tuple[bytes, bytes]]) -> Response:
    body = b'{ "error": { "statusCode": %d, "message": "%b" } }' % (status, message.encode())
    return Response(status, body, media=_JSON, headers=headers, bare=True)


def unauthorized(headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    """401 (recorded, spaces and all)."""
    body = b'{ "statusCode": 401, "message": "Unauthorized" }'
    return Response(401, body, media=_JSON, headers=headers or [], bare=True)


def sub_domain_not_found() -> Response:
    """404 for an instance that is not there, and for a token of another tenant (as users have reported it)."""
    return Response(404, b'{ "statusCode": 404, "message": "Sub-Domain not found" }', media=_JSON, bare=True)


def forbidden(reason: str) -> Response:
    """403: nobody has published more than the status; the reason is a header, for whoever reads a local server's
    answer."""
    return Response(403, None, headers=[(b"x-remhart-reason", reason.encode("latin-1", "replace"))])


def injected(fault: Fault) -> Response:
    """The answer of a `status` fault: its own body or text, else the shape that the status has on the service."""
    given = {name: value for name, value in fault.headers.items() if name not in _OWN_HEADERS}
    media = given.pop("content-type", "").encode("latin-1")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
    response = _plain(fault, headers)
    if media and response.body is not None:
        response.media = media
    return response


def _plain(fault: Fault, headers: list[tuple[bytes, bytes]]) -> Response:
    status = fault.status
    if status in (204, 304):
        return Response(status, None, headers=headers)
    if fault.text is not None:
        return Response(status, fault.text.encode(), media=b"text/plain; charset=utf-8", headers=headers)
    if fault.body is not None:
        return Response(status, orjson.dumps(fault.body), headers=headers)
    if status == 429:
        return _gateway(429, _RATE, headers)
    if status == 503:
        return _gateway(503, _AWAY, headers)
    if status == 401:
        return unauthorized(headers)
    try:
        code = HTTPStatus(status).phrase.replace(" ", "")
    except ValueError:
        code = "Injected"
    body = {"error": {"code": code, "message": "This answer was asked for by POST /_remhart/faults."}}
    return Response(status, orjson.dumps(body), headers=headers)
