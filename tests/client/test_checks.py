"""A client with models: what does not fit is refused before anything is sent; the server's journal is the witness."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.request import urlopen

import pytest

from remhart_adt.client import AdtClient, AsyncAdtClient, Limits, Patch, Throttle, connect, connect_async
from remhart_adt.client.checks import Checks
from remhart_adt.client.core import get_twin, patch_twin
from remhart_adt.dtdl import ModelSet, Report, parse
from remhart_adt.errors import BadRequestError, DtdlError, NotFoundError, PreconditionFailedError
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT
from remhart_adt.local.adt import LocalAdt
from remhart_adt.resources import dtdl_dir

DOCUMENTS = [json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))]
OURS = parse(dtdl_dir())
COMPONENT = {"$metadata": {"$model": DTMI_COMPONENT}, "componentType": "meter", "ratedCapacity": 5}
POINT = {"$metadata": {"$model": DTMI_POINT}, "mlEngine": {"$metadata": {}}}
FEEDS = {"$relationshipName": "feedsTo", "$targetId": "b"}


async def settle(value: Any) -> Any:
    """The result of a verb of either face."""
    if inspect.isawaitable(value):
        return await value
    if hasattr(value, "__aiter__"):
        return [row async for row in value]
    return list(value) if inspect.isgenerator(value) else value


class Stage:
    """A server with twins a, b (components) and p (a point), the relationship a/r, and a client that knows of none."""

    def __init__(self, server: LocalAdt, client: Any) -> None:
        self.client = client
        self._server = server
        with AdtClient(server.endpoint) as setup:
            setup.models.upload(DOCUMENTS)
            for twin in ("a", "b"):
                setup.twins.put(twin, COMPONENT)
            setup.twins.put("p", POINT)
            setup.relationships.put("a", "r", FEEDS)
        self._seen = 0
        self.requests()

    def requests(self) -> list[str]:
        """What has reached the server since the last time."""
        with urlopen(f"{self._server.admin}/journal?after={self._seen}") as answer:
            found = json.load(answer)
        self._seen = found["next"]
        return [f"{row['method']} {row['path'].partition('?')[0]}" for row in found["rows"]]

    async def refused(self, verb: Any, *args: Any, **options: Any) -> DtdlError:
        """The refusal of a call, none of which reached the server."""
        self.requests()
        with pytest.raises(DtdlError) as caught:
            await settle(verb(*args, **options))
        assert self.requests() == []
        return caught.value


def made(face: str, server: LocalAdt, models: ModelSet | None) -> Any:
    throttle = Throttle(Limits.unlimited())
    maker = AdtClient if face == "sync" else AsyncAdtClient
    return maker(server.endpoint, throttle=throttle, models=models)


@pytest.fixture(params=["sync", "async"])
async def stage(request: pytest.FixtureRequest, local_adt: LocalAdt):
    client = made(request.param, local_adt, OURS)
    yield Stage(local_adt, client)
    await settle(client.close())


async def test_an_invalid_patch_is_refused_and_nothing_reaches_the_server(stage: Stage) -> None:
    await settle(stage.client.twins.get("a"))
    error = await stage.refused(
        stage.client.twins.patch, "a", Patch().add("ratedCapacity", "big").add("colour", "red").add("energized", 1)
    )
    report = error.report
    assert isinstance(report, Report)
    assert [(p.kind, p.path, p.element) for p in report] == [
        ("wrong_type", "/ratedCapacity", DTMI_COMPONENT),
        ("unknown_property", "/colour", DTMI_COMPONENT),
        ("wrong_type", "/energized", DTMI_COMPONENT),
    ]
    assert str(error) == (
        "twin a: /ratedCapacity on Twin must be double (and 2 more problems). Send a value the model allows."
    )
    await settle(stage.client.twins.patch("a", Patch().add("ratedCapacity", 6)))
    assert stage.requests() == ["PATCH /digitaltwins/a"]


@pytest.mark.parametrize(
    "patch",
    [
        b'[{"op":"add","path":"/ratedCapacity","value":true}]',
        [{"op": "add", "path": "/$metadata/ratedCapacity/lastUpdateTime", "value": "2024-01-01T00:00:00Z"}],
        [{"op": "move", "from": "/ratedCapacity", "path": "/ratedCurrent"}],
        [{"op": "add", "path": "/electrical", "value": {"r1": 1, "nonsense": 2}}],
        [{"op": "add", "path": "/electrical/steps", "value": 1.0}],
        [{"op": "add", "path": "/manufacturer", "value": "x" * 4097}],
        [{"op": "add", "path": "/manufacturer", "value": None}],
        [{"op": "add", "path": "/installationDate", "value": "2024-02-30"}],
    ],
)
async def test_every_form_of_an_invalid_patch_is_refused(stage: Stage, patch: Any) -> None:
    await settle(stage.client.twins.get("a"))
    await stage.refused(stage.client.twins.patch, "a", patch)


async def test_puts_patches_and_telemetry_of_every_kind_are_checked(stage: Stage) -> None:
    client = stage.client
    for twin in ("a", "b", "p"):
        await settle(client.twins.get(twin))
    await settle(client.relationships.get("a", "r"))
    for verb, args, kind in (
        (client.twins.put, ("new", {**COMPONENT, "ratedCapacity": "5"}), "wrong_type"),
        (client.twins.put, ("new", {"$metadata": {"$model": DTMI_POINT}}), "missing_component"),
        (client.twins.put, ("new", {"ratedCapacity": 5}), "missing_model"),
        (client.twins.put, ("new", {**COMPONENT, "ratedCapacity": float("nan")}), "wrong_type"),
        (client.components.patch, ("p", "mlEngine", Patch().add("engineVersion", 1)), "wrong_type"),
        (client.components.patch, ("p", "nothing", Patch().add("engineVersion", "1")), "unknown_property"),
        (client.components.patch, ("p", "mlEngine", [{"op": "remove", "path": ""}]), "bad_path"),
        (client.relationships.put, ("a", "s", {**FEEDS, "loading": "much"}), "wrong_type"),
        (client.relationships.put, ("a", "s", {**FEEDS, "$relationshipName": "eats"}), "unknown_relationship"),
        (client.relationships.put, ("a", "s", {**FEEDS, "$targetId": "p"}), "wrong_target"),
        (client.relationships.patch, ("a", "r", Patch().add("loading", "much")), "wrong_type"),
        (client.relationships.patch, ("a", "r", Patch().add("$targetId", "p")), "read_only"),
        (client.telemetry.publish, ("p", {"nonsense": 1}), "unknown_telemetry"),
        (client.telemetry.publish, ("p", [1]), "wrong_type"),
    ):
        error = await stage.refused(verb, *args)
        assert [problem.kind for problem in error.report.errors] == [kind], args
    error = await stage.refused(client.telemetry.publish, "p", {"nonsense": 1}, component="mlEngine")
    assert [problem.kind for problem in error.report] == ["unknown_telemetry"]


async def test_what_fits_is_sent_as_ever(stage: Stage) -> None:
    client = stage.client
    assert (await settle(client.twins.put("new", {**COMPONENT, "ratedCapacity": 7})))["ratedCapacity"] == 7
    await settle(client.twins.patch("new", Patch().add("electrical", {"r1": 0.1}), etag=None))
    await settle(client.components.patch("p", "mlEngine", Patch().add("engineVersion", "1")))
    await settle(client.relationships.put("new", "s", {**FEEDS, "loading": 0.5}))
    await settle(client.relationships.patch("new", "s", Patch().add("loading", 0.6)))
    await settle(client.twins.modify("a", lambda twin: Patch().add("ratedCapacity", twin["ratedCapacity"] + 1)))
    assert (await settle(client.twins.get("a")))["ratedCapacity"] == 6


async def test_a_replace_that_may_fail_is_only_a_warning(stage: Stage) -> None:
    await settle(stage.client.twins.patch("a", [{"op": "replace", "path": "/ratedCapacity", "value": 9}]))
    with pytest.raises(BadRequestError, match="does not exist on component"):
        await settle(stage.client.twins.patch("a", [{"op": "replace", "path": "/manufacturer", "value": "x"}]))


async def test_a_model_is_fetched_once_for_each_twin_and_then_remembered(stage: Stage) -> None:
    bad = Patch().add("loading", "much")
    for verb, args in (
        (stage.client.twins.patch, ("a", Patch().add("ratedCapacity", "big"))),
        (stage.client.relationships.patch, ("a", "r", bad)),
        (stage.client.relationships.put, ("a", "s", {**FEEDS, "loading": "much"})),
    ):
        with pytest.raises(DtdlError):
            await settle(verb(*args))
    assert stage.requests() == [
        "GET /digitaltwins/a",
        "GET /digitaltwins/a/relationships/r",
        "GET /digitaltwins/b",
    ]
    for _ in range(2):
        await stage.refused(stage.client.relationships.patch, "a", "r", bad)


async def test_a_listed_relationship_need_not_be_read_again(stage: Stage) -> None:
    await settle(stage.client.twins.get("a"))
    assert len(await settle(stage.client.relationships.list("a"))) == 1
    await stage.refused(stage.client.relationships.patch, "a", "r", Patch().add("loading", "much"))


async def test_what_does_not_exist_is_left_to_the_service(stage: Stage) -> None:
    client = stage.client
    for verb, args in (
        (client.twins.patch, ("nobody", Patch().add("ratedCapacity", 1))),
        (client.relationships.put, ("nobody", "r", FEEDS)),
        (client.relationships.put, ("a", "s", {**FEEDS, "$targetId": "nobody"})),
        (client.relationships.patch, ("a", "nothing", Patch().add("loading", 1))),
        (client.telemetry.publish, ("nobody", {})),
    ):
        with pytest.raises(NotFoundError):
            await settle(verb(*args))


def small(name: str, *properties: str) -> dict[str, Any]:
    contents = [{"@type": "Property", "name": key, "schema": "double"} for key in properties]
    context = "dtmi:dtdl:context;3"
    return {"@context": context, "@id": f"dtmi:test:{name};1", "@type": "Interface", "contents": contents}


OLD, NEW = small("Old", "x", "y"), small("New", "x")


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_a_change_of_the_model_is_known_once_it_has_succeeded(local_adt: LocalAdt, face: str) -> None:
    client = made(face, local_adt, parse(OLD, NEW))
    await settle(client.models.upload([OLD, NEW]))
    await settle(client.twins.put("t", {"$metadata": {"$model": OLD["@id"]}, "y": 1}))

    with pytest.raises(PreconditionFailedError):
        await settle(client.twins.patch("t", Patch().model(NEW["@id"]).remove("y"), etag='W/"stale"'))
    await settle(client.twins.patch("t", Patch().add("y", 2)))
    with pytest.raises(DtdlError, match="no property y"):
        await settle(client.twins.patch("t", Patch().model(NEW["@id"]).add("y", 3)))
    await settle(client.twins.patch("t", Patch().model(NEW["@id"]).remove("y")))
    with pytest.raises(DtdlError, match="no property y"):
        await settle(client.twins.patch("t", Patch().add("y", 4)))
    await settle(client.close())


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_a_change_to_a_model_that_is_not_among_them_is_not_checked(local_adt: LocalAdt, face: str) -> None:
    client = made(face, local_adt, parse(OLD))
    await settle(client.models.upload([OLD, NEW]))
    await settle(client.twins.put("t", {"$metadata": {"$model": OLD["@id"]}}))

    await settle(client.twins.patch("t", Patch().model(NEW["@id"]).add("x", 1)))
    with pytest.raises(BadRequestError):
        await settle(client.twins.patch("t", Patch().add("y", 1)))
    await settle(client.close())


@pytest.mark.parametrize("face", ["sync", "async"])
async def test_a_change_that_somebody_else_made_shows_when_a_call_fails_or_the_twin_is_read(
    local_adt: LocalAdt, face: str
) -> None:
    client = made(face, local_adt, parse(OLD, NEW))
    await settle(client.models.upload([OLD, NEW]))
    for twin in ("t", "u"):
        await settle(client.twins.put(twin, {"$metadata": {"$model": OLD["@id"]}}))
    with AdtClient(local_adt.endpoint) as other:
        for twin in ("t", "u"):
            other.twins.patch(twin, Patch().model(NEW["@id"]))

    with pytest.raises(BadRequestError):
        await settle(client.twins.patch("t", Patch().add("y", 1)))
    await settle(client.twins.get("u"))
    for twin in ("t", "u"):
        with pytest.raises(DtdlError, match="no property y"):
            await settle(client.twins.patch(twin, Patch().add("y", 1)))
    await settle(client.close())


async def test_a_deleted_twin_is_forgotten(stage: Stage) -> None:
    client = stage.client
    await settle(client.twins.put("new", COMPONENT))
    await settle(client.twins.delete("new"))
    with AdtClient(client.endpoint) as other:
        other.twins.put("new", POINT)
    await settle(client.twins.patch("new", Patch().add("isSimulation", True)))


async def test_a_twin_of_a_foreign_model_is_not_checked(stage: Stage) -> None:
    foreign = {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:other:Thing;1", "@type": "Interface"}
    await settle(stage.client.models.upload([foreign]))
    await settle(stage.client.twins.put("t", {"$metadata": {"$model": "dtmi:other:Thing;1"}}))
    with pytest.raises(BadRequestError):
        await settle(stage.client.twins.patch("t", Patch().add("nonsense", 1)))
    with pytest.raises(BadRequestError):
        await settle(stage.client.twins.put("t", {"$metadata": {"$model": "dtmi:other:Thing;1"}, "nonsense": 1}))
    with pytest.raises(BadRequestError):
        await settle(stage.client.relationships.put("t", "r", FEEDS))


async def test_values_that_become_sound_json_are_sent(stage: Stage) -> None:
    class Status(StrEnum):
        FAULT = "fault"

    when = datetime(2024, 1, 1, tzinfo=UTC)
    await settle(stage.client.twins.put("new", {**COMPONENT, "status": Status.FAULT, "lastUpdatedAt": when}))
    found = await settle(stage.client.twins.get("new"))
    assert (found["status"], found["lastUpdatedAt"][:19]) == ("fault", "2024-01-01T00:00:00")


async def test_without_models_everything_is_left_to_the_service(local_adt: LocalAdt) -> None:
    for face in ("sync", "async"):
        client = made(face, local_adt, None)
        if face == "sync":
            client.models.upload(DOCUMENTS)
        with pytest.raises(BadRequestError):
            await settle(client.twins.put("a", {**COMPONENT, "ratedCapacity": "5"}))
        await settle(client.close())


async def test_the_short_ways_to_a_client_take_models_too(local_adt: LocalAdt) -> None:
    with connect(local_adt.endpoint, models=OURS) as one, pytest.raises(DtdlError):
        one.twins.put("a", {**COMPONENT, "ratedCapacity": "5"})
    async with connect_async(local_adt.endpoint, models=OURS) as other:
        with pytest.raises(DtdlError):
            await other.twins.put("a", {**COMPONENT, "ratedCapacity": "5"})


def test_the_memory_is_bounded_and_what_was_used_last_stays() -> None:
    checks = Checks(OURS, remembered=100)
    for n in range(1000):
        checks.heard(get_twin(f"t{n}"), COMPONENT)
        assert list(checks.reads(patch_twin("t0", Patch(), None))) == []
    unknown = [n for n in range(1000) if list(checks.reads(patch_twin(f"t{n}", Patch(), None)))]
    assert len(unknown) == 900
    assert unknown == list(range(1, 901))


def test_importing_the_client_does_not_import_the_language() -> None:
    code = "import sys, remhart_adt.client; print([m for m in sys.modules if m.startswith('remhart_adt.dtdl')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
