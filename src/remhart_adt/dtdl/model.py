"""A set of sound interfaces, and the questions one asks about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from remhart_adt.dtdl.types import Content, ContentKind, Interface, Report
from remhart_adt.errors import DtdlError
from remhart_adt.limits import ADT_MODELS_PER_CALL

__all__ = ["ModelSet"]


class ModelSet(Mapping[str, Interface]):
    """Interfaces by DTMI, every reference among them resolved. Immutable.

    `report` keeps the warnings of the parse. `checkers` is where `dtdl.instance` keeps its compiled checkers.
    """

    def __init__(self, interfaces: Mapping[str, Interface], report: Report | None = None) -> None:
        self.interfaces: Mapping[str, Interface] = dict(interfaces)
        self.report = report or Report()
        self.checkers: dict[str, Any] = {}
        self._ancestors: dict[str, tuple[str, ...]] = {}
        self._children: dict[str, list[str]] | None = None

    def __getitem__(self, dtmi: str) -> Interface:
        return self.interfaces[dtmi]

    def __iter__(self) -> Iterator[str]:
        return iter(self.interfaces)

    def __len__(self) -> int:
        return len(self.interfaces)

    def contents(self, dtmi: str, kind: ContentKind | None = None) -> dict[str, Content]:
        """The contents of an interface by name, inherited ones included; of one kind when that is given."""
        interface = self._get(dtmi)
        return dict(interface.contents) if kind is None else interface.of_kind(kind)

    def ancestors(self, dtmi: str) -> tuple[str, ...]:
        """Every interface it extends, directly or not, nearest first; raises DtdlError when it is not in the set."""
        known = self._ancestors.get(dtmi)
        if known is None:
            found: dict[str, None] = {}
            queue = list(self._get(dtmi).extends)
            for parent in queue:
                if parent not in found:
                    found[parent] = None
                    queue.extend(self.interfaces[parent].extends)
            known = self._ancestors[dtmi] = tuple(found)
        return known

    def descendants(self, dtmi: str) -> tuple[str, ...]:
        """Every interface of the set that extends it, directly or not, nearest first, else in the order of the
        sources."""
        self._get(dtmi)
        if self._children is None:
            self._children = {}
            for child, interface in self.interfaces.items():
                for parent in dict.fromkeys(interface.extends):
                    self._children.setdefault(parent, []).append(child)
        found: dict[str, None] = {}
        queue = list(self._children.get(dtmi, ()))
        for child in queue:
            if child not in found:
                found[child] = None
                queue.extend(self._children.get(child, ()))
        return tuple(found)

    def is_of_model(self, dtmi: str, base: str, *, exact: bool = False) -> bool:
        """Whether a twin of interface `dtmi` counts as one of `base`: the same, or, unless exact, descended from it.
        False when `dtmi` is not in the set."""
        return dtmi in self.interfaces and (dtmi == base or (not exact and base in self.ancestors(dtmi)))

    def targets(self, dtmi: str, relationship: str) -> tuple[str, ...]:
        """The interfaces of the set whose twins a relationship of `dtmi` may lead to: its target and what extends it,
        or every one when it names none. Empty when the target, which a model need not define, is not in the set."""
        content = self._get(dtmi).contents.get(relationship)
        if content is None or content.kind != "Relationship":
            raise DtdlError(
                f"{dtmi} has no relationship {relationship!r}",
                remedy="Use the name of one of its relationships, inherited ones included",
            )
        if content.target is None:
            return tuple(self.interfaces)
        return (content.target, *self.descendants(content.target)) if content.target in self.interfaces else ()

    def defaults(self, dtmi: str) -> dict[str, Any]:
        """The smallest twin document that Azure Digital Twins accepts: properties may be absent, components may not."""
        document: dict[str, Any] = {"$metadata": {"$model": dtmi}}
        for name in self.contents(dtmi, "Component"):
            document[name] = {"$metadata": {}}
        return document

    def dependencies(self, dtmi: str) -> tuple[str, ...]:
        """Everything the interface needs, through extends and components, directly or not; itself left out."""
        found: dict[str, None] = {}
        queue = list(self._direct(dtmi))
        for needed in queue:
            if needed not in found and needed != dtmi:
                found[needed] = None
                queue.extend(self._direct(needed))
        return tuple(found)

    def order(self) -> list[str]:
        """Every DTMI, each after all it depends on; otherwise in the order of the sources."""
        return [dtmi for group in _groups(self.interfaces, self._direct) for dtmi in group]

    def batches(self, size: int = ADT_MODELS_PER_CALL) -> list[list[Mapping[str, Any]]]:
        """The interfaces' JSON in dependency order, cut into upload calls of at most `size`: what an interface depends
        on is in its own call or in an earlier one.

        An interface inside another one has no call of its own: it travels with the one it is written in. Documents
        that need one another, which only such inner interfaces bring about, are in one call. Raises DtdlError when
        they are more than `size`.
        """
        owners = _owners(self.interfaces)
        batches: list[list[Mapping[str, Any]]] = []
        room = 0
        documents = [dtmi for dtmi in self.interfaces if dtmi not in owners]
        for group in _groups(documents, lambda dtmi: self._needed(dtmi, owners)):
            if len(group) > size:
                raise DtdlError(
                    f"{len(group)} interfaces cannot be uploaded before one another, and a call takes at most {size}",
                    where=group[0],
                    remedy="Take inner interfaces out of the interfaces they are written in",
                )
            if len(group) > room:
                batches.append([])
                room = size
            batches[-1] += (self.interfaces[dtmi].definition for dtmi in group)
            room -= len(group)
        return batches

    def _needed(self, dtmi: str, owners: Mapping[str, str]) -> list[str]:
        """The documents that a document and the interfaces inside it depend on directly."""
        found: list[str] = []
        entered: set[str] = set()
        queue = [dtmi]
        while queue:
            needed = queue.pop()
            if owners.get(needed, needed) != dtmi:
                found.append(owners.get(needed, needed))
            elif needed not in entered:
                entered.add(needed)
                queue += self._direct(needed)[::-1]
        return found

    def _direct(self, dtmi: str) -> list[str]:
        interface = self._get(dtmi)
        return [*interface.extends, *(c.component for c in interface.own.values() if c.kind == "Component")]

    def _get(self, dtmi: str) -> Interface:
        interface = self.interfaces.get(dtmi)
        if interface is None:
            raise DtdlError(f"{dtmi} is not in this model set", remedy="Parse it together with the others")
        return interface


def _groups(nodes: Iterable[str], needs: Callable[[str], Iterable[str]]) -> list[list[str]]:
    """The nodes, each after all it needs, in groups: of one node, or of those that need one another in a circle.

    Tarjan's strongly connected components, with a stack of its own because a chain of models can be long.
    """
    nodes = list(nodes)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}  # the first node on the path that a node leads back to
    path: dict[str, None] = {}
    groups: list[list[str]] = []
    for root in nodes:
        stack: list[tuple[str, Iterator[str]]] = []
        following: str | None = root if root not in number else None
        while stack or following is not None:
            if following is not None:
                number[following] = lowest[following] = len(number)
                path[following] = None
                stack.append((following, iter(needs(following))))
            node, waiting = stack[-1]
            following = next((n for n in waiting if n not in number or n in path), None)
            if following in path:
                lowest[node], following = min(lowest[node], number[following]), None
                continue
            if following is None:
                stack.pop()
                if stack:
                    lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    groups.append(_taken_from(path, node))
    place = {node: at for at, node in enumerate(nodes)}
    return [sorted(group, key=lambda node: place.get(node, 0)) if len(group) > 1 else group for group in groups]


def _taken_from(path: dict[str, None], first: str) -> list[str]:
    """The end of the path from `first` on, which leaves it."""
    group: list[str] = []
    while first in path:
        group.append(path.popitem()[0])
    return group


def _owners(interfaces: Mapping[str, Interface]) -> dict[str, str]:
    """Every interface that is written inside another one's JSON, with the outermost one around it."""
    around: dict[str, str] = {}
    for dtmi, interface in interfaces.items():
        stack = list(interface.definition.values())
        while stack:
            value = stack.pop()
            if isinstance(value, list):
                stack += value
            elif isinstance(value, dict):
                inner = value.get("@id")
                # Alone, an @id is a reference, where old habits are tolerated.
                if isinstance(inner, str) and inner in interfaces and len(value) > 1:
                    around.setdefault(inner, dtmi)
                else:
                    stack += value.values()
    return {inner: _outermost(inner, around) for inner in around}


def _outermost(dtmi: str, around: Mapping[str, str]) -> str:
    seen = {dtmi}
    while (outer := around.get(dtmi, dtmi)) not in seen:
        seen.add(outer)
        dtmi = outer
    return dtmi
