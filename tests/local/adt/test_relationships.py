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
    if code == "InvalidRelationship":
        assert answer.message.startswith("Twin relationship does not align with the model. Please ensure that")
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


@pytest.mark.parametrize(
    ("op", "segment"),
    [
        ({"op": "remove", "path": "/since"}, "since"),
        ({"op": "replace", "path": "/since", "value": 1}, "since"),
        ({"op": "add", "path": "/owner/name", "value": 1}, "owner"),
    ],
)
def test_what_a_patch_does_not_find_is_named_by_its_segment(pair: Any, op: dict[str, Any], segment: str) -> None:
    put(pair, "room", "r", "contains", "device")
    answer = pair("PATCH", "/digitaltwins/room/relationships/r", [op])
    assert (answer.status, answer.code) == (400, "JsonPatchInvalid")
    assert answer.message.startswith(f"The target location specified by path segment '{segment}' was not found. ")


def test_if_none_match_takes_nothing_but_a_star(pair: Any) -> None:
    path, body = "/digitaltwins/room/relationships/r", {"$relationshipName": "near", "$targetId": "room2"}
    refused = pair("PUT", path, body, headers={"If-None-Match": "XXX"})
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert refused.message == "Invalid If-None-Match header value. Allowed value(s): If-None-Match: *"
    assert pair("PUT", path, body, headers={"If-None-Match": "*"}).status == 200
    assert pair("PUT", path, body, headers={"If-None-Match": "*"}).code == "PreconditionFailed"


def test_two_twins_may_be_joined_more_than_once_and_ids_are_per_source(pair: Any) -> None:
    for source, rid in (("room", "r1"), ("room", "r2"), ("room2", "r1")):
        assert put(pair, source, rid, "contains", "device").status == 200
    assert pair.query("SELECT COUNT() FROM RELATIONSHIPS") == [{"COUNT": 3}]


def test_lists_are_sorted_paged_by_ten_and_filtered_by_name(pair: Any) -> None:
    for number in range(21):
        pair.twin(f"d{number}", DEVICE, engine={"$metadata": {}})
        put(pair, "room", f"id/{number:02}", "contains", f"d{number}")
    put(pair, "room", "zz", "near", "room2")
    pages = listed(pair, "/digitaltwins/room/relationships?relationshipName=contains&api-version=2023-10-31")
    assert [len(page) for page in pages] == [10, 10, 1]
    assert [item["$relationshipId"] for page in pages for item in page] == [f"id/{number:02}" for number in range(21)]


def listed(wire: Any, path: str) -> list[list[dict[str, Any]]]:
    """The pages of a list, each link followed as it was given."""
    pages = []
    while path:
        answer = wire("GET", path).json
        assert list(answer) == ["nextLink", "value"]
        pages.append(answer["value"])
        link = answer["nextLink"]
        path = f"{urlsplit(link).path}?{urlsplit(link).query}" if link else ""
    return pages


def test_incoming_entries_are_listed_as_if_their_ids_had_no_hyphens(pair: Any) -> None:
    for number in range(31):
        put(pair, "room", f"rel-{number}-1986313360", "near", "room2")
    recorded = [0, 10, 11, 1, *range(12, 18), 18, 19, 20, 21, 2, *range(22, 27), 27, 28, 29, 30, 3, 4, 5, 6, 7, 8, 9]
    pages = listed(pair, "/digitaltwins/room2/incomingrelationships?api-version=2022-05-31")
    assert [len(page) for page in pages] == [10, 10, 10, 1]
    assert [item["$relationshipId"] for page in pages for item in page] == [f"rel-{n}-1986313360" for n in recorded]
    first = pair("GET", "/digitaltwins/room2/incomingrelationships?api-version=2022-05-31").json
    assert first["nextLink"].endswith(
        "/incomingrelationships?continuationToken=rel-17-1986313360_room&api-version=2022-05-31"
    )
    outgoing = listed(pair, "/digitaltwins/room/relationships?api-version=2022-05-31")
    ids = [item["$relationshipId"] for page in outgoing for item in page]
    assert ids == sorted(ids)


def test_incoming_pages_hold_every_relationship_whatever_the_ids_look_like(pair: Any) -> None:
    sources = ["s", "s_1", "s-1", "S", "s_", "1_s", "'s", "é"]
    expected = set()
    for source in sources:
        pair.twin(quote(source), ROOM)
        for rid in ("r", "r_", "R", "r-", "12_r", "r_s"):
            put(pair, quote(source), rid, "near", "room")
            expected.add((source, rid))
    pages = listed(pair, "/digitaltwins/room/incomingrelationships?api-version=2023-10-31")
    found = [(item["$sourceId"], item["$relationshipId"]) for page in pages for item in page]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_an_incoming_entry_links_to_the_relationship(pair: Any) -> None:
    put(pair, "room", "a/b", "contains", "device", since=1)
    [item] = pair("GET", "/digitaltwins/device/incomingrelationships").json["value"]
    assert list(item) == ["$relationshipId", "$sourceId", "$relationshipName", "$relationshipLink"]
    link = urlsplit(item["$relationshipLink"])
    assert pair("GET", f"{link.path}?{link.query}").json["since"] == 1


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("relationships", "x"),
        ("relationships", "r_device"),
        ("incomingrelationships", "x"),
        ("incomingrelationships", "a_b_c"),
        ("incomingrelationships", "9_b_c"),
        ("incomingrelationships", "99999999_b_c"),
        ("incomingrelationships", "²_b_c"),
    ],
)
def test_a_foreign_continuation_token_is_refused(pair: Any, path: str, token: str) -> None:
    query = f"api-version=2023-10-31&continuationToken={quote(token)}"
    answer = pair("GET", f"/digitaltwins/room/{path}", query=query)
    assert (answer.status, answer.code) == (400, "BadRequest")


def test_a_twin_with_incoming_or_outgoing_relationships_stays(pair: Any) -> None:
    put(pair, "room", "r", "contains", "device")
    for twin in ("room", "device"):
        assert pair("DELETE", f"/digitaltwins/{twin}").code == "RelationshipsNotDeleted"
    pair("DELETE", "/digitaltwins/room/relationships/r")
    for twin in ("room", "device"):
        assert pair("DELETE", f"/digitaltwins/{twin}").status == 204
