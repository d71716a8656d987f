"""An import job, from its first line to its last.

1. The output blob is made. 2. The whole input is read once for its form: nothing comes from a file that breaks it.
3. The models are stored, all or none, whatever their order; those that exist are left alone and reported. 4. Twins,
then relationships are created or replaced in groups, each in one transaction; one that is refused is reported and left
out. Between groups others are served, and the job looks whether it was cancelled: what it has done by then stays.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from remhart_adt.local.adt.errors import AdtError
from remhart_adt.local.adt.jobs.blobs import BlobReader
from remhart_adt.local.adt.jobs.ndjson import Entry, read_entries
from remhart_adt.local.adt.jobs.output import OutputLog
from remhart_adt.local.adt.jobs.rows import RelationshipRows, TwinRows
from remhart_adt.local.adt.jobs.types import Graph, JobCancelledError, JobError, Problem
from remhart_adt.local.adt.store import Store

__all__ = ["Importer"]

_MOST: Final = {"Models": 10_000, "Twins": 2_000_000, "Relationships": 10_000_000}
# Groups share their transaction with the requests of the same moment; when one of those fails, all is rolled back.
_TRIES: Final = 3
_MODELS_BYTES: Final = 64 * 1024 * 1024

T = TypeVar("T")


class Importer:
    """One run; `cancelling` says whether it was asked to stop, `moved` is called when it goes from step to step."""

    def __init__(
        self,
        graph: Graph,
        reader: BlobReader,
        log: OutputLog,
        cancelling: Callable[[], bool],
        moved: Callable[[], None],
    ) -> None:
        self._graph = graph
        self._reader = reader
        self._log = log
        self._cancelling = cancelling
        self._moved = moved
        self._rows: dict[str, TwinRows | RelationshipRows] = {
            "Twins": TwinRows(graph),
            "Relationships": RelationshipRows(graph),
        }

    async def run(self) -> None:
        """Import everything; raises JobError when the job fails and JobCancelledError when it was stopped."""
        await self._log.create()
        self._log.status("Started")
        try:
            models, more = await self._read_form()
            if models:
                await self._models(models)
            if more:
                await self._entities()
        except JobError:
            self._log.status("Failed")
            await self._log.drain(everything=True)
            raise
        except JobCancelledError:
            self._log.status("Cancelled")
            await self._log.drain(everything=True)
            raise
        self._log.status("Succeeded")
        await self._log.drain(everything=True)

    async def _read_form(self) -> tuple[list[Entry], bool]:
        """Read everything once: the entries of Models, and whether there are twins or relationships."""
        problems: list[Problem] = []
        counts = dict.fromkeys(_MOST, 0)
        models: list[Entry] = []
        size = 0
        async for group in read_entries(self._reader.chunks(), problems):
            await self._breathe()
            for entry in group:
                counts[entry.section] += 1
                if entry.section == "Models":
                    models.append(entry)
                    size += entry.size
            over = [section for section, most in _MOST.items() if counts[section] > most]
            if over:
                raise JobError("LimitExceeded", f"An import job has at most {_MOST[over[0]]} {over[0].lower()}.")
            if size > _MODELS_BYTES:
                raise JobError("LimitExceeded", f"The models of an import job have at most {_MODELS_BYTES} bytes.")
        if problems:
            for problem in problems:
                self._log.problem(problem)
            self._log.status("Failed", "Models")
            raise JobError(problems[0].code, f"Line {problems[0].line}: {problems[0].message}")
        return models, counts["Twins"] + counts["Relationships"] > 0

    async def _models(self, entries: list[Entry]) -> None:
        self._begin("Models")
        catalog = self._graph.catalog
        fresh: dict[str, Any] = {}
        for entry in entries:
            model_id = entry.value["@id"]
            if model_id in fresh or catalog.get(model_id) is not None:
                message = f"The model {model_id} exists already{' in the file' if model_id in fresh else ''}."
                self._log.problem(Problem("Models", entry.line, "ModelIdAlreadyExists", message))
            else:
                fresh[model_id] = entry.value
        try:
            if fresh:
                await self._add_models(list(fresh.values()))
        except JobError as error:
            self._log.problem(Problem("Models", 0, error.code, error.message))
            self._log.status("Failed", "Models")
            raise
        self._end("Models", len(entries) - len(fresh))

    async def _add_models(self, definitions: list[Any]) -> None:
        """All or none, parsed beside the event loop; again when others changed the models meanwhile."""
        catalog = self._graph.catalog
        if len(catalog) + len(definitions) > self._graph.bounds.models:
            raise JobError("LimitExceeded", f"An instance has at most {self._graph.bounds.models} models.")
        for _ in range(_TRIES):
            before = catalog.models
            try:
                parsed = await asyncio.to_thread(catalog.parse, definitions)
            except AdtError as error:
                code = "DTDLParsingError" if error.code == "DTDLParserError" else error.code
                raise JobError(code, error.message) from None
            if catalog.models is before:
                await self._stored(partial(catalog.add, definitions, parsed, self._graph.ticker))
                return
        raise JobError("ModelsChanged", "Other requests kept changing the models while the job added its own.")

    async def _entities(self) -> None:
        """Twins and relationships, in a second reading."""
        section, refused = "", 0
        problems: list[Problem] = []
        async for group in read_entries(self._reader.chunks(), problems):
            await self._breathe()
            if problems:
                raise JobError(problems[0].code, "The input blob has changed while it was read.")
            for name, rows in self._rows.items():
                part = [entry for entry in group if entry.section == name]
                if not part:
                    continue
                if name != section:
                    self._end(section, refused)
                    section, refused = name, 0
                    self._begin(name)
                found = await self._stored(partial(rows.write, part))
                refused += len(found)
                for problem in found:
                    self._log.problem(problem)
        self._end(section, refused)

    def _begin(self, section: str) -> None:
        self._moved()
        self._log.status("Started", section)

    def _end(self, section: str, refused: int) -> None:
        if section:
            self._log.status("Succeeded", section, failed=refused)

    async def _breathe(self) -> None:
        """Let others have their turn, and stop here when asked to."""
        await self._log.drain()
        await asyncio.sleep(0)
        if self._cancelling():
            raise JobCancelledError

    async def _stored(self, change: Callable[[], T]) -> T:
        """Make a change and wait until it is durable; raises JobError when the disk refuses it."""
        store = self._graph.store
        for tries_left in reversed(range(_TRIES)):
            try:
                result = _changed(store, change)
                await store.flush()
                return result
            except (sqlite3.Error, OSError) as error:
                if not tries_left:
                    raise JobError("StorageFailed", f"The data file cannot be written: {error}.") from error
        raise AssertionError("unreachable")


def _changed(store: Store, change: Callable[[], T]) -> T:
    try:
        return change()
    except sqlite3.Error as error:
        store.fail(error)
        raise
