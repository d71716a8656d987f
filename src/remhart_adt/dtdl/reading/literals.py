"""Literal values as DTDL allows them to be written: bare, in an array of one, or as a JSON-LD value object.

Every function returns the value, or `BAD` after it has told `say(rule, path)` what is wrong; `path` leads from the
property to the place. The order of the checks is the official parser's, so that both name the same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from remhart_adt.dtdl.reading.reader import Path, repeated_keys

__all__ = ["BAD", "Say", "flat", "lang_string", "scalar", "utf16_length"]

Say = Callable[[str, Path], None]
BAD: Final = object()

_LANGUAGE: Final = re.compile(r"[a-z]{2,4}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?", re.ASCII)
# ISO 8601, with a fraction only in the last part.
_DURATION: Final = re.compile(
    r"P(?!$)(?:(?:(?:\d+Y|\d+\.\d+Y$)?(?:\d+M|\d+\.\d+M$)?)|(?:\d+W|\d+\.\d+W$)?)(?:\d+D|\d+\.\d+D$)?"
    r"(?:T(?!$)(?:\d+H|\d+\.\d+H$)?(?:\d+M|\d+\.\d+M$)?(?:\d+(?:\.\d+)?S)?)?",
    re.ASCII,
)
_INT32: Final = 2**31
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
# What a value object calls the type, and the name that the rules have for it.
_NAMES: Final = {"decimal": "numeric"}
_WANTED: Final = {"duration": "String", "decimal": "Numeric"}


def utf16_length(text: str) -> int:
    """The length of the text in UTF-16 code units, which is how the language counts characters."""
    return len(text) if text.isascii() else len(text) + sum(1 for char in text if char > "\uffff")


def flat(value: Any) -> list[tuple[Any, Path]]:
    """The values of a property with their paths: arrays, also nested ones, are only a way to list."""
    if not isinstance(value, list):
        return [(value, ())]
    if list not in map(type, value):
        return [(item, (number,)) for number, item in enumerate(value)]
    found: list[tuple[Any, Path]] = []
    stack: list[tuple[Any, Path]] = [(value, ())]
    while stack:
        item, path = stack.pop()
        if isinstance(item, list):
            stack.extend((inner, (*path, i)) for i, inner in reversed(list(enumerate(item))))
        else:
            found.append((item, path))
    return found


def _whole(value: Any) -> bool:
    """Whether a JSON number is a 32-bit integer; 1.0 is one."""
    if type(value) is int:
        return -_INT32 <= value < _INT32
    return type(value) is float and -_INT32 <= value < _INT32 and value == int(value)


def _real(value: float) -> float:
    """A JSON number as a double, however many digits it is written with."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _fits(datatype: str, value: Any) -> bool:
    if datatype in ("string", "duration"):
        return isinstance(value, str)
    if datatype == "boolean":
        return isinstance(value, bool)
    if datatype == "integer":
        return _whole(value)
    return type(value) in (int, float)


def scalar(kind: str, value: Any, say: Say, *, required: bool, strict: bool) -> Any:
    """A string, boolean, integer, decimal, duration or any literal (`kind` literal). `strict`: keywords matter."""
    name = _NAMES.get(kind, kind)
    found = flat(value)
    if len(found) > 1:
        say(f"{name}MultipleValues", ())
        return BAD
    if not found:
        if required:
            say(f"{name}CountBelowMin", ())
        return BAD
    value, path = found[0]
    if kind == "literal":
        return _any_literal(value, path, say, strict=strict)
    if isinstance(value, dict):
        value = _value_object(kind, name, value, path, say, strict=strict)
        if value is BAD:
            return BAD
    elif not _fits(kind, value):
        say(f"{name}Not{_WANTED.get(kind, kind.capitalize())}", path)
        return BAD
    if kind == "duration" and _DURATION.fullmatch(value) is None:
        say("durationInvalid", path)
        return BAD
    return int(value) if kind == "integer" else value


def _members(value: dict[str, Any], path: Path, say: Say, *, strict: bool) -> None:
    """Complain of what does not belong in a value object."""
    for key in value:
        if key in ("@context", "@id", "@graph"):
            say(f"valueObject{key[1:].capitalize()}", (*path, key))
        elif key.startswith("@"):
            if strict and key not in ("@value", "@type"):
                say("valueObjectLanguage" if key == "@language" else "valueObjectKeyword", (*path, key))
        else:
            say("valueObjectInvalidProp", (*path, key))


def _stated_type(value: dict[str, Any]) -> str | None:
    """The XML Schema type that a value object states: empty for another one, None when it states not exactly one."""
    stated = value["@type"]
    types = stated if isinstance(stated, list) else [stated] if isinstance(stated, str) else []
    if len(types) != 1:
        return None
    text = types[0] if isinstance(types[0], str) else ""
    for prefix in ("xsd:", _XSD):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    return ""


def _value_object(kind: str, name: str, value: dict[str, Any], path: Path, say: Say, *, strict: bool) -> Any:
    _members(value, path, say, strict=strict)
    if "@value" not in value:
        say(f"{name}ObjectNoValue", path)
        return BAD
    if "@type" in value:
        stated = _stated_type(value)
        if stated is None:
            say("literalTypeNotSingular", (*path, "@type"))
            return BAD
        if stated != kind:
            say(f"{name}TypeNot{name.capitalize()}", (*path, "@type"))
            return BAD
    if not _fits(kind, value["@value"]):
        say(f"{name}ValueNot{_WANTED.get(kind, kind.capitalize())}", (*path, "@value"))
        return BAD
    return value["@value"]


def _any_literal(value: Any, path: Path, say: Say, *, strict: bool) -> Any:
    """Whatever literal it is: text, a whole number, a number, true or false."""
    if not isinstance(value, dict):
        if isinstance(value, (str, bool)):
            return value
        if type(value) in (int, float):
            return int(value) if _whole(value) else _real(value)
        say("literalNotValid", path)
        return BAD
    _members(value, path, say, strict=strict)
    if "@value" not in value:
        say("literalObjectNoValue", path)
        say("literalNotValid", path)
        return BAD
    inner = value["@value"]
    if "@type" not in value:
        if not isinstance(inner, (dict, list)):
            return _any_literal(inner, (*path, "@value"), say, strict=strict)
    else:
        stated = _stated_type(value)
        if stated in ("string", "integer", "decimal", "boolean"):
            if _fits(stated, inner):
                return int(inner) if stated == "integer" else inner
            name = _NAMES.get(stated, stated)
            say(f"{name}ValueNot{_WANTED.get(stated, stated.capitalize())}", (*path, "@value"))
        elif stated is None:
            say("literalTypeNotSingular", (*path, "@type"))
    say("literalNotValid", path)
    return BAD


def lang_string(value: Any, limit: int, say: Say, *, strict: bool) -> dict[str, str] | object:
    """Text by language code: a bare string means English."""
    if isinstance(value, str):
        if len(value) * 2 > limit and utf16_length(value) > limit:
            say("langStringValueTooLong", ())
            return BAD
        return {"en": value}
    if isinstance(value, dict):
        return _language_map(value, limit, say)
    if isinstance(value, list):
        return _language_list(value, limit, say, strict=strict)
    say("langStringElementNotStringOrObject", ())
    return BAD


def _language_map(value: dict[str, Any], limit: int, say: Say) -> dict[str, str] | object:
    result: dict[str, str] = {}
    sound = True
    for code in repeated_keys(value):
        say("langStringCodeNotUnique", (code,))
        sound = False
    if value.keys() == {"@language", "@value"} and isinstance(value["@value"], str):
        say("langTagValueInLangMap", ())
        return BAD
    for code, text in value.items():
        here: Path = (code,)
        if code.startswith("@"):
            say("langMapObjKeyword", here)
            sound = False
            continue
        if _LANGUAGE.fullmatch(code) is None:
            say("langStringInvalidCode", here)
            sound = False
        if not isinstance(text, str):
            say("langStringValueNotString", here)
            sound = False
        elif utf16_length(text) > limit:
            say("langStringValueTooLong", here)
            sound = False
        result[code] = text
    return result if sound else BAD


def _language_list(value: list[Any], limit: int, say: Say, *, strict: bool) -> dict[str, str] | object:
    result: dict[str, str] = {}
    sound = True
    for item, here in flat(value):
        code, text = "en", item
        if isinstance(item, dict):
            tagged = _tagged(item, here, say, strict=strict)
            if tagged is None:
                sound = False
                continue
            code, text = tagged
        elif not isinstance(item, str):
            say("langStringElementNotStringOrObject", here)
            sound = False
            continue
        if text is not None and utf16_length(text) > limit:
            say("langStringValueTooLong", here)
            sound = False
        if code in result:
            say("langStringElementCodeNotUnique", here)
            sound = False
        if text is None:
            sound = False
        result.setdefault(code, text or "")
    return result if sound else BAD


def _tagged(item: dict[str, Any], path: Path, say: Say, *, strict: bool) -> tuple[str, str | None] | None:
    """Language and text of one tagged string; None when it cannot be used at all, no text when it is only half good."""
    code = item.get("@language", "en")
    if not isinstance(code, str) or not code:
        say("langStringElementCodeNotString", (*path, "@language"))
        return None
    text = item.get("@value")
    sound = True
    if "@language" in item and _LANGUAGE.fullmatch(code) is None:
        say("langStringElementInvalidCode", (*path, "@language"))
        sound = False
    if "@value" not in item:
        say("langStringElementNoValue", path)
        sound = False
    elif not isinstance(text, str):
        say("langStringElementValueNotString", (*path, "@value"))
        return None
    for key in item:
        if key in ("@context", "@id", "@graph"):
            say(f"langStringElement{key[1:].capitalize()}", (*path, key))
            sound = False
        elif not key.startswith("@"):
            say("langStringElementInvalidProp", (*path, key))
            sound = False
        elif strict and key not in ("@value", "@language"):
            say("langStringElementType" if key == "@type" else "langStringElementKeyword", (*path, key))
            sound = False
    return code, text if sound else None
