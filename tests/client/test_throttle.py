"""Token buckets on a clock that is moved by hand: never more than the budget in any second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt import limits as published
from remhart_adt.client import Kind, Limits, Throttle, TokenBucket
from remhart_adt.clock import FakeClock


def most_in_a_second(times: list[float]) -> int:
    times = sorted(times)
    return max((sum(start <= t < start + 1.0 for t in times) for start in times), default=0)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3)

    assert [round(bucket.reserve(0.0), 6) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]


def test_a_bucket_refills_but_not_beyond_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    for _ in range(3):
        bucket.reserve(0.0)

    assert [round(bucket.reserve(100.0), 6) for _ in range(4)] == [0, 0, 0, 0.1]


def test_a_paused_bucket_lets_one_through_after_the_pause() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    bucket.pause(5.0)

    assert [round(bucket.reserve(0.0), 6) for _ in range(2)] == [5.0, 5.1]


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5)])
def test_a_bucket_that_cannot_work_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="a bucket needs"):
        TokenBucket(rate, burst)


@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 10),
    gaps=st.lists(st.floats(0, 0.5), min_size=1, max_size=120),
)
def test_no_second_ever_holds_more_than_rate_plus_burst(rate: float, burst: int, gaps: list[float]) -> None:
    bucket, now, sent = TokenBucket(rate, burst), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + bucket.reserve(now))

    assert most_in_a_second(sent) <= rate + burst + 1e-6


BUDGETS = {
    Kind.READ: published.ADT_READ_PER_SECOND,
    Kind.PATCH: published.ADT_PATCH_PER_SECOND,
    Kind.CREATE: published.ADT_CREATE_DELETE_PER_SECOND,
    Kind.QUERY: published.ADT_QUERY_PER_SECOND,
    Kind.MODELS: published.ADT_MODELS_PER_SECOND,
}


@pytest.mark.parametrize("kind", BUDGETS)
def test_a_storm_of_calls_stays_below_the_published_rate_and_near_it(kind: Kind) -> None:
    clock = FakeClock()
    throttle = Throttle(Limits(create_slow_start=False), clock)

    sent = [clock.monotonic() + throttle.reserve(kind, f"t{i}") for i in range(3000)]

    assert 0.75 * BUDGETS[kind] <= most_in_a_second(sent) <= published.MARGIN * BUDGETS[kind] + 1


def test_one_twin_gets_nine_writes_a_second_and_does_not_hold_the_others() -> None:
    throttle = Throttle(clock=FakeClock())

    hot = [throttle.reserve(Kind.PATCH, "hot") for _ in range(100)]

    assert most_in_a_second(hot) == 9
    assert hot[-1] > 10
    assert throttle.reserve(Kind.PATCH, "cold") < 1
    assert throttle.reserve(Kind.READ) == 0


def test_a_throttled_twin_waits_alone() -> None:
    throttle = Throttle(clock=FakeClock())
    throttle.throttled(Kind.PATCH, "hot", 7.0)

    assert throttle.reserve(Kind.PATCH, "hot") == pytest.approx(7.0)
    assert throttle.reserve(Kind.PATCH, "cold") == 0


def test_creations_begin_slowly_double_each_second_and_halve_on_a_429() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)

    def rate() -> float:
        """How many creations the next second would take, without taking them."""
        bucket = throttle._kinds[Kind.CREATE]
        return round(bucket.rate + bucket.burst)

    assert rate() == 45
    seen = []
    for _ in range(6):
        clock.advance(1.0)
        throttle.reserve(Kind.CREATE, None)
        seen.append(rate())
    assert seen == [90, 180, 360, 450, 450, 450]

    throttle.throttled(Kind.CREATE, None, 3.0)
    assert rate() == 225
    assert throttle.reserve(Kind.CREATE) == pytest.approx(3.0)
    clock.advance(3.5)
    throttle.reserve(Kind.CREATE)
    assert rate() == 225
    clock.advance(1.0)
    throttle.reserve(Kind.CREATE)
    assert rate() == 450


def test_unlimited_never_waits() -> None:
    throttle = Throttle(Limits.unlimited(), FakeClock())

    assert {throttle.reserve(Kind.PATCH, "t") for _ in range(5000)} == {0.0}


def test_twins_that_are_idle_are_forgotten() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for i in range(25_000):
        throttle.reserve(Kind.PATCH, f"t{i}")
        clock.advance(0.01)

    assert len(throttle._twins) <= 10_001
