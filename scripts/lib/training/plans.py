"""Which worlds are for learning, calibrating and judging. `terrace` is never learned from; no test week is either.
`LATER_FEEDERS` were drawn when all models were finished, the last two a day after the first. Nothing but words was
changed in a recipe after it was judged on them, but for energy_loss, which was learned anew after the first two, and
overload_risk, for what a measured transformer showed. All were learned and judged anew, with the same recipes, when
homes and businesses took the standard load profiles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from training.world import WorldPlan

__all__ = [
    "LATER_FEEDERS",
    "LEARN_FEEDERS",
    "SEED",
    "TEST_FEEDER",
    "Split",
    "ordinary",
    "quality",
    "quiet",
    "skewed",
    "us",
]

SEED = 20260101
LEARN_FEEDERS = ("suburb", "village", "arcade", "workshop")
TEST_FEEDER = "terrace"
LATER_FEEDERS = ("orchard", "plaza", "hamlet", "harbour")
_SKEWS = ((4.0, 0.2, 0.2), (6.0, 0.2, 0.2), (8.0, 8.0, 0.2))


@dataclass(frozen=True)
class Split:
    """Plans by use. `test_time` are unseen weeks of feeders that are learned from, `test_feeder` the unseen feeder."""

    learn: tuple[Any, ...]
    calibrate: tuple[Any, ...]
    test_time: tuple[Any, ...]
    test_feeder: tuple[Any, ...]

    @property
    def every(self) -> tuple[Any, ...]:
        """All of them, in this order."""
        return self.learn + self.calibrate + self.test_time + self.test_feeder


def _supplied(feeder: str, number: int, date: tuple[int, int, int], days: float, every: int) -> WorldPlan:
    """A world with a supply voltage, a load and a division among the phases of its own."""
    rng = np.random.default_rng([SEED, number])
    load, lift, wander = np.exp(rng.uniform(0.0, 1.1)), rng.uniform(-0.08, 0.055), rng.uniform(0.004, 0.012)
    a, b, c = (load * np.exp(rng.normal(0, 0.45, 3))).clip(0.2, 4.5).round(3).tolist()
    return WorldPlan(
        feeder, SEED + number, us(*date), days, faults=round(0.7 * days), steps=round(3 * days), skew=(a, b, c),
        lift=round(float(lift), 4), wander=round(float(wander), 4), every=every,
    )  # fmt: skip


def us(year: int, month: int, day: int) -> int:
    """Midnight UTC of a date, in microseconds."""
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


def _world(quick: bool, feeder: str, number: int, date: tuple[int, int, int], *, calm: bool = False) -> WorldPlan:
    days, bursts, faults, steps = (2.0 if calm else 2.5, 8, 10, 30) if quick else (10.0, 24, 28, 90)
    return WorldPlan(
        feeder, SEED + number, us(*date), days, bursts=bursts, faults=0 if calm else faults,
        steps=2 * steps if calm else steps,
    )  # fmt: skip


def _learned(quick: bool) -> tuple[str, ...]:
    return LEARN_FEEDERS[:2] if quick else LEARN_FEEDERS


def ordinary(quick: bool) -> Split:
    """Ordinary life with faults. Full: worlds of 10 days. Quick: the same shape with fewer, shorter ones."""
    learn = _learned(quick)
    months = ((2025, 1, 13),) if quick else ((2025, 1, 13), (2025, 4, 14), (2025, 7, 14))
    unseen = ((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))
    return Split(
        learn=tuple(
            _world(quick, f, 100 + 10 * k + j, date) for k, f in enumerate(learn) for j, date in enumerate(months)
        ),
        calibrate=tuple(_world(quick, f, 200 + k, (2025, 9, 8)) for k, f in enumerate(learn)),
        test_time=tuple(_world(quick, f, 400 + k, (2025, 11, 10)) for k, f in enumerate(learn)),
        test_feeder=tuple(_world(quick, TEST_FEEDER, 500 + j, date) for j, date in enumerate(unseen)),
    )


def quiet(quick: bool) -> Split:
    """Life without faults, for thresholds and false alarms; nothing is learned from it. Quick: for thresholds alone."""
    learn = _learned(quick)
    months = ((2025, 9, 22),) if quick else ((2025, 3, 3), (2025, 9, 22))
    judged = tuple(
        _world(quick, f, 600 + k, (2025, 11, 24), calm=True)
        for k, f in enumerate(() if quick else (*learn, TEST_FEEDER))
    )
    return Split(
        learn=(),
        calibrate=tuple(
            _world(quick, f, 300 + 10 * k + j, date, calm=True)
            for k, f in enumerate(learn)
            for j, date in enumerate(months)
        ),
        test_time=judged[:-1],
        test_feeder=judged[-1:],
    )


def skewed(quick: bool) -> Split:
    """Worlds that load their phases very unevenly; the last of each feeder calibrates."""
    learn, each = _learned(quick), 2 if quick else 3

    def world(feeder: str, number: int, date: tuple[int, int, int], turn: int) -> WorldPlan:
        factors = _SKEWS[turn % len(_SKEWS)]
        turned = tuple(factors[(k + turn) % 3] for k in range(3))
        return WorldPlan(
            feeder, SEED + number, us(*date), 1.0 if quick else 2.0, skew=(turned[0], turned[1], turned[2])
        )

    spring = [[world(f, 700 + 10 * k + j, (2025, 3, 17), k + j) for j in range(each)] for k, f in enumerate(learn)]
    return Split(
        learn=tuple(w for of in spring for w in of[:-1]),
        calibrate=tuple(of[-1] for of in spring),
        test_time=tuple(world(f, 800 + k, (2025, 11, 3), k + 1) for k, f in enumerate(learn)),
        test_feeder=tuple(world(TEST_FEEDER, 850 + j, (2025, 11, 3), j) for j in range(each)),
    )


def quality(quick: bool) -> Split:
    """Worlds that are fed well or badly, lightly or heavily loaded, and seldom have a fault."""
    learn = _learned(quick)
    span, each, every = (7.0, 3, 5) if quick else (10.0, 2, 1)
    seasons = ((2025, 1, 13),) if quick else ((2025, 1, 13), (2025, 3, 10), (2025, 5, 12), (2025, 7, 14))
    unseen = ((2025, 11, 10),) if quick else ((2025, 2, 10), (2025, 6, 9), (2025, 11, 10))

    def worlds(feeder: str, number: int, date: tuple[int, int, int]) -> list[WorldPlan]:
        return [_supplied(feeder, number + i, date, span, every) for i in range(each)]

    return Split(
        learn=tuple(
            w for k, f in enumerate(learn) for j, date in enumerate(seasons)
            for w in worlds(f, 2000 + 100 * k + 10 * j, date)
        ),
        calibrate=tuple(w for k, f in enumerate(learn) for w in worlds(f, 2500 + 10 * k, (2025, 9, 8))),
        test_time=tuple(
            w for k, f in enumerate(learn[: 1 if quick else None]) for w in worlds(f, 2600 + 10 * k, (2025, 11, 10))
        ),
        test_feeder=tuple(w for j, date in enumerate(unseen) for w in worlds(TEST_FEEDER, 2700 + 10 * j, date)),
    )  # fmt: skip
