"""Every verb of every face against the local server, over real sockets."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from remhart_adt.client import AdtClient, AsyncAdtClient, Limits, Patch, Throttle
from remhart_adt.client import aio as aio_module
from remhart_adt.client import sync as sync_module
from remhart_adt.client.hotpath import HotPath
from remhart_adt.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
)
from remhart_adt.ids import DTMI_COMPONENT, DTMI_ENGINE, DTMI_POINT
from remhart_adt.local.adt import LocalAdt
from remhart_adt.resources import dtdl_dir

MODELS = [json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))]
COMPONENT = {"$metadata": {"$model": DTMI_COMPONENT}, "componentType": "meter", "ratedCapacity": 5}
POINT = {"$metadata": {"$model": DTMI_POINT}, "mlEngine": {"$metadata": {}}}


async def settle(value: Any) -> Any:
    """The result of a verb of either face: awaits, and drains iterators."""
    if inspect.isawaitable(value):
        return await value
    if hasattr(value, "__aiter__"):
        return [row async for row in value]
    if inspect.isgenerator(value):
        return list(value)
    return value


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, local_adt: LocalAdt):
    throttle = Throttle(Limits.unlimited())
    if request.param == "sync":
        with AdtClient(local_adt.endpoint, throttle=throttle) as one:
            yield one
    else:
        async with AsyncAdtClient(local_adt.endpoint, throttle=throttle) as other:
            yield other


def test_both_faces_have_the_same_verbs_with_the_same_parameters() -> None:
    for group in ("Models", "Twins", "Components", "Relationships", "Telemetry"):
        one, other = getattr(sync_module, group), getattr(aio_module, group)
        verbs = [name for name in vars(one) if not name.startswith("_")]
        assert verbs == [name for name in vars(other) if not name.startswith("_")]
        for verb in verbs:
            ours, theirs = inspect.signature(getattr(one, verb)), inspect.signature(getattr(other, verb))
            assert list(ours.parameters) == list(theirs.parameters), (group, verb)
            assert getattr(one, verb).__doc__ == getattr(other, verb).__doc__


async def test_models(client: Any) -> None:
    uploaded = await settle(client.models.upload(MODELS))
    assert {record.id for record in uploaded} == {model["@id"] for model in MODELS}
    with pytest.raises(ConflictError, match="new version"):
        await settle(client.models.upload(MODELS[:1]))

    listed = await settle(client.models.list())
    assert len(listed) == 4
    assert all(record.definition is None for record in listed)
    full = await settle(client.models.list(include_definition=True))
    assert {record.id: record.definition for record in full} == {model["@id"]: model for model in MODELS}
    needed = await settle(client.models.list(dependencies_for=[DTMI_POINT]))
    assert {record.id for record in needed} == {DTMI_POINT, DTMI_ENGINE}

    one = await settle(client.models.get(DTMI_ENGINE))
    assert one.definition["@id"] == DTMI_ENGINE
    assert one.display_name["en"]
    assert one.uploaded
    with pytest.raises(NotFoundError, match="models upload"):
        await settle(client.models.get("dtmi:no:such;1"))
    with pytest.raises(BadRequestError, match="together with what they use"):
        await settle(client.models.upload([{**MODELS[0], "@id": "dtmi:a:b;1", "extends": "dtmi:c:d;1"}]))

    with pytest.raises(ConflictError, match="Decommission the models that"):
        await settle(client.models.decommission(DTMI_ENGINE))
    await settle(client.models.decommission(DTMI_POINT))
    assert (await settle(client.models.get(DTMI_POINT))).decommissioned
    with pytest.raises(ConflictError, match="extend or contain"):
        await settle(client.models.delete(DTMI_ENGINE))
    await settle(client.models.delete(DTMI_POINT))
    await settle(client.models.delete(DTMI_ENGINE))
    with pytest.raises(NotFoundError):
        await settle(client.models.delete(DTMI_ENGINE))


async def test_twins(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    made = await settle(client.twins.put("a/b ü%", COMPONENT))
    assert (made["$dtId"], made["ratedCapacity"]) == ("a/b ü%", 5)
    with pytest.raises(PreconditionFailedError):
        await settle(client.twins.put("a/b ü%", COMPONENT, only_new=True))
    assert (await settle(client.twins.put("a/b ü%", {**COMPONENT, "ratedCapacity": 6})))["ratedCapacity"] == 6

    before = (await settle(client.twins.get("a/b ü%")))["$etag"]
    after = await settle(client.twins.patch("a/b ü%", Patch().add("ratedCapacity", 7).add("manufacturer", "x")))
    assert (await settle(client.twins.get("a/b ü%")))["$etag"] == after != before
    with pytest.raises(PreconditionFailedError, match="new ETag"):
        await settle(client.twins.patch("a/b ü%", Patch().remove("manufacturer"), etag=before))
    for form in (Patch().add("ratedCapacity", 8), b'[{"op":"add","path":"/ratedCapacity","value":8}]'):
        after = await settle(client.twins.patch("a/b ü%", form, etag=after))
    assert (await settle(client.twins.get("a/b ü%")))["ratedCapacity"] == 8

    with pytest.raises(BadRequestError, match="nonsense"):
        await settle(client.twins.patch("a/b ü%", Patch().add("nonsense", 1)))
    for slip in ({"op": "add"}, ["/path"]):
        with pytest.raises(TypeError, match="list of operations"):
            await settle(client.twins.patch("a/b ü%", slip))
    with pytest.raises(ValueError, match="JSON compliant"):
        await settle(client.twins.patch("a/b ü%", [{"op": "add", "path": "/x", "value": float("nan")}]))
    with pytest.raises(PreconditionFailedError):
        await settle(client.twins.delete("a/b ü%", etag=before))
    await settle(client.twins.delete("a/b ü%", etag=after))
    for verb in (client.twins.get, client.twins.delete):
        with pytest.raises(NotFoundError):
            await settle(verb("a/b ü%"))


async def test_modify_reads_again_after_a_lost_race(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    await settle(client.twins.put("t", COMPONENT))
    rival = AdtClient(client.endpoint)
    seen: list[float] = []

    def add_one(document: dict[str, Any]) -> Patch:
        seen.append(document["ratedCapacity"])
        if len(seen) == 1:
            rival.twins.patch("t", Patch().add("ratedCapacity", 100))
        return Patch().add("ratedCapacity", document["ratedCapacity"] + 1)

    etag = await settle(client.twins.modify("t", add_one))
    twin = await settle(client.twins.get("t"))
    assert (seen, twin["ratedCapacity"], twin["$etag"]) == ([5, 100], 101, etag)

    def always_lose(document: dict[str, Any]) -> Patch:
        rival.twins.patch("t", Patch().add("ratedCapacity", 1))
        return Patch().add("ratedCapacity", 2)

    with pytest.raises(PreconditionFailedError):
        await settle(client.twins.modify("t", always_lose, tries=2))
    now = (await settle(client.twins.get("t")))["$etag"]
    assert await settle(client.twins.modify("t", lambda _document: None)) == now
    rival.close()


async def test_components(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    await settle(client.twins.put("p", POINT))

    etag = await settle(client.components.patch("p", "mlEngine", Patch().add("engineVersion", "1")))

    assert (await settle(client.components.get("p", "mlEngine")))["engineVersion"] == "1"
    assert (await settle(client.twins.get("p")))["$etag"] == etag
    with pytest.raises(NotFoundError):
        await settle(client.components.get("p", "nothing"))


async def test_relationships(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    for twin in ("a", "b"):
        await settle(client.twins.put(twin, COMPONENT))
    body = {"$relationshipName": "feedsTo", "$targetId": "b"}
    for number in range(23):  # three pages of the service's ten
        await settle(client.relationships.put("a", f"r{number:02}", body))
    await settle(client.relationships.put("a", "inverse", {"$relationshipName": "fedBy", "$targetId": "b"}))

    assert len(await settle(client.relationships.list("a"))) == 24
    assert [row["$relationshipId"] for row in await settle(client.relationships.list("a", name="fedBy"))] == ["inverse"]
    incoming = await settle(client.relationships.incoming("b"))
    assert len(incoming) == 24
    assert {(row["$sourceId"], row["$relationshipName"]) for row in incoming} == {("a", "feedsTo"), ("a", "fedBy")}
    with pytest.raises(PreconditionFailedError):
        await settle(client.relationships.put("a", "r00", body, only_new=True))
    with pytest.raises(NotFoundError):
        await settle(client.relationships.put("a", "x", {**body, "$targetId": "nobody"}))

    before = (await settle(client.relationships.get("a", "r00")))["$etag"]
    after = await settle(client.relationships.patch("a", "r00", Patch().add("loading", 0.5), etag=before))
    found = await settle(client.relationships.get("a", "r00"))
    assert (found["loading"], found["$etag"]) == (0.5, after)
    with pytest.raises(BadRequestError, match="outgoing and incoming"):
        await settle(client.twins.delete("b"))
    await settle(client.relationships.delete("a", "r00", etag=after))
    with pytest.raises(NotFoundError):
        await settle(client.relationships.get("a", "r00"))


async def test_telemetry(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    await settle(client.twins.put("p", POINT))

    await settle(client.telemetry.publish("p", {"alarmRaised": {}}, message_id="m", source_time="2024-01-01T00:00:00Z"))
    await settle(client.telemetry.publish("p", {"x": 1}, component="mlEngine"))
    with pytest.raises(NotFoundError):
        await settle(client.telemetry.publish("nobody", {}))


async def test_queries_over_several_pages(client: Any) -> None:
    await settle(client.models.upload(MODELS))
    for number in range(25):
        await settle(client.twins.put(f"t{number}", COMPONENT))

    rows = await settle(client.query("SELECT * FROM digitaltwins", page_size=10))

    assert {row["$dtId"] for row in rows} == {f"t{number}" for number in range(25)}
    with pytest.raises(BadRequestError, match="SQL Parser Error"):
        await settle(client.query("SELEC"))


async def test_the_fast_path(local_adt: LocalAdt) -> None:
    with AdtClient(local_adt.endpoint) as setup:
        setup.models.upload(MODELS)
        setup.twins.put("a b", COMPONENT)
        setup.twins.put("c", COMPONENT)
        setup.relationships.put("a b", "r/1", {"$relationshipName": "feedsTo", "$targetId": "c"})
    async with HotPath(local_adt.endpoint) as client:
        twin, etag = await client.get_twin("a b")
        assert twin["$etag"] == etag
        newer = await client.patch_twin("a b", bytes(Patch().add("loadFactor", 0.5)), etag)
        assert (await client.get_twin("a b"))[1] == newer != etag
        with pytest.raises(PreconditionFailedError):
            await client.patch_twin("a b", b"[]", etag)
        with pytest.raises(BadRequestError):
            await client.patch_twin("a b", b'[{"op":"add","path":"/nonsense","value":1}]')
        with pytest.raises(NotFoundError):
            await client.patch_twin("nobody", b"[]")

        _, rel_etag = await client.get_relationship("a b", "r/1")
        newest = await client.patch_relationship("a b", "r/1", bytes(Patch().add("loading", 0.5)), rel_etag)
        document, now = await client.get_relationship("a b", "r/1")
        assert (document["loading"], now) == (0.5, newest)

        await client.publish_telemetry("a b", {"x": 1}, "m1", "2024-01-01T00:00:00Z")
        await client.publish_telemetry("a b", b'{"x":1}', "m2")
        with pytest.raises(NotFoundError):
            await client.publish_telemetry("nobody", {}, "m3")


async def test_the_asynchronous_face_works_without_aiohttp(
    local_adt: LocalAdt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio_module, "find_spec", lambda _name: None)
    async with AsyncAdtClient(local_adt.endpoint) as client:
        assert type(client._sdk._client._client._pipeline._transport).__name__ == "AsyncioRequestsTransport"
        await client.models.upload(MODELS)
        await client.twins.put("t", COMPONENT)
        await client.twins.patch("t", Patch().add("ratedCapacity", 1))
        assert [row["ratedCapacity"] async for row in client.query("SELECT * FROM digitaltwins")] == [1]
