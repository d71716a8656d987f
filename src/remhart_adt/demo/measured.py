"""Measured telemetry through the same hub and the same daemon."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from remhart_adt.clock import format_us
from remhart_adt.demo.report import Outcome
from remhart_adt.demo.run import Demo
from remhart_adt.demo.view import Moment
from remhart_adt.errors import ConfigError
from remhart_adt.ids import DTMI_POINT
from remhart_adt.sync.mapping import Mapping
from remhart_adt.sync.sources import EventHubSender, FileRecord, read_records

__all__ = ["replay_measured"]

_CHUNK: Final = 500
# Without a pause between them, records are shown this often.
_LOOK_S: Final = 1.0


async def replay_measured(demo: Demo, telemetry: Path, graph: Path, mapping: Path | None, speed: float) -> Outcome:
    """Send the file's records, `speed` times faster than they were measured (0: unpaced), and judge the run.

    There is no event list to compare alarms with; everything else is judged as ever. Raises ConfigError when
    speed makes no sense, and what reading the files raises.
    """
    if not 0 <= speed < float("inf"):
        raise ConfigError(f"speed {speed}", remedy="Use 0 for as fast as possible, or a factor above 0")
    translate = Mapping.load(mapping).translate if mapping else None
    async with demo.on_stage(graph):
        begun = time.monotonic()
        pacer = _Pacer(speed)
        last_look = begun
        async with EventHubSender(demo.stage.connection_string, per_event=1) as sender:
            for number, record in enumerate(read_records(telemetry, translate)):
                if delay := pacer.wait(record):
                    await sender.flush()
                    await asyncio.sleep(delay)
                await sender.send_body(record.key or "", record.body)
                demo.sent.readings += 1
                if time.monotonic() - last_look >= _LOOK_S or number % _CHUNK == 0:
                    await sender.flush()
                    await _look(demo, record)
                    last_look = time.monotonic()
        demo.sent.history = demo.sent.readings
        await demo.drained()
        demo.figures.history_s = time.monotonic() - begun
        return await demo.finish(None)


class _Pacer:
    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    def wait(self, record: FileRecord) -> float:
        """Seconds until the record is due."""
        if not self._speed or record.time_us is None:
            return 0.0
        now = time.monotonic()
        if self._first is None:
            self._first = (record.time_us, now)
        due = self._first[1] + (record.time_us - self._first[0]) / 1e6 / self._speed
        return max(0.0, due - now)


async def _look(demo: Demo, record: FileRecord) -> None:
    points, report = await demo.look(DTMI_POINT), await demo.daemon_report()
    demo.shares.look(points)
    stamp = "" if record.time_us is None else format_us(record.time_us)
    demo.view.show(Moment(title=f"measured {stamp}", points=points, report=report, sent=demo.sent.readings))
