"""A graph file: what it becomes, and every problem of a bad one at once, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from remhart_adt.errors import GraphError
from remhart_adt.graph import check, load, load_text
from remhart_adt.graph.spec import COMPONENT_TYPES, RELATIONSHIPS
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER
from remhart_adt.resources import examples_dir

SMALL = """\
version: 1
components:
  - id: sub
    type: substation
    feedsTo: brk
  - id: brk
    type: circuit_breaker
    feedsTo: {to: load, id: cable-7}
  - id: load
    type: meter
    monitoredBy: [{point: mp, phases: AB}]
points:
  - id: mp
    gridStandard: {nominalVoltage: 230, nominalFrequency: 50}
    connectedTo: load
    managedBy: [ann]
users:
  - id: ann
    role: operator
    manages: mp
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(GraphError) as caught:
        load_text(text, name="g.yaml")
    return [str(problem) for problem in caught.value.problems]


def entry(text: str, kind: str = "components") -> str:
    return f"version: 1\n{kind}:\n{text}"


def test_the_small_graph() -> None:
    spec = load_text(SMALL)

    assert [(e.id, e.type, e.model) for e in spec.entities()] == [
        ("sub", "substation", DTMI_COMPONENT),
        ("brk", "circuit_breaker", DTMI_COMPONENT),
        ("load", "meter", DTMI_COMPONENT),
        ("mp", "point", DTMI_POINT),
        ("ann", "user", DTMI_USER),
    ]
    assert spec.components[1].properties == {
        "componentType": "circuit_breaker",
        "componentId": "brk",
        "switchState": "closed",
    }
    assert [(r.source, r.id, r.name, r.target, dict(r.properties)) for r in spec.relationships] == [
        ("sub", "feedsTo.brk", "feedsTo", "brk", {}),
        ("brk", "cable-7", "feedsTo", "load", {}),
        ("load", "monitoredBy.mp", "monitoredBy", "mp", {"phases": "AB"}),
        ("mp", "connectedTo.load", "connectedTo", "load", {}),
        ("mp", "managedBy.ann", "managedBy", "ann", {}),
        ("ann", "manages.mp", "manages", "mp", {}),
        ("brk", "fedBy.sub", "fedBy", "sub", {}),
        ("load", "fedBy.brk.cable-7", "fedBy", "brk", {}),
    ]


def test_a_document_of_a_program_gives_the_same_graph_as_its_text() -> None:
    from remhart_adt.graph.source import read_text

    assert load(read_text(SMALL).value) == load_text(SMALL)


def test_the_shipped_example_is_valid_and_wholly_fed() -> None:
    checked = check(examples_dir() / "feeder.yaml")

    assert checked.problems == ()
    assert checked.warnings == ()


def test_the_types_and_relationships_are_those_of_the_interfaces() -> None:
    from remhart_adt.graph.load import our_models

    models = our_models()
    component_type = models[DTMI_COMPONENT].contents["componentType"].schema
    assert component_type is not None
    assert {value.value for value in component_type.values} == set(COMPONENT_TYPES)
    declared = {
        (name, model, content.target)
        for model in (DTMI_COMPONENT, DTMI_POINT, DTMI_USER)
        for name, content in models[model].of_kind("Relationship").items()
    }
    assert {(kind.name, kind.source, kind.target) for kind in RELATIONSHIPS.values()} == declared


def test_all_problems_at_once_in_the_order_of_their_lines() -> None:
    text = """\
version: 2
components:
  - id: a
    type: substaton
    feedsTo: [b, nowhere]
  - id: a
    type: meter
    status: broken
  - id: b
    type: meter
    feedTo: c
  - id: c
    type: transmission_line
    feedsTo: d
  - id: d
    type: transmission_line
    feedsTo: c
"""
    assert [line.split(":")[1] for line in problems_of(text)] == ["1", "4", "5", "6", "8", "11", "12"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "g.yaml: a graph is a mapping"),
        ("- a\n", "g.yaml:1: a graph is a mapping"),
        ("components: []\n", "g.yaml:1: the version of the format is missing"),
        ("version: 7\n", "version 7 is not known"),
        ("version: true\n", "version True is not known"),
        ("version: 1\npoint: []\n", "g.yaml:2: point: point is no part of a graph; did you mean points?"),
        ("version: 1\ncomponents: {a: 1}\n", "g.yaml:2: components: this has to be a list"),
        (entry("  - nonsense\n"), "g.yaml:3: components[0]: an entry is a mapping with an id"),
        (entry("  - type: meter\n"), "g.yaml:3: components[0]: the id is missing"),
        (entry("  - {id: 17, type: meter}\n"), "write it in quotes: '17'"),
        (entry("  - {id: 'a b', type: meter}\n"), "'a b' cannot be an id"),
        (entry(f"  - {{id: {'x' * 129}, type: meter}}\n"), "cannot be an id"),
        (entry("  - id: a\n"), "g.yaml:3: a: the type is missing; it is one of transformer, substation"),
        (entry("  - id: a\n    type: mtr\n"), "g.yaml:4: a.type: there is no component type 'mtr'"),
        (entry("  - id: a\n    type: substaton\n"), "did you mean substation?"),
        (entry("  - id: a\n    type: meter\n    size: 3\n"), "g.yaml:5: a.size: GridComponent has no property"),
        (entry("  - id: a\n    type: meter\n    ratedcapacity: 3\n"), "did you mean ratedCapacity?"),
        (entry("  - id: a\n    type: meter\n    feedTo: b\n"), "did you mean feedsTo?"),
        (entry("  - id: a\n    type: meter\n    status: broken\n"), "operational, maintenance, fault, offline"),
        (entry("  - id: a\n    type: meter\n    ratedCapacity: big\n"), "a.ratedCapacity: this has to be double"),
        (entry("  - id: a\n    type: meter\n    ratedCapacity: 0\n"), "ratedCapacity has to be above 0, not 0"),
        (entry("  - id: a\n    type: meter\n    manufacturer:\n"), "a.manufacturer: no value; leave the key out"),
        (
            entry("  - id: a\n    type: meter\n    electrical:\n      r1: 1\n      q: 2\n"),
            "g.yaml:7: a.electrical.q: there is",
        ),
        (entry("  - id: a\n    type: meter\n    installationDate: 2012-13-14\n"), "a.installationDate: this has to be"),
        (
            entry("  - id: a\n    type: meter\n    energized: true\n"),
            "energized is state that the running system writes",
        ),
        (entry("  - id: a\n    type: meter\n    componentType: meter\n"), "write `type` instead of componentType"),
        (entry("  - id: a\n    type: meter\n    $dtId: b\n"), "write `id` instead of $dtId"),
        (entry(f"  - id: a\n    type: meter\n    manufacturer: {'x' * 4097}\n"), "4,097 bytes; the limit is 4,096"),
        (entry("  - id: a\n    type: meter\n    feedsTo: a\n"), "feedsTo cannot lead to the entry itself"),
        (entry("  - id: a\n    type: meter\n    feedsTo: b\n"), "feedsTo names b, which is nowhere in the file"),
        (entry("  - id: a\n    type: meter\n    feedsTo: 5\n"), "a relationship is the id of its target, or a mapping"),
        (entry("  - id: a\n    type: meter\n    feedsTo: {id: x}\n"), "the target is missing; write {to: <id>"),
        (entry("  - id: a\n    type: meter\n    fedBy: a\n"), "fedBy is the inverse of feedsTo"),
        (entry("  - id: a\n    type: meter\n    manages: a\n"), "manages is a relationship of users"),
        (entry("  - {id: p, type: meter}\n", "points"), "only components have a type"),
        (entry("  - id: p\n", "points"), "gridStandard.nominalVoltage is missing"),
        (entry("  - id: p\n    voltage: {phaseA: 1}\n", "points"), "voltage is state that the running system writes"),
        (entry("  - id: p\n    mlEngine: {}\n", "points"), "mlEngine is state that the running system writes"),
        (entry("  - id: u\n    role: boss\n", "users"), "this has to be one of admin, operator, analyst, viewer"),
    ],
)
def test_one_problem(text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems_of(text)), problems_of(text)


def test_a_duplicate_id_names_the_other_line_across_lists() -> None:
    text = "version: 1\ncomponents:\n  - id: x\n    type: meter\nusers:\n  - id: x\n"

    assert problems_of(text) == ["g.yaml:6: x.id: the id x is taken already in line 3."]


def test_a_target_of_the_wrong_kind() -> None:
    text = entry("  - id: a\n    type: meter\n    monitoredBy: b\n  - id: b\n    type: meter\n")

    assert problems_of(text) == ["g.yaml:5: a.monitoredBy: monitoredBy has to name one of the points; b is none."]


def test_two_equal_relationships_need_ids_of_their_own() -> None:
    twice = entry("  - id: a\n    type: meter\n    feedsTo: [b, b]\n  - id: b\n    type: meter\n")
    (problem,) = [p for p in problems_of(twice) if "feedsTo.b" in p]
    assert "give each an id of its own" in problem

    told_apart = twice.replace("[b, b]", "[b, {to: b, id: second}]")
    ids = {(r.source, r.id) for r in load_text(told_apart).relationships}
    assert ids == {("a", "feedsTo.b"), ("a", "second"), ("b", "fedBy.a"), ("b", "fedBy.a.second")}


@pytest.mark.parametrize("bad", ["loading: 3", "energized: true", "colour: red"])
def test_relationship_properties_are_checked(bad: str) -> None:
    text = entry(f"  - id: a\n    type: meter\n    feedsTo: {{to: b, {bad}}}\n  - id: b\n    type: meter\n")

    (problem,) = problems_of(text)
    assert f"a.feedsTo.{bad.split(':')[0]}" in problem


@pytest.mark.parametrize("phases", ["", "X", "BA", "AA", "abc"])
def test_phases(phases: str) -> None:
    (problem,) = problems_of(SMALL.replace("phases: AB", f"phases: '{phases}'"))

    assert "is no set of phases" in problem


RING = """\
version: 1
components:
  - {id: sub, type: substation, feedsTo: x}
  - {id: x, type: circuit_breaker, feedsTo: y%s}
  - {id: y, type: transmission_line, feedsTo: z}
  - {id: z, type: transmission_line, feedsTo: x}
"""


def test_a_ring_needs_an_open_switch() -> None:
    (problem,) = problems_of(RING % "")
    assert "g.yaml:4: x: feedsTo runs in a ring that no open switch breaks: x > y > z > x. Open a switch" in problem

    assert load_text(RING % ", switchState: open").relationships


def test_each_ring_is_named_once() -> None:
    second = "  - {id: p, type: meter, feedsTo: q}\n  - {id: q, type: meter, feedsTo: p}\n"

    assert [p.count("ring") for p in problems_of(RING % "" + second)] == [1, 1]


def test_a_component_without_a_source_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(entry("  - {id: a, type: meter}\n"))

    checked = check(file)

    assert checked.spec is not None
    assert [str(warning) for warning in checked.warnings] == [
        f"{file}:3: a: no source feeds this component, whatever is switched."
    ]


def test_a_twin_that_would_be_too_large() -> None:
    parameters = "\n".join(f"      k{i}: {'x' * 4000}" for i in range(9))
    text = entry(f"  - id: a\n    type: meter\n    manufacturer: {'x' * 4000}\n    electrical:\n{parameters}\n")

    assert any("more than 32768" in problem for problem in problems_of(text))


def test_a_text_error_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("version: 1\ncomponents: [\n  - id: a\n")

    with pytest.raises(GraphError) as caught:
        load(file)

    assert str(caught.value.problems[0]).startswith(f"{file}:3: ")
