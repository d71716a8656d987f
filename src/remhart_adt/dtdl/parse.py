"""Parse and validate DTDL: from texts, files and folders to a ModelSet or to a report of everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from remhart_adt.dtdl.build import build_interfaces
from remhart_adt.dtdl.elements import Element, Index, Reference, Text
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.profile import PROFILES
from remhart_adt.dtdl.reader import Path
from remhart_adt.dtdl.rules import check_references, check_siblings, check_structure, unresolved
from remhart_adt.dtdl.sources import Source, read_sources
from remhart_adt.dtdl.types import Problem, Report, Unresolved
from remhart_adt.dtdl.walk import walk
from remhart_adt.errors import DtdlError

__all__ = ["Resolver", "parse", "validate"]

Resolver = Callable[[Sequence[str]], Mapping[str, Source] | Iterable[Source]]

# A resolver that answers every question with a new question would never end.
_ROUNDS: Final = 1000
_RESERVED: Final = ("dtmi:dtdl:", "dtmi:standard:")


def parse(*sources: Source, resolver: Resolver | None = None, profile: str | None = None) -> ModelSet:
    """The interfaces of all sources, and those the resolver adds for references the sources do not define.

    A `str` is DTDL text, a `Path` a file or folder, anything else decoded JSON. `resolver(dtmis)` answers with sources
    for (some of) the DTMIs. `profile` "adt" adds the rules of Azure Digital Twins.
    Raises DtdlError, whose `report` has every problem; its message has the first and their number.
    """
    report, index = _run(sources, resolver, profile)
    if not report.valid:
        raise _error(report)
    return ModelSet(build_interfaces(index), report)


def validate(*sources: Source, resolver: Resolver | None = None, profile: str | None = None) -> Report:
    """Everything that is wrong with the sources; arguments as for `parse`. Raises only when a path does not exist."""
    return _run(sources, resolver, profile)[0]


def _run(sources: tuple[Source, ...], resolver: Resolver | None, profile: str | None) -> tuple[Report, Index]:
    """1. Read. 2. Walk each text. 3. Resolve. 4. Check references. 5. Check structure. A step runs only when the ones
    before found no error, because what it would say then is mostly consequence."""
    if profile is not None and profile not in PROFILES:
        raise DtdlError(f"there is no profile {profile!r}", remedy=f"Use one of: {', '.join(PROFILES)}")
    index = Index()
    texts, problems = read_sources(sources)
    _walk_all(texts, index)

    def sound() -> bool:
        return all(p.severity != "error" for p in problems) and all(text.sound for text in texts)

    def report(missing: tuple[Unresolved, ...] = ()) -> Report:
        found = [*problems, *(p for text in texts for p in text.problems())]
        return Report(tuple(found), missing)

    if not sound():
        return report(), index
    added, missing = _resolve(index, resolver, problems)
    texts += added
    if missing or not sound():
        return report(missing), index
    check_references(index)
    if not sound():
        return report(), index
    check_structure(index)
    if profile is not None:
        PROFILES[profile](index)
    return report(), index


def _walk_all(texts: list[Text], index: Index) -> None:
    for text in texts:
        before = len(index.elements)
        walk(text, index)
        check_siblings(list(index.elements.values())[before:], index)


def _resolve(
    index: Index, resolver: Resolver | None, problems: list[Problem]
) -> tuple[list[Text], tuple[Unresolved, ...]]:
    added: list[Text] = []
    missing = unresolved(index)
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        wanted = [dtmi for dtmi in missing if dtmi not in asked and not dtmi.startswith(_RESERVED)]
        if resolver is None or not wanted:
            break
        asked.update(wanted)
        answer = resolver(wanted)
        texts, unread = read_sources(answer.values() if isinstance(answer, Mapping) else answer)
        problems += unread
        _walk_all(texts, index)
        added += texts
        missing = unresolved(index)
    for dtmi in [dtmi for dtmi in missing if dtmi.startswith(_RESERVED)]:
        for element, prop, reference in missing.pop(dtmi):
            element.say_at(reference.path, "undefinedReservedId", prop, value=dtmi)
    return added, tuple(_located(missing))


def _located(missing: dict[str, list[tuple[Element, str, Reference]]]) -> Iterator[Unresolved]:
    """The missing DTMIs with the places that refer to them, each text searched once."""
    paths: dict[Text, set[Path]] = {}
    for element, _, reference in (use for uses in missing.values() for use in uses):
        paths.setdefault(element.text, set()).add(reference.path)
    places = {text: text.places(wanted) for text, wanted in paths.items()}
    for dtmi, uses in missing.items():
        yield Unresolved(dtmi, tuple(places[element.text][reference.path] for element, _, reference in uses))


def _error(report: Report) -> DtdlError:
    errors = report.errors
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        first = errors[0]
        return DtdlError(
            f"{first.message.rstrip('.')}{more}",
            report=report,
            where=str(first.place) if first.place.file else first.element,
            remedy=first.remedy,
        )
    first_missing = report.unresolved[0]
    count = len(report.unresolved)
    more = f" (and {count - 1} more)" if count > 1 else ""
    return DtdlError(
        f"nothing defines {first_missing.dtmi}{more}",
        report=report,
        where=str(first_missing.places[0]),
        remedy="Add the file that defines it, or correct the reference",
    )
