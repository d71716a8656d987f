"""Endpoints, credentials and answers: who we are, to whom, and what an answer means."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

import pytest
from faultserver import FaultServer, error, ok

from remhart_adt.client import connect, connect_async, parse_endpoint
from remhart_adt.client.answers import error_from_answer, retry_after_of
from remhart_adt.client.credential import TokenCache
from remhart_adt.client.hotpath import HotPath
from remhart_adt.errors import BadRequestError, ConfigError, ServiceError, ThrottledError, UnauthorizedError


@pytest.mark.parametrize(
    ("text", "url", "loopback"),
    [
        ("x.api.weu.digitaltwins.azure.net", "https://x.api.weu.digitaltwins.azure.net", False),
        (" https://x.azure.net/ ", "https://x.azure.net", False),
        ("https://x.azure.net:444", "https://x.azure.net:444", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("localhost:1", "http://localhost:1", True),
        ("http://[::1]:5", "http://[::1]:5", True),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443", False),
    ],
)
def test_endpoints(text: str, url: str, loopback: bool) -> None:
    endpoint = parse_endpoint(text)

    assert endpoint == url
    assert endpoint.loopback is loopback


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://x",
        "https://x/path",
        "https://x?q=1",
        "https://u:p@x",
        "https://x:port",
        "https://[::1",
        "a b:c",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an endpoint"):
        parse_endpoint(text)


@pytest.mark.parametrize("text", ["http://x.azure.net", "http://10.0.0.5:80", "http://127.0.0.1.evil.example"])
def test_a_token_never_travels_readable(text: str) -> None:
    for make in (connect, connect_async, HotPath):
        with pytest.raises(ConfigError, match="must not travel readable"):
            make(text)


def test_every_face_authorises_itself_locally() -> None:
    with FaultServer(ok({"$dtId": "t"})) as server, connect(server.endpoint) as client:
        client.twins.get("t")

    assert server.seen[0].headers["authorization"] == "Bearer local"
    assert server.seen[0].headers["user-agent"].startswith("remhart-adt/")
    assert server.seen[0].path == "/digitaltwins/t?api-version=2023-10-31"


class Token(NamedTuple):
    token: str
    expires_on: int


class Credential:
    """Counts how often it is asked."""

    def __init__(self, seconds: float = 3600, failure: Exception | None = None) -> None:
        self.asked = 0
        self.closed = False
        self._seconds = seconds
        self._failure = failure

    async def get_token(self, *scopes: str, **options: Any) -> Token:
        assert scopes == ("https://digitaltwins.azure.net/.default",)
        self.asked += 1
        await asyncio.sleep(0.01)
        if self._failure is not None:
            raise self._failure
        return Token(f"token-{self.asked}", int(time.time() + self._seconds))

    async def close(self) -> None:
        self.closed = True


async def test_one_token_serves_many_requests_at_once() -> None:
    credential = Credential()
    cache = TokenCache(credential)

    headers = await asyncio.gather(*(cache.header() for _ in range(50)))

    assert set(headers) == {"Bearer token-1"}
    assert credential.asked == 1
    await cache.close()
    assert not credential.closed, "it is the caller's"


async def test_a_token_that_ends_soon_is_renewed() -> None:
    credential = Credential(seconds=60)
    cache = TokenCache(credential)

    assert [await cache.header(), await cache.header()] == ["Bearer token-1", "Bearer token-2"]


async def test_after_a_401_one_new_token_is_fetched_for_all() -> None:
    credential = Credential()
    cache = TokenCache(credential)
    await cache.header()

    headers = await asyncio.gather(*(cache.header(renew=True) for _ in range(10)))

    assert set(headers) == {"Bearer token-2"}
    assert credential.asked == 2


async def test_a_credential_without_a_token_says_how_to_sign_in() -> None:
    from azure.core.exceptions import ClientAuthenticationError

    failure = ClientAuthenticationError("DefaultAzureCredential failed\nEnvironmentCredential: ...\n")
    with pytest.raises(UnauthorizedError) as caught:
        await TokenCache(Credential(failure=failure)).header()

    assert "no token for Azure Digital Twins: DefaultAzureCredential failed." in str(caught.value)
    assert "az login" in str(caught.value)


async def test_the_fast_path_renews_its_token_once() -> None:
    def answer(seen):
        return ok(None, 204) if seen.headers["authorization"] == "Bearer token-2" else error(401)

    for script, fine in ((answer, True), (lambda _seen: error(401), False)):
        with FaultServer(script) as server:
            client = HotPath(server.endpoint)
            # As for a remote instance, which a test cannot have: a real token cache in place of the local word.
            client._bearer = TokenCache(Credential())
            client.endpoint.loopback = False
            if fine:
                await client.patch_twin("t", b"[]")
            else:
                with pytest.raises(UnauthorizedError):
                    await client.patch_twin("t", b"[]")
            await client.close()
        assert [seen.headers["authorization"] for seen in server.seen] == ["Bearer token-1", "Bearer token-2"]


GATEWAY_401 = b'{"statusCode":401,"message":"Unauthorized"}'
GATEWAY_429 = b'{"error":{"statusCode":429,"message":"Maximum request rate limit reached."}}'
BUSY_JOB = json.dumps(
    json.dumps({"error": {"code": "TooManyRequests", "message": "Cannot start another job"}})
).encode()
PROBLEM = json.dumps(
    {"errors": {"[0]": ["Error converting value"]}, "title": "One or more validation errors.", "status": 400}
).encode()
DETAILS = json.dumps(
    {
        "error": {
            "code": "ValidationFailed",
            "message": "Invalid twin specified",
            "details": [{"code": "ValidationFailed", "message": "x does not appear"}, {"message": "y neither"}],
        }
    }
).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "text"),
    [
        (401, GATEWAY_401, UnauthorizedError, "", "Unauthorized"),
        (429, GATEWAY_429, ThrottledError, "", "Maximum request rate"),
        (429, BUSY_JOB, ThrottledError, "TooManyRequests", "Cannot start another job"),
        (400, PROBLEM, BadRequestError, "", "One or more validation errors: [0]: Error converting value"),
        (400, DETAILS, BadRequestError, "ValidationFailed", "Invalid twin specified: x does not appear; y neither"),
        (400, b"", BadRequestError, "", "the service answered 400 without a reason"),
        (400, b"plain words", BadRequestError, "", "plain words"),
        (400, b"<html>nginx</html>", BadRequestError, "", "the service answered 400 without a reason"),
        (400, b"[1,2]", BadRequestError, "", "the service answered 400 without a reason"),
        (400, b"[" * 100_000, BadRequestError, "", "[[["),
        (302, b"", ServiceError, "", "the service answered 302"),
    ],
)
def test_every_shape_of_error(status: int, body: bytes, kind: type, code: str, text: str) -> None:
    found = error_from_answer(status, {}, body, where="twin t")

    assert type(found) is kind
    assert found.code == code
    assert str(found).startswith(f"twin t: {text}")
    assert len(str(found)) < 1500


def test_a_code_in_the_header_counts_when_the_body_has_none() -> None:
    assert error_from_answer(409, {"x-ms-error-code": "ModelIdAlreadyExists"}, b"").code == "ModelIdAlreadyExists"


def test_the_remedy_fits_the_cause() -> None:
    body = json.dumps({"error": {"code": "X", "message": "Sub-Domain not found"}}).encode()
    assert "another tenant" in str(error_from_answer(404, {}, body))
    assert "role Azure Digital Twins Data Owner" in str(error_from_answer(403, {}, b""))


def test_retry_after() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_of({"Retry-After": "5"}) == 5.0
    assert retry_after_of({"Retry-After": "0.5"}) == 0.5
    assert 25 < (retry_after_of({"Retry-After": later}) or 0) <= 31
    assert retry_after_of({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    assert retry_after_of({"Retry-After": "1e9"}) == 3600.0
    for nonsense in ("", "soon", "nan", "-"):
        assert retry_after_of({"Retry-After": nonsense}) is None
    assert retry_after_of({}) is None
