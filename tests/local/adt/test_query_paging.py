"""Pages of a query: their sizes, how they go on while things change, and tokens that are not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remhart_adt.local.adt.database import Database

NODE = "dtmi:test:Node;1"
FORMS = {
    "SELECT * FROM DIGITALTWINS": 8,
    "SELECT N.n FROM DIGITALTWINS N WHERE N.n > 0": 7,
    "SELECT * FROM RELATIONSHIPS": 21,
    "SELECT A, B, R FROM DIGITALTWINS A JOIN B RELATED A.to R WHERE A.$dtId IN ['t6', 't7']": 6,
    "SELECT B.n AS n FROM DIGITALTWINS A JOIN B RELATED A.to JOIN C RELATED B.to WHERE C.$dtId = 't0'": 15,
    "SELECT A, C FROM DIGITALTWINS MATCH (A)-[]-(B)-[]-(C) WHERE B.$dtId = 't3'": 30,
    "SELECT A FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE B.$dtId = 't0'": 41,
    "SELECT A FROM DIGITALTWINS MATCH (A) WHERE A.$dtId IN ['t1', 't2', 't3']": 3,
}


@pytest.fixture
def nodes(wire: Any, make_interface: Any, make_prop: Any) -> Any:
    """Twins t0 to t7; every tn leads to every tm below it, but t7 leads to nowhere."""
    model = make_interface("Node", make_prop("n", "integer"), {"@type": "Relationship", "name": "to"})
    wire.models(model)
    for n in range(8):
        wire.twin(f"t{n}", NODE, n=n)
    for n in range(7):
        for m in range(n):
            wire.relate(f"t{n}", f"{n}-{m}", "to", f"t{m}")
    return wire


def first_page(wire: Any, text: str, size: int) -> tuple[list[Any], str]:
    answer = wire("POST", "/query", {"query": text}, headers={"max-items-per-page": str(size)}).json
    return answer["value"], answer["continuationToken"]


@pytest.mark.parametrize("text", FORMS)
def test_pages_of_every_form_add_up_to_the_whole(nodes: Any, text: str) -> None:
    whole = nodes.query(text, **{"max-items-per-page": "1000"})
    assert len(whole) == FORMS[text]
    for size in (1, 2, 5):
        assert nodes.query(text, **{"max-items-per-page": str(size)}) == whole


def test_tokens_have_the_recorded_shape_and_count_what_came_before(nodes: Any) -> None:
    text = "SELECT A FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE B.$dtId = 't0'"
    _, first = first_page(nodes, text, 2)
    answer = nodes("POST", "/query", {"continuationToken": first}, headers={"max-items-per-page": "3"}).json
    tokens = [json.loads(first), json.loads(answer["continuationToken"])]
    for token in tokens:
        assert list(token) == ["_t", "_s", "_rc", "_q", "_id", "_tr", "_pn"]
        assert (token["_t"], token["_s"], token["_q"]) == (2, None, text)
        assert list(json.loads(token["_rc"])[0]) == ["token"]
    assert [(token["_tr"], token["_pn"]) for token in tokens] == [(2, 1), (5, 2)]
    assert tokens[0]["_id"] == tokens[1]["_id"]


@pytest.mark.parametrize("text", [text for text in FORMS if FORMS[text] > 4])
def test_top_holds_over_pages(nodes: Any, text: str) -> None:
    few = text.replace("SELECT *", "SELECT").replace("SELECT", "SELECT TOP(4)")
    assert len(nodes.query(few, **{"max-items-per-page": "3"})) == 4
    assert len(nodes.query(few, **{"max-items-per-page": "4"})) == 4


@pytest.mark.parametrize(
    "text",
    [
        "SELECT R.$relationshipId FROM DIGITALTWINS A JOIN B RELATED A.to R WHERE A.$dtId = 't6'",
        "SELECT R.$relationshipId FROM DIGITALTWINS MATCH (A)-[R]->(B) WHERE A.$dtId = 't6'",
        "SELECT A.$dtId FROM DIGITALTWINS MATCH (A)<-[*..1]-(B) WHERE B.$dtId = 't6'",
    ],
)
def test_what_stays_comes_once_whatever_changes_between_pages(nodes: Any, text: str) -> None:
    before = nodes.query(text)
    begun, token = first_page(nodes, text, 3)
    nodes("PATCH", "/digitaltwins/t6/relationships/6-1", [])
    nodes("PATCH", "/digitaltwins/t3", [{"op": "replace", "path": "/n", "value": 33}])
    assert nodes("DELETE", "/digitaltwins/t6/relationships/6-0").status == 204
    assert nodes("DELETE", "/digitaltwins/t6/relationships/6-4").status == 204
    nodes.relate("t6", "late", "to", "t7")
    rest = nodes("POST", "/query", {"query": text, "continuationToken": token}).json
    assert rest["continuationToken"] is None
    late = {"$relationshipId": "late"} if "R." in text else {"$dtId": "t7"}
    assert begun + rest["value"] == [row for row in before if "4" not in str(row.values())] + [late]


def test_a_token_goes_on_alone_and_beside_any_query(nodes: Any) -> None:
    rows, token = first_page(nodes, "SELECT * FROM DIGITALTWINS", 6)
    for body in ({"continuationToken": token}, {"continuationToken": token, "query": "not one"}):
        answer = nodes("POST", "/query", body).json
        assert [row["$dtId"] for row in rows + answer["value"]] == [f"t{n}" for n in range(8)]
        assert answer["continuationToken"] is None


def test_every_page_has_a_charge(nodes: Any) -> None:
    answer = nodes("POST", "/query", {"query": "SELECT * FROM DIGITALTWINS"})
    assert 2.7 <= float(answer.headers["query-charge"]) <= 6.2


def tampered(token: str) -> list[Any]:
    """Everything that may go wrong with a token, one thing at a time."""
    sound = json.loads(token)
    values = [None, True, -1, 1.5, 2**64, "", "x", [], {}, "\0", [[]]]
    changed = [json.dumps({**sound, key: value}) for key in ("_rc", "_q", "_id", "_tr", "_pn") for value in values]
    changed += [json.dumps({key: value for key, value in sound.items() if key != left}) for left in sound]
    inner = [[], [1], [{}], [{"token": None}], [{"token": "x"}], [{"token": "+RID:~"}], {"token": "+RID:~1"}]
    keys = ("-1", "1~2", "1.5", ".5", "9" * 40, "1~", "~1", "1' OR 1", "\u0661", "0" * 15 + "!" + "0" * 14)
    inner += [[{"token": f"+RID:~{key}"}] for key in keys]
    changed += [json.dumps({**sound, "_rc": json.dumps(value)}) for value in inner]
    unsound = ("foo", "SELECT * FROM DIGITALTWINS A JOIN B RELATED A.r")
    changed += [json.dumps({**sound, "_q": text}) for text in unsound]
    changed += [token[:cut] for cut in range(0, len(token), 7)] + ["[" * 5000, "null", "1", '"x"']
    return [*changed, 5, {}, [], True, sound]


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM DIGITALTWINS", "SELECT A FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE B.$dtId = 't0'"],
)
def test_a_token_that_was_changed_is_refused_or_at_least_harmless(nodes: Any, text: str) -> None:
    _, token = first_page(nodes, text, 2)
    refused = 0
    for changed in tampered(token):
        answer = nodes("POST", "/query", {"continuationToken": changed})
        if answer.status == 200:  # what a token does not need may change; and so may where it goes on
            assert isinstance(changed, str)
            assert json.loads(changed)["_q"] == text
            continue
        assert (answer.status, answer.code) == (400, "BadRequest"), changed
        refused += 1
    assert refused > 80


def test_a_token_of_another_query_goes_nowhere(nodes: Any) -> None:
    _, simple = first_page(nodes, "SELECT * FROM DIGITALTWINS", 2)
    chain = "SELECT A FROM DIGITALTWINS MATCH (A)-[*..3]->(B) WHERE B.$dtId = 't0'"
    answer = nodes("POST", "/query", {"continuationToken": json.dumps({**json.loads(simple), "_q": chain})})
    assert (answer.status, answer.code) == (400, "BadRequest")


def test_large_tables_are_searched_by_an_index_of_what_is_asked_for(nodes: Any, monkeypatch: Any) -> None:
    asked: list[tuple[str, str, bool]] = []

    def index(self: Database, table: str, expression: str) -> bool:
        asked.append((table, expression, make_index(self, table, expression)))
        return asked[-1][2]

    make_index = Database.index
    monkeypatch.setattr(Database, "index", index)
    assert nodes.query("SELECT COUNT() FROM DIGITALTWINS WHERE n = 7") == [{"COUNT": 1}]
    for n in range(500):
        nodes.twin(f"many{n:03}", NODE, n=n % 50)
    nodes("PUT", "/digitaltwins/text", {"$metadata": {"$model": NODE}})
    for _ in range(2):  # the first asks for the index, the second has it
        assert len(nodes.query("SELECT * FROM DIGITALTWINS T WHERE T.n = 7 AND STARTSWITH(T.$dtId, 'many')")) == 10
        assert nodes.query("SELECT COUNT() FROM DIGITALTWINS WHERE n >= 48 AND n < 100") == [{"COUNT": 20}]
        assert len(nodes.query("SELECT * FROM DIGITALTWINS WHERE n IN [1, 2]", **{"max-items-per-page": "3"})) == 22
        assert nodes.query("SELECT * FROM DIGITALTWINS WHERE n > 'x'") == []
    assert {(table, expression) for table, expression, _ in asked} == {("twins", "json_extract(doc,'$.\"n\"')")}
    assert [made for _, _, made in asked] == [False] + [True] * (len(asked) - 1)
