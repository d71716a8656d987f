"""Events from Azure Event Hubs (or IoT Hub's built-in endpoint), with the official client.

Two ways to divide partitions among processes. *Balanced*: any number of processes of one consumer group share them
through the store's ownership table; a crashed process' partitions are taken over when its ownership expires. *Static*:
this process is told its partitions, takes them at once, and gives up when another process takes them.

What the client does and this hides: it hands events over twice after a reconnect (they are dropped here and counted),
it closes a partition silently when a callback raises (here the exception ends `run`), and it retries for ever without
a word while the hub is away (`probe` is how a watchdog sees that).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from remhart_adt import log
from remhart_adt.errors import ConfigError, MissingExtraError, OwnershipLostError, RemhartError, SourceError
from remhart_adt.sync.sources.events import raw_event
from remhart_adt.sync.sources.positions import client_position, parse_start
from remhart_adt.sync.types import (
    PartitionHandler,
    RawEvent,
    RevokeReason,
    Scope,
    SourceCounters,
    StartAt,
    StartKind,
    Store,
)

__all__ = ["EventHubSource"]

_LOG = log.get(__name__)
_RECEIVER_ROLE: Final = "Give the identity the role 'Azure Event Hubs Data Receiver', or check the connection string"
# A handler call under way when its partition goes away gets this long to return before it is cancelled. It only waits
# for room in the daemon's own queues, which drain within the write deadline; without a bound a stuck writer would keep
# this process from ever giving a partition up.
_FINISH_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 10.0
# An authentication failure is retried once, since a token may expire in mid-stream; a second one this soon is final.
_AUTH_SECONDS: Final = 60.0
_STATIC_TICK_SECONDS: Final = 1.0


class EventHubSource:
    """A `Source` on one event hub.

    `connection`: a connection string, or the namespace's host name with a `credential` (default:
    DefaultAzureCredential). `partitions`: None = balanced, a list = static. `start`: where to begin in a partition the
    store does not know (`earliest`, `latest`, a sequence number, an RFC 3339 time, or a `StartAt`). `prefetch` events
    are buffered for each partition, so memory is bounded by about twice that many events each. `balance_seconds`: how
    often the balanced mode looks for partitions; ownership of a dead process expires after `expire_seconds`.
    """

    def __init__(
        self,
        connection: str,
        eventhub: str | None = None,
        group: str = "$Default",
        *,
        store: Store,
        credential: Any = None,
        partitions: Sequence[str] | None = None,
        start: str | StartAt = "earliest",
        prefetch: int = 300,
        batch: int = 300,
        balance_seconds: float = 10.0,
        expire_seconds: float = 60.0,
        websockets: bool = False,
    ) -> None:
        if partitions is not None and not partitions:
            raise ConfigError("the list of partitions is empty", remedy="Name partitions, or none for balanced mode")
        self._connection = connection
        self._eventhub = eventhub
        self._group = group
        self._credential = credential
        self._store = store
        self._static = None if partitions is None else list(dict.fromkeys(str(p) for p in partitions))
        self._start = parse_start(start)
        self._prefetch = prefetch
        self._batch = batch
        self._balance = balance_seconds if self._static is None else _STATIC_TICK_SECONDS
        self._expire = expire_seconds
        self._websockets = websockets
        self._owner = uuid.uuid4().hex
        self._counters = SourceCounters()
        self._handler: PartitionHandler | None = None
        self._client: Any = None
        self._prober: Any = None
        self._own_credential: Any = None
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._fault: BaseException | None = None
        self._assigned: set[str] = set()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self._auth_failure = float("-inf")

    # --- the public face ----------------------------------------------------------------------------------------

    @property
    def counters(self) -> SourceCounters:
        """Live counters."""
        return self._counters

    @property
    def assigned(self) -> frozenset[str]:
        """The partitions this process holds now."""
        return frozenset(self._assigned)

    @property
    def scope(self) -> Scope:
        """Namespace (with the port, if the connection string has one), event hub and group, as the store knows them."""
        client, _ = self._clients()
        namespace = self._connection
        if _is_connection_string(namespace):
            from azure.eventhub import parse_connection_string

            namespace = parse_connection_string(namespace).fully_qualified_namespace
        return Scope(namespace, client.eventhub_name, self._group)

    async def run(self, handler: PartitionHandler) -> None:
        """See `Source.run`. Raises SourceError (unknown hub, no access), OwnershipLostError (static mode, another
        process took a partition), or what the handler raised."""
        if self._handler is not None:
            raise SourceError("this source is running already, or has been closed")
        self._handler = handler
        try:
            client, _ = self._clients()
            await self._store.bind(self.scope)
            await self._receive(client)
        finally:
            self._stop.set()
            await self._shut()
            self._ended.set()
        if self._fault is not None:
            raise self._fault

    async def close(self) -> None:
        """See `Source.close`; takes about a second, most of it the client's own."""
        self._stop.set()
        if self._handler is not None:
            await self._ended.wait()
        else:
            await self._shut()

    async def probe(self) -> dict[str, int]:
        """See `Source.probe`. Opens its own connections, so it also works while receiving is stuck."""
        _, prober = self._clients()
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                ids = self._static or await prober.get_partition_ids()
                answers = await asyncio.gather(*[prober.get_partition_properties(pid) for pid in ids])
        except TimeoutError:
            raise SourceError(f"no answer within {_PROBE_SECONDS:g} s", where=self._place()) from None
        except Exception as problem:
            raise self._translate(problem) from problem
        return {answer["id"]: answer["last_enqueued_sequence_number"] for answer in answers}

    # --- clients ------------------------------------------------------------------------------------------------

    def _clients(self) -> tuple[Any, Any]:
        """(the receiving client, one that fails at once for probing); made on first use."""
        if self._client is None:
            self._client = self._make(
                checkpoint_store=self._store,
                load_balancing_interval=self._balance,
                partition_ownership_expiration_interval=self._expire,
                retry_backoff_factor=0.2,
                retry_backoff_max=10,
            )
            self._prober = self._make(retry_total=0)
        return self._client, self._prober

    def _make(self, **options: Any) -> Any:
        try:
            from azure.eventhub import TransportType
            from azure.eventhub.aio import EventHubConsumerClient
        except ModuleNotFoundError:
            raise MissingExtraError("sync", needed_for="Reading Event Hubs") from None
        if self._websockets:
            options["transport_type"] = TransportType.AmqpOverWebsocket
        try:
            if _is_connection_string(self._connection):
                return EventHubConsumerClient.from_connection_string(
                    self._connection, self._group, eventhub_name=self._eventhub, **options
                )
            if self._credential is None:
                from azure.identity.aio import DefaultAzureCredential

                self._credential = self._own_credential = DefaultAzureCredential()
            return EventHubConsumerClient(
                self._connection, self._eventhub, self._group, credential=self._credential, **options
            )
        except (ValueError, TypeError) as problem:
            raise ConfigError(
                f"the Event Hubs connection is not usable: {log.redact(str(problem))}",
                remedy="Give a connection string with EntityPath, or the namespace's host name and the hub's name",
            ) from None

    def _place(self) -> str:
        return "/".join(self.scope)

    async def _shut(self) -> None:
        for task in self._checks:
            task.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        for client in (self._client, self._prober, self._own_credential):
            if client is not None:
                await client.close()

    # --- receiving ----------------------------------------------------------------------------------------------

    async def _receive(self, client: Any) -> None:
        position: Any = client_position(self._start)
        if self._start.kind is StartKind.LATEST:
            position = await self._latest_offsets()
        common: dict[str, Any] = {
            "max_batch_size": self._batch,
            "prefetch": self._prefetch,
            "owner_level": 0,  # a later receiver takes over from one that is dead but still connected
            "starting_position": position,
            "on_error": self._on_error,
            "on_partition_initialize": self._on_initialize,
            "on_partition_close": self._on_close,
        }
        if self._static is None:
            jobs = [client.receive_batch(self._on_batch, **common)]
        else:
            jobs = [client.receive_batch(self._on_batch, partition_id=pid, **common) for pid in self._static]
        tasks = [asyncio.create_task(job) for job in jobs]
        tasks.append(asyncio.create_task(self._stop.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and self._fault is None:
                self._fault = self._translate(result)
        for partition in list(self._assigned):  # what the client did not close itself
            await self._revoke(partition, RevokeReason.SHUTDOWN)

    async def _latest_offsets(self) -> dict[str, str]:
        """The end of every partition now. The client's own "@latest" would mean a later end after a reconnect."""
        _, prober = self._clients()
        while not self._stop.is_set():
            try:
                ids = await prober.get_partition_ids()
                answers = await asyncio.gather(*[prober.get_partition_properties(pid) for pid in ids])
            except Exception as problem:
                fault = self._translate(problem)
                if self._is_final(problem):
                    raise fault from problem
                _LOG.warning("%s; trying again", fault)
                await asyncio.sleep(1.0)
            else:
                return {answer["id"]: answer["last_enqueued_offset"] for answer in answers}
        return {}

    async def _on_initialize(self, context: Any) -> None:
        partition = context.partition_id
        try:
            if self._static is not None:
                await self._take(partition)
            resume = await self._store.load(partition)
            high, _ = resume.read_after
            self._counters.last_sequence[partition] = high
            self._assigned.add(partition)
            _LOG.info("partition %s is ours, reading after sequence %d", partition, high)
            await self._guarded(partition, self._the_handler().on_assigned(partition))
        except Exception as problem:
            self._fail(problem)
        else:
            if high >= 0:
                check = asyncio.create_task(self._check_end(partition, high))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)

    async def _take(self, partition: str) -> None:
        """Write ourselves into the store as the owner: commits of an earlier process are refused from now on."""
        owned = {item["partition_id"]: item for item in await self._store.list_ownership(*self.scope)}
        names = ("fully_qualified_namespace", "eventhub_name", "consumer_group")
        fresh = {**dict(zip(names, self.scope, strict=True)), "partition_id": partition}
        claim = {**owned.get(partition, fresh), "owner_id": self._owner}
        if not list(await self._store.claim_ownership([claim])):
            raise OwnershipLostError("another process claimed the partition at the same time", where=partition)

    async def _check_end(self, partition: str, high: int) -> None:
        """A stored position beyond the partition's end means another hub of the same name: nothing would ever come."""
        try:
            answer = await self._clients()[1].get_partition_properties(partition)
        except Exception as problem:  # the hub is away; the check is made again at the next assignment
            _LOG.debug("the end of partition %s could not be checked: %s", partition, problem)
            return
        last = answer["last_enqueued_sequence_number"]
        if last < high:
            self._fail(
                SourceError(
                    f"the partition ends at sequence {last}, before the stored position {high}: "
                    "this is not the event hub that the stored progress belongs to",
                    where=f"{self._place()}/{partition}",
                    remedy="Use a new consumer group or a new checkpoint store",
                )
            )

    async def _on_batch(self, context: Any, events: list[Any]) -> None:
        if self._fault is not None or not events:
            return
        try:
            fresh = self._fresh(context.partition_id, [raw_event(event) for event in events])
            if fresh:
                await self._guarded(context.partition_id, self._the_handler().on_events(context.partition_id, fresh))
        except Exception as problem:
            self._fail(problem)

    def _fresh(self, partition: str, events: list[RawEvent]) -> list[RawEvent]:
        """The events not handed over before, counted."""
        counters = self._counters
        high = counters.last_sequence.get(partition, -1)
        fresh = []
        for event in events:
            if event.sequence <= high:
                counters.redelivered += 1
                continue
            if high >= 0 and event.sequence > high + 1:
                gap = event.sequence - high - 1
                counters.missed += gap
                _LOG.warning("partition %s: %d events after sequence %d are gone from the hub", partition, gap, high)
            high = event.sequence
            fresh.append(event)
        counters.last_sequence[partition] = high
        counters.received += len(fresh)
        counters.received_bytes += sum(len(event.body) for event in fresh)
        return fresh

    async def _guarded(self, partition: str, call: Awaitable[None]) -> None:
        """Await a handler call so that the client's cancelling the partition does not cut it off in the middle."""
        task = asyncio.ensure_future(call)
        self._busy[partition] = task
        task.add_done_callback(lambda _: self._busy.pop(partition, None))
        await asyncio.shield(task)

    async def _on_close(self, context: Any, reason: Any) -> None:
        shutdown = self._stop.is_set() or getattr(reason, "name", "") == "SHUTDOWN"
        await self._revoke(context.partition_id, RevokeReason.SHUTDOWN if shutdown else RevokeReason.OWNERSHIP_LOST)

    async def _revoke(self, partition: str, reason: RevokeReason) -> None:
        if partition not in self._assigned:
            return
        self._assigned.discard(partition)
        try:
            busy = self._busy.get(partition)
            if busy is not None:
                _, late = await asyncio.wait([busy], timeout=_FINISH_SECONDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(busy, return_exceptions=True)
            _LOG.info("partition %s is given up: %s", partition, reason.value)
            await self._the_handler().on_revoked(partition, reason)
        except Exception as problem:
            self._fail(problem)

    def _the_handler(self) -> PartitionHandler:
        assert self._handler is not None
        return self._handler

    # --- faults -------------------------------------------------------------------------------------------------

    def _fail(self, problem: BaseException) -> None:
        """Stop everything; the first fault is what `run` raises."""
        if self._fault is None:
            self._fault = problem
            _LOG.error("receiving stops: %s", problem, exc_info=not isinstance(problem, RemhartError))
        self._stop.set()

    async def _on_error(self, context: Any, problem: Exception) -> None:
        partition = context.partition_id if context is not None else None
        if getattr(problem, "error", None) == "link:stolen" and self._static is not None:
            self._fail(
                OwnershipLostError(
                    "another process reads this partition now",
                    where=f"{self._place()}/{partition}",
                    remedy="Give every process its own partitions, or leave them out to balance",
                )
            )
        elif self._is_final(problem):
            self._fail(self._translate(problem))
        else:
            _LOG.warning("partition %s: %s", partition, self._translate(problem))

    def _is_final(self, problem: Exception) -> bool:
        """Whether trying again cannot help: no such hub or partition, or access denied twice in a row."""
        from azure.eventhub.exceptions import AuthenticationError

        if isinstance(problem, AuthenticationError):
            before, self._auth_failure = self._auth_failure, time.monotonic()
            return not self._assigned or self._auth_failure - before < _AUTH_SECONDS
        return isinstance(problem, ValueError) or _not_found(problem)

    def _translate(self, problem: BaseException) -> RemhartError:
        """The client's exception as one of ours, without secrets."""
        from azure.eventhub.exceptions import AuthenticationError

        if isinstance(problem, RemhartError):
            return problem
        text = log.redact(str(problem).splitlines()[0] if str(problem) else type(problem).__name__)
        if isinstance(problem, AuthenticationError):
            return SourceError(f"access denied: {text}", where=self._place(), remedy=_RECEIVER_ROLE)
        if _not_found(problem):
            return SourceError(
                f"not found: {text}", where=self._place(), remedy="Check the event hub's and the consumer group's name"
            )
        if isinstance(problem, ValueError):
            return SourceError(text, where=self._place(), remedy="Check the list of partitions")
        return SourceError(f"Event Hubs does not answer: {text}", where=self._place())


def _is_connection_string(text: str) -> bool:
    return "endpoint=" in text.lower()


def _not_found(problem: BaseException) -> bool:
    text = str(problem)
    return "not-found" in text or "NotFound" in text or "Status code: 404" in text
