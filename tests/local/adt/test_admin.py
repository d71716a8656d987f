"""The admin API: health, journal, settings, clock, reset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import Options

ROOM = "dtmi:test:Room;1"
ADD = [{"op": "add", "path": "/name", "value": "m"}]


def rows(wire: Any, after: int = 0, **params: Any) -> list[dict[str, Any]]:
    more = "".join(f"&{name}={value}" for name, value in params.items())
    answer = wire.admin("GET", f"/journal?after={after}{more}")
    assert answer.json["dropped"] == 0
    found: list[dict[str, Any]] = answer.json["rows"]
    return found


# --- journal


def test_the_journal_has_every_request_in_order_of_effect(house: Any) -> None:
    start = rows(house)[-1]["n"]
    put = house.twin("a%20b", ROOM, name="n")
    patch = house("PATCH", "/digitaltwins/a%20b", ADD, headers={"If-Match": put.etag})
    house("PATCH", "/digitaltwins/a%20b", ADD, headers={"If-Match": put.etag})
    house("GET", "/digitaltwins/a%20b")
    house("POST", "/digitaltwins/a%20b/telemetry", {"x": 1}, headers={"Message-Id": "m"})
    found = rows(house, start)
    assert [row["n"] for row in found] == list(range(start + 1, start + 6))
    assert [(row["method"], row["path"], row["status"]) for row in found] == [
        ("PUT", "/digitaltwins/a%20b", 200),
        ("PATCH", "/digitaltwins/a%20b", 204),
        ("PATCH", "/digitaltwins/a%20b", 412),
        ("GET", "/digitaltwins/a%20b", 200),
        ("POST", "/digitaltwins/a%20b/telemetry", 204),
    ]
    assert found[1]["if_match"] == put.etag
    assert found[1]["etag"] == patch.etag
    assert [row["body"] for row in found[1:]] == [ADD, ADD, None, {"x": 1}]
    assert found[0]["size"] == len(put.body)
    assert found[1]["size"] == 0
    assert {row["instance"] for row in found} == {"local"}
    times = [time for row in found for time in (row["time_us"], row["done_us"])]
    assert times == sorted(times)


def test_the_journal_keeps_the_headers_that_matter_and_no_secret(house: Any) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    sent = {"User-Agent": "sync/1", "traceparent": trace, "Authorization": "Bearer sesame", "If-None-Match": "*"}
    house("GET", "/models", headers=sent)
    page = house.admin("GET", "/journal")
    kept = page.json["rows"][-1]["headers"]
    assert kept == {"user-agent": "sync/1", "traceparent": trace, "if-none-match": "*"}
    assert b"sesame" not in page.body


def test_the_journal_has_the_text_of_a_query(house: Any) -> None:
    house("POST", "/query", {"query": "SELECT COUNT() FROM digitaltwins"})
    row = rows(house)[-1]
    assert (row["query"], row["body"]) == ("SELECT COUNT() FROM digitaltwins", None)


def test_a_body_that_is_no_json_is_kept_as_text(house: Any) -> None:
    start = rows(house)[-1]["n"]
    house("PUT", "/digitaltwins/x", raw=b"{\n")
    [row] = rows(house, start)
    assert (row["body"], row["raw"], row["status"]) == (None, "{\n", 400)


def test_the_journal_is_read_in_pages(house: Any) -> None:
    for _ in range(25):
        house("GET", "/models")
    found: list[int] = []
    after, more = 0, True
    while more:
        page = house.admin("GET", f"/journal?after={after}&limit=10").json
        assert len(page["rows"]) <= 10
        found += [row["n"] for row in page["rows"]]
        after, more = page["next"], page["more"]
    assert len(found) >= 25
    assert found == list(range(found[0], found[0] + len(found)))
    assert house.admin("GET", f"/journal?after={after}").json["rows"] == []
    assert house.admin("GET", "/journal?after=x").status == 400
    assert house.admin("GET", "/journal?limit=-1").status == 400


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"method": "get"}, ["/models", "/digitaltwins/x"]),
        ({"path": "/DigitalTwins/"}, ["/digitaltwins/a", "/digitaltwins/a/telemetry", "/digitaltwins/x"]),
        ({"path": "*/telemetry"}, ["/digitaltwins/a/telemetry"]),
        ({"status": "404"}, ["/digitaltwins/x"]),
        ({"status": "4xx"}, ["/digitaltwins/x"]),
        ({"status": "2XX", "method": "GET"}, ["/models"]),
        ({"instance": "other"}, []),
        ({"instance": "local", "method": "PUT"}, ["/digitaltwins/a"]),
    ],
)
def test_the_journal_is_searched(house: Any, params: dict[str, str], expected: list[str]) -> None:
    start = rows(house)[-1]["n"]
    house.twin("a", ROOM)
    house("GET", "/models")
    house("POST", "/digitaltwins/a/telemetry", {"x": 1})
    house("GET", "/digitaltwins/x")
    assert [row["path"] for row in rows(house, start, **params)] == expected


def test_a_search_without_a_match_goes_on_behind_what_it_has_seen(house: Any) -> None:
    house("GET", "/models")
    last = rows(house)[-1]["n"]
    page = house.admin("GET", "/journal?path=/nowhere").json
    assert (page["rows"], page["next"], page["more"]) == ([], last, False)


def test_the_journal_file_survives_a_restart_and_goes_on_counting(tmp_path: Path, wire_to: Any) -> None:
    file = tmp_path / "journal.ndjson"
    first = wire_to(Options(journal=file))
    for _ in range(3):
        first("GET", "/models")
    first.server.stop()
    with file.open("ab") as handle:
        handle.write(b'{"n": 4, "torn')
    second = wire_to(Options(journal=file))
    second("PATCH", "/digitaltwins/x", ADD)
    second.server.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["n"] for row in lines] == [1, 2, 3, 4]
    assert (lines[3]["status"], lines[3]["body"]) == (404, ADD)


# --- health, reset


def test_health_counts_what_is_stored(house: Any) -> None:
    house.twin("a", ROOM)
    house.twin("b", ROOM)
    house.relate("a", "r", "near", "b")
    health = house.admin("GET", "/health").json
    assert (health["status"], health["models"], health["twins"], health["relationships"]) == ("ok", 3, 2, 1)


def test_reset_forgets_everything(house: Any) -> None:
    house.twin("a", ROOM)
    house.admin("POST", "/faults", {"status": 500})
    assert house.admin("POST", "/reset").status == 204
    assert rows(house) == []
    assert house("GET", "/models").json["value"] == []
    assert house("GET", "/digitaltwins/a").status == 404
    assert house("PUT", "/digitaltwins/a", {"$metadata": {"$model": ROOM}}).code == "ValidationFailed"


def test_reset_of_an_instance_leaves_the_settings_and_the_faults_for_all(house: Any) -> None:
    house.twin("a", ROOM)
    house.admin("PUT", "/settings", {"capacity": 0.5})
    house.admin("POST", "/faults", [{"status": 500, "instance": "local"}, {"status": 502}])
    assert house.admin("POST", "/reset?instance=nobody").status == 404
    assert house.admin("POST", "/reset?instance=local").status == 204
    assert rows(house) == []
    assert [house("GET", "/digitaltwins/a").status for _ in range(2)] == [502, 404]
    assert house.admin("GET", "/settings").json["capacity"] == 0.5


def test_admin_paths_have_methods_too(wire: Any) -> None:
    assert wire.admin("GET", "/nothing").status == 404
    assert wire.admin("GET", "/reset").status == 405


# --- settings


def test_settings_change_while_the_server_runs_and_reset_puts_them_back(house: Any) -> None:
    before = house.admin("GET", "/settings").json
    assert before == {"throttle": False, "query_lag": 0.0, "retry_after": 5, "capacity": 1.0}
    changed = house.admin("PUT", "/settings", {"throttle": True, "retry_after": 9}).json
    assert changed == {**before, "throttle": True, "retry_after": 9}
    answers = [house.twin("a", ROOM)] + [house("PATCH", "/digitaltwins/a", ADD) for _ in range(10)]
    assert [answer.status for answer in answers] == [200] + [204] * 9 + [429]
    assert answers[-1].headers["retry-after"] == "9"
    house.admin("POST", "/reset")
    assert house.admin("GET", "/settings").json == before


def test_a_query_lag_that_begins_later_shows_what_was_there_and_ends_at_once(house: Any) -> None:
    count = "SELECT COUNT() FROM digitaltwins"
    house.twin("a", ROOM)
    house.admin("PUT", "/settings", {"query_lag": 60})
    house.twin("b", ROOM)
    assert house.query(count) == [{"COUNT": 1}]
    house.admin("PUT", "/settings", {"query_lag": 0})
    assert house.query(count) == [{"COUNT": 2}]


@pytest.mark.parametrize(
    "settings",
    [
        5,
        {"trottle": True},
        {"throttle": 1},
        {"query_lag": -1},
        {"query_lag": "5"},
        {"retry_after": 1.5},
        {"retry_after": True},
        {"capacity": 0},
        {"capacity": 1e9},
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(wire: Any, settings: Any) -> None:
    before = wire.admin("GET", "/settings").json
    refused = wire.admin("PUT", "/settings", settings)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert wire.admin("GET", "/settings").json == before
    assert wire.admin("GET", "/settings?instance=x").status == 404


# --- clock


def test_every_time_goes_by_a_fake_clock(wire_to: Any, make_interface: Any, make_prop: Any) -> None:
    wire = wire_to(Options(clock=FakeClock(1_700_000_000_000_000)))
    assert wire.admin("GET", "/clock").json == {"now": "2023-11-14T22:13:20Z", "fake": True}
    wire.models(make_interface("Room", make_prop("name", "string")))
    moved = wire.admin("POST", "/clock", {"advance_s": 86400.5})
    assert (moved.status, moved.json["now"]) == (200, "2023-11-15T22:13:20.500000Z")
    answer = wire.twin("a", ROOM, name="n")
    assert answer.json["$metadata"]["$lastUpdateTime"] == "2023-11-15T22:13:20.5000000Z"
    assert answer.headers["date"] == "Wed, 15 Nov 2023 22:13:20 GMT"
    assert wire("GET", "/models").json["value"][0]["uploadTime"] == "2023-11-14T22:13:20+00:00"
    assert rows(wire)[-1]["time_us"] == 1_700_086_400_500_000
    assert wire.admin("POST", "/clock", {"now": "2024-02-29T00:00:00Z"}).json["now"] == "2024-02-29T00:00:00Z"
    assert wire.twin("b", ROOM).json["$metadata"]["$lastUpdateTime"] == "2024-02-29T00:00:00.0000000Z"


def test_the_query_lag_goes_by_the_clock(wire_to: Any, make_interface: Any) -> None:
    wire = wire_to(Options(clock=FakeClock(), query_lag=7.0))
    wire.models(make_interface("Room"))
    wire.twin("a", ROOM)
    counts = []
    for _ in range(3):
        counts.append(wire.query("SELECT COUNT() FROM digitaltwins")[0]["COUNT"])
        wire.admin("POST", "/clock", {"advance_s": 3.5})
    assert counts == [0, 0, 1]


def test_reset_puts_a_fake_clock_back(wire_to: Any) -> None:
    wire = wire_to(Options(clock=FakeClock()))
    wire.admin("POST", "/clock", {"advance_s": 50})
    wire.admin("POST", "/reset")
    assert wire.admin("GET", "/clock").json["now"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    "move",
    [
        5,
        {},
        {"advance": 1},
        {"advance_s": -1},
        {"advance_s": "1"},
        {"advance_s": 1e12},
        {"advance_s": 1, "now": "2030-01-01T00:00:00Z"},
        {"now": "2023-11-14T22:13:19Z"},
        {"now": "tomorrow"},
        {"now": 5},
    ],
)
def test_a_move_of_the_clock_that_makes_no_sense_is_refused(wire_to: Any, move: Any) -> None:
    wire = wire_to(Options(clock=FakeClock()))
    refused = wire.admin("POST", "/clock", move)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert wire.admin("GET", "/clock").json["now"] == "2023-11-14T22:13:20Z"


def test_the_systems_clock_cannot_be_moved(wire: Any) -> None:
    assert wire.admin("GET", "/clock").json["fake"] is False
    refused = wire.admin("POST", "/clock", {"advance_s": 1})
    assert (refused.status, refused.code) == (409, "ClockNotFake")


def test_a_body_that_is_too_long_is_refused(wire: Any) -> None:
    assert wire("PUT", "/_remhart/settings", raw=b" " * 1_100_000, query="").status == 413
