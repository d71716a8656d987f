"""`remhart-adt models`: the four interfaces, or any folder of DTDL, checked and brought to an instance."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remhart_adt.cli.common import (
    CHANGES_PENDING,
    EndpointOption,
    Output,
    OutputOption,
    connect,
    emit,
    fail,
    note,
    noun_app,
)

if TYPE_CHECKING:
    from remhart_adt.client import AdtClient
    from remhart_adt.dtdl import ModelSet

__all__ = ["app"]

app = noun_app("Validate, plan, upload, list and delete DTDL models.")

SourceArgument = Annotated[
    Path | None,
    typer.Argument(
        help="File or folder of DTDL, `-` for standard input. Default: our four interfaces.", show_default=False
    ),
]


@app.command()
def validate(source: SourceArgument = None, output: OutputOption = Output.table) -> None:
    """Check DTDL and list every problem with file and line. Needs no instance."""
    from remhart_adt.dtdl import validate as check
    from remhart_adt.dtdl.render import REPORT_COLUMNS, report_rows

    report = check(_source(source), profile="adt")
    emit(report_rows(report), output, columns=REPORT_COLUMNS)
    if not report.valid:
        count = len(report.errors) + len(report.unresolved)
        fail(f"the models have {count} problem{'s' if count != 1 else ''}", where=_name(source))
    note(f"{_name(source)}: valid")


@app.command()
def plan(
    source: SourceArgument = None,
    endpoint: EndpointOption = None,
    output: OutputOption = Output.table,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 when something would be uploaded.")
    ] = False,
) -> None:
    """Compare DTDL with the instance: same, new, or conflict (the id exists with other content)."""
    with connect(endpoint) as client:
        models = _parse(source, client)
        states = _states(models, client)
    emit(({"id": dtmi, "state": state} for dtmi, state in states.items()), output, columns=("id", "state"))
    _refuse_conflicts(states)
    if exit_code and "new" in states.values():
        raise typer.Exit(CHANGES_PENDING)


@app.command()
def upload(source: SourceArgument = None, endpoint: EndpointOption = None, output: OutputOption = Output.table) -> None:
    """Upload what is new, in one call when it fits; what is there already is left alone."""
    with connect(endpoint) as client:
        models = _parse(source, client)
        states = _states(models, client)
        _refuse_conflicts(states)
        done = 0
        for batch in models.batches():
            new = [definition for definition in batch if states[definition["@id"]] == "new"]
            if new:
                client.models.upload(new)
                done += len(new)
    rows = ({"id": dtmi, "state": "uploaded" if state == "new" else state} for dtmi, state in states.items())
    emit(rows, output, columns=("id", "state"))
    note(f"{done} uploaded, {len(states) - done} there already")


@app.command("list")
def list_models(
    endpoint: EndpointOption = None,
    output: OutputOption = Output.table,
    definition: Annotated[bool, typer.Option("--definition", help="With the DTDL (JSON forms only).")] = False,
) -> None:
    """List the models of the instance."""
    with connect(endpoint) as client:
        rows = (
            {
                "id": record.id,
                "state": "decommissioned" if record.decommissioned else "active",
                "uploaded": record.uploaded,
                "displayName": record.display_name.get("en") or next(iter(record.display_name.values()), ""),
                **({"definition": record.definition} if definition else {}),
            }
            for record in client.models.list(include_definition=definition)
        )
        emit(rows, output, columns=("id", "state", "uploaded", "displayName"))


@app.command()
def delete(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[DTMI]...", help="Models to delete. Default: our four.")
    ] = None,
    endpoint: EndpointOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also when twins of the model exist.")] = False,
) -> None:
    """Delete models, those that need others first. Refuses while twins use one."""
    from remhart_adt.errors import NotFoundError

    with connect(endpoint) as client:
        if ids:
            wanted = _dependents_first(ids, [r.definition for r in client.models.list(include_definition=True)])
        else:
            wanted = _parse(None).order()[::-1]
        for dtmi in wanted if not force else ():
            text = f"SELECT COUNT() FROM digitaltwins WHERE IS_OF_MODEL('{_checked(dtmi)}', exact)"
            used = sum(int(row["COUNT"]) for row in client.query(text))
            if used:
                remedy = "Delete them first, or give --force and leave them without a model"
                fail(f"{used} twin{'s are' if used != 1 else ' is'} of {dtmi}", remedy=remedy)
        for dtmi in wanted:
            try:
                client.models.delete(dtmi)
                note(f"{dtmi}: deleted")
            except NotFoundError:
                if ids:
                    raise
                note(f"{dtmi}: not there")


def _checked(dtmi: str) -> str:
    from remhart_adt.errors import ConfigError
    from remhart_adt.ids import is_dtmi

    if not is_dtmi(dtmi):
        raise ConfigError(f"{dtmi!r} is no DTMI", remedy="Write it as in dtmi:com:example:Thing;1")
    return dtmi


def _dependents_first(wanted: list[str], there: list[Any]) -> list[str]:
    from remhart_adt.dtdl import parse

    order = parse([definition for definition in there if definition]).order() if any(there) else []
    return sorted(wanted, key=lambda dtmi: -order.index(dtmi) if dtmi in order else 0)


def _states(models: ModelSet, client: AdtClient) -> dict[str, str]:
    there = {record.id: record.definition for record in client.models.list(include_definition=True)}
    states = {}
    for definition in (one for batch in models.batches() for one in batch):
        dtmi = definition["@id"]
        states[dtmi] = "new" if dtmi not in there else "same" if there[dtmi] == definition else "conflict"
    return states


def _refuse_conflicts(states: dict[str, str]) -> None:
    conflicts = [dtmi for dtmi, state in states.items() if state == "conflict"]
    if conflicts:
        fail(
            f"{', '.join(conflicts)} exist with other content",
            remedy="A model cannot be changed: give the changed one a new version, or delete the old one",
        )


def _source(source: Path | None) -> Any:
    from remhart_adt.errors import ConfigError
    from remhart_adt.limits import INPUT_FILE_BYTES
    from remhart_adt.resources import dtdl_dir

    if source is None:
        return dtdl_dir()
    if str(source) == "-":
        text = typer.get_text_stream("stdin").read(INPUT_FILE_BYTES + 1)
        if len(text) > INPUT_FILE_BYTES:
            raise ConfigError("standard input is larger than 50 MB")
        return text
    if not source.exists():
        raise ConfigError(f"{source} does not exist")
    return source


def _parse(source: Path | None, client: AdtClient | None = None) -> ModelSet:
    from remhart_adt.dtdl import parse
    from remhart_adt.errors import NotFoundError

    def from_instance(dtmis: Sequence[str]) -> list[Any]:
        # What the files use and do not hold may be on the instance already.
        found = []
        for dtmi in dtmis:
            with suppress(NotFoundError):
                found.append(client.models.get(dtmi).definition if client is not None else None)
        return [definition for definition in found if definition]

    return parse(_source(source), resolver=from_instance if client is not None else None, profile="adt")


def _name(source: Path | None) -> str:
    return "the four interfaces" if source is None else "standard input" if str(source) == "-" else str(source)
