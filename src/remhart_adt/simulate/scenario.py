"""A feeder, a seed, a start and a rate: history, live readings, events, expected alarms and the twin graph."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import SimulationError
from remhart_adt.readings import ComponentStatus
from remhart_adt.simulate.catalogue import DEMO_FEEDER, feeder_spec
from remhart_adt.simulate.director import Act, Director
from remhart_adt.simulate.events import KINDS, Event
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.spec import FeederSpec
from remhart_adt.simulate.truth import ExpectedAlarm
from remhart_adt.simulate.twins import graph_of

__all__ = ["History", "Scenario", "Tick"]

# One event of each kind per cycle. Ten minutes hold at most 6,000 ticks at 10 Hz, about 40 MB of readings of 30 points.
_CYCLE_S: Final = 600.0
_CYCLE_TICKS: Final = 12_000
_FOREVER_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class History:
    """The time before the start: `time_us` (T,), `values` (T, P, 25), NaN where nothing was measured, and statuses."""

    time_us: NDArray[np.int64]
    values: NDArray[np.float64]
    statuses: tuple[ComponentStatus, ...]


class Tick(NamedTuple):
    """One live instant: `values` (P, 25) in the order of `point_ids`; a row of NaN is a reading that got lost."""

    time_us: int
    values: NDArray[np.float64]
    statuses: tuple[ComponentStatus, ...]


class Scenario:
    """One reproducible play on one feeder: the same arguments give the same bytes.

    `seconds` of live readings every `period_s`, or endless with None; each cycle (the whole, at most 10 minutes; 5
    minutes when endless) has one event of each kind in `events`. Not safe for threads: iterate where it was made.
    """

    def __init__(
        self,
        feeder: str | FeederSpec = DEMO_FEEDER,
        seed: int = 1,
        start_us: int = 1_767_600_000_000_000,
        period_s: float = 1.0,
        seconds: float | None = 60.0,
        *,
        events: Sequence[str] = KINDS,
        history_hours: float = 26.0,
        dropout: float = 0.0,
    ) -> None:
        """Raises SimulationError for an unknown feeder or event kind, or numbers that make no sense."""
        if not 0.001 <= period_s <= 60:
            raise SimulationError(f"period_s must lie in 0.001..60 s, not {period_s}")
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise SimulationError(f"seconds must be positive, not {seconds}")
        if not 1 <= history_hours <= 24 * 366:
            raise SimulationError(f"history_hours must lie in 1..8784, not {history_hours}")
        if not 0 <= dropout < 1:
            raise SimulationError(f"dropout must lie in 0..1, not {dropout}")
        if seed < 0:
            raise SimulationError(f"seed must not be negative, not {seed}")
        if unknown := [k for k in events if k not in KINDS]:
            raise SimulationError(f"no event kind {unknown[0]!r}", remedy=f"Choose from {', '.join(KINDS)}")
        self.spec = feeder_spec(feeder) if isinstance(feeder, str) else feeder
        self.seed, self.start_us, self.period_us = seed, start_us, round(period_s * 1e6)
        self.seconds, self.kinds = seconds, tuple(events)
        self.feeder = Feeder(self.spec)
        self.point_ids = self.feeder.point_ids
        self._history_min, self._dropout = round(history_hours * 60), dropout
        self._events: dict[int, tuple[Event, ...]] = {}
        self._alarms: dict[int, tuple[ExpectedAlarm, ...]] = {}
        self._director: Director | None = None

    # -- what is played ------------------------------------------------------------------------------------------

    def history(self, hours: float | None = None, step_s: int = 60) -> History:
        """The last `hours` before the start (default: all of them), every `step_s` (whole minutes), no events.

        The last instant is `step_s` before the start; values go on into the live part.
        """
        if step_s < 60 or step_s % 60:
            raise SimulationError(f"step_s must be whole minutes, not {step_s} s")
        minutes = self._history_min if hours is None else round(hours * 60)
        if not 0 < minutes <= self._history_min:
            raise SimulationError(
                f"{hours} h of history were not prepared", remedy=f"Make the scenario with history_hours={hours}"
            )
        act = self._fresh().history
        every = step_s // 60
        rows = np.arange(self._history_min - every, self._history_min - minutes - 1, -every)[::-1]
        first = int(act.time_us[rows[0]])
        statuses = tuple(s for s in act.statuses if s.time_us >= first)
        return History(act.time_us[rows], act.values[rows], statuses)

    def live(self) -> Iterator[Tick]:
        """Tick after tick from `start_us` on. Every call starts the same play again."""
        for act in self._acts():
            statuses: dict[int, list[ComponentStatus]] = {}
            for status in act.statuses:
                statuses.setdefault(status.time_us, []).append(status)
            for time_us, values in zip(act.time_us.tolist(), act.values, strict=True):
                yield Tick(time_us, values, tuple(statuses.get(time_us, ())))

    def acts(self) -> Iterator[Act]:
        """The same as `live`, cycle by cycle, with the engine's truth beside the readings."""
        yield from self._acts()

    @property
    def events(self) -> list[Event]:
        """All events in time order; of an endless scenario those of the cycles played so far."""
        self._complete()
        return [event for k in sorted(self._events) for event in self._events[k]]

    def expected_alarms(self) -> list[dict[str, Any]]:
        """What a correct daemon raises by rule: pointId, kind, phases, raisedAfter_us, clearedAfter_us (None: not yet).

        In time order, told from noise-free values that are all clear of every limit. Alarms that depend on a model's
        answer are not in the list. Of an endless scenario: those of the cycles played so far.
        """
        self._complete()
        return [alarm.to_json() for k in sorted(self._alarms) for alarm in self._alarms[k]]

    def graph(self) -> dict[str, Any]:
        """The twin graph of the feeder in the form of the graph file (version 1)."""
        parameters = {"feeder": self.spec.name, "seed": self.seed, "period_us": self.period_us}
        return graph_of(
            self.spec,
            {
                "simulationId": f"{self.spec.name}-{self.seed}",
                "simulationName": self.spec.title,
                "scenarioType": "+".join(self.kinds) or "normal operation",
                "parameters": json.dumps(parameters),
            },
        )

    # -- how -----------------------------------------------------------------------------------------------------

    def _fresh(self) -> Director:
        """A director at the start of the live part: one that only played history serves once more."""
        if self._director is None:
            self._director = Director(
                self.feeder, self.seed, self.start_us, self.period_us, self._history_min, self._dropout
            )
        return self._director

    def _lengths(self) -> Iterator[int]:
        period_s = self.period_us / 1e6
        longest = min(_CYCLE_TICKS, max(1, int(_CYCLE_S / period_s)))
        if self.seconds is None:
            while True:
                yield min(longest, max(1, round(_FOREVER_S / period_s)))
        total = max(1, round(self.seconds / period_s))
        cycles = math.ceil(total / longest)
        for k in range(cycles):
            yield total * (k + 1) // cycles - total * k // cycles

    def _acts(self) -> Iterator[Act]:
        director, self._director = self._fresh(), None
        for k, n in enumerate(self._lengths()):
            act = director.cycle(n, self.kinds)
            self._events[k], self._alarms[k] = act.events, act.alarms
            yield act

    def _complete(self) -> None:
        if self.seconds is not None and len(self._events) < sum(1 for _ in self._lengths()):
            for _ in self._acts():
                pass
