"""The sender for an endpoint's document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remhart_adt.local.adt.events.files import FileSender
from remhart_adt.local.adt.events.hub import HubSender
from remhart_adt.local.adt.events.types import Sender
from remhart_adt.local.adt.events.webhook import WebhookSender

__all__ = ["sender_of"]


def sender_of(document: dict[str, Any]) -> Sender:
    """A sender that has not connected yet; raises MissingExtraError when its packages are not installed."""
    kind = document["kind"]
    if kind == "file":
        return FileSender(Path(document["path"]))
    if kind == "webhook":
        return WebhookSender(document["url"])
    return HubSender(document["connectionString"], document.get("eventHub"))
