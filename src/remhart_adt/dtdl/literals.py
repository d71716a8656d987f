"""Literal values as DTDL allows them to be written: bare, in an array of one, or as a JSON-LD value object.

Every function returns the value, or `BAD` after it has told `say(rule, path)` what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from remhart_adt.dtdl.reader import Path

__all__ = ["BAD", "Say", "lang_string", "scalar", "utf16_length"]

Say = Callable[[str, Path], None]
BAD: Final = object()

_LANGUAGE: Final = re.compile(r"[a-z]{2,4}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?", re.ASCII)


def utf16_length(text: str) -> int:
    """The length of the text in UTF-16 code units, which is how the language counts characters."""
    return len(text) + sum(1 for char in text if char > "\uffff") if not text.isascii() else len(text)


def _fits(kind: str, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (str, int, float, bool))


def scalar(kind: str, value: Any, path: Path, say: Say, *, required: bool, lenient: bool) -> Any:
    """A string, boolean, integer or any literal (`kind` literal). `lenient` (DTDL v2): keywords do not matter."""
    while isinstance(value, list):
        if not value and not required:
            return BAD  # no value at all, which is what optional means
        if len(value) != 1:
            say(f"{kind}MultipleValues" if value else f"{kind}CountBelowMin", path)
            return BAD
        value, path = value[0], (*path, 0)
    if isinstance(value, dict):
        return _value_object(kind, value, path, say, lenient=lenient)
    if not _fits(kind, value):
        say("literalNotValid" if kind == "literal" else f"{kind}Not{kind.capitalize()}", path)
        return BAD
    return value


def _value_object(kind: str, value: dict[str, Any], path: Path, say: Say, *, lenient: bool) -> Any:
    bad = False
    for key in value:
        aspect = _aspect(key, ("@value", "@type"), lenient=lenient)
        if aspect:
            say(f"valueObject{aspect}", (*path, key))
            bad = True
    if "@value" not in value:
        say(f"{kind}ObjectNoValue", path)
        return BAD
    stated = value.get("@type")
    if isinstance(stated, list) and len(stated) == 1:
        stated = stated[0]
    if "@type" in value:
        datatype = _datatype(stated)
        if not isinstance(stated, str):
            say("literalTypeNotSingular", (*path, "@type"))
            bad = True
        elif kind == "literal" and datatype in ("string", "integer", "boolean"):
            kind = datatype  # any literal may be of any type, but it must be what it says
        elif kind != "literal" and datatype != kind:
            say(f"{kind}TypeNot{kind.capitalize()}", (*path, "@type"))
            bad = True
    if not _fits(kind, value["@value"]):
        say(f"{kind}ValueNot{kind.capitalize()}" if kind != "literal" else "literalNotValid", (*path, "@value"))
        bad = True
    return BAD if bad else value["@value"]


def _datatype(stated: Any) -> str:
    for prefix in ("xsd:", "http://www.w3.org/2001/XMLSchema#"):
        if isinstance(stated, str) and stated.startswith(prefix):
            return stated.removeprefix(prefix)
    return ""


def _aspect(key: str, expected: tuple[str, ...], *, lenient: bool) -> str:
    """What a member that does not belong there is called in the rules' names; nothing when it does not matter."""
    if key in expected:
        return ""
    if key in ("@id", "@context", "@graph"):
        return key[1:].capitalize()
    if key.startswith("@"):
        return "" if lenient else {"@language": "Language", "@type": "Type"}.get(key, "Keyword")
    return "InvalidProp"


def lang_string(value: Any, limit: int, path: Path, say: Say, *, lenient: bool) -> dict[str, str] | object:
    """Text by language code: a bare string means English."""
    if isinstance(value, str):
        return {"en": value} if _short_enough(value, limit, path, say) else BAD
    if isinstance(value, dict):
        return _language_map(value, limit, path, say)
    if isinstance(value, list):
        return _language_list(value, limit, path, say, lenient=lenient)
    say("langStringElementNotStringOrObject", path)
    return BAD


def _short_enough(text: str, limit: int, path: Path, say: Say) -> bool:
    if utf16_length(text) > limit:
        say("langStringValueTooLong", path)
        return False
    return True


def _language_map(value: dict[str, Any], limit: int, path: Path, say: Say) -> dict[str, str] | object:
    result: dict[str, str] = {}
    bad = False
    for code, text in value.items():
        here = (*path, code)
        if code.startswith("@"):
            say("langTagValueInLangMap" if value.keys() == {"@language", "@value"} else "langMapObjKeyword", here)
            bad = True
            continue
        if _LANGUAGE.fullmatch(code) is None:
            say("langStringInvalidCode", here)
            bad = True
        if not isinstance(text, str):
            say("langStringValueNotString", here)
            bad = True
        elif _short_enough(text, limit, here, say):
            result[code] = text
        else:
            bad = True
    return BAD if bad else result


def _language_list(value: list[Any], limit: int, path: Path, say: Say, *, lenient: bool) -> dict[str, str] | object:
    result: dict[str, str] = {}
    bad = False
    for index, item in enumerate(value):
        here: Path = (*path, index)
        code, text = "en", item
        if isinstance(item, dict):
            found = _tagged(item, here, say, lenient=lenient)
            if found is None:
                bad = True
                continue
            code, text = found
        elif not isinstance(item, str):
            say("langStringElementNotStringOrObject", here)
            bad = True
            continue
        if code in result:
            say("langStringElementCodeNotUnique", here)
            bad = True
        elif _short_enough(text, limit, here, say):
            result[code] = text
        else:
            bad = True
    return BAD if bad else result


def _tagged(item: dict[str, Any], path: Path, say: Say, *, lenient: bool) -> tuple[str, str] | None:
    before = True
    for key in item:
        aspect = _aspect(key, ("@value", "@language"), lenient=lenient)
        if aspect:
            say(f"langStringElement{aspect}", (*path, key))
            before = False
    if "@value" not in item:
        say("langStringElementNoValue", path)
        return None
    text, code = item["@value"], item.get("@language", "en")
    if not isinstance(text, str):
        say("langStringElementValueNotString", (*path, "@value"))
        return None
    if not isinstance(code, str):
        say("langStringElementCodeNotString", (*path, "@language"))
        return None
    if _LANGUAGE.fullmatch(code) is None:
        say("langStringElementInvalidCode", (*path, "@language"))
        return None
    return (code, text) if before else None
