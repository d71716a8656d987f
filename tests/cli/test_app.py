"""The command as a stranger meets it: help, version, usage errors, lazy loading, how errors look."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from remhart_adt import __version__
from remhart_adt.cli import app as cli
from remhart_adt.cli import common
from remhart_adt.errors import ConfigError, GraphError, RemhartError

HEAVY = ("azure", "pandas", "onnxruntime", "numpy", "aiohttp", "pydantic_settings", "ruamel", "tenacity", "requests")


def run_main(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    code = caught.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture
def noun(monkeypatch: pytest.MonkeyPatch):
    """Replaces the `query` noun by a module with the given `command`."""

    def install(command) -> None:
        module = ModuleType("tests.fake_noun")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tests.fake_noun", module)
        monkeypatch.setitem(cli.NOUNS, "query", cli.Noun("tests.fake_noun", "A noun of the test."))

    return install


def test_help_lists_every_noun_without_importing_one() -> None:
    script = (
        "import sys\n"
        "from remhart_adt.cli import app\n"
        "try:\n    app.main(['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "nouns = [n.module for n in app.NOUNS.values() if n.module in sys.modules]\n"
        "assert not heavy, heavy\nassert not nouns, nouns\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    for name, entry in cli.NOUNS.items():
        assert f"  {name}" in done.stdout
        assert entry.help in " ".join(done.stdout.split()), f"help of {name} is cut or missing"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("--version") == 0
    assert capsys.readouterr().out == f"remhart-adt {__version__}\n"


def test_unknown_noun_is_a_usage_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("quary") == common.USAGE

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Did you mean 'query'?" in captured.err


def test_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str], noun) -> None:
    noun(lambda: None)

    assert run_main("query", "--nonsense") == common.USAGE
    assert "--nonsense" in capsys.readouterr().err


def test_an_error_is_one_paragraph_with_place_and_remedy(capsys: pytest.CaptureFixture[str], noun) -> None:
    def command() -> None:
        raise RemhartError("the file is empty", where="grid.yaml:1", remedy="Write something into it")

    noun(command)

    assert run_main("query") == common.FAILED
    assert capsys.readouterr().err == "Error: grid.yaml:1: the file is empty. Write something into it.\n"


def test_a_wrong_setting_is_a_usage_error(noun) -> None:
    def command() -> None:
        raise ConfigError("no such profile")

    noun(command)

    assert run_main("query") == common.USAGE


def test_every_problem_of_a_list_gets_its_line(capsys: pytest.CaptureFixture[str], noun) -> None:
    def command() -> None:
        raise GraphError("2 problems", problems=["grid.yaml:3: first", "grid.yaml:9: second"])

    noun(command)

    assert run_main("query") == common.FAILED
    assert capsys.readouterr().err.splitlines()[1:] == ["  grid.yaml:3: first", "  grid.yaml:9: second"]


@pytest.mark.parametrize("line", [("--debug", "query"), ("query", "--debug")])
def test_a_traceback_only_with_debug(capsys: pytest.CaptureFixture[str], noun, line: tuple[str, ...]) -> None:
    def command() -> None:
        raise ValueError("boom; AccountKey=c2VjcmV0")

    noun(command)

    assert run_main("query") == common.INTERNAL
    quiet = capsys.readouterr().err
    assert run_main(*line) == common.INTERNAL
    loud = capsys.readouterr().err

    assert "Traceback" not in quiet
    assert "ValueError: boom" in quiet
    assert "Traceback" in loud
    assert "c2VjcmV0" not in quiet + loud


def test_a_missing_extra_names_the_pip_command(capsys: pytest.CaptureFixture[str], noun) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'azure.eventhub.aio'", name="azure.eventhub.aio")

    noun(command)

    assert run_main("query") == common.FAILED
    assert "pip install 'remhart-adt[sync]'" in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_an_internal_error(noun) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'remhart_adt.nothing'", name="remhart_adt.nothing")

    noun(command)

    assert run_main("query") == common.INTERNAL


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str], noun) -> None:
    def command() -> None:
        Path("/nowhere/at/all.yaml").read_text()

    noun(command)

    assert run_main("query") == common.FAILED
    assert "/nowhere/at/all.yaml: No such file" in capsys.readouterr().err


def test_exit_codes_pass_through(noun) -> None:
    def command() -> None:
        raise typer.Exit(common.CHANGES_PENDING)

    noun(command)

    assert run_main("query") == common.CHANGES_PENDING


def test_a_closed_pipe_ends_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -c \"from remhart_adt.cli import app; app.main(['--help'])\" | true",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""


class TestEmit:
    ROWS = ({"id": "a", "n": 1, "deep": {"x": [1]}}, {"id": "bcd", "ok": True, "n": None})

    def test_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        common.emit(self.ROWS, common.Output.table)

        assert capsys.readouterr().out.splitlines() == [
            "ID   N  DEEP        OK",
            'a    1  {"x": [1]}  -',
            "bcd  -  -           yes",
        ]

    def test_json_is_one_array(self, capsys: pytest.CaptureFixture[str]) -> None:
        common.emit(iter(self.ROWS), common.Output.json)

        assert json.loads(capsys.readouterr().out) == list(self.ROWS)

    def test_no_rows_are_an_empty_array_and_an_empty_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        common.emit([], common.Output.json)
        assert json.loads(capsys.readouterr().out) == []
        common.emit([], common.Output.table)
        assert capsys.readouterr().out == ""

    def test_ndjson_streams(self, capsys: pytest.CaptureFixture[str]) -> None:
        def rows():
            yield {"id": "a"}
            assert capsys.readouterr().out == '{"id": "a"}\n'
            yield {"id": "ü"}

        assert common.emit(rows(), common.Output.ndjson) == 2
        assert capsys.readouterr().out == '{"id": "ü"}\n'

    def test_one_document_as_paths(self, capsys: pytest.CaptureFixture[str]) -> None:
        common.emit_one({"a": {"b": 1, "c": {}}}, common.Output.table)

        assert capsys.readouterr().out.splitlines() == ["a.b  1", "a.c  {}"]


@pytest.mark.parametrize(("variable", "coloured"), [(None, True), ("1", False)])
def test_colour_only_for_people_who_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable is not None:
        monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    common.render_error(RemhartError("bad"), debug=False)

    assert ("\x1b[" in capsys.readouterr().err) is coloured
