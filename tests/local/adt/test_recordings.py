"""Replay of traffic recorded with the real service: same statuses, codes, messages, shapes, key order and times.

Entity tags, times and ids made by a server are symbols: the same text in one recording means the same value, different
texts different values, and times must lie in the recorded order.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.shared

FOLDER = Path(os.environ.get("REMHART_TEST_DATA", "")) / "adt-recordings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json")) if os.environ.get("REMHART_TEST_DATA") else ["none"]

ETAG = re.compile(r'W/"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
TWIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
JOB_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z")
MODEL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?\+00:00")
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00")
VOLATILE = (ETAG, TWIN_TIME, MODEL_TIME, TRACE)
# Errors of the service that never carry x-ms-error-code; before 2023 none did, and those recordings do not show it.
WITHOUT_CODE_HEADER = ("BadRequest", "JobNotFound", "JobIdAlreadyExists", None)
# Interactions of which the recording does not have the whole: what is left out, and what stands in for it here.
CUT = {
    ("event_routes", 4): "the continuation token of the link to the next page",
    ("models_list_nextLink", 0): "99 of the 100 records, and the continuation token",
    ("query_paging", 0): "the twins of the page, and the inner token",
    ("query_paging", 1): "the token of the page before, and the inner token",
    ("query_projection_and_count", 1): "the text of the query, which counts what matches a condition",
    ("query_projection_and_count", 2): "the text of the query, which counts what matches a condition",
    ("test_create_model_existing", 0): "the two models: one that is stored already, and one that is not",
    ("test_create_models_errors", 2): "the model, but that it has no @id",
    ("test_create_models_errors", 3): "the model, but that the schema of a component of it is missing",
    ("test_query_digitaltwins", 0): "the twins after the first",
}
CUT_MARKS = re.compile(r"…|\(same, |<(existing|new) model>|<model with |<\d+ twins>|<inner token>")


def interface(dtmi: str, name: str, *contents: dict[str, Any]) -> dict[str, Any]:
    return {
        "@id": dtmi,
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;2",
        "displayName": name,
        "contents": list(contents),
    }


def prop(name: str, schema: str) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema}


BUILDING = interface(
    "dtmi:samples:DTTestBuilding;1", "Building", prop("AverageTemperature", "double"), prop("TemperatureUnit", "string")
)
COMPONENT = interface(
    "dtmi:com:samples:DTComponentTestsComponent;1",
    "Component1",
    prop("ComponentProp1", "string"),
    {"@type": "Telemetry", "name": "ComponentTelemetry1", "schema": "integer"},
)
TEMP_MODEL = interface(
    "dtmi:com:samples:DTComponentTestsModel;1",
    "TempModel",
    prop("Prop1", "string"),
    {"@type": "Component", "name": "Component1", "schema": "dtmi:com:samples:DTComponentTestsComponent;1"},
    {"@type": "Telemetry", "name": "Telemetry1", "schema": "integer"},
)
ACCESS = {"properties": [prop("isAccessRestricted", "boolean")]}
FLOOR_MODELS = [
    interface(
        "dtmi:rel:Building;1",
        "Building",
        {"@type": "Relationship", "name": "has", "target": "dtmi:rel:Floor;1", **ACCESS},
    ),
    interface("dtmi:rel:Floor;1", "Floor", {"@type": "Relationship", "name": "contains", "target": "dtmi:rel:Room;1"}),
    interface("dtmi:rel:Room;1", "Room"),
]
SENSOR = interface(
    "dtmi:samples:Sensor;1",
    "Sensor",
    prop("Humidity", "double"),
    prop("Temperature", "double"),
    prop("EmployeeId", "string"),
)
MISSING_SCHEMA = interface(
    "dtmi:com:samples:Missing;1",
    "Missing",
    {"@type": "Component", "name": "c", "schema": "dtmi:com:samples:ComponentModelea28325f;1"},
)

B_TWIN, F_TWIN, R_TWIN = (f"DTRelationshipTests{name}Twin" for name in ("Building", "Floor", "Room"))
COMPONENT_TWIN = {"Prop1": "value", "Component1": {"$metadata": {}, "ComponentProp1": "value1"}}


class Stage:
    """The state a recording begins in, and what its own symbols stand for."""

    def __init__(self, wire: Any, storage: str) -> None:
        self.wire = wire
        self.storage = storage
        self.given: dict[str, Any] = {"<now>": "2023-06-01T00:00:00Z", "<guid>": "6d8f2f1e-5f3f-4d6b-8f5e-2a9f3d0a1b2c"}

    def set_up(self, name: str) -> None:
        wire = self.wire
        if name.startswith(("conditional_update_digital", "conditional_delete", "test_update_digitaltwin")):
            wire.models(BUILDING)
        if name in ("conditional_update_digitaltwin", "conditional_delete"):
            for twin in ("digitalTwin-x", "digitalTwin-y"):
                answer = wire.twin(twin, BUILDING["@id"], AverageTemperature=68)
                self.given.setdefault("<etag:1>", answer.etag)
        if "component" in name or name in ("telemetry", "model_decommission"):
            wire.models(COMPONENT, TEMP_MODEL)
        if name in ("conditional_update_component", "telemetry"):
            self.given["<etag:1>"] = wire.twin("DTComponentTestsTempTwin", TEMP_MODEL["@id"], **COMPONENT_TWIN).etag
        if name == "telemetry":
            wire.models(BUILDING)
            wire.twin("digitalTwin-x", BUILDING["@id"])
        if "relationship" in name or name == "conditional_delete":
            wire.models(*FLOOR_MODELS)
            for twin, model in zip((B_TWIN, F_TWIN, R_TWIN), FLOOR_MODELS, strict=True):
                wire.twin(twin, model["@id"])
        if name in (
            "relationship_errors",
            "relationship_lists",
            "conditional_update_relationship",
            "conditional_delete",
        ):
            answer = wire.relate(B_TWIN, "BuildingHasFloor", "has", F_TWIN, isAccessRestricted=False)
            self.given.setdefault("<etag:1>", answer.etag)
        if name == "relationship_errors":
            wire.relate(F_TWIN, "FloorContainsRoom", "contains", R_TWIN)
        if name in ("test_create_digitaltwin_conditionally_if_missing", "test_create_invalid_digitaltwin"):
            wire.models(BUILDING)
        if name == "test_upsert_simple_digitaltwin":
            wire.models(BUILDING)
            wire.twin("digitalTwin-32dd313c", BUILDING["@id"])
        if name == "sourceTime_patch":
            wire.models(SENSOR)
            wire.twin("t", SENSOR["@id"], Temperature=20, EmployeeId="e")
            self.given |= {"<twin>": "t", "<n>": 21.5}
        if name == "test_create_model_existing":
            wire.models(BUILDING)
            self.given |= {"<existing model>": BUILDING, "<new model>": SENSOR, "<dtmi>": BUILDING["@id"]}
        if name == "test_create_models_errors":
            self.given["<model with a Component whose schema is missing>"] = MISSING_SCHEMA
        if name == "models_list_nextLink":
            wire.models(*(interface(f"dtmi:many:M{n};1", f"M{n}") for n in range(101)))
        if name in ("query_paging", "query_projection_and_count", "test_query_digitaltwins"):
            wire.models(BUILDING)
            for n in range({"query_paging": 5, "test_query_digitaltwins": 2}.get(name, 1)):
                wire.twin(f"q{n}", BUILDING["@id"])
            self.given |= {
                "SELECT COUNT() FROM …": "SELECT COUNT() FROM DIGITALTWINS WHERE $dtId = 'later'",
                "(same, +7 s after the PUT)": "SELECT COUNT() FROM DIGITALTWINS WHERE $dtId = 'later'",
            }
        if name == "event_routes":
            wire.endpoint("events", kind="file", path="events.ndjson")
            self.given |= {"<id>": "route", "<unknown>": "nowhere", "<e>": "events", "<f>": "true"}
        if name == "import_jobs":
            self.given |= {"<in>": f"{self.storage}/in.ndjson", "<out>": f"{self.storage}/out.ndjson"}
        if name == "gateway_429_401":
            self.given["<any>"] = "any"
            headers = {"Retry-After": "5"}
            wire.admin(
                "POST", "/faults", {"method": "GET", "path": "/digitaltwins/", "status": 429, "headers": headers}
            )
            wire.admin("POST", "/faults", {"method": "GET", "path": "/digitaltwins/", "status": 401})

    def between(self, name: str, number: int) -> None:
        """What happened between two recorded requests without being recorded."""
        if name == "query_projection_and_count" and number == 2:
            self.wire.twin("later", BUILDING["@id"])
        if name == "event_routes" and number == 4:
            self.wire("PUT", "/eventroutes/another", {"endpointName": "events", "filter": "false"})
        if name == "import_jobs" and number in (1, 5):
            wanted = "running" if number == 1 else "cancelled"
            end = time.monotonic() + 20
            while self.wire("GET", "/jobs/imports/job1").json["status"] != wanted:
                assert time.monotonic() < end, f"the job is not {wanted}"
                time.sleep(0.01)


class Symbols:
    """Recorded volatile texts and the values they stand for in this replay."""

    def __init__(self, name: str, given: dict[str, Any], base: str) -> None:
        self.values: dict[str, Any] = dict(given)
        self.base = base
        self.hints = {"<etag:": ETAG, "<t:": JOB_TIME if name == "import_jobs" else TWIN_TIME, "<upload:": MODEL_TIME}
        self.times: list[tuple[str, str]] = []

    def request(self, recorded: Any) -> Any:
        match recorded:
            case dict():
                return {key: self.request(value) for key, value in recorded.items()}
            case list():
                return [self.request(item) for item in recorded]
            case str() if recorded in self.values:
                return self.values[recorded]
            case str():
                return recorded
        return recorded

    def text(self, recorded: str) -> str:
        for symbol, value in self.values.items():
            if isinstance(value, str) and symbol in recorded:
                recorded = recorded.replace(symbol, value)
        return recorded

    def match(self, recorded: Any, actual: Any, where: str) -> None:
        match recorded:
            case dict():
                assert isinstance(actual, dict), where
                assert list(actual) == list(recorded), f"keys and their order at {where}"
                for key, value in recorded.items():
                    self.match(value, actual[key], f"{where}.{key}")
            case list() if len(recorded) == 1 and (found := _repeated(recorded[0])):
                assert len(actual) == found, where
            case list() if recorded[-1:] == ["…"]:
                assert len(actual) >= len(recorded), where
            case list():
                assert isinstance(actual, list), where
                assert len(actual) == len(recorded), where
                for number, item in enumerate(recorded):
                    self.match(item, actual[number], f"{where}[{number}]")
            case str():
                self._match_text(recorded, actual, where)
            case _:
                assert type(actual) is type(recorded), where
                assert actual == recorded, where

    def _match_text(self, recorded: str, actual: Any, where: str) -> None:
        if recorded == "<twin document>":
            assert isinstance(actual, dict), where
            assert {"$dtId", "$etag", "$metadata"} <= set(actual), where
            return
        assert isinstance(actual, str), where
        if recorded in self.values:
            assert actual == self.values[recorded], where
            return
        if recorded == "<t:1 + 30 days>":
            apart = datetime.fromisoformat(actual) - datetime.fromisoformat(self.values["<t:1>"])
            assert apart == timedelta(days=30), where
            return
        if recorded.startswith('{"_t":'):  # a query token: its counters depend on the pages before
            keys = re.findall(r'"(_\w+)":', recorded)
            assert list(json.loads(actual)) == keys, where
            assert json.loads(actual)["_q"] == "SELECT * FROM digitaltwins", where
            self.values[recorded] = actual
            return
        pattern = next((pattern for pattern in VOLATILE if pattern.fullmatch(recorded)), None)
        pattern = pattern or next((pattern for hint, pattern in self.hints.items() if recorded.startswith(hint)), None)
        if pattern is None and re.search("<[^<>]*>", recorded):
            self._match_wildcards(recorded, actual, where)
            return
        if pattern is None:
            assert actual == recorded.replace("https://fake.api.wcus.digitaltwins.azure.net", self.base), where
            return
        assert pattern.fullmatch(actual), f"{where}: {actual!r} for {recorded!r}"
        assert actual not in self.values.values(), f"{where}: {actual!r} stands for two different values"
        self.values[recorded] = actual
        if pattern in (TWIN_TIME, MODEL_TIME):
            self.times.append((recorded, actual))

    def _match_wildcards(self, recorded: str, actual: str, where: str) -> None:
        """A text with symbols in it: the same symbol stands for the same text wherever it is met, `<…>` for any."""
        known = self.text(recorded).replace("https://<host>", self.base)
        parts = re.split("(<[^<>]*>)", known)
        pattern = "".join("(.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
        found = re.fullmatch(pattern, actual)
        assert found is not None, f"{where}: {actual!r} for {recorded!r}"
        for symbol, text in zip(parts[1::2], found.groups(), strict=True):
            if symbol != "<…>":
                assert self.values.setdefault(symbol, text) == text, f"{where}: {symbol}"

    def check_order(self) -> None:
        """Times of one kind lie in the recorded order."""
        for kind in (r"<t:.*", r"<upload:.*", r"[^<].*Z", r"[^<].*\+00:00"):
            known = [pair for pair in self.times if re.fullmatch(kind, pair[0])]
            in_recorded_order = sorted(known, key=lambda pair: pair[0])
            assert in_recorded_order == sorted(known, key=lambda pair: _comparable(pair[1]))


def _comparable(time: str) -> str:
    return time.removesuffix("Z").removesuffix("+00:00")


def _repeated(item: Any) -> int | None:
    found = re.fullmatch(r"<(\d+) (?:twins|records)>", item) if isinstance(item, str) else None
    return int(found[1]) if found else None


def check_wire_form(answer: Any, where: str) -> None:
    """What every recorded answer has in common, whatever it says."""
    if not answer.body:
        assert answer.headers["content-length"] == "0", where
        return
    compact = json.dumps(answer.json, ensure_ascii=False, separators=(",", ":")).encode()
    if answer.headers["content-type"] != "application/json":  # the gateway's answers alone have spaces
        assert answer.body == compact, f"{where} is not compact"
    if "transfer-encoding" in answer.headers:
        assert "content-length" not in answer.headers, where
    else:
        assert int(answer.headers["content-length"]) == len(answer.body), where
    error = answer.json.get("error") if isinstance(answer.json, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    assert answer.headers.get("x-ms-error-code") == (None if code in WITHOUT_CODE_HEADER else code), where
    if answer.headers["content-type"].startswith("application/problem+json"):
        trace = answer.json["extensions"]["traceId"].split("-")[1]
        assert answer.headers["traceresponse"].split("-")[1] == trace, where


def test_the_list_of_cut_interactions_is_complete() -> None:
    cut = set()
    for path in FOLDER.glob("*.json"):
        for number, step in enumerate(json.loads(path.read_text(encoding="utf-8"))["interactions"]):
            if CUT_MARKS.search(json.dumps(step, ensure_ascii=False)):
                cut.add((path.stem, number))
    assert cut == set(CUT)


@pytest.fixture
def silent_storage() -> Iterator[str]:
    """A container of storage that takes connections and never answers: a job goes on running."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/devstoreaccount1/jobs"


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_replays(name: str, wire: Any, silent_storage: str) -> None:
    recording = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    stage = Stage(wire, silent_storage)
    stage.set_up(name)
    symbols = Symbols(name, stage.given, wire.server.endpoint)

    for number, step in enumerate(recording["interactions"]):
        stage.between(name, number)
        where = f"{name} #{number} {step['method']} {step['path']}"
        headers = {key: symbols.request(value) for key, value in step["request_headers"].items()}
        body = symbols.request(step["request_body"])
        answer = wire(step["method"], symbols.text(step["path"]), body, query=step["query"], headers=headers)

        assert answer.status == step["status"], f"{where}: {answer.body!r}"
        symbols.match(step["response_body"], answer.json, where)
        recorded = {key.lower(): value for key, value in step["response_headers"].items()}
        for key, value in recorded.items():
            if key in ("query-charge", "retry-after"):  # an amount, whose exact value means nothing
                low, _, high = value.strip("<>").partition("..")
                assert float(low if high else 2) <= float(answer.headers[key]) <= float(high or 13), where
            else:
                symbols.match(value, answer.headers.get(key), f"{where} header {key}")
        for key in ("etag", "content-type", "retry-after"):
            if key not in recorded:
                assert key not in answer.headers, f"{where} has {key}"
        check_wire_form(answer, where)

    symbols.check_order()
