"""From what a caller gives (texts, files, folders, decoded JSON) to named JSON values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from remhart_adt.dtdl.elements import Text
from remhart_adt.dtdl.messages import code_of, render
from remhart_adt.dtdl.reader import JsonTextError, read_json
from remhart_adt.dtdl.types import Place, Problem, Severity
from remhart_adt.errors import DtdlError
from remhart_adt.limits import INPUT_FILE_BYTES

__all__ = ["Source", "read_sources"]

Source = str | Path | Mapping[str, Any] | Sequence[Any]


def read_sources(sources: Iterable[Source]) -> tuple[list[Text], list[Problem]]:
    """Every JSON value of the sources, and what could not be read.

    A `str` is DTDL text, a `Path` a file or a folder, anything else decoded JSON. In folders, all `*.json` files below
    are read in order of their paths, without those in folders whose name begins with a dot; JSON in a folder that is
    no interface at all is a warning, since folders hold other files too. Raises DtdlError when a path does not exist.
    """
    texts: list[Text] = []
    problems: list[Problem] = []
    for number, source in enumerate(sources, start=1):
        if isinstance(source, Path):
            if not source.exists():
                raise DtdlError("no such file or folder", where=str(source), remedy="Give an existing path")
            for file in _files(source) if source.is_dir() else [source]:
                _read_file(file, texts, problems, forgiving=source.is_dir())
        elif isinstance(source, str):
            _read_text(f"text {number}", source, texts, problems, forgiving=False)
        else:
            texts.append(Text(_name(source, number), source))
    return texts, problems


def _name(source: Any, number: int) -> str:
    dtmi = source.get("@id") if isinstance(source, Mapping) else None
    return dtmi if isinstance(dtmi, str) else f"source {number}"


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(files) if name.lower().endswith(".json"))


def _read_file(file: Path, texts: list[Text], problems: list[Problem], *, forgiving: bool) -> None:
    try:
        if file.stat().st_size > INPUT_FILE_BYTES:
            raise ValueError(f"it is larger than {INPUT_FILE_BYTES // 1024**2} MB")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        problems.append(_problem("unreadable", Place(str(file), 0, 0), value=error))
        return
    _read_text(str(file), text, texts, problems, forgiving=forgiving)


def _read_text(name: str, text: str, texts: list[Text], problems: list[Problem], *, forgiving: bool) -> None:
    try:
        value = read_json(text)
    except JsonTextError as error:
        problems.append(_problem("invalidJson", Place(name, error.line, error.column), value=error))
        return
    if forgiving and not _looks_like_dtdl(value):
        problems.append(_problem("notAnInterface", Place(name, 1, 1), severity="warning"))
        return
    texts.append(Text(name, value, text.removeprefix("\ufeff")))


def _looks_like_dtdl(value: Any) -> bool:
    """Whether something in it claims to be a DTDL element: it has @context, @id or @type."""
    items = value if isinstance(value, list) else [value]
    flat = [inner for item in items for inner in (item if isinstance(item, list) else [item])]
    return any(isinstance(item, dict) and ({"@context", "@id", "@type"} & item.keys()) for item in flat)


def _problem(rule: str, place: Place, *, severity: Severity = "error", **fields: Any) -> Problem:
    return Problem(code_of(rule), *render(rule, fields), place, severity=severity)
