"""A Digital Twin Modelling Identifier (DTMI), taken apart: `dtmi:example:Room;1.2#part`.

After the scheme `dtmi` come one or more labels, each behind a colon; then, if anything, a version behind a semicolon
and a fragment behind a `#`.

- A label begins with a letter, or with underscores and then a letter or digit; it goes on with letters, digits and
  underscores and does not end in an underscore. All of them are ASCII.
- A version is a major number of up to 9 digits, and perhaps a point and a minor number of up to 6; no number is 0 or
  begins with one.
- A fragment is empty or written like a label.

This is the form of every identifier that DTDL knows, those that a parser makes up itself included. What a model may
use as an `@id` is less: no label with an underscore in front, no fragment, and in DTDL v2 always a version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from remhart_adt.errors import DtdlError

__all__ = ["Dtmi"]

_LABEL: Final = r"(?:_+[A-Za-z0-9]|[A-Za-z])(?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_DTMI: Final = re.compile(
    rf"dtmi:(?P<path>{_LABEL}(?::{_LABEL})*)"
    r"(?:;(?P<major>[1-9][0-9]{0,8})(?:\.(?P<minor>[1-9][0-9]{0,5}))?)?"
    rf"(?P<fragment>\#(?:{_LABEL})?)?"
)
# What a message shows of a text that is no DTMI; it may be of any length.
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Dtmi:
    """One DTMI. `major` and `minor` are 0 where it has none; `fragment` keeps its `#`, and is empty without one."""

    labels: tuple[str, ...]
    major: int = 0
    minor: int = 0
    fragment: str = ""

    @classmethod
    def parse(cls, text: str) -> Dtmi:
        """The DTMI that a text is. Raises DtdlError when it is none."""
        match = _DTMI.fullmatch(text)
        if match is None:
            shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
            raise DtdlError(f"{shown!r} is no DTMI", remedy="Write it like dtmi:example:Room;1")
        return cls(
            labels=tuple(match["path"].split(":")),
            major=int(match["major"] or 0),
            minor=int(match["minor"] or 0),
            fragment=match["fragment"] or "",
        )

    @property
    def versionless(self) -> str:
        """The DTMI without its version; a fragment stays."""
        return f"dtmi:{':'.join(self.labels)}{self.fragment}"

    @property
    def complete_version(self) -> float:
        """Major and minor in one number that sorts as versions do: 2.22 is 2.000022."""
        return self.major + self.minor / 1_000_000

    @property
    def reserved(self) -> bool:
        """Whether it has a label or fragment that only a parser may make up: one with an underscore in front."""
        return any(label.startswith("_") for label in self.labels) or self.fragment.startswith("#_")

    def __str__(self) -> str:
        minor = f".{self.minor}" if self.minor else ""
        version = f";{self.major}{minor}" if self.major else ""
        return f"dtmi:{':'.join(self.labels)}{version}{self.fragment}"
