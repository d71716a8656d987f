"""The index that one walk over each text fills: elements, references between them, and problems found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from remhart_adt.dtdl.messages import full_id, render, service_code
from remhart_adt.dtdl.reading.reader import Path, locate, pointer
from remhart_adt.dtdl.tables.lexicon import Lexicon
from remhart_adt.dtdl.tables.metamodel import Prop
from remhart_adt.dtdl.tables.standard import Standard
from remhart_adt.dtdl.tables.supplements import Extra, Supplement
from remhart_adt.dtdl.types import Place, Problem, Severity

__all__ = ["MAX_PROBLEMS", "Element", "Index", "Link", "Reference", "Spot", "Stop", "Text", "article"]

# A hostile text can break a rule at every byte; nobody reads more than this many problems of one text.
MAX_PROBLEMS: Final = 500
# Rules that a misspelt word breaks, and the field of the message that has the word.
_MISSPELT: Final = {"badDtmiOrTerm": "value", "propertyUndefinedTerm": "prop", "typeUndefinedTerm": "value"}
# Looking for the nearest of all words takes time, which a hostile text could multiply.
_MOST_GUESSES: Final = 20
_LONGEST_GUESS: Final = 60
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return _NOTHING


class Stop(Exception):  # noqa: N818 (a signal, not a failure)
    """An identifier, a context or a required property is unusable; the problem is noted, the text's reading ends."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Found:
    """A broken rule as noted: the place is the path of `owner` (None: the text itself) and then `tail`."""

    rule: str
    fields: dict[str, Any]
    owner: Element | None
    tail: Path
    element: Element | str
    severity: Severity

    @property
    def path(self) -> Path:
        return self.tail if self.owner is None else (*self.owner.path, *self.tail)


@dataclass(slots=True, eq=False, repr=False)
class Text:
    """One source: its name, its JSON value, and the text it came from when there is one (places need it).

    `odd`: some keyword of JSON-LD may be broken. `resolved`: a resolver gave it. `failed`: an error was noted.
    """

    name: str
    value: Any
    text: str | None = None
    odd: bool = False
    resolved: bool = False
    failed: bool = False
    found: list[_Found] = field(default_factory=list)

    def say(
        self,
        rule: str,
        owner: Element | None,
        tail: Path = (),
        element: Element | str = "",
        *,
        severity: Severity = "error",
        **fields: Any,
    ) -> None:
        """Note a problem at a place of this text."""
        if severity == "error":
            self.failed = True
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(_Found(rule, fields, owner, tail, element, severity))
        elif len(self.found) == MAX_PROBLEMS:
            self.found.append(_Found("tooManyProblems", {"limit": MAX_PROBLEMS}, None, (), "", "error"))

    def places(self, paths: set[Path]) -> dict[Path, Place]:
        """Where the paths are in this text."""
        if self.text is None:
            return {path: Place(self.name, 0, 0) for path in paths}
        return {path: Place(self.name, *where) for path, where in locate(self.text, paths).items()}

    def problems(self) -> list[Problem]:
        """The problems noted, with their places, in the order of the text."""
        if not self.found:
            return []
        wanted: dict[Text, set[Path]] = {self: {found.path for found in self.found}}
        for found in self.found:
            for value in found.fields.values():
                if isinstance(value, Spot):
                    wanted.setdefault(value.element.text, set()).add(value.element.path)
        places = {text: text.places(paths) for text, paths in wanted.items()}
        result = []
        guesses = 0
        for found in self.found:
            shown = {
                k: places[v.element.text][v.element.path] if isinstance(v, Spot) else v for k, v in found.fields.items()
            }
            element = found.element.id if isinstance(found.element, Element) else found.element
            place, path = places[self][found.path], pointer(found.path)
            message, remedy = render(found.rule, shown)
            if found.rule in _MISSPELT and guesses < _MOST_GUESSES:
                guesses += 1
                remedy = f"{_guess(found)}{remedy}"
            code = service_code(found.rule)
            result.append(Problem(full_id(found.rule), message, remedy, place, element, path, found.severity, code))
        return sorted(result, key=lambda p: (p.place.line, p.place.column))


def _guess(found: _Found) -> str:
    """A question for the word that was probably meant, if one is close."""
    word = found.fields.get(_MISSPELT[found.rule])
    if not isinstance(found.element, Element) or not isinstance(word, str) or len(word) > _LONGEST_GUESS:
        return ""
    # Only an unsound text needs it.
    from difflib import get_close_matches

    lexicon = found.element.lexicon
    known = [*lexicon.words, *lexicon.plans]
    if found.rule == "propertyUndefinedTerm":
        known += lexicon.plans[found.element.kind].properties
    closest = get_close_matches(word, known, n=1, cutoff=0.75)
    return f"Is it '{closest[0]}'? " if closest else ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spot:
    """Another element, as a value in a message: it is shown as the place it stands at."""

    element: Element


@dataclass(slots=True, eq=False, repr=False)
class Reference:
    """A value that names an element: its DTMI, where it stands in its element, whether a word of the context was
    written, and, once resolved, the element or the one that the language defines."""

    dtmi: str
    at: Path
    word: bool = False
    target: Element | None = None
    standard: Standard | None = None


@dataclass(slots=True, eq=False, repr=False)
class Element:
    """One element as written. `at` leads to it from its parent (from the top of the text for a top-level one).

    `links` are child elements and references by property name, `extras` the literal values and `extra_links` the
    references of properties that supplemental types add, by DTMI.
    """

    kind: str
    lexicon: Lexicon
    raw: dict[str, Any]
    text: Text
    parent: Element | None
    parent_property: str
    at: Path
    given_id: str | None
    partition: Element | None = None
    supplements: tuple[Supplement, ...] = ()
    literals: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[Link]] = field(default_factory=dict)
    # Few elements have any, so that the others share an empty one.
    extras: Mapping[str, Any] = field(default_factory=_nothing)
    extra_links: Mapping[str, list[Link]] = field(default_factory=_nothing)
    _id: str = ""

    @property
    def id(self) -> str:
        """The DTMI: as given, else generated from the parent's, the property and the name."""
        if self.given_id is not None:
            return self.given_id
        if not self._id:
            base, mark, version = (self.parent.id if self.parent is not None else "").partition(";")
            name = self.literals.get("name")
            prop = self.parent_property.partition(";")[0]
            self._id = f"{base}:_{prop}{f':__{name}' if name else ''}{mark}{version}"
        return self._id

    @property
    def version(self) -> int:
        """The DTDL version it is written in."""
        return self.lexicon.version

    @property
    def path(self) -> Path:
        """Where it is in its text."""
        parts: list[Path] = []
        current: Element | None = self
        while current is not None:
            parts.append(current.at)
            current = current.parent
        return tuple(part for at in reversed(parts) for part in at)

    @property
    def name(self) -> str:
        """The element's name, or nothing."""
        value = self.literals.get("name", "")
        return value if isinstance(value, str) else ""

    @property
    def owner(self) -> Element:
        """The Interface it belongs to; an Interface belongs to itself."""
        return self if self.kind == "Interface" or self.partition is None else self.partition

    def label(self) -> str:
        """How messages call it: kind with name, or with identifier."""
        return article(self.kind, self.name or self.id)

    def children(self, prop: str) -> list[Element]:
        """The elements defined in place under a property."""
        return [link for link in self.links.get(prop, ()) if isinstance(link, Element)]

    def has_type(self, names: frozenset[str]) -> bool:
        """Whether it has one of these DTDL classes (by name) or supplemental types (by DTMI)."""
        return self.kind in names or any(s.id in names or s.parent in names for s in self.supplements)

    def say(self, rule: str, prop: str = "", tail: Path | None = None, /, **fields: Any) -> None:
        """Note a problem of this element, at one of its properties if that is present, or at an exact place in it."""
        where = tail if tail is not None else (prop,) if prop and prop in self.raw else ()
        known = {"where": self.label(), "version": self.version, "prop": prop}
        self.text.say(rule, self, where, self, **{**known, **fields})


Link = Element | Reference


@dataclass(slots=True, eq=False, repr=False)
class Index:
    """Every element of every text, in the order in which they were read to their end; those with an identifier of
    their own by that; the top-level interfaces in order; and all references."""

    everything: list[Element] = field(default_factory=list)
    identified: dict[str, Element] = field(default_factory=dict)
    interfaces: list[Element] = field(default_factory=list)
    references: list[tuple[Element, str, Prop | Extra, Reference]] = field(default_factory=list)

    def target(self, link: Link) -> Element | None:
        """The element a link leads to; None for language-defined or missing ones."""
        if isinstance(link, Reference):
            return link.target
        # An identifier that an enclosing element took as well belongs to that one.
        return link if link.given_id is None else self.identified.get(link.given_id, link)


def article(kind: str, name: str) -> str:
    """A readable name of an element, such as `the Property 'voltage'`."""
    return f"the {kind} '{name}'" if name else f"the {kind}"
