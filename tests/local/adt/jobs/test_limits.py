"""How much a job may hold, and how many jobs are kept: the published limits, and ours where none is published."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from job_stage import FLOOR, METER, Stage, above, floor, whole

from remhart_adt.local.adt import Bounds, Options
from remhart_adt.local.adt.jobs import importer, runner
from remhart_adt.local.adt.jobs.ndjson import read_entries

ROWS = ([METER, FLOOR], [floor("a"), floor("b")], [above("a", "b"), above("b", "a")])


def test_the_published_limits_of_a_job_are_these() -> None:
    assert importer._MOST == {"Models": 10_000, "Twins": 2_000_000, "Relationships": 10_000_000}


@pytest.mark.parametrize("section", ["Models", "Twins", "Relationships"])
def test_a_file_with_one_entity_too_many_fails_before_anything_is_imported(
    stage: Any, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(importer._MOST, section, 1)
    ended = stage.job(whole(*ROWS))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "LimitExceeded")
    assert f"at most 1 {section.lower()}" in ended["error"]["message"]
    assert stage.counts() == (0, 0, 0)


def test_models_of_too_many_bytes_fail_the_job(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models = whole([FLOOR, METER])
    monkeypatch.setattr(importer, "_MODELS_BYTES", len(models))  # what they weigh in memory is more
    ended = stage.job(whole(*ROWS))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "LimitExceeded")
    assert stage.counts() == (0, 0, 0)


async def test_a_line_of_50_megabytes_is_refused_before_it_is_read_to_its_end() -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        yield whole()
        yield b'{"$dtId":"'
        for _ in range(50):
            read += 1
            yield b"a" * 1_000_000
        yield b'"}'

    problems: list[Any] = []
    assert [group async for group in read_entries(chunks(), problems) if group] == []
    assert read <= 3
    assert [(problem.line, problem.code) for problem in problems] == [(6, "UnsupportedFileFormat")]


RING = [above(f"t{number}", f"t{(number + 1) % 5}") for number in range(5)]


def test_an_instance_holds_so_many_relationships_and_those_it_has_can_be_replaced(wire_to: Any, tmp_path: Path) -> None:
    small = Stage(wire_to(Options(blob_folder=tmp_path, bounds=Bounds(relationships=3))), tmp_path)
    assert small.job(whole([FLOOR, METER], [floor(f"t{number}") for number in range(5)], RING))["status"] == "succeeded"
    assert small.counts() == (2, 5, 3)
    assert [problem[1:3] for problem in small.problems()] == [(16, "LimitExceeded"), (17, "LimitExceeded")]
    small.wire.server.reset()
    twins = [floor(f"t{number}") for number in range(5)]
    assert small.job(whole([FLOOR, METER], twins, [RING[0], *RING[:3]]), "twice")["status"] == "succeeded"
    assert small.problems("twice") == []
    again = [{**relationship, "height": 2} for relationship in RING[:3]]
    assert small.job(whole([], [], [*again, *again]), "again")["status"] == "succeeded"
    assert small.problems("again") == []
    assert small.wire("GET", "/digitaltwins/t2/relationships/r").json["height"] == 2


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
def test_a_twin_has_so_many_relationships_each_way(wire_to: Any, tmp_path: Path, direction: str) -> None:
    small = Stage(wire_to(Options(blob_folder=tmp_path, bounds=Bounds(relationships_per_twin=2))), tmp_path)
    ends = [("hub", f"t{number}") for number in range(4)]
    if direction == "incoming":
        ends = [(leaf, hub) for hub, leaf in ends]
    star = [above(source, target, f"r{number}") for number, (source, target) in enumerate(ends)]
    twins = [floor("hub"), *(floor(f"t{number}") for number in range(4))]
    assert small.job(whole([FLOOR, METER], twins, [star[0], *RING[:3]]))["status"] == "succeeded"
    assert small.job(whole([], [], [*star[:1], *star]), "star")["status"] == "succeeded"
    assert [problem[1:3] for problem in small.problems("star")] == [(9, "LimitExceeded"), (10, "LimitExceeded")]
    assert direction in small.problems("star")[0][3]
    assert small.counts() == (2, 5, 5)


def test_only_so_many_jobs_of_a_kind_are_kept(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_MOST", 2)
    for number in range(2):
        assert stage.job(whole(), f"job{number}")["status"] == "succeeded"
    answer = stage.start(None, "job2")
    assert (answer.status, answer.code) == (400, "JobLimitReached")
    assert stage.wire("POST", "/jobs/deletions").status == 202
    assert stage.wire("DELETE", "/jobs/imports/job0").status == 204
    deletion = stage.wire("GET", "/jobs/deletions").json["value"][0]["id"]
    assert stage.end(deletion, "deletions")["status"] == "succeeded"
    assert stage.job(None, "job2")["status"] == "succeeded"


def test_without_the_storage_library_a_blob_over_the_network_is_not_implemented(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    base = "http://127.0.0.1:1/devstoreaccount1/jobs"
    body = {"inputBlobUri": f"{base}/in.ndjson", "outputBlobUri": f"{base}/out.ndjson"}
    answer = stage.wire("PUT", "/jobs/imports/job", body)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert "pip install 'remhart-adt[sync]'" in answer.message
    assert stage.job(whole())["status"] == "succeeded"  # a folder needs no library
