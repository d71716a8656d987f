"""Faults on demand: the next N matching requests are answered with a status, reset, delayed or answered into the void.

Clients are tested against these; nothing happens unless the admin API asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remhart_adt.local.adt.errors import invalid_argument

__all__ = ["Fault", "Faults"]

Action = Literal["status", "reset", "drop", "delay"]
_ACTIONS: Final = ("status", "reset", "drop", "delay")
_MAX_COUNT: Final = 1_000_000
_MAX_DELAY_MS: Final = 600_000


@dataclass(slots=True)
class Fault:
    """One rule. `status` answers without doing anything; `reset` resets the connection before doing anything; `drop`
    does the work and then resets; `delay` only waits. `delay_ms` is waited before any of them."""

    action: Action
    count: int = 1
    method: str = ""
    path: str = ""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    delay_ms: float = 0.0
    skip: int = 0


class Faults:
    """Rules in the order given; a request uses up one count of the first rule that matches it."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self.hits = 0

    def add(self, document: Any) -> Fault:
        """A rule from JSON; raises 400 naming the member that is wrong."""
        if not isinstance(document, dict):
            raise invalid_argument("A fault is a JSON object.")
        unknown = set(document) - set(Fault.__dataclass_fields__)
        if unknown:
            raise invalid_argument(f"A fault has no member {sorted(unknown)[0]!r}.")
        rule = Fault(
            action=document.get("action", "status"),
            count=_number(document, "count", 1, _MAX_COUNT),
            method=_text(document, "method").upper(),
            path=_text(document, "path"),
            status=_number(document, "status", 503, 599),
            body=document.get("body"),
            delay_ms=_number(document, "delay_ms", 0, _MAX_DELAY_MS),
            skip=_number(document, "skip", 0, _MAX_COUNT),
        )
        if rule.action not in _ACTIONS:
            raise invalid_argument(f"A fault's action is one of {', '.join(_ACTIONS)}.")
        if rule.action == "status" and rule.status < 200:
            raise invalid_argument("A fault's status is between 200 and 599.")
        headers = document.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise invalid_argument("A fault's headers are an object of strings.")
        rule.headers = headers
        self._rules.append(rule)
        return rule

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request runs into."""
        if not self._rules:
            return None
        for rule in self._rules:
            if (rule.method and rule.method != method) or not path.lower().startswith(rule.path.lower()):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.count -= 1
            if rule.count <= 0:
                self._rules.remove(rule)
            self.hits += 1
            return rule
        return None

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()
        self.hits = 0

    @property
    def pending(self) -> int:
        """How many requests are still to be hit."""
        return sum(rule.count for rule in self._rules)


def _number(document: dict[str, Any], name: str, default: int, most: int) -> int:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise invalid_argument(f"A fault's {name} is a number between 0 and {most}.")
    return int(value)


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name, "")
    if not isinstance(value, str):
        raise invalid_argument(f"A fault's {name} is a string.")
    return value
