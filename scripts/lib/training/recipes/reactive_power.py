"""reactive_power: total Q ten minutes ahead, and the compensation and capacitor steps that follow from it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, mae_metric, output
from training.samples import Samples

_TARGET_PF = 0.95
_TAN = float(np.tan(np.arccos(_TARGET_PF)))
# No step is advised where the voltage is this high already: every step raises it.
_HIGHEST_V = 1.07
_IDLE = 0.01
_LEVELS = ("q_total", "q_10min", "q_total_mean16", "q_total_min16", "q_total_max16", "q_lag1", "q_lag2", "q_lag4")
_OTHER = (
    "q_total_std16", "q_total_slope16", "q_step", "q_lag96", "p_total", "p_10min", "p_total_slope16", "p_lag1",
    "p_lag96", "p_lag95", "window_span_s", "gap_s", "v_mean", "hour_sin", "hour_cos", "weekend",
)  # fmt: skip


class ReactivePower:
    id = "reactive_power"
    algorithm = "gradient-boosted trees for the forecast, closed form for the compensation"
    scope, rate = "point", "minute"
    sources, headline = ("points",), "forecastReactivePower"
    title = "Reactive power compensation"
    definition = (
        f"Total reactive power (var) ten minutes ahead; the compensation that brings the power factor to {_TARGET_PF} "
        "then, Qc = Q - P tan(arccos(0.95)), and the whole capacitor steps to switch in that do not overcompensate."
    )
    baseline = "the last reading's Q"
    inputs = (*_LEVELS, *_OTHER, "base_power", "bank_step", "bank_steps")
    outputs = (
        output("forecastReactivePower", "double", "total Q at +10 min", unit="var"),
        output("recommendedCompensation", "double", "reactive power to compensate, capacitive positive", unit="var"),
        output("expectedPowerFactor", "double", "power factor at +10 min if advised so", range=(0, 1), optional=True),
        output("recommendedSteps", "integer", "capacitor steps to switch in beyond those that are on", optional=True,
               range=(0, None)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {
        "channels": ("p_a", "p_b", "p_c", "q_a", "q_b", "q_c", "v_a", "v_b", "v_c"), "rating": True,
        "energised": True, "readings": 3,
    }  # fmt: skip
    limits = (
        "The published design names a neural network; trees were chosen for speed and for missing inputs.",
        "Steps are advised only where the twin declares the bank; the advice adds to what is switched on already.",
        "A bank that switches by itself within the ten minutes is the main error.",
        "A first version was not clear of the last reading on lives 1 to 3 of the unseen feeder; this one came after.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        return np.asarray(
            (samples.y["random"] > 0) & (samples.y["alive"] > 0) & (samples.y["fault"] == 0)
            & np.isfinite(x[:, INDEX["q_total"]]) & np.isfinite(samples.y["q_10min"])
            & (x[:, INDEX["readings_seen"]] >= 3)
        )  # fmt: skip

    def _columns(self, i: Inputs) -> Expr:
        now = i["q_total"]
        return concat([i[_LEVELS[1:]] - now, now, i[_OTHER]])

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, _ = data.rows(self)
        x = learn.x[:, [INDEX[name] for name in self.inputs]]
        columns = self._columns(Inputs(self.inputs, x)).a
        change = np.clip(learn.y["q_10min"] - learn.x[:, INDEX["q_total"]], -0.5, 0.5)
        rounds = 60 if data.quick else 140
        # Absolute error: what a bank or a machine switches by is far larger than the rest, and with its squares the
        # trees would learn the feeders' own machines.
        booster = boost(columns, change, rounds, 5, rate=0.08, objective="reg:absoluteerror")

        def function(i: Inputs) -> Mapping[str, Expr]:
            q = i["q_total"] + forest(booster, self._columns(i))
            p = i["p_10min"].abs()
            lagging = (q - p * _TAN).most(0.0)
            leading = (q + p * _TAN).least(0.0)
            # An idle point, or a bank's own, has no power factor to mend.
            idle = p < _IDLE
            lagging = where(idle, 0.0, lagging)
            advice = lagging + where(idle, 0.0, leading)
            step = i["bank_step"].nan_to(1.0).most(1e-6)
            wanted = (lagging / step - 1e-3).ceil().most(0.0)
            room = (q / step).floor().most(0.0)
            steps = wanted.least(room).least(i["bank_steps"].nan_to(0.0))
            steps = where(i["v_mean"] > _HIGHEST_V, 0.0, steps)
            known = ~(i["bank_step"].isnan() | i["bank_steps"].isnan())
            left = q - where(known, steps * step, advice)
            factor = (p / (p * p + left * left).sqrt().most(1e-9)).clip(0.0, 1.0)
            return {
                "forecastReactivePower": q * i["base_power"],
                "recommendedCompensation": advice * i["base_power"],
                "expectedPowerFactor": where(idle, float("nan"), factor),
                "recommendedSteps": where(known, steps, -1.0).integer(),
            }

        return function, {"rows": len(learn), "trees": rounds}

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        base = samples.x[:, INDEX["base_power"]]
        return samples.y["q_10min"] * base, samples.x[:, INDEX["q_total"]] * base

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        base = samples.x[:, INDEX["base_power"]]
        truth = samples.y["q_10min"]
        error = answer["forecastReactivePower"] / base - truth
        naive = samples.x[:, INDEX["q_total"]] - truth
        metric = mae_metric("MAE Q at +10 min", "p.u. of rating", on, samples, error, naive, self.baseline)
        facts = {f"mean |Q|, {on}": round(float(np.abs(truth).mean()), 5)}
        return Judged([metric], facts)
