"""Access tokens of the local server: signed as the service's issuer signs them, with a key of this server's own.

They are JWTs (HS256) with the claims that matter here: `aud`, `iss`, `tid`, `sub`, `oid`, `roles`, `iat`, `nbf`, `exp`.
"""

from __future__ import annotations

import os
import re
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remhart_adt.clock import Clock
from remhart_adt.errors import LocalServerError

__all__ = ["AUDIENCE", "TENANT", "BadTokenError", "Claims", "Tokens", "signing_key"]

AUDIENCE: Final = "https://digitaltwins.azure.net"
TENANT: Final = "00000000-0000-4000-8000-0000000000ad"
# The service's first-party application stands for its audience as well.
_AUDIENCES: Final = (AUDIENCE, f"{AUDIENCE}/", "0b07f429-9f4b-4714-9392-cc5e8e80c8b0")
_ALGORITHM: Final = "HS256"
_KEY_BYTES: Final = 32
_MAX_TOKEN: Final = 16_384
_CACHED: Final = 1000
_BEARER: Final = re.compile(r"bearer +([\w.-]+)", re.ASCII | re.IGNORECASE)


class BadTokenError(Exception):
    """A request carries no token that counts; the text says why and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: `roles` hold on every instance, `expires_us` is in microseconds since the epoch."""

    principal: str
    tenant: str
    roles: frozenset[str]
    expires_us: int


def signing_key(path: Path | None) -> bytes:
    """The server's key: from its file, which is made at first use and readable by its owner only; None: a new one.

    A key in a file lets tokens outlive a restart, as they do on the service. Raises LocalServerError.
    """
    fresh = secrets.token_bytes(_KEY_BYTES)
    if path is None:
        return fresh
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(fresh)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise LocalServerError("this is no signing key", where=str(path), remedy="Remove the file") from None
        return key
    except OSError as error:
        raise LocalServerError(f"cannot keep the signing key: {error}", where=str(path)) from error
    return fresh


class Tokens:
    """Issues tokens and reads them back."""

    def __init__(self, key: bytes, clock: Clock, tenant: str = TENANT) -> None:
        self._key = key
        self._clock = clock
        self.tenant = tenant
        self._known: dict[str, Claims] = {}

    def issue(
        self,
        principal: str,
        *,
        roles: tuple[str, ...] = (),
        expires_in: float = 3600.0,
        tenant: str = "",
        audience: str = AUDIENCE,
    ) -> dict[str, Any]:
        """A token as an OAuth answer: `access_token`, `expires_in` (s), `expires_on` (s since the epoch) and more."""
        import jwt

        now = self._clock.now_us() // 1_000_000
        expires = now + round(expires_in)
        tenant = tenant or self.tenant
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant}/",
            "tid": tenant,
            "sub": principal,
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{principal}")),
            "roles": list(roles),
            "iat": now,
            "nbf": now,
            "exp": expires,
        }
        return {
            "access_token": jwt.encode(claims, self._key, algorithm=_ALGORITHM),
            "token_type": "Bearer",
            "expires_in": expires - now,
            "expires_on": expires,
            "principal": principal,
            "tenant": tenant,
        }

    def read(self, authorization: str | None) -> Claims:
        """The claims of an Authorization header. Raises BadTokenError, also for a token that has expired."""
        if authorization is None:
            raise BadTokenError("The request has no Authorization header.")
        match = _BEARER.fullmatch(authorization) if len(authorization) <= _MAX_TOKEN else None
        if match is None:
            raise BadTokenError("The Authorization header holds no bearer token.")
        claims = self._known.get(match[1])
        if claims is None:
            claims = self._verified(match[1])
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[match[1]] = claims
        if claims.expires_us <= self._clock.now_us():
            raise BadTokenError("The token has expired.")
        return claims

    def _verified(self, token: str) -> Claims:
        import jwt

        unchecked = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud")}  # by our clock, and below
        try:
            found = jwt.decode(token, self._key, algorithms=[_ALGORITHM], options=unchecked)  # type: ignore[arg-type]
            claims = Claims(found["sub"], found["tid"], frozenset(found["roles"]), int(found["exp"]) * 1_000_000)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError):
            raise BadTokenError("The token was not signed by this server.") from None
        if found.get("aud") not in _AUDIENCES:
            raise BadTokenError(f"The token is for another audience than {AUDIENCE}.")
        return claims
