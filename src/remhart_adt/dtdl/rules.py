"""Rules that need the whole model: references, nesting, inheritance, values against their schemas.

Each rule is one pass over the index. They run in two steps, like the public parser's: references first, and only if
those are sound, what follows along them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from remhart_adt.dtdl.elements import Element, Index, Reference
from remhart_adt.dtdl.metamodel import (
    CLASSES,
    COMPLEX,
    GEOSPATIAL,
    MAX_CONTENTS_TOTAL,
    MAX_EXTENDS_DEPTH,
    MAX_EXTENDS_TOTAL,
    MAX_PARTITION_BYTES,
    MAX_SCHEMA_DEPTH,
    NUMERIC,
)

__all__ = ["check_references", "check_siblings", "check_structure", "longest_chains", "unresolved"]

_INT32: Final = range(-(2**31), 2**31)


def check_siblings(elements: Iterable[Element], index: Index) -> None:
    """Names, and the values of an Enum, differ among siblings."""
    for element in elements:
        specs = CLASSES[element.version][element.kind].properties
        for prop in element.links:
            for key in specs[prop].unique:
                seen: set[tuple[type, Any]] = set()
                for child in element.children(prop):
                    value = child.literals.get(key)
                    if value is None or ("@id" in child.raw and index.elements.get(child.id) is not child):
                        continue  # an identifier defined twice is reported as that
                    if (type(value), value) in seen:
                        child.say(
                            "nonUniquePropertyValue", key, where=element.label(), prop=prop, expected=key, value=value
                        )
                    seen.add((type(value), value))


def unresolved(index: Index) -> dict[str, list[tuple[Element, str, Reference]]]:
    """References that nothing defines, by DTMI."""
    missing: dict[str, list[tuple[Element, str, Reference]]] = {}
    for element, prop, reference in index.references:
        if reference.dtmi not in index.elements:
            missing.setdefault(reference.dtmi, []).append((element, prop, reference))
    return missing


def check_references(index: Index) -> None:
    """What a reference leads to: class, DTDL version, and the Interface it belongs to."""
    for element, prop, reference in index.references:
        target = index.elements[reference.dtmi]
        spec = CLASSES[element.version][element.kind].properties[prop]
        if target.kind not in spec.allowed:
            shown, expected = f"{reference.dtmi}, a {target.kind}", " or ".join(sorted(spec.allowed))
            element.say_at(reference.path, "badType", prop, value=shown, expected=expected)
        elif target.version > element.version or (target.version < element.version and not spec.older_allowed):
            element.say_at(
                reference.path, "disallowedVersionReference", prop, value=reference.dtmi, other=target.version
            )
        elif target.kind != "Interface" and target.partition != element.partition:
            element.say_at(reference.path, "crossPartitionReference", prop, value=reference.dtmi)


def check_structure(index: Index) -> None:
    """Everything that follows along references, and values that depend on their schema."""
    elements = list(index.elements.values())
    for element in elements:
        if element.types:
            _numeric(element)
        if element.kind == "Enum":
            _enum_values(element)
    sound = _schema_nesting(index, elements)
    if _extends(index, elements) and sound:
        _imports(index)
        _component_nesting(index, elements)
        _no_arrays(index, elements)
        _sizes(index)


def longest_chains(
    nodes: Iterable[str], successors: Callable[[str], Iterable[tuple[str, int]]]
) -> tuple[dict[str, int], list[str]]:
    """The longest way, in summed weights, from every node along its successors; and the nodes that lie on a circle,
    each found once. Works on a list of its own, so long chains cost no stack."""
    lengths: dict[str, int] = {}
    circles: list[str] = []
    for start in nodes:
        if start in lengths:
            continue
        entered: set[str] = set()
        stack = [start]
        while stack:
            node = stack[-1]
            if node in lengths:
                stack.pop()
                continue
            following = list(successors(node))
            if node not in entered:
                entered.add(node)
                waiting = [n for n, _ in following if n not in lengths]
                if waiting:
                    circles.extend(n for n in dict.fromkeys(waiting) if n in entered)
                    stack.extend(n for n in waiting if n not in entered)
                    continue
            lengths[node] = max((lengths.get(n, 0) + weight for n, weight in following), default=0)
            stack.pop()
    return lengths, list(dict.fromkeys(circles))


def _numeric(element: Element) -> None:
    link = element.links.get("schema", [None])[0]
    if isinstance(link, Reference) and link.standard in NUMERIC:
        return
    kind = link.standard or link.dtmi if isinstance(link, Reference) else link.kind if link is not None else "nothing"
    element.say("notRequiredType", "schema", value=element.types[0], other=kind, expected=" or ".join(sorted(NUMERIC)))


def _enum_values(element: Element) -> None:
    link = element.links.get("valueSchema", [None])[0]
    wanted = link.standard if isinstance(link, Reference) else ""
    for child in element.children("enumValues"):
        value = child.literals.get("enumValue")
        # The public parser takes 1.0 for an integer here, and nothing beyond 32 bits.
        whole = type(value) is int or (isinstance(value, float) and value.is_integer())
        fits = isinstance(value, str) if wanted == "string" else whole and int(value or 0) in _INT32
        if not fits:
            child.say("nonConformantDatatype", "enumValue", value=repr(value), expected=wanted)


def _inner_schemas(element: Element) -> list[Element | Reference]:
    """Links from a complex schema to the schemas one step below it."""
    holders: list[Element] = [element] if element.kind == "Array" else []
    for prop in ("fields", "mapKey", "mapValue"):
        holders += element.children(prop)
    return [
        link for holder in holders for link in holder.links.get("elementSchema" if holder is element else "schema", ())
    ]


def _schema_nesting(index: Index, elements: list[Element]) -> bool:
    complexes = {e.id: e for e in elements if e.kind in COMPLEX}

    def successors(node: str) -> list[tuple[str, int]]:
        if node not in complexes:
            return []
        targets = [index.target(link) for link in _inner_schemas(complexes[node])]
        return [(target.id if target is not None else "", 1) for target in targets]

    lengths, circles = longest_chains(complexes, successors)
    for node in circles:
        complexes[node].say("recursiveStructureWide", prop="schema or elementSchema")
    if circles:
        return False
    sound = True
    inner = {target for node in complexes for target, _ in successors(node)}
    for node, element in complexes.items():
        limit = MAX_SCHEMA_DEPTH[element.version]
        if lengths[node] > limit:
            sound = False
            if node not in inner:  # the outermost one says it for all
                element.say("excessiveDepthWide", limit=limit)
    return sound


def _parents(index: Index, interface: Element) -> list[Element]:
    found = (index.target(link) for link in interface.links.get("extends", ()))
    return [parent for parent in found if parent is not None]


def _extends(index: Index, elements: list[Element]) -> bool:
    interfaces = {e.id: e for e in elements if e.kind == "Interface"}
    lengths, circles = longest_chains(interfaces, lambda n: [(p.id, 1) for p in _parents(index, interfaces[n])])
    for node in circles:
        interfaces[node].say("recursiveStructureNarrow", "extends", prop="extends")
    sound = not circles
    for node, interface in interfaces.items():
        limit = MAX_EXTENDS_DEPTH[interface.version]
        if not circles and lengths[node] > limit:
            interface.say("excessiveDepthNarrow", "extends", limit=limit)
            sound = False
    return sound


def lineage(index: Index, interface: Element) -> list[Element]:
    """The interface and all it extends, directly or not, each once, nearest first."""
    found: dict[str, Element] = {}
    queue = [interface]
    for current in queue:
        if current.id not in found:
            found[current.id] = current
            queue.extend(_parents(index, current))
    return list(found.values())


def _imports(index: Index) -> None:
    for interface in [e for e in index.elements.values() if e.kind == "Interface"]:
        family = lineage(index, interface)
        limit = MAX_EXTENDS_TOTAL[interface.version]
        if limit is not None and len(family) > limit + 1:
            interface.say("excessiveCount", "extends", count=len(family) - 1, limit=limit)
            continue
        if len(family) == 1:
            continue
        owner: dict[str, Element] = {}
        for member in family:
            for content in member.children("contents"):
                other = owner.setdefault(content.name, member)
                if other is not member:
                    both = f"{other.id} and {member.id}"
                    interface.say("nonUniqueImportedPropertyValue", "extends", value=content.name, other=both)


def _component_nesting(index: Index, elements: list[Element]) -> None:
    for component in elements:
        if component.kind != "Component":
            continue
        target = index.target(component.links["schema"][0])
        if target is None:
            continue
        for member in lineage(index, target):
            for content in member.children("contents"):
                if content.kind == "Component":
                    remedy = (
                        f"The Interface of a Component must not have Components itself; remove it from {member.id}."
                    )
                    component.say("excludedType", "schema", value=content.label(), expected=remedy)
                    if content is component and component.version > 2:
                        component.say("recursiveStructureNarrow", "schema", prop="schema and contents")


def _no_arrays(index: Index, elements: list[Element]) -> None:
    """DTDL v2 has no arrays anywhere in a Property's schema."""
    for element in elements:
        if element.kind != "Property" or element.version != 2:
            continue
        stack = list(element.links.get("schema", ()))
        seen: set[str] = set()
        while stack:
            link = stack.pop()
            schema = index.target(link)
            standard = link.standard if isinstance(link, Reference) else ""
            if standard in GEOSPATIAL or (schema is not None and schema.kind == "Array"):
                shown = schema.label() if schema is not None else f"{standard}, whose coordinates are an Array"
                remedy = "Use DTDL v3, where properties may be arrays, or another schema."
                element.say("excludedType", "schema", value=shown, expected=remedy)
                break
            if schema is not None and schema.id not in seen:
                seen.add(schema.id)
                stack.extend(_inner_schemas(schema))


def _sizes(index: Index) -> None:
    """The limits on a whole Interface: bytes of JSON, and elements below contents."""
    for interface in index.interfaces:
        limit = MAX_PARTITION_BYTES[interface.version]
        if limit is not None and (interface.text.text is None or len(interface.text.text) > limit):
            size = len(json.dumps(interface.raw, ensure_ascii=False, separators=(",", ":")).encode())
            if size > limit:
                interface.say("partitionTooLarge", count=size, limit=limit)
        most = MAX_CONTENTS_TOTAL[interface.version]
        if most is not None and len(interface.links.get("contents", ())) > 0:
            count = _descendants(interface, most)
            if count > most:
                interface.say("excessiveCount", "contents", prop="contents", count=f"more than {most}", limit=most)


def _descendants(interface: Element, most: int) -> int:
    count = 0
    stack: list[Element] = interface.children("contents")
    while stack and count <= most:
        element = stack.pop()
        count += 1
        for prop, links in element.links.items():
            if prop not in ("mapKey", "valueSchema", "extends"):
                stack.extend(link for link in links if isinstance(link, Element) and link.kind != "Interface")
    return count
