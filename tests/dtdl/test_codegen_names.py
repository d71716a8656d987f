"""Names of generated code: Python's style, never taken, never twice, the same whatever comes first."""

from __future__ import annotations

import keyword

import pytest
from documents import interface, prop
from generated import imported, module_of, reformatted
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.dtdl import parse
from remhart_adt.dtdl.codegen_names import attributes, interface_names, members
from remhart_adt.dtdl.naming import camel, class_name, snake
from remhart_adt.ontology.base import InterfaceModel, Part, RelationshipModel

NAMES = st.from_regex(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("phaseA", "phase_a"),
        ("load15minLow", "load15min_low"),
        ("URLValue", "url_value"),
        ("class", "class_"),
        ("etag", "etag_"),
        ("sourceId", "source_id_"),
    ],
)
def test_names_in_pythons_style(name, attribute):
    assert snake(name) == attribute


def test_no_attribute_hides_what_the_classes_have():
    public = {name for cls in (Part, InterfaceModel, RelationshipModel) for name in dir(cls) if name[0] != "_"}
    assert len(public) > 30
    assert {name for name in public if snake(name) == name} == set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Alarm event", "AlarmEvent"),
        ("Zähler Größe", ""),
        ("Zähler für Café", "ZahlerFurCafe"),
        ("15-minute load (°C)", "N15MinuteLoadC"),
        ("電圧", ""),
        ("none", "None_"),
        ("¿?", ""),
        ("", ""),
        (
            "Voltage between the first and the second phase measured at the main switch",
            "VoltageBetweenTheFirstAndTheSecondPhaseMeasuredAtTheMain",
        ),
        ("x" * 99, "X" + "x" * 59),
    ],
)
def test_a_display_name_as_a_class(text, name):
    assert class_name(text) == name


@given(st.lists(NAMES, unique=True), st.lists(NAMES, unique=True, max_size=3))
def test_attributes_are_usable_and_different(names, inherited):
    found = attributes(names, inherited)
    assert list(found) == names
    every = [*found.values(), *{*inherited} - {*found.values()}]
    assert len(set(every)) == len(every)
    assert all(attribute.isidentifier() and not keyword.iskeyword(attribute) for attribute in found.values())


@given(NAMES, NAMES)
def test_an_ordinary_name_keeps_its_attribute_whatever_is_added(name, other):
    if (
        name != other
        and camel(snake(name)) == name
        and not (camel(snake(other)) == other and snake(other) == snake(name))
    ):
        assert attributes([other, name], ())[name] == snake(name)


def test_members_are_usable_and_different():
    assert members(["low", "LOW", "highHigh", "class", "is-no-name", "1st", ""]) == {
        "low": "LOW",
        "LOW": "LOW_2",
        "highHigh": "HIGH_HIGH",
        "class": "CLASS",
        "is-no-name": "IS_NO_NAME",
        "1st": "N1ST",
        "": "N",
    }


def test_interfaces_are_told_apart_by_more_of_their_identifier():
    dtmis = [
        "dtmi:acme:grid:Meter;1",
        "dtmi:acme:house:Meter;1",
        "dtmi:acme:house:Meter;2",
        "dtmi:acme:house:Meter",
        "dtmi:acme:Room;1.2",
        "dtmi:acme:room;1",
        "dtmi:zoo:GridMeter;1",
        "dtmi:other:Pump;3",
        "dtmi:other:Part;1",
        "dtmi:other:Base;1",
        "dtmi:other:con;1",
        "dtmi:other:URLValue;1",
        "dtmi:other:UrlValue;1",
    ]
    found = interface_names(dtmis, ["Part"], ["base"])
    assert {dtmi: (names.cls, names.module) for dtmi, names in found.items()} == {
        "dtmi:acme:grid:Meter;1": ("GridMeter2", "grid_meter_2"),
        "dtmi:zoo:GridMeter;1": ("GridMeter", "grid_meter"),
        "dtmi:acme:house:Meter;1": ("HouseMeterV1", "house_meter_v1"),
        "dtmi:acme:house:Meter;2": ("HouseMeterV2", "house_meter_v2"),
        "dtmi:acme:house:Meter": ("HouseMeter", "house_meter"),
        "dtmi:acme:Room;1.2": ("Room", "room"),
        "dtmi:acme:room;1": ("Room2", "room_2"),
        "dtmi:other:Pump;3": ("Pump", "pump"),
        "dtmi:other:Part;1": ("PartTwin", "part_twin"),
        "dtmi:other:Base;1": ("BaseTwin", "base_twin"),
        "dtmi:other:con;1": ("ConTwin", "con_twin"),
        "dtmi:other:URLValue;1": ("URLValue", "url_value"),
        "dtmi:other:UrlValue;1": ("UrlValue2", "url_value_2"),
    }


DTMIS = st.builds(
    lambda segments, version: f"dtmi:{':'.join(segments)};{version}",
    st.lists(st.sampled_from(["a", "A", "ab", "a_b", "aB", "Ab", "x"]), min_size=1, max_size=3),
    st.integers(1, 3),
)


@given(st.lists(DTMIS, unique=True))
def test_interfaces_never_share_a_name(dtmis):
    found = interface_names(dtmis)
    assert found == interface_names(reversed(dtmis))
    assert found.keys() == set(dtmis)
    for taken in (
        [n.cls for n in found.values()] + [n.telemetry for n in found.values()],
        [n.module for n in found.values()],
    ):
        assert len(set(taken)) == len(taken)
        assert all(name.isidentifier() for name in taken)


def test_names_that_collide_with_all_that_a_module_uses(tmp_path):
    """Interfaces, relationships, objects and attributes that are called like what generated code imports."""
    words = [
        "Part",
        "Real",
        "Text",
        "Key",
        "ClassVar",
        "StrEnum",
        "Whole",
        "InterfaceModel",
        "RelationshipModel",
        "Point",
    ]
    words += [
        "INTERFACES",
        "RelationshipClasses",
        "ComponentNames",
        "WholeEnum",
        "A",
        "B",
        "None",
        "TypeAliasType",
        "ATelemetry",
    ]
    low = [
        "str",
        "dict",
        "list",
        "tuple",
        "type",
        "int",
        "component",
        "componentOf",
        "dtdlName",
        "modelConfig",
        "modelDumpIt",
        "copy",
        "json",
    ]
    low += ["self", "cls", "MODEL", "COMPONENTS", "RELATIONSHIPS", "dtId", "toTwin", "models", "def", "None"]
    enum = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": name, "enumValue": name} for name in low]}
    fields = [{"name": name, "schema": "double"} for name in low]
    table = {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "double"}}
    models = parse(
        interface(
            extends="dtmi:test:Part;1",
            contents=[
                *(
                    prop(f"o{n}", {"@type": "Object", "displayName": word, "fields": fields})
                    for n, word in enumerate(words)
                ),
                *(prop(f"e{n}", {**enum, "displayName": word}) for n, word in enumerate(words)),
                *(prop(name, {"@type": "Array", "elementSchema": table}) for name in low),
                *(
                    {"@type": "Relationship", "name": f"{word}", "properties": [prop(name) for name in low]}
                    for word in words
                    if word not in low
                ),
                {"@type": "Telemetry", "name": "t", "schema": "double"},
                {"@type": "Component", "name": "b", "schema": "dtmi:test:B;1"},
            ],
        ),
        interface(
            "B",
            contents=[
                prop("where", "point"),
                prop("n", {**enum, "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": 1}]}),
            ],
        ),
        *(interface(word) for word in words if word not in "AB"),
    )
    with imported(models, tmp_path) as package:
        body = {name: [{"k": 1.0}] for name in low}
        document = {**body, "b": {"$metadata": {}}, "$metadata": {"$model": "dtmi:test:A;1"}}
        twin = package.A.from_twin(document)
        assert twin.to_twin() == document
        assert package.A.from_twin(twin.to_twin()) == twin
        assert issubclass(package.A, package.PartTwin)
        assert [r.NAME for r in package.A.RELATIONSHIPS] == [word for word in words if word not in low]
        for relationship in package.A.RELATIONSHIPS:
            edge = {"$relationshipName": relationship.NAME, "$targetId": "t", **dict.fromkeys(low, 1.0)}
            assert relationship.from_relationship(edge).to_relationship() == edge
        module = module_of(package, package.A)
        objects = [
            value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__
        ]
        assert len(objects) == len(words) * 2 + len(package.A.RELATIONSHIPS) + 2
    assert reformatted(tmp_path) == ""
