"""YAML in, values with lines out; hostile text is refused before it grows."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from remhart_adt.errors import GraphError
from remhart_adt.graph.source import dotted, plain, read_file, read_text


def test_every_value_knows_its_line() -> None:
    document = read_text("a: 1\nb:\n  - c: x\n    d: {e: 2}\n  - f\n")

    assert document.value == {"a": 1, "b": [{"c": "x", "d": {"e": 2}}, "f"]}
    assert [document.line(path) for path in (("a",), ("b", 0, "d", "e"), ("b", 1), ("b", 0, "zzz"))] == [1, 4, 5, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("+3", 3),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5e3", 1500.0),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("~", None),
        ("2012-05-14", "2012-05-14"),
        ("2012-05-14T10:00:00Z", "2012-05-14T10:00:00Z"),
        ("'17'", "17"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = read_text(f"a: {text}\n").value["a"]

    assert read == value
    assert type(read) is type(value)


def test_json_is_yaml() -> None:
    assert read_text('{"a": [1, {"b": null}]}').value == {"a": [1, {"b": None}]}


def test_aliases_and_merges_are_resolved() -> None:
    text = "cable: &cable {r1: 0.2, x1: 0.1}\none: *cable\ntwo: {<<: *cable, r1: 0.5}\n"

    assert read_text(text).value == {
        "cable": {"r1": 0.2, "x1": 0.1},
        "one": {"r1": 0.2, "x1": 0.1},
        "two": {"x1": 0.1, "r1": 0.5},
    }


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a: 1\nb: .nan\n", "not a number that can be stored", 2),
        ("a: -.inf\n", "not a number that can be stored", 1),
        ("a: 1\nb: 2\na: 3\n", "twice, first in line 1", 3),
        ("a: !!python/object:os.system {}\n", "", 1),
        ("a: !!python/name:os.system x\n", "has no meaning here", 1),
        ("? [1, 2]\n: 3\n", "a key has to be a word", 1),
        ("a:\n  <<: 5\n", "only mappings can be merged", 2),
    ],
)
def test_what_is_yaml_but_means_nothing_here(text: str, words: str, line: int) -> None:
    document = read_text(text)

    if words:
        (problem,) = document.problems
        assert words in problem.message
        assert problem.line == line
    else:  # a tag on a mapping is simply a mapping: no object is ever made
        assert document.value == {"a": {}}


HOSTILE = {
    "unclosed": "a: [1, 2\n",
    "tab": "a:\n\t- b\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "control character": "a: \x00\n",
    "unknown alias": "a: *b\n",
    "deep flow": "[" * 900,
    "very deep flow": "[" * 2_000_000,
    "deep block": "- " * 5000 + "a",
    "33 levels": "a: " + "[" * 33 + "]" * 33,
    "itself": "&a [*a]",
    "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
    "bomb of merges": "a: &a {x: 1}\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{','.join(['*' + chr(97 + i)] * 9)}]}}\n" for i in range(9)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_soon(name: str) -> None:
    begun = time.monotonic()

    with pytest.raises(GraphError) as caught:
        read_text(HOSTILE[name], name="bad.yaml")

    assert "bad.yaml" in str(caught.value)
    assert time.monotonic() - begun < 60


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_bytes(b"\xef\xbb\xbfa: \xc3\xbc\n")
    assert read_file(good).value == {"a": "ü"}

    with pytest.raises(GraphError, match="No such file"):
        read_file(tmp_path / "missing.yaml")
    with pytest.raises(GraphError, match="Is a directory"):
        read_file(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xfc\n")
    with pytest.raises(GraphError, match="byte 3 is not UTF-8"):
        read_file(latin)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(50 * 1024 * 1024 + 1)
    with pytest.raises(GraphError, match=r"52,428,801 bytes, the limit is 52,428,800"):
        read_file(huge)


def test_values_of_a_program() -> None:
    document = plain({"a": date(2012, 5, 14), "b": datetime(2012, 5, 14, 10, tzinfo=UTC), "c": (1, 2.5), "d": {1, 2}})

    assert document.value["a"] == "2012-05-14"
    assert document.value["b"] == "2012-05-14T10:00:00Z"
    assert document.value["c"] == [1, 2.5]
    assert [problem.message for problem in document.problems] == ["a set cannot be stored"]

    assert plain({"a": float("nan")}).problems


def test_dotted() -> None:
    assert dotted(("components", 3, "electrical", "r1")) == "components[3].electrical.r1"
