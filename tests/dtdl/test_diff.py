"""What changed between two sets of interfaces, and how much it matters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from documents import QUANTITIES, V2, V3, interface, prop, text

from remhart_adt.dtdl import Field, ModelSet, Schema, parse
from remhart_adt.dtdl.diff import Change, Diff, diff
from remhart_adt.errors import DtdlError
from remhart_adt.resources import dtdl_dir

V4 = "dtmi:dtdl:context;4"
REQUIRED = "dtmi:dtdl:extension:requirement;2"


def version(document: dict[str, Any], number: int) -> dict[str, Any]:
    """The document under another version of its DTMI."""
    return {**document, "@id": document["@id"].partition(";")[0] + f";{number}"}


def grades(found: Diff) -> dict[str, str]:
    """Verdict by element; the line about the DTMI is left out, since it is there for every new version."""
    return {change.element: change.verdict for change in found.changes if change.element != "@id"}


def compare(old: Any, new: Any, *, context: Any = V3) -> dict[str, str]:
    """The grades of one content that changed from version 1 to version 2 of its interface."""
    return grades(
        diff(
            interface(context=context, contents=[old] if old else []),
            version(interface(context=context, contents=[new] if new else []), 2),
        )
    )


def enum(**values: str) -> dict[str, Any]:
    return {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": name, "enumValue": value} for name, value in values.items()],
    }


def obj(*fields: Any) -> dict[str, Any]:
    return {"@type": "Object", "fields": list(fields)}


def field(name: str, schema: Any = "double", **members: Any) -> dict[str, Any]:
    return {"name": name, "schema": schema, **members}


def relationship(**members: Any) -> dict[str, Any]:
    return {"@type": "Relationship", "name": "r", **members}


def component(target: str = "dtmi:test:B;1") -> dict[str, Any]:
    return {"@type": "Component", "name": "c", "schema": target}


def command(**members: Any) -> dict[str, Any]:
    return {"@type": "Command", "name": "k", **members}


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


def quantity(kind: str, unit: str) -> dict[str, Any]:
    return {"@type": ["Property", kind], "name": "p", "schema": "double", "unit": unit}


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


# --- interfaces, versions, inheritance --------------------------------------------------------------------------------


def test_a_model_that_changed_under_its_dtmi_is_named():
    found = diff(interface(contents=[prop()]), interface(contents=[prop(), prop("q")]))
    assert found.verdict == "needs a new version"
    assert found.same_id == ("dtmi:test:A;1",)
    assert [(c.element, c.verdict) for c in found.changes] == [
        ("@id", "needs a new version"),
        ("contents/q", "needs a new version"),
    ]
    assert "dtmi:test:A;2" in found.changes[0].what

    breaking = diff(interface(contents=[prop()]), interface())
    assert (breaking.verdict, breaking.same_id) == ("breaking", ("dtmi:test:A;1",))


def test_a_newer_version_is_compared_with_the_older_one():
    found = diff(interface(contents=[prop()]), version(interface(contents=[prop(), prop("q")]), 2))
    assert found.pairs == (("dtmi:test:A;1", "dtmi:test:A;2"),)
    assert (found.verdict, found.same_id, found.added, found.removed) == ("compatible", (), (), ())
    assert {c.interface for c in found.changes} == {"dtmi:test:A;2"}


def test_the_newest_of_several_newer_versions_counts_and_every_old_one_leads_to_it():
    one = interface()
    found = diff([one, version(one, 2)], [version(one, 9), version(one, 10)])
    assert found.pairs == (("dtmi:test:A;1", "dtmi:test:A;10"), ("dtmi:test:A;2", "dtmi:test:A;10"))
    assert found.added == ("dtmi:test:A;9",)


def test_a_version_that_is_dropped_while_a_newer_one_stays_is_gone():
    one = interface()
    found = diff([one, version(one, 2)], version(one, 2))
    assert (found.removed, found.verdict) == (("dtmi:test:A;1",), "breaking")


def test_a_newer_version_beside_the_old_one_is_only_added():
    found = diff(interface(contents=[prop()]), [interface(contents=[prop()]), version(interface(), 2)])
    assert (found.verdict, found.added) == ("compatible", ("dtmi:test:A;2",))


def test_interfaces_that_come_and_go():
    found = diff([interface("A"), interface("B")], [interface("C"), interface("A")])
    assert (found.added, found.removed) == (("dtmi:test:C;1",), ("dtmi:test:B;1",))
    assert [(c.interface, c.element, c.verdict) for c in found.changes] == [
        ("dtmi:test:B;1", "", "breaking"),
        ("dtmi:test:C;1", "", "compatible"),
    ]
    assert list(found.by_interface()) == ["dtmi:test:A;1", "dtmi:test:B;1", "dtmi:test:C;1"]
    assert [found.verdict_of(i) for i in found.by_interface()] == ["identical", "breaking", "compatible"]


def test_what_changed_in_a_base_counts_in_all_that_extend_it():
    derived = interface("D", extends="dtmi:test:A;1")
    found = diff([interface(contents=[prop()]), derived], [interface(), derived])
    assert [(c.interface, c.element, c.declared_in) for c in found.changes if c.element != "@id"] == [
        ("dtmi:test:A;1", "contents/p", "dtmi:test:A;1"),
        ("dtmi:test:D;1", "contents/p", "dtmi:test:A;1"),
    ]
    assert found.same_id == ("dtmi:test:A;1",)


def test_an_interface_no_longer_extended_takes_its_contents_along():
    base = interface("B", contents=[prop()])
    found = diff([interface(extends="dtmi:test:B;1"), base], [version(interface(), 2), base])
    assert grades(found) == {"contents/p": "breaking", "extends": "breaking"}
    assert {c.declared_in for c in found.changes} == {"dtmi:test:A;2"}


def test_an_interface_extended_through_another_one_is_still_extended():
    base, middle = interface("B"), interface("M", extends="dtmi:test:B;1")
    new = version(interface(extends="dtmi:test:M;1"), 2)
    found = diff([interface(extends="dtmi:test:B;1"), base, middle], [new, base, middle])
    assert {c.verdict for c in found.changes} == {"compatible"}


def test_content_that_moves_to_a_base_is_not_lost():
    found = diff(
        [interface(contents=[prop()], extends="dtmi:test:B;1"), interface("B")],
        [
            version(interface(extends="dtmi:test:B;2"), 2),
            version(interface("B", contents=[prop()]), 2),
        ],
    )
    assert found.verdict == "compatible"
    assert "contents/p" in {c.element for c in found.changes if c.interface == "dtmi:test:A;2"}


def test_a_whole_ontology_under_new_versions_is_compatible():
    def model(number):
        return [
            version(
                interface(
                    extends=f"dtmi:test:B;{number}",
                    contents=[component(f"dtmi:test:C;{number}"), relationship(target=f"dtmi:test:B;{number}")],
                ),
                number,
            ),
            version(interface("B", contents=[prop()]), number),
            version(interface("C"), number),
        ]

    found = diff(model(1), model(2))
    assert {c.verdict for c in found.changes} == {"compatible"}
    elements = [c.element for c in found.changes if c.interface == "dtmi:test:A;2"]
    assert elements == ["@id", "contents/c/schema", "contents/r/target", "extends"]


def test_the_dtdl_version_is_a_change_but_harms_nobody():
    found = diff(interface(context=V2, contents=[prop()]), interface(context=V3, contents=[prop()]))
    assert grades(found) == {"@context": "needs a new version"}


# --- what no parsed element shows -------------------------------------------------------------------------------------


def test_what_only_the_definition_says_is_a_change_too():
    cases = [
        (prop("p", obj(field("f"))), prop("p", obj(field("f", comment="x"))), "contents/p/schema/f/comment"),
        (prop("p", obj()), prop("p", {**obj(), "comment": "x"}), "contents/p/schema/comment"),
        (command(), command(commandType="synchronous"), "contents/k/commandType"),
    ]
    for old, new, element in cases:
        found = diff(interface(contents=[old]), interface(contents=[new]))
        assert grades(found) == {element: "needs a new version"}
        assert found.same_id == ("dtmi:test:A;1",)


def test_a_keyword_that_version_2_ignores_is_no_difference():
    old, new = (interface(context=V2, contents=[prop(**more)], **more) for more in ({"@value": 1, "@note": "x"}, {}))
    assert diff(old, new).verdict == "identical"


def test_a_type_that_nobody_knows_is_compared_as_a_word():
    def fancy(kind, **more):
        return interface(context=V2, contents=[{**prop(**more), "@type": ["Property", kind]}])

    assert grades(diff(fancy("Fancy"), fancy("Plain"))) == {"contents/p/@type": "needs a new version"}
    assert grades(diff(fancy("Fancy", much=1), fancy("Fancy", much=2))) == {"contents/p/much": "needs a new version"}


def test_a_schema_that_is_shared_from_now_on_is_a_harmless_change():
    shared = interface(schemas=[{"@id": "dtmi:test:S;1", **obj(field("a"))}], contents=[prop("p", "dtmi:test:S;1")])
    found = diff(interface(contents=[prop("p", obj(field("a")))]), version(shared, 2))
    assert {c.verdict for c in found.changes} == {"compatible"}


# --- the answer itself ------------------------------------------------------------------------------------------------


def test_the_order_of_the_changes_does_not_depend_on_the_order_of_the_sources():
    old = [interface(n, contents=[prop("x"), prop("y"), prop("e", enum(a="a", b="b"))]) for n in "ABC"]
    new = [interface(n, contents=[prop("e", enum(c="c", d="d")), prop("z")]) for n in "ABC"]
    found = diff(old, new)
    assert found == diff(old[::-1], new[::-1])
    heirs = [interface("D", extends=[f"dtmi:test:{n};1" for n in names]) for names in ("EF", "FE")]
    others = [interface("E"), interface("F")]
    assert diff([heirs[0], *others], [interface("D"), *others]) == diff([heirs[1], *others], [interface("D"), *others])
    assert list(found.changes) == sorted(found.changes, key=lambda c: (c.interface, c.element))


def test_a_change_reads_as_a_line():
    change = Change("dtmi:test:A;2", "contents/p/unit", "The unit changed.", "breaking", "volt", "kilovolt")
    assert str(change) == "dtmi:test:A;2 contents/p/unit: breaking: The unit changed. (volt -> kilovolt)"
    assert str(Change("dtmi:test:A;2", "", "Gone.", "breaking")) == "dtmi:test:A;2: breaking: Gone."


def test_a_side_that_is_not_sound_is_refused():
    with pytest.raises(DtdlError):
        diff(interface(), text(interface(contents=[{"@type": "Property"}])))
