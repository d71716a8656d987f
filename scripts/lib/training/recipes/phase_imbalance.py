"""phase_imbalance: the voltage unbalance factor, exact from line voltages, else estimated with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, compare, mae_metric, output
from training.recipes.overload_risk import macro_f1
from training.samples import Samples

_CLASSES = ("balanced", "minor", "moderate", "severe")
_LIMITS = (2.0, 5.0, 10.0)
_COLUMNS = (
    "v_floor_unbalance", "v_unbalance_magnitude", "v_range", "v_min", "v_max", "v_mean", "i_range", "i_unbalance",
    "p_range", "q_range",
)  # fmt: skip
# Truth and estimate are compared on a logarithmic scale shifted by this (percent), so that 0.3 against 0.4 % counts
# less than 3 against 4 %.
_SHIFT = 0.2
_BALANCED = 3


class PhaseImbalance:
    id = "phase_imbalance"
    algorithm = "IEC 61000-4-30 formula where line voltages are sent; else gradient-boosted trees, conformal interval"
    scope, rate = "point", "reading"
    sources, headline = ("points", "uneven"), "vuf"
    title = "Phase imbalance"
    definition = (
        "Voltage unbalance factor VUF = |V2|/|V1| in percent, truth from the engine's phasors; classes at 2, 5 and "
        "10 %; critical phase: the one that departs most from the positive sequence."
    )
    baseline = "largest deviation of a phase-to-neutral magnitude from the mean, over the mean"
    inputs = ("vuf_line", "v_a", "v_b", "v_c", *_COLUMNS)
    outputs = (
        output("imbalanceClass", "enum", "class of vuf", values=_CLASSES),
        output("vuf", "double", "voltage unbalance factor", unit="%", range=(0, 100)),
        output("vufLow", "double", "lower end of the 90 % interval", unit="%", range=(0, 100)),
        output("vufHigh", "double", "upper end of the 90 % interval", unit="%", range=(0, 100)),
        output("confidence", "double", "probability of the class", range=(0, 1)),
        output("criticalPhase", "enum", "phase that departs most; none while balanced", values=("A", "B", "C", "none")),
    )
    needs: ClassVar[dict[str, Any]] = {"channels": ("v_a", "v_b", "v_c"), "phases": 3, "energised": True}
    limits = (
        "Phase-to-neutral magnitudes alone do not determine VUF: zero sequence and angles are hidden.",
        "The estimate was learned on four-wire low-voltage feeders.",
        "The published design names a decision tree; the exact formula replaces it where line voltages are sent.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        return np.asarray(
            (samples.y["random"] > 0) & np.isfinite(x[:, INDEX["v_floor_unbalance"]]) & np.isfinite(samples.y["vuf"])
            & (x[:, INDEX["v_max"]] >= 0.1)
            # Faults of the sensor are no unbalance of the grid: the meter lies, VUF is as before.
            & ~np.isin(samples.y["fault"], (3, 4, 5))
        )  # fmt: skip

    def _columns(self, i: Inputs) -> Expr:
        v = i.abc("v")
        mean = v.sum() / 3.0
        away = (v - mean).abs()
        ratio = i["v_floor_unbalance"] / (i["v_unbalance_magnitude"] * 100.0).most(0.05)
        return concat([i[_COLUMNS], away.low() / away.high().most(1e-4), ratio])

    def _start(self, i: Inputs) -> Expr:
        """The engineer's formula on the logarithmic scale; the forest corrects it."""
        return ((i["v_unbalance_magnitude"] * 100.0).nan_to(0.0) + _SHIFT).log()

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        x = learn.x[:, [INDEX[name] for name in self.inputs]]
        rounds = 60 if data.quick else 120
        start = self._start(Inputs(self.inputs, x)).a[:, 0]
        y = np.log(learn.y["vuf"] + _SHIFT) - start
        # Open conductors are rare and the upper classes consist of nothing else.
        weight = np.where(learn.y["vuf"] > 2, 6.0, 1.0)
        booster = boost(self._columns(Inputs(self.inputs, x)).a, y, rounds, 5, rate=0.1, weight=weight, leaf=20)
        width = self._width(learn, rounds)
        exact = check.x[:, INDEX["vuf_line"]]
        line_width = float(np.nanquantile(np.abs(exact - check.y["vuf"]), 0.9))

        def function(i: Inputs) -> Mapping[str, Expr]:
            mark = self._start(i) + forest(booster, self._columns(i))
            guess = (mark.exp() - _SHIFT).clip(0.0, 100.0)
            line = i["vuf_line"]
            known = ~line.isnan()
            line = line.nan_to(0.0).clip(0.0, 100.0)
            vuf = where(known, line, guess)
            low = where(known, line - line_width, (mark - width).exp() - _SHIFT).clip(0.0, 100.0)
            high = where(known, line + line_width, (mark + width).exp() - _SHIFT).clip(0.0, 100.0)
            code = (vuf >= np.array([_LIMITS], np.float32)).number().sum()
            v = i.abc("v")
            phase = (v - v.sum() / 3.0).abs().argmax().number()
            return {
                "imbalanceClass": code.integer(),
                "vuf": vuf,
                "vufLow": low,
                "vufHigh": high,
                "confidence": _sure(known, (line, line_width), (mark, width), code),
                "criticalPhase": where(vuf >= _LIMITS[0], phase, float(_BALANCED)).integer(),
            }

        return function, {"rows": len(learn), "trees": rounds, "log_width": width, "line_width": line_width}

    def _width(self, learn: Samples, rounds: int) -> float:
        """Half-width that covers 90 % of the errors on feeders left out of learning in turn: what a user's
        own feeder is to the model."""
        columns = self._columns(Inputs(self.inputs, learn.x[:, [INDEX[name] for name in self.inputs]])).a
        start = self._start(Inputs(self.inputs, learn.x[:, [INDEX[name] for name in self.inputs]])).a[:, 0]
        y = np.log(learn.y["vuf"] + _SHIFT) - start
        weight = np.where(learn.y["vuf"] > 2, 6.0, 1.0)
        widths = []
        for out in np.unique(learn.y["feeder"]):
            rest = learn.y["feeder"] != out
            booster = boost(columns[rest], y[rest], rounds, 5, rate=0.1, weight=weight[rest], leaf=20)
            error = y[~rest] - forest(booster, Expr(columns[~rest])).a[:, 0]
            widths.append(float(np.quantile(np.abs(error), 0.9)))
        return float(np.mean(widths))

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return samples.y["vuf"], 100 * samples.x[:, INDEX["v_unbalance_magnitude"]]

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        truth = samples.y["vuf"]
        simple = 100 * samples.x[:, INDEX["v_unbalance_magnitude"]]
        blind = x.copy()
        blind[:, self.inputs.index("vuf_line")] = np.nan
        guess, full = run(blind), run(x)
        line = np.isfinite(samples.x[:, INDEX["vuf_line"]])
        judged = Judged()
        judged.metrics.append(
            mae_metric(
                "MAE vuf, no line voltages", "pp", on, samples, guess["vuf"] - truth, simple - truth, self.baseline
            )
        )
        seen = samples.take(line)
        judged.metrics.append(
            mae_metric("MAE vuf, line voltages", "pp", on, seen, (full["vuf"] - truth)[line], (simple - truth)[line],
                       self.baseline)
        )  # fmt: skip
        classes, said, rule = np.digitize(truth, _LIMITS), guess["imbalanceClass"], np.digitize(simple, _LIMITS)

        def f1(rows: NDArray[np.int64]) -> tuple[float, float]:
            return macro_f1(classes[rows], said[rows], 4), macro_f1(classes[rows], rule[rows], 4)

        judged.metrics.append(
            compare(
                "macro-F1 class, no line voltages", "-", on, samples.block, f1, self.baseline, lower_is_better=False
            )
        )
        inside = (truth >= guess["vufLow"]) & (truth <= guess["vufHigh"])
        judged.facts[f"coverage of the 90 % interval, no line voltages, {on}"] = round(float(inside.mean()), 4)
        judged.facts[f"class shares balanced/minor/moderate/severe, {on}"] = [
            round(float((classes == k).mean()), 5) for k in range(4)
        ]
        bad = truth >= 2
        if bad.any():
            right = full["criticalPhase"][bad] == samples.y["critical"][bad]
            judged.facts[f"critical phase right where VUF >= 2 %, {on}"] = round(float(right.mean()), 4)
        return judged


def _sure(known: Expr, exact: tuple[Expr, float], guess: tuple[Expr, float], code: Expr) -> Expr:
    """Probability that the truth lies in the chosen class. Error is taken as normal about a value whose 90 %
    half-width is given, on the logarithmic scale with `_SHIFT` for a guess; the normal curve as a logistic one of
    slope 1.702."""
    edges = np.array([_LIMITS])
    slopes = [1.702 * 1.645 / max(width, 1e-6) for _, width in (exact, guess)]
    away = where(known, (edges - exact[0]) * slopes[0], (np.log(edges + _SHIFT) - guess[0]) * slopes[1])
    below = away.sigmoid()
    # Below an edge, at most; the last class has none.
    least, most = code * 0.0, code * 0.0 + 1.0
    share = concat([below, most]) - concat([least, below])
    chosen = (code - np.arange(len(_CLASSES), dtype=np.float32)[None, :]).abs() < 0.5
    return share.chosen(chosen).clip(0.0, 1.0)
