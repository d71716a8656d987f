"""Harmonics: the linear solve agrees with the engine's harmonics mode, and a true-RMS meter reads what it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dss", reason="the simulate extra is not installed")

from remhart_adt.readings import CHANNEL_INDEX as C
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.harmonics import ORDERS, Distortion, Network, distortion, load_currents
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.spec import LOAD_KINDS, Meter

DAMPING = 0.3


def read(feeder: Feeder, row: int, what: int) -> np.ndarray:
    """Volts (0) or amperes (1) at the points, (P, 3) complex: row 0 the fundamental, then ORDERS, as solved last."""
    out = []
    for k in feeder._point_element:
        feeder._engine.ActiveCircuit.Monitors.Name = f"m{k}"
        values = feeder._engine.ActiveCircuit.Monitors.AsMatrix()
        values = values[:, 2 + what * (values.shape[1] - 2) // 2 :][:, :6]
        out.append((values[:, ::2] + 1j * values[:, 1::2])[row])
    return np.array(out)


def define(run: Any, name: str, values: np.ndarray) -> None:
    percent = " ".join(f"{100 * abs(x):.9f}" for x in values)
    degrees = " ".join(f"{np.degrees(np.angle(x)):.9f}" for x in values)
    orders = " ".join(str(h) for h in (1, *ORDERS))
    run(f"new spectrum.{name} numharm=7 harmonic=({orders}) %mag=(100 {percent}) angle=(0 {degrees})")


@pytest.mark.parametrize(("name", "steps"), [("suburb", 2), ("arcade", 4), ("village", 0), ("terrace", 1)])
def test_superposition_gives_the_voltages_of_the_engines_harmonics_mode(name: str, steps: int) -> None:
    feeder, rng = Feeder(FEEDERS[name]), np.random.default_rng(steps)
    spec, run, n = feeder.spec, feeder._command, feeder.n_loads
    kw, orders = feeder.load_peak_kw * rng.uniform(0.1, 0.6, n), np.array(ORDERS)
    kw[[kind == "pv" for kind in feeder.load_kinds]] *= -1
    kvar = 0.3 * np.abs(kw)
    turns = np.exp(1j * rng.uniform(-3, 3, (1, n, len(orders))))
    spectrum = rng.normal(size=(1, n, len(orders))) * 0.5 / orders * turns
    background = np.array([[0.0, 0.01, 0.008, 0.0, 0.004, 0.003]]) * np.exp(1j * rng.uniform(-3, 3, (1, len(orders))))
    for k, e in enumerate(spec.elements, start=1):
        # The neutral returns everything here; an earth return after Carson would grow with frequency.
        run(f"line.e{k}.rg=0", f"line.e{k}.xg=0")
        if isinstance(e, Meter):
            watts = DAMPING * sum(x.peak_kw for x in e.loads) * 1000
            run(f"new reactor.damp{k} bus1=b{k} phases=3 r={3 * spec.nominal_v**2 / watts} x=1e-6")
    truth = feeder.solve(kw, kvar, steps=steps)
    run(*(f"load.d{j}.kw={kw[j]}" for j in range(n)), *(f"load.d{j}.kvar={kvar[j]}" for j in range(n)))
    run("set mode=snapshot", "set neglectloady=yes", "solve", "sample")
    size, angle = load_currents(feeder, kw[None], kvar[None], truth.v)
    place = {p.element: k for k, p in enumerate(spec.points)}
    for j, (element, phase) in enumerate(zip(feeder.load_elements, feeder.load_phase, strict=True)):
        u = abs(truth.v[0, place[element], phase]) / spec.nominal_v
        kind = LOAD_KINDS[feeder.load_kinds[j]]
        # The engine counts angles from h times that of the load's current, not of its voltage.
        lag = np.angle(kw[j] * u**kind.watts + 1j * kvar[j] * u**kind.vars)
        define(run, f"x{j}", spectrum[0, j] * np.exp(1j * orders * lag))
        run(f"load.d{j}.spectrum=x{j}")
    define(run, "none", np.zeros(len(orders)))
    define(run, "mv", background[0])
    run("load.background.spectrum=none", "vsource.source.spectrum=mv", "vsource.source.scantype=none")
    run("set mode=harmonics", f"set harmonics=({' '.join(str(h) for h in (1, *ORDERS))})", "solve")
    volts = background * spec.source.kv * 1000 / 3**0.5 * spec.source.pu
    found = distortion(feeder, Network(spec, DAMPING), truth, size, angle, spectrum, np.array([steps]), volts)
    for terminal, got in ((0, found.thd_v), (1, found.thd_i)):
        squares = sum(np.abs(read(feeder, k, terminal)) ** 2 for k in range(1, len(orders) + 1))
        first = np.abs(read(feeder, 0, terminal))
        expected = 100 * np.sqrt(squares) / np.maximum(first, 1e-9)
        loaded = first > 0.5
        assert np.median(expected[loaded]) > 0.8
        assert np.abs(got[0] / expected - 1)[loaded].max() < 2e-3


def made_up(feeder: Feeder, thd_v: float, thd_i: float) -> tuple[Solution, Distortion]:
    """A solved feeder with the same THD everywhere; harmonics carry no power."""
    truth = feeder.run(np.tile(np.maximum(feeder.load_peak_kw, 1.0) * 0.4, (400, 1)), np.zeros((400, feeder.n_loads)))
    v, i = np.abs(truth.v) ** 2 * (thd_v / 100) ** 2, np.abs(truth.i) ** 2 * (thd_i / 100) ** 2
    shape, zero = np.ones_like(v), np.zeros_like(v)
    return truth, Distortion(thd_v * shape, thd_i * shape, v, i, 3 * v, i.sum(2), zero)


def test_a_true_rms_meter_shows_the_distortion_power_and_some_send_thd() -> None:
    feeder = Feeder(FEEDERS["village"])
    truth, found = made_up(feeder, 4.0, 30.0)
    n = feeder.n_points
    sends, nothing = np.arange(n) % 2 == 0, np.full(len(truth), np.nan)
    ends = [Meters(n, 230.0, np.random.default_rng(1), np.random.default_rng(2)) for _ in range(2)]
    pure = ends[0].read(truth, np.full(len(truth), 50.0), nothing, nothing, 0)
    rms = ends[1].read(truth, np.full(len(truth), 50.0), nothing, nothing, 0, found, sends)
    loaded = np.abs(truth.i[0]) > 5.0
    for name, factor in (("v_a", np.hypot(1, 0.04)), ("i_a", np.hypot(1, 0.3)), ("p_a", 1.0), ("q_a", 1.0)):
        a, b = (x[..., C[name] : C[name] + 3].mean(0)[loaded] for x in (pure, rms))
        assert b == pytest.approx(factor * a, rel=2e-3, abs=1.0 if name in ("p_a", "q_a") else 0.0)
    v, i, p, q = (rms[..., C[name] : C[name] + 3].mean(0)[loaded] for name in ("v_a", "i_a", "p_a", "q_a"))
    # D/S1 ~ THD of the current; the meters' classes leave 1 % of S^2 open.
    share = ((v * i) ** 2 - p**2 - q**2) / (p**2 + q**2)
    assert np.abs(share - (np.hypot(1, 0.3) * np.hypot(1, 0.04)) ** 2 + 1).max() < 0.015
    thd = rms[..., C["thdv_a"] : C["thdv_c"] + 1]
    assert np.isnan(thd[:, ~sends]).all()
    assert np.isnan(pure[..., C["thdv_a"] :][..., :6]).all()
    mean = thd[:, sends].mean(0)
    assert np.abs(mean - 4.0).max() < 0.05 * 4.0
    assert np.ptp(mean) > 0.05


def test_triplens_of_single_phase_loads_stay_below_the_delta_winding() -> None:
    """Equal third harmonics in all phases return through the neutral and meet no medium-voltage impedance."""
    spec = FEEDERS["village"]
    weak = Network(replace(spec, source=replace(spec.source, mva_sc3=spec.source.mva_sc3 / 50,
                                                mva_sc1=spec.source.mva_sc1 / 50)))  # fmt: skip
    strong, equal = Network(spec), np.tile(np.ones(3), len(spec.elements) + 1)
    rotating = np.tile(np.exp(-2j * np.pi / 3 * 5 * np.arange(3)), len(spec.elements) + 1)
    head = slice(0, 3)
    third, fifth = (
        [np.abs((net.transfer(h, 0)[0] @ drawn)[head]).mean() for net in (strong, weak)]
        for h, drawn in ((3, equal), (5, rotating))
    )
    assert third[1] == pytest.approx(third[0], rel=1e-6)
    assert fifth[1] > 1.5 * fifth[0]


def test_capacitors_move_the_resonance() -> None:
    net = Network(FEEDERS["arcade"], damping=0.1)
    n = 3 * (len(FEEDERS["arcade"].elements) + 1)
    drawn = np.tile(np.exp(-2j * np.pi / 3 * 11 * np.arange(3)), n // 3)
    volts = [np.abs((net.transfer(11, steps)[0] @ drawn)[:3]).mean() for steps in range(5)]
    assert np.ptp(volts) > volts[0]
