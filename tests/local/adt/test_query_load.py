"""Queries that ask for too much: they end, in time and in size, and hold up nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remhart_adt.local.adt import LocalAdt, Options, database, queries
from remhart_adt.local.adt.database import Database

NODE = "dtmi:test:Node;1"
ENDLESS = "SELECT COUNT() FROM DIGITALTWINS MATCH (A)-[*10]-(B) WHERE A.$dtId = 't0'"


MODEL = {
    "@id": NODE,
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;3",
    "contents": [
        *({"@type": "Property", "name": name, "schema": "string"} for name in ("text", *(f"p{n}" for n in range(6)))),
        {"@type": "Relationship", "name": "to"},
    ],
}


def knot(wire: Any, many: int, **properties: Any) -> Any:
    """Twins of which each leads to every other one."""
    wire.models(MODEL)
    for number in range(many):
        wire.twin(f"t{number}", NODE, **properties)
    for one in range(many):
        for other in range(many):
            if one != other:
                wire.relate(f"t{one}", f"r{other}", "to", f"t{other}")
    return wire


@pytest.fixture
def tight(wire_to: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that lets queries run as long as `seconds` says, one after the other."""
    patient = Database.select
    seconds: list[float] = []

    def select(self: Database, statement: Any) -> Any:
        return patient(self, statement, seconds=seconds.pop(0) if seconds else 60.0)

    monkeypatch.setattr(Database, "select", select)

    def started() -> tuple[Any, list[float]]:
        return knot(wire_to(Options()), 11), seconds

    return started


def test_queries_that_never_end_hold_up_nobody(tight: Any, wire_of: Any) -> None:
    wire, seconds = tight()
    hogs = 8
    seconds += [2.5] * hogs
    others = [wire_of(wire.server) for _ in range(hogs)]
    with ThreadPoolExecutor(hogs) as pool:
        begun = time.monotonic()
        running = [pool.submit(other, "POST", "/query", {"query": ENDLESS}) for other in others]
        while seconds:
            time.sleep(0.01)
        assert wire("GET", "/digitaltwins/t3").status == 200
        assert len(wire.query("SELECT B FROM DIGITALTWINS A JOIN B RELATED A.to WHERE A.$dtId = 't1'")) == 10
        assert not any(one.done() for one in running)
        ended = [one.result() for one in running]
    assert {(answer.status, answer.code) for answer in ended} == {(400, "TimeoutError")}
    assert time.monotonic() - begun < 8
    for other in others:
        other.close()


def test_a_query_that_is_late_before_its_turn_comes_never_runs(
    tight: Any, wire_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_READERS", 1)
    wire, seconds = tight()
    seconds += [0.8, 0.2]
    others = [wire_of(wire.server) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(other, "POST", "/query", {"query": ENDLESS}) for other in others]
        assert {one.result().code for one in running} == {"TimeoutError"}
    assert wire.query("SELECT COUNT() FROM DIGITALTWINS") == [{"COUNT": 11}]
    for other in others:
        other.close()


D = "SELECT * FROM DIGITALTWINS WHERE "
LONG = {
    "alternatives": D + " OR ".join(f"a{number}.{'b' * 120} = 'v{number}'" for number in range(51)),
    "lists": D + " AND ".join(["NOT (text NIN [" + ", ".join(f"'{n}'" for n in range(50)) + "])"] * 18),
    "parentheses": D + "(" * 3900 + "text = 'x'" + ")" * 3900,
    "NOT": D + "NOT (" * 1300 + "text = 'x'" + ")" * 1300,
    "a path": D + ".".join(["a"] * 3900) + " = 1",
    "a path of odd names": D + ".".join(['[["]]'] * 1100) + " = 1",
    "comparisons of odd names": D + " OR ".join(f'[[a"{n}]].[["]].[[\\]] < [["{n}]].b.[["]]' for n in range(51)),
    "projections": "SELECT " + ",".join(["text"] * 1500) + " FROM DIGITALTWINS",
    "names of relationships": f"SELECT B FROM DIGITALTWINS MATCH (A)-[:{'to|' * 2500}to]->(B) WHERE A.$dtId = 't1'",
    "models": D + " OR ".join(f"IS_OF_MODEL('dtmi:{'x' * 100}:y{number};1')" for number in range(51)),
}


@pytest.fixture(scope="module")
def small(wire_of: Any) -> Iterator[Any]:
    with LocalAdt(Options()) as server:
        wire = wire_of(server)
        yield knot(wire, 4, text="x")
        wire.close()


@pytest.mark.parametrize("form", LONG)
def test_whatever_fills_a_query_is_answered(small: Any, form: str) -> None:
    assert 2000 < len(LONG[form]) <= 8000
    found = small.query(LONG[form])
    all_of_them = form in ("parentheses", "NOT", "projections", "names of relationships")
    assert len(found) == (3 if "names of rel" in form else 4 if all_of_them else 0)


# {} is where a JOIN or MATCH names its collection.
LEAVES = {
    "a string": "{}text = 'x'",
    "a number of an odd name": '{}[["]].x > 1',
    "two properties": '{}[["]].[[\\]] < {}text.[["]]',
    "a list": "{}text IN ['x', 1, null, true]",
    "a type": 'IS_NUMBER({}[["]].x)',
    "the end of a string": "ENDSWITH({}[[\"]].x, 'x')",
    "an array": "ARRAY_CONTAINS({}[[\"]].x, 'x')",
    "an id": "{}$dtId >= 't'",
}


def nest(leaf: str, negated: str, operators: int) -> str:
    text = leaf
    for depth in range(operators):
        text = f"{leaf} {'AND' if depth % 2 else 'OR'} {negated}({text})"
    return text


@pytest.mark.parametrize("leaf", LEAVES)
def test_conditions_nest_as_deep_as_there_are_operators(small: Any, leaf: str) -> None:
    own, prefixed = LEAVES[leaf].replace("{}", ""), LEAVES[leaf].replace("{}", "B.")
    for negated in ("", "NOT "):
        answer = small("POST", "/query", {"query": D + nest(own, negated, 50)})
        assert answer.status == 200, answer.body
        for graph in ("A JOIN B RELATED A.to", "MATCH (A)-[*..2]-(B)-[*..2]-(C)"):
            condition = f"A.$dtId = 't0' AND ({nest(prefixed, negated, 49)})"
            answer = small("POST", "/query", {"query": f"SELECT COUNT() FROM DIGITALTWINS {graph} WHERE {condition}"})
            assert answer.status == 200, answer.body


def test_who_asks_for_ever_new_properties_does_not_have_all_of_the_time(
    wire_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody waits while an index is made: so there is only so much time for it, and then a share of it."""
    made: list[str] = []
    write = Database.write

    def slow(self: Database, sql: str, *values: Any) -> Any:
        if sql.startswith("CREATE INDEX"):
            made.append(sql)
            time.sleep(0.12)
        return write(self, sql, *values)

    monkeypatch.setattr(Database, "write", slow)
    monkeypatch.setattr(database, "_INDEX_SECONDS", 0.3)
    monkeypatch.setattr(database, "_INDEX_SHARE", 0.5)
    monkeypatch.setattr(database, "_WORTH_AN_INDEX", 1)
    wire = wire_to(Options())
    wire.models(MODEL)
    wire.twin("t", NODE, text="x")
    begun = time.monotonic()
    for number in range(60):
        assert wire.query(f"{D}text = 'x' AND a{number} = 1") == []
        assert len(wire.query(f"{D}text = 'x'")) == 1
    spent = time.monotonic() - begun
    assert 2 <= len(made) <= 2 + (0.3 + spent * 0.5) / 0.12
    assert len(made) < 30
    time.sleep(0.5)
    assert wire.query(f"{D}late = 1") == []
    assert made[-1].endswith("""(json_extract(doc,'$."late"'))""")


def test_what_is_wrong_with_a_long_query_is_said_where_it_stands(small: Any) -> None:
    text = D + " OR ".join(["text = 'x'"] * 200)[: 7900 - len(D)].rpartition(" OR")[0] + " ?"
    answer = small("POST", "/query", {"query": text})
    assert (answer.status, answer.code) == (400, "SqlQueryError")
    assert f"Position={len(text) - 1}, " in answer.message


def test_a_page_of_large_documents_ends_early_and_no_row_is_lost(wire: Any) -> None:
    knot(wire, 13, text="x" * 4000, **{f"p{number}": "y" * 4000 for number in range(6)})
    text = "SELECT A, B, C FROM DIGITALTWINS MATCH (A)-[]->(B)-[]->(C) WHERE B.$dtId IN ['t0', 't1']"
    found, pages, body = 0, 0, {"query": text}
    while body:
        answer = wire("POST", "/query", body, headers={"max-items-per-page": "1000"})
        assert len(answer.body) < 16_000_000
        found, pages = found + len(answer.json["value"]), pages + 1
        token = answer.json["continuationToken"]
        if token is not None:
            assert json.loads(token)["_tr"] == found
        body = {"continuationToken": token} if token else {}
    assert found == 2 * 12 * 11
    assert pages >= 3


def test_a_page_is_put_together_of_several_statements(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_FIRST_DOCUMENTS", 4)
    monkeypatch.setattr(queries, "_MORE_DOCUMENTS", 10)
    knot(wire, 8)
    for text, many in (
        ("SELECT * FROM RELATIONSHIPS", 56),
        ("SELECT A, B FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE A.$dtId = 't0'", 49),
        ("SELECT TOP(31) A, R, B FROM DIGITALTWINS MATCH (A)-[R]-(B)-[*..2]-(C) WHERE A.$dtId = 't0'", 31),
    ):
        answer = wire("POST", "/query", {"query": text}, headers={"max-items-per-page": "1000"}).json
        assert (len(answer["value"]), answer["continuationToken"]) == (many, None)
        assert len(wire.query(text, **{"max-items-per-page": "7"})) == many
