"""Check twins, patches, relationships and telemetry against their model, fast enough for every request.

Each check returns a list of `InstanceProblem`, empty when all is well, and raises nothing for bad input. Checkers are
compiled once per interface and kept on the ModelSet. What is checked is the shape: whether a path of a patch exists in
the current twin is for whoever applies the patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from remhart_adt.dtdl.checkers import Check, Fault, compile_schema
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.types import Content, Interface, Schema

__all__ = [
    "InstanceProblem",
    "check_patch",
    "check_relationship",
    "check_relationship_patch",
    "check_telemetry",
    "check_twin",
]

# Resolved patch paths are remembered per interface; map keys come from outside, so the memory is bounded.
_REMEMBERED_PATHS: Final = 4096
_REMEMBERED_LENGTH: Final = 256
_RELATIONSHIP_KEYS: Final = frozenset({"$relationshipId", "$sourceId", "$targetId", "$relationshipName", "$etag"})
_TWIN: Final = "Twin"


@dataclass(frozen=True, slots=True)
class InstanceProblem:
    """One fault of an instance. `path` is a JSON pointer into it; `name` the property (or component, relationship,
    telemetry) concerned, `owner` the component it is on or `Twin`; `expected` what the model wants there.

    Codes: unknown_model, missing_model, unknown_property, unknown_field, wrong_type, not_in_enum, too_long,
    bad_map_key, missing_component, missing_component_metadata, unknown_component, read_only, bad_operation, bad_path,
    array_element, unknown_relationship, missing_relationship_name, wrong_target, unknown_telemetry.
    """

    code: str
    path: str
    message: str
    remedy: str = ""
    name: str = ""
    owner: str = _TWIN
    expected: str = ""

    @property
    def kind(self) -> str:
        """The same as `code`."""
        return self.code


@dataclass(slots=True)
class _Compiled:
    """The checkers of one interface."""

    properties: dict[str, Check]
    schemas: dict[str, Schema]
    components: dict[str, str]
    relationships: dict[str, tuple[Content, dict[str, Check]]]
    telemetry: dict[str, Check]
    known: dict[str, Check] = field(default_factory=dict)
    paths: dict[str, tuple[Check | None, InstanceProblem | None, str, str]] = field(default_factory=dict)


def _compiled(models: ModelSet, dtmi: str) -> _Compiled | None:
    compiled: _Compiled | None = models.checkers.get(dtmi)
    if compiled is None:
        interface = models.interfaces.get(dtmi)
        if interface is None:
            return None
        compiled = models.checkers[dtmi] = _compile(interface)
    return compiled


def _compile(interface: Interface) -> _Compiled:
    known: dict[str, Check] = {}
    result = _Compiled({}, {}, {}, {}, {}, known)
    for name, content in interface.contents.items():
        if content.kind == "Component":
            result.components[name] = content.component
        elif content.kind == "Relationship":
            checks = {
                key: compile_schema(p.schema, known) for key, p in content.properties.items() if p.schema is not None
            }
            result.relationships[name] = (content, checks)
        elif content.schema is not None:
            check = compile_schema(content.schema, known)
            if content.kind == "Property":
                result.properties[name] = check
                result.schemas[name] = content.schema
            else:
                result.telemetry[name] = check
    return result


def check_twin(models: ModelSet, twin: Mapping[str, Any]) -> list[InstanceProblem]:
    """A whole twin document; `$metadata.$model` names its interface."""
    metadata = twin.get("$metadata")
    dtmi = metadata.get("$model") if isinstance(metadata, Mapping) else None
    if not isinstance(dtmi, str):
        return [
            InstanceProblem(
                "missing_model",
                "/$metadata/$model",
                "The twin does not say which model it is of",
                "Set $metadata.$model to a DTMI",
            )
        ]
    compiled = _compiled(models, dtmi)
    if compiled is None:
        return [_unknown_model(dtmi, "/$metadata/$model")]
    problems: list[InstanceProblem] = []
    for name, value in twin.items():
        if name.startswith("$"):
            if name not in ("$dtId", "$etag", "$metadata"):
                problems.append(_unknown_property(name, "/" + name, _TWIN))
        elif name in compiled.components:
            problems += _component(models, name, compiled.components[name], value)
        else:
            problems += _value(compiled.properties, name, value, "", _TWIN)
    problems += [_missing_component(name) for name in compiled.components if name not in twin]
    return problems


def check_patch(
    models: ModelSet, model_id: str, patch: Sequence[Any], current: Mapping[str, Any] | None = None
) -> list[InstanceProblem]:
    """A JSON Patch of a twin of model `model_id`: operations, paths and values.

    With a change of `$metadata.$model` in it, paths and values are checked against the new model; whether the rest of
    the twin fits the new model shows only on the whole document (`check_twin` after applying), or, when `current` is
    given, in that the properties the patch leaves alone are checked here too.
    """
    compiled = _compiled(models, model_id)
    if compiled is None:
        return [_unknown_model(model_id, "/$metadata/$model")]
    problems: list[InstanceProblem] = []
    target = _new_model(patch)
    if target is not None and target != model_id:
        other = _compiled(models, target)
        if other is None:
            return [_unknown_model(target, "/$metadata/$model")]
        if current is not None:
            problems += _left_alone(models, target, patch, current)
        old, compiled = compiled, other
    else:
        old = compiled
    for number, operation in enumerate(patch):
        op = operation.get("op") if isinstance(operation, Mapping) else None
        path = operation.get("path") if isinstance(operation, Mapping) else None
        if op not in ("add", "replace", "remove") or not isinstance(path, str):
            problems.append(_bad_operation(number, op, path))
            continue
        removing = op == "remove"
        # What a patch removes may belong to the old model only.
        scope = old if removing and _resolve(models, compiled, path)[1] is not None else compiled
        check, problem, name, owner = _resolve(models, scope, path)
        if problem is not None:
            problems.append(problem)
        elif removing:
            if name == "$model":
                problems.append(_read_only(path, name, owner))
            elif check is None:  # a whole component
                problems.append(_missing_component(name))
        elif "value" not in operation:
            problems.append(_bad_operation(number, op, path))
        elif check is not None:
            faults = check(operation["value"])
            if faults is not None:
                problems += [_fault(fault, path, name, owner) for fault in faults]
        else:  # a whole component
            problems += _component(models, name, scope.components[name], operation["value"])
    return problems


def check_relationship(
    models: ModelSet, source_model: str, relationship: Mapping[str, Any], target_model: str | None = None
) -> list[InstanceProblem]:
    """A relationship document of a twin of `source_model`; with `target_model` also whether the target may be one."""
    compiled = _compiled(models, source_model)
    if compiled is None:
        return [_unknown_model(source_model, "")]
    name = relationship.get("$relationshipName")
    if not isinstance(name, str) or not name:
        return [
            InstanceProblem(
                "missing_relationship_name",
                "/$relationshipName",
                "The relationship has no name",
                "Set $relationshipName",
            )
        ]
    found = compiled.relationships.get(name)
    if found is None:
        return [_unknown_relationship(name, source_model, compiled)]
    content, checks = found
    problems: list[InstanceProblem] = []
    if target_model is not None and content.target is not None and not models.is_of_model(target_model, content.target):
        problems.append(
            InstanceProblem(
                "wrong_target",
                "/$targetId",
                f"{name} leads to {content.target}, not to {target_model}",
                f"Choose a twin of {content.target} or of an interface that extends it",
                name=name,
                owner=name,
                expected=content.target,
            )
        )
    for key, value in relationship.items():
        if key not in _RELATIONSHIP_KEYS:
            problems += _value(checks, key, value, "", name)
    return problems


def check_relationship_patch(
    models: ModelSet, source_model: str, name: str, patch: Sequence[Any]
) -> list[InstanceProblem]:
    """A JSON Patch of the relationship `name` of a twin of `source_model`."""
    compiled = _compiled(models, source_model)
    if compiled is None:
        return [_unknown_model(source_model, "")]
    found = compiled.relationships.get(name)
    if found is None:
        return [_unknown_relationship(name, source_model, compiled)]
    content, checks = found
    problems: list[InstanceProblem] = []
    for number, operation in enumerate(patch):
        op = operation.get("op") if isinstance(operation, Mapping) else None
        path = operation.get("path") if isinstance(operation, Mapping) else None
        removing = op == "remove"
        if (
            op not in ("add", "replace", "remove")
            or not isinstance(path, str)
            or not (removing or "value" in operation)
        ):
            problems.append(_bad_operation(number, op, path))
            continue
        parts = _pointer(path)
        if not parts:
            problems.append(_bad_path(path, name))
        elif parts[0].startswith("$"):
            problems.append(_read_only(path, parts[0], name))
        elif parts[0] not in checks:
            problems.append(_unknown_property(parts[0], path, name))
        else:
            schema = content.properties[parts[0]].schema
            check, problem = _descend(compiled, checks[parts[0]], schema, parts[1:], path, parts[0], name)
            if problem is not None:
                problems.append(problem)
            elif not removing and check is not None:
                problems += [_fault(f, path, parts[0], name) for f in check(operation["value"]) or ()]
    return problems


def check_telemetry(
    models: ModelSet, model_id: str, payload: Any, component: str | None = None
) -> list[InstanceProblem]:
    """A telemetry message: an object of telemetry names and values, of the twin or of one of its components."""
    compiled = _compiled(models, model_id)
    if compiled is None:
        return [_unknown_model(model_id, "")]
    owner = component or _TWIN
    if component is not None:
        if component not in compiled.components:
            known = ", ".join(compiled.components) or "none"
            return [
                InstanceProblem(
                    "unknown_component", "", f"{model_id} has no component {component}", f"It has: {known}", component
                )
            ]
        compiled = _compiled(models, compiled.components[component]) or compiled
    if not isinstance(payload, Mapping):
        return [InstanceProblem("wrong_type", "", "The telemetry is not an object", owner=owner, expected="object")]
    problems: list[InstanceProblem] = []
    for name, value in payload.items():
        check = compiled.telemetry.get(name)
        if check is None:
            message = f"{name} is not telemetry of {owner}"
            remedy = f"It has: {', '.join(compiled.telemetry) or 'none'}"
            problems.append(InstanceProblem("unknown_telemetry", "/" + _escape(name), message, remedy, name, owner))
        else:
            problems += [_fault(fault, "/" + _escape(name), name, owner) for fault in check(value) or ()]
    return problems


def _component(models: ModelSet, component: str, dtmi: str, value: Any) -> list[InstanceProblem]:
    base = "/" + _escape(component)
    compiled = _compiled(models, dtmi)
    if compiled is None:
        return [_unknown_model(dtmi, base)]
    if not isinstance(value, Mapping):
        return [_fault(Fault((), "wrong_type", "object"), base, component, _TWIN)]
    problems: list[InstanceProblem] = []
    if not isinstance(value.get("$metadata"), Mapping):
        problems.append(
            InstanceProblem(
                "missing_component_metadata",
                f"{base}/$metadata",
                f"The component {component} has no $metadata",
                'Add "$metadata": {}',
                component,
                component,
            )
        )
    for name, item in value.items():
        if name != "$metadata":
            problems += _value(compiled.properties, name, item, base, component)
    return problems


def _value(checks: dict[str, Check], name: str, value: Any, base: str, owner: str) -> list[InstanceProblem]:
    check = checks.get(name)
    if check is None:
        return [_unknown_property(name, f"{base}/{_escape(name)}", owner)]
    faults = check(value)
    return [_fault(fault, f"{base}/{_escape(name)}", name, owner) for fault in faults] if faults is not None else []


def _resolve(models: ModelSet, compiled: _Compiled, path: str) -> tuple[Check | None, InstanceProblem | None, str, str]:
    """What a patch path means in a model: its check, or the problem with it; the property's name and its owner.

    No check and no problem: a whole component, or metadata that may be set.
    """
    known = compiled.paths.get(path)
    if known is None:
        known = _resolve_now(models, compiled, path)
        if len(path) <= _REMEMBERED_LENGTH:
            if len(compiled.paths) >= _REMEMBERED_PATHS:
                compiled.paths.clear()
            compiled.paths[path] = known
    return known


def _resolve_now(
    models: ModelSet, compiled: _Compiled, path: str
) -> tuple[Check | None, InstanceProblem | None, str, str]:
    parts = _pointer(path)
    if not parts:
        return None, _bad_path(path, _TWIN), "", _TWIN
    owner, scope, rest = _TWIN, compiled, parts
    if parts[0] in compiled.components:
        if len(parts) == 1:
            return None, None, parts[0], _TWIN
        inner = _compiled(models, compiled.components[parts[0]])
        if inner is None:
            return None, _unknown_model(compiled.components[parts[0]], path), parts[0], _TWIN
        owner, scope, rest = parts[0], inner, parts[1:]
    name = rest[0]
    if name.startswith("$"):
        return _metadata(scope, rest, path, owner)
    if name not in scope.properties:
        return None, _unknown_property(name, path, owner), name, owner
    check, problem = _descend(scope, scope.properties[name], scope.schemas[name], rest[1:], path, name, owner)
    return check, problem, name, owner


def _metadata(
    scope: _Compiled, rest: list[str], path: str, owner: str
) -> tuple[Check | None, InstanceProblem | None, str, str]:
    """`/$metadata/$model` of the twin and the source time of a property may be set; all else is the service's own."""
    if rest == ["$metadata", "$model"] and owner == _TWIN:
        return compile_schema(Schema("string", "string"), scope.known), None, "$model", owner
    if len(rest) == 3 and rest[0] == "$metadata" and rest[2] == "sourceTime":
        if rest[1] not in scope.properties:
            return None, _unknown_property(rest[1], path, owner), rest[1], owner
        return compile_schema(Schema("dateTime", "dateTime"), scope.known), None, rest[1], owner
    return None, _read_only(path, rest[0], owner), rest[0], owner


def _descend(
    scope: _Compiled, check: Check, schema: Schema | None, rest: list[str], path: str, name: str, owner: str
) -> tuple[Check | None, InstanceProblem | None]:
    """Follow a path below a property through objects and maps."""
    for part in rest:
        if schema is None:
            break
        if schema.kind == "Object":
            inner = schema.fields.get(part)
            if inner is None:
                return None, _fault(Fault((), "unknown_field", ", ".join(schema.fields)), path, name, owner)
            schema = inner.schema
        elif schema.kind == "Map" and schema.value is not None:
            if not part or part.startswith("$"):
                return None, _fault(Fault((), "bad_map_key", "a key that does not begin with $"), path, name, owner)
            schema = schema.value.schema
        elif schema.kind == "Array":
            return None, InstanceProblem(
                "array_element",
                path,
                f"{name} is an array, whose elements cannot be patched one by one",
                "Replace the whole array",
                name,
                owner,
                "Array",
            )
        else:
            return None, _fault(Fault((), "unknown_field", "nothing below it"), path, name, owner)
        check = compile_schema(schema, scope.known)
    return check, None


def _new_model(patch: Sequence[Any]) -> str | None:
    for operation in reversed(patch):
        if isinstance(operation, Mapping) and operation.get("path") == "/$metadata/$model":
            value = operation.get("value")
            return value if isinstance(value, str) else None
    return None


def _left_alone(models: ModelSet, dtmi: str, patch: Sequence[Any], current: Mapping[str, Any]) -> list[InstanceProblem]:
    """The properties that a patch with a new model does not touch must fit the new model."""
    touched = {
        parts[0]
        for operation in patch
        if isinstance(operation, Mapping) and isinstance(operation.get("path"), str)
        for parts in [_pointer(operation["path"])]
        if parts
    }
    rest = {name: value for name, value in current.items() if name not in touched and not name.startswith("$")}
    problems = check_twin(models, {**rest, "$metadata": {"$model": dtmi}})
    return [p for p in problems if not (p.code == "missing_component" and p.name in touched)]


def _pointer(path: str) -> list[str]:
    """The parts of a JSON pointer; empty for one that is malformed or names the whole document."""
    if not path.startswith("/"):
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def _fault(fault: Fault, path: str, name: str, owner: str) -> InstanceProblem:
    where = path + "".join("/" + _escape(part) for part in fault.path)
    if fault.kind == "unknown_field":
        message = f"{where} does not exist in the model"
        remedy = f"There are: {fault.expected}"
    else:
        message = f"{where} on {owner} must be {fault.expected}"
        remedy = "Send a value the model allows"
    return InstanceProblem(fault.kind, where, message, remedy, name, owner, fault.expected)


def _unknown_model(dtmi: str, path: str) -> InstanceProblem:
    return InstanceProblem("unknown_model", path, f"There is no model {dtmi}", "Upload it first", dtmi)


def _unknown_property(name: str, path: str, owner: str) -> InstanceProblem:
    return InstanceProblem(
        "unknown_property", path, f"The model has no property {name} on {owner}", "Correct the name", name, owner
    )


def _missing_component(name: str) -> InstanceProblem:
    message = f"The twin lacks the component {name}"
    return InstanceProblem("missing_component", "/" + _escape(name), message, 'Give at least {"$metadata": {}}', name)


def _unknown_relationship(name: str, model: str, compiled: _Compiled) -> InstanceProblem:
    known = ", ".join(compiled.relationships) or "none"
    message = f"{model} has no relationship {name}"
    return InstanceProblem(
        "unknown_relationship", "/$relationshipName", message, f"It has: {known}", name, expected=known
    )


def _bad_operation(number: int, op: Any, path: Any) -> InstanceProblem:
    message = f"Operation {number} ({op!r} at {str(path)[:80]!r}) is no usable JSON Patch operation"
    remedy = "Use add or replace with a path and a value, or remove with a path"
    return InstanceProblem("bad_operation", f"/{number}", message, remedy, name=op if isinstance(op, str) else "")


def _bad_path(path: str, owner: str) -> InstanceProblem:
    return InstanceProblem("bad_path", path, f"{path[:80]!r} names no property", "Begin with / and a name", owner=owner)


def _read_only(path: str, name: str, owner: str) -> InstanceProblem:
    return InstanceProblem("read_only", path, f"{path} is kept by the service", "Leave it out", name, owner)
