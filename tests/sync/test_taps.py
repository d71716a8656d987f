"""Reported tap positions and steps: feeder models speak of the setting that is there, whatever the order of arrival."""

from __future__ import annotations

from typing import Any

from streams import VN, component_twin, point_twin, reading, relation, status, stream

from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.grid import Grid
from remhart_adt.sync.processor import Processor
from remhart_adt.sync.site import Site, build_site

ENGINE = Engine.load()
PATH = "/mlEngine/energyPredictions/powerFlowOptimization"
# Too high a voltage at the lowest tap there is: nothing can be done, unless the tap stands higher.
HIGH = (1.12 * VN,) * 3


def site() -> Site:
    tap = {"tapMin": 0, "tapMax": 4, "tapStep": 2.5, "tapPosition": 0}
    twins = [
        component_twin("sub", "substation"),
        component_twin("tr", "transformer", ratedCapacity=50_000.0, electrical=tap),
        component_twin("m1", "meter"),
        point_twin("mp-tr"),
        point_twin("mp-m1"),
    ]
    rels = [relation("sub", "feedsTo", "tr"), relation("tr", "feedsTo", "m1")]
    rels += [relation("tr", "monitoredBy", "mp-tr", phases="ABC"), relation("m1", "monitoredBy", "mp-m1", phases="ABC")]
    return build_site(twins, rels)


def answer(*partitions: list[Any], batch: int = 100) -> dict[str, Any]:
    """The last advice that was written, the partitions being read one after the other."""
    where = site()
    grid = Grid(where, ENGINE)
    processors = [Processor(str(k), where, ENGINE, grid) for k in range(len(partitions))]
    found: dict[str, Any] = {}
    for processor, bodies in zip(processors, partitions, strict=True):
        events = stream(bodies)
        for start in range(0, len(events), batch):
            for write in processor.feed(events[start : start + batch]).writes:
                found = write.ops.get(PATH, found) if write.target == ("mp-tr", "") and PATH in write.ops else found
    return found


READINGS = [reading(name, t, HIGH) for t in (0, 60, 120) for name in ("mp-tr", "mp-m1")]


def test_the_declared_position_counts_until_one_is_reported() -> None:
    before = answer(READINGS)
    assert (before["status"], before["optimalConfiguration"]) == ("ok", "keep")
    assert before["recommendedTapPosition"] == 0
    after = answer([status("tr", 1, tapPosition=3), *READINGS])
    assert after["optimalConfiguration"] == "lower tap"
    assert after["recommendedTapPosition"] < 3


def test_a_report_after_the_last_reading_is_answered_at_once() -> None:
    first = answer([status("tr", 1, tapPosition=3), *READINGS])
    assert answer([*READINGS, status("tr", 130, tapPosition=3)]) == first
    assert answer([*READINGS, status("tr", 130, tapPosition=3)], batch=1) == first
    assert answer(READINGS, [status("tr", 130, tapPosition=3)]) == first
    assert answer([status("tr", 130, tapPosition=3)], READINGS) == first


def test_an_older_report_that_comes_late_changes_nothing() -> None:
    late = answer([*READINGS, status("tr", 130, tapPosition=3), status("tr", 20, tapPosition=0)])
    assert late == answer([status("tr", 1, tapPosition=3), *READINGS])
