"""What is wrong is named by the official rule, at its line and column, with what to do."""

from __future__ import annotations

import pytest
from documents import QUANTITIES, V2, V3, interface, objects, prop, text

from remhart_adt.dtdl import parse, validate
from remhart_adt.dtdl.options import Options
from remhart_adt.errors import DtdlError

VELOCITY = {"@type": ["Property", "Velocity"], "name": "v", "schema": "double", "unit": "metrePerSecond"}
RULES = [
    ("missingContext", {"@id": "dtmi:test:A;1", "@type": "Interface"}),
    ("emptyContext", interface(context=[])),
    ("missingDtdlContext", interface(context="dtmi:other:context;1")),
    ("unrecognizedContextVersion", interface(context="dtmi:dtdl:context;1")),
    ("unresolvableContextSpecifier", interface(context=[V3, "dtmi:example:mine;1"])),
    ("unresolvableContextVersion", interface(context=[V3, "dtmi:dtdl:extension:historization;9"])),
    ("missingLimitContext", interface(context="dtmi:dtdl:context;4#limitless")),
    ("disallowedLocalContext", interface(context=[V3, {"a": "b"}])),
    ("missingTopLevelId", {"@context": V3, "@type": "Interface"}),
    ("invalidId", {**interface(), "@id": "dtmi:test:_A;1"}),
    ("invalidId", {**interface(context=V2), "@id": "dtmi:test:A"}),
    ("reservedId", {**interface(), "@id": "dtmi:dtdl:mine;1"}),
    ("idTooLongForType", {**interface(), "@id": "dtmi:test:" + "a" * 120 + ";1"}),
    ("typeNotRootable", {**interface(), "@type": "Telemetry", "name": "t", "schema": "double"}),
    ("topLevelGraphDisallowed", interface(**{"@graph": []})),
    ("topLevelKeywordDisallowed", interface(**{"@foo": 1})),
    ("propertyUndefinedTerm", interface(colour="red")),
    ("noTypeThatAllows", interface(context=V2, colour="red")),
    ("typeUndefinedTerm", interface(contents=[{**prop(), "@type": ["Property", "Fancy"]}])),
    ("badType", interface(contents=[prop(schema={"@type": "Telemetry", "name": "t", "schema": "double"})])),
    ("badType", interface(contents=[{"name": "x", "schema": "double"}])),
    ("multipleMaterialTypes", interface(contents=[{**prop(), "@type": ["Property", "Telemetry"]}])),
    ("badDtmiOrTerm", interface(contents=[prop(schema="number")])),
    ("missingObjectProperty", interface(contents=[{"@type": "Property", "name": "p"}])),
    ("missingDtmiSegPropertyValue", interface(contents=[{"@type": "Property", "schema": "double"}])),
    ("stringInvalid", interface(contents=[prop("p_")])),
    ("stringInvalid", interface(contents=[prop("p\n")])),
    ("stringTooLong", interface(context=V2, contents=[prop("p" * 65)])),
    ("stringTooLong", interface(comment="\U0001f600" * 257)),
    ("langStringValueTooLong", interface(displayName={"en": "n" * 513})),
    ("langStringInvalidCode", interface(displayName={"en_US": "n"})),
    ("nonUniquePropertyValue", interface(contents=[prop("a"), prop("a", "string")])),
    ("objectMultipleValues", interface(contents=[prop(schema=["double", "string"])])),
    ("idReference", interface(contents=[prop(schema={"@id": "dtmi:test:S;1"})])),
    ("booleanNotBoolean", interface(contents=[prop(writable="yes")])),
    ("integerNotInteger", interface(contents=[{"@type": "Relationship", "name": "r", "maxMultiplicity": True}])),
    ("valueNotExact", interface(contents=[{"@type": "Relationship", "name": "r", "minMultiplicity": 1}])),
    (
        "valueAboveRange",
        interface(context=V2, contents=[{"@type": "Relationship", "name": "r", "maxMultiplicity": 501}]),
    ),
    ("identifierNotDtmi", interface(contents=[{"@type": "Relationship", "name": "r", "target": "Room"}])),
    ("missingRequiredId", interface(schemas=[{"@type": "Array", "elementSchema": "double"}])),
    ("incorrectPropertyValue", interface(contents=[prop(schema={"@type": "Enum", "valueSchema": "double"})])),
    (
        "nonConformantDatatype",
        interface(
            contents=[
                prop(
                    schema={"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": "1"}]}
                )
            ]
        ),
    ),
    ("excessiveDepthWide", interface(contents=[prop(schema=objects(6))])),
    ("excludedType", interface(context=V2, contents=[prop(schema={"@type": "Array", "elementSchema": "double"})])),
    ("excludedType", interface(context=V2, contents=[prop(schema="point")])),
    ("recursiveStructureNarrow", interface(extends="dtmi:test:A;1")),
    ("undefinedReservedId", interface(extends="dtmi:dtdl:Thing;3")),
    (
        "missingSupplementalObjectProperty",
        interface(
            context=QUANTITIES,
            contents=[{key: VELOCITY[key] for key in ("@type", "name", "schema")}],
        ),
    ),
    ("wrongParent", interface(context=QUANTITIES, contents=[{**VELOCITY, "unit": "volt"}])),
    ("notRequiredType", interface(context=V2, contents=[{**VELOCITY, "unit": "volt"}])),
    ("notRequiredType", interface(context=QUANTITIES, contents=[{**VELOCITY, "schema": "string"}])),
    ("invalidCotype", interface(context=QUANTITIES, contents=[{"@type": ["Command", "Velocity"], "name": "c"}])),
    ("typeUndefinedTerm", interface(contents=[VELOCITY])),
]


@pytest.mark.parametrize(("rule", "document"), RULES, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(RULES)])
def test_a_broken_rule_is_named(rule, document):
    report = validate(text(document))

    assert not report.valid
    assert rule in {problem.rule for problem in report.errors}
    problem = next(p for p in report.errors if p.rule == rule)
    assert problem.message.endswith(".")
    assert problem.remedy.endswith(".")
    assert "{" not in problem.message + problem.remedy
    assert problem.place.line == 1
    assert problem.place.column > 0


def test_the_place_is_the_line_and_column_of_the_value_and_the_path_is_a_json_pointer():
    report = validate(
        '{\n  "@context": "dtmi:dtdl:context;3",\n  "@id": "dtmi:test:A;1", "@type": "Interface",\n'
        '  "contents": [\n    {"@type": "Property", "name": "a", "schema": "double"},\n'
        '    {"@type": "Property", "name": "b", "schema": "flaot"}\n  ]\n}'
    )
    problem = report.errors[0]

    assert (problem.rule, problem.place.line, problem.place.column) == ("badDtmiOrTerm", 6, 50)
    assert problem.path == "/contents/1/schema"
    assert problem.element == "dtmi:test:A:_contents:__b;1"
    assert problem.id == "dtmi:dtdl:parsingError:badDtmiOrTerm"


def test_every_problem_of_every_file_is_reported_at_once(tmp_path):
    (tmp_path / "a.json").write_text(text(interface("A", contents=[prop("a_"), prop("b", "number")])))
    (tmp_path / "b.json").write_text('{"@context": ')
    (tmp_path / "c.json").write_text(text(interface("C", colour=1)))

    report = validate(tmp_path)

    assert {(p.place.file.rsplit("/", 1)[-1], p.rule) for p in report.errors} == {
        ("a.json", "stringInvalid"),
        ("a.json", "badDtmiOrTerm"),
        ("a.json", "objectCountBelowMin"),
        ("b.json", "invalidJson"),
        ("c.json", "propertyUndefinedTerm"),
    }


def test_an_interface_defined_in_two_files_is_reported_with_both(tmp_path):
    (tmp_path / "first.json").write_text("\n" + text(interface("A")))
    (tmp_path / "second.json").write_text(text(interface("A")))

    (problem,) = validate(tmp_path).errors

    assert problem.rule == "duplicateDefinition"
    assert problem.place.file.endswith("second.json")
    assert "first.json:2:2" in problem.message


@pytest.mark.parametrize(
    ("more", "rule"),
    [('"@id":"dtmi:b;1"', "repeatedIdProperty"), ('"comment":"x","comment":"y"', "duplicatePropertyName")],
)
def test_repeated_keys_are_noticed(more, rule):
    report = validate('{"@context":"dtmi:dtdl:context;3","@id":"dtmi:a;1","@type":"Interface",' + more + "}")
    assert [p.rule for p in report.errors] == [rule]


def test_a_version_above_the_newest_one_asked_for_is_refused():
    report = validate(interface(context="dtmi:dtdl:context;4"), options=Options(max_version=3))
    assert [p.rule for p in report.errors] == ["disallowedContextVersion"]


def test_parse_raises_with_the_whole_report_and_names_the_first():
    with pytest.raises(DtdlError, match=r"text 1:1:\d+: .*'number'.*\(and 1 more\)") as caught:
        parse(text(interface(contents=[prop(schema="number")])))
    assert len(caught.value.report.errors) == 2


def test_an_unresolved_reference_names_the_dtmi_and_the_places_that_need_it():
    report = validate(text(interface(extends="dtmi:test:Base;1"), interface("B", extends="dtmi:test:Base;1")))
    (missing,) = report.unresolved

    assert not report.valid
    assert missing.dtmi == "dtmi:test:Base;1"
    assert len(missing.places) == 2


def test_a_relationship_target_need_not_exist():
    assert validate(
        text(interface(contents=[{"@type": "Relationship", "name": "r", "target": "dtmi:test:Gone;1"}]))
    ).valid


@pytest.mark.parametrize(
    ("rule", "documents"),
    [
        ("disallowedVersionReference", [interface(context=V2, extends="dtmi:test:B;1"), interface("B")]),
        ("badType", [interface(contents=[prop(schema="dtmi:test:B;1")]), interface("B")]),
        (
            "crossPartitionReference",
            [
                interface(contents=[prop(schema="dtmi:test:S;1")]),
                interface("B", schemas=[{"@id": "dtmi:test:S;1", "@type": "Array", "elementSchema": "double"}]),
            ],
        ),
        (
            "nonUniqueImportedPropertyValue",
            [interface(extends="dtmi:test:B;1", contents=[prop()]), interface("B", contents=[prop()])],
        ),
        (
            "excludedType",
            [
                interface(contents=[{"@type": "Component", "name": "c", "schema": "dtmi:test:B;1"}]),
                interface("B", extends="dtmi:test:C;1"),
                interface("C", contents=[{"@type": "Component", "name": "d", "schema": "dtmi:test:D;1"}]),
                interface("D"),
            ],
        ),
        (
            "excessiveDepthNarrow",
            [interface(f"N{n}", **({"extends": f"dtmi:test:N{n + 1};1"} if n < 11 else {})) for n in range(12)],
        ),
        (
            "recursiveStructureWide",
            [interface(schemas=[{"@id": "dtmi:test:S;1", "@type": "Array", "elementSchema": "dtmi:test:S;1"}])],
        ),
    ],
)
def test_rules_across_interfaces(rule, documents):
    assert {p.rule for p in validate(*documents).errors} == {rule}


@pytest.mark.parametrize("depth", [10, 11])
def test_a_chain_of_eleven_interfaces_is_the_longest(depth):
    chain = [
        interface(f"N{n}", **({"extends": f"dtmi:test:N{n + 1};1"} if n < depth else {})) for n in range(depth + 1)
    ]
    assert validate(*chain).valid is (depth == 10)


def test_the_adt_profile_adds_the_services_own_rules():
    inner = interface("Inner")
    document = interface(
        contents=[{"@type": "Component", "name": "c", "schema": inner}, {"@type": "Command", "name": "go"}]
    )

    assert validate(document).valid
    report = validate(document, profile="adt")
    assert [p.rule for p in report.errors] == ["inlineInterface"]
    assert [p.rule for p in report.warnings] == ["commandNotRunnable"]
    with pytest.raises(DtdlError, match="profile"):
        validate(document, profile="mars")
