"""DTMIs are taken apart and put together again."""

from __future__ import annotations

import pytest

from remhart_adt.dtdl.dtmi import Dtmi
from remhart_adt.errors import DtdlError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtmi:a;1", Dtmi(("a",), 1)),
        ("dtmi:example:Room", Dtmi(("example", "Room"))),
        ("dtmi:example:Room;12.34", Dtmi(("example", "Room"), 12, 34)),
        ("dtmi:example:Room;1#part", Dtmi(("example", "Room"), 1, 0, "#part")),
        ("dtmi:example:Room#", Dtmi(("example", "Room"), 0, 0, "#")),
        ("dtmi:a_b:_contents:__name:_1;999999999", Dtmi(("a_b", "_contents", "__name", "_1"), 999_999_999)),
    ],
)
def test_a_dtmi_has_the_parts_it_is_written_with(text, expected):
    assert Dtmi.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dtmi:",
        "dtmi:;1",
        "DTMI:a;1",
        "urn:a;1",
        "dtmi:1a;1",
        "dtmi:a_;1",
        "dtmi:_;1",
        "dtmi:a::b;1",
        "dtmi:a-b;1",
        "dtmi:ä;1",
        "dtmi:a;",
        "dtmi:a;0",
        "dtmi:a;01",
        "dtmi:a;1.0",
        "dtmi:a;1.",
        "dtmi:a;1234567890",
        "dtmi:a;1.1234567",
        "dtmi:a;١",
        "dtmi:a;1#1",
        "dtmi:a;1#b_",
        "dtmi:a;1#b#c",
        "dtmi:a;1 ",
        "dtmi:a;1\n",
        "x" * 100_000,
    ],
)
def test_what_is_no_dtmi_is_refused_in_few_words(text):
    with pytest.raises(DtdlError, match="is no DTMI") as caught:
        Dtmi.parse(text)
    assert len(str(caught.value)) < 200


def test_versions_sort_by_one_number():
    versions = ["1", "1.2", "1.10", "2", "10.1"]
    assert [Dtmi.parse(f"dtmi:a;{v}").complete_version for v in versions] == [1, 1.000002, 1.00001, 2, 10.000001]
    assert Dtmi.parse("dtmi:a").complete_version == 0


def test_versionless_keeps_the_fragment():
    assert Dtmi.parse("dtmi:a:b;1.2#c").versionless == "dtmi:a:b#c"


@pytest.mark.parametrize(
    ("text", "reserved"),
    [("dtmi:a:b;1", False), ("dtmi:a_b;1#c", False), ("dtmi:a:_b;1", True), ("dtmi:_a", True), ("dtmi:a#_b", True)],
)
def test_what_begins_with_an_underscore_belongs_to_parsers(text, reserved):
    assert Dtmi.parse(text).reserved is reserved
