"""Models: batches, references, decommissioning, orphans, paging."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOM, DEVICE, ENGINE = "dtmi:test:Room;1", "dtmi:test:Device;1", "dtmi:test:Engine;1"


def ids(answer: Any) -> list[str]:
    return [model["id"] for model in answer.json["value"]]


def test_the_record_shows_names_and_the_definition_as_uploaded(wire: Any, make_interface: Any) -> None:
    definition = make_interface("A", displayName={"de": "Ä"}, description="plain")
    wire.models(definition, make_interface("B"))
    record = wire("GET", "/models/dtmi:test:A;1", query="includeModelDefinition=True&api-version=2023-10-31").json
    assert list(record) == ["id", "description", "displayName", "decommissioned", "uploadTime", "model"]
    assert (record["displayName"], record["description"]) == ({"de": "Ä"}, {"en": "plain"})
    assert list(record["model"]) == list(definition)
    assert record["model"] == definition
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?\+00:00", record["uploadTime"])
    bare = wire("GET", "/models/dtmi:test:B;1").json
    assert (bare["displayName"], bare["description"], "model" in bare) == ({}, {}, False)


def test_a_batch_is_all_or_nothing_and_its_order_does_not_matter(wire: Any, make_interface: Any) -> None:
    base, derived = make_interface("Base"), make_interface("Derived", extends="dtmi:test:Base;1")
    broken = make_interface("Broken", {"@type": "Property", "name": "1bad", "schema": "string"})
    assert wire("POST", "/models", [derived, base, broken]).code == "DTDLParserError"
    assert ids(wire("GET", "/models")) == []
    answer = wire("POST", "/models", [derived, base])
    assert [record["id"] for record in answer.json] == ["dtmi:test:Derived;1", "dtmi:test:Base;1"]
    assert answer.json[0]["uploadTime"] < answer.json[1]["uploadTime"]


def test_a_reference_may_be_stored_already_and_a_relationship_target_need_not_exist(
    wire: Any, make_interface: Any
) -> None:
    wire.models(make_interface("Base"))
    to_nowhere = {"@type": "Relationship", "name": "to", "target": "dtmi:test:Nowhere;1"}
    wire.models(make_interface("Derived", to_nowhere, extends="dtmi:test:Base;1"))
    missing = wire("POST", "/models", [make_interface("X", extends="dtmi:test:Gone;1")])
    assert "element(s): dtmi:test:Gone;1 (referenced in 1 place)." in missing.message


def test_limits_of_a_request(wire: Any, make_interface: Any) -> None:
    answer = wire("POST", "/models", [make_interface(f"M{n}") for n in range(251)])
    assert (answer.status, answer.code) == (400, "LimitExceeded")


def test_hostile_definitions_are_refused_not_fatal(wire: Any) -> None:
    deep: Any = "string"
    for _ in range(200):
        deep = {"@type": "Array", "elementSchema": deep}
    for body in (
        [{"@context": "dtmi:dtdl:context;2", "@id": 5}],
        [{"@context": "dtmi:dtdl:context;2", "@id": "not a dtmi", "@type": "Interface"}],
        [{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a:b;1", "@type": "Property"}],
        [
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": "dtmi:a:b;1",
                "@type": "Interface",
                "contents": [{"@type": "Property", "name": "p", "schema": deep}],
            }
        ],
    ):
        answer = wire("POST", "/models", body)
        assert (answer.status, answer.code) == (400, "DTDLParserError"), body
    assert ids(wire("GET", "/models")) == []


@pytest.mark.parametrize("item", [None, [], 5, "x", [{"@id": "dtmi:a:b;1"}]])
def test_an_array_of_anything_but_objects_is_no_list_of_models(wire: Any, make_interface: Any, item: Any) -> None:
    answer = wire("POST", "/models", [make_interface("A"), item])
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.message.startswith("Operation failed as models provided was empty or of a type that is not supported")
    assert ids(wire("GET", "/models")) == []


@pytest.mark.parametrize("version", [1, 4, 99])
def test_a_dtdl_version_the_service_does_not_take_has_a_code_of_its_own(wire: Any, version: int) -> None:
    model = {"@context": f"dtmi:dtdl:context;{version}", "@id": "dtmi:a:b;1", "@type": "Interface"}
    answer = wire("POST", "/models", [model])
    assert (answer.status, answer.code) == (400, "ModelVersionNotSupported")
    assert str(version) in answer.message


def test_a_schema_that_is_nothing_is_named_in_the_services_words(wire: Any) -> None:
    part = {"@type": "Component", "name": "Component1", "schema": "XXX"}
    model = {"@id": "dtmi:a:Model;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "contents": [part]}
    where = "dtmi:a:Model;1 has 'contents' value with name 'Component1' whose property 'schema'"
    assert wire("POST", "/models", [model]).message == (  # recorded
        "None of the models in this request could be created due to a problem with one or more models: "
        f"{where} has value 'XXX' that is neither a valid DTMI reference nor a DTDL term. Replace the value of "
        "property 'schema' with a valid DTMI reference or a term defined by DTDL -- see "
        f"https://github.com/Azure/opendigitaltwins-dtdl/tree/master/DTDL. | {where} has no valid value but one is "
        "required. Provide a value for 'schema' that is either an element definition or a DTMI reference.. See model "
        "documentation(https://aka.ms/ADTv2Models) for supported format."
    )


def test_every_other_fault_of_a_model_is_said_with_its_remedy_up_to_twenty(wire: Any, make_interface: Any) -> None:
    badly = [{"@type": "Property", "name": f"bad name {n}", "schema": "string"} for n in range(25)]
    answer = wire("POST", "/models", [make_interface("Model", *badly)])
    said = answer.message.partition("one or more models: ")[2].split(" | ")
    assert len(said) == 21
    assert "'bad name 0' of 'name' is not a name. " in said[0]
    assert said[20].startswith("5 more.. See model documentation")


def test_every_missing_reference_is_named_with_its_number_of_places(wire: Any, make_interface: Any) -> None:
    part = [{"@type": "Component", "name": f"part{n}", "schema": "dtmi:test:Part;1"} for n in range(2)]
    answer = wire("POST", "/models", [make_interface("Whole", *part, extends="dtmi:test:Base;1")])
    assert answer.code == "DTDLParserError"
    said = "DtmiResolverAsync failed to resolve requisite references to element(s): "
    assert said in answer.message
    assert "dtmi:test:Part;1 (referenced in 2 places)" in answer.message
    assert "dtmi:test:Base;1 (referenced in 1 place)" in answer.message


def test_dependencies_are_asked_of_so_many_models_and_no_more(wire: Any) -> None:
    roots = "&".join(f"dependenciesFor=dtmi:test:M{n}%3B1" for n in range(251))
    answer = wire("GET", "/models", query=f"{roots}&api-version=2023-10-31")
    assert (answer.status, answer.code) == (400, "LimitExceeded")


def test_the_same_id_twice_in_one_batch_is_refused(wire: Any, make_interface: Any) -> None:
    assert wire("POST", "/models", [make_interface("A"), make_interface("A")]).status == 400
    assert ids(wire("GET", "/models")) == []


def test_dependencies_are_listed_through_extends_and_components(house: Any, make_interface: Any) -> None:
    house.models(make_interface("Special", extends=DEVICE))
    query = "dependenciesFor=dtmi%3Atest%3ASpecial%3B1&api-version=2023-10-31"
    assert ids(house("GET", "/models", query=query)) == [ENGINE, DEVICE, "dtmi:test:Special;1"]
    two = f"dependenciesFor={ROOM}&dependenciesFor={ENGINE}&api-version=2023-10-31"
    assert ids(house("GET", "/models", query=two.replace(";", "%3B"))) == [ROOM, ENGINE]
    unknown = house("GET", "/models", query="dependenciesFor=dtmi:test:No%3B1&api-version=2023-10-31")
    assert (unknown.status, unknown.code) == (404, "ModelNotFound")


def test_model_pages_follow_upload_order(wire: Any, make_interface: Any) -> None:
    names = [f"M{n}" for n in range(7)]
    wire.models(*(make_interface(name) for name in names))
    found: list[str] = []
    path = "/models?includeModelDefinition=true&api-version=2023-10-31"
    while path:
        answer = wire("GET", path, headers={"max-items-per-page": "3"})
        assert list(answer.json) == ["value", "nextLink"]
        assert all("model" in model for model in answer.json["value"])
        found += ids(answer)
        link = answer.json["nextLink"]
        path = f"{urlsplit(link).path}?{urlsplit(link).query}" if link else ""
    assert found == [f"dtmi:test:{name};1" for name in names]


def decommission(wire: Any, model: str, value: Any = True) -> Any:
    return wire("PATCH", f"/models/{model}", [{"op": "replace", "path": "/decommissioned", "value": value}])


def test_a_decommissioned_model_makes_no_new_twins_and_keeps_the_old(house: Any) -> None:
    house.twin("old", ROOM, name="n")
    assert decommission(house, ROOM).status == 204
    refused = house("PUT", "/digitaltwins/new", {"$metadata": {"$model": ROOM}})
    assert (refused.status, refused.code) == (400, "ModelDecommissioned")
    assert house("PATCH", "/digitaltwins/old", [{"op": "add", "path": "/name", "value": "m"}]).status == 204
    assert house("PUT", "/digitaltwins/old", {"$metadata": {"$model": ROOM}}).status == 200
    assert house("GET", f"/models/{ROOM}").json["decommissioned"] is True


def test_decommissioning_needs_the_referring_models_first_and_is_final(house: Any) -> None:
    assert decommission(house, ENGINE).code == "ModelReferencesNotDecommissioned"
    assert decommission(house, DEVICE).status == 204
    assert decommission(house, ENGINE).status == 204
    assert decommission(house, ENGINE, value=False).code == "JsonPatchInvalid"
    other = house("PATCH", f"/models/{ENGINE}", [{"op": "replace", "path": "/displayName", "value": "x"}])
    assert other.code == "JsonPatchInvalid"


def test_deleting_a_model_orphans_its_twins_and_uploading_it_again_revives_them(house: Any) -> None:
    definition = house("GET", f"/models/{ROOM}", query="includeModelDefinition=true&api-version=2023-10-31").json[
        "model"
    ]
    for twin in ("a", "b", "c"):
        house.twin(twin, ROOM, name="n")
    house.relate("a", "r", "near", "b")
    assert house("DELETE", f"/models/{ROOM}").status == 204

    assert house("GET", "/digitaltwins/a").status == 200
    assert len(house.query("SELECT * FROM DIGITALTWINS WHERE name = 'n'")) == 3
    patch = [{"op": "add", "path": "/name", "value": "m"}]
    gone = f"{ROOM} or one of its dependencies does not exist."
    assert house("PATCH", "/digitaltwins/a", patch).details == [gone]
    body = {"$relationshipName": "near", "$targetId": "c"}
    assert house("PUT", "/digitaltwins/a/relationships/r2", body).details == [gone]
    assert len(house("GET", "/digitaltwins/a/relationships").json["value"]) == 1
    assert house("DELETE", "/digitaltwins/a/relationships/r").status == 204
    assert house("DELETE", "/digitaltwins/b").status == 204

    house.models(definition)
    assert house("PATCH", "/digitaltwins/a", patch).status == 204


def test_a_model_in_use_by_another_one_stays(house: Any, make_interface: Any) -> None:
    house.models(make_interface("Special", extends=ROOM))
    for model, by in ((ENGINE, DEVICE), (ROOM, "dtmi:test:Special;1")):
        answer = house("DELETE", f"/models/{model}")
        assert (answer.status, answer.code) == (409, "ModelReferencesNotDeleted")
        assert answer.message.startswith(f"This model is currently being referenced by {by}. You must")
