"""Check twins, patches, relationships and telemetry against their model, fast enough for every request.

Each check returns a list of `InstanceProblem`, empty when all is well, and raises nothing for bad input. Checkers are
compiled once per interface and kept on the ModelSet. What is checked is the shape: whether a path of a patch exists in
the current twin is for whoever applies the patch. `errors_of` leaves out what is only a warning.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterable, Mapping
from typing import Any, Final

from remhart_adt.dtdl import instance_problems as problems
from remhart_adt.dtdl.checkers import Check, Fault
from remhart_adt.dtdl.instance_paths import Resolved, compiled_for, pointer, resolve, resolve_relationship
from remhart_adt.dtdl.instance_problems import TWIN, InstanceProblem, errors_of
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.limits import ADT_TWIN_BYTES

__all__ = [
    "InstanceProblem",
    "check_patch",
    "check_relationship",
    "check_relationship_patch",
    "check_size",
    "check_telemetry",
    "check_twin",
    "errors_of",
    "new_model",
]

_RELATIONSHIP_KEYS: Final = frozenset({"$relationshipId", "$sourceId", "$targetId", "$relationshipName", "$etag"})
# No value takes more than six times as many bytes in JSON as in Python's binary form, which is written three times as
# fast: `false` and its comma against one byte, a control character, escaped, against one byte; all others take less.
_BINARY_FORM: Final = 2
_BINARY_BYTES: Final = ADT_TWIN_BYTES // 6


def check_twin(models: ModelSet, twin: Mapping[str, Any], *, measure: bool = True) -> list[InstanceProblem]:
    """A whole twin document; `$metadata.$model` names its interface.

    Its size is looked at when it is otherwise sound, and not at all without `measure` (for a part of a twin).
    """
    if not _is_object(twin):
        return [problems.no_object("The twin")]
    metadata = twin.get("$metadata")
    dtmi = metadata.get("$model") if isinstance(metadata, Mapping) else None
    if not isinstance(dtmi, str):
        return [problems.missing_model()]
    compiled = compiled_for(models, dtmi)
    if compiled is None:
        return [problems.unknown_model(dtmi, "/$metadata/$model")]
    found: list[InstanceProblem] = []
    for name, value in twin.items():
        if name in compiled.components:
            found += _component(models, name, compiled.components[name], value)
        elif name not in ("$dtId", "$etag", "$metadata"):
            found += _value(compiled.properties, name, value, "", TWIN, compiled.id)
    found += [problems.missing_component(name, compiled.id) for name in compiled.components if name not in twin]
    return found or (check_size(twin) if measure else [])


def check_size(twin: Mapping[str, Any], encoded: int | None = None) -> list[InstanceProblem]:
    """Whether the twin is small enough as compact UTF-8 JSON; `$metadata` is the service's own and does not count.

    `encoded`: how many bytes the twin as a whole has as JSON, when somebody has written it already. Without it a bound
    is taken that costs little; only a twin that may pass the limit is written as JSON, to be measured exactly.
    """
    if encoded is not None and encoded <= ADT_TWIN_BYTES:
        return []
    content = {name: value for name, value in twin.items() if name != "$metadata"}
    for name, value in content.items():
        if type(value) is dict and "$metadata" in value:
            content[name] = {key: item for key, item in value.items() if key != "$metadata"}
    try:
        if encoded is None and len(marshal.dumps(content, _BINARY_FORM)) <= _BINARY_BYTES:
            return []
        size = len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    except (TypeError, ValueError, RecursionError):
        return []  # no JSON: it has faults of another kind, which are found elsewhere
    if size <= ADT_TWIN_BYTES:
        return []
    message = f"The twin has {size} bytes, more than {ADT_TWIN_BYTES}."
    remedy = "Shorten its texts, or move a part of it to a twin of its own."
    return [problems.problem("too_large", "", message, remedy, expected=f"at most {ADT_TWIN_BYTES} bytes")]


def check_patch(
    models: ModelSet, model_id: str, patch: Iterable[Any], current: Mapping[str, Any] | None = None
) -> list[InstanceProblem]:
    """A JSON Patch of a twin of model `model_id`: operations, paths and values.

    With a change of `$metadata.$model` in it, paths and values are checked against the new model; whether the rest of
    the twin fits the new model shows only on the whole document (`check_twin` after applying), or, when `current` is
    given, in that the properties the patch leaves alone are checked here too.

    `replace` of a property that may have no value is a warning; not when the patch or `current` shows its value.
    """
    compiled = compiled_for(models, model_id)
    if compiled is None:
        return [problems.unknown_model(model_id, "/$metadata/$model")]
    operations = _operations(patch)
    if operations is None:
        return [problems.no_patch(compiled.id)]
    found: list[InstanceProblem] = []
    old, target = compiled, new_model(operations)
    if target is not None and target != model_id:
        other = compiled_for(models, target)
        if other is None:
            return [problems.unknown_model(target, "/$metadata/$model")]
        if current is not None and _is_object(current):
            found += _left_alone(models, target, operations, current)
        compiled = other
    replaced: list[tuple[int, Resolved]] = []
    for number, operation in enumerate(operations):
        op, path = _op_and_path(operation)
        if path is None:
            found.append(problems.bad_operation(number, *_said(operation), compiled.id))
            continue
        resolved = resolve(models, compiled, path)
        if op == "remove" and resolved.problem is not None and old is not compiled:
            resolved = resolve(models, old, path)  # what a patch removes may belong to the old model only
        check, problem, name, owner, element, optional = resolved
        if problem is not None:
            found.append(problem)
        elif op == "remove":
            if name == "$model":
                found.append(problems.read_only(path, name, owner, element))
            elif check is None:  # a whole component
                found.append(problems.missing_component(name, compiled.id))
        else:
            if check is None:
                found += _component(models, name, element, operation["value"])
            else:
                faults = check(operation["value"])
                if faults is not None:
                    found += [problems.fault(one, path, name, owner, element) for one in faults]
            if optional and op == "replace":
                replaced.append((number, resolved))
    return found + _may_fail(operations, replaced, current) if replaced else found


def check_relationship(
    models: ModelSet, source_model: str, relationship: Mapping[str, Any], target_model: str | None = None
) -> list[InstanceProblem]:
    """A relationship document of a twin of `source_model`; with `target_model` also whether the target may be one."""
    compiled = compiled_for(models, source_model)
    if compiled is None:
        return [problems.unknown_model(source_model, "")]
    if not _is_object(relationship):
        return [problems.no_object("The relationship", element=compiled.id)]
    name = relationship.get("$relationshipName")
    if not isinstance(name, str) or not name:
        what, remedy = "The relationship has no name.", "Set $relationshipName."
        return [problems.problem("missing_relationship_name", "/$relationshipName", what, remedy, element=compiled.id)]
    known = compiled.relationships.get(name)
    if known is None:
        return [problems.unknown_relationship(name, compiled.relationships, compiled.id)]
    content = known.content
    found: list[InstanceProblem] = []
    if target_model is not None and content.target is not None and not models.is_of_model(target_model, content.target):
        found.append(
            problems.problem(
                "wrong_target",
                "/$targetId",
                f"{name} leads to {content.target}, not to {target_model}.",
                f"Choose a twin of {content.target} or of an interface that extends it.",
                name=name,
                owner=name,
                expected=content.target,
                element=compiled.id,
            )
        )
    for key, value in relationship.items():
        if key not in _RELATIONSHIP_KEYS:
            found += _value(known.checks, key, value, "", name, compiled.id)
    return found


def check_relationship_patch(
    models: ModelSet,
    source_model: str,
    name: str,
    patch: Iterable[Any],
    current: Mapping[str, Any] | None = None,
) -> list[InstanceProblem]:
    """A JSON Patch of the relationship `name` of a twin of `source_model`; `current` is the relationship as it is."""
    compiled = compiled_for(models, source_model)
    if compiled is None:
        return [problems.unknown_model(source_model, "")]
    known = compiled.relationships.get(name)
    if known is None:
        return [problems.unknown_relationship(name, compiled.relationships, compiled.id)]
    operations = _operations(patch)
    if operations is None:
        return [problems.no_patch(compiled.id)]
    found: list[InstanceProblem] = []
    replaced: list[tuple[int, Resolved]] = []
    for number, operation in enumerate(operations):
        op, path = _op_and_path(operation)
        if path is None:
            found.append(problems.bad_operation(number, *_said(operation), compiled.id))
            continue
        resolved = resolve_relationship(compiled, known, path)
        if resolved.problem is not None:
            found.append(resolved.problem)
        elif op != "remove" and resolved.check is not None:
            faults = resolved.check(operation["value"]) or ()
            found += [problems.fault(one, path, resolved.name, name, compiled.id) for one in faults]
            if op == "replace":
                replaced.append((number, resolved))
    return found + _may_fail(operations, replaced, current) if replaced else found


def check_telemetry(
    models: ModelSet, model_id: str, payload: Any, component: str | None = None
) -> list[InstanceProblem]:
    """A telemetry message: an object of telemetry names and values, of the twin or of one of its components."""
    compiled = compiled_for(models, model_id)
    if compiled is None:
        return [problems.unknown_model(model_id, "")]
    owner = component or TWIN
    if component is not None:
        if component not in compiled.components:
            return [problems.unknown_component(component, compiled.components, compiled.id)]
        compiled = compiled_for(models, compiled.components[component]) or compiled
    if not isinstance(payload, Mapping):
        return [problems.no_object("The telemetry", owner=owner, element=compiled.id)]
    found: list[InstanceProblem] = []
    for name, value in payload.items():
        check = compiled.telemetry.get(name)
        if check is None:
            found.append(problems.unknown_telemetry(name, compiled.telemetry, owner, compiled.id))
        else:
            path = "/" + problems.escape(name)
            found += [problems.fault(one, path, name, owner, compiled.id) for one in check(value) or ()]
    return found


def new_model(patch: list[Any]) -> str | None:
    """The model that a patch gives the twin, if it changes it."""
    model: str | None = None
    for operation in patch:
        if isinstance(operation, Mapping) and operation.get("path") == "/$metadata/$model":
            value = operation.get("value")
            model = value if isinstance(value, str) else None
    return model


# --- parts ------------------------------------------------------------------------------------------------------------


def _component(models: ModelSet, component: str, dtmi: str, value: Any) -> list[InstanceProblem]:
    base = "/" + problems.escape(component)
    compiled = compiled_for(models, dtmi)
    if compiled is None:
        return [problems.unknown_model(dtmi, base)]
    if not isinstance(value, Mapping):
        return [problems.fault(Fault((), "wrong_type", "object"), base, component, TWIN, dtmi)]
    found: list[InstanceProblem] = []
    if not isinstance(value.get("$metadata"), Mapping):
        found.append(problems.missing_component_metadata(component, dtmi))
    for name, item in value.items():
        if name != "$metadata":
            found += _value(compiled.properties, name, item, base, component, dtmi)
    return found


def _value(
    checks: Mapping[str, Check], name: Any, value: Any, base: str, owner: str, element: str
) -> list[InstanceProblem]:
    check = checks.get(name)
    if check is None:
        return [problems.unknown_property(name, f"{base}/{problems.escape(name)}", owner, element)]
    faults = check(value)
    if faults is None:
        return []
    path = f"{base}/{problems.escape(name)}"
    return [problems.fault(one, path, name, owner, element) for one in faults]


def _left_alone(models: ModelSet, dtmi: str, patch: list[Any], current: Mapping[str, Any]) -> list[InstanceProblem]:
    """The properties that a patch with a new model does not touch must fit the new model."""
    touched = {
        parts[0]
        for operation in patch
        if isinstance(operation, Mapping) and isinstance(operation.get("path"), str)
        for parts in [pointer(operation["path"])]
        if parts
    }
    rest = {
        name: value
        for name, value in current.items()
        if name not in touched and not (isinstance(name, str) and name.startswith("$"))
    }
    found = check_twin(models, {**rest, "$metadata": {"$model": dtmi}}, measure=False)
    return [one for one in found if not (one.kind == "missing_component" and one.name in touched)]


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _operations(patch: Any) -> list[Any] | None:
    """The operations of a patch; None for what is no list of anything."""
    if isinstance(patch, list):
        return patch
    return list(patch) if isinstance(patch, Iterable) and not isinstance(patch, str | bytes | Mapping) else None


def _op_and_path(operation: Any) -> tuple[str, str | None]:
    """What an operation does and where; no path when it cannot be used."""
    if type(operation) is not dict and not isinstance(operation, Mapping):
        return "", None
    op, path = operation.get("op"), operation.get("path")
    if type(op) is not str or type(path) is not str:
        return "", None
    if op == "remove" or (op in ("add", "replace") and "value" in operation):
        return op, path
    return op, None


def _said(operation: Any) -> tuple[Any, Any]:
    return (operation.get("op"), operation.get("path")) if isinstance(operation, Mapping) else (operation, None)


def _may_fail(
    patch: list[Any], replaced: list[tuple[int, Resolved]], current: Mapping[str, Any] | None
) -> list[InstanceProblem]:
    """A warning for every `replace` whose path has no value that the patch, or the twin as it is, would show."""
    found: list[InstanceProblem] = []
    # path -> the number of the last operation on it, and the value it left there (None: it has none any more)
    before: dict[str, tuple[int, Any]] = {}
    done = 0
    for number, resolved in replaced:
        for earlier in range(done, number):
            op, path = _op_and_path(patch[earlier])
            if path is not None:
                before[path] = (earlier, None if op == "remove" else patch[earlier]["value"])
        done = number
        path = patch[number]["path"]
        if not _has_value(path, before, current):
            found.append(problems.replace_may_fail(path, resolved.name, resolved.owner, resolved.element))
    return found


def _has_value(path: str, before: Mapping[str, tuple[int, Any]], current: Mapping[str, Any] | None) -> bool:
    parts = path[1:].split("/")
    last, holder, below = -1, current, pointer(path)
    for length in range(1, len(parts) + 1):
        number, value = before.get("/" + "/".join(parts[:length]), (-1, None))
        if number > last:
            last, holder, below = number, value, pointer(path)[length:]
    for part in below:
        if not isinstance(holder, Mapping) or part not in holder:
            return False
        holder = holder[part]
    return holder is not None
