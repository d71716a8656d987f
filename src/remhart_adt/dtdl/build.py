"""From the sound index to the objects callers use: interfaces with their contents, inherited ones merged in."""

from __future__ import annotations

from typing import Any, Final

from remhart_adt.dtdl.elements import Element, Index, Reference
from remhart_adt.dtdl.rules import lineage
from remhart_adt.dtdl.types import Content, ContentKind, EnumValue, Field, Interface, Schema

__all__ = ["build_interfaces"]

# Geospatial schemas are GeoJSON geometries: how many arrays deep their coordinates are (RFC 7946).
_COORDINATES: Final = {
    "point": 1,
    "lineString": 2,
    "multiPoint": 2,
    "polygon": 3,
    "multiLineString": 3,
    "multiPolygon": 4,
}


class _Builder:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._schemas: dict[str, Schema] = {}
        self._own: dict[str, dict[str, Content]] = {}

    def interface(self, element: Element) -> Interface:
        family = lineage(self._index, element)
        # Own contents first, then those of the nearest parents: the order in which a reader meets them.
        contents = {name: content for member in family for name, content in self.own(member).items()}
        return Interface(
            id=element.id,
            version=element.version,
            extends=tuple(link.id if isinstance(link, Element) else link.dtmi for link in _links(element, "extends")),
            own=self.own(element),
            contents=contents,
            schemas={child.id: self.complex(child) for child in element.children("schemas")},
            definition=element.raw,
            source=element.text.name,
            **_about(element),
            comment=element.literals.get("comment", ""),
        )

    def own(self, element: Element) -> dict[str, Content]:
        if element.id not in self._own:
            found = [self._index.target(link) for link in _links(element, "contents")]
            self._own[element.id] = {c.name: self.content(c, element.id) for c in found if c is not None}
        return self._own[element.id]

    def content(self, element: Element, owner: str) -> Content:
        kind: ContentKind = element.kind  # type: ignore[assignment]  # the metamodel admits only these
        more: dict[str, Any] = {}
        if kind in ("Property", "Telemetry"):
            more["schema"] = self.schema(element, "schema")
        elif kind == "Component":
            link = _links(element, "schema")[0]
            more["component"] = link.id if isinstance(link, Element) else link.dtmi
        elif kind == "Relationship":
            found = [self._index.target(link) for link in _links(element, "properties")]
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
            types=element.types,
            unit=element.unit,
            comment=element.literals.get("comment", ""),
            **_about(element),
            **more,
        )

    def _payload(self, element: Element, prop: str) -> Field | None:
        links = _links(element, prop)
        target = self._index.target(links[0]) if links else None
        return self.field(target) if target is not None else None

    def field(self, element: Element) -> Field:
        return Field(
            name=element.name,
            schema=self.schema(element, "schema"),
            id=element.id,
            types=element.types,
            unit=element.unit,
            **_about(element),
        )

    def schema(self, element: Element, prop: str) -> Schema:
        link = _links(element, prop)[0]
        if isinstance(link, Reference) and link.standard:
            return self._standard(link.standard)
        target = self._index.target(link)
        if target is None:  # every reference was resolved before anything is built
            raise AssertionError(f"{element.id} has no {prop}")
        return self.complex(target)

    def _standard(self, term: str) -> Schema:
        if term not in self._schemas:
            self._schemas[term] = _geometry(term) if term in _COORDINATES else Schema(kind=term, id=term)
        return self._schemas[term]

    def complex(self, element: Element) -> Schema:
        done = self._schemas.get(element.id)
        if done is not None:
            return done
        fields: dict[str, Field] = {}
        schema = self._schemas[element.id] = Schema(kind=element.kind, id=element.id, fields=fields, **_about(element))

        def fill(name: str, value: Any) -> None:
            # The schema has to exist before what it contains, since in DTDL v4 it may contain itself.
            object.__setattr__(schema, name, value)

        if element.kind == "Object":
            fields.update({child.name: self.field(child) for child in element.children("fields")})
        elif element.kind == "Enum":
            fill("value_schema", self.schema(element, "valueSchema").kind)
            values = [
                EnumValue(c.name, _plain(c.literals["enumValue"]), **_about(c)) for c in element.children("enumValues")
            ]
            fill("values", tuple(values))
        elif element.kind == "Map":
            fill("key_name", element.children("mapKey")[0].name)
            fill("value", self.field(element.children("mapValue")[0]))
        else:
            fill("element", self.schema(element, "elementSchema"))
        return schema


def _links(element: Element, prop: str) -> list[Element | Reference]:
    return element.links.get(prop, [])


def _about(element: Element) -> dict[str, Any]:
    return {
        "display_name": element.literals.get("displayName", {}),
        "description": element.literals.get("description", {}),
    }


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _geometry(term: str) -> Schema:
    coordinates = Schema("double", "double")
    for depth in range(_COORDINATES[term], 0, -1):
        coordinates = Schema("Array", f"{term}:coordinates:{depth}", element=coordinates)
    name = term[0].upper() + term[1:]
    tag = Schema("Enum", f"{term}:type", values=(EnumValue(term, name),), value_schema="string")
    return Schema("Object", term, fields={"type": Field("type", tag), "coordinates": Field("coordinates", coordinates)})


def build_interfaces(index: Index) -> dict[str, Interface]:
    """Every interface of a sound index, top-level ones first, by DTMI."""
    builder = _Builder(index)
    nested = [e for e in index.elements.values() if e.kind == "Interface" and e.parent is not None]
    return {element.id: builder.interface(element) for element in (*index.interfaces, *nested)}
