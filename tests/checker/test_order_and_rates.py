"""The checker sees what it is there to see: each invariant is broken once on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.checker.journal import Request, Write, read_journal, stamps_of_patch, writes
from remhart_adt.checker.order import check_checkpoints, check_order
from remhart_adt.checker.rates import check_rates, most_in_a_second
from remhart_adt.checker.secrets import check_secrets
from remhart_adt.sync.types import CommitRecord

T0 = 1_800_000_000_000_000


def patch(time_us: int, twin: str = "mp-1", status: int = 204, body: Any = None) -> Request:
    return Request(time_us, time_us + 500, "PATCH", "twin", twin, twin, status, body or [])


def record(sequence: int, partition: str = "0", **ledger: int) -> CommitRecord:
    return CommitRecord(partition, sequence, str(sequence), "owner", T0, ledger)


def test_stamps_are_found_in_roots_objects_and_metadata() -> None:
    found = stamps_of_patch(
        [
            {"op": "add", "path": "/lastReadingAt", "value": "2026-01-01T00:00:01Z"},
            {"op": "add", "path": "/voltage", "value": {"phaseA": 1.0, "timestamp": "2026-01-01T00:00:01Z"}},
            {"op": "add", "path": "/$metadata/energized/sourceTime", "value": "2026-01-01T00:00:02Z"},
            {
                "op": "add",
                "path": "/mlEngine/energyPredictions/energyLoss",
                "value": {"scoredAt": "2026-01-01T00:01:00Z"},
            },
            {"op": "add", "path": "/connectivity", "value": "online"},
        ]
    )

    assert set(found) == {
        "/lastReadingAt",
        "/voltage",
        "/$metadata/energized/sourceTime",
        "/mlEngine/energyPredictions/energyLoss",
    }
    assert found["/$metadata/energized/sourceTime"] - found["/lastReadingAt"] == 1_000_000


def test_an_older_value_over_a_newer_one_is_seen() -> None:
    written = [
        Write("mp-1", 1, {"/lastReadingAt": 20}),
        Write("mp-2", 2, {"/lastReadingAt": 5}),
        Write("mp-1", 3, {"/lastReadingAt": 10}),
    ]

    verdict = check_order(written)

    assert verdict.count == 1
    assert "mp-1" in verdict.violations[0]


def test_a_twin_made_anew_may_start_again() -> None:
    written = [
        Write("mp-1", 1, {"/lastReadingAt": 20}),
        Write("mp-1", 2, {}, created=True),
        Write("mp-1", 3, {"/lastReadingAt": 10}),
    ]

    assert check_order(written).holds


def test_a_check_of_nothing_does_not_hold() -> None:
    assert not check_order([]).holds
    assert not check_checkpoints([]).holds


def test_a_checkpoint_or_counter_that_goes_back_is_seen() -> None:
    assert check_checkpoints([record(1, applied=1), record(5, applied=4), record(2, partition="1", applied=0)]).holds
    assert check_checkpoints([record(5, applied=4), record(4, applied=4)]).count == 1
    assert check_checkpoints([record(5, applied=4), record(6, applied=3)]).count == 1


@pytest.mark.parametrize(
    ("times", "most"), [([], 0), ([0, 999_999, 1_000_000], 2), ([5, 1, 3], 3), ([0, 1_000_000, 2_000_000], 1)]
)
def test_most_in_a_second_counts_half_open_windows(times: list[int], most: int) -> None:
    assert most_in_a_second(times) == most


def test_eleven_writes_to_one_twin_in_a_second_break_the_limit() -> None:
    eleven = [patch(T0 + i * 90_000) for i in range(11)]
    spread = [patch(T0 + i * 90_000, twin=f"mp-{i}") for i in range(11)]

    assert check_rates(spread).holds
    assert check_rates(eleven).count == 1


def test_relationship_writes_count_for_their_source_twin() -> None:
    rows = [patch(T0 + i) for i in range(6)]
    rows += [
        Request(T0 + 10 + i, T0 + 20, "PATCH", "relationship", "mp-1", "mp-1/relationships/r", 204, [])
        for i in range(5)
    ]

    assert check_rates(rows).count == 1


def test_a_secret_in_a_file_is_named_by_file_only(tmp_path: Path) -> None:
    (tmp_path / "daemon.log").write_text("connected with key hunter2-long-key\n")
    (tmp_path / "clean.log").write_text("nothing here\n")

    verdict = check_secrets([tmp_path / "daemon.log", tmp_path / "clean.log"], ["hunter2-long-key"])

    assert verdict.count == 1
    assert "daemon.log" in verdict.violations[0]
    assert "hunter2" not in verdict.violations[0]


def test_the_journal_is_read_and_a_torn_line_left_out(tmp_path: Path) -> None:
    row = {
        "n": 1,
        "time_us": T0,
        "done_us": T0 + 9,
        "method": "PATCH",
        "path": "/DigitalTwins/a%2Fb/relationships/r%201?api-version=2023-10-31",
        "status": 204,
        "if_match": None,
        "etag": None,
        "body": [{"op": "add", "path": "/updatedAt", "value": "2026-01-01T00:00:00Z"}],
    }
    journal = tmp_path / "journal.ndjson"
    journal.write_text(json.dumps(row) + "\n" + json.dumps(row)[:40])

    requests = list(read_journal(journal))
    found = list(writes(requests))

    assert [(r.kind, r.twin, r.target) for r in requests] == [("relationship", "a/b", "a/b/relationships/r 1")]
    assert [list(write.stamps) for write in found] == [["/updatedAt"]]
