"""A file that says how a foreign logger's rows become readings: names, units, zone, nominal values, what is missing.

FORMAT (YAML)

```yaml
version: 1
pointId: mp-1                    # every row is this point's; or {column: meter, names: {M-17: mp-1}}
timestamp: {column: ts, zone: Asia/Kolkata}     # zone of times written without one; unit: s | ms | us for numbers
channels:                        # flat channel name (remhart_adt.readings.CHANNELS): their column, or with a factor
  v_a: Va
  p_a: {column: PA_kW, factor: 1000}            # SI value = factor x theirs + offset
quality: {column: q, words: {ok: good, dead: bad}, other: suspect}
missingWhen:                     # what the logger writes when it has nothing to say
  - {channels: [oil_temp], outside: [-40, 180]}
  - {channels: [v_ab, v_bc, v_ca], allZero: true, besideLive: [v_a, v_b, v_c]}
points:                          # nominal values for points whose twin does not declare its own
  mp-1: {nominalVoltage: 240, nominalFrequency: 50, ratedCurrent: 200}
```

`translate` is a pure function of one row: the same row always gives the same reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from remhart_adt.clock import format_us, parse_us
from remhart_adt.errors import ConfigError, ReadingError
from remhart_adt.ids import is_twin_id
from remhart_adt.limits import INPUT_FILE_BYTES
from remhart_adt.readings import CHANNEL_INDEX, DeadCause

__all__ = ["ChannelMap", "Mapping", "MissingRule", "NominalValues", "PointMap", "QualityMap", "TimeMap"]

_EMPTY: Final = frozenset(("", "nan", "null", "none", "na", "n/a"))
_PER_SECOND: Final = {"s": 1_000_000, "ms": 1000, "us": 1}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ChannelMap(_Part):
    """Where a channel comes from: SI value = factor x column + offset."""

    column: str
    factor: float = 1.0
    offset: float = 0.0


class PointMap(_Part):
    """The column that names the point, and their names for our twins (an unlisted name is the twin id itself)."""

    column: str
    names: dict[str, str] = Field(default_factory=dict)


class TimeMap(_Part):
    """The column with the source time; `zone` for times without one, `unit` when it is a number since the epoch."""

    column: str = "timestamp"
    zone: str | None = None
    unit: Literal["s", "ms", "us"] | None = None

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone, for instance Asia/Kolkata") from None
        return zone


class QualityMap(_Part):
    """Their words for the quality of a row; `other` is for a word that is not listed, None rejects it."""

    column: str
    words: dict[str, Literal["good", "suspect", "bad"]]
    other: Literal["good", "suspect", "bad"] | None = None


class MissingRule(_Part):
    """Values that mean "not recorded": outside a range, or all zero (beside a channel that is not)."""

    channels: tuple[str, ...]
    outside: tuple[float, float] | None = None
    all_zero: bool = Field(default=False, alias="allZero")
    beside_live: tuple[str, ...] = Field(default=(), alias="besideLive")

    @model_validator(mode="after")
    def _one_condition(self) -> MissingRule:
        if (self.outside is None) is not self.all_zero:
            raise ValueError("a missingWhen rule needs exactly one of outside and allZero")
        _check_channels(self.channels)
        _check_channels(self.beside_live)
        return self

    def drop(self, values: dict[str, float]) -> list[str]:
        """The channels of this reading that were not recorded."""
        present = [name for name in self.channels if name in values]
        if self.outside is not None:
            low, high = self.outside
            return [name for name in present if not low <= values[name] <= high]
        if not present or any(values[name] != 0.0 for name in present):
            return []
        live = not self.beside_live or any(values.get(name, 0.0) != 0.0 for name in self.beside_live)
        return present if live else []


class NominalValues(_Part):
    """Nominal values of a point (V line to neutral, Hz, A) that win over those its twin declares."""

    nominal_voltage: float | None = Field(default=None, alias="nominalVoltage", gt=0)
    nominal_frequency: float | None = Field(default=None, alias="nominalFrequency", gt=0)
    rated_current: float | None = Field(default=None, alias="ratedCurrent", gt=0)


def _check_channels(names: MappingABC[str, Any] | tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in CHANNEL_INDEX]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such channel; there are {', '.join(CHANNEL_INDEX)}")


class Mapping(_Part):
    """A mapping file, checked. `load` reads one; `translate` turns a row into the flat wire form."""

    version: Literal[1]
    point_id: str | PointMap = Field(default_factory=lambda: PointMap(column="pointId"), alias="pointId")
    timestamp: TimeMap = Field(default_factory=TimeMap)
    channels: dict[str, ChannelMap]
    quality: QualityMap | None = None
    missing_when: tuple[MissingRule, ...] = Field(default=(), alias="missingWhen")
    points: dict[str, NominalValues] = Field(default_factory=dict)

    @field_validator("channels", mode="before")
    @classmethod
    def _short_form(cls, channels: Any) -> Any:
        if not isinstance(channels, dict):
            return channels
        return {name: {"column": entry} if isinstance(entry, str) else entry for name, entry in channels.items()}

    @model_validator(mode="after")
    def _names(self) -> Mapping:
        _check_channels(self.channels)
        if not self.channels:
            raise ValueError("channels is empty: no column is mapped")
        if isinstance(self.point_id, str) and not is_twin_id(self.point_id):
            raise ValueError(f"pointId {self.point_id!r} cannot be a twin id")
        return self

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Read and check a mapping file. Raises ConfigError that names every fault and its place."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            if path.stat().st_size > INPUT_FILE_BYTES:
                raise ConfigError("the mapping file is too large", where=str(path))
            content = YAML(typ="safe", pure=True).load(path)
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            raise ConfigError(f"the mapping file cannot be read: {error}", where=str(path)) from error
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'file'}: {f['msg']}" for f in error.errors())
            raise ConfigError(f"the mapping file has faults: {faults}", where=str(path)) from error

    # --- one row ------------------------------------------------------------------------------------------------------

    def translate(self, row: MappingABC[str, Any]) -> dict[str, Any]:
        """The flat wire form of one foreign row. Raises ReadingError when a mapped field cannot be understood.

        Text is taken for numbers (rows come from CSV files); a channel that was not recorded is null.
        """
        values: dict[str, float] = {}
        for name, source in self.channels.items():
            number = _number(row.get(source.column), source.column)
            if number is not None:
                values[name] = number * source.factor + source.offset
        for rule in self.missing_when:
            for name in rule.drop(values):
                del values[name]
        body: dict[str, Any] = {"pointId": self._point(row), "timestamp": self._time(row)}
        body.update((name, values.get(name)) for name in self.channels)
        if self.quality is not None:
            body["quality"] = self._quality(row)
        return body

    def _point(self, row: MappingABC[str, Any]) -> str:
        if isinstance(self.point_id, str):
            return self.point_id
        name = row.get(self.point_id.column)
        if name is None or name == "":
            raise ReadingError(DeadCause.MISSING_FIELD, f"column {self.point_id.column} is empty")
        if not isinstance(name, str | int):
            raise ReadingError(DeadCause.WRONG_TYPE, f"column {self.point_id.column} is no name")
        return self.point_id.names.get(str(name), str(name))

    def _time(self, row: MappingABC[str, Any]) -> str:
        rule = self.timestamp
        raw = row.get(rule.column)
        if raw is None or raw == "":
            raise ReadingError(DeadCause.MISSING_FIELD, f"column {rule.column} is empty")
        try:
            if rule.unit is not None:
                return format_us(round(float(raw) * _PER_SECOND[rule.unit]))
            if not isinstance(raw, str):
                raise ValueError(raw)
            stamp = datetime.fromisoformat(raw.strip())
            if stamp.tzinfo is None:
                if rule.zone is None:
                    raise ValueError(raw)
                stamp = stamp.replace(tzinfo=ZoneInfo(rule.zone))
            text = stamp.astimezone(UTC).isoformat()
            return format_us(parse_us(text))
        except (ValueError, TypeError, OverflowError, OSError):
            hint = "" if rule.zone or rule.unit else " and the mapping names no zone"
            raise ReadingError(DeadCause.BAD_TIMESTAMP, f"{str(raw)[:40]!r} is no time{hint}") from None

    def _quality(self, row: MappingABC[str, Any]) -> str:
        assert self.quality is not None
        word = row.get(self.quality.column)
        known = self.quality.words.get(str(word).strip()) if word is not None else None
        found = known or self.quality.other
        if found is None:
            raise ReadingError(DeadCause.WRONG_TYPE, f"the mapping has no quality word {str(word)[:40]!r}")
        return found


def _number(raw: Any, column: str) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, str):
        text = raw.strip()
        if text.lower() in _EMPTY:
            return None
        try:
            raw = float(text)
        except ValueError:
            raise ReadingError(DeadCause.WRONG_TYPE, f"column {column}: {text[:40]!r} is no number") from None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ReadingError(DeadCause.WRONG_TYPE, f"column {column} is no number")
    number = float(raw)
    if not math.isfinite(number):
        raise ReadingError(DeadCause.NOT_FINITE, f"column {column} is not finite")
    return number
