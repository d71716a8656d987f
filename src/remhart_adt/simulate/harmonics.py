"""Harmonics of a feeder: currents of non-linear loads, the voltages they make, and what a true-RMS meter then reads.

Loads are current sources at the orders 3 to 13 (IEEE 519-2022, annex; Grady, "Understanding Power System Harmonics",
ch. 5), the network is linear. One nodal matrix per order and capacitor state, inverted once, gives every step of a run
by superposition; the engine's own harmonics mode, one solve per step and order, gives the same voltages (a test).
Resistance is the same at every order and reactance grows with it. The linear part of the loads damps resonances: a
balanced resistance at each service, a share of its peak load. The medium voltage brings distortion of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.simulate.feeder import Feeder, Solution
from remhart_adt.simulate.spec import LOAD_KINDS, Bank, FeederSpec, Line, Meter, Solar

__all__ = ["DEVICES", "MIX", "ORDERS", "Distortion", "Network", "device_spectra", "distortion", "load_currents"]

Floats = NDArray[np.float64]
Phasors = NDArray[np.complex128]

ORDERS: Final = (3, 5, 7, 9, 11, 13)
# Share of the fundamental current at ORDERS, sign = in phase or opposite to the voltage's peak. Single-phase rectifiers
# draw a pulse at the peak (all in phase), six-pulse bridges have no triplens and 1/h with alternating signs.
DEVICES: Final[Mapping[str, tuple[float, ...]]] = {
    "smps": (0.62, 0.38, 0.17, 0.05, -0.04, -0.035),
    "led": (0.22, 0.10, 0.07, 0.05, 0.035, 0.03),
    "charger": (0.09, 0.055, 0.03, 0.02, 0.012, 0.01),
    "drive": (0.02, -0.33, 0.16, 0.0, -0.08, 0.055),
    "inverter": (0.015, 0.018, 0.012, 0.006, 0.006, 0.005),
    "linear": (0.01, 0.005, 0.003, 0.0, 0.0, 0.0),
}
# Share of each device in the current of a load kind by day and by evening; the rest is linear.
MIX: Final[Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]] = {
    "residential": ({"smps": 0.20, "led": 0.05, "drive": 0.05}, {"smps": 0.28, "led": 0.15, "drive": 0.05}),
    "commercial": ({"smps": 0.30, "led": 0.20, "drive": 0.12}, {"smps": 0.18, "led": 0.35, "drive": 0.15}),
    "ev": ({"charger": 1.0}, {"charger": 1.0}),
    "heat_pump": ({"drive": 0.40, "smps": 0.05}, {"drive": 0.40, "smps": 0.05}),
    "motor": ({"drive": 0.35}, {"drive": 0.25}),
    "lighting": ({"led": 0.9}, {"led": 0.9}),
    "pv": ({"inverter": 1.0}, {"inverter": 1.0}),
}
# X/R of the medium-voltage source, positive and zero sequence: the engine's own when a fault power is given.
_XR1: Final = 4.0
_XR0: Final = 3.0
_CONTACT_OHM: Final = 1e-4


def device_spectra() -> Floats:
    """(devices, orders) in the order of DEVICES."""
    return np.array([DEVICES[name] for name in DEVICES])


@dataclass(frozen=True, slots=True)
class Distortion:
    """Noise-free harmonics of T steps at P points.

    `thd_v`, `thd_i` (T, P, 3) percent of the fundamental; `v`, `i` (T, P, 3) squares of the harmonic r.m.s. values
    (V^2, A^2); `line` (T, P, 3) V^2 of a-b, b-c, c-a; `neutral` (T, P) A^2; `p` (T, P, 3) W carried by harmonics.
    """

    thd_v: Floats
    thd_i: Floats
    v: Floats
    i: Floats
    line: Floats
    neutral: Floats
    p: Floats


class Network:
    """The linear network of a feeder at each order. `damping` is the share of the peak load that damps."""

    def __init__(self, spec: FeederSpec, damping: float = 0.3) -> None:
        self._spec, self._damping = spec, damping
        self._ids = [spec.transformer.id, *(e.id for e in spec.elements)]
        at = {name: k for k, name in enumerate(self._ids)}
        self._parent = np.array([-1, *(at[e.upstream] for e in spec.elements)])
        self._points = np.array([at[p.element] for p in spec.points])
        behind = np.eye(len(self._ids))
        for k in range(len(self._ids) - 1, 0, -1):
            behind[self._parent[k]] += behind[k]
        self._behind = behind[self._points]  # (P, E): the nodes fed through each point
        self._made: dict[tuple[int, int], tuple[Phasors, Phasors, Phasors, Phasors]] = {}

    def transfer(self, order: int, steps: int) -> tuple[Phasors, Phasors, Phasors, Phasors]:
        """At one order with so many capacitor steps: volts at the points per ampere drawn at each node (3P, 3E),
        amperes through the points (3P, 3E), and both (3P, 3) per volt behind the source impedance of each phase."""
        if (order, steps) not in self._made:
            self._made[order, steps] = self._solve(order, steps)
        return self._made[order, steps]

    def _solve(self, h: int, steps: int) -> tuple[Phasors, Phasors, Phasors, Phasors]:
        """Nodes: the three medium-voltage phases first, then three of each element."""
        n = len(self._ids)
        y = np.zeros((3 * n + 3, 3 * n + 3), complex)
        source = self._source(h)
        y[:3, :3] += source
        for u, admittance in self._windings(h):
            y += admittance * np.outer(u, u)
        shunt = np.zeros((n, 3), complex)
        for k, element in enumerate(self._spec.elements, start=1):
            series = np.linalg.inv(self._series(element, h))
            a, b = slice(3 * self._parent[k] + 3, 3 * self._parent[k] + 6), slice(3 * k + 3, 3 * k + 6)
            y[a, a] += series
            y[b, b] += series
            y[a, b] -= series
            y[b, a] -= series
            shunt[k] = self._shunt(element, h, steps)
        inside = np.arange(3, 3 * n + 3)
        y[inside, inside] += shunt.reshape(-1)
        z: Phasors = np.asarray(np.linalg.inv(y))
        points = (3 * self._points[:, None] + np.arange(3)).reshape(-1)
        nodes = z[3:, 3:]
        gather = np.kron(self._behind, np.eye(3))  # what is drawn at nodes, by the point it flows through
        volts = -nodes[points]
        amperes: Phasors = gather @ (np.eye(3 * n) - shunt.reshape(-1, 1) * nodes)
        behind_source = z[3:, :3] @ source
        return volts, amperes, behind_source[points], gather @ (shunt.reshape(-1, 1) * behind_source)

    def _source(self, h: int) -> Phasors:
        """Admittance of the medium-voltage source, (3, 3), from the fault power of three phases and of one."""
        s = self._spec.source
        z1 = s.kv**2 / s.mva_sc3 * _at_angle(_XR1)
        # One phase: |2 Z1 + Z0| = 3 kV^2 / MVAsc1, R0 and X0 in the ratio _XR0.
        total, unit = 3 * s.kv**2 / s.mva_sc1, _at_angle(_XR0)
        b, c = 2 * (2 * z1 * unit.conjugate()).real, abs(2 * z1) ** 2 - total**2
        z0 = (-b + np.sqrt(b * b - 4 * c)) / 2 * unit
        z1, z0 = z1.real + 1j * h * z1.imag, z0.real + 1j * h * z0.imag
        return np.asarray(np.linalg.inv(_phases((2 * z1 + z0) / 3, (z0 - z1) / 3)), complex)

    def _windings(self, h: int) -> list[tuple[Floats, complex]]:
        """The delta-wye transformer as three two-winding units: the vector of voltages that drives a unit's current,
        and its admittance seen from the low-voltage side."""
        t, size = self._spec.transformer, 3 * len(self._ids) + 3
        copper = t.load_loss_w / t.kva / 10
        leakage = (t.uk_percent**2 - copper**2) ** 0.5
        tap = 1 + t.tap * t.tap_step / 100
        z = (copper + 1j * h * leakage) / 100 * t.lv_kv**2 / (t.kva / 1000) * tap**2
        ratio = self._spec.source.kv / (t.lv_kv / 3**0.5 * tap)
        out = []
        for k in range(3):
            u = np.zeros(size)
            u[3 + k], u[k], u[(k + 2) % 3] = 1.0, -1 / ratio, 1 / ratio
            out.append((u, 1 / z))
        return out

    def _series(self, element: object, h: int) -> Phasors:
        if isinstance(element, Line | Meter | Solar):
            c, km = element.cable, element.length_km
            z1, z0 = (c.r1 + 1j * h * c.x1) * km, (c.r0 + 1j * h * c.x0) * km
        else:
            z1 = z0 = _CONTACT_OHM * (1 + 1j * h)
        return _phases((2 * z1 + z0) / 3, (z0 - z1) / 3)

    def _shunt(self, element: object, h: int, steps: int) -> complex:
        """Admittance to neutral of each phase at the element's end node."""
        v = self._spec.nominal_v
        if isinstance(element, Bank):
            return 1j * h * steps * element.step_kvar / 1000 / self._spec.transformer.lv_kv**2
        if isinstance(element, Meter):
            return complex(self._damping * sum(x.peak_kw for x in element.loads) * 1000 / 3 / v**2)
        return 0j


def _at_angle(ratio: float) -> complex:
    return complex(1, ratio) / abs(complex(1, ratio))


def _phases(own: complex, mutual: complex) -> Phasors:
    return np.asarray(np.full((3, 3), mutual) + np.eye(3) * (own - mutual), complex)


def load_currents(feeder: Feeder, kw: Floats, kvar: Floats, v: Phasors) -> tuple[Floats, Floats]:
    """Size (A) and angle of the phase voltage (rad) of every load's fundamental current, (T, L).

    `v` (T, P, 3) as solved; every load stands at an element that has a point.
    """
    place = {p.element: k for k, p in enumerate(feeder.spec.points)}
    points = np.array([place[name] for name in feeder.load_elements])
    mine = v[:, points, feeder.load_phase]
    u = np.abs(mine) / feeder.spec.nominal_v
    exponent = np.array([(LOAD_KINDS[k].watts, LOAD_KINDS[k].vars) for k in feeder.load_kinds])
    size = np.hypot(kw * u ** exponent[:, 0], kvar * u ** exponent[:, 1]) * 1000 / np.maximum(np.abs(mine), 1e-9)
    return size, np.angle(mine)


def distortion(
    feeder: Feeder, network: Network, truth: Solution, size: Floats, angle: Floats, spectrum: Phasors, steps: Floats,
    background: Phasors,
) -> Distortion:  # fmt: skip
    """Harmonics of every step.

    `size`, `angle` (T, L) from `load_currents`; `spectrum` (T, L, orders) harmonic current over fundamental, its angle
    counted from h times that of the voltage; `steps` (T,) of the capacitor bank; `background` (T, orders) volts of the
    medium voltage's phase a, the others following in the sequence of their order.
    """
    t, p = truth.v.shape[:2]
    columns = 3 * feeder.load_element + feeder.load_phase
    v2, i2, line2, watts = (np.zeros((t, p, 3)) for _ in range(4))
    n2 = np.zeros((t, p))
    for k, h in enumerate(ORDERS):
        drawn = np.zeros((t, 3 * len(feeder.element_ids)), complex)
        np.add.at(drawn.T, columns, (size * spectrum[:, :, k] * np.exp(1j * h * angle)).T)
        turn = np.exp(-2j * np.pi / 3 * h * np.arange(3))
        behind = background[:, k, None] * turn
        for on in np.unique(steps):
            rows = np.flatnonzero(steps == on)
            zv, zi, bv, bi = network.transfer(h, int(on))
            v = (drawn[rows] @ zv.T + behind[rows] @ bv.T).reshape(-1, p, 3)
            i = (drawn[rows] @ zi.T + behind[rows] @ bi.T).reshape(-1, p, 3)
            v2[rows] += np.abs(v) ** 2
            i2[rows] += np.abs(i) ** 2
            line2[rows] += np.abs(v - np.roll(v, -1, axis=2)) ** 2
            n2[rows] += np.abs(i.sum(2)) ** 2
            watts[rows] += (v * i.conj()).real
    with np.errstate(invalid="ignore", divide="ignore"):
        thd_v, thd_i = 100 * np.sqrt(v2) / np.abs(truth.v), 100 * np.sqrt(i2) / np.abs(truth.i)
    return Distortion(thd_v, thd_i, v2, i2, line2, n2, watts)
