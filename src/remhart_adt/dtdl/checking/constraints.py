"""What supplemental types ask of their element, of what it holds, of its siblings and its parents, once linked."""

from __future__ import annotations

from typing import Any, Final

from remhart_adt.dtdl.checking.structure import lineage
from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference
from remhart_adt.dtdl.tables.extensions import find_supplement
from remhart_adt.dtdl.tables.lexicon import extra_of
from remhart_adt.dtdl.tables.metamodel import NUMERIC, PRIMITIVES
from remhart_adt.dtdl.tables.supplements import Extra, Rule, Sibling, Supplement
from remhart_adt.dtdl.types import Schema

__all__ = ["check_constraints"]

_PRIMITIVES: Final = frozenset(PRIMITIVES[4])


def check_constraints(index: Index) -> None:
    """Every rule of every supplemental type of every element."""
    typed = [e for e in index.everything if e.supplements]
    if typed:
        _Checker(index).check(typed)


class _Checker:
    def __init__(self, index: Index) -> None:
        self._index = index
        # Which (parent, property) an element stands under, also by reference; filled when first asked for.
        self._holders: dict[int, list[tuple[Element, str]]] | None = None
        self._overrides: set[tuple[int, str, str]] = set()

    def check(self, typed: list[Element]) -> None:
        for element in typed:
            self._rivals(element)
            for supplement in element.supplements:
                for rule in supplement.rules:
                    self._rule(element, supplement, rule)
                for sibling in supplement.siblings:
                    self._sibling(element, sibling)
                if supplement.schema_of_path:
                    self._schema_of_path(element, supplement)
                for extra in supplement.extras:
                    self._extra(element, extra)

    def _rivals(self, element: Element) -> None:
        types = {s.id: s for s in element.supplements}
        for supplement in element.supplements:
            for other in supplement.never_with:
                if other in types:
                    fields = {"value": supplement.term, "other": types[other].term}
                    element.say("disallowedCocotype", "@type", **fields)

    # --- what the element holds ---------------------------------------------------------------------------------------

    def _rule(self, element: Element, supplement: Supplement, rule: Rule) -> None:
        if rule.upward:
            self._upward(element, supplement, rule)
            return
        for link in element.links.get(rule.prop, ()):
            if rule.classes and not self._is(link, rule.classes):
                fields = {"value": supplement.term, "other": _name(link), "expected": _terms(rule.classes)}
                element.say("notRequiredType", rule.prop, **fields)
            if rule.values and self._dtmi(link) not in rule.values:
                fields = {"value": supplement.term, "other": _name(link), "expected": _terms(rule.values)}
                element.say("notRequiredValue", rule.prop, **fields)

    def _is(self, link: Link, classes: frozenset[str]) -> bool:
        target = self._index.target(link)
        if target is not None:
            return target.has_type(classes)
        standard = link.standard if isinstance(link, Reference) else None
        if standard is None:
            return False
        return standard.kind in classes or ("NumericSchema" in classes and standard.kind in NUMERIC)

    def _dtmi(self, link: Link) -> str:
        if isinstance(link, Reference) and link.standard is not None:
            return link.standard.id
        target = self._index.target(link)
        return target.id if target is not None else ""

    # --- the parent and the siblings ----------------------------------------------------------------------------------

    def _parents(self, element: Element) -> list[tuple[Element, str]]:
        """What holds the element, directly, by reference or by inheritance, each with the property."""
        if self._holders is None:
            self._holders = {}
            for owner in self._index.everything:
                for prop in owner.links:
                    for target in self._siblings(owner, prop):
                        self._holders.setdefault(id(target), []).append((owner, prop))
        return self._holders.get(id(element), [])

    def _siblings(self, parent: Element, prop: str) -> list[Element]:
        owners = lineage(self._index, parent) if prop == "contents" and parent.links.get("extends") else [parent]
        targets = (self._index.target(link) for owner in owners for link in owner.links.get(prop, ()))
        return [target for target in targets if target is not None]

    def _upward(self, element: Element, supplement: Supplement, rule: Rule) -> None:
        for parent, prop in self._parents(element):
            if prop != rule.prop:
                continue
            if not parent.has_type(rule.classes):
                fields = {"value": supplement.term, "other": parent.label(), "expected": _terms(rule.classes)}
                element.say("parentMissingCotype", "@type", **fields)
            others = [s for s in self._siblings(parent, prop) if s is not element]
            if rule.alone and any(s.has_type(frozenset({supplement.id})) for s in others):
                element.say("siblingDuplicatesCotype", "@type", value=supplement.term, other=parent.label())
            if rule.beside and not any(s.has_type(frozenset({rule.beside})) for s in others):
                fields = {"value": supplement.term, "expected": _terms(frozenset({rule.beside}))}
                element.say("siblingMissingCotype", "@type", **fields)

    def _targets(self, element: Element, key: str) -> list[tuple[Element, str, Element]]:
        """The siblings that the property `key` of an element names, with the parent they share."""
        name = element.extras.get(key)
        if not isinstance(name, str):
            return []
        return [
            (parent, prop, sibling)
            for parent, prop in self._parents(element)
            for sibling in self._siblings(parent, prop)
            if sibling.name == name
        ]

    def _sibling(self, element: Element, rule: Sibling) -> None:
        term = rule.key.rpartition(":")[2]
        for parent, _, sibling in self._targets(element, rule.key):
            if not sibling.has_type(rule.classes):
                fields = {"value": sibling.label(), "expected": _terms(rule.classes)}
                element.say("notSiblingRequiredType", term, **fields)
            if rule.not_of and sibling.has_type(frozenset({rule.not_of})):
                element.say("disallowedType", term, value=sibling.label(), other=_terms(frozenset({rule.not_of})))
            if rule.path:
                self._path(element, parent, sibling, rule)

    def _path(self, element: Element, parent: Element, sibling: Element, rule: Sibling) -> None:
        path = element.extras.get(rule.path)
        if not isinstance(path, str):
            return
        term = rule.path.rpartition(":")[2]
        mark = (id(parent), sibling.name, path)
        if mark in self._overrides:
            element.say("multipleReference", term, value=path.rpartition(":")[2], other=sibling.label())
        self._overrides.add(mark)
        if _extra_named(sibling, path) is None:
            word = path.removeprefix("dtmi:dtdl:property:").partition(";")[0]
            material = word in sibling.lexicon.plans[sibling.kind].properties
            rule_id = "matchingPropertyNotSupplemental" if material else "noMatchingSupplementalProperty"
            element.say(rule_id, term, value=word.rpartition(":")[2], other=sibling.label())

    def _schema_of_path(self, element: Element, supplement: Supplement) -> None:
        path = element.extras.get(supplement.schema_of_path)
        key = next((s.key for s in supplement.siblings), "")
        for _, _, sibling in self._targets(element, key):
            extra = _extra_named(sibling, path) if isinstance(path, str) else None
            for link in element.links.get("schema", ()) if extra is not None else ():
                if extra is not None and self._dtmi(link) != extra.child_of:
                    fields = {"value": _name(link), "expected": extra.child_of.rpartition(":")[2] or "nothing"}
                    element.say("siblingPropertyMismatch", "schema", **fields)

    # --- the values of added properties -------------------------------------------------------------------------------

    def _extra(self, element: Element, extra: Extra) -> None:
        if extra.of_type:
            self._own_family(element, extra)
        if extra.id not in element.extras:
            return
        value = element.extras[extra.id]
        if extra.unique:
            for parent, prop in self._parents(element):
                others = (s for s in self._siblings(parent, prop) if s is not element)
                if any(s.extras.get(extra.id) == value for s in others):
                    fields = {"where": parent.label(), "prop": prop, "expected": extra.term, "value": value}
                    element.say("nonUniquePropertyValue", extra.term, **fields)
        if extra.instance_of:
            self._instance(element, extra, value)

    def _own_family(self, element: Element, extra: Extra) -> None:
        for link in element.extra_links.get(extra.id, ()):
            standard = link.standard if isinstance(link, Reference) else None
            if isinstance(link, Reference) and (standard is None or standard.parent != extra.of_type):
                owner = find_supplement(extra.of_type)
                fields = {"value": extra.term, "other": link.dtmi, "expected": owner.term if owner else extra.of_type}
                element.say("notRequiredType", extra.term, **fields)

    def _instance(self, element: Element, extra: Extra, value: Any) -> None:
        # Few models have such a value, and a mere validator needs nothing else of the checkers.
        from remhart_adt.dtdl.checkers import compile_schema

        for link in element.links.get(extra.instance_of, ()):
            standard = link.standard if isinstance(link, Reference) else None
            if standard is None or standard.term not in _PRIMITIVES:
                continue
            if standard.term == "decimal":
                value = str(value)
            if compile_schema(Schema(kind=standard.term, id=standard.term), {})(value) is not None:
                element.say("nonConformantPropertyValue", extra.term, value=value, expected=standard.term)


def _extra_named(element: Element, dtmi: str) -> Extra | None:
    return next((e for s in element.supplements if (e := extra_of(s, dtmi)) is not None), None)


def _name(link: Link) -> str:
    if isinstance(link, Reference):
        return link.standard.term if link.standard is not None else link.dtmi
    return link.label()


def _terms(names: frozenset[str]) -> str:
    found = (find_supplement(name) for name in sorted(names))
    return " or ".join(s.term if s is not None else n for s, n in zip(found, sorted(names), strict=True))
