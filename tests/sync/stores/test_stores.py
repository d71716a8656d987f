"""What every progress store promises, each one alike: all or nothing, never back, one owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from remhart_adt.errors import CheckpointError, OwnershipLostError
from remhart_adt.sync.stores import BlobStore
from remhart_adt.sync.types import Commit, Resume, Scope, Snapshot, Store

SCOPE = Scope("127.0.0.1:5672", "Telemetry", "$Default")
Open = Callable[[], Any]


@asynccontextmanager
async def opened(open_store: Open, scope: Scope = SCOPE) -> AsyncIterator[Any]:
    store = open_store()
    try:
        await store.bind(scope)
        yield store
    finally:
        await store.close()


def claim(partition: str, owner: str, etag: str | None = None) -> dict[str, Any]:
    names = ("fully_qualified_namespace", "eventhub_name", "consumer_group")
    wanted = {**dict(zip(names, SCOPE, strict=True)), "partition_id": partition, "owner_id": owner}
    return wanted if etag is None else {**wanted, "etag": etag}


async def test_a_commit_is_found_again_by_another_process(open_store: Open) -> None:
    async with opened(open_store) as store:
        assert isinstance(store, Store)
        assert await store.load("0") == Resume()
        await store.commit("0", Commit(7, "700", {"applied": 5, "skipped": 3}, (5, "500", b"\x00\xffwindows")))
        await store.commit("1", Commit(2, "20", {}))
    async with opened(open_store, Scope("127.0.0.1:5672", "telemetry", "$default")) as again:  # names have no case
        assert await again.load("0") == Resume(7, "700", 5, "500", b"\x00\xffwindows", {"applied": 5, "skipped": 3})
        assert await again.load("1") == Resume(2, "20")
        positions = {item["partition_id"]: item for item in await again.list_checkpoints(*SCOPE)}
    assert (positions["0"]["offset"], positions["0"]["sequence_number"]) == ("500", 5)  # where reading goes on
    assert (positions["1"]["offset"], positions["1"]["sequence_number"]) == ("20", 2)


async def test_a_commit_without_a_snapshot_keeps_the_last_one(open_store: Open) -> None:
    async with opened(open_store) as store:
        await store.commit("0", Commit(3, "30", {}, Snapshot(3, "30", b"old")))
        await store.commit("0", Commit(9, "90", {"applied": 9}))
        assert await store.load("0") == Resume(9, "90", 3, "30", b"old", {"applied": 9})
        await store.commit("0", Commit(9, "90", {"applied": 9}, Snapshot(9, "90", b"new")))
        assert await store.load("0") == Resume(9, "90", 9, "90", b"new", {"applied": 9})


@pytest.mark.parametrize(
    ("commit", "problem"),
    [
        (Commit(9, "90", {}), "step back"),
        (Commit(12, "120", {}, (13, "130", b"x")), "ahead of its checkpoint"),
        (Commit(12, "120", {}, (7, "70", b"x")), "snapshot back"),
    ],
)
async def test_no_step_back_and_nothing_of_it_is_stored(open_store: Open, commit: Commit, problem: str) -> None:
    async with opened(open_store) as store:
        await store.commit("0", Commit(10, "100", {"applied": 1}, (8, "80", b"w")))
        with pytest.raises(CheckpointError, match=problem):
            await store.commit("0", commit)
        assert await store.load("0") == Resume(10, "100", 8, "80", b"w", {"applied": 1})


async def test_partitions_groups_and_hubs_do_not_mix(open_store: Open) -> None:
    async with opened(open_store) as store:
        await store.commit("1", Commit(10, "100", {}))
        await store.commit("10", Commit(11, "110", {}))
        assert (await store.load("1")).checkpoint_sequence == 10
        with pytest.raises(CheckpointError, match="is bound to"):
            await store.bind(SCOPE._replace(group="other"))
    async with opened(open_store, SCOPE._replace(group="other")) as other:
        assert await other.load("1") == Resume()
        assert list(await other.list_checkpoints(*SCOPE._replace(group="other"))) == []


async def test_of_two_claims_on_one_etag_one_wins(open_store: Open) -> None:
    async with opened(open_store) as a, opened(open_store) as b:
        first = await asyncio.gather(a.claim_ownership([claim("0", "A")]), b.claim_ownership([claim("0", "B")]))
        (listed,) = await a.list_ownership(*SCOPE)
        # Azurite looks and then writes: of two that create a blob at once it may tell both that they did. Even then
        # only one holds the ETag that counts, and the other one loses its next claim.
        won = [each for claims in first for each in claims]
        assert [each["owner_id"] for each in won if each["etag"].strip('"') == listed["etag"].strip('"')] == [
            listed["owner_id"]
        ]
        if not isinstance(a, BlobStore):
            assert len(won) == 1
        assert listed["owner_id"] in ("A", "B")
        assert isinstance(listed["last_modified_time"], float)
        again = await asyncio.gather(
            a.claim_ownership([claim("0", "A", listed["etag"])]), b.claim_ownership([claim("0", "B", listed["etag"])])
        )
        assert sorted(len(list(won)) for won in again) == [0, 1]


async def test_who_lost_a_partition_cannot_commit_any_more(open_store: Open) -> None:
    async with opened(open_store) as old, opened(open_store) as new:
        (won,) = await old.claim_ownership([claim("0", "old")])
        await old.commit("0", Commit(5, "50", {"applied": 5}))
        (taken,) = await new.claim_ownership([claim("0", "new", won["etag"])])
        assert (await new.load("0")).checkpoint_sequence == 5
        with pytest.raises(OwnershipLostError):
            await old.commit("0", Commit(6, "60", {"applied": 6}))
        await new.commit("0", Commit(7, "70", {"applied": 7}))
        assert await new.load("0") == Resume(7, "70", ledger={"applied": 7})
        # After a release nobody owns it: work finished before may still be stored.
        await new.claim_ownership([claim("0", "", taken["etag"])])
        await new.commit("0", Commit(8, "80", {"applied": 8}))


async def test_the_audit_trail_names_owner_and_sequence(open_store: Open) -> None:
    async with opened(open_store) as store:
        await store.claim_ownership([claim("0", "me")])
        for sequence in (1, 2):
            await store.commit("0", Commit(sequence, str(sequence), {"applied": sequence}))
        await store.commit("1", Commit(3, "3", {}))
        records = await store.history("0")
        assert [record.partition for record in await store.history()][-1] == "1"
    assert (records[-1].sequence, records[-1].owner, records[-1].ledger) == (2, "me", {"applied": 2})
    assert records[-1].committed_us > 1_600_000_000_000_000


async def test_progress_goes_through_commit_only(open_store: Open) -> None:
    store = open_store()
    with pytest.raises(CheckpointError, match="not bound"):
        await store.load("0")
    await store.bind(SCOPE)
    with pytest.raises(CheckpointError, match="commit"):
        await store.update_checkpoint({})
    await store.close()
    await store.close()


async def test_it_has_the_methods_of_the_clients_checkpoint_store(open_store: Open) -> None:
    from azure.eventhub.aio import CheckpointStore

    store = open_store()
    assert all(callable(getattr(store, name)) for name in CheckpointStore.__abstractmethods__)
    await store.close()
