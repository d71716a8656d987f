"""Questions to a set of interfaces: inheritance, order, batches, and what elements mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from documents import QUANTITIES, V2, interface, prop, text

from remhart_adt.dtdl import ModelSet, check_twin, parse
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


@pytest.mark.parametrize("question", ["ancestors", "descendants", "contents", "defaults", "dependencies"])
def test_asking_for_a_model_that_is_not_there(family, question):
    with pytest.raises(DtdlError, match="dtmi:test:Gone;1"):
        getattr(family, question)("dtmi:test:Gone;1")


def test_descendants_are_told_nearest_first_and_once(family):
    assert family.descendants("dtmi:test:Elder;1") == ("dtmi:test:Mother;1", "dtmi:test:Father;1", "dtmi:test:Child;1")
    assert family.descendants("dtmi:test:Child;1") == ()


def test_contents_are_told_by_kind_with_the_inherited_ones(family):
    assert list(family.contents("dtmi:test:Child;1")) == ["heart", "m", "f", "e"]
    assert list(family.contents("dtmi:test:Child;1", "Property")) == ["m", "f", "e"]
    assert family.contents("dtmi:test:Heart;1", "Component") == {}


@pytest.fixture
def street() -> ModelSet:
    """A Meter feeds Things, of which a House is one; it also knows any twin, and one that nothing defines."""
    return parse(
        interface("Special", extends="dtmi:test:Meter;1"),
        interface(
            "Meter",
            contents=[
                {"@type": "Relationship", "name": "feeds", "target": "dtmi:test:Thing;1"},
                {"@type": "Relationship", "name": "knows"},
                {"@type": "Relationship", "name": "misses", "target": "dtmi:test:Gone;1"},
                prop("reading"),
            ],
        ),
        interface("House", extends="dtmi:test:Thing;1"),
        interface("Thing"),
    )


def test_a_relationship_may_lead_to_its_target_and_to_what_extends_it(street):
    assert street.targets("dtmi:test:Meter;1", "feeds") == ("dtmi:test:Thing;1", "dtmi:test:House;1")
    assert street.targets("dtmi:test:Special;1", "feeds") == street.targets("dtmi:test:Meter;1", "feeds")
    assert street.targets("dtmi:test:Meter;1", "knows") == tuple(street)
    assert street.targets("dtmi:test:Meter;1", "misses") == ()


@pytest.mark.parametrize("name", ["reading", "unheardOf"])
def test_asking_where_something_leads_that_is_no_relationship(street, name):
    with pytest.raises(DtdlError, match=f"no relationship '{name}'"):
        street.targets("dtmi:test:Meter;1", name)


def test_the_default_twin_has_every_component_and_passes_the_check(family):
    smallest = family.defaults("dtmi:test:Child;1")
    assert smallest == {"$metadata": {"$model": "dtmi:test:Child;1"}, "heart": {"$metadata": {}}}
    assert check_twin(family, smallest) == []
    del smallest["heart"]
    assert check_twin(family, smallest) != []


def test_the_default_twin_has_inherited_components_too():
    models = parse(
        interface("Heir", extends="dtmi:test:Owner;1", contents=[prop()]),
        interface("Owner", contents=[component("c", "Heart")]),
        interface("Heart"),
    )
    smallest = models.defaults("dtmi:test:Heir;1")
    assert smallest == {"$metadata": {"$model": "dtmi:test:Heir;1"}, "c": {"$metadata": {}}}


def test_an_inline_interface_is_a_model_but_travels_with_its_owner():
    models = parse(interface(contents=[{"@type": "Component", "name": "c", "schema": interface("Inner")}]))
    assert set(models) == {"dtmi:test:A;1", "dtmi:test:Inner;1"}
    assert [[d["@id"] for d in batch] for batch in models.batches()] == [["dtmi:test:A;1"]]


def test_what_depends_on_an_inner_interface_waits_for_the_one_it_is_written_in():
    inner = interface("Inner", extends="dtmi:test:Base;1")
    models = parse(
        interface("User", extends="dtmi:test:Inner;1"),
        interface("Owner", contents=[{"@type": "Component", "name": "c", "schema": inner}]),
        interface("Base"),
    )
    assert [[d["@id"] for d in batch] for batch in models.batches(1)] == [
        ["dtmi:test:Base;1"],
        ["dtmi:test:Owner;1"],
        ["dtmi:test:User;1"],
    ]


def test_documents_that_need_one_another_are_in_one_call():
    # Owner holds Inner and has a User; a User is an Inner: neither can be uploaded before the other.
    owner = interface(
        "Owner",
        contents=[{"@type": "Component", "name": "a", "schema": interface("Inner")}, component("b", "User")],
    )
    models = parse(interface("First"), owner, interface("User", extends="dtmi:test:Inner;1"), interface("Last"))

    assert [[d["@id"] for d in batch] for batch in models.batches(2)] == [
        ["dtmi:test:First;1"],
        ["dtmi:test:Owner;1", "dtmi:test:User;1"],
        ["dtmi:test:Last;1"],
    ]
    with pytest.raises(DtdlError, match="2 interfaces cannot be uploaded before one another"):
        models.batches(1)


def test_the_language_lets_no_component_extend_its_owner():
    with pytest.raises(DtdlError) as caught:
        parse(interface("A", contents=[component("c", "B")]), interface("B", extends="dtmi:test:A;1"))
    assert {p.rule for p in caught.value.report.errors} >= {"excludedType"}


def test_a_circle_in_a_set_made_by_hand_stays_together_and_ends(family):
    elder = family["dtmi:test:Elder;1"]
    models = ModelSet({**family.interfaces, elder.id: replace(elder, extends=("dtmi:test:Father;1",))})

    order = models.order()

    assert sorted(order) == sorted(family)
    assert order.index("dtmi:test:Elder;1") == order.index("dtmi:test:Father;1") + 1
    assert order.index("dtmi:test:Mother;1") > order.index("dtmi:test:Elder;1")
    assert ["dtmi:test:Father;1", "dtmi:test:Elder;1"] in [[d["@id"] for d in batch] for batch in models.batches(2)]


def test_a_chain_of_ten_thousand_interfaces_is_ordered():
    one = parse(interface())["dtmi:test:A;1"]
    ids = [f"dtmi:test:I{n};1" for n in range(10_000)]
    following = zip(ids, [*ids[1:], None], strict=True)
    models = ModelSet({i: replace(one, id=i, extends=(after,) if after else ()) for i, after in following})

    assert models.order() == ids[::-1]
    assert models.descendants(ids[-1]) == tuple(ids[-2::-1])
    assert [len(batch) for batch in models.batches()] == [250] * 40


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
