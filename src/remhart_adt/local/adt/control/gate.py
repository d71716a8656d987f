"""Who may do what: the check of a request's token and role, before anything else looks at it."""

from __future__ import annotations

from remhart_adt.local.adt import gateway
from remhart_adt.local.adt.control.roles import DATA_OWNER, DATA_READER, allows
from remhart_adt.local.adt.control.tokens import BadTokenError, Tokens
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import Response

__all__ = ["Gate"]


class Gate:
    """Stands before the operations of every instance when tokens are required."""

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
            return gateway.unauthorized([(b"x-remhart-reason", str(error).encode())])
        if claims.tenant != self._tokens.tenant:
            return gateway.sub_domain_not_found()
        roles = claims.roles | instance.roles.of(claims.principal)
        if allows(roles, method, segments):
            return None
        needed = DATA_OWNER if DATA_READER in roles else f"{DATA_READER} or {DATA_OWNER}"
        return gateway.forbidden(
            f"The principal of this token needs the role {needed} on the instance {instance.name}."
        )
