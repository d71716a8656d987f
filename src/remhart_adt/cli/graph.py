"""`remhart-adt graph`: a YAML file of components, points and users, and the instance's graph made like it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remhart_adt.cli.common import (
    CHANGES_PENDING,
    EndpointOption,
    Output,
    OutputOption,
    connect,
    connect_async,
    emit,
    fail,
    note,
    noun_app,
)

if TYPE_CHECKING:
    from remhart_adt.graph.apply import Applied, Progress
    from remhart_adt.graph.plan import Plan

__all__ = ["app"]

app = noun_app("Validate, plan, apply and export the twin graph of a YAML file.")

FileArgument = Annotated[Path, typer.Argument(help="The graph file (YAML or JSON).", show_default=False)]
PruneOption = Annotated[bool, typer.Option("--prune", help="Delete our twins and relationships that the file lacks.")]
_PLAN_COLUMNS = ("action", "kind", "id", "source", "target", "changes", "reason")


@app.command()
def validate(file: FileArgument, output: OutputOption = Output.table) -> None:
    """Check a graph file and list every problem with its line. Needs no instance."""
    from remhart_adt.graph import check

    checked = check(file)
    for warning in checked.warnings:
        note(f"Warning: {warning}")
    rows = (
        {"place": f"{p.file}:{p.line}" if p.line else p.file, "path": p.path, "message": p.message, "remedy": p.remedy}
        for p in checked.problems
    )
    emit(rows, output)
    if checked.spec is None:
        count = len(checked.problems)
        fail(f"the graph has {count} problem{'s' if count != 1 else ''}", where=str(file))
    spec = checked.spec
    counts = f"{len(spec.components)} components, {len(spec.points)} points, {len(spec.users)} users"
    note(f"{file}: valid; {counts}, {len(spec.relationships)} relationships (fedBy included)")


@app.command()
def plan(
    file: FileArgument,
    endpoint: EndpointOption = None,
    output: OutputOption = Output.table,
    prune: PruneOption = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when there is something to do.")] = False,
) -> None:
    """Show what apply would create, update and delete, and change nothing."""
    from remhart_adt.graph import load
    from remhart_adt.graph.plan import plan as make

    spec = load(file)
    with connect(endpoint) as client:
        found = make(client, spec, prune=prune)
    emit((action.row() for action in found.actions), output, columns=_columns(found))
    note(found.summary())
    if found.conflicts:
        fail("; ".join(found.conflicts), remedy="Delete those twins, or give them other ids in the file")
    if exit_code and not found.empty:
        raise typer.Exit(CHANGES_PENDING)


@app.command()
def apply(
    file: FileArgument,
    endpoint: EndpointOption = None,
    output: OutputOption = Output.table,
    prune: PruneOption = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=600, help="Seconds to wait until queries see the result.")
    ] = 30.0,
) -> None:
    """Make the instance's graph like the file. Can be repeated at any time, also while the daemon runs."""
    from remhart_adt.graph import load

    spec = load(file)

    async def run() -> tuple[Plan, Applied]:
        from remhart_adt.graph.apply import apply as carry_out
        from remhart_adt.graph.plan import plan_async

        async with connect_async(endpoint) as client:
            found = await plan_async(client, spec, prune=prune)
            with _progress(len(found.actions)) as progress:
                return found, await carry_out(client, found, progress=progress, settle_for=wait)

    found, applied = asyncio.run(run())
    emit((action.row() for action in found.actions), output, columns=_columns(found))
    done = f"{applied.created} created, {applied.updated} updated, {applied.deleted} deleted"
    existed = f", {applied.existed} there already" if applied.existed else ""
    note(f"{done}{existed}, {found.unchanged} unchanged")
    if not applied.settled:
        note("Queries do not see all of it yet; they lag behind writes by some seconds.")


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write; `-` or nothing: standard output.", show_default=False)
    ] = None,
    endpoint: EndpointOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write the instance's graph as a file that validate, plan and apply read."""
    from remhart_adt.graph.export import to_yaml
    from remhart_adt.graph.snapshot import fetch

    if str(file) == "-":
        file = None
    if file is not None and file.exists() and not force:
        fail("the file exists", where=str(file), remedy="Give --force to replace it")
    with connect(endpoint) as client:
        live = fetch(client)
    text = to_yaml(live)
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
    note(f"{len(live.twins)} twins, {len(live.relationships)} relationships")


def _columns(found: Plan) -> list[str]:
    rows = [action.row() for action in found.actions]
    return [column for column in _PLAN_COLUMNS if any(column in row for row in rows)]


@contextmanager
def _progress(total: int) -> Iterator[Progress | None]:
    # A bar for people only: a log file would fill with its frames.
    if not total or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("applying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("apply", total=total)
        yield lambda done, _total: bar.update(task, completed=done)
