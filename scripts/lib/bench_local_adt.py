"""The local ADT server against its targets, beside a bare Starlette + SQLite server in the same run.

Load comes from a Node program over 32 connections, in turns to all that are compared; medians over the rounds. Files
lie in a temporary folder below --folder, on a real disk, or the durable figures say nothing.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from adt_process import AdtProcess
from bare_adt import fill
from bench_adt_data import (
    SENSOR,
    Request,
    links,
    models,
    ndjson,
    point_patch,
    points,
    sensor,
    sensor_patch,
    sensors,
    twin_path,
)
from bench_adt_load import Target, Work, load_by_requests, measure, pages, query_times
from remhart_adt.ids import DTMI_POINT

__all__ = ["Sizes", "run_local_adt"]

_BARE: Final = str(Path(__file__).resolve().parent / "bare_adt.py")
_IMPORT_SECONDS: Final = 900.0


@dataclass(frozen=True)
class Sizes:
    """Twins and relationships of the middle, the large and the small graph; points; rounds and their seconds."""

    twins: int = 10_000
    relationships: int = 30_000
    large_twins: int = 100_000
    large_relationships: int = 250_000
    small_twins: int = 1_000
    points: int = 5_000
    queries: int = 400
    rounds: int = 3
    seconds: float = 2.0


@dataclass
class Figure:
    """One figure: `limit` is what it must be at most, or with `least` at least; `bare` the other server's."""

    name: str
    value: float | None
    unit: str
    limit: float | None = None
    least: bool = False
    bare: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """None without a target."""
        if self.limit is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.limit if self.least else self.value <= self.limit


class _Bench:
    def __init__(self, sizes: Sizes, folder: Path, stack: ExitStack) -> None:
        self.sizes = sizes
        self.folder = folder
        self._stack = stack
        self.figures: list[Figure] = []

    # --- servers

    def ours(self, label: str) -> Target:
        """Our server on a file of its own, in a folder that its import jobs may read."""
        folder = self.folder / label
        folder.mkdir(exist_ok=True)
        options = ("--data", str(folder / "adt.sqlite"), "--blobs", str(folder))
        return self._target(label, AdtProcess(*options))

    def bare(self, label: str, twins: list[Any], relations: list[Any]) -> Target:
        """The bare server with this content."""
        file = self.folder / f"{label}.sqlite"
        fill(file, twins, relations)
        return self._target(label, AdtProcess(str(file), program=(_BARE,)))

    def _target(self, label: str, server: AdtProcess) -> Target:
        target = Target(label, server, self.folder)
        self._stack.callback(target.stop)
        return target

    def load(self, target: Target, twins: list[Any], relations: list[Any]) -> tuple[float, str]:
        """Fill a server by an import job; (seconds, "") or, by single requests, (seconds, why)."""
        folder = self.folder / target.label
        ndjson(folder / "in.ndjson", twins, relations)
        call = target.server.caller(timeout=_IMPORT_SECONDS)
        body = {f"{way}BlobUri": (folder / f"{way[:3]}.ndjson").as_uri() for way in ("input", "output")}
        body["inputBlobUri"] = (folder / "in.ndjson").as_uri()
        begun = time.perf_counter()
        status, _, job = call("PUT", "/jobs/imports/bench", body)
        while status in (200, 201) and job["status"] in ("notstarted", "running"):
            time.sleep(0.2)
            status, _, job = call("GET", "/jobs/imports/bench")
        seconds = time.perf_counter() - begun
        if status == 200 and job["status"] == "succeeded":
            call.close()
            return seconds, ""
        status_models, _, refused = call("POST", "/models", models())
        call.close()
        if status_models != 201:
            sys.exit(f"the models were answered {status_models}: {refused}")
        return load_by_requests(target, twins, relations), f"no import: {status} {job}"[:300]

    # --- phases

    def starts(self, file: Path, name: str, limit: float) -> None:
        """Median time from the start of the process to the first answer."""
        times = []
        for _ in range(5):
            server = AdtProcess("--data", str(file))
            times.append(server.start_seconds)
            server.stop()
        self.figures.append(Figure(name, round(statistics.median(times), 3), "s", limit))

    def throughput(self) -> None:
        """Requests a second on the middle graph, ours and bare."""
        size = self.sizes
        twins, relations = sensors(size.twins), links(size.relationships, size.twins)
        ours = self.ours("middle")
        _, why = self.load(ours, twins, relations)
        targets = {"ours": ours, "bare": self.bare("bare", twins, relations)}
        works = _works([name for name, _ in twins], relations, random.Random(1))
        measure(works, targets, size.rounds, size.seconds)
        goals = {"PATCH": 2000.0, "GET": 5000.0}
        for work in works:
            self._rate(f"{work.name} (1 KB)", work, goals.get(work.name))
        self.queries(ours, targets["bare"], why)

    def point_throughput(self) -> None:
        """The same for the documents that the daemon writes."""
        size = self.sizes
        twins = points(size.points)
        ours = self.ours("points")
        self.load(ours, twins, [])
        names = [name for name, _ in twins]
        targets = {"ours": ours, "bare": self.bare("bare-points", twins, [])}
        rng = random.Random(2)
        chosen = [rng.choice(names) for _ in range(20_000)]
        patches = [("PATCH", twin_path(name), json.dumps(point_patch(name, rng))) for name in chosen]
        works = [
            Work("GET", rng, lambda _label, _round: [("GET", twin_path(name), None) for name in chosen]),
            Work("PATCH", rng, lambda _label, _round: patches),
        ]
        measure(works, targets, size.rounds, size.seconds)
        for work in works:
            self._rate(f"{work.name} (measurement point, 6 KB)", work, None)
        asked = [
            f"SELECT T.$dtId FROM DIGITALTWINS T WHERE T.activeAlarmCount = {k % 50} AND IS_OF_MODEL('{DTMI_POINT}')"
            for k in range(self.sizes.queries)
        ]
        self._query("indexed WHERE on points, 2 % of the rows", ours, asked, 20.0, rows=size.points // 50)

    def _rate(self, name: str, work: Work, goal: float | None) -> None:
        value, bare = work.rate("ours"), work.rate("bare")
        self.figures.append(Figure(name, _round(value), "1/s", goal, True, _round(bare), work.delays("ours")))

    def queries(self, ours: Target, bare: Target, why: str) -> None:
        """Queries one after the other on the middle graph."""
        rng, many, twins = random.Random(3), self.sizes.queries, self.sizes.twins
        drawn = [rng.randrange(twins) for _ in range(many)]
        equal = [f"SELECT * FROM DIGITALTWINS T WHERE T.name = 'sensor {k}'" for k in drawn]
        ranges = [
            f"SELECT * FROM DIGITALTWINS T WHERE T.temperature >= {k * 0.5} AND T.temperature < {k * 0.5 + 25}"
            for k in drawn
        ]
        head = "SELECT {} FROM DIGITALTWINS"
        joins = [
            f"{head.format('T.$dtId, B.$dtId, C.$dtId, S.load')} T JOIN B RELATED T.feeds R JOIN C RELATED B.feeds S "
            f"WHERE T.$dtId = 'tw-{k}'"
            for k in drawn
        ]
        hops = [f"{head.format('B')} MATCH (T)-[:feeds*..3]->(B) WHERE T.$dtId = 'tw-{k}'" for k in drawn]
        chain = [
            f"{head.format('B')} MATCH (T)-[:feeds]->(X)-[:feeds]->(Y)-[:feeds]->(B) WHERE T.$dtId = 'tw-{k}'"
            for k in drawn
        ]
        count = ["SELECT COUNT() FROM DIGITALTWINS T WHERE T.kind = 'meter'"] * (many // 4)
        doc = "SELECT doc FROM twins WHERE json_extract(doc, "
        self._query(
            "indexed WHERE, equality",
            ours,
            equal,
            20.0,
            (bare, [(f"{doc}'$.name') = ?", [f"sensor {k}"]) for k in drawn]),
            rows=1,
        )
        between = f"{doc}'$.temperature') >= ? AND json_extract(doc, '$.temperature') < ?"
        self._query(
            "indexed WHERE, range of 50 rows",
            ours,
            ranges,
            20.0,
            (bare, [(between, [k * 0.5, k * 0.5 + 25]) for k in drawn]),
            rows=min(50, twins - drawn[0]),
        )
        two = (
            "SELECT json_array(r.source, r.target, s.target, json_extract(s.doc, '$.load')) FROM relationships r "
            "JOIN relationships s ON s.source = r.target WHERE r.source = ?"
        )
        reached = _reached(links(self.sizes.relationships, twins), f"tw-{drawn[0]}", 3)
        self._query("two JOINs", ours, joins, 60.0, (bare, [(two, [f"tw-{k}"]) for k in drawn]), rows=len(reached[1]))
        three = (
            "WITH RECURSIVE hop(id, depth) AS (SELECT ?, 0 UNION SELECT r.target, depth + 1 FROM hop "
            "JOIN relationships r ON r.source = hop.id WHERE depth < 3) "
            "SELECT t.doc FROM twins t WHERE t.id IN (SELECT id FROM hop WHERE depth > 0)"
        )
        by_hand = (bare, [(three, [f"tw-{k}"]) for k in drawn])
        self._query("MATCH, up to 3 hops", ours, hops, 60.0, by_hand, rows=len(set().union(*reached)))
        self._query("MATCH, a chain of 3", ours, chain, 60.0, rows=len(reached[2]))
        kinds = ("SELECT COUNT(*) FROM twins WHERE json_extract(doc, '$.kind') = ?", ["meter"])
        self._query("COUNT of a quarter", ours, count, None, (bare, [kinds] * (many // 4)))
        rows, seconds, slowest = pages(ours, f"SELECT * FROM DIGITALTWINS T WHERE IS_OF_MODEL('{SENSOR}')", 1000)
        note = f"{rows} rows, slowest page of 1000 {slowest:.0f} ms; {why}".rstrip("; ")
        self.figures.append(Figure("all twins by pages", round(seconds, 2), "s", None, note=note))

    def _query(
        self,
        name: str,
        target: Target,
        texts: list[str],
        limit: float | None,
        by_hand: tuple[Target, list[Any]] | None = None,
        *,
        rows: int | None = None,
    ) -> None:
        """`rows` is what the first text has at least: a quick answer that is empty proves nothing."""
        ms, why = query_times(target, [{"query": text} for text in texts])
        if ms is not None and rows is not None and (found := pages(target, texts[0], 1000)[0]) < rows:
            ms, why = None, f"answers {found} rows where there are {rows}"
        bare = None
        if by_hand is not None:
            times, _ = query_times(by_hand[0], [{"sql": sql, "parameters": values} for sql, values in by_hand[1]])
            bare = None if times is None else round(times["p95"], 2)
        if ms is None:
            self.figures.append(Figure(f"{name}: p95", None, "ms", limit, bare=bare, note=why))
            return
        note = f"p50 {ms['p50']:.1f}, p99 {ms['p99']:.1f}"
        self.figures.append(Figure(f"{name}: p95", round(ms["p95"], 2), "ms", limit, bare=bare, note=note))

    def large(self) -> None:
        """The import of the large graph, and what an operation costs on it over what it costs on the small one."""
        size = self.sizes
        twins, relations = sensors(size.large_twins), links(size.large_relationships, size.large_twins)
        large, small = self.ours("large"), self.ours("small")
        seconds, why = self.load(large, twins, relations)
        disk = sum(file.stat().st_size for file in (self.folder / "large").glob("adt.sqlite*")) / 1e6
        _, peak = large.server.usage()
        what = f"import of {size.large_twins:,} twins and {size.large_relationships:,} relationships"
        self.figures += [
            Figure(what, None if why else round(seconds, 1), "s", 150.0, note=why and f"{why}; PUTs: {seconds:.0f} s"),
            Figure("its disk", round(disk), "MB", 600.0),
            Figure("peak memory after it", round(peak), "MB"),
        ]
        few = links(round(size.small_twins * size.large_relationships / size.large_twins), size.small_twins)
        self.load(small, sensors(size.small_twins), few)
        graphs = {
            "large": ([name for name, _ in twins], relations),
            "small": ([sensor(k)[0] for k in range(size.small_twins)], few),
        }
        kinds = {label: _works(*graph, random.Random(4)) for label, graph in graphs.items()}
        works = [
            Work(one.name, one.rng, _by_label({label: kinds[label][k].make for label in kinds}), one.once)
            for k, one in enumerate(kinds["large"])
        ]
        measure(works, {"small": small, "large": large}, size.rounds, size.seconds)
        for work in works:
            few_s, many_s = work.rate("small"), work.rate("large")
            ratio = few_s / many_s if few_s and many_s else None
            note = f"{few_s:.0f}/s and {many_s:.0f}/s" if few_s and many_s else str(work.refused)
            name = f"{work.name}: cost at {size.large_twins:,} over {size.small_twins:,}"
            self.figures.append(Figure(name, None if ratio is None else round(ratio, 2), "x", 2.0, note=note))
        large.stop()
        self.starts(self.folder / "large" / "adt.sqlite", "start to first answer, large graph", 0.7)


def _reached(relations: list[Any], start: str, hops: int) -> list[set[str]]:
    """The twins after one hop, two, and so on."""
    targets: dict[str, set[str]] = {}
    for source, _, doc in relations:
        targets.setdefault(source, set()).add(doc["$targetId"])
    found: list[set[str]] = []
    for _ in range(hops):
        here = found[-1] if found else {start}
        found.append(set().union(*(targets.get(name, set()) for name in here)))
    return found


def _by_label(makers: dict[str, Any]) -> Any:
    return lambda label, number: makers[label](label, number)


def _works(names: list[str], relations: list[Any], rng: random.Random) -> list[Work]:
    """The operations on sensors. Creating and deleting have ids of their own in every round."""
    chosen = [rng.choice(names) for _ in range(20_000)]
    bodies = {name: json.dumps(sensor(int(name[3:]))[1]) for name in set(chosen[:5000])}
    ends = [rng.choice(relations) for _ in range(5000)]
    fresh = json.dumps(sensor(1)[1])

    def made(label: str, number: int) -> list[str]:
        return [twin_path(f"new-{label}-{number}-{k}") for k in range(min(4000, len(names)))]

    def fixed(requests: list[Request]) -> Any:
        return lambda _label, _number: requests

    def link_path(row: Any) -> str:
        return twin_path(row[0], f"/relationships/{row[1]}")

    patches = [("PATCH", twin_path(name), json.dumps(sensor_patch(rng))) for name in chosen]
    telemetry = json.dumps({"temperature": 21.5})
    return [
        Work("GET", rng, fixed([("GET", twin_path(name), None) for name in chosen])),
        Work("PATCH", rng, fixed(patches)),
        Work("PUT, replace", rng, fixed([("PUT", twin_path(name), bodies[name]) for name in chosen[:5000]])),
        Work("PUT, create", rng, lambda label, k: [("PUT", path, fresh) for path in made(label, k)], once=True),
        Work("DELETE", rng, lambda label, k: [("DELETE", path, None) for path in made(label, k)], once=True),
        Work("telemetry", rng, fixed([("POST", twin_path(name, "/telemetry"), telemetry) for name in chosen])),
        Work("PUT relationship", rng, fixed([("PUT", link_path(row), json.dumps(row[2])) for row in ends])),
        Work("list relationships", rng, fixed([("GET", twin_path(row[0], "/relationships"), None) for row in ends])),
    ]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value)


def _file_system(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [row for row in mounts if folder.is_relative_to(row[0].replace("\\040", " "))]
    return max(inside, key=lambda row: len(row[0]))[1]


def run_local_adt(folder: Path, sizes: Sizes, machine: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """(report, whether every target was met); the table goes to standard output."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-adt-", dir=folder) as name, ExitStack() as stack:
        own = Path(name).resolve()
        where = {**machine, "sqlite": sqlite3.sqlite_version, "file_system": _file_system(own)}
        print(", ".join(f"{key} {value}" for key, value in where.items()), flush=True)
        bench = _Bench(sizes, own, stack)
        for phase in (
            lambda: bench.starts(own / "empty.sqlite", "start to first answer, empty", 0.7),
            bench.throughput,
            bench.point_throughput,
            bench.large,
        ):
            shown = len(bench.figures)
            phase()
            for figure in bench.figures[shown:]:
                print(_line(figure), flush=True)
        on_disk = where["file_system"] not in ("tmpfs", "ramfs", "overlay")
        if not on_disk:
            print(f"{where['file_system']} is no disk: nothing was durable. Name a folder on one with --folder.")
    rows = [{**asdict(figure), "passed": figure.passed} for figure in bench.figures]
    missed = [figure.name for figure in bench.figures if figure.passed is False]
    print(
        f"{time.perf_counter() - begun:.0f} s. " + (f"Missed: {', '.join(missed)}." if missed else "Every target met.")
    )
    report = {"bench": "local-adt", "machine": where, "sizes": asdict(sizes), "figures": rows, "missed": missed}
    return report, on_disk and not missed


def _line(figure: Figure) -> str:
    value = "-" if figure.value is None else f"{figure.value:g}"
    goal = "" if figure.limit is None else f"{'>=' if figure.least else '<='} {figure.limit:g}"
    verdict = {None: "", True: "ok", False: "MISSED"}[figure.passed]
    bare = "" if figure.bare is None else f"bare {figure.bare:g}"
    return f"{figure.name:62} {value:>8} {figure.unit:4} {goal:8} {verdict:7} {bare:11} {figure.note}".rstrip()
