"""Groups of entities of an import file, checked and written in one go."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson

from remhart_adt import limits
from remhart_adt.dtdl import ModelSet
from remhart_adt.local.adt import documents
from remhart_adt.local.adt.errors import AdtError
from remhart_adt.local.adt.jobs.ndjson import Entry
from remhart_adt.local.adt.jobs.types import Graph, Problem
from remhart_adt.local.adt.store import RelationshipRow, Store, TwinRow
from remhart_adt.local.adt.ticks import twin_time

__all__ = ["RelationshipRows", "TwinRows"]

_MAX_ID: Final = 128


class TwinRows:
    """Twins are checked as by PUT."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._room = 0.0

    def write(self, entries: list[Entry]) -> list[Problem]:
        """Create or replace what is sound, as part of the open transaction; the rest as problems."""
        store, lag = self._graph.store, self._graph.lag
        self._room = _room(store, "twins", self._graph.bounds.twins, len(entries))
        known = set(store.twin_models([entry.value["$dtId"] for entry in entries]))
        rows: list[TwinRow] = []
        problems: list[Problem] = []
        for entry in entries:
            try:
                rows.append(self._row(entry.value, known))
            except AdtError as error:
                problems.append(_problem(entry, error))
        if lag.seconds > 0:  # queries learn of each row by its number
            for twin_id, model, etag, raw in rows:
                twin = store.put_twin(twin_id, model, orjson.loads(raw), raw)
                lag.changed("twins", twin.n, (twin.n, twin_id, model, etag, raw))
        else:
            store.put_twins(rows)
        return problems

    def _row(self, body: dict[str, Any], known: set[str]) -> TwinRow:
        catalog = self._graph.catalog
        twin_id, model = body["$dtId"], body["$metadata"]["$model"]
        if len(twin_id) > _MAX_ID:
            raise AdtError(400, "InvalidArgument", f"A twin id has 1 to {_MAX_ID} characters.")
        fresh = twin_id not in known
        if fresh and catalog.knows(model) and catalog.is_decommissioned(model):
            raise AdtError(400, "ModelDecommissioned", f"The model {model} is decommissioned.")
        found = catalog.check_twin(model, body)
        if found:
            raise AdtError(400, "ValidationFailed", " ".join(found))
        now = twin_time(self._graph.ticker.next())
        etag = self._graph.chance.etag()
        doc = documents.put_twin(twin_id, model, body, catalog.components(model), etag, now)
        raw = orjson.dumps(doc)
        found = catalog.check_size(doc, len(raw))
        if found:
            raise AdtError(400, "ValidationFailed", " ".join(found))
        if fresh:
            if self._room <= 0:
                most = self._graph.bounds.twins
                raise AdtError(400, "TwinLimitReached", f"The instance has reached its limit of {most} twins.")
            self._room -= 1
            known.add(twin_id)
        return twin_id, model, etag, raw


class RelationshipRows:
    """Name and ends are checked as by PUT; the properties are taken as they are, which the service does, too."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._models = ModelSet({})
        self._sound: set[tuple[str, str, str]] = set()
        self._space = _Space(graph)

    def write(self, entries: list[Entry]) -> list[Problem]:
        """Create or replace what is sound, as part of the open transaction; the rest as problems."""
        store, lag = self._graph.store, self._graph.lag
        if self._models is not self._graph.catalog.models:
            self._models = self._graph.catalog.models
            self._sound.clear()
        ends = {entry.value[key] for entry in entries for key in ("$dtId", "$targetId")}
        twins = store.twin_models(ends)
        self._space.survey(entries)
        rows: list[RelationshipRow] = []
        problems: list[Problem] = []
        for entry in entries:
            try:
                rows.append(self._row(entry.value, twins))
            except AdtError as error:
                problems.append(_problem(entry, error))
        if lag.seconds > 0:
            for relationship_id, source, name, target, etag, raw in rows:
                kept = store.put_relationship(source, relationship_id, name, target, orjson.loads(raw))
                lag.changed("relationships", kept.n, (kept.n, relationship_id, source, name, target, etag, raw))
        else:
            store.put_relationships(rows)
        return problems

    def _row(self, body: dict[str, Any], twins: dict[str, str]) -> RelationshipRow:
        source, target = body["$dtId"], body["$targetId"]
        relationship_id, name = body["$relationshipId"], body["$relationshipName"]
        if len(relationship_id) > _MAX_ID:
            raise AdtError(400, "InvalidArgument", f"A relationship id has 1 to {_MAX_ID} characters.")
        for twin_id, code in ((source, "DigitalTwinNotFound"), (target, "TargetDigitalTwinNotFound")):
            if twin_id not in twins:
                raise AdtError(404, code, f"There is no digital twin instance that exists with the ID {twin_id}.")
        if source == target:
            raise AdtError(400, "OperationNotAllowed", "A relationship cannot connect to the same digital twin.")
        kind = (twins[source], name, twins[target])
        if kind not in self._sound:
            self._graph.catalog.check_relationship(kind[0], name, {}, kind[2])
            self._sound.add(kind)
        properties = {key: value for key, value in body.items() if key[:1] != "$"}
        etag = self._graph.chance.etag()
        doc = documents.put_relationship(source, relationship_id, name, target, properties, etag)
        try:
            raw = orjson.dumps(doc)
        except orjson.JSONEncodeError:
            raise AdtError(400, "ValidationFailed", "The properties are nested too deep.") from None
        if len(raw) > limits.ADT_TWIN_BYTES:
            most = limits.ADT_TWIN_BYTES
            raise AdtError(400, "ValidationFailed", f"The relationship has {len(raw)} bytes, more than {most}.")
        self._space.take(source, relationship_id, target)
        return relationship_id, source, name, target, etag, raw


class _Space:
    """Room for new relationships in the instance and at its twins; twins are looked at closely only near the limit."""

    def __init__(self, graph: Graph) -> None:
        self._store = graph.store
        self._bounds = graph.bounds
        self._room = 0.0
        self._near: dict[tuple[str, str], int] = {}
        self._seen: set[tuple[str, str]] = set()

    def survey(self, entries: list[Entry]) -> None:
        """What there is before a group of entries."""
        self._room = _room(self._store, "relationships", self._bounds.relationships, len(entries))
        self._near, self._seen = {}, set()
        most = self._bounds.relationships_per_twin
        if self._store.last_number("relationships") + len(entries) <= most:
            return
        for column, key in (("source", "$dtId"), ("target", "$targetId")):
            twins = {entry.value[key] for entry in entries}
            counts = self._store.relationship_counts(column, twins)
            for twin in twins:
                if counts.get(twin, 0) + len(entries) > most:
                    self._near[column, twin] = most - counts.get(twin, 0)

    def take(self, source: str, relationship_id: str, target: str) -> None:
        """Count a relationship that is sound; raises 400 when it is new and there is no room for it."""
        ends = [("source", source), ("target", target)]
        if self._room == math.inf and not any(end in self._near for end in ends):
            return
        key = (source, relationship_id)
        if key in self._seen or self._store.relationship(*key) is not None:
            return
        if self._room <= 0:
            what = f"The instance has reached its limit of {self._bounds.relationships} relationships."
            raise AdtError(400, "LimitExceeded", what)
        for (column, twin), direction in zip(ends, ("outgoing", "incoming"), strict=True):
            if self._near.get((column, twin), 1) <= 0:
                most = self._bounds.relationships_per_twin
                what = f"Twin {twin} has reached its limit of {most} {direction} relationships."
                raise AdtError(400, "LimitExceeded", what)
        self._seen.add(key)
        self._room -= 1
        for end in ends:
            if end in self._near:
                self._near[end] -= 1


def _room(store: Store, table: str, most: int, wanted: int) -> float:
    """How many more rows fit; counted only when the answer matters, since numbers of rows are never used twice."""
    if store.last_number(table) + wanted <= most:
        return math.inf
    return most - store.counts()[table]


def _problem(entry: Entry, error: AdtError) -> Problem:
    details = " ".join(detail.message for detail in error.details)
    return Problem(entry.section, entry.line, error.code, details or error.message)
