"""Carry a plan out: concurrently within the service's rates, in an order in which every call can succeed.

1. Refuse when the models are missing or the plan has conflicts.
2. Delete relationships, then twins.
3. Create twins, then update twins.
4. Create relationships, then update relationships.
5. Wait until queries see what was written (they lag behind by seconds).

A stage with failures is finished before the whole stops, and a second run takes up the rest: what exists already is
compared and brought up to date instead of created.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from remhart_adt.client import AsyncAdtClient
from remhart_adt.errors import (
    ForbiddenError,
    GraphError,
    NotFoundError,
    PreconditionFailedError,
    RemhartError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from remhart_adt.graph.ownership import DAEMON_OWNED
from remhart_adt.graph.plan import Action, Plan, Verb, diff_twin, patch_of
from remhart_adt.graph.snapshot import model_of
from remhart_adt.graph.spec import Entity
from remhart_adt.ids import DTMI_COMPONENT, DTMI_ENGINE, DTMI_POINT, DTMI_USER
from remhart_adt.limits import ADT_IN_ITEMS

__all__ = ["Applied", "Progress", "apply", "require_models"]

Progress = Callable[[int, int], None]
"""Called after every action with how many are done and how many there are."""

_WORKERS: Final = 32
# Failures that the next action would meet as well: no use in going on.
_STOP: Final = (UnauthorizedError, ForbiddenError, UnavailableError, ThrottledError)
_FAILURES_SHOWN: Final = 20


@dataclass(slots=True)
class Applied:
    """What was done. `existed` counts twins and relationships that were there although the plan had not seen them."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    existed: int = 0
    settled: bool = True
    failures: list[str] = field(default_factory=list)


async def require_models(client: AsyncAdtClient) -> None:
    """Raise GraphError when one of our interfaces is not on the instance, or decommissioned."""
    missing = []
    for model in (DTMI_COMPONENT, DTMI_POINT, DTMI_ENGINE, DTMI_USER):
        try:
            if (await client.models.get(model, include_definition=False)).decommissioned:
                missing.append(f"{model} (decommissioned)")
        except NotFoundError:
            missing.append(model)
    if missing:
        raise GraphError(
            f"the instance lacks the models {', '.join(missing)}",
            where=str(client.endpoint),
            remedy="Upload them with `remhart-adt models upload`",
        )


async def apply(
    client: AsyncAdtClient, plan: Plan, *, progress: Progress | None = None, settle_for: float = 30.0
) -> Applied:
    """Carry the plan out. Raises GraphError that lists what failed; what worked stays done.

    `settle_for`: how long to wait at most (s) until queries see the result; `settled` tells whether they do.
    """
    if plan.conflicts:
        raise GraphError(
            "the instance holds twins of other models under ids of the file",
            problems=plan.conflicts,
            remedy="Delete those twins, or give them other ids in the file",
        )
    result = Applied()
    if not plan.actions:
        return result
    await require_models(client)
    run = _Run(client, result, len(plan.actions), progress)
    for verb, relationships in (
        (Verb.DELETE, True),
        (Verb.DELETE, False),
        (Verb.CREATE, False),
        (Verb.UPDATE, False),
        (Verb.CREATE, True),
        (Verb.UPDATE, True),
    ):
        await run.stage(plan.of(verb, relationships=relationships))
    result.settled = await _settle(client, plan, settle_for)
    return result


class _Run:
    def __init__(self, client: AsyncAdtClient, result: Applied, total: int, progress: Progress | None) -> None:
        self._client = client
        self._result = result
        self._total = total
        self._done = 0
        self._progress = progress

    async def stage(self, actions: Sequence[Action]) -> None:
        """Carry out independent actions; raise when some failed, at once when going on is no use."""
        waiting = deque(actions)
        fatal: list[RemhartError] = []

        async def work() -> None:
            while waiting and not fatal:
                action = waiting.popleft()
                try:
                    await self._one(action)
                except _STOP as error:
                    fatal.append(error)
                except RemhartError as error:
                    self._result.failures.append(str(error))
                self._done += 1
                if self._progress is not None:
                    self._progress(self._done, self._total)

        await asyncio.gather(*(work() for _ in range(min(_WORKERS, len(actions)))))
        if fatal:
            raise fatal[0]
        failures = self._result.failures
        if failures:
            more = [f"and {len(failures) - _FAILURES_SHOWN} more"] if len(failures) > _FAILURES_SHOWN else []
            raise GraphError(
                f"{len(failures)} of {self._total} actions failed; the stages after them were not begun",
                problems=[*failures[:_FAILURES_SHOWN], *more],
                where=str(self._client.endpoint),
                remedy="Correct the cause and run it again: it goes on where it stopped",
            )

    async def _one(self, action: Action) -> None:
        match action.verb:
            case Verb.CREATE:
                await (self._create_relationship(action) if action.is_relationship else self._create_twin(action))
            case Verb.UPDATE:
                if action.is_relationship:
                    await self._client.relationships.patch(action.source, action.id, action.patch())
                else:
                    await self._client.twins.patch(action.id, action.patch())
                self._result.updated += 1
            case Verb.DELETE:
                await self._delete(action)

    async def _delete(self, action: Action) -> None:
        try:
            if action.is_relationship:
                await self._client.relationships.delete(action.source, action.id)
            else:
                await self._client.twins.delete(action.id)
        except NotFoundError:
            return  # an earlier run has deleted it and the query has not noticed
        self._result.deleted += 1

    async def _create_twin(self, action: Action) -> None:
        try:
            # Only when it is new: a twin that an earlier run made may carry state by now.
            await self._client.twins.put(action.id, action.document, only_new=True)
            self._result.created += 1
            return
        except PreconditionFailedError:
            self._result.existed += 1
        found = await self._client.twins.get(action.id)
        if model_of(found) != action.model:
            raise GraphError(f"twin {action.id} exists with the model {model_of(found)}, not {action.model}")
        owned = DAEMON_OWNED[action.model]
        written = {k: v for k, v in action.document.items() if not k.startswith("$") and k not in owned}
        changes = diff_twin(Entity(action.id, "", action.model, written), found)
        if changes:
            await self._client.twins.patch(action.id, patch_of(changes))

    async def _create_relationship(self, action: Action) -> None:
        try:
            await self._client.relationships.put(action.source, action.id, action.document, only_new=True)
            self._result.created += 1
            return
        except PreconditionFailedError:
            self._result.existed += 1
        found = await self._client.relationships.get(action.source, action.id)
        if (found["$relationshipName"], found["$targetId"]) != (action.name, action.target):
            await self._client.relationships.delete(action.source, action.id)
            await self._client.relationships.put(action.source, action.id, action.document, only_new=True)


async def _settle(client: AsyncAdtClient, plan: Plan, seconds: float) -> bool:
    # The last ids written stand for all: the index follows the order of the writes.
    made = [action.id for action in plan.of(Verb.CREATE, relationships=False)][-ADT_IN_ITEMS:]
    gone = [action.id for action in plan.of(Verb.DELETE, relationships=False)][-ADT_IN_ITEMS:]
    links = {(a.source, a.id) for a in plan.of(Verb.CREATE, relationships=True)[-ADT_IN_ITEMS:]}
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.2
    while True:
        seen = await _count(client, made) if made else 0
        left = await _count(client, gone) if gone else 0
        linked = await _linked(client, links) if links else True
        if seen == len(made) and not left and linked:
            return True
        if asyncio.get_running_loop().time() + pause > deadline:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def _count(client: AsyncAdtClient, ids: Sequence[str]) -> int:
    text = f"SELECT COUNT() FROM digitaltwins WHERE $dtId IN [{_quoted(ids)}]"
    rows = [row async for row in client.query(text)]
    return int(rows[0]["COUNT"]) if rows else 0


async def _linked(client: AsyncAdtClient, wanted: set[tuple[str, str]]) -> bool:
    sources = sorted({source for source, _ in wanted})
    text = f"SELECT * FROM relationships WHERE $sourceId IN [{_quoted(sources)}]"
    seen = {(row["$sourceId"], row["$relationshipId"]) async for row in client.query(text, page_size=1000)}
    return wanted <= seen


def _quoted(ids: Sequence[str]) -> str:
    return ",".join("'" + one.replace("\\", "\\\\").replace("'", "\\'") + "'" for one in ids)
