"""The writer: coalescing, guards, and what each answer of the service leads to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from fakes import MemoryAdt
from streams import T0, event, point_twin, relation

from remhart_adt.clock import FakeClock, format_us
from remhart_adt.errors import ForbiddenError, ThrottledError, UnavailableError
from remhart_adt.graph.load import our_models
from remhart_adt.ids import DTMI_COMPONENT
from remhart_adt.sync.checks import ModelChecks
from remhart_adt.sync.decode import Dead
from remhart_adt.sync.lanes import (
    FLOW,
    READING,
    REMOVE,
    SERVICE,
    SUPPLY,
    TEMPERATURE,
    Carried,
    LaneWrite,
    Target,
    Telemetry,
)
from remhart_adt.sync.ledger import Batch
from remhart_adt.sync.merge import PendingWrites
from remhart_adt.sync.write import Writer

P = Target("mp")


class Bench:
    def __init__(self, **options: Any) -> None:
        self.adt = MemoryAdt({P: {"alarms": {}}, Target("c"): {}, Target("c", "f"): {}, Target("c", "g"): {}})
        self.clock = FakeClock(wall_us=T0 + 400_000)
        self.pending = PendingWrites()
        self.buried: list[Dead] = []
        self.writer = Writer(self.adt, self.pending, self.bury, clock=self.clock, workers=4, **options)  # type: ignore[arg-type]
        self.n = 0

    def bury(self, batch: Batch, dead: Dead) -> None:
        self.buried.append(dead)
        batch.count("dead_lettered")

    def batch(self) -> Batch:
        self.n += 1
        return Batch("0", [event(self.n, {})], {"received": 1})

    def reading(self, t: int, batch: Batch, **ops: Any) -> None:
        stamp = T0 + t
        carried = Carried(batch.sequence, 0, stamp, np.array([stamp]))
        values = {"/" + key.replace("__", "/"): value for key, value in ops.items()}
        write = LaneWrite(P, READING, stamp, {"/lastReadingAt": format_us(stamp), **values}, carried)
        self.pending.offer(write, batch)
        batch.release()

    async def flush(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.writer.flush()
            for _ in range(60):
                await asyncio.sleep(0)
            self.clock.advance(6.0 if rounds > 1 else 0.0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.writer.start()
    yield made
    await made.writer.stop()


async def test_readings_are_merged_until_one_patch_carries_them(bench: Bench) -> None:
    one, two = bench.batch(), bench.batch()
    bench.reading(1, one, a=1, b=1)
    bench.reading(2, two, b=2)
    assert not one.finished
    await bench.flush()
    assert bench.adt.documents[P] == {"alarms": {}, "a": 1, "b": 2, "lastReadingAt": format_us(T0 + 2)}
    assert len(bench.adt.patches) == 1
    assert (one.counts, two.counts) == ({"received": 1, "merged": 1}, {"received": 1, "applied": 1})
    assert one.finished
    assert two.finished
    assert bench.writer.latency.count == 2


async def test_an_older_reading_is_skipped(bench: Bench) -> None:
    bench.adt.change(P, lastReadingAt=format_us(T0 + 50), a=9)
    batch = bench.batch()
    bench.reading(49, batch, a=1)
    await bench.flush()
    assert bench.adt.documents[P]["a"] == 9
    assert batch.counts["skipped"] == 1
    assert bench.adt.patches == []


async def test_a_lost_race_is_decided_again(bench: Bench) -> None:
    bench.reading(1, bench.batch(), a=1)
    await bench.flush()
    bench.adt.change(P, a=7, lastReadingAt=format_us(T0 + 100))
    batch = bench.batch()
    bench.reading(60, batch, a=2)
    await bench.flush()
    assert bench.adt.documents[P]["a"] == 7
    assert bench.writer.counters.conflicts == 1
    assert batch.counts["skipped"] == 1


async def test_a_refused_path_is_isolated_and_the_rest_applied(bench: Bench) -> None:
    bench.adt.refuse = {"/c"}
    batch = bench.batch()
    bench.reading(1, batch, a=1, b=1, c=1, d=1, e=1)
    await bench.flush()
    found = bench.adt.documents[P]
    assert (found["a"], found["b"], found["d"], found["e"]) == (1, 1, 1, 1)
    assert "c" not in found
    assert found["lastReadingAt"] == format_us(T0 + 1)
    assert [dead.cause.value for dead in bench.buried] == ["rejected"]
    assert "/c" in bench.buried[0].message
    # The stamp went last, in a patch of its own.
    assert list(bench.adt.patches[-1][1]) == ["/lastReadingAt"]
    assert all("/lastReadingAt" not in ops for _, ops in bench.adt.patches[:-1])
    before = len(bench.adt.patches)
    bench.reading(2, bench.batch(), a=2, c=2)
    await bench.flush()
    assert len(bench.adt.patches) == before + 1


SOUND = {"isSimulation": True, "connectivity": "online", "activeAlarmCount": 3}


@pytest.mark.parametrize("who", ["the models", "the service"])
async def test_a_refused_value_has_the_same_outcome_whoever_refuses_it(who: str) -> None:
    """The reading is dead-lettered, the rest of it applied, and the path is left out for a while."""
    checks = ModelChecks(our_models() if who == "the models" else None)
    bench = Bench(refusal=checks.refusal)
    bench.adt.documents[P] = point_twin("mp")
    bench.adt.refuse = set() if who == "the models" else {"/frequency"}
    bench.writer.start()
    one, two, three = bench.batch(), bench.batch(), bench.batch()

    bench.reading(1, one, **SOUND, frequency="fifty")
    await bench.flush()
    first = bench.adt.faults.calls
    bench.reading(2, two, **SOUND, frequency="fifty")
    await bench.flush()
    second = bench.adt.faults.calls - first
    bench.clock.advance(61.0)
    bench.reading(3, three, **SOUND, frequency="fifty")
    await bench.flush()
    await bench.writer.stop()

    assert bench.adt.documents[P] == {**point_twin("mp"), **SOUND, "lastReadingAt": format_us(T0 + 3)}
    assert [batch.counts for batch in (one, two, three)] == [{"received": 1, "dead_lettered": 1}] * 3
    assert [(dead.cause.value, dead.message) for dead in bench.buried] == [("rejected", "/frequency was refused")] * 3
    assert bench.writer.counters.rejected_paths == 2
    assert second == 1
    # The service has to be asked which path it is that it refuses.
    assert (first == 2) is (who == "the models")


async def test_nothing_is_sent_of_a_write_that_is_refused_as_a_whole() -> None:
    bench = Bench(refusal=ModelChecks(our_models(), {"c": DTMI_COMPONENT}).refusal)
    bench.adt.documents[Target("c", "f")] = relation("c", "feedsTo", "d")
    bench.adt.documents[P] = point_twin("mp")
    bench.writer.start()
    bench.pending.offer(LaneWrite(P, SERVICE, 0, {"/connectivity": "asleep"}), None)
    bench.pending.offer(LaneWrite(Target("c", "f"), FLOW, T0, {"/energized": "yes", "/nonsense": 1}), None)
    await bench.flush()
    assert bench.adt.patches == []
    assert bench.adt.faults.calls == 2  # both were read
    assert bench.writer.counters.rejected_paths == 3
    assert not bench.pending.dirty
    bench.pending.offer(LaneWrite(Target("c", "f"), FLOW, T0, {"/energized": True, "/loading": 0.5}), None)
    bench.clock.advance(61.0)
    await bench.flush()
    await bench.writer.stop()
    assert [ops for _, ops in bench.adt.patches] == [{"/energized": True, "/loading": 0.5}]


async def test_values_below_a_missing_parent_are_judged_with_it() -> None:
    bench = Bench(refusal=ModelChecks(our_models()).refusal)
    bench.adt.documents[P] = {"$metadata": point_twin("mp")["$metadata"], "alarms": {}}
    bench.writer.start()
    batch = bench.batch()
    bench.reading(1, batch, powerQuality__voltageImbalance="bad", gridStandard__nominalVoltage=230.0, nonsense__a=1)
    await bench.flush()
    await bench.writer.stop()
    assert bench.adt.documents[P]["gridStandard"] == {"nominalVoltage": 230.0}
    assert "powerQuality" not in bench.adt.documents[P]
    assert "nonsense" not in bench.adt.documents[P]
    assert bench.writer.counters.rejected_paths == 2
    assert batch.counts["dead_lettered"] == 1


async def test_the_throttled_and_the_unreachable_are_kept(bench: Bench) -> None:
    bench.adt.raises = [ThrottledError("slow", status=429, retry_after=1.0), UnavailableError("503", status=503)]
    batch = bench.batch()
    bench.reading(1, batch, a=1)
    await bench.flush()
    assert not batch.finished
    newer = bench.batch()
    bench.reading(2, newer, b=2)
    await bench.flush(rounds=4)
    assert bench.adt.documents[P]["a"] == 1
    assert (batch.counts["merged"], newer.counts["applied"]) == (1, 1)
    assert bench.writer.counters.retries == 2


async def test_forbidden_blocks_until_it_works_again(bench: Bench) -> None:
    bench.adt.raises = [ForbiddenError("no role", status=403)]
    batch = bench.batch()
    bench.reading(1, batch, a=1)
    await bench.flush()
    assert bench.writer.blocked is not None
    assert not batch.finished
    await bench.flush(rounds=2)
    assert bench.writer.blocked is None
    assert batch.counts["applied"] == 1


async def test_a_missing_twin_buries_its_readings_and_gets_everything_when_it_is_back(bench: Bench) -> None:
    bench.reading(1, bench.batch(), a=1)
    await bench.flush()
    gone = bench.adt.documents.pop(P)
    lost = bench.batch()
    bench.reading(2, lost, b=2)
    await bench.flush()
    assert lost.finished
    assert lost.counts["dead_lettered"] == 1
    assert [dead.cause.value for dead in bench.buried] == ["twin_not_found"]
    reads = bench.writer.counters.reads
    bench.reading(3, bench.batch())
    await bench.flush()
    assert bench.writer.counters.reads == reads  # not asked for again so soon
    bench.adt.documents[P] = {"alarms": {}}
    bench.adt.etags[P] = 0
    bench.clock.advance(6.0)
    bench.reading(4, bench.batch(), d=4)
    await bench.flush()
    assert bench.adt.documents[P] == {"alarms": {}, "a": 1, "b": 2, "d": 4, "lastReadingAt": format_us(T0 + 4)}
    assert gone["a"] == 1


async def test_policy_skip_counts_instead_of_burying() -> None:
    bench = Bench(policy="skip")
    bench.writer.start()
    del bench.adt.documents[P]
    batch = bench.batch()
    bench.reading(1, batch, a=1)
    await bench.flush()
    await bench.writer.stop()
    assert (batch.counts["skipped"], bench.buried) == (1, [])


async def test_policy_create_makes_the_twin_again() -> None:
    bench = Bench(policy="create")

    async def create(target: Target) -> bool:
        bench.adt.documents[target] = {}
        bench.adt.etags[target] = 0
        return True

    bench.writer._create = create
    bench.writer.start()
    del bench.adt.documents[P]
    batch = bench.batch()
    bench.reading(1, batch, a=1)
    await bench.flush()
    await bench.writer.stop()
    assert batch.counts["applied"] == 1


async def test_missing_parents_are_made_and_absent_values_not_removed(bench: Bench) -> None:
    bench.adt.change(P, mlPredictions={"old": 1})
    ops = {
        "mlEngine__decisionPredictions__x": {"status": "ok"},
        "mlPredictions__old": REMOVE,
        "mlPredictions__no": REMOVE,
    }
    bench.adt.change(P, mlEngine={})
    bench.reading(1, bench.batch(), **ops)
    await bench.flush()
    found = bench.adt.documents[P]
    assert found["mlEngine"]["decisionPredictions"] == {"x": {"status": "ok"}}
    assert found["mlPredictions"] == {}


async def test_telemetry_follows_its_patch_and_is_repeated_until_it_is_out(bench: Bench) -> None:
    batch = bench.batch()
    bench.reading(1, batch, a=1)
    bench.pending.targets[P].pending[READING].write.telemetry.append(Telemetry({"alarmRaised": {}}, "id-1", T0))
    bench.adt.faults.at, bench.adt.faults.how = 3, "error"  # GET, PATCH, then this one
    await bench.flush()
    assert bench.adt.published == []
    assert len(bench.adt.patches) == 1
    assert not batch.finished
    await bench.flush(rounds=2)
    assert [message for _, message, _ in bench.adt.published] == ["id-1"]
    assert len(bench.adt.patches) == 1
    assert batch.finished


async def test_set_lanes_write_at_an_equal_stamp_when_they_differ(bench: Bench) -> None:
    c = Target("c")
    for value in (True, False, False):
        ops = {"/energized": value, "/$metadata/energized/sourceTime": format_us(T0)}
        bench.pending.offer(LaneWrite(c, SUPPLY, T0, ops), None)
        await bench.flush()
    assert bench.adt.documents[c]["energized"] is False
    assert len(bench.adt.patches) == 2
    bench.pending.offer(LaneWrite(c, SUPPLY, T0 - 1, {"/energized": True}), None)
    await bench.flush()
    assert bench.adt.documents[c]["energized"] is False


async def test_a_register_takes_the_newest_and_at_equal_times_the_greater(bench: Bench) -> None:
    c = Target("c")

    def heat(t: int, value: float) -> LaneWrite:
        ops = {"/temperature": value, "/$metadata/temperature/sourceTime": format_us(T0 + t)}
        return LaneWrite(c, TEMPERATURE, T0 + t, ops)

    for write in (heat(5, 40.0), heat(5, 41.0), heat(5, 39.0), heat(4, 90.0)):
        bench.pending.offer(write, None)
        await bench.flush()
    assert bench.adt.documents[c]["temperature"] == 41.0


async def test_one_write_at_a_time_for_a_twin_and_its_relationships(bench: Bench) -> None:
    for rid in ("f", "g"):
        bench.pending.offer(LaneWrite(Target("c", rid), FLOW, T0, {"/energized": True}), None)
    bench.pending.offer(LaneWrite(Target("c"), SUPPLY, T0, {"/energized": True}), None)
    first = bench.pending.due(bench.clock.monotonic())
    assert [state.target for state in first] == [Target("c")]
    assert bench.pending.due(bench.clock.monotonic()) == []
    following = bench.pending.next_of(first[0], bench.clock.monotonic())
    assert following is not None
    assert following.target == Target("c", "f")


async def test_a_defect_stops_the_writer_and_is_told(bench: Bench) -> None:
    bench.adt.raises = [ZeroDivisionError()]  # type: ignore[list-item]
    bench.reading(1, bench.batch(), a=1)
    await bench.flush()
    assert isinstance(bench.writer.fault, ZeroDivisionError)
