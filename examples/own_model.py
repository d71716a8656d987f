"""A model of one's own: the packaged models, with the load forecast replaced by "as much as at this time yesterday".

    python examples/own_model.py [folder]

Makes a folder with the packaged models, puts an ONNX file of its own and its manifest entry there, and scores a day of
readings with it. No code of this package is touched: point `models_dir` of the daemon, or `--models` of
`remhart-adt scoring`, at the folder. A daemon that runs on the folder already takes the change up within seconds.

Runs offline; needs the extra `train` (for the package onnx).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch
from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, PointInfo, Windows

# Any feature of docs/features.md may be an input; these two are total P over the rating at the hour that comes, one
# day ago, and the rating in VA.
INPUTS = ["p_lag93", "base_power"]


def make_model(path: Path) -> None:
    """One float input `features` [N, inputs], one output [N, 1] for every output of the entry."""
    nodes = [
        helper.make_node("Gather", ["features", "first"], ["share"], axis=1),
        helper.make_node("Gather", ["features", "second"], ["rating"], axis=1),
        helper.make_node("Mul", ["share", "rating"], ["forecastedLoad"]),
    ]
    constants = [numpy_helper.from_array(np.array([k], np.int64), name) for k, name in enumerate(("first", "second"))]
    graph = helper.make_graph(
        nodes,
        "as yesterday",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(INPUTS)])],
        [helper.make_tensor_value_info("forecastedLoad", TensorProto.FLOAT, ["N", 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def entry(path: Path) -> dict[str, object]:
    """What the manifest says about it: where it reads, when it must not speak, and where its answer goes."""
    return {
        "id": "load_forecast",
        "module": "energyPredictions",
        "version": "0.1.0-own",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "algorithm": "the same hour yesterday",
        "scope": "point",
        "rate": "quarter_hour",
        "inputs": INPUTS,
        "outputs": [
            {
                "name": "forecastedLoad", "kind": "double", "unit": "W", "description": "P in one hour",
                "path": "/energyPredictions/loadForecast/forecastedLoad",
            }
        ],
        "needs": {"channels": ["p_a", "p_b", "p_c"], "rating": True, "quarters_of_day": 96},
        "limits": ["Knows no weekend."],
    }  # fmt: skip


def main(folder: Path) -> None:
    """Make the folder, check it as the daemon would, and ask the model."""
    shutil.copytree(models_dir(), folder, dirs_exist_ok=True)
    file = folder / "as_yesterday.onnx"
    make_model(file)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["models"] = [row for row in manifest["models"] if row["id"] != "load_forecast"] + [entry(file)]
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))

    engine = Engine.load(folder)
    slot = engine.slots["load_forecast"]
    print(f"{slot.model_id}: {slot.state.value}, version {slot.version}")

    # A day and an hour of one-minute readings: 10 kW by day, 4 kW by night.
    times = 1_760_000_400_000_000 + 60_000_000 * np.arange(25 * 60, dtype=np.int64)
    watts = np.where((times / 3.6e9 % 24 > 6) & (times / 3.6e9 % 24 < 22), 10_000.0, 4_000.0)
    cells = np.full((len(times), len(CHANNELS)), np.nan)
    for x in "abc":
        cells[:, CHANNEL_INDEX[f"p_{x}"]] = watts / 3
    zeros = np.zeros(len(times), np.int32)
    batch = ReadingBatch(("shop",), zeros, times, cells, zeros.astype(np.int8), np.arange(len(times)), zeros, times)
    windows = Windows([PointInfo("shop", 230.0, 50.0, 63.0)])
    answer = engine.process(windows, batch).models["load_forecast"]
    print("last answer:", answer.document(len(answer.rows) - 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="own-models-")))
