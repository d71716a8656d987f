"""What a feeder is made of: frozen dataclasses, checked as a whole before an engine is built from them.

A feeder is a tree. Every element hangs on one `upstream` element and ends in a node of its own, so that "the voltage
at X and the current through X" names one place for every component. Conductors carry phase impedances with the neutral
folded in: for a four-wire network whose neutral returns all of the unbalance, z0 = z_phase + 3 z_neutral makes the
model's node voltages the line-to-neutral voltages that a meter at that place reads, and the neutral current is the sum
of the phase currents.
Units: kV, kW, kvar, kVA at the edges where engineers write them, ohm per km, km, A, W; phases are 0, 1, 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from remhart_adt.errors import SimulationError

__all__ = [
    "LOAD_KINDS",
    "Bank",
    "Breaker",
    "Cable",
    "Element",
    "FeederSpec",
    "Line",
    "Load",
    "LoadKind",
    "Meter",
    "Point",
    "Site",
    "Solar",
    "Source",
    "Transformer",
    "UserSpec",
]


@dataclass(frozen=True, slots=True)
class LoadKind:
    """How a class of load answers to voltage, P ~ U^watts and Q ~ U^vars, and its power factor at nominal voltage."""

    watts: float
    vars: float
    power_factor: float


LOAD_KINDS: Final[Mapping[str, LoadKind]] = {
    "residential": LoadKind(1.0, 2.2, 0.97),
    "commercial": LoadKind(0.8, 2.0, 0.94),
    "ev": LoadKind(1.0, 1.0, 0.99),
    "heat_pump": LoadKind(0.4, 1.2, 0.95),
    "motor": LoadKind(0.2, 1.4, 0.84),
    "lighting": LoadKind(1.0, 1.6, 0.96),
    "pv": LoadKind(0.0, 0.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Cable:
    """A conductor type: ohm per km of the positive and zero sequence, and the current it may carry (A)."""

    name: str
    r1: float
    x1: float
    r0: float
    x0: float
    ampacity: float


@dataclass(frozen=True, slots=True)
class Load:
    """One single-phase load: `peak_kw` bounds its profile from above (for `pv`: its rated output)."""

    phase: int
    kind: str
    peak_kw: float


@dataclass(frozen=True, slots=True)
class Source:
    """The medium-voltage infeed: rated line-to-line kV, usual p.u., fault power of three and one phase (MVA).

    `unbalance_mva` is what other customers draw between two phases of the same medium-voltage bus: it gives the feeder
    the background unbalance that every real one has.
    """

    id: str
    kv: float
    pu: float
    mva_sc3: float
    mva_sc1: float
    unbalance_mva: float = 0.0
    unbalance_phases: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class Transformer:
    """A delta-wye distribution transformer; `tap` steps of `tap_step` percent raise the low-voltage side.

    `tap_winding` 1 has the taps on the medium-voltage winding, as distribution transformers are built: a higher
    position means fewer turns there, hence more flux and more no-load loss. With 2 the flux does not change.
    """

    id: str
    kva: float
    lv_kv: float
    uk_percent: float
    load_loss_w: float
    no_load_loss_w: float
    tap_min: int = -2
    tap_max: int = 2
    tap_step: float = 2.5
    tap: int = 0
    tap_winding: int = 2
    installed: str = "2014-05-01"


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker at the head of what hangs on it."""

    id: str
    upstream: str
    rated_a: float


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of line with nothing but other elements at its end."""

    id: str
    upstream: str
    cable: Cable
    length_km: float


@dataclass(frozen=True, slots=True)
class Meter:
    """A service connection with the loads of one building or one group of customers behind it."""

    id: str
    upstream: str
    cable: Cable
    length_km: float
    loads: tuple[Load, ...]


@dataclass(frozen=True, slots=True)
class Bank:
    """A three-phase capacitor bank of equal steps (kvar each)."""

    id: str
    upstream: str
    step_kvar: float
    steps: int
    steps_on: int = 0


@dataclass(frozen=True, slots=True)
class Solar:
    """A photovoltaic plant: rated kW per phase; it stops when its phase is dead."""

    id: str
    upstream: str
    cable: Cable
    length_km: float
    kw: tuple[float, float, float]


Element = Breaker | Line | Meter | Bank | Solar


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement point at the end node of `element`, with the current through it; `rated_a` is what it may carry."""

    id: str
    element: str
    rated_a: float


@dataclass(frozen=True, slots=True)
class UserSpec:
    """A person of the twin graph and the points that he or she manages."""

    id: str
    full_name: str
    role: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where the feeder stands: `zone_h` its civil time, `mean_temp` and `temp_swing` (July minus mean) its climate."""

    latitude: float
    longitude: float
    zone_h: float
    mean_temp: float = 10.0
    temp_swing: float = 9.0
    address: str = ""


@dataclass(frozen=True, slots=True)
class FeederSpec:
    """A whole feeder, elements in an order in which every `upstream` comes before what hangs on it."""

    name: str
    title: str
    hz: float
    nominal_v: float
    site: Site
    source: Source
    transformer: Transformer
    elements: tuple[Element, ...]
    points: tuple[Point, ...]
    users: tuple[UserSpec, ...] = field(default=())

    def __post_init__(self) -> None:
        problems = _problems(self)
        if problems:
            raise SimulationError("; ".join(problems), where=f"feeder {self.name}", remedy="Correct the feeder's spec")

    def parents(self) -> dict[str, str]:
        """Element id -> the id it hangs on, transformer and all elements."""
        return {self.transformer.id: self.source.id, **{e.id: e.upstream for e in self.elements}}

    def downstream(self, element_id: str) -> frozenset[str]:
        """The element and everything behind it."""
        found = {element_id}
        for child, parent in self.parents().items():  # parents come first, one pass suffices
            if parent in found:
                found.add(child)
        return frozenset(found)

    def points_behind(self, element_id: str) -> tuple[str, ...]:
        """Ids of the points at the element or behind it, in the order of the spec."""
        inside = self.downstream(element_id)
        return tuple(p.id for p in self.points if p.element in inside)


def _problems(spec: FeederSpec) -> list[str]:
    seen = {spec.source.id, spec.transformer.id}
    out: list[str] = []
    if len(seen) != 2:
        out.append("source and transformer have the same id")
    if spec.hz not in (50.0, 60.0):
        out.append(f"frequency must be 50 or 60 Hz, not {spec.hz}")
    for element in spec.elements:
        if element.id in seen:
            out.append(f"duplicate id {element.id}")
        if element.upstream not in seen or element.upstream == spec.source.id:
            out.append(f"{element.id} hangs on {element.upstream}, which is not before it")
        seen.add(element.id)
        loads = element.loads if isinstance(element, Meter) else ()
        out += [f"{element.id}: unknown load kind {x.kind}" for x in loads if x.kind not in LOAD_KINDS]
        out += [f"{element.id}: phase {x.phase} is not 0, 1 or 2" for x in loads if x.phase not in (0, 1, 2)]
        out += [f"{element.id}: peak_kw must be positive" for x in loads if not x.peak_kw > 0]
    ids = [p.id for p in spec.points]
    out += [f"duplicate point {i}" for i in {i for i in ids if ids.count(i) > 1}]
    out += [f"point {p.id}: no element {p.element}" for p in spec.points if p.element not in seen]
    out += [f"point {p.id}: rated current must be positive" for p in spec.points if not p.rated_a > 0]
    out += [f"user {u.id}: no point {i}" for u in spec.users for i in u.points if i not in ids]
    return out
