"""The local ADT server as a process of its own, for what measures it and for what kills it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["VERSION", "AdtProcess", "Caller"]

VERSION = "?api-version=2023-10-31"
_ADT = ("-m", "remhart_adt.cli.app", "local", "adt")


class Caller:
    """One keep-alive connection; call it with a method, a path and what to send as JSON."""

    def __init__(self, host: str, port: int, timeout: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, Any]:
        """(status, entity tag, decoded body); raises OSError or HTTPException when the server is gone."""
        sent = None if body is None else json.dumps(body).encode()
        target = path if path.startswith("/_remhart") else path + ("&" + VERSION[1:] if "?" in path else VERSION)
        self._connection.request(method, target, sent, headers or {})
        response = self._connection.getresponse()
        content = response.read()
        return response.status, response.getheader("etag") or "", json.loads(content) if content else None

    def close(self) -> None:
        self._connection.close()


class AdtProcess:
    """`remhart-adt local adt` with this data file, or another program that says its endpoint in the same way.

    `start_seconds` is the time from the start of the process to the first answer.
    """

    def __init__(self, *options: str, program: tuple[str, ...] = _ADT) -> None:
        begun = time.perf_counter()
        self.process = _spawn(program, options)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise RuntimeError(f"the server did not start with {options}; its own message stands above")
        self.endpoint: str = json.loads(line)["endpoint"]
        host, port = self.endpoint.removeprefix("http://").rsplit(":", 1)
        self.host, self.port = host, int(port)
        caller = self.caller()
        try:
            status, _, _ = caller("GET", "/models")
        except (OSError, http.client.HTTPException, ValueError):
            self.kill()
            raise
        if status != 200:
            self.kill()
            raise RuntimeError(f"the server answers {status} to GET /models")
        caller.close()
        self.start_seconds = time.perf_counter() - begun

    @classmethod
    def kill_while_starting(cls, *options: str, after: float) -> None:
        """Start the server and SIGKILL it so many seconds later, ready or not."""
        process = _spawn(_ADT, options)
        time.sleep(after)
        process.kill()
        process.communicate()

    def caller(self, timeout: float = 60.0) -> Caller:
        """A connection of its own."""
        return Caller(self.host, self.port, timeout)

    def usage(self) -> tuple[float, float]:
        """(CPU seconds, peak resident MB) so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak / 1024

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _spawn(program: tuple[str, ...], options: tuple[str, ...]) -> subprocess.Popen[str]:
    # Compiled modules are kept, as in any installation; without them a start is measured that nobody has.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, *program, *options], stdout=subprocess.PIPE, text=True, env=kept, start_new_session=True
    )
