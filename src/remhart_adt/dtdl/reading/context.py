"""The @context of an element: which DTDL version it is written in, which extensions and limits it uses."""

from __future__ import annotations

import re
from typing import Any, Final

from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.tables.extensions import IMPLIES_DTDL_2, find_extension, known_versions
from remhart_adt.dtdl.tables.lexicon import Lexicon, lexicon
from remhart_adt.dtdl.tables.metamodel import CONTEXT, VERSIONS, valid_dtmi

__all__ = ["ContextError", "read_context"]

# Any DTMI, as the official parser's own class reads it: system segments and a fragment are allowed.
_ANY_DTMI: Final = re.compile(
    r"dtmi:(?:_+[A-Za-z0-9]|[A-Za-z])(?:[A-Za-z0-9_]*[A-Za-z0-9])?"
    r"(?::(?:_+[A-Za-z0-9]|[A-Za-z])(?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
    r"(?:;(?P<major>[1-9][0-9]{0,8})(?:\.(?P<minor>[1-9][0-9]{0,5}))?)?(?P<fragment>#[^ ]*)?",
    re.ASCII,
)


class ContextError(Exception):
    """A context that cannot be used; `rule` is the broken rule, `value` the specifier, `index` its place."""

    def __init__(self, rule: str, value: str = "", *, index: int | None = None, expected: str = "") -> None:
        super().__init__(rule)
        self.rule = rule
        self.value = value
        self.index = index
        self.expected = expected


class _Reader:
    """Reads the entries of one @context from left to right."""

    def __init__(self, entries: list[str | dict[str, Any]], outer: Lexicon | None, options: Options) -> None:
        self._entries = entries
        self._options = options
        self._outer = outer
        self._version = outer.version if outer is not None else 0
        self._limits = outer.limits_context if outer is not None else ""
        self._extensions = dict(outer.extensions) if outer is not None else {}
        self._incomplete = outer is not None and not outer.complete

    def read(self) -> Lexicon:
        """1. Contexts that imply DTDL v2. 2. DTDL contexts, each with the limits it wants. 3. The others."""
        entries, at = self._entries, 0
        while at < len(entries) and isinstance(entries[at], str) and entries[at] in IMPLIES_DTDL_2:
            self._extension(at, 2, tolerant=self._options.undefined_extensions == "always")
            at += 1
        while at < len(entries) and isinstance(entries[at], str) and str(entries[at]).startswith(CONTEXT):
            at = self._dtdl(at)
        if not self._version:
            raise ContextError("missingDtdlContext", _shown(entries[0]), index=0)
        end = len(entries)
        if isinstance(entries[-1], dict):
            raise ContextError("disallowedLocalContext", index=end - 1)
        allow = self._options.undefined_extensions
        tolerant = allow == "always" or (allow == "per version" and self._version == 2)
        for index in range(at, end):
            self._extension(index, self._version, tolerant=tolerant)
        return lexicon(self._version, tuple(self._extensions.items()), not self._incomplete, self._limits)

    def _dtdl(self, at: int) -> int:
        """Read the DTDL context at this place, and the limits after it if it is without; returns the next place."""
        value = str(self._entries[at])
        match = _ANY_DTMI.fullmatch(value)
        if match is None:
            raise ContextError("invalidContextSpecifier", value, index=at)
        major, fragment = int(match["major"] or 0), match["fragment"] or ""
        if fragment not in ("", "#limitless", "#limits"):
            raise ContextError("invalidContextFragment", value, index=at)
        if fragment and major != 4:
            raise ContextError("disallowedContextFragment", value, index=at)
        if not major:
            raise ContextError("missingContextVersion", value, index=at)
        if fragment == "#limits":
            raise ContextError("misplacedLimitContext", value, index=at)
        if major not in VERSIONS:
            raise ContextError("unrecognizedContextVersion", value, index=at)
        if major > self._options.max_version:
            raise ContextError(
                "disallowedContextVersion", value, index=at, expected=f"{CONTEXT}{self._options.max_version}"
            )
        # A minor version, such as 3.1, is read as its major version, whose words it may only add to.
        if match["minor"] and major == 2:
            raise ContextError("invalidContextSpecifierForVersion", value, index=at)
        self._version = major
        self._limits = ""
        if not fragment:
            return at + 1
        limits = self._limit_context(at + 1)
        if limits is None:
            raise ContextError("missingLimitContext", value, index=at)
        self._limits = limits
        return at + 2

    def _limit_context(self, at: int) -> str | None:
        """The limits named at this place: empty for the language's own, None when the place names none."""
        value = self._entries[at] if at < len(self._entries) else None
        if not isinstance(value, str):
            return None
        match = self._any_specifier(value, at)
        if match["major"] is None:
            raise ContextError("missingContextVersion", value, index=at)
        if value.startswith(CONTEXT):
            if match["fragment"] not in (None, "#limitless", "#limits"):
                raise ContextError("invalidContextFragment", value, index=at)
            return "" if match["fragment"] != "#limitless" and int(match["major"]) == self._version else None
        if match["fragment"]:
            raise ContextError("invalidContextSpecifier", value, index=at)
        name, number = value.partition(";")[0], int(match["major"])
        if number not in known_versions(name) or not find_extension(name, number).limits:
            return None
        if not {name, f"{name};{number}"} & set(self._options.limit_contexts):
            expected = " or ".join((f"{CONTEXT}{self._version}#limits", *self._options.limit_contexts))
            raise ContextError("disallowedLimitContext", value, index=at, expected=expected)
        return f"{name};{number}"

    def _any_specifier(self, value: str, at: int) -> re.Match[str]:
        if not value.startswith("dtmi:"):
            raise ContextError("nonDtmiContextSpecifier", value, index=at)
        match = _ANY_DTMI.fullmatch(value)
        if match is None:
            raise ContextError("invalidContextSpecifier", value, index=at)
        return match

    def _extension(self, at: int, version: int, *, tolerant: bool) -> None:
        value = self._entries[at]
        if isinstance(value, dict):
            raise ContextError("localContextNotLast", index=at)
        if value.startswith(CONTEXT):
            raise ContextError("dtdlContextFollowsAffiliate", value, index=at)
        match = self._any_specifier(value, at)
        if match["fragment"]:
            raise ContextError("invalidContextSpecifier", value, index=at)
        if not valid_dtmi(value, version):
            raise ContextError("invalidContextSpecifierForVersion", value, index=at)
        if match["major"] is None:
            raise ContextError("missingContextVersion", value, index=at)
        name = value.partition(";")[0]
        versions = known_versions(name)
        if int(match["major"]) not in versions:
            if not tolerant:
                expected = " or ".join(f"{name};{n}" for n in versions)
                rule = "unresolvableContextVersion" if versions else "unresolvableContextSpecifier"
                raise ContextError(rule, value, index=at, expected=expected)
            self._incomplete = True
            return
        if find_extension(name, int(match["major"])).limits:
            raise ContextError("misplacedLimitContext", value, index=at)
        self._extensions[name] = int(match["major"])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "an object"


def read_context(value: Any, outer: Lexicon | None, options: Options) -> Lexicon:
    """What an element's words mean under an @context; inside an element it adds to the outer one's.

    Raises ContextError.
    """
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, (str, dict)) for entry in entries):
        raise ContextError("invalidContext")
    if not entries:
        if outer is None:
            raise ContextError("emptyContext")
        return outer
    return _Reader(entries, outer, options).read()
