"""The rules of the alarm table on hand-made series, and the margins around them."""

from __future__ import annotations

import numpy as np
import pytest

from remhart_adt.simulate.truth import doubts, expected_alarms


def run(rows, load=None):
    u = np.array([row if isinstance(row, tuple) else (row,) * 3 for row in rows], dtype=float)[:, None, :]
    i = np.zeros_like(u) if load is None else np.array([(x,) * 3 for x in load], dtype=float)[:, None, :]
    found = expected_alarms(("p",), np.arange(len(u)) * 1_000_000, u, i)
    return [
        (a.kind, a.phases, a.raised_us // 1_000_000, None if a.cleared_us is None else a.cleared_us // 1_000_000)
        for a in found
    ]


@pytest.mark.parametrize(
    ("rows", "alarms"),
    [
        ([1.0, 1.0, 1.0], []),
        ([1.0, 0.75, 0.75, 1.0], [("voltageSag", "ABC", 1, 3)]),
        ([1.0, (0.8, 1.0, 1.0), 1.0], [("voltageSag", "A", 1, 2)]),
        ([1.0, 0.75, 0.91, 0.93], [("voltageSag", "ABC", 1, 3)]),  # hysteresis: 0.91 is not back yet
        ([1.0, 0.0, 0.0, 1.0], [("interruption", "ABC", 1, 3)]),
        ([1.0, 0.0, 0.5, 1.0], [("interruption", "ABC", 1, 2), ("voltageSag", "ABC", 2, 3)]),
        ([1.0, (0.0, 1.0, 1.0), 1.0], []),  # one reading of an open phase is none
        ([1.0, (0.0, 1.0, 1.0), (0.0, 1.0, 1.0), 1.0], [("openPhase", "A", 2, 3)]),
        ([1.0, (1.0, 0.5, 0.51), (1.0, 0.5, 0.51), 1.0], [("openPhase", "BC", 2, 3)]),  # single-phasing
        ([1.0, (0.0, 1.0, 1.0), (0.0, 1.0, 1.0), 0.0, 1.0], [("openPhase", "A", 2, 3), ("interruption", "ABC", 3, 4)]),
        ([1.0, 1.15, 1.09, 1.0], [("voltageSwell", "ABC", 1, 3)]),
        ([1.0, 0.75], [("voltageSag", "ABC", 1, None)]),
    ],
)
def test_voltage_rules(rows, alarms):
    assert run(rows) == alarms


@pytest.mark.parametrize(
    ("load", "alarms"),
    [
        ([0.5, 1.2, 0.5], []),
        ([0.5, 1.2, 1.2, 0.97, 0.9], [("overload", "ABC", 2, 4)]),
        ([0.5, 1.2, 0.8, 1.2, 1.2], [("overload", "ABC", 4, None)]),
    ],
)
def test_current_rules(load, alarms):
    assert run([1.0] * len(load), load) == alarms


@pytest.mark.parametrize("level", [0.05, 0.68, 0.89, 0.93, 1.09])
def test_a_voltage_near_a_limit_is_doubted(level):
    assert doubts(("p",), np.full((1, 1, 3), level), np.zeros((1, 1, 3)))


@pytest.mark.parametrize("level", [0.0, 0.5, 0.76, 0.95, 1.0, 1.05, 1.15])
def test_a_clear_voltage_is_not(level):
    assert doubts(("p",), np.full((1, 1, 3), level), np.zeros((1, 1, 3))) == []


def test_currents_and_collinear_phasors_are_doubted_too():
    fine = np.ones((1, 2, 3))
    load = np.array([[[0.5, 0.5, 0.95], [0.5, 0.5, 1.3]]])
    nearly = np.array([[[1.0, 0.55, 0.52], [1.0, 1.0, 1.0]]])

    assert doubts(("p", "q"), fine, load) == ["p: loading 0.950..0.950 p.u."]
    assert doubts(("p", "q"), nearly, np.zeros_like(load)) == ["p: collinearity 0.070..0.070 p.u."]
