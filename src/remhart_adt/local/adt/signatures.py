"""Shared access signatures in URLs are secrets: what is stored, shown or logged holds `***` in their place."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

__all__ = ["hide_signature", "without_signatures"]

_SIGNATURE: Final = re.compile(r"(?i)([?&]sig=)[^&]*")


def hide_signature(uri: str) -> str:
    """The URI without the value of its signature."""
    return _SIGNATURE.sub(r"\1***", uri)


def without_signatures(body: bytes) -> bytes:
    """A JSON body with the signatures of the URIs in it hidden; nothing of a body that is no JSON."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return b""
    return orjson.dumps(_hidden(document))


def _hidden(value: Any) -> Any:
    match value:
        case str():
            return hide_signature(value)
        case dict():
            return {hide_signature(key): _hidden(member) for key, member in value.items()}
        case list():
            return [_hidden(member) for member in value]
        case _:
            return value
