"""Apply and export against the local server, over real sockets."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from pathlib import Path

import pytest

from remhart_adt.client import AdtClient, AsyncAdtClient, Patch
from remhart_adt.errors import ConflictError, ForbiddenError, GraphError
from remhart_adt.graph import GraphSpec, Relation, load, load_text
from remhart_adt.graph.apply import apply
from remhart_adt.graph.export import to_yaml
from remhart_adt.graph.plan import Verb, make_plan, plan, plan_async
from remhart_adt.graph.snapshot import LiveGraph, fetch, fetch_async
from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.resources import dtdl_dir, examples_dir

SPEC = load(examples_dir() / "feeder.yaml")


def definitions() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))]


@pytest.fixture
def instance(local_adt: LocalAdt) -> LocalAdt:
    """A server with our four interfaces."""
    with AdtClient(local_adt.endpoint) as client:
        client.models.upload(definitions())
    return local_adt


def add_fault(server: LocalAdt, rule: dict) -> None:
    body, headers = json.dumps(rule).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.endpoint}/_remhart/faults", body, headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def state(spec: GraphSpec) -> tuple:
    """A spec without the order of its entries."""
    return (
        sorted((e.id, e.type, json.dumps(dict(e.properties), sort_keys=True)) for e in spec.entities()),
        sorted((r.source, r.id, r.name, r.target, json.dumps(dict(r.properties))) for r in spec.relationships),
    )


async def test_apply_then_plan_is_empty_and_export_loads_to_the_same_graph(instance: LocalAdt, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    async with AsyncAdtClient(instance.endpoint) as client:
        first = await plan_async(client, SPEC)
        result = await apply(client, first, progress=lambda done, total: seen.append((done, total)))
        live = await fetch_async(client)

    total = len(list(SPEC.entities())) + len(SPEC.relationships)
    assert (result.created, result.updated, result.deleted, result.existed, result.settled) == (total, 0, 0, 0, True)
    assert seen[-1] == (total, total)
    assert make_plan(SPEC, live).empty
    file = tmp_path / "export.yaml"
    file.write_text(to_yaml(live))
    assert state(load(file)) == state(SPEC)
    with AdtClient(instance.endpoint) as one:
        assert fetch(one) == live
        assert plan(one, load(file), prune=True).empty


async def test_without_models_nothing_is_begun(local_adt: LocalAdt) -> None:
    async with AsyncAdtClient(local_adt.endpoint) as client:
        with pytest.raises(GraphError, match="remhart-adt models upload"):
            await apply(client, make_plan(SPEC, LiveGraph()))
        assert [row async for row in client.query("SELECT COUNT() FROM digitaltwins")] == [{"COUNT": 0}]


async def test_a_plan_that_did_not_see_what_is_there_takes_it_as_it_is(instance: LocalAdt) -> None:
    """As after an interrupted run whose writes the query does not show yet."""
    blind = make_plan(SPEC, LiveGraph())
    async with AsyncAdtClient(instance.endpoint) as client:
        await apply(client, blind)
        await client.twins.patch("tr-1", Patch().add("loadFactor", 0.9).add("ratedCurrent", 1.0))

        again = await apply(client, blind)

        transformer = await client.twins.get("tr-1")
    assert (again.created, again.existed) == (0, len(blind.actions))
    assert transformer["loadFactor"] == 0.9, "the daemon's value is left alone"
    assert transformer["ratedCurrent"] == 577, "the file's value is restored"


async def test_update_replace_and_prune(instance: LocalAdt) -> None:
    changed = SPEC.__class__(
        tuple(
            dataclasses.replace(e, properties={**e.properties, "ratedCurrent": 600}) if e.id == "tr-1" else e
            for e in SPEC.components
            if e.id != "cap-1"
        ),
        SPEC.points,
        SPEC.users,
        (
            *(r for r in SPEC.relationships if "cap-1" not in (r.source, r.target)),
            Relation("feedsTo.extra", "tr-1", "feedsTo", "line-a", {}),
        ),
    )
    async with AsyncAdtClient(instance.endpoint) as client:
        await apply(client, await plan_async(client, SPEC))
        second = await plan_async(client, changed, prune=True)
        result = await apply(client, second)
        left = await plan_async(client, changed, prune=True)

    assert (second.count(Verb.CREATE), second.count(Verb.UPDATE), second.count(Verb.DELETE)) == (1, 1, 3)
    assert (result.created, result.updated, result.deleted) == (1, 1, 3)
    assert left.empty


async def test_a_conflict_is_refused_before_the_first_call(instance: LocalAdt) -> None:
    live = LiveGraph({"tr-1": {"$dtId": "tr-1", "$metadata": {"$model": "dtmi:other;1"}}})
    async with AsyncAdtClient(instance.endpoint) as client:
        with pytest.raises(GraphError, match="other models") as caught:
            await apply(client, make_plan(SPEC, live))
        assert [row async for row in client.query("SELECT COUNT() FROM digitaltwins")] == [{"COUNT": 0}]
    assert "tr-1" in caught.value.problems[0]


async def test_failures_are_listed_the_stage_is_finished_and_a_second_run_goes_on(instance: LocalAdt) -> None:
    good = make_plan(SPEC, LiveGraph())
    bad = dataclasses.replace(
        good,
        actions=tuple(
            dataclasses.replace(a, document={**a.document, "nonsense": 1}) if a.id in ("tie", "alice") else a
            for a in good.actions
        ),
    )
    async with AsyncAdtClient(instance.endpoint) as client:
        with pytest.raises(GraphError) as caught:
            await apply(client, bad)
        live = await fetch_async(client)
        rest = await apply(client, await plan_async(client, SPEC))

    assert len(caught.value.problems) == 2
    assert any("twin tie" in problem for problem in caught.value.problems)
    assert len(live.twins) == len(list(SPEC.entities())) - 2
    assert live.relationships == {}
    assert rest.created == 2 + len(SPEC.relationships)


async def test_an_identity_without_the_role_stops_at_once(instance: LocalAdt) -> None:
    add_fault(instance, {"status": 403, "method": "PUT", "count": 1000})
    async with AsyncAdtClient(instance.endpoint) as client:
        with pytest.raises(ForbiddenError, match="Data Owner"):
            await apply(client, make_plan(SPEC, LiveGraph()))
        assert [row async for row in client.query("SELECT COUNT() FROM digitaltwins")] == [{"COUNT": 0}]


async def test_a_server_that_fails_now_and_then_is_no_reason_to_stop(instance: LocalAdt) -> None:
    for action in ("drop", "reset", "status"):
        add_fault(instance, {"action": action, "method": "PUT", "count": 5, "skip": 3})
    async with AsyncAdtClient(instance.endpoint) as client:
        result = await apply(client, await plan_async(client, SPEC))
        left = await plan_async(client, SPEC)

    assert left.empty
    assert result.created + result.existed == len(list(SPEC.entities())) + len(SPEC.relationships)
    assert result.existed == 5, "the answers that were dropped after the work"


async def test_apply_waits_until_queries_see_the_result() -> None:
    with LocalAdt(Options(query_lag=1.0)) as server:
        async with AsyncAdtClient(server.endpoint) as client:
            await client.models.upload(definitions())
            blind = await plan_async(client, SPEC)
            assert (await apply(client, blind, settle_for=0.0)).settled is False

            settled = await apply(client, blind)

            assert settled.settled
            assert (await plan_async(client, SPEC)).empty


async def test_models_are_deleted_in_an_order_that_works(instance: LocalAdt) -> None:
    async with AsyncAdtClient(instance.endpoint) as client:
        with pytest.raises(ConflictError, match="ModelReferencesNotDeleted"):
            await client.models.delete("dtmi:remhart:smartgrid:MLEngine;2")


async def test_odd_ids_survive_the_way_there_and_back(instance: LocalAdt, tmp_path: Path) -> None:
    text = """\
version: 1
components:
  - {id: "a?b#c%20d", type: substation, feedsTo: ["it's", "x*y!"]}
  - {id: "it's", type: meter, manufacturer: "O'Neill \\\\ Söhne \\u4e2d"}
  - {id: "x*y!", type: meter, manufacturer: "2012-05-14"}
"""
    spec = load_text(text)
    async with AsyncAdtClient(instance.endpoint) as client:
        assert (await apply(client, await plan_async(client, spec))).settled
        live = await fetch_async(client)
    assert make_plan(spec, live).empty
    assert state(load_text(to_yaml(live))) == state(spec)
