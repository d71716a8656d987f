"""Models and requests recorded from the real service: what it took, we take; what it refused, we refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remhart_adt.dtdl import ModelSet, check_patch, check_twin, parse, validate
from remhart_adt.dtdl.instance import errors_of

pytestmark = pytest.mark.shared


def interactions(folder) -> list[tuple[str, dict[str, Any]]]:
    files = sorted((folder / "adt-recordings").glob("*.json"))
    return [(file.stem, step) for file in files for step in json.loads(file.read_text())["interactions"]]


def is_upload(step: dict[str, Any]) -> bool:
    return step["method"] == "POST" and step["path"] == "/models" and isinstance(step["request_body"], list)


def test_uploads_that_the_service_took_are_sound_and_those_its_parser_refused_are_not(shared_data):
    taken = refused = 0
    for name, step in interactions(shared_data):
        if not is_upload(step):
            continue
        if step["status"] == 201:
            taken += 1
            assert validate(step["request_body"], profile="adt").errors == (), name
        elif (step["response_body"] or {}).get("error", {}).get("code") == "DTDLParserError":
            refused += 1
            assert not validate(step["request_body"], profile="adt").valid, name
    assert taken > 3
    assert refused > 1


@pytest.fixture(scope="module")
def recorded(shared_data) -> ModelSet:
    """Every model that a recording uploads with success."""
    documents: dict[str, Any] = {}
    for _, step in interactions(shared_data):
        if is_upload(step) and step["status"] == 201:
            documents.update({document["@id"]: document for document in step["request_body"]})
    return parse(list(documents.values()), profile="adt")


def test_twins_are_judged_as_by_the_service(shared_data, recorded):
    good = bad = 0
    for name, step in interactions(shared_data):
        body = step["request_body"]
        if step["method"] != "PUT" or step["path"].count("/") != 2 or not isinstance(body, dict):
            continue
        faults = check_twin(recorded, body)
        if step["status"] == 200:
            good += 1
            assert faults == [], name
        elif step["status"] == 400:
            bad += 1
            assert faults != [], name
    assert good > 10
    assert bad >= 2


def test_patches_are_judged_as_by_the_service(shared_data, recorded):
    """A component's patch is the twin's patch below the component's name."""
    model: dict[str, str] = {}
    good = bad = 0
    for name, step in interactions(shared_data):
        parts = step["path"].strip("/").split("/")
        body = step["request_body"]
        if parts[0] != "digitaltwins":
            continue
        if step["method"] == "PUT" and len(parts) == 2 and step["status"] == 200:
            model[parts[1]] = body["$metadata"]["$model"]
        if step["method"] != "PATCH" or parts[1] not in model or "relationships" in parts:
            continue
        below = f"/{parts[3]}" if len(parts) == 4 else ""
        patch = [{**op, "path": below + op["path"]} if isinstance(op, dict) and "path" in op else op for op in body]
        faults = errors_of(check_patch(recorded, model[parts[1]], patch))
        if step["status"] == 204:
            good += 1
            assert faults == [], name
        elif step["status"] == 400:
            bad += 1
            assert faults != [], (name, patch)
    assert good > 5
    assert bad > 4
