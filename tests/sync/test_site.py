"""What the daemon takes from the graph: feeders, their heads, and where a capacitor bank is planned."""

from __future__ import annotations

from typing import Any

import pytest

from remhart_adt.errors import ConfigError
from remhart_adt.graph import load
from remhart_adt.graph.plan import new_twin
from remhart_adt.simulate import FEEDERS, Scenario, feeder_spec
from remhart_adt.simulate.spec import Bank
from remhart_adt.sync.site import Site, build_site


def site_of(graph: dict[str, Any]) -> Site:
    spec = load(graph)
    twins = [{**new_twin(entity), "$dtId": entity.id} for entity in spec.entities()]
    relationships = [
        {"$relationshipId": r.id, "$sourceId": r.source, "$relationshipName": r.name, "$targetId": r.target}
        for r in spec.relationships
    ]
    return build_site(twins, relationships)


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_a_bank_is_planned_at_the_head_of_its_feeder(name: str) -> None:
    site = site_of(Scenario(name, events=()).graph())
    ((feeder, members),) = site.feeders
    bank = next((element for element in feeder_spec(name).elements if isinstance(element, Bank)), None)
    planned = {point: (info.bank_step_var, info.bank_steps) for point, info in site.points.items() if info.bank_steps}

    assert set(members) == set(site.points)
    assert planned == ({} if bank is None else {feeder.head_id: (bank.step_kvar * 1000, bank.steps)})


def test_a_point_without_nominal_voltage_is_refused() -> None:
    twin = {
        "$dtId": "p",
        "$metadata": {"$model": "dtmi:remhart:smartgrid:GridMeasurementPoint;2"},
        "gridStandard": {"nominalFrequency": 50},
    }

    with pytest.raises(ConfigError, match="twin p"):
        build_site([twin], [])


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_a_feeder_knows_its_tap_changer_and_its_bank(name: str) -> None:
    ((feeder, _),) = site_of(Scenario(name, events=()).graph()).feeders
    t = feeder_spec(name).transformer
    bank = next((element for element in feeder_spec(name).elements if isinstance(element, Bank)), None)

    assert (feeder.tap_min, feeder.tap_max, feeder.tap_position, feeder.transformer_id) == (-2, 2, t.tap, t.id)
    assert (feeder.tap_step, feeder.short_circuit_v) == (t.tap_step / 100, t.uk_percent / 100)
    on = (None, None, None, None) if bank is None else (bank.id, bank.step_kvar * 1000, bank.steps, bank.steps_on)
    assert (feeder.bank_id, feeder.bank_step_var, feeder.bank_steps, feeder.steps_on) == on


def test_a_moved_tap_is_no_other_site() -> None:
    here, moved, wider = (Scenario("suburb", events=()).graph() for _ in range(3))
    for graph, key, value in ((moved, "tapPosition", -2), (wider, "tapMax", 4)):
        transformer = next(c for c in graph["components"] if c["type"] == "transformer")
        assert transformer["electrical"][key] != value
        transformer["electrical"][key] = value

    assert site_of(moved).signature() == site_of(here).signature()
    assert site_of(wider).signature() != site_of(here).signature()
