"""What the rooms of the server pass to each other: a request as split, a response, an error to be answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from remhart_adt.local.adt.chance import Chance

__all__ = [
    "API_VERSIONS",
    "OLDEST_WITH_UPDATE_TIME",
    "AdtError",
    "Detail",
    "QueryTimeoutError",
    "Relationship",
    "Request",
    "Response",
    "Twin",
]

API_VERSIONS: Final = (
    "2020-10-31",
    "2021-06-30-preview",
    "2022-05-31",
    "2023-02-27-preview",
    "2023-06-30",
    "2023-10-31",
)
# `$metadata.$lastUpdateTime` and `sourceTime` exist from this version on; the names sort like the dates they are.
OLDEST_WITH_UPDATE_TIME: Final = "2022-05-31"
_UNSEEDED: Final = Chance()


@dataclass(slots=True)
class Request:
    """One data-plane request: `segments` are decoded after the path was split, `params` keep repeated keys; `chance`
    is where what it makes gets its ids from."""

    method: str
    path: str
    segments: tuple[str, ...]
    params: dict[str, list[str]]
    headers: dict[bytes, bytes]
    body: bytes
    base: str
    api_version: str = ""
    chance: Chance = _UNSEEDED

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def param(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self.params.get(name)
        return values[-1] if values else None

    @property
    def shows_update_times(self) -> bool:
        """Whether this api-version knows `$lastUpdateTime` and `sourceTime`."""
        return self.api_version >= OLDEST_WITH_UPDATE_TIME


@dataclass(slots=True)
class Response:
    """`body` None means no body at all; `media` is the Content-Type of a body; `trace_id` the trace it names in it.
    A `bare` answer comes from before the service and has none of its headers."""

    status: int
    body: bytes | None = None
    etag: str = ""
    code: str = ""
    media: bytes = b"application/json; charset=utf-8"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunked: bool = False
    trace_id: str = ""
    bare: bool = False


class Detail(NamedTuple):
    """One entry of `error.details`."""

    code: str
    message: str


class QueryTimeoutError(Exception):
    """A query took longer than the service lets it."""


class AdtError(Exception):
    """A request that the service would refuse; it becomes an error envelope."""

    def __init__(self, status: int, code: str, message: str, details: tuple[Detail, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The error envelope."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"code": detail.code, "message": detail.message} for detail in self.details]
        return {"error": error}


class Twin:
    """A stored twin: `raw` is the text of its wire document of 2022-05-31 and later, `doc` the same as objects.

    `doc` is parsed when first asked for, since a GET never needs it; it is never changed in place.
    """

    __slots__ = ("_doc", "etag", "id", "model", "n", "raw")

    def __init__(self, n: int, id: str, model: str, etag: str, raw: bytes, doc: dict[str, Any] | None = None) -> None:
        self.n = n
        self.id = id
        self.model = model
        self.etag = etag
        self.raw = raw
        self._doc = doc

    @property
    def doc(self) -> dict[str, Any]:
        """The document."""
        if self._doc is None:
            self._doc = orjson.loads(self.raw)
        return self._doc


@dataclass(slots=True)
class Relationship:
    """A stored relationship; `doc` and `raw` as for a twin."""

    n: int
    id: str
    source: str
    name: str
    target: str
    etag: str
    doc: dict[str, Any]
    raw: bytes
