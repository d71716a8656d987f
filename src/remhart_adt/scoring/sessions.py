"""One ONNX session per model. Whatever is wrong with one file stays with that model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import MissingExtraError, ModelError
from remhart_adt.scoring.manifest import Entry, Output, sha256_of

__all__ = ["Model"]

# Matrix kernels take another path for one row than for many; a row must not depend on its neighbours, so that batches
# are padded to a multiple of this. Beyond the upper bound a batch only costs memory.
_ROWS_MULTIPLE: Final = 8
_ROWS_MOST: Final = 1024
_FLOATS: Final = ("tensor(float)", "tensor(double)")
_INTEGERS: Final = ("tensor(int64)", "tensor(int32)")


class Model:
    """A loaded model; `run` may be called from one thread at a time."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        """Load and check. Raises ModelError naming what is wrong: missing file, hash, unreadable graph, or contract."""
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise MissingExtraError("sync", needed_for="Scoring") from error
        self.entry = entry
        path = folder / entry.file
        if not path.is_file():
            raise ModelError(entry.id, f"missing file: {entry.file}")
        if sha256_of(path) != entry.sha256:
            raise ModelError(entry.id, f"wrong hash: {entry.file} is not the file the manifest speaks of")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises many classes; any of them means this file is no use
            raise ModelError(entry.id, f"cannot be loaded: {_first_line(error)}") from error
        self._check_contract()

    def _check_contract(self) -> None:
        inputs, outputs = self._session.get_inputs(), {o.name: o for o in self._session.get_outputs()}
        if [i.name for i in inputs] != ["features"] or inputs[0].type != "tensor(float)":
            raise ModelError(self.entry.id, "wrong shape: it must have one float input named features")
        shape = inputs[0].shape
        if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != len(self.entry.inputs)):
            raise ModelError(self.entry.id, f"wrong shape: features is {shape}, [N, {len(self.entry.inputs)}] declared")
        for output in self.entry.outputs:
            if output.name not in outputs:
                raise ModelError(self.entry.id, f"wrong shape: no output named {output.name}")
            kinds = {"double": _FLOATS, "boolean": ("tensor(bool)",)}.get(output.kind, _INTEGERS)
            if outputs[output.name].type not in kinds:
                raise ModelError(self.entry.id, f"wrong shape: output {output.name} is {outputs[output.name].type}")

    def run(self, features: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Outputs by name for rows of features (m, inputs): (m,) float64, int64 or bool.

        Raises ModelError on an exception, a wrong shape, a non-finite value that is not optional, or a code without
        a label.
        """
        parts = [self._run(features[k : k + _ROWS_MOST]) for k in range(0, len(features), _ROWS_MOST)]
        if len(parts) == 1:
            return parts[0]
        return {o.name: np.concatenate([part[o.name] for part in parts]) for o in self.entry.outputs}

    def _run(self, features: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        m = len(features)
        padded = -(-m // _ROWS_MULTIPLE) * _ROWS_MULTIPLE
        if padded != m:
            features = np.concatenate([features, np.repeat(features[-1:], padded - m, axis=0)])
        names = [output.name for output in self.entry.outputs]
        try:
            raw = self._session.run(names, {"features": np.ascontiguousarray(features)})
        except Exception as error:
            raise ModelError(self.entry.id, f"exception while scoring: {_first_line(error)}") from error
        return {o.name: self._column(o, r, padded)[:m] for o, r in zip(self.entry.outputs, raw, strict=True)}

    def _column(self, output: Output, raw: Any, rows: int) -> NDArray[Any]:
        array = np.asarray(raw)
        if array.shape not in ((rows,), (rows, 1)):
            raise ModelError(self.entry.id, f"wrong shape: output {output.name} is {array.shape} for {rows} rows")
        column = array.reshape(rows)
        if output.kind == "boolean":
            return column
        if output.kind == "double":
            column = column.astype(np.float64)
            bad = ~np.isfinite(column) & ~(np.isnan(column) & output.optional)
            if bad.any():
                raise ModelError(self.entry.id, f"NaN or infinity in output {output.name}")
            return column
        column = column.astype(np.int64)
        highest = len(output.values) - 1 if output.kind == "enum" else np.iinfo(np.int64).max
        absent = output.spec().absent_code
        lowest = absent if output.optional else 0 if output.kind == "enum" else np.iinfo(np.int64).min
        if ((column < lowest) | (column > highest)).any():
            raise ModelError(self.entry.id, f"output {output.name} has a code outside its range")
        return column


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
