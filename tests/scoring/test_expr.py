"""The notation of models: a graph says what numpy says, and a row's bits do not depend on where it stands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from training.expr import Expr, Inputs, evaluate, export, knots, scales

NAMES = tuple(f"x{k}" for k in range(24))
X = np.random.default_rng(3).normal(0.0, 2.0, (64, len(NAMES))).astype(np.float32)


def both(
    function: Callable[[Expr], Expr], x: NDArray[np.float32] = X
) -> tuple[NDArray[np.float32], ort.InferenceSession]:
    """All columns as numpy has them, and the graph."""
    width = function(Expr(x)).a.shape[1]

    def model(i: Inputs) -> dict[str, Expr]:
        value = function(i[NAMES])
        return {f"y{k}": value.take([k]) for k in range(width)}

    numbers = evaluate(model, NAMES, x)
    session = ort.InferenceSession(export(model, NAMES, "").SerializeToString(), providers=["CPUExecutionProvider"])
    return np.stack([numbers[f"y{k}"] for k in range(width)], axis=1), session


def ask(session: ort.InferenceSession, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(session.run([o.name for o in session.get_outputs()], {"features": x}), axis=1)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 8, 12, 24])
def test_sums_and_extremes_of_groups(width: int) -> None:
    groups = X.reshape(len(X), -1, width).astype(np.float64)
    for function, truth in (
        (lambda x: x.sums(width), groups.sum(2)),
        (lambda x: x.highs(width), groups.max(2)),
        (lambda x: x.lows(width), groups.min(2)),
    ):
        number, session = both(function)
        np.testing.assert_allclose(number, truth, rtol=1e-5, atol=1e-5)
        assert ask(session, X).tobytes() == number.tobytes()


@pytest.mark.parametrize("columns", [1, 3, 5, 7, 10, 11, 13, 24])
def test_a_sum_has_the_same_bits_wherever_its_row_lies(columns: int) -> None:
    number, session = both(lambda x: x.take(range(columns)).sum())
    np.testing.assert_allclose(number[:, 0], X[:, :columns].sum(1, dtype=np.float64), rtol=1e-5, atol=1e-5)
    whole = ask(session, X)
    assert whole.tobytes() == number.tobytes()
    alone = [ask(session, np.repeat(row[None, :], 4, axis=0))[:1] for row in X]
    assert np.concatenate(alone).tobytes() == whole.tobytes()


def test_curves_are_those_of_interp() -> None:
    curves = [
        ((-1.0, 0.0, 2.0), (3.0, -1.0, 0.5)),
        ((0.0, 1.0), (0.0, 10.0)),
        ((-2.0, -1.0, 0.0, 1.0), (1.0, 2.0, 0.0, 7.0)),
    ]
    number, session = both(lambda x: scales(x.take([0, 1, 2]), curves))
    for k, (at, values) in enumerate(curves):
        np.testing.assert_allclose(number[:, k], np.interp(X[:, k], at, values), atol=1e-5)
        one, _ = both(lambda x, k=k, at=at, values=values: knots(x.take([k]), at, values))
        assert one.tobytes() == np.ascontiguousarray(number[:, [k]]).tobytes()
    np.testing.assert_allclose(ask(session, X), number, atol=1e-6)


def test_the_chosen_column() -> None:
    number, session = both(lambda x: x.chosen(x >= x.high()))
    assert (number[:, 0] == X.max(1)).all()
    assert ask(session, X).tobytes() == number.tobytes()
    none, _ = both(lambda x: x.chosen(x > 1e9))
    assert (none == 0).all()


def test_an_array_on_the_left_is_taken_in() -> None:
    number, session = both(lambda x: np.arange(24.0) - x)
    assert number.tobytes() == (np.arange(24, dtype=np.float32) - X).tobytes()
    assert ask(session, X).tobytes() == number.tobytes()
