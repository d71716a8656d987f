"""The service's two time formats, from ticks of 100 ns that never repeat within one server."""

from __future__ import annotations

from datetime import UTC, datetime

from remhart_adt.clock import SYSTEM, Clock

__all__ = ["Ticker", "model_time", "twin_time"]

_PER_SECOND = 10_000_000


class Ticker:
    """Strictly increasing ticks since the Unix epoch, so that later updates always carry later times."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """The current time in ticks, at least one after the last one given."""
        self._last = max(self._clock.now_us() * 10, self._last + 1)
        return self._last

    def restart(self) -> None:
        """Forget the last one: the clock was put back."""
        self._last = 0


_prefix: tuple[int, str] = (-1, "")


def twin_time(ticks: int) -> str:
    """`2023-06-01T20:30:50.1073294Z`: always seven digits."""
    global _prefix
    seconds, fraction = divmod(ticks, _PER_SECOND)
    known, text = _prefix
    if known != seconds:  # formatting a date costs more than the rest, and many updates share a second
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        _prefix = (seconds, text)
    return f"{text}{fraction:07d}Z"


def model_time(ticks: int) -> str:
    """`2023-06-01T20:30:47.37817+00:00`: trailing zeros dropped."""
    whole, _, fraction = twin_time(ticks)[:-1].partition(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}+00:00" if digits else f"{whole}+00:00"
