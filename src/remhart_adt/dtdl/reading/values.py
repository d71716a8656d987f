"""Read one literal property of an element by its row in the metamodel."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from remhart_adt.dtdl.reading.elements import Element
from remhart_adt.dtdl.reading.literals import BAD, flat, lang_string, scalar, utf16_length
from remhart_adt.dtdl.reading.reader import Path
from remhart_adt.dtdl.tables.metamodel import NAME_PATTERN, Prop

__all__ = ["read_literal"]

_WRITTEN: Final = {
    "string": "a text",
    "langString": "a text, or an object of texts by language code",
    "boolean": "true or false",
    "integer": "a whole number",
    "literal": "a text or a number",
    "dtmi": "a DTMI",
}


def read_literal(element: Element, key: str, value: Any, spec: Prop, into: dict[str, Any]) -> None:
    """Put the value of a literal property where it belongs, or note what is wrong with it."""
    kind = spec.kind
    if kind == "string":
        if type(value) is not str:
            value = scalar(
                "string", value, partial(_say, element, key, spec), required=spec.required, strict=element.version > 2
            )
            if value is BAD:
                return
        into[spec.name] = value
        limit = spec.max_length
        if limit is not None and len(value) * 2 > limit and utf16_length(value) > limit:
            element.say("stringTooLong", key, prop=spec.name, limit=limit)
        if spec.name_like and NAME_PATTERN.fullmatch(value) is None:
            element.say("stringInvalid", key, prop=spec.name, value=value)
        return
    if kind == "langString" and type(value) is str and len(value) * 2 <= (spec.max_length or 0):
        into[spec.name] = {"en": value}
        return
    say = partial(_say, element, key, spec)
    if kind == "langString":
        value = lang_string(value, spec.max_length or 0, say, strict=element.version > 2)
    elif kind == "dtmi":
        value = _dtmi(element, key, value, spec)
    else:
        value = scalar(kind, value, say, required=spec.required, strict=element.version > 2)
        if kind == "integer" and value is not BAD:
            _in_range(element, key, value, spec)
    if value is not BAD:
        into[spec.name] = value


def _say(element: Element, key: str, spec: Prop, rule: str, path: Path) -> None:
    """Note a rule that a literal of this property breaks."""
    fields = {"prop": spec.name, "limit": spec.max_length, "expected": _WRITTEN[spec.kind]}
    element.say(rule, key, (key, *path), **fields)


def _in_range(element: Element, key: str, value: int, spec: Prop) -> None:
    low, high = spec.minimum, spec.maximum
    if low is not None and low == high and value != low:
        element.say("valueNotExact", key, value=value, limit=low)
    elif low is not None and value < low:
        element.say("valueBelowMin" if high is None else "valueBelowRange", key, value=value, limit=low)
    elif high is not None and value > high:
        element.say("valueAboveMax" if low is None else "valueAboveRange", key, value=value, limit=high)


def _dtmi(element: Element, key: str, value: Any, spec: Prop) -> Any:
    found = flat(value)
    if not found:
        return BAD
    value, inner = found[0]
    limit = spec.max_length
    at: Path = (key, *inner)
    if len(found) > 1:
        element.say("identifierMultipleValues", key, count=len(found))
    elif not isinstance(value, str):
        element.say("identifierNotString", key, at)
    else:
        dtmi = element.lexicon.resolve(value)
        if dtmi is not None:
            return dtmi
        too_long = limit is not None and len(value) > limit and value.startswith("dtmi:")
        element.say("identifierTooLong" if too_long else "identifierNotDtmi", key, at, value=value, limit=limit)
    return BAD
