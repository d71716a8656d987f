"""Query text from typed parts, escaped, so that no caller pastes a value into a query.

Q.twins("T").where(prop("T.alarms.voltageSag.severity").eq("major") & of_model(DTMI)).top(5).text()
Q.twins("A").join("B", "A.feeds", "R").where(prop("A.$dtId").eq("bus-1"), prop("R.open").eq(False)).select("B")
Q.match(Pattern.at("A").out("feeds", to="B", hops=(None, 3))).where(prop("A.$dtId").eq("bus-1")).select("B")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from typing import Literal

from remhart_adt.errors import QueryError
from remhart_adt.query import ast
from remhart_adt.query.check import check, check_text
from remhart_adt.query.text import format_query

__all__ = ["Pattern", "Prop", "Q", "all_of", "any_of", "of_model", "prop"]

Hops = int | tuple[int | None, int]
"""So many hops, or a range of them: its start is excluded and its end included, as in the language; None is 0."""


@dataclass(frozen=True, slots=True)
class Prop:
    """A property path; its methods make conditions."""

    path: ast.Path

    def eq(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path = value`."""
        return self._compare("=", value)

    def ne(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path != value`."""
        return self._compare("!=", value)

    def lt(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path < value`."""
        return self._compare("<", value)

    def le(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path <= value`."""
        return self._compare("<=", value)

    def gt(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path > value`."""
        return self._compare(">", value)

    def ge(self, value: ast.Scalar | Prop) -> ast.Expr:
        """`path >= value`."""
        return self._compare(">=", value)

    def is_in(self, values: Iterable[ast.Scalar]) -> ast.Expr:
        """`path IN [..]`."""
        return ast.InList(self.path, tuple(values))

    def not_in(self, values: Iterable[ast.Scalar]) -> ast.Expr:
        """`path NIN [..]`."""
        return ast.InList(self.path, tuple(values), negated=True)

    def is_defined(self) -> ast.Expr:
        """`IS_DEFINED(path)`."""
        return ast.TypeTest("IS_DEFINED", self.path)

    def is_type(self, name: ast.TypeTestName) -> ast.Expr:
        """`IS_NUMBER(path)` and the like."""
        return ast.TypeTest(name, self.path)

    def startswith(self, text: str) -> ast.Expr:
        """`STARTSWITH(path, 'text')`."""
        return ast.StringTest("STARTSWITH", self.path, text)

    def endswith(self, text: str) -> ast.Expr:
        """`ENDSWITH(path, 'text')`."""
        return ast.StringTest("ENDSWITH", self.path, text)

    def contains(self, text: str) -> ast.Expr:
        """`CONTAINS(path, 'text')`."""
        return ast.StringTest("CONTAINS", self.path, text)

    def array_contains(self, value: ast.Scalar) -> ast.Expr:
        """`ARRAY_CONTAINS(path, value)`."""
        return ast.ArrayContains(self.path, value)

    def _compare(self, op: ast.CompareOp, value: ast.Scalar | Prop) -> ast.Expr:
        return ast.Comparison(self.path, op, value.path if isinstance(value, Prop) else ast.Value(value))


def prop(path: str, *more: str) -> Prop:
    """`prop("T.alarms.voltageSag")`; with more arguments every argument is one name: `prop("tags", "odd.key")`."""
    names = (path, *more) if more else tuple(path.split("."))
    if not all(names):
        raise QueryError(f"an empty name in the path {path!r}")
    return Prop(ast.Path(names))


def of_model(dtmi: str, *, collection: str | None = None, exact: bool = False) -> ast.Expr:
    """`IS_OF_MODEL([collection,] 'dtmi' [, exact])`."""
    return ast.IsOfModel(dtmi, collection, exact)


def all_of(*conditions: ast.Expr) -> ast.Expr:
    """Every condition holds."""
    return reduce(and_, conditions)


def any_of(*conditions: ast.Expr) -> ast.Expr:
    """Some condition holds."""
    return reduce(or_, conditions)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern for MATCH being composed, from its first node to its last; every method returns a new one."""

    nodes: tuple[ast.Node, ...]
    edges: tuple[ast.Edge, ...] = ()

    @staticmethod
    def at(name: str | None = None) -> Pattern:
        """One node; without a name any twin."""
        return Pattern((ast.Node(name),))

    def out(self, *names: str, to: str | None = None, variable: str | None = None, hops: Hops | None = None) -> Pattern:
        """On along relationships with one of these names, or any: `-[variable:name|name*hops]->(to)`."""
        return self._on("out", names, to, variable, hops)

    def back(
        self, *names: str, to: str | None = None, variable: str | None = None, hops: Hops | None = None
    ) -> Pattern:
        """On against the direction of the relationships: `<-[..]-(to)`."""
        return self._on("in", names, to, variable, hops)

    def either(
        self, *names: str, to: str | None = None, variable: str | None = None, hops: Hops | None = None
    ) -> Pattern:
        """On in either direction: `-[..]-(to)`."""
        return self._on("any", names, to, variable, hops)

    def _on(
        self,
        direction: Literal["out", "in", "any"],
        names: tuple[str, ...],
        to: str | None,
        variable: str | None,
        hops: Hops | None,
    ) -> Pattern:
        range_ = None
        if isinstance(hops, int):
            range_ = ast.Hops(hops, hops, True)
        elif hops is not None:
            range_ = ast.Hops(hops[0], hops[1], False)
        edge = ast.Edge(direction, variable, names, range_)
        return Pattern((*self.nodes, ast.Node(to)), (*self.edges, edge))


@dataclass(frozen=True, slots=True)
class Q:
    """A query being composed; every method returns a new one."""

    query: ast.Query

    @staticmethod
    def twins(alias: str | None = None) -> Q:
        """Over DIGITALTWINS."""
        return Q(ast.Query(ast.Star(), ast.Source("DIGITALTWINS", alias)))

    @staticmethod
    def relationships(alias: str | None = None) -> Q:
        """Over RELATIONSHIPS."""
        return Q(ast.Query(ast.Star(), ast.Source("RELATIONSHIPS", alias)))

    @staticmethod
    def match(pattern: Pattern) -> Q:
        """Over the twins and relationships that the pattern fits; it names them."""
        return Q(ast.Query(ast.Star(), match=ast.Match(pattern.nodes, pattern.edges)))

    def join(self, target: str, along: str | Prop, variable: str | None = None) -> Q:
        """`JOIN target RELATED along [variable]`, where `along` is `source.relationship`."""
        names = _path(along).names
        if len(names) != 2:
            raise QueryError(f"a JOIN goes along source.relationship, not {'.'.join(names)!r}")
        return Q(replace(self.query, joins=(*self.query.joins, ast.Join(target, names[0], names[1], variable))))

    def select(self, *paths: str | Prop, **aliases: str | Prop) -> Q:
        """Project paths, keyed by their last name, or by the given alias: `select("T.name", total="T.load")`."""
        items = [ast.Projection(_path(path)) for path in paths]
        items += [ast.Projection(_path(path), alias) for alias, path in aliases.items()]
        return Q(replace(self.query, select=ast.Some(tuple(items))))

    def count(self) -> Q:
        """`SELECT COUNT()`."""
        return Q(replace(self.query, select=ast.Count()))

    def top(self, count: int) -> Q:
        """At most `count` rows."""
        return Q(replace(self.query, top=count))

    def where(self, *conditions: ast.Expr) -> Q:
        """Rows for which every condition holds, and those given before."""
        given = (self.query.where,) if self.query.where else ()
        return Q(replace(self.query, where=all_of(*given, *conditions)))

    def text(self) -> str:
        """The query text; raises `QueryError` for one that the service would refuse."""
        text = format_query(self.query)
        check_text(text)
        check(self.query)
        return text

    def __str__(self) -> str:
        return self.text()


def _path(path: str | Prop) -> ast.Path:
    return path.path if isinstance(path, Prop) else prop(path).path
