"""What changed in the contents of an interface, and how much it matters."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from changes import REQUIRED, V4, command, compare, component, enum, field, grades, obj, quantity, relationship, version
from documents import QUANTITIES, V3, interface, prop

from remhart_adt.dtdl import Field, ModelSet, Schema, parse
from remhart_adt.dtdl.evolution.compare import diff
from remhart_adt.resources import dtdl_dir

# --- identical --------------------------------------------------------------------------------------------------------


def test_the_way_something_is_written_makes_no_difference(tmp_path):
    plain = interface(
        context=QUANTITIES,
        displayName={"en": "House"},
        contents=[
            {"@type": ["Property", "Power"], "name": "p", "schema": "double", "unit": "watt", "writable": False},
            prop("o", obj({"@type": "Field", "name": "f", "schema": "string", "comment": "c"}), displayName="O"),
            prop("e", enum(a="a", b="b")),
        ],
    )
    e = plain["contents"][2]
    odd = {
        "contents": [
            {**e, "schema": {**e["schema"], "enumValues": e["schema"]["enumValues"][::-1]}},
            {
                "displayName": [{"@language": "en", "@value": "O"}],
                "schema": [{"fields": {"schema": "string", "comment": ["c"], "name": "f"}, "@type": ["Object"]}],
                "dtmi:dtdl:property:name;3": {"@value": "o", "@type": "xsd:string"},
                "@type": "dtmi:dtdl:class:Property;3",
            },
            {
                "schema": "dtmi:dtdl:instance:Schema:double;3",
                "unit": "dtmi:dtdl:extension:quantitativeTypes:v1:unit:watt",
                "name": "p",
                "@type": ["Power", "Property"],
            },
        ],
        "@type": ["Interface"],
        "@id": "dtmi:test:A;1",
        "displayName": "House",
        "@context": QUANTITIES,
    }
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(odd, indent=4))
    for new in (odd, [odd], json.dumps(odd), file, tmp_path, parse(odd)):
        found = diff(plain, new)
        assert found.changes == ()
        assert found.verdict == "identical"
        assert found.by_interface() == {"dtmi:test:A;1": ()}


def test_the_published_interfaces_are_identical_to_themselves():
    assert diff(dtdl_dir(), parse(dtdl_dir())).verdict == "identical"


# --- contents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("added", [prop(), {**prop(), "@type": "Telemetry"}, relationship(), command()])
def test_content_may_be_added_but_not_taken_away(added):
    assert list(compare(None, added).values()) == ["compatible"]
    assert list(compare(added, None).values()) == ["breaking"]


def test_a_component_added_breaks_the_twins_there_are():
    parts = interface("B")
    found = diff(
        [interface(), parts],
        [version(interface(contents=[component()]), 2), parts],
    )
    assert grades(found) == {"contents/c": "breaking"}


def test_a_renamed_property_is_gone_and_another_one_was_added():
    assert compare(prop("voltage"), prop("tension")) == {
        "contents/tension": "compatible",
        "contents/voltage": "breaking",
    }


def test_content_of_another_kind_is_breaking():
    assert compare(prop(), {**prop(), "@type": "Telemetry"}) == {"contents/p": "breaking"}


@pytest.mark.parametrize("text", ["displayName", "description", "comment"])
def test_texts_are_compatible(text):
    assert compare(prop(), prop(**{text: "news"})) == {f"contents/p/{text}": "compatible"}
    assert compare(prop(**{text: "old"}), prop(**{text: "news"})) == {f"contents/p/{text}": "compatible"}


def test_writable_may_be_given_but_not_taken():
    assert compare(prop(), prop(writable=True)) == {"contents/p/writable": "compatible"}
    assert compare(prop(writable=True), prop()) == {"contents/p/writable": "breaking"}


# --- schemas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "verdict", "context"),
    [
        ("integer", "long", "compatible", V3),
        ("long", "integer", "breaking", V3),
        ("float", "double", "compatible", V3),
        ("double", "float", "breaking", V3),
        ("integer", "double", "breaking", V3),
        ("double", "string", "breaking", V3),
        ("date", "dateTime", "breaking", V3),
        ("point", "polygon", "breaking", V3),
        ("string", enum(a="a"), "breaking", V3),
        (obj(), "point", "breaking", V3),
        (obj(), {"@type": "Array", "elementSchema": "double"}, "breaking", V3),
        ("byte", "long", "compatible", V4),
        ("unsignedShort", "integer", "compatible", V4),
        ("unsignedInteger", "integer", "breaking", V4),
        ("decimal", "double", "breaking", V4),
    ],
)
def test_a_schema_may_only_become_one_with_room_for_all_its_values(old, new, verdict, context):
    assert compare(prop("p", old), prop("p", new), context=context) == {"contents/p/schema": verdict}


def test_fields_are_named_by_their_path():
    old = obj(field("phaseA"), field("phaseB", obj(field("x", "integer"))), field("same"))
    new = obj(field("same"), field("phaseB", obj(field("x", "string"))), field("phaseC"))
    assert compare(prop("v", old), prop("v", new)) == {
        "contents/v/schema/phaseA": "breaking",
        "contents/v/schema/phaseB/schema/x/schema": "breaking",
        "contents/v/schema/phaseC": "compatible",
    }


def test_arrays_and_maps_are_followed():
    def nested(schema, name="v", key="k"):
        value = {"name": name, "schema": schema}
        return {
            "@type": "Array",
            "elementSchema": {"@type": "Map", "mapKey": {"name": key, "schema": "string"}, "mapValue": value},
        }

    assert compare(prop("p", nested("integer")), prop("p", nested("string", "w", "l"))) == {
        "contents/p/schema/elementSchema/mapKey": "compatible",
        "contents/p/schema/elementSchema/mapValue/name": "compatible",
        "contents/p/schema/elementSchema/mapValue/schema": "breaking",
    }


def test_enum_values_may_be_added_but_not_removed_renamed_or_stored_otherwise():
    at = "contents/p/schema"
    for old, new, expected in (
        (enum(a="a"), enum(a="a", b="b"), {f"{at}/b": "compatible"}),
        (enum(a="a", b="b"), enum(a="a"), {f"{at}/b": "breaking"}),
        (enum(a="a"), enum(a="A"), {f"{at}/a": "breaking"}),
        (enum(a="a"), enum(b="a"), {f"{at}/a": "breaking", f"{at}/b": "compatible"}),
    ):
        assert compare(prop("p", old), prop("p", new)) == expected
    texts = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": "a", "enumValue": "1"}]}
    numbers = {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": 1}]}
    assert compare(prop("p", texts), prop("p", numbers)) == {at: "breaking", f"{at}/a": "breaking"}


def test_a_shared_schema_shows_at_every_content_that_uses_it():
    def model(number, kind):
        return version(
            interface(
                schemas=[{"@id": f"dtmi:test:Pair;{number}", **obj(field("a", kind))}],
                contents=[prop("x", f"dtmi:test:Pair;{number}"), prop("y", f"dtmi:test:Pair;{number}")],
            ),
            number,
        )

    assert grades(diff(model(1, "integer"), model(2, "long"))) == {
        "contents/x/schema/a/schema": "compatible",
        "contents/y/schema/a/schema": "compatible",
    }


def test_a_schema_that_contains_itself_is_compared_once_around():
    def tree(number, value):
        node = f"dtmi:test:Node;{number}"
        inner = field("children", {"@type": "Array", "elementSchema": node})
        schemas = [{"@id": node, **obj(field("value", value), inner)}]
        return version(interface(context=V4, schemas=schemas, contents=[prop("root", node)]), number)

    assert grades(diff(tree(1, "integer"), tree(2, "long"))) == {"contents/root/schema/value/schema": "compatible"}
    assert grades(diff(tree(1, "integer"), tree(2, "integer"))) == {}


def test_a_chain_of_schemas_costs_no_stack():
    def chain(last):
        schema = Schema(last, last)
        for n in range(5000):
            schema = Schema("Object", f"dtmi:test:S{n};1", fields={"next": Field("next", schema)})
        one = parse(interface(contents=[prop()]))["dtmi:test:A;1"]
        contents = {"p": replace(one.contents["p"], schema=schema)}
        return ModelSet({one.id: replace(one, own=contents, contents=contents)})

    (change,) = (c for c in diff(chain("integer"), chain("long")).changes if c.element != "@id")
    assert (change.verdict, change.old, change.new) == ("needs a new version", "integer", "long")
    assert len(change.element) < 1000
    assert change.element.endswith("next/schema/next/schema")


# --- types and units --------------------------------------------------------------------------------------------------


def test_a_unit_or_semantic_type_may_be_added_but_not_changed():
    volt = quantity("Voltage", "volt")
    assert compare(prop(), volt, context=QUANTITIES) == {
        "contents/p/@type": "compatible",
        "contents/p/unit": "compatible",
    }
    assert compare(volt, quantity("Voltage", "kilovolt"), context=QUANTITIES) == {"contents/p/unit": "breaking"}
    assert set(compare(volt, quantity("Current", "ampere"), context=QUANTITIES).values()) == {"breaking"}
    assert set(compare(volt, prop(), context=QUANTITIES).values()) == {"breaking"}


def test_units_of_fields_are_compared_too():
    def measured(unit):
        return prop("v", obj(field("phaseA", **{"@type": ["Field", "Voltage"], "unit": unit})))

    assert compare(measured("volt"), measured("kilovolt"), context=QUANTITIES) == {
        "contents/v/schema/phaseA/unit": "breaking"
    }


def test_what_becomes_required_breaks():
    context = [V3, REQUIRED]
    required = {**prop(), "@type": ["Property", "Required"]}
    must = field("f", **{"@type": ["Field", "Required"]})
    assert compare(None, required, context=context) == {"contents/p": "breaking"}
    assert compare(prop(), required, context=context) == {"contents/p/@type": "breaking"}
    assert compare(prop("o", obj()), prop("o", obj(must)), context=context) == {"contents/o/schema/f": "breaking"}


def test_values_that_types_bring_in_are_compared():
    def indexed(number):
        return {"@type": ["Telemetry", "Indexed"], "name": "t", "schema": "double", "index": number}

    context = [V3, "dtmi:dtdl:extension:mqtt;1"]
    assert compare(indexed(1), indexed(2), context=context) == {"contents/t/index": "breaking"}


def test_a_limit_that_is_added_breaks():
    def limited(**limits):
        return {**prop(), "@type": ["Property", "Limited"], **limits}

    context = ["dtmi:dtdl:context;4", "dtmi:iotoperations:context;4"]
    assert compare(limited(minimum=0), limited(minimum=0, maximum=9), context=context) == {
        "contents/p/maximum": "breaking"
    }
    assert compare(prop(), limited(minimum=0), context=context)["contents/p/@type"] == "breaking"


def test_types_of_the_interface_itself_are_compared():
    context = [V3, "dtmi:dtdl:extension:mqtt;1"]
    plain = interface(context=context)
    mqtt = {**version(plain, 2), "@type": ["Interface", "Mqtt"], "payloadFormat": "Json/ecma/404"}
    assert grades(diff(plain, mqtt)) == {"@type": "compatible", "payloadFormat": "compatible"}


# --- relationships, components, commands ------------------------------------------------------------------------------


def test_multiplicity_may_be_widened():
    at = "contents/r/maxMultiplicity"
    assert compare(relationship(maxMultiplicity=2), relationship(maxMultiplicity=3)) == {at: "compatible"}
    assert compare(relationship(maxMultiplicity=2), relationship()) == {at: "compatible"}
    assert compare(relationship(maxMultiplicity=3), relationship(maxMultiplicity=2)) == {at: "breaking"}
    assert compare(relationship(), relationship(maxMultiplicity=2)) == {at: "breaking"}


def test_properties_of_relationships_are_compared():
    old = relationship(properties=[prop("a"), prop("b", "integer")])
    new = relationship(properties=[prop("b", "long"), prop("c")])
    assert compare(old, new) == {
        "contents/r/properties/a": "breaking",
        "contents/r/properties/b/schema": "compatible",
        "contents/r/properties/c": "compatible",
    }


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("House", None, "compatible"),
        (None, "House", "breaking"),
        ("House", "Building", "compatible"),
        ("Building", "House", "breaking"),
        ("House", "Tree", "breaking"),
        ("House", "House;2", "breaking"),
        ("Unknown;1", "Unknown;2", "compatible"),
        ("Unknown;2", "Unknown;1", "breaking"),
    ],
)
def test_a_target_may_only_become_wider(old, new, verdict):
    others = [
        interface("House", extends="dtmi:test:Building;1"),
        version(interface("House", extends="dtmi:test:Building;1"), 2),
        interface("Building"),
        interface("Tree"),
    ]

    def leading(name):
        target = {"target": f"dtmi:test:{name}" if ";" in name else f"dtmi:test:{name};1"} if name else {}
        return interface(contents=[relationship(**target)])

    found = diff([leading(old), *others], [version(leading(new), 2), *others])
    assert grades(found) == {"contents/r/target": verdict}


def test_a_payload_may_not_come_or_go_but_a_response_may_be_added():
    payload = field("x", "integer")
    assert compare(command(), command(request=payload)) == {"contents/k/request": "breaking"}
    assert compare(command(request=payload), command()) == {"contents/k/request": "breaking"}
    assert compare(command(), command(response=payload)) == {"contents/k/response": "compatible"}
    assert compare(command(response=payload), command()) == {"contents/k/response": "breaking"}
    assert compare(command(request=payload), command(request=field("x", "long"))) == {
        "contents/k/request/schema": "compatible"
    }


def test_null_may_become_a_value_but_not_cease_to_be_one():
    may, may_not = (command(response=field("x", nullable=n)) for n in (True, False))
    assert compare(may_not, may, context=V4) == {"contents/k/response/nullable": "compatible"}
    assert compare(may, may_not, context=V4) == {"contents/k/response/nullable": "breaking"}


def test_a_component_of_another_interface_breaks():
    others = [interface("B"), interface("C")]
    found = diff(
        [interface(contents=[component()]), *others],
        [version(interface(contents=[component("dtmi:test:C;1")]), 2), *others],
    )
    assert grades(found) == {"contents/c/schema": "breaking"}


def test_what_changed_in_a_component_is_felt_by_its_owner():
    owner = interface(contents=[component()])
    found = diff([owner, interface("B", contents=[prop()])], [owner, interface("B")])
    assert {c.interface: (c.element, c.verdict) for c in found.changes if c.element != "@id"} == {
        "dtmi:test:A;1": ("contents/c/schema", "breaking"),
        "dtmi:test:B;1": ("contents/p", "breaking"),
    }
    assert found.same_id == ("dtmi:test:B;1",)


def test_an_owner_does_not_feel_what_is_said_about_its_component():
    owner = interface(contents=[component()])
    found = diff([owner, interface("B")], [owner, interface("B", description="news")])
    assert {c.interface for c in found.changes} == {"dtmi:test:B;1"}


def test_a_change_in_an_inner_interface_is_one_of_that_interface():
    def owner(**members):
        inner = interface("B", contents=[prop("p", obj(field("f", **members)))])
        return interface(contents=[{**component(), "schema": inner}])

    found = diff(owner(), owner(comment="news"))
    assert found.same_id == ("dtmi:test:B;1",)
    assert {c.declared_in for c in found.changes} == {"dtmi:test:B;1"}
