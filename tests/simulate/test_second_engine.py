"""The same snapshots in OpenDSS and in power-grid-model, an engine of other people with another method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from remhart_adt.simulate import FEEDERS, Feeder, FeederSpec
from remhart_adt.simulate.spec import Bank, Line, Meter, Point, Solar

pgm = pytest.importorskip("power_grid_model", reason="the dev extra is not installed")

# OpenDSS gives a source so much more reactance than resistance when nothing is said.
_SOURCE_RX = 0.25
_CONTACT_OHM = 1e-4


def everywhere(name: str) -> FeederSpec:
    """The feeder with a point at every element, no bank switched on and no other customers on its medium voltage: a
    load between two phases is none of power-grid-model's components."""
    spec = FEEDERS[name]
    ids = (spec.transformer.id, *(e.id for e in spec.elements))
    return replace(
        spec,
        source=replace(spec.source, unbalance_mva=0.0),
        elements=tuple(replace(e, steps_on=0) if isinstance(e, Bank) else e for e in spec.elements),
        points=tuple(Point(f"p{k}", element, 1000.0) for k, element in enumerate(ids)),
        users=(),
    )


def voltages(spec: FeederSpec, drawn: np.ndarray, pu: float) -> np.ndarray:
    """Phase voltages (elements, 3) in V that power-grid-model finds when (elements, 3) VA are drawn."""
    count = len(drawn)
    lv, t = spec.transformer.lv_kv * 1000, spec.transformer
    made = {name: k for k, name in enumerate((t.id, *(e.id for e in spec.elements)), start=1)}

    def rows(kind: str, n: int) -> np.ndarray:
        return pgm.initialize_array("input", kind, n)

    node = rows("node", count + 1)
    node["id"] = np.arange(count + 1)
    node["u_rated"] = [spec.source.kv * 1000, *[lv] * count]
    source = rows("source", 1)
    source["id"], source["node"], source["status"], source["u_ref"] = 1000, 0, 1, pu
    source["sk"], source["rx_ratio"], source["z01_ratio"] = spec.source.mva_sc3 * 1e6, _SOURCE_RX, 1.0
    transformer = rows("transformer", 1)
    for name, value in {
        "id": 2000, "from_node": 0, "to_node": 1, "from_status": 1, "to_status": 1, "u1": spec.source.kv * 1000,
        "u2": lv, "sn": t.kva * 1000, "uk": t.uk_percent / 100, "pk": t.load_loss_w,
        "i0": t.no_load_loss_w / t.kva / 1000, "p0": t.no_load_loss_w, "winding_from": pgm.WindingType.delta,
        "winding_to": pgm.WindingType.wye_n, "clock": 1, "tap_side": pgm.BranchSide.to_side, "tap_pos": t.tap,
        "tap_min": t.tap_min, "tap_max": t.tap_max, "tap_nom": 0, "tap_size": lv * t.tap_step / 100,
    }.items():  # fmt: skip
        transformer[name] = value
    line = rows("line", count - 1)
    for k, e in enumerate(spec.elements):
        long = isinstance(e, Line | Meter | Solar)
        one = (e.cable.r1, e.cable.x1, e.cable.r0, e.cable.x0) if long else (_CONTACT_OHM,) * 4
        length = e.length_km if long else 1.0
        line[k]["id"], line[k]["from_node"], line[k]["to_node"] = 3000 + k, made[e.upstream], k + 2
        line[k]["from_status"] = line[k]["to_status"] = 1
        for name, value in zip(("r1", "x1", "r0", "x0"), one, strict=True):
            line[k][name] = value * length
        for name in ("c1", "tan1", "c0", "tan0"):
            line[k][name] = 0.0
    load = rows("asym_load", count)
    load["id"], load["node"], load["status"] = 4000 + np.arange(count), np.arange(1, count + 1), 1
    load["type"] = pgm.LoadGenType.const_power
    load["p_specified"], load["q_specified"] = drawn.real, drawn.imag
    model = pgm.PowerGridModel(
        {"node": node, "source": source, "transformer": transformer, "line": line, "asym_load": load},
        system_frequency=spec.hz,
    )
    result = model.calculate_power_flow(symmetric=False, error_tolerance=1e-10, max_iterations=100)
    return np.asarray(result["node"]["u"][1:])


@pytest.mark.parametrize("name", sorted(FEEDERS))
def test_another_engine_finds_the_same_voltages(name: str) -> None:
    spec = everywhere(name)
    feeder = Feeder(spec)
    rng = np.random.default_rng(5)
    for load in (0.2, 0.6):
        kw = load * feeder.load_peak_kw * rng.uniform(0.2, 1.0, feeder.n_loads)
        kw[[kind == "pv" for kind in feeder.load_kinds]] *= -1
        solution = feeder.solve(kw, 0.3 * kw)
        assert solution.converged.all()
        # What each load drew at its own voltage, as constant power for the other engine.
        flow, parents = solution.s[0], [parent_of(spec, k) for k in range(len(spec.points))]
        out = np.zeros_like(flow)
        voltage = solution.v[0]
        for k in range(1, len(flow)):
            out[parents[k]] += voltage[parents[k]] * solution.i[0][k].conj()
        other = voltages(spec, flow - out, spec.source.pu)
        apart = np.abs(other - np.abs(voltage)) / spec.nominal_v
        assert np.abs(1 - np.abs(voltage) / spec.nominal_v).max() > 0.01
        assert apart.max() < 5e-5, f"{apart.max():.2e} p.u. at load {load}"


def parent_of(spec: FeederSpec, k: int) -> int:
    """Place of the element that the k-th hangs on; the transformer is the first and hangs on nothing here."""
    ids = [spec.transformer.id, *(e.id for e in spec.elements)]
    return 0 if k == 0 else ids.index(spec.elements[k - 1].upstream)
