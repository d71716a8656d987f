"""One feeder on OpenDSS: loads and switching in, noise-free phasors and losses out.

The engine's time loop runs over load shapes, so that T steps cost one call; `solve` is the same with T = 1.
Four habits keep its answers honest: the base frequency is set before the circuit exists (else the source silently
feeds nothing), the voltage of a fresh build is checked, every step's load is compared with what its voltage model asks
for, and the engine writes only into a temporary folder of its own.
"""

from __future__ import annotations

import itertools
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from remhart_adt.errors import MissingExtraError, SimulationError
from remhart_adt.simulate.spec import LOAD_KINDS, Bank, FeederSpec, Line, Meter, Solar

__all__ = ["Fault", "Feeder", "Solution", "join"]

Floats = NDArray[np.float64]
Phasors = NDArray[np.complex128]

# Below half voltage devices drop out or hang on as impedances; above 1.2 p.u. nothing is known about them.
_U_LOW: Final = 0.5
_U_HIGH: Final = 1.2
# A contact or terminal has some impedance; 0.1 mOhm keeps the matrix regular and is invisible beside any cable.
_CONTACT_OHM: Final = 1e-4
# Monitors record single precision: about 1e-7 of a value. A step further off its load model did not converge.
_LOAD_TOLERANCE: Final = 2e-3
# Volts and amperes that no low-voltage feeder has, but an iteration that diverges does.
_RUNAWAY: Final = 1e7
_PER_STEP: Final = (
    "v",
    "i",
    "line_loss_w",
    "transformer_loss_w",
    "source_w",
    "source_var",
    "transformer_va",
    "converged",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A short circuit at the node of `element` (the source's id: the medium-voltage bus).

    One phase or three: each to neutral through `ohm`; two phases: to each other through `ohm`.
    """

    element: str
    phases: tuple[int, ...]
    ohm: float


@dataclass(frozen=True, slots=True)
class Solution:
    """What T steps look like at P points, without any meter error.

    `v`, `i` (T, P, 3) complex volts line to neutral and amperes towards the load; `line_loss_w`, `transformer_loss_w`,
    `source_w`, `source_var` (T,): losses and the power into the transformer; `transformer_va` (T,):
    apparent power out of the transformer, sqrt of the mean square of its phases times three; `converged` (T,) bool;
    `alive` (P, 3) bool: which phases have a closed path to the source.
    """

    v: Phasors
    i: Phasors
    line_loss_w: Floats
    transformer_loss_w: Floats
    source_w: Floats
    source_var: Floats
    transformer_va: Floats
    converged: NDArray[np.bool_]
    alive: NDArray[np.bool_]

    @property
    def s(self) -> Phasors:
        """Complex power per phase, (T, P, 3) VA, positive towards the load."""
        return np.asarray(self.v * self.i.conj())

    @property
    def neutral(self) -> Phasors:
        """Neutral current, (T, P) complex A: the sum of the phases."""
        return np.asarray(self.i.sum(axis=2))

    @property
    def losses_w(self) -> Floats:
        """All losses of the feeder, (T,) W."""
        return self.line_loss_w + self.transformer_loss_w

    def __len__(self) -> int:
        return len(self.line_loss_w)


class Feeder:
    """The solver of one feeder. Not safe for threads: give each thread or process its own.

    `load_element`, `load_phase` (L,) say where each load sits, `load_kinds` (L,) its class, `load_peak_kw` (L,) its
    bound; `pv` loads come last in the same arrays and are fed as negative kW. Loads are given at nominal voltage: the
    engine draws kw * U**watts, with the exponents of its class.
    """

    def __init__(self, spec: FeederSpec) -> None:
        """Build the circuit. Raises MissingExtraError without dss-python, SimulationError when its voltage is wrong."""
        self.spec = spec
        self.element_ids: tuple[str, ...] = (spec.transformer.id, *(e.id for e in spec.elements))
        self.point_ids: tuple[str, ...] = tuple(p.id for p in spec.points)
        self.rated_a: Floats = np.array([p.rated_a for p in spec.points])
        self.bank: Bank | None = next((e for e in spec.elements if isinstance(e, Bank)), None)
        self._index = {name: k for k, name in enumerate(self.element_ids)}
        self._parent = np.array([-1, *(self._index[e.upstream] for e in spec.elements)])
        self._point_element = np.array([self._index[p.element] for p in spec.points])
        self._collect_loads()
        self._collect_lines()
        self._engine = self._open_engine()
        self._build()
        self._tap, self._steps = spec.transformer.tap, self.bank.steps_on if self.bank else 0
        self._open: dict[str, tuple[int, ...]] = {}
        self._fault: Fault | None = None
        self._check_build()

    # -- building ------------------------------------------------------------------------------------------------

    def _collect_loads(self) -> None:
        rows = [(e.id, x.phase, x.kind, x.peak_kw) for e in self.spec.elements if isinstance(e, Meter) for x in e.loads]
        for e in self.spec.elements:
            if isinstance(e, Solar):
                rows += [(e.id, phase, "pv", kw) for phase, kw in enumerate(e.kw) if kw > 0]
        self.load_kinds: tuple[str, ...] = tuple(r[2] for r in rows)
        self.load_elements: tuple[str, ...] = tuple(r[0] for r in rows)
        self.load_element = np.array([self._index[r[0]] for r in rows])
        self.load_phase = np.array([r[1] for r in rows])
        self.load_peak_kw: Floats = np.array([r[3] for r in rows])
        self.n_loads = len(rows)
        self.n_points = len(self.point_ids)
        self._exponents = np.array([(LOAD_KINDS[k].watts, LOAD_KINDS[k].vars) for k in self.load_kinds])

    def _collect_lines(self) -> None:
        """R and X of every element per phase and between phases; the transformer (row 0) keeps zeros."""
        self._r_self, self._r_mutual = np.zeros(len(self.element_ids)), np.zeros(len(self.element_ids))
        for k, e in enumerate(self.spec.elements, start=1):
            if isinstance(e, Line | Meter | Solar):
                self._r_self[k] = (2 * e.cable.r1 + e.cable.r0) / 3 * e.length_km
                self._r_mutual[k] = (e.cable.r0 - e.cable.r1) / 3 * e.length_km
            else:
                self._r_self[k] = _CONTACT_OHM

    def _open_engine(self) -> Any:
        try:
            from dss import DSS
        except ImportError as error:
            raise MissingExtraError("simulate", needed_for="The feeder simulator") from error
        folder = tempfile.TemporaryDirectory(prefix="remhart-dss-")
        weakref.finalize(self, folder.cleanup)
        engine = DSS.NewContext()
        engine.AllowForms = False
        engine.AllowChangeDir = False
        engine.DataPath = str(Path(folder.name))
        return engine

    def _command(self, *lines: str) -> None:
        for line in lines:
            self._engine.Text.Command = line

    def _build(self) -> None:
        spec, source, t = self.spec, self.spec.source, self.spec.transformer
        kva = f"({t.kva} {t.kva})"
        copper = t.load_loss_w / t.kva / 10  # percent of the rating
        reactance = (t.uk_percent**2 - copper**2) ** 0.5
        self._command(
            "clear",
            f"set defaultbasefrequency={spec.hz:g}",
            f"new circuit.{spec.name} basekv={source.kv} pu={source.pu} bus1=mv phases=3 "
            f"mvasc3={source.mva_sc3} mvasc1={source.mva_sc1}",
            f"new transformer.t phases=3 windings=2 buses=(mv b0) conns=(delta wye) kvs=({source.kv} {t.lv_kv}) "
            f"kvas={kva} xhl={reactance:.6f} %loadloss={copper:.6f} %noloadloss={t.no_load_loss_w / t.kva / 10:.6f} "
            f"wdg={t.tap_winding} maxtap=1.25 mintap=0.8 tap={self._ratio(t.tap)}",
        )
        for k, e in enumerate(spec.elements, start=1):
            ends = f"bus1=b{self._parent[k]} bus2=b{k} phases=3 c1=0 c0=0"
            if isinstance(e, Line | Meter | Solar):
                c = e.cable
                shape = f"r1={c.r1} x1={c.x1} r0={c.r0} x0={c.x0} length={e.length_km} units=km"
            else:
                shape = f"r1={_CONTACT_OHM} x1={_CONTACT_OHM} r0={_CONTACT_OHM} x0={_CONTACT_OHM} length=1 units=none"
            self._command(f"new line.e{k} {ends} {shape}")
            if isinstance(e, Bank):
                self._command(
                    f"new capacitor.c bus1=b{k} phases=3 kvar={e.step_kvar * e.steps} kv={t.lv_kv} numsteps={e.steps}",
                    f"capacitor.c.states={self._states(e.steps_on, e.steps)}",
                )
        # In the time loop the shape of a source is its p.u. voltage itself, not a factor of `pu`.
        self._command("new loadshape.source npts=1 interval=1 mult=(1)", "vsource.source.daily=source")
        for j, kind in enumerate(self.load_kinds):
            model = LOAD_KINDS[kind]
            self._command(
                f"new loadshape.s{j} npts=1 interval=1 mult=(0) qmult=(0)",
                f"new load.d{j} phases=1 bus1=b{self.load_element[j]}.{self.load_phase[j] + 1} "
                f"kv={spec.nominal_v / 1000} kw=1 kvar=1 model=4 cvrwatts={model.watts} cvrvars={model.vars} "
                f"vminpu={_U_LOW} vlowpu={_U_LOW} vmaxpu={_U_HIGH} daily=s{j}",
            )
        if source.unbalance_mva > 0:
            a, b = source.unbalance_phases
            self._command(
                f"new load.background phases=1 bus1=mv.{a + 1}.{b + 1} kv={source.kv} model=2 "
                f"kw={source.unbalance_mva * 950} kvar={source.unbalance_mva * 312}"
            )
        monitors = [("hv", "transformer.t", 1), ("m0", "transformer.t", 2)]
        monitors += [(f"m{k}", f"line.e{k}", 2) for k in range(1, len(self.element_ids))]
        for name, element, terminal in monitors:
            self._command(f"new monitor.{name} element={element} terminal={terminal} mode=0 vipolar=no")
        for k in range(3):
            self._command(f"new fault.f{k} bus1=b0.{k + 1} phases=1 r=1000 enabled=no")
        self._command(
            f"set voltagebases=[{source.kv} {t.lv_kv}]", "calcv", "set tolerance=1e-7", "set maxiterations=60"
        )

    def _check_build(self) -> None:
        self._command("set mode=snapshot", "solve")
        mean = (
            float(np.mean(np.abs(self.solve(np.zeros(self.n_loads), np.zeros(self.n_loads)).v))) / self.spec.nominal_v
        )
        if not 0.85 < mean < 1.15:
            raise SimulationError(
                f"the unloaded feeder stands at {mean:.3f} p.u.",
                where=f"feeder {self.spec.name}",
                remedy="Check rated voltages, tap and base frequency of the spec",
            )

    def _ratio(self, tap: int) -> str:
        t = self.spec.transformer
        ratio = 1 + tap * t.tap_step / 100
        return f"{ratio if t.tap_winding == 2 else 1 / ratio:.6f}"

    @staticmethod
    def _states(on: int, steps: int) -> str:
        return "(" + " ".join("1" if k < on else "0" for k in range(steps)) + ")"

    # -- switching -----------------------------------------------------------------------------------------------

    def _alive(self, switches: Mapping[str, str], open_phases: Mapping[str, Sequence[int]]) -> NDArray[np.bool_]:
        """(E, 3): a closed path to the source. Raises SimulationError for an unknown element or state."""
        for name, state in switches.items():
            if name not in self._index or state not in ("open", "closed"):
                raise SimulationError(f"no switch {name} or no such state {state!r}", where=f"feeder {self.spec.name}")
        alive = np.ones((len(self.element_ids), 3), dtype=bool)
        for name, phases in open_phases.items():
            if name not in self._index or name == self.spec.transformer.id:
                raise SimulationError(f"no conductor can open at {name}", where=f"feeder {self.spec.name}")
            alive[self._index[name], list(phases)] = False
        for k, name in enumerate(self.element_ids):
            if switches.get(name) == "open":
                alive[k] = False
            if k:
                alive[k] &= alive[self._parent[k]]
        return alive

    def _configure(self, open_phases: Mapping[str, Sequence[int]], tap: int, steps: int, fault: Fault | None) -> None:
        """Bring the engine's switches where they should be; touches nothing that stands right already."""
        t = self.spec.transformer
        if tap != self._tap:
            if not t.tap_min <= tap <= t.tap_max:
                raise SimulationError(f"tap {tap} is outside {t.tap_min}..{t.tap_max}", where=t.id)
            self._command(f"transformer.t.wdg={t.tap_winding} tap={self._ratio(tap)}")
            self._tap = tap
        if self.bank is not None and steps != self._steps:
            if not 0 <= steps <= self.bank.steps:
                raise SimulationError(f"{steps} steps of {self.bank.steps}", where=self.bank.id)
            self._command(f"capacitor.c.states={self._states(steps, self.bank.steps)}")
            self._steps = steps
        wanted = {name: tuple(sorted(phases)) for name, phases in open_phases.items() if phases}
        if wanted != self._open:
            for name, phases in self._open.items():
                for phase in phases:
                    self._command(f"close line.e{self._index[name]} 1 {phase + 1}")
            for name, phases in wanted.items():
                for phase in phases:
                    self._command(f"open line.e{self._index[name]} 1 {phase + 1}")
            self._open = wanted
        if fault != self._fault:
            self._place(fault)

    def _place(self, fault: Fault | None) -> None:
        self._command(*(f"fault.f{k}.enabled=no" for k in range(3)))
        if fault is not None:
            at_source = fault.element == self.spec.source.id
            if not at_source and fault.element not in self._index:
                raise SimulationError(f"no element {fault.element} to fault", where=f"feeder {self.spec.name}")
            bus = "mv" if at_source else f"b{self._index[fault.element]}"
            nodes = [p + 1 for p in fault.phases]
            ends = (
                [(f"{bus}.{nodes[0]}", f"{bus}.{nodes[1]}")]
                if len(nodes) == 2
                else [(f"{bus}.{n}", f"{bus}.0") for n in nodes]
            )
            for k, (a, b) in enumerate(ends):
                self._command(f"edit fault.f{k} bus1={a} bus2={b} r={fault.ohm} enabled=yes")
        self._fault = fault

    # -- solving -------------------------------------------------------------------------------------------------

    def solve(
        self,
        loads_kw: ArrayLike,
        loads_kvar: ArrayLike,
        source_pu: float | None = None,
        switches: Mapping[str, str] | None = None,
        tap: int | None = None,
        steps: int | None = None,
        *,
        open_phases: Mapping[str, Sequence[int]] | None = None,
        fault: Fault | None = None,
    ) -> Solution:
        """One state: `run` with loads (L,), answers with T = 1."""
        kw, kvar = np.atleast_2d(loads_kw), np.atleast_2d(loads_kvar)
        return self.run(kw, kvar, source_pu, switches, tap, steps, open_phases=open_phases, fault=fault)

    def run(
        self,
        loads_kw: ArrayLike,
        loads_kvar: ArrayLike,
        source_pu: ArrayLike | None = None,
        switches: Mapping[str, str] | None = None,
        tap: ArrayLike | None = None,
        steps: ArrayLike | None = None,
        *,
        open_phases: Mapping[str, Sequence[int]] | None = None,
        fault: Fault | None = None,
    ) -> Solution:
        """T states: loads (T, L) kW and kvar at nominal voltage, `source_pu` a number or (T,).

        `switches` maps a breaker (any element) to "open" or "closed", all three phases; `open_phases` maps an element
        to the phases whose conductor is broken; both stand for the whole run. `tap` and `steps` (of the bank) are one
        integer or (T,), a step change costs a new matrix. Default: as the spec says.
        Raises SimulationError for unknown names, shapes that do not fit, or a value that is not finite; a step that did
        not converge is False in `converged`.
        """
        kw, kvar = np.array(loads_kw, dtype=np.float64), np.array(loads_kvar, dtype=np.float64)
        if kw.ndim != 2 or kw.shape != kvar.shape or kw.shape[1] != self.n_loads or not len(kw):
            raise SimulationError(f"loads must be (T, {self.n_loads}) twice, not {kw.shape} and {kvar.shape}")
        pu = self._series(self.spec.source.pu if source_pu is None else source_pu, len(kw), "source_pu")
        if not (np.isfinite(kw).all() and np.isfinite(kvar).all() and np.isfinite(pu).all()):
            raise SimulationError("loads and source voltage must be finite", where=f"feeder {self.spec.name}")
        taps = self._series(self.spec.transformer.tap if tap is None else tap, len(kw), "tap").astype(int)
        default = self.bank.steps_on if self.bank else 0
        on = self._series(default if steps is None else steps, len(kw), "steps").astype(int)
        broken = open_phases or {}
        alive = self._alive(switches or {}, broken)
        # A dead phase carries nothing, whatever the profile says. With all its loads at zero a fully opened part is
        # electrically absent, so the engine never sees an island without a source (whose matrix would be singular).
        live = alive[self.load_element, self.load_phase]
        is_pv = np.array([k == "pv" for k in self.load_kinds])
        dead = ~alive[self.load_element].any(axis=1) | (is_pv & ~live)
        kw[:, dead], kvar[:, dead] = 0.0, 0.0
        if self.bank is not None and not alive[self._index[self.bank.id]].all():
            on = np.zeros_like(on)
        cuts = [0, *(np.flatnonzero((np.diff(taps) != 0) | (np.diff(on) != 0)) + 1).tolist(), len(kw)]
        parts = []
        for a, b in itertools.pairwise(cuts):
            self._configure(broken, int(taps[a]), int(on[a]), fault)
            parts.append(self._stretch(kw[a:b], kvar[a:b], pu[a:b], alive))
        return parts[0] if len(parts) == 1 else join(parts)

    @staticmethod
    def _series(value: ArrayLike, n: int, name: str) -> Floats:
        array = np.asarray(value, dtype=np.float64)
        if array.shape not in ((), (n,)):
            raise SimulationError(f"{name} must be one number or ({n},), not {array.shape}")
        return np.array(np.broadcast_to(array, (n,)))

    def _stretch(self, kw: Floats, kvar: Floats, pu: Floats, alive: NDArray[np.bool_]) -> Solution:
        """A block; steps that failed are tried once more by themselves: a step starts from the one before it, so one
        that diverges can take its successors along; a new block starts from the unloaded state."""
        solution = self._block(kw, kvar, pu, alive)
        failed = np.flatnonzero(~solution.converged)
        if not len(failed) or len(kw) == 1:
            return solution
        for t in failed.tolist():
            again = self._block(kw[t : t + 1], kvar[t : t + 1], pu[t : t + 1], alive)
            for name in _PER_STEP:
                getattr(solution, name)[t] = getattr(again, name)[0]
        return solution

    def _block(self, kw: Floats, kvar: Floats, pu: Floats, alive: NDArray[np.bool_]) -> Solution:
        circuit, n = self._engine.ActiveCircuit, len(kw)
        shapes = circuit.LoadShapes
        columns: list[tuple[str, Floats, Floats | None]] = [("source", pu, None)]
        columns += [(f"s{j}", kw[:, j].copy(), kvar[:, j].copy()) for j in range(self.n_loads)]
        for name, p, q in columns:
            shapes.Name = name
            shapes.Npts = n
            shapes.Pmult = p
            if q is not None:
                shapes.Qmult = q
        self._command(f"set mode=daily stepsize=1h number={n} hour=0 sec=0")
        circuit.Solution.Solve()
        raw = {}
        finite = np.ones(n, dtype=bool)
        for name in ("hv", *(f"m{k}" for k in range(len(self.element_ids)))):
            circuit.Monitors.Name = name
            raw[name] = _phasors(circuit.Monitors.AsMatrix(), finite, self.spec.name)
        v = np.stack([raw[f"m{k}"][0] for k in range(len(self.element_ids))], axis=1)
        i = -np.stack([raw[f"m{k}"][1] for k in range(len(self.element_ids))], axis=1)
        gone = ~alive.any(axis=1)
        v[:, gone], i[:, gone] = 0.0, 0.0
        square = (np.abs(i) ** 2).sum(axis=2)
        # I^H R I with R = r_self on the diagonal and r_mutual beside it.
        loss = self._r_self * square + self._r_mutual * (np.abs(i.sum(axis=2)) ** 2 - square)
        out = (v[:, 0] * i[:, 0].conj()).sum(axis=1)
        into = (raw["hv"][0] * raw["hv"][1].conj()).sum(axis=1)
        p = self._point_element
        return Solution(
            v=v[:, p],
            i=i[:, p],
            line_loss_w=loss.sum(axis=1),
            transformer_loss_w=(into - out).real,
            source_w=into.real,
            source_var=into.imag,
            transformer_va=np.sqrt(3 * (np.abs(v[:, 0] * i[:, 0]) ** 2).sum(axis=1)),
            converged=finite & self._converged(kw, kvar, v, i),
            alive=alive[p],
        )

    def _converged(self, kw: Floats, kvar: Floats, v: Phasors, i: Phasors) -> NDArray[np.bool_]:
        """Each step's drawn power against the voltage model of its loads; a fault's own current is no load."""
        u = np.abs(v[:, self.load_element, self.load_phase]) / self.spec.nominal_v
        shape = np.where(u[..., None] < _U_LOW, u[..., None] ** 2, np.maximum(u[..., None], 1e-9) ** self._exponents)
        asked = np.zeros(v.shape, dtype=np.complex128)
        each = 1000 * (kw * shape[..., 0] + 1j * kvar * shape[..., 1])
        for j in range(self.n_loads):
            asked[:, self.load_element[j], self.load_phase[j]] += each[:, j]
        loaded = np.unique(self.load_element)
        if self._fault is not None:
            loaded = loaded[loaded != self._index.get(self._fault.element, -1)]
        drawn = v[:, loaded] * i[:, loaded].conj()
        off = np.abs(drawn - asked[:, loaded]).max(axis=(1, 2))
        scale = np.maximum(np.abs(asked[:, loaded]).max(axis=(1, 2)), 1000.0)
        fine = np.isfinite(v).all(axis=(1, 2)) & (np.abs(v).max(axis=(1, 2)) < _U_HIGH * self.spec.nominal_v * 1.2)
        return np.asarray(fine & (off <= _LOAD_TOLERANCE * scale))


def _phasors(matrix: Any, finite: NDArray[np.bool_], name: str) -> tuple[Phasors, Phasors]:
    """Volts and amperes (n, 3) of one monitor's stream of hour, second, then real and imaginary parts.

    A step that ran away is set to zero and marked in `finite`.
    """
    if matrix is None or len(matrix) != len(finite):
        raise SimulationError("the engine recorded nothing", where=f"feeder {name}")
    values = np.asarray(matrix[:, 2:], dtype=np.float64)
    runaway = ~(np.abs(values) < _RUNAWAY).all(axis=1)  # also catches NaN
    values[runaway] = 0.0
    finite &= ~runaway
    half = values.shape[1] // 2
    both = values[:, 0::2] + 1j * values[:, 1::2]
    return both[:, :3], both[:, half // 2 : half // 2 + 3]


def join(parts: Sequence[Solution]) -> Solution:
    """Consecutive stretches as one; `alive` is that of the first."""
    series = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_STEP}
    return Solution(**series, alive=parts[0].alive)
