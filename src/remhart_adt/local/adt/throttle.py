"""The service's rate limits, counted over any one second. Off unless asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from remhart_adt import limits

__all__ = ["Throttle"]

_LIMITS: Final = {
    "patch": limits.ADT_PATCH_PER_SECOND,
    "read": limits.ADT_READ_PER_SECOND,
    "create": limits.ADT_CREATE_DELETE_PER_SECOND,
    "models": limits.ADT_MODELS_PER_SECOND,
    "query": limits.ADT_QUERY_PER_SECOND,
}
_WINDOW: Final = 1.0
_SWEEP: Final = 10_000


class Throttle:
    """`refuses` says whether a request goes over a limit; refused requests do not count."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: dict[str, deque[float]] = {kind: deque() for kind in _LIMITS}
        self._twins: dict[str, deque[float]] = {}

    def refuses(self, kind: str, twin_id: str | None) -> bool:
        """Whether this request would be one too many.

        `twin_id` is given for what creates, updates or deletes a twin or one of its relationships; telemetry has no
        number of its own.
        """
        now = self._now()
        times = self._kinds.get(kind)
        if times is not None and _full(times, now, _LIMITS[kind]):
            return True
        if twin_id is not None:
            own = self._twins.get(twin_id)
            if own is None:
                if len(self._twins) >= _SWEEP:
                    self._twins = {key: held for key, held in self._twins.items() if held[-1] > now - _WINDOW}
                own = self._twins[twin_id] = deque()
            if _full(own, now, limits.ADT_PER_TWIN_PER_SECOND):
                return True
            own.append(now)
        if times is not None:
            times.append(now)
        return False


def _full(times: deque[float], now: float, limit: int) -> bool:
    while times and times[0] <= now - _WINDOW:
        times.popleft()
    return len(times) >= limit
