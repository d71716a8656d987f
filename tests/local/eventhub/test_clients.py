"""The unmodified official clients against the hub: sending, every start position, errors, epochs, one megabyte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumer
from azure.eventhub.aio import EventHubProducerClient as AsyncProducer
from azure.eventhub.exceptions import AuthenticationError, ConnectError, ConnectionLostError

from remhart_adt.local.eventhub import LocalEventHub, start_hub
from remhart_adt.local.eventhub.hashing import partition_for
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS

DEADLINE = 20.0
pytestmark = CLIENT_LEFTOVERS
SCENARIOS: dict[str, Callable[[Path], Awaitable[None]]] = {}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the condition is the hub's, in another thread
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def receiving(connection: str, **options: Any) -> AsyncIterator[list[Any]]:
    """(partition, event) pairs as they come; errors as (partition, exception)."""
    got: list[Any] = []
    client = AsyncConsumer.from_connection_string(connection, "$Default", retry_total=1, retry_backoff_factor=0.1)

    async def on_batch(context: Any, events: list[EventData]) -> None:
        got.extend((context.partition_id, event) for event in events)

    async def on_error(context: Any, problem: Exception) -> None:
        got.append((context.partition_id if context else None, problem))

    task = asyncio.create_task(client.receive_batch(on_batch, on_error=on_error, **options))
    try:
        yield got
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def received(connection: str, count: int, **options: Any) -> list[Any]:
    async with receiving(connection, **options) as got:
        await until(lambda: len(got) >= count)
        return list(got)


def scenario(function: Callable[[LocalEventHub], Awaitable[None]]) -> None:
    """Register a scenario: it gets a hub with two partitions."""

    async def run(_: Path) -> None:
        async with await start_hub(partitions=2) as hub:
            await function(hub)

    SCENARIOS[function.__name__] = run


async def fill(hub: LocalEventHub) -> None:
    """Ten events with properties into each partition, in batches."""
    async with AsyncProducer.from_connection_string(hub.connection_string) as producer:

        async def send(partition: str) -> None:
            batch = await producer.create_batch(partition_id=partition)
            for i in range(10):
                event = EventData(json.dumps({"i": i}))
                event.properties = {"n": i, "s": "é"}
                batch.add(event)
            await producer.send_batch(batch)

        await asyncio.gather(send("0"), send("1"))


@scenario
async def events_keep_body_properties_order_and_positions(hub: LocalEventHub) -> None:
    await fill(hub)
    got = await received(hub.connection_string, 20, starting_position="-1")
    for partition in ("0", "1"):
        events = [event for pid, event in got if pid == partition]
        assert [event.sequence_number for event in events] == list(range(10))
        assert [event.body_as_json() for event in events] == [{"i": i} for i in range(10)]
        assert [event.properties[b"n"] for event in events] == list(range(10))
        assert events[0].properties[b"s"] == "é".encode()
        offsets = [int(event.offset) for event in events]
        assert offsets == sorted(set(offsets))
        assert abs(events[0].enqueued_time - datetime.now(UTC)) < timedelta(minutes=5)


@scenario
async def every_start_position(hub: LocalEventHub) -> None:
    await fill(hub)
    events = [e for e in hub.events() if e.partition == "1"]
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    cases: list[tuple[Any, bool, int]] = [
        ("-1", False, 0),
        (events[4].offset, False, 5),
        (events[4].offset, True, 4),
        (6, False, 7),
        (6, True, 6),
        (hour_ago, False, 0),
    ]
    results = await asyncio.gather(
        *[
            received(
                hub.connection_string,
                10 - first,
                partition_id="1",
                starting_position=position,
                starting_position_inclusive=inclusive,
            )
            for position, inclusive, first in cases
        ]
    )
    for (position, inclusive, first), got in zip(cases, results, strict=True):
        assert [event.sequence_number for _, event in got] == list(range(first, 10)), (position, inclusive)


@scenario
async def latest_delivers_only_what_comes_later(hub: LocalEventHub) -> None:
    async with AsyncProducer.from_connection_string(hub.connection_string) as producer:
        await producer.send_batch([EventData("early")], partition_id="0")
        async with receiving(hub.connection_string, partition_id="0", starting_position="@latest") as got:
            await until(lambda: len(hub.receivers("0")) == 1)
            await producer.send_batch([EventData("late")], partition_id="0")
            await until(lambda: len(got) == 1)
    assert [event.body_as_str() for _, event in got] == ["late"]


@scenario
async def keyed_and_single_events_and_the_last_enqueued_position(hub: LocalEventHub) -> None:
    start = len(hub.events())
    partition = str(partition_for("point-7", 2))
    async with AsyncProducer.from_connection_string(hub.connection_string) as producer:
        batch = await producer.create_batch(partition_key="point-7")
        for i in range(3):
            batch.add(EventData(f"keyed {i}"))
        await producer.send_batch(batch)
        await producer.send_event(EventData("single"), partition_key="point-7")
        await producer.send_event(EventData("to one"), partition_id=partition)
        await producer.send_batch([EventData("anywhere")])
        about = await producer.get_partition_properties(partition)
    events = hub.events()[start:]
    mine = [e for e in events if e.partition == partition and e.body != b"anywhere"]
    assert [e.body for e in mine][-5:] == [b"keyed 0", b"keyed 1", b"keyed 2", b"single", b"to one"]
    assert [e.properties["annotations"].get("x-opt-partition-key") for e in mine][-5:] == ["point-7"] * 4 + [None]
    last = [e for e in hub.events() if e.partition == partition][-1]
    assert (about["last_enqueued_sequence_number"], about["last_enqueued_offset"]) == (last.sequence, last.offset)
    got = await received(
        hub.connection_string,
        1,
        partition_id=partition,
        starting_position=last.sequence,
        starting_position_inclusive=True,
        track_last_enqueued_event_properties=True,
    )
    assert got[0][1].sequence_number == last.sequence


@scenario
async def a_megabyte_goes_in_and_out_and_a_larger_event_is_refused(hub: LocalEventHub) -> None:
    body = bytes(range(256)) * 4060
    async with AsyncProducer.from_connection_string(hub.connection_string) as producer:
        batch = await producer.create_batch(partition_id="1")
        batch.add(EventData(body))
        with pytest.raises(ValueError, match="size"):
            batch.add(EventData(b"x" * 20_000))
        await producer.send_batch(batch)
    last = [e for e in hub.events() if e.partition == "1"][-1]
    got = await received(
        hub.connection_string,
        1,
        partition_id="1",
        starting_position=last.sequence,
        starting_position_inclusive=True,
    )
    assert b"".join(got[0][1].body) == body


@scenario
async def a_wrong_key_an_unknown_hub_and_an_unknown_partition(hub: LocalEventHub) -> None:
    good = hub.connection_string
    wrong, missing = good.replace("SAS_KEY_VALUE", "WRONG"), good.replace("telemetry", "nowhere")

    async def send(connection: str, **to: Any) -> None:
        options: dict[str, Any] = {"retry_total": 0, "retry_backoff_factor": 0.05}
        async with AsyncProducer.from_connection_string(connection, **options) as producer:
            await producer.send_batch([EventData("x")], **to)

    async def ask(connection: str, partition: str) -> None:
        async with AsyncProducer.from_connection_string(connection, retry_total=0) as producer:
            await producer.get_partition_properties(partition)

    count = len(hub.events())
    faults = await asyncio.gather(
        send(wrong), send(missing), send(good, partition_id="9"), ask(wrong, "0"), ask(missing, "0"), ask(good, "9"),
        return_exceptions=True,
    )  # fmt: skip
    kinds = [type(fault) for fault in faults]
    assert kinds[0] is kinds[3] is AuthenticationError
    assert kinds[1] is ConnectionLostError
    assert "could not be found" in str(faults[1])
    assert "Invalid partition 9" in str(faults[2])
    assert kinds[4] is kinds[5] is ConnectError
    assert len(hub.events()) == count


@scenario
async def a_higher_epoch_steals_the_link(hub: LocalEventHub) -> None:
    await fill(hub)
    at: dict[str, Any] = {"partition_id": "0", "starting_position": "-1"}
    async with receiving(hub.connection_string, owner_level=1, **at) as low:
        await until(lambda: len(low) >= 10)
        async with receiving(hub.connection_string, owner_level=2, **at) as high:
            await until(lambda: len(high) >= 10 and len(low) > 10)
        lost = low[10][1]
        assert isinstance(lost, ConnectionLostError)
        assert lost.error == "link:stolen"


@scenario
async def the_synchronous_clients(hub: LocalEventHub) -> None:
    await asyncio.to_thread(synchronous, hub.connection_string)


def synchronous(connection: str) -> None:
    got: list[str] = []
    done = threading.Event()
    with EventHubProducerClient.from_connection_string(connection) as producer:
        assert producer.get_eventhub_properties()["partition_ids"] == ["0", "1"]
        start = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
        batch = producer.create_batch(partition_id="0")
        for i in range(3):
            batch.add(EventData(f"sync {i}"))
        producer.send_batch(batch)

    def on_batch(context: Any, events: list[EventData]) -> None:
        got.extend(event.body_as_str() for event in events)
        if len(got) >= 3:
            done.set()

    consumer = EventHubConsumerClient.from_connection_string(connection, "$Default")
    work = {"on_event_batch": on_batch, "partition_id": "0", "starting_position": start}
    thread = threading.Thread(target=lambda: consumer.receive_batch(**work))
    thread.start()
    assert done.wait(DEADLINE)
    consumer.close()
    thread.join(DEADLINE)
    assert got == ["sync 0", "sync 1", "sync 2"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, outcomes: Callable[[str], None]) -> None:
    outcomes(name)
