"""What the words of an element mean under its context: classes, types, properties and references, looked up once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from remhart_adt.dtdl.tables.extensions import find_extension, find_supplement, language
from remhart_adt.dtdl.tables.metamodel import (
    LIMITS,
    SCHEMAS,
    VERSIONS,
    Limits,
    Prop,
    class_names,
    classes,
    valid_dtmi,
)
from remhart_adt.dtdl.tables.supplements import Extra, Supplement

__all__ = ["ClassPlan", "Lexicon", "Meaning", "extra_of", "lexicon"]

# Words come from outside, so what is remembered about them is bounded.
_REMEMBERED: Final = 4096

Sort = Literal["class", "misplaced", "type", "undefined", "refused"]


class Meaning(NamedTuple):
    """What an entry of @type is: a class that elements of this version can be of (`name`), another class (`language`:
    one that only elements of the language are of), a supplemental type, a word nobody knows but the context tolerates,
    or refused (`name` is the broken rule)."""

    sort: Sort
    name: str = ""
    supplement: Supplement | None = None
    language: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassPlan:
    """A class ready for reading: its properties under every name they may be written with, and those it requires."""

    name: str
    properties: dict[str, Prop]
    required: tuple[tuple[str, str], ...]


@dataclass(slots=True, eq=False, repr=False)
class Lexicon:
    """One context, with what it means remembered per word. `complete`: no context is unknown."""

    version: int
    extensions: tuple[tuple[str, int], ...]
    complete: bool
    limits_context: str
    limits: Limits
    words: dict[str, str]
    reserved: tuple[str, ...]
    plans: dict[str, ClassPlan]
    _types: dict[str, Meaning] = field(default_factory=dict)
    _resolved: dict[str, str | None] = field(default_factory=dict)

    @property
    def strict(self) -> bool:
        """Whether unknown keywords and words are refused (from DTDL v3 on)."""
        return self.version > 2

    def resolve(self, text: str) -> str | None:
        """The DTMI that a text stands for: itself, or the one a word of the context has; None when it is neither."""
        known = self._resolved.get(text, "")
        if known != "":
            return known
        if text.startswith("dtmi:"):
            fits = len(text) <= self.limits.id_length and valid_dtmi(text, self.version)
            known = text if fits else None
        else:
            known = self.words.get(text)
        if len(self._resolved) >= _REMEMBERED:
            self._resolved.clear()
        self._resolved[text] = known
        return known

    def type_meaning(self, text: str) -> Meaning:
        """What an entry of @type stands for."""
        known = self._types.get(text)
        if known is None:
            if len(self._types) >= _REMEMBERED:
                self._types.clear()
            known = self._types[text] = self._type(text)
        return known

    def _type(self, text: str) -> Meaning:
        name, _, number = text.removeprefix("dtmi:dtdl:class:").partition(";")
        if text in class_names(self.version) or (
            text.startswith("dtmi:dtdl:class:") and number in map(str, VERSIONS) and name in class_names(int(number))
        ):
            here = text == name or number == str(self.version)
            if here and name in self.plans and name != "Unit":
                return Meaning("class", name)
            own = name == "CommandType" or name in SCHEMAS[self.version]
            return Meaning("misplaced", name, language=here and own)
        dtmi = self.resolve(text)
        if dtmi is None:
            if text.startswith("dtmi:"):
                return Meaning("refused", "typeInvalidDtmi")
            if self.strict and ":" in text:
                return Meaning("refused", "typeNotDtmiNorTerm")
            if self.strict and self.complete:
                return Meaning("refused", "typeUndefinedTerm")
            return Meaning("undefined")
        supplement = find_supplement(dtmi)
        if supplement is None:
            return Meaning("refused", "typeIrrelevantDtmiOrTerm") if self.complete else Meaning("undefined")
        if supplement.abstract:
            return Meaning("refused", "abstractSupplementalType")
        return Meaning("type", supplement.term, supplement)

    def unknown_property(self, text: str) -> str:
        """The rule that a property breaks which no type of its element has; empty where that alone breaks none."""
        if not self.strict:
            return ""
        if self.resolve(text) is not None:
            return "propertyIrrelevantDtmiOrTerm" if self.complete else ""
        if text.startswith("dtmi:"):
            return "propertyInvalidDtmi"
        if ":" in text:
            return "propertyNotDtmiNorTerm"
        return "propertyUndefinedTerm" if self.complete else ""


def extra_of(supplement: Supplement, dtmi: str) -> Extra | None:
    """The property that a type, or the type it is derived from, adds under a DTMI."""
    current: Supplement | None = supplement
    while current is not None:
        for extra in current.extras:
            if extra.id == dtmi:
                return extra
        current = find_supplement(current.parent)
    return None


def _plan(name: str, properties: dict[str, Prop], version: int) -> ClassPlan:
    written = {f"dtmi:dtdl:property:{prop};{version}": spec for prop, spec in properties.items()}
    required = tuple(
        (prop, "missingObjectProperty" if spec.kind == "object" else "missingLiteralProperty")
        for prop, spec in properties.items()
        if spec.required
    )
    return ClassPlan(name, {**properties, **written}, required)


# A hostile text can name a new combination of contexts in every element.
@lru_cache(maxsize=256)
def lexicon(version: int, extensions: tuple[tuple[str, int], ...], complete: bool, limits: str) -> Lexicon:
    """The lexicon of a DTDL version with these extensions (name and version), under a limit context (empty = none)."""
    base = language(version)
    words = dict(base.words)
    reserved = list(base.reserved)
    for name, number in extensions:
        extension = find_extension(name, number)
        words = {**extension.words, **words}
        reserved += extension.reserved
    plans = {name: _plan(name, cls.properties, version) for name, cls in classes(version, limits).items()}
    return Lexicon(
        version=version,
        extensions=extensions,
        complete=complete,
        limits_context=limits,
        limits=LIMITS[version, limits],
        words=words,
        reserved=tuple(reserved),
        plans=plans,
    )
