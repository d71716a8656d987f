"""The end state does not depend on batches, partitions' order, snapshots or redelivery of what was taken."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import T0, VN, reading, relation, small_graph, status, stream

from remhart_adt.clock import format_us
from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.grid import Grid
from remhart_adt.sync.lanes import Target
from remhart_adt.sync.oracle import apply_writes, comparable, replay
from remhart_adt.sync.processor import Processor
from remhart_adt.sync.site import build_site

ENGINE = Engine([])
POINTS = ("mp-tr", "mp-1", "mp-2")


def end(bodies: dict[str, list[Any]], **more: Any) -> Any:
    twins, rels = small_graph()
    return replay({p: stream(b) for p, b in bodies.items()}, twins, rels, ENGINE, **more)


def test_the_newest_values_stand_on_the_point() -> None:
    expected = end({"0": [reading("mp-1", 0), reading("mp-1", 2, (231.0, 229.0, 230.5)), reading("mp-1", 1)]})
    twin = expected.twins["mp-1"]
    stamp = format_us(T0 + 2_000_000)
    assert twin["lastReadingAt"] == stamp
    assert twin["voltage"] == {
        "phaseA": 231.0, "phaseB": 229.0, "phaseC": 230.5, "average": pytest.approx(230.166667), "timestamp": stamp,
    }  # fmt: skip
    assert twin["activePower"]["total"] == 6300.0
    assert twin["frequency"] == {"value": 50.0, "deviation": 0.0, "timestamp": stamp}
    assert twin["powerQuality"]["powerFactor"] == pytest.approx(6300 / (6300**2 + 630**2) ** 0.5, abs=1e-6)
    anomaly = twin["mlEngine"]["monitoringPredictions"]["voltageAnomalyDetection"]
    assert (anomaly["status"], anomaly["reason"]) == ("abstained", "not installed")


def test_a_reading_that_derives_nothing_does_not_hide_an_earlier_one_that_does() -> None:
    whole, part = reading("mp-tr", 0), reading("mp-tr", 1)
    del part["current"], part["reactivePower"]

    at_once, one_by_one = end({"0": [whole, part]}), end({"0": [whole, part]}, schedule=[("0", 1)])

    assert at_once.twins["mp-tr"]["powerQuality"]["timestamp"] == format_us(T0)
    assert comparables(at_once) == comparables(one_by_one)


def test_bad_readings_never_replace_good_values() -> None:
    bad = reading("mp-1", 60, (1.0, 2.0, 3.0), quality="bad")
    twin = end({"0": [reading("mp-1", 0), bad]}).twins["mp-1"]
    assert twin["voltage"]["phaseA"] == 230.0
    assert twin["voltage"]["timestamp"] == format_us(T0)
    assert twin["lastReadingAt"] == format_us(T0 + 60_000_000)


def test_temperature_rows_leave_the_electrical_values_alone() -> None:
    warm = {"pointId": "mp-tr", "timestamp": format_us(T0 + 5_000_000), "oilTemperature": 61.5}
    expected = end({"0": [reading("mp-tr", 0), warm]})
    assert expected.twins["mp-tr"]["voltage"]["timestamp"] == format_us(T0)
    assert expected.twins["mp-tr"]["temperature"] == {"oil": 61.5, "timestamp": format_us(T0 + 5_000_000)}
    assert expected.twins["tr"]["temperature"] == 61.5


def test_an_open_breaker_takes_everything_behind_it_and_closing_brings_it_back() -> None:
    opened = end({"0": [status("b1", 0, switchState="open")]})
    alive = {name: twin["energized"] for name, twin in opened.twins.items() if "componentType" in twin}
    assert alive == {"sub": True, "tr": True, "b1": True, "line1": False, "b2": False, "line2": False}
    feeds = {source: doc["energized"] for (source, _), doc in opened.relationships.items() if "energized" in doc}
    assert feeds == {"sub": True, "tr": True, "b1": False, "line1": False, "b2": False}
    assert opened.twins["line2"]["$metadata"]["energized"]["sourceTime"] == format_us(T0)
    closed = end({"0": [status("b1", 0, switchState="open"), status("b1", 9, switchState="closed")]})
    assert all(twin["energized"] for twin in closed.twins.values() if "componentType" in twin)
    assert all(doc["energized"] for doc in closed.relationships.values() if "energized" in doc)
    assert closed.relationships["b1", "feedsTo.line1"]["updatedAt"] == format_us(T0 + 9_000_000)


def test_relationships_carry_flow_loading_and_quality_of_the_bucket() -> None:
    expected = end({"0": [reading("mp-1", 0), reading("mp-1", 1, quality="suspect"), reading("mp-1", 31)]})
    flow = expected.relationships["b1", "feedsTo.line1"]
    assert (flow["activePower"], flow["loading"]) == (6300.0, 0.12)
    assert flow["updatedAt"] == format_us(T0 + 31_000_000)
    watch = expected.relationships["line1", "monitoredBy.mp-1"]
    assert (watch["dataQuality"], watch["phases"]) == ("good", "ABC")
    assert expected.twins["line1"]["loadFactor"] == 0.12


def test_an_older_graph_never_gets_older_values() -> None:
    twins, rels = small_graph()
    for twin in twins:
        if twin["$dtId"] == "mp-1":
            twin["lastReadingAt"] = format_us(T0 + 50_000_000)
            twin["voltage"] = {"phaseA": 1.0}
    expected = replay({"0": stream([reading("mp-1", 0)])}, twins, rels, ENGINE)
    assert expected.twins["mp-1"]["voltage"] == {"phaseA": 1.0}


# --- any cut, any order -----------------------------------------------------------------------------------------------

volts = st.sampled_from(
    [(VN,) * 3, (0.8 * VN, VN, VN), (0.64 * VN, 0.36 * VN, VN), (0.0, 0.0, 0.0), (1.2 * VN, VN, VN)]
)
seconds = st.sampled_from([0, 1, 2, 3, 5, 20, 29, 30, 31, 45, 59, 60, 61, 75, 90, 120, 200, 1000])


@st.composite
def point_reading(draw: st.DrawFn, points: tuple[str, ...]) -> Any:
    body = reading(draw(st.sampled_from(points)), draw(seconds), draw(volts))
    body["quality"] = draw(st.sampled_from(["good", "good", "suspect", "bad"]))
    for key in draw(st.sets(st.sampled_from(["voltage", "current", "activePower", "reactivePower", "frequency"]))):
        del body[key]
    if draw(st.booleans()):
        body["oilTemperature"] = draw(st.sampled_from([40.0, 104.0, 120.0]))
    return body


@st.composite
def component_report(draw: st.DrawFn, components: tuple[str, ...]) -> Any:
    more = {"switchState": draw(st.sampled_from(["open", "closed"]))}
    if draw(st.booleans()):
        more = {"temperature": draw(st.sampled_from([40.0, 50.0]))}
    return status(draw(st.sampled_from(components)), draw(seconds), **more)


def partition_stream(points: tuple[str, ...], components: tuple[str, ...]) -> st.SearchStrategy[list[Any]]:
    one = st.one_of(point_reading(points), component_report(components), st.just({"broken": 1}))
    return st.lists(one | st.lists(one, min_size=1, max_size=3), max_size=14)


streams_of_two = st.tuples(
    partition_stream(("mp-tr", "mp-1"), ("b1", "tr")), partition_stream(("mp-2",), ("b2", "line1"))
)
schedules = st.lists(st.tuples(st.sampled_from(["0", "1"]), st.integers(1, 4)), max_size=14)


def comparables(expected: Any) -> tuple[Any, Any]:
    twins = {name: comparable(doc) for name, doc in expected.twins.items()}
    return twins, {key: comparable(doc) for key, doc in expected.relationships.items()}


@settings(max_examples=50, deadline=None)
@given(streams_of_two, schedules, schedules)
def test_batches_and_order_of_partitions_do_not_matter(
    bodies: tuple[list[Any], list[Any]], one: list[tuple[str, int]], two: list[tuple[str, int]]
) -> None:
    streams = {"0": bodies[0], "1": bodies[1]}
    plain = end(streams, order=["0", "1"])
    for other in (end(streams, order=["1", "0"]), end(streams, schedule=one), end(streams, schedule=two)):
        assert comparables(other) == comparables(plain)
        assert other.dead.keys() == plain.dead.keys()
        assert other.received == plain.received


@settings(max_examples=30, deadline=None)
@given(streams_of_two, st.integers(0, 14), st.integers(0, 14))
def test_a_restart_from_snapshot_and_checkpoint_ends_the_same(
    bodies: tuple[list[Any], list[Any]], snapshot_at: int, checkpoint_after: int
) -> None:
    streams = {"0": stream(bodies[0]), "1": stream(bodies[1])}
    twins, rels = small_graph()
    plain = replay(streams, twins, rels, ENGINE)
    # First life: everything is written; the store keeps a snapshot and a checkpoint somewhere behind.
    site = build_site(copy.deepcopy(twins), copy.deepcopy(rels))
    documents: dict[Target, dict[str, Any]] = {t: copy.deepcopy(dict(d)) for t, d in site.documents.items()}
    grid = Grid(site, ENGINE)
    processors = {name: Processor(name, site, ENGINE, grid) for name in streams}
    apply_writes(documents, grid.restate())
    kept: dict[str, bytes] = {}
    for name, events in streams.items():
        apply_writes(documents, processors[name].feed(events[:snapshot_at]).writes)
        kept[name] = processors[name].snapshot()
        apply_writes(documents, processors[name].feed(events[snapshot_at:]).writes)
    # Second life: from the twins as they are, the snapshot, the events before the checkpoint as warm-up.
    site = build_site([d for t, d in documents.items() if not t.relationship],
                      [d for t, d in documents.items() if t.relationship])  # fmt: skip
    grid = Grid(site, ENGINE)
    for name in streams:
        processors[name] = Processor(name, site, ENGINE, grid)
        processors[name].restore(kept[name])
    for name, events in streams.items():
        checkpoint = min(len(events), snapshot_at + checkpoint_after)
        assert processors[name].feed(events[snapshot_at:checkpoint], warm=True).writes == []
        apply_writes(documents, grid.restate())
        apply_writes(documents, processors[name].feed(events[checkpoint:]).writes)
    ended = {str(t): comparable(d) for t, d in documents.items()}
    wanted = {name: comparable(d) for name, d in plain.twins.items()}
    wanted |= {f"{s}/{r}": comparable(d) for (s, r), d in plain.relationships.items()}
    assert ended == wanted


def test_a_damaged_snapshot_is_refused() -> None:
    from remhart_adt.errors import CheckpointError

    twins, rels = small_graph()
    site = build_site(twins, rels)
    processor = Processor("0", site, ENGINE, Grid(site, ENGINE))
    processor.feed(stream([reading("mp-1", 0)]))
    good = processor.snapshot()
    for bad in (b"", b"XXXX" + good[4:], good[:40], good[:-10]):
        with pytest.raises(CheckpointError):
            processor.restore(bad)
    processor.restore(good)


def test_a_point_without_nominal_values_is_a_configuration_error() -> None:
    from remhart_adt.errors import ConfigError

    twins, rels = small_graph()
    next(t for t in twins if t["$dtId"] == "mp-1")["gridStandard"].pop("nominalVoltage")
    with pytest.raises(ConfigError, match="mp-1"):
        build_site(twins, [*rels, relation("sub", "fedBy", "tr")])
