"""The `remhart-adt` command: one table of nouns, each imported only when it is the one asked for.

`remhart-adt --help` answers from the table alone, so it stays instant however heavy a noun's room is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from remhart_adt import __version__
from remhart_adt.cli.common import FAILED, render_error

__all__ = ["NOUNS", "Noun", "app", "main"]


class Noun(NamedTuple):
    """One entry of the command table: the module that holds it and its line of help.

    The module offers `app` (a `typer.Typer` with verbs) or `command` (a function that is the whole command).
    """

    module: str
    help: str


NOUNS: Final[dict[str, Noun]] = {
    "models": Noun("remhart_adt.cli.models", "Validate, plan, upload, list and delete DTDL models."),
    "dtdl": Noun("remhart_adt.cli.dtdl", "Check, show, compare and convert any DTDL; generate typed twins."),
    "graph": Noun("remhart_adt.cli.graph", "Validate, plan, apply and export the twin graph of a YAML file."),
    "twins": Noun("remhart_adt.cli.twins", "Get, list, patch and delete twins."),
    "query": Noun("remhart_adt.cli.query", "Run a query in the ADT query language and print its rows."),
    "sync": Noun("remhart_adt.cli.sync", "Run the telemetry daemon; replay dead letters."),
    "scoring": Noun("remhart_adt.cli.scoring", "List and check the ONNX models; score a file of readings."),
    "simulate": Noun("remhart_adt.cli.simulate", "Simulate a feeder and send its telemetry to a hub or a file."),
    "local": Noun("remhart_adt.cli.local", "Start the local stand-ins: ADT server and Event Hub."),
    "demo": Noun("remhart_adt.cli.demo", "Show the whole system at work on this machine."),
}


class _LazyGroup(TyperGroup):
    """A group whose commands come from `NOUNS`: stubs for help and completion, the real module when invoked."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        noun = NOUNS.get(cmd_name)
        return None if noun is None else TyperGroup(name=cmd_name, help=noun.help, rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Click asks this one when a command is invoked or completed, get_command also when it only lists them.
        self.commands = {name: self.get_command(ctx, name) for name in NOUNS}  # for "Did you mean ...?"
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub if stub is None or name is None else _load(name), rest


def _load(name: str) -> Any:
    module = import_module(NOUNS[name].module)
    inner = getattr(module, "app", None)
    if inner is None:
        inner = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        inner.command(name=name, help=NOUNS[name].help)(module.command)
    command = get_command(inner)
    command.name = name
    _plain(command)
    return command


def _plain(command: Any) -> None:
    # Plain help and usage errors for every noun alike, whatever its own Typer object says.
    command.rich_markup_mode = None
    for child in getattr(command, "commands", {}).values():
        _plain(child)


app = typer.Typer(
    cls=_LazyGroup,
    name="remhart-adt",
    help="Keep a smart grid's Azure Digital Twins graph true.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"remhart-adt {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and debug logs; allowed at any place of the line.")
    ] = False,
) -> None:
    """Options before the noun; `main` has already taken `--debug` out, wherever it stood."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: run one command and leave with its exit code (0, 1, 2, 3 or 70)."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = _take_debug(args)
    if debug:
        from remhart_adt import log

        log.configure(level="DEBUG")
    try:
        get_command(app)(args=args, prog_name="remhart-adt")
    except BrokenPipeError:
        # The reader of the pipe has gone (`| head`). Point stdout elsewhere, or the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        sys.exit(render_error(error, debug=debug))


def _take_debug(args: list[str]) -> bool:
    # People add --debug at the end of the line that just failed, so it counts anywhere before a bare `--`.
    end = args.index("--") if "--" in args else len(args)
    found = "--debug" in args[:end]
    args[:end] = [arg for arg in args[:end] if arg != "--debug"]
    return found


if __name__ == "__main__":
    main()
