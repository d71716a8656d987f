"""The whole path under load: a producer in this process, hub, daemon and ADT server as processes of their own.

The load is one simulated feeder, copied with other ids until there are points enough, with small noise per copy: load
generation, not a simulation of that many customers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remhart_adt.checker import read_journal
from remhart_adt.clock import SYSTEM
from remhart_adt.demo.report import ModelShares
from remhart_adt.demo.setting import apply_graph, free_port, live_graph, start_daemon, upload_models, write_yaml
from remhart_adt.demo.stage import Stage, get_json
from remhart_adt.ids import DTMI_POINT
from remhart_adt.observe import percentile_between
from remhart_adt.readings import nested_reading
from remhart_adt.simulate import Scenario
from remhart_adt.sync.sources import EventHubSender


@dataclass(frozen=True)
class Load:
    """What is sent: `points` meters, `hertz` readings a second each, `per_event` readings in one array."""

    points: int
    hertz: float
    per_event: int
    seconds: float
    warm_up: float
    history_hours: float


def copied(graph: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The graph with every id prefixed."""

    def link(value: Any) -> Any:
        if isinstance(value, str):
            return prefix + value
        if isinstance(value, list):
            return [link(item) for item in value]
        key = next(name for name in ("to", "target", "point") if name in value)
        return {**value, key: prefix + value[key]}

    links = {"feedsTo", "monitoredBy", "connectedTo", "managedBy", "manages"}
    return {
        name: [
            {
                key: prefix + value if key == "id" else link(value) if key in links else value
                for key, value in row.items()
            }
            for row in rows
        ]
        for name, rows in graph.items()
        if isinstance(rows, list)
    }


def arrays(load: Load, scenario: Scenario, names: list[str]) -> Iterator[tuple[float, str, bytes]]:
    """(seconds after the start, point id, event body) in the order of sending, points spread over each interval."""
    import orjson

    rng = np.random.default_rng(7)
    many = len(scenario.point_ids)
    every = load.per_event / load.hertz
    window: list[Any] = []
    start_us = scenario.start_us
    for tick in scenario.live():
        window.append(tick)
        if len(window) < load.per_event:
            continue
        block = np.stack([one.values for one in window])
        times = [one.time_us for one in window]
        due = (times[-1] - start_us) / 1e6
        for j, name in enumerate(names):
            values = block[:, j % many, :] * (1.0 + 1e-4 * rng.standard_normal((len(window), 1)))
            rows = [nested_reading(name, t, row) for t, row in zip(times, values.tolist(), strict=True)]
            yield due + every * j / len(names), name, orjson.dumps(rows)
        window = []


def usage(pid: int) -> tuple[float, float]:
    """(CPU seconds, peak resident MiB) of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{pid}/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    return (int(fields[11]) + int(fields[12])) / ticks, peak / 1024


async def run_e2e(load: Load, folder: Path) -> dict[str, Any]:
    """Run the load and take the figures from the daemon's report, the server's journal and the processes."""
    shutil.rmtree(folder, ignore_errors=True)
    length = load.warm_up + load.seconds
    lead_s = 20 + load.points * load.history_hours * 60 / 4000  # the history is sent and worked off meanwhile
    start_us = (SYSTEM.now_us() // 1_000_000 + round(lead_s)) * 1_000_000
    scenario = Scenario(
        seed=5,
        start_us=start_us,
        period_s=1.0 / load.hertz,
        seconds=length,
        events=(),
        history_hours=max(1.0, load.history_hours),
    )
    many = len(scenario.point_ids)
    prefixes = [f"f{k}-" for k in range(-(-load.points // many))]
    names = [f"{prefix}{name}" for prefix in prefixes for name in scenario.point_ids][: load.points]
    parts = [copied(scenario.graph(), prefix) for prefix in prefixes]
    graph: dict[str, Any] = {"version": 1}
    for key in ("components", "points", "users"):
        graph[key] = [row for part in parts for row in part.get(key, [])]
    ready = list(arrays(load, scenario, names))
    port = free_port()
    with Stage(folder) as stage:
        stage.start_adt()
        stage.start_hub()
        upload_models(stage.endpoint)
        write_yaml(folder / "graph.yaml", graph)
        await apply_graph(stage.endpoint, folder / "graph.yaml")
        start_daemon(stage, port=port, report=folder / "report.json")
        while True:
            try:
                get_json(f"http://127.0.0.1:{port}/readyz")
                break
            except (OSError, ValueError):
                await asyncio.sleep(0.1)
        sent, history = await _history(load, scenario, names, stage, port)
        behind = 0.0
        measured: dict[str, Any] = {}
        async with EventHubSender(stage.connection_string, per_event=1) as sender:
            await sender.flush()
            begun = time.monotonic()
            await asyncio.sleep(max(0.0, (start_us - SYSTEM.now_us()) / 1e6))
            begun = time.monotonic()
            last = begun
            for due, name, body in ready:
                now = time.monotonic()
                if due > now - begun:
                    if now - last > 0.02:
                        await sender.flush()
                        last = time.monotonic()
                    await asyncio.sleep(max(0.0, due - (time.monotonic() - begun)))
                behind = max(behind, time.monotonic() - begun - due)
                await sender.send_body(name, body, readings=load.per_event)
                sent += load.per_event
                if not measured and due >= load.warm_up:
                    measured = {"sent": sent, "at": time.monotonic(), "cpu": _cpu(stage), "report": _report(port)}
            await sender.flush()
        ended = time.monotonic()
        while True:
            report = _report(port)
            if report["received"] >= sent and not report["in_flight"]:
                break
            await asyncio.sleep(0.1)
        drained = time.monotonic()
        cpu = _cpu(stage)
        peak = {name: round(usage(child.process.pid)[1], 1) for name, child in stage.children.items()}
        shares = ModelShares()
        shares.look(live_graph(stage.endpoint).of_model(DTMI_POINT).values())
        seconds = ended - measured["at"]
        statuses = Counter(request.status for request in read_journal(stage.journal))
        return {
            "load": load.__dict__,
            "sent": sent,
            "history": history,
            "readings_per_s": round((sent - measured["sent"]) / seconds, 1),
            "drained_after_s": round(drained - ended, 2),
            "producer_worst_delay_s": round(behind, 3),
            **{f"latency_p{share * 100:.0f}_ms": _delay(measured["report"], report, share) for share in (0.5, 0.99)},
            "outcomes": {k: report[k] for k in ("applied", "merged", "skipped", "dead_lettered", "in_flight")},
            "model_ok_share_at_the_end": shares.to_json(),
            "patches_per_s": round((report["patches_twin"] - measured["report"]["patches_twin"]) / seconds, 1),
            "answers_by_status": {str(k): v for k, v in sorted(statuses.items())},
            "cpu_share_of_one_core": {k: round((cpu[k] - measured["cpu"][k]) / seconds, 3) for k in cpu},
            "peak_rss_mib": peak,
        }


async def _history(
    load: Load, scenario: Scenario, names: list[str], stage: Stage, port: int
) -> tuple[int, dict[str, Any]]:
    """Send the hours before the start, unpaced, so that every model has what it needs; how many, and how fast."""
    if not load.history_hours:
        return 0, {}
    history = scenario.history(load.history_hours)
    many = len(scenario.point_ids)
    sent = 0
    begun = time.monotonic()
    async with EventHubSender(stage.connection_string, per_event=60) as sender:
        for j, name in enumerate(names):
            rows = zip(history.time_us.tolist(), history.values[:, j % many, :].tolist(), strict=True)
            await sender.send([nested_reading(name, t, row) for t, row in rows])
            sent += len(history.time_us)
            await asyncio.sleep(0)
    while True:
        report = _report(port)
        if report["received"] >= sent and not report["in_flight"]:
            break
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - begun
    return sent, {"readings": sent, "seconds": round(seconds, 1), "readings_per_s": round(sent / seconds)}


def _delay(before: dict[str, Any], after: dict[str, Any], share: float) -> float | None:
    return percentile_between(before["latency_histogram_ms"], after["latency_histogram_ms"], share)


def _report(port: int) -> dict[str, Any]:
    return get_json(f"http://127.0.0.1:{port}/report", timeout=30)


def _cpu(stage: Stage) -> dict[str, float]:
    own = sum(os.times()[:2])
    return {"producer": own, **{name: usage(child.process.pid)[0] for name, child in stage.children.items()}}


__all__ = ["Load", "run_e2e"]
