"""Where interfaces come from that the sources only name: device model repositories, other folders, mappings.

A device model repository keeps `dtmi:com:example:Thermostat;1` in `dtmi/com/example/thermostat-1.json`, and may keep it
together with all it needs in `thermostat-1.expanded.json`. A DTMI is outside data, so it is checked before it becomes a
path, and what a link leads to outside of the folder is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl.options import DEFAULT, Options
from remhart_adt.dtdl.reading.literals import flat
from remhart_adt.dtdl.reading.reader import read_json
from remhart_adt.dtdl.reading.sources import Source
from remhart_adt.errors import DtdlError
from remhart_adt.ids import is_dtmi

__all__ = ["Resolver", "ResolverSource", "folder_resolver", "index_resolver", "mapping_resolver", "resolver_of"]

# Called with DTMIs that nothing read so far defines; answers with sources for those it knows.
Resolver = Callable[[Sequence[str]], Mapping[str, Source] | Iterable[Source] | None]
ResolverSource = Path | Mapping[str, Source] | Sequence[Path | Mapping[str, Source]] | Resolver

_Find = Callable[[str], Source | None]

_ROOT: Final = "dtmi"


def resolver_of(source: ResolverSource | None, options: Options = DEFAULT) -> Resolver | None:
    """The resolver that a caller means: a resolver itself, a mapping from DTMI to source, a folder, or a list of
    folders and mappings, of which the first that knows a DTMI answers.

    A folder that is called `dtmi` or has one of that name is a device model repository; in any other one, every
    `*.json` file is looked into once, when the first question comes. Raises DtdlError when it is none of these.
    """
    if source is None or (callable(source) and not isinstance(source, (Mapping, Path))):
        return source
    if isinstance(source, (Mapping, Path)):
        return _resolver([_finder(source, options)])
    if isinstance(source, Sequence):
        return _resolver([_finder(item, options) for item in source])
    raise _unusable(source)


def folder_resolver(*folders: Path, options: Options = DEFAULT) -> Resolver:
    """A resolver over folders laid out as device model repositories; each is the folder around `dtmi`, or `dtmi`
    itself under any name. The first folder that has an interface answers. Raises DtdlError when one does not exist."""
    return _resolver([_Repository(folder, options).find for folder in folders])


def index_resolver(*places: Path, options: Options = DEFAULT) -> Resolver:
    """A resolver over files, and folders in any layout: every `*.json` file is looked into once, when the first
    question comes. The first place that has an interface answers, in a folder the first file in order of their paths;
    files that are no JSON are passed over. Raises DtdlError when a place does not exist."""
    return _resolver([_Scanned(place, options).find for place in places])


def mapping_resolver(mapping: Mapping[str, Source]) -> Resolver:
    """A resolver that looks DTMIs up in a mapping to texts, paths or decoded JSON."""
    return _resolver([mapping.get])


def _finder(source: Any, options: Options) -> _Find:
    if isinstance(source, Mapping):
        return source.get
    if not isinstance(source, Path):
        raise _unusable(source)
    if source.name == _ROOT or (source / _ROOT).is_dir():
        return _Repository(source, options).find
    return _Scanned(source, options).find


def _unusable(source: object) -> DtdlError:
    return DtdlError(
        f"a {type(source).__name__} cannot resolve DTMIs",
        remedy="Give the Path of a folder, a list of such, a mapping from DTMI to source, or a callable",
    )


def _resolver(finders: Sequence[_Find]) -> Resolver:
    def resolve(dtmis: Sequence[str]) -> dict[str, Source]:
        answer: dict[str, Source] = {}
        given: set[object] = set()
        for dtmi in dtmis:
            source = next((found for find in finders if (found := find(dtmi)) is not None), None)
            # One source may define several of the DTMIs; given twice, it would define them twice.
            mark = source if isinstance(source, Path) else id(source)
            if source is not None and mark not in given:
                given.add(mark)
                answer[dtmi] = source
        return answer

    return resolve


class _Folder:
    """A folder (or file) that exists, and the way to read in it; nothing outside of it is ever read."""

    def __init__(self, folder: Path, options: Options) -> None:
        try:
            self.real = folder.resolve(strict=True)
        except (OSError, RuntimeError):
            remedy = "Give an existing path"
            raise DtdlError("no such file or folder", where=str(folder), remedy=remedy) from None
        self.folder = folder
        self.options = options

    def inside(self, file: Path) -> Path | None:
        """The file behind a path, all links followed, when there is one inside the folder."""
        try:
            real = file.resolve(strict=True)
            return real if real.is_file() and real.is_relative_to(self.real) else None
        except (OSError, RuntimeError, ValueError):  # also a name too long for a file system, and a circle of links
            return None

    def interfaces(self, file: Path) -> dict[str, Any] | None:
        """The top-level objects of a file by DTMI; None when it cannot be read, which is for the parser to tell."""
        try:
            if file.stat().st_size > self.options.max_bytes:
                return None
            value, _ = read_json(file.read_text(encoding="utf-8-sig"), self.options)
        except (OSError, ValueError):
            return None
        found: dict[str, Any] = {}
        for item, _ in flat(value):
            if isinstance(item, dict) and isinstance(item.get("@id"), str):
                found.setdefault(item["@id"], item)
        return found


def _part(file: Path, dtmi: str, interfaces: Mapping[str, Any]) -> Source | None:
    """One interface of a file: the file, so that problems have places, unless it would define others with it."""
    if len(interfaces) == 1 and dtmi in interfaces:
        return file
    return interfaces.get(dtmi)


class _Repository:
    """A folder laid out as a device model repository."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = _Folder(folder, options)
        inner = folder / _ROOT
        self._root = inner if inner.is_dir() else folder
        # What expanded files brought along: a repository may have it nowhere else.
        self._brought: dict[str, Any] = {}

    def find(self, dtmi: str) -> Source | None:
        """The interface of this DTMI, from its expanded file, its plain file, or what other expanded files hold."""
        if not is_dtmi(dtmi):
            return None
        path = self._root / _file_name(dtmi)
        for suffix in (".expanded.json", ".json"):
            file = self._folder.inside(path.with_name(path.name + suffix))
            interfaces = self._folder.interfaces(file) if file is not None else {}
            if interfaces is None:
                return file
            for other, definition in interfaces.items() if suffix != ".json" else ():
                self._brought.setdefault(other, definition)
            source = _part(file, dtmi, interfaces) if file is not None else None
            if source is not None:
                return source
        return self._brought.get(dtmi)


def _file_name(dtmi: str) -> str:
    """The path of an interface below `dtmi`, without suffix: `com/example/thermostat-1`."""
    return dtmi.removeprefix("dtmi:").lower().replace(":", "/").replace(";", "-")


class _Scanned:
    """A file, or a folder in any layout, of which a list of contents is made when it is first asked."""

    def __init__(self, place: Path, options: Options) -> None:
        self._folder = _Folder(place, options)
        self._files: dict[str, tuple[Path, bool]] | None = None

    def find(self, dtmi: str) -> Source | None:
        """The interface of this DTMI from the first file that has it."""
        if self._files is None:
            self._files = self._scan()
        file, alone = self._files.get(dtmi, (None, False))
        if file is None or alone:
            return file
        interfaces = self._folder.interfaces(file)
        return file if interfaces is None else interfaces.get(dtmi)

    def _scan(self) -> dict[str, tuple[Path, bool]]:
        found: dict[str, tuple[Path, bool]] = {}
        for path in _json_files(self._folder.folder):
            file = self._folder.inside(path)
            interfaces = self._folder.interfaces(file) if file is not None else None
            for dtmi in interfaces or ():
                if file is not None and is_dtmi(dtmi):
                    found.setdefault(dtmi, (file, len(interfaces or ()) == 1))
        return found


def _json_files(place: Path) -> Iterable[Path]:
    return _below(place) if place.is_dir() else (place,)


def _below(folder: Path) -> Iterator[Path]:
    """All JSON files below a folder in order of their paths, links to folders not followed."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(files) if name.lower().endswith(".json"))
