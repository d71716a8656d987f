"""What a fault does to a connection: no answer, a slow answer, half an answer.

Waiting is in real time whatever the server's clock shows, since it is the client's patience that is tried. Who hangs
is let go when the client leaves, and when the rule is deleted or the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from remhart_adt.local.adt.faults import Fault

__all__ = ["drip", "half", "hang", "wait"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# A reset may overtake what was sent just before it; on the way to another process of this machine this is enough.
_SETTLE_SECONDS: Final = 0.05


async def wait(fault: Fault, seconds: float | None, receive: Receive) -> bool:
    """Wait so long (None: for ever); False when the client left or the rule was taken away before the time was up."""
    gone = asyncio.ensure_future(_gone(receive))
    released = asyncio.ensure_future(fault.released.wait())
    try:
        done, _ = await asyncio.wait({gone, released}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return not done
    finally:
        gone.cancel()
        released.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def hang(fault: Fault, receive: Receive) -> None:
    """Answer nothing until the client gives up, the rule's `seconds` are over or the rule is taken away."""
    await wait(fault, fault.seconds, receive)


async def drip(fault: Fault, body: bytes, receive: Receive, send: Send, *, more: bool) -> None:
    """Send a body a few bytes at a time; all that is left at once when the rule is taken away. `more`: the end of the
    answer is left to the caller."""
    for at in range(0, len(body), fault.chunk):
        await send({"type": "http.response.body", "body": body[at : at + fault.chunk], "more_body": True})
        if at + fault.chunk < len(body) and not await wait(fault, fault.interval_ms / 1000, receive):
            await send({"type": "http.response.body", "body": body[at + fault.chunk :], "more_body": True})
            break
    await send({"type": "http.response.body", "body": b"", "more_body": more})


async def half(body: bytes, send: Send) -> None:
    """Send the first half of a body; whoever calls this breaks the connection off then."""
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(_SETTLE_SECONDS)
