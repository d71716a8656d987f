"""Several instances in one server: found by host name, apart from each other, kept in files of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options

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
    server.reset("lab")
    assert server.control.instances()[1].twins == 0


def test_what_was_added_comes_back_and_what_was_deleted_does_not(tmp_path: Path) -> None:
    file = tmp_path / "adt.sqlite"
    with LocalAdt(Options(file)) as server:
        server.control.create_instance("lab")
        server.control.create_instance("old")
        server.seed({"models": [ROOM]}, instance="lab")
        server.control.delete_instance("old")
        assert not (tmp_path / "adt.old.sqlite").exists()
        with pytest.raises(LocalServerError, match="There is no instance 'old'"):
            server.control.delete_instance("old")
        with pytest.raises(LocalServerError, match="The first instance goes with its server"):
            server.control.delete_instance("local")
    with LocalAdt(Options(file, instances=("lab",))) as server:
        assert [(one.name, one.models) for one in server.control.instances()] == [("local", 0), ("lab", 1)]


def test_a_file_that_a_crash_left_without_its_name_is_no_instance(tmp_path: Path) -> None:
    file = tmp_path / "adt.sqlite"
    with LocalAdt(Options(file, instances=("lab",))) as server:
        server.seed({"models": [ROOM]}, instance="lab")
    with sqlite3.connect(file) as db:
        db.execute("DELETE FROM instances")
    db.close()
    with LocalAdt(Options(file)) as server:
        assert [one.name for one in server.control.instances()] == ["local"]
        assert server.control.create_instance("lab").models == 0


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
