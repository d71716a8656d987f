"""The forms of the language and of graphs that one pair has: what the generated pairs cover, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from generate import Generator
from oracle import MISSING, Graph, bindings, evaluate, kind_of, look_up, rows

from remhart_adt.query import ast

FORMS = """
from twins; from relationships; from with an alias; a name without prefix beside an alias
select *; select COUNT; select a collection; select a property; select below a property; select with an alias
select two of one key; select what is missing; select $metadata; TOP; TOP 0; no WHERE
join 1; join 2; join 3; join 4; join 5; join that branches; join variable; join by its relationship's name
join pinned at the first; join pinned at a later one
match of one node; match out; match in; match any; match mixed directions; match any name; match one name
match several names; match variable; match exact hops; match hops from a to b; match hops up to b; match two chains
match anonymous node; match pinned at the start; match pinned in the middle; match pinned at the end
condition on a relationship of a JOIN or MATCH; condition on two collections; IN pins; OR pins
graph with a self loop; graph with a cycle; graph with parallel relationships; graph with a loose end; graph without any
op =; op !=; op <; op >; op <=; op >=; property against property; with a string; with a number; with a truth value
with null; IN; NIN; IN with null; IN of mixed types; IS_DEFINED; IS_NULL; IS_BOOL; IS_NUMBER; IS_STRING; IS_OBJECT
IS_PRIMITIVE; STARTSWITH; ENDSWITH; CONTAINS; ARRAY_CONTAINS; IS_OF_MODEL; IS_OF_MODEL exact
IS_OF_MODEL without argument; IS_OF_MODEL of an unknown model; AND; OR; NOT; NOT over NOT; NOT over undefined
an OR of forty; missing value; value of another type; object compared; array compared; nested path; $metadata path
path through a scalar; name with a quote; name with a backslash; name with a control character; name not of ASCII
text with a quote; text with a backslash; text with U+0000; text not of ASCII; text beyond the BMP
text like SQL; text like a number
number beyond 2^53; number beyond 64 bits; real number; negative zero; some row; no row; more than ten rows
"""
ALL = [form for line in FORMS.strip().splitlines() for form in line.split("; ")]


def coverage(seed: int, numbers: Iterable[int]) -> Counter[str]:
    """How many of the pairs have each form."""
    counted: Counter[str] = Counter()
    for number in numbers:
        generator = Generator(f"{seed}:{number}")
        graph = generator.graph()
        counted.update(set(of_pair(generator.query(graph), graph)))
    return counted


def of_pair(query: ast.Query, graph: Graph) -> Iterator[str]:
    """The forms of one pair, some of them twice."""
    yield from _of_select(query)
    yield from _of_graph(graph)
    if query.joins:
        yield from _of_joins(query)
    if query.match is not None:
        yield from _of_match(query.match)
    if query.joins or query.match is not None:
        yield from _of_pins(query)
    found = [binding for _, binding in zip(range(30), bindings(query, graph), strict=False)]
    if query.where is None:
        yield "no WHERE"
    else:
        yield from _of_condition(query.where, query, graph, found)
    if isinstance(query.select, ast.Some):
        for binding in found:
            if any(look_up(item.path, query, binding) is MISSING for item in query.select.items):
                yield "select what is missing"
    answer = rows(query, graph)
    many = answer[0]["COUNT"] if isinstance(query.select, ast.Count) else len(answer)
    yield "some row" if many else "no row"
    if many > 10:
        yield "more than ten rows"


def _of_select(query: ast.Query) -> Iterator[str]:
    source = query.source
    yield "from twins" if source.collection == "DIGITALTWINS" else "from relationships"
    single = not query.joins and query.match is None
    if single and source.alias is not None:
        yield "from with an alias"
        if any(path.names[0] != source.alias for path in _paths(query)):
            yield "a name without prefix beside an alias"
    if query.top is not None:
        yield "TOP" if query.top else "TOP 0"
    match query.select:
        case ast.Star():
            yield "select *"
        case ast.Count():
            yield "select COUNT"
        case ast.Some(items):
            keys = [item.key for item in items]
            if len(set(keys)) < len(keys):
                yield "select two of one key"
            for item in items:
                prefixed = not single or item.path.names[0] == source.alias
                below = len(item.path.names) - prefixed
                yield "select a collection" if not below else "select a property"
                if below > 1:
                    yield "select below a property"
                if item.alias:
                    yield "select with an alias"
                if "$metadata" in item.path.names:
                    yield "select $metadata"


def _of_graph(graph: Graph) -> Iterator[str]:
    ends = [(one["$sourceId"], one["$targetId"]) for one in graph.relationships]
    if not ends:
        yield "graph without any"
    if any(source == target for source, target in ends):
        yield "graph with a self loop"
    if len(set(ends)) < len(ends):
        yield "graph with parallel relationships"
    if any(graph.twin(target) is None for _, target in ends):
        yield "graph with a loose end"
    after = {source: {target for one, target in ends if one == source and target != source} for source, _ in ends}
    for source in after:
        reached = set(after[source])
        for _ in after:
            reached |= {target for one in reached for target in after.get(one, ())}
        if source in reached:
            yield "graph with a cycle"


def _of_joins(query: ast.Query) -> Iterator[str]:
    yield f"join {len(query.joins)}"
    sources = [join.source for join in query.joins]
    if len(set(sources)) < len(sources):
        yield "join that branches"
    if any(join.variable for join in query.joins):
        yield "join variable"
    targets = {join.target for join in query.joins}
    names = {query.source.alias, *targets, *(join.variable for join in query.joins)}
    if any(path.names[0] not in names for path in _paths(query)):
        yield "join by its relationship's name"
    pinned = _pinned(query.where)
    yield "join pinned at the first" if query.source.alias in pinned else "join pinned at a later one"


def _of_match(match: ast.Match) -> Iterator[str]:
    if not match.edges:
        yield "match of one node"
    if len({edge.direction for edge in match.edges}) > 1:
        yield "match mixed directions"
    if any(node.name is None for node in match.nodes):
        yield "match anonymous node"
    chains = 0
    for edge in match.edges:
        yield f"match {edge.direction}"
        yield ("match any name", "match one name")[len(edge.names)] if len(edge.names) < 2 else "match several names"
        if edge.variable:
            yield "match variable"
        if edge.hops is not None:
            chains += 1
            open_ = "match hops up to b" if edge.hops.first is None else "match hops from a to b"
            yield "match exact hops" if edge.hops.exact else open_
    if chains > 1:
        yield "match two chains"


def _of_pins(query: ast.Query) -> Iterator[str]:
    nodes = [query.source.alias, *(join.target for join in query.joins)]
    if query.match is not None:
        nodes = [node.name for node in query.match.nodes]
        for at in (nodes.index(name) for name in _pinned(query.where) if name in nodes):
            yield "match pinned at the start" if at == 0 else "match pinned at the end"
            if 0 < at < len(nodes) - 1:
                yield "match pinned in the middle"
    for part in query.where.items if isinstance(query.where, ast.And) else (query.where,):
        if part is None:
            continue
        used = {path.names[0] for path in _paths_of(part)}
        if used - set(nodes):
            yield "condition on a relationship of a JOIN or MATCH"
        if len(used) > 1:
            yield "condition on two collections"
        if isinstance(part, ast.InList) and part.path.names[1:] == ("$dtId",):
            yield "IN pins"
        if isinstance(part, ast.Or) and len(used) == 1 and all(p.names[1:] == ("$dtId",) for p in _paths_of(part)):
            yield "OR pins"


def _pinned(where: ast.Expr | None) -> list[str]:
    return [path.names[0] for path in _paths_of(where) if path.names[1:] == ("$dtId",)] if where is not None else []


def _of_condition(where: ast.Expr, query: ast.Query, graph: Graph, found: list[Any]) -> Iterator[str]:
    """Of the first bindings it is evaluated on, too."""
    todo = [where]
    while todo:
        match item := todo.pop():
            case ast.And(items) | ast.Or(items):
                yield "AND" if isinstance(item, ast.And) else "OR"
                if isinstance(item, ast.Or) and len(items) >= 40:
                    yield "an OR of forty"
                todo += items
            case ast.Not(inner):
                yield "NOT over NOT" if isinstance(inner, ast.Not) else "NOT"
                if any(evaluate(inner, query, binding, graph) is None for binding in found):
                    yield "NOT over undefined"
                todo.append(inner)
            case ast.Comparison(left, op, right):
                yield f"op {op}"
                if isinstance(right, ast.Path):
                    yield "property against property"
                    continue
                yield from _of_literal(right.value)
                for binding in found:
                    kind, other = kind_of(look_up(left, query, binding)), kind_of(right.value)
                    yield {"missing": "missing value", "object": "object compared", "array": "array compared"}.get(
                        kind, "value of another type" if kind != other else f"op {op}"
                    )
            case ast.InList(_, values, negated):
                yield "NIN" if negated else "IN"
                if None in values:
                    yield "IN with null"
                if len({kind_of(value) for value in values}) > 1:
                    yield "IN of mixed types"
            case ast.TypeTest(name):
                yield name
            case ast.StringTest(name, _, text):
                yield name
                yield from _of_literal(text)
            case ast.ArrayContains():
                yield "ARRAY_CONTAINS"
            case ast.IsOfModel(model, collection, exact):
                yield "IS_OF_MODEL exact" if exact else "IS_OF_MODEL"
                if collection is None:
                    yield "IS_OF_MODEL without argument"
                if model not in graph.models:
                    yield "IS_OF_MODEL of an unknown model"
    for path in _paths_of(where):
        yield from _of_path(path, query, found)


def _of_path(path: ast.Path, query: ast.Query, found: list[Any]) -> Iterator[str]:
    if len(path.names) > 2:
        yield "nested path"
    if "$metadata" in path.names:
        yield "$metadata path"
    for name in path.names:
        for char, form in (('"', "a quote"), ("\\", "a backslash"), ("\x01", "a control character")):
            if char in name:
                yield f"name with {form}"
        if not name.isascii():
            yield "name not of ASCII"
    if len(path.names) > 1:
        above = ast.Path(path.names[:-1])
        if any(kind_of(look_up(above, query, binding)) in ("string", "number", "bool") for binding in found):
            yield "path through a scalar"


def _of_literal(value: Any) -> Iterator[str]:
    yield {"string": "with a string", "number": "with a number", "bool": "with a truth value", "null": "with null"}[
        kind_of(value)
    ]
    if isinstance(value, str):
        for char, form in (("'", "a quote"), ("\\", "a backslash"), ("\0", "U+0000")):
            if char in value:
                yield f"text with {form}"
        if not value.isascii():
            yield "text beyond the BMP" if max(value) > "\uffff" else "text not of ASCII"
        if "DROP" in value:
            yield "text like SQL"
        if value in ("1", "NaN", "Infinity", "-0", "1e5", "0x10", "2.0"):
            yield "text like a number"
    elif kind_of(value) == "number":
        if abs(value) > 2**53:
            yield "number beyond 2^53"
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield "number beyond 64 bits"
        if isinstance(value, float):
            yield "negative zero" if str(value) == "-0.0" else "real number"


def _paths(query: ast.Query) -> list[ast.Path]:
    selected = [item.path for item in query.select.items] if isinstance(query.select, ast.Some) else []
    return selected + (_paths_of(query.where) if query.where is not None else [])


def _paths_of(expr: ast.Expr) -> list[ast.Path]:
    found: list[ast.Path] = []
    todo = [expr]
    while todo:
        match todo.pop():
            case ast.And(items) | ast.Or(items):
                todo += items
            case ast.Not(inner):
                todo.append(inner)
            case ast.Comparison(left, _, right):
                found += [left, right] if isinstance(right, ast.Path) else [left]
            case ast.InList(path) | ast.TypeTest(_, path) | ast.StringTest(_, path) | ast.ArrayContains(path):
                found.append(path)
    return found
