"""The server as a process and as a thread: uvicorn with h11, one event loop, one writer."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import ipaddress
import json
import signal
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import uvicorn

from remhart_adt.errors import LocalServerError, MissingExtraError
from remhart_adt.local.adt.admin import ADMIN, admin_app
from remhart_adt.local.adt.app import AdtApp, Scope
from remhart_adt.local.adt.assembly import DEFAULT_INSTANCE, MEMORY, Options, build_instance
from remhart_adt.local.adt.chance import Chance
from remhart_adt.local.adt.control.gate import Gate
from remhart_adt.local.adt.control.guard import guarded
from remhart_adt.local.adt.control.instances import Instances
from remhart_adt.local.adt.control.tokens import Tokens, signing_key
from remhart_adt.local.adt.faults import Faults
from remhart_adt.local.adt.journal import Journal
from remhart_adt.local.adt.protocol import Connection, allow_more_files, file_room
from remhart_adt.local.adt.remote import Admin
from remhart_adt.local.adt.seeding import seed_from_file
from remhart_adt.local.adt.types import AdtError

if TYPE_CHECKING:
    from remhart_adt.local.adt.control.tls import Certificates

__all__ = ["MEMORY", "LocalAdt", "Options", "serve"]

_DRAIN_SECONDS: Final = 3
_FAREWELL_SECONDS: Final = 0.2
_START_SECONDS: Final = 10.0


class _Server(uvicorn.Server):
    """Leaves signals to its caller and calls `on_ready` when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_ready: Callable[[], object] = _nothing
        self.on_stop: Callable[[], object] = _nothing
        self.instances: Instances | None = None
        self.options = Options()
        self.sweep_every = 10  # ticks of a tenth of a second

    async def on_tick(self, counter: int) -> bool:
        if counter % self.sweep_every == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.sweep(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert self.instances is not None
        try:
            await _furnish(self.instances, self.options)
        except BaseException:
            for instance in self.instances.all():
                await instance.close()
            raise
        await super().startup(sockets)
        self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.on_stop()
        farewell = asyncio.create_task(self._part_from_idle())
        await super().shutdown(sockets)
        farewell.cancel()
        assert self.instances is not None
        for instance in self.instances.all():
            await instance.close()

    async def _part_from_idle(self) -> None:
        """End the connections that are closed but for a client's word: TLS ends when both sides have said so, and a
        client's pool does not listen to a connection that it has put away."""
        await asyncio.sleep(_FAREWELL_SECONDS)
        for connection in list(self.server_state.connections):
            if connection.transport.is_closing() and connection.transport.get_write_buffer_size() == 0:
                connection.transport.abort()


def _nothing() -> None:
    return


async def _furnish(instances: Instances, options: Options) -> None:
    """Begin background work, and see that everything is there that the options ask for."""
    for instance in instances.all():
        await instance.start()
    for name in options.instances:
        try:
            await instances.create(name)
        except AdtError as error:
            raise LocalServerError(error.message, where=f"instance {name[:80]}") from None
    for endpoint in options.endpoints:
        try:
            instances.get(endpoint.instance)
        except AdtError as error:
            raise LocalServerError(error.message, where=f"endpoint {endpoint.name}") from None
    for instance in instances.all():
        instances.put_endpoints(instance)
        await instance.store.flush()
    if options.seed_file is not None:
        await seed_from_file(instances.all()[0], options.seed_file)


def _bind(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A listening socket; a fixed port can be bound again at once after a crash."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise LocalServerError(f"{host} is not an address: {error}", where="--host") from error
    if not ipaddress.ip_address(address[0]).is_loopback and not allow_remote:
        raise LocalServerError(
            f"{host} is reachable from other machines and this server has no login",
            where="--host",
            remedy="Use 127.0.0.1, or pass --allow-remote if that is what you want",
        )
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        remedy = "Use another port, or 0 for any free one"
        raise LocalServerError(f"cannot listen on {host} port {port}: {error}", remedy=remedy) from error
    listener.setblocking(False)
    return listener


def _reset(transports: dict[Any, asyncio.Transport], scope: Scope) -> None:
    transport = transports.get(scope.get("client"))
    if transport is None:
        return
    with contextlib.suppress(OSError):  # linger 0 turns the close into a reset
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Assembled(NamedTuple):
    """A server that is ready to start, and how to reach it; `ca` is the certificate to trust when it speaks https."""

    server: _Server
    listener: socket.socket
    endpoint: str
    ca: Path | None


@contextlib.contextmanager
def _assembled(options: Options) -> Iterator[Assembled]:
    """Everything a server is made of, closed in order at the end."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_bind(options.host, options.port, allow_remote=options.allow_remote))
        journal = Journal(options.journal)
        stack.callback(journal.shut)
        instance = build_instance(DEFAULT_INSTANCE, options.data, options)
        stack.callback(instance.store.close)
        chance = Chance(options.seed)
        faults = Faults(options.clock, chance.branch("faults"))
        app = AdtApp(instance, journal, faults, chance=chance, clock=options.clock)
        certificates = _certificates(options, stack)
        instances = _instances(app, options, certificates)
        for one in instances.all():
            stack.callback(one.store.close)
        tokens = Tokens(signing_key(_beside(options, ".key") if options.auth else None), options.clock)
        if options.auth:
            app.gate = Gate(tokens)
        key = options.admin_key.get_secret_value() if options.admin_key is not None else ""
        app.admin = guarded(admin_app(app, instances, tokens), key)
        transports: dict[Any, asyncio.Transport] = {}
        app.reset = lambda scope: _reset(transports, scope)
        patience = replace(options.patience, connections=min(options.patience.connections, file_room()))
        config = uvicorn.Config(
            app,
            http=type("_Bound", (Connection,), {"transports": transports, "patience": patience}),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # a client says who it is by connecting, not by a header
            ws="none",
            timeout_keep_alive=max(1, round(patience.idle)),
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            ssl_context_factory=None if certificates is None else lambda *_: certificates.context,
        )
        server = _Server(config)
        server.instances, server.options = instances, options
        server.on_stop = faults.clear  # or requests that hang in one would hold up the end
        server.sweep_every = max(1, round(patience.resolution * 10))
        scheme = "http" if certificates is None else "https"
        yield Assembled(
            server, listener, _endpoint(scheme, listener), None if certificates is None else certificates.ca
        )


def _beside(options: Options, suffix: str) -> Path | None:
    """A file beside the data file; None when there is none."""
    return None if str(options.data) == MEMORY else Path(options.data).with_suffix(suffix)


def _certificates(options: Options, stack: contextlib.ExitStack) -> Certificates | None:
    if options.tls is None:
        return None
    folder = options.tls.folder
    if folder is None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remhart-adt-tls-")))
    try:
        from remhart_adt.local.adt.control.tls import Certificates
    except ImportError as error:
        raise MissingExtraError("local", needed_for="https") from error
    return Certificates(folder, options.tls.names)


def _instances(app: AdtApp, options: Options, certificates: Certificates | None) -> Instances:
    """The registry, with what an earlier run left."""

    def naming(name: str) -> None:
        if certificates is not None:  # clients do not take a wildcard for `*.localhost`
            certificates.cover(f"{name}.localhost")

    naming(app.instance.name)
    return Instances(app, options, naming)


def _endpoint(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    When ready, one line of JSON on standard output holds `endpoint`, `admin` and, with https, `ca`: a file.
    Raises LocalServerError when the port, the data file or the journal cannot be used.
    """
    asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    allow_more_files()
    if options.tls is not None:
        # asyncio sets this much aside for each connection, a quarter of a megabyte if left alone, and two records of
        # TLS fill no more. Only here, where the process is ours.
        asyncio.sslproto.SSLProtocol.max_size = 32 * 1024
    with _assembled(options) as assembled:
        server = assembled.server
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
        server.on_ready = lambda: _announce(assembled)
        await server.serve(sockets=[assembled.listener])


def _announce(assembled: Assembled) -> None:
    ready = {"endpoint": assembled.endpoint, "admin": assembled.endpoint + ADMIN}
    if assembled.ca is not None:
        ready["ca"] = str(assembled.ca)
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


class LocalAdt(Admin):
    """A running server in a thread of this process. `endpoint` is its base URL, `admin` that of the admin API.

    The controls of `Admin` work once it is started.
    """

    def __init__(self, options: Options) -> None:
        super().__init__("", key=options.admin_key)
        self._options = options
        self._ready = threading.Event()
        self._server: _Server | None = None
        self._error: BaseException | None = None
        self.endpoint = ""
        self._thread = threading.Thread(target=self._run, name="local-adt", daemon=True)

    def start(self) -> Self:
        """Start, and return when requests are answered; raises LocalServerError when that fails.

        A server that runs already just goes on; one that was stopped cannot start again.
        """
        if not self._thread.is_alive():
            self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise LocalServerError("the local ADT server did not start in time")
        if self._error is not None:
            raise self._error
        return self

    def stop(self) -> None:
        """Drain and stop; a second call does nothing."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_DRAIN_SECONDS + _START_SECONDS)

    async def close(self) -> None:
        """Drain and stop, without blocking the event loop."""
        await asyncio.to_thread(self.stop)

    def _run(self) -> None:
        try:
            with _assembled(self._options) as assembled:
                self._server = assembled.server
                self.endpoint = assembled.endpoint
                self.admin = self.endpoint + ADMIN
                self.ca_file = assembled.ca
                assembled.server.on_ready = self._ready.set
                asyncio.run(assembled.server.serve(sockets=[assembled.listener]))
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
