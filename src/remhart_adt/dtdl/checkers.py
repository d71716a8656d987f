"""Compile a schema into a function that checks one JSON value; fast when the value is sound.

A check returns None for a sound value, else its faults. The choices the language leaves open are the public parser's:
`true` is no integer, `1.0` is no integer either (3 is a double), a dateTime has a zone, an integer has 32 bits.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import date
from typing import Any, Final, NamedTuple

from remhart_adt.dtdl.types import Schema
from remhart_adt.limits import ADT_STRING_BYTES, JSON_DEPTH

__all__ = ["Check", "Fault", "compile_schema"]


class Fault(NamedTuple):
    """What is wrong below a value: where (path parts below it), the kind of fault, and what was expected."""

    path: tuple[str, ...]
    kind: str
    expected: str


Check = Callable[[Any], "list[Fault] | None"]

_DATE: Final = r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
_ZONE: Final = r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_PATTERNS: Final = {
    "date": re.compile(_DATE, re.ASCII),
    "dateTime": re.compile(_DATE + r"[Tt]" + _TIME + _ZONE, re.ASCII),
}
_TIME_PATTERN: Final = re.compile(_TIME + _ZONE + "?", re.ASCII)
# ISO 8601: years, months, days, or weeks and days; then hours, minutes, seconds. Only the last part has a fraction.
_DURATION: Final = re.compile(
    r"P(?=\d|T\d)(?:(?:\d+(?:\.\d+)?Y)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?D)?|\d+(?:\.\d+)?W(?:\d+(?:\.\d+)?D)?)"
    r"(?:T(?=\d)(?:\d+(?:\.\d+)?H)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?S)?)?",
    re.ASCII,
)
_FRACTION_NOT_LAST: Final = re.compile(r"\.\d+[A-Z].*\d")
_FLOAT_MAX: Final = 3.4028235677973362e38  # the largest value that does not round up to infinity in 32 bits


def _wrong(expected: str) -> list[Fault]:
    return [Fault((), "wrong_type", expected)]


def _string(value: Any) -> list[Fault] | None:
    if type(value) is not str:
        return _wrong("string")
    # A character takes at most four bytes, so short texts need no encoding to be measured.
    if len(value) * 4 > ADT_STRING_BYTES and len(value.encode("utf-8", "surrogatepass")) > ADT_STRING_BYTES:
        return [Fault((), "too_long", f"string of at most {ADT_STRING_BYTES} bytes")]
    return None


def _boolean(value: Any) -> list[Fault] | None:
    return None if value is True or value is False else _wrong("boolean")


def _number(expected: str, limit: float) -> Check:
    low = -limit

    def check(value: Any) -> list[Fault] | None:
        kind = type(value)
        if (kind is float or kind is int) and low <= value <= limit:  # NaN fails the comparison
            return None
        return _wrong(expected)

    return check


def _whole(expected: str, bits: int) -> Check:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def check(value: Any) -> list[Fault] | None:
        return None if type(value) is int and low <= value <= high else _wrong(expected)

    return check


def _calendar(expected: str) -> Check:
    match = _PATTERNS[expected].fullmatch

    def check(value: Any) -> list[Fault] | None:
        found = match(value) if type(value) is str else None
        if found is None:
            return _wrong(expected)
        day = found[3]
        if day > "28" or found[1] == "0000":
            try:
                date(int(found[1]), int(found[2]), int(day))
            except ValueError:
                return _wrong(expected)
        return None

    return check


def _time(value: Any) -> list[Fault] | None:
    return None if type(value) is str and _TIME_PATTERN.fullmatch(value) else _wrong("time")


def _duration(value: Any) -> list[Fault] | None:
    if type(value) is str and _DURATION.fullmatch(value) and not _FRACTION_NOT_LAST.search(value):
        return None
    return _wrong("duration")


_PRIMITIVES: Final[dict[str, Check]] = {
    "boolean": _boolean,
    "date": _calendar("date"),
    "dateTime": _calendar("dateTime"),
    "double": _number("double", sys.float_info.max),
    "duration": _duration,
    "float": _number("float", _FLOAT_MAX),
    "integer": _whole("integer", 32),
    "long": _whole("long", 64),
    "string": _string,
    "time": _time,
}


def _enum(schema: Schema) -> Check:
    values = frozenset(value.value for value in schema.values)
    kind = str if schema.value_schema == "string" else int
    expected = "one of " + ", ".join(str(value.value) for value in schema.values)

    def check(value: Any) -> list[Fault] | None:
        return None if type(value) is kind and value in values else [Fault((), "not_in_enum", expected)]

    return check


def _object(schema: Schema, compiled: Callable[[Schema], Check]) -> Check:
    fields = {name: compiled(inner.schema) for name, inner in schema.fields.items()}

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, dict):
            return _wrong("Object")
        faults: list[Fault] | None = None
        for key, item in value.items():
            inner = fields.get(key)
            below = inner(item) if inner is not None else [Fault((), "unknown_field", ", ".join(fields))]
            if below is not None:
                faults = (faults or []) + _below(key, below)
        return faults

    return check


def _map(schema: Schema, compiled: Callable[[Schema], Check]) -> Check:
    inner = compiled(schema.value.schema) if schema.value is not None else _string

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, dict):
            return _wrong("Map")
        faults: list[Fault] | None = None
        for key, item in value.items():
            below = (
                inner(item) if _is_map_key(key) else [Fault((), "bad_map_key", "a key of 1 to 1024 bytes without $")]
            )
            if below is not None:
                faults = (faults or []) + _below(key, below)
        return faults

    return check


def _is_map_key(key: Any) -> bool:
    """Names of the service begin with `$`, and property names are limited to 1 KB."""
    return isinstance(key, str) and 0 < len(key) <= 256 and not key.startswith("$")


def _array(schema: Schema, compiled: Callable[[Schema], Check]) -> Check:
    inner = compiled(schema.element) if schema.element is not None else _string

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, list):
            return _wrong("Array")
        faults: list[Fault] | None = None
        for number, item in enumerate(value):
            below = inner(item)
            if below is not None:
                faults = (faults or []) + _below(str(number), below)
        return faults

    return check


def _below(key: str, faults: list[Fault]) -> list[Fault]:
    return [Fault((key, *fault.path), fault.kind, fault.expected) for fault in faults]


_COMPLEX: Final = {"Object": _object, "Map": _map, "Array": _array}


def compile_schema(schema: Schema, known: dict[str, Check], depth: int = 0) -> Check:
    """The check of a schema; `known` remembers the checks of schemas that have an identifier."""
    primitive = _PRIMITIVES.get(schema.kind)
    if primitive is not None:
        return primitive
    check = known.get(schema.id)
    if check is None:
        if depth > JSON_DEPTH:
            raise RecursionError(f"{schema.id} is nested deeper than {JSON_DEPTH} levels")
        if schema.kind == "Enum":
            check = _enum(schema)
        else:
            check = _COMPLEX[schema.kind](schema, lambda inner: compile_schema(inner, known, depth + 1))
        known[schema.id] = check
    return check
