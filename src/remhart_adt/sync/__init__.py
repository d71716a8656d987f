"""The engine room: source, decode, window, score, merge, write, checkpoint.

`Daemon` is the process of `remhart-adt sync run`; `replay` of `oracle` says what the graph must look like after a log.
Names are loaded on first use, so that importing the room costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remhart_adt.sync.app import Daemon, run
    from remhart_adt.sync.config import SyncConfig, load_config
    from remhart_adt.sync.mapping import Mapping
    from remhart_adt.sync.oracle import Expected, comparable, replay
    from remhart_adt.sync.types import RawEvent

__all__ = [
    "Daemon",
    "Expected",
    "Mapping",
    "RawEvent",
    "SyncConfig",
    "comparable",
    "load_config",
    "replay",
    "run",
]

_HOME = {
    "Daemon": "app",
    "Expected": "oracle",
    "Mapping": "mapping",
    "RawEvent": "types",
    "SyncConfig": "config",
    "comparable": "oracle",
    "load_config": "config",
    "replay": "oracle",
    "run": "app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
