"""POST /query: parse, compile, run, and page.

A token holds the query itself, so a bare token goes on; and the key of the last row, so that the next page neither
repeats nor skips a row that stays, whatever else is changed in between. A page that is exactly full always carries one,
and the page after it may be empty: clients must follow the token, not the emptiness of a page.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

from remhart_adt.errors import QueryError
from remhart_adt.local.adt import documents, errors
from remhart_adt.local.adt.instance import Instance, json_body
from remhart_adt.local.adt.types import QueryTimeoutError, Request, Response
from remhart_adt.query import Candidate, Key, Query, Statement, candidates, outputs, parse, probe, project, to_sql
from remhart_adt.query.ast import Some

__all__ = ["run_query"]

_PAGE: Final = 100
_MAX_PAGE: Final = 1000
_PARSED_AT_ONCE: Final = 1000
# An index that leaves more rows than this is not worth gathering them: every page would begin by sorting them anew,
# and when so many match, reading the table in its order fills a page soon.
_WORTH_NARROWING: Final = 5000
# Conditions of one query that may ask for an index, of the 16 that the store keeps.
_MOST_INDEXED: Final = 4
# A thousand rows of a dozen documents of 32 KB each are too much to hold and to send. So a page is put together of
# several statements that read so many documents each, until it is full, this large, or has taken this long: its size is
# a hint, and a page may end early.
_FIRST_DOCUMENTS: Final = 250
_MORE_DOCUMENTS: Final = 1000
_PAGE_BYTES: Final = 8_000_000
_PAGE_SECONDS: Final = 10.0
_RID: Final = "+RID:~"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_PATH: Final = re.compile(r"[0-9]{15}([!.][0-9]{15}){1,10}")


@dataclass(frozen=True, slots=True)
class _Token:
    """Where a page begins: the query, the rows and pages before it, and the key of the last of these rows."""

    text: str
    after: Key = ()
    rows: int = 0
    pages: int = 0
    id: str = ""

    def dump(self) -> bytes:
        """As the service writes its tokens; `_rc` is what only the server understands."""
        inner = [{"token": _RID + "~".join(map(str, self.after))}]
        return orjson.dumps(
            {
                "_t": 2,
                "_s": None,
                "_rc": orjson.dumps(inner).decode(),
                "_q": self.text,
                "_id": self.id,
                "_tr": self.rows,
                "_pn": self.pages,
            }
        )


async def run_query(instance: Instance, request: Request) -> Response:
    """One page of a query's rows."""
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Payload is invalid.")
    given = body.get("continuationToken")
    text = body.get("query")
    if given is not None:
        token = _read_token(given)
    elif isinstance(text, str):
        token = _Token(text)
    else:
        raise errors.invalid_argument("Either a query or a continuation token is required.")
    try:
        query = await _parsed(token.text)
        limit = _page_size(request)
        if query.top is not None:
            limit = min(limit, max(0, query.top - token.rows))
        rows, last = await _page(instance, request, query, token.after, limit)
    except QueryTimeoutError:
        raise errors.AdtError(400, "TimeoutError", "The query took longer than 60 seconds.") from None
    except QueryError as error:
        if given is not None:  # of a query that was answered once: so it is not the token that was sent
            raise _bad_token() from None
        raise errors.sql_query_error(error.line, error.column, error.what) from None
    total = token.rows + len(rows)
    again = None
    if last and (query.top is None or total < query.top):
        again = _Token(token.text, last, total, token.pages + 1, token.id or request.chance.guid()).dump().decode()
    answer = b'{"value":[%b],"continuationToken":%b}' % (b",".join(rows), orjson.dumps(again))
    # The charge is not published; what was seen on small graphs grows slowly with the rows returned.
    charge = f"{2.7 + 0.03 * len(rows):.2f}".encode()
    return Response(200, answer, headers=[(b"query-charge", charge)], chunked=True)


async def _parsed(text: str) -> Query:
    """A long text is parsed beside the event loop, which others would wait for meanwhile."""
    return parse(text) if len(text) <= _PARSED_AT_ONCE else await asyncio.to_thread(parse, text)


async def _page(instance: Instance, request: Request, query: Query, after: Key, limit: int) -> tuple[list[bytes], Key]:
    """(rows as JSON, key of the last one; no key when nothing can follow)."""
    models_of = cache(instance.catalog.models_of)
    suffix = instance.lag.ready()
    narrowed = await _narrowed(instance, candidates(query, models_of=models_of, suffix=suffix))
    documents_each = len({output.member for output in outputs(query)}) or 1
    rows: list[bytes] = []
    size, begun = 0, time.monotonic()
    most = max(1, _FIRST_DOCUMENTS // documents_each)
    while len(rows) < limit and size < _PAGE_BYTES and time.monotonic() - begun < _PAGE_SECONDS:
        asked = min(most, limit - len(rows))
        statement = to_sql(query, models_of=models_of, after=after, limit=asked, suffix=suffix, narrowed=narrowed)
        found = await instance.store.select(statement)
        if statement.counts:
            return [orjson.dumps({"COUNT": found[0][0]})], ()
        shaped = _shaped(request, query, statement, found)
        rows += shaped
        if len(found) < asked:
            return rows, ()
        after = tuple(found[-1][: len(statement.key)])
        size += sum(map(len, shaped))
        most = max(1, min(_MORE_DOCUMENTS // documents_each, (_PAGE_BYTES - size) * len(rows) // max(1, size)))
    return rows, after


async def _narrowed(instance: Instance, found: list[Candidate]) -> list[Candidate]:
    """The candidates that leave few rows. Asking for an index creates it, so that the next query has it, too."""
    for candidate in found:
        if candidate.exact:
            return [candidate]
    found = found[:_MOST_INDEXED]
    usable = [one for one in found if one.column or instance.store.index(one.table, one.expression)]
    if not usable:
        return []
    [counts] = await instance.store.select(probe(usable, _WORTH_NARROWING))
    return [one for one, count in zip(usable, counts, strict=True) if count < _WORTH_NARROWING]


def _shaped(request: Request, query: Query, statement: Statement, found: list[Any]) -> list[bytes]:
    first = len(statement.key)
    hides = not request.shows_update_times
    if not isinstance(query.select, Some):
        if hides and query.source.collection == "DIGITALTWINS":
            return [orjson.dumps(documents.without_update_times(orjson.loads(row[first]))) for row in found]
        return [row[first].encode() for row in found]
    projected = outputs(query)
    # A document that is wanted as a whole, and nothing of which is hidden, goes out as the text it is.
    opened = {one.member for one in projected if one.names or (hides and one.member.kind == "twin")}
    rows = []
    for row in found:
        held: dict[Any, Any] = {}
        for member, text in zip(statement.documents, row[first:], strict=True):
            if member not in opened:
                held[member] = orjson.Fragment(text)
                continue
            doc = orjson.loads(text)
            held[member] = documents.without_update_times(doc) if hides and member.kind == "twin" else doc
        rows.append(orjson.dumps(project(projected, held)))
    return rows


def _page_size(request: Request) -> int:
    given = request.header(b"max-items-per-page")
    if given is None or not given.isascii() or not given.isdigit() or len(given) > 9:
        return _PAGE
    return min(max(int(given), 1), _MAX_PAGE)


def _bad_token() -> errors.AdtError:
    return errors.bad_request("The continuation token is not valid.")


def _read_token(given: Any) -> _Token:
    try:
        token = orjson.loads(given)
        [inner] = orjson.loads(token["_rc"])
        rid = inner["token"]
        text, rows, pages, id_ = token["_q"], token["_tr"], token["_pn"], token["_id"]
    except (ValueError, TypeError, KeyError, IndexError):
        raise _bad_token() from None
    counts = all(type(count) is int and 0 <= count < 2**40 for count in (rows, pages))
    known = isinstance(token, Mapping) and isinstance(inner, Mapping) and isinstance(rid, str) and rid.startswith(_RID)
    if not (known and counts and isinstance(text, str) and isinstance(id_, str) and 0 < len(id_) <= 100):
        raise _bad_token()
    return _Token(text, tuple(map(_key_part, rid.removeprefix(_RID).split("~"))), rows, pages, id_)


def _key_part(text: str) -> int | str:
    if _NUMBER.fullmatch(text):
        return int(text)
    if _PATH.fullmatch(text):
        return text
    raise _bad_token()
