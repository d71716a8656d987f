"""Write Python classes for interfaces: one module per interface, pydantic models over `remhart_adt.ontology.base`.

The text is stable (same models, same text) and in the formatter's style, so that it can be committed and compared.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.naming import camel, snake
from remhart_adt.dtdl.types import Content, Field, Interface, Schema
from remhart_adt.errors import DtdlError

__all__ = ["class_name", "generate", "module_name"]

_WIDTH: Final = 120
_PRIMITIVES: Final = {
    "boolean": "Boolean",
    "date": "Day",
    "dateTime": "Instant",
    "double": "Real",
    "duration": "Text",
    "float": "Real",
    "integer": "Whole",
    "long": "Long",
    "string": "Text",
    "time": "Text",
}
_HEADER: Final = '''"""{title}: {doc}

Generated from {dtmi} by scripts/codegen; do not edit.
"""
'''


def class_name(text: str) -> str:
    """A display name or DTDL name as a class name: `Alarm event` -> AlarmEvent."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(word[0].upper() + word[1:] for word in words) or "Unnamed"


def module_name(dtmi: str) -> str:
    """The module of an interface: its DTMI's last segment in Python's style."""
    return snake(_last_segment(dtmi))


def generate(models: ModelSet, interfaces: Iterable[str] | None = None) -> dict[str, str]:
    """Source text by module name for the given interfaces (default: all), which must not extend others.

    Raises DtdlError for what a class cannot say: inheritance, and two schemas of one name that differ.
    """
    chosen = list(interfaces if interfaces is not None else models)
    return {module_name(dtmi): _Module(models[dtmi]).text() for dtmi in chosen}


class _Module:
    """The classes of one interface, inner ones first."""

    def __init__(self, interface: Interface) -> None:
        if interface.extends:
            raise DtdlError("code generation knows no inheritance", where=interface.id, remedy="Flatten the interface")
        self._interface = interface
        self._classes: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._base: set[str] = {"InterfaceModel"}
        self._components: dict[str, str] = {}
        self._aliased = False

    def text(self) -> str:
        interface = self._interface
        body = self._contents()
        name = class_name(_last_segment(interface.id))
        title = _english(interface.display_name) or name
        header = _HEADER.format(
            title=title, doc=_lower(_english(interface.description)).rstrip("."), dtmi=interface.id
        ).replace("\n\n", ".\n\n", 1)
        imports = ["from __future__ import annotations", ""]
        standard = []
        enums = [e for e in ("IntEnum", "StrEnum") if any(f"({e})" in text for text in self._classes.values())]
        if enums:
            standard.append(f"from enum import {', '.join(enums)}")
        standard.append("from typing import ClassVar")
        imports += [*standard, "", *(["from pydantic import Field", ""] if self._aliased else [])]
        imports += _import("remhart_adt.ontology.base", sorted(self._base))
        imports += [f"from remhart_adt.ontology.{module_name(d)} import {n}" for n, d in self._components.items()]
        exported = sorted([*self._classes, name])
        dunder = ["__all__ = ["] + [f'    "{entry}",' for entry in exported] + ["]"]
        parts = [_wrap_docstring(header), "\n".join(imports), "", "\n".join(dunder)]
        return "\n".join([*parts, "", "", "\n\n\n".join([*self._classes.values(), body])]).rstrip() + "\n"

    def _contents(self) -> str:
        interface = self._interface
        lines = [f'MODEL: ClassVar[str] = "{interface.id}"']
        fields: list[str] = []
        components: list[str] = []
        for content in interface.contents.values():
            if content.kind == "Property" and content.schema is not None:
                fields += self._field(content.name, content.schema, content.unit, _english(content.description))
            elif content.kind == "Component":
                target = class_name(_last_segment(content.component))
                self._components[target] = content.component
                components.append(content.name)
                fields += _attribute(f"{snake(content.name)}: {target} | None = None", _english(content.description))
            elif content.kind == "Relationship":
                self._relationship(content)
            elif content.kind == "Telemetry" and content.schema is not None:
                self._type(content.schema, content.name)
        listed = ", ".join(f'"{name}"' for name in components) + ("," if len(components) == 1 else "")
        lines.append(f"COMPONENTS: ClassVar[tuple[str, ...]] = ({listed})")
        name = class_name(_last_segment(interface.id))
        return _class(name, "InterfaceModel", _english(interface.description), [*lines, "", *fields])

    def _relationship(self, content: Content) -> None:
        self._base.add("RelationshipModel")
        lines = [f'NAME: ClassVar[str] = "{content.name}"', f'TARGET: ClassVar[str] = "{content.target or ""}"']
        fields: list[str] = []
        for prop in content.properties.values():
            if prop.schema is not None:
                fields += self._field(prop.name, prop.schema, prop.unit, _english(prop.description))
        name = class_name(content.name)
        body = [*lines, *(["", *fields] if fields else [])]
        self._add(name, content.id, _class(name, "RelationshipModel", _english(content.description), body))

    def _field(self, name: str, schema: Schema, unit: str | None, text: str) -> list[str]:
        annotation = self._type(schema, name)
        described = f"{text} Unit: {unit}." if unit else text
        attribute, default = snake(name), "None"
        if camel(attribute) != name:
            self._aliased = True
            default = f'Field(default=None, alias="{name}")'
        return _attribute(f"{attribute}: {annotation} | None = {default}", described)

    def _type(self, schema: Schema, name: str) -> str:
        if schema.kind in _PRIMITIVES:
            self._base.add(_PRIMITIVES[schema.kind])
            return _PRIMITIVES[schema.kind]
        if schema.kind == "Map" and schema.value is not None:
            return f"dict[str, {self._type(schema.value.schema, schema.value.name)}]"
        if schema.kind == "Array" and schema.element is not None:
            return f"list[{self._type(schema.element, name)}]"
        label = class_name(_english(schema.display_name) or name)
        known = self._names.get(schema.id)
        if known is not None:
            return known
        self._names[schema.id] = label
        text = _enum(label, schema) if schema.kind == "Enum" else self._object(label, schema)
        self._add(label, schema.id, text)
        return label

    def _object(self, label: str, schema: Schema) -> str:
        self._base.add("Part")
        lines: list[str] = []
        for inner in schema.fields.values():
            lines += self._inner(inner)
        return _class(label, "Part", _english(schema.description), lines)

    def _inner(self, field: Field) -> list[str]:
        return self._field(field.name, field.schema, field.unit, _english(field.description))

    def _add(self, label: str, origin: str, text: str) -> None:
        if self._classes.get(label, text) != text:
            raise DtdlError(f"two different schemas are called {label}", where=origin, remedy="Rename one of them")
        self._classes[label] = text


def _enum(label: str, schema: Schema) -> str:
    lines: list[str] = []
    for value in schema.values:
        member = re.sub(r"\W", "_", snake(value.name)).upper()
        lines += _attribute(f"{member} = {_quoted(value.value)}", _english(value.description))
    base = "StrEnum" if schema.value_schema == "string" else "IntEnum"
    return _class(label, base, _english(schema.description), lines)


def _class(name: str, base: str, doc: str, lines: list[str]) -> str:
    head = [f"class {name}({base}):", *_docstring(doc, 4)]
    return "\n".join([*head, "", *(("    " + line) if line else "" for line in lines)]).rstrip()


def _attribute(declaration: str, doc: str) -> list[str]:
    """The attribute with its description as a comment, beside it if there is room (four columns are the class's)."""
    if not doc:
        return [declaration]
    one = f"{declaration}  # {doc}"
    if len(one) + 4 <= _WIDTH:
        return [one]
    return [*(f"# {line}" for line in textwrap.wrap(doc, _WIDTH - 6)), declaration]


def _docstring(text: str, indent: int) -> list[str]:
    pad = " " * indent
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    one = f'{pad}"""{text}"""'
    if len(one) + 4 <= _WIDTH:
        return [one]
    lines = textwrap.wrap(text, _WIDTH - indent - 8)
    return [f'{pad}"""{lines[0]}', *(pad + line for line in lines[1:-1]), f'{pad}{lines[-1]}"""']


def _wrap_docstring(header: str) -> str:
    first, _, rest = header.partition("\n")
    lines = textwrap.wrap(first, _WIDTH - 4)
    return "\n".join(lines) + "\n" + rest


def _import(module: str, names: list[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _last_segment(dtmi: str) -> str:
    return dtmi.partition(";")[0].rsplit(":", 1)[-1]


def _english(texts: Mapping[str, str]) -> str:
    return texts.get("en") or next(iter(texts.values()), "")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _quoted(value: str | int) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else str(value)
