"""optimal_dispatch: set points within limits that meet the demand at the least cost, and units from the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scoring_streams import C, batch, minutes, values

from remhart_adt.graph import load
from remhart_adt.graph.plan import new_twin
from remhart_adt.ontology.primitives import _map_key
from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, FeederInfo, PointInfo, Status, UnitInfo, Windows
from remhart_adt.scoring.engine import map_key
from remhart_adt.scoring.feeder import FEEDER_FEATURES
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model
from remhart_adt.simulate import Scenario
from remhart_adt.sync.site import Site, build_site

UNITS = (
    UnitInfo("grid", "t1", 0.0, 250_000.0, 0.30, 2e-4),
    UnitInfo("chp-1", "g1", 5_000.0, 40_000.0, 0.18, 1.5e-3, 1_000.0),
    UnitInfo("2nd", "g2", 0.0, 20_000.0, 0.45, 1e-3),
)
FEEDER = FeederInfo("s", "t1", 250_000.0, 400.0, 3000.0, units=UNITS)
INFOS = [
    PointInfo("t1", 230.0, 50.0, 400.0, kind="transformer"),
    PointInfo("g1", 230.0, 50.0, 63.0, kind="meter"),
    PointInfo("g2", 230.0, 50.0, 63.0, kind="meter"),
    PointInfo("m1", 230.0, 50.0, 200.0, kind="meter"),
]
MEMBERS = [info.point_id for info in INFOS]


def warm(watts: dict[str, float]) -> Windows:
    """Ten minutes of every point at a steady P."""
    windows, times = Windows(INFOS), minutes(10)
    cells = np.stack([values(info, times) for info in INFOS], axis=1)
    for k, info in enumerate(INFOS):
        cells[:, k, C["p_a"] : C["p_c"] + 1] = watts[info.point_id] / 3
    n = len(INFOS)
    windows.push(batch(MEMBERS, np.tile(np.arange(n), len(times)), np.repeat(times, n), cells))
    return windows


STEADY = {"t1": 60_000.0, "g1": -20_000.0, "g2": -10_000.0, "m1": 90_000.0}


def test_the_answer_stands_as_a_map_of_unit_ids() -> None:
    engine = Engine.load()
    score = engine.feeder([warm(STEADY)], FEEDER, MEMBERS)["optimal_dispatch"]
    document = score.document()
    assert score.status is Status.OK, score.reason
    points = document["setpoints"]
    assert set(points) == {"grid", "chp-1", "2nd"}
    assert sum(points.values()) == pytest.approx(90_000, rel=0.05)
    # The combined plant is the cheapest up to 40 kW (0.18 + 0.003 P = 0.30 there), 15 kW more within its ramp.
    assert points["chp-1"] == pytest.approx(35_000, rel=0.01)
    assert points["2nd"] == pytest.approx(0, abs=1)
    # The second plant stops and the first gives 15 kW more: 5 kW less from the grid.
    assert document["dispatchRecommendation"] == "import less"
    assert document["costSavings"] > 0.5
    # Without the grid 60 kW are left for 90 kW and more.
    assert document["reserveShortfall"] > 30_000
    assert not any(name.startswith("setpoint") and name != "setpoints" for name in document)


def test_a_renewable_source_is_never_told_to_give_more_than_it_does() -> None:
    sunny = [replace(info, kind="renewable_source") if info.point_id == "g1" else info for info in INFOS]
    windows, times = Windows(sunny), minutes(10)
    cells = np.stack([values(info, times) for info in INFOS], axis=1)
    for k, info in enumerate(INFOS):
        cells[:, k, C["p_a"] : C["p_c"] + 1] = STEADY[info.point_id] / 3
    windows.push(batch(MEMBERS, np.tile(np.arange(4), len(times)), np.repeat(times, 4), cells))
    points = Engine.load().feeder([windows], FEEDER, MEMBERS)["optimal_dispatch"].document()["setpoints"]
    assert points["chp-1"] == pytest.approx(20_000, rel=0.01)


def test_without_prices_or_units_it_abstains_and_says_what_is_missing() -> None:
    engine, windows = Engine.load(), warm(STEADY)
    for units, reason in (
        ((), "the infeed declares no limits and price (dispatch)"),
        (UNITS[:1], "0 of 1 units declare limits and cost (dispatch)"),
    ):
        score = engine.feeder([windows], replace(FEEDER, units=units), MEMBERS)["optimal_dispatch"]
        assert (score.status, score.reason) == (Status.ABSTAINED, reason)
        assert engine.feeder([windows], replace(FEEDER, units=units), MEMBERS)["energy_loss"].status is Status.OK


# --- the solution -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(read_manifest(models_dir()).entries["optimal_dispatch"], models_dir())


@pytest.fixture
def row() -> dict[str, float]:
    """The features of STEADY by name, its demand unchanged since yesterday."""
    facts: dict[str, float] = dict.fromkeys(FEEDER_FEATURES, float("nan"))
    facts |= {"rated_va": 250_000.0, "demand": 0.36, "hour_sin": 0.0, "hour_cos": 1.0}
    facts |= {name: 0.36 for name in FEEDER_FEATURES if name.startswith("demand_lag")}
    for k, (unit, power) in enumerate(zip(UNITS, (60_000.0, 20_000.0, 10_000.0), strict=True), 1):
        facts |= {
            f"unit{k}_power": power, f"unit{k}_low": unit.low_w, f"unit{k}_high": unit.high_w,
            f"unit{k}_ramp": unit.ramp_w_min or 1e12, f"unit{k}_cost_b": unit.cost_b, f"unit{k}_cost_c": unit.cost_c,
        }  # fmt: skip
    return facts


def ask(model: Model, rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return model.run(np.array([[row[name] for name in model.entry.inputs] for row in rows], np.float32))


def points_of(answer: dict[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([answer[f"setpoint{k}"] for k in range(1, 7)])


def test_set_points_rise_with_the_demand_and_stay_within_limits_and_ramps(model: Model, row: dict[str, float]) -> None:
    points = points_of(ask(model, [row | {"demand": d} for d in np.linspace(0.0, 3.0, 120)]))[:, :3]
    assert (np.diff(points, axis=0) >= -1.0).all()
    assert (points >= np.array([0.0, 5_000.0, 0.0]) - 1).all()
    assert (points <= np.array([250_000.0, 35_000.0, 20_000.0]) + 1).all()
    assert points[-1] == pytest.approx([250_000, 35_000, 20_000], rel=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_the_dispatch_is_the_solution_of_the_quadratic_programme(
    model: Model, row: dict[str, float], seed: int
) -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    facts = dict(row)
    for k in range(1, 5):
        high = float(rng.uniform(2e4, 2e5))
        facts |= {
            f"unit{k}_power": 0.5 * high, f"unit{k}_low": 0.0, f"unit{k}_high": high, f"unit{k}_ramp": 1e12,
            f"unit{k}_cost_b": float(rng.uniform(0.05, 0.5)), f"unit{k}_cost_c": float(rng.uniform(2e-4, 5e-3)),
        }  # fmt: skip
    got = points_of(ask(model, [facts]))[0, :4] / 1e3
    b, c, high = (np.array([facts[f"unit{k}_{n}"] for k in range(1, 5)]) for n in ("cost_b", "cost_c", "high"))
    best = minimize(
        lambda p: (b * p + c * p * p).sum(), got.sum() * high / high.sum(), jac=lambda p: b + 2 * c * p,
        bounds=[(0, h / 1e3) for h in high], constraints={"type": "eq", "fun": lambda p: p.sum() - got.sum()},
        method="SLSQP", options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    assert best.success
    assert (b * got + c * got * got).sum() == pytest.approx(best.fun, rel=1e-5)
    assert got == pytest.approx(best.x, abs=0.2)


def test_ten_times_the_feeder_gets_ten_times_the_set_points(model: Model, row: dict[str, float]) -> None:
    large = {
        name: value * 10 if name == "rated_va" or name.endswith(("_power", "_low", "_high", "_ramp"))
        else value / 10 if name.endswith("_cost_c") else value
        for name, value in row.items()
    }  # fmt: skip
    small, ten = points_of(ask(model, [row]))[0, :3], points_of(ask(model, [large]))[0, :3]
    assert ten == pytest.approx(10 * small, rel=1e-3, abs=5)


def test_units_of_constant_cost_are_dispatched_in_their_order(model: Model, row: dict[str, float]) -> None:
    facts = row | {f"unit{k}_cost_c": 0.0 for k in (1, 2, 3)}
    for demand in (0.05, 0.1, 0.2):
        grid, chp, second = points_of(ask(model, [facts | {"demand": demand}]))[0, :3]
        assert second == pytest.approx(0, abs=1)
        assert chp == pytest.approx(min(35_000, chp + grid), rel=0.02)


# --- the graph --------------------------------------------------------------------------------------------------------


def site_of(**plates: dict[str, float]) -> Site:
    """The village with dispatch data on these components only."""
    graph = Scenario("village", events=()).graph()
    spec = load(graph)
    twins: list[dict[str, Any]] = [{**new_twin(entity), "$dtId": entity.id} for entity in spec.entities()]
    for twin in twins:
        twin.pop("dispatch", None)
        if twin["$dtId"] in plates:
            twin["dispatch"] = plates[twin["$dtId"]]
    relationships = [
        {"$relationshipId": r.id, "$sourceId": r.source, "$relationshipName": r.name, "$targetId": r.target}
        for r in spec.relationships
    ]
    return build_site(twins, relationships)


def test_units_are_the_priced_infeed_and_the_metered_components_with_limits_and_costs() -> None:
    plain = site_of()
    source = plain.feeders[0][0].feeder_id
    # What can be dispatched is metered: the component of some leaf.
    component = next(w.component for w in plain.watches if plain.points[w.point].kind == "renewable_source")
    price = {"minPower": 0.0, "maxPower": 2e5, "costB": 0.3}
    unit = {"minPower": 0.0, "maxPower": 1e4, "costB": 0.1, "costC": 1e-3, "rampRate": 500.0}
    assert plain.feeders[0][0].units == ()
    assert site_of(**{component: unit}).feeders[0][0].units == ()
    assert [u.unit_id for u in site_of(**{source: price}).feeders[0][0].units] == [source]
    found = site_of(**{source: price, component: unit}).feeders[0][0].units
    assert [(u.unit_id, u.high_w, u.cost_b, u.ramp_w_min) for u in found] == [
        (source, 2e5, 0.3, None),
        (component, 1e4, 0.1, 500.0),
    ]
    for broken in ({"maxPower": 0.0}, {"costC": -1.0}, {"costB": "free"}):
        assert len(site_of(**{source: price, component: unit | broken}).feeders[0][0].units) == 1


@pytest.mark.parametrize("component", ["chp-1", "2nd", "a.b:c", "$grid", "$$", "9" * 128])
def test_every_component_id_becomes_a_key_that_the_service_takes(component: str) -> None:
    _map_key(map_key(component))
