"""What a definition says that no parsed element shows, in one spelling: comments inside of schemas, the type of a
Command, types that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from remhart_adt.dtdl.evolution.grades import below
from remhart_adt.dtdl.reading.literals import flat

__all__ = ["leaves"]

_LISTS: Final = frozenset({"contents", "enumValues", "fields", "properties", "schemas"})
# Elements of these lists have paths without the list's name, as everywhere in `diff`.
_SILENT: Final = frozenset({"enumValues", "fields"})
_TEXTS: Final = frozenset({"description", "displayName"})
# Told by the path or by the parsed elements, or without meaning: `minMultiplicity` is always 0.
_SKIPPED: Final = frozenset({"extends", "minMultiplicity", "name"})
# What an element is when nothing is said.
_INFERRED: Final = frozenset(
    {"CommandPayload", "CommandRequest", "CommandResponse", "EnumValue", "Field", "MapKey", "MapValue"}
)
_LANGUAGE: Final = ("dtmi:dtdl:", "dtmi:standard:")


def leaves(definition: Mapping[str, Any]) -> dict[str, str]:
    """Every value in an interface's JSON by its path, both in one spelling."""
    found: dict[str, str] = {}
    stack: list[tuple[str, str, Any]] = [("", "", definition)]
    while stack:
        path, name, value = stack.pop()
        if isinstance(value, Mapping) and not (path and all(key.startswith("@") for key in value)):
            if path and "Interface" in _types(value.get("@type")):
                found[path] = _word(str(value.get("@id", "")))
                continue
            for key, inner in value.items():
                word = _word(key) if key.startswith("dtmi:") else key
                if word not in _SKIPPED and (word == "@type" or not word.startswith("@")):
                    stack += _below(path, word, inner)
        elif (text := _text(value)) and (text == "true" or name not in ("nullable", "writable")):
            found[path] = text
    return found


def _below(path: str, word: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """What stands under a property, each part with its path."""
    here = path if word in _SILENT else below(path, word)
    items = [item for item, _ in flat(value)]
    if word == "@type":
        types = sorted(_types(value) - _INFERRED)
        if types:
            yield here, word, " ".join(types)
    elif word in _TEXTS:
        yield from ((below(here, code), word, text) for code, text in _texts(items))
    elif word in _LISTS:
        for item in items:
            yield below(here, _name(item)), word, item
    elif len(items) == 1:
        yield here, word, items[0]
    elif items:
        yield here, word, " ".join(sorted(map(_text, items)))


def _texts(items: list[Any]) -> Iterator[tuple[str, Any]]:
    for item in items:
        if not isinstance(item, Mapping):
            yield "en", item
        elif "@value" in item:
            yield str(item.get("@language", "en")), item["@value"]
        else:
            yield from item.items()


def _types(stated: Any) -> set[str]:
    return {_word(str(item)) for item, _ in flat(stated) if item is not None}


def _name(item: Any) -> str:
    """What a member of a list is known by: its name, or its identifier."""
    if not isinstance(item, Mapping):
        return _word(str(item))
    for key, value in item.items():
        if key == "name" or (key.startswith("dtmi:") and _word(key) == "name"):
            return _text(flat(value)[0][0]) if flat(value) else ""
    return _word(str(item.get("@id", "")))


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("@value")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else _word(str(value))


def _word(text: str) -> str:
    """A DTMI of the language as its term, any other without its version."""
    if not text.startswith("dtmi:"):
        return text
    plain = text.partition(";")[0]
    return plain.rpartition(":")[2] if text.startswith(_LANGUAGE) else plain
