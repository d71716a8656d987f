"""Twins, relationships and requests for the benchmark of the local ADT server."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from remhart_adt.ids import DTMI_POINT
from remhart_adt.resources import dtdl_dir

__all__ = [
    "SENSOR",
    "Request",
    "links",
    "models",
    "ndjson",
    "point_patch",
    "points",
    "sensor",
    "sensor_patch",
    "sensors",
    "twin_path",
]

Request = tuple[str, str, str | None]
"""(method, path, body)."""

SENSOR: Final = "dtmi:bench:Sensor;1"
_VERSION: Final = "api-version=2023-10-31"


def _object(*fields: str) -> dict[str, Any]:
    return {"@type": "Object", "fields": [{"name": name, "schema": "string"} for name in fields]}


_TAGS: Final = {
    "@type": "Map",
    "mapKey": {"name": "key", "schema": "string"},
    "mapValue": {"name": "value", "schema": "double"},
}
_SCHEMAS: Final[dict[str, Any]] = {
    "name": "string",
    "kind": "string",
    "floor": "integer",
    "temperature": "double",
    "humidity": "double",
    "open": "boolean",
    "seen": "dateTime",
    "address": _object("street", "city"),
    "tags": _TAGS,
    "note": "string",
}


def models() -> list[dict[str, Any]]:
    """The sensor, and our own four interfaces."""
    contents: list[dict[str, Any]] = [
        {"@type": "Property", "name": name, "schema": schema} for name, schema in _SCHEMAS.items()
    ]
    contents.append(
        {
            "@type": "Relationship",
            "name": "feeds",
            "properties": [{"@type": "Property", "name": "load", "schema": "double"}],
        }
    )
    ours = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(dtdl_dir().glob("*.json"))]
    own = {"@context": "dtmi:dtdl:context;3", "@id": SENSOR, "@type": "Interface", "contents": contents}
    return [own, *ours]


def sensor(k: int) -> tuple[str, dict[str, Any]]:
    """(id, document) of the k-th sensor; about 1 KB as stored."""
    return f"tw-{k}", {
        "$metadata": {"$model": SENSOR},
        "name": f"sensor {k}",
        "kind": ("meter", "valve", "switch", "probe")[k % 4],
        "floor": k % 40,
        "temperature": k * 0.5,
        "humidity": 40.0 + k % 20,
        "open": k % 3 == 0,
        "seen": "2026-01-05T08:00:00.000Z",
        "address": {"street": f"Lindenweg {k % 300}", "city": "Neustadt"},
        "tags": {"a": k % 7 * 1.0, "b": 2.5},
        "note": "installed and checked; " * 4,
    }


def sensors(many: int) -> list[tuple[str, dict[str, Any]]]:
    """The first `many` sensors."""
    return [sensor(k) for k in range(many)]


def links(many: int, twins: int) -> list[tuple[str, str, dict[str, Any]]]:
    """(source, id, document) of `many` relationships, evenly over the sensors; three hops of three reach 39 others."""
    each = -(-many // twins)
    found = []
    for number in range(many):
        k, j = number % twins, number // twins
        target = (k * each + 1 + j) % twins
        target = target if target != k else (target + 1) % twins
        body = {"$relationshipName": "feeds", "$targetId": f"tw-{target}", "load": number % 100 + 0.5}
        found.append((f"tw-{k}", f"r{j}", body))
    return found


def points(many: int) -> list[tuple[str, dict[str, Any]]]:
    """Measurement points with every property and every prediction filled in; about 6 KB as sent."""
    documents = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in dtdl_dir().glob("*.json")}
    engine = _filled(documents["ml-engine"])
    full = {**_filled(documents["smart-grid-measurement-point"]), "mlEngine": {"$metadata": {}, **engine}}
    return [(f"mp-{k}", {"$metadata": {"$model": DTMI_POINT}, **full, "activeAlarmCount": k % 50}) for k in range(many)]


def _filled(interface: dict[str, Any]) -> dict[str, Any]:
    named = {schema["@id"]: schema for schema in interface.get("schemas", [])}
    kinds = [(part, part["@type"]) for part in interface["contents"]]
    return {part["name"]: _value(part["schema"], named) for part, kind in kinds if "Property" in kind}


def _value(schema: Any, named: dict[str, Any]) -> Any:
    """Something that the schema allows."""
    time = "2026-01-05T08:00:00.000Z"
    plain = {"double": 231.25, "integer": 3, "long": 3, "boolean": True, "dateTime": time, "string": "north"}
    if isinstance(schema, str):
        return plain[schema] if schema in plain else _value(named[schema], named)
    match schema["@type"]:
        case "Object":
            return {field["name"]: _value(field["schema"], named) for field in schema["fields"]}
        case "Enum":
            return schema["enumValues"][0]["enumValue"]
        case "Map":
            return {"overload": _value(schema["mapValue"]["schema"], named)}
        case "Array":
            return [_value(schema["elementSchema"], named)] * 3
    raise ValueError(schema)


def sensor_patch(rng: random.Random) -> list[dict[str, Any]]:
    """Three values."""
    return [
        {"op": "add", "path": "/humidity", "value": round(rng.uniform(0, 100), 2)},
        {"op": "replace", "path": "/floor", "value": rng.randrange(40)},
        {"op": "add", "path": "/tags/a", "value": rng.random()},
    ]


def point_patch(name: str, rng: random.Random) -> list[dict[str, Any]]:
    """What a reading changes: measured values, and predictions in the component. The number of alarms stays."""
    alarms = int(name.removeprefix("mp-")) % 50
    phases = {f"phase{letter}": round(rng.uniform(220, 240), 2) for letter in "ABC"}
    return [
        *({"op": "add", "path": f"/voltage/{name}", "value": value} for name, value in phases.items()),
        {"op": "add", "path": "/activeAlarmCount", "value": alarms},
        {"op": "add", "path": "/lastReadingAt", "value": "2026-01-05T08:00:01.000Z"},
        {"op": "add", "path": "/mlEngine/engineVersion", "value": f"1.0.{rng.randrange(100)}"},
    ]


def twin_path(name: str, rest: str = "") -> str:
    """The path of a twin with its api-version."""
    return f"/digitaltwins/{name}{rest}?{_VERSION}"


def ndjson(
    file: Path, twins: list[tuple[str, dict[str, Any]]], relations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """The input of an import job: header, models, twins, relationships."""

    def rows() -> Iterator[dict[str, Any]]:
        yield {"Section": "Header"}
        yield {"fileVersion": "1.0.0", "author": "bench", "organization": "bench"}
        yield {"Section": "Models"}
        yield from models()
        yield {"Section": "Twins"}
        for name, doc in twins:
            yield {"$dtId": name, **doc}
        yield {"Section": "Relationships"}
        for source, rid, doc in relations:
            yield {"$dtId": source, "$relationshipId": rid, **doc}

    with file.open("w", encoding="utf-8") as out:
        for row in rows():
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
