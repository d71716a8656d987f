"""Events to an event hub, ours or a real one, with the official producer: the body is the payload, the attributes are
application properties `cloudEvents:*`, and the twin's id is the partition key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from remhart_adt import log
from remhart_adt.errors import MissingExtraError
from remhart_adt.local.adt.events.cloudevents import amqp_properties
from remhart_adt.local.adt.events.types import Outcome, Pending

__all__ = ["HubSender"]

_SECONDS: Final = 30.0


class HubSender:
    """One producer, made when it is first needed and again after every failure.

    Raises MissingExtraError without the packages of `sync`.
    """

    def __init__(self, connection_string: str, eventhub: str | None) -> None:
        try:
            from azure.eventhub import EventData
            from azure.eventhub.aio import EventHubProducerClient
        except ModuleNotFoundError:
            raise MissingExtraError("sync", needed_for="An event hub endpoint") from None
        self._connection_string = connection_string
        self._eventhub = eventhub
        self._event_data = EventData
        self._producer = EventHubProducerClient
        self._client: Any = None

    async def send(self, rows: Sequence[Pending]) -> Outcome:
        """Send one batch for each twin; after a failure the rest is not tried."""
        outcome = Outcome()
        lanes: dict[str, list[Pending]] = {}
        for row in rows:
            lanes.setdefault(row.key, []).append(row)
        for key, lane in lanes.items():
            try:
                async with asyncio.timeout(_SECONDS):
                    await self._send_lane(key, lane, outcome)
            except Exception as error:  # the client's own errors have no common base that could be imported lazily
                text = log.redact(str(error).splitlines()[0]) if str(error) else type(error).__name__
                done = {*outcome.delivered, *outcome.refused}
                outcome.failed = {row.n: f"the event hub: {text}" for row in lane if row.n not in done}
                await self.close()
                break
        return outcome

    async def _send_lane(self, key: str, rows: list[Pending], outcome: Outcome) -> None:
        if self._client is None:
            self._client = self._producer.from_connection_string(
                self._connection_string, eventhub_name=self._eventhub, retry_total=0
            )
        place = 0
        while place < len(rows):
            batch = await self._client.create_batch(partition_key=key)
            first = place
            while place < len(rows):
                try:
                    batch.add(self._message(rows[place]))
                except ValueError:  # the batch is full
                    break
                place += 1
            if place == first:
                outcome.refused[rows[place].n] = "the event is larger than the event hub takes"
                place += 1
                continue
            await self._client.send_batch(batch)
            outcome.delivered += [row.n for row in rows[first:place]]

    def _message(self, row: Pending) -> Any:
        message = self._event_data(row.data.encode())
        message.properties = amqp_properties(row)
        message.content_type = "application/json"
        return message

    async def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
