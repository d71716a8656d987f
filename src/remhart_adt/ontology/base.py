"""What every generated twin class builds on: strict types, DTDL names in JSON, and the documents of the service.

Attributes have Python names (`phase_a`), JSON has DTDL names (`phaseA`). A property that is None is absent in JSON. The
documents are the plain dicts that `azure.digitaltwins.core` gives and takes: what the service adds (`$metadata` with
times of update, ETags) is read and not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import Field

from remhart_adt.errors import DtdlError
from remhart_adt.ontology.geometry import LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon
from remhart_adt.ontology.part import Part, WholeEnum, dtdl_name
from remhart_adt.ontology.primitives import (
    Binary,
    Boolean,
    Byte,
    ClockTime,
    Day,
    Duration,
    Exact,
    Instant,
    Key,
    Long,
    Real,
    Short,
    Single,
    Text,
    UnsignedByte,
    UnsignedLong,
    UnsignedShort,
    UnsignedWhole,
    Uuid,
    Whole,
)

__all__ = [
    "Binary",
    "Boolean",
    "Byte",
    "ClockTime",
    "ComponentNames",
    "Day",
    "Duration",
    "Exact",
    "Instant",
    "InterfaceModel",
    "Key",
    "LineString",
    "Long",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "Part",
    "Point",
    "Polygon",
    "Real",
    "RelationshipClasses",
    "RelationshipModel",
    "Short",
    "Single",
    "Text",
    "UnsignedByte",
    "UnsignedLong",
    "UnsignedShort",
    "UnsignedWhole",
    "Uuid",
    "Whole",
    "WholeEnum",
    "component_of",
    "dtdl_name",
    "relationship_from",
    "twin_from",
]


class RelationshipModel(Part):
    """A relationship of one kind; `NAME` is its DTDL name, `TARGET` the DTMI it leads to (empty = any)."""

    NAME: ClassVar[str] = ""
    TARGET: ClassVar[str] = ""

    relationship_id: str | None = dtdl_name("$relationshipId")
    """Identifier, unique among those of the source twin."""
    source_id: str | None = dtdl_name("$sourceId")
    """Identifier of the twin it starts from."""
    target_id: str = Field(validation_alias="$targetId", serialization_alias="$targetId")
    """Identifier of the twin it leads to."""
    etag: str | None = dtdl_name("$etag")
    """The ETag as last read; never sent."""

    def to_relationship(self) -> dict[str, Any]:
        """The document that `upsert_relationship` takes."""
        body = self.to_json()
        body.pop("$etag", None)
        return {"$relationshipName": self.NAME, **body}

    @classmethod
    def from_relationship(cls, document: Mapping[str, Any]) -> Self:
        """The typed form of what `get_relationship` gives. Raises DtdlError when it has another name."""
        name = document.get("$relationshipName")
        if name != cls.NAME:
            raise DtdlError(
                f"the relationship is {name}, not {cls.NAME}",
                where=str(document.get("$relationshipId", "")),
                remedy="Use its class",
            )
        return cls.from_json(_without(document, "$relationshipName"))


ComponentNames = tuple[str, ...]
RelationshipClasses = tuple[type[RelationshipModel], ...]


class InterfaceModel(Part):
    """A twin, or a component, of one interface; `MODEL` is its DTMI, `COMPONENTS` are the DTDL names of its components,
    `RELATIONSHIPS` the classes of its relationships, inherited ones included.

    A component is always there, empty unless something is set: the service wants every component of a twin.
    """

    MODEL: ClassVar[str] = ""
    COMPONENTS: ClassVar[ComponentNames] = ()
    RELATIONSHIPS: ClassVar[RelationshipClasses] = ()

    dt_id: str | None = dtdl_name("$dtId")
    """The twin's identifier; components have none."""
    etag: str | None = dtdl_name("$etag")
    """The ETag as last read; never sent."""

    def to_twin(self) -> dict[str, Any]:
        """The document that `upsert_digital_twin` takes: identifier, model, properties that are set, all components."""
        body = self.to_json()
        body.pop("$etag", None)
        for name in self.COMPONENTS:
            body[name] = {"$metadata": {}, **_without(body.get(name, {}), "$dtId", "$etag")}
        return {**body, "$metadata": {"$model": self.MODEL}}

    @classmethod
    def from_twin(cls, document: Mapping[str, Any]) -> Self:
        """The typed form of what `get_digital_twin` gives, or a query's row.

        Raises DtdlError when it is of another model. That includes a model that extends this one: read as its parent,
        the twin would lose properties when it is written back. `twin_from` chooses the class by the document.
        """
        model = _model_of(document)
        if model != cls.MODEL:
            raise DtdlError(
                f"the twin is of {model}, not of {cls.MODEL}",
                where=str(document.get("$dtId", "")),
                remedy="Use its class, or twin_from with the classes it may be of",
            )
        body = _without(document, "$metadata")
        for name in cls.COMPONENTS:
            if isinstance(body.get(name), Mapping):
                body[name] = _without(body[name], "$metadata")
        return cls.from_json(body)

    def to_component(self) -> dict[str, Any]:
        """The value of a component in a twin's document."""
        return {"$metadata": {}, **_without(self.to_json(), "$dtId", "$etag")}

    @classmethod
    def from_component(cls, document: Mapping[str, Any]) -> Self:
        """The typed form of what `get_component` gives. Raises DtdlError naming every field that does not fit."""
        return cls.from_json(_without(document, "$metadata"))


_Interface = TypeVar("_Interface", bound=InterfaceModel)
_Relationship = TypeVar("_Relationship", bound=RelationshipModel)


def component_of(cls: type[_Interface], name: str | None = None) -> _Interface:
    """The default of a component's attribute: an empty component of this class; `name` is its DTDL name where that is
    not the attribute in camel case."""
    default: _Interface = Field(default_factory=cls, validation_alias=name, serialization_alias=name)
    return default


def twin_from(document: Mapping[str, Any], classes: Iterable[type[_Interface]]) -> _Interface:
    """The typed form of a twin's document, by the class whose model it names. Raises DtdlError when there is none."""
    model = _model_of(document)
    listed = list(classes)
    for cls in listed:
        if model == cls.MODEL:
            return cls.from_twin(document)
    raise DtdlError(
        f"none of the {len(listed)} classes is for model {model}",
        where=str(document.get("$dtId", "")),
        remedy="Give the class of that model too",
    )


def relationship_from(document: Mapping[str, Any], classes: Iterable[type[_Relationship]]) -> _Relationship:
    """The typed form of a relationship's document, by its name; `classes` are those of the source twin, such as
    `GridComponent.RELATIONSHIPS`. Raises DtdlError when none has the name."""
    name = document.get("$relationshipName")
    listed = list(classes)
    for cls in listed:
        if name == cls.NAME:
            return cls.from_relationship(document)
    raise DtdlError(
        f"none of the classes is for the relationship {name}",
        where=str(document.get("$relationshipId", "")),
        remedy=f"There are: {', '.join(cls.NAME for cls in listed) or 'none'}",
    )


def _model_of(document: Mapping[str, Any]) -> Any:
    metadata = document.get("$metadata")
    return metadata.get("$model") if isinstance(metadata, Mapping) else None


def _without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in names}
