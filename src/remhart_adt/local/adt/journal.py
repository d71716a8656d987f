"""The request journal: what was asked and answered, in the order in which it took effect.

A row is opened when its request has been applied and closed when its effect is committed; rows are numbered when
opened, so the order of numbers is the order of effects. With a file, a row is on its way to the disk before the
client has its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from remhart_adt.errors import LocalServerError

__all__ = ["Journal", "Row"]

# Either bound drops the oldest rows: entries keep an idle server's memory small, bytes keep a busy one's.
_MAX_ROWS: Final = 2_000_000
_MAX_BYTES: Final = 512 * 1024 * 1024
_ROW_COST: Final = 400
_MUTATING: Final = frozenset({"PUT", "PATCH", "POST", "DELETE"})


@dataclass(slots=True)
class Row:
    """One request. Times are microseconds since the epoch; `status` 0 means the connection was reset."""

    n: int
    time_us: int
    done_us: int
    method: str
    path: str
    status: int
    if_match: str | None
    etag: str
    body: bytes
    note: str = ""

    def dump(self) -> bytes:
        """The row as one line of JSON; the body as sent when it is JSON, else as text under `raw`."""
        row: dict[str, Any] = {
            "n": self.n,
            "time_us": self.time_us,
            "done_us": self.done_us,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "if_match": self.if_match,
            "etag": self.etag or None,
            "body": None,
        }
        if self.note:
            row["note"] = self.note
        if self.body:
            try:
                row["body"] = orjson.loads(self.body)
            except orjson.JSONDecodeError:
                row["raw"] = self.body.decode("utf-8", "replace")
        return orjson.dumps(row)


class Journal:
    """A ring of rows in memory and, if asked, an NDJSON file that is only ever appended to."""

    def __init__(self, file: Path | None = None) -> None:
        self._rows: list[Row] = []
        self._first = 0  # index of the oldest row still kept; the list is cut now and then, not at every row
        self._opened: list[Row] = []
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
        self, time_us: int, method: str, path: str, if_match: str | None, body: bytes, status: int, etag: str
    ) -> Row:
        """A numbered row for a request that has just taken effect; `close` keeps it once that is committed."""
        kept = body if method in _MUTATING and not path.lower().startswith("/query") else b""
        row = Row(self._next, time_us, 0, method, path, status, if_match, etag, kept)
        self._next += 1
        self._opened.append(row)
        return row

    def close(self, done_us: int, *, failed: bool = False) -> None:
        """Keep every open row: nothing is uncommitted now. After a failed commit all of them were answered 500."""
        for row in self._opened:
            row.done_us = done_us
            if failed and row.status:
                row.status, row.etag = 500, ""
            self._bytes += len(row.body) + _ROW_COST
        self._rows += self._opened
        if self._file is not None:
            self._file.write(b"".join(row.dump() + b"\n" for row in self._opened))
            self._file.flush()
        self._opened.clear()
        while self._bytes > _MAX_BYTES or len(self._rows) - self._first > _MAX_ROWS:
            self._bytes -= len(self._rows[self._first].body) + _ROW_COST
            self._first += 1
            self.dropped += 1
        if self._first > 10_000 and self._first * 2 > len(self._rows):
            del self._rows[: self._first]
            self._first = 0

    def after(self, number: int, limit: int) -> list[Row]:
        """At most `limit` closed rows with a greater number, in order."""
        if len(self._rows) == self._first:
            return []
        start = max(self._first, self._first + number + 1 - self._rows[self._first].n)
        return self._rows[start : start + limit]

    def clear(self) -> None:
        """Forget the rows in memory; the file and the numbering go on."""
        self._rows.clear()
        self._first = 0
        self._bytes = 0
        self.dropped = 0

    def shut(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _last_number(file: Path) -> int:
    """The number of the last whole row, so that numbering goes on after a restart; a torn last line is cut off."""
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
        lines = tail[:whole].splitlines()
        return int(orjson.loads(lines[-1])["n"]) if lines else 0
