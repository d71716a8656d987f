"""What one partition remembers of its measurement points: raw readings, quarter hours and minutes, as columns.

Per point: the last 128 raw readings with their true times; means of every quarter hour, 8 days of total P and Q
and the outer phase voltages, 26 hours of the rest; means of the last minutes for feeder models. A point takes memory
(about 50 kB) from its first
reading on.

The result never depends on how the stream was cut into batches. A batch is applied in steps short enough that every
reading of a step still finds its own past in the rings: a ring holds `SLACK` more entries than a reading may look
back, and a step carries at most `SLACK` readings and spans at most `SLACK` quarter hours per point. Sums are added
one by one in stream order (`np.add.at`), never pairwise, so that rounding is the same for every cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, Quality, ReadingBatch
from remhart_adt.scoring import snapshot
from remhart_adt.scoring.quality import line_unbalance
from remhart_adt.scoring.types import PointInfo

__all__ = [
    "LONG_COLUMNS",
    "LONG_SLOTS",
    "MINUTES",
    "MINUTE_COLUMNS",
    "MINUTE_US",
    "RAW",
    "SHORT_COLUMNS",
    "SHORT_SLOTS",
    "SLACK",
    "SLOT_US",
    "Step",
    "Windows",
    "begins",
]

RAW: Final = 128
LONG_SLOTS: Final = 8 * 96
SHORT_SLOTS: Final = 26 * 4
MINUTES: Final = 8
SLACK: Final = 32
SLOT_US: Final = 15 * 60 * 1_000_000
MINUTE_US: Final = 60 * 1_000_000
# No quantity of a low- or medium-voltage point reaches this; larger numbers are not measurements, and squares and sums
# of smaller ones stay far inside float32.
_PLAUSIBLE: Final = 1e12
_NEVER: Final = np.iinfo(np.int64).min
_NO_SLOT: Final = np.iinfo(np.int32).min

# Quarter-hour means kept for 26 hours, SI units; `i2_max` is the mean square of the highest phase current (A^2), `u2`
# the unbalance from line voltages (%). Columns are only ever appended: snapshots of version 2 end with `i2_max`.
SHORT_COLUMNS: Final = (
    *("v_a", "v_b", "v_c", "i_a", "i_b", "i_c", "p_a", "p_b", "p_c", "q_a", "q_b", "q_c"),
    *("freq", "oil_temp", "ambient_temp", "i2_max", "u2", "thdv_a", "thdv_b", "thdv_c"),
)
# Quarter-hour means kept for 8 days: totals of P and Q (W, var), lowest and highest phase voltage (V). Appended only,
# too: snapshots of version 2 end with `q`.
LONG_COLUMNS: Final = ("p", "q", "v_low", "v_high")
# Minute means for feeder models: SI units per phase, and the sum of the squared phase currents (A^2).
MINUTE_COLUMNS: Final = (*("p_a", "p_b", "p_c", "q_a", "q_b", "q_c", "v_a", "v_b", "v_c", "i_n", "i2_sum"),)
_MINUTE_COPIED: Final = np.array([CHANNEL_INDEX[name] for name in MINUTE_COLUMNS[:-1]])
_MADE: Final = ("i2_max", "u2")
_COPIED: Final = np.array([CHANNEL_INDEX[name] for name in SHORT_COLUMNS if name not in _MADE])
_COPIED_TO: Final = np.array([k for k, name in enumerate(SHORT_COLUMNS) if name not in _MADE])
_I2_MAX, _U2 = (SHORT_COLUMNS.index(name) for name in _MADE)
_V = slice(CHANNEL_INDEX["v_a"], CHANNEL_INDEX["v_c"] + 1)
_LINE = slice(CHANNEL_INDEX["v_ab"], CHANNEL_INDEX["v_ca"] + 1)
_I = slice(CHANNEL_INDEX["i_a"], CHANNEL_INDEX["i_c"] + 1)
_P = slice(CHANNEL_INDEX["p_a"], CHANNEL_INDEX["p_c"] + 1)
_Q = slice(CHANNEL_INDEX["q_a"], CHANNEL_INDEX["q_c"] + 1)


@dataclass(frozen=True, slots=True)
class Step:
    """Some accepted readings, now in the rings, sorted by point and then in stream order; all arrays (m,).

    `index` into the batch; `row` of the point in the window arrays; `pos` in the raw ring; `seen` readings of the
    point so far, this one included (at most `RAW`); `slot` the quarter hour; `time_us`; `prev_us` of the point's
    reading before (the least int64 when there is none).
    """

    index: NDArray[np.int64]
    row: NDArray[np.int64]
    pos: NDArray[np.int64]
    seen: NDArray[np.int64]
    slot: NDArray[np.int64]
    time_us: NDArray[np.int64]
    prev_us: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> Step:
        """Some of the step's readings."""
        return Step(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def first(self) -> NDArray[np.bool_]:
        """Whether it is the point's first reading ever."""
        return np.asarray(self.prev_us == _NEVER)

    @property
    def new_minute(self) -> NDArray[np.bool_]:
        """Whether it is the first accepted reading of a minute."""
        return np.asarray(self.first | (self.time_us // MINUTE_US != self.prev_us // MINUTE_US))

    @property
    def new_quarter(self) -> NDArray[np.bool_]:
        """Whether it is the first accepted reading of a quarter hour."""
        return np.asarray(self.first | (self.slot != self.prev_us // SLOT_US))


def begins(row: NDArray[np.int64], other: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Where a run of equal values begins; a run ends as well where `other` changes."""
    found = np.ones(len(row), bool)
    np.not_equal(row[1:], row[:-1], out=found[1:])
    if other is not None:
        found[1:] |= other[1:] != other[:-1]
    return found


class Windows:
    """The state of one partition; not thread-safe, one owner at a time."""

    def __init__(self, points: Sequence[PointInfo]) -> None:
        self._rows: dict[str, int] = {}
        self._infos: list[PointInfo] = []
        self._known: dict[str, PointInfo] = {}
        self._capacity = 0
        self.generation = 0
        self._allocate(max(1, min(64, len(points))))
        self.add(points)

    def add(self, points: Sequence[PointInfo]) -> None:
        """Make points known, or renew what is known of them; their memory of readings stays."""
        for info in points:
            self._known[info.point_id] = info
            if (row := self._rows.get(info.point_id)) is not None:
                self._infos[row] = info
                self.slot_cache_tag[row] = _NO_SLOT
        self.generation += 1

    @property
    def known(self) -> tuple[PointInfo, ...]:
        """Every point this partition may meet."""
        return tuple(self._known.values())

    @property
    def infos(self) -> Sequence[PointInfo]:
        """The points that have had a reading, in the order of the window rows."""
        return self._infos

    def row_of(self, point_id: str) -> int | None:
        """The point's row in the window arrays, None before its first reading."""
        return self._rows.get(point_id)

    def _allocate(self, capacity: int) -> None:
        """Arrays for `capacity` points; what is there is kept."""
        old, self._capacity = self._capacity, capacity
        shapes = snapshot.layout(capacity)
        for name, (shape, dtype, fill) in shapes.items():
            fresh = np.full(shape, fill, dtype)
            if old:
                fresh[:old] = getattr(self, name)
            setattr(self, name, fresh)
        tags = np.full(capacity, _NO_SLOT, np.int64)
        if old:
            tags[:old] = self.slot_cache_tag
            self.slot_cache = np.concatenate(
                [self.slot_cache, np.full((capacity - old, self.slot_cache.shape[1]), np.nan)]
            )
        else:
            self.slot_cache = np.empty((capacity, 0))
        self.slot_cache_tag = tags

    # The arrays, (points, ...); `snapshot.layout` gives shapes and the values of "nothing yet".
    raw: NDArray[np.float32]  # (p, RAW + SLACK, channels)
    raw_us: NDArray[np.int64]  # (p, RAW + SLACK)
    count: NDArray[np.int64]  # (p,) readings ever accepted; the next one goes to count % (RAW + SLACK)
    last_us: NDArray[np.int64]  # (p,)
    long: NDArray[np.float32]  # (p, LONG_SLOTS + SLACK, LONG_COLUMNS)
    long_tag: NDArray[np.int32]  # (p, LONG_SLOTS + SLACK) the quarter hour a cell speaks of
    short: NDArray[np.float32]  # (p, SHORT_SLOTS + SLACK, SHORT_COLUMNS)
    short_tag: NDArray[np.int32]
    open_slot: NDArray[np.int64]  # (p,) the quarter hour being summed
    open_sum: NDArray[np.float64]  # (p, SHORT_COLUMNS + 2)
    open_n: NDArray[np.int32]
    minute_sum: NDArray[np.float64]  # (p, MINUTES, MINUTE_COLUMNS)
    minute_n: NDArray[np.int32]
    minute_tag: NDArray[np.int64]  # (p, MINUTES)
    owed: NDArray[np.bool_]  # (p, 16) the model could not answer when it was due, and has not since (see `due`)
    slot_cache: NDArray[np.float64]  # (p, slot features), never part of a snapshot
    slot_cache_tag: NDArray[np.int64]  # (p,)

    def ensure_slot_cache(self, width: int) -> None:
        """Give the cache of slot features its width."""
        if self.slot_cache.shape[1] != width:
            self.slot_cache = np.full((self._capacity, width), np.nan)
            self.slot_cache_tag[:] = _NO_SLOT

    def push(self, batch: ReadingBatch) -> NDArray[np.bool_]:
        """Take readings in without scoring them; which of them were accepted, (n,) bool."""
        accepted = np.zeros(len(batch), bool)
        for step in self.steps(batch):
            accepted[step.index] = True
        return accepted

    def steps(self, batch: ReadingBatch) -> Iterator[Step]:
        """Take readings in, some at a time. Features of a step's readings must be read before the next step is asked
        for; the iterator must be run to its end."""
        rows = self._rows_of(batch)[batch.point] if len(batch) else np.empty(0, np.int64)
        index = self._accept(rows, batch.time_us)
        while len(index):
            row = rows[index]
            start = np.flatnonzero(begins(row))
            slot = batch.time_us[index] // SLOT_US
            if len(start) == len(row):
                yield self._apply(batch, index, row, np.zeros(len(row), np.int64), slot)
                return
            size = np.diff(np.append(start, len(row)))
            k = np.arange(len(row)) - np.repeat(start, size)
            now = (k < SLACK) & (slot - np.repeat(slot[start], size) <= SLACK)
            yield self._apply(batch, index[now], row[now], k[now], slot[now])
            index = index[~now]

    def _rows_of(self, batch: ReadingBatch) -> NDArray[np.int64]:
        """The row of each of the batch's points, -1 for unknown ones; rows are made on a point's first reading."""
        rows = np.full(len(batch.points), -1, np.int64)
        for i in np.unique(batch.point):
            point_id = batch.points[i]
            row = self._rows.get(point_id)
            if row is None and point_id in self._known:
                row = self._new_row(point_id)
            rows[i] = -1 if row is None else row
        return rows

    def _new_row(self, point_id: str) -> int:
        row = len(self._infos)
        if row == self._capacity:
            self._allocate(2 * self._capacity)
        self._rows[point_id] = row
        self._infos.append(self._known[point_id])
        self.generation += 1
        return row

    def _accept(self, rows: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of the readings newer than all before them of their point, sorted by point, stream order kept."""
        known = rows >= 0
        newer = np.flatnonzero(known)[time_us[known] > self.last_us[rows[known]]]
        order = newer[np.argsort(rows[newer], kind="stable")]
        if not len(order):
            return order
        row = rows[order]
        if (row[1:] != row[:-1]).all():
            return order
        # Running maximum of the time within each point: ranks instead of times keep the key inside int64.
        rank = np.unique(time_us[order], return_inverse=True)[1].reshape(-1)
        segment = np.cumsum(begins(row)) - 1
        key = segment * (len(order) + 1) + rank
        highest = np.maximum.accumulate(key)
        keep = np.append(True, key[1:] > highest[:-1])
        return np.asarray(order[keep])

    def _apply(
        self,
        batch: ReadingBatch,
        index: NDArray[np.int64],
        row: NDArray[np.int64],
        k: NDArray[np.int64],
        slot: NDArray[np.int64],
    ) -> Step:
        values = batch.values[index]
        # A reading its sender calls bad moves time on, but nothing of it enters a mean or a feature.
        values[batch.quality[index] == Quality.BAD] = np.nan
        values[~(np.abs(values) <= _PLAUSIBLE)] = np.nan
        single = values.astype(np.float32)
        values = single.astype(np.float64)
        ring = RAW + SLACK
        number = self.count[row] + k
        pos = number % ring
        time_us = batch.time_us[index]
        start = np.flatnonzero(begins(row))
        prev = np.empty_like(time_us)
        prev[1:] = time_us[:-1]
        prev[start] = self.last_us[row[start]]
        self.raw[row, pos] = single
        self.raw_us[row, pos] = time_us
        last = np.append(start[1:], len(row)) - 1
        self.count[row[last]] = number[last] + 1
        self.last_us[row[last]] = time_us[last]
        self._quarters(row, slot, values)
        self._minutes(row, time_us // MINUTE_US, values)
        return Step(index, row, pos, np.minimum(number + 1, RAW), slot, time_us, prev)

    def _quarters(self, row: NDArray[np.int64], slot: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add to the open quarter hours; close those that a newer reading has ended."""
        columns = np.empty((len(row), len(SHORT_COLUMNS) + 2))
        columns[:, _COPIED_TO] = values[:, _COPIED]
        columns[:, _I2_MAX] = _nan_max(values[:, _I] ** 2)
        columns[:, _U2] = _unbalance(values[:, _V], values[:, _LINE])
        columns[:, -2] = _total(values[:, _P])
        columns[:, -1] = _total(values[:, _Q])
        have = ~np.isnan(columns)
        columns[~have] = 0.0
        change = begins(row, slot)
        start = np.flatnonzero(change)
        segment = np.cumsum(change) - 1
        seg_row, seg_slot = row[start], slot[start]
        first = begins(seg_row)
        # Quarter hours left open by an earlier batch and ended by this one.
        ended = seg_row[first & (self.open_slot[seg_row] != seg_slot) & (self.open_slot[seg_row] != _NO_SLOT)]
        self._close(ended, self.open_slot[ended], self.open_sum[ended], self.open_n[ended])
        goes_on = first & (self.open_slot[seg_row] == seg_slot)
        total = np.where(goes_on[:, None], self.open_sum[seg_row], 0.0)
        n = np.where(goes_on[:, None], self.open_n[seg_row], 0)
        _add(total, n, segment, columns, have)
        last = begins(seg_row[::-1])[::-1]
        self._close(seg_row[~last], seg_slot[~last], total[~last], n[~last])
        self.open_slot[seg_row[last]] = seg_slot[last]
        self.open_sum[seg_row[last]] = total[last]
        self.open_n[seg_row[last]] = n[last]

    def _close(
        self, row: NDArray[np.int64], slot: NDArray[np.int64], total: NDArray[np.float64], n: NDArray[np.int32]
    ) -> None:
        if not len(row):
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (total / n).astype(np.float32)
        cell = slot % (SHORT_SLOTS + SLACK)
        self.short[row, cell] = mean[:, :-2]
        self.short_tag[row, cell] = slot
        cell = slot % (LONG_SLOTS + SLACK)
        self.long[row, cell, :2] = mean[:, -2:]
        self.long[row, cell, 2] = np.fmin(np.fmin(mean[:, 0], mean[:, 1]), mean[:, 2])
        self.long[row, cell, 3] = np.fmax(np.fmax(mean[:, 0], mean[:, 1]), mean[:, 2])
        self.long_tag[row, cell] = slot

    def _minutes(self, row: NDArray[np.int64], minute: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        columns = np.empty((len(row), len(MINUTE_COLUMNS)))
        columns[:, :-1] = values[:, _MINUTE_COPIED]
        columns[:, -1] = _total(values[:, _I] ** 2)
        have = ~np.isnan(columns)
        columns[~have] = 0.0
        change = begins(row, minute)
        start = np.flatnonzero(change)
        segment = np.cumsum(change) - 1
        seg_row, seg_minute = row[start], minute[start]
        cell, goes_on = self._minute_cells(seg_row, seg_minute)
        total = np.where(goes_on[:, None], self.minute_sum[seg_row, cell], 0.0)
        n = np.where(goes_on[:, None], self.minute_n[seg_row, cell], 0)
        _add(total, n, segment, columns, have)
        if (seg_row[1:] == seg_row[:-1]).any():
            # Two minutes of one step may share a cell: the later one stays (assignment promises no order of its own).
            keep = len(seg_row) - 1 - np.unique((seg_row * MINUTES + cell)[::-1], return_index=True)[1]
            seg_row, seg_minute, cell, total, n = (x[keep] for x in (seg_row, seg_minute, cell, total, n))
        self.minute_sum[seg_row, cell] = total
        self.minute_n[seg_row, cell] = n
        self.minute_tag[seg_row, cell] = seg_minute

    def _minute_cells(
        self, row: NDArray[np.int64], minute: NDArray[np.int64]
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where minutes (ascending within a row) are kept, and whether they are there already: a new one takes the
        place of the oldest, whatever the interval between readings."""
        tags = self.minute_tag[row]
        same = tags == minute[:, None]
        goes_on = np.asarray(same.any(1))
        first = begins(row)
        if first.all():
            return np.where(goes_on, same.argmax(1), tags.argmin(1)), goes_on
        start = np.flatnonzero(first)
        number = np.arange(len(row)) - np.repeat(start, np.diff(np.append(start, len(row))))
        # The first of a row may go on; each new one after it takes the next oldest place.
        taken = number - goes_on[start][np.cumsum(first) - 1]
        oldest = np.take_along_axis(np.argsort(tags, axis=1, kind="stable"), (taken % MINUTES)[:, None], 1)[:, 0]
        return np.where(goes_on, same.argmax(1), oldest), goes_on

    def snapshot(self) -> bytes:
        """This state as bytes, with the ids it is for; points in the order of their ids, so that equal states are
        equal bytes."""
        return snapshot.dump(self, sorted(self._rows), [self._rows[name] for name in sorted(self._rows)])

    def restore(self, data: bytes) -> None:
        """Take the state of those points that are known now from a snapshot; others in it are dropped, and points it
        does not hold start empty. Raises CheckpointError when the bytes are damaged or of another version."""
        ids, arrays = snapshot.load(data)
        fresh = Windows(self.known)
        keep = [i for i, point_id in enumerate(ids) if point_id in self._known]
        for i in keep:
            fresh._new_row(ids[i])
        for name, array in arrays.items():
            getattr(fresh, name)[: len(keep)] = array[keep]
        generation = self.generation
        self.__dict__.update(fresh.__dict__)
        self.generation = generation + 1


def _add(
    total: NDArray[np.float64],
    n: NDArray[np.int32],
    segment: NDArray[np.int64],
    columns: NDArray[np.float64],
    have: NDArray[np.bool_],
) -> None:
    """Add readings to the sums of their segments (ascending, without a gap), one by one in stream order."""
    if len(segment) == len(total):  # each its own
        total += columns
        n += have
        return
    np.add.at(total, segment, columns)
    np.add.at(n, segment, have.astype(np.int32))


def _total(phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the phases that are measured; NaN when none is."""
    have = ~np.isnan(phases)
    filled = np.where(have, phases, 0.0)
    return np.where(have.any(1), filled[:, 0] + filled[:, 1] + filled[:, 2], np.nan)


def _unbalance(phases: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbalance in %; a line voltage of exactly 0 between phases that are both live was not recorded."""
    with np.errstate(invalid="ignore", divide="ignore"):
        live = phases >= 0.5 * _nan_max(phases)[:, None]
        return line_unbalance(np.where((line == 0) & live & live[:, [1, 2, 0]], np.nan, line))


def _nan_max(phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest of the phases that are measured; NaN when none is."""
    return np.fmax(np.fmax(phases[:, 0], phases[:, 1]), phases[:, 2])
