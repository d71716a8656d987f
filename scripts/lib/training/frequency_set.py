"""Hours of an interconnection's frequency, read by several meters at once, and where it went next.

No feeder is solved: the frequency comes from the swing equation alone (`remhart_adt.simulate.frequency`). Each feeder's
name stands for a kind of interconnection; `terrace`, of other constants than all of them, is never learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch
from remhart_adt.scoring.compute import compute, point_table
from remhart_adt.scoring.types import PointInfo
from remhart_adt.scoring.windows import Step, Windows
from remhart_adt.simulate.frequency import Frequency, Grid
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER, Split
from training.samples import Samples

__all__ = ["AHEAD_S", "BAND", "EXIT_S", "NADIR_S", "FrequencyPlan", "frequency", "frequency_rows"]

Floats = NDArray[np.float64]
# What is asked: the frequency so many seconds ahead, its farthest point within, whether it leaves fn +- BAND within.
AHEAD_S: Final = 5
NADIR_S: Final = 30
EXIT_S: Final = 60
BAND: Final = 0.003
# The truth is known at this many instants a second.
_RATE: Final = 2
_HOUR_S: Final = 3600
_START_US: Final = 1_767_225_600_000_000  # 2026-01-01, UTC

# Meters: seconds between readings, last digit (Hz), noise (Hz), share of readings that are lost.
_METERS: Final = (
    (0.5, 0.001, 0.0004, 0.0), (1.0, 0.001, 0.0004, 0.005), (1.0, 0.01, 0.002, 0.01), (1.0, 0.0001, 0.002, 0.0),
    (2.0, 0.001, 0.0006, 0.02), (3.0, 0.01, 0.001, 0.05), (5.0, 0.001, 0.0006, 0.05),
)  # fmt: skip


@dataclass(frozen=True)
class _Kind:
    """Interconnections alike: nominal frequency and, least to most, H, D, R, governor s, noise, trips a day, trip."""

    hz: float
    inertia: tuple[float, float]
    damping: tuple[float, float]
    droop: tuple[float, float]
    governor_s: tuple[float, float]
    noise: tuple[float, float]
    trips: tuple[float, float]
    trip: tuple[float, float]


_KINDS: Final = {
    # A large interconnection, two smaller ones, and a weak one where units are large.
    "suburb": _Kind(50.0, (4.5, 6.0), (1.2, 2.0), (0.06, 0.09), (2.0, 3.2), (0.0003, 0.0005), (6, 12), (0.004, 0.02)),
    "village": _Kind(60.0, (3.5, 5.0), (1.0, 2.0), (0.05, 0.08), (1.5, 3.0), (0.0004, 0.0008), (10, 24), (0.006, 0.04)),
    "arcade": _Kind(50.0, (2.5, 4.0), (1.0, 1.8), (0.05, 0.08), (1.2, 2.5), (0.0005, 0.0014), (16, 48), (0.01, 0.06)),
    "workshop": _Kind(60.0, (2.0, 3.5), (0.8, 1.6), (0.06, 0.10), (1.0, 2.2), (0.0015, 0.005), (8, 48), (0.01, 0.08)),
    "terrace": _Kind(50.0, (3.0, 6.5), (0.6, 2.2), (0.04, 0.11), (1.2, 2.8), (0.0006, 0.003), (10, 60), (0.008, 0.07)),
    # Judged on later: an island, a mid-sized interconnection, one of much hydro power, and a stiff one.
    "orchard": _Kind(50.0, (1.8, 3.0), (0.6, 1.4), (0.05, 0.12), (0.8, 2.5), (0.0012, 0.004), (12, 72), (0.01, 0.09)),
    "plaza": _Kind(60.0, (3.0, 4.5), (1.0, 2.0), (0.045, 0.07), (1.5, 3.2), (0.0004, 0.001), (8, 30), (0.006, 0.05)),
    "hamlet": _Kind(50.0, (2.8, 4.5), (0.8, 1.6), (0.06, 0.10), (1.8, 3.2), (0.0006, 0.0015), (10, 40), (0.008, 0.05)),
    "harbour": _Kind(60.0, (4.5, 6.5), (1.2, 2.2), (0.05, 0.08), (2.0, 3.5), (0.0003, 0.0006), (4, 16), (0.004, 0.03)),
}  # fmt: skip


@dataclass(frozen=True)
class FrequencyPlan:
    """`hours` of an interconnection of the feeder's kind; all constants follow from the seed."""

    feeder: str
    seed: int
    hours: int
    # Rows kept of each meter and hour.
    rows: int = 60

    @property
    def hz(self) -> float:
        """Nominal frequency."""
        return _KINDS[self.feeder].hz

    def grid(self) -> Grid:
        """Constants drawn evenly, those that span a decade by their logarithm."""
        kind, rng = _KINDS[self.feeder], np.random.default_rng([self.seed, 41])

        def log(pair: tuple[float, float]) -> float:
            return float(np.exp(rng.uniform(*np.log(pair))))

        least, most = kind.trip
        return Grid(
            inertia=float(rng.uniform(*kind.inertia)), damping=float(rng.uniform(*kind.damping)),
            droop=float(rng.uniform(*kind.droop)), governor_s=float(rng.uniform(*kind.governor_s)),
            integral=log((0.001, 0.003)), noise=log(kind.noise), schedule=log((0.0006, 0.003)),
            trips_per_day=log(kind.trips), trip=(least, float(rng.uniform((least + most) / 2, most))),
        )  # fmt: skip


def frequency(quick: bool) -> Split:
    """Interconnections to learn from, others of the same kinds to calibrate and to judge, and those of `terrace`."""
    hours, learn, check, test = (2, 2, 1, 1) if quick else (4, 12, 6, 4)
    feeders = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS

    def plans(names: tuple[str, ...], first: int, times: int) -> tuple[FrequencyPlan, ...]:
        return tuple(
            FrequencyPlan(name, SEED + 60_000 + first + 100 * k + n, hours, 300 if quick else 120)
            for n in range(times) for k, name in enumerate(names)
        )  # fmt: skip

    return Split(
        plans(feeders, 0, learn), plans(feeders, 1000, check), plans(feeders, 2000, test),
        plans((TEST_FEEDER,), 3000, test if quick else 10),
    )  # fmt: skip


def frequency_rows(plan: FrequencyPlan) -> Samples:
    """Rows of all meters at random instants. Truth is the noise-free frequency, p.u. of nominal: `now` and `ahead` (at
    +5 s) as deviations, `farthest` absolute deviation of the next 30 s, whether it `leaves` the band in the next 60 s;
    `meter`, and `plan`, its seed."""
    rng = np.random.default_rng([plan.seed, 42])
    n = plan.hours * _HOUR_S * _RATE
    hertz = Frequency(plan.hz, rng.spawn(1)[0], grid=plan.grid()).block(n + EXIT_S * _RATE + 1, 1 / _RATE)
    truth = hertz / plan.hz - 1
    away = np.abs(truth)
    farthest = sliding_window_view(away, NADIR_S * _RATE + 1).max(1)[:n]
    leaves = sliding_window_view(away[1:], EXIT_S * _RATE).max(1)[:n] > BAND
    keep = np.zeros((n, len(_METERS)), bool)
    sent = np.zeros((n, len(_METERS)), bool)
    for m, (every, _, _, lost) in enumerate(_METERS):
        at = np.arange(int(rng.integers(0, max(1, round(every * _RATE)))), n, round(every * _RATE))
        at = at[rng.random(len(at)) >= lost]
        sent[at, m] = True
        later = at[at >= 120 * _RATE]
        keep[rng.choice(later, min(len(later), plan.rows * plan.hours), replace=False), m] = True
    metered = np.stack(
        [np.round((hertz[:n] + rng.normal(0, noise, n)) / digit) * digit for _, digit, noise, _ in _METERS], axis=1
    )
    x, t, m = _features(plan, metered, sent, keep)
    y = {
        "now": truth[t], "ahead": truth[t + AHEAD_S * _RATE], "farthest": farthest[t],
        "leaves": leaves[t].astype(float), "meter": m.astype(float), "hz": np.full(len(t), plan.hz),
        "plan": np.full(len(t), float(plan.seed)),
    }  # fmt: skip
    return Samples(x, y, t // (_HOUR_S * _RATE))


def _features(
    plan: FrequencyPlan, metered: Floats, sent: NDArray[np.bool_], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features, instant and meter of the readings to keep; (n, meters) in, all meters in one set of windows."""
    names = tuple(f"m{k}" for k in range(len(_METERS)))
    windows = Windows([PointInfo(name, 230.0, plan.hz) for name in names])
    freq, stride = CHANNEL_INDEX["freq"], 64
    xs, ts, ms = [], [], []
    for start in range(0, len(metered), stride):
        t, m = np.nonzero(sent[start : start + stride])
        t = t + start
        values = np.full((len(t), len(CHANNELS)), np.nan)
        values[:, freq] = metered[t, m]
        time_us = _START_US + t * (1_000_000 // _RATE)
        batch = ReadingBatch(
            names, m.astype(np.int32), time_us, values, np.zeros(len(t), np.int8), np.arange(len(t)),
            np.zeros(len(t), np.int32), time_us,
        )  # fmt: skip
        for step in windows.steps(batch):
            # Only what is kept is worth the time.
            wanted = keep[t[step.index], m[step.index]]
            some = Step(**{field.name: getattr(step, field.name)[wanted] for field in fields(Step)})
            xs.append(compute(windows, some, point_table(windows), batch.quality[some.index]))
            ts.append(t[some.index])
            ms.append(m[some.index])
    return np.concatenate(xs), np.concatenate(ts), np.concatenate(ms)
