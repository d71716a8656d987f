"""Operations on import jobs and delete jobs.

Older api-versions do not have them: there the paths do not exist.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import orjson

from remhart_adt.local.adt import errors
from remhart_adt.local.adt.instance import Instance, json_body, json_response
from remhart_adt.local.adt.jobs.runner import JobBusyError
from remhart_adt.local.adt.jobs.types import Job, Kind
from remhart_adt.local.adt.types import AdtError, Request, Response

__all__ = [
    "cancel_import",
    "delete_import",
    "get_deletion",
    "get_import",
    "list_deletions",
    "list_imports",
    "post_deletion",
    "put_import",
]

_PREVIEW: Final = "2023-02-27-preview"
_SINCE: Final[dict[Kind, str]] = {"import": _PREVIEW, "delete": "2023-10-31"}
_PAGE: Final = 100
_BUSY: Final = (
    '{"error":{"code":"TooManyRequests","message":"Cannot start another job while one is in progress. Please wait for '
    'it to complete before starting another one."}}'
)
_TIMEOUT: Final = (15, 1440)
_DEFAULT_TIMEOUT: Final = 720


def put_import(instance: Instance, request: Request, job_id: str) -> Response:
    """PUT /jobs/imports/{id}: 201, and the job starts."""
    _check_version(request, "import")
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Payload is invalid.")
    read, write = body.get("inputBlobUri"), body.get("outputBlobUri")
    if not isinstance(read, str) or not isinstance(write, str) or not read or not write:
        raise AdtError(400, "ValidationFailed", "An import job needs inputBlobUri and outputBlobUri.")
    try:
        job = instance.jobs.add_import(job_id, read, write)
    except JobBusyError:
        return _busy()
    return _answer(request, 201, job)


def get_import(instance: Instance, request: Request, job_id: str) -> Response:
    """GET /jobs/imports/{id}."""
    _check_version(request, "import")
    return _answer(request, 200, instance.jobs.get("import", job_id))


def list_imports(instance: Instance, request: Request) -> Response:
    """GET /jobs/imports: pages in order of creation."""
    return _list(instance, request, "import", "imports")


def cancel_import(instance: Instance, request: Request, job_id: str) -> Response:
    """POST /jobs/imports/{id}/cancel: the job as it was when asked; it stops soon after."""
    _check_version(request, "import")
    return _answer(request, 200, instance.jobs.cancel(job_id))


def delete_import(instance: Instance, request: Request, job_id: str) -> Response:
    """DELETE /jobs/imports/{id}: only the entry of a job that has ended."""
    _check_version(request, "import")
    instance.jobs.delete(job_id)
    return Response(204)


def post_deletion(instance: Instance, request: Request) -> Response:
    """POST /jobs/deletions: 202, and where to ask for the job."""
    _check_version(request, "delete")
    given = request.param("timeoutInMinutes")
    if given is None:
        minutes = _DEFAULT_TIMEOUT
    elif given.isascii() and given.isdigit() and len(given) < 6 and _TIMEOUT[0] <= int(given) <= _TIMEOUT[1]:
        minutes = int(given)
    else:
        what = f"timeoutInMinutes is a number between {_TIMEOUT[0]} and {_TIMEOUT[1]}."
        raise AdtError(400, "ValidationFailed", what)
    job_id = request.header(b"operation-id") or instance.chance.guid()
    try:
        job = instance.jobs.add_deletion(job_id, minutes)
    except JobBusyError:
        return _busy()
    answer = _answer(request, 202, job)
    place = f"{request.base}/jobs/deletions/{quote(job.id, safe='')}?api-version={request.api_version}"
    answer.headers = [(b"operation-location", place.encode()), (b"operation-id", quote(job.id, safe=" ").encode())]
    return answer


def get_deletion(instance: Instance, request: Request, job_id: str) -> Response:
    """GET /jobs/deletions/{id}."""
    _check_version(request, "delete")
    return _answer(request, 200, instance.jobs.get("delete", job_id))


def list_deletions(instance: Instance, request: Request) -> Response:
    """GET /jobs/deletions: pages in order of creation."""
    return _list(instance, request, "delete", "deletions")


def _check_version(request: Request, kind: Kind) -> None:
    if request.api_version < _SINCE[kind]:
        what = f"{kind.capitalize()} jobs do not exist in api-version {request.api_version}."
        raise AdtError(404, "NotFound", what)


def _busy() -> Response:
    """Recorded: a JSON string that holds JSON, without an error header or Retry-After."""
    return Response(429, orjson.dumps(_BUSY))


def _answer(request: Request, status: int, job: Job) -> Response:
    return json_response(status, _document(request, job))


def _document(request: Request, job: Job) -> dict[str, Any]:
    return job.document(null_finished=request.api_version == _PREVIEW)


def _list(instance: Instance, request: Request, kind: Kind, word: str) -> Response:
    _check_version(request, kind)
    size = _page_size(request)
    found = instance.jobs.page(kind, _after(request.param("continuationToken")), size + 1)
    link = None
    if len(found) > size:
        found = found[:size]
        token = quote(orjson.dumps([{"token": f"+RID:~{found[-1][0]}"}]).decode(), safe="")
        link = f"{request.base}/Jobs/{word}?continuationToken={token}&api-version={request.api_version}"
    return json_response(200, {"value": [_document(request, job) for _, job in found], "nextLink": link})


def _page_size(request: Request) -> int:
    given = request.header(b"max-items-per-page")
    if given is None or not given.isascii() or not given.isdigit():
        return _PAGE
    return min(max(int(given[:9]), 1), _PAGE)


def _after(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return min(max(int(str(orjson.loads(token)[0]["token"]).removeprefix("+RID:~")), 0), 2**62)
    except (ValueError, TypeError, KeyError, IndexError):
        raise errors.bad_request("The continuation token is not valid.") from None
