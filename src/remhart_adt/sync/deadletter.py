"""The dead letter: one NDJSON file per partition, durable before the commit that covers it.

A row: partition, sequence, index, enqueuedAt, cause, message, pointId (when known), body as text, or `bodyBase64` when
it is not UTF-8. After a crash the rows beyond the checkpoint are remembered, so that the replay does not add them
again; a last line that was cut off by the crash is removed.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import orjson

from remhart_adt.clock import format_us
from remhart_adt.errors import CheckpointError, ConfigError
from remhart_adt.sync.decode import Dead
from remhart_adt.sync.types import RawEvent

__all__ = ["DeadLetters", "body_of", "item_body", "read_rows"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


class DeadLetters:
    """The files of this process' partitions, in `folder` (made when missing)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._known: dict[str, set[tuple[int, int]]] = {}
        self._unsynced: set[str] = set()

    def path(self, partition: str) -> Path:
        """The partition's file."""
        return self._folder / f"partition-{_UNSAFE.sub('_', partition)}.ndjson"

    def open(self, partition: str, checkpoint: int) -> None:
        """Begin with a partition whose events up to `checkpoint` are finished. Raises CheckpointError."""
        self.close(partition)
        path = self.path(partition)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._known[partition] = _recover(path, checkpoint)
            self._files[partition] = path.open("ab", buffering=0)
        except OSError as error:
            raise CheckpointError(
                f"the dead-letter file cannot be used: {error}", where=str(path), remedy="Check the disk and its rights"
            ) from error

    def add(self, partition: str, event: RawEvent, dead: Dead) -> None:
        """Write one row; a row that is there from before a crash is not repeated. Raises CheckpointError."""
        key = (dead.sequence, dead.index)
        if key in self._known[partition]:
            return
        row: dict[str, Any] = {
            "partition": partition,
            "sequence": dead.sequence,
            "index": dead.index,
            "enqueuedAt": format_us(event.enqueued_us),
            "cause": dead.cause.value,
            "message": dead.message,
        }
        if dead.point_id is not None:
            row["pointId"] = dead.point_id
        if event.device_id is not None:
            row["deviceId"] = event.device_id
        data = item_body(event.body, dead.index)
        try:
            row["body"] = data.decode()
        except UnicodeDecodeError:
            row["bodyBase64"] = base64.b64encode(data).decode()
        try:
            self._files[partition].write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise CheckpointError(
                f"the dead letter cannot be written: {error}", where=str(self.path(partition))
            ) from error
        self._known[partition].add(key)
        self._unsynced.add(partition)

    def sync(self, partition: str) -> None:
        """Make every row durable; called right before a commit, from any thread. Raises CheckpointError."""
        file = self._files.get(partition)
        if file is None or partition not in self._unsynced:
            return
        self._unsynced.discard(partition)
        try:
            os.fsync(file.fileno())
        except (OSError, ValueError) as error:
            self._unsynced.add(partition)
            raise CheckpointError(f"the dead letter is not durable: {error}", where=file.name) from error

    def forget(self, partition: str, checkpoint: int) -> None:
        """Rows up to the committed checkpoint will not come again."""
        known = self._known.get(partition)
        if known:
            self._known[partition] = {key for key in known if key[0] > checkpoint}

    def close(self, partition: str | None = None) -> None:
        """Close one partition's file, or all."""
        for name in [partition] if partition is not None else list(self._files):
            file = self._files.pop(name, None)
            self._known.pop(name, None)
            self._unsynced.discard(name)
            if file is not None:
                file.close()


def _recover(path: Path, checkpoint: int) -> set[tuple[int, int]]:
    """Keys of the rows beyond the checkpoint; a torn last line is cut off."""
    keys: set[tuple[int, int]] = set()
    if not path.exists():
        return keys
    with path.open("r+b") as file:
        good = 0
        for line in file:
            try:
                row = orjson.loads(line)
                key = (int(row["sequence"]), int(row["index"]))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                if not line.endswith(b"\n"):
                    break  # the crash cut it off; everything before it is whole
                good += len(line)
                continue
            good += len(line)
            if not line.endswith(b"\n"):
                file.seek(good)
                file.write(b"\n")
                good += 1
            if key[0] > checkpoint:
                keys.add(key)
        file.truncate(good)
        file.flush()
        os.fsync(file.fileno())
    return keys


def item_body(body: bytes, index: int) -> bytes:
    """The text of one item of an event; the whole event when it cannot be taken apart."""
    try:
        parsed = json.loads(body)
        if isinstance(parsed, list) and len(parsed) > 1:
            return json.dumps(parsed[index], separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError, IndexError):
        pass
    return body


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a dead-letter file. Raises ConfigError for a file that is none; a torn last line is passed over."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = orjson.loads(line)
                    body_of(row)
                except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                    if not line.endswith(b"\n"):
                        return
                    raise ConfigError("not a dead-letter row", where=f"{path}:{number}") from error
                yield row
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error}", where=str(path)) from error


def body_of(row: dict[str, Any]) -> bytes:
    """The body of a row, as it stood in the event."""
    if "bodyBase64" in row:
        return base64.b64decode(row["bodyBase64"], validate=True)
    return str(row["body"]).encode()
