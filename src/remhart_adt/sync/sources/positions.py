"""Start positions: what people write, what the Event Hubs client wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from remhart_adt.clock import parse_us
from remhart_adt.errors import ConfigError
from remhart_adt.sync.types import StartAt, StartKind

__all__ = ["client_position", "parse_start"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_start(text: str | StartAt) -> StartAt:
    """`earliest`, `latest`, a sequence number, or an RFC 3339 time; ConfigError for anything else."""
    if isinstance(text, StartAt):
        return text
    word = text.strip()
    if word.lower() in (StartKind.EARLIEST, StartKind.LATEST):
        return StartAt(StartKind(word.lower()))
    if word.isascii() and word.isdigit():
        return StartAt(StartKind.SEQUENCE, int(word))
    try:
        return StartAt(StartKind.TIME, parse_us(word))
    except ValueError:
        raise ConfigError(
            f"{word[:60]!r} is no start position",
            remedy="Use earliest, latest, a sequence number, or a time such as 2026-01-31T06:00:00Z",
        ) from None


def client_position(start: StartAt) -> str | int | datetime:
    """The position for the client, which starts *after* it; LATEST must have been resolved to an offset before."""
    match start.kind:
        case StartKind.SEQUENCE:
            return start.value - 1
        case StartKind.TIME:  # the hub keeps milliseconds
            return _EPOCH + timedelta(milliseconds=-(-start.value // 1000) - 1)
        case _:
            return "-1"
