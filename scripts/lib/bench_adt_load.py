"""A server under load from a Node program, and what of it is measured over several rounds in turns with another."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from adt_process import AdtProcess
from bench_adt_data import Request, twin_path

__all__ = ["CONNECTIONS", "Target", "Work", "load_by_requests", "measure", "pages", "query_times"]

CONNECTIONS: Final = 32
_LOAD: Final = Path(__file__).resolve().parents[2] / "tools" / "node" / "load.mjs"
_WARM_SECONDS: Final = 0.5


class Target:
    """A running server with a load generator; files go to `folder`."""

    def __init__(self, label: str, server: AdtProcess, folder: Path) -> None:
        self.label = label
        self.server = server
        self._folder = folder
        command = ["node", str(_LOAD), server.host, str(server.port)]
        self._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self, requests: Sequence[Request], *, connections: int = CONNECTIONS, seconds: float | None = None
    ) -> dict[str, Any]:
        """Send them, again and again for so many seconds, or once; requests, seconds, statuses, ms, sample."""
        file = self._folder / f"{self.label}.requests"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(request) + "\n" for request in requests)
        job = {"file": str(file), "connections": connections, "seconds": seconds}
        if seconds is not None:
            job["warm_seconds"] = min(_WARM_SECONDS, seconds / 4)
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps(job) + "\n")
        self._node.stdin.flush()
        line = self._node.stdout.readline()
        if not line:
            sys.exit("the load generator ended; its own message stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the generator and the server."""
        self._node.communicate()
        self.server.stop()


@dataclass
class Work:
    """The requests of one operation; with `once` they are new for each round and sent only once."""

    name: str
    rng: random.Random
    make: Callable[[str, int], Sequence[Request]]  # of a target's label and the number of the round
    once: bool = False
    rates: dict[str, list[float]] = field(default_factory=dict)
    p95: dict[str, list[float]] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def rate(self, label: str) -> float | None:
        """Median requests a second; None when the server refused."""
        return None if label in self.refused else statistics.median(self.rates[label])

    def delays(self, label: str) -> str:
        """The 95th percentile (median over the rounds) and the worst of all; or why the server refused."""
        if label in self.refused:
            return self.refused[label]
        return f"p95 {statistics.median(self.p95[label]):.1f} ms, max {self.worst[label]:.0f}"


def measure(works: Sequence[Work], targets: dict[str, Target], rounds: int, seconds: float) -> None:
    """Every operation on every target in turns, `rounds` times, so that what else the machine does hits all alike."""
    for number in range(rounds):
        for work in works:
            for label, target in targets.items():
                requests = work.make(label, number)
                answer = target.run(requests, seconds=None if work.once else seconds)
                bad = {status: text for status, text in answer["sample"].items() if not status.startswith("2")}
                if bad:
                    work.refused[label] = f"{dict(answer['statuses'])}: {next(iter(bad.values()))[:200]}"
                work.rates.setdefault(label, []).append(answer["requests"] / answer["seconds"])
                work.p95.setdefault(label, []).append(answer["ms"]["p95"])
                work.worst[label] = max(work.worst.get(label, 0.0), answer["ms"]["max"])


def query_times(target: Target, bodies: Sequence[Any], connections: int = 1) -> tuple[dict[str, float] | None, str]:
    """(ms: p50, p95, p99, max of the queries one after the other, or None; why they were refused). The first eighth
    only warms: an index may be made for the first of a kind."""
    requests = [("POST", "/query?api-version=2023-10-31", json.dumps(body)) for body in bodies]
    cold = target.run(requests[: max(1, len(requests) // 8)], connections=1)
    answer = target.run(requests, connections=connections)
    statuses = {**cold["statuses"], **answer["statuses"]}
    if set(statuses) == {"200"}:
        return answer["ms"], ""
    worst = next(status for status in answer["sample"] if status != "200")
    return None, f"{worst}: {answer['sample'][worst][:160]}"


def pages(target: Target, text: str, size: int) -> tuple[int, float, float]:
    """(rows, seconds, slowest page in ms) of a query read to its end, page by page."""
    call = target.server.caller()
    rows, slowest = 0, 0.0
    body: dict[str, Any] = {"query": text}
    begun = time.perf_counter()
    while True:
        asked = time.perf_counter()
        status, _, page = call("POST", "/query", body, {"max-items-per-page": str(size)})
        if status != 200:
            sys.exit(f"a page of {text} was answered {status}: {page}")
        slowest = max(slowest, time.perf_counter() - asked)
        rows += len(page["value"])
        if page["continuationToken"] is None:
            call.close()
            return rows, time.perf_counter() - begun, slowest * 1000
        body = {"continuationToken": page["continuationToken"]}


def load_by_requests(target: Target, twins: Sequence[Any], links: Sequence[Any]) -> float:
    """PUT everything; seconds."""
    begun = time.perf_counter()
    for rows in (
        [("PUT", twin_path(name), json.dumps(doc)) for name, doc in twins],
        [("PUT", twin_path(source, f"/relationships/{rid}"), json.dumps(doc)) for source, rid, doc in links],
    ):
        answer = target.run(rows) if rows else {"statuses": {"200": 0}, "sample": {}}
        if set(answer["statuses"]) != {"200"}:
            sys.exit(f"loading was answered {answer['statuses']}: {answer['sample']}")
    return time.perf_counter() - begun
