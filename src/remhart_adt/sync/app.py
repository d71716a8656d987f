"""The daemon: puts source, streams, writer, store and health together and takes them apart again.

Start: (1) engine, mapping; (2) graph and models from ADT; (3) writer, store, dead letter, health server; (4) source.
Steady: one loop feeds and flushes, one commits, one looks after graph, connectivity and the source.
End (SIGTERM, SIGINT, end of a file): (1) not ready, nothing more is taken; (2) what was taken is fed and written, at
most `drain_seconds`; (3) commit, with snapshots; (4) source, writer, store closed; (5) report. What could not be
written in time stays uncommitted and is done by the next owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remhart_adt import log
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import CheckpointError, RemhartError, ServiceError, SourceError
from remhart_adt.observe.health import HealthServer
from remhart_adt.sync.checks import ModelChecks
from remhart_adt.sync.deadletter import DeadLetters
from remhart_adt.sync.lanes import Target
from remhart_adt.sync.mapping import Mapping
from remhart_adt.sync.merge import PendingWrites
from remhart_adt.sync.report import make_metrics, make_report
from remhart_adt.sync.service import Service
from remhart_adt.sync.site import Site, build_site, is_point
from remhart_adt.sync.streams import Streams
from remhart_adt.sync.watchdog import Advice, Watchdog
from remhart_adt.sync.write import Writer

if TYPE_CHECKING:
    from remhart_adt.client import AsyncAdtClient
    from remhart_adt.client.hotpath import HotPath
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.sync.config import SyncConfig
    from remhart_adt.sync.types import Source, Store

__all__ = ["EXIT_STALLED", "Daemon", "run"]

_LOG = log.get(__name__)
EXIT_STALLED: Final = 70
_LOOK_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 15.0
_SOURCE_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0)
# Livez fails when the feeding loop has not come round for this long: something blocks the process.
_FROZEN_SECONDS: Final = 60.0


class Daemon:
    """One process of `remhart-adt sync run`. `run` returns the exit code."""

    def __init__(self, config: SyncConfig, *, clock: Clock = SYSTEM) -> None:
        self.config = config
        self.clock = clock
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._exit = 0
        self._source: Source | None = None
        self._source_trouble = ""
        self._store_trouble = ""
        self._graph_trouble = ""
        self._finished_file = False
        self._rebuild = False
        self._points_seen: dict[str, dict[str, Any]] = {}
        self._rels_seen: dict[tuple[str, str], dict[str, Any]] = {}
        self._checks = ModelChecks()
        self._round_at = clock.monotonic()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until stopped. Raises RemhartError when it cannot start."""
        await self._start()
        tasks = [
            asyncio.create_task(self._feed_loop(), name="feed"),
            asyncio.create_task(self._commit_loop(), name="commit"),
            asyncio.create_task(self._look_loop(), name="look"),
            asyncio.create_task(self._source_loop(), name="source"),
            asyncio.create_task(self._stop.wait(), name="stop"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.get_name() != "stop" and not task.cancelled() and task.exception() is not None:
                    raise task.exception()  # type: ignore[misc]  # checked above
        finally:
            await self._end(tasks)
        return self._exit

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    async def _start(self) -> None:
        from remhart_adt.client import Limits, RetryPolicy, connect_async
        from remhart_adt.client.hotpath import HotPath
        from remhart_adt.client.throttle import Throttle
        from remhart_adt.scoring.engine import Engine

        config, write = self.config, self.config.write
        self.engine: Engine = Engine.load(config.models_dir)
        self.mapping = Mapping.load(config.mapping) if config.mapping is not None else None
        throttle = Throttle(None if write.throttle else Limits.unlimited(), self.clock)
        self.client: AsyncAdtClient = connect_async(config.adt.endpoint, throttle=throttle, timeout=write.timeout)
        self.site: Site = await self._load_site()
        self.hot: HotPath = HotPath(
            config.adt.endpoint,
            connections=write.connections,
            timeout=write.timeout,
            retry=RetryPolicy(deadline=write.deadline, clock=self.clock),
            throttle=throttle,
            clock=self.clock,
        )
        self.pending = PendingWrites()
        self.dead = DeadLetters(config.dead_letter)
        self.store: Store = self._make_store()
        self.service = Service(
            self.site.points,
            self.engine,
            self.clock,
            stale=config.limits.stale_seconds,
            offline=config.limits.offline_seconds,
        )
        from_hub = config.source.file is None and self.mapping is not None
        self.streams = Streams(
            self.site,
            self.engine,
            self.store,
            self.pending,
            self.dead,
            config.limits,
            self.clock,
            snapshot_seconds=config.checkpoint.snapshot_seconds,
            translate=self.mapping.translate if from_hub and self.mapping is not None else None,
            on_heard=self.service.heard,
        )
        if config.source.file is not None:
            self.streams.finish_seconds = float("inf")
        self.writer = Writer(
            self.hot,
            self.pending,
            self.streams.bury,
            policy=write.missing_twin,
            create=self._create,
            refusal=self._checks.refusal,
            workers=write.connections,
            clock=self.clock,
        )
        self.watchdog = Watchdog(self.clock, config.limits.stall_seconds)
        self.writer.start()
        self.health = HealthServer(
            alive=lambda: self.clock.monotonic() - self._round_at < _FROZEN_SECONDS,
            problems=self.problems,
            report=self.report,
            metrics=lambda: make_metrics(self),
            mark=self._mark,
        )
        if config.health.port is not None:
            await self.health.start(config.health.host, config.health.port)
        installed = sum(slot.state.value == "installed" for slot in self.engine.slots.values())
        _LOG.info(
            "%d points, %d components, %d models; health on port %d",
            len(self.site.points),
            len(self.site.components),
            installed,
            self.health.port,
        )

    async def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        self.streams.closing = True
        by_name = {task.get_name(): task for task in tasks}
        # The feeding loop is never cancelled: a batch under way would have moved the windows and left the queue without
        # reaching the ledger, and the next batch's checkpoint would pass over it.
        by_name["look"].cancel()
        await asyncio.gather(by_name["feed"], by_name["look"], return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await self._drain()
        if self._source is not None:
            await self._quietly(self._source.close(), "closing the source")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.writer.stop()
        self.streams.shut()
        self.dead.close()
        report = self.report()
        if self.config.report is not None:
            await asyncio.to_thread(_write_report, self.config.report, report)
        await self.health.stop()
        for close, what in (
            (self.store.close, "store"),
            (self.hot.close, "connections"),
            (self.client.close, "client"),
        ):
            await self._quietly(close(), f"closing the {what}")

    async def _drain(self) -> None:
        """Finish what was taken, within the deadline, and commit it."""
        end = self.clock.monotonic() + self.config.limits.drain_seconds
        try:
            while self.clock.monotonic() < end:
                fed = await self.streams.step()
                self.writer.flush()
                if not fed and not self.pending.dirty:
                    break
                await asyncio.sleep(0.02)
            await self.streams.commit()
            await self.streams.snapshot_now()
            await self.streams.commit()
        except Exception as error:
            # Whatever it is, connections and files still have to be closed; nothing uncommitted is lost.
            _LOG.warning("the end was not clean, the next owner repeats the rest: %s", error)

    async def _quietly(self, work: Awaitable[None], what: str) -> None:
        try:
            await asyncio.wait_for(work, 5.0)
        except (Exception, asyncio.CancelledError) as error:
            _LOG.warning("%s: %s", what, error or type(error).__name__)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_store(self) -> Store:
        settings = self.config.checkpoint
        if settings.account is not None:
            from remhart_adt.sync.stores import BlobStore

            return BlobStore(settings.account.get_secret_value(), settings.container)
        from remhart_adt.sync.stores import SqliteStore

        return SqliteStore(settings.path)

    def _make_source(self) -> Source:
        from remhart_adt.sync.sources import EventHubSource, FileSource

        settings = self.config.source
        if settings.file is not None:
            translate = None if self.mapping is None else self.mapping.translate
            return FileSource(settings.file, translate, settings.speed, store=self.store, group=settings.group)
        secret = settings.connection_string
        return EventHubSource(
            secret.get_secret_value() if secret is not None else settings.namespace or "",
            settings.eventhub,
            settings.group,
            store=self.store,
            partitions=settings.partitions,
            start=settings.start,
            prefetch=settings.prefetch,
            websockets=settings.websockets,
            balance_seconds=settings.balance_seconds,
            expire_seconds=settings.expire_seconds,
        )

    async def _load_site(self) -> Site:
        from remhart_adt.graph.snapshot import fetch_async

        live = await fetch_async(self.client)
        # A point that vanishes while we run stays known, with its relationships: its readings are dead-lettered as
        # "twin not found", its windows and alarms go on, and when it is made again it gets everything it has missed.
        twins = {**self._points_seen, **live.twins}
        gone = twins.keys() - live.twins.keys()
        kept = {
            key: rel for key, rel in self._rels_seen.items() if rel["$sourceId"] in gone or rel["$targetId"] in gone
        }
        relationships = {**kept, **live.relationships}
        self._points_seen = {name: twin for name, twin in twins.items() if is_point(twin)}
        self._rels_seen = relationships
        await self._checks.refresh(self.client, twins.values())
        return build_site(twins.values(), relationships.values(), self.mapping)

    async def _create(self, target: Target) -> bool:
        """Make a deleted twin or relationship again as it was loaded; policy `create`."""
        known = self.site.documents.get(target)
        if known is None:
            return False
        try:
            if target.relationship:
                await self.client.relationships.put(target.twin, target.relationship, _bare(known))
            else:
                await self.client.twins.put(target.twin, _bare(known))
        except ServiceError as error:
            _LOG.warning("%s cannot be created again: %s", target, error)
            return False
        return True

    # --- loops --------------------------------------------------------------------------------------------------------

    async def _feed_loop(self) -> None:
        """Feed what has come, flush what is pending; about every `flush_ms`, at once while there is a backlog. Ends by
        itself after the batch under way when nothing more is taken."""
        pause = self.config.write.flush_ms / 1000.0
        while not self.streams.closing:
            self._round_at = self.clock.monotonic()
            self.streams.paused = self.writer.blocked is not None or bool(self._store_trouble)
            await self.streams.step()
            self.writer.flush()
            if self.writer.fault is not None:
                raise self.writer.fault
            # The pause is what makes batches: fed at once, every event would be a batch of its own.
            await asyncio.sleep(pause if not self.streams.backlog else 0.01)

    async def _commit_loop(self) -> None:
        while True:
            await asyncio.sleep(self.config.checkpoint.every_seconds)
            try:
                await self.streams.commit()
            except CheckpointError as error:
                if not self._store_trouble:
                    _LOG.error("nothing more is taken until this is over: %s", error)
                self._store_trouble = str(error)
            else:
                self._store_trouble = ""

    async def _look_loop(self) -> None:
        """Connectivity, the graph, the source's end."""
        now = self.clock.monotonic()
        graph_at, probe_at = now + self.config.graph_refresh_seconds, now + _PROBE_SECONDS
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self.clock.monotonic()
            pace = 1000.0 * self.streams.busy_seconds / max(1, self.streams.readings)
            self.streams.offer(self.service.tick(pace))
            if await self.streams.compute(self.engine.refresh):
                self.service.describe_again()
            if now >= graph_at:
                graph_at = now + self.config.graph_refresh_seconds
                await self._refresh()
            if now >= probe_at:
                probe_at = now + _PROBE_SECONDS
                await self._watch()

    async def _refresh(self) -> None:
        try:
            fresh = await self._load_site()
        except RemhartError as error:
            if not self._graph_trouble:
                _LOG.warning("the graph could not be refreshed, the last one stays: %s", error)
            self._graph_trouble = str(error)
            return
        self._graph_trouble = ""
        again = self.pending.look_again(fresh.documents)
        if again:
            _LOG.info("%d twins or relationships were made again", again)
        if fresh.signature() != self.site.signature():
            _LOG.info("the graph has changed")
            self.site = fresh
            self.service.adopt(fresh.points)
            await self.streams.adopt(fresh)

    async def _watch(self) -> None:
        source = self._source
        if source is None or self.config.source.file is not None:
            return
        try:
            ends = await source.probe()
        except SourceError as error:
            self._source_trouble = str(error)
            return
        self._source_trouble = ""
        ours = {name: stream.seen for name, stream in self.streams.streams.items()}
        advice = self.watchdog.judge(ours, ends, held_back=self.streams.held_back or self.streams.paused)
        if advice is Advice.FINE:
            return
        _LOG.error("the source says nothing while it has more: %s", self.watchdog.behind)
        if advice is Advice.GIVE_UP:
            self._exit = EXIT_STALLED
            self.stop()
            return
        self._rebuild = True
        await source.close()

    async def _source_loop(self) -> None:
        """Run the source; a new one after a failure, for as long as it takes."""
        failures = 0
        while not self._stop.is_set():
            source = self._source = self._make_source()
            self._rebuild = False
            started = self.clock.monotonic()
            self.ready.set()
            try:
                await source.run(self.streams)
            except SourceError as error:
                self._source_trouble = str(error)
                _LOG.error("the source failed: %s", error)
            except CheckpointError as error:
                self._source_trouble = str(error)
                _LOG.error("the source stopped: %s", error)
            else:
                if not self._rebuild:
                    if self.config.source.file is not None:
                        _LOG.info("the file is read to its end")
                    self.stop()
                    return
            failures = 0 if self.clock.monotonic() - started > 60.0 else failures + 1
            await asyncio.sleep(_SOURCE_BACKOFF[min(failures, len(_SOURCE_BACKOFF) - 1)])

    # --- what it tells ------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Why it is not ready; empty when it is."""
        found = [self._source_trouble, self._store_trouble]
        if self.streams.closing:
            found.append("closing")
        elif not self.streams.streams:
            found.append("no partition is assigned yet")
        if self.writer.blocked is not None:
            found.append(str(self.writer.blocked))
        if self.pending.dirty and self.clock.monotonic() - self.writer.last_success > 2 * self.config.write.timeout:
            found.append("no write to Azure Digital Twins has succeeded lately")
        return [text for text in found if text]

    def report(self) -> dict[str, Any]:
        """Everything that was counted."""
        return make_report(self)

    def _mark(self) -> None:
        self.writer.latency.reset()
        self.streams.rate.reset()


def _bare(document: Any) -> dict[str, Any]:
    """A loaded document without what the service owns, so that it can be created again."""
    plain = {key: value for key, value in document.items() if key not in ("$etag", "$dtId", "$metadata")}
    metadata = document.get("$metadata")
    if metadata:
        plain["$metadata"] = {"$model": metadata["$model"]}
        for key, value in plain.items():
            if key != "$metadata" and isinstance(value, dict) and "$metadata" in value:
                plain[key] = {**value, "$metadata": {}}
    return plain


def _write_report(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def run(config: SyncConfig, on_ready: Callable[[dict[str, Any]], None] | None = None) -> int:
    """Run the daemon in this process until SIGTERM or SIGINT; its exit code.

    `on_ready` is called once the health server listens and the source was started.
    """

    async def main() -> int:
        daemon = Daemon(config)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, daemon.stop)

        async def announce() -> None:
            await daemon.ready.wait()
            if on_ready is not None:
                on_ready({"pid": os.getpid(), "health": f"http://{config.health.host}:{daemon.health.port}"})

        told = asyncio.create_task(announce())
        try:
            return await daemon.run()
        finally:
            told.cancel()

    if sys.platform == "win32":
        raise RemhartError("the daemon needs POSIX signals", remedy="Run it on Linux or in a container")
    return asyncio.run(main())
