"""Time, in one place: source times are integer microseconds since the Unix epoch (UTC), waiting is monotonic.

Everything that waits or asks the time takes a `Clock`, so that tests can jump it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["SYSTEM", "Clock", "FakeClock", "SystemClock", "format_us", "parse_us"]

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


class Clock(Protocol):
    """`now_us` is wall time in microseconds; `monotonic` is seconds that never go back."""

    def now_us(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Wall time in microseconds since the epoch."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()


@dataclass
class FakeClock:
    """A clock that tests move by hand."""

    wall_us: int = 1_700_000_000_000_000
    steady: float = field(default=0.0)

    def now_us(self) -> int:
        """Wall time in microseconds since the epoch."""
        return self.wall_us

    def monotonic(self) -> float:
        """Seconds since this clock was made, plus every advance."""
        return self.steady

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self.steady += seconds
        self.wall_us += round(seconds * 1e6)


SYSTEM = SystemClock()


def parse_us(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time with a zone; finer digits are cut.

    Raises ValueError when the text is no RFC 3339 date-time or names an impossible instant.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 date-time with a zone: {text[:40]!r}")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    leap = second == 60  # RFC 3339 allows a leap second; it is the first instant of the next minute
    whole = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    micros = int((match[7] or "").ljust(6, "0")[:6] or 0)
    offset = 0
    if match[8]:
        if int(match[9]) > 23 or int(match[10]) > 59:
            raise ValueError(f"impossible zone offset: {text[:40]!r}")
        offset = (int(match[9]) * 60 + int(match[10])) * (60 if match[8] == "+" else -60)
    return (int(whole.timestamp()) + (1 if leap else 0) - offset) * 1_000_000 + (0 if leap else micros)


def format_us(us: int) -> str:
    """RFC 3339 text in UTC; whole seconds without a fraction, else six digits."""
    seconds, micros = divmod(us, 1_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{micros:06d}Z" if micros else f"{stamp}Z"
