"""DTDL v2 written as DTDL v3, and what cannot be."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from documents import QUANTITIES, V2, V3, interface, prop, text

from remhart_adt.dtdl import parse, validate
from remhart_adt.dtdl.evolution.compare import diff
from remhart_adt.dtdl.evolution.upgrade import convert
from remhart_adt.errors import DtdlError

IOT_CENTRAL = "dtmi:iotcentral:context;2"
UNKNOWN = "dtmi:example:fancy;1"


def old(name: str = "A", *, context: Any = V2, **members: Any) -> dict[str, Any]:
    return interface(name, context=context, **members)


def converted(document: Any) -> Any:
    """The one document that comes out, which must be sound DTDL v3 and mean what it meant."""
    (result,) = (done := convert(document)).documents
    assert done.complete
    models = parse(result.text)
    assert {one.version for one in models.values()} == {3}
    assert {c.element for c in diff(document, models).changes} <= {"@id", "@context"}
    return result.document


def rules(source: Any) -> list[str]:
    result = convert(source)
    assert result.documents == ()
    assert not result.complete
    return [problem.rule for problem in result.problems]


def write(folder: Path, **documents: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return folder


# --- what is written differently --------------------------------------------------------------------------------------


def test_the_context_changes_and_the_order_of_keys_stays():
    document = {"@type": "Interface", "displayName": "x", "@id": "dtmi:test:A;1", "@context": V2, "contents": []}
    assert list(converted(document).items()) == [
        ("@type", "Interface"),
        ("displayName", "x"),
        ("@id", "dtmi:test:A;1"),
        ("@context", V3),
        ("contents", []),
    ]
    assert converted({**document, "@context": [V2]})["@context"] == [V3]


def test_the_source_is_not_touched():
    document = old(contents=[{"@type": ["Property", "Mass"], "name": "m", "schema": ["double"], "unit": "gram"}])
    before = deepcopy(document)
    converted(document)
    assert document == before


def test_semantic_types_and_units_get_their_extension():
    mass = {"@type": ["Property", "Mass"], "name": "m", "schema": "double", "unit": "gram"}
    assert converted(old(contents=[mass])) == interface(context=QUANTITIES, contents=[mass])
    assert converted(old(context=[*QUANTITIES[1:], V2][::-1], contents=[mass]))["@context"] == QUANTITIES


def test_an_interface_without_quantities_in_the_same_text_gets_no_extension():
    mass = {"@type": ["Property", "Mass"], "name": "m", "schema": "double", "unit": "gram"}
    assert [d["@context"] for d in converted([old(contents=[mass]), old("B")])] == [QUANTITIES, V3]


def test_names_written_as_dtmis_become_terms():
    document = {
        "@context": V2,
        "@id": "dtmi:test:A;1",
        "@type": "dtmi:dtdl:class:Interface;2",
        "dtmi:dtdl:property:contents;2": {
            "@type": ["dtmi:standard:class:Acceleration;2", "dtmi:dtdl:class:Property;2"],
            "dtmi:dtdl:property:name;2": "a",
            "dtmi:dtdl:property:schema;2": "dtmi:dtdl:instance:Schema:double;2",
            "dtmi:dtdl:property:unit;2": ["dtmi:standard:unit:gForce;2"],
        },
        "schemas": {
            "@id": "dtmi:test:S;1",
            "@type": "Object",
            "fields": {"name": "p", "schema": "dtmi:standard:schema:geospatial:point;2"},
        },
    }
    assert converted(document) == {
        "@context": QUANTITIES,
        "@id": "dtmi:test:A;1",
        "@type": "Interface",
        "contents": {"@type": ["Acceleration", "Property"], "name": "a", "schema": "double", "unit": ["gForce"]},
        "schemas": {"@id": "dtmi:test:S;1", "@type": "Object", "fields": {"name": "p", "schema": "point"}},
    }
    notes = [note.what for note in convert(document).notes]
    assert "dtmi:standard:unit:gForce;2 is written as gForce." in notes
    assert len(notes) == len(set(notes))


def test_a_payload_is_named_by_its_place():
    payload = {"@type": "CommandPayload", "name": "x", "schema": "double"}
    command = {"@type": "Command", "name": "k", "request": payload, "response": dict(payload)}
    typed = {**command, "commandType": "dtmi:dtdl:instance:CommandType:asynchronous;2"}
    (result,) = converted(old(contents=[typed]))["contents"]
    assert (result["request"]["@type"], result["response"]["@type"]) == ("CommandRequest", "CommandResponse")
    assert result["commandType"] == "asynchronous"


def test_keywords_that_version_2_ignores_are_dropped_with_a_note():
    document = old(
        **{"@language": "en"},
        comment={"@value": "c", "@language": "en"},
        displayName=[{"@value": "n", "@language": "en", "@direction": "ltr"}],
        contents=[prop(**{"@note": "x"})],
    )
    result = converted(document)
    assert result == interface(
        comment={"@value": "c"}, displayName=[{"@value": "n", "@language": "en"}], contents=[prop()]
    )
    assert sum("dropped" in note.what for note in convert(document).notes) == 4


def test_contexts_inside_are_converted_too():
    inner = {**prop(), "@context": [V2]}
    idle = {**prop("q"), "@context": "dtmi:dtdl:extension:quantitativeTypes;2"}
    (first, second) = converted(old(contents=[inner, idle]))["contents"]
    assert first["@context"] == [V3]
    assert "@context" not in second


def test_arrays_in_arrays_however_deep_are_only_a_way_to_list():
    deep: Any = [prop()]
    name: Any = "x"
    for _ in range(450):
        deep, name = [deep], [name]
    assert converted(old(contents=deep, comment=name)) == interface(contents=[prop()], comment=["x"])


def test_an_inner_interface_and_shared_schemas_are_converted_with_the_outer_one():
    shared = {"@id": "dtmi:test:S;1", "@type": "Enum", "valueSchema": "string"}
    shared["enumValues"] = [{"name": "a", "enumValue": "a"}]
    inner = old("B", schemas=[shared], contents=[prop("p", "dtmi:test:S;1")])
    result = converted(old(contents=[{"@type": "Component", "name": "c", "schema": inner}]))
    assert result["contents"][0]["schema"]["@context"] == V3


# --- what cannot be converted -----------------------------------------------------------------------------------------


def test_a_type_that_nobody_knows_cannot_be_converted_nor_what_it_allows():
    source = text(old(contents=[{**prop(), "@type": ["Property", "Fancy"], "fanciness": 3}]))
    result = convert(source)
    assert result.documents == ()
    assert [(p.id, p.path) for p in result.problems] == [
        ("remhart:dtdl:unknownType", "/0/contents/0/@type/1"),
        ("remhart:dtdl:unknownProperty", "/0/contents/0/fanciness"),
    ]
    for problem in result.problems:
        assert (problem.file, problem.line) == ("text 1", 1)
        assert problem.column > 1
        assert problem.remedy
        assert problem.element == "dtmi:test:A:_contents:__p;1"
    assert result.notes == ()


def test_a_unit_stays_a_unit_beside_what_cannot_be_converted():
    odd = {"@type": ["Property", "Mass", "Fancy"], "name": "m", "schema": "double", "unit": "gram", "fanciness": 3}
    assert rules(old(contents=[odd])) == ["unknownType", "unknownProperty"]


def test_a_context_that_nobody_knows_cannot_be_converted():
    assert rules(old(context=[V2, UNKNOWN])) == ["unknownContext"]
    assert rules(old(contents=[{**prop(), "@context": UNKNOWN}])) == ["unknownContext"]


def test_iot_central_is_for_version_2_only():
    context = [IOT_CENTRAL, V2]
    event = {"@type": ["Telemetry", "Event"], "name": "e", "schema": "double"}
    assert rules(old(context=context, contents=[event])) == ["iotCentral"]
    assert rules(old(context=context, contents=[prop("p", "geopoint")])) == ["iotCentral"]
    moving = {"@type": ["Telemetry", "VelocityVector"], "name": "v", "schema": "vector", "unit": "knot"}
    assert set(rules(old(context=context, contents=[moving]))) == {"iotCentral"}


def test_the_context_of_iot_central_is_dropped_where_nothing_uses_it():
    assert converted(old(context=[IOT_CENTRAL, V2], contents=[prop()])) == interface(context=[V3], contents=[prop()])


def test_units_of_ones_own_cannot_be_converted():
    smoot = {"@type": "LengthUnit", "symbol": "smoot"}
    length = {"@type": ["Property", "Length"], "name": "a", "schema": "double", "unit": smoot}
    assert validate(old(contents=[length])).valid
    assert rules(old(contents=[length])) == ["ownUnit"]


def test_what_is_not_sound_is_told_by_the_rule_it_breaks():
    assert rules(old(contents=[{"@type": "Property", "name": "p"}])) == ["missingObjectProperty"]
    assert rules("{") == ["invalidJson"]
    enum = {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": "text"}]}
    assert rules(old(contents=[prop("p", enum)])) == ["nonConformantDatatype"]


def test_a_schema_that_nothing_defines_is_told():
    assert rules(old(contents=[prop("p", "dtmi:test:Gone;1")])) == ["unresolved"]
    assert rules(old(extends="dtmi:test:" + "a" * 200 + ";1")) == ["unresolved"]


def test_an_interface_too_large_for_version_3_is_refused():
    fields = [{"name": f"f{n}", "schema": "double", "comment": "c" * 500} for n in range(30)]
    large = old(contents=[prop(f"p{n}", {"@type": "Object", "fields": fields}) for n in range(100)])
    assert validate(large).valid
    (problem,) = convert(large).problems
    assert problem.rule == "partitionTooLarge"
    assert (problem.file, problem.line) == ("dtmi:test:A;1", 0)


def test_indentation_alone_makes_no_interface_too_large():
    fields = [{"name": f"f{n}", "schema": "double", "comment": "c" * 400} for n in range(30)]
    result = convert(old(contents=[prop(f"p{n}", {"@type": "Object", "fields": fields}) for n in range(72)]))
    assert result.complete
    assert result.documents[0].text.count("\n") == 1
    assert validate(result.documents[0].text).valid


def test_a_payload_used_as_request_and_response_is_found_by_reading_the_result():
    shared = {"@id": "dtmi:test:Load;1", "@type": "CommandPayload", "name": "x", "schema": "double"}
    command = {"@type": "Command", "name": "k", "request": shared, "response": "dtmi:test:Load;1"}
    assert rules(old(contents=[command])) == ["badType"]


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_converted_file_by_file(tmp_path):
    folder = write(tmp_path / "m", a=old(extends="dtmi:test:B;1"), b=[old("B")])
    result = convert(folder)
    assert result.complete
    assert [Path(d.source).name for d in result.documents] == ["a.json", "b.json"]
    assert result.documents[1].document == [interface("B")]
    assert len(parse(*(d.text for d in result.documents))) == 2


def test_one_refused_file_leaves_those_that_it_does_not_use_convertible(tmp_path):
    fancy = {**prop(), "@type": ["Property", "Fancy"]}
    folder = write(
        tmp_path / "m",
        base=old("Base"),
        middle=old("Middle", extends="dtmi:test:Base;1"),
        refused=old("Refused", extends="dtmi:test:Middle;1", contents=[fancy]),
        user=old("User", extends="dtmi:test:Refused;1"),
    )
    result = convert(folder)
    # User may extend Refused, since v3 may use v2; Middle and Base must stay, since v2 may not use v3.
    assert [Path(d.source).name for d in result.documents] == ["user.json"]
    assert {(Path(p.file).name, p.rule) for p in result.problems} == {
        ("refused.json", "unknownType"),
        ("middle.json", "usedByVersion2"),
        ("base.json", "usedByVersion2"),
    }
    (user,) = result.documents
    assert validate(user.text, *(folder / f"{n}.json" for n in ("base", "middle", "refused"))).valid


def test_a_broken_file_is_told_and_the_others_are_converted(tmp_path):
    folder = write(tmp_path / "m", a=old(), b=old("B", contents=[{"@type": "Property"}]), c={"name": "data"})
    (folder / "d.json").write_text("{")
    result = convert(folder)
    assert [Path(d.source).name for d in result.documents] == ["a.json"]
    assert {(Path(p.file).name, p.rule, p.severity) for p in result.problems} == {
        ("b.json", "missingDtmiSegPropertyValue", "error"),
        ("c.json", "notAnInterface", "warning"),
        ("d.json", "invalidJson", "error"),
    }


def test_what_breaks_only_in_version_3_takes_its_file_out(tmp_path):
    shared = {"@id": "dtmi:test:Load;1", "@type": "CommandPayload", "name": "x", "schema": "double"}
    command = {"@type": "Command", "name": "k", "request": shared, "response": "dtmi:test:Load;1"}
    folder = write(tmp_path / "m", a=old(contents=[command]), b=old("B"), c=old("C", extends="dtmi:test:A;1"))
    result = convert(folder)
    assert [Path(d.source).name for d in result.documents] == ["b.json", "c.json"]
    assert [(Path(p.file).name, p.rule, p.line) for p in result.problems] == [("a.json", "badType", 0)]


def test_interfaces_that_the_source_only_names_stay_what_they_are():
    document = old(extends="dtmi:test:Elsewhere;1", contents=[{"@type": "Component", "name": "c"}])
    document["contents"][0]["schema"] = "dtmi:test:Part;1"
    result = convert(document)
    assert result.complete
    assert sum("not in the source" in note.what for note in result.notes) == 2
    assert validate(result.documents[0].text, old("Elsewhere"), old("Part")).valid


def test_files_of_version_3_among_others_are_left_as_they_are(tmp_path):
    folder = write(tmp_path / "m", a=old(), b=interface("B", extends="dtmi:test:A;1"))
    result = convert(folder)
    assert result.complete
    assert [Path(d.source).name for d in result.documents] == ["a.json"]
    assert ["already" in note.what for note in result.notes if note.source.endswith("b.json")] == [True]


def test_one_text_may_hold_both_versions():
    (result,) = convert(text(interface("B", comment="c"), old())).documents
    assert result.document == [interface("B", comment="c"), interface()]


# --- what is not supported --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [2, 4, 5])
def test_only_version_3_can_be_asked_for(to):
    with pytest.raises(DtdlError, match="DTDL v2 can be converted to DTDL v3"):
        convert(old(), to=to)


@pytest.mark.parametrize("version", [3, 4])
def test_only_version_2_can_be_converted(version, tmp_path):
    document = interface(context=f"dtmi:dtdl:context;{version}")
    for source in (document, text(document), write(tmp_path / "m", a=document)):
        with pytest.raises(DtdlError, match=f"written in DTDL v{version}.*DTDL v2 can be converted"):
            convert(source)


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DtdlError, match="no such file or folder"):
        convert(tmp_path / "gone")


def test_a_folder_without_dtdl_gives_nothing(tmp_path):
    assert convert(tmp_path).documents == ()


@pytest.mark.shared
def test_a_published_ontology_is_converted_as_a_whole(shared_data):
    folder = shared_data / "ontologies/energygrid"
    result = convert(folder)
    assert result.complete
    assert len(result.documents) == 113
    models = parse(*(d.text for d in result.documents))
    assert {one.version for one in models.values()} == {3}
    found = diff(folder, models)
    assert found.verdict == "needs a new version"
    assert {c.element for c in found.changes} == {"@id", "@context"}


@pytest.mark.shared
@pytest.mark.slow
def test_every_case_of_the_public_parser_is_refused_or_keeps_its_meaning(shared_data):
    done = 0
    with gzip.open(shared_data / "dtdl/cases.ndjson.gz", "rt", encoding="utf-8") as lines:
        for source in (json.loads(line).get("input") for line in lines):
            written = source if isinstance(source, str) else json.dumps(source)
            # Some cases are none of version 2, or name interfaces that are in none of the texts.
            if V2 in written and "dtmi:dtdl:context;3" not in written and "dtmi:dtdl:context;4" not in written:
                result = convert(written)
                assert len(result.documents) == result.complete
                if result.complete and validate(written).valid:
                    found = diff(written, result.documents[0].text)
                    assert {c.element for c in found.changes} <= {"@id", "@context"}, written
                    done += 1
    assert done > 1000
