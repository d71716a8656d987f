"""The admin API from Python, for a server in this process or in another one. Standard library only.

Every call is one HTTP request on a connection of its own, so an `Admin` may be used from any thread.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from remhart_adt.clock import parse_us
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.remote_control import Control

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["Admin", "ClockState", "Counts", "FaultRules", "FaultState", "JournalRow", "Settings"]

_TIMEOUT: Final = 60.0
_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One request as the server saw it.

    `time_us` and `done_us` are microseconds since the epoch by the server's clock; `status` 0 means that the connection
    was broken off unanswered. `body` is the decoded JSON that was sent, `raw` its text when it was none. `query` is the
    text of POST /query. `headers` by lower-case name: those that change what a request means or say who sent it.
    `size` is the bytes of the answer's body, `fault` the id of the rule that hit and `note` its action.
    """

    n: int
    time_us: int
    done_us: int
    instance: str
    method: str
    path: str
    status: int
    if_match: str | None
    etag: str | None
    body: Any
    raw: str
    query: str | None
    headers: Mapping[str, str]
    size: int
    fault: str
    note: str


@dataclass(frozen=True, slots=True)
class FaultState:
    """A rule as it stands: `state` is waiting, active, spent or expired; `left` None means without limit."""

    id: str
    action: str
    state: str
    hits: int
    left: int | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be changed while the server runs: `query_lag` and `retry_after` in seconds, `capacity` as the share of
    the published rates that the instance takes."""

    throttle: bool
    query_lag: float
    retry_after: int
    capacity: float


@dataclass(frozen=True, slots=True)
class ClockState:
    """The server's time: RFC 3339 text, the same in microseconds since the epoch, and whether it can be moved."""

    now: str
    now_us: int
    fake: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many a seed stored."""

    models: int
    twins: int
    relationships: int


class FaultRules:
    """The fault rules of a server; `docs/local-adt.md` describes the members of one."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def add(self, action: str = "status", **members: Any) -> str:
        """Add a rule and give its id. `for_` stands for the member `for`. LocalServerError when it makes no sense."""
        rule = {"action": action, **{name.rstrip("_"): value for name, value in members.items()}}
        return self.add_all([rule])[0]

    def add_all(self, rules: Sequence[Mapping[str, Any]]) -> list[str]:
        """Add rules, all or none, and give their ids."""
        ids: list[str] = self._admin.call("POST", "/faults", [dict(rule) for rule in rules])["ids"]
        return ids

    def list(self) -> list[FaultState]:
        """Every rule, those that are used up included."""
        found = self._admin.call("GET", "/faults")["faults"]
        return [FaultState(one["id"], one["action"], one["state"], one["hits"], one["count"]) for one in found]

    def hits(self, fault_id: str) -> int:
        """How many requests a rule has hit; LocalServerError when there is no such rule."""
        for rule in self.list():
            if rule.id == fault_id:
                return rule.hits
        raise LocalServerError(f"there is no fault {fault_id}", where=self._admin.admin)

    def delete(self, fault_id: str) -> None:
        """Delete one rule; what hangs in it is let go."""
        self._admin.call("DELETE", f"/faults/{quote(fault_id, safe='')}")

    def clear(self) -> None:
        """Delete every rule."""
        self._admin.call("DELETE", "/faults")


class Admin:
    """The controls of a local ADT server: `admin` is the URL of its admin API, `http://127.0.0.1:PORT/_remhart`.

    `ca_file` is the certificate to trust when the server speaks TLS, `key` the admin key when it has one. Every method
    raises LocalServerError with the server's own words when it refuses, and when it cannot be reached.
    """

    def __init__(self, admin: str, *, ca_file: Path | None = None, key: SecretStr | None = None) -> None:
        self.admin = admin
        self.faults = FaultRules(self)
        self.control = Control(self)
        self.ca_file = ca_file
        self._key = key

    # --- state

    def health(self) -> dict[str, Any]:
        """Status, version, counts of what is stored, faults pending and hit."""
        answer: dict[str, Any] = self.call("GET", "/health")
        return answer

    def journal(
        self, *, after: int = 0, method: str = "", path: str = "", status: int | str = "", instance: str = ""
    ) -> list[JournalRow]:
        """The requests with a greater number than `after`, in the order of their effects.

        `path` is a prefix or a glob, `status` a number or a class such as "4xx".
        """
        wanted = {"method": method, "path": path, "status": str(status), "instance": instance}
        params = {name: value for name, value in wanted.items() if value}
        rows: list[JournalRow] = []
        more = True
        while more:
            page = self.call("GET", "/journal", after=str(after), limit=str(_PAGE), **params)
            rows += [_row(row) for row in page["rows"]]
            after, more = page["next"], page["more"]
        return rows

    def reset(self, instance: str = "") -> None:
        """Forget everything of an instance; without a name everything at all, back to the settings of the start."""
        self.call("POST", "/reset", **_named(instance))

    # --- graph

    def seed(self, graph: Mapping[str, Any] | Path | bytes | Iterable[Mapping[str, Any]], instance: str = "") -> Counts:
        """Store a graph, all or nothing: a document with `models`, `twins` and `relationships`, an import file (as path
        or bytes), or the lines that `export` gives. LocalServerError lists every problem."""
        if isinstance(graph, Path):
            body = graph.read_bytes()
        elif isinstance(graph, bytes):
            body = graph
        elif isinstance(graph, Mapping):
            body = json.dumps(graph).encode()
        else:
            body = b"\n".join(json.dumps(line).encode() for line in graph)
        return Counts(**self.call("POST", "/seed", body, **_named(instance)))

    def export(self, *, exact: bool = False, instance: str = "") -> Iterator[dict[str, Any]]:
        """The graph as lines of an import file; `exact` keeps entity tags and times."""
        with self._open("GET", "/export", None, _exact(exact, instance)) as answer:
            for line in answer:
                yield json.loads(line)

    def export_to(self, path: Path, *, exact: bool = False, instance: str = "") -> None:
        """Write the graph to a file as `seed` and import jobs read it."""
        with self._open("GET", "/export", None, _exact(exact, instance)) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)

    # --- time and settings

    @property
    def clock(self) -> ClockState:
        """The server's time."""
        return _clock(self.call("GET", "/clock"))

    def advance(self, seconds: float) -> ClockState:
        """Move a fake clock forward."""
        return _clock(self.call("POST", "/clock", {"advance_s": seconds}))

    def set_clock(self, now: str) -> ClockState:
        """Move a fake clock forward to an RFC 3339 time."""
        return _clock(self.call("POST", "/clock", {"now": now}))

    def settings(self, instance: str = "") -> Settings:
        """The settings of an instance."""
        return Settings(**self.call("GET", "/settings", **_named(instance)))

    def change_settings(
        self,
        *,
        throttle: bool | None = None,
        query_lag: float | None = None,
        retry_after: int | None = None,
        capacity: float | None = None,
        instance: str = "",
    ) -> Settings:
        """Change what is given, of one instance or of all; the settings then."""
        given = {"throttle": throttle, "query_lag": query_lag, "retry_after": retry_after, "capacity": capacity}
        changes = {name: value for name, value in given.items() if value is not None}
        return Settings(**self.call("PUT", "/settings", changes, **_named(instance)))

    # --- transport

    def call(self, method: str, path: str, body: Any = None, /, **params: str) -> Any:
        """One request below the admin URL; the decoded answer, None when it has no body. Bytes are sent as they are."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with self._open(method, path, sent, params) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def _open(self, method: str, path: str, body: bytes | None, params: Mapping[str, str]) -> _Answer:
        parts = urlsplit(self.admin)
        target = f"{parts.path}{path}" + (f"?{urlencode(params)}" if params else "")
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=_TIMEOUT, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        try:
            connection.request(method, target, body, self._headers())
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _refusal(answer.read(), answer.status, f"{method} {self.admin}{path}")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise LocalServerError(f"the admin API cannot be reached: {error}", where=self.admin) from error
        except LocalServerError:
            connection.close()
            raise
        return _Answer(connection, answer)

    def _headers(self) -> dict[str, str]:
        return {} if self._key is None else {"x-remhart-key": self._key.get_secret_value()}


class _Answer:
    """An answer that closes its connection when it is left."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def __enter__(self) -> http.client.HTTPResponse:
        return self._answer

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()


def _refusal(body: bytes, status: int, where: str) -> LocalServerError:
    try:
        error = json.loads(body)["error"]
        details = [str(detail["message"]) for detail in error.get("details", [])]
        text = "\n  ".join([str(error["message"]), *details])
    except (ValueError, TypeError, KeyError):
        text = f"status {status}"
    return LocalServerError(text, where=where)


def _named(instance: str) -> dict[str, str]:
    return {"instance": instance} if instance else {}


def _exact(exact: bool, instance: str) -> dict[str, str]:
    return {**_named(instance), **({"exact": "true"} if exact else {})}


def _clock(document: Mapping[str, Any]) -> ClockState:
    return ClockState(document["now"], parse_us(document["now"]), document["fake"])


def _row(row: Mapping[str, Any]) -> JournalRow:
    return JournalRow(
        n=row["n"],
        time_us=row["time_us"],
        done_us=row["done_us"],
        instance=row["instance"],
        method=row["method"],
        path=row["path"],
        status=row["status"],
        if_match=row["if_match"],
        etag=row["etag"],
        body=row["body"],
        raw=row.get("raw", ""),
        query=row.get("query"),
        headers=row["headers"],
        size=row["size"],
        fault=row.get("fault", ""),
        note=row.get("note", ""),
    )
