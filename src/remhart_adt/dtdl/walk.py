"""The one walk over a text: every JSON object becomes an element in the index, every broken rule a problem.

The walk keeps a list of work instead of calling itself, so nesting costs no stack. What it checks needs no other
text: contexts, identifiers, types, property names, literals, counts, names among siblings. References are collected.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from remhart_adt.dtdl.context import Context, ContextError, read_context
from remhart_adt.dtdl.elements import Element, Index, Reference, Spot, Text
from remhart_adt.dtdl.literals import BAD
from remhart_adt.dtdl.metamodel import CLASSES, INTERFACE_ID_LENGTH, MAX_ID_LENGTH, Prop, valid_dtmi
from remhart_adt.dtdl.reader import MAX_DEPTH, JsonObject, Path
from remhart_adt.dtdl.terms import property_name, standard_of, type_meaning, type_rule, unknown_property_rule
from remhart_adt.dtdl.values import read_literal

__all__ = ["walk"]

_KEYWORDS: Final = frozenset({"@context", "@id", "@type", "@graph"})
_REPEATED: Final = {
    "@id": "repeatedIdProperty",
    "@type": "repeatedTypeProperty",
    "@context": "repeatedContextProperty",
    "@graph": "repeatedGraphProperty",
    "@language": "repeatedLanguageProperty",
    "@value": "repeatedValueProperty",
}
_RESERVED: Final = ("dtmi:dtdl:", "dtmi:standard:")
_TOP: Final = Prop("object", allowed=frozenset({"Interface"}), id_required=True)


class _Stop(Exception):  # noqa: N818 (a signal, not a failure)
    """The rest of the text is not worth reading: an identifier or a context is unusable. The problem is noted."""


@dataclass(frozen=True, slots=True)
class _Job:
    raw: dict[str, Any]
    path: Path
    context: Context
    spec: Prop
    parent: Element | None = None
    prop: str = ""
    slot: int = 0


def walk(text: Text, index: Index) -> None:
    """Read one text into the index; problems are noted on the text."""
    work: deque[_Job] = deque()
    try:
        for raw, path in _top_level(text):
            context = _context(text, raw, path, None)
            _top_checks(text, raw, path, context)
            work.append(_Job(raw, path, context, _TOP))
            while work:
                # Depth first and in order, so that problems and duplicate notices follow the text.
                work.extendleft(reversed(_element(text, index, work.popleft())))
    except _Stop:
        return


def _top_level(text: Text) -> list[tuple[dict[str, Any], Path]]:
    found: list[tuple[dict[str, Any], Path]] = []
    stack: list[tuple[Any, Path]] = [(text.value, ())]
    while stack:
        value, path = stack.pop()
        if len(path) > MAX_DEPTH:
            text.say("nestedTooDeep", path[:1], limit=MAX_DEPTH)
        elif isinstance(value, list):
            stack.extend((item, (*path, i)) for i, item in reversed(list(enumerate(value))))
        elif isinstance(value, dict):
            found.append((value, path))
        else:
            text.say("notJsonObject", path, value="null" if value is None else f"a {type(value).__name__}")
            return []
    return found


def _context(text: Text, raw: dict[str, Any], path: Path, outer: Context | None) -> Context:
    if "@context" not in raw:
        if outer is None:
            text.say("missingContext", path)
            raise _Stop
        return outer
    try:
        return read_context(raw["@context"], outer)
    except ContextError as error:
        where = (*path, "@context") if error.index is None else (*path, "@context", error.index)
        text.say(error.rule, where, value=error.value, expected=error.expected, version=outer.version if outer else "")
        raise _Stop from None


def _top_checks(text: Text, raw: dict[str, Any], path: Path, context: Context) -> None:
    if "@graph" in raw:
        text.say("topLevelGraphDisallowed", (*path, "@graph"))
        raise _Stop
    if "@id" not in raw:
        text.say("missingTopLevelId", path)
        raise _Stop
    identifier = _identifier(text, raw, path, context, "the top-level object")
    stated = raw.get("@type")
    types = stated if isinstance(stated, list) else [stated]
    if not any(isinstance(t, str) and type_meaning(t, context) == ("class", "Interface") for t in types):
        text.say("typeNotRootable", (*path, "@type") if "@type" in raw else path, identifier)
        raise _Stop


def _identifier(text: Text, raw: dict[str, Any], path: Path, context: Context, where: str) -> str:
    value, here = raw["@id"], (*path, "@id")
    rule = ""
    if not isinstance(value, str) or not value:
        rule = "idNotString"
    elif len(value) > MAX_ID_LENGTH:
        rule = "idTooLong"
    elif value.startswith(_RESERVED):
        rule = "reservedId"
    elif not valid_dtmi(value, context.version):
        rule = "invalidId"
    if rule:
        text.say(rule, here, where=where, value=value, limit=MAX_ID_LENGTH, version=context.version)
        raise _Stop
    return str(value)


def _element(text: Text, index: Index, job: _Job) -> list[_Job]:
    """Read one object; returns the objects below it."""
    raw, path, parent = job.raw, job.path, job.parent
    where = f"the value of '{job.prop}'" if job.prop else "the top-level object"
    if len(path) > MAX_DEPTH:
        text.say("nestedTooDeep", path[:1], limit=MAX_DEPTH)
        raise _Stop
    context = _context(text, raw, path, job.context) if parent is not None else job.context
    if parent is not None and not _version_fits(text, job, context):
        return []
    kind, quantities, is_open, inferred = _types(text, job, context, where)
    identifier = _element_id(text, job, context, where, kind)
    if not kind:
        return []
    element = Element(
        id=identifier,
        kind=kind,
        version=context.version,
        text=text,
        path=path,
        partition=identifier if kind == "Interface" else (parent.partition if parent is not None else identifier),
        parent=parent,
        parent_property=job.prop,
        raw=raw,
        types=quantities,
    )
    if context.quantities is not None:
        element.families = {name: context.quantities.family_of_type[name] for name in quantities}
    if kind == "Interface" and len(identifier) > INTERFACE_ID_LENGTH:
        text.say("idTooLongForType", (*path, "@id"), identifier, value=identifier, limit=INTERFACE_ID_LENGTH)
        raise _Stop
    if parent is not None:
        parent.links[job.prop][job.slot] = element
    _enter(index, element)
    return _properties(index, element, context, is_open=is_open, inferred=inferred)


def _version_fits(text: Text, job: _Job, context: Context) -> bool:
    outer = job.context.version
    if context.version == outer or (job.spec.older_allowed and context.version < outer):
        return True
    text.say(
        "disallowedVersionDefinition",
        (*job.path, "@context"),
        where=f"the value of '{job.prop}'",
        value=context.version,
        version=outer,
    )
    return False


def _types(text: Text, job: _Job, context: Context, where: str) -> tuple[str, tuple[str, ...], bool, bool]:
    """Class, semantic types, whether an unknown type opens the element (DTDL v2), whether the class was inferred."""
    raw, path, spec = job.raw, job.path, job.spec
    expected = " or ".join(sorted(spec.allowed))
    if "@type" not in raw:
        if spec.infer:
            return spec.infer, (), False, True
        text.say("badType", path, where=where, prop=job.prop, value="an object without @type", expected=expected)
        return "", (), False, False
    stated = raw["@type"]
    types = list(dict.fromkeys(stated)) if isinstance(stated, list) and _all_text(stated) else stated
    types = [types] if isinstance(types, str) else types
    here = (*path, "@type")
    if not _all_text(types):
        text.say("badType", here, where=where, prop=job.prop, value="@type that is not text", expected=expected)
        return "", (), False, False
    classes: dict[str, None] = {}
    quantities: dict[str, None] = {}
    unknown: list[str] = []
    for entry in types:
        sort, name = type_meaning(entry, context)
        if sort in ("class", "abstract"):
            classes[name] = None
        elif sort == "quantity":
            quantities[name] = None
        elif sort == "supertype":
            text.say("abstractSupplementalType", here, where=where, value=name)
        else:
            unknown.append(entry)
    is_open = False
    for entry in unknown:
        rule = type_rule(entry, context)
        if rule == "typeIrrelevantDtmiOrTerm" and context.incomplete and entry.startswith("dtmi:"):
            rule = ""
        if rule == "typeIrrelevantDtmiOrTerm" and not classes:
            continue  # the missing class says it all
        if rule:
            text.say(rule, here, where=where, value=entry)
        is_open = True  # unknown properties may belong to it, so nothing is said about them
    if len(classes) > 1:
        text.say("multipleMaterialTypes", here, where=where, value=", ".join(classes))
        return "", (), False, False
    kind = next(iter(classes), "")
    if kind not in spec.allowed or kind not in CLASSES[context.version]:
        shown = kind or "an object without a DTDL type"
        text.say("badType", here, where=where, prop=job.prop, value=shown, expected=expected)
        return "", (), False, False
    return kind, tuple(quantities), is_open, False


def _all_text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _element_id(text: Text, job: _Job, context: Context, where: str, kind: str) -> str:
    raw, path, spec, parent = job.raw, job.path, job.spec, job.parent
    if "@id" in raw:
        return _identifier(text, raw, path, context, where)
    if spec.id_required or kind == "Interface" or parent is None:
        text.say("missingRequiredId", path, where=where)
        raise _Stop
    base, mark, version = parent.id.partition(";")
    generated = f"{base}:_{job.prop}"
    if spec.segment:
        named = [key for key in raw if property_name(key, context) == "name"]
        if not named:
            text.say("missingDtmiSegPropertyValue", path, parent.id, where=where, prop="name")
            raise _Stop
        name = raw[named[-1]]
        while isinstance(name, list) and len(name) == 1:
            name = name[0]
        if isinstance(name, dict):
            name = name.get("@value")
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            text.say("dtmiSegPropertyNotStringOrNumber", (*path, named[-1]), parent.id, where=where, prop="name")
            raise _Stop
        generated += f":__{name}"
    return generated + mark + version


def _enter(index: Index, element: Element) -> None:
    other = index.elements.get(element.id)
    if other is None:
        index.elements[element.id] = element
        if element.parent is None:
            index.interfaces.append(element)
        return
    same_siblings = other.parent is element.parent and other.parent_property == element.parent_property
    if same_siblings and element.parent is not None and "@id" not in element.raw:
        return  # generated from equal names, which is reported as such
    spot = Spot(other.text, other.path)
    element.text.say("duplicateDefinition", (*element.path, "@id"), element.id, value=element.id, other=spot)


def _properties(index: Index, element: Element, context: Context, *, is_open: bool, inferred: bool) -> list[_Job]:
    raw = element.raw
    known = CLASSES[context.version][element.kind].properties
    if isinstance(raw, JsonObject):
        for key in raw.repeated:
            rule = _REPEATED.get(key) or ("repeatedKeyword" if key.startswith("@") else "duplicatePropertyName")
            element.say(rule, key)
    jobs: list[_Job] = []
    seen: set[str] = set()
    for key, value in raw.items():
        if key.startswith("@"):
            _keyword(element, key, context)
            continue
        name = property_name(key, context)
        if name in seen:
            element.say("duplicatePropertyName", key)
            continue
        seen.add(name)
        spec = known.get(name)
        if spec is None:
            if name == "unit" and element.types:
                _unit(element, key, value, context)
            elif inferred and not is_open:
                element.say("inferredTypeDoesNotAllow", key, value=element.kind)
            elif not is_open:
                element.say(unknown_property_rule(key, context), key)
        elif spec.kind == "object":
            jobs.extend(_links(index, element, name, key, value, spec, context))
        else:
            got = read_literal(element, name, key, value, spec)
            if got is not BAD:
                element.literals[name] = got
    for name, spec in known.items():
        if spec.required and name not in seen:
            rule = "missingObjectProperty" if spec.kind == "object" else "missingLiteralProperty"
            element.say(rule, name, expected=_expected(spec))
    _cotypes(element, context, seen)
    return jobs


def _keyword(element: Element, key: str, context: Context) -> None:
    if key == "@graph":
        element.say("graphDisallowed", key)
    elif key not in _KEYWORDS and context.version > 2:
        element.say("topLevelKeywordDisallowed" if element.parent is None else "keywordDisallowed", key)


def _expected(spec: Prop) -> str:
    return " or ".join(sorted(spec.allowed)) if spec.allowed else f"a {spec.kind}"


def _links(index: Index, element: Element, name: str, key: str, value: Any, spec: Prop, context: Context) -> list[_Job]:
    values: list[tuple[Any, Path]] = []
    stack: list[tuple[Any, Path]] = [(value, (*element.path, key))]
    while stack:
        item, path = stack.pop()
        if isinstance(item, list) and len(path) <= MAX_DEPTH:
            stack.extend((inner, (*path, i)) for i, inner in reversed(list(enumerate(item))))
        else:
            values.append((item, path))
    slots: list[Element | Reference] = []
    element.links[name] = slots
    jobs: list[_Job] = []
    usable = 0
    for item, path in values:
        if isinstance(item, str):
            usable += _reference(index, element, name, item, path, spec, context, slots)
        elif isinstance(item, dict) and set(item) == {"@id"}:
            element.say_at(path, "idReference", name, expected=_expected(spec))
        elif isinstance(item, dict) and spec.reference_only:
            element.say_at(path, "badType", name, value="an object", expected=_expected(spec))
        elif isinstance(item, dict):
            slots.append(Reference("", path))  # replaced when the child turns out to be an element
            jobs.append(_Job(item, path, context, spec, element, name, len(slots) - 1))
            usable += 1
        else:
            shown = "null" if item is None else f"a {type(item).__name__}"
            element.say_at(path, "refNotStringOrObject", name, value=shown, expected=_expected(spec))
    if usable == 0 and spec.required:
        element.say("objectCountBelowMin", key, prop=name, expected=_expected(spec))
    elif not spec.plural and usable > 1:
        element.say("objectMultipleValues", key, prop=name, count=usable)
    elif spec.max_count is not None and usable > spec.max_count:
        element.say("objectCountAboveMax", key, prop=name, count=usable, limit=spec.max_count)
    return jobs


def _reference(
    index: Index,
    element: Element,
    name: str,
    value: str,
    path: Path,
    spec: Prop,
    context: Context,
    slots: list[Element | Reference],
) -> int:
    """Add a reference; returns whether it counts as a value of the property."""
    standard = standard_of(value, context)
    if standard:
        reference = Reference(value, path, standard)
        kind = "Object" if standard in ("point", "polygon", "lineString") or standard.startswith("multi") else standard
        if kind in ("asynchronous", "synchronous"):
            kind = "CommandType"
        if kind not in spec.allowed:
            element.say_at(path, "badType", name, value=standard, expected=_expected(spec))
        elif name == "valueSchema" and standard not in ("integer", "string"):
            element.say_at(path, "incorrectPropertyValue", name, value=standard, expected="integer or string")
        slots.append(reference)
        return 1
    if valid_dtmi(value, context.version):
        reference = Reference(value, path)
        slots.append(reference)
        index.references.append((element, name, reference))
        return 1
    if type_rule(value, context) == "typeIrrelevantDtmiOrTerm":  # a word of the language, but not for this place
        element.say_at(path, "badType", name, value=value, expected=_expected(spec))
        return 1
    element.say_at(path, "badDtmiOrTerm", name, value=value, expected=_expected(spec))
    return 0


def _unit(element: Element, key: str, value: Any, context: Context) -> None:
    known = context.quantities
    if known is None:
        return
    values = value if isinstance(value, list) else [value]
    if len(values) > 1:
        element.say("objectMultipleValues", key, count=len(values))
        return
    if not values or not isinstance(values[0], str):
        element.say(
            "refNotStringOrObject" if values else "objectCountBelowMin", key, value="not text", expected="a unit"
        )
        return
    mismatch = "notRequiredType" if known.version == 2 else "wrongParent"
    unit = known.unit_ids.get(values[0], values[0])
    family = known.family_of_unit.get(unit)
    if family is None:
        rule = "badType" if type_rule(unit, context) == "typeIrrelevantDtmiOrTerm" else "badDtmiOrTerm"
        if rule == "badDtmiOrTerm":
            element.say(rule, key, value=unit, expected="a unit")
            element.say("objectCountBelowMin", key, expected="a unit")
        else:
            element.say(mismatch, key, value=element.types[0], other=unit, expected="a unit")
        return
    element.unit = unit
    for semantic, wanted in element.families.items():
        if family != wanted and len(element.families) == 1:
            shown = ", ".join(known.units(semantic))
            element.say(mismatch, key, value=semantic, other=unit, expected=shown)


def _cotypes(element: Element, context: Context, seen: set[str]) -> None:
    known = context.quantities
    if known is None or not element.types:
        return
    for name in element.types:
        if element.kind not in known.cotypes:
            element.say("invalidCotype", "@type", value=name, expected=", ".join(sorted(known.cotypes)))
    if len(element.types) > 1:
        element.say(
            "conflictingSupplementalTypes", "@type", value=element.types[0], other=element.types[1], prop="unit"
        )
    if "unit" not in seen:
        units = ", ".join(known.units(element.types[0]))
        element.say("missingSupplementalObjectProperty", "@type", value=element.types[0], prop="unit", expected=units)
