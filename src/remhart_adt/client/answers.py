"""From an HTTP answer, or the lack of one, to the error tree of `errors.py`; the only place that does this.

The service has several error shapes: `{"error": {"code", "message", "details"}}` as a rule, problem+json for a body it
cannot bind, `{"statusCode", "message"}` from its gateway for a 401, the same below `error` without code for a 429, and
a JSON string that holds JSON for a busy import job. All of them end as one `ServiceError` with a remedy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from remhart_adt.clock import SYSTEM
from remhart_adt.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)

__all__ = ["error_from_answer", "retry_after_of", "unreachable"]

_TEXT_LIMIT: Final = 1000

_BY_STATUS: Final[dict[int, type[ServiceError]]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    412: PreconditionFailedError,
    429: ThrottledError,
    # 501 is an answer, not an outage: the same request gets it again.
    501: ServiceError,
}

_REMEDY_BY_CODE: Final = {
    "DTDLParserError": "Check them with `remhart-adt models validate` and upload them together with what they use",
    "ModelIdAlreadyExists": "Models cannot be changed: give the changed one a new version, or delete the old one first",
    "ModelReferencesNotDeleted": "Delete the models that extend or contain it first",
    "ModelReferencesNotDecommissioned": "Decommission the models that extend or contain it first",
    "ModelNotFound": "Upload it with `remhart-adt models upload`",
    "RelationshipsNotDeleted": "Delete its relationships first, outgoing and incoming",
    "JsonPatchInvalid": "Set a value with `add`, which works whether it exists or not, and add a parent object first",
    "DigitalTwinNotFound": "Create it with `remhart-adt graph apply`, or check the id: ids are case-sensitive",
    "SqlQueryError": "See the query language reference of Azure Digital Twins",
    "NotImplemented": "This server does not offer the operation",
}
_REMEDY_BY_STATUS: Final = {
    401: "Sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    403: "Give the identity the role Azure Digital Twins Data Owner (or Data Reader to read) on the instance; "
    "a new role takes some minutes to work",
    412: "Read it again and repeat the change with the new ETag",
    429: "Send less, or wait",
    503: "The instance is not available right now; try again later",
}
_WRONG_TENANT: Final = "The token is from another tenant than the instance's: sign in with `az login --tenant`"


def error_from_answer(status: int, headers: Mapping[str, str], body: bytes, *, where: str = "") -> ServiceError:
    """The error that an answer with this status stands for; `where` says what was being done to what."""
    code, text, details = _read(body)
    code = code or headers.get("x-ms-error-code", "")
    what = text or f"the service answered {status} without a reason"
    if details:
        what = f"{what.rstrip('.')}: {'; '.join(details)}"
    if len(what) > _TEXT_LIMIT:
        what = what[:_TEXT_LIMIT] + "..."
    if code and code not in what:
        what = f"{what} ({code})" if not what.endswith(".") else f"{what[:-1]} ({code})"
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = UnavailableError if status >= 500 else BadRequestError if status >= 400 else ServiceError
    remedy = _REMEDY_BY_CODE.get(code) or _REMEDY_BY_STATUS.get(status, "")
    if status == 404 and "Sub-Domain not found" in what:
        remedy = _WRONG_TENANT
    retry_after = retry_after_of(headers) if status in (408, 429) or status >= 500 else None
    return kind(what, status=status, code=code, where=where, remedy=remedy, retry_after=retry_after)


def unreachable(reason: str, *, where: str = "") -> UnavailableError:
    """The error for a request that got no whole answer: refused, reset, cut off, timed out."""
    return UnavailableError(
        reason[:_TEXT_LIMIT],
        where=where,
        code="Unreachable",
        remedy="Check that the endpoint is right and the instance can be reached from here",
    )


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header (a number or an HTTP date), or None; nonsense counts as absent."""
    value = headers.get("Retry-After") or headers.get("retry-after")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - SYSTEM.now_us() / 1e6
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), 3600.0) if seconds == seconds else None


def _read(body: bytes) -> tuple[str, str, list[str]]:
    """Code, message and detail messages of an error body, whatever its shape."""
    try:
        data: Any = json.loads(body)
        if isinstance(data, str):
            data = json.loads(data)
    except (ValueError, RecursionError):
        text = body[:_TEXT_LIMIT].decode("utf-8", "replace").strip()
        return "", "" if text.startswith("<") else text, []
    if not isinstance(data, dict):
        return "", "", []
    error = data.get("error")
    if not isinstance(error, dict):
        error = data
    message = error.get("message") or error.get("title") or error.get("detail") or ""
    details = [str(d.get("message")) for d in error.get("details") or () if isinstance(d, dict) and d.get("message")]
    errors = error.get("errors")
    if isinstance(errors, dict):
        details += [
            f"{key}: {text}"
            for key, texts in errors.items()
            for text in (texts if isinstance(texts, list) else [texts])
        ]
    return str(error.get("code") or ""), str(message), details
