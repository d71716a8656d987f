"""The unmodified JavaScript client, @azure/digital-twins-core 1.1.0, for every operation it has (it has none for jobs).

`tools/node/adt-sdk.mjs` makes the calls in a fixed order and reports what each gave; here is what they have to give.
Over plain http the client's token policy, which works on https only, is taken out; over https nothing is changed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.adt import EndpointOption, LocalAdt, Options, Tls

pytestmark = pytest.mark.node
PROGRAM = Path(__file__).resolve().parents[3] / "tools" / "node" / "adt-sdk.mjs"
ETAG = re.compile(r'W/"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
FLOOR, METER = "dtmi:js:Floor;1", "dtmi:js:Meter;1"
TWIN = "a b/ü"

OPERATIONS = {
    "createModels",
    "decomissionModel",
    "deleteDigitalTwin",
    "deleteEventRoute",
    "deleteModel",
    "deleteRelationship",
    "getComponent",
    "getDigitalTwin",
    "getEventRoute",
    "getModel",
    "getRelationship",
    "listEventRoutes",
    "listIncomingRelationships",
    "listModels",
    "listRelationships",
    "publishComponentTelemetry",
    "publishTelemetry",
    "queryTwins",
    "updateComponent",
    "updateDigitalTwin",
    "updateRelationship",
    "upsertDigitalTwin",
    "upsertEventRoute",
    "upsertRelationship",
}

# Every call that has to fail: status, code, and how the message begins.
REFUSED = {
    "create no models": (400, "InvalidArgument", "Operation failed as models provided was empty"),
    "create models again": (409, "ModelIdAlreadyExists", f"Some of the model ids already exist: {FLOOR}."),
    "create a model without id": (400, "DTDLParserError", "None of the models in this request could be created due to"),
    "create a model with a bad reference": (400, "DTDLParserError", "None of the models in this request could be"),
    "get no model": (404, "ModelNotFound", "There is no Model(s) available that matches the provided id(s) dtmi:js:N"),
    "get a malformed model id": (400, "InvalidArgument", "The format of the Model ID thisIsNotAValidModelId provided"),
    "delete a model in use": (409, "ModelReferencesNotDeleted", f"This model is currently being referenced by {FLOOR}"),
    "upsert twin if missing": (412, "PreconditionFailed", "If-None-Match: * header was specified but a twin with the"),
    "upsert twin, bad condition": (400, "InvalidArgument", "Invalid If-None-Match header value. Allowed value(s): If-"),
    "upsert twin of no model": (400, "ValidationFailed", "Invalid twin specified"),
    "upsert twin without component": (400, "ValidationFailed", "Invalid twin specified"),
    "get no twin": (404, "DigitalTwinNotFound", "There is no digital twin instance that exists with the ID none."),
    "update twin, stale etag": (412, "PreconditionFailed", 'The provided etag W/"'),
    "update twin, bad condition": (400, "InvalidArgument", "Invalid If-Match header value. Allowed value(s): If-Match"),
    "update twin, bad operation": (400, "JsonPatchInvalid", "Unsupported operation type move."),
    "update no twin": (404, "DigitalTwinNotFound", "There is no digital twin instance that exists with the ID none."),
    "get no component": (404, "ComponentNotFound", f"{TWIN} does not have component other"),
    "update no component": (400, "JsonPatchInvalid", "/other/reading was not found."),
    "update component, stale etag": (412, "PreconditionFailed", 'The provided etag W/"'),
    "update component, bad condition": (400, "InvalidArgument", "Invalid If-Match header value."),
    "upsert relationship if missing": (
        412,
        "PreconditionFailed",
        "If-None-Match: * header was specified but a relatio",
    ),
    "upsert relationship of no twin": (404, "DigitalTwinNotFound", "There is no digital twin instance that exists"),
    "upsert relationship to no twin": (404, "TargetDigitalTwinNotFound", "The target digital twin is invalid or does"),
    "upsert relationship of no such name": (400, "InvalidRelationship", "Twin relationship does not align with the mo"),
    "get no relationship": (404, "RelationshipNotFound", f"Relationship none not found on twin {TWIN}."),
    "update relationship, nothing to remove": (400, "JsonPatchInvalid", "The target location specified by path segmen"),
    "update relationship, no operation": (400, "JsonPatchInvalid", "Parameter op must not be empty."),
    "update relationship, stale etag": (412, "PreconditionFailed", 'The provided etag W/"'),
    "delete relationship, bad condition": (400, "InvalidArgument", "Invalid If-Match header value."),
    "delete relationship, stale etag": (412, "PreconditionFailed", 'The provided etag W/"'),
    "delete a twin with relationships": (400, "RelationshipsNotDeleted", f"Twin {TWIN} has active relationships."),
    "delete no relationship": (404, "RelationshipNotFound", f"Relationship r-0 not found on twin {TWIN}."),
    "publish telemetry of no twin": (404, "DigitalTwinNotFound", "There is no digital twin instance that exists with"),
    "publish telemetry of no component": (404, "ComponentNotFound", "t0 does not have component other"),
    "query, bad text": (400, "SqlQueryError", "SQL query parse failed"),
    "upsert a route to no endpoint": (400, "EventRouteEndpointInvalid", "The endpoint provided does not exist or is"),
    "upsert a route with a bad filter": (
        400,
        "EventRouteFilterInvalid",
        "The provided filter is invalid. Parsing error, Line=1, Position=6, Message=Unexpected input 'is'.",
    ),
    "get no route": (404, "EventRouteNotFound", "There is no route available that matches the provided input."),
    "delete no route": (404, "EventRouteNotFound", "There is no route available that matches the provided input."),
    "delete twin, bad condition": (400, "InvalidArgument", "Invalid If-Match header value."),
    "delete twin, stale etag": (412, "PreconditionFailed", 'The provided etag W/"'),
    "delete no twin": (404, "DigitalTwinNotFound", "There is no digital twin instance that exists with the ID t0."),
    "upsert twin of a decommissioned model": (400, "ModelDecommissioned", f"The model {FLOOR} is decommissioned."),
    "decommission no model": (404, "ModelNotFound", "There is no Model(s) available that matches the provided id(s)"),
    "delete model again": (404, "ModelNotFound", "There is no Model(s) available that matches the provided id(s)"),
}

# Every call whose result can be written down.
GIVEN: dict[str, Any] = {
    "create models": [FLOOR, METER],
    "list models": [FLOOR, METER],
    "list models by page": [1, 1],
    "list dependencies": [METER],
    "list relationships": ["r-0", "r-1", "r-10", "r-11", *(f"r-{n}" for n in range(2, 10))],
    "list relationships by page": [10, 2],
    "list incoming relationships": ["back-1", "back-10", "back-11", *(f"back-{n}" for n in range(2, 10))],
    "list incoming relationships by page": [10, 1],
    "query": [{"$dtId": TWIN}],
    "query by page": [5, 5, 3],
    "query from a token": [5, 3],
    "list routes": ["route", "a"],
    "list routes by page": [1, 1],
    "list no routes": [],
}

# Every call that is answered without a body; those of a twin, component or relationship give a new entity tag.
DONE = {
    "update twin": True,
    "update twin if it matches": True,
    "update component": True,
    "update component if it matches": True,
    "update relationship if it matches": True,
    "update relationship": True,
    "delete relationship": False,
    "delete relationship if it matches": False,
    "publish telemetry": False,
    "publish a text": False,
    "publish component telemetry": False,
    "upsert route": False,
    "upsert another route": False,
    "delete route": False,
    "delete another route": False,
    "delete twin if it matches": False,
    "decommission model": False,
    "decommission model again": False,
    "delete model": False,
}


def run(endpoint: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The program's report on a server."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the JavaScript client cannot run")
    done = subprocess.run(
        [node, str(PROGRAM), endpoint, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": str(Path(node).parent), **environment},
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module", params=["http", "https"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the calls gave over plain http, and over https with nothing but the server's authority to trust; with the
    journal's rows of telemetry and the events of that time."""
    folder = tmp_path_factory.mktemp("js")
    file = folder / "events.ndjson"
    tls = Tls(folder / "tls") if request.param == "https" else None
    options = Options(endpoints=(EndpointOption("events", {"kind": "file", "path": str(file)}),), tls=tls)
    with LocalAdt(options) as server:
        trusted = {} if server.ca_file is None else {"NODE_EXTRA_CA_CERTS": str(server.ca_file)}
        found = run(server.endpoint, "events", **trusted)
        limit = time.monotonic() + 20
        while server.health()["events"]["local"]["pending"]:
            assert time.monotonic() < limit
            time.sleep(0.01)
        found["journal"] = server.journal(path="*/telemetry")
    found["events"] = [json.loads(line) for line in file.read_bytes().splitlines()]
    return found


def value(report: dict[str, Any], step: str) -> Any:
    found = report["steps"][step]
    assert "error" not in found, f"{step}: {found}"
    return found["value"]


def test_every_operation_of_the_client_was_called(report: dict[str, Any]) -> None:
    assert set(report["operations"]) == OPERATIONS
    assert set(report["calls"]) == OPERATIONS


@pytest.mark.parametrize("step", REFUSED)
def test_a_refusal_reaches_the_caller_with_status_code_and_message(report: dict[str, Any], step: str) -> None:
    error = report["steps"][step].get("error")
    assert error is not None, report["steps"][step]
    status, code, begin = REFUSED[step]
    assert (error["status"], error["code"]) == (status, code)
    assert error["message"].startswith(begin)


def test_the_details_of_an_invalid_twin_reach_the_caller(report: dict[str, Any]) -> None:
    details = report["steps"]["upsert twin of no model"]["error"]["details"]
    message = "dtmi:js:None;1 or one of its dependencies does not exist."
    assert details == [{"code": "ValidationFailed", "message": message}]


@pytest.mark.parametrize("step", GIVEN)
def test_lists_pages_and_rows_are_as_written_down(report: dict[str, Any], step: str) -> None:
    assert value(report, step) == GIVEN[step]


@pytest.mark.parametrize("step", DONE)
def test_a_change_is_answered_without_a_body(report: dict[str, Any], step: str) -> None:
    given = value(report, step)
    assert given["status"] == 204
    if DONE[step]:
        assert ETAG.fullmatch(given["etag"])
    else:
        assert "etag" not in given


def test_models_come_with_names_and_on_request_their_definition(report: dict[str, Any]) -> None:
    model = value(report, "get model")
    assert (model["id"], model["displayName"], model["description"]) == (FLOOR, {"en": "Floor"}, {})
    assert model["decommissioned"] is False
    assert "model" not in model
    assert value(report, "get model with definition")["contents"][0] == {
        "@type": "Property",
        "name": "level",
        "schema": "integer",
    }
    assert value(report, "model after that")["decommissioned"] is True


def test_a_twin_is_read_as_written_with_its_entity_tag(report: dict[str, Any]) -> None:
    written = value(report, "upsert twin")
    assert (written["status"], written["$dtId"], written["level"], written["unit"]) == (200, TWIN, 1, "m")
    assert written["etag"] == written["$etag"]
    read = value(report, "get twin")
    shown = ("$dtId", "$etag", "level", "unit", "meter", "$metadata", "etag")
    assert {name: read[name] for name in shown} == {name: written[name] for name in shown}
    later = value(report, "twin after updates")
    assert later["level"] == 43
    assert later["etag"] == value(report, "update twin if it matches")["etag"]


def test_a_component_has_its_properties_and_the_twins_entity_tag(report: dict[str, Any]) -> None:
    component = value(report, "get component")
    assert component["reading"] == 1.5
    assert component["etag"] == value(report, "update component")["etag"]
    assert "$lastUpdateTime" in component["$metadata"]


def test_a_relationship_is_read_as_written(report: dict[str, Any]) -> None:
    written, read = value(report, "upsert relationship"), value(report, "get relationship")
    shown = ("$relationshipId", "$etag", "$sourceId", "$relationshipName", "$targetId", "height")
    assert [read[name] for name in shown] == ["r-0", read["etag"], TWIN, "above", "t0", 2]
    assert {name: read[name] for name in shown} == {name: written[name] for name in shown}


def test_an_event_route_is_read_as_written(report: dict[str, Any]) -> None:
    route = value(report, "get route")
    assert {name: route[name] for name in ("id", "endpointName", "filter")} == {
        "id": "a",
        "endpointName": "events",
        "filter": "type = 'x'",
    }


def test_telemetry_has_the_callers_id_and_the_clients_time(report: dict[str, Any]) -> None:
    sent = [(row.path, row.headers["message-id"], row.body) for row in report["journal"] if row.status == 204]
    assert sent[0] == ("/digitaltwins/t0/telemetry", "message-1", {"noise": 1})
    assert sent[1][2] == "noise"
    assert len(sent[1][1]) == 36
    assert sent[2] == (
        "/digitaltwins/t0/components/meter/telemetry",
        "message-2",
        "payload",
    )  # the client has changed the two
    assert all("T" in row.headers["telemetry-source-time"] for row in report["journal"])
    [event] = report["events"]  # of what happened while there was a route
    assert (event["id"], event["type"], event["data"]) == ("message-4", "microsoft.iot.telemetry", {"noise": 2})


def test_every_step_of_the_program_is_looked_at(report: dict[str, Any]) -> None:
    seen = {
        "get model",
        "get model with definition",
        "model after that",
        "upsert twin",
        "get twin",
        "twin after updates",
        "get component",
        "upsert relationship",
        "get relationship",
        "upsert route",
        "get route",
        "list routes by page",
        "delete route",
    }
    assert set(report["steps"]) == seen | set(REFUSED) | set(GIVEN) | set(DONE)
