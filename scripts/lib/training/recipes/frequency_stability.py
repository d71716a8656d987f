"""frequency_stability: the frequency 5 s ahead with its interval, the risk to leave the normal band, and a score.

Everything happens in p.u. of nominal and in units of the frequency's own restlessness (`f_rate`), so that a large
interconnection and a small one, 50 and 60 Hz, are asked the same question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX, LAGS_F
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.frequency_set import BAND
from training.plans import LEARN_FEEDERS, TEST_FEEDER
from training.recipe import Data, Judged, Runner, boost, compare, mae_metric, output
from training.samples import Samples, join

__all__ = ["ZERO", "FrequencyStability", "columns_of", "rate_of"]

Floats = NDArray[np.float64]
_LAGS = tuple(f"f_lag{k}" for k in LAGS_F)
# These the engine insists on, so that a straight line can stand on them.
_SURE = tuple(f"f_lag{k}" for k in LAGS_F if k <= 10)
_LINE = (*_SURE, "f_deviation")
_COVER = 0.9
_FOLDS = 4
# Slower than this, two readings in a row say little about 5 s. A 5 s meter may lose one of its readings.
_SPACING_S = 6.0
# The least restlessness, p.u. per root second: a tenth of a large interconnection's.
_CALM = 1e-5
# The score's zero: 200 mHz at 50 Hz, the largest steady deviation that reserves are dimensioned for (Commission
# Regulation (EU) 2017/1485, Annex III, Continental Europe).
ZERO = 0.004


class FrequencyStability:
    id = "frequency_stability"
    algorithm = "linear autoregression with gradient-boosted trees on it; conformalised quantile interval"
    scope, rate = "point", "reading"
    simulated = "Simulated with the swing equation of interconnections, of a kind per feeder's name"
    sources, headline = ("frequency",), "predictedFrequency"
    title = "Frequency stability"
    definition = (
        "predictedFrequency is the noise-free frequency of the simulated interconnection 5 s after the reading. "
        "bandExitProbability: the frequency is outside fn +- 0.3 % (49.85 to 50.15 Hz) at some instant of the next 60 "
        "s; one that is outside now may come back at once. stabilityScore is a forecast, too: with D the largest "
        "absolute deviation from fn in the next 30 s, now included, it is 100 (1 - D / 0.4 %), at least 0, of the "
        "median D. 0.4 % are 200 mHz at 50 Hz, for which reserves are dimensioned (Regulation (EU) 2017/1485); the "
        "edge of the band is 25."
    )
    baseline = "the last reading"
    inputs = ("nominal_hz", "f_deviation", *_LAGS, "f_spacing_s", "f_noise", "f_rate")
    outputs = (
        output("predictedFrequency", "double", "frequency 5 s ahead", unit="Hz", range=(0, None)),
        output("frequencyLow", "double", "lower end of its 90 % interval", unit="Hz", range=(0, None)),
        output("frequencyHigh", "double", "upper end of its 90 % interval", unit="Hz", range=(0, None)),
        output("bandExitProbability", "double", "probability to be outside fn +- 0.3 % within 60 s", range=(0, 1)),
        output("stabilityScore", "double", "100 (1 - D / 0.4 %), D the largest deviation of the next 30 s",
               range=(0, 100)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {"channels": ("freq",), "readings": 4, "frequency_s": _SPACING_S}
    limits = (
        "A unit that trips is a surprise that no frequency before it foretells; many exits from the band begin so.",
        "Needs a frequency at least every 6 s on average over 30 s, and 10 s of them; by the minute is too slow.",
        "Of meters that send more than three readings a second less than 10 s are remembered: it abstains.",
        "Learned and judged on a swing equation, one inertia and first-order governors; not tested on a recording.",
        "Oscillations between areas and under-frequency load shedding are not in the simulation.",
        "An island, or a phase jump that a meter shows as frequency, is taken for the grid.",
        "A meter that averages over seconds sends the past; its delay is not known here.",
        "How often the band is left depends on the simulated mix of grids; one grid's own rate may differ.",
        "bandExitProbability mostly tells restless grids from calm ones; a grid's own long record does that as well.",
        "On a kind of grid not learned from, the 90 % interval covered 86 %; of changes above 20 mHz, 69 %.",
        "Over one autoregression for all grids the whole gains 1 % in MAE, in calm grids more.",
        "An LSTM, which the design names, was 0.3 % better on unseen weeks, no different on the unseen feeder.",
    )

    constant: float = 0.0
    ar: Sequence[float] = ()

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        near = x[:, INDEX["f_spacing_s"]] <= _SPACING_S
        return np.asarray(near & np.isfinite(x[:, INDEX["f_lag10"]]) & np.isfinite(x[:, INDEX["f_deviation"]]))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds = 40 if data.quick else 120
        weights = self._weights(learn)
        i = self._inputs(learn)
        start, rate = self._start(i, weights).a[:, 0], rate_of(i).a[:, 0]
        x, y = columns_of(i).a, (learn.y["ahead"] - i["f_deviation"].a[:, 0] - start) / rate
        middle = boost(x, y, rounds, 4, objective="reg:absoluteerror", leaf=100.0)
        low, high = self._ends(x, y, rounds)
        deviation = np.abs(i["f_deviation"].a[:, 0])
        far = boost(x, (learn.y["farthest"] - deviation) / rate, rounds // 2, 4, objective="reg:absoluteerror",
                    leaf=100.0)  # fmt: skip
        widths = [self._widening(check, weights, low, high)]
        for kind in np.unique(learn.y["feeder"]):
            # The interval has to hold on a kind of grid that was not learned from: each one is left out in turn.
            own = learn.y["feeder"] == kind
            widths.append(self._widening(learn.take(own), weights, *self._ends(x[~own], y[~own], rounds)))
        wider = max(widths[0], float(np.mean(widths[1:])))
        both = join([learn, check])
        leaves, offset, slope = self._risk(both, rounds)
        out = both.y["leaves"][self._outside(both)]
        stays = float((out.sum() + 1) / (len(out) + 2))

        def function(i: Inputs) -> Mapping[str, Expr]:
            now, start, rate, columns = i["f_deviation"], self._start(i, weights), rate_of(i), columns_of(i)
            hz = i["nominal_hz"]
            ahead = forest(middle, columns)
            least = (forest(low, columns) - wider).least(ahead)
            most = (forest(high, columns) + wider).most(ahead)
            farthest = now.abs() + (forest(far, columns) * rate).most(0.0)
            risk = (forest(leaves, _outward(i)) * slope + offset).sigmoid()
            return {
                "predictedFrequency": hz * (now + start + ahead * rate + 1.0).most(0.0),
                "frequencyLow": hz * (now + start + least * rate + 1.0).most(0.0),
                "frequencyHigh": hz * (now + start + most * rate + 1.0).most(0.0),
                "bandExitProbability": where(now.abs() >= BAND, risk.most(stays), risk),
                "stabilityScore": ((1.0 - farthest / ZERO) * 100.0).clip(0.0, 100.0),
            }

        facts = {
            "data": "swing equation of interconnections (remhart_adt.simulate.frequency); no feeder is solved",
            "rows": len(learn), "trees": 3 * rounds + 20 + rounds // 2, "widened_by": wider,
            "least_probability_outside": stays, "exit_offset": offset, "exit_slope": slope,
            "baseline_ar": [round(float(w), 6) for w in weights],
            "baseline_constant": float(learn.y["leaves"][~self._outside(learn)].mean()),
        }  # fmt: skip
        return function, facts

    def _inputs(self, samples: Samples) -> Inputs:
        return Inputs(self.inputs, np.ascontiguousarray(samples.x[:, [INDEX[name] for name in self.inputs]]))

    def _outside(self, samples: Samples) -> NDArray[np.bool_]:
        """Whether the reading itself is outside the normal band."""
        return np.asarray(np.abs(samples.x[:, INDEX["f_deviation"]]) >= BAND)

    def _weights(self, samples: Samples) -> Floats:
        """The autoregression: ridge of the change in 5 s on past changes and the deviation."""
        a = samples.x[:, [INDEX[name] for name in _LINE]].astype(np.float64)
        square = a.T @ a
        square += 1e-6 * np.trace(square) / len(square) * np.eye(len(square))
        weights: Floats = np.linalg.solve(square, a.T @ (samples.y["ahead"] - samples.x[:, INDEX["f_deviation"]]))
        return weights

    def _start(self, i: Inputs, weights: Floats) -> Expr:
        """What the autoregression says of the change, [N, 1]."""
        return (i[_LINE] * weights.astype(np.float32)[None, :]).sum()

    def _ends(self, x: NDArray[np.float32], y: Floats, rounds: int) -> tuple[xgb.Booster, xgb.Booster]:
        low, high = (
            boost(x, y, rounds // 2, 3, objective="reg:quantileerror", alpha=alpha, leaf=100.0)
            for alpha in ((1 - _COVER) / 2, (1 + _COVER) / 2)
        )
        return low, high

    def _widening(self, check: Samples, weights: Floats, low: xgb.Booster, high: xgb.Booster) -> float:
        """By how much both ends must move, in units of the rate, to cover what they promise on other worlds."""
        i = self._inputs(check)
        start, rate, x = self._start(i, weights).a[:, 0], rate_of(i).a[:, 0], columns_of(i)
        y = (check.y["ahead"] - i["f_deviation"].a[:, 0] - start) / rate
        outside = np.maximum(forest(low, x).a[:, 0] - y, y - forest(high, x).a[:, 0])
        return float(np.quantile(outside, _COVER))

    def _risk(self, both: Samples, rounds: int) -> tuple[xgb.Booster, float, float]:
        """Trees for the exit from the band, and offset and slope on their margin with the best likelihood (Platt
        scaling) inside the band of grids left out. Exits come in few grids and few hours: all grids have their say."""
        x, y = _outward(self._inputs(both)).a, both.y["leaves"]
        part = both.y["plan"].astype(np.int64) % _FOLDS
        margin = np.zeros(len(y))
        for k in range(_FOLDS):
            trees = self._exits(x[part != k], y[part != k], rounds)
            margin[part == k] = forest(trees, Expr(x[part == k])).a[:, 0]
        inside = ~self._outside(both)
        a, y_in, w = np.stack([np.ones(inside.sum()), margin[inside]], axis=1), y[inside], np.array([0.0, 1.0])
        for _ in range(20):
            p = 1 / (1 + np.exp(-(a @ w)))
            w = w + np.linalg.solve((a * (p * (1 - p))[:, None]).T @ a + 1e-6 * np.eye(2), a.T @ (y_in - p))
        return self._exits(x, y, rounds), float(w[0]), float(w[1])

    def _exits(self, x: NDArray[np.float32], y: Floats, rounds: int) -> xgb.Booster:
        return boost(x, y, rounds // 2 + 20, 3, objective="binary:logistic", leaf=20.0, monotone=_RISING)

    def mini(self, samples: Samples) -> tuple[Floats, Floats]:
        hz = samples.y["hz"]
        return (1 + samples.y["ahead"]) * hz, (1 + samples.x[:, INDEX["f_deviation"]]) * hz

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, judged = run(x), Judged()
        hz, now = samples.y["hz"], samples.x[:, INDEX["f_deviation"]].astype(np.float64)
        truth = (1 + samples.y["ahead"]) * hz
        error = 1e3 * (answer["predictedFrequency"] - truth)
        held = 1e3 * ((1 + now) * hz - truth)
        line = samples.x[:, [INDEX[name] for name in _LINE]].astype(np.float64) @ np.array(self.ar)
        other = held + 1e3 * line * hz
        text = "linear autoregression (ridge), one for all grids and meters"
        judged.metrics += [
            mae_metric("MAE of the forecast", "mHz", on, samples, error, held, self.baseline),
            mae_metric("MAE of the forecast, against an autoregression", "mHz", on, samples, error, other, text),
            _compared("RMSE of the forecast", "mHz", on, samples, error, held, self.baseline, root=True),
        ]
        score = 100 * np.clip(1 - samples.y["farthest"] / ZERO, 0, 1)
        seen = np.maximum(*(np.abs(samples.x[:, INDEX[f"f_deviation_{end}16"]]) for end in ("min", "max")))
        judged.metrics.append(
            mae_metric("MAE of stabilityScore", "points", on, samples, answer["stabilityScore"] - score,
                       100 * np.clip(1 - seen / ZERO, 0, 1) - score, "the largest deviation of the last 16 readings")
        )  # fmt: skip
        inside, p, leaves = ~self._outside(samples), answer["bandExitProbability"], samples.y["leaves"]
        rule = np.where(inside, self.constant, 1.0)
        text = "certain when outside now, else the training worlds' rate"
        judged.metrics.append(
            _compared("Brier score of bandExitProbability", "-", on, samples, p - leaves, rule - leaves, text)
        )
        within = samples.take(inside)
        judged.metrics.append(
            _compared("Brier score of bandExitProbability, inside the band now", "-", on, within,
                      (p - leaves)[inside], (rule - leaves)[inside], "the training worlds' rate")
        )  # fmt: skip
        grids, of = np.unique(samples.y["plan"], return_inverse=True)
        own = (np.bincount(of, leaves * inside) / np.bincount(of, inside))[of]
        judged.metrics.append(
            _compared("Brier score of bandExitProbability, inside, against the grid's own rate", "-", on, within,
                      (p - leaves)[inside], (own - leaves)[inside], f"each of the {len(grids)} grids' rate, known only "
                      "afterwards")
        )  # fmt: skip
        judged.facts |= _more(samples, answer, error, held, on)
        return judged


def rate_of(i: Inputs) -> Expr:
    """The unit of everything here: the restlessness, but never none."""
    return i["f_rate"].most(_CALM)


def columns_of(i: Inputs) -> Expr:
    """Past changes and deviation in units of the rate, then spacing, the share of noise, and the rate itself."""
    rate = rate_of(i)
    return concat([i[_LAGS] / rate, i["f_deviation"] / rate, i["f_spacing_s"], i["f_noise"] / rate, rate])


_RISING = (1, 0, 0, 0, 1, -1, 0)


def _outward(i: Inputs) -> Expr:
    """Away from nominal is positive, whichever side: deviation, its change over 3, 7 and 10 s, the rate, the way to the
    edge of the band in units of the rate, and the share of noise."""
    now, rate = i["f_deviation"], rate_of(i)
    side = where(now < 0.0, 1.0, -1.0)
    away = now.abs()
    return concat([away, *(i[f"f_lag{k}"] * side for k in (3, 7, 10)), rate, (BAND - away) / rate, i["f_noise"] / rate])


def _compared(
    name: str, unit: str, on: str, samples: Samples, error: Floats, other: Floats, text: str, *, root: bool = False
) -> Any:
    """Mean square of two errors, or its root."""
    power = 0.5 if root else 1.0

    def figures(rows: NDArray[np.int64]) -> tuple[float, float]:
        return float((error[rows] ** 2).mean() ** power), float((other[rows] ** 2).mean() ** power)

    return compare(name, unit, on, samples.block, figures, text)


def _more(samples: Samples, answer: Mapping[str, NDArray[Any]], error: Floats, held: Floats, on: str) -> dict[str, Any]:
    """Coverage, base rate, reliability, and gains by how far apart the readings are."""
    hz, y = samples.y["hz"], samples.y
    truth = (1 + y["ahead"]) * hz
    low, high = answer["frequencyLow"], answer["frequencyHigh"]
    moved = np.abs(held) > 20
    p, leaves = answer["bandExitProbability"], y["leaves"]
    spacing = np.rint(2 * samples.x[:, INDEX["f_spacing_s"]]) / 2
    bins = np.digitize(p, (0.01, 0.03, 0.1, 0.3, 0.7))

    def gain(rows: NDArray[np.bool_]) -> float:
        return round(float(1 - np.abs(error[rows]).mean() / np.abs(held[rows]).mean()), 3)

    return {
        f"coverage of the 90 % interval, {on}": round(float(((truth >= low) & (truth <= high)).mean()), 4),
        f"mean width of the interval, mHz, {on}": round(float(1e3 * (high - low).mean()), 1),
        f"coverage where the frequency moves more than 20 mHz, {on}": round(
            float(((truth >= low) & (truth <= high))[moved].mean()), 4
        ),
        f"share of those / gain in MAE there, {on}": [round(float(moved.mean()), 4), gain(moved)],
        f"gain in MAE by kind of grid, {on}": {
            name: gain(y["feeder"] == k)
            for name, k in (*((name, k) for k, name in enumerate(LEARN_FEEDERS)), (TEST_FEEDER, -1))
            if (y["feeder"] == k).any()
        },
        f"gain in MAE by seconds between readings, {on}": {
            str(s): gain(spacing == s) for s in (0.5, 1.0, 2.0, 3.0, 5.0)
        },
        f"share outside the band within 60 s / outside now, {on}": [
            round(float(leaves.mean()), 5), round(float((np.abs(y["now"]) >= BAND).mean()), 5)
        ],
        f"said / happened, bandExitProbability in bins at 0.01, 0.03, 0.1, 0.3, 0.7 (rows), {on}": [
            [round(float(p[bins == k].mean()), 4), round(float(leaves[bins == k].mean()), 4), int((bins == k).sum())]
            for k in range(6) if (bins == k).any()
        ],
    }  # fmt: skip
