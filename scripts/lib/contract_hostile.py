"""Hostile clients by the thousand and bodies by the hundred megabytes against a server in a process of its own.

Each trial says what it did, what the server answered, how long another client waited at most meanwhile, and how much
memory the server had in the end and at most. What must not be: a wrong answer, another client that waits for more than
the trial allows (a second but for models of megabytes), more memory than it allows, a traceback, a server that is gone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["run_hostile"]

_VERSION: Final = "api-version=2023-10-31"
_MB: Final = 1 << 20
_SOCKETS: Final = 10_000
_SPARE_FILES: Final = 100


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of attack: what is done, and how many MB more than before the server may take for it."""

    name: str
    act: Callable[[Server], str]
    megabytes: int
    seconds: float = 1.0


class Server:
    """A server process and a bystander who asks it for something small all the time."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "remhart_adt.cli.app", "local", "adt"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        assert self.process.stdout is not None
        split = urlsplit(json.loads(self.process.stdout.readline())["endpoint"])
        self.host, self.port = str(split.hostname), int(split.port or 0)
        self._stop = threading.Event()
        self._longest = 0.0
        self._fault = ""
        self._read = 0
        self._bystander = threading.Thread(target=self._ask, daemon=True)
        self._bystander.start()

    def _ask(self) -> None:
        client = http.client.HTTPConnection(self.host, self.port, timeout=60)
        while not self._stop.wait(0.02):
            began = time.monotonic()
            try:
                client.request("GET", f"/models?{_VERSION}")
                answer = client.getresponse()
                answer.read()
                if answer.status != 200:
                    self._fault = f"the bystander was answered {answer.status}"
            except OSError as error:
                self._fault = f"the bystander was not answered: {error}"
                client.close()
            self._longest = max(self._longest, time.monotonic() - began)
        client.close()

    def longest(self) -> float:
        """The longest time that the bystander waited since this was asked last, in seconds."""
        longest, self._longest = self._longest, 0.0
        return longest

    def fault(self) -> str:
        """What went wrong for the bystander, or stands in the server's log, since this was asked last."""
        fault, self._fault = self._fault, ""
        self._log.seek(self._read)
        text = self._log.read()
        self._read += len(text)
        return fault or (text[text.index(b"Traceback") :].decode() if b"Traceback" in text else "")

    def memory(self) -> tuple[float, float]:
        """Megabytes that the process has, and had at most since this was asked last."""
        folder = Path("/proc") / str(self.process.pid)
        values = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        (folder / "clear_refs").write_text("5")  # forget the greatest size
        return tuple(int(values[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]

    def connect(self, seconds: float = 60) -> socket.socket:
        """A connection, for this many seconds of silence."""
        return socket.create_connection((self.host, self.port), timeout=seconds)

    def close(self) -> None:
        """Stop the bystander and the server."""
        self._stop.set()
        self._bystander.join()
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


def _rest(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(OSError):
        while part := client.recv(1 << 16):
            got += part
    return got


def _send(server: Server, method: str, path: str, pieces: Iterator[bytes], length: int | None) -> tuple[int, int]:
    """The status of a request whose body comes in pieces, chunked without a length; and how much of it was sent."""
    sent = 0
    with server.connect() as client:
        head = (
            f"{method} {path}?{_VERSION} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n"
        )
        frame = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        client.sendall(f"{head}{frame}\r\n\r\n".encode())
        try:
            for piece in pieces:
                client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if length is None else piece)
                sent += len(piece)
            if length is None:
                client.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        answer = _rest(client)
    return (int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0), sent


def _large(method: str, path: str, size: int, unit: bytes, *, chunked: bool) -> Callable[[Server], str]:
    def act(server: Server) -> str:
        piece = unit * (65536 // len(unit))
        pieces = (piece for _ in range(size // len(piece)))
        status, sent = _send(server, method, path, pieces, None if chunked else size // len(piece) * len(piece))
        if status != 413:
            raise AssertionError(f"answered {status}")
        return f"413 after or before {sent // _MB} MB were taken"

    return act


def _garbage_models(unit: bytes) -> Callable[[Server], str]:
    def act(server: Server) -> str:
        body = b"[" + unit * (16 * _MB // len(unit) - 2) + b"1]"
        status, _ = _send(server, "POST", "/models", iter([body]), len(body))
        if status != 400:
            raise AssertionError(f"answered {status}")
        return f"400 for {len(body) // _MB} MB of {unit.decode()}"

    return act


def _sound_models(server: Server) -> str:
    contents = [{"@type": "Property", "name": f"p{n}", "schema": "string", "comment": "x" * 150} for n in range(280)]
    rest = {"@type": "Interface", "@context": "dtmi:dtdl:context;3", "contents": contents}
    body = json.dumps([{"@id": f"dtmi:h:Sound{n};1", **rest} for n in range(250)]).encode()
    status, _ = _send(server, "POST", "/models", iter([body]), len(body))
    if status != 201:
        raise AssertionError(f"answered {status}")
    return f"201 for {len(body) // _MB} MB of 250 models"


def _pipelined(server: Server) -> str:
    """Everything is sent before anything is read."""
    count = 20_000
    one = f"GET /digitaltwins/nobody?{_VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    with server.connect() as client:
        sender = threading.Thread(target=client.sendall, args=(one * count,), daemon=True)
        sender.start()
        time.sleep(3)  # the server must stop reading at some point, and go on later
        answered = 0
        tail = b""
        while answered < count:
            part = client.recv(1 << 18)
            if not part:
                raise AssertionError(f"closed after {answered} of {count} answers")
            got = tail + part
            answered += got.count(b"HTTP/1.1 404 ")
            tail = got[-12:]
        sender.join(10)
    return f"{count} requests in one go, all answered"


def _small_chunks(server: Server) -> str:
    pieces = (b"[" if not n else b"x" for n in range(32 * 1024))
    status, _ = _send(server, "PATCH", "/digitaltwins/nobody", pieces, None)
    if status != 400:
        raise AssertionError(f"answered {status}")
    return "400 for a body of 32,768 chunks of one byte"


def _come_and_go(server: Server) -> str:
    for n in range(5000):
        client = server.connect(5)
        if n % 2:
            client.sendall(f"GET /models?{_VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        if n % 3 == 0:  # with a reset in place of a goodbye
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return "5000 connections, closed or reset at once, half of them after a request"


def _deep(server: Server) -> str:
    for left, right in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"contents":', b"}]")):
        body = left * 100_000 + b"1" + right * 100_000
        for path in ("/models", "/query", "/digitaltwins/x/telemetry"):
            status, _ = _send(server, "POST", path, iter([body]), len(body))
            if status not in (400, 404, 413):
                raise AssertionError(f"POST {path} answered {status}")
    return "9 bodies nested 100,000 levels deep"


def _sockets(server: Server) -> str:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(_SOCKETS, soft - _SPARE_FILES)
    first = (
        b"",
        b"GET /models HTTP/1.1\r\nHost: h\r\n",
        f"PUT /digitaltwins/x?{_VERSION} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{{".encode(),
    )
    clients = []
    try:
        for n in range(count):
            client = server.connect()
            client.sendall(first[n % 3])
            clients.append(client)
        time.sleep(25)  # heads have 10 seconds, bodies 20
        late = silent = 0
        for n, client in enumerate(clients):
            client.setblocking(False)
            try:
                late += client.recv(100).startswith(b"HTTP/1.1 408")
            except BlockingIOError:
                silent += n % 3 == 0
        if late < count * 2 // 3 - 2:
            raise AssertionError(f"only {late} of {count} were told that they are late")
        return f"{count} sockets open at once (limit {soft}): {late} late ones were ended, {silent} silent ones kept"
    finally:
        for client in clients:
            client.close()


def _trickle(server: Server) -> str:
    clients = [server.connect() for _ in range(1000)]
    ended = 0
    began = time.monotonic()
    for client in clients:
        client.sendall(b"GET /models HTTP/1.1\r\nHost: h\r\n")
    while clients and time.monotonic() - began < 30:
        for client in list(clients):
            try:
                client.sendall(b"X: y\r\n")
            except OSError:
                ended += 1
                clients.remove(client)
                client.close()
        time.sleep(0.5)
    if clients:
        raise AssertionError(f"{len(clients)} of 1000 are still there after 30 s")
    return f"{ended} slow heads ended after {time.monotonic() - began:.0f} s"


def _no_readers(server: Server) -> str:
    """A thousand twins asked for again and again by clients who read nothing."""
    model = {"@id": "dtmi:h:M;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3"}
    model["contents"] = [{"@type": "Property", "name": "name", "schema": "string"}]  # type: ignore[assignment]
    client = http.client.HTTPConnection(server.host, server.port, timeout=60)
    client.request("POST", f"/models?{_VERSION}", json.dumps([model]))
    client.getresponse().read()
    body = json.dumps({"$metadata": {"$model": "dtmi:h:M;1"}, "name": "x" * 4000})
    for n in range(1000):
        client.request("PUT", f"/digitaltwins/t{n}?{_VERSION}", body)
        client.getresponse().read()
    query = b'{"query":"SELECT * FROM DIGITALTWINS"}'
    head = f"POST /query?{_VERSION} HTTP/1.1\r\nHost: h\r\nmax-items-per-page: 1000\r\n"
    head += f"Content-Length: {len(query)}\r\n\r\n"
    clients = [server.connect() for _ in range(30)]
    for one in clients:
        one.sendall((head.encode() + query) * 50)
    time.sleep(30)
    taken = 0
    for one in clients:
        one.settimeout(5)
        taken += _rest(one).count(b"HTTP/1.1 200 ")
        one.close()
    if taken > 300:
        raise AssertionError(f"{taken} of 1500 answers of 4 MB were made for nobody")
    return f"30 clients asked for 1500 answers of 4 MB and read none: {taken} were made, then they were cut off"


def _noise(server: Server) -> str:
    rng = random.Random(1)
    sound = (
        f"PATCH /digitaltwins/t1?{_VERSION} HTTP/1.1\r\nHost: h\r\nIf-Match: *\r\nContent-Length: 2\r\n\r\n[]".encode()
    )
    for n in range(3000):
        data = bytearray(sound if n % 2 else rng.randbytes(rng.randrange(1, 300)))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with server.connect(5) as client:
            client.sendall(bytes(data))
            client.shutdown(socket.SHUT_WR)
            answer = _rest(client)
        if answer[9:12] not in (b"", b"204", b"400", b"404", b"405", b"412", b"413", b"501"):
            raise AssertionError(f"{bytes(data)!r} was answered {answer[:200]!r}")
    return "3000 connections with broken bytes"


_TRIALS: Final = (
    Trial("100 MB for a twin, length announced", _large("PUT", "/digitaltwins/x", 100 * _MB, b"x", chunked=False), 20),
    Trial("100 MB for a twin, chunked", _large("PUT", "/digitaltwins/x", 100 * _MB, b"x", chunked=True), 20),
    Trial("100 MB of models, length announced", _large("POST", "/models", 100 * _MB, b"[1,", chunked=False), 20),
    Trial("100 MB of models, chunked", _large("POST", "/models", 100 * _MB, b"[1,", chunked=True), 80),
    Trial("100 MB for the admin API, chunked", _large("POST", "/_remhart/faults", 100 * _MB, b"[1,", chunked=True), 80),
    Trial("models that are lists", _garbage_models(b"[],"), 80),
    Trial("models that are objects", _garbage_models(b'{"a":1},'), 80),
    Trial("models that are numbers", _garbage_models(b"1,"), 300, 3),
    Trial("models that are texts", _garbage_models(b'"a1",'), 400, 3),
    Trial("deep nesting", _deep, 40),
    Trial("broken bytes", _noise, 20),
    Trial("a body of small chunks", _small_chunks, 20, 3),
    Trial("pipelined requests", _pipelined, 40),
    Trial("connections that come and go", _come_and_go, 40, 3),
    Trial("answers that nobody reads", _no_readers, 400),
    Trial("slow heads", _trickle, 60),
    Trial("open sockets", _sockets, 400),
    # Sound ones are parsed where everybody waits; import jobs are there for more of them.
    Trial("sixteen megabytes of sound models", _sound_models, 700, 30),
)


def run_hostile(only: str = "") -> int:
    """Every trial in turn; how many failed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    failed = 0
    server = Server()
    try:
        for trial in _TRIALS:
            if only in trial.name:
                failed += not _judge(server, trial)
    finally:
        server.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return failed


def _judge(server: Server, trial: Trial) -> bool:
    before, _ = server.memory()
    server.longest()
    began = time.monotonic()
    wrong = []
    try:
        said = trial.act(server)
    except (AssertionError, OSError) as error:
        said = ""
        wrong.append(str(error))
    took = time.monotonic() - began
    if server.process.poll() is not None:
        print(f"FAILED {trial.name}: the server is gone: {server.process.returncode}")
        os._exit(1)
    time.sleep(0.3)
    waited = server.longest()
    after, most = server.memory()
    if fault := server.fault():
        wrong.append(fault)
    if waited > trial.seconds:
        wrong.append(f"another client waited for {waited:.1f} s")
    if most - before > trial.megabytes:
        wrong.append(f"it took {most - before:.0f} MB more, {trial.megabytes} are allowed")
    mark = "FAILED" if wrong else "ok    "
    print(
        f"{mark} {trial.name}: {said or '-'}; {took:.1f} s, others waited {waited * 1000:.0f} ms at most, memory "
        f"{before:.0f} -> {after:.0f} MB, at most {most:.0f}",
        flush=True,
    )
    for line in wrong:
        print(f"       {line}", flush=True)
    return not wrong
