"""The blob store's own: a crash between its writes, the fence without ownership, and what other tools read."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from remhart_adt.errors import CheckpointError, ConfigError, OwnershipLostError
from remhart_adt.sync.stores import BlobStore
from remhart_adt.sync.types import Commit, Resume, Scope

pytestmark = pytest.mark.node
SCOPE = Scope("ns.example.org", "Hub", "$Default")


@pytest.fixture
def container() -> str:
    return f"c{uuid.uuid4().hex}"


async def names(store: BlobStore) -> list[str]:
    return [blob.name async for blob in store._container.list_blobs()]


async def bound(azurite: str, container: str) -> BlobStore:
    store = BlobStore(azurite, container)
    await store.bind(SCOPE)
    return store


async def test_a_crash_between_snapshot_and_checkpoint_leaves_the_last_whole_commit(
    azurite: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await bound(azurite, container)
    await store.commit("0", Commit(1, "10", {"applied": 1}, (1, "10", b"one")))

    async def crash(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(store, "_write", crash)
    with pytest.raises(SystemExit):
        await store.commit("0", Commit(2, "20", {"applied": 2}, (2, "20", b"two")))
    await store.close()

    again = await bound(azurite, container)
    assert await again.load("0") == Resume(1, "10", 1, "10", b"one", {"applied": 1})
    await again.commit("0", Commit(3, "30", {"applied": 3}, (3, "30", b"three")))
    await again.load("0")
    prefix = "ns.example.org/hub/$default"
    found = await names(again)
    assert found[0] == f"{prefix}/checkpoint/0"
    assert len(found) == 2  # the orphan of the crash and the old snapshot are gone
    assert found[1].startswith(f"{prefix}/snapshot/0/{3:020d}-")
    await again.close()


async def test_a_crash_before_the_old_snapshot_is_removed_leaves_the_new_commit(
    azurite: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await bound(azurite, container)
    await store.commit("0", Commit(1, "10", {}, (1, "10", b"one")))

    async def crash(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(store, "_remove", crash)
    with pytest.raises(SystemExit):
        await store.commit("0", Commit(2, "20", {}, (2, "20", b"two")))
    await store.close()
    again = await bound(azurite, container)
    assert len(await names(again)) == 3
    assert await again.load("0") == Resume(2, "20", 2, "20", b"two")
    assert len(await names(again)) == 2
    await again.close()


async def test_of_two_writers_without_ownership_the_second_is_refused(azurite: str, container: str) -> None:
    a, b = await bound(azurite, container), await bound(azurite, container)
    await a.commit("0", Commit(1, "10", {}))
    await b.load("0")
    await a.commit("0", Commit(2, "20", {"applied": 2}))
    with pytest.raises(OwnershipLostError, match="committed since"):
        await b.commit("0", Commit(3, "30", {"applied": 3}))
    assert await b.load("0") == Resume(2, "20", ledger={"applied": 2})
    await a.close()
    await b.close()


async def test_the_official_store_reads_the_same_position(azurite: str, container: str) -> None:
    from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

    store = await bound(azurite, container)
    await store.commit("0", Commit(9, "90", {}, (7, "70", b"x")))
    async with BlobCheckpointStore.from_connection_string(azurite, container) as official:
        (seen,) = await official.list_checkpoints(*SCOPE)
    assert (seen["offset"], seen["sequence_number"]) == ("70", 7)
    await store.close()


async def test_a_checkpoint_of_another_program_is_not_overwritten(azurite: str, container: str) -> None:
    from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

    store = await bound(azurite, container)
    keys = dict(zip(("fully_qualified_namespace", "eventhub_name", "consumer_group"), SCOPE, strict=True))
    async with BlobCheckpointStore.from_connection_string(azurite, container) as official:
        await official.update_checkpoint({**keys, "partition_id": "0", "offset": "5", "sequence_number": 5})
    with pytest.raises(CheckpointError, match="not ours"):
        await store.load("0")
    with pytest.raises(CheckpointError, match="not ours"):
        await store.commit("0", Commit(9, "90", {}))
    await store.close()


async def test_a_ledger_too_large_for_metadata_is_refused_before_anything_is_written(
    azurite: str, container: str
) -> None:
    store = await bound(azurite, container)
    with pytest.raises(CheckpointError, match="too many"):
        await store.commit("0", Commit(1, "1", {f"counter-{i}": i for i in range(600)}))
    assert await names(store) == []
    await store.close()


async def test_a_storage_account_that_is_away_is_a_checkpoint_error() -> None:
    store = BlobStore(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:9/a;", "c"
    )
    store._container._config.retry_policy.total_retries = 0
    store._scope = SCOPE
    with pytest.raises(CheckpointError, match="storage account failed") as caught:
        await store.load("0")
    assert "c2VjcmV0" not in str(caught.value)
    await store.close()


def test_a_connection_string_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="not usable"):
        BlobStore("AccountName=a;nonsense", "c")
