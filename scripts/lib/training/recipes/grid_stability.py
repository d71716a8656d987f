"""grid_stability: how far a feeder is from its limits; the distance in load to the voltage limit and to collapse is
learned, the other margins are measured.

Learned are the coefficients of a two-node equation. Trees on top of it were tried: they were better on feeders they
had seen and worse on others, as what they found was the feeder.

Each margin is brought to one scale on which 60 is the limit itself, 80 where planning asks for attention and 0 where
equipment no longer bears it; the score is the smallest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from training.expr import Expr, Inputs, ModelFunction, concat, scales, where
from training.recipe import Data, Judged, Runner, compare, inputs_of, mae_metric, output
from training.recipes.overload_risk import macro_f1
from training.samples import Samples
from training.stability_set import CAP, COLLAPSE, LIMIT

_MARGIN = (
    "v_low", "drop_max", "drop_loss", "head_load", "head_reactive", "head_unbalance", "feed_in", "short_circuit_v",
)  # fmt: skip
# Short-circuit voltage of a distribution transformer that does not declare its own (IEC 60076-5: 4 % up to 630 kVA).
_TYPICAL_UK = 0.04
_MEASURED = ("worst_load", "frequency_off", "unbalance_worst")
_CLASSES = ("stable", "marginal", "unstable")
_FACTORS = ("voltage", "frequency", "imbalance", "thermal")
_STABLE, _UNSTABLE = 80.0, 60.0

# In the order in which `scores` takes them: points of each scale, (what is measured, score). Between them it is
# linear, outside constant.
SCALES: Final[Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    # Load growth to collapse: 5 % is the margin that WECC asks of a grid with one element out (TPL-001-WECC-CRT-3.2).
    "collapse": ((0.0, 0.05, 0.25, 1.0), (0.0, 60.0, 80.0, 100.0)),
    # Load growth until the lowest phase is at 0.90 p.u. (EN 50160 4.2.2).
    "limit": ((0.0, 0.25, 1.0), (60.0, 80.0, 100.0)),
    # Lowest phase (p.u.): 0.90 and 0.85 are the limits of EN 50160 4.2.2 for 95 % and for all 10-minute means.
    "low": ((0.7, 0.85, 0.9), (0.0, 30.0, 60.0)),
    # |f / fn - 1|: 200 mHz is the largest steady deviation of (EU) 2017/1485 Annex III, 1 % and 6 % are EN 50160 4.2.1.
    "frequency": ((0.001, 0.004, 0.01, 0.06), (100.0, 80.0, 60.0, 0.0)),
    # V2/V1 (%): 1 and 5 % are where NEMA MG 1 14.36 derates and forbids motors, 2 % is IEC 61000-2-2 4.6 and EN 50160.
    "imbalance": ((0.5, 1.0, 2.0, 5.0), (100.0, 80.0, 60.0, 0.0)),
    # Current over rating: 1.5 is the most that IEC 60076-7 allows a distribution transformer in normal cyclic loading.
    "thermal": ((0.4, 0.8, 1.0, 1.5), (100.0, 80.0, 60.0, 0.0)),
}


def _extrapolated(i: Inputs, level: float, upstream: float) -> Expr:
    """The baseline: load growth to the level if voltage falls linearly with load. The drop is the measured one below
    the head, and a fitted share of load times short-circuit voltage for transformer and grid above it (p.u.)."""
    above = i["head_load"] * i["short_circuit_v"].nan_to(_TYPICAL_UK) * upstream
    drop = (i["drop_max"].most(0.0) + above).most(1e-3)
    return ((i["v_low"] - level) / drop).clip(0.0, CAP)


_LEVELS: Final = np.array([[COLLAPSE, LIMIT]])
# What `_log_factor` takes within zero and these.
_BOUNDS: Final = {
    "drop_max": 1.0, "drop_loss": 1.0, "head_load": 10.0, "head_reactive": 1.0, "head_unbalance": 3.0, "feed_in": 2.0,
}  # fmt: skip
# Coefficients of `_log_factor`, where the fit starts, and the most each may be; none is below zero, so that more load
# or more drop never means more margin.
_COEFFICIENTS = (
    ("drop_max", 0.9, 2.0), ("drop_loss", 0.1, 2.0), ("load", 0.02, 0.2), ("reactive load", 0.02, 0.3),
    ("uneven load", 0.01, 0.2), ("feed_in", 0.01, 2.0), ("stiffness", 0.1, 0.6), ("stiffness of reactive", 0.1, 0.3),
    ("transformer", 0.1, 2.0), ("transformer, reactive", 0.5, 3.0),
)  # fmt: skip


def _log_factor(i: Inputs, w: NDArray[np.float64]) -> Expr:
    """Logarithms of the load factors at which the lowest phase is down at the levels of `_LEVELS`, [N, 2], within
    0..log(1 + CAP).

    Two nodes, supply E and lowest phase v now, loads that draw current as V^-p: E - V = D f (V/v)^-p, with D = E - v
    the whole drop of the load now, gives f = (1 + (v - V) / D) (V/v)^p. D is the metered drop below the head, and what
    transformer and grid add by load, reactive load and unbalance; what plants feed in hides drop that growing loads
    will show. p is higher for reactive loads, which are motors.
    """
    bounded = concat([i[list(_BOUNDS)], i["short_circuit_v"].nan_to(_TYPICAL_UK)])
    bounded = bounded.most(0.0).least(np.array([[*_BOUNDS.values(), 0.2]], np.float32))
    drop_max, drop_loss, load, reactive, uneven, feed_in, uk = (bounded.take([k]) for k in range(len(_BOUNDS) + 1))
    a = [float(x) for x in w]
    drop = (
        drop_max * a[0] + drop_loss * a[1] + load * (reactive * a[3] + uneven.sqrt() * a[4] + a[2])
        + load * uk * (reactive * a[9] + a[8]) + feed_in * a[5]
    ).clip(1e-3, 0.5)  # fmt: skip
    v = i["v_low"].most(_LEVELS)
    log = ((v - _LEVELS) / drop + 1.0).log() - (v * (1 / _LEVELS)).log() * (reactive * a[7] + a[6])
    return log.clip(0.0, float(np.log1p(CAP)))


def scores(collapse: Expr, limit: Expr, low: Expr, off: Expr, unbalance: Expr, load: Expr) -> tuple[Expr, Expr, Expr]:
    """Score 0..100, class and limiting factor from the margins; what is NaN does not count."""

    rest = concat([off, unbalance, load]).nan_to(0.0)
    known = concat([collapse.nan_to(CAP), limit.nan_to(CAP), low.nan_to(1.0), rest])
    on = scales(known, list(SCALES.values()))
    voltage = on.take([0]).least(where(low >= LIMIT, on.take([1]), on.take([2])))
    parts = concat([voltage, on.take([3, 4, 5])])
    score = parts.low().clip(0.0, 100.0)
    level = (score < np.array([[_STABLE, _UNSTABLE]], np.float32)).number().sum()
    return score, level.integer(), (-parts).argmax()


class GridStability:
    id = "grid_stability"
    algorithm = "two-node voltage equation with fitted coefficients for the voltage margin; other margins exact"
    scope, rate = "feeder", "minute"
    sources, headline = ("stability",), "voltageMargin"
    title = "Grid stability"
    definition = (
        "Voltage margin: how much more load (% of the load now, at most 900) all customers may draw in the same "
        "proportion before any metered phase falls below 0.5 p.u. or the power flow has no solution, with plants, "
        "bank, tap and supply as they are; truth is a continuation power flow of the engine. Thermal margin: 100 % "
        "less the highest phase current of all members in % of its rating. Score: the smallest margin on a scale "
        "where 60 is the limit and 80 the start of attention. Voltage: load growth to 0.90 p.u. (EN 50160), 0 % is "
        "60, 25 % is 80; below 0.90 p.u. the voltage itself, 0.85 is 30; growth to collapse, 5 % is 60 (WECC), 25 "
        "% is 80. Frequency: deviation of 1 % is 60 (EN 50160), 0.4 % is 80 ((EU) 2017/1485). Imbalance: V2/V1 of "
        "2 % is 60 (IEC 61000-2-2), 1 % is 80 (NEMA MG 1). Thermal: the rating is 60, 80 % of it is 80, 150 % is 0 "
        "(IEC 60076-7). Stable from 80, unstable below 60."
    )
    baseline = (
        "voltage extrapolated linearly with load, the drop being the metered one plus a fitted share of load times "
        "short-circuit voltage"
    )
    inputs = (*_MARGIN, *_MEASURED)
    outputs = (
        output("stabilityScore", "double", "smallest margin, 60 is a limit", range=(0, 100)),
        output("stabilityClass", "enum", "class of the score", values=_CLASSES),
        output("voltageMargin", "double", "load growth to collapse, of the load now", unit="%", range=(0, 900)),
        output("thermalMargin", "double", "distance to the rating of the member that is loaded most", unit="%",
               range=(None, 100), optional=True),
        output("limitingFactor", "enum", "what the smallest margin is about", values=_FACTORS),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {}
    limits = (
        "The margin to collapse is that of this feeder on its supply; a collapse of the grid above is not seen.",
        "All loads are taken to grow alike. A single large new load at the end of a line is a harder case.",
        "How loads answer to low voltage is not metered: assumed is between constant power and constant current.",
        "More load raises neither the voltage nor the thermal margin, but it may lower unbalance, and the score rise.",
        "What no member meters does not count: without line voltages imbalance, without ratings loading.",
        "Customers without a meter in the graph may stand lower than the lowest one that is metered.",
        "Abstains under reverse power and below 1 % of the rating, where a growth in percent of the load means little.",
        "The published design names an ensemble of classifiers; here the class follows from the margins.",
        "Most classes are decided by what is measured: the learned margin seldom changes one.",
    )
    # The share of the rating's drop above the head, fitted on the training rows: the baseline's only constant.
    constant: float = 0.0

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(samples.x).any(1))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, _ = data.rows(self)
        x = inputs_of(self, learn)
        drops = np.linspace(0.0, 2.5, 51)
        errors = [np.abs(self._linear(x, COLLAPSE, k) - learn.y["collapse"]).mean() for k in drops]
        self.constant = upstream = float(drops[int(np.argmin(errors))])
        w = self._fit(x, learn.y)

        def function(i: Inputs) -> Mapping[str, Expr]:
            grown = where(i["v_low"] > _LEVELS, _log_factor(i, w).exp() - 1.0, 0.0).clip(0.0, CAP)
            collapse, limit = grown.take([0]), grown.take([1])
            # Collapse lies beyond the voltage limit.
            collapse = collapse.most(limit)
            score, level, factor = scores(
                collapse, limit, i["v_low"], i["frequency_off"].abs(), i["unbalance_worst"], i["worst_load"]
            )
            return {
                "stabilityScore": score,
                "stabilityClass": level,
                "voltageMargin": collapse * 100.0,
                "thermalMargin": (1.0 - i["worst_load"]) * 100.0,
                "limitingFactor": factor,
            }

        named = {name: round(float(value), 4) for (name, _, _), value in zip(_COEFFICIENTS, w, strict=True)}
        return function, {"rows": len(learn), "baseline_constant": upstream, "coefficients": named}

    def _fit(self, x: NDArray[np.float32], y: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Coefficients that fit both distances at once: least squares of the logarithms, large errors counted by their
        size only. Rows at the cap count where the equation stays below it."""
        i = Inputs(self.inputs, x.astype(np.float64))
        truth = np.log1p(np.stack([y["collapse"], y["limit"]], axis=1))

        def errors(w: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.ravel(_log_factor(i, w).a - truth, order="F")

        start, most = (np.array([c[k] for c in _COEFFICIENTS]) for k in (1, 2))
        # A step of differences that float32 constants can tell.
        fit = least_squares(errors, start, bounds=(0.0, most), loss="soft_l1", f_scale=0.05, diff_step=1e-4)
        return np.asarray(fit.x)

    def _linear(self, x: NDArray[np.float32], level: float, upstream: float) -> NDArray[np.float64]:
        return np.asarray(_extrapolated(Inputs(self.inputs, x), level, upstream).a[:, 0], np.float64)

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return 100 * samples.y["collapse"], 100 * self._linear(inputs_of(self, samples), COLLAPSE, self.constant)

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, y = run(x), samples.y
        i = Inputs(self.inputs, x)
        simple = {name: self._linear(x, level, self.constant) for name, level in
                  (("collapse", COLLAPSE), ("limit", LIMIT))}  # fmt: skip
        truth, said = 100 * y["collapse"], answer["voltageMargin"]
        below = truth < 100 * CAP
        judged = Judged()
        factor = 1 + y["collapse"]
        judged.metrics.append(
            mae_metric("MAE voltageMargin", "% of load", on, samples, said - truth, 100 * simple["collapse"] - truth,
                       self.baseline)
        )  # fmt: skip
        judged.metrics.append(
            mae_metric("mean relative error of the load at collapse", "-", on, samples, (1 + said / 100) / factor - 1,
                       (1 + simple["collapse"]) / factor - 1, self.baseline)
        )  # fmt: skip
        judged.metrics.append(
            mae_metric("MAE voltageMargin below the cap", "% of load", on, samples.take(below), (said - truth)[below],
                       (100 * simple["collapse"] - truth)[below], self.baseline)
        )  # fmt: skip

        def ranks(rows: NDArray[np.int64]) -> tuple[float, float]:
            return _spearman(said[rows], truth[rows]), _spearman(simple["collapse"][rows], truth[rows])

        judged.metrics.append(
            compare("rank correlation voltageMargin", "-", on, samples.block, ranks, self.baseline,
                    lower_is_better=False)
        )  # fmt: skip
        real = _columns(y["collapse"], y["limit"], y["low"], np.abs(y["off"]), y["u2"], y["load"])
        rule = [a.a[:, 0] for a in scores(
            Expr(simple["collapse"][:, None].astype(np.float32)), Expr(simple["limit"][:, None].astype(np.float32)),
            i["v_low"], i["frequency_off"].abs(), i["unbalance_worst"], i["worst_load"],
        )]  # fmt: skip
        judged.metrics.append(
            mae_metric("MAE stabilityScore", "-", on, samples, answer["stabilityScore"] - real[0], rule[0] - real[0],
                       self.baseline)
        )  # fmt: skip
        level = answer["stabilityClass"]

        def f1(rows: NDArray[np.int64]) -> tuple[float, float]:
            return macro_f1(real[1][rows], level[rows], 3), macro_f1(real[1][rows], rule[1][rows], 3)

        judged.metrics.append(
            compare("macro-F1 stabilityClass", "-", on, samples.block, f1, self.baseline, lower_is_better=False)
        )
        voltage = real[2] == 0
        judged.facts = {
            f"class shares stable/marginal/unstable, {on}": _shares(real[1], 3),
            f"limiting factor voltage/frequency/imbalance/thermal, {on}": _shares(real[2], 4),
            f"share of margins at the cap of 900 %, {on}": round(float(1 - below.mean()), 4),
            f"recall of unstable, {on} (baseline)": [_hit(real[1], level, 2), _hit(real[1], rule[1], 2)],
            f"recall of unstable where voltage limits, {on} (baseline)": [
                _hit(real[1][voltage], level[voltage], 2), _hit(real[1][voltage], rule[1][voltage], 2)],
            f"how often a said stable/marginal/unstable is true, {on}": [_hit(level, real[1], k) for k in range(3)],
            f"limiting factor right, {on}": round(float((answer["limitingFactor"] == real[2]).mean()), 4),
        }  # fmt: skip
        return judged


def _columns(*margins: NDArray[np.float64]) -> list[NDArray[Any]]:
    """Score, class and factor of true margins."""
    collapse, limit, low, off, unbalance, load = (Expr(m[:, None].astype(np.float32)) for m in margins)
    return [part.a[:, 0] for part in scores(collapse, limit, low, off, unbalance, load)]


def _spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Rank correlation, ties sharing their mean rank."""
    ranked = []
    for values in (a, b):
        _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
        ranked.append((np.cumsum(count) - (count - 1) / 2)[inverse])
    return float(np.corrcoef(ranked[0], ranked[1])[0, 1])


def _hit(of: NDArray[Any], other: NDArray[Any], k: int) -> float:
    """Share of the rows of class k in `of` that are class k in `other` too."""
    return round(float((other[of == k] == k).mean()), 4) if (of == k).any() else float("nan")


def _shares(codes: NDArray[Any], count: int) -> list[float]:
    return [round(float((codes == k).mean()), 4) for k in range(count)]
