"""What stands before the operations answers for each of them as the contract says: tokens, roles, rates, faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import requests
import yaml

from contract import CONTRACT, check_answer, operations
from remhart_adt.clock import FakeClock
from remhart_adt.local.adt import LocalAdt, Options
from remhart_adt.testing import DATA_OWNER

OPERATIONS = {one.definition.raw["operationId"]: one for one in operations()}
PATHS = {"id": "x", "componentPath": "c", "relationshipId": "r"}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAdt]:
    """Of every kind of request it takes one a second, and its time stands still."""
    with LocalAdt(Options(auth=True, throttle=True, capacity=0.000001, clock=FakeClock())) as running:
        yield running


def case_of(name: str) -> Any:
    operation = OPERATIONS[name]
    raw = operation.definition.raw
    media = next(iter(operation.body), None)
    more: dict[str, Any] = {} if media is None else {"body": {}, "media_type": media.media_type}
    if "telemetry" in operation.path:
        more["headers"] = {"Message-Id": "m"}
    paths = {key: value for key, value in PATHS.items() if f"{{{key}}}" in operation.path}
    assert raw["responses"]
    return operation.Case(path_parameters=paths, query={"api-version": "2023-10-31"}, **more)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_without_a_token_a_role_or_room_and_with_a_fault_an_answer_is_as_declared(server: LocalAdt, name: str) -> None:
    case = case_of(name)
    nobody = server.control.token("nobody")["access_token"]
    owner = server.control.token("owner", roles=(DATA_OWNER,))["access_token"]

    def status(token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = case.call(base_url=server.endpoint, headers=headers)
        assert check_answer(case, answer) == []
        return int(answer.status_code)

    assert status() == 401
    assert status(nobody) == 403
    rule = {"status": 503, "headers": {"Retry-After": "1"}}
    assert requests.post(f"{server.admin}/faults", json=rule, timeout=10).status_code == 201
    assert status(owner) == 503
    if case.operation.path.endswith("/telemetry"):  # has no rate of its own
        rule = {"status": 429, "headers": {"Retry-After": "1"}}
        assert requests.post(f"{server.admin}/faults", json=rule, timeout=10).status_code == 201
    else:
        status(owner)
    assert status(owner) == 429


def test_a_host_without_an_instance_and_a_token_of_another_tenant_are_answered_alike(server: LocalAdt) -> None:
    schema = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]["schemas"]["SubDomainNotFound"]
    foreign = server.control.token("ada", roles=(DATA_OWNER,), tenant="6d8f2f1e-5f3f-4d6b-8f5e-2a9f3d0a1b2c")
    for headers in ({"Host": "nowhere.localhost"}, {"Authorization": f"Bearer {foreign['access_token']}"}):
        answer = requests.get(f"{server.endpoint}/models", headers=headers, timeout=10)
        assert answer.status_code == 404
        assert jsonschema_rs.is_valid(schema, answer.json())
        assert answer.headers["Content-Type"] == "application/json"
        assert "mise-correlation-id" not in answer.headers
