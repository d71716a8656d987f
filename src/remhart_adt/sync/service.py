"""What the daemon says about itself on a point's twin: connectivity, the engine, its registry, its pace.

By wall clock, not by source time; these properties differ between two runs over the same log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import remhart_adt
from remhart_adt.clock import Clock, format_us
from remhart_adt.ids import MODELS
from remhart_adt.scoring.types import SlotState
from remhart_adt.sync.lanes import SERVICE, LaneWrite, Target

if TYPE_CHECKING:
    from remhart_adt.scoring.engine import Engine

__all__ = ["Service", "engine_ops"]

_METRICS_SECONDS: Final = 60.0
_GROUPS: Final = ("voltage", "current", "frequency", "power", "balance", "quality", "timeSeries")
_GROUP_OF_CHANNEL: Final = {
    "v": "voltage",
    "i": "current",
    "f": "frequency",
    "p": "power",
    "q": "power",
    "t": "quality",
}


class Service:
    """Remembers when each point was heard last and what its twin says."""

    def __init__(self, points: Iterable[str], engine: Engine, clock: Clock, *, stale: float, offline: float) -> None:
        self._engine = engine
        self._clock = clock
        self._stale = stale
        self._offline = offline
        self._said: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._inferences: dict[str, int] = {}
        self._described: set[str] = set()
        self._started = clock.monotonic()
        self._next_metrics = self._started + _METRICS_SECONDS
        self.adopt(points)

    def adopt(self, points: Iterable[str]) -> None:
        """The graph has these points now."""
        self._points = set(points)
        for mine in (self._said, self._heard, self._inferences):
            for gone in [name for name in mine if name not in self._points]:
                del mine[gone]

    def heard(self, points: Mapping[str, int]) -> list[LaneWrite]:
        """Readings of these points have arrived (point -> how many)."""
        now = self._clock.monotonic()
        writes = []
        for name, n in points.items():
            self._heard[name] = now
            self._inferences[name] = self._inferences.get(name, 0) + n
            ops: dict[str, Any] = {}
            if self._said.get(name) != "online":
                self._said[name] = "online"
                ops["/connectivity"] = "online"
            if name not in self._described:
                self._described.add(name)
                ops |= engine_ops(self._engine)
            if ops:
                writes.append(LaneWrite(Target(name), SERVICE, 0, ops))
        return writes

    def describe_again(self) -> None:
        """The models have changed: every point that is heard of gets the new registry."""
        self._described.clear()

    def tick(self, busy_ms: float) -> list[LaneWrite]:
        """Every few seconds: points that went silent, and once a minute the pace. `busy_ms`: mean time of a reading."""
        now = self._clock.monotonic()
        writes = []
        for name in self._points:
            silent = now - self._heard.get(name, self._started)
            word = "offline" if silent > self._offline else "stale" if silent > self._stale else None
            if word is not None and self._said.get(name) != word:
                self._said[name] = word
                writes.append(LaneWrite(Target(name), SERVICE, 0, {"/connectivity": word}))
        if now >= self._next_metrics:
            self._next_metrics = now + _METRICS_SECONDS
            active = sum(slot.state is SlotState.INSTALLED for slot in self._engine.slots.values())
            stamp = format_us(self._clock.now_us() // 1000 * 1000)
            for name, n in self._inferences.items():
                if self._said.get(name) == "online":
                    pace = {
                        "totalInferences": n,
                        "averageInferenceTime": round(busy_ms, 4),
                        "modelsActive": active,
                        "lastInferenceTimestamp": stamp,
                    }
                    writes.append(LaneWrite(Target(name), SERVICE, 0, {"/mlEngine/inferenceMetrics": pace}))
        return writes


def engine_ops(engine: Engine) -> dict[str, Any]:
    """Version, registry and feature counts of the engine."""
    from remhart_adt.scoring.features import FEATURES

    by_module: dict[str, int] = {}
    for model in MODELS:
        if engine.slots[model.id].state is SlotState.INSTALLED:
            kind = model.module.removesuffix("Predictions")
            by_module[kind] = by_module.get(kind, 0) + 1
    registry = {f"{kind}Models": by_module.get(kind, 0) for kind in ("monitoring", "maintenance", "energy", "decision")}
    counts = dict.fromkeys(_GROUPS, 0)
    for feature in FEATURES:
        group = _group(feature.source, feature.needs)
        if group is not None:
            counts[group] += 1
    features = {f"{group}Features": n for group, n in counts.items()}
    return {
        "/mlEngine/engineVersion": remhart_adt.__version__,
        "/mlEngine/modelRegistry": {"totalModels": sum(by_module.values()), **registry},
        "/mlEngine/featureEngineering": {"totalFeatures": len(FEATURES), **features},
    }


def _group(source: str, needs: tuple[str, ...]) -> str | None:
    """A feature's group in the registry: what of its past it needs, else the kind of its first channel."""
    if source.startswith(("last", "quarter")):
        return "timeSeries"
    kinds = {_GROUP_OF_CHANNEL.get(name[0]) for name in needs}
    if len(needs) == 3 and len(kinds) == 1 and kinds <= {"voltage", "current"}:
        return "balance"
    return _GROUP_OF_CHANNEL.get(needs[0][0]) if needs else None
