"""Telemetry files: what becomes a record, where reading goes on, and how time is scaled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from keeping import Keeper

from remhart_adt.clock import FakeClock
from remhart_adt.errors import ConfigError, ReadingError, SourceError
from remhart_adt.readings import DeadCause
from remhart_adt.sync.sources import FileSource, read_records
from remhart_adt.sync.stores import SqliteStore
from remhart_adt.sync.types import Commit, Source

CSV = """pointId,timestamp,v_a,v_b,quality
7,2026-01-01T00:00:00Z,230.5,,good
p2,2026-01-01T00:00:01Z,abc,231,suspect
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "c.sqlite")
    yield opened
    await opened.close()


def lines(count: int, step_ms: int = 1000) -> str:
    rows = []
    for i in range(count):
        second, ms = divmod(i * step_ms, 1000)
        stamp = f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.{ms:03d}Z"
        rows.append(json.dumps({"pointId": f"p{i}", "timestamp": stamp}))
    return "\n".join(rows) + "\n"


def test_csv_rows_become_the_flat_form(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + CSV)
    first, second = read_records(path)
    assert json.loads(first.body) == {
        "pointId": "7",
        "timestamp": "2026-01-01T00:00:00Z",
        "v_a": 230.5,
        "quality": "good",
    }
    assert (first.number, first.key, first.time_us) == (0, "7", 1767225600_000000)
    assert json.loads(second.body)["v_a"] == "abc"  # left for the decoder to dead-letter
    assert json.loads(second.body)["v_b"] == 231.0


def test_component_status_keeps_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("componentId,timestamp,switchState,tapPosition,temperature\nT1,2026-01-01T00:00:00Z,open,3,41\n")
    (record,) = read_records(path)
    body = json.loads(record.body)
    assert (record.key, body["tapPosition"], body["temperature"], body["switchState"]) == ("T1", 3, 41.0, "open")
    assert isinstance(body["tapPosition"], int)


def test_ndjson_bodies_are_passed_on_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    deep = "[" * 100_000
    path.write_text(f'{{"pointId" : "a", "timestamp": "2026-01-01T00:00:00Z"}}\n\nnot json\n[1]\n{deep}\n"x"\n')
    records = list(read_records(path))
    assert records[0].body == b'{"pointId" : "a", "timestamp": "2026-01-01T00:00:00Z"}'
    assert [record.body for record in records[1:]] == [b"not json", b"[1]", deep.encode(), b'"x"']
    assert [record.number for record in records] == [0, 1, 2, 3, 4]
    assert records[0].time_us is not None
    assert all(record.key is None and record.time_us is None for record in records[1:])


def test_a_mapping_is_applied_and_rows_it_refuses_are_passed_on(tmp_path: Path) -> None:
    def translate(row: Mapping[str, Any]) -> dict[str, Any]:
        if row["ts"] == "bad":
            raise ReadingError(DeadCause.BAD_TIMESTAMP, "no time")
        return {"pointId": "mapped", "timestamp": f"2026-01-01T00:00:0{row['ts']}Z"}

    path = tmp_path / "t.csv"
    path.write_text("ts,Va\n1,230\nbad,231\n")
    good, bad = read_records(path, translate)
    assert json.loads(good.body) == {"pointId": "mapped", "timestamp": "2026-01-01T00:00:01Z"}
    assert json.loads(bad.body) == {"ts": "bad", "Va": "231"}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", b"a,b\n\xff\xfe,1\n", "cannot be read"),
        ("t.ndjson", b"x" * 1_100_000 + b"\n", "characters"),
        ("t.csv", b'a\n"' + b"y" * 200_000 + b'"\n', "not CSV"),
    ],
)
def test_files_that_cannot_be_read_are_reported(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=problem):
        list(read_records(path))
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_records(tmp_path / "missing.csv"))


async def test_a_file_is_one_partition_numbered_by_record_and_goes_on_after_the_commit(
    tmp_path: Path, store: SqliteStore
) -> None:
    path = tmp_path / "t.ndjson"
    path.write_text(lines(1200))
    source = FileSource(path, store=store)
    assert isinstance(source, Source)
    handler = Keeper(store)
    await source.run(handler)
    assert handler.sequences == {"0": list(range(1200))}
    assert handler.events["0"][7].offset == "7"
    assert handler.log == [("assigned", "0"), ("revoked", "0", "shutdown")]
    assert await source.probe() == {"0": 1199}
    await store.commit("0", Commit(1150, "1150", {}, (1100, "1100", b"w")))
    again = Keeper(store)
    await FileSource(path, store=store).run(again)
    assert again.sequences == {"0": list(range(1101, 1200))}


async def test_speed_scales_the_source_time(tmp_path: Path, store: SqliteStore) -> None:
    path = tmp_path / "t.ndjson"
    path.write_text(lines(3) + lines(2))
    clock = FakeClock()
    source = FileSource(path, speed=4, store=store, clock=clock)
    handler = Keeper(store)
    due: list[float] = []

    async def instead(record: Any, real: Any = source._wait_for) -> None:
        start = source._origin
        if start is not None:
            due.append(start[1] + (record.time_us - start[0]) / 1e6 / 4)
            clock.steady = max(clock.steady, due[-1])  # time passes until the record is due
        await real(record)

    source._wait_for = instead  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        await source.run(handler)
    assert due == [0.25, 0.5, 0.0, 0.25]  # a time in the past is due at once
    assert handler.count == 5


async def test_closing_ends_a_slow_replay_at_once(tmp_path: Path, store: SqliteStore) -> None:
    path = tmp_path / "t.ndjson"
    path.write_text(lines(100, step_ms=60_000))
    source = FileSource(path, speed=1, store=store)
    handler = Keeper(store)
    task = asyncio.create_task(source.run(handler))
    await handler.until(lambda: handler.count == 1)
    async with asyncio.timeout(5):
        await source.close()
        await task
    assert handler.count == 1
    assert handler.log[-1] == ("revoked", "0", "shutdown")
    with pytest.raises(SourceError, match="run before"):
        await source.run(handler)


@pytest.mark.parametrize("speed", [-1.0, float("inf"), float("nan")])
def test_impossible_speeds_are_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigError, match="speed"):
        FileSource(tmp_path / "t.csv", speed=speed, store=SqliteStore(tmp_path / "c.sqlite"))
