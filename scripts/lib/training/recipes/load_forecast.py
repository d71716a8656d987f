"""load_forecast: mean active power of the quarter hours that end in 15 min, 1 h and 24 h, with 80 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX, LAGS_P
from training.expr import Expr, Inputs, ModelFunction, concat, forest
from training.recipe import Data, Judged, Runner, boost, mae_metric, output
from training.samples import Samples

__all__ = ["CLOCK", "HORIZONS", "LEVELS", "NAMES", "LoadForecast", "derived", "naive_error"]

_LAGS = tuple(f"p_lag{k}" for k in LAGS_P)
LEVELS = (*_LAGS, "p_10min", "p_total", "p_total_mean16", "p_day_max", "p_day_min", "p_same_15min", "p_same_1h",
           "p_same_24h")  # fmt: skip
CLOCK = ("hour_sin", "hour_cos", "week_sin", "week_cos", "weekend", "quarter_age_s", "ambient")
# horizon name -> what an engineer would say instead: the last quarter hour, and the same time yesterday
HORIZONS = {"p_15min": ("p_lag1", "p_lag96"), "p_1h": ("p_lag1", "p_lag93"), "p_24h": ("p_lag1", "p_lag1")}
NAMES = {"p_15min": "load15min", "p_1h": "forecastedLoad", "p_24h": "load24h"}


class LoadForecast:
    id = "load_forecast"
    algorithm = "gradient-boosted trees on lags and calendar, split-conformal intervals"
    scope, rate = "point", "quarter_hour"
    sources, headline = ("points",), "forecastedLoad"
    title = "Load forecast"
    definition = (
        "Mean active power (W) of the quarter hour that ends 15 minutes, 1 hour and 24 hours after the running quarter "
        "hour began, with intervals meant to cover 80 %."
    )
    baseline = "the better of the last quarter hour's mean and the same quarter hour of yesterday"
    inputs = (*LEVELS, "p_day_mean", "p_day_std", "p_over_yesterday", "slots_day", "base_power", *CLOCK)
    outputs = (
        output("forecastedLoad", "double", "forecast at +1 h", unit="W"),
        output("forecastedLoadLow", "double", "lower end of the 80 % interval at +1 h", unit="W"),
        output("forecastedLoadHigh", "double", "upper end of the 80 % interval at +1 h", unit="W"),
        output("load15min", "double", "forecast at +15 min", unit="W"),
        output("load15minLow", "double", "lower end at +15 min", unit="W"),
        output("load15minHigh", "double", "upper end at +15 min", unit="W"),
        output("load24h", "double", "forecast at +24 h", unit="W"),
        output("load24hLow", "double", "lower end at +24 h", unit="W"),
        output("load24hHigh", "double", "upper end at +24 h", unit="W"),
        output("forecastHorizon", "integer", "horizon of forecastedLoad", unit="min"),
    )
    needs: ClassVar[dict[str, Any]] = {"channels": ("p_a", "p_b", "p_c"), "rating": True, "quarters_of_day": 92}
    limits = (
        "Needs 23 of the last 24 hours; week-old lags improve it and may be missing.",
        "An LSTM, which the design names, was measurably better on both test sets, not on measured days ahead.",
        "Knows no holidays and no weather forecast; 24 h ahead no clear gain on the measured transformer.",
        "Trained and judged on simulated load shapes, not on metered customers.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        return np.asarray(
            (samples.y["quarter"] > 0) & (x[:, INDEX["slots_day"]] * 96 >= 91.5) & np.isfinite(x[:, INDEX["p_total"]])
        )

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, calibrate = data.rows(self)
        rounds = 60 if data.quick else 160
        boosters, spreads, quantiles = {}, {}, {}
        for horizon in HORIZONS:
            x, level, scale = self._numbers(learn)
            y = np.clip((learn.y[horizon] - level) / scale, -8, 8)
            good = np.isfinite(y)
            boosters[horizon] = boost(x[good], y[good], rounds, 5, rate=0.08)
            x, level, scale = self._numbers(calibrate)
            y = (calibrate.y[horizon] - level) / scale
            good = np.isfinite(y)
            x, y, block = x[good], y[good], calibrate.block[good]
            error = np.abs(y - forest(boosters[horizon], Expr(x)).a[:, 0])
            even = block % 2 == 0
            spreads[horizon] = boost(x[even], np.minimum(error[even], 8), 40, 3)
            size = np.maximum(forest(spreads[horizon], Expr(x[~even])).a[:, 0], 0.05)
            quantiles[horizon] = float(np.quantile(error[~even] / size, 0.8))

        def function(i: Inputs) -> Mapping[str, Expr]:
            columns, level, scale = derived(i)
            power = i["base_power"]
            out: dict[str, Expr] = {}
            for horizon, name in NAMES.items():
                z = forest(boosters[horizon], columns)
                half = forest(spreads[horizon], columns).most(0.05) * quantiles[horizon]
                out[name] = (z * scale + level) * power
                out[f"{name}Low"] = ((z - half) * scale + level) * power
                out[f"{name}High"] = ((z + half) * scale + level) * power
            out["forecastHorizon"] = (i["slots_day"] * 0.0 + 60.0).integer()
            return out

        return function, {"rows": len(learn), "trees": rounds * 3 + 120}

    def _numbers(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
        x = samples.x[:, [INDEX[name] for name in self.inputs]]
        columns, level, scale = derived(Inputs(self.inputs, x))
        return columns.a, level.a[:, 0], scale.a[:, 0]

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        base = samples.x[:, INDEX["base_power"]]
        return samples.y["p_1h"] * base, samples.x[:, INDEX["p_lag1"]] * base

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        base = samples.x[:, INDEX["base_power"]]
        judged = Judged()
        for horizon, name in NAMES.items():
            truth = samples.y[horizon]
            error = answer[name] / base - truth
            other = naive_error(samples, horizon)
            judged.metrics.append(mae_metric(f"MAE {name}", "p.u. of rating", on, samples, error, other, self.baseline))
            low, high = answer[f"{name}Low"] / base, answer[f"{name}High"] / base
            good = np.isfinite(truth)
            judged.facts[f"coverage of the 80 % interval, {name}, {on}"] = round(
                float(((truth >= low) & (truth <= high))[good].mean()), 4
            )
            day = samples.x[:, INDEX["p_day_mean"]]
            good &= np.isfinite(day)
            left = float((error[good] ** 2).sum() / ((truth - day)[good] ** 2).sum())
            judged.facts[f"share of the load's variation about its last day's mean foreseen, {name}, {on}"] = round(
                1 - left, 3
            )
        judged.facts[f"mean load, {on}"] = round(float(np.nanmean(samples.y["p_1h"])), 4)
        return judged


def derived(i: Inputs) -> tuple[Expr, Expr, Expr]:
    """Model columns, level and scale: everything in units of the last day's own spread, so that a large and a small
    customer look alike."""
    level = i["p_day_mean"]
    scale = i["p_day_std"].most(0.01)
    columns = concat([(i[LEVELS] - level) / scale, i["p_over_yesterday"] / scale, i[CLOCK], level / scale])
    return columns, level, scale


def naive_error(samples: Samples, horizon: str) -> NDArray[np.float64]:
    """The better one of what an engineer would say instead, less the truth; NaN where it says nothing."""
    naive = [samples.x[:, INDEX[column]] - samples.y[horizon] for column in HORIZONS[horizon]]
    return min(naive, key=lambda e: float(np.nanmean(np.abs(e))))
