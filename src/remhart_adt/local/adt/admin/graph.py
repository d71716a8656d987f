"""A whole graph in and out: `seed` and `export`."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from remhart_adt.local.adt import seeding
from remhart_adt.local.adt.admin.answers import chosen, json_answer, read_body
from remhart_adt.local.adt.app import AdtApp

__all__ = ["routes"]

_SEED_BYTES: Final = 256 * 1024 * 1024


def routes(app: AdtApp) -> list[Route]:
    """The routes of this part; both work on one instance, the first one unless the parameter `instance` names it."""

    async def seed(request: Request) -> Response:
        instance = chosen(app, request)[0]
        counts = await seeding.seed(instance, await read_body(request, _SEED_BYTES))
        return json_answer(counts._asdict())

    async def export(request: Request) -> Response:
        instance = chosen(app, request)[0]
        exact = request.query_params.get("exact", "").lower() in ("true", "1")
        return StreamingResponse(seeding.export(instance, exact=exact), media_type="application/x-ndjson")

    return [Route("/seed", seed, methods=["POST"]), Route("/export", export, methods=["GET"])]
