"""Dead letters once more: the bodies of a dead-letter file, sent through the event hub as new events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remhart_adt.errors import ConfigError
from remhart_adt.sync.config import SourceSettings, load_source
from remhart_adt.sync.deadletter import body_of, read_rows

__all__ = ["replay_file"]


async def replay_file(
    path: Path,
    config: Path | None,
    connection_string: str | None,
    *,
    causes: Sequence[str] | None = None,
    dry_run: bool = False,
) -> int:
    """Send the rows (of these causes, or all) again; how many. The whole file is checked before anything is sent.

    Readings of one point keep their order. Raises ConfigError for a file that is no dead letter.
    """
    rows = [row for row in read_rows(path) if not causes or row.get("cause") in causes]
    if dry_run or not rows:
        return len(rows)
    source = load_source(config, connection_string)
    from remhart_adt.sync.sources import EventHubSender

    secret = source.connection_string
    connection = secret.get_secret_value() if secret is not None else source.namespace
    if connection is None:
        raise ConfigError("a dead letter can only be replayed through an event hub", where=str(path))
    async with EventHubSender(connection, source.eventhub, credential=_credential(source)) as sender:
        for row in rows:
            await sender.send_body(_key(row), body_of(row))
    return len(rows)


def _credential(source: SourceSettings) -> Any:
    if source.connection_string is not None:
        return None
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


def _key(row: dict[str, Any]) -> str:
    """What the sender would have put it under: its point or component, or else where it came from."""
    if isinstance(row.get("pointId"), str):
        return str(row["pointId"])
    try:
        body = json.loads(row.get("body", ""))
        return str(body.get("pointId") or body.get("componentId") or row.get("partition", ""))
    except (ValueError, AttributeError):
        return str(row.get("partition", ""))
