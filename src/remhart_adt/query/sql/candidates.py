"""Conditions that an index can serve: the rows they may leave, found without reading a document.

A candidate is a necessary condition, never a sufficient one: the WHERE of the query is checked on every row it leaves.
So it may ignore that SQLite compares across types, and that it ends a string at U+0000. Whether one is worth using
depends on how many rows it leaves: `probe` counts them, up to a limit, by the index alone. With too many left, the page
is full sooner when the rows are read in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from remhart_adt.query import ast
from remhart_adt.query.scope import Scope
from remhart_adt.query.sql.conditions import ModelsOf, conjuncts
from remhart_adt.query.sql.rows import Statement
from remhart_adt.query.sql.values import COLUMNS, PLAIN, TABLES, Binder

__all__ = ["Candidate", "candidates", "probe"]

_LAST: Final = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Candidate:
    """`expression` is to be indexed on `table`, when it is not a column that is; `tests` are (operator, values)."""

    table: str
    expression: str
    column: bool
    tests: tuple[tuple[str, tuple[Any, ...]], ...]

    @property
    def exact(self) -> bool:
        """Whether it leaves a row for each of its values at most."""
        return self.expression == "id" and self.table.startswith("twins") and self.tests[0][0] == "IN"

    def rows(self, bind: Binder) -> str:
        """A SELECT of the numbers of the rows it leaves."""
        tests = [
            f"{self.expression} {op} " + (f"({bind.listed(values)})" if op == "IN" else bind(values[0]))
            for op, values in self.tests
        ]
        return f"SELECT n FROM {self.table} WHERE {' AND '.join(tests)}"


def candidates(query: ast.Query, *, models_of: ModelsOf, suffix: str = "") -> list[Candidate]:
    """The candidates among the conditions of a query over one collection that all have to hold."""
    scope = Scope(query)
    if scope.single is None:
        return []
    merged: dict[tuple[str, str], Candidate] = {}
    for part in conjuncts(query.where):
        found = _candidate(part, scope, models_of, suffix)
        if found is not None:
            # Both ends of a range are one walk along an index; each by itself may leave half of the table.
            key = (found.table, found.expression)
            known = merged.get(key)
            tests = found.tests if known is None else tuple(sorted((*known.tests, *found.tests), key=_equality_first))
            merged[key] = replace(found, tests=tests)
    return list(merged.values())


def probe(found: Sequence[Candidate], most: int) -> Statement:
    """The statement for one row: the number of rows that each candidate leaves, or `most` if more."""
    bind = Binder()
    counts = [f"(SELECT COUNT(*) FROM ({one.rows(bind)} LIMIT {bind(most)}))" for one in found]
    return Statement(f"SELECT {', '.join(counts)}", bind.parameters)


def _equality_first(test: tuple[str, tuple[Any, ...]]) -> bool:
    return test[0] != "IN"


def _candidate(expr: ast.Expr, scope: Scope, models_of: ModelsOf, suffix: str) -> Candidate | None:
    tests: tuple[tuple[str, tuple[Any, ...]], ...]
    match expr:
        case ast.Comparison(path, op, ast.Value(value)) if op != "!=" and value is not None:
            tests = _compared(op, value)
        case ast.InList(path, values, False) if None not in values:
            tests = (("IN", values),)
        case ast.StringTest("STARTSWITH", path, text) if text:
            tests = _starts(text)
        case ast.Or(items):
            return _one_of([_candidate(item, scope, models_of, suffix) for item in items])
        case ast.IsOfModel(model, _, exact):
            path, tests = ast.Path(("$metadata", "$model")), (("IN", tuple(sorted(models_of(model, exact)))),)
        case _:
            return None
    member, names = scope.resolve(path)
    given = [value for _, values in tests for value in values]
    if any(isinstance(value, str) and "\0" in value for value in given):
        return None
    table = TABLES[member.kind] + suffix
    column = COLUMNS[member.kind].get(names)
    if column is not None:
        return Candidate(table, column, True, tests) if all(isinstance(value, str) for value in given) else None
    if not names or not all(PLAIN.fullmatch(name) for name in names):
        return None
    # The very text that the index is made of: SQLite matches the two as expressions, and a parameter is never one.
    path_text = "".join(f'."{name}"' for name in names)
    return Candidate(table, f"json_extract(doc,'${path_text}')", False, tests)


def _one_of(found: Sequence[Candidate | None]) -> Candidate | None:
    """Alternatives that each give a list of values for the same thing: one list of all of them."""
    listed = [one for one in found if one is not None and [op for op, _ in one.tests] == ["IN"]]
    if len(listed) < len(found) or len({(one.table, one.expression) for one in listed}) > 1:
        return None
    return replace(listed[0], tests=(("IN", tuple(value for one in listed for value in one.tests[0][1])),))


def _compared(op: str, value: bool | float | str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """SQLite sorts numbers before strings: bounds keep to the values of one type."""
    if op == "=":
        return (("IN", (value,)),)
    if isinstance(value, str):
        # A stored string that ends early at U+0000 can be equal to what the whole of it is greater than.
        return ((">=", (value,)),) if op in (">", ">=") else ((op, (value,)), (">=", ("",)))
    return ((op, (value,)), ("<", ("",))) if op in (">", ">=") else ((op, (value,)),)


def _starts(text: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """From the text up to the first one that does not begin with it, as characters sort by their code points."""
    kept = text.rstrip(chr(_LAST))
    if not kept:
        return ((">=", (text,)),)
    following = ord(kept[-1]) + 1
    if following == 0xD800:  # the surrogates are no characters
        following = 0xE000
    return ((">=", (text,)), ("<", (kept[:-1] + chr(following),)))
