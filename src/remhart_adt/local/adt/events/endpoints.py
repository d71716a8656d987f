"""Endpoints: where event routes may lead. Control-plane objects, so they are configured here and not by the data plane.

A document names its `kind` and what that needs:

    {"kind": "file", "path": "events.ndjson"}
    {"kind": "webhook", "url": "https://example.net/hook"}
    {"kind": "eventhub", "connectionString": "Endpoint=sb://...", "eventHub": "telemetry"}

and may have `deadLetter` (an .ndjson file, or a folder), `maxAttempts` (30) and `maxAgeSeconds` (86400), after which an
event is given up. The data file holds it whole; `Endpoint.public` is what may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from remhart_adt.errors import MissingExtraError
from remhart_adt.local.adt.events.senders import sender_of
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.types import AdtError, Detail

__all__ = ["MAX_ENDPOINTS", "Endpoint", "Endpoints"]

MAX_ENDPOINTS: Final = 6
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS event_endpoints(name TEXT PRIMARY KEY, document TEXT NOT NULL);"
# As in Azure: 2 to 49 letters, digits and inner hyphens, not digits alone.
_NAME: Final = re.compile(r"(?!\d+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,47}[A-Za-z0-9])\Z", re.ASCII)
_TEXTS: Final = {
    "file": {"path": True},
    "webhook": {"url": True},
    "eventhub": {"connectionString": True, "eventHub": False},
}
_NUMBERS: Final = {"maxAttempts": 1000, "maxAgeSeconds": 7 * 86_400}
_DEFAULTS: Final = {"maxAttempts": 30, "maxAgeSeconds": 86_400}
_MAX_CHARS: Final = 4096
_SHOWN: Final = ("endpoint", "entitypath", "sharedaccesskeyname", "usedevelopmentemulator")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; its document may hold a secret and is never printed."""

    name: str
    kind: str
    document: dict[str, Any] = field(repr=False)

    @property
    def max_attempts(self) -> int:
        """How often an event is tried before it is given up."""
        return int(self.document.get("maxAttempts", _DEFAULTS["maxAttempts"]))

    @property
    def max_age_us(self) -> int:
        """How old an event that does not get through may become, in microseconds."""
        return int(self.document.get("maxAgeSeconds", _DEFAULTS["maxAgeSeconds"])) * 1_000_000

    @property
    def dead_letter(self) -> Path | None:
        """The file for events that are given up."""
        given = self.document.get("deadLetter")
        if given is None:
            return None
        path = Path(given)
        return path if _is_lines(path) else path / f"{self.name}.ndjson"

    def public(self) -> dict[str, Any]:
        """The document with its defaults, keys and the values of a URL's query replaced by `***`."""
        shown = {"name": self.name, **self.document}
        if "connectionString" in shown:
            shown["connectionString"] = _masked(shown["connectionString"])
        if "url" in shown:
            address, mark, query = shown["url"].partition("?")
            shown["url"] = address + mark + re.sub(r"=[^&]*", "=***", query)
        return {**_DEFAULTS, **shown}


def _masked(text: str) -> str:
    return ";".join(f"{name}={value if name.strip().lower() in _SHOWN else '***'}" for name, _, value in _pairs(text))


def _is_lines(path: Path) -> bool:
    """Only files of this name are ever appended to, so that a wrong path cannot spoil another file."""
    return path.suffix in (".ndjson", ".jsonl")


class Endpoints:
    """At most six endpoints by name, kept in the data file. A change is part of the open transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)
        self._all: dict[str, Endpoint] = {}
        self.reload()

    def reload(self) -> None:
        """Read everything from the file again."""
        rows = self._store.read("SELECT name, document FROM event_endpoints ORDER BY name")
        documents = ((name, orjson.loads(text)) for name, text in rows)
        self._all = {name: Endpoint(name, document["kind"], document) for name, document in documents}

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self.all())

    def all(self) -> list[Endpoint]:
        """Every endpoint in order of name."""
        return [self._all[name] for name in sorted(self._all)]

    def get(self, name: str) -> Endpoint:
        """An endpoint by name; AdtError 404 when there is none."""
        found = self._all.get(name)
        if found is None:
            raise AdtError(404, "EndpointNotFound", f"There is no endpoint {name!r}.")
        return found

    def put(self, name: str, document: Any) -> Endpoint:
        """Add or replace an endpoint; AdtError 400 with one detail for each fault of the document, or when
        the packages it needs are not installed."""
        problems = list(_problems(name, document))
        if problems:
            details = tuple(Detail("EndpointInvalid", problem) for problem in problems)
            raise AdtError(400, "EndpointInvalid", " ".join(problems), details)
        if name not in self._all and len(self._all) >= MAX_ENDPOINTS:
            raise AdtError(400, "LimitExceeded", f"An instance has at most {MAX_ENDPOINTS} endpoints.")
        endpoint = Endpoint(name, document["kind"], dict(document))
        try:
            sender_of(endpoint.document)
        except MissingExtraError as error:
            raise AdtError(400, "EndpointInvalid", str(error)) from None
        self._store.write(
            "INSERT OR REPLACE INTO event_endpoints VALUES(?,?)", (name, orjson.dumps(endpoint.document).decode())
        )
        self._all[name] = endpoint
        return endpoint

    def delete(self, name: str) -> None:
        """Remove an endpoint; AdtError 404 when there is none."""
        self.get(name)
        self._store.write("DELETE FROM event_endpoints WHERE name=?", (name,))
        del self._all[name]


def _problems(name: str, document: Any) -> Iterator[str]:
    if not _NAME.match(name):
        yield "An endpoint's name has 2 to 49 letters, digits and inner hyphens, and is no number."
    kind = document.get("kind") if isinstance(document, dict) else None
    texts = _TEXTS.get(kind) if isinstance(kind, str) else None
    if texts is None:
        yield f"An endpoint is an object with a kind: one of {', '.join(_TEXTS)}."
        return
    for key in document.keys() - texts.keys() - _NUMBERS.keys() - {"kind", "deadLetter"}:
        yield f"An endpoint of kind {kind} has no {key!r}."
    for key, needed in {**texts, "deadLetter": False}.items():
        value = document.get(key)
        if value is None and (needed or key in document):
            yield f"An endpoint of kind {kind} needs {key!r}." if needed else f"{key!r} is a text."
        elif value is not None and not (isinstance(value, str) and 0 < len(value) <= _MAX_CHARS and "\0" not in value):
            yield f"{key!r} is a text of 1 to {_MAX_CHARS} characters."
        elif value is not None and key in _CHECKS:
            yield from _CHECKS[key](document)
    for key, most in _NUMBERS.items():
        value = document.get(key, 1)
        if type(value) is not int or not 1 <= value <= most:
            yield f"{key!r} is a whole number from 1 to {most}."


def _check_path(document: dict[str, Any]) -> Iterator[str]:
    if not _is_lines(Path(document["path"])):
        yield "'path' is the name of a file that ends in .ndjson or .jsonl."


def _check_url(document: dict[str, Any]) -> Iterator[str]:
    try:
        parts = urlsplit(document["url"])
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not document["url"].isprintable():
        yield "'url' is an http or https URL."
    elif "@" in parts.netloc:
        yield "'url' has no user and password; put a token into its query, which is never shown."


def _check_connection(document: dict[str, Any]) -> Iterator[str]:
    given = {name.strip().lower(): value for name, _, value in _pairs(document["connectionString"])}
    if not given.get("endpoint", "").startswith("sb://"):
        yield "'connectionString' has no Endpoint=sb://..."
    signed = given.get("sharedaccesssignature") or (given.get("sharedaccesskeyname") and given.get("sharedaccesskey"))
    if not signed:
        yield "'connectionString' has neither SharedAccessKeyName and SharedAccessKey nor SharedAccessSignature."
    if not given.get("entitypath") and not document.get("eventHub"):
        yield "Neither 'connectionString' (EntityPath) nor 'eventHub' names the event hub."


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    return (part.partition("=") for part in text.split(";") if part)


_CHECKS: Final = {"path": _check_path, "url": _check_url, "connectionString": _check_connection}
