"""Values against schemas: the published samples, schemas that contain themselves, and hostile input of every kind."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from documents import QUANTITIES, interface, prop
from hypothesis import given, settings
from hypothesis import strategies as st

from remhart_adt.dtdl import (
    EnumValue,
    Field,
    InstanceProblem,
    Schema,
    check_patch,
    check_relationship,
    check_relationship_patch,
    check_telemetry,
    check_twin,
    parse,
)
from remhart_adt.dtdl.checkers import compile_schema
from remhart_adt.limits import ADT_STRING_BYTES, JSON_DEPTH

THING = "dtmi:test:Thing;1"
MODELS = parse(
    interface(
        "Thing",
        context=QUANTITIES,
        contents=[
            prop("real", "double"),
            prop("whole", "integer"),
            prop("when", "dateTime"),
            prop("words", "string"),
            prop("spot", {"@type": "Object", "fields": [{"name": "x", "schema": "double"}]}),
            prop(
                "tags",
                {
                    "@type": "Map",
                    "mapKey": {"name": "k", "schema": "string"},
                    "mapValue": {"name": "v", "schema": {"@type": "Array", "elementSchema": "string"}},
                },
            ),
            {"@type": "Component", "name": "part", "schema": "dtmi:test:Part;1"},
            {"@type": "Telemetry", "name": "heat", "schema": "double"},
            {"@type": "Relationship", "name": "next", "properties": [prop("since", "date")]},
        ],
    ),
    interface("Part", contents=[prop("speed", "integer")]),
)


# --- the published samples --------------------------------------------------------------------------------------------


def samples(folder) -> Iterator[tuple[str, str, str, bool, list[Any]]]:
    """Case, subject, text, whether it conforms, and the schemas that the case declares."""
    with gzip.open(folder / "dtdl" / "cases.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            for sample in case.get("instances", []):
                if "conforms" in sample:
                    schemas = case["input"][0].get("schemas", [])
                    yield case["name"], sample["subject"], sample["submit"], sample["conforms"], schemas


def schema_of(source: Any, name: str = "") -> Schema:
    """A schema as the parser would build it, from its JSON; enough for the samples."""
    if isinstance(source, str):
        return Schema(source, source)
    kind, dtmi = source["@type"], source.get("@id", f"dtmi:test:{name};1")

    def inner(key: str) -> Field:
        return Field(key, schema_of(source[key]["schema"], f"{name}_{key}"))

    if kind == "Enum":
        values = tuple(EnumValue(value["name"], value["enumValue"]) for value in source["enumValues"])
        return Schema(kind, dtmi, values=values, value_schema=source["valueSchema"])
    if kind == "Array":
        return Schema(kind, dtmi, element=schema_of(source["elementSchema"], name + "_element"))
    if kind == "Map":
        return Schema(kind, dtmi, key_name=source["mapKey"]["name"], value=inner("mapValue"))
    fields = {f["name"]: Field(f["name"], schema_of(f["schema"], f"{name}_{f['name']}")) for f in source["fields"]}
    return Schema(kind, dtmi, fields=fields)


@pytest.mark.shared
def test_values_conform_to_schemas_as_the_public_parser_says_in_every_version(shared_data):
    wrong, terms, count = [], set(), 0
    for case, subject, text, conforms, schemas in samples(shared_data):
        try:
            value = json.loads(text)
        except ValueError:
            assert not conforms
            continue  # no JSON: refused before any schema is asked
        if subject.startswith("dtmi:dtdl:instance:Schema:"):
            term = subject.rsplit(":", 1)[-1].partition(";")[0]
            if text == "-0" and term.startswith("unsigned"):
                continue  # decoded JSON does not tell it from 0
            schema = Schema(term, term)
            terms.add(term)
        else:
            schema = schema_of(next(s for s in schemas if s["@id"] == subject))
        count += 1
        if (compile_schema(schema, {})(value) is None) is not conforms:
            wrong.append((case, text, conforms))
    assert wrong == []
    assert count > 900
    assert {"byte", "unsignedLong", "decimal", "bytes", "uuid", "integer", "duration"} <= terms


@pytest.mark.parametrize(
    ("term", "good", "bad"),
    [
        ("byte", [-128, 127], [128, -129, 1.0, True, "1"]),
        ("short", [-32768, 32767], [32768, -32769, 1.0, False]),
        ("unsignedByte", [0, 255], [-1, 256, 0.0]),
        ("unsignedShort", [0, 65535], [-1, 65536]),
        ("unsignedInteger", [0, 2**32 - 1], [-1, 2**32, True]),
        ("unsignedLong", [0, 2**64 - 1], [-1, 2**64, 10**400]),
        ("decimal", ["0", "-1.50", "+7", "3."], [1.5, "", ".5", "1e3", "00", "1,5", "٣"]),
        ("bytes", ["", "TQ==", "TWE=", "TWFu"], ["TQ", "TQ=", "T-==", "TWFu\n", b"TWFu", "A" * 4 * ADT_STRING_BYTES]),
        ("uuid", ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"], ["f81d4fae7dec11d0a76500a0c91e6bf6", "", 5]),
    ],
)
def test_the_primitives_of_version_4_take_their_values_and_no_others(term, good, bad):
    check = compile_schema(Schema(term, term), {})
    assert [value for value in good if check(value) is not None] == []
    assert [value for value in bad if check(value) is None] == []


# --- schemas that contain themselves ----------------------------------------------------------------------------------


def tree() -> Schema:
    """An Object with a value and a list of the same Object, as DTDL v4 allows."""
    fields: dict[str, Field] = {"value": Field("value", Schema("double", "double"))}
    schema = Schema("Object", "dtmi:test:Tree;1", fields=fields)
    fields["branches"] = Field("branches", Schema("Array", "dtmi:test:Trees;1", element=schema))
    return schema


def nested(levels: int, innermost: Any = 1.5) -> Any:
    value: Any = {"value": innermost}
    for _ in range(levels):
        value = {"branches": [value]}
    return value


def test_a_schema_that_contains_itself_checks_every_level_of_a_value():
    check = compile_schema(tree(), {})
    assert check(nested(0)) is None
    assert check(nested(10)) is None
    (fault,) = check(nested(2, "high")) or []
    assert (fault.kind, fault.path) == ("wrong_type", ("branches", "0", "branches", "0", "value"))
    (fault,) = check({"branches": [{"leaf": 1}, {"value": 2}]}) or []
    assert (fault.kind, fault.path) == ("unknown_field", ("branches", "0", "leaf"))


def test_a_value_that_is_nested_without_end_is_a_problem_and_no_recursion_error():
    check = compile_schema(tree(), {})
    for levels in (20, 100_000):
        (fault,) = check(nested(levels)) or []
        assert fault.kind == "too_deep"
    endless: dict[str, Any] = {}
    endless["branches"] = [endless]
    assert [fault.kind for fault in check(endless) or []] == ["too_deep"]


def test_a_schema_nested_deeper_than_any_parser_allows_still_has_a_check():
    schema = Schema("double", "double")
    for level in range(2000):
        schema = Schema("Array", f"dtmi:test:level{level};1", element=schema)
    check = compile_schema(schema, {})
    assert check([]) is None
    (fault,) = check([[[1]]]) or []
    assert (fault.kind, fault.path) == ("wrong_type", ("0", "0", "0"))
    value: Any = 1.5
    for _ in range(2000):
        value = [value]
    assert [fault.kind for fault in check(value) or []] == ["too_deep"]


# --- hostile input ----------------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(lambda: 10**5000),  # too long for a text, even in an error message
    st.floats(),
    st.text(st.characters(codec=None, categories=None), max_size=8),
    st.sampled_from(["\ud800", "$metadata", "part", "spot", "2024-01-01", "", "/", "~"]),
    st.binary(max_size=4),
)
KEYS = st.one_of(
    st.sampled_from(["real", "whole", "when", "words", "spot", "tags", "part", "x", "speed", "heat", "$metadata"]),
    st.sampled_from(["$model", "$dtId", "$relationshipName", "since", "op", "path", "value", "\udfff", "a/b~"]),
    st.text(max_size=4),
    st.integers(),
    st.builds(lambda: 10**5000),
    st.none(),
    st.tuples(st.integers()),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
PATHS = st.one_of(
    st.sampled_from(
        ["/real", "/spot/x", "/tags/a", "/tags/a/0", "/part", "/part/speed", "/$metadata/$model", "/since"]
    ),
    st.sampled_from(["", "/", "//", "/tags/$", "/tags/\ud800", "/part/$metadata/speed/sourceTime", "/real" * 5000]),
    st.text(max_size=10),
    VALUES,
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "replace", "remove", "test"]) | VALUES, "path": PATHS},
        optional={"value": VALUES},
    ),
    VALUES,
)


def all_problems(anything: Any, twin: Any, patch: Any) -> list[InstanceProblem]:
    return [
        *check_twin(MODELS, anything),
        *check_twin(MODELS, twin),
        *check_patch(MODELS, THING, anything),
        *check_patch(MODELS, THING, patch),
        *check_patch(MODELS, THING, patch, anything),
        *check_patch(MODELS, THING, patch, twin),
        *check_relationship(MODELS, THING, anything),
        *check_relationship(MODELS, THING, {**twin, "$relationshipName": "next"}),
        *check_relationship_patch(MODELS, THING, "next", patch, anything),
        *check_telemetry(MODELS, THING, anything),
        *check_telemetry(MODELS, THING, twin, "part"),
    ]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(anything=VALUES, members=st.dictionaries(KEYS, VALUES, max_size=4), patch=st.lists(OPERATIONS, max_size=4))
def test_whatever_comes_ends_in_problems_that_can_be_written_down(anything, members, patch):
    twin = {**members, "$metadata": {"$model": THING}}
    for problem in all_problems(anything, twin, patch):
        assert problem.message
        assert problem.remedy
        assert problem.kind == problem.rule
        for text in (str(problem), problem.path, problem.name, problem.owner, problem.element):
            text.encode()


# A number of 5000 digits has no text in Python either, so the tests' names cannot show it.
HUGE = pytest.param(10**5000, id="huge")
NO_JSON = [math.nan, math.inf, HUGE, "\ud800", b"x", {1, 2}, object(), {3: 4}, {None: 1}]


@pytest.mark.parametrize("value", NO_JSON)
@pytest.mark.parametrize("name", ["real", "whole", "when", "words", "spot", "tags"])
def test_what_is_no_json_is_refused_for_every_schema(name, value):
    twin = {"$metadata": {"$model": THING}, "part": {"$metadata": {}}, name: value}
    assert check_twin(MODELS, twin)
    assert check_patch(MODELS, THING, [{"op": "add", "path": f"/{name}", "value": value}])


@pytest.mark.parametrize("twin", [None, 5, "twin", [], [("$metadata", {"$model": THING})]])
def test_a_twin_that_is_no_object_is_refused(twin):
    (problem,) = check_twin(MODELS, twin)
    assert (problem.kind, problem.path) == ("wrong_type", "")


@pytest.mark.parametrize("patch", [None, 5, "add", b"[]", {"op": "remove", "path": "/real"}])
def test_a_patch_that_is_no_list_is_refused(patch):
    (problem,) = check_patch(MODELS, THING, patch)
    assert (problem.kind, problem.expected) == ("wrong_type", "array")
    assert [one.kind for one in check_relationship_patch(MODELS, THING, "next", patch)] == ["wrong_type"]


def test_deep_values_and_paths_where_the_model_is_flat():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for name in ("real", "spot", "tags"):
        assert check_patch(MODELS, THING, [{"op": "add", "path": f"/{name}", "value": deep}])
    assert check_twin(MODELS, {"$metadata": {"$model": THING, "x": deep}, "part": {"$metadata": {"y": deep}}}) == []
    (problem,) = check_patch(MODELS, THING, [{"op": "add", "path": "/tags/a" + "/b" * JSON_DEPTH, "value": 1}])
    assert problem.kind == "too_deep"
    for path in ("/nonsense" * 5000, "/real" * 5000):
        (problem,) = check_patch(MODELS, THING, [{"op": "add", "path": path, "value": 1}])
        assert problem.path == path
        assert len(str(problem)) < 1000


def test_tens_of_thousands_of_faults_are_found_in_a_moment():
    patch = [{"op": "add", "path": "/tags", "value": {"a": [1] * 30_000}}]
    assert len(check_patch(MODELS, THING, patch)) == 30_000
    replaces = [{"op": "replace", "path": f"/tags/k{n}", "value": []} for n in range(10_000)]
    assert len(check_patch(MODELS, THING, replaces)) == 10_000
