"""Typed twins and relationships to and from the dicts of the unmodified azure-digitaltwins-core client."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient

from remhart_adt import ids
from remhart_adt.dtdl import parse
from remhart_adt.dtdl.codegen import write
from remhart_adt.errors import DtdlError
from remhart_adt.local.adt import LocalAdt
from remhart_adt.ontology import (
    INTERFACES,
    GridComponent,
    GridMeasurementPoint,
    InterfaceModel,
    MLEngine,
    User,
    relationship_from,
    twin_from,
)
from remhart_adt.ontology.grid_component import FedBy, FeedsTo, SwitchState
from remhart_adt.ontology.grid_measurement_point import (
    AlarmEvent,
    AlarmSeverity,
    GridMeasurementPointTelemetry,
    ManagedBy,
    Voltages,
)
from remhart_adt.resources import dtdl_dir


class Policy(SansIOHTTPPolicy[Any, Any]):
    def on_request(self, request: Any) -> None:
        request.http_request.headers["Authorization"] = "Bearer local"


class Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("x", int(time.time()) + 3600)


@pytest.fixture
def client(local_adt: LocalAdt) -> Iterator[DigitalTwinsClient]:
    client = DigitalTwinsClient(local_adt.endpoint, Credential(), authentication_policy=Policy())
    yield client
    client._client.close()  # the public face has no close


@pytest.fixture
def grid(client: DigitalTwinsClient) -> DigitalTwinsClient:
    client.create_models([json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))])
    return client


def upload(client: DigitalTwinsClient, twin: InterfaceModel) -> dict[str, Any]:
    return dict(client.upsert_digital_twin(twin.dt_id, twin.to_twin()))


def test_a_twin_comes_back_as_it_was_sent_and_goes_again(grid):
    point = GridMeasurementPoint(
        dt_id="p1",
        voltage=Voltages(phase_a=231, phase_b=229.5),
        last_reading_at=datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC),
        alarms={},
        ml_engine=MLEngine(engine_version="1.2"),
    )
    answer = upload(grid, point)
    document = grid.get_digital_twin("p1")
    assert document["$metadata"]["voltage"]["lastUpdateTime"]
    assert document["mlEngine"]["$metadata"]["engineVersion"]["lastUpdateTime"]

    for given in (answer, document, next(iter(grid.query_twins("SELECT * FROM DIGITALTWINS")))):
        read = GridMeasurementPoint.from_twin(given)
        assert read.etag == document["$etag"]
        assert read == point.model_copy(update={"etag": read.etag})
        assert type(twin_from(given, INTERFACES)) is GridMeasurementPoint

    assert "$etag" not in read.to_twin()
    read.voltage.phase_c = 230
    read.ml_engine = MLEngine()
    upload(grid, read)
    again = GridMeasurementPoint.from_twin(grid.get_digital_twin("p1"))
    assert again == read.model_copy(update={"etag": again.etag})
    assert again.etag != read.etag


def test_an_unset_component_comes_back_empty_and_alone(grid):
    upload(grid, GridMeasurementPoint(dt_id="p1"))
    assert grid.get_digital_twin("p1")["mlEngine"].keys() == {"$metadata"}
    assert GridMeasurementPoint.from_twin(grid.get_digital_twin("p1")).ml_engine == MLEngine()

    grid.update_component("p1", "mlEngine", [{"op": "add", "path": "/engineVersion", "value": "2"}])
    assert MLEngine.from_component(grid.get_component("p1", "mlEngine")) == MLEngine(engine_version="2")


def test_every_empty_twin_is_accepted(grid):
    for cls in INTERFACES:
        upload(grid, cls(dt_id=cls.__name__))
    read = {twin["$dtId"]: twin_from(twin, INTERFACES) for twin in grid.query_twins("SELECT * FROM DIGITALTWINS")}
    assert {name: type(twin).__name__ for name, twin in read.items()} == {
        cls.__name__: cls.__name__ for cls in INTERFACES
    }


def test_a_relationship_comes_back_as_it_was_sent_and_goes_again(grid):
    for name in "ab":
        upload(grid, GridComponent(dt_id=name, switch_state=SwitchState.CLOSED))
    edge = FeedsTo(
        source_id="a",
        target_id="b",
        relationship_id="a-b",
        active_power=1.5,
        energized=True,
        updated_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    grid.upsert_relationship("a", "a-b", edge.to_relationship())
    back = FedBy(source_id="b", target_id="a", relationship_id="b-a")
    grid.upsert_relationship("b", "b-a", back.to_relationship())

    read = FeedsTo.from_relationship(grid.get_relationship("a", "a-b"))
    assert read == edge.model_copy(update={"etag": read.etag})
    assert read.etag
    for twin, kind in (("a", FeedsTo), ("b", FedBy)):
        [document] = grid.list_relationships(twin)
        assert type(relationship_from(document, GridComponent.RELATIONSHIPS)) is kind

    assert "$etag" not in read.to_relationship()
    read.loading = 0.75
    grid.upsert_relationship("a", "a-b", read.to_relationship())
    assert FeedsTo.from_relationship(grid.get_relationship("a", "a-b")).loading == 0.75
    with pytest.raises(DtdlError, match="feedsTo, fedBy, monitoredBy"):
        relationship_from({"$relationshipName": "managedBy", "$targetId": "u"}, GridComponent.RELATIONSHIPS)
    assert ManagedBy not in GridComponent.RELATIONSHIPS


def test_a_telemetry_message_is_accepted(grid):
    upload(grid, GridMeasurementPoint(dt_id="p1"))
    event = AlarmEvent(alarm_name="voltageSag", severity=AlarmSeverity.MAJOR)
    grid.publish_telemetry("p1", GridMeasurementPointTelemetry(alarm_raised=event).to_json())


DEVICES = [
    {
        "@id": "dtmi:sdk:Device;1",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
        "contents": [
            {"@type": "Property", "name": "serial_no", "schema": "string"},
            {"@type": "Property", "name": "where", "schema": "point"},
            {
                "@type": "Relationship",
                "name": "near",
                "properties": [{"@type": "Property", "name": "Metres", "schema": "float"}],
            },
        ],
    },
    {
        "@id": "dtmi:sdk:Pump;1",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
        "extends": "dtmi:sdk:Device;1",
        "contents": [{"@type": "Component", "name": "Motor", "schema": "dtmi:sdk:Device;1"}],
    },
]


@pytest.fixture
def devices(tmp_path, monkeypatch) -> Iterator[ModuleType]:
    write(parse(*DEVICES), tmp_path / "sdk_devices")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("sdk_devices")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sdk_devices"]:
        del sys.modules[name]


def test_a_childs_twin_is_read_by_its_own_class_and_not_by_its_parents(client, devices):
    client.create_models(DEVICES)
    where = importlib.import_module("remhart_adt.ontology.base").Point(coordinates=[5.3, 51.4])
    pump = devices.Pump(dt_id="p", serial_no="1", where=where, motor=devices.Device(serial_no="2"))
    upload(client, pump)
    upload(client, devices.Device(dt_id="d"))

    document = client.get_digital_twin("p")
    assert document["where"] == {"type": "Point", "coordinates": [5.3, 51.4]}
    read = devices.twin_from(document, devices.INTERFACES)
    assert isinstance(read, devices.Device)
    assert read == pump.model_copy(update={"etag": read.etag})
    with pytest.raises(DtdlError, match=r"of dtmi:sdk:Pump;1, not of dtmi:sdk:Device;1.*twin_from"):
        devices.Device.from_twin(document)
    with pytest.raises(DtdlError, match="none of the 1 classes is for model dtmi:sdk:Pump;1"):
        twin_from(document, [devices.Device])

    near = devices.Pump.RELATIONSHIPS[0](source_id="p", target_id="d", relationship_id="n", metres=2.5)
    client.upsert_relationship("p", "n", near.to_relationship())
    found = relationship_from(client.get_relationship("p", "n"), devices.Pump.RELATIONSHIPS)
    assert found == near.model_copy(update={"etag": found.etag})


def test_a_document_without_a_model_is_refused():
    for document in (
        {},
        {"$metadata": None},
        {"$metadata": {}},
        {"$dtId": "x", "$metadata": {"$model": ids.DTMI_USER}},
    ):
        with pytest.raises(DtdlError, match=r"for model (None|dtmi:remhart:smartgrid:User;2)"):
            twin_from(document, [c for c in INTERFACES if c is not User])
