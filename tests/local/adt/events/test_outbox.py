"""The outbox gives out only what is durable, in order, endpoint by endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from remhart_adt.local.adt.events.outbox import Outbox
from remhart_adt.local.adt.events.types import Event
from remhart_adt.local.adt.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(None)
    yield store
    store.close()


def event(number: int) -> Event:
    return Event("t", {"id": str(number)}, b'{"n": 1}')


async def test_rows_are_taken_when_they_are_committed_and_not_before(store: Store) -> None:
    outbox = Outbox(store)
    outbox.add(event(1), ["e"], 5)
    taking = asyncio.create_task(outbox.take("e", 10))
    await asyncio.sleep(0)
    outbox.add(event(2), ["e"], 6)
    (row,) = await taking
    assert (row.attributes, row.data, row.key, row.created_us) == ({"id": "1"}, '{"n": 1}', "t", 5)
    assert row.structured() == b'{"id":"1","data":{"n": 1}}'
    assert [row.attributes["id"] for row in await outbox.take("e", 10)] == ["1", "2"]
    assert not store.pending


async def test_the_oldest_rows_of_an_endpoint_come_first_and_stay_until_they_are_removed(store: Store) -> None:
    outbox = Outbox(store)
    for number in range(5):
        outbox.add(event(number), ["a", "b"] if number % 2 else ["a"], 0)
    first = await outbox.take("a", 2)
    assert [row.attributes["id"] for row in first] == ["0", "1"]
    assert [row.attributes["id"] for row in await outbox.take("b", 10)] == ["1", "3"]
    assert await outbox.take("none", 10) == []
    await outbox.remove([row.n for row in first])
    assert [row.attributes["id"] for row in await outbox.take("a", 10)] == ["2", "3", "4"]
    assert outbox.counts() == {"a": 3, "b": 2}
    outbox.discard("b")
    assert outbox.counts() == {"a": 3}
