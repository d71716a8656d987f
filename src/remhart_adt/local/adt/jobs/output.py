"""The output log of an import job: one JSON object a line, collected and appended to the blob in blocks."""

from __future__ import annotations

from typing import Any, Final

import orjson

from remhart_adt.local.adt.jobs.blobs import BlobWriter
from remhart_adt.local.adt.jobs.types import Problem
from remhart_adt.local.adt.ticks import Ticker, twin_time

__all__ = ["OutputLog"]

# An append blob takes 50,000 blocks: so even an error for each of twelve million entities fits.
_BLOCK: Final = 256 * 1024


class OutputLog:
    """Lines as the service writes them; those of `problem` were seen once, in a public report of a failed job."""

    def __init__(self, writer: BlobWriter, job_id: str, ticker: Ticker) -> None:
        self._writer = writer
        self._job_id = job_id
        self._ticker = ticker
        self._lines: list[bytes] = []
        self._size = 0

    async def create(self) -> None:
        """Begin the blob; raises JobError."""
        await self._writer.create()

    def status(self, status: str, section: str = "", *, failed: int = 0) -> None:
        """A section, or without one the job, began or ended; `failed` counts the entities that were not imported."""
        details: dict[str, Any] = {"section": section} if section else {}
        details["status"] = status
        if failed:
            details["failed"] = failed
        self._line("Error" if status == "Failed" else "Info", details)

    def problem(self, problem: Problem) -> None:
        """A line of the input that was not imported."""
        details: dict[str, Any] = {"section": problem.section}
        if problem.line:
            details["line"] = problem.line
        details |= {"exceptionType": problem.code, "message": problem.message}
        self._line("Error", details)

    def _line(self, kind: str, details: dict[str, Any]) -> None:
        line = orjson.dumps(
            {
                "timestamp": twin_time(self._ticker.next()),
                "jobId": self._job_id,
                "jobType": "Import",
                "logType": kind,
                "details": details,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        self._lines.append(line)
        self._size += len(line)

    async def drain(self, *, everything: bool = False) -> None:
        """Append what makes a block, or whatever there is; raises JobError."""
        if self._size < _BLOCK and not everything:
            return
        while self._lines:
            block, size = [], 0
            while self._lines and size < _BLOCK:
                block.append(self._lines.pop(0))
                size += len(block[-1])
            self._size -= size
            await self._writer.append(b"".join(block))

    async def close(self) -> None:
        """Let go of the blob."""
        await self._writer.close()
