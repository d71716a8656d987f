"""The whole job on one screen: stage, models, graph, daemon, history, live readings with events, judgement."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from remhart_adt.checker import Case
from remhart_adt.clock import SYSTEM, format_us
from remhart_adt.demo.play import Sent, play_history, play_live
from remhart_adt.demo.report import ModelShares, Outcome, judge, summary
from remhart_adt.demo.setting import (
    GROUP,
    apply_graph,
    free_port,
    live_graph,
    start_daemon,
    upload_models,
    write_yaml,
)
from remhart_adt.demo.stage import Stage, get_json
from remhart_adt.demo.supply import supply_differences
from remhart_adt.demo.view import Moment, View
from remhart_adt.errors import ConfigError, LocalServerError
from remhart_adt.graph import GraphSpec
from remhart_adt.graph.snapshot import LiveGraph
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT
from remhart_adt.observe import percentile_between
from remhart_adt.simulate import Scenario, Tick
from remhart_adt.sync.sources import EventHubSender
from remhart_adt.sync.types import Scope

__all__ = ["Demo", "Options"]

_MARKER: Final = ".remhart-demo"
# What lies between choosing the start and the first live reading: the history has to be sent and worked off. Live
# readings that come later than planned keep their own times.
_LEAD_S: Final = 20
_READY_S: Final = 60.0
_DRAIN_S: Final = 120.0
# The events need this many readings; a play of fewer seconds is read more often than once a second.
_FEWEST_READINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for. `seconds` None: until interrupted."""

    folder: Path
    seconds: float | None = 60.0
    seed: int = 1
    keep: bool = False


@dataclass(slots=True)
class _Figures:
    history_s: float = 0.0
    live_s: float = 0.0
    live_readings: int = 0
    latency_before: dict[str, int] = field(default_factory=dict)

    def live(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """The delays and the rate since the live part began, from the daemon's numbers for its whole life."""
        after = report.get("latency_histogram_ms", {})
        return {
            "latency_p50_ms": percentile_between(self.latency_before, after, 0.50),
            "latency_p99_ms": percentile_between(self.latency_before, after, 0.99),
            "readings_per_s": report.get("readings_per_s_recent"),
        }

    def to_json(self, history: int, ledger: Mapping[str, Any]) -> dict[str, Any]:
        """For the report of the run."""
        return {
            **self.live(ledger),
            "history_readings": history,
            "history_readings_per_s": round(history / self.history_s, 1) if self.history_s else None,
            "readings_per_s": round(self.live_readings / self.live_s, 1) if self.live_s else None,
        }


class Demo:
    """One run. `play` raises a RemhartError when it cannot be carried through; a run that was carried through and did
    not hold what was promised is an `Outcome` that did not pass."""

    def __init__(self, options: Options, view: View) -> None:
        self.options = options
        self.view = view
        _fresh_folder(options.folder)
        self.stage = Stage(options.folder)
        self.sent = Sent()
        self.shares = ModelShares()
        self.figures = _Figures()
        self.against: list[str] = []
        self.spec: GraphSpec | None = None
        self._stopped = False
        self._last_us = 0
        self._period_us = 1_000_000
        self._daemon_port = free_port()

    async def play(self) -> Outcome:
        """Play the simulated feeder through the real thing."""
        scenario = self.scenario()
        async with self.on_stage(scenario.graph()):
            await self.play_history(scenario)
            with self._interruptible():
                await self._live(scenario)
            return await self.finish(scenario.expected_alarms())

    def scenario(self) -> Scenario:
        """The play of these options; its live part begins soon after now."""
        start_us = (SYSTEM.now_us() // 1_000_000 + _LEAD_S) * 1_000_000
        seconds = self.options.seconds
        period_s = 1.0 if seconds is None else min(1.0, round(seconds / _FEWEST_READINGS, 3))
        self._period_us = round(period_s * 1e6)
        return Scenario(seed=self.options.seed, start_us=start_us, period_s=period_s, seconds=seconds)

    # --- the stage --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def on_stage(self, graph: dict[str, Any] | Path) -> AsyncIterator[None]:
        """Stand-ins up, models uploaded, graph applied, daemon ready; everything is stopped at the end."""
        started = time.monotonic()
        stage = self.stage
        try:
            await asyncio.gather(asyncio.to_thread(stage.start_adt), asyncio.to_thread(stage.start_hub))
            self.view.say(f"stand-ins: ADT at {stage.endpoint}, Event Hub with {stage.partitions} partitions")
            count = await asyncio.to_thread(upload_models, stage.endpoint)
            path = stage.folder / "graph.yaml"
            if isinstance(graph, Path):
                shutil.copyfile(graph, path)
            else:
                write_yaml(path, graph)
            self.spec, plan = await apply_graph(stage.endpoint, path)
            self.view.say(f"models: {count} uploaded in one call; graph: {plan}")
            before = await asyncio.to_thread(live_graph, stage.endpoint)
            documents = {"twins": list(before.twins.values()), "relationships": list(before.relationships.values())}
            (stage.folder / "graph-before.json").write_text(json.dumps(documents), encoding="utf-8")
            self.start_daemon()
            await self._daemon_ready()
            self.view.say(f"daemon ready {time.monotonic() - started:.1f} s after the start")
            yield
        finally:
            keep = ("daemon",) if self.options.keep else ()
            await asyncio.to_thread(stage.stop, *keep)

    def start_daemon(self) -> None:
        """Start the daemon, or start it again on what it left behind."""
        start_daemon(self.stage, port=self._daemon_port, report=self.stage.folder / "daemon-report.json")

    async def _daemon_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            self._daemon_alive()
            with contextlib.suppress(OSError, ValueError):
                if await asyncio.to_thread(get_json, f"http://127.0.0.1:{self._daemon_port}/readyz"):
                    return
            await asyncio.sleep(0.1)
        raise LocalServerError("the daemon did not become ready", remedy=f"Its log is {self.stage.log('daemon')}")

    def _daemon_alive(self) -> None:
        child = self.stage.children["daemon"]
        if not child.alive():
            tail = child.log.read_text(encoding="utf-8", errors="replace")[-800:].strip()
            raise LocalServerError(f"the daemon ended with exit code {child.process.returncode}: {tail}")

    async def daemon_report(self) -> dict[str, Any]:
        """The daemon's own numbers, {} while it does not answer."""
        self._daemon_alive()
        with contextlib.suppress(OSError, ValueError):
            return await asyncio.to_thread(get_json, f"http://127.0.0.1:{self._daemon_port}/report")
        return {}

    async def drained(self, seconds: float = _DRAIN_S, *, exactly: bool = True) -> dict[str, Any]:
        """Wait until everything sent is accounted for; the last report, whatever it says after `seconds`.

        `exactly` False: when there may be more than was counted, wait until nothing more has come for two seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            report = await self.daemon_report()
            received = report.get("received", -1)
            done = received == self.sent.readings if exactly else received >= self.sent.readings
            if (done and not report.get("in_flight", 1)) or time.monotonic() > deadline:
                if exactly or time.monotonic() > deadline:
                    return report
                await asyncio.sleep(2.0)
                if (await self.daemon_report()).get("received") == received:
                    return report
            await asyncio.sleep(0.1)

    # --- the play ---------------------------------------------------------------------------------------------------

    async def play_history(self, scenario: Scenario) -> None:
        """Send the history and wait until the daemon has worked it off."""
        history = await asyncio.to_thread(scenario.history)
        begun = time.monotonic()
        async with EventHubSender(self.stage.connection_string, per_event=60) as sender:
            await play_history(sender, scenario.point_ids, history, self.sent)
        report = await self.drained()
        self.figures.history_s = time.monotonic() - begun
        self.figures.latency_before = report.get("latency_histogram_ms", {})
        rate = self.sent.history / self.figures.history_s
        self.view.say(f"history: {self.sent.history} readings in {self.figures.history_s:.1f} s, {rate:.0f} readings/s")

    async def _live(self, scenario: Scenario) -> None:
        first = self.sent.readings
        begun: list[float] = []
        ticks = iter(scenario.live())
        opening = await asyncio.to_thread(next, ticks)  # the engine works out the first cycle here, not in the loop

        def from_opening() -> Any:
            yield opening
            yield from ticks

        async def each(tick: Tick) -> None:
            begun.append(time.monotonic())
            self._last_us = tick.time_us
            await self._show(scenario, tick, begun[0])

        async with EventHubSender(self.stage.connection_string, per_event=1) as sender:
            await play_live(
                sender, scenario.point_ids, from_opening(), self.sent, stop=lambda: self._stopped, each=each
            )
        self.figures.live_s = time.monotonic() - begun[0] if begun else 0.0
        self.figures.live_readings = self.sent.readings - first

    async def _show(self, scenario: Scenario, tick: Tick, begun: float) -> None:
        graph = await asyncio.to_thread(live_graph, self.stage.endpoint)
        report = await self.daemon_report()
        report |= self.figures.live(report)
        points = _sorted(graph, DTMI_POINT)
        self.shares.look(points)
        components = graph.of_model(DTMI_COMPONENT)
        playing = [event for event in scenario.events if event.start_us <= tick.time_us < event.end_us]
        for event in playing:
            if event.kind == "breaker" and event.end_us - tick.time_us <= self._period_us:
                self.against += supply_differences(graph, opened=event.component)
        self.view.show(
            Moment(
                title=f"[{time.monotonic() - begun:5.1f} s] {scenario.spec.title} {format_us(tick.time_us)}",
                points=points,
                dead_components=sorted(name for name, twin in components.items() if twin.get("energized") is False),
                report=report,
                sent=self.sent.readings,
                now_playing=[f"{event.kind} at {event.component}" for event in playing],
            )
        )

    async def look(self, model: str) -> list[dict[str, Any]]:
        """The twins of one interface as the service answers them now, by id."""
        return _sorted(await asyncio.to_thread(live_graph, self.stage.endpoint), model)

    @contextlib.contextmanager
    def _interruptible(self) -> Any:
        """Ctrl-C and SIGTERM end the live part; the run is judged all the same."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self._stopped = True

        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def finish(self, expected: Sequence[dict[str, Any]] | None, *, repeated: int = 0) -> Outcome:
        """Drain, stop the daemon, and have the run judged.

        `repeated`: batches that the producer sent again because an answer was lost; the hub may hold them twice, and
        then its log says how much there was to account for.
        """
        await self.drained(exactly=not repeated)
        if expected is not None and self._stopped:
            expected = [wish for wish in expected if wish["raisedAfter_us"] <= self._last_us]
        stage = self.stage
        code = await asyncio.to_thread(stage.children["daemon"].stop)
        if code:
            self.against.append(f"the daemon ended with exit code {code}")
        ledger = json.loads((stage.folder / "daemon-report.json").read_text(encoding="utf-8"))
        if expected is not None:
            graph = await asyncio.to_thread(live_graph, stage.endpoint)
            self.against += supply_differences(graph, opened=None)
        case = Case(
            endpoint=stage.endpoint,
            hub_log=stage.hub_data,
            journal=stage.journal,
            checkpoints=stage.checkpoints,
            dead_letter=stage.dead_letter,
            graph_before=stage.folder / "graph-before.json",
            ledger=ledger,
            sent=None if repeated else self.sent.readings,
            scope=Scope(f"127.0.0.1:{stage.eventhub_port}", stage.eventhub, GROUP),
            scan=tuple(path for path in sorted(stage.folder.rglob("*")) if path.is_file() and path.suffix in _TEXTS),
            secrets=(stage.key,),
        )
        outcome = await asyncio.to_thread(
            lambda: judge(
                case,
                dead=self.sent.dead,
                expected=expected,
                period_us=self._period_us,
                ended_us=self._last_us if self._stopped else None,
                figures=self.figures.to_json(self.sent.history, ledger),
                shares=self.shares,
                against=self.against,
            )
        )
        for line in summary(outcome):
            self.view.say(line)
        return outcome


_TEXTS: Final = (".log", ".ndjson", ".json", ".yaml")


def _sorted(graph: LiveGraph, model: str) -> list[dict[str, Any]]:
    return sorted(graph.of_model(model).values(), key=lambda twin: str(twin["$dtId"]))


def _fresh_folder(folder: Path) -> None:
    """An empty folder for the run; what an earlier run left there is removed, anything else is not touched."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).is_file():
            raise ConfigError(f"{folder} is not empty and not from an earlier run", remedy="Name another --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
