"""The admin API: health, journal, faults, reset; and throttling."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.adt import Options
from remhart_adt.local.adt.throttle import Throttle

ROOM = "dtmi:test:Room;1"
ADD = [{"op": "add", "path": "/name", "value": "m"}]


def rows(wire: Any, after: int = 0) -> list[dict[str, Any]]:
    answer = wire.admin("GET", f"/journal?after={after}")
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
    times = [time for row in found for time in (row["time_us"], row["done_us"])]
    assert times == sorted(times)


def test_a_body_that_is_no_json_is_kept_as_text(house: Any) -> None:
    start = rows(house)[-1]["n"]
    house("PUT", "/digitaltwins/x", raw=b"{\n")
    [row] = rows(house, start)
    assert (row["body"], row["raw"], row["status"]) == (None, "{\n", 400)


def test_the_journal_is_read_in_pages(house: Any) -> None:
    for _ in range(25):
        house("GET", "/models")
    found: list[int] = []
    after = 0
    while True:
        page = house.admin("GET", f"/journal?after={after}&limit=10").json
        if not page["rows"]:
            break
        found += [row["n"] for row in page["rows"]]
        after = page["next"]
    assert len(found) >= 25
    assert found == list(range(found[0], found[0] + len(found)))
    assert house.admin("GET", "/journal?after=x").status == 400


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


# --- faults


def test_the_next_matching_requests_get_the_asked_status(house: Any) -> None:
    house.twin("a", ROOM)
    fault = {"method": "PATCH", "path": "/digitaltwins/", "status": 503, "count": 2, "headers": {"Retry-After": "1"}}
    assert house.admin("POST", "/faults", fault).json == {"pending": 2}
    assert house("GET", "/digitaltwins/a").status == 200
    statuses = [house("PATCH", "/digitaltwins/a", ADD) for _ in range(3)]
    assert [answer.status for answer in statuses] == [503, 503, 204]
    assert statuses[0].headers["retry-after"] == "1"
    assert rows(house)[-2]["note"] == "fault: status"


def test_a_fault_may_let_some_requests_pass_first(house: Any) -> None:
    house.admin("POST", "/faults", {"status": 500, "skip": 2})
    assert [house("GET", "/models").status for _ in range(4)] == [200, 200, 500, 200]


def test_a_reset_happens_before_anything_and_a_drop_after_everything(house: Any) -> None:
    etag = house.twin("a", ROOM, name="n").etag
    for action, changed in (("reset", False), ("drop", True)):
        house.admin("POST", "/faults", {"method": "PATCH", "action": action})
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            house("PATCH", "/digitaltwins/a", ADD)
        house.close()
        assert (house("GET", "/digitaltwins/a").etag != etag) is changed
    noted = [(row["status"], row["note"]) for row in rows(house) if "note" in row]
    assert noted == [(0, "fault: reset"), (204, "fault: drop")]


def test_a_delay_only_delays(house: Any) -> None:
    house.admin("POST", "/faults", {"action": "delay", "delay_ms": 30, "path": "/models"})
    start = rows(house)[-1]["n"]
    assert house("GET", "/models").status == 200
    [row] = rows(house, start)
    assert row["done_us"] - row["time_us"] >= 30_000


def test_several_faults_come_in_turn_and_can_be_cleared(house: Any) -> None:
    house.admin("POST", "/faults", [{"status": 500}, {"status": 502}, {"status": 504, "count": 9}])
    assert [house("GET", "/models").status for _ in range(3)] == [500, 502, 504]
    assert house.admin("GET", "/health").json["faults_hit"] == 3
    assert house.admin("DELETE", "/faults").status == 204
    assert house("GET", "/models").status == 200


@pytest.mark.parametrize(
    "fault",
    [
        5,
        {"acton": "reset"},
        {"action": "explode"},
        {"count": -1},
        {"count": "x"},
        {"status": 100},
        {"status": 700},
        {"path": 5},
        {"headers": {"a": 1}},
        {"headers": []},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wire: Any, fault: Any) -> None:
    assert wire.admin("POST", "/faults", fault).status == 400
    assert wire("GET", "/models").status == 200


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


def test_admin_paths_have_methods_too(wire: Any) -> None:
    assert wire.admin("GET", "/nothing").status == 404
    assert wire.admin("GET", "/reset").status == 405


# --- throttling


def test_one_twin_takes_ten_changes_a_second(wire_to: Any, make_interface: Any, make_prop: Any) -> None:
    wire = wire_to(Options(throttle=True, retry_after=7))
    wire.models(make_interface("Room", make_prop("name", "string")))
    answers = [wire.twin("a", ROOM)] + [wire("PATCH", "/digitaltwins/a", ADD) for _ in range(10)]
    assert [answer.status for answer in answers] == [200] + [204] * 9 + [429]
    refused = answers[-1]
    assert refused.headers["retry-after"] == "7"
    assert refused.headers["content-type"] == "application/json"
    assert refused.json["error"]["statusCode"] == 429
    assert "etag" not in refused.headers
    assert wire.twin("b", ROOM).status == 200
    assert wire("GET", "/digitaltwins/a").status == 200


def test_limits_are_counted_over_any_one_second() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.refuses("patch", "a") for _ in range(11)] == [False] * 10 + [True]
    now[0] = 0.999
    assert throttle.refuses("patch", "a")
    assert not throttle.refuses("patch", "b")
    now[0] = 1.0
    assert not throttle.refuses("create", "a")
    assert not throttle.refuses("telemetry", None)


def test_the_instance_takes_a_thousand_patches_a_second() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    refused = [throttle.refuses("patch", f"twin{number}") for number in range(1001)]
    assert refused == [False] * 1000 + [True]
    assert not throttle.refuses("create", "other")
    now[0] = 1.0
    assert not throttle.refuses("patch", "twin0")
