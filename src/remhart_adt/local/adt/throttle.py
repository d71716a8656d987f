"""The service's rate limits of one instance, counted over any one second of the server's clock. Off unless asked for.

1. One twin takes 500 operations at once. 2. A twin and its relationships take ten changes a second. 3. The instance
takes so many requests of a kind a second. 4. Queries may cost 4,000 query units a second: what a query costs is known
when it has run, so it is the next one that is refused. Refused requests do not count.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from remhart_adt import limits
from remhart_adt.clock import SYSTEM, Clock

__all__ = ["Refusal", "Throttle"]

Refusal = Literal["", "rate", "quota"]
"""Empty: admitted. `rate` is answered by the gateway, `quota` by the query engine."""

_LIMITS: Final = {
    "patch": limits.ADT_PATCH_PER_SECOND,
    "read": limits.ADT_READ_PER_SECOND,
    "create": limits.ADT_CREATE_DELETE_PER_SECOND,
    "models": limits.ADT_MODELS_PER_SECOND,
    "query": limits.ADT_QUERY_PER_SECOND,
    "routes": limits.ADT_ROUTES_PER_SECOND,
    "jobs": limits.ADT_JOBS_PER_SECOND,
}
_CHANGES: Final = frozenset({"patch", "create"})
_WINDOW: Final = 1.0
_SWEEP: Final = 10_000


class Throttle:
    """`admit` says whether a request may run; who was admitted to a twin calls `done` when it is answered.

    `capacity` scales the limits of the instance: the service grows into its published numbers over minutes, so 0.1
    plays an instance that was idle. The limits of one twin do not scale.
    """

    def __init__(
        self, clock: Clock = SYSTEM, *, enabled: bool = True, retry_after: int = 5, capacity: float = 1.0
    ) -> None:
        self._clock = clock
        self.enabled = enabled
        self.retry_after = retry_after
        self.capacity = capacity
        self._kinds: dict[str, deque[float]] = {}
        self._twins: dict[str, deque[float]] = {}
        self._outstanding: dict[str, int] = {}
        self._charges: deque[tuple[float, float]] = deque()

    def admit(self, kind: str, twin_id: str | None) -> Refusal:
        """Whether a request of this kind, on this twin or one of its relationships, would be one too many.

        Telemetry has no number of its own.
        """
        if twin_id is not None and self._outstanding.get(twin_id, 0) >= limits.ADT_OUTSTANDING_PER_TWIN:
            return "rate"
        now = self._clock.monotonic()
        times = self._kinds.setdefault(kind, deque()) if kind in _LIMITS else None
        if times is not None and _full(times, now, self._scaled(_LIMITS[kind])):
            return "rate"
        if kind == "query" and self._spent(now) >= self._scaled(limits.ADT_QUERY_UNITS_PER_SECOND):
            return "quota"
        if twin_id is not None:
            if kind in _CHANGES:
                own = self._changes_of(twin_id, now)
                if _full(own, now, limits.ADT_PER_TWIN_PER_SECOND):
                    return "rate"
                own.append(now)
            self._outstanding[twin_id] = self._outstanding.get(twin_id, 0) + 1
        if times is not None:
            times.append(now)
        return ""

    def done(self, twin_id: str | None) -> None:
        """A request that was admitted to this twin is answered, or given up."""
        if twin_id is None:
            return
        left = self._outstanding.get(twin_id, 0) - 1
        if left > 0:
            self._outstanding[twin_id] = left
        else:
            self._outstanding.pop(twin_id, None)

    def charge(self, units: float) -> None:
        """A query has cost so many units."""
        self._charges.append((self._clock.monotonic(), units))

    def clear(self) -> None:
        """Forget what was counted, requests that are under way included: while this is off nobody calls `done`."""
        self._kinds.clear()
        self._twins.clear()
        self._outstanding.clear()
        self._charges.clear()

    def _scaled(self, limit: int) -> int:
        return max(1, int(limit * self.capacity))

    def _spent(self, now: float) -> float:
        while self._charges and self._charges[0][0] <= now - _WINDOW:
            self._charges.popleft()
        return sum(units for _, units in self._charges)

    def _changes_of(self, twin_id: str, now: float) -> deque[float]:
        own = self._twins.get(twin_id)
        if own is None:
            if len(self._twins) >= _SWEEP:
                self._twins = {key: held for key, held in self._twins.items() if held and held[-1] > now - _WINDOW}
            own = self._twins[twin_id] = deque()
        return own


def _full(times: deque[float], now: float, limit: int) -> bool:
    while times and times[0] <= now - _WINDOW:
        times.popleft()
    return len(times) >= limit
