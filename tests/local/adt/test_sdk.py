"""The unmodified azure-digitaltwins-core clients, sync and async, over real sockets, for every operation they have.

Plain http needs an authentication policy of the caller's: the client's own refuses to send a token without TLS.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient, DigitalTwinsEventRoute
from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient

from remhart_adt.local.adt import LocalAdt

FLOOR = {
    "@id": "dtmi:sdk:Floor;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "displayName": "Floor",
    "contents": [
        {"@type": "Property", "name": "level", "schema": "integer"},
        {"@type": "Component", "name": "meter", "schema": "dtmi:sdk:Meter;1"},
        {
            "@type": "Relationship",
            "name": "above",
            "properties": [{"@type": "Property", "name": "height", "schema": "double"}],
        },
        {"@type": "Telemetry", "name": "noise", "schema": "double"},
    ],
}
IF_NOT_MODIFIED = MatchConditions.IfNotModified
METER = {
    "@id": "dtmi:sdk:Meter;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [{"@type": "Property", "name": "reading", "schema": "double"}],
}


class Policy(SansIOHTTPPolicy[Any, Any]):
    def on_request(self, request: Any) -> None:
        request.http_request.headers["Authorization"] = "Bearer local"


class Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("x", int(time.time()) + 3600)


class AsyncCredential:
    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("x", int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> AsyncCredential:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Sdk:
    """One face over both clients: `await sdk.call("get_digital_twin", ...)`, `await sdk.all("query_twins", ...)`."""

    def __init__(self, client: Any, endpoint: str, *, is_async: bool) -> None:
        self.client = client
        self.endpoint = endpoint
        self._async = is_async

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self.client, name)
        if self._async:
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def all(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        pager = getattr(self.client, name)(*args, **kwargs)
        if self._async:
            return [item async for item in pager]
        return await asyncio.to_thread(list, pager)

    async def etag_of(self, twin_id: str) -> str:
        return str((await self.call("get_digital_twin", twin_id))["$etag"])

    async def floor(self, twin_id: str, **properties: Any) -> dict[str, Any]:
        body = {"$metadata": {"$model": FLOOR["@id"]}, "meter": {"$metadata": {}}, **properties}
        twin: dict[str, Any] = await self.call("upsert_digital_twin", twin_id, body)
        return twin


@pytest.fixture(params=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, local_adt: LocalAdt) -> AsyncIterator[Sdk]:
    if request.param == "sync":
        client = DigitalTwinsClient(local_adt.endpoint, Credential(), authentication_policy=Policy())
        yield Sdk(client, local_adt.endpoint, is_async=False)
        client._client.close()  # the public face has no close
    else:
        async_client = AsyncDigitalTwinsClient(local_adt.endpoint, AsyncCredential(), authentication_policy=Policy())
        async with async_client:
            yield Sdk(async_client, local_adt.endpoint, is_async=True)


@pytest.fixture
async def floors(sdk: Sdk) -> Sdk:
    await sdk.call("create_models", [FLOOR, METER])
    return sdk


COVERED = {
    "create_models",
    "decommission_model",
    "delete_digital_twin",
    "delete_event_route",
    "delete_model",
    "delete_relationship",
    "get_component",
    "get_digital_twin",
    "get_event_route",
    "get_model",
    "get_relationship",
    "list_event_routes",
    "list_incoming_relationships",
    "list_models",
    "list_relationships",
    "publish_component_telemetry",
    "publish_telemetry",
    "query_twins",
    "update_component",
    "update_digital_twin",
    "update_relationship",
    "upsert_digital_twin",
    "upsert_event_route",
    "upsert_relationship",
}


def test_these_are_all_the_operations_of_both_clients() -> None:
    assert {name for name in dir(DigitalTwinsClient) if name[0] != "_"} == COVERED
    assert {name for name in dir(AsyncDigitalTwinsClient) if name[0] != "_"} == COVERED | {"close"}


async def test_models_are_uploaded_listed_read_decommissioned_and_deleted(sdk: Sdk) -> None:
    created = await sdk.call("create_models", [FLOOR, METER])
    assert [model.id for model in created] == [FLOOR["@id"], METER["@id"]]

    listed = await sdk.all("list_models", include_model_definition=True)
    assert [model.model for model in listed] == [FLOOR, METER]
    assert [model.id for model in await sdk.all("list_models", dependencies_for=[METER["@id"]])] == [METER["@id"]]
    needed = await sdk.all("list_models", dependencies_for=[FLOOR["@id"]])
    assert {model.id for model in needed} == {FLOOR["@id"], METER["@id"]}

    one = await sdk.call("get_model", FLOOR["@id"], include_model_definition=True)
    assert one.model == FLOOR
    assert one.display_name == {"en": "Floor"}
    assert one.upload_time is not None
    assert not one.decommissioned

    await sdk.call("decommission_model", FLOOR["@id"])
    assert (await sdk.call("get_model", FLOOR["@id"])).decommissioned

    with pytest.raises(ResourceExistsError):
        await sdk.call("delete_model", METER["@id"])
    await sdk.call("delete_model", FLOOR["@id"])
    await sdk.call("delete_model", METER["@id"])
    assert await sdk.all("list_models") == []


async def test_model_errors_become_the_clients_exceptions(floors: Sdk) -> None:
    with pytest.raises(ResourceExistsError, match="ModelIdAlreadyExists"):
        await floors.call("create_models", [FLOOR])
    with pytest.raises(ResourceNotFoundError, match="ModelNotFound"):
        await floors.call("get_model", "dtmi:sdk:None;1")
    with pytest.raises(HttpResponseError, match="DTDLParserError"):
        await floors.call("create_models", [{}])


async def test_a_twin_lives_through_create_read_patch_replace_and_delete(floors: Sdk) -> None:
    created = await floors.floor("f/1 ü", level=3)
    assert created["$dtId"] == "f/1 ü"
    assert created["level"] == 3

    await floors.call("update_digital_twin", "f/1 ü", [{"op": "add", "path": "/level", "value": 4}])
    changed = await floors.call("get_digital_twin", "f/1 ü")
    assert changed["level"] == 4
    assert changed["$etag"] != created["$etag"]
    assert changed["$metadata"]["level"]["lastUpdateTime"] > created["$metadata"]["level"]["lastUpdateTime"]

    replaced = await floors.floor("f/1 ü")
    assert "level" not in replaced

    await floors.call("delete_digital_twin", "f/1 ü")
    with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
        await floors.call("get_digital_twin", "f/1 ü")


async def test_match_conditions_of_a_twin(floors: Sdk) -> None:
    await floors.floor("f", level=1)
    with pytest.raises(ResourceExistsError):
        await floors.call(
            "upsert_digital_twin",
            "f",
            {"$metadata": {"$model": FLOOR["@id"]}, "meter": {"$metadata": {}}},
            match_condition=MatchConditions.IfMissing,
        )
    patch = [{"op": "add", "path": "/level", "value": 2}]
    current = await floors.etag_of("f")
    await floors.call("update_digital_twin", "f", patch, etag=current, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        await floors.call(
            "update_digital_twin", "f", patch, etag=current, match_condition=MatchConditions.IfNotModified
        )
    await floors.call("update_digital_twin", "f", patch, match_condition=MatchConditions.IfPresent)
    for etag in ("XXX", "7e67a355-f19c-4c19-8a10-2d69b2d2253f"):
        with pytest.raises(HttpResponseError, match="Invalid If-Match header value") as caught:
            await floors.call("update_digital_twin", "f", patch, etag=etag, match_condition=IF_NOT_MODIFIED)
        assert caught.value.status_code == 400
    with pytest.raises(ResourceModifiedError):
        await floors.call("delete_digital_twin", "f", etag=current, match_condition=MatchConditions.IfNotModified)
    await floors.call(
        "delete_digital_twin", "f", etag=await floors.etag_of("f"), match_condition=MatchConditions.IfNotModified
    )


async def test_a_component_is_read_and_patched(floors: Sdk) -> None:
    await floors.floor("f")
    await floors.call("update_component", "f", "meter", [{"op": "add", "path": "/reading", "value": 1.5}])
    component = await floors.call("get_component", "f", "meter")
    assert component["reading"] == 1.5
    assert (await floors.call("get_digital_twin", "f"))["meter"]["reading"] == 1.5
    with pytest.raises(ResourceNotFoundError, match="ComponentNotFound"):
        await floors.call("get_component", "f", "other")


async def test_match_conditions_of_a_component(floors: Sdk) -> None:
    created = await floors.floor("f")
    patch = [{"op": "add", "path": "/reading", "value": 1.5}]
    component = ("f", "meter", patch)
    await floors.call("update_component", *component, etag=created["$etag"], match_condition=IF_NOT_MODIFIED)
    with pytest.raises(ResourceModifiedError):
        await floors.call("update_component", *component, etag=created["$etag"], match_condition=IF_NOT_MODIFIED)
    await floors.call("update_component", *component, match_condition=MatchConditions.IfPresent)
    with pytest.raises(HttpResponseError, match="JsonPatchInvalid"):
        await floors.call("update_component", "f", "other", patch)
    with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
        await floors.call("update_component", "nobody", "meter", patch)


async def test_match_conditions_of_a_relationship(floors: Sdk) -> None:
    for name in ("a", "b"):
        await floors.floor(name)
    body = _above("b")
    created = await floors.call("upsert_relationship", "a", "r", body, match_condition=MatchConditions.IfMissing)
    with pytest.raises(ResourceExistsError, match="a relationship with the id r was found"):
        await floors.call("upsert_relationship", "a", "r", body, match_condition=MatchConditions.IfMissing)
    patch = [{"op": "add", "path": "/height", "value": 1}]
    await floors.call("update_relationship", "a", "r", patch, match_condition=MatchConditions.IfPresent)
    with pytest.raises(ResourceModifiedError):
        await floors.call("delete_relationship", "a", "r", etag=created["$etag"], match_condition=IF_NOT_MODIFIED)
    await floors.call("delete_relationship", "a", "r", match_condition=MatchConditions.IfPresent)
    with pytest.raises(ResourceNotFoundError, match="RelationshipNotFound"):
        await floors.call("delete_relationship", "a", "r", match_condition=MatchConditions.IfPresent)


async def test_relationship_errors_become_the_clients_exceptions(floors: Sdk) -> None:
    for name in ("a", "b"):
        await floors.floor(name)
    with pytest.raises(ResourceNotFoundError, match="TargetDigitalTwinNotFound"):
        await floors.call("upsert_relationship", "a", "r", _above("nobody"))
    with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
        await floors.call("upsert_relationship", "nobody", "r", _above("b"))
    with pytest.raises(HttpResponseError, match="InvalidRelationship"):
        await floors.call("upsert_relationship", "a", "r", {"$relationshipName": "under", "$targetId": "b"})
    with pytest.raises(HttpResponseError, match="Could not deserialize relationship create body"):
        await floors.call("upsert_relationship", "a", "r", {})
    with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
        await floors.all("list_relationships", "nobody")
    with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
        await floors.all("list_incoming_relationships", "nobody")


async def test_relationships_are_created_listed_patched_and_deleted(floors: Sdk) -> None:
    for name in ("a", "b"):
        await floors.floor(name)
    body = {"$relationshipName": "above", "$targetId": "b", "height": 2.5}
    created = await floors.call("upsert_relationship", "a", "r1", body)
    assert created["$relationshipId"] == "r1"
    assert created["$sourceId"] == "a"

    await floors.call("update_relationship", "a", "r1", [{"op": "replace", "path": "/height", "value": 3.0}])
    read = await floors.call("get_relationship", "a", "r1")
    assert read["height"] == 3.0
    with pytest.raises(ResourceModifiedError):
        await floors.call(
            "update_relationship", "a", "r1", [], etag=created["$etag"], match_condition=MatchConditions.IfNotModified
        )

    assert await floors.all("list_relationships", "a") == [read]
    # What the client calls a relationship's id goes out as its name.
    assert await floors.all("list_relationships", "a", relationship_id="above") == [read]
    assert await floors.all("list_relationships", "a", relationship_id="r1") == []
    assert await floors.all("list_relationships", "b") == []
    [incoming] = await floors.all("list_incoming_relationships", "b")
    assert (incoming.relationship_id, incoming.source_id, incoming.relationship_name) == ("r1", "a", "above")

    with pytest.raises(HttpResponseError, match="RelationshipsNotDeleted"):
        await floors.call("delete_digital_twin", "b")
    await floors.call(
        "delete_relationship", "a", "r1", etag=read["$etag"], match_condition=MatchConditions.IfNotModified
    )
    with pytest.raises(ResourceNotFoundError, match="RelationshipNotFound"):
        await floors.call("get_relationship", "a", "r1")
    await floors.call("delete_digital_twin", "b")


async def test_relationship_pages_are_followed(floors: Sdk) -> None:
    await floors.floor("hub")
    for number in range(23):
        await floors.floor(f"t{number}")
        await floors.call("upsert_relationship", "hub", f"r{number:02}", _above(f"t{number}"))
        await floors.call("upsert_relationship", f"t{number}", f"back {number}/x", _above("hub"))
    outgoing = await floors.all("list_relationships", "hub")
    assert [item["$relationshipId"] for item in outgoing] == [f"r{number:02}" for number in range(23)]
    incoming = await floors.all("list_incoming_relationships", "hub")
    assert {item.source_id for item in incoming} == {f"t{number}" for number in range(23)}


def _above(target: str) -> dict[str, Any]:
    return {"$relationshipName": "above", "$targetId": target}


async def test_telemetry_is_accepted(floors: Sdk) -> None:
    await floors.floor("f")
    await floors.call("publish_telemetry", "f", {"noise": 40.5})
    await floors.call("publish_telemetry", "f", {"noise": 40.5}, message_id="m1")
    await floors.call("publish_component_telemetry", "f", "meter", {"any": "thing"})
    await floors.call("publish_component_telemetry", "f", "meter", {"any": "thing"}, message_id="m2")
    with pytest.raises(ResourceNotFoundError, match="ComponentNotFound"):
        await floors.call("publish_component_telemetry", "f", "other", {"any": "thing"})
    with pytest.raises(ResourceNotFoundError):
        await floors.call("publish_telemetry", "nobody", {"noise": 40.5})


async def test_queries_follow_tokens_over_full_and_empty_pages(floors: Sdk) -> None:
    for number in range(200):  # exactly two pages of the default size: a third, empty one follows
        await floors.floor(f"f{number:03}", level=number)
    rows = await floors.all("query_twins", "SELECT * FROM DIGITALTWINS")
    assert sorted(row["$dtId"] for row in rows) == [f"f{number:03}" for number in range(200)]
    assert await floors.all("query_twins", "SELECT COUNT() FROM DIGITALTWINS T WHERE T.level >= 150") == [{"COUNT": 50}]
    with pytest.raises(HttpResponseError, match="SqlQueryError"):
        await floors.all("query_twins", "foo")


async def test_a_query_page_has_the_size_asked_for(floors: Sdk) -> None:
    for number in range(5):
        await floors.floor(f"f{number}", level=number)
    size = {"max-items-per-page": "2"}  # the client's own results_per_page ends in a TypeError
    pager = floors.client.query_twins("SELECT * FROM DIGITALTWINS", headers=size).by_page()
    if hasattr(pager, "__anext__"):
        sizes = [len([row async for row in page]) async for page in pager]
    else:
        sizes = await asyncio.to_thread(lambda: [len(list(page)) for page in pager])
    assert sizes == [2, 2, 1]


async def test_twins_that_do_not_fit_are_refused_with_details(floors: Sdk) -> None:
    with pytest.raises(HttpResponseError, match="ValidationFailed") as caught:
        await floors.floor("f", level="high", colour=1)
    assert caught.value.status_code == 400
    assert [detail.message for detail in caught.value.error.details] == [
        "Expected value of type integer for level on Twin.",
        "colour does not appear on the DTDL for Twin.",
    ]
    await floors.floor("f")
    with pytest.raises(HttpResponseError, match="JsonPatchInvalid"):
        await floors.call("update_digital_twin", "f", [{"op": "move", "path": "/level"}])


async def test_event_routes_that_are_not_there_and_endpoints_that_are_not_there(sdk: Sdk) -> None:
    assert await sdk.all("list_event_routes") == []
    route = DigitalTwinsEventRoute(endpoint_name="nowhere", filter="true")
    with pytest.raises(HttpResponseError, match="EventRouteEndpointInvalid"):
        await sdk.call("upsert_event_route", "r", route)
    with pytest.raises(ResourceNotFoundError, match="EventRouteNotFound"):
        await sdk.call("get_event_route", "r")
    with pytest.raises(ResourceNotFoundError, match="EventRouteNotFound"):
        await sdk.call("delete_event_route", "r")


def _fault(endpoint: str, **fault: Any) -> None:
    body = json.dumps({"method": "GET", "path": "/digitaltwins/", **fault}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/_remhart/faults", body, headers)).close()


async def test_what_the_gateway_refuses_becomes_the_clients_exceptions(floors: Sdk) -> None:
    await floors.floor("f")
    await asyncio.to_thread(_fault, floors.endpoint, status=401)
    with pytest.raises(ClientAuthenticationError):
        await floors.call("get_digital_twin", "f")
    await asyncio.to_thread(_fault, floors.endpoint, status=429, headers={"Retry-After": "5"})
    with pytest.raises(HttpResponseError) as caught:
        await floors.call("get_digital_twin", "f", retry_total=0)
    assert caught.value.status_code == 429
    await asyncio.to_thread(_fault, floors.endpoint, status=429, headers={"Retry-After": "0"})
    assert (await floors.call("get_digital_twin", "f"))["$dtId"] == "f"
