"""The event hub on a socket: start it in this process, or serve it until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub.connection import Connection
from remhart_adt.local.eventhub.hub import DEFAULT_KEY, DEFAULT_POLICY, Hub, Partition, Receiver
from remhart_adt.local.eventhub.log import LoggedEvent

__all__ = ["LocalEventHub", "main", "start_hub"]


class LocalEventHub:
    """A hub listening on a loopback port, with the faults that tests inject.

    Use it as an async context manager or call `close`. All methods belong to the event loop that started it.
    """

    def __init__(self, hub: Hub, host: str, key: str, idle_seconds: float) -> None:
        self.hub = hub
        self.host = host
        self.port = 0
        self._key = key
        self._idle_seconds = idle_seconds
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def connection_string(self) -> str:
        """What the official clients connect with (it holds the key)."""
        return (
            f"Endpoint=sb://{self.host}:{self.port};SharedAccessKeyName={self.hub.policy};SharedAccessKey={self._key};"
            f"UseDevelopmentEmulator=true;EntityPath={self.hub.name}"
        )

    @property
    def connections(self) -> int:
        """How many TCP connections are open."""
        return len(self._connections)

    async def listen(self, port: int | None = None) -> None:
        """Take connections (again); the port is the one used before unless given. LocalServerError when it is taken."""
        loop = asyncio.get_running_loop()
        wanted = self.port if port is None else port
        try:
            # reuse_address: the port can be bound again at once after the process was killed with connections open.
            self._server = await loop.create_server(self._connect, self.host, wanted, reuse_address=True, backlog=512)
        except OSError as problem:
            raise LocalServerError(
                f"cannot listen on {self.host}:{wanted}: {problem.strerror}", remedy="Choose another --port, or 0"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    def _connect(self) -> Connection:
        connection = Connection(self.hub, self._connections.discard, idle_seconds=self._idle_seconds)
        self._connections.add(connection)
        return connection

    def refuse(self) -> None:
        """Stop listening and drop every connection: the hub is down until `listen`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    def reset(self) -> None:
        """Drop every TCP connection; new ones are taken."""
        for connection in list(self._connections):
            connection.abort()

    def receivers(self, partition: str | None = None) -> list[Receiver]:
        """The receiving links, of one partition or of all."""
        return [r for p in self._partitions(partition) for group in p.receivers.values() for r in group]

    def detach(self, condition: str = "com.microsoft:server-busy", partition: str | None = None) -> int:
        """End receiving links with an error condition; answers how many."""
        links = self.receivers(partition)
        for link in links:
            link.detach(condition, "This fault was injected.")
        return len(links)

    def pause(self, partition: str | None = None) -> None:
        """Deliver nothing any more, without a word: events are still accepted."""
        for each in self._partitions(partition):
            each.paused = True

    def resume(self, partition: str | None = None) -> None:
        """Deliver again after `pause`."""
        for each in self._partitions(partition):
            each.paused = False
            each.wake()

    def rewind(self, partition: str | None = None) -> None:
        """Deliver everything held once more to the receivers that are connected."""
        for link in self.receivers(partition):
            link.rewind()

    def _partitions(self, partition: str | None) -> list[Partition]:
        return [p for p in self.hub.partitions if partition is None or p.name == partition]

    def events(self) -> list[LoggedEvent]:
        """Every event held, partition by partition, in order."""
        return list(self.hub.events())

    async def close(self) -> None:
        """Hang up, stop listening and release the log; twice is harmless."""
        self.refuse()
        await asyncio.sleep(0)  # lets aborted transports call connection_lost
        self.hub.close()

    async def __aenter__(self) -> LocalEventHub:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


async def start_hub(
    data: Path | str = ":memory:",
    *,
    name: str = "telemetry",
    partitions: int = 4,
    host: str = "127.0.0.1",
    port: int = 0,
    policy: str = DEFAULT_POLICY,
    key: str = DEFAULT_KEY,
    groups: Sequence[str] | None = None,
    retention_bytes: int | None = None,
    fsync: bool = False,
    idle_seconds: float = 240.0,
    allow_remote: bool = False,
) -> LocalEventHub:
    """Start a hub in this process and event loop.

    `data`: ":memory:" or the folder that keeps the log. `groups`: the consumer groups that exist, None = any name.
    `retention_bytes` per partition: None = 1 GiB on disk, 128 MiB in memory. Only loopback addresses are listened on
    unless `allow_remote`. Raises LocalServerError.
    """
    _check_host(host, allow_remote=allow_remote)
    folder = None if str(data) == ":memory:" else Path(data)
    hub = Hub(
        name,
        partitions,
        data=folder,
        policy=policy,
        key=key,
        groups=groups,
        retention_bytes=retention_bytes,
        fsync=fsync,
    )
    server = LocalEventHub(hub, host, key, idle_seconds)
    try:
        await server.listen(port)
    except LocalServerError:
        hub.close()
        raise
    return server


def _check_host(host: str, *, allow_remote: bool) -> None:
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError as problem:
        raise LocalServerError(f"{host} is not an address: {problem}", where="--host") from None
    if not allow_remote and not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise LocalServerError(
            f"{host} is reachable from other machines",
            where="--host",
            remedy="Use 127.0.0.1, or pass --allow-remote if that is what you want",
        )


async def _serve(announce: Callable[[dict[str, Any]], None], options: dict[str, Any]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await start_hub(**options) as server:
        announce(
            {
                "connection_string": server.connection_string,
                "port": server.port,
                "eventhub": server.hub.name,
                "partitions": len(server.hub.partitions),
            }
        )
        await stop.wait()


def main(**options: Any) -> None:
    """Serve until SIGTERM or SIGINT; prints one line of JSON on standard output when ready. Options: `start_hub`."""

    def announce(ready: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(announce, options))
