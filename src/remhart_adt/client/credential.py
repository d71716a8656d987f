"""Who we are to the service: an Azure identity over https, nobody on a loopback address over plain http.

The SDK refuses to send a token over plain http, and rightly so. The local stand-in is reached by replacing its
authentication policy with one that sends a fixed word; that policy exists for loopback addresses only.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from remhart_adt.errors import ConfigError, ServiceError, UnauthorizedError

__all__ = ["ADT_SCOPE", "BearerSource", "Endpoint", "LocalBearer", "TokenCache", "parse_endpoint"]

ADT_SCOPE: Final = "https://digitaltwins.azure.net/.default"
# Tokens live about an hour; a new one is fetched this long before the old one ends, so that a request under way
# never carries one that expires on the road.
_REFRESH_BEFORE: Final = 300.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Endpoint(str):
    """The base URL of an instance, without a trailing slash; `.loopback` says whether it is on this machine."""

    __slots__ = ("loopback",)
    loopback: bool


def parse_endpoint(text: str) -> Endpoint:
    """The base URL that a host name or URL stands for.

    A bare host means https, a bare loopback address http. Raises ConfigError for plain http to another machine (a
    token would travel readable) and for anything that is not a host and a port.
    """
    stripped = text.strip()
    url = stripped if "://" in stripped else f"//{stripped}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"{stripped!r} is not an endpoint: {error}", remedy=_FORM) from error
    if not host or parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ConfigError(f"{stripped!r} is not an endpoint", remedy=_FORM)
    loopback = host in _LOOPBACK
    scheme = parts.scheme or ("http" if loopback else "https")
    if scheme not in ("http", "https"):
        raise ConfigError(f"{stripped!r} is not an endpoint: the scheme is {scheme}", remedy=_FORM)
    if scheme == "http" and not loopback:
        raise ConfigError(
            f"{stripped!r}: plain http is only used on this machine, a token must not travel readable",
            remedy=f"Use https://{host}",
        )
    name = f"[{host}]" if ":" in host else host
    endpoint = Endpoint(f"{scheme}://{name}" + (f":{port}" if port is not None else ""))
    endpoint.loopback = loopback and scheme == "http"
    return endpoint


_FORM: Final = "Give a host such as my-instance.api.weu.digitaltwins.azure.net, or http://127.0.0.1:PORT"


class BearerSource(Protocol):
    """Where the fast path gets its Authorization header from."""

    async def header(self, *, renew: bool = False) -> str:
        """The header's value. `renew` is asked once after a 401: the cached token is to be thrown away.

        Failing with UnauthorizedError means that no identity could be found; the caller must not repeat the request.
        """
        ...

    async def close(self) -> None:
        """Give back what the source holds; called once, at the end."""
        ...


class LocalBearer:
    """The fixed word for a server on this machine."""

    async def header(self, *, renew: bool = False) -> str:  # noqa: ARG002
        """Always the same value."""
        return "Bearer local"

    async def close(self) -> None:
        """Nothing to give back."""


class TokenCache:
    """One token for all requests, fetched once at a time, renewed before it ends."""

    def __init__(self, credential: Any = None, *, scope: str = ADT_SCOPE) -> None:
        """`credential`: an async credential of azure-identity; None stands for DefaultAzureCredential."""
        self._credential = credential
        self._owned = credential is None
        self._scope = scope
        self._header = ""
        self._ends = 0.0
        self._lock = asyncio.Lock()

    async def header(self, *, renew: bool = False) -> str:
        """`Bearer <token>`, from the cache while it lasts."""
        if not renew and time.time() < self._ends - _REFRESH_BEFORE:
            return self._header
        stale = self._header
        async with self._lock:
            if self._header != stale:  # another request has renewed it while this one waited
                return self._header
            from azure.core.exceptions import AzureError

            if self._credential is None:
                from azure.identity.aio import DefaultAzureCredential

                self._credential = DefaultAzureCredential()
            try:
                token = await self._credential.get_token(self._scope)
            except AzureError as error:
                raise no_identity(error) from error
            self._header, self._ends = f"Bearer {token.token}", float(token.expires_on)
            return self._header

    async def close(self) -> None:
        """Close the credential if this cache made it."""
        if self._owned and self._credential is not None:
            await self._credential.close()


def no_identity(error: BaseException) -> ServiceError:
    """The error for a credential that gave no token; its first line says which sources were tried."""
    first = str(getattr(error, "message", error)).strip().splitlines() or [type(error).__name__]
    return UnauthorizedError(
        f"no token for Azure Digital Twins: {first[0][:300]}",
        status=401,
        code="NoToken",
        remedy="Sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, "
        "or run where a managed identity is assigned",
    )
