"""Microsoft's Python clients and jobs: the public ones have none, the layer below them does, and it works unchanged."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient
from job_stage import ACCOUNT, FLOOR, METER, above, floor, whole

from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.testing import AsyncLocalCredential, LocalCredential


class Policy(SansIOHTTPPolicy[Any, Any]):
    def on_request(self, request: Any) -> None:
        request.http_request.headers["Authorization"] = "Bearer local"


def test_the_public_clients_have_no_jobs() -> None:
    for client in (DigitalTwinsClient, AsyncDigitalTwinsClient):
        assert not [name for name in dir(client) if "job" in name.lower()]


@pytest.mark.node
def test_the_javascript_client_has_no_jobs_at_all() -> None:
    package = Path(__file__).resolve().parents[4] / "tools" / "node" / "node_modules" / "@azure" / "digital-twins-core"
    files = [*package.glob("types/*.d.ts"), *package.glob("dist/*.js")]
    assert len(files) >= 2
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "/digitaltwins/{id}" in text or "upsertDigitalTwin" in text
        assert "/jobs/" not in text
        assert not re.search(r"(import|delete)_?jobs?\b", text, re.IGNORECASE)


async def settle(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def gathered(pages: Any) -> list[Any]:
    return [item async for item in pages] if hasattr(pages, "__aiter__") else await asyncio.to_thread(list, pages)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_import_and_delete_jobs_from_the_layer_below(kind: str, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "in.ndjson").write_bytes(
        whole([FLOOR, METER], [floor("a"), floor("b")], [above("a", "b", height=1.5)])
    )
    server = await asyncio.to_thread(LocalAdt(Options(blob_folder=tmp_path)).start)
    client: Any
    if kind == "sync":
        client = DigitalTwinsClient(
            server.endpoint, LocalCredential(server.control, "ada"), authentication_policy=Policy()
        )
    else:
        client = AsyncDigitalTwinsClient(
            server.endpoint, AsyncLocalCredential(server.control, "ada"), authentication_policy=Policy()
        )

    async def call(method: Any, *args: Any, **kwargs: Any) -> Any:
        if kind == "sync":
            return await asyncio.to_thread(method, *args, **kwargs)
        return await settle(method(*args, **kwargs))

    try:
        jobs, deletions = client._client.import_jobs, client._client.delete_jobs
        body = {"inputBlobUri": f"{ACCOUNT}/in.ndjson", "outputBlobUri": f"{ACCOUNT}/out.log"}
        assert (await call(jobs.add, "job", body)).status == "notstarted"
        with pytest.raises(ResourceExistsError, match="JobIdAlreadyExists"):
            await call(jobs.add, "job", body)
        while (job := await call(jobs.get_by_id, "job")).status not in ("succeeded", "failed"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert job.status == "succeeded"
        assert job.finished_date_time >= job.created_date_time
        assert [one.id for one in await gathered(jobs.list())] == ["job"]
        assert (await call(jobs.cancel, "job")).status == "succeeded"
        twin = await call(client.get_digital_twin, "a")
        assert twin["$metadata"]["$model"] == FLOOR["@id"]

        poller = await call(deletions.begin_add, polling_interval=0)
        await call(poller.result)
        assert [one.status for one in await gathered(deletions.list())] == ["succeeded"]
        found = await gathered(deletions.list())
        assert (await call(deletions.get_by_id, found[0].id)).status == "succeeded"
        with pytest.raises(ResourceNotFoundError, match="DigitalTwinNotFound"):
            await call(client.get_digital_twin, "a")

        await call(jobs.delete, "job")
        with pytest.raises(ResourceNotFoundError, match="JobNotFound"):
            await call(jobs.get_by_id, "job")
    finally:
        await call(client._client.close) if kind == "sync" else await client.close()
        await server.close()
