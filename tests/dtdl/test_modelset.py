"""Questions to a set of interfaces: inheritance, order, batches, and what elements mean."""

from __future__ import annotations

import pytest
from documents import QUANTITIES, V2, interface, prop, text

from remhart_adt.dtdl import ModelSet, parse
from remhart_adt.errors import DtdlError


def component(name: str, target: str) -> dict[str, str]:
    return {"@type": "Component", "name": name, "schema": f"dtmi:test:{target};1"}


@pytest.fixture
def family() -> ModelSet:
    """Child extends Mother and Father, who both extend Elder; Child has a component Heart."""
    return parse(
        interface(
            "Child", extends=["dtmi:test:Mother;1", "dtmi:test:Father;1"], contents=[component("heart", "Heart")]
        ),
        interface("Mother", extends="dtmi:test:Elder;1", contents=[prop("m")]),
        interface("Father", extends="dtmi:test:Elder;1", contents=[prop("f")]),
        interface("Elder", contents=[prop("e")]),
        interface("Heart", contents=[prop("rate")]),
    )


def test_contents_are_inherited_once_along_a_diamond(family):
    child = family["dtmi:test:Child;1"]
    assert list(child.own) == ["heart"]
    assert set(child.contents) == {"heart", "m", "f", "e"}
    assert child.contents["e"].defined_in == "dtmi:test:Elder;1"
    assert list(child.of_kind("Component")) == ["heart"]


def test_is_of_model(family):
    assert family.is_of_model("dtmi:test:Child;1", "dtmi:test:Elder;1")
    assert not family.is_of_model("dtmi:test:Child;1", "dtmi:test:Elder;1", exact=True)
    assert family.is_of_model("dtmi:test:Child;1", "dtmi:test:Child;1", exact=True)
    assert not family.is_of_model("dtmi:test:Elder;1", "dtmi:test:Child;1")
    assert not family.is_of_model("dtmi:test:Gone;1", "dtmi:test:Gone;1")


def test_order_puts_what_is_needed_first_and_batches_keep_it(family):
    order = family.order()
    for dtmi in family:
        assert all(order.index(needed) < order.index(dtmi) for needed in family.dependencies(dtmi))
    assert [[d["@id"] for d in batch] for batch in family.batches(2)] == [order[0:2], order[2:4], order[4:5]]


def test_asking_for_a_model_that_is_not_there(family):
    with pytest.raises(DtdlError, match="dtmi:test:Gone;1"):
        family.ancestors("dtmi:test:Gone;1")


def test_an_inline_interface_is_a_model_but_travels_with_its_owner():
    models = parse(interface(contents=[{"@type": "Component", "name": "c", "schema": interface("Inner")}]))
    assert set(models) == {"dtmi:test:A;1", "dtmi:test:Inner;1"}
    assert [[d["@id"] for d in batch] for batch in models.batches()] == [["dtmi:test:A;1"]]


def test_every_kind_of_schema_is_told_as_it_was_written():
    place = {
        "@id": "dtmi:test:Place;1",
        "@type": "Object",
        "displayName": "Place",
        "fields": {"name": "x", "schema": "float"},
    }
    models = parse(
        interface(
            context=QUANTITIES,
            schemas=[place],
            contents=[
                prop("o", "dtmi:test:Place;1"),
                prop(
                    "n", {"@type": "Array", "elementSchema": {"@type": "Array", "elementSchema": "dtmi:test:Place;1"}}
                ),
                prop("e", {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "one", "enumValue": 1}]}),
                prop(
                    "m",
                    {
                        "@type": "Map",
                        "mapKey": {"name": "k", "schema": "string"},
                        "mapValue": {"@type": ["MapValue", "Power"], "name": "v", "schema": "double", "unit": "watt"},
                    },
                ),
                prop("g", "point"),
                {"@type": "Command", "name": "c", "request": {"name": "r", "schema": "time"}},
                {"@type": "Relationship", "name": "to", "maxMultiplicity": 3, "properties": [prop("since", "date")]},
            ],
        )
    )
    contents = models["dtmi:test:A;1"].contents

    assert contents["o"].schema is contents["n"].schema.element.element
    assert contents["o"].schema.display_name == {"en": "Place"}
    assert [(v.name, v.value) for v in contents["e"].schema.values] == [("one", 1)]
    value = contents["m"].schema.value
    assert (contents["m"].schema.key_name, value.name, value.types, value.unit) == ("k", "v", ("Power",), "watt")
    assert contents["g"].schema.fields["coordinates"].schema.element.kind == "double"
    assert contents["c"].request.schema.kind == "time"
    assert contents["to"].target is None
    assert contents["to"].max_multiplicity == 3
    assert contents["to"].properties["since"].schema.kind == "date"


def test_dtdl_v2_has_units_built_in_and_tolerates_what_v3_refuses():
    document = interface(
        context=[V2, "dtmi:example:extension;1"],
        contents=[
            {"@type": ["Property", "Temperature"], "name": "t", "schema": "double", "unit": "degreeCelsius"},
            {"@type": ["Property", "Fancy"], "name": "f", "schema": "double", "fanciness": 3},
        ],
    )
    contents = parse(text(document))["dtmi:test:A;1"].contents
    assert (contents["t"].types, contents["t"].unit) == (("Temperature",), "degreeCelsius")
    assert contents["f"].types == ()


def test_literals_may_be_written_in_every_legal_way():
    document = interface(
        displayName=[{"@value": "Haus", "@language": "de"}, "House"],
        comment=["only one"],
        contents=prop(name={"@value": "p", "@type": "xsd:string"}, schema=["double"], writable={"@value": True}),
    )
    found = parse(document)["dtmi:test:A;1"]
    assert found.display_name == {"de": "Haus", "en": "House"}
    assert found.comment == "only one"
    assert found.contents["p"].writable is True
    assert found.contents["p"].id == "dtmi:test:A:_contents:__p;1"
