"""Every face under the faults of a network: what is repeated, what is raised, and as what."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable

import pytest
from faultserver import ETAG, HALF, HANG, RESET, TWIN, Answer, FaultServer, error, ok

from remhart_adt.client import AdtClient, AsyncAdtClient, Limits, Patch, RetryPolicy, Throttle
from remhart_adt.client.hotpath import HotPath
from remhart_adt.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)

PATCH = Patch().add("a", 1)
QUICK = RetryPolicy(deadline=20.0, first=0.01, longest=0.05)
SHORT = RetryPolicy(deadline=0.3, first=0.05, longest=0.05)

Runner = Callable[..., Awaitable[object]]


async def via_sync(server: FaultServer, verb: str, retry: RetryPolicy, timeout: float) -> object:
    def work() -> object:
        options = {"retry": retry, "timeout": timeout, "throttle": Throttle(Limits.unlimited())}
        with AdtClient(server.endpoint, **options) as client:  # type: ignore[arg-type]
            if verb == "get":
                return client.twins.get("t")
            if verb == "patch":
                return client.twins.patch("t", PATCH)
            return list(client.query("SELECT * FROM digitaltwins"))

    return await asyncio.to_thread(work)


async def via_async(server: FaultServer, verb: str, retry: RetryPolicy, timeout: float) -> object:
    throttle = Throttle(Limits.unlimited())
    async with AsyncAdtClient(server.endpoint, retry=retry, timeout=timeout, throttle=throttle) as client:
        if verb == "get":
            return await client.twins.get("t")
        if verb == "patch":
            return await client.twins.patch("t", PATCH)
        return [row async for row in client.query("SELECT * FROM digitaltwins")]


async def via_hotpath(server: FaultServer, verb: str, retry: RetryPolicy, timeout: float) -> object:
    async with HotPath(server.endpoint, retry=retry, timeout=timeout, limits=Limits.unlimited()) as client:
        if verb == "get":
            return (await client.get_twin("t"))[0]
        return await client.patch_twin("t", bytes(PATCH))


FACES = [(via_sync, v) for v in ("get", "patch", "query")] + [(via_async, v) for v in ("get", "patch", "query")]
FACES += [(via_hotpath, v) for v in ("get", "patch")]
GOOD = {"get": ok(TWIN), "patch": ok(None, 204), "query": ok({"value": [TWIN], "continuationToken": None})}
RESULT = {"get": TWIN, "patch": ETAG, "query": [TWIN]}
TRANSIENT = {
    "429 without Retry-After": error(429),
    "408": error(408),
    "500": error(500),
    "502 from a proxy": Answer(502, b"<html>bad gateway</html>"),
    "503": error(503, "ServiceUnavailable"),
    "reset": RESET,
    "half an answer": HALF,
}


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_a_passing_fault_is_repeated(face: Runner, verb: str, fault: str) -> None:
    with FaultServer(TRANSIENT[fault], TRANSIENT[fault], GOOD[verb]) as server:
        result = await face(server, verb, QUICK, 5.0)

    assert result == RESULT[verb]
    assert len(server.seen) == 3
    assert len({(seen.method, seen.path, seen.body) for seen in server.seen}) == 1, "the same request each time"


@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_no_request_is_repeated_behind_the_policys_back(face: Runner, verb: str) -> None:
    told: list[float] = []
    policy = dataclasses.replace(QUICK, on_retry=lambda _error, wait: told.append(wait))
    with FaultServer(RESET, GOOD[verb]) as server:
        await face(server, verb, policy, 5.0)

    assert len(server.seen) == 1 + len(told) == 2


@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_a_hanging_server_is_given_up_and_asked_again(face: Runner, verb: str) -> None:
    with FaultServer(HANG, GOOD[verb]) as server:
        result = await face(server, verb, QUICK, 0.3)

    assert result == RESULT[verb]


@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_retry_after_is_kept(face: Runner, verb: str) -> None:
    with FaultServer(error(429, Retry_After="1"), GOOD[verb]) as server:
        assert await face(server, verb, QUICK, 5.0) == RESULT[verb]

    first, second = server.seen
    assert second.at - first.at >= 1.0


@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_the_deadline_ends_the_repetitions_with_the_last_error(face: Runner, verb: str) -> None:
    begun = time.monotonic()
    with FaultServer(error(503, "ServiceUnavailable", "busy")) as server, pytest.raises(UnavailableError) as caught:
        await face(server, verb, SHORT, 5.0)

    assert 3 <= len(server.seen) <= 12
    assert time.monotonic() - begun < 5.0
    assert caught.value.status == 503
    assert "busy" in str(caught.value)


@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_a_retry_after_beyond_the_deadline_is_raised_at_once(face: Runner, verb: str) -> None:
    with FaultServer(error(429, Retry_After="60")) as server, pytest.raises(ThrottledError) as caught:
        await face(server, verb, SHORT, 5.0)

    assert len(server.seen) == 1
    assert caught.value.retry_after == 60.0


async def test_nobody_listening_is_unreachable_with_a_remedy() -> None:
    with FaultServer(ok()) as server:
        pass
    for face in (via_sync, via_async, via_hotpath):
        with pytest.raises(UnavailableError) as caught:
            await face(server, "get", SHORT, 5.0)
        assert "twin t" in str(caught.value)
        assert "Check that the endpoint is right" in str(caught.value)


FINAL = [
    (400, "ValidationFailed", BadRequestError),
    (401, "", UnauthorizedError),
    (403, "", ForbiddenError),
    (404, "DigitalTwinNotFound", NotFoundError),
    (409, "ModelIdAlreadyExists", ConflictError),
    (412, "PreconditionFailed", PreconditionFailedError),
    (413, "", BadRequestError),
    (501, "NotImplemented", ServiceError),
]


@pytest.mark.parametrize(("status", "code", "kind"), FINAL)
@pytest.mark.parametrize(("face", "verb"), FACES)
async def test_an_answer_that_repeating_cannot_change_is_raised_at_once(
    face: Runner, verb: str, status: int, code: str, kind: type[ServiceError]
) -> None:
    with FaultServer(error(status, code, "the reason")) as server, pytest.raises(ServiceError) as caught:
        await face(server, verb, QUICK, 5.0)

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, code)
    assert "the reason" in str(caught.value)
    assert len(server.seen) == 1


@pytest.mark.parametrize("face", [via_sync, via_async, via_hotpath])
async def test_a_web_page_instead_of_json_is_not_repeated(face: Runner) -> None:
    with FaultServer(Answer(200, b"<html>welcome</html>")) as server, pytest.raises(ServiceError) as caught:
        await face(server, "get", QUICK, 5.0)

    assert caught.value.code == "NotJson"
    assert len(server.seen) == 1


async def test_a_delete_whose_answer_was_lost_is_done() -> None:
    with FaultServer(RESET, error(404, "DigitalTwinNotFound")) as server:
        async with AsyncAdtClient(server.endpoint, retry=QUICK) as client:
            await client.twins.delete("t")
        assert len(server.seen) == 2

    with (
        FaultServer(RESET, error(404, "DigitalTwinNotFound")) as server,
        AdtClient(server.endpoint, retry=QUICK) as one,
    ):
        one.twins.delete("t")

    with FaultServer(error(404, "Gone")) as server, AdtClient(server.endpoint) as one, pytest.raises(NotFoundError):
        one.twins.delete("t")


MODEL = {"@id": "dtmi:x;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3"}


@pytest.mark.parametrize(("there", "fine"), [(MODEL, True), ({**MODEL, "displayName": "other"}, False)])
async def test_an_upload_whose_answer_was_lost_is_done_if_the_same_models_are_there(there: dict, fine: bool) -> None:
    record = {"id": "dtmi:x;1", "displayName": {}, "description": {}, "decommissioned": False, "model": there}
    record["uploadTime"] = "2024-01-01T00:00:00.1234567+00:00"
    script = (RESET, error(409, "ModelIdAlreadyExists"), ok(record))

    with FaultServer(*script) as server, AdtClient(server.endpoint, retry=QUICK) as client:
        if fine:
            assert [row.id for row in client.models.upload([MODEL])] == ["dtmi:x;1"]
        else:
            with pytest.raises(ConflictError):
                client.models.upload([MODEL])
    with FaultServer(*script) as server:
        async with AsyncAdtClient(server.endpoint, retry=QUICK) as client:
            if fine:
                assert [row.id for row in await client.models.upload([MODEL])] == ["dtmi:x;1"]
            else:
                with pytest.raises(ConflictError):
                    await client.models.upload([MODEL])


async def test_pages_go_on_over_an_empty_one_and_over_a_fault_in_between() -> None:
    pages = [
        ok({"value": [{"$dtId": "a"}], "continuationToken": "one"}),
        ok({"value": [], "continuationToken": "two"}),
        error(502),
        ok({"value": [{"$dtId": "b"}], "continuationToken": None}),
    ]
    with FaultServer(*pages) as server:
        assert await via_sync(server, "query", QUICK, 5.0) == [{"$dtId": "a"}, {"$dtId": "b"}]
        assert [seen.json.get("continuationToken") for seen in server.seen] == [None, "one", "two", "two"]
    with FaultServer(*pages) as server:
        assert await via_async(server, "query", QUICK, 5.0) == [{"$dtId": "a"}, {"$dtId": "b"}]


async def test_a_throttled_twin_holds_only_itself() -> None:
    def answer(seen) -> Answer:
        hot = "/digitaltwins/hot" in seen.path and len([s for s in server.seen if "hot" in s.path]) == 1
        return error(429, Retry_After="1") if hot else ok(None, 204)

    with FaultServer(answer) as server:
        async with HotPath(server.endpoint) as client:
            begun = time.monotonic()
            held = asyncio.create_task(client.patch_twin("hot", b"[]"))
            await asyncio.sleep(0.05)
            await client.patch_twin("cold", b"[]")
            cold = time.monotonic() - begun
            await held
            hot = time.monotonic() - begun

    assert cold < 0.9
    assert hot >= 1.0
