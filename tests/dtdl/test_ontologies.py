"""Two published ontologies: one is valid as a whole, of the other each file is judged as the official parser does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.dtdl import Report, parse, validate

ORACLE = Path(__file__).resolve().parents[2] / "tools" / "node" / "dtdl-oracle.mjs"

pytestmark = [pytest.mark.shared, pytest.mark.slow]


def test_the_113_interfaces_of_energygrid_are_valid_together(shared_data):
    models = parse(shared_data / "ontologies" / "energygrid")

    assert len(models) == 113
    assert models.report == Report()


def official_verdicts(texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the official parser says to each text, all asked of one process."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: no official DTDL parser to compare with")
    questions = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items())
    done = subprocess.run([node, ORACLE], input=questions, capture_output=True, text=True, check=True, timeout=300)
    return {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.node
def test_every_plug_and_play_model_is_judged_as_the_official_parser_judges_it(shared_data):
    folder = shared_data / "ontologies" / "iot-pnp-models"
    texts = {str(file.relative_to(folder)): file.read_text(encoding="utf-8-sig") for file in folder.rglob("*.json")}
    official = official_verdicts(texts)
    ours = {name: validate(folder / name) for name in texts}

    assert official.keys() == texts.keys()
    assert len(texts) == 934
    assert {name: (report.valid, rules(report), missing(report)) for name, report in ours.items()} == {
        name: (answer["valid"], set(answer["rules"]), set(answer["undefined"])) for name, answer in official.items()
    }
    assert {answer["valid"] for answer in official.values()} == {True, False}
    assert {answer["other"] for answer in official.values()} == {""}


def rules(report: Report) -> set[str]:
    return {problem.rule for problem in report.errors}


def missing(report: Report) -> set[str]:
    return {unresolved.dtmi for unresolved in report.unresolved}
