"""A second solver, for comparison only: backward/forward sweep on the spec, in plain numpy, without OpenDSS."""

from __future__ import annotations

import numpy as np

from remhart_adt.simulate.spec import LOAD_KINDS, Bank, FeederSpec, Line, Meter, Solar

_A = np.exp(2j * np.pi / 3)
_F = np.array([[1, 1, 1], [1, _A**2, _A], [1, _A, _A**2]])


def _phase(z1: complex, z0: complex) -> np.ndarray:
    return _F @ np.diag([z0, z1, z1]) @ np.linalg.inv(_F)


def solve(spec: FeederSpec, feeder, kw: np.ndarray, kvar: np.ndarray, steps: int = 0) -> np.ndarray:
    """Voltages (E, 3) at the end of transformer and elements. No magnetising branch, no background load."""
    t = spec.transformer
    base = (t.lv_kv * 1000) ** 2 / (t.kva * 1000)
    copper = t.load_loss_w / (t.kva * 1000)
    zt = base * (copper + 1j * np.sqrt((t.uk_percent / 100) ** 2 - copper**2))
    short = (t.lv_kv * 1000) ** 2 / (spec.source.mva_sc3 * 1e6)
    zs = short * (1 + 4j) / abs(1 + 4j)  # the engine's default X/R of a source is 4
    ratio = 1 + t.tap * t.tap_step / 100
    # A tap on the low-voltage side scales its impedance in ohm; a delta winding lets no zero sequence through.
    source = _phase((zt + zs) * ratio**2, zt * ratio**2)
    emf = spec.source.pu * ratio * t.lv_kv * 1000 / np.sqrt(3) * np.exp(-1j * np.pi / 6) * np.array([1, _A**2, _A])
    ids = feeder.element_ids
    parent = {e.id: e.upstream for e in spec.elements}
    z = {t.id: source}
    for e in spec.elements:
        cable = (
            (e.cable.r1, e.cable.x1, e.cable.r0, e.cable.x0, e.length_km)
            if isinstance(e, Line | Meter | Solar)
            else None
        )
        r1, x1, r0, x0, km = cable or (1e-4, 1e-4, 1e-4, 1e-4, 1.0)
        z[e.id] = _phase(km * (r1 + 1j * x1), km * (r0 + 1j * x0))
    v = {name: emf.copy() for name in ids}
    exponents = np.array([(LOAD_KINDS[k].watts, LOAD_KINDS[k].vars) for k in feeder.load_kinds])
    for _ in range(200):
        current = {name: np.zeros(3, complex) for name in ids}
        for j, (name, phase) in enumerate(zip(feeder.load_elements, feeder.load_phase, strict=True)):
            u = abs(v[name][phase]) / spec.nominal_v
            s = 1000 * (kw[j] * u ** exponents[j, 0] + 1j * kvar[j] * u ** exponents[j, 1])
            current[name][phase] += np.conj(s / v[name][phase])
        for e in spec.elements:
            if isinstance(e, Bank):
                current[e.id] += v[e.id] * 1j * e.step_kvar * steps * 1000 / (t.lv_kv * 1000) ** 2
        for name in reversed(ids[1:]):
            current[parent[name]] += current[name]
        before = np.array([v[name] for name in ids])
        for name in ids:
            up = emf if name == t.id else v[parent[name]]
            v[name] = up - z[name] @ current[name]
        if np.abs(np.array([v[name] for name in ids]) - before).max() < 1e-9:
            break
    return np.array([v[name] for name in ids])
