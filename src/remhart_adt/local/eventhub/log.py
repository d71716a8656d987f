"""The hub's log: every partition an append-only sequence of events in segments, in memory or on disk.

On disk, `<data>/<partition>/<first sequence, 20 digits>.log` holds records of a 32-byte head (payload length, CRC-32
of the rest, sequence, offset, enqueued time in ms; big-endian) and the event as receivers get it. A batch is written
with one `write` before it is acknowledged, so acknowledged events survive the death of the process (SIGKILL included);
with `fsync=True` they survive the death of the machine as well, at the price of a disk flush per batch. A torn record
at the end of the last segment (the process died within `write`, so it was never acknowledged) is cut off on opening;
damage anywhere else is an error, never silently skipped.

Retention: when a partition holds more than `retention_bytes` beyond its oldest segment, that segment is dropped whole.
So a partition keeps at least the last `retention_bytes` of events and at most one segment more.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub.message import body_of, properties_of

__all__ = ["LoggedEvent", "PartitionLog", "Segment", "read"]

_RECORD: Final = struct.Struct(">IIqqq")
_CHECKED: Final = struct.Struct(">qqq")
SEGMENT_BYTES: Final = 16 * 1024 * 1024
RETENTION_BYTES: Final = 1024 * 1024 * 1024
MEMORY_RETENTION_BYTES: Final = 128 * 1024 * 1024


class LoggedEvent(NamedTuple):
    """One event of the log; `properties` are its application properties plus `annotations`."""

    partition: str
    sequence: int
    offset: str
    enqueued_us: int
    body: bytes
    properties: dict[str, Any]


def _record(sequence: int, offset: int, enqueued_ms: int, payload: bytes) -> bytes:
    checked = _CHECKED.pack(sequence, offset, enqueued_ms)
    crc = zlib.crc32(payload, zlib.crc32(checked))
    return struct.pack(">II", len(payload), crc) + checked + payload


def _scan(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """(position of the payload, its length, sequence, offset, enqueued ms) of every whole record from the start."""
    at = 0
    while at + _RECORD.size <= len(data):
        size, crc, sequence, offset, enqueued_ms = _RECORD.unpack_from(data, at)
        start = at + _RECORD.size
        if start + size > len(data) or zlib.crc32(data[at + 8 : start + size]) != crc:
            return
        yield start, size, sequence, offset, enqueued_ms
        at = start + size


def _is_torn(tail: bytes) -> bool:
    """Whether this can be what a write that never ended has left: a record cut short, or (after a power cut) zeros.

    A record that is all there and wrong is damage: behind it may stand acknowledged events.
    """
    whole = len(tail) >= _RECORD.size and len(tail) >= _RECORD.size + _RECORD.unpack_from(tail)[0]
    return not whole or not any(tail)


class Segment:
    """A run of consecutive events: columns in memory, payloads in memory or in one file."""

    def __init__(self, base: int, path: Path | None) -> None:
        self.base = base
        self.path = path
        self.offsets = array("q")
        self.times = array("q")
        self.size = 0
        self._payloads: list[bytes] = []
        self._starts = array("q")
        self._sizes = array("q")
        self._fd = -1
        if path is not None:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def end(self) -> int:
        """One past the last sequence of this segment."""
        return self.base + len(self.offsets)

    def load(self, *, last: bool) -> None:
        """Read the file's records; a torn end is cut off in the `last` segment and an error in any other."""
        assert self.path is not None
        data = self.path.read_bytes()
        for start, size, sequence, offset, enqueued_ms in _scan(data):
            if sequence != self.end:
                raise LocalServerError(
                    f"sequence {sequence} found where {self.end} was expected", where=str(self.path), remedy=_DAMAGED
                )
            self.offsets.append(offset)
            self.times.append(enqueued_ms)
            self._starts.append(start)
            self._sizes.append(size)
            self.size = start + size
        if self.size < len(data):
            if not (last and _is_torn(data[self.size :])):
                raise LocalServerError(f"a damaged record at byte {self.size}", where=str(self.path), remedy=_DAMAGED)
            os.ftruncate(self._fd, self.size)

    def append(self, rows: Sequence[tuple[int, int, int, bytes]], *, fsync: bool) -> None:
        """Add (sequence, offset, enqueued ms, payload) rows; OSError leaves the segment as it was."""
        if self.path is None:
            self._payloads.extend(payload for *_, payload in rows)
            self.size += sum(len(payload) for *_, payload in rows)
        else:
            blob = b"".join(_record(*row) for row in rows)
            try:
                written = os.pwrite(self._fd, blob, self.size)
                while written < len(blob):
                    written += os.pwrite(self._fd, blob[written:], self.size + written)
                if fsync:
                    os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self.size)
                raise
            for *_, payload in rows:
                self._starts.append(self.size + _RECORD.size)
                self._sizes.append(len(payload))
                self.size += _RECORD.size + len(payload)
        for _, offset, enqueued_ms, _ in rows:
            self.offsets.append(offset)
            self.times.append(enqueued_ms)

    def payloads(self, first: int, count: int) -> list[bytes]:
        """Up to `count` payloads from the `first`-th event of this segment on."""
        if self.path is None:
            return self._payloads[first : first + count]
        count = min(count, len(self) - first)
        if count <= 0:
            return []
        low = self._starts[first]
        high = self._starts[first + count - 1] + self._sizes[first + count - 1]
        data = os.pread(self._fd, high - low, low)
        return [
            data[self._starts[i] - low : self._starts[i] - low + self._sizes[i]] for i in range(first, first + count)
        ]

    def byte_size(self, first: int) -> int:
        """The payload size of the `first`-th event of this segment."""
        return len(self._payloads[first]) if self.path is None else self._sizes[first]

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def drop(self) -> None:
        """Release and delete the file."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


_DAMAGED: Final = "The log is damaged; delete the data folder to start empty, or restore it from a copy"


class PartitionLog:
    """The events of one partition. Sequence numbers count from 0 without gaps; the offset is the number of bytes
    before an event, so it differs from the sequence and mix-ups show."""

    def __init__(
        self,
        folder: Path | None,
        *,
        retention_bytes: int | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        fsync: bool = False,
    ) -> None:
        self.folder = folder
        default = MEMORY_RETENTION_BYTES if folder is None else RETENTION_BYTES
        self.retention_bytes = default if retention_bytes is None else retention_bytes
        self.segment_bytes = segment_bytes
        self.fsync = fsync
        self.next_offset = 0
        self._segments: list[Segment] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(folder.glob("*.log"))
            for path in paths:
                if self._segments and int(path.stem) != self._segments[-1].end:
                    raise LocalServerError("a segment is missing before this one", where=str(path), remedy=_DAMAGED)
                segment = Segment(int(path.stem), path)
                self._segments.append(segment)
                segment.load(last=path == paths[-1])
                if len(segment):
                    self.next_offset = segment.offsets[-1] + segment.byte_size(len(segment) - 1)
        if not self._segments:
            self._segments.append(self._new_segment(0))

    def _new_segment(self, base: int) -> Segment:
        return Segment(base, None if self.folder is None else self.folder / f"{base:020d}.log")

    @property
    def begin(self) -> int:
        """The oldest sequence still held (equal to `end` when empty)."""
        return self._segments[0].base

    @property
    def end(self) -> int:
        """The next sequence to be given."""
        return self._segments[-1].end

    @property
    def last(self) -> tuple[str, int]:
        """(offset, enqueued ms) of the newest event; ("-1", 0) when nothing is held."""
        for segment in reversed(self._segments):
            if len(segment):
                return str(segment.offsets[-1]), segment.times[-1]
        return "-1", 0

    def append(self, rows: Sequence[tuple[int, int, int, bytes]]) -> None:
        """Add rows made with `end` and `next_offset`; durable (see the module) when this returns, else OSError."""
        if self._segments[-1].size >= self.segment_bytes:
            self._segments.append(self._new_segment(self.end))
        self._segments[-1].append(rows, fsync=self.fsync)
        _, offset, _, payload = rows[-1]
        self.next_offset = offset + len(payload)
        held = sum(segment.size for segment in self._segments)
        while len(self._segments) > 1 and held - self._segments[0].size >= self.retention_bytes:
            held -= self._segments[0].size
            self._segments.pop(0).drop()

    def payloads(self, sequence: int, count: int, max_bytes: int) -> list[bytes]:
        """Events from `sequence` on: at most `count` of one segment, and about `max_bytes` but at least one."""
        index = bisect_right([segment.base for segment in self._segments], sequence) - 1
        segment = self._segments[max(0, index)]
        first = max(0, sequence - segment.base)
        total = taken = 0
        while taken < count and first + taken < len(segment) and (taken == 0 or total < max_bytes):
            total += segment.byte_size(first + taken)
            taken += 1
        return segment.payloads(first, taken)

    def seek_offset(self, offset: int, *, inclusive: bool) -> int:
        """The sequence of the first event at (or after) the offset."""
        return self._seek("offsets", offset, inclusive=inclusive)

    def seek_time(self, enqueued_ms: int, *, inclusive: bool) -> int:
        """The sequence of the first event enqueued at or after (or strictly after) the time."""
        return self._seek("times", enqueued_ms, inclusive=inclusive)

    def _seek(self, column: str, value: int, *, inclusive: bool) -> int:
        find = bisect_left if inclusive else bisect_right
        for segment in self._segments:
            place = find(getattr(segment, column), value)
            if place < len(segment):
                return segment.base + place
        return self.end

    def close(self) -> None:
        """Release the files."""
        for segment in self._segments:
            segment.close()


def read(data: Path | str) -> Iterator[LoggedEvent]:
    """Every event in a hub's data folder, partition by partition, in order; works beside a running hub.

    A record that is not wholly there yet ends its partition. Raises LocalServerError when `data` is no hub's folder.
    """
    root = Path(data)
    if not (root / "hub.json").is_file():
        raise LocalServerError("no event hub data here", where=str(root), remedy="Name the --data folder of a hub")
    folders = [folder for folder in root.iterdir() if folder.is_dir() and folder.name.isdigit()]
    for folder in sorted(folders, key=lambda folder: int(folder.name)):
        for path in sorted(folder.glob("*.log")):
            try:
                data_bytes = path.read_bytes()
            except FileNotFoundError:  # the running hub's retention has just dropped it
                continue
            for start, size, sequence, offset, enqueued_ms in _scan(data_bytes):
                payload = data_bytes[start : start + size]
                yield LoggedEvent(
                    folder.name, sequence, str(offset), enqueued_ms * 1000, body_of(payload), properties_of(payload)
                )
