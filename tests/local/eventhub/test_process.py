"""The hub as a process: ready line, SIGKILL and restart on the same port, SIGTERM, both stand-ins together."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.eventhub import read
from remhart_adt.local.eventhub.testing import CLIENT_LEFTOVERS
from remhart_adt.sync.sources import EventHubSender

pytestmark = [pytest.mark.process, *CLIENT_LEFTOVERS]
Start = Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `remhart-adt local ...` and reads its ready line; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "remhart_adt.cli.app", "local", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(env or {})},
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        return process, json.loads(line) if line else {}

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_acknowledged_events_survive_sigkill_and_the_hub_goes_on_at_the_same_port(start: Start, tmp_path: Path) -> None:
    arguments = ["eventhub", "--data", str(tmp_path), "--partitions", "2"]
    process, ready = start(*arguments, env={"REMHART_LOCAL_EVENTHUB_KEY": "s3cret"})
    assert "SharedAccessKey=s3cret;" in ready["connection_string"]

    async def run() -> tuple[int, int]:
        nonlocal process
        async with EventHubSender(ready["connection_string"], per_event=1) as sender:
            await sender.send([{"pointId": f"p{i % 5}", "n": i} for i in range(200)])
            await sender.flush()
            process.kill()  # with the sender's connections open
            process.wait()
            first = sender.counters.readings
            process, again = start(
                *arguments, "--port", str(ready["port"]), env={"REMHART_LOCAL_EVENTHUB_KEY": "s3cret"}
            )
            assert again == ready
            await sender.send([{"pointId": f"p{i % 5}", "n": i} for i in range(200, 300)])
        return first, sender.counters.readings

    before = asyncio.run(run())
    assert before == (200, 300)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    events = list(read(tmp_path))
    assert sorted(json.loads(event.body)["n"] for event in events) == list(range(300))
    for partition in ("0", "1"):
        mine = [event for event in events if event.partition == partition]
        assert [event.sequence for event in mine] == list(range(len(mine)))
        assert all(int(a.offset) < int(b.offset) for a, b in itertools.pairwise(mine))
        numbers = [json.loads(event.body)["n"] for event in mine if json.loads(event.body)["pointId"] == "p1"]
        assert numbers == sorted(numbers)


def test_both_stand_ins_start_and_stop_together(start: Start, tmp_path: Path) -> None:
    process, ready = start("up", "--data", str(tmp_path))
    assert ready["connection_string"] == ready["eventhub"]["connection_string"]
    with urllib.request.urlopen(ready["adt"]["admin"] + "/health", timeout=5) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(ready["adt"]["admin"] + "/health", timeout=5)
    assert (tmp_path / "eventhub" / "hub.json").is_file()


def test_when_one_stand_in_cannot_start_the_other_is_stopped(start: Start, tmp_path: Path) -> None:
    first, ready = start("eventhub")
    process, nothing = start("up", "--eventhub-port", str(ready["port"]))
    assert nothing == {}
    assert process.wait(30) == 1
    first.terminate()
    assert first.wait(10) == 0
