"""Bytes of events to columns of readings; what cannot be used becomes a dead letter with its cause.

Nothing in an event is trusted. A bad item of an array costs that item only; a fault of the whole event (not JSON, too
large, too deep, an empty array) is one dead letter with index 0. Columns are taken one list comprehension per channel
over all readings of the batch; only columns that hold something else than numbers are looked at item by item.

The answer depends on the events alone (the future is judged against the time an event was enqueued), so a replay of
the hub's log decides exactly as the daemon did.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from remhart_adt.clock import parse_us
from remhart_adt.errors import ReadingError
from remhart_adt.limits import EVENT_BYTES, FUTURE_TOLERANCE_US, JSON_DEPTH, READING_BYTES
from remhart_adt.readings import CHANNELS, ComponentStatus, DeadCause, Quality, ReadingBatch
from remhart_adt.sync.types import RawEvent

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PHYSICAL_RANGE", "Dead", "Decoded", "Decoder"]

# What an instrument on a power grid can possibly report, by unit. Wider than any normal operation: outside of it the
# number is a unit mix-up or a broken sender, and no limit value, alarm or model should ever see it.
_BY_UNIT: Final = {
    "V": (0.0, 2.0e6),
    "A": (0.0, 1.0e6),
    "W": (-1.0e11, 1.0e11),
    "var": (-1.0e11, 1.0e11),
    "Hz": (0.0, 1000.0),
    "%": (0.0, 1000.0),
    "degC": (-100.0, 1000.0),
}
PHYSICAL_RANGE: Final = tuple(_BY_UNIT[channel.unit] for channel in CHANNELS)
_LOW: Final = np.array([low for low, _ in PHYSICAL_RANGE])
_HIGH: Final = np.array([high for _, high in PHYSICAL_RANGE])
_TEMPERATURE: Final = _BY_UNIT["degC"]

_FLAT: Final = frozenset(channel.name for channel in CHANNELS)
_NESTED: Final = frozenset(channel.path[0] for channel in CHANNELS)
_BLOCKS: Final = {
    block: [(i, channel.path[1]) for i, channel in enumerate(CHANNELS) if channel.path[0] == block]
    for block in dict.fromkeys(channel.path[0] for channel in CHANNELS if len(channel.path) == 2)
}
_SCALARS: Final = [(i, channel.path[0]) for i, channel in enumerate(CHANNELS) if len(channel.path) == 1]
_QUALITY: Final = {"good": Quality.GOOD, "suspect": Quality.SUSPECT, "bad": Quality.BAD}
_NUMBER: Final = frozenset((float, int))
_OPENERS: Final = np.zeros(256, np.int32)
_OPENERS[[ord("{"), ord("[")]] = 1
_OPENERS[[ord("}"), ord("]")]] = -1


@dataclass(frozen=True, slots=True)
class Dead:
    """One item that cannot be used: where it stood, why, and the point it named when that is known."""

    sequence: int
    index: int
    cause: DeadCause
    message: str
    point_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch taken apart: readings as columns, component reports, dead letters; `received` counts all items."""

    batch: ReadingBatch
    statuses: list[ComponentStatus]
    dead: list[Dead]
    received: int


@dataclass(slots=True)
class _Item:
    body: dict[str, Any]
    sequence: int
    index: int
    enqueued_us: int


class Decoder:
    """Takes events apart for a known set of points and components.

    `translate` turns a foreign object into the wire form (see `mapping.Mapping.translate`); it raises ReadingError.
    """

    def __init__(
        self,
        points: Mapping[str, int],
        components: frozenset[str],
        *,
        translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self._points = points
        self._names = tuple(points)
        self._components = components
        self._translate = translate

    def decode(self, events: Sequence[RawEvent]) -> Decoded:
        """Take the events of one partition apart, in order. Never raises for what is in them."""
        dead: list[Dead] = []
        readings: list[_Item] = []
        statuses: list[_Item] = []
        received = 0
        for event in events:
            received += self._sort(event, readings, statuses, dead)
        batch = self._columns(readings, dead)
        reports = [status for item in statuses if (status := self._status(item, dead)) is not None]
        dead.sort(key=lambda d: (d.sequence, d.index))
        return Decoded(batch, reports, dead, received)

    # --- one event ----------------------------------------------------------------------------------------------------

    def _sort(self, event: RawEvent, readings: list[_Item], statuses: list[_Item], dead: list[Dead]) -> int:
        """Split an event into items by kind; returns how many items it counts as."""
        items, fault = _parse(event.body)
        if fault is not None:
            dead.append(Dead(event.sequence, 0, *fault))
            return 1
        large = len(event.body) > READING_BYTES
        for index, body in enumerate(items):
            where = (event.sequence, index)
            if type(body) is not dict:
                dead.append(Dead(*where, DeadCause.WRONG_TYPE, f"a {_kind(body)} stands where an object should"))
                continue
            if large and _size(body) > READING_BYTES:
                dead.append(Dead(*where, DeadCause.TOO_LARGE, f"one reading may have {READING_BYTES} bytes"))
                continue
            if self._translate is not None and "componentId" not in body:
                try:
                    body = self._translate(body)
                except ReadingError as error:
                    dead.append(Dead(*where, DeadCause(error.cause), error.what))
                    continue
            if event.device_id is not None and "pointId" not in body and "componentId" not in body:
                body["pointId"] = event.device_id
            item = _Item(body, event.sequence, index, event.enqueued_us)
            (statuses if "componentId" in body and "pointId" not in body else readings).append(item)
        return len(items)

    # --- readings -----------------------------------------------------------------------------------------------------

    def _columns(self, items: list[_Item], dead: list[Dead]) -> ReadingBatch:
        faults: dict[int, tuple[DeadCause, str]] = {}
        bodies = [item.body for item in items]
        point = self._points_of(bodies, faults)
        times = _times(items, faults)
        values = _values(bodies, faults)
        quality = _qualities(bodies, faults)
        _not_physical(values, faults)
        for k in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
            # A channel that is there and null was not recorded; a reading that names none is not one of ours.
            if _FLAT.isdisjoint(bodies[k]) and _NESTED.isdisjoint(bodies[k]):
                faults.setdefault(k, (DeadCause.MISSING_FIELD, "no known channel in this reading"))
        if faults:
            for k in sorted(faults):
                name = bodies[k].get("pointId")
                known = name if isinstance(name, str) else None
                dead.append(Dead(items[k].sequence, items[k].index, *faults[k], known))
            keep = np.ones(len(items), bool)
            keep[list(faults)] = False
            point, times, values, quality = point[keep], times[keep], values[keep], quality[keep]
            items = [item for k, item in enumerate(items) if k not in faults]
        return ReadingBatch(
            self._names,
            point,
            times,
            values,
            quality,
            np.array([item.sequence for item in items], np.int64),
            np.array([item.index for item in items], np.int32),
            np.array([item.enqueued_us for item in items], np.int64),
        )

    def _points_of(self, bodies: list[dict[str, Any]], faults: dict[int, tuple[DeadCause, str]]) -> NDArray[np.int32]:
        names = [body.get("pointId") for body in bodies]
        if set(map(type, names)) <= {str}:
            found = [self._points.get(name, -1) for name in names]  # type: ignore[arg-type]
        else:
            found = [self._points.get(name, -1) if type(name) is str else -1 for name in names]
        if -1 in found:
            for k, at in enumerate(found):
                if at < 0:
                    faults[k] = _no_point(names[k], bodies[k])
        return np.array(found, np.int32)

    # --- component reports --------------------------------------------------------------------------------------------

    def _status(self, item: _Item, dead: list[Dead]) -> ComponentStatus | None:
        body = item.body
        name = body["componentId"]
        try:
            if type(name) is not str:
                raise ReadingError(DeadCause.WRONG_TYPE, f"componentId is a {_kind(name)}")
            if name not in self._components:
                raise ReadingError(DeadCause.UNKNOWN_COMPONENT, f"no component has the id {name[:128]!r}")
            time_us = _one_time(body, item.enqueued_us)
            status = ComponentStatus(
                name,
                time_us,
                _switch(body.get("switchState")),
                _whole(body, "tapPosition"),
                _whole(body, "stepsOn"),
                _celsius(body.get("temperature")),
                item.sequence,
                item.index,
                item.enqueued_us,
            )
            told = (status.switch_state, status.tap_position, status.steps_on, status.temperature)
            if told == (None, None, None, None):
                raise ReadingError(DeadCause.MISSING_FIELD, "the report says nothing about the component")
        except ReadingError as error:
            dead.append(Dead(item.sequence, item.index, DeadCause(error.cause), error.what))
            return None
        return status


# --- whole events ---------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> tuple[list[Any], tuple[DeadCause, str] | None]:
    """The items of an event, or what is wrong with the whole of it."""
    if len(body) > EVENT_BYTES:
        return [], (DeadCause.TOO_LARGE, f"the event has {len(body)} bytes, {EVENT_BYTES} are allowed")
    if _depth(body) > JSON_DEPTH:
        return [], (DeadCause.TOO_DEEP, f"more than {JSON_DEPTH} levels of nesting")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        parsed = _tolerant(body)
        if parsed is None:
            return [], (DeadCause.NOT_JSON, str(error)[:200])
    if type(parsed) is dict:
        return [parsed], None
    if type(parsed) is not list:
        return [], (DeadCause.WRONG_TYPE, f"a {_kind(parsed)} stands where an object or an array should")
    if not parsed:
        return [], (DeadCause.EMPTY, "an empty array")
    return parsed, None


def _depth(body: bytes) -> int:
    """Levels of brackets in the text. Brackets inside strings count too, which can only matter for text that no
    sender of readings writes; the parsers below stand any depth that passes."""
    if body.count(b"{") + body.count(b"[") <= JSON_DEPTH:
        return 0
    steps = _OPENERS[np.frombuffer(body, np.uint8)]
    return int(steps.cumsum().max())


def _tolerant(body: bytes) -> Any:
    """Text that is JSON but for NaN, Infinity or a number beyond a double; None when it is not even that.

    Senders write these for one broken channel; the item that holds it is rejected, its neighbours are good.
    """
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except (TypeError, orjson.JSONEncodeError):
        return len(json.dumps(value))


# --- single fields ----------------------------------------------------------------------------------------------------


def _no_point(name: Any, body: dict[str, Any]) -> tuple[DeadCause, str]:
    if "pointId" not in body:
        return DeadCause.MISSING_FIELD, "neither pointId nor componentId"
    if type(name) is not str:
        return DeadCause.WRONG_TYPE, f"pointId is a {_kind(name)}"
    return DeadCause.UNKNOWN_POINT, f"no measurement point has the id {name[:128]!r}"


def _times(items: list[_Item], faults: dict[int, tuple[DeadCause, str]]) -> NDArray[np.int64]:
    texts = [item.body.get("timestamp") for item in items]
    times = np.zeros(len(items), np.int64)
    for k, text in enumerate(texts):
        try:
            times[k] = parse_us(text)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            faults.setdefault(k, _bad_time(text, "timestamp" in items[k].body))
    enqueued = np.array([item.enqueued_us for item in items], np.int64)
    for k in np.flatnonzero((times > enqueued + FUTURE_TOLERANCE_US) & (enqueued > 0)).tolist():
        faults.setdefault(k, (DeadCause.FUTURE_TIMESTAMP, f"{texts[k]} is later than its arrival and 5 minutes"))
    return times


def _bad_time(text: Any, present: bool) -> tuple[DeadCause, str]:
    if not present or text is None:
        return DeadCause.MISSING_FIELD, "timestamp is missing"
    if type(text) is not str:
        return DeadCause.WRONG_TYPE, f"timestamp is a {_kind(text)}"
    return DeadCause.BAD_TIMESTAMP, f"{text[:40]!r} is not an RFC 3339 time with a zone"


def _one_time(body: dict[str, Any], enqueued_us: int) -> int:
    text = body.get("timestamp")
    try:
        time_us = parse_us(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ReadingError(*_bad_time(text, "timestamp" in body)) from None
    if 0 < enqueued_us < time_us - FUTURE_TOLERANCE_US:
        raise ReadingError(DeadCause.FUTURE_TIMESTAMP, f"{text} is later than its arrival and 5 minutes")
    return time_us


def _qualities(bodies: list[dict[str, Any]], faults: dict[int, tuple[DeadCause, str]]) -> NDArray[np.int8]:
    quality = np.zeros(len(bodies), np.int8)
    for k, word in enumerate([body.get("quality") for body in bodies]):
        if word is None:
            continue
        if type(word) is not str or word not in _QUALITY:
            faults.setdefault(k, (DeadCause.WRONG_TYPE, "quality must be good, suspect or bad"))
        else:
            quality[k] = _QUALITY[word]
    return quality


def _switch(word: Any) -> str | None:
    if word is not None and word not in ("open", "closed"):
        raise ReadingError(DeadCause.WRONG_TYPE, "switchState must be open or closed")
    return None if word is None else str(word)


def _whole(body: dict[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if type(value) is float and math.isinf(value):
        raise ReadingError(DeadCause.NOT_FINITE, f"{key} is not finite")
    if type(value) is not int:
        raise ReadingError(DeadCause.WRONG_TYPE, f"{key} must be a whole number")
    if abs(value) > 1000:
        raise ReadingError(DeadCause.OUT_OF_RANGE, f"{key} is {value}")
    return value


def _celsius(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in _NUMBER:
        raise ReadingError(DeadCause.WRONG_TYPE, f"temperature is a {_kind(value)}")
    if not math.isfinite(value):
        raise ReadingError(DeadCause.NOT_FINITE, "temperature is not finite")
    if not _TEMPERATURE[0] <= value <= _TEMPERATURE[1]:
        raise ReadingError(DeadCause.OUT_OF_RANGE, f"temperature is {value}")
    return float(value)


# --- channels ---------------------------------------------------------------------------------------------------------


def _values(bodies: list[dict[str, Any]], faults: dict[int, tuple[DeadCause, str]]) -> NDArray[np.float64]:
    """All channels of all bodies, (n, 25); NaN where a channel is absent or null."""
    out = np.full((len(bodies), len(CHANNELS)), np.nan)
    if not bodies:
        return out
    flat = [k for k, body in enumerate(bodies) if not _FLAT.isdisjoint(body)]
    nested = list(range(len(bodies))) if not flat else [k for k, b in enumerate(bodies) if not _NESTED.isdisjoint(b)]
    if nested:
        _nested(bodies, nested, out, faults)
    if flat:
        some = [bodies[k] for k in flat]
        for i, channel in enumerate(CHANNELS):
            if channel.name in _FLAT:
                _fill(out, i, [body.get(channel.name) for body in some], flat, channel.name, faults)
    return out


def _nested(
    bodies: list[dict[str, Any]],
    rows: list[int],
    out: NDArray[np.float64],
    faults: dict[int, tuple[DeadCause, str]],
) -> None:
    some = [bodies[k] for k in rows] if len(rows) < len(bodies) else bodies
    for i, key in _SCALARS:
        _fill(out, i, [body.get(key) for body in some], rows, key, faults)
    for block, leaves in _BLOCKS.items():
        column: list[Any] = [body.get(block) for body in some]
        kinds = set(map(type, column))
        if kinds == {type(None)}:
            continue
        at = rows
        if kinds != {dict}:
            for k, value in zip(rows, column, strict=True):
                if value is not None and type(value) is not dict:
                    faults.setdefault(k, (DeadCause.WRONG_TYPE, f"{block} is a {_kind(value)}"))
            at = [k for k, value in zip(rows, column, strict=True) if type(value) is dict]
            column = [value for value in column if type(value) is dict]
        for i, leaf in leaves:
            _fill(out, i, [value.get(leaf) for value in column], at, f"{block}.{leaf}", faults)


def _fill(
    out: NDArray[np.float64],
    channel: int,
    column: list[Any],
    rows: list[int],
    name: str,
    faults: dict[int, tuple[DeadCause, str]],
) -> None:
    """Put a column of numbers into its place; anything else in it is a fault of its item, null is absent."""
    kinds = set(map(type, column))
    if kinds == {type(None)}:
        return
    if kinds <= _NUMBER:
        try:
            numbers = np.array(column, np.float64)
        except OverflowError:  # an integer beyond a double
            numbers = _one_by_one(column, rows, name, faults)
    else:
        numbers = _one_by_one(column, rows, name, faults)
    if not np.isfinite(numbers).all():
        for j in np.flatnonzero(~np.isfinite(numbers)).tolist():
            if column[j] is not None:
                faults.setdefault(rows[j], (DeadCause.NOT_FINITE, f"{name} is not a finite number"))
    if len(rows) == len(out):
        out[:, channel] = np.where(np.isnan(numbers), out[:, channel], numbers)
    else:
        out[rows, channel] = np.where(np.isnan(numbers), out[rows, channel], numbers)


def _one_by_one(
    column: list[Any], rows: list[int], name: str, faults: dict[int, tuple[DeadCause, str]]
) -> NDArray[np.float64]:
    numbers = np.full(len(column), np.nan)
    for j, value in enumerate(column):
        if value is None:
            continue
        if type(value) not in _NUMBER:
            faults.setdefault(rows[j], (DeadCause.WRONG_TYPE, f"{name} is a {_kind(value)}"))
            continue
        try:
            numbers[j] = float(value)
        except OverflowError:
            numbers[j] = math.inf
    return numbers


def _not_physical(values: NDArray[np.float64], faults: dict[int, tuple[DeadCause, str]]) -> None:
    """A row with a value outside PHYSICAL_RANGE is a fault."""
    with np.errstate(invalid="ignore"):
        wrong: NDArray[np.bool_] = (values < _LOW) | (values > _HIGH)
    if wrong.any():
        for k in np.flatnonzero(wrong.any(axis=1)).tolist():
            i = int(np.flatnonzero(wrong[k])[0])
            channel = CHANNELS[i]
            text = f"{'.'.join(channel.path)} is {values[k, i]:g} {channel.unit}"
            faults.setdefault(k, (DeadCause.OUT_OF_RANGE, text))
