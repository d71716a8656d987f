"""One type for each primitive schema of DTDL, strict: what a model refuses in a twin, the type refuses.

Values are Python's (a date is a `date`, bytes are `bytes`), JSON is as DTDL writes it. Times of day and durations stay
texts of a checked form, since Python has no duration of a month and no time of day that keeps all its digits.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, StrictBool, StrictStr

from remhart_adt.dtdl.checkers import Check, compile_schema
from remhart_adt.dtdl.types import Field as DtdlField
from remhart_adt.dtdl.types import Schema

__all__ = [
    "Binary",
    "Boolean",
    "Byte",
    "ClockTime",
    "Day",
    "Duration",
    "Exact",
    "Instant",
    "Key",
    "Long",
    "Real",
    "Short",
    "Single",
    "Text",
    "UnsignedByte",
    "UnsignedLong",
    "UnsignedShort",
    "UnsignedWhole",
    "Uuid",
    "Whole",
]

_SINGLE_MAX: Final = 3.4028235677973362e38  # the largest value that does not round up to infinity in 32 bits


def _must(check: Check, value: Any) -> Any:
    faults = check(value)
    if faults:
        raise ValueError(f"must be {faults[0].expected}")
    return value


def _check_of(kind: str) -> Check:
    return compile_schema(Schema(kind, kind), {})


def _like(kind: str) -> AfterValidator:
    """The twin checker's own word on the value."""
    check = _check_of(kind)
    return AfterValidator(lambda value: _must(check, value))


def _read(kind: str, form: type, read: Callable[[str], Any]) -> BeforeValidator:
    """From JSON text that the twin checker accepts; a value of Python's own type may be given too."""
    check = _check_of(kind)
    return BeforeValidator(lambda value: value if isinstance(value, form) else read(_must(check, value)))


def _written(write: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(write, return_type=str, when_used="json")


def _instant_text(value: datetime) -> str:
    try:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:  # in UTC it lies before year 1 or after year 9999
        return value.isoformat()


def _day(value: Any) -> Any:
    if isinstance(value, datetime):
        raise ValueError("must be a date without a time")
    return value


def _map_key(value: str) -> str:
    _must(_KEYS, {value: ""})
    return value


_KEYS: Final = compile_schema(
    Schema("Map", "keys", key_name="key", value=DtdlField("value", Schema("string", "string"))), {}
)

Boolean = StrictBool
Text = Annotated[StrictStr, _like("string")]
Key = Annotated[StrictStr, AfterValidator(_map_key)]
"""A key of a map, which is a name to Azure Digital Twins."""

Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Single = Annotated[float, Field(strict=True, ge=-_SINGLE_MAX, le=_SINGLE_MAX)]
Byte = Annotated[int, Field(strict=True, ge=-(2**7), lt=2**7)]
Short = Annotated[int, Field(strict=True, ge=-(2**15), lt=2**15)]
Whole = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Long = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
UnsignedByte = Annotated[int, Field(strict=True, ge=0, lt=2**8)]
UnsignedShort = Annotated[int, Field(strict=True, ge=0, lt=2**16)]
UnsignedWhole = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
UnsignedLong = Annotated[int, Field(strict=True, ge=0, lt=2**64)]
Exact = Annotated[Decimal, _read("decimal", Decimal, Decimal), _written(lambda value: format(value, "f"))]
"""A decimal number with all its digits."""

Day = Annotated[date, _read("date", date, date.fromisoformat), BeforeValidator(_day), _written(date.isoformat)]
Instant = Annotated[
    AwareDatetime,
    _read("dateTime", datetime, lambda text: datetime.fromisoformat(text.upper())),
    _written(_instant_text),
]
"""A date and time with its zone, to the microsecond; JSON has it in UTC."""

ClockTime = Annotated[StrictStr, _like("time")]
"""A time of day as RFC 3339 text, with or without a zone."""

Duration = Annotated[StrictStr, _like("duration")]
"""A duration as ISO 8601 text, such as PT15M."""

Binary = Annotated[
    bytes, _read("bytes", bytes, base64.b64decode), _written(lambda value: base64.b64encode(value).decode("ascii"))
]
Uuid = Annotated[UUID, _read("uuid", UUID, UUID), _written(str)]
