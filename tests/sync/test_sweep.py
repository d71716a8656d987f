"""Fail at the N-th side effect, for every N: an error, a lost answer, the end of the process before or after it.

After each, a next life reads on from the store; the graph must equal the oracle's, and every item must be counted once.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from fakes import Faults, MemoryAdt, MemoryStore
from streams import reading, small_graph, status, stream

from remhart_adt.clock import FakeClock
from remhart_adt.errors import UnavailableError
from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.config import LimitSettings
from remhart_adt.sync.deadletter import DeadLetters, read_rows
from remhart_adt.sync.lanes import Target
from remhart_adt.sync.ledger import OUTCOMES
from remhart_adt.sync.merge import PendingWrites
from remhart_adt.sync.oracle import comparable, replay
from remhart_adt.sync.site import build_site
from remhart_adt.sync.streams import Streams
from remhart_adt.sync.types import RawEvent
from remhart_adt.sync.write import Writer

ENGINE = Engine([])
LOW = (180.0, 230.0, 230.0)


def events() -> dict[str, list[RawEvent]]:
    one = [
        reading("mp-1", 0),
        [reading("mp-1", 1, LOW), {"bad": 1}, reading("mp-1", 2, LOW)],
        status("b1", 3, switchState="open"),
        reading("mp-1", 4),
        [reading("mp-1", 3), reading("mp-1", 35, LOW)],
        reading("mp-1", 36, LOW),
    ]
    two = [reading("mp-2", 0), b"nonsense", [reading("mp-2", 1), reading("mp-2", 40, quality="bad")]]
    two += [status("b2", 2, switchState="open"), status("b2", 5, switchState="closed", temperature=30.0)]
    return {"0": stream(one), "1": stream(two)}


class Life:
    """One process: streams, writer, dead letters over what outlives it (instance, store, folder)."""

    def __init__(self, adt: MemoryAdt, store: MemoryStore, folder: Path) -> None:
        self.adt, self.store = adt, store
        self.clock = FakeClock()
        twins = [d for t, d in adt.documents.items() if not t.relationship]
        rels = [d for t, d in adt.documents.items() if t.relationship]
        self.pending = PendingWrites()
        self.dead = DeadLetters(folder)
        self.streams = Streams(
            build_site(twins, rels), ENGINE, store, self.pending, self.dead, LimitSettings(), self.clock,
            snapshot_seconds=3.0,
        )  # type: ignore[arg-type] # fmt: skip
        self.writer = Writer(adt, self.pending, self.streams.bury, workers=4, clock=self.clock)  # type: ignore[arg-type]

    async def live(self, log: dict[str, list[RawEvent]]) -> None:
        """Deliver two events at a time, write, commit; until everything is committed."""
        self.writer.start()
        for partition in log:
            await self.streams.on_assigned(partition)
        position = {p: (await self.store.load(p)).read_after[0] + 1 for p in log}
        for _ in range(60):
            for partition, rows in log.items():
                batch = rows[position[partition] : position[partition] + 2]
                position[partition] += len(batch)
                if batch:
                    await self.streams.on_events(partition, batch)
            await self.streams.step()
            self.writer.flush()
            for _ in range(12):
                await asyncio.sleep(0)
            self.clock.advance(1.1)
            with contextlib.suppress(UnavailableError):
                await self.streams.commit()
            ends = {p: rows[-1].sequence for p, rows in log.items()}
            done = {p: s.ledger.committed for p, s in self.streams.streams.items()}
            if done == ends and not self.pending.dirty:
                return
        raise AssertionError(f"never done: {done}, {self.pending.dirty}")

    async def end(self) -> None:
        await self.writer.stop()
        self.streams.shut()
        self.dead.close()


async def run_until_done(faults: Faults, folder: Path, where: str) -> tuple[MemoryAdt, MemoryStore]:
    twins, rels = small_graph()
    documents = {Target(t["$dtId"]): t for t in twins}
    documents |= {Target(r["$sourceId"], r["$relationshipId"]): r for r in rels}
    adt, store = MemoryAdt(documents), MemoryStore()
    (adt if where == "adt" else store).faults = faults
    while True:
        life = Life(adt, store, folder)
        task = asyncio.create_task(life.live(events()))
        died = asyncio.create_task(faults.dead.wait())
        await asyncio.wait([task, died], return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if task.done():
            await task
            await life.end()
            return adt, store
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await life.end()
        faults.dead.clear()
        faults.at = -1


def check(adt: MemoryAdt, store: MemoryStore, folder: Path) -> None:
    twins, rels = small_graph()
    expected = replay(events(), twins, rels, ENGINE)
    for name, wanted in expected.twins.items():
        assert comparable(adt.documents[Target(name)]) == comparable(wanted), name
    for key, wanted in expected.relationships.items():
        assert comparable(adt.documents[Target(*key)]) == comparable(wanted), key
    totals: dict[str, int] = {}
    for row in store.rows.values():
        for key, n in row.ledger.items():
            totals[key] = totals.get(key, 0) + n
    assert totals["received"] == sum(totals.get(name, 0) for name in OUTCOMES) == expected.received
    assert totals["dead_lettered"] == len(expected.dead) == 2
    rows = [row for path in folder.glob("*.ndjson") for row in read_rows(path)]
    assert sorted((r["partition"], r["sequence"], r["index"]) for r in rows) == sorted(expected.dead)
    ids = [message for _, message, _ in adt.published]
    assert len(set(ids)) == 3  # raised, cleared, raised again
    last: dict[str, int] = {}
    for partition, sequence, ledger in store.history:
        assert sequence >= last.get(partition, -1)
        last[partition] = sequence
        assert ledger["received"] == sum(ledger.get(name, 0) for name in OUTCOMES)


async def test_a_run_without_faults(tmp_path: Path) -> None:
    faults = Faults()
    adt, store = await run_until_done(faults, tmp_path, "adt")
    check(adt, store, tmp_path)
    assert faults.calls > 30


@pytest.mark.slow
@pytest.mark.parametrize("how", ["error", "answer lost", "die before", "die after"])
@pytest.mark.parametrize("where", ["adt", "store"])
async def test_every_side_effect_may_fail_once(tmp_path: Path, how: str, where: str) -> None:
    for n in range(1, 200):
        faults = Faults(n, how)
        folder = tmp_path / str(n)
        adt, store = await run_until_done(faults, folder, where)
        try:
            check(adt, store, folder)
        except AssertionError as error:
            raise AssertionError(f"call {n}: {how}: {error}") from error
        if faults.at == n and faults.calls < n:
            return  # the run has no n-th call: every one was tried
    raise AssertionError("the run has more calls than were tried")
