"""The properties that supplemental types add to an element: reading them, and noticing those that are missing."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference, Stop
from remhart_adt.dtdl.reading.literals import BAD, flat, scalar, utf16_length
from remhart_adt.dtdl.reading.reader import Path
from remhart_adt.dtdl.tables.extensions import find_supplement
from remhart_adt.dtdl.tables.lexicon import extra_of
from remhart_adt.dtdl.tables.supplements import Extra

__all__ = ["missing_extra", "read_extra"]


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


def read_extra(element: Element, key: str, value: Any, seen: set[str], index: Index) -> bool:
    """Read a property if one of the element's supplemental types adds it; whether one does."""
    dtmi = element.lexicon.resolve(key)
    if dtmi is None:
        return False
    extra = next((found for s in element.supplements if (found := extra_of(s, dtmi)) is not None), None)
    if extra is None:
        return False
    if dtmi in seen:
        element.say("duplicatePropertyName", key)
        return True
    seen.add(dtmi)
    if extra.kind == "object":
        _links(element, key, value, extra, index)
    elif extra.kind == "iri":
        _iri(element, key, value, extra)
    else:
        _literal(element, key, value, extra)
    return True


def _literal(element: Element, key: str, value: Any, extra: Extra) -> None:
    def say(rule: str, path: Path) -> None:
        element.say(rule, key, (key, *path), prop=extra.term, expected=f"a {extra.kind}")

    value = scalar(extra.kind, value, say, required=extra.required, strict=element.version > 2)
    if value is BAD:
        return
    if extra.max_length is not None and utf16_length(value) > extra.max_length:
        element.say("stringTooLong", key, prop=extra.term, limit=extra.max_length)
    if extra.pattern and _pattern(extra.pattern).fullmatch(value) is None:
        element.say("stringInvalid", key, prop=extra.term, value=value)
    if extra.minimum is not None and value < extra.minimum:
        element.say("valueBelowMin", key, prop=extra.term, value=value, limit=extra.minimum)
    element.extras = {**element.extras, extra.id: value}


def _iri(element: Element, key: str, value: Any, extra: Extra) -> None:
    found = flat(value)
    if len(found) > 1:
        element.say("identifierMultipleValues", key, prop=extra.term, count=len(found))
    elif not found:
        if extra.required:
            element.say("identifierCountBelowMin", key, prop=extra.term)
    elif not isinstance(found[0][0], str):
        element.say("identifierNotString", key, prop=extra.term)
    else:
        text = found[0][0]
        iri = element.lexicon.resolve(text)
        if iri is None and ":" in text and not text.startswith("dtmi:"):
            iri = text
        if iri is None:
            element.say("identifierNotUri", key, prop=extra.term, value=text)
        else:
            element.extras = {**element.extras, extra.id: iri}


def _links(element: Element, key: str, value: Any, extra: Extra, index: Index) -> None:
    slots: list[Link] = []
    element.extra_links = {**element.extra_links, extra.id: slots}
    expected = f"a unit of {extra.of_type or extra.child_of}" if extra.of_type or extra.child_of else "a DTMI or term"
    for item, inner in flat(value):
        at: Path = (key, *inner)
        if slots:
            element.say("objectMultipleValues", key, prop=extra.term)
            return
        if isinstance(item, str):
            dtmi = element.lexicon.resolve(item)
            if dtmi is None:
                element.say("badDtmiOrTerm", key, at, prop=extra.term, value=item, expected=expected)
                continue
            reference = Reference(dtmi, at)
            slots.append(reference)
            index.references.append((element, extra.term, extra, reference))
        elif isinstance(item, dict):
            unit = _own_unit(element, item, at) if element.version == 2 else None
            if unit is not None:
                slots.append(unit)
            elif element.version > 2:
                element.say("refObjectNotAllowed", key, at, prop=extra.term, expected=expected)
        else:
            shown = "null" if item is None else f"a {type(item).__name__}"
            element.say("refNotStringOrObject", key, at, prop=extra.term, value=shown, expected=expected)
    if not slots and extra.required:
        element.say("objectCountBelowMin", key, prop=extra.term, expected=expected)


def _own_unit(element: Element, raw: dict[str, Any], at: Path) -> Element | None:
    """A unit defined in place, which only DTDL v2 has: an object of one of the unit types."""
    stated = raw.get("@type")
    types = stated if isinstance(stated, list) else [stated]
    meanings = [element.lexicon.type_meaning(t) for t in types if isinstance(t, str)]
    supplements = [m.supplement for m in meanings if m.supplement is not None]
    if not any(s.kind == "unit" for s in supplements) or any(m.sort in ("class", "misplaced") for m in meanings):
        element.say("badType", at[0] if isinstance(at[0], str) else "", at, value="this object", expected="a unit")
        return None
    given = raw["@id"] if isinstance(raw.get("@id"), str) else None
    return Element("Unit", element.lexicon, raw, element.text, element, "unit", at, given, element.owner)


def missing_extra(element: Element, seen: set[str]) -> None:
    """End the reading at a type without the property that it requires."""
    for supplement in element.supplements:
        for extra in supplement.extras:
            if extra.required and extra.id not in seen:
                sort = {"object": "Object", "iri": "Identifier"}.get(extra.kind, "Literal")
                fields = {"value": supplement.term, "prop": extra.term, "expected": _suggestion(extra)}
                element.say(f"missingSupplemental{sort}Property", "@type", **fields)
                raise Stop


def _suggestion(extra: Extra) -> str:
    if extra.child_of or extra.of_type:
        owner = find_supplement(extra.of_type)
        return owner.term if owner is not None else extra.child_of.rpartition(":")[2]
    return f"a {extra.kind}"
