"""A YAML (or JSON) text as plain values, with the line each one stands on.

The text is composed to nodes and turned into values here rather than by a YAML constructor: so every value keeps its
position, no tag can name a Python object, and what the text may grow into is bounded before it does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from remhart_adt.errors import GraphError
from remhart_adt.limits import INPUT_FILE_BYTES, JSON_DEPTH

__all__ = ["Document", "Problem", "plain", "read_file", "read_text"]

Path_ = tuple[str | int, ...]

# Values that aliases repeat; what the text itself holds is bounded by its size. Nested aliases grow without bound.
_REPEATED: Final = 200_000
# The parser takes quadratic time over unclosed brackets, so text that nests absurdly is refused before it.
_BRACKETS: Final = 1000
_PREFIX: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a graph: where (`file:line`), about what (`path`), what, and what to do."""

    file: str
    line: int
    path: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        about = f" {self.path}:" if self.path else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        end = "" if self.message.endswith((".", "?", "!")) else "."
        return f"{place}:{about} {self.message}{end}{remedy}"


@dataclass(slots=True)
class Document:
    """Plain values (dict, list, str, int, float, bool, None) and the line of each, by its path of keys and indexes."""

    name: str
    value: Any
    lines: dict[Path_, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path_) -> int:
        """The line of the value at this path, or of the nearest value around it; 0 for a document without lines."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read_file(path: Path) -> Document:
    """Read a graph file. Raises GraphError when it is too large, no UTF-8, or no YAML."""
    try:
        size = path.stat().st_size
        if size > INPUT_FILE_BYTES:
            raise GraphError(
                f"the file has {size:,} bytes, the limit is {INPUT_FILE_BYTES:,}",
                where=str(path),
                remedy="Split the graph into several files",
            )
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise GraphError(error.strerror or str(error), where=str(path), remedy="Check the path") from error
    except UnicodeDecodeError as error:
        raise GraphError(f"byte {error.start} is not UTF-8", where=str(path), remedy="Save it as UTF-8") from error
    return read_text(text, name=str(path))


def read_text(text: str, *, name: str = "<text>") -> Document:
    """Read a graph from text. Raises GraphError when it is no YAML or would grow beyond the limits."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    _refuse_brackets(text, name)
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        raise _broken(name, line, " ".join(str(error.problem or error.context).split())) from error
    except YAMLError as error:
        raise _broken(name, 0, str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise _broken(name, 0, f"nested deeper than {JSON_DEPTH} levels") from error
    document = Document(name, None)
    if node is not None:
        document.value = _Reader(document).value(node, ())
    return document


def plain(value: Any, *, name: str = "<graph>") -> Document:
    """A document from Python values (as a program builds them): dates become text, other types are refused."""
    document = Document(name, None)
    document.value = _plain(value, (), document)
    return document


def _broken(name: str, line: int, message: str) -> GraphError:
    problem = Problem(name, line, "", message)
    return GraphError(
        "the file is not YAML", problems=[problem], where=name, remedy="Correct the text at the line named"
    )


def _refuse_brackets(text: str, name: str) -> None:
    depth = 0
    for match in re.finditer(r"[\[\]{}\n]", text):
        found = match[0]
        if found == "\n":
            continue
        depth = depth + 1 if found in "[{" else max(0, depth - 1)
        if depth > _BRACKETS:
            line = text.count("\n", 0, match.start()) + 1
            raise _broken(name, line, f"nested deeper than {JSON_DEPTH} levels")


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._met: set[int] = set()
        self._left = _REPEATED

    def value(self, node: Any, path: Path_) -> Any:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        line = node.start_mark.line + 1
        if id(node) in self._met:
            self._left -= 1
        else:
            self._met.add(id(node))
        if self._left < 0:
            raise _broken(self._document.name, line, f"aliases repeat more than {_REPEATED:,} values")
        if len(path) > JSON_DEPTH:
            raise _broken(self._document.name, line, f"nested deeper than {JSON_DEPTH} levels")
        self._document.lines[path] = line
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path, line)

    def _mapping(self, node: Any, path: Path_) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _PREFIX + "merge":
                parts = self.value(value_node, (*path, "<<"))
                for part in parts if isinstance(parts, list) else [parts]:
                    if isinstance(part, dict):
                        merged = {**part, **merged}
                    else:
                        self._problem(line, (*path, "<<"), "only mappings can be merged")
                continue
            if not isinstance(key_node.value, str):
                self._problem(line, path, "a key has to be a word")
                continue
            key = key_node.value
            if key in own:
                self._problem(
                    line, (*path, key), f"the key stands here twice, first in line {self._document.line((*path, key))}"
                )
                continue
            own[key] = self.value(value_node, (*path, key))
            self._document.lines[*path, key] = line
        return {**{key: value for key, value in merged.items() if key not in own}, **own}

    def _scalar(self, node: Any, path: Path_, line: int) -> Any:
        text: str = node.value
        kind = str(node.tag).removeprefix(_PREFIX)
        if kind in ("str", "timestamp"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            if kind == "int":
                digits = text.replace("_", "").lstrip("+")
                return int(digits, 0) if re.fullmatch(r"-?0[xob].*", digits) else int(digits)
            if kind == "float":
                number = float(
                    text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").replace(".NaN", "nan")
                )
                if math.isfinite(number):
                    return number
                self._problem(line, path, f"{text} is not a number that can be stored")
                return 0.0
        except ValueError:
            self._problem(line, path, f"{text[:40]!r} is not a number")
            return 0
        self._problem(line, path, f"the tag {node.tag} has no meaning here")
        return text

    def _problem(self, line: int, path: Path_, message: str) -> None:
        self._document.problems.append(Problem(self._document.name, line, dotted(path), message))


def dotted(path: Path_) -> str:
    """A path as a person writes it: `components[3].electrical.r1`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _plain(value: Any, path: Path_, document: Document) -> Any:
    if len(path) > JSON_DEPTH:
        raise GraphError(f"nested deeper than {JSON_DEPTH} levels", where=dotted(path[:4]))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, (*path, str(key)), document) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, i), document) for i, item in enumerate(value)]
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            document.problems.append(Problem(document.name, 0, dotted(path), f"{value} cannot be stored"))
        return value
    document.problems.append(Problem(document.name, 0, dotted(path), f"a {type(value).__name__} cannot be stored"))
    return str(value)
