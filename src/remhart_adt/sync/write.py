"""The writer: one patch per target and flush, guarded by ETag and source time, repeated until it has an outcome.

At most one request per target is under way. What comes meanwhile is merged and goes with the next one. Failures:

- 412: somebody else wrote. Read the target again, decide again by the stamps, at most three times in a row.
- 404: the twin is gone. Its readings are dead-lettered (or skipped, or the twin is created again, by policy); it is
  looked for every few seconds, and when it is back it gets the last known state of every lane.
- 400: one of the paths is refused. The patch is split until the path is found; the rest is applied, and the reading
  that brought it is dead-lettered. What the models refuse (`refusal`) is left out in the same way, without a request.
- 429, 408, 5xx, reset, timeout: kept, with jittered backoff, for as long as it takes.
- 401, 403: kept; the writer reports itself blocked, and the daemon stops consuming until a try succeeds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from remhart_adt import log
from remhart_adt.clock import SYSTEM, Clock, format_us
from remhart_adt.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    ServiceError,
    UnauthorizedError,
)
from remhart_adt.observe.metrics import Latency
from remhart_adt.readings import DeadCause
from remhart_adt.sync.decode import Dead
from remhart_adt.sync.lanes import (
    REMOVE,
    LaneWrite,
    Rule,
    Target,
    Telemetry,
    Verdict,
    apply_ops,
    decide,
    get_pointer,
    rule_of,
    stamp_on,
    stamp_path,
)
from remhart_adt.sync.ledger import Batch
from remhart_adt.sync.merge import PendingLane, PendingWrites, TargetState

if TYPE_CHECKING:
    from remhart_adt.client.hotpath import HotPath

__all__ = ["MissingPolicy", "WriteCounters", "Writer"]

_LOG = log.get(__name__)
MissingPolicy = Literal["dead-letter", "create", "skip"]
_TRIES: Final = 3
_MISSING_SECONDS: Final = 5.0
_BLOCKED_SECONDS: Final = 2.0
_LONGEST_BACKOFF: Final = 3.0
# A path the service refused is left out this long before it is tried again: the model may have been upgraded.
_REJECTED_SECONDS: Final = 60.0


@dataclass(slots=True)
class WriteCounters:
    """What was sent and what came back."""

    patches_twin: int = 0
    patches_relationship: int = 0
    reads: int = 0
    telemetry: int = 0
    conflicts: int = 0
    retries: int = 0
    rejected_paths: int = 0
    missing: int = 0
    failures: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Plan:
    """The operations of one patch and what they stand for."""

    lanes: list[PendingLane] = field(default_factory=list)
    ops: dict[str, Any] = field(default_factory=dict)
    done: list[tuple[PendingLane, str]] = field(default_factory=list)
    refused: list[tuple[PendingLane, str]] = field(default_factory=list)


class Writer:
    """Workers that write what `pending` holds; everything happens in one event loop.

    `bury(batch, dead)` stores a dead letter and counts it. `create(target)` makes a deleted twin again (policy
    `create`); it answers whether it did. `refusal(target, document, patch)` says why the service would refuse a patch,
    or nothing.
    """

    def __init__(
        self,
        hot: HotPath,
        pending: PendingWrites,
        bury: Callable[[Batch, Dead], None],
        *,
        policy: MissingPolicy = "dead-letter",
        create: Callable[[Target], Awaitable[bool]] | None = None,
        refusal: Callable[[Target, dict[str, Any], list[dict[str, Any]]], str] | None = None,
        workers: int = 32,
        clock: Clock = SYSTEM,
    ) -> None:
        self._hot = hot
        self._pending = pending
        self._bury = bury
        self._policy = policy
        self._create = create
        self._refusal = refusal
        self._clock = clock
        self._queue: asyncio.Queue[TargetState] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._workers = workers
        self.counters = WriteCounters()
        self.latency = Latency()
        self.blocked: ServiceError | None = None
        self.last_success = clock.monotonic()
        self.fault: BaseException | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers."""
        self._tasks = [asyncio.create_task(self._work(), name=f"writer-{i}") for i in range(self._workers)]

    def flush(self) -> int:
        """Queue every target that may be written now; how many."""
        now = self._clock.monotonic()
        due = self._pending.due(now)
        for state in due:
            self._queue.put_nowait(state)
        return len(due)

    async def drain(self, deadline: float) -> bool:
        """Write until nothing is pending, at most `deadline` seconds; whether all of it was written."""
        end = self._clock.monotonic() + deadline
        while self._pending.dirty and self._clock.monotonic() < end:
            self.flush()
            await asyncio.sleep(0.02)
        return not self._pending.dirty

    async def stop(self) -> None:
        """Stop the workers; what is under way is given up (it is not committed, so it will be done again)."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _work(self) -> None:
        while True:
            state: TargetState | None = await self._queue.get()
            try:
                while state is not None:
                    await self._write(state)
                    # What the same twin has besides; this target itself waits for the next flush, to collect more.
                    state = self._pending.next_of(state, self._clock.monotonic())
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self.fault = error  # a defect, or a dead letter that cannot be stored: the daemon must not go on
                _LOG.error("writing failed: %s", error, exc_info=True)
                return

    # --- one target ---------------------------------------------------------------------------------------------------

    async def _write(self, state: TargetState) -> None:
        lanes, state.pending = state.pending, {}
        claims, state.claims = state.claims, []
        unsent, state.unsent = state.unsent, []
        try:
            await self._attempts(state, lanes, unsent)
        except asyncio.CancelledError:
            state.put_back(lanes, claims, unsent)
            raise
        except (UnauthorizedError, ForbiddenError) as error:
            self._keep(state, lanes, claims, unsent, error)
            state.retry_at = self._clock.monotonic() + _BLOCKED_SECONDS * (0.5 + random.random())
            if self.blocked is None:
                _LOG.error("%s", error)
            self.blocked = error
        except ServiceError as error:
            if isinstance(error, PreconditionFailedError):
                state.document = None
            self._keep(state, lanes, claims, unsent, error)
        else:
            state.failures = 0
            state.retry_at = 0.0
            self.blocked = None
            self.last_success = self._clock.monotonic()
            if not state.pending and not state.unsent:
                self._pending.clean(state)
            for batch in claims:
                batch.release()

    def _keep(
        self,
        state: TargetState,
        lanes: dict[str, PendingLane],
        claims: list[Batch],
        unsent: list[Telemetry],
        error: ServiceError,
    ) -> None:
        state.put_back(lanes, claims, unsent)
        state.failures += 1
        self.counters.retries += 1
        name = type(error).__name__
        self.counters.failures[name] = self.counters.failures.get(name, 0) + 1
        pause = min(_LONGEST_BACKOFF, 0.2 * 2.0 ** min(state.failures, 8)) * (0.5 + 0.5 * random.random())
        state.retry_at = self._clock.monotonic() + max(pause, error.retry_after or 0.0)
        if state.failures in (1, 10):
            _LOG.warning("kept for later: %s", error)

    async def _attempts(self, state: TargetState, lanes: dict[str, PendingLane], unsent: list[Telemetry]) -> None:
        """Write the lanes, or decide that they need not be written; raises what only time can heal."""
        for attempt in range(_TRIES):
            if state.document is None and not await self._load(state, lanes):
                return
            plan = self._plan(state, lanes)
            patch = self._screened(state, plan)
            try:
                if plan.ops:
                    state.etag = await self._patch(state.target, patch, state.etag)
                    self._landed(state, plan)
            except PreconditionFailedError:
                self.counters.conflicts += 1
                state.document = None
                if attempt == _TRIES - 1:
                    raise
                continue
            except NotFoundError:
                state.document = None
                continue
            except BadRequestError as error:
                await self._isolate(state, plan, error)
            self._settle(state, plan)
            unsent += [message for pending in lanes.values() for message in pending.write.telemetry]
            for pending in lanes.values():
                pending.write.telemetry = []
            lanes.clear()
            await self._publish(state.target, unsent)
            return
        raise NotFoundError("the twin comes and goes", where=str(state.target))

    async def _load(self, state: TargetState, lanes: dict[str, PendingLane]) -> bool:
        """Read the target. False: it does not exist, and everything pending has had its outcome."""
        now = self._clock.monotonic()
        if now < state.missing_until:
            self._lost(state, lanes)
            return False
        try:
            document, state.etag = await self._get(state.target)
        except NotFoundError:
            if self._policy == "create" and self._create is not None and await self._create(state.target):
                document, state.etag = await self._get(state.target)
            else:
                state.missing_until = self._clock.monotonic() + _MISSING_SECONDS
                if not state.lost:
                    _LOG.warning("%s does not exist; its readings go to the dead letter", state.target)
                state.lost = True
                self._lost(state, lanes)
                return False
        if state.lost:
            _LOG.info("%s is back", state.target)
            state.lost = False
        # What we have written before and does not stand there any more was lost with an earlier twin of this name.
        for lane, owned in state.owned.items():
            if rule_of(lane) is Rule.FREE or stamp_on(lane, document) is None:
                if lane in lanes:
                    lanes[lane].write.ops = {**owned.ops, **lanes[lane].write.ops}
                else:
                    lanes[lane] = PendingLane(LaneWrite(owned.target, lane, owned.stamp, dict(owned.ops)), None)
        state.document = document
        return True

    def _plan(self, state: TargetState, lanes: dict[str, PendingLane]) -> _Plan:
        assert state.document is not None
        plan = _Plan()
        now = self._clock.monotonic()
        state.rejected = {path: until for path, until in state.rejected.items() if until > now}
        for pending in lanes.values():
            verdict = decide(pending.write, state.document)
            if verdict is Verdict.WRITE:
                plan.lanes.append(pending)
                refused = [path for path in pending.write.ops if path in state.rejected]
                plan.ops |= {path: value for path, value in pending.write.ops.items() if path not in refused}
                if refused:
                    plan.refused.append((pending, refused[0]))
            else:
                same = stamp_on(pending.write.lane, state.document) == pending.write.stamp
                # Equal stamps: this very reading stands there already (the answer to its write was lost).
                plan.done.append((pending, "applied" if same or verdict is Verdict.SAME else "skipped"))
        return plan

    def _landed(self, state: TargetState, plan: _Plan) -> None:
        assert state.document is not None
        if state.target.relationship:
            self.counters.patches_relationship += 1
        else:
            self.counters.patches_twin += 1
        apply_ops(state.document, plan.ops)
        for pending in plan.lanes:
            write = pending.write
            owned = state.owned.get(write.lane)
            if owned is None:
                state.owned[write.lane] = LaneWrite(write.target, write.lane, write.stamp, dict(write.ops))
            else:
                owned.ops.update(write.ops)
                owned.stamp = write.stamp

    def _settle(self, state: TargetState, plan: _Plan) -> None:
        """Count the outcome of every reading the plan stands for, and their delays."""
        now_us = self._clock.now_us()
        refused = {id(pending): path for pending, path in plan.refused}
        for pending, outcome in [*((p, "applied") for p in plan.lanes), *plan.done]:
            for fresh in pending.fresh_us:
                self.latency.add(now_us - fresh)
            if pending.carrier is None or pending.carried is None:
                continue
            path = refused.get(id(pending))
            if path is None:
                pending.carrier.count(outcome)
            else:
                self._dead(state, pending, DeadCause.REJECTED, f"{path} was refused")

    def _lost(self, state: TargetState, lanes: dict[str, PendingLane]) -> None:
        self.counters.missing += 1
        for pending in lanes.values():
            self._remember(state, pending.write)
            if pending.carrier is None or pending.carried is None:
                continue
            if self._policy == "skip":
                pending.carrier.count("skipped")
            else:
                self._dead(state, pending, DeadCause.TWIN_NOT_FOUND, f"{state.target} does not exist")
        lanes.clear()

    def _remember(self, state: TargetState, write: LaneWrite) -> None:
        """Keep what a missing twin would have got, for when it is back."""
        owned = state.owned.setdefault(write.lane, LaneWrite(write.target, write.lane, write.stamp, {}))
        owned.ops.update(write.ops)
        owned.stamp = max(owned.stamp, write.stamp)

    def _dead(self, state: TargetState, pending: PendingLane, cause: DeadCause, message: str) -> None:
        assert pending.carrier is not None
        assert pending.carried is not None
        name = state.target.twin
        self._bury(pending.carrier, Dead(pending.carried.sequence, pending.carried.index, cause, message[:500], name))

    # --- a refused patch ----------------------------------------------------------------------------------------------

    def _screened(self, state: TargetState, plan: _Plan) -> list[dict[str, Any]]:
        """The plan's patch, without the paths that the target's model refuses."""
        document = state.document or {}
        patch = _operations(plan.ops, document)
        if self._refusal is None or not self._refusal(state.target, document, patch):
            return patch
        why = {
            path: self._refusal(state.target, document, _operations({path: value}, document))
            for path, value in plan.ops.items()
        }
        self._reject(state, plan, {path: reason for path, reason in why.items() if reason})
        return _operations(plan.ops, document)

    async def _isolate(self, state: TargetState, plan: _Plan, error: BadRequestError) -> None:
        """Find the refused paths by halves and apply the rest.

        Stamps go last and in a patch of their own: were they written with the first half and the daemon then died, the
        second half would look older than what stands there.
        """
        stamps = {
            stamp_path(pending.write.lane) for pending in plan.lanes if rule_of(pending.write.lane) is not Rule.FREE
        }
        bad: dict[str, BadRequestError] = {}
        body = [(path, value) for path, value in plan.ops.items() if path not in stamps]
        await self._halves(state, body, bad, error if not stamps else None)
        last = [(path, value) for path, value in plan.ops.items() if path in stamps]
        if last:
            await self._halves(state, last, bad, None)
        self._reject(state, plan, bad)
        self._landed(state, plan)

    def _reject(self, state: TargetState, plan: _Plan, bad: Mapping[str, object]) -> None:
        """Take these paths out of the plan, for a while; the readings that brought them are refused."""
        until = self._clock.monotonic() + _REJECTED_SECONDS
        for path, why in bad.items():
            self.counters.rejected_paths += 1
            state.rejected[path] = until
            _LOG.warning("%s refuses %s: %s", state.target, path, why)
        for pending in plan.lanes:
            hit = next((path for path in pending.write.ops if path in bad), None)
            if hit is not None:
                plan.refused.append((pending, hit))
        plan.ops = {path: value for path, value in plan.ops.items() if path not in bad}

    async def _halves(
        self,
        state: TargetState,
        items: Sequence[tuple[str, Any]],
        bad: dict[str, BadRequestError],
        known: BadRequestError | None,
    ) -> None:
        if not items:
            return
        if known is None:
            try:
                patch = _operations(dict(items), state.document or {})
                state.etag = await self._patch(state.target, patch, state.etag)
            except BadRequestError as error:
                known = error
            else:
                return
        if len(items) == 1:
            bad[items[0][0]] = known
            return
        middle = len(items) // 2
        await self._halves(state, items[:middle], bad, None)
        await self._halves(state, items[middle:], bad, None)

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _get(self, target: Target) -> tuple[dict[str, Any], str]:
        self.counters.reads += 1
        if target.relationship:
            return await self._hot.get_relationship(*target)
        return await self._hot.get_twin(target.twin)

    async def _patch(self, target: Target, patch: list[dict[str, Any]], etag: str) -> str:
        body = orjson.dumps(patch)
        if target.relationship:
            return await self._hot.patch_relationship(*target, body, etag or None)
        return await self._hot.patch_twin(target.twin, body, etag or None)

    async def _publish(self, target: Target, messages: list[Telemetry]) -> None:
        """Send what the patch has told; at least once, a repetition keeps its id."""
        while messages:
            message = messages[0]
            try:
                await self._hot.publish_telemetry(
                    target.twin, orjson.dumps(message.body), message.message_id, format_us(message.time_us)
                )
            except (NotFoundError, BadRequestError) as error:
                _LOG.warning("telemetry is dropped: %s", error)
            else:
                self.counters.telemetry += 1
            del messages[0]


def _operations(ops: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON Patch: parents that are missing first, `add` for values, `remove` only for what is there."""
    patch: list[dict[str, Any]] = []
    made: set[str] = set()
    for path, value in ops.items():
        parent = path.rpartition("/")[0]
        if value is REMOVE:
            if get_pointer(document, path) is not None:
                patch.append({"op": "remove", "path": path})
            continue
        if parent and parent not in made and not parent.startswith("/$metadata"):
            made.add(parent)
            if get_pointer(document, parent) is None:
                patch.append({"op": "add", "path": parent, "value": {}})
        patch.append({"op": "add", "path": path, "value": value})
    return patch
