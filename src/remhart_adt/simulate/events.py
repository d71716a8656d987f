"""Things that happen to a feeder: what they are, when, and what they do to loads and switches.

- `voltage_sag`: the source voltage falls for all three phases (a fault far away in the grid above).
- `overload`: customers behind a monitored element draw so much more that its phases reach a multiple of the rating.
- `open_phase`: one conductor of a line breaks; what hangs behind it on that phase is dead.
- `breaker`: a circuit breaker opens on all phases and closes again, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.clock import format_us
from remhart_adt.errors import SimulationError
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.spec import Breaker, Line, Meter

__all__ = ["KINDS", "OVERLOADS", "SAG_RESIDUAL", "Event", "candidates", "extra_load", "schedule"]

Floats = NDArray[np.float64]

KINDS: Final = ("voltage_sag", "overload", "open_phase", "breaker")
# Start and end of each kind within a cycle, as shares of it: the quiet in between lets alarms clear.
_SHARES: Final = {
    "voltage_sag": (0.15, 0.25),
    "overload": (0.33, 0.50),
    "open_phase": (0.58, 0.72),
    "breaker": (0.80, 0.92),
}
# A sag that outlasts a minute is an undervoltage, and nobody wants to watch the other kinds for longer.
_LONGEST_S: Final = 45.0
_FEWEST_TICKS: Final = 4
SAG_RESIDUAL: Final = 0.76
# Multiples of the rating; where the first leaves another point in doubt, the next is tried.
OVERLOADS: Final = (1.32, 1.2, 1.5)
# Of those who are asked to draw more; street lamps do not.
_FLEXIBLE: Final = frozenset({"residential", "commercial", "ev", "heat_pump", "motor"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event: from its first tick until the first tick that no longer has it; `phases` are 0, 1, 2."""

    kind: str
    component: str
    start_us: int
    end_us: int
    phases: tuple[int, ...] = (0, 1, 2)
    parameters: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the event list file."""
        return {
            "kind": self.kind,
            "component": self.component,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "start": format_us(self.start_us),
            "end": format_us(self.end_us),
            "phases": "".join("ABC"[p] for p in self.phases),
            "parameters": dict(self.parameters),
        }


def schedule(n_ticks: int, period_s: float, kinds: Sequence[str]) -> list[tuple[str, int, int]]:
    """(kind, first tick, end tick) within a cycle of n ticks, in time order.

    Raises SimulationError when the cycle is too short to tell the events apart.
    """
    out = []
    for kind in kinds:
        if kind not in _SHARES:
            raise SimulationError(f"no event kind {kind!r}", remedy=f"Choose from {', '.join(KINDS)}")
        first = round(_SHARES[kind][0] * n_ticks)
        last = min(round(_SHARES[kind][1] * n_ticks), first + max(_FEWEST_TICKS, int(_LONGEST_S / period_s)))
        if last - first < _FEWEST_TICKS:
            raise SimulationError(
                f"{n_ticks} readings are too few for a {kind} of {_FEWEST_TICKS} readings",
                remedy=f"Simulate at least {int(_FEWEST_TICKS / 0.1)} readings, or without events",
            )
        out.append((kind, first, last))
    return sorted(out, key=lambda row: row[1])


def candidates(feeder: Feeder, kind: str) -> list[str]:
    """Ids of the elements at which the kind makes sense, best first."""
    spec = feeder.spec
    behind = {e.id: spec.points_behind(e.id) for e in spec.elements}
    total = len(spec.points)
    if kind == "voltage_sag":
        return [spec.source.id]
    if kind == "breaker":
        found = [e.id for e in spec.elements if isinstance(e, Breaker) and 2 <= len(behind[e.id]) < total]
    elif kind == "open_phase":
        found = [e.id for e in spec.elements if isinstance(e, Line) and 2 <= len(behind[e.id]) < total - 1]
    else:
        own = {p.element for p in spec.points}
        meters = {e.id for e in spec.elements if isinstance(e, Meter)}
        found = [e.id for e in spec.elements if e.id in own and isinstance(e, Line) and spec.downstream(e.id) & meters]
    return sorted(found, key=lambda name: -len(behind[name])) if kind != "overload" else found[::-1]


def extra_load(
    feeder: Feeder, component: str, kw: Floats, kvar: Floats, pu: float, steps: int, *, target: float = OVERLOADS[0]
) -> Floats:
    """Extra kW per load (L,) that brings each phase at the component's point to `target` times its rating.

    `kw`, `kvar` (L,) are what is drawn without it. Spread over the flexible customers behind the component, each
    connection alike; solved phase by phase on the engine. Raises SimulationError when it cannot be.
    """
    point = next(k for k, p in enumerate(feeder.spec.points) if p.element == component)
    inside = feeder.spec.downstream(component)
    flexible = np.array(
        [e in inside and k in _FLEXIBLE for e, k in zip(feeder.load_elements, feeder.load_kinds, strict=True)]
    )
    shares = np.zeros((3, feeder.n_loads))
    for phase in range(3):
        mine = flexible & (feeder.load_phase == phase)
        if not mine.any():
            raise SimulationError(f"nobody behind {component} can draw more on phase {'ABC'[phase]}")
        # Every connection gets the same, so that no single one of them overloads before the common element does.
        for element in {e for e, m in zip(feeder.load_elements, mine.tolist(), strict=True) if m}:
            own = mine & np.array([e == element for e in feeder.load_elements])
            shares[phase, own] = 1 / own.sum()
        shares[phase] /= shares[phase].sum()
    want = target * feeder.rated_a[point]
    extra = np.zeros(3)
    for _ in range(12):
        now = feeder.solve(kw + extra @ shares, kvar, pu, steps=steps)
        current = np.abs(now.i[0, point])
        if np.abs(current / want - 1).max() < 0.005:
            return np.asarray(extra @ shares)
        extra = extra + (want - current) * np.abs(now.v[0, point]) / 1000
    raise SimulationError(
        f"{component} cannot be brought to {target} of its rating", where=f"feeder {feeder.spec.name}"
    )
