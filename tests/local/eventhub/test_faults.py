"""The injected faults, as the official client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumer

from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub import start_hub
from remhart_adt.local.eventhub.codec import encode
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS

pytestmark = CLIENT_LEFTOVERS


async def test_detach_reset_pause_rewind_and_an_outage() -> None:
    got: list[int] = []
    errors: list[Exception] = []
    more = asyncio.Event()

    async def on_batch(context: Any, events: list[EventData]) -> None:
        got.extend(int(event.sequence_number or 0) for event in events)
        more.set()

    async def on_error(context: Any, problem: Exception) -> None:
        errors.append(problem)

    async with await start_hub(partitions=1) as hub:

        def put() -> None:
            event = b"\x00\x53\x75" + encode(b"x")
            hub.hub.ingest(event, batch=False, partition=hub.hub.partitions[0])

        async def arrives(expected: list[int]) -> None:
            async with asyncio.timeout(15):
                while got != expected:
                    more.clear()
                    await more.wait()

        # The client counts a consumer's errors over its whole life and starts over from the first position after them.
        client = AsyncConsumer.from_connection_string(
            hub.connection_string, "$Default", retry_total=10, retry_backoff_factor=0.05, load_balancing_interval=1
        )
        task = asyncio.create_task(
            client.receive_batch(on_batch, on_error=on_error, partition_id="0", starting_position="-1")
        )
        put()
        await arrives([0])

        for condition in ("com.microsoft:server-busy", "amqp:link:detach-forced"):
            assert hub.detach(condition) == 1
            put()
            await arrives(list(range(len(got) + 1)))
        hub.reset()
        put()
        await arrives([0, 1, 2, 3])
        assert not errors  # the client recovers from all of these by itself

        hub.pause()
        put()
        await asyncio.sleep(0.3)
        assert got == [0, 1, 2, 3]
        hub.resume()
        await arrives([0, 1, 2, 3, 4])

        hub.rewind()
        await arrives([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])

        port = hub.port
        hub.refuse()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
        await hub.listen()
        assert hub.port == port
        put()
        await arrives([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5])

        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_a_taken_port_and_a_public_address_are_refused() -> None:
    async with await start_hub() as hub:
        with pytest.raises(LocalServerError, match="cannot listen"):
            await start_hub(port=hub.port)
    with pytest.raises(LocalServerError, match="reachable from other machines"):
        await start_hub(host="0.0.0.0")
    with pytest.raises(LocalServerError, match="is not an address"):
        await start_hub(host="no such host")
