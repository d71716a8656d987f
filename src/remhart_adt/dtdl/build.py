"""From the sound index to the objects callers use: interfaces with their contents, inherited ones merged in."""

from __future__ import annotations

from typing import Any, Final

from remhart_adt.dtdl.checking.structure import lineage
from remhart_adt.dtdl.reading.elements import Element, Index, Link, Reference
from remhart_adt.dtdl.tables.quantities import quantities
from remhart_adt.dtdl.tables.standard import GEOSPATIAL, Standard
from remhart_adt.dtdl.types import Content, ContentKind, EnumValue, Field, Interface, Schema

__all__ = ["build_interfaces"]

_DOUBLE: Final = Schema("double", "double")


class _Builder:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._schemas: dict[str, Schema] = {}
        # Schemas that have been made and wait for their contents.
        self._empty: list[tuple[Schema, Element]] = []
        self._own: dict[int, dict[str, Content]] = {}

    def interface(self, element: Element) -> Interface:
        own = self.own(element)
        # Own contents first, then those of the nearest parents: the order in which a reader meets them.
        contents = own
        if element.links.get("extends"):
            family = lineage(self._index, element)
            contents = {name: content for member in family for name, content in self.own(member).items()}
        schemas = [link for link in element.links.get("schemas", ()) if isinstance(link, Element)]
        return Interface(
            id=element.id,
            version=element.version,
            extends=tuple(self._dtmi(link) for link in element.links.get("extends", ())),
            own=own,
            contents=contents,
            schemas={child.id: self.complex(child) for child in schemas},
            definition=element.raw,
            source=element.text.name,
            comment=element.literals.get("comment", ""),
            **_about(element),
            **_added(element),
        )

    def own(self, element: Element) -> dict[str, Content]:
        known = self._own.get(id(element))
        if known is None:
            found = [self._index.target(link) for link in element.links.get("contents", ())]
            known = {c.name: self.content(c, element.id) for c in found if c is not None}
            self._own[id(element)] = known
        return known

    def content(self, element: Element, owner: str) -> Content:
        kind: ContentKind = element.kind  # type: ignore[assignment]  # the metamodel admits only these
        more: dict[str, Any] = {}
        if kind in ("Property", "Telemetry"):
            more["schema"] = self.schema(element, "schema")
        elif kind == "Component":
            more["component"] = self._dtmi(element.links["schema"][0])
        elif kind == "Relationship":
            found = [self._index.target(link) for link in element.links.get("properties", ())]
            more["target"] = element.literals.get("target")
            more["max_multiplicity"] = element.literals.get("maxMultiplicity")
            more["properties"] = {p.name: self.content(p, owner) for p in found if p is not None}
        else:
            more["request"] = self._payload(element, "request")
            more["response"] = self._payload(element, "response")
        return Content(
            kind=kind,
            name=element.name,
            id=element.id,
            defined_in=owner,
            writable=bool(element.literals.get("writable", False)),
            comment=element.literals.get("comment", ""),
            **_about(element),
            **_added(element),
            unit=_unit(element),
            **more,
        )

    def _payload(self, element: Element, prop: str) -> Field | None:
        links = element.links.get(prop)
        return self.field(links[0]) if links else None

    def field(self, link: Link) -> Field:
        element = self._index.target(link)
        if element is None:
            return self._standard_field(link)
        return Field(
            name=element.name,
            schema=self.schema(element, "schema"),
            id=element.id,
            nullable=bool(element.literals.get("nullable", False)),
            unit=_unit(element),
            **_about(element),
            **_added(element),
        )

    def _standard_field(self, link: Link) -> Field:
        """A field of a geometry, which a model may take into an Object of its own."""
        standard = link.standard if isinstance(link, Reference) else None
        if standard is None:
            raise AssertionError("every reference was resolved before anything is built")
        owner = standard.id.rpartition(":")[0].rpartition(":")[2]
        if owner in GEOSPATIAL:
            return _geometry(owner, standard.id).fields[standard.term]
        return Field(standard.term, _DOUBLE, id=standard.id)

    def schema(self, element: Element, prop: str) -> Schema:
        link = element.links[prop][0]
        target = self._index.target(link)
        if target is not None:
            return self.complex(target)
        standard = link.standard if isinstance(link, Reference) else None
        if standard is None:
            raise AssertionError(f"{element.id} has no {prop}")
        known = self._schemas.get(standard.id)
        if known is None:
            known = self._schemas[standard.id] = _standard_schema(standard)
        return known

    def complex(self, element: Element) -> Schema:
        done = self._schemas.get(element.id)
        if done is not None:
            return done
        # It has to exist before what it contains: in DTDL v4 it may contain itself, and be any number of levels deep.
        schema = Schema(kind=element.kind, id=element.id, fields={}, **_about(element))
        self._schemas[element.id] = schema
        self._empty.append((schema, element))
        return schema

    def fill(self) -> None:
        """Give the schemas made so far their contents, and those that this brings up."""
        while self._empty:
            self._fill(*self._empty.pop())

    def _fill(self, schema: Schema, element: Element) -> None:
        def fill(name: str, value: Any) -> None:
            object.__setattr__(schema, name, value)

        if element.kind == "Object":
            found = (self.field(link) for link in element.links.get("fields", ()))
            fill("fields", {field.name: field for field in found})
        elif element.kind == "Enum":
            fill("value_schema", self.schema(element, "valueSchema").kind)
            fill("values", tuple(self._enum_value(link) for link in element.links.get("enumValues", ())))
        elif element.kind == "Map":
            key = self._index.target(element.links["mapKey"][0])
            fill("key_name", key.name if key is not None else "")
            fill("value", self.field(element.links["mapValue"][0]))
        else:
            fill("element", self.schema(element, "elementSchema"))

    def _enum_value(self, link: Link) -> EnumValue:
        element = self._index.target(link)
        if element is not None:
            return EnumValue(element.name, element.literals["enumValue"], **_about(element))
        term = link.standard.term if isinstance(link, Reference) and link.standard is not None else ""
        return EnumValue(term, term[:1].upper() + term[1:] if term in GEOSPATIAL else term)

    def _dtmi(self, link: Link) -> str:
        return link.id if isinstance(link, Element) else link.dtmi


def _about(element: Element) -> dict[str, Any]:
    return {
        "display_name": element.literals.get("displayName", {}),
        "description": element.literals.get("description", {}),
    }


def _added(element: Element) -> dict[str, Any]:
    """The supplemental types, and the values of what they add, by its word."""
    if not element.supplements:
        return {}
    values = {dtmi.rpartition(":")[2].partition(";")[0]: value for dtmi, value in element.extras.items()}
    return {"types": tuple(s.term for s in element.supplements), "extras": values}


def _unit(element: Element) -> str | None:
    for dtmi, links in element.extra_links.items():
        if dtmi.rpartition(":")[2].partition(";")[0] == "unit" and links:
            link = links[0]
            if isinstance(link, Reference):
                return link.standard.term if link.standard is not None else link.dtmi
            return str(link.raw.get("symbol", "")) or None
    return None


def _standard_schema(standard: Standard) -> Schema:
    term = standard.term
    if term in GEOSPATIAL:
        return _geometry(term, term)
    if standard.kind == "Array":
        return _nested(standard.depth, standard.id)
    if standard.kind == "Object":
        return _object(standard)
    if standard.kind == "Enum":
        return _enum(standard)
    return Schema(kind=term, id=term)


def _nested(depth: int, dtmi: str) -> Schema:
    schema = _DOUBLE
    for level in range(depth, 0, -1):
        schema = Schema("Array", f"{dtmi}:{level}", element=schema)
    return schema


def _geometry(term: str, dtmi: str) -> Schema:
    name = term[0].upper() + term[1:]
    tag = Schema("Enum", f"{term}:type", values=(EnumValue(term, name),), value_schema="string")
    coordinates = Field("coordinates", _nested(GEOSPATIAL[term], f"{term}:coordinates"))
    return Schema("Object", dtmi, fields={"type": Field("type", tag), "coordinates": coordinates})


def _object(standard: Standard) -> Schema:
    if standard.term == "scaledDecimal":
        value, scale = Schema("decimal", "decimal"), Schema("short", "short")
        return Schema("Object", standard.term, fields={"value": Field("value", value), "scale": Field("scale", scale)})
    names = ("x", "y", "z") if standard.term == "vector" else ("lon", "lat", "alt")
    return Schema("Object", standard.id, fields={name: Field(name, _DOUBLE) for name in names})


def _enum(standard: Standard) -> Schema:
    """The types of geometries, and the families of units, which are Enums from DTDL v3 on."""
    geometry = standard.term.removeprefix("geospatial").removesuffix("Type")
    if standard.term.startswith("geospatial"):
        words = {geometry[:1].lower() + geometry[1:]: geometry}
    else:
        number = int(standard.id.partition(":v")[2][:1])
        words = {unit: unit for unit in quantities(number).units.get(standard.term, ())}
    values = tuple(EnumValue(name, value) for name, value in words.items())
    return Schema("Enum", standard.id, values=values, value_schema="string")


def build_interfaces(index: Index) -> dict[str, Interface]:
    """Every interface of a sound index, top-level ones first, by DTMI."""
    builder = _Builder(index)
    nested = [e for e in index.everything if e.kind == "Interface" and e.parent is not None]
    interfaces = {element.id: builder.interface(element) for element in (*index.interfaces, *nested)}
    builder.fill()
    return interfaces
