"""What the event rooms pass to each other: an event, a row of the outbox, and what a sender made of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

__all__ = ["Counters", "Event", "Outcome", "Pending", "Sender"]

_UNREAD: Any = object()


class Event:
    """A CloudEvent that is not sent yet.

    `head` holds its attributes in wire order; `data` is its payload, JSON on one line; `key` is the id of the twin
    within whose events the order is kept.
    """

    __slots__ = ("_body", "data", "head", "key")

    def __init__(self, key: str, head: dict[str, str], data: bytes) -> None:
        self.key = key
        self.head = head
        # A payload may hold line breaks only between its tokens, where a space says the same.
        self.data = data.replace(b"\r", b" ").replace(b"\n", b" ")
        self._body = _UNREAD

    @property
    def body(self) -> Any:
        """The payload as objects, parsed when a filter first asks."""
        if self._body is _UNREAD:
            self._body = orjson.loads(self.data)
        return self._body


class Pending(NamedTuple):
    """A row of the outbox: its number, the twin, when it was written (microseconds), attributes and payload as JSON."""

    n: int
    key: str
    created_us: int
    head: str
    data: str

    @property
    def attributes(self) -> dict[str, str]:
        """The CloudEvents attributes."""
        found: dict[str, str] = orjson.loads(self.head)
        return found

    def structured(self) -> bytes:
        """The event in structured JSON, on one line."""
        return f'{self.head[:-1]},"data":{self.data}}}'.encode()


@dataclass(slots=True)
class Outcome:
    """What became of a batch, by row number: acknowledged, turned down for good, or to be tried again; the last two
    with a reason. Rows that appear nowhere were not tried."""

    delivered: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


class Sender(Protocol):
    """Takes batches to one destination. Rows of one key go in order, and none overtakes one that failed."""

    async def send(self, rows: Sequence[Pending]) -> Outcome:
        """Send; failures are part of the outcome and not raised."""

    async def close(self) -> None:
        """Let connections go."""


@dataclass(slots=True)
class Counters:
    """Of one endpoint since the server started. `dropped` events were given up without a dead letter to keep them."""

    delivered: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    retries: int = 0
    problem: str = ""
