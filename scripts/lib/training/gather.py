"""Worlds to samples, two processes at a time; every world is a function of its plan alone."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.plans import LEARN_FEEDERS
from training.recipe import Data
from training.samples import Samples, join
from training.sets import SETS, WorldSet

__all__ = ["TestSets", "cached", "learning_data", "test_sets"]

# Test set -> kind of rows -> rows, or a list of streams.
TestSets = dict[str, dict[str, Any]]
# Seeds of plans lie within a few tens of thousands of each other.
_LIFE: Final = 10_000_000
_Job = tuple[WorldSet, Any]


def _work(job: _Job) -> dict[str, Any]:
    np.seterr(all="ignore")
    made, plan = job
    return made.rows(plan)


def _run(jobs: Sequence[_Job], workers: int, what: str) -> list[dict[str, Any]]:
    """Results in the order of the jobs; fresh processes, so that no engine state is shared."""
    started = time.monotonic()
    out = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for k, result in enumerate(pool.map(_work, jobs), 1):
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
    parts: Sequence[tuple[str, str]], quick: bool, workers: int, kinds: Collection[str], what: str, life: int = 0
) -> dict[str, dict[str, Any]]:
    """Part -> kind -> rows of all worlds of the part, of the sets that make one of the kinds. A part is its name and
    the field of Split that it is."""
    wanted = [(s, s.split(quick)) for s in SETS if set(s.kinds) & set(kinds)]
    jobs = [(s, plan) for s, split in wanted for _, field in parts for plan in getattr(split, field)]
    jobs = [(s, replace(plan, seed=plan.seed + _LIFE * life)) for s, plan in jobs]
    results = iter(_run(jobs, workers, what))
    out: dict[str, dict[str, Any]] = {name: {} for name, _ in parts}
    for s, split in wanted:
        for name, field in parts:
            worlds = [(plan, next(results)) for plan in getattr(split, field)]
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
    parts = (("learn", "learn"), ("calibrate", "calibrate"))
    both = _gathered(parts, quick, workers, kinds, "learn")
    return Data(both["learn"], both["calibrate"], both["calibrate"].get("quiet", ()), quick)


def test_sets(quick: bool, workers: int, kinds: Collection[str], lives: Sequence[int]) -> TestSets:
    """Rows that no recipe has seen, of several lives in one. Life 0 is the one that was looked at while the recipes
    were made; in any other the same weeks and feeders have other seeds."""
    parts = (("unseen weeks", "test_time"), ("unseen feeder", "test_feeder"))
    sets = [_gathered(parts, quick, workers, kinds, "test", life) for life in lives]
    return {on: {kind: _pooled([one[on][kind] for one in sets]) for kind in rows} for on, rows in sets[0].items()}


def _pooled(rows: Sequence[Any]) -> Any:
    if len(rows) == 1:
        return rows[0]
    return join(rows) if isinstance(rows[0], Samples) else [stream for some in rows for stream in some]
