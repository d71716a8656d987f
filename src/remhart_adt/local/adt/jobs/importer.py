"""An import job, from its first line to its last.

1. The output blob is made. 2. The whole input is read once for its form: nothing comes from a file that breaks it.
3. The models are stored, all or none, whatever their order; those that exist are left alone and reported. 4. Twins,
then relationships are created or replaced in groups, each in one transaction; one that is refused is reported and left
out. Between groups others are served, and the job looks whether it was cancelled: what it has done by then stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from remhart_adt.local.adt.errors import AdtError
from remhart_adt.local.adt.jobs.blobs import BlobReader
from remhart_adt.local.adt.jobs.changes import stored
from remhart_adt.local.adt.jobs.ndjson import Entry, read_entries
from remhart_adt.local.adt.jobs.output import OutputLog
from remhart_adt.local.adt.jobs.rows import RelationshipRows, TwinRows
from remhart_adt.local.adt.jobs.types import Graph, JobCancelledError, JobError, Problem

__all__ = ["Importer"]

_MOST: Final = {"Models": 10_000, "Twins": 2_000_000, "Relationships": 10_000_000}
_TRIES: Final = 3
# Models are held in memory until all of them are parsed; 10,000 of 6 KB weigh 120 MB.
_MODELS_BYTES: Final = 192 * 1024 * 1024


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
            with suppress(JobError):  # the first failure is the one to tell
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
        weight = 0
        async with aclosing(self._groups(problems)) as groups:
            async for group in groups:
                for entry in group:
                    counts[entry.section] += 1
                    if entry.section == "Models":
                        models.append(entry)
                        weight += entry.weight
                over = [section for section, most in _MOST.items() if counts[section] > most]
                if over:
                    raise JobError("LimitExceeded", f"An import job has at most {_MOST[over[0]]} {over[0].lower()}.")
                if weight > _MODELS_BYTES:
                    what = f"The models of a job take at most {_MODELS_BYTES} bytes of memory."
                    raise JobError("LimitExceeded", what)
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
                await stored(self._graph.store, partial(catalog.add, definitions, parsed, self._graph.ticker))
                return
        raise JobError("ModelsChanged", "Other requests kept changing the models while the job added its own.")

    async def _entities(self) -> None:
        """Twins and relationships, in a second reading."""
        section, refused = "", 0
        problems: list[Problem] = []
        async with aclosing(self._groups(problems)) as groups:
            async for group in groups:
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
                    found = await stored(self._graph.store, partial(rows.write, part))
                    refused += len(found)
                    for problem in found:
                        self._log.problem(problem)
        self._end(section, refused)

    async def _groups(self, problems: list[Problem]) -> AsyncGenerator[list[Entry], None]:
        """The input from its beginning; between groups others have their turn, and the job stops when asked to."""
        async with aclosing(self._reader.chunks()) as chunks, aclosing(read_entries(chunks, problems)) as groups:
            async for group in groups:
                await self._log.drain()
                await asyncio.sleep(0)
                if self._cancelling():
                    raise JobCancelledError
                yield group

    def _begin(self, section: str) -> None:
        self._moved()
        self._log.status("Started", section)

    def _end(self, section: str, refused: int) -> None:
        if section:
            self._log.status("Succeeded", section, failed=refused)
