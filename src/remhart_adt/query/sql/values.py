"""What a path reads, as SQL: its JSON type, and its value when that is a scalar.

Most paths are one JSON path of SQLite. Two things of JSON those cannot express, and they take a detour:

- a name with a quote, a backslash or a control character: `json_each` finds it;
- the character U+0000, at which SQLite ends a string that it unescapes: it is replaced before and put back after.

The detour relies on how documents are written: an escape is `\\\\`, `\\"`, `\\n` and the like, or `\\u00xx`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt.query.scope import Member

__all__ = ["COLUMNS", "PLAIN", "TABLES", "Binder", "Operand", "encoded", "operand"]

TABLES: Final = {"twin": "twins", "relationship": "relationships"}
COLUMNS: Final[dict[str, dict[tuple[str, ...], str]]] = {
    "twin": {("$dtId",): "id", ("$metadata", "$model"): "model"},
    "relationship": {
        ("$relationshipId",): "id",
        ("$sourceId",): "source",
        ("$relationshipName",): "name",
        ("$targetId",): "target",
    },
}
"""Paths that are columns, too: always set, always strings."""

PLAIN: Final = re.compile(r"[A-Za-z0-9_$]+")
"""Names that may stand in the text of a statement, where only an index expression needs them."""

# A character that no text should hold marks what was replaced: itself as mark + 1, U+0000 as mark + 0.
_MARK: Final = "\uffff"
# Every name of the detour is a table to join, and SQLite joins 64. No model lets a twin be nested so deep.
_DEEPEST: Final = 50
_ODD: Final = re.compile(f'["\\\\\x00-\x1f{_MARK}]')


class Binder:
    """The parameters of a statement; equal ones share one number."""

    def __init__(self) -> None:
        self._names: dict[tuple[type, Any], str] = {}
        self.parameters: dict[str, Any] = {}

    def __call__(self, value: str | bytes | float) -> str:
        """The name of a parameter with this value. An integer beyond 64 bits is bound as the nearest real number."""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            value = _real(value)
        name = self._names.setdefault((type(value), value), f"p{len(self._names)}")
        self.parameters[name] = value
        return f":{name}"

    def listed(self, values: Any) -> str:
        """The parameters of several values, for IN."""
        return ", ".join(self(value) for value in values)


def _real(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


@dataclass(frozen=True, slots=True)
class Operand:
    """SQL for what a path reads.

    `kind` is the JSON type, NULL when there is nothing; `value` a number or truth value; `text` a string; `array` an
    array as JSON text, with its strings `encoded`. `column` is that of a path that is one, as an index serves it; the
    others are kept from indexes.
    """

    kind: str
    value: str
    text: str
    array: str
    column: str = ""


def operand(member: Member, names: tuple[str, ...], bind: Binder) -> Operand:
    """What a path of one twin or relationship reads."""
    column = COLUMNS[member.kind].get(names)
    if column is not None:
        read = f"{member.key}.{column}"
        return Operand("'text'", f"+{read}", f"+{read}", "NULL", read)
    doc = f"{member.key}.doc"
    plain = next((number for number, name in enumerate(names) if _ODD.search(name)), len(names))
    path = bind("$" + "".join(f'."{name}"' for name in names[:plain]))
    if len(names) - plain > _DEEPEST:
        return Operand("NULL", "NULL", "NULL", "NULL")
    if plain == len(names):
        value = f"json_extract({doc}, {path})"
        inside = f"({doc} -> {path})"
        whole = _put_back(f"json_extract({_replaced(inside)}, '$')")
        text = f"CASE WHEN instr({inside}, '\\u0000') THEN {whole} ELSE {value} END"
        return Operand(f"json_type({doc}, {path})", value, text, _replaced(inside))
    found = [f"json_each({_replaced(doc)}, {path}) j0"]
    for number in range(1, len(names) - plain):
        found.append(
            f"json_each(CASE j{number - 1}.type WHEN 'object' THEN j{number - 1}.value ELSE '{{}}' END) j{number}"
        )
    last = f"j{len(found) - 1}"
    matched = " AND ".join(f"j{number}.key = {bind(encoded(name))}" for number, name in enumerate(names[plain:]))
    source = f"FROM {', '.join(found)} WHERE {matched}"
    value = f"(SELECT {last}.value {source})"
    return Operand(f"(SELECT {last}.type {source})", value, _put_back(value), value)


def encoded(text: str) -> str:
    """A string as it stands in a document in which U+0000 is replaced."""
    return text.replace(_MARK, f"{_MARK}1").replace("\0", f"{_MARK}0")


def _replaced(json: str) -> str:
    """SQL for a JSON text without U+0000. The escaped backslash goes first: the escape of U+0000 may follow one."""
    return f"replace(replace(replace({json}, '\\\\', '\\u005c'), '{_MARK}', '{_MARK}1'), '\\u0000', '{_MARK}0')"


def _put_back(text: str) -> str:
    return f"replace(replace({text}, '{_MARK}0', char(0)), '{_MARK}1', '{_MARK}')"
