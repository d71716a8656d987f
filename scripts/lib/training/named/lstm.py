"""The LSTM: an autoregression, and a network over the sequence of lags that corrects it. Needs torch.

What it says of a target is a straight line of all columns plus a correction. The line is fitted first (ridge), the
correction starts at zero, so that learning begins where an autoregression ends. The LSTM starts from what stands
beside the sequence (season, level, restlessness) and reads the lags, oldest first; a lag that is missing is a step of
zeros with its mark at zero.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.named.sequences import Question, table
from training.samples import Samples

__all__ = ["FIELD", "Candidate", "Fitted", "Net", "Scaling", "fit", "numbers"]

Floats = NDArray[np.float64]
_HIDDEN: Final = 48
_HEAD: Final = 64
_BATCH: Final = 512
# Rows between two looks at the calibration worlds. Neighbouring rows are much alike, so that a part of them says as
# much as all.
_EPOCH_ROWS: Final = 131_072
# Every candidate is given so many of these; the best goes on with ever smaller steps, and ends early when the
# calibration worlds have not gained for a while.
_TRIAL: Final = 3
_MOST: Final = 36
_PATIENCE: Final = 8
# Standard deviations beyond which a column says no more: a trip, or a meter that had been off.
FIELD: Final = 10.0


@dataclass(frozen=True)
class Candidate:
    """A learning rate, and how an error counts: `weighting` 0 counts every row alike in its own unit, 1 as the metric
    does (times the unit)."""

    rate: float
    weighting: float


_CANDIDATES: Final = tuple(Candidate(rate, weighting) for rate in (4e-3, 1.5e-3) for weighting in (0.0, 1.0))


@dataclass(frozen=True)
class Scaling:
    """Mean and spread of every column in learning; a missing column is worth its mean."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, columns: NDArray[np.float32]) -> Scaling:
        # The middle of the values only: a spread that a few extremes had made would flatten all others.
        low, high = np.nanquantile(columns, [0.005, 0.995], axis=0)
        middle = np.clip(columns, low, high)
        spread = np.maximum(np.nanstd(middle, axis=0), 1e-6)
        return cls(np.nanmean(middle, axis=0).astype(np.float32), spread.astype(np.float32))

    def __call__(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = np.clip((columns - self.mean) / self.spread, -FIELD, FIELD)
        return np.asarray(np.nan_to_num(scaled), np.float32)


class Net(nn.Module):
    """Scaled columns and marks of the lags in, one number per target out."""

    steps: torch.Tensor
    beside: torch.Tensor
    place: torch.Tensor

    def __init__(self, question: Question, line: Floats, offset: Floats) -> None:
        super().__init__()
        at = {name: k for k, name in enumerate(question.columns)}
        steps = [at[name] for name in question.steps.names]
        beside = [k for name, k in at.items() if name not in question.steps.names]
        self.register_buffer("steps", torch.tensor(steps))
        self.register_buffer("beside", torch.tensor(beside))
        self.register_buffer("place", torch.tensor(question.steps.place))
        outputs = len(question.targets)
        self.start = nn.Linear(len(beside), 2 * _HIDDEN)
        self.lstm = nn.LSTM(2 + question.steps.place.shape[1], _HIDDEN, batch_first=True)
        self.hidden = nn.Linear(_HIDDEN + len(beside), _HEAD)
        self.last = nn.Linear(_HEAD, outputs)
        self.line = nn.Linear(len(at), outputs)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.zero_()
            self.line.weight.copy_(torch.tensor(line.T))
            self.line.bias.copy_(torch.tensor(offset))

    def forward(self, columns: torch.Tensor, have: torch.Tensor) -> torch.Tensor:
        values, beside = columns[:, self.steps], columns[:, self.beside]
        marks = have[:, :, None]
        steps = torch.cat([values[:, :, None] * marks, marks, marks * self.place], dim=2)
        begin = torch.tanh(self.start(beside))
        h, c = begin[:, :_HIDDEN], begin[:, _HIDDEN:]
        _, (h, _) = self.lstm(steps, (h[None].contiguous(), c[None].contiguous()))
        head = torch.relu(self.hidden(torch.cat([h[0], beside], dim=1)))
        said: torch.Tensor = self.line(columns) + self.last(head)
        return said


@dataclass(frozen=True)
class Fitted:
    """A network that has learned, and how it came about."""

    net: Net
    scaling: Scaling
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Rows:
    columns: torch.Tensor
    have: torch.Tensor
    truth: torch.Tensor
    known: torch.Tensor
    unit: torch.Tensor


def numbers(question: Question, scaling: Scaling, columns: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network reads: scaled columns, and which lags are there."""
    at = [question.columns.index(name) for name in question.steps.names]
    have = np.isfinite(columns[:, at]).astype(np.float32)
    return torch.from_numpy(scaling(columns)), torch.from_numpy(have)


def _rows(question: Question, scaling: Scaling, samples: Samples, cut: float) -> _Rows:
    columns, have = numbers(question, scaling, question.derive(table(question, samples)).a)
    truth = np.clip(question.truth(samples), -cut, cut)
    unit = question.unit(samples)
    return _Rows(
        columns, have, torch.from_numpy(np.nan_to_num(truth).astype(np.float32)),
        torch.from_numpy(np.isfinite(truth).astype(np.float32)),
        torch.from_numpy((unit / unit.mean()).astype(np.float32)),
    )  # fmt: skip


def _line(rows: _Rows) -> tuple[Floats, Floats]:
    """Ridge of every target on the columns, errors counted in the unit of the metric."""
    x = np.concatenate([rows.columns.numpy(), np.ones((len(rows.unit), 1), np.float32)], axis=1).astype(np.float64)
    out = []
    for k in range(rows.truth.shape[1]):
        weight = (rows.unit * rows.known[:, k]).numpy().astype(np.float64)[:, None] ** 2
        square = (x * weight).T @ x
        square += 1e-5 * np.trace(square) / len(square) * np.eye(len(square))
        out.append(np.linalg.solve(square, (x * weight).T @ rows.truth[:, k].numpy().astype(np.float64)))
    both = np.stack(out, axis=1)
    return both[:-1], both[-1]


def _errors(net: Net, rows: _Rows) -> Floats:
    """Mean absolute error of each target, in the metric's unit but for a factor."""
    parts = []
    with torch.no_grad():
        for k in range(0, len(rows.unit), 8192):
            part = slice(k, k + 8192)
            said = net(rows.columns[part], rows.have[part])
            error = (said - rows.truth[part]).abs() * rows.known[part] * rows.unit[part, None]
            parts.append(error.sum(0, dtype=torch.float64).numpy())
    return np.asarray(np.sum(parts, axis=0) / rows.known.sum(0, dtype=torch.float64).numpy())


class _Run:
    """A candidate on its way."""

    def __init__(self, net: Net, candidate: Candidate, learn: _Rows, check: _Rows, scale: Floats) -> None:
        self.net, self.candidate, self._learn, self._check, self._scale = net, candidate, learn, check, scale
        self._optimizer = torch.optim.Adam(net.parameters(), lr=candidate.rate)
        self._order = torch.Generator().manual_seed(11)
        self._weight = learn.unit**candidate.weighting
        self._weight = self._weight / self._weight.mean()
        self.epochs, self.best, self.best_epoch = 0, float("inf"), 0
        self._kept: dict[str, Any] = {}

    def epoch(self) -> None:
        """Learn from some of the rows, then look at the calibration worlds."""
        learn = self._learn
        order = torch.randperm(len(learn.unit), generator=self._order)[:_EPOCH_ROWS]
        for first in range(0, len(order), _BATCH):
            rows = order[first : first + _BATCH]
            said = self.net(learn.columns[rows], learn.have[rows])
            loss = ((said - learn.truth[rows]).abs() * learn.known[rows] * self._weight[rows, None]).mean()
            self._optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self._optimizer.step()
        self.epochs += 1
        now = float((_errors(self.net, self._check) / self._scale).mean())
        if now < self.best:
            self.best, self.best_epoch = now, self.epochs
            self._kept = copy.deepcopy(self.net.state_dict())

    def settle(self) -> None:
        """Go on with steps that shrink to none (half a cosine), and keep what the calibration worlds liked best."""
        first = self.epochs
        while self.epochs < _MOST and self.epochs - self.best_epoch < _PATIENCE:
            done = (self.epochs - first) / (_MOST - first)
            for group in self._optimizer.param_groups:
                group["lr"] = self.candidate.rate * (1 + np.cos(np.pi * done)) / 2
            self.epoch()
        self.net.load_state_dict(self._kept)
        self.net.eval()


def fit(question: Question, learn: Samples, check: Samples, candidates: Sequence[Candidate] = _CANDIDATES) -> Fitted:
    """Learn from the learning worlds; rate, weighting and the end of learning are chosen by the calibration worlds."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    started = time.monotonic()
    scaling = Scaling.of(question.derive(table(question, learn)).a)
    rows, checked = (_rows(question, scaling, s, c) for s, c in ((learn, question.cut), (check, np.inf)))
    line, offset = _line(rows)
    first = Net(question, line, offset)
    scale = _errors(first, checked)
    runs = [_Run(copy.deepcopy(first), candidate, rows, checked, scale) for candidate in candidates]
    for run in runs:
        for _ in range(_TRIAL):
            run.epoch()
        print(f"  {run.candidate}: {run.best:.4f} of the line's error", file=sys.stderr, flush=True)
    tried = [
        {"learning_rate": run.candidate.rate, "weighting": run.candidate.weighting,
         "share_of_the_lines_error": round(run.best, 4)}
        for run in runs
    ]  # fmt: skip
    best = min(runs, key=lambda run: run.best)
    best.settle()
    seconds = time.monotonic() - started
    facts = {
        "rows": len(learn), "calibration_rows": len(check), "hidden": _HIDDEN, "steps": len(question.steps.names),
        "parameters": sum(p.numel() for p in best.net.parameters()),
        "candidates": tried, "epochs_per_candidate": _TRIAL,
        "learning_rate": best.candidate.rate, "weighting": best.candidate.weighting,
        "epochs": best.epochs, "rows_per_epoch": min(_EPOCH_ROWS, len(learn)), "best_epoch": best.best_epoch,
        "share_of_the_lines_error": round(best.best, 4), "seconds": round(seconds), "torch": torch.__version__,
    }  # fmt: skip
    return Fitted(best.net, scaling, facts)
