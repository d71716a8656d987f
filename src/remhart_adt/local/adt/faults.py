"""Faults on demand: which requests run into one, by rule. `misbehave` carries them out.

Clients are tested against these; nothing happens unless the admin API asks for it.
"""

from __future__ import annotations

import asyncio
import fnmatch
import random
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.errors import invalid_argument

__all__ = ["ACTIONS", "Fault", "Faults"]

Action = Literal["status", "reset", "drop", "delay", "hang", "drip", "half"]
ACTIONS: Final[tuple[Action, ...]] = ("status", "reset", "drop", "delay", "hang", "drip", "half")
_MAX_COUNT: Final = 1_000_000
_MAX_DELAY_MS: Final = 600_000
_MAX_SECONDS: Final = 31_536_000
_MAX_TEXT: Final = 4096
_MAX_HEADERS: Final = 50
# A test sets a handful; this many at once is a client that adds rules in a loop and never deletes one.
_MAX_RULES: Final = 1000
_MAX_DONE: Final = 1000
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_NAMES: Final = {"for": "for_s", "after": "after_s", "match": "match_headers", "bytes": "chunk"}


@dataclass(slots=True)
class Fault:
    """One rule.

    Actions: `status` answers without doing anything; `reset` resets the connection before doing anything; `drop` does
    the work and then resets; `delay` only waits; `hang` does nothing and never answers, until the client gives up,
    `seconds` are over or the rule is deleted; `drip` answers `chunk` bytes of the body every `interval_ms`; `half`
    does the work, sends the headers and half of the body, then resets. `delay_ms` is waited before any of them.

    Which requests: `method`, `path` (a prefix, or a glob when it has `*`, `?` or `[`), `instance`, `match_headers`
    (globs by header name); then `skip` of these pass, `probability` decides, and `count` (None: any number) are hit,
    from `after_s` seconds after the rule was given and for `for_s` seconds, by the server's clock. Empty matches all.
    """

    action: Action
    count: int | None = 1
    method: str = ""
    path: str = ""
    instance: str = ""
    match_headers: dict[str, str] = field(default_factory=dict)
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None
    delay_ms: float = 0.0
    seconds: float | None = None
    chunk: int = 16
    interval_ms: float = 100.0
    skip: int = 0
    probability: float = 1.0
    seed: int | None = None
    after_s: float = 0.0
    for_s: float | None = None
    id: str = ""
    hits: int = 0
    begins: float = 0.0
    pattern: re.Pattern[str] | None = None
    chance: random.Random | Chance = field(default_factory=Chance)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def matches(self, method: str, path: str, headers: dict[bytes, bytes], instance: str) -> bool:
        """Whether the rule means this request, its time and its luck apart."""
        if (self.method and self.method != method) or (self.instance and self.instance != instance):
            return False
        if self.pattern is not None:
            if self.pattern.fullmatch(path) is None:
                return False
        elif self.path and not path.lower().startswith(self.path.lower()):
            return False
        return all(
            (value := headers.get(name.encode("latin-1"))) is not None
            and fnmatch.fnmatchcase(value.decode("latin-1"), wanted)
            for name, wanted in self.match_headers.items()
        )

    def state(self, now: float) -> str:
        """`spent` or `expired` for a rule that hits nothing any more, `waiting` before its time, else `active`."""
        if self.count is not None and self.count <= 0:
            return "spent"
        if self.for_s is not None and now >= self.begins + self.for_s:
            return "expired"
        return "waiting" if now < self.begins else "active"

    def to_json(self, now: float) -> dict[str, Any]:
        """As GET shows it: the members that were given, how often it hit, and what is left of it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "action": self.action,
            "state": self.state(now),
            "hits": self.hits,
            "count": self.count,
        }
        for name, default in _DEFAULTS.items():
            value = getattr(self, _NAMES.get(name, name))
            if value != default and name not in shown:
                shown[name] = value
        return shown


_DEFAULTS: Final[dict[str, Any]] = {
    "action": "status",
    "count": 1,
    "method": "",
    "path": "",
    "instance": "",
    "match": {},
    "status": 503,
    "headers": {},
    "body": None,
    "text": None,
    "delay_ms": 0.0,
    "seconds": None,
    "bytes": 16,
    "interval_ms": 100.0,
    "skip": 0,
    "probability": 1.0,
    "seed": None,
    "after": 0.0,
    "for": None,
}


class Faults:
    """Rules in the order given; a request uses up one count of the first rule that hits it."""

    def __init__(self, clock: Clock = SYSTEM, chance: Chance | None = None) -> None:
        self._clock = clock
        self._chance = chance or Chance()
        self._rules: list[Fault] = []
        self._done: deque[Fault] = deque(maxlen=_MAX_DONE)
        self._next = 1
        self.hits = 0

    def add(self, document: Any) -> list[Fault]:
        """A rule from JSON, or all of a list of them; raises 400 naming the member that is wrong, and adds none."""
        given = document if isinstance(document, list) else [document]
        rules = [_rule(item) for item in given]
        if len(self._rules) + len(rules) > _MAX_RULES:
            raise invalid_argument(f"At most {_MAX_RULES} faults can stand at once; delete some first.")
        now = self._clock.monotonic()
        for rule in rules:
            rule.id = str(self._next)
            rule.begins = now + rule.after_s
            rule.chance = self._chance if rule.seed is None else random.Random(rule.seed)
            self._next += 1
        self._rules += rules
        return rules

    def take(self, method: str, path: str, headers: dict[bytes, bytes], instance: str = "") -> Fault | None:
        """The fault this request runs into. `path` is the raw path, `headers` by lower-case name."""
        if not self._rules:
            return None
        now = self._clock.monotonic()
        self._retire(now)
        for rule in self._rules:
            if now < rule.begins or not rule.matches(method, path, headers, instance):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.probability < 1.0 and rule.chance.random() >= rule.probability:
                continue
            rule.hits += 1
            self.hits += 1
            if rule.count is not None:
                rule.count -= 1
            self._retire(now)
            return rule
        return None

    def _retire(self, now: float) -> None:
        if any(rule.state(now) in ("spent", "expired") for rule in self._rules):
            self._done += [rule for rule in self._rules if rule.state(now) in ("spent", "expired")]
            self._rules = [rule for rule in self._rules if rule.state(now) not in ("spent", "expired")]

    def clear(self, instance: str = "") -> None:
        """Forget every rule, or those of one instance, and let go of the requests that hang in them."""
        for rule in (*self._done, *self._rules):
            if not instance or rule.instance == instance:
                rule.released.set()
        self._rules = [rule for rule in self._rules if instance and rule.instance != instance]
        kept = [rule for rule in self._done if instance and rule.instance != instance]
        self._done = deque(kept, _MAX_DONE)
        if not instance:
            self.hits = 0
            self._next = 1

    def delete(self, fault_id: str) -> bool:
        """Forget one rule and let go of the requests that hang in it; whether there was one."""
        for rules in (self._rules, self._done):
            for rule in rules:
                if rule.id == fault_id:
                    rule.released.set()
                    rules.remove(rule)
                    return True
        return False

    def listing(self) -> list[dict[str, Any]]:
        """Every rule in the order given, those that are used up included (the last 1,000 of them)."""
        now = self._clock.monotonic()
        return [rule.to_json(now) for rule in sorted((*self._done, *self._rules), key=lambda rule: int(rule.id))]

    @property
    def pending(self) -> int:
        """How many requests are still to be hit; rules without a count do not add to it."""
        self._retire(self._clock.monotonic())
        return sum(rule.count for rule in self._rules if rule.count is not None)


def _rule(document: Any) -> Fault:
    if not isinstance(document, dict):
        raise invalid_argument("A fault is a JSON object.")
    unknown = sorted(set(document) - set(_DEFAULTS))
    if unknown:
        raise invalid_argument(f"A fault has no member {unknown[0][:40]!r}. It has: {', '.join(_DEFAULTS)}.")
    action = document.get("action", "status")
    if action not in ACTIONS:
        raise invalid_argument(f"A fault's action is one of {', '.join(ACTIONS)}.")
    path = _text(document, "path")
    body, text = document.get("body"), document.get("text")
    if text is not None:
        text = _text(document, "text", _MAX_TEXT * 16)
        if body is not None:
            raise invalid_argument("A fault has a body (JSON) or a text (sent as it is), not both.")
    seed = document.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise invalid_argument("A fault's seed is a whole number.")
    return Fault(
        action=action,
        count=None if document.get("count", 1) is None else int(_number(document, "count", 1, 1, _MAX_COUNT)),
        method=_text(document, "method").upper(),
        path=path,
        instance=_text(document, "instance"),
        match_headers=_headers(document, "match"),
        status=int(_number(document, "status", 503, 200, 599)),
        headers=_headers(document, "headers"),
        body=body,
        text=text,
        delay_ms=_number(document, "delay_ms", 0, 0, _MAX_DELAY_MS),
        seconds=_optional(document, "seconds", _MAX_DELAY_MS / 1000),
        chunk=int(_number(document, "bytes", 16, 1, 65536)),
        interval_ms=_number(document, "interval_ms", 100, 0, _MAX_DELAY_MS),
        skip=int(_number(document, "skip", 0, 0, _MAX_COUNT)),
        probability=_number(document, "probability", 1, 0, 1),
        seed=seed,
        after_s=_number(document, "after", 0, 0, _MAX_SECONDS),
        for_s=_optional(document, "for", _MAX_SECONDS),
        pattern=re.compile(fnmatch.translate(path), re.IGNORECASE) if re.search(r"[*?\[]", path) else None,
    )


def _number(document: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise invalid_argument(f"A fault's {name} is a number between {least} and {most}.")
    return float(value)


def _optional(document: dict[str, Any], name: str, most: float) -> float | None:
    return None if document.get(name) is None else _number(document, name, 0, 0, most)


def _text(document: dict[str, Any], name: str, most: int = _MAX_TEXT) -> str:
    value = document.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise invalid_argument(f"A fault's {name} is a string of at most {most} characters.")
    return value


def _headers(document: dict[str, Any], name: str) -> dict[str, str]:
    """Names in lower case. What HTTP cannot carry is refused here and not when it is to be sent."""
    given = document.get(name, {})
    if (
        not isinstance(given, dict)
        or len(given) > _MAX_HEADERS
        or not all(isinstance(value, str) and len(value) <= _MAX_TEXT for value in given.values())
    ):
        raise invalid_argument(f"A fault's {name} is an object of at most {_MAX_HEADERS} strings.")
    for header, value in given.items():
        if _TOKEN.fullmatch(header) is None or not value.isprintable() or not value.isascii():
            raise invalid_argument(f"A fault's {name} has a header that HTTP cannot carry: {header[:40]!r}.")
    return {header.lower(): value for header, value in given.items()}
