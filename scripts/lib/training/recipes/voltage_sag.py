"""voltage_sag: whether a sag begins within 15 minutes, how deep and how long it then is.

Most faults come by chance and nothing announces them. What can be learned: the rate of sags where there were some,
machines that start again and again, reclosing onto a fault, and a voltage that drifts towards the limit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, concat, forest
from training.recipe import Data, Judged, Runner, boost, compare, inputs_of, mae_metric, output
from training.sag_events import CAUSES
from training.sag_set import METERS
from training.samples import Samples

# A lower voltage never lowers the probability; neither do more sags before.
_FALLING = ("v_min", "v_hour_low", "v_day_low", "sag_low")
_RISING = ("sag_count", "dip_count")
_PAST = ("sag_age_s", "sag_gap_s", "sag_last_low", "sag_span_s", "dip_age_s", "v_flicker")
_LOAD = ("p_total_mean16", "p_total_std16", "p_step", "load_hour", "load_next_yesterday")
# No clock: working hours of machines made the answer worse on feeders left out.
_FREE = (*_PAST, *_LOAD, "v_day_low_mean")
_SIGNS = (*(-1 for _ in _FALLING), *(1 for _ in _RISING), *(0 for _ in _FREE), 0)
# Of the present reading only its lowest phase, so that depth is monotone in it with the past as it was.
_DEPTH = (*_FALLING, *_RISING, *_PAST, "load_hour", "v_day_low_mean")
# Not every meter sends power or knows its rating: so many rows are learned from as if it did not.
_BLIND = 0.2
_QUARTER_S = 900.0
_SAG = 0.9
_SHALLOWEST = 0.1
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class VoltageSag:
    id = "voltage_sag"
    algorithm = "monotone gradient-boosted trees: logistic, Platt-scaled; on the logarithms of depth and duration"
    scope, rate = "point", "minute"
    sources, headline = ("sag",), "sagProbability"
    title = "Voltage sag"
    definition = (
        "The probability that a sag begins at this point within the next 15 minutes: some phase below 0.9 of nominal "
        "(IEEE 1159, IEC 61000-4-30), however short; what stays below for more than a minute is an undervoltage by "
        "IEEE 1159 and counts too, with 2 % hysteresis. Depth is 1 less the lowest phase in p.u. of the first sag to "
        "come, duration its time below, given that one comes: of depth the geometric mean, of duration the median. "
        "Truth is the engine's noise-free voltage of every simulated event, whether or not a meter would have seen it."
    )
    baseline = "the share of positive minutes in the training worlds"
    inputs = tuple(dict.fromkeys((*_FALLING, *_RISING, *_FREE, *_DEPTH)))
    outputs = (
        output("sagProbability", "double", "probability that a sag begins within 15 minutes", range=(0, 1)),
        output("sagDepth", "double", "typical depth below nominal if one comes; at least the present one", unit="p.u.",
               range=(_SHALLOWEST, 1)),
        output("sagDuration", "double", "median duration if one comes", unit="s", range=(0, None)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {"channels": ("v_a", "v_b", "v_c"), "energised": True, "readings": 17}
    limits = (
        "Most faults cannot be foreseen: before a first fault the answer is the rate at which they come, no more.",
        "It holds for networks as bad as the simulated ones (share of positive minutes above); for good ones too high.",
        "A meter sees a sag only when a sample falls into it: one of 0.3 s, read each minute, has one chance in 200.",
        "Truth counts sags that no reading showed: a meter that does not report events hides much from the model.",
        "It knows the last 128 readings and quarter-hour means; sags of yesterday are forgotten.",
        "While one lasts it was neither learned nor judged; the answer then is that of a voltage just above the limit.",
        "Wind, lightning and vegetation are no inputs; a storm shows only by what it has done.",
        "Faults here are cleared where they burn; that a fault leaves customers without supply is not simulated.",
        "Two phases to ground are simulated as two phases; faults above the feeder at one bus, through a resistance.",
        "Depth and duration are typical values over many causes and tell little about a single sag.",
        "Its test worlds were drawn anew, and looked at, several times in its making: the gain is no blind figure.",
        "Most of the gain is motor starts that come again; before a sag that nothing announces it has no skill.",
    )

    baselines: ClassVar[dict[str, float]] = {}

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.asarray((samples.y["inside"] == 0) & (samples.x[:, INDEX["v_min"]] >= _SAG))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds, leaf = 40 if data.quick else 80, 20.0
        x, x_check = self._blinded(learn), inputs_of(self, check)
        y = learn.y["sag"]
        columns, other = (self._columns(Inputs(self.inputs, part)).a for part in (x, x_check))
        risk = _risk(columns, y, rounds, leaf)
        # The scaling has to hold on a feeder that was not learned from: each one is left out in turn.
        margins, truths = [forest(risk, Expr(other)).a[:, 0]], [check.y["sag"]]
        for out in np.unique(learn.y["feeder"]):
            own = learn.y["feeder"] == out
            margins.append(forest(_risk(columns[~own], y[~own], rounds, leaf), Expr(columns[own])).a[:, 0])
            truths.append(y[own])
        slope, offset = _platt(np.concatenate(margins), np.concatenate(truths))
        event = learn.y["sag"] > 0
        at = [self.inputs.index(name) for name in _DEPTH]
        monotone = [-1 if name == "v_min" else 0 for name in _DEPTH]
        z, depths, logs = x[event][:, at], learn.y["depth"][event], np.log(learn.y["seconds"][event])
        some = rounds // 2
        typical = float(np.log(np.median(depths)))
        # Squares, as the library breaks a monotone constraint when it puts medians into the leaves afterwards.
        depth = boost(z, np.log(depths) - typical, some, 4, rate=0.08, monotone=monotone, leaf=leaf)
        share = self._share(z, depths, typical, learn.y["feeder"][event], some, leaf, monotone)
        length = boost(z, logs, some, 4, rate=0.08, objective="reg:absoluteerror", leaf=leaf)

        def function(i: Inputs) -> Mapping[str, Expr]:
            z = i[_DEPTH]
            now = 1.0 - i["v_min"]
            return {
                "sagProbability": (forest(risk, self._columns(i)) * slope + offset).sigmoid(),
                "sagDepth": (forest(depth, z) * share + typical).exp().most(now).clip(_SHALLOWEST, 1.0),
                "sagDuration": forest(length, z).exp(),
            }

        recent = _recent(learn)
        facts = {
            "rows": len(learn), "rows_before_a_sag": int(event.sum()), "trees": rounds + 2 * some,
            "platt_slope": slope, "platt_offset": offset, "baseline_rate": float(y.mean()),
            "baseline_rate_after_a_sag": float(y[recent].mean()), "baseline_rate_otherwise": float(y[~recent].mean()),
            "share_of_depth_trees": share, "baseline_depth": float(np.median(depths)),
            "baseline_log_seconds": float(np.median(logs)),
        }  # fmt: skip
        return function, facts

    def _share(
        self, z: NDArray[np.float32], depths: NDArray[np.float64], typical: float, feeder: NDArray[np.float64],
        rounds: int, leaf: float, monotone: list[int],
    ) -> float:  # fmt: skip
        """How much of what the trees say of the depth is taken: what has the least error on feeders left out in turn;
        0 leaves the median of all sags."""
        errors = []
        for out in np.unique(feeder):
            own = feeder == out
            trees = boost(z[~own], np.log(depths[~own]) - typical, rounds, 4, rate=0.08, monotone=monotone, leaf=leaf)
            guess = forest(trees, Expr(z[own])).a[:, 0]
            errors.append([float(np.abs(np.exp(share * guess + typical) - depths[own]).mean()) for share in _SHARES])
        return _SHARES[int(np.argmin(np.mean(errors, axis=0)))]

    def _blinded(self, samples: Samples) -> NDArray[np.float32]:
        x = inputs_of(self, samples)
        hidden = np.random.default_rng(5).random(len(x)) < _BLIND
        x[np.ix_(hidden, [self.inputs.index(name) for name in _LOAD])] = np.nan
        return x

    def _columns(self, i: Inputs) -> Expr:
        """The features, and how much of the time between the last two sags has passed since the newest."""
        return concat([i[(*_FALLING, *_RISING, *_FREE)], i["sag_age_s"] / i["sag_gap_s"].most(1.0)])

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return samples.y["sag"], np.full(len(samples), self.baselines["baseline_rate"])

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, y, base = run(x), samples.y, self.baselines
        p, sag = answer["sagProbability"].astype(np.float64), y["sag"]
        recent, square = _recent(samples), (p - sag) ** 2
        climate = np.full(len(p), base["baseline_rate"])
        rule = np.where(recent, base["baseline_rate_after_a_sag"], base["baseline_rate_otherwise"])
        judged = Judged()

        def brier(name: str, rows: NDArray[np.bool_], other: NDArray[np.float64], text: str) -> None:
            judged.metrics.append(
                mae_metric(name, "-", on, samples.take(rows), square[rows], ((other - sag) ** 2)[rows], text)
            )

        every = np.ones(len(p), bool)
        brier("Brier score", every, climate, self.baseline)
        rule_text = "the training worlds' share after a sag in the last 15 minutes, and without one"
        brier("Brier score, against recent sags", every, rule, rule_text)
        announced = _announced(samples)
        if sag[~announced].any():
            brier("Brier score, nothing announced", ~announced, np.full(len(p), sag[~announced].mean()),
                  "the share of positive minutes among these very rows")  # fmt: skip

        def precision(rows: NDArray[np.int64]) -> tuple[float, float]:
            return average_precision(sag[rows], p[rows]), average_precision(sag[rows], rule[rows])

        judged.metrics.append(
            compare("AUPRC", "-", on, samples.block, precision, rule_text, lower_is_better=False, times=100)
        )
        event = sag > 0
        some = samples.take(event)
        judged.metrics.append(
            mae_metric("MAE depth, given a sag", "p.u.", on, some, (answer["sagDepth"] - y["depth"])[event],
                       base["baseline_depth"] - y["depth"][event], "the median depth in the training worlds")
        )  # fmt: skip
        logs = np.log(y["seconds"][event])
        judged.metrics.append(
            mae_metric("MAE ln duration, given a sag", "-", on, some, np.log(answer["sagDuration"][event]) - logs,
                       base["baseline_log_seconds"] - logs, "the median duration in the training worlds")
        )  # fmt: skip
        judged.facts |= _facts(samples, p, on)
        return judged


def _risk(x: NDArray[np.float32], y: NDArray[np.float64], rounds: int, leaf: float) -> xgb.Booster:
    return boost(x, y, rounds, 4, rate=0.06, monotone=_SIGNS, objective="binary:logistic", leaf=leaf)


def _recent(samples: Samples) -> NDArray[np.bool_]:
    """A reading of the last 15 minutes was below 0.9."""
    return np.asarray(samples.x[:, INDEX["sag_age_s"]] <= _QUARTER_S)


def _announced(samples: Samples) -> NDArray[np.bool_]:
    """Something in the inputs could announce a sag: an earlier one or a dip among the readings, or a voltage within
    0.03 p.u. of the limit now, within the last hour or the last day."""
    x = samples.x
    low = np.fmin(np.fmin(x[:, INDEX["v_min"]], x[:, INDEX["v_hour_low"]]), x[:, INDEX["v_day_low"]])
    return np.asarray((x[:, INDEX["sag_count"]] > 0) | (x[:, INDEX["dip_count"]] > 0) | (low < _SAG + 0.03))


def _facts(samples: Samples, p: NDArray[np.float64], on: str) -> dict[str, Any]:
    sag, cause = samples.y["sag"], samples.y["cause"]
    announced = _announced(samples)
    facts: dict[str, Any] = {f"share of positive minutes, {on}": round(float(sag.mean()), 5)}
    event = sag > 0
    facts[f"share of sags by cause ({', '.join(CAUSES)}), {on}"] = [
        round(float((cause[event] == k + 1).mean()), 3) for k in range(len(CAUSES))
    ]
    facts[f"share of these that something in the inputs announced, {on}"] = [
        round(float(announced[cause == k + 1].mean()), 3) if (cause == k + 1).any() else 0.0 for k in range(len(CAUSES))
    ]
    facts[f"mean probability before sags of these causes, {on}"] = [
        round(float(p[cause == k + 1].mean()), 3) if (cause == k + 1).any() else 0.0 for k in range(len(CAUSES))
    ]
    facts[f"share of sags that something in the inputs announced, {on}"] = round(float(announced[event].mean()), 3)
    meters = [samples.y["meter"][event] == k for k in range(len(METERS))]
    facts[f"share of sags that fell on a reading, by meter, {on}"] = {
        name: round(float(samples.y["shown"][event][m].mean()), 3)
        for name, m in zip(METERS, meters, strict=True) if m.any()
    }  # fmt: skip
    depth = samples.y["depth"][event]
    facts[f"MAE depth of the mean over these very sags, {on}"] = round(float(np.abs(depth - depth.mean()).mean()), 4)
    edges = [0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.01]
    facts[f"reliability below 0.01, 0.03, 0.1, 0.3, 0.6, 1 (said; came; share of rows), {on}"] = "; ".join(
        f"{p[b].mean():.3g}, {sag[b].mean():.3g}, {b.mean():.3g}" if b.any() else "none"
        for b in ((p >= lo) & (p < hi) for lo, hi in itertools.pairwise(edges))
    )
    return facts


def _platt(margin: NDArray[Any], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Slope (above zero) and offset of a logistic curve through the margins, by Newton's method, pulled a little
    towards leaving them alone (as many rows as one in a thousand)."""
    m = margin.astype(np.float64)
    w = np.array([1.0, 0.0])
    x = np.stack([m, np.ones(len(m))], axis=1)
    prior = 1e-3 * len(m) * np.array([1e-2, 1e-2])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ w)))
        gradient = x.T @ (p - truth) + prior * (w - np.array([1.0, 0.0]))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(prior)
        w = w - np.linalg.solve(hessian, gradient)
    return float(max(w[0], 0.05)), float(w[1])


def average_precision(truth: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Area under precision over recall as a sum of steps; equal scores are one step."""
    order = np.argsort(-score, kind="stable")
    y, s = truth[order], score[order]
    last = np.flatnonzero(np.r_[s[1:] != s[:-1], True])
    hits = np.cumsum(y)[last]
    if not hits[-1]:
        return float("nan")
    recall = hits / hits[-1]
    return float((np.diff(recall, prepend=0.0) * hits / (last + 1)).sum())
