"""The kinds of worlds there are, and what is made of each: one line here for every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training import balance_set, dispatch_set, flexible_set, plans, sag_set, stability_set
from training.days import quality_rows
from training.flow_set import flow, flow_rows
from training.frequency_set import FrequencyPlan, frequency, frequency_rows
from training.harmonics_set import harmonic_rows, harmonics
from training.heat_set import overload_rows
from training.plans import Split
from training.quiet import STREAM, stream
from training.samples import feeder_rows, join, point_rows
from training.stress_set import split as stress_split
from training.stress_set import stress_rows
from training.world import WorldPlan, build, thin

__all__ = ["SETS", "WorldSet", "rows_of_job"]


@dataclass(frozen=True)
class WorldSet:
    """Worlds of one kind. `rows` turns a plan into what is learned from, by kind; it runs in a process of its own, so
    it is a function of the plan alone. `split` gives the plans, of the quick or the full set."""

    name: str
    kinds: tuple[str, ...]
    rows: Callable[[Any], dict[str, Any]]
    split: Callable[[bool], Split]


def _ordinary(plan: WorldPlan) -> dict[str, Any]:
    """Point, feeder and heat rows of one world, and the point rows of the same life read every quarter of an hour."""
    world = build(plan)
    slow = point_rows(thin(world, 15), 0.15, plan.seed + 1)
    return {
        "points": join([point_rows(world, 0.03, plan.seed), slow]),
        "feeder": feeder_rows(world, 7, plan.seed + 2),
        "heat": join([overload_rows(world, plan.seed + 3), overload_rows(world, plan.seed + 4, read_min=15)]),
    }


def _skewed(plan: WorldPlan) -> dict[str, Any]:
    return {"uneven": point_rows(build(plan), 0.1, plan.seed)}


def _quality(plan: WorldPlan) -> dict[str, Any]:
    return {"quality": quality_rows(build(plan), 1 / 12, plan.seed)}


def _quiet(plan: WorldPlan) -> dict[str, Any]:
    return {"quiet": stream(build(plan), STREAM)}


def _frequency(plan: FrequencyPlan) -> dict[str, Any]:
    return {"frequency": frequency_rows(plan)}


SETS: Final = (
    WorldSet("ordinary", ("points", "feeder", "heat"), _ordinary, plans.ordinary),
    WorldSet("quiet", ("quiet",), _quiet, plans.quiet),
    WorldSet("skewed", ("uneven",), _skewed, plans.skewed),
    WorldSet("quality", ("quality",), _quality, plans.quality),
    WorldSet("dispatch", ("dispatch",), dispatch_set.dispatch_rows, dispatch_set.split),
    WorldSet("frequency", ("frequency",), _frequency, frequency),
    WorldSet("divided", ("divided",), balance_set.balance_rows, balance_set.split),
    WorldSet("flow", ("flow",), flow_rows, flow),
    WorldSet("stability", ("stability",), stability_set.rows, stability_set.split),
    WorldSet("harmonics", ("harmonics",), harmonic_rows, harmonics),
    WorldSet("stress", ("stress",), stress_rows, stress_split),
    WorldSet("sag", ("sag",), sag_set.rows, sag_set.split),
    WorldSet("flexible", ("flexible",), flexible_set.flexible_rows, flexible_set.split),
)


def rows_of_job(job: tuple[WorldSet, Any]) -> dict[str, Any]:
    """The rows of one plan of a set. Processes that make worlds run this; they need nothing that learns."""
    np.seterr(all="ignore")
    made, plan = job
    return made.rows(plan)
