"""Worlds to samples, two processes at a time; every world is a function of its plan alone."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from training.days import quality_rows
from training.plans import LEARN_FEEDERS, Plans
from training.quiet import stream
from training.recipe import Data
from training.recipes import RECIPES
from training.samples import feeder_rows, join, overload_rows, point_rows
from training.world import WorldPlan, build, thin

__all__ = ["TestSets", "cached", "learning_data", "run_all", "test_sets"]

TestSets = dict[str, dict[str, Any]]
_QUIET = RECIPES["voltage_anomaly"].inputs


def _world_samples(plan: WorldPlan) -> dict[str, Any]:
    """Point, feeder and heat rows of one world, and the point rows of the same life read every quarter of an hour."""
    np.seterr(all="ignore")
    world = build(plan)
    slow = point_rows(thin(world, 15), 0.15, plan.seed + 1)
    return {
        "points": join([point_rows(world, 0.03, plan.seed), slow]),
        "feeder": feeder_rows(world, 7, plan.seed + 2),
        "heat": overload_rows(world, plan.seed + 3),
    }


def _skewed_samples(plan: WorldPlan) -> dict[str, Any]:
    np.seterr(all="ignore")
    return {"points": point_rows(build(plan), 0.1, plan.seed)}


def _quality_samples(plan: WorldPlan) -> dict[str, Any]:
    np.seterr(all="ignore")
    return {"quality": quality_rows(build(plan), 1 / 12, plan.seed)}


def _quiet_stream(plan: WorldPlan) -> Any:
    np.seterr(all="ignore")
    return stream(build(plan), ("residual_a", *_QUIET) if "residual_a" not in _QUIET else _QUIET)


def run_all(work: Callable[[WorldPlan], Any], plans: Sequence[WorldPlan], workers: int, what: str) -> list[Any]:
    """Results in the order of the plans; fresh processes, so that no engine state is shared."""
    started = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        out = []
        for k, result in enumerate(pool.map(work, plans), 1):
            out.append(result)
            print(f"  {what}: {k}/{len(plans)} worlds, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return out


def cached(path: Path | None, make: Callable[[], Any]) -> Any:
    """What `make` gives, from the file when it is there. For work on recipes only: nothing checks that it is fresh."""
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # noqa: S301 - our own file, named on the command line
    made = make()
    if path is not None:
        path.write_bytes(pickle.dumps(made))
    return made


def learning_data(plans: Plans, quick: bool, workers: int) -> Data:
    """Everything recipes learn from."""
    learn = run_all(_world_samples, plans.learn, workers, "learn")
    calibrate = run_all(_world_samples, plans.calibrate, workers, "calibrate")
    quiet = run_all(_quiet_stream, plans.calibrate_quiet, workers, "quiet")
    skewed = run_all(_skewed_samples, plans.skewed, workers, "skewed")
    quality = run_all(_quality_samples, plans.quality + plans.quality_calibrate, workers, "quality")
    for worlds, of in (
        (learn, plans.learn), (calibrate, plans.calibrate), (skewed, plans.skewed),
        (quality, plans.quality + plans.quality_calibrate),
    ):  # fmt: skip
        for world, plan in zip(worlds, of, strict=True):
            for samples in world.values():
                samples.y["feeder"] = np.full(len(samples), LEARN_FEEDERS.index(plan.feeder), float)
    both = {name: (join([w[name] for w in learn]), join([w[name] for w in calibrate])) for name in learn[0]}
    # The last third of the skewed worlds calibrates.
    every = [w["points"] for w in skewed]
    third = [k % 3 == 2 if len(every) % 3 == 0 else k % 2 == 1 for k in range(len(every))]
    uneven = [join([s for s, last in zip(every, third, strict=True) if last is want]) for want in (False, True)]
    unbalance = [join([both["points"][k], uneven[k]]) for k in (0, 1)]
    known = len(plans.quality)
    days = [join([w["quality"] for w in part]) for part in (quality[:known], quality[known:])]
    return Data(*both["points"], *both["heat"], *both["feeder"], *unbalance, *days, quiet=quiet, quick=quick)


def test_sets(plans: Plans, workers: int) -> tuple[TestSets, list[Any]]:
    """Samples by test set and kind, and fault-free streams of every feeder."""
    both = run_all(_world_samples, plans.test, workers, "test")
    uneven = run_all(_skewed_samples, plans.test_skewed_time + plans.test_skewed_feeder, workers, "test skewed")
    days = run_all(_quality_samples, plans.test_quality_time + plans.test_quality_feeder, workers, "test quality")
    known, skewed, supplied = len(plans.test_time), len(plans.test_skewed_time), len(plans.test_quality_time)
    sets = {}
    for name, part, more, day in (
        ("unseen weeks", both[:known], uneven[:skewed], days[:supplied]),
        ("unseen feeder", both[known:], uneven[skewed:], days[supplied:]),
    ):
        kinds = {kind: join([w[kind] for w in part]) for kind in both[0]}
        sets[name] = {
            **kinds, "unbalance": join([kinds["points"], *(w["points"] for w in more)]),
            "quality": join([w["quality"] for w in day]),
        }  # fmt: skip
    return sets, run_all(_quiet_stream, plans.test_quiet, workers, "test quiet")
