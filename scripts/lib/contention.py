"""Many clients on a few twins: conditional writes are applied exactly when acknowledged, and no update is lost.

Every client has connections of its own. Each check returns what it did, with the findings under `wrong`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp

__all__ = ["contend"]

_VERSION = {"api-version": "2023-10-31"}
_LEAST = 150  # patches, however slow the machine
_MODEL = "dtmi:contention:Counter;1"
_PROPERTIES: list[dict[str, Any]] = [
    {"@type": "Property", "name": "count", "schema": "integer"},
    {"@type": "Property", "name": "by", "schema": "string"},
]
_DTDL = {
    "@context": "dtmi:dtdl:context;3",
    "@id": _MODEL,
    "@type": "Interface",
    "contents": [*_PROPERTIES, {"@type": "Relationship", "name": "next", "properties": _PROPERTIES}],
}


class _Client:
    """One client with one connection."""

    def __init__(self, endpoint: str, number: int) -> None:
        self.number = number
        self.rng = random.Random(number)
        self._session = aiohttp.ClientSession(endpoint, connector=aiohttp.TCPConnector(limit=1))

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, Any]:
        async with self._session.request(method, path, json=body, headers=headers, params=_VERSION) as response:
            content = await response.json(content_type=None) if response.status != 204 else None
            return response.status, response.headers.get("etag", ""), content

    async def close(self) -> None:
        await self._session.close()


async def contend(endpoint: str, *, clients: int = 32, twins: int = 10, seconds: float = 3.0) -> dict[str, Any]:
    """Every check on an empty server; `seconds` is how long each of the two counting checks lasts."""
    crowd = [_Client(endpoint, number) for number in range(clients)]
    try:
        first = crowd[0]
        await _expect(first("POST", "/models", [_DTDL]), 201)
        for k in range(twins):
            await _expect(first("PUT", f"/digitaltwins/t{k}", _fresh()), 200)
        body = {"$relationshipName": "next", "count": 0, "by": ""}
        for k in range(twins):
            path = f"/digitaltwins/t{k}/relationships/r"
            await _expect(first("PUT", path, {**body, "$targetId": f"t{(k + 1) % twins}"}), 200)
        rounds = max(5, round(seconds * 5))
        return {
            "twins": await _count(crowd, [f"/digitaltwins/t{k}" for k in range(twins)], seconds),
            "relationships": await _count(
                crowd, [f"/digitaltwins/t{k}/relationships/r" for k in range(twins)], seconds
            ),
            "create": await _create(crowd, rounds),
            "patch_or_delete": await _patch_or_delete(crowd, rounds),
            "relate_or_delete": await _relate_or_delete(crowd, rounds),
        }
    finally:
        for client in crowd:
            await client.close()


def _fresh() -> dict[str, Any]:
    return {"$metadata": {"$model": _MODEL}, "count": 0, "by": ""}


async def _expect(answer: Awaitable[tuple[int, str, Any]], status: int) -> tuple[str, Any]:
    found, etag, content = await answer
    if found != status:
        raise RuntimeError(f"expected {status}, the server answered {found}: {content}")
    return etag, content


async def _count(crowd: list[_Client], paths: list[str], seconds: float) -> dict[str, Any]:
    """Everybody adds one to what he read, if nobody was there meanwhile; the journal must show one chain of tags."""
    applied: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong: list[str] = []
    until = time.monotonic() + seconds

    async def one(client: _Client) -> None:
        while time.monotonic() < until or applied.total() < _LEAST:
            path = client.rng.choice(paths)
            etag, doc = await _expect(client("GET", path), 200)
            patch = [
                {"op": "replace", "path": "/count", "value": doc["count"] + 1},
                {"op": "replace", "path": "/by", "value": f"client {client.number}"},
            ]
            status, new, _ = await client("PATCH", path, patch, {"If-Match": etag})
            if status == 204:
                applied[path] += 1
                if new in ("", etag):
                    wrong.append(f"{path}: an applied patch kept the entity tag {etag}")
            elif status == 412:
                refused[path] += 1
            else:
                wrong.append(f"{path}: {status}")

    await asyncio.gather(*map(one, crowd))
    for path in paths:
        etag, doc = await _expect(crowd[0]("GET", path), 200)
        if doc["count"] != applied[path]:
            wrong.append(f"{path} counts {doc['count']}, {applied[path]} patches were acknowledged")
        wrong += _chain(path, await _patches(crowd[0], path), applied[path], etag)
    return {"applied": applied.total(), "refused": refused.total(), "wrong": wrong}


async def _patches(client: _Client, path: str) -> list[dict[str, Any]]:
    """The journal's rows of the patches of one thing that were applied, in the order of their effects."""
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        _, page = await _expect(client("GET", f"/_remhart/journal?after={after}"), 200)
        if not page["rows"]:
            return rows
        after = page["next"]
        rows += [row for row in page["rows"] if (row["method"], row["path"], row["status"]) == ("PATCH", path, 204)]


def _chain(path: str, rows: list[dict[str, Any]], applied: int, last: str) -> list[str]:
    """Each applied patch names the tag that the one before it made, so the chain has no fork."""
    wrong = []
    if len(rows) != applied:
        wrong.append(f"{path}: the journal has {len(rows)} applied patches, {applied} were acknowledged")
    for before, row in pairwise(rows):
        if row["if_match"] != before["etag"]:
            wrong.append(f"{path}: row {row['n']} was applied to {row['if_match']}, {before['etag']} was current")
    if [row["body"][0]["value"] for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append(f"{path}: the applied patches do not count up")
    if rows and rows[-1]["etag"] != last:
        wrong.append(f"{path}: its tag is {last}, the last patch made {rows[-1]['etag']}")
    return wrong


async def _at_once(
    crowd: list[_Client], request: Callable[[_Client], Awaitable[tuple[int, str, Any]]]
) -> list[tuple[int, str, Any]]:
    """Everybody's answer to requests that are sent together: within two milliseconds, so that each kind may be first
    (a request without a body is read sooner)."""

    async def soon(client: _Client) -> tuple[int, str, Any]:
        await asyncio.sleep(client.rng.random() * 0.002)
        return await request(client)

    return list(await asyncio.gather(*map(soon, crowd)))


async def _create(crowd: list[_Client], rounds: int) -> dict[str, Any]:
    """PUT with If-None-Match: * by everybody has one winner, whose document stands."""
    wrong: list[str] = []
    for k in range(rounds):
        relation = {"$relationshipName": "next", "$targetId": "t0"}
        for path, fixed in ((f"/digitaltwins/new{k}", _fresh()), (f"/digitaltwins/new{k}/relationships/r", relation)):

            def put(
                client: _Client, path: str = path, fixed: dict[str, Any] = fixed
            ) -> Awaitable[tuple[int, str, Any]]:
                return client("PUT", path, {**fixed, "by": f"client {client.number}"}, {"If-None-Match": "*"})

            answers = await _at_once(crowd, put)
            winners = [number for number, answer in enumerate(answers) if answer[0] == 200]
            if sorted(answer[0] for answer in answers) != [200] + [412] * (len(crowd) - 1):
                wrong.append(f"{path}: {Counter(answer[0] for answer in answers)}")
                continue
            _, doc = await _expect(crowd[0]("GET", path), 200)
            if doc["by"] != f"client {winners[0]}" or doc["$etag"] != answers[winners[0]][1]:
                wrong.append(f"{path} is by {doc['by']}, client {winners[0]} was told that his stands")
    return {"rounds": 2 * rounds, "wrong": wrong}


async def _patch_or_delete(crowd: list[_Client], rounds: int) -> dict[str, Any]:
    """Conditional patches and deletes with one tag: one of all is applied, and what it did is what is found."""
    wrong: list[str] = []
    deleted = 0
    for k in range(rounds):
        path = f"/digitaltwins/short{k}"
        etag, _ = await _expect(crowd[0]("PUT", path, _fresh()), 200)

        def change(client: _Client, path: str = path, etag: str = etag) -> Awaitable[tuple[int, str, Any]]:
            patch = [{"op": "replace", "path": "/by", "value": f"client {client.number}"}]
            if client.number % 8:
                return client("PATCH", path, patch, {"If-Match": etag})
            return client("DELETE", path, None, {"If-Match": etag})

        answers = await _at_once(crowd, change)
        winners = [number for number, answer in enumerate(answers) if answer[0] == 204]
        others = {answer[0] for answer in answers} - {204}
        if len(winners) != 1 or not others <= {404, 412}:
            wrong.append(f"{path}: {Counter(answer[0] for answer in answers)}")
            continue
        status, _, doc = await crowd[0]("GET", path)
        if winners[0] % 8 == 0:
            deleted += 1
            if status != 404 or others != {404}:
                wrong.append(f"{path}: deleted, and then {status} and {others}")
        elif status != 200 or doc["by"] != f"client {winners[0]}" or others != {412}:
            wrong.append(f"{path}: patched by client {winners[0]}, and then {status}, {doc} and {others}")
    return {"rounds": rounds, "deleted": deleted, "wrong": wrong}


async def _relate_or_delete(crowd: list[_Client], rounds: int) -> dict[str, Any]:
    """A twin is deleted while others point relationships to it: either they fail or the deletion does."""
    wrong: list[str] = []
    deleted = 0
    for k in range(rounds):
        target = f"target{k}"
        await _expect(crowd[0]("PUT", f"/digitaltwins/{target}", _fresh()), 200)

        def change(client: _Client, target: str = target) -> Awaitable[tuple[int, str, Any]]:
            if client.number % 8 == 0:
                return client("DELETE", f"/digitaltwins/{target}")
            path = f"/digitaltwins/t0/relationships/{target}-{client.number}"
            return client("PUT", path, {"$relationshipName": "next", "$targetId": target})

        answers = await _at_once(crowd, change)
        related = sum(answer[0] == 200 for answer in answers)
        gone = sum(answer[0] == 204 for answer in answers)
        deleted += gone
        status, _, _ = await crowd[0]("GET", f"/digitaltwins/{target}")
        if (gone > 0) == (related > 0) or gone > 1 or status != (404 if gone else 200):
            wrong.append(f"{target}: {related} relationships, {gone} deletions, and then {status}")
        if not {answer[0] for answer in answers} <= {200, 204, 400, 404}:
            wrong.append(f"{target}: {Counter(answer[0] for answer in answers)}")
    return {"rounds": rounds, "deleted": deleted, "wrong": wrong}
