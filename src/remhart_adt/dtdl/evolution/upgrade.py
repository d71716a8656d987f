"""Write DTDL v2 interfaces in DTDL v3, refusing what DTDL v3 cannot say.

A document (one text or file) is converted as a whole or not at all. What is left behind in v2 may not use what is v3,
so that a document which another one left behind uses stays behind too. Steps of `convert`:

1. Read every document; what is not sound DTDL stays behind.
2. Rewrite every element of version 2; what v3 has no word for is a problem.
3. Parse the result together with what stayed behind; a document with a problem stays behind as well, and the rest is
   tried again.

Interfaces that the source only names are taken to be DTDL v2, which v3 may use.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl.checking.resolve import look_up
from remhart_adt.dtdl.evolution.rewrite import Found, Rewriter, to_problems
from remhart_adt.dtdl.options import DEFAULT
from remhart_adt.dtdl.parse import validate
from remhart_adt.dtdl.reading.elements import Element, Index, Text
from remhart_adt.dtdl.reading.literals import flat
from remhart_adt.dtdl.reading.sources import Source, read_sources
from remhart_adt.dtdl.reading.walk import walk
from remhart_adt.dtdl.tables.metamodel import CONTEXT, LIMITS, valid_dtmi
from remhart_adt.dtdl.types import Place, Problem
from remhart_adt.errors import DtdlError

__all__ = ["Conversion", "Converted", "Note", "convert"]

_FROM: Final = 2
_TO: Final = 3
_SUPPORTED: Final = f"DTDL v{_FROM} can be converted to DTDL v{_TO}"
_INTERFACE_ID: Final = LIMITS[_FROM, ""].interface_id_length


@dataclass(frozen=True, slots=True)
class Converted:
    """One document in its new version; `source` is the file it came from, or the source's name in problems."""

    source: str
    document: Any

    @property
    def text(self) -> str:
        """The document as text, indented unless that would make an interface larger than the language allows."""
        limit = LIMITS[_TO, ""].json_bytes or 0
        sizes = (len(json.dumps(item, indent=4, ensure_ascii=False).encode()) for item, _ in flat(self.document))
        indent = 2 if max(sizes, default=0) <= limit else None
        return json.dumps(self.document, indent=indent, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was written differently in a document, or left as it is."""

    source: str
    what: str

    def __str__(self) -> str:
        return f"{self.source}: {self.what}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """The documents that were converted, why the others were not, and what is different."""

    documents: tuple[Converted, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing stayed behind; warnings do not count."""
        return not any(problem.severity == "error" for problem in self.problems)


def convert(source: Source, to: int = _TO) -> Conversion:
    """The interfaces of a source (text, a Path, or decoded JSON), written in DTDL v2, as DTDL v3.

    Every document handed out is sound DTDL v3. In a folder, documents that are DTDL v3 already are left out. Raises
    DtdlError when another version is asked for, when nothing is DTDL v2, and when a path does not exist.
    """
    if to != _TO:
        raise DtdlError(f"nothing can be converted to DTDL v{to}", remedy=_SUPPORTED)
    return _Run(source).result()


class _Document:
    """One text, its top-level interfaces, and what became of them. `sound`: it is valid DTDL as it was given."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.tops: list[Element] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.sound = True
        self.result: Any = None

    @property
    def old(self) -> bool:
        """Whether there is something in it to convert."""
        return any(top.version == _FROM for top in self.tops)

    @property
    def stays(self) -> bool:
        """Whether something keeps it from being converted."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def done(self) -> bool:
        return self.result is not None and not self.stays

    def rewrite(self) -> None:
        """Convert every top-level interface of version 2; others in the same text stay as they are."""
        rewriter = Rewriter()
        done = {top.at: rewriter.top(top) for top in self.tops if top.version == _FROM}
        self.problems += rewriter.problems()
        self.notes += rewriter.notes
        value = self.text.value
        items = [done.get(path, item) for item, path in flat(value)]
        self.result = items if isinstance(value, list) else items[0]


class _Run:
    def __init__(self, source: Source) -> None:
        self._source = source
        texts, self._unread = read_sources([source], DEFAULT)
        self._documents = [_Document(text) for text in texts]
        self._by_text = {document.text: document for document in self._documents}
        self._index = Index()

    def result(self) -> Conversion:
        self._read()
        self._refuse_newer()
        for document in self._documents:
            if document.sound and document.old:
                document.rewrite()
        self._settle()
        noted = [d for d in self._documents if not d.stays]
        return Conversion(
            documents=tuple(Converted(d.text.name, d.result) for d in self._documents if d.done),
            problems=(*self._unread, *(p for d in self._documents for p in d.problems)),
            notes=tuple(Note(d.text.name, what) for d in noted for what in dict.fromkeys(d.notes)),
        )

    # --- step 1 -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        for document in self._documents:
            walk(document.text, self._index, DEFAULT)
        for top in self._index.interfaces:
            self._by_text[top.text].tops.append(top)
        self._references()
        for document in self._documents:
            document.problems += document.text.problems()
        sound = [document for document in self._documents if not document.stays]
        named = {document.text.name: document for document in sound}
        self._blame(validate(*map(self._original, sound), resolver=_stand_ins).problems, named)
        for document in self._documents:
            document.sound = not document.stays

    def _references(self) -> None:
        """Interfaces may be defined elsewhere; nothing else may, since only its own interface can use it."""
        found: list[Found] = []
        for dtmi, uses in look_up(self._index).items():
            for element, prop, reference in uses:
                spec = element.lexicon.plans[element.kind].properties.get(prop)
                if spec is None or "Interface" not in spec.allowed or len(dtmi) > _INTERFACE_ID:
                    found.append(("unresolved", element, reference.at, {"value": dtmi}))
                elif element.version == _FROM:
                    what = f"It uses {dtmi}, which is not in the source and is taken to be DTDL v{_FROM}."
                    self._by_text[element.text].notes.append(what)
        for problem, text in to_problems(found):
            self._by_text[text].problems.append(problem)

    def _refuse_newer(self) -> None:
        """Refuse a source in which nothing can be converted because it is newer already."""
        newer = [document for document in self._documents if document.tops and not document.old]
        if newer and len(newer) == len(self._documents):
            version = newer[0].tops[0].version
            raise DtdlError(f"it is written in DTDL v{version}", where=newer[0].text.name, remedy=_SUPPORTED)
        for document in newer:
            document.notes.append(f"It is DTDL v{document.tops[0].version} already and was left as it is.")

    def _original(self, document: _Document) -> Source:
        """A document as it was given; a source that is no path has only one."""
        return Path(document.text.name) if isinstance(self._source, Path) else self._source

    # --- step 3 -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Let documents stay behind until what is left is sound; each round there are fewer."""
        while True:
            self._stay_together()
            done = [document for document in self._documents if document.done]
            texts = [Converted(document.text.name, document.result).text for document in done]
            beside = [self._original(d) for d in self._documents if d.sound and not d.done]
            problems = validate(*texts, *beside, resolver=_stand_ins).problems if done else ()
            names = {f"text {number}": document for number, document in enumerate(done, 1)}
            if not self._blame(problems, names, moved=True):
                return

    def _blame(
        self, problems: Iterable[Problem], names: Mapping[str, _Document], *, moved: bool = False
    ) -> list[Problem]:
        """Give errors to the documents that they are in, or to all when they are in none; returns the errors. In a
        text that was `moved` line and column mean nothing."""
        errors = [problem for problem in problems if problem.severity == "error"]
        for problem in errors:
            document = names.get(problem.file)
            for one in names.values() if document is None else [document]:
                where = Place(one.text.name, 0, 0) if moved and one is document else problem.place
                one.problems.append(replace(problem, place=where))
        return errors

    def _stay_together(self) -> None:
        """What a document of version 2 uses has to stay in version 2."""
        used: dict[Text, list[Element]] = {}
        for element, _, _, reference in self._index.references:
            target = reference.target
            if element.version == _FROM and target is not None and target.text is not element.text:
                used.setdefault(element.text, []).append(target)
        queue = [document for document in self._documents if document.stays]
        for document in queue:
            for target in used.get(document.text, ()):
                other = self._by_text[target.text]
                if other.done:
                    found = ("usedByVersion2", target, ("@id",), {"other": document.text.name})
                    other.problems += (problem for problem, _ in to_problems([found]))
                    queue.append(other)


def _stand_ins(dtmis: Sequence[str]) -> list[Source]:
    """Empty interfaces in place of those that the source only names."""
    versions = ((dtmi, _FROM if valid_dtmi(dtmi, _FROM) else _TO) for dtmi in dtmis)
    return [{"@context": f"{CONTEXT}{version}", "@id": dtmi, "@type": "Interface"} for dtmi, version in versions]
