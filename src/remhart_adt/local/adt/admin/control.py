"""The control plane: instances, endpoints of event routes, role assignments, tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remhart_adt.local.adt.admin.answers import json_answer, read_json
from remhart_adt.local.adt.control import roles
from remhart_adt.local.adt.control.instances import Instances
from remhart_adt.local.adt.control.tokens import AUDIENCE, Tokens
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import AdtError

__all__ = ["routes"]

_MAX_SECONDS: Final = 30 * 86_400.0
_MAX_TEXT: Final = 200


def routes(instances: Instances, tokens: Tokens, clock_us: Callable[[], int]) -> list[Route]:
    """The routes of this part; `clock_us` gives the server's time."""
    control = _Control(instances, tokens, clock_us)
    one = "/instances/{name}"
    # A principal may be called `DOMAIN/ada`, and its slash arrives here decoded.
    endpoint, assignment = f"{one}/endpoints/{{endpoint}}", f"{one}/roleAssignments/{{principal:path}}"
    return [
        Route("/instances", control.list_instances, methods=["GET"]),
        Route(one, control.get_instance, methods=["GET"]),
        Route(one, control.put_instance, methods=["PUT"]),
        Route(one, control.delete_instance, methods=["DELETE"]),
        Route(f"{one}/endpoints", control.list_endpoints, methods=["GET"]),
        Route(endpoint, control.get_endpoint, methods=["GET"]),
        Route(endpoint, control.put_endpoint, methods=["PUT"]),
        Route(endpoint, control.delete_endpoint, methods=["DELETE"]),
        Route(f"{one}/roleAssignments", control.list_assignments, methods=["GET"]),
        Route(assignment, control.get_assignment, methods=["GET"]),
        Route(assignment, control.put_assignment, methods=["PUT"]),
        Route(assignment, control.delete_assignment, methods=["DELETE"]),
        Route("/tokens", control.issue, methods=["POST"]),
    ]


class _Control:
    def __init__(self, instances: Instances, tokens: Tokens, clock_us: Callable[[], int]) -> None:
        self._instances = instances
        self._tokens = tokens
        self._clock_us = clock_us

    def _instance(self, request: Request) -> Instance:
        return self._instances.get(request.path_params["name"])

    # --- instances

    async def list_instances(self, request: Request) -> Response:
        return json_answer({"value": [self._shown(one, request) for one in self._instances.all()]})

    async def get_instance(self, request: Request) -> Response:
        return json_answer(self._shown(self._instance(request), request))

    async def put_instance(self, request: Request) -> Response:
        name = request.path_params["name"]
        new = await self._instances.create(name)
        return json_answer(self._shown(self._instances.get(name), request), 201 if new else 200)

    async def delete_instance(self, request: Request) -> Response:
        await self._instances.delete(request.path_params["name"])
        return Response(status_code=204)

    def _shown(self, instance: Instance, request: Request) -> dict[str, Any]:
        """With the URL to reach it on this server; the first one answers for the server's address, too."""
        base = request.base_url
        host = base.netloc if self._instances.is_first(instance) else f"{instance.name}.localhost"
        if host != base.netloc and base.port is not None:
            host = f"{host}:{base.port}"
        return {
            "name": instance.name,
            "endpoint": f"{base.scheme}://{host}",
            "first": self._instances.is_first(instance),
            **instance.store.counts(),
        }

    # --- endpoints

    async def list_endpoints(self, request: Request) -> Response:
        return json_answer({"value": [one.public() for one in self._instance(request).events.endpoints.all()]})

    async def get_endpoint(self, request: Request) -> Response:
        found = self._instance(request).events.endpoints.get(request.path_params["endpoint"])
        return json_answer(found.public())

    async def put_endpoint(self, request: Request) -> Response:
        document = await read_json(request)
        instance, name = self._instance(request), request.path_params["endpoint"]
        new = name not in instance.events.endpoints
        instance.events.put_endpoint(name, document)
        await instance.store.flush()
        return json_answer(instance.events.endpoints.get(name).public(), 201 if new else 200)

    async def delete_endpoint(self, request: Request) -> Response:
        instance = self._instance(request)
        instance.events.delete_endpoint(request.path_params["endpoint"])
        await instance.store.flush()
        return Response(status_code=204)

    # --- roles

    async def list_assignments(self, request: Request) -> Response:
        now = self._clock_us()
        return json_answer({"value": [one.to_json(now) for one in self._instance(request).roles.all()]})

    async def get_assignment(self, request: Request) -> Response:
        return json_answer(self._assignment(request).to_json(self._clock_us()))

    def _assignment(self, request: Request) -> roles.Assignment:
        principal = request.path_params["principal"]
        found = self._instance(request).roles.get(principal)
        if found is None:
            raise AdtError(404, "RoleAssignmentNotFound", f"There is no role assignment for {principal[:80]!r}.")
        return found

    async def put_assignment(self, request: Request) -> Response:
        document = _object(await read_json(request), {"role", "propagation_seconds"})
        instance = self._instance(request)
        principal = roles.checked_principal(request.path_params["principal"])
        role, delay = roles.checked_role(document.get("role")), roles.checked_delay(_delay(document))
        new = instance.roles.get(principal) is None
        given = instance.roles.put(principal, role, delay)
        await instance.store.flush()
        return json_answer(given.to_json(self._clock_us()), 201 if new else 200)

    async def delete_assignment(self, request: Request) -> Response:
        instance = self._instance(request)
        found = self._assignment(request)
        delay = request.query_params.get("propagation_seconds", "0")
        try:
            seconds = roles.checked_delay(float(delay))
        except ValueError:
            seconds = roles.checked_delay(delay)
        instance.roles.delete(found.principal, seconds)
        await instance.store.flush()
        return Response(status_code=204)

    # --- tokens

    async def issue(self, request: Request) -> Response:
        document = _object(await read_json(request), {"principal", "roles", "expires_in", "tenant", "audience"})
        principal = roles.checked_principal(document.get("principal"))
        wanted = document.get("roles", [])
        if not isinstance(wanted, list):
            raise invalid_argument("roles is an array of role names.")
        seconds = document.get("expires_in", 3600)
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not -_MAX_SECONDS <= seconds <= _MAX_SECONDS
        ):
            raise invalid_argument(f"expires_in is a number of seconds, at most {_MAX_SECONDS:.0f}.")
        token = self._tokens.issue(
            principal,
            roles=tuple(roles.checked_role(role) for role in wanted),
            expires_in=float(seconds),
            tenant=_text(document, "tenant", ""),
            audience=_text(document, "audience", AUDIENCE),
        )
        return json_answer(token)


def _object(document: Any, known: set[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise invalid_argument("The body is a JSON object.")
    for name in document.keys() - known:
        raise invalid_argument(f"There is no member {name[:40]!r}; there are: {', '.join(sorted(known))}.")
    return document


def _delay(document: dict[str, Any]) -> Any:
    return document.get("propagation_seconds", 0)


def _text(document: dict[str, Any], name: str, default: str) -> str:
    value = document.get(name, default)
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise invalid_argument(f"{name} is a text of at most {_MAX_TEXT} printable characters.")
    return value
