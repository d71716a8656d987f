"""JSON Patch as Azure Digital Twins wants it: always `add` (an upsert) or `remove`, never `replace`.

`replace` fails on a property that was never set, `add` sets it either way; a repeated `add` changes nothing, which is
what makes repeating a patch after a lost answer safe. A null value is refused by the service: clear with `remove`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

from remhart_adt.clock import format_us
from remhart_adt.limits import ADT_TWIN_BYTES

__all__ = ["Patch", "pointer"]


def pointer(*segments: str) -> str:
    """The JSON pointer (RFC 6901) of these names, each escaped: `pointer("alarms", "a/b")` is `/alarms/a~1b`."""
    return "".join("/" + segment.replace("~", "~0").replace("/", "~1") for segment in segments)


class Patch:
    """A patch under construction; every method that adds to it returns it.

    A path is one property name, a tuple of names from the twin's root, or a ready pointer that begins with `/`.
    """

    __slots__ = ("_ops",)

    def __init__(self) -> None:
        self._ops: list[dict[str, Any]] = []

    def add(self, path: str | tuple[str, ...], value: Any) -> Self:
        """Set the value at the path. The parent has to exist: add the whole object first, then below it."""
        if value is None:
            raise ValueError(f"{_path(path)}: the service stores no null; use remove() to clear a value")
        self._ops.append({"op": "add", "path": _path(path), "value": value})
        return self

    def remove(self, path: str | tuple[str, ...]) -> Self:
        """Clear the value at the path. It has to exist."""
        self._ops.append({"op": "remove", "path": _path(path)})
        return self

    def source_time(self, property_name: str, us: int, *, component: str | None = None) -> Self:
        """State when the property's value was measured: microseconds since the epoch, stored as RFC 3339."""
        head = (component,) if component else ()
        return self.add((*head, "$metadata", property_name, "sourceTime"), format_us(us))

    def model(self, model_id: str) -> Self:
        """Change the twin's model; the twin has to fit it when the whole patch has been applied."""
        self._ops.append({"op": "replace", "path": "/$metadata/$model", "value": model_id})
        return self

    def operations(self) -> list[dict[str, Any]]:
        """The operations, in order, as the SDK takes them."""
        return list(self._ops)

    def __bytes__(self) -> bytes:
        """Compact UTF-8 JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
        return json.dumps(self._ops, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    def __len__(self) -> int:
        return len(self._ops)

    def __bool__(self) -> bool:
        return bool(self._ops)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._ops)

    def __repr__(self) -> str:
        return f"Patch({self._ops!r})"

    def split(self, max_bytes: int = ADT_TWIN_BYTES) -> Iterator[Patch]:
        """The same operations in as few patches as fit into `max_bytes` each, in order.

        Raises ValueError when a single operation is larger than that.
        """
        part, size = Patch(), 2
        for op in self._ops:
            cost = len(json.dumps(op, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()) + 1
            if cost + 2 > max_bytes:
                raise ValueError(f"{op['path']}: one operation of {cost} bytes does not fit into {max_bytes}")
            if part and size + cost > max_bytes:
                yield part
                part, size = Patch(), 2
            part._ops.append(op)
            size += cost
        if part:
            yield part


def _path(path: str | tuple[str, ...]) -> str:
    if isinstance(path, str):
        if path.startswith("/"):
            return path
        path = (path,)
    if not path or not all(path):
        raise ValueError(f"a path needs names, not {path!r}")
    return pointer(*path)
