"""What changed from one set of interfaces to another, element by element, and how much that matters.

| verdict | meaning |
| --- | --- |
| identical | no difference in meaning: layout, order of keys, one value or an array of one, `x` or `{"en": x}` |
| compatible | every twin, relationship and message that was right is right, every reader finds what it read |
| needs a new version | compatible, but under the same DTMI |
| breaking | something that was right is wrong now, or a reader misses something |

| what | compatible | breaking |
| --- | --- | --- |
| interfaces | added | removed |
| contents | Property, Telemetry, Relationship, Command added | removed, renamed, of another kind; Component added |
| schemas | integer to long, float to double and the like | every other one |
| Objects | field added | field removed or renamed |
| Enums | value added | value removed or renamed, or twins hold something else for it |
| Relationships | more targets, greater maxMultiplicity, property added | fewer, smaller, removed |
| Commands | response added | request added, request or response removed |
| types, units | added | removed, changed; Required or Limited added, or an element that is Required |
| writable, nullable | is true now | is false now |
| extends, Components, targets | follow to a newer version; extends more | extends less; lead elsewhere |
| texts, identifiers, the DTDL version | changed | |

A twin must have each Component, which is why a new one breaks the twins there are. What is widened (an Enum, a number,
null) is compatible although a reader may meet values it does not know: none that it knows is lost. Azure Digital Twins
never changes a model that it has, so that any change under the same DTMI needs at least a new version.

An interface is compared with the one of the same DTMI, or else with the newest version of it that only the new set has.
Inherited contents are compared in every interface that has them, and what changed in the interface of a Component
counts where the Component is. A Command's commandType, which means nothing any more, is compared as a mere text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remhart_adt.dtdl.evolution.definitions import leaves
from remhart_adt.dtdl.evolution.grades import (
    Finding,
    Verdict,
    base_of,
    below,
    compare_contents,
    compare_texts,
    compare_types,
    grade_of_new,
    shown,
)
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.parse import parse
from remhart_adt.dtdl.reading.sources import Source
from remhart_adt.dtdl.types import Content, Interface

__all__ = ["VERDICTS", "Change", "Diff", "Verdict", "diff"]

# From harmless to harmful.
VERDICTS: Final[tuple[Verdict, ...]] = ("identical", "compatible", "needs a new version", "breaking")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `interface` is a DTMI of the new set, of the old one when it is gone; `element` a path such as
    `contents/voltage/schema/phaseA`, empty for the interface itself; `old` and `new` are values, shortened.
    `declared_in` is the interface whose definition changed: another one when the element is inherited."""

    interface: str
    element: str
    what: str
    verdict: Verdict
    old: str = ""
    new: str = ""
    declared_in: str = ""

    def __str__(self) -> str:
        values = f" ({self.old or 'nothing'} -> {self.new or 'nothing'})" if self.old or self.new else ""
        return f"{self.interface} {self.element}".rstrip() + f": {self.verdict}: {self.what}{values}"


@dataclass(frozen=True, slots=True)
class Diff:
    """All changes, ordered by interface and element. `pairs` are the DTMIs compared, old and new; `same_id` those
    whose definition changed although the DTMI did not: such a model has to be published under a new version."""

    changes: tuple[Change, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    same_id: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all changes."""
        return _worst(change.verdict for change in self.changes)

    def by_interface(self) -> dict[str, tuple[Change, ...]]:
        """The changes of every interface of either set; none for those that are identical."""
        found: dict[str, list[Change]] = {
            dtmi: [] for dtmi in sorted({*(new for _, new in self.pairs), *self.added, *self.removed})
        }
        for change in self.changes:
            found[change.interface].append(change)
        return {dtmi: tuple(changes) for dtmi, changes in found.items()}

    def verdict_of(self, dtmi: str) -> Verdict:
        """The worst of one interface's changes."""
        return _worst(change.verdict for change in self.changes if change.interface == dtmi)


def diff(old: ModelSet | Source, new: ModelSet | Source) -> Diff:
    """What changed from the old interfaces to the new ones. A side that is no ModelSet is parsed as one source: text,
    a Path, or decoded JSON. Raises DtdlError when a side is not sound DTDL."""
    return _Differ(*(side if isinstance(side, ModelSet) else parse(side) for side in (old, new))).run()


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=VERDICTS.index, default="identical")


class _Differ:
    """Two sets, and which interface of the one became which of the other."""

    def __init__(self, old: ModelSet, new: ModelSet) -> None:
        self._old = old
        self._new = new
        self._partner = _partners(old, new)
        # Shared by all who inherit a content, and by all who have a component of an interface.
        self._contents: dict[tuple[int, int], list[Finding]] = {}
        self._pairs: dict[tuple[str, str], list[tuple[Finding, str]]] = {}

    def run(self) -> Diff:
        changes: list[Change] = []
        same_id: list[str] = []
        for before, after in self._partner.items():
            found = self._pair(before, after)
            if before == after:
                if any(declared_in == after for _, declared_in in found):
                    same_id.append(after)
                    found = [(_needs_version(after), after), *((one, where) for one, where in found)]
                found = [(one._replace(verdict=_worst((one.verdict, "needs a new version"))), at) for one, at in found]
            changes += (Change(after, *one, declared_in=declared_in) for one, declared_in in found)
        reached = set(self._partner.values())
        added = sorted(dtmi for dtmi in self._new if dtmi not in reached)
        removed = sorted(dtmi for dtmi in self._old if dtmi not in self._partner)
        changes += (Change(i, "", "The interface was added.", "compatible", declared_in=i) for i in added)
        changes += (Change(i, "", "The interface is gone.", "breaking", declared_in=i) for i in removed)
        ordered = sorted(dict.fromkeys(changes), key=lambda c: (c.interface, c.element, c.what, c.old, c.new))
        pairs = sorted(self._partner.items(), key=lambda pair: (pair[1], pair[0]))
        return Diff(tuple(ordered), tuple(pairs), tuple(sorted(same_id)), tuple(added), tuple(removed))

    def _pair(self, before: str, after: str) -> list[tuple[Finding, str]]:
        """The findings on two versions of an interface, each with the interface whose definition changed."""
        known = self._pairs.get((before, after))
        if known is None:
            self._pairs[before, after] = []  # what a circle of components, which is not legal DTDL, would meet
            known = self._pairs[before, after] = list(self._interface(self._old[before], self._new[after]))
        return known

    def _interface(self, old: Interface, new: Interface) -> Iterator[tuple[Finding, str]]:
        if old.id != new.id:
            what = "It is another version of the model."
            yield Finding("@id", what, "compatible", old.id.partition(";")[2], new.id.partition(";")[2]), new.id
        own = [*self._head(old, new), *self._extends(old, new), *_schemas(old, new)]
        yield from ((one, new.id) for one in own)
        found = list(self._all_contents(old, new))
        yield from found
        own += (one for one, declared_in in found if declared_in == new.id)
        yield from ((one, new.id) for one in _hidden(old, new, own))

    def _head(self, old: Interface, new: Interface) -> Iterator[Finding]:
        if old.version != new.version:
            what = f"It is written in DTDL v{new.version} now, not v{old.version}."
            yield Finding("@context", what, "compatible", f"v{old.version}", f"v{new.version}")
        yield from compare_texts(old, new)
        yield from compare_types(old, new)

    # --- inheritance --------------------------------------------------------------------------------------------------

    def _extends(self, old: Interface, new: Interface) -> Iterator[Finding]:
        followed: set[str] = set()
        for parent in dict.fromkeys(old.extends):
            if parent in new.extends:
                continue
            moved = self._partner.get(parent, parent)
            if moved in new.extends:
                followed.add(moved)
                yield Finding("extends", "It extends another version.", "compatible", parent, moved)
            elif moved in self._new.ancestors(new.id):
                yield Finding("extends", f"It extends {moved} through another one.", "compatible", parent, "")
            else:
                yield Finding("extends", f"It no longer extends {parent}.", "breaking", parent, "")
        for parent in dict.fromkeys(new.extends):
            if parent not in old.extends and parent not in followed:
                yield Finding("extends", f"It extends {parent} now.", "compatible", "", parent)

    def _all_contents(self, old: Interface, new: Interface) -> Iterator[tuple[Finding, str]]:
        """Own and inherited contents. One that both versions inherit from (versions of) one interface changed there."""
        ancestors = {self._partner.get(a) for a in self._old.ancestors(old.id)} & set(self._new.ancestors(new.id))

        def declared_in(owner: str) -> str:
            return owner if owner in ancestors else new.id

        for name, content in new.contents.items():
            path, owner = below("contents", name), declared_in(content.defined_in)
            before = old.contents.get(name)
            if before is None:
                verdict = "breaking" if content.kind == "Component" else grade_of_new(content.types)
                yield Finding(path, f"The {content.kind} was added.", verdict), owner
                continue
            for one in self._content(before, content):
                yield one._replace(path=below(path, one.path)), owner
            inner = self._inner(before, content)
            if inner != "identical":
                what = f"The contents of the Component changed with {content.component}."
                yield Finding(below(path, "schema"), what, inner), content.component
            if (name in old.own) != (name in new.own):
                what = f"It is declared in {content.defined_in} now."
                yield Finding(path, what, "compatible", before.defined_in, content.defined_in), new.id
        for name, content in old.contents.items():
            if name not in new.contents:
                owner = declared_in(self._partner.get(content.defined_in, ""))
                yield Finding(below("contents", name), f"The {content.kind} is gone.", "breaking"), owner

    # --- one content --------------------------------------------------------------------------------------------------

    def _content(self, old: Content, new: Content) -> list[Finding]:
        known = self._contents.get((id(old), id(new)))
        if known is None:
            known = compare_contents(old, new)
            if old.kind == new.kind == "Component":
                known += self._component(old.component, new.component)
            elif old.kind == new.kind == "Relationship":
                known += self._target(old.target, new.target)
            self._contents[id(old), id(new)] = known
        return known

    def _inner(self, old: Content, new: Content) -> Verdict:
        """How much the contents of a Component changed that kept its interface, or followed it to a newer version."""
        if old.kind != "Component" or self._partner.get(old.component) != new.component:
            return "identical"
        found = self._pair(old.component, new.component)
        return _worst(one.verdict for one, _ in found if one.path.startswith("contents/"))

    def _component(self, old: str, new: str) -> Iterator[Finding]:
        if old != new and self._partner.get(old) == new:
            yield Finding("schema", "The Component is of another version.", "compatible", old, new)
        elif old != new:
            yield Finding("schema", "The Component is of another interface.", "breaking", old, new)

    def _target(self, old: str | None, new: str | None) -> Iterator[Finding]:
        if old == new:
            return
        verdict: Verdict = "breaking"
        if new is None:
            what, verdict = "It may lead to any twin now.", "compatible"
        elif old is None:
            what = "It may no longer lead to any twin."
        elif self._follows(old, new):
            what, verdict = "It leads to another version of its target.", "compatible"
        elif self._new.is_of_model(self._partner.get(old, old), new):
            what, verdict = "It may lead to more twins than before.", "compatible"
        else:
            what = "It leads elsewhere."
        yield Finding("target", what, verdict, old or "any", new or "any")

    def _follows(self, old: str, new: str) -> bool:
        """Whether `new` is what became of `old`; a target need not be in the sets, so that its name has to tell."""
        if old in self._partner:
            return self._partner[old] == new
        return base_of(old) == base_of(new) and _version(old) < _version(new)


def _partners(old: ModelSet, new: ModelSet) -> dict[str, str]:
    """By old DTMI what it became: itself, or else the newest version that only the new set has."""
    newest: dict[str, str] = {}
    for dtmi in new:
        if dtmi not in old:
            newest[base_of(dtmi)] = max(dtmi, newest.get(base_of(dtmi), dtmi), key=_version)
    found = {dtmi: dtmi if dtmi in new else newest.get(base_of(dtmi)) for dtmi in old}
    return {before: after for before, after in found.items() if after is not None}


def _version(dtmi: str) -> tuple[int, int]:
    """The version of a DTMI; none is lower than any."""
    major, _, minor = dtmi.partition(";")[2].partition(".")
    return int(major or 0), int(minor or 0)


def _needs_version(dtmi: str) -> Finding:
    following = f"{base_of(dtmi)};{_version(dtmi)[0] + 1}"
    what = f"It changed under its DTMI, and a model cannot be changed: publish it under a new version ({following})."
    return Finding("@id", what, "needs a new version")


def _schemas(old: Interface, new: Interface) -> Iterator[Finding]:
    """Schemas that were put in or taken out; only their own interface can use them, so contents show what that does."""
    before, after = ({base_of(dtmi) for dtmi in interface.schemas} for interface in (old, new))
    for dtmi in sorted(before ^ after):
        what = "The shared schema is gone." if dtmi in before else "A shared schema was added."
        yield Finding(below("schemas", dtmi), what, "compatible")


def _hidden(old: Interface, new: Interface, told: Iterable[Finding]) -> Iterator[Finding]:
    """Differences in the definitions that no parsed element shows, where nothing has been told yet."""
    before, after = leaves(old.definition), leaves(new.definition)
    if before == after:
        return
    covered = {_root(one.path) for one in told}
    if any(root.startswith("contents/") for root in covered):
        covered |= {_root(path) for path in (*before, *after) if path.startswith("schemas/")}
    for path in sorted({*before, *after}):
        values = before.get(path, ""), after.get(path, "")
        if values[0] != values[1] and _root(path) not in covered:
            what = f"The {path.rpartition('/')[2]} changed."
            yield Finding(path, what, "compatible", shown(values[0]), shown(values[1]))


def _root(path: str) -> str:
    """The element at the top of a path: `contents/voltage`, or `description`."""
    first, _, rest = path.partition("/")
    return f"{first}/{rest.partition('/')[0]}" if first in ("contents", "schemas") else first
