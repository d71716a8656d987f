"""`remhart-adt simulate`: a simulated feeder's telemetry into a file or an event hub."""

from __future__ import annotations

import asyncio
import enum
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remhart_adt.cli.common import note
from remhart_adt.clock import SYSTEM, format_us, parse_us
from remhart_adt.errors import ConfigError

if TYPE_CHECKING:
    from remhart_adt.simulate.scenario import Scenario, Tick

__all__ = ["command"]

CONNECTION_ENV: Final = "REMHART_EVENTHUB_CONNECTION_STRING"
# History goes out as fast as it is taken, so it is worth packing well.
_HISTORY_PER_EVENT: Final = 100


class Target(enum.StrEnum):
    """Where the telemetry goes."""

    file = "file"
    eventhub = "eventhub"


class Form(enum.StrEnum):
    """The form of a reading."""

    nested = "nested"
    flat = "flat"


def command(
    feeder: Annotated[
        str,
        typer.Option(
            "--feeder",
            help="suburb, village, arcade, workshop, terrace, orchard, plaza, hamlet or harbour.",
            metavar="NAME",
        ),
    ] = "suburb",
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="Live seconds; 0 = history only.")] = 60.0,
    forever: Annotated[bool, typer.Option("--forever", help="Go on until interrupted.")] = False,
    rate: Annotated[float, typer.Option("--rate", min=0.02, max=1000, help="Readings per second and point.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same telemetry.")] = 1,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="RFC3339",
            help="Source time of the first live reading. Default: now, or so that the last one is now (--no-realtime).",
        ),
    ] = None,
    to: Annotated[Target, typer.Option("--to", help="Where the telemetry goes.")] = Target.file,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="For --to file: .ndjson, .csv (flat), or - for NDJSON.")
    ] = None,
    form: Annotated[Form, typer.Option("--form", help="Form of a reading.")] = Form.nested,
    per_event: Annotated[
        int, typer.Option("--per-event", min=1, max=10_000, help="Readings in one event; more than 1 makes arrays.")
    ] = 1,
    history: Annotated[
        float, typer.Option("--history", min=0, max=8784, help="Hours of 1-minute history to send first.")
    ] = 0.0,
    events: Annotated[bool, typer.Option("--events/--no-events", help="Sag, overload, open phase, breaker.")] = True,
    dropout: Annotated[float, typer.Option("--dropout", min=0, max=0.9, help="Share of readings that get lost.")] = 0.0,
    realtime: Annotated[
        bool | None,
        typer.Option("--realtime/--no-realtime", help="Wait for each reading's time. Default: only for an event hub."),
    ] = None,
    graph_out: Annotated[
        Path | None, typer.Option("--graph-out", metavar="FILE", help="Write the feeder's twin graph as YAML.")
    ] = None,
    events_out: Annotated[
        Path | None, typer.Option("--events-out", metavar="FILE", help="Write events and expected alarms as JSON.")
    ] = None,
    connection_string: Annotated[
        str | None,
        typer.Option("--connection-string", envvar=CONNECTION_ENV, help="Event hub to send to.", show_default=False),
    ] = None,
    eventhub: Annotated[
        str | None, typer.Option("--eventhub", metavar="NAME", help="Event hub, if the connection string names none.")
    ] = None,
) -> None:
    """Simulate a low-voltage feeder and send its readings and component statuses to a file or an event hub."""
    from remhart_adt.simulate.events import KINDS
    from remhart_adt.simulate.scenario import Scenario

    if to is Target.file and out is None:
        raise ConfigError("--to file needs a file", remedy="Give --out FILE.ndjson, FILE.csv or -")
    if to is Target.eventhub and not connection_string:
        raise ConfigError("no event hub is named", remedy=f"Give --connection-string or set {CONNECTION_ENV}")
    if not (seconds or forever or history):
        raise ConfigError("there is nothing to send", remedy="Give --seconds, --forever or --history")
    paced = to is Target.eventhub if realtime is None else realtime
    if forever and not paced and to is Target.file:
        raise ConfigError(
            "--forever without --realtime would fill the disk", remedy="Add --realtime, or give --seconds"
        )
    scenario = Scenario(
        feeder,
        seed,
        _start(start, 0.0 if paced or forever else seconds),
        1 / rate,
        None if forever or not seconds else seconds,
        events=KINDS if events else (),
        history_hours=max(history, 26.0),
        dropout=dropout,
    )
    if graph_out is not None:
        _write_yaml(graph_out, scenario.graph())
    played = scenario.live() if seconds or forever else iter(())
    if to is Target.file:
        _to_file(scenario, played, out or "-", form.value, per_event, history, paced)
    else:
        asyncio.run(_to_hub(scenario, played, connection_string or "", eventhub, form.value, per_event, history, paced))
    if events_out is not None:
        found = {"events": [event.to_json() for event in scenario.events], "expectedAlarms": scenario.expected_alarms()}
        _write(events_out, json.dumps(found if seconds or forever else {"events": [], "expectedAlarms": []}, indent=2))


def _start(text: str | None, before_s: float) -> int:
    if text is None:
        return SYSTEM.now_us() // 1_000_000 * 1_000_000 - round(before_s * 1e6)
    try:
        return parse_us(text)
    except ValueError as error:
        raise ConfigError(str(error), where="--start", remedy="For example 2026-01-14T19:00:00Z") from None


def _to_file(
    scenario: Scenario, played: Iterator[Tick], out: str, form: str, per_event: int, hours: float, paced: bool
) -> None:
    from remhart_adt.simulate.wire import TelemetryFile, history_ticks

    with ExitStack() as stack:
        target = sys.stdout if out == "-" else Path(out)
        sink = stack.enter_context(TelemetryFile(target, form=form, per_event=per_event))
        if hours:
            for tick in history_ticks(scenario.history(hours)):
                sink.write(scenario.point_ids, tick)
        for tick in played:
            if paced:
                time.sleep(_wait_s(tick.time_us))
            sink.write(scenario.point_ids, tick)
            if paced:
                sink.flush()
        lost = f"; {sink.left_out} component statuses do not fit into CSV" if sink.left_out else ""
        note(f"{sink.readings} readings and {sink.statuses} component statuses in {out}{lost}")


async def _to_hub(
    scenario: Scenario,
    played: Iterator[Tick],
    connection: str,
    eventhub: str | None,
    form: str,
    per_event: int,
    hours: float,
    paced: bool,
) -> None:
    from remhart_adt.simulate.wire import bodies, history_ticks
    from remhart_adt.sync.sources.sender import EventHubSender

    sent = 0
    if hours:
        size = max(per_event, _HISTORY_PER_EVENT)
        async with EventHubSender(connection, eventhub, per_event=size) as sender:
            for tick in history_ticks(scenario.history(hours)):
                await sender.send(bodies(scenario.point_ids, tick, form))
        sent = sender.counters.readings
        note(f"{sent} readings and statuses of history sent, up to {format_us(scenario.start_us)}")
    async with EventHubSender(connection, eventhub, per_event=per_event) as sender:
        for k, tick in enumerate(played, start=1):
            if paced:
                await asyncio.sleep(_wait_s(tick.time_us))
            await sender.send(bodies(scenario.point_ids, tick, form))
            if paced and k % per_event == 0:
                await sender.flush()
    note(f"{sent + sender.counters.readings} readings and statuses sent in all")


def _wait_s(time_us: int) -> float:
    return max(0.0, (time_us - SYSTEM.now_us()) / 1e6)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", where=str(path), remedy="Give a writable path") from error


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    stream = StringIO()
    yaml.dump(document, stream)
    _write(path, stream.getvalue().rstrip("\n"))
