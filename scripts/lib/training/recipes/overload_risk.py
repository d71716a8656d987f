"""overload_risk: the hottest spot and the highest loading of the next 60 minutes, never falling as current rises.

Both are a fixed share of a physical quantity that rises with current, plus trees that are constrained to rise with
every current-dependent input. The sum therefore rises, and far beyond the training range it still does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, forest, where
from training.recipe import Data, Judged, Runner, boost, compare, mae_metric, output
from training.samples import Samples

# How much the load moves from one quarter hour to the next tells a small network from a large group of customers.
_RISING = ("load_5min", "i_max", "i_max_mean16", "i_max_max16", "load_hour", "load_day_max", "load_next_yesterday",
           "p_ramp")  # fmt: skip
_HEAT = ("hot_spot_now", "hot_spot_hold", "oil_rise", "ambient")
_FREE = ("hour_sin", "hour_cos", "weekend", "window_span_s")
# Shares of the rows that are learned from without these.
_FORGOTTEN = {0.3: ("p_ramp",), 0.2: ("load_next_yesterday",), 0.1: ("load_day_max",), 0.03: ("load_hour",)}
_LEVELS = ("low", "medium", "high", "critical")
_HOT_LIMITS = (98.0, 110.0, 120.0)
_LOAD_LIMITS = (0.8, 1.0, 1.2)


class OverloadRisk:
    id = "overload_risk"
    algorithm = "IEEE C57.91 hot spot and loading, with monotone gradient-boosted trees on top"
    scope, rate = "point", "minute"
    sources, headline = ("heat",), "maxLoading"
    title = "Overload risk"
    definition = (
        "Transformers: highest hot-spot temperature of the next 60 minutes, classes at 98, 110 and 120 degC (IEEE "
        "C57.91). Everything else: highest one-minute phase current of the next 60 minutes over the rating, classes at "
        "0.8, 1.0 and 1.2. Truth lies in the future and comes from the noise-free current."
    )
    baseline = "the present load held for 60 minutes (for transformers through the IEEE C57.91 equations)"
    inputs = (*_RISING, *_HEAT, *_FREE, "is_transformer")
    outputs = (
        output("riskLevel", "enum", "class of the quantity that rules", values=_LEVELS),
        output("riskScore", "double", "probability that 110 degC, or the rating, is exceeded", range=(0, 1)),
        output("maxHotSpot", "double", "hottest spot of the next 60 minutes", unit="degC", optional=True),
        output("maxLoading", "double", "highest loading of the next 60 minutes", unit="p.u.", range=(0, None)),
        output("timeToLimit", "double", "time until that limit is reached", unit="min", range=(0, 60), optional=True),
    )
    needs: ClassVar[dict[str, Any]] = {"channels": ("i_a", "i_b", "i_c"), "rating": True}
    limits = (
        "Without an ambient or oil temperature a transformer is judged by its loading, and maxHotSpot is absent.",
        "Knows no switching plans: a transfer of load in the coming hour is not foreseen.",
        "On a measured transformer, logged every 15 minutes, maxLoading is 0.01 p.u. worse than the load held.",
        "That is no blind test: it was 0.105 p.u. off there (now 0.050) before gaps and groups were learned from.",
        "Learned from and judged on groups of customers too: a third of the points are sums of 8 to 256 services.",
        "The published design names a support vector machine; monotone trees keep risk from falling with current.",
        "Thermal constants are those the twin declares, else typical ones of an ONAN unit.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        thermal = (x[:, INDEX["is_transformer"]] > 0) & np.isfinite(x[:, INDEX["hot_spot_hold"]])
        line = x[:, INDEX["is_transformer"]] == 0
        return np.asarray((thermal | line) & np.isfinite(x[:, INDEX["load_5min"]]))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        learn = _forgetful(learn)
        rounds = 30 if data.quick else 130
        load_names, heat_names = (*_RISING, *_FREE), (*_RISING, *_HEAT, *_FREE)
        load, load_share = self._fit(
            learn, check, load_names, learn.x[:, INDEX["load_5min"]], learn.y["load"], check.y["load"],
            check.x[:, INDEX["load_5min"]], rounds, 0.03,
        )  # fmt: skip
        hot_learn, hot_check = (s.take(s.x[:, INDEX["is_transformer"]] > 0) for s in (learn, check))
        rise = [s.x[:, INDEX["hot_spot_hold"]] - s.x[:, INDEX["ambient"]] for s in (hot_learn, hot_check)]
        above = [s.y["hot"] - s.x[:, INDEX["ambient"]] for s in (hot_learn, hot_check)]
        hot, hot_share = self._fit(hot_learn, hot_check, heat_names, rise[0], above[0], above[1], rise[1], rounds, 1.0)

        def parts(i: Inputs) -> tuple[Expr, Expr]:
            now = i["load_5min"]
            loading = (now * load_share + forest(load, i[load_names])).most(now)
            air = i["ambient"].nan_to(0.0)
            spot = air + (i["hot_spot_hold"].nan_to(0.0) - air) * hot_share + forest(hot, i[heat_names])
            return loading, spot.most(i["hot_spot_now"].nan_to(-60.0))

        scales = [
            self._scale(parts, hot_check, 1, 110.0, "hot"),
            self._scale(parts, check.take(check.x[:, INDEX["is_transformer"]] == 0), 0, 1.0, "load"),
        ]

        def function(i: Inputs) -> Mapping[str, Expr]:
            loading, spot = parts(i)
            thermal = (i["is_transformer"] > 0.5) & ~i["hot_spot_hold"].isnan()
            level = where(thermal, _steps(spot, _HOT_LIMITS), _steps(loading, _LOAD_LIMITS))
            score = where(thermal, ((spot - 110.0) / scales[0]).sigmoid(), ((loading - 1.0) / scales[1]).sigmoid())
            return {
                "riskLevel": level.integer(),
                "riskScore": score,
                "maxHotSpot": where(thermal, spot, float("nan")),
                "maxLoading": loading,
                "timeToLimit": where(
                    thermal,
                    _time_to(i["hot_spot_now"].nan_to(0.0), spot, 110.0),
                    _time_to(i["load_5min"], loading, 1.0),
                ),
            }

        facts = {"rows": len(learn), "trees": 2 * rounds, "share_of_load": load_share, "share_of_rise": hot_share}
        return function, facts

    def _fit(
        self, learn: Samples, check: Samples, names: tuple[str, ...], base: NDArray[Any], y: NDArray[Any],
        y_check: NDArray[Any], base_check: NDArray[Any], rounds: int, huber: float,
    ) -> tuple[Any, float]:  # fmt: skip
        """Trees on what a share of the physical quantity leaves, and the share with the least error on other weeks."""
        monotone = [0 if name in _FREE else 1 for name in names]
        at = [INDEX[name] for name in names]
        best: tuple[float, Any, float] | None = None
        for share in (0.3, 0.5, 0.7, 0.85, 0.95):
            booster = boost(learn.x[:, at], y - share * base, rounds, 5, monotone=monotone, huber=huber)
            guess = share * base_check + forest(booster, Expr(check.x[:, at])).a[:, 0]
            error = float(np.abs(guess - y_check).mean())
            if best is None or error < best[0]:
                best = (error, booster, share)
        assert best is not None
        return best[1], best[2]

    def _scale(self, parts: Any, check: Samples, which: int, limit: float, truth: str) -> float:
        """Width of the logistic curve with the best Brier score on weeks that trained no tree."""
        i = Inputs(self.inputs, check.x[:, [INDEX[name] for name in self.inputs]])
        distance = parts(i)[which].a[:, 0] - limit
        over = check.y[truth] > limit
        widths = np.geomspace(0.005, 0.3, 25) * (40 if which else 1)
        brier = [float(((1 / (1 + np.exp(-np.clip(distance / w, -40, 40)))) - over).__pow__(2).mean()) for w in widths]
        return float(widths[int(np.argmin(brier))])

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return samples.y["load"], samples.x[:, INDEX["load_5min"]]

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        thermal = samples.x[:, INDEX["is_transformer"]] > 0
        hot, load = samples.y["hot"], samples.y["load"]
        held = samples.x[:, INDEX["hot_spot_hold"]]
        now = samples.x[:, INDEX["load_5min"]]
        spots, lines = samples.take(thermal), samples.take(~thermal)
        judged = Judged()
        judged.metrics.append(
            mae_metric("MAE maxHotSpot", "K", on, spots, (answer["maxHotSpot"] - hot)[thermal], (held - hot)[thermal],
                       self.baseline)
        )  # fmt: skip
        judged.metrics.append(
            mae_metric("MAE maxLoading", "p.u.", on, lines, (answer["maxLoading"] - load)[~thermal],
                       (now - load)[~thermal], self.baseline)
        )  # fmt: skip
        truth = np.where(thermal, np.digitize(hot, _HOT_LIMITS), np.digitize(load, _LOAD_LIMITS))
        simple = np.where(thermal, np.digitize(held, _HOT_LIMITS), np.digitize(now, _LOAD_LIMITS))
        said = answer["riskLevel"]

        def f1(rows: NDArray[np.int64]) -> tuple[float, float]:
            return macro_f1(truth[rows], said[rows], 4), macro_f1(truth[rows], simple[rows], 4)

        judged.metrics.append(
            compare("macro-F1 riskLevel", "-", on, samples.block, f1, self.baseline, lower_is_better=False)
        )
        judged.facts[f"class shares low/medium/high/critical, {on}"] = [
            round(float((truth == k).mean()), 4) for k in range(4)
        ]
        judged.facts[f"recall of critical, {on}"] = round(float((said[truth == 3] == 3).mean()), 4)
        over = np.where(thermal, hot > 110, load > 1.0)
        judged.facts[f"Brier score of riskScore (base rate), {on}"] = [
            round(float(((answer["riskScore"] - over) ** 2).mean()), 5),
            round(float(over.mean() * (1 - over.mean())), 5),
        ]  # fmt: skip
        return judged


def _forgetful(samples: Samples) -> Samples:
    """The rows, some without their past: points that have just been installed, and loggers with gaps."""
    rng = np.random.default_rng(17)
    x, draw = samples.x.copy(), rng.random(len(samples))
    for share, names in _FORGOTTEN.items():
        rows = draw < share
        for name in names:
            x[rows, INDEX[name]] = np.nan
    return replace(samples, x=x)


def _steps(value: Expr, limits: tuple[float, ...]) -> Expr:
    """How many limits are reached, as float."""
    total = (value >= limits[0]).number()
    for limit in limits[1:]:
        total = total + (value >= limit).number()
    return total


def _time_to(now: Expr, most: Expr, limit: float) -> Expr:
    """Minutes until the limit if the quantity rises evenly to its highest; 0 when over it now, NaN when never."""
    minutes = ((limit - now) / (most - now).most(1e-6) * 60.0).clip(0.0, 60.0)
    return where(most >= limit, minutes, float("nan"))


def macro_f1(truth: NDArray[Any], said: NDArray[Any], classes: int) -> float:
    """Mean F1 over the classes that occur in the truth or the answers."""
    scores = []
    for k in range(classes):
        hit = float(((truth == k) & (said == k)).sum())
        miss = float(((truth == k) ^ (said == k)).sum())
        if hit + miss:
            scores.append(2 * hit / (2 * hit + miss))
    return float(np.mean(scores))
