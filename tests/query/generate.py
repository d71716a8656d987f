"""Graphs and queries by the thousand, the same for the same number: small enough that conditions often hold.

Documents have what a twin may hold and more: mixed types under one name, missing ones, nested objects, arrays, names
and strings that JSON or SQL would have to escape. Queries have every form of the language. No identifier is ever odd
enough to be refused by the grammar: `]]` cannot be written in a name.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from oracle import Graph

from remhart_adt.query import ast

MARK = "\uffff"
NAMES = [
    "a",
    "b",
    "c",
    "name",
    "Group",
    "$metadata",
    "x y",
    'q"uote',
    "back\\slash",
    "ctl\x01",
    f"{MARK}0",
    "ä",
    "it's",
]
TEXTS = [
    *("", "a", "ab", "abc", "b", "A", "ä", "z", "1", "true", "null", "t1", "t2", "it's", "back\\slash", '"', "%", "_"),
    *(
        "a\nb",
        "\0",
        "a\0",
        "a\0b",
        "\0b",
        "a\\u0000b",
        f"{MARK}",
        f"{MARK}0",
        f"a{MARK}1\0",
        "\U0001f600",
        "\U0010ffff",
    ),
    *("'); DROP TABLE twins; --", "$dtId", "\ud7ff", "\ue000", "[1]", "{}", '{"a":1}'),
    *("NaN", "Infinity", "-0", "1e5", "0x10", "2.0"),
]
NUMBERS = [
    *(-3, -1, 0, 1, 2, 3, 0.5, -1.5, 2.0, -0.0, 0.1, 0.30000000000000004, 1e300, -1e300, 5e-324, 1e22, 123456789.125),
    *(2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**20, 1.7976931348623157e308, 49, 50, 50.5),
]
MODELS = ["dtmi:m:A;1", "dtmi:m:A;2", "dtmi:m:B;1", "dtmi:m:C;1"]
EXTENDS = {"dtmi:m:B;1": "dtmi:m:A;2"}
ACCEPTED = {one: [one] for one in MODELS} | {"dtmi:m:A;1": MODELS[:3], "dtmi:m:A;2": MODELS[1:3]}
KINDS = ["has", "feeds", "contains", "od'd \"one"]
TYPE_TESTS = ["IS_DEFINED", "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_OBJECT", "IS_PRIMITIVE"]
STRING_TESTS = ["STARTSWITH", "ENDSWITH", "CONTAINS"]
OPS = ["=", "!=", "<", ">", "<=", ">="]


def leaves(value: Any, names: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """The paths of a document that end in a scalar or an array, with what stands there."""
    if not isinstance(value, dict):
        return [(names, value)]
    return [leaf for name, item in value.items() for leaf in leaves(item, (*names, name))]


class Generator:
    """One random source; every part of a query is drawn from it."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        # A pair uses few names and values, so that they meet.
        self.names = self.rng.sample(NAMES, 3)
        self.texts = self.rng.sample(TEXTS, 5)
        self.numbers = self.rng.sample(NUMBERS, 4)
        self.kinds = self.rng.sample(KINDS, 2)
        # What the documents of the graph hold, so that conditions can ask for it: (kind, names, value).
        self.known: list[tuple[str, tuple[str, ...], Any]] = []

    # --- graphs

    def scalar(self) -> Any:
        kind = self.rng.random()
        if kind < 0.4:
            return self.rng.choice(self.texts)
        if kind < 0.8:
            return self.rng.choice(self.numbers)
        return self.rng.choice((True, False, None))

    def value(self, depth: int = 0) -> Any:
        kind = self.rng.random()
        if depth > 2 or kind < 0.7:
            return self.scalar()
        if kind < 0.87:
            return {name: self.value(depth + 1) for name in self.rng.sample(self.names, self.rng.randint(0, 3))}
        return [self.value(depth + 1) for _ in range(self.rng.randint(0, 3))]

    def body(self) -> dict[str, Any]:
        chosen = self.rng.sample(self.names, self.rng.randint(0, 3))
        return {name: self.value() for name in chosen if not name.startswith("$")}

    def graph(self) -> Graph:
        rng = self.rng
        ids = rng.sample(["t1", "t2", "t3", "t4", "T1", "t'5", 't"6', "ä", "t\\8"], rng.randint(1, 7))
        twins = []
        for twin_id in ids:
            times = {name: {"lastUpdateTime": f"2024-01-0{rng.randint(1, 3)}"} for name in self.names}
            metadata = {"$model": rng.choice(MODELS), "$lastUpdateTime": "2024-01-01", **times}
            twins.append({"$dtId": twin_id, "$etag": "e", **self.body(), "$metadata": metadata})
        relationships = []
        for number in range(rng.randint(0, 4 * len(ids))):
            source, target = rng.choice(ids), rng.choice([*ids, "gone"])  # to itself, or to nowhere, now and then
            relationships.append(
                {
                    "$relationshipId": f"r{number}",
                    "$etag": "e",
                    "$sourceId": source,
                    "$relationshipName": rng.choice(self.kinds),
                    "$targetId": target,
                    **self.body(),
                }
            )
        for kind, documents in (("twin", twins), ("relationship", relationships)):
            self.known += [(kind, path, value) for document in documents for path, value in leaves(document)]
        return Graph(twins, relationships, ACCEPTED)

    # --- conditions

    def path(self, names: list[tuple[str | None, str]]) -> ast.Path:
        """`names` are (collection or None for no prefix, kind of it)."""
        rng = self.rng
        collection, kind = rng.choice(names)
        special = {
            "twin": [("$dtId",), ("$metadata", "$model"), ("$metadata",), ("$metadata", "none")],
            "relationship": [("$relationshipId",), ("$sourceId",), ("$relationshipName",), ("$targetId",)],
        }[kind]
        if kind == "twin" and rng.random() < 0.1:
            below: tuple[str, ...] = ("$metadata", rng.choice(self.names), "lastUpdateTime")
        elif rng.random() < 0.2:
            below = rng.choice(special)
        else:
            below = tuple(rng.choice(self.names) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        if collection is not None and rng.random() < 0.02:
            return ast.Path((collection,))
        return ast.Path(below if collection is None else (collection, *below))

    def literal(self) -> Any:
        if self.rng.random() < 0.15:
            return self.rng.choice(("t1", "t2", *MODELS, "r1", "has", "2024-01-02"))
        return self.scalar()

    def leaf(self, names: list[tuple[str | None, str]]) -> ast.Expr:
        rng = self.rng
        path = self.path(names)
        if rng.random() < 0.6:
            sure = self.likely(names)
            if sure is not None:
                return sure
        match rng.randint(0, 13):
            case 0 | 1 | 2 | 3:
                right: Any = self.path(names) if rng.random() < 0.2 else ast.Value(self.literal())
                return ast.Comparison(path, rng.choice(OPS), right)
            case 4 | 5:
                values = tuple(self.literal() for _ in range(rng.randint(1, 4)))
                return ast.InList(path, values, rng.random() < 0.5)
            case 6 | 7 | 8:
                return ast.TypeTest(rng.choice(TYPE_TESTS), path)
            case 9 | 10:
                return ast.StringTest(rng.choice(STRING_TESTS), path, rng.choice([*self.texts, "t", "dtmi:m:A", "2"]))
            case 11:
                return ast.ArrayContains(path, self.literal())
        twins = [name for name, kind in names if kind == "twin"]
        if not twins:
            return ast.TypeTest("IS_DEFINED", path)
        model = rng.choice([*MODELS, *MODELS, *MODELS, "dtmi:m:Gone;1"])
        return ast.IsOfModel(model, rng.choice(twins), rng.random() < 0.3)

    def held(self, kind: str) -> list[tuple[tuple[str, ...], Any]]:
        """What the documents of a kind hold; most often not what every one of them does."""
        known = [(below, value) for of, below, value in self.known if of == kind]
        own = [(below, value) for below, value in known if not below[0].startswith("$")]
        return own if own and self.rng.random() < 0.7 else known

    def likely(self, names: list[tuple[str | None, str]]) -> ast.Expr | None:
        """A condition that some document fulfils, or nearly."""
        rng = self.rng
        collection, kind = rng.choice(names)
        known = self.held(kind)
        if not known:
            return None
        below, value = rng.choice(known)
        path = ast.Path(below if collection is None else (collection, *below))
        if rng.random() < 0.25:
            return ast.TypeTest(rng.choice(TYPE_TESTS), path)
        if isinstance(value, list):
            wanted = next((item for item in value if not isinstance(item, dict | list)), None)
            return ast.ArrayContains(path, wanted)
        if isinstance(value, str) and rng.random() < 0.4:
            at = rng.randint(0, len(value))
            part = rng.choice((value[:at], value[at:], value[at : at + 2]))
            return ast.StringTest(rng.choice(STRING_TESTS), path, part)
        if rng.random() < 0.2:
            return ast.InList(path, (value, self.literal()))
        return ast.Comparison(path, rng.choice((*OPS, "=", "=", ">=", "<=")), ast.Value(value))

    def condition(self, names: list[tuple[str | None, str]], depth: int = 0) -> ast.Expr:
        rng = self.rng
        kind = rng.random()
        if depth == 0 and kind < 0.08:
            return self.alternatives(names)
        if depth > 2 or kind < 0.55:
            return self.leaf(names)
        if kind < 0.7:
            return ast.Not(self.condition(names, depth + 1))
        several = ast.And if kind < 0.87 else ast.Or
        items = [self.condition(names, depth + 1) for _ in range(rng.randint(2, 3))]
        return several(tuple(part for item in items for part in (item.items if isinstance(item, several) else (item,))))

    def alternatives(self, names: list[tuple[str | None, str]]) -> ast.Expr:
        """Up to forty OR, most of them about one path: what an index of it may serve."""
        rng = self.rng
        collection, kind = rng.choice(names)
        known = [(below, value) for below, value in self.held(kind) if not isinstance(value, list)]
        if not known:
            return self.leaf(names)
        path_below = rng.choice(known)[0]
        path = ast.Path(path_below if collection is None else (collection, *path_below))
        values = [value for below, value in known if below == path_below]
        values += [self.literal() for _ in range(rng.choice((1, 2, 40)))]
        rng.shuffle(values)
        items: list[ast.Expr] = [ast.Comparison(path, "=", ast.Value(value)) for value in values[:40]]
        if rng.random() < 0.3:
            items.append(ast.InList(path, (values[-1], self.literal())))
        if rng.random() < 0.3:
            items.append(self.leaf(names))
        return ast.Or(tuple(items))

    def pin(self, collections: list[str], graph: Graph) -> ast.Expr:
        rng = self.rng
        path = ast.Path((rng.choice(collections), "$dtId"))
        ids = [rng.choice(graph.twins)["$dtId"] for _ in range(rng.randint(1, 3))]
        match rng.randint(0, 4):
            case 0 | 3:
                return ast.InList(path, tuple(ids))
            case 1 if len(ids) > 1:
                return ast.Or(tuple(ast.Comparison(path, "=", ast.Value(one)) for one in ids))
        return ast.Comparison(path, "=", ast.Value(ids[0]))

    # --- queries

    def query(self, graph: Graph) -> ast.Query:
        match self.rng.randint(0, 11):
            case 0 | 1 | 2 | 3:
                query = self.simple("DIGITALTWINS")
            case 4:
                query = self.simple("RELATIONSHIPS")
            case 5 | 6 | 7:
                query = self.join(graph)
            case _:
                query = self.match(graph)
        if isinstance(query.select, ast.Count) or self.rng.random() < 0.8:
            return query
        return replace(query, top=self.rng.randint(0, 5))

    def projections(self, names: list[tuple[str | None, str]]) -> ast.Some:
        rng = self.rng
        items = []
        for _ in range(rng.randint(1, 3)):
            collection = rng.choice(names)[0]
            whole = collection is not None and rng.random() < 0.5
            path = ast.Path((collection,)) if whole and collection is not None else self.path(names)
            items.append(ast.Projection(path, rng.choice((None, None, "x", "y", "Order"))))
        return ast.Some(tuple(items))

    def simple(self, collection: Any) -> ast.Query:
        rng = self.rng
        alias = rng.choice((None, "T", "a"))
        kind = "twin" if collection == "DIGITALTWINS" else "relationship"
        names = [(None, kind)] if alias is None else [(None, kind), (alias, kind), (alias, kind)]
        select: ast.Select = rng.choice((ast.Star(), ast.Star(), ast.Count(), self.projections(names)))
        where = self.condition(names) if rng.random() < 0.9 else None
        return ast.Query(select, ast.Source(collection, alias), where)

    def weak(self, names: list[tuple[str | None, str]]) -> ast.Expr:
        """A condition on several collections that most rows fulfil, so that many are left to be paged."""
        id_of = {"twin": "$dtId", "relationship": "$relationshipId"}
        others = [ast.TypeTest("IS_STRING", ast.Path((str(name), id_of[kind]))) for name, kind in names]
        picked = self.rng.sample(others, min(len(others), 2))
        return ast.Or((self.leaf(names), *picked)) if self.rng.random() < 0.5 else ast.Or((self.leaf(names), picked[0]))

    def around(self, graph: Graph, names: list[tuple[str | None, str]]) -> tuple[ast.Select, ast.Expr]:
        """What to select, and a WHERE that pins a twin."""
        rng = self.rng
        select: ast.Select = ast.Count() if rng.random() < 0.15 else self.projections(names)
        where = self.pin([name for name, kind in names if kind == "twin" and name is not None], graph)
        if rng.random() < 0.5:
            parts = [where, self.weak(names) if rng.random() < 0.3 else self.condition(names)]
            rng.shuffle(parts)
            where = parts[0] & parts[1]
        return select, where

    def join(self, graph: Graph) -> ast.Query:
        rng = self.rng
        names: list[tuple[str | None, str]] = [("A", "twin")]
        joins, implied = [], []
        for number in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 5))):
            source = rng.choice([str(name) for name, kind in names if kind == "twin"])
            variable = rng.choice((None, f"r{number}", f"it's {number}"))
            relationship = rng.choice(self.kinds)
            target = rng.choice((f"B{number}", f"B{number}", f'{number} "B\\'))
            joins.append(ast.Join(target, source, relationship, variable))
            names.append((target, "twin"))
            if variable is None:
                implied.append(relationship)
            else:
                names.append((variable, "relationship"))
        names += [(name, "relationship") for name in implied if implied.count(name) == 1]
        select, where = self.around(graph, names)
        return ast.Query(select, ast.Source("DIGITALTWINS", "A"), where, None, tuple(joins))

    def match(self, graph: Graph) -> ast.Query:
        rng = self.rng
        names: list[tuple[str | None, str]] = []
        nodes, edges = [], []
        for number in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
            name = rng.choice((None, f"n{number}", f"n{number}", "[odd one"))
            if name == "[odd one" and (name, "twin") in names:
                name = None
            nodes.append(ast.Node(name))
            if name is not None:
                names.append((name, "twin"))
        if not names:
            nodes[0] = ast.Node("n0")
            names.append(("n0", "twin"))
        for number in range(len(nodes) - 1):
            hops = None
            if rng.random() < 0.35:
                last = rng.choice((1, 1, 2, 2, 3, 3, 5 if len(nodes) < 4 else 1))
                first = rng.choice((None, rng.randint(0, last - 1)))
                hops = ast.Hops(last, last, True) if rng.random() < 0.3 else ast.Hops(first, last, False)
            one = hops is None or (hops.last == 1 and (hops.exact or not hops.first))
            variable = f"r{number}" if rng.random() < 0.4 and one else None
            kinds = tuple(
                dict.fromkeys(rng.choice([*KINDS, *self.kinds, *self.kinds]) for _ in range(rng.choice((0, 0, 1, 2))))
            )
            edges.append(ast.Edge(rng.choice(("out", "in", "any")), variable, kinds, hops))
            if variable is not None:
                names.append((variable, "relationship"))
        select, where = self.around(graph, names)
        return ast.Query(select, ast.Source(), where, None, (), ast.Match(tuple(nodes), tuple(edges)))
