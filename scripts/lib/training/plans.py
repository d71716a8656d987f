"""Which worlds are for learning, calibrating and judging. `terrace` is never learned from; no test week is either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from training.world import WorldPlan

__all__ = ["LEARN_FEEDERS", "SEED", "TEST_FEEDER", "Plans", "plans"]

SEED = 20260101
LEARN_FEEDERS = ("suburb", "village", "arcade", "workshop")
TEST_FEEDER = "terrace"
_SKEWS = ((4.0, 0.2, 0.2), (6.0, 0.2, 0.2), (8.0, 8.0, 0.2))


@dataclass(frozen=True)
class Plans:
    """Worlds by use; `quiet` ones have no faults, for false alarms; `skewed` ones load their phases very unevenly;
    `quality` ones are fed well or badly, lightly or heavily loaded, and seldom have a fault."""

    learn: tuple[WorldPlan, ...]
    calibrate: tuple[WorldPlan, ...]
    calibrate_quiet: tuple[WorldPlan, ...]
    test_time: tuple[WorldPlan, ...]
    test_feeder: tuple[WorldPlan, ...]
    test_quiet: tuple[WorldPlan, ...]
    skewed: tuple[WorldPlan, ...]
    test_skewed_time: tuple[WorldPlan, ...]
    test_skewed_feeder: tuple[WorldPlan, ...]
    quality: tuple[WorldPlan, ...]
    quality_calibrate: tuple[WorldPlan, ...]
    test_quality_time: tuple[WorldPlan, ...]
    test_quality_feeder: tuple[WorldPlan, ...]

    @property
    def test(self) -> tuple[WorldPlan, ...]:
        """Unseen weeks of known feeders and the unseen feeder, faults included."""
        return self.test_time + self.test_feeder


def _supplied(feeder: str, number: int, date: tuple[int, int, int], days: float, every: int) -> WorldPlan:
    """A world with a supply voltage, a load and a division among the phases of its own."""
    rng = np.random.default_rng([SEED, number])
    load, lift, wander = np.exp(rng.uniform(0.0, 1.1)), rng.uniform(-0.08, 0.055), rng.uniform(0.004, 0.012)
    a, b, c = (load * np.exp(rng.normal(0, 0.45, 3))).clip(0.2, 4.5).round(3).tolist()
    return WorldPlan(
        feeder, SEED + number, _us(*date), days, faults=round(0.7 * days), steps=round(3 * days), skew=(a, b, c),
        lift=round(float(lift), 4), wander=round(float(wander), 4), every=every,
    )  # fmt: skip


def _us(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


def plans(quick: bool) -> Plans:
    """Full: 34 worlds of 10 days. Quick: the same shape with fewer, shorter ones."""
    days, bursts, faults, steps = (3.0, 8, 10, 30) if quick else (10.0, 24, 28, 90)
    learn = LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS
    months = ((2025, 1, 13),) if quick else ((2025, 1, 13), (2025, 4, 14), (2025, 7, 14))

    def world(feeder: str, number: int, date: tuple[int, int, int], quiet: bool = False) -> WorldPlan:
        return WorldPlan(
            feeder,
            SEED + number,
            _us(*date),
            days,
            bursts=bursts,
            faults=0 if quiet else faults,
            steps=2 * steps if quiet else steps,
        )

    def skewed(feeder: str, number: int, date: tuple[int, int, int], turn: int) -> WorldPlan:
        factors = _SKEWS[turn % len(_SKEWS)]
        turned = tuple(factors[(k + turn) % 3] for k in range(3))
        return WorldPlan(
            feeder, SEED + number, _us(*date), 1.0 if quick else 2.0, skew=(turned[0], turned[1], turned[2])
        )

    span, each, every = (7.0, 3, 5) if quick else (10.0, 2, 1)
    seasons = ((2025, 1, 13),) if quick else ((2025, 1, 13), (2025, 3, 10), (2025, 5, 12), (2025, 7, 14))

    return Plans(
        quality=tuple(
            _supplied(f, 2000 + 100 * k + 10 * j + i, date, span, every)
            for k, f in enumerate(learn)
            for j, date in enumerate(seasons)
            for i in range(each)
        ),
        quality_calibrate=tuple(
            _supplied(f, 2500 + 10 * k + i, (2025, 9, 8), span, every) for k, f in enumerate(learn) for i in range(each)
        ),
        test_quality_time=tuple(
            _supplied(f, 2600 + 10 * k + i, (2025, 11, 10), span, every)
            for k, f in enumerate(learn)
            for i in range(each)
        ),
        test_quality_feeder=tuple(
            _supplied(TEST_FEEDER, 2700 + 10 * j + i, date, span, every)
            for j, date in enumerate(((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10)))
            for i in range(each)
        ),
        skewed=tuple(
            skewed(f, 700 + 10 * k + j, (2025, 3, 17), k + j)
            for k, f in enumerate(learn)
            for j in range(2 if quick else 3)
        ),
        test_skewed_time=tuple(skewed(f, 800 + k, (2025, 11, 3), k + 1) for k, f in enumerate(learn)),
        test_skewed_feeder=tuple(skewed(TEST_FEEDER, 850 + j, (2025, 11, 3), j) for j in range(2 if quick else 3)),
        learn=tuple(world(f, 100 + 10 * k + j, date) for k, f in enumerate(learn) for j, date in enumerate(months)),
        calibrate=tuple(world(f, 200 + k, (2025, 9, 8)) for k, f in enumerate(learn)),
        calibrate_quiet=tuple(
            world(f, 300 + 10 * k + j, date, quiet=True)
            for k, f in enumerate(learn)
            for j, date in enumerate(((2025, 9, 22),) if quick else ((2025, 3, 3), (2025, 9, 22)))
        ),
        test_time=tuple(world(f, 400 + k, (2025, 11, 10)) for k, f in enumerate(learn)),
        test_feeder=tuple(
            world(TEST_FEEDER, 500 + j, date)
            for j, date in enumerate(((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10)))
        ),
        test_quiet=tuple(world(f, 600 + k, (2025, 11, 24), quiet=True) for k, f in enumerate((*learn, TEST_FEEDER))),
    )
