"""What the daemon writes, in lanes, and the one rule that decides whether a write is still wanted.

A *target* is a twin or one of its relationships. A *lane* is a group of its properties that is written together and
carries its own stamp, a source time that stands in the target itself. The stamp is the durable newer-than guard: it
survives every crash, and any process that reads the target can apply the rule.

Three kinds of lanes (`Rule`):

- STREAM: fed by one ordered stream. Written when its stamp is newer than the one on the target.
- SET: a pure function of everything consumed so far (which switches are open, what a whole feeder sums up to). It may
  improve without its stamp moving, so an equal stamp writes when the values differ.
- REGISTER: one value that several streams may report; the greatest (stamp, value) wins, so that the order of arrival
  does not matter even when two reports bear the same time.

The daemon's writer and the oracle both decide with the functions of this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from remhart_adt.clock import parse_us
from remhart_adt.ids import MODEL_BY_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FLOW",
    "LOAD",
    "READING",
    "REMOVE",
    "SERVICE",
    "STATUS",
    "SUPPLY",
    "TEMPERATURE",
    "WATCH",
    "Carried",
    "LaneWrite",
    "Rule",
    "Target",
    "Telemetry",
    "Verdict",
    "apply_ops",
    "decide",
    "feeder_lane",
    "get_pointer",
    "merge_ops",
    "rule_of",
    "stamp_on",
    "stamp_path",
]

READING: Final = "reading"
SERVICE: Final = "service"
STATUS: Final = "status"
TEMPERATURE: Final = "temperature"
SUPPLY: Final = "supply"
LOAD: Final = "load"
FLOW: Final = "flow"
WATCH: Final = "watch"
_FEEDER: Final = "feeder:"


class _Remove:
    """The value of a path that has to go away."""

    def __repr__(self) -> str:
        return "REMOVE"


REMOVE: Final = _Remove()


class Target(NamedTuple):
    """A twin, or one relationship of it when `relationship` is its id."""

    twin: str
    relationship: str = ""

    def __str__(self) -> str:
        return f"{self.twin}/{self.relationship}" if self.relationship else self.twin


class Telemetry(NamedTuple):
    """One message to publish on the twin once the patch that tells the same has succeeded."""

    body: Mapping[str, Any]
    message_id: str
    time_us: int


@dataclass(slots=True)
class Carried:
    """The reading that a lane write stands for: it is applied when the write succeeds.

    `fresh_us`: enqueued times (microseconds) of all readings of the batch whose delay ends with this write and that
    were sent as they were measured; old readings (history, a backlog at the sender) are left out of the latency.
    """

    sequence: int
    index: int
    enqueued_us: int
    fresh_us: NDArray[np.int64]


@dataclass(slots=True)
class LaneWrite:
    """One lane's new state: `ops` maps a JSON pointer to its value (or REMOVE), `stamp` is its source time in us."""

    target: Target
    lane: str
    stamp: int
    ops: dict[str, Any]
    carried: Carried | None = None
    telemetry: list[Telemetry] = field(default_factory=list)


class Rule(Enum):
    """How a lane decides between what it brings and what stands on the target."""

    STREAM = "stream"
    SET = "set"
    REGISTER = "register"
    FREE = "free"


class Verdict(Enum):
    """What to do with a lane write."""

    WRITE = "write"
    OLDER = "older"
    """The target holds something at least as new."""
    SAME = "same"
    """The target holds exactly this already."""


def feeder_lane(model_id: str) -> str:
    """The lane of a feeder-scope model on the feeder's head point."""
    return _FEEDER + model_id


_RULES: Final = {
    READING: (Rule.STREAM, "/lastReadingAt"),
    STATUS: (Rule.STREAM, "/lastUpdatedAt"),
    TEMPERATURE: (Rule.REGISTER, "/$metadata/temperature/sourceTime"),
    LOAD: (Rule.STREAM, "/$metadata/loadFactor/sourceTime"),
    SUPPLY: (Rule.SET, "/$metadata/energized/sourceTime"),
    FLOW: (Rule.SET, "/updatedAt"),
    WATCH: (Rule.STREAM, "/lastReadingAt"),
    SERVICE: (Rule.FREE, ""),
}


def rule_of(lane: str) -> Rule:
    """The rule of a lane."""
    return Rule.SET if lane.startswith(_FEEDER) else _RULES[lane][0]


def stamp_path(lane: str) -> str:
    """Where the lane's stamp stands on its target; empty for a lane without one."""
    if lane.startswith(_FEEDER):
        model = MODEL_BY_ID[lane[len(_FEEDER) :]]
        return f"/mlEngine/{model.module}/{model.published}/scoredAt"
    return _RULES[lane][1]


def stamp_on(lane: str, document: Mapping[str, Any]) -> int | None:
    """The lane's stamp on a target as loaded, in us; None when it was never written (or is no time)."""
    path = stamp_path(lane)
    if not path:
        return None
    text = get_pointer(document, path)
    if not isinstance(text, str):
        return None
    try:
        return parse_us(text)
    except ValueError:
        return None


def decide(write: LaneWrite, document: Mapping[str, Any]) -> Verdict:
    """Whether a lane write is still wanted on a target that looks like `document`."""
    rule = rule_of(write.lane)
    if rule is Rule.FREE:
        return Verdict.SAME if _same(write.ops, document) else Verdict.WRITE
    current = stamp_on(write.lane, document)
    if rule is Rule.STREAM:
        return Verdict.WRITE if current is None or write.stamp > current else Verdict.OLDER
    if current is not None and write.stamp < current:
        return Verdict.OLDER
    if _same(write.ops, document):
        return Verdict.SAME
    if rule is Rule.REGISTER and current == write.stamp and not _register_wins(write, document):
        return Verdict.OLDER
    return Verdict.WRITE


def merge_ops(pending: LaneWrite, newer: LaneWrite) -> bool:
    """Fold a later lane write into one that waits. Returns False when the later one is older by its stamp and
    nothing of it was taken."""
    rule = rule_of(newer.lane)
    wins = newer.stamp > pending.stamp or (rule is not Rule.STREAM and newer.stamp == pending.stamp)
    if wins and rule is Rule.REGISTER and newer.stamp == pending.stamp:
        wins = _value(newer) >= _value(pending)
    if not wins:
        pending.telemetry += newer.telemetry
        return False
    pending.ops.update(newer.ops)
    pending.stamp = newer.stamp
    pending.telemetry += newer.telemetry
    return True


def _value(write: LaneWrite) -> float:
    return float(next(value for path, value in write.ops.items() if not path.startswith("/$metadata")))


def _register_wins(write: LaneWrite, document: Mapping[str, Any]) -> bool:
    path = next(path for path in write.ops if not path.startswith("/$metadata"))
    current = get_pointer(document, path)
    return not isinstance(current, int | float) or _value(write) > float(current)


def _same(ops: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    for path, value in ops.items():
        current = get_pointer(document, path)
        if value is REMOVE:
            if current is not None:
                return False
        elif path.endswith("/sourceTime"):
            if not _same_time(value, current):
                return False
        elif current != value or isinstance(current, bool) is not isinstance(value, bool):
            return False
    return True


def _same_time(ours: Any, theirs: Any) -> bool:
    # The service may write the same instant with another number of digits.
    try:
        return isinstance(theirs, str) and parse_us(ours) == parse_us(theirs)
    except ValueError:
        return False


def _parts(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def get_pointer(document: Mapping[str, Any], path: str) -> Any:
    """The value at a JSON pointer; None when there is none."""
    node: Any = document
    for part in _parts(path):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def apply_ops(document: dict[str, Any], ops: Mapping[str, Any]) -> None:
    """Do to a document in memory what the patch does to the target; missing parents are created."""
    for path, value in ops.items():
        *parents, last = _parts(path)
        node = document
        for part in parents:
            node = node.setdefault(part, {})
        if value is REMOVE:
            node.pop(last, None)
        else:
            node[last] = value
