"""Plans are pure: what they create, change, delete and leave alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.dtdl.instance import check_relationship, check_twin
from remhart_adt.graph import GraphSpec, load, load_text
from remhart_adt.graph.load import our_models
from remhart_adt.graph.plan import Change, Plan, Verb, make_plan
from remhart_adt.graph.snapshot import LiveGraph
from remhart_adt.ids import MODELS
from remhart_adt.resources import examples_dir

SPEC = load(examples_dir() / "feeder.yaml")


def carry_out(live: LiveGraph, plan: Plan) -> LiveGraph:
    """What the service would hold after the plan."""
    after = copy.deepcopy(live)
    for action in plan.actions:
        if not action.is_relationship:
            if action.verb is Verb.DELETE:
                del after.twins[action.id]
            elif action.verb is Verb.CREATE:
                after.twins[action.id] = {"$dtId": action.id, **copy.deepcopy(dict(action.document))}
            else:
                patched(after.twins[action.id], action.changes)
        elif action.verb is Verb.DELETE:
            del after.relationships[action.source, action.id]
        elif action.verb is Verb.CREATE:
            ends = {"$sourceId": action.source, "$relationshipId": action.id}
            after.relationships[action.source, action.id] = {**ends, **action.document}
        else:
            patched(after.relationships[action.source, action.id], action.changes)
    return after


def patched(document: dict[str, Any], changes: tuple[Change, ...]) -> None:
    for change in changes:
        place = document
        for part in change.path[:-1]:
            place = place[part]
        if change.new is None:
            del place[change.path[-1]]
        else:
            place[change.path[-1]] = change.new


def applied(spec: GraphSpec = SPEC) -> LiveGraph:
    return carry_out(LiveGraph(), make_plan(spec, LiveGraph()))


def test_an_empty_instance_gets_everything_and_then_nothing() -> None:
    plan = make_plan(SPEC, LiveGraph())

    assert plan.count(Verb.CREATE) == len(plan.actions) == len(list(SPEC.entities())) + len(SPEC.relationships)
    again = make_plan(SPEC, applied())
    assert again.empty
    assert again.unchanged == len(plan.actions)


def test_what_is_created_fits_the_interfaces() -> None:
    for action in make_plan(SPEC, LiveGraph()).actions:
        if action.is_relationship:
            source = next(entity for entity in SPEC.entities() if entity.id == action.source)
            assert check_relationship(our_models(), source.model, action.document) == []
        else:
            assert check_twin(our_models(), action.document) == []


def test_a_new_point_has_a_place_for_every_prediction() -> None:
    point = applied().twins["mp-tr-1"]

    for slot in MODELS:
        assert point["mlEngine"][slot.module][slot.published] == {"status": "abstained", "reason": "no reading yet"}
    assert point["mlPredictions"] == point["alarms"] == {}
    assert (point["connectivity"], point["activeAlarmCount"]) == ("offline", 0)


def test_new_components_know_whether_they_are_alive() -> None:
    text = """\
version: 1
components:
  - {id: s, type: substation, feedsTo: x}
  - {id: x, type: circuit_breaker, switchState: open, feedsTo: a}
  - {id: a, type: meter, feedsTo: b}
  - {id: b, type: meter}
"""
    live = applied(load_text(text))

    assert {key: twin["energized"] for key, twin in live.twins.items()} == {
        "s": True,
        "x": True,
        "a": False,
        "b": False,
    }
    feeds = {
        key[0]: row["energized"] for key, row in live.relationships.items() if row["$relationshipName"] == "feedsTo"
    }
    assert feeds == {"s": True, "x": False, "a": False}


def test_what_the_daemon_writes_is_never_planned_against() -> None:
    live = applied()
    live.twins["tr-1"] |= {"loadFactor": 0.7, "temperature": 61.0, "energized": False, "alarms": {"overload": {}}}
    live.twins["tr-1"]["electrical"] |= {"tapPosition": 2}
    live.twins["brk-a"]["switchState"] = "open"
    live.twins["cap-1"]["electrical"]["stepsOn"] = 4
    live.twins["mp-tr-1"] |= {
        "voltage": {"phaseA": 230.0},
        "connectivity": "online",
        "lastReadingAt": "2024-01-01T00:00:00Z",
    }
    live.twins["mp-tr-1"]["mlEngine"]["inferenceMetrics"] = {"totalInferences": 5}
    live.relationships["sub-1", "feedsTo.tr-1"] |= {
        "loading": 0.4,
        "activePower": 3e5,
        "updatedAt": "2024-01-01T00:00:00Z",
    }
    live.relationships["tr-1", "monitoredBy.mp-tr-1"] |= {"dataQuality": "good"}

    assert make_plan(SPEC, live, prune=True).empty


def only(plan: Plan) -> Any:
    (action,) = plan.actions
    return action


def test_a_changed_value_inside_an_object_is_one_small_change() -> None:
    live = applied()
    live.twins["line-a"]["electrical"]["r1"] = 0.3
    live.twins["line-a"]["electrical"]["tapPosition"] = 1

    action = only(make_plan(SPEC, live))

    assert (action.verb, action.id) == (Verb.UPDATE, "line-a")
    assert action.patch().operations() == [{"op": "add", "path": "/electrical/r1", "value": 0.208}]


def test_a_missing_object_is_added_whole_and_a_surplus_value_removed() -> None:
    live = applied()
    del live.twins["line-a"]["electrical"]
    live.twins["line-a"]["manufacturer"] = "Someone"

    operations = only(make_plan(SPEC, live)).patch().operations()

    assert operations == [
        {
            "op": "add",
            "path": "/electrical",
            "value": {"r1": 0.208, "x1": 0.080, "r0": 0.832, "x0": 0.320, "length": 0.35},
        },
        {"op": "remove", "path": "/manufacturer"},
    ]


def test_an_object_that_the_file_lacks_keeps_what_the_daemon_put_there() -> None:
    live = applied()
    live.twins["brk-a"]["electrical"] = {"tapPosition": 3, "r1": 0.1}

    assert only(make_plan(SPEC, live)).patch().operations() == [{"op": "remove", "path": "/electrical/r1"}]


@pytest.mark.parametrize(("actual", "same"), [(577.0, True), (577, True), (578, False), (True, False), ("577", False)])
def test_numbers_compare_as_numbers(actual: object, same: bool) -> None:
    live = applied()
    live.twins["tr-1"]["ratedCurrent"] = actual

    assert make_plan(SPEC, live).empty is same


def test_one_is_not_true() -> None:
    live = applied()
    live.twins["alice"]["isActive"] = 1

    assert only(make_plan(SPEC, live)).patch().operations() == [{"op": "add", "path": "/isActive", "value": True}]


def test_a_relationship_that_leads_elsewhere_is_replaced() -> None:
    live = applied()
    live.relationships["sub-1", "feedsTo.tr-1"]["$targetId"] = "line-a"

    plan = make_plan(SPEC, live)

    assert [(a.verb, a.source, a.id) for a in plan.actions] == [
        (Verb.DELETE, "sub-1", "feedsTo.tr-1"),
        (Verb.CREATE, "sub-1", "feedsTo.tr-1"),
    ]


def test_relationship_properties_are_updated() -> None:
    live = applied()
    live.relationships["tr-1", "monitoredBy.mp-tr-1"]["phases"] = "A"

    assert only(make_plan(SPEC, live)).patch().operations() == [{"op": "add", "path": "/phases", "value": "ABC"}]


def test_prune_deletes_our_surplus_with_all_that_hangs_on_it_and_nothing_else() -> None:
    live = applied()
    live.twins["old"] = {**live.twins["line-a"], "$dtId": "old"}
    foreign = {"$relationshipName": "sees", "$targetId": "old"}
    live.relationships["camera", "r"] = {"$sourceId": "camera", "$relationshipId": "r", **foreign}
    live.relationships["camera", "q"] = {"$sourceId": "camera", "$relationshipId": "q", **foreign, "$targetId": "tr-1"}

    kept = make_plan(SPEC, live)
    assert kept.empty
    assert kept.unmanaged == 2
    assert "2 not in the file" in kept.summary()

    plan = make_plan(SPEC, live, prune=True)
    assert [(a.verb, a.source, a.id) for a in plan.actions] == [(Verb.DELETE, "camera", "r"), (Verb.DELETE, "", "old")]


def test_a_twin_of_another_model_is_a_conflict() -> None:
    live = applied()
    live.twins["tr-1"]["$metadata"] = {"$model": "dtmi:remhart:smartgrid:GridComponent;1"}

    plan = make_plan(SPEC, live)

    assert not plan.empty
    assert plan.conflicts[0].startswith("twin tr-1 exists with the model dtmi:remhart:smartgrid:GridComponent;1")


NAMES = st.sampled_from(["a", "b", "c", "d"])
COMPONENTS = st.fixed_dictionaries(
    {"id": NAMES, "type": st.sampled_from(["meter", "circuit_breaker", "transformer"])},
    optional={
        "ratedCapacity": st.integers(1, 9),
        "manufacturer": st.text("xyz", max_size=3),
        "electrical": st.fixed_dictionaries(
            {}, optional={"r1": st.floats(0, 1), "tapPosition": st.integers(-2, 2), "stepsOn": st.integers(0, 3)}
        ),
        "switchState": st.sampled_from(["open", "closed"]),
        "monitoredBy": st.lists(
            st.fixed_dictionaries({"to": st.just("p")}, optional={"phases": st.sampled_from(["A", "ABC"])}), max_size=1
        ),
    },
)
GRAPHS = st.lists(COMPONENTS, max_size=4, unique_by=lambda entry: entry["id"])


def spec_of(components: list[dict[str, Any]], edges: list[tuple[str, str]]) -> GraphSpec:
    ids = [entry["id"] for entry in components]
    document: dict[str, Any] = {"version": 1, "components": copy.deepcopy(components)}
    document["points"] = [{"id": "p", "gridStandard": {"nominalVoltage": 230, "nominalFrequency": 50}}]
    for entry in document["components"]:
        # Only downwards in the alphabet, so no ring can come about.
        entry["feedsTo"] = sorted({b for a, b in edges if a == entry["id"] and b in ids and a < b})
    return load(document)


@given(GRAPHS, GRAPHS, st.lists(st.tuples(NAMES, NAMES)), st.lists(st.tuples(NAMES, NAMES)))
def test_from_any_graph_to_any_other_one_plan_is_enough(
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    edges_before: list[tuple[str, str]],
    edges_after: list[tuple[str, str]],
) -> None:
    old, new = spec_of(before, edges_before), spec_of(after, edges_after)
    live = carry_out(LiveGraph(), make_plan(old, LiveGraph()))

    done = carry_out(live, make_plan(new, live, prune=True))

    assert make_plan(new, done, prune=True).empty
    assert set(done.twins) == {entity.id for entity in new.entities()}
