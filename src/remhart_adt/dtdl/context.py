"""The @context of an element: which DTDL version it is written in, and which extensions it uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt.dtdl import quantities
from remhart_adt.dtdl.metamodel import CONTEXT, VERSIONS, valid_dtmi

__all__ = ["Context", "ContextError", "read_context"]

# Extensions the language knows and this package does not support: their use is refused, not ignored.
_OTHER_EXTENSIONS: Final = {
    "dtmi:dtdl:extension:annotation": (1, 2),
    "dtmi:dtdl:extension:historization": (1, 2),
    "dtmi:dtdl:extension:mqtt": (1, 2, 3, 4),
    "dtmi:dtdl:extension:overriding": (1, 2),
    "dtmi:dtdl:extension:requirement": (1, 2),
    "dtmi:iotcentral:context": (2,),
    "dtmi:iotoperations:context": (4,),
}
_QUANTITATIVE: Final = quantities.QUANTITATIVE_TYPES.partition(";")[0]
_NEWEST: Final = 4


@dataclass(frozen=True, slots=True)
class Context:
    """What an element's words mean: the DTDL version, the quantities known, and whether a context is unknown (which
    only DTDL v2 tolerates)."""

    version: int
    quantities: quantities.Quantities | None
    incomplete: bool = False


class ContextError(Exception):
    """A context that cannot be used; `rule` is the broken rule, `value` the specifier, `index` its place."""

    def __init__(self, rule: str, value: str = "", *, index: int | None = None, expected: str = "") -> None:
        super().__init__(rule)
        self.rule = rule
        self.value = value
        self.index = index
        self.expected = expected


def read_context(value: Any, outer: Context | None = None) -> Context:
    """The meaning of an @context value; inside an element it adds to the outer one's. Raises ContextError."""
    entries = value if isinstance(value, list) else [value]
    if not entries and outer is None:
        raise ContextError("emptyContext")
    versions = 0
    while versions < len(entries) and _names_dtdl(entries[versions], first=versions == 0 and outer is None):
        versions += 1
    if versions == 0 and outer is not None:
        version, known, incomplete = outer.version, outer.quantities, outer.incomplete
    else:
        version = [_dtdl_version(entry) for entry in entries[:versions]][-1]
        known, incomplete = quantities.V2 if version == 2 else None, False
    for index, entry in enumerate(entries[versions:], start=versions):
        if isinstance(entry, dict):
            raise ContextError("disallowedLocalContext", index=index)
        if not isinstance(entry, str):
            raise ContextError("invalidContext", index=index)
        extension = _extension(entry, version, index)
        if extension == "unknown":
            incomplete = True
        elif extension == "quantities" and version == 3:
            known = quantities.V3
    return Context(version, known, incomplete)


def _names_dtdl(entry: Any, *, first: bool) -> bool:
    """Whether an entry is to be read as the DTDL context: the very first has to be one, later ones may."""
    return first or (isinstance(entry, str) and entry.startswith(CONTEXT))


def _dtdl_version(entry: Any) -> int:
    if isinstance(entry, dict):
        raise ContextError("missingDtdlContext", index=0)
    if not isinstance(entry, str):
        raise ContextError("invalidContext")
    match = re.fullmatch(re.escape(CONTEXT) + r"([0-9.]+)(#.*)?", entry)
    if match is None:
        raise ContextError("missingDtdlContext", entry)
    number = match[1]
    if number not in {str(v) for v in range(VERSIONS[0], _NEWEST + 1)}:
        raise ContextError("unrecognizedContextVersion", entry)
    if int(number) not in VERSIONS:
        raise ContextError("disallowedContextVersion", entry)
    if match[2]:
        raise ContextError("disallowedContextFragment", entry)
    return int(number)


def _extension(entry: str, version: int, index: int) -> str:
    if entry.startswith(CONTEXT.rstrip(";")):
        raise ContextError("dtdlContextFollowsAffiliate", entry, index=index)
    if not entry.startswith("dtmi:"):
        if version == 2 and ":" in entry:
            return "unknown"
        raise ContextError("nonDtmiContextSpecifier", entry, index=index)
    plain, _, fragment = entry.partition("#")
    if not valid_dtmi(plain, 3):
        raise ContextError("invalidContextSpecifier", entry, index=index)
    if fragment:
        raise ContextError("disallowedContextFragment", entry, index=index)
    if ";" not in plain:
        raise ContextError("missingContextVersion", entry, index=index)
    if version == 2 and not valid_dtmi(plain, 2):
        raise ContextError("invalidContextSpecifierForVersion", entry, index=index)
    if plain == quantities.QUANTITATIVE_TYPES:
        return "quantities"
    name, _, number = plain.partition(";")
    if name == _QUANTITATIVE:
        if number in ("2", "3"):  # they belong to DTDL v4; naming them adds nothing here
            return "quantities-of-v4"
        raise ContextError("unresolvableContextVersion", entry, index=index, expected=quantities.QUANTITATIVE_TYPES)
    if name in _OTHER_EXTENSIONS:
        if number in {str(v) for v in _OTHER_EXTENSIONS[name]}:
            raise ContextError("unsupportedExtension", entry, index=index)
        raise ContextError("unresolvableContextVersion", entry, index=index, expected="a published version")
    if version == 2:
        return "unknown"
    raise ContextError("unresolvableContextSpecifier", entry, index=index)
