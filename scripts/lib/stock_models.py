"""The committed models as the stock converters would give them: what `scripts/bench scoring` is compared with.

Their learned parts are read back out of our files: every TreeEnsembleRegressor becomes the xgboost booster that it came
from, and onnxmltools' `convert_xgboost` exports it, one file each; the ridge regression goes through skl2onnx. What our
graph does around them (columns, scale, clip, calibration, intervals) becomes numpy, one call per operation, as somebody
would write it who has converters and no graph builder. A model whose graph holds neither trees nor a plain linear
model has no stock form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

__all__ = ["Part", "StockModel", "convert", "numpy_source", "open_session", "parts_of", "rebuilt"]

F32 = np.float32
# Models that are one linear regression; in the others a weighted sum is a line of a formula.
_LINEAR: Final = ("energy_loss",)
_TEXT: Final = {
    "Add": "{0} + {1}", "Sub": "{0} - {1}", "Mul": "{0} * {1}", "Div": "{0} / {1}",
    "Greater": "{0} > {1}", "GreaterOrEqual": "{0} >= {1}", "Less": "{0} < {1}",
    "And": "{0} & {1}", "Or": "{0} | {1}", "Not": "~{0}",
    "Abs": "np.abs({0})", "Exp": "np.exp({0})", "Log": "np.log({0})", "Sqrt": "np.sqrt({0})",
    "Floor": "np.floor({0})", "Ceil": "np.ceil({0})", "IsNaN": "np.isnan({0})", "Sigmoid": "1 / (1 + np.exp(-{0}))",
    "Max": "np.maximum({0}, {1})", "Min": "np.minimum({0}, {1})", "Where": "np.where({0}, {1}, {2})",
    "ArgMax": "{0}.argmax(1)[:, None]",
}  # fmt: skip
_REDUCED: Final = {"ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}


@dataclass(frozen=True)
class Part:
    """A learned part: `reads` and `gives` are values of our graph, `width` how many columns it reads.

    `kind` is `trees` (a booster of raw values), `logistic` (one whose probability alone is read) or `linear`.
    """

    kind: str
    reads: str
    gives: str
    width: int
    attributes: Mapping[str, Any]


def open_session(source: Path | bytes) -> Any:
    """A session of one thread, as the daemon opens it, of a file or of its content."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    held = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            held[node.output[0]] = onnx.numpy_helper.to_array(_attributes(node)["value"])
    return held


def _widths(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shaped = [*inferred.input, *inferred.value_info]
    return {v.name: v.type.tensor_type.shape.dim[-1].dim_value for v in shaped if v.type.tensor_type.shape.dim}


def _plain_sums(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with one sum wherever ours adds two or three columns at a time (`training.expr`): so would
    anybody write it who does not ask for the same bits wherever a row lies."""
    constants = _constants(model)
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    made_by = {node.output[0]: node for node in plain.graph.node}
    read = {name for node in plain.graph.node if node.op_type == "ReduceSum" for name in node.input[:1]}
    for node in plain.graph.node:
        if node.op_type != "ReduceSum" or node.output[0] in read:
            continue
        shaped = node
        while shaped.op_type in ("ReduceSum", "Reshape", "Pad") and shaped.input[0] in made_by:
            before = made_by[shaped.input[0]]
            if before.op_type not in ("ReduceSum", "Reshape", "Pad"):
                break
            shaped = before
        if shaped.op_type != "Reshape":
            continue
        # Without groups of its own a row is summed as it stands.
        if constants[shaped.input[1]][1] == 1:
            node.input[0] = shaped.input[0]
            node.ClearField("attribute")
            node.attribute.append(onnx.helper.make_attribute("keepdims", 1))
        else:
            node.input[0] = shaped.output[0]
    return plain


def _is_margin(model: onnx.ModelProto, name: str, constants: Mapping[str, Any]) -> bool:
    """Whether a value meets nothing but constants on its only way, to a logistic function: a classifier's margin.

    Where the margin is read for something else, too (voltage_anomaly's p-value), the converter's probability will not
    do: near 1 a float32 has lost the margin, and the p-value is out by 0.005. Whoever meets that converts raw values.
    """
    readers = [node for node in model.graph.node if name in node.input]
    if len(readers) != 1:
        return False
    (node,) = readers
    plain = node.op_type in ("Add", "Mul") and all(i in constants for i in node.input if i != name)
    return node.op_type == "Sigmoid" or (plain and _is_margin(model, node.output[0], constants))


def parts_of(name: str, model: onnx.ModelProto) -> list[Part]:
    """What a stock converter exists for, in the order of the graph."""
    constants, widths = _constants(model), _widths(model)
    parts = []
    for node in model.graph.node:
        if node.op_type == "TreeEnsembleRegressor":
            kind = "logistic" if _is_margin(model, node.output[0], constants) else "trees"
            reads = node.input[0]
            parts.append(Part(kind, reads, node.output[0], widths[reads], _attributes(node)))
    if name in _LINEAR:
        parts.append(_linear(model, constants))
    return parts


def _linear(model: onnx.ModelProto, constants: Mapping[str, NDArray[Any]]) -> Part:
    """Columns times coefficients, summed, plus the intercept when there is one."""
    model = _plain_sums(model)
    made_by = {node.output[0]: node for node in model.graph.node}
    for total in model.graph.node:
        product = made_by.get(total.input[0]) if total.op_type == "ReduceSum" else None
        if product is None or product.op_type != "Mul" or product.input[1] not in constants:
            continue
        weights, gives, intercept = constants[product.input[1]].reshape(-1), total.output[0], 0.0
        for add in model.graph.node:
            if add.op_type == "Add" and add.input[0] == gives and add.input[1] in constants:
                gives, intercept = add.output[0], float(constants[add.input[1]].reshape(-1)[0])
        facts = {"coefficients": weights, "intercept": intercept}
        return Part("linear", product.input[0], gives, len(weights), facts)
    raise ValueError("no linear regression in the graph")


def rebuilt(part: Part) -> Any:
    """The xgboost booster that a tree ensemble came from: same splits, leaves, directions of missing values."""
    import xgboost as xgb

    a = part.attributes
    leaves = dict(zip(zip(a["target_treeids"], a["target_nodeids"], strict=True), a["target_weights"], strict=True))
    rows: dict[int, list[int]] = {}
    for at, tree in enumerate(a["nodes_treeids"]):
        rows.setdefault(tree, []).append(at)
    logistic = part.kind == "logistic"
    # The converter takes a booster for a classifier when its covers are no whole numbers, as p(1 - p) never is.
    cover = 0.5 if logistic else 1.0
    trees = [_tree(k, a, rows[tree], leaves, (part.width, cover)) for k, tree in enumerate(sorted(rows))]
    # The intercept of a logistic booster is stored as a probability.
    base = float(a["base_values"][0])
    score = 1 / (1 + np.exp(-base)) if logistic else base
    learner = {
        "attributes": {}, "feature_names": [], "feature_types": [],
        "gradient_booster": {
            "name": "gbtree",
            "model": {
                "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                "iteration_indptr": list(range(len(trees) + 1)), "tree_info": [0] * len(trees), "trees": trees,
            },
        },
        "learner_model_param": {
            "base_score": f"[{score:.9E}]", "boost_from_average": "0", "num_class": "0",
            "num_feature": str(part.width), "num_target": "1",
        },
        "objective": {
            "name": "binary:logistic" if logistic else "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"},
        },
    }  # fmt: skip
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(json.dumps({"learner": learner, "version": [3, 2, 0]}).encode()))
    return booster


def _tree(
    number: int,
    a: Mapping[str, Any],
    rows: Sequence[int],
    leaves: Mapping[tuple[int, int], float],
    shape: tuple[int, float],
) -> dict[str, Any]:
    """One tree in xgboost's own form. Gain and cover, which no prediction reads, are not in our file: gain is zero,
    and `shape` gives the number of columns and one cover for all nodes."""
    at = {a["nodes_nodeids"][k]: place for place, k in enumerate(rows)}
    n = len(rows)
    left, right, parents = [-1] * n, [-1] * n, [2147483647] * n
    split, value, missing = [0] * n, [0.0] * n, [0] * n
    for place, k in enumerate(rows):
        if a["nodes_modes"][k] == b"LEAF":
            value[place] = leaves[a["nodes_treeids"][k], a["nodes_nodeids"][k]]
            continue
        left[place], right[place] = at[a["nodes_truenodeids"][k]], at[a["nodes_falsenodeids"][k]]
        parents[left[place]] = parents[right[place]] = place
        split[place], value[place] = a["nodes_featureids"][k], a["nodes_values"][k]
        missing[place] = a["nodes_missing_value_tracks_true"][k]
    return {
        "id": number, "left_children": left, "right_children": right, "parents": parents, "split_indices": split,
        "split_conditions": value, "default_left": missing, "split_type": [0] * n, "base_weights": value,
        "loss_changes": [0.0] * n, "sum_hessian": [shape[1]] * n,
        "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
        "tree_param": {
            "num_deleted": "0", "num_feature": str(shape[0]), "num_nodes": str(n), "size_leaf_vector": "1",
        },
    }  # fmt: skip


def convert(part: Part) -> bytes:
    """The stock converter's file, with its own defaults."""
    if part.kind == "linear":
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType as SklearnFloats
        from sklearn.linear_model import LinearRegression

        line = LinearRegression()
        line.coef_, line.intercept_ = part.attributes["coefficients"], part.attributes["intercept"]
        line.n_features_in_ = part.width
        converted = convert_sklearn(line, initial_types=[("X", SklearnFloats([None, part.width]))])
    else:
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        converted = convert_xgboost(rebuilt(part), initial_types=[("X", FloatTensorType([None, part.width]))])
    return bytes(converted.SerializeToString())


def numpy_source(model: onnx.ModelProto, parts: Sequence[Part]) -> tuple[str, dict[str, Any]]:
    """A Python function of `x` and of the parts `part0`, `part1`, ...; and the constants that it names."""
    model, constants = _plain_sums(model), _constants(model)
    called = {part.gives: (number, part.reads) for number, part in enumerate(parts)}
    place: dict[str, str] = {model.graph.input[0].name: "x"}
    held: dict[str, Any] = {"np": np}
    lines: list[str] = []

    def at(name: str) -> str:
        if name not in place:
            place[name] = f"c{len(held)}"
            value = constants[name]
            held[place[name]] = value.reshape(-1)[0] if value.ndim == 0 else value
        return place[name]

    for node in _needed(model, called):
        name = node.output[0]
        if node.op_type == "Identity":
            place[name] = at(node.input[0])
            continue
        if name in called:
            number, reads = called[name]
            text = f"part{number}({at(reads)})"
        else:
            text = _spelled(node, at, constants)
        place[name] = f"v{len(lines)}"
        lines.append(f"    {place[name]} = {text}")
    outputs = ", ".join(f"{o.name!r}: {at(o.name)}" for o in model.graph.output)
    names = ", ".join(["x", *(f"part{k}" for k in range(len(parts)))])
    return "\n".join([f"def answer({names}):", *lines, f"    return {{{outputs}}}", ""]), held


def _needed(model: onnx.ModelProto, called: Mapping[str, tuple[int, str]]) -> list[onnx.NodeProto]:
    """The nodes that outputs depend on, in their order, those inside a part left out."""
    wanted = {o.name for o in model.graph.output}
    nodes = []
    for node in reversed(model.graph.node):
        name = node.output[0]
        if name in wanted and node.op_type != "Constant":
            nodes.append(node)
            wanted |= {called[name][1]} if name in called else set(node.input)
    return nodes[::-1]


def _spelled(node: onnx.NodeProto, at: Callable[[str], str], constants: Mapping[str, NDArray[Any]]) -> str:
    """One operation as numpy."""
    first = at(node.input[0])
    if node.op_type == "Gather":
        columns = constants[node.input[1]].reshape(-1).tolist()
        # One column, or several beside each other, is a view for whoever writes numpy.
        if columns == list(range(columns[0], columns[0] + len(columns))):
            return f"{first}[:, {columns[0]}:{columns[0] + len(columns)}]"
        return f"{first}.take({at(node.input[1])}, 1)"
    if node.op_type == "Cast":
        return f"{first}.astype(np.{onnx.helper.tensor_dtype_to_np_dtype(_attributes(node)['to']).name})"
    if node.op_type == "Concat":
        return f"np.concatenate(({', '.join(at(i) for i in node.input)}), 1)"
    if node.op_type == "Reshape":
        return f"{first}.reshape(len({first}), {', '.join(map(str, constants[node.input[1]][1:].tolist()))})"
    if node.op_type in _REDUCED:
        # The axis of a reduction is always the last one.
        return f"{first}.{_REDUCED[node.op_type]}(-1, keepdims={bool(_attributes(node).get('keepdims', 1))})"
    return _TEXT[node.op_type].format(*(at(i) for i in node.input))


def _wanted(part: Part) -> list[str]:
    return ["probabilities" if part.kind == "logistic" else "variable"]


def _caller(part: Part, session: Any) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
    """A session as a function. A classifier answers a probability, and what follows wants its logit."""
    wanted = _wanted(part)
    if part.kind != "logistic":
        return lambda x: np.asarray(session.run(wanted, {"X": x})[0])

    def logit(x: NDArray[np.float32]) -> NDArray[Any]:
        p = session.run(wanted, {"X": x})[0][:, 1:]
        return np.asarray(np.log(p / (1 - p)))

    return logit


class StockModel:
    """Sessions of the converters' files, and numpy around them."""

    def __init__(self, name: str, model: onnx.ModelProto, folder: Path) -> None:
        """Converts, and leaves the files in `folder`; `parts` is empty when there is nothing to convert."""
        self.parts = parts_of(name, model)
        self.files = [folder / f"{name}_{k}.onnx" for k in range(len(self.parts))]
        for part, path in zip(self.parts, self.files, strict=True):
            path.write_bytes(convert(part))
        self._sessions = [open_session(path) for path in self.files]
        self._calls = [_caller(part, session) for part, session in zip(self.parts, self._sessions, strict=True)]
        source, held = numpy_source(model, self.parts)
        # The text holds numbered names and operations of the table above, nothing from outside.
        exec(compile(source, f"<{name}>", "exec"), held)  # noqa: S102
        self._answer: Callable[..., dict[str, NDArray[Any]]] = held["answer"]

    def run(self, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Every output of the model, [N, 1]."""
        with np.errstate(all="ignore"):
            return self._answer(x, *self._calls)

    def matrices(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What each of the parts reads for these rows."""
        read: list[NDArray[np.float32]] = [x] * len(self.parts)

        def recorder(k: int) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
            def call(matrix: NDArray[np.float32]) -> NDArray[Any]:
                read[k] = np.ascontiguousarray(matrix)
                return self._calls[k](matrix)

            return call

        with np.errstate(all="ignore"):
            self._answer(x, *(recorder(k) for k in range(len(self.parts))))
        return read

    def run_parts(self, matrices: Sequence[NDArray[np.float32]]) -> None:
        """The converters' files alone, without what stands around them."""
        for part, session, matrix in zip(self.parts, self._sessions, matrices, strict=True):
            session.run(_wanted(part), {"X": matrix})
