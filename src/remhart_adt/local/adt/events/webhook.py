"""Events to a web server: one POST each, as structured CloudEvents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from remhart_adt.errors import MissingExtraError
from remhart_adt.local.adt.events.types import Outcome, Pending

__all__ = ["WebhookSender"]

_HEADERS: Final = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
_SECONDS: Final = 10.0
_LANES: Final = 8
# What may pass by itself or by somebody's repair; every other answer but a 2xx says that the event is not wanted.
_PASSING: Final = frozenset((401, 403, 404, 408, 425, 429))


class WebhookSender:
    """Events of one twin go one after the other, those of different twins side by side.

    Raises MissingExtraError without the packages of `sync`.
    """

    def __init__(self, url: str) -> None:
        try:
            import aiohttp
        except ModuleNotFoundError:
            raise MissingExtraError("sync", needed_for="A webhook endpoint") from None
        self._aiohttp = aiohttp
        self._url = url
        self._session: Any = None

    async def send(self, rows: Sequence[Pending]) -> Outcome:
        """POST them; a twin whose event failed waits with the rest of its events."""
        if self._session is None:
            timeout = self._aiohttp.ClientTimeout(total=_SECONDS)
            self._session = self._aiohttp.ClientSession(timeout=timeout, headers=_HEADERS)
        lanes: dict[str, list[Pending]] = {}
        for row in rows:
            lanes.setdefault(row.key, []).append(row)
        outcome = Outcome()
        gate = asyncio.Semaphore(_LANES)
        await asyncio.gather(*[self._lane(lane, gate, outcome) for lane in lanes.values()])
        return outcome

    async def _lane(self, rows: list[Pending], gate: asyncio.Semaphore, outcome: Outcome) -> None:
        async with gate:
            for row in rows:
                try:
                    status = await self._post(row.structured())
                except (self._aiohttp.ClientError, TimeoutError, OSError) as error:
                    # The class alone: a message may repeat the URL with what its query holds.
                    outcome.failed[row.n] = f"the web server cannot be reached: {type(error).__name__}"
                    return
                if 200 <= status < 300:
                    outcome.delivered.append(row.n)
                elif status >= 500 or status in _PASSING:
                    outcome.failed[row.n] = f"the web server answered {status}"
                    return
                else:
                    outcome.refused[row.n] = f"the web server answered {status}"

    async def _post(self, body: bytes) -> int:
        async with self._session.post(self._url, data=body, allow_redirects=False) as answer:
            await answer.content.read(4096)  # a short body read to its end lets the connection be used again
            return int(answer.status)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
