"""The promise of the outbox: at least once, in order per twin, each endpoint by itself, dead letters."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import Options
from remhart_adt.local.adt.types import Request

ROOM = "dtmi:test:Room;1"


def rename(wire: Any, twin: str, value: str) -> None:
    assert wire("PATCH", f"/digitaltwins/{twin}", [{"op": "add", "path": "/name", "value": value}]).status == 204


def names(events: list[dict[str, Any]], twin: str) -> list[str]:
    return [event["data"]["patch"][0]["value"] for event in events if event["subject"] == twin]


def test_a_webhook_gets_structured_events(stage: Any, judge: Any) -> None:
    stage.endpoint("hook", kind="webhook", url=judge.url)
    stage.route("hook")
    twin = stage.wire.twin("r", ROOM).json
    (event,) = stage.until(lambda: judge.got)
    assert (event["data"], event["specversion"]) == (twin, "1.0")
    assert judge.types == ["application/cloudevents+json; charset=utf-8"]
    stage.until(lambda: stage.health()["delivered"] == 1)


def test_a_failing_webhook_gets_every_event_of_a_twin_in_order_at_last(stage: Any, judge: Any) -> None:
    stage.endpoint("hook", kind="webhook", url=judge.url)
    for twin in ("a", "b"):
        stage.wire.twin(twin, ROOM)
    stage.route("hook")
    seen: set[str] = set()
    lock = threading.Lock()

    def each_fails_once(event: dict[str, Any]) -> int:
        with lock:
            again = event["id"] in seen
            seen.add(event["id"])
            return 200 if again else 503

    judge.verdict = each_fails_once
    for number in range(4):
        rename(stage.wire, "a", str(number))
        rename(stage.wire, "b", str(number))
    stage.until(lambda: len(judge.accepted()) == 8)
    assert names(judge.accepted(), "a") == names(judge.accepted(), "b") == ["0", "1", "2", "3"]
    health = stage.until(lambda: (found := stage.health())["pending"] == 0 and found)
    assert (health["delivered"], health["dead_lettered"], health["dropped"]) == (8, 0, 0)
    assert health["retries"] >= 4


def test_an_event_that_is_turned_down_goes_to_the_dead_letter_and_the_next_is_sent(
    stage: Any, judge: Any, tmp_path: Path
) -> None:
    stage.endpoint("hook", kind="webhook", url=judge.url, deadLetter=str(tmp_path / "dead"))
    stage.wire.twin("a", ROOM)
    stage.route("hook")
    judge.verdict = lambda event: 400 if event["data"]["patch"][0]["value"] == "bad" else 200
    for value in ("1", "bad", "2"):
        rename(stage.wire, "a", value)
    (letter,) = stage.until(lambda: stage.lines(tmp_path / "dead" / "hook.ndjson"))
    stage.until(lambda: stage.health()["delivered"] == 2)
    assert names(judge.accepted(), "a") == ["1", "2"]
    assert names([letter], "a") == ["bad"]
    assert letter["deadletterreason"] == "the web server answered 400"
    assert (letter["deliveryattempts"], letter["type"]) == (1, "Microsoft.DigitalTwins.Twin.Update")
    assert letter["publishtime"].endswith("Z")
    stage.until(lambda: stage.health()["dead_lettered"] == 1)


def test_an_event_is_given_up_after_so_many_attempts(stage: Any, judge: Any, tmp_path: Path) -> None:
    dead = tmp_path / "dead.ndjson"
    stage.endpoint("hook", kind="webhook", url=judge.url, deadLetter=str(dead), maxAttempts=3)
    stage.route("hook")
    judge.verdict = lambda event: 200 if event["subject"] == "good" else 503
    stage.wire.twin("bad", ROOM)
    stage.wire.twin("good", ROOM)
    (letter,) = stage.until(lambda: stage.lines(dead))
    assert (letter["subject"], letter["deliveryattempts"]) == ("bad", 3)
    assert letter["deadletterreason"] == "tried 3 times; the web server answered 503"
    assert len([event for event in judge.got if event["subject"] == "bad"]) == 3
    assert [event["subject"] for event in judge.accepted()] == ["good"]
    health = stage.until(lambda: (found := stage.health())["pending"] == 0 and found)
    assert (health["delivered"], health["dead_lettered"]) == (1, 1)


def test_an_event_that_became_too_old_is_dropped_when_there_is_no_dead_letter(
    wire_to: Any, as_stage: Any, judge: Any, make_interface: Any
) -> None:
    clock = FakeClock()
    stage = as_stage(wire_to(Options(clock=clock)))
    stage.wire.models(make_interface("Room"))
    stage.endpoint("hook", kind="webhook", url=judge.url, maxAttempts=1000, maxAgeSeconds=60)
    stage.route("hook")
    judge.verdict = lambda event: 503
    stage.wire.twin("r", ROOM)
    stage.until(lambda: len(judge.got) >= 2)
    assert stage.health()["pending"] == 1
    assert stage.health()["endpoints"]["hook"]["problem"] == "the web server answered 503"
    clock.advance(61)
    health = stage.until(lambda: (found := stage.health())["pending"] == 0 and found)
    assert (health["dropped"], health["dead_lettered"], health["delivered"]) == (1, 0, 0)


def test_a_blocked_endpoint_blocks_no_other(stage: Any, judge: Any, tmp_path: Path) -> None:
    free = threading.Event()
    judge.verdict = lambda event: 200 if free.wait(20) else 500
    stage.endpoint("slow", kind="webhook", url=judge.url)
    stage.endpoint("file", kind="file", path=str(tmp_path / "events.ndjson"))
    stage.route("slow", name="a")
    stage.route("file", name="b")
    for number in range(20):
        stage.wire.twin(f"t{number}", ROOM)
    stage.until(lambda: len(stage.lines(tmp_path / "events.ndjson")) == 20)
    assert stage.health()["endpoints"]["slow"]["pending"] == 20
    free.set()
    stage.until(lambda: stage.health()["pending"] == 0)
    assert len(judge.accepted()) == 20


def test_a_dead_letter_that_cannot_be_written_loses_nothing(stage: Any, judge: Any, tmp_path: Path) -> None:
    dead = tmp_path / "dead.ndjson"
    dead.mkdir()
    stage.endpoint("hook", kind="webhook", url=judge.url, deadLetter=str(dead))
    stage.route("hook")
    judge.verdict = lambda event: 400
    stage.wire.twin("r", ROOM)
    stage.until(lambda: stage.health()["retries"] >= 2)
    assert stage.health()["pending"] == 1
    dead.rmdir()
    assert [letter["subject"] for letter in stage.until(lambda: stage.lines(dead))] == ["r"]


def test_waiting_events_go_where_the_endpoint_leads_now(stage: Any, judge: Any, tmp_path: Path) -> None:
    judge.verdict = lambda event: 503
    stage.endpoint("one", kind="webhook", url=judge.url)
    stage.route("one")
    for number in range(3):
        stage.wire.twin(f"t{number}", ROOM)
    stage.until(lambda: judge.got)
    stage.endpoint("one", kind="file", path=str(tmp_path / "events.ndjson"))
    events = stage.until(lambda: len(found := stage.lines(tmp_path / "events.ndjson")) == 3 and found)
    assert [event["subject"] for event in events] == ["t0", "t1", "t2"]


def test_a_removed_endpoint_takes_its_waiting_events_along(stage: Any, judge: Any) -> None:
    judge.verdict = lambda event: 503
    stage.endpoint("hook", kind="webhook", url=judge.url)
    stage.route("hook")
    stage.wire.twin("r", ROOM)
    stage.wire("DELETE", "/eventroutes/route")
    stage.do(lambda events: events.delete_endpoint("hook"))
    assert stage.health() == {
        "routes": 0,
        "pending": 0,
        "delivered": 0,
        "dead_lettered": 0,
        "dropped": 0,
        "retries": 0,
        "endpoints": {},
    }


def test_health_shows_what_was_sent_and_what_waits(stage: Any, collected: Any) -> None:
    stage.wire.twin("r", ROOM)
    stage.until(lambda: stage.health()["delivered"] == 1)
    assert stage.wire.admin("GET", "/health").json["events"] == {
        "local": {
            "routes": 1,
            "pending": 0,
            "delivered": 1,
            "dead_lettered": 0,
            "dropped": 0,
            "retries": 0,
            "endpoints": {
                "file": {
                    "pending": 0,
                    "delivered": 1,
                    "dead_lettered": 0,
                    "dropped": 0,
                    "retries": 0,
                    "problem": "",
                }
            },
        }
    }


def test_a_file_that_is_none_is_not_written_to(stage: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.ndjson"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        stage.endpoint("file", kind="file", path=str(pipe))
        stage.route("file")
        stage.wire.twin("r", ROOM)
        problem = stage.until(lambda: stage.health()["endpoints"]["file"]["problem"])
        assert "is not an ordinary file" in problem
        assert stage.health()["pending"] == 1
    finally:
        os.close(reader)


def test_a_line_that_a_crash_cut_off_spoils_no_other(stage: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"subject":"whole"}\n{"subject":"cut')
    stage.endpoint("file", kind="file", path=str(path))
    stage.route("file")
    stage.wire.twin("r", ROOM)
    stage.until(lambda: stage.health()["delivered"] == 1)
    first, cut, last = path.read_text().splitlines()
    assert (first, cut) == ('{"subject":"whole"}', '{"subject":"cut')
    assert '"subject":"r"' in last


def test_a_change_that_was_not_committed_sends_nothing(stage: Any, collected: Any) -> None:
    async def fails() -> None:
        store = stage.instance.store
        waiting = store.committed()
        request = Request("DELETE", "/digitaltwins/r", ("digitaltwins", "r"), {}, {}, b"", "http://h")
        stage.instance.events.twin_deleted(request, store.twin("r"))
        store.fail(sqlite3.OperationalError("the disk is full"))
        await waiting

    stage.wire.twin("r", ROOM)
    collected.events(1)
    stage.until(lambda: stage.health()["pending"] == 0)  # or the note of its delivery fails, too, and it comes twice
    stage.run(fails)
    stage.wire.twin("end", ROOM)
    assert [event["subject"] for event in collected.events(2)] == ["r", "end"]
    stage.until(lambda: stage.health()["pending"] == 0)


@pytest.mark.slow
def test_many_events_at_once_all_arrive_in_order(stage: Any, collected: Any) -> None:
    stage.wire.twin("a", ROOM)
    for number in range(1000):
        rename(stage.wire, "a", str(number))
    events = collected.events(1001)[1:]
    assert names(events, "a") == [str(number) for number in range(1000)]
    stage.until(lambda: stage.health()["pending"] == 0)
