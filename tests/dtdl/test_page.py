"""What docs/dtdl.md shows happens, and the CI step of examples/validate-models does what it promises."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from remhart_adt.dtdl import parse
from remhart_adt.dtdl.parse import validate
from remhart_adt.dtdl.render import all_problems

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "dtdl.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "validate-models"


def test_the_worked_error_is_what_a_reader_gets(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown = re.findall(r"```\n\$ remhart-adt dtdl validate breaker\.json\n(.*?)```", PAGE, re.DOTALL)
    assert len(shown) == 2
    for source, expected in zip((text, text.replace("dubble", "double")), shown, strict=True):
        file = tmp_path / "breaker.json"
        file.write_text(source, encoding="utf-8")
        found = [
            f"{p.rule} at {Path(p.file).name} line {p.line} column {p.column}\n  {p.message}\n  {p.remedy}\n"
            for p in all_problems(validate(file))
        ]
        assert "".join(found) == expected


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for folder in ("models", "repository"):
        (tmp_path / folder).mkdir()
    for file in (EXAMPLE / "models").iterdir():
        (tmp_path / "models" / file.name).write_bytes(file.read_bytes())
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_ci_step_writes_what_code_review_reads(tmp_path: Path) -> None:
    workflow = (EXAMPLE / "validate-models.yaml").read_text(encoding="utf-8")
    (command,) = re.findall(r"run: (remhart-adt dtdl .*) > models\.sarif", workflow)
    words = shlex.split(command)
    assert words[0] == "remhart-adt"

    def step(folder: Path) -> tuple[int, list[dict[str, object]]]:
        run = [sys.executable, "-m", "remhart_adt.cli.app", *words[1:]]
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)["runs"][0]["results"]

    assert step(EXAMPLE) == (0, [])
    broken = tmp_path / "models"
    broken.mkdir()
    for file in (EXAMPLE / "models").iterdir():
        text = file.read_text(encoding="utf-8").replace('"ampere"', '"amperes"')
        (broken / file.name).write_text(text, encoding="utf-8")
    code, results = step(tmp_path)
    assert code == 1
    assert "Is it 'ampere'?" in str(results)


def test_the_models_of_the_example_are_what_the_page_speaks_of() -> None:
    models = parse(EXAMPLE / "models")
    assert models.is_of_model("dtmi:example:Breaker;1", "dtmi:example:Asset;1")
