"""From class to twin to class, for every kind of schema, the whole energy grid ontology and the published cases."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from documents import QUANTITIES, interface, objects, prop
from generated import VALUES, full_twin, imported, module_of, reformatted, sample

from remhart_adt.dtdl import ModelSet, check_relationship, check_twin, parse
from remhart_adt.errors import DtdlError
from remhart_adt.ontology.base import Part

V4 = "dtmi:dtdl:context;4"
SUITES = {"generated", "specification", "doc-examples"}
GEOMETRIES = ["point", "lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon"]
TREE = {
    "@id": "dtmi:test:Tree;1",
    "@type": "Object",
    "fields": [
        {"name": "value", "schema": "double"},
        {"name": "left", "schema": "dtmi:test:Tree;1"},
        {"name": "others", "schema": {"@type": "Array", "elementSchema": "dtmi:test:Forest;1"}},
    ],
}
FOREST = {
    "@id": "dtmi:test:Forest;1",
    "@type": "Object",
    "fields": [
        {"name": "trees", "schema": mapping} for mapping in [{"@type": "Array", "elementSchema": "dtmi:test:Tree;1"}]
    ],
}
NEST = {
    "@id": "dtmi:test:Nest;1",
    "@type": "Map",
    "mapKey": {"name": "key", "schema": "string"},
    "mapValue": {"name": "value", "schema": {"@type": "Array", "elementSchema": "dtmi:test:Nest;1"}},
}


def mapped(schema: Any) -> dict[str, Any]:
    return {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": schema}}


def enum(kind: str, *values: Any) -> dict[str, Any]:
    listed = [{"name": f"v{number}", "enumValue": value} for number, value in enumerate(values)]
    return {"@type": "Enum", "valueSchema": kind, "enumValues": listed}


def assert_round_trip(models: ModelSet, package: Any) -> None:
    """Every interface: an empty twin and a full one survive the way there and back, and the model accepts them."""
    assert {cls.MODEL for cls in package.INTERFACES} == set(models)
    for cls in package.INTERFACES:
        parts = [c for c in vars(module_of(package, cls)).values() if isinstance(c, type) and issubclass(c, Part)]
        assert [part for part in parts if not part.__pydantic_complete__] == []
    for cls in package.INTERFACES:
        for twin in (cls(), package.twin_from(full_twin(models, cls.MODEL), package.INTERFACES)):
            document = twin.to_twin()
            assert check_twin(models, document) == []
            assert cls.from_twin(document) == twin
            assert type(twin) is cls
            assert package.twin_from(json.loads(json.dumps(document)), package.INTERFACES) == twin
        full = full_twin(models, cls.MODEL)
        assert cls.from_twin(full).to_twin().keys() == full.keys()
        for parent in models.ancestors(cls.MODEL):
            with pytest.raises(DtdlError, match="twin_from"):
                next(c for c in package.INTERFACES if parent == c.MODEL).from_twin(full)
        relationships = models[cls.MODEL].of_kind("Relationship")
        assert {r.NAME for r in cls.RELATIONSHIPS} == set(relationships)
        for name, content in relationships.items():
            values = {p.name: sample(p.schema, lambda: 1) for p in content.properties.values() if p.schema}
            edge = {"$relationshipName": name, "$targetId": "t", "$sourceId": "s", "$relationshipId": "r", **values}
            read = package.relationship_from(edge, cls.RELATIONSHIPS)
            assert (read.TARGET or None) == content.target
            assert check_relationship(models, cls.MODEL, read.to_relationship()) == []
            assert type(read).from_relationship(read.to_relationship()) == read


def everything() -> ModelSet:
    """One interface of DTDL v4 with every schema there is."""
    contents = [
        *(prop(kind, kind) for kind in VALUES),
        *(prop(f"{kind}List", {"@type": "Array", "elementSchema": kind}) for kind in VALUES),
        *(prop(f"{kind}Map", mapped(mapped(kind))) for kind in VALUES),
        *(prop(kind, kind) for kind in GEOMETRIES),
        prop("scaledDecimal", "scaledDecimal"),
        prop("words", enum("string", "a", "q\"'\\", "")),
        prop("numbers", enum("integer", 1, -5, 0)),
        prop("nothing", enum("string")),
        prop("noNumber", enum("integer")),
        prop("empty", {"@type": "Object"}),
        prop("deep", objects(8)),
        prop("tree", "dtmi:test:Tree;1"),
        prop("nest", "dtmi:test:Nest;1"),
        prop("nests", {"@type": "Array", "elementSchema": "dtmi:test:Nest;1"}),
        {"@type": "Relationship", "name": "r", "properties": [prop("where", "point"), prop("t", mapped("uuid"))]},
        {"@type": "Component", "name": "c", "schema": "dtmi:test:Part;1"},
    ]
    part = interface("Part", context=V4, contents=[prop("uuid", "uuid"), prop("line", "lineString")])
    return parse(interface(context=V4, schemas=[TREE, FOREST, NEST], contents=contents), part)


def test_every_schema_makes_the_round_trip(tmp_path):
    models = everything()
    with imported(models, tmp_path) as package:
        assert_round_trip(models, package)
    assert reformatted(tmp_path) == ""


def test_schemas_that_lead_back_to_themselves_are_typed_all_the_way(tmp_path):
    with imported(everything(), tmp_path) as package:
        module = module_of(package, package.A)
        tree = module.Tree(value=1, others=[module.Forest(trees=[module.Tree(left=module.Tree(value=2))])])
        twin = package.A(tree=tree, nest={"a": [{"b": []}, {}]})

        assert twin.to_json()["tree"] == {"value": 1.0, "others": [{"trees": [{"left": {"value": 2.0}}]}]}
        model = {"$metadata": {"$model": package.A.MODEL}}
        for wrong in (
            {"tree": {"others": [{"trees": [{"left": {"value": "two"}}]}]}},
            {"tree": {"others": [{"bushes": []}]}},
            {"nest": {"a": [{"b": [1]}]}},
            {"nest": {"a": [{"$b": []}]}},
        ):
            with pytest.raises(DtdlError, match=next(iter(wrong))):
                package.A.from_twin({**model, **wrong})


def test_semantic_types_of_newer_extensions_do_not_get_in_the_way(tmp_path):
    context = [V4, "dtmi:dtdl:extension:quantitativeTypes;3", "dtmi:dtdl:extension:historization;2"]
    power = {"@type": ["Property", "Power", "Historized"], "name": "p", "schema": "decimal", "unit": "kilowatt"}
    models = parse(interface(context=context, contents=[power]), interface("B", context=QUANTITIES))
    with imported(models, tmp_path) as package:
        assert_round_trip(models, package)
        assert "# Unit: kilowatt (Power, Historized)." in (tmp_path / package.__name__ / "a.py").read_text()


@pytest.mark.shared
def test_the_energy_grid_makes_the_round_trip(shared_data, tmp_path):
    models = parse(shared_data / "ontologies" / "energygrid")
    assert len(models) == 113
    with imported(models, tmp_path) as package:
        assert_round_trip(models, package)
        for cls in package.INTERFACES:
            parents = {base.MODEL for base in cls.__mro__ if getattr(base, "MODEL", "")}
            assert parents == {cls.MODEL, *models.ancestors(cls.MODEL)}
    assert reformatted(tmp_path) == ""


@pytest.mark.shared
@pytest.mark.slow
def test_the_type_checker_accepts_what_is_generated_and_knows_its_types(shared_data, tmp_path):
    with imported(parse(shared_data / "ontologies" / "energygrid"), tmp_path) as package:
        name = package.__name__
    with imported(everything(), tmp_path) as package:
        other = package.__name__
    user = tmp_path / "user.py"
    user.write_text(
        f"from {name} import BaseVoltage, INTERFACES, twin_from\n"
        f"from {other}.a import A, Tree\n"
        "from decimal import Decimal\n"
        "volt = BaseVoltage(dt_id='x', nominal_voltage=1.0)\n"
        "reveal_type(volt.nominal_voltage)\n"
        "reveal_type(A(decimal=Decimal(1), tree=Tree(left=Tree())).c.line)\n"
        "reveal_type(twin_from({}, INTERFACES))\n"
        "BaseVoltage(nominal_voltage='high')\n"
    )
    options = ["--strict", "--no-incremental", "--python-version", "3.11"]
    command = [sys.executable, "-m", "mypy", *options, name, other, user.name]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(root / "src")}
    )
    argument, text = '"nominal_voltage" to "BaseVoltage"', '"str"; expected "float | None"'
    said = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert said == [
        'note: Revealed type is "float | None"',
        'note: Revealed type is "remhart_adt.ontology.geometry.LineString | None"',
        'note: Revealed type is "remhart_adt.ontology.base.InterfaceModel"',
        f"error: Argument {argument} has incompatible type {text}  [arg-type]",
        said[-1],
    ]


@pytest.mark.shared
@pytest.mark.slow
def test_the_published_cases_make_the_round_trip(shared_data, tmp_path):
    """Every eighth sound case of those that were written by hand, so that it stays a matter of seconds."""
    count = 0
    with gzip.open(shared_data / "dtdl" / "cases.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            if zlib.crc32(line.encode()) % 8:
                continue
            case = json.loads(line)
            if not case["valid"] or case["suite"] not in SUITES or case.get("resolution") or case.get("quirks"):
                continue
            given = case["input"] if isinstance(case["input"], list) else [case["input"]]
            try:
                models = parse(*(item if isinstance(item, str) else json.dumps(item) for item in given))
            except DtdlError:  # sound only under options of the official parser
                continue
            with imported(models, tmp_path) as package:
                assert_round_trip(models, package)
            count += 1
    assert count > 200
    assert reformatted(tmp_path) == ""
