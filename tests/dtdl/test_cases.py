"""The published test cases of the language, as far as they concern what is supported: DTDL v2, v3 and quantities."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from remhart_adt.dtdl import check_twin, parse, validate
from remhart_adt.dtdl.quantities import QUANTITATIVE_TYPES

pytestmark = [pytest.mark.shared, pytest.mark.slow]

# Cases labelled by hand. Those labelled by a parser only, those about its legacy options, and those that feed a
# resolver are another matter.
SUITES = {"generated", "specification", "doc-examples"}


def cases(folder) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / "dtdl" / "cases.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if (
                case["suite"] in SUITES
                and case["contextVersions"]
                and set(case["contextVersions"]) <= {2, 3}
                and set(case["extensionContexts"]) <= {QUANTITATIVE_TYPES}
                and not case["quirks"]
                and not case.get("resolution")
                and not case.get("maxDtdlVersion")
            ):
                yield case


def as_texts(case: dict[str, Any]) -> list[str]:
    given = case["input"] if isinstance(case["input"], list) else [case["input"]]
    return [item if isinstance(item, str) else json.dumps(item) for item in given]


def test_every_case_is_judged_as_labelled_and_by_a_rule_it_names(shared_data):
    wrong, beyond, count, invalid = [], [], 0, 0
    for case in cases(shared_data):
        count += 1
        report = validate(*as_texts(case))
        if report.valid != case["valid"]:
            wrong.append(case["name"])
        elif not report.valid:
            invalid += 1
            # The labels list what may be said; a parser may stop before it says all.
            allowed = {code.rsplit(":", 1)[-1] for code in case["expectedErrorIds"]}
            said = {problem.rule for problem in report.errors}
            if allowed and not said <= allowed:
                beyond.append((case["name"], said - allowed))

    assert (wrong, beyond) == ([], [])
    assert count > 6000
    assert invalid > 400


def test_values_conform_to_schemas_as_labelled(shared_data):
    """The cases have values for primitives and for elements of their model; each becomes a property of a twin."""
    wrong, count = [], 0
    for case in cases(shared_data):
        for sample in case.get("instances", []):
            subject = sample["subject"]
            schemas = [s["@id"] for s in _schemas(case) if isinstance(s, dict) and "@id" in s]
            primitive = subject.startswith("dtmi:dtdl:instance:Schema:")
            if "conforms" not in sample or not (primitive or subject in schemas):
                continue
            try:
                value = json.loads(sample["submit"])
            except ValueError:
                continue  # not JSON: refused before any schema is asked
            count += 1
            document = case["input"][0] if isinstance(case["input"], list) else case["input"]
            term = subject.rsplit(":", 1)[-1].partition(";")[0] if primitive else subject
            probe = {"@type": "Property", "name": "probe", "schema": term}
            # Telemetry schemas of DTDL v2 may hold arrays, which a v2 property may not: such a case cannot be a twin's.
            report = validate({**document, "contents": [probe]})
            if not report.valid:
                continue
            models = parse({**document, "contents": [probe]})
            faults = check_twin(models, {"$metadata": {"$model": document["@id"]}, "probe": value})
            if (not faults) != sample["conforms"]:
                wrong.append((case["name"], sample["submit"], sample["conforms"]))
    assert wrong == []
    assert count > 300


def _schemas(case: dict[str, Any]) -> list[Any]:
    document = case["input"][0] if isinstance(case["input"], list) else case["input"]
    found = document.get("schemas", []) if isinstance(document, dict) else []
    return found if isinstance(found, list) else [found]
