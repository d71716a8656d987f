"""One reading on the wire and in memory: channel names, units, JSON forms, and columns of readings.

A reading is one measurement point's electrical and thermal state at one instant, in SI units. On the wire it is a
JSON object in one of two forms of the same meaning (nested or flat); in memory readings are columns.
This module only names things and writes the wire form; the daemon's `decode` reads it, hostile until parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from remhart_adt.clock import format_us

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CHANNELS",
    "CHANNEL_INDEX",
    "PHASES",
    "Channel",
    "ComponentStatus",
    "DeadCause",
    "Quality",
    "ReadingBatch",
    "flat_reading",
    "nested_reading",
]

PHASES: Final = ("A", "B", "C")


class Channel(NamedTuple):
    """One column of a reading: flat name, path in the nested form, unit."""

    name: str
    path: tuple[str, ...]
    unit: str


def _three(flat: str, block: str, unit: str, keys: Sequence[str] = ("phaseA", "phaseB", "phaseC")) -> list[Channel]:
    return [Channel(f"{flat}_{suffix}", (block, key), unit) for suffix, key in zip("abc", keys, strict=True)]


CHANNELS: Final[tuple[Channel, ...]] = (
    *_three("v", "voltage", "V"),
    *_three("i", "current", "A"),
    *_three("p", "activePower", "W"),
    *_three("q", "reactivePower", "var"),
    Channel("freq", ("frequency",), "Hz"),
    Channel("v_ab", ("lineVoltage", "ab"), "V"),
    Channel("v_bc", ("lineVoltage", "bc"), "V"),
    Channel("v_ca", ("lineVoltage", "ca"), "V"),
    Channel("i_n", ("neutralCurrent",), "A"),
    *_three("thdv", "thdVoltage", "%"),
    *_three("thdi", "thdCurrent", "%"),
    Channel("oil_temp", ("oilTemperature",), "degC"),
    Channel("ambient_temp", ("ambientTemperature",), "degC"),
)
CHANNEL_INDEX: Final = {channel.name: i for i, channel in enumerate(CHANNELS)}


class Quality(IntEnum):
    """The sender's own word on a reading."""

    GOOD = 0
    SUSPECT = 1
    BAD = 2


class DeadCause(StrEnum):
    """Why a reading went to the dead letter; the keys of `dead_by_cause`."""

    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    EMPTY = "empty"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    UNKNOWN_POINT = "unknown_point"
    UNKNOWN_COMPONENT = "unknown_component"
    TWIN_NOT_FOUND = "twin_not_found"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """Readings as columns, in the order they stood in their partition.

    `points` names the measurement points that occur; `point` (n,) int32 indexes it. `time_us` (n,) int64 is the source
    time. `values` (n, len(CHANNELS)) float64, NaN = not measured. `quality` (n,) int8 of `Quality`. `sequence` (n,)
    int64, `index` (n,) int32 and `enqueued_us` (n,) int64 say which event of the partition, and the place in its array.
    """

    points: tuple[str, ...]
    point: NDArray[np.int32]
    time_us: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.int8]
    sequence: NDArray[np.int64]
    index: NDArray[np.int32]
    enqueued_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component's reported state at one instant; None = not reported."""

    component_id: str
    time_us: int
    switch_state: str | None = None
    tap_position: int | None = None
    steps_on: int | None = None
    temperature: float | None = None
    sequence: int = -1
    index: int = 0
    enqueued_us: int = 0

    def to_wire(self) -> dict[str, Any]:
        """The JSON object a device sends."""
        body: dict[str, Any] = {"componentId": self.component_id, "timestamp": format_us(self.time_us)}
        for key, value in (
            ("switchState", self.switch_state),
            ("tapPosition", self.tap_position),
            ("stepsOn", self.steps_on),
            ("temperature", self.temperature),
        ):
            if value is not None:
                body[key] = value
        return body


def nested_reading(
    point_id: str, time_us: int, values: Sequence[float], quality: Quality = Quality.GOOD
) -> dict[str, Any]:
    """The nested JSON form of one reading; channels that are NaN are left out."""
    body: dict[str, Any] = {"pointId": point_id, "timestamp": format_us(time_us)}
    for channel, value in zip(CHANNELS, values, strict=True):
        if value == value:  # not NaN
            target = body
            for key in channel.path[:-1]:
                target = target.setdefault(key, {})
            target[channel.path[-1]] = float(value)
    if quality != Quality.GOOD:
        body["quality"] = quality.name.lower()
    return body


def flat_reading(
    point_id: str, time_us: int, values: Sequence[float], quality: Quality = Quality.GOOD
) -> dict[str, Any]:
    """The flat form of one reading, as a JSON object or a CSV row; channels that are NaN are left out."""
    body: dict[str, Any] = {"pointId": point_id, "timestamp": format_us(time_us)}
    body.update((channel.name, float(value)) for channel, value in zip(CHANNELS, values, strict=True) if value == value)
    if quality != Quality.GOOD:
        body["quality"] = quality.name.lower()
    return body
