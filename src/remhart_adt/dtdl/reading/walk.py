"""The one walk over a text: every JSON object becomes an element in the index, every broken rule a problem.

What the walk checks needs no other text: contexts, identifiers, types, property names, literals, names among siblings.
References are collected. The order of the checks is the official parser's, since some rules end the reading of a text.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.reading.context import ContextError, read_context
from remhart_adt.dtdl.reading.cotypes import read_types
from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference, Spot, Stop, Text
from remhart_adt.dtdl.reading.extras import missing_extra, read_extra
from remhart_adt.dtdl.reading.literals import flat, scalar
from remhart_adt.dtdl.reading.reader import JsonObject, Path, broken_keywords, top_level_bytes
from remhart_adt.dtdl.reading.values import read_literal
from remhart_adt.dtdl.tables.lexicon import Lexicon
from remhart_adt.dtdl.tables.metamodel import PRIMITIVES, Prop, valid_dtmi

__all__ = ["walk"]

_KEYWORDS: Final = frozenset({"@context", "@id", "@type", "@graph"})
_TOP: Final = Prop("", "object", allowed=frozenset({"Interface"}), versions=frozenset({2, 3, 4}), id_required=True)
# Legal DTDL ends far above this: 24 schema levels and 12 of inheritance, each an object in an object.
_MAX_ELEMENTS_DEEP: Final = 150


def walk(text: Text, index: Index, options: Options) -> None:
    """Read one text into the index; problems are noted on the text."""
    walker = _Walker(text, index, options)
    try:
        if text.odd or text.text is None:
            for rule, path in broken_keywords(text.value):
                text.say(rule, None, path, where="an object", prop=str(path[-1]))
                return
        for value, path in flat(text.value):
            walker.top(value, path)
    except Stop:
        return
    except RecursionError:
        # The caller's own stack was nearly full; nesting that deep is never legal DTDL.
        text.say("nestedTooDeep", None, limit=_MAX_ELEMENTS_DEEP)


class _Walker:
    def __init__(self, text: Text, index: Index, options: Options) -> None:
        self._text = text
        self._index = index
        self._options = options
        self._bytes: dict[Path, int] | None = None
        self._tolerant = options.tolerate_solecisms_in_resolved if text.resolved else options.tolerate_solecisms

    # --- the top ------------------------------------------------------------------------------------------------------

    def top(self, raw: Any, path: Path) -> None:
        text = self._text
        if not isinstance(raw, dict):
            shown = "null" if raw is None else f"a {type(raw).__name__}"
            text.say("notJsonObject", None, path, value=shown)
            raise Stop
        lexicon = self._context(raw, None, None, path)
        if "@graph" in raw:
            text.say("topLevelGraphDisallowed", None, (*path, "@graph"))
            raise Stop
        if "@id" not in raw:
            text.say("missingTopLevelId", None, path)
            raise Stop
        stated = raw.get("@type")
        types = stated if isinstance(stated, list) else [stated]
        if not any(isinstance(t, str) and lexicon.type_meaning(t)[:2] == ("class", "Interface") for t in types):
            shown_id = raw["@id"] if isinstance(raw["@id"], str) else ""
            text.say("typeNotRootable", None, (*path, "@type") if "@type" in raw else path, shown_id)
            raise Stop
        if lexicon.strict:
            for key in raw:
                if key.startswith("@") and key not in _KEYWORDS:
                    text.say("topLevelKeywordDisallowed", None, (*path, key), where="the top-level object", prop=key)
                    raise Stop
        element = self._element(raw, path, lexicon, _TOP, None, 0, set())
        if isinstance(element, Element):
            self._index.interfaces.append(element)

    def _context(self, raw: dict[str, Any], outer: Lexicon | None, parent: Element | None, at: Path) -> Lexicon:
        if "@context" not in raw:
            if outer is None:
                self._text.say("missingContext", parent, at)
                raise Stop
            return outer
        try:
            return read_context(raw["@context"], outer, self._options)
        except ContextError as error:
            where: Path = (*at, "@context")
            if error.index is not None and isinstance(raw["@context"], list):
                where = (*where, error.index)
            version = outer.version if outer is not None else ""
            self._text.say(error.rule, parent, where, value=error.value, expected=error.expected, version=version)
            raise Stop from None

    # --- one element --------------------------------------------------------------------------------------------------

    def _element(
        self,
        raw: dict[str, Any],
        at: Path,
        outer: Lexicon,
        spec: Prop,
        parent: Element | None,
        depth: int,
        names: set[Any],
    ) -> Link | None:
        """Read one object as a value of the property `spec`; None when it is no usable value of it.

        `names` are those of the siblings read so far that have no identifier of their own.
        """
        text = self._text
        if depth > _MAX_ELEMENTS_DEEP:
            text.say("nestedTooDeep", parent, at[:1], limit=_MAX_ELEMENTS_DEEP)
            raise Stop
        lexicon = outer
        if "@context" in raw and parent is not None:
            lexicon = self._context(raw, outer, parent, at)
        tolerant = self._tolerant and outer.version < 3
        if len(raw) == 1 and "@id" in raw:
            return self._id_alone(raw["@id"], at, lexicon, spec, parent, tolerant=tolerant)
        if parent is not None:
            self._keywords(raw, at, lexicon, parent)
        if parent is not None and lexicon.version not in spec.versions:
            allowed = ", ".join(f"v{v}" for v in sorted(spec.versions))
            tail = (*at, "@context") if "@context" in raw else at
            where, old = _value_of(spec.name), outer.version
            rule, new = "disallowedVersionDefinition", lexicon.version
            text.say(rule, parent, tail, parent, where=where, value=new, version=old, expected=allowed)
        given = self._identifier(raw, at, lexicon, spec, parent, tolerant=tolerant)
        if given is not None:
            other = self._index.identified.get(given)
            if other is not None:
                text.say("duplicateDefinition", parent, (*at, "@id"), given, value=given, other=Spot(other))
                return None
        elif spec.segment and parent is not None:
            name, key = self._segment(raw, at, spec, parent)
            if name in names:
                if not tolerant:
                    parent.say("nonUniquePropertyValue", spec.name, (*at, key), expected="name", value=name)
                return None
        if parent is None:
            self._interface_id(given, at, lexicon, parent)
        typed = read_types(raw, at, lexicon, spec, parent, text)
        if typed is None:
            return None
        kind, supplements, opened = typed
        element = Element(
            kind,
            lexicon,
            raw,
            text,
            parent,
            spec.name,
            at,
            given,
            parent.owner if parent is not None else None,
            supplements,
        )
        if kind == "Interface":
            if parent is not None:
                self._interface_id(given, at, lexicon, parent)
            self._size(element)
        self._properties(element, depth, opened=opened)
        if given is not None:
            self._index.identified[given] = element
        elif spec.segment:
            names.add(element.literals.get("name"))
        self._index.everything.append(element)
        return element

    def _id_alone(
        self, value: Any, at: Path, lexicon: Lexicon, spec: Prop, parent: Element | None, *, tolerant: bool
    ) -> Link | None:
        """`{"@id": ...}` defines nothing; where old habits are tolerated, it is a reference."""
        say = partial(self._text.say, owner=parent, tail=at, element=parent or "", where=_value_of(spec.name))
        if not tolerant or parent is None:
            say("idReference", prop=spec.name, expected=_expected(spec))
            return None
        dtmi = lexicon.resolve(value) if isinstance(value, str) else None
        if dtmi is None:
            say("idRefBadDtmiOrTerm", prop=spec.name, value=value, expected=_expected(spec))
            return None
        reference = Reference(dtmi, at, word=dtmi != value)
        self._index.references.append((parent, spec.name, spec, reference))
        return reference

    def _keywords(self, raw: dict[str, Any], at: Path, lexicon: Lexicon, parent: Element) -> None:
        """Complain of the keywords of JSON-LD that DTDL has no use for."""
        if "@graph" in raw:
            self._text.say("graphDisallowed", parent, (*at, "@graph"), parent, where="an element")
        if lexicon.strict:
            for key in raw:
                if key[:1] == "@" and key not in _KEYWORDS:
                    self._text.say("keywordDisallowed", parent, (*at, key), parent, where="an element", prop=key)

    def _identifier(
        self,
        raw: dict[str, Any],
        at: Path,
        lexicon: Lexicon,
        spec: Prop,
        parent: Element | None,
        *,
        tolerant: bool,
    ) -> str | None:
        if "@id" not in raw:
            if spec.id_required:
                self._text.say("missingRequiredId", parent, at, parent or "", where=_value_of(spec.name))
                raise Stop
            return None
        value, limit = raw["@id"], lexicon.limits.id_length
        rule = ""
        if not isinstance(value, str) or not value:
            rule = "idNotString"
        elif len(value) > limit:
            rule = "idTooLong"
        elif not valid_dtmi(value, lexicon.version):
            rule = "invalidId"
        elif value.startswith(lexicon.reserved) and not tolerant:
            rule = "reservedId"
        if rule:
            where = _value_of(spec.name) if parent is not None else "the top-level object"
            version = lexicon.version
            self._text.say(rule, parent, (*at, "@id"), where=where, value=value, limit=limit, version=version)
            raise Stop
        return str(value)

    def _interface_id(self, given: str | None, at: Path, lexicon: Lexicon, parent: Element | None) -> None:
        limit = lexicon.limits.interface_id_length
        if given is not None and len(given) > limit:
            self._text.say("idTooLongForType", parent, (*at, "@id"), given, value=given, limit=limit)

    def _segment(self, raw: dict[str, Any], at: Path, spec: Prop, parent: Element) -> tuple[Any, str]:
        """The name that the generated identifier is made of, and the key it is written under."""
        key = "name" if "name" in raw else next((k for k in raw if k in _NAME_DTMIS), None)
        if key is None:
            self._text.say("missingDtmiSegPropertyValue", parent, at, parent, where=_value_of(spec.name), prop="name")
            raise Stop
        name = raw[key]
        if type(name) is not str:
            name = scalar("literal", name, _unheard, required=True, strict=False)
            if isinstance(name, bool) or not isinstance(name, (str, int, float)):
                where = _value_of(spec.name)
                self._text.say("dtmiSegPropertyNotStringOrNumber", parent, (*at, key), parent, where=where, prop="name")
                raise Stop
        return name, key

    def _size(self, interface: Element) -> None:
        """An Interface must not take more bytes of JSON than the language allows, as it is written."""
        limit, text = interface.lexicon.limits.json_bytes, self._text.text
        if limit is None or (text is not None and len(text) * 4 <= limit):
            return
        if text is None or interface.parent is not None:
            size = len(json.dumps(interface.raw, ensure_ascii=False, default=str).encode("utf-8", "replace"))
        else:
            if self._bytes is None:
                self._bytes = top_level_bytes(text)
            size = self._bytes.get(interface.at, 0)
        if size > limit:
            interface.say("partitionTooLarge", count=size, limit=limit)

    # --- its properties -----------------------------------------------------------------------------------------------

    def _properties(self, element: Element, depth: int, *, opened: bool) -> None:
        raw, lexicon = element.raw, element.lexicon
        plan = lexicon.plans[element.kind]
        known = plan.properties
        literals = element.literals
        seen: set[str] = set()
        extras: set[str] = set()
        if isinstance(raw, JsonObject):
            for key in raw.repeated:
                if key in known:
                    element.say("duplicatePropertyName", key)
        for key, value in raw.items():
            spec = known.get(key)
            if spec is not None:
                name = spec.name
                if name in seen:
                    element.say("duplicatePropertyName", key)
                    continue
                seen.add(name)
                if spec.kind == "object":
                    self._links(element, key, value, spec, depth)
                else:
                    read_literal(element, key, value, spec, literals)
            elif key[:1] != "@":
                self._other_property(element, key, value, extras, opened=opened)
        for name, rule in plan.required:
            if name not in seen:
                element.say(rule, name, expected=_expected(known[name]))
        if element.supplements:
            missing_extra(element, extras)

    def _other_property(self, element: Element, key: str, value: Any, extras: set[str], *, opened: bool) -> None:
        if element.supplements and read_extra(element, key, value, extras, self._index):
            return
        rule = element.lexicon.unknown_property(key)
        if not rule and not opened:
            rule = "noTypeThatAllows" if "@type" in element.raw else "inferredTypeDoesNotAllow"
        if rule:
            element.say(rule, key, value=element.kind)

    def _links(self, element: Element, key: str, value: Any, spec: Prop, depth: int) -> None:
        slots: list[Link] = []
        names: set[Any] = set()
        element.links[spec.name] = slots
        for item, inner in flat(value):
            if slots and not spec.plural:
                element.say("objectMultipleValues", key, prop=spec.name)
                return
            at: Path = (key, *inner)
            if type(item) is str:
                dtmi = element.lexicon.resolve(item)
                if dtmi is None:
                    fields = {"prop": spec.name, "value": item, "expected": _expected(spec)}
                    element.say("badDtmiOrTerm", key, at, **fields)
                    continue
                reference = Reference(dtmi, at, word=not item.startswith("dtmi:"))
                slots.append(reference)
                self._index.references.append((element, spec.name, spec, reference))
            elif isinstance(item, dict):
                link = self._element(item, at, element.lexicon, spec, element, depth + 1, names)
                if link is not None:
                    slots.append(link)
            else:
                shown = "null" if item is None else f"a {type(item).__name__}"
                element.say("refNotStringOrObject", key, at, prop=spec.name, value=shown, expected=_expected(spec))
        if not slots and spec.required:
            element.say("objectCountBelowMin", key, prop=spec.name, expected=_expected(spec))


_NAME_DTMIS: Final = frozenset(f"dtmi:dtdl:property:name;{version}" for version in (2, 3, 4))


def _unheard(rule: str, path: Path) -> None:
    """For a first look at a literal: what is wrong with it is said when the literal itself is read."""


def _value_of(prop: str) -> str:
    return f"the value of '{prop}'" if prop else "the top-level object"


def _expected(spec: Prop) -> str:
    """What a property takes: classes, and of those with a word of their own (`float`) the word."""
    if not spec.allowed:
        return f"a {spec.kind}"
    terms = ((name, name[:1].lower() + name[1:]) for name in sorted(spec.allowed))
    names = [term if term in PRIMITIVES[4] else name for name, term in terms]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
