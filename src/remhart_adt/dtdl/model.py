"""A set of sound interfaces, and the questions one asks about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remhart_adt.dtdl.types import Interface, Report
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

    def __getitem__(self, dtmi: str) -> Interface:
        return self.interfaces[dtmi]

    def __iter__(self) -> Iterator[str]:
        return iter(self.interfaces)

    def __len__(self) -> int:
        return len(self.interfaces)

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

    def is_of_model(self, dtmi: str, base: str, *, exact: bool = False) -> bool:
        """Whether a twin of interface `dtmi` counts as one of `base`: the same, or, unless exact, descended from it.
        False when `dtmi` is not in the set."""
        return dtmi in self.interfaces and (dtmi == base or (not exact and base in self.ancestors(dtmi)))

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
        done: dict[str, None] = {}
        for root in self.interfaces:
            stack = [(root, iter(self._direct(root)))]
            while stack:
                dtmi, waiting = stack[-1]
                following = next((n for n in waiting if n not in done), None)
                if following is not None:
                    stack.append((following, iter(self._direct(following))))
                    continue
                stack.pop()
                done.setdefault(dtmi)
        return list(done)

    def batches(self, size: int = ADT_MODELS_PER_CALL) -> list[list[Mapping[str, Any]]]:
        """The interfaces' JSON in dependency order, cut into upload calls of at most `size`.

        An interface inside another one has no call of its own: it travels with the one it is written in.
        """
        inline = _inline_ids(self.interfaces)
        documents = [self.interfaces[dtmi].definition for dtmi in self.order() if dtmi not in inline]
        return [documents[start : start + size] for start in range(0, len(documents), size)]

    def _direct(self, dtmi: str) -> list[str]:
        interface = self._get(dtmi)
        return [*interface.extends, *(c.component for c in interface.own.values() if c.kind == "Component")]

    def _get(self, dtmi: str) -> Interface:
        interface = self.interfaces.get(dtmi)
        if interface is None:
            raise DtdlError(f"{dtmi} is not in this model set", remedy="Parse it together with the others")
        return interface


def _inline_ids(interfaces: Mapping[str, Interface]) -> set[str]:
    """The DTMIs of interfaces that are written inside another one's JSON."""
    found: set[str] = set()
    for interface in interfaces.values():
        for key in ("contents", "extends"):
            value = interface.definition.get(key)
            for item in value if isinstance(value, list) else [value]:
                inner = item.get("schema") if key == "contents" and isinstance(item, dict) else item
                if isinstance(inner, dict) and isinstance(inner.get("@id"), str) and inner["@id"] in interfaces:
                    found.add(inner["@id"])
    return found
