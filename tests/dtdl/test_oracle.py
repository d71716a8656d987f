"""The official parser gives the same verdicts: on our four interfaces, and on broken ones by the same rules."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import QUANTITIES, V2, interface, objects, prop

from remhart_adt.dtdl import validate
from remhart_adt.resources import dtdl_dir

pytestmark = pytest.mark.node
ORACLE = Path(__file__).resolve().parents[2] / "tools" / "node" / "dtdl-oracle.mjs"

Ask = Callable[[Any], dict[str, Any]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Asks the official parser about one document or an array of documents."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: no official DTDL parser to compare with")
    with subprocess.Popen([node, str(ORACLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def question(document: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps({"id": 0, "text": json.dumps(document)}) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield question
        process.stdin.close()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def four() -> list[dict[str, Any]]:
    """Our four interfaces as JSON, the measurement point first."""
    names = ("smart-grid-measurement-point", "ml-engine", "grid-component", "user")
    return [json.loads((dtdl_dir() / f"{name}.json").read_text()) for name in names]


def test_the_official_parser_accepts_the_four_interfaces(ask, four):
    assert ask(four) == {"id": 0, "valid": True, "rules": [], "undefined": [], "other": ""}


def test_both_miss_the_engine_when_the_point_comes_alone(ask, four):
    report = validate(four[0])
    assert ask(four[0])["undefined"] == [missing.dtmi for missing in report.unresolved]


def set_at(*path: str | int, value: Any) -> Callable[[list[Any]], None]:
    def change(documents: list[Any]) -> None:
        target: Any = documents
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


def drop_at(*path: str | int) -> Callable[[list[Any]], None]:
    def change(documents: list[Any]) -> None:
        target: Any = documents
        for part in path[:-1]:
            target = target[part]
        del target[path[-1]]

    return change


FIELDS = (0, "contents", 1, "schema", "fields")
CHANGES = {
    "no context": drop_at(0, "@context"),
    "no extension": set_at(0, "@context", value="dtmi:dtdl:context;3"),
    "context of the future": set_at(0, "@context", value=["dtmi:dtdl:context;9"]),
    "no id": drop_at(1, "@id"),
    "reserved id": set_at(3, "@id", value="dtmi:dtdl:User;2"),
    "bad id": set_at(3, "@id", value="dtmi:remhart::User;2"),
    "not rootable": set_at(3, "@type", value="Object"),
    "unknown type": set_at(*FIELDS, 0, "@type", value=["Field", "Tension"]),
    "unit of another quantity": set_at(*FIELDS, 0, "unit", value="watt"),
    "unknown unit": set_at(*FIELDS, 0, "unit", value="furlong"),
    "no unit": drop_at(*FIELDS, 0, "unit"),
    "quantity that is text": set_at(*FIELDS, 0, "schema", value="string"),
    "unknown schema": set_at(*FIELDS, 0, "schema", value="number"),
    "no schema": drop_at(*FIELDS, 0, "schema"),
    "no name": drop_at(*FIELDS, 0, "name"),
    "bad name": set_at(*FIELDS, 0, "name", value="nominal-voltage"),
    "same name twice": set_at(*FIELDS, 0, "name", value="nominalFrequency"),
    "unknown property": set_at(*FIELDS, 0, "range", value=[0, 1]),
    "null": set_at(*FIELDS, 0, "description", value=None),
    "long description": set_at(*FIELDS, 0, "description", value="d" * 513),
    "bad language": set_at(*FIELDS, 0, "displayName", value={"english": "x"}),
    "numeric enum value": set_at(*FIELDS, 2, "schema", "enumValues", 0, "enumValue", value=1),
    "same enum value twice": set_at(*FIELDS, 2, "schema", "enumValues", 0, "enumValue", value="singlePhase"),
    "enum of doubles": set_at(*FIELDS, 2, "schema", "valueSchema", value="double"),
    "component without target": set_at(0, "contents", 19, "schema", value="dtmi:remhart:smartgrid:Gone;2"),
    "component that is a component": set_at(
        1, "contents", 0, value={"@type": "Component", "name": "user", "schema": "dtmi:remhart:smartgrid:User;2"}
    ),
    "extends itself": set_at(3, "extends", value="dtmi:remhart:smartgrid:User;2"),
    "extends with a clash": lambda documents: documents.append(
        interface("A", extends="dtmi:remhart:smartgrid:User;2", contents=[prop("email", "string")])
    ),
    "duplicate": lambda documents: documents.append(copy.deepcopy(documents[3])),
    "schema of another interface": lambda documents: documents.append(
        interface("A", contents=[prop("a", "dtmi:remhart:smartgrid:GridComponent:alarm;2")])
    ),
    "too deep": lambda documents: documents.append(interface("A", contents=[prop("a", objects(6))])),
    "deep enough": lambda documents: documents.append(interface("A", contents=[prop("a", objects(5))])),
    "older version uses newer": lambda documents: documents.append(
        interface("A", context=V2, extends="dtmi:remhart:smartgrid:User;2")
    ),
    "older version is used": lambda documents: documents.extend(
        [interface("A", extends="dtmi:test:B;1"), interface("B", context=V2)]
    ),
    "two quantities": lambda documents: documents.append(
        interface(
            "A",
            context=QUANTITIES,
            contents=[{"@type": ["Property", "Power", "Voltage"], "name": "x", "schema": "double", "unit": "watt"}],
        )
    ),
    "array in version 2": lambda documents: documents.append(
        interface("A", context=V2, contents=[prop("a", {"@type": "Array", "elementSchema": "double"})])
    ),
    "minimum of one": lambda documents: documents.append(
        interface("A", contents=[{"@type": "Relationship", "name": "r", "minMultiplicity": 1}])
    ),
    "writable text": lambda documents: documents.append(interface("A", contents=[prop(writable="no")])),
    "keyword": lambda documents: documents.append(interface("A", contents=[{**prop(), "@foo": 1}])),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_judged_alike(ask, four, change):
    documents = copy.deepcopy(four)
    change(documents)

    official = ask(documents)
    ours = validate(documents)

    assert official["other"] == ""
    assert ours.valid is official["valid"]
    assert sorted({p.rule for p in ours.errors}) == official["rules"]
    assert sorted(missing.dtmi for missing in ours.unresolved) == sorted(official["undefined"])
