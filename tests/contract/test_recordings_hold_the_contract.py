"""The recorded traffic satisfies the contract: what the service did is declared, and declared as it was seen.

A recording writes `<...>` for what differs from run to run; here each such text becomes one example of its kind.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

pytestmark = pytest.mark.shared

DATA = Path(os.environ.get("REMHART_TEST_DATA", ""))
RECORDINGS = sorted((DATA / "adt-recordings").glob("*.json")) if os.environ.get("REMHART_TEST_DATA") else []
CONTRACT = yaml.safe_load((Path(__file__).parent / "adt.yaml").read_text(encoding="utf-8"))

# The recordings leave these out everywhere; every answer of the service itself had them.
COMMON = {
    "strict-transport-security": "max-age=2592000",
    "traceresponse": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "mise-correlation-id": "6d8f2f1e-5f3f-4d6b-8f5e-2a9f3d0a1b2c",
}
GUID = "6d8f2f1e-5f3f-4d6b-8f5e-2a9f3d0a1b2c"
ETAG = f'W/"{GUID}"'
MODEL = {"@id": "dtmi:samples:Building;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2"}
TWIN = {"$dtId": "t", "$etag": ETAG, "$metadata": {"$model": MODEL["@id"]}}
RECORD = {
    "id": MODEL["@id"],
    "description": {},
    "displayName": {},
    "decommissioned": False,
    "uploadTime": "2023-06-01T20:30:47.4868874+00:00",
}
WHOLE = {
    "<guid>": GUID,
    "<now>": "2023-06-01T20:30:47Z",
    "<n>": 21.5,
    "<5..12>": "5",
    "<2.71..6.19>": "3.09",
    "<…>": "3.09",
    "<twin document>": TWIN,
    "<existing model>": MODEL,
    "<new model>": {**MODEL, "@id": "dtmi:samples:Floor;1"},
    "<model with a Component whose schema is missing>": {**MODEL, "contents": []},
}
REPEATED = {"<100 records>": [RECORD] * 100, "<5 twins>": [TWIN] * 5}
KINDS = (
    (re.compile(r"<etag:\d>"), ETAG),
    (re.compile(r"<upload:\d>"), "2023-06-01T20:30:47.4868874+00:00"),
    (re.compile(r"<t:1 \+ 30 days>"), "2023-07-01T20:30:50.175361Z"),
)
TIME = re.compile(r"<t:\d>")


def concrete(recorded: Any, *, job: bool = False) -> Any:
    """A recorded value with an example for every symbol; a job's times are written otherwise than a twin's."""
    match recorded:
        case dict():
            return {key: concrete(value, job=job) for key, value in recorded.items()}
        case [str(text)] if text in REPEATED:
            return REPEATED[text]
        case list():
            return [concrete(item, job=job) for item in recorded if item != "…"]
        case str() if recorded in WHOLE:
            return WHOLE[recorded]
        case str():
            for pattern, example in KINDS:
                recorded = pattern.sub(lambda _, example=example: example, recorded)
            recorded = TIME.sub("2023-06-01T20:30:50.175361Z" if job else "2023-06-01T20:30:50.1073294Z", recorded)
            return recorded.replace("<host>", "host").replace("<", "(").replace(">", ")")
    return recorded


def resolved(node: Any) -> Any:
    """The contract's own references on the way down to a schema."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = CONTRACT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def problems(schema: Any, value: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": CONTRACT["components"]})
    return [str(error) for error in validator.iter_errors(value)]


def operation_of(method: str, path: str) -> tuple[str, dict[str, Any], list[Any]]:
    for template, item in CONTRACT["paths"].items():
        pattern = "/".join("[^/]+" if part[:1] == "{" else re.escape(part) for part in template.split("/"))
        if re.fullmatch(pattern, path, re.IGNORECASE) and method.lower() in item:
            operation = item[method.lower()]
            return template, operation, [*item.get("parameters", []), *operation.get("parameters", [])]
    raise AssertionError(f"the contract has no {method} {path}")


def steps() -> list[Any]:
    return [
        pytest.param(path.stem, step, id=f"{path.stem}-{number}")
        for path in RECORDINGS
        for number, step in enumerate(json.loads(path.read_text(encoding="utf-8"))["interactions"])
    ] or [pytest.param("none", None, id="none")]


@pytest.mark.parametrize(("name", "step"), steps())
def test_a_recorded_answer_is_declared_with_its_body_and_headers(name: str, step: dict[str, Any]) -> None:
    _, operation, _ = operation_of(step["method"], step["path"])
    answer = resolved(operation["responses"].get(str(step["status"])))
    assert answer is not None, f"{operation['operationId']} declares no {step['status']}"

    body = concrete(step["response_body"], job=name == "import_jobs")
    headers = {key.lower(): concrete(value) for key, value in step["response_headers"].items()}
    content = answer.get("content", {})
    if body is None:
        assert content == {}
    else:
        media = headers["content-type"].partition(";")[0]
        assert problems(content[media]["schema"], body) == []
    declared = {key.lower(): resolved(value) for key, value in answer.get("headers", {}).items()}
    gateway = name == "gateway_429_401"
    shown = headers if gateway else COMMON | headers
    assert set(headers) - {"content-type"} <= set(declared)
    for key, header in declared.items():
        if key in shown:
            assert problems(header["schema"], shown[key]) == [], key
        else:
            assert not header["required"], f"{key} is declared as required and was not recorded"


@pytest.mark.parametrize(("name", "step"), steps())
def test_a_recorded_request_that_succeeded_is_one_that_the_contract_allows(name: str, step: dict[str, Any]) -> None:
    _, operation, parameters = operation_of(step["method"], step["path"])
    sent = {key.lower() for key in step["request_headers"]} - {"content-type"}
    known = {resolved(one)["name"].lower() for one in parameters if resolved(one)["in"] == "header"}
    assert sent <= known

    if step["status"] >= 300:
        return
    body = resolved(operation.get("requestBody"))
    if body is None:
        assert step["request_body"] is None
        return
    media = step["request_headers"]["Content-Type"]
    assert problems(body["content"][media]["schema"], concrete(step["request_body"])) == []


def test_every_operation_of_the_published_description_is_in_the_contract_and_no_other() -> None:
    published = json.loads((DATA / "adt-openapi-2023-10-31.json").read_text(encoding="utf-8"))
    methods = {"get", "put", "post", "patch", "delete"}

    def shape(paths: dict[str, Any]) -> set[tuple[str, str, str]]:
        return {
            (re.sub("{[^}]*}", "{}", path), method, min(status for status in operation["responses"]))
            for path, item in paths.items()
            for method, operation in item.items()
            if method in methods
        }

    assert shape(published["paths"]) == shape(CONTRACT["paths"])
    assert len(shape(CONTRACT["paths"])) == 32


def test_a_wrong_answer_would_be_noticed() -> None:
    _, operation, _ = operation_of("GET", "/digitaltwins/x")
    schema = resolved(operation["responses"]["200"])["content"]["application/json"]["schema"]
    assert problems(schema, TWIN) == []
    assert problems(schema, {**TWIN, "$etag": "1"}) != []
    assert problems(schema, {**TWIN, "$metadata": {"$model": MODEL["@id"], "a": {"lastUpdateTime": "now"}}}) != []
    refused = resolved(operation["responses"]["404"])["content"]["application/json"]["schema"]
    assert problems(refused, {"error": {"code": "NotFound", "message": "m"}}) != []
