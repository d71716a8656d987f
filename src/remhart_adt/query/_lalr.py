"""The LALR parser of `grammar.lark`; the AST is built while parsing, so deep nesting costs no recursion."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path as FilePath
from typing import Any, Final, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from remhart_adt.errors import QueryError
from remhart_adt.query import ast

__all__ = ["parse_text"]

_ESCAPE: Final = re.compile(r"\\(['\\])")


def parse_text(text: str) -> ast.Query:
    """The AST of a text; raises `QueryError` where the text leaves the grammar."""
    try:
        return cast(ast.Query, _parser().parse(text))
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from None
        raise


@cache
def _parser() -> Lark:
    grammar = (FilePath(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=_Build(), maybe_placeholders=True)


def _syntax_error(error: UnexpectedInput, text: str) -> QueryError:
    """The service's parser words its faults like ANTLR; only `missing X at 'tok'` is recorded, the rest follows it."""
    if isinstance(error, UnexpectedToken):
        at_end = error.token.type == "$END"
        shown = "<EOF>" if at_end else f"'{error.token}'"
        expected = sorted(error.accepts or error.expected)
        line, column = (_end(text)) if at_end else (error.line, error.column - 1)
    else:
        char = error.char if isinstance(error, UnexpectedCharacters) else "?"
        shown = f"'{char}'"
        expected = sorted(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else []
        line, column = error.line, error.column - 1
    names = [name for name in expected if not name.startswith("__")]
    if len(names) == 1 and names[0] != "$END":
        what = f"missing {names[0]} at {shown}"
    elif names == ["$END"]:
        what = f"extraneous input {shown} expecting <EOF>"
    else:
        listed = ", ".join(name.replace("$END", "<EOF>") for name in names)
        what = f"mismatched input {shown} expecting {{{listed}}}"
    return QueryError(what, line=line, column=column)


def _end(text: str) -> tuple[int, int]:
    lines = text.split("\n")
    return len(lines), len(lines[-1])


def _pos(token: Token) -> ast.Pos:
    return ast.Pos(token.line or 1, (token.column or 1) - 1)


def _unquote(token: Token) -> str:
    return _ESCAPE.sub(r"\1", str(token)[1:-1])


def _count(token: Token) -> int:
    if len(token) > 9:
        pos = _pos(token)
        raise QueryError(f"{token[:9]}... is too large", line=pos.line, column=pos.column)
    return int(token)


class _Name(str):
    """A name with the place it was read at; it becomes a plain string in the AST."""

    __slots__ = ("pos",)
    pos: ast.Pos


def _name(text: str, token: Token) -> _Name:
    name = _Name(text)
    name.pos = _pos(token)
    return name


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """One method for each named alternative of the grammar."""

    def bare_name(self, token: Token) -> _Name:
        if token.upper() in ast.RESERVED:
            pos = _pos(token)
            what = f"'{token}' is a reserved word; write [[{token}]]"
            raise QueryError(what, line=pos.line, column=pos.column)
        return _name(str(token), token)

    def escaped_name(self, token: Token) -> _Name:
        return _name(str(token)[2:-2], token)

    def path(self, *names: _Name) -> ast.Path:
        return ast.Path(tuple(str(name) for name in names), names[0].pos)

    def string(self, token: Token) -> ast.Value:
        return ast.Value(_unquote(token), _pos(token))

    def number(self, token: Token) -> ast.Value:
        text = str(token)
        # Longer than any integer there is on a twin: Python refuses thousands of digits, and SQLite has real numbers.
        whole = len(text) <= 100 and not any(char in text for char in ".eE")
        value = int(text) if whole else float(text)
        return ast.Value(value, _pos(token))

    def true(self, token: Token) -> ast.Value:
        return ast.Value(True, _pos(token))

    def false(self, token: Token) -> ast.Value:
        return ast.Value(False, _pos(token))

    def null(self, token: Token) -> ast.Value:
        return ast.Value(None, _pos(token))

    def disjunction(self, *parts: Any) -> ast.Expr:
        return ast.Or(tuple(part for part in parts if not isinstance(part, Token)))

    def conjunction(self, *parts: Any) -> ast.Expr:
        return ast.And(tuple(part for part in parts if not isinstance(part, Token)))

    def negate(self, token: Token, item: ast.Expr) -> ast.Expr:
        return ast.Not(item, _pos(token))

    def compare(self, left: ast.Path, op: Token, right: ast.Value | ast.Path) -> ast.Expr:
        return ast.Comparison(left, cast(ast.CompareOp, str(op)), right, left.pos)

    def in_list(self, path: ast.Path, _in: Token, *values: ast.Value) -> ast.Expr:
        return ast.InList(path, tuple(value.value for value in values), False, path.pos)

    def not_in_list(self, path: ast.Path, _nin: Token, *values: ast.Value) -> ast.Expr:
        return ast.InList(path, tuple(value.value for value in values), True, path.pos)

    def is_of_model(self, function: Token, collection: _Name | None, model: Token, exact: Token | None) -> ast.Expr:
        named = None if collection is None else str(collection)
        return ast.IsOfModel(_unquote(model), named, exact is not None, _pos(function))

    def type_test(self, function: Token, path: ast.Path) -> ast.Expr:
        return ast.TypeTest(cast(ast.TypeTestName, function.upper()), path, _pos(function))

    def string_test(self, function: Token, path: ast.Path, text: Token) -> ast.Expr:
        return ast.StringTest(cast(ast.StringTestName, function.upper()), path, _unquote(text), _pos(function))

    def array_contains(self, function: Token, path: ast.Path, value: ast.Value) -> ast.Expr:
        return ast.ArrayContains(path, value.value, _pos(function))

    def where(self, _where: Token, condition: ast.Expr) -> ast.Expr:
        return condition

    def top(self, _top: Token, count: Token) -> int:
        return _count(count)

    def projection(self, path: ast.Path, _as: Token | None, alias: _Name | None) -> ast.Projection:
        return ast.Projection(path, None if alias is None else str(alias))

    def select_star(self, _select: Token, star: Token) -> tuple[ast.Select, int | None]:
        return ast.Star(_pos(star)), None

    def select_count(self, _select: Token, _count: Token) -> tuple[ast.Select, int | None]:
        return ast.Count(), None

    def select_top(self, select: Token, top: int) -> tuple[ast.Select, int | None]:
        return ast.Star(_pos(select)), top

    def select_some(self, _select: Token, *items: ast.Projection) -> tuple[ast.Select, int | None]:
        return ast.Some(items), None

    def select_some_top(self, _select: Token, top: int, *items: ast.Projection) -> tuple[ast.Select, int | None]:
        return ast.Some(items), top

    def alias(self, *parts: Any) -> str:
        return str(parts[-1])

    def from_clause(self, _from: Token, collection: Token, alias: str | None) -> ast.Source:
        return ast.Source(cast(ast.Collection, collection.upper()), alias, _pos(collection))

    def join(
        self, join: Token, target: _Name, _related: Token, source: _Name, relationship: _Name, variable: _Name | None
    ) -> ast.Join:
        named = None if variable is None else str(variable)
        return ast.Join(str(target), str(source), str(relationship), named, _pos(join))

    def joins(self, *joins: ast.Join) -> tuple[ast.Join, ...]:
        return joins

    def node(self, name: _Name | None) -> ast.Node:
        return ast.Node() if name is None else ast.Node(str(name), name.pos)

    def variable(self, name: _Name) -> str:
        return str(name)

    def kinds(self, *names: _Name) -> tuple[str, ...]:
        return tuple(str(name) for name in names)

    def hops_exact(self, _star: Token, count: Token) -> ast.Hops:
        return ast.Hops(_count(count), _count(count), True)

    def hops_range(self, _star: Token, first: Token | None, last: Token) -> ast.Hops:
        return ast.Hops(None if first is None else _count(first), _count(last), False)

    def edge(
        self, left: Token, variable: str | None, kinds: tuple[str, ...] | None, hops: ast.Hops | None, right: Token
    ) -> ast.Edge:
        if left == "<-" and right == "->":
            pos = _pos(left)
            raise QueryError("an edge has one direction or none", line=pos.line, column=pos.column)
        direction = "in" if left == "<-" else "out" if right == "->" else "any"
        return ast.Edge(cast(Any, direction), variable, kinds or (), hops, _pos(left))

    def match(self, match: Token, *parts: ast.Node | ast.Edge) -> ast.Match:
        nodes = tuple(part for part in parts if isinstance(part, ast.Node))
        edges = tuple(part for part in parts if isinstance(part, ast.Edge))
        return ast.Match(nodes, edges, _pos(match))

    def pattern(self, match: ast.Match) -> ast.Match:
        return match

    def start(
        self,
        select: tuple[ast.Select, int | None],
        source: ast.Source,
        tail: tuple[ast.Join, ...] | ast.Match,
        where: ast.Expr | None = None,
    ) -> ast.Query:
        joins, match = ((), tail) if isinstance(tail, ast.Match) else (tail, None)
        return ast.Query(select[0], source, where, select[1], joins, match)
