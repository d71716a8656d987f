"""The Event Hubs source over the real client: positions, restarts, outages, back-pressure, ownership, faults."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from keeping import Keeper

from remhart_adt.errors import ConfigError, OwnershipLostError, SourceError
from remhart_adt.local.eventhub import LocalEventHub, start_hub
from remhart_adt.local.eventhub.codec import Symbol, encode
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS
from remhart_adt.sync.sources import EventHubSource, eventhub
from remhart_adt.sync.stores import SqliteStore
from remhart_adt.sync.types import Commit, RevokeReason, Source, StartAt, StartKind

pytestmark = CLIENT_LEFTOVERS
SCENARIOS: dict[str, Callable[[Path], Awaitable[None]]] = {}


def put(hub: LocalEventHub, *bodies: str, partition: int = 0, device: str | None = None) -> None:
    for body in bodies:
        event = b"\x00\x53\x75" + encode(body.encode())
        if device is not None:
            event = b"\x00\x53\x72" + encode({Symbol("iothub-connection-device-id"): device}) + event
        hub.hub.ingest(event, batch=False, partition=hub.hub.partitions[partition])


@asynccontextmanager
async def running(source: EventHubSource, handler: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(source.run(handler))
    try:
        yield task
    finally:
        await source.close()
        await asyncio.gather(task, return_exceptions=True)


def scenario(function: Callable[[LocalEventHub, Callable[[], SqliteStore]], Awaitable[None]]) -> None:
    """Register a scenario: it gets a hub with two partitions, and a function that opens the same store anew."""

    async def run(folder: Path) -> None:
        made: list[SqliteStore] = []

        def store() -> SqliteStore:
            made.append(SqliteStore(folder / "c.sqlite"))
            return made[-1]

        try:
            async with await start_hub(partitions=2) as hub:
                await function(hub, store)
        finally:
            await asyncio.gather(*[each.close() for each in made])

    SCENARIOS[function.__name__.removeprefix("test_")] = run


@scenario
async def a_restart_reads_on_after_the_snapshot(hub: LocalEventHub, stores: Callable[[], SqliteStore]) -> None:
    put(hub, *[f"{i}" for i in range(10)], device="meter-7")
    put(hub, "other", partition=1)
    source = EventHubSource(hub.connection_string, store=stores(), partitions=["0", "1"])
    assert isinstance(source, Source)
    handler = Keeper(source._store)
    async with running(source, handler):
        await handler.until(lambda: handler.count == 11)
        assert [event.body for event in handler.events["0"]] == [b"%d" % i for i in range(10)]
        first = handler.events["0"][0]
        assert (first.sequence, first.offset, first.device_id) == (0, "0", "meter-7")
        assert first.enqueued_us == hub.events()[0].enqueued_us
        assert handler.events["1"][0].device_id is None
        fifth, eighth = handler.events["0"][4], handler.events["0"][7]
        await source._store.commit("0", Commit(7, eighth.offset, {"applied": 8}, (4, fifth.offset, b"w")))
        await source._store.commit("1", Commit(0, handler.events["1"][0].offset, {}))
        assert source.counters.received == 11
        assert await source.probe() == {"0": 9, "1": 0}
    assert sorted(handler.log[-2:]) == [("revoked", "0", "shutdown"), ("revoked", "1", "shutdown")]
    assert not handler.overlapped

    put(hub, "late", partition=1)
    again = EventHubSource(hub.connection_string, store=stores(), partitions=["0", "1"])
    handler = Keeper(again._store)
    async with running(again, handler):
        await handler.until(lambda: handler.count == 6)
    assert handler.sequences == {"0": [5, 6, 7, 8, 9], "1": [1]}  # 5 to 7 warm the windows, 8 is the first new one
    assert again.counters.redelivered == 0


@scenario
async def balanced_processes_share_the_partitions_and_hand_them_over(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    put(hub, "a")
    put(hub, "b", partition=1)
    options: dict[str, Any] = {"balance_seconds": 0.5, "expire_seconds": 20}
    one = EventHubSource(hub.connection_string, store=stores(), **options)
    first = Keeper(one._store)
    async with running(one, first):
        await first.until(lambda: first.count == 2)
        for partition in ("0", "1"):
            await one._store.commit(partition, Commit(0, first.events[partition][0].offset, {}))
        two = EventHubSource(hub.connection_string, store=stores(), **options)
        second = Keeper(two._store)
        async with running(two, second):
            await second.until(lambda: len(two.assigned) == 1)
            await first.until(lambda: len(one.assigned) == 1)
            assert one.assigned | two.assigned == {"0", "1"}
            (moved,) = two.assigned
            assert ("revoked", moved, RevokeReason.OWNERSHIP_LOST.value) in first.log
            put(hub, "c")
            put(hub, "d", partition=1)
            await first.until(lambda: first.count == 3)
            await second.until(lambda: second.count == 1)
            assert second.sequences == {moved: [1]}
            with pytest.raises(OwnershipLostError):
                await one._store.commit(moved, Commit(1, "999", {}))
            await one.close()
            await second.until(lambda: len(two.assigned) == 2)


@scenario
async def resets_detaches_and_an_outage_neither_lose_nor_repeat_an_event(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    put(hub, "a")
    source = EventHubSource(hub.connection_string, store=stores(), partitions=["0"])
    handler = Keeper(source._store)
    async with running(source, handler):
        await handler.until(lambda: handler.count == 1)
        hub.reset()
        put(hub, "b")
        await handler.until(lambda: handler.count == 2)
        hub.detach("com.microsoft:server-busy")
        put(hub, "c")
        await handler.until(lambda: handler.count == 3)
        hub.rewind()  # the service has re-sent a partition from its start before
        put(hub, "d")
        await handler.until(lambda: handler.count == 4)
        assert source.counters.redelivered == 3
        hub.refuse()
        with pytest.raises(SourceError, match="does not answer"):
            await source.probe()
        await hub.listen()
        put(hub, "e")
        await handler.until(lambda: handler.count == 5)
        assert await source.probe() == {"0": 4}
    assert handler.sequences == {"0": [0, 1, 2, 3, 4]}
    assert handler.log == [("assigned", "0"), ("revoked", "0", "shutdown")]


@scenario
async def a_receiver_the_client_gives_up_is_assigned_again_from_the_stored_position(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    put(hub, *"abc")
    source = EventHubSource(hub.connection_string, store=stores(), balance_seconds=0.5)
    handler = Keeper(source._store)
    async with running(source, handler):
        await handler.until(lambda: handler.count == 3)
        await source._store.commit("0", Commit(1, handler.events["0"][1].offset, {}))
        hub.detach("amqp:link:stolen", partition="0")  # the client closes the receiver on this one
        await handler.until(lambda: ("revoked", "0", "ownership_lost") in handler.log)
        await handler.until(lambda: handler.log.count(("assigned", "0")) == 2 and handler.count == 1)
    assert handler.sequences == {"0": [2], "1": []}


@scenario
async def a_handler_that_waits_stops_the_reading_and_loses_nothing(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    source = EventHubSource(hub.connection_string, store=stores(), partitions=["0"], prefetch=20, batch=20)
    handler = Keeper(source._store)
    handler.gate.clear()
    put(hub, *[str(i) for i in range(200)])
    async with running(source, handler):
        await handler.until(lambda: ("assigned", "0") in handler.log)
        await handler.until_called()
        await asyncio.sleep(0.5)
        (link,) = hub.receivers("0")
        assert link.next_sequence <= 80  # what the hub sent: a few prefetch windows, not everything
        handler.gate.set()
        await handler.until(lambda: handler.count == 200)
    assert handler.sequences["0"] == list(range(200))


@scenario
async def closing_waits_for_the_handler_call_under_way(hub: LocalEventHub, stores: Callable[[], SqliteStore]) -> None:
    put(hub, "a")
    source = EventHubSource(hub.connection_string, store=stores(), partitions=["0"])
    handler = Keeper(source._store)
    handler.gate.clear()
    async with running(source, handler) as task:
        await handler.until_called()
        closing = asyncio.create_task(source.close())
        await asyncio.sleep(0.2)
        assert not closing.done()
        assert handler.log == [("assigned", "0")]
        handler.gate.set()
        await closing
        await task
    assert handler.sequences == {"0": [0]}
    assert handler.log == [("assigned", "0"), ("revoked", "0", "shutdown")]
    with pytest.raises(SourceError, match="running already"):
        await source.run(handler)


@scenario
async def an_exception_of_the_handler_ends_the_run_loudly(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    put(hub, "a")
    source = EventHubSource(hub.connection_string, store=stores(), partitions=["0"])
    handler = Keeper(source._store)
    handler.fault = ZeroDivisionError("a bug")
    async with asyncio.timeout(15):
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await source.run(handler)
    assert handler.log == [("assigned", "0"), ("revoked", "0", "shutdown")]


@scenario
async def of_two_static_processes_the_later_takes_over_and_the_earlier_gives_up(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    put(hub, "a")
    one = EventHubSource(hub.connection_string, store=stores(), partitions=["0"])
    two = EventHubSource(hub.connection_string, store=stores(), partitions=["0"])
    first, second = Keeper(one._store), Keeper(two._store)
    async with running(one, first) as task:
        await first.until(lambda: first.count == 1)
        async with running(two, second):
            await second.until(lambda: second.count == 1)
            with pytest.raises(OwnershipLostError, match="another process"):
                await task
            with pytest.raises(OwnershipLostError):
                await one._store.commit("0", Commit(0, "0", {}))
            await two._store.commit("0", Commit(0, "0", {}))


@scenario
async def start_positions_in_an_unknown_partition(hub: LocalEventHub, stores: Callable[[], SqliteStore]) -> None:
    put(hub, "a", "b")
    await asyncio.sleep(0.005)
    put(hub, "c", "d")
    cut = hub.events()[2].enqueued_us
    starts = ["latest", "1", StartAt(StartKind.SEQUENCE, 0), StartAt(StartKind.TIME, cut), "earliest"]
    sources = [
        EventHubSource(hub.connection_string, group=f"g{i}", store=stores(), partitions=["0"], start=start)
        for i, start in enumerate(starts)
    ]
    handlers = [Keeper(source._store) for source in sources]
    tasks = [asyncio.create_task(source.run(handler)) for source, handler in zip(sources, handlers, strict=True)]
    await asyncio.gather(*[handler.until(lambda h=handler: ("assigned", "0") in h.log) for handler in handlers])
    put(hub, "e")
    await asyncio.gather(*[h.until(lambda h=h: h.count > 0 and h.sequences["0"][-1] == 4) for h in handlers])
    await asyncio.gather(*[source.close() for source in sources])
    await asyncio.gather(*tasks)
    assert [handler.sequences["0"][0] for handler in handlers] == [4, 1, 0, 2, 0]
    assert all(b == a + 1 for h in handlers for a, b in itertools.pairwise(h.sequences["0"]))


@scenario
async def no_access_no_hub_no_partition_and_another_hub_end_the_run(
    hub: LocalEventHub, stores: Callable[[], SqliteStore]
) -> None:
    good = hub.connection_string
    known = stores()
    await known.bind(EventHubSource(good, store=known).scope)
    await known.commit("0", Commit(5000, "999999", {}))
    await known.close()

    async def fault(connection: str, partition: str = "0", group: str = "new") -> str:
        source = EventHubSource(connection, group=group, store=stores(), partitions=[partition])
        async with asyncio.timeout(20):
            with pytest.raises(SourceError) as caught:
                await source.run(Keeper(source._store))
        assert "SAS_KEY_VALUE" not in str(caught.value)
        return str(caught.value)

    faults = await asyncio.gather(
        fault(good.replace("SAS_KEY_VALUE", "WRONG")),
        fault(good.replace("telemetry", "nowhere")),
        fault(good, partition="9"),
        fault(good, group="$Default"),
    )
    for text, expected in zip(
        faults, ("access denied", "not found", "Wrong partition id", "not the event hub"), strict=True
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("connection", "options"),
    [
        ("Endpoint=sb://h;SharedAccessKeyName=a", {}),
        ("Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b", {}),
        ("Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=t", {"start": "tomorrow"}),
        ("Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=t", {"partitions": []}),
    ],
)
async def test_settings_that_cannot_work_are_refused(connection: str, options: dict[str, Any], tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.sqlite")
    with pytest.raises(ConfigError):
        _ = EventHubSource(connection, store=store, **options).scope
    await store.close()


async def test_a_handler_call_that_never_ends_does_not_keep_the_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventhub, "_FINISH_SECONDS", 0.1)
    store = SqliteStore(tmp_path / "c.sqlite")
    async with await start_hub(partitions=1) as hub:
        put(hub, "a")
        source = EventHubSource(hub.connection_string, store=store, partitions=["0"])
        handler = Keeper(store)
        handler.gate.clear()
        async with running(source, handler):
            await handler.until_called()
    assert handler.running == 0
    assert handler.log[-1] == ("revoked", "0", "shutdown")
    await store.close()


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, outcomes: Callable[[str], None]) -> None:
    outcomes(name)
