"""Plays one scenario in order: history first, then cycle after cycle of live ticks, all from one seed.

Minutes come from the `Scenery`, ticks are laid over them, events change loads and switches, the engine solves, and what
it says without noise is kept beside what the meters read. The same seed gives the same play, however it is watched.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import SimulationError
from remhart_adt.readings import ComponentStatus
from remhart_adt.simulate.events import OVERLOADS, SAG_RESIDUAL, Event, candidates, extra_load, schedule
from remhart_adt.simulate.feeder import Feeder, Solution, join
from remhart_adt.simulate.frequency import Frequency
from remhart_adt.simulate.loads import FastNoise, Minutes, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import Breaker
from remhart_adt.simulate.thermal import Thermal
from remhart_adt.simulate.truth import ExpectedAlarm, doubts, expected_alarms

__all__ = ["Act", "Director"]

Floats = NDArray[np.float64]

_MINUTE_US: Final = 60_000_000
# Devices repeat their state now and then, so that a listener who comes late learns it.
_REPEAT_US: Final = 30_000_000


@dataclass(frozen=True, slots=True)
class Act:
    """T consecutive instants: the engine's truth, surroundings, readings (T, P, 25), statuses in time order."""

    time_us: NDArray[np.int64]
    truth: Solution
    hz: Floats
    oil: Floats
    ambient: Floats
    values: Floats
    statuses: tuple[ComponentStatus, ...]
    events: tuple[Event, ...] = ()
    alarms: tuple[ExpectedAlarm, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ticks:
    """Drivers of T ticks."""

    time_us: NDArray[np.int64]
    kw: Floats
    kvar: Floats
    pu: Floats
    steps: NDArray[np.int64]
    ambient: Floats

    def part(self, a: int, b: int) -> _Ticks:
        return _Ticks(*(getattr(self, name)[a:b] for name in self.__slots__))


class Director:
    """One run of a scenario. `history` is played at once; `cycle` gives the next stretch of live ticks."""

    def __init__(
        self, feeder: Feeder, seed: int, start_us: int, period_us: int, history_min: int, dropout: float
    ) -> None:
        self._feeder, self._seed, self._period_us = feeder, seed, period_us
        self._start_us, self._dropout = start_us, dropout
        spec = feeder.spec
        t = spec.transformer
        self._thermal = Thermal(t.load_loss_w / t.no_load_loss_w)
        self._breakers = tuple(e.id for e in spec.elements if isinstance(e, Breaker))
        self._head = next((k for k, p in enumerate(spec.points) if p.element == t.id), 0)
        self._scenery = Scenery(feeder, seed, start_us - history_min * _MINUTE_US)
        self._cycles, self._tick = 0, 0
        self._fast = FastNoise(feeder.n_loads, self._rng("fast"))
        self._frequency = Frequency(spec.hz, self._rng("frequency"))
        self._meters = self._make_meters("live")
        self._history = self._play_history(history_min)
        self._minutes = _drivers(self._scenery.advance(2))
        self._minute0 = 0

    def _rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(f"{self._feeder.spec.name}/{what}".encode())])

    def _make_meters(self, what: str) -> Meters:
        spec = self._feeder.spec
        n = self._feeder.n_points
        return Meters(n, spec.nominal_v, self._rng("meters"), self._rng(f"meters {what}"), dropout=self._dropout)

    # -- history -------------------------------------------------------------------------------------------------

    @property
    def history(self) -> Act:
        """The minutes before the start, without events."""
        return self._history

    def _play_history(self, minutes: int) -> Act:
        base = _drivers(self._scenery.advance(minutes))
        factor, offset = FastNoise(self._feeder.n_loads, self._rng("fast history")).block(minutes, 60.0)
        ticks = _Ticks(base.time_us, base.kw * factor, base.kvar * factor, base.pu + offset, base.steps, base.ambient)
        truth = self._feeder.run(ticks.kw, ticks.kvar, ticks.pu, steps=ticks.steps)
        self._check(truth)
        k = truth.transformer_va / (self._feeder.spec.transformer.kva * 1000)
        state = self._thermal.settled(float(np.sqrt(np.mean(k[:180] ** 2))))
        oil, _, self._hot = self._thermal.run(state, k, ticks.ambient, 60.0)
        hz = Frequency(self._feeder.spec.hz, self._rng("frequency history")).block(minutes, 60.0)
        values = self._make_meters("history").read(truth, hz, oil, ticks.ambient, self._head)
        statuses = self._changes(ticks, oil, (), repeat_us=3600 * 1_000_000)
        return Act(ticks.time_us, truth, hz, oil, ticks.ambient, values, statuses)

    # -- live ----------------------------------------------------------------------------------------------------

    def cycle(self, n: int, kinds: Sequence[str]) -> Act:
        """The next n ticks with one event of each kind in `kinds`.

        Raises SimulationError when a value comes so close to a limit that its alarm could be doubted.
        """
        ticks = self._ticks(n)
        spec, feeder = self._feeder.spec, self._feeder
        events: list[Event] = []
        parts: list[Solution] = []
        done = 0
        for kind, a, b in schedule(n, self._period_us / 1e6, kinds):
            if a > done:
                parts.append(self._solve(ticks.part(done, a)))
            event, part = self._stage(kind, ticks.part(a, b), int(ticks.time_us[a]), int(ticks.time_us[b]))
            events.append(event)
            parts.append(part)
            done = b
        if done < n:
            parts.append(self._solve(ticks.part(done, n)))
        truth = join(parts)
        u, load = self._per_unit(truth)
        if found := doubts(feeder.point_ids, u, load):
            raise SimulationError(
                "values too close to an alarm limit: " + "; ".join(found[:5]),
                where=f"feeder {spec.name}, seed {self._seed}",
                remedy="Choose another seed or start",
            )
        step_s = self._period_us / 1e6
        k = truth.transformer_va / (spec.transformer.kva * 1000)
        oil, _, self._hot = self._thermal.run(self._hot, k, ticks.ambient, step_s)
        hz = self._frequency.block(n, step_s)
        values = self._meters.read(truth, hz, oil, ticks.ambient, self._head)
        statuses = self._changes(ticks, oil, events, repeat_us=_REPEAT_US)
        alarms = expected_alarms(feeder.point_ids, ticks.time_us, u, load)
        self._cycles += 1
        return Act(ticks.time_us, truth, hz, oil, ticks.ambient, values, statuses, tuple(events), tuple(alarms))

    def _ticks(self, n: int) -> _Ticks:
        offset = (self._tick + np.arange(n, dtype=np.int64)) * self._period_us
        self._tick += n
        minute = offset // _MINUTE_US
        missing = int(minute[-1]) + 2 - (self._minute0 + len(self._minutes.pu))
        drop = int(minute[0]) - self._minute0
        kept = self._minutes.part(drop, len(self._minutes.pu))
        self._minute0 += drop
        if missing > 0:
            new = _drivers(self._scenery.advance(missing))
            kept = _Ticks(*(np.concatenate([getattr(kept, f), getattr(new, f)]) for f in _Ticks.__slots__))
        self._minutes = kept
        at = minute - self._minute0
        share = (offset % _MINUTE_US) / _MINUTE_US
        factor, wander = self._fast.block(n, self._period_us / 1e6)

        def blend(name: str) -> Any:
            series = getattr(kept, name)
            w = share if series.ndim == 1 else share[:, None]
            return series[at] * (1 - w) + series[at + 1] * w

        return _Ticks(
            self._start_us + offset,
            blend("kw") * factor,
            blend("kvar") * factor,
            blend("pu") + wander,
            kept.steps[at],
            blend("ambient"),
        )

    def _solve(self, ticks: _Ticks, **switching: Any) -> Solution:
        truth = self._feeder.run(ticks.kw, ticks.kvar, ticks.pu, steps=ticks.steps, **switching)
        self._check(truth)
        return truth

    def _stage(self, kind: str, ticks: _Ticks, start_us: int, end_us: int) -> tuple[Event, Solution]:
        """The first candidate for which every point is clearly in or clearly out of every alarm."""
        feeder, tried = self._feeder, []
        names = candidates(feeder, kind)
        turn = self._cycles % max(1, len(names))
        targets = OVERLOADS if kind == "overload" else OVERLOADS[:1]
        for target, name in product(targets, names[turn:] + names[:turn]):
            try:
                event, truth = self._try(kind, name, ticks, start_us, end_us, target)
            except SimulationError as error:
                tried.append(f"{name}: {error.what}")
                continue
            found = doubts(feeder.point_ids, *self._per_unit(truth))
            if not found:
                return event, truth
            tried.append(f"{name}: {found[0]}")
        raise SimulationError(
            f"no clear {kind} can be staged: " + "; ".join(tried[:4]),
            where=f"feeder {feeder.spec.name}, seed {self._seed}",
            remedy="Choose other event kinds or another seed",
        )

    def _try(
        self, kind: str, name: str, ticks: _Ticks, start_us: int, end_us: int, target: float
    ) -> tuple[Event, Solution]:
        if kind == "voltage_sag":
            low = _Ticks(ticks.time_us, ticks.kw, ticks.kvar, ticks.pu * SAG_RESIDUAL, ticks.steps, ticks.ambient)
            return Event(kind, name, start_us, end_us, parameters={"residual": SAG_RESIDUAL}), self._solve(low)
        if kind == "overload":
            middle = len(ticks.pu) // 2
            extra = extra_load(
                self._feeder,
                name,
                ticks.kw[middle],
                ticks.kvar[middle],
                float(ticks.pu[middle]),
                int(ticks.steps[middle]),
                target=target,
            )
            more = _Ticks(ticks.time_us, ticks.kw + extra, ticks.kvar, ticks.pu, ticks.steps, ticks.ambient)
            parameters = {"target": target, "extra_kw": round(float(extra.sum()), 3)}
            return Event(kind, name, start_us, end_us, parameters=parameters), self._solve(more)
        if kind == "open_phase":
            phase = (self._seed + self._cycles) % 3
            truth = self._solve(ticks, open_phases={name: (phase,)})
            return Event(kind, name, start_us, end_us, phases=(phase,)), truth
        return Event(kind, name, start_us, end_us), self._solve(ticks, switches={name: "open"})

    def _per_unit(self, truth: Solution) -> tuple[Floats, Floats]:
        return (
            np.abs(truth.v) / self._feeder.spec.nominal_v,
            np.abs(truth.i) / self._feeder.rated_a[None, :, None],
        )

    def _check(self, truth: Solution) -> None:
        if not truth.converged.all():
            raise SimulationError(
                f"{int((~truth.converged).sum())} of {len(truth)} steps did not converge",
                where=f"feeder {self._feeder.spec.name}",
            )

    # -- component status ----------------------------------------------------------------------------------------

    def _changes(
        self, ticks: _Ticks, oil: Floats, events: Sequence[Event], *, repeat_us: int
    ) -> tuple[ComponentStatus, ...]:
        """Status of every device at the start of each `repeat_us` since the start, and at each change."""
        spec, bank = self._feeder.spec, self._feeder.bank
        out: list[ComponentStatus] = []
        slot = (ticks.time_us - self._start_us) // repeat_us
        repeats = {0, *(np.flatnonzero(np.diff(slot)) + 1).tolist()} if len(slot) else set()
        steps = repeats | set((np.flatnonzero(np.diff(ticks.steps)) + 1).tolist())
        breakers = [e for e in events if e.kind == "breaker"]
        edges = {e.start_us for e in breakers} | {e.end_us for e in breakers}
        moments = sorted(repeats | steps | {k for k, t in enumerate(ticks.time_us.tolist()) if t in edges})
        for k in moments:
            now = int(ticks.time_us[k])
            for name in self._breakers:
                mine = [e for e in breakers if e.component == name]
                if k in repeats or any(now in (e.start_us, e.end_us) for e in mine):
                    is_open = any(e.start_us <= now < e.end_us for e in mine)
                    out.append(ComponentStatus(name, now, switch_state="open" if is_open else "closed"))
            if bank is not None and k in steps:
                out.append(ComponentStatus(bank.id, now, steps_on=int(ticks.steps[k])))
            if k in repeats:
                t = spec.transformer
                out.append(ComponentStatus(t.id, now, tap_position=t.tap, temperature=round(float(oil[k]), 1)))
        return tuple(out)


def _drivers(minutes: Minutes) -> _Ticks:
    m = minutes
    return _Ticks(m.time_us, m.kw, m.kvar, m.source_pu, m.steps, m.air.temperature)
