"""Fault rules: which requests they hit, and what happens to those."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options

ROOM = "dtmi:test:Room;1"
ADD = [{"op": "add", "path": "/name", "value": "m"}]
GET = b"GET /digitaltwins/a?api-version=2023-10-31 HTTP/1.1\r\nHost: h\r\n\r\n"


def rows(wire: Any, after: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wire.admin("GET", f"/journal?after={after}").json["rows"]
    return found


class Raw:
    """A TCP connection to the server that shows what comes in, and when and how it ends."""

    def __init__(self, server: LocalAdt, timeout: float = 10.0) -> None:
        host, _, port = server.endpoint.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def until_the_end(self) -> tuple[bytes, list[float], bool]:
        """What was received, when each piece came, and whether the connection was reset in the end."""
        received, times = b"", []
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                return received, times, True
            if not piece:
                return received, times, False
            received += piece
            times.append(time.monotonic())


# --- which requests


def test_the_next_matching_requests_get_the_asked_status(house: Any) -> None:
    house.twin("a", ROOM)
    fault = {"method": "PATCH", "path": "/digitaltwins/", "status": 503, "count": 2, "headers": {"Retry-After": "1"}}
    added = house.admin("POST", "/faults", fault).json
    assert added["pending"] == 2
    assert house("GET", "/digitaltwins/a").status == 200
    answers = [house("PATCH", "/digitaltwins/a", ADD) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 204]
    assert answers[0].headers["retry-after"] == "1"
    row = rows(house)[-2]
    assert (row["note"], row["fault"]) == ("fault: status", added["ids"][0])


def test_a_fault_may_let_some_requests_pass_first(house: Any) -> None:
    house.admin("POST", "/faults", {"status": 500, "skip": 2})
    assert [house("GET", "/models").status for _ in range(4)] == [200, 200, 500, 200]


def test_several_faults_come_in_turn_and_can_be_cleared(house: Any) -> None:
    house.admin("POST", "/faults", [{"status": 500}, {"status": 502}, {"status": 504, "count": 9}])
    assert [house("GET", "/models").status for _ in range(3)] == [500, 502, 504]
    assert house.admin("GET", "/health").json["faults_hit"] == 3
    assert house.admin("DELETE", "/faults").status == 204
    assert house("GET", "/models").status == 200
    assert house.admin("GET", "/faults").json == {"faults": [], "pending": 0, "hits": 0}


def test_a_list_with_one_bad_rule_adds_none(house: Any) -> None:
    assert house.admin("POST", "/faults", [{"status": 500}, {"status": 5}]).status == 400
    assert house("GET", "/models").status == 200


def test_a_path_is_a_prefix_or_a_glob_of_any_case(house: Any) -> None:
    house.admin("POST", "/faults", {"status": 500, "path": "/DigitalTwins/*/relationships/*", "count": None})
    house.admin("POST", "/faults", {"status": 502, "path": "/digitaltwins/pump", "count": None})
    paths = (
        "/digitaltwins/x",
        "/digitaltwins/x/relationships",
        "/digitaltwins/x/relationships/r",
        "/digitaltwins/pump-7",
    )
    assert [house("GET", path).status for path in paths] == [404, 404, 500, 502]


def test_a_rule_may_ask_for_request_headers(house: Any) -> None:
    house.admin("POST", "/faults", {"status": 500, "match": {"User-Agent": "sync/*"}, "count": None})
    assert house("GET", "/models", headers={"user-agent": "sync/1"}).status == 500
    assert house("GET", "/models", headers={"user-agent": "other"}).status == 200
    assert house("GET", "/models").status == 200


def test_a_rule_for_another_instance_hits_nothing(house: Any) -> None:
    house.admin("POST", "/faults", {"status": 500, "instance": "other"})
    assert house("GET", "/models").status == 200
    house.admin("POST", "/faults", {"status": 500, "instance": "local"})
    assert house("GET", "/models").status == 500


def test_luck_with_a_seed_is_the_same_every_time(house: Any) -> None:
    drawn = []
    for _ in range(2):
        house.admin("POST", "/faults", {"status": 500, "probability": 0.3, "seed": 7, "count": None})
        drawn.append([house("GET", "/models").status for _ in range(60)])
        house.admin("DELETE", "/faults")
    assert drawn[0] == drawn[1]
    assert 8 <= drawn[0].count(500) <= 30


def test_a_rule_has_its_time_by_the_servers_clock(wire_to: Any) -> None:
    wire = wire_to(Options(clock=FakeClock()))
    wire.admin("POST", "/faults", {"status": 500, "count": None, "after": 10, "for": 5})
    seen = []
    for _ in range(4):
        [rule] = wire.admin("GET", "/faults").json["faults"]
        seen.append((rule["state"], wire("GET", "/models").status))
        wire.admin("POST", "/clock", {"advance_s": 5})
    assert seen == [("waiting", 200), ("waiting", 200), ("active", 500), ("expired", 200)]


def test_rules_are_listed_with_their_hits_also_when_they_are_spent(house: Any) -> None:
    house.admin("POST", "/faults", [{"status": 500, "count": 2}, {"action": "drip", "method": "PUT", "bytes": 5}])
    house("GET", "/models")
    house("GET", "/models")
    listed = house.admin("GET", "/faults").json
    assert listed["hits"] == 2
    assert listed["faults"] == [
        {"id": "1", "action": "status", "state": "spent", "hits": 2, "count": 0, "status": 500},
        {"id": "2", "action": "drip", "state": "active", "hits": 0, "count": 1, "method": "PUT", "bytes": 5},
    ]


def test_one_rule_can_be_deleted(house: Any) -> None:
    ids = house.admin("POST", "/faults", [{"status": 500, "count": 9}, {"status": 502, "count": 9}]).json["ids"]
    assert house.admin("DELETE", f"/faults/{ids[0]}").status == 204
    assert house("GET", "/models").status == 502
    assert house.admin("DELETE", f"/faults/{ids[0]}").status == 404


@pytest.mark.parametrize(
    "fault",
    [
        5,
        {"acton": "reset"},
        {"action": "explode"},
        {"action": ["status"]},
        {"count": -1},
        {"count": 0},
        {"count": "x"},
        {"status": 100},
        {"status": 700},
        {"path": 5},
        {"path": "x" * 5000},
        {"headers": {"a": 1}},
        {"headers": []},
        {"headers": {"a\r\nb": "x"}},
        {"headers": {"a": "x\r\ny: z"}},
        {"headers": {"": "x"}},
        {"match": {"a": None}},
        {"probability": 1.5},
        {"probability": True},
        {"seed": "x"},
        {"after": -1},
        {"for": "x"},
        {"bytes": 0},
        {"interval_ms": -5},
        {"seconds": 1e9},
        {"body": {}, "text": "x"},
        {"text": 5},
        {"instance": 5},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wire: Any, fault: Any) -> None:
    refused = wire.admin("POST", "/faults", fault)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert wire("GET", "/models").status == 200


def test_there_is_a_most_of_rules(wire: Any) -> None:
    assert wire.admin("POST", "/faults", [{"path": "/nowhere"}] * 1000).status == 201
    assert "1000" in wire.admin("POST", "/faults", {"path": "/nowhere"}).message


# --- what a status looks like


def test_the_gateways_own_answers_have_their_own_shape(house: Any) -> None:
    shapes = {}
    for status in (401, 429, 503, 500):
        house.admin("POST", "/faults", {"status": status})
        answer = house("GET", "/models")
        assert answer.status == status
        shapes[status] = (answer.headers["content-type"], answer.json)
    assert shapes[401] == ("application/json", {"statusCode": 401, "message": "Unauthorized"})
    for status in (429, 503):
        assert shapes[status][0] == "application/json"
        assert shapes[status][1]["error"].keys() == {"statusCode", "message"}
    assert shapes[500][0] == "application/json; charset=utf-8"
    assert shapes[500][1]["error"]["code"] == "InternalServerError"


def test_a_status_has_the_body_or_text_and_headers_that_were_asked_for(house: Any) -> None:
    page = {"status": 502, "text": "<html>\u00fc</html>", "headers": {"Content-Type": "text/html", "X-Gate": "1"}}
    house.admin("POST", "/faults", [page, {"status": 409, "body": [1]}, {"status": 204}])
    answer = house("GET", "/models")
    assert (answer.status, answer.body.decode()) == (502, "<html>\u00fc</html>")
    assert (answer.headers["content-type"], answer.headers["x-gate"]) == ("text/html", "1")
    assert (house("GET", "/models").json, house("GET", "/models").body) == ([1], b"")


def test_a_header_of_a_rule_cannot_break_the_framing(house: Any) -> None:
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked", "Connection": "close"}
    house.admin("POST", "/faults", {"status": 500, "headers": headers})
    assert house("GET", "/models").status == 500
    assert house("GET", "/models").status == 200


# --- what happens to a connection


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


def test_half_an_answer_has_all_headers_half_of_the_body_and_a_reset(house: Any) -> None:
    whole = house.twin("a", ROOM, name="n" * 400).body
    house.admin("POST", "/faults", {"action": "half"})
    with Raw(house.server) as raw:
        raw.socket.sendall(GET)
        received, _, reset = raw.until_the_end()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: %d" % len(whole) in head
    assert body == whole[: len(whole) // 2]
    assert reset


def test_half_of_an_answer_without_a_body_is_none_after_the_work_was_done(house: Any) -> None:
    etag = house.twin("a", ROOM, name="n").etag
    house.admin("POST", "/faults", {"action": "half", "method": "PATCH"})
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        house("PATCH", "/digitaltwins/a", ADD)
    house.close()
    assert house("GET", "/digitaltwins/a").etag != etag


def test_a_dripping_answer_comes_whole_and_slowly(house: Any) -> None:
    whole = house.twin("a", ROOM, name="n").body
    house.admin("POST", "/faults", {"action": "drip", "bytes": 100, "interval_ms": 30})
    started = time.monotonic()
    answer = house("GET", "/digitaltwins/a")
    assert answer.body == whole
    assert time.monotonic() - started >= 0.03 * (len(whole) // 100)
    assert house("GET", "/digitaltwins/a").status == 200  # and the connection goes on


def test_a_dripping_answer_stops_when_the_client_is_gone(wire_to: Any) -> None:
    wire = wire_to(Options())
    wire.admin("POST", "/faults", {"action": "drip", "bytes": 1, "interval_ms": 600_000})
    with Raw(wire.server) as raw:
        raw.socket.sendall(GET)
        assert raw.socket.recv(100).startswith(b"HTTP/1.1 404")
    started = time.monotonic()
    assert wire("GET", "/models").status == 200
    wire.server.stop()  # does not wait for the drip
    assert time.monotonic() - started < 1.5


def test_who_hangs_gets_nothing_until_the_seconds_are_over(house: Any) -> None:
    etag = house.twin("a", ROOM, name="n").etag
    house.admin("POST", "/faults", {"action": "hang", "seconds": 0.2})
    started = time.monotonic()
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        house("PATCH", "/digitaltwins/a", ADD)
    assert time.monotonic() - started >= 0.2
    house.close()
    assert house("GET", "/digitaltwins/a").etag == etag
    assert ("fault: hang", 0) in [(row.get("note"), row["status"]) for row in rows(house)]


def test_a_client_that_gives_up_ends_a_hang_and_others_are_served_meanwhile(house: Any) -> None:
    house.twin("a", ROOM)
    house.admin("POST", "/faults", {"action": "hang", "match": {"x-who": "slow"}})
    with Raw(house.server, timeout=0.2) as raw:
        raw.socket.sendall(GET.replace(b"\r\n\r\n", b"\r\nx-who: slow\r\n\r\n"))
        with pytest.raises(TimeoutError):
            raw.socket.recv(1)
        assert house("GET", "/digitaltwins/a").status == 200
    assert [row["note"] for row in rows(house) if "note" in row] == ["fault: hang"]


def test_deleting_a_rule_lets_go_of_what_hangs_in_it(house: Any) -> None:
    [fault] = house.admin("POST", "/faults", {"action": "hang", "path": "/digitaltwins", "count": None}).json["ids"]
    with Raw(house.server) as raw:
        raw.socket.sendall(GET)
        threading.Timer(0.1, lambda: house.server.faults.delete(fault)).start()
        received, _, _ = raw.until_the_end()
    assert received == b""


def test_a_server_stops_at_once_though_requests_hang(wire_to: Any) -> None:
    wire = wire_to(Options())
    wire.admin("POST", "/faults", {"action": "hang"})
    with Raw(wire.server) as raw:
        raw.socket.sendall(GET)
        while not any("note" in row for row in rows(wire)):
            time.sleep(0.01)
        started = time.monotonic()
        wire.server.stop()
        assert time.monotonic() - started < 1.5


# --- from Python


def test_faults_from_python(house: Any) -> None:
    faults = house.server.faults
    first = faults.add("status", status=429, method="GET", headers={"Retry-After": "2"}, for_=60)
    assert house("GET", "/models").headers["retry-after"] == "2"
    assert faults.hits(first) == 1
    [second] = faults.add_all([{"action": "delay", "delay_ms": 1, "count": None}])
    states = [(rule.id, rule.action, rule.state, rule.left) for rule in faults.list()]
    assert states == [(first, "status", "spent", 0), (second, "delay", "active", None)]
    faults.delete(second)
    faults.clear()
    assert faults.list() == []
    with pytest.raises(LocalServerError, match="action is one of status"):
        faults.add("explode")
    with pytest.raises(LocalServerError, match="no fault 99"):
        faults.hits("99")


def test_what_a_rule_says_is_json_all_the_way(house: Any) -> None:
    refused = house("POST", "/_remhart/faults", raw=b"{", query="")
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert json.loads(refused.body)["error"]["message"]
