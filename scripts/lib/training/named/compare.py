"""`scripts/train --lstm`: train the named family, judge it beside the shipped model, store the figures.

Both models answer the same rows of the same test sets; the shipped one is the baseline of the comparison, and both are
set against the recipe's own. Nothing in models/ changes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model
from stock_models import open_session
from training.evaluate import prepare
from training.gather import TestSets
from training.measured import Asked
from training.named import graph, lstm
from training.named.sequences import QUESTIONS, Question
from training.publish import rows_of
from training.recipe import Data, Metric, mae_metric

__all__ = ["compare_families", "judge", "judge_measured", "parity", "runner"]

_CHUNK: Final = 4096
_SHIPPED: Final = "the shipped model"


def compare_families(
    models: Path,
    names: Collection[str],
    data: Data,
    sets: TestSets,
    asked: Sequence[Asked],
    store: Path,
    golden: Path,
    out: Path | None,
) -> None:
    """Figures of these models into `store`, others' stay; the LSTMs' files go to `out` when there is one. `asked`: the
    measured series that load_forecast answered."""
    figures: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    entries = read_manifest(models).entries
    for name in names:
        question, entry = QUESTIONS[name], entries[name]
        prepare(question.recipe, entry.training)
        fitted = lstm.fit(question, *data.rows(question.recipe))
        blob = graph.whole_graph(question, fitted).SerializeToString(deterministic=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}_lstm.onnx").write_bytes(blob)
        vectors = np.load(golden / f"golden_{name}.npz")["features"]
        shipped = Model(entry, models)
        figures[name] = {
            "shipped_sha256": entry.sha256,
            "named": question.named,
            "trained": fitted.facts,
            **judge(question, shipped, runner(blob), sets),
            "measured": judge_measured(question, runner(blob), asked) if name == "load_forecast" else [],
            "parity": parity(question, fitted, vectors),
            "speed": _speeds({"lstm": blob, "shipped": (models / entry.file).read_bytes()}, vectors),
        }
        store.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
        print(f"{name}: compared", file=sys.stderr, flush=True)


def judge(question: Question, shipped: Model, named: Any, sets: TestSets) -> dict[str, Any]:
    """LSTM against shipped, and both against the recipe's baseline, on the rows that the shipped model is judged on."""
    direct: list[Metric] = []
    against: dict[str, list[Metric]] = {"lstm": [], "shipped": []}
    for on, rows in sets.items():
        samples, x = rows_of(question.recipe, rows)
        old = shipped.run(x)
        new = {**old, **named(x)}
        errors = {which: question.errors(samples, answer) for which, answer in (("lstm", new), ("shipped", old))}
        for name, unit in errors["lstm"]:
            lstm_error, other = (errors[which][name, unit] for which in ("lstm", "shipped"))
            direct.append(mae_metric(name, unit, on, samples, lstm_error, other, _SHIPPED))
        compared = {name for name, _ in errors["lstm"]}
        for which, answer in (("lstm", new), ("shipped", old)):
            # The recipe's own judging, which only sees the answers that the LSTM gives replaced.
            judged = question.recipe.judge(samples, x, lambda _, answer=answer: answer, on)  # type: ignore[misc]
            against[which] += [metric for metric in judged.metrics if metric.name in compared]
    return {
        "against_shipped": [asdict(metric) for metric in direct],
        "against_baseline": {which: [asdict(metric) for metric in found] for which, found in against.items()},
    }


def judge_measured(question: Question, named: Any, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """LSTM against shipped on the measured series, of which nothing was learned."""
    found = []
    for series in asked:
        x = series.features[:, [INDEX[name] for name in question.recipe.inputs]]
        answer = named(np.ascontiguousarray(x))
        for name, _, text in series.horizons:
            lstm_error, other = (of[name] / series.base - series.truth[name] for of in (answer, series.answer))
            what, samples = f"MAE at {text}", series.samples
            found.append(mae_metric(what, "p.u. of rating", series.on, samples, lstm_error, other, _SHIPPED))
    return [asdict(metric) for metric in found]


def parity(question: Question, fitted: lstm.Fitted, features: NDArray[np.float32]) -> float:
    """Largest difference between torch and the exported graph, in units of the target."""
    import torch

    from training.expr import Inputs

    blob = graph.said_graph(question, fitted).SerializeToString(deterministic=True)
    got = runner(blob)(features)
    columns = question.derive(Inputs(question.recipe.inputs, features)).a
    with torch.no_grad():
        said = fitted.net(*lstm.numbers(question, fitted.scaling, columns)).numpy()
    return float(np.abs(np.stack([got[name] for name in question.targets], axis=1) - said).max())


def runner(blob: bytes) -> Any:
    session = open_session(blob)
    names = [output.name for output in session.get_outputs()]

    def run(x: NDArray[np.float32]) -> Mapping[str, NDArray[np.float64]]:
        parts = [session.run(names, {"features": x[k : k + _CHUNK]}) for k in range(0, len(x), _CHUNK)]
        columns = (np.concatenate([part[k] for part in parts]).reshape(-1) for k in range(len(names)))
        return {name: column.astype(np.float64) for name, column in zip(names, columns, strict=True)}

    return run


def _speeds(blobs: Mapping[str, bytes], features: NDArray[np.float32]) -> dict[str, Any]:
    """Size, and microseconds of a single row (median) and per row at batch 256 (best), one thread, taken in turns so
    that whatever else the machine does meets both."""
    sessions = {which: open_session(blob) for which, blob in blobs.items()}
    batch = np.ascontiguousarray(np.tile(features, (256 // len(features) + 1, 1))[:256])
    single: dict[str, list[float]] = {which: [] for which in blobs}
    many: dict[str, list[float]] = {which: [] for which in blobs}
    for turn in range(400):
        for which, session in sessions.items():
            single[which].append(_seconds(session, batch[:1]))
            if turn % 4 == 0:
                many[which].append(_seconds(session, batch))
    return {
        which: {
            "kilobytes": round(len(blob) / 1e3),
            "us_single": round(1e6 * float(np.median(single[which])), 1),
            "us_per_row": round(1e6 * min(many[which]) / 256, 2),
        }
        for which, blob in blobs.items()
    }


def _seconds(session: ort.InferenceSession, x: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    session.run(None, {"features": x})
    return time.perf_counter() - started
