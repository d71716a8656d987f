"""What the rooms of the jobs pass to each other: a job, what ends it early, and what it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from remhart_adt.local.adt.bounds import Bounds
from remhart_adt.local.adt.catalog import Catalog
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.lag import Lag
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.ticks import Ticker, twin_time

__all__ = ["ACTIVE", "Graph", "Job", "JobCancelledError", "JobError", "Kind", "Problem", "Status", "job_time"]

Kind = Literal["import", "delete"]
Status = Literal["notstarted", "running", "failed", "succeeded", "cancelling", "cancelled"]
ACTIVE: Final = frozenset({"notstarted", "running", "cancelling"})


@dataclass(slots=True)
class Job:
    """One import or delete job; times in ticks, `finished` 0 until it is. Delete jobs have no blobs."""

    kind: Kind
    id: str
    created: int
    last_action: int
    purge: int
    status: Status = "notstarted"
    finished: int = 0
    input_uri: str = ""
    output_uri: str = ""
    error_code: str = ""
    error_message: str = ""

    @property
    def active(self) -> bool:
        """Whether it has not come to its end."""
        return self.status in ACTIVE

    def document(self, *, null_finished: bool = False) -> dict[str, Any]:
        """The job on the wire: what is not set is absent, but for the null that the preview of 2023-02-27 shows."""
        document: dict[str, Any] = {"id": self.id}
        if self.kind == "import":
            document["inputBlobUri"] = self.input_uri
            document["outputBlobUri"] = self.output_uri
        document["createdDateTime"] = job_time(self.created)
        if self.kind == "import":
            document["lastActionDateTime"] = job_time(self.last_action)
        if self.finished:
            document["finishedDateTime"] = job_time(self.finished)
        elif null_finished:
            document["finishedDateTime"] = None
        document["purgeDateTime"] = job_time(self.purge)
        document["status"] = self.status
        if self.error_code:
            document["error"] = {"code": self.error_code, "message": self.error_message}
        return document


class JobError(Exception):
    """What makes a job `failed`; code and message go into its `error`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobCancelledError(Exception):
    """The job was asked to stop, and did."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of the output log about one line of the input; line 0 when it is about no single line."""

    section: str
    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Graph:
    """What a job reads and writes."""

    store: Store
    catalog: Catalog
    lag: Lag
    ticker: Ticker
    bounds: Bounds
    chance: Chance


def job_time(ticks: int) -> str:
    """`2023-05-31T22:17:55.175361Z`: trailing zeros dropped."""
    whole, _, fraction = twin_time(ticks)[:-1].partition(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"
