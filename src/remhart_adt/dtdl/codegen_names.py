"""Names for generated code: modules and classes of interfaces, attributes, members, and what a module may still use.

Interfaces, attributes and members are named independently of the order of the sources, and an odd name that is added
does not rename an ordinary one: whoever needs no change chooses first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from remhart_adt.dtdl.naming import camel, class_name, snake, words

__all__ = ["Names", "Pool", "attributes", "interface_names", "last_segment", "members"]

# Files of these names cannot be made on every system.
_DEVICES: Final = frozenset(["aux", "con", "nul", "prn", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))])


@dataclass(frozen=True, slots=True)
class Names:
    """What an interface is called in Python: its module, its class, and the class of its telemetry messages."""

    module: str
    cls: str
    telemetry: str


class Pool:
    """The class names of one module, each given out once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def take(self, *wishes: str) -> str:
        """The first wish that is free, else the first with a number."""
        numbered = (f"{wishes[0]}{number}" for number in count(2))
        name = next(name for name in chain(wishes, numbered) if name not in self._taken)
        self._taken.add(name)
        return name


def last_segment(dtmi: str) -> str:
    """The last name in a DTMI: `dtmi:a:b;1` -> b."""
    return dtmi.partition(";")[0].rsplit(":", 1)[-1]


def interface_names(
    dtmis: Iterable[str], reserved: Iterable[str] = (), modules: Iterable[str] = ()
) -> dict[str, Names]:
    """The names of interfaces after the last segment of their DTMIs; where these are alike, as many more segments as
    tell them apart, then the version. Classes in `reserved` and modules in `modules` are not used."""
    groups: dict[str, list[str]] = {}
    for dtmi in dict.fromkeys(dtmis):
        groups.setdefault((class_name(last_segment(dtmi)) or "Unnamed").lower(), []).append(dtmi)
    labels = {dtmi: label for group in groups.values() for dtmi, label in _labels(group).items()}
    alone = {group[0] for group in groups.values() if len(group) == 1}
    classes, files = set(reserved), {*modules, *_DEVICES}
    kept = classes | files
    found: dict[str, tuple[str, str]] = {}
    for dtmi in sorted(labels, key=lambda dtmi: (dtmi not in alone, dtmi)):
        stem = "".join(class_name(part) for part in labels[dtmi]) or "Unnamed"
        module = snake("_".join(words(part) for part in labels[dtmi])) or "unnamed"
        first = ["", "Twin"] if {stem, module} & kept else [""]
        endings = chain(first, map(str, count(2)))
        ending = next(e for e in endings if stem + e not in classes and module + _tail(e) not in files)
        found[dtmi] = (module + _tail(ending), stem + ending)
        classes.add(stem + ending)
        files.add(module + _tail(ending))
    telemetry = Pool(classes)
    return {dtmi: Names(*found[dtmi], telemetry.take(found[dtmi][1] + "Telemetry")) for dtmi in sorted(found)}


def _tail(ending: str) -> str:
    return "_" + ending.lower() if ending else ""


def _labels(group: list[str]) -> dict[str, tuple[str, ...]]:
    """Enough parts of each DTMI to tell it from the others of its group."""
    paths = {dtmi: tuple(dtmi.partition(";")[0].split(":"))[1:] for dtmi in group}
    distinct = set(paths.values())
    longest = max(map(len, distinct))
    needed = next((n for n in range(1, longest) if len({path[-n:] for path in distinct}) == len(distinct)), longest)
    labels = {}
    for dtmi, path in paths.items():
        version = dtmi.partition(";")[2].replace(".", "_")
        shared = sum(1 for other in paths.values() if other == path) > 1
        labels[dtmi] = (*path[-needed:], f"V{version}") if shared and version else path[-needed:]
    return labels


def attributes(names: Iterable[str], inherited: Iterable[str]) -> dict[str, str]:
    """The Python attribute of each DTDL name; `inherited` are the attributes that the base classes have."""
    return _told_apart(names, snake, lambda name: camel(snake(name)) == name, set(inherited))


def members(names: Iterable[str]) -> dict[str, str]:
    """The enum member of each enum value's name."""

    def member(name: str) -> str:
        plain = re.sub(r"[^A-Z0-9_]", "_", words(name).upper())
        return plain if plain[:1].isalpha() else "N" + plain

    return _told_apart(names, member, lambda name: camel(words(name)) == name, set())


def _told_apart(
    names: Iterable[str], wish: Callable[[str], str], ordinary: Callable[[str], bool], taken: set[str]
) -> dict[str, str]:
    """What each name wishes, numbered where another one has it already."""
    given = list(names)
    found: dict[str, str] = {}
    for name in sorted(given, key=lambda name: (not ordinary(name), name)):
        wished = wish(name)
        choices = chain([wished], (f"{wished.rstrip('_')}_{number}" for number in count(2)))
        found[name] = next(choice for choice in choices if choice not in taken)
        taken.add(found[name])
    return {name: found[name] for name in given}
