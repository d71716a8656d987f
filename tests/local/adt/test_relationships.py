"""Relationships: what the models allow, replacement, lists and pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest

ROOM, DEVICE = "dtmi:test:Room;1", "dtmi:test:Device;1"


@pytest.fixture
def pair(house: Any) -> Any:
    house.twin("room", ROOM)
    house.twin("room2", ROOM)
    house.twin("device", DEVICE, engine={"$metadata": {}})
    return house


def put(wire: Any, source: str, rid: str, name: str, target: str, **properties: Any) -> Any:
    body = {"$relationshipName": name, "$targetId": target, **properties}
    return wire("PUT", f"/digitaltwins/{source}/relationships/{quote(rid, safe='')}", body)


def test_a_relationship_has_no_metadata_and_the_path_wins(pair: Any) -> None:
    body = {
        "$relationshipId": "x",
        "$sourceId": "y",
        "$relationshipName": "contains",
        "$targetId": "device",
        "since": 2020,
    }
    answer = pair("PUT", "/digitaltwins/room/relationships/r", body)
    assert list(answer.json) == ["$relationshipId", "$etag", "$sourceId", "$relationshipName", "$targetId", "since"]
    assert (answer.json["$relationshipId"], answer.json["$sourceId"]) == ("r", "room")
    assert answer.json["$etag"] == answer.etag


@pytest.mark.parametrize(
    ("name", "target", "properties", "code"),
    [
        ("owns", "device", {}, "InvalidRelationship"),
        ("contains", "room2", {}, "InvalidRelationship"),
        ("contains", "device", {"since": "x"}, "ValidationFailed"),
        ("contains", "device", {"colour": 1}, "ValidationFailed"),
        ("near", "room", {}, "OperationNotAllowed"),
    ],
)
def test_what_the_model_does_not_allow_is_refused(
    pair: Any, name: str, target: str, properties: dict[str, Any], code: str
) -> None:
    answer = put(pair, "room", "r", name, target, **properties)
    assert (answer.status, answer.code) == (400, code)
    assert pair("GET", "/digitaltwins/room/relationships/r").status == 404


def test_a_target_of_a_derived_model_is_allowed(pair: Any, make_interface: Any) -> None:
    pair.models(make_interface("SmallDevice", extends=DEVICE))
    pair.twin("small", "dtmi:test:SmallDevice;1", engine={"$metadata": {}})
    assert put(pair, "room", "r", "contains", "small").status == 200


def test_put_replaces_a_relationship_as_a_whole(pair: Any) -> None:
    first = put(pair, "room", "r", "contains", "device", since=1)
    second = put(pair, "room", "r", "near", "room2")
    assert second.status == 200
    assert second.etag != first.etag
    assert "since" not in second.json
    assert pair("GET", "/digitaltwins/device/incomingrelationships").json["value"] == []
    assert len(pair("GET", "/digitaltwins/room2/incomingrelationships").json["value"]) == 1


def test_a_patch_touches_only_properties_and_obeys_the_model(pair: Any) -> None:
    put(pair, "room", "r", "contains", "device", since=1)
    path = "/digitaltwins/room/relationships/r"
    assert pair("PATCH", path, [{"op": "add", "path": "/since", "value": 2}]).status == 204
    assert pair("PATCH", path, [{"op": "add", "path": "/since", "value": "x"}]).code == "ValidationFailed"
    assert pair("PATCH", path, [{"op": "replace", "path": "/$targetId", "value": "room2"}]).code == "JsonPatchInvalid"
    assert pair("GET", path).json["since"] == 2
    assert pair("PATCH", path, [{"op": "remove", "path": "/since"}]).status == 204
    assert "since" not in pair("GET", path).json


def test_two_twins_may_be_joined_more_than_once_and_ids_are_per_source(pair: Any) -> None:
    for source, rid in (("room", "r1"), ("room", "r2"), ("room2", "r1")):
        assert put(pair, source, rid, "contains", "device").status == 200
    assert pair.query("SELECT COUNT() FROM RELATIONSHIPS") == [{"COUNT": 3}]


def test_lists_are_sorted_paged_by_ten_and_filtered_by_name(pair: Any) -> None:
    for number in range(21):
        pair.twin(f"d{number}", DEVICE, engine={"$metadata": {}})
        put(pair, "room", f"id/{number:02}", "contains", f"d{number}")
    put(pair, "room", "zz", "near", "room2")
    pages = []
    path = "/digitaltwins/room/relationships?relationshipName=contains&api-version=2023-10-31"
    while path:
        answer = pair("GET", path).json
        assert list(answer) == ["nextLink", "value"]
        pages.append([item["$relationshipId"] for item in answer["value"]])
        link = answer["nextLink"]
        path = f"{urlsplit(link).path}?{urlsplit(link).query}" if link else ""
    assert [len(page) for page in pages] == [10, 10, 1]
    assert [rid for page in pages for rid in page] == [f"id/{number:02}" for number in range(21)]


def test_an_incoming_entry_links_to_the_relationship(pair: Any) -> None:
    put(pair, "room", "a/b", "contains", "device", since=1)
    [item] = pair("GET", "/digitaltwins/device/incomingrelationships").json["value"]
    assert list(item) == ["$relationshipId", "$sourceId", "$relationshipName", "$relationshipLink"]
    link = urlsplit(item["$relationshipLink"])
    assert pair("GET", f"{link.path}?{link.query}").json["since"] == 1


def test_a_foreign_continuation_token_is_refused(pair: Any) -> None:
    for path in ("relationships", "incomingrelationships"):
        answer = pair("GET", f"/digitaltwins/room/{path}", query="api-version=2023-10-31&continuationToken=x")
        assert (answer.status, answer.code) == (400, "BadRequest")


def test_a_twin_with_incoming_or_outgoing_relationships_stays(pair: Any) -> None:
    put(pair, "room", "r", "contains", "device")
    for twin in ("room", "device"):
        assert pair("DELETE", f"/digitaltwins/{twin}").code == "RelationshipsNotDeleted"
    pair("DELETE", "/digitaltwins/room/relationships/r")
    for twin in ("room", "device"):
        assert pair("DELETE", f"/digitaltwins/{twin}").status == 204
