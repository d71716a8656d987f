"""power_quality_index: the exact index of the last 24 hours (features do that), and its forecast for the next 24.

The index itself is copied from the feature library. The forecast starts from the last day, moved towards the mean of
the days before (one day near a limit tells little), and trees on that say how the index without harmonics will change.
The engine knows no harmonics, so their effect on the index is taken to stay what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.quality import LEAST, PARTS
from training.expr import Expr, Inputs, ModelFunction, concat, forest
from training.recipe import Data, Judged, Runner, boost, mae_metric, output
from training.samples import Samples

_PARTS = tuple(f"quality_{part.name}" for part in PARTS)
_STATE = (
    "quality_index_bare", *_PARTS[:3], "quality_edge_voltage", "quality_edge_unbalance", "quality_edge_frequency",
    "quality_typical_voltage", "quality_typical_unbalance", "quality_typical_frequency", "quality_share_voltage",
    "quality_share_unbalance", "quality_hours_out", "quality_windows", "quality_age_out", "v_day_low", "v_day_high",
    "v_day_low_mean", "v_day_high_mean", "v_hour_low", "v_hour_high", "quality_days", "quality_voltage_before",
    "quality_voltage_worst", "quality_voltage_lag2", "quality_voltage_lag7", "v_week_low", "v_week_high",
)  # fmt: skip
_LOAD = ("p_day_mean", "p_day_std", "p_day_max", "p_day_min", "p_over_yesterday", "p_same_24h")
_CLOCK = ("hour_sin", "hour_cos", "week_sin", "week_cos", "weekend")
_COLUMNS = (*_STATE, *_LOAD, *_CLOCK)
_CLASSES = ("poor", "fair", "good", "excellent")
_COVER = 0.9
# Not every meter sends power or knows its rating: so many rows are learned from as if it did not.
_BLIND = 0.2
# The pull towards the days before, of which there are n: 0.7 n / (n + 2).
_PULL, _DOUBT = 0.7, 2.0
# How much of what the trees say is taken: the share with the least error on feeders left out.
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class PowerQualityIndex:
    id = "power_quality_index"
    algorithm = (
        "exact EN 50160 index; forecast by gradient-boosted trees on its change, conformalised quantile interval"
    )
    scope, rate = "point", "quarter_hour"
    sources, headline = ("quality",), "forecastQualityIndex"
    title = "Power quality index"
    definition = (
        "Now: the index of the last 96 closed quarter hours, computed exactly by the feature library "
        "(`remhart_adt.scoring.quality`), no learning. For every window and part the severity e is the mean over the "
        "window divided by the limit of EN 50160:2010: "
        "supply voltage |U/Un - 1| of the worst phase over 0.10 (4.2.2, weight 0.4), unbalance V2/V1 over 2 % (4.2.4, "
        "weight 0.2), frequency |f/fn - 1| over 0.01 (4.2.1, weight 0.2), THD of the voltage over 8 % (4.2.5, weight "
        "0.2). A part is 100 - 30 min(1, q) - min(70, 20 s/a): s the share of windows with e > 1, a the share the "
        "clause allows (5 %; frequency 0.5 %), q the severity that all but a share a of the windows stay within. A "
        "part is at least 50 exactly when it meets the percentile criterion of its clause over these windows. The "
        "index is half the worst part and half the weighted mean of the parts that count (at least 72 of 96 windows). "
        "The scale follows the power quality reserve and exceedance idea of published indices (a value over its limit, "
        "worst part ruling); its constants 30, 20, 70, the weights and the day instead of the week are this project's. "
        "Windows with every phase below 5 % of Un are interruptions and do not count. "
        "Forecast: the same index over the 96 quarter hours that begin with the running one; truth is the engine's "
        "noise-free voltage, unbalance and frequency, with the parts that count now."
    )
    baseline = "the last day's index, as metered"
    inputs = ("quality_index", "quality_harmonics", *_COLUMNS)
    outputs = (
        output("qualityIndex", "double", "index of the last 24 hours, exact", range=(0, 100)),
        output("qualityClass", "enum", "class of qualityIndex, at 50, 70 and 90",
               values=_CLASSES),
        output("voltageQuality", "double", "part of the supply voltage", range=(0, 100)),
        output("unbalanceQuality", "double", "part of the unbalance; needs line voltages", range=(0, 100),
               optional=True),
        output("frequencyQuality", "double", "part of the frequency", range=(0, 100), optional=True),
        output("harmonicQuality", "double", "part of the harmonics; needs THD from the meter", range=(0, 100),
               optional=True),
        output("violationTime", "double", "time of the last 24 hours outside any limit", unit="h", range=(0, 24)),
        output("forecastQualityIndex", "double", "index of the next 24 hours", range=(0, 100)),
        output("forecastLow", "double", "lower end of its 90 % interval", range=(0, 100)),
        output("forecastHigh", "double", "upper end of its 90 % interval", range=(0, 100)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {"quarters_of_voltage": LEAST}
    limits = (
        "A part whose channels the meter does not send does not count, and its output is absent.",
        "Its windows are quarter hours of a day; EN 50160 has 10-minute means of a week, for frequency 10 s of a year.",
        "An excursion of frequency of some seconds does not show in the mean of a window.",
        "The limits for all windows (+10/-15 %), flicker, dips and single harmonics are no part of the index.",
        "A window is the mean of the readings in it; a meter that reads every 15 minutes gives one.",
        "Faults of the coming day are not foreseen; a broken conductor or a tap change may cost the index 60 points.",
        "A day below 50 after good ones is seldom foreseen (see below 50 above); the interval says what may happen.",
        "The engine knows no harmonics: their effect on the forecast is taken to stay as it is, untested.",
        "The published design names a neural network; the index is exact instead and only the forecast is learned.",
    )

    constant: float = 0.0
    leaf: float = 300.0

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(samples.x[:, INDEX["quality_index"]]) & np.isfinite(samples.y["next"]))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds, self.leaf = (40, 40.0) if data.quick else (100, 300.0)
        x, y = self._rows(learn)
        middle = self._middle(x, y, rounds)
        ends = self._ends(x, y, rounds)
        widths, errors = [self._widening(*self._rows(check), ends)], []
        # Interval and trees have to hold on a feeder that was not learned from: each one is left out in turn.
        for out in np.unique(learn.y["feeder"]):
            own = learn.y["feeder"] == out
            widths.append(self._widening(x[own], y[own], self._ends(x[~own], y[~own], rounds)))
            guess = forest(self._middle(x[~own], y[~own], rounds), Expr(x[own])).a[:, 0]
            errors.append([float(np.abs(share * guess - y[own]).mean()) for share in _SHARES])
        wider = max(0.0, float(np.mean(widths)))
        share = _SHARES[int(np.argmin(np.mean(errors, axis=0)))]
        constant = float(np.median(learn.y["next"]))

        def function(i: Inputs) -> Mapping[str, Expr]:
            index, columns = i["quality_index"], self._columns(i)
            start = index + self._pull(i)
            forecast = (start + forest(middle, columns) * share).clip(0.0, 100.0)
            low, high = (start + forest(end, columns) + by for end, by in zip(ends, (-wider, wider), strict=True))
            code = (index >= 50.0).number() + (index >= 70.0).number() + (index > 90.0).number()
            return {
                "qualityIndex": index,
                "qualityClass": code.integer(),
                "voltageQuality": i["quality_voltage"],
                "unbalanceQuality": i["quality_unbalance"],
                "frequencyQuality": i["quality_frequency"],
                "harmonicQuality": i["quality_harmonics"],
                "violationTime": i["quality_hours_out"],
                "forecastQualityIndex": forecast,
                "forecastLow": low.clip(0.0, 100.0).least(forecast),
                "forecastHigh": high.clip(0.0, 100.0).most(forecast),
            }

        facts = {
            "baseline_constant": constant,
            "rows": len(learn),
            "trees": 3 * rounds,
            "share_of_trees": share,
            "widened_by": wider,
        }
        return function, facts

    def _columns(self, i: Inputs) -> Expr:
        """The features, and how the last day differs from those before."""
        voltage = i["quality_voltage"]
        return concat(
            [i[_COLUMNS], i["quality_voltage_before"] - voltage, i["quality_voltage_lag7"] - voltage,
             i["v_day_low"] - i["v_week_low"], i["v_day_high"] - i["v_week_high"]]
        )  # fmt: skip

    def _pull(self, i: Inputs) -> Expr:
        """What an engineer would add to the last day's index for the days before it."""
        n = i["quality_days"]
        return ((i["quality_voltage_before"] - i["quality_voltage"]) * (n * _PULL / (n + _DOUBT))).nan_to(0.0)

    def _rows(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Columns, and how the index will depart from the start; from some rows the load is hidden."""
        x = samples.x[:, [INDEX[name] for name in _COLUMNS]].copy()
        blind = np.random.default_rng(5).random(len(x)) < _BLIND
        hidden = [_COLUMNS.index(name) for name in _LOAD]
        x[np.ix_(blind, hidden)] = np.nan
        i = Inputs(_COLUMNS, x)
        start = samples.x[:, INDEX["quality_index_bare"]] + self._pull(i).a[:, 0]
        return self._columns(i).a, samples.y["next"] - start

    def _middle(self, x: NDArray[np.float32], y: NDArray[np.float64], rounds: int) -> xgb.Booster:
        return boost(x, y, rounds, 5, rate=0.06, objective="reg:absoluteerror", leaf=self.leaf)

    def _ends(self, x: NDArray[np.float32], y: NDArray[np.float64], rounds: int) -> tuple[xgb.Booster, xgb.Booster]:
        low, high = (
            boost(x, y, rounds, 4, rate=0.1, objective="reg:quantileerror", alpha=alpha, leaf=self.leaf)
            for alpha in ((1 - _COVER) / 2, (1 + _COVER) / 2)
        )
        return low, high

    def _widening(self, x: NDArray[np.float32], y: NDArray[np.float64], ends: tuple[xgb.Booster, xgb.Booster]) -> float:
        """By how much both ends must move for the interval to cover what it promises on these rows."""
        low, high = (forest(end, Expr(x)).a[:, 0] for end in ends)
        return float(np.quantile(np.maximum(low - y, y - high), _COVER))

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return samples.y["next"], samples.x[:, INDEX["quality_index"]]

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        truth, now = samples.y["next"], x[:, self.inputs.index("quality_index")]
        error = answer["forecastQualityIndex"] - truth
        judged = Judged()
        for name, rule, text in (
            ("MAE of the forecast", now, self.baseline),
            ("MAE of the forecast, against a constant", np.full(len(now), self.constant),
             "the median of the training worlds"),
            ("MAE of the forecast, where last week is known", samples.y["week"],
             "the same 24 hours a week ago, noise-free"),
            ("MAE of the forecast, against the mean of the days before", samples.y["before"],
             "the mean of up to seven days before, noise-free"),
        ):  # fmt: skip
            if np.isfinite(rule).any():
                judged.metrics.append(mae_metric(name, "points", on, samples, error, rule - truth, text))
        low, high = answer["forecastLow"], answer["forecastHigh"]
        inside = (truth >= low) & (truth <= high)
        poor = truth < 50
        said = (answer["forecastQualityIndex"][poor] < 50).sum()
        judged.facts |= {
            f"coverage of the 90 % interval, {on}": round(float(inside.mean()), 4),
            f"mean width of the interval, {on}": round(float((high - low).mean()), 2),
            f"share of days to come below 50 / of them with a forecast below 50, {on}": [
                round(float(poor.mean()), 4), round(float(said / max(1, poor.sum())), 4)
            ],
            f"median index, {on}": round(float(np.median(truth)), 2),
            f"mean difference of the metered index to the noise-free one of the same day, {on}": round(
                float(np.nanmean(np.abs(now - samples.y["now"]))), 3
            ),
        }  # fmt: skip
        return judged
