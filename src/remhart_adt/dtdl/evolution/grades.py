"""What changed between two versions of one element, graded: contents, fields, schemas, and the texts beside them.

Paths are relative to the element: `schema/phaseA/unit`. The fields of an Object and the values of an Enum stand
directly below their schema. Grades and their meaning are those of `diff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from remhart_adt.dtdl.types import Content, EnumValue, Field, Interface, Schema

__all__ = [
    "Finding",
    "Verdict",
    "base_of",
    "below",
    "compare_contents",
    "compare_texts",
    "compare_types",
    "grade_of_new",
    "shown",
]

Verdict = Literal["identical", "compatible", "needs a new version", "breaking"]

_TEXTS: Final = (("displayName", "display_name"), ("description", "description"), ("comment", "comment"))
# Types that ask for something, so that values which were right before may be wrong now; and what they ask for.
_DEMANDING: Final = frozenset({"Required", "Limited"})
_BOUNDS: Final = frozenset({"maximum", "minimum"})
# Primitive schemas with those that hold every value of theirs and keep its kind.
_WIDER: Final[Mapping[str, frozenset[str]]] = {
    "byte": frozenset({"short", "integer", "long"}),
    "short": frozenset({"integer", "long"}),
    "integer": frozenset({"long"}),
    "unsignedByte": frozenset({"unsignedShort", "unsignedInteger", "unsignedLong", "short", "integer", "long"}),
    "unsignedShort": frozenset({"unsignedInteger", "unsignedLong", "integer", "long"}),
    "unsignedInteger": frozenset({"unsignedLong", "long"}),
    "float": frozenset({"double"}),
}
# In DTDL v4 schemas can be chained without end; a path that long is of use to nobody.
_PATH_LENGTH: Final = 1000
_SHOWN_LENGTH: Final = 80


class Finding(NamedTuple):
    """One difference: where, what, how bad, and the two values when they are short."""

    path: str
    what: str
    verdict: Verdict
    old: str = ""
    new: str = ""


def below(path: str, *names: str) -> str:
    """A path one or more steps deeper."""
    longer = "/".join(part for part in (path, *names) if part)
    return longer if len(longer) <= _PATH_LENGTH else "..." + longer[-_PATH_LENGTH // 2 :]


def shown(value: Any) -> str:
    """A value as a short text: of texts in several languages all, of a text in English alone the text."""
    if isinstance(value, Mapping):
        value = value["en"] if list(value) == ["en"] else "; ".join(f"{code}: {text}" for code, text in value.items())
    text = str(value)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def base_of(dtmi: str) -> str:
    """A DTMI without its version."""
    return dtmi.partition(";")[0]


def grade_of_new(types: Iterable[str]) -> Verdict:
    """How bad it is that an element with these types was added: breaking when it must have a value."""
    return "breaking" if _DEMANDING.intersection(types) else "compatible"


def compare_contents(old: Content, new: Content) -> list[Finding]:
    """Every difference of one content, except where its Component or Relationship leads to."""
    if old.kind != new.kind:
        return [Finding("", f"The {old.kind} became a {new.kind}.", "breaking", old.kind, new.kind)]
    walk = _Walk()
    walk.found += [*compare_texts(old, new), *_identifiers("", old.id, new.id), *compare_types(old, new)]
    if old.writable != new.writable:
        verdict: Verdict = "compatible" if new.writable else "breaking"
        what = "It can be written now." if new.writable else "It can no longer be written."
        walk.say("writable", what, verdict, str(old.writable).lower(), str(new.writable).lower())
    if old.schema is not None and new.schema is not None:
        walk.queue.append(("schema", old.schema, new.schema))
    if old.kind == "Relationship":
        _multiplicity(walk, old.max_multiplicity, new.max_multiplicity)
        walk.found += _properties(old, new)
    for name, before, after in (("request", old.request, new.request), ("response", old.response, new.response)):
        _payload(walk, name, before, after)
    return walk.run()


def compare_texts(old: _Described, new: _Described, path: str = "") -> Iterator[Finding]:
    """Changed display names, descriptions and comments."""
    for name, attribute in _TEXTS:
        before, after = getattr(old, attribute, ""), getattr(new, attribute, "")
        if before != after:
            yield Finding(below(path, name), f"The {name} changed.", "compatible", shown(before), shown(after))


def compare_types(old: _Typed, new: _Typed, path: str = "") -> Iterator[Finding]:
    """Changed semantic and adjunct types, units, and values that the types brought in."""
    gone = [t for t in old.types if t not in new.types]
    added = [t for t in new.types if t not in old.types]
    before, after = ", ".join(old.types), ", ".join(new.types)
    if gone:
        yield Finding(below(path, "@type"), f"It is no longer of type {', '.join(gone)}.", "breaking", before, after)
    elif added:
        what = f"It is of type {', '.join(added)} now."
        yield Finding(below(path, "@type"), what, grade_of_new(added), before, after)
    unit, other = getattr(old, "unit", None), getattr(new, "unit", None)
    if unit != other:
        verdict: Verdict = "breaking" if unit else "compatible"
        what = "The unit changed." if unit and other else "The unit is gone." if unit else "A unit was added."
        yield Finding(below(path, "unit"), what, verdict, unit or "", other or "")
    for name in sorted({*old.extras, *new.extras}):
        if name not in old.extras:
            verdict = "breaking" if name in _BOUNDS else "compatible"
            yield Finding(below(path, name), f"The {name} was added.", verdict, "", shown(new.extras[name]))
        elif name not in new.extras:
            yield Finding(below(path, name), f"The {name} is gone.", "breaking", shown(old.extras[name]), "")
        elif old.extras[name] != new.extras[name]:
            values = shown(old.extras[name]), shown(new.extras[name])
            yield Finding(below(path, name), f"The {name} changed.", "breaking", *values)


_Described = Content | Field | Schema | EnumValue | Interface
_Typed = Content | Field | Interface


class _Walk:
    """The way along schemas, without calling itself: in DTDL v4 a schema may lead back to itself. Two schemas that
    meet in several places are compared at the first."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.queue: list[tuple[str, Schema, Schema]] = []
        self._seen: set[tuple[int, int]] = set()

    def say(self, path: str, what: str, verdict: Verdict, old: str = "", new: str = "") -> None:
        self.found.append(Finding(path, what, verdict, old, new))

    def run(self) -> list[Finding]:
        for path, old, new in self.queue:
            if (id(old), id(new)) not in self._seen:
                self._seen.add((id(old), id(new)))
                self._schema(path, old, new)
        return self.found

    def _schema(self, path: str, old: Schema, new: Schema) -> None:
        before, after = _kind(old), _kind(new)
        if before != after:
            wider = after in _WIDER.get(before, ())
            what = f"The schema {before} became {after}" + (", which has room for all its values." if wider else ".")
            self.say(path, what, "compatible" if wider else "breaking", before, after)
            return
        self.found += _identifiers(path, old.id, new.id)
        self.found += compare_texts(old, new, path)
        if old.value_schema != new.value_schema:
            self.say(path, "The value schema of the Enum changed.", "breaking", old.value_schema, new.value_schema)
        self._enum_values(path, old, new)
        self._fields(path, old.fields, new.fields)
        if old.key_name != new.key_name:
            self.say(below(path, "mapKey"), "The name of the key changed.", "compatible", old.key_name, new.key_name)
        if old.value is not None and new.value is not None:
            self.field(below(path, "mapValue"), old.value, new.value)
        if old.element is not None and new.element is not None:
            self.queue.append((below(path, "elementSchema"), old.element, new.element))

    def _enum_values(self, path: str, old: Schema, new: Schema) -> None:
        before, after = ({value.name: value for value in schema.values} for schema in (old, new))
        for name in after.keys() - before.keys():
            what = "The Enum value was added; readers may meet it now."
            self.say(below(path, name), what, "compatible", "", shown(after[name].value))
        for name, value in before.items():
            other = after.get(name)
            if other is None:
                self.say(below(path, name), "The Enum value is gone.", "breaking", shown(value.value))
                continue
            if value.value != other.value:
                values = shown(value.value), shown(other.value)
                self.say(below(path, name), "The value that twins hold for it changed.", "breaking", *values)
            self.found += compare_texts(value, other, below(path, name))

    def _fields(self, path: str, old: Mapping[str, Field], new: Mapping[str, Field]) -> None:
        for name in new.keys() - old.keys():
            kind = _kind(new[name].schema)
            self.say(below(path, name), "The field was added.", grade_of_new(new[name].types), "", kind)
        for name, field in old.items():
            if name in new:
                self.field(below(path, name), field, new[name])
            else:
                self.say(below(path, name), "The field is gone.", "breaking", _kind(field.schema))

    def field(self, path: str, old: Field, new: Field) -> None:
        """A field, or the value of a Map, or a payload; of the latter two the name is only a label."""
        if old.name != new.name:
            self.say(below(path, "name"), "The name changed.", "compatible", old.name, new.name)
        if old.nullable != new.nullable:
            what = "It may be null now; readers may meet it." if new.nullable else "It may no longer be null."
            self.say(below(path, "nullable"), what, "compatible" if new.nullable else "breaking")
        self.found += [*compare_texts(old, new, path), *_identifiers(path, old.id, new.id)]
        self.found += compare_types(old, new, path)
        self.queue.append((below(path, "schema"), old.schema, new.schema))


def _properties(old: Content, new: Content) -> Iterator[Finding]:
    """The properties of a Relationship."""
    for name, added in new.properties.items():
        if name not in old.properties:
            verdict = grade_of_new(added.types)
            yield Finding(below("properties", name), "The Property was added.", verdict, "", _schema_of(added))
    for name, before in old.properties.items():
        path = below("properties", name)
        after = new.properties.get(name)
        if after is None:
            yield Finding(path, "The Property is gone.", "breaking", _schema_of(before))
        else:
            yield from (one._replace(path=below(path, one.path)) for one in compare_contents(before, after))


def _multiplicity(walk: _Walk, old: int | None, new: int | None) -> None:
    if old == new:
        return
    wider = new is None or (old is not None and new > old)
    what = "More relationships are allowed." if wider else "Fewer relationships are allowed."
    values = ("any number" if number is None else str(number) for number in (old, new))
    walk.say("maxMultiplicity", what, "compatible" if wider else "breaking", *values)


def _payload(walk: _Walk, name: str, old: Field | None, new: Field | None) -> None:
    """A caller must send a request, and is free to ignore a response."""
    if old is not None and new is not None:
        walk.field(name, old, new)
    elif new is not None:
        walk.say(name, f"The {name} was added.", "breaking" if name == "request" else "compatible")
    elif old is not None:
        walk.say(name, f"The {name} is gone.", "breaking")


def _schema_of(content: Content) -> str:
    return _kind(content.schema) if content.schema is not None else ""


def _kind(schema: Schema) -> str:
    """What a schema is: its kind, or the word of the language for it, such as point."""
    return schema.kind if schema.id.startswith("dtmi:") else schema.id


def _identifiers(path: str, old: str, new: str) -> Iterator[Finding]:
    """Identifiers that the author chose; generated ones, and versions, follow from where the element stands."""
    before, after = (base_of(dtmi) if dtmi.startswith("dtmi:") and ":_" not in dtmi else "" for dtmi in (old, new))
    if before != after:
        yield Finding(below(path, "@id"), "The identifier changed.", "compatible", before, after)
