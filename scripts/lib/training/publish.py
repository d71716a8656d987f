"""Models, manifest, golden vectors: what training leaves behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from remhart_adt.ids import MODEL_BY_ID, MODELS
from training.expr import ModelFunction, evaluate, export
from training.plans import LEARN_FEEDERS, SEED, TEST_FEEDER
from training.recipe import Data, Recipe, inputs_of
from training.samples import Samples, join

__all__ = ["GOLDEN_ROWS", "publish", "read_manifest_rows", "rows_of", "write_manifest"]

GOLDEN_ROWS = 64
_VERSION = "1.0.0"


def rows_of(recipe: Recipe, kinds: Mapping[str, Samples]) -> tuple[Samples, NDArray[np.float32]]:
    """The rows that the model is asked about, and its own inputs."""
    samples = join([kinds[kind] for kind in recipe.sources])
    chosen = samples.take(recipe.choose(samples))
    return chosen, inputs_of(recipe, chosen)


def publish(
    recipe: Recipe, function: ModelFunction, facts: dict[str, Any], data: Data, quick: bool
) -> tuple[dict[str, Any], bytes, dict[str, NDArray[Any]]]:
    """The manifest entry (metrics still empty), the model file, and golden vectors of the trainer's own arithmetic."""
    _, x = rows_of(recipe, data.calibrate)
    rng = np.random.default_rng(11)
    x = x[rng.choice(len(x), min(GOLDEN_ROWS, len(x)), replace=False)]
    model = export(function, recipe.inputs, f"{recipe.id} {_VERSION}")
    blob = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(onnx.load_from_string(blob), full_check=True)
    vectors = {"features": x, **evaluate(function, recipe.inputs, x)}
    name = MODEL_BY_ID[recipe.id]
    entry = {
        "id": recipe.id,
        "module": name.module,
        "version": _VERSION,
        "file": f"{recipe.id}.onnx",
        "sha256": hashlib.sha256(blob).hexdigest(),
        "algorithm": recipe.algorithm,
        "scope": recipe.scope,
        "rate": recipe.rate,
        "inputs": list(recipe.inputs),
        "outputs": [
            {**o, "path": f"/{name.module}/{name.published}/{'setpoints' if 'unit_number' in o else o['name']}"}
            for o in recipe.outputs
        ],
        "needs": recipe.needs,
        "training": {
            "data": "OpenDSS simulation of this project's feeders",
            "feeders": list(LEARN_FEEDERS),
            "test_only_feeder": TEST_FEEDER,
            "seed": SEED,
            "set": "quick" if quick else "full",
            **{k: round(v, 6) if isinstance(v, float) else v for k, v in facts.items()},
        },
        "metrics": {},
        "limits": list(recipe.limits),
    }
    return entry, blob, vectors


def read_manifest_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a manifest as they stand, by id; none when there is no manifest."""
    path = folder / "manifest.json"
    return {row["id"]: row for row in json.loads(path.read_text())["models"]} if path.exists() else {}


def write_manifest(folder: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Entries in the order of the slots."""
    ordered = [rows[m.id] for m in MODELS if m.id in rows]
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "models": ordered}, indent=1) + "\n")
