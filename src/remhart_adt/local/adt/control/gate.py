"""Who may do what: the check of a request's token and role, before anything else looks at it."""

from __future__ import annotations

import orjson

from remhart_adt.local.adt.control.roles import DATA_OWNER, DATA_READER, allows
from remhart_adt.local.adt.control.tokens import BadTokenError, Tokens
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import Response

__all__ = ["Gate", "sub_domain_not_found"]

_JSON = b"application/json"


def sub_domain_not_found() -> Response:
    """The gateway's answer for an instance that is not there, and for a token of another tenant (as reported)."""
    return Response(404, b'{ "statusCode": 404, "message": "Sub-domain not found." }', media=_JSON)


class Gate:
    """Stands before the operations of every instance when `auth` is required."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def refusal(
        self, instance: Instance, method: str, segments: tuple[str, ...], headers: dict[bytes, bytes]
    ) -> Response | None:
        """401 without a valid token, 404 with one of another tenant, 403 without the role; None: go on."""
        authorization = headers.get(b"authorization")
        try:
            claims = self._tokens.read(None if authorization is None else authorization.decode("latin-1"))
        except BadTokenError as error:
            return self._unauthorized(str(error))
        if claims.tenant != self._tokens.tenant:
            return sub_domain_not_found()
        roles = claims.roles | instance.roles.of(claims.principal)
        if allows(roles, method, segments):
            return None
        # The service says no more than this; the reason is for whoever reads the answer of a local server.
        needed = DATA_OWNER if DATA_READER in roles else f"{DATA_READER} or {DATA_OWNER}"
        reason = f"the principal of this token needs the role {needed} on the instance {instance.name}"
        headers_out = [(b"content-length", b"0"), (b"x-remhart-reason", reason.encode())]
        return Response(403, None, headers=headers_out)

    def _unauthorized(self, why: str) -> Response:
        challenge = (
            f'Bearer authorization_uri="https://login.microsoftonline.com/{self._tokens.tenant}", '
            f'error="invalid_token", error_description="{why}"'
        )
        body = orjson.dumps({"statusCode": 401, "message": "Unauthorized"})
        return Response(401, body, media=_JSON, headers=[(b"www-authenticate", challenge.encode())])
