"""From a document to a `GraphSpec`, with every problem found on the way, not only the first.

In this order: the shape of the file; each entry (id, type, properties against DTDL, our own rules); relationships once
all ids are known; rings of feedsTo; size of each twin. Nothing here talks to a service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl import ModelSet, parse
from remhart_adt.dtdl.instance import InstanceProblem, check_relationship, check_size, check_twin, errors_of
from remhart_adt.errors import GraphError
from remhart_adt.graph.ownership import DAEMON_OWNED, RELATIONSHIP_DAEMON_OWNED, first_state
from remhart_adt.graph.source import Document, Problem, dotted, plain, read_file, read_text
from remhart_adt.graph.spec import (
    COMPONENT_TYPES,
    RELATIONSHIPS,
    VERSION,
    Entity,
    GraphSpec,
    Relation,
    relationship_id,
)
from remhart_adt.graph.topology import Feed, Topology, rings
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER, is_twin_id
from remhart_adt.limits import ADT_STRING_BYTES
from remhart_adt.resources import dtdl_dir

__all__ = ["Checked", "check", "load", "load_text", "our_models"]

_LISTS: Final = {"components": DTMI_COMPONENT, "points": DTMI_POINT, "users": DTMI_USER}
_ENTRY_KEYS: Final = frozenset({"id", "type"})
_TARGET_KEYS: Final = ("to", "target", "point")
# Values that are meaningless or harmful below or at zero; the interfaces only know that they are numbers.
_POSITIVE: Final = {
    DTMI_COMPONENT: (("ratedCapacity",), ("ratedCurrent",), ("electrical", "length")),
    DTMI_POINT: (
        ("gridStandard", "nominalVoltage"),
        ("gridStandard", "nominalFrequency"),
        ("gridStandard", "ratedCurrent"),
    ),
}
_REQUIRED: Final = {DTMI_POINT: (("gridStandard", "nominalVoltage"), ("gridStandard", "nominalFrequency"))}
_PHASES: Final = re.compile(r"(?=.)A?B?C?N?")


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: the graph when there is no problem, and remarks that are none."""

    spec: GraphSpec | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


@cache
def our_models() -> ModelSet:
    """The four interfaces, parsed once."""
    return parse(dtdl_dir())


def load(source: Path | str | Mapping[str, Any]) -> GraphSpec:
    """The graph of a file (a path), or of a document that a program built.

    Raises GraphError whose `problems` list everything that is wrong, each with file and line.
    """
    return _insist(check(source))


def load_text(text: str, *, name: str = "<text>") -> GraphSpec:
    """Like `load`, for a YAML text."""
    return _insist(_Builder(read_text(text, name=name)).run())


def check(source: Path | str | Mapping[str, Any]) -> Checked:
    """Like `load`, but returns the problems. Raises GraphError only for what is no YAML at all."""
    document = plain(source) if isinstance(source, Mapping) else read_file(Path(source))
    return _Builder(document).run()


def _insist(checked: Checked) -> GraphSpec:
    if checked.spec is None:
        count = len(checked.problems)
        what = f"the graph has {count} problem{'s' if count != 1 else ''}"
        raise GraphError(what, problems=checked.problems, where=checked.problems[0].file)
    return checked.spec


@dataclass(slots=True)
class _Builder:
    doc: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    entities: dict[str, Entity] = field(default_factory=dict)
    where: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    pending: list[tuple[Entity, str, Any, tuple[str | int, ...]]] = field(default_factory=list)
    relations: dict[tuple[str, str], Relation] = field(default_factory=dict)

    def run(self) -> Checked:
        self.problems += self.doc.problems
        for path, entry, model in self._entries():
            self._entity(path, entry, model)
        for source, name, value, path in self.pending:
            for at, item in self._items(value, path):
                self._relation(source, name, item, at)
        self._inverses()
        self._rings()
        for entity in self.entities.values():
            self._size(entity)
        if self.problems:
            return Checked(None, tuple(sorted(self.problems, key=lambda problem: problem.line)))
        spec = self._spec()
        self._unfed(spec)
        return Checked(spec, (), tuple(self.warnings))

    # --- shape --------------------------------------------------------------------------------------------------------

    def _entries(self) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any], str]]:
        top = self.doc.value
        if not isinstance(top, dict):
            self._bad((), "a graph is a mapping with version, components, points and users")
            return
        if "version" not in top:
            self._bad((), f"the version of the format is missing; write `version: {VERSION}`")
        elif top["version"] != VERSION or isinstance(top["version"], bool):
            self._bad(("version",), f"version {top['version']!r} is not known; this release reads version {VERSION}")
        for key in top:
            if key not in _LISTS and key != "version":
                self._bad((key,), f"{key} is no part of a graph{_meant(key, ['version', *_LISTS])}")
        for key, model in _LISTS.items():
            entries = top.get(key)
            if entries is None:
                continue
            if not isinstance(entries, list):
                self._bad((key,), "this has to be a list")
                continue
            for index, entry in enumerate(entries):
                if isinstance(entry, dict):
                    yield (key, index), entry, model
                else:
                    self._bad((key, index), "an entry is a mapping with an id")

    # --- entries ------------------------------------------------------------------------------------------------------

    def _entity(self, path: tuple[str | int, ...], entry: dict[str, Any], model: str) -> None:
        twin = self._id(path, entry)
        kind = {DTMI_POINT: "point", DTMI_USER: "user"}.get(model, "")
        properties: dict[str, Any] = {}
        if model == DTMI_COMPONENT:
            kind = self._type(path, entry)
            properties = {"componentType": kind, "componentId": twin}
            if kind == "circuit_breaker":
                properties["switchState"] = "closed"
        elif "type" in entry:
            self._bad((*path, "type"), "only components have a type")
        links: list[tuple[str, Any]] = []
        for key, value in entry.items():
            if key in RELATIONSHIPS:
                links.append((key, value))
            elif key not in _ENTRY_KEYS and self._may_write((*path, key), key, model):
                properties[key] = value
        entity = Entity(twin, kind, model, properties, self.doc.line(path))
        self._properties(entity, path)
        if not twin:
            return
        if twin in self.entities:
            first = self.entities[twin]
            at = f" in line {first.line}" if first.line else f" at {dotted(self.where[twin])}"
            self._bad((*path, "id"), f"the id {twin} is taken already{at}")
            return
        self.entities[twin] = entity
        self.where[twin] = path
        self.pending += [(entity, name, value, (*path, name)) for name, value in links]

    def _id(self, path: tuple[str | int, ...], entry: Mapping[str, Any]) -> str:
        twin = entry.get("id")
        if twin is None:
            self._bad(path, "the id is missing")
        elif not isinstance(twin, str):
            self._bad((*path, "id"), f"the id has to be text; write it in quotes: '{twin}'")
        elif not is_twin_id(twin):
            self._bad((*path, "id"), f"{twin[:60]!r} cannot be an id: 1 to 128 of letters, digits and -.+%_#*?!(),=@$'")
        else:
            return twin
        return ""

    def _type(self, path: tuple[str | int, ...], entry: Mapping[str, Any]) -> str:
        kind = entry.get("type")
        if kind is None:
            self._bad(path, f"the type is missing; it is one of {', '.join(COMPONENT_TYPES)}")
        elif kind not in COMPONENT_TYPES:
            known = f"it is one of {', '.join(COMPONENT_TYPES)}"
            self._bad((*path, "type"), f"there is no component type {kind!r}; {known}{_meant(kind, COMPONENT_TYPES)}")
        else:
            return str(kind)
        return ""

    def _may_write(self, path: tuple[str | int, ...], key: str, model: str) -> bool:
        if key in DAEMON_OWNED[model]:
            self._bad(path, f"{key} is state that the running system writes; leave it out of the file")
            return False
        if key in ("componentType", "$dtId", "$metadata", "$etag"):
            self._bad(path, f"write `{'type' if key == 'componentType' else 'id'}` instead of {key}")
            return False
        return True

    def _properties(self, entity: Entity, path: tuple[str | int, ...]) -> None:
        written = {k: v for k, v in entity.properties.items() if k not in ("componentType", "componentId") or v}
        if entity.model == DTMI_COMPONENT and not entity.type:
            written.pop("componentType", None)
        nulls = [at for at in _nulls(written) if at]
        for at in nulls:
            self._bad((*path, *at), "no value; leave the key out instead")
        twin = {"$metadata": {"$model": entity.model}, **written}
        if entity.model == DTMI_POINT:
            twin["mlEngine"] = {"$metadata": {}}
        for problem in errors_of(check_twin(our_models(), twin, measure=False)):
            at = tuple(_parts(problem.path))
            if at not in nulls:
                self._bad((*path, *at), *self._wording(problem, entity.model, _at(written, at)))
        for required in _REQUIRED.get(entity.model, ()):
            if _at(written, required) is None and required not in nulls:
                self._bad((*path, required[0]), f"{'.'.join(required)} is missing; nothing can be judged without it")
        for positive in _POSITIVE.get(entity.model, ()):
            value = _at(written, positive)
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                self._bad((*path, *positive), f"{'.'.join(positive)} has to be above 0, not {value}")

    def _wording(self, problem: InstanceProblem, model: str, value: Any) -> tuple[str, str]:
        if problem.kind == "unknown_property":
            contents = our_models().interfaces[model].contents
            names = [n for n, c in contents.items() if c.kind == "Property" and n not in DAEMON_OWNED[model]]
            interface = model.rsplit(":", 1)[-1].partition(";")[0]
            meant = _meant(problem.name, [*names, *RELATIONSHIPS])
            return f"{interface} has no property or relationship {problem.name}{meant}", ""
        if problem.kind == "unknown_field":
            return f"there is no such field; there are: {problem.expected}", ""
        if problem.kind == "too_long":
            return f"a text of {len(str(value).encode()):,} bytes; the limit is {ADT_STRING_BYTES:,}", ""
        return f"this has to be {problem.expected}" if problem.expected else problem.message, ""

    # --- relationships ------------------------------------------------------------------------------------------------

    def _items(self, value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        if value is None:
            return
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield (*path, index), item
        else:
            yield path, value

    def _relation(self, source: Entity, name: str, item: Any, path: tuple[str | int, ...]) -> None:
        kind = RELATIONSHIPS[name]
        if not kind.written:
            self._bad(path, f"{name} is the inverse of feedsTo and made from it; write feedsTo at the other end")
            return
        if kind.source != source.model:
            owner = next(key for key, model in _LISTS.items() if model == kind.source)
            self._bad(path, f"{name} is a relationship of {owner}, not of this entry")
            return
        target, own_id, properties = self._target(item, path)
        if target is None:
            return
        found = self.entities.get(target)
        if found is None:
            self._bad(path, f"{name} names {target}, which is nowhere in the file{_meant(target, self.entities)}")
        elif found.model != kind.target:
            wanted = next(key for key, model in _LISTS.items() if model == kind.target)
            self._bad(path, f"{name} has to name one of the {wanted}; {target} is none")
        elif target == source.id:
            self._bad(path, f"{name} cannot lead to the entry itself")
        for key in [key for key in properties if key in RELATIONSHIP_DAEMON_OWNED.get(name, ())]:
            self._bad((*path, key), f"{key} is state that the running system writes; leave it out of the file")
            del properties[key]
        document = {"$relationshipName": name, **properties}
        for problem in errors_of(check_relationship(our_models(), source.model, document)):
            owned = RELATIONSHIP_DAEMON_OWNED.get(name, frozenset())
            contents = our_models().interfaces[source.model].contents[name].properties
            known = ", ".join(key for key in contents if key not in owned) or "none"
            unknown = f"{name} has no property {problem.name}; it has: {known}"
            text = unknown if problem.kind == "unknown_property" else f"this has to be {problem.expected}"
            self._bad((*path, *_parts(problem.path)), text)
        phases = properties.get("phases")
        if isinstance(phases, str) and not _PHASES.fullmatch(phases):
            self._bad((*path, "phases"), f"{phases!r} is no set of phases; write A, AB, ABC, ABCN, ...")
        line = self.doc.line(path)
        self._keep(Relation(own_id or relationship_id(name, target), source.id, name, target, properties, line), path)

    def _keep(self, relation: Relation, path: tuple[str | int, ...]) -> None:
        first = self.relations.setdefault((relation.source, relation.id), relation)
        if first is not relation:
            at = f" in line {first.line}" if first.line else ""
            remedy = "Leave one out, or give each an id of its own: {to: ..., id: ...}"
            self._bad(path, f"{relation.source} has the relationship {relation.id} already{at}", remedy)

    def _target(self, item: Any, path: tuple[str | int, ...]) -> tuple[str | None, str, dict[str, Any]]:
        if isinstance(item, str):
            return item, "", {}
        if not isinstance(item, dict):
            self._bad(path, "a relationship is the id of its target, or a mapping with `to`")
            return None, "", {}
        named = [key for key in _TARGET_KEYS if key in item]
        if len(named) != 1 or not isinstance(item[named[0]], str):
            self._bad(path, "the target is missing; write {to: <id>, ...}")
            return None, "", {}
        own_id = item.get("id", "")
        if "id" in item and not (isinstance(own_id, str) and is_twin_id(own_id)):
            self._bad((*path, "id"), f"{own_id!r} cannot be the id of a relationship")
            own_id = ""
        return item[named[0]], own_id, {k: v for k, v in item.items() if k not in (*_TARGET_KEYS, "id")}

    def _inverses(self) -> None:
        for feed in [relation for relation in self.relations.values() if relation.name == "feedsTo"]:
            usual = feed.id == relationship_id("feedsTo", feed.target)
            own_id = relationship_id("fedBy", feed.source if usual else f"{feed.source}.{feed.id}")
            inverse = Relation(own_id, feed.target, "fedBy", feed.source, {}, feed.line)
            self._keep(inverse, self.where.get(feed.source, ()))

    def _rings(self) -> None:
        feeds = [Feed(r.id, r.source, r.target) for r in self.relations.values() if r.name == "feedsTo"]
        opened = {e.id for e in self.entities.values() if e.properties.get("switchState") == "open"}
        for ring in rings(feeds, opened):
            names = " > ".join(ring)
            remedy = "Open a switch in it (switchState: open), or take one feedsTo away"
            self._bad(self.where[ring[0]], f"feedsTo runs in a ring that no open switch breaks: {names}", remedy)

    # --- the whole ----------------------------------------------------------------------------------------------------

    def _size(self, entity: Entity) -> None:
        for problem in check_size({**entity.properties, **first_state(entity.model)}):
            self._bad(self.where[entity.id], problem.message, problem.remedy)

    def _spec(self) -> GraphSpec:
        def of(model: str) -> tuple[Entity, ...]:
            return tuple(entity for entity in self.entities.values() if entity.model == model)

        return GraphSpec(of(DTMI_COMPONENT), of(DTMI_POINT), of(DTMI_USER), tuple(self.relations.values()))

    def _unfed(self, spec: GraphSpec) -> None:
        topology = Topology.from_spec(spec)
        for entity in spec.components:
            if topology.source_of(entity.id) is None:
                self.warnings.append(
                    Problem(
                        self.doc.name, entity.line, entity.id, "no source feeds this component, whatever is switched"
                    )
                )

    def _bad(self, path: tuple[str | int, ...], message: str, remedy: str = "") -> None:
        self.problems.append(Problem(self.doc.name, self.doc.line(path), self._about(path), message, remedy))

    def _about(self, path: tuple[str | int, ...]) -> str:
        # `components[3].electrical` says little; the entry's own id says more.
        if len(path) >= 2 and isinstance(self.doc.value, dict):
            entries = self.doc.value.get(path[0])
            if isinstance(entries, list) and isinstance(path[1], int) and path[1] < len(entries):
                entry = entries[path[1]]
                if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]:
                    return dotted((entry["id"][:128], *path[2:]))
        return dotted(path)


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _at(value: Any, path: Iterable[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _nulls(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _nulls(item, (*path, key))


def _meant(word: Any, known: Iterable[str]) -> str:
    close = get_close_matches(str(word)[:128], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
