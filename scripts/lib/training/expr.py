"""One notation for a model's arithmetic, with two meanings: float32 numpy (the trainer's reference) and an ONNX graph.

A model is a function of an `Inputs` object that returns named outputs. Run on numbers it is the reference that golden
vectors are made of; run on symbols it is the file that is shipped. Forests are xgboost boosters in the first meaning
and a TreeEnsembleRegressor in the second. Every value is [N, k].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import onnx
import spox.opset.ai.onnx.ml.v3 as ml
import spox.opset.ai.onnx.v18 as op
import xgboost as xgb
from numpy.typing import NDArray
from spox import Tensor, argument, build

__all__ = ["Expr", "Inputs", "concat", "evaluate", "export", "forest", "knots", "scales", "where"]

F32 = np.float32
ModelFunction = Callable[["Inputs"], Mapping[str, "Expr"]]


def _const(value: Any) -> Any:
    return op.constant(value=np.asarray(value, F32))


@dataclass(frozen=True)
class Expr:
    """A value: `a` is an ndarray (float32, bool or int64) or a spox variable."""

    a: Any
    # An array on the left leaves the operation to the value on its right.
    __array_ufunc__: ClassVar[None] = None

    @property
    def symbolic(self) -> bool:
        return not isinstance(self.a, np.ndarray)

    def _other(self, other: Any) -> Any:
        if isinstance(other, Expr):
            return other.a
        return _const(other) if self.symbolic else np.asarray(other, F32)

    def _two(self, other: Any, symbol: Any, number: Any) -> Expr:
        b = self._other(other)
        with np.errstate(all="ignore"):
            return Expr(symbol(self.a, b) if self.symbolic else number(self.a, b))

    def _one(self, symbol: Any, number: Any) -> Expr:
        with np.errstate(all="ignore"):
            return Expr(symbol(self.a) if self.symbolic else number(self.a))

    def __add__(self, o: Any) -> Expr:
        return self._two(o, op.add, np.add)

    def __radd__(self, o: Any) -> Expr:
        return self + o

    def __sub__(self, o: Any) -> Expr:
        return self._two(o, op.sub, np.subtract)

    def __rsub__(self, o: Any) -> Expr:
        return Expr(self._other(o)) - self

    def __mul__(self, o: Any) -> Expr:
        return self._two(o, op.mul, np.multiply)

    def __rmul__(self, o: Any) -> Expr:
        return self * o

    def __truediv__(self, o: Any) -> Expr:
        return self._two(o, op.div, np.divide)

    def __neg__(self) -> Expr:
        return self * -1.0

    def __gt__(self, o: Any) -> Expr:
        return self._two(o, op.greater, np.greater)

    def __ge__(self, o: Any) -> Expr:
        return self._two(o, op.greater_or_equal, np.greater_equal)

    def __lt__(self, o: Any) -> Expr:
        return self._two(o, op.less, np.less)

    def __and__(self, o: Expr) -> Expr:
        return self._two(o, op.and_, np.logical_and)

    def __or__(self, o: Expr) -> Expr:
        return self._two(o, op.or_, np.logical_or)

    def __invert__(self) -> Expr:
        return self._one(op.not_, np.logical_not)

    def abs(self) -> Expr:
        return self._one(op.abs, np.abs)

    def exp(self) -> Expr:
        return self._one(op.exp, np.exp)

    def log(self) -> Expr:
        return self._one(op.log, np.log)

    def sqrt(self) -> Expr:
        return self._one(op.sqrt, np.sqrt)

    def floor(self) -> Expr:
        return self._one(op.floor, np.floor)

    def ceil(self) -> Expr:
        return self._one(op.ceil, np.ceil)

    def sigmoid(self) -> Expr:
        return self._one(op.sigmoid, lambda a: (1 / (1 + np.exp(-a.astype(np.float64)))).astype(F32))

    def isnan(self) -> Expr:
        return self._one(op.isnan, np.isnan)

    def most(self, o: Any) -> Expr:
        """Elementwise maximum."""
        return self._two(o, lambda a, b: op.max([a, b]), np.maximum)

    def least(self, o: Any) -> Expr:
        """Elementwise minimum."""
        return self._two(o, lambda a, b: op.min([a, b]), np.minimum)

    def clip(self, low: float, high: float) -> Expr:
        return self.most(low).least(high)

    def nan_to(self, value: float) -> Expr:
        """NaN replaced."""
        return where(self.isnan(), value, self)

    @property
    def columns(self) -> int:
        """How many columns there are."""
        count = (self.a.unwrap_tensor() if self.symbolic else self.a).shape[1]
        if not isinstance(count, int):
            raise TypeError("the number of columns is not known")
        return count

    def sum(self) -> Expr:
        """Over the columns, [N, 1]."""
        return self._row(op.reduce_sum, np.sum) if self.columns <= 3 else self.sums(self.columns)

    def chosen(self, mask: Expr) -> Expr:
        """The one column of each row where the mask [N, k] holds, 0 when none does, [N, 1]."""
        return where(mask, self, 0.0)._row(op.reduce_sum, np.sum)

    def high(self) -> Expr:
        """Highest column, [N, 1]."""
        return self._row(op.reduce_max, np.max)

    def low(self) -> Expr:
        """Lowest column, [N, 1]."""
        return self._row(op.reduce_min, np.min)

    def _row(self, symbol: Any, number: Any) -> Expr:
        """All columns of a row brought together, [N, 1]."""
        axes = np.array([1], np.int64)
        return self._one(
            lambda a: symbol(a, op.constant(value=axes), keepdims=1),
            lambda a: np.asarray(number(a, axis=1, keepdims=True), a.dtype),
        )

    def take(self, columns: Sequence[int] | NDArray[np.int64]) -> Expr:
        """These columns, in this order."""
        at = np.asarray(columns, np.int64)
        return self._one(
            lambda a: op.gather(a, op.constant(value=at), axis=1), lambda a: np.ascontiguousarray(a[:, at])
        )

    def sums(self, width: int) -> Expr:
        """Of each `width` columns beside each other: [N, k width] to [N, k].

        Two or three at a time: of more, a runtime may add in an order that depends on where a row lies in memory.
        """
        parts = _parts(width)
        value = self._groups(width)
        if (more := int(np.prod(parts)) - width) > 0:
            ends = np.array([0, 0, 0, 0, 0, more], np.int64)
            value = value._one(
                lambda a: op.pad(a, op.constant(value=ends)), lambda a: np.pad(a, ((0, 0), (0, 0), (0, more)))
            )
        if len(parts) > 1:
            value = value._shaped(self.columns // width, *parts)
        for _ in parts:
            value = value._reduced(op.reduce_sum, np.sum)
        return value

    def highs(self, width: int) -> Expr:
        """The highest of each `width` columns beside each other: [N, k width] to [N, k]."""
        return self._groups(width)._reduced(op.reduce_max, np.max)

    def lows(self, width: int) -> Expr:
        """The lowest of each `width` columns beside each other: [N, k width] to [N, k]."""
        return self._groups(width)._reduced(op.reduce_min, np.min)

    def _groups(self, width: int) -> Expr:
        return self._shaped(self.columns // width, width)

    def _shaped(self, *shape: int) -> Expr:
        to = np.array([0, *shape], np.int64)
        return self._one(
            lambda a: op.reshape(a, op.constant(value=to)), lambda a: np.ascontiguousarray(a).reshape(len(a), *shape)
        )

    def _reduced(self, symbol: Any, number: Any) -> Expr:
        """Over the last axis."""
        axes = np.array([-1], np.int64)
        return self._one(
            lambda a: symbol(a, op.constant(value=axes), keepdims=0), lambda a: np.asarray(number(a, axis=-1), a.dtype)
        )

    def argmax(self) -> Expr:
        """Index of the highest column, int64 [N, 1]."""
        return self._one(lambda a: op.arg_max(a, axis=1, keepdims=1), lambda a: a.argmax(1)[:, None].astype(np.int64))

    def integer(self) -> Expr:
        """As int64."""
        return self._one(lambda a: op.cast(a, to=np.int64), lambda a: a.astype(np.int64))

    def number(self) -> Expr:
        """As float32."""
        return self._one(lambda a: op.cast(a, to=np.float32), lambda a: a.astype(F32))


class Inputs:
    """The named columns of `features`."""

    def __init__(self, names: Sequence[str], x: Any) -> None:
        self.names = list(names)
        self.x = Expr(x)

    def __getitem__(self, name: str | Sequence[str]) -> Expr:
        """One column [N, 1], or several [N, k]."""
        names = [name] if isinstance(name, str) else list(name)
        at = np.array([self.names.index(n) for n in names], np.int64)
        if self.x.symbolic:
            return Expr(op.gather(self.x.a, op.constant(value=at), axis=1))
        return Expr(np.ascontiguousarray(self.x.a[:, at]))

    def abc(self, name: str) -> Expr:
        """The three phases, [N, 3]."""
        return self[[f"{name}_{x}" for x in "abc"]]


def where(condition: Expr, yes: Any, no: Any) -> Expr:
    """Elementwise choice; numbers are taken as float32."""
    if condition.symbolic:
        a, b = (v.a if isinstance(v, Expr) else _const(v) for v in (yes, no))
        return Expr(op.where(condition.a, a, b))
    a, b = (v.a if isinstance(v, Expr) else np.asarray(v, F32) for v in (yes, no))
    return Expr(np.where(condition.a, a, b))


def concat(parts: Sequence[Expr]) -> Expr:
    """Columns beside each other."""
    if parts[0].symbolic:
        return Expr(op.concat([p.a for p in parts], axis=1))
    return Expr(np.concatenate([p.a for p in parts], axis=1))


def _parts(width: int) -> tuple[int, ...]:
    """Twos and threes whose product is `width`, or as little above it as can be."""
    if width <= 3:
        return (width,)
    twos = range(width.bit_length() + 1)
    found = [(2,) * a + (3,) * b for a in twos for b in twos if 2**a * 3**b >= width]
    return min(found, key=lambda parts: (int(np.prod(parts)), len(parts)))


def knots(x: Expr, at: Sequence[float], values: Sequence[float]) -> Expr:
    """Piecewise linear through (at, values), constant outside; [N, 1] in and out."""
    return scales(x, [(at, values)])


def scales(x: Expr, curves: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Expr:
    """Each column through a curve of its own, piecewise linear through (at, values), constant outside; [N, k]."""
    width = max(len(at) for at, _ in curves) - 1
    # A curve of fewer pieces has flat ones behind it.
    start, length, slope = np.zeros((len(curves), width)), np.ones((len(curves), width)), np.zeros((len(curves), width))
    for k, (at, values) in enumerate(curves):
        a, v = np.asarray(at, np.float64), np.asarray(values, np.float64)
        n = len(a) - 1
        start[k, :n], length[k, :n], slope[k, :n] = a[:-1], a[1:] - a[:-1], (v[1:] - v[:-1]) / (a[1:] - a[:-1])
    flat = [piece.astype(F32).reshape(1, -1) for piece in (start, length, slope)]
    pieces = (x.take(np.repeat(np.arange(len(curves)), width)) - flat[0]).most(0.0).least(flat[1]) * flat[2]
    return pieces.sums(width) + np.array([[values[0] for _, values in curves]], F32)


def forest(booster: xgb.Booster, x: Expr) -> Expr:
    """A booster's raw margin, [N, 1]."""
    if not x.symbolic:
        return Expr(booster.inplace_predict(x.a, predict_type="margin").reshape(-1, 1).astype(F32))
    return Expr(ml.tree_ensemble_regressor(x.a, **_tree_attributes(booster)))


_BRANCH: Final = "BRANCH_LT"


def _tree_attributes(booster: xgb.Booster) -> dict[str, Any]:
    model = json.loads(booster.save_raw("json").decode())["learner"]
    base = float(str(model["learner_model_param"]["base_score"]).strip("[]"))
    if "logistic" in model["objective"]["name"]:
        base = float(np.log(base / (1 - base)))  # stored as a probability, added as a margin
    a: dict[str, list[Any]] = {
        key: []
        for key in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values", "nodes_truenodeids",
            "nodes_falsenodeids", "nodes_missing_value_tracks_true", "target_treeids", "target_nodeids", "target_ids",
            "target_weights",
        )
    }  # fmt: skip
    for number, tree in enumerate(model["gradient_booster"]["model"]["trees"]):
        for node, left in enumerate(tree["left_children"]):
            leaf = left == -1
            a["nodes_treeids"].append(number)
            a["nodes_nodeids"].append(node)
            a["nodes_featureids"].append(0 if leaf else int(tree["split_indices"][node]))
            a["nodes_modes"].append("LEAF" if leaf else _BRANCH)
            a["nodes_values"].append(0.0 if leaf else float(F32(tree["split_conditions"][node])))
            a["nodes_truenodeids"].append(0 if leaf else int(left))
            a["nodes_falsenodeids"].append(0 if leaf else int(tree["right_children"][node]))
            a["nodes_missing_value_tracks_true"].append(0 if leaf else int(tree["default_left"][node]))
            if leaf:
                a["target_treeids"].append(number)
                a["target_nodeids"].append(node)
                a["target_ids"].append(0)
                a["target_weights"].append(float(F32(tree["split_conditions"][node])))
    return {**a, "base_values": [base], "n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE"}


def evaluate(function: ModelFunction, names: Sequence[str], x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The reference: outputs (N,) by name."""
    return {name: value.a.reshape(-1) for name, value in function(Inputs(names, x)).items()}


def export(function: ModelFunction, names: Sequence[str], doc: str) -> onnx.ModelProto:
    """The graph: one input `features` float32 [N, len(names)], outputs as named by the function."""
    x = argument(Tensor(np.float32, ("N", len(names))))
    outputs = {name: value.a for name, value in function(Inputs(names, x)).items()}
    model = build({"features": x}, outputs)
    model.ir_version = 10
    model.doc_string = doc
    model.producer_name, model.producer_version = "remhart-adt", ""
    onnx.checker.check_model(model, full_check=True)
    return model
