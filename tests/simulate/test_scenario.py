"""A scenario is one reproducible play whose events, readings, statuses, alarms and graph tell the same story."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from remhart_adt.clock import parse_us
from remhart_adt.errors import SimulationError
from remhart_adt.graph.load import load_text
from remhart_adt.graph.topology import Topology
from remhart_adt.readings import CHANNEL_INDEX, ReadingBatch
from remhart_adt.scoring.types import PointInfo, Scores
from remhart_adt.simulate import DEMO_FEEDER, FEEDERS, KINDS, Scenario
from remhart_adt.sync.alarms import AlarmBook

START = parse_us("2026-01-14T18:00:00Z")
V = slice(CHANNEL_INDEX["v_a"], CHANNEL_INDEX["v_c"] + 1)


@pytest.fixture(scope="module")
def demo() -> Scenario:
    return Scenario(DEMO_FEEDER, 1, START)


@pytest.fixture(scope="module")
def ticks(demo):
    return list(demo.live())


def batch_of(scenario, ticks) -> ReadingBatch:
    n, p = len(ticks), len(scenario.point_ids)
    return ReadingBatch(
        points=scenario.point_ids,
        point=np.tile(np.arange(p, dtype=np.int32), n),
        time_us=np.repeat(np.array([t.time_us for t in ticks]), p),
        values=np.concatenate([t.values for t in ticks]),
        quality=np.zeros(n * p, np.int8),
        sequence=np.arange(n * p),
        index=np.zeros(n * p, np.int32),
        enqueued_us=np.zeros(n * p, np.int64),
    )


def test_the_demo_feeder_has_what_a_visitor_is_shown():
    spec = FEEDERS[DEMO_FEEDER]
    kinds = [type(e).__name__ for e in spec.elements]

    assert len(spec.points) >= 24
    assert kinds.count("Breaker") >= 2
    assert {"Bank", "Solar", "Line", "Meter"} <= set(kinds)
    assert {u.role for u in spec.users} == {"admin", "operator"}
    assert all(u.points for u in spec.users)


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_each_feeder_can_stage_every_event_day_and_night(name):
    for seed, start in enumerate(("2026-01-14T18:00:00Z", "2026-07-08T12:00:00Z", "2026-10-04T02:00:00Z")):
        scenario = Scenario(name, seed, parse_us(start), history_hours=2)
        kinds = [e.kind for e in scenario.events]
        alarms = scenario.expected_alarms()

        assert kinds == list(KINDS)
        assert {a["kind"] for a in alarms} == {"voltageSag", "overload", "openPhase", "interruption"}
        assert all(a["clearedAfter_us"] is not None for a in alarms)
        assert all(event.end_us < scenario.start_us + 60_000_000 for event in scenario.events)


def test_each_event_alarms_exactly_the_points_it_reaches(demo):
    spec, events = demo.spec, {e.kind: e for e in demo.events}
    found: dict[str, dict[str, dict]] = {}
    for alarm in demo.expected_alarms():
        found.setdefault(alarm["kind"], {})[alarm["pointId"]] = alarm

    assert set(found["voltageSag"]) == set(spec.points_behind(spec.transformer.id))
    assert set(found["openPhase"]) == set(spec.points_behind(events["open_phase"].component))
    assert set(found["interruption"]) == set(spec.points_behind(events["breaker"].component))
    assert {p.element for p in spec.points if p.id in found["overload"]} == {events["overload"].component}
    phase = "ABC"[events["open_phase"].phases[0]]
    assert {a["phases"] for a in found["openPhase"].values()} == {phase}
    for kind, event, readings in (
        ("voltageSag", "voltage_sag", 1),
        ("interruption", "breaker", 1),
        ("openPhase", "open_phase", 2),
        ("overload", "overload", 2),
    ):
        for alarm in found[kind].values():
            assert alarm["raisedAfter_us"] == events[event].start_us + (readings - 1) * demo.period_us
            assert alarm["clearedAfter_us"] == events[event].end_us


@pytest.mark.parametrize(
    ("name", "seed", "period"), [("suburb", 1, 1.0), ("arcade", 2, 1.0), ("terrace", 3, 0.1), ("village", 4, 1.0)]
)
def test_the_daemons_rules_on_noisy_readings_give_the_expected_alarms(name, seed, period):
    scenario = Scenario(name, seed, START, period)
    points = {p.id: PointInfo(p.id, scenario.spec.nominal_v, scenario.spec.hz, p.rated_a) for p in scenario.spec.points}
    ticks = list(scenario.live())
    batch = batch_of(scenario, ticks)
    order = np.lexsort((batch.time_us, batch.point))
    changes = AlarmBook(points).update(batch, order, Scores(np.ones(len(batch), bool), {}))
    raised = {(c.point_id, c.kind, c.time_us, c.entry["phases"]) for c in changes if c.raised}
    cleared = {(c.point_id, c.kind, c.time_us) for c in changes if not c.raised}

    assert raised == {(a["pointId"], a["kind"], a["raisedAfter_us"], a["phases"]) for a in scenario.expected_alarms()}
    assert cleared == {(a["pointId"], a["kind"], a["clearedAfter_us"]) for a in scenario.expected_alarms()}


def test_without_events_there_are_no_alarms():
    scenario = Scenario("suburb", 5, START, seconds=120, events=(), history_hours=2)

    assert scenario.events == []
    assert scenario.expected_alarms() == []
    assert sum(1 for _ in scenario.live()) == 120


def test_the_same_arguments_give_the_same_bytes(demo, ticks):
    again = Scenario(DEMO_FEEDER, 1, START)
    other = Scenario(DEMO_FEEDER, 2, START)
    first = np.stack([t.values for t in ticks])

    np.testing.assert_array_equal(np.stack([t.values for t in again.live()]), first)
    np.testing.assert_array_equal(np.stack([t.values for t in demo.live()]), first)  # and again from the start
    np.testing.assert_array_equal(again.history().values, demo.history().values)
    assert again.expected_alarms() == demo.expected_alarms()
    assert (np.stack([t.values for t in other.live()]) != first).any()


def test_a_longer_run_begins_like_a_shorter_one():
    short = next(Scenario("suburb", 1, START, seconds=30, events=(), history_hours=1).acts())
    endless = next(Scenario("suburb", 1, START, seconds=None, events=(), history_hours=1).acts())

    np.testing.assert_allclose(endless.truth.v[:30], short.truth.v, rtol=1e-6)
    np.testing.assert_allclose(endless.hz[:30], short.hz)
    np.testing.assert_allclose(endless.oil[:30], short.oil, rtol=1e-6)


def test_ticks_and_history_stand_on_one_time_line(demo, ticks):
    history = demo.history()
    two_hours = demo.history(hours=2, step_s=300)

    assert [t.time_us for t in ticks] == [START + k * 1_000_000 for k in range(60)]
    assert history.values.shape == (1560, len(demo.point_ids), 25)
    assert history.time_us[-1] == START - 60_000_000
    assert set(np.diff(history.time_us)) == {60_000_000}
    assert two_hours.time_us.tolist() == [START - k * 300_000_000 for k in range(24, 0, -1)]
    at = np.searchsorted(history.time_us, two_hours.time_us)
    np.testing.assert_array_equal(two_hours.values, history.values[at])


def test_history_runs_into_the_live_part_without_a_seam(demo, ticks):
    history = demo.history()
    power = slice(CHANNEL_INDEX["p_a"], CHANNEL_INDEX["p_c"] + 1)
    step = np.abs(ticks[0].values[0, power] - history.values[-1, 0, power]).sum()
    usual = np.abs(np.diff(history.values[:, 0, power], axis=0)).sum(axis=1)

    assert step < np.quantile(usual, 0.999)
    assert abs(ticks[0].values[0, CHANNEL_INDEX["oil_temp"]] - history.values[-1, 0, CHANNEL_INDEX["oil_temp"]]) < 1.0


def test_history_is_quiet(demo):
    history = demo.history()
    volts = history.values[:, :, V] / demo.spec.nominal_v

    assert not np.isnan(volts).any()
    assert 0.94 < volts.min() < volts.max() < 1.06


def test_the_breaker_reports_itself_and_the_readings_agree(demo, ticks):
    event = next(e for e in demo.events if e.kind == "breaker")
    behind = np.array([p in demo.spec.points_behind(event.component) for p in demo.point_ids])
    state = "closed"
    for tick in ticks:
        for status in tick.statuses:
            assert status.time_us == tick.time_us
            if status.component_id == event.component:
                state = status.switch_state
        dead = (tick.values[:, V] < 2).all(axis=1)

        assert (state == "open") == (event.start_us <= tick.time_us < event.end_us)
        np.testing.assert_array_equal(dead, behind if state == "open" else np.zeros_like(behind))


def test_devices_report_at_the_start_again_and_again_and_in_history(demo, ticks):
    spec = demo.spec
    devices = {e.id for e in spec.elements if type(e).__name__ in ("Breaker", "Bank")} | {spec.transformer.id}

    assert {s.component_id for s in ticks[0].statuses} == devices
    assert {s.component_id for s in ticks[30].statuses} == devices
    assert {s.component_id for s in demo.history().statuses} == devices
    transformer = next(s for s in ticks[0].statuses if s.component_id == spec.transformer.id)
    assert transformer.tap_position == spec.transformer.tap
    assert transformer.temperature is not None


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_the_graph_is_a_valid_graph_file_and_fits_the_readings(name):
    scenario = Scenario(name, 1, START, history_hours=1)
    graph = load_text(json.dumps(scenario.graph()))  # JSON is a part of YAML
    topology = Topology.from_spec(graph)
    event = next(e for e in scenario.events if e.kind == "breaker")

    assert {p.id for p in graph.points} == set(scenario.point_ids)
    assert all(topology.energized().values())
    assert set(topology.points_under(scenario.spec.source.id)) == set(scenario.point_ids)
    topology.set_switch(event.component, "open", 1)
    dark = {c for c, alive in topology.energized().items() if not alive}
    dead = {p for c in dark for p in topology.points_of(c)} | set(topology.points_of(event.component))
    assert dead == set(scenario.spec.points_behind(event.component))
    rated = {p.id: p.properties["gridStandard"]["ratedCurrent"] for p in graph.points}
    assert rated == {p.id: p.rated_a for p in scenario.spec.points}


def test_the_bank_reports_the_steps_that_it_runs_on():
    scenario = Scenario("workshop", 1, parse_us("2026-06-15T11:00:00Z"), seconds=600, events=(), history_hours=2)
    at = scenario.point_ids.index("workshop-mp-cap1")
    bank = scenario.feeder.bank
    q = slice(CHANNEL_INDEX["q_a"], CHANNEL_INDEX["q_c"] + 1)
    steps, seen = 0, set()
    for tick in scenario.live():
        for status in tick.statuses:
            steps = steps if status.steps_on is None else status.steps_on
        seen.add(steps)
        made = -tick.values[at, q].sum() / 1000

        assert made == pytest.approx(steps * bank.step_kvar, rel=0.1, abs=0.01)
    assert max(seen) >= 1


def test_loads_change_between_minutes_not_at_them():
    act = next(Scenario("suburb", 1, START, seconds=600, events=(), history_hours=2).acts())
    change = np.abs(np.diff(act.truth.s.real.sum(axis=2), axis=0)).sum(axis=1)
    at_minutes = np.arange(59, 599, 60)

    assert change[at_minutes].mean() < 1.5 * np.delete(change, at_minutes).mean()


def test_an_endless_scenario_repeats_its_events():
    scenario = Scenario("village", 1, START, period_s=5.0, seconds=None, history_hours=1)
    for _ in itertools.islice(scenario.live(), 130):
        pass

    assert [e.kind for e in scenario.events] == list(KINDS) * 3
    assert len({e.component for e in scenario.events if e.kind == "breaker"}) > 1


def test_a_long_run_is_played_in_cycles_of_the_exact_length():
    scenario = Scenario("village", 1, START, period_s=2.0, seconds=1501, history_hours=1)

    assert sum(1 for _ in scenario.live()) == 750
    assert len(scenario.events) == 3 * len(KINDS)


def test_lost_readings_do_not_move_the_others(demo, ticks):
    lossy = list(Scenario(DEMO_FEEDER, 1, START, dropout=0.2).live())
    there = ~np.isnan(np.stack([t.values[:, 0] for t in lossy]))

    assert 0.7 < there.mean() < 0.9
    np.testing.assert_array_equal(
        np.stack([t.values for t in lossy])[there], np.stack([t.values for t in ticks])[there]
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"feeder": "atlantis"}, "no feeder 'atlantis'"),
        ({"seconds": 20.0}, "too few"),
        ({"seconds": 0.0}, "seconds"),
        ({"period_s": 0.0}, "period_s"),
        ({"events": ("flood",)}, "no event kind 'flood'"),
        ({"history_hours": 0.0}, "history_hours"),
        ({"dropout": 1.0}, "dropout"),
        ({"seed": -1}, "seed"),
    ],
)
def test_nonsense_is_refused(arguments, told):
    with pytest.raises(SimulationError, match=told):
        list(Scenario(**{"start_us": START, "history_hours": 1, **arguments}).live())


def test_history_that_was_not_prepared_is_refused(demo):
    with pytest.raises(SimulationError, match="not prepared"):
        demo.history(hours=48)
    with pytest.raises(SimulationError, match="whole minutes"):
        demo.history(step_s=90)
