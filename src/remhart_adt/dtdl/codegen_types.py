"""From schemas to types: which classes a module needs for its objects and enumerations, and how an annotation reads.

First every schema is named, then the classes are written, so that a name is known wherever it is used. Schemas that say
the same in every respect are one class; those of one name that differ get different names. A schema of DTDL v4 may
lead back to itself: a class can, and a map or array that does becomes a named type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from remhart_adt.dtdl.codegen_names import Pool, attributes, last_segment, members
from remhart_adt.dtdl.codegen_text import assigned, class_line, comment, declared, docstring, quoted
from remhart_adt.dtdl.naming import camel, class_name
from remhart_adt.dtdl.types import Content, Field, Schema
from remhart_adt.errors import DtdlError

__all__ = ["MODULES", "PRIMITIVES", "Types", "described", "english", "units", "write_class"]

# The type of `ontology.base` for each primitive schema.
PRIMITIVES: Final = {
    "boolean": "Boolean",
    "byte": "Byte",
    "bytes": "Binary",
    "date": "Day",
    "dateTime": "Instant",
    "decimal": "Exact",
    "double": "Real",
    "duration": "Duration",
    "float": "Single",
    "integer": "Whole",
    "long": "Long",
    "short": "Short",
    "string": "Text",
    "time": "ClockTime",
    "unsignedByte": "UnsignedByte",
    "unsignedInteger": "UnsignedWhole",
    "unsignedLong": "UnsignedLong",
    "unsignedShort": "UnsignedShort",
    "uuid": "Uuid",
}
_GEOMETRY: Final = re.compile(
    r"(?:dtmi:standard:schema:geospatial:)?(point|lineString|polygon|multiPoint|multiLineString|multiPolygon)(?:;\d+)?"
)
# Where a name of the generated code comes from, when it is not from `ontology.base`.
MODULES: Final = {"ClassVar": "typing", "StrEnum": "enum", "TypeAliasType": "typing_extensions"}


class Types:
    """The types of one module. Call `name` for every schema, then `annotation` and `classes`.

    `pool` gives out the module's class names; `use` says that a name of the base is needed and what it is called here.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._labels: dict[str, str] = {}
        self._found: dict[tuple[str, int | str], str] = {}
        self._signatures: dict[Any, int] = {}
        self._signed: dict[str, int | str] = {}
        self._order: list[tuple[str, Schema]] = []
        self._visited: set[str] = set()
        self._recursive: set[str] = set()
        self._needs: set[str] = set()
        self.used: dict[str, str] = {}

    def use(self, name: str) -> str:
        """The local name of something imported: its own, or with an underscore when a class of the module has it."""
        self.used[name] = f"_{name}" if name in self._pool else name
        return self.used[name]

    def name(self, schema: Schema, hint: str, owner: str, within: tuple[str, ...] = ()) -> None:
        """Give names to the schema and all below it. `hint` is what it is the schema of, `owner` the class that has it,
        `within` the maps and arrays around it that no class separates from it."""
        inner = schema.value.schema if schema.value is not None else schema.element
        if schema.id in within:
            if schema.id not in self._recursive:
                self._recursive.add(schema.id)
                self._labels[schema.id] = self._take(schema, hint, owner)
        elif schema.kind in PRIMITIVES or geometry(schema) or schema.id in self._visited:
            return
        elif inner is not None:
            self._visited.add(schema.id)
            known = schema.value.name if schema.value is not None else hint
            self.name(inner, known, owner, (*within, schema.id))
            if schema.id in self._recursive:
                self._order.append((self._labels[schema.id], schema))
        else:
            self._visited.add(schema.id)
            key = (_wish(schema, hint), self._signature(schema))
            if key in self._found:
                self._labels[schema.id] = self._found[key]
                return
            label = self._found[key] = self._labels[schema.id] = self._take(schema, hint, owner)
            for field in schema.fields.values():
                self.name(field.schema, field.name, label)
            self._order.append((label, schema))

    def _take(self, schema: Schema, hint: str, owner: str) -> str:
        wish, context = _wish(schema, hint), class_name(hint)
        longer = [name + wish for name in (context, owner) if name != wish]
        return self._pool.take(wish, *longer, wish + schema.kind)

    def annotation(self, schema: Schema, *, defining: bool = False) -> str:
        """How the type reads; `defining` a recursive map or array it is written out."""
        known = self._labels.get(schema.id)
        if known is not None and not defining:
            self._needs.add(known)
            return known
        shape = geometry(schema)
        if shape:
            return self.use(shape)
        if schema.kind in PRIMITIVES:
            return self.use(PRIMITIVES[schema.kind])
        if schema.kind == "Map" and schema.value is not None:
            return f"dict[{self.use('Key')}, {self.annotation(schema.value.schema)}]"
        if schema.kind == "Array" and schema.element is not None:
            return f"list[{self.annotation(schema.element)}]"
        raise DtdlError(f"code generation does not know schemas of kind {schema.kind}", where=schema.id)

    def field(self, attribute: str, item: Content | Field) -> list[str]:
        """The lines of an attribute, which is absent unless it is set."""
        if item.schema is None:
            raise DtdlError("it has no schema", where=item.id)
        head = f"{attribute}: {self.annotation(item.schema)} | None = "
        if camel(attribute) == item.name:
            return declared(head, "None", "", described(item))
        return declared(head, f"{self.use('dtdl_name')}(", quoted(item.name), described(item))

    def fields(self, items: Mapping[str, Content] | Mapping[str, Field], names: Mapping[str, str]) -> list[str]:
        """The attributes of a class; `names` has the attribute of each DTDL name."""
        return [line for name, item in items.items() for line in self.field(names[name], item)]

    def classes(self) -> list[str]:
        """The classes in an order in which each comes after those it is made of, as far as that is possible; then the
        statements that complete the ones for which it is not."""
        texts: list[str] = []
        complete: set[str] = set()
        waiting: list[str] = []
        for label, schema in self._order:
            self._needs = set()
            if schema.kind == "Enum":
                texts.append(self._enum(label, schema))
            elif schema.kind == "Object":
                texts.append(self._object(label, schema))
                if not self._needs - {label} <= complete:
                    waiting.append(label)
                    continue
            else:
                alias, text = self.use("TypeAliasType"), quoted(self.annotation(schema, defining=True))
                texts.append(f"{label} = {alias}({quoted(label)}, {text})")
            complete.add(label)
        if waiting:
            texts.append("\n".join(f"{label}.model_rebuild()" for label in waiting))
        return texts

    @property
    def labels(self) -> list[str]:
        """The names of the classes and types."""
        return [label for label, _ in self._order]

    def _enum(self, label: str, schema: Schema) -> str:
        names = members(value.name for value in schema.values)
        lines: list[str] = []
        for value in schema.values:
            if _can_be_sent(value.value):
                lines += assigned(names[value.name], quoted(value.value), english(value.description))
            else:
                lines += comment(
                    f"No {names[value.name]}: its value is half a surrogate pair, which no JSON can carry."
                )
        base = self.use("StrEnum") if schema.value_schema == "string" else self.use("WholeEnum")
        return write_class(label, [base], [_about(schema, label)], lines)

    def _object(self, label: str, schema: Schema) -> str:
        names = attributes(schema.fields, ())
        paragraphs = [_about(schema, label), units(schema.fields, names)]
        return write_class(label, [self.use("Part")], paragraphs, self.fields(schema.fields, names))

    def _signature(self, schema: Schema) -> int | str:
        """A number that two schemas share when nothing distinguishes their classes."""
        known = self._signed.get(schema.id)
        if known is None:
            # What leads back here is told apart by the identifier.
            self._signed[schema.id] = schema.id
            known = self._signed[schema.id] = self._number(
                schema.kind,
                _wish(schema, ""),
                english(schema.display_name),
                english(schema.description),
                schema.value_schema,
                tuple((v.name, v.value, english(v.description)) for v in schema.values),
                tuple((f.name, described(f), self._signature(f.schema)) for f in schema.fields.values()),
                self._signature(schema.element) if schema.element is not None else None,
                self._signature(schema.value.schema) if schema.value is not None else None,
            )
        return known

    def _number(self, *parts: Any) -> int:
        return self._signatures.setdefault(parts, len(self._signatures))


def geometry(schema: Schema) -> str:
    """The class of `ontology.base` for a geospatial schema; empty for any other."""
    found = _GEOMETRY.fullmatch(schema.id) if schema.kind == "Object" else None
    return found[1][0].upper() + found[1][1:] if found else ""


def write_class(name: str, bases: Sequence[str], paragraphs: Iterable[str], body: Sequence[str]) -> str:
    """The text of a class whose body has these lines, written without their indent."""
    inner = ["", *body] if body else []
    lines = [*class_line(name, bases), *docstring(paragraphs, 4), *("    " + line for line in inner)]
    return "\n".join(line.rstrip() for line in lines)


def english(texts: Mapping[str, str]) -> str:
    """The English text, or the first one; empty when there is none to read."""
    ordered = sorted(texts, key=lambda code: (code != "en", not code.startswith("en")))
    return next((text for code in ordered if (text := texts[code].strip())), "")


def described(item: Content | Field) -> str:
    """What a comment says about a value: its description, its unit and its semantic types."""
    text = english(item.description) or (item.comment.strip() if isinstance(item, Content) else "")
    shown = english(item.display_name)
    if not text and class_name(shown).lower() != class_name(item.name).lower():
        text = shown
    types = ", ".join(item.types)
    more = ""
    if item.unit:
        more = f"Unit: {item.unit} ({types})." if types else f"Unit: {item.unit}."
    elif types:
        more = f"Type: {types}."
    ended = text + "." if text and more and text[-1] not in ".:;!?" else text
    return f"{ended} {more}".strip()


def units(items: Mapping[str, Content] | Mapping[str, Field], names: Mapping[str, str]) -> str:
    """The paragraph of a docstring that lists the units of the values that have one."""
    listed = [f"{names[name]} in {item.unit}" for name, item in items.items() if item.unit]
    return f"Units: {', '.join(listed)}." if listed else ""


def _can_be_sent(value: str | int) -> bool:
    return isinstance(value, int) or not any("\ud800" <= char <= "\udfff" for char in value)


def _wish(schema: Schema, hint: str) -> str:
    """What the class of a schema would be called: after its display name, its own identifier, or what has it."""
    segment = last_segment(schema.id)
    own = "" if segment.startswith("_") else segment
    return class_name(english(schema.display_name)) or class_name(own) or class_name(hint) or "Unnamed"


def _about(schema: Schema, label: str) -> str:
    return english(schema.description) or english(schema.display_name) or f"{label}."
