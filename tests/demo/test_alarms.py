"""Alarms of a run against the simulation's event list."""

from __future__ import annotations

from typing import Any

import pytest

from remhart_adt.checker.journal import Request
from remhart_adt.clock import format_us
from remhart_adt.demo.alarms import compare, raised

T0 = 1_800_000_000_000_000
SECOND = 1_000_000


def written(twin: str, kind: str, raised_us: int, cleared_us: int | None = None, phases: str = "ABC") -> Request:
    entry: dict[str, Any] = {"severity": "major", "raisedAt": format_us(raised_us), "phases": phases, "source": "rule"}
    if cleared_us is not None:
        entry["clearedAt"] = format_us(cleared_us)
    return Request(
        raised_us,
        raised_us + 1,
        "PATCH",
        "twin",
        twin,
        twin,
        204,
        [{"op": "add", "path": f"/alarms/{kind}", "value": entry}],
    )


def expected(twin: str, kind: str, after_us: int, phases: str = "ABC") -> dict[str, Any]:
    return {"pointId": twin, "kind": kind, "phases": phases, "raisedAfter_us": after_us}


def test_one_instance_written_twice_is_one_alarm_with_its_end() -> None:
    alarms = raised([written("mp-1", "voltageSag", T0), written("mp-1", "voltageSag", T0, T0 + 5 * SECOND)])

    assert [(a.twin, a.kind, a.cleared_us) for a in alarms] == [("mp-1", "voltageSag", T0 + 5 * SECOND)]


def told(twin: str, word: str, kind: str, time_us: int) -> Request:
    body = {word: {"alarmName": kind, "severity": "major", "timestamp": format_us(time_us), "phases": "A"}}
    return Request(time_us, time_us + 1, "POST", "telemetry", twin, twin, 204, body)


def test_an_instance_that_never_stood_on_the_twin_is_known_from_its_telemetry() -> None:
    first, second = T0, T0 + 60 * SECOND
    alarms = raised(
        [
            told("mp-1", "alarmRaised", "overload", first),
            told("mp-1", "alarmCleared", "overload", first + SECOND),
            told("mp-1", "alarmRaised", "overload", second),
            told("mp-1", "alarmRaised", "overload", second),
            written("mp-1", "overload", second, phases="A"),
        ]
    )

    assert [(a.raised_us, a.cleared_us) for a in alarms] == [(first, first + SECOND), (second, None)]


def test_equal_lists_have_no_difference() -> None:
    alarms = raised([written("mp-1", "voltageSag", T0 + SECOND), written("mp-2", "overload", T0 + 2 * SECOND)])

    assert (
        compare(alarms, [expected("mp-1", "voltageSag", T0), expected("mp-2", "overload", T0)], period_us=SECOND) == []
    )


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (written("mp-1", "voltageSag", T0 + 4 * SECOND), "missing"),
        (written("mp-1", "voltageSag", T0 - SECOND), "missing"),
        (written("mp-2", "voltageSag", T0), "unexpected"),
        (written("mp-1", "undervoltage", T0), "unexpected"),
        (written("mp-1", "voltageSag", T0, phases="A"), "phases"),
    ],
    ids=["late", "early", "other point", "other kind", "other phases"],
)
def test_each_kind_of_difference_is_named(request_: Request, word: str) -> None:
    differences = compare(raised([request_]), [expected("mp-1", "voltageSag", T0)], period_us=SECOND)

    assert any(word in difference for difference in differences)


def test_a_second_instance_of_the_same_alarm_is_one_too_many() -> None:
    alarms = raised([written("mp-1", "voltageSag", T0), written("mp-1", "voltageSag", T0 + 2 * SECOND)])

    assert compare(alarms, [expected("mp-1", "voltageSag", T0)], period_us=SECOND) == [
        f"unexpected: voltageSag on mp-1 at {format_us(T0 + 2 * SECOND)}"
    ]


def test_a_play_that_was_broken_off_owes_nothing_of_its_last_readings_or_later() -> None:
    wishes = [
        expected("mp-1", "voltageSag", T0),
        expected("mp-2", "overload", T0 + 9 * SECOND),
        expected("mp-3", "x", T0 + 99 * SECOND),
    ]
    alarms = raised([written("mp-1", "voltageSag", T0)])

    assert compare(alarms, wishes, period_us=SECOND, ended_us=T0 + 10 * SECOND) == []
    assert len(compare(alarms, wishes, period_us=SECOND, ended_us=T0 + 20 * SECOND)) == 1
    assert len(compare(alarms, wishes, period_us=SECOND)) == 2
