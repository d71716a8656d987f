"""Import jobs: what a file becomes, what is left out of it and reported, and what makes the whole job fail."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from job_stage import FLOOR, HEADER, METER, Stage, above, floor, ndjson, whole

from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import Bounds, Options


def test_models_twins_and_relationships_are_there_as_if_put_one_by_one(stage: Any) -> None:
    begun = stage.start(whole([FLOOR, METER], [floor("a", level=1), floor("b")], [above("a", "b", height=2.5)]))
    assert (begun.status, begun.json["status"]) == (201, "notstarted")
    ended = stage.end()
    assert list(ended) == [
        "id", "inputBlobUri", "outputBlobUri", "createdDateTime", "lastActionDateTime", "finishedDateTime",
        "purgeDateTime", "status",
    ]  # fmt: skip
    assert ended["status"] == "succeeded"
    sections = [
        (section, status) for section in ("Models", "Twins", "Relationships") for status in ("Started", "Succeeded")
    ]
    expected = [(None, "Started"), *sections, (None, "Succeeded")]
    assert [(one.get("section"), one["status"]) for one in stage.log()] == expected

    wire = stage.wire
    imported = wire("GET", "/digitaltwins/a")
    put = wire("PUT", "/digitaltwins/c", {key: value for key, value in floor("c", level=1).items() if key != "$dtId"})
    shape = {**imported.json, "$dtId": "c", "$etag": "", "$metadata": {}, "meter": {}}
    assert shape == {**put.json, "$etag": "", "$metadata": {}, "meter": {}}
    assert imported.headers["etag"] == imported.json["$etag"]
    assert set(imported.json["$metadata"]) == set(put.json["$metadata"])
    related = wire("GET", "/digitaltwins/a/relationships/r").json
    assert (related["$sourceId"], related["$targetId"], related["height"]) == ("a", "b", 2.5)
    assert wire("GET", "/digitaltwins/b/incomingrelationships").json["value"][0]["$sourceId"] == "a"
    assert wire.query("SELECT T.$dtId FROM DIGITALTWINS T JOIN C RELATED T.above WHERE C.$dtId = 'b'") == [
        {"$dtId": "a"}
    ]
    patched = wire(
        "PATCH",
        "/digitaltwins/a",
        [{"op": "replace", "path": "/level", "value": 2}],
        headers={"If-Match": imported.etag},
    )
    assert patched.status == 204


def test_what_exists_is_replaced_and_models_that_exist_are_left_and_reported(stage: Any) -> None:
    assert (
        stage.job(whole([FLOOR, METER], [floor("a", level=1), floor("b")], [above("a", "b")]))["status"] == "succeeded"
    )
    before = stage.wire("GET", "/digitaltwins/a").etag
    again = stage.job(whole([METER, FLOOR], [floor("a", level=7)], [above("a", "b", height=1)]), "again")
    assert again["status"] == "succeeded"
    twin = stage.wire("GET", "/digitaltwins/a")
    assert (twin.json["level"], twin.etag != before) == (7, True)
    assert stage.wire("GET", "/digitaltwins/a/relationships/r").json["height"] == 1
    assert [problem[:3] for problem in stage.problems("again")] == [
        ("Models", 4, "ModelIdAlreadyExists"),
        ("Models", 5, "ModelIdAlreadyExists"),
    ]
    assert stage.counts() == (2, 2, 1)


def test_an_entity_that_is_refused_is_reported_with_its_line_and_the_others_stay(stage: Any) -> None:
    long = "x" * 129
    twins = [
        floor("a"),
        floor("bad", level="high"),
        {"$dtId": "none", "$metadata": {"$model": "dtmi:jobs:Nothing;1"}},
        {"$dtId": "part", "$metadata": {"$model": FLOOR["@id"]}},
        floor(long),
        floor("b"),
    ]
    relationships = [
        above("a", "b", "good"),
        above("a", "nobody", "r1"),
        above("nobody", "a", "r2"),
        above("a", "a", "r3"),
        {**above("a", "b", "r4"), "$relationshipName": "below"},
        above("a", "b", long),
    ]
    ended = stage.job(whole([FLOOR, METER], twins, relationships))
    assert ended["status"] == "succeeded"
    assert stage.counts() == (2, 2, 1)
    assert [problem[:3] for problem in stage.problems()] == [
        ("Twins", 8, "ValidationFailed"),
        ("Twins", 9, "ValidationFailed"),
        ("Twins", 10, "ValidationFailed"),
        ("Twins", 11, "InvalidArgument"),
        ("Relationships", 15, "TargetDigitalTwinNotFound"),
        ("Relationships", 16, "DigitalTwinNotFound"),
        ("Relationships", 17, "OperationNotAllowed"),
        ("Relationships", 18, "InvalidRelationship"),
        ("Relationships", 19, "InvalidArgument"),
    ]
    assert "level" in stage.problems()[0][3]
    assert [one["failed"] for one in stage.log() if one.get("failed")] == [4, 5]


def test_properties_of_relationships_are_taken_as_they_are(stage: Any) -> None:
    content = whole([FLOOR, METER], [floor("a"), floor("b")], [above("a", "b", Height="tall")])
    assert stage.job(content)["status"] == "succeeded"
    assert stage.wire("GET", "/digitaltwins/a/relationships/r").json["Height"] == "tall"


def test_models_come_in_any_order_and_all_or_none(stage: Any) -> None:
    broken = {**METER, "contents": [{"@type": "Property", "name": "1x", "schema": "double"}]}
    ended = stage.job(whole([FLOOR, broken], [floor("a")]))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "DTDLParsingError")
    assert stage.counts() == (0, 0, 0)
    assert [one["status"] for one in stage.log() if "status" in one] == ["Started", "Started", "Failed", "Failed"]
    assert stage.job(whole([FLOOR, METER], [floor("a")]), "sound")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (b"", 1, "ends before its header"),
        (b"\n\n", 3, "ends before its header"),
        (ndjson([{"Section": "Twins"}]), 1, 'must begin with the line {"Section":"Header"}'),
        (ndjson([floor("a")]), 1, 'must begin with the line {"Section":"Header"}'),
        (ndjson([{"Section": "Header"}, {"Section": "Twins"}]), 2, "The header is missing"),
        (ndjson([{"Section": "Header"}, {"author": "x"}]), 2, "must have property fileVersion"),
        (ndjson([{"Section": "Header"}, {"fileVersion": "2.0"}]), 2, "'2.0' is not supported"),
        (ndjson([*HEADER, {"Section": "Pigeons"}]), 3, "no section 'Pigeons'"),
        (ndjson([*HEADER, {"Section": "Relationships"}, {"Section": "Twins"}]), 4, "must stand before Relationships"),
        (ndjson([*HEADER, {"Section": "Twins"}, {"Section": "Twins"}]), 4, "occurs twice"),
        (ndjson([*HEADER, {"Section": "Twins"}]) + b"{", 4, "not valid JSON"),
        (ndjson([*HEADER, {"Section": "Twins"}]) + b'{"$dtId":"\xff"}', 4, "not valid JSON"),
        (ndjson([*HEADER, {"Section": "Twins"}]) + b'{"$dtId":"a","x":NaN}', 4, "not valid JSON"),
        (ndjson([*HEADER, {"Section": "Twins"}]) + b"[" * 5000, 4, "not valid JSON"),
        (ndjson([*HEADER, {"Section": "Twins"}, []]), 4, "not a JSON object"),
        (ndjson([*HEADER, {"Section": "Twins"}, {"$dtId": 1}]), 4, "must have property $dtId"),
        (ndjson([*HEADER, {"Section": "Twins"}, {"$dtId": "a"}]), 4, "must have property $metadata.$model"),
        (ndjson([*HEADER, {"Section": "Models"}, {"id": "a"}]), 4, "must have property @id"),
        (ndjson([*HEADER, {"Section": "Relationships"}, {"$dtId": "a"}]), 4, "must have property $relationshipId"),
        (ndjson([*HEADER, {"Section": "Twins"}]) + b'{"$dtId":"' + b"a" * 3_000_000, 4, "longer than 2097152 bytes"),
        ("\ufeff".encode("utf-16"), 1, "not valid JSON"),
    ],
)
def test_a_file_that_breaks_the_form_imports_nothing_and_names_the_line(
    stage: Any, lines: bytes, line: int, words: str
) -> None:
    ended = stage.job(lines)
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "UnsupportedFileFormat"
    assert ended["error"]["message"].startswith(f"Line {line}: ")
    assert words in ended["error"]["message"]
    assert stage.counts() == (0, 0, 0)


def test_every_line_that_breaks_the_form_is_reported_not_just_the_first(stage: Any) -> None:
    content = whole([FLOOR, METER], [floor("a"), {"$dtId": ""}, floor("b"), {"$dtId": "x"}])
    assert stage.job(content)["status"] == "failed"
    assert [problem[1] for problem in stage.problems()] == [8, 10]


def test_blank_lines_a_byte_order_mark_windows_line_ends_and_odd_letters_are_fine(stage: Any) -> None:
    name = "Ä \U0001f50c ‮ '\""
    content = b"\xef\xbb\xbf" + whole([FLOOR, METER], [floor(name)]).replace(b"\n", b"\r\n\r\n \r\n")
    assert stage.job(content)["status"] == "succeeded"
    assert [row["$dtId"] for row in stage.wire.query("SELECT $dtId FROM DIGITALTWINS")] == [name]


def test_sections_may_be_left_out(stage: Any) -> None:
    assert stage.job(ndjson(HEADER))["status"] == "succeeded"
    assert [one["status"] for one in stage.log()] == ["Started", "Succeeded"]
    assert stage.job(ndjson([*HEADER, {"Section": "Models"}, METER, FLOOR]), "m")["status"] == "succeeded"
    assert stage.job(ndjson([*HEADER, {"Section": "Twins"}, floor("a")]), "t")["status"] == "succeeded"
    assert stage.counts() == (2, 1, 0)


def test_an_input_that_is_not_there_fails_the_job_and_says_so(stage: Any) -> None:
    (stage.folder / "jobs").mkdir()
    ended = stage.job(None)
    assert ended["status"] == "failed"
    assert "in.ndjson" in ended["error"]["message"] or "read" in ended["error"]["message"]
    assert [one["status"] for one in stage.log()] == ["Started", "Failed"]


def test_an_output_that_cannot_be_written_fails_the_job_before_anything_is_imported(stage: Any) -> None:
    (stage.folder / "jobs" / "job.log").mkdir(parents=True)
    ended = stage.job(whole([FLOOR, METER], [floor("a")]))
    assert ended["status"] == "failed"
    assert stage.counts() == (0, 0, 0)


def test_the_limits_of_an_instance_hold_for_jobs_too(wire_to: Any, tmp_path: Path) -> None:
    small = Stage(wire_to(Options(blob_folder=tmp_path, bounds=Bounds(twins=3))), tmp_path)
    ended = small.job(whole([FLOOR, METER], [floor(f"t{number}") for number in range(5)]))
    assert ended["status"] == "succeeded"
    assert small.counts() == (2, 3, 0)
    assert [problem[1:3] for problem in small.problems()] == [(10, "TwinLimitReached"), (11, "TwinLimitReached")]


def test_with_a_query_lag_queries_see_what_was_imported_later(wire_to: Any, tmp_path: Path) -> None:
    wire = wire_to(Options(blob_folder=tmp_path, query_lag=5, clock=FakeClock()))
    stage = Stage(wire, tmp_path)
    assert stage.job(whole([FLOOR, METER], [floor("a"), floor("b")], [above("a", "b")]))["status"] == "succeeded"
    assert wire("GET", "/digitaltwins/a").status == 200
    assert wire.query("SELECT * FROM DIGITALTWINS") == []
    wire.server.advance(5)
    assert len(wire.query("SELECT * FROM DIGITALTWINS")) == 2
    assert len(wire.query("SELECT * FROM RELATIONSHIPS")) == 1


def test_imports_send_no_events(stage: Any) -> None:
    file = stage.folder / "events.ndjson"
    stage.wire.endpoint("events", kind="file", path=str(file))
    assert stage.wire("PUT", "/eventroutes/r", {"endpointName": "events", "filter": "true"}).status == 204
    assert stage.job(whole([FLOOR, METER], [floor("a"), floor("b")], [above("a", "b")]))["status"] == "succeeded"
    stage.wire("DELETE", "/digitaltwins/a/relationships/r")
    while not (file.exists() and file.read_text().endswith("\n")):
        time.sleep(0.01)
    assert [json.loads(line)["type"] for line in file.read_text().splitlines()] == [
        "Microsoft.DigitalTwins.Relationship.Delete"
    ]
