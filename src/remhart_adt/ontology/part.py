"""The root of every generated class: strict fields, DTDL names in JSON, and the helpers that declare attributes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from remhart_adt.dtdl.naming import camel
from remhart_adt.errors import DtdlError

__all__ = ["Part", "WholeEnum", "dtdl_name"]

# A message of a few faults is read; the rest shows when these are corrected.
_FAULTS_TOLD = 10


class Part(BaseModel):
    """An Object of a schema; also the base of whole interfaces.

    In Python attributes have Python names, in JSON they have DTDL names; neither accepts the other's. (A model may have
    `phaseA` and `phase_a`: one of them is the other's Python name.)
    """

    model_config = ConfigDict(
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=False,
        extra="forbid",
        validate_assignment=True,
        # Only exact names of the base class are taken; DTDL has every right to modelDumpRate.
        protected_namespaces=(),
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
            faults = error.errors()[:_FAULTS_TOLD]
            found = "; ".join(f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
            raise DtdlError(
                f"this is no {cls.__name__}: {found}", where=cls.__name__, remedy="Correct the named fields"
            ) from None


class WholeEnum(IntEnum):
    """An enumeration of whole numbers that takes no `true`, no `1.0` and no `"1"` for 1."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks a value."""
        return core_schema.no_info_before_validator_function(_whole_only, handler(source))


def _whole_only(value: Any) -> Any:
    if type(value) is not int and not isinstance(value, WholeEnum):
        raise ValueError("must be a whole number")
    return value


def dtdl_name(name: str) -> Any:
    """The default (None) of an attribute whose DTDL name is not its own name in camel case."""
    # `alias` would do for pydantic, but type checkers take it for the name of the argument.
    return Field(default=None, validation_alias=name, serialization_alias=name)
