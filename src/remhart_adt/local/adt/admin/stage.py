"""Health, journal, faults, settings, clock and reset."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remhart_adt import __version__
from remhart_adt.clock import FakeClock, format_us, parse_us
from remhart_adt.local.adt.admin.answers import chosen, json_answer, number_param, read_json
from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.control.instances import Instances
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.journal import Wanted
from remhart_adt.local.adt.types import AdtError

__all__ = ["routes"]

_ROWS: Final = 10_000
# A year at a time: enough for every expiry, and the clock stays within the dates that can be written.
_MAX_ADVANCE: Final = 366 * 86_400
_LATEST_US: Final = parse_us("9000-01-01T00:00:00Z")
_Settings = dict[str, Any]
_LIMITS: Final = {"query_lag": (0.0, 3600.0), "retry_after": (0.0, 3600.0), "capacity": (0.000001, 1000.0)}


def routes(app: AdtApp, registry: Instances) -> list[Route]:
    """The routes of this part."""
    stage = _Stage(app, registry)
    return [
        Route("/health", stage.health, methods=["GET"]),
        Route("/journal", stage.journal, methods=["GET"]),
        Route("/reset", stage.reset, methods=["POST"]),
        Route("/faults", stage.list_faults, methods=["GET"]),
        Route("/faults", stage.add_faults, methods=["POST"]),
        Route("/faults", stage.clear_faults, methods=["DELETE"]),
        Route("/faults/{fault}", stage.delete_fault, methods=["DELETE"]),
        Route("/settings", stage.settings, methods=["GET"]),
        Route("/settings", stage.change_settings, methods=["PUT"]),
        Route("/clock", stage.clock, methods=["GET"]),
        Route("/clock", stage.move_clock, methods=["POST"]),
    ]


class _Stage:
    """Handlers over one server; what a reset goes back to is noted when the server is put together."""

    def __init__(self, app: AdtApp, registry: Instances) -> None:
        self._app = app
        self._registry = registry
        self._began = app.clock.monotonic()
        self._start = (app.clock.now_us(), self._began)
        self._initial = _settings(app.instance)  # every instance begins alike

    async def health(self, _request: Request) -> Response:
        app = self._app
        counts = [instance.store.counts() for instance in app.instances.values()]
        return json_answer(
            {
                "status": "ok",
                "version": __version__,
                "uptime_s": round(app.clock.monotonic() - self._began, 3),
                **{table: sum(count[table] for count in counts) for table in counts[0]},
                "faults_pending": app.faults.pending,
                "faults_hit": app.faults.hits,
                "journal_dropped": app.journal.dropped,
                "events": {name: instance.events.health() for name, instance in app.instances.items()},
            }
        )

    async def journal(self, request: Request) -> Response:
        params = request.query_params
        after = number_param(request, "after", 0)
        limit = min(max(number_param(request, "limit", _ROWS), 1), _ROWS)
        names = ("method", "path", "status", "instance")
        wanted = Wanted(**{name: params.get(name, "")[:4096] for name in names})
        rows, following, more = self._app.journal.after(after, limit, wanted)
        body = b'{"rows":[%b],"next":%d,"more":%b,"dropped":%d}' % (
            b",".join(row.dump() for row in rows),
            following,
            b"true" if more else b"false",
            self._app.journal.dropped,
        )
        return Response(body, media_type="application/json")

    async def reset(self, request: Request) -> Response:
        """Everything of one instance; without a name everything at all, as it was at the start. The endpoints that a
        server starts with are there again either way."""
        app = self._app
        name = request.query_params.get("instance", "").lower()
        instances = chosen(app, request)
        for instance in instances:
            instance.clear()
            await instance.store.flush()
            instance.restore()
            instance.throttle.clear()
            self._registry.put_endpoints(instance)
            await instance.store.flush()
        app.faults.clear(name)
        app.journal.clear(name)
        if not name:
            self._start_again()
        return Response(status_code=204)

    def _start_again(self) -> None:
        app = self._app
        for instance in app.instances.values():
            _apply(instance, self._initial)
        app.chance.restart()
        for instance in app.instances.values():
            instance.chance.restart()
        if isinstance(app.clock, FakeClock):
            app.clock.wall_us, app.clock.steady = self._start
            for instance in app.instances.values():
                instance.ticker.restart()

    # --- faults

    async def list_faults(self, _request: Request) -> Response:
        faults = self._app.faults
        return json_answer({"faults": faults.listing(), "pending": faults.pending, "hits": faults.hits})

    async def add_faults(self, request: Request) -> Response:
        rules = self._app.faults.add(await read_json(request))
        return json_answer({"pending": self._app.faults.pending, "ids": [rule.id for rule in rules]}, 201)

    async def clear_faults(self, _request: Request) -> Response:
        self._app.faults.clear()
        return Response(status_code=204)

    async def delete_fault(self, request: Request) -> Response:
        if not self._app.faults.delete(request.path_params["fault"]):
            raise AdtError(404, "FaultNotFound", "There is no fault of this id; GET /_remhart/faults lists them.")
        return Response(status_code=204)

    # --- settings

    async def settings(self, request: Request) -> Response:
        return json_answer(_settings(chosen(self._app, request)[0]))

    async def change_settings(self, request: Request) -> Response:
        changes = _checked(await read_json(request))
        instances = chosen(self._app, request)
        for instance in instances:
            _apply(instance, {**_settings(instance), **changes})
            await instance.store.flush()
        return json_answer(_settings(instances[0]))

    # --- clock

    async def clock(self, _request: Request) -> Response:
        return json_answer(self._clock())

    def _clock(self) -> dict[str, Any]:
        clock = self._app.clock
        return {"now": format_us(clock.now_us()), "fake": isinstance(clock, FakeClock)}

    async def move_clock(self, request: Request) -> Response:
        """Forward only: times that the server has given out stay in the past."""
        clock = self._app.clock
        if not isinstance(clock, FakeClock):
            what = "This server runs on the system's clock; start it with --clock fake to move its time."
            raise AdtError(409, "ClockNotFake", what)
        document = await read_json(request)
        if not isinstance(document, dict) or len(document) != 1 or not set(document) <= {"advance_s", "now"}:
            raise invalid_argument('The clock is moved by {"advance_s": seconds} or {"now": an RFC 3339 time}.')
        seconds = _seconds(document, clock.now_us())
        if not 0 <= seconds <= _MAX_ADVANCE or clock.now_us() + seconds * 1e6 > _LATEST_US:
            raise invalid_argument(f"The clock moves forward, by at most {_MAX_ADVANCE} seconds at a time.")
        clock.advance(seconds)
        return json_answer(self._clock())


def _seconds(document: dict[str, Any], now_us: int) -> float:
    if "now" in document:
        try:
            return (parse_us(document["now"]) - now_us) / 1e6
        except (ValueError, TypeError, OverflowError):
            raise invalid_argument("now is an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z.") from None
    value = document["advance_s"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_argument("advance_s is a number of seconds.")
    return float(value)


def _settings(instance: Instance) -> _Settings:
    throttle = instance.throttle
    return {
        "throttle": throttle.enabled,
        "query_lag": instance.lag.seconds,
        "retry_after": throttle.retry_after,
        "capacity": throttle.capacity,
    }


def _checked(document: Any) -> _Settings:
    """The settings to change; raises 400 that names what is wrong."""
    if not isinstance(document, dict):
        raise invalid_argument("Settings are a JSON object.")
    for name, value in document.items():
        if name == "throttle":
            if not isinstance(value, bool):
                raise invalid_argument("throttle is true or false.")
            continue
        if name not in _LIMITS:
            raise invalid_argument(f"There is no setting {name[:40]!r}; there are: throttle, {', '.join(_LIMITS)}.")
        least, most = _LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise invalid_argument(f"{name} is a number between {least:g} and {most:g}.")
        if name == "retry_after" and value != int(value):
            raise invalid_argument("retry_after is a whole number of seconds.")
    return document


def _apply(instance: Instance, wanted: _Settings) -> None:
    throttle, lag = instance.throttle, instance.lag
    if throttle.enabled != wanted["throttle"]:
        throttle.enabled = wanted["throttle"]
        throttle.clear()
    throttle.retry_after = int(wanted["retry_after"])
    throttle.capacity = float(wanted["capacity"])
    if lag.seconds != wanted["query_lag"]:
        lag.seconds = float(wanted["query_lag"])
        lag.clear()
