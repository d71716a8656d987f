"""One pair: a generated query over a generated graph, by SQLite and by the naive evaluator."""

from __future__ import annotations

import json
import sqlite3
from functools import cache
from typing import Any

import orjson
from generate import Generator
from oracle import Graph, rows

from remhart_adt.local.adt.store import Store
from remhart_adt.query import ast, candidates, format_query, outputs, parse, project, to_sql


@cache
def schema() -> str:
    """The tables and indexes of a server's file."""
    store = Store(None)
    try:
        created = store.read("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        return "".join(f"{sql};" for (sql,) in created)
    finally:
        store.close()


def database(graph: Graph) -> sqlite3.Connection:
    """The tables of the local server, filled."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema())
    for twin in graph.twins:
        row = (twin["$dtId"], twin["$metadata"]["$model"], written(twin))
        db.execute("INSERT INTO twins(id, model, etag, doc) VALUES(?,?,'e',?)", row)
    for relationship in graph.relationships:
        ends = [relationship[name] for name in ("$relationshipId", "$sourceId", "$relationshipName", "$targetId")]
        sql = "INSERT INTO relationships(id, source, name, target, etag, doc) VALUES(?,?,?,?,'e',?)"
        db.execute(sql, (*ends, written(relationship)))
    return db


def written(document: dict[str, Any]) -> str:
    """As the server writes it; integers beyond 64 bits are written by json, which orjson would refuse."""
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def page(db: sqlite3.Connection, query: ast.Query, graph: Graph, **options: Any) -> tuple[list[Any], Any]:
    """(rows, key of the last one) of one statement."""
    statement = to_sql(query, models_of=graph.models_of, **options)
    found = db.execute(statement.text, statement.parameters).fetchall()
    if statement.counts:
        return [{"COUNT": found[0][0]}], ()
    first = len(statement.key)
    shaped = []
    for row in found:
        held = {m: json.loads(text) for m, text in zip(statement.documents, row[first:], strict=True)}
        whole = not isinstance(query.select, ast.Some)
        shaped.append(next(iter(held.values())) if whole else project(outputs(query), held))
    return shaped, tuple(found[-1][:first]) if found else ()


def paged(db: sqlite3.Connection, query: ast.Query, graph: Graph, size: int, **options: Any) -> list[Any]:
    """All rows, page after page."""
    after: Any = ()
    collected: list[Any] = []
    while True:
        found, last = page(db, query, graph, after=after, limit=size, **options)
        collected += found
        if len(found) < size or not last:
            return collected
        assert not after or last > after, "a page that does not go on"
        after = last


def multiset(values: list[Any]) -> list[str]:
    """Rows in an order of their own; -0.0 differs from 0 and 1 from 1.0, as on the wire."""
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def check_pair(seed: int, number: int) -> str | None:
    """What is wrong with a pair, or None."""
    generator = Generator(f"{seed}:{number}")
    graph = generator.graph()
    query = generator.query(graph)
    text = format_query(query)
    if parse(text) != query:
        return f"format and parse differ\n{text}"
    db = database(graph)
    try:
        wanted = multiset(rows(query, graph))
        if multiset(page(db, query, graph)[0]) != wanted:
            return explained("rows differ", text, graph, wanted, page(db, query, graph)[0])
        if isinstance(query.select, ast.Count):
            return None
        size = generator.rng.randint(1, 4)
        if multiset(paged(db, query, graph, size)) != wanted:
            return explained(f"pages of {size} differ", text, graph, wanted, paged(db, query, graph, size))
        found = candidates(query, models_of=graph.models_of)
        chosen = [one for one in found if generator.rng.random() < 0.7]
        for candidate in chosen if generator.rng.random() < 0.3 else ():
            if not candidate.column:
                db.execute(
                    f"CREATE INDEX IF NOT EXISTS [{candidate.expression}] ON {candidate.table}({candidate.expression})"
                )
        if chosen and multiset(paged(db, query, graph, size, narrowed=chosen)) != wanted:
            return explained(f"narrowed by {chosen}", text, graph, wanted, paged(db, query, graph, size))
    finally:
        db.close()
    return None


def explained(what: str, text: str, graph: Graph, wanted: list[str], found: list[Any]) -> str:
    """A failure with all there is to know about it."""
    twins = "\n".join(map(repr, graph.twins))
    relationships = "\n".join(map(repr, graph.relationships))
    return f"{what}\n{text!r}\nwanted {wanted}\nfound {multiset(found)}\n{twins}\n{relationships}"
