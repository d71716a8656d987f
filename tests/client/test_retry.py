"""The retry policy by itself: waits, jitter, deadline, what is repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.client import RetryPolicy
from remhart_adt.clock import FakeClock
from remhart_adt.errors import (
    BadRequestError,
    GraphError,
    NotFoundError,
    ServiceError,
    ThrottledError,
    UnavailableError,
)


class World:
    """A policy whose clock only moves when it sleeps."""

    def __init__(self, draw: float = 1.0, **options: float) -> None:
        self.clock = FakeClock()
        self.slept: list[float] = []
        self.told: list[tuple[ServiceError, float]] = []

        async def sleep_async(seconds: float) -> None:
            self.sleep(seconds)

        self.policy = RetryPolicy(
            clock=self.clock,
            draw=lambda: draw,
            sleep=self.sleep,
            sleep_async=sleep_async,
            on_retry=lambda error, wait: self.told.append((error, wait)),
            **options,  # type: ignore[arg-type]
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.clock.advance(seconds)

    async def run(self, face: str, attempt: Callable[[int], object]) -> object:
        if face == "sync":
            return self.policy.run(attempt)

        async def awaited(number: int) -> object:
            return attempt(number)

        return await self.policy.run_async(awaited)


def failing(times: int, error: Exception) -> Callable[[int], object]:
    calls: list[int] = []

    def attempt(number: int) -> object:
        calls.append(number)
        assert calls == list(range(1, number + 1)), "attempts are numbered from 1"
        if number <= times:
            raise error
        return f"done at {number}"

    return attempt


FACES = ["sync", "async"]


@pytest.mark.parametrize("face", FACES)
async def test_the_waits_double_up_to_the_longest(face: str) -> None:
    world = World(deadline=100.0, first=0.1, longest=1.0)

    assert await world.run(face, failing(6, UnavailableError("x"))) == "done at 7"
    assert world.slept == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert [wait for _, wait in world.told] == pytest.approx(world.slept)


@pytest.mark.parametrize("face", FACES)
async def test_the_jitter_never_takes_more_than_half(face: str) -> None:
    world = World(draw=0.0, deadline=100.0, first=0.1, longest=1.0)

    await world.run(face, failing(5, UnavailableError("x")))
    assert world.slept == [0.05, 0.1, 0.2, 0.4, 0.5]


@pytest.mark.parametrize("face", FACES)
async def test_retry_after_replaces_the_waits(face: str) -> None:
    world = World(draw=0.5, deadline=100.0, first=0.1)

    await world.run(face, failing(2, ThrottledError("slow", retry_after=5.0)))
    assert world.slept == [5.05, 5.05]


@pytest.mark.parametrize("face", FACES)
async def test_no_repetition_begins_after_the_deadline(face: str) -> None:
    world = World(deadline=1.0, first=0.4, longest=0.4)

    with pytest.raises(UnavailableError):
        await world.run(face, failing(99, UnavailableError("x")))
    assert world.slept == [0.4, 0.4]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "error", [BadRequestError("x"), NotFoundError("x"), ServiceError("x"), GraphError("x"), OSError("x")]
)
async def test_what_cannot_pass_is_raised_at_once(face: str, error: Exception) -> None:
    world = World()

    with pytest.raises(type(error)):
        await world.run(face, failing(1, error))
    assert world.slept == []


@pytest.mark.parametrize("face", FACES)
async def test_a_later_failure_of_another_kind_ends_it(face: str) -> None:
    world = World()

    def attempt(number: int) -> object:
        raise UnavailableError("x") if number == 1 else BadRequestError("y")

    with pytest.raises(BadRequestError):
        await world.run(face, attempt)
    assert len(world.slept) == 1


@given(attempt=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_a_wait_is_never_negative_nor_beyond_the_longest(attempt: int, draw: float) -> None:
    policy = RetryPolicy(draw=lambda: draw)

    assert 0 < policy.delay(attempt, UnavailableError("x")) <= policy.longest
