"""The stage's controls from Python: of a server in this process, and of one in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import Admin, LocalAdt, Options, parse_clock

ROOM = "dtmi:test:Room;1"


def test_the_journal_comes_as_typed_rows(house: Any) -> None:
    start = house.server.journal()[-1].n
    etag = house.twin("a", ROOM, name="n").etag
    house("PATCH", "/digitaltwins/a", [], headers={"If-Match": etag, "User-Agent": "me"})
    house("POST", "/query", {"query": "SELECT * FROM digitaltwins"})
    put, patch, query = house.server.journal(after=start)
    assert (put.method, put.path, put.status, put.etag, put.body["name"]) == ("PUT", "/digitaltwins/a", 200, etag, "n")
    assert (patch.if_match, patch.body, patch.headers["user-agent"], patch.size) == (etag, [], "me", 0)
    assert (query.query, query.instance, query.done_us >= query.time_us) == (
        "SELECT * FROM digitaltwins",
        "local",
        True,
    )
    assert house.server.journal(after=start, status="2xx", method="PATCH") == [patch]
    assert house.server.journal(after=start, status=200, path="/query") == [query]


def test_a_long_journal_is_read_to_its_end(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remhart_adt.local.adt.remote._PAGE", 7)
    for _ in range(30):
        house("GET", "/models")
    numbers = [row.n for row in house.server.journal(method="GET", path="/models")]
    assert len(numbers) == 30
    assert numbers == sorted(set(numbers))


def test_a_reset_begins_the_journal_anew_but_not_a_file_of_it(wire_to: Any, tmp_path: Path) -> None:
    file = tmp_path / "journal.ndjson"
    for options, expected in ((Options(), [1, 2]), (Options(journal=file), [3, 4])):
        wire = wire_to(options)
        for path in ("/models", "/models"):
            wire("GET", path)
        wire.server.reset()
        assert wire.server.journal() == []
        for path in ("/models", "/models"):
            wire("GET", path)
        assert [row.n for row in wire.server.journal()] == expected
    assert [json.loads(line)["n"] for line in file.read_text().splitlines()] == [1, 2, 3, 4]


def test_clock_settings_and_reset(wire_to: Any) -> None:
    server: LocalAdt = wire_to(Options(clock=FakeClock())).server
    assert (server.clock.now, server.clock.fake) == ("2023-11-14T22:13:20Z", True)
    assert server.advance(1.5).now_us == 1_700_000_001_500_000
    assert server.set_clock("2024-01-01T00:00:00Z").now == "2024-01-01T00:00:00Z"
    assert server.change_settings(throttle=True, capacity=0.5).throttle
    assert server.settings() == server.settings("local")
    assert (server.settings().capacity, server.settings().retry_after) == (0.5, 5)
    server.reset()
    assert (server.settings().throttle, server.clock.now) == (False, "2023-11-14T22:13:20Z")


def test_a_graph_goes_to_a_file_and_comes_back(house: Any, tmp_path: Path) -> None:
    house.twin("a", ROOM, name="n")
    file = tmp_path / "graph.ndjson"
    house.server.export_to(file, exact=True)
    assert [json.loads(line) for line in file.read_text().splitlines()] == list(house.server.export(exact=True))
    house.server.reset()
    counts = house.server.seed(file)
    assert (counts.models, counts.twins, counts.relationships) == (3, 1, 0)


def test_what_the_server_refuses_is_said_in_its_words(house: Any) -> None:
    with pytest.raises(LocalServerError, match="no instance 'x'") as raised:
        house.server.settings("x")
    assert "/_remhart/settings" in raised.value.where
    with pytest.raises(LocalServerError, match="--clock fake"):
        house.server.advance(1)


def test_a_server_that_is_not_there_is_said_so() -> None:
    with pytest.raises(LocalServerError, match="cannot be reached"):
        Admin("http://127.0.0.1:1/_remhart").health()


def test_a_clock_is_named_on_the_command_line() -> None:
    fake: Any = parse_clock("fake:2026-01-31T12:00:00Z")
    assert fake.now_us() == 1_769_860_800_000_000
    assert isinstance(parse_clock("fake"), FakeClock)
    assert not isinstance(parse_clock("system"), FakeClock)


@pytest.mark.parametrize("text", ["fake:tomorrow", "fake:2026-01-31", "other", "", "system:"])
def test_a_clock_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LocalServerError) as raised:
        parse_clock(text)
    assert raised.value.where == "--clock"
