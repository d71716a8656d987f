"""The producers of a run: history as fast as it goes, live readings at their own pace, and the bad ones in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.demo.bad import bad_events
from remhart_adt.readings import ComponentStatus, nested_reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remhart_adt.simulate import History, Tick
    from remhart_adt.sync.sources import EventHubSender

__all__ = ["Sent", "play_history", "play_live"]

_CHUNK: Final = 2000


@dataclass(slots=True)
class Sent:
    """What the producers sent: `readings` counts every item, bad ones included; `dead` is what must die of what."""

    readings: int = 0
    history: int = 0
    dead: Counter[str] = field(default_factory=Counter)


def _wire(
    point_ids: Sequence[str], time_us: int, values: NDArray[np.float64], statuses: Iterable[ComponentStatus]
) -> list[dict[str, Any]]:
    """The readings of one instant; a row of NaN is a reading that got lost in the field and is not sent."""
    rows = [
        nested_reading(point_id, time_us, row)
        for point_id, row in zip(point_ids, values.tolist(), strict=True)
        if any(value == value for value in row)
    ]
    return rows + [status.to_wire() for status in statuses]


def _history_rows(point_ids: Sequence[str], history: History) -> Iterator[dict[str, Any]]:
    statuses = sorted(history.statuses, key=lambda status: status.time_us)
    at = 0
    for time_us, values in zip(history.time_us.tolist(), history.values, strict=True):
        first = at
        while at < len(statuses) and statuses[at].time_us <= time_us:
            at += 1
        yield from _wire(point_ids, time_us, values, statuses[first:at])
    yield from (status.to_wire() for status in statuses[at:])


async def play_history(sender: EventHubSender, point_ids: Sequence[str], history: History, sent: Sent) -> None:
    """Send the time before the start, unpaced; returns when the hub has acknowledged all of it."""
    chunk: list[dict[str, Any]] = []
    for row in _history_rows(point_ids, history):
        chunk.append(row)
        if len(chunk) >= _CHUNK:
            await sender.send(chunk)
            sent.readings += len(chunk)
            chunk = []
            await asyncio.sleep(0)
    await sender.send(chunk)
    sent.readings += len(chunk)
    await sender.flush()
    sent.history = sent.readings


async def play_live(
    sender: EventHubSender,
    point_ids: Sequence[str],
    ticks: Iterable[Tick],
    sent: Sent,
    *,
    stop: Callable[[], bool],
    each: Callable[[Tick], Awaitable[None]],
    clock: Clock = SYSTEM,
) -> None:
    """Send tick after tick when its time has come, with one bad event after each of the early ticks.

    A tick whose time is past is sent at once; its readings keep their own times. `each` is awaited after every tick.
    """
    bad: Iterator[tuple[Any, bytes]] | None = None
    for tick in ticks:
        if stop():
            return
        await asyncio.sleep(max(0.0, (tick.time_us - clock.now_us()) / 1e6))
        rows = _wire(point_ids, tick.time_us, tick.values, tick.statuses)
        await sender.send(rows)
        sent.readings += len(rows)
        if bad is None:
            # Newer than the reading just sent: a daemon that let one through would write it, and the oracle would see.
            bad = bad_events(point_ids[0], tick.time_us + 1)
        fault = next(bad, None)
        if fault is not None:
            cause, body = fault
            await sender.send_body(point_ids[0], body)
            sent.readings += 1
            sent.dead[cause.value] += 1
        await sender.flush()
        await each(tick)
