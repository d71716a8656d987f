"""Rules that need the whole model: nesting, inheritance, counts, values against their schemas.

Each rule is one pass over the index, and no pass calls itself along the model, so neither long chains nor circles cost
stack or more than linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from remhart_adt.dtdl.checking.resolve import link_kind
from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference
from remhart_adt.dtdl.tables.metamodel import COMPLEX

__all__ = ["check_structure", "lineage", "longest_chains"]

_COMPLEX: Final = frozenset(COMPLEX)
_COUNTED: Final = [
    "contents",
    "fields",
    "enumValues",
    "request",
    "response",
    "properties",
    "schema",
    "elementSchema",
    "mapValue",
]
_INT32: Final = range(-(2**31), 2**31)


def check_structure(index: Index) -> None:
    """Everything that follows along references, and values that depend on their schema."""
    interfaces = [e for e in index.everything if e.kind == "Interface"]
    families = _Families(index, interfaces)
    _inherit(index, families)
    for element in index.everything:
        _counts(element)
        if element.kind == "Enum":
            _enum_values(element)
    _schema_nesting(index)
    _component_nesting(index, families)
    _no_arrays(index)
    _sizes(index, interfaces)


def longest_chains(
    nodes: Iterable[Element], successors: Callable[[Element], Iterable[tuple[Element | None, int]]]
) -> tuple[dict[int, int], list[Element]]:
    """The longest way, in summed weights, from every node along its successors, by the node's `id()`; and the nodes
    on a circle, each found once. A successor of None counts with its weight and leads nowhere."""
    lengths: dict[int, int] = {}
    circles: dict[int, Element] = {}
    for start in nodes:
        stack = [start]
        entered: set[int] = set()
        while stack:
            node = stack[-1]
            if id(node) in lengths:
                stack.pop()
                continue
            following = list(successors(node))
            if id(node) not in entered:
                entered.add(id(node))
                waiting = [n for n, _ in following if n is not None and id(n) not in lengths]
                circles.update({id(n): n for n in waiting if id(n) in entered})
                waiting = [n for n in waiting if id(n) not in entered]
                if waiting:
                    stack.extend(waiting)
                    continue
            lengths[id(node)] = max(
                (weight + (lengths.get(id(n), 0) if n is not None else 0) for n, weight in following), default=0
            )
            stack.pop()
    return lengths, list(circles.values())


# --- inheritance ------------------------------------------------------------------------------------------------------


def _parents(index: Index, interface: Element) -> list[Element]:
    links = interface.links.get("extends")
    if not links:
        return []
    return [parent for link in links if (parent := index.target(link)) is not None and parent.kind == "Interface"]


def lineage(index: Index, interface: Element) -> list[Element]:
    """The interface and all it extends, directly or not, each once, nearest first."""
    found: dict[int, Element] = {id(interface): interface}
    queue = [interface]
    for current in queue:
        for parent in _parents(index, current):
            if id(parent) not in found:
                found[id(parent)] = parent
                queue.append(parent)
    return queue


class _Families:
    """The lineage of every interface that extends another one."""

    def __init__(self, index: Index, interfaces: list[Element]) -> None:
        self._index = index
        self._known: dict[int, list[Element]] = {}
        self.derived = [i for i in interfaces if i.links.get("extends")]

    def of(self, interface: Element) -> list[Element]:
        if not interface.links.get("extends"):
            return [interface]
        known = self._known.get(id(interface))
        if known is None:
            known = self._known[id(interface)] = lineage(self._index, interface)
        return known


def _inherit(index: Index, families: _Families) -> None:
    lengths, circles = longest_chains(families.derived, lambda i: [(p, 1) for p in _parents(index, i)])
    for interface in circles:
        interface.say("recursiveStructureNarrow", "extends")
    for interface in families.derived:
        limits = interface.lexicon.limits
        if not circles and lengths[id(interface)] > limits.extends_depth:
            interface.say("excessiveDepthNarrow", "extends", limit=limits.extends_depth)
            continue
        family = families.of(interface)
        if limits.extends_total is not None and len(family) > limits.extends_total + 1:
            interface.say("excessiveCount", "extends", count=len(family) - 1, limit=limits.extends_total)
            continue
        owner: dict[str, Element] = {}
        for member in family:
            for link in member.links.get("contents", ()):
                content = index.target(link)
                if content is None:
                    continue
                other = owner.setdefault(content.name, member)
                if other is not member:
                    fields = {"value": content.name, "other": f"{other.id} and {member.id}"}
                    interface.say("nonUniqueImportedPropertyValue", "extends", **fields)


# --- counts and names among siblings ----------------------------------------------------------------------------------


def _counts(element: Element) -> None:
    properties = element.lexicon.plans[element.kind].properties
    for prop, links in element.links.items():
        spec = properties[prop]
        if spec.max_count is not None and len(links) > spec.max_count < _distinct(links):
            element.say("objectCountAboveMax", prop, count=len(links), limit=spec.max_count)
        if spec.values:
            for link in links:
                term = link.standard.term if isinstance(link, Reference) and link.standard is not None else ""
                if term not in spec.values:
                    element.say("incorrectPropertyValue", prop, value=term, expected=" or ".join(spec.values))
        if len(links) > 1:
            for key in spec.unique:
                _unique(element, prop, links, key, keyed=spec.keyed)


def _distinct(links: list[Link]) -> int:
    return len({id(link) if isinstance(link, Element) or link.target is None else id(link.target) for link in links})


def _unique(element: Element, prop: str, links: list[Link], key: str, *, keyed: bool) -> None:
    seen: dict[tuple[bool, Any], Element] = {}
    for link in links:
        child = link if isinstance(link, Element) else link.target
        value = child.literals.get(key) if child is not None else None
        if child is None or value is None:
            continue
        mark = (isinstance(value, str), value)
        other = seen.get(mark)
        if other is not None and not (keyed and other is child):
            tail = (*link.at, key) if isinstance(link, Element) else link.at
            fields = {"expected": key, "value": value}
            element.say("nonUniquePropertyValue", prop, tail, **fields)
        seen[mark] = child


def _enum_values(element: Element) -> None:
    links = element.links.get("valueSchema", [])
    standard = links[0].standard if links and isinstance(links[0], Reference) else None
    wanted = standard.term if standard is not None else ""
    if wanted not in ("integer", "string"):
        return
    for link in element.links.get("enumValues", ()):
        child = link if isinstance(link, Element) else link.target
        if child is None or "enumValue" not in child.literals:
            continue
        value = child.literals["enumValue"]
        whole = type(value) is int and value in _INT32
        if not (isinstance(value, str) if wanted == "string" else whole):
            at = child if child.text is element.text else element
            at.say("nonConformantDatatype", "enumValue", value=repr(value), expected=wanted)


# --- schemas ----------------------------------------------------------------------------------------------------------


def _inner_links(element: Element) -> list[Link]:
    """Links from a complex schema to the schemas one step below it."""
    kind = element.kind
    if kind == "Array":
        return element.links.get("elementSchema", [])
    if kind == "Object":
        holders = element.links.get("fields", [])
    elif kind == "Map":
        holders = element.links.get("mapValue", [])
    else:
        return []
    found: list[Link] = []
    for holder in holders:
        field = holder if isinstance(holder, Element) else holder.target
        if field is not None:
            found += field.links.get("schema", [])
        else:  # a field that the language defines
            found.append(holder)
    return found


def _schema_nesting(index: Index) -> None:
    complexes = [e for e in index.everything if e.kind in _COMPLEX and e.kind != "Enum"]

    def successors(schema: Element) -> list[tuple[Element | None, int]]:
        found: list[tuple[Element | None, int]] = []
        for link in _inner_links(schema):
            target = index.target(link)
            if target is not None:
                found.append((target, 1))
            else:
                standard = link.standard if isinstance(link, Reference) else None
                found.append((None, 1 + (standard.depth if standard is not None else 0)))
        return found

    lengths, circles = longest_chains(complexes, successors)
    on_circle = {id(node) for node in circles}
    for node in circles:
        if node.version < 4:
            node.say("recursiveStructureWide", prop="schema or elementSchema")
    inner = {id(target) for node in complexes for target, _ in successors(node) if target is not None}
    for node in complexes:
        limit = node.lexicon.limits.schema_depth
        too_deep = lengths[id(node)] > limit and not on_circle
        # The outermost one says it for all.
        if too_deep and id(node) not in inner:
            node.say("excessiveDepthWide", limit=limit)


def _no_arrays(index: Index) -> None:
    """DTDL v2 has no arrays anywhere in a Property's schema."""
    for element in index.everything:
        if element.kind != "Property" or element.version != 2:
            continue
        stack = list(element.links.get("schema", ()))
        seen: set[int] = set()
        while stack:
            link = stack.pop()
            schema = index.target(link)
            standard = link.standard if isinstance(link, Reference) else None
            if (standard is not None and standard.arrays) or (schema is not None and schema.kind == "Array"):
                shown = schema.label() if schema is not None else f"{standard and standard.term}, which holds an Array"
                remedy = "Use DTDL v3, where properties may be arrays, or another schema."
                element.say("excludedType", "schema", value=shown, expected=remedy)
                break
            if schema is not None and schema.kind in _COMPLEX and id(schema) not in seen:
                seen.add(id(schema))
                stack.extend(_inner_links(schema))


# --- components -------------------------------------------------------------------------------------------------------


def _component_nesting(index: Index, families: _Families) -> None:
    components = [e for e in index.everything if e.kind == "Component"]
    if not components:
        return
    holds: dict[int, Element | None] = {}
    inside: dict[int, list[Element]] = {}
    for component in components:
        inside.setdefault(id(component.owner), []).append(component)
    for component in components:
        target = index.target(component.links["schema"][0])
        if target is None:
            continue
        if id(target) not in holds:
            found = (c for member in families.of(target) for c in inside.get(id(member), ()))
            holds[id(target)] = next(found, None)
        nested = holds[id(target)]
        if nested is not None:
            remedy = f"The Interface of a Component must not have Components itself; remove it from {nested.owner.id}."
            component.say("excludedType", "schema", value=nested.label(), expected=remedy)
    _component_circles(index, components, families, inside)


def _component_circles(
    index: Index, components: list[Element], families: _Families, inside: dict[int, list[Element]]
) -> None:
    def successors(interface: Element) -> list[tuple[Element | None, int]]:
        return [
            (index.target(component.links["schema"][0]), 1)
            for member in families.of(interface)
            for component in inside.get(id(member), ())
        ]

    owners = list({id(c.owner): c.owner for c in components}.values())
    _, circles = longest_chains(owners, successors)
    for interface in circles:
        if interface.version == 3:
            interface.say("recursiveStructureNarrow", "contents", prop="contents and schema")


# --- sizes ------------------------------------------------------------------------------------------------------------


def _sizes(index: Index, interfaces: list[Element]) -> None:
    """The limit on the elements below an Interface's contents, each use of a shared schema counted."""
    if not any(interface.lexicon.limits.contents_total for interface in interfaces):
        return
    shared = any(
        r.target is not None and (r.target.kind in _COMPLEX or p == "schema") for _, p, _, r in index.references
    )
    if not shared and len(index.everything) < 100_000:
        return  # only what is referred to can count more than once
    counts = _counted(index)
    for interface in interfaces:
        most = interface.lexicon.limits.contents_total
        if most is not None and counts.get(id(interface), 0) > most:
            interface.say("excessiveCount", "contents", count=counts[id(interface)], limit=most)


def _counted(index: Index) -> dict[int, int]:
    """How many elements are below each element. Elements are in the order of their ends, so what is defined in place
    comes before what holds it; references need a second look."""
    counts: dict[int, int] = {}

    def children(element: Element) -> list[Link]:
        return [link for prop in _COUNTED for link in element.links.get(prop, ()) if link_kind(link)]

    for root in index.everything:
        stack = [root]
        entered: set[int] = set()
        while stack:
            element = stack[-1]
            if id(element) in counts:
                stack.pop()
                continue
            targets = [t for link in children(element) if (t := index.target(link)) is not None]
            waiting = [t for t in targets if id(t) not in counts and id(t) not in entered]
            if id(element) not in entered and waiting:
                entered.add(id(element))
                stack.extend(waiting)
                continue
            counts[id(element)] = len(children(element)) + sum(counts.get(id(t), 0) for t in targets)
            stack.pop()
    return counts
