"""`remhart-adt query`: a query in the ADT query language, its rows on standard output."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from remhart_adt.cli.common import EndpointOption, Output, OutputOption, connect, emit

__all__ = ["command"]


def command(
    text: Annotated[str, typer.Argument(help="The query, in quotes; `-` reads it from standard input.")],
    endpoint: EndpointOption = None,
    output: OutputOption = Output.json,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many rows.")] = None,
) -> None:
    """Run a query and print its rows. Changes of the last seconds may be missing."""
    from remhart_adt.errors import ConfigError
    from remhart_adt.limits import ADT_QUERY_CHARS

    if text == "-":
        text = typer.get_text_stream("stdin").read(ADT_QUERY_CHARS + 1)
    if len(text) > ADT_QUERY_CHARS:
        raise ConfigError(f"the query has more than {ADT_QUERY_CHARS:,} characters, the service takes no more")
    page = min(limit, 1000) if limit else None
    with connect(endpoint) as client:
        emit(islice(client.query(text, page_size=page), limit), output)
