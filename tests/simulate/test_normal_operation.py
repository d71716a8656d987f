"""Without events no feeder comes near a limit, in any season."""

from __future__ import annotations

import numpy as np
import pytest

from remhart_adt.clock import parse_us
from remhart_adt.simulate import FEEDERS, Scenery

A = np.exp(2j * np.pi / 3)
DAYS = ("2026-01-14T00:00:00Z", "2026-04-18T00:00:00Z", "2026-07-08T00:00:00Z", "2026-10-28T00:00:00Z")


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_voltage_unbalance_and_loading_keep_clear_of_every_limit(name, feeder_of):
    feeder = feeder_of(name)
    for seed, day in enumerate(DAYS):
        minutes = Scenery(feeder, seed, parse_us(day)).advance(24 * 60)
        state = feeder.run(minutes.kw, minutes.kvar, minutes.source_pu, steps=minutes.steps)
        u = np.abs(state.v) / feeder.spec.nominal_v
        vuf = np.abs(state.v @ [1, A * A, A]) / np.abs(state.v @ [1, A, A * A])
        loading = np.abs(state.i).max(axis=2) / feeder.rated_a

        assert state.converged.all()
        assert 0.95 < u.min() < u.max() < 1.05
        assert 0.001 < vuf.max() < 0.018
        assert loading.max() < 0.85
        assert loading.max(axis=0).min() > 0.05  # every point sees some current during the day
        assert 0.005 < state.losses_w.sum() / state.source_w.sum() < 0.06


def test_the_feeders_differ_in_system_size_and_customers():
    specs = list(FEEDERS.values())

    assert {(s.nominal_v, s.hz) for s in specs} >= {(230.0, 50.0), (120.0, 60.0), (127.0, 60.0)}
    assert len({s.transformer.kva for s in specs}) >= 4
    main = set()
    for spec in specs:
        peak: dict[str, float] = {}
        for load in (x for e in spec.elements for x in getattr(e, "loads", ())):
            peak[load.kind] = peak.get(load.kind, 0.0) + load.peak_kw
        main.add(tuple(sorted(peak, key=lambda kind: -peak[kind])[:3]))
    assert len(main) >= 4
    assert all(len(s.points) >= 20 for s in specs)


def test_every_meter_and_plant_has_a_point():
    for spec in FEEDERS.values():
        measured = {p.element for p in spec.points}

        assert {e.id for e in spec.elements if type(e).__name__ in ("Meter", "Solar", "Bank", "Breaker")} <= measured
        assert spec.transformer.id in measured
