"""Jobs that read from and write to real blobs: Azurite over sockets, with its key and with a signature."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from azure.eventhub.extensions.checkpointstoreblobaio._vendor.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    generate_blob_sas,
)
from job_stage import FLOOR, METER, Stage, above, floor, whole

from remhart_adt.local.adt.jobs.azure_blobs import AzureReader
from remhart_adt.local.adt.jobs.importer import Importer

pytestmark = pytest.mark.node

CONTENT = whole([FLOOR, METER], [floor("a"), floor("b")], [above("a", "b")])


@pytest.fixture
def container(azurite: str) -> Iterator[ContainerClient]:
    service = BlobServiceClient.from_connection_string(azurite)
    client = service.create_container(f"c{uuid.uuid4().hex}")
    yield client
    client.close()
    service.close()


def run(stage: Stage, source: str, target: str) -> dict[str, Any]:
    answer = stage.wire("PUT", "/jobs/imports/job", {"inputBlobUri": source, "outputBlobUri": target})
    assert answer.status == 201, answer.body
    return stage.end()


def signed(container: ContainerClient, name: str, permission: BlobSasPermissions) -> str:
    blob = container.get_blob_client(name)
    text = generate_blob_sas(
        str(container.account_name), container.container_name, name, account_key=container.credential.account_key,
        permission=permission, expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    return f"{blob.url}?{text}"


@pytest.mark.parametrize("way", ["key", "signature"])
def test_a_blob_is_imported_and_the_log_is_an_append_blob(stage: Any, container: ContainerClient, way: str) -> None:
    # Larger than one chunk of the download.
    twins = [floor(f"t{number}", level=number) for number in range(12_000)]
    container.upload_blob("in.ndjson", whole([FLOOR, METER], twins, [above("t0", "t1")]))
    names = [container.get_blob_client(name).url for name in ("in.ndjson", "out.log")]
    if way == "signature":
        names = [
            signed(container, "in.ndjson", BlobSasPermissions(read=True)),
            signed(container, "out.log", BlobSasPermissions(create=True, add=True, write=True)),
        ]
    assert run(stage, *names)["status"] == "succeeded"
    assert stage.counts() == (2, 12_000, 1)
    output = container.get_blob_client("out.log")
    assert output.get_blob_properties().blob_type == "AppendBlob"
    lines = [json.loads(line) for line in output.download_blob().readall().splitlines()]
    assert lines[-1]["details"] == {"status": "Succeeded"}


def test_an_input_that_is_not_there_and_a_container_that_is_not_there_fail_the_job(
    stage: Any, container: ContainerClient
) -> None:
    output = container.get_blob_client("out.log").url
    ended = run(stage, container.get_blob_client("nothing").url, output)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToReadInputBlob")
    assert "BlobNotFound (404)" in ended["error"]["message"]
    stage.wire("DELETE", "/jobs/imports/job")
    container.upload_blob("in.ndjson", CONTENT)
    elsewhere = output.replace(container.container_name, "nowhere")
    ended = run(stage, container.get_blob_client("in.ndjson").url, elsewhere)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToWriteToOutputBlob")
    assert stage.counts() == (0, 0, 0)


def test_a_signature_that_does_not_allow_it_fails_the_job_without_being_told(
    stage: Any, container: ContainerClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    container.upload_blob("in.ndjson", CONTENT)
    source = signed(container, "in.ndjson", BlobSasPermissions(write=True))
    ended = run(stage, source, container.get_blob_client("out.log").url)
    assert ended["error"]["code"] == "UnableToReadInputBlob"
    signature = source.partition("sig=")[2].partition("&")[0]
    for text in (signature, unquote(signature)):
        assert len(text) > 20
        assert text not in json.dumps(ended)
        assert text not in caplog.text


def test_an_older_log_is_replaced_and_a_blob_of_another_kind_is_not(stage: Any, container: ContainerClient) -> None:
    container.upload_blob("in.ndjson", CONTENT)
    source, output = (container.get_blob_client(name) for name in ("in.ndjson", "out.log"))
    output.create_append_blob()
    output.append_block(b"an older one\n")
    assert run(stage, source.url, output.url)["status"] == "succeeded"
    lines = output.download_blob().readall().splitlines()
    assert {json.loads(line)["jobId"] for line in lines} == {"job"}
    stage.wire("DELETE", "/jobs/imports/job")
    ended = run(stage, source.url, source.url)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToWriteToOutputBlob")
    assert source.download_blob().readall() == CONTENT


def test_a_blob_that_is_replaced_while_it_is_read_fails_the_job(
    stage: Any, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [floor(f"t{number}", level=number) for number in range(20_000)]
    container.upload_blob("in.ndjson", whole([FLOOR, METER], twins))
    real = AzureReader.chunks

    async def chunks(self: AzureReader) -> AsyncGenerator[bytes, None]:
        async for chunk in real(self):
            yield chunk
            container.upload_blob("in.ndjson", CONTENT, overwrite=True)

    monkeypatch.setattr(AzureReader, "chunks", chunks)
    ended = run(stage, *(container.get_blob_client(name).url for name in ("in.ndjson", "out.log")))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "UnableToReadInputBlob")
    assert "ConditionNotMet (412)" in ended["error"]["message"]
    assert stage.counts() == (0, 0, 0)


def test_a_blob_that_is_replaced_between_the_two_readings_fails_the_job_at_the_first_line_it_cannot_use(
    stage: Any, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.upload_blob("in.ndjson", CONTENT)
    real = Importer._models

    async def models(self: Importer, entries: Any) -> None:
        await real(self, entries)
        container.upload_blob("in.ndjson", b"something else", overwrite=True)

    monkeypatch.setattr(Importer, "_models", models)
    ended = run(stage, *(container.get_blob_client(name).url for name in ("in.ndjson", "out.log")))
    assert ended["status"] == "failed"
    assert "has changed while it was read" in ended["error"]["message"]
    assert stage.counts() == (2, 0, 0)
