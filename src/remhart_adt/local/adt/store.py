"""The server's state: SQLite in WAL mode, one connection, one writer, group commit.

Every request of one turn of the event loop writes into one open transaction; nobody is answered before its COMMIT.
With `synchronous=NORMAL` a committed transaction is in the operating system's hands: a killed process loses nothing,
a power cut may lose the last moments, which is the price of a rehearsal stage's speed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.types import Relationship, Twin
from remhart_adt.query import Statement

__all__ = ["ModelRow", "Store"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS models(
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, definition TEXT NOT NULL,
  decommissioned INTEGER NOT NULL DEFAULT 0, uploaded INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS twins(
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS twins_model ON twins(model);
CREATE TABLE IF NOT EXISTS relationships(
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,
  target TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE(source, id));
CREATE INDEX IF NOT EXISTS relationships_target ON relationships(target, source, id);
CREATE INDEX IF NOT EXISTS relationships_name ON relationships(name);
"""
_FORMAT: Final = 1
# Parsed twins kept in memory: a measurement point's document of 6 KB is about 50 KB as Python objects.
_CACHED: Final = 2048

ModelRow = tuple[int, str, str, bool, int]
"""(n, id, definition text, decommissioned, upload time in ticks)."""


class Store:
    """Twins, relationships and models by id. Changes are visible at once and durable after `flush`."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None keeps everything in memory."""
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            # A checkpoint of the log costs an fsync; fewer and larger ones keep it off most requests.
            self._db.execute("PRAGMA wal_autocheckpoint=8000")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _FORMAT):
                raise LocalServerError(
                    f"the data file has format {version}", where=str(path), remedy="Use another file, or remove it"
                )
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_FORMAT}")
        except sqlite3.Error as error:
            remedy = "Give a file that can be written and that this server made"
            raise LocalServerError(f"cannot open the data file: {error}", where=str(path), remedy=remedy) from error
        # Called after every transaction, with whether it was committed, before anyone is told.
        self.on_commit: Callable[[bool], None] = _nothing
        self._open = False
        self._waiter: asyncio.Future[None] | None = None
        self._twins: OrderedDict[str, Twin] = OrderedDict()

    # --- transactions

    @property
    def pending(self) -> bool:
        """Whether something was written that is not committed."""
        return self._open

    async def flush(self) -> None:
        """Return when everything written so far is committed; the requests of one loop turn share the COMMIT.

        Raises sqlite3.Error when the commit failed: then all of them are rolled back.
        """
        if not self._open:
            return
        if self._waiter is None:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            loop.call_soon(self._commit)
        await asyncio.shield(self._waiter)

    def _commit(self) -> None:
        try:
            self._finish()
        except sqlite3.Error as error:
            self.fail(error)
        else:
            self.on_commit(True)
            waiter, self._waiter = self._waiter, None
            if waiter is not None:
                waiter.set_result(None)

    def _finish(self) -> None:
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def fail(self, error: sqlite3.Error) -> None:
        """Give the open transaction up: everyone who waits for it gets the error."""
        self.rollback()
        self.on_commit(False)
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set_exception(error)
            waiter.exception()  # read once, so that a waiter who is gone leaves no warning

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._open = False
        self._twins.clear()

    def _write(self, sql: str, parameters: tuple[Any, ...]) -> sqlite3.Cursor:
        if not self._open:
            self._db.execute("BEGIN IMMEDIATE")
            self._open = True
        return self._db.execute(sql, parameters)

    def clear(self) -> None:
        """Remove everything."""
        for table in ("relationships", "twins", "models"):
            self._write(f"DELETE FROM {table}", ())
        self._twins.clear()

    def close(self) -> None:
        """Commit and close."""
        self._finish()
        self._db.close()

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return {
            table: self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("models", "twins", "relationships")
        }

    # --- models

    def models(self) -> Iterator[ModelRow]:
        """Every model in upload order."""
        rows = self._db.execute("SELECT n, id, definition, decommissioned, uploaded FROM models ORDER BY n")
        return ((n, id_, text, bool(gone), uploaded) for n, id_, text, gone, uploaded in rows.fetchall())

    def add_models(self, models: Iterable[tuple[str, str, int]]) -> None:
        """Insert (id, definition, upload time) rows; their ids are new."""
        for model in models:
            self._write("INSERT INTO models(id, definition, uploaded) VALUES(?,?,?)", model)

    def decommission(self, model_id: str) -> None:
        """Mark a model as decommissioned."""
        self._write("UPDATE models SET decommissioned=1 WHERE id=?", (model_id,))

    def delete_model(self, model_id: str) -> None:
        """Remove a model."""
        self._write("DELETE FROM models WHERE id=?", (model_id,))

    # --- twins

    def twin(self, twin_id: str) -> Twin | None:
        """A twin by id, from memory when it was used lately."""
        found = self._twins.get(twin_id)
        if found is not None:
            self._twins.move_to_end(twin_id)
            return found
        row = self._db.execute("SELECT n, model, doc FROM twins WHERE id=?", (twin_id,)).fetchone()
        if row is None:
            return None
        raw = row[2].encode()
        doc = orjson.loads(raw)
        return self._remember(Twin(row[0], twin_id, row[1], doc["$etag"], doc, raw))

    def has_twin(self, twin_id: str) -> bool:
        """Whether a twin of this id exists."""
        return twin_id in self._twins or self.twin_model(twin_id) is not None

    def twin_model(self, twin_id: str) -> str | None:
        """A twin's model id, without reading its document."""
        known = self._twins.get(twin_id)
        if known is not None:
            return known.model
        row = self._db.execute("SELECT model FROM twins WHERE id=?", (twin_id,)).fetchone()
        return None if row is None else str(row[0])

    def put_twin(self, twin_id: str, model: str, doc: dict[str, Any], raw: bytes) -> Twin:
        """Create or replace a twin; `doc` is its wire document and `raw` the same as text."""
        text = raw.decode()
        known = self._twins.get(twin_id)
        if known is not None:
            number = known.n
            self._write("UPDATE twins SET model=?, doc=? WHERE n=?", (model, text, number))
        else:
            sql = (
                "INSERT INTO twins(id, model, doc) VALUES(?,?,?) "
                "ON CONFLICT(id) DO UPDATE SET model=excluded.model, doc=excluded.doc RETURNING n"
            )
            number = self._write(sql, (twin_id, model, text)).fetchone()[0]
        return self._remember(Twin(number, twin_id, model, doc["$etag"], doc, raw))

    def delete_twin(self, twin_id: str) -> None:
        """Remove a twin."""
        self._write("DELETE FROM twins WHERE id=?", (twin_id,))
        self._twins.pop(twin_id, None)

    def _remember(self, twin: Twin) -> Twin:
        self._twins[twin.id] = twin
        self._twins.move_to_end(twin.id)
        if len(self._twins) > _CACHED:
            self._twins.popitem(last=False)
        return twin

    # --- relationships

    def relationship(self, source: str, relationship_id: str) -> Relationship | None:
        """A relationship by source twin and id."""
        row = self._db.execute(
            "SELECT n, id, source, name, target, doc FROM relationships WHERE source=? AND id=?",
            (source, relationship_id),
        ).fetchone()
        return None if row is None else _relationship(row)

    def put_relationship(
        self, source: str, relationship_id: str, name: str, target: str, doc: dict[str, Any]
    ) -> Relationship:
        """Create or replace a relationship."""
        raw = orjson.dumps(doc)
        sql = (
            "INSERT INTO relationships(id, source, name, target, doc) VALUES(?,?,?,?,?) ON CONFLICT(source, id) "
            "DO UPDATE SET name=excluded.name, target=excluded.target, doc=excluded.doc RETURNING n"
        )
        number = self._write(sql, (relationship_id, source, name, target, raw.decode())).fetchone()[0]
        return Relationship(number, relationship_id, source, name, target, doc["$etag"], doc, raw)

    def delete_relationship(self, source: str, relationship_id: str) -> None:
        """Remove a relationship."""
        self._write("DELETE FROM relationships WHERE source=? AND id=?", (source, relationship_id))

    def has_relationships(self, twin_id: str) -> bool:
        """Whether any relationship leaves or reaches the twin."""
        sql = (
            "SELECT 1 FROM relationships WHERE source=?1 UNION ALL SELECT 1 FROM relationships WHERE target=?1 LIMIT 1"
        )
        return self._db.execute(sql, (twin_id,)).fetchone() is not None

    def outgoing(self, source: str, *, name: str | None, after: str, limit: int) -> list[bytes]:
        """Documents of a twin's relationships in order of their ids."""
        rows = self._db.execute(
            "SELECT doc FROM relationships WHERE source=?1 AND id>?2 AND (?3 IS NULL OR name=?3) ORDER BY id LIMIT ?4",
            (source, after, name, limit),
        )
        return [row[0].encode() for row in rows]

    def incoming(self, target: str, *, after: tuple[str, str], limit: int) -> list[tuple[str, str, str]]:
        """(source, id, name) of the relationships that reach a twin, in order of source and id."""
        rows = self._db.execute(
            "SELECT source, id, name FROM relationships WHERE target=? AND (source, id) > (?, ?) "
            "ORDER BY source, id LIMIT ?",
            (target, *after, limit),
        )
        return rows.fetchall()

    # --- queries

    def select(self, statement: Statement) -> list[Any]:
        """The rows of a compiled query."""
        return self._db.execute(statement.text, statement.parameters).fetchall()

    def copy_tables(self, suffix: str) -> None:
        """Make temporary copies of what queries read, under the names with this suffix."""
        for table in ("twins", "relationships"):
            self._db.execute(f"DROP TABLE IF EXISTS temp.{table}{suffix}")
            self._db.execute(f"CREATE TEMP TABLE {table}{suffix} AS SELECT * FROM {table}")
            self._db.execute(f"CREATE UNIQUE INDEX temp.{table}{suffix}_n ON {table}{suffix}(n)")

    def copy_row(self, table: str, number: int, row: tuple[Any, ...] | None) -> None:
        """Bring one row of a copy up to date; its last column is the document as bytes."""
        self._db.execute(f"DELETE FROM {table} WHERE n=?", (number,))
        if row is not None:
            marks = ",".join("?" * len(row))
            self._db.execute(f"INSERT INTO {table} VALUES({marks})", (*row[:-1], row[-1].decode()))


def _nothing(_committed: bool) -> None:
    return


def _relationship(row: tuple[int, str, str, str, str, str]) -> Relationship:
    raw = row[5].encode()
    doc = orjson.loads(raw)
    return Relationship(row[0], row[1], row[2], row[3], row[4], doc["$etag"], doc, raw)
