"""Features of a whole feeder at one minute, from the minute means of its members' windows.

The head point meters the infeed on the low-voltage side of the supplying transformer; leaves are the members that meter
loads, plants and banks; other members (breakers, lines) stand between and take no part in the balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.margins import MARGIN_FEATURES, margins
from remhart_adt.scoring.members import Members, added
from remhart_adt.scoring.moves import MOVE_FEATURES, DayMoves
from remhart_adt.scoring.types import UNITS, FeederInfo
from remhart_adt.scoring.windows import MINUTE_COLUMNS, MINUTE_US, SLOT_US, Windows

__all__ = ["DEMAND_LAGS", "FEEDER_FEATURES", "FeederView", "Missing", "feeder_features", "markdown"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_NEVER: Final = int(np.iinfo(np.int64).min)
# A member whose newest minute lies further back than this takes part no longer: loads change too much in between.
STALE_MINUTES: Final = 5

DEMAND_LAGS: Final = (1, 2, 4, 95, 96)
_NO_RAMP: Final = 1e12
# Nothing at all would leave no room to be dispatched in.
_LEAST_W: Final = 1.0

# name -> (formula, unit)
FEEDER_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "infeed_w": ("P of the head point, minute mean", "W"),
    "head_load": ("S of the head point over the transformer's rating, or over 3 Vn In of the head", "p.u."),
    "head_reactive": ("Q / S of the head point", "-"),
    "head_unbalance": ("(3 sum P^2 / (sum P)^2 - 1) over the head's phases, at most 3", "-"),
    "head_square": ("sum of I^2 at the head over 3 In^2", "p.u."),
    "leaf_share": ("sum of |P| of the leaves over |P| of the head, at most 3", "-"),
    "balance": ("(P of the head less sum of P of the leaves) over P of the head, within -1..1", "-"),
    "drop_loss": ("sum over leaves and phases of P (V_head / V_leaf - 1) over P of the head, within -1..1", "-"),
    "drop_mean": ("mean over leaves and phases of (V_head - V_leaf) / Vn", "p.u."),
    "drop_max": ("largest (V_head - V_leaf) / Vn over leaves and phases", "p.u."),
    "no_load_share": ("declared no-load loss over P of the head, within 0..1; NaN when not declared", "-"),
    "load_loss_share": ("declared load loss x head_load^2 over P of the head, within 0..1; NaN likewise", "-"),
    "rated_va": ("rating that head_load is relative to", "VA"),
    "demand": ("what the head and all units that can be dispatched supply together, over rated_va", "p.u."),
    **{f"demand_lag{k}": (f"the same, quarter-hour mean, {k} quarter hours back", "p.u.") for k in DEMAND_LAGS},
    "hour_sin": ("sin of the local time of day of the head", "-"),
    "hour_cos": ("cos of the local time of day of the head", "-"),
    **{
        f"unit{k}_{name}": (f"{what} of unit {k}; unit 1 is the infeed; NaN when there is none", unit)
        for k in range(1, UNITS + 1)
        for name, (what, unit) in {
            "power": ("P supplied, minute mean,", "W"),
            "low": ("declared least P", "W"),
            "high": ("declared greatest P; of a renewable source what it gives now", "W"),
            "ramp": ("declared greatest change of P (1e12: no limit)", "W/min"),
            "cost_b": ("declared linear cost", "1/kWh"),
            "cost_c": ("declared quadratic cost", "1/kW^2h"),
        }.items()
    },
    **MOVE_FEATURES,
    "head_q": ("Q of the head over that rating", "p.u."),
    "v_head": ("mean phase voltage of the head over nominal", "p.u."),
    "v_lowest": ("lowest energised phase voltage of all members over nominal", "p.u."),
    "v_highest": ("highest phase voltage of all members over nominal", "p.u."),
    "short_circuit_v": ("declared short-circuit voltage of the transformer; NaN when not declared", "p.u."),
    "tap_position": ("tap position; NaN when position, limits or step are not declared", "-"),
    "tap_down": ("positions below the present one; NaN likewise", "-"),
    "tap_up": ("positions above the present one; NaN likewise", "-"),
    "tap_step": ("voltage of one tap position; NaN likewise", "p.u."),
    "steps_on": ("capacitor steps that are on; NaN when the bank or its state is not declared", "-"),
    "steps_off": ("capacitor steps that are off; NaN likewise", "-"),
    "bank_step": ("size of one step over the rating; NaN likewise", "p.u."),
    **MARGIN_FEATURES,
}
_M: Final = {name: i for i, name in enumerate(MINUTE_COLUMNS)}


class Missing(Exception):  # noqa: N818 - carries the reason of an abstention, it is no error
    """The feeder cannot be judged: `reason`, the members that are missing, and the minute it was asked of."""

    def __init__(self, reason: str, members: Sequence[str] = (), time_us: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.members = tuple(members)
        self.time_us = time_us


def feeder_features(
    windows: Sequence[Windows], feeder: FeederInfo, members: Sequence[str], *, day: bool = False
) -> tuple[int, F32]:
    """End of the minute spoken of (us) and its features (1, len(FEEDER_FEATURES)).

    Those of the last day and its moves cost more than all others together: without `day` they are NaN.
    The minute is the latest complete one of the most advanced member. Raises Missing with the reason and the list.
    """
    return FeederView(windows, feeder.head_id, members).features(feeder, day=day)


class FeederView:
    """A feeder's members in some windows, looked up once, and what need not be made anew every minute."""

    def __init__(self, windows: Sequence[Windows], head_id: str, members: Sequence[str]) -> None:
        self._made_of = _made_of(windows, head_id, members)
        self._members = Members.of(windows, head_id, members)
        self._names = tuple(dict.fromkeys((head_id, *members)))
        self._moves = DayMoves()

    def holds(self, windows: Sequence[Windows], head_id: str, members: Sequence[str]) -> bool:
        """Whether this is still the view of these members: the same windows, and no point of theirs new or renewed."""
        return self._made_of == _made_of(windows, head_id, members)

    def features(self, feeder: FeederInfo, *, day: bool) -> tuple[int, F32]:
        """As `feeder_features`."""
        members = self._members
        complete = members.collect(_complete) if members.ids else np.zeros(0, np.int64)
        if not len(complete) or (latest := int(complete.max())) == _NEVER:
            raise Missing("no complete minute of any member yet", self._names)
        end_us = (latest + 1) * MINUTE_US
        means = members.collect(lambda window, row: _means(window, row, latest))
        values, there = means[:, :-1], means[:, -1] > 0
        if members.absent or not there.all():
            gone = {*members.absent, *(members.ids[k] for k in np.flatnonzero(~there).tolist())}
            absent = tuple(name for name in self._names if name in gone)
            raise Missing(f"missing members: {_names(absent)}", absent, end_us)
        if np.isnan(values[0, :9]).all():
            raise Missing("missing channel: p, v of the head", (feeder.head_id,), end_us)
        row = _features(feeder, members, values, end_us)
        row |= _supply(feeder, members, values, end_us, row)
        row |= margins(members, values, row["rated_va"], end_us - MINUTE_US)
        moves = self._moves.features(members, feeder, end_us, row["rated_va"]) if day else {}
        row |= {name: moves.get(name, float("nan")) for name in MOVE_FEATURES}
        return end_us, np.array([[row[name] for name in FEEDER_FEATURES]], np.float32)


def _made_of(windows: Sequence[Windows], head_id: str, members: Sequence[str]) -> tuple[Any, ...]:
    return [(window, window.generation) for window in windows], head_id, tuple(members)


def _complete(window: Windows, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each member's newest minute with a reading that a later reading of it has ended; the least number for none."""
    tags = window.minute_tag[row]
    ended: NDArray[np.int64] = np.where(tags < (window.last_us[row] // MINUTE_US)[:, None], tags, _NEVER).max(1)
    return ended


def _means(window: Windows, row: NDArray[np.int64], latest: int) -> F64:
    """Each member's newest minute at or before `latest`, not staler than allowed, (rows, MINUTE_COLUMNS), and behind it
    whether there is one."""
    tags = window.minute_tag[row]
    usable = (tags <= latest) & (tags >= latest - STALE_MINUTES)
    cell = np.where(usable, tags, _NEVER).argmax(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = window.minute_sum[row, cell] / window.minute_n[row, cell]
    return np.concatenate([mean, usable.any(1, keepdims=True)], axis=1)


def _features(feeder: FeederInfo, members: Members, values: F64, end_us: int) -> dict[str, float]:
    head, info = values[0], members.infos[0]
    p, q, v = np.nan_to_num(head[0:3]), np.nan_to_num(head[3:6]), head[6:9]
    infeed, reactive = float(p[0] + p[1] + p[2]), float(q[0] + q[1] + q[2])
    apparent = float(np.hypot(infeed, reactive))
    rated = feeder.rated_va or (3 * info.nominal_v_ln * info.rated_a if info.rated_a else float("nan"))
    part, u = values[members.leaf, 0:3], values[members.leaf, 6:9]
    have = ~np.isnan(part)
    silent = np.flatnonzero(members.leaf)[np.isnan(part).all(1)].tolist()
    if silent:
        without_p = tuple(members.ids[k] for k in silent)
        raise Missing(f"missing channel: p of {_names(without_p)}", without_p, end_us)
    # Below 1 % of its rating, or feeding back, a feeder's losses in percent of its infeed mean nothing.
    if not len(part) or not infeed > 0.01 * rated:
        reason = "no member meters a load" if not len(part) else "infeed below 1 % of the rating or reversed"
        raise Missing(reason, (), end_us)
    own, gross = added(part[have]), added(np.abs(part[have]))
    live = have & (u > 0.5 * info.nominal_v_ln) & (v > 0.5 * info.nominal_v_ln)
    if not live.any():
        raise Missing("feeder not energised", (), end_us)
    above = np.broadcast_to(v, u.shape)[live]
    drop = added(part[live] * (above / u[live] - 1))
    drops = (above - u[live]) / info.nominal_v_ln
    load = apparent / rated
    return {
        "infeed_w": infeed,
        "head_load": load,
        "head_reactive": reactive / apparent,
        "head_unbalance": min(3.0, 3 * float(p[0] ** 2 + p[1] ** 2 + p[2] ** 2) / infeed**2 - 1),
        "head_square": float(head[_M["i2_sum"]]) / (3 * info.rated_a**2) if info.rated_a else float("nan"),
        "leaf_share": min(3.0, gross / infeed),
        "balance": float(np.clip((infeed - own) / infeed, -1, 1)),
        "drop_loss": float(np.clip(drop / infeed, -1, 1)),
        "drop_mean": added(drops) / len(drops),
        "drop_max": float(drops.max()),
        "no_load_share": _share(feeder.no_load_loss_w, 1.0, infeed),
        "load_loss_share": _share(feeder.load_loss_w, load**2, infeed),
        "rated_va": rated,
        "head_q": reactive / rated,
        **_voltages(members, values),
        "short_circuit_v": float("nan") if feeder.short_circuit_v is None else feeder.short_circuit_v,
        **_controls(feeder, rated),
    }


def _supply(
    feeder: FeederInfo, members: Members, values: F64, end_us: int, row: Mapping[str, float]
) -> dict[str, float]:
    """The units that can be dispatched, and what all of them have to supply, now and before."""
    rated = row["rated_va"]
    hour = 2 * np.pi * ((end_us / 3.6e9 + members.infos[0].utc_offset_min / 60) % 24) / 24
    out = {"hour_sin": float(np.sin(hour)), "hour_cos": float(np.cos(hour))}
    at = {unit.point_id: members.ids.index(unit.point_id) for unit in feeder.units if unit.point_id in members.ids}
    units = [unit for unit in feeder.units if unit.point_id in at][:UNITS]
    own = [at[point] for point in sorted({unit.point_id for unit in units} - {feeder.head_id})]
    # Meters count into the load positive: what a unit supplies is the negative of its point's P, but not the infeed's.
    out["demand"] = (row["infeed_w"] - sum(float(np.nansum(values[k, :3])) for k in own)) / rated
    slots = end_us // SLOT_US - np.array(DEMAND_LAGS)
    before = members.collect(lambda window, rows: _slot_means(window, rows, slots), np.array([0, *own], np.int64))
    for k, back in enumerate(DEMAND_LAGS):
        out[f"demand_lag{back}"] = float(before[0, k] - sum(before[1:, k].tolist())) / rated
    for k in range(1, UNITS + 1):
        unit = units[k - 1] if k <= len(units) else None
        facts = dict.fromkeys(("power", "low", "high", "ramp", "cost_b", "cost_c"), float("nan"))
        if unit is not None:
            sign = 1.0 if unit.point_id == feeder.head_id else -1.0
            power, high = sign * float(np.nansum(values[at[unit.point_id], :3])), unit.high_w
            if members.infos[at[unit.point_id]].kind == "renewable_source":
                # Sun and wind give what they give: such a unit can only be told to give less.
                high = min(high, max(unit.low_w, power, _LEAST_W))
            facts = {
                "power": power, "low": unit.low_w, "high": high,
                "ramp": _NO_RAMP if unit.ramp_w_min is None else unit.ramp_w_min,
                "cost_b": unit.cost_b, "cost_c": unit.cost_c,
            }  # fmt: skip
        out |= {f"unit{k}_{name}": value for name, value in facts.items()}
    return out


def _slot_means(window: Windows, row: NDArray[np.int64], slots: NDArray[np.int64]) -> F64:
    """Total P of closed quarter hours (W), (rows, slots); NaN where there is none."""
    at = row[:, None], slots % window.long.shape[1]
    return np.where(window.long_tag[at] == slots, window.long[..., 0][at].astype(np.float64), np.nan)


def _voltages(members: Members, values: F64) -> dict[str, float]:
    """Head's mean, lowest and highest phase voltage in p.u.; a phase below half of nominal is dead and left out."""
    u = values[:, 6:9] / members.nominal_v[:, None]
    head, every = u[0][u[0] > 0.5], u[u > 0.5]
    nan = float("nan")
    return {
        "v_head": float(head.mean()) if len(head) else nan,
        "v_lowest": float(every.min()) if len(every) else nan,
        "v_highest": float(every.max()) if len(every) else nan,
    }


def _controls(feeder: FeederInfo, rated: float) -> dict[str, float]:
    """What can be set, as far as it is declared in full and in order."""
    tap = dict.fromkeys(("tap_position", "tap_down", "tap_up", "tap_step"), float("nan"))
    bank = dict.fromkeys(("steps_on", "steps_off", "bank_step"), float("nan"))
    low, high, at, step = feeder.tap_min, feeder.tap_max, feeder.tap_position, feeder.tap_step
    if low is not None and high is not None and at is not None and step is not None and low <= at <= high:
        tap = {
            "tap_position": float(at), "tap_down": float(at - low), "tap_up": float(high - at), "tap_step": step,
        }  # fmt: skip
    size, steps, on = feeder.bank_step_var, feeder.bank_steps, feeder.steps_on
    if size is not None and steps is not None and on is not None and 0 <= on <= steps:
        bank = {"steps_on": float(on), "steps_off": float(steps - on), "bank_step": size / rated}
    return {**tap, **bank}


def _share(watts: float | None, factor: float, infeed: float) -> float:
    return float("nan") if watts is None else min(1.0, watts * factor / infeed)


def _names(members: Sequence[str], most: int = 8) -> str:
    text = ", ".join(members[:most])
    return text if len(members) <= most else f"{text} and {len(members) - most} more"


def markdown() -> str:
    """The feeder table as `docs/features.md` holds it."""
    rows = (
        f"| {i} | `{name}` | {what} | {unit} |" for i, (name, (what, unit)) in enumerate(FEEDER_FEATURES.items(), 1)
    )
    head = (
        "\n## Feeder features\n\nOne row per feeder and minute.\n\n| # | name | formula | unit |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"
