"""Which alarms a correct daemon must raise, told from the engine's noise-free values, and what could be doubted.

The rules are those of the alarm table (IEEE 1159 limits with the confirmation and hysteresis written there). They are
written out here a second time on purpose: what the daemon is measured against must not be its own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExpectedAlarm", "doubts", "expected_alarms"]

Floats = NDArray[np.float64]

_DEAD, _HALF, _LOW, _LOW_CLEAR, _HIGH, _HIGH_CLEAR = 0.1, 0.5, 0.9, 0.92, 1.1, 1.08
_COLLINEAR: Final = 0.06
_PHASE_GONE: Final = 0.7
_LOADED, _LOADED_CLEAR = 1.0, 0.95
_CONFIRM: Final = 2
# A value inside one of these open intervals (p.u.) could be read either way by a meter with its errors.
_VOLTAGE_DOUBT: Final = ((0.02, 0.13), (0.66, 0.72), (0.88, 0.935), (1.07, 1.12))
_COLLINEAR_DOUBT: Final = (0.045, 0.10)
_LOAD_DOUBT: Final = (0.90, 1.12)


@dataclass(slots=True)
class ExpectedAlarm:
    """One alarm: `raised_us` is the first reading that satisfies the rule, `cleared_us` the first that ends it."""

    point_id: str
    kind: str
    phases: str
    raised_us: int
    cleared_us: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For reports and comparison."""
        return {
            "pointId": self.point_id,
            "kind": self.kind,
            "phases": self.phases,
            "raisedAfter_us": self.raised_us,
            "clearedAfter_us": self.cleared_us,
        }


def _open_phase(u: Floats) -> NDArray[np.bool_]:
    """(..., 3) p.u.: a phase is gone, or the phasors lie on one line (single-phasing)."""
    low, high = u.min(axis=-1), u.max(axis=-1)
    gone = (low < _DEAD) & (high >= _HALF)
    return np.asarray(gone | ((high >= _HALF) & (np.abs(2 * high - u.sum(axis=-1)) < _COLLINEAR)))


def _names(which: NDArray[np.bool_]) -> str:
    return "".join(name for name, hit in zip("ABC", which.tolist(), strict=True) if hit)


def expected_alarms(
    point_ids: tuple[str, ...], time_us: NDArray[np.int64], u: Floats, load: Floats
) -> list[ExpectedAlarm]:
    """Alarms of T readings of P points: `u` (T, P, 3) voltages in p.u., `load` (T, P, 3) currents in p.u. of rating.

    Starts from a quiet state; sags are taken to last at most a minute (longer undervoltages are not simulated).
    """
    out: list[ExpectedAlarm] = []
    for p, point in enumerate(point_ids):
        busy = (u[:, p].min(axis=1) < _LOW_CLEAR) | (u[:, p].max(axis=1) > _HIGH_CLEAR) | (load[:, p].max(axis=1) > 0.9)
        if busy.any():
            out += _voltage(point, time_us, u[:, p]) + _current(point, time_us, load[:, p])
    return sorted(out, key=lambda a: (a.raised_us, a.point_id, a.kind))


def _voltage(point: str, time_us: NDArray[np.int64], u: Floats) -> list[ExpectedAlarm]:
    out: list[ExpectedAlarm] = []
    active: ExpectedAlarm | None = None
    pending = 0
    open_phase, low, high = _open_phase(u), u.min(axis=1), u.max(axis=1)
    for t in range(len(time_us)):
        kind: str | None = None
        if open_phase[t] and (active is None or active.kind != "openPhase"):
            pending += 1
            if pending < _CONFIRM:
                continue
            kind = "openPhase"
        elif open_phase[t] or (active is not None and active.kind == "openPhase" and _DEAD <= low[t] < _LOW_CLEAR):
            kind = "openPhase"
        elif high[t] < _DEAD:
            kind = "interruption"
        elif low[t] < _LOW or (active is not None and active.kind == "voltageSag" and low[t] < _LOW_CLEAR):
            kind = "voltageSag"
        elif high[t] > _HIGH or (active is not None and active.kind == "voltageSwell" and high[t] > _HIGH_CLEAR):
            kind = "voltageSwell"
        pending = 0
        if active is not None and kind != active.kind:
            active.cleared_us = int(time_us[t])
            active = None
        if kind is not None and active is None:
            limits = {"openPhase": u[t] < _PHASE_GONE, "interruption": u[t] < _DEAD, "voltageSag": u[t] < _LOW}
            active = ExpectedAlarm(point, kind, _names(limits.get(kind, u[t] > _HIGH)), int(time_us[t]))
            out.append(active)
    return out


def _current(point: str, time_us: NDArray[np.int64], load: Floats) -> list[ExpectedAlarm]:
    out: list[ExpectedAlarm] = []
    active: ExpectedAlarm | None = None
    over = 0
    worst = load.max(axis=1)
    for t in range(len(time_us)):
        over = over + 1 if worst[t] > _LOADED else 0
        if active is not None and worst[t] < _LOADED_CLEAR:
            active.cleared_us, active = int(time_us[t]), None
        elif active is None and over >= _CONFIRM:
            active = ExpectedAlarm(point, "overload", _names(load[t] > _LOADED), int(time_us[t]))
            out.append(active)
    return out


def doubts(point_ids: tuple[str, ...], u: Floats, load: Floats) -> list[str]:
    """What a meter's error could turn: values (T, P, 3) within the margin of a limit, one line per point and limit."""
    top = u.max(axis=2)
    line = np.where(top >= _HALF, np.abs(2 * top - u.sum(axis=2)), np.inf)[..., None]
    checks = [("voltage", u, low, high) for low, high in _VOLTAGE_DOUBT]
    checks += [("collinearity", line, *_COLLINEAR_DOUBT), ("loading", load, *_LOAD_DOUBT)]
    out: list[str] = []
    for what, values, low, high in checks:
        inside = (values > low) & (values < high)
        for p in np.flatnonzero(inside.any(axis=(0, 2))):
            found = values[:, p][inside[:, p]]
            out.append(f"{point_ids[p]}: {what} {found.min():.3f}..{found.max():.3f} p.u.")
    return out
