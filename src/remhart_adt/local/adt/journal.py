"""The request journal: what was asked and answered, in the order in which it took effect.

A row is opened when its request has been applied and closed when its effect is committed; rows are numbered when
opened, so the order of numbers is the order of effects. With a file, a row is on its way to the disk before the
client has its answer.
"""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

import orjson

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.signatures import without_signatures

__all__ = ["Journal", "Row", "Wanted"]

# Either bound drops the oldest rows: entries keep an idle server's memory small, bytes keep a busy one's.
_MAX_ROWS: Final = 1_000_000
_MAX_BYTES: Final = 256 * 1024 * 1024
_ROW_COST: Final = 500
# Rows that one filtered reading looks at, so that a rare match does not keep the event loop for seconds.
_SCANNED: Final = 50_000
_MUTATING: Final = frozenset({"PUT", "PATCH", "POST", "DELETE"})
# Headers that change what a request means or say who sent it; Authorization is never kept.
_KEPT: Final = (
    b"if-none-match",
    b"max-items-per-page",
    b"message-id",
    b"operation-id",
    b"telemetry-source-time",
    b"traceparent",
    b"user-agent",
)
_MAX_HEADER: Final = 512


@dataclass(slots=True)
class Row:
    """One request. Times are microseconds since the epoch; `status` 0 means the connection was reset.

    `fault` is the id of the fault rule that hit; `size` the bytes of the answer's body.
    """

    n: int
    time_us: int
    method: str
    path: str
    status: int
    etag: str
    if_match: str | None = None
    done_us: int = 0
    instance: str = ""
    size: int = 0
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    note: str = ""
    fault: str = ""

    def dump(self) -> bytes:
        """The row as one line of JSON; the body as sent when it is JSON, else as text under `raw`."""
        row: dict[str, Any] = {
            "n": self.n,
            "time_us": self.time_us,
            "done_us": self.done_us,
            "instance": self.instance,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "if_match": self.if_match,
            "etag": self.etag or None,
            "size": self.size,
            "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()},
            "body": None,
        }
        if self.note:
            row["note"] = self.note
        if self.fault:
            row["fault"] = self.fault
        if self.body:
            try:
                body = orjson.loads(self.body)
            except orjson.JSONDecodeError:
                row["raw"] = self.body.decode("utf-8", "replace")
            else:
                if _is_query(self.path):
                    row["query"] = body.get("query") if isinstance(body, dict) else None
                else:
                    row["body"] = body
        return orjson.dumps(row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: `method` and `instance` exactly, `path` as a prefix or a glob of any case, `status` as a number or
    as a class such as `4xx`. Empty means any."""

    method: str = ""
    path: str = ""
    status: str = ""
    instance: str = ""

    def matches(self, row: Row) -> bool:
        """Whether the row is wanted."""
        return (
            (not self.method or row.method == self.method.upper())
            and (not self.instance or row.instance == self.instance)
            and (not self.status or self._status(row.status))
            and (not self.path or self._path(row.path))
        )

    def _status(self, status: int) -> bool:
        return f"{status // 100}xx" == self.status.lower() if "x" in self.status.lower() else str(status) == self.status

    def _path(self, path: str) -> bool:
        lower = self.path.lower()
        if re.search(r"[*?\[]", lower):
            return fnmatch.fnmatchcase(path.lower(), lower)
        return path.lower().startswith(lower)


class Journal:
    """A ring of rows in memory and, if asked, an NDJSON file that is only ever appended to."""

    def __init__(self, file: Path | None = None) -> None:
        self._rows: list[Row] = []
        self._first = 0  # index of the oldest row still kept; the list is cut now and then, not at every row
        self._opened: deque[Row] = deque()
        self._bytes = 0
        self._next = 1
        self.dropped = 0
        self._file: BinaryIO | None = None
        if file is not None:
            try:
                self._next = _last_number(file) + 1
                self._file = file.open("ab")
            except (OSError, ValueError, KeyError) as error:
                raise LocalServerError(f"cannot append to the journal: {error}", where=str(file)) from error

    def open(
        self,
        time_us: int,
        method: str,
        path: str,
        headers: dict[bytes, bytes],
        body: bytes,
        status: int,
        etag: str,
        *,
        size: int = 0,
        instance: str = "",
    ) -> Row:
        """A numbered row for a request that has just taken effect; `close` keeps it once that is committed.

        `headers` by lower-case name; those that matter are kept, and no secret of a body.
        """
        if body and _is_job(path):
            body = without_signatures(body)
        if_match = headers.get(b"if-match")
        row = Row(
            self._next,
            time_us,
            method,
            path,
            status,
            etag,
            None if if_match is None else if_match.decode("latin-1"),
            instance=instance,
            size=size,
            body=body if method in _MUTATING else b"",
            headers={name: headers[name][:_MAX_HEADER] for name in _KEPT if name in headers},
        )
        self._next += 1
        self._opened.append(row)
        return row

    def close(self, done_us: int, *, failed: bool = False, instance: str = "") -> None:
        """Keep every open row of an instance: nothing of it is uncommitted now.

        After a failed commit all of them were answered 500. Rows are shown in the order of their numbers, so one
        that is closed waits for those before it.
        """
        closed = [row for row in self._opened if not row.done_us and row.instance == instance]
        for row in closed:
            row.done_us = max(done_us, 1)
            if failed and row.status:
                row.status, row.etag = 500, ""
        if self._file is not None:
            self._file.write(b"".join(row.dump() + b"\n" for row in closed))
            self._file.flush()
        while self._opened and self._opened[0].done_us:
            row = self._opened.popleft()
            self._rows.append(row)
            self._bytes += _cost(row)
        while self._bytes > _MAX_BYTES or len(self._rows) - self._first > _MAX_ROWS:
            self._bytes -= _cost(self._rows[self._first])
            self._first += 1
            self.dropped += 1
        if self._first > 10_000 and self._first * 2 > len(self._rows):
            del self._rows[: self._first]
            self._first = 0

    def after(self, number: int, limit: int, wanted: Wanted | None = None) -> tuple[list[Row], int, bool]:
        """At most `limit` closed rows with a greater number, in order; the number to go on from; whether there may be
        more."""
        start = bisect_right(self._rows, number, self._first, key=_number)
        stop = min(len(self._rows), start + _SCANNED)
        found: list[Row] = []
        for at in range(start, stop):
            if len(found) >= limit:
                stop = at
                break
            if wanted is None or wanted.matches(self._rows[at]):
                found.append(self._rows[at])
        last = self._rows[stop - 1].n if stop > start else number
        return found, last, stop < len(self._rows)

    def clear(self, instance: str = "") -> None:
        """Forget the rows in memory, of one instance or all; a file goes on, and with it the numbering.

        Without a file, all rows forgotten means that numbers begin at 1 again: a seeded server's journal is then the
        same as after its start.
        """
        self._rows = [row for row in self._rows[self._first :] if instance and row.instance != instance]
        self._first = 0
        self._bytes = sum(map(_cost, self._rows))
        if not instance:
            self.dropped = 0
            if self._file is None and not self._opened:
                self._next = 1

    def shut(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _cost(row: Row) -> int:
    return len(row.body) + _ROW_COST


def _number(row: Row) -> int:
    return row.n


def _is_job(path: str) -> bool:
    """Whether a path's first word is `jobs`, however it is written."""
    return unquote(path[1:13].partition("/")[0]).lower() == "jobs"


def _is_query(path: str) -> bool:
    return path.lower().startswith("/query")


def _last_number(file: Path) -> int:
    """The greatest number near the end, so that numbering goes on after a restart; a torn last line is cut off."""
    if not file.exists():
        return 0
    with file.open("r+b") as handle:
        size = handle.seek(0, 2)
        step = 64 * 1024
        tail = b""
        at = size
        while at > 0 and tail.count(b"\n") < 2:
            start = max(0, at - step)
            handle.seek(start)
            tail = handle.read(at - start) + tail
            at = start
        whole = tail.rfind(b"\n") + 1
        handle.truncate(size - (len(tail) - whole))
        lines = tail[:whole].splitlines()[0 if at == 0 else 1 :]
        return max((int(orjson.loads(line)["n"]) for line in lines), default=0)
