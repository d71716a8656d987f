"""Event routes on the wire, and the official client's operations on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient, DigitalTwinsEventRoute

from remhart_adt.local.adt import Options


@pytest.fixture
def routes(stage: Any, tmp_path: Path) -> Any:
    """A server with the endpoint `file`."""
    stage.endpoint("file", kind="file", path=str(tmp_path / "events.ndjson"))
    return stage.wire


def put(wire: Any, name: str, endpoint: str = "file", text: str = "true") -> Any:
    return wire("PUT", f"/eventroutes/{name}", {"endpointName": endpoint, "filter": text})


def test_a_route_is_made_shown_replaced_and_deleted(routes: Any) -> None:
    answer = put(routes, "r", text="type = 'a'")
    assert (answer.status, answer.body) == (204, b"")
    assert routes("GET", "/eventroutes/r").json == {"id": "r", "endpointName": "file", "filter": "type = 'a'"}
    assert put(routes, "r").status == 204
    assert routes("GET", "/EventRoutes").json == {
        "value": [{"id": "r", "endpointName": "file", "filter": "true"}],
        "nextLink": None,
    }
    assert routes("DELETE", "/eventroutes/r").status == 204
    assert routes("GET", "/eventroutes/r").code == "EventRouteNotFound"
    assert routes("DELETE", "/eventroutes/r").status == 404


def test_pages_follow_the_size_asked_for(routes: Any) -> None:
    for name in ("c", "a", "b", "c"):  # recorded: not in order of id
        put(routes, name)
    page = routes("GET", "/eventroutes", headers={"max-items-per-page": "2"}).json
    assert [route["id"] for route in page["value"]] == ["c", "a"]
    link = page["nextLink"].removeprefix(routes.server.endpoint)
    assert link.startswith("/EventRoutes?continuationToken=")
    assert link.endswith("&api-version=2023-10-31")
    last = routes("GET", link).json
    assert ([route["id"] for route in last["value"]], last["nextLink"]) == (["b"], None)
    assert routes("GET", "/eventroutes?api-version=2023-10-31&continuationToken=x").code == "BadRequest"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("r", {"endpointName": "nowhere", "filter": "true"}, "EventRouteEndpointInvalid"),
        ("r", {"filter": "true"}, "EventRouteEndpointInvalid"),
        ("r", {"endpointName": "file", "filter": "what"}, "EventRouteFilterInvalid"),
        ("r", {"endpointName": "file"}, "EventRouteFilterInvalid"),
        ("r", {"endpointName": "file", "filter": 1}, "EventRouteFilterInvalid"),
        ("a%20b", {"endpointName": "file", "filter": "true"}, "EventRouteIdInvalid"),
        ("x" * 129, {"endpointName": "file", "filter": "true"}, "EventRouteIdInvalid"),
        ("r", ["true"], "InvalidArgument"),
    ],
)
def test_a_wrong_route_is_refused_by_its_code(routes: Any, name: str, body: Any, code: str) -> None:
    answer = routes("PUT", f"/eventroutes/{name}", body)
    assert (answer.status, answer.code) == (400, code)
    assert routes("GET", "/eventroutes").json["value"] == []


def test_the_message_of_a_wrong_filter_is_the_services(routes: Any) -> None:
    assert put(routes, "r", text="type = 'a' andd true").message == (
        "The provided filter is invalid. Parsing error, Line=1, Position=12, Message=Unexpected input 'andd'. See "
        "event route documentation for supported values and structure (https://aka.ms/ADTv2Routes)."
    )


def test_a_seventh_route_is_one_too_many_and_a_replaced_one_is_not(routes: Any) -> None:
    assert [put(routes, f"r{number}").status for number in range(7)] == [204] * 6 + [400]
    assert put(routes, "r7").code == "LimitExceeded"
    assert put(routes, "r0", text="false").status == 204


def test_an_endpoint_stays_while_a_route_leads_to_it(routes: Any, stage: Any) -> None:
    put(routes, "r")
    with pytest.raises(Exception, match="These event routes lead to file: r"):
        stage.do(lambda events: events.delete_endpoint("file"))
    routes("DELETE", "/eventroutes/r")
    stage.do(lambda events: events.delete_endpoint("file"))
    assert put(routes, "r").code == "EventRouteEndpointInvalid"


def test_reset_removes_routes_and_endpoints(routes: Any) -> None:
    put(routes, "r")
    routes.admin("POST", "/reset")
    assert routes("GET", "/eventroutes").json["value"] == []
    assert put(routes, "r").code == "EventRouteEndpointInvalid"


def test_routes_and_endpoints_are_found_again_after_a_restart(wire_to: Any, as_stage: Any, tmp_path: Path) -> None:
    options = Options(data=tmp_path / "adt.sqlite")
    first = wire_to(options)
    as_stage(first).endpoint("file", kind="file", path=str(tmp_path / "events.ndjson"))
    put(first, "r", text="type = 'a'")
    first.server.stop()
    again = wire_to(options)
    assert again("GET", "/eventroutes/r").json == {"id": "r", "endpointName": "file", "filter": "type = 'a'"}
    assert put(again, "s").status == 204


class Policy(SansIOHTTPPolicy[Any, Any]):
    """Plain http needs one of the caller's own: the client's refuses to send a token without TLS."""

    def on_request(self, request: Any) -> None:
        request.http_request.headers["Authorization"] = "Bearer local"


class Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("x", 2**40)


def test_the_official_client_has_its_operations(routes: Any) -> None:
    client = DigitalTwinsClient(routes.server.endpoint, Credential(), authentication_policy=Policy())
    client.upsert_event_route("r", DigitalTwinsEventRoute(endpoint_name="file", filter="true"))
    assert client.get_event_route("r").endpoint_name == "file"
    assert [route.id for route in client.list_event_routes()] == ["r"]
    client.delete_event_route("r")
    with pytest.raises(ResourceNotFoundError):
        client.get_event_route("r")
    with pytest.raises(HttpResponseError, match="EventRouteEndpointInvalid"):
        client.upsert_event_route("r", DigitalTwinsEventRoute(endpoint_name="none", filter="true"))
    client._client.close()  # the public face has no close
