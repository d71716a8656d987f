"""What moving one customer's single-phase load to another phase would change: features of a feeder's last day.

A move takes what one leaf draws on phase X, J(t), to phase Y. With D(t) the difference of the currents of X and Y in a
section of the path from the head to the leaf, r its resistance and n r that of its neutral, the section loses
r (2 + 3 n) J (D - J) less: the squares of the phases give 2 J (D - J), the square of the neutral, |A|^2 + |B|^2 + |C|^2
- AB - BC - CA for currents 120 degrees apart, the rest. The same resistances make the voltages of X and Y differ, by
r (1 + 1.5 n) D per section; so a day of voltage drops between head and leaf says what the path would save, without
any knowledge of cables: mean of 2 J (a D_leaf + b (D_head - D_leaf)) - 2 a J^2, where a and b are fitted to the
differences of drops between phases. The reactance of the neutral makes phases differ, too, by the current of the
third one, and loses nothing: it is fitted beside and taken off. A delta-wye transformer loses 2 R J (D_head - J) less,
R from its nameplate.

Which customer moves from X to Y is fixed: the leaf whose mean current on X is nearest to half the difference between
the head's mean currents of X and Y, the first by name among equals. Leaves whose three phases are alike within 10 %
may be three-phase machines and stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import PHASES
from remhart_adt.scoring.members import Members
from remhart_adt.scoring.types import FeederInfo
from remhart_adt.scoring.windows import SHORT_COLUMNS, SHORT_SLOTS, SLACK, SLOT_US, Windows

__all__ = ["DAY_QUARTERS", "MOVE_FEATURES", "PAIRS", "DayMoves", "Move", "chosen_moves"]

F64 = NDArray[np.float64]
DAY_QUARTERS: Final = 96
# From one phase to another, in the order of the features and of the model's answers.
PAIRS: Final = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
_NAMES: Final = tuple(f"{PHASES[x]}{PHASES[y]}".lower() for x, y in PAIRS)
_MOVABLE: Final = frozenset({"load", "meter"})
# Phases of a leaf this much alike (range over mean) may belong to one machine.
_ALIKE: Final = 0.1
# Less than this share of the head's rated current is no load worth a visit.
_LEAST: Final = 0.002
# A single-phase customer's drop holds the neutral's once, r (1 + n) J, where a pair of phases shows r (1 + 1.5 n) D;
# with a neutral as thick as a phase the ratio is 2.5 / 2.
_SINGLE: Final = 1.25
_NEXT: Final = [1, 2, 0]
_LAST: Final = [2, 0, 1]
_COLUMN: Final = {name: k for k, name in enumerate(SHORT_COLUMNS)}
_V, _I, _P, _Q = (slice(_COLUMN[f"{x}_a"], _COLUMN[f"{x}_a"] + 3) for x in "vipq")

_PER_PAIR: Final[Mapping[str, tuple[str, str]]] = {
    "load": ("mean current that would move, over the rated current; 0 when no customer can", "p.u."),
    "line": ("mean of 2 J (a D_leaf + b (D_head - D_leaf)) over the day's infeed", "-"),
    "self": ("mean of 2 a J^2 over the day's infeed", "-"),
    "drop": ("mean of 2 J (drop of X - drop of Y) over the day's infeed; `line` where Y is not metered", "-"),
    "winding": ("mean of 2 R J (D_head - J) over the day's infeed; 0 without nameplate losses", "-"),
}
MOVE_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "head_phases": ("metered phases of the head", "-"),
    "leaves_blind": ("leaves without P and V of a metered phase in the last day", "-"),
    "day_quarters": (
        "quarter hours of the last day with P and V of the head and every leaf, all energised, at most 96",
        "-",
    ),
    "day_infeed_w": ("mean P of the head in those quarter hours", "W"),
    **{f"day_i_{x}": (f"mean current of the head's phase {x.upper()} over the rated current", "p.u.") for x in "abc"},
    **{
        f"move_{what}_{pair}": (f"move {pair[0].upper()} to {pair[1].upper()}: {text}", unit)
        for what, (text, unit) in _PER_PAIR.items()
        for pair in _NAMES
    },
}


class Move:
    """Which leaf would move for each pair (None: no customer can), and the features of a move."""

    def __init__(self, leaves: tuple[str | None, ...], features: dict[str, float]) -> None:
        self.leaves = leaves
        self.features = features


class DayMoves:
    """The features of one feeder's moves, made anew only when a quarter hour of its last day is another than before:
    they are asked for every minute."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._features: dict[str, float] = {}

    def features(self, members: Members, feeder: FeederInfo, end_us: int, rated_va: float) -> dict[str, float]:
        """MOVE_FEATURES of the 96 quarter hours before the running one."""
        wanted = _wanted(end_us)
        tags = members.collect(lambda window, row: window.short_tag[row[:, None], _cells(wanted)])
        # What a quarter hour holds never changes once it is closed.
        key = (members, feeder, rated_va, int(wanted[0]), (tags == wanted).tobytes())
        if key != self._key:
            self._key, self._features = key, chosen_moves(members, feeder, end_us, rated_va).features
        return self._features


def chosen_moves(members: Members, feeder: FeederInfo, end_us: int, rated_va: float) -> Move:
    """MOVE_FEATURES of the 96 quarter hours before the running one, and the customers that the rule chooses."""
    leaves = sorted(np.flatnonzero(members.leaf).tolist(), key=lambda k: members.ids[k])
    names = [members.ids[k] for k in leaves]
    out = dict.fromkeys(MOVE_FEATURES, float("nan"))
    head = members.infos[0]
    out["head_phases"] = float(len(head.phases))
    some = np.array([0, *leaves], np.int64)
    wanted = _wanted(end_us)
    day = members.collect(lambda window, row: _day(window, row, wanted), some)
    wired = members.metered[some]
    known = np.isfinite(day[..., _P]) & np.isfinite(day[..., _V])  # (1 + L, 96, 3)
    out["leaves_blind"] = float((wired[1:] & ~known[1:].any(1)).any(1).sum())
    live = known & (day[..., _V] > 0.5 * head.nominal_v_ln)
    good = (live | ~wired[:, None]).all((0, 2))
    out["day_quarters"] = float(good.sum())
    none: tuple[str | None, ...] = (None,) * len(PAIRS)
    if not good.any() or not wired[0].all() or not names:
        return Move(none, out)
    day = day[:, good]
    rated_a = rated_va / (3 * head.nominal_v_ln)
    infeed = float(day[0, :, _P].sum(1).mean())
    volts = day[..., _V]
    j = np.where(wired[:, None], day[..., _P] / np.maximum(volts, 0.5 * head.nominal_v_ln), 0.0)
    out["day_infeed_w"] = infeed
    amps = day[0, :, _I]
    size = np.where(np.isfinite(amps), amps, np.hypot(day[0, :, _P], np.nan_to_num(day[0, :, _Q])) / volts[0])
    out.update(zip(("day_i_a", "day_i_b", "day_i_c"), (size.mean(0) / rated_a).tolist(), strict=True))
    drop = np.where(wired[1:, None], volts[0] - volts[1:], np.nan)
    path = _path(j[0], j[1:], drop)
    mean = j.mean(1)
    spread = mean[1:].max(1) - mean[1:].min(1)
    alike = wired[1:].all(1) & (spread < _ALIKE * np.abs(mean[1:]).mean(1))
    movable = np.array([members.infos[k].kind in _MOVABLE for k in leaves]) & ~alike
    winding = feeder.load_loss_w / (3 * rated_a**2) if feeder.load_loss_w is not None else 0.0
    scale = max(infeed, 0.001 * rated_va)
    chosen: list[str | None] = []
    for (x, y), pair in zip(PAIRS, _NAMES, strict=True):
        fits = movable & (mean[1:, x] > _LEAST * rated_a)
        out.update((f"move_{what}_{pair}", 0.0) for what in _PER_PAIR)
        if not fits.any():
            chosen.append(None)
            continue
        half = (mean[0, x] - mean[0, y]) / 2
        k = int(np.argmin(np.where(fits, np.abs(mean[1:, x] - half), np.inf)))
        chosen.append(names[k])
        moved, own, all_ = j[1 + k, :, x], j[1 + k, :, x] - j[1 + k, :, y], j[0, :, x] - j[0, :, y]
        a, b, c, d = path[k]
        line = float((2 * moved * (a * own + b * (all_ - own))).mean())
        across = (_across_alone(c * j[1 + k] + d * (j[0] - j[1 + k]))[:, [x, y]] * (1.0, -1.0)).sum(1)
        seen = float((2 * moved * (drop[k, :, x] - drop[k, :, y] - across)).mean())
        out[f"move_load_{pair}"] = float(mean[1 + k, x] / rated_a)
        out[f"move_line_{pair}"] = line / scale
        out[f"move_self_{pair}"] = float((2 * a * moved**2).mean()) / scale
        out[f"move_drop_{pair}"] = (seen if np.isfinite(seen) else line) / scale
        out[f"move_winding_{pair}"] = float((2 * winding * moved * (all_ - moved)).mean()) / scale
    return Move(tuple(chosen), out)


def _wanted(end_us: int) -> NDArray[np.int64]:
    """The 96 quarter hours before the running one, oldest first."""
    return (end_us - 1) // SLOT_US + np.arange(-DAY_QUARTERS, 0)


def _cells(wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    return wanted % (SHORT_SLOTS + SLACK)


def _day(window: Windows, row: NDArray[np.int64], wanted: NDArray[np.int64]) -> F64:
    """Quarter-hour means (rows, 96, SHORT_COLUMNS), NaN where there is none."""
    at = row[:, None], _cells(wanted)
    values: F64 = window.short[at].astype(np.float64)
    values[window.short_tag[at] != wanted] = np.nan
    return values


def _path(head: F64, leaves: F64, drop: F64) -> F64:
    """What explains the drop between head and leaf, ohm (L, 4): a, of the leaf's own current, and b, of the rest of the
    head's, by resistance; the same two by the reactance of the neutral.

    Least squares of the differences between phases. The leaf's own part comes from the changes between quarter hours,
    which neighbours with the same daily habits share least; the rest from the levels around their means, so that the
    constant errors of the meters do not count. A leaf with one phase is fitted by that phase. 0 <= b <= a, as both
    share a part of the path.
    """
    there = ~np.isnan(drop[:, 0])  # (L, 3)
    both: NDArray[np.bool_] = there & there[:, _NEXT]
    single = np.asarray(~both.any(1))
    other = np.where(single[:, None, None], 0.0, 1.0)
    y = drop - other * np.nan_to_num(drop[:, :, _NEXT])
    columns = []
    for j in (leaves, head - leaves):
        columns.append(np.where(single[:, None, None], _alone(j), j - j[..., _NEXT]))
    for j in (leaves, head - leaves):
        columns.append(np.where(single[:, None, None], _across_alone(j), _across(j)))
    use = np.where(single[:, None], there, both)[:, None, :]
    x = np.stack([np.where(use, c - c.mean(1, keepdims=True), 0.0) for c in columns], axis=-1)  # (L, T, 3, 4)
    y = np.where(use, y - y.mean(1, keepdims=True), 0.0)
    first = _solve(np.diff(x, axis=1), np.diff(y, axis=1))
    own = np.stack([np.maximum(first[:, 0], 0.0), first[:, 2]], axis=1)
    rest = _solve(x[..., [1, 3]], y - np.einsum("ltpi,li->ltp", x[..., [0, 2]], own))
    fit = np.stack([own[:, 0], rest[:, 0], own[:, 1], rest[:, 1]], axis=1)
    fit *= np.where(single, _SINGLE, 1.0)[:, None]
    fit[:, 1] = np.clip(fit[:, 1], 0.0, fit[:, 0])
    return fit


def _solve(x: F64, y: F64) -> F64:
    """Least squares of y (L, T, 3) on x (L, T, 3, k) with a little ridge, (L, k)."""
    gram = np.einsum("ltpi,ltpj->lij", x, x)
    size = np.einsum("lii->l", gram)
    gram += (1e-4 * size + 1e-9)[:, None, None] * np.eye(x.shape[-1])
    return np.asarray(np.linalg.solve(gram, np.einsum("ltpi,ltp->li", x, y)[..., None])[..., 0])


def _alone(j: F64) -> F64:
    """What one phase's current and its share of the neutral's do to its own voltage, where the neutral is as thick."""
    return np.asarray(j - (j[..., _NEXT] + j[..., _LAST]) / 4)


def _across_alone(j: F64) -> F64:
    """The neutral current's part across each phase, which its reactance turns into a drop."""
    return np.asarray(np.sqrt(0.75) * (j[..., _NEXT] - j[..., _LAST]))


def _across(j: F64) -> F64:
    """The same for the difference of a phase and the next one."""
    return np.asarray(_across_alone(j) - _across_alone(j)[..., _NEXT])
