"""The import file: one JSON object a line, under the section lines Header, Models, Twins and Relationships, in order.

Everything here is about form. A line that breaks it is reported with its number; reading goes on to find more of them,
unless nothing that follows could be understood.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

import orjson

from remhart_adt.local.adt.jobs.types import Problem

__all__ = ["FORMAT_CODE", "SECTIONS", "Entry", "read_entries"]

SECTIONS: Final = ("Header", "Models", "Twins", "Relationships")
# Seen in the log of the real service, as is the text about $dtId. It looks at the form of the whole file before it
# imports the models, and reports what it finds under that section, whatever section the line stands in.
FORMAT_CODE: Final = "UnsupportedFileFormat"
_REPORTED_UNDER: Final = "Models"
# A model has at most 1 MB and everything else 32 KB as compact JSON; blanks and escapes may double that.
_MAX_LINE: Final = 2 * 1024 * 1024
# Lines are handled in groups of so many bytes, so that others get their turn on the event loop in between.
_GROUP: Final = 64 * 1024
# Decoded, an empty list of two bytes takes this much more.
_CONTAINER: Final = 64
_MAX_PROBLEMS: Final = 100
_BOM: Final = b"\xef\xbb\xbf"
_RELATIONSHIP_KEYS: Final = (
    ("$dtId", " representing the ID of the source twin"),
    ("$relationshipId", ""),
    ("$targetId", " representing the ID of the target twin"),
    ("$relationshipName", ""),
)


class Entry(NamedTuple):
    """One entity: the number of its line, from 1, its section, the decoded object, and about what that weighs."""

    line: int
    section: str
    value: dict[str, Any]
    weight: int


class _FormError(Exception):
    """A line that breaks the form; `fatal` when what follows it means nothing."""

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.fatal = fatal


async def read_entries(chunks: AsyncIterator[bytes], problems: list[Problem]) -> AsyncGenerator[list[Entry], None]:
    """Groups of entities in the order of the file, of about 64 KB each; `problems` grows by what breaks the form."""
    parser = _Parser()
    number = 0
    rest = b""
    async for chunk in chunks:
        for start in range(0, len(chunk), _GROUP):
            text = rest + chunk[start : start + _GROUP]
            *lines, rest = text.split(b"\n")
            if len(rest) > _MAX_LINE:  # refused when it has an end, too: see `_Parser.line`
                lines.append(rest)
            yield list(_parsed(parser, lines, number, problems))
            number += len(lines)
            if parser.stopped:
                return
    yield list(_parsed(parser, [rest], number, problems))
    if not parser.stopped and not parser.has_header:
        problems.append(Problem(_REPORTED_UNDER, number + 1, FORMAT_CODE, "The file ends before its header."))


def _parsed(parser: _Parser, lines: list[bytes], number: int, problems: list[Problem]) -> Iterator[Entry]:
    for raw in lines:
        number += 1
        try:
            entry = parser.line(number, raw)
        except _FormError as error:
            problems.append(Problem(_REPORTED_UNDER, number, FORMAT_CODE, error.message))
            if error.fatal or len(problems) >= _MAX_PROBLEMS:
                parser.stopped = True
                return
        else:
            if entry is not None:
                yield entry


class _Parser:
    """Where in the file we are."""

    def __init__(self) -> None:
        self.section = ""
        self.has_header = False
        self.stopped = False

    def line(self, number: int, raw: bytes) -> Entry | None:
        """The entity of a line; None for blank lines, section lines and the header. Raises `_FormError`."""
        if len(raw) > _MAX_LINE:
            raise _FormError(f"The line is longer than {_MAX_LINE} bytes.", fatal=True)
        if number == 1:
            raw = raw.removeprefix(_BOM)
        if not raw or raw.isspace():
            return None
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise _FormError(f"The line is not valid JSON: {error}.", fatal=not self.section) from None
        if not isinstance(value, dict):
            raise _FormError("The line is not a JSON object.", fatal=not self.section)
        if "Section" in value and len(value) == 1:
            self._enter(value["Section"])
            return None
        if self.section == "Header":
            self._header(value)
            return None
        if not self.section:
            raise _FormError('The file must begin with the line {"Section":"Header"}.', fatal=True)
        _CHECKS[self.section](value)
        return Entry(number, self.section, value, len(raw) + _CONTAINER * (raw.count(b"{") + raw.count(b"[")))

    def _enter(self, name: Any) -> None:
        if name not in SECTIONS:
            raise _FormError(f"There is no section {str(name)[:80]!r}; known: {', '.join(SECTIONS)}.", fatal=True)
        if not self.section and name != "Header":
            raise _FormError('The file must begin with the line {"Section":"Header"}.', fatal=True)
        if self.section == "Header" and not self.has_header:
            raise _FormError("The header is missing: the section Header has one line with fileVersion.", fatal=True)
        if self.section and SECTIONS.index(name) <= SECTIONS.index(self.section):
            what = "occurs twice" if name == self.section else f"must stand before {self.section}"
            raise _FormError(f"The section {name} {what}.", fatal=True)
        self.section = name

    def _header(self, value: dict[str, Any]) -> None:
        if self.has_header:
            raise _FormError("The section Header has one line only.", fatal=True)
        version = value.get("fileVersion")
        if not isinstance(version, str):
            raise _FormError("Header must have property fileVersion.", fatal=True)
        if version.split(".")[0] != "1":
            raise _FormError(f"The fileVersion {version[:40]!r} is not supported; known: '1.0.0'.", fatal=True)
        self.has_header = True


def _model(value: dict[str, Any]) -> None:
    if not _is_text(value.get("@id")):
        raise _FormError("Model must have property @id.")


def _twin(value: dict[str, Any]) -> None:
    if not _is_text(value.get("$dtId")):
        raise _FormError("Twin must have property $dtId.")
    metadata = value.get("$metadata")
    if not isinstance(metadata, dict) or not _is_text(metadata.get("$model")):
        raise _FormError("Twin must have property $metadata.$model.")


def _relationship(value: dict[str, Any]) -> None:
    for key, what in _RELATIONSHIP_KEYS:
        if not _is_text(value.get(key)):
            raise _FormError(f"Relationship must have property {key}{what}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_CHECKS: Final = {"Models": _model, "Twins": _twin, "Relationships": _relationship}
