"""The DTDL language as data: which classes there are, which properties each has, and their limits, per DTDL version.

Source: the DTDL v2 and v3 language descriptions and the metamodel digest of the public parser (Microsoft, MIT). A
version is a column of these tables: another one is added by extending the tables, not the code that walks them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "ABSTRACT",
    "CLASSES",
    "COMPLEX",
    "CONTEXT",
    "GEOSPATIAL",
    "INTERFACE_ID_LENGTH",
    "MAX_CONTENTS_TOTAL",
    "MAX_EXTENDS_DEPTH",
    "MAX_EXTENDS_TOTAL",
    "MAX_ID_LENGTH",
    "MAX_PARTITION_BYTES",
    "MAX_SCHEMA_DEPTH",
    "NUMERIC",
    "PRIMITIVES",
    "VERSIONS",
    "DtdlClass",
    "Prop",
    "known_terms",
    "valid_dtmi",
]

CONTEXT: Final = "dtmi:dtdl:context;"
VERSIONS: Final = (2, 3)

PRIMITIVES: Final = ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time")
NUMERIC: Final = frozenset({"double", "float", "integer", "long"})
COMPLEX: Final = ("Array", "Enum", "Map", "Object")
GEOSPATIAL: Final = ("lineString", "multiLineString", "multiPoint", "multiPolygon", "point", "polygon")
# Names of classes that may not be the @type of an element: abstract ones, and those only the language instantiates.
ABSTRACT: Final = frozenset(
    {
        "ComplexSchema",
        "Content",
        "Entity",
        "LatentType",
        "NamedEntity",
        "NamedLatentType",
        "NumericSchema",
        "PrimitiveSchema",
        "Schema",
        "SchemaField",
        "TemporalSchema",
        "Boolean",
        "Date",
        "DateTime",
        "Double",
        "Duration",
        "Float",
        "Integer",
        "Long",
        "String",
        "Time",
        "CommandType",
        "Unit",
        "UnitAttribute",
    }
)

MAX_ID_LENGTH: Final = 2048
INTERFACE_ID_LENGTH: Final = 128
MAX_SCHEMA_DEPTH: Final = {2: 5, 3: 5}
MAX_EXTENDS_DEPTH: Final = {2: 10, 3: 10}
MAX_EXTENDS_TOTAL: Final = {2: None, 3: 1024}
MAX_CONTENTS_TOTAL: Final = {2: None, 3: 100_000}
MAX_PARTITION_BYTES: Final = {2: None, 3: 1_048_576}

_SEGMENTS = r"dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
_DTMI: Final = {
    2: re.compile(_SEGMENTS + r";[1-9][0-9]{0,8}", re.ASCII),
    3: re.compile(_SEGMENTS + r"(?:;[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,5})?)?", re.ASCII),
}
NAME_PATTERN: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", re.ASCII)


def valid_dtmi(text: str, version: int) -> bool:
    """Whether the text is a DTMI that a model of this DTDL version may use. Unlike the public parser, whose pattern
    lets a final line feed pass, the whole text must match."""
    return _DTMI[version].fullmatch(text) is not None


Kind = Literal["string", "langString", "boolean", "integer", "literal", "dtmi", "object"]


@dataclass(frozen=True, slots=True)
class Prop:
    """One property of a DTDL class in one DTDL version.

    `kind` object: the value is an element of one of the classes `allowed`, or a reference to one; `older_allowed`: of
    an older DTDL version too. `infer` is the class when @type is left out. `segment`: the element's name is part of
    generated identifiers. `unique`: properties that differ among siblings.
    """

    kind: Kind
    required: bool = False
    plural: bool = False
    max_count: int | None = None
    max_length: int | None = None
    name_like: bool = False
    minimum: int | None = None
    maximum: int | None = None
    allowed: frozenset[str] = frozenset()
    infer: str = ""
    id_required: bool = False
    reference_only: bool = False
    older_allowed: bool = False
    segment: bool = False
    unique: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DtdlClass:
    """One concrete DTDL class in one DTDL version: its properties by name."""

    name: str
    properties: dict[str, Prop]


_SCHEMAS = frozenset({*PRIMITIVES, *COMPLEX})
_CONTENTS = frozenset({"Property", "Telemetry", "Command", "Relationship", "Component"})


def _classes(v: int) -> dict[str, DtdlClass]:
    v2 = v == 2
    entity = {
        "comment": Prop("string", max_length=512),
        "description": Prop("langString", max_length=512),
        "displayName": Prop("langString", max_length=64 if v2 else 512),
    }
    name = {"name": Prop("string", required=True, max_length=64 if v2 else 512, name_like=True)}
    schema = Prop("object", required=True, allowed=_SCHEMAS, older_allowed=True)
    payload = {**entity, **name, "schema": schema}
    field_props = Prop(
        "object",
        required=v2,
        plural=True,
        max_count=30 if v2 else None,
        allowed=frozenset({"Field"}),
        infer="Field",
        segment=True,
        unique=("name",),
    )
    enum_values = Prop(
        "object",
        required=v2,
        plural=True,
        max_count=100 if v2 else None,
        allowed=frozenset({"EnumValue"}),
        infer="EnumValue",
        segment=True,
        unique=("name", "enumValue"),
    )
    contents = Prop(
        "object",
        plural=True,
        max_count=300 if v2 else None,
        allowed=_CONTENTS,
        segment=True,
        unique=("name",),
        older_allowed=True,
    )
    request = "CommandPayload" if v2 else "CommandRequest"
    response = "CommandPayload" if v2 else "CommandResponse"
    tables: dict[str, dict[str, Prop]] = {
        "Interface": {
            **entity,
            "contents": contents,
            "extends": Prop(
                "object",
                plural=True,
                max_count=2 if v2 else None,
                allowed=frozenset({"Interface"}),
                id_required=True,
                older_allowed=True,
            ),
            "schemas": Prop("object", plural=True, allowed=frozenset(COMPLEX), id_required=True),
        },
        "Property": {**payload, "writable": Prop("boolean")},
        "Telemetry": payload,
        "Command": {
            **entity,
            **name,
            "commandType": Prop("object", allowed=frozenset({"CommandType"}), reference_only=True),
            "request": Prop("object", allowed=frozenset({request}), infer=request),
            "response": Prop("object", allowed=frozenset({response}), infer=response),
        },
        request: payload,
        response: payload,
        "Component": {
            **entity,
            **name,
            "schema": Prop(
                "object", required=True, allowed=frozenset({"Interface"}), id_required=True, older_allowed=True
            ),
        },
        "Relationship": {
            **entity,
            **name,
            "minMultiplicity": Prop("integer", minimum=0, maximum=0),
            "maxMultiplicity": Prop("integer", minimum=1, maximum=500 if v2 else None),
            "properties": Prop(
                "object",
                plural=True,
                max_count=300 if v2 else None,
                allowed=frozenset({"Property"}),
                segment=True,
                unique=("name",),
                older_allowed=True,
            ),
            "target": Prop("dtmi", max_length=MAX_ID_LENGTH),
            "writable": Prop("boolean"),
        },
        "Array": {**entity, "elementSchema": schema},
        "Enum": {
            **entity,
            "enumValues": enum_values,
            "valueSchema": Prop(
                "object", required=True, allowed=frozenset(PRIMITIVES), reference_only=True, older_allowed=True
            ),
        },
        "EnumValue": {**entity, **name, "enumValue": Prop("literal", required=True)},
        "Map": {
            **entity,
            "mapKey": Prop("object", required=True, allowed=frozenset({"MapKey"}), infer="MapKey"),
            "mapValue": Prop("object", required=True, allowed=frozenset({"MapValue"}), infer="MapValue"),
        },
        "MapKey": {
            **entity,
            **name,
            "schema": Prop(
                "object", required=True, allowed=frozenset({"string"}), reference_only=True, older_allowed=True
            ),
        },
        "MapValue": payload,
        "Object": {**entity, "fields": field_props},
        "Field": payload,
    }
    return {key: DtdlClass(key, props) for key, props in tables.items()}


CLASSES: Final = {v: _classes(v) for v in VERSIONS}


def known_terms(version: int) -> frozenset[str]:
    """Every bare word the context of this DTDL version defines: class names, property names, instances."""
    classes = CLASSES[version]
    properties = {name for cls in classes.values() for name in cls.properties}
    return frozenset({*classes, *ABSTRACT, *properties, *PRIMITIVES, *GEOSPATIAL, "asynchronous", "synchronous"})
