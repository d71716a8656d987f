"""`remhart-adt sync`: run the daemon; send dead letters through the hub again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from remhart_adt.cli.common import EndpointOption, note, noun_app

app = noun_app("Keep the twins true: read telemetry, score it, patch twins and relationships.")


def _flags(**values: Any) -> dict[str, Any]:
    """Nested settings from `section__name` keywords that were given."""
    flags: dict[str, Any] = {}
    for key, value in values.items():
        if value is not None:
            section, _, name = key.partition("__")
            if name:
                flags.setdefault(section, {})[name] = value
            else:
                flags[section] = value
    return flags


@app.command("run")
def run_command(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    endpoint: EndpointOption = None,
    connection_string: Annotated[
        str | None,
        typer.Option(
            "--connection-string",
            help="Event Hubs connection string; in REMHART_SOURCE__CONNECTION_STRING ps does not show it.",
        ),
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Event Hubs namespace, host name.")] = None,
    eventhub: Annotated[str | None, typer.Option(help="Event hub.")] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group.")] = None,
    partitions: Annotated[str | None, typer.Option(help="Only these, comma-separated; default: share all.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="earliest, latest, a sequence number or a time; if nothing is stored.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read a CSV or NDJSON file instead of an event hub.")] = None,
    speed: Annotated[float | None, typer.Option(help="With --file: times faster than recorded; 0 = at once.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="SQLite file with the progress.")] = None,
    dead_letter: Annotated[Path | None, typer.Option(help="Folder for what cannot be used.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file for foreign names, units and zones.")] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Folder with models and their manifest.")] = None,
    health_port: Annotated[int | None, typer.Option(help="Port of /livez /readyz /metrics /report; 0 = free.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the counters here at the end.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    log_json: Annotated[bool | None, typer.Option("--log-json", help="Log lines as JSON.")] = None,
) -> None:
    """Run the daemon until SIGTERM. Prints one JSON line with the health address once it runs."""
    from remhart_adt import log
    from remhart_adt.sync.app import run
    from remhart_adt.sync.config import load_config

    settings = load_config(
        config,
        _flags(
            adt__endpoint=endpoint,
            source__connection_string=connection_string,
            source__namespace=namespace,
            source__eventhub=eventhub,
            source__group=group,
            source__partitions=None if partitions is None else [p.strip() for p in partitions.split(",")],
            source__start=start,
            source__file=file,
            source__speed=speed,
            checkpoint__path=checkpoint,
            dead_letter=dead_letter,
            mapping=mapping,
            models_dir=models_dir,
            health__port=health_port,
            report=report,
            log__level=log_level,
            log__json_lines=log_json,
        ),
    )
    log.configure(level=settings.log.level, as_json=settings.log.json_lines)

    def announce(ready: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    code = run(settings, announce)
    if code:
        raise typer.Exit(code)


@app.command("replay")
def replay_command(
    file: Annotated[Path, typer.Argument(help="A dead-letter file.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    connection_string: Annotated[str | None, typer.Option("--connection-string", help="Event Hubs.")] = None,
    cause: Annotated[list[str] | None, typer.Option(help="Only rows with this cause; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
) -> None:
    """Send dead letters through the event hub again, after what was wrong has been put right."""
    import asyncio

    from remhart_adt.sync.resend import replay_file

    sent = asyncio.run(replay_file(file, config, connection_string, causes=cause, dry_run=dry_run))
    note(f"{sent} dead letters {'would be' if dry_run else 'were'} sent again")
