"""The SQLite store's own: two processes, the audit trail's bound, damage, a crash in the middle of a commit."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from remhart_adt.errors import CheckpointError
from remhart_adt.sync.stores import SqliteStore
from remhart_adt.sync.types import Commit, Resume, Scope

SCOPE = Scope("ns", "hub", "g")

WRITER = """
import asyncio, sys
from remhart_adt.sync.stores import SqliteStore
from remhart_adt.sync.types import Commit, Scope
async def main():
    store = SqliteStore(sys.argv[1])
    await store.bind(Scope("ns", "hub", "g"))
    for i in range(50):
        await store.commit(sys.argv[2], Commit(i, str(i), {"applied": i}, (i, str(i), b"x" * 20000)))
    if len(sys.argv) > 3:
        print("ready", flush=True)
        import sqlite3
        db = store._db
        def work(db):
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE progress SET sequence=999")
            print("open", flush=True)
            import time
            time.sleep(60)
        await store._call(work)
    await store.close()
asyncio.run(main())
"""


@pytest.mark.process
async def test_two_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(path), partition)
        for partition in ("0", "1")
    ]
    assert [await writer.wait() for writer in writers] == [0, 0]
    store = SqliteStore(path)
    await store.bind(SCOPE)
    for partition in ("0", "1"):
        assert (await store.load(partition)).checkpoint_sequence == 49
        assert [record.sequence for record in await store.history(partition)] == list(range(50))
    await store.close()


@pytest.mark.process
async def test_a_process_killed_within_a_commit_leaves_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        [sys.executable, "-c", WRITER, str(path), "0", "hang"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "open\n"
        process.kill()
    store = SqliteStore(path)
    await store.bind(SCOPE)
    assert (await store.load("0")).checkpoint_sequence == 49
    await store.commit("0", Commit(50, "50", {}))
    await store.close()


async def test_a_commit_that_fails_half_way_stores_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.sqlite")
    await store.bind(SCOPE)
    await store.commit("0", Commit(1, "10", {"applied": 1}, (1, "10", b"w")))
    with sqlite3.connect(tmp_path / "c.sqlite") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(CheckpointError, match="disk full"):
        await store.commit("0", Commit(2, "20", {"applied": 2}, (2, "20", b"v")))
    assert await store.load("0") == Resume(1, "10", 1, "10", b"w", {"applied": 1})
    with sqlite3.connect(tmp_path / "c.sqlite") as db:
        db.execute("DROP TRIGGER full")
    db.close()
    await store.commit("0", Commit(2, "20", {"applied": 2}))
    await store.close()


async def test_commits_are_durable_when_they_return(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.sqlite")
    await store.bind(SCOPE)
    await store.commit("0", Commit(1, "10", {}))
    settings = await store._call(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert settings == ["wal", 2]
    await store.close()


async def test_the_audit_trail_is_bounded(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.sqlite", history_limit=100)
    await store.bind(SCOPE)
    await store._call(lambda db: db.execute("PRAGMA synchronous=OFF"))
    for i in range(1010):
        await store.commit("0", Commit(i, str(i), {}))
    records = await store.history()
    assert 100 <= len(records) <= 120
    assert records[-1].sequence == 1009
    await store.close()


async def test_a_file_that_is_no_store_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_text("this is not a database, and it is long enough to be taken for a damaged one" * 20)
    store = SqliteStore(path)
    await store.bind(SCOPE)
    with pytest.raises(CheckpointError, match="cannot be used"):
        await store.load("0")
    await store.close()
    with pytest.raises(CheckpointError, match="closed"):
        await store.load("0")


async def test_a_file_of_a_later_layout_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    store = SqliteStore(path)
    await store.bind(SCOPE)
    with pytest.raises(CheckpointError, match="layout 99"):
        await store.load("0")
    await store.close()


async def test_a_damaged_ledger_is_reported(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.sqlite")
    await store.bind(SCOPE)
    await store.commit("0", Commit(1, "10", {"applied": 1}))
    await store._call(lambda db: db.execute("UPDATE progress SET ledger='[1]'"))
    with pytest.raises(CheckpointError, match="ledger is damaged"):
        await store.load("0")
    await store.close()


CLAIMER = """
import asyncio, sys
from remhart_adt.sync.stores import SqliteStore
async def main():
    store = SqliteStore(sys.argv[1])
    await store.claim_ownership([dict(fully_qualified_namespace="ns", eventhub_name="hub", consumer_group="g",
                                      partition_id="0", owner_id="one", last_modified_time=0.0)])
    print("claimed", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.process
async def test_a_killed_owner_is_gone_at_once_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLAIMER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"claimed\n"
    store = SqliteStore(path)

    async def owner() -> str:
        (row,) = await store.list_ownership("ns", "hub", "g")
        return str(row["owner_id"])

    assert await owner() == "one"
    other.kill()
    await other.wait()

    assert await owner() == ""
    (row,) = await store.list_ownership("ns", "hub", "g")
    (won,) = await store.claim_ownership([{**row, "owner_id": "two"}])
    assert won["owner_id"] == await owner() == "two"
    await store.close()
