"""The types of primitive schemas take what the twin checker takes, and nothing else; what they write, it takes too."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from remhart_adt.dtdl import Field, Schema
from remhart_adt.dtdl.checkers import compile_schema
from remhart_adt.dtdl.codegen_types import PRIMITIVES
from remhart_adt.ontology import base

TYPES: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(getattr(base, name)) for kind, name in PRIMITIVES.items()}
CHECKS = {kind: compile_schema(Schema(kind, kind), {}) for kind in PRIMITIVES}
EDGES = [2**bits + step for bits in (7, 8, 15, 16, 31, 32, 63, 64) for step in (-1, 0, 1)]
VALUES: list[Any] = [
    *(True, False, None, [], {}, [1], {"value": 1}, 0, -0.0, 0.0, 1.0, 1.5, 1e39, -1e39, 3.4e38, 1e308),
    *(float("inf"), float("nan"), 10**400, 10**300, *EDGES, *(-edge for edge in EDGES)),
    *(
        "",
        " ",
        "text",
        "x" * 4096,
        "x" * 4097,
        "é" * 2048,
        "é" * 2049,
        "🙂" * 1024,
        "true",
        "1",
        "1.0",
        "\x00",
        "\ud83d",
    ),
    *("0", "-0", "+1", "00", "0.", ".5", "1e5", "NaN", "Infinity", "1_000", "12345678901234567890.123", "١"),
    *("2024-02-29", "2023-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2024-1-1", "20240101", "2024-01-01T00:00"),
    *("2024-01-02T03:04:05Z", "2024-01-02t03:04:05z", "2024-01-02 03:04:05Z", "2024-01-02T03:04:05"),
    *("2024-01-02T03:04:05.1234567Z", "2024-01-02T03:04:05.1+02:00", "2024-01-02T24:00:00Z", "2024-01-02T03:04:60Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-01-02T03:04:05+24:00", "1704164645"),
    *("03:04:05", "03:04:05Z", "03:04:05.123456789+01:00", "3:4:5", "24:00:00", "03:04", "PT", "P1D", "PT1.5S", "-P1D"),
    *(
        "P1W",
        "P1Y2M3DT4H5M6S",
        "P1.5DT1H",
        "00a185be-a3a4-465a-9dac-cfa24bc7b923",
        "00A185BE-A3A4-465A-9DAC-CFA24BC7B923",
    ),
    *(
        "00a185bea3a4465a9daccfa24bc7b923",
        "{00a185be-a3a4-465a-9dac-cfa24bc7b923}",
        "AA==",
        "AA=",
        "AA",
        "AAA=",
        "-_==",
        "AAAA\n",
    ),
]


def accepts(kind: str, value: Any) -> bool:
    try:
        TYPES[kind].validate_python(value)
    except ValidationError:
        return False
    return True


def test_there_is_a_type_for_every_primitive_schema():
    assert len(PRIMITIVES) == 19
    assert set(PRIMITIVES.values()) <= set(base.__all__)


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_a_type_takes_what_the_checker_takes(kind):
    judged = {repr(value): CHECKS[kind](value) is None for value in VALUES}
    assert {repr(value): accepts(kind, value) for value in VALUES} == judged
    assert {True, False} == set(judged.values())


JSON = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    st.dates().map(date.isoformat),
    st.uuids().map(str),
    st.decimals().map(str),
    st.from_regex(r"P(\d[YMD])*(T(\d(\.\d)?[HMS])*)?", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9+/]{0,8}={0,2}", fullmatch=True),
)


@given(JSON)
def test_a_type_takes_what_the_checker_takes_whatever_the_value(value):
    for kind, check in CHECKS.items():
        assert accepts(kind, value) == (check(value) is None), kind


@given(JSON)
def test_what_a_type_writes_is_sound_and_reads_as_the_same(value):
    for kind, adapter in TYPES.items():
        if accepts(kind, value):
            read = adapter.validate_python(value)
            written = adapter.dump_python(read, mode="json")
            assert CHECKS[kind](written) is None, (kind, written)
            assert adapter.validate_python(written) == read


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("dateTime", datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T10:00:00Z"),
        ("dateTime", datetime(999, 1, 1, microsecond=1, tzinfo=UTC), "0999-01-01T00:00:00.000001Z"),
        ("dateTime", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "0001-01-01T00:00:00+05:00"),
        ("date", date(2024, 1, 2), "2024-01-02"),
        ("decimal", Decimal("1E+3"), "1000"),
        ("decimal", Decimal("0.100"), "0.100"),
        ("bytes", b"Hello", "SGVsbG8="),
        ("uuid", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("double", 3, 3.0),
        ("time", "03:04:05.123456789Z", "03:04:05.123456789Z"),
    ],
)
def test_a_value_of_pythons_own_type_is_written_as_dtdl_says(kind, value, written):
    result = TYPES[kind].dump_python(TYPES[kind].validate_python(value), mode="json")
    assert (result, type(result)) == (written, type(written))
    assert CHECKS[kind](result) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dateTime", datetime(2024, 1, 1)),
        ("dateTime", date(2024, 1, 1)),
        ("date", datetime(2024, 1, 1, tzinfo=UTC)),
        ("decimal", Decimal("NaN")),
        ("decimal", Decimal("Infinity")),
        ("decimal", 1),
        ("bytes", bytearray(b"x")),
        ("string", b"x"),
    ],
)
def test_a_value_of_a_wrong_python_type_is_refused(kind, value):
    assert not accepts(kind, value)


@pytest.mark.parametrize("key", ["", "$x", "x", "x y", "é" * 512, "é" * 513, "x" * 1024, "x" * 1025, "a/b~"])
def test_a_map_takes_the_keys_that_the_checker_takes(key):
    schema = Schema("Map", "m", key_name="k", value=Field("v", Schema("double", "double")))
    adapter = TypeAdapter(dict[base.Key, base.Real])
    try:
        accepted = adapter.validate_python({key: 1.0}) == {key: 1.0}
    except ValidationError:
        accepted = False
    assert accepted == (compile_schema(schema, {})({key: 1.0}) is None)


@pytest.mark.shared
def test_the_published_instances_are_judged_as_labelled(shared_data):
    count = 0
    with gzip.open(shared_data / "dtdl" / "cases.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            if '"instances"' not in line:
                continue
            for instance in json.loads(line).get("instances", ()):
                kind = instance["subject"].removeprefix("dtmi:dtdl:instance:Schema:").partition(";")[0]
                try:
                    value = json.loads(instance["submit"])
                except ValueError:
                    continue
                # JSON's -0 is no whole number to the official parser; Python has no such whole number.
                if kind in TYPES and instance["submit"] != "-0":
                    assert accepts(kind, value) == instance["conforms"], (kind, value)
                    count += 1
    assert count > 500
