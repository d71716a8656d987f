"""`remhart-adt demo`: the whole system at work on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from remhart_adt.cli.common import FAILED
from remhart_adt.errors import ConfigError

__all__ = ["command"]


def command(
    seconds: Annotated[float, typer.Option("--seconds", min=20, max=86400, help="Length of the live part.")] = 60.0,
    forever: Annotated[bool, typer.Option("--forever", help="Play until Ctrl-C.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stand-ins running and print their endpoints.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.json", help="Write the report of the run to this file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed is another day on the feeder.")] = 1,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where the run keeps its files; emptied at the next run.")
    ] = Path(".remhart/demo"),
    plain: Annotated[bool, typer.Option("--plain", help="One line a second, even on a terminal.")] = False,
    telemetry: Annotated[
        Path | None, typer.Option("--telemetry", metavar="FILE.csv", help="Replay this file instead of simulating.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", metavar="M.yaml", help="How the file's columns become readings.")
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="G.yaml", help="The twin graph for --telemetry.")
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0, help="How much faster than measured; 0 = as fast as possible.")
    ] = 0.0,
) -> None:
    """Run the whole job on local stand-ins: models, graph, history, live telemetry with events, judgement.

    Exit code 0 only when every reading is accounted for, the alarms equal the events and all invariants hold.
    """
    import asyncio

    from remhart_adt.demo import Demo, Options, commands, make_view, replay_measured

    if (telemetry is None) is not (graph is None) or (mapping is not None and telemetry is None):
        raise ConfigError("--telemetry and --graph belong together", remedy="--mapping may come with them")
    for path in (telemetry, mapping, graph):
        if path is not None and not path.is_file():
            raise ConfigError("no such file", where=str(path))
    view = make_view(force_plain=plain)
    try:
        demo = Demo(Options(folder, None if forever else seconds, seed, keep), view)
        if telemetry is not None and graph is not None:
            outcome = asyncio.run(replay_measured(demo, telemetry, graph, mapping, speed))
        else:
            outcome = asyncio.run(demo.play())
        view.close()
        if report is not None:
            report.write_text(json.dumps(outcome.report, indent=2) + "\n", encoding="utf-8")
        for line in commands(demo, outcome):
            view.say(line)
    finally:
        view.close()
    if not outcome.passed:
        raise typer.Exit(FAILED)
