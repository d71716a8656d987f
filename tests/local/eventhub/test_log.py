"""The log: what is acknowledged is found again, torn ends are cut off, damage is reported, retention bounds it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub import Hub, read
from remhart_adt.local.eventhub.codec import encode
from remhart_adt.local.eventhub.log import PartitionLog


def event(body: bytes) -> bytes:
    return b"\x00\x53\x75" + encode(body)


def rows(log: PartitionLog, *payloads: bytes, ms: int = 1000) -> list[tuple[int, int, int, bytes]]:
    made, offset = [], log.next_offset
    for sequence, payload in enumerate(payloads, log.end):
        made.append((sequence, offset, ms, payload))
        offset += len(payload)
    return made


def everything(log: PartitionLog) -> list[bytes]:
    found: list[bytes] = []
    while part := log.payloads(log.begin + len(found), 3, 10**9):
        found += part
    return found


@pytest.mark.parametrize("on_disk", [True, False])
def test_events_come_back_in_order_across_segments(tmp_path: Path, on_disk: bool) -> None:
    log = PartitionLog(tmp_path if on_disk else None, segment_bytes=100)
    payloads = [bytes([i]) * 40 for i in range(20)]
    for payload in payloads:
        log.append(rows(log, payload))
    assert everything(log) == payloads
    assert (log.begin, log.end, log.next_offset) == (0, 20, 800)
    assert log.last == ("760", 1000)
    log.close()


def test_a_reopened_log_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, segment_bytes=100)
    log.append(rows(log, b"a" * 60, b"b" * 60, ms=5))
    log.append(rows(log, b"c" * 60, ms=7))
    log.close()

    again = PartitionLog(tmp_path, segment_bytes=100)
    assert everything(again) == [b"a" * 60, b"b" * 60, b"c" * 60]
    assert (again.end, again.next_offset, again.last) == (3, 180, ("120", 7))
    again.append(rows(again, b"d", ms=8))
    assert again.payloads(3, 10, 10) == [b"d"]
    again.close()


@pytest.mark.parametrize("cut", [1, 10, 31, 33, 60])
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    log = PartitionLog(tmp_path)
    log.append(rows(log, b"a" * 50))
    log.append(rows(log, b"b" * 50))
    log.close()
    (path,) = tmp_path.glob("*.log")
    os.truncate(path, path.stat().st_size - cut)

    again = PartitionLog(tmp_path)
    assert everything(again) == [b"a" * 50]
    again.append(rows(again, b"c"))
    again.close()
    third = PartitionLog(tmp_path)
    assert everything(third) == [b"a" * 50, b"c"]
    third.close()


def test_zeros_at_the_end_are_cut_off(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path)
    log.append(rows(log, b"a" * 50))
    log.close()
    (path,) = tmp_path.glob("*.log")
    os.truncate(path, path.stat().st_size + 100)
    again = PartitionLog(tmp_path)
    assert everything(again) == [b"a" * 50]
    again.close()


def test_damage_in_the_last_segment_never_hides_what_stands_behind_it(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path)
    for payload in (b"a" * 50, b"b" * 50, b"c" * 50):
        log.append(rows(log, payload))
    log.close()
    (path,) = tmp_path.glob("*.log")
    data = bytearray(path.read_bytes())
    data[100] ^= 1  # within b
    path.write_bytes(data)
    with pytest.raises(LocalServerError, match="damaged record at byte 82"):
        PartitionLog(tmp_path)


def test_a_batch_refused_after_it_was_written_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PartitionLog(tmp_path, fsync=True)
    log.append(rows(log, b"a" * 50))

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        log.append(rows(log, b"b" * 50, b"c" * 50))
    monkeypatch.undo()
    log.append(rows(log, b"d" * 50))  # as long as b, so that c would follow it in the file
    log.close()
    again = PartitionLog(tmp_path)
    assert everything(again) == [b"a" * 50, b"d" * 50]
    again.close()


def test_damage_before_the_end_is_an_error(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, segment_bytes=10)
    for payload in (b"a" * 20, b"b" * 20):
        log.append(rows(log, payload))
    log.close()
    first, second = sorted(tmp_path.glob("*.log"))
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    with pytest.raises(LocalServerError, match="damaged record"):
        PartitionLog(tmp_path)
    first.unlink()
    second.rename(tmp_path / f"{7:020d}.log")
    with pytest.raises(LocalServerError, match="sequence 1 found where 7"):
        PartitionLog(tmp_path)


def test_a_missing_segment_is_an_error(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, segment_bytes=10)
    for payload in (b"a" * 20, b"b" * 20, b"c" * 20):
        log.append(rows(log, payload))
    log.close()
    sorted(tmp_path.glob("*.log"))[1].unlink()
    with pytest.raises(LocalServerError, match="segment is missing"):
        PartitionLog(tmp_path)


@pytest.mark.parametrize("on_disk", [True, False])
def test_retention_keeps_at_least_what_it_promises(tmp_path: Path, on_disk: bool) -> None:
    log = PartitionLog(tmp_path if on_disk else None, segment_bytes=300, retention_bytes=1000)
    for i in range(100):
        log.append(rows(log, bytes([i]) * 100, ms=i))
    kept = everything(log)
    assert 10 <= len(kept) <= 20
    assert kept == [bytes([i]) * 100 for i in range(100 - len(kept), 100)]
    assert log.begin == 100 - len(kept)
    assert log.seek_offset(0, inclusive=True) == log.begin
    assert log.payloads(0, 1, 1) == [kept[0]]  # a reader that was overtaken gets the oldest
    if on_disk:
        assert len(list(tmp_path.glob("*.log"))) <= 7
    log.close()


def test_positions(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, segment_bytes=50)
    for i in range(10):
        log.append(rows(log, b"x" * 20, ms=100 * (i // 2)))
    assert log.seek_offset(40, inclusive=True) == 2
    assert log.seek_offset(40, inclusive=False) == 3
    assert log.seek_offset(41, inclusive=True) == 3
    assert log.seek_time(200, inclusive=True) == 4
    assert log.seek_time(200, inclusive=False) == 6
    assert log.seek_offset(10_000, inclusive=True) == log.end == 10
    log.close()


def test_a_full_disk_stores_nothing_of_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = PartitionLog(tmp_path)
    log.append(rows(log, b"a"))
    real = os.pwrite

    def half(fd: int, data: bytes, at: int) -> int:
        real(fd, data[: len(data) // 2], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        log.append(rows(log, b"b" * 100))
    monkeypatch.undo()
    log.append(rows(log, b"c"))
    assert everything(log) == [b"a", b"c"]
    log.close()
    again = PartitionLog(tmp_path)
    assert everything(again) == [b"a", b"c"]
    again.close()


def test_fsync_flushes_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    for fsync in (False, True):
        log = PartitionLog(tmp_path / str(fsync), fsync=fsync)
        log.append(rows(log, b"a"))
        log.close()
    assert len(flushed) == 1


def test_the_offline_reader_sees_what_the_hub_sees(tmp_path: Path) -> None:
    hub = Hub(partitions=3, data=tmp_path)
    for i in range(10):
        hub.ingest(event(b"%d" % i), batch=False)
    expected = list(hub.events())
    assert list(read(tmp_path)) == expected  # beside the running hub
    hub.close()
    assert list(read(tmp_path)) == expected
    assert [(e.partition, e.sequence, e.body) for e in expected[:4]] == [
        ("0", 0, b"0"), ("0", 1, b"3"), ("0", 2, b"6"), ("0", 3, b"9"),
    ]  # fmt: skip


def test_the_offline_reader_wants_a_hubs_folder(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no event hub data"):
        list(read(tmp_path))
