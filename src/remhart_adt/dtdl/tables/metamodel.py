"""The DTDL language as data: which classes there are, which properties each has, and their limits, per DTDL version.

Source of the facts: the DTDL v2, v3 and v4 language descriptions and the metamodel digest of the official parser
(Microsoft and the Digital Twin Consortium, MIT). A version is a column of these tables: another one is added by
extending the tables, not the code that walks them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

__all__ = [
    "ABSTRACT",
    "COMPLEX",
    "CONTEXT",
    "LIMITS",
    "NUMERIC",
    "PRIMITIVES",
    "SCHEMAS",
    "VERSIONS",
    "DtdlClass",
    "Limits",
    "Prop",
    "class_names",
    "classes",
    "language_words",
    "valid_dtmi",
]

CONTEXT: Final = "dtmi:dtdl:context;"
VERSIONS: Final = (2, 3, 4)

# Primitive schemas: term -> class. The ones of DTDL v2 are good in every version.
_PRIMITIVES_V2: Final = frozenset(
    {"boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"}
)
_PRIMITIVES_V4: Final = _PRIMITIVES_V2 | {
    "byte",
    "bytes",
    "decimal",
    "short",
    "unsignedByte",
    "unsignedInteger",
    "unsignedLong",
    "unsignedShort",
    "uuid",
}
PRIMITIVES: Final[dict[int, tuple[str, ...]]] = {
    2: tuple(sorted(_PRIMITIVES_V2)),
    3: tuple(sorted(_PRIMITIVES_V2)),
    4: tuple(sorted(_PRIMITIVES_V4)),
}
# Classes of primitive schemas that count as NumericSchema.
NUMERIC: Final = frozenset(
    {
        "Byte",
        "Decimal",
        "Double",
        "Float",
        "Integer",
        "Long",
        "Short",
        "UnsignedByte",
        "UnsignedInteger",
        "UnsignedLong",
        "UnsignedShort",
    }
)
COMPLEX: Final = ("Array", "Enum", "Map", "Object")
SCHEMAS: Final[dict[int, frozenset[str]]] = {
    version: frozenset({*COMPLEX, *(term[0].upper() + term[1:] for term in terms)})
    for version, terms in PRIMITIVES.items()
}
# Classes that no element in a model is of: abstract ones, and those that only extensions can make use of.
ABSTRACT: Final = (
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
    "Unit",
    "UnitAttribute",
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Limits:
    """The limits that DTDL v4 lets a model exchange for others by a limit context."""

    id_length: int = 2048
    interface_id_length: int = 128
    description: int = 512
    schema_depth: int = 5
    extends_depth: int = 10
    extends_total: int | None = 1024
    contents_total: int | None = 100_000
    json_bytes: int | None = 1_048_576


# By DTDL version, and in version 4 by the limit context in force.
LIMITS: Final[dict[tuple[int, str], Limits]] = {
    (2, ""): Limits(extends_total=None, contents_total=None, json_bytes=None),
    (3, ""): Limits(),
    (4, ""): Limits(schema_depth=8, extends_depth=12),
    (4, "dtmi:dtdl:limits:aio;1"): Limits(512, 256, 2048, schema_depth=12, extends_depth=12),
    (4, "dtmi:dtdl:limits:onvif;1"): Limits(512, 256, 4096, schema_depth=24, extends_depth=12),
}

_SEGMENTS = r"dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
_V3 = re.compile(_SEGMENTS + r"(?:;[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,5})?)?", re.ASCII)
_DTMI: Final = {2: re.compile(_SEGMENTS + r";[1-9][0-9]{0,8}", re.ASCII), 3: _V3, 4: _V3}
NAME_PATTERN: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", re.ASCII)


def valid_dtmi(text: str, version: int) -> bool:
    """Whether the text is a DTMI that a model of this DTDL version may use. Unlike the official parser, whose pattern
    lets a final line feed pass, the whole text must match."""
    return _DTMI[version].fullmatch(text) is not None


Kind = Literal["string", "langString", "boolean", "integer", "literal", "dtmi", "object"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prop:
    """One property of a DTDL class in one DTDL version.

    `kind` object: the value is an element of one of the classes `allowed`, in one of the DTDL `versions`, or a
    reference to one; `values` narrows that to the named standard elements. `infer` is the class when @type is left
    out. `segment`: the element's name is part of generated identifiers. `unique`: what differs among siblings;
    `keyed`: by that name they are also found, so that the same element twice is one.
    """

    name: str
    kind: Kind
    required: bool = False
    plural: bool = False
    max_count: int | None = None
    max_length: int | None = None
    name_like: bool = False
    minimum: int | None = None
    maximum: int | None = None
    allowed: frozenset[str] = frozenset()
    versions: frozenset[int] = frozenset()
    values: tuple[str, ...] = ()
    infer: str = ""
    id_required: bool = False
    segment: bool = False
    keyed: bool = False
    unique: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DtdlClass:
    """One concrete DTDL class in one DTDL version: its properties by name."""

    name: str
    properties: dict[str, Prop]


def _element(name: str, allowed: frozenset[str] | str, versions: frozenset[int], **more: object) -> Prop:
    names = frozenset({allowed}) if isinstance(allowed, str) else allowed
    return Prop(name, "object", allowed=names, versions=versions, **more)  # type: ignore[arg-type]


@cache
def classes(version: int, limits: str = "") -> dict[str, DtdlClass]:
    """Every class that an element of a model of this version can have, under these limits."""
    v2 = version == 2
    same = frozenset({version})
    older = frozenset(v for v in VERSIONS if v <= version)
    short = 64 if v2 else 512
    entity = (
        Prop("comment", "string", max_length=512),
        Prop("description", "langString", max_length=LIMITS[version, limits].description),
        Prop("displayName", "langString", max_length=short),
    )
    named = (*entity, Prop("name", "string", required=True, max_length=short, name_like=True))
    schema = _element("schema", SCHEMAS[version], older, required=True)
    writable = Prop("writable", "boolean")
    nullable = (Prop("nullable", "boolean"),) if version >= 4 else ()
    request, response = ("CommandPayload",) * 2 if v2 else ("CommandRequest", "CommandResponse")
    contents = frozenset({"Property", "Telemetry", "Command", "Relationship", "Component"})
    listed: dict[str, object] = {"plural": True, "segment": True, "unique": ("name",)}
    strings = frozenset({"String"})
    primitives = SCHEMAS[version] - set(COMPLEX)
    tables: dict[str, tuple[Prop, ...]] = {
        "Interface": (
            *entity,
            _element("contents", contents, older, keyed=True, max_count=300 if v2 else None, **listed),
            _element("extends", "Interface", older, plural=True, max_count=2 if v2 else None, id_required=True),
            _element("schemas", frozenset(COMPLEX), same, plural=True, id_required=True),
        ),
        "Property": (*named, schema, writable),
        "Telemetry": (*named, schema),
        "Command": (
            *named,
            _element("commandType", "CommandType", same, id_required=True),
            _element("request", request, same, infer=request),
            _element("response", response, same, infer=response),
        ),
        request: (*named, schema, *nullable),
        response: (*named, schema, *nullable),
        "Component": (*named, _element("schema", "Interface", older, required=True, id_required=True)),
        "Relationship": (
            *named,
            Prop("maxMultiplicity", "integer", minimum=1, maximum=500 if v2 else None),
            Prop("minMultiplicity", "integer", minimum=0, maximum=0),
            _element("properties", "Property", older, max_count=300 if v2 else None, **listed),
            Prop("target", "dtmi", max_length=LIMITS[version, limits].id_length),
            writable,
        ),
        "Array": (*entity, _element("elementSchema", SCHEMAS[version], older, required=True)),
        "Enum": (
            *entity,
            _element(
                "enumValues",
                "EnumValue",
                same,
                required=v2,
                infer="EnumValue",
                max_count=100 if v2 else None,
                **{**listed, "unique": ("name", "enumValue")},
            ),
            _element("valueSchema", primitives, older, required=True, id_required=True, values=("integer", "string")),
        ),
        "EnumValue": (*named, Prop("enumValue", "literal", required=True)),
        "Map": (
            *entity,
            _element("mapKey", "MapKey", same, required=True, infer="MapKey"),
            _element("mapValue", "MapValue", same, required=True, infer="MapValue"),
        ),
        "MapKey": (*named, _element("schema", strings, older, required=True, id_required=True)),
        "MapValue": (*named, schema),
        "Object": (
            *entity,
            _element("fields", "Field", same, required=v2, infer="Field", max_count=30 if v2 else None, **listed),
        ),
        "Field": (*named, schema),
    }
    if v2:  # a unit of one's own, in place of a name
        tables["Unit"] = (*entity, Prop("symbol", "string"))
    return {name: DtdlClass(name, {prop.name: prop for prop in props}) for name, props in tables.items()}


@cache
def class_names(version: int) -> frozenset[str]:
    """Every name in `@type` that stands for a DTDL class rather than an extension's type, usable or not."""
    payloads = {"CommandPayload", "CommandRequest", "CommandResponse"}
    return frozenset({*classes(version), *SCHEMAS[4], *ABSTRACT, *payloads, "CommandType"})


@cache
def language_words(version: int) -> dict[str, str]:
    """The terms of the DTDL context of a version that are neither quantities nor units, with their DTMIs."""
    known = {*classes(version), *SCHEMAS[version], *ABSTRACT, "CommandPayload", "CommandType", "SemanticType"}
    known |= {"SemanticUnit"} if version == 2 else {"SemanticUnit", "AdjunctType", "Alias"}
    words = {name: f"dtmi:dtdl:class:{name};{version}" for name in known}
    props = {prop for cls in classes(version).values() for prop in cls.properties}
    props |= {"languageMajorVersion", "symbol", "exponent"}
    props |= {"unit", "baseUnit", "bottomUnit", "topUnit", "prefix"} if version == 2 else {"aliasFor"}
    words |= {name: f"dtmi:dtdl:property:{name};{version}" for name in props}
    words |= {term: f"dtmi:dtdl:instance:Schema:{term};{version}" for term in PRIMITIVES[version]}
    if version == 2:
        words = {word: dtmi for word, dtmi in words.items() if "LatentType" not in word}
    words |= {t: f"dtmi:dtdl:instance:CommandType:{t};{version}" for t in ("asynchronous", "synchronous")}
    if version > 2:
        words |= {name: f"dtmi:dtdl:meta:{name};{version}" for name in ("DtdlExtension", "metamodel", "model")}
    return words
