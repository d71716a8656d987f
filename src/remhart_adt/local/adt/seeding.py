"""A whole graph at once: into an instance (`seed`) and out of it (`export`), as lines of the import format.

What a plain import file cannot say stands in its header under `remhart`: which models are decommissioned, and, in an
exact export, when each model was uploaded. The lines of an exact export are the documents as they are stored, entity
tags and times included; seeding them takes them back as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from remhart_adt import limits
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import relationships, twins
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.jobs.ndjson import Entry, read_entries
from remhart_adt.local.adt.jobs.types import Problem
from remhart_adt.local.adt.types import AdtError, Detail, Request

__all__ = ["Counts", "SeedError", "export", "seed", "seed_from_file"]

_EXTENSION: Final = "remhart"
_SECTIONS: Final = ("Models", "Twins", "Relationships")
_SHOWN: Final = 1000
_CHUNK: Final = 64 * 1024
_NEWEST: Final = "2023-10-31"
_MAX_ID: Final = 128


class Counts(NamedTuple):
    """How many were stored."""

    models: int
    twins: int
    relationships: int


class SeedError(AdtError):
    """A seed that was refused as a whole: `details` has every problem (the first 1,000) with its place."""


@dataclass(slots=True)
class _Source:
    """A seed as lines; `names` says how a line is called, `header` is what its header adds under `remhart`."""

    lines: list[bytes]
    header: dict[str, Any]
    starts: dict[str, int] = field(default_factory=dict)

    def place(self, line: int) -> str:
        """Where a line is: its number, or its place in the document that was given."""
        found = [(start, name) for name, start in self.starts.items() if start < line]
        if not found:
            return f"line {line}"
        start, name = max(found)
        return f"{name.lower()}[{line - start - 1}]"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The lines, as the reader of import files takes them."""
        yield b"\n".join(self.lines)


# --- in


async def seed(instance: Instance, body: bytes) -> Counts:
    """Store a graph, all of it or nothing; what exists is replaced. Waits until it is durable.

    `body` is an import file, or a JSON object with any of `models`, `twins` and `relationships`. The rules are those
    of the API, asked by the API's own operations; no events are raised, and queries see it without any lag. Raises
    SeedError.
    """
    source = _source(body)
    problems: list[Problem] = []
    entries: list[Entry] = []
    async for group in read_entries(source.chunks(), problems):
        entries += group
    if problems:
        raise _refused([(problem.code, source.place(problem.line), problem.message) for problem in problems])
    while instance.store.pending:  # from here on nothing else shares the transaction: it can be given up alone
        await instance.store.committed()
    active, instance.events.active = instance.events.active, False
    try:
        loader = _Loader(instance, source)
        with instance.lag.at_once():
            loader.load(entries)
            if loader.problems:
                raise _refused(loader.problems)
    except BaseException:
        instance.store.rollback()
        instance.catalog.reload()
        raise
    finally:
        instance.events.active = active
    await instance.store.flush()
    return Counts(*(loader.counts[section] for section in _SECTIONS))


async def seed_from_file(instance: Instance, path: Path) -> None:
    """Store the graph of a file in an instance that is empty; one that is not is left as it is.

    Raises LocalServerError when the file cannot be read or is refused; it lists the problems.
    """
    if any(instance.store.counts().values()):
        return
    try:
        body = path.read_bytes()  # noqa: ASYNC240 - before the first request, so nobody waits for it
        await seed(instance, body)
    except OSError as error:
        raise LocalServerError(f"the seed file cannot be read: {error}", where=str(path)) from error
    except AdtError as error:
        raise LocalServerError(
            "\n  ".join((error.message, *(detail.message for detail in error.details))), where=str(path)
        ) from error


def _refused(problems: list[tuple[str, str, str]]) -> SeedError:
    more = f" The first {_SHOWN} are listed." if len(problems) > _SHOWN else ""
    details = tuple(Detail(code, f"{place}: {message}") for code, place, message in problems[:_SHOWN])
    found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return SeedError(400, "SeedInvalid", f"The seed has {found}; nothing was stored.{more}", details)


def _source(body: bytes) -> _Source:
    lines = body.split(b"\n")
    first = next((line for line in lines if line.strip()), b"")
    if b'"Section"' in first:
        return _Source(lines, _header(lines))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"The seed is neither an import file nor a JSON document: {error}.") from None
    parts = {"models", "twins", "relationships"}
    if not isinstance(document, dict) or not set(document) <= parts:
        raise invalid_argument("A seed document is a JSON object with models, twins and relationships.")
    lines, starts = [b'{"Section":"Header"}', b'{"fileVersion":"1.0.0"}'], {}
    for section in _SECTIONS:
        items = document.get(section.lower(), [])
        if not isinstance(items, list):
            raise invalid_argument(f"{section.lower()} is a list.")
        if items:
            lines.append(orjson.dumps({"Section": section}))
            starts[section] = len(lines)
            lines += [_line(item) for item in items]
    return _Source(lines, {}, starts)


def _line(item: Any) -> bytes:
    """A line of an import file names a relationship's source `$dtId`; a document of the API names it `$sourceId`."""
    if isinstance(item, dict) and "$relationshipId" in item and "$dtId" not in item and "$sourceId" in item:
        item = {"$dtId": item["$sourceId"], **item}
    try:
        return orjson.dumps(item)
    except orjson.JSONEncodeError:
        raise invalid_argument("The seed is nested too deep.") from None


def _header(lines: list[bytes]) -> dict[str, Any]:
    """What the header line adds under `remhart`, {} for a plain file; its form is looked at with the other lines."""
    written = [line for line in lines[:100] if line.strip()]
    try:
        found = orjson.loads(written[1])[_EXTENSION]
    except (IndexError, KeyError, TypeError, ValueError):
        return {}
    if not isinstance(found, dict):
        raise invalid_argument(f"{_EXTENSION} in the header is an object.")
    return found


class _Loader:
    """Stores entries in the open transaction and notes what is wrong with them."""

    def __init__(self, instance: Instance, source: _Source) -> None:
        self._instance = instance
        self._source = source
        self._exact = source.header.get("exact") is True
        self._failed: set[str] = set()
        self.problems: list[tuple[str, str, str]] = []
        self.counts = dict.fromkeys(_SECTIONS, 0)

    def load(self, entries: list[Entry]) -> None:
        """Models, then twins, then relationships; without the models the rest would only repeat their problems."""
        self._models([entry for entry in entries if entry.section == "Models"])
        if self.problems:
            return
        for entry in entries:
            if entry.section == "Twins":
                self._try(entry, entry.value["$dtId"], self._exact_twin if self._exact else self._twin)
        for entry in entries:
            if entry.section == "Relationships" and self._failed.isdisjoint(
                (entry.value["$dtId"], entry.value["$targetId"])
            ):
                self._try(entry, "", self._exact_relationship if self._exact else self._relationship)
        self._decommission()

    def _try(self, entry: Entry, twin: str, store: Any) -> None:
        try:
            store(entry.value)
        except AdtError as error:
            self._failed.add(twin)
            self._problem(entry, error)
        else:
            self.counts[entry.section] += 1

    def _problem(self, entry: Entry, error: AdtError) -> None:
        message = " ".join(detail.message for detail in error.details) or error.message
        self.problems.append((error.code, self._source.place(entry.line), message))

    # --- models

    def _models(self, entries: list[Entry]) -> None:
        catalog = self._instance.catalog
        fresh: dict[str, Entry] = {}
        for entry in entries:
            model_id = entry.value["@id"]
            known = catalog.get(model_id)
            if model_id in fresh or (known is not None and orjson.loads(known.definition) != entry.value):
                message = f"The model {model_id} exists already with another definition."
                self._problem(entry, AdtError(409, "ModelIdAlreadyExists", message))
            elif known is None:
                fresh[model_id] = entry
        if self.problems or not fresh:
            return
        try:
            if len(catalog) + len(fresh) > self._instance.bounds.models:
                most = self._instance.bounds.models
                raise AdtError(400, "LimitExceeded", f"An instance has at most {most} models.")
            catalog.upload([entry.value for entry in fresh.values()], self._instance.ticker)
        except AdtError as error:
            self.problems.append((error.code, "models", error.message))
            return
        self.counts["Models"] = len(fresh)
        self._upload_times(set(fresh))

    def _upload_times(self, fresh: set[str]) -> None:
        times = self._source.header.get("uploaded", {})
        if not self._exact or not isinstance(times, dict):
            return
        for model_id in fresh & set(times):
            ticks = times[model_id]
            if isinstance(ticks, bool) or not isinstance(ticks, int) or not 0 <= ticks < 2**60:
                raise invalid_argument("uploaded in the header has times in ticks of 100 ns.")
            self._instance.store.write("UPDATE models SET uploaded=? WHERE id=?", (ticks, model_id))
        self._instance.catalog.reload()

    def _decommission(self) -> None:
        """Last, since no new twin can be made of such a model."""
        ids = self._source.header.get("decommissioned", [])
        if not isinstance(ids, list):
            raise invalid_argument("decommissioned in the header is a list of model ids.")
        for model_id in ids:
            model = self._instance.catalog.get(model_id) if isinstance(model_id, str) else None
            if model is None:
                self.problems.append(("ModelNotFound", "header", f"There is no model {str(model_id)[:200]}."))
            else:
                self._instance.store.decommission(model.id)
                model.decommissioned = True

    # --- twins and relationships by the operations of the API

    def _twin(self, value: dict[str, Any]) -> None:
        twin_id = value["$dtId"]
        twins.put_twin(self._instance, self._request(("digitaltwins", twin_id), value), twin_id)

    def _relationship(self, value: dict[str, Any]) -> None:
        source, relationship_id = value["$dtId"], value["$relationshipId"]
        request = self._request(("digitaltwins", source, "relationships", relationship_id), value)
        relationships.put_relationship(self._instance, request, source, relationship_id)

    def _request(self, segments: tuple[str, ...], value: dict[str, Any]) -> Request:
        body = orjson.dumps(value)
        if len(body) > limits.ADT_TWIN_BYTES:
            what = f"It has {len(body)} bytes, more than {limits.ADT_TWIN_BYTES}."
            raise AdtError(413, "RequestEntityTooLarge", what)
        return Request("PUT", "/".join(("", *segments)), segments, {}, {}, body, "", _NEWEST, self._instance.chance)

    # --- as they are

    def _exact_twin(self, value: dict[str, Any]) -> None:
        instance, twin_id, model = self._instance, value["$dtId"], value["$metadata"]["$model"]
        _check_exact(value)
        _check_metadata(value["$metadata"])
        for name, part in value.items():
            if name[:1] != "$" and isinstance(part, dict) and "$metadata" in part:
                _check_metadata(part["$metadata"])
        if instance.store.twin(twin_id) is None:
            instance.bounds.check_new_twin(instance.store)
        raw = _dumped(value)
        twin = instance.store.put_twin(twin_id, model, value, raw)
        instance.lag.changed("twins", twin.n, (twin.n, twin_id, model, twin.etag, raw))

    def _exact_relationship(self, value: dict[str, Any]) -> None:
        instance = self._instance
        doc = {key: item for key, item in value.items() if key != "$dtId"}
        source, target, name = value["$dtId"], value["$targetId"], value["$relationshipName"]
        _check_exact(doc)
        _dumped(doc)
        if doc.get("$sourceId") != source:
            raise invalid_argument("An exact relationship has its source as $dtId and as $sourceId.")
        for twin_id in (source, target):
            if not instance.store.has_twin(twin_id):
                raise AdtError(404, "DigitalTwinNotFound", f"There is no twin {twin_id}.")
        if instance.store.relationship(source, doc["$relationshipId"]) is None:
            instance.bounds.check_new_relationship(instance.store, source, target)
        kept = instance.store.put_relationship(source, doc["$relationshipId"], name, target, doc)
        row = (kept.n, kept.id, source, name, target, kept.etag, kept.raw)
        instance.lag.changed("relationships", kept.n, row)


def _check_exact(value: dict[str, Any]) -> None:
    if not isinstance(value.get("$etag"), str):
        raise invalid_argument("A line of an exact export has $etag.")
    if len(value.get("$dtId") or value["$relationshipId"]) > _MAX_ID:
        raise invalid_argument(f"An id has at most {_MAX_ID} characters.")


def _check_metadata(metadata: Any) -> None:
    texts = ("$model", "$lastUpdateTime")
    if not isinstance(metadata, dict) or not all(
        isinstance(entry, str)
        if name in texts
        else isinstance(entry, dict) and isinstance(entry.get("lastUpdateTime"), str)
        for name, entry in metadata.items()
    ):
        raise invalid_argument("An exact twin has the lastUpdateTime of each property in $metadata.")


def _dumped(value: dict[str, Any]) -> bytes:
    try:
        raw = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise invalid_argument("It is nested too deep.") from None
    # A stored document has metadata beside what the limit counts; this only keeps out what no API call can make.
    if len(raw) > 8 * limits.ADT_TWIN_BYTES:
        raise invalid_argument(f"It has {len(raw)} bytes.")
    return raw


# --- out


def export(instance: Instance, *, exact: bool) -> Iterator[bytes]:
    """The committed graph as the lines of an import file, in pieces of about 64 KB; all of one moment.

    It reads on a connection of its own and may be driven from any thread.
    """
    path = instance.store.path
    assert path is not None
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    try:
        db.execute("BEGIN")
        piece = bytearray()
        for line in _lines(db, exact=exact):
            piece += line
            piece += b"\n"
            if len(piece) >= _CHUNK:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)
    finally:
        db.close()


def _lines(db: sqlite3.Connection, *, exact: bool) -> Iterator[bytes]:
    models = db.execute("SELECT id, definition, decommissioned, uploaded FROM models ORDER BY n").fetchall()
    header: dict[str, Any] = {"fileVersion": "1.0.0", "author": "remhart-adt", "organization": ""}
    ours: dict[str, Any] = {}
    decommissioned = [model_id for model_id, _, gone, _ in models if gone]
    if decommissioned:
        ours["decommissioned"] = decommissioned
    if exact:
        ours["exact"] = True
        ours["uploaded"] = {model_id: uploaded for model_id, _, _, uploaded in models}
    if ours:
        header[_EXTENSION] = ours
    yield b'{"Section":"Header"}'
    yield orjson.dumps(header)
    yield b'{"Section":"Models"}'
    for _, definition, _, _ in models:
        yield definition.encode()
    yield b'{"Section":"Twins"}'
    for (doc,) in db.execute("SELECT doc FROM twins ORDER BY n"):
        yield doc.encode() if exact else orjson.dumps(_plain_twin(orjson.loads(doc)))
    yield b'{"Section":"Relationships"}'
    for source, doc in db.execute("SELECT source, doc FROM relationships ORDER BY n"):
        whole = orjson.loads(doc)
        if not exact:
            whole = {key: value for key, value in whole.items() if key not in ("$etag", "$sourceId")}
        yield orjson.dumps({"$dtId": source, **whole})


def _plain_twin(doc: dict[str, Any]) -> dict[str, Any]:
    """The twin as it could be PUT: without entity tag and times, but with the source times that were given."""
    twin: dict[str, Any] = {"$dtId": doc["$dtId"], "$metadata": _plain_metadata(doc["$metadata"])}
    for name, value in doc.items():
        if name[:1] == "$":
            continue
        # Metadata of the twin itself has no entry for a component, whose own stands inside it.
        if isinstance(value, dict) and "$metadata" in value and name not in doc["$metadata"]:
            value = {**value, "$metadata": _plain_metadata(value["$metadata"])}
        twin[name] = value
    return twin


def _plain_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    kept = {"$model": metadata["$model"]} if "$model" in metadata else {}
    for name, entry in metadata.items():
        if isinstance(entry, dict) and "sourceTime" in entry:
            kept[name] = {"sourceTime": entry["sourceTime"]}
    return kept
