"""What the README says is there, is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from remhart_adt.cli.app import NOUNS
from remhart_adt.sync.config import load_config

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_set_up_takes_exactly_two_commands() -> None:
    first_block = README.split("```")[1]
    targets = re.findall(r"^make (\w+)", first_block, re.MULTILINE)

    assert targets == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_files_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"\]\(([^)#]+)\)", README)) | set(re.findall(r"(?<![\w/])(examples/[\w./-]+)", README))

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_every_command_is_in_the_readme_with_its_verbs(noun: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remhart_adt.cli.app", noun, "--help"], capture_output=True, text=True, check=True
    )
    row = re.search(rf"`remhart-adt {noun}(?: ([\w\\|]+))?`", README)

    assert row is not None
    verbs = (row.group(1) or "").replace("\\", "").split("|") if row.group(1) else []
    assert [verb for verb in verbs if not re.search(rf"^\s+{verb}\s", done.stdout, re.MULTILINE)] == []


def test_the_azure_configuration_of_the_readme_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REMHART_ADT__ENDPOINT", "REMHART_SOURCE__CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)

    config = load_config(ROOT / "examples" / "sync.yaml")

    assert config.adt.endpoint == "my-grid.api.weu.digitaltwins.azure.net"
    assert config.checkpoint.account is not None
    assert config.source.connection_string is None


def test_code_package_and_changelog_name_one_version() -> None:
    import remhart_adt

    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f'version = "{remhart_adt.__version__}"' in pyproject
    assert f"## [{remhart_adt.__version__}]" in changelog


@pytest.mark.parametrize(
    "verb", ["bench", "codegen", "conformance", "contract", "evaluate", "faults", "fidelity", "fuzz", "train"]
)
def test_every_script_runs_outside_of_an_activated_environment(verb: str) -> None:
    if not (ROOT / ".venv").is_dir():
        pytest.skip("the scripts use the environment that make test creates")
    bare = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([ROOT / "scripts" / verb, "--help"], capture_output=True, text=True, env=bare, check=False)

    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
