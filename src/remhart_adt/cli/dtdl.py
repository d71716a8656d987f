"""`remhart-adt dtdl`: the DTDL language for any models, without an instance: check, show, compare, order, convert."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remhart_adt.cli.common import Output, OutputOption, emit, fail, note, noun_app

if TYPE_CHECKING:
    from remhart_adt.dtdl import ModelSet, Options, Report

__all__ = ["app"]

app = noun_app("Check, show, compare, order, convert DTDL models and generate classes. Needs no instance.")


class Form(enum.StrEnum):
    """How `validate` writes its problems."""

    table = "table"
    json = "json"
    ndjson = "ndjson"
    sarif = "sarif"


class Profile(enum.StrEnum):
    """Rules beyond the language."""

    adt = "adt"


class Extensions(enum.StrEnum):
    """What to do with contexts that nobody knows."""

    default = "default"
    allow = "allow"
    refuse = "refuse"


PathsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders or patterns such as 'models/**/*.json'; `-` for standard input.", metavar="PATH..."
    ),
]
ResolverOption = Annotated[
    list[Path] | None,
    typer.Option("--resolver", help="Folder to take undefined DTMIs from: a model repository or any folder of DTDL."),
]
ProfileOption = Annotated[Profile | None, typer.Option("--profile", help="adt: also the rules of Azure Digital Twins.")]
MaxVersionOption = Annotated[int, typer.Option("--max-version", min=2, max=4, help="Newest DTDL version to accept.")]
ExtensionsOption = Annotated[
    Extensions, typer.Option("--unknown-extensions", help="Contexts that nobody knows; default: DTDL v2 allows them.")
]
LimitsOption = Annotated[
    list[str] | None, typer.Option("--limits", help="Limit context to accept, such as dtmi:dtdl:limits:onvif;1.")
]
MaxBytesOption = Annotated[int, typer.Option("--max-mb", min=1, help="Largest source to read, in megabytes.")]


@app.command()
def validate(
    paths: PathsArgument,
    profile: ProfileOption = None,
    resolver: ResolverOption = None,
    max_version: MaxVersionOption = 4,
    unknown_extensions: ExtensionsOption = Extensions.default,
    limits: LimitsOption = None,
    max_mb: MaxBytesOption = 8,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    output: Annotated[Form, typer.Option("--output", "-o", help="sarif: for code review.")] = Form.table,
) -> None:
    """Check DTDL and list every problem with file, line and remedy. Exit code 1 when there is an error."""
    from remhart_adt.dtdl import validate as check
    from remhart_adt.dtdl.render import report_rows

    options = _options(max_version, unknown_extensions, limits, max_mb)
    report = check(*_sources(paths, options), resolver=resolver or None, profile=profile, options=options)
    if output is Form.sarif:
        typer.echo(json.dumps(_sarif(report), indent=2))
    elif output is Form.table:
        emit(report_rows(report), Output.table, columns=("severity", "place", "rule", "message", "remedy"))
    else:
        emit(report_rows(report), Output(output))
    name = paths[0] if len(paths) == 1 else f"{len(paths)} paths"
    broken = len(report.errors) + len(report.unresolved) + (len(report.warnings) if strict else 0)
    if broken:
        fail(f"{broken} problem{'s' if broken != 1 else ''}", where=name)
    warned = f" ({len(report.warnings)} warnings)" if report.warnings else ""
    note(f"{name}: valid{warned}")


@app.command()
def show(
    paths: PathsArgument,
    model: Annotated[str | None, typer.Option("--model", help="Only the interface with this DTMI.")] = None,
    resolver: ResolverOption = None,
    output: OutputOption = Output.table,
) -> None:
    """List what interfaces contain, inherited contents included."""
    models = _parse(paths, resolver)
    if model is not None and model not in models:
        fail(f"{model} is not among the {len(models)} interfaces", where=paths[0], remedy=f"There are: {_some(models)}")
    rows = [row for dtmi in ([model] if model else models) for row in _contents(models, dtmi)]
    emit(rows, output, columns=("interface", "kind", "name", "type", "unit", "defined in"))


@app.command()
def order(paths: PathsArgument, resolver: ResolverOption = None, output: OutputOption = Output.table) -> None:
    """List interfaces so that each comes after all it needs, with the number of the upload call it goes into."""
    models = _parse(paths, resolver)
    calls = {document["@id"]: number for number, batch in enumerate(models.batches(), 1) for document in batch}
    rows = (
        {"call": calls.get(dtmi, ""), "id": dtmi, "needs": " ".join(models.dependencies(dtmi))}
        for dtmi in models.order()
    )
    emit(rows, output, columns=("call", "id", "needs"))


def _options(max_version: int, unknown: Extensions, limits: list[str] | None, max_mb: int) -> Options:
    from remhart_adt.dtdl import Options

    allow = {Extensions.default: "per version", Extensions.allow: "always", Extensions.refuse: "never"}[unknown]
    return Options(
        undefined_extensions=allow,  # type: ignore[arg-type]  # the table above has no other words
        max_version=max_version,
        limit_contexts=tuple(limits or ()),
        max_bytes=max_mb * 1024 * 1024,
    )


def _sources(paths: list[str], options: Options | None = None) -> list[Any]:
    """What the arguments name: standard input as text, files and folders as paths, patterns as what they match."""
    from remhart_adt.dtdl import Options as Defaults
    from remhart_adt.errors import ConfigError

    most = (options or Defaults()).max_bytes
    sources: list[Any] = []
    for path in paths:
        if path == "-":
            # One more than allowed, so that too much is noticed without reading it all.
            data = typer.get_binary_stream("stdin").read(most + 1)
            sources.append(data.decode("utf-8", "replace"))
        elif Path(path).exists():
            sources.append(Path(path))
        else:
            found = sorted(_matches(path)) if any(mark in path for mark in "*?[") else []
            if not found:
                raise ConfigError(
                    f"{path} does not exist", remedy="Give a file, a folder, a pattern, or - for standard input"
                )
            sources += found
    return sources


def _matches(pattern: str) -> list[Path]:
    base = Path(pattern)
    anchor = Path(base.anchor) if base.is_absolute() else Path()
    found = anchor.glob(str(base.relative_to(base.anchor)) if base.is_absolute() else pattern)
    return [path for path in found if path.is_file() and not any(part.startswith(".") for part in path.parts)]


def _parse(paths: list[str], resolver: list[Path] | None) -> ModelSet:
    from remhart_adt.dtdl import parse

    return parse(*_sources(paths), resolver=resolver or None)


def _sarif(report: Report) -> dict[str, Any]:
    from remhart_adt import __version__
    from remhart_adt.dtdl.render import all_problems, sarif

    return sarif(all_problems(report), version=__version__, base=Path.cwd())


def _contents(models: ModelSet, dtmi: str) -> list[dict[str, Any]]:
    def kind_of(content: Any) -> str:
        if content.kind == "Component":
            return str(content.component)
        if content.kind == "Relationship":
            return str(content.target or "any")
        schema = content.schema if content.schema is not None else content.request and content.request.schema
        return str(schema.kind) if schema is not None else ""

    interface = models[dtmi]
    return [
        {
            "interface": dtmi,
            "kind": content.kind,
            "name": content.name,
            "type": kind_of(content),
            "unit": content.unit or "",
            "semantic": " ".join(content.types),
            "defined in": content.defined_in if content.defined_in != dtmi else "",
        }
        for content in interface.contents.values()
    ]


def _some(models: ModelSet) -> str:
    names = list(models)
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
