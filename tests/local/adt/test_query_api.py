"""POST /query: row shapes, paging, errors, model inheritance, and the documented examples on a small building."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from remhart_adt.local.adt import Options
from remhart_adt.local.adt.database import Database


def interface(name: str, *properties: tuple[str, Any], version: int = 1, extends: str | None = None) -> dict[str, Any]:
    return {
        "@id": f"dtmi:example:{name};{version}",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
        **({"extends": extends} if extends else {}),
        "contents": [{"@type": "Property", "name": key, "schema": schema} for key, schema in properties],
    }


TAGS = {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "string"}}
PLACE = {"@type": "Object", "fields": [{"name": "city", "schema": "string"}]}
THING = (
    ("name", "string"),
    ("Temperature", "double"),
    ("Humidity", "double"),
    ("Capacity", "integer"),
    ("HasTemperature", "boolean"),
    ("Status", "string"),
    ("owner", "string"),
    ("Group", "string"),
    ("Location", PLACE),
    ("tags", TAGS),
    ("floor_number", {"@type": "Array", "elementSchema": "integer"}),
)


@pytest.fixture
def things(wire: Any) -> Any:
    thing = interface("thing", *THING)
    thing["contents"].append({"@type": "Relationship", "name": "feeds"})
    wire.models(
        thing,
        interface("thing", *THING, version=2),
        interface("special", ("extra", "string"), extends="dtmi:example:thing;2"),
        interface("other", ("name", "string")),
    )
    wire.twin(
        "area1-room",
        "dtmi:example:thing;1",
        name="foobar",
        Temperature=80,
        Humidity=40.5,
        Capacity=0,
        HasTemperature=True,
        Status="Completed",
        owner="John",
        Group="BravoTeam",
        Location={"city": "Oslo"},
        tags={"red": "", "size": "small"},
        floor_number=[1, 2],
    )
    wire.twin("x-small", "dtmi:example:thing;2", name="D'Souza", Temperature=79.5, Capacity=25, tags={"round": ""})
    wire.twin("a-route-b", "dtmi:example:special;1", Temperature=81, HasTemperature=False, owner="Zoe", Status="Open")
    wire.twin("other", "dtmi:example:other;1")
    wire.relate("area1-room", "r1", "feeds", "x-small")
    wire.relate("area1-room", "r2", "feeds", "other")
    return wire


ALL = {"area1-room", "x-small", "a-route-b", "other"}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("$dtId = 'other'", {"other"}),
        ("T.$dtId in ['other', 'x-small', 'none'] AND T.Temperature = 79.5", {"x-small"}),
        ("name = 'D\\'Souza'", {"x-small"}),
        ("IS_DEFINED(Location)", {"area1-room"}),
        ("Location.city = 'Oslo'", {"area1-room"}),
        ("IS_DEFINED(tags.red)", {"area1-room"}),
        ("NOT IS_DEFINED(tags.red) AND IS_DEFINED(tags.round)", {"x-small"}),
        ("IS_DEFINED(tags.red) AND tags.size = 'small'", {"area1-room"}),
        ("IS_NUMBER(T.Temperature)", ALL - {"other"}),
        ("IS_NUMBER( Capacity ) AND Capacity != 0", {"x-small"}),
        ("IS_BOOL( HasTemperature ) AND HasTemperature != false", {"area1-room"}),
        ("IS_STRING( Status ) AND Status != 'Completed'", {"a-route-b"}),
        ("NOT IS_NULL(T.Temperature)", ALL - {"other"}),
        ("IS_PRIMITIVE(T.owner)", {"area1-room", "a-route-b"}),
        ("IS_OBJECT( tags ) AND NOT IS_DEFINED ( tags.round )", {"area1-room"}),
        ("[[Group]] = 'BravoTeam'", {"area1-room"}),
        ("IS_OF_MODEL('dtmi:example:thing;1')", ALL - {"other"}),
        ("IS_OF_MODEL(T, 'dtmi:example:thing;1', exact)", {"area1-room"}),
        ("IS_OF_MODEL('dtmi:example:thing;2')", {"x-small", "a-route-b"}),
        ("IS_OF_MODEL('dtmi:example:thing;3')", set()),
        ("IS_OF_MODEL('dtmi:example:nowhere;1')", set()),
        ("T.Temperature = 80", {"area1-room"}),
        ("T.Temperature < 80", {"x-small"}),
        ("NOT T.Temperature <= 80", {"a-route-b"}),
        ("T.owner IN ['John', 'Anil']", {"area1-room"}),
        ("T.owner NIN ['John', 'Anil']", {"a-route-b"}),
        ("T.Temperature < 81 AND T.Humidity < 50", {"area1-room"}),
        ("T.Temperature < 80 OR T.owner = 'Zoe'", {"x-small", "a-route-b"}),
        ("ARRAY_CONTAINS (T.floor_number, 2)", {"area1-room"}),
        ("ARRAY_CONTAINS (T.floor_number, '2')", set()),
        ("STARTSWITH(T.$dtId, 'area1-')", {"area1-room"}),
        ("ENDSWITH(T.$dtId, '-small')", {"x-small"}),
        ("CONTAINS(T.$dtId, '-route')", {"a-route-b"}),
        ("STARTSWITH(T.$dtId, 'room')", set()),
        ("STARTSWITH(T.name, 'foo') AND ENDSWITH(T.name, 'bar')", {"area1-room"}),
        ("ENDSWITH(T.$dtId, 'area1')", set()),
        ("CONTAINS(T.name, 'FOO')", set()),
        ("CONTAINS(T.Temperature, '8')", set()),
        ("T.$metadata.$model = 'dtmi:example:other;1'", {"other"}),
        ("T.$metadata.Temperature.lastUpdateTime > '2000-01-01'", ALL - {"other"}),
        ("T.Temperature = '80'", set()),
        ("T.Misspelt = 1", set()),
        ("t.Temperature = 80", set()),
    ],
)
def test_conditions_of_the_documentation(things: Any, condition: str, found: set[str]) -> None:
    rows = things.query(f"SELECT * FROM DIGITALTWINS T WHERE {condition}")
    assert {row["$dtId"] for row in rows} == found


def test_components_are_asked_like_objects(wire: Any) -> None:
    outer = interface("outer", ("name", "string"))
    outer["contents"].append({"@type": "Component", "name": "pump", "schema": "dtmi:example:inner;1"})
    wire.models(interface("inner", ("speed", "double"), ("tags", TAGS)), outer)
    for twin_id, pump in (("fast", {"speed": 9.5, "tags": {"x": "y"}}), ("slow", {"speed": 1}), ("still", {})):
        wire.twin(twin_id, "dtmi:example:outer;1", pump={"$metadata": {}, **pump})
    for condition, found in (
        ("pump.speed > 5", ["fast"]),
        ("T.pump.speed <= 1 OR T.pump.tags.x = 'y'", ["fast", "slow"]),
        ("NOT IS_DEFINED(T.pump.speed)", ["still"]),
        ("IS_OBJECT(T.pump) AND NOT IS_OBJECT(T.pump.speed)", ["fast", "slow", "still"]),
        ("T.pump.$metadata.speed.lastUpdateTime > '2000-01-01'", ["fast", "slow"]),
        ("IS_OF_MODEL(T, 'dtmi:example:inner;1')", []),
    ):
        rows = wire.query(f"SELECT T.$dtId FROM DIGITALTWINS T WHERE {condition}")
        assert [row["$dtId"] for row in rows] == found, condition
    [row] = wire.query("SELECT pump, pump.speed, pump.tags AS t FROM DIGITALTWINS WHERE $dtId = 'fast'")
    document = wire("GET", "/digitaltwins/fast").json
    assert row == {"pump": document["pump"], "speed": 9.5, "t": {"x": "y"}}


def test_star_rows_are_the_documents_that_get_returns(things: Any) -> None:
    for text in ("SELECT * FROM DIGITALTWINS", "SELECT * FROM DIGITALTWINS T"):
        for row in things.query(text):
            assert row == things("GET", f"/digitaltwins/{row['$dtId']}").json
    for row in things.query("SELECT * FROM RELATIONSHIPS"):
        assert row == things("GET", f"/digitaltwins/{row['$sourceId']}/relationships/{row['$relationshipId']}").json


def test_projected_rows_have_only_the_keys_that_exist(things: Any) -> None:
    assert things.query("SELECT $dtId, name AS n FROM DIGITALTWINS WHERE CONTAINS($dtId, 'o')") == [
        {"$dtId": "area1-room", "n": "foobar"},
        {"$dtId": "a-route-b"},
        {"$dtId": "other"},
    ]
    [row] = things.query("SELECT D, D.Location.city FROM DIGITALTWINS D WHERE D.$dtId = 'area1-room'")
    assert list(row) == ["D", "city"]
    assert row["D"]["$dtId"] == "area1-room"


def test_relationships_are_selected_by_their_ends_and_name(things: Any) -> None:
    rows = things.query(
        "SELECT $sourceId, $targetId FROM relationships WHERE $sourceId IN ['area1-room','s2'] "
        "AND $relationshipName = 'feeds'"
    )
    assert rows == [
        {"$sourceId": "area1-room", "$targetId": "x-small"},
        {"$sourceId": "area1-room", "$targetId": "other"},
    ]
    assert things.query("SELECT COUNT() FROM RELATIONSHIPS R WHERE R.$targetId = 'other'") == [{"COUNT": 1}]


def test_top_limits_the_rows_over_all_pages(things: Any) -> None:
    assert len(things.query("SELECT TOP(3) FROM DIGITALTWINS", **{"max-items-per-page": "2"})) == 3
    assert len(things.query("SELECT TOP(2) T FROM DIGITALTWINS T")) == 2
    assert things.query("SELECT TOP(0) FROM DIGITALTWINS") == []


def test_a_full_last_page_is_followed_by_an_empty_one(things: Any) -> None:
    body: dict[str, Any] = {"query": "SELECT * FROM DIGITALTWINS"}
    sizes = []
    while True:
        answer = things("POST", "/query", body, headers={"max-items-per-page": "2"}).json
        assert list(answer) == ["value", "continuationToken"]
        sizes.append(len(answer["value"]))
        if answer["continuationToken"] is None:
            break
        body = {"query": "ignored", "continuationToken": answer["continuationToken"]}
    assert sizes == [2, 2, 0]


def test_changes_between_pages_neither_repeat_nor_skip_what_stays(things: Any) -> None:
    first = things("POST", "/query", {"query": "SELECT * FROM DIGITALTWINS"}, headers={"max-items-per-page": "2"}).json
    things("PATCH", "/digitaltwins/area1-room", [{"op": "add", "path": "/name", "value": "new"}])
    things.twin("late", "dtmi:example:other;1")
    rest = things("POST", "/query", {"continuationToken": first["continuationToken"]}).json
    assert [row["$dtId"] for row in rest["value"]] == ["a-route-b", "other", "late"]


@pytest.mark.parametrize("size", ["0", "-1", "x", "99999999999999999999", ""])
def test_an_odd_page_size_is_taken_as_near_as_possible(things: Any, size: str) -> None:
    assert len(things.query("SELECT * FROM DIGITALTWINS", **{"max-items-per-page": size})) == 4


@pytest.mark.parametrize(
    "token",
    ["", "x", "{}", "[]", '{"_rc":"[]"}', json.dumps({"_rc": '[{"token":"+RID:~-1"}]', "_q": "x", "_tr": 0, "_pn": 0})],
)
def test_a_token_that_is_not_ours_is_refused(things: Any, token: str) -> None:
    answer = things("POST", "/query", {"query": "SELECT * FROM DIGITALTWINS", "continuationToken": token})
    assert (answer.status, answer.code) == (400, "BadRequest")


@pytest.mark.parametrize("body", [{}, {"query": 5}, {"query": None}, [], "SELECT"])
def test_a_body_without_a_query_is_refused(things: Any, body: Any) -> None:
    answer = things("POST", "/query", body)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS WHERE a = ",
        "SELECT * FROM DIGITALTWINS ORDER BY name",
        "SELECT * FROM (SELECT * FROM DIGITALTWINS)",
        "SELECT * FROM DIGITALTWINS WHERE a = 1" + " AND a = 1" * 51,
        "SELECT * FROM RELATIONSHIPS WHERE IS_OF_MODEL('dtmi:example:thing;1')",
    ],
)
def test_what_is_no_query_is_an_sql_query_error(things: Any, text: str) -> None:
    answer = things("POST", "/query", {"query": text})
    assert (answer.status, answer.code) == (400, "SqlQueryError")
    assert answer.message.startswith("SQL query parse failed: SQL Parser Error, Line=1, Position=")


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("SELECT B FROM DIGITALTWINS A JOIN B RELATED A.feeds", 29, "WHERE must name a twin by $dtId"),
        ("SELECT B FROM DIGITALTWINS MATCH (A)-[]-(B) WHERE A.x = 1", 27, "WHERE must name a twin by $dtId"),
        ("SELECT C FROM DIGITALTWINS A JOIN B RELATED A.feeds WHERE A.$dtId = 'x'", 7, "no collection is called 'C'"),
        ("SELECT * FROM DIGITALTWINS MATCH (A)-[]-(B) WHERE A.$dtId = 'x'", 7, "SELECT * is not allowed"),
        ("SELECT A FROM DIGITALTWINS MATCH (A)-[*11]-(B) WHERE A.$dtId = 'x'", 36, "at most 10 hops"),
    ],
)
def test_joins_and_patterns_that_the_service_has_not_are_sql_query_errors(
    things: Any, text: str, position: int, message: str
) -> None:
    answer = things("POST", "/query", {"query": text})
    assert (answer.status, answer.code) == (400, "SqlQueryError")
    assert f"Line=1, Position={position}, Message=" in answer.message
    assert message in answer.message


@pytest.mark.parametrize("char", ["\0", "\x1f", "\x7f", "\u2028", "\uffff", "\U0010ffff", "'", '"', "\\", "%", "]"])
def test_any_character_in_a_string_or_name_is_answered(things: Any, char: str) -> None:
    literal = char.replace("\\", "\\\\").replace("'", "\\'")
    things("PATCH", "/digitaltwins/other", [{"op": "add", "path": "/name", "value": f"a{char}b"}])
    rows = things.query(f"SELECT $dtId FROM DIGITALTWINS WHERE name = 'a{literal}b' AND CONTAINS(name, '{literal}')")
    assert rows == [{"$dtId": "other"}]
    for name in (f"a{char}b", char + " "):
        assert things.query(f"SELECT [[{name}]] FROM DIGITALTWINS T WHERE T.[[{name}]].x = 'a{literal}b'") == []


def test_half_a_character_is_no_json_and_no_query(things: Any) -> None:
    answer = things("POST", "/query", raw=b'{"query":"SELECT * FROM DIGITALTWINS WHERE a = \'\\ud800\'"}')
    assert (answer.status, answer.code) == (400, "BadRequest")


def test_older_api_versions_hide_update_times_in_whatever_shows_a_twin(things: Any) -> None:
    def rows(text: str) -> list[Any]:
        return list(things("POST", "/query", {"query": text}, query="api-version=2020-10-31").json["value"])

    model = "dtmi:example:other;1"
    assert rows("SELECT * FROM DIGITALTWINS WHERE $dtId = 'other'")[0]["$metadata"] == {"$model": model}
    assert rows("SELECT T FROM DIGITALTWINS T WHERE T.$dtId = 'other'")[0]["T"]["$metadata"] == {"$model": model}
    assert rows("SELECT T.$metadata FROM DIGITALTWINS T WHERE T.$dtId = 'other'") == [{"$metadata": {"$model": model}}]
    assert rows("SELECT T.$metadata.$lastUpdateTime FROM DIGITALTWINS T WHERE T.$dtId = 'other'") == [{}]
    [row] = rows("SELECT B, R FROM DIGITALTWINS A JOIN B RELATED A.feeds R WHERE B.$dtId = 'other'")
    assert row["B"]["$metadata"] == {"$model": model}
    assert row["R"] == things("GET", "/digitaltwins/area1-room/relationships/r2").json
    [row] = things.query("SELECT T.$metadata FROM DIGITALTWINS T WHERE T.$dtId = 'other'")
    assert list(row["$metadata"]) == ["$model", "$lastUpdateTime"]


def test_a_query_that_takes_longer_than_it_may_is_broken_off(wire_to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = Database.select
    monkeypatch.setattr(Database, "select", lambda self, statement: patient(self, statement, seconds=0.3))
    wire = wire_to(Options())
    model = interface("node")
    model["contents"].append({"@type": "Relationship", "name": "to"})
    wire.models(model)
    ids = [f"t{number}" for number in range(12)]
    for one in ids:
        wire.twin(one, "dtmi:example:node;1")
    for number, one in enumerate(ids):
        for other in ids[:number]:
            wire.relate(one, f"{one}-{other}", "to", other)
    paths = "FROM DIGITALTWINS MATCH (A)-[*{}]-(B) WHERE A.$dtId = 't0'"
    answer = wire("POST", "/query", {"query": f"SELECT COUNT() {paths.format(10)}"})
    assert (answer.status, answer.code) == (400, "TimeoutError")
    assert wire.query(f"SELECT COUNT() {paths.format(2)}") == [{"COUNT": 110}]


def test_with_a_query_lag_queries_see_changes_later_than_reads(wire_to: Any) -> None:
    wire = wire_to(Options(query_lag=0.6))
    wire.models(interface("other", ("name", "string")))
    wire.twin("t", "dtmi:example:other;1", name="first")
    assert wire("GET", "/digitaltwins/t").status == 200
    assert wire.query("SELECT COUNT() FROM DIGITALTWINS") == [{"COUNT": 0}]
    deadline = 100
    while wire.query("SELECT COUNT() FROM DIGITALTWINS") == [{"COUNT": 0}] and deadline:
        deadline -= 1
        time.sleep(0.05)
    assert wire.query("SELECT name FROM DIGITALTWINS") == [{"name": "first"}]
    wire("DELETE", "/digitaltwins/t")
    assert wire.query("SELECT name FROM DIGITALTWINS") == [{"name": "first"}]
