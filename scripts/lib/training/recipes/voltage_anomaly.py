"""voltage_anomaly: voltages that load and time do not explain.

The physical part is in the features: every point's own source model V = E + zp P + zq Q, fitted on its last 26 hours,
and the residual against it. A small forest weighs residuals, steps and spreads; its margin becomes a p-value by the
margins seen in worlds without faults, and the alarm threshold is the one that keeps those worlds quiet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from training.expr import Expr, Inputs, ModelFunction, concat, forest, knots, where
from training.faults import FAULTS
from training.quiet import PHASED, STREAM
from training.recipe import Data, Judged, Runner, boost, compare, output
from training.samples import Samples

# A fault that moves no voltage by this much (p.u.) is not called one: it is below what class 0.2 meters and the
# unexplained part of normal voltage allow.
_VISIBLE = 0.015
_RUN = 10
_PER_DAY = 0.02
_P_KNOTS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)


class VoltageAnomaly:
    id = "voltage_anomaly"
    algorithm = "per-point source-impedance residual, gradient-boosted trees, conformal p-value"
    scope, rate = "point", "reading"
    also = ("quiet",)
    sources, headline = ("points",), "anomalyScore"
    title = "Voltage anomaly"
    definition = (
        "Voltages that load, time and the point's own past do not explain: tap jumps, loose neutrals, drifting, stuck "
        "or swapped sensors, open conductors, sags. Truth: injected faults that move a phase by at least 1.5 %."
    )
    baseline = "largest residual over three sigma of the point's own source model"
    inputs = STREAM
    outputs = (
        output("anomalyDetected", "boolean", "score beyond the threshold that keeps fault-free worlds quiet"),
        output("anomalyScore", "double", "forest's probability of a fault", range=(0, 1)),
        output("pValue", "double", "share of fault-free readings that look at least as odd", range=(0, 1)),
        output("residual", "double", "largest unexplained phase voltage, signed", unit="p.u."),
        output(
            "phase", "enum", "phase of that residual; none when nothing is detected", values=("A", "B", "C", "none")
        ),
    )
    needs: ClassVar[dict[str, Any]] = {
        "channels": ("v_a", "v_b", "v_c", "p_a", "p_b", "p_c", "q_a", "q_b", "q_c"), "rating": True, "phases": 3,
        "energised": True, "readings": 10, "quarters_of_line": 8,
    }  # fmt: skip
    limits = (
        "Needs two hours of history with V, P and Q; better after a day.",
        "A stuck sensor is found only once it is 1.5 % off: coarse meters repeat values in normal operation, too.",
        "Swapped phases are found only when their voltages differ visibly; drift only beyond normal voltage variation.",
        "The published design names an isolation forest; this one is a physical residual with supervised trees.",
        "Faults are simulated; no measured fault recordings were available.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = samples.x
        known = np.isfinite(x[:, [INDEX[n] for n in ("residual_a", "residual_b", "residual_c")]]).all(1)
        clear = (samples.y["fault"] == 0) | (samples.y["shift"] >= _VISIBLE)
        return np.asarray(
            known & clear & (x[:, INDEX["readings_seen"]] >= 10) & (x[:, INDEX["v_max"]] >= 0.1)
            & (samples.y["random"] > 0)
        )  # fmt: skip

    def _columns(self, i: Inputs) -> Expr:
        """Phase-symmetric: which phase is odd must not matter to the forest."""
        # Three phases beside each other, so that each step is one for all.
        phased = i[[f"{name}_{x}" for name in PHASED for x in "abc"]].nan_to(0.0)
        v = phased.take(_phases("v", "v"))
        groups = concat([phased, v - phased.take(_phases("v_lag1", "v_mean128"))])
        named = (*PHASED, "lag", "far")
        size = groups.abs()
        made = {"high": groups.highs(3), "low": groups.lows(3), "mean": groups.sums(3) / 3.0,
                "size": size.highs(3), "least": size.lows(3)}  # fmt: skip
        made["range"] = made["high"] - made["low"]
        parts = list(made)
        everything = concat(list(made.values()))
        want = [(name, part) for name in ("residual", "lag", "far") for part in ("size", "least", "range", "mean")]
        want += [("residual_z", "size"), ("residual_z", "range"), ("v_spread", "high"), ("v_spread", "low")]
        later = [("v_std128", "high"), ("v_std128", "low"), ("v_step", "size"), ("source_sigma", "high"),
                 ("v", "high"), ("v", "low"), ("v", "range")]  # fmt: skip
        at = {(name, part): k * len(named) + n for k, part in enumerate(parts) for n, name in enumerate(named)}
        spread = everything.take([at["v_spread", "low"]]) / (everything.take([at["v_spread", "mean"]]) + 1e-4)
        return concat(
            [everything.take([at[w] for w in want]), spread, everything.take([at[w] for w in later]),
             i[("p_step", "q_step")].abs(),
             i[("p_total", "q_total")] - i[("p_total_mean16", "q_total_mean16")],
             i[("p_total_std16", "gap_s", "window_span_s", "readings_seen")]]
        )  # fmt: skip

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, _ = data.rows(self)
        y = (learn.y["fault"] > 0).astype(float)
        columns = self._columns(Inputs(self.inputs, learn.x[:, [INDEX[n] for n in self.inputs]])).a
        rounds = 60 if data.quick else 110
        # Quiet readings count more: what matters is what happens at very few false alarms.
        booster = boost(
            columns, y, rounds, 5, rate=0.12, objective="binary:logistic", leaf=20.0, weight=np.where(y > 0, 1.0, 3.0)
        )
        margins, threshold, alarms = self._quiet(booster, data)
        levels = np.quantile(margins, 1 - np.array(_P_KNOTS[1:]))
        at = np.maximum.accumulate(np.concatenate([[margins.min() - 1e-3], levels]) + 1e-4 * np.arange(len(_P_KNOTS)))
        log_p = np.log(_P_KNOTS)

        def function(i: Inputs) -> Mapping[str, Expr]:
            margin = forest(booster, self._columns(i))
            found = margin > threshold
            r = i.abc("residual").nan_to(0.0)
            worst = r.abs().argmax()
            signed = where(r.abs().high() > r.high(), -(r.abs().high()), r.high())
            return {
                "anomalyDetected": found,
                "anomalyScore": margin.sigmoid(),
                "pValue": knots(margin, at.tolist(), log_p.tolist()).exp(),
                "residual": signed,
                "phase": where(found, worst.number(), 3.0).integer(),
            }

        facts = {
            "rows": len(learn), "share_of_faults": round(float(y.mean()), 4), "trees": rounds, "threshold": threshold,
            "false_alarms_per_point_day_at_threshold": alarms,
        }  # fmt: skip
        return function, facts

    def _quiet(self, booster: Any, data: Data) -> tuple[NDArray[Any], float, float]:
        """Margins of fault-free streams, and the threshold that ten readings in a row pass at most so rarely."""
        everything, peaks, days = [], [], 0.0
        for stream in data.quiet:
            margin = forest(booster, self._columns(Inputs(self.inputs, stream.columns(self.inputs)))).a[:, 0]
            everything.append(margin)
            days += stream.point_days
            peaks += [run for run in stream.runs(margin, _RUN) if run > -2.0]
        ordered = np.sort(peaks)[::-1]
        allowed = int(days * _PER_DAY)
        threshold = max(0.5, float(ordered[min(allowed, len(ordered) - 1)]) + 0.3 if len(ordered) else 0.5)
        return np.concatenate(everything), threshold, round(float((ordered > threshold).sum() / days), 4)

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        z = np.abs(samples.x[:, [INDEX[f"residual_z_{k}"] for k in "abc"]]).max(1)
        return (samples.y["fault"] > 0).astype(np.float64), z

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        truth = samples.y["fault"] > 0
        score = answer["pValue"] * -1.0 + answer["anomalyScore"] * 1e-3
        simple = np.nanmax(np.abs(samples.x[:, [INDEX[f"residual_z_{k}"] for k in "abc"]]), axis=1)

        def precision(rows: NDArray[np.int64]) -> tuple[float, float]:
            return average_precision(truth[rows], score[rows]), average_precision(truth[rows], simple[rows])

        judged = Judged()
        judged.metrics.append(
            compare("area under precision-recall", "-", on, samples.block, precision, self.baseline,
                    lower_is_better=False, times=100)
        )  # fmt: skip
        judged.facts[f"share of faulty rows, {on}"] = round(float(truth.mean()), 4)
        found = answer["anomalyDetected"]
        judged.facts[f"false alarms among fault-free rows, {on}"] = round(float(found[~truth].mean()), 6)
        recall = {}
        for k, kind in enumerate(FAULTS, 1):
            rows = samples.y["fault"] == k
            if rows.any():
                recall[kind] = [round(float(found[rows].mean()), 3), round(float((simple[rows] > 3).mean()), 3)]
        judged.facts[f"recall of rows by fault (model, baseline), {on}"] = recall
        judged.facts[f"false alarms of the baseline, {on}"] = round(float((simple[~truth] > 3).mean()), 6)
        return judged


def _phases(*names: str) -> list[int]:
    """Where the three phases of these stand among all of `PHASED`."""
    return [3 * PHASED.index(name) + k for name in names for k in range(3)]


def average_precision(truth: NDArray[np.bool_], score: NDArray[Any]) -> float:
    """Area under the precision-recall curve, step-wise."""
    order = np.argsort(-score, kind="stable")
    hit = truth[order]
    if not hit.any():
        return float("nan")
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float(precision[hit].mean())
