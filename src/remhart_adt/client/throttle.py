"""Staying under the service's rates: token buckets per kind of call and per twin, on the `Clock`.

A bucket that refills at `rate` and holds `burst` lets at most `rate + burst` calls through in any second. The service
counts calls in a second, so every bucket here is built with rate + burst <= `MARGIN` x the published limit; otherwise
a burst after a pause would earn a 429 of our own making.
"""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from remhart_adt import limits as published
from remhart_adt.clock import SYSTEM, Clock

__all__ = ["Kind", "Limits", "Throttle", "TokenBucket"]

# The share of a bucket's budget that may go out at once after a pause; the rest is its steady rate.
_BURST_SHARE: Final = 0.1
# A twin's budget is 9 calls a second; two at once (a twin and its relationship) and seven more over the second.
_TWIN_BURST: Final = 2
# Older limit pages allow 50 creations a second, newer ones 500: begin with the old number and double each second
# that passes without a 429; halve on one. Worst case: a bulk load takes four seconds longer than it could.
_CREATE_START: Final = 50
# Twins whose bucket is full again are forgotten once this many are remembered.
_TWINS_REMEMBERED: Final = 10_000


class Kind(enum.Enum):
    """What a call counts as for the service's limits."""

    READ = "read"
    PATCH = "patch"
    CREATE = "create"
    QUERY = "query"
    MODELS = "models"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls per second that may leave this process, by kind, and per twin for writes; 0 means unlimited."""

    read: float = published.ADT_READ_PER_SECOND * published.MARGIN
    patch: float = published.ADT_PATCH_PER_SECOND * published.MARGIN
    create: float = published.ADT_CREATE_DELETE_PER_SECOND * published.MARGIN
    query: float = published.ADT_QUERY_PER_SECOND * published.MARGIN
    models: float = published.ADT_MODELS_PER_SECOND * published.MARGIN
    # The service publishes no rate for telemetry; it travels the same way as a patch.
    telemetry: float = published.ADT_PATCH_PER_SECOND * published.MARGIN
    per_twin: float = published.ADT_PER_TWIN_PER_SECOND * published.MARGIN
    create_slow_start: bool = True

    @classmethod
    def unlimited(cls) -> Limits:
        """No bucket at all (a server of one's own, a benchmark)."""
        return cls(0, 0, 0, 0, 0, 0, 0, False)


@dataclass(slots=True)
class TokenBucket:
    """A bucket in its shortest form: the time at which it will be full again (the virtual scheduling algorithm).

    `reserve` always succeeds and says how long to wait; reservations are served in the order they were made.
    """

    rate: float
    burst: float
    full_at: float = field(default=float("-inf"))

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst < 1:
            raise ValueError(f"a bucket needs rate > 0 and burst >= 1, not {self.rate} and {self.burst}")

    def reserve(self, now: float) -> float:
        """Take one token at `now` (seconds, monotonic) and return the seconds to wait before using it."""
        step = 1.0 / self.rate
        start = self.full_at if self.full_at > now else now
        self.full_at = start + step
        wait = start - now - (self.burst - 1) * step
        return wait if wait > 0 else 0.0

    def pause(self, until: float) -> None:
        """Let nothing through before `until`, and only one at once then."""
        self.full_at = max(self.full_at, until + (self.burst - 1) / self.rate)


class Throttle:
    """All buckets of one process for one instance. Safe to share between threads."""

    def __init__(self, limits: Limits | None = None, clock: Clock = SYSTEM) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Kind, TokenBucket] = {}
        for kind in Kind:
            budget = getattr(self.limits, kind.value)
            if budget:
                self._kinds[kind] = _bucket(budget)
        self._twins: dict[str, TokenBucket] = {}
        self._create_ceiling = self.limits.create
        self._create_grown = clock.monotonic()
        if self.limits.create_slow_start and self.limits.create > _CREATE_START:
            self._kinds[Kind.CREATE] = _bucket(_CREATE_START * published.MARGIN)

    def reserve(self, kind: Kind, twin: str | None = None) -> float:
        """Reserve one call of this kind, writing to `twin` if one is named; returns the seconds to wait first."""
        with self._lock:
            now = self._clock.monotonic()
            wait = 0.0
            bucket = self._kinds.get(kind)
            if bucket is not None:
                if kind is Kind.CREATE:
                    self._grow(now)
                    bucket = self._kinds[kind]
                wait = bucket.reserve(now)
            if twin is not None and self.limits.per_twin:
                wait = max(wait, self._twin(twin, now).reserve(now))
            return wait

    def throttled(self, kind: Kind, twin: str | None, retry_after: float) -> None:
        """A 429 came back: hold this twin for `retry_after` seconds, and halve the rate of creations."""
        with self._lock:
            now = self._clock.monotonic()
            if twin is not None and self.limits.per_twin:
                self._twin(twin, now).pause(now + retry_after)
            if kind is Kind.CREATE and kind in self._kinds:
                budget = max(_CREATE_START * published.MARGIN, _budget(self._kinds[kind]) / 2)
                slower = _bucket(min(budget, self._create_ceiling))
                slower.pause(now + retry_after)
                self._kinds[kind] = slower
                self._create_grown = now + retry_after

    def wait(self, kind: Kind, twin: str | None = None) -> None:
        """Block until one call of this kind may go out."""
        delay = self.reserve(kind, twin)
        if delay:
            time.sleep(delay)

    async def wait_async(self, kind: Kind, twin: str | None = None) -> None:
        """Wait until one call of this kind may go out."""
        delay = self.reserve(kind, twin)
        if delay:
            await asyncio.sleep(delay)

    def _twin(self, twin: str, now: float) -> TokenBucket:
        bucket = self._twins.get(twin)
        if bucket is None:
            if len(self._twins) >= _TWINS_REMEMBERED:
                self._twins = {name: old for name, old in self._twins.items() if old.full_at > now}
            budget = self.limits.per_twin
            burst = min(_TWIN_BURST, max(1.0, budget - 1.0))
            bucket = self._twins[twin] = TokenBucket(max(budget - burst, budget / 2), burst)
        return bucket

    def _grow(self, now: float) -> None:
        bucket = self._kinds[Kind.CREATE]
        budget = _budget(bucket)
        if budget < self._create_ceiling and now - self._create_grown >= 1.0:
            faster = _bucket(min(budget * 2, self._create_ceiling))
            faster.full_at = bucket.full_at
            self._kinds[Kind.CREATE] = faster
            self._create_grown = now


def _bucket(budget: float) -> TokenBucket:
    burst = max(1.0, budget * _BURST_SHARE)
    return TokenBucket(max(budget - burst, budget / 2), burst)


def _budget(bucket: TokenBucket) -> float:
    return bucket.rate + bucket.burst
