"""The bytes of a partition's windows: a JSON head line, then the arrays, then a CRC-32 over all of it.

Only rows of points that have had a reading are written. Not compressed: the daemon writes one beside every checkpoint,
and noisy floats shrink little for the time it takes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import CheckpointError
from remhart_adt.ids import MODELS
from remhart_adt.readings import CHANNELS

if TYPE_CHECKING:
    from remhart_adt.scoring.windows import Windows

__all__ = ["VERSION", "dump", "layout", "load"]

# Raised whenever a window array changes shape or meaning. A snapshot of a version that is not among `_READ` is
# refused, and the new owner warms its windows from the stream instead.
VERSION: Final = 3
# Version -> short and long quarter-hour columns it has; what was appended later starts empty.
_READ: Final = {2: (16, 2), 3: None}
_MAGIC: Final = "remhart-windows"


def layout(points: int, quarters: tuple[int, int] | None = None) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """Name -> (shape, dtype, fill value) of every window array for so many points; with fewer quarter-hour columns as
    an older version had them."""
    from remhart_adt.scoring import windows as w

    never, no_slot = np.iinfo(np.int64).min, np.iinfo(np.int32).min
    raw, long, short = w.RAW + w.SLACK, w.LONG_SLOTS + w.SLACK, w.SHORT_SLOTS + w.SLACK
    columns, long_columns = (len(w.SHORT_COLUMNS), len(w.LONG_COLUMNS)) if quarters is None else quarters
    return {
        "raw": ((points, raw, len(CHANNELS)), np.float32, np.nan),
        "raw_us": ((points, raw), np.int64, never),
        "count": ((points,), np.int64, 0),
        "last_us": ((points,), np.int64, never),
        "long": ((points, long, long_columns), np.float32, np.nan),
        "long_tag": ((points, long), np.int32, no_slot),
        "short": ((points, short, columns), np.float32, np.nan),
        "short_tag": ((points, short), np.int32, no_slot),
        "open_slot": ((points,), np.int64, no_slot),
        "open_sum": ((points, columns + 2), np.float64, 0.0),
        "open_n": ((points, columns + 2), np.int32, 0),
        "minute_sum": ((points, w.MINUTES, len(w.MINUTE_COLUMNS)), np.float64, 0.0),
        "minute_n": ((points, w.MINUTES, len(w.MINUTE_COLUMNS)), np.int32, 0),
        "minute_tag": ((points, w.MINUTES), np.int64, never),
        "owed": ((points, len(MODELS)), bool, False),
    }


def dump(windows: Windows, ids: Sequence[str], rows: Sequence[int]) -> bytes:
    """The state of the window rows `rows`, which belong to `ids`."""
    parts = [json.dumps({"format": _MAGIC, "version": VERSION, "ids": list(ids)}).encode() + b"\n"]
    for name, (_, dtype, _) in layout(0).items():
        array = getattr(windows, name)[list(rows)]
        parts.append(np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).tobytes())
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4, "little")


def load(data: bytes) -> tuple[list[str], Mapping[str, NDArray[Any]]]:
    """Ids and arrays of a snapshot; raises CheckpointError when it is damaged or of another version."""
    if len(data) < 5 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CheckpointError("the window snapshot is damaged (checksum)", remedy="Start without it; windows will warm")
    end = data.find(b"\n")
    try:
        head = json.loads(data[:end])
        ids = [str(point_id) for point_id in head["ids"]]
        version = (head["format"], head["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError("the window snapshot has no readable head", remedy="Start without it") from error
    if version[0] != _MAGIC or version[1] not in _READ:
        raise CheckpointError(
            f"the window snapshot is of version {version[1]}, this program reads {VERSION}",
            remedy="Start without it; windows will warm",
        )
    arrays: dict[str, NDArray[Any]] = {}
    offset = end + 1
    wanted = layout(len(ids))
    for name, (shape, dtype, fill) in layout(len(ids), _READ[version[1]]).items():
        kind = np.dtype(dtype).newbyteorder("<")
        size = int(np.prod(shape)) * kind.itemsize
        if offset + size > len(data) - 4:
            raise CheckpointError("the window snapshot is too short for its head", remedy="Start without it")
        array = np.frombuffer(data, kind, int(np.prod(shape)), offset).reshape(shape)
        arrays[name] = array if shape == wanted[name][0] else _widened(array, name, wanted[name][0], fill)
        offset += size
    if offset != len(data) - 4:
        raise CheckpointError("the window snapshot is longer than its head says", remedy="Start without it")
    return ids, arrays


def _widened(array: NDArray[Any], name: str, shape: tuple[int, ...], fill: Any) -> NDArray[Any]:
    """An older version's quarter hours with the columns that were appended since; the open one's last two columns are
    the totals of P and Q."""
    tail = 2 if name.startswith("open_") else 0
    wide = np.full(shape, fill, array.dtype)
    old = array.shape[-1] - tail
    wide[..., :old] = array[..., :old]
    if tail:
        wide[..., -tail:] = array[..., -tail:]
    return wide
