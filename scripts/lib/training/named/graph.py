"""A fitted LSTM as an ONNX graph of the project's kind: `features` in, the model's outputs by name out.

Built by hand on the same notation as the shipped models, so that the file holds nothing but the arithmetic: torch's
own exporter needs one more package and writes three times as many kinds of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import spox.opset.ai.onnx.v18 as op
from numpy.typing import NDArray

from training.expr import Expr, Inputs, export
from training.named.lstm import FIELD, Fitted, Scaling
from training.named.sequences import Question

__all__ = ["said_graph", "whole_graph"]

Weights = Mapping[str, NDArray[np.float32]]


def whole_graph(question: Question, fitted: Fitted) -> onnx.ModelProto:
    """Features to the model's outputs."""
    return export(lambda i: question.answers(i, _said(question, fitted, i)), question.recipe.inputs, "")


def said_graph(question: Question, fitted: Fitted) -> onnx.ModelProto:
    """Features to what the network itself says, in units: what parity with torch is measured on."""

    def function(i: Inputs) -> Mapping[str, Expr]:
        return dict(zip(question.targets, _said(question, fitted, i), strict=True))

    return export(function, question.recipe.inputs, "")


def _const(value: Any) -> Any:
    return op.constant(value=np.asarray(value, np.float32))


def _at(value: Any, columns: list[int]) -> Any:
    return op.gather(value, op.constant(value=np.array(columns, np.int64)), axis=1)


def _linear(weights: Weights, name: str, x: Any) -> Any:
    return op.gemm(x, _const(weights[f"{name}.weight"]), _const(weights[f"{name}.bias"]), transB=1)


def _scaled(scaling: Scaling, raw: Any) -> Any:
    scaled = op.div(op.sub(raw, _const(scaling.mean)), _const(scaling.spread))
    known = op.where(op.isnan(scaled), _const(0.0), scaled)
    return op.min([op.max([known, _const(-FIELD)]), _const(FIELD)])


def _in_time(value: Any) -> Any:
    """(rows, steps) to (steps, rows, 1)."""
    return op.unsqueeze(op.transpose(value, perm=[1, 0]), op.constant(value=np.array([2], np.int64)))


def _gates(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """torch has input, forget, cell, output; ONNX input, output, forget, cell."""
    i, f, c, o = np.split(weight, 4)
    return np.concatenate([i, o, f, c])


def _said(question: Question, fitted: Fitted, i: Inputs) -> list[Expr]:
    weights: Weights = {name: value.numpy() for name, value in fitted.net.state_dict().items()}
    steps = [question.columns.index(name) for name in question.steps.names]
    beside = [k for k in range(len(question.columns)) if k not in steps]
    raw = question.derive(i).a
    columns = _scaled(fitted.scaling, raw)
    marks = _in_time(op.cast(op.not_(op.isnan(_at(raw, steps))), to=np.float32))
    place = _const(question.steps.place[:, None, :])
    sequence = op.concat([op.mul(_in_time(_at(columns, steps)), marks), marks, op.mul(marks, place)], axis=2)
    hidden = weights["lstm.weight_hh_l0"].shape[1]
    first = op.constant(value=np.array([0], np.int64))
    begin = op.unsqueeze(op.tanh(_linear(weights, "start", _at(columns, beside))), first)
    h, c = op.split(begin, axis=2, num_outputs=2)
    into, again = (_const(_gates(weights[f"lstm.weight_{which}_l0"])[None]) for which in ("ih", "hh"))
    bias = np.concatenate([_gates(weights[f"lstm.bias_{which}_l0"]) for which in ("ih", "hh")])
    _, end, _ = op.lstm(sequence, into, again, _const(bias[None]), initial_h=h, initial_c=c, hidden_size=hidden)
    head = op.relu(_linear(weights, "hidden", op.concat([op.squeeze(end, first), _at(columns, beside)], axis=1)))
    said = op.add(_linear(weights, "line", columns), _linear(weights, "last", head))
    return [Expr(_at(said, [k])) for k in range(len(question.targets))]
