"""docs/fidelity.md is made from fidelity.yaml, and what that says is there."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

import fidelity

DATA: dict[str, Any] = yaml.safe_load(fidelity.DATA.read_text(encoding="utf-8"))
OPERATIONS = fidelity._operations()
NAMED = {test for _, row in fidelity._rows(DATA) for test in row["tests"]}


def test_the_page_is_what_its_data_says() -> None:
    assert fidelity.page(DATA) == fidelity.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_row_names_tests_that_exist_and_every_operation_has_a_row() -> None:
    recordings, examples = "local/adt/test_recordings.py", "local/adt/test_query_examples.py"
    gone = {
        f"{recordings}::test_nothing",
        f"{recordings}::concrete",
        f"{examples}::test_an_example_of_the_documentation_answers_as_documented[1000]",
        "local/adt/test_nowhere.py::test_a_recording_replays",
    }
    there = fidelity.existing(NAMED | gone)
    assert there & gone == set()
    assert fidelity.faults_of(DATA, there, OPERATIONS) == []


def test_a_row_that_is_wrong_is_found() -> None:
    broken = copy.deepcopy(DATA)
    broken["operations"][0]["tests"] = ["local/adt/test_nothing.py::test_nothing"]
    broken["queries"][0]["from"] = ["guessed"]
    del broken["operations"][1]
    broken["queries"][1]["choices"] = [3]
    del broken["choices"][1]
    broken["cut"]["event_routes 99"] = broken["cut"].pop("event_routes 4")
    found = " ".join(fidelity.faults_of(broken, NAMED, OPERATIONS))
    for words in (
        "there is no test local/adt/test_nothing",
        "from is a list of",
        "Models_List has no row",
        "names 1,",
        "has choices when, and only when,",
        "event_routes 4 has nothing in its place",
        "event_routes 99 is whole",
    ):
        assert words in found


def test_every_cut_interaction_is_on_the_page_with_what_takes_its_place() -> None:
    page = fidelity.PAGE.read_text(encoding="utf-8")
    cut = fidelity.cut_interactions()
    assert len(cut) >= 10
    missing = [one for one, what in cut.items() if f"{one.split()[1]}: {what} → {DATA['cut'][one]}" not in page]
    assert missing == []


@pytest.mark.shared
def test_every_recording_has_a_row() -> None:
    folder = Path(os.environ["REMHART_TEST_DATA"]) / "adt-recordings"
    assert sorted(file.stem for file in folder.glob("*.json")) == DATA["recordings"]
    page = fidelity.PAGE.read_text(encoding="utf-8")
    assert [name for name in DATA["recordings"] if f"\n| {name} |" not in page] == []
