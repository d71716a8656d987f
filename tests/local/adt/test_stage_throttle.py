"""The service's rate limits, on the wire and by the clock."""

from __future__ import annotations

from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import Options
from remhart_adt.local.adt.throttle import Throttle

ROOM = "dtmi:test:Room;1"
ADD = [{"op": "add", "path": "/name", "value": "m"}]


@pytest.fixture
def throttled(wire_to: Any, make_interface: Any, make_prop: Any) -> Any:
    """A server with limits on a clock that stands still, and the model Room."""
    wire = wire_to(Options(throttle=True, retry_after=7, clock=FakeClock()))
    near = {"@type": "Relationship", "name": "near"}
    wire.models(make_interface("Room", make_prop("name", "string"), near))
    return wire


def test_one_twin_takes_ten_changes_a_second(throttled: Any) -> None:
    answers = [throttled.twin("a", ROOM)] + [throttled("PATCH", "/digitaltwins/a", ADD) for _ in range(10)]
    assert [answer.status for answer in answers] == [200] + [204] * 9 + [429]
    refused = answers[-1]
    assert refused.headers["retry-after"] == "7"
    assert refused.headers["content-type"] == "application/json"
    assert len(refused.body) == 167  # recorded
    assert refused.body.startswith(b'{ "error": { "statusCode": 429, "message": "Maximum request rate limit reached. ')
    # Recorded: the gateway's answer has none of the service's headers.
    assert set(refused.headers) == {"date", "content-type", "content-length", "retry-after"}
    assert throttled.twin("b", ROOM).status == 200
    assert throttled("GET", "/digitaltwins/a").status == 200
    throttled.admin("POST", "/clock", {"advance_s": 1})
    assert throttled("PATCH", "/digitaltwins/a", ADD).status == 204


def test_a_twins_relationships_count_with_it(throttled: Any) -> None:
    throttled.twin("a", ROOM)
    throttled.twin("b", ROOM)
    for number in range(9):
        throttled.relate("a", f"r{number}", "near", "b")
    body = {"$relationshipName": "near", "$targetId": "b"}
    assert throttled("PUT", "/digitaltwins/a/relationships/r9", body).status == 429
    assert throttled("DELETE", "/digitaltwins/a").status == 429
    assert throttled("PUT", "/digitaltwins/b/relationships/r", {**body, "$targetId": "a"}).status == 200


def test_query_units_are_a_quota_of_their_own(throttled: Any) -> None:
    metadata = {"$model": ROOM}
    throttled.server.seed({"twins": [{"$dtId": f"t{number}", "$metadata": metadata} for number in range(1000)]})
    throttled.admin("PUT", "/settings", {"capacity": 0.01})  # 5 queries or 40 units a second
    query = {"query": "SELECT * FROM digitaltwins"}
    answers = [throttled("POST", "/query", query, headers={"max-items-per-page": "1000"}) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert sum(float(answer.headers["query-charge"]) for answer in answers[:2]) >= 40
    assert (answers[2].code, answers[2].headers["retry-after"]) == ("QuotaReachedError", "7")
    throttled.admin("POST", "/clock", {"advance_s": 1})
    assert throttled("POST", "/query", query).status == 200


def test_a_throttled_request_is_in_the_journal_and_did_nothing(throttled: Any) -> None:
    etag = throttled.twin("a", ROOM).etag
    for _ in range(9):
        etag = throttled("PATCH", "/digitaltwins/a", ADD).etag
    throttled("PATCH", "/digitaltwins/a", ADD)
    assert throttled("GET", "/digitaltwins/a").etag == etag
    [row] = throttled.admin("GET", "/journal?status=429").json["rows"]
    assert (row["method"], row["path"]) == ("PATCH", "/digitaltwins/a")


# --- the limiter itself


def admitted(throttle: Throttle, kind: str, many: int, *, twin: str = "") -> int:
    """How many of so many requests at one moment are admitted and answered at once."""
    count = 0
    for number in range(many):
        name = twin or f"{kind}{number}"
        if not throttle.admit(kind, name):
            throttle.done(name)
            count += 1
    return count


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("patch", 1000),
        ("read", 1000),
        ("create", 500),
        ("models", 100),
        ("query", 500),
        ("routes", 100),
        ("jobs", 1),
        ("telemetry", 2000),
    ],
)
def test_the_instance_takes_so_many_of_a_kind(kind: str, limit: int) -> None:
    assert admitted(Throttle(FakeClock()), kind, 2000) == limit


def test_limits_are_counted_over_any_one_second() -> None:
    clock = FakeClock()
    throttle = Throttle(clock)
    assert admitted(throttle, "patch", 11, twin="a") == 10
    clock.advance(0.999)
    assert throttle.admit("patch", "a") == "rate"
    assert throttle.admit("patch", "b") == ""
    clock.advance(0.001)
    assert throttle.admit("create", "a") == ""
    assert throttle.admit("telemetry", None) == ""


def test_one_twin_takes_five_hundred_operations_at_once() -> None:
    throttle = Throttle(FakeClock())
    assert [throttle.admit("read", "a") for _ in range(501)] == [""] * 500 + ["rate"]
    assert throttle.admit("read", "b") == ""
    throttle.done("a")
    assert throttle.admit("read", "a") == ""


def test_what_was_under_way_when_the_limits_were_switched_off_does_not_count_for_ever(throttled: Any) -> None:
    throttle = throttled.instance.throttle
    for _ in range(500):
        assert throttle.admit("read", "a") == ""
    assert throttled("GET", "/digitaltwins/a").status == 429
    for enabled in (False, True):  # nobody reports the end of a request meanwhile
        throttled.admin("PUT", "/settings", {"throttle": enabled})
    assert throttled("GET", "/digitaltwins/a").status == 404


def test_the_query_after_the_units_are_spent_is_refused_for_a_second() -> None:
    clock = FakeClock()
    throttle = Throttle(clock)
    for _ in range(4):
        assert throttle.admit("query", None) == ""
        throttle.charge(1000.0)
    assert throttle.admit("query", None) == "quota"
    assert throttle.admit("read", "a") == ""
    clock.advance(1.0)
    assert throttle.admit("query", None) == ""


def test_capacity_scales_the_instance_and_not_one_twin() -> None:
    throttle = Throttle(FakeClock(), capacity=0.05)
    assert admitted(throttle, "patch", 100) == 50
    assert admitted(Throttle(FakeClock(), capacity=0.5), "create", 100, twin="a") == 10


def test_a_refused_request_does_not_count() -> None:
    clock = FakeClock()
    throttle = Throttle(clock)
    assert admitted(throttle, "patch", 50, twin="a") == 10
    assert admitted(throttle, "patch", 2000) == 990


def test_the_same_requests_are_refused_every_time() -> None:
    runs = []
    for _ in range(2):
        clock = FakeClock()
        throttle = Throttle(clock, capacity=0.03)
        answers = []
        for number in range(300):
            twin = f"t{number % 7}"
            answers.append(throttle.admit(("patch", "create", "read")[number % 3], twin))
            if not answers[-1]:
                throttle.done(twin)
            clock.advance(0.004)
        runs.append(answers)
    assert runs[0] == runs[1]
    assert 0 < runs[0].count("rate") < 300
