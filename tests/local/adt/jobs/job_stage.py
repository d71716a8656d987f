"""Files of import jobs, one JSON object a line, and a server whose storage is a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DEADLINE = 30.0
ACCOUNT = "https://account.blob.core.windows.net/jobs"
FLOOR = {
    "@id": "dtmi:jobs:Floor;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [
        {"@type": "Property", "name": "level", "schema": "integer"},
        {"@type": "Component", "name": "meter", "schema": "dtmi:jobs:Meter;1"},
        {
            "@type": "Relationship",
            "name": "above",
            "properties": [{"@type": "Property", "name": "height", "schema": "double"}],
        },
    ],
}
METER = {
    "@id": "dtmi:jobs:Meter;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [{"@type": "Property", "name": "reading", "schema": "double"}],
}
HEADER = [{"Section": "Header"}, {"fileVersion": "1.0.0", "author": "us"}]


def floor(name: str, **properties: Any) -> dict[str, Any]:
    return {"$dtId": name, "$metadata": {"$model": FLOOR["@id"]}, "meter": {"$metadata": {}}, **properties}


def above(source: str, target: str, name: str = "r", **properties: Any) -> dict[str, Any]:
    return {
        "$dtId": source,
        "$relationshipId": name,
        "$targetId": target,
        "$relationshipName": "above",
        **properties,
    }


def ndjson(values: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def whole(models: Iterable[Any] = (), twins: Iterable[Any] = (), relationships: Iterable[Any] = ()) -> bytes:
    """A file of all sections."""
    return ndjson(
        [
            *HEADER,
            *({"Section": "Models"}, *models),
            *({"Section": "Twins"}, *twins),
            *({"Section": "Relationships"}, *relationships),
        ]
    )


class Stage:
    """A server whose folder of blobs is `folder`; `job` imports bytes to the end."""

    def __init__(self, wire: Any, folder: Path) -> None:
        self.wire = wire
        self.folder = folder

    def start(self, content: bytes | None, job: str = "job", source: str = "in.ndjson") -> Any:
        """PUT an import job of this content; the answer."""
        if content is not None:
            (self.folder / "jobs").mkdir(exist_ok=True)
            (self.folder / "jobs" / source).write_bytes(content)
        body = {"inputBlobUri": f"{ACCOUNT}/{source}", "outputBlobUri": f"{ACCOUNT}/{job}.log"}
        return self.wire("PUT", f"/jobs/imports/{job}", body)

    def end(self, job: str = "job", kind: str = "imports") -> dict[str, Any]:
        """The job when it has ended."""
        limit = time.monotonic() + DEADLINE
        while True:
            document: dict[str, Any] = self.wire("GET", f"/jobs/{kind}/{job}").json
            if document["status"] in ("failed", "succeeded", "cancelled"):
                return document
            assert time.monotonic() < limit, document
            time.sleep(0.01)

    def job(self, content: bytes | None, job: str = "job") -> dict[str, Any]:
        answer = self.start(content, job)
        assert answer.status == 201, answer.body
        return self.end(job)

    def log(self, job: str = "job") -> list[dict[str, Any]]:
        """The `details` of the output's lines."""
        lines = (self.folder / "jobs" / f"{job}.log").read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        assert {(one["jobId"], one["jobType"]) for one in documents} == {(job, "Import")}
        details: list[dict[str, Any]] = [one["details"] for one in documents]
        return details

    def problems(self, job: str = "job") -> list[tuple[Any, ...]]:
        """(section, line, code, message) of what was not imported."""
        return [
            (one["section"], one.get("line", 0), one["exceptionType"], one["message"])
            for one in self.log(job)
            if "exceptionType" in one
        ]

    def counts(self) -> tuple[int, int, int]:
        health = self.wire.server.health()
        return health["models"], health["twins"], health["relationships"]
