"""Parse and validate DTDL: from texts, files and folders to a ModelSet or to a report of everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from remhart_adt.dtdl.build import build_interfaces
from remhart_adt.dtdl.checking.constraints import check_constraints
from remhart_adt.dtdl.checking.profile import PROFILES
from remhart_adt.dtdl.checking.resolve import Use, check_references, look_up
from remhart_adt.dtdl.checking.structure import check_structure
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.options import DEFAULT, Options
from remhart_adt.dtdl.reading.elements import Index, Text
from remhart_adt.dtdl.reading.reader import Path
from remhart_adt.dtdl.reading.sources import Source, read_sources
from remhart_adt.dtdl.reading.walk import walk
from remhart_adt.dtdl.repository import Resolver, ResolverSource, resolver_of
from remhart_adt.dtdl.types import Problem, Report, Unresolved
from remhart_adt.errors import DtdlError

__all__ = ["Resolver", "parse", "validate"]

# A resolver that answers every question with a new question would never end.
_ROUNDS: Final = 1000


def parse(
    *sources: Source, resolver: ResolverSource | None = None, profile: str | None = None, options: Options | None = None
) -> ModelSet:
    """The interfaces of all sources, and those the resolver adds for references the sources do not define.

    A `str` is DTDL text, a `Path` a file or folder, anything else decoded JSON. `resolver` is a folder laid out as a
    device model repository or any other folder of DTDL, a list of such, a mapping from DTMI to source, or a callable
    that is given DTMIs and answers with sources for some of them. `profile` "adt" adds the rules of Azure Digital
    Twins; `options` say how strictly to read. Raises DtdlError, whose `report` has every problem; its message has the
    first and their number.
    """
    run = _Run(resolver, profile, options)
    report = run.report(sources)
    if not report.valid:
        raise _error(report)
    return ModelSet(build_interfaces(run.index), report)


def validate(
    *sources: Source, resolver: ResolverSource | None = None, profile: str | None = None, options: Options | None = None
) -> Report:
    """Everything that is wrong with the sources; arguments as for `parse`. Raises only when a path does not exist."""
    return _Run(resolver, profile, options).report(sources)


class _Run:
    """One reading of some sources, step by step; a step runs only when the ones before found no error, because what
    it would say then is mostly consequence."""

    def __init__(self, resolver: ResolverSource | None, profile: str | None, options: Options | None) -> None:
        if profile is not None and profile not in PROFILES:
            raise DtdlError(f"there is no profile {profile!r}", remedy=f"Use one of: {', '.join(PROFILES)}")
        self.index = Index()
        self._profile = profile
        self._options = options or DEFAULT
        self._resolver = resolver_of(resolver, self._options)
        self._texts: list[Text] = []
        self._problems: list[Problem] = []
        self._missing: dict[str, list[Use]] = {}

    def report(self, sources: Iterable[Source]) -> Report:
        """1. Read and walk each text. 2. Resolve. 3. Check references. 4. Check structure and the extensions' rules.
        5. The profile."""
        self._read(sources)
        for step in (self._resolve, self._references, self._structure, self._profiled):
            if not self._sound():
                break
            step()
        found = [*self._problems, *(p for text in self._texts for p in text.problems())]
        return Report(tuple(found), tuple(_located(self._missing)))

    def _sound(self) -> bool:
        broken = any(p.severity == "error" for p in self._problems) or any(text.failed for text in self._texts)
        return not broken and not self._missing

    def _read(self, sources: Iterable[Source], *, resolved: bool = False) -> None:
        texts, unread = read_sources(sources, self._options, resolved=resolved)
        self._problems += unread
        self._texts += texts
        for text in texts:
            walk(text, self.index, self._options)

    def _resolve(self) -> None:
        """Look every reference up, and ask the resolver for what is missing, as long as it answers."""
        asked: set[str] = set()
        self._missing = look_up(self.index)
        for _ in range(_ROUNDS):
            wanted = [dtmi for dtmi in self._missing if dtmi not in asked]
            if self._resolver is None or not wanted or any(text.failed for text in self._texts):
                break
            asked.update(wanted)
            answer = self._resolver(wanted)
            if answer is None:
                break
            done = len(self.index.references)
            before, self._missing = self._missing, {}
            self._read(answer.values() if isinstance(answer, Mapping) else answer, resolved=True)
            self._missing = _still_missing(before, self.index)
            for dtmi, uses in look_up(self.index, done).items():
                self._missing.setdefault(dtmi, []).extend(uses)
        if any(text.failed for text in self._texts):
            self._missing = {}

    def _references(self) -> None:
        check_references(self.index)

    def _structure(self) -> None:
        check_structure(self.index)
        check_constraints(self.index)

    def _profiled(self) -> None:
        if self._profile is not None:
            PROFILES[self._profile](self.index)


def _still_missing(missing: dict[str, list[Use]], index: Index) -> dict[str, list[Use]]:
    """Those that the answer of a resolver did not define; the others are linked."""
    left: dict[str, list[Use]] = {}
    for dtmi, uses in missing.items():
        target = index.identified.get(dtmi)
        if target is None:
            left[dtmi] = uses
        for _, _, reference in uses:
            reference.target = target
    return left


def _located(missing: dict[str, list[Use]]) -> Iterator[Unresolved]:
    """The missing DTMIs with the places that refer to them, each text searched once."""
    paths: dict[Text, set[Path]] = {}
    for element, _, reference in (use for uses in missing.values() for use in uses):
        paths.setdefault(element.text, set()).add((*element.path, *reference.at))
    places = {text: text.places(wanted) for text, wanted in paths.items()}
    for dtmi, uses in missing.items():
        yield Unresolved(
            dtmi, tuple(places[element.text][*element.path, *reference.at] for element, _, reference in uses)
        )


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
