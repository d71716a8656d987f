"""demand_response: how much of a point's load is flexible now, which load pattern it follows, and what to ask of it.

Trees estimate the share of the present power that flexible loads draw (a meter cannot see it; the simulator knows).
The pattern is the nearest of four K-means centroids of day shapes; the recommendation is a fixed rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.clusters import ari, kmeans, nearest, silhouette
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, mae_metric, output
from training.samples import Samples

_POWERS = (
    "p_a", "p_b", "p_c", "p_lag1_a", "p_lag1_b", "p_lag1_c", "p_low_a", "p_low_b", "p_low_c", "p_rise_a", "p_rise_b",
    "p_rise_c", "p_step", "p_total_mean16", "p_total_std16", "p_total_min16", "p_total_max16", "p_lag1", "p_lag2",
    "p_lag3", "p_lag4", "p_lag8", "p_lag12", "p_lag24", "p_lag48", "p_lag96", "p_day_mean", "p_day_std", "p_day_max",
    "p_day_min", "p_ramp", "p_night", "p_office", "p_evening", "p_same_15min", "p_same_low", "q_total", "q_step",
    "q_total_std16", "q_lag1", "q_lag4",
)  # fmt: skip
_REST = (
    "p_total", "pf_total", "pf_a", "pf_b", "pf_c", "weekend_ratio", "gap_s", "ambient", "hour_sin", "hour_cos",
    "week_sin", "week_cos", "weekend",
)  # fmt: skip
_REACTIVE = tuple(name for name in (*_POWERS, *_REST) if name.startswith(("q_", "pf_")))
_SHAPE = ("p_day_mean", "p_day_max", "p_day_min", "p_night", "p_office", "p_evening", "weekend_ratio")
_INPUTS = ("base_power", *dict.fromkeys((*_POWERS, *_REST, *_SHAPE)))
_CLUSTERS = ("base_load", "peak_shaver", "flexible", "critical")
_ACTIONS = ("none", "shift", "shed")
_COVER = 0.9
# Not every meter sends reactive power: so many rows are learned from as if it did not.
_BLIND = 0.15
# From this share of the power on, flexible loads are taken to run.
_RUNS = 0.05
# Below this (p.u. of the rating) a load is nothing that a share could be told of.
_LEAST_P = 0.002
# The rule of the recommendation; see `definition`.
_WORTH_SHARE, _WORTH_PU, _HIGH, _FULL = 0.10, 0.01, 0.7, 0.9


class DemandResponse:
    id = "demand_response"
    algorithm = (
        "gradient-boosted trees on the flexible share of the load, conformalised quantile interval; K-means on day "
        "shapes; fixed rule"
    )
    scope, rate = "point", "quarter_hour"
    sources, headline = ("flexible",), "sheddablePower"
    title = "Demand response"
    definition = (
        "sheddablePower is the active power that car chargers, heat pumps and water heaters at the point or behind it "
        "draw at this instant; it could be shed now. No meter shows it; truth is the simulator's noise-free power of "
        "these loads. It is estimated as a share of the present power, from 0 to 1. "
        "responseRecommendation: none when sheddablePower is below 10 % of the power or 1 % of the rating Sn; else "
        "shed when the power is at least day mean + 0.7 (day maximum - day mean) of the last 96 quarter hours, or at "
        "least 0.9 Sn; else shift when the power is above the day mean; else none. "
        "demandCluster: the nearest of four centroids (K-means on the standardised load factor mean/max, base ratio "
        "min/mean, the night's (0 to 6 h), office hours' (9 to 16 h) and evening's (17 to 22 h) mean over the day's "
        "mean, and the weekend ratio). Names go by a fixed rule over the centroids: base_load has the highest base "
        "ratio; of the others critical has the highest load of office hours less that of the night (work that cannot "
        "wait), then flexible the highest night share (charging at night, or photovoltaics at noon), and peak_shaver, "
        "the peak in the evening, is the last. A name describes a shape; it says nothing about a customer's importance."
    )
    baseline = "the mean flexible share of the training worlds times the present power"
    inputs = _INPUTS
    outputs = (
        output("demandCluster", "enum", "load pattern of the last day", values=_CLUSTERS, optional=True),
        output("responseRecommendation", "enum", "what to ask of the flexible loads", values=_ACTIONS),
        output("sheddablePower", "double", "power that flexible loads draw and could shed now", unit="W",
               range=(0, None)),
        output("sheddableLow", "double", "lower end of its 90 % interval", unit="W", range=(0, None)),
        output("sheddableHigh", "double", "upper end of its 90 % interval", unit="W", range=(0, None)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {
        "channels": ["p_a", "p_b", "p_c"], "rating": True, "phases": 3, "energised": True,
        "importing": True, "quarters_of_day": 92,
    }  # fmt: skip
    limits = (
        "Which devices a customer has is not known to the model; it infers them from power alone.",
        "The flexible loads of the training worlds are invented by this project; real ones behave in more ways.",
        "The estimate is a mean over what such a load may be; at one service it is seldom exact (see the interval).",
        "On the unseen feeder the interval holds 91 % of all rows, and 87 % of those where flexible loads run.",
        "Patterns overlap (silhouette 0.17 to 0.26): they are shapes of days, only loosely kinds of customers.",
        "It also goes by the power factor, which is more regular in simulation than in life.",
        "It never exceeds the present power; behind photovoltaics flexible loads may draw more than the meter sees.",
        "Points with fewer than three metered phases were not trained on and get no answer.",
        "It says what runs now, not for how long it can stay off, nor whether anybody may switch it off.",
        "Motors, cooling, lighting and batteries are not counted as flexible; the simulator has no batteries.",
        "The day shape changes when the customer does; the cluster follows a day later.",
    )

    constant: float = 0.0

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        known = np.isfinite(x[:, [INDEX[n] for n in ("p_a", "p_b", "p_c", "p_day_mean", "base_power")]]).all(1)
        return np.asarray(known & (x[:, INDEX["p_total"]] >= 0))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds, ends_rounds = (40, 20) if data.quick else (90, 40)
        x, share, weight = self._rows(learn, blind=True)
        middle = self._middle(x, share, weight, rounds)
        ends = self._ends(x, share, ends_rounds)
        # The interval has to hold on a feeder that was not learned from: each one is left out in turn.
        widths = []
        for out in np.unique(learn.y["feeder"]):
            own = learn.y["feeder"] == out
            widths.append(self._widening(x[own], share[own], self._ends(x[~own], share[~own], ends_rounds)))
        wider = max(0.0, float(np.mean(widths)), self._widening(*self._rows(check)[:2], ends))
        constant = float(learn.y["flexible"].sum() / learn.y["p"].sum())
        centres, mean, scale, stability = self._patterns(learn)

        def function(i: Inputs) -> Mapping[str, Expr]:
            base, p = i["base_power"], i["p_total"].most(0.0)
            columns = self._columns(i)
            middle_share = forest(middle, columns).clip(0.0, 1.0)
            low, high = (
                (forest(end, columns) + by).clip(0.0, 1.0) for end, by in zip(ends, (-wider, wider), strict=True)
            )
            flexible = middle_share * p
            worth = (middle_share >= _WORTH_SHARE) & (flexible >= _WORTH_PU)
            mean_p, top = i["p_day_mean"], i["p_day_max"]
            high_load = (p >= mean_p + (top - mean_p) * _HIGH) | (p >= _FULL)
            action = worth.number() * ((p > mean_p) | high_load).number()
            action = action + worth.number() * high_load.number()
            shape = (self._shape(i).nan_to(0.0) - mean) / scale
            # As many columns for each centre.
            off = shape.take(list(range(len(mean))) * len(centres)) - centres.reshape(1, -1)
            away = -(off * off).sums(len(mean))
            return {
                "demandCluster": where(mean_p > _LEAST_P, away.argmax().number(), -1.0).integer(),
                "responseRecommendation": action.integer(),
                "sheddablePower": flexible * base,
                "sheddableLow": low.least(middle_share) * p * base,
                "sheddableHigh": high.most(middle_share) * p * base,
            }

        facts = {
            "baseline_constant": constant,
            "rows": len(learn),
            "trees": rounds + 2 * ends_rounds,
            "widened_by": wider,
            "bootstrap_ari": stability,
            "centroids": {
                name: [round(float(v), 3) for v in c * scale + mean] for name, c in zip(_CLUSTERS, centres, strict=True)
            },
        }
        return function, facts

    def _columns(self, i: Inputs) -> Expr:
        """Powers over the present power, so that the same shape gives the same share, and the rest as it is."""
        p = i["p_total"].most(_LEAST_P)
        return concat([i[_POWERS] / p, i[_REST]])

    def _shape(self, i: Inputs) -> Expr:
        """Load factor, base ratio, night, office hours and evening over the day's mean, weekend ratio; bounded, since
        with photovoltaics the mean may be near zero. A weekend that is not known yet counts as any other day."""
        mean = i["p_day_mean"].most(_LEAST_P)
        parts = [mean / i["p_day_max"].most(mean), i[("p_day_min", "p_night", "p_office", "p_evening")] / mean]
        return concat([*parts, i["weekend_ratio"].nan_to(1.0)]).clip(0.0, 3.0)

    def _rows(
        self, samples: Samples, *, blind: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Columns, the flexible share, and the power as weight, so that the error of the power is what counts."""
        x = samples.x[:, [INDEX[name] for name in self.inputs]]
        if blind:
            without = np.random.default_rng(5).random(len(x)) < _BLIND
            x[np.ix_(without, [self.inputs.index(name) for name in _REACTIVE])] = np.nan
        i = Inputs(self.inputs, x)
        p = i["p_total"].a[:, 0].astype(np.float64)
        share = np.clip(samples.y["flexible"] / np.maximum(p, _LEAST_P), 0.0, 1.0)
        return self._columns(i).a, share, np.maximum(p, _LEAST_P)

    def _middle(
        self, x: NDArray[np.float32], y: NDArray[np.float64], weight: NDArray[np.float64], rounds: int
    ) -> xgb.Booster:
        return boost(x, y, rounds, 5, rate=0.14, weight=weight / weight.mean(), leaf=40.0)

    def _ends(self, x: NDArray[np.float32], y: NDArray[np.float64], rounds: int) -> tuple[xgb.Booster, xgb.Booster]:
        low, high = (
            boost(x, y, rounds, 4, rate=0.2, objective="reg:quantileerror", alpha=alpha, leaf=40.0)
            for alpha in ((1 - _COVER) / 2, (1 + _COVER) / 2)
        )
        return low, high

    def _widening(self, x: NDArray[np.float32], y: NDArray[np.float64], ends: tuple[xgb.Booster, xgb.Booster]) -> float:
        """By how much both ends of the share must move for the interval to cover what it promises on those of these
        rows where flexible loads run; where none does, it covers nothing's zero with ease."""
        runs = y > _RUNS
        low, high = (np.clip(forest(end, Expr(x[runs])).a[:, 0], 0.0, 1.0) for end in ends)
        return float(np.quantile(np.maximum(low - y[runs], y[runs] - high), _COVER))

    def _shapes(self, samples: Samples, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Day shapes of some rows whose day has a load, and the rows."""
        x = samples.x[:, [INDEX[name] for name in self.inputs]]
        rows = np.flatnonzero(x[:, self.inputs.index("p_day_mean")] > _LEAST_P)
        rows = np.random.default_rng(9).permutation(rows)[:count]
        return self._shape(Inputs(self.inputs, x[rows])).a.astype(np.float64), rows

    def _patterns(
        self, samples: Samples
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
        """Centroids in the order of their names, mean and scale of the columns, and the mean adjusted Rand index of
        K-means on world-days drawn again with replacement against this one."""
        shape, rows = self._shapes(samples, 6000)
        mean, scale = shape.mean(0), shape.std(0) + 1e-6
        z = (shape - mean) / scale
        centres = kmeans(z, len(_CLUSTERS), 1)
        label, block = nearest(z, centres), samples.block[rows]
        names, inverse = np.unique(block, return_inverse=True)
        rng = np.random.default_rng(2)
        agreement = []
        for seed in range(20):
            drawn = np.concatenate([np.flatnonzero(inverse == k) for k in rng.integers(0, len(names), len(names))])
            agreement.append(ari(label, nearest(z, kmeans(z[drawn], len(_CLUSTERS), seed, starts=4))))
        return centres[_named(centres * scale + mean)], mean, scale, float(np.mean(agreement))

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, base = samples.x, samples.x[:, INDEX["base_power"]]
        return samples.y["flexible"] * base, self.constant * x[:, INDEX["p_total"]] * base

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, at = run(x), self.inputs.index
        base, p = x[:, at("base_power")], x[:, at("p_total")].astype(np.float64)
        truth = samples.y["flexible"]
        said, low, high = (answer[k] / base for k in ("sheddablePower", "sheddableLow", "sheddableHigh"))
        judged = Judged()
        single = samples.y["customer"] >= 0
        rules = (
            ("", self.constant * p, self.baseline),
            (", against the load above the least of a week", np.clip(p - x[:, at("p_same_low")], 0, p),
             "the power less the least at this time of the day in 7 days"),
            (", against the load above the day's least", np.clip(p - x[:, at("p_day_min")], 0, p),
             "the power less the least of the last 24 hours"),
            (", against nothing", np.zeros(len(p)), "nothing is flexible"),
        )  # fmt: skip
        for name, rule, text in rules:
            judged.metrics.append(
                mae_metric(f"MAE of sheddable power{name}", "% of Sn", on, samples, 100 * (said - truth),
                           100 * (rule - truth), text)
            )  # fmt: skip
        for name, some in (("single services", single), ("aggregated points", ~single)):
            part = samples.take(some)
            judged.metrics.append(
                mae_metric(f"MAE of sheddable power, {name}", "% of Sn", on, part, 100 * (said - truth)[some],
                           100 * (rules[0][1] - truth)[some], self.baseline)
            )  # fmt: skip
        without = x.copy()
        without[:, [at(name) for name in _REACTIVE]] = np.nan
        blind = np.abs(run(without)["sheddablePower"] / base - truth).mean()
        inside, runs = (truth >= low - 1e-6) & (truth <= high + 1e-6), truth > _RUNS * p
        shape, rows = self._shapes(samples, 2000)
        code, customer = answer["demandCluster"][rows], samples.y["customer"][rows].astype(np.int64)
        one = (customer >= 0) & (code >= 0)
        z = (shape - shape.mean(0)) / (shape.std(0) + 1e-6)
        judged.facts |= {
            f"coverage of the 90 % interval, {on}": round(float(inside.mean()), 4),
            f"coverage where more than 5 % of the power is flexible, {on}": round(float(inside[runs].mean()), 4),
            f"mean width of the interval (% of Sn), {on}": round(float(100 * (high - low).mean()), 2),
            f"MAE where the meter sends no reactive power (% of Sn), {on}": round(float(100 * blind), 3),
            f"sum of the estimates over the true sum, {on}": round(float(said.sum() / truth.sum()), 3),
            f"mean sheddable power (% of Sn), {on}": round(float(100 * truth.mean()), 3),
            f"share of rows where more is flexible than the meter sees, {on}": round(float((truth > p).mean()), 4),
            f"share of none / shift / shed, {on}": [
                round(float((answer["responseRecommendation"] == k).mean()), 4) for k in range(len(_ACTIONS))
            ],
            f"share of {' / '.join(_CLUSTERS)}, {on}": [
                round(float((answer["demandCluster"] == k).mean()), 4) for k in range(len(_CLUSTERS))
            ],
            f"silhouette of the clusters, {on}": round(silhouette(z, code), 3),
            f"adjusted Rand index of the clusters against the class of the customer, single services, {on}": round(
                ari(code[one], customer[one]), 3
            ),
        }  # fmt: skip
        return judged


def _named(centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """The order that gives each centroid (columns as `_shape`) its name in `_CLUSTERS`; see `definition`."""
    left = list(range(len(centres)))

    def take(measure: NDArray[np.float64]) -> int:
        best = max(left, key=lambda k: float(measure[k]))
        left.remove(best)
        return best

    base = take(centres[:, 1])
    critical = take(centres[:, 3] - centres[:, 2])
    flexible = take(centres[:, 2])
    return np.array([base, left[0], flexible, critical])
