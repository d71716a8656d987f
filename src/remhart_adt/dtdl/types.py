"""What the DTDL room hands out: problems and reports, and the parsed language as plain objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

__all__ = [
    "OFFICIAL",
    "OWN",
    "Content",
    "EnumValue",
    "Field",
    "Interface",
    "Place",
    "Problem",
    "Report",
    "Schema",
    "Severity",
    "Unresolved",
]

Severity = Literal["error", "warning"]
ContentKind = Literal["Property", "Telemetry", "Command", "Relationship", "Component"]

# The public parser names every rule it checks; we use its names, and our own prefix for what it does not check.
OFFICIAL: Final = "dtmi:dtdl:parsingError:"
OWN: Final = "remhart:dtdl:"


class Place(NamedTuple):
    """A place in a source: its name, and line and column, both counted from 1 (0 = not known)."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


NOWHERE: Final = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule. `id` is the official parser's ValidationID where it has one, else a name of ours; `element` the
    DTMI concerned; `path` a JSON pointer into the source; `remedy` says what to do; `service_code` is the code that
    Azure Digital Twins answers with, where that is known."""

    id: str
    message: str
    remedy: str = ""
    place: Place = NOWHERE
    element: str = ""
    path: str = ""
    severity: Severity = "error"
    service_code: str = ""

    @property
    def rule(self) -> str:
        """The last part of the id, such as `badType`."""
        return self.id.rsplit(":", 1)[-1]

    @property
    def file(self) -> str:
        """The name of the source: a path, `text 1`, or a DTMI for decoded JSON."""
        return self.place.file

    @property
    def line(self) -> int:
        """The line in the source, from 1; 0 when there is no text."""
        return self.place.line

    @property
    def column(self) -> int:
        """The column in the source, from 1; 0 when there is no text."""
        return self.place.column

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place.file else ""
        return f"{where}{self.severity} {self.rule}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A DTMI that something refers to and no source defines."""

    dtmi: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a validation: every problem found, and the DTMIs that nothing defines.

    Like the public parser, references are only followed when every text is sound in itself, and structural rules are
    only checked when every reference resolves; so one run may not show everything that is wrong.
    """

    problems: tuple[Problem, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return not self.unresolved and not any(p.severity == "error" for p in self.problems)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that are only warnings."""
        return tuple(p for p in self.problems if p.severity == "warning")

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One value of an Enum; `value` is str or int, as the Enum's value schema says."""

    name: str
    value: str | int
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: a primitive (`kind` is its term, such as double), or Array, Enum, Map or Object.

    `id` is its DTMI; primitives and geospatial schemas have their term instead. In DTDL v4 a schema may lead back to
    itself, so code that follows schemas must remember where it has been.

    Objects have `fields`, Enums `values` of primitive `value_schema`, Maps `key_name` and `value`, Arrays `element`.
    """

    kind: str
    id: str
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Field] = field(default_factory=dict)
    values: tuple[EnumValue, ...] = ()
    value_schema: str = ""
    key_name: str = ""
    value: Field | None = None
    element: Schema | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A named value with a schema: a field of an Object, the value of a Map, the payload of a Command.

    `types` are the semantic and adjunct types beside its DTDL type, `extras` the values of the properties they add
    (other than `unit`, which is the unit's term).
    """

    name: str
    schema: Schema
    id: str = ""
    types: tuple[str, ...] = ()
    unit: str | None = None
    nullable: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """One content element of an Interface, own or inherited; `defined_in` is the Interface that declares it.

    `schema` belongs to Property and Telemetry, `component` (a DTMI) to Component, `target` (None = any), `properties`
    and `max_multiplicity` to Relationship, `request` and `response` to Command. `types` are the semantic and adjunct
    types beside the DTDL type, such as Voltage or Historized; `extras` the values of the properties they add (other
    than `unit`, which is the unit's term).
    """

    kind: ContentKind
    name: str
    id: str
    defined_in: str
    schema: Schema | None = None
    component: str = ""
    target: str | None = None
    properties: Mapping[str, Content] = field(default_factory=dict)
    max_multiplicity: int | None = None
    request: Field | None = None
    response: Field | None = None
    writable: bool = False
    types: tuple[str, ...] = ()
    unit: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interface:
    """A DTDL Interface. `contents` has the inherited elements merged in, `own` only those declared here.

    `definition` is the JSON object as it was given; `version` the DTDL version (2, 3 or 4), not the DTMI's.
    """

    id: str
    version: int
    extends: tuple[str, ...]
    own: Mapping[str, Content]
    contents: Mapping[str, Content]
    schemas: Mapping[str, Schema]
    definition: Mapping[str, Any]
    source: str = ""
    types: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)

    def of_kind(self, kind: ContentKind) -> dict[str, Content]:
        """The contents of one kind, inherited ones included, by name."""
        return {name: content for name, content in self.contents.items() if content.kind == kind}
