"""A whole graph in and out: seed and export."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options

ROOM, DEVICE, ENGINE = "dtmi:test:Room;1", "dtmi:test:Device;1", "dtmi:test:Engine;1"


def documents(wire: Any) -> dict[str, Any]:
    """Everything that a client can read of the graph."""
    twins = wire.query("SELECT * FROM digitaltwins")
    return {
        "models": wire("GET", "/models?includeModelDefinition=true&api-version=2023-10-31").json["value"],
        "twins": [wire("GET", f"/digitaltwins/{twin['$dtId'].replace(' ', '%20')}").body for twin in twins],
        "relationships": wire.query("SELECT * FROM relationships"),
    }


def without_what_is_new(value: Any) -> Any:
    """The same without entity tags and update times."""
    gone = {"$etag", "lastUpdateTime", "$lastUpdateTime", "uploadTime"}
    if isinstance(value, bytes):
        value = json.loads(value)
    if isinstance(value, list):
        return [without_what_is_new(item) for item in value]
    if isinstance(value, dict):
        return {name: without_what_is_new(item) for name, item in value.items() if name not in gone}
    return value


@pytest.fixture
def full(house: Any) -> Any:
    """A graph with everything in it that a plain list of twins would lose."""
    source = {"name": {"sourceTime": "2020-01-01T00:00:00Z"}}
    house.twin(
        "a%20b",
        ROOM,
        name="\u00fc",
        temperature=21.5,
        floor=68,
        address={"street": "s", "no": 1},
        numbers=[1, 2],
        **{"$metadata": {"$model": ROOM, **source}},
    )
    house.twin("d", DEVICE, name="n", engine={"$metadata": {"speed": source["name"]}, "speed": 1.5, "label": "x"})
    house.twin("e", DEVICE, engine={"$metadata": {}})
    house.relate("a%20b", "r/1".replace("/", "%2F"), "contains", "d", since=5)
    house.relate("a%20b", "r2", "near", "e")
    house("PATCH", "/digitaltwins/d", [{"op": "add", "path": "/name", "value": "m"}])
    decommission = [{"op": "replace", "path": "/decommissioned", "value": True}]
    assert house("PATCH", f"/models/{DEVICE}", decommission).status == 204
    return house


def test_a_seed_of_an_export_gives_the_same_graph(full: Any) -> None:
    before = documents(full)
    lines = list(full.server.export())
    full.admin("POST", "/reset")
    counts = full.server.seed(lines)
    assert (counts.models, counts.twins, counts.relationships) == (3, 3, 2)
    after = documents(full)
    assert without_what_is_new(after) == without_what_is_new(before)
    assert after["twins"] != before["twins"]
    assert full("PUT", "/digitaltwins/new", {"$metadata": {"$model": DEVICE}}).code == "ModelDecommissioned"


def test_a_seed_of_an_exact_export_gives_the_same_bytes(full: Any) -> None:
    before = documents(full)
    body = full("GET", "/_remhart/export?exact=true").body
    full.admin("POST", "/reset")
    answer = full("POST", "/_remhart/seed", raw=body, query="")
    assert answer.json == {"models": 3, "twins": 3, "relationships": 2}
    assert documents(full) == before
    assert full("GET", "/_remhart/export?exact=true").body == body
    etag = json.loads(before["twins"][0])["$etag"]
    patch = [{"op": "add", "path": "/name", "value": "z"}]
    assert full("PATCH", "/digitaltwins/a%20b", patch, headers={"If-Match": etag}).status == 204


def test_an_exact_export_keeps_twins_whose_model_is_gone(house: Any) -> None:
    house.twin("a", ROOM, name="n")
    assert house("DELETE", f"/models/{ROOM}").status == 204
    lines, exact = list(house.server.export()), list(house.server.export(exact=True))
    house.admin("POST", "/reset")
    with pytest.raises(LocalServerError, match="line 7: dtmi:test:Room;1 or one of its dependencies does not exist"):
        house.server.seed(lines)
    house.server.seed(exact)
    assert house("GET", "/digitaltwins/a").json["name"] == "n"


def test_an_export_is_of_the_form_of_import_files(full: Any) -> None:
    answer = full("GET", "/_remhart/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    sections = [line["Section"] for line in lines if set(line) == {"Section"}]
    assert sections == ["Header", "Models", "Twins", "Relationships"]
    assert lines[1]["fileVersion"] == "1.0.0"
    assert lines[-2] == {
        "$dtId": "a b",
        "$relationshipId": "r/1",
        "$relationshipName": "contains",
        "$targetId": "d",
        "since": 5,
    }


def test_an_import_job_takes_an_export(full: Any, wire_to: Any, tmp_path: Path) -> None:
    before = documents(full)
    (tmp_path / "jobs").mkdir()
    full.server.export_to(tmp_path / "jobs" / "graph.ndjson")
    other = wire_to(Options(blob_folder=tmp_path))
    storage = "https://account.blob.core.windows.net/jobs"
    job = {"inputBlobUri": f"{storage}/graph.ndjson", "outputBlobUri": f"{storage}/log.ndjson"}
    assert other("PUT", "/jobs/imports/job", job).status == 201
    limit = time.monotonic() + 20
    while (status := other("GET", "/jobs/imports/job").json["status"]) in ("notstarted", "running"):
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert status == "succeeded", (tmp_path / "jobs" / "log.ndjson").read_text()
    after = documents(other)
    for model in (*before["models"], *after["models"]):
        del model["decommissioned"]  # a job makes twins of every model, so it cannot take that over
    assert without_what_is_new(after) == without_what_is_new(before)


def test_a_document_is_taken_as_well(house: Any) -> None:
    document = {
        "twins": [{"$dtId": "a", "$metadata": {"$model": ROOM}}, {"$dtId": "b", "$metadata": {"$model": ROOM}}],
        "relationships": [
            {"$sourceId": "a", "$relationshipId": "r", "$relationshipName": "near", "$targetId": "b"},
            {"$dtId": "b", "$relationshipId": "r", "$relationshipName": "near", "$targetId": "a"},
        ],
    }
    assert house("POST", "/_remhart/seed", document, query="").json == {"models": 0, "twins": 2, "relationships": 2}
    assert house("GET", "/digitaltwins/b/relationships/r").json["$targetId"] == "a"


def test_models_come_in_any_order_and_may_be_there_already(wire: Any, make_interface: Any) -> None:
    base, heir = make_interface("Base"), make_interface("Heir", extends="dtmi:test:Base;1")
    assert wire.server.seed({"models": [heir, base]}).models == 2
    assert wire.server.seed({"models": [heir, base]}).models == 0
    changed = {**base, "displayName": "other"}
    with pytest.raises(LocalServerError, match=r"models\[0\].*exists already with another definition"):
        wire.server.seed({"models": [changed]})


def test_what_exists_is_replaced(house: Any) -> None:
    etag = house.twin("a", ROOM, name="old", floor=1).etag
    house.server.seed({"twins": [{"$dtId": "a", "$metadata": {"$model": ROOM}, "name": "new"}]})
    twin = house("GET", "/digitaltwins/a")
    assert (twin.json["name"], "floor" in twin.json, twin.etag == etag) == ("new", False, False)


def test_a_seed_with_problems_names_all_of_them_and_stores_nothing(house: Any) -> None:
    house.twin("there", ROOM, name="n")
    before = house("GET", "/_remhart/export?exact=true").body
    fresh = {
        "@id": "dtmi:test:Fresh;1",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
    }
    document = {
        "models": [fresh],
        "twins": [
            {"$dtId": "good", "$metadata": {"$model": ROOM}, "name": "x"},
            {"$dtId": "bad1", "$metadata": {"$model": ROOM}, "floor": "high"},
            {"$dtId": "bad2", "$metadata": {"$model": "dtmi:test:None;1"}},
            {"$dtId": "there", "$metadata": {"$model": ROOM}, "name": "changed"},
        ],
        "relationships": [
            {"$sourceId": "good", "$relationshipId": "r", "$relationshipName": "far", "$targetId": "there"},
            {"$sourceId": "good", "$relationshipId": "s", "$relationshipName": "near", "$targetId": "nobody"},
            {"$sourceId": "bad1", "$relationshipId": "t", "$relationshipName": "near", "$targetId": "good"},
        ],
    }
    refused = house("POST", "/_remhart/seed", document, query="")
    assert (refused.status, refused.code) == (400, "SeedInvalid")
    assert "4 problems; nothing was stored" in refused.message
    places = [text.partition(":")[0] for text in refused.details]
    assert places == ["twins[1]", "twins[2]", "relationships[0]", "relationships[1]"]  # not what only follows from them
    assert house("GET", "/_remhart/export?exact=true").body == before
    assert house("GET", "/models/dtmi:test:Fresh;1").status == 404
    assert house("GET", "/digitaltwins/there").json["name"] == "n"
    assert house("PUT", "/digitaltwins/z", {"$metadata": {"$model": "dtmi:test:Fresh;1"}}).status == 400


HEADER = '{"Section":"Header"}\n{"fileVersion":"1.0.0"}\n'
EXACT = '{"Section":"Header"}\n{"fileVersion":"1","remhart":{"exact":true}}\n{"Section":"Twins"}\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "neither an import file nor"),
        ("{", "neither an import file nor"),
        ("[]", "models, twins and relationships"),
        ('{"twin":[]}', "models, twins and relationships"),
        ('{"twins":{}}', "twins is a list"),
        ('{"twins":[5]}', "twins[0]: The line is not a JSON object."),
        ('{"twins":[{"$dtId":""}]}', "twins[0]: Twin must have property $dtId."),
        ('{"models":[{"@id":5}]}', "models[0]: Model must have property @id."),
        ('{"models":[{"@id":"dtmi:x;1"}]}', "models: None of the models"),
        (HEADER + '{"Section":"Twins"}\n{"$dtId":\n', "line 4: The line is not valid JSON"),
        (HEADER + '{"Section":"Nothing"}\n', "line 3: There is no section"),
        ('{"Section":"Header"}\n{"fileVersion":"1.0.0","remhart":5}\n', "remhart in the header is an object"),
        (
            '{"Section":"Header"}\n{"fileVersion":"1.0.0","remhart":{"decommissioned":["x"]}}\n',
            "header: There is no model",
        ),
        (
            EXACT + '{"$dtId":"a","$metadata":{"$model":"dtmi:x;1"}}\n',
            "line 4: A line of an exact export has $etag.",
        ),
        (
            EXACT + '{"$dtId":"a","$etag":"x","$metadata":{"$model":"dtmi:x;1","p":5}}\n',
            "line 4: An exact twin has the lastUpdateTime",
        ),
        ('{"twins":[{"$dtId":"a","$metadata":{"$model":"m"},"x":' + "[" * 200 + "]" * 200 + "}]}", "twins[0]"),
        ('{"twins":[{"$dtId":"a","$metadata":{"$model":"m"},"x":"' + "y" * 40_000 + '"}]}', "more than 32768"),
    ],
)
def test_hostile_seeds_are_refused_and_named(wire: Any, body: str, said: str) -> None:
    refused = wire("POST", "/_remhart/seed", raw=body.encode(), query="")
    assert refused.status == 400
    found = [refused.message, *(refused.details if "details" in refused.json["error"] else [])]
    assert any(said in text for text in found), found
    assert wire.admin("GET", "/health").json["twins"] == 0


def test_a_seed_raises_no_events_and_queries_see_it(house: Any) -> None:
    house.server.seed({"twins": [{"$dtId": "a", "$metadata": {"$model": ROOM}}]})
    assert [twin["$dtId"] for twin in house.query("SELECT * FROM digitaltwins")] == ["a"]
    assert house.admin("GET", "/journal?path=/digitaltwins").json["rows"] == []


def test_other_requests_of_the_moment_survive_a_seed_that_is_refused(house: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bad = {"twins": [{"$dtId": f"s{n}", "$metadata": {"$model": ROOM}} for n in range(200)] + [{"$dtId": "x"}]}
    bad["twins"][-1]["$metadata"] = {"$model": "dtmi:test:None;1"}

    def put(number: int) -> int:
        client = type(house)(house.server)
        try:
            return int(client("PUT", f"/digitaltwins/t{number}", {"$metadata": {"$model": ROOM}}).status)
        finally:
            client.close()

    def refuse(_: int) -> int:
        client = type(house)(house.server)
        try:
            return int(client("POST", "/_remhart/seed", bad, query="").status)
        finally:
            client.close()

    with ThreadPoolExecutor(4) as pool:
        seeds, puts = pool.map(refuse, range(10)), pool.map(put, range(60))
        assert set(seeds) == {400}
        assert set(puts) == {200}
    ids = sorted(twin["$dtId"] for twin in house.query("SELECT * FROM digitaltwins"))
    assert ids == sorted(f"t{number}" for number in range(60))


def test_queries_see_a_seed_at_once_whatever_their_lag_and_a_refused_one_hurries_nothing(
    wire_to: Any, make_interface: Any, make_prop: Any
) -> None:
    wire = wire_to(Options(clock=FakeClock(), query_lag=7.0))
    wire.models(make_interface("Room", make_prop("name", "string")))
    names = "SELECT $dtId, name FROM digitaltwins"
    wire.twin("late", ROOM, name="put")
    wire.twin("both", ROOM, name="put")
    refused = {
        "twins": [
            {"$dtId": "both", "$metadata": {"$model": ROOM}},
            {"$dtId": "bad", "$metadata": {"$model": "dtmi:test:None;1"}},
        ]
    }
    assert wire("POST", "/_remhart/seed", refused, query="").code == "SeedInvalid"
    assert wire.query(names) == []
    wire.server.seed({"twins": [{"$dtId": "both", "$metadata": {"$model": ROOM}, "name": "seeded"}]})
    assert wire.query(names) == [{"$dtId": "both", "name": "seeded"}]
    wire.server.advance(7)  # what waited for the twin that the seed replaced is not brought back
    assert wire.query(names) == [{"$dtId": "late", "name": "put"}, {"$dtId": "both", "name": "seeded"}]


def test_a_seed_file_is_loaded_at_the_start_when_there_is_nothing_yet(full: Any, tmp_path: Path) -> None:
    file, data = tmp_path / "seed.ndjson", tmp_path / "adt.sqlite"
    full.server.export_to(file)
    with LocalAdt(Options(data=data, seed_file=file)) as server:
        assert server.health()["twins"] == 3
        server.seed({"twins": [{"$dtId": "more", "$metadata": {"$model": ROOM}}]})
    file.write_text("no longer read")
    with LocalAdt(Options(data=data, seed_file=file)) as server:
        assert server.health()["twins"] == 4


@pytest.mark.parametrize("text", ['{"twins":[{"$dtId":"a","$metadata":{"$model":"dtmi:no;1"}}]}', None])
def test_a_seed_file_that_cannot_be_used_keeps_the_server_from_starting(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "seed.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(LocalServerError, match=r"(dependencies does not exist|cannot be read)") as raised:
        LocalAdt(Options(seed_file=file)).start()
    assert raised.value.where == str(file)
