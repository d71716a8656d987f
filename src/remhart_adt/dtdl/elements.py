"""The index that one walk over each text fills: elements, references between them, and problems found on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from remhart_adt.dtdl.messages import code_of, render
from remhart_adt.dtdl.reader import Path, locate, pointer
from remhart_adt.dtdl.types import Place, Problem, Severity

__all__ = ["MAX_PROBLEMS", "Element", "Index", "Reference", "Spot", "Text", "article"]

# A hostile text can break a rule at every byte; nobody reads more than this many problems of one text.
MAX_PROBLEMS: Final = 500


@dataclass(slots=True, eq=False)
class Text:
    """One source: its name, its JSON value, and the text it came from when there is one (places need it)."""

    name: str
    value: Any
    text: str | None = None
    found: list[tuple[str, dict[str, Any], Path, str, Severity]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no error was noted."""
        return all(severity != "error" for _, _, _, _, severity in self.found)

    def say(self, rule: str, path: Path, element: str = "", *, severity: Severity = "error", **fields: Any) -> None:
        """Note a problem at a path of this text."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append((rule, fields, path, element, severity))
        elif len(self.found) == MAX_PROBLEMS:
            self.found.append(("tooManyProblems", {"limit": MAX_PROBLEMS}, (), "", "error"))

    def places(self, paths: set[Path]) -> dict[Path, Place]:
        """Where the paths are in this text."""
        if self.text is None:
            return {path: Place(self.name, 0, 0) for path in paths}
        return {path: Place(self.name, *where) for path, where in locate(self.text, paths).items()}

    def problems(self) -> list[Problem]:
        """The problems noted, with their places, in the order of the text."""
        if not self.found:
            return []
        wanted: dict[Text, set[Path]] = {self: {path for _, _, path, _, _ in self.found}}
        for _, fields, _, _, _ in self.found:
            for value in fields.values():
                if isinstance(value, Spot):
                    wanted.setdefault(value.text, set()).add(value.path)
        places = {text: text.places(paths) for text, paths in wanted.items()}
        result = [
            Problem(
                code_of(rule),
                *render(rule, {k: places[v.text][v.path] if isinstance(v, Spot) else v for k, v in fields.items()}),
                places[self][path],
                element,
                pointer(path),
                severity,
            )
            for rule, fields, path, element, severity in self.found
        ]
        return sorted(result, key=lambda p: (p.place.line, p.place.column))


@dataclass(frozen=True, slots=True)
class Spot:
    """A path in a text, as a value in a message: it is shown as the place it stands at."""

    text: Text
    path: Path


@dataclass(slots=True, eq=False)
class Reference:
    """A value that names an element defined elsewhere. `standard` is the kind of a language-defined element (a
    primitive schema's term, or the term of a geospatial schema), else empty."""

    dtmi: str
    path: Path
    standard: str = ""


@dataclass(slots=True, eq=False)
class Element:
    """One element as written: class, literals, and links (child elements or references) by property name."""

    id: str
    kind: str
    version: int
    text: Text
    path: Path
    partition: str
    parent: Element | None
    parent_property: str
    raw: dict[str, Any]
    literals: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[Element | Reference]] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    unit: str | None = None
    families: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The element's name, or nothing."""
        value = self.literals.get("name", "")
        return value if isinstance(value, str) else ""

    def label(self) -> str:
        """How messages call it: kind with name, or with identifier."""
        return article(self.kind, self.name or self.id)

    def children(self, prop: str) -> list[Element]:
        """The elements defined in place under a property."""
        return [link for link in self.links.get(prop, ()) if isinstance(link, Element)]

    def say(self, rule: str, at: str = "", /, **fields: Any) -> None:
        """Note a problem of this element, at one of its properties if that is present."""
        self.say_at((*self.path, at) if at and at in self.raw else self.path, rule, at, **fields)

    def say_at(self, path: Path, rule: str, prop: str, /, **fields: Any) -> None:
        """Note a problem of this element's property at an exact path."""
        known = {"where": self.label(), "version": self.version, "prop": prop}
        self.text.say(rule, path, self.id, **{**known, **fields})


@dataclass(slots=True)
class Index:
    """Every element of every text by identifier, the top-level interfaces in order, and all open references."""

    elements: dict[str, Element] = field(default_factory=dict)
    interfaces: list[Element] = field(default_factory=list)
    references: list[tuple[Element, str, Reference]] = field(default_factory=list)

    def target(self, link: Element | Reference) -> Element | None:
        """The element a link leads to; None for language-defined or missing ones."""
        return link if isinstance(link, Element) else self.elements.get(link.dtmi) if not link.standard else None


def article(kind: str, name: str) -> str:
    """A readable name of an element, such as `the Property 'voltage'`."""
    return f"the {kind} '{name}'" if name else f"the {kind}"
