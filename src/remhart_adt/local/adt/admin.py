"""The admin API under `/_remhart`: health, journal, faults, reset. It is no part of the service it stands in for."""

from __future__ import annotations

import time
from typing import Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from remhart_adt import __version__
from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.types import AdtError

__all__ = ["ADMIN", "admin_app"]

ADMIN: Final = "/_remhart"
_ROWS: Final = 10_000


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def admin_app(app: AdtApp) -> Starlette:
    """The admin API of one server."""
    started = time.monotonic()

    async def health(_request: Request) -> Response:
        return _json(
            {
                "status": "ok",
                "version": __version__,
                "uptime_s": round(time.monotonic() - started, 3),
                **app.instance.store.counts(),
                "faults_pending": app.faults.pending,
                "faults_hit": app.faults.hits,
                "journal_dropped": app.journal.dropped,
            }
        )

    async def journal(request: Request) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
            limit = min(max(int(request.query_params.get("limit", str(_ROWS))), 1), _ROWS)
        except ValueError:
            return _json({"error": {"code": "InvalidArgument", "message": "after and limit are numbers."}}, 400)
        rows = app.journal.after(max(after, 0), limit)
        last = rows[-1].n if rows else after
        lines = b",".join(row.dump() for row in rows)
        body = b'{"rows":[%b],"next":%d,"dropped":%d}' % (lines, last, app.journal.dropped)
        return Response(body, media_type="application/json")

    async def reset(_request: Request) -> Response:
        app.instance.clear()
        await app.instance.store.flush()
        app.instance.restore()
        app.faults.clear()
        app.journal.clear()
        return Response(status_code=204)

    async def add_faults(request: Request) -> Response:
        try:
            document = orjson.loads(await request.body())
            for item in document if isinstance(document, list) else [document]:
                app.faults.add(item)
        except orjson.JSONDecodeError as error:
            return _json({"error": {"code": "BadRequest", "message": str(error)}}, 400)
        except AdtError as error:
            return _json(error.body(), error.status)
        return _json({"pending": app.faults.pending}, 201)

    async def clear_faults(_request: Request) -> Response:
        app.faults.clear()
        return Response(status_code=204)

    routes = [
        Route("/health", health, methods=["GET"]),
        Route("/journal", journal, methods=["GET"]),
        Route("/reset", reset, methods=["POST"]),
        Route("/faults", add_faults, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
    ]
    return Starlette(routes=[Mount(ADMIN, routes=routes)])
