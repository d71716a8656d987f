"""Read JSON text as DTDL must be read: repeated keys are noticed, and a place in the text can be found again.

The standard library's scanner reads the values, which is fast; places are looked up afterwards, and only when a
problem needs one, by walking the text's tokens once for all paths asked for.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt.limits import INPUT_FILE_BYTES

__all__ = ["MAX_DEPTH", "JsonObject", "JsonTextError", "Path", "locate", "pointer", "read_json"]

Path = tuple[str | int, ...]

# The deepest legal DTDL needs about five JSON levels per schema level, and a schema may nest 24 deep under the most
# generous limit context; 200 leaves room and stays far below what Python's stack can hold.
MAX_DEPTH: Final = 200

_STRING: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN: Final = re.compile(rf'[ \t\r\n]*(?:({_STRING})|([{{}}\[\],:])|([^\s{{}}\[\],:"]+))', re.DOTALL)
_BRACKET: Final = re.compile(rf"{_STRING}|[{{}}\[\]]", re.DOTALL)


class JsonObject(dict[str, Any]):
    """A JSON object in which keys were repeated; `repeated` names them, the last value of each is kept."""

    repeated: tuple[str, ...] = ()


class JsonTextError(ValueError):
    """The text is not JSON that may be read; `line` and `column` count from 1."""

    def __init__(self, what: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class _Frame:
    is_object: bool
    path: Path


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    seen: set[str] = set()
    repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    result = JsonObject(plain)
    result.repeated = tuple(dict.fromkeys(repeated))
    return result


def _constant(name: str) -> Any:
    raise JsonTextError(f"{name} is not JSON")


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside strings."""
    depth = deepest = 0
    for match in _BRACKET.finditer(text):
        mark = match[0]
        if mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "}]":
            depth -= 1
    return deepest


def read_json(text: str) -> Any:
    """The value of a JSON text; a byte order mark is skipped. Raises JsonTextError."""
    text = text.removeprefix("\ufeff")
    if len(text) > INPUT_FILE_BYTES:
        raise JsonTextError(f"the text is larger than {INPUT_FILE_BYTES // 1024**2} MB")
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonTextError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise JsonTextError(f"objects and arrays are nested deeper than {MAX_DEPTH} levels") from None
    except JsonTextError:
        raise
    except ValueError as error:  # an integer with thousands of digits
        raise JsonTextError(str(error)) from None
    # Only a text with that many opening brackets can be nested that deep, and almost none has.
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise JsonTextError(f"objects and arrays are nested deeper than {MAX_DEPTH} levels")
    return value


def pointer(path: Path) -> str:
    """The path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def locate(text: str, paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Line and column, both from 1, where the value of each path begins; the text must be JSON.

    A path that is not in the text gets the place of its deepest ancestor that is.
    """
    wanted = set(paths)
    for path in list(wanted):
        wanted.update(path[:n] for n in range(len(path)))
    offsets = _offsets(text, wanted)
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[Path, tuple[int, int]] = {}
    for path in wanted:
        ancestor = path
        while ancestor not in offsets and ancestor:
            ancestor = ancestor[:-1]
        offset = offsets.get(ancestor, 0)
        line = bisect_right(starts, offset)
        found[path] = (line, offset - starts[line - 1] + 1)
    return found


def _offsets(text: str, wanted: set[Path]) -> dict[Path, int]:
    """Where the value of each wanted path begins, by one walk over the tokens."""
    offsets: dict[Path, int] = {}
    stack: list[_Frame] = []
    path: Path = ()
    index = 0
    key: str | None = None
    indexes: list[int] = []
    position = 1 if text.startswith("\ufeff") else 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        string, mark, _ = match.groups()
        if string is not None and stack and stack[-1].is_object and key is None:
            key = json.loads(string, strict=False) if "\\" in string else string[1:-1]
            continue
        if mark in (":",):
            continue
        if mark == ",":
            key = None
            index += 1
            continue
        if mark in ("}", "]"):
            stack.pop()
            index = indexes.pop()
            # A value just ended: inside an object the key of the ended value stays until the comma.
            key = "" if stack and stack[-1].is_object else None
            continue
        if stack:
            path = (*stack[-1].path, key if stack[-1].is_object and key is not None else index)
        if path in wanted:
            offsets[path] = match.start(match.lastindex or 0)
        if mark in ("{", "["):
            stack.append(_Frame(mark == "{", path))
            indexes.append(index)
            index = 0
            key = None
    return offsets
