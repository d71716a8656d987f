"""Read one literal property of an element by its row in the metamodel."""

from __future__ import annotations

from typing import Any

from remhart_adt.dtdl.elements import Element
from remhart_adt.dtdl.literals import BAD, lang_string, scalar, utf16_length
from remhart_adt.dtdl.metamodel import NAME_PATTERN, Prop, valid_dtmi
from remhart_adt.dtdl.reader import Path

__all__ = ["read_literal"]

_WRITTEN = {
    "string": "a text",
    "langString": "a text, or an object of texts by language code",
    "boolean": "true or false",
    "integer": "a whole number",
    "literal": "a text or a number",
    "dtmi": "a DTMI",
}


def read_literal(element: Element, name: str, key: str, value: Any, spec: Prop) -> Any:
    """The value of a literal property, or BAD after noting what is wrong with it."""

    def say(rule: str, path: Path) -> None:
        element.text.say(
            rule,
            path,
            element.id,
            where=element.label(),
            prop=name,
            limit=spec.max_length,
            expected=_WRITTEN[spec.kind],
        )

    path: Path = (*element.path, key)
    if spec.kind == "langString":
        return lang_string(value, spec.max_length or 0, path, say, lenient=element.version == 2)
    if spec.kind == "dtmi":
        return _dtmi(element, key, value, spec)
    got = scalar(spec.kind, value, path, say, required=spec.required, lenient=element.version == 2)
    if got is BAD:
        return BAD
    if isinstance(got, str) and spec.max_length is not None and utf16_length(got) > spec.max_length:
        element.say("stringTooLong", key, limit=spec.max_length)
        return BAD
    if spec.name_like and NAME_PATTERN.fullmatch(got) is None:
        element.say("stringInvalid", key, value=got)
        return BAD
    return got if spec.kind != "integer" or _in_range(element, key, got, spec) else BAD


def _in_range(element: Element, key: str, value: int, spec: Prop) -> bool:
    low, high = spec.minimum, spec.maximum
    if low is not None and low == high and value != low:
        element.say("valueNotExact", key, value=value, limit=low)
    elif low is not None and value < low:
        element.say("valueBelowMin" if high is None else "valueBelowRange", key, value=value, limit=low)
    elif high is not None and value > high:
        element.say("valueAboveRange", key, value=value, limit=high)
    else:
        return True
    return False


def _dtmi(element: Element, key: str, value: Any, spec: Prop) -> Any:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value == []:
        return BAD
    if isinstance(value, list):
        element.say("identifierMultipleValues", key, count=len(value))
    elif not isinstance(value, str):
        element.say("identifierNotString", key)
    elif spec.max_length is not None and len(value) > spec.max_length:
        element.say("identifierTooLong", key, limit=spec.max_length)
    elif not valid_dtmi(value, element.version):
        element.say("identifierNotDtmi", key, value=value)
    else:
        return value
    return BAD
