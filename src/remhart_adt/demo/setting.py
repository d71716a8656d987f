"""Setting the stage: models up, graph applied, daemon started; each through the same doors that a user has."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

from remhart_adt.client import connect, connect_async
from remhart_adt.demo.stage import Stage
from remhart_adt.dtdl import validate
from remhart_adt.errors import DtdlError
from remhart_adt.graph import GraphSpec, load
from remhart_adt.graph.apply import apply
from remhart_adt.graph.plan import plan_async
from remhart_adt.graph.snapshot import LiveGraph, fetch
from remhart_adt.resources import dtdl_dir

__all__ = ["GROUP", "apply_graph", "free_port", "live_graph", "start_daemon", "upload_models", "write_yaml"]

GROUP: Final = "$Default"


def free_port() -> int:
    """A port on this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_yaml(path: Path, content: Any) -> None:
    """Write plain data as YAML, keys in their own order."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 140
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def upload_models(endpoint: str) -> int:
    """Validate our four interfaces and upload them in one call; how many."""
    report = validate(dtdl_dir(), profile="adt")
    if not report.valid:
        raise DtdlError("our own interfaces are not valid", report=report)
    models = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(dtdl_dir().glob("*.json"))]
    with connect(endpoint) as client:
        return len(client.models.upload(models))


async def apply_graph(endpoint: str, path: Path) -> tuple[GraphSpec, str]:
    """Load, plan and apply a graph file; the graph and the plan's summary."""
    spec = load(path)
    async with connect_async(endpoint) as client:
        plan = await plan_async(client, spec)
        await apply(client, plan)
    return spec, plan.summary()


def live_graph(endpoint: str) -> LiveGraph:
    """The graph as the service answers it now."""
    with connect(endpoint) as client:
        return fetch(client)


def start_daemon(stage: Stage, *, port: int, report: Path, flush_ms: int = 250) -> None:
    """Write the daemon's configuration and start it; the connection string goes through the environment."""
    config = {
        "adt": {"endpoint": stage.endpoint},
        "source": {"group": GROUP},
        "checkpoint": {"path": str(stage.checkpoints)},
        "write": {"flush_ms": flush_ms},
        "health": {"port": port},
        "dead_letter": str(stage.dead_letter),
    }
    path = stage.folder / "sync.yaml"
    write_yaml(path, config)
    stage.start(
        "daemon",
        ["sync", "run", "--config", str(path), "--report", str(report)],
        {"REMHART_SOURCE__CONNECTION_STRING": stage.connection_string},
        wait=False,
    )
