"""SIGKILL the local ADT server under write load, again and again; nothing acknowledged may be lost, nothing be halved.

Each round: 1. start the server on the same file, now and then killing it while it starts; 2. clients write twins,
components, relationships and models while others read; 3. SIGKILL at a random moment; 4. start it again and compare
every thing with what was acknowledged, what was read, and the one request that was under way; 5. look into the file:
integrity, columns against documents, metadata against properties, ends of relationships, counts, numbering, journal.
"""

from __future__ import annotations

import http.client
import random
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adt_process import AdtProcess
from crash_file import FileJudge, JournalJudge
from crash_writers import MODELS, Thing, Writer

__all__ = ["Result", "kill_again_and_again"]

_LONG_SHARE = 0.08  # of the rounds go on until the server's log is copied into its file
_LONG_SECONDS = 4.0
_KILLED_AT_START_SHARE = 0.1


@dataclass
class Result:
    """What a run came to; `wrong` is empty when everything held."""

    kills: int = 0
    kills_at_start: int = 0
    acknowledged: int = 0
    under_way: int = 0
    under_way_applied: int = 0
    reads: int = 0
    slowest_start_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**self.__dict__, "slowest_start_s": round(self.slowest_start_s, 3)}


def kill_again_and_again(
    kills: int, *, folder: Path | None = None, seed: int = 1, writers: int = 6, seconds: float = 0.6, say: Any = None
) -> Result:
    """Run `kills` rounds in a folder (default: a temporary one); ends early when something is wrong."""
    with tempfile.TemporaryDirectory(prefix="remhart-crash-", dir=folder) as name:
        return _Run(Path(name), seed, writers, seconds).all(kills, say)


class _Run:
    def __init__(self, folder: Path, seed: int, writers: int, seconds: float) -> None:
        self._options = ("--data", str(folder / "adt.sqlite"), "--journal", str(folder / "journal.ndjson"))
        self._rng = random.Random(seed)
        self._seconds = seconds
        twins = 20
        targets = [f"w{k}-{j}" for k in range(writers) for j in range(twins)]
        self._writers = [Writer(k, seed * 1000 + k, twins, targets) for k in range(writers)]
        self._file = FileJudge(folder / "adt.sqlite")
        self._journal = JournalJudge(folder / "journal.ndjson")
        self._reads = [0]
        self.result = Result()

    def all(self, kills: int, say: Any) -> Result:
        server = self._start()
        call = server.caller()
        status, _, answer = call("POST", "/models", MODELS)
        call.close()
        if status != 201:
            self.result.wrong.append(f"the models were answered {status}: {answer}")
        while self.result.kills < kills and not self.result.wrong:
            self._load_and_kill(server)
            server = self._start()
            self._judge(server)
            if say is not None and self.result.kills % 10 == 0:
                say(f"{self.result.kills} kills, {self._acknowledged()} writes acknowledged")
        code = server.stop()
        if code:
            self.result.wrong.append(f"SIGTERM at the end: exit code {code}")
        self.result.acknowledged, self.result.reads = self._acknowledged(), self._reads[0]
        return self.result

    def _acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self._writers)

    def _start(self) -> AdtProcess:
        while self.result.kills and self._rng.random() < _KILLED_AT_START_SHARE:
            AdtProcess.kill_while_starting(*self._options, after=self._rng.uniform(0.02, 0.5))
            self.result.kills += 1
            self.result.kills_at_start += 1
        server = AdtProcess(*self._options)
        self.result.slowest_start_s = max(self.result.slowest_start_s, server.start_seconds)
        return server

    def _load_and_kill(self, server: AdtProcess) -> None:
        stop = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(server, stop)) for writer in self._writers]
        threads.append(threading.Thread(target=self._read, args=(server, stop, self._rng.random())))
        for thread in threads:
            thread.start()
        long = self._rng.random() < _LONG_SHARE
        time.sleep(_LONG_SECONDS if long else self._rng.uniform(0.02, self._seconds))
        server.kill()
        self.result.kills += 1
        stop.set()
        for thread in threads:
            thread.join()

    def _read(self, server: AdtProcess, stop: threading.Event, seed: float) -> None:
        """What anybody was shown must not be taken back by a kill."""
        rng = random.Random(seed)
        things: list[Thing] = [thing for writer in self._writers for thing in writer.things.values()]
        call = server.caller()
        with suppress(OSError, http.client.HTTPException, ValueError):
            while not stop.is_set():
                thing = rng.choice(things)
                status, _, doc = call("GET", thing.path)
                if status == 200:
                    thing.seen = max(thing.seen, doc["stamp"])
                    self._reads[0] += 1
        call.close()

    def _judge(self, server: AdtProcess) -> None:
        call = server.caller()
        wrong = self.result.wrong
        status, _, health = call("GET", "/_remhart/health")
        if status != 200:
            wrong.append(f"health was answered {status}")
            return
        wrong += self._file.judge(health)
        present = _model_names(call)
        for writer in self._writers:
            under_way = [thing for thing in writer.things.values() if thing.is_under_way]
            old = [thing.acknowledged for thing in under_way]
            wrong += writer.judge(call, present)
            self.result.under_way += len(under_way)
            self.result.under_way_applied += sum(
                thing.acknowledged != before for thing, before in zip(under_way, old, strict=True)
            )
            wrong += self._journal.judge(writer.etags)
            writer.etags.clear()
        call.close()


def _model_names(call: Any) -> set[str]:
    names: set[str] = set()
    path = "/models"
    while path:
        _, _, page = call("GET", path)
        names |= {model["id"].removeprefix("dtmi:crash:").removesuffix(";1") for model in page["value"]}
        link = page["nextLink"]
        path = "/models?" + _without_version(link.partition("?")[2]) if link else ""
    return names


def _without_version(query: str) -> str:
    return "&".join(part for part in query.split("&") if not part.startswith("api-version="))
