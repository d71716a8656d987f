"""An instance and a store in memory that fail, hang or die at the N-th call."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import orjson

from remhart_adt.errors import (
    BadRequestError,
    CheckpointError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from remhart_adt.sync.lanes import Target
from remhart_adt.sync.types import Commit, Resume, Snapshot


class Died(Exception):
    """The process ended here."""


class Faults:
    """Counts side effects; the N-th one goes wrong in the given way."""

    def __init__(self, at: int = -1, how: str = "") -> None:
        self.at = at
        self.how = how
        self.calls = 0
        self.dead = asyncio.Event()

    async def before(self) -> bool:
        """Called before a side effect; True when its answer has to be lost afterwards."""
        self.calls += 1
        if self.calls == self.at:
            if self.how == "error":
                raise UnavailableError("503", status=503)
            if self.how == "die before":
                self.dead.set()
                await asyncio.Event().wait()
            return True
        if self.dead.is_set():
            await asyncio.Event().wait()
        return False

    async def after(self, hit: bool) -> None:
        if hit and self.how == "answer lost":
            raise UnavailableError("reset", status=0)
        if hit and self.how == "die after":
            self.dead.set()
            await asyncio.Event().wait()


class MemoryAdt:
    """Has HotPath's verbs; documents by target. `refuse` names paths that are answered with 400."""

    def __init__(self, documents: dict[Target, dict[str, Any]], faults: Faults | None = None) -> None:
        self.documents = copy.deepcopy(documents)
        self.etags = dict.fromkeys(documents, 0)
        self.faults = faults or Faults()
        self.refuse: set[str] = set()
        self.patches: list[tuple[Target, dict[str, Any]]] = []
        self.published: list[tuple[str, str, Any]] = []
        self.raises: list[Exception] = []

    def change(self, target: Target, **values: Any) -> None:
        """Somebody else writes."""
        self.documents[target].update(values)
        self.etags[target] += 1

    async def _get(self, target: Target) -> tuple[dict[str, Any], str]:
        hit = await self.faults.before()
        if target not in self.documents:
            raise NotFoundError("no such twin", status=404)
        answer = copy.deepcopy(self.documents[target]), str(self.etags[target])
        await self.faults.after(hit)
        return answer

    async def _patch(self, target: Target, body: bytes, etag: str | None) -> str:
        hit = await self.faults.before()
        await asyncio.sleep(0)
        if self.raises:
            raise self.raises.pop(0)
        if target not in self.documents:
            raise NotFoundError("no such twin", status=404)
        if etag is not None and etag != str(self.etags[target]):
            raise PreconditionFailedError("changed", status=412)
        ops = orjson.loads(body)
        if any(op["path"] in self.refuse for op in ops):
            raise BadRequestError("refused", status=400)
        document = copy.deepcopy(self.documents[target])
        for op in ops:
            *parents, last = op["path"].split("/")[1:]
            node = document
            for part in parents:
                if part not in node and "$metadata" not in op["path"]:
                    raise BadRequestError(f"{op['path']} has no parent", status=400)
                node = node.setdefault(part, {})
            if op["op"] == "remove":
                if last not in node:
                    raise BadRequestError(f"{op['path']} is not there", status=400)
                del node[last]
            else:
                node[last] = op["value"]
        self.documents[target] = document
        self.etags[target] += 1
        self.patches.append((target, {op["path"]: op.get("value") for op in ops}))
        await self.faults.after(hit)
        return str(self.etags[target])

    async def get_twin(self, twin: str) -> tuple[dict[str, Any], str]:
        return await self._get(Target(twin))

    async def get_relationship(self, source: str, rid: str) -> tuple[dict[str, Any], str]:
        return await self._get(Target(source, rid))

    async def patch_twin(self, twin: str, body: bytes, etag: str | None = None) -> str:
        return await self._patch(Target(twin), body, etag)

    async def patch_relationship(self, source: str, rid: str, body: bytes, etag: str | None = None) -> str:
        return await self._patch(Target(source, rid), body, etag)

    async def publish_telemetry(self, twin: str, body: bytes, message_id: str, source_time: str | None = None) -> None:
        hit = await self.faults.before()
        self.published.append((twin, message_id, orjson.loads(body)))
        await self.faults.after(hit)


class MemoryStore:
    """The store's `load` and `commit`, with the rules of the real ones."""

    def __init__(self) -> None:
        self.rows: dict[str, Resume] = {}
        self.faults = Faults()
        self.history: list[tuple[str, int, dict[str, int]]] = []

    async def load(self, partition: str) -> Resume:
        return self.rows.get(partition, Resume())

    async def commit(self, partition: str, commit: Commit) -> None:
        hit = await self.faults.before()
        before = self.rows.get(partition, Resume())
        if commit.sequence < before.checkpoint_sequence:
            raise CheckpointError("back")
        old = Snapshot(before.snapshot_sequence, before.snapshot_offset, before.snapshot or b"")
        snapshot = Snapshot(*commit.snapshot) if commit.snapshot is not None else old
        if snapshot.sequence > commit.sequence:
            raise CheckpointError("the snapshot is ahead")
        self.rows[partition] = Resume(
            commit.sequence, commit.offset, snapshot.sequence, snapshot.offset, snapshot.data or None, commit.ledger
        )
        self.history.append((partition, commit.sequence, dict(commit.ledger)))
        await self.faults.after(hit)
