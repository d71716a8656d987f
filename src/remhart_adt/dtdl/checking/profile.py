"""What Azure Digital Twins asks of a model beyond the language: its DTDL notes, its limits, its query language.

Source: the service's documentation of models and limits (2023-03), and recorded answers for its codes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from remhart_adt.dtdl.reading.elements import Element, Index
from remhart_adt.limits import ADT_MODEL_BYTES, ADT_MODELS_PER_INSTANCE

__all__ = ["PROFILES", "QUERY_WORDS"]

# Words that a query must put in double brackets to mean a property of that name; letters of either case.
QUERY_WORDS: Final = frozenset(
    {
        *("all", "and", "as", "asc", "avg", "by", "count", "desc", "devices", "devices_jobs", "devices_modules"),
        *("ends_with", "false", "from", "group", "in", "is_bool", "is_defined", "is_null", "is_number", "is_object"),
        *("is_of_model", "is_primitive", "is_string", "max", "min", "not", "not_in", "null", "or", "order", "select"),
        *("starts_with", "sum", "top", "true", "where"),
    }
)
# The only extension that the service documents; what it does with the others is not known.
_DOCUMENTED: Final = frozenset({"dtmi:dtdl:extension:quantitativeTypes"})
_NEWEST: Final = 3


def _adt(index: Index) -> None:
    """Versions 2 and 3, no inline interfaces, limits on size and number; commands, extensions and names that work
    differently than one may expect get a warning."""
    interfaces = [element for element in index.everything if element.kind == "Interface"]
    if len(interfaces) > ADT_MODELS_PER_INSTANCE:
        interfaces[-1].say("tooManyModels", count=len(interfaces), limit=ADT_MODELS_PER_INSTANCE)
    for interface in interfaces:
        _interface(interface)
    for element in index.everything:
        if element.kind == "Command":
            element.say("commandNotRunnable", severity="warning")
        if element.name.lower() in QUERY_WORDS and element.kind != "EnumValue":
            element.say("queryWord", "name", severity="warning", value=element.name)


def _interface(interface: Element) -> None:
    if interface.version > _NEWEST:
        interface.say("versionNotForAdt", "@context", limit=_NEWEST)
    for name, number in interface.lexicon.extensions:
        if name not in _DOCUMENTED:
            interface.say("extensionUnknownToAdt", "@context", severity="warning", value=f"{name};{number}")
    if interface.parent is not None:
        interface.say("inlineInterface")
        return
    size = len(json.dumps(interface.raw, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    if size > ADT_MODEL_BYTES:
        interface.say("modelTooLarge", count=size, limit=ADT_MODEL_BYTES)


PROFILES: Final[dict[str, Callable[[Index], None]]] = {"adt": _adt}
