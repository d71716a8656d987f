"""The one retry policy of this project, for every verb and for the daemon's fast path alike.

The SDK's own policy gives a PATCH or a query up on the first reset, 408, 502 or header-less 429, and it waits without
jitter. Every verb here may be repeated (patches are `add`, telemetry keeps its message id), so one rule fits all:
429, 408, 5xx, resets and timeouts are repeated until the deadline, everything else is raised at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception

from remhart_adt import log
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import ServiceError, ThrottledError, UnavailableError

__all__ = ["RetryPolicy", "is_retryable"]

T = TypeVar("T")

_log = log.get("remhart_adt.client")


def is_retryable(error: BaseException) -> bool:
    """Whether repeating the same request may help."""
    return isinstance(error, ThrottledError | UnavailableError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often a call is repeated.

    `deadline` (s) bounds the call from its first attempt on: no repetition begins after it. The wait before repetition
    n is drawn from [0.5, 1] x min(`longest`, `first` x 2**(n-1)) (half of it fixed: a full-jitter wait can be zero
    many times in a row, which hammers a service that is starting), or is the service's Retry-After plus up to `first`.
    """

    deadline: float = 60.0
    first: float = 0.1
    longest: float = 5.0
    clock: Clock = SYSTEM
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Awaitable[None]] = asyncio.sleep
    on_retry: Callable[[ServiceError, float], None] | None = None

    def delay(self, attempt: int, error: BaseException) -> float:
        """Seconds to wait after attempt `attempt` (from 1) failed with `error`."""
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return float(asked) + self.first * self.draw()
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 30)) * (0.5 + 0.5 * self.draw())

    def run(self, attempt: Callable[[int], T]) -> T:
        """Call `attempt(n)` with n = 1, 2, ... until it returns or must not be repeated."""
        started = self.clock.monotonic()
        try:
            return attempt(1)
        except ServiceError as error:
            if not is_retryable(error):
                raise
            first = error
        # tenacity drives the repetitions. Its first step re-raises the failure above, so that the usual case, a call
        # that works at once, does not pay for building the retry loop (30 us of a 200 us patch).
        for step in Retrying(sleep=self.sleep, **self._rules(started)):
            with step:
                number = step.retry_state.attempt_number
                if number == 1:
                    raise first
                return attempt(number)
        raise AssertionError("unreachable: the loop returns or raises")  # pragma: no cover

    async def run_async(self, attempt: Callable[[int], Awaitable[T]]) -> T:
        """Like `run`, for a coroutine function."""
        started = self.clock.monotonic()
        try:
            return await attempt(1)
        except ServiceError as error:
            if not is_retryable(error):
                raise
            first = error
        async for step in AsyncRetrying(sleep=self.sleep_async, **self._rules(started)):
            with step:
                number = step.retry_state.attempt_number
                if number == 1:
                    raise first
                return await attempt(number)
        raise AssertionError("unreachable: the loop returns or raises")  # pragma: no cover

    def _rules(self, started: float) -> dict[str, Any]:
        def wait(state: RetryCallState) -> float:
            return self.delay(state.attempt_number, _failure(state))

        def stop(state: RetryCallState) -> bool:
            return self.clock.monotonic() + state.upcoming_sleep - started > self.deadline

        def note(state: RetryCallState) -> None:
            error = _failure(state)
            _log.info("attempt %d failed, next in %.2f s: %s", state.attempt_number, state.upcoming_sleep, error)
            if self.on_retry is not None:
                self.on_retry(error, state.upcoming_sleep)

        return {
            "retry": retry_if_exception(is_retryable),
            "wait": wait,
            "stop": stop,
            "before_sleep": note,
            "reraise": True,
        }


def _failure(state: RetryCallState) -> ServiceError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ServiceError):  # pragma: no cover - only asked after a failure that is_retryable accepted
        raise TypeError(f"no service failure to wait for: {error!r}")
    return error
