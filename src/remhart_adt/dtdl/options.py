"""How strictly DTDL is read: which versions, contexts and habits are accepted, and how large a source may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DEFAULT", "Options", "WhenToAllow"]

WhenToAllow = Literal["per version", "always", "never"]


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the official parser, under names of ours; the defaults are the official parser's too.

    `undefined_extensions`: whether a context that nobody knows is accepted together with the words it may define;
    per version: DTDL v2 yes, later versions no. `max_version`: the newest DTDL version accepted. `limit_contexts`:
    limit extensions that a DTDL v4 model may ask for, such as `dtmi:dtdl:limits:onvif;1`, or without a version for
    all of them. `tolerate_solecisms` (and `..._in_resolved`, for what a resolver answers): accept old habits that were
    never legal in DTDL v2: `{"@id": ...}` as a reference, reserved identifiers, and repeated names.
    `max_bytes` and `max_depth` (of nested JSON): what is larger is refused before it is read.
    """

    undefined_extensions: WhenToAllow = "per version"
    max_version: int = 4
    limit_contexts: tuple[str, ...] = ()
    tolerate_solecisms: bool = False
    tolerate_solecisms_in_resolved: bool = False
    max_bytes: int = 8 * 1024 * 1024
    max_depth: int = 512


DEFAULT: Final = Options()
