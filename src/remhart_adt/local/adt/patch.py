"""JSON Patch as the service does it: `add`, `replace`, `remove`, applied in order to a working copy.

The working copy shares what no operation touches with the stored document (copy on write), so that a patch of a few
values costs the same whatever the size of the twin. What was touched is noted, because `$metadata` moves only there and
only that needs to be validated again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import orjson

from remhart_adt.local.adt.errors import json_patch_invalid, op_path_not_found, property_not_set, remove_not_found
from remhart_adt.local.adt.types import AdtError

__all__ = ["Op", "PatchBindingError", "apply", "parse_ops", "pointer", "prefixed"]

_MISSING: Any = object()
# So many faults the service's model binding collects at most, or a body of commas would be answered at great length.
_FAULTS: Final = 200


class PatchBindingError(Exception):
    """The body is no list of operations; the service answers with problem+json. `errors` is that body's member."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("the body is not a JSON Patch document")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Op:
    """One operation; `names` is the unescaped pointer, `path` its text."""

    op: str
    names: tuple[str, ...]
    path: str
    value: Any = _MISSING


def pointer(path: str) -> tuple[str, ...]:
    """The names of a JSON pointer."""
    names = path[1:].split("/")
    if "~" in path:
        names = [name.replace("~1", "/").replace("~0", "~") for name in names]
    return tuple(names)


def parse_ops(body: bytes) -> list[Op]:
    """The operations of a request body.

    Raises PatchBindingError when it is no list of objects, and AdtError for an operation that is none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PatchBindingError({"": [f"The JSON patch document was malformed: {error}"]}) from None
    if not isinstance(document, list):
        raise PatchBindingError({"": ["The JSON patch document was malformed and could not be parsed."]})
    if not all(type(item) is dict for item in document):
        raise PatchBindingError(_binding_errors(body.decode(), document))
    return [_op(item) for item in document]


def _op(item: dict[str, Any]) -> Op:
    op, path = item.get("op"), item.get("path")
    if not isinstance(op, str) or not op:
        raise json_patch_invalid("Parameter op must not be empty.")
    if op not in ("add", "replace", "remove"):
        raise json_patch_invalid(f"Unsupported operation type {op}.")
    if not isinstance(path, str) or not path:
        raise json_patch_invalid("Parameter path must not be empty.")
    if path[0] != "/":
        raise op_path_not_found(path)
    value = item.get("value", _MISSING)
    if op != "remove" and value is _MISSING:
        raise json_patch_invalid("Parameter value must not be empty.")
    return Op(op, pointer(path), path, value)


def _binding_errors(text: str, document: list[Any]) -> dict[str, list[str]]:
    """The deserializer's complaint for each element that is no object, with the position where it ended."""
    errors: dict[str, list[str]] = {}
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    for number, item in enumerate(document):
        while text[at] in " \t\r\n,":
            at += 1
        try:
            _, at = decoder.raw_decode(text, at)
        except RecursionError:
            errors[f"[{number}]"] = [f"The element is nested too deeply. Path '[{number}]'."]
            break
        if len(errors) == _FAULTS:
            break
        if not isinstance(item, dict):
            shown = item if isinstance(item, str) else json.dumps(item)
            line = text.count("\n", 0, at) + 1
            position = at - (text.rfind("\n", 0, at) + 1)
            message = (
                f"Error converting value \"{shown}\" to type 'Microsoft.AspNetCore.JsonPatch.Operations.Operation'. "
                f"Path '[{number}]', line {line}, position {position}."
            )
            errors[f"[{number}]"] = [message]
    return errors


def prefixed(ops: list[Op], component: str) -> list[Op]:
    """The operations of a component patch as operations on its twin; messages then name the twin's path."""
    return [Op(op.op, (component, *op.names), f"/{component}{op.path}", op.value) for op in ops]


Touched = dict[tuple[str, str], None]
"""(component or "", property) pairs that an operation set, changed or removed, in order; property "" = all of it."""


@dataclass(slots=True)
class Applied:
    """The outcome: `root` without `$metadata`; the model, when an operation changed it; source times by touched pair
    (None removes one)."""

    root: dict[str, Any]
    touched: Touched
    model: str | None
    source_times: dict[tuple[str, str], Any]


PathError = Callable[[str], AdtError]
"""What is raised for an operation's path whose parent is not there."""


def apply(
    doc: dict[str, Any], ops: list[Op], components: Collection[str] | None, lost: PathError = op_path_not_found
) -> Applied:
    """Apply the operations to a document whose stored form stays as it is.

    `components` are the names of the current model's components; None for a relationship, whose refusals the service
    words otherwise. Raises AdtError(JsonPatchInvalid).
    """
    return _Working(doc, components, lost).run(ops)


class _Working:
    def __init__(self, doc: dict[str, Any], components: Collection[str] | None, lost: PathError) -> None:
        self._root = dict(doc)
        self._root.pop("$metadata", None)
        self._relationship = components is None
        self._components: Collection[str] = components or ()
        self._lost = lost
        self._owned: set[int] = {id(self._root)}
        # Every object we copied stays alive until the end: a freed one's id could come back on another object.
        self._keep: list[Any] = []
        self._touched: Touched = {}
        self._source_times: dict[tuple[str, str], Any] = {}
        self._model: str | None = None

    def run(self, ops: list[Op]) -> Applied:
        for op in ops:
            first = op.names[0]
            if first == "$metadata":
                self._metadata(op)
            elif first[:1] == "$":
                _not_writable(op)
            else:
                self._property(op, first)
        return Applied(self._root, self._touched, self._model, self._source_times)

    def _property(self, op: Op, first: str) -> None:
        names = op.names
        if first in self._components and len(names) > 1:
            if names[1] == "$metadata":
                self._source_time(op, first, names[2:])
                return
            if names[1][:1] == "$":
                _not_writable(op)
        self._change(op)
        if first not in self._components:
            self._touched["", first] = None
        else:
            self._touched[first, names[1] if len(names) > 1 else ""] = None

    def _change(self, op: Op) -> None:
        """Walk to the parent, copying on the way, and do the operation there."""
        parent = self._root
        for name in op.names[:-1]:
            child = parent.get(name, _MISSING)
            if type(child) is not dict:
                if self._relationship or (op.op == "remove" and child is _MISSING):
                    raise remove_not_found(name)
                raise self._lost(op.path)
            if id(child) not in self._owned:
                child = dict(child)
                parent[name] = child
                self._owned.add(id(child))
                self._keep.append(child)
            parent = child
        last = op.names[-1]
        if op.op == "remove":
            if last not in parent:
                raise remove_not_found(last)
            del parent[last]
        elif op.op == "replace" and last not in parent:
            raise remove_not_found(last) if self._relationship else property_not_set(last)
        else:
            parent[last] = op.value

    def _metadata(self, op: Op) -> None:
        names = op.names[1:]
        if names == ("$model",) and op.op != "remove":
            if not isinstance(op.value, str):
                raise json_patch_invalid(f"{op.path} must be a model id.")
            self._model = op.value
        else:
            self._source_time(op, "", names)

    def _source_time(self, op: Op, component: str, names: tuple[str, ...]) -> None:
        if len(names) != 2 or names[1] != "sourceTime" or names[0][:1] == "$":
            _not_writable(op)
        holder = self._root.get(component) if component else self._root
        if not isinstance(holder, dict) or names[0] not in holder:
            raise op_path_not_found(op.path)
        self._source_times[component, names[0]] = None if op.op == "remove" else op.value


def _not_writable(op: Op) -> NoReturn:
    error: AdtError = json_patch_invalid(f"{op.path} cannot be patched.")
    raise error
