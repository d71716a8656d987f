"""The small parts: ledger, dead letters, watchdog, settings, connectivity, metrics, health, a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from fakes import MemoryAdt, MemoryStore
from streams import event, reading, small_graph, status, stream
from test_sweep import ENGINE, Life

from remhart_adt.clock import FakeClock
from remhart_adt.errors import ConfigError, UnavailableError
from remhart_adt.observe import HealthServer, Latency, Metric, Rate, exposition
from remhart_adt.readings import DeadCause
from remhart_adt.sync.config import load_config
from remhart_adt.sync.deadletter import DeadLetters, body_of, read_rows
from remhart_adt.sync.decode import Dead
from remhart_adt.sync.lanes import SERVICE, Target
from remhart_adt.sync.ledger import Batch, PartitionLedger, summarise
from remhart_adt.sync.resend import replay_file
from remhart_adt.sync.service import Service
from remhart_adt.sync.types import RevokeReason
from remhart_adt.sync.watchdog import Advice, Watchdog

# --- ledger -----------------------------------------------------------------------------------------------------------


def test_only_the_contiguous_prefix_of_finished_batches_counts() -> None:
    ledger = PartitionLedger({"received": 10, "applied": 10}, 4, "4")
    batches = [Batch("0", [event(5 + i, {})], {"received": 2}) for i in range(3)]
    for batch in batches:
        ledger.open(batch)
    batches[1].count("applied", 2)
    batches[1].release()
    assert not ledger.advance()
    assert ledger.live()["in_flight"] == 4
    batches[0].count("skipped", 2)
    batches[0].release()
    assert ledger.advance()
    assert (ledger.sequence, ledger.totals) == (6, {"received": 14, "applied": 12, "skipped": 2})
    assert summarise([ledger.live()])["in_flight"] == 2


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_rows_survive_a_crash_once_and_a_torn_line_is_cut(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path / "new")
    dead.open("0", -1)
    array = event(7, [{"a": 1}, {"b": 2}])
    dead.add("0", array, Dead(7, 1, DeadCause.WRONG_TYPE, "why", "mp-1"))
    dead.add("0", event(8, b"\xff\x00"), Dead(8, 0, DeadCause.NOT_JSON, "why"))
    dead.sync("0")
    dead.close()
    path = dead.path("0")
    with path.open("ab") as file:
        file.write(b'{"partition":"0","sequ')
    dead.open("0", 6)
    dead.add("0", array, Dead(7, 1, DeadCause.WRONG_TYPE, "why", "mp-1"))
    dead.add("0", event(9, {}), Dead(9, 0, DeadCause.EMPTY, "why"))
    dead.close()
    rows = list(read_rows(path))
    assert [(row["sequence"], row["index"]) for row in rows] == [(7, 1), (8, 0), (9, 0)]
    assert [body_of(row) for row in rows] == [b'{"b":2}', b"\xff\x00", b"{}"]


def test_a_file_that_is_no_dead_letter_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text('{"partition":"0","body":"{}","cause":"empty"}\nhello\n')
    with pytest.raises(ConfigError, match=":2"):
        asyncio.run(replay_file(path, None, None, dry_run=True))
    path.write_text('{"partition":"0","body":"{}","cause":"empty"}\n')
    assert asyncio.run(replay_file(path, None, None, dry_run=True)) == 1
    assert asyncio.run(replay_file(path, None, None, causes=["rejected"], dry_run=True)) == 0


# --- watchdog ---------------------------------------------------------------------------------------------------------


def test_a_silent_source_is_rebuilt_once_and_then_given_up() -> None:
    clock = FakeClock()
    dog = Watchdog(clock, 60.0)
    assert dog.judge({"0": 5}, {"0": 9}, held_back=False) is Advice.FINE
    clock.advance(59)
    assert dog.judge({"0": 5}, {"0": 9}, held_back=False) is Advice.FINE
    clock.advance(2)
    assert dog.judge({"0": 5}, {"0": 9}, held_back=False) is Advice.REBUILD
    assert dog.behind == {"0": 4}
    assert dog.judge({"0": 5}, {"0": 9}, held_back=False) is Advice.FINE
    clock.advance(61)
    assert dog.judge({"0": 5}, {"0": 9}, held_back=False) is Advice.GIVE_UP


def test_progress_an_idle_hub_and_our_own_holding_back_are_no_stall() -> None:
    clock = FakeClock()
    dog = Watchdog(clock, 60.0)
    for k in range(5):
        assert dog.judge({"0": k}, {"0": 99}, held_back=False) is Advice.FINE
        clock.advance(50)
    for _ in range(3):
        assert dog.judge({"0": 99}, {"0": 99}, held_back=False) is Advice.FINE
        assert dog.judge({"0": 5}, {"0": 99}, held_back=True) is Advice.FINE
        clock.advance(100)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sync.yaml"
    path.write_text(
        "adt: {endpoint: file.example, timeout: 3}\nsource: {file: x.csv, group: from-file, speed: 2}\n"
        "write: {flush_ms: 300}\n"
    )
    monkeypatch.setenv("REMHART_ADT__ENDPOINT", "env.example")
    monkeypatch.setenv("REMHART_SOURCE__GROUP", "from-env")
    config = load_config(path, {"source": {"group": "from-flag"}})
    assert (config.adt.endpoint, config.adt.timeout) == ("env.example", 3.0)
    assert (config.source.group, config.source.speed) == ("from-flag", 2.0)
    assert config.write.flush_ms == 300


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("adt: {endpoint: x}\n", "source"),
        ("source: {file: x.csv}\n", "REMHART_ADT__ENDPOINT"),
        ("adt: {endpoint: x}\nsource: {file: x, namespace: y, eventhub: z}\n", "one source"),
        ("adt: {endpoint: x}\nsource: {file: x}\nwrite: {flush: 3}\n", "write.flush"),
        ("[1, 2]\n", "mapping of sections"),
        ("adt: {endpoint: x\n", "cannot be read"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str) -> None:
    for name in ("REMHART_ADT__ENDPOINT", "REMHART_SOURCE__CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "sync.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        load_config(path)


def test_a_connection_string_never_shows_in_the_settings(tmp_path: Path) -> None:
    secret = "Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=topsecret;EntityPath=t"
    flags = {"adt": {"endpoint": "x"}, "source": {"connection_string": secret}}
    assert "topsecret" not in repr(load_config(None, flags))


# --- connectivity -----------------------------------------------------------------------------------------------------


def test_points_go_online_stale_and_offline_by_the_wall_clock() -> None:
    clock = FakeClock()
    service = Service(["a", "b"], ENGINE, clock, stale=30.0, offline=300.0)

    def words(writes: Any) -> dict[str, str]:
        return {w.target.twin: w.ops["/connectivity"] for w in writes if "/connectivity" in w.ops}

    assert words(service.heard({"a": 10})) == {"a": "online"}
    assert words(service.heard({"a": 10})) == {}
    clock.advance(31)
    assert words(service.tick(0.1)) == {"a": "stale", "b": "stale"}
    assert words(service.heard({"a": 1})) == {"a": "online"}
    clock.advance(270)
    assert words(service.tick(0.1)) == {"a": "stale", "b": "offline"}
    (first, *_) = Service(["a"], ENGINE, clock, stale=1, offline=2).heard({"a": 1})
    assert first.lane == SERVICE
    assert first.ops["/mlEngine/modelRegistry"]["totalModels"] == 0
    assert first.ops["/mlEngine/featureEngineering"]["totalFeatures"] > 80


# --- a restart says again what nobody waited for ----------------------------------------------------------------------


async def test_what_follows_from_switches_is_written_by_the_next_life(tmp_path: Path) -> None:
    twins, rels = small_graph()
    documents = {Target(t["$dtId"]): t for t in twins}
    documents |= {Target(r["$sourceId"], r["$relationshipId"]): r for r in rels}
    adt, store = MemoryAdt(documents), MemoryStore()
    log = {"0": stream([reading("mp-1", 0), status("b1", 1, switchState="open")])}
    away = {"b2", "line2"}
    real = adt._patch

    async def partly(target: Target, body: bytes, etag: str | None) -> str:
        if target.twin in away:
            raise UnavailableError("503", status=503)
        return await real(target, body, etag)

    adt._patch = partly  # type: ignore[method-assign]
    first = Life(adt, store, tmp_path)
    with pytest.raises(AssertionError, match="never done"):
        await first.live(log)
    await first.end()
    assert store.rows["0"].checkpoint_sequence == 1  # the energized state of others holds no commit back
    assert "energized" not in adt.documents[Target("line2")]
    away.clear()
    second = Life(adt, store, tmp_path)
    second.writer.start()
    await second.streams.on_assigned("0")
    for _ in range(5):
        second.writer.flush()
        await asyncio.sleep(0.01)
    await second.end()
    assert [adt.documents[Target(name)]["energized"] for name in ("b1", "line1", "b2", "line2")] == [True] + [False] * 3


async def test_an_unusable_snapshot_starts_cold_but_keeps_the_active_alarms(tmp_path: Path) -> None:
    twins, rels = small_graph()
    documents = {Target(t["$dtId"]): t for t in twins}
    adt, store = MemoryAdt(documents), MemoryStore()
    log = {"0": stream([reading("mp-1", 0), reading("mp-1", 1, (180.0, 230.0, 230.0))])}
    first = Life(adt, store, tmp_path)
    await first.live(log)
    await first.end()
    assert adt.documents[Target("mp-1")]["activeAlarmCount"] == 1
    store.rows["0"] = replace(store.rows["0"], snapshot=b"of another version")
    second = Life(adt, store, tmp_path)
    await second.live({"0": [*log["0"], event(2, reading("mp-1", 2))]})
    await second.end()
    twin = adt.documents[Target("mp-1")]
    assert twin["activeAlarmCount"] == 0
    assert twin["alarms"]["voltageSag"]["clearedAt"] > twin["alarms"]["voltageSag"]["raisedAt"]
    del rels


async def test_back_pressure_holds_the_source_until_there_is_room(tmp_path: Path) -> None:
    twins, rels = small_graph()
    documents = {Target(t["$dtId"]): t for t in twins}
    life = Life(MemoryAdt(documents), MemoryStore(), tmp_path)
    await life.streams.on_assigned("0")
    life.streams.paused = True
    waiting = asyncio.create_task(life.streams.on_events("0", stream([reading("mp-1", 0)])))
    await asyncio.sleep(0.12)
    assert not waiting.done()
    assert life.streams.held_back
    assert await life.streams.step() == 0
    life.streams.paused = False
    await asyncio.wait_for(waiting, 1.0)
    assert await life.streams.step() == 1
    await life.streams.on_events("0", stream([reading("mp-1", 0)]))
    assert life.streams.redelivered == 1
    await life.streams.on_revoked("0", RevokeReason.OWNERSHIP_LOST)
    assert life.streams.ledgers() == []
    await life.end()
    del rels


# --- metrics and health -----------------------------------------------------------------------------------------------


def test_percentiles_are_within_three_percent() -> None:
    latency = Latency()
    assert latency.percentile(0.5) is None
    latency.add(np.arange(1, 1001) * 1000)
    assert latency.percentile(0.5) == pytest.approx(500, rel=0.06)
    assert latency.percentile(0.99) == pytest.approx(990, rel=0.06)
    latency.add(np.array([-5]))
    latency.reset()
    assert latency.count == 0


def test_rates() -> None:
    rate = Rate(10.0)
    for k in range(21):
        rate.add(float(k), 100)
    assert rate.recent(20.0) == pytest.approx(110.0)
    assert rate.overall == pytest.approx(105.0)
    assert rate.recent(40.0) == 0.0


def test_the_exposition_is_what_prometheus_reads() -> None:
    text, kind = exposition([Metric("remhart_items", "counter", "Items.", {"applied": 3.0}, "outcome")])
    assert b'remhart_items_total{outcome="applied"} 3.0' in text
    assert "text/plain" in kind


async def test_the_health_server_answers() -> None:
    problems: list[str] = []
    marked: list[int] = []
    server = HealthServer(
        alive=lambda: not marked,
        problems=lambda: problems,
        report=lambda: {"received": 1},
        metrics=lambda: [Metric("x", "gauge", "X.", {"": 1.0})],
        mark=lambda: marked.append(1),
    )
    await server.start("127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession() as session:

        async def get(path: str) -> tuple[int, str]:
            async with session.get(base + path) as answer:
                return answer.status, await answer.text()

        assert (await get("/livez"))[0] == 200
        assert (await get("/readyz"))[0] == 200
        problems.append("the hub is away")
        assert await get("/readyz") == (503, json.dumps({"ready": False, "problems": ["the hub is away"]}))
        assert json.loads((await get("/report"))[1]) == {"received": 1}
        assert "x 1.0" in (await get("/metrics"))[1]
        async with session.post(base + "/report/mark") as answer:
            assert answer.status == 204
        assert (await get("/livez"))[0] == 503
    with pytest.raises(ConfigError, match=str(server.port)):
        await HealthServer(alive=bool, problems=list, report=dict, metrics=list, mark=lambda: None).start(
            "127.0.0.1", server.port
        )
    await server.stop()
