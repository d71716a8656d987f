"""Headers, paths, versions and envelopes that every operation shares."""

from __future__ import annotations

import re
from typing import Any

import pytest

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_every_answer_carries_the_services_headers(house: Any) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    answer = house("GET", "/models", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert answer.headers["strict-transport-security"] == "max-age=2592000"
    assert re.fullmatch(rf"00-{trace_id}-[0-9a-f]{{16}}-01", answer.headers["traceresponse"])
    assert GUID.fullmatch(answer.headers["mise-correlation-id"])
    assert "date" in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert b'", "' not in answer.body


def test_an_answer_without_a_body_says_that_its_length_is_zero(house: Any) -> None:
    house.twin("r", "dtmi:test:Room;1")
    answer = house("DELETE", "/digitaltwins/r")
    assert (answer.status, answer.headers["content-length"]) == (204, "0")
    assert "content-type" not in answer.headers


def test_a_query_answer_is_chunked_without_a_length(house: Any) -> None:
    answer = house("POST", "/query", {"query": "SELECT * FROM DIGITALTWINS"})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers


def test_fixed_words_match_in_any_case_and_ids_only_exactly(house: Any) -> None:
    house.twin("Mixed", "dtmi:test:Room;1")
    assert house("GET", "/DigitalTwins/Mixed").status == 200
    assert house("GET", "/digitaltwins/mixed").status == 404
    assert house("GET", "/Models").status == 200
    assert house("POST", "/QUERY", {"query": "SELECT COUNT() FROM digitaltwins"}).status == 200


def test_the_path_is_split_before_it_is_decoded(house: Any) -> None:
    body = {"$metadata": {"$model": "dtmi:test:Room;1"}}
    created = house("PUT", "/digitaltwins/a%20b%2F%C3%BC%3B1", body)
    assert created.json["$dtId"] == "a b/ü;1"
    assert house("GET", "/digitaltwins/a%20b%2F%C3%BC%3B1").status == 200
    assert house("GET", "/digitaltwins/a%20b/%C3%BC%3B1").status == 404


def test_a_model_id_may_come_raw_or_encoded(house: Any) -> None:
    assert house("GET", "/models/dtmi:test:Room;1").json["id"] == "dtmi:test:Room;1"
    assert house("GET", "/models/dtmi%3Atest%3ARoom%3B1").json["id"] == "dtmi:test:Room;1"


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "MissingArgument"), ("api-version=2019-01-01", "InvalidArgument"), ("x=1", "MissingArgument")],
)
def test_an_api_version_that_is_missing_or_unknown_is_refused(wire: Any, query: str, code: str) -> None:
    answer = wire("GET", "/models", query=query)
    assert answer.status == 400
    assert answer.code == code
    assert answer.headers["x-ms-error-code"] == code


@pytest.mark.parametrize("version", ["2020-10-31", "2022-05-31", "2023-06-30", "2023-10-31"])
def test_update_times_are_shown_from_2022_05_31_on(house: Any, version: str) -> None:
    house.twin("d", "dtmi:test:Device;1", name="n", engine={"$metadata": {}, "speed": 1.0})
    for answer in (
        house("GET", "/digitaltwins/d", query=f"api-version={version}").json,
        house("POST", "/query", {"query": "SELECT * FROM DIGITALTWINS"}, query=f"api-version={version}").json["value"][
            0
        ],
        house("POST", "/query", {"query": "SELECT D FROM DIGITALTWINS D"}, query=f"api-version={version}").json[
            "value"
        ][0]["D"],
    ):
        shown = version >= "2022-05-31"
        assert ("$lastUpdateTime" in answer["$metadata"]) is shown
        assert ("$lastUpdateTime" in answer["engine"]["$metadata"]) is shown
        assert "lastUpdateTime" in answer["$metadata"]["name"]
    component = house("GET", "/digitaltwins/d/components/engine", query=f"api-version={version}").json
    assert ("$lastUpdateTime" in component["$metadata"]) is (version >= "2022-05-31")


def test_unknown_paths_and_methods_are_refused(wire: Any) -> None:
    assert (wire("GET", "/nothing").status, wire("GET", "/").status) == (404, 404)
    assert wire("GET", "/digitaltwins").status == 404
    assert wire("GET", "/digitaltwins/a/b/c/d/e/f").status == 404
    refused = wire("POST", "/digitaltwins/a")
    assert (refused.status, refused.code) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 2000])
def test_bodies_that_are_no_json_are_bad_requests(house: Any, body: bytes) -> None:
    assert house("PUT", "/digitaltwins/x", raw=body).code == "BadRequest"
    assert house("POST", "/query", raw=body).code == "BadRequest"
    assert house("POST", "/models", raw=body).code == "BadRequest"


def test_a_body_above_32_kb_is_refused_and_the_server_goes_on(house: Any) -> None:
    big = {"$metadata": {"$model": "dtmi:test:Room;1"}, "name": "x" * 40_000}
    answer = house("PUT", "/digitaltwins/x", big)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
    assert house("GET", "/models").status == 200


def test_escaped_and_raw_utf8_mean_the_same(house: Any) -> None:
    model = b'{"$metadata":{"$model":"dtmi:test:Room;1"},"name":'
    house("PUT", "/digitaltwins/a", raw=model + '"Zürich"}'.encode())
    house("PUT", "/digitaltwins/b", raw=model + b'"Z\\u00fcrich"}')
    rows = house.query("SELECT $dtId FROM DIGITALTWINS WHERE name = 'Zürich'")
    assert rows == [{"$dtId": "a"}, {"$dtId": "b"}]
