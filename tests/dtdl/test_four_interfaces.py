"""The project's own four interfaces."""

from __future__ import annotations

import json

import pytest

from remhart_adt import ids
from remhart_adt.dtdl import ModelSet, Schema, parse
from remhart_adt.dtdl.tables.quantities import quantities
from remhart_adt.limits import ADT_MODEL_BYTES
from remhart_adt.resources import dtdl_dir

FILES = {
    "smart-grid-measurement-point.json": ids.DTMI_POINT,
    "ml-engine.json": ids.DTMI_ENGINE,
    "grid-component.json": ids.DTMI_COMPONENT,
    "user.json": ids.DTMI_USER,
}


@pytest.fixture(scope="module")
def models() -> ModelSet:
    return parse(dtdl_dir(), profile="adt")


def test_each_file_holds_its_interface_and_no_warning_is_left(models):
    found = {file.name: json.loads(file.read_text())["@id"] for file in dtdl_dir().glob("*.json")}
    assert found == FILES
    assert set(models) == set(FILES.values())
    assert models.report.problems == ()


def test_the_measurement_point_goes_up_after_its_engine_in_one_call(models):
    order = models.order()
    assert order.index(ids.DTMI_ENGINE) < order.index(ids.DTMI_POINT)
    assert [len(batch) for batch in models.batches()] == [4]
    assert models.dependencies(ids.DTMI_POINT) == (ids.DTMI_ENGINE,)


def test_every_model_slot_has_its_output_object_and_its_headline(models):
    engine, point = models[ids.DTMI_ENGINE], models[ids.DTMI_POINT]
    headlines = point.contents["mlPredictions"].schema
    for model in ids.MODELS:
        outputs = engine.contents[model.module].schema.fields[model.published].schema
        assert {"modelVersion", "status", "reason", "scoredAt"} < set(outputs.fields)
        assert [v.value for v in outputs.fields["status"].schema.values] == ["ok", "abstained", "failed"]
        assert model.headline in headlines.fields
    assert len(headlines.fields) == len(ids.MODELS) + 1


def test_every_element_has_a_name_and_a_description_for_people(models):
    """Walks the JSON, so that an element the parser would not show is seen too."""
    missing = []
    stack = [(dtmi, models[dtmi].definition) for dtmi in models]
    while stack:
        where, value = stack.pop()
        if isinstance(value, list):
            stack += [(where, item) for item in value]
        elif isinstance(value, dict):
            here = f"{where}/{value.get('name', value.get('@type', ''))}"
            if not value.get("description") or not value.get("displayName"):
                missing.append(here)
            stack += [(here, item) for item in value.values() if isinstance(item, (dict, list))]
    assert missing == []


# Ratios, probabilities, scores, money, and quantities per length or per time: the extension has no type for them.
WITHOUT_SEMANTIC_TYPE = """
    agingAcceleration anomalyScore balanceScore bandExitProbability confidence costA costB costC costSavings
    currentImbalance efficiencyGain energyLossEstimate equipmentFailureRisk estimatedLoss expectedPowerFactor
    failureRisk forecastHigh forecastLow forecastQualityIndex frequencyQuality gridStabilityScore harmonicQuality
    healthScore limit loadFactor loading lossOfLife maxLoading pValue powerFactor powerFlowEfficiencyGain
    powerQualityIndex qualityIndex qualityScore r0 r1 rampRate residual riskScore sagDepth sagProbability
    shortCircuitVoltage stabilityScore tapStep tddEstimate thdEstimate thdHigh thdLow thermalMargin
    totalHarmonicDistortion unbalanceQuality value voltageImbalance voltageMargin voltageQuality
    voltageSagProbability vuf vufHigh vufLow x0 x1
"""


def test_only_quantities_without_a_semantic_type_lack_a_unit(models):
    """A new number must either carry its unit or be added to the list on purpose."""
    without = set()
    stack: list[tuple[str, Schema | None, str | None]] = []
    for interface in models.values():
        for content in interface.contents.values():
            stack += [(item.name, item.schema, item.unit) for item in (content, *content.properties.values())]
    while stack:
        name, schema, unit = stack.pop()
        if schema is None:
            continue
        inner = [*schema.fields.values(), *([schema.value] if schema.value is not None else [])]
        stack += [(field.name, field.schema, field.unit) for field in inner]
        if schema.kind == "double" and unit is None:
            without.add(name)
        assert unit is None or any(unit in units for units in quantities(1).units.values())
    assert without == set(WITHOUT_SEMANTIC_TYPE.split())


def test_each_stays_far_below_the_services_limit(models):
    for interface in models.values():
        assert len(json.dumps(interface.definition).encode()) < ADT_MODEL_BYTES / 10


def test_the_relationships_are_those_of_the_design(models):
    found = {
        (dtmi, name): (content.target, sorted(content.properties))
        for dtmi, interface in models.items()
        for name, content in interface.of_kind("Relationship").items()
    }
    assert found == {
        (ids.DTMI_POINT, "managedBy"): (ids.DTMI_USER, []),
        (ids.DTMI_POINT, "connectedTo"): (ids.DTMI_COMPONENT, []),
        (ids.DTMI_COMPONENT, "feedsTo"): (ids.DTMI_COMPONENT, ["activePower", "energized", "loading", "updatedAt"]),
        (ids.DTMI_COMPONENT, "fedBy"): (ids.DTMI_COMPONENT, []),
        (ids.DTMI_COMPONENT, "monitoredBy"): (ids.DTMI_POINT, ["dataQuality", "lastReadingAt", "phases"]),
        (ids.DTMI_USER, "manages"): (ids.DTMI_POINT, []),
    }
    assert set(models[ids.DTMI_POINT].of_kind("Telemetry")) == {"alarmRaised", "alarmCleared"}
    assert set(models[ids.DTMI_USER].of_kind("Telemetry")) == {"activity"}
