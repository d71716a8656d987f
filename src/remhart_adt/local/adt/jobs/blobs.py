"""Where a job reads and writes: a URL of Azure Storage or Azurite, or a file in a folder that plays an account.

1. With Azurite's account name in the path, on this machine or a neighbour of it: Azurite. 2. With a folder given to
the server: every other URL `https://<account>/<container>/<blob>` is `<folder>/<container>/<blob>`, and `file:` URLs
may point into it. 3. Else only the hosts of Azure Storage: a request must not make the server send its token, or
anything, elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from remhart_adt.local.adt.errors import AdtError, invalid_argument
from remhart_adt.local.adt.jobs.azure_blobs import AzureReader, AzureWriter, require_azure, unreadable, unwritable
from remhart_adt.local.adt.signatures import hide_signature

__all__ = ["BlobReader", "BlobWriter", "Blobs"]

_CHUNK: Final = 256 * 1024
_MAX_URI: Final = 2048
_AZURITE: Final = "devstoreaccount1"
_NEIGHBOURS: Final = ("host.docker.internal", "host.containers.internal")
_LOG_BEGIN: Final = b'{"timestamp":'
_STORAGE: Final = re.compile(
    r"[a-z0-9-]+(?:\.z\d+)?\.blob\.(?:core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|storage\.azure\.net)"
)


class BlobReader(Protocol):
    """The input of a job."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The content from its beginning, as often as asked for; raises JobError when it cannot be read."""
        ...


class BlobWriter(Protocol):
    """The output of a job; every method raises JobError when the blob cannot be written."""

    async def create(self) -> None:
        """Begin an empty blob, in place of one that is there."""
        ...

    async def append(self, data: bytes) -> None:
        """Add to its end."""
        ...

    async def close(self) -> None:
        """Let go of what was held open."""
        ...


class Blobs:
    """The blobs that a server's jobs may use; `folder` plays a storage account."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def check(self, uri: str) -> None:
        """Raises 400 InvalidArgument, in the service's words, or 501, when no job can use this URI."""
        found = self._file(uri)
        if found is None:
            require_azure()

    def reader(self, uri: str) -> BlobReader:
        """The blob as input; the URI has been checked."""
        found = self._file(uri)
        return AzureReader(uri, azurite=_is_azurite(urlsplit(uri))) if found is None else _FileReader(found)

    def writer(self, uri: str) -> BlobWriter:
        """The blob as output; the URI has been checked."""
        found = self._file(uri)
        return AzureWriter(uri, azurite=_is_azurite(urlsplit(uri))) if found is None else _FileWriter(found)

    def _file(self, uri: str) -> Path | None:
        """The file that a URI stands for; None for a blob that is reached over the network."""
        if len(uri) > _MAX_URI or any(ord(letter) < 33 for letter in uri):
            raise _refusal(uri, "Invalid URI: The format of the URI could not be determined.")
        try:
            split = urlsplit(uri)
            port_is_sound = split.port is None or split.port > 0
        except ValueError:
            raise _refusal(uri, "Invalid URI: The URI could not be parsed.") from None
        if split.scheme == "file":
            return self._local(uri, split)
        if split.scheme not in ("http", "https") or not split.hostname or not port_is_sound:
            raise _refusal(uri, "Invalid URI: The format of the URI could not be determined.")
        if split.username is not None or split.fragment:
            raise _refusal(uri, "Invalid URI: It must hold neither a user nor a fragment.")
        names = [unquote(part) for part in split.path.split("/")[1:]]
        azurite = _is_azurite(split)
        if len(names) < (3 if azurite else 2) or any(_is_unsafe(name) for name in names):
            raise _refusal(uri, "Invalid URI: It must name a container and a blob.")
        if azurite:
            return None
        if self._folder is not None:
            return self._inside(uri, self._folder.joinpath(*names))
        if split.scheme != "https" or not _STORAGE.fullmatch(split.hostname.lower()):
            raise _refusal(uri, "It is no blob of Azure Storage or Azurite, and the server has no folder of blobs.")
        return None

    def _local(self, uri: str, split: SplitResult) -> Path:
        if self._folder is None:
            raise _refusal(uri, "file: URIs need a folder of blobs; start the server with --blobs FOLDER.")
        if split.netloc not in ("", "localhost") or split.query or split.fragment:
            raise _refusal(uri, "Invalid URI: A file: URI holds a path only.")
        path = unquote(split.path)
        if "\0" in path:
            raise _refusal(uri, "Invalid URI: The path holds a NUL.")
        return self._inside(uri, Path(path))

    def _inside(self, uri: str, path: Path) -> Path:
        """The path with its links followed; refused when it does not lie in the folder."""
        assert self._folder is not None
        try:
            resolved, folder = path.resolve(), self._folder.resolve()
        except (OSError, RuntimeError, ValueError):
            raise _refusal(uri, "Invalid URI: The path cannot be followed.") from None
        if resolved == folder or not resolved.is_relative_to(folder):
            raise _refusal(uri, "The path lies outside the server's folder of blobs.")
        return resolved


def _refusal(uri: str, reason: str) -> AdtError:
    """Recorded for a text that is no URI; other reasons stand at the same place."""
    return invalid_argument(
        f"Azure Storage Blob URI '{hide_signature(uri)[:_MAX_URI]}' failed validation. {reason} Please check: "
        "https://docs.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"
    )


def _is_azurite(split: SplitResult) -> bool:
    """The account in the path, and a host that is no stranger: a name without dots is one of the network of containers,
    where Azurite often runs. A private address may be anybody's, and so may a name that the world can define."""
    if not split.path.startswith(f"/{_AZURITE}/"):
        return False
    host = (split.hostname or "").lower()
    if host in _NEIGHBOURS or re.fullmatch(r"[a-z][a-z0-9_-]*", host):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_unsafe(name: str) -> bool:
    return name in ("", ".", "..") or any(letter in name for letter in "/\\\0")


def _is_log(path: Path) -> bool:
    """Whether a file may be replaced. A block blob is no append blob and refuses to become one, too; and the folder may
    hold the server's own data, or the very input of the job."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_LOG_BEGIN)) in (b"", _LOG_BEGIN)


class _FileReader:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            if not self._path.is_file():  # a pipe would never end
                raise FileNotFoundError("there is no such file")
            with self._path.open("rb") as file:
                while data := await asyncio.to_thread(file.read, _CHUNK):
                    yield data
        except OSError as error:
            raise unreadable(error.strerror or str(error)) from error


class _FileWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    async def create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and not _is_log(self._path):
                raise FileExistsError("this is not the log of a job")
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise unwritable() from error

    async def append(self, data: bytes) -> None:
        assert self._file is not None
        try:
            await asyncio.to_thread(self._file.write, data)
        except OSError as error:
            raise unwritable() from error

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
