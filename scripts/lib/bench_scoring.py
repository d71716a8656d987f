"""Scoring against the clock: a single reading, batches, two threads, the start of a process and its memory.

Readings go the daemon's way: windows, features, every due model, and the feeder's models once per batch of a new
minute. Points have a day of minutes behind them. Which models did not answer is told: frequency_stability needs
readings every few seconds, and a single point is no feeder.
Each figure is taken in a process of its own, and beside it how long this machine took for a million additions in plain
Python just before and just after: shared machines change their speed by half from one minute to the next. Beside them,
the models alone against the stock converters' export of the same models (`bench_stock`), when the `stock` extra is
installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.readings import CHANNEL_INDEX, CHANNELS, ReadingBatch

__all__ = ["run_scoring"]

_MINUTE_US: Final = 60_000_000
_SECOND_US: Final = 1_000_000
_START_US: Final = 1_760_000_400_000_000
_POINTS: Final = 256
_WARM_MINUTES: Final = 26 * 60
_C: Final = CHANNEL_INDEX
# Target name -> (figure, limit, whether more is better).
TARGETS: Final = {
    "one reading, p99 ms": 5.0, "batches of 256, one thread, 1/s": 10_000, "batches of 256, two threads, 1/s": 16_000,
    "load s": 0.3, "memory of a process that only scores, MB": 150, "files, MB": 8.0,
}  # fmt: skip


def _infos(points: int, prefix: str = "p") -> list[Any]:
    from remhart_adt.scoring.types import PointInfo

    return [
        PointInfo(
            f"{prefix}{k}", 230.0, 50.0, 400.0 if k % 16 == 0 else 63.0,
            kind="transformer" if k % 16 == 0 else "meter", feeder_id="f",
        )
        for k in range(points)
    ]  # fmt: skip


def _batch(infos: list[Any], at_us: int, rng: np.random.Generator) -> ReadingBatch:
    """One reading of every point."""
    n = len(infos)
    rated = np.array([info.rated_a for info in infos])
    hour = at_us / 3.6e9 % 24
    level = (0.4 + 0.15 * np.sin(2 * np.pi * (hour - 9) / 24)) * (1 + rng.normal(0, 0.05, (n, 3)))
    cells = np.full((n, len(CHANNELS)), np.nan)
    i = rated[:, None] * np.abs(level)
    v = 230.0 * (1.02 - 0.03 * level + rng.normal(0, 5e-4, (n, 3)))
    cells[:, _C["v_a"] : _C["v_c"] + 1] = v
    cells[:, _C["i_a"] : _C["i_c"] + 1] = i
    cells[:, _C["p_a"] : _C["p_c"] + 1] = 0.96 * v * i
    cells[:, _C["q_a"] : _C["q_c"] + 1] = 0.28 * v * i
    cells[:, _C["freq"]] = 50.0 + rng.normal(0, 0.01, n)
    cells[:, _C["ambient_temp"]] = 15.0
    times = np.full(n, at_us, np.int64)
    return ReadingBatch(
        tuple(info.point_id for info in infos), np.arange(n, dtype=np.int32), times, cells, np.zeros(n, np.int8),
        np.arange(n, dtype=np.int64), np.zeros(n, np.int32), times,
    )  # fmt: skip


class _Stage:
    """An engine and warm windows of its own."""

    def __init__(self, points: int, prefix: str, models: Path | None, engine: Any = None) -> None:
        from remhart_adt.scoring import Engine, FeederInfo, UnitInfo, Windows

        self.engine = Engine.load(models) if engine is None else engine
        self.infos = _infos(points, prefix)
        self.windows = Windows(self.infos)
        self.members = [info.point_id for info in self.infos[:24]]
        # All that feeder models ask for is declared: a tap changer, a bank, a priced infeed and a unit.
        head, other = self.members[0], self.members[-1]
        units = (UnitInfo("in", head, 0.0, 2e6, 0.3), UnitInfo("u", other, -1e5, 1e5, 0.2, 1e-3))
        self.feeder = FeederInfo(
            "f", head, 250_000.0, 400.0, 3500.0, short_circuit_v=0.04, tap_min=-2, tap_max=2, tap_step=0.025,
            tap_position=0, bank_step_var=10_000.0, bank_steps=4, steps_on=0, units=units,
        )  # fmt: skip
        self.answered: set[str] = set()
        self.rng = np.random.default_rng(1)
        begin = _START_US - _WARM_MINUTES * _MINUTE_US
        for k in range(_WARM_MINUTES):
            self.windows.push(_batch(self.infos, begin + k * _MINUTE_US, self.rng))

    def batches(self, many: int, step_us: int) -> list[ReadingBatch]:
        return [_batch(self.infos, _START_US + k * step_us, self.rng) for k in range(many)]

    def score(self, batch: ReadingBatch) -> None:
        models = self.engine.process(self.windows, batch).models
        self.answered |= {name for name, answer in models.items() if (answer.status == 0).any()}
        if batch.time_us[0] % _MINUTE_US == 0:
            scores = self.engine.feeder([self.windows], self.feeder, self.members)
            self.answered |= {name for name, score in scores.items() if score.status == 0}


def _one(models: Path | None, rounds: int) -> dict[str, Any]:
    """Milliseconds of a single reading every minute: one in fifteen meets all models."""
    stage = _Stage(1, "p", models)
    times = []
    for batch in stage.batches(rounds + 50, _MINUTE_US):
        begun = time.perf_counter()
        stage.score(batch)
        times.append((time.perf_counter() - begun) * 1e3)
    p50, p99 = np.percentile(times[50:], [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "answered": sorted(stage.answered)}


def _many(models: Path | None, seconds: float, threads: int, step_us: int) -> dict[str, Any]:
    """Readings per second of batches of 256, each thread with an engine and windows of its own."""
    stages = [_Stage(_POINTS, f"t{k}_", models) for k in range(threads)]
    batches = [stage.batches(240, step_us) for stage in stages]
    for stage, own in zip(stages, batches, strict=True):
        for batch in own[:16]:
            stage.score(batch)
    done = [0] * threads
    started = time.perf_counter()

    def work(k: int) -> None:
        for batch in batches[k][16:]:
            stages[k].score(batch)
            done[k] += len(batch)
            if time.perf_counter() - started > seconds:
                return

    workers = [threading.Thread(target=work, args=(k,)) for k in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rate = round(sum(done) / (time.perf_counter() - started))
    return {"per_s": rate, "answered": sorted(set.union(*(stage.answered for stage in stages)))}


def _start(models: Path | None) -> dict[str, Any]:
    """Seconds until all models are loaded, the import of numpy and onnxruntime apart, and memory after scoring."""
    import onnxruntime  # noqa: F401 - so that the figure is of the models

    from remhart_adt.scoring.engine import Engine

    begun = time.perf_counter()
    engine = Engine.load(models)
    load = time.perf_counter() - begun
    installed = sum(slot.state.value == "installed" for slot in engine.slots.values())
    stage = _Stage(_POINTS, "p", models, engine)
    for batch in stage.batches(40, _MINUTE_US):
        stage.score(batch)
    status = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+)", Path("/proc/self/status").read_text()))
    rss, peak = (round(int(status[name]) / 1024) for name in ("VmRSS", "VmHWM"))
    return {"load_s": round(load, 3), "installed": installed, "rss_mb": rss, "peak_mb": peak}


_VERBS: Final[dict[str, Callable[[Path | None, float], dict[str, Any]]]] = {
    "one": lambda models, _: _one(models, 1500),
    "minutes": lambda models, seconds: _many(models, seconds, 1, _MINUTE_US),
    "seconds": lambda models, seconds: _many(models, seconds, 1, _SECOND_US),
    "two": lambda models, seconds: _many(models, seconds, 2, _MINUTE_US),
    "start": lambda models, _: _start(models),
}


def _additions_ms() -> float:
    """Milliseconds of a million additions in plain Python, the median of five."""
    times = []
    for _ in range(5):
        begun, total = time.perf_counter(), 0
        for k in range(1_000_000):
            total += k
        times.append((time.perf_counter() - begun) * 1e3)
    return sorted(times)[2]


def run_scoring(models: Path, seconds: float) -> tuple[dict[str, Any], bool]:
    """All figures, and whether each reaches its target."""
    found: dict[str, dict[str, Any]] = {}
    for verb in _VERBS:
        command = [sys.executable, __file__, verb, str(models), str(seconds)]
        found[verb] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    beside = [sys.executable, str(Path(__file__).with_name("bench_stock.py")), str(models)]
    stock = json.loads(subprocess.run(beside, check=True, capture_output=True, text=True).stdout)
    size = sum(path.stat().st_size for path in models.glob("*.onnx")) / 1e6
    # Name -> (figure, the process it was timed in).
    figures: dict[str, tuple[float, str | None]] = {
        "one reading, p99 ms": (found["one"]["p99_ms"], "one"),
        "batches of 256, one thread, 1/s": (found["minutes"]["per_s"], "minutes"),
        "batches of 256, two threads, 1/s": (found["two"]["per_s"], "two"),
        "load s": (found["start"]["load_s"], "start"),
        "memory of a process that only scores, MB": (found["start"]["rss_mb"], None),
        "files, MB": (round(size, 2), None),
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, (value, verb) in figures.items():
        target = TARGETS[name]
        met = value >= target if name.endswith("1/s") else value <= target
        rows[name] = {"value": value, "target": target, "met": met}
        if verb:
            rows[name]["a million additions, ms"] = found[verb]["additions_ms"]
    more = {
        "peak memory of that process, MB": found["start"]["peak_mb"],
        "models installed": found["start"]["installed"],
        "one reading, p50 ms": found["one"]["p50_ms"],
        "models that did not answer": {
            what: sorted(set(MODEL_BY_ID) - set(found[verb]["answered"]))
            for verb, what in (("one", "one reading"), ("minutes", "batches"), ("seconds", "batches one second apart"))
        },
        "batches of 256 one second apart, one thread, 1/s": found["seconds"]["per_s"],
    }
    return {"figures": rows, "beside": more, "stock export": stock}, all(row["met"] for row in rows.values())


if __name__ == "__main__":
    before = _additions_ms()
    taken = _VERBS[sys.argv[1]](Path(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps(taken | {"additions_ms": [round(before, 1), round(_additions_ms(), 1)]}))
