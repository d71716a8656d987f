"""The filter language of event routes: text to a predicate over events.

    filter     = and {OR and}          and = term {AND term}          term = NOT term | "(" filter ")" | test
    test       = TRUE | FALSE | function "(" value "," value ")" | value operator value
    value      = field | 'text' | number | TRUE | FALSE | NULL        operator = "=" "!=" "<>" "<" "<=" ">" ">="

Keywords and functions in any case, fields and texts as written. A field that an event does not have makes any test of
it false, `!=` included. Arrays cannot be looked into. Values of different types are unequal and have no order.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from remhart_adt.local.adt.events.types import Event

__all__ = ["MAX_CHARS", "Filter", "FilterError", "parse_filter"]

MAX_CHARS: Final = 8000
_MAX_DEPTH: Final = 50
# Longer whole numbers are compared as doubles; Python refuses to read those of thousands of digits.
_MAX_DIGITS: Final = 300
_ATTRIBUTES: Final = ("type", "source", "subject", "id", "dataschema", "datacontenttype", "specversion", "time")
# The names that events had before they were CloudEvents; filters with them are still taken.
_EVENT_TYPES: Final = {
    "Microsoft.DigitalTwins.Twin.Create": "DigitalTwinLifecycleNotification",
    "Microsoft.DigitalTwins.Twin.Delete": "DigitalTwinLifecycleNotification",
    "Microsoft.DigitalTwins.Twin.Update": "DigitalTwinChangeNotification",
    "Microsoft.DigitalTwins.Relationship.Create": "DigitalTwinRelationshipChangeNotification",
    "Microsoft.DigitalTwins.Relationship.Update": "DigitalTwinRelationshipChangeNotification",
    "Microsoft.DigitalTwins.Relationship.Delete": "DigitalTwinRelationshipChangeNotification",
    "microsoft.iot.telemetry": "DigitalTwinTelemetryMessages",
}
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.|'')*')
        |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
        |(?P<name>[A-Za-z_$][\w$]*(?:\.[\w$]+)*)
        |(?P<sign><=|>=|!=|<>|[<>=(),])
        |(?P<end>\Z)|(?P<other>.))""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)|''", re.DOTALL)
_WORD: Final = re.compile(r"\w+", re.ASCII)
_MISSING: Any = object()

Filter = Callable[[Event], bool]
_Value = Callable[[Event], Any]


class FilterError(ValueError):
    """The text is no filter; `line` and `position` count from 1."""

    def __init__(self, line: int, position: int, message: str) -> None:
        super().__init__(f"Line={line}, Position={position}, Message={message}")
        self.line = line
        self.position = position


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse_filter(text: str) -> Filter:
    """The predicate that a filter text describes; raises FilterError."""
    if len(text) > MAX_CHARS:
        raise FilterError(1, MAX_CHARS + 1, f"The filter is longer than {MAX_CHARS} characters")
    return _Parser(text).run()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._token = self._read(0)
        self._depth = 0
        # A name that is no field is a fault of meaning, told only when the form is right.
        self._unknown: _Token | None = None

    def run(self) -> Filter:
        found = self._any()
        if self._token.kind != "end":
            raise self._unexpected()
        if self._unknown is not None:
            raise self._error(self._unknown.at, f"Unknown field '{self._unknown.text}'")
        return found

    # --- tokens

    def _read(self, at: int) -> _Token:
        match = _TOKEN.match(self._text, at)
        assert match is not None  # the last alternatives take the end and any character
        assert match.lastgroup is not None
        return _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))

    def _next(self) -> _Token:
        token = self._token
        self._token = self._read(token.at + len(token.text))
        return token

    def _is(self, *words: str) -> bool:
        return self._token.kind in ("name", "sign") and self._token.text.upper() in words

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._unexpected()
        self._next()

    def _unexpected(self) -> FilterError:
        token = self._token
        if token.kind == "end":
            return self._error(token.at, "Unexpected end of input")
        if token.text == "'":
            return self._error(token.at, "Unterminated text")
        word = _WORD.match(self._text, token.at) if token.kind == "other" else None
        return self._error(token.at, f"Unexpected input '{word[0] if word else token.text}'")

    def _error(self, at: int, message: str) -> FilterError:
        line = self._text.count("\n", 0, at) + 1
        return FilterError(line, at - self._text.rfind("\n", 0, at), message)

    # --- rules

    def _any(self) -> Filter:
        items = [self._all()]
        while self._is("OR"):
            self._next()
            items.append(self._all())
        return items[0] if len(items) == 1 else lambda event: any(item(event) for item in items)

    def _all(self) -> Filter:
        items = [self._term()]
        while self._is("AND"):
            self._next()
            items.append(self._term())
        return items[0] if len(items) == 1 else lambda event: all(item(event) for item in items)

    def _term(self) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(self._token.at, f"The filter is nested deeper than {_MAX_DEPTH} levels")
        try:
            if self._is("NOT"):
                self._next()
                inner = self._term()
                return lambda event: not inner(event)
            if self._is("("):
                self._next()
                inner = self._any()
                self._expect(")")
                return inner
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Filter:
        token = self._token
        function = _FUNCTIONS.get(token.text.upper()) if token.kind == "name" else None
        if function is not None:
            self._next()
            self._expect("(")
            first = self._value()
            self._expect(",")
            second = self._value()
            self._expect(")")
            return lambda event: function(first(event), second(event))
        left = self._value()
        if self._token.kind != "sign" or self._token.text not in _OPERATORS:
            if token.kind == "name" and token.text.upper() in ("TRUE", "FALSE"):
                constant = token.text.upper() == "TRUE"
                return lambda _event: constant
            raise self._unexpected()
        compare = _OPERATORS[self._next().text]
        right = self._value()
        return lambda event: compare(left(event), right(event))

    def _value(self) -> _Value:
        token = self._token
        if token.kind == "text":
            constant: Any = _ESCAPED.sub(lambda found: found[1] or "'", token.text[1:-1])
        elif token.kind == "number":
            whole = token.text.lstrip("+-").isdigit() and len(token.text) <= _MAX_DIGITS
            constant = int(token.text) if whole else float(token.text)
        elif token.kind != "name" or token.text.upper() in ("AND", "OR", "NOT"):
            raise self._unexpected()
        elif token.text.upper() in _CONSTANTS:
            constant = _CONSTANTS[token.text.upper()]
        else:
            self._next()
            return self._field(token)
        self._next()
        return lambda _event: constant

    def _field(self, token: _Token) -> _Value:
        name, *path = token.text.split(".")
        if token.text in _ATTRIBUTES:
            return lambda event: event.head.get(name, _MISSING)
        if token.text == "$eventType":
            return lambda event: _EVENT_TYPES.get(event.head["type"], _MISSING)
        if name != "$body" and self._unknown is None:
            self._unknown = token
        return lambda event: _inside(event.body, path)


_CONSTANTS: Final[dict[str, Any]] = {"TRUE": True, "FALSE": False, "NULL": None}


def _inside(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _equal(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and bool(left == right)


def _comparison(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        kind = _kind(left)
        return kind in ("number", "str") and kind == _kind(right) and test(left, right)

    return compare


def _present(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: left is not _MISSING and right is not _MISSING and test(left, right)


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": _present(_equal),
    "!=": _present(lambda left, right: not _equal(left, right)),
    "<>": _present(lambda left, right: not _equal(left, right)),
    "<": _comparison(operator.lt),
    "<=": _comparison(operator.le),
    ">": _comparison(operator.gt),
    ">=": _comparison(operator.ge),
}


def _texts(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: isinstance(left, str) and isinstance(right, str) and test(left, right)


_FUNCTIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "STARTS_WITH": _texts(str.startswith),
    "ENDS_WITH": _texts(str.endswith),
    "CONTAINS": _texts(operator.contains),
}
