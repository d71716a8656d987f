"""`remhart-adt twins`: one twin, or many, by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remhart_adt.cli.common import EndpointOption, Output, OutputOption, connect, emit, emit_one, fail, note, noun_app

if TYPE_CHECKING:
    from remhart_adt.client import AdtClient

__all__ = ["app"]

app = noun_app("Get, list, patch and delete twins.")

TwinArgument = Annotated[str, typer.Argument(help="The twin's id.", show_default=False)]
_SHORT_NAMES = {"component": "DTMI_COMPONENT", "point": "DTMI_POINT", "user": "DTMI_USER"}


@app.command()
def get(twin: TwinArgument, endpoint: EndpointOption = None, output: OutputOption = Output.json) -> None:
    """Print one twin as it is now."""
    with connect(endpoint) as client:
        emit_one(client.twins.get(twin), output)


@app.command("list")
def list_twins(
    endpoint: EndpointOption = None,
    output: OutputOption = Output.table,
    model: Annotated[
        str | None, typer.Option("--model", help="Only twins of this model: component, point, user, or a DTMI.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
) -> None:
    """List twins. Twins created a few seconds ago may be missing."""
    text = "SELECT * FROM digitaltwins"
    if model is not None:
        text += f" WHERE IS_OF_MODEL('{_dtmi(model)}')"
    with connect(endpoint) as client:
        rows = _first(client.query(text), limit)
        if output is Output.table:
            rows = (_short(row) for row in rows)
        emit(rows, output)


@app.command()
def patch(
    twin: TwinArgument,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Set a value: a JSON value, or else text. May be repeated."),
    ] = None,
    removes: Annotated[
        list[str] | None, typer.Option("--remove", metavar="PATH", help="Clear a value. May be repeated.")
    ] = None,
    etag: Annotated[str | None, typer.Option("--etag", help="Only if the twin has not changed since.")] = None,
    endpoint: EndpointOption = None,
) -> None:
    """Set and clear values. PATH is `switchState`, `electrical.r1`, or a JSON pointer such as /alarms/voltageSag."""
    from remhart_adt.client import Patch
    from remhart_adt.errors import ConfigError

    changes = Patch()
    for text in sets or ():
        path, sign, value = text.partition("=")
        if not sign or not path:
            raise ConfigError(f"--set {text!r} has no value", remedy="Write --set PATH=VALUE")
        try:
            changes.add(_path(path), _value(value))
        except ValueError as error:
            raise ConfigError(str(error)) from error
    for path in removes or ():
        changes.remove(_path(path))
    if not changes:
        raise ConfigError("nothing to change", remedy="Give --set PATH=VALUE or --remove PATH")
    with connect(endpoint) as client:
        client.twins.patch(twin, changes, etag=etag)
    note(f"{twin}: {len(changes)} change{'s' if len(changes) != 1 else ''} written")


@app.command()
def delete(
    twins: Annotated[list[str], typer.Argument(help="Ids of the twins.", show_default=False)],
    endpoint: EndpointOption = None,
    relationships: Annotated[
        bool, typer.Option("--relationships", help="Delete their relationships first, outgoing and incoming.")
    ] = False,
) -> None:
    """Delete twins."""
    from remhart_adt.errors import ServiceError

    failures = []
    with connect(endpoint) as client:
        for twin in twins:
            try:
                if relationships:
                    _unlink(client, twin)
                client.twins.delete(twin)
                note(f"{twin}: deleted")
            except ServiceError as error:
                if len(twins) == 1:
                    raise
                failures.append(str(error))
    if failures:
        fail(f"{len(failures)} of {len(twins)} twins were not deleted: {'; '.join(failures)}")


def _short(twin: dict[str, Any]) -> dict[str, Any]:
    metadata = twin["$metadata"]
    return {"id": twin["$dtId"], "model": metadata["$model"], "updated": metadata.get("$lastUpdateTime")}


def _unlink(client: AdtClient, twin: str) -> None:
    for row in list(client.relationships.list(twin)):
        client.relationships.delete(twin, row["$relationshipId"])
    for row in list(client.relationships.incoming(twin)):
        client.relationships.delete(row["$sourceId"], row["$relationshipId"])


def _path(text: str) -> str | tuple[str, ...]:
    return text if text.startswith("/") else tuple(text.split("."))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _dtmi(model: str) -> str:
    from remhart_adt import ids
    from remhart_adt.errors import ConfigError

    dtmi = getattr(ids, _SHORT_NAMES[model]) if model in _SHORT_NAMES else model
    if not ids.is_dtmi(dtmi):
        raise ConfigError(f"{model!r} is no model", remedy="Write component, point, user, or a DTMI")
    return str(dtmi)


def _first(rows: Iterator[dict[str, Any]], limit: int | None) -> Iterator[dict[str, Any]]:
    from itertools import islice

    return islice(rows, limit)
