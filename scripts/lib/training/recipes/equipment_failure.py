"""equipment_failure: thermal stress, and the probability of a thermal alarm within the next 24 hours.

Ageing and life used are the formulas of IEEE C57.91, computed. The probability comes from gradient-boosted trees that
are constrained to rise with everything that rises with current, and a logistic curve fitted on other weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.stress import LEAST
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, compare, mae_metric, output
from training.samples import Samples
from training.stress_set import HOT_ALARM, LOAD_ALARM

_LOAD = (
    "i_max", "load_5min", "load_hour", "load_next_yesterday", "load_day_max", "load_hour_day_max", "s_day_max",
    "s_days_max", "s_days_mean", "s_day_week_ago",
)  # fmt: skip
_HEAT = ("hot_spot_now", "hot_spot_hold", "hot_spot_day_max", "life_day", "oil_rise", "ambient")
_CLOCK = ("hour_sin", "hour_cos", "week_sin", "week_cos", "weekend")
_AGES = ("hot_spot_day_age", "load_hour_day_age")
# From here on the alarm is expected, and its time is given.
_EXPECTED = 0.5
# Phase current over apparent power, both per unit: between a low voltage's inverse and a load on one phase.
_PER_POWER = (0.8, 3.0)
_WEEKLY_ALERTS = 1.0


class EquipmentFailure:
    id = "equipment_failure"
    algorithm = "IEEE C57.91 ageing; alarm within 24 h by monotone gradient-boosted trees, calibrated (Platt)"
    scope, rate = "point", "quarter_hour"
    sources, headline = ("stress",), "failureRisk"
    title = "Equipment failure"
    definition = (
        "Thermal stress, not failure: no record of real failures was available. failureRisk is the probability that a "
        "thermal alarm begins or lasts at any minute of the next 24 hours. Transformers: hot spot above 120 degC, the "
        "limit of normal life expectancy loading of power transformers (IEEE C57.91-2011 clause 9; clause 8 allows "
        "distribution transformers more), by the equations of clause 7. "
        "Everything else, and a transformer without a temperature: the root mean square of the highest phase current "
        "over the last 60 minutes above the rating (IEC 60364-4-43 clause 433.1 wants the current of the circuit not "
        "to exceed its continuous rating; the hour is the conventional time of small fuses, chosen by this project). "
        "Truth lies in the future and comes from the noise-free current, integrated minute by minute. "
        "agingAcceleration is FAA = exp(15000/383 - 15000/(hot spot + 273)) of the hot spot now, lossOfLife the mean "
        "FAA of the last 96 quarter hours times 24 h over 180 000 h (clause 5), both exact formulas of the hot spot."
    )
    baseline = "whether there was such an alarm in the last 24 h, with the rates that followed in the training worlds"
    inputs = (*_LOAD, *_HEAT, *_CLOCK, *_AGES, "is_transformer")
    outputs = (
        output("failureRisk", "double", "probability of a thermal alarm within 24 hours", range=(0, 1)),
        output("agingAcceleration", "double", "ageing relative to that at 110 degC, transformers", range=(0, None),
               optional=True),
        output("lossOfLife", "double", "insulation life used in the last 24 hours, transformers", unit="%",
               range=(0, None), optional=True),
        output("timeToFailure", "integer", "time until the alarm is expected; absent when none is", unit="h",
               range=(0, 24), optional=True),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {
        "channels": ("i_a", "i_b", "i_c"), "rating": True, "quarters_of_current": LEAST,
    }  # fmt: skip
    limits = (
        "No real failures were available: an alarm here is a temperature or a current above its limit, in simulation.",
        "Winding, bushing, tap changer and oil quality fail for reasons that no current shows; none of it is seen.",
        "Without an ambient or oil temperature a transformer is judged by its current; no ageing, no life used.",
        "Knows no weather forecast and no switching plans; an alarm after a cool day is mostly missed.",
        "Thermal constants are those the twin declares, else typical ones of an ONAN unit.",
        "A meter that reads every 15 minutes takes a motor start for a quarter hour: life used is then too high.",
        "Days differ in the simulation by a random factor; only its spread (12 %) is measured, at one transformer.",
        "On earlier load shapes, without that factor, the Brier score gained 28 % (unseen weeks) and 12 % (feeder).",
        "The oil and gauge flags of that lightly loaded transformer are not foreseen: failureRisk stayed below 0.06.",
        "Above about 140 degC gas bubbles form (IEEE C57.91): FAA then understates the damage.",
        "timeToFailure is given where failureRisk is at least 0.5.",
    )

    # Fitted on the training worlds, for lines and transformers: share of alarms after a day without and with one; slope
    # and shift of a logistic curve of the last day's highest.
    rules: tuple[tuple[float, ...], ...] = ((0.0, 1.0, 1.0, 0.0),) * 2

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        thermal = (x[:, INDEX["is_transformer"]] > 0) & np.isfinite(x[:, INDEX["hot_spot_hold"]])
        known = np.isfinite(x[:, INDEX["load_5min"]]) & (x[:, INDEX["slots_current"]] >= LEAST)
        return np.asarray((thermal | (x[:, INDEX["is_transformer"]] == 0)) & known)

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds, late = (60, 30) if data.quick else (110, 40)
        self.rules = tuple(_fitted_rules(learn.take(learn.x[:, INDEX["is_transformer"]] == k)) for k in (0, 1))
        risks, curves, times = [], [], []
        for kind in (0, 1):
            own, other = (s.take(s.x[:, INDEX["is_transformer"]] == kind) for s in (learn, check))
            x, signs = _risk_columns(_inputs(own), kind)
            risk = boost(x.a, own.y["alarm"], rounds, 4, rate=0.07, monotone=signs, objective="binary:logistic",
                         leaf=4.0)  # fmt: skip
            margin = forest(risk, _risk_columns(_inputs(other), kind)[0]).a[:, 0].astype(float)
            curves.append(_platt(margin, other.y["alarm"]))
            alarm = own.take(own.y["alarm"] > 0)
            times.append(boost(_time_columns(_inputs(alarm), kind).a, alarm.y["hours"], late, 4, rate=0.1,
                               objective="reg:absoluteerror", leaf=10.0))  # fmt: skip
            risks.append(risk)

        def function(i: Inputs) -> Mapping[str, Expr]:
            thermal = (i["is_transformer"] > 0.5) & ~i["hot_spot_hold"].isnan()
            line, heat = (
                (forest(risks[kind], _risk_columns(i, kind)[0]) * slope + shift).sigmoid()
                for kind, (slope, shift) in enumerate(curves)
            )
            risk = where(thermal, heat, line)
            hours = where(thermal, *(forest(times[kind], _time_columns(i, kind)) for kind in (1, 0)))
            rounded = (hours.clip(0.0, 24.0) + 0.5).floor()
            spot = i["hot_spot_now"]
            aging = ((spot - 110.0) * 15000.0 / ((spot + 273.0) * 383.0)).exp()
            return {
                "failureRisk": risk,
                "agingAcceleration": where(thermal, aging, float("nan")),
                "lossOfLife": where(thermal, i["life_day"], float("nan")),
                "timeToFailure": where(risk >= _EXPECTED, rounded, -1.0).integer(),
            }

        facts = {
            "rows": len(learn), "trees": 2 * (rounds + late), "baseline_rules": [list(r) for r in self.rules],
            "slopes": [round(slope, 4) for slope, _ in curves],
        }  # fmt: skip
        return function, facts

    def _rule(self, samples: Samples) -> NDArray[np.float64]:
        rules = np.array(self.rules)[samples.x[:, INDEX["is_transformer"]].astype(int)]
        return np.where(_above(samples) > 0, rules[:, 1], rules[:, 0])

    def _curve(self, samples: Samples) -> NDArray[np.float64]:
        rules = np.array(self.rules)[samples.x[:, INDEX["is_transformer"]].astype(int)]
        return np.asarray(1 / (1 + np.exp(-np.clip(rules[:, 2] * _above(samples) + rules[:, 3], -35, 35))))

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return samples.y["alarm"], self._rule(samples)

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, rule, alarm = run(x), self._rule(samples), samples.y["alarm"]
        risk = answer["failureRisk"]
        judged = Judged()
        fresh = ~(_above(samples) > 0)
        thermal = samples.x[:, INDEX["is_transformer"]] > 0
        for name, rows in (
            ("Brier score", np.ones(len(alarm), bool)),
            ("Brier score after a day without an alarm", fresh),
            ("Brier score, transformers", thermal),
            ("Brier score, lines", ~thermal),
        ):
            judged.metrics.append(_brier(name, on, samples.take(rows), risk[rows], rule[rows], self.baseline))
        judged.metrics.append(
            _brier("Brier score, against a graded rule", on, samples, risk, self._curve(samples),
                   "a logistic curve of the last day's highest hot spot or hourly current, fitted on training worlds")
        )  # fmt: skip
        judged.metrics.append(
            compare("PR-AUC", "-", on, samples.block, lambda r: (pr_auc(alarm[r], risk[r]), pr_auc(alarm[r], rule[r])),
                    self.baseline, lower_is_better=False)
        )  # fmt: skip
        judged.metrics.append(
            compare("PR-AUC after a day without an alarm", "-", on, samples.block[fresh],
                    lambda r: (pr_auc(alarm[fresh][r], risk[fresh][r]), float(alarm[fresh][r].mean())),
                    "the share of alarms", lower_is_better=False)
        )  # fmt: skip
        said = (answer["timeToFailure"] >= 0) & (alarm > 0)
        at = samples.take(said)
        judged.metrics.append(
            mae_metric("MAE of timeToFailure where given and an alarm came", "h", on, at,
                       answer["timeToFailure"][said] - at.y["hours"], _time_rule(at) - at.y["hours"],
                       "0 when over the limit now, else when the last day's highest returns")
        )  # fmt: skip
        judged.facts |= _facts(samples, risk, rule, answer, fresh, on)
        return judged


def _inputs(samples: Samples) -> Inputs:
    names = EquipmentFailure.inputs
    return Inputs(names, np.ascontiguousarray(samples.x[:, [INDEX[name] for name in names]]))


def _risk_columns(i: Inputs, kind: int) -> tuple[Expr, list[int]]:
    """Columns of the trees and their signs. Daily highest powers also as the currents they would be today."""
    factor = (i["load_hour_day_max"] / i["s_day_max"].most(1e-3)).clip(*_PER_POWER)
    as_current = [i[name] * factor for name in ("s_days_max", "s_days_mean", "s_day_week_ago")]
    physical = (*_LOAD, *_HEAT) if kind else _LOAD
    signs = [1] * (len(physical) + len(as_current)) + [0] * len(_CLOCK)
    return concat([i[physical], *as_current, i[_CLOCK]]), signs


def _time_columns(i: Inputs, kind: int) -> Expr:
    return i[(*_LOAD, *_HEAT, *_CLOCK, *_AGES) if kind else (*_LOAD, *_CLOCK, _AGES[1])]


def _platt(margin: NDArray[np.float64], alarm: NDArray[np.float64]) -> tuple[float, float]:
    """Slope, above 0, and shift of the logistic curve with the least log loss (Newton's method)."""
    z = np.stack([margin, np.ones(len(margin))], axis=1)
    w = np.array([1.0, 0.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -35, 35)))
        # A weak pull towards the trees' own probability, as of one row.
        gradient = z.T @ (p - alarm) + (w - np.array([1.0, 0.0]))
        w = w - np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + np.eye(2), gradient)
    return max(float(w[0]), 0.05), float(w[1])


def _above(samples: Samples) -> NDArray[np.float64]:
    """By how much the meter's own last day, this moment included, went above the alarm limit: in 10 K or in 0.1 p.u."""
    x = samples.x
    hot = np.fmax(x[:, INDEX["hot_spot_day_max"]], x[:, INDEX["hot_spot_now"]]) - HOT_ALARM
    load = np.fmax(x[:, INDEX["load_hour_day_max"]], x[:, INDEX["load_hour"]]) - LOAD_ALARM
    return np.where(x[:, INDEX["is_transformer"]] > 0, hot / 10, load * 10).astype(np.float64)


def _fitted_rules(samples: Samples) -> tuple[float, ...]:
    above, alarm = _above(samples), samples.y["alarm"]
    before = above > 0
    return (float(alarm[~before].mean()), float(alarm[before].mean()), *_platt(np.clip(above, -10, 10), alarm))


def _time_rule(samples: Samples) -> NDArray[np.float64]:
    x = samples.x
    thermal = x[:, INDEX["is_transformer"]] > 0
    over = np.where(thermal, x[:, INDEX["hot_spot_now"]] > HOT_ALARM, x[:, INDEX["load_hour"]] > LOAD_ALARM)
    age = np.where(thermal, x[:, INDEX["hot_spot_day_age"]], x[:, INDEX["load_hour_day_age"]])
    return np.where(over, 0.0, 24.0 - age)


def _brier(
    name: str, on: str, samples: Samples, risk: NDArray[np.float64], rule: NDArray[np.float64], baseline: str
) -> Any:
    alarm = samples.y["alarm"]
    return mae_metric(name, "-", on, samples, (risk - alarm) ** 2, (rule - alarm) ** 2, baseline)


def pr_auc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Average precision; rows of equal score count together."""
    order = np.argsort(-score, kind="stable")
    hit = np.cumsum(truth[order])
    last = np.r_[np.diff(score[order]) != 0, True]
    hit, n = hit[last], np.flatnonzero(last) + 1
    if not hit[-1]:
        return float("nan")
    return float((np.diff(hit, prepend=0) / hit[-1] * hit / n).sum())


def _facts(
    samples: Samples, risk: NDArray[Any], rule: NDArray[Any], answer: Mapping[str, NDArray[Any]],
    fresh: NDArray[np.bool_], on: str,
) -> dict[str, Any]:  # fmt: skip
    alarm, thermal = samples.y["alarm"], samples.x[:, INDEX["is_transformer"]] > 0
    table = []
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        inside = (risk >= low) & (risk < high)
        if inside.any():
            table.append([round(float(risk[inside].mean()), 3), round(float(alarm[inside].mean()), 3),
                          int(inside.sum())])  # fmt: skip
    expected = risk >= _EXPECTED
    known = thermal & np.isfinite(answer["lossOfLife"])
    new = fresh & (alarm > 0)
    life = np.abs(answer["lossOfLife"][known] / samples.y["life"][known] - 1)
    return {
        f"share of rows followed by an alarm / the same after a day without one, {on}": [
            round(float(alarm.mean()), 4), round(float(alarm[fresh].mean()), 4)
        ],
        f"reliability: mean failureRisk, observed share, rows, {on}": table,
        f"recall of alarms at {_WEEKLY_ALERTS:.0f} alert per point and week, model / baseline, {on}": [
            round(_recall(samples, score), 4) for score in (risk, rule)
        ],
        f"share of alarms with failureRisk >= {_EXPECTED} / share of such answers that came true, {on}": [
            round(float(expected[alarm > 0].mean()), 4), round(float(alarm[expected].mean()), 4)
        ],
        f"share of alarms after a day without one that had failureRisk >= {_EXPECTED} / >= 0.2, {on}": [
            round(float((risk[new] >= level).mean()), 4) for level in (_EXPECTED, 0.2)
        ],
        f"relative difference of lossOfLife to the noise-free one, median / 90th percentile, {on}": [
            round(float(q), 4) for q in np.quantile(life, (0.5, 0.9))
        ],
    }  # fmt: skip


def _recall(samples: Samples, score: NDArray[Any]) -> float:
    """One question per point and day, its first row: the share of alarms among the highest answers, as many as make
    `_WEEKLY_ALERTS` per point and week. Equal answers are taken in a random order."""
    key = np.stack([samples.block, samples.y["day"].astype(int), samples.y["point"].astype(int)], axis=1)
    _, first = np.unique(key, axis=0, return_index=True)
    alarm, order = samples.y["alarm"][first], np.random.default_rng(4).permutation(len(first))
    ranked = order[np.argsort(-score[first][order], kind="stable")]
    chosen = ranked[: round(len(first) * _WEEKLY_ALERTS / 7)]
    return float(alarm[chosen].sum() / max(1.0, alarm.sum()))
