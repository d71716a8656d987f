"""Import and delete jobs for the contract: some that have ended, one that does not end, and what to ask about them."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemathesis import Case

if TYPE_CHECKING:
    from contract_stage import Stage

__all__ = ["IDS", "Storage", "aim", "prepare", "storage"]

DONE: Final = "done"
RUNNING: Final = "running"
# One that a path must carry encoded.
IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ImportJobs": (DONE, DONE, RUNNING, RUNNING, "a b/ü;1"),
    "DeleteJobs": (DONE, DONE, "none"),
}
_AGAIN_AFTER: Final = 8
_DEADLINE: Final = 30.0
_MODEL: Final = {"@id": "dtmi:contract:Job;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2"}
_INPUT: Final = (
    {"Section": "Header"},
    {"fileVersion": "1.0.0"},
    {"Section": "Models"},
    _MODEL,
    {"Section": "Twins"},
    {"$dtId": "imported", "$metadata": {"$model": _MODEL["@id"]}},
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder that the server takes for a storage account, and an address that takes connections and never answers."""

    folder: Path
    silent: str

    def job(self, kind: str) -> dict[str, str]:
        """The body of a job: `sound`, `endless`, or of an input that is missing."""
        base = self.silent if kind == "endless" else self.folder.as_uri()
        source = "in.ndjson" if kind == "sound" else "missing.ndjson"
        return {"inputBlobUri": f"{base}/{source}", "outputBlobUri": f"{base}/out.ndjson"}


@contextlib.contextmanager
def storage() -> Iterator[Storage]:
    """A storage for one run, with a file to import."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        path = Path(folder)
        (path / "in.ndjson").write_text("".join(json.dumps(line) + "\n" for line in _INPUT), encoding="utf-8")
        yield Storage(path, f"http://127.0.0.1:{listener.getsockname()[1]}/devstoreaccount1/jobs")


def aim(case: Case, name: str, rng: random.Random, storage: Storage) -> None:
    """Let most requests for a new job be sound, some use an id that was used before, and few an older api-version."""
    if name.partition("_")[0] in IDS and rng.random() < 0.04:
        case.query["api-version"] = "2022-05-31"
    if name == "ImportJobs_Add" and rng.random() < 0.8:
        kind = rng.choice(("sound", "sound", "sound", "endless", "missing"))
        case.body = storage.job(kind)
        if rng.random() < 0.6:
            case.path_parameters["id"] = f"new{rng.randrange(10**6)}"
    if name == "DeleteJobs_Add":
        if rng.random() < 0.75:
            case.query.pop("timeoutInMinutes", None)
        if "operation-id" in case.headers and rng.random() < 0.75:
            case.headers["operation-id"] = rng.choice((DONE, f"new{rng.randrange(10**6)}"))


def prepare(stage: Stage, *, busy: bool) -> int:
    """On an empty server: jobs that have ended, and with `busy` one in progress. After how many requests again."""
    stage.send("PUT", f"/jobs/imports/{DONE}", stage.storage.job("sound"), 201, 400)
    _wait(stage, f"/jobs/imports/{DONE}")
    stage.send("POST", "/jobs/deletions", None, 202, headers={"operation-id": DONE})
    _wait(stage, f"/jobs/deletions/{DONE}")
    if busy:
        stage.send("PUT", f"/jobs/imports/{RUNNING}", stage.storage.job("endless"), 201)
    return _AGAIN_AFTER


def _wait(stage: Stage, path: str) -> None:
    """Until a job has ended, or is known not to be there."""
    limit = time.monotonic() + _DEADLINE
    while (stage.send("GET", path, None, 200, 404) or {}).get("status") in ("notstarted", "running"):
        if time.monotonic() > limit:
            raise RuntimeError(f"{path} does not end")
        time.sleep(0.005)
