"""The published language extensions as data: one function per extension, one line per type.

Source of the facts: the extension descriptions beside the DTDL language description and the metamodel digest of the
official parser (Microsoft and the Digital Twin Consortium, MIT). An extension made for DTDL v3 (its version 1) is for
elements of DTDL v3 only; later versions are for v3 and v4, quantities for v4 only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from remhart_adt.dtdl.tables.metamodel import ABSTRACT, COMPLEX, classes, language_words
from remhart_adt.dtdl.tables.quantities import BINARY_PREFIXES, decimal_prefixes, quantities
from remhart_adt.dtdl.tables.standard import standard_words
from remhart_adt.dtdl.tables.supplements import Extension, Extra, Rule, Sibling, Supplement

__all__ = ["IMPLIES_DTDL_2", "find_extension", "find_supplement", "known_versions", "language"]

# The only context that may stand before the DTDL context, because it can only be used with DTDL v2.
IMPLIES_DTDL_2: Final = frozenset({"dtmi:iotcentral:context;2"})

_EXTENSION: Final = "dtmi:dtdl:extension:"
_PAYLOADS: Final = ("CommandRequest", "CommandResponse")
_QUANTIFIED: Final = frozenset({*_PAYLOADS, "Field", "MapValue", "Property", "Telemetry"})
_NUMBERS: Final = (Rule("schema", frozenset({"NumericSchema"})),)
# MQTT topic pattern: labels of printable characters, or tokens in braces, separated by slashes.
_TOPIC: Final = (
    r"(?:(?:[!%-*,-.0-z|~][!$-*,-.0-z|~]*)|(?:{(?:[A-Za-z]+:)?[A-Za-z]+}))"
    r"(?:\/(?:(?:[!$-*,-.0-z|~]+)|(?:{(?:[A-Za-z]+:)?[A-Za-z]+})))*"
)
_GROUP: Final = r"[!$-*,-.0-z|~]+"
_NAME: Final = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _made_of(context: str, types: Iterable[Supplement], words: dict[str, str] | None = None, **more: Any) -> Extension:
    listed = list(types)
    own = {t.term: t.id for t in listed} | {e.term: e.id for t in listed for e in t.extras}
    # A property that the language itself names keeps the language's word for it.
    own = {term: dtmi for term, dtmi in own.items() if not dtmi.startswith("dtmi:dtdl:property:")}
    return Extension(context, own | (words or {}), {t.id: t for t in listed}, **more)


def _versions(number: int) -> frozenset[int]:
    return frozenset({3}) if number == 1 else frozenset({3, 4})


def _plain(name: str, number: int, types: str, on: str) -> Extension:
    """An extension whose types add nothing but themselves."""
    base = f"{_EXTENSION}{name}:v{number}:"
    made = [Supplement(f"{base}{t}", t, "adjunct", _set(on), _versions(number)) for t in types.split()]
    return _made_of(f"{_EXTENSION}{name};{number}", made)


def _annotation(number: int) -> Extension:
    own = f"{_EXTENSION}annotation:v{number}:ValueAnnotation"
    key = Extra(f"{own}:annotates", "annotates", "string")
    sibling = Sibling(key.id, _set("Property Telemetry"), not_of=own)
    type_ = Supplement(
        own,
        "ValueAnnotation",
        "adjunct",
        _set("Property Telemetry"),
        _versions(number),
        extras=(key,),
        siblings=(sibling,),
    )
    return _made_of(f"{_EXTENSION}annotation;{number}", [type_])


def _overriding(number: int) -> Extension:
    own = f"{_EXTENSION}overriding:v{number}:Override"
    annotation = f"{_EXTENSION}annotation:v{number}:ValueAnnotation"
    path = Extra(f"{own}:overrides", "overrides", "iri")
    type_ = Supplement(
        own,
        "Override",
        "adjunct",
        _set("Property"),
        _versions(number),
        extras=(path,),
        needs=(annotation,),
        siblings=(Sibling(f"{annotation}:annotates", _set("Property Telemetry"), path=path.id),),
        schema_of_path=path.id,
    )
    return _made_of(f"{_EXTENSION}overriding;{number}", [type_])


def _mqtt(number: int) -> Extension:
    base, versions = f"{_EXTENSION}mqtt:v{number}:", _versions(number)

    def make(term: str, on: str, *extras: Extra, **more: Any) -> Supplement:
        return Supplement(base + term, term, "adjunct", _set(on), versions, extras=extras, **more)

    def extra(owner: str, term: str, kind: Any = "string", **more: Any) -> Extra:
        return Extra(f"{base}{owner}:{term}", term, kind, **more)

    def inside(*parents: str, **more: Any) -> Rule:
        """The Field stands in an Object of one of these types, as the only one of its own type."""
        return Rule("fields", frozenset(base + p for p in parents), upward=True, alone=True, **more)

    def schema(*names: str) -> Rule:
        return Rule("schema", frozenset(names))

    no_requirement = {"never_with": (f"{_EXTENSION}requirement:v1:Required",)}
    mqtt = [
        extra("Mqtt", "commandTopic", required=False, pattern=_TOPIC),
        extra("Mqtt", "payloadFormat"),
        extra("Mqtt", "telemetryTopic", required=False, pattern=_TOPIC),
    ]
    if number >= 2:
        mqtt += [extra("Mqtt", g, required=False, pattern=_GROUP) for g in ("cmdServiceGroupId", "telemServiceGroupId")]
    if number >= 4:
        mqtt.append(extra("Mqtt", "propertyTopic", required=False, pattern=_TOPIC))
    indexed = "EnumValue Field Telemetry" + (" Property" if number >= 4 else "")
    types = [
        make("Cacheable", "Command", extra("Cacheable", "ttl", "duration"), needs=(f"{base}Idempotent",)),
        make("Idempotent", "Command"),
        make("Indexed", indexed, extra("Indexed", "index", "integer", minimum=1, unique=True)),
        make("Mqtt", "Interface", *mqtt),
    ]
    if number >= 2:
        types.append(make("Transparent", "CommandRequest CommandResponse", rules=(schema("Object"),)))
    error = base + "Error"
    if number >= 3:
        results = ("NormalResult", "ErrorResult") + (("ErrorCode", "ErrorInfo") if number >= 4 else ())
        result = Rule("fields", frozenset(base + r for r in results))
        types += [
            make("Error", "Object"),
            make("ErrorMessage", "Field", rules=(inside("Error"), schema("String"))),
            make("ErrorResult", "Field", rules=(inside("Result"), schema(error)), **no_requirement),
            make("NormalResult", "Field", rules=(inside("Result"),), **no_requirement),
            make("Result", "Object", rules=(result,)),
        ]
    if number >= 4:
        code = inside("Result", "Error")
        info = inside("Result", "Error", beside=f"{base}ErrorCode")
        parts = Rule("fields", frozenset(base + p for p in ("PropertyValue", "ReadError", "WriteError")))
        types += [
            make("ErrorCode", "Field", rules=(code, schema("Enum"))),
            make("ErrorInfo", "Field", rules=(info, schema("Object"))),
            make("Fragmented", "Property", rules=(schema("Map"),), or_with=(f"{base}PropertyValue",)),
            make("Indirect", "Field", **no_requirement),
            make("PropertyResult", "Object", rules=(parts,)),
            make("PropertyValue", "Field", rules=(inside("PropertyResult"),), **no_requirement),
            *(
                make(t, "Field", rules=(inside("PropertyResult"), schema(error)), **no_requirement)
                for t in ("ReadError", "WriteError")
            ),
        ]
    return _made_of(f"{_EXTENSION}mqtt;{number}", types)


def _iotcentral(number: int) -> Extension:
    base, versions, on = "dtmi:iotcentral:", frozenset({number}), _set("Property Telemetry")
    words = {t: f"{base}schema:{t};2" for t in ("geopoint", "vector")}
    places = {words["geopoint"], *(d for d in standard_words(2).values() if ":geospatial:" in d)}

    def make(term: str, rule: Rule, *extras: Extra) -> Supplement:
        return Supplement(f"{base}class:{term};2", term, "semantic", on, versions, extras=extras, rules=(rule,))

    def unit(family: str) -> Extra:
        of = f"dtmi:standard:class:{family};2"
        return Extra("dtmi:dtdl:property:unit;2", "unit", "object", required=False, of_type=of)

    vector = Rule("schema", values=frozenset({words["vector"]}))
    types = [
        make("AccelerationVector", vector, unit("AccelerationUnit")),
        make("Event", Rule("schema", _set("NumericSchema String"))),
        make("Location", Rule("schema", values=frozenset(places))),
        make("State", Rule("schema", _set("Enum"))),
        make("VelocityVector", vector, unit("VelocityUnit")),
    ]
    return _made_of("dtmi:iotcentral:context;2", types, words, reserved=("dtmi:iotcentral:",))


def _iotoperations(number: int) -> Extension:
    base, versions = "dtmi:iotoperations:", frozenset({number})
    payloads = " ".join(_QUANTIFIED)

    def make(term: str, on: str, *extras: Extra, **more: Any) -> Supplement:
        return Supplement(f"{base}class:{term};4", term, "adjunct", _set(on), versions, extras=extras, **more)

    def extra(term: str, kind: Any = "string", **more: Any) -> Extra:
        return Extra(f"{base}property:{term};4", term, kind, max_length=128 if kind == "string" else None, **more)

    def bound(term: str, *, required: bool) -> Extra:
        return extra(term, "decimal", required=required, instance_of="schema")

    detail = Rule("fields", frozenset({f"{base}class:Detail;4"}), upward=True, alone=True)
    types = [
        make("Composite", "Interface", extra("ontology"), never_with=(f"{base}class:Event;4",)),
        make("Congruence", "Array Enum Interface Map Object", extra("typeRef")),
        make("Detail", "Object"),
        make("Event", "Interface"),
        make("GroupMember", "Command", extra("group", pattern=_NAME)),
        make("HasCapability", "Relationship", never_with=(f"{base}class:HasComponent;4",)),
        make("HasComponent", "Relationship"),
        make("Limited", payloads, bound("maximum", required=False), bound("minimum", required=False), rules=_NUMBERS),
        make("Precise", payloads, extra("decimalPlaces", "integer"), rules=_NUMBERS),
        make("Qualified", "Command Component Field Property Relationship Telemetry", extra("namespace")),
        make("ScaledStatically", payloads, bound("scaleFactor", required=True), rules=_NUMBERS),
        make("Subject", "Field", rules=(detail,)),
    ]
    return _made_of("dtmi:iotoperations:context;4", types, reserved=("dtmi:iotoperations:",))


def _quantitative(number: int) -> Extension:
    base, known = f"{_EXTENSION}quantitativeTypes:v{number}:", quantities(number)
    version = 3 if number == 1 else 4
    versions = frozenset({version})
    root = f"{base}class:QuantitativeType"
    words = {u: f"{base}unit:{u}" for units in known.units.values() for u in units}
    words |= {p: f"{base}unitprefix:{p}" for p in (*decimal_prefixes(number), *BINARY_PREFIXES)}
    words |= {family: f"{base}enum:{family}" for family in (*known.units, "DecimalPrefix", "BinaryPrefix")}
    words["EnergyRateUnit"] = f"{base}enum:PowerUnit"
    everywhere = frozenset({*classes(version), *classes(3), *COMPLEX, *ABSTRACT})

    def unit(family: str = "") -> Extra:
        return Extra(f"{base}property:unit", "unit", "object", child_of=f"{base}enum:{family}" if family else "")

    def prop(term: str, *, required: bool = True) -> Extra:
        return Extra(f"{base}property:{term}", term, "object", required)

    def literal(term: str, kind: Any) -> Extra:
        return Extra(f"dtmi:dtdl:property:{term};{version}", term, kind)

    def part(term: str, *extras: Extra) -> Supplement:
        # BinaryUnit alone is not confined to EnumValue in the published tables.
        on, allowed = (
            (everywhere, frozenset(range(2, version + 1))) if term == "BinaryUnit" else (_set("EnumValue"), versions)
        )
        return Supplement(f"{base}class:{term}", term, "adjunct", on, allowed, extras=extras)

    scaled = (prop("baseUnit"), prop("prefix", required=False))
    types = [
        Supplement(root, "QuantitativeType", "semantic", _QUANTIFIED, versions, True, extras=(unit(),), rules=_NUMBERS),
        *(
            Supplement(
                f"{base}class:{t}", t, "semantic", _QUANTIFIED, versions, parent=root, extras=(unit(f),), rules=_NUMBERS
            )
            for t, f in known.family_of_type.items()
        ),
        part("BinaryUnit", *scaled),
        part("DecimalUnit", *scaled),
        part("RatioUnit", prop("bottomUnit"), prop("topUnit")),
        part("SymbolicUnit", literal("symbol", "string")),
        part("UnitPrefix", literal("exponent", "integer"), literal("symbol", "string")),
    ]
    return _made_of(f"{_EXTENSION}quantitativeTypes;{number}", types, words)


# Name of the context without its version -> the versions there are, and who makes them.
_CONTEXTS: Final[dict[str, tuple[tuple[int, ...], Callable[[int], Extension]]]] = {
    f"{_EXTENSION}annotation": ((1, 2), _annotation),
    f"{_EXTENSION}historization": ((1, 2), lambda n: _plain("historization", n, "Historized", "Property Telemetry")),
    f"{_EXTENSION}mqtt": ((1, 2, 3, 4), _mqtt),
    f"{_EXTENSION}overriding": ((1, 2), _overriding),
    f"{_EXTENSION}quantitativeTypes": ((1, 2, 3), _quantitative),
    f"{_EXTENSION}requirement": ((1, 2), lambda n: _requirement(n)),
    "dtmi:iotcentral:context": ((2,), _iotcentral),
    "dtmi:iotoperations:context": ((4,), _iotoperations),
    "dtmi:dtdl:limits:aio": ((1,), lambda n: Extension(f"dtmi:dtdl:limits:aio;{n}", {}, {}, limits=True)),
    "dtmi:dtdl:limits:onvif": ((1,), lambda n: Extension(f"dtmi:dtdl:limits:onvif;{n}", {}, {}, limits=True)),
}


def _requirement(number: int) -> Extension:
    base, on = f"{_EXTENSION}requirement:v{number}:", "Field" if number == 1 else "Field Property"
    type_ = Supplement(f"{base}Required", "Required", "adjunct", _set(on), frozenset({3, 4}))
    return _made_of(f"{_EXTENSION}requirement;{number}", [type_])


def known_versions(name: str) -> tuple[int, ...]:
    """The published versions of an extension context, given without its version; empty when it is not known."""
    return _CONTEXTS[name][0] if name in _CONTEXTS else ()


@cache
def find_extension(name: str, number: int) -> Extension:
    """A published extension context by name and version; ask `known_versions` first."""
    return _CONTEXTS[name][1](number)


def find_supplement(dtmi: str) -> Supplement | None:
    """The type with this DTMI; an element may name it even where no context brings in its extension."""
    if dtmi.startswith(_EXTENSION):
        name, _, rest = dtmi.removeprefix(_EXTENSION).partition(":v")
        number = rest.partition(":")[0]
        name = _EXTENSION + name
        known = number.isdecimal() and int(number) in known_versions(name)
        return find_extension(name, int(number)).types.get(dtmi) if known else None
    version = dtmi.rpartition(";")[2]
    if dtmi.startswith(("dtmi:dtdl:class:", "dtmi:standard:class:")):
        return language(int(version)).types.get(dtmi) if version in ("2", "3", "4") else None
    for context in ("dtmi:iotcentral:context", "dtmi:iotoperations:context"):
        if dtmi.startswith(context.replace(":context", ":class:")):
            return find_extension(context, known_versions(context)[0]).types.get(dtmi)
    return None


@cache
def language(version: int) -> Extension:
    """The DTDL context of a version as if it were an extension: its words, and the types that every model may use."""
    words = language_words(version) | standard_words(version)
    base = "dtmi:dtdl:class:"

    def root(term: str) -> Supplement:
        return Supplement(f"{base}{term};{version}", term, "root", abstract=True)

    types = [root("SemanticType"), root("SemanticUnit")]
    if version == 2:
        types += _quantities_v2(words)
    else:
        types.append(root("AdjunctType"))
        everywhere = frozenset({*classes(version), *ABSTRACT})
        alias = Extra(f"dtmi:dtdl:property:aliasFor;{version}", "aliasFor", "object")
        types.append(
            Supplement(f"{base}Alias;{version}", "Alias", "adjunct", everywhere, frozenset({version}), extras=(alias,))
        )
    return Extension(f"dtmi:dtdl:context;{version}", words, {t.id: t for t in types}, ("dtmi:dtdl:", "dtmi:standard:"))


def _quantities_v2(words: dict[str, str]) -> list[Supplement]:
    """The types for quantities and for units of one's own that DTDL v2 has built in; their words are added."""
    base, known, versions = "dtmi:standard:class:", quantities(0), frozenset({2})
    root = f"{base}QuantitativeType;2"

    def unit(family: str = "") -> Extra:
        of = f"{base}{family};2" if family else ""
        return Extra("dtmi:dtdl:property:unit;2", "unit", "object", of_type=of)

    def prop(term: str, of: str = "", *, required: bool = True) -> Extra:
        return Extra(f"dtmi:dtdl:property:{term};2", term, "object", required, of_type=of and f"{base}{of};2")

    def made(term: str, *extras: Extra) -> Supplement:
        return Supplement(f"{base}{term};2", term, "adjunct", _set("Unit"), versions, extras=extras)

    on = _set("Property Telemetry")
    types = [
        Supplement(root, "QuantitativeType", "semantic", on, versions, True, extras=(unit(),), rules=_NUMBERS),
        *(
            Supplement(f"{base}{t};2", t, "semantic", on, versions, parent=root, extras=(unit(f),), rules=_NUMBERS)
            for t, f in known.family_of_type.items()
        ),
        *(Supplement(f"{base}{family};2", family, "unit") for family in known.units),
        *(Supplement(f"{base}{p}Prefix;2", f"{p}Prefix", "unit attribute") for p in ("Decimal", "Binary")),
        made("DecimalUnit", prop("baseUnit"), prop("prefix", "DecimalPrefix", required=False)),
        made("BinaryUnit", prop("baseUnit"), prop("prefix", "BinaryPrefix", required=False)),
        made("RatioUnit", prop("bottomUnit"), prop("topUnit")),
    ]
    words |= {t.term: t.id for t in types}
    return types
