"""What a page costs, in steps of SQLite's machine: no page begins anew what the pages before it did."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from oracle import Graph
from pairs import database, page

from remhart_adt.query import ast, candidates, parse, to_sql

MODEL = "dtmi:m:A;1"
SPOKES = 400
STEP = 20


def hub() -> Graph:
    """A twin that leads to many, each of which leads back to it and on to two others."""
    ids = ["hub", *(f"s{number}" for number in range(SPOKES))]
    ends = [("hub", one) for one in ids[1:]] + [(one, "hub") for one in ids[1:]]
    ends += [(f"s{number}", f"s{(number + more) % SPOKES}") for number in range(SPOKES) for more in (1, 7)]
    twins = [{"$dtId": one, "x": n, "odd": "o" * (n % 2), "$metadata": {"$model": MODEL}} for n, one in enumerate(ids)]
    relationships = [
        {"$relationshipId": f"r{number}", "$sourceId": source, "$relationshipName": "to", "$targetId": target}
        for number, (source, target) in enumerate(ends)
    ]
    return Graph(twins, relationships, {MODEL: [MODEL, "dtmi:m:A;2"]})


GRAPH = hub()


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    connection = database(GRAPH)
    yield connection
    connection.close()


def cost(db: sqlite3.Connection, query: ast.Query, **options: Any) -> tuple[int, int, Any]:
    """(steps, rows, key of the last row) of one page."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(count, STEP)
    try:
        found, last = page(db, query, GRAPH, **options)
    finally:
        db.set_progress_handler(None, 0)
    return steps * STEP, len(found), last


def costs(db: sqlite3.Connection, text: str, size: int, most: int = 60) -> list[int]:
    """The steps of each of the first full pages."""
    query, after, found = parse(text), (), []
    while len(found) < most:
        steps, rows, after = cost(db, query, limit=size, after=after)
        if rows < size:
            break
        found.append(steps)
    return found


FIVE = " ".join(f"JOIN B{n} RELATED {f'B{n - 1}' if n else 'A'}.to" for n in range(5))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS",
        "SELECT * FROM DIGITALTWINS WHERE $dtId > 'a' AND $dtId < 't'",
        f"SELECT * FROM DIGITALTWINS WHERE IS_OF_MODEL('{MODEL}')",
        "SELECT * FROM DIGITALTWINS WHERE CONTAINS(odd, 'o')",
        "SELECT * FROM RELATIONSHIPS WHERE $sourceId = 'hub'",
        "SELECT * FROM RELATIONSHIPS WHERE $targetId = 'hub'",
        "SELECT * FROM RELATIONSHIPS WHERE $relationshipName IN ['to', 'from']",
        "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.to WHERE A.$dtId = 'hub'",
        "SELECT A FROM DIGITALTWINS A JOIN B RELATED A.to WHERE B.$dtId = 'hub'",
        "SELECT C FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE A.$dtId = 'hub'",
        "SELECT C FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE A.$dtId IN ['hub', 's1', 's2']",
        f"SELECT B4 FROM DIGITALTWINS A {FIVE} WHERE A.$dtId = 'hub'",
        f"SELECT B4 FROM DIGITALTWINS A {FIVE} WHERE B2.$dtId = 'hub'",
        "SELECT C FROM DIGITALTWINS MATCH (A)-[]->(B)<-[]-(C) WHERE A.$dtId = 'hub'",
        "SELECT C FROM DIGITALTWINS MATCH (A)-[]->(B)-[]->(C) WHERE B.$dtId = 'hub'",
    ],
)
def test_a_late_page_costs_what_an_early_one_does(db: sqlite3.Connection, text: str) -> None:
    found = costs(db, text, 10)
    assert len(found) >= 20
    assert max(found[1:]) < 4 * min(found[1:])


@pytest.mark.parametrize(
    "text",
    [
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE A.$dtId = 'hub'",
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*..4]-(B) WHERE A.$dtId = 'hub'",
        "SELECT C FROM DIGITALTWINS MATCH (A)-[*2]-(B)-[*..2]->(C) WHERE B.$dtId = 's5'",
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*10]->(B) WHERE B.$dtId = 's5'",
    ],
)
def test_a_late_page_of_chains_does_not_walk_what_lies_before_it(db: sqlite3.Connection, text: str) -> None:
    """It looks once more at the relationships of the twins on its way, and that is all."""
    found = costs(db, text, 200, most=20)
    assert len(found) >= 10
    assert max(found[5:]) < 3 * min(found[:5])


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT B4 FROM DIGITALTWINS A {FIVE} WHERE A.$dtId = 'hub'",
        "SELECT B FROM DIGITALTWINS MATCH (A)-[*10]-(B) WHERE A.$dtId = 'hub'",
    ],
)
def test_the_first_rows_of_a_result_that_never_ends_come_at_once(db: sqlite3.Connection, text: str) -> None:
    steps, rows, _ = cost(db, parse(text), limit=100)
    assert rows == 100
    assert steps < 2_000_000


@pytest.mark.parametrize(
    "text",
    [
        "SELECT C FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE A.$dtId IN ['hub', 's1']",
        "SELECT A FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE C.$dtId = 'hub'",
        "SELECT A FROM DIGITALTWINS MATCH (A)-[]-(B)-[]->(C) WHERE B.$dtId = 'hub' AND A.$dtId > 'a'",
        "SELECT A FROM DIGITALTWINS MATCH (A)-[*..2]-(B)-[]->(C) WHERE B.$dtId = 'hub'",
        "SELECT * FROM DIGITALTWINS WHERE $dtId >= 'a' AND $dtId < 'b'",
        "SELECT * FROM RELATIONSHIPS WHERE $sourceId = 'hub' AND x = 1",
    ],
)
def test_rows_are_found_in_the_order_of_their_keys(db: sqlite3.Connection, text: str) -> None:
    """So nothing is sorted to find a page; only the documents on it may be."""
    statement = to_sql(parse(text), models_of=GRAPH.models_of, limit=10)
    steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters)]
    inside = steps[: steps.index("SCAN page")]
    assert not any("B-TREE" in step for step in inside)


def test_forty_alternatives_read_what_they_name_and_no_more(db: sqlite3.Connection) -> None:
    db.execute("CREATE INDEX IF NOT EXISTS by_x ON twins(json_extract(doc,'$.\"x\"'))")
    query = parse("SELECT * FROM DIGITALTWINS WHERE " + " OR ".join(f"x = {number}" for number in range(40)))
    narrowed = candidates(query, models_of=GRAPH.models_of)
    steps, rows, _ = cost(db, query, narrowed=narrowed, limit=100)
    assert rows == 40
    assert steps < cost(db, query, limit=100)[0] / 4
