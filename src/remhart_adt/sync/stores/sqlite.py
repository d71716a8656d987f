"""Progress in one SQLite file: for a single node, any number of processes on it.

A commit is one transaction (checkpoint, ledger, snapshot and audit line together), durable when it returns
(WAL, synchronous=FULL). It checks the owner in the same transaction, so a process that lost a partition cannot
overwrite the new owner's progress, however late its commit comes.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import CheckpointError
from remhart_adt.sync.stores.alive import Alive
from remhart_adt.sync.stores.steps import bound, check_owner, check_step, rebind
from remhart_adt.sync.types import Commit, CommitRecord, Resume, Scope

__all__ = ["SqliteStore"]

T = TypeVar("T")

_KEY: Final = "namespace=? AND eventhub=? AND consumer_group=? AND partition=?"
_SCOPE: Final = "namespace=? AND eventhub=? AND consumer_group=?"
_KEYS: Final = "namespace TEXT NOT NULL, eventhub TEXT NOT NULL, consumer_group TEXT NOT NULL, partition TEXT NOT NULL"
_PRIMARY: Final = "PRIMARY KEY (namespace, eventhub, consumer_group, partition)"
# Snapshots stand in their own table: a commit without a new one then writes a few hundred bytes, not megabytes.
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS ownership ({_KEYS}, owner TEXT NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
  {_PRIMARY}) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS progress ({_KEYS}, sequence INTEGER NOT NULL, "offset" TEXT NOT NULL, ledger TEXT NOT NULL,
  committed_us INTEGER NOT NULL, {_PRIMARY}) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot ({_KEYS}, sequence INTEGER NOT NULL, "offset" TEXT NOT NULL, data BLOB NOT NULL,
  {_PRIMARY});
CREATE TABLE IF NOT EXISTS history (n INTEGER PRIMARY KEY AUTOINCREMENT, {_KEYS}, sequence INTEGER NOT NULL,
  "offset" TEXT NOT NULL, owner TEXT NOT NULL, committed_us INTEGER NOT NULL, ledger TEXT NOT NULL);
"""
_VERSION: Final = 1
_BUSY_SECONDS: Final = 10.0


class SqliteStore:
    """A `Store` in the file `path` (made with its folders when missing).

    `history_limit` bounds the audit trail: about that many of the newest commits of the whole file are kept.
    """

    def __init__(self, path: Path | str, *, history_limit: int = 100_000, clock: Clock = SYSTEM) -> None:
        self.path = Path(path)
        self._history_limit = history_limit
        self._clock = clock
        self._scope: Scope | None = None
        self._owners: dict[str, str] = {}
        self._alive = Alive(self.path)
        self._db: sqlite3.Connection | None = None
        self._closed = False
        # One thread for all calls: SQLite work never blocks the event loop, and steps keep their order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    # --- plumbing -----------------------------------------------------------------------------------------------

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            try:
                return work(self._connection())
            except sqlite3.Error as problem:
                raise CheckpointError(
                    f"the checkpoint file cannot be used: {problem}",
                    where=str(self.path),
                    remedy="Check the disk and the file's permissions; move a file away that is no checkpoint store",
                ) from problem

        if self._closed:
            raise CheckpointError("the store is closed", where=str(self.path))
        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise CheckpointError(f"cannot make its folder: {problem}", where=str(self.path)) from problem
            db = sqlite3.connect(self.path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, _VERSION):
                    raise CheckpointError(
                        f"the file has layout {version}, this program knows {_VERSION}", where=str(self.path)
                    )
                if version == 0:
                    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _row(self, partition: str) -> tuple[str, str, str, str]:
        return (*bound(self._scope).key(), partition)

    def _where(self, partition: str) -> str:
        return f"{self.path} {'/'.join(bound(self._scope))}/{partition}"

    # --- progress -----------------------------------------------------------------------------------------------

    async def bind(self, scope: Scope) -> None:
        """See `Store.bind`."""
        self._scope = rebind(self._scope, scope)

    async def load(self, partition: str) -> Resume:
        """See `Store.load`."""
        row = self._row(partition)
        return await self._call(lambda db: self._load(db, row, with_data=True))

    def _load(self, db: sqlite3.Connection, row: tuple[str, ...], *, with_data: bool) -> Resume:
        found = db.execute(f'SELECT sequence, "offset", ledger FROM progress WHERE {_KEY}', row).fetchone()
        if found is None:
            return Resume()
        data = "data" if with_data else "x''"
        taken = db.execute(f'SELECT sequence, "offset", {data} FROM snapshot WHERE {_KEY}', row).fetchone()
        try:
            ledger = {str(name): int(count) for name, count in json.loads(found[2]).items()}
        except (ValueError, TypeError, AttributeError) as problem:
            raise CheckpointError(f"the stored ledger is damaged: {problem}", where=self._where(row[-1])) from None
        if taken is None:
            return Resume(checkpoint_sequence=found[0], checkpoint_offset=found[1], ledger=ledger)
        return Resume(found[0], found[1], taken[0], taken[1], bytes(taken[2]), ledger)

    async def commit(self, partition: str, commit: Commit) -> None:
        """See `Store.commit`."""
        row, where = self._row(partition), self._where(partition)

        def work(db: sqlite3.Connection) -> None:
            with _transaction(db):
                owner = db.execute(f"SELECT owner FROM ownership WHERE {_KEY}", row).fetchone()
                check_owner(self._owners.get(partition), owner[0] if owner else None, where=where)
                snapshot = check_step(self._load(db, row, with_data=False), commit, where=where)
                now, ledger = self._clock.now_us(), json.dumps(dict(commit.ledger), sort_keys=True)
                db.execute(
                    "INSERT OR REPLACE INTO progress VALUES (?,?,?,?,?,?,?,?)",
                    (*row, commit.sequence, commit.offset, ledger, now),
                )
                if snapshot is not None:
                    db.execute("INSERT OR REPLACE INTO snapshot VALUES (?,?,?,?,?,?,?)", (*row, *snapshot))
                ours = self._owners.get(partition, "")
                line = db.execute(
                    "INSERT INTO history VALUES (NULL,?,?,?,?,?,?,?,?,?)",
                    (*row, commit.sequence, commit.offset, ours, now, ledger),
                ).lastrowid
                if line is not None and line % 1000 == 0:
                    db.execute("DELETE FROM history WHERE n <= ?", (line - self._history_limit,))

        await self._call(work)

    async def history(self, partition: str | None = None) -> list[CommitRecord]:
        """See `Store.history`: the newest `history_limit` commits, of every process that used the file."""
        scope = bound(self._scope).key()

        def work(db: sqlite3.Connection) -> list[CommitRecord]:
            rows = db.execute(
                'SELECT partition, sequence, "offset", owner, committed_us, ledger FROM history '
                f"WHERE {_SCOPE} AND (? IS NULL OR partition=?) ORDER BY n",
                (*scope, partition, partition),
            )
            return [CommitRecord(p, s, o, w, t, json.loads(text)) for p, s, o, w, t, text in rows]

        return await self._call(work)

    # --- ownership: azure.eventhub.aio.CheckpointStore ------------------------------------------------------------

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """See `Store.list_ownership`."""
        del kwargs
        scope = Scope(fully_qualified_namespace, eventhub_name, consumer_group)

        def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
            rows = db.execute(f"SELECT partition, owner, etag, modified FROM ownership WHERE {_SCOPE}", scope.key())
            return [
                _named(
                    scope,
                    partition,
                    owner_id="" if owner and self._alive.is_dead(owner) else owner,  # as if it had released it
                    etag=etag,
                    last_modified_time=modified,
                )
                for partition, owner, etag, modified in rows
            ]

        return await self._call(work)

    async def claim_ownership(self, ownership_list: Iterable[dict[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:
        """See `Store.claim_ownership`."""
        del kwargs
        wanted = list(ownership_list)

        def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
            for owner in {item["owner_id"] for item in wanted if item["owner_id"]}:
                self._alive.hold(owner)
            with _transaction(db):
                return [won for item in wanted if (won := self._claim(db, item)) is not None]

        won = await self._call(work)
        for item in won:
            if item["owner_id"]:  # a release keeps the name: work finished before it may still be committed
                self._owners[item["partition_id"]] = item["owner_id"]
        return won

    def _claim(self, db: sqlite3.Connection, item: dict[str, Any]) -> dict[str, Any] | None:
        scope = Scope(item["fully_qualified_namespace"], item["eventhub_name"], item["consumer_group"])
        row = (*scope.key(), item["partition_id"])
        # The client counts ownership's age on time.time(): seconds since the epoch, not the datetime of its docs.
        etag, now = uuid.uuid4().hex, self._clock.now_us() / 1e6
        values = (item["owner_id"] or "", etag, now)
        if item.get("etag"):
            sql = f"UPDATE ownership SET owner=?, etag=?, modified=? WHERE {_KEY} AND etag=?"
            changed = db.execute(sql, (*values, *row, item["etag"])).rowcount
        else:
            changed = db.execute("INSERT OR IGNORE INTO ownership VALUES (?,?,?,?,?,?,?)", (*row, *values)).rowcount
        return {**item, "etag": etag, "last_modified_time": now} if changed else None

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """See `Store.list_checkpoints`."""
        del kwargs
        scope = Scope(fully_qualified_namespace, eventhub_name, consumer_group)

        def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
            partitions = db.execute(f"SELECT partition FROM progress WHERE {_SCOPE}", scope.key()).fetchall()
            found = []
            for (partition,) in partitions:
                sequence, offset = self._load(db, (*scope.key(), partition), with_data=False).read_after
                found.append(_named(scope, partition, offset=offset, sequence_number=sequence))
            return found

        return await self._call(work)

    async def update_checkpoint(self, checkpoint: dict[str, Any], **kwargs: Any) -> None:
        """Always CheckpointError: progress goes through `commit`."""
        del checkpoint, kwargs
        raise CheckpointError("progress is stored with commit(), never with update_checkpoint()")

    async def close(self) -> None:
        """Close the file; twice is harmless."""

        def work() -> None:
            self._alive.close()
            if self._db is not None:
                self._db.close()
                self._db = None

        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
            self._thread.shutdown(wait=False)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the write lock at once: two processes then queue up instead of failing on the way to it.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _named(scope: Scope, partition: str, **more: Any) -> dict[str, Any]:
    """A dictionary with the keys that the Event Hubs client uses."""
    return {
        "fully_qualified_namespace": scope.namespace,
        "eventhub_name": scope.eventhub,
        "consumer_group": scope.group,
        "partition_id": partition,
        **more,
    }
