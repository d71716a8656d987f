"""The admin API under `/_remhart`: no part of the service that the server stands in for."""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.routing import Mount

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.admin import control, graph, stage
from remhart_adt.local.adt.admin.answers import on_error
from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.control.instances import Instances
from remhart_adt.local.adt.control.tokens import Tokens
from remhart_adt.local.adt.types import AdtError

__all__ = ["ADMIN", "admin_app"]

ADMIN: Final = "/_remhart"


def admin_app(app: AdtApp, instances: Instances, tokens: Tokens) -> Starlette:
    """The admin API of one server; the refusals of its handlers become error envelopes."""
    routes = [*stage.routes(app, instances), *graph.routes(app), *control.routes(instances, tokens, app.clock.now_us)]
    return Starlette(
        routes=[Mount(ADMIN, routes=routes)], exception_handlers={AdtError: on_error, LocalServerError: on_error}
    )
