"""Windows: what is accepted, what is remembered, and that neither depends on how the stream was cut."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_streams import MINUTE_US, START_US, C, batch, minutes, site_50, stream, take, values

from remhart_adt.errors import CheckpointError
from remhart_adt.scoring import snapshot
from remhart_adt.scoring.compute import compute, point_table
from remhart_adt.scoring.engine import Engine
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.types import PointInfo
from remhart_adt.scoring.windows import RAW, Windows

INFOS = site_50()


def irregular(n: int, seed: int) -> np.ndarray:
    """Times one second to hours apart, so that minutes and quarter hours are crossed in all ways."""
    rng = np.random.default_rng(seed)
    gaps = rng.choice([1, 1, 1, 7, 60, 60, 61, 900, 900, 5000, 40_000, 900_000], n)
    return START_US + np.cumsum(gaps) * 1_000_000


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 269), max_size=12))
def test_any_cut_of_a_stream_gives_the_same_bits(seed: int, cuts: list[int]) -> None:
    whole = stream(INFOS, irregular(90, seed), seed=seed)
    rng = np.random.default_rng(seed)
    # Out of order and doubled readings are part of the stream.
    order = np.arange(len(whole)) + rng.integers(0, 9, len(whole))
    whole = take(whole, np.concatenate([np.argsort(order, kind="stable"), [5, 9]]).astype(np.int64))
    one, many = Windows(INFOS), Windows(INFOS)
    engine = Engine([])
    expected = engine.prepare(one, whole)
    parts = [take(whole, rows) for rows in np.split(np.arange(len(whole)), sorted(set(cuts)))]
    got = [engine.prepare(many, part) for part in parts]

    assert np.array_equal(expected.accepted, np.concatenate([g.accepted for g in got]))
    assert expected.features.tobytes() == np.concatenate([g.features for g in got]).tobytes()
    assert one.snapshot() == many.snapshot()


def test_long_gaps_inside_one_batch_do_not_overwrite_what_earlier_readings_of_it_need() -> None:
    info = INFOS[1]
    steady = minutes(130, every_us=900_000_000)
    jumps = steady[-1] + 36_000_000_000 * np.arange(1, 25, dtype=np.int64)
    times = np.concatenate([steady, jumps])
    whole = batch([info.point_id], np.zeros(len(times)), times, values(info, times))
    engine = Engine([])
    one, many = Windows([info]), Windows([info])
    expected = engine.prepare(one, whole).features
    got = [engine.prepare(many, take(whole, np.array([k]))).features for k in range(len(times))]
    assert expected.tobytes() == np.concatenate(got).tobytes()


def test_late_and_duplicate_readings_are_not_accepted() -> None:
    info = INFOS[1]
    times = np.array([10, 20, 15, 20, 30, 5, 31]) * 1_000_000 + START_US
    b = batch([info.point_id], np.zeros(7), times, values(info, times))
    windows = Windows([info])

    assert windows.push(b).tolist() == [True, True, False, False, True, False, True]
    assert windows.push(b).tolist() == [False] * 7


def test_unknown_points_are_not_accepted_and_take_no_memory() -> None:
    times = minutes(3)
    b = batch(["stranger"], np.zeros(3), times, values(INFOS[1], times))
    windows = Windows(INFOS)

    assert not windows.push(b).any()
    assert len(windows.infos) == 0


def test_interleaved_points_do_not_touch_each_other() -> None:
    times = minutes(200)
    both = stream(INFOS[1:], times)
    engine = Engine([])
    together, alone = Windows(INFOS), Windows(INFOS)
    mixed = engine.prepare(together, both)
    only = engine.prepare(alone, take(both, np.flatnonzero(both.point == 1)))
    mine = both.point[mixed.index] == 1

    assert mixed.features[mine].tobytes() == only.features.tobytes()


def test_snapshot_in_mid_stream_goes_on_bit_equal() -> None:
    whole = stream(INFOS, irregular(300, 3))
    engine = Engine([])
    straight, broken = Windows(INFOS), Windows(INFOS)
    first, second = np.arange(450), np.arange(450, 900)
    engine.prepare(straight, take(whole, first))
    engine.prepare(broken, take(whole, first))
    restored = Windows(INFOS)
    restored.restore(broken.snapshot())

    expected = engine.prepare(straight, take(whole, second))
    got = engine.prepare(restored, take(whole, second))
    assert expected.features.tobytes() == got.features.tobytes()
    assert straight.snapshot() == restored.snapshot()


def test_restore_follows_ids_when_the_points_have_changed() -> None:
    whole = stream(INFOS, minutes(50))
    old = Windows(INFOS)
    old.push(whole)
    new = Windows([PointInfo("extra", 230.0, 50.0, 10.0), INFOS[2], INFOS[0]])
    new.restore(old.snapshot())
    last = minutes(1, START_US + 50 * MINUTE_US)
    now = stream([INFOS[2]], last)
    reference = Windows(INFOS)
    reference.push(whole)
    engine = Engine([])

    assert new.row_of("m1") is None
    assert new.row_of("extra") is None
    expected, got = engine.prepare(reference, now), engine.prepare(new, now)
    assert expected.features.tobytes() == got.features.tobytes()


@pytest.mark.parametrize(
    "harm", [lambda s: s[:-9], lambda s: s[:100] + b"x" + s[101:], lambda _s: b"", lambda s: s + b"1"]
)
def test_a_damaged_snapshot_is_refused(harm: object) -> None:
    windows = Windows(INFOS)
    windows.push(stream(INFOS, minutes(5)))
    with pytest.raises(CheckpointError, match="snapshot"):
        Windows(INFOS).restore(harm(windows.snapshot()))  # type: ignore[operator]


def test_points_can_be_added_while_running() -> None:
    windows = Windows(INFOS[:1])
    times = minutes(20)
    windows.push(stream(INFOS[:1], times))
    before = windows.raw[0].copy()
    many = [PointInfo(f"p{k}", 230.0, 50.0, 50.0) for k in range(200)]
    windows.add(many)
    assert windows.push(stream(many, times)).all()
    assert np.array_equal(windows.raw[0], before, equal_nan=True)
    assert len(windows.infos) == 201


def test_a_renewed_rating_counts_from_the_next_reading_on() -> None:
    engine, windows = Engine([]), Windows(INFOS[1:2])
    times = minutes(40)
    whole = stream(INFOS[1:2], times)
    first = engine.prepare(windows, take(whole, np.arange(20))).features[-1, INDEX["i_max_mean16"]]
    windows.add([PointInfo("m1", 230.0, 50.0, 126.0)])
    second = engine.prepare(windows, take(whole, np.arange(20, 40))).features[0, INDEX["i_max_mean16"]]
    assert second == pytest.approx(first / 2, rel=0.05)


def test_quarter_hour_means_are_the_plain_means() -> None:
    info = INFOS[1]
    times = minutes(61, START_US // 900_000_000 * 900_000_000)
    cells = values(info, times)
    windows = Windows([info])
    step = None
    for step in windows.steps(batch(["m1"], np.zeros(61), times, cells)):
        features = compute(windows, step, point_table(windows), np.zeros(len(step.row), np.int8))
    assert step is not None
    p = cells[:, C["p_a"] : C["p_c"] + 1].sum(1) / (3 * 230 * 63)
    assert features[-1, INDEX["p_lag1"]] == pytest.approx(p[45:60].mean(), rel=1e-6)
    assert features[-1, INDEX["p_lag4"]] == pytest.approx(p[0:15].mean(), rel=1e-6)
    assert np.isnan(features[-1, INDEX["p_lag6"]])


def test_a_long_ring_forgets_what_is_older_than_it_holds() -> None:
    info = INFOS[1]
    times = minutes(4 * RAW, every_us=1_000_000)
    cells = values(info, times)
    windows = Windows([info])
    engine = Engine([])
    got = engine.prepare(windows, batch(["m1"], np.zeros(len(times)), times, cells))
    v = cells[-RAW:, C["v_a"]].astype(np.float32) / np.float32(230)
    assert got.features[-1, INDEX["readings_seen"]] == RAW
    assert got.features[-1, INDEX["v_mean128_a"]] == pytest.approx(v.mean(), rel=1e-5)


def test_a_bad_reading_moves_time_but_enters_no_mean() -> None:
    info = INFOS[1]
    times = minutes(20)
    cells = values(info, times)
    cells[10] *= 50
    quality = np.zeros(20, np.int8)
    quality[10] = 2
    engine, windows = Engine([]), Windows([info])
    got = engine.prepare(windows, batch(["m1"], np.zeros(20), times, cells, quality))
    assert got.accepted.all()
    assert got.features[-1, INDEX["v_mean_max16"]] < 1.1
    assert got.bad.tolist() == [k == 10 for k in range(20)]


def test_numbers_no_meter_can_send_become_missing_without_a_warning() -> None:
    info = INFOS[1]
    times = minutes(30)
    cells = values(info, times)
    cells[5, :3] = 1e300
    cells[6, :3] = -1e30
    got = Engine([]).prepare(Windows([info]), batch(["m1"], np.zeros(30), times, cells))
    assert np.isnan(got.features[5, INDEX["v_a"]])
    assert not np.isinf(got.features).any()


def test_a_snapshot_of_version_2_is_read_and_what_it_lacked_starts_empty() -> None:
    """Version 2 had 16 short and 2 long quarter-hour columns, and behind the open ones the totals of P and Q."""
    whole = stream(INFOS, minutes(200))
    windows = Windows(INFOS)
    windows.push(take(whole, np.arange(450)))
    ids = sorted(i.point_id for i in INFOS)
    order = [windows.row_of(name) for name in ids]
    parts = [json.dumps({"format": "remhart-windows", "version": 2, "ids": ids}).encode() + b"\n"]
    for name in snapshot.layout(0):
        array = getattr(windows, name)[order]
        if name == "short":
            array = array[..., :16]
        elif name == "long":
            array = array[..., :2]
        elif name.startswith("open_") and name != "open_slot":
            array = np.concatenate([array[..., :16], array[..., -2:]], axis=-1)
        parts.append(np.ascontiguousarray(array).tobytes())
    body = b"".join(parts)
    old = Windows(INFOS)
    old.restore(body + zlib.crc32(body).to_bytes(4, "little"))

    engine = Engine([])
    expected = engine.prepare(windows, take(whole, np.arange(450, 600))).features
    got = engine.prepare(old, take(whole, np.arange(450, 600))).features
    assert expected.tobytes() == got.tobytes()
    before = windows.short_tag != np.iinfo(np.int32).min
    assert np.isfinite(windows.short[..., 16][before]).all()
    assert np.isnan(old.short[..., 16]).sum() > np.isnan(windows.short[..., 16]).sum()


@pytest.mark.parametrize("every_min", [1, 3, 8, 16, 40])
@pytest.mark.parametrize("size", [1, 3, 60])
def test_the_newest_minutes_are_kept_whatever_lies_between_them(every_min: int, size: int) -> None:
    info = INFOS[1]
    times = minutes(40, every_us=every_min * MINUTE_US)
    cells, windows = values(info, times), Windows([info])
    for k in range(0, len(times), size):
        part = slice(k, k + size)
        windows.push(batch([info.point_id], np.zeros(len(times[part])), times[part], cells[part]))
    tags = windows.minute_tag[0]
    order = np.argsort(tags)
    assert (tags[order] == times[-len(tags) :] // MINUTE_US).all()
    p_a = windows.minute_sum[0, :, 0] / windows.minute_n[0, :, 0]
    assert p_a[order] == pytest.approx(cells[-len(tags) :, C["p_a"]], rel=1e-6)
