"""What a recipe is: a model's contract, how it is learned, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.feeder import FEEDER_FEATURES
from training.expr import ModelFunction
from training.samples import Samples, join

__all__ = ["Data", "Judged", "Metric", "Recipe", "Runner", "boost", "bootstrap", "inputs_of", "mae_metric", "output"]

_FEEDER_INDEX = {name: i for i, name in enumerate(FEEDER_FEATURES)}
Runner = Callable[[NDArray[np.float32]], Mapping[str, NDArray[Any]]]


@dataclass
class Data:
    """Everything recipes learn from, by kind of rows. `quiet` yields streams of quiet worlds for thresholds."""

    learn: Mapping[str, Samples]
    calibrate: Mapping[str, Samples]
    quiet: Sequence[Any] = ()
    quick: bool = False

    def rows(self, recipe: Recipe) -> tuple[Samples, Samples]:
        """The rows a recipe chooses from its sources, to learn from and to calibrate on."""
        learn, calibrate = (join([of[kind] for kind in recipe.sources]) for of in (self.learn, self.calibrate))
        return learn.take(recipe.choose(learn)), calibrate.take(recipe.choose(calibrate))


@dataclass(frozen=True)
class Metric:
    """One figure on one test set against one baseline; intervals are 95 % block bootstrap over world-days."""

    name: str
    unit: str
    on: str
    n: int
    value: float
    low: float
    high: float
    baseline_name: str
    baseline: float
    gain: float
    gain_low: float
    gain_high: float
    lower_is_better: bool = True


@dataclass
class Judged:
    """A model's evaluation: metrics, other facts, and the class balance or spread of the truth."""

    metrics: list[Metric] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Recipe(Protocol):
    """One model. `learn` returns the function that is exported; `judge` runs the exported file on a test set.

    A recipe may have `also`, kinds of rows that it reads by itself, and `simulated`, what its card says of its data.
    """

    id: str
    algorithm: str
    scope: str
    rate: str
    title: str
    definition: str
    baseline: str
    inputs: tuple[str, ...]
    outputs: tuple[dict[str, Any], ...]
    needs: ClassVar[dict[str, Any]]
    limits: tuple[str, ...]
    headline: str
    # The kinds of rows, joined, that it learns from and is judged on (`training.sets`).
    sources: tuple[str, ...]

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        """The function, and facts of training that the card states."""

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        """Figures on rows that the model never saw; `x` holds the model's own inputs."""

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        """Which rows of the samples the model is asked about."""

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Truth and the baseline's answer for the output `headline`, in its unit: the gate of the tests."""


def output(name: str, kind: str, description: str, **more: Any) -> dict[str, Any]:
    """An output's manifest entry without its path, which follows from the model's place on the twin."""
    return {"name": name, "kind": kind, "description": description, **more}


def inputs_of(recipe: Recipe, samples: Samples) -> NDArray[np.float32]:
    """The recipe's own inputs out of the whole feature table of its scope."""
    at = _FEEDER_INDEX if recipe.scope == "feeder" else INDEX
    return np.ascontiguousarray(samples.x[:, [at[name] for name in recipe.inputs]])


# Of a row in Huber's loss, however far off: what keeps a leaf of such rows from leaping.
_LEAST_WEIGHT = 0.1


def boost(
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    rounds: int,
    depth: int,
    *,
    rate: float = 0.1,
    weight: NDArray[np.float64] | None = None,
    monotone: Sequence[int] | None = None,
    objective: str = "reg:squarederror",
    leaf: float = 30.0,
    alpha: float | None = None,
    huber: float | None = None,
    seed: int = 7,
) -> xgb.Booster:
    """Gradient-boosted trees, one thread, so that the same rows give the same trees; `alpha` of reg:quantileerror.

    With `huber`, all but the first third of the trees follow Huber's loss: an error beyond it (in y's unit) pulls no
    harder than one of that size (P. Huber, Robust estimation of a location parameter, 1964). The library's own absolute
    error sets its leaves afresh, without regard to `monotone`, and its pseudo-Huber loss has no bound on a leaf's step.
    """
    parameters: dict[str, Any] = {
        "objective": objective, "max_depth": depth, "eta": rate, "min_child_weight": leaf, "subsample": 0.8,
        "colsample_bytree": 0.8, "lambda": 1.0, "base_score": 0.0 if objective.startswith("reg") else 0.5,
        "tree_method": "hist", "max_bin": 128, "nthread": 1, "seed": seed, "verbosity": 0,
    }  # fmt: skip
    if alpha is not None:
        parameters["quantile_alpha"] = alpha
    if monotone is not None:
        parameters["monotone_constraints"] = "(" + ",".join(str(int(m)) for m in monotone) + ")"
    rows = xgb.DMatrix(x, y, weight=weight, nthread=1)
    if huber is None:
        return xgb.train(parameters, rows, rounds)

    def pull(margin: NDArray[Any], rows: xgb.DMatrix) -> tuple[NDArray[Any], NDArray[Any]]:
        error = margin - rows.get_label()
        return np.clip(error, -huber, huber), np.clip(huber / np.maximum(np.abs(error), 1e-9), _LEAST_WEIGHT, 1.0)

    begun = xgb.train(parameters, rows, rounds // 3)
    return xgb.train(parameters, rows, rounds - rounds // 3, obj=pull, xgb_model=begun)


def bootstrap(
    block: NDArray[np.int64], figures: Callable[[NDArray[np.int64]], tuple[float, float]], times: int, seed: int = 3
) -> NDArray[np.float64]:
    """Model's and baseline's figure for resampled blocks, (times, 2)."""
    rng = np.random.default_rng(seed)
    names, inverse = np.unique(block, return_inverse=True)
    rows = [np.flatnonzero(inverse == k) for k in range(len(names))]
    out = [figures(np.concatenate([rows[k] for k in rng.integers(0, len(names), len(names))])) for _ in range(times)]
    return np.array(out)


def compare(
    name: str, unit: str, on: str, block: NDArray[np.int64],
    figures: Callable[[NDArray[np.int64]], tuple[float, float]], baseline_name: str, *, lower_is_better: bool = True,
    times: int = 200,
) -> Metric:  # fmt: skip
    """A metric with intervals. Gain is the share of the baseline's error that is gone, or the difference when higher
    is better."""
    value, baseline = figures(np.arange(len(block)))
    spread = bootstrap(block, figures, times)
    gains = 1 - spread[:, 0] / spread[:, 1] if lower_is_better else spread[:, 0] - spread[:, 1]
    gain = 1 - value / baseline if lower_is_better else value - baseline
    low, high = np.nanquantile(spread[:, 0], [0.025, 0.975])
    gain_low, gain_high = np.nanquantile(gains, [0.025, 0.975])
    return Metric(
        name, unit, on, len(block), *(float(round(f, 6)) for f in (value, low, high)), baseline_name,
        *(float(round(f, 6)) for f in (baseline, gain, gain_low, gain_high)), lower_is_better,
    )  # fmt: skip


def mae_metric(
    name: str, unit: str, on: str, samples: Samples, error: NDArray[np.float64], other: NDArray[np.float64],
    baseline_name: str,
) -> Metric:  # fmt: skip
    """Mean absolute error of the model against that of a baseline on the same rows; fast, by sums per block."""
    good = np.isfinite(error) & np.isfinite(other)
    e, o, block = np.abs(error[good]), np.abs(other[good]), samples.block[good]
    names, inverse = np.unique(block, return_inverse=True)
    sums = np.stack([np.bincount(inverse, e), np.bincount(inverse, o), np.bincount(inverse).astype(float)])
    rng = np.random.default_rng(3)
    pick = rng.integers(0, len(names), (500, len(names)))
    total = sums[:, pick].sum(2)
    spread = total[:2] / total[2]
    gains = 1 - spread[0] / spread[1]
    value, base = float(e.mean()), float(o.mean())
    low, high = np.quantile(spread[0], [0.025, 0.975])
    gain_low, gain_high = np.quantile(gains, [0.025, 0.975])
    return Metric(
        name, unit, on, int(good.sum()), *(float(round(f, 6)) for f in (value, low, high)), baseline_name,
        *(float(round(f, 6)) for f in (base, 1 - value / base, gain_low, gain_high)),
    )  # fmt: skip
