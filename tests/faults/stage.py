"""Real processes for the fault tests: local ADT, local Event Hub, the daemon; a sender; the comparison at the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from remhart_adt.client import connect
from remhart_adt.clock import format_us
from remhart_adt.graph.snapshot import LiveGraph, fetch
from remhart_adt.local.eventhub.log import read
from remhart_adt.resources import dtdl_dir, models_dir
from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.oracle import Expected, comparable, replay
from remhart_adt.sync.sources import EventHubSender
from remhart_adt.sync.stores import SqliteStore
from remhart_adt.sync.types import RawEvent

CHAIN = ("sub", "tr", "b1", "line1", "b2", "line2")
POINTS = ("mp-tr", "mp-1", "mp-2")
GRAPH = """
version: 1
components:
  - {id: sub, type: substation, feedsTo: [tr]}
  - {id: tr, type: transformer, ratedCapacity: 100000, feedsTo: [b1], monitoredBy: [{to: mp-tr, phases: ABC}]}
  - {id: b1, type: circuit_breaker, switchState: closed, feedsTo: [line1]}
  - {id: line1, type: transmission_line, ratedCurrent: 100, feedsTo: [b2], monitoredBy: [{to: mp-1, phases: ABC}]}
  - {id: b2, type: circuit_breaker, switchState: closed, feedsTo: [line2]}
  - {id: line2, type: transmission_line, ratedCurrent: 100, monitoredBy: [{to: mp-2, phases: ABC}]}
points:
  - {id: mp-tr, gridStandard: {nominalVoltage: 230, nominalFrequency: 50, ratedCurrent: 100}}
  - {id: mp-1, gridStandard: {nominalVoltage: 230, nominalFrequency: 50, ratedCurrent: 100}}
  - {id: mp-2, gridStandard: {nominalVoltage: 230, nominalFrequency: 50, ratedCurrent: 100}}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def reading(point: str, time_us: int, k: int, **more: Any) -> dict[str, Any]:
    """A reading whose values depend on k, so that an old one standing in the twin is seen."""
    wobble = (k * 37 % 100) / 50.0
    volts = (180.0 if 40 <= k % 100 < 45 else 229.0 + wobble, 230.0 + wobble, 231.0 - wobble)
    return {
        "pointId": point,
        "timestamp": format_us(time_us),
        "voltage": dict(zip(("phaseA", "phaseB", "phaseC"), volts, strict=True)),
        "current": {"phaseA": 10.0 + wobble, "phaseB": 11.0, "phaseC": 12.0},
        "activePower": {"phaseA": 2000.0 + k, "phaseB": 2100.0, "phaseC": 2200.0},
        "reactivePower": {"phaseA": 200.0, "phaseB": 210.0, "phaseC": 220.0},
        "frequency": 50.0,
        **more,
    }


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Where two documents differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted({*found, *wanted})
        return [line for key in keys for line in differences(found.get(key), wanted.get(key), f"{path}/{key}")]
    return [] if found == wanted else [f"{path}: found {found!r}, wanted {wanted!r}"]


class Stage:
    """Everything a fault test needs; `folder` holds all state and all logs."""

    def __init__(self, folder: Path, *, partitions: int = 2) -> None:
        self.folder = folder
        self.partitions = partitions
        self.adt_port, self.hub_port, self.health_port = free_port(), free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.endpoint = f"http://127.0.0.1:{self.adt_port}"
        self.connection = ""
        self.start_graph = LiveGraph()
        self.sent = 0
        self._k = 0

    # --- processes ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.start_adt()
        self.start_hub()
        with connect(self.endpoint) as client:
            client.models.upload([dict(json.loads(p.read_text())) for p in sorted(dtdl_dir().glob("*.json"))])
        shutil.copytree(models_dir(), self.folder / "models")
        (self.folder / "graph.yaml").write_text(GRAPH)
        self.cli("graph", "apply", str(self.folder / "graph.yaml"), "--endpoint", self.endpoint)
        with connect(self.endpoint) as client:
            self.start_graph = fetch(client)

    def end(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def cli(self, *args: str) -> str:
        command = [sys.executable, "-m", "remhart_adt.cli.app", *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=self._env())
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _env(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("REMHART_")}
        return {**clean, "REMHART_SOURCE__CONNECTION_STRING": self.connection} if self.connection else clean

    def start(self, name: str, *args: str) -> dict[str, Any]:
        """Start a command that prints one JSON line when ready."""
        command = [sys.executable, "-m", "remhart_adt.cli.app", *args]
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.err").open("ab") as err:
            self.processes[name] = subprocess.Popen(command, stdout=out, stderr=err, env=self._env())
        return json.loads(self.wait(lambda: (self.folder / f"{name}.out").read_text().strip() or None, name))

    def start_adt(self) -> None:
        self.start("adt", "local", "adt", "--port", str(self.adt_port), "--data", str(self.folder / "adt.db"))

    def start_hub(self) -> None:
        args = ("--port", str(self.hub_port), "--data", str(self.folder / "hub"), "--partitions", str(self.partitions))
        ready = self.start("hub", "local", "eventhub", *args)
        self.connection = ready["connection_string"]

    def start_daemon(self, **sections: Any) -> None:
        config: dict[str, Any] = {
            "adt": {"endpoint": self.endpoint},
            "source": {"balance_seconds": 1.0, "expire_seconds": 6.0},
            "checkpoint": {"path": str(self.folder / "checkpoints.db"), "every_seconds": 0.3, "snapshot_seconds": 1.0},
            "write": {"flush_ms": 100, "deadline": 1.0},
            "health": {"port": self.health_port},
            "dead_letter": str(self.folder / "dead"),
            "models_dir": str(self.folder / "models"),
            "report": str(self.folder / "report.json"),
            "graph_refresh_seconds": 2.0,
        }
        for key, value in sections.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) else value
        path = self.folder / "sync.json"
        path.write_text(json.dumps(config))
        self.start("daemon", "sync", "run", "--config", str(path))

    def kill(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def terminate(self, name: str, within: float = 25.0) -> int:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(within)

    def wait(self, probe: Any, what: str, seconds: float = 30.0) -> Any:
        """Until the probe answers something; the processes' own words are in the failure."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended: {self.words(name)}"
            found = probe()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come within {seconds} s: {self.words('daemon')}")

    def words(self, name: str) -> str:
        path = self.folder / f"{name}.err"
        return path.read_text()[-3000:] if path.exists() else ""

    # --- traffic ------------------------------------------------------------------------------------------------------

    def send(self, rounds: int, *, extra: list[bytes] | None = None, pause: float = 0.0, ahead: float = 0.0) -> None:
        """`rounds` rounds of five readings per point in one array each; a breaker moves now and then.

        `ahead`: seconds by which their source times are ahead of the clock.
        """

        async def work() -> None:
            async with EventHubSender(self.connection, per_event=5) as sender:
                for body in extra or []:
                    await sender.send_body("poison", body)
                for _ in range(rounds):
                    now = time.time_ns() // 1000 + round(ahead * 1e6)
                    self._k += 1
                    for i in range(5):
                        rows = [reading(p, now + 1000 * i, 5 * self._k + i) for p in POINTS]
                        await sender.send(rows)
                    if self._k % 7 == 0:
                        state = "open" if self._k % 14 == 0 else "closed"
                        body = {"componentId": "b1", "timestamp": format_us(now), "switchState": state}
                        await sender.send([{**body, "temperature": 20.0 + self._k % 5}])
                    await sender.flush()
                    await asyncio.sleep(pause)
                await sender.flush()
                self.sent += sender.counters.readings

        asyncio.run(work())

    def report(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/report", timeout=5) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, OSError):
            return {}

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def log(self) -> dict[str, list[RawEvent]]:
        """The hub's log, by partition."""
        events: dict[str, list[RawEvent]] = {str(i): [] for i in range(self.partitions)}
        for e in read(self.folder / "hub"):
            events[e.partition].append(RawEvent(e.sequence, e.offset, e.enqueued_us, e.body))
        return events

    def settle(self, seconds: float = 40.0) -> None:
        """Until the daemon has committed everything that the hub holds."""
        ends = {name: rows[-1].sequence for name, rows in self.log().items() if rows}

        def done() -> bool:
            partitions = self.report().get("partitions", {})
            at = {name: partitions.get(name, {}).get("checkpoint", -1) for name in ends}
            return at == ends and not self.report().get("pending_targets")

        self.wait(done, "the commit of everything sent", seconds)

    # --- the end ------------------------------------------------------------------------------------------------------

    def expected(self, engine: Engine | None = None) -> Expected:
        graph = self.start_graph
        return replay(
            self.log(),
            graph.twins.values(),
            graph.relationships.values(),
            engine or Engine.load(self.folder / "models"),
        )

    def check(self, *, conserved: bool = True, engine: Engine | None = None, commits: bool = True) -> dict[str, Any]:
        """Stop the daemon; every twin and relationship equals the oracle, nothing is lost, nothing counted twice."""
        assert self.terminate("daemon") == 0, self.words("daemon")
        report = json.loads((self.folder / "report.json").read_text())
        expected = self.expected(engine)
        with connect(self.endpoint) as client:
            twins = {name: client.twins.get(name) for name in self.start_graph.twins}
            live = fetch(client)
        for name, wanted in expected.twins.items():
            wrong = differences(comparable(twins[name]), comparable(wanted))
            assert not wrong, (name, wrong)
        for key, wanted in expected.relationships.items():
            wrong = differences(comparable(live.relationships[key]), comparable(wanted))
            assert not wrong, (key, wrong)
        outcomes = sum(report[name] for name in ("applied", "merged", "skipped", "dead_lettered"))
        assert report["received"] == outcomes == expected.received == self.sent
        assert report["in_flight"] == 0
        if conserved:
            assert report["dead_lettered"] == len(expected.dead)
            causes: dict[str, int] = {}
            for dead in expected.dead.values():
                causes[dead.cause.value] = causes.get(dead.cause.value, 0) + 1
            assert report["dead_by_cause"] == causes
            assert self.dead_rows() == set(expected.dead)
        if commits:
            self.check_commits()
        return dict(report)

    def dead_rows(self) -> set[tuple[str, int, int]]:
        """Keys in the dead-letter files; a key that stands there twice is a failure."""
        rows = [json.loads(line) for path in (self.folder / "dead").glob("*") for line in path.read_text().splitlines()]
        keys = [(row["partition"], row["sequence"], row["index"]) for row in rows]
        assert len(keys) == len(set(keys))
        return set(keys)

    def check_commits(self) -> None:
        """Checkpoints never go back, and their ledgers are conserved and never shrink."""

        async def history() -> list[Any]:
            from remhart_adt.sync.sources import EventHubSource

            store = SqliteStore(self.folder / "checkpoints.db")
            source = EventHubSource(self.connection, store=store)
            try:
                await store.bind(source.scope)
                return await store.history()
            finally:
                await source.close()
                await store.close()

        last: dict[str, tuple[int, int]] = {}
        for record in asyncio.run(history()):
            counts = record.ledger
            done = sum(counts.get(name, 0) for name in ("applied", "merged", "skipped", "dead_lettered"))
            assert counts["received"] == done
            assert (record.sequence, done) >= last.get(record.partition, (-1, 0))
            last[record.partition] = (record.sequence, done)
