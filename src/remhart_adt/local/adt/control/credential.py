"""Credentials for Microsoft's clients whose tokens the local server issues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

__all__ = ["AsyncLocalCredential", "LocalCredential"]


class _Issuer(Protocol):
    def token(
        self, principal: str, *, roles: tuple[str, ...] = ..., expires_in: float = ..., **more: str
    ) -> dict[str, Any]: ...


class LocalCredential:
    """A principal of a local ADT server: `LocalCredential(server.control, "ada", roles=(DATA_OWNER,))`.

    Without `roles` the principal has what its role assignments say. Raises LocalServerError when the server refuses.
    """

    def __init__(
        self, control: _Issuer, principal: str, *, roles: tuple[str, ...] = (), expires_in: float = 3600.0
    ) -> None:
        self._control = control
        self._principal = principal
        self._roles = roles
        self._expires_in = expires_in

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """A new token, as `azure.core.credentials.TokenCredential` has it."""
        from azure.core.credentials import AccessToken

        issued = self._control.token(self._principal, roles=self._roles, expires_in=self._expires_in)
        return AccessToken(issued["access_token"], issued["expires_on"])

    def close(self) -> None:
        """Nothing is held open."""


class AsyncLocalCredential:
    """The same for asynchronous clients."""

    def __init__(
        self, control: _Issuer, principal: str, *, roles: tuple[str, ...] = (), expires_in: float = 3600.0
    ) -> None:
        self._credential = LocalCredential(control, principal, roles=roles, expires_in=expires_in)

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A new token, as `azure.core.credentials_async.AsyncTokenCredential` has it."""
        import asyncio

        return await asyncio.to_thread(self._credential.get_token, *scopes, **options)

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> AsyncLocalCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
