"""The alarm machine: each kind raises and clears by its rule, whatever the cut, and entries are sticky."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import T0, VN

from remhart_adt.clock import format_us
from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, Quality, ReadingBatch
from remhart_adt.scoring.types import ModelScores, OutputSpec, PointInfo, Scores
from remhart_adt.sync.alarm_rules import RULES
from remhart_adt.sync.alarms import AlarmBook, Machine

INFO = PointInfo("mp", VN, 50.0, 100.0)
FINE = (1.0, 1.0, 1.0)


def batch_of(rows: list[dict[str, Any]]) -> ReadingBatch:
    """Rows: t (s), v (p.u. of three phases), amps, freq, oil, quality."""
    values = np.full((len(rows), len(CHANNELS)), np.nan)
    for k, row in enumerate(rows):
        values[k, :3] = np.array(row.get("v", FINE), float) * VN
        values[k, 3:6] = row.get("amps", 10.0)
        values[k, CHANNEL_INDEX["freq"]] = row.get("freq", 50.0)
        values[k, CHANNEL_INDEX["oil_temp"]] = row.get("oil", np.nan)
    n = len(rows)
    times = np.array([T0 + round(row["t"] * 1e6) for row in rows], np.int64)
    quality = np.array([row.get("quality", Quality.GOOD) for row in rows], np.int8)
    zero = np.zeros(n, np.int64)
    return ReadingBatch(("mp",), zero.astype(np.int32), times, values, quality, zero, zero.astype(np.int32), zero)


def scores_of(rows: list[dict[str, Any]]) -> Scores:
    """`severe` (True, False, None = abstained) of a row becomes an answer of phase_imbalance; `risk` likewise."""
    models = {}
    for key, model, output, labels in (
        ("severe", "phase_imbalance", "imbalanceClass", ("balanced", "severe")),
        ("risk", "overload_risk", "riskLevel", ("low", "critical")),
    ):
        at = [k for k, row in enumerate(rows) if key in row]
        if at:
            status = np.array([1 if rows[k][key] is None else 0 for k in at], np.int8)
            codes = np.array([-1 if rows[k][key] is None else int(rows[k][key]) for k in at], np.int64)
            spec = OutputSpec(output, "enum", values=labels)
            reason = status.astype(np.int32)
            models[model] = ModelScores(model, np.array(at), status, reason, ("", "why"), {output: codes}, (spec,))
    return Scores(np.ones(len(rows), bool), models)


def run(rows: list[dict[str, Any]], cuts: tuple[int, ...] = ()) -> tuple[list[tuple[str, bool, float]], Machine]:
    book = AlarmBook({"mp": INFO})
    changes = []
    edges = sorted({0, len(rows), *cuts})
    for a, b in itertools.pairwise(edges):
        part = rows[a:b]
        changes += book.update(batch_of(part), np.arange(len(part)), scores_of(part))
    return [(c.kind, c.raised, (c.time_us - T0) / 1e6) for c in changes], book.machines["mp"]


def series(*volts: tuple[float, float, float], dt: float = 1.0, **more: Any) -> list[dict[str, Any]]:
    return [{"t": k * dt, "v": v, **more} for k, v in enumerate(volts)]


def test_a_sag_raises_at_once_and_clears_with_hysteresis() -> None:
    low, near = (0.8, 1.0, 0.85), (0.91, 1.0, 1.0)
    found, machine = run(series(FINE, low, near, FINE))
    assert found == [("voltageSag", True, 1.0), ("voltageSag", False, 3.0)]
    entry = machine.entries["voltageSag"]
    assert entry["value"] == pytest.approx(0.8 * VN)
    assert entry["limit"] == pytest.approx(0.9 * VN)
    assert entry["phases"] == "AC"
    assert entry["raisedAt"] == format_us(T0 + 1_000_000)
    assert entry["clearedAt"] == format_us(T0 + 3_000_000)
    assert machine.active_count == 0


def test_near_the_limit_nothing_is_raised() -> None:
    assert run(series(FINE, (0.905, 1.0, 1.0), (1.099, 1.0, 1.0)))[0] == []


def test_a_sag_that_outlasts_a_minute_becomes_an_undervoltage() -> None:
    rows = series(FINE, *[(0.8, 1.0, 1.0)] * 8, FINE, dt=10.0)
    assert run(rows)[0] == [
        ("voltageSag", True, 10.0),
        ("voltageSag", False, 80.0),
        ("undervoltage", True, 80.0),
        ("undervoltage", False, 90.0),
    ]


def test_sparse_readings_know_no_sags() -> None:
    found, _ = run(series(FINE, (0.8, 1.0, 1.0), FINE, (1.2, 1.0, 1.0), FINE, dt=900.0))
    assert [(kind, raised) for kind, raised, _ in found] == [
        ("undervoltage", True),
        ("undervoltage", False),
        ("overvoltage", True),
        ("overvoltage", False),
    ]


def test_a_swell_raises_and_clears() -> None:
    found, machine = run(series(FINE, (1.0, 1.15, 1.0), (1.0, 1.09, 1.0), FINE))
    assert found == [("voltageSwell", True, 1.0), ("voltageSwell", False, 3.0)]
    assert machine.entries["voltageSwell"]["phases"] == "B"


@pytest.mark.parametrize(
    ("volts", "phases"),
    [((0.643, 0.362, 1.0), "AB"), ((0.54, 1.0, 0.46), "AC"), ((0.79, 0.0, 0.80), "B")],
)
def test_an_open_phase_needs_two_readings_and_is_no_sag(volts: tuple[float, float, float], phases: str) -> None:
    found, machine = run(series(FINE, volts, volts, FINE))
    assert found == [("openPhase", True, 2.0), ("openPhase", False, 3.0)]
    assert machine.entries["openPhase"]["phases"] == phases


def test_one_reading_that_looks_like_an_open_phase_is_not_enough() -> None:
    one = (0.643, 0.362, 1.0)
    assert run(series(FINE, one, FINE))[0] == []
    found, _ = run(series(FINE, one, (0.8, 1.0, 1.0), FINE))
    assert [kind for kind, raised, _ in found if raised] == ["voltageSag"]


def test_a_dead_point_raises_only_an_interruption() -> None:
    rows = series(FINE, (0.0, 0.0, 0.0), (0.01, 0.0, 0.02), FINE)
    for row in rows[1:3]:
        row.update(freq=0.0, severe=True)
    assert run(rows)[0] == [("interruption", True, 1.0), ("interruption", False, 3.0)]


def test_overload_confirms_and_clears_below_its_hysteresis() -> None:
    rows = [{"t": k, "amps": amps} for k, amps in enumerate((90, 105, 90, 105, 106, 97, 94))]
    found, machine = run(rows)
    assert found == [("overload", True, 4.0), ("overload", False, 6.0)]
    assert machine.entries["overload"]["value"] == 106.0


def test_frequency_and_oil_temperature() -> None:
    rows = [
        {"t": k, "freq": f, "oil": oil}
        for k, (f, oil) in enumerate(((50.0, 90.0), (50.6, 106.0), (50.45, 101.0), (50.0, 99.0)))
    ]
    assert run(rows)[0] == [
        ("frequencyDeviation", True, 1.0),
        ("overTemperature", True, 1.0),
        ("frequencyDeviation", False, 3.0),
        ("overTemperature", False, 3.0),
    ]


def test_model_alarms_wait_for_their_confirmation_and_for_calm_voltage() -> None:
    calm = [{"t": k, "severe": True} for k in range(10)]
    assert run(calm)[0] == [("voltageImbalance", True, 9.0)]
    assert run(calm[:9])[0] == []
    broken_run = [*calm[:5], {"t": 5, "severe": None}, *({"t": k, "severe": True} for k in range(6, 14))]
    assert run(broken_run)[0] == []
    sagging = [{**row, "v": (0.8, 1.0, 1.0)} for row in calm]
    assert "voltageImbalance" not in {kind for kind, _, _ in run(sagging)[0]}


def test_a_forecast_yields_to_the_overload_it_foretold() -> None:
    rows = [{"t": k, "risk": True} for k in range(3)] + [{"t": k, "amps": 120.0, "risk": True} for k in range(3, 8)]
    assert run(rows)[0] == [
        ("overloadForecast", True, 2.0),
        ("overload", True, 4.0),
        ("overloadForecast", False, 4.0),
    ]


def test_a_reading_called_bad_is_not_judged() -> None:
    rows = series(FINE, (0.0, 0.0, 0.0), FINE)
    rows[1]["quality"] = Quality.BAD
    assert run(rows)[0] == []


rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "v": st.sampled_from(
                [FINE, (0.8, 1.0, 1.0), (0.91, 1.0, 1.0), (1.2, 1.0, 1.0), (0.64, 0.36, 1.0), (0.0,) * 3, (np.nan,) * 3]
            ),
            "amps": st.sampled_from([10.0, 97.0, 120.0]),
            "freq": st.sampled_from([50.0, 50.45, 51.0]),
            "oil": st.sampled_from([np.nan, 90.0, 102.0, 110.0]),
            "quality": st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.BAD]),
            "severe": st.sampled_from([True, True, False, None]),
            "risk": st.sampled_from([True, False, None]),
            "dt": st.sampled_from([1.0, 30.0, 90.0]),
        }
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(rows_strategy, st.sets(st.integers(1, 39)))
def test_any_cut_gives_the_same_alarms(rows: list[dict[str, Any]], cuts: set[int]) -> None:
    t = 0.0
    for row in rows:
        t += row["dt"]
        row["t"] = t
    whole, machine = run(rows)
    cut, other = run(rows, tuple(c for c in cuts if c < len(rows)))
    key = lambda c: (c[2], c[0], c[1])  # noqa: E731
    assert sorted(whole, key=key) == sorted(cut, key=key)
    assert machine.dump() == other.dump() == Machine.load(machine.dump()).dump()
    active = [kind for kind, entry in machine.entries.items() if "clearedAt" not in entry]
    assert sum(RULES[kind].group == "voltage" for kind in active) <= 1
