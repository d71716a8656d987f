"""The noun `dtdl`, as a user types it; none of it needs an instance."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remhart_adt.cli import app as cli
from remhart_adt.cli.common import DONE, FAILED, USAGE
from remhart_adt.resources import dtdl_dir

ROOM = "dtmi:example:Room;1"


def room(version: int = 3, *, dtmi: str = ROOM, **more: object) -> dict[str, object]:
    """A room with a temperature."""
    temperature = {"@type": "Property", "name": "temperature", "schema": "double"}
    return {
        "@context": f"dtmi:dtdl:context;{version}",
        "@id": dtmi,
        "@type": "Interface",
        "contents": [temperature],
        **more,
    }


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def work(*args: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            cli.main(["dtdl", *map(str, args)])
        except SystemExit as end:
            captured = capsys.readouterr()
            return end.code or 0, captured.out, captured.err  # type: ignore[return-value]
        raise AssertionError("main always leaves with an exit code")

    return work


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a room, something that is no model, and a dot-folder that nobody should read."""
    folder = tmp_path / "models"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "broken.json").write_text("{", encoding="utf-8")
    (folder / "package.json").write_text('{"name": "models"}', encoding="utf-8")
    (folder / "room.json").write_text(json.dumps(room()), encoding="utf-8")
    return folder


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_sound_folder_is_valid_and_says_what_is_no_interface(run, models: Path) -> None:
    code, out, err = run("validate", models, "-o", "json")
    assert code == DONE
    (row,) = json.loads(out)
    assert (row["rule"], row["severity"]) == ("notAnInterface", "warning")
    assert row["file"].endswith("package.json")
    assert "valid (1 warnings)" in err
    assert run("validate", models, "--strict")[0] == FAILED


def test_a_broken_file_is_named_with_line_and_remedy(run, models: Path) -> None:
    text = json.dumps(room(), indent=2).replace("double", "dubble")
    (models / "room.json").write_text(text, encoding="utf-8")
    code, out, err = run("validate", models / "room.json")
    assert code == FAILED
    line = 1 + text[: text.index("dubble")].count("\n")
    assert f"room.json:{line}:" in out
    assert "badDtmiOrTerm" in out
    assert "Is it 'double'?" in out
    assert "problem" in err


def test_sarif_has_the_place_of_each_problem(run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "room.json").write_text(json.dumps(room(extends="dtmi:example:Space;1"), indent=1), encoding="utf-8")
    monkeypatch.chdir(models)
    code, out, _ = run("validate", ".", "-o", "sarif")
    assert code == FAILED
    log = json.loads(out)
    assert log["version"] == "2.1.0"
    results = log["runs"][0]["results"]
    unresolved = next(one for one in results if one["level"] == "error")
    place = unresolved["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "room.json"
    assert place["region"]["startLine"] > 1
    assert "dtmi:example:Space;1" in unresolved["message"]["text"]


def test_what_is_named_elsewhere_comes_from_a_resolver(run, models: Path, tmp_path: Path) -> None:
    (models / "room.json").write_text(json.dumps(room(extends="dtmi:example:Space;1")), encoding="utf-8")
    assert run("validate", models / "room.json")[0] == FAILED
    repository = tmp_path / "repository" / "dtmi" / "example"
    repository.mkdir(parents=True)
    space = {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:example:Space;1", "@type": "Interface"}
    (repository / "space-1.json").write_text(json.dumps(space), encoding="utf-8")
    assert run("validate", models / "room.json", "--resolver", tmp_path / "repository")[0] == DONE


@pytest.mark.parametrize("data", [json.dumps(room()).encode(), b"\xef\xbb\xbf" + json.dumps(room()).encode()])
def test_standard_input_is_a_source(run, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    standard_input(monkeypatch, data)
    assert run("validate", "-")[0] == DONE


@pytest.mark.parametrize(
    ("data", "said"), [(b"\xff\xfe{", "not UTF-8"), (b"{", "invalidJson"), (b" " * (1 << 20) + b" 1", "sourceTooLarge")]
)
def test_unreadable_standard_input_is_refused(run, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str) -> None:
    standard_input(monkeypatch, data)
    code, out, err = run("validate", "-", "--max-mb", "1")
    assert code == FAILED
    assert said in out + err


def test_patterns_match_files_but_not_hidden_ones(run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)
    assert run("validate", "models/**/room.json")[0] == DONE
    assert run("validate", "models/*/../room.*")[0] == USAGE  # `*` does not match .git
    assert run("validate", models / "r*.json")[0] == DONE


@pytest.mark.parametrize("args", [("missing",), ("missing/*.json",), (), ("-", "--output", "xml")])
def test_a_wrong_command_line_is_exit_code_2(run, args: tuple[str, ...]) -> None:
    assert run("validate", *args)[0] == USAGE


def test_options_of_the_language(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(model: dict[str, object], *options: str) -> int:
        standard_input(monkeypatch, json.dumps(model).encode())
        return run("validate", "-", *options)[0]

    assert check(room(4)) == DONE
    assert check(room(4), "--max-version", "3") == FAILED
    assert check(room(4), "--profile", "adt") == FAILED
    unknown = {"@context": ["dtmi:dtdl:context;3", "dtmi:example:mine;1"]}
    assert check(room(**unknown)) == FAILED
    assert check(room(**unknown), "--unknown-extensions", "allow") == DONE
    onvif = {"@context": ["dtmi:dtdl:context;4#limitless", "dtmi:dtdl:limits:onvif;1"]}
    assert check(room(**onvif)) == FAILED
    assert check(room(**onvif), "--limits", "dtmi:dtdl:limits:onvif;1") == DONE


def test_show_lists_contents_with_those_that_are_inherited(run, models: Path) -> None:
    office = room(dtmi="dtmi:example:Office;1", extends=ROOM, contents=[])
    (models / "office.json").write_text(json.dumps(office), encoding="utf-8")
    code, out, _ = run("show", models, "--model", "dtmi:example:Office;1", "-o", "json")
    assert code == DONE
    (row,) = json.loads(out)
    assert (row["name"], row["kind"], row["type"], row["defined in"]) == ("temperature", "Property", "double", ROOM)
    code, _, err = run("show", models, "--model", "dtmi:example:Hall;1")
    assert code == FAILED
    assert ROOM in err


def test_order_puts_what_is_needed_first(run) -> None:
    code, out, _ = run("order", dtdl_dir(), "-o", "json")
    assert code == DONE
    rows = json.loads(out)
    place = {row["id"]: number for number, row in enumerate(rows)}
    assert len(place) == 4
    assert all(place[needed] < place[row["id"]] for row in rows for needed in row["needs"].split())
    assert {row["call"] for row in rows} == {1}


def test_diff_names_what_changed_under_the_same_dtmi(run, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(room()), encoding="utf-8")
    new.write_text(json.dumps(room(contents=[])), encoding="utf-8")
    code, out, err = run("diff", old, new, "-o", "json")
    assert code == DONE
    changes = {change["element"]: change["verdict"] for change in json.loads(out)}
    assert changes["contents/temperature"] == "breaking"
    assert f"{ROOM} has changed and kept its DTMI" in err
    assert run("diff", old, new, "--fail-on", "breaking")[0] == FAILED
    assert run("diff", new, old, "--fail-on", "breaking")[0] == DONE
    assert run("diff", new, old, "--fail-on", "new-version")[0] == FAILED
    assert run("diff", old, old, "--fail-on", "any")[0] == DONE
    assert run("diff", "-", "-")[0] == USAGE


def test_convert_writes_version_3_or_says_why_not(run, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "room.json").write_text(json.dumps(room(2)), encoding="utf-8")
    assert run("convert", source, "--out", out)[0] == DONE
    written = json.loads((out / "deep" / "room.json").read_text(encoding="utf-8"))
    assert written["@context"] == "dtmi:dtdl:context;3"
    assert run("validate", out)[0] == DONE
    assert run("convert", source, "--out", out)[0] == USAGE
    assert run("convert", source, "--out", out, "--force")[0] == DONE

    code, text, _ = run("convert", source / "deep" / "room.json")
    assert (code, json.loads(text)) == (DONE, written)
    assert run("convert", source, "--to", "4")[0] == FAILED
    assert run("convert", out)[0] == FAILED


def test_convert_refuses_what_version_3_does_not_have(run, tmp_path: Path) -> None:
    own_unit = {"@id": "dtmi:example:furlong;1", "@type": "LengthUnit"}
    length = {"@type": ["Property", "Length"], "name": "length", "schema": "double", "unit": own_unit}
    source = tmp_path / "fence.json"
    source.write_text(json.dumps(room(2, contents=[length])), encoding="utf-8")
    code, out, err = run("convert", source)
    assert (code, out) == (FAILED, "")
    assert "ownUnit" in err


def test_codegen_writes_a_package_that_imports_and_checks_itself(run, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "twins"
    assert run("codegen", models, "--out", out)[0] == DONE
    assert run("codegen", models, "--out", out, "--check")[0] == DONE
    program = "from twins import Room; print(Room(dt_id='r1', temperature=21.5).temperature)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "21.5", done.stderr
    (out / "room.py").write_text("", encoding="utf-8")
    code, listed, _ = run("codegen", models, "--out", out, "--check")
    assert code == FAILED
    assert "room.py" in listed
    assert run("codegen", models, "--out", out, "--model", "dtmi:example:Hall;1")[0] == FAILED
