"""The processes of a run: both stand-ins and the daemon, each a child of its own, started through the public CLI."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from remhart_adt.errors import LocalServerError

__all__ = ["Child", "Stage", "get_json"]

_READY_SECONDS: Final = 30.0


def get_json(url: str, *, timeout: float = 5.0) -> dict[str, Any]:
    """GET a JSON object from a server on this machine; OSError or ValueError when there is none."""
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError(f"only servers on this machine are asked: {url}")
    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - loopback only, checked above
        body = json.load(answer)
    if not isinstance(body, dict):
        raise ValueError(f"{url} answered no JSON object")
    return body


@dataclass(slots=True)
class Child:
    """One child process; `ready` is the JSON line it printed when it was ready to serve."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    ready: dict[str, Any] = field(default_factory=dict)

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def stop(self, timeout: float = 25.0) -> int:
        """SIGTERM, then SIGKILL after `timeout` seconds; the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait(10)


class Stage:
    """Starts and stops the processes of one run; all their files stand under `folder`.

    The hub's shared access key is made for this run and handed over in the environment, never in a file or an argument.
    """

    def __init__(self, folder: Path, *, partitions: int = 4, eventhub: str = "telemetry") -> None:
        self.folder = folder
        self.partitions = partitions
        self.eventhub = eventhub
        self.key = secrets.token_urlsafe(32)
        self.children: dict[str, Child] = {}
        self.endpoint = ""
        self.connection_string = ""
        self._ports: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    # --- where things are -------------------------------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        """The ADT server's request journal."""
        return self.folder / "journal.ndjson"

    @property
    def hub_data(self) -> Path:
        """The Event Hub's log."""
        return self.folder / "hub"

    @property
    def dead_letter(self) -> Path:
        """The daemon's dead-letter folder."""
        return self.folder / "dead-letter"

    @property
    def checkpoints(self) -> Path:
        """The daemon's SQLite checkpoint store."""
        return self.folder / "checkpoints.sqlite"

    @property
    def eventhub_port(self) -> int:
        """The Event Hub's port; it stays the same over restarts, as it is part of the checkpoints' scope."""
        return self._ports["eventhub"]

    def log(self, name: str) -> Path:
        """Standard error of a child."""
        return self.folder / f"{name}.log"

    def stand_ins(self) -> list[Child]:
        """The children that stand for Azure."""
        return [child for name, child in self.children.items() if name != "daemon"]

    # --- processes --------------------------------------------------------------------------------------------------

    def start_adt(self) -> str:
        """Start (or start again, on the same port and data) the ADT server; its endpoint."""
        arguments = [
            "local",
            "adt",
            "--port",
            str(self._ports.get("adt", 0)),
            "--data",
            str(self.folder / "adt.sqlite"),
        ]
        child = self.start("adt", [*arguments, "--journal", str(self.journal)])
        self.endpoint = str(child.ready["endpoint"])
        self._ports["adt"] = int(self.endpoint.rsplit(":", 1)[1].rstrip("/"))
        return self.endpoint

    def start_hub(self) -> str:
        """Start (or start again) the Event Hub; its connection string."""
        arguments = ["local", "eventhub", "--port", str(self._ports.get("eventhub", 0)), "--data", str(self.hub_data)]
        arguments += ["--partitions", str(self.partitions), "--name", self.eventhub]
        child = self.start("eventhub", arguments, {"REMHART_LOCAL_EVENTHUB_KEY": self.key})
        self.connection_string = str(child.ready["connection_string"])
        self._ports["eventhub"] = int(child.ready["port"])
        return self.connection_string

    def start(
        self, name: str, arguments: Sequence[str], env: Mapping[str, str] | None = None, *, wait: bool = True
    ) -> Child:
        """Start `remhart-adt ARGUMENTS` and wait for its ready line.

        Raises LocalServerError, with the end of the child's log, when it stops or stays silent.
        """
        log = self.log(name)
        with log.open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "remhart_adt.cli.app", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children[name] = child
        if wait:
            child.ready = self._ready_line(child)
        return child

    def _ready_line(self, child: Child) -> dict[str, Any]:
        lines: list[str] = []
        stream = child.process.stdout
        assert stream is not None

        def drain() -> None:
            # The child's output is read to its end, or it would block on a full pipe one day.
            for line in stream:
                if not lines:
                    lines.append(line)

        threading.Thread(target=drain, daemon=True).start()
        deadline = time.monotonic() + _READY_SECONDS
        while not lines and child.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        with contextlib.suppress(ValueError, IndexError):
            ready = json.loads(lines[0])
            if isinstance(ready, dict):
                return ready
        child.process.kill()
        tail = child.log.read_text(encoding="utf-8", errors="replace")[-800:].strip()
        raise LocalServerError(
            f"{child.name} did not become ready: {tail or 'it printed nothing'}",
            remedy=f"Its log is {child.log}",
        )

    def stop(self, *names: str) -> dict[str, int]:
        """Stop the named children (default: all, the daemon first); exit codes by name."""
        wanted = names or tuple(reversed(list(self.children)))
        return {name: self.children[name].stop() for name in wanted if name in self.children}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
