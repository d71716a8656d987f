"""Telemetry files in the flat form, scored from beginning to end. A file is hostile: bad rows are named, left out."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.clock import parse_us
from remhart_adt.errors import ConfigError, ReadingError, SourceError
from remhart_adt.limits import READING_BYTES
from remhart_adt.readings import CHANNELS, DeadCause, Quality, ReadingBatch
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.types import FeederInfo, FeederScore, PointInfo, Scores, SlotState
from remhart_adt.scoring.windows import MINUTE_US, Windows

__all__ = ["BadRow", "Chunk", "FlatFile", "Run", "read_points"]

_CHUNK: Final = 2048
# How many bad rows are kept with their line; all are counted.
_NAMED: Final = 20
_WORD: Final = {"": Quality.GOOD, "good": Quality.GOOD, "suspect": Quality.SUSPECT, "bad": Quality.BAD}
_LARGEST: Final = 1e12


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that could not be used: line (from 1, the header included), cause, and what was seen."""

    line: int
    cause: DeadCause
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.cause.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some good rows: the batch, and the text of their times as it stood in the file."""

    batch: ReadingBatch
    stamps: list[str]


@dataclass
class FlatFile:
    """Reads a CSV file of readings chunk by chunk; `bad` and `counts` fill up while it is read."""

    path: Path
    known: Mapping[str, PointInfo]
    bad: list[BadRow] = field(default_factory=list)
    counts: Counter[DeadCause] = field(default_factory=Counter)
    rows: int = 0

    def chunks(self) -> Iterator[Chunk]:
        """Good rows in file order. Raises SourceError when the file cannot be read or its header is unusable."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
                yield from self._chunks(csv.reader(_lines(stream)))
        except OSError as error:
            raise SourceError(f"cannot read it: {error.strerror}", where=str(self.path)) from error

    def _chunks(self, reader: Any) -> Iterator[Chunk]:
        columns, width = self._header(reader)
        ids, times, stamps, lines = [], [], [], []
        cells: list[list[float]] = []
        quality: list[int] = []
        while True:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                self._reject(reader.line_num, DeadCause.WRONG_TYPE, f"no CSV row: {error}")
                continue
            if not row:
                continue
            self.rows += 1
            line = reader.line_num
            try:
                point_id, time_us, stamp, values, word = self._row(row, columns, width)
            except ReadingError as error:
                self._reject(line, DeadCause(error.cause), error.what)
                continue
            ids.append(point_id)
            times.append(time_us)
            stamps.append(stamp)
            lines.append(line)
            cells.append(values)
            quality.append(word)
            if len(ids) == _CHUNK:
                yield _chunk(ids, times, stamps, lines, cells, quality)
                ids, times, stamps, lines, cells, quality = [], [], [], [], [], []
        if ids:
            yield _chunk(ids, times, stamps, lines, cells, quality)

    def _header(self, reader: Any) -> tuple[dict[str, int], int]:
        try:
            header = [name.strip() for name in next(reader)]
        except (StopIteration, csv.Error):
            raise SourceError("it is empty or no CSV file", where=str(self.path)) from None
        twice = [name for name, n in Counter(header).items() if n > 1 and name]
        missing = [name for name in ("pointId", "timestamp") if name not in header]
        channels = [c.name for c in CHANNELS if c.name in header]
        if twice or missing or not channels:
            what = (
                f"columns are named twice: {', '.join(twice)}" if twice
                else f"columns are missing: {', '.join(missing)}" if missing else "it has no channel column"
            )  # fmt: skip
            raise SourceError(
                what, where=f"{self.path}, line 1",
                remedy="The flat form is pointId,timestamp,v_a,v_b,v_c,i_a,...",
            )  # fmt: skip
        names = {"pointId", "timestamp", "quality", *(c.name for c in CHANNELS)}
        return {name: i for i, name in enumerate(header) if name in names}, len(header)

    def _row(self, row: list[str], columns: Mapping[str, int], width: int) -> tuple[str, int, str, list[float], int]:
        """Point, time, its text, channels, quality. Raises ReadingError with the cause."""
        if len(row) != width:
            raise ReadingError(DeadCause.MISSING_FIELD, f"{len(row)} fields, the header has {width}")
        point_id, stamp = row[columns["pointId"]].strip(), row[columns["timestamp"]].strip()
        if point_id not in self.known:
            raise ReadingError(DeadCause.UNKNOWN_POINT, repr(point_id[:60]))
        try:
            time_us = parse_us(stamp)
        except ValueError as error:
            raise ReadingError(DeadCause.BAD_TIMESTAMP, str(error)) from error
        values = []
        for channel in CHANNELS:
            text = row[columns[channel.name]].strip() if channel.name in columns else ""
            try:
                value = float(text) if text else float("nan")
            except ValueError as error:
                raise ReadingError(DeadCause.WRONG_TYPE, f"{channel.name} is {text[:40]!r}") from error
            if text and not value - value == 0:
                raise ReadingError(DeadCause.NOT_FINITE, f"{channel.name} is {text[:40]!r}")
            if abs(value) > _LARGEST:
                raise ReadingError(DeadCause.OUT_OF_RANGE, f"{channel.name} is {text[:40]!r}")
            values.append(value)
        word = row[columns["quality"]].strip().lower() if "quality" in columns else ""
        if word not in _WORD:
            raise ReadingError(DeadCause.WRONG_TYPE, f"quality is {word[:40]!r}")
        return point_id, time_us, stamp, values, int(_WORD[word])

    def _reject(self, line: int, cause: DeadCause, detail: str) -> None:
        self.counts[cause] += 1
        if len(self.bad) < _NAMED:
            self.bad.append(BadRow(line, cause, detail))


def _lines(stream: Any) -> Iterator[str]:
    """Lines of bounded length: a longer one is cut, and fails as a row of its own."""
    while line := stream.readline(READING_BYTES):
        yield line.replace("\0", "\ufffd")


def _chunk(
    ids: list[str], times: list[int], stamps: list[str], lines: list[int], cells: list[list[float]], quality: list[int]
) -> Chunk:
    names = tuple(dict.fromkeys(ids))
    at = {name: i for i, name in enumerate(names)}
    n = len(ids)
    return Chunk(
        ReadingBatch(
            names,
            np.array([at[name] for name in ids], np.int32),
            np.array(times, np.int64),
            np.array(cells, np.float64).reshape(n, len(CHANNELS)),
            np.array(quality, np.int8),
            np.array(lines, np.int64),
            np.zeros(n, np.int32),
            np.array(times, np.int64),
        ),
        stamps,
    )


def read_points(path: Path) -> dict[str, PointInfo]:
    """POINTS.csv: pointId, nominal_v_ln, hz, rated_a (may be empty); other columns are ignored.

    Raises ConfigError with every bad row at once.
    """
    problems: list[str] = []
    points: dict[str, PointInfo] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            reader = csv.DictReader(_lines(stream))
            missing = [n for n in ("pointId", "nominal_v_ln", "hz", "rated_a") if n not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError(f"columns are missing: {', '.join(missing)}", where=f"{path}, line 1")
            for row in reader:
                try:
                    info = _point(row)
                    if info.point_id in points:
                        raise ValueError(f"{info.point_id} is listed twice")
                    points[info.point_id] = info
                except (ValueError, TypeError, AttributeError) as error:
                    problems.append(f"line {reader.line_num}: {error}")
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", where=str(path)) from error
    except csv.Error as error:
        raise ConfigError(f"it is no CSV file: {error}", where=str(path)) from error
    if problems or not points:
        raise ConfigError("; ".join(problems[:_NAMED]) or "it lists no point", where=str(path))
    return points


def _point(row: Mapping[str, str]) -> PointInfo:
    point_id, rated = row["pointId"].strip(), (row["rated_a"] or "").strip()
    if not point_id:
        raise ValueError("pointId is empty")
    numbers = [float(row["nominal_v_ln"]), float(row["hz"]), *([float(rated)] if rated else [])]
    if not all(x - x == 0 for x in numbers):
        raise ValueError(f"{point_id}: numbers must be finite")
    return PointInfo(point_id, numbers[0], numbers[1], numbers[2] if rated else None)


@dataclass
class Run:
    """One pass over a file: `columns` grows by chunk; `late` counts rows not newer than their point's last."""

    engine: Engine
    windows: Windows
    feeders: Sequence[tuple[FeederInfo, Sequence[str]]] = ()
    accepted: int = 0
    late: int = 0
    _told: dict[tuple[str, str], int] = field(default_factory=dict)

    def score(self, chunk: Chunk) -> dict[str, list[Any]]:
        """Columns of the output for one chunk: pointId, timestamp, then status, reason and outputs of each model.

        Cells of an installed model that was not due at a reading are None.
        """
        columns: dict[str, list[Any]] = {}
        for start, end in self._cuts(chunk.batch.time_us):
            part = _slice(chunk, start, end)
            scores = self.engine.process(self.windows, part.batch)
            self._append(columns, part, scores)
        return columns

    def _cuts(self, time_us: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Without feeders one piece; with feeders a new piece at each new minute, since they are judged in between."""
        if not self.feeders:
            return [(0, len(time_us))]
        minute = time_us // MINUTE_US
        edges = [0, *(np.flatnonzero(minute[1:] != minute[:-1]) + 1).tolist(), len(time_us)]
        return list(pairwise(edges))

    def _append(self, columns: dict[str, list[Any]], part: Chunk, scores: Scores) -> None:
        n = len(part.batch)
        taken = np.flatnonzero(scores.accepted)
        self.accepted += len(taken)
        self.late += n - len(taken)
        rows: dict[str, list[Any]] = {
            "pointId": [part.batch.points[i] for i in part.batch.point], "timestamp": list(part.stamps),
        }  # fmt: skip
        for name, slot in self.engine.slots.items():
            entry = self.engine.entry(name)
            # As they stand on the twin: outputs that share a Map there share a column.
            fields = dict.fromkeys(o.path.rpartition("/")[2] for o in entry.outputs) if entry is not None else {}
            cells: dict[str, list[Any]] = {key: [None] * n for key in ("status", "reason", *fields)}
            if slot.state is not SlotState.INSTALLED:
                # The stream says it once per quarter hour; in a table every row can say it.
                cells["status"] = ["failed" if slot.state is SlotState.QUARANTINED else "abstained"] * n
                cells["reason"] = [slot.reason] * n
            elif slot.scope == "feeder" and not self.feeders:
                cells["status"] = ["abstained"] * n
                cells["reason"] = ["no feeder is known without the graph"] * n
            answer = scores.models.get(name)
            for k, row in enumerate(answer.rows.tolist() if answer is not None else ()):
                for key, value in answer.document(k).items():  # type: ignore[union-attr]
                    cells[key][row] = value
            rows |= {f"{name}.{key}": list(column) for key, column in cells.items()}
        for result in self._feeder_scores():
            self._attach(rows, *result)
        for key, column in rows.items():
            columns.setdefault(key, []).extend(column[i] for i in taken)

    def _feeder_scores(self) -> Iterator[tuple[FeederInfo, FeederScore]]:
        for feeder, members in self.feeders:
            for name, result in self.engine.feeder([self.windows], feeder, members).items():
                key = (feeder.feeder_id, name)
                if result.time_us is not None and result.time_us > self._told.get(key, -1):
                    self._told[key] = result.time_us
                    yield feeder, result

    def _attach(self, rows: dict[str, list[Any]], feeder: FeederInfo, result: FeederScore) -> None:
        """A feeder's answer stands on its head point's last row of the piece that completed the minute."""
        mine = [i for i, name in enumerate(rows["pointId"]) if name == feeder.head_id]
        if mine:
            for key, value in result.document().items():
                cell = json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
                rows[f"{result.model_id}.{key}"][mine[-1]] = cell


def _slice(chunk: Chunk, start: int, end: int) -> Chunk:
    b = chunk.batch
    return Chunk(
        ReadingBatch(
            b.points, b.point[start:end], b.time_us[start:end], b.values[start:end], b.quality[start:end],
            b.sequence[start:end], b.index[start:end], b.enqueued_us[start:end],
        ),
        chunk.stamps[start:end],
    )  # fmt: skip
