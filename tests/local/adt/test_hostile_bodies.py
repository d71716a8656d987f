"""Bodies that are broken, enormous, deep or odd: the right refusal, and a server that goes on as if nothing was."""

from __future__ import annotations

import json
from typing import Any

import pytest

ROOM = "dtmi:test:Room;1"
HEAD = b'{"$metadata":{"$model":"dtmi:test:Room;1"},'
WRITES = [
    ("PUT", "/digitaltwins/x"),
    ("PATCH", "/digitaltwins/there"),
    ("POST", "/models"),
    ("POST", "/query"),
    ("PUT", "/digitaltwins/there/relationships/r"),
    ("POST", "/digitaltwins/there/telemetry"),
    ("PATCH", "/models/dtmi:test:Room;1"),
]
BROKEN = {
    "nothing but a brace": b"{",
    "an array that does not end": b"[1,",
    "two documents": b"{}{}",
    "text after the document": b"{} x",
    "single quotes": b"{'a':1}",
    "a comma at the end": b'{"a":1,}',
    "a comment": b'{"a":1/*x*/}',
    "no quotes": b"{a:1}",
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "a number too large": b'{"a":1e999}',
    "a hexadecimal number": b'{"a":0x10}',
    "a leading zero": b'{"a":01}',
    "a plus sign": b'{"a":+1}',
    "a word": b"undefined",
    "a control character in a string": b'{"a":"\x01"}',
    "an unknown escape": b'{"a":"\\x41"}',
    "half an escape": b'{"a":"\\u00"}',
    "a lone high surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"a":"\\udc00"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "bad UTF-8": b'{"a":"\xff\xfe"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "zero bytes": b"\x00\x00",
    "only spaces": b"   ",
}


def counts(wire: Any) -> dict[str, int]:
    health = wire.admin("GET", "/health").json
    return {key: value for key, value in health.items() if key in ("models", "twins", "relationships")}


@pytest.fixture
def there(house: Any) -> Any:
    house.twin("there", ROOM, name="n")
    return house


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_json_is_a_bad_request_everywhere_and_changes_nothing(there: Any, body: bytes) -> None:
    before = counts(there), there("GET", "/digitaltwins/there").body
    for method, path in WRITES:
        answer = there(method, path, raw=body)
        assert answer.status == 400, (method, path, answer.body)
        media = answer.headers["content-type"]
        if method == "PATCH":
            assert media.startswith("application/problem+json"), (path, answer.body)
        else:
            assert answer.code == "BadRequest"
            assert "x-ms-error-code" not in answer.headers
    assert (counts(there), there("GET", "/digitaltwins/there").body) == before


@pytest.mark.parametrize("value", [b"null", b"true", b"1", b'"text"', b"[]", b"[[]]", b"[null]", b"{}", b'{"":{}}'])
def test_json_of_another_kind_is_refused_by_name(there: Any, value: bytes) -> None:
    for method, path in WRITES:
        answer = there(method, path, raw=value)
        if "telemetry" in path or (method == "PATCH" and value == b"[]"):
            assert answer.status == 204  # telemetry may be any JSON, and a patch may be empty
        else:
            assert answer.status == 400, (method, path, answer.body)


@pytest.mark.parametrize("depth", [300, 2_000, 10_000])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused_whether_it_ends_or_not(there: Any, depth: int, left: bytes, right: bytes) -> None:
    middle = b"1" if right == b"}" else b""
    for nested in (left * depth + middle + right * depth, left * depth):
        if len(nested) > 32_000:
            continue
        for method, path in WRITES:
            for raw in (
                nested,
                HEAD + b'"name":' + nested + b"}",
                b'[{"op":"add","path":"/tags","value":' + nested + b"}]",
            ):
                answer = there(method, path, raw=raw)
                assert answer.status in (204, 400), (method, path, raw[:60], answer.body[:200])
                if answer.status == 204:
                    assert "telemetry" in path
    assert there("GET", "/digitaltwins/there").json["name"] == "n"


@pytest.mark.parametrize("depth", [100_000])
def test_models_nested_a_hundred_thousand_levels_deep_are_refused(there: Any, depth: int) -> None:
    for left, right in ((b"[", b"]"), (b'{"@id":', b"}"), (b'{"contents":[', b"]}")):
        for raw in (
            left * depth + b"1" + right * depth,
            left * depth,
            b"[" + left * depth + b"1" + right * depth + b"]",
        ):
            answer = there("POST", "/models", raw=raw)
            assert answer.status == 400, answer.body[:200]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"1e308", 1e308),
        (b"-0.0", -0.0),
        (b"5e-324", 5e-324),
        (b"123456789012345678901234567890", None),
        (b"9223372036854775807", 9223372036854775807),
        (b"1" + b"0" * 400, None),
        (b"1e400", None),
        (b"0." + b"3" * 5000, None),
    ],
)
def test_a_huge_number_is_kept_or_refused_and_never_turned_into_infinity(there: Any, text: bytes, kept: Any) -> None:
    answer = there("PUT", "/digitaltwins/n", raw=HEAD + b'"temperature":' + text + b"}")
    assert answer.status in (200, 400), answer.body
    if kept is not None:
        assert answer.json["temperature"] == kept
    if answer.status == 200:
        shown = there("GET", "/digitaltwins/n")
        assert b"Infinity" not in shown.body
        assert abs(shown.json["temperature"] - float(text)) <= abs(float(text)) * 1e-15
        assert (
            there(
                "POST", "/query", {"query": "SELECT temperature FROM DIGITALTWINS WHERE IS_NUMBER(temperature)"}
            ).status
            == 200
        )


@pytest.mark.parametrize("text", [b"2147483648", b"-2147483649", b"1.5", b"1e400", b"9" * 400, b"true"])
def test_what_is_no_32_bit_integer_is_refused_for_one(there: Any, text: bytes) -> None:
    answer = there("PUT", "/digitaltwins/n", raw=HEAD + b'"floor":' + text + b"}")
    assert answer.status == 400, answer.body


def test_of_two_equal_keys_the_last_one_counts(there: Any) -> None:
    answer = there("PUT", "/digitaltwins/d", raw=HEAD + b'"name":"first","name":"last"}')
    assert answer.json["name"] == "last"
    assert list(answer.json["$metadata"]) == ["$model", "$lastUpdateTime", "name"]
    twice = b'{"$metadata":{"$model":"dtmi:none;1"},' + HEAD[1:] + b'"name":"n"}'
    assert there("PUT", "/digitaltwins/d", raw=twice).status == 200


def test_text_of_every_kind_comes_back_as_it_was(there: Any) -> None:
    for text in (
        "\x00",
        "\x7f",
        "\u2028\u2029",
        "\ufeff",
        "\U0001f600",
        "e\u0301",
        "\u202e",
        "\ufffe",
        "'\"\\/",
        "</script>",
    ):
        there.twin("t", ROOM, name=text)
        assert there("GET", "/digitaltwins/t").json["name"] == text
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        rows = there.query(f"SELECT $dtId FROM DIGITALTWINS WHERE name = '{escaped}'")
        assert rows == [{"$dtId": "t"}], text


@pytest.mark.parametrize("size", [32 * 1024 + 1, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_however_it_is_sent(there: Any, size: int, chunked: bool) -> None:
    body = b'{"$metadata":{"$model":"dtmi:test:Room;1"},"name":"' + b"x" * size + b'"}'
    for method, path in (("PUT", "/digitaltwins/x"), ("PATCH", "/digitaltwins/there"), ("POST", "/query")):
        answer = there(method, path, raw=iter([body]) if chunked else body)
        assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
        assert answer.headers["connection"] == "close"
    assert there("GET", "/digitaltwins/there").status == 200


def test_models_of_a_megabyte_are_read_and_judged(there: Any) -> None:
    comment = "x" * 500
    contents = [{"@type": "Property", "name": f"p{n}", "schema": "string", "comment": comment} for n in range(295)]
    models = [
        {"@id": f"dtmi:test:Big{n};1", "@type": "Interface", "@context": "dtmi:dtdl:context;3", "contents": contents}
        for n in range(6)
    ]
    assert len(json.dumps(models)) > 1_000_000
    assert there("POST", "/models", models).status == 201
    garbage = there("POST", "/models", raw=b"[" + b"1," * 500_000 + b"1]")
    assert garbage.status == 400
    assert garbage.code in ("InvalidArgument", "DTDLParserError")


def test_one_model_of_more_than_a_megabyte_is_refused(wire: Any, make_interface: Any) -> None:
    contents = [{"@type": "Telemetry", "name": f"t{n}", "schema": "string", "comment": "x" * 500} for n in range(1800)]
    for count, status in ((1600, 201), (1800, 400)):
        big = make_interface(f"Big{count}", *contents[:count])
        answer = wire("POST", "/models", [big])
        assert answer.status == status, answer.body[:300]
    assert answer.code == "DTDLParserError"
    assert "takes at most 1000000" in answer.message


@pytest.mark.parametrize("unit", [b"[],", b'{"a":1},'])
def test_millions_of_things_in_one_body_are_refused_before_they_are_decoded(there: Any, unit: bytes) -> None:
    answer = there("POST", "/models", raw=b"[" + unit * 500_000 + b"1]")
    assert (answer.status, answer.code) == (400, "LimitExceeded")
    assert there("POST", "/models", raw=b"[" + unit * 400_000 + b"1]").code == "InvalidArgument"


def test_a_hundred_megabytes_are_refused_before_they_have_all_come(say: Any, there: Any) -> None:
    head = b"PUT /models HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 104857600\r\n\r\n"
    path = head.replace(b"PUT /models", b"PUT /digitaltwins/x?api-version=2023-10-31")
    answer = say(path + b"{" * 1000, wait=0.5)  # and then nothing more: the answer is there all the same
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"RequestEntityTooLarge"' in answer
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    path = b"PUT /digitaltwins/x?api-version=2023-10-31 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(path + chunk, wait=0.5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert there("GET", "/digitaltwins/x").status == 404


def test_a_body_cut_off_is_not_done_though_what_came_makes_sense(say: Any, there: Any) -> None:
    # The first chunk is a whole patch; the client goes away before the body ends.
    patch = b'[{"op":"add","path":"/name","value":"half"}]'
    head = (
        b"PATCH /digitaltwins/there?api-version=2023-10-31 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n" % (len(patch), patch)
    )
    assert say(head, wait=0.3) == b""
    assert there("GET", "/digitaltwins/there").json["name"] == "n"


def test_a_twin_and_a_relationship_do_not_grow_above_the_limit_by_patches(wire: Any, make_interface: Any) -> None:
    wordbook = {
        "@type": "Property",
        "name": "words",
        "schema": {
            "@type": "Map",
            "mapKey": {"name": "k", "schema": "string"},
            "mapValue": {"name": "v", "schema": "string"},
        },
    }
    wire.models(make_interface("Book", wordbook, {"@type": "Relationship", "name": "cites", "properties": [wordbook]}))
    for twin in ("a", "b"):
        wire.twin(twin, "dtmi:test:Book;1", words={})
    wire.relate("a", "r", "cites", "b", words={})
    for path in ("/digitaltwins/a", "/digitaltwins/a/relationships/r"):
        statuses = []
        for number in range(12):
            patch = [{"op": "add", "path": f"/words/w{number}", "value": "x" * 4000}]
            answer = wire("PATCH", path, patch)
            statuses.append(answer.status)
        assert statuses == [204] * 8 + [400] * 4, path
        assert answer.code == "ValidationFailed"
        assert "bytes, more than 32768" in answer.details[0]
        assert len(wire("GET", path).body) < 33_000
