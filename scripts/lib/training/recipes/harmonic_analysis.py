"""harmonic_analysis: THD of the voltage and TDD of the current, as the meter sends them or as far as they can be told.

A meter that sends THD is believed. Otherwise what there is to go by is the non-fundamental apparent power of IEEE 1459,
D^2 = S^2 - P^2 - Q^2, of true-RMS voltage and current, P, and the Q of the fundamental: it gives the distortion of the
point's own current. The voltage is also distorted by everybody else and by the medium voltage, through a network whose
strength no meter sees, so trees learn how THD goes with own distortion, load, time of day and the slope of the voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, compare, mae_metric, output
from training.recipes.overload_risk import macro_f1
from training.samples import Samples

_PLAIN = (
    "i_max", "i_max_mean16", "p_total_mean16", "q_total_mean16", "i_square", "i_square_mean16", "pf_total",
    "i_neutral", "i_unbalance", "i_range", "p_range", "v_mean_mean16", "v_line_excess", "load_hour", "load_day_max",
    "p_day_mean", "hour_sin", "hour_cos", "weekend",
)  # fmt: skip
_PHASES = ("v", "i", "p", "q", "s", "distortion_square", "source_zp", "source_zq", "thdv", "thdi")
_COVER = 0.9
# What the graph makes of the inputs, in the order of its columns; more distortion never means a lower THD.
_MADE = ("worst", "steady", "least", "total", "share", "share_now", "neutral", "zp", "zq", "drop")
_RISING = frozenset({"worst", "steady", "least", "total", "share", "share_now", "drop"})
_LEVELS = (3.0, 5.0)
# IEC 61000-4-7:2002, table 1, class I: 5 % of the value, at least 0.05 points.
_CLASS, _LEAST = 0.05, 0.05
# Distortion below 0.5 % of S is lost in rounding.
_NOTHING = 0.005


class HarmonicAnalysis:
    id = "harmonic_analysis"
    algorithm = (
        "as the meter sends it; else IEEE 1459 distortion power and gradient-boosted trees, conformalised quantile "
        "interval"
    )
    scope, rate = "point", "minute"
    sources, headline = ("harmonics",), "thdEstimate"
    title = "Harmonic analysis"
    definition = (
        "THD of the worst phase's voltage (orders 3 to 13, percent of the fundamental) and its class: low below 3 %, "
        "medium 3 to 5 %, high above 5 %, as in the published design; the limit of IEEE 519-2022 up to 1 kV is 8 %. "
        "TDD is the harmonic current of the worst phase in percent of the rated current (not of the maximum demand). "
        "When the meter sends THD of the voltage, thdEstimate is exactly its worst phase, nothing is learned, and the "
        "interval is the accuracy of a class I instrument (IEC 61000-4-7); with THD of the current TDD follows from "
        "it exactly. Learning is only for meters that do not: truth there is the simulator's noise-free THD."
    )
    baseline = "the better of: mean of the training worlds, line fitted through the distortion current sqrt(D^2)/V"
    inputs = (*_PLAIN, "thdv_max", *(f"{name}_{x}" for name in _PHASES for x in "abc"))
    outputs = (
        output("thdEstimate", "double", "THD of the voltage, worst phase", unit="%", range=(0, 100)),
        output("thdLow", "double", "lower end of its 90 % interval", unit="%", range=(0, 100)),
        output("thdHigh", "double", "upper end of its 90 % interval", unit="%", range=(0, 100)),
        output("tddEstimate", "double", "TDD of the current, worst phase, of the rated current", unit="%",
               range=(0, 1000), optional=True),
        output("harmonicLevel", "enum", "class of thdEstimate, at 3 and 5 %", values=("low", "medium", "high")),
        output("worstPhase", "enum", "phase of the highest THD; none when the meter does not send it",
               values=("A", "B", "C", "none")),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {
        "channels": tuple(f"{name}_{x}" for name in "vipq" for x in "abc"),
        "instead": ("thdv_a", "thdv_b", "thdv_c"),
        "rating": True,
        "phases": 3,
        "energised": True,
        "load": 0.05,
    }
    limits = (
        (
            "THD of the voltage is only partly knowable from V, I, P and Q: the strength of the network, what other "
            "customers emit and what the medium voltage brings are not seen. Do not use an estimate as proof of "
            "compliance; the interval says how little is known, and a meter that sends THD settles it."
        ),
        "On small rural feeders (`orchard`, `hamlet`) the estimate of THD was no better than its baseline.",
        (
            "Current must be true RMS and Q that of the fundamental (IEEE 1459). A meter whose Q is sqrt(S^2 - P^2) "
            "hides all distortion: its estimate is worthless, and the model cannot tell."
        ),
        (
            "A gain error of 0.5 % between V I and P looks like 10 % of distortion at unity power factor; distortion "
            "of the current below about 7 % is not told from it, and no averaging helps."
        ),
        "Below 5 % of the rating the distortion is not told from the meter's errors, and it abstains.",
        (
            "Spectra of devices (power supplies, LED, chargers, six-pulse drives, inverters) and the background of the "
            "medium voltage are the simulator's, chosen so that THD has a median of 2 to 3 % and a 95th percentile of "
            "5 to 6 %; no measured spectra entered. Orders above 13, interharmonics and supraharmonics are not there."
        ),
        "High distortion is underestimated: the middle of what is possible is not the worst of it.",
        "Three-phase points only, unless THD is sent.",
        "The published design names a random forest and an FFT of waveforms; no waveform is on the wire.",
    )

    constant: float = 0.0
    line: tuple[float, float] = (0.0, 0.0)

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        """As the needs say."""
        x = samples.x
        measured = [f"{name}_{p}" for name in "vipq" for p in "abc"]
        known = np.isfinite(x[:, [INDEX[name] for name in measured]]).all(1) & (x[:, INDEX["i_max"]] >= 0.05)
        return np.asarray((known | np.isfinite(x[:, INDEX["thdv_max"]])) & np.isfinite(samples.y["thd"]))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        learn, check = (s.take(self._unsent(s)) for s in (learn, check))
        rounds, leaf = (40, 50.0) if data.quick else (80, 300.0)
        x, y = self._columns_of(learn), np.log(learn.y["thd"])
        middle = self._boost(x, y, rounds, leaf)
        ends = self._ends(x, y, rounds // 2, leaf)
        widths = [_widening(self._columns_of(check), np.log(check.y["thd"]), ends)]
        # The interval has to hold on a feeder that was not learned from: each one is left out in turn.
        for out in np.unique(learn.y["feeder"]):
            own = learn.y["feeder"] == out
            widths.append(_widening(x[own], y[own], self._ends(x[~own], y[~own], rounds // 2, leaf)))
        wider = max(0.0, float(np.median(widths)))  # one odd feeder does not set the width for all
        plain = self._plain(learn)
        demand = boost(x, learn.y["tdd"] - plain, rounds // 2, 5, rate=0.12, objective="reg:absoluteerror", leaf=leaf)
        self._fit_baselines(learn.y["thd"], plain)

        def function(i: Inputs) -> Mapping[str, Expr]:
            columns, sent, worst = self._columns(i), ~i["thdv_max"].isnan(), i["thdv_max"]
            guess = forest(middle, columns).exp()
            low, high = ((forest(end, columns) + by).exp() for end, by in zip(ends, (-wider, wider), strict=True))
            thd = where(sent, worst, guess).clip(0.0, 100.0)
            error = (worst * _CLASS).most(_LEAST)
            phase = where(sent, i.abc("thdv").nan_to(-1.0).argmax().number(), 3.0)
            return {
                "thdEstimate": thd,
                "thdLow": where(sent, worst - error, low).clip(0.0, 100.0).least(thd),
                "thdHigh": where(sent, worst + error, high).clip(0.0, 100.0).most(thd),
                "tddEstimate": self._demand(i, columns, demand),
                "harmonicLevel": ((thd >= _LEVELS[0]).number() + (thd > _LEVELS[1]).number()).integer(),
                "worstPhase": phase.integer(),
            }

        facts = {
            "rows": len(learn), "trees": rounds * 2 + rounds // 2, "widened_by": wider,
            "baseline_constant": self.constant, "baseline_offset": self.line[0], "baseline_slope": self.line[1],
        }  # fmt: skip
        return function, facts

    def _columns(self, i: Inputs) -> Expr:
        """What the trees look at: `_PLAIN`, then `_MADE`."""
        square = i.abc("distortion_square").nan_to(0.0).most(0.0)
        phases, now = square.sqrt(), self._distortion(i).nan_to(0.0)
        mean, instant = i["i_square_mean16"].most(1e-6), i["i_square"].most(1e-6)
        total = square.sum().sqrt()
        zp, zq = (i.abc(name).nan_to(0.0).abs().sum() / 3.0 for name in ("source_zp", "source_zq"))
        return concat(
            [i[_PLAIN], now.high(), phases.high(), phases.low(), total, total / mean.sqrt(),
             (now * now).sum().sqrt() / instant.sqrt(), i["i_neutral"] / instant.sqrt(), zp, zq, zq * total]
        )  # fmt: skip

    def _distortion(self, i: Inputs) -> Expr:
        """Distortion current of each phase now, sqrt(D^2)/V, p.u. of the rating, [N, 3]."""
        s, p, q = i.abc("s"), i.abc("p"), i.abc("q")
        square = s * s * (1.0 - _NOTHING**2) - p * p - q * q
        return where(square.isnan(), float("nan"), square.most(0.0).sqrt() / i.abc("v").most(0.1))

    def _demand(self, i: Inputs, columns: Expr, trees: xgb.Booster) -> Expr:
        """TDD: of the meter's own THD of the current, I1 = I / sqrt(1 + THD^2), or of D and what trees add to it."""
        share = i.abc("thdi") / 100.0
        exact = (i.abc("i") * share / (share * share + 1.0).sqrt()).nan_to(-1.0).high() * 100.0
        now = self._distortion(i)
        guess = (now.nan_to(0.0).high() * 100.0 + forest(trees, columns)).clip(0.0, 1000.0)
        return where(exact >= 0.0, exact, where(now.sum().isnan(), float("nan"), guess))

    def _columns_of(self, samples: Samples) -> NDArray[np.float32]:
        return np.asarray(self._columns(self._inputs(samples)).a)

    def _plain(self, samples: Samples) -> NDArray[np.float64]:
        """The plain formula for TDD, percent."""
        worst = self._distortion(self._inputs(samples)).high().a[:, 0]
        return np.asarray(100.0 * worst, np.float64)

    def _inputs(self, samples: Samples) -> Inputs:
        return Inputs(self.inputs, samples.x[:, [INDEX[name] for name in self.inputs]])

    @staticmethod
    def _unsent(samples: Samples) -> NDArray[np.bool_]:
        return np.asarray(np.isnan(samples.x[:, INDEX["thdv_max"]]))

    @staticmethod
    def _boost(
        x: NDArray[np.float32], y: NDArray[np.float64], rounds: int, leaf: float, alpha: float | None = None
    ) -> xgb.Booster:
        rising = [0] * len(_PLAIN) + [int(name in _RISING) for name in _MADE]
        if alpha is None:
            return boost(x, y, rounds, 5, rate=0.08, objective="reg:absoluteerror", leaf=leaf, monotone=rising)
        return boost(
            x, y, rounds, 4, rate=0.12, objective="reg:quantileerror", alpha=alpha, leaf=leaf, monotone=rising
        )  # fmt: skip

    def _ends(
        self, x: NDArray[np.float32], y: NDArray[np.float64], rounds: int, leaf: float
    ) -> tuple[xgb.Booster, xgb.Booster]:
        return (
            self._boost(x, y, rounds, leaf, (1 - _COVER) / 2),
            self._boost(x, y, rounds, leaf, (1 + _COVER) / 2),
        )

    def _fit_baselines(self, thd: NDArray[np.float64], plain: NDArray[np.float64]) -> None:
        """The line has the least absolute error, by reweighting."""
        self.constant = float(thd.mean())
        a = np.stack([np.ones(len(plain)), plain], axis=1)
        weight = np.ones(len(plain))
        for _ in range(20):
            fit = np.linalg.solve((a * weight[:, None]).T @ a, (a * weight[:, None]).T @ thd)
            weight = 1 / np.maximum(np.abs(a @ fit - thd), 0.05)
        self.line = (float(fit[0]), float(fit[1]))

    def _rule(self, samples: Samples) -> NDArray[np.float64]:
        """What the better baseline says on these rows."""
        truth = samples.y["thd"]
        line = self.line[0] + self.line[1] * self._plain(samples)
        constant = np.full(len(truth), self.constant)
        open_ = self._unsent(samples)
        return min((line, constant), key=lambda rule: float(np.abs(rule - truth)[open_].mean()))

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Only where the meter does not send THD."""
        return np.where(self._unsent(samples), samples.y["thd"], np.nan), self._rule(samples)

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        open_ = self._unsent(samples)
        sent, rest = samples.take(~open_), samples.take(open_)
        exact, answer = run(x[~open_]), run(x[open_])
        truth, said, rule = rest.y["thd"], answer["thdEstimate"], self._rule(rest)
        tdd = rest.y["tdd"]
        judged = Judged()
        judged.metrics.append(
            mae_metric("MAE thdEstimate, where THD is not sent", "points", on, rest, said - truth, rule - truth,
                       self.baseline)
        )  # fmt: skip

        def level(thd: NDArray[Any]) -> NDArray[Any]:
            return np.asarray((thd >= _LEVELS[0]).astype(int) + (thd > _LEVELS[1]))

        classes, mine, simple = level(truth), answer["harmonicLevel"], level(rule)

        def f1(rows: NDArray[np.int64]) -> tuple[float, float]:
            return macro_f1(classes[rows], mine[rows], 3), macro_f1(classes[rows], simple[rows], 3)

        judged.metrics.append(
            compare("macro-F1 harmonicLevel, where THD is not sent", "-", on, rest.block, f1, self.baseline,
                    lower_is_better=False)
        )  # fmt: skip
        judged.metrics.append(
            mae_metric("MAE tddEstimate, where THD is not sent", "points", on, rest, answer["tddEstimate"] - tdd,
                       self._plain(rest) - tdd, "sqrt(S^2 - P^2 - Q^2) / V of the reading")
        )  # fmt: skip
        inside = (truth >= answer["thdLow"]) & (truth <= answer["thdHigh"])
        within = (sent.y["thd"] >= exact["thdLow"]) & (sent.y["thd"] <= exact["thdHigh"])
        high = truth > _LEVELS[1]
        judged.facts |= {
            f"coverage of the 90 % interval, THD not sent, {on}": round(float(inside.mean()), 4),
            f"mean width of the interval (points), THD not sent, {on}": round(
                float((answer["thdHigh"] - answer["thdLow"]).mean()), 2
            ),
            f"true THD, quantiles 5/50/95 %, {on}": np.quantile(truth, [0.05, 0.5, 0.95]).round(2).tolist(),
            f"explained share of the variance of THD (R2), THD not sent, {on}": round(
                1 - float(((said - truth) ** 2).mean() / truth.var()), 3
            ),
            f"class shares low/medium/high, {on}": [round(float((classes == k).mean()), 4) for k in range(3)],
            f"of points truly above 5 %: share called high / called low, THD not sent, {on}": [
                round(float((mine[high] == k).sum() / max(1, high.sum())), 3) for k in (2, 0)
            ],
            f"MAE of thdEstimate where THD is sent (the meter's own error), {on}": round(
                float(np.abs(exact["thdEstimate"] - sent.y["thd"]).mean()), 3
            ),
            f"coverage of the interval where THD is sent, {on}": round(float(within.mean()), 4),
            f"worst phase right where THD is sent, {on}": round(
                float((exact["worstPhase"] == sent.y["worst"]).mean()), 3
            ),
        }  # fmt: skip
        return judged


def _widening(x: NDArray[np.float32], y: NDArray[np.float64], ends: tuple[xgb.Booster, xgb.Booster]) -> float:
    """By how much both ends must move for the interval to cover what it promises on these rows."""
    low, high = (forest(end, Expr(x)).a[:, 0] for end in ends)
    return float(np.quantile(np.maximum(low - y, y - high), _COVER))
