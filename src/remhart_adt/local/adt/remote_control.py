"""The control plane of a local ADT server from Python: instances, endpoints, roles, tokens."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

__all__ = ["Control", "InstanceInfo", "RoleAssignment"]


class _Caller(Protocol):
    def call(self, method: str, path: str, body: Any = None, /, **params: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class InstanceInfo:
    """An instance: `endpoint` is its URL on this server; `first` is the one that answers for the server's address."""

    name: str
    endpoint: str
    first: bool
    models: int
    twins: int
    relationships: int


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A principal's role on an instance; `begins` and `ends` are RFC 3339 times, `effective` says whether it is now."""

    principal: str
    role: str
    effective: bool
    begins: str
    ends: str | None


class Control:
    """The control plane. `instance` is a name; empty means the first one. LocalServerError when the server refuses."""

    def __init__(self, admin: _Caller) -> None:
        self._admin = admin

    # --- instances

    def instances(self) -> list[InstanceInfo]:
        """Every instance, the first one first."""
        return [InstanceInfo(**one) for one in self._admin.call("GET", "/instances")["value"]]

    def create_instance(self, name: str) -> InstanceInfo:
        """Have an instance of this name; one that is there is left as it is."""
        return InstanceInfo(**self._admin.call("PUT", f"/instances/{_part(name)}"))

    def delete_instance(self, name: str) -> None:
        """Remove an instance and everything on it."""
        self._admin.call("DELETE", f"/instances/{_part(name)}")

    # --- endpoints of event routes

    def endpoints(self, instance: str = "") -> builtins.list[dict[str, Any]]:
        """Every endpoint, without secrets; `docs/event-routes.md` lists the members."""
        found: list[dict[str, Any]] = self._admin.call("GET", f"{self._of(instance)}/endpoints")["value"]
        return found

    def put_endpoint(self, name: str, document: Mapping[str, Any], instance: str = "") -> dict[str, Any]:
        """Add or replace an endpoint; as it is then, without secrets."""
        path = f"{self._of(instance)}/endpoints/{_part(name)}"
        shown: dict[str, Any] = self._admin.call("PUT", path, dict(document))
        return shown

    def delete_endpoint(self, name: str, instance: str = "") -> None:
        """Remove an endpoint to which no route leads."""
        self._admin.call("DELETE", f"{self._of(instance)}/endpoints/{_part(name)}")

    # --- roles and tokens

    def roles(self, instance: str = "") -> list[RoleAssignment]:
        """Every role assignment."""
        found = self._admin.call("GET", f"{self._of(instance)}/roleAssignments")["value"]
        return [RoleAssignment(**one) for one in found]

    def assign_role(
        self, principal: str, role: str, *, propagation_seconds: float = 0.0, instance: str = ""
    ) -> RoleAssignment:
        """Give a principal a role, in effect after `propagation_seconds`, in place of any other."""
        path = f"{self._of(instance)}/roleAssignments/{_part(principal)}"
        return RoleAssignment(
            **self._admin.call("PUT", path, {"role": role, "propagation_seconds": propagation_seconds})
        )

    def remove_role(self, principal: str, *, propagation_seconds: float = 0.0, instance: str = "") -> None:
        """Take a principal's role away, after `propagation_seconds`."""
        path = f"{self._of(instance)}/roleAssignments/{_part(principal)}"
        self._admin.call("DELETE", path, propagation_seconds=str(propagation_seconds))

    def token(
        self, principal: str, *, roles: tuple[str, ...] = (), expires_in: float = 3600.0, **more: str
    ) -> dict[str, Any]:
        """A token as an OAuth answer (`access_token`, `expires_on`, ...). `roles` hold on every instance; `more` may be
        `tenant` and `audience`."""
        body = {"principal": principal, "roles": list(roles), "expires_in": expires_in, **more}
        answer: dict[str, Any] = self._admin.call("POST", "/tokens", body)
        return answer

    def _of(self, instance: str) -> str:
        return f"/instances/{_part(instance or self.instances()[0].name)}"


def _part(name: str) -> str:
    return quote(name, safe="")
