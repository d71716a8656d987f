"""What a patch path means in a model: the checkers of an interface, compiled once, and the way along a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from remhart_adt.dtdl import instance_problems as problems
from remhart_adt.dtdl.checkers import MAP_KEY, TOO_DEEP, Check, Fault, compile_schema, is_map_key
from remhart_adt.dtdl.instance_problems import TWIN, InstanceProblem
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.types import Content, Interface, Schema
from remhart_adt.limits import JSON_DEPTH

__all__ = ["Compiled", "Kind", "Resolved", "compiled_for", "pointer", "resolve", "resolve_relationship"]

# Resolved patch paths are remembered per interface; map keys come from outside, so the memory is bounded.
_REMEMBERED_PATHS: Final = 4096
_REMEMBERED_LENGTH: Final = 256


class Resolved(NamedTuple):
    """What a patch path stands for: its check, or the problem with it; the property's name and its owner.

    No check and no problem: a whole component. `optional`: a property, or below one, which may have no value.
    """

    check: Check | None
    problem: InstanceProblem | None
    name: str
    owner: str
    element: str
    optional: bool = False


class Kind(NamedTuple):
    """A relationship that an interface has, with the checkers of its properties."""

    content: Content
    checks: dict[str, Check]
    schemas: dict[str, Schema]
    paths: dict[str, Resolved]


@dataclass(slots=True)
class Compiled:
    """The checkers of one interface."""

    id: str
    properties: dict[str, Check] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)
    components: dict[str, str] = field(default_factory=dict)
    relationships: dict[str, Kind] = field(default_factory=dict)
    telemetry: dict[str, Check] = field(default_factory=dict)
    known: dict[str, Check] = field(default_factory=dict)
    paths: dict[str, Resolved] = field(default_factory=dict)


def compiled_for(models: ModelSet, dtmi: Any) -> Compiled | None:
    """The checkers of an interface, compiled when they are first asked for; None when it is not in the set."""
    if not isinstance(dtmi, str):
        return None
    compiled: Compiled | None = models.checkers.get(dtmi)
    if compiled is None:
        interface = models.interfaces.get(dtmi)
        if interface is None:
            return None
        compiled = models.checkers[dtmi] = _compile(interface)
    return compiled


def _compile(interface: Interface) -> Compiled:
    result = Compiled(interface.id)
    for name, content in interface.contents.items():
        if content.kind == "Component":
            result.components[name] = content.component
        elif content.kind == "Relationship":
            schemas = {key: p.schema for key, p in content.properties.items() if p.schema is not None}
            checks = {key: compile_schema(schema, result.known) for key, schema in schemas.items()}
            result.relationships[name] = Kind(content, checks, schemas, {})
        elif content.schema is not None:
            check = compile_schema(content.schema, result.known)
            if content.kind == "Property":
                result.properties[name] = check
                result.schemas[name] = content.schema
            else:
                result.telemetry[name] = check
    return result


def pointer(path: str) -> list[str]:
    """The parts of a JSON pointer; empty for one that is malformed or names the whole document."""
    if not path.startswith("/"):
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def resolve(models: ModelSet, compiled: Compiled, path: str) -> Resolved:
    """What a patch path means for a twin of this interface."""
    known = compiled.paths.get(path)
    if known is None:
        known = _remember(compiled.paths, path, _resolve(models, compiled, path))
    return known


def resolve_relationship(compiled: Compiled, kind: Kind, path: str) -> Resolved:
    """What a patch path means for a relationship that a twin of this interface has."""
    known = kind.paths.get(path)
    if known is None:
        known = _remember(kind.paths, path, _resolve_relationship(compiled, kind, path))
    return known


def _remember(paths: dict[str, Resolved], path: str, resolved: Resolved) -> Resolved:
    if len(path) <= _REMEMBERED_LENGTH:
        if len(paths) >= _REMEMBERED_PATHS:
            paths.clear()
        paths[path] = resolved
    return resolved


def _resolve(models: ModelSet, compiled: Compiled, path: str) -> Resolved:
    parts = pointer(path)
    if not parts:
        return Resolved(None, problems.bad_path(path, TWIN, compiled.id), "", TWIN, compiled.id)
    owner, scope, rest = TWIN, compiled, parts
    if parts[0] in compiled.components:
        dtmi = compiled.components[parts[0]]
        if len(parts) == 1:
            return Resolved(None, None, parts[0], TWIN, dtmi)
        inner = compiled_for(models, dtmi)
        if inner is None:
            return Resolved(None, problems.unknown_model(dtmi, path), parts[0], TWIN, dtmi)
        owner, scope, rest = parts[0], inner, parts[1:]
    if rest[0].startswith("$"):
        return _metadata(scope, rest, path, owner)
    return _descend(scope, scope.properties, scope.schemas, rest, path, owner)


def _resolve_relationship(compiled: Compiled, kind: Kind, path: str) -> Resolved:
    parts, owner = pointer(path), kind.content.name
    if not parts:
        return Resolved(None, problems.bad_path(path, owner, compiled.id), "", owner, compiled.id)
    if parts[0].startswith("$"):
        problem = problems.read_only(path, parts[0], owner, compiled.id)
        return Resolved(None, problem, parts[0], owner, compiled.id)
    return _descend(compiled, kind.checks, kind.schemas, parts, path, owner)


def _metadata(scope: Compiled, rest: list[str], path: str, owner: str) -> Resolved:
    """`/$metadata/$model` of the twin and the source time of a property may be set; all else is the service's own."""
    if rest == ["$metadata", "$model"] and owner == TWIN:
        return Resolved(compile_schema(Schema("string", "string"), scope.known), None, "$model", owner, scope.id)
    if len(rest) == 3 and rest[0] == "$metadata" and rest[2] == "sourceTime":
        if rest[1] not in scope.properties:
            problem = problems.unknown_property(rest[1], path, owner, scope.id)
            return Resolved(None, problem, rest[1], owner, scope.id)
        # The service takes `replace` here though there was none before (recorded), so it is not optional.
        return Resolved(compile_schema(Schema("dateTime", "dateTime"), scope.known), None, rest[1], owner, scope.id)
    return Resolved(None, problems.read_only(path, rest[0], owner, scope.id), rest[0], owner, scope.id)


def _descend(
    scope: Compiled,
    checks: Mapping[str, Check],
    schemas: Mapping[str, Schema],
    parts: list[str],
    path: str,
    owner: str,
) -> Resolved:
    """Follow a path from a property down through objects and maps."""
    name = parts[0]

    def refused(problem: InstanceProblem) -> Resolved:
        return Resolved(None, problem, name, owner, scope.id)

    def unfit(kind: str, expected: str) -> Resolved:
        return refused(problems.fault(Fault((), kind, expected), path, name, owner, scope.id))

    if name not in checks:
        return refused(problems.unknown_property(name, path, owner, scope.id))
    if len(parts) > JSON_DEPTH:
        return unfit("too_deep", TOO_DEEP)
    schema = schemas[name]
    for part in parts[1:]:
        if schema.kind == "Object":
            inner = schema.fields.get(part)
            if inner is None:
                return unfit("unknown_field", ", ".join(schema.fields) or "none")
            schema = inner.schema
        elif schema.kind == "Map" and schema.value is not None:
            if not is_map_key(part):
                return unfit("bad_map_key", MAP_KEY)
            schema = schema.value.schema
        elif schema.kind == "Array":
            return refused(problems.array_element(path, name, owner, scope.id))
        else:
            return unfit("unknown_field", "nothing below it")
    check = checks[name] if len(parts) == 1 else compile_schema(schema, scope.known)
    return Resolved(check, None, name, owner, scope.id, optional=True)
