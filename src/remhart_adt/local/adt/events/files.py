"""Appending lines of JSON to a file: the file endpoint and the dead letters."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from remhart_adt.local.adt.events.types import Outcome, Pending

__all__ = ["FileSender", "append_lines"]


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append lines and see them onto the disk; the folder is made when it is missing.

    A line that a killed process left half written is ended first, so that it spoils none of ours. Raises OSError, also
    for what is no ordinary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not an ordinary file")
        torn = status.st_size > 0 and os.pread(handle, 1, status.st_size - 1) != b"\n"
        rest = memoryview((b"\n" if torn else b"") + b"".join(line + b"\n" for line in lines))
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fdatasync(handle)
    finally:
        os.close(handle)


class FileSender:
    """Structured CloudEvents, one on a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, rows: Sequence[Pending]) -> Outcome:
        """Append all of them."""
        try:
            await asyncio.to_thread(append_lines, self._path, [row.structured() for row in rows])
        except OSError as error:
            return Outcome(failed={row.n: f"the file cannot be written: {error.strerror or error}" for row in rows})
        return Outcome(delivered=[row.n for row in rows])

    async def close(self) -> None:
        """Nothing stays open."""
