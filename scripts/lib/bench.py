"""Benchmarks: `e2e` (the whole path under load), `local-adt` (the ADT server), `scoring` (the models), `dtdl` (the
parser), `help` (the CLI).

Prints JSON, `local-adt` a table; ratios only from one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_dtdl import run_dtdl
from bench_e2e import Load, run_e2e
from bench_local_adt import Sizes, run_local_adt
from bench_scoring import run_scoring


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def bench_help(runs: int) -> dict[str, Any]:
    """Seconds from the start of `remhart-adt --help` to its end, beside a bare interpreter in the same run."""
    python = sys.executable
    commands = {
        "remhart-adt --help": [str(Path(python).with_name("remhart-adt")), "--help"],
        "python -c pass": [python, "-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for k in range(runs + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if k:  # the first one warms the cache
                times[name].append(time.perf_counter() - begun)
    medians = {name: round(statistics.median(rows), 4) for name, rows in times.items()}
    return {
        "median_s": medians,
        "ratio": round(medians["remhart-adt --help"] / medians["python -c pass"], 2),
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("e2e", help="producer, hub, daemon and ADT server on this machine")
    one.add_argument("--points", type=int, default=200)
    one.add_argument("--hertz", type=float, default=10.0, help="readings per second and point")
    one.add_argument("--per-event", type=int, default=10, help="readings in one event")
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--warm-up", type=float, default=10.0, help="seconds sent before the measured ones")
    one.add_argument("--history", type=float, default=26.0, help="hours of 1-minute history sent first, 0 for none")
    one.add_argument("--folder", type=Path, default=Path(".remhart/bench"))
    other = verbs.add_parser("help", help="start of the CLI")
    other.add_argument("--runs", type=int, default=20)
    data = os.environ.get("REMHART_TEST_DATA")
    third = verbs.add_parser("dtdl", help="the DTDL parser beside the official one, under growth, its memory")
    third.add_argument("--data", type=Path, default=data, required=data is None, help="default: $REMHART_TEST_DATA")
    third.add_argument("--repetitions", type=int, default=7)
    fourth = verbs.add_parser("local-adt", help="the ADT server against its targets; exit code 1 when one is missed")
    fourth.add_argument("--folder", type=Path, default=Path(".remhart"), help="on a real disk")
    fourth.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    for name, default in asdict(Sizes()).items():
        fourth.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    fifth = verbs.add_parser("scoring", help="windows, features and models; exit code 1 when a target is missed")
    fifth.add_argument("--models", type=Path, default=Path(__file__).resolve().parents[2] / "models")
    fifth.add_argument("--seconds", type=float, default=10.0, help="at most so long for each rate")
    asked = parser.parse_args()
    if asked.verb == "local-adt":
        sizes = Sizes(**{name: getattr(asked, name) for name in asdict(Sizes())})
        report, passed = run_local_adt(asked.folder, sizes, machine())
        if asked.json:
            asked.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        sys.exit(0 if passed else 1)
    if asked.verb == "scoring":
        scored, passed = run_scoring(asked.models, asked.seconds)
        print(json.dumps({"bench": asked.verb, "machine": machine(), **scored}, indent=2))
        sys.exit(0 if passed else 1)
    if asked.verb == "e2e":
        load = Load(asked.points, asked.hertz, asked.per_event, asked.seconds, asked.warm_up, asked.history)
        result = asyncio.run(run_e2e(load, asked.folder))
    elif asked.verb == "dtdl":
        result = run_dtdl(asked.data, asked.repetitions)
    else:
        result = bench_help(asked.runs)
    print(json.dumps({"bench": asked.verb, "machine": machine(), **result}, indent=2))


if __name__ == "__main__":
    main()
