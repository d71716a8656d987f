"""Ticks as what devices send: JSON events of readings and statuses, or the rows of a CSV file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from remhart_adt.clock import format_us
from remhart_adt.errors import ConfigError
from remhart_adt.readings import CHANNELS, flat_reading, nested_reading
from remhart_adt.simulate.scenario import History, Tick

__all__ = ["FORMS", "TelemetryFile", "bodies", "history_ticks", "packets"]

FORMS: Final = {"nested": nested_reading, "flat": flat_reading}


def bodies(point_ids: Sequence[str], tick: Tick, form: str = "nested") -> list[dict[str, Any]]:
    """The JSON objects of one tick: statuses first (a switch moves before its voltage is gone), then readings.

    A reading that was lost is not among them. Raises ConfigError for an unknown form.
    """
    if form not in FORMS:
        raise ConfigError(f"no form {form!r}", remedy=f"Choose from {', '.join(FORMS)}")
    make = FORMS[form]
    out = [status.to_wire() for status in tick.statuses]
    for point, values in zip(point_ids, tick.values.tolist(), strict=True):
        if any(value == value for value in values):
            out.append(make(point, tick.time_us, values))
    return out


def packets(objects: Sequence[dict[str, Any]], per_event: int) -> Iterator[list[dict[str, Any]]]:
    """The objects in lots of at most `per_event`, one lot to an event."""
    for k in range(0, len(objects), per_event):
        yield list(objects[k : k + per_event])


def history_ticks(history: History) -> Iterator[Tick]:
    """The history as ticks in time order."""
    statuses: dict[int, list[Any]] = {}
    for status in history.statuses:
        statuses.setdefault(status.time_us, []).append(status)
    for time_us, values in zip(history.time_us.tolist(), history.values, strict=True):
        yield Tick(time_us, values, tuple(statuses.get(time_us, ())))


class TelemetryFile:
    """A file of telemetry: `.ndjson` holds one event a line (an object, or an array of several), `.csv` the flat form.

    CSV has readings only; `left_out` counts the statuses that did not fit in.
    """

    def __init__(self, path: Path | TextIO, *, form: str = "nested", per_event: int = 1) -> None:
        """An open stream gets NDJSON. Raises ConfigError for another ending or a path that cannot be written."""
        self._form, self._per_event = form, per_event
        self.readings = self.statuses = self.left_out = 0
        self._stream: TextIO
        self._rows: Any = None
        if not isinstance(path, Path):
            self._stream = path
            return
        if path.suffix not in (".ndjson", ".csv"):
            raise ConfigError(f"unknown ending {path.suffix!r}", where=str(path), remedy="Use .ndjson or .csv")
        try:
            self._stream = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigError(
                f"cannot write: {error.strerror}", where=str(path), remedy="Give a writable path"
            ) from error
        if path.suffix == ".csv":
            self._rows = csv.writer(self._stream)
            self._rows.writerow(["pointId", "timestamp", *(channel.name for channel in CHANNELS)])

    def __enter__(self) -> TelemetryFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not sys.stdout:
            self._stream.close()

    def flush(self) -> None:
        """Hand over what was written so far."""
        self._stream.flush()

    def write(self, point_ids: Sequence[str], tick: Tick) -> None:
        """Append one tick."""
        if self._rows is None:
            objects = bodies(point_ids, tick, self._form)
            self.statuses += len(tick.statuses)
            self.readings += len(objects) - len(tick.statuses)
            for lot in packets(objects, self._per_event):
                self._stream.write(json.dumps(lot[0] if self._per_event == 1 else lot, separators=(",", ":")) + "\n")
            return
        self.left_out += len(tick.statuses)
        stamp = format_us(tick.time_us)
        for point, values in zip(point_ids, tick.values.tolist(), strict=True):
            row = ["" if value != value else repr(value) for value in values]
            if any(row):
                self._rows.writerow([point, stamp, *row])
                self.readings += 1
