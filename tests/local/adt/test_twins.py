"""Twins and components: documents, times, validation, conditions, and patches."""

from __future__ import annotations

from typing import Any

import pytest

ROOM, DEVICE = "dtmi:test:Room;1", "dtmi:test:Device;1"
PATCH = {"Content-Type": "application/json-patch+json"}


def put(wire: Any, twin_id: str, model: str, **properties: Any) -> Any:
    return wire("PUT", f"/digitaltwins/{twin_id}", {"$metadata": {"$model": model}, **properties})


def patch(wire: Any, path: str, *ops: dict[str, Any], **headers: str) -> Any:
    return wire("PATCH", f"/digitaltwins/{path}", list(ops), headers={**PATCH, **headers})


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def get(wire: Any, twin_id: str) -> dict[str, Any]:
    document: dict[str, Any] = wire("GET", f"/digitaltwins/{twin_id}").json
    return document


# --- PUT


def test_numbers_keep_their_spelling_and_properties_their_order(house: Any) -> None:
    answer = put(house, "r", ROOM, floor=1, temperature=68, name="n")
    assert b'"floor":1,"temperature":68,"name":"n"' in answer.body
    assert list(answer.json) == ["$dtId", "$etag", "floor", "temperature", "name", "$metadata"]
    assert answer.json["$etag"] == answer.etag


def test_ids_in_the_body_are_ignored(house: Any) -> None:
    body = {"$dtId": "other", "$etag": "x", "$metadata": {"$model": ROOM}}
    assert house("PUT", "/digitaltwins/mine", body).json["$dtId"] == "mine"
    assert house("GET", "/digitaltwins/other").status == 404


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"name": 1}, "Expected value of type string for name on Twin."),
        ({"temperature": "hot"}, "Expected value of type double for temperature on Twin."),
        ({"floor": 1.5}, "Expected value of type integer for floor on Twin."),
        ({"floor": 2**31}, "Expected value of type integer for floor on Twin."),
        ({"open": 1}, "Expected value of type boolean for open on Twin."),
        ({"seen": "yesterday"}, "Expected value of type dateTime for seen on Twin."),
        ({"name": None}, "Expected value of type string for name on Twin."),
        ({"colour": "red"}, "colour does not appear on the DTDL for Twin."),
        ({"address": "x"}, "Expected value of type Object for address on Twin."),
        ({"tags": {"a": "x"}}, "Expected value of type double for tags on Twin."),
    ],
)
def test_values_that_do_not_fit_the_model_are_named(house: Any, properties: dict[str, Any], message: str) -> None:
    answer = put(house, "r", ROOM, **properties)
    assert (answer.status, answer.code, answer.message) == (400, "ValidationFailed", "Invalid twin specified")
    assert answer.details == [message]
    assert house("GET", "/digitaltwins/r").status == 404


def test_several_faults_give_several_details(house: Any) -> None:
    assert len(put(house, "r", ROOM, name=1, colour="x", floor="y").details) == 3


def test_a_component_must_be_there(house: Any) -> None:
    assert put(house, "d", DEVICE, name="n").details == ["Twin is missing the component engine."]
    assert put(house, "d", DEVICE, engine={}).details == ["engine is missing $metadata on Twin."]
    assert put(house, "d", DEVICE, engine={"$metadata": {}}).status == 200


def test_a_telemetry_or_relationship_of_the_model_holds_no_value(house: Any, make_interface: Any) -> None:
    noise = {"@type": "Telemetry", "name": "noise", "schema": "double"}
    house.models(make_interface("Loud", noise, {"@type": "Relationship", "name": "near"}))
    loud = "dtmi:test:Loud;1"
    refused = put(house, "r", loud, noise=1.5, near="x", far=1)
    assert refused.details == [
        "noise is not a property - it is a Telemetry.",
        "near is not a property - it is a Relationship.",
        "far does not appear on the DTDL for Twin.",
    ]
    put(house, "r", loud)
    assert patch(house, "r", add("/noise", 1.5)).details == ["noise is not a property - it is a Telemetry."]


def test_a_twin_needs_a_model(house: Any) -> None:
    assert house("PUT", "/digitaltwins/r", {"name": "x"}).code == "ValidationFailed"
    assert house("PUT", "/digitaltwins/r", {"$metadata": {"$model": 5}}).code == "ValidationFailed"


def test_a_source_time_given_at_creation_is_kept(house: Any) -> None:
    time = "2024-01-02T03:04:05Z"
    body = {"$metadata": {"$model": ROOM, "name": {"sourceTime": time, "lastUpdateTime": "never"}}, "name": "n"}
    entry = house("PUT", "/digitaltwins/r", body).json["$metadata"]["name"]
    assert entry["sourceTime"] == time
    assert entry["lastUpdateTime"] != "never"


def test_strings_are_limited_to_4_kb(house: Any) -> None:
    assert put(house, "r", ROOM, name="x" * 4096).status == 200
    assert put(house, "r", ROOM, name="ü" * 2049).code == "ValidationFailed"


def test_if_none_match_takes_nothing_but_a_star(house: Any) -> None:
    body = {"$metadata": {"$model": ROOM}}
    for value in ("XXX", 'W/"7e67a355-f19c-4c19-8a10-2d69b2d2253f"', ""):
        refused = house("PUT", "/digitaltwins/r", body, headers={"If-None-Match": value})
        assert (refused.status, refused.code) == (400, "InvalidArgument")
        assert refused.message == "Invalid If-None-Match header value. Allowed value(s): If-None-Match: *"
    assert house("GET", "/digitaltwins/r").status == 404
    assert house("PUT", "/digitaltwins/r", body, headers={"If-None-Match": "*"}).status == 200
    assert house("PUT", "/digitaltwins/r", body, headers={"If-None-Match": "*"}).code == "PreconditionFailed"


def test_if_match_on_put_is_ignored(house: Any) -> None:
    put(house, "r", ROOM)
    body = {"$metadata": {"$model": ROOM}}
    assert house("PUT", "/digitaltwins/r", body, headers={"If-Match": 'W/"old"'}).status == 200


# --- PATCH


def test_only_what_is_touched_gets_a_new_time(house: Any) -> None:
    before = put(house, "r", ROOM, name="n", floor=1).json["$metadata"]
    patch(house, "r", replace("/floor", 2))
    after = get(house, "r")["$metadata"]
    assert after["name"] == before["name"]
    assert after["floor"]["lastUpdateTime"] == after["$lastUpdateTime"] > before["$lastUpdateTime"]


def test_a_new_property_stands_before_the_metadata(house: Any) -> None:
    put(house, "r", ROOM, name="n")
    patch(house, "r", add("/floor", 2), add("/open", True))
    assert list(get(house, "r")) == ["$dtId", "$etag", "name", "floor", "open", "$metadata"]
    assert list(get(house, "r")["$metadata"]) == ["$model", "$lastUpdateTime", "name", "floor", "open"]


def test_remove_drops_value_and_metadata(house: Any) -> None:
    put(house, "r", ROOM, name="n", floor=1)
    assert patch(house, "r", remove("/floor")).status == 204
    twin = get(house, "r")
    assert "floor" not in twin
    assert "floor" not in twin["$metadata"]


def test_operations_run_in_order_and_all_or_none(house: Any) -> None:
    put(house, "r", ROOM, name="n", floor=1)
    assert patch(house, "r", remove("/name"), add("/name", "m"), replace("/name", "o")).status == 204
    assert get(house, "r")["name"] == "o"
    before = get(house, "r")
    assert patch(house, "r", replace("/floor", 9), replace("/open", True)).code == "JsonPatchInvalid"
    assert patch(house, "r", replace("/floor", 9), add("/open", "yes")).code == "ValidationFailed"
    assert get(house, "r") == before


def test_a_wrong_value_that_a_later_operation_corrects_is_no_fault(house: Any) -> None:
    put(house, "r", ROOM)
    assert patch(house, "r", add("/floor", "one"), add("/floor", 1)).status == 204


def test_an_empty_patch_renews_the_entity_tag(house: Any) -> None:
    before = put(house, "r", ROOM)
    answer = patch(house, "r")
    assert answer.status == 204
    assert answer.etag not in (None, before.etag)


def test_objects_and_maps_are_patched_below_an_existing_parent(house: Any) -> None:
    put(house, "r", ROOM, tags={"a": 1.0})
    missing = patch(house, "r", add("/address/street", "Main"))
    assert missing.message.startswith("/address/street was not found.")
    patch(house, "r", add("/address", {"street": "Main"}), add("/address/no", 5), add("/tags/b", 2), remove("/tags/a"))
    twin = get(house, "r")
    assert twin["address"] == {"street": "Main", "no": 5}
    assert twin["tags"] == {"b": 2}
    assert patch(house, "r", add("/address/zip", "1")).code == "ValidationFailed"
    assert patch(house, "r", add("/tags/c", "text")).code == "ValidationFailed"


def test_a_refused_patch_leaves_no_trace_in_what_a_later_one_writes(house: Any) -> None:
    put(house, "r", ROOM, address={"street": "Main", "no": 1}, tags={"a": 1.0})
    before = get(house, "r")
    assert patch(house, "r", add("/address/no", 2), add("/tags/a", 3.0), add("/tags/b", "wrong")).status == 400
    assert get(house, "r") == before
    patch(house, "r", add("/floor", 1))
    after = get(house, "r")
    assert (after["address"], after["tags"]) == (before["address"], before["tags"])


def test_pointer_escapes_are_understood(house: Any) -> None:
    put(house, "r", ROOM, tags={})
    patch(house, "r", add("/tags/a~1b~0c", 1.0))
    assert get(house, "r")["tags"] == {"a/b~c": 1.0}


def test_array_elements_are_not_patched_one_by_one(house: Any) -> None:
    put(house, "r", ROOM, numbers=[1, 2])
    assert patch(house, "r", add("/numbers/0", 5)).code == "JsonPatchInvalid"
    assert patch(house, "r", replace("/numbers", [3])).status == 204


@pytest.mark.parametrize("op", ["move", "copy", "test", "Add"])
def test_other_operations_are_refused_by_name(house: Any, op: str) -> None:
    put(house, "r", ROOM, floor=1)
    answer = patch(house, "r", {"op": op, "path": "/floor", "value": 1})
    assert answer.message.startswith(f"Unsupported operation type {op}.")


@pytest.mark.parametrize("path", ["/$dtId", "/$etag", "/$metadata/$lastUpdateTime", "/$metadata/floor/lastUpdateTime"])
def test_the_services_own_members_are_not_writable(house: Any, path: str) -> None:
    put(house, "r", ROOM, floor=1)
    assert patch(house, "r", replace(path, "x")).code == "JsonPatchInvalid"


@pytest.mark.parametrize("body", [{"op": "add"}, "x", 5, [1], [["add"]], [None]])
def test_a_body_that_is_no_patch_is_a_binding_failure(house: Any, body: Any) -> None:
    put(house, "r", ROOM)
    answer = house("PATCH", "/digitaltwins/r", body)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert "x-ms-error-code" not in answer.headers
    assert answer.json["title"] == "One or more validation errors occurred."


@pytest.mark.parametrize("depth", [100, 1000])
def test_a_deep_body_that_is_no_patch_is_a_binding_failure_too(house: Any, depth: int) -> None:
    put(house, "r", ROOM)
    answer = house("PATCH", "/digitaltwins/r", raw=b"[1," + b"[" * depth + b"]" * depth + b"]", headers=PATCH)
    assert (answer.status, answer.headers["content-type"][:24]) == (400, "application/problem+json")
    assert list(answer.json["errors"]) == ["[0]", "[1]", "jsonPatchDocument"]


def test_many_elements_that_are_no_operations_are_not_all_listed(house: Any) -> None:
    put(house, "r", ROOM)
    answer = house("PATCH", "/digitaltwins/r", [1] * 10_000, headers=PATCH)
    assert answer.status == 400
    assert list(answer.json["errors"])[199:] == ["[199]", "jsonPatchDocument"]


@pytest.mark.parametrize(
    "op", [{"op": "add", "path": "/floor"}, {"op": "add", "value": 1}, {"op": 1, "path": "/floor"}]
)
def test_incomplete_operations_are_refused(house: Any, op: dict[str, Any]) -> None:
    put(house, "r", ROOM)
    assert patch(house, "r", op).code == "JsonPatchInvalid"


def test_conditions_of_a_patch(house: Any) -> None:
    first = put(house, "r", ROOM).etag
    second = patch(house, "r", add("/floor", 1), **{"If-Match": first})
    assert second.status == 204
    refused = patch(house, "r", add("/floor", 2), **{"If-Match": first})
    assert (refused.status, refused.code) == (412, "PreconditionFailed")
    assert patch(house, "r", add("/floor", 2), **{"If-Match": "*"}).status == 204


# --- source times


@pytest.mark.parametrize("value", ["XXX", "etag-value", "7e67a355-f19c-4c19-8a10-2d69b2d2253f", "", '"a', '* , "a"'])
def test_an_if_match_that_holds_no_entity_tag_is_refused(house: Any, value: str) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    refusals = (
        patch(house, "d", add("/name", "n"), **{"If-Match": value}),
        patch(house, "d/components/engine", add("/speed", 1), **{"If-Match": value}),
        house("DELETE", "/digitaltwins/d", headers={"If-Match": value}),
    )
    for refused in refusals:
        assert (refused.status, refused.code) == (400, "InvalidArgument")
        assert refused.message == "Invalid If-Match header value. Allowed value(s): If-Match: {etag} or If-Match: *"
    assert "name" not in get(house, "d")


def test_if_match_may_list_several_entity_tags(house: Any) -> None:
    etag = put(house, "r", ROOM).etag
    other = 'W/"7e67a355-f19c-4c19-8a10-2d69b2d2253f"'
    answer = patch(house, "r", add("/floor", 1), **{"If-Match": f'{other}, "x" ,{etag}'})
    assert answer.status == 204
    refused = patch(house, "r", add("/floor", 2), **{"If-Match": f"{other},{etag}"})
    assert (refused.status, refused.code) == (412, "PreconditionFailed")
    strong = patch(house, "r", add("/floor", 2), **{"If-Match": answer.etag.removeprefix("W/")})
    assert strong.status == 412


def test_replace_needs_a_value_to_replace(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    for path, op in (("d", replace("/name", "n")), ("d/components/engine", replace("/label", "n"))):
        refused = patch(house, path, op)
        assert (refused.status, refused.code) == (400, "JsonPatchInvalid")
        assert refused.message.startswith(f"{op['path'][1:]} does not exist on component. Please provide a valid")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2020-10-31", "Could not resolve path /motor/speed. "),
        ("2022-05-31", "/motor/speed was not found. "),
        ("2023-10-31", "/motor/speed was not found. "),
    ],
)
def test_a_component_that_is_not_there_is_a_path_that_leads_nowhere(house: Any, version: str, said: str) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    body = [replace("/speed", 1)]
    refused = house("PATCH", "/digitaltwins/d/components/motor", body, query=f"api-version={version}", headers=PATCH)
    assert (refused.status, refused.code) == (400, "JsonPatchInvalid")
    assert refused.message.startswith(said)


def test_telemetry_is_taken_for_what_is_there_whatever_it_says(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    sent = {"Message-Id": "m", "Telemetry-Source-Time": "01/01/01 0:00:00 +00:00"}
    for path in ("d/telemetry", "d/components/engine/telemetry"):
        for body in ({"any": 1}, "text", [1], 5, None):
            raw = b"null" if body is None else None
            assert house("POST", f"/digitaltwins/{path}", body, raw=raw, headers=sent).status == 204
        assert house("POST", f"/digitaltwins/{path}", headers=sent).code == "BadRequest"
    for name in ("motor", "name", "$metadata"):
        refused = house("POST", f"/digitaltwins/d/components/{name}/telemetry", {"a": 1})
        assert (refused.status, refused.code) == (404, "ComponentNotFound")
    assert house("POST", "/digitaltwins/x/components/engine/telemetry", {"a": 1}).code == "DigitalTwinNotFound"


def test_a_source_time_is_set_kept_over_later_values_and_gone_with_its_property(house: Any) -> None:
    time = "2022-01-20T02:03:00.0943478Z"
    put(house, "r", ROOM, floor=1)
    assert patch(house, "r", add("/floor", 2), replace("/$metadata/floor/sourceTime", time)).status == 204
    patch(house, "r", add("/floor", 3))
    entry = get(house, "r")["$metadata"]["floor"]
    assert list(entry) == ["lastUpdateTime", "sourceTime"]
    assert entry["sourceTime"] == time
    patch(house, "r", remove("/floor"))
    patch(house, "r", add("/floor", 4))
    assert "sourceTime" not in get(house, "r")["$metadata"]["floor"]


def test_a_source_time_needs_its_property_a_time_and_a_recent_version(house: Any) -> None:
    put(house, "r", ROOM, floor=1)
    time = add("/$metadata/floor/sourceTime", "2022-01-20T02:03:00Z")
    assert patch(house, "r", add("/$metadata/name/sourceTime", "2022-01-20T02:03:00Z")).code == "JsonPatchInvalid"
    assert patch(house, "r", add("/$metadata/floor/sourceTime", "noon")).code == "ValidationFailed"
    old = house("PATCH", "/digitaltwins/r", [time], query="api-version=2020-10-31")
    assert old.code == "JsonPatchInvalid"


def test_a_component_property_has_a_source_time(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}, "speed": 1.0})
    time = "2022-01-20T02:03:00Z"
    patch(house, "d", add("/engine/speed", 2.0), add("/engine/$metadata/speed/sourceTime", time))
    assert get(house, "d")["engine"]["$metadata"]["speed"]["sourceTime"] == time


# --- components


def test_a_component_is_patched_through_its_twin_as_well(house: Any) -> None:
    before = put(house, "d", DEVICE, name="n", engine={"$metadata": {}, "speed": 1.0}).json
    patch(house, "d", add("/engine/label", "x"))
    twin = get(house, "d")
    inner = twin["engine"]["$metadata"]
    assert list(twin["engine"]) == ["speed", "label", "$metadata"]
    assert inner["$lastUpdateTime"] == inner["label"]["lastUpdateTime"] == twin["$metadata"]["$lastUpdateTime"]
    assert inner["speed"] == before["engine"]["$metadata"]["speed"]
    assert "engine" not in twin["$metadata"]


def test_a_component_given_as_a_whole_starts_anew(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}, "speed": 1.0, "label": "x"})
    assert patch(house, "d", replace("/engine", {"$metadata": {}, "speed": 2.0})).status == 204
    twin = get(house, "d")
    assert set(twin["engine"]["$metadata"]) == {"$lastUpdateTime", "speed"}
    assert "engine" not in twin["$metadata"]


def test_a_component_cannot_be_removed(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    assert patch(house, "d", remove("/engine")).details == ["Twin is missing the component engine."]


def test_wrong_values_of_a_component_name_it(house: Any) -> None:
    put(house, "d", DEVICE, engine={"$metadata": {}})
    answer = house("PATCH", "/digitaltwins/d/components/engine", [add("/speed", "fast")])
    assert answer.details == ["Expected value of type double for speed on engine."]


# --- change of model


def test_the_model_changes_when_the_twin_fits_the_new_one(house: Any, make_interface: Any, make_prop: Any) -> None:
    house.models(make_interface("Room", make_prop("name", "string"), make_prop("area", "double"), version=2))
    put(house, "r", ROOM, name="n", floor=1)
    model = replace("/$metadata/$model", "dtmi:test:Room;2")
    assert patch(house, "r", model).details == ["floor does not appear on the DTDL for Twin."]
    assert patch(house, "r", model, remove("/floor"), add("/area", 3.5)).status == 204
    twin = get(house, "r")
    assert twin["$metadata"]["$model"] == "dtmi:test:Room;2"
    assert house.query("SELECT $dtId FROM DIGITALTWINS WHERE IS_OF_MODEL('dtmi:test:Room;2', exact)") == [
        {"$dtId": "r"}
    ]


def test_a_model_change_may_bring_its_component(house: Any) -> None:
    put(house, "r", ROOM, name="n")
    model = replace("/$metadata/$model", DEVICE)
    assert patch(house, "r", model).details == ["Twin is missing the component engine."]
    assert patch(house, "r", model, add("/engine", {"$metadata": {}, "speed": 1.0})).status == 204
    twin = get(house, "r")
    assert set(twin["engine"]["$metadata"]) == {"$lastUpdateTime", "speed"}
    assert set(twin["$metadata"]) == {"$model", "$lastUpdateTime", "name"}
    unknown = patch(house, "r", replace("/$metadata/$model", "dtmi:test:Gone;1"))
    assert unknown.details == ["dtmi:test:Gone;1 or one of its dependencies does not exist."]
