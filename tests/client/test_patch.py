"""The patch builder: add and remove, escaping, source times, splitting."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.client import Patch, pointer
from remhart_adt.clock import parse_us


def test_a_patch_on_the_wire() -> None:
    patch = (
        Patch()
        .add("voltage", {"phaseA": 230.5})
        .add(("alarms", "a/b~c"), {"value": 1})
        .add("/mlPredictions/loadForecast", 3)
        .remove(("alarms", "old"))
        .source_time("voltage", parse_us("2024-01-01T00:00:00.25Z"))
        .source_time("monitoringPredictions", parse_us("2024-01-01T00:00:00Z"), component="mlEngine")
    )

    assert json.loads(bytes(patch)) == patch.operations() == [
        {"op": "add", "path": "/voltage", "value": {"phaseA": 230.5}},
        {"op": "add", "path": "/alarms/a~1b~0c", "value": {"value": 1}},
        {"op": "add", "path": "/mlPredictions/loadForecast", "value": 3},
        {"op": "remove", "path": "/alarms/old"},
        {"op": "add", "path": "/$metadata/voltage/sourceTime", "value": "2024-01-01T00:00:00.250000Z"},
        {
            "op": "add",
            "path": "/mlEngine/$metadata/monitoringPredictions/sourceTime",
            "value": "2024-01-01T00:00:00Z",
        },
    ]  # fmt: skip
    assert b" " not in bytes(patch)
    assert len(patch) == 6
    assert patch
    assert not Patch()


def test_only_a_model_is_replaced() -> None:
    assert Patch().model("dtmi:x;2").operations() == [
        {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:x;2"}
    ]


def test_null_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"/a: .* use remove"):
        Patch().add("a", None)


@pytest.mark.parametrize("path", ["", (), ("a", "")])
def test_an_empty_path_is_refused(path: str | tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a path needs names"):
        Patch().add(path, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        bytes(Patch().add("a", value))


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_pointers_can_be_read_back(segments: list[str]) -> None:
    read = [part.replace("~1", "/").replace("~0", "~") for part in pointer(*segments).split("/")[1:]]

    assert read == segments


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(300, 2000))
def test_the_parts_of_a_patch_fit_and_are_the_patch(values: list[str], limit: int) -> None:
    patch = Patch()
    for number, value in enumerate(values):
        patch.add(f"p{number}", value)

    parts = list(patch.split(limit))

    assert [op for part in parts for op in part] == patch.operations()
    assert all(len(bytes(part)) <= limit for part in parts)
    assert all(len(bytes(a)) + len(bytes(b)) > limit for a, b in pairwise(parts)) or len(parts) < 2


def test_an_operation_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"/a: one operation of \d+ bytes does not fit into 100"):
        list(Patch().add("a", "x" * 200).split(100))
