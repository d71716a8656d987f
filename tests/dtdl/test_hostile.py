"""Input made to hurt ends in a problem, soon and without blowing the stack."""

from __future__ import annotations

import json

import pytest
from documents import interface, objects, prop, text

from remhart_adt.dtdl import validate
from remhart_adt.dtdl.reading.elements import MAX_PROBLEMS
from remhart_adt.dtdl.reading.reader import locate, pointer, read_json


@pytest.mark.parametrize(
    "source",
    [
        "",
        "   ",
        "null",
        "5",
        '"text"',
        "{",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        "[NaN]",
        "[Infinity]",
        "[1" + "0" * 10_000 + "]",
        '"\\' * 50_000,
        "// comment\n{}",
        text(interface())[:-1] + ",]",
    ],
)
def test_text_that_cannot_be_dtdl_is_a_problem_not_a_crash(source):
    assert not validate(source).valid


def test_schemas_nested_by_the_thousand_are_refused_without_recursion():
    (problem,) = validate(interface(contents=[prop(schema=objects(3000))])).errors
    assert problem.rule == "nestedTooDeep"


def test_problems_are_capped_and_the_cap_says_so():
    names = [prop(f"p{n}_") for n in range(2 * MAX_PROBLEMS)]
    report = validate(text(interface(contents=names)))
    assert len(report.errors) == MAX_PROBLEMS + 1
    assert "tooManyProblems" in {p.rule for p in report.errors}


def test_ten_thousand_interfaces_in_one_chain_are_too_deep_but_no_crash():
    chain = [interface(f"N{n}", extends=f"dtmi:test:N{n + 1};1") for n in range(10_000)]
    report = validate([*chain, interface("N10000")])
    assert "excessiveDepthNarrow" in {p.rule for p in report.errors}


def test_the_same_interface_thousands_of_times_is_found_in_linear_time():
    report = validate(text(*[interface()] * 5000))
    assert {"duplicateDefinition", "tooManyProblems"} == {p.rule for p in report.errors}


def test_long_values_are_cut_in_messages():
    (problem, *_) = validate(interface(**{"x" * 100_000: 1})).errors
    assert len(problem.message) < 1000


def test_a_non_finite_number_in_decoded_json_is_a_problem():
    values = [{"name": "a", "enumValue": float("inf")}]
    report = validate(
        interface(contents=[prop(schema={"@type": "Enum", "valueSchema": "integer", "enumValues": values})])
    )
    assert {p.rule for p in report.errors} == {"nonConformantDatatype"}


def test_places_are_found_behind_escapes_repeated_keys_and_nesting():
    source = '{"a\\"b": [1, {"c": "}", "c": true}],\n "d": {}}'
    paths = [(), ('a"b', 1, "c"), ("d",), ("d", "gone"), ('a"b', 0)]

    found = locate(source, paths)

    lines = source.split("\n")
    assert lines[0][found['a"b', 1, "c"][1] - 1 :].startswith("true")
    assert lines[0][found['a"b', 0][1] - 1] == "1"
    assert found["d",] == found["d", "gone"] == (2, 7)
    assert found[()] == (1, 1)
    assert pointer(("a/b", "c~d", 0)) == "/a~1b/c~0d/0"


def test_every_place_in_a_document_can_be_found():
    """Each scalar of a formatted document is where `locate` says it is."""
    source = json.dumps(interface(contents=[prop(schema=objects(3)), prop("q", "string")]), indent=1)
    value, _ = read_json(source)
    scalars = {}
    stack = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            stack += [((*path, k), v) for k, v in item.items()]
        elif isinstance(item, list):
            stack += [((*path, n), v) for n, v in enumerate(item)]
        else:
            scalars[path] = item
    lines = source.split("\n")
    for path, (line, column) in locate(source, scalars).items():
        if path in scalars:
            assert lines[line - 1][column - 1 :].startswith(json.dumps(scalars[path]))


@pytest.mark.parametrize(("outer", "inner"), [(2, 3), (2, 4), (3, 2), (4, 2)])
@pytest.mark.parametrize("key", ["request", "response"])
def test_a_payload_under_another_version_has_no_class_to_be_inferred(outer, inner, key):
    payload = {"@context": [f"dtmi:dtdl:context;{inner}"], "name": "n", "schema": "double"}
    command = {"@type": "Command", "name": "k", key: payload}
    report = validate(interface(context=f"dtmi:dtdl:context;{outer}", contents=[command]))
    assert {p.rule for p in report.errors} == {"disallowedVersionDefinition", "badType"}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_name_that_is_a_number_of_any_size_is_no_name(sign):
    assert "badType" in {p.rule for p in validate(interface(contents=[{"name": sign * 10**400}])).errors}


@pytest.mark.parametrize("dtmi", ["", " ", "x" * 10_000, 5])
def test_decoded_json_with_a_useless_id_still_has_a_name(dtmi):
    assert {p.file for p in validate({**interface(), "@id": dtmi}).problems} == {"source 1"}
