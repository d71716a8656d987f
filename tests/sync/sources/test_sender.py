"""The sender: arrays per point, order per point, outages, refusals."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.errors import ConfigError, SourceError
from remhart_adt.local.eventhub import LocalEventHub, start_hub
from remhart_adt.local.eventhub.hashing import partition_for
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS
from remhart_adt.sync.sources import EventHubSender

pytestmark = CLIENT_LEFTOVERS
SCENARIOS: dict[str, Callable[[Path], Awaitable[None]]] = {}


def scenario(function: Callable[[LocalEventHub], Awaitable[None]]) -> None:
    """Register a scenario: it gets a hub with four partitions."""

    async def run(_: Path) -> None:
        async with await start_hub(partitions=4) as hub:
            await function(hub)

    SCENARIOS[function.__name__] = run


@scenario
async def readings_of_a_point_stay_together_in_order_and_in_arrays(hub: LocalEventHub) -> None:
    sent = [{"pointId": f"p{i % 10}", "n": i} for i in range(255)] + [{"componentId": "T1", "tapPosition": 2}]
    async with EventHubSender(hub.connection_string, per_event=10) as sender:
        await sender.send(sent)
    by_point: dict[str, list[int]] = defaultdict(list)
    for event in hub.events():
        array = json.loads(event.body)
        assert 1 <= len(array) <= 10
        (key,) = {row.get("pointId", row.get("componentId")) for row in array}
        assert event.partition == str(partition_for(key, 4))
        by_point[key] += [row.get("n", -1) for row in array]
    assert by_point == {**{f"p{k}": list(range(k, 255, 10)) for k in range(10)}, "T1": [-1]}
    assert (sender.counters.readings, sender.counters.events) == (256, len(hub.events()))
    assert sender.counters.bytes == sum(len(event.body) for event in hub.events())


@scenario
async def more_than_a_batch_is_sent_in_several_without_waiting_for_the_flush(hub: LocalEventHub) -> None:
    filler = "x" * 20_000
    sender = EventHubSender(hub.connection_string, per_event=50)
    await sender.send([{"pointId": "p", "n": n, "filler": filler} for n in range(150)])
    assert sender.counters.readings >= 50  # 3 MB do not wait in memory
    await sender.close()
    rows = [row["n"] for event in hub.events() for row in json.loads(event.body)]
    assert rows == list(range(150))
    assert all(len(event.body) < 300_000 for event in hub.events())


@scenario
async def a_single_reading_is_no_array_and_raw_bodies_keep_their_place(hub: LocalEventHub) -> None:
    async with EventHubSender(hub.connection_string, per_event=1) as sender:
        await sender.send([{"pointId": "p", "n": 1}])
        await sender.send_body("p", b"not json")
        await sender.send([{"pointId": "p", "n": 2}])
    assert [event.body for event in hub.events()] == [b'{"pointId":"p","n":1}', b"not json", b'{"pointId":"p","n":2}']
    async with EventHubSender(hub.connection_string, per_event=5) as sender:
        await sender.send([{"pointId": "p", "n": 3}])
        await sender.send_body("p", b"also not")
        await sender.send([{"pointId": "p", "n": 4}])
    assert [event.body for event in hub.events()][3:] == [
        b'[{"pointId":"p","n":3}]',
        b"also not",
        b'[{"pointId":"p","n":4}]',
    ]


@scenario
async def an_outage_is_waited_out(hub: LocalEventHub) -> None:
    async with EventHubSender(hub.connection_string, per_event=1) as sender:
        await sender.send([{"pointId": "p", "n": 1}])
        await sender.flush()
        hub.refuse()
        await sender.send([{"pointId": "p", "n": 2}])
        flush = asyncio.create_task(sender.flush())
        await asyncio.sleep(1)
        assert not flush.done()
        await hub.listen()
        await flush
        assert sender.counters.readings == 2
        assert sender.counters.retries > 0
    assert [json.loads(event.body)["n"] for event in hub.events()] == [1, 2]


@scenario
async def what_cannot_be_sent_is_an_error(hub: LocalEventHub) -> None:
    async def send(sender: EventHubSender, body: bytes) -> None:
        await sender.send_body("p", body)
        await sender.flush()

    async def fault(connection: str, body: bytes = b"x", patience: float = 60) -> str:
        sender = EventHubSender(connection, patience=patience)
        with pytest.raises(SourceError) as caught:
            await send(sender, body)
        await sender._client.close()
        assert "SAS_KEY_VALUE" not in str(caught.value)
        return str(caught.value)

    good = hub.connection_string
    nobody = good.replace(f":{hub.port};", ":9;")
    faults = await asyncio.gather(
        fault(good.replace("SAS_KEY_VALUE", "WRONG")),
        fault(good.replace("telemetry", "nowhere")),
        fault(nobody, patience=0.5),
        fault(good, b"x" * 1_100_000),
    )
    for text, expected in zip(
        faults, ("access denied", "404", "cannot be sent", "larger than the hub takes"), strict=True
    ):
        assert expected in text
    assert hub.events() == []


@pytest.mark.parametrize(
    ("connection", "options"),
    [("Endpoint=sb://h;SharedAccessKeyName=a", {}), ("Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b", {})],
)
def test_a_connection_that_cannot_work_is_refused(connection: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        EventHubSender(connection, **options)


def test_an_array_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="per event"):
        EventHubSender("Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=t", per_event=0)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, outcomes: Callable[[str], None]) -> None:
    outcomes(name)
