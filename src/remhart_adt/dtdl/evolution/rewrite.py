"""Rewrite the elements of a DTDL v2 interface as DTDL v3, guided by how they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from remhart_adt.dtdl.reading.elements import Element, Text
from remhart_adt.dtdl.reading.literals import flat
from remhart_adt.dtdl.reading.reader import Path, pointer
from remhart_adt.dtdl.tables.extensions import known_versions
from remhart_adt.dtdl.tables.lexicon import lexicon
from remhart_adt.dtdl.tables.metamodel import CONTEXT, Prop
from remhart_adt.dtdl.tables.standard import Standard, find_standard
from remhart_adt.dtdl.types import OWN, Problem

__all__ = ["Found", "Rewriter", "to_problems"]

Found = tuple[str, Element, Path, dict[str, Any]]

_QUANTITIES: Final = "dtmi:dtdl:extension:quantitativeTypes"
_NEEDED: Final = f"{_QUANTITIES};1"
_IOT_CENTRAL: Final = "dtmi:iotcentral:"
_QUANTITY: Final = "dtmi:standard:class:"
_UNIT: Final = "dtmi:dtdl:property:unit;2"
_WORDS: Final = lexicon(3, ((_QUANTITIES, 1),), True, "")
_PAYLOADS: Final = {"request": "CommandRequest", "response": "CommandResponse"}
# The parts of a value written as an object that DTDL v3 still takes.
_VALUE: Final = frozenset({"@value", "@type"})
_LANGUAGE: Final = frozenset({"@value", "@language"})

_RULES: Final[dict[str, tuple[str, str]]] = {
    "iotCentral": (
        "{where} uses {value} of IoT Central, which there is for DTDL v2 only",
        "Say it without the extension, for example with a type of quantitativeTypes or an Object.",
    ),
    "ownUnit": (
        "{where} has a unit of its own, and in DTDL v3 units are only named",
        "Name a unit of quantitativeTypes, or drop unit and type and tell the unit in the description.",
    ),
    "unknownContext": (
        "nobody knows the context {value}; DTDL v2 tolerates it, DTDL v3 does not",
        "Remove it and what it defines, or name an extension that DTDL v3 has.",
    ),
    "unknownProperty": (
        "{where} has the property '{value}', which only a type that nobody knows allows",
        "Remove it, or keep what it says in the comment.",
    ),
    "unknownType": (
        "{where} has the type '{value}', which nobody knows; DTDL v2 tolerates it, DTDL v3 does not",
        "Remove it and the properties it allows, or use a type of an extension that DTDL v3 has.",
    ),
    "unresolved": ("{where}: nothing defines {value}", "Add what defines it, or correct the reference."),
    "usedByVersion2": (
        "{where} must stay DTDL v2, because {other} stays DTDL v2 and uses it",
        "Correct what keeps {other} from being converted.",
    ),
}


def to_problems(found: Iterable[Found]) -> Iterator[tuple[Problem, Text]]:
    """Problems with their places, each with the text it stands in."""
    listed = list(found)
    wanted: dict[Text, set[Path]] = {}
    for _, element, tail, _ in listed:
        wanted.setdefault(element.text, set()).add((*element.path, *tail))
    places = {text: text.places(paths) for text, paths in wanted.items()}
    for rule, element, tail, fields in listed:
        path = (*element.path, *tail)
        message, remedy = (text.format(where=element.label(), **fields) for text in _RULES[rule])
        message = message[:1].upper() + message[1:] + "."
        place = places[element.text][path]
        yield Problem(OWN + rule, message, remedy, place, element.id, pointer(path)), element.text


class Rewriter:
    """Rewrites the interfaces of one text. Elements are never deep, since the reading of them has a limit."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._found: list[Found] = []
        self._measures = False

    def problems(self) -> list[Problem]:
        """What could not be rewritten."""
        return [problem for problem, _ in to_problems(self._found)]

    def top(self, element: Element) -> dict[str, Any]:
        """A top-level interface in DTDL v3; its context is settled last, when it is known what it uses."""
        self._measures = False
        return self._element(element, top=True)

    # --- elements -----------------------------------------------------------------------------------------------------

    def _element(self, element: Element, *, top: bool = False) -> dict[str, Any]:
        result: dict[str, Any] = {}
        known = element.lexicon.plans[element.kind].properties
        for key, value in element.raw.items():
            spec = known.get(key)
            if spec is not None:
                self._renamed(key, spec.name)
                result[spec.name] = self._property(element, key, value, spec)
            elif key in ("@context", "@id"):
                result[key] = value
            elif key == "@type":
                result[key] = self._mapped(value, (key,), lambda text, at: self._type(element, text, at))
            elif key.startswith("@"):
                self._note(f"{key} was dropped; DTDL v2 ignores it and DTDL v3 refuses it.")
            else:
                self._extra(element, key, value, result)
        if "@context" in result:
            result["@context"] = self._context(element, result["@context"], top=top)
            if not result["@context"]:
                del result["@context"]
        return result

    def _property(self, element: Element, key: str, value: Any, spec: Prop) -> Any:
        if spec.kind == "object":
            inner = {link.at: link for link in element.children(spec.name)}
            return self._mapped(value, (key,), lambda text, at: self._reference(element, text, at), inner)
        return self._literal(value, _LANGUAGE if spec.kind == "langString" else _VALUE)

    def _mapped(
        self, value: Any, at: Path, text: Callable[[str, Path], Any], inner: dict[Path, Element] | None = None
    ) -> Any:
        """A value with its texts and the elements in it rewritten; an array stays one, those inside it dissolve."""
        if isinstance(value, list):
            return [self._mapped(item, (*at, *tail), text, inner) for item, tail in flat(value)]
        if isinstance(value, str):
            return text(value, at)
        return self._element(inner[at]) if inner is not None and at in inner else value

    def _literal(self, value: Any, keep: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self._literal(item, keep) for item, _ in flat(value)]
        if not isinstance(value, dict):
            return value
        dropped = [key for key in value if key.startswith("@") and key not in keep]
        for key in dropped:
            self._note(f"{key} was dropped from a value; DTDL v2 ignores it and DTDL v3 refuses it.")
        return {key: inner for key, inner in value.items() if key not in dropped}

    def _extra(self, element: Element, key: str, value: Any, result: dict[str, Any]) -> None:
        """A property that a type brought in: the unit of a quantity, or something nobody knows."""
        links = element.extra_links.get(_UNIT)
        if links is None or element.lexicon.resolve(key) != _UNIT:
            self._cannot("unknownProperty", element, (key,), value=key)
        elif any(isinstance(link, Element) for link in links):
            self._cannot("ownUnit", element, (key,))
        else:
            self._renamed(key, "unit")
            result["unit"] = self._mapped(value, (key,), lambda text, at: self._reference(element, text, at))

    # --- words --------------------------------------------------------------------------------------------------------

    def _type(self, element: Element, text: str, at: Path) -> str:
        meaning = element.lexicon.type_meaning(text)
        if meaning.sort == "class":
            name = _PAYLOADS.get(element.parent_property, meaning.name)
            self._renamed(text, name)
            return name
        dtmi = meaning.supplement.id if meaning.supplement is not None else ""
        if dtmi.startswith(_QUANTITY):
            self._measures = True
            self._renamed(text, meaning.name)
            return meaning.name
        if dtmi.startswith(_IOT_CENTRAL):
            self._cannot("iotCentral", element, at, value=f"the type {meaning.name}")
        else:
            self._cannot("unknownType", element, at, value=text)
        return text

    def _reference(self, element: Element, text: str, at: Path) -> str:
        """A name of something: the word that DTDL v3 has for it, if the language defines it."""
        dtmi = element.lexicon.resolve(text)
        standard = find_standard(dtmi) if dtmi is not None else None
        if standard is None:
            return text
        if standard.id.startswith(_IOT_CENTRAL):
            self._cannot("iotCentral", element, at, value=f"the schema {standard.term}")
        elif _same(standard, _WORDS.resolve(standard.term)):
            self._renamed(text, standard.term)
            return standard.term
        return text

    def _context(self, element: Element, given: Any, *, top: bool) -> Any:
        listed = isinstance(given, list)
        entries: list[str] = []
        for number, entry in enumerate(given if listed else [given]):
            entries += self._entry(element, entry, ("@context", number) if listed else ("@context",))
        if top and self._measures and _NEEDED not in entries:
            entries.append(_NEEDED)
            self._note(f"The context {_NEEDED} was added for its types and units.")
        return entries[0] if len(entries) == 1 and not listed else entries

    def _entry(self, element: Element, entry: str, at: Path) -> list[str]:
        name, _, version = entry.partition(";")
        if entry.startswith(CONTEXT):
            self._note(f"The context is {CONTEXT}3 instead of {entry}.")
            return [f"{CONTEXT}3"]
        if name == f"{_IOT_CENTRAL}context" or (name == _QUANTITIES and entry != _NEEDED):
            self._note(f"The context {entry} was dropped; it is not for DTDL v3.")
            return []
        if not version.isdigit() or int(version) not in known_versions(name):
            self._cannot("unknownContext", element, at, value=entry)
        return [entry]

    # --- what is said about it ----------------------------------------------------------------------------------------

    def _renamed(self, old: str, new: str) -> None:
        if old != new:
            self._note(f"{old} is written as {new}.")

    def _note(self, what: str) -> None:
        self.notes.append(what)

    def _cannot(self, rule: str, element: Element, at: Path, **fields: Any) -> None:
        self._found.append((rule, element, at, fields))


def _same(standard: Standard, dtmi: str | None) -> bool:
    """Whether a word of DTDL v3 stands for the same thing; only units are of another class there."""
    other = find_standard(dtmi) if dtmi is not None else None
    same_kind = other is not None and (other.kind == standard.kind or standard.kind == "Unit")
    return same_kind and other is not None and other.term == standard.term
