"""Which Python classes the class of an interface extends, and which contents it has to write itself.

DTDL lets an interface extend others in any arrangement, Python only where the method resolution order (C3) exists. A
parent that would leave none, or whose attributes mean something else than those of another parent, is no base class:
its contents are written again in the class, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from remhart_adt.dtdl.codegen_names import attributes
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.types import Content
from remhart_adt.errors import DtdlError

__all__ = ["Ancestry", "ancestries", "linearized"]

# Contents that are fields of the twin's class.
_FIELDS = ("Property", "Component")


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The base classes of an interface (DTMIs), those it cannot have with the reason, and the contents its own classes
    write; then the attributes by DTDL name, inherited ones included, of the twin's class and of its telemetry's."""

    bases: tuple[str, ...]
    left_out: Mapping[str, str]
    written: tuple[Content, ...]
    attributes: Mapping[str, str]
    telemetry: Mapping[str, str]

    def of_kind(self, *kinds: str) -> dict[str, Content]:
        """What its own classes write, of these kinds, by name."""
        return {content.name: content for content in self.written if content.kind in kinds}


def linearized(heads: Sequence[Sequence[str]]) -> list[str] | None:
    """The C3 merge of linearizations, which is how Python orders base classes; None when there is no order."""
    waiting = [list(head) for head in heads if head]
    merged: list[str] = []
    while waiting:
        behind = {name for line in waiting for name in line[1:]}
        chosen = next((line[0] for line in waiting if line[0] not in behind), None)
        if chosen is None:
            return None
        merged.append(chosen)
        waiting = [rest for line in waiting if (rest := line[1:] if line[0] == chosen else line)]
    return merged


def ancestries(models: ModelSet, chosen: Sequence[str]) -> dict[str, Ancestry]:
    """The ancestry of each chosen interface, parents before children and components before their owners. Raises
    DtdlError for components that contain each other, which sound DTDL does not have."""
    found: dict[str, Ancestry] = {}
    order: dict[str, list[str]] = {}
    for dtmi in _in_order(models, chosen):
        interface = models[dtmi]
        # Python has a parent's parents anyway, and would not accept them before the parent.
        extends = list(dict.fromkeys(interface.extends))
        parents = [p for p in extends if not any(p in order[q] for q in extends if q != p)]
        bases: list[str] = []
        left_out: dict[str, str] = {}
        inherited: dict[str, str] = {}
        said: dict[str, str] = {}
        for parent in parents:
            other = found[parent]
            clash = _clash(inherited, other.attributes) or _clash(said, other.telemetry)
            if clash:
                left_out[parent] = f"the attribute {clash} would mean two properties"
            elif linearized([*(order[b] for b in [*bases, parent]), [*bases, parent]]) is None:
                left_out[parent] = "Python finds no order for these base classes"
            else:
                bases.append(parent)
                inherited |= other.attributes
                said |= other.telemetry
        order[dtmi] = [dtmi, *(linearized([*(order[b] for b in bases), bases]) or [])]
        provided = {name for base in bases for name in models[base].contents}
        written = tuple(c for name, c in interface.contents.items() if name not in provided)
        inherited |= attributes((c.name for c in written if c.kind in _FIELDS), inherited.values())
        said |= attributes((c.name for c in written if c.kind == "Telemetry"), said.values())
        found[dtmi] = Ancestry(tuple(bases), left_out, written, inherited, said)
    return found


def _clash(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """An attribute that stands for two DTDL names; empty when there is none. (Then no DTDL name has two attributes
    either: a name has a numbered attribute only where its plain one stands for another name.)"""
    meaning = {attribute: name for name, attribute in one.items()}
    for name, attribute in other.items():
        if meaning.get(attribute, name) != name:
            return attribute
    return ""


def _in_order(models: ModelSet, chosen: Sequence[str]) -> list[str]:
    """Each of the chosen interfaces after those its class needs to exist first."""
    needs = {dtmi: [*models[dtmi].extends, *_components(models, dtmi)] for dtmi in chosen}
    try:
        return [dtmi for dtmi in TopologicalSorter(needs).static_order() if dtmi in needs]
    except CycleError as error:
        raise DtdlError(
            f"these interfaces contain each other: {', '.join(dict.fromkeys(error.args[1]))}",
            remedy="Remove a component or an extends; twins of such interfaces would have no end",
        ) from None


def _components(models: ModelSet, dtmi: str) -> list[str]:
    return [content.component for content in models[dtmi].own.values() if content.kind == "Component"]
