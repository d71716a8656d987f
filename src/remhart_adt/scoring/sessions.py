"""One ONNX session per model. Whatever is wrong with one file stays with that model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import MissingExtraError, ModelError
from remhart_adt.scoring.manifest import Entry, Output, sha256_of

__all__ = ["Model"]

# Kernels take another path for one row than for many (a matrix), and for the last elements than for whole vectors (a
# logarithm); a row must not depend on its neighbours, so that batches are padded to a multiple of this, which is the
# vector of four floats that the runtime is built for. Beyond the upper bound a batch only costs memory.
_ROWS_MULTIPLE: Final = 4
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
        self._names = [output.name for output in entry.outputs]
        self._doubles = [output.name for output in entry.outputs if output.kind == "double"]
        self._optional = {output.name for output in entry.outputs if output.optional}
        whole = [output for output in entry.outputs if output.kind in ("integer", "enum")]
        self._codes = [output.name for output in whole]
        self._low, self._high = (np.array([_bounds(o)[k] for o in whole], np.int64)[:, None] for k in (0, 1))

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
        m, width = features.shape
        padded = -(-m // _ROWS_MULTIPLE) * _ROWS_MULTIPLE
        if padded != m:
            rows = np.empty((padded, width), np.float32)
            rows[:m] = features
            rows[m:] = features[-1]
        else:
            rows = np.ascontiguousarray(features)
        try:
            raw = self._session.run(self._names, {"features": rows})
        except Exception as error:
            raise ModelError(self.entry.id, f"exception while scoring: {_first_line(error)}") from error
        for output, array in zip(self.entry.outputs, raw, strict=True):
            if array.shape != (padded, 1) and array.shape != (padded,):
                raise ModelError(self.entry.id, f"wrong shape: output {output.name} is {array.shape} for {padded} rows")
        found = dict(zip(self._names, (array.reshape(padded)[:m] for array in raw), strict=True))
        # All outputs of a kind at once: a single reading's time goes into calls.
        if self._doubles:
            self._check_doubles(found)
        if self._codes:
            self._check_codes(found)
        return found

    def _check_doubles(self, found: dict[str, NDArray[Any]]) -> None:
        rows = np.array([found[name] for name in self._doubles], np.float64)
        good = np.isfinite(rows)
        if not good.all():
            for k, name in enumerate(self._doubles):
                if not (good[k] | (np.isnan(rows[k]) & (name in self._optional))).all():
                    raise ModelError(self.entry.id, f"NaN or infinity in output {name}")
        found.update(zip(self._doubles, rows, strict=True))

    def _check_codes(self, found: dict[str, NDArray[Any]]) -> None:
        rows = np.array([found[name] for name in self._codes], np.int64)
        wrong = (rows < self._low) | (rows > self._high)
        if wrong.any():
            name = self._codes[int(wrong.any(1).argmax())]
            raise ModelError(self.entry.id, f"output {name} has a code outside its range")
        found.update(zip(self._codes, rows, strict=True))


def _bounds(output: Output) -> tuple[int, int]:
    """The least and the greatest number that an integer or enum output may have."""
    whole = np.iinfo(np.int64)
    low = output.spec().absent_code if output.optional else 0 if output.kind == "enum" else int(whole.min)
    return low, len(output.values) - 1 if output.kind == "enum" else int(whole.max)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
