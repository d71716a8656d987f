"""Several instances in one server: found by host name, apart from each other, kept in files of their own."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import EndpointOption, LocalAdt, Options
from remhart_adt.local.adt.instance import Instance

ROOM = {"@id": "dtmi:test:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "contents": []}
BODY = {"$metadata": {"$model": ROOM["@id"]}}


@pytest.fixture
def two(wire_to: Any) -> Any:
    """A server with the instances `local` and `lab`."""
    return wire_to(Options(instances=("lab",)))


def at(name: str) -> dict[str, str]:
    return {"Host": f"{name}.localhost:1"}


def test_the_host_names_the_instance_and_each_has_its_own_graph(two: Any) -> None:
    assert two("POST", "/models", [ROOM], headers=at("lab")).status == 201
    assert two("PUT", "/digitaltwins/t", BODY, headers=at("lab")).status == 200
    assert two("GET", "/digitaltwins/t").status == 404
    for host in ("LAB.localhost", "lab.api.weu.digitaltwins.azure.net", "lab.api.eus2.digitaltwins.azure.net:443"):
        assert two("GET", "/digitaltwins/t", headers={"Host": host}).status == 200
    for host in ("127.0.0.1:80", "localhost", "[::1]:80", "some.example"):
        assert two("GET", "/digitaltwins/t", headers={"Host": host}).status == 404
    assert [(one.name, one.first, one.twins) for one in two.server.control.instances()] == [
        ("local", True, 0),
        ("lab", False, 1),
    ]


@pytest.mark.parametrize("host", ["nobody.localhost", "nobody.api.weu.digitaltwins.azure.net", ".localhost"])
def test_an_instance_that_is_not_there_is_a_subdomain_that_is_not_found(two: Any, host: str) -> None:
    answer = two("GET", "/models", headers={"Host": host})
    assert (answer.status, answer.json) == (404, {"statusCode": 404, "message": "Sub-Domain not found"})
    [row] = two.server.journal()
    assert (row.instance, row.path, row.status, row.size) == (host.partition(".")[0], "/models", 404, len(answer.body))


def test_an_instance_that_is_not_there_takes_no_body_however_long(two: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = two("PUT", "/digitaltwins/t", raw=b"x" * 3_000_000, headers=at("nobody"))
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert two("GET", "/models").status == 200
    assert caplog.text == ""


def test_the_url_that_an_instance_is_shown_with_leads_to_it(two: Any) -> None:
    host = two.server.control.create_instance("Third").endpoint.removeprefix("http://")
    assert host.startswith("third.localhost:")
    assert two("POST", "/models", [ROOM], headers={"Host": host}).status == 201
    assert two.server.control.create_instance("third").models == 1


def test_journal_faults_settings_seed_and_reset_can_mean_one_instance(two: Any) -> None:
    server = two.server
    server.seed({"models": [ROOM], "twins": [{"$dtId": "t", **BODY}]}, instance="lab")
    server.faults.add(status=503, instance="lab")
    assert two("GET", "/models", headers=at("lab")).status == 503
    assert two("GET", "/models").status == 200
    server.faults.clear()
    server.change_settings(throttle=True, instance="lab")
    assert (server.settings("lab").throttle, server.settings("local").throttle) == (True, False)
    assert [row.status for row in server.journal(instance="lab")] == [503]
    assert [row["$dtId"] for row in server.export(instance="lab") if "$dtId" in row] == ["t"]
    server.reset("local")
    assert server.control.instances()[1].twins == 1
    server.reset("LAB")
    assert server.control.instances()[1].twins == 0
    assert server.journal(instance="lab") == []


def test_what_was_added_comes_back_and_what_was_deleted_does_not(tmp_path: Path) -> None:
    file = tmp_path / "adt.sqlite"
    with LocalAdt(Options(file)) as server:
        server.control.create_instance("lab")
        server.control.create_instance("old")
        server.seed({"models": [ROOM]}, instance="lab")
        server.control.delete_instance("old")
        assert not (tmp_path / "adt.old.sqlite").exists()
        handles = Path("/proc/self/fd")  # an open file would keep its room on the disk
        assert not [one for one in handles.glob("*") if "adt.old." in str(one.resolve())]
        with pytest.raises(LocalServerError, match="There is no instance 'old'"):
            server.control.delete_instance("old")
        with pytest.raises(LocalServerError, match="The first instance goes with its server"):
            server.control.delete_instance("local")
    with LocalAdt(Options(file, instances=("lab",))) as server:
        assert [(one.name, one.models) for one in server.control.instances()] == [("local", 0), ("lab", 1)]


def test_what_a_crash_left_of_an_instance_is_removed_at_the_next_start(tmp_path: Path) -> None:
    file, left = tmp_path / "adt.sqlite", tmp_path / "adt.lab.sqlite"
    with LocalAdt(Options(file, instances=("lab",))) as server:
        server.seed({"models": [ROOM]}, instance="lab")
    with sqlite3.connect(file) as db:  # as a server has it that is killed between the name and the file
        db.execute("DELETE FROM instances")
        db.execute("INSERT INTO instances_unfinished VALUES('lab')")
    db.close()
    assert left.exists()
    with LocalAdt(Options(file)) as server:
        assert [one.name for one in server.control.instances()] == ["local"]
        assert not left.exists()
        assert server.control.create_instance("lab").models == 0


def test_a_file_that_no_instance_made_is_never_touched(tmp_path: Path) -> None:
    mine, other = tmp_path / "adt.sqlite", tmp_path / "adt.lab.sqlite"
    with LocalAdt(Options(other)) as server:
        server.seed({"models": [ROOM]})
    with LocalAdt(Options(mine)) as server:
        with pytest.raises(LocalServerError, match=r"adt\.lab\.sqlite.*Move or remove it"):
            server.control.create_instance("lab")
        assert [one.name for one in server.control.instances()] == ["local"]
    with pytest.raises(LocalServerError, match="Move or remove it"):
        LocalAdt(Options(mine, instances=("lab",))).start()
    with LocalAdt(Options(other)) as server:
        assert server.health()["models"] == 1


def test_an_instance_that_is_made_while_one_of_its_name_is_being_deleted_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close_slowly(instance: Instance) -> None:
        await asyncio.sleep(0.2)
        await close(instance)

    close = Instance.close
    monkeypatch.setattr(Instance, "close", close_slowly)
    with LocalAdt(Options(tmp_path / "adt.sqlite", instances=("lab",))) as server, ThreadPoolExecutor(1) as pool:
        server.seed({"models": [ROOM]}, instance="lab")
        deleted = pool.submit(server.control.delete_instance, "lab")
        while len(server.control.instances()) > 1:
            time.sleep(0.01)
        assert server.control.create_instance("lab").models == 0
        deleted.result()
        assert [one.name for one in server.control.instances()] == ["local", "lab"]
        assert (tmp_path / "adt.lab.sqlite").exists()


def test_a_file_that_cannot_be_made_is_said_so_and_can_be_made_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with LocalAdt(Options(folder / "adt.sqlite")) as server:
        shutil.rmtree(folder)
        with pytest.raises(LocalServerError, match=r"adt\.lab\.sqlite: cannot open the data file"):
            server.control.create_instance("lab")
        folder.mkdir()
        (folder / "adt.lab.sqlite").write_text("what a first try may leave")
        assert server.control.create_instance("lab").models == 0


def test_a_request_under_way_when_its_instance_is_deleted_is_told_that_it_is_not_there(two: Any) -> None:
    server = two.server
    server.faults.add("delay", delay_ms=300, instance="lab")
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(two, "GET", "/digitaltwins/t", headers=at("lab"))
        while not server.faults.list()[0].hits:
            time.sleep(0.01)
        server.control.delete_instance("lab")
        assert (under_way.result().status, under_way.result().json["statusCode"]) == (404, 404)
    assert [(row.instance, row.status) for row in server.journal(path="/digitaltwins/t")] == [("lab", 404)]


def test_a_query_that_runs_when_its_instance_is_deleted_is_finished_and_holds_up_nobody(two: Any) -> None:
    server = two.server
    twins = [{"$dtId": f"t{number}", **BODY} for number in range(5000)]
    server.seed({"models": [ROOM], "twins": twins}, instance="lab")
    where = " OR ".join(f"CONTAINS($dtId, 'z{number}')" for number in range(49))
    with ThreadPoolExecutor(1) as pool:
        text = {"query": f"SELECT COUNT() FROM DIGITALTWINS WHERE {where}"}
        under_way = pool.submit(two, "POST", "/query", text, headers=at("lab"))
        time.sleep(0.02)
        server.control.delete_instance("lab")
        assert server.health()["status"] == "ok"
        answer = under_way.result()
    assert (answer.status, answer.body[:9]) in ((200, b'{"value":'), (404, b'{ "status'))


@pytest.mark.parametrize("name", ["ab", "-ab", "ab-", "a_b", "a.b", "a" * 64, "ä-b"])
def test_names_that_no_instance_can_have_are_refused(two: Any, name: str) -> None:
    with pytest.raises(LocalServerError, match="3 to 63 letters, digits and hyphens"):
        two.server.control.create_instance(name)
    with pytest.raises(LocalServerError, match="3 to 63"):
        LocalAdt(Options(instances=(name,))).start()


def test_a_server_has_ten_instances_at_the_most(wire_to: Any) -> None:
    server = wire_to(Options(instances=tuple(f"lab-{number}" for number in range(9)))).server
    with pytest.raises(LocalServerError, match="at most 10 instances"):
        server.control.create_instance("one-more")


def test_a_reset_of_everything_keeps_the_instances_and_empties_them(two: Any) -> None:
    server = two.server
    server.seed({"models": [ROOM]}, instance="lab")
    server.change_settings(query_lag=1, instance="lab")
    server.reset()
    assert [(one.name, one.models) for one in server.control.instances()] == [("local", 0), ("lab", 0)]
    assert server.settings("lab").query_lag == 0


def test_the_endpoints_of_the_start_are_there_after_a_reset_and_no_others(wire_to: Any, tmp_path: Path) -> None:
    document = {"kind": "file", "path": str(tmp_path / "events.ndjson")}
    endpoints = (EndpointOption("first", document), EndpointOption("second", document, "Lab"))
    server = wire_to(Options(instances=("lab",), endpoints=endpoints)).server
    server.control.put_endpoint("later", document)
    for instance in ("", "lab"):
        server.reset(instance)
        assert [one["name"] for one in server.control.endpoints()] == ["first"]
        assert [one["name"] for one in server.control.endpoints("lab")] == ["second"]
