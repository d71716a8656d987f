"""The bad readings that the demo sends on purpose: one event each, with the cause it must die of."""

from __future__ import annotations

import json
from collections.abc import Iterator

from remhart_adt.clock import format_us
from remhart_adt.readings import DeadCause

__all__ = ["bad_events"]


def _body(point_id: str, time_us: int, **changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "pointId": point_id,
        "timestamp": format_us(time_us),
        "voltage": {"phaseA": 230.0, "phaseB": 230.0, "phaseC": 230.0},
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


def bad_events(point_id: str, time_us: int) -> Iterator[tuple[DeadCause, bytes]]:
    """(cause, event body) pairs around an otherwise good reading of `point_id` at `time_us` (microseconds).

    None of them may change a twin: had one been applied, the checker would see a value that no oracle has.
    """

    def event(cause: DeadCause, **changes: object) -> tuple[DeadCause, bytes]:
        return cause, json.dumps(_body(point_id, time_us, **changes)).encode()

    yield DeadCause.NOT_JSON, b'{"pointId": "' + point_id.encode() + b'", "voltage": '
    yield DeadCause.NOT_JSON, b"\xff\xfe not text at all"
    yield event(DeadCause.WRONG_TYPE, voltage={"phaseA": "230", "phaseB": 230.0, "phaseC": 230.0})
    yield event(DeadCause.WRONG_TYPE, voltage=[230.0, 230.0, 230.0])
    yield event(DeadCause.WRONG_TYPE, frequency=True)
    yield event(DeadCause.NOT_FINITE, frequency=float("nan"))
    yield event(DeadCause.NOT_FINITE, frequency=float("inf"))
    yield event(DeadCause.UNKNOWN_POINT, pointId="no-such-point")
    yield event(DeadCause.UNKNOWN_POINT, pointId="точка-😀")
    yield event(DeadCause.MISSING_FIELD, timestamp=...)
    yield event(DeadCause.BAD_TIMESTAMP, timestamp="yesterday at noon")
    yield event(DeadCause.BAD_TIMESTAMP, timestamp="2026-02-30T12:00:00Z")
    yield event(DeadCause.FUTURE_TIMESTAMP, timestamp=format_us(time_us + 3_600_000_000))
    yield event(DeadCause.OUT_OF_RANGE, voltage={"phaseA": -230.0, "phaseB": 230.0, "phaseC": 2.3e8})
    yield DeadCause.EMPTY, b"[]"
    yield DeadCause.TOO_DEEP, b"[" * 200 + b"]" * 200
    # Close to the largest event the hub takes, and no reading: it must cost one entry and no stall.
    yield event(DeadCause.TOO_LARGE, comment="x" * 1_000_000)
    component = {"componentId": "no-such-component", "timestamp": format_us(time_us), "switchState": "open"}
    yield DeadCause.UNKNOWN_COMPONENT, json.dumps(component).encode()
