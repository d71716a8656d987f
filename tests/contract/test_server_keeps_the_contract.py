"""The local server answers requests made from the contract as the contract says; scripts/contract sends many more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from contract import check_answer, operations, run_alone
from remhart_adt.local.adt import LocalAdt, Options


@pytest.fixture
def server() -> Iterator[LocalAdt]:
    with LocalAdt(Options()) as running:
        yield running


@pytest.mark.slow
def test_five_hundred_requests_are_answered_as_declared() -> None:
    tally = run_alone(500, 7)
    assert [(fault.operation, fault.what, fault.command) for fault in tally.faults] == []
    assert tally.requests == 500
    assert len(tally.statuses) == 32
    assert tally.share(2) > 0.35
    # Hypothesis picks constants from the project's code, too: what is drawn differs a little with every change of it.
    assert len([name for name, seen in tally.statuses.items() if not seen.keys() & {200, 201, 202, 204}]) <= 2
    for status in (400, 404, 409, 412, 413, 429):
        assert any(status in seen for seen in tally.statuses.values()), status


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"status": 418}, "Undocumented status code"),
        ({"status": 500}, "Server error"),
        ({"status": 200, "body": {"$dtId": "x"}}, "Response violates schema"),
        ({"status": 404, "body": {"error": {"code": "NotThere", "message": "m"}}}, "Response violates schema"),
        ({"status": 404, "headers": {"Content-Type": "text/html"}}, "Undocumented Content-Type"),
        ({"status": 404, "headers": {"X-Odd": "1"}}, "Undeclared header: x-odd"),
        ({"status": 404, "headers": {"x-ms-error-code": "Other"}}, "the body says otherwise"),
    ],
)
def test_an_answer_that_is_not_declared_is_found(server: LocalAdt, fault: dict[str, object], complaint: str) -> None:
    rule = {"method": "GET", "path": "/digitaltwins/", **fault}
    assert requests.post(f"{server.admin}/faults", json=rule, timeout=10).status_code == 201
    operation = next(one for one in operations() if one.definition.raw["operationId"] == "Twins_Get")
    case = operation.Case(path_parameters={"id": "x"}, query={"api-version": "2023-10-31"})

    def found() -> list[str]:
        return check_answer(case, case.call(base_url=server.endpoint))

    assert any(complaint in what for what in found())
    assert found() == []  # the fault is used up: an ordinary 404
