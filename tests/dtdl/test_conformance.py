"""The published cases are judged as labelled: a fixed sample, and every case that was judged wrong before."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from documents import V2, interface, prop

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import conformance_cases  # noqa: E402
from conformance import explain, main, rate, run_all  # noqa: E402
from conformance_cases import CRASH, Case, judge, load, run  # noqa: E402

REASONS = json.loads((DATA / "disagreements.json").read_text(encoding="utf-8"))
SAMPLE = 8  # every so many-th case, by a number made of its name, so that it is always the same ones
# What at least has to be right: in validity, in ids among those expected, in ids that are the same.
DEMANDED = {
    "specification": (0.999, 1, 1),
    "doc-examples": (0.999, 1, 1),
    "dtmi": (0.999, 1, 1),
    "solecisms": (0.999, 1, 1),
    "generated": (0.995, 0.97, 1),
    "oracle_mutants": (0.995, 0.97, 0.9),
}


FORMER = frozenset(json.loads((DATA / "former_failures.json").read_text(encoding="utf-8")))


def sampled(case: Case) -> bool:
    """The small suites are run in full, of the large ones always the same few."""
    large = case.suite in ("specification", "generated", "oracle_mutants")
    return not large or zlib.crc32(case.name.encode()) % SAMPLE == 0


@pytest.fixture(scope="module")
def judged(shared_data):
    """The sample and the former failures, run."""
    cases = list(load(shared_data / "dtdl" / "cases.ndjson.gz"))
    assert [case for case in cases if not isinstance(case, Case)] == []
    assert {case.name for case in cases} >= FORMER
    return run_all([case for case in cases if sampled(case) or case.name in FORMER], processes=1)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("suite", DEMANDED)
def test_a_suite_is_judged_as_well_as_demanded(judged, suite):
    inside = [one for one in judged if one.case.suite == suite and sampled(one.case)]
    for part, demanded in zip(("valid", "ids", "same"), DEMANDED[suite], strict=True):
        right, of = rate(inside, part)
        assert right >= demanded * of, f"{part}: {right} of {of}"
    assert len(inside) > 20


@pytest.mark.shared
@pytest.mark.slow
def test_every_disagreement_has_its_reason_and_nothing_crashes(judged):
    disagreements = [one for one in judged if one.verdict.wrong or one.outcome.crash]
    _, amiss = explain(disagreements, REASONS)

    assert [fault for fault in amiss if not fault.startswith("no disagreement needs")] == []
    assert [one.outcome.crash for one in judged if one.outcome.crash] == []
    assert len(judged) > 4000


def test_the_page_names_every_disagreement_with_its_reason():
    page = (ROOT / "docs" / "dtdl-conformance.md").read_text(encoding="utf-8")

    assert [name for name in REASONS if f"`{name.rstrip('*')}" not in page] == []
    assert [reason for reason in REASONS.values() if f"**{reason}**" not in page] == []


def case(**data: Any) -> Case:
    """One case, by way of a file."""
    return Case(data.get("name", "x"), data.get("suite", "own"), "-", data, json.dumps(data))


CUSTOM = [V2, "dtmi:example:custom;1"]


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"input": interface(context=CUSTOM)}, True),
        ({"input": interface(context=CUSTOM), "options": ["DisallowUndefinedExtensions"]}, False),
        ({"input": interface(context=["dtmi:dtdl:context;3", CUSTOM[1]])}, False),
        (
            {"input": interface(context=["dtmi:dtdl:context;3", CUSTOM[1]]), "options": ["AllowUndefinedExtensions"]},
            True,
        ),
        ({"input": interface(), "maxDtdlVersion": 3}, True),
        ({"input": interface(), "maxDtdlVersion": 2}, False),
        ({"input": interface(context=["dtmi:dtdl:context;4#limitless", "dtmi:dtdl:limits:onvif;1"])}, False),
        (
            {
                "input": interface(context=["dtmi:dtdl:context;4#limitless", "dtmi:dtdl:limits:onvif;1"]),
                "acceptableLimits": ["dtmi:dtdl:limits:onvif"],
            },
            True,
        ),
        ({"input": interface(context=V2, contents=[prop("a"), prop("a")])}, False),
        (
            {"input": interface(context=V2, contents=[prop("a"), prop("a")]), "quirks": ["TolerateSolecismsInParse"]},
            True,
        ),
    ],
)
def test_what_a_case_asks_for_is_honoured(data, valid):
    assert run(case(**data)).valid is valid


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        (interface(), set()),
        ([interface("A", extends="dtmi:test:B;1"), interface("B")], set()),
        ([[interface("A", extends="dtmi:test:B;1"), interface("B")]], set()),
        (json.dumps(interface()), set()),
        ([json.dumps(interface()), interface("B")], set()),
        ('{"@id": 1, "@id": 2}', {"repeatedIdProperty"}),
        ("{", {"invalidJson"}),
        ([None], {"notJsonObject"}),
        (["hello"], {"notJsonObject"}),
        ("", {"invalidJson"}),
        ([], set()),
    ],
)
def test_documents_may_be_given_as_json_and_as_text(given, rules):
    assert {name.rsplit(":", 1)[-1] for name in run(case(input=given)).ids} == rules


def test_repeated_keys_reach_the_parser_as_they_are_written():
    line = (
        '{"input": [{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a;1", "@id": "dtmi:a;1", "@type": "Interface"}]}'
    )
    outcome = run(Case("x", "own", "-", json.loads(line), line))

    assert [name.rsplit(":", 1)[-1] for name in outcome.ids] == ["repeatedIdProperty"]


def test_a_resolver_answers_from_the_case_until_it_refuses():
    first, second = interface("A", extends="dtmi:test:B;1"), interface("B", extends="dtmi:test:C;1")
    asked = [
        {"request": ["dtmi:test:C;1"], "response": None},
        {"request": ["dtmi:test:B;1"], "response": [second]},
    ]

    refused = run(case(input=first, resolution=asked))
    answered = run(case(input=first, resolution=[{**asked[0], "response": [interface("C")]}, asked[1]]))

    assert (refused.valid, refused.unresolved) == (False, ("dtmi:test:C;1",))
    assert (answered.valid, answered.unresolved) == (True, ())


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"idText": "dtmi:a:b;1.2", "valid": True, "expect": {"MinorVersion": 2, "Labels": ["a", "b"]}}, ()),
        ({"idText": "dtmi:a:b;1.2", "valid": True, "expect": {"MinorVersion": 3}}, ("valid",)),
        ({"idText": "dtmi:a:b;0", "valid": False, "expect": None}, ()),
        ({"input": interface(), "valid": False, "expectedErrorIds": ["dtmi:dtdl:parsingError:x"]}, ("valid", "ids")),
        ({"input": interface(extends="dtmi:test:B;1"), "valid": False, "unresolvedIdentifiers": ["dtmi:test:B;1"]}, ()),
        ({"input": interface(), "valid": True, "unresolvedIdentifiers": ["dtmi:test:B;1"]}, ("unresolved",)),
        ({"input": interface(), "suite": "oracle_mutants", "expectedErrorIds": ["dtmi:x:y"]}, ("ids", "same")),
        ({"input": interface(unknown=1), "suite": "oracle_mutants", "expectedErrorIds": []}, ("same",)),
        ({"input": interface()}, ()),
    ],
)
def test_an_outcome_is_held_against_what_the_case_says_and_no_more(data, wrong):
    assert set(judge(case(**data), run(case(**data))).wrong) - {"unresolved"} == set(wrong) - {"unresolved"}
    assert ("unresolved" in wrong) == ("unresolved" in judge(case(**data), run(case(**data))).wrong)


def conformance(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["conformance", "dtdl", *map(str, arguments), "--processes", "1"])
    return main()


def test_results_are_one_line_a_case_whatever_a_line_lacks(monkeypatch, tmp_path, capsys):
    lines = [
        {"name": "good", "input": interface()},
        {"name": "bad", "input": interface(extends="dtmi:test:B;1", contents=[]), "valid": True},
        {},
    ]
    file, out = tmp_path / "cases.ndjson.gz", tmp_path / "out.ndjson"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))

    assert conformance(monkeypatch, "--cases", file, "--results", out, "--failures", tmp_path / "bad.ndjson") == 0

    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"name": "good", "valid": True, "ids": [], "unresolved": []},
        {"name": "bad", "valid": False, "ids": [], "unresolved": ["dtmi:test:B;1"]},
        {"name": "line 3", "valid": False, "ids": ["dtmi:dtdl:parsingError:notJsonObject"], "unresolved": []},
    ]
    assert [json.loads(line)["name"] for line in (tmp_path / "bad.ndjson").read_text().splitlines()] == ["bad"]
    assert capsys.readouterr().out == ""


def test_a_crash_is_an_outcome_and_ends_with_exit_code_1(monkeypatch, tmp_path, capsys):
    def crash(*_sources: str, **_options: Any) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(conformance_cases, "validate", crash)
    file, out = tmp_path / "cases.ndjson", tmp_path / "out.ndjson"
    file.write_text('{"name": "a", "input": {}}\nno JSON\n\n{"name": "b", "idText": "dtmi:a;1"}\n')

    assert conformance(monkeypatch, "--cases", file, "--results", out) == 1

    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(one["name"], one["valid"], one["ids"]) for one in found] == [("a", False, [CRASH]), ("b", True, [])]
    said = capsys.readouterr().err
    assert "too deep" in said
    assert "line 2 is no case" in said


def test_a_disagreement_without_a_reason_and_a_reason_without_one_are_refused(monkeypatch, tmp_path, capsys):
    file, page, reasons = tmp_path / "cases.ndjson", tmp_path / "page.md", tmp_path / "reasons.json"
    file.write_text(json.dumps({"name": "a/1", "suite": "own", "input": interface(), "valid": False}))
    marks = (ROOT / "docs" / "dtdl-conformance.md").read_text(encoding="utf-8")
    begin, end = (next(line for line in marks.splitlines() if word in line) for word in ("writes from", "to here"))
    page.write_text(f"# Page\n{begin}\nold\n{end}\nthe end\n")

    reasons.write_text('{"b": "Because."}')
    assert conformance(monkeypatch, "--cases", file, "--doc", page, "--reasons", reasons) == 1
    said = capsys.readouterr().err
    assert "no reason for a/1" in said
    assert "no disagreement needs the reason of b" in said

    reasons.write_text('{"a/*": "Because."}')
    assert conformance(monkeypatch, "--cases", file, "--doc", page, "--reasons", reasons) == 0
    written = page.read_text()
    assert written.startswith(f"# Page\n{begin}\n| suite |")
    assert "**Because.** (1)\n\n- `a/1`: validity\n" in written
    assert written.endswith(f"{end}\nthe end\n")
    assert "old" not in written


@pytest.mark.parametrize("verb", ["conformance", "fuzz"])
def test_the_scripts_run_outside_of_an_activated_environment(verb):
    if not (ROOT / ".venv").is_dir():
        pytest.skip("the scripts use the environment that make test creates")
    done = subprocess.run(
        [ROOT / "scripts" / verb, "dtdl", "--help"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )

    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
