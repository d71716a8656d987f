"""load_balancing: which single-phase load to move between phases, what it saves, and whether it is worth a visit.

Six moves are rated by several criteria (MCDA): what the move is expected to save, whether that clears its calibrated
uncertainty, the visit it costs, and the balance at the head afterwards. The moves share one function of their own
terms, so that phases that change places change places in the advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.moves import PAIRS
from training.expr import Expr, Inputs, ModelFunction, concat, where
from training.recipe import Data, Judged, Runner, inputs_of, mae_metric, output
from training.samples import Samples, join

_PAIR_NAMES = tuple("ABC"[x] + "ABC"[y] for x, y in PAIRS)
_TERMS = ("load", "line", "self", "drop", "winding")
_CURRENTS = ("day_i_a", "day_i_b", "day_i_c")
_LABELS = ("none", *(f"{x} to {y}" for x, y in _PAIR_NAMES))
# A visit costs about 200 EUR; a watt saved for ten years at 0.25 EUR/kWh is worth 22 EUR.
_WORTH_W = 10.0
# Advice may cost the head this many points of balance when it relieves a line behind it.
_POINTS = 5.0
# Share of all questions in which the advice may raise losses, on calibration.
_HARM = 0.003
_FACTORS = np.linspace(0.0, 4.0, 81)
_RIDGE = 1e-4
_FLOOR = 2e-4


class LoadBalancing:
    id = "load_balancing"
    algorithm = "multi-criteria choice among six moves; ridge on physical terms, conformal risk control"
    scope, rate = "feeder", "minute"
    sources, headline = ("divided",), "lossReduction"
    title = "Load balancing"
    definition = (
        "The move of one customer's single-phase load to another phase that helps most. The customer of a move X to Y "
        "is fixed: the leaf whose mean current on X over the last day is nearest to half the difference of the head's "
        "X and Y. lossReduction is the mean saving of feeder losses over the 24 hours that follow; truth is the "
        "engine's, solved with the customer moved. balanceScore = 100 (1 - d / 2), d the largest deviation of the "
        "head's three phase currents (means of the last day) from their mean over that mean (current unbalance as in "
        "IEEE 1159 and NEMA MG 1); 0 when one phase carries everything."
    )
    baseline = "no move"
    engineer = (
        "the customer nearest to half the difference, from the fullest to the emptiest phase, above 10 % difference"
    )
    inputs = (
        "day_infeed_w", *_CURRENTS, *(f"move_{term}_{pair.lower()}" for term in _TERMS for pair in _PAIR_NAMES)
    )  # fmt: skip
    outputs = (
        output("balancingRecommendation", "enum", "phase to take load from and phase to give it to", values=_LABELS),
        output("balanceScore", "double", "balance of the head's currents over the last day", range=(0, 100)),
        output("lossReduction", "double", "losses that the move saves, mean of a day", unit="W", range=(0, None)),
    )
    needs: ClassVar[dict[str, Any]] = {"phases": 3, "quarters_of_members": 48}
    limits = (
        "Knows customers by their meters: behind the meter of a group, all load on the phase is taken to move.",
        "Names the phases; the customer follows from the rule of the definition. A better customer may exist.",
        "Three phases of a meter that are alike within 10 % count as one machine, which stays.",
        f"Advises only what promises {_WORTH_W:g} W or more and costs the head at most {_POINTS:g} points of balance.",
        f"Its doubt is set so that at most {_HARM:.1%} of answers raise losses on feeders outside the fit.",
        "On the unseen feeder it saves not clearly more than the simple rule; a third of those moves raise losses.",
        "Looks one day back and one ahead: a move that pays in winter may cost in summer.",
        "Cables are unknown to it: it learns the path from a day of voltage drops, so steady load teaches little.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        x = inputs_of(self, samples)
        return np.asarray(np.isfinite(x).all(1) & (x[:, 0] > 0) & np.isfinite(samples.y["loss_w"]))

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        w, doubt = self._fit(learn)
        # How much doubt is held against a move: as little as keeps harmful advice rare (conformal risk control) on
        # feeders that had no part in the fit.
        everything = join([learn, check])
        feeder = everything.y["feeder"]
        harmful = np.zeros(len(_FACTORS))
        for out in np.unique(feeder):
            there = learn.y["feeder"] != out
            fitted = self._fit(learn.take(there)) if there.any() else (w, doubt)
            own = everything.take(feeder == out)
            harmful += [self._harm(own, *fitted, factor) for factor in _FACTORS]
        # A set too small to tell such a share must show no harm at all.
        allowed = (harmful + 1) / (len(everything) + 1) <= max(_HARM, 1 / (len(everything) + 1))
        # The least one from which on all are allowed.
        good = np.logical_and.accumulate(allowed[::-1])[::-1]
        factor = float(_FACTORS[int(np.argmax(good))] if good.any() else _FACTORS[-1])

        def function(i: Inputs) -> Mapping[str, Expr]:
            return self._advise(i, w, doubt * factor, _FLOOR * factor)

        facts = {
            "rows": len(learn), "harm_allowed": _HARM, "doubt_factor": factor,
            **{f"coefficient_{name}": float(c) for name, c in zip(_TERMS[1:], w, strict=True)},
        }  # fmt: skip
        return function, facts

    def _fit(self, learn: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients of the terms, and how the mean error grows with what there is to doubt."""
        term, share, there = self._rows(learn)
        a, b = term[there], share[there]
        weight = 1 / np.sqrt(_size(a) + _FLOOR)
        w = _ridge(a[:, 1:] * weight[:, None], b * weight)
        return w, _nonnegative(_doubts(a), np.abs(a[:, 1:] @ w - b))

    def _harm(self, samples: Samples, w: NDArray[np.float64], doubt: NDArray[np.float64], factor: float) -> int:
        """Rows whose advice would raise losses."""
        advice = self._advise(Inputs(self.inputs, inputs_of(self, samples)), w, doubt * factor, _FLOOR * factor)
        return int((_gain(samples, advice["balancingRecommendation"].a[:, 0]) < 0).sum())

    def _advise(
        self, i: Inputs, w: NDArray[np.float64], doubt: NDArray[np.float64], floor: float
    ) -> Mapping[str, Expr]:
        # A column for each move.
        load, line, own, drop, winding = (i[[f"move_{t}_{p.lower()}" for p in _PAIR_NAMES]] for t in _TERMS)
        day = i[list(_CURRENTS)]
        mean = (day.sum() / 3.0).most(1e-6)
        score = _score(day, mean)
        share = line * w[0] + own * w[1] + drop * w[2] + winding * w[3]
        scale = (
            load / (mean * 3.0) * doubt[0] + own * doubt[1] + drop.abs() * doubt[2]
            + (line - drop).abs() * doubt[3] + winding.abs() * doubt[4] + floor
        )  # fmt: skip
        # Three phases for each move.
        to = np.zeros((len(PAIRS), 3), np.float32)
        for k, (x, y) in enumerate(PAIRS):
            to[k, x], to[k, y] = -1.0, 1.0
        moved = load.take(np.repeat(np.arange(len(PAIRS)), 3)) * to.reshape(1, -1)
        after = _score(day.take([0, 1, 2] * len(PAIRS)) + moved, mean)
        least = (share - scale) * i["day_infeed_w"]
        saved = share * i["day_infeed_w"]
        good = (least > 0.0) & (saved >= _WORTH_W) & (load > 0.0) & (after >= score - _POINTS)
        code = concat([score * 0.0, where(good, least, -1.0)]).argmax()
        chosen = (code.number() - np.arange(1, 1 + len(PAIRS), dtype=np.float32)[None, :]).abs() < 0.5
        return {
            "balancingRecommendation": code,
            "balanceScore": score,
            "lossReduction": saved.chosen(chosen),
        }

    def _rows(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Terms (n, 6, 5), load first and over the head's load; true savings (n, 6) over the infeed; who can move."""
        x = inputs_of(self, samples).astype(np.float64)
        term = np.stack([x[:, 4 + 6 * k : 10 + 6 * k] for k in range(len(_TERMS))], axis=2)
        term[..., 0] /= np.maximum(x[:, 1:4].sum(1), 3e-6)[:, None]
        saved = _saved(samples)
        return term, saved / x[:, :1], np.isfinite(saved) & (term[..., 0] > 0)

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best saving there is; nobody moves anything."""
        best = _best(samples)
        return best, np.zeros(len(best))

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer = run(x)
        code, best = answer["balancingRecommendation"], _best(samples)
        gain, simple = _gain(samples, code), _gain(samples, self._simple(x))
        loss = samples.y["loss_w"]
        pairs = (("no move", self.baseline, np.zeros(len(best))), ("the simple rule", self.engineer, simple))
        metrics = [
            mae_metric(f"regret, beside {short}", "W", on, samples, best - gain, best - other, name)
            for short, name, other in pairs
        ]
        advised = code > 0
        facts = {
            f"mean losses (W), {on}": round(float(loss.mean()), 1),
            f"mean saving of the best move there is (W), {on}": round(float(best.mean()), 2),
            f"mean saving of the advice (W), {on}": round(float(gain.mean()), 2),
            f"mean saving of the simple rule (W), {on}": round(float(simple.mean()), 2),
            f"share of none, {on}": round(float(1 - advised.mean()), 4),
            f"share of none where the best move saves less than {_WORTH_W:g} W, {on}": round(
                float((~advised)[best < _WORTH_W].mean()), 4
            ),
            f"advised moves that raised losses, {on}": f"{int((gain < 0).sum())} of {int(advised.sum())}",
            f"worst advised move (W), {on}": round(float(gain.min()), 1),
            f"moves of the simple rule that raised losses, {on}": (
                f"{int((simple < 0).sum())} of {int((simple != 0).sum())}"
            ),
        }
        if advised.any():
            promised, kept = answer["lossReduction"][advised], gain[advised]
            facts |= {
                f"mean lossReduction of advised moves (W), {on}": round(float(promised.mean()), 1),
                f"mean saving of advised moves (W), {on}": round(float(kept.mean()), 1),
                f"mean |lossReduction - saving| of advised moves (W), {on}": round(
                    float(np.abs(promised - kept).mean()), 1
                ),
            }
        return Judged(metrics, facts)

    @staticmethod
    def _simple(x: NDArray[np.float32]) -> NDArray[np.int64]:
        """The engineer's rule: code of the move from the fullest to the emptiest phase, 0 below 10 % difference."""
        day = x[:, 1:4]
        codes = np.zeros((3, 3), np.int64)
        for k, (a, b) in enumerate(PAIRS, start=1):
            codes[a, b] = k
        clear = day.max(1) - day.min(1) > 0.1 * day.mean(1)
        return np.where(clear, codes[day.argmax(1), day.argmin(1)], 0)


def _score(day: Expr, mean: Expr) -> Expr:
    """100 (1 - d / 2), within 0..100, of each three columns."""
    away = (day - mean).abs().highs(3) / mean
    return (100.0 - away * 50.0).clip(0.0, 100.0)


def _saved(samples: Samples) -> NDArray[np.float64]:
    """W saved by each move, (n, 6); NaN where nobody can move."""
    return np.stack([samples.y[f"saved_{k}"] for k in range(len(PAIRS))], axis=1)


def _best(samples: Samples) -> NDArray[np.float64]:
    return np.nan_to_num(_saved(samples), nan=0.0).max(1).clip(0.0)


def _gain(samples: Samples, code: NDArray[np.int64]) -> NDArray[np.float64]:
    """W that a recommendation saved: 0 for none, and where there is nobody to move."""
    saved = np.nan_to_num(_saved(samples), nan=0.0)
    return np.concatenate([np.zeros((len(saved), 1)), saved], axis=1)[np.arange(len(saved)), code]


def _size(term: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.abs(term[..., 1:]).sum(-1))


def _doubts(term: NDArray[np.float64]) -> NDArray[np.float64]:
    """What errors grow with: load over the head's load (the meters' voltage errors), the move's own turnover, the drop,
    the difference of the two estimates, the transformer's part; (..., 5)."""
    load, line, own, drop, winding = (term[..., k] for k in range(len(_TERMS)))
    return np.stack([load, own, np.abs(drop), np.abs(line - drop), np.abs(winding)], axis=-1)


def _ridge(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the columns of `a`, penalised in units of their own size."""
    scale = np.sqrt((a * a).mean(0))
    gram = (a / scale).T @ (a / scale) + _RIDGE * len(a) * np.eye(a.shape[1])
    return np.asarray(np.linalg.solve(gram, (a / scale).T @ b) / scale)


def _nonnegative(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nonnegative least squares, by coordinate descent; five columns."""
    scale = np.sqrt((a * a).mean(0))
    gram, right = (a / scale).T @ (a / scale), (a / scale).T @ b
    w = np.zeros(a.shape[1])
    for _ in range(500):
        for k in range(len(w)):
            w[k] = max(0.0, w[k] + (right[k] - gram[k] @ w) / gram[k, k])
    return np.asarray(w / scale)
