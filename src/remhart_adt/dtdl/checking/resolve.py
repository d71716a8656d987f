"""References: what they lead to, where from, and those that lead nowhere.

Two steps, like the official parser's: every reference is looked up; if all are found, what they lead to is compared
with what the property allows.
"""

from __future__ import annotations

from typing import Final

from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference, Spot
from remhart_adt.dtdl.tables.metamodel import Prop
from remhart_adt.dtdl.tables.standard import find_standard
from remhart_adt.dtdl.tables.supplements import Extra

__all__ = ["Use", "check_references", "link_kind", "look_up"]

# Identifiers that only the language and its extensions define.
RESERVED: Final = ("dtmi:dtdl:", "dtmi:standard:", "dtmi:iotcentral:", "dtmi:iotoperations:")

Use = tuple[Element, str, Reference]


def look_up(index: Index, done: int = 0) -> dict[str, list[Use]]:
    """Find what every reference from number `done` on leads to; returns those that nothing defines, by DTMI.

    A word that is not the name of an element, and a reserved DTMI that the language does not define, are problems.
    """
    missing: dict[str, list[Use]] = {}
    identified = index.identified
    for element, prop, spec, reference in index.references[done:]:
        target = identified.get(reference.dtmi)
        if target is not None:
            reference.target = target
            continue
        reference.standard = find_standard(reference.dtmi)
        if reference.standard is not None:
            continue
        if reference.word and isinstance(spec, Prop):
            element.say("badType", prop, reference.at, value=reference.dtmi, expected=_expected(spec))
        elif reference.dtmi.startswith(RESERVED):
            element.say("undefinedReservedId", prop, reference.at, value=reference.dtmi)
        else:
            missing.setdefault(reference.dtmi, []).append((element, prop, reference))
    return missing


def check_references(index: Index) -> None:
    """What every link leads to: the class, the DTDL version, the Interface it belongs to, the family of a unit."""
    for element, prop, spec, reference in index.references:
        if isinstance(spec, Extra):
            _unit(element, spec, reference)
        elif reference.standard is None:
            _element(element, prop, spec, reference)
        else:
            standard = reference.standard
            if standard.kind not in spec.allowed:
                element.say("badType", prop, reference.at, value=_shown(reference), expected=_expected(spec))
            elif standard.version not in spec.versions:
                fields = {"value": reference.dtmi, "other": standard.version}
                element.say("disallowedVersionReference", prop, reference.at, **fields)
    _overwritten(index)


def _element(element: Element, prop: str, spec: Prop, reference: Reference) -> None:
    target = reference.target
    if target is None:  # every reference was resolved before this is called
        return
    if target.kind != "Interface" and target.owner is not element.owner:
        element.say("crossPartitionReference", prop, reference.at, value=reference.dtmi)
    if target.kind not in spec.allowed:
        shown = f"{reference.dtmi}, {_article(target.kind)}"
        element.say("badType", prop, reference.at, value=shown, expected=_expected(spec))
        return
    if target.version not in spec.versions:
        element.say("disallowedVersionReference", prop, reference.at, value=reference.dtmi, other=target.version)


def _unit(element: Element, extra: Extra, reference: Reference) -> None:
    if extra.child_of:
        parent = reference.standard.parent if reference.standard is not None else ""
        if parent != extra.child_of:
            fields = {"value": reference.dtmi, "expected": extra.child_of.rpartition(":")[2]}
            element.say("wrongParent", extra.term, reference.at, **fields)


def _overwritten(index: Index) -> None:
    """An element whose identifier an enclosing element took as well is not there any more."""
    for element in index.everything:
        given = element.given_id
        if given is None or element.parent is None or index.identified[given] is element:
            continue
        spec = element.parent.lexicon.plans[element.parent.kind].properties.get(element.parent_property)
        if spec is not None and spec.segment:
            fields = {"value": given, "where": element.parent.label()}
            element.parent.say("missingDictKeyPropertyValue", element.parent_property, element.at, **fields)
        elif spec is not None and index.identified[given].kind not in spec.allowed:
            other = Spot(index.identified[given])
            element.parent.say("duplicateDefinition", element.parent_property, element.at, value=given, other=other)
        winner = index.identified[given]
        for prop, links in element.links.items():
            single = prop in winner.links and not element.lexicon.plans[element.kind].properties[prop].plural
            if single and links and winner.links[prop] and _dtmi(links[0]) != _dtmi(winner.links[prop][0]):
                winner.say("inconsistentObjectValues", prop, value=given)


def _dtmi(link: Link) -> str:
    if isinstance(link, Element):
        return link.id
    return link.standard.id if link.standard is not None else link.dtmi


def _shown(reference: Reference) -> str:
    kind = reference.standard.kind if reference.standard is not None else ""
    return f"{reference.dtmi}, {_article(kind)}"


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind}"


def _expected(spec: Prop) -> str:
    return " or ".join(sorted(spec.allowed))


def link_kind(link: Link) -> str:
    """The DTDL class of what a link leads to; empty when it is missing."""
    if isinstance(link, Element):
        return link.kind
    if link.target is not None:
        return link.target.kind
    return link.standard.kind if link.standard is not None else ""
