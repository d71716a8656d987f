"""What happens becomes the CloudEvents that the service documents: which, with what attributes and payload."""

from __future__ import annotations

import re
from typing import Any

import pytest

ROOM, DEVICE = "dtmi:test:Room;1", "dtmi:test:Device;1"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TWIN = "Microsoft.DigitalTwins.Twin."
RELATIONSHIP = "Microsoft.DigitalTwins.Relationship."


def patch(stage: Any, path: str, *ops: dict[str, Any], **headers: str) -> None:
    answer = stage.wire("PATCH", path, list(ops), headers=headers)
    assert answer.status == 204, answer.body


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("Microsoft.DigitalTwins.") for event in events]


def test_a_created_twin_is_sent_whole(stage: Any, collected: Any) -> None:
    answer = stage.wire.twin("r", ROOM, name="x", temperature=21)
    (event,) = collected.events(1)
    assert list(event) == [
        "specversion",
        "type",
        "source",
        "id",
        "time",
        "subject",
        "datacontenttype",
        "traceparent",
        "data",
    ]
    assert event["data"] == answer.json
    assert re.fullmatch(GUID, event.pop("id"))
    assert re.fullmatch(TIME, event.pop("time"))
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", event.pop("traceparent"))
    event.pop("data")
    assert event == {
        "specversion": "1.0",
        "type": f"{TWIN}Create",
        "source": stage.wire.server.endpoint.removeprefix("http://"),
        "subject": "r",
        "datacontenttype": "application/json",
    }


def test_an_update_carries_the_model_and_the_operations(stage: Any, collected: Any) -> None:
    stage.wire.twin("r", ROOM, name="x", temperature=21)
    ops = (
        {"op": "replace", "path": "/temperature", "value": 22.5},
        {"op": "add", "path": "/address", "value": {"street": "s"}},
        {"op": "remove", "path": "/name"},
        {"op": "add", "path": "/$metadata/temperature/sourceTime", "value": "2024-01-01T00:00:00Z"},
    )
    patch(stage, "/digitaltwins/r", *ops, traceparent=TRACE)
    event = collected.events(2)[1]
    assert (event["type"], event["subject"], event["traceparent"]) == (f"{TWIN}Update", "r", TRACE)
    assert event["data"] == {"modelId": ROOM, "patch": list(ops)}
    assert [list(line) for line in event["data"]["patch"]][0:3:2] == [["value", "path", "op"], ["path", "op"]]


def test_a_component_patch_is_an_update_of_its_twin(stage: Any, collected: Any) -> None:
    stage.wire.twin("d", DEVICE, engine={"$metadata": {}})
    patch(stage, "/digitaltwins/d/components/engine", {"op": "add", "path": "/speed", "value": 3})
    event = collected.events(2)[1]
    line = {"value": 3, "path": "/engine/speed", "op": "add"}
    assert (event["subject"], event["data"]) == ("d", {"modelId": DEVICE, "patch": [line]})


def test_a_change_of_the_model_is_an_update_that_names_the_new_one(
    stage: Any, collected: Any, make_interface: Any
) -> None:
    stage.wire.models(make_interface("Bare"))
    stage.wire.twin("r", ROOM)
    op = {"value": "dtmi:test:Bare;1", "path": "/$metadata/$model", "op": "replace"}
    patch(stage, "/digitaltwins/r", op)
    assert collected.events(2)[1]["data"] == {"modelId": "dtmi:test:Bare;1", "patch": [op]}


def test_a_patch_without_operations_and_a_put_without_a_difference_send_nothing(stage: Any, collected: Any) -> None:
    stage.wire.twin("r", ROOM, temperature=1)
    patch(stage, "/digitaltwins/r")
    stage.wire.twin("r", ROOM, temperature=1)
    stage.wire.twin("end", ROOM)
    assert [event["subject"] for event in collected.events(2)] == ["r", "end"]


def test_a_put_over_a_twin_is_an_update_of_what_differs(stage: Any, collected: Any) -> None:
    times = {"$metadata": {"$model": ROOM, "temperature": {"sourceTime": "2024-01-01T00:00:00Z"}}}
    stage.wire.twin("r", ROOM, name="x", temperature=21, open=True, tags={"a/b": 1.0})
    body = {"temperature": 21, "floor": 2, "open": False, "tags": {"a/b": 2.0}, **times}
    assert stage.wire("PUT", "/digitaltwins/r", body).status == 200
    event = collected.events(2)[1]
    assert event["type"] == f"{TWIN}Update"
    assert event["data"]["modelId"] == ROOM
    assert sorted(event["data"]["patch"], key=lambda line: str(line["path"])) == [
        {"value": "2024-01-01T00:00:00Z", "path": "/$metadata/temperature/sourceTime", "op": "add"},
        {"value": 2, "path": "/floor", "op": "add"},
        {"path": "/name", "op": "remove"},
        {"value": False, "path": "/open", "op": "replace"},
        {"value": {"a/b": 2.0}, "path": "/tags", "op": "replace"},
    ]


def test_a_put_over_a_twin_names_the_properties_of_its_components(stage: Any, collected: Any) -> None:
    stage.wire.twin("d", DEVICE, engine={"$metadata": {}, "speed": 1, "label": "x"})
    stage.wire.twin("d", DEVICE, engine={"$metadata": {}, "speed": 2, "label": "x"})
    assert collected.events(2)[1]["data"]["patch"] == [{"value": 2, "path": "/engine/speed", "op": "replace"}]


def test_a_deleted_twin_is_sent_as_it_was_last(stage: Any, collected: Any) -> None:
    twin = stage.wire.twin("r", ROOM, name="x").json
    assert stage.wire("DELETE", "/digitaltwins/r").status == 204
    event = collected.events(2)[1]
    assert (event["type"], event["subject"], event["data"]) == (f"{TWIN}Delete", "r", twin)


def test_a_relationship_lives_and_dies_in_events(stage: Any, collected: Any) -> None:
    stage.wire.twin("r", ROOM)
    for name in ("d", "e"):
        stage.wire.twin(name, DEVICE, engine={"$metadata": {}})
    created = stage.wire.relate("r", "c", "contains", "d", since=1).json
    patch(stage, "/digitaltwins/r/relationships/c", {"op": "replace", "path": "/since", "value": 2})
    last = stage.wire.relate("r", "c", "contains", "e", since=3).json
    stage.wire.relate("r", "c", "contains", "e", since=3)
    assert stage.wire("DELETE", "/digitaltwins/r/relationships/c").status == 204

    events = collected.events(7)[3:]
    assert kinds(events) == [f"Relationship.{what}" for what in ("Create", "Update", "Update", "Delete")]
    assert {event["subject"] for event in events} == {"r/relationships/c"}
    assert events[0]["data"] == created
    assert events[1]["data"] == {"modelId": ROOM, "patch": [{"value": 2, "path": "/since", "op": "replace"}]}
    assert events[2]["data"]["patch"] == [
        {"value": "e", "path": "/$targetId", "op": "replace"},
        {"value": 3, "path": "/since", "op": "replace"},
    ]
    assert events[3]["data"]["$targetId"] == last["$targetId"]


def test_telemetry_passes_as_it_came_without_a_time(stage: Any, collected: Any) -> None:
    stage.wire.twin("r", ROOM)
    headers = {"Message-Id": "m-1", "Telemetry-Source-Time": "2024-01-01T00:00:00Z", "traceparent": TRACE}
    raw = b'{\r\n "any": [1.50,\n "\\n"]\n}'
    assert stage.wire("POST", "/digitaltwins/r/telemetry", raw=raw, headers=headers).status == 204
    event = collected.events(2)[1]
    assert event == {
        "specversion": "1.0",
        "type": "microsoft.iot.telemetry",
        "source": stage.wire.server.endpoint.removeprefix("http://") + "/digitaltwins/r",
        "id": "m-1",
        "dataschema": ROOM,
        "datacontenttype": "application/json",
        "traceparent": TRACE,
        "data": {"any": [1.5, "\n"]},
    }
    assert b"1.50," in collected.path.read_bytes()


def test_telemetry_of_a_component_names_it_and_its_model(stage: Any, collected: Any) -> None:
    stage.wire.twin("d", DEVICE, engine={"$metadata": {}})
    assert stage.wire("POST", "/digitaltwins/d/components/engine/telemetry", {"a": 1}).status == 204
    event = collected.events(2)[1]
    assert (event["subject"], event["dataschema"]) == ("engine", "dtmi:test:Engine;1")
    assert event["source"].endswith("/digitaltwins/d")
    assert re.fullmatch(GUID, event["id"])


@pytest.mark.parametrize("request_of", ["patch", "put", "telemetry", "delete"])
def test_what_is_refused_sends_nothing(stage: Any, collected: Any, request_of: str) -> None:
    stage.wire.twin("r", ROOM)
    method, path, body, headers = {
        "patch": ("PATCH", "/digitaltwins/r", [{"op": "replace", "path": "/name", "value": "x"}], {}),
        "put": ("PUT", "/digitaltwins/s", {"$metadata": {"$model": ROOM}, "temperature": "hot"}, {}),
        "telemetry": ("POST", "/digitaltwins/none/telemetry", {"a": 1}, {}),
        "delete": ("DELETE", "/digitaltwins/r", None, {"If-Match": 'W/"other"'}),
    }[request_of]
    assert stage.wire(method, path, body, headers=headers).status >= 400
    stage.wire.twin("end", ROOM)
    assert [event["subject"] for event in collected.events(2)] == ["r", "end"]


def test_only_events_that_pass_a_filter_are_sent_and_each_once_to_an_endpoint(
    stage: Any, collected: Any, tmp_path: Any
) -> None:
    stage.route("file", "$body.$metadata.$model = 'dtmi:test:Room;1'", name="route")
    stage.route("file", "subject = 'both'", name="second")
    stage.wire.twin("d", DEVICE, engine={"$metadata": {}})
    stage.wire.twin("both", ROOM)
    stage.wire.twin("r", ROOM)
    assert [event["subject"] for event in collected.events(2)] == ["both", "r"]
    stage.until(lambda: stage.health()["delivered"] == 2)  # counted after the line is there


def test_without_a_route_nothing_is_kept_for_later(stage: Any, collected: Any) -> None:
    stage.wire("DELETE", "/eventroutes/route")
    stage.wire.twin("before", ROOM)
    assert stage.health()["pending"] == 0
    stage.route("file")
    stage.wire.twin("after", ROOM)
    assert [event["subject"] for event in collected.events(1)] == ["after"]
