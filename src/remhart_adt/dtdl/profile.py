"""What Azure Digital Twins asks of a model beyond the language (its DTDL notes and service limits)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from remhart_adt.dtdl.elements import Index
from remhart_adt.limits import ADT_MODEL_BYTES

__all__ = ["PROFILES"]


def _adt(index: Index) -> None:
    """No inline interfaces, at most 1 MB of JSON each; commands are stored and never run, so they get a warning."""
    for element in index.everything:
        if element.kind == "Interface":
            if element.parent is not None:
                element.say("inlineInterface")
            else:
                size = len(json.dumps(element.raw, ensure_ascii=False, separators=(",", ":")).encode())
                if size > ADT_MODEL_BYTES:
                    element.say("modelTooLarge", count=size, limit=ADT_MODEL_BYTES)
        elif element.kind == "Command":
            element.say("commandNotRunnable", severity="warning")


PROFILES: Final[dict[str, Callable[[Index], None]]] = {"adt": _adt}
