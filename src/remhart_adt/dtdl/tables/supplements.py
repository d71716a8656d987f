"""What a language extension adds: types beside the DTDL type, with their properties and constraints. Shapes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Extension", "Extra", "Rule", "Sibling", "Supplement"]

ExtraKind = Literal["string", "integer", "decimal", "duration", "iri", "object"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extra:
    """A property that a supplemental type adds.

    `child_of`: the value is an EnumValue of this Enum. `of_type`: a unit of this type. `instance_of`: the value
    conforms to the schema under this property. `unique`: no sibling has the same value.
    """

    id: str
    term: str
    kind: ExtraKind
    required: bool = True
    max_length: int | None = None
    pattern: str = ""
    minimum: int | None = None
    unique: bool = False
    child_of: str = ""
    of_type: str = ""
    instance_of: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rule:
    """A constraint on what an element with the type holds under `prop`: elements of one of the `classes` (DTDL classes
    by name, supplemental types by DTMI), or one of the `values`.

    `upward`: instead, the element itself stands under `prop` of a parent that has one of the `classes`; `alone`: as
    the only one of its type there; `beside`: only when a sibling has this type.
    """

    prop: str
    classes: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    upward: bool = False
    alone: bool = False
    beside: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sibling:
    """A constraint on the sibling whose `name` is the value of the property `key`: it is of one of the `classes`, not
    of type `not_of`; and, with `path`, one of its types adds the property named there, to which nothing else refers."""

    key: str
    classes: frozenset[str]
    not_of: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Supplement:
    """A type that stands in @type beside a DTDL class. `on`: the classes, `versions`: the DTDL versions of elements
    that may have it; `needs` and `never_with`: other types; `or_with`: types that make up for a class not in `on`."""

    id: str
    term: str
    kind: Literal["semantic", "adjunct", "unit", "unit attribute", "root"]
    on: frozenset[str] = frozenset()
    versions: frozenset[int] = frozenset()
    abstract: bool = False
    parent: str = ""
    extras: tuple[Extra, ...] = ()
    needs: tuple[str, ...] = ()
    never_with: tuple[str, ...] = ()
    or_with: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    siblings: tuple[Sibling, ...] = ()
    # In an Override, the schema is the Enum that the overridden property takes its values from.
    schema_of_path: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extension:
    """A published context: its words with their DTMIs, its types by DTMI, and the identifiers it keeps to itself."""

    context: str
    words: dict[str, str]
    types: dict[str, Supplement]
    reserved: tuple[str, ...] = ()
    limits: bool = False
