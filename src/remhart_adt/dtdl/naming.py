"""DTDL names in Python's style and back."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import Final

__all__ = ["camel", "snake"]

# Attributes that the classes already have: a property of that name gets a final underscore.
_TAKEN: Final = frozenset(
    {
        "construct",
        "copy",
        "dict",
        "dt_id",
        "etag",
        "from_json",
        "json",
        "list",
        "schema",
        "to_json",
        "to_twin",
        "validate",
    }
)


def snake(name: str) -> str:
    """A DTDL name as a Python attribute: phaseA -> phase_a; a name that is taken gets a final underscore."""
    result = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return result + "_" if iskeyword(result) or result in _TAKEN else result


def camel(name: str) -> str:
    """The DTDL name of a Python attribute: phase_a -> phaseA."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
