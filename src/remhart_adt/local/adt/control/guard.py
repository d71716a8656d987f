"""Who may use the admin API: this machine, or whoever has the key.

The admin API can reset, break and open everything, so listening on other addresses does not open it to them. Nor may a
page of another site use it through a browser on this machine: not as that site, and not under a name of that site
which leads here.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from remhart_adt.local.adt.control.hosts import instance_name

__all__ = ["KEY_HEADER", "guarded"]

KEY_HEADER: Final = b"x-remhart-key"

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Asgi = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def guarded(app: _Asgi, key: str = "") -> _Asgi:
    """The application behind the guard. With a key every request must carry it in the header `x-remhart-key`; without
    one only requests from a loopback address are answered, and none that a page of another site sends."""
    wanted = key.encode()

    async def guard(scope: _Scope, receive: _Receive, send: _Send) -> None:
        headers = dict(scope["headers"])
        if wanted:
            if hmac.compare_digest(headers.get(KEY_HEADER, b""), wanted):
                await app(scope, receive, send)
            else:
                await _refuse(send, 401, "Unauthorized", "Send the admin key of this server in x-remhart-key.")
        elif not _loopback((scope.get("client") or ("",))[0]):
            await _refuse(
                send,
                403,
                "Forbidden",
                "Without a key the admin API answers this machine only. Start the server with REMHART_LOCAL_ADMIN_KEY "
                "set, and send its value in x-remhart-key.",
            )
        elif not _own_host(headers.get(b"host", b"")):
            what = "Without a key the admin API answers to an address, localhost and the names of instances only."
            await _refuse(send, 403, "Forbidden", what)
        elif not _own_origin(headers.get(b"origin")):
            await _refuse(send, 403, "Forbidden", "The admin API does not answer pages of other sites.")
        else:
            await app(scope, receive, send)

    return guard


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    address = _address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address is not None and (mapped or address).is_loopback


def _own_host(host: bytes) -> bool:
    """No name that a stranger can have: an address, a name without a dot, or one that can mean an instance."""
    try:
        name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    except ValueError:
        return False
    name = name.rstrip(".")
    return "." not in name or _address(name) is not None or instance_name(host) is not None


def _own_origin(origin: bytes | None) -> bool:
    """A browser names the page that asks; without a browser there is no such header."""
    if origin is None:
        return True
    try:
        host = urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host.endswith(".localhost") or _loopback(host)


async def _refuse(send: _Send, status: int, code: str, message: str) -> None:
    body = orjson.dumps({"error": {"code": code, "message": message}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
