"""Whatever comes, it ends in a report or a DtdlError: documents made by hypothesis, and sound ones broken at random."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import interface
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import fuzz  # noqa: E402
from fuzz import Input, check, make, smaller  # noqa: E402
from fuzz_mutate import read_corpus  # noqa: E402
from remhart_adt.dtdl import Options, Problem, Report  # noqa: E402
from remhart_adt.resources import dtdl_dir  # noqa: E402

INPUTS = 400  # of the mutator; scripts/fuzz runs as many as one likes

TERMS = """
    Interface Property Telemetry Command Relationship Component Object Array Map Enum Field Voltage double integer
    string name schema contents extends volt en dtmi:test:A;1 dtmi:test:B;1 dtmi:dtdl:context;2 dtmi:dtdl:context;3
    dtmi:dtdl:context;4 dtmi:dtdl:extension:quantitativeTypes;1 dtmi:dtdl:instance:Schema:double;2
"""
MEMBERS = """
    @id @type @context @value @language name schema contents extends schemas fields enumValues enumValue valueSchema
    elementSchema mapKey mapValue request response properties target unit displayName description comment writable
    minMultiplicity maxMultiplicity
"""
WORDS, KEYS = st.sampled_from(TERMS.split()), st.sampled_from(MEMBERS.split())
SCALARS = st.one_of(
    WORDS,
    WORDS,
    st.text(st.characters(codec=None), max_size=5),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.integers(10**400, 10**400 + 1),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=6),
    max_leaves=12,
)


def mostly(sound: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Something sound, so that what is around it is looked at, and now and then anything at all."""
    return st.integers(0, 9).flatmap(lambda n: sound if n else JSON)


NAMES = mostly(st.sampled_from(["a", "b", "c"]))
NAMED = {"@type": WORDS, "name": NAMES, "displayName": JSON, "comment": JSON}
SCHEMAS = st.recursive(
    mostly(WORDS),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"@type": st.just("Array")}, optional={"elementSchema": inner}),
        st.fixed_dictionaries(
            {"@type": st.just("Object")},
            optional={"fields": st.lists(st.fixed_dictionaries({}, optional={**NAMED, "schema": inner}), max_size=3)},
        ),
        st.fixed_dictionaries(
            {"@type": st.just("Map")},
            optional={key: st.fixed_dictionaries({"name": NAMES, "schema": inner}) for key in ("mapKey", "mapValue")},
        ),
        st.fixed_dictionaries(
            {"@type": st.just("Enum"), "valueSchema": mostly(st.sampled_from(["integer", "string"]))},
            optional={"enumValues": st.lists(st.fixed_dictionaries({"name": NAMES, "enumValue": SCALARS}), max_size=3)},
        ),
    ),
    max_leaves=4,
)
PAYLOADS = mostly(st.fixed_dictionaries({"name": NAMES, "schema": SCHEMAS}))
CONTENTS = st.fixed_dictionaries(
    {
        "@type": st.sampled_from(["Property", "Telemetry", "Command", "Relationship", "Component"])
        | st.just(["Property", "Voltage"]),
        "name": NAMES,
    },
    optional={"schema": SCHEMAS, "request": PAYLOADS, "response": PAYLOADS, "unit": mostly(WORDS), "writable": JSON}
    | {"target": mostly(WORDS), "maxMultiplicity": JSON, "description": JSON, "@id": WORDS, "@context": WORDS},
)
MODELS = st.fixed_dictionaries(
    {
        "@context": mostly(st.sampled_from([f"dtmi:dtdl:context;{n}" for n in (2, 3, 4)])),
        "@id": mostly(st.sampled_from(["dtmi:test:A;1", "dtmi:test:B;1", "dtmi:test:C;1"])),
        "@type": st.just("Interface"),
    },
    optional={"contents": mostly(st.lists(CONTENTS, max_size=4)), "extends": mostly(WORDS)}
    | {"schemas": st.lists(SCHEMAS, max_size=2), "displayName": JSON},
)
OPTIONS = st.builds(
    Options,
    undefined_extensions=st.sampled_from(["per version", "always", "never"]),
    max_version=st.integers(2, 4),
    limit_contexts=st.sampled_from([(), ("dtmi:dtdl:limits:onvif",)]),
    tolerate_solecisms=st.booleans(),
    max_bytes=st.sampled_from([8 << 20, 100]),
    max_depth=st.sampled_from([512, 3]),
)
EACH = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PROFILES = st.sampled_from([None, "adt"])


@pytest.mark.slow
@EACH
@given(st.lists(MODELS, min_size=1, max_size=3), OPTIONS, PROFILES)
def test_no_document_ends_in_anything_but_a_report(models, options, profile):
    assert check(Input(tuple(models), options, profile)) is None


@pytest.mark.slow
@EACH
@given(JSON | MODELS, OPTIONS, PROFILES)
def test_no_json_text_ends_in_anything_but_a_report(value, options, profile):
    assert check(Input((json.dumps(value),), options, profile)) is None


@pytest.mark.slow
@EACH
@given(st.text() | st.binary(), OPTIONS)
def test_no_text_or_file_ends_in_anything_but_a_report(source, options):
    assert check(Input((source,), options)) is None


@pytest.mark.slow
def test_sound_documents_broken_at_random_end_in_a_report():
    corpus = read_corpus(dtdl_dir(), None)
    failures = {number: said for number in range(INPUTS) if (said := check(make(number, 1, corpus))) is not None}

    assert failures == {}


def test_a_number_always_makes_the_same_input():
    first, second = read_corpus(dtdl_dir(), None), read_corpus(dtdl_dir(), None)

    assert [repr(make(n, 7, first)) for n in range(50)] == [repr(make(n, 7, second)) for n in range(50)]
    assert repr(make(0, 7, first)) != repr(make(0, 8, first)) != repr(make(1, 8, first))


def failing(monkeypatch, said: Any) -> None:
    """Puts something else in the place of `validate`: an exception, a report, or a function of the sources."""

    def instead(*sources: Any, **_asked: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said(*sources) if callable(said) else said

    monkeypatch.setattr(fuzz, "validate", instead)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (KeyError("x"), "KeyError in test_fuzz.py, instead"),
        (RecursionError(), "RecursionError in test_fuzz.py, instead"),
        (Report((Problem("dtmi:dtdl:parsingError:x", "m", ""),)), "a problem has no remedy"),
        (Report((Problem("dtmi:dtdl:parsingError:x", "m", "r"),)), "a problem has no file"),
        (Report((Problem("x", "m", "r"),)), "a problem has a foreign id"),
        (Report((Problem("remhart:dtdl:", "m", "r"),)), "a problem has a foreign id"),
    ],
)
def test_what_may_not_be_is_noticed_and_named(monkeypatch, said, kind):
    failing(monkeypatch, said)
    found = check(Input((interface(),), Options()))

    assert found is not None
    assert found.splitlines()[0] == kind


def test_a_verdict_that_parse_does_not_share_is_noticed(monkeypatch):
    failing(monkeypatch, Report())
    assert str(check(Input(("{",), Options()))).startswith("validate finds it valid, parse does not")


def test_slow_input_is_noticed(monkeypatch):
    monkeypatch.setattr(fuzz, "SLOW", 0.0)
    assert str(check(Input((interface(),), Options()))).startswith("too slow")


def test_a_failing_input_is_made_smaller(monkeypatch):
    def needs_a_bang(*sources: Any) -> Report:
        if any("!" in source for source in sources):
            raise ZeroDivisionError
        return Report()

    failing(monkeypatch, needs_a_bang)
    found = smaller(Input(("{" + "x" * 500, "y" * 90 + "!" + "z" * 300), Options(), None, ()))

    assert found == Input(("!",), Options())


def test_a_run_tells_what_it_did_and_keeps_what_failed(monkeypatch, tmp_path, capsys):
    arguments = ["fuzz", "dtdl", "--inputs", "60", "--processes", "1", "--folder", str(tmp_path / "kept")]
    monkeypatch.delenv("REMHART_TEST_DATA", raising=False)
    monkeypatch.setattr(fuzz, "_prepare", lambda _data: None)

    monkeypatch.setattr(sys, "argv", arguments)
    assert fuzz.main() == 0
    assert "60 inputs" in capsys.readouterr().out
    assert not (tmp_path / "kept").exists()

    failing(monkeypatch, KeyError("x"))  # the processes are forked, so they have it too
    assert fuzz.main() == 1
    said = capsys.readouterr()
    assert "60 failures (seed 1)" in said.out
    assert "60 x KeyError in test_fuzz.py, instead" in said.err
    (kept,) = (tmp_path / "kept").iterdir()
    assert json.loads(kept.read_text())["what"].startswith("KeyError in test_fuzz.py")

    monkeypatch.setattr(sys, "argv", [*arguments, "--seconds", "0"])
    assert fuzz.main() == 1
    assert "time was up after 0 of 60 inputs" in capsys.readouterr().err
