"""From the service back to a file: what the file owns, in the form `spec.py` describes, ready to be loaded again."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from remhart_adt.graph.ownership import DAEMON_OWNED, RELATIONSHIP_DAEMON_OWNED
from remhart_adt.graph.snapshot import LiveGraph
from remhart_adt.graph.spec import RELATIONSHIPS, VERSION, relationship_id
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER

__all__ = ["to_document", "to_yaml"]

_LISTS: Final = {"components": DTMI_COMPONENT, "points": DTMI_POINT, "users": DTMI_USER}


def to_yaml(graph: LiveGraph) -> str:
    """The graph as YAML text."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1000  # an object stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_styled(to_document(graph)), out)
    return out.getvalue()


def to_document(graph: LiveGraph) -> dict[str, Any]:
    """The graph as plain values; twins in natural order of their ids, switches and taps as they stand now."""
    links: dict[str, dict[str, list[Any]]] = {}
    for row in graph.relationships.values():
        kind = RELATIONSHIPS.get(row["$relationshipName"])
        if kind is not None and kind.written:
            links.setdefault(row["$sourceId"], {}).setdefault(kind.name, []).append(_link(row))
    document: dict[str, Any] = {"version": VERSION}
    for key, model in _LISTS.items():
        twins = sorted(graph.of_model(model).values(), key=lambda twin: natural(twin["$dtId"]))
        if twins:
            document[key] = [_entry(twin, model, links.get(twin["$dtId"], {})) for twin in twins]
    return document


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A sort key that puts `mp-2` before `mp-10`."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text) if part]


def _entry(twin: Mapping[str, Any], model: str, links: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": twin["$dtId"]}
    if "componentType" in twin and model == DTMI_COMPONENT:
        entry["type"] = twin["componentType"]
    for key, value in twin.items():
        usual = key == "componentType" or (key == "componentId" and value == twin["$dtId"])
        if not key.startswith("$") and key not in DAEMON_OWNED[model] and not usual:
            entry[key] = value
    for name in RELATIONSHIPS:
        if name in links:
            entry[name] = sorted(links[name], key=lambda item: natural(item if isinstance(item, str) else item["to"]))
    return entry


def _link(row: Mapping[str, Any]) -> Any:
    name, target = row["$relationshipName"], row["$targetId"]
    owned = RELATIONSHIP_DAEMON_OWNED.get(name, frozenset())
    properties = {k: v for k, v in row.items() if not k.startswith("$") and k not in owned}
    own_id = {} if row["$relationshipId"] == relationship_id(name, target) else {"id": row["$relationshipId"]}
    return {"to": target, **own_id, **properties} if own_id or properties else target


def _styled(document: dict[str, Any]) -> Any:
    # Objects of plain values on one line (`electrical: {r1: 0.2, x1: 0.08}`), the rest as blocks.
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def style(value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            mapping = CommentedMap((key, style(item, depth + 1)) for key, item in value.items())
            if depth >= 3:
                mapping.fa.set_flow_style()
            return mapping
        if isinstance(value, list):
            sequence = CommentedSeq(style(item, depth + 1) for item in value)
            if depth >= 3:
                sequence.fa.set_flow_style()
            return sequence
        return value

    return style(document, 0)
