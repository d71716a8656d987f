"""The jobs of one instance: one runs at a time, as a task beside the requests; all are kept for thirty days.

A job that the server's death cut short is `failed` after the restart and says so: what it had done stays, and nothing
starts by itself again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from remhart_adt import log
from remhart_adt.clock import Clock
from remhart_adt.local.adt.errors import AdtError, invalid_argument
from remhart_adt.local.adt.jobs.blobs import Blobs
from remhart_adt.local.adt.jobs.changes import stored
from remhart_adt.local.adt.jobs.deleter import Deleter
from remhart_adt.local.adt.jobs.importer import Importer
from remhart_adt.local.adt.jobs.output import OutputLog
from remhart_adt.local.adt.jobs.table import KEPT_TICKS, JobTable
from remhart_adt.local.adt.jobs.types import Graph, Job, JobCancelledError, JobError, Kind, Status
from remhart_adt.local.adt.signatures import hide_signature

__all__ = ["JobBusyError", "Jobs"]

_MAX_ID: Final = 128
_MOST: Final = 1000  # kept per kind; documented as JobLimitReached without a number
# A cancelled job stops between two groups of rows; one that waits for a blob is cut off after this long.
_CANCEL_SECONDS: Final = 1.0
_LOG: Final = log.get(__name__)


Work = Callable[[Job], Awaitable[None]]


class JobBusyError(Exception):
    """Another job is in progress."""


class Jobs:
    """What the operations on jobs work with."""

    def __init__(self, graph: Graph, clock: Clock, blobs: Blobs) -> None:
        # Entity tags of their own, so that those of requests do not depend on how far a job has come.
        self._graph = replace(graph, chance=graph.chance.branch("jobs"))
        self._clock = clock
        self._blobs = blobs
        self._table = JobTable(graph.store)
        self._running: Job | None = None
        self._task: asyncio.Task[None] | None = None

    # --- the server's life

    def recover(self) -> None:
        """Close the jobs that a server that is gone left open; part of the open transaction."""
        for job in self._table.active():
            now = self._graph.ticker.next()
            message = "The server was stopped while the job was in progress; what it had done until then stays."
            ended: Status = "cancelled" if job.status == "cancelling" else "failed"
            error = ("", "") if ended == "cancelled" else ("ServerStopped", message)
            finished, last = (0, job.last_action) if ended == "cancelled" else (now, now)
            self._table.update(
                replace(
                    job, status=ended, last_action=last, finished=finished, error_code=error[0], error_message=error[1]
                )
            )

    async def close(self) -> None:
        """Cut off the job that runs, and note that."""
        await self._cut_off()
        self.recover()

    async def _cut_off(self) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def clear(self) -> None:
        """Forget every job, the running one included; part of the open transaction."""
        if self._task is not None:
            self._task.cancel()
        self._running = self._task = None
        self._table.clear()

    # --- questions

    def get(self, kind: Kind, job_id: str) -> Job:
        """The job; raises 404."""
        self._purge()
        job = self._table.get(kind, job_id)
        if job is None:
            raise _not_found(kind, job_id)
        return job

    def page(self, kind: Kind, after: int, limit: int) -> list[tuple[int, Job]]:
        """Jobs in order of creation with their numbers, from behind the number `after`."""
        self._purge()
        return self._table.page(kind, after, limit)

    def _purge(self) -> None:
        self._table.purge(self._clock.now_us() * 10)  # the ticker would move on with every look at a job

    # --- changes, as part of the open transaction

    def add_import(self, job_id: str, input_uri: str, output_uri: str) -> Job:
        """Begin an import job; raises the service's refusals, and JobBusyError."""
        _check_id(job_id)
        for uri in (input_uri, output_uri):
            self._blobs.check(uri)
        if self._table.get("import", job_id) is not None:
            what = f"Provided Job ID already exists: {job_id}. Use Jobs_List API to view jobs that already exist."
            raise AdtError(409, "JobIdAlreadyExists", what)
        job = self._add("import", job_id, hide_signature(input_uri), hide_signature(output_uri))
        self._begin(job, self._import(job, input_uri, output_uri))
        return job

    def add_deletion(self, job_id: str, timeout_minutes: int) -> Job:
        """Begin a delete job; raises the service's refusals, and JobBusyError."""
        _check_id(job_id)
        if self._table.get("delete", job_id) is not None:
            raise AdtError(400, "ValidationFailed", f"The operation-id {job_id} already exists.")
        job = self._add("delete", job_id, "", "")
        self._begin(job, self._delete(job, self._clock.monotonic() + timeout_minutes * 60))
        return job

    def cancel(self, job_id: str) -> Job:
        """Ask an import job to stop; the job as it was before; one that has ended stays (recorded). Raises 404."""
        job = self.get("import", job_id)
        if not job.active:
            return job
        shown = replace(job)
        running = self._running
        if running is not None and running.id == job_id and running.status != "cancelling":
            self._move(running, "cancelling")
            asyncio.get_running_loop().call_later(_CANCEL_SECONDS, self._cancel_late, running)
        return shown

    def delete(self, job_id: str) -> None:
        """Forget an import job that has ended; raises 404, and 400 while it runs."""
        job = self.get("import", job_id)
        if job.active:
            raise AdtError(400, "ValidationFailed", f"The job {job_id} is in progress. Cancel it before deleting it.")
        self._table.delete("import", job_id)

    # --- running

    def _add(self, kind: Kind, job_id: str, input_uri: str, output_uri: str) -> Job:
        if self._running is not None:
            raise JobBusyError
        self._purge()
        if self._table.count(kind) >= _MOST:
            raise AdtError(400, "JobLimitReached", f"The maximum number of {kind} jobs, {_MOST}, has been reached.")
        now = self._graph.ticker.next()
        job = Job(kind, job_id, now, now, now + KEPT_TICKS, input_uri=input_uri, output_uri=output_uri)
        self._table.add(job)
        return replace(job)

    def _begin(self, job: Job, work: Work) -> None:
        self._running = running = replace(job)
        self._task = asyncio.create_task(self._run(running, work), name=f"job {job.id}")

    async def _run(self, job: Job, work: Work) -> None:
        status: Status = "succeeded"
        try:
            await self._graph.store.flush()  # the answer says `notstarted`, and is there before the job is
            if job.status == "cancelling":
                raise JobCancelledError
            await stored(self._graph.store, partial(self._move, job, "running"))
            await work(job)
        except JobCancelledError:
            status = "cancelled"
        except JobError as error:
            status, job.error_code, job.error_message = "failed", error.code, error.message
        except asyncio.CancelledError:
            if job.status != "cancelling" or self._running is not job:
                self._let_go(job)
                raise
            status = "cancelled"
        except Exception as error:
            _LOG.error("a job failed", exc_info=error)
            what = f"The local server failed: {type(error).__name__}."
            status, job.error_code, job.error_message = "failed", "InternalServerError", what
        if self._running is not job:  # forgotten by a reset
            return
        try:
            await stored(self._graph.store, partial(self._end, job, status))
        except JobError as error:
            _LOG.error("the end of a job was not written", exc_info=error)
        finally:
            self._let_go(job)

    def _let_go(self, job: Job) -> None:
        if self._running is job:
            self._running = None
        if self._task is asyncio.current_task():
            self._task = None

    def _end(self, job: Job, status: Status) -> None:
        self._running = None  # who sees that the job has ended may start the next one
        self._move(job, status)
        if status != "cancelled":  # recorded: it has no time of its end either
            job.finished = job.last_action
            self._table.update(job)

    def _import(self, job: Job, input_uri: str, output_uri: str) -> Work:
        async def work(running: Job) -> None:
            output = OutputLog(self._blobs.writer(output_uri), job.id, self._graph.ticker)
            try:
                importer = Importer(
                    self._graph,
                    self._blobs.reader(input_uri),
                    output,
                    lambda: running.status == "cancelling",
                    lambda: self._move(running, running.status),
                )
                await importer.run()
            finally:
                await output.close()

        return work

    def _delete(self, _job: Job, deadline: float) -> Work:
        async def work(_running: Job) -> None:
            await Deleter(self._graph, self._clock, deadline).run()

        return work

    def _move(self, job: Job, status: Status) -> None:
        job.status = status
        if status not in ("cancelling", "cancelled"):  # recorded: a cancellation is no action of the job
            job.last_action = self._graph.ticker.next()
        self._table.update(job)

    def _cancel_late(self, job: Job) -> None:
        if self._running is job and self._task is not None:
            self._task.cancel()


def _check_id(job_id: str) -> None:
    if not 0 < len(job_id) <= _MAX_ID:
        raise invalid_argument(f"A job id has 1 to {_MAX_ID} characters.")


def _not_found(kind: Kind, job_id: str) -> AdtError:
    if kind == "delete":
        return AdtError(404, "DeleteJobNotFound", f"There is no delete job with the id {job_id}.")
    return AdtError(
        404,
        "JobNotFound",
        f"There is no job available that matches the provided id {job_id}. Check that the Job ID provided is valid by "
        "doing a Jobs_List API call.",
    )
