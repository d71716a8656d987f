"""Texts, files, folders and decoded JSON; what is skipped and what is only a warning."""

from __future__ import annotations

import json

import pytest
from documents import V3, interface, prop, text

from remhart_adt.dtdl import parse, validate
from remhart_adt.errors import DtdlError


def test_text_file_folder_and_decoded_json_mean_the_same(tmp_path):
    document = interface(contents=[prop()])
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document))

    for source in (json.dumps(document), file, tmp_path, document, [document], [[document]]):
        assert list(parse(source)) == ["dtmi:test:A;1"]


def test_a_byte_order_mark_is_skipped(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" + text(interface()).encode())
    assert len(parse(file)) == 1
    assert len(parse("\ufeff" + text(interface()))) == 1


def test_folders_are_read_in_order_without_dot_folders_and_other_files(tmp_path):
    for place in ("b.json", "a/z.json", ".git/hidden.json", "a/notes.txt"):
        file = tmp_path / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(text(interface(file.stem.upper())))

    assert list(parse(tmp_path)) == ["dtmi:test:B;1", "dtmi:test:Z;1"]


@pytest.mark.parametrize("other", ['{"name": "package"}', "[1, 2]", '"text"', "[]", "[[{}]]"])
def test_json_in_a_folder_that_is_no_interface_is_only_a_warning(tmp_path, other):
    (tmp_path / "a.json").write_text(text(interface()))
    (tmp_path / "package.json").write_text(other)

    report = validate(tmp_path)

    assert report.valid
    assert [(p.rule, p.severity) for p in report] == [("notAnInterface", "warning")]
    assert parse(tmp_path).report.warnings == report.warnings


def test_the_same_json_given_by_name_is_an_error(tmp_path):
    file = tmp_path / "package.json"
    file.write_text('{"name": "package"}')
    assert {p.rule for p in validate(file).errors} == {"missingContext"}


def test_a_missing_path_a_binary_file_and_a_folder_named_like_a_file(tmp_path):
    with pytest.raises(DtdlError, match="no such file"):
        parse(tmp_path / "gone.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.json").mkdir()
    assert [p.rule for p in validate(tmp_path).errors] == ["unreadable"]


def test_the_resolver_is_asked_until_nothing_is_missing():
    store = {f"dtmi:test:{n};1": interface(n, extends=f"dtmi:test:{after};1") for n, after in ("BC", "CD")}
    store["dtmi:test:D;1"] = interface("D")
    asked: list[list[str]] = []

    def resolver(dtmis):
        asked.append(list(dtmis))
        return [store[d] for d in dtmis if d in store]

    models = parse(interface(extends="dtmi:test:B;1"), resolver=resolver)

    assert asked == [["dtmi:test:B;1"], ["dtmi:test:C;1"], ["dtmi:test:D;1"]]
    assert models.ancestors("dtmi:test:A;1") == ("dtmi:test:B;1", "dtmi:test:C;1", "dtmi:test:D;1")


def test_a_resolver_that_does_not_know_is_asked_once():
    calls = []
    report = validate(interface(extends="dtmi:test:B;1"), resolver=lambda dtmis: calls.append(dtmis) or {})
    assert len(calls) == 1
    assert [missing.dtmi for missing in report.unresolved] == ["dtmi:test:B;1"]


def test_problems_in_resolved_documents_are_reported_too():
    report = validate(
        interface(extends="dtmi:test:B;1"), resolver=lambda dtmis: {d: interface("B", foo=1) for d in dtmis}
    )
    assert {p.rule for p in report.errors} == {"propertyUndefinedTerm"}


def test_contexts_may_be_repeated_inside_and_add_extensions():
    telemetry = {
        "@context": "dtmi:dtdl:extension:quantitativeTypes;1",
        "@type": ["Telemetry", "Voltage"],
        "name": "u",
        "schema": "double",
        "unit": "volt",
    }
    assert parse(interface(context=V3, contents=[telemetry]))["dtmi:test:A;1"].contents["u"].unit == "volt"
