"""`remhart-adt scoring`: the installed models, their soundness, and files scored offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remhart_adt.cli.common import FAILED, Output, OutputOption, emit, note, noun_app
from remhart_adt.errors import ConfigError

if TYPE_CHECKING:
    from remhart_adt.scoring.offline import FlatFile, Run
    from remhart_adt.scoring.types import FeederInfo, PointInfo

__all__ = ["app"]

app = noun_app("Models: what is installed, whether it is sound, and scoring of files.")

ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", help="Folder with manifest.json and the model files. Default: the packaged ones."),
]


@app.command("list")
def list_models(models: ModelsOption = None, output: OutputOption = Output.table) -> None:
    """List the 16 slots: which model stands in each, or why none does."""
    from remhart_adt.scoring.engine import Engine

    engine = Engine.load(models)
    rows = []
    for name, slot in engine.slots.items():
        entry = engine.entry(name)
        rows.append(
            {
                "model": name, "state": slot.state.value, "version": slot.version, "scope": slot.scope,
                "rate": slot.rate, "algorithm": "" if entry is None else entry.algorithm, "reason": slot.reason,
            }
        )  # fmt: skip
    emit(rows, output)


@app.command()
def check(models: ModelsOption = None, output: OutputOption = Output.table) -> None:
    """Check manifest, hashes, graphs and contracts of all models; exit code 1 when one is quarantined."""
    import numpy as np

    from remhart_adt.errors import ModelError
    from remhart_adt.resources import models_dir
    from remhart_adt.scoring.manifest import read_manifest
    from remhart_adt.scoring.sessions import Model

    folder = models or models_dir()
    manifest = read_manifest(folder)
    rows = [{"model": name, "sound": False, "reason": reason} for name, reason in manifest.problems.items()]
    for name, entry in manifest.entries.items():
        reason = ""
        try:
            Model(entry, folder).run(np.ones((3, len(entry.inputs)), np.float32))
        except ModelError as error:
            reason = error.what
        rows.append({"model": name, "sound": not reason, "reason": reason})
    emit(rows, output)
    if any(not row["sound"] for row in rows):
        raise typer.Exit(FAILED)


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="Id of a model, as `scoring list` names it.")],
    file: Annotated[
        Path | None, typer.Argument(help="Readings as CSV in the flat form; its last answer is explained.")
    ] = None,
    points: Annotated[
        Path | None, typer.Option("--points", help="CSV with pointId, nominal_v_ln, hz, rated_a.", metavar="POINTS.csv")
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", help="Graph file that declares the points.", metavar="G.yaml")
    ] = None,
    point: Annotated[str | None, typer.Option("--point", help="Explain this point's last answer.")] = None,
    of: Annotated[
        str | None, typer.Option("--of", help="Output to explain. Default: the model's first number.")
    ] = None,
    models: ModelsOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Say what a model looks at and answers, or, with a file, what moved its last answer most.

    For an answer, every input is put back to its usual value (the median in training) in turn: `effect` is what the
    answer owes to it. Effects do not add up where inputs act together.
    """
    from remhart_adt.cli.explain import about, last_answer

    if file is None:
        rows, notes = about(model, models)
    else:
        if (points is None) == (graph is None):
            raise ConfigError("give either --points or --graph, so that nominal values are known")
        rows, notes = last_answer(model, models, file, _known(points, graph)[0], point, of)
    for line in notes:
        note(line)
    emit(rows, output)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Readings as CSV in the flat form.", metavar="FILE")],
    points: Annotated[
        Path | None, typer.Option("--points", help="CSV with pointId, nominal_v_ln, hz, rated_a.", metavar="POINTS.csv")
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", help="Graph file that declares the points.", metavar="G.yaml")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the scores here.", metavar="OUT.parquet|OUT.csv")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with plots here.", metavar="FILE")] = None,
    models: ModelsOption = None,
) -> None:
    """Score a file of readings with all installed models, as the daemon would.

    Without -o the scores go to standard output as CSV. Bad rows are named on standard error and left out.
    """
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.offline import FlatFile, Run
    from remhart_adt.scoring.windows import Windows

    if (points is None) == (graph is None):
        raise ConfigError("give either --points or --graph, so that nominal values are known")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"cannot tell the format of {out}", remedy="Name it *.csv or *.parquet")
    infos, feeders = _known(points, graph)
    engine = Engine.load(models)
    source = FlatFile(file, infos)
    run_ = Run(engine, Windows(tuple(infos.values())), feeders)
    columns: dict[str, list[Any]] = {}
    for chunk in source.chunks():
        for name, cells in run_.score(chunk).items():
            columns.setdefault(name, []).extend(cells)
    _write(columns, out)
    if html is not None:
        from remhart_adt.scoring.report import render

        summary = {"rows read": source.rows, "scored": run_.accepted, "late or duplicate": run_.late,
                   "bad": sum(source.counts.values())}  # fmt: skip
        html.write_text(render(columns, engine.slots, summary, f"Scores of {file.name}"), encoding="utf-8")
    _tell(source, run_)


def _known(
    points: Path | None, graph: Path | None
) -> tuple[dict[str, PointInfo], Sequence[tuple[FeederInfo, Sequence[str]]]]:
    """The points of either file; a graph also says which of them make up a feeder."""
    if points is not None:
        from remhart_adt.scoring.offline import read_points

        return read_points(points), ()
    assert graph is not None
    from remhart_adt.graph import load
    from remhart_adt.sync.site import build_site

    spec = load(graph)
    twins = [{"$dtId": e.id, "$metadata": {"$model": e.model}, **e.properties} for e in spec.entities()]
    edges = [
        {
            "$relationshipId": r.id, "$sourceId": r.source, "$targetId": r.target, "$relationshipName": r.name,
            **r.properties,
        }
        for r in spec.relationships
    ]  # fmt: skip
    site = build_site(twins, edges)
    return dict(site.points), site.feeders


def _write(columns: dict[str, list[Any]], out: Path | None) -> None:
    import sys

    import pandas as pd

    frame = pd.DataFrame({name: pd.Series(cells, dtype=_dtype(cells)) for name, cells in columns.items()})
    if out is None:
        frame.to_csv(sys.stdout, index=False)
    elif out.suffix == ".csv":
        frame.to_csv(out, index=False)
    else:
        frame.to_parquet(out, index=False)


def _dtype(cells: Sequence[Any]) -> str:
    """A nullable type that keeps integers whole and booleans true or false beside empty cells."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "Int64"
    return "Float64" if kinds and kinds <= {float, int} else "string"


def _tell(source: FlatFile, run_: Run) -> None:
    note(f"{source.path}: {source.rows} rows, {run_.accepted} scored, {run_.late} late or duplicate")
    total = sum(source.counts.values())
    if total:
        note(f"{total} bad rows: " + ", ".join(f"{cause.value} {n}" for cause, n in source.counts.items()))
        for bad in source.bad:
            note(f"  {bad}")
        if total > len(source.bad):
            note(f"  and {total - len(source.bad)} more")
