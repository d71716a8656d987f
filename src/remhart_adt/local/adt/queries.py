"""POST /query: parse, compile, run, and page.

A token holds the query itself, so a bare token goes on. A page that is exactly full always carries one, and the page
after it may be empty: clients must follow the token, not the emptiness of a page.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson

from remhart_adt.errors import QueryError
from remhart_adt.local.adt import documents, errors
from remhart_adt.local.adt.instance import Instance, json_body
from remhart_adt.local.adt.types import QueryTimeoutError, Request, Response
from remhart_adt.query import Query, parse, project, to_sql
from remhart_adt.query.ast import Some

__all__ = ["run_query"]

_PAGE: Final = 100
_MAX_PAGE: Final = 1000


async def run_query(instance: Instance, request: Request) -> Response:
    """One page of a query's rows."""
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Payload is invalid.")
    token = _token(body.get("continuationToken"))
    text = token["_q"] if token else body.get("query")
    if not isinstance(text, str):
        raise errors.invalid_argument("Either a query or a continuation token is required.")
    try:
        query = parse(text)
        if query.joins or query.match:
            raise errors.not_implemented("JOIN" if query.joins else "MATCH")
        rows, after, full = await _rows(instance, request, query, token)
    except QueryTimeoutError:
        raise errors.AdtError(400, "TimeoutError", "The query took longer than 60 seconds.") from None
    except QueryError as error:
        raise errors.sql_query_error(error.line, error.column, error.what) from None
    total = (token["_tr"] if token else 0) + len(rows)
    again = None
    if full and (query.top is None or total < query.top):
        again = orjson.dumps(
            {
                "_t": 2,
                "_s": None,
                "_rc": orjson.dumps([{"token": f"+RID:~{after}"}]).decode(),
                "_q": text,
                "_id": token["_id"] if token else str(uuid.uuid4()),
                "_tr": total,
                "_pn": (token["_pn"] if token else 0) + 1,
            }
        ).decode()
    answer = b'{"value":[%b],"continuationToken":%b}' % (b",".join(rows), orjson.dumps(again))
    # The charge is not published; what was seen on small graphs grows slowly with the rows returned.
    charge = f"{2.7 + 0.03 * len(rows):.2f}".encode()
    return Response(200, answer, headers=[(b"query-charge", charge)], chunked=True)


async def _rows(
    instance: Instance, request: Request, query: Query, token: dict[str, Any] | None
) -> tuple[list[bytes], int, bool]:
    """(row documents, number of the last row, whether the page is full)."""
    limit = _page_size(request)
    if query.top is not None:
        limit = min(limit, query.top - (token["_tr"] if token else 0))
    after = token["_after"] if token else 0
    suffix = instance.lag.ready()
    statement = to_sql(query, models_of=instance.catalog.models_of, after=after, limit=max(0, limit), suffix=suffix)
    found = await instance.store.select(statement)
    if statement.counts:
        return [orjson.dumps({"COUNT": found[0][0]})], 0, False
    last = found[-1][0] if found else after
    if isinstance(query.select, Some) or not request.shows_update_times:
        rows = [orjson.dumps(_shape(query, request, orjson.loads(doc))) for _, doc in found]
    else:
        rows = [doc.encode() for _, doc in found]
    return rows, last, 0 < limit == len(found)


def _shape(query: Query, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
    if query.source.collection == "DIGITALTWINS" and not request.shows_update_times:
        doc = documents.without_update_times(doc)
    return project(query, doc) if isinstance(query.select, Some) else doc


def _page_size(request: Request) -> int:
    given = request.header(b"max-items-per-page")
    if given is None or not given.isascii() or not given.isdigit() or len(given) > 9:
        return _PAGE
    return min(max(int(given), 1), _MAX_PAGE)


def _token(text: Any) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        token = orjson.loads(text)
        inner = orjson.loads(token["_rc"])[0]["token"]
        after = int(inner.removeprefix("+RID:~"))
        if after < 0 or after >= 2**63 or not isinstance(token["_q"], str):
            raise ValueError(text)
        return {
            "_q": token["_q"],
            "_tr": int(token["_tr"]),
            "_pn": int(token["_pn"]),
            "_id": token["_id"],
            "_after": after,
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise errors.bad_request("The continuation token is not valid.") from None
