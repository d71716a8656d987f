"""energy_loss: all losses of a feeder, its transformer included, from the meters of its head and its customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.expr import Expr, Inputs, ModelFunction, concat, where
from training.recipe import Data, Judged, Runner, inputs_of, mae_metric, output
from training.samples import Samples

_INPUTS = (
    "infeed_w", "head_load", "head_reactive", "head_unbalance", "head_square", "leaf_share", "balance", "drop_loss",
    "drop_mean", "drop_max", "no_load_share", "load_loss_share",
)  # fmt: skip
_AT = {name: i for i, name in enumerate(_INPUTS)}
# What physics gives each term: the drop of the metered load, its like of the load that has no meter, and the nameplate.
_PHYSICS = {"drop": 1.0, "no load": 1.0, "load": 1.0, "unmetered": 1.0}
# How firmly the fit is held to that; the one that does best on a feeder that was left out is taken.
_FIRMNESS = (0.01, 0.1, 1.0, 10.0, 100.0)


class EnergyLoss:
    id = "energy_loss"
    algorithm = "ridge regression towards the physical sum of its terms, split-conformal interval"
    scope, rate = "feeder", "minute"
    sources, headline = ("feeder",), "lossInWatts"
    title = "Energy loss"
    definition = (
        "Losses of lines and supplying transformer of one feeder over one minute (W), and in percent of the power "
        "metered at its low-voltage head; truth is the engine's."
    )
    baseline = "nameplate transformer losses plus a fixed share of the load, fitted on the training feeders"
    inputs = _INPUTS
    outputs = (
        output("lossInWatts", "double", "losses of the feeder", unit="W", range=(0, None)),
        output("estimatedLoss", "double", "the same in percent of the head's power", unit="%", range=(0, 100)),
        output("lossLow", "double", "lower end of the 90 % interval", unit="W", range=(0, None)),
        output("lossHigh", "double", "upper end of the 90 % interval", unit="W", range=(0, None)),
    )
    needs: ClassVar[dict[str, Any]] = {}
    limits = (
        "Abstains below 1 % of the rating and under reverse power, where percent of the infeed means nothing.",
        "Without the transformer's nameplate losses only line losses and a typical transformer share are estimated.",
        "Customers without a meter in the graph are assumed to lie like those with one.",
        "The error of the head's voltage meter is that of every drop: on a feeder with little drop it is the largest.",
        "Losses inside meters and at loose contacts are not in the truth it was trained on.",
        "The fit ended at the physical sum itself: on a feeder left out, nothing learned beyond it did better.",
        "Learned anew after `orchard` had shown a former fit to be worse than the rule: that feeder was looked at.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.asarray(samples.y["loss_w"] > 0)

    def _terms(self, i: Inputs) -> dict[str, Expr]:
        """Shares of the head's power: line loss by voltage drop, also of customers without a meter, nameplate terms,
        and how unbalance and reactive power bend them."""
        share = i["leaf_share"].clip(0.3, 1.0)
        drop = i["drop_loss"].clip(-0.05, 0.2)
        copper = i["load_loss_share"].nan_to(0.004)
        unbalance = i["head_unbalance"].clip(0.0, 1.0)
        return {
            "drop": drop, "drop of the share": drop / share, "no load": i["no_load_share"].nan_to(0.004),
            "load": copper, "uneven drop": unbalance * drop, "uneven load": unbalance * copper,
            "unmetered": i["balance"].clip(-0.2, 0.6) * drop,
            "reactive drop": i["head_reactive"].clip(-1.0, 1.0) * drop,
        }  # fmt: skip

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, calibrate = data.rows(self)
        x = inputs_of(self, learn)
        named = self._terms(Inputs(self.inputs, x))
        physics = np.array([_PHYSICS.get(name, 0.0) for name in named])
        share = learn.y["loss_w"] / x[:, _AT["infeed_w"]]
        # Least relative error: every row counts by the inverse of its own loss.
        weight = 1 / np.maximum(share, 0.003)
        a = np.concatenate([term.a.astype(np.float64) for term in named.values()], axis=1) * weight[:, None]
        b = share * weight

        def fit(rows: NDArray[np.bool_], firmness: float) -> NDArray[np.float64]:
            return physics + _ridge(a[rows], b[rows] - a[rows] @ physics, firmness)

        # How firm: as it has to hold on a feeder that was not learned from, each one is left out in turn.
        feeders = [learn.y["feeder"] == out for out in np.unique(learn.y["feeder"])]

        def left_out(firmness: float) -> list[NDArray[np.float64]]:
            fits = [(own, fit(~own, firmness)) for own in feeders]
            return [np.abs(a[own] @ w / b[own] - 1) for own, w in fits]

        firmness = min(_FIRMNESS, key=lambda f: float(np.mean([off.mean() for off in left_out(f)])))
        w = fit(np.ones(len(a), bool), firmness)
        # How wide the interval: nine minutes of ten in nine days of ten, since a meter's error stays for days.
        apart = [(learn.take(own), fit(~own, firmness)) for own in feeders] + [(calibrate, w)]
        days = [
            float(np.quantile(off[rows.block == day], 0.9))
            for rows, off in ((rows, self._off(rows, v)) for rows, v in apart)
            for day in np.unique(rows.block)
        ]
        width = min(0.9, float(np.quantile(days, 0.9)))
        load = x[:, _AT["head_load"]]
        nameplate = x[:, _AT["no_load_share"]] + x[:, _AT["load_loss_share"]]
        rule = float((load * (share - nameplate)).sum() / (load * load).sum())

        def function(i: Inputs) -> Mapping[str, Expr]:
            part = self._share(i, w)
            watts = part * i["infeed_w"]
            return {
                "lossInWatts": watts,
                "estimatedLoss": (part * 100.0).clip(0.0, 100.0),
                "lossLow": (watts * (1 - width)).most(0.0),
                "lossHigh": watts * (1 + width),
            }

        return function, {
            "rows": len(learn), "firmness": firmness,
            "coefficients": {name: round(float(one), 3) for name, one in zip(named, w, strict=True)},
            "baseline_line_share_per_load": round(rule, 6),
        }  # fmt: skip

    def _share(self, i: Inputs, w: NDArray[np.float64]) -> Expr:
        part = (concat(list(self._terms(i).values())) * w.astype(np.float32)[None, :]).sum()
        return where(part < 0.001, 0.001, part)

    def _off(self, samples: Samples, w: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the truth lies from what the coefficients say, relative to that."""
        x = inputs_of(self, samples)
        said = self._share(Inputs(self.inputs, x), w).a[:, 0] * x[:, _AT["infeed_w"]]
        return np.abs(samples.y["loss_w"] / said - 1)

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = inputs_of(self, samples)
        share = x[:, _AT["no_load_share"]] + x[:, _AT["load_loss_share"]] + self.rule * x[:, _AT["head_load"]]
        return samples.y["loss_w"], share * x[:, _AT["infeed_w"]]

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        truth = samples.y["loss_w"]
        rule = self.rule
        infeed, load = x[:, _AT["infeed_w"]], x[:, _AT["head_load"]]
        simple = (x[:, _AT["no_load_share"]] + x[:, _AT["load_loss_share"]] + rule * load) * infeed
        metric = mae_metric(
            "mean relative error of W", "-", on, samples, answer["lossInWatts"] / truth - 1, simple / truth - 1,
            self.baseline,
        )  # fmt: skip
        inside = (truth >= answer["lossLow"]) & (truth <= answer["lossHigh"])
        facts = {
            f"coverage of the 90 % interval, {on}": round(float(inside.mean()), 4),
            f"median loss in % of infeed, {on}": round(float(np.median(truth / infeed) * 100), 3),
        }
        return Judged([metric], facts)

    rule: float = 0.0


def _ridge(a: NDArray[np.float64], b: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Coefficients of the columns of `a`, penalised in units of their own size."""
    scale = np.sqrt((a * a).mean(0))
    gram = (a / scale).T @ (a / scale) + penalty * len(a) * np.eye(a.shape[1])
    return np.asarray(np.linalg.solve(gram, (a / scale).T @ b) / scale)
