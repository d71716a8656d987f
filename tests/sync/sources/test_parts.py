"""Start positions as people write them, and the client's events as ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remhart_adt.errors import ConfigError
from remhart_adt.sync.sources import parse_start
from remhart_adt.sync.sources.events import raw_event
from remhart_adt.sync.sources.positions import client_position
from remhart_adt.sync.types import RawEvent, StartAt, StartKind


@pytest.mark.parametrize(
    ("text", "start", "position"),
    [
        ("earliest", StartAt(), "-1"),
        (" LATEST ", StartAt(StartKind.LATEST), "-1"),
        ("0", StartAt(StartKind.SEQUENCE, 0), -1),
        ("42", StartAt(StartKind.SEQUENCE, 42), 41),
        (
            "2026-01-01T00:00:00Z",
            StartAt(StartKind.TIME, 1767225600_000000),
            datetime(2025, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        ),
        (
            "2026-01-01T00:00:00.0005Z",
            StartAt(StartKind.TIME, 1767225600_000500),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_start_positions(text: str, start: StartAt, position: Any) -> None:
    assert parse_start(text) == start
    assert parse_start(start) is start
    assert client_position(start) == position


@pytest.mark.parametrize("text", ["", "tomorrow", "-5", "2026-01-01", "٣"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no start position"):
        parse_start(text)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("data", [b"ab", b"cd"], b"abcd"),
        ("data", [b"one"], b"one"),
        ("value", "text", b"text"),
        ("value", b"raw", b"raw"),
        ("value", {"a": 1}, b'{"a": 1}'),
        ("value", {b"a": 1}, b"{b'a': 1}"),
        ("sequence", [[1, 2]], b"[[1, 2]]"),
    ],
)
def test_bodies_of_every_kind_become_bytes(kind: str, body: Any, expected: bytes) -> None:
    from azure.eventhub.amqp import AmqpAnnotatedMessage

    notes = {
        b"x-opt-sequence-number": 5,
        b"x-opt-offset": b"99",
        b"x-opt-enqueued-time": 1000,
        b"iothub-connection-device-id": b"meter-7",
    }
    message: Any = AmqpAnnotatedMessage(**{f"{kind}_body": body}, annotations=notes)

    class Event:
        raw_amqp_message = message

    assert raw_event(Event()) == RawEvent(5, "99", 1_000_000, expected, "meter-7")
