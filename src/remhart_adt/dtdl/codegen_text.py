"""Pieces of Python source in the formatter's style, safe whatever the texts say that DTDL brings in.

Two things are guarded. Text stays text: no quote, backslash or line end of a description ends a docstring or a comment,
nothing invisible changes what a reader sees, and no tool takes a description for an order (`noqa`, `type: ignore`). And
a formatter leaves the result alone: where it would break a line, the line is broken here in the same way.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from unicodedata import category

__all__ = [
    "WIDTH",
    "assigned",
    "class_line",
    "comment",
    "declared",
    "docstring",
    "explode",
    "import_order",
    "imported",
    "quoted",
]

WIDTH: Final = 120
# Marks and overrides of writing direction, and the byte order mark: what is read is not what is there.
_DIRECTION: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_ORDERS: Final = r"(?:noqa|nosec|nopycln|(?:type|fmt|isort|ruff|mypy|pyright|pylint|flake8|pragma|yapf)\s*:)"
_ORDER_FIRST: Final = re.compile(rf"\W*{_ORDERS}", re.IGNORECASE)
_ORDER_WITHIN: Final = re.compile(rf"#(?=\s*{_ORDERS})", re.IGNORECASE)
# A formatter leaves such a line as it is.
_KEEP: Final = "  # fmt: skip"


def _hidden(char: str) -> bool:
    return char in _DIRECTION or category(char) in ("Cc", "Cs", "Zl", "Zp")


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _clean(text: str) -> str:
    """The text on one line, its invisible characters spelt out."""
    return "".join(_escape(char) if _hidden(char) else char for char in " ".join(text.split()))


def _most_columns(text: str) -> int:
    """At least the columns that the text takes; exact for ASCII."""
    return len(text) if text.isascii() else len(text) + sum(1 for char in text if not char.isascii())


def _fits(text: str, indent: int = 0) -> bool:
    return indent + _most_columns(text) <= WIDTH


def _wrapped(text: str, width: int, written: Callable[[str], str] = str) -> list[str]:
    """The text in lines that take at most `width` columns as they are `written`."""
    most = width
    while True:
        lines = [written(line) for line in textwrap.wrap(text, most)]
        if most < 10 or all(_most_columns(line) <= width for line in lines):
            return lines
        most -= 10


def comment(text: str) -> list[str]:
    """The text as comment lines inside a class, none for no text."""
    return [f"# {line}" for line in _wrapped(_clean(text), WIDTH - 6, _no_order)]


def _no_order(line: str) -> str:
    """A line of a comment that no tool takes for an order."""
    note = _ORDER_WITHIN.sub("＃", line)
    return "- " + note if _ORDER_FIRST.match(note) else note


def declared(head: str, value: str, argument: str, text: str) -> list[str]:
    """An attribute of a class with a comment, beside it if there is room, else above. `value` is the default, or the
    beginning of a call with this one `argument`."""
    statement = head + value + (f"{argument})" if argument else "")
    if _fits(statement, 4):
        return _with_comment(statement, text)
    if argument and _fits(head + value, 4) and _fits(argument, 8):
        return [*comment(text), head + value, f"    {argument}", ")"]
    return [*comment(text), statement + _KEEP]


def _with_comment(statement: str, text: str) -> list[str]:
    note = _no_order(_clean(text))
    if note and _fits(f"{statement}  # {note}", 4):
        return [f"{statement}  # {note}"]
    return [*comment(text), statement]


def docstring(paragraphs: Iterable[str], indent: int = 0) -> list[str]:
    """The paragraphs as a docstring; `indent` is the columns before it, which the lines returned do have."""
    pad = " " * indent
    texts = [text for text in map(_clean, paragraphs) if text]
    blocks = [_wrapped(text, WIDTH - indent - 8, _in_quotes) for text in texts]
    lines = [
        pad + line if line else "" for number, block in enumerate(blocks) for line in ([""] * (number > 0) + block)
    ]
    # A quotation mark of the text may touch neither those that begin the docstring nor those that end it.
    first = lines[0].strip()
    lines[0] = f'{pad}"""' + ("'" + first[1:] if first[0] == '"' else first)
    if len(blocks) > 1:
        return [*lines, f'{pad}"""']
    last = lines[-1]
    lines[-1] = (last[:-1] + "'" if last[-1] == '"' else last) + '"""'
    return lines


def _in_quotes(line: str) -> str:
    """A line of text as it is written inside a docstring."""
    return re.sub('"{3,}', lambda run: "'" * len(run[0]), line.replace("\\", "\\\\"))


def quoted(value: str | int) -> str:
    """A text or whole number as a Python literal."""
    if not isinstance(value, str):
        return str(value)
    mark = "'" if value.count('"') > value.count("'") else '"'
    body = "".join("\\" + char if char in ("\\", mark) else _in_literal(char) for char in value)
    return mark + body + mark


def _in_literal(char: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    return named or (_escape(char) if _hidden(char) else char)


def assigned(target: str, literal: str, note: str = "") -> list[str]:
    """`target = literal` in a class body, with a comment."""
    line = f"{target} = {literal}"
    if _fits(line, 4):
        return _with_comment(line, note)
    if literal.isascii() and _fits(literal, 8):
        return [*comment(note), f"{target} = (", f"    {literal}", ")"]
    return [*comment(note), line + _KEEP]


def explode(head: str, items: Sequence[str], tail: str, indent: int = 0) -> list[str]:
    """Items between brackets: on one line if they fit, else one per line."""
    closed = ", ".join(items) + ("," if len(items) == 1 and head.endswith("(") else "")
    one = f"{head}{closed}{tail}"
    return [one] if _fits(one, indent) else [head, *(f"    {item}," for item in items), tail]


def class_line(name: str, bases: Sequence[str]) -> list[str]:
    """The first line of a class, or its first lines."""
    one = f"class {name}({', '.join(bases)}):"
    return [one] if _fits(one) else [f"class {name}(", *(f"    {base}," for base in bases), "):"]


def imported(module: str, names: Iterable[str]) -> list[str]:
    """An import of names, each `name` or `name as other`."""
    listed = sorted(names, key=import_order)
    line = f"from {module} import {', '.join(listed)}"
    return [line] if _fits(line) else [f"from {module} import (", *(f"    {name}," for name in listed), ")"]


def import_order(name: str) -> tuple[int, list[tuple[int, int, str]], str]:
    """The order of names in imports and in `__all__`: constants, classes, the rest; digits count as numbers."""
    plain = name.partition(" ")[0]
    kind = 0 if plain.isupper() and len(plain) > 1 else 1 if plain[:1].isupper() else 2
    parts = re.findall(r"\d+|\D+", plain)
    return kind, [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts], name
