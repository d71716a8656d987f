"""What changed between two sets of interfaces: versions, inheritance, definitions, and the answer itself."""

from __future__ import annotations

import pytest
from changes import command, component, enum, field, grades, obj, relationship, version
from documents import V2, V3, interface, prop, text

from remhart_adt.dtdl.evolution.compare import Change, diff
from remhart_adt.errors import DtdlError

# --- interfaces, versions, inheritance --------------------------------------------------------------------------------


def test_a_model_that_changed_under_its_dtmi_is_named():
    found = diff(interface(contents=[prop()]), interface(contents=[prop(), prop("q")]))
    assert found.verdict == "needs a new version"
    assert found.same_id == ("dtmi:test:A;1",)
    assert [(c.element, c.verdict) for c in found.changes] == [
        ("@id", "needs a new version"),
        ("contents/q", "needs a new version"),
    ]
    assert "dtmi:test:A;2" in found.changes[0].what

    breaking = diff(interface(contents=[prop()]), interface())
    assert (breaking.verdict, breaking.same_id) == ("breaking", ("dtmi:test:A;1",))


def test_a_newer_version_is_compared_with_the_older_one():
    found = diff(interface(contents=[prop()]), version(interface(contents=[prop(), prop("q")]), 2))
    assert found.pairs == (("dtmi:test:A;1", "dtmi:test:A;2"),)
    assert (found.verdict, found.same_id, found.added, found.removed) == ("compatible", (), (), ())
    assert {c.interface for c in found.changes} == {"dtmi:test:A;2"}


def test_the_newest_of_several_newer_versions_counts_and_every_old_one_leads_to_it():
    one = interface()
    found = diff([one, version(one, 2)], [version(one, 9), version(one, 10)])
    assert found.pairs == (("dtmi:test:A;1", "dtmi:test:A;10"), ("dtmi:test:A;2", "dtmi:test:A;10"))
    assert found.added == ("dtmi:test:A;9",)


def test_a_version_that_is_dropped_while_a_newer_one_stays_is_gone():
    one = interface()
    found = diff([one, version(one, 2)], version(one, 2))
    assert (found.removed, found.verdict) == (("dtmi:test:A;1",), "breaking")


def test_a_newer_version_beside_the_old_one_is_only_added():
    found = diff(interface(contents=[prop()]), [interface(contents=[prop()]), version(interface(), 2)])
    assert (found.verdict, found.added) == ("compatible", ("dtmi:test:A;2",))


def test_interfaces_that_come_and_go():
    found = diff([interface("A"), interface("B")], [interface("C"), interface("A")])
    assert (found.added, found.removed) == (("dtmi:test:C;1",), ("dtmi:test:B;1",))
    assert [(c.interface, c.element, c.verdict) for c in found.changes] == [
        ("dtmi:test:B;1", "", "breaking"),
        ("dtmi:test:C;1", "", "compatible"),
    ]
    assert list(found.by_interface()) == ["dtmi:test:A;1", "dtmi:test:B;1", "dtmi:test:C;1"]
    assert [found.verdict_of(i) for i in found.by_interface()] == ["identical", "breaking", "compatible"]


def test_what_changed_in_a_base_counts_in_all_that_extend_it():
    derived = interface("D", extends="dtmi:test:A;1")
    found = diff([interface(contents=[prop()]), derived], [interface(), derived])
    assert [(c.interface, c.element, c.declared_in) for c in found.changes if c.element != "@id"] == [
        ("dtmi:test:A;1", "contents/p", "dtmi:test:A;1"),
        ("dtmi:test:D;1", "contents/p", "dtmi:test:A;1"),
    ]
    assert found.same_id == ("dtmi:test:A;1",)


def test_an_interface_no_longer_extended_takes_its_contents_along():
    base = interface("B", contents=[prop()])
    found = diff([interface(extends="dtmi:test:B;1"), base], [version(interface(), 2), base])
    assert grades(found) == {"contents/p": "breaking", "extends": "breaking"}
    assert {c.declared_in for c in found.changes} == {"dtmi:test:A;2"}


def test_an_interface_extended_through_another_one_is_still_extended():
    base, middle = interface("B"), interface("M", extends="dtmi:test:B;1")
    new = version(interface(extends="dtmi:test:M;1"), 2)
    found = diff([interface(extends="dtmi:test:B;1"), base, middle], [new, base, middle])
    assert {c.verdict for c in found.changes} == {"compatible"}


def test_content_that_moves_to_a_base_is_not_lost():
    found = diff(
        [interface(contents=[prop()], extends="dtmi:test:B;1"), interface("B")],
        [
            version(interface(extends="dtmi:test:B;2"), 2),
            version(interface("B", contents=[prop()]), 2),
        ],
    )
    assert found.verdict == "compatible"
    assert "contents/p" in {c.element for c in found.changes if c.interface == "dtmi:test:A;2"}


def test_a_whole_ontology_under_new_versions_is_compatible():
    def model(number):
        return [
            version(
                interface(
                    extends=f"dtmi:test:B;{number}",
                    contents=[component(f"dtmi:test:C;{number}"), relationship(target=f"dtmi:test:B;{number}")],
                ),
                number,
            ),
            version(interface("B", contents=[prop()]), number),
            version(interface("C"), number),
        ]

    found = diff(model(1), model(2))
    assert {c.verdict for c in found.changes} == {"compatible"}
    elements = [c.element for c in found.changes if c.interface == "dtmi:test:A;2"]
    assert elements == ["@id", "contents/c/schema", "contents/r/target", "extends"]


def test_the_dtdl_version_is_a_change_but_harms_nobody():
    found = diff(interface(context=V2, contents=[prop()]), interface(context=V3, contents=[prop()]))
    assert grades(found) == {"@context": "needs a new version"}


# --- what no parsed element shows -------------------------------------------------------------------------------------


def test_what_only_the_definition_says_is_a_change_too():
    cases = [
        (prop("p", obj(field("f"))), prop("p", obj(field("f", comment="x"))), "contents/p/schema/f/comment"),
        (prop("p", obj()), prop("p", {**obj(), "comment": "x"}), "contents/p/schema/comment"),
        (command(), command(commandType="synchronous"), "contents/k/commandType"),
    ]
    for old, new, element in cases:
        found = diff(interface(contents=[old]), interface(contents=[new]))
        assert grades(found) == {element: "needs a new version"}
        assert found.same_id == ("dtmi:test:A;1",)


def test_a_keyword_that_version_2_ignores_is_no_difference():
    old, new = (interface(context=V2, contents=[prop(**more)], **more) for more in ({"@value": 1, "@note": "x"}, {}))
    assert diff(old, new).verdict == "identical"


def test_a_type_that_nobody_knows_is_compared_as_a_word():
    def fancy(kind, **more):
        return interface(context=V2, contents=[{**prop(**more), "@type": ["Property", kind]}])

    assert grades(diff(fancy("Fancy"), fancy("Plain"))) == {"contents/p/@type": "needs a new version"}
    assert grades(diff(fancy("Fancy", much=1), fancy("Fancy", much=2))) == {"contents/p/much": "needs a new version"}


def test_a_schema_that_is_shared_from_now_on_is_a_harmless_change():
    shared = interface(schemas=[{"@id": "dtmi:test:S;1", **obj(field("a"))}], contents=[prop("p", "dtmi:test:S;1")])
    found = diff(interface(contents=[prop("p", obj(field("a")))]), version(shared, 2))
    assert {c.verdict for c in found.changes} == {"compatible"}


# --- the answer itself ------------------------------------------------------------------------------------------------


def test_the_order_of_the_changes_does_not_depend_on_the_order_of_the_sources():
    old = [interface(n, contents=[prop("x"), prop("y"), prop("e", enum(a="a", b="b"))]) for n in "ABC"]
    new = [interface(n, contents=[prop("e", enum(c="c", d="d")), prop("z")]) for n in "ABC"]
    found = diff(old, new)
    assert found == diff(old[::-1], new[::-1])
    heirs = [interface("D", extends=[f"dtmi:test:{n};1" for n in names]) for names in ("EF", "FE")]
    others = [interface("E"), interface("F")]
    assert diff([heirs[0], *others], [interface("D"), *others]) == diff([heirs[1], *others], [interface("D"), *others])
    assert list(found.changes) == sorted(found.changes, key=lambda c: (c.interface, c.element))


def test_a_change_reads_as_a_line():
    change = Change("dtmi:test:A;2", "contents/p/unit", "The unit changed.", "breaking", "volt", "kilovolt")
    assert str(change) == "dtmi:test:A;2 contents/p/unit: breaking: The unit changed. (volt -> kilovolt)"
    assert str(Change("dtmi:test:A;2", "", "Gone.", "breaking")) == "dtmi:test:A;2: breaking: Gone."


def test_a_side_that_is_not_sound_is_refused():
    with pytest.raises(DtdlError):
        diff(interface(), text(interface(contents=[{"@type": "Property"}])))
