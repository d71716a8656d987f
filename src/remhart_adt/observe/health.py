"""The process' own small web server: /livez, /readyz, /metrics, /report. Loopback unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from remhart_adt.errors import ConfigError, MissingExtraError
from remhart_adt.observe.metrics import Metric, exposition

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["HealthServer"]


class HealthServer:
    """Answers from callables, so it knows nothing of what it reports.

    `problems()` lists why the process is not ready (empty = ready); `alive()` says whether it still makes progress;
    `mark()` starts the measurement of rates and delays anew (POST /report/mark).
    """

    def __init__(
        self,
        *,
        alive: Callable[[], bool],
        problems: Callable[[], list[str]],
        report: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], Iterable[Metric]],
        mark: Callable[[], None],
    ) -> None:
        self._alive = alive
        self._problems = problems
        self._report = report
        self._metrics = metrics
        self._mark = mark
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes a free one (then in `self.port`). Raises ConfigError when it cannot."""
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/report", self._get_report)
        app.router.add_post("/report/mark", self._post_mark)
        app.router.add_get("/metrics", self._get_metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, host, port)
            await site.start()
        except OSError as error:
            await self.stop()
            raise ConfigError(f"the health server cannot listen on {host}:{port}: {error.strerror or error}") from error
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; twice is harmless."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _livez(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        alive = self._alive()
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def _readyz(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        problems = self._problems()
        return web.json_response({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    async def _get_report(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        return web.json_response(dict(self._report()))

    async def _post_mark(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        self._mark()
        return web.Response(status=204)

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        try:
            body, kind = exposition(self._metrics())
        except MissingExtraError as error:
            return web.json_response({"error": str(error)}, status=501)
        return web.Response(body=body, headers={"Content-Type": kind})
