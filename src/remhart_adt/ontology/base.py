"""What every generated twin class builds on: strict types, DTDL names as aliases, and the twin's JSON form.

Attributes have Python names (`phase_a`), JSON has DTDL names (`phaseA`). A property that is None is absent in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictStr,
    ValidationError,
)

from remhart_adt.clock import format_us
from remhart_adt.dtdl.naming import camel
from remhart_adt.errors import DtdlError

__all__ = [
    "Boolean",
    "Day",
    "Instant",
    "InterfaceModel",
    "Long",
    "Part",
    "Real",
    "RelationshipModel",
    "Text",
    "Whole",
]

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _instant_text(value: datetime) -> str:
    return format_us((value - _EPOCH) // timedelta(microseconds=1))


Boolean = StrictBool
Text = StrictStr
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Long = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Instant = Annotated[AwareDatetime, PlainSerializer(_instant_text, return_type=str)]
Day = Annotated[date, PlainSerializer(date.isoformat, return_type=str)]


class Part(BaseModel):
    """An Object of a schema; also the base of whole interfaces."""

    model_config = ConfigDict(
        alias_generator=camel,
        populate_by_name=True,
        extra="forbid",
        validate_assignment=True,
    )

    def to_json(self) -> dict[str, Any]:
        """The JSON value: DTDL names, absent what is None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The object of a JSON value. Raises DtdlError naming every field that does not fit."""
        try:
            return cls.model_validate(dict(value), by_alias=True, by_name=False)
        except ValidationError as error:
            found = "; ".join(f"{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:10])
            raise DtdlError(
                f"this is no {cls.__name__}: {found}", where=cls.__name__, remedy="Correct the named fields"
            ) from None


class InterfaceModel(Part):
    """A twin, or a component, of one interface; `MODEL` is its DTMI, `COMPONENTS` the names of its components."""

    MODEL: ClassVar[str] = ""
    COMPONENTS: ClassVar[tuple[str, ...]] = ()

    dt_id: str | None = Field(default=None, alias="$dtId")
    """The twin's identifier; components have none."""
    etag: str | None = Field(default=None, alias="$etag")
    """The ETag as last read; never sent."""

    def to_twin(self) -> dict[str, Any]:
        """The document to PUT: identifier, model, properties that are set, and every component (empty if unset)."""
        body = self.to_json()
        body.pop("$etag", None)
        for name in self.COMPONENTS:
            body[name] = {"$metadata": {}, **body.get(name, {})}
        return {**body, "$metadata": {"$model": self.MODEL}}

    @classmethod
    def from_twin(cls, document: Mapping[str, Any]) -> Self:
        """The typed form of a twin as the service gives it. Raises DtdlError when it is of another model."""
        metadata = document.get("$metadata")
        model = metadata.get("$model") if isinstance(metadata, Mapping) else None
        if model != cls.MODEL:
            raise DtdlError(
                f"the twin is of {model}, not of {cls.MODEL}",
                where=str(document.get("$dtId", "")),
                remedy="Use its class",
            )
        body = {key: value for key, value in document.items() if key != "$metadata"}
        for name in cls.COMPONENTS:
            if isinstance(body.get(name), Mapping):
                body[name] = {key: value for key, value in body[name].items() if key != "$metadata"}
        return cls.from_json(body)


class RelationshipModel(Part):
    """A relationship of one kind; `NAME` is its DTDL name, `TARGET` the DTMI it leads to (empty = any)."""

    NAME: ClassVar[str] = ""
    TARGET: ClassVar[str] = ""

    relationship_id: str | None = Field(default=None, alias="$relationshipId")
    """Identifier, unique among those of the source twin."""
    source_id: str | None = Field(default=None, alias="$sourceId")
    """Identifier of the twin it starts from."""
    target_id: str = Field(alias="$targetId")
    """Identifier of the twin it leads to."""
    etag: str | None = Field(default=None, alias="$etag")
    """The ETag as last read; never sent."""

    def to_relationship(self) -> dict[str, Any]:
        """The document to PUT."""
        body = self.to_json()
        body.pop("$etag", None)
        return {"$relationshipName": self.NAME, **body}

    @classmethod
    def from_relationship(cls, document: Mapping[str, Any]) -> Self:
        """The typed form of a relationship as the service gives it. Raises DtdlError when it has another name."""
        name = document.get("$relationshipName")
        if name != cls.NAME:
            raise DtdlError(
                f"the relationship is {name}, not {cls.NAME}",
                where=str(document.get("$relationshipId", "")),
                remedy="Use its class",
            )
        return cls.from_json({key: value for key, value in document.items() if key != "$relationshipName"})
