"""`remhart-adt local`: the stand-ins for Azure Digital Twins and Event Hubs on this machine."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from remhart_adt.cli.common import noun_app
from remhart_adt.errors import ConfigError, LocalServerError

if TYPE_CHECKING:
    from remhart_adt.local.adt import EndpointOption

__all__ = ["app"]

app = noun_app("Start the local stand-ins: ADT server and Event Hub.")

MEMORY: Final = ":memory:"
KEY_ENV: Final = "REMHART_LOCAL_EVENTHUB_KEY"
ADMIN_KEY_ENV: Final = "REMHART_LOCAL_ADMIN_KEY"
_READY_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0


class Auth(StrEnum):
    """Whether the local ADT asks for tokens."""

    OFF = "off"
    REQUIRED = "required"


PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 = any free one.")]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
RemoteOption = Annotated[
    bool, typer.Option("--allow-remote", help="Listen on an address that other machines reach. There is no real login.")
]
PartitionsOption = Annotated[int, typer.Option("--partitions", min=1, max=1024, help="Number of partitions.")]
NameOption = Annotated[str, typer.Option("--name", help="Name of the event hub.")]


@app.command()
def adt(
    port: PortOption = 0,
    data: Annotated[str, typer.Option("--data", metavar="FILE|:memory:", help="Where twins are kept.")] = MEMORY,
    host: HostOption = "127.0.0.1",
    journal: Annotated[
        Path | None, typer.Option("--journal", metavar="FILE", help="Append every request to this NDJSON file.")
    ] = None,
    throttle: Annotated[
        bool, typer.Option("--throttle", help="Enforce the service's rate limits and answer 429 beyond them.")
    ] = False,
    retry_after: Annotated[
        int, typer.Option("--retry-after", min=0, metavar="SECONDS", help="What a throttled answer asks to wait.")
    ] = 5,
    capacity: Annotated[
        float,
        typer.Option("--capacity", min=0.000001, help="Share of the published rates that --throttle lets through."),
    ] = 1.0,
    query_lag: Annotated[
        float, typer.Option("--query-lag", min=0.0, metavar="SECONDS", help="Queries see changes this much later.")
    ] = 0.0,
    clock: Annotated[
        str,
        typer.Option("--clock", metavar="system|fake[:TIME]", help="Run on a clock that POST /_remhart/clock moves."),
    ] = "system",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Draw entity tags and ids alike in every run with this number.")
    ] = None,
    seed_file: Annotated[
        Path | None,
        typer.Option("--seed-file", metavar="FILE", help="Load this graph at the start when there is none yet."),
    ] = None,
    blobs: Annotated[
        Path | None,
        typer.Option("--blobs", metavar="DIR", help="A folder whose files are the blobs of import jobs."),
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option("--instance", metavar="NAME", help="One more instance, NAME.localhost. Repeatable."),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="[INSTANCE/]NAME=JSON|@FILE",
            help="An endpoint for event routes, as JSON or a file of it. Repeatable.",
        ),
    ] = None,
    auth: Annotated[
        Auth, typer.Option("--auth", help="Whether requests need a token of this server with a role.")
    ] = Auth.OFF,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak https with a certificate of an authority made here.")
    ] = False,
    tls_dir: Annotated[
        Path | None,
        typer.Option("--tls-dir", metavar="DIR", help="Where ca.pem and the keys are kept. Default: beside --data."),
    ] = None,
    tls_name: Annotated[
        list[str] | None,
        typer.Option("--tls-name", metavar="NAME", help="One more host name in the certificate. Repeatable."),
    ] = None,
    allow_remote: RemoteOption = False,
) -> None:
    """Serve the Azure Digital Twins API from SQLite until SIGTERM or Ctrl-C.

    When ready, one line of JSON on standard output says the endpoint. REMHART_LOCAL_ADMIN_KEY sets a key that the admin
    API asks for in x-remhart-key; without one it answers this machine only.
    """
    from pydantic import SecretStr

    from remhart_adt.local.adt import Options, Tls, parse_clock, serve

    folder = tls_dir
    if folder is None and data != MEMORY:
        folder = Path(data).parent / "tls"
    key = os.environ.get(ADMIN_KEY_ENV)

    serve(
        Options(
            data if data == MEMORY else Path(data),
            host,
            port,
            journal=journal,
            throttle=throttle,
            retry_after=retry_after,
            capacity=capacity,
            query_lag=query_lag,
            allow_remote=allow_remote,
            clock=parse_clock(clock),
            seed=seed,
            seed_file=seed_file,
            blob_folder=blobs,
            auth=auth is Auth.REQUIRED,
            tls=Tls(folder, tuple(tls_name or ())) if tls or tls_dir or tls_name else None,
            instances=tuple(instance or ()),
            endpoints=tuple(_endpoint(text) for text in endpoint or ()),
            admin_key=SecretStr(key) if key else None,
        )
    )


def _endpoint(text: str) -> EndpointOption:
    """`NAME={...}`, `NAME=@FILE`, with `INSTANCE/` before the name for other than the first instance."""
    from remhart_adt.local.adt import EndpointOption

    name, mark, given = text.partition("=")
    instance, _, name = name.rpartition("/")
    remedy = 'Use NAME={"kind": "file", "path": "events.ndjson"} or NAME=@FILE'
    if not mark or not name:
        raise ConfigError("this names no endpoint", where="--endpoint", remedy=remedy)
    try:
        document = json.loads(Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given)
    except OSError as error:
        raise ConfigError(f"cannot read {given[1:]}: {error.strerror}", where=f"--endpoint {name}") from None
    except (ValueError, RecursionError):  # the text may hold a key: it is not repeated
        raise ConfigError("this is not JSON", where=f"--endpoint {name}", remedy=remedy) from None
    if not isinstance(document, dict):
        raise ConfigError("this is no JSON object", where=f"--endpoint {name}", remedy=remedy)
    return EndpointOption(name, document, instance) if instance else EndpointOption(name, document)


@app.command()
def eventhub(
    port: PortOption = 0,
    data: Annotated[str, typer.Option("--data", metavar="DIR|:memory:", help="Where events are kept.")] = MEMORY,
    partitions: PartitionsOption = 4,
    name: NameOption = "telemetry",
    host: HostOption = "127.0.0.1",
    retention_mb: Annotated[
        int | None,
        typer.Option(
            "--retention-mb", min=1, help="Keep at least this much of each partition. Default: 1024 on disk, 128 else."
        ),
    ] = None,
    fsync: Annotated[
        bool, typer.Option("--fsync", help="Flush the disk before acknowledging: events survive a power cut, too.")
    ] = False,
    allow_remote: RemoteOption = False,
) -> None:
    """Serve one event hub to the official Event Hubs clients until SIGTERM or Ctrl-C.

    When ready, one line of JSON on standard output holds the connection string. REMHART_LOCAL_EVENTHUB_KEY sets the
    shared access key (default: the well-known one of emulators).
    """
    from remhart_adt.local.eventhub import DEFAULT_KEY, main

    main(
        data=data,
        name=name,
        partitions=partitions,
        host=host,
        port=port,
        key=os.environ.get(KEY_ENV) or DEFAULT_KEY,
        retention_bytes=None if retention_mb is None else retention_mb * 1024 * 1024,
        fsync=fsync,
        allow_remote=allow_remote,
    )


@app.command()
def up(
    data: Annotated[
        str, typer.Option("--data", metavar="DIR|:memory:", help="Where twins and events are kept.")
    ] = MEMORY,
    adt_port: Annotated[int, typer.Option("--adt-port", min=0, max=65535, help="Port of the ADT server; 0 = any.")] = 0,
    eventhub_port: Annotated[
        int, typer.Option("--eventhub-port", min=0, max=65535, help="Port of the Event Hub; 0 = any.")
    ] = 0,
    partitions: PartitionsOption = 4,
    name: NameOption = "telemetry",
) -> None:
    """Start both stand-ins as processes of their own; Ctrl-C or SIGTERM stops both.

    When both are ready, one line of JSON on standard output holds the endpoint and the connection string.
    """
    folder = None if data == MEMORY else Path(data)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder", where="--data", remedy="Name a folder, or :memory:")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    adt_data = MEMORY if folder is None else str(folder / "adt.sqlite")
    hub_data = MEMORY if folder is None else str(folder / "eventhub")
    hub_args = ["--port", str(eventhub_port), "--data", hub_data, "--partitions", str(partitions), "--name", name]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    children: dict[str, subprocess.Popen[str]] = {}
    try:
        children["adt"] = _start("adt", ["--port", str(adt_port), "--data", adt_data])
        children["eventhub"] = _start("eventhub", hub_args)
        ready = {noun: _ready(noun, child, stop) for noun, child in children.items()}
        if not stop.is_set():
            first = {"endpoint": ready["adt"]["endpoint"], "connection_string": ready["eventhub"]["connection_string"]}
            sys.stdout.write(json.dumps({**first, **ready}) + "\n")
            sys.stdout.flush()
        _watch(children, stop)
    finally:
        _stop(list(children.values()))


def _start(noun: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    # A session of its own: Ctrl-C reaches this process only, which then stops both children in order.
    return subprocess.Popen(
        [sys.executable, "-m", "remhart_adt.cli.app", "local", noun, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ready(noun: str, child: subprocess.Popen[str], stop: threading.Event) -> dict[str, Any]:
    """The ready line of a child, {} when asked to stop meanwhile; LocalServerError when it ends or stays silent."""
    stream = child.stdout
    assert stream is not None
    deadline = time.monotonic() + _READY_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not stop.is_set() and time.monotonic() < deadline:
            if selector.select(timeout=0.2):
                line = stream.readline()
                if not line:
                    break
                ready: dict[str, Any] = json.loads(line)
                threading.Thread(target=_drain, args=(stream,), daemon=True).start()
                return ready
    if stop.is_set():
        return {}
    raise LocalServerError(f"local {noun} did not become ready", remedy="Its own message stands above")


def _drain(stream: IO[str]) -> None:
    # Whatever a child still prints is read, or it would block on a full pipe one day.
    for _ in stream:
        pass


def _watch(children: dict[str, subprocess.Popen[str]], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        for noun, child in children.items():
            if child.poll() is not None:
                raise LocalServerError(f"local {noun} ended by itself with exit code {child.returncode}")


def _stop(children: Sequence[subprocess.Popen[str]]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    for child in children:
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
