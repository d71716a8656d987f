"""Every block of docs/local-adt.md runs as it stands there, but for the port; its tables are complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "local-adt.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:8080"
COMMANDS = Path(sys.executable).parent
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider")

pytestmark = pytest.mark.process


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found


def run(command: list[str], folder: Path, **environment: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env={**env, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_run_one_after_another(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl or bash is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ready = f"until curl -sf http://{ADDRESS}/_remhart/health > health.json; do sleep 0.05; done"
    lines = ["set -eu", "trap 'kill $(jobs -p)' EXIT"]
    for block in blocks("sh"):
        for line in block.splitlines():
            lines.append(line.replace("curl -s ", "curl -sSf -w '\\n' "))
            if line.endswith("&"):
                lines.append(ready)
    script = "\n".join(lines).replace("8080", str(port))
    # Its output goes to a file: a pipe would stay open as long as the server that it starts.
    (tmp_path / "script.sh").write_text(f"exec > out.txt 2> err.txt\n{script}\n")
    done = subprocess.run(
        ["bash", "script.sh"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{COMMANDS}:{os.environ['PATH']}"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (tmp_path / "err.txt").read_text()
    said = (tmp_path / "out.txt").read_text().split()
    assert json.loads("".join(said[-1:]))["status"] in ("notstarted", "running", "succeeded")
    assert (tmp_path / "adt.sqlite").exists()


@pytest.mark.slow
def test_the_programs_run(tmp_path: Path) -> None:
    programs = [block for block in blocks("python") if not block.startswith("# ")]
    assert len(programs) == 2
    with LocalAdt(Options()) as server:
        for number, block in enumerate(programs):
            file = tmp_path / f"program{number}.py"
            file.write_text(block.replace(ADDRESS, server.endpoint.removeprefix("http://")))
            run([sys.executable, "-W", "error", str(file)], tmp_path)
        assert [twin["$dtId"] for twin in server.export() if "$dtId" in twin] == ["kitchen"]


@pytest.mark.slow
def test_the_examples_of_fixtures_pass(tmp_path: Path) -> None:
    files = [block for block in blocks("python") if block.startswith("# ")]
    for block in files:
        (tmp_path / block.split()[1]).write_text(block)
    assert sorted(file.name for file in tmp_path.iterdir())[0] == "conftest.py"
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    tests = sum(len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)) for block in files)
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS]
    assert f"{tests} passed" in run(command, tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


@pytest.mark.node
def test_the_javascript_runs(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    [block] = blocks("js")
    (tmp_path / "node_modules").symlink_to(ROOT / "tools" / "node" / "node_modules")
    model = {"@id": "dtmi:example:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3", "contents": []}
    with LocalAdt(Options()) as server:
        server.seed({"models": [model]})
        (tmp_path / "program.mjs").write_text(block.replace(ADDRESS, server.endpoint.removeprefix("http://")))
        assert run([node, "program.mjs"], tmp_path) == "dtmi:example:Room;1\n"


def test_every_member_and_action_of_a_fault_is_in_the_tables() -> None:
    first_cells = re.findall(r"^\| ((?:`\w+`(?:, | or )?)+) \|", PAGE, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    with LocalAdt(Options()) as server:
        with pytest.raises(LocalServerError) as members:
            server.faults.add(nonsense=1)
        with pytest.raises(LocalServerError) as actions:
            server.faults.add("nonsense")
    listed = str(members.value).partition("It has: ")[2].partition(".")[0].split(", ")
    listed += str(actions.value).partition("action is one of ")[2].partition(".")[0].split(", ")
    assert len(listed) == 26
    assert set(listed) <= named


def test_every_option_named_is_one_of_the_command_and_every_page_is_there() -> None:
    said = run([sys.executable, "-m", "remhart_adt.cli.app", "local", "adt", "--help"], ROOT)
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--endpoint"}  # that of the other commands
    assert {option for option in named if not re.search(rf"{option}\b", said)} == set()
    assert [page for page in re.findall(r"\]\(([^)#]+)\)", PAGE) if not (ROOT / "docs" / page).exists()] == []
