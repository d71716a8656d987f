"""SQLite as the server uses it: one writer on the event loop, group commit, reader connections in threads.

Every request of one turn of the event loop writes into one open transaction. Its COMMIT hands the log to the operating
system, which a killed process cannot take back; then one thread calls fdatasync on the log, and whoever wrote is
answered after the sync that began behind his COMMIT. Commits that happen during a sync share the next one, so the
number of syncs follows the disk and not the number of requests: the promise of `synchronous=FULL` at a fraction of its
price. Checkpoints run in that thread, too.

Queries run on connections of their own, in threads, on committed state; a slow one blocks neither writes nor others.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.types import QueryTimeoutError
from remhart_adt.query import Statement

__all__ = ["Database"]

_READERS: Final = 32
_QUERY_SECONDS: Final = 60.0
# Changes after which the thread copies the log into the file; the writer's own checkpoint, which it has to wait for,
# comes only when the log has grown to so many pages all the same.
_CHECKPOINT_WRITES: Final = 4000
_FALLBACK_PAGES: Final = 32_000
_INDEXES: Final = 16
_WORTH_AN_INDEX: Final = 500
# Seconds that may go into new indexes at once, and the share of time that they get after that: while one is made
# everybody waits, and who asks for ever new properties of many twins would leave nobody any time.
_INDEX_SECONDS: Final = 2.0
_INDEX_SHARE: Final = 0.05


class Database:
    """A file, or with None a temporary folder that goes away at the end (and is not worth syncing)."""

    def __init__(self, path: Path | None, schema: str, format_number: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="remhart-adt-")) if path is None else None
        self.path = path if self._folder is None else self._folder / "adt.sqlite"
        assert self.path is not None
        # Called after every transaction, with whether it was committed, before anyone is told.
        self.on_commit: Callable[[bool], None] = _nothing
        self.writes = 0
        self._open = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._sync_waiter: asyncio.Future[None] | None = None
        self._syncing = False
        self._log_fd = -1
        self._copied = 0
        self._indexes: OrderedDict[str, str] = OrderedDict()
        self._index_seconds, self._index_asked = _INDEX_SECONDS, time.monotonic()
        try:
            self._db = self._connect()
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA wal_autocheckpoint={_FALLBACK_PAGES}")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, format_number):
                raise LocalServerError(
                    f"the data file has format {version}", where=str(path), remedy="Use another file, or remove it"
                )
            self._db.executescript(schema)
            self._db.execute(f"PRAGMA user_version={format_number}")
            for name, table in self._db.execute("SELECT name, tbl_name FROM sqlite_master WHERE name GLOB 'auto_*'"):
                self._indexes[name] = table
            if self._folder is None:
                self._log_fd = os.open(f"{self.path}-wal", os.O_RDWR)
                _sync_folder(self.path.parent)
        except (sqlite3.Error, OSError) as error:
            self._remove_folder()
            remedy = "Give a file that can be written and that this server made"
            raise LocalServerError(f"cannot open the data file: {error}", where=str(path), remedy=remedy) from error
        except LocalServerError:
            self._db.close()
            raise
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="adt-query")
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="adt-sync")
        self._checkpointer: sqlite3.Connection | None = None

    def _connect(self) -> sqlite3.Connection:
        assert self.path is not None
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute(f"PRAGMA synchronous={'OFF' if self._folder is not None else 'NORMAL'}")
        return connection

    def ensure(self, schema: str) -> None:
        """Create what is missing of a schema (CREATE ... IF NOT EXISTS); only while the server is put together."""
        self.commit_now()  # a script would commit by itself, unnoticed
        self._db.executescript(schema)

    # --- transactions

    @property
    def pending(self) -> bool:
        """Whether something was written that is not committed."""
        return self._open

    def write(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        """A change, as part of the transaction that the requests of this loop turn share."""
        self.begin()
        return self._db.execute(sql, parameters)

    def write_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """The same change for many rows."""
        self.begin()
        self._db.executemany(sql, rows)

    def begin(self) -> None:
        """Open the shared transaction if none is open."""
        self.writes += 1
        if not self._open:
            self._db.execute("BEGIN IMMEDIATE")
            self._open = True

    def read(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[Any]:
        """Rows as the writer sees them, uncommitted changes included."""
        return self._db.execute(sql, parameters).fetchall()

    async def committed(self) -> None:
        """Return when everything written so far is committed: a killed process does not lose it.

        Raises sqlite3.Error when the commit failed: then all of the transaction is rolled back.
        """
        if not self._open:
            return
        if self._waiter is None:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            loop.call_soon(self._commit)
        await asyncio.shield(self._waiter)

    async def flush(self) -> None:
        """Return when everything written so far is committed and synced: a power cut does not lose it either.

        Raises sqlite3.Error as `committed`, and OSError when the disk refuses.
        """
        await self.committed()
        if self._log_fd < 0:
            return
        if self._sync_waiter is None:
            self._sync_waiter = asyncio.get_running_loop().create_future()
        waiter = self._sync_waiter
        if not self._syncing:
            self._start_sync()
        await asyncio.shield(waiter)

    def _start_sync(self) -> None:
        """Sync for everybody who waits now; who comes later waits for the next one."""
        loop = asyncio.get_running_loop()
        waiter, self._sync_waiter = self._sync_waiter, None
        assert waiter is not None
        self._syncing = True

        def done(error: BaseException | None) -> None:
            self._syncing = False
            if not waiter.done():
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
                    waiter.exception()
            if self._sync_waiter is not None:
                self._start_sync()

        def work() -> None:
            error: BaseException | None = None
            try:
                self._sync()
            except Exception as raised:
                error = raised
            loop.call_soon_threadsafe(done, error)

        self._syncer.submit(work)

    def _sync(self) -> None:
        """In the sync thread: make the log durable, and now and then shorten it."""
        os.fdatasync(self._log_fd)
        if self.writes - self._copied > _CHECKPOINT_WRITES:
            self._copied = self.writes
            if self._checkpointer is None:
                self._checkpointer = self._connect()
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _commit(self) -> None:
        try:
            self.commit_now()
        except sqlite3.Error as error:
            self.fail(error)
        else:
            self.on_commit(True)
            waiter, self._waiter = self._waiter, None
            if waiter is not None:
                waiter.set_result(None)

    def commit_now(self) -> None:
        """Commit without a loop: while the server is put together, and at its end."""
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

    # --- queries

    async def select(self, statement: Statement, *, seconds: float = _QUERY_SECONDS) -> list[Any]:
        """The rows of a compiled query over what is committed, computed beside the event loop.

        Raises QueryTimeoutError when it took longer than `seconds`, and sqlite3.Error.
        """
        await self.committed()
        loop = asyncio.get_running_loop()
        late = False
        running: list[sqlite3.Connection] = []

        def work() -> list[Any]:
            reader = self._reader()
            running.append(reader)
            reader.set_progress_handler(lambda: late, 100_000)  # also one that had to wait, and is late already, ends
            try:
                return reader.execute(statement.text, statement.parameters).fetchall()
            finally:
                running.clear()
                self._idle.put(reader)

        def stop() -> None:
            nonlocal late
            late = True
            for reader in running:
                reader.interrupt()

        timer = loop.call_later(seconds, stop)
        try:
            return await loop.run_in_executor(self._pool, work)
        except sqlite3.OperationalError as error:
            if late:
                raise QueryTimeoutError(f"the query took longer than {seconds:g} s") from error
            raise
        finally:
            timer.cancel()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:  # so there are never more connections than threads
            reader = self._connect()
            self._readers.append(reader)
            return reader

    def index(self, table: str, expression: str) -> bool:
        """See that an index on this expression exists, if the table is large enough for one to matter and there is time
        to make it; whether it does.

        The least recently asked-for index beyond 16 is dropped, since each makes every write a little slower.
        """
        name = f"auto_{table}_{hashlib.blake2b(expression.encode(), digest_size=8).hexdigest()}"
        if name in self._indexes:
            self._indexes.move_to_end(name)
            return True
        if len(self.read(f"SELECT 1 FROM {table} LIMIT {_WORTH_AN_INDEX}")) < _WORTH_AN_INDEX:
            return False
        begun = time.monotonic()
        earned = (begun - self._index_asked) * _INDEX_SHARE
        self._index_seconds, self._index_asked = min(_INDEX_SECONDS, self._index_seconds + earned), begun
        if self._index_seconds <= 0:
            return False
        self.write(f"CREATE INDEX IF NOT EXISTS {name} ON {table}({expression})")
        self._index_seconds -= time.monotonic() - begun
        self._indexes[name] = table
        if len(self._indexes) > _INDEXES:
            oldest, _ = self._indexes.popitem(last=False)
            self.write(f"DROP INDEX IF EXISTS {oldest}")
        return True

    def forget_indexes(self, table: str) -> None:
        """A table was dropped, and its indexes with it."""
        self._indexes = OrderedDict((name, of) for name, of in self._indexes.items() if of != table)

    # --- the end

    def close(self) -> None:
        """Commit and close; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.commit_now()
        self._pool.shutdown(wait=True)
        self._syncer.shutdown(wait=True)
        for connection in (*self._readers, *([self._checkpointer] if self._checkpointer else [])):
            connection.close()
        if self._log_fd >= 0:
            os.fdatasync(self._log_fd)
            os.close(self._log_fd)
            self._log_fd = -1
        self._db.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is as durable as its folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _nothing(_committed: bool) -> None:
    return
