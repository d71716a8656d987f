"""The engine against hand calculation, a second solver and its own books; switching; refusals."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from remhart_adt.errors import SimulationError
from remhart_adt.simulate import FEEDERS, Fault, Feeder
from remhart_adt.simulate.spec import Cable, FeederSpec, Line, Load, Meter, Point, Site, Solar, Source, Transformer

_spec = importlib.util.spec_from_file_location("sweep", Path(__file__).with_name("sweep.py"))
assert _spec is not None
assert _spec.loader is not None
sweep = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sweep)

CABLE = Cable("test", 0.4, 0.1, 1.6, 0.4, 200)


def two_bus(hz: float = 50.0, length: float = 0.25) -> FeederSpec:
    """A stiff source, a transformer without iron loss, one line with a customer and a plant of constant power."""
    return FeederSpec(
        "twobus",
        "two buses",
        hz,
        230.0,
        Site(50.0, 10.0, 1.0),
        Source("s", 10.0, 1.0, 1e6, 1e6),
        Transformer("t", 250, 0.4, 4.0, 3000, 0),
        (
            Line("l", "t", CABLE, length),
            Meter("m", "l", CABLE, 1e-6, (Load(0, "ev", 50), Load(1, "ev", 50), Load(2, "ev", 50))),
            Solar("pv", "l", CABLE, 1e-6, (50, 50, 50)),
        ),
        (Point("p-t", "t", 360), Point("p-l", "l", 200), Point("p-m", "m", 200), Point("p-pv", "pv", 200)),
    )


def transformer_ohm() -> complex:
    base = 400.0**2 / 250e3
    return base * (3000 / 250e3 + 1j * np.sqrt(0.04**2 - 0.012**2))


def test_a_balanced_injection_meets_the_hand_calculated_voltage():
    feeder = Feeder(two_bus())
    kw = np.where([k == "pv" for k in feeder.load_kinds], -20.0, 0.0)
    v = feeder.solve(kw, np.zeros(6)).v[0, 1]

    # V = E - Z conj(S/V) with E on the real axis: V is then fixed by |V|^2 - E V* + Z S* = 0.
    z, e, s = transformer_ohm() + 0.25 * (0.4 + 0.1j), 400 / np.sqrt(3), -20e3
    u = complex(e)
    for _ in range(100):
        u = e - z * np.conj(s / u)

    np.testing.assert_allclose(np.abs(v), abs(u), rtol=2e-6)


def test_a_single_phase_load_sees_the_loop_and_the_others_the_coupling():
    feeder = Feeder(two_bus())
    kw = np.zeros(6)
    kw[0] = 10.0  # phase A of the customer, current proportional to voltage^0: I = S/U at nominal
    state = feeder.solve(kw, np.zeros(6))
    current = state.i[0, 1, 0]
    healthy = feeder.solve(np.zeros(6), np.zeros(6)).v[0, 1]

    length, z1, z0 = 0.25, 0.4 + 0.1j, 1.6 + 0.4j
    own = transformer_ohm() + length * (2 * z1 + z0) / 3
    mutual = length * (z0 - z1) / 3

    assert abs(abs(current) - 10e3 / 230) < 0.01  # class ev draws constant current
    np.testing.assert_allclose(state.v[0, 1, 0], healthy[0] - own * current, rtol=1e-5)
    np.testing.assert_allclose(state.v[0, 1, 1:], healthy[1:] - mutual * current, rtol=1e-5)
    assert abs(state.neutral[0, 1] - current) < 1e-3


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_the_source_is_not_silently_zero(hz):
    state = Feeder(two_bus(hz)).solve(np.zeros(6), np.zeros(6))

    np.testing.assert_allclose(np.abs(state.v), 400 / np.sqrt(3), rtol=1e-4)


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_power_in_equals_loads_plus_losses(name, feeder_of, loads_of):
    feeder = feeder_of(name)
    state = feeder.run(*loads_of(feeder, 50), steps=0)
    ends = [k for k, p in enumerate(feeder.spec.points) if p.element in set(feeder.load_elements)]
    served = state.s[:, ends].sum(axis=(1, 2)).real

    assert state.converged.all()
    assert (state.line_loss_w > 0).all()
    assert (state.transformer_loss_w > feeder.spec.transformer.no_load_loss_w * 0.8).all()
    np.testing.assert_allclose(state.source_w, served + state.losses_w, rtol=1e-4, atol=5.0)


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_a_second_solver_finds_the_same_voltages(name, loads_of):
    spec = FEEDERS[name]
    quiet = dataclasses.replace(
        spec,
        source=dataclasses.replace(spec.source, unbalance_mva=0.0),
        transformer=dataclasses.replace(spec.transformer, no_load_loss_w=0.0),
    )
    feeder = Feeder(quiet)
    kw, kvar = loads_of(feeder, 3, seed=4)
    steps = 2 if feeder.bank else 0
    state = feeder.run(kw, kvar, steps=steps)
    at = [feeder.element_ids.index(p.element) for p in quiet.points]
    for t in range(3):
        other = sweep.solve(quiet, feeder, kw[t], kvar[t], steps)[at]

        assert np.abs(np.abs(state.v[t]) - np.abs(other)).max() / quiet.nominal_v < 1e-4


def test_a_batch_gives_each_step_what_it_gives_alone(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    kw, kvar = loads_of(feeder, 7, seed=1)
    pu = np.linspace(0.98, 1.02, 7)
    together = feeder.run(kw, kvar, pu, steps=[0, 0, 1, 1, 1, 3, 0])
    for t, steps in enumerate([0, 0, 1, 1, 1, 3, 0]):
        alone = feeder.solve(kw[t], kvar[t], pu[t], steps=steps)

        np.testing.assert_allclose(together.v[t], alone.v[0], rtol=1e-5)
        np.testing.assert_allclose(together.line_loss_w[t], alone.line_loss_w[0], rtol=1e-4)


def test_what_is_behind_an_open_breaker_is_dead_and_comes_back(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    kw, kvar = loads_of(feeder, 1)
    before = feeder.run(kw, kvar)
    opened = feeder.run(kw, kvar, switches={"suburb-cb3": "open"})
    after = feeder.run(kw, kvar, switches={"suburb-cb3": "closed"})
    behind = np.array([p.id in feeder.spec.points_behind("suburb-cb3") for p in feeder.spec.points])

    assert 3 <= behind.sum() < len(behind)
    assert (opened.v[0, behind] == 0).all()
    assert (opened.i[0, behind] == 0).all()
    assert not opened.alive[behind].any()
    assert (np.abs(opened.v[0, ~behind]) > 0.9 * feeder.spec.nominal_v).all()
    assert opened.source_w[0] < before.source_w[0]
    np.testing.assert_allclose(after.v, before.v, rtol=1e-6)


def test_a_broken_conductor_kills_one_phase_behind_it_and_its_plants(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    kw, kvar = loads_of(feeder, 1)
    state = feeder.run(kw, kvar, open_phases={"suburb-l31": (1,)})
    behind = np.array([p.id in feeder.spec.points_behind("suburb-l31") for p in feeder.spec.points])
    u = np.abs(state.v[0]) / feeder.spec.nominal_v

    assert (u[behind, 1] < 0.02).all()
    assert (u[behind][:, [0, 2]] > 0.93).all()
    assert (u[~behind] > 0.93).all()
    pv = feeder.point_ids.index("suburb-mp-pv2")
    assert abs(state.i[0, pv, 1]) < 0.01
    assert abs(state.i[0, pv, 0]) > 1
    assert np.allclose(feeder.run(kw, kvar).v, feeder.run(kw, kvar, open_phases={}).v)


def test_taps_and_steps_raise_the_voltage(feeder_of, loads_of):
    feeder = feeder_of("terrace")
    kw, kvar = loads_of(feeder, 1)
    low, high = feeder.run(kw, kvar, tap=-1), feeder.run(kw, kvar, tap=2)
    off, on = feeder.run(kw, kvar, steps=0), feeder.run(kw, kvar, steps=3)

    rise = np.abs(high.v[0, 0, 0]) / np.abs(low.v[0, 0, 0])
    assert 1.065 < rise < 1.085  # three steps of 2.5 %
    assert off.source_var[0] - on.source_var[0] == pytest.approx(75e3, rel=0.1)
    assert (np.abs(on.v) > np.abs(off.v))[0, 0].all()


def test_faults_pull_the_voltage_down_where_they_are(feeder_of, loads_of):
    feeder = feeder_of("suburb")
    kw, kvar = loads_of(feeder, 1)
    low = feeder.run(kw, kvar, fault=Fault("suburb-l22", (0,), 0.05))
    far = feeder.run(kw, kvar, fault=Fault("suburb-substation", (0, 1, 2), 0.5))
    u = np.abs(low.v[0]) / feeder.spec.nominal_v
    here, elsewhere = feeder.point_ids.index("suburb-mp-l22"), feeder.point_ids.index("suburb-mp-l11")

    assert u[here, 0] < 0.75
    assert u[here, 0] < u[elsewhere, 0] < u[elsewhere, 1]
    assert (np.abs(far.v[0]).max(axis=1) < 0.9 * feeder.spec.nominal_v).all()
    assert np.abs(feeder.run(kw, kvar).v).min() > 0.93 * feeder.spec.nominal_v  # and it is gone again


def test_an_impossible_load_is_marked_not_returned_as_an_answer(feeder_of):
    feeder = feeder_of("village")
    state = feeder.solve(np.full(feeder.n_loads, 4000.0), np.full(feeder.n_loads, 4000.0))

    assert not state.converged[0]
    assert np.isfinite(state.v).all()
    assert feeder.solve(np.ones(feeder.n_loads), np.zeros(feeder.n_loads)).converged[0]  # and does no lasting harm


@pytest.mark.parametrize("impossible", [50.0, 500.0, 4000.0])
def test_a_diverging_step_does_not_take_others_along(impossible, feeder_of):
    feeder = feeder_of("village")
    kw = np.ones((5, feeder.n_loads))
    kw[2] = impossible
    state = feeder.run(kw, kw * 0)
    fine = [0, 1, 3, 4]

    assert state.converged.tolist() == [True, True, False, True, True] or impossible == 50.0
    np.testing.assert_allclose(np.abs(state.v[fine]), np.abs(feeder.run(kw[fine], kw[fine] * 0).v), rtol=1e-6)


def test_the_engine_leaves_the_working_directory_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    feeder = Feeder(two_bus())
    feeder.solve(np.zeros(6), np.zeros(6), fault=Fault("l", (0,), 0.1))

    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_two_feeders_do_not_disturb_each_other():
    one, two = Feeder(two_bus(length=0.1)), Feeder(two_bus(hz=60.0, length=0.5))
    kw = np.array([10.0, 10, 10, 0, 0, 0])
    first = one.solve(kw, kw * 0).v
    two.solve(kw * 2, kw * 0)

    np.testing.assert_array_equal(one.solve(kw, kw * 0).v, first)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"kw": np.zeros(5)}, "loads must be"),
        ({"kw": np.full(6, np.nan)}, "finite"),
        ({"source_pu": np.ones(4)}, "source_pu"),
        ({"switches": {"nothing": "open"}}, "no switch nothing"),
        ({"switches": {"l": "ajar"}}, "ajar"),
        ({"open_phases": {"t": (0,)}}, "no conductor"),
        ({"tap": 9}, "tap 9"),
        ({"fault": Fault("nowhere", (0,), 0.1)}, "no element nowhere"),
    ],
)
def test_nonsense_is_refused_by_name(arguments, told):
    feeder = Feeder(two_bus())
    kw = arguments.pop("kw", np.zeros(6))

    with pytest.raises(SimulationError, match=told):
        feeder.solve(kw, np.zeros_like(kw), **arguments)


def test_a_transformer_of_the_wrong_voltage_is_found_at_once():
    spec = two_bus()
    wrong = dataclasses.replace(spec, transformer=dataclasses.replace(spec.transformer, lv_kv=0.2))

    with pytest.raises(SimulationError, match=r"unloaded feeder stands at 0\.5"):
        Feeder(wrong)


def test_a_spec_names_all_its_problems_at_once():
    spec = two_bus()
    with pytest.raises(SimulationError) as caught:
        dataclasses.replace(
            spec,
            hz=55.0,
            elements=(
                *spec.elements,
                Line("l", "nowhere", CABLE, 1.0),
                Meter("x", "l", CABLE, 1.0, (Load(3, "cat", -1),)),
            ),
            points=(*spec.points, Point("p-t", "gone", 0.0)),
        )

    for told in (
        "50 or 60",
        "duplicate id l",
        "nowhere",
        "cat",
        "phase 3",
        "peak_kw",
        "duplicate point p-t",
        "no element gone",
    ):
        assert told in str(caught.value)
