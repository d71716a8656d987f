"""docs/fidelity.md is made from fidelity.yaml, and what that says is there."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

import fidelity

DATA: dict[str, Any] = yaml.safe_load(fidelity.DATA.read_text(encoding="utf-8"))
OPERATIONS = fidelity._operations()


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = [test.partition("::")[0] for _, row in fidelity._rows(DATA) for test in row["tests"]]
    return fidelity.collected(files)


def test_the_page_is_what_its_data_says() -> None:
    assert fidelity.page(DATA) == fidelity.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_row_names_tests_that_exist_and_every_operation_has_a_row(tests: set[str]) -> None:
    assert fidelity.faults_of(DATA, tests, OPERATIONS) == []


def test_a_row_that_is_wrong_is_found() -> None:
    known = {test.partition("[")[0] for _, row in fidelity._rows(DATA) for test in row["tests"]} | {
        test for _, row in fidelity._rows(DATA) for test in row["tests"]
    }
    broken = copy.deepcopy(DATA)
    broken["operations"][0]["tests"] = ["local/adt/test_nothing.py::test_nothing"]
    broken["queries"][0]["from"] = ["guessed"]
    del broken["operations"][1]
    del broken["choices"][1]
    found = " ".join(fidelity.faults_of(broken, known, OPERATIONS))
    for words in ("there is no test local/adt/test_nothing", "from is a list of", "Models_List has no row", "names 1,"):
        assert words in found


@pytest.mark.shared
def test_every_recording_is_named_by_a_row_or_its_operation_has_one() -> None:
    folder = Path(os.environ["REMHART_TEST_DATA"]) / "adt-recordings"
    named = json.dumps(DATA)
    missing = [file.stem for file in sorted(folder.glob("*.json")) if f"[{file.stem}]" not in named]
    listed = set(DATA["replayed"])
    assert set(missing) == listed
