"""The naive evaluator: what a query means, over Python dicts, by trying everything.

Written from the rules and not from the SQL: no index, no start, no keys. `rows(query, graph)` is a list of JSON values.
Three values throughout: True, False, and None for a comparison with nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from remhart_adt.query import ast

MISSING: Any = object()
Binding = dict[str, Any]


@dataclass
class Graph:
    """Twin and relationship documents, and what IS_OF_MODEL accepts for a model id."""

    twins: list[dict[str, Any]]
    relationships: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, list[str]] = field(default_factory=dict)

    def models_of(self, model: str, exact: bool) -> list[str]:
        return [model] if exact else self.models.get(model, [])

    def twin(self, twin_id: str) -> dict[str, Any] | None:
        return next((twin for twin in self.twins if twin["$dtId"] == twin_id), None)


def rows(query: ast.Query, graph: Graph) -> list[Any]:
    """The result rows, in no particular order, before TOP and paging."""
    found = [binding for binding in bindings(query, graph) if holds(query, binding, graph)]
    if isinstance(query.select, ast.Count):
        return [{"COUNT": len(found)}]
    if isinstance(query.select, ast.Star):
        return [binding[None] for binding in found]
    return [projected(query, query.select.items, binding) for binding in found]


def holds(query: ast.Query, binding: Binding, graph: Graph) -> bool:
    return query.where is None or evaluate(query.where, query, binding, graph) is True


def projected(query: ast.Query, items: tuple[ast.Projection, ...], binding: Binding) -> dict[str, Any]:
    row = {}
    for item in items:
        value = look_up(item.path, query, binding)
        if value is not MISSING:
            row[item.alias or item.path.names[-1]] = value
    return row


# --- bindings: names to documents; None names the only collection


def bindings(query: ast.Query, graph: Graph) -> Iterator[Binding]:
    if query.match is not None:
        for twin in graph.twins:
            yield from walked(query.match, 0, {query.match.nodes[0].name: twin}, [twin], graph)
    elif query.joins:
        for twin in graph.twins:
            yield from joined(query.joins, {query.source.alias: twin}, graph)
    else:
        for document in graph.twins if query.source.collection == "DIGITALTWINS" else graph.relationships:
            yield {None: document, query.source.alias: document}


def joined(joins: tuple[ast.Join, ...], binding: Binding, graph: Graph) -> Iterator[Binding]:
    if not joins:
        yield binding
        return
    join = joins[0]
    for relationship in graph.relationships:
        if relationship["$relationshipName"] != join.relationship:
            continue
        if relationship["$sourceId"] != binding[join.source]["$dtId"]:
            continue
        target = graph.twin(relationship["$targetId"])
        if target is not None:
            implied = {} if join.variable else {("by name", join.relationship): relationship}
            more = {join.target: target, **({join.variable: relationship} if join.variable else implied)}
            yield from joined(joins[1:], {**binding, **more}, graph)


def walked(
    match: ast.Match, at: int, binding: Binding, visited: list[dict[str, Any]], graph: Graph
) -> Iterator[Binding]:
    """`visited[-1]` is the twin of node `at`; no twin is visited twice."""
    if at == len(match.edges):
        yield binding
        return
    edge = match.edges[at]
    for path, relationships in paths(edge, [visited[-1]], [], visited, graph):
        more = {edge.variable: relationships[0]} if edge.variable else {}
        name = match.nodes[at + 1].name
        bound = {**binding, **more, **({name: path[-1]} if name else {})}
        yield from walked(match, at + 1, bound, visited + path[1:], graph)


def paths(
    edge: ast.Edge, path: list[Any], relationships: list[Any], visited: list[Any], graph: Graph
) -> Iterator[tuple[list[Any], list[Any]]]:
    allowed = hops_of(edge)
    if len(relationships) in allowed:
        yield path, relationships
    if len(relationships) == max(allowed):
        return
    here = path[-1]["$dtId"]
    for relationship in graph.relationships:
        if edge.names and relationship["$relationshipName"] not in edge.names:
            continue
        ends = []
        if edge.direction in ("out", "any") and relationship["$sourceId"] == here:
            ends.append(relationship["$targetId"])
        if edge.direction in ("in", "any") and relationship["$targetId"] == here:
            ends.append(relationship["$sourceId"])
        for end in ends:
            twin = graph.twin(end)
            if twin is not None and twin not in path and twin not in visited:
                yield from paths(edge, [*path, twin], [*relationships, relationship], visited, graph)


def hops_of(edge: ast.Edge) -> range:
    if edge.hops is None:
        return range(1, 2)
    if edge.hops.exact:
        return range(edge.hops.last, edge.hops.last + 1)
    first = edge.hops.first
    return range(1 if first is None else first + 1, edge.hops.last + 1)


# --- conditions


def kind_of(value: Any) -> str:
    if value is MISSING:
        return "missing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {"str": "string", "dict": "object", "list": "array"}[type(value).__name__]


def look_up(path: ast.Path, query: ast.Query, binding: Binding) -> Any:
    names = list(path.names)
    if query.joins or query.match:
        first = names.pop(0)
        value = binding[first] if first in binding else binding["by name", first]
    else:
        value = binding[None]
        if query.source.alias is not None and names[0] == query.source.alias:
            names.pop(0)
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def as_stored(value: Any) -> Any:
    """Integers beyond 64 bits are real numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def compare(left: Any, op: str, right: Any, *, literal: bool = True) -> bool | None:
    """Two values; with the literal null also a value of another type is known to differ."""
    kinds = {kind_of(left), kind_of(right)}
    if "missing" in kinds:
        return None
    if right is None and (literal or left is None):
        return {"=": left is None, "!=": left is not None}.get(op)
    if len(kinds) > 1 or kinds & {"object", "array"}:
        return None
    left, right = as_stored(left), as_stored(right)
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[op]


def evaluate(expr: ast.Expr, query: ast.Query, binding: Binding, graph: Graph) -> bool | None:
    match expr:
        case ast.And(items):
            values = [evaluate(item, query, binding, graph) for item in items]
            return False if False in values else None if None in values else True
        case ast.Or(items):
            values = [evaluate(item, query, binding, graph) for item in items]
            return True if True in values else None if None in values else False
        case ast.Not(item):
            value = evaluate(item, query, binding, graph)
            return None if value is None else not value
        case ast.Comparison(left, op, right):
            value = look_up(left, query, binding)
            if isinstance(right, ast.Path):
                return compare(value, op, look_up(right, query, binding), literal=False)
            return compare(value, op, right.value)
        case ast.InList(path, values, negated):
            value = look_up(path, query, binding)
            if value is MISSING:
                return None
            found = any(compare(value, "=", item) is True for item in values)
            return found is not negated
        case ast.TypeTest(name, path):
            kind = kind_of(look_up(path, query, binding))
            return {
                "IS_DEFINED": kind != "missing",
                "IS_NULL": kind in ("missing", "null"),
                "IS_BOOL": kind == "bool",
                "IS_NUMBER": kind == "number",
                "IS_STRING": kind == "string",
                "IS_OBJECT": kind == "object",
                "IS_PRIMITIVE": kind in ("bool", "number", "string", "null"),
            }[name]
        case ast.StringTest(name, path, text):
            value = look_up(path, query, binding)
            if not isinstance(value, str):
                return None
            tests = {"STARTSWITH": value.startswith, "ENDSWITH": value.endswith, "CONTAINS": value.__contains__}
            return tests[name](text)
        case ast.ArrayContains(path, wanted):
            value = look_up(path, query, binding)
            if not isinstance(value, list):
                return None
            return any(kind_of(item) == kind_of(wanted) and as_stored(item) == as_stored(wanted) for item in value)
        case ast.IsOfModel(model, collection, exact):
            twin = binding[collection]
            return twin["$metadata"]["$model"] in graph.models_of(model, exact)
    raise AssertionError(expr)
