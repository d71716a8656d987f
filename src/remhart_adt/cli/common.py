"""What every command shares: output forms, connection options, the one way an error is shown, exit codes.

Data goes to standard output and everything else to standard error, so that a pipe only ever carries data.
Nothing here imports a heavy package at module level: `--help` has to stay instant.
"""

from __future__ import annotations

import enum
import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO

import typer

from remhart_adt.errors import ConfigError, MissingExtraError, RemhartError
from remhart_adt.log import redact

if TYPE_CHECKING:
    from remhart_adt.client import AdtClient, AsyncAdtClient

__all__ = [
    "CHANGES_PENDING",
    "DONE",
    "ENDPOINT_ENV",
    "FAILED",
    "INTERNAL",
    "USAGE",
    "EndpointOption",
    "Output",
    "OutputOption",
    "connect",
    "connect_async",
    "emit",
    "emit_one",
    "endpoint_of",
    "fail",
    "note",
    "noun_app",
    "render_error",
]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CHANGES_PENDING: Final = 3
INTERNAL: Final = 70

ENDPOINT_ENV: Final = "REMHART_ADT__ENDPOINT"

# Which extra brings a package that the core install lacks; longest prefix wins.
_EXTRA_OF: Final = {
    "azure.eventhub": "sync",
    "aiohttp": "sync",
    "orjson": "sync",
    "numpy": "sync",
    "onnxruntime": "sync",
    "starlette": "local",
    "uvicorn": "local",
    "lark": "local",
    "dss": "simulate",
    "prometheus_client": "observe",
    "pandas": "offline",
    "pyarrow": "offline",
    "matplotlib": "offline",
}


class Output(enum.StrEnum):
    """How a command writes its data."""

    table = "table"
    json = "json"
    ndjson = "ndjson"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="Form of the data on standard output.", show_default=True)
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help=f"Instance to talk to: a host name or a URL. Default: {ENDPOINT_ENV}.",
        metavar="HOST|URL",
        show_default=False,
    ),
]


def noun_app(help_text: str) -> typer.Typer:
    """An empty command group for one noun, with the settings all nouns share."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


# --- data out ---------------------------------------------------------------------------------------------------------


def emit(
    rows: Iterable[Mapping[str, Any]],
    output: Output,
    *,
    columns: Sequence[str] | None = None,
    stream: TextIO | None = None,
) -> int:
    """Write rows of one kind and return how many there were.

    `ndjson` writes each row as it comes; `table` needs them all to align its columns. `columns` fixes the
    columns of the table and their order (the JSON forms always carry whole rows).
    """
    out = stream or sys.stdout
    count = 0
    if output is Output.ndjson:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            count += 1
        return count
    collected = list(rows)
    if output is Output.json:
        out.write(json.dumps(collected, ensure_ascii=False, indent=2, default=str) + "\n")
    elif collected:
        _table(collected, columns or _columns_of(collected), out)
    return len(collected)


def emit_one(row: Mapping[str, Any], output: Output, *, stream: TextIO | None = None) -> None:
    """Write one document: as JSON, or as a two-column table of its leaves."""
    out = stream or sys.stdout
    if output is Output.table:
        _table([{"PATH": path, "VALUE": value} for path, value in _leaves(row)], ("PATH", "VALUE"), out, header=False)
    else:
        indent = 2 if output is Output.json else None
        out.write(json.dumps(row, ensure_ascii=False, indent=indent, default=str) + "\n")


def note(text: str) -> None:
    """A remark for the person at the terminal, on standard error."""
    print(text, file=sys.stderr)


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    seen: dict[str, None] = {}
    for row in rows:
        seen.update(dict.fromkeys(row))
    return list(seen)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], out: TextIO, *, header: bool = True) -> None:
    # Plain aligned text: never cut to a terminal's width and without boxes, so that grep and cut work on it.
    lines = [[_cell(row.get(column)) for column in columns] for row in rows]
    if header:
        lines.insert(0, [column.upper() for column in columns])
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Mapping | list) else str(value)
    return " ".join(text.split())


def _leaves(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


# --- the instance -----------------------------------------------------------------------------------------------------


def endpoint_of(flag: str | None) -> str:
    """The endpoint of the flag, else of the settings. Raises ConfigError when neither names one."""
    if flag:
        return flag
    from remhart_adt.config import load_settings

    endpoint = load_settings().adt.endpoint
    if not endpoint:
        raise ConfigError(
            "no Azure Digital Twins instance is named",
            remedy=f"Give --endpoint HOST, or set {ENDPOINT_ENV}; "
            "for a rehearsal on this machine start `remhart-adt local up` and use the endpoint it prints",
        )
    return endpoint


def connect(flag: str | None) -> AdtClient:
    """A synchronous client for the instance that the flag or the settings name."""
    from remhart_adt.client import connect as open_client

    return open_client(endpoint_of(flag), **_patience())


def connect_async(flag: str | None) -> AsyncAdtClient:
    """An asynchronous client for the instance that the flag or the settings name."""
    from remhart_adt.client import connect_async as open_client

    return open_client(endpoint_of(flag), **_patience())


def _patience() -> dict[str, Any]:
    from remhart_adt.client import RetryPolicy
    from remhart_adt.config import load_settings

    settings = load_settings().adt
    told = False

    def tell(error: RemhartError, _wait: float) -> None:
        nonlocal told
        if not told:
            note(f"{error.where or 'the instance'}: {error.what}; trying again for up to {settings.deadline:g} s ...")
        told = True

    return {"retry": RetryPolicy(deadline=settings.deadline, on_retry=tell), "timeout": settings.timeout}


# --- errors -----------------------------------------------------------------------------------------------------------


def fail(what: str, *, where: str = "", remedy: str = "") -> NoReturn:
    """End the command with exit code 1 and this message."""
    raise RemhartError(what, where=where, remedy=remedy)


def render_error(error: BaseException, *, debug: bool) -> int:
    """Write one paragraph (what, where, what to do) on standard error and return the exit code.

    The traceback is shown only with `--debug`. Text that looks like a secret is blanked in both.
    """
    shown, code = _classify(error)
    if debug:
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    label = "Error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = f"\x1b[1;31m{label}\x1b[0m"
    sys.stderr.write(f"{label} {redact(shown)}\n")
    for line in _details(error):
        sys.stderr.write(f"  {redact(line)}\n")
    return code


def _classify(error: BaseException) -> tuple[str, int]:
    if isinstance(error, ModuleNotFoundError):
        extra = _extra_for(error.name or "")
        if extra is not None:
            error = MissingExtraError(extra, needed_for=f"This command (module {error.name})")
    if isinstance(error, ConfigError):
        return str(error), USAGE
    if isinstance(error, RemhartError):
        return str(error), FAILED
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}.", FAILED
    text = f"internal error: {type(error).__name__}: {error}. This is a defect of remhart-adt, not of your input; "
    return text + "run the command again with --debug and report the traceback.", INTERNAL


def _extra_for(module: str) -> str | None:
    while module:
        if module in _EXTRA_OF:
            return _EXTRA_OF[module]
        module = module.rpartition(".")[0]
    return None


def _details(error: BaseException) -> list[str]:
    # Errors that carry a list (a graph file, a set of models) show each entry on its own line.
    problems = getattr(error, "problems", None) or getattr(getattr(error, "report", None), "problems", None) or ()
    return [str(problem) for problem in problems]
