"""Generated classes: committed and fresh, and honest about what they cannot say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from documents import interface, prop

from remhart_adt.dtdl import parse
from remhart_adt.dtdl.codegen import generate
from remhart_adt.dtdl.naming import camel, snake
from remhart_adt.errors import DtdlError
from remhart_adt.resources import dtdl_dir

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_twins_are_what_the_interfaces_give():
    for name, source in generate(parse(dtdl_dir())).items():
        committed = ROOT / "src" / "remhart_adt" / "ontology" / f"{name}.py"
        assert committed.read_text() == source, f"{committed.name} is stale: run scripts/codegen"


def test_the_script_says_whether_it_has_something_to_do():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "lib" / "codegen.py", "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_name_of_the_four_interfaces_survives_the_way_to_python_and_back():
    names = set()
    stack = [value for interface_ in parse(dtdl_dir()).values() for value in [interface_.definition]]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            names |= {value["name"]} if "name" in value and "enumValue" not in value else set()
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    assert len(names) > 200
    assert {camel(snake(name)) for name in names} == names


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("phaseA", "phase_a"),
        ("load15minLow", "load15min_low"),
        ("URLValue", "url_value"),
        ("class", "class_"),
        ("etag", "etag_"),
    ],
)
def test_names_in_pythons_style(name, attribute):
    assert snake(name) == attribute


def test_a_name_that_does_not_survive_gets_an_explicit_alias_and_odd_kinds_work():
    levels = [{"name": "low", "enumValue": 1}, {"name": "high", "enumValue": 2}]
    source = generate(
        parse(
            interface(
                contents=[
                    prop("URLValue", "string"),
                    prop(
                        "level",
                        {"@type": "Enum", "displayName": "Level", "valueSchema": "integer", "enumValues": levels},
                    ),
                    prop("list", {"@type": "Array", "elementSchema": "double"}),
                    prop("etag", "string", description='A """quoted""" \\ text. ' + "long " * 60),
                ]
            )
        )
    )["a"]
    space: dict = {"__name__": "generated"}
    exec(
        compile(source.replace("from __future__ import annotations\n", ""), "generated", "exec", dont_inherit=True),
        space,
    )
    twin = space["A"].from_twin(
        {
            "$metadata": {"$model": "dtmi:test:A;1"},
            "$etag": "1",
            "URLValue": "u",
            "level": 2,
            "list": [1.5],
            "etag": "e",
        }
    )

    assert (twin.url_value, twin.level, twin.list_, twin.etag, twin.etag_) == ("u", 2, [1.5], "1", "e")
    assert twin.level is space["Level"].HIGH
    assert twin.to_twin() == {
        "URLValue": "u",
        "level": 2,
        "list": [1.5],
        "etag": "e",
        "$metadata": {"$model": "dtmi:test:A;1"},
    }
    assert all(len(line) <= 120 for line in source.splitlines())


def test_what_a_class_cannot_say_is_refused():
    inherited = parse(interface(extends="dtmi:test:B;1"), interface("B"))
    with pytest.raises(DtdlError, match="inheritance"):
        generate(inherited, ["dtmi:test:A;1"])
    same_name = {"@type": "Object", "displayName": "Thing"}
    clash = parse(
        interface(contents=[prop("a", {**same_name, "fields": [prop("x") | {"@type": "Field"}]}), prop("b", same_name)])
    )
    with pytest.raises(DtdlError, match="Thing"):
        generate(clash)
