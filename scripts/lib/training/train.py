"""`scripts/train`: simulate, learn, export."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from remhart_adt.scoring.drift import FILE as REFERENCE
from remhart_adt.scoring.drift import make_reference
from training.evaluate import gate, judge_all, measured_transformer
from training.gather import TestSets, cached, learning_data, test_sets
from training.measured import asked_forecasts
from training.publish import publish, read_manifest_rows, write_manifest
from training.recipe import Data
from training.recipes import RECIPES, kinds

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Exit code 0, or 1 when a model does not beat its baseline."""
    parser = argparse.ArgumentParser(prog="train", description="Train the models on simulated feeders.")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--quick", action="store_true", help="a small set, 3 to 5 minutes on two cores; for CI")
    size.add_argument("--full", action="store_true", help="the set the committed models come from")
    size.add_argument(
        "--lstm", action="store_true",
        help="train the LSTMs that the published design names on the full set, compare them with the shipped models, "
        "and store the figures for the cards; needs the extra train-lstm",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for the models and the manifest (default: models)")
    parser.add_argument("--golden", type=Path, help="folder for golden vectors (default: tests/scoring/data, or OUT)")
    parser.add_argument("--only", nargs="*", choices=sorted(RECIPES), help="these models only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="keep the simulated samples in this file, and use them when there")
    options = parser.parse_args()
    np.seterr(all="ignore")
    if options.lstm:
        return _compare_lstm(parser, options)
    started = time.monotonic()
    out: Path = options.out or ROOT / "models"
    out.mkdir(parents=True, exist_ok=True)
    own = out.resolve() == (ROOT / "models").resolve()
    golden = options.golden or (ROOT / "tests" / "scoring" / "data" if own else out)
    names = options.only or list(RECIPES)
    data = cached(options.cache, lambda: learning_data(options.quick, options.workers, kinds(names)))
    # Learning keeps one processor busy: meanwhile the other makes what the quick models are judged on.
    made_aside = (test_sets, True, options.workers, kinds(names), [0])
    unseen = ThreadPoolExecutor(1).submit(*made_aside) if options.quick else None
    rows = read_manifest_rows(out)
    made: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for name in names:
        function, facts = RECIPES[name].learn(data)
        rows[name], *rest = publish(RECIPES[name], function, facts, data, options.quick)
        made[name] = (rest[0], rest[1])
        print(f"{name}: trained, {time.monotonic() - started:.0f} s {facts}", file=sys.stderr, flush=True)
    # All at once, so that nobody meets new files beside an old manifest for longer than this takes.
    golden.mkdir(parents=True, exist_ok=True)
    for name, (blob, vectors) in made.items():
        (out / f"{name}.onnx").write_bytes(blob)
        np.savez_compressed(golden / f"golden_{name}.npz", **vectors)
    write_manifest(out, rows)
    if "points" in data.learn:
        points = data.learn["points"]
        reference = make_reference(points.x[points.y["quarter"] > 0])
        (out / REFERENCE).write_text(json.dumps(reference, separators=(",", ":")) + "\n")
    if unseen is None:
        print("Run scripts/evaluate next: it judges the models and writes their cards.", file=sys.stderr)
        return 0
    judged = judge_all(out, names, unseen.result())
    failures = gate(judged)
    for line in failures:
        print(f"gate: {line}", file=sys.stderr)
    print(f"done in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 1 if failures else 0


def _both(workers: int, wanted: Collection[str]) -> tuple[Data, TestSets]:
    """What the shipped models learned from, and what they are judged on."""
    return learning_data(False, workers, wanted), test_sets(False, workers, wanted, [0])


def _compare_lstm(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        from training.named.compare import compare_families
    except ImportError as error:
        if error.name != "torch":
            raise
        parser.error("--lstm needs torch: install the extra train-lstm, pip install -e '.[train-lstm]'")
    from training.named.section import FIGURES
    from training.named.sequences import QUESTIONS

    unknown = set(options.only or ()) - set(QUESTIONS)
    if unknown:
        parser.error(f"no LSTM is named for {', '.join(sorted(unknown))}, only for {', '.join(sorted(QUESTIONS))}")
    names = options.only or list(QUESTIONS)
    wanted = kinds(names)

    data, sets = cached(options.cache, lambda: _both(options.workers, wanted))
    golden = ROOT / "tests" / "scoring" / "data"
    series = measured_transformer()
    if series is None:
        print("REMHART_TEST_DATA is not set: no figures on the measured transformer", file=sys.stderr)
    asked = asked_forecasts(golden / "taylor_30_min.csv", series) if "load_forecast" in names else []
    store = ROOT / "docs" / "models" / FIGURES
    compare_families(ROOT / "models", names, data, sets, asked, store, golden, options.out)
    print("Run scripts/evaluate --cards next: it writes the figures into the cards.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
