"""Worlds to samples, two processes at a time; every world is a function of its plan alone."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.plans import LATER_FEEDERS, LEARN_FEEDERS, Split
from training.recipe import Data
from training.samples import Samples, join
from training.sets import SETS, WorldSet, rows_of_job

__all__ = ["TestSets", "cached", "later_sets", "learning_data", "test_sets"]

# Test set -> kind of rows -> rows, or a list of streams.
TestSets = dict[str, dict[str, Any]]
# Seeds of plans lie within a few tens of thousands of each other.
_LIFE: Final = 10_000_000
# Lives of later feeders begin here.
_LATER: Final = 100
_Job = tuple[WorldSet, Any]


def _run(jobs: Sequence[_Job], workers: int, what: str) -> list[dict[str, Any]]:
    """Results in the order of the jobs; fresh processes, so that no engine state is shared."""
    started = time.monotonic()
    out = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for k, result in enumerate(pool.map(rows_of_job, jobs), 1):
            out.append(result)
            name, seconds = jobs[k - 1][0].name, time.monotonic() - started
            print(f"  {what}: {k}/{len(jobs)} worlds ({name}), {seconds:.0f} s", file=sys.stderr, flush=True)
    return out


def cached(path: Path | None, make: Callable[[], Any]) -> Any:
    """What `make` gives, from the file when it is there. For work on recipes only: nothing checks that it is fresh."""
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # noqa: S301 - our own file, named on the command line
    made = make()
    if path is not None:
        path.write_bytes(pickle.dumps(made))
    return made


def _gathered(
    parts: Mapping[str, Callable[[Split], Sequence[Any]]], quick: bool, workers: int, kinds: Collection[str], what: str
) -> dict[str, dict[str, Any]]:
    """Part -> kind -> rows of all worlds of the part, of the sets that make one of the kinds. A part is its name and
    what it takes of a Split."""
    wanted = [s for s in SETS if set(s.kinds) & set(kinds)]
    plans = {(s.name, name): of(s.split(quick)) for s in wanted for name, of in parts.items()}
    results = iter(_run([(s, plan) for s in wanted for name in parts for plan in plans[s.name, name]], workers, what))
    out: dict[str, dict[str, Any]] = {name: {} for name in parts}
    for s in wanted:
        for name in parts:
            worlds = [(plan, next(results)) for plan in plans[s.name, name]]
            for kind in s.kinds:
                out[name][kind] = _joined([(plan, world[kind]) for plan, world in worlds])
    return out


def _joined(rows: Sequence[tuple[Any, Any]]) -> Any:
    """Rows of several worlds in one, with the number of the feeder that each is from (-1: not one that is learned
    from); what is no rows stays a list."""
    if not rows or not isinstance(rows[0][1], Samples):
        return [one for _, one in rows]
    for plan, samples in rows:
        number = LEARN_FEEDERS.index(plan.feeder) if plan.feeder in LEARN_FEEDERS else -1
        samples.y["feeder"] = np.full(len(samples), number, float)
    return join([samples for _, samples in rows])


def learning_data(quick: bool, workers: int, kinds: Collection[str]) -> Data:
    """What recipes that use these kinds of rows learn from."""
    parts = {"learn": lambda split: split.learn, "calibrate": lambda split: split.calibrate}
    both = _gathered(parts, quick, workers, kinds, "learn")
    return Data(both["learn"], both["calibrate"], both["calibrate"].get("quiet", ()), quick)


def test_sets(quick: bool, workers: int, kinds: Collection[str], lives: Sequence[int]) -> TestSets:
    """Rows that no recipe has seen, of several lives in one. Life 0 is the one that was looked at while the recipes
    were made; in any other the same weeks and feeders have other seeds."""
    sets = []
    for life in lives:
        parts = {
            "unseen weeks": lambda split, life=life: [_of_life(plan, life) for plan in split.test_time],
            "unseen feeder": lambda split, life=life: [_of_life(plan, life) for plan in split.test_feeder],
        }
        sets.append(_gathered(parts, quick, workers, kinds, "test"))
    return {on: {kind: _pooled([one[on][kind] for one in sets]) for kind in rows} for on, rows in sets[0].items()}


def later_sets(workers: int, kinds: Collection[str], feeders: Sequence[str]) -> TestSets:
    """Rows of feeders that were drawn after the recipes were finished: the unseen feeder's worlds with each of them in
    its place, and other seeds."""
    parts = {
        feeder: lambda split, k=k, feeder=feeder: [
            replace(_of_life(plan, _LATER + k), feeder=feeder) for plan in split.test_feeder
        ]
        for k, feeder in enumerate(LATER_FEEDERS)
        if feeder in feeders
    }
    return _gathered(parts, False, workers, kinds, "test")


def _of_life(plan: Any, life: int) -> Any:
    return replace(plan, seed=plan.seed + _LIFE * life)


def _pooled(rows: Sequence[Any]) -> Any:
    if len(rows) == 1:
        return rows[0]
    return join(rows) if isinstance(rows[0], Samples) else [stream for some in rows for stream in some]
