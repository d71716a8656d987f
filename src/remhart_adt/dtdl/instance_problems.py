"""The problems of instances: one class, and a function for each kind that is found in more than one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from remhart_adt.dtdl.checkers import Fault
from remhart_adt.dtdl.types import Problem, Severity

__all__ = ["INSTANCE", "TWIN", "InstanceProblem", "errors_of", "escape", "problem"]

INSTANCE: Final = "remhart:instance:"
TWIN: Final = "Twin"
# What is shown of a name, a path or a value that came from outside.
_SHOWN: Final = 200

_P = TypeVar("_P", bound=Problem)


@dataclass(frozen=True, slots=True)
class InstanceProblem(Problem):
    """One fault of an instance. `path` is a JSON pointer into it (of a patch: the path in the twin); `name` the
    property (or component, relationship, telemetry) concerned, `owner` the component it is on or `Twin`; `expected`
    what the model wants there; `element` the interface concerned.

    Kinds: unknown_model, missing_model, unknown_property, unknown_field, wrong_type, not_in_enum, too_long, too_large,
    too_deep, bad_map_key, missing_component, missing_component_metadata, unknown_component, read_only, bad_operation,
    bad_path, array_element, unknown_relationship, missing_relationship_name, wrong_target, unknown_telemetry. The only
    warning is replace_may_fail.
    """

    name: str = ""
    owner: str = TWIN
    expected: str = ""

    @property
    def kind(self) -> str:
        """The last part of the id, such as `wrong_type`."""
        return self.rule


def errors_of(problems: Iterable[_P]) -> list[_P]:
    """The problems for which an instance is refused; warnings are left out."""
    return [one for one in problems if one.severity == "error"]


def problem(
    kind: str,
    path: str,
    message: str,
    remedy: str,
    *,
    name: str = "",
    owner: str = TWIN,
    expected: str = "",
    element: str = "",
    severity: Severity = "error",
) -> InstanceProblem:
    """An InstanceProblem whose texts can be written as UTF-8, whatever they quote."""
    return InstanceProblem(
        id=INSTANCE + kind,
        message=_whole(message),
        remedy=_whole(remedy),
        element=_whole(element),
        path=_whole(path),
        severity=severity,
        name=_whole(name),
        owner=_whole(owner),
        expected=expected,
    )


def escape(name: Any) -> str:
    """A name as part of a JSON pointer. A key that is no text has none; its type stands for it."""
    if not isinstance(name, str):
        return f"<{type(name).__name__}>"
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def text_of(name: Any) -> str:
    """A name as it is shown and compared."""
    return name if isinstance(name, str) else f"<{type(name).__name__}>"


def fault(found: Fault, path: str, name: str, owner: str, element: str) -> InstanceProblem:
    """The problem for a fault that a schema's check has found below `path`."""
    where = path + "".join("/" + escape(part) for part in found.path)
    if found.kind == "unknown_field":
        message = f"{_short(where)} does not exist in the model."
        remedy = f"There are: {found.expected}."
    else:
        message = f"{_short(where)} on {owner} must be {found.expected}."
        remedy = "Send a value the model allows."
    return problem(found.kind, where, message, remedy, name=name, owner=owner, expected=found.expected, element=element)


def no_object(what: str, *, owner: str = TWIN, element: str = "") -> InstanceProblem:
    """Something as a whole is no JSON object though it has to be one."""
    message, remedy = f"{what} is not an object.", "Send a JSON object."
    return problem("wrong_type", "", message, remedy, owner=owner, expected="object", element=element)


def missing_model() -> InstanceProblem:
    """A twin document that does not name its model."""
    message = "The twin does not say which model it is of."
    return problem("missing_model", "/$metadata/$model", message, "Set $metadata.$model to a DTMI.")


def unknown_model(dtmi: Any, path: str) -> InstanceProblem:
    """A model that is not in the set."""
    shown = _short(text_of(dtmi))
    return problem("unknown_model", path, f"There is no model {shown}.", "Upload it first.", name=shown, element=shown)


def unknown_property(name: Any, path: str, owner: str, element: str) -> InstanceProblem:
    """A name that the model does not declare as a property."""
    shown = text_of(name)
    message = f"The model has no property {_short(shown)} on {owner}."
    return problem("unknown_property", path, message, "Correct the name.", name=shown, owner=owner, element=element)


def missing_component(name: str, element: str) -> InstanceProblem:
    """A component that the twin lacks, or would lack."""
    message = f"The twin lacks the component {name}."
    remedy = 'Give at least {"$metadata": {}}.'
    return problem("missing_component", "/" + escape(name), message, remedy, name=name, element=element)


def missing_component_metadata(component: str, element: str) -> InstanceProblem:
    """A component without the member that makes it one."""
    return problem(
        "missing_component_metadata",
        f"/{escape(component)}/$metadata",
        f"The component {component} has no $metadata.",
        'Add "$metadata": {}.',
        name=component,
        owner=component,
        element=element,
    )


def unknown_component(name: str, known: Iterable[str], element: str) -> InstanceProblem:
    """A component that the model does not declare."""
    message = f"{element} has no component {_short(name)}."
    return problem("unknown_component", "", message, _it_has(known), name=name, element=element)


def unknown_relationship(name: str, known: Iterable[str], element: str) -> InstanceProblem:
    """A relationship that the model does not declare."""
    return problem(
        "unknown_relationship",
        "/$relationshipName",
        f"{element} has no relationship {_short(name)}.",
        _it_has(known),
        name=name,
        expected=", ".join(known) or "none",
        element=element,
    )


def unknown_telemetry(name: Any, known: Iterable[str], owner: str, element: str) -> InstanceProblem:
    """A name that the model does not declare as telemetry."""
    shown = text_of(name)
    message = f"{_short(shown)} is not telemetry of {owner}."
    return problem(
        "unknown_telemetry", "/" + escape(name), message, _it_has(known), name=shown, owner=owner, element=element
    )


def no_patch(element: str) -> InstanceProblem:
    """A patch that is no list."""
    message = "The patch is not a list of operations."
    remedy = "Send a JSON array of operations."
    return problem("wrong_type", "", message, remedy, expected="array", element=element)


def bad_operation(number: int, op: Any, path: Any, element: str) -> InstanceProblem:
    """An operation that the service cannot read."""
    message = f"Operation {number} ({_value(op)} at {_value(path)}) is no usable JSON Patch operation."
    remedy = "Use add or replace with a path and a value, or remove with a path."
    name = op if isinstance(op, str) else ""
    return problem("bad_operation", f"/{number}", message, remedy, name=name, element=element)


def bad_path(path: str, owner: str, element: str) -> InstanceProblem:
    """A path that is no JSON pointer below the root."""
    message = f"{_value(path)} names no property."
    return problem("bad_path", path, message, "Begin with / and a name.", owner=owner, element=element)


def read_only(path: str, name: str, owner: str, element: str) -> InstanceProblem:
    """A path that only the service writes."""
    message = f"{_short(path)} is kept by the service."
    return problem("read_only", path, message, "Leave it out.", name=name, owner=owner, element=element)


def array_element(path: str, name: str, owner: str, element: str) -> InstanceProblem:
    """A path into an array."""
    message = f"{name} is an array, whose elements cannot be patched one by one."
    remedy = "Replace the whole array."
    return problem("array_element", path, message, remedy, name=name, owner=owner, expected="Array", element=element)


def replace_may_fail(path: str, name: str, owner: str, element: str) -> InstanceProblem:
    """`replace` of what may have no value, which the service then refuses."""
    return problem(
        "replace_may_fail",
        path,
        f"replace fails when {_short(path)} has no value.",
        "Use add: it sets the property whether or not it has a value.",
        name=name,
        owner=owner,
        element=element,
        severity="warning",
    )


def _it_has(known: Iterable[str]) -> str:
    return f"It has: {', '.join(known) or 'none'}."


def _value(value: Any) -> str:
    """A value from outside: no number of a million digits, nothing that is nested without end."""
    return repr(value[:80]) if isinstance(value, str) else "none" if value is None else f"a {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _whole(text: str) -> str:
    """The text with halves of surrogate pairs spelled out: whoever prints or stores a problem needs UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
