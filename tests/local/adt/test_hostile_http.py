"""Bytes that are no HTTP, or hardly: refused or answered, connection by connection, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest

VERSION = "api-version=2023-10-31"
CLOSE = b"Host: h\r\nConnection: close\r\n"


def request(method: str, target: str, headers: bytes = b"", body: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + CLOSE + headers + length + b"\r\n" + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # a TLS greeting
        b"GET /models\r\n\r\n",  # HTTP/0.9
        b"GET  /models HTTP/1.1\r\nHost: h\r\n\r\n",
        b"G\xc3\x8bT /models HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /mod\xc3\xa9ls HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /models HTTP/1.1\r\n\r\n",  # no Host
        b"GET /models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /models HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n",
        b"GET /models HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n",
        b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n{}",
        b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        b"POST /query HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /query HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"GET /models HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET /models?" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /models HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 200_000 + b"\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_http_is_refused_and_the_connection_closed(say: Any, wire: Any, sent: bytes) -> None:
    answer = say(sent)
    assert status(answer) in (400, 501), answer[:200]
    assert b'{"error":{"code":' in answer
    assert b"onnection: close" in answer
    assert wire("GET", "/models").status == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
        (request("OPTIONS", "*"), 404),
        (request("CONNECT", "h:443"), 404),
        (request("GET", f"http://h/models?{VERSION}"), 404),
        (request("GET", f"//models?{VERSION}"), 404),
        (request("GET", f"/?{VERSION}"), 404),
        (request("BREW", f"/models?{VERSION}"), 405),
        (request("HEAD", f"/models?{VERSION}"), 405),
        (request("TRACE", f"/models?{VERSION}"), 405),
        (request("GET", f"/models?{VERSION}", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 200),
        (request("GET", f"/models?{VERSION}", b"Upgrade: websocket\r\nConnection: upgrade\r\n"), 200),
        (request("GET", f"/models?{VERSION}&{'a=b&' * 2000}"), 400),
        (request("GET", f"/models?{VERSION}&x=%ff%00&&=&=%"), 200),
        (request("GET", "/models?api-version=%00"), 400),
        (request("GET", f"/models?{VERSION}", b"traceparent: \xff-\xfe-\xfd-00\r\n"), 200),
        (request("GET", f"/models?{VERSION}", b"traceparent: 00-" + b"\xb2" * 32 + b"-b7ad6b7169203331-01\r\n"), 200),
        (request("GET", f"/models?{VERSION}", b"max-items-per-page: \xb2\r\n"), 200),
        (request("GET", f"/models?{VERSION}", b"max-items-per-page: " + b"9" * 5000 + b"\r\n"), 200),
        (request("GET", f"/models?{VERSION}", b"X-Forwarded-For: \xff\r\nX-Forwarded-Proto: x\r\n"), 200),
        (b"GET /models?" + VERSION.encode() + b" HTTP/1.0\r\n\r\n", 200),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else str(value),
)
def test_odd_requests_have_an_ordinary_answer(say: Any, wire: Any, sent: bytes, expected: int) -> None:
    answer = say(sent)
    assert status(answer) == expected, answer[:300]
    answer.split(b"\r\n\r\n")[0].decode("ascii")  # nothing of what was sent stands unescaped in the head
    assert wire("GET", "/models").status == 200


@pytest.mark.parametrize("value", [b"\xff", b'"', b"W/", b'W/"', b"*, *", b"'", b"x" * 30_000, b'W/"a", W/"b"', b""])
def test_an_if_match_that_is_no_entity_tag_never_matches(say: Any, house: Any, value: bytes) -> None:
    house.twin("t", "dtmi:test:Room;1", name="n")
    patch = b'[{"op":"add","path":"/name","value":"changed"}]'
    answer = say(request("PATCH", f"/digitaltwins/t?{VERSION}", b"If-Match: " + value + b"\r\n", patch))
    assert status(answer) in (400, 412), answer[:200]
    assert house("GET", "/digitaltwins/t").json["name"] == "n"


@pytest.mark.parametrize("media", [b"text/plain", b"", b"application/json; charset=utf-16", b"\xff"])
def test_what_a_body_calls_itself_does_not_matter(say: Any, house: Any, media: bytes) -> None:
    house.twin("t", "dtmi:test:Room;1")
    patch = b'[{"op":"add","path":"/name","value":"n"}]'
    head = b"Accept: text/html\r\nContent-Type: " + media + b"\r\n"
    assert status(say(request("PATCH", f"/digitaltwins/t?{VERSION}", head, patch))) == 204
    answer = say(request("POST", f"/query?{VERSION}", head, b'{"query":"SELECT * FROM DIGITALTWINS"}'))
    assert status(answer) == 200
    assert b"application/json; charset=utf-8" in answer


def test_headers_that_a_client_made_up_do_not_get_into_the_answer(say: Any) -> None:
    answer = say(request("GET", f"/digitaltwins/a%0d%0aSet-Cookie:%20x?{VERSION}", b"traceparent: a%0d%0ab\r\n"))
    assert status(answer) == 404
    assert b"\r\nSet-Cookie" not in answer
    assert b"\\r\\nSet-Cookie" in answer


def test_pipelined_requests_are_answered_in_their_order(say: Any, house: Any) -> None:
    house.twin("p", "dtmi:test:Room;1", name="0")
    sent = b""
    for n in range(1, 51):
        patch = b'[{"op":"add","path":"/name","value":"%d"}]' % n
        head = f"PATCH /digitaltwins/p?{VERSION} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(patch)}\r\n\r\n"
        sent += head.encode() + patch
        sent += f"GET /digitaltwins/p?{VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    answer = say(sent + request("GET", f"/models?{VERSION}"))
    assert answer.count(b"HTTP/1.1 204 ") == 50
    assert answer.count(b"HTTP/1.1 200 ") == 51
    places = [answer.index(b'"name":"%d"' % n) for n in range(1, 51)]
    assert places == sorted(places)


def test_a_client_that_waits_for_leave_to_send_is_given_it_or_the_refusal(say: Any) -> None:
    expect = b"Expect: 100-continue\r\n"
    body = b'{"query":"SELECT * FROM DIGITALTWINS"}'
    answer = say(request("POST", f"/query?{VERSION}", expect, body))
    assert status(answer) in (100, 200)
    assert b"HTTP/1.1 200 " in answer
    head = f"PUT /digitaltwins/x?{VERSION} HTTP/1.1\r\n".encode() + CLOSE + expect + b"Content-Length: 99999999\r\n\r\n"
    answer = say(head, wait=2.0)
    assert status(answer) == 413, answer[:200]


def test_what_is_ambiguous_about_its_length_is_not_read_as_two_requests(say: Any, house: Any) -> None:
    house.twin("s", "dtmi:test:Room;1")
    smuggled = f"DELETE /digitaltwins/s?{VERSION} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    both = b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(smuggled))
    say(f"POST /query?{VERSION} HTTP/1.1\r\n".encode() + CLOSE + both + b"\r\n0\r\n\r\n" + smuggled, wait=0.5)
    assert house("GET", "/digitaltwins/s").status == 200
