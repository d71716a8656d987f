"""Typed twins: from JSON and back, against the models, and strict about what they take."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from remhart_adt import ids
from remhart_adt.dtdl import ModelSet, Schema, check_relationship, check_twin, parse
from remhart_adt.errors import DtdlError
from remhart_adt.ontology import GridComponent, GridMeasurementPoint, InterfaceModel, MLEngine, User
from remhart_adt.ontology.grid_component import FeedsTo, SwitchState
from remhart_adt.ontology.grid_measurement_point import Alarm, AlarmSeverity, ManagedBy, Voltages
from remhart_adt.resources import dtdl_dir

CLASSES: dict[str, type[InterfaceModel]] = {
    ids.DTMI_POINT: GridMeasurementPoint,
    ids.DTMI_ENGINE: MLEngine,
    ids.DTMI_COMPONENT: GridComponent,
    ids.DTMI_USER: User,
}
SAMPLES = {
    "boolean": True,
    "date": "2024-02-29",
    "dateTime": "2024-01-02T03:04:05.100000Z",
    "double": 1.25,
    "integer": 3,
    "long": 2**40,
    "string": "text",
}


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return parse(dtdl_dir())


def sample(schema: Schema) -> Any:
    """A value that has everything the schema allows."""
    if schema.kind == "Enum":
        return schema.values[-1].value
    if schema.kind == "Object":
        return {name: sample(field.schema) for name, field in schema.fields.items()}
    if schema.kind == "Map":
        assert schema.value is not None
        return {"one": sample(schema.value.schema), "two": sample(schema.value.schema)}
    return SAMPLES[schema.kind]


def full_twin(models: ModelSet, dtmi: str) -> dict[str, Any]:
    body: dict[str, Any] = {"$dtId": "x"}
    for name, content in models[dtmi].contents.items():
        if content.kind == "Property":
            body[name] = sample(content.schema)
        elif content.kind == "Component":
            inner = full_twin(models, content.component)
            body[name] = {**{k: v for k, v in inner.items() if not k.startswith("$")}, "$metadata": {}}
    return {**body, "$metadata": {"$model": dtmi}}


@pytest.mark.parametrize("dtmi", CLASSES)
def test_a_twin_with_everything_survives_the_way_to_the_class_and_back(models, dtmi):
    document = full_twin(models, dtmi)
    assert check_twin(models, document) == []

    twin = CLASSES[dtmi].from_twin(document)

    assert twin.to_twin() == document
    assert CLASSES[dtmi].from_twin(twin.to_twin()) == twin


@pytest.mark.parametrize("dtmi", CLASSES)
def test_an_empty_twin_is_sound_and_has_its_components(models, dtmi):
    document = CLASSES[dtmi]().to_twin()
    assert check_twin(models, document) == []
    assert ("mlEngine" in document) == (dtmi == ids.DTMI_POINT)


def test_building_a_twin_in_python(models):
    raised = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    point = GridMeasurementPoint(
        dt_id="p1",
        voltage=Voltages(phase_a=231, phase_b=229.5),
        alarms={"voltageSag": Alarm(severity=AlarmSeverity.MAJOR, raised_at=raised, phases="A")},
    )
    document = point.to_twin()

    assert check_twin(models, document) == []
    assert document["voltage"] == {"phaseA": 231.0, "phaseB": 229.5}
    assert document["alarms"]["voltageSag"]["raisedAt"] == "2024-05-01T10:00:00.250000Z"
    assert document["$dtId"] == "p1"
    assert "$etag" not in document


def test_a_twin_as_the_service_gives_it():
    component = GridComponent.from_twin(
        {
            "$dtId": "cb1",
            "$etag": 'W/"1"',
            "switchState": "open",
            "installationDate": "2020-01-31",
            "lastUpdatedAt": "2024-01-01T00:00:00.1234567Z",
            "$metadata": {
                "$model": ids.DTMI_COMPONENT,
                "switchState": {"lastUpdateTime": "2024-01-01T00:00:00.0000000Z"},
            },
        }
    )
    assert component.switch_state is SwitchState.OPEN
    assert component.installation_date == date(2020, 1, 31)
    assert component.last_updated_at == datetime(2024, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert component.etag == 'W/"1"'


@pytest.mark.parametrize(
    "members",
    [
        {"energized": "true"},
        {"energized": 1},
        {"ratedCapacity": "100"},
        {"ratedCapacity": float("nan")},
        {"ratedCapacity": True},
        {"activeAlarmCount": 1.5},
        {"activeAlarmCount": 2**31},
        {"switchState": "ajar"},
        {"lastUpdatedAt": "2024-01-01T00:00:00"},
        {"colour": "red"},
        {"electrical": {"r9": 1}},
        {"electrical": {"no_load_loss": 1.0}},
    ],
)
def test_what_the_model_refuses_the_class_refuses(models, members):
    document = {"$metadata": {"$model": ids.DTMI_COMPONENT}, **members}
    assert check_twin(models, document) != []
    with pytest.raises(DtdlError, match=next(iter(members))):
        GridComponent.from_twin(document)


def test_a_twin_of_another_model_is_refused():
    with pytest.raises(DtdlError, match="User;2"):
        GridComponent.from_twin({"$dtId": "u", "$metadata": {"$model": ids.DTMI_USER}})
    with pytest.raises(DtdlError, match="None"):
        GridComponent.from_twin({})


def test_relationships_are_typed_too(models):
    edge = FeedsTo(source_id="a", target_id="b", relationship_id="a-b", active_power=1.5, energized=True)
    document = edge.to_relationship()

    assert check_relationship(models, ids.DTMI_COMPONENT, document, FeedsTo.TARGET) == []
    assert FeedsTo.from_relationship(document) == edge
    assert ManagedBy.TARGET == ids.DTMI_USER
    with pytest.raises(DtdlError, match="feedsTo"):
        ManagedBy.from_relationship(document)
