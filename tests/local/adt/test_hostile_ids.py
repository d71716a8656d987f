"""Ids, names and query texts with every character there is, and SQL in all of them: found again exactly, or refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

ROOM = "dtmi:test:Room;1"
SQL = [
    "'; DROP TABLE twins; --",
    "x' OR '1'='1",
    '"; DELETE FROM twins WHERE "1"="1',
    "') UNION SELECT * FROM sqlite_master --",
    "1); ATTACH DATABASE 'x' AS y; --",
    "\\'; DROP TABLE models; --",
    "' || (SELECT hex(randomblob(9))) || '",
    "%' ESCAPE '\\' OR 1=1 --",
    "[twins]",
    "`twins`",
    "?1",
    ":id",
    "$dtId",
    "x' --",
    "/* */",
    "a\x00b",
    "*",
    "_",
    "%",
]


DECODED = {
    "%2F": "/",
    "%2f": "/",
    "%25": "%",
    "%2525": "%25",
    "%3A": ":",
    "%20": " ",
    "+": "+",
    "%C3%BC": "ü",
    "%E2%82%AC": "€",
    "%F0%9F%98%80": "\U0001f600",
}


def counts(wire: Any) -> dict[str, int]:
    health = wire.admin("GET", "/health").json
    return {key: value for key, value in health.items() if key in ("models", "twins", "relationships")}


def texts(text: str) -> str:
    """A string literal of the query language."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def found_by_every_way(wire: Any, twin_id: str) -> None:
    path = f"/digitaltwins/{quote(twin_id, safe='')}"
    body = {"$metadata": {"$model": ROOM}}
    before = counts(wire)
    created = wire("PUT", path, body)
    assert created.status == 200, (twin_id, created.body)
    assert created.json["$dtId"] == twin_id
    assert counts(wire) == {**before, "twins": before["twins"] + 1}
    assert wire("GET", path).json["$dtId"] == twin_id
    assert wire.query(f"SELECT $dtId FROM DIGITALTWINS WHERE $dtId = {texts(twin_id)}") == [{"$dtId": twin_id}]
    taken = wire("PUT", path, body, headers={"If-None-Match": "*"})
    assert taken.status == 412
    assert wire("DELETE", path).status == 204
    assert wire("GET", path).status == 404
    assert counts(wire) == before


@pytest.mark.parametrize("code", [*range(0x01, 0x80), 0x80, 0xA0, 0xFF, 0x2028, 0xFEFF, 0xFFFF, 0x1F600])
def test_an_id_may_have_any_character_when_it_is_encoded(house: Any, code: int) -> None:
    house.twin("a--b", ROOM)  # a neighbour that no pattern may match
    found_by_every_way(house, f"a{chr(code)}b")
    assert house("GET", "/digitaltwins/a--b").status == 200


@pytest.mark.parametrize(
    "character", sorted(set(map(chr, range(0x21, 0x7F))) - set("/?#%"))
)  # they mean something else
def test_a_character_that_http_allows_in_a_path_may_come_raw(house: Any, character: str) -> None:
    answer = house("PUT", f"/digitaltwins/a{character}b", {"$metadata": {"$model": ROOM}})
    assert (answer.status, answer.json["$dtId"]) == (200, f"a{character}b")


@pytest.mark.parametrize(("raw", "decoded"), DECODED.items())
def test_an_id_is_decoded_once(house: Any, raw: str, decoded: str) -> None:
    created = house("PUT", f"/digitaltwins/{raw}", {"$metadata": {"$model": ROOM}})
    assert created.json["$dtId"] == decoded
    assert house("GET", f"/digitaltwins/{quote(decoded, safe='')}").status == 200


@pytest.mark.parametrize("raw", ["%C0%AF", "%FF", "%ED%A0%80", "%C3", "%F5%80%80%80"])
def test_an_id_that_is_no_utf_8_names_nothing_else(house: Any, raw: str) -> None:
    house.twin("plain", ROOM)
    before = counts(house)
    answer = house("PUT", f"/digitaltwins/a{raw}", {"$metadata": {"$model": ROOM}})
    assert answer.status == 400, answer.body
    assert counts(house) == before
    assert house("GET", f"/digitaltwins/a{raw}").status in (400, 404)


@pytest.mark.parametrize("raw", ["%", "%2", "%zz", "%u0041"])
def test_a_percent_sign_that_begins_no_escape_stands_for_itself(house: Any, raw: str) -> None:
    answer = house("PUT", f"/digitaltwins/{raw}", {"$metadata": {"$model": ROOM}})
    assert (answer.status, answer.json["$dtId"]) == (200, raw)


def test_ids_too_long_are_refused_and_dots_are_ids_like_others(house: Any) -> None:
    body = {"$metadata": {"$model": ROOM}}
    assert house("PUT", f"/digitaltwins/{'x' * 128}", body).status == 200
    house.twin("end", ROOM)
    house.relate("end", "r" * 128, "near", "x" * 128)
    for length in (129, 10_000):
        answer = house("PUT", f"/digitaltwins/{'x' * length}", body)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert house("GET", f"/digitaltwins/{'x' * length}").status == 404
        end = {"$relationshipName": "near", "$targetId": "x" * 128}
        answer = house("PUT", f"/digitaltwins/end/relationships/{'r' * length}", end)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert house("GET", f"/digitaltwins/end/relationships/{'r' * length}").status == 404
    for dots in (".", "..", "...", "%2E%2E"):
        assert house("PUT", f"/digitaltwins/{dots}", body).status == 200
    assert house("GET", "/digitaltwins/../models").status == 404


@pytest.mark.parametrize("text", SQL)
def test_sql_as_an_id_is_an_id(house: Any, text: str) -> None:
    found_by_every_way(house, text)


@pytest.mark.parametrize("text", SQL)
def test_sql_as_a_value_is_a_value(house: Any, text: str) -> None:
    house.twin("v", ROOM, name=text, **({} if text[0] == "$" else {"tags": {text: 1.5}}))
    house.twin("other", ROOM, name="other")
    before = counts(house)
    assert house.query(f"SELECT $dtId FROM DIGITALTWINS WHERE name = {texts(text)}") == [{"$dtId": "v"}]
    for form in ("IN [{}]", "!= {} AND name != 'other'", "NIN [{}, 'other']"):
        rows = house.query(f"SELECT $dtId FROM DIGITALTWINS WHERE name {form.format(texts(text))}")
        assert rows == ([{"$dtId": "v"}] if form[:2] == "IN" else [])
    for function in ("STARTSWITH", "ENDSWITH", "CONTAINS"):
        rows = house.query(f"SELECT $dtId FROM DIGITALTWINS WHERE {function}(name, {texts(text)})")
        assert rows == [{"$dtId": "v"}], function
    assert house.query(f"SELECT $dtId FROM DIGITALTWINS WHERE IS_OF_MODEL({texts(text)})") == []
    assert counts(house) == before


@pytest.mark.parametrize("text", SQL)
def test_sql_as_a_name_selects_only_what_has_it_or_is_refused(house: Any, text: str) -> None:
    own = house.twin("v", ROOM, name="n").json
    before = counts(house)
    for query in (
        f"SELECT * FROM DIGITALTWINS WHERE [[{text}]] = 'n'",
        f"SELECT [[{text}]] FROM DIGITALTWINS",
        f"SELECT T.name AS [[{text}]] FROM DIGITALTWINS T",
        f"SELECT * FROM DIGITALTWINS WHERE {text} = 1",
        f"SELECT {text} FROM DIGITALTWINS",
        f"SELECT * FROM {text}",
        f"SELECT * FROM DIGITALTWINS {text}",
        f"SELECT TOP({text}) FROM DIGITALTWINS",
        text,
    ):
        answer = house("POST", "/query", {"query": query})
        assert answer.status in (200, 400), (query, answer.body)
        if answer.status == 400:
            assert answer.code == "SqlQueryError"
        else:
            assert len(answer.json["value"]) <= 1
            assert [value for row in answer.json["value"] for value in row.values() if value not in own.values()] == []
        assert counts(house) == before
    assert house("GET", "/digitaltwins/v").json["name"] == "n"


@pytest.mark.parametrize("text", SQL)
def test_sql_in_relationships_components_and_models_is_data(house: Any, text: str) -> None:
    house.twin("a", ROOM)
    house.twin("b", ROOM)
    encoded = quote(text, safe="")
    house.relate("a", encoded, "near", "b")
    before = counts(house)
    assert house("GET", f"/digitaltwins/a/relationships/{encoded}").json["$relationshipId"] == text
    assert (
        house("GET", f"/digitaltwins/a/relationships?api-version=2023-10-31&relationshipName={encoded}").json["value"]
        == []
    )
    assert house("GET", "/digitaltwins/b/incomingrelationships").json["value"][0]["$relationshipId"] == text
    assert house.query(f"SELECT $relationshipId FROM RELATIONSHIPS WHERE $relationshipId = {texts(text)}") == [
        {"$relationshipId": text}
    ]
    refused = house("PUT", "/digitaltwins/a/relationships/r", {"$relationshipName": text, "$targetId": "b"})
    assert (refused.status, refused.code) == (400, "InvalidRelationship")
    unknown = house("PUT", "/digitaltwins/a/relationships/r", {"$relationshipName": "near", "$targetId": text})
    assert (unknown.status, unknown.code) == (404, "TargetDigitalTwinNotFound")
    assert house("GET", f"/digitaltwins/a/components/{encoded}").code == "ComponentNotFound"
    assert (
        house("PATCH", f"/digitaltwins/a/components/{encoded}", [{"op": "add", "path": "/x", "value": 1}]).status == 400
    )
    assert house("GET", f"/models/{encoded}").status == 400
    assert house("PUT", "/digitaltwins/c", {"$metadata": {"$model": text}}).code == "ValidationFailed"
    for token in (text, f'{{"_q":"{text}"}}', f"{text}_a"):
        assert house("POST", "/query", {"continuationToken": token}).code == "BadRequest"
    assert counts(house) == before
