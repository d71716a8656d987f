"""Events become readings, or dead letters with the right cause; neighbours of a bad item are kept."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import T0, event, reading, status, stream

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, DeadCause, Quality, flat_reading, nested_reading
from remhart_adt.sync.decode import Decoder


def decoder() -> Decoder:
    return Decoder({"mp-1": 0, "mp-2": 1}, frozenset({"b1"}))


def dead_of(*bodies: Any, **more: Any) -> list[tuple[int, int, str]]:
    decoded = decoder().decode(stream(list(bodies), **more))
    return [(d.sequence, d.index, d.cause.value) for d in decoded.dead]


def test_object_and_array_flat_and_nested_mean_the_same() -> None:
    values = [float(i + 1) for i in range(len(CHANNELS))]
    one = nested_reading("mp-1", T0, values, Quality.SUSPECT)
    two = flat_reading("mp-1", T0 + 1, values, Quality.SUSPECT)
    decoded = decoder().decode(stream([one, [two, one], two]))
    assert decoded.dead == []
    assert decoded.received == 4
    assert decoded.batch.sequence.tolist() == [0, 1, 1, 2]
    assert decoded.batch.index.tolist() == [0, 0, 1, 0]
    assert decoded.batch.time_us.tolist() == [T0, T0 + 1, T0, T0 + 1]
    assert np.array_equal(decoded.batch.values, np.array([values] * 4))
    assert set(decoded.batch.quality.tolist()) == {Quality.SUSPECT}


def test_missing_channels_stay_missing() -> None:
    decoded = decoder().decode(stream([{"pointId": "mp-1", "timestamp": "2025-01-01T00:00:00Z", "oilTemperature": 40}]))
    row = decoded.batch.values[0]
    assert row[CHANNEL_INDEX["oil_temp"]] == 40.0
    assert np.isnan(np.delete(row, CHANNEL_INDEX["oil_temp"])).all()


def test_a_null_channel_was_not_recorded() -> None:
    decoded = decoder().decode(stream([{"pointId": "mp-1", "timestamp": "2025-01-01T00:00:00Z", "v_a": None}]))
    assert decoded.dead == []
    assert np.isnan(decoded.batch.values).all()


WHOLE = [
    (b"not json at all", DeadCause.NOT_JSON),
    (b"", DeadCause.NOT_JSON),
    (b"\xff\xfe", DeadCause.NOT_JSON),
    (b'{"pointId": "mp-1"', DeadCause.NOT_JSON),
    (b"[]", DeadCause.EMPTY),
    (b'"text"', DeadCause.WRONG_TYPE),
    (b"17", DeadCause.WRONG_TYPE),
    (b"null", DeadCause.WRONG_TYPE),
    (b"[" * 40 + b"]" * 40, DeadCause.TOO_DEEP),
    (b'{"pointId":' + b"[" * 200_000, DeadCause.TOO_DEEP),
    (b" " * (1024 * 1024 + 1), DeadCause.TOO_LARGE),
]


@pytest.mark.parametrize(("body", "cause"), WHOLE)
def test_a_fault_of_the_whole_event_is_one_dead_letter(body: bytes, cause: DeadCause) -> None:
    decoded = decoder().decode([event(5, body), event(6, reading("mp-1", 0))])
    assert [(d.sequence, d.index, d.cause) for d in decoded.dead] == [(5, 0, cause)]
    assert decoded.received == 2
    assert len(decoded.batch) == 1


def broken(**more: Any) -> dict[str, Any]:
    return {**reading("mp-1", 1), **more}


ITEMS = [
    ("text", DeadCause.WRONG_TYPE),
    (None, DeadCause.WRONG_TYPE),
    ([1, 2], DeadCause.WRONG_TYPE),
    ({"timestamp": "2025-01-01T00:00:00Z", "v_a": 1.0}, DeadCause.MISSING_FIELD),
    ({"pointId": "mp-1", "v_a": 1.0}, DeadCause.MISSING_FIELD),
    ({"pointId": "mp-1", "timestamp": "2025-01-01T00:00:00Z", "volts": 1.0}, DeadCause.MISSING_FIELD),
    (broken(pointId=7), DeadCause.WRONG_TYPE),
    (broken(pointId="nobody"), DeadCause.UNKNOWN_POINT),
    (broken(timestamp=1.0), DeadCause.WRONG_TYPE),
    (broken(timestamp="2026-01-01 00:00"), DeadCause.BAD_TIMESTAMP),
    (broken(timestamp="2026-02-30T00:00:00Z"), DeadCause.BAD_TIMESTAMP),
    (broken(timestamp="2099-01-01T00:00:00Z"), DeadCause.FUTURE_TIMESTAMP),
    (broken(frequency="50"), DeadCause.WRONG_TYPE),
    (broken(frequency=True), DeadCause.WRONG_TYPE),
    (broken(voltage=[230.0, 230.0, 230.0]), DeadCause.WRONG_TYPE),
    (broken(voltage={"phaseA": {"deep": 1}}), DeadCause.WRONG_TYPE),
    (broken(voltage={"phaseA": math.nan}), DeadCause.NOT_FINITE),
    (broken(current={"phaseA": math.inf}), DeadCause.NOT_FINITE),
    (broken(frequency=10**400), DeadCause.NOT_FINITE),
    (broken(voltage={"phaseA": -1.0}), DeadCause.OUT_OF_RANGE),
    (broken(voltage={"phaseA": 1e9}), DeadCause.OUT_OF_RANGE),
    (broken(quality="fine"), DeadCause.WRONG_TYPE),
    (broken(note="x" * 70_000), DeadCause.TOO_LARGE),
    (status("b9", 0, switchState="open"), DeadCause.UNKNOWN_COMPONENT),
    (status("b1", 0), DeadCause.MISSING_FIELD),
    (status("b1", 0, switchState="ajar"), DeadCause.WRONG_TYPE),
    (status("b1", 0, tapPosition=1.5), DeadCause.WRONG_TYPE),
    (status("b1", 0, tapPosition=True), DeadCause.WRONG_TYPE),
    (status("b1", 0, temperature=math.nan), DeadCause.NOT_FINITE),
    (status("b1", 0, temperature=5000.0), DeadCause.OUT_OF_RANGE),
    ({"componentId": "b1", "switchState": "open"}, DeadCause.MISSING_FIELD),
]


@pytest.mark.parametrize(("item", "cause"), ITEMS)
def test_a_bad_item_costs_only_itself(item: Any, cause: DeadCause) -> None:
    decoded = decoder().decode([event(3, [reading("mp-1", 0), item, reading("mp-2", 0)])])
    assert [(d.sequence, d.index, d.cause) for d in decoded.dead] == [(3, 1, cause)]
    assert [decoded.batch.points[k] for k in decoded.batch.point] == ["mp-1", "mp-2"]
    assert decoded.batch.index.tolist() == [0, 2]
    assert decoded.received == 3


def test_a_number_beyond_a_double_spoils_its_item_only() -> None:
    body = json.dumps([reading("mp-1", 0), reading("mp-2", 0)]).replace("50.0", "1e400", 1).encode()
    decoded = decoder().decode([event(0, body)])
    assert [(d.index, d.cause) for d in decoded.dead] == [(0, DeadCause.NOT_FINITE)]
    assert len(decoded.batch) == 1


def test_the_future_is_judged_by_the_time_of_arrival() -> None:
    late = reading("mp-1", 0)
    assert dead_of(late, enqueued_us=T0 - 299_000_000) == []
    assert dead_of(late, enqueued_us=T0 - 301_000_000) == [(0, 0, "future_timestamp")]


def test_the_device_names_the_point_when_the_body_does_not() -> None:
    body = reading("x", 0)
    del body["pointId"]
    decoded = decoder().decode([event(0, body, device_id="mp-2"), event(1, reading("mp-1", 0), device_id="mp-2")])
    assert [decoded.batch.points[k] for k in decoded.batch.point] == ["mp-2", "mp-1"]


def test_component_reports_are_taken_apart() -> None:
    decoded = decoder().decode([event(4, [status("b1", 1, switchState="open", tapPosition=-3, temperature=40)])])
    (report,) = decoded.statuses
    assert (report.component_id, report.time_us, report.switch_state) == ("b1", T0 + 1_000_000, "open")
    assert (report.tap_position, report.steps_on, report.temperature) == (-3, None, 40.0)
    assert (report.sequence, report.index) == (4, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["pointId", "componentId", "timestamp", "voltage", "v_a", "frequency", "quality", "tapPosition"]
)
items = st.dictionaries(fields, json_values | st.just("mp-1") | st.just("2025-01-01T00:00:00Z"), max_size=6)


@given(
    st.lists(st.binary(max_size=40) | st.lists(items | json_values, max_size=4).map(lambda v: json.dumps(v).encode()))
)
def test_every_item_of_hostile_events_is_accounted_for(bodies: list[bytes]) -> None:
    decoded = decoder().decode([event(i, body) for i, body in enumerate(bodies)])
    keys = [(d.sequence, d.index) for d in decoded.dead]
    keys += list(zip(decoded.batch.sequence.tolist(), decoded.batch.index.tolist(), strict=True))
    keys += [(s.sequence, s.index) for s in decoded.statuses]
    assert len(keys) == len(set(keys)) == decoded.received
    assert not np.isinf(decoded.batch.values).any()
