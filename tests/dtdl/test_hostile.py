"""Input made to hurt ends in a problem, soon and without blowing the stack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import interface, objects, prop, text

from remhart_adt.dtdl import Options, Problem, Report, validate
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


# What follows is hostile by its size. The sizes are those of an attack; none of them may take more than seconds.

LARGE = Options(max_bytes=100_000_000)
COMMAND = {"@type": "Command", "name": "c"}


def only(report: Report) -> Problem:
    """The one problem of a report, which says where it is and what to do."""
    (problem,) = report.problems
    assert problem.message
    assert problem.remedy
    assert problem.line >= 1
    assert problem.column >= 1
    return problem


def nested(depth: int, inner: Any = None, key: str | None = None) -> Any:
    """Decoded JSON as deep as no reader would give it: arrays, or objects with one key."""
    value = inner
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    return value


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"contents":'])
def test_nesting_is_refused_where_it_becomes_too_deep(opening):
    deep = opening * 100_000
    problem = only(validate(deep))

    assert problem.rule == "nestedTooDeep"
    assert "512" in problem.message
    at = problem.column - 1
    assert deep[at] in "{["
    assert deep[:at].count("{") + deep[:at].count("[") == 512


def test_the_deepest_nesting_allowed_is_read_and_one_more_level_is_not():
    def levels(count: int) -> str:
        return '{"a":' + "[" * (count - 1) + "]" * (count - 1) + "}"

    assert "nestedTooDeep" not in {p.rule for p in validate(levels(512)).problems}
    assert only(validate(levels(513))).rule == "nestedTooDeep"
    assert only(validate(levels(7), options=Options(max_depth=6))).rule == "nestedTooDeep"
    assert "nestedTooDeep" not in {p.rule for p in validate('{"a":"' + "[" * 100_000 + '"}').problems}


DEEP = {
    "arrays": lambda: nested(100_000),
    "objects": lambda: nested(10_000, key="a"),
    "schema": lambda: interface(contents=[prop(schema=nested(10_000, "double", "elementSchema"))]),
    "displayName": lambda: interface(displayName=nested(10_000, key="en")),
    "unknown": lambda: interface(unknown=nested(10_000)),
    "@id": lambda: {**interface(), "@id": nested(10_000)},
    "@type": lambda: {**interface(), "@type": nested(10_000, key="@type")},
    "@context": lambda: {**interface(), "@context": nested(10_000)},
    "@graph": lambda: {**interface(), "@graph": nested(10_000, key="@graph")},
}


@pytest.mark.parametrize("where", DEEP)
def test_decoded_json_is_refused_just_as_text_when_it_is_too_deep(where):
    report = validate(DEEP[where]())

    assert {p.rule for p in report.errors} == {"nestedTooDeep"}
    assert all(p.remedy and p.file for p in report.errors)


@pytest.mark.parametrize(
    ("member", "rule"),
    [
        ('"@id": "dtmi:test:A;1"', "repeatedIdProperty"),
        ('"@type": "Interface"', "repeatedTypeProperty"),
        ('"@context": "dtmi:dtdl:context;3"', "repeatedContextProperty"),
        ('"@none": 1, "@none": 2', "repeatedKeyword"),
        ('"comment": "b"', "duplicatePropertyName"),
    ],
)
@pytest.mark.parametrize("times", [1, 50_000])
def test_a_key_that_stands_twice_is_found_however_often_it_does(member, rule, times):
    given = json.dumps(interface(comment="a")).rstrip("}") + f", {member}" * times + "}"

    assert rule in {p.rule for p in validate(given).errors}


@pytest.mark.parametrize("value", [r"\ud800", r"\udc00\ud800", r"x\ud83d", chr(0xD800), chr(0xDFFF)])
@pytest.mark.parametrize("key", ["comment", "@id", "name", "\ud800"])
def test_half_of_a_surrogate_pair_is_no_text(key, value):
    given = '{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a;1", "@type": "Interface",\n "KEY": "VALUE"}'
    problem = only(validate(given.replace("KEY", key).replace("VALUE", value)))

    assert problem.rule == "invalidJson"
    assert problem.line == 2


def test_a_whole_surrogate_pair_is_a_character():
    given = json.dumps(interface(comment="🙂" * 256))

    assert r"\ud83d\ude42" in given
    assert validate(given).valid
    assert not validate(json.dumps(interface(comment="🙂" * 257))).valid


def test_a_byte_order_mark_is_skipped_once_and_only_in_front(tmp_path):
    sound = json.dumps(interface())
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" + sound.encode())

    assert validate(file).valid
    assert validate("\ufeff" + sound).valid
    assert only(validate("\ufeff\ufeff" + sound)).rule == "invalidJson"
    assert only(validate(sound + "\ufeff")).rule == "invalidJson"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_said_to_be_unreadable(tmp_path, encoding):
    file = tmp_path / "a.json"
    file.write_bytes(json.dumps(interface(comment="größer"), ensure_ascii=False).encode(encoding))
    (problem,) = validate(file).problems

    assert problem.rule == "unreadable"
    assert problem.file == str(file)
    assert problem.remedy


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e", "01", "+1", ".5", "0x10"])
def test_what_is_no_number_of_json_is_refused(number):
    assert only(validate(f'{{"@context": "dtmi:dtdl:context;3", "a": {number}}}')).rule == "invalidJson"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400), 1e308, -0.0])
@pytest.mark.parametrize("key", ["name", "displayName", "maxMultiplicity", "schema", "@id", "@type", "writable"])
def test_a_number_that_fits_nowhere_is_a_problem_wherever_it_stands(key, number):
    given = interface(contents=[{"@type": "Relationship", "name": "r", key: number}])

    assert not validate(given).valid
    assert not validate(json.dumps(given)).valid


def test_a_string_of_10_mb_is_refused_or_judged_where_so_much_is_allowed():
    given = json.dumps(interface(comment="x" * 10_000_000))
    refused = only(validate(given))
    judged = validate(given, options=LARGE)

    assert refused.rule == "sourceTooLarge"
    assert str(8 * 1024 * 1024) in refused.message
    assert "stringTooLong" in {p.rule for p in judged.errors}
    assert max(len(p.message) for p in judged.problems) < 1000


@pytest.mark.parametrize("key", ["@id", "@type", "@context", "extends", "x" * 10_000_000])
def test_no_message_repeats_10_mb(key):
    report = validate(json.dumps({**interface(), key: "y" * 10_000_000}), options=LARGE)

    assert not report.valid
    assert max(len(str(p)) for p in report.problems) < 2000


def test_a_hundred_thousand_references_that_nothing_defines_are_all_found():
    """Spread over many interfaces, since one of them may not be so large."""
    interfaces = [
        interface(f"A{n}", extends=[f"dtmi:test:S{n}:B{k};1" if n % 2 else f"dtmi:test:C{k};1" for k in range(1000)])
        for n in range(100)
    ]
    report = validate(json.dumps(interfaces))

    assert report.problems == ()
    assert len(report.unresolved) == 50 * 1000 + 1000
    assert sum(len(missing.places) for missing in report.unresolved) == 100_000
    assert all(place.line == 1 and place.column > 1 for missing in report.unresolved for place in missing.places)


def test_a_resolver_that_never_comes_to_an_end_is_left_alone():
    def resolver(dtmis):
        (dtmi,) = dtmis
        number = int(dtmi.removeprefix("dtmi:test:N").removesuffix(";1"))
        return [interface(f"N{number}", extends=f"dtmi:test:N{number + 1};1")]

    assert not validate(interface(extends="dtmi:test:N0;1"), resolver=resolver).valid


MEASURED = """
import re, sys, time
from pathlib import Path
from remhart_adt.dtdl import parse, validate
from remhart_adt.errors import DtdlError
begun = time.perf_counter()
report = validate(Path(sys.argv[1]))
seconds = time.perf_counter() - begun
try:
    parse(Path(sys.argv[1]))
except DtdlError as error:
    assert error.report == report
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
(problem,) = report.problems
print(seconds, peak, problem.rule, problem.line, problem.column, bool(problem.remedy))
"""


def refused(file: Path) -> tuple[float, float]:
    """The seconds and the megabytes that an interpreter of its own needs to refuse a file for its size."""
    done = subprocess.run([sys.executable, "-c", MEASURED, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seconds, peak, *said = done.stdout.split()
    assert said == ["sourceTooLarge", "1", "1", "True"]
    return float(seconds), float(peak)


@pytest.mark.slow
@pytest.mark.parametrize("inside", [b"x", b"[", b" ", b'{"a":', b'"@id":1,', "🙂".encode()])
def test_a_file_of_50_mb_is_refused_within_a_second_and_150_mb_of_memory(tmp_path, inside):
    file = tmp_path / "large.json"
    file.write_bytes(b'{"@id": "' + inside * (50_000_000 // len(inside)) + b'"}')
    seconds, peak = refused(file)

    assert seconds < 1
    assert peak < 150


def test_a_file_is_refused_for_its_size_without_being_read(tmp_path):
    file = tmp_path / "huge.json"
    with file.open("wb") as huge:
        huge.truncate(2_000_000_000)
    seconds, peak = refused(file)

    assert seconds < 1
    assert peak < 150


def test_the_import_brings_neither_azure_nor_pydantic_along():
    program = "import sys, remhart_adt.dtdl; print({'azure', 'pydantic'} & {n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
