"""The request journal of the local Azure Digital Twins as evidence: what was asked, when, and what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from remhart_adt.clock import parse_us

__all__ = ["Request", "Write", "read_journal", "stamps_of_patch", "writes"]

# Object-valued paths carry their own source time under one of these keys.
_EMBEDDED = ("timestamp", "scoredAt", "raisedAt")
# Scalar stamps at the root of a twin or relationship.
_ROOT = frozenset({"/lastReadingAt", "/lastUpdatedAt", "/updatedAt"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it. Times are microseconds since the epoch; `twin` is "" for other paths."""

    time_us: int
    done_us: int
    method: str
    kind: str  # twin, relationship, component, telemetry, query, models, other
    twin: str
    target: str  # the twin id, or "<source>/relationships/<id>"
    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Write:
    """A PATCH that succeeded: its target and the source times (microseconds) it carried, by stamp path."""

    target: str
    done_us: int
    stamps: Mapping[str, int]
    created: bool = False  # a PUT: everything written before is void


def _kind(path: str) -> tuple[str, str, str]:
    """(kind, twin, target) of a request path; segments are split before they are decoded."""
    parts = [unquote(part) for part in path.split("?", 1)[0].strip("/").split("/")]
    head = parts[0].lower() if parts else ""
    if head == "digitaltwins" and len(parts) >= 2:
        twin = parts[1]
        below = parts[2].lower() if len(parts) > 2 else ""
        if below == "relationships" and len(parts) >= 4:
            return "relationship", twin, f"{twin}/relationships/{parts[3]}"
        if "telemetry" in (below, parts[-1].lower()) and len(parts) > 2:
            return "telemetry", twin, twin
        return ("component", twin, twin) if below == "components" else ("twin", twin, twin)
    return (head if head in ("query", "models") else "other"), "", ""


def read_journal(path: Path) -> Iterator[Request]:
    """The requests in the file, oldest first; a torn last line (the server was killed) is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            row = json.loads(line)
            kind, twin, target = _kind(row["path"])
            yield Request(
                time_us=row["time_us"],
                done_us=row["done_us"],
                method=row["method"],
                kind=kind,
                twin=twin,
                target=target,
                status=row["status"],
                body=row.get("body"),
            )


def stamps_of_patch(operations: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Source time by stamp path of one JSON Patch: root stamps, `$metadata` source times, and times inside objects."""
    found: dict[str, int] = {}
    for operation in operations:
        path, value = operation.get("path", ""), operation.get("value")
        text: Any = None
        if isinstance(value, str) and (path in _ROOT or (path.endswith("/sourceTime") and "/$metadata/" in path)):
            text = value
        elif isinstance(value, Mapping):
            text = next((value[key] for key in _EMBEDDED if key in value), None)
        if isinstance(text, str):
            found[path] = parse_us(text)
    return found


def writes(requests: Iterable[Request]) -> Iterator[Write]:
    """Every successful write to a twin or relationship, in the order the server finished them."""
    done = [r for r in requests if r.method in ("PATCH", "PUT") and r.status in (200, 204) and r.target]
    for request in sorted(done, key=lambda r: r.done_us):
        if request.kind not in ("twin", "relationship", "component"):
            continue
        if request.method == "PUT":
            yield Write(request.target, request.done_us, {}, created=True)
        else:
            yield Write(request.target, request.done_us, stamps_of_patch(request.body or ()))
