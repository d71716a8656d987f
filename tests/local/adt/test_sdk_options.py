"""What the clients' operations take beside their arguments, and what Microsoft's own test suites do with them.

Through the fixtures that other projects use; `test_sdk.py` has the operations themselves.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.digitaltwins.core import DigitalTwinsEventRoute

from remhart_adt.local.adt import LocalAdt
from remhart_adt.testing import adt_client as adt_client
from remhart_adt.testing import adt_client_async as adt_client_async
from remhart_adt.testing import local_adt_clean as local_adt_clean
from remhart_adt.testing import local_adt_session as local_adt_session

METER = {
    "@id": "dtmi:options:Meter;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [{"@type": "Property", "name": "reading", "schema": "double"}],
}
FLOOR = {
    "@id": "dtmi:options:Floor;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [
        {"@type": "Property", "name": "level", "schema": "integer"},
        {"@type": "Component", "name": "meter", "schema": METER["@id"]},
        {
            "@type": "Relationship",
            "name": "above",
            "properties": [{"@type": "Property", "name": "height", "schema": "double"}],
        },
    ],
}
PATCH = [{"op": "add", "path": "/level", "value": 2}]
ABOVE = {"$relationshipName": "above", "$targetId": "b"}
STALE = 'W/"7e67a355-f19c-4c19-8a10-2d69b2d2253f"'
PAGE_OF_TWO = {"max-items-per-page": "2"}


class Client:
    """Either client: `await client.get_digital_twin("a")`; `await pages(...)` gives what each page holds."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            result = await asyncio.to_thread(method, *args, **kwargs)  # of the async client this is an awaitable
            return await result if hasattr(result, "__await__") else result

        return call

    async def pages(self, name: str, *args: Any, token: str | None = None, **kwargs: Any) -> Any:
        """(items of each page, the token after the first one)."""
        pager = getattr(self._client, name)(*args, **kwargs).by_page(continuation_token=token)
        if not hasattr(pager, "__anext__"):
            return await asyncio.to_thread(self._read, pager)
        found, after = [], None
        async for page in pager:
            found.append([item async for item in page])
            after = after or pager.continuation_token
        return found, after

    @staticmethod
    def _read(pager: Any) -> tuple[list[list[Any]], Any]:
        found, after = [], None
        for page in pager:
            found.append(list(page))
            after = after or pager.continuation_token
        return found, after


@pytest.fixture
def local_adt(local_adt_clean: LocalAdt) -> LocalAdt:
    """One server for all of these tests."""
    return local_adt_clean


@pytest.fixture(params=["adt_client", "adt_client_async"])
async def client(request: pytest.FixtureRequest) -> Any:
    given = request.getfixturevalue(request.param)
    yield Client(given)
    if request.param == "adt_client_async":
        await given.close()


@pytest.fixture
async def two(client: Client) -> Client:
    """Two twins, `a` and `b`, and the relationship `r` from one to the other."""
    await client.create_models([FLOOR, METER])
    for name in ("a", "b"):
        await client.upsert_digital_twin(name, floor(level=1))
    await client.upsert_relationship("a", "r", {**ABOVE, "height": 1.5})
    return client


def floor(**properties: Any) -> dict[str, Any]:
    return {"$metadata": {"$model": FLOOR["@id"]}, "meter": {"$metadata": {}}, **properties}


def sizes(pages: list[list[Any]]) -> list[int]:
    return [len(page) for page in pages]


# --- pages


async def test_lists_come_in_pages_of_the_size_asked_for(two: Client, local_adt: LocalAdt, tmp_path: Path) -> None:
    await two.create_models([{**METER, "@id": f"dtmi:options:More{number};1"} for number in range(3)])
    models, _ = await two.pages("list_models", headers=PAGE_OF_TWO, include_model_definition=True)
    # The client sends the size with the first page only; the link to the next one does not carry it.
    assert [model.id for model in models[0]] == [FLOOR["@id"], METER["@id"]]
    assert sum(sizes(models)) == 5
    assert models[0][0].model == FLOOR

    endpoint(local_adt, tmp_path)
    for name in ("c", "a", "b"):
        await two.upsert_event_route(name, DigitalTwinsEventRoute(endpoint_name="file", filter="true"))
    routes, token = await two.pages("list_event_routes", headers=PAGE_OF_TWO)
    assert [route.id for page in routes for route in page] == ["c", "a", "b"]
    assert len(routes[0]) == 2
    rest, _ = await two.pages("list_event_routes", token=token)
    assert [[route.id for route in page] for page in rest] == [["b"]]


async def test_a_query_is_taken_up_again_at_a_token(two: Client) -> None:
    for number in range(3):
        await two.upsert_digital_twin(f"more{number}", floor())
    text = "SELECT T.$dtId FROM digitaltwins T"
    pages, token = await two.pages("query_twins", text, headers=PAGE_OF_TWO)
    assert sizes(pages) == [2, 2, 1]
    rest, _ = await two.pages("query_twins", text, headers=PAGE_OF_TWO, token=token)
    assert rest == pages[1:]


async def test_relationships_are_listed_by_name_and_their_pages_end(two: Client) -> None:
    for number in range(12):
        await two.upsert_relationship("b", f"r{number:02}", {**ABOVE, "$targetId": "a"})
    outgoing, _ = await two.pages("list_relationships", "b")
    assert sizes(outgoing) == [10, 2]
    incoming, _ = await two.pages("list_incoming_relationships", "a")
    assert sizes(incoming) == [10, 2]
    assert incoming[0][0].relationship_link.endswith("/digitaltwins/b/relationships/r00?api-version=2023-10-31")


async def test_the_page_size_of_the_client_itself_fails_before_anything_is_sent(client: Client, local_adt: Any) -> None:
    for name in ("list_models", "list_event_routes"):  # a fault of version 1.3.0, whatever the server
        with pytest.raises(TypeError, match="max_item_count"):
            await client.pages(name, results_per_page=2)
    assert local_adt.journal() == []


# --- conditions


async def test_conditions_that_hold(two: Client) -> None:
    await two.upsert_digital_twin("c", floor(), match_condition=MatchConditions.IfMissing)
    await two.upsert_relationship("a", "s", ABOVE, match_condition=MatchConditions.IfMissing)
    present = {"match_condition": MatchConditions.IfPresent}
    await two.update_digital_twin("a", PATCH, **present)
    await two.update_component("a", "meter", [{"op": "add", "path": "/reading", "value": 1}], **present)
    await two.update_relationship("a", "r", [{"op": "remove", "path": "/height"}], **present)
    kept = await two.get_relationship("a", "r")
    await two.delete_relationship("a", "r", etag=kept["$etag"], match_condition=MatchConditions.IfNotModified)
    await two.delete_relationship("a", "s", **present)
    await two.delete_digital_twin("c", **present)
    twin = await two.get_digital_twin("a")
    await two.delete_digital_twin("a", etag=twin["$etag"], match_condition=MatchConditions.IfNotModified)


def test_conditions_without_a_meaning_stay_with_the_client(adt_client: Any, local_adt: LocalAdt) -> None:
    puts = (("upsert_digital_twin", "a", {}), ("upsert_relationship", "a", "r", {}))
    changes = (
        ("update_digital_twin", "a", PATCH),
        ("update_component", "a", "meter", PATCH),
        ("update_relationship", "a", "r", PATCH),
        ("delete_digital_twin", "a"),
        ("delete_relationship", "a", "r"),
    )
    missing, present = MatchConditions.IfMissing, MatchConditions.IfPresent
    modified, not_modified = MatchConditions.IfModified, MatchConditions.IfNotModified
    wrong = [(call, {"match_condition": one}) for call in puts for one in (modified, not_modified, present)]
    wrong += [(call, {"match_condition": missing, "etag": STALE}) for call in puts]
    wrong += [(call, {"match_condition": one}) for call in changes for one in (missing, modified, not_modified)]
    wrong += [(call, {"match_condition": present, "etag": STALE}) for call in changes]
    for (name, *args), conditions in wrong:
        with pytest.raises(ValueError):
            getattr(adt_client, name)(*args, **conditions)
    assert local_adt.journal() == []


# --- telemetry and event routes


def endpoint(server: LocalAdt, folder: Path) -> Path:
    file = folder / "events.ndjson"
    server.control.put_endpoint("file", {"kind": "file", "path": str(file)})
    return file


async def test_telemetry_has_an_id_and_the_clients_time(two: Client, local_adt: LocalAdt) -> None:
    last = local_adt.journal()[-1].n
    await two.publish_telemetry("a", {"noise": 40.5})
    await two.publish_telemetry("a", ["any", "thing"], message_id="m1")
    await two.publish_component_telemetry("a", "meter", {"x": {"y": 1}}, message_id="m2")
    rows = local_adt.journal(after=last)
    assert [(row.path, row.body, row.status) for row in rows] == [
        ("/digitaltwins/a/telemetry", {"noise": 40.5}, 204),
        ("/digitaltwins/a/telemetry", ["any", "thing"], 204),
        ("/digitaltwins/a/components/meter/telemetry", {"x": {"y": 1}}, 204),
    ]
    UUID(rows[0].headers["message-id"])
    assert [row.headers["message-id"] for row in rows[1:]] == ["m1", "m2"]
    for row in rows:
        sent = datetime.fromisoformat(row.headers["telemetry-source-time"])
        assert abs(sent.timestamp() - row.time_us / 1e6) < 60


async def test_a_route_to_an_endpoint_is_made_and_brings_what_happens(
    two: Client, local_adt: LocalAdt, tmp_path: Path
) -> None:
    file = endpoint(local_adt, tmp_path)
    old_names = "$eventType = 'DigitalTwinTelemetryMessages' or $eventType = 'DigitalTwinLifecycleNotification'"
    await two.upsert_event_route("r", DigitalTwinsEventRoute(endpoint_name="file", filter=old_names))
    route = await two.get_event_route("r")
    assert (route.id, route.endpoint_name, route.filter) == ("r", "file", old_names)
    wrong = DigitalTwinsEventRoute(endpoint_name="file", filter="this is not a valid filter string")
    with pytest.raises(HttpResponseError, match="EventRouteFilterInvalid"):
        await two.upsert_event_route("other", wrong)

    await two.update_digital_twin("a", PATCH)  # neither telemetry nor lifecycle
    await two.publish_component_telemetry("a", "meter", {"x": 1}, message_id="m")
    await two.upsert_digital_twin("c", floor())
    await two.delete_digital_twin("c")
    lines = await asyncio.to_thread(events_of, file, 3)
    assert [(event["type"].rpartition(".")[2], event["subject"]) for event in lines] == [
        ("telemetry", "meter"),
        ("Create", "c"),
        ("Delete", "c"),
    ]
    assert (lines[0]["id"], lines[0]["data"]) == ("m", {"x": 1})

    await two.delete_event_route("r")
    assert await two.pages("list_event_routes") == ([[]], None)
    with pytest.raises(ResourceNotFoundError, match="EventRouteNotFound"):
        await two.get_event_route("r")


def events_of(file: Path, many: int) -> list[dict[str, Any]]:
    limit = time.monotonic() + 20
    while True:
        lines = file.read_bytes().splitlines() if file.exists() else []
        if len(lines) >= many:
            return [json.loads(line) for line in lines]
        assert time.monotonic() < limit, lines
        time.sleep(0.01)


# --- what Microsoft's test suites lean on


async def test_what_was_read_can_be_written_back(two: Client) -> None:
    await two.update_component("a", "meter", [{"op": "add", "path": "/reading", "value": 2.5}])
    twin = await two.get_digital_twin("a")
    twin["level"] = 7
    written = await two.upsert_digital_twin("a", twin)
    assert written == await two.get_digital_twin("a")
    assert (written["level"], written["meter"]["reading"]) == (7, 2.5)
    edge = await two.get_relationship("a", "r")
    again = await two.upsert_relationship("a", "r", edge)
    assert {**again, "$etag": ""} == {**edge, "$etag": ""}
    assert again["$etag"] != edge["$etag"]


async def test_ids_of_a_body_do_not_count(two: Client) -> None:
    twin = await two.upsert_digital_twin("c", {"$dtId": "foo", "$etag": None, **floor()})
    assert twin["$dtId"] == "c"
    foreign = {"$relationshipId": "foo", "$sourceId": "foo", **ABOVE}
    edge = await two.upsert_relationship("a", "s", foreign)
    assert (edge["$relationshipId"], edge["$sourceId"]) == ("s", "a")


async def test_patches_that_are_none(two: Client) -> None:
    calls = (("update_digital_twin", "a"), ("update_component", "a", "meter"), ("update_relationship", "a", "r"))
    for name, *ids in calls:
        call = getattr(two, name)
        with pytest.raises(HttpResponseError) as caught:
            await call(*ids, {"level": 1})  # goes out as a list of its keys
        assert caught.value.status_code == 400
        assert caught.value.response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
        with pytest.raises(HttpResponseError, match=r"JsonPatchInvalid.*Unsupported operation type move"):
            await call(*ids, [{"op": "move", "path": "/level"}])
        with pytest.raises(HttpResponseError, match=r"JsonPatchInvalid.*Parameter op must not be empty"):
            await call(*ids, [{}])
        await call(*ids, [])
    with pytest.raises(HttpResponseError, match=r"InvalidArgument.*Payload is invalid"):
        await two.upsert_digital_twin("a", [{}])


async def test_an_instance_is_cleaned_up_models_first(two: Client) -> None:
    with pytest.raises(HttpResponseError, match="ModelReferencesNotDeleted"):
        await two.delete_model(METER["@id"])
    await two.delete_model(FLOOR["@id"])
    await two.delete_model(METER["@id"])
    assert (await two.get_digital_twin("a"))["level"] == 1
    with pytest.raises(HttpResponseError, match="one of its dependencies does not exist"):
        await two.update_digital_twin("a", PATCH)
    [[edge]], _ = await two.pages("list_relationships", "a")
    await two.delete_relationship("a", edge["$relationshipId"])
    for name in ("a", "b"):
        await two.delete_digital_twin(name)
    assert (await two.pages("query_twins", "SELECT * FROM digitaltwins"))[0] == [[]]


async def test_headers_of_the_caller_and_the_raw_answer(two: Client) -> None:
    answers: list[Any] = []
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    await two.update_digital_twin(
        "a", PATCH, headers={"traceparent": trace}, raw_response_hook=lambda one: answers.append(one.http_response)
    )
    [answer] = answers
    assert answer.status_code == 204
    assert answer.headers["traceresponse"].startswith(f"00-{'a' * 32}-")
    assert answer.headers["ETag"] == (await two.get_digital_twin("a"))["$etag"]
