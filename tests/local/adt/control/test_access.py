"""Tokens and roles: who gets 401, 403 and 404, and when; and who may use the admin API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from remhart_adt.clock import FakeClock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import Admin, LocalAdt, Options
from remhart_adt.testing import DATA_OWNER, DATA_READER

ROOM = {"@id": "dtmi:test:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "contents": []}
BODY = {"$metadata": {"$model": ROOM["@id"]}}


@pytest.fixture
def locked(wire_to: Any) -> Any:
    """A server that asks for tokens, on a clock that the test moves."""
    return wire_to(Options(auth=True, clock=FakeClock(), instances=("lab",)))


def bearer(wire: Any, principal: str = "ada", **more: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {wire.server.control.token(principal, **more)['access_token']}"}


def test_without_auth_no_token_is_needed_and_any_is_taken(wire: Any) -> None:
    assert wire("GET", "/models").status == 200
    assert wire("GET", "/models", headers={"Authorization": "Bearer nonsense"}).status == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x.y.z", "Basic eDp5", "Bearer " + "a" * 20_000])
def test_a_request_without_a_token_of_this_server_is_unauthorized(locked: Any, header: str | None) -> None:
    answer = locked("GET", "/models", headers={} if header is None else {"Authorization": header})
    assert answer.status == 401
    assert answer.body == b'{ "statusCode": 401, "message": "Unauthorized" }'
    assert "strict-transport-security" not in answer.headers
    assert locked("GET", "/no/such/path").status == 401


def test_an_owner_may_do_everything_and_a_reader_what_reads(locked: Any) -> None:
    owner, reader = bearer(locked, "ada", roles=(DATA_OWNER,)), bearer(locked, "ben", roles=(DATA_READER,))
    assert locked("POST", "/models", [ROOM], headers=owner).status == 201
    assert locked("PUT", "/digitaltwins/t", BODY, headers=owner).status == 200
    assert locked("GET", "/digitaltwins/t", headers=reader).status == 200
    query = {"query": "SELECT * FROM DIGITALTWINS"}
    assert locked("POST", "/query", query, headers=reader).status == 200
    for method, path, body in (
        ("PUT", "/digitaltwins/t", BODY),
        ("PATCH", "/digitaltwins/t", []),
        ("DELETE", "/digitaltwins/t", None),
        ("POST", "/models", [ROOM]),
        ("POST", "/digitaltwins/query/telemetry", {}),
        ("PUT", "/eventroutes/r", {"endpointName": "e", "filter": "true"}),
        ("POST", "/jobs/deletions", None),
    ):
        refused = locked(method, path, body, headers=reader)
        assert (refused.status, refused.body) == (403, b""), (method, path)
        assert DATA_OWNER in refused.headers["x-remhart-reason"]
    assert locked("GET", "/digitaltwins/t", headers=owner).status == 200


def test_a_principal_without_a_role_is_forbidden_until_an_assignment_takes_effect(locked: Any) -> None:
    ada, control = bearer(locked), locked.server.control
    assert locked("GET", "/models", headers=ada).status == 403
    assert not control.assign_role("ada", DATA_READER, propagation_seconds=120).effective
    assert locked("GET", "/models", headers=ada).status == 403
    locked.server.advance(120)
    assert locked("GET", "/models", headers=ada).status == 200
    control.remove_role("ada", propagation_seconds=60)
    assert locked("GET", "/models", headers=ada).status == 200
    locked.server.advance(60)
    assert locked("GET", "/models", headers=ada).status == 403
    assert control.roles() == []


def test_a_role_on_one_instance_is_none_on_another(locked: Any) -> None:
    locked.server.control.assign_role("ada", DATA_OWNER, instance="lab")
    ada = bearer(locked)
    assert locked("GET", "/models", headers={**ada, "Host": "lab.localhost"}).status == 200
    assert locked("GET", "/models", headers=ada).status == 403


def test_a_token_expires_and_one_for_others_never_counts(locked: Any) -> None:
    ada = bearer(locked, roles=(DATA_OWNER,), expires_in=60)
    assert locked("GET", "/models", headers=ada).status == 200
    locked.server.advance(60)
    assert locked("GET", "/models", headers=ada).status == 401
    assert locked("GET", "/models", headers=bearer(locked, roles=(DATA_OWNER,), audience="https://x")).status == 401
    foreign = locked("GET", "/models", headers=bearer(locked, roles=(DATA_OWNER,), tenant="another"))
    assert (foreign.status, foreign.json["message"]) == (404, "Sub-Domain not found")


def test_a_token_that_somebody_else_signed_or_nobody_is_unauthorized(locked: Any) -> None:
    token = locked.server.control.token("ada", roles=(DATA_OWNER,))["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = [jwt.encode(claims, "k" * 32, algorithm="HS256"), jwt.encode(claims, None, algorithm="none")]  # type: ignore[arg-type]
    for text in (*forged, token[:-4] + "AAAA", token.rsplit(".", 1)[0] + "."):
        assert locked("GET", "/models", headers={"Authorization": f"Bearer {text}"}).status == 401


def test_tokens_outlive_a_restart_and_their_key_is_its_owners_only(tmp_path: Path) -> None:
    with LocalAdt(Options(tmp_path / "adt.sqlite", auth=True)) as server:
        token = server.control.token("ada", roles=(DATA_OWNER,))["access_token"]
    key = tmp_path / "adt.key"
    assert key.stat().st_mode & 0o777 == 0o600
    with LocalAdt(Options(tmp_path / "adt.sqlite", auth=True)) as server:
        server.control.assign_role("ben", DATA_READER)
        import http.client

        client = http.client.HTTPConnection(server.endpoint.removeprefix("http://"))
        client.request("GET", "/models?api-version=2023-10-31", headers={"Authorization": f"Bearer {token}"})
        assert client.getresponse().status == 200
        client.close()
    with LocalAdt(Options(tmp_path / "adt.sqlite", auth=True)) as server:
        assert [one.principal for one in server.control.roles()] == ["ben"]


def test_a_principal_may_be_called_as_in_a_directory(locked: Any) -> None:
    name = "LAB/ada lovelace@example.org"
    locked.server.control.assign_role(name, DATA_READER)
    assert [one.principal for one in locked.server.control.roles()] == [name]
    assert locked("GET", "/models", headers=bearer(locked, name)).status == 200
    assert locked.admin("GET", "/instances/local/roleAssignments/LAB%2Fada").status == 404
    locked.server.control.remove_role(name)
    assert locked("GET", "/models", headers=bearer(locked, name)).status == 403


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/roleAssignments/", {"role": DATA_OWNER}, "1 to 200 printable characters"),
        ("/roleAssignments/ada", {"role": "Owner"}, "A role is one of"),
        ("/roleAssignments/ada", {"role": DATA_OWNER, "propagation_seconds": -1}, "propagation_seconds is a number"),
        ("/roleAssignments/ada", {"role": DATA_OWNER, "x": 1}, "There is no member 'x'"),
        ("/roleAssignments/ada", [], "The body is a JSON object"),
        ("/roleAssignments/" + "a" * 201, {"role": DATA_OWNER}, "1 to 200 printable characters"),
        ("/roleAssignments/%00", {"role": DATA_OWNER}, "1 to 200 printable characters"),
        ("/endpoints/events", {"kind": "file", "path": "x.txt"}, "ends in .ndjson"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(wire: Any, path: str, body: Any, words: str) -> None:
    answer = wire.admin("PUT", f"/instances/local{path}", body)
    assert answer.status == 400
    assert words in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"principal": ""}, {"principal": 1}, {"principal": "a", "roles": "x"}, {"principal": "a", "roles": ["x"]},
     {"principal": "a", "expires_in": 1e300}, {"principal": "a", "expires_in": True}, {"principal": "a", "tenant": 1},
     {"principal": "a", "more": 1}, []],
)  # fmt: skip
def test_tokens_are_not_issued_for_nonsense(wire: Any, body: Any) -> None:
    assert wire.admin("POST", "/tokens", body).status == 400


def test_an_endpoint_is_shown_without_its_secrets_and_stays_while_a_route_leads_to_it(wire: Any) -> None:
    control = wire.server.control
    url = "http://h.example/x?code=sesame"
    assert control.put_endpoint("hook", {"kind": "webhook", "url": url})["url"] == "http://h.example/x?code=***"
    assert "sesame" not in str(control.endpoints())
    assert wire("PUT", "/eventroutes/r", {"endpointName": "hook", "filter": "false"}).status == 204
    with pytest.raises(LocalServerError, match="These event routes lead to hook: r"):
        control.delete_endpoint("hook")
    assert wire("DELETE", "/eventroutes/r").status == 204
    control.delete_endpoint("hook")
    assert control.endpoints() == []
    with pytest.raises(LocalServerError, match="There is no endpoint 'hook'"):
        control.delete_endpoint("hook")


def test_with_an_admin_key_only_who_has_it_is_answered(wire_to: Any) -> None:
    server = wire_to(Options(admin_key=SecretStr("sesame"))).server
    assert server.health()["status"] == "ok"
    for key in (None, SecretStr("other")):
        with pytest.raises(LocalServerError, match="Send the admin key"):
            Admin(server.admin, key=key).health()
    assert "sesame" not in repr(Options(admin_key=SecretStr("sesame")))


def test_pages_of_other_sites_cannot_use_the_admin_api(wire: Any) -> None:
    def asked(origin: str) -> int:
        status: int = wire("POST", "/_remhart/reset", query="", headers={"Origin": origin}).status
        return status

    assert asked("http://127.0.0.1:3000") == 204
    assert asked("https://evil.example") == 403
    assert asked("null") == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("[::1]:80", 200), ("localhost:80", 200), ("localhost.", 200), ("LAB.localhost.", 200),
     ("my-computer", 200), ("lab.api.weu.digitaltwins.azure.net", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example:80", 403), ("evil.example#.localhost", 403)],
)  # fmt: skip
def test_a_name_of_another_site_that_leads_here_cannot_read_from_the_admin_api(
    wire: Any, host: str, status: int
) -> None:
    assert wire("GET", "/_remhart/export", query="", headers={"Host": host}).status == status
