"""Features of a whole feeder at one minute, from the minute means of its members' windows.

The head point meters the infeed on the low-voltage side of the supplying transformer; leaves are the members that meter
loads, plants and banks; other members (breakers, lines) stand between and take no part in the balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.margins import MARGIN_FEATURES, margins
from remhart_adt.scoring.moves import MOVE_FEATURES, move_features
from remhart_adt.scoring.types import UNITS, FeederInfo, PointInfo
from remhart_adt.scoring.windows import MINUTE_COLUMNS, MINUTE_US, SLOT_US, Windows

__all__ = ["DEMAND_LAGS", "FEEDER_FEATURES", "LEAF_KINDS", "Missing", "feeder_features", "markdown"]

LEAF_KINDS: Final = frozenset({"load", "meter", "renewable_source", "capacitor_bank"})
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
) -> tuple[int, NDArray[np.float32]]:
    """End of the minute spoken of (us) and its features (1, len(FEEDER_FEATURES)).

    Those of the last day and its moves cost more than all others together: without `day` they are NaN.
    The minute is the latest complete one of the most advanced member. Raises Missing with the reason and the list.
    """
    homes = {member: _home(windows, member) for member in dict.fromkeys((feeder.head_id, *members))}
    minutes = [_complete(*home) for home in homes.values() if home is not None]
    known = [minute for minute in minutes if minute is not None]
    if not known:
        raise Missing("no complete minute of any member yet", tuple(homes))
    latest = max(known)
    end_us = (latest + 1) * MINUTE_US
    means = {m: _mean(*home, latest) if home is not None else None for m, home in homes.items()}
    absent = tuple(m for m, mean in means.items() if mean is None)
    if absent:
        raise Missing(f"missing members: {_names(absent)}", absent, end_us)
    infos = {m: home[0].infos[home[1]] for m, home in homes.items() if home is not None}
    values = {m: mean for m, mean in means.items() if mean is not None}
    no_power = tuple(m for m, v in values.items() if m == feeder.head_id and np.isnan(v[:9]).all())
    if no_power:
        raise Missing("missing channel: p, v of the head", no_power, end_us)
    row = _features(feeder, infos, values, end_us)
    found = {m: home for m, home in homes.items() if home is not None}
    row |= _supply(feeder, infos, values, found, end_us, row)
    leaves = [m for m in infos if m != feeder.head_id and infos[m].kind in LEAF_KINDS]
    row |= margins(feeder.head_id, infos, values, found, leaves, row["rated_va"], end_us - MINUTE_US)
    moves = move_features(found, feeder, infos, end_us, row["rated_va"]) if day else {}
    row |= {name: moves.get(name, float("nan")) for name in MOVE_FEATURES}
    return end_us, np.array([[row[name] for name in FEEDER_FEATURES]], np.float32)


def _home(windows: Sequence[Windows], member: str) -> tuple[Windows, int] | None:
    for window in windows:
        row = window.row_of(member)
        if row is not None:
            return window, row
    return None


def _complete(window: Windows, row: int) -> int | None:
    """The newest minute with a reading that a later reading of this member has ended."""
    running = int(window.last_us[row]) // MINUTE_US
    tags = window.minute_tag[row]
    done = tags[(tags < running) & (tags > np.iinfo(np.int64).min)]
    return int(done.max()) if len(done) else None


def _mean(window: Windows, row: int, latest: int) -> NDArray[np.float64] | None:
    """The member's newest minute at or before `latest`, not staler than allowed; None when there is none."""
    tags = window.minute_tag[row]
    usable = np.flatnonzero((tags <= latest) & (tags >= latest - STALE_MINUTES))
    if not len(usable):
        return None
    cell = usable[np.argmax(tags[usable])]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: NDArray[np.float64] = window.minute_sum[row, cell] / window.minute_n[row, cell]
    return mean


def _features(
    feeder: FeederInfo, infos: Mapping[str, PointInfo], values: Mapping[str, NDArray[np.float64]], end_us: int
) -> dict[str, float]:
    head = values[feeder.head_id]
    info = infos[feeder.head_id]
    p, q, v = np.nan_to_num(head[0:3]), np.nan_to_num(head[3:6]), head[6:9]
    infeed, reactive = float(p[0] + p[1] + p[2]), float(q[0] + q[1] + q[2])
    apparent = float(np.hypot(infeed, reactive))
    rated = feeder.rated_va or (3 * info.nominal_v_ln * info.rated_a if info.rated_a else float("nan"))
    leaves = [m for m in infos if m != feeder.head_id and infos[m].kind in LEAF_KINDS]
    without_p = tuple(m for m in leaves if np.isnan(values[m][:3]).all())
    if without_p:
        raise Missing(f"missing channel: p of {_names(without_p)}", without_p, end_us)
    # Below 1 % of its rating, or feeding back, a feeder's losses in percent of its infeed mean nothing.
    if not leaves or not infeed > 0.01 * rated:
        reason = "no member meters a load" if not leaves else "infeed below 1 % of the rating or reversed"
        raise Missing(reason, (), end_us)
    own, drop, drops = 0.0, 0.0, []
    gross = 0.0
    for leaf in leaves:
        part, u = values[leaf][0:3], values[leaf][6:9]
        for k in range(3):
            if np.isnan(part[k]):
                continue
            own += float(part[k])
            gross += abs(float(part[k]))
            if u[k] > 0.5 * info.nominal_v_ln and v[k] > 0.5 * info.nominal_v_ln:
                drop += float(part[k] * (v[k] / u[k] - 1))
                drops.append(float((v[k] - u[k]) / info.nominal_v_ln))
    if not drops:
        raise Missing("feeder not energised", (), end_us)
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
        "drop_mean": sum(drops) / len(drops),
        "drop_max": max(drops),
        "no_load_share": _share(feeder.no_load_loss_w, 1.0, infeed),
        "load_loss_share": _share(feeder.load_loss_w, load**2, infeed),
        "rated_va": rated,
        "head_q": reactive / rated,
        **_voltages(feeder, infos, values),
        "short_circuit_v": float("nan") if feeder.short_circuit_v is None else feeder.short_circuit_v,
        **_controls(feeder, rated),
    }


def _supply(
    feeder: FeederInfo,
    infos: Mapping[str, PointInfo],
    values: Mapping[str, NDArray[np.float64]],
    homes: Mapping[str, tuple[Windows, int]],
    end_us: int,
    row: Mapping[str, float],
) -> dict[str, float]:
    """The units that can be dispatched, and what all of them have to supply, now and before."""
    rated = row["rated_va"]
    hour = 2 * np.pi * ((end_us / 3.6e9 + infos[feeder.head_id].utc_offset_min / 60) % 24) / 24
    out = {"hour_sin": float(np.sin(hour)), "hour_cos": float(np.cos(hour))}
    units = [unit for unit in feeder.units if unit.point_id in values][:UNITS]
    own = sorted({unit.point_id for unit in units} - {feeder.head_id})
    # Meters count into the load positive: what a unit supplies is the negative of its point's P, but not the infeed's.
    out["demand"] = (row["infeed_w"] - sum(float(np.nansum(values[point][:3])) for point in own)) / rated
    for back in DEMAND_LAGS:
        before = _slot_mean(*homes[feeder.head_id], end_us // SLOT_US - back)
        before -= sum(_slot_mean(*homes[point], end_us // SLOT_US - back) for point in own)
        out[f"demand_lag{back}"] = before / rated
    for k in range(1, UNITS + 1):
        unit = units[k - 1] if k <= len(units) else None
        facts = dict.fromkeys(("power", "low", "high", "ramp", "cost_b", "cost_c"), float("nan"))
        if unit is not None:
            sign = 1.0 if unit.point_id == feeder.head_id else -1.0
            power, high = sign * float(np.nansum(values[unit.point_id][:3])), unit.high_w
            if infos[unit.point_id].kind == "renewable_source":
                # Sun and wind give what they give: such a unit can only be told to give less.
                high = min(high, max(unit.low_w, power, _LEAST_W))
            facts = {
                "power": power, "low": unit.low_w, "high": high,
                "ramp": _NO_RAMP if unit.ramp_w_min is None else unit.ramp_w_min,
                "cost_b": unit.cost_b, "cost_c": unit.cost_c,
            }  # fmt: skip
        out |= {f"unit{k}_{name}": value for name, value in facts.items()}
    return out


def _slot_mean(window: Windows, row: int, slot: int) -> float:
    """Total P of a closed quarter hour (W); NaN when there is none."""
    at = slot % window.long.shape[1]
    return float(window.long[row, at, 0]) if window.long_tag[row, at] == slot else float("nan")


def _voltages(
    feeder: FeederInfo, infos: Mapping[str, PointInfo], values: Mapping[str, NDArray[np.float64]]
) -> dict[str, float]:
    """Head's mean, lowest and highest phase voltage in p.u.; a phase below half of nominal is dead and left out."""
    live = {}
    for member, info in infos.items():
        u = values[member][6:9] / info.nominal_v_ln
        live[member] = u[u > 0.5]
    every = np.concatenate(list(live.values()))
    head = live[feeder.head_id]
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
