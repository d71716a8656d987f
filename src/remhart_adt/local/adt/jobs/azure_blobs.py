"""Blobs over the network: Azurite with the key that everybody knows, Azure Storage with a signature or an identity.

The storage library is imported when a job first needs it; the checkpoint store of azure-eventhub brings one along,
which spares a second copy of it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from remhart_adt.local.adt.errors import AdtError
from remhart_adt.local.adt.jobs.types import JobError

__all__ = ["AzureReader", "AzureWriter", "require_azure", "unreadable", "unwritable"]

_VENDORED: Final = "azure.eventhub.extensions.checkpointstoreblobaio"
_CHUNK: Final = 1024 * 1024
# Published with Azurite, so that nobody takes it for a secret.
_AZURITE_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_AZURITE_ACCOUNT: Final = "devstoreaccount1"
# The library's own waits between tries add up to most of a minute, which is long for an Azurite that was not started;
# and its way to follow redirects would let a blob's host send us to any other.
_TRANSPORT: Final = {
    "connection_timeout": 10,
    "read_timeout": 60,
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 0,
    "permit_redirects": False,
}


def unreadable(reason: str) -> JobError:
    """The input cannot be read. The service's code for it is not known; this one follows that for the output."""
    return JobError(
        "UnableToReadInputBlob",
        f"Service was unable to read the input blob: {reason}. Please see that input blob exists and Azure Digital "
        "Twin instance's managed identity has Storage Blob Data Contributor access to that container.",
    )


def unwritable() -> JobError:
    """The output cannot be written (recorded)."""
    return JobError(
        "UnableToWriteToOutputBlob",
        "Encountered errors while importing models. Service was unable to write error feed to output blob. Please see "
        "that output blob exists and Azure Digital Twin instance's managed identity has Storage Blob Data Contributor "
        "access to that container.",
    )


def require_azure() -> None:
    """Raises 501 when the storage library is not installed."""
    for module in ("azure.storage.blob.aio", _VENDORED):
        try:
            if importlib.util.find_spec(module) is not None:
                return
        except ModuleNotFoundError:
            continue
    what = "Reading and writing blobs over the network needs packages that are not installed"
    raise AdtError(501, "NotImplemented", f"{what}: pip install 'remhart-adt[sync]'.")


class _Blob:
    """One blob and the client for it, which belongs to the event loop that uses it."""

    def __init__(self, uri: str, *, azurite: bool) -> None:
        self._uri = uri
        self._azurite = azurite
        self._identity: Any = None

    def client(self) -> Any:
        """A client of this blob; `release` it."""
        try:
            from azure.storage.blob.aio import BlobClient
        except ModuleNotFoundError:
            from azure.eventhub.extensions.checkpointstoreblobaio._vendor.storage.blob.aio import BlobClient
        credential: Any = None
        if "sig" not in parse_qs(urlsplit(self._uri).query):
            if self._azurite:
                credential = {"account_name": _AZURITE_ACCOUNT, "account_key": _AZURITE_KEY}
            else:
                from azure.identity.aio import DefaultAzureCredential

                credential = self._identity = DefaultAzureCredential()
        sizes = {"max_single_get_size": _CHUNK, "max_chunk_get_size": _CHUNK}
        return BlobClient.from_blob_url(self._uri, credential, **sizes, **_TRANSPORT)

    async def release(self, client: Any) -> None:
        """Close the client and the identity that was made for it."""
        await client.close()
        if self._identity is not None:
            await self._identity.close()
            self._identity = None


class AzureReader(_Blob):
    """The input; a change of the blob while it is read ends the job."""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The content in chunks of about 1 MB; raises JobError."""
        from azure.core.exceptions import AzureError

        client = self.client()
        try:
            stream = await client.download_blob(max_concurrency=1)
            async for chunk in stream.chunks():
                yield chunk
        except AzureError as error:
            raise unreadable(_reason(error)) from error
        finally:
            await self.release(client)


class AzureWriter(_Blob):
    """The output, an append blob; raises JobError."""

    _client: Any = None

    async def create(self) -> None:
        """Begin an empty append blob, in place of one that is there."""
        self._client = self.client()
        if await self._guarded(self._kind()) not in ("", "AppendBlob"):  # Azurite would replace it, even the input
            raise unwritable()
        await self._guarded(self._client.create_append_blob())

    async def _kind(self) -> str:
        """Of which type the blob is; empty when there is none, or when we may write it and not look at it."""
        from azure.core.exceptions import HttpResponseError

        try:
            return str((await self._client.get_blob_properties()).blob_type.value)
        except HttpResponseError:
            return ""

    async def append(self, data: bytes) -> None:
        """Add a block of at most 4 MB."""
        await self._guarded(self._client.append_block(data))

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self.release(self._client)
            self._client = None

    async def _guarded(self, call: Any) -> Any:
        from azure.core.exceptions import AzureError

        try:
            return await call
        except AzureError as error:
            raise unwritable() from error


def _reason(error: Any) -> str:
    """What went wrong without the request, which may hold a signature."""
    code = getattr(error, "error_code", None)
    status = getattr(error, "status_code", None)
    return f"{getattr(code, 'value', code) or type(error).__name__}" + (f" ({status})" if status else "")
