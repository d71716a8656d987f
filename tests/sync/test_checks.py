"""The models that the daemon reads with the graph, and what it refuses by them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from streams import component_twin, point_twin, reading, relation, small_graph

from remhart_adt.client import AsyncAdtClient, Limits, RetryPolicy, Throttle
from remhart_adt.clock import SYSTEM, format_us
from remhart_adt.graph.load import our_models
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT
from remhart_adt.local.adt import LocalAdt
from remhart_adt.resources import dtdl_dir
from remhart_adt.sync.app import Daemon
from remhart_adt.sync.checks import ModelChecks
from remhart_adt.sync.config import load_config
from remhart_adt.sync.deadletter import read_rows
from remhart_adt.sync.lanes import Target
from remhart_adt.testing import local_adt

__all__ = ["local_adt"]

DOCUMENTS = [json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))]
TWINS = [point_twin("mp"), component_twin("c", "meter")]
WRONG = [{"op": "add", "path": "/activeAlarmCount", "value": "three"}]
RIGHT = [{"op": "add", "path": "/activeAlarmCount", "value": 3}]


def refusal(checks: ModelChecks, patch: list[dict[str, Any]]) -> str:
    return checks.refusal(Target("mp"), TWINS[0], patch)


def journal(server: LocalAdt) -> list[dict[str, Any]]:
    with urlopen(f"{server.admin}/journal") as answer:
        return json.load(answer)["rows"]


@pytest.fixture
async def client(local_adt: LocalAdt):
    retry = RetryPolicy(deadline=0.1)
    async with AsyncAdtClient(local_adt.endpoint, retry=retry, throttle=Throttle(Limits.unlimited())) as one:
        await one.models.upload(DOCUMENTS)
        yield one


async def test_the_models_of_the_graph_are_read_with_what_they_need(client: AsyncAdtClient) -> None:
    checks = ModelChecks()
    assert refusal(checks, WRONG) == ""
    await checks.refresh(client, TWINS)
    assert refusal(checks, WRONG) == "/activeAlarmCount on Twin must be integer."
    assert refusal(checks, RIGHT) == ""
    below = "/mlEngine/monitoringPredictions/voltageAnomalyDetection/status"
    assert "must be one of" in refusal(checks, [{"op": "add", "path": below, "value": "good"}])
    edge = relation("c", "feedsTo", "d")
    patch = [{"op": "add", "path": "/loading", "value": "much"}]
    assert "must be double" in checks.refusal(Target("c", "feedsTo.d"), edge, patch)
    assert checks.refusal(Target("nobody", "feedsTo.d"), edge, patch) == ""


async def test_a_model_that_was_made_again_under_the_same_id_is_read_anew(client: AsyncAdtClient) -> None:
    checks = ModelChecks()
    await checks.refresh(client, TWINS)
    point = next(document for document in DOCUMENTS if document["@id"] == DTMI_POINT)
    name = "activeAlarmCount"
    contents = [{**item, "schema": "string"} if item["name"] == name else item for item in point["contents"]]
    await client.models.delete(DTMI_POINT)
    await client.models.upload([{**point, "contents": contents}])
    assert refusal(checks, WRONG)
    await checks.refresh(client, TWINS)
    assert refusal(checks, WRONG) == ""
    assert refusal(checks, RIGHT) == "/activeAlarmCount on Twin must be string."


async def test_a_twin_that_has_outlived_its_model_is_not_checked_and_the_others_are(client: AsyncAdtClient) -> None:
    checks = ModelChecks()
    await client.models.delete(DTMI_POINT)
    await checks.refresh(client, TWINS)
    assert refusal(checks, WRONG) == ""
    patch = [{"op": "add", "path": "/energized", "value": 1}]
    assert checks.refusal(Target("c"), TWINS[1], patch) == "/energized on Twin must be boolean."


async def test_without_readable_models_nothing_is_refused_until_they_are_readable_again(client: AsyncAdtClient) -> None:
    checks = ModelChecks()
    await checks.refresh(client, TWINS)
    assert refusal(checks, WRONG)
    async with AsyncAdtClient("http://127.0.0.1:9", retry=RetryPolicy(deadline=0.1)) as nowhere:
        await checks.refresh(nowhere, TWINS)
    assert refusal(checks, WRONG) == ""
    await checks.refresh(client, TWINS)
    assert refusal(checks, WRONG)


@pytest.mark.slow
async def test_the_daemon_sends_nothing_that_the_models_of_its_graph_refuse(
    local_adt: LocalAdt, client: AsyncAdtClient, tmp_path: Path
) -> None:
    """An instance whose interface of points wants another frequency than the daemon writes."""
    point = next(document for document in DOCUMENTS if document["@id"] == DTMI_POINT)
    kept = {"@type": "Property", "name": "frequency", "schema": "string"}
    contents = [kept if item["name"] == "frequency" else item for item in point["contents"]]
    await client.models.delete(DTMI_POINT)
    await client.models.upload([{**point, "contents": contents}])
    twins, relationships = small_graph()
    for twin in twins:
        await client.twins.put(twin["$dtId"], twin)
    for row in relationships:
        await client.relationships.put(row["$sourceId"], row["$relationshipId"], row)
    start = SYSTEM.now_us() - 10_000_000
    bodies = [reading("mp-1", 0, timestamp=format_us(start + t * 1_000_000)) for t in (0, 4)]
    (tmp_path / "readings.ndjson").write_text("".join(json.dumps(body) + "\n" for body in bodies))
    flags = {
        "adt": {"endpoint": local_adt.endpoint},
        "source": {"file": tmp_path / "readings.ndjson", "speed": 1.0},
        "checkpoint": {"path": tmp_path / "checkpoints.db"},
        "health": {"port": None},
        "dead_letter": tmp_path / "dead",
        "report": tmp_path / "report.json",
    }

    assert await Daemon(load_config(None, flags)).run() == 0

    assert json.loads((tmp_path / "report.json").read_text())["rejected_paths"] == 1
    (file,) = (tmp_path / "dead").iterdir()
    assert {(row["cause"], row["message"]) for row in read_rows(file)} == {("rejected", "/frequency was refused")}
    found = await client.twins.get("mp-1")
    assert found["lastReadingAt"] in [body["timestamp"] for body in bodies]
    assert "frequency" not in found
    patches = [row for row in journal(local_adt) if row["method"] == "PATCH"]
    assert patches
    assert {row["status"] for row in patches} == {204}
    assert not any(op["path"].startswith("/frequency") for row in patches for op in row["body"])


def test_a_value_is_judged_by_what_it_is_on_the_wire() -> None:
    checks = ModelChecks(our_models(), {"c": DTMI_COMPONENT})

    class Connectivity(StrEnum):
        ONLINE = "online"
        ASLEEP = "asleep"

    assert refusal(checks, [{"op": "add", "path": "/connectivity", "value": Connectivity.ONLINE}]) == ""
    assert refusal(checks, [{"op": "add", "path": "/connectivity", "value": Connectivity.ASLEEP}])
    assert refusal(checks, [{"op": "add", "path": "/voltage", "value": {"phaseA": float("nan")}}])
    assert refusal(checks, [{"op": "add", "path": "/voltage", "value": {"phaseA": None}}])
