"""Conservation, progress and the graph: each is broken once on purpose and must be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remhart_adt.checker.conservation import check_conservation, read_dead_letters
from remhart_adt.checker.journal import Write
from remhart_adt.checker.progress import Demand, check_progress, demands
from remhart_adt.checker.twins import check_twins, differences
from remhart_adt.readings import CHANNELS, ReadingBatch
from remhart_adt.sync.decode import Decoded
from remhart_adt.sync.oracle import Expected
from remhart_adt.sync.types import CommitRecord

GOOD: dict[str, Any] = {
    "sent": 10,
    "hub_retained": 10,
    "ledger": {
        "received": 10,
        "applied": 5,
        "merged": 3,
        "skipped": 1,
        "dead_lettered": 1,
        "in_flight": 0,
        "dead_by_cause": {"not_json": 1},
    },
    "committed": {"applied": 5, "merged": 3, "skipped": 1, "dead_lettered": 1},
    "dead": {("0", 4, 0): "not_json"},
    "must_die": {("0", 4, 0): "not_json"},
}


def test_a_balanced_account_holds() -> None:
    assert check_conservation(**GOOD).holds


@pytest.mark.parametrize(
    "change",
    [
        {"sent": 11},
        {"hub_retained": 9},
        {"ledger": {**GOOD["ledger"], "applied": 4}},
        {"ledger": {**GOOD["ledger"], "in_flight": 1}},
        {"ledger": {**GOOD["ledger"], "received": 11}},
        {"ledger": {**GOOD["ledger"], "dead_by_cause": {"empty": 1}}},
        {"committed": {**GOOD["committed"], "merged": 2}},
        {"dead": {}},
        {"dead": {("0", 4, 0): "empty"}},
        {"must_die": {("0", 4, 0): "not_json", ("1", 7, 2): "unknown_point"}},
    ],
    ids=[
        "sent",
        "retained",
        "applied",
        "in flight",
        "received",
        "cause",
        "committed",
        "no letter",
        "wrong cause",
        "lived",
    ],
)
def test_every_imbalance_is_seen(change: dict[str, Any]) -> None:
    assert not check_conservation(**{**GOOD, **change}).holds


def test_dead_letters_are_read_by_their_key(tmp_path: Path) -> None:
    row = {"partition": "3", "sequence": 9, "index": 1, "cause": "empty"}
    (tmp_path / "3.ndjson").write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n" + json.dumps(row)[:20])

    assert read_dead_letters(tmp_path) == {("3", 9, 1): "empty"}


def batch(*rows: tuple[int, int, int]) -> Iterator[Decoded]:
    """One decoded batch of (sequence, point, time)."""
    sequence, point, time_us = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    yield Decoded(
        ReadingBatch(
            ("mp-0", "mp-1"),
            point.astype(np.int32),
            time_us.astype(np.int64),
            np.full((n, len(CHANNELS)), 230.0),
            np.zeros(n, np.int8),
            sequence.astype(np.int64),
            np.zeros(n, np.int32),
            time_us.astype(np.int64),
        ),
        [],
        [],
        n,
    )


def test_only_newer_readings_that_lived_are_demanded() -> None:
    rows = batch((0, 0, 10), (1, 0, 9), (2, 1, 5), (3, 0, 12), (4, 1, 6))

    found = list(demands(rows, frozenset({(3, 0)})))

    assert found == [Demand(0, "mp-0", 10), Demand(2, "mp-1", 5), Demand(4, "mp-1", 6)]


def commit(sequence: int, committed_us: int) -> CommitRecord:
    return CommitRecord("0", sequence, str(sequence), "owner", committed_us, {})


def test_a_checkpoint_before_the_write_is_seen() -> None:
    wishes = {"0": [Demand(0, "mp-0", 10), Demand(1, "mp-0", 20)]}
    written = [Write("mp-0", 100, {"/lastReadingAt": 10}), Write("mp-0", 300, {"/lastReadingAt": 20})]

    assert check_progress([commit(0, 200), commit(1, 400)], wishes, written).holds
    assert check_progress([commit(0, 50), commit(1, 400)], wishes, written).count == 1
    assert check_progress([commit(1, 200)], wishes, written).count == 1


def test_a_later_reading_on_the_twin_fulfils_an_earlier_demand() -> None:
    written = [Write("mp-0", 100, {"/lastReadingAt": 30})]

    assert check_progress([commit(1, 200)], {"0": [Demand(1, "mp-0", 20)]}, written).holds


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1.0}}, 0),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, 1),
        ({"a": 1}, {"a": True}, 1),
        ({"a": 1, "b": 2}, {"a": 1}, 1),
        ({"a": 1}, {"a": 1, "c": 3}, 1),
        ({"a": [1, 2]}, {"a": [1, 3]}, 1),
    ],
)
def test_differences_are_found_at_their_place(one: Any, other: Any, count: int) -> None:
    assert len(list(differences(one, other))) == count


def test_a_twin_that_is_missing_too_much_or_different_is_seen() -> None:
    def twin(name: str, volts: float) -> dict[str, Any]:
        return {
            "$dtId": name,
            "$etag": name,
            "voltage": {"phaseA": volts},
            "$metadata": {"$model": "m"},
            "connectivity": "x",
        }

    expected = Expected(twins={"a": twin("a", 230.0), "b": twin("b", 230.0)})
    live = {"a": {**twin("a", 230.0), "$etag": "other", "connectivity": "online"}, "b": twin("b", 230.0)}

    assert check_twins(expected, live, {}).holds
    assert check_twins(expected, {**live, "b": twin("b", 229.0)}, {}).count == 1
    assert check_twins(expected, {"a": live["a"]}, {}).count == 1
    assert check_twins(expected, {**live, "c": twin("c", 1.0)}, {}).count == 1
