"""Putting an instance together from the options of its server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from remhart_adt.clock import SYSTEM, Clock, FakeClock, parse_us
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.bounds import Bounds
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.lag import Lag
from remhart_adt.local.adt.protocol import Patience
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.throttle import Throttle
from remhart_adt.local.adt.ticks import Ticker

__all__ = ["DEFAULT_INSTANCE", "MEMORY", "EndpointOption", "Options", "Tls", "build_instance", "parse_clock"]

MEMORY: Final = ":memory:"
DEFAULT_INSTANCE: Final = "local"


@dataclass(frozen=True, slots=True)
class Tls:
    """Speak https, with certificates kept in `folder` (None: made anew for this run) that hold for `names`, too."""

    folder: Path | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointOption:
    """An endpoint for event routes that a server has from its start."""

    name: str
    document: Mapping[str, Any]
    instance: str = DEFAULT_INSTANCE


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves. `query_lag` is in seconds; `throttle` enforces the service's rate limits, scaled by
    `capacity`, answering 429 with `retry_after` seconds; `allow_remote` lets it listen on other than loopback
    addresses. `auth` asks every request for a token of this server with a role on the instance. With a `seed`
    everything random is drawn alike in every run, and with a `FakeClock` every time, too. `seed_file` is loaded at the
    start into an instance that is empty. `bounds` are the functional limits. Files in `blob_folder` are the blobs of
    import jobs, beside those of Azurite and Azure Storage. `instances` and `endpoints` are there from the start;
    `admin_key` opens the admin API to other machines, and is asked for then."""

    data: str | Path = MEMORY
    host: str = "127.0.0.1"
    port: int = 0
    journal: Path | None = None
    throttle: bool = False
    retry_after: int = 5
    query_lag: float = 0.0
    allow_remote: bool = False
    clock: Clock = SYSTEM
    patience: Patience = field(default_factory=Patience)
    capacity: float = 1.0
    seed: int | None = None
    seed_file: Path | None = None
    bounds: Bounds = field(default_factory=Bounds)
    blob_folder: Path | None = None
    auth: bool = False
    tls: Tls | None = None
    instances: tuple[str, ...] = ()
    endpoints: tuple[EndpointOption, ...] = ()
    admin_key: SecretStr | None = None


def parse_clock(text: str) -> Clock:
    """The clock that a command line names: `system`, `fake`, or `fake:` and an RFC 3339 time to begin at.

    Raises LocalServerError for anything else.
    """
    kind, _, begin = text.partition(":")
    if text == "system":
        return SYSTEM
    try:
        if kind == "fake":
            return FakeClock(parse_us(begin)) if begin else FakeClock()
    except ValueError as error:
        raise LocalServerError(f"not a time: {error}", where="--clock") from None
    remedy = "Use system, fake, or fake:2026-01-31T12:00:00Z"
    raise LocalServerError(f"{text!r} is no clock", where="--clock", remedy=remedy)


def build_instance(name: str, data: str | Path, options: Options) -> Instance:
    """An instance over its data file; raises LocalServerError when that cannot be used."""
    store = Store(None if str(data) == MEMORY else Path(data))
    clock = options.clock
    instance = Instance(
        store,
        Catalog(store),
        Lag(store, options.query_lag, clock),
        clock,
        Ticker(clock),
        name,
        Throttle(clock, enabled=options.throttle, retry_after=options.retry_after, capacity=options.capacity),
        Chance(options.seed).branch(name),
        bounds=options.bounds,
        blob_folder=options.blob_folder,
    )
    store.commit_now()
    return instance
