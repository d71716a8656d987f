"""The rows behind the operations: models, twins and relationships, by id, on the writer's connection.

Changes are visible at once and durable after `flush` (see `database`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from remhart_adt.local.adt.database import Database
from remhart_adt.local.adt.types import Relationship, Twin

__all__ = ["ModelRow", "RelationshipRow", "Store", "TwinRow"]

_TABLES: Final = {
    "twins": "n INTEGER PRIMARY KEY{auto}, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, etag TEXT NOT NULL, "
    "doc TEXT NOT NULL",
    "relationships": "n INTEGER PRIMARY KEY{auto}, id TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, "
    "target TEXT NOT NULL, etag TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE(source, id)",
}
_COLUMNS: Final = {"twins": "n, id, model, etag, doc", "relationships": "n, id, source, name, target, etag, doc"}
# The service lists a twin's incoming relationships as if their ids had no hyphens (recorded), the outgoing ones as is.
_UNHYPHENED: Final = "replace(replace(lower({}),'-',''),'''','')"
_INDEXES: Final = {
    "twins": ("model",),
    # Every index ends with the number of the row: queries go along a twin's relationships in that order, page by page.
    "relationships": (f"target, {_UNHYPHENED.format('id')}, id, source", "name", "source", "target"),
}
_FORMAT: Final = 2
# Parsed twins kept in memory: a measurement point's document of 6 KB is about 50 KB as Python objects.
_CACHED: Final = 2048
_PUT_TWIN: Final = (
    "INSERT INTO twins(id, model, etag, doc) VALUES(?,?,?,?) ON CONFLICT(id) "
    "DO UPDATE SET model=excluded.model, etag=excluded.etag, doc=excluded.doc"
)
_PUT_RELATIONSHIP: Final = (
    "INSERT INTO relationships(id, source, name, target, etag, doc) VALUES(?,?,?,?,?,?) ON CONFLICT(source, id) "
    "DO UPDATE SET name=excluded.name, target=excluded.target, etag=excluded.etag, doc=excluded.doc"
)

ModelRow = tuple[int, str, str, bool, int]
"""(n, id, definition text, decommissioned, upload time in ticks)."""
TwinRow = tuple[str, str, str, bytes]
"""(id, model, etag, document)."""
RelationshipRow = tuple[str, str, str, str, str, bytes]
"""(id, source, name, target, etag, document)."""


def _table(name: str, suffix: str = "") -> str:
    """A table with its indexes, as SQL. Numbers of deleted rows are not used again: pages go on from them."""
    columns = _TABLES[name].format(auto="" if suffix else " AUTOINCREMENT")
    indexes = "".join(
        f"CREATE INDEX IF NOT EXISTS {name}{suffix}_{number} ON {name}{suffix}({columns});\n"
        for number, columns in enumerate(_INDEXES[name])
    )
    return f"CREATE TABLE IF NOT EXISTS {name}{suffix}({columns});\n{indexes}"


_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS models(n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "definition TEXT NOT NULL, decommissioned INTEGER NOT NULL DEFAULT 0, uploaded INTEGER NOT NULL);\n"
    + _table("twins")
    + _table("relationships")
)


class Store(Database):
    """Twins, relationships and models by id."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None keeps everything in a temporary folder."""
        super().__init__(path, _SCHEMA, _FORMAT)
        self._twins: OrderedDict[str, Twin] = OrderedDict()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        super().rollback()
        self._twins.clear()

    def clear(self) -> None:
        """Remove every model, twin and relationship, and begin counting anew."""
        for table in ("relationships", "twins", "models"):
            self.write(f"DELETE FROM {table}")
            self.write("DELETE FROM sqlite_sequence WHERE name=?", (table,))
        self._twins.clear()

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return {
            table: self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("models", "twins", "relationships")
        }

    def holds(self, table: str, many: int) -> bool:
        """Whether a table has so many rows; counted only once it may, since numbers are never used twice."""
        last = self._db.execute(f"SELECT MAX(n) FROM {table}").fetchone()[0]
        if last is None or last < many:
            return False
        return bool(self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] >= many)

    # --- models

    def models(self) -> Iterator[ModelRow]:
        """Every model in upload order."""
        rows = self._db.execute("SELECT n, id, definition, decommissioned, uploaded FROM models ORDER BY n")
        return ((n, id_, text, bool(gone), uploaded) for n, id_, text, gone, uploaded in rows.fetchall())

    def add_models(self, models: Iterable[tuple[str, str, int]]) -> None:
        """Insert (id, definition, upload time) rows; their ids are new."""
        for model in models:
            self.write("INSERT INTO models(id, definition, uploaded) VALUES(?,?,?)", model)

    def decommission(self, model_id: str) -> None:
        """Mark a model as decommissioned."""
        self.write("UPDATE models SET decommissioned=1 WHERE id=?", (model_id,))

    def delete_model(self, model_id: str) -> None:
        """Remove a model."""
        self.write("DELETE FROM models WHERE id=?", (model_id,))

    # --- twins

    def twin(self, twin_id: str) -> Twin | None:
        """A twin by id, from memory when it was used lately."""
        found = self._twins.get(twin_id)
        if found is not None:
            self._twins.move_to_end(twin_id)
            return found
        row = self._db.execute("SELECT n, model, etag, doc FROM twins WHERE id=?", (twin_id,)).fetchone()
        return None if row is None else self._remember(Twin(row[0], twin_id, row[1], row[2], row[3].encode()))

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
        text, etag = raw.decode(), doc["$etag"]
        known = self._twins.get(twin_id)
        if known is not None:
            number = known.n
            self.write("UPDATE twins SET model=?, etag=?, doc=? WHERE n=?", (model, etag, text, number))
        else:
            number = self.write(f"{_PUT_TWIN} RETURNING n", (twin_id, model, etag, text)).fetchone()[0]
        return self._remember(Twin(number, twin_id, model, etag, raw, doc))

    def delete_twin(self, twin_id: str) -> None:
        """Remove a twin."""
        self.write("DELETE FROM twins WHERE id=?", (twin_id,))
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
            "SELECT n, id, source, name, target, etag, doc FROM relationships WHERE source=? AND id=?",
            (source, relationship_id),
        ).fetchone()
        return None if row is None else _relationship(row)

    def put_relationship(
        self, source: str, relationship_id: str, name: str, target: str, doc: dict[str, Any]
    ) -> Relationship:
        """Create or replace a relationship."""
        raw, etag = orjson.dumps(doc), doc["$etag"]
        row = (relationship_id, source, name, target, etag, raw.decode())
        number = self.write(f"{_PUT_RELATIONSHIP} RETURNING n", row).fetchone()[0]
        return Relationship(number, relationship_id, source, name, target, etag, doc, raw)

    def delete_relationship(self, source: str, relationship_id: str) -> None:
        """Remove a relationship."""
        self.write("DELETE FROM relationships WHERE source=? AND id=?", (source, relationship_id))

    def has_relationships(self, twin_id: str) -> bool:
        """Whether any relationship leaves or reaches the twin."""
        sql = (
            "SELECT 1 FROM relationships WHERE source=?1 UNION ALL SELECT 1 FROM relationships WHERE target=?1 LIMIT 1"
        )
        return self._db.execute(sql, (twin_id,)).fetchone() is not None

    def holds_relationships(self, column: str, twin_id: str, many: int) -> bool:
        """Whether so many relationships have this twin as `source` or `target`."""
        sql = f"SELECT 1 FROM relationships WHERE {column}=? LIMIT 1 OFFSET ?"
        return self._db.execute(sql, (twin_id, many - 1)).fetchone() is not None

    def outgoing(self, source: str, *, name: str | None, after: str, limit: int) -> list[bytes]:
        """Documents of a twin's relationships in order of their ids."""
        rows = self._db.execute(
            "SELECT doc FROM relationships WHERE source=?1 AND id>?2 AND (?3 IS NULL OR name=?3) ORDER BY id LIMIT ?4",
            (source, after, name, limit),
        )
        return [row[0].encode() for row in rows]

    def incoming(self, target: str, *, after: tuple[str, str], limit: int) -> list[tuple[str, str, str]]:
        """(id, source, name) of the relationships that reach a twin, in order of id without hyphens, id and source."""
        key, given = _UNHYPHENED.format("id"), _UNHYPHENED.format("?")
        rows = self._db.execute(
            f"SELECT id, source, name FROM relationships WHERE target=? AND {key} >= {given} "
            f"AND ({key}, id, source) > ({given}, ?, ?) ORDER BY {key}, id, source LIMIT ?",
            (target, after[0], after[0], *after, limit),
        )
        return rows.fetchall()

    # --- many at once, for jobs

    def twin_models(self, twin_ids: Iterable[str]) -> dict[str, str]:
        """The models of those of the twins that exist."""
        wanted = tuple(twin_ids)
        # As parameters: SQLite's JSON functions cut a text short at a NUL, and an id may hold one.
        rows = self._db.execute(f"SELECT id, model FROM twins WHERE id IN ({_marks(wanted)})", wanted)
        return dict(rows.fetchall())

    def relationship_counts(self, column: str, twin_ids: Iterable[str]) -> dict[str, int]:
        """How many relationships have each of these twins as `source` or `target`; none for those without."""
        wanted = tuple(twin_ids)
        sql = f"SELECT {column}, COUNT(*) FROM relationships WHERE {column} IN ({_marks(wanted)}) GROUP BY {column}"
        return dict(self._db.execute(sql, wanted).fetchall())

    def put_twins(self, rows: Sequence[TwinRow]) -> None:
        """Create or replace twins."""
        self.write_many(_PUT_TWIN, ((*row[:3], row[3].decode()) for row in rows))
        for row in rows:
            self._twins.pop(row[0], None)

    def put_relationships(self, rows: Sequence[RelationshipRow]) -> None:
        """Create or replace relationships."""
        self.write_many(_PUT_RELATIONSHIP, ((*row[:5], row[5].decode()) for row in rows))

    def last_number(self, table: str) -> int:
        """The highest number of a row; 0 when there is none."""
        return int(self._db.execute(f"SELECT MAX(n) FROM {table}").fetchone()[0] or 0)

    def delete_relationships(self, last: int, limit: int) -> list[int]:
        """Remove the first so many relationships up to the number `last`; their numbers."""
        rows = self._db.execute("SELECT n FROM relationships WHERE n<=? ORDER BY n LIMIT ?", (last, limit)).fetchall()
        if rows:
            self.write("DELETE FROM relationships WHERE n<=?", (rows[-1][0],))
        return [number for (number,) in rows]

    def delete_twins(self, last: int, limit: int) -> tuple[list[int], list[int]]:
        """Remove the first so many twins up to the number `last`, with the relationships that leave or reach them;
        the numbers of both."""
        rows = self._db.execute("SELECT n, id FROM twins WHERE n<=? ORDER BY n LIMIT ?", (last, limit)).fetchall()
        if not rows:
            return [], []
        ids = tuple(twin_id for _, twin_id in rows)
        gone: list[int] = []
        for column in ("source", "target"):
            sql = f"DELETE FROM relationships WHERE {column} IN ({_marks(ids)}) RETURNING n"
            gone += [number for (number,) in self.write(sql, ids).fetchall()]
        self.write("DELETE FROM twins WHERE n<=?", (rows[-1][0],))
        for _, twin_id in rows:
            self._twins.pop(twin_id, None)
        return [number for number, _ in rows], gone

    # --- the copies that lagging queries read

    def copy_tables(self, suffix: str) -> None:
        """Make copies, as things are, of what queries read, under the names with this suffix."""
        self.drop_copies(suffix)
        for table, columns in _COLUMNS.items():
            for sql in filter(str.strip, _table(table, suffix).split(";")):
                self.write(sql)
            self.write(f"INSERT INTO {table}{suffix}({columns}) SELECT {columns} FROM {table}")

    def drop_copies(self, suffix: str) -> None:
        """Remove the copies."""
        for table in _COLUMNS:
            if self.read("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (f"{table}{suffix}",)):
                self.write(f"DROP TABLE {table}{suffix}")
                self.forget_indexes(f"{table}{suffix}")

    def copy_row(self, table: str, suffix: str, number: int, row: tuple[Any, ...] | None) -> None:
        """Bring one row of a copy up to date; its last column is the document as bytes."""
        self.write(f"DELETE FROM {table}{suffix} WHERE n=?", (number,))
        if row is not None:
            marks = ",".join("?" * len(row))
            values = (*row[:-1], row[-1].decode())
            self.write(f"INSERT OR REPLACE INTO {table}{suffix}({_COLUMNS[table]}) VALUES({marks})", values)


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def _relationship(row: tuple[int, str, str, str, str, str, str]) -> Relationship:
    raw = row[6].encode()
    return Relationship(*row[:6], orjson.loads(raw), raw)
