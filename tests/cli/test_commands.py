"""models, graph, twins and query against the local server, as a user types them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from remhart_adt.cli import app as cli
from remhart_adt.cli.common import CHANGES_PENDING, ENDPOINT_ENV, FAILED, USAGE
from remhart_adt.ids import DTMI_COMPONENT, DTMI_ENGINE, DTMI_POINT, DTMI_USER
from remhart_adt.local.adt import LocalAdt
from remhart_adt.resources import dtdl_dir, examples_dir

FEEDER = str(examples_dir() / "feeder.yaml")
OURS = {DTMI_COMPONENT, DTMI_ENGINE, DTMI_POINT, DTMI_USER}


class Result:
    """Exit code, data and remarks of one command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list:
        return json.loads(self.out)


def journal(server: LocalAdt) -> list[dict]:
    """Every request that the server has seen."""
    with urllib.request.urlopen(f"{server.endpoint}/_remhart/journal?after=0") as answer:
        return json.load(answer)["rows"]


@pytest.fixture
def run(
    local_adt: LocalAdt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    monkeypatch.setenv(ENDPOINT_ENV, local_adt.endpoint)

    def work(*args: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main(args)
        captured = capsys.readouterr()
        return Result(caught.value.code or 0, captured.out, captured.err)  # type: ignore[arg-type]

    return work


@pytest.fixture
def graph(run: Callable[..., Result]) -> Callable[..., Result]:
    """The same, on an instance that holds the example's graph."""
    assert run("models", "upload").code == 0
    assert run("graph", "apply", FEEDER).code == 0
    return run


def test_models_from_nothing_to_uploaded(run) -> None:
    assert run("models", "validate").code == 0
    planned = run("models", "plan", "--exit-code", "-o", "json")
    assert planned.code == CHANGES_PENDING
    assert {row["id"]: row["state"] for row in planned.rows} == dict.fromkeys(OURS, "new")

    uploaded = run("models", "upload", "-o", "json")
    assert uploaded.code == 0
    assert {row["state"] for row in uploaded.rows} == {"uploaded"}
    assert "4 uploaded, 0 there already" in uploaded.err

    again = run("models", "plan", "--exit-code", "-o", "json")
    assert again.code == 0
    assert {row["state"] for row in again.rows} == {"same"}
    assert "0 uploaded, 4 there already" in run("models", "upload").err
    assert {row["id"] for row in run("models", "list", "-o", "json").rows} == OURS
    listed = run("models", "list", "-o", "ndjson", "--definition").out.splitlines()
    assert {json.loads(line)["definition"]["@id"] for line in listed} == OURS


def test_our_four_go_up_in_one_call(run, local_adt: LocalAdt) -> None:
    run("models", "upload")

    posts = [row for row in journal(local_adt) if row["method"] == "POST" and row["path"].startswith("/models")]
    assert len(posts) == 1


def test_a_conflict_is_refused(run, tmp_path: Path) -> None:
    run("models", "upload")
    changed = json.loads((dtdl_dir() / "user.json").read_text())
    changed["displayName"] = "Someone else"
    file = tmp_path / "user.json"
    file.write_text(json.dumps(changed))

    for verb in ("plan", "upload"):
        result = run("models", verb, str(file))
        assert result.code == FAILED
        assert "dtmi:remhart:smartgrid:User;2 exist with other content" in result.err
        assert "give the changed one a new version" in result.err


def test_a_folder_that_builds_on_what_the_instance_has(run, tmp_path: Path) -> None:
    run("models", "upload")
    mine = {
        "@context": "dtmi:dtdl:context;3",
        "@id": "dtmi:com:example:SmartMeter;1",
        "@type": "Interface",
        "extends": DTMI_COMPONENT,
        "contents": [{"@type": "Property", "name": "firmware", "schema": "string"}],
    }
    (tmp_path / "meter.json").write_text(json.dumps(mine))

    assert "dtmi:com:example:SmartMeter;1" in run("models", "plan", str(tmp_path)).out
    assert run("models", "upload", str(tmp_path)).code == 0
    deleted = run("models", "delete", DTMI_COMPONENT, "dtmi:com:example:SmartMeter;1")
    assert deleted.code == 0
    assert deleted.err.index("SmartMeter") < deleted.err.index("GridComponent"), "dependents first"


def test_invalid_models_are_listed_with_place(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"@context": "dtmi:dtdl:context;3",\n "@id": "dtmi:a:b;1",\n "@type": "Interfaze"}')

    result = run("models", "validate", str(bad), "-o", "json")

    assert result.code == FAILED
    assert "bad.json:3" in result.rows[0]["place"]
    missing = {
        "@context": "dtmi:dtdl:context;3",
        "@id": "dtmi:a:b;1",
        "@type": "Interface",
        "extends": "dtmi:no:such;1",
    }
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(missing).encode())))
    piped = run("models", "validate", "-")
    assert piped.code == FAILED
    assert "dtmi:no:such;1" in piped.out
    assert run("models", "validate", str(tmp_path / "missing")).code == USAGE


def test_models_are_not_deleted_under_their_twins(graph) -> None:
    refused = graph("models", "delete")
    assert refused.code == FAILED
    assert "2 twins are of dtmi:remhart:smartgrid:User;2" in refused.err
    assert {row["id"] for row in graph("models", "list", "-o", "json").rows} == OURS

    assert graph("models", "delete", "--force").code == 0
    assert graph("models", "list", "-o", "json").rows == []
    assert graph("models", "delete", "not-a-dtmi").code == USAGE


def test_graph_plan_apply_export_round_trip(run, tmp_path: Path) -> None:
    run("models", "upload")
    planned = run("graph", "plan", FEEDER, "--exit-code", "-o", "json")
    assert planned.code == CHANGES_PENDING
    assert {row["action"] for row in planned.rows} == {"create"}
    assert f"{len(planned.rows)} to create" in planned.err

    applied = run("graph", "apply", FEEDER)
    assert applied.code == 0
    assert f"{len(planned.rows)} created" in applied.err
    assert run("graph", "plan", FEEDER, "--exit-code").code == 0

    exported = tmp_path / "export.yaml"
    assert run("graph", "export", str(exported)).code == 0
    assert run("graph", "plan", str(exported), "--prune", "--exit-code").code == 0
    assert run("graph", "export").out == run("graph", "export", "-").out == exported.read_text()
    assert run("graph", "export", str(exported)).code == FAILED
    assert run("graph", "export", str(exported), "--force").code == 0


def test_graph_without_models_says_what_to_do(run) -> None:
    result = run("graph", "apply", FEEDER)

    assert result.code == FAILED
    assert "remhart-adt models upload" in result.err


def test_graph_problems_are_listed_before_the_first_call(run, local_adt: LocalAdt, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("version: 1\ncomponents:\n  - {id: a, type: metre, feedsTo: b}\n  - {id: a, type: meter}\n")

    checked = run("graph", "validate", str(file), "-o", "json")
    assert checked.code == FAILED
    assert [row["place"] for row in checked.rows] == [f"{file}:3", f"{file}:3", f"{file}:4"]
    for verb in ("plan", "apply"):
        result = run("graph", verb, str(file))
        assert result.code == FAILED
        assert result.err.count(f"{file}:3: a.") == 2
        assert f"{file}:4: a.id: the id a is taken already in line 3." in result.err
    assert journal(local_adt) == []


def test_validate_remarks_on_what_nothing_feeds(run, tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("version: 1\ncomponents:\n  - {id: a, type: meter}\n")

    result = run("graph", "validate", str(file))

    assert result.code == 0
    assert result.out == ""
    assert "Warning:" in result.err
    assert "no source feeds this component" in result.err


def test_prune(graph, tmp_path: Path) -> None:
    text = (
        Path(FEEDER)
        .read_text()
        .replace("  - id: victor\n    username: victor\n    role: viewer\n    isActive: true\n", "")
    )
    file = tmp_path / "g.yaml"
    file.write_text(text)

    kept = graph("graph", "plan", str(file), "--exit-code")
    assert kept.code == 0
    assert "1 not in the file (kept; --prune deletes them)" in kept.err
    assert graph("graph", "apply", str(file), "--prune").code == 0
    assert graph("twins", "get", "victor").code == FAILED


def test_twins(graph) -> None:
    twin = json.loads(graph("twins", "get", "tr-1").out)
    assert twin["ratedCurrent"] == 577
    assert "ratedCurrent" in graph("twins", "get", "tr-1", "-o", "table").out
    assert len(graph("twins", "list", "-o", "json").rows) == 15
    assert {row["$dtId"] for row in graph("twins", "list", "--model", "user", "-o", "json").rows} == {"alice", "victor"}
    assert len(graph("twins", "list", "--limit", "3", "-o", "json").rows) == 3
    assert graph("twins", "list", "--model", "wrong'").code == USAGE

    patched = graph(
        "twins", "patch", "tr-1", "--set", "electrical.r1=0.5", "--set", "manufacturer=Works 7", "--remove", "status"
    )
    assert patched.code == 0
    twin = json.loads(graph("twins", "get", "tr-1").out)
    assert (twin["electrical"]["r1"], twin["manufacturer"], "status" in twin) == (0.5, "Works 7", False)
    assert graph("twins", "patch", "tr-1", "--set", "/alarms/x~1y=" + '{"severity":"major"}').code == 0
    assert json.loads(graph("twins", "get", "tr-1").out)["alarms"] == {"x/y": {"severity": "major"}}


@pytest.mark.parametrize(
    "args", [(), ("--set", "a"), ("--set", "=1"), ("--set", "a=null"), ("--set", "a..b=1")], ids=str
)
def test_a_patch_that_says_nothing_is_a_usage_error(run, args: tuple[str, ...]) -> None:
    assert run("twins", "patch", "t", *args).code == USAGE


def test_a_stale_etag_and_a_wrong_value_fail(graph) -> None:
    stale = graph(
        "twins", "patch", "tr-1", "--set", "ratedCurrent=1", "--etag", 'W/"00000000-0000-0000-0000-000000000000"'
    )
    assert stale.code == FAILED
    assert "new ETag" in stale.err
    wrong = graph("twins", "patch", "tr-1", "--set", "ratedCurrent=much")
    assert wrong.code == FAILED
    assert "ratedCurrent" in wrong.err


def test_deleting_twins(graph) -> None:
    refused = graph("twins", "delete", "pv-1")
    assert refused.code == FAILED
    assert "outgoing and incoming" in refused.err
    assert graph("twins", "delete", "pv-1", "victor", "--relationships").code == 0
    some = graph("twins", "delete", "nobody", "tr-1")
    assert some.code == FAILED
    assert "2 of 2 twins were not deleted" in some.err


def test_queries(graph, monkeypatch: pytest.MonkeyPatch) -> None:
    assert graph("query", "SELECT COUNT() FROM digitaltwins").rows == [{"COUNT": 15}]
    lines = graph("query", "SELECT * FROM digitaltwins", "-o", "ndjson", "--limit", "7").out.splitlines()
    assert len(lines) == 7
    table = graph("query", "SELECT $dtId, role FROM digitaltwins WHERE role = 'viewer'", "-o", "table").out
    assert table.split() == ["$DTID", "ROLE", "victor", "viewer"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"SELECT COUNT() FROM digitaltwins")))
    assert graph("query", "-").rows == [{"COUNT": 15}]

    wrong = graph("query", "SELEC")
    assert wrong.code == FAILED
    assert "SQL Parser Error" in wrong.err
    assert graph("query", "x" * 8001).code == USAGE


def test_without_an_endpoint_the_way_out_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT_ENV)

    result = run("models", "list")

    assert result.code == USAGE
    assert f"Give --endpoint HOST, or set {ENDPOINT_ENV}" in result.err
    assert run("models", "list", "--endpoint", "http://example.org").code == USAGE


def test_settings_that_cannot_be_used_are_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMHART_ADT__TIMEOUT", "soon")

    result = run("models", "list")

    assert result.code == USAGE
    assert "REMHART_ADT__TIMEOUT" in result.err


def test_a_server_that_is_not_there(run, local_adt: LocalAdt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMHART_ADT__DEADLINE", "0.5")

    result = run("models", "list", "--endpoint", "http://127.0.0.1:1")

    assert result.code == FAILED
    assert "trying again for up to 0.5 s" in result.err
    assert "Check that the endpoint is right" in result.err


def test_the_installed_command_works_as_a_process(local_adt: LocalAdt) -> None:
    command = shutil.which("remhart-adt") or str(Path(sys.executable).parent / "remhart-adt")

    done = subprocess.run(
        [command, "models", "upload", "--endpoint", local_adt.endpoint, "-o", "ndjson"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["id"] for line in done.stdout.splitlines()} == OURS


def test_every_command_has_help() -> None:
    for noun in ("models", "graph", "twins", "query"):
        group = cli._load(noun)
        for name, command in {noun: group, **getattr(group, "commands", {})}.items():
            assert command.help, name
            for parameter in command.params:
                assert getattr(parameter, "help", "x"), f"{noun} {name} {parameter.name}"
