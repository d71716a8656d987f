"""The jobs' rows in the data file, kept for thirty days."""

from __future__ import annotations

from typing import Any, Final

from remhart_adt.local.adt.jobs.types import Job, Kind
from remhart_adt.local.adt.store import Store

__all__ = ["KEPT_TICKS", "JobTable"]

KEPT_TICKS: Final = 30 * 24 * 3600 * 10_000_000
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS jobs(n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, "
    "created INTEGER NOT NULL, last_action INTEGER NOT NULL, purge INTEGER NOT NULL, status TEXT NOT NULL, "
    "finished INTEGER NOT NULL, input_uri TEXT NOT NULL, output_uri TEXT NOT NULL, error_code TEXT NOT NULL, "
    "error_message TEXT NOT NULL, UNIQUE(kind, id));"
)
_COLUMNS: Final = (
    "kind, id, created, last_action, purge, status, finished, input_uri, output_uri, error_code, error_message"
)


class JobTable:
    """Changes are part of the store's open transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)

    def add(self, job: Job) -> None:
        """A new job; its id is new among those of its kind."""
        marks = ",".join("?" * len(_row(job)))
        self._store.write(f"INSERT INTO jobs({_COLUMNS}) VALUES({marks})", _row(job))

    def update(self, job: Job) -> None:
        """Status, times and error of a job that is there; one that was removed meanwhile stays removed."""
        self._store.write(
            "UPDATE jobs SET last_action=?, status=?, finished=?, error_code=?, error_message=? WHERE kind=? AND id=?",
            (job.last_action, job.status, job.finished, job.error_code, job.error_message, job.kind, job.id),
        )

    def get(self, kind: Kind, job_id: str) -> Job | None:
        """A job by its id, which is case-sensitive."""
        rows = self._store.read(f"SELECT {_COLUMNS} FROM jobs WHERE kind=? AND id=?", (kind, job_id))
        return Job(*rows[0]) if rows else None

    def page(self, kind: Kind, after: int, limit: int) -> list[tuple[int, Job]]:
        """At most so many jobs in order of creation, with their numbers, from behind the number `after`."""
        sql = f"SELECT n, {_COLUMNS} FROM jobs WHERE kind=? AND n>? ORDER BY n LIMIT ?"
        return [(row[0], Job(*row[1:])) for row in self._store.read(sql, (kind, after, limit))]

    def active(self) -> list[Job]:
        """The jobs of both kinds that have not come to their end."""
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE status IN ('notstarted', 'running', 'cancelling')"
        return [Job(*row) for row in self._store.read(sql)]

    def count(self, kind: Kind) -> int:
        """How many jobs of a kind are kept."""
        return int(self._store.read("SELECT COUNT(*) FROM jobs WHERE kind=?", (kind,))[0][0])

    def delete(self, kind: Kind, job_id: str) -> None:
        """Forget a job."""
        self._store.write("DELETE FROM jobs WHERE kind=? AND id=?", (kind, job_id))

    def purge(self, now: int) -> None:
        """Forget the jobs whose time has come."""
        sql = " FROM jobs WHERE purge<=? AND status NOT IN ('notstarted', 'running', 'cancelling')"
        if self._store.read(f"SELECT 1{sql} LIMIT 1", (now,)):
            self._store.write(f"DELETE{sql}", (now,))

    def clear(self) -> None:
        """Forget every job."""
        self._store.write("DELETE FROM jobs")


def _row(job: Job) -> tuple[Any, ...]:
    return (
        job.kind,
        job.id,
        job.created,
        job.last_action,
        job.purge,
        job.status,
        job.finished,
        job.input_uri,
        job.output_uri,
        job.error_code,
        job.error_message,
    )
