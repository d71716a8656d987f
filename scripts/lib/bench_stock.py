"""Our model files against the stock converters' export of the same models: runs of the models alone, one thread.

Both sides read the same prepared rows (the committed test sets), in plain onnxruntime sessions with the same options,
in short turns, so that whatever else the machine does meets both. What the daemon adds (windows, features, padding
to 8 rows, checks) is on neither side.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["absent", "compare_with_stock", "worst_difference"]

_DATA: Final = Path(__file__).resolve().parents[2] / "tests" / "scoring" / "data"
_BATCH: Final = 256
_SINGLES, _BATCHES, _TURNS, _WARM, _LOADS = 2000, 160, 20, 3, 7
_CLOSE: Final = 1e-4
_OURS, _STOCK, _FILES = "ours", "stock, with numpy around it", "stock, its files alone"
_NOTE: Final = (
    "Models alone on prepared rows, one thread. Stock: the same trees, one file per booster from onnxmltools (ridge: "
    "skl2onnx), and numpy for what our graph does around them. 'Its files alone' runs nothing of the latter, and gives "
    "no model's answer. Rates are of the median batch; sums hold only models that have a stock form."
)
Runs = dict[str, list[float]]


def absent() -> list[str]:
    """Packages of the `stock` extra that are not installed."""
    return [name for name in ("onnx", "xgboost", "skl2onnx", "onnxmltools") if find_spec(name) is None]


def worst_difference(ours: Mapping[str, NDArray[Any]], stock: Mapping[str, NDArray[Any]]) -> float:
    """Over all outputs, relative where a value is beyond 1; infinite when one side has NaN and the other has not."""
    worst = 0.0
    for name, value in ours.items():
        a, b = (np.asarray(v, np.float64).reshape(-1) for v in (value, stock[name]))
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        worst = max(worst, float(np.nanmax(np.abs(a - b) / np.maximum(1.0, np.abs(a)), initial=0.0)))
    return worst


class _Pair:
    """A model in both forms; `stock` is none where no converter has anything to convert."""

    def __init__(self, name: str, path: Path, folder: Path) -> None:
        import onnx

        from stock_models import StockModel, open_session, parts_of

        self.name, self.path = name, path
        session = open_session(path)
        self._ours: Callable[[NDArray[np.float32]], list[Any]] = lambda x: session.run(None, {"features": x})
        model = onnx.load(path)
        self.stock = StockModel(name, model, folder) if parts_of(name, model) else None
        rows = np.load(_DATA / f"mini_{name}.npz")["features"]
        rows = rows[np.random.default_rng(5).integers(0, len(rows), _BATCH * 8)]
        self.batches = [np.ascontiguousarray(part) for part in np.split(rows, 8)]
        self.singles = [np.ascontiguousarray(rows[k : k + 1]) for k in range(_BATCH)]
        self.differs = 0.0
        if self.stock is not None:
            names = [o.name for o in session.get_outputs()]
            golden = np.load(_DATA / f"golden_{name}.npz")["features"]
            for x in (golden, rows):
                mine = dict(zip(names, self._ours(x), strict=True))
                self.differs = max(self.differs, worst_difference(mine, self.stock.run(x)))
            if self.differs > _CLOSE:
                raise ValueError(f"{name}: the stock form is out by {self.differs:.1e}")

    def time(self, rows: list[NDArray[np.float32]], rounds: int) -> list[tuple[str, Callable[[int], Any]]]:
        """What to time, by column, given the number of the round."""
        many = len(rows)
        calls: list[tuple[str, Callable[[int], Any]]] = [(_OURS, lambda k: self._ours(rows[k % many]))]
        if self.stock is not None:
            stock = self.stock
            read = [stock.matrices(x) for x in rows[: min(many, rounds)]]
            calls.append((_STOCK, lambda k: stock.run(rows[k % many])))
            calls.append((_FILES, lambda k: stock.run_parts(read[k % many])))
        return calls

    def loads(self) -> dict[str, float]:
        """Milliseconds until the sessions stand."""
        from stock_models import open_session

        took = {}
        for column, paths in ((_OURS, [self.path]), (_STOCK, self.stock.files if self.stock else [])):
            begun = time.perf_counter()
            opened = [open_session(path) for path in paths]
            took[column] = (time.perf_counter() - begun) * 1e3
            del opened
        return took


def _timed(pairs: list[_Pair], single: bool, rounds: int) -> dict[str, Runs]:
    """Microseconds by model and column. One form at a time, all its models in turn as in service, and the forms relieve
    each other every few rounds; the first rounds of each such turn bring its own files back into the caches."""
    calls = {pair.name: dict(pair.time(pair.singles if single else pair.batches, rounds)) for pair in pairs}
    times: dict[str, Runs] = {name: {column: [] for column in own} for name, own in calls.items()}
    for turn in range(_TURNS):
        columns = (_OURS, _STOCK, _FILES)
        # Nobody always goes first.
        for column in columns if turn % 2 else columns[::-1]:
            for k in range(-_WARM, rounds // _TURNS):
                for name, own in calls.items():
                    if column not in own:
                        continue
                    begun = time.perf_counter()
                    own[column](turn * (rounds // _TURNS) + k)
                    if k >= 0:
                        times[name][column].append((time.perf_counter() - begun) * 1e6)
    return times


def _figures(single: list[float], batch: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(single, [50, 99])
    return {
        "one row, p50 us": round(float(p50), 1),
        "one row, p99 us": round(float(p99), 1),
        f"batches of {_BATCH}, rows/s": round(_BATCH / float(np.median(batch)) * 1e6),
    }


def compare_with_stock(models: Path) -> dict[str, Any]:
    """Figures by model and in sum, or what has to be installed first."""
    if missing := absent():
        return {"not measured": f"{', '.join(missing)} missing; pip install -c constraints.txt '.[stock]' adds them"}
    rows = json.loads((models / "manifest.json").read_text())["models"]
    with tempfile.TemporaryDirectory() as folder:
        pairs = [_Pair(row["id"], models / row["file"], Path(folder)) for row in rows]
        single, batch = _timed(pairs, True, _SINGLES), _timed(pairs, False, _BATCHES)
        loads = [{pair.name: pair.loads() for pair in pairs} for _ in range(_LOADS)]
        both = [pair for pair in pairs if pair.stock is not None]
        report: dict[str, Any] = {pair.name: {} for pair in pairs}
        sums: dict[str, Any] = {}
        for column in (_OURS, _STOCK, _FILES):
            for pair in pairs if column == _OURS else both:
                report[pair.name][column] = _figures(single[pair.name][column], batch[pair.name][column])
            sums[column] = _figures(*(list(np.sum([t[p.name][column] for p in both], axis=0)) for t in (single, batch)))
        for column in (_OURS, _STOCK):
            files = [path for p in both if p.stock for path in (p.stock.files if column == _STOCK else [p.path])]
            load = float(np.median([sum(once[p.name][column] for p in both) for once in loads]))
            sums[column] |= {
                "files": len(files), "MB": round(sum(path.stat().st_size for path in files) / 1e6, 2),
                "load ms": round(load, 1),
            }  # fmt: skip
    mine = [list(np.sum([t[p.name][_OURS] for p in pairs], axis=0)) for t in (single, batch)]
    ratios = {
        f"{name}, {column}": round(sums[column][name] / sums[_OURS][name], 2)
        for column in (_STOCK, _FILES)
        for name in _figures([1.0], [1.0])
    }
    return {
        "what": _NOTE,
        f"sum of the {len(both)} models with a stock form": sums,
        "stock over ours": ratios,
        "no stock converter exists, in neither sum": [pair.name for pair in pairs if pair.stock is None],
        f"ours, all {len(pairs)} models": _figures(*mine),
        "largest difference between the two forms": max(pair.differs for pair in both),
        "models": report,
    }


if __name__ == "__main__":
    print(json.dumps(compare_with_stock(Path(sys.argv[1])), indent=2))
