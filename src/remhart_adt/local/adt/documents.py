"""The wire documents of twins and relationships: key order, `$metadata` and which times move when.

Observed rules: a PUT gives every property a new time; a PATCH only those it touched, and the twin's own; a component's
own time moves when a property of it was set, and stays when one was only removed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from remhart_adt.local.adt.patch import Applied

__all__ = ["component_view", "patched_twin", "put_relationship", "put_twin", "without_update_times"]


def _times(properties: dict[str, Any], given: Any, now: str, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Metadata entries for every property; a `sourceTime` that the caller gave stands beside the new time."""
    entries: dict[str, Any] = {}
    for name in properties:
        if name in skip:
            continue
        entries[name] = {"lastUpdateTime": now}
        source = given.get(name) if isinstance(given, dict) else None
        if isinstance(source, dict) and isinstance(source.get("sourceTime"), str):
            entries[name]["sourceTime"] = source["sourceTime"]
    return entries


def _component(value: dict[str, Any], now: str) -> dict[str, Any]:
    properties = {name: item for name, item in value.items() if name[:1] != "$"}
    entries = _times(properties, value.get("$metadata"), now)
    return {**properties, "$metadata": {"$lastUpdateTime": now, **entries}}


def put_twin(
    twin_id: str, model: str, body: dict[str, Any], components: Collection[str], etag: str, now: str
) -> dict[str, Any]:
    """The document of a twin as created or replaced by a PUT body that is already validated."""
    doc: dict[str, Any] = {"$dtId": twin_id, "$etag": etag}
    properties = {name: value for name, value in body.items() if name[:1] != "$"}
    for name, value in properties.items():
        doc[name] = _component(value, now) if name in components else value
    entries = _times(properties, body.get("$metadata"), now, skip=components)
    doc["$metadata"] = {"$model": model, "$lastUpdateTime": now, **entries}
    return doc


def patched_twin(
    old: dict[str, Any], applied: Applied, model: str, components: Collection[str], etag: str, now: str
) -> dict[str, Any]:
    """The document after a patch that is already validated; `applied.root` becomes part of it."""
    doc = applied.root
    doc["$etag"] = etag
    metadata = {**old["$metadata"], "$model": model, "$lastUpdateTime": now}
    changed: dict[str, list[str]] = {}
    whole: list[str] = []
    for component, name in applied.touched:
        if not name or (not component and name in components):
            whole.append(component or name)
        else:
            changed.setdefault(component, []).append(name)
    sources: dict[str, dict[str, Any]] = {}
    for (component, name), value in applied.source_times.items():
        sources.setdefault(component, {})[name] = value
    _move(metadata, doc, changed.pop("", []), sources.pop("", {}), now)
    for component in whole:  # given as a whole: its metadata starts anew, as by PUT
        if component in components and component in doc:
            doc[component] = _component(doc[component], now)
    for component in {**changed, **sources}:
        held = doc.get(component)
        if component not in components or not isinstance(held, dict):
            continue
        held = dict(held)
        inner = dict(held.pop("$metadata"))
        names = changed.get(component, [])
        if any(name in held for name in names):
            inner["$lastUpdateTime"] = now
        _move(inner, held, names, sources.get(component, {}), now)
        held["$metadata"] = inner
        doc[component] = held
    doc["$metadata"] = metadata
    return doc


def _move(
    metadata: dict[str, Any], holder: dict[str, Any], names: list[str], sources: dict[str, Any], now: str
) -> None:
    """New times for the touched properties that are still there, no entry for those removed, then source times."""
    for name in names:
        if name not in holder:
            metadata.pop(name, None)
            continue
        entry: dict[str, Any] = {"lastUpdateTime": now}
        previous = metadata.get(name)
        if previous is not None and "sourceTime" in previous:
            entry["sourceTime"] = previous["sourceTime"]
        metadata[name] = entry
    for name, value in sources.items():
        if name not in holder:
            continue
        entry = {"lastUpdateTime": metadata[name]["lastUpdateTime"] if name in metadata else now}
        if value is not None:
            entry["sourceTime"] = value
        metadata[name] = entry


def without_update_times(doc: dict[str, Any]) -> dict[str, Any]:
    """The twin as an api-version before 2022-05-31 shows it: no `$lastUpdateTime`, no `sourceTime`."""
    shown = dict(doc)
    for name, value in doc.items():
        if isinstance(value, dict) and isinstance(value.get("$metadata"), dict):
            shown[name] = {**value, "$metadata": _old(value["$metadata"])}
    shown["$metadata"] = _old(doc["$metadata"])
    return shown


def _old(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"lastUpdateTime": entry["lastUpdateTime"]} if isinstance(entry, dict) else entry
        for name, entry in metadata.items()
        if name != "$lastUpdateTime"
    }


def component_view(component: dict[str, Any], *, update_times: bool) -> dict[str, Any]:
    """A component as GET answers it."""
    if update_times:
        return component
    return {**component, "$metadata": _old(component["$metadata"])}


def put_relationship(
    source: str, relationship_id: str, name: str, target: str, properties: dict[str, Any], etag: str
) -> dict[str, Any]:
    """The document of a relationship; it has no metadata."""
    return {
        "$relationshipId": relationship_id,
        "$etag": etag,
        "$sourceId": source,
        "$relationshipName": name,
        "$targetId": target,
        **properties,
    }
