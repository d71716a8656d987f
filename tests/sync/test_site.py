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
