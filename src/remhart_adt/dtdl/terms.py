"""What a word, a full DTMI or an IRI means as type, property or reference in one context."""

from __future__ import annotations

import re
from typing import Final

from remhart_adt.dtdl.context import Context
from remhart_adt.dtdl.metamodel import (
    ABSTRACT,
    CLASSES,
    GEOSPATIAL,
    PRIMITIVES,
    VERSIONS,
    known_terms,
    valid_dtmi,
)

__all__ = ["property_name", "standard_of", "type_meaning", "type_rule", "unknown_property_rule"]

_KNOWN: Final = {version: known_terms(version) for version in VERSIONS}
_CLASS_ID: Final = re.compile(r"dtmi:dtdl:class:([A-Za-z]+);([0-9]+)", re.ASCII)
_PROPERTY_ID: Final = re.compile(r"dtmi:dtdl:property:([A-Za-z]+);([0-9]+)", re.ASCII)
_STANDARD: Final[dict[int, dict[str, str]]] = {
    version: {
        **{term: term for term in (*PRIMITIVES, *GEOSPATIAL, "asynchronous", "synchronous")},
        **{f"dtmi:dtdl:instance:Schema:{term};{v}": term for term in PRIMITIVES for v in VERSIONS if v <= version},
        **{f"dtmi:standard:schema:geospatial:{t};{v}": t for t in GEOSPATIAL for v in VERSIONS if v <= version},
        **{f"dtmi:dtdl:instance:CommandType:{term};{version}": term for term in ("asynchronous", "synchronous")},
    }
    for version in VERSIONS
}


def standard_of(text: str, context: Context) -> str:
    """The term of a language-defined element (schema or command type) that the text names, or nothing."""
    return _STANDARD[context.version].get(text, "")


def property_name(key: str, context: Context) -> str:
    """The plain name of a property given as a word or as its full DTMI."""
    if context.quantities is not None and key == context.quantities.unit_property:
        return "unit"
    match = _PROPERTY_ID.fullmatch(key) if key.startswith("dtmi:") else None
    return match[1] if match is not None and match[2] == str(context.version) else key


def type_meaning(text: str, context: Context) -> tuple[str, str]:
    """What an entry of @type means: ("class", name), ("abstract", name), ("quantity", name) or ("unknown", text)."""
    name = text
    match = _CLASS_ID.fullmatch(text)
    if match is not None and match[2] == str(context.version):
        name = match[1]
    if name in CLASSES[context.version]:
        return "class", name
    if name in ABSTRACT:
        return "abstract", name
    if context.quantities is not None:
        short = context.quantities.type_ids.get(text, text)
        if short in context.quantities.family_of_type:
            return "quantity", short
        if short in ("QuantitativeType", "SemanticType"):
            return "supertype", short
    return "unknown", text


def type_rule(text: str, context: Context) -> str:
    """The rule an unknown type breaks, or nothing where the language lets it pass (DTDL v2)."""
    if text.startswith("dtmi:"):
        return "typeIrrelevantDtmiOrTerm" if valid_dtmi(text.partition("#")[0], 3) else "typeInvalidDtmi"
    if ":" in text:
        return "" if context.version == 2 else "typeNotDtmiNorTerm"
    if text in _KNOWN[context.version] or _is_quantity_word(text, context):
        return "typeIrrelevantDtmiOrTerm"
    return "" if context.version == 2 else "typeUndefinedTerm"


def unknown_property_rule(key: str, context: Context) -> str:
    """The rule that a property no type of the element has breaks, in DTDL v3; DTDL v2 has one rule for all."""
    if context.version == 2:
        return "noTypeThatAllows"
    if key.startswith("dtmi:"):
        return "propertyIrrelevantDtmiOrTerm" if valid_dtmi(key.partition("#")[0], 3) else "propertyInvalidDtmi"
    if ":" in key:
        return "propertyNotDtmiNorTerm"
    if key in _KNOWN[context.version] or _is_quantity_word(key, context):
        return "propertyIrrelevantDtmiOrTerm"
    return "propertyUndefinedTerm"


def _is_quantity_word(word: str, context: Context) -> bool:
    known = context.quantities
    return known is not None and (
        word in ("unit", "SemanticType", "QuantitativeType")
        or word in known.family_of_unit
        or word in known.family_of_type
        or word in known.family_of_unit.values()
    )
