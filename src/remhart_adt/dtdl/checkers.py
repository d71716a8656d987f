"""Compile a schema into a function that checks one JSON value; fast when the value is sound.

A check returns None for a sound value, else its faults, and raises nothing whatever the value is. The choices the
language leaves open are the public parser's: `true` is no integer, `1.0` is no integer either (3 is a double), a
dateTime has a zone, an integer has 32 bits. A text holds no half of a surrogate pair, which UTF-8 cannot carry.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final, NamedTuple

from remhart_adt.dtdl.types import Schema
from remhart_adt.limits import ADT_STRING_BYTES, JSON_DEPTH

__all__ = ["MAP_KEY", "TOO_DEEP", "Check", "Fault", "compile_schema", "is_map_key"]


class Fault(NamedTuple):
    """What is wrong below a value: where (path parts below it), the kind of fault, and what was expected."""

    path: tuple[str, ...]
    kind: str
    expected: str


Check = Callable[[Any], "list[Fault] | None"]

_NAME_BYTES: Final = 1024  # the service's limit of a property name, which a map key is
MAP_KEY: Final = f"a key of 1 to {_NAME_BYTES} bytes that does not begin with $"
TOO_DEEP: Final = f"nested at most {JSON_DEPTH} levels deep"
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
# Texts that DTDL v4 gives a form to. The public parser takes neither base64 without its padding nor a leading zero.
_TEXTS: Final = {
    "bytes": re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "decimal": re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?", re.ASCII),
    "uuid": re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
}
_FLOAT_MAX: Final = 3.4028235677973362e38  # the largest value that does not round up to infinity in 32 bits


def _wrong(expected: str) -> list[Fault]:
    return [Fault((), "wrong_type", expected)]


def _too_long() -> list[Fault]:
    return [Fault((), "too_long", f"string of at most {ADT_STRING_BYTES} bytes")]


def _string(value: Any) -> list[Fault] | None:
    if type(value) is not str:
        return _wrong("string")
    if value.isascii():  # one look at a flag, and then characters are bytes
        return None if len(value) <= ADT_STRING_BYTES else _too_long()
    try:
        return None if len(value.encode()) <= ADT_STRING_BYTES else _too_long()
    except UnicodeEncodeError:
        return _wrong("string without half a surrogate pair")


def _text(expected: str) -> Check:
    match = _TEXTS[expected].fullmatch

    def check(value: Any) -> list[Fault] | None:
        if type(value) is not str or not match(value):
            return _wrong(expected)
        return None if len(value) <= ADT_STRING_BYTES else _too_long()

    return check


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


def _whole(expected: str, bits: int, *, signed: bool = True) -> Check:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)

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
    "byte": _whole("byte", 8),
    "bytes": _text("bytes"),
    "date": _calendar("date"),
    "dateTime": _calendar("dateTime"),
    "decimal": _text("decimal"),
    "double": _number("double", sys.float_info.max),
    "duration": _duration,
    "float": _number("float", _FLOAT_MAX),
    "integer": _whole("integer", 32),
    "long": _whole("long", 64),
    "short": _whole("short", 16),
    "string": _string,
    "time": _time,
    "unsignedByte": _whole("unsignedByte", 8, signed=False),
    "unsignedInteger": _whole("unsignedInteger", 32, signed=False),
    "unsignedLong": _whole("unsignedLong", 64, signed=False),
    "unsignedShort": _whole("unsignedShort", 16, signed=False),
    "uuid": _text("uuid"),
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
    unknown = [Fault((), "unknown_field", ", ".join(fields) or "none")]

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, dict):
            return _wrong("Object")
        faults: list[Fault] = []
        for key, item in value.items():
            inner = fields.get(key)
            below = inner(item) if inner is not None else unknown
            if below is not None:
                faults.extend(_below(key, below))
        return faults or None

    return check


def _map(schema: Schema, compiled: Callable[[Schema], Check]) -> Check:
    inner = compiled(schema.value.schema) if schema.value is not None else _string
    bad_key = [Fault((), "bad_map_key", MAP_KEY)]

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, dict):
            return _wrong("Map")
        faults: list[Fault] = []
        for key, item in value.items():
            below = inner(item) if is_map_key(key) else bad_key
            if below is not None:
                faults.extend(_below(key, below))
        return faults or None

    return check


def is_map_key(key: Any) -> bool:
    """Names of the service begin with `$`, and the names of properties are limited."""
    if not isinstance(key, str) or not key or key[0] == "$":
        return False
    if key.isascii():
        return len(key) <= _NAME_BYTES
    try:
        return len(key.encode()) <= _NAME_BYTES
    except UnicodeEncodeError:
        return False


def _array(schema: Schema, compiled: Callable[[Schema], Check]) -> Check:
    inner = compiled(schema.element) if schema.element is not None else _string

    def check(value: Any) -> list[Fault] | None:
        if not isinstance(value, list):
            return _wrong("Array")
        faults: list[Fault] = []
        for number, item in enumerate(value):
            below = inner(item)
            if below is not None:
                faults.extend(_below(str(number), below))
        return faults or None

    return check


def _below(key: Any, faults: list[Fault]) -> Iterator[Fault]:
    # JSON has only texts as keys; another one comes from a program, and may be too large to be written.
    part = key if isinstance(key, str) else f"<{type(key).__name__}>"
    return (Fault((part, *fault.path), fault.kind, fault.expected) for fault in faults)


_COMPLEX: Final = {"Object": _object, "Map": _map, "Array": _array}


def compile_schema(schema: Schema, known: dict[str, Check]) -> Check:
    """The check of a schema; `known` remembers the checks of schemas that have an identifier."""
    return _compile(schema, known, 0)


def _compile(schema: Schema, known: dict[str, Check], depth: int) -> Check:
    primitive = _PRIMITIVES.get(schema.kind)
    if primitive is not None:
        return primitive
    check = known.get(schema.id)
    if check is None:
        if depth >= JSON_DEPTH:
            return _later(schema, known)
        # Since DTDL v4 a schema may lead back to itself: who meets it below gets a check that looks for this one later.
        known[schema.id] = _later(schema, known)
        if schema.kind == "Enum":
            check = _enum(schema)
        else:
            check = _COMPLEX[schema.kind](schema, lambda inner: _compile(inner, known, depth + 1))
        known[schema.id] = check
    return check


def _later(schema: Schema, known: dict[str, Check]) -> Check:
    """A check that is found, or made, when there is a value. Only through one of these can a value lead any deeper than
    its schema is written, so here the depth of the value is bounded."""

    def check(value: Any) -> list[Fault] | None:
        if _is_deep(value):
            return [Fault((), "too_deep", TOO_DEEP)]
        return compile_schema(schema, known)(value)

    return check


def _is_deep(value: Any) -> bool:
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, dict | list):
            if depth >= JSON_DEPTH:
                return True
            stack += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]
    return False
