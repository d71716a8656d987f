"""From what a caller gives (texts, files, folders, decoded JSON) to named JSON values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl.messages import full_id, render
from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.reading.elements import Text
from remhart_adt.dtdl.reading.reader import JsonTextError, read_json
from remhart_adt.dtdl.types import Place, Problem, Severity
from remhart_adt.errors import DtdlError

__all__ = ["Source", "read_sources"]

# Decoded JSON is called by its @id, unless that is no name.
_LONGEST_NAME: Final = 2048

Source = str | Path | Mapping[str, Any] | Sequence[Any]


def read_sources(
    sources: Iterable[Source], options: Options, *, resolved: bool = False
) -> tuple[list[Text], list[Problem]]:
    """Every JSON value of the sources, and what could not be read.

    A `str` is DTDL text, a `Path` a file or a folder, anything else decoded JSON. In folders, all `*.json` files below
    are read in order of their paths, without those in folders whose name begins with a dot; JSON in a folder that is
    no interface at all is a warning, since folders hold other files too. Raises DtdlError when a path does not exist.
    """
    reader = _Reader(options, resolved)
    for number, source in enumerate(sources, start=1):
        if isinstance(source, Path):
            if not source.exists():
                raise DtdlError("no such file or folder", where=str(source), remedy="Give an existing path")
            for file in _files(source) if source.is_dir() else [source]:
                reader.file(file, forgiving=source.is_dir())
        elif isinstance(source, str):
            reader.text(f"text {number}", source, forgiving=False)
        else:
            reader.decoded(_name(source, number), source)
    return reader.texts, reader.problems


def _name(source: Any, number: int) -> str:
    dtmi = source.get("@id") if isinstance(source, Mapping) else None
    named = isinstance(dtmi, str) and dtmi.startswith("dtmi:") and len(dtmi) <= _LONGEST_NAME
    return str(dtmi) if named else f"source {number}"


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(files) if name.lower().endswith(".json"))


class _Reader:
    def __init__(self, options: Options, resolved: bool) -> None:
        self._options = options
        self._resolved = resolved
        self.texts: list[Text] = []
        self.problems: list[Problem] = []

    def file(self, file: Path, *, forgiving: bool) -> None:
        """One file; its size is known before it is read."""
        try:
            if file.stat().st_size > self._options.max_bytes:
                self._refuse("sourceTooLarge", Place(str(file), 1, 1), limit=self._options.max_bytes)
                return
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            self._refuse("unreadable", Place(str(file), 0, 0), value=error)
            return
        self.text(str(file), text, forgiving=forgiving)

    def text(self, name: str, text: str, *, forgiving: bool) -> None:
        """One text; `forgiving`: JSON that is no DTDL at all is only mentioned."""
        try:
            value, odd = read_json(text, self._options)
        except JsonTextError as error:
            self._refuse(error.rule, Place(name, error.line, error.column), value=error, limit=error)
            return
        if forgiving and not _looks_like_dtdl(value):
            self._refuse("notAnInterface", Place(name, 1, 1), severity="warning")
            return
        self.texts.append(Text(name, value, text.removeprefix("\ufeff"), odd, self._resolved))

    def decoded(self, name: str, value: Any) -> None:
        """One JSON value that is no text any more."""
        if _deeper_than(self._options.max_depth, value):
            self._refuse("nestedTooDeep", Place(name, 0, 0), limit=self._options.max_depth)
        else:
            self.texts.append(Text(name, value, resolved=self._resolved))

    def _refuse(self, rule: str, place: Place, *, severity: Severity = "error", **fields: Any) -> None:
        message, remedy = render(rule, fields)
        self.problems.append(Problem(full_id(rule), message, remedy, place, severity=severity))


def _deeper_than(limit: int, value: Any) -> bool:
    """Whether arrays and objects are nested deeper than a limit. Level by level, each container once, because what a
    caller built may contain itself."""
    level = {id(value): value} if isinstance(value, (Mapping, list, tuple)) else {}
    for _ in range(limit):
        inner = (item for c in level.values() for item in (c.values() if isinstance(c, Mapping) else c))
        level = {id(item): item for item in inner if isinstance(item, (Mapping, list, tuple))}
        if not level:
            return False
    return True


def _looks_like_dtdl(value: Any) -> bool:
    """Whether something in it claims to be a DTDL element: it has @context, @id or @type."""
    items = value if isinstance(value, list) else [value]
    flat = [inner for item in items for inner in (item if isinstance(item, list) else [item])]
    return any(isinstance(item, dict) and ({"@context", "@id", "@type"} & item.keys()) for item in flat)
