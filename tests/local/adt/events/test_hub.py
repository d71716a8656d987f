"""Events in an event hub, read back with the official consumer: payload as body, attributes as properties, order."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import pytest
from azure.eventhub.aio import EventHubConsumerClient

from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS, HubThread

pytestmark = CLIENT_LEFTOVERS

ROOM = "dtmi:test:Room;1"
DEADLINE = 20.0


def received(connection: str, count: int) -> list[Any]:
    """The events of all partitions, partition by partition in order."""

    async def run() -> list[Any]:
        got: dict[str, list[Any]] = {}
        client = EventHubConsumerClient.from_connection_string(connection, "$Default", retry_total=1)

        async def on_batch(context: Any, events: list[Any]) -> None:
            got.setdefault(context.partition_id, []).extend(events)

        task = asyncio.create_task(client.receive_batch(on_batch, starting_position="-1"))
        try:
            async with asyncio.timeout(DEADLINE):
                while sum(map(len, got.values())) < count:  # noqa: ASYNC110 - the callback is the client's
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()
        return [event for partition in sorted(got) for event in got[partition]]

    return asyncio.run(run())


def properties(event: Any) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in event.properties.items()}


def rename(wire: Any, twin: str, value: str) -> None:
    assert wire("PATCH", f"/digitaltwins/{twin}", [{"op": "add", "path": "/name", "value": value}]).status == 204


def test_the_official_consumer_reads_payload_attributes_and_key(stage: Any, local_eventhub: HubThread) -> None:
    stage.endpoint("hub", kind="eventhub", connectionString=local_eventhub.connection_string)
    stage.route("hub")
    twin = stage.wire.twin("r", ROOM, name="ü").json
    headers = {"Message-Id": "m-1", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    stage.wire("POST", "/digitaltwins/r/telemetry", {"Temperature": 10}, headers=headers)
    created, telemetry = received(local_eventhub.connection_string, 2)

    host = stage.wire.server.endpoint.removeprefix("http://")
    assert orjson.loads(created.body_as_str()) == twin
    assert (created.content_type, created.partition_key) == ("application/json", b"r")
    found = properties(created)
    assert list(found) == [
        f"cloudEvents:{name}" for name in ("specversion", "type", "source", "id", "time", "subject", "traceparent")
    ]
    assert found["cloudEvents:type"] == "Microsoft.DigitalTwins.Twin.Create"
    assert (found["cloudEvents:source"], found["cloudEvents:subject"]) == (host, "r")

    assert telemetry.body_as_str() == '{"Temperature": 10}'
    assert properties(telemetry) == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": "microsoft.iot.telemetry",
        "cloudEvents:source": f"{host}/digitaltwins/r",
        "cloudEvents:id": "m-1",
        "cloudEvents:dataschema": ROOM,
        "cloudEvents:traceparent": headers["traceparent"],
    }
    stage.until(lambda: stage.health()["delivered"] == 2)


def test_a_hub_that_was_away_gets_everything_in_order(stage: Any, local_eventhub: HubThread) -> None:
    twins = [f"t{number}" for number in range(8)]
    for twin in twins:
        stage.wire.twin(twin, ROOM)
    stage.endpoint("hub", kind="eventhub", connectionString=local_eventhub.connection_string)
    stage.route("hub")
    for twin in twins:
        rename(stage.wire, twin, "0")
    stage.until(lambda: stage.health()["pending"] == 0)
    local_eventhub.do(lambda hub: hub.refuse())
    for number in range(1, 6):
        for twin in twins:
            rename(stage.wire, twin, str(number))
    stage.until(lambda: stage.health()["retries"] > 0)
    local_eventhub.do(lambda hub: hub.listen())
    stage.until(lambda: stage.health()["pending"] == 0)

    events = local_eventhub.do(lambda hub: hub.events())
    for twin in twins:
        of_twin = [event for event in events if event.properties["cloudEvents:subject"] == twin]
        values = [orjson.loads(event.body)["patch"][0]["value"] for event in of_twin]
        assert list(dict.fromkeys(values)) == [str(number) for number in range(6)]
        assert len({event.partition for event in of_twin}) == 1
    assert len({event.partition for event in events}) > 1


@pytest.mark.parametrize(
    ("package", "document"),
    [
        (
            "azure.eventhub",
            {"kind": "eventhub", "connectionString": "Endpoint=sb://h;SharedAccessSignature=s;EntityPath=e"},
        ),
        ("aiohttp", {"kind": "webhook", "url": "http://h/x"}),
    ],
)
def test_an_endpoint_whose_packages_are_missing_says_what_to_install(
    stage: Any, monkeypatch: pytest.MonkeyPatch, package: str, document: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LocalServerError, match=r"pip install 'remhart-adt\[sync\]'"):
        stage.endpoint("end", **document)
