"""`remhart-adt dtdl`: the DTDL language for any models, without an instance: check, show, compare, order, convert."""

from __future__ import annotations

import dataclasses
import enum
import glob
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remhart_adt.cli.common import Output, OutputOption, emit, fail, note, noun_app
from remhart_adt.errors import ConfigError

if TYPE_CHECKING:
    from remhart_adt.dtdl import ModelSet, Options, Report
    from remhart_adt.dtdl.evolution.upgrade import Converted

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


class FailOn(enum.StrEnum):
    """From which verdict on `diff` fails."""

    any = "any"
    new_version = "new-version"
    breaking = "breaking"


_VERDICT_OF: Final = {
    FailOn.any: "compatible",
    FailOn.new_version: "needs a new version",
    FailOn.breaking: "breaking",
}

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
    from remhart_adt.dtdl.render import REPORT_COLUMNS, report_rows

    options = _options(max_version, unknown_extensions, limits, max_mb)
    report = check(*_sources(paths, options), resolver=resolver or None, profile=profile, options=options)
    if output is Form.sarif:
        typer.echo(json.dumps(_sarif(report), indent=2))
    elif output is Form.table:
        emit(report_rows(report), Output.table, columns=REPORT_COLUMNS)
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


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="File or folder as it was; `-` for standard input.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="File or folder as it is now; `-` for standard input.", metavar="NEW")],
    resolver: ResolverOption = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 when the verdict is this or worse.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """List what changed, element by element: compatible, needs a new version, or breaking."""
    from remhart_adt.dtdl import VERDICTS
    from remhart_adt.dtdl import diff as compare

    if old == new == "-":
        raise ConfigError("standard input can be only one of the two", remedy="Give a file or folder as the other")
    found = compare(_parse([old], resolver), _parse([new], resolver))
    emit(
        (dataclasses.asdict(change) for change in found.changes),
        output,
        columns=("verdict", "interface", "element", "what", "old", "new"),
    )
    for dtmi in found.same_id:
        note(f"{dtmi} has changed and kept its DTMI; publish it under a new version")
    note(f"{len(found.pairs)} compared, {len(found.added)} added, {len(found.removed)} removed: {found.verdict}")
    if fail_on is not None and VERDICTS.index(found.verdict) >= VERDICTS.index(_VERDICT_OF[fail_on]):
        fail(f"the verdict is {found.verdict!r}", where=new)


@app.command()
def codegen(
    paths: PathsArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the package to write.", metavar="FOLDER")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this interface and what it needs; may be repeated.")
    ] = None,
    package: Annotated[str, typer.Option("--package", help="Dotted name the folder is imported by.")] = "",
    resolver: ResolverOption = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when a file is stale.")] = False,
) -> None:
    """Write a package of typed twins: one module per interface, pydantic classes with units and enumerations."""
    from remhart_adt.dtdl.codegen import write

    stale = write(_parse(paths, resolver), out, model or None, package=package, check=check)
    for path in stale:
        typer.echo(path)
    if check and stale:
        fail(f"{len(stale)} files are not up to date", where=str(out), remedy="Run the same command without --check")
    note(f"{out}: {len(stale)} files written" if stale else f"{out}: up to date")


@app.command()
def convert(
    path: Annotated[str, typer.Argument(help="File or folder of DTDL v2; `-` for standard input.", metavar="PATH")],
    to: Annotated[int, typer.Option("--to", help="DTDL version to write.")] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to. Default: standard output.", metavar="FOLDER")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write DTDL v2 as DTDL v3. What cannot be converted is refused and named; nothing is lost silently."""
    from remhart_adt.dtdl import convert as turn

    (source,) = _sources([path])
    done = turn(source, to)
    for remark in done.notes:
        note(str(remark))
    if out is None:
        if len(done.documents) > 1:
            raise ConfigError(f"{path} has {len(done.documents)} documents", remedy="Give --out FOLDER")
        for document in done.documents:
            typer.echo(document.text, nl=False)
    else:
        _write(done.documents, Path(path) if isinstance(source, Path) else None, out, force)
    for problem in done.problems:
        note(str(problem))
    if not done.complete:
        errors = sum(problem.severity == "error" for problem in done.problems)
        fail(f"{errors} reason{'s' if errors != 1 else ''} why not all was converted", where=path)
    note(f"{path}: {len(done.documents)} documents written in DTDL v{to}")


def _write(documents: Iterable[Converted], source: Path | None, out: Path, force: bool) -> None:
    base = source if source is not None and source.is_dir() else None
    named = {
        out
        / (Path(document.source).relative_to(base) if base else Path(source.name if source else "converted.json")): (
            document.text
        )
        for document in documents
    }
    there = [path for path in named if path.exists()]
    if there and not force:
        raise ConfigError(f"{there[0]} exists", remedy="Give another --out, or --force to write over it")
    for path, text in named.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


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

    most = (options or Defaults()).max_bytes
    sources: list[Any] = []
    for path in paths:
        if path == "-":
            # One more than allowed, so that too much is noticed without reading it all.
            data = typer.get_binary_stream("stdin").read(most + 1)
            try:
                sources.append(data.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                fail(f"it is not UTF-8: {error}", where="standard input", remedy="Write it as UTF-8")
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
    # Not Path.glob: like a shell, which may not have done it, wildcards must not match names that begin with a dot.
    return [path for found in glob.iglob(pattern, recursive=True) if (path := Path(found)).is_file()]  # noqa: PTH207


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
