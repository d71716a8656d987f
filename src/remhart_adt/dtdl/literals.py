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
_ASPECT: Final = {"@id": "Id", "@context": "Context", "@graph": "Graph", "@language": "Language"}


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


def scalar(kind: str, value: Any, path: Path, say: Say) -> Any:
    """A string, boolean, integer or any literal (`kind` literal)."""
    while isinstance(value, list):
        if len(value) != 1:
            say(f"{kind}MultipleValues" if value else f"{kind}CountBelowMin", path)
            return BAD
        value, path = value[0], (*path, 0)
    title = kind.capitalize()
    if isinstance(value, dict):
        bad = False
        for key in value:
            if key in ("@value", "@type"):
                continue
            aspect = _ASPECT.get(key) or ("Keyword" if key.startswith("@") else "InvalidProp")
            say(f"valueObject{aspect}", (*path, key))
            bad = True
        if "@value" not in value:
            say(f"{kind}ObjectNoValue", path)
            return BAD
        stated = value.get("@type")
        if stated is not None:
            if not isinstance(stated, str):
                say("literalTypeNotSingular", (*path, "@type"))
                bad = True
            elif kind != "literal" and stated not in (f"xsd:{kind}", f"http://www.w3.org/2001/XMLSchema#{kind}"):
                say(f"{kind}TypeNot{title}", (*path, "@type"))
                bad = True
        if not _fits(kind, value["@value"]):
            say(f"{kind}ValueNot{title}" if kind != "literal" else "literalNotValid", (*path, "@value"))
            bad = True
        return BAD if bad else value["@value"]
    if not _fits(kind, value):
        say("literalNotValid" if kind == "literal" else f"{kind}Not{title}", path)
        return BAD
    return value


def lang_string(value: Any, limit: int, path: Path, say: Say) -> dict[str, str] | object:
    """Text by language code: a bare string means English."""
    if isinstance(value, str):
        return {"en": value} if _short_enough(value, limit, path, say) else BAD
    if isinstance(value, dict):
        return _language_map(value, limit, path, say)
    if isinstance(value, list):
        return _language_list(value, limit, path, say)
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
            say("langTagValueInLangMap" if code in ("@language", "@value") else "langMapObjKeyword", here)
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


def _language_list(value: list[Any], limit: int, path: Path, say: Say) -> dict[str, str] | object:
    result: dict[str, str] = {}
    bad = False
    for index, item in enumerate(value):
        here: Path = (*path, index)
        code, text = "en", item
        if isinstance(item, dict):
            found = _tagged(item, here, say)
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


def _tagged(item: dict[str, Any], path: Path, say: Say) -> tuple[str, str] | None:
    before = True
    for key in item:
        if key in ("@value", "@language"):
            continue
        aspect = {**_ASPECT, "@type": "Type"}.get(key) or ("Keyword" if key.startswith("@") else "InvalidProp")
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
