"""Twins, patches, relationships and telemetry against their model."""

from __future__ import annotations

import json
import math

import pytest
from documents import QUANTITIES, interface, prop

from remhart_adt.dtdl import (
    Problem,
    Report,
    check_patch,
    check_relationship,
    check_relationship_patch,
    check_telemetry,
    check_twin,
    parse,
)
from remhart_adt.dtdl.instance import check_size, errors_of
from remhart_adt.limits import ADT_STRING_BYTES, ADT_TWIN_BYTES

ROOM = "dtmi:test:Room;1"
PLACE = {"@type": "Object", "fields": [{"name": "x", "schema": "double"}, {"name": "on", "schema": "boolean"}]}
COLOUR = {
    "@type": "Enum",
    "valueSchema": "string",
    "enumValues": [{"name": "red", "enumValue": "red"}, {"name": "green", "enumValue": "green"}],
}
LEVEL = {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "one", "enumValue": 1}]}
TAGS = {
    "@type": "Map",
    "mapKey": {"name": "k", "schema": "string"},
    "mapValue": {"name": "v", "schema": PLACE},
}
PRIMITIVES = ["boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"]

MODELS = parse(
    interface(
        "Room",
        context=QUANTITIES,
        extends="dtmi:test:Space;1",
        contents=[
            *[prop(kind + "Value", kind) for kind in PRIMITIVES],
            prop("place", PLACE),
            prop("colour", COLOUR),
            prop("level", LEVEL),
            prop("tags", TAGS),
            prop("spots", {"@type": "Array", "elementSchema": PLACE}),
            {"@type": "Component", "name": "fan", "schema": "dtmi:test:Fan;1"},
            {"@type": "Telemetry", "name": "heat", "schema": "double"},
            {"@type": "Command", "name": "go"},
            {
                "@type": "Relationship",
                "name": "next",
                "target": "dtmi:test:Space;1",
                "properties": [prop("since", "date"), prop("spot", PLACE)],
            },
            {"@type": "Relationship", "name": "anything"},
        ],
    ),
    interface("Space", contents=[prop("area")]),
    interface("Fan", contents=[prop("speed", "integer"), {"@type": "Telemetry", "name": "noise", "schema": "double"}]),
)


def twin(**members):
    return {"$metadata": {"$model": ROOM}, "fan": {"$metadata": {}}, **members}


def kinds(problems):
    return [problem.kind for problem in problems]


VALUES = {
    "boolean": ([True, False], [0, 1, "true", None]),
    "double": ([0, -2, 3.14, 1.7e308, 10**300], [True, "3", math.inf, math.nan, None, [1.0], 10**400]),
    "float": ([1, 3.4e38], [3.5e38, "1", False]),
    "integer": ([0, 2**31 - 1, -(2**31)], [2**31, 1.0, 0.5, True, "3", None]),
    "long": ([2**63 - 1, -(2**63)], [2**63, 1.0, True]),
    "string": (["", "text", "x" * ADT_STRING_BYTES], [1, None, "x" * (ADT_STRING_BYTES + 1), "ü" * 2049]),
    "date": (
        ["2024-02-29", "0001-01-01"],
        ["2023-02-29", "2024-13-01", "2024-1-1", "2024-01-01T00:00:00Z", 1, "0000-01-01"],
    ),
    "dateTime": (
        ["2024-01-01T00:00:00Z", "1965-12-31T06:00:00.1234567+11:45", "2024-01-01t00:00:00-00:00"],
        [
            "2024-01-01T00:00:00",
            "2024-01-01",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-02-30T00:00:00Z",
            5,
        ],
    ),
    "time": (["06:00:00Z", "23:59:59.5"], ["24:00:00", "6:00:00", "06:00", 6]),
    "duration": (
        ["P3Y6M4DT8H9M5S", "P2W", "P3W5D", "PT0.001S", "P3.5Y", "PT8.5H"],
        ["P", "PT", "P6M3Y", "P3.0Y6M", "P1Y3W", "PT.5S", "P3.4W5D", "15D", 15],
    ),
}


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_every_primitive_takes_its_values_and_no_others(kind):
    good, bad = VALUES[kind]
    for value in good:
        assert check_twin(MODELS, twin(**{kind + "Value": value})) == [], value
    for value in bad:
        (problem,) = check_twin(MODELS, twin(**{kind + "Value": value}))
        assert problem.kind in ("wrong_type", "too_long")
        assert (problem.name, problem.owner, problem.path) == (kind + "Value", "Twin", f"/{kind}Value")
        assert kind in problem.expected


@pytest.mark.parametrize(
    ("members", "kind", "path"),
    [
        ({"place": {"x": "far"}}, "wrong_type", "/place/x"),
        ({"place": {"y": 1}}, "unknown_field", "/place/y"),
        ({"place": [1]}, "wrong_type", "/place"),
        ({"colour": "blue"}, "not_in_enum", "/colour"),
        ({"colour": ["red"]}, "not_in_enum", "/colour"),
        ({"level": True}, "not_in_enum", "/level"),
        ({"level": 1.0}, "not_in_enum", "/level"),
        ({"tags": {"a": {"on": 1}}}, "wrong_type", "/tags/a/on"),
        ({"tags": {"$a": {}}}, "bad_map_key", "/tags/$a"),
        ({"tags": {"": {}}}, "bad_map_key", "/tags/"),
        ({"spots": [{"x": 1}, {"x": None}]}, "wrong_type", "/spots/1/x"),
        ({"nope": 1}, "unknown_property", "/nope"),
        ({"heat": 1.0}, "unknown_property", "/heat"),
        ({"$foo": 1}, "unknown_property", "/$foo"),
        ({"a/b~c": 1}, "unknown_property", "/a~1b~0c"),
        ({"fan": {"$metadata": {}, "speed": "fast"}}, "wrong_type", "/fan/speed"),
        ({"fan": {"$metadata": {}, "colour": 1}}, "unknown_property", "/fan/colour"),
        ({"fan": {"speed": 1}}, "missing_component_metadata", "/fan/$metadata"),
        ({"fan": None}, "wrong_type", "/fan"),
    ],
)
def test_a_faulty_twin(members, kind, path):
    (problem,) = check_twin(MODELS, twin(**members))
    assert (problem.kind, problem.path) == (kind, path)
    assert problem.message
    assert problem.remedy


def test_a_sound_twin_with_everything():
    document = twin(
        **{"$dtId": "r", "$etag": 'W/"1"'},
        area=3,
        place={},
        colour="red",
        level=1,
        tags={"a": {"x": 1}, "b.c": {"on": False}},
        spots=[],
        fan={"$metadata": {"speed": {"lastUpdateTime": "x"}}, "speed": 3},
    )
    assert check_twin(MODELS, document) == []


def test_every_fault_of_a_twin_is_reported_at_once():
    faults = check_twin(
        MODELS, {"$metadata": {"$model": ROOM}, "area": "big", "nope": 1, "place": {"x": 1, "y": 2, "on": 3}}
    )
    assert kinds(faults) == ["wrong_type", "unknown_property", "unknown_field", "wrong_type", "missing_component"]
    assert faults[-1].name == "fan"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({}, "missing_model"),
        ({"$metadata": []}, "missing_model"),
        ({"$metadata": {"$model": 3}}, "missing_model"),
        ({"$metadata": {"$model": "dtmi:test:Gone;1"}}, "unknown_model"),
    ],
)
def test_a_twin_without_a_known_model(document, kind):
    assert kinds(check_twin(MODELS, document)) == [kind]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "add", "path": "/area", "value": 1}, None),
        ({"op": "replace", "path": "/place/x", "value": 1}, "replace_may_fail"),
        ({"op": "replace", "path": "/place", "value": {}}, "replace_may_fail"),
        ({"op": "replace", "path": "/fan/speed", "value": 1}, "replace_may_fail"),
        ({"op": "replace", "path": "/fan", "value": {"$metadata": {}}}, None),
        ({"op": "replace", "path": "/$metadata/$model", "value": ROOM}, None),
        ({"op": "replace", "path": "/$metadata/area/sourceTime", "value": "2024-01-01T00:00:00Z"}, None),
        ({"op": "remove", "path": "/place/x"}, None),
        ({"op": "add", "path": "/tags/any~1key", "value": {"x": 1}}, None),
        ({"op": "add", "path": "/tags/a/x", "value": 2}, None),
        ({"op": "add", "path": "/fan/speed", "value": 2}, None),
        ({"op": "add", "path": "/fan", "value": {"$metadata": {}}}, None),
        ({"op": "add", "path": "/$metadata/area/sourceTime", "value": "2024-01-01T00:00:00Z"}, None),
        ({"op": "add", "path": "/fan/$metadata/speed/sourceTime", "value": "2024-01-01T00:00:00Z"}, None),
        ({"op": "add", "path": "/area", "value": True}, "wrong_type"),
        ({"op": "add", "path": "/place/x", "value": "1"}, "wrong_type"),
        ({"op": "add", "path": "/place/z", "value": 1}, "unknown_field"),
        ({"op": "add", "path": "/area/x", "value": 1}, "unknown_field"),
        ({"op": "add", "path": "/tags/a", "value": {"z": 1}}, "unknown_field"),
        ({"op": "add", "path": "/tags/$a", "value": {}}, "bad_map_key"),
        ({"op": "add", "path": "/tags/" + "k" * 1025, "value": {}}, "bad_map_key"),
        ({"op": "add", "path": "/tags/" + "k" * 1024, "value": {}}, None),
        ({"op": "add", "path": "/spots/0", "value": {}}, "array_element"),
        ({"op": "add", "path": "/nope", "value": 1}, "unknown_property"),
        ({"op": "remove", "path": "/nope"}, "unknown_property"),
        ({"op": "remove", "path": "/fan"}, "missing_component"),
        ({"op": "add", "path": "/fan", "value": {}}, "missing_component_metadata"),
        ({"op": "add", "path": "/fan/speed", "value": 0.5}, "wrong_type"),
        ({"op": "add", "path": "/$metadata/area/sourceTime", "value": "today"}, "wrong_type"),
        ({"op": "add", "path": "/$metadata/nope/sourceTime", "value": "2024-01-01T00:00:00Z"}, "unknown_property"),
        ({"op": "add", "path": "/$metadata/area/lastUpdateTime", "value": "x"}, "read_only"),
        ({"op": "add", "path": "/$dtId", "value": "x"}, "read_only"),
        ({"op": "remove", "path": "/$metadata/$model"}, "read_only"),
        ({"op": "replace", "path": "/$metadata/$model", "value": "dtmi:test:Gone;1"}, "unknown_model"),
        ({"op": "move", "path": "/area", "from": "/place"}, "bad_operation"),
        ({"op": "add", "path": "/area"}, "bad_operation"),
        ({"op": ["add"], "path": "/area", "value": 1}, "bad_operation"),
        ({"op": "add", "path": 3, "value": 1}, "bad_operation"),
        ({}, "bad_operation"),
        ("area", "bad_operation"),
        ({"op": "add", "path": "", "value": 1}, "bad_path"),
        ({"op": "add", "path": "area", "value": 1}, "bad_path"),
    ],
)
def test_a_patch_operation(operation, kind):
    problems = check_patch(MODELS, ROOM, [operation])
    assert kinds(problems) == ([kind] if kind else [])
    assert check_patch(MODELS, ROOM, [operation]) == problems  # the second time from the remembered path


def test_a_patch_of_a_component_names_it_as_owner():
    (problem,) = check_patch(MODELS, ROOM, [{"op": "add", "path": "/fan/speed", "value": "x"}])
    assert (problem.owner, problem.name, problem.expected) == ("fan", "speed", "integer")


def test_a_patch_that_changes_the_model_is_checked_against_the_new_one():
    space = "dtmi:test:Space;1"
    change = {"op": "replace", "path": "/$metadata/$model", "value": space}
    current = twin(area=3, colour="red")

    assert kinds(check_patch(MODELS, ROOM, [change, {"op": "add", "path": "/colour", "value": "red"}])) == [
        "unknown_property"
    ]
    assert kinds(check_patch(MODELS, ROOM, [change], current)) == ["unknown_property", "unknown_property"]
    clean = [change, {"op": "remove", "path": "/colour"}, {"op": "remove", "path": "/fan"}]
    assert check_patch(MODELS, ROOM, clean, current)[1:] == []


def test_problems_are_of_the_same_type_as_those_of_models():
    (problem,) = check_patch(MODELS, ROOM, [{"op": "add", "path": "/fan/speed", "value": 1.0}])
    assert isinstance(problem, Problem)
    assert (problem.id, problem.rule, problem.kind) == ("remhart:instance:wrong_type", "wrong_type", "wrong_type")
    assert (problem.element, problem.path, problem.severity) == ("dtmi:test:Fan;1", "/fan/speed", "error")
    assert str(problem) == "error wrong_type: /fan/speed on fan must be integer. Send a value the model allows."
    assert not Report((problem,)).valid


@pytest.mark.parametrize(
    ("problems", "element"),
    [
        (check_twin(MODELS, twin(nope=1)), ROOM),
        (check_twin(MODELS, twin(fan={"$metadata": {}, "nope": 1})), "dtmi:test:Fan;1"),
        (check_twin(MODELS, {"$metadata": {"$model": ROOM}}), ROOM),
        (check_twin(MODELS, {"$metadata": {"$model": "dtmi:test:Gone;1"}}), "dtmi:test:Gone;1"),
        (check_patch(MODELS, ROOM, [{"op": "remove", "path": "/fan"}]), ROOM),
        (check_relationship(MODELS, ROOM, {"$relationshipName": "next", "since": 1}), ROOM),
        (check_telemetry(MODELS, ROOM, {"noise": "x"}, "fan"), "dtmi:test:Fan;1"),
    ],
)
def test_a_problem_names_the_interface_concerned(problems, element):
    assert [problem.element for problem in problems] == [element]


def test_a_replace_that_may_fail_is_a_warning_which_refuses_nothing():
    patch = [{"op": "replace", "path": "/place/x", "value": 1}]
    (warning,) = check_patch(MODELS, ROOM, patch)
    assert (warning.severity, warning.path, warning.name, warning.element) == ("warning", "/place/x", "place", ROOM)
    assert warning.remedy == "Use add: it sets the property whether or not it has a value."
    assert errors_of([warning]) == []
    assert Report((warning,)).valid
    mixed = check_patch(MODELS, ROOM, [{"op": "replace", "path": "/area", "value": "x"}])
    assert kinds(mixed) == ["wrong_type", "replace_may_fail"]
    assert kinds(errors_of(mixed)) == ["wrong_type"]


REPLACE = {"op": "replace", "path": "/place/x", "value": 1}


@pytest.mark.parametrize(
    ("before", "current", "warned"),
    [
        ([], twin(place={"x": 5}), False),
        ([], twin(place={}), True),
        ([], twin(), True),
        ([], None, True),
        ([{"op": "add", "path": "/place", "value": {"x": 1}}], None, False),
        ([{"op": "add", "path": "/place/x", "value": 1}], twin(), False),
        ([{"op": "add", "path": "/place", "value": {}}], twin(place={"x": 5}), True),
        ([{"op": "remove", "path": "/place/x"}], twin(place={"x": 5}), True),
        ([{"op": "remove", "path": "/place"}], twin(place={"x": 5}), True),
        ([{"op": "add", "path": "/place/x", "value": 1}, {"op": "add", "path": "/place", "value": {}}], twin(), True),
        ([{"op": "remove", "path": "/place"}, {"op": "add", "path": "/place", "value": {"x": 1}}], twin(), False),
        ([{"op": "add", "path": "/colour", "value": "red"}], twin(place={"x": 5}), False),
    ],
)
def test_there_is_no_warning_where_the_value_is_known_to_be_there(before, current, warned):
    problems = check_patch(MODELS, ROOM, [*before, REPLACE], current)
    assert kinds(problems) == (["replace_may_fail"] if warned else [])


def test_the_same_holds_for_the_properties_of_relationships():
    patch = [{"op": "replace", "path": "/spot/x", "value": 1}]
    assert kinds(check_relationship_patch(MODELS, ROOM, "next", patch, {"spot": {"x": 2}})) == []
    assert kinds(check_relationship_patch(MODELS, ROOM, "next", patch, {"spot": {}})) == ["replace_may_fail"]


def sized(size: int, **more) -> dict:
    """A sound twin whose JSON, without $metadata, has so many bytes."""
    document = twin(tags={f"k{n}": {} for n in range(8)}, stringValue="", **more)
    document["spots"] = [{"x": 1}] * ((size - 3000) // 8)
    content = {name: value for name, value in document.items() if name != "$metadata"}
    content["fan"] = {}
    fill = size - len(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode())
    document["stringValue"] = "x" * fill
    return document


def test_a_twin_of_32_kb_is_taken_and_one_byte_more_is_too_large():
    assert check_twin(MODELS, sized(ADT_TWIN_BYTES)) == []
    (problem,) = check_twin(MODELS, sized(ADT_TWIN_BYTES + 1))
    assert (problem.kind, problem.path, problem.severity) == ("too_large", "", "error")
    assert str(ADT_TWIN_BYTES + 1) in problem.message
    assert check_twin(MODELS, sized(ADT_TWIN_BYTES + 1), measure=False) == []


def test_metadata_is_the_services_own_and_does_not_count():
    document = sized(ADT_TWIN_BYTES)
    document["$metadata"]["area"] = {"lastUpdateTime": "x" * 40_000}
    document["fan"]["$metadata"]["speed"] = {"lastUpdateTime": "x" * 40_000}
    assert check_twin(MODELS, document) == []


@pytest.mark.parametrize(
    "members",
    [
        {"tags": {f"{n}" + "\x01" * 900: {} for n in range(7)}},  # six bytes each in JSON
        {"tags": {f"{n}": {"x": 10**300} for n in range(120)}},
        {"tags": {f"{n}": {"on": False} for n in range(2500)}},
        {"tags": {f"{n}" + "😀" * 250: {} for n in range(33)}},
        {"spots": [{"x": -1.7976931348623157e308}] * 1100},
        {"spots": [{}] * 11_000},
    ],
)
def test_no_kind_of_value_makes_a_large_twin_look_small(members):
    assert len(json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()) > ADT_TWIN_BYTES
    assert kinds(check_twin(MODELS, twin(**members))) == ["too_large"]


def test_whoever_has_written_the_twin_already_says_how_long_it_is():
    assert check_size(sized(ADT_TWIN_BYTES + 1), encoded=ADT_TWIN_BYTES) == []
    assert check_size(sized(ADT_TWIN_BYTES), encoded=ADT_TWIN_BYTES + 500) == []
    assert kinds(check_size(sized(ADT_TWIN_BYTES + 1), encoded=ADT_TWIN_BYTES + 500)) == ["too_large"]


def test_many_different_map_keys_do_not_fill_the_memory():
    for n in range(6000):
        assert check_patch(MODELS, ROOM, [{"op": "add", "path": f"/tags/k{n}", "value": {}}]) == []
    for length in (300, 1_000_000):
        check_patch(MODELS, ROOM, [{"op": "add", "path": "/tags/" + "k" * length, "value": {}}])
    assert len(MODELS.checkers[ROOM].paths) <= 4096
    assert max(map(len, MODELS.checkers[ROOM].paths)) < 300


def test_relationships():
    good = {"$relationshipName": "next", "$targetId": "b", "since": "2024-01-01"}
    assert check_relationship(MODELS, ROOM, good, "dtmi:test:Space;1") == []
    assert check_relationship(MODELS, ROOM, good, ROOM) == []  # a Room is a Space
    assert check_relationship(MODELS, ROOM, {"$relationshipName": "anything"}, "dtmi:test:Fan;1") == []

    assert kinds(check_relationship(MODELS, ROOM, good, "dtmi:test:Fan;1")) == ["wrong_target"]
    assert kinds(check_relationship(MODELS, ROOM, {"$relationshipName": "heat"})) == ["unknown_relationship"]
    assert kinds(check_relationship(MODELS, ROOM, {})) == ["missing_relationship_name"]
    assert kinds(check_relationship(MODELS, ROOM, {**good, "since": 1, "x": 2})) == ["wrong_type", "unknown_property"]
    assert kinds(check_relationship(MODELS, "dtmi:test:Gone;1", good)) == ["unknown_model"]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "add", "path": "/since", "value": "2024-01-01"}, None),
        ({"op": "replace", "path": "/spot/x", "value": 1}, "replace_may_fail"),
        ({"op": "remove", "path": "/since"}, None),
        ({"op": "add", "path": "/since", "value": "soon"}, "wrong_type"),
        ({"op": "add", "path": "/spot/z", "value": 1}, "unknown_field"),
        ({"op": "add", "path": "/nope", "value": 1}, "unknown_property"),
        ({"op": "add", "path": "/$targetId", "value": "b"}, "read_only"),
        ({"op": "copy", "path": "/since", "value": "b"}, "bad_operation"),
        ({"op": "add", "path": "since", "value": "b"}, "bad_path"),
    ],
)
def test_a_patch_of_a_relationship(operation, kind):
    assert kinds(check_relationship_patch(MODELS, ROOM, "next", [operation])) == ([kind] if kind else [])


def test_a_patch_of_an_unknown_relationship():
    assert kinds(check_relationship_patch(MODELS, ROOM, "nope", [])) == ["unknown_relationship"]
    assert kinds(check_relationship_patch(MODELS, "dtmi:test:Gone;1", "next", [])) == ["unknown_model"]


def test_telemetry():
    assert check_telemetry(MODELS, ROOM, {"heat": 3}) == []
    assert check_telemetry(MODELS, ROOM, {"noise": 3.5}, "fan") == []
    assert kinds(check_telemetry(MODELS, ROOM, {"heat": "hot", "area": 1})) == ["wrong_type", "unknown_telemetry"]
    assert kinds(check_telemetry(MODELS, ROOM, {"heat": 1}, "fan")) == ["unknown_telemetry"]
    assert kinds(check_telemetry(MODELS, ROOM, {}, "pump")) == ["unknown_component"]
    assert kinds(check_telemetry(MODELS, ROOM, [1])) == ["wrong_type"]
    assert kinds(check_telemetry(MODELS, "dtmi:test:Gone;1", {})) == ["unknown_model"]
