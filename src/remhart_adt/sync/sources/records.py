"""Telemetry files as records: CSV with a header line, or NDJSON, in the flat form or any other that a mapping knows."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from remhart_adt import limits
from remhart_adt.clock import parse_us
from remhart_adt.errors import ReadingError, SourceError
from remhart_adt.readings import CHANNEL_INDEX

__all__ = ["FileRecord", "Translate", "read_records"]

Translate = Callable[[Mapping[str, Any]], dict[str, Any]]

# Columns of the flat form that hold numbers; every other column stays text, `pointId` above all.
_NUMBERS: Final = frozenset(CHANNEL_INDEX) | {"tapPosition", "stepsOn", "temperature"}


class FileRecord(NamedTuple):
    """One record: its number from 0, the JSON body it stands for, its point or component, and its source time (None
    when it has none that can be read)."""

    number: int
    body: bytes
    key: str | None
    time_us: int | None


def read_records(path: Path, translate: Translate | None = None) -> Generator[FileRecord, None, None]:
    """The records of a `.csv` or NDJSON file, in order, a line at a time.

    `translate` (`Mapping.translate`) turns a row into the wire form; a row it cannot understand is passed on as it
    stands, to be dead-lettered with the others. Raises SourceError for a file that cannot be read, is not UTF-8, or
    has a line above the size of an event.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _csv_rows(file, path) if path.suffix.lower() == ".csv" else _json_rows(file, path)
            for number, row in enumerate(rows):
                yield _record(number, row, translate)
    except (OSError, UnicodeDecodeError) as problem:
        raise SourceError(f"the file cannot be read: {problem}", where=str(path)) from problem


def _lines(file: Any, path: Path) -> Iterator[str]:
    number = 0
    while line := file.readline(limits.EVENT_BYTES):
        number += 1
        if not line.endswith("\n") and len(line) >= limits.EVENT_BYTES:
            raise SourceError(f"the line has more than {limits.EVENT_BYTES} characters", where=f"{path}:{number}")
        yield line


def _csv_rows(file: Any, path: Path) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(_lines(file, path), restkey="")
    try:
        for row in reader:
            yield {name: _cell(name, text) for name, text in row.items() if text not in (None, "")}
    except csv.Error as problem:
        raise SourceError(f"not CSV: {problem}", where=f"{path}:{reader.line_num}") from None


def _cell(name: str, text: Any) -> Any:
    if name in _NUMBERS:
        try:
            number = float(text)
        except (TypeError, ValueError):
            return text  # dead-lettered as a wrong type, with the text that was there
        return int(number) if name in ("tapPosition", "stepsOn") and number.is_integer() else number
    return text


def _json_rows(file: Any, path: Path) -> Iterator[Any]:
    for line in _lines(file, path):
        if line.strip():
            yield line.strip()


def _record(number: int, row: Any, translate: Translate | None) -> FileRecord:
    body = row.encode() if isinstance(row, str) else None
    if isinstance(row, str):
        try:
            row = json.loads(row)
        except (ValueError, RecursionError):
            row = None
    if translate is not None and isinstance(row, dict):
        with contextlib.suppress(ReadingError):
            row, body = translate(row), None
    if body is None:
        body = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
    if not isinstance(row, dict):
        return FileRecord(number, body, None, None)
    key = row.get("pointId", row.get("componentId"))
    try:
        time_us = parse_us(row["timestamp"])
    except (KeyError, TypeError, ValueError):
        time_us = None
    return FileRecord(number, body, key if isinstance(key, str) else None, time_us)
