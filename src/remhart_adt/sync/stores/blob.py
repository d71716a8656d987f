"""Progress in Azure Blob Storage: for any number of nodes.

Blobs in one container, named as the official checkpoint store names them (`<namespace>/<hub>/<group>/...`, lower case):
- `ownership/<partition>`: written by the official `BlobCheckpointStore`.
- `checkpoint/<partition>`: metadata only. `offset` and `sequencenumber` are the position to *read* from, so that the
  official store (and other tools) read them rightly; `remhart` holds the rest as JSON: checkpoint, ledger, snapshot.
- `snapshot/<partition>/<sequence>-<random>`: the packed windows.

A commit is, in this order: (1) the new snapshot blob, under a name nobody refers to yet; (2) the checkpoint's metadata,
which names it, in one conditional request on the ETag that was read; (3) the removal of the snapshot that was named
before. A crash after (1) leaves an orphan blob, one after (2) an old snapshot: `load` removes both. The condition on
(2) is the fence: of two owners who read the same checkpoint, one commits and the other gets OwnershipLostError.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from remhart_adt import log
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import CheckpointError, ConfigError, MissingExtraError, OwnershipLostError, RemhartError
from remhart_adt.sync.stores.steps import bound, check_owner, check_step, rebind
from remhart_adt.sync.types import Commit, CommitRecord, Resume, Scope

__all__ = ["BlobStore"]

_LOG = log.get(__name__)
# The service's bound on a blob's metadata, names and values together; the JSON gets what the other entries leave.
_METADATA_BYTES: Final = 8 * 1024 - 512


class BlobStore:
    """A `Store` in a container (made when missing, if the identity may).

    `account`: a storage connection string, or the account's blob URL with an async `credential` (default:
    DefaultAzureCredential; role "Storage Blob Data Contributor"). Only the last commit of each partition is kept, so
    `history` answers one record a partition.
    """

    def __init__(self, account: str, container: str, *, credential: Any = None, clock: Clock = SYSTEM) -> None:
        self._container_name = container
        self._clock = clock
        self._scope: Scope | None = None
        self._owners: dict[str, str] = {}
        # What this process knows of a partition's checkpoint blob: its ETag and what it says.
        self._known: dict[str, tuple[str, dict[str, Any]]] = {}
        self._own_credential: Any = None
        try:
            from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

            # The checkpoint store brings this client along; using it spares a second copy of the storage library.
            from azure.eventhub.extensions.checkpointstoreblobaio._vendor.storage.blob.aio import ContainerClient
        except ModuleNotFoundError:
            raise MissingExtraError("sync", needed_for="Keeping checkpoints in Azure Blob Storage") from None
        try:
            if "accountname=" in account.lower() or "blobendpoint=" in account.lower():
                self._container = ContainerClient.from_connection_string(account, container)
            else:
                if credential is None:
                    from azure.identity.aio import DefaultAzureCredential

                    credential = self._own_credential = DefaultAzureCredential()
                self._container = ContainerClient(account, container, credential=credential)
        except ValueError as problem:
            raise ConfigError(
                f"the storage account is not usable: {log.redact(str(problem))}",
                remedy="Give a storage connection string or https://<account>.blob.core.windows.net",
            ) from None
        self._official = BlobCheckpointStore("", container, container_client=self._container)

    # --- progress -----------------------------------------------------------------------------------------------

    async def bind(self, scope: Scope) -> None:
        """See `Store.bind`; makes the container when it is missing."""
        self._scope = rebind(self._scope, scope)
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            await self._container.create_container()
        except ResourceExistsError:
            return
        except AzureError as problem:
            # An identity with rights on the container only may not create it; reading will tell whether it exists.
            _LOG.debug("the container was not created: %s", problem)

    async def load(self, partition: str) -> Resume:
        """See `Store.load`; also removes snapshots that a crash left behind."""
        from azure.core.exceptions import ResourceNotFoundError

        for last in (False, True):
            entry = await self._read(partition)
            if entry is None:
                return Resume()
            name = entry.get("snapshot")
            if name is None:
                return _resume(entry, None)
            try:
                data = await self._guard(self._download(name), partition)
            except CheckpointError as problem:
                # The owner before us may have replaced it between the two requests: look once more.
                if last or not isinstance(problem.__cause__, ResourceNotFoundError):
                    raise
            else:
                await self._sweep(partition, name)
                return _resume(entry, data)
        raise AssertionError("unreachable")

    async def commit(self, partition: str, commit: Commit) -> None:
        """See `Store.commit`."""
        where = self._where(partition)
        if partition not in self._known:
            await self._read(partition)
        owners = {item["partition_id"]: item["owner_id"] for item in await self.list_ownership(*bound(self._scope))}
        check_owner(self._owners.get(partition), owners.get(partition), where=where)
        etag, entry = self._known.get(partition, ("", {}))
        stored = _resume(entry, b"") if entry else Resume()
        snapshot = check_step(stored, commit, where=where)
        before = entry.get("snapshot")
        fresh = {
            **entry,
            "sequence": commit.sequence,
            "offset": commit.offset,
            "ledger": dict(commit.ledger),
            "owner": self._owners.get(partition, ""),
            "committed_us": self._clock.now_us(),
        }
        if snapshot is not None:
            name = f"{self._prefix('snapshot', partition)}/{snapshot.sequence:020d}-{uuid.uuid4().hex[:8]}"
            await self._guard(self._container.upload_blob(name, snapshot.data), partition)
            fresh |= {"snapshot": name, "snapshot_sequence": snapshot.sequence, "snapshot_offset": snapshot.offset}
        await self._write(partition, fresh, etag)
        if before is not None and before != fresh["snapshot"]:
            await self._remove(before)

    async def _read(self, partition: str) -> dict[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        async def properties() -> Any:
            try:
                return await self._container.get_blob_client(
                    self._prefix("checkpoint", partition)
                ).get_blob_properties()
            except ResourceNotFoundError as problem:
                if getattr(problem, "error_code", "") == "ContainerNotFound":
                    raise
                return None

        found = await self._guard(properties(), partition)
        if found is None:
            self._known.pop(partition, None)
            return None
        entry = self._entry(found.metadata, partition)
        self._known[partition] = (found.etag, entry)
        return entry

    def _entry(self, metadata: Mapping[str, str], partition: str) -> dict[str, Any]:
        try:
            entry: dict[str, Any] = json.loads(metadata["remhart"])
            entry["ledger"] = {str(name): int(count) for name, count in entry["ledger"].items()}
            entry["sequence"], entry["offset"] = int(entry["sequence"]), str(entry["offset"])
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise CheckpointError(
                f"the stored checkpoint is not ours or is damaged: {problem!r}",
                where=self._where(partition),
                remedy="Use another container or consumer group, or delete that blob to start anew",
            ) from None
        return entry

    async def _write(self, partition: str, entry: dict[str, Any], etag: str) -> None:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        text = json.dumps(entry, separators=(",", ":"), sort_keys=True)
        if len(text) > _METADATA_BYTES:
            raise CheckpointError(f"the ledger has {len(text)} bytes, too many for a blob's metadata")
        sequence, offset = _resume(entry, b"").read_after
        metadata = {"offset": offset, "sequencenumber": str(sequence), "remhart": text}
        blob = self._container.get_blob_client(self._prefix("checkpoint", partition))

        async def put() -> Any:
            if not etag:
                return await blob.upload_blob(b"", metadata=metadata, overwrite=False)
            return await blob.set_blob_metadata(metadata, etag=etag, match_condition=MatchConditions.IfNotModified)

        try:
            answer = await self._guard(put(), partition)
        except CheckpointError as problem:
            self._known.pop(partition, None)
            if isinstance(problem.__cause__, ResourceModifiedError | ResourceExistsError | ResourceNotFoundError):
                raise OwnershipLostError(
                    "another process has committed since", where=self._where(partition)
                ) from problem.__cause__
            raise
        self._known[partition] = (answer["etag"], entry)

    async def _download(self, name: str) -> bytes:
        stream = await self._container.download_blob(name)
        data: bytes = await stream.readall()
        return data

    async def _sweep(self, partition: str, named: str) -> None:
        """Remove snapshots older than the named one; a newer one may be another owner's commit on its way."""
        try:
            names = [
                blob.name
                async for blob in self._container.list_blobs(name_starts_with=self._prefix("snapshot", partition) + "/")
            ]
        except Exception as problem:
            _LOG.warning("old snapshots of partition %s were not removed: %s", partition, problem)
            return
        for name in names:
            if name.rsplit("-", 1)[0] < named.rsplit("-", 1)[0]:
                await self._remove(name)

    async def _remove(self, name: str) -> None:
        try:
            await self._container.delete_blob(name)
        except Exception as problem:  # it is swept at the next load
            _LOG.debug("snapshot %s was not removed: %s", name, problem)

    async def history(self, partition: str | None = None) -> list[CommitRecord]:
        """See `Store.history`: the last commit of each partition, in the order they were made."""
        prefix = self._prefix("checkpoint", "")

        async def entries() -> list[tuple[str, Any]]:
            blobs = self._container.list_blobs(name_starts_with=prefix, include=["metadata"])
            return [(blob.name.removeprefix(prefix), blob.metadata) async for blob in blobs]

        found = []
        for name, metadata in await self._guard(entries(), partition or "*"):
            if partition in (None, name):
                entry = self._entry(metadata, name)
                values = (entry["sequence"], entry["offset"], entry.get("owner", ""), entry.get("committed_us", 0))
                found.append(CommitRecord(name, *values, ledger=entry["ledger"]))
        return sorted(found, key=lambda record: record.committed_us)

    # --- ownership: the official store ----------------------------------------------------------------------------

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """See `Store.list_ownership`."""
        listed = self._official.list_ownership(fully_qualified_namespace, eventhub_name, consumer_group, **kwargs)
        return list(await self._guard(listed, "*"))

    async def claim_ownership(self, ownership_list: Iterable[dict[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:
        """See `Store.claim_ownership`."""
        won = list(await self._guard(self._official.claim_ownership(ownership_list, **kwargs), "*"))
        for item in won:
            if item["owner_id"]:  # a release keeps the name: work finished before it may still be committed
                self._owners[item["partition_id"]] = item["owner_id"]
                self._known.pop(item["partition_id"], None)  # another owner may have committed meanwhile
        return won

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """See `Store.list_checkpoints`."""
        listed = self._official.list_checkpoints(fully_qualified_namespace, eventhub_name, consumer_group, **kwargs)
        return list(await self._guard(listed, "*"))

    async def update_checkpoint(self, checkpoint: dict[str, Any], **kwargs: Any) -> None:
        """Always CheckpointError: progress goes through `commit`."""
        del checkpoint, kwargs
        raise CheckpointError("progress is stored with commit(), never with update_checkpoint()")

    async def close(self) -> None:
        """Close connections; twice is harmless."""
        await self._container.close()
        if self._own_credential is not None:
            await self._own_credential.close()

    # --- plumbing -----------------------------------------------------------------------------------------------

    def _prefix(self, kind: str, partition: str) -> str:
        return "/".join((*bound(self._scope).key(), kind, partition))

    def _where(self, partition: str) -> str:
        return f"container {self._container_name}, {'/'.join(bound(self._scope))}/{partition}"

    async def _guard(self, call: Any, partition: str) -> Any:
        """The call's result; the storage client's errors become CheckpointError (their cause is kept)."""
        from azure.core.exceptions import AzureError

        try:
            return await call
        except RemhartError:
            raise
        except AzureError as problem:
            text = log.redact(str(problem).splitlines()[0] if str(problem) else type(problem).__name__)
            raise CheckpointError(
                f"the storage account failed: {text}",
                where=f"container {self._container_name}, partition {partition}",
                remedy="Check the account, the container and the role 'Storage Blob Data Contributor'",
            ) from problem


def _resume(entry: Mapping[str, Any], data: bytes | None) -> Resume:
    if entry.get("snapshot") is None:
        return Resume(
            checkpoint_sequence=entry["sequence"], checkpoint_offset=entry["offset"], ledger=dict(entry["ledger"])
        )
    return Resume(
        entry["sequence"],
        entry["offset"],
        entry["snapshot_sequence"],
        entry["snapshot_offset"],
        data,
        dict(entry["ledger"]),
    )
