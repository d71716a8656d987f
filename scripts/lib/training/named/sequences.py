"""What an LSTM is asked: the lags of the feature table as a sequence, oldest first, the rest beside it.

The columns are the recipe's own, in the recipe's own units, so that both families are given the same facts; only their
order in time is added. Works without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX, LAGS_F, LAGS_P
from training.expr import Expr, Inputs, concat
from training.recipe import Recipe
from training.recipes import RECIPES
from training.recipes.frequency_stability import ZERO, columns_of, rate_of
from training.recipes.load_forecast import CLOCK, HORIZONS, LEVELS, NAMES, derived, naive_error
from training.samples import Samples

__all__ = ["QUESTIONS", "Question", "Steps", "table"]

Floats = NDArray[np.float64]
_DAY: Final = 96


@dataclass(frozen=True)
class Steps:
    """The sequence: the lag columns, oldest first, and what each step knows of its place in time, (steps, k)."""

    names: tuple[str, ...]
    place: NDArray[np.float32]


class Question(Protocol):
    """One model's question. Targets and answers are in units that `unit` tells, so that large and small points look
    alike; they are cut at `cut` units while learning, as the recipe's own are."""

    recipe: Recipe
    named: str
    steps: Steps
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    cut: float

    def derive(self, i: Inputs) -> Expr:
        """The columns, (n, len(columns)); missing ones are NaN."""

    def truth(self, samples: Samples) -> Floats:
        """(n, targets) in units; NaN where it is not known."""

    def unit(self, samples: Samples) -> Floats:
        """(n,): what one unit is to the metric, but for a factor that all rows share."""

    def answers(self, i: Inputs, said: Sequence[Expr]) -> Mapping[str, Expr]:
        """The model's outputs, of what was said of each target."""

    def errors(self, samples: Samples, answer: Mapping[str, NDArray[Any]]) -> Mapping[tuple[str, str], Floats]:
        """The error of every row, by name and unit of a metric of the recipe."""


def table(question: Question, samples: Samples) -> Inputs:
    """The model's own inputs, by name."""
    names = question.recipe.inputs
    return Inputs(names, np.ascontiguousarray(samples.x[:, [INDEX[name] for name in names]]))


def _oldest_first(lags: Sequence[int]) -> NDArray[np.float64]:
    return np.array(sorted(lags, reverse=True), np.float64)


class LoadQuestion:
    """Total P of past quarter hours in units of the last day's spread; a step knows how long ago it was, and how far
    from now in the day and in the week."""

    recipe = RECIPES["load_forecast"]
    named = "LSTM with seasonal terms"
    columns = (*LEVELS, "p_over_yesterday", *CLOCK, "level")
    targets: tuple[str, ...] = tuple(HORIZONS)
    cut = 8.0

    def __init__(self) -> None:
        back = _oldest_first(LAGS_P)
        day, week = 2 * np.pi * back / _DAY, 2 * np.pi * back / (7 * _DAY)
        place = np.stack([np.log(back) / np.log(7 * _DAY), np.cos(day), np.sin(day), np.cos(week)], axis=1)
        self.steps = Steps(tuple(f"p_lag{k:.0f}" for k in back), place.astype(np.float32))

    def derive(self, i: Inputs) -> Expr:
        return derived(i)[0]

    def truth(self, samples: Samples) -> Floats:
        _, level, scale = (e.a for e in derived(table(self, samples)))
        ahead = np.stack([samples.y[name] for name in self.targets], axis=1)
        return np.asarray((ahead - level) / scale, np.float64)

    def unit(self, samples: Samples) -> Floats:
        return np.asarray(derived(table(self, samples))[2].a[:, 0], np.float64)

    def answers(self, i: Inputs, said: Sequence[Expr]) -> Mapping[str, Expr]:
        _, level, scale = derived(i)
        power = i["base_power"]
        return {NAMES[name]: (z * scale + level) * power for name, z in zip(self.targets, said, strict=True)}

    def errors(self, samples: Samples, answer: Mapping[str, NDArray[Any]]) -> Mapping[tuple[str, str], Floats]:
        base = samples.x[:, INDEX["base_power"]]
        return {
            (f"MAE {name}", "p.u. of rating"): np.where(
                # Only where the recipe's baseline answers, too: the rows that the shipped model is judged on.
                np.isfinite(naive_error(samples, horizon)),
                answer[name] / base - samples.y[horizon],
                np.nan,
            )
            for horizon, name in NAMES.items()
        }


class FrequencyQuestion:
    """Past changes of the frequency in units of its restlessness; a step knows how long ago it was. Asked for the
    change in 5 s, and how much farther from nominal the next 30 s go than now."""

    recipe = RECIPES["frequency_stability"]
    named = "LSTM"
    columns = (*(f"f_lag{k}" for k in LAGS_F), "f_deviation", "f_spacing_s", "f_noise", "rate", "log_rate")
    targets: tuple[str, ...] = ("ahead", "farthest")
    cut = np.inf

    def __init__(self) -> None:
        back = _oldest_first(LAGS_F)
        self.steps = Steps(tuple(f"f_lag{k:.0f}" for k in back), (back / back.max())[:, None].astype(np.float32))

    def derive(self, i: Inputs) -> Expr:
        return concat([columns_of(i), rate_of(i).log()])

    def truth(self, samples: Samples) -> Floats:
        i = table(self, samples)
        now, rate = i["f_deviation"].a[:, 0].astype(np.float64), rate_of(i).a[:, 0]
        change = (samples.y["ahead"] - now, samples.y["farthest"] - np.abs(now))
        return np.asarray(np.stack(change, axis=1) / rate[:, None], np.float64)

    def unit(self, samples: Samples) -> Floats:
        return np.asarray(rate_of(table(self, samples)).a[:, 0], np.float64)

    def answers(self, i: Inputs, said: Sequence[Expr]) -> Mapping[str, Expr]:
        now, rate = i["f_deviation"], rate_of(i)
        ahead, farther = said
        farthest = now.abs() + (farther * rate).most(0.0)
        return {
            "predictedFrequency": i["nominal_hz"] * (now + ahead * rate + 1.0).most(0.0),
            "stabilityScore": ((1.0 - farthest / ZERO) * 100.0).clip(0.0, 100.0),
        }

    def errors(self, samples: Samples, answer: Mapping[str, NDArray[Any]]) -> Mapping[tuple[str, str], Floats]:
        truth = (1 + samples.y["ahead"]) * samples.y["hz"]
        score = 100 * np.clip(1 - samples.y["farthest"] / ZERO, 0, 1)
        return {
            ("MAE of the forecast", "mHz"): 1e3 * (answer["predictedFrequency"] - truth),
            ("MAE of stabilityScore", "points"): answer["stabilityScore"] - score,
        }


QUESTIONS: Final[Mapping[str, Question]] = {q.recipe.id: q for q in (FrequencyQuestion(), LoadQuestion())}
