"""Putting an instance together from the options of its server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.lag import Lag
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.ticks import Ticker

__all__ = ["DEFAULT_INSTANCE", "MEMORY", "Options", "build_instance"]

MEMORY: Final = ":memory:"
DEFAULT_INSTANCE: Final = "local"


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves. `query_lag` is in seconds; `throttle` enforces the service's rate limits, answering 429
    with `retry_after` seconds; `allow_remote` lets it listen on other than loopback addresses (it has no login)."""

    data: str | Path = MEMORY
    host: str = "127.0.0.1"
    port: int = 0
    journal: Path | None = None
    throttle: bool = False
    retry_after: int = 5
    query_lag: float = 0.0
    allow_remote: bool = False
    clock: Clock = SYSTEM


def build_instance(name: str, data: str | Path, options: Options) -> Instance:
    """An instance over its data file; raises LocalServerError when that cannot be used."""
    store = Store(None if str(data) == MEMORY else Path(data))
    instance = Instance(
        store, Catalog(store), Lag(store, options.query_lag, options.clock), options.clock, Ticker(options.clock), name
    )
    store.commit_now()
    return instance
