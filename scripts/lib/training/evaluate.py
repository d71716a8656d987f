"""`scripts/evaluate`: judge the models that stand in models/, store the figures, write cards and mini test sets."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model
from training.cards import write_cards, write_feature_table, write_readme_table
from training.gather import TestSets, cached, later_sets, test_sets
from training.measured import measured
from training.plans import LATER_FEEDERS
from training.plots import curve
from training.publish import read_manifest_rows, rows_of, write_manifest
from training.recipe import Recipe
from training.recipes import RECIPES, kinds

__all__ = ["gate", "judge_all", "main", "measured_transformer", "prepare"]

ROOT = Path(__file__).resolve().parents[3]
_MINI_ROWS = 1500


def judge_all(folder: Path, names: Collection[str], sets: TestSets) -> dict[str, dict[str, Any]]:
    """Figures of these models of the folder on every test set."""
    out: dict[str, dict[str, Any]] = {}
    entries = read_manifest(folder).entries
    for name in names:
        entry, recipe = entries[name], RECIPES[name]
        prepare(recipe, entry.training)
        model = Model(entry, folder)
        metrics: list[dict[str, Any]] = []
        facts: dict[str, Any] = {}
        curves: dict[str, Any] = {}
        for on, rows in sets.items():
            samples, x = rows_of(recipe, rows)
            judged = recipe.judge(samples, x, model.run, on)
            truth, rule = recipe.mini(samples)
            curves[on] = curve(truth, model.run(x)[recipe.headline], rule)
            metrics += [asdict(metric) for metric in judged.metrics]
            facts |= judged.facts
        if name == "voltage_anomaly" and (quiet := [one for rows in sets.values() for one in rows["quiet"]]):
            facts["false alarms per point and day, ten readings in a row, fault-free test worlds"] = _alarms(
                model, recipe, quiet
            )
        out[name] = {"sha256": entry.sha256, "metrics": metrics, "facts": facts, "curves": curves}
        print(f"{name}: judged", file=sys.stderr, flush=True)
    return out


def prepare(recipe: Recipe, training: dict[str, Any]) -> None:
    """Baselines that were fitted on the training worlds are read back, not fitted again."""
    if hasattr(recipe, "rule"):
        recipe.rule = float(training["baseline_line_share_per_load"])
    if hasattr(recipe, "constant"):
        recipe.constant = float(training["baseline_constant"])
    if hasattr(recipe, "ar"):
        recipe.ar = tuple(training["baseline_ar"])
    if hasattr(recipe, "line"):
        recipe.line = (float(training["baseline_offset"]), float(training["baseline_slope"]))
    if hasattr(recipe, "rules"):
        recipe.rules = tuple(tuple(rule) for rule in training["baseline_rules"])
    if hasattr(recipe, "baselines"):
        recipe.baselines = {k: float(v) for k, v in training.items() if k.startswith("baseline_")}


def _alarms(model: Model, recipe: Recipe, quiet: list[Any]) -> dict[str, Any]:
    runs, days = 0, 0.0
    for stream in quiet:
        found = model.run(stream.columns(recipe.inputs))["anomalyDetected"].astype(np.float32)
        runs += sum(run > 0.5 for run in stream.runs(found, 10))
        days += stream.point_days
    return {"rate": round(runs / days, 4), "alarms": runs, "point_days": round(days)}


def gate(judged: dict[str, dict[str, Any]]) -> list[str]:
    """Every first metric of a model must beat its baseline on both test sets."""
    failures = []
    for name, result in judged.items():
        first = result["metrics"][0]["name"]
        for metric in result["metrics"]:
            if metric["name"] == first and not metric["gain"] > 0:
                failures.append(
                    f"{name}: {first} on {metric['on']} is {metric['value']}, baseline {metric['baseline']}"
                )
    return failures


def measured_transformer() -> Path | None:
    """The measured transformer's series, where the reference data is there."""
    data = os.environ.get("REMHART_TEST_DATA")
    series = Path(data) / "measured" / "transformer_monitor_head.csv" if data else None
    return series if series is not None and series.exists() else None


def _add_measured(judged: dict[str, dict[str, Any]], old: dict[str, dict[str, Any]]) -> None:
    """Figures on measured series; those on the one that is not part of this project stay as they are without it."""
    series = measured_transformer()
    if series is None:
        print("REMHART_TEST_DATA is not set: figures on the measured transformer stay as they are", file=sys.stderr)
        for name, result in judged.items():
            if "measured" in old.get(name, {}):
                result["measured"] = old[name]["measured"]
        return
    found = measured(judged, ROOT / "tests" / "scoring" / "data" / "taylor_30_min.csv", series)
    for name, figures in found.items():
        judged[name]["measured"] = figures


def _again(options: argparse.Namespace, names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Metrics on worlds that nobody looked at while the recipes were made: later feeders, or other lives."""
    if options.feeders:
        sets = cached(options.cache, lambda: later_sets(options.workers, kinds(names), options.feeders))
    else:
        sets = cached(options.cache, lambda: test_sets(False, options.workers, kinds(names), options.fresh))
    return {name: result["metrics"] for name, result in judge_all(options.models, names, sets).items()}


def _mini(folder: Path, names: Collection[str], sets: TestSets, target: Path) -> None:
    """A few rows of the unseen feeder per model, with truth and baseline figures, for the gate in the tests."""
    entries = read_manifest(folder).entries
    for name in names:
        entry, recipe = entries[name], RECIPES[name]
        prepare(recipe, entry.training)
        samples, x = rows_of(recipe, sets["unseen feeder"])
        rng = np.random.default_rng(5)
        rows = np.sort(rng.choice(len(x), min(_MINI_ROWS, len(x)), replace=False))
        truth, rule = recipe.mini(samples.take(rows))
        np.savez_compressed(
            target / f"mini_{name}.npz", features=x[rows], truth=truth, baseline=rule, output=recipe.headline
        )


def main() -> int:
    """Exit code 0, or 1 when a model does not beat its baseline."""
    parser = argparse.ArgumentParser(prog="evaluate", description="Judge the models on worlds they never saw.")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument(
        "--only", nargs="*", choices=sorted(RECIPES), help="these models only; the others' figures stay"
    )
    parser.add_argument("--workers", type=int, default=2)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--cards", action="store_true", help="only write the cards again from the stored figures")
    instead.add_argument(
        "--fresh", type=int, nargs="+", default=[], metavar="K",
        help="only judge on other lives of the test worlds, pooled, and --cards",
    )  # fmt: skip
    instead.add_argument(
        "--feeders", nargs="+", choices=LATER_FEEDERS, default=[],
        help="only judge on these feeders, which were drawn after the models were finished, and --cards",
    )  # fmt: skip
    instead.add_argument("--measured", action="store_true", help="only judge on the measured series again, and --cards")
    parser.add_argument("--cache", type=Path, help="keep the simulated samples in this file, and use them when there")
    options = parser.parse_args()
    np.seterr(all="ignore")
    store = ROOT / "docs" / "models" / "evaluation.json"
    store.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh or options.feeders:
        names = options.only or list(json.loads(store.read_text())["models"])
        found = _again(options, names)
        figures = json.loads(store.read_text())
        for name, metrics in found.items():
            result = figures["models"][name]
            part, on, which = (
                ("later", "feeders", options.feeders) if options.feeders else ("fresh", "lives", options.fresh)
            )
            others = [one for one in result.get(part, ()) if one[on] != which]
            result[part] = [*others, {on: which, "metrics": metrics}]
        store.write_text(json.dumps(figures, indent=1) + "\n")
    elif options.measured:
        figures = json.loads(store.read_text())
        _add_measured(figures["models"], figures["models"])
        store.write_text(json.dumps(figures, indent=1) + "\n")
    elif not options.cards:
        present = list(read_manifest_rows(options.models))
        names = options.only or present
        sets = cached(options.cache, lambda: test_sets(False, options.workers, kinds(names), [0]))
        judged = judge_all(options.models, names, sets)
        old = json.loads(store.read_text()) if store.exists() else {"models": {}, "speed": {}}
        _add_measured(judged, old["models"])
        for name, result in judged.items():
            before = old["models"].get(name, {})
            if before.get("sha256") == result["sha256"]:
                result |= {part: before[part] for part in ("fresh", "later") if part in before}
        known = old if options.only else {"models": {}, "speed": {}}
        figures = {
            part: {name: new.get(name, known[part].get(name)) for name in present if name in new or name in known[part]}
            for part, new in (("models", judged), ("speed", _speed(options.models, names)))
        }
        store.write_text(json.dumps(figures, indent=1) + "\n")
        rows = read_manifest_rows(options.models)
        for name, result in judged.items():
            rows[name]["metrics"] = {"figures": result["metrics"], "facts": result["facts"]}
        write_manifest(options.models, rows)
        _mini(options.models, names, sets, ROOT / "tests" / "scoring" / "data")
    stored = json.loads(store.read_text())
    write_cards(read_manifest_rows(options.models), stored, RECIPES, ROOT / "docs" / "models")
    write_feature_table(ROOT / "docs" / "features.md")
    write_readme_table(ROOT / "README.md", read_manifest_rows(options.models), stored, RECIPES)
    failures = gate(stored["models"])
    for line in failures:
        print(f"gate: {line}", file=sys.stderr)
    return 1 if failures else 0


def _speed(folder: Path, names: Collection[str]) -> dict[str, Any]:
    """Microseconds per row at batch 256, one thread, model alone; a figure of this machine and moment."""
    import time

    out: dict[str, Any] = {}
    entries = read_manifest(folder).entries
    for name in names:
        entry = entries[name]
        model = Model(entry, folder)
        x = np.load(ROOT / "tests" / "scoring" / "data" / f"golden_{name}.npz")["features"]
        x = np.tile(x, (256 // len(x) + 1, 1))[:256]
        best = float("inf")
        for _ in range(30):
            started = time.perf_counter()
            model.run(x)
            best = min(best, time.perf_counter() - started)
        out[name] = {
            "us_per_row": round(best / 256 * 1e6, 2),
            "kilobytes": round((folder / entry.file).stat().st_size / 1e3),
        }
    return out


if __name__ == "__main__":
    raise SystemExit(main())
