"""Read JSON text as DTDL must be read: repeated keys are noticed, and a place in the text can be found again.

A scan of the text for its size and nesting comes first, so that nothing hostile reaches the parser. The standard
library's scanner reads the values, which is fast; places are looked up afterwards, and only when a problem needs one,
by walking the text's tokens once for all paths asked for.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

from remhart_adt.dtdl.options import DEFAULT, Options

__all__ = [
    "JsonObject",
    "JsonTextError",
    "Path",
    "broken_keywords",
    "locate",
    "pointer",
    "read_json",
    "repeated_keys",
    "top_level_bytes",
]

Path = tuple[str | int, ...]

_STRING: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_BRACKET: Final = re.compile(rf"{_STRING}|[{{}}\[\]]", re.DOTALL)
_STRINGS: Final = re.compile(_STRING, re.DOTALL)
_NO_BRACKETS: Final = re.compile(r"[^{}\[\]]+")
_STEPS: Final = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPES: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_RULES: Final = {
    "@id": "repeatedIdProperty",
    "@type": "repeatedTypeProperty",
    "@context": "repeatedContextProperty",
    "@graph": "repeatedGraphProperty",
    "@language": "repeatedLanguageProperty",
    "@value": "repeatedValueProperty",
}


class JsonObject(dict[str, Any]):
    """A JSON object in which keys were repeated; `repeated` names them, the last value of each is kept."""

    repeated: tuple[str, ...] = ()


class JsonTextError(ValueError):
    """The text is not JSON that may be read; `line` and `column` count from 1."""

    def __init__(self, rule: str, what: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.rule = rule
        self.line = line
        self.column = column


class _Pairs:
    """Makes the objects of one text. `odd`: some have a key twice, or a keyword whose value has to be looked at."""

    def __init__(self) -> None:
        self.odd = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if "@context" in plain and type(plain["@context"]) is not str:
            context = plain["@context"]
            self.odd = self.odd or type(context) is not list or any(type(entry) is not str for entry in context)
        if "@graph" in plain:
            self.odd = True
        if len(plain) == len(pairs):
            return plain
        self.odd = True
        seen: set[str] = set()
        repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        result = JsonObject(plain)
        result.repeated = tuple(dict.fromkeys(repeated))
        return result


def repeated_keys(value: dict[str, Any]) -> tuple[str, ...]:
    """The keys that stand in an object more than once."""
    return value.repeated if isinstance(value, JsonObject) else ()


def broken_keywords(value: Any) -> Iterator[tuple[str, Path]]:
    """Keywords of JSON-LD that an object has twice, and contexts and graphs that are none, each with its rule and
    place; outermost first. They end the reading of a text before anything else in it is looked at."""
    stack: list[tuple[Any, Path]] = [(value, ())]
    while stack:
        item, path = stack.pop()
        if isinstance(item, list):
            stack.extend((inner, (*path, i)) for i, inner in reversed(list(enumerate(item))))
        elif isinstance(item, dict):
            for key in repeated_keys(item):
                if key.startswith("@"):
                    yield _RULES.get(key, "repeatedKeyword"), (*path, key)
            if (rule := _context_rule(item.get("@context", ""))) is not None:
                yield rule, (*path, "@context")
            graph = item.get("@graph", ())
            if not all(isinstance(node, dict) for node in (graph if isinstance(graph, (list, tuple)) else [graph])):
                yield "graphNotObject", (*path, "@graph")
            stack.extend((inner, (*path, key)) for key, inner in reversed(item.items()))


def _context_rule(context: Any) -> str | None:
    """What is wrong with the form of a context: it names others, and may define terms, each by text or an @id."""
    for entry in context if isinstance(context, list) else [context]:
        if isinstance(entry, dict):
            for definition in entry.values():
                if isinstance(definition, dict):
                    if "@id" not in definition:
                        return "termDefinitionMissingIdProperty"
                    if not isinstance(definition["@id"], str):
                        return "termDefinitionIdPropertyNotString"
                elif definition is not None and not isinstance(definition, str):
                    return "termDefinitionNotStringOrObject"
        elif not isinstance(entry, str):
            return "invalidContext"
    return None


def _constant(name: str) -> Any:
    raise JsonTextError("invalidJson", f"{name} is no number of JSON", 1, 1)


def _check_size(text: str, options: Options) -> None:
    most = options.max_bytes
    if len(text) > most or (len(text) * 4 > most and len(text.encode("utf-8", "surrogatepass")) > most):
        raise JsonTextError("sourceTooLarge", str(most), 1, 1)


def _check_depth(text: str, options: Options) -> None:
    """Refuse nesting that could exhaust the parser; only a text with that many brackets can have it."""
    most = options.max_depth
    if text.count("{") + text.count("[") <= most:
        return
    steps = _NO_BRACKETS.sub("", _STRINGS.sub("", text)).encode().translate(_STEPS)
    if max(accumulate(memoryview(steps).cast("b")), default=0) <= most:
        return
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match[0] in "{[" else -1 if match[0] in "}]" else 0
        if depth > most:
            raise JsonTextError("nestedTooDeep", str(most), *_line_column(text, match.start()))


def _check_surrogates(text: str) -> None:
    """Refuse half of a surrogate pair, written as an escape or as such: it is no character and cannot be stored."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise JsonTextError(
                "invalidJson", "it has half of a surrogate pair", *_line_column(text, error.start)
            ) from None
    if _SURROGATE.search(text) is None:
        return
    expected = -1  # where the second half has to begin
    for match in _ESCAPES.finditer(text):
        code = int(match[1], 16) if match[1] else 0
        low = 0xDC00 <= code < 0xE000
        if (expected >= 0 and not (low and match.start() == expected)) or (low and expected < 0):
            raise JsonTextError("invalidJson", "it has half of a surrogate pair", *_line_column(text, match.start()))
        expected = match.end() if 0xD800 <= code < 0xDC00 else -1
    if expected >= 0:
        raise JsonTextError("invalidJson", "it has half of a surrogate pair", *_line_column(text, expected))


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def read_json(text: str, options: Options = DEFAULT) -> tuple[Any, bool]:
    """The value of a JSON text, and whether `broken_keywords` may find any in it; a byte order mark is skipped.

    Raises JsonTextError.
    """
    pairs = _Pairs()
    text = text.removeprefix("\ufeff")
    _check_size(text, options)
    _check_depth(text, options)
    _check_surrogates(text)
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonTextError("invalidJson", error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise JsonTextError("nestedTooDeep", str(options.max_depth), 1, 1) from None
    except JsonTextError:
        raise
    except ValueError as error:  # an integer with thousands of digits
        raise JsonTextError("invalidJson", str(error)) from None
    return value, pairs.odd


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


def top_level_bytes(text: str) -> dict[Path, int]:
    """How many bytes every object at the top of the text is written in, arrays being only a way to list them."""
    found: dict[Path, int] = {}
    stack: list[tuple[int, Path]] = [(_blank(text, 0), ())]
    while stack:
        position, path = stack.pop()
        if text[position] == "[":
            stack.extend((at, (*path, number)) for number, at in _items(text, position))
        else:
            written = text[position : _SKIP(text, position)[1]]
            found[path] = len(written) if written.isascii() else len(written.encode("utf-8", "replace"))
    return found


def _offsets(text: str, wanted: set[Path]) -> dict[Path, int]:
    """Where the value of each wanted path begins. What no wanted path leads into is skipped by the JSON scanner."""
    tree: _Tree = {}
    for path in wanted:
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    offsets: dict[Path, int] = {}
    stack: list[tuple[int, Path, _Tree]] = [(_blank(text, 1 if text.startswith("\ufeff") else 0), (), tree)]
    while stack:
        position, path, node = stack.pop()
        offsets[path] = position
        mark = text[position : position + 1]
        if node and mark in ("{", "["):
            inner = _members(text, position) if mark == "{" else _items(text, position)
            below = [(at, (*path, part), node[part]) for part, at in inner if part in node]
            # Of a key that stands twice the last value counts, so it has to be the last one taken up.
            stack.extend(reversed(below))
    return {path: offsets[path] for path in wanted if path in offsets}


_Tree = dict[str | int, "_Tree"]
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SKIP: Final = json.JSONDecoder().raw_decode


def _blank(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match is not None else position


def _members(text: str, position: int) -> Iterator[tuple[str, int]]:
    """The keys of the object that begins here, and where their values begin."""
    position = _blank(text, position + 1)
    while (match := _STRINGS.match(text, position)) is not None:
        written = match[0]
        start = _blank(text, _blank(text, match.end()) + 1)
        yield (json.loads(written) if "\\" in written else written[1:-1]), start
        position = _blank(text, _SKIP(text, start)[1])
        if text[position] != ",":
            return
        position = _blank(text, position + 1)


def _items(text: str, position: int) -> Iterator[tuple[int, int]]:
    """The numbers of the elements of the array that begins here, and where they begin."""
    position, number = _blank(text, position + 1), 0
    while text[position] != "]":
        yield number, position
        number += 1
        position = _blank(text, _SKIP(text, position)[1])
        if text[position] == ",":
            position = _blank(text, position + 1)
