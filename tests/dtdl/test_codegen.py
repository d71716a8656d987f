"""Generated classes: committed and fresh; what a class holds of its interface; the files that are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from documents import QUANTITIES, interface, prop
from generated import imported, module_of, reformatted
from pydantic import ValidationError

from remhart_adt.dtdl import ModelSet, parse
from remhart_adt.dtdl.codegen import generate, write
from remhart_adt.dtdl.naming import camel, snake
from remhart_adt.errors import DtdlError
from remhart_adt.resources import dtdl_dir

ROOT = Path(__file__).resolve().parents[2]
ONTOLOGY = ROOT / "src" / "remhart_adt" / "ontology"
LEVELS = [{"name": "low", "enumValue": 1}, {"name": "high", "enumValue": 2}]
LEVEL = {"@type": "Enum", "displayName": "Level", "valueSchema": "integer", "enumValues": LEVELS}


def thing(**members: object) -> dict[str, object]:
    return {"@type": "Object", "displayName": "Thing", **members}


def test_the_committed_twins_are_what_the_interfaces_give():
    expected = generate(parse(dtdl_dir()), package="remhart_adt.ontology")
    written_by_hand = {"base.py", "geometry.py", "part.py", "primitives.py"}
    assert {path.name for path in ONTOLOGY.glob("*.py")} == expected.keys() | written_by_hand
    for name, source in expected.items():
        assert (ONTOLOGY / name).read_text() == source, f"{name} is stale: run scripts/codegen"


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


def test_a_name_that_does_not_survive_gets_its_dtdl_name_and_odd_kinds_work(tmp_path):
    models = parse(
        interface(
            contents=[
                prop("URLValue", "string"),
                prop("level", LEVEL),
                prop("list", {"@type": "Array", "elementSchema": "double"}),
                prop("etag", "string"),
                prop("phase_a"),
            ]
        )
    )
    document = {"URLValue": "u", "level": 2, "list": [1.5], "etag": "e", "phase_a": 2.5}
    model = {"$metadata": {"$model": "dtmi:test:A;1"}}
    with imported(models, tmp_path) as package:
        twin = package.A.from_twin({**model, "$etag": "1", **document})

        assert (twin.url_value, twin.level, twin.list_, twin.etag, twin.etag_) == ("u", 2, [1.5], "1", "e")
        assert twin.level is module_of(package, package.A).Level.HIGH
        assert twin.to_twin() == {**document, **model}
        for wrong in ({"phaseA": 1.0}, {"level": True}, {"level": 1.0}, {"level": "1"}, {"level": 3}):
            with pytest.raises(DtdlError, match=next(iter(wrong))):
                package.A.from_twin({**model, **wrong})
        with pytest.raises(ValidationError, match="URLValue"):
            package.A(URLValue="python has python's names")


def test_a_child_is_a_subclass_and_writes_only_what_it_adds(tmp_path):
    models = parse(
        interface("Child", extends="dtmi:test:Parent;1", contents=[prop("own")]),
        interface("Parent", extends=["dtmi:test:Grand;1"], contents=[prop("inherited", thing(fields=[]))]),
        interface("Grand", contents=[prop("old"), {"@type": "Relationship", "name": "near"}]),
    )
    assert "inherited" not in generate(models)["child.py"]
    with imported(models, tmp_path) as package:
        assert package.Child.__mro__[:3] == (package.Child, package.Parent, package.Grand)
        child = package.Child(own=1, inherited=module_of(package, package.Parent).Thing(), old=2)

        assert package.Child.from_twin(child.to_twin()) == child
        assert child.to_twin()["$metadata"] == {"$model": "dtmi:test:Child;1"}
        assert [r.NAME for r in package.Child.RELATIONSHIPS] == ["near"]


def family(*edges: str) -> ModelSet:
    """Interfaces as `A: B C`, each with one property and the parents named after the colon."""
    documents = []
    for edge in edges:
        name, _, parents = edge.partition(":")
        extends = [f"dtmi:test:{parent};1" for parent in parents.split()]
        documents.append(interface(name, contents=[prop(f"of{name}")], **({"extends": extends} if extends else {})))
    return parse(*documents)


@pytest.mark.parametrize(
    ("edges", "bases", "ofs"),
    [
        (("D: B C", "B: A", "C: A", "A"), ["B", "C"], "ABCD"),  # a diamond
        (("D: A B", "B: A", "A"), ["B"], "ABD"),  # a parent beside the parent's parent
        (("D: B A C", "B: A", "C: A", "A"), ["B", "C"], "ABCD"),
        (("D: X Y", "X: A B", "Y: B A", "A", "B"), ["X"], "ABDXY"),  # no order: Y is written again
        (("E: D", "D: X Y", "X: A B", "Y: B A", "A", "B"), ["D"], "ABDEXY"),
        (("E: D Y", "D: X Y", "X: A B", "Y: B A", "A", "B"), ["D"], "ABDEXY"),
    ],
)
def test_several_parents_are_bases_as_far_as_python_allows(tmp_path, edges, bases, ofs):
    models = family(*edges)
    name = edges[0][0]
    with imported(models, tmp_path) as package:
        cls = getattr(package, name)
        values = {f"of{letter}": 1.0 for letter in ofs}

        assert [base.__name__ for base in cls.__bases__] == bases
        assert cls.from_twin({**values, "$metadata": {"$model": f"dtmi:test:{name};1"}}).to_json() == values
        assert reformatted(tmp_path) == ""


def test_a_parent_that_is_no_base_class_is_explained():
    source = generate(family("D: X Y", "X: A B", "Y: B A", "A", "B"))["d.py"]
    assert "# No subclass of Y, whose contents are repeated: Python finds no order for these base classes." in source


def test_parents_whose_attributes_collide_are_told_apart(tmp_path):
    models = parse(
        interface("One", contents=[prop("phaseA"), {"@type": "Telemetry", "name": "say", "schema": "double"}]),
        interface("Two", contents=[prop("phase_a"), {"@type": "Telemetry", "name": "SAY", "schema": "double"}]),
        interface("Both", extends=["dtmi:test:One;1", "dtmi:test:Two;1"]),
        interface("Sub", extends="dtmi:test:One;1", contents=[prop("phase_a"), prop("phase_a_2"), prop("PhaseA")]),
    )
    assert "the attribute phase_a would mean two properties" in generate(models)["both.py"]
    with imported(models, tmp_path) as package:
        both = {"phaseA": 1.0, "phase_a": 2.0}
        twin = package.Both.from_twin({**both, "$metadata": {"$model": "dtmi:test:Both;1"}})
        assert (twin.phase_a, twin.phase_a_2, twin.to_json()) == (1.0, 2.0, both)
        message = module_of(package, package.Both).BothTelemetry.from_json({"say": 1.0, "SAY": 2.0})
        assert (message.say, message.say_2, message.to_json()) == (1.0, 2.0, {"say": 1.0, "SAY": 2.0})

        four = {"phaseA": 1.0, "phase_a": 2.0, "phase_a_2": 3.0, "PhaseA": 4.0}
        twin = package.Sub.from_twin({**four, "$metadata": {"$model": "dtmi:test:Sub;1"}})
        assert twin.to_json() == four


def test_parents_whose_telemetry_collides_are_told_apart(tmp_path):
    models = parse(
        interface("One", contents=[{"@type": "Telemetry", "name": "say", "schema": "double"}]),
        interface("Two", contents=[{"@type": "Telemetry", "name": "SAY", "schema": "string"}]),
        interface("Both", extends=["dtmi:test:One;1", "dtmi:test:Two;1"]),
    )
    with imported(models, tmp_path) as package:
        said = {"say": 1.0, "SAY": "x"}
        assert module_of(package, package.Both).BothTelemetry.from_json(said).to_json() == said


def test_components_and_relationships_of_all_parents_are_listed(tmp_path):
    def parent(name: str) -> dict[str, object]:
        contents = [
            {"@type": "Component", "name": f"part{name}", "schema": "dtmi:test:Part;1"},
            {"@type": "Relationship", "name": f"to{name}"},
        ]
        return interface(name, contents=contents)

    both = interface("Both", extends=["dtmi:test:One;1", "dtmi:test:Two;1"])
    models = parse(parent("One"), parent("Two"), both, interface("Part", contents=[prop("x")]))
    with imported(models, tmp_path) as package:
        assert set(package.Both.COMPONENTS) == {"partOne", "partTwo"}
        assert [r.NAME for r in package.Both.RELATIONSHIPS] == ["toOne", "toTwo"]
        twin = package.Both(part_two=package.PartTwin(x=1))
        assert package.Both.from_twin(twin.to_twin()) == twin


def test_components_are_there_and_typed(tmp_path):
    models = parse(
        interface("House", contents=[{"@type": "Component", "name": "HEATING", "schema": "dtmi:test:Heating;1"}]),
        interface(
            "Villa",
            extends="dtmi:test:House;1",
            contents=[{"@type": "Component", "name": "pool", "schema": "dtmi:test:Heating;1"}],
        ),
        interface("Heating", extends="dtmi:test:Device;1"),
        interface("Device", contents=[prop("speed")]),
    )
    with imported(models, tmp_path) as package:
        villa = package.Villa(heating=package.Heating(speed=1))
        empty = {"$metadata": {}}

        assert villa.to_twin() == {
            "HEATING": {**empty, "speed": 1.0},
            "pool": empty,
            "$metadata": {"$model": "dtmi:test:Villa;1"},
        }
        assert package.Villa.from_twin(villa.to_twin()) == villa
        assert package.House().heating == package.Heating()
        assert package.House(heating=package.Heating(speed=2)).heating.to_component() == {**empty, "speed": 2.0}


def test_what_a_sound_set_cannot_be_is_refused():
    sound = parse(interface(contents=[{"@type": "Component", "name": "b", "schema": "dtmi:test:B;1"}]), interface("B"))
    [a, b] = sound.values()
    circle = ModelSet({a.id: a, b.id: type(b)(**{**{f: getattr(b, f) for f in b.__slots__}, "extends": (a.id,)})})
    with pytest.raises(DtdlError, match="contain each other"):
        generate(circle)
    with pytest.raises(DtdlError, match="not in this model set"):
        generate(sound, ["dtmi:test:C;1"])


def test_schemas_of_one_name_are_one_class_only_if_they_say_the_same(tmp_path):
    x, y = [{"name": "x", "schema": "double"}], [{"name": "y", "schema": "double"}]
    models = parse(
        interface(
            contents=[
                prop("a", thing(fields=x)),
                prop("b", thing(fields=x)),
                prop("c", thing(fields=y)),
                prop("d", thing(fields=x, description="Another word.")),
                prop("thing", thing(fields=[*x, *y])),
                prop("e", {**LEVEL, "displayName": "Thing"}),
            ]
        )
    )
    with imported(models, tmp_path) as package:
        module = module_of(package, package.A)
        types = {
            name: field.annotation.__args__[0] for name, field in package.A.model_fields.items() if name in "abcde"
        }

        assert types["a"] is types["b"] is module.Thing
        assert [cls.__name__ for cls in types.values()] == ["Thing", "Thing", "CThing", "DThing", "EThing"]
        assert package.A.model_fields["thing"].annotation.__args__[0] is module.AThing


def test_telemetry_is_a_message_commands_are_told_and_units_are_in_the_docstring(tmp_path):
    power = prop("activePower", unit="watt", description="Power now") | {"@type": ["Property", "Power"]}
    models = parse(
        interface(
            context=QUANTITIES,
            description="A meter.",
            contents=[
                power,
                {"@type": ["Telemetry", "Voltage"], "name": "volts", "schema": "double", "unit": "volt"},
                {"@type": "Command", "name": "reset"},
            ],
        ),
        interface(
            "Sub", extends="dtmi:test:A;1", contents=[{"@type": "Telemetry", "name": "more", "schema": "string"}]
        ),
    )
    assert "active_power: Real | None = None  # Power now. Unit: watt (Power).\n" in generate(models)["a.py"]
    with imported(models, tmp_path) as package:
        assert package.A.__doc__.split("\n\n    ") == [
            "A meter.",
            "Units: active_power in watt.",
            "Commands, for which there is no class: reset.\n    ",
        ]
        telemetry = module_of(package, package.Sub).SubTelemetry
        assert telemetry(volts=1, more="x").to_json() == {"volts": 1.0, "more": "x"}
        assert "volts in volt" in module_of(package, package.A).ATelemetry.__doc__


def test_a_shared_schema_has_a_class_even_if_nothing_uses_it(tmp_path):
    shared = {"@id": "dtmi:test:Address;1", "@type": "Object", "fields": [{"name": "city", "schema": "string"}]}
    models = parse(interface(schemas=[shared], contents=[prop("place", "dtmi:test:Address;1")]), interface("B"))
    with imported(models, tmp_path) as package:
        address = module_of(package, package.A).Address
        assert package.A(place=address(city="x")).to_json() == {"place": {"city": "x"}}
    unused = parse(interface(schemas=[shared]))
    assert "class Address(Part):" in generate(unused)["a.py"]


def test_chosen_interfaces_bring_what_they_need():
    models = parse(
        interface(extends="dtmi:test:B;1", contents=[{"@type": "Component", "name": "c", "schema": "dtmi:test:C;1"}]),
        *(interface(name) for name in "BCD"),
    )
    assert list(generate(models, ["dtmi:test:A;1"])) == ["__init__.py", "a.py", "b.py", "c.py"]


def test_modules_import_each_other_by_the_packages_name_or_relatively():
    models = parse(interface(extends="dtmi:test:B;1"), interface("B"))
    assert "\nfrom .b import B\n" in generate(models)["a.py"]
    assert "\nfrom acme.twins.b import B\n" in generate(models, package="acme.twins")["a.py"]
    assert "\nfrom acme.base import InterfaceModel\n" in generate(models, base="acme.base")["b.py"]


def test_writing_tells_what_changed_and_removes_only_what_was_generated(tmp_path):
    first = parse(interface(), interface("B"))
    folder = tmp_path / "deep" / "twins"
    written = write(first, folder)
    assert sorted(path.name for path in written) == ["__init__.py", "a.py", "b.py"]
    assert write(first, folder) == []

    (folder / "mine.py").write_text('"""Not generated."""\n')
    (folder / "a.py").write_bytes(b"broken \xff")
    second = parse(interface())
    assert [path.name for path in write(second, folder, check=True)] == ["__init__.py", "a.py", "b.py"]
    assert (folder / "b.py").exists()
    assert [path.name for path in write(second, folder)] == ["__init__.py", "a.py", "b.py"]
    assert sorted(path.name for path in folder.iterdir()) == ["__init__.py", "a.py", "mine.py"]
    assert write(second, folder, check=True) == []


def test_generating_needs_no_pydantic():
    code = "import sys, remhart_adt.dtdl.codegen; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_text_does_not_depend_on_the_order_of_the_sources():
    documents = [
        interface(contents=[prop("x")]),
        interface("B", extends="dtmi:test:A;1"),
        *({**interface(), "@id": f"dtmi:{path}:A;{version}"} for path in ("x:y", "z:y", "x") for version in (1, 2)),
    ]
    assert generate(parse(*documents)) == generate(parse(*reversed(documents)))
