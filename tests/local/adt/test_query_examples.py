"""The example queries of the public documentation, by their numbers, on one small world that has something for each.

A row is written as its values: a whole twin or relationship by its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from remhart_adt.local.adt import LocalAdt, Options

TAGS = {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "string"}}
READINGS = {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "double"}}
PLACE = {"@type": "Object", "fields": [{"name": "city", "schema": "string"}]}
PROPERTIES = {
    **dict.fromkeys(("name", "Name", "firmwareVersion", "Status", "owner", "Group"), "string"),
    **dict.fromkeys(("area", "Temperature", "Humidity", "temperature", "humidity"), "double"),
    **dict.fromkeys(("age", "Capacity"), "integer"),
    "HasTemperature": "boolean",
    "Location": PLACE,
    "tags": TAGS,
    "mapProp": TAGS,
    "MapObject": READINGS,
    "floor_number": {"@type": "Array", "elementSchema": "integer"},
}
RELATIONSHIPS: dict[str, dict[str, str]] = {
    "contains": {"name": "string", "length": "integer"},
    "isAssociatedWith": {"length": "integer"},
    "feeds": {},
    "servicedBy": {"reportedCondition": "string"},
    "customer": {"prop1": "string", "prop2": "integer"},
    "has": {"role": "string"},
    "hasBlob": {},
    "hasModel": {},
    "nextActivity": {},
}
BASE = "dtmi:world:base;1"
ROOM, THING, OTHER_ROOM = "dtmi:sample:Room;1", "dtmi:example:thing;1", "dtmi:com:contoso:Room;1"
PANEL, BULB = "dtmi:contoso:com:lightpanel;1", "dtmi:contoso:com:lightbulb;1"
CHIP = "dtmi:contoso:com:DigitalTwins:MxChip;3"
MODELS = {
    **dict.fromkeys((ROOM, OTHER_ROOM, PANEL, BULB, CHIP, THING, "dtmi:example:thing;2"), BASE),
    "dtmi:example:sub;1": "dtmi:example:thing;2",
}
TWINS: dict[str, tuple[str, dict[str, Any]]] = {
    "Room1": (
        ROOM,
        {
            "name": "foobar",
            "age": 3,
            "Capacity": 25,
            "Temperature": 80,
            "Humidity": 40,
            "HasTemperature": True,
            "Status": "Open",
            "owner": "John",
            "Group": "BravoTeam",
            "Location": {"city": "Oslo"},
            "tags": {"red": "", "size": "small"},
            "mapProp": {"key": "v"},
            "floor_number": [1, 2],
        },
    ),
    "123": (
        THING,
        {
            "Name": "D'Souza",
            "name": "foo2",
            "firmwareVersion": "1.1",
            "Temperature": 70,
            "Humidity": 45,
            "Capacity": 0,
            "HasTemperature": False,
            "Status": "Completed",
            "owner": "Zoe",
            "tags": {"round": "", "size": "small"},
            "MapObject": {"x": 1.0},
        },
    ),
    "456": ("dtmi:example:thing;2", {"Temperature": 81, "MapObject": {"TemperatureReading": 5.0}, "floor_number": [3]}),
    "area1-x-route-small": ("dtmi:example:sub;1", {"name": "a test"}),
    **{name: (BASE, {}) for name in ("Building1", "Building2", "floor1", "floor2", "row1", "lamp1")},
    "room1": (OTHER_ROOM, {"Temperature": 85}),
    "room2": (OTHER_ROOM, {"Temperature": 71}),
    "room3": (BASE, {"Temperature": 90}),
    **{name: (PANEL, {}) for name in ("panel1", "panel2")},
    **{name: (BULB, {}) for name in ("bulb1", "bulb2")},
    "ABC": (BASE, {"area": 12.5}),
    "customer1": (BASE, {"name": "Contoso"}),
    "part1": (BASE, {"temperature": 51, "humidity": 71}),
    "part2": (BASE, {"temperature": 49, "humidity": 69}),
    "supplier1": (BASE, {"temperature": 99, "humidity": 75}),
    **{name: (BASE, {}) for name in ("service1", "service2", "source-twin", "target-twin", "Room 123", "chip2")},
    "chip1": (CHIP, {}),
    "Building21": (BASE, {}),
    "sensor21": (BASE, {"temperature": 60}),
    "sensor22": (BASE, {"temperature": 10}),
    **{name: (BASE, {}) for name in ("Seattle21", "inside", "beside", "other", "thermostat-15")},
    **{f"hop{number}": (BASE, {}) for number in range(1, 7)},
    **{name: (BASE, {}) for name in ("building-3", "floor-3", "root3", "blob", "model", "leaf", "A", "B", "s1", "s2")},
    "room-3": (BASE, {"temperature": 55}),
    "cold-3": (BASE, {"temperature": 45}),
}
EDGES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("Building1", "contains", "floor1", {}),
    ("floor1", "contains", "room1", {}),
    ("floor2", "contains", "room2", {}),
    ("floor2", "contains", "room3", {}),
    ("room1", "contains", "panel1", {}),
    ("room2", "contains", "panel2", {}),
    ("panel1", "contains", "bulb1", {}),
    ("panel1", "contains", "row1", {}),
    ("panel2", "contains", "bulb2", {}),
    ("row1", "contains", "lamp1", {}),
    ("ABC", "customer", "customer1", {"prop1": "p", "prop2": 5}),
    ("ABC", "contains", "part1", {}),
    ("ABC", "contains", "part2", {}),
    ("supplier1", "feeds", "ABC", {}),
    ("ABC", "servicedBy", "service1", {"reportedCondition": "clean"}),
    ("ABC", "servicedBy", "service2", {"reportedCondition": "dirty"}),
    ("source-twin", "feeds", "target-twin", {}),
    ("Room 123", "has", "chip1", {"role": "Operator"}),
    ("Room 123", "has", "chip2", {"role": "Operator"}),
    ("Building21", "contains", "sensor21", {}),
    ("Building21", "feeds", "sensor22", {}),
    ("Seattle21", "contains", "inside", {}),
    ("beside", "isAssociatedWith", "Seattle21", {}),
    ("other", "feeds", "Seattle21", {}),
    ("thermostat-15", "contains", "hop1", {"name": "child", "length": 10}),
    ("hop1", "isAssociatedWith", "hop2", {"length": 9}),
    *((f"hop{number}", "contains", f"hop{number + 1}", {}) for number in range(2, 6)),
    ("building-3", "isAssociatedWith", "floor-3", {}),
    ("room-3", "isAssociatedWith", "floor-3", {}),
    ("cold-3", "isAssociatedWith", "floor-3", {}),
    ("root3", "hasBlob", "blob", {}),
    ("root3", "hasModel", "model", {}),
    ("blob", "has", "leaf", {}),
    ("model", "has", "leaf", {}),
    ("A", "feeds", "B", {}),
    ("s1", "nextActivity", "s2", {}),
    ("s2", "feeds", "s1", {}),
]
ALL = sorted(TWINS)


def edge(source: str, target: str) -> str:
    return f"{source}>{target}"


EXAMPLE = re.compile(r"^(\d+) \[(.*)\] ?(.*)\n((?:    .+\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A query, its rows as `shown`, and the keys of a row; no keys when a row is a document."""

    text: str
    rows: list[str]
    keys: list[str]


def examples() -> dict[int, Example]:
    found = {}
    source = (Path(__file__).parent / "query_examples.txt").read_text(encoding="utf-8")
    for number, keys, rows, text in EXAMPLE.findall(source):
        wanted = ALL if rows == "(every twin)" else rows.split(" ; ") if rows else []
        found[int(number)] = Example(" ".join(text.split()), wanted, keys.split(", ") if keys else [])
    return found


EXAMPLES = examples()
REFUSED = {
    70: ("SELECT * FROM (SELECT * FROM DIGITALTWINS T WHERE T.x = 1)", "Position=14, Message=mismatched input '('"),
    71: ("foo", "Position=0, Message=missing SELECT at 'foo' See samples in https://aka.ms/adtv2query"),
    72: ("SELECT * FROM DIGITALTWINS ORDER BY name", "Position=27, Message='ORDER' is a reserved word"),
}


@pytest.fixture(scope="module")
def world(wire_of: Any) -> Iterator[Any]:
    with LocalAdt(Options()) as server:
        wire = wire_of(server)
        contents: list[dict[str, Any]] = [
            {"@type": "Property", "name": name, "schema": schema} for name, schema in PROPERTIES.items()
        ]
        for name, properties in RELATIONSHIPS.items():
            declared = [{"@type": "Property", "name": key, "schema": schema} for key, schema in properties.items()]
            contents.append({"@type": "Relationship", "name": name, "properties": declared})
        model = {"@type": "Interface", "@context": "dtmi:dtdl:context;3"}
        derived = [{**model, "@id": dtmi, "extends": base, "contents": []} for dtmi, base in MODELS.items()]
        wire.models({**model, "@id": BASE, "contents": contents}, *derived)
        for twin_id, (dtmi, properties) in TWINS.items():
            wire.twin(quote(twin_id), dtmi, **properties)
        for source, name, target, properties in EDGES:
            body = {"$relationshipName": name, "$targetId": target, **properties}
            path = f"/digitaltwins/{quote(source)}/relationships/{quote(edge(source, target))}"
            assert wire("PUT", path, body).status == 200
        yield wire
        wire.close()


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("$relationshipId") or value.get("$dtId"))
    return str(value)


@pytest.mark.parametrize("number", EXAMPLES)
def test_an_example_of_the_documentation_answers_as_documented(world: Any, number: int) -> None:
    example = EXAMPLES[number]
    rows = world.query(example.text)
    if not example.keys:
        assert sorted(map(shown, rows)) == example.rows
        return
    values = [" ".join(shown(value) for value in row.values()) for row in rows]
    assert sorted(value for value in values if value) == example.rows
    if number == 12:  # a row has the keys that exist, and may have none
        assert len(values) == len(ALL)
    else:
        assert all(list(row) == example.keys for row in rows)


@pytest.mark.parametrize("number", REFUSED)
def test_an_example_that_is_no_query_is_refused_where_it_breaks(world: Any, number: int) -> None:
    text, message = REFUSED[number]
    answer = world("POST", "/query", {"query": text})
    assert (answer.status, answer.code) == (400, "SqlQueryError")
    assert message in answer.message


def test_every_example_is_here() -> None:
    assert sorted([*EXAMPLES, *REFUSED]) == list(range(1, 73))


def test_whole_documents_in_rows_are_those_that_get_returns(world: Any) -> None:
    [row] = world.query(EXAMPLES[39].text)
    assert row["Factory"] == world("GET", "/digitaltwins/ABC").json
    assert row["Edge"] == world("GET", "/digitaltwins/ABC/relationships/ABC>customer1").json


def test_a_building_without_floors_gives_no_row_and_a_sixth_join_is_refused(world: Any) -> None:
    assert world.query(EXAMPLES[38].text.replace("'Building1'", "'Building2'")) == []
    sixth = EXAMPLES[37].text.replace(" WHERE", " JOIN X RELATED LightBulb.contains WHERE")
    answer = world("POST", "/query", {"query": sixth})
    assert (answer.status, answer.code) == (400, "SqlQueryError")
    assert "at most 5 JOINs" in answer.message
