"""What survives SIGKILL and a power cut. `scripts/faults local-adt --kills 200` does the first at length."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from remhart_adt.local.adt import LocalAdt, Options

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "lib"))

from adt_process import Caller
from crash import kill_again_and_again
from crash_writers import MODELS

DEVICE = {"$metadata": {"$model": "dtmi:crash:Device;1"}, "stamp": 0, "engine": {"$metadata": {}}}


@pytest.mark.process
@pytest.mark.slow
def test_after_five_kills_under_load_nothing_acknowledged_is_lost_and_nothing_is_halved(tmp_path: Path) -> None:
    result = kill_again_and_again(5, folder=tmp_path, seed=7, writers=4, seconds=0.4)

    assert result.wrong == []
    assert result.kills >= 5
    assert result.acknowledged > 100


def caller(server: LocalAdt) -> Caller:
    host, port = server.endpoint.removeprefix("http://").split(":")
    return Caller(host, int(port), timeout=20)


def test_a_write_is_answered_only_after_the_sync_that_began_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    real = os.fdatasync

    def held(fd: int) -> None:
        begun.set()
        assert may_end.wait(20)
        real(fd)

    answered = threading.Event()
    with LocalAdt(Options(data=tmp_path / "adt.sqlite")) as server:
        call = caller(server)
        assert call("POST", "/models", MODELS)[0] == 201
        assert call("PUT", "/digitaltwins/t", DEVICE)[0] == 200
        monkeypatch.setattr(os, "fdatasync", held)

        def write() -> None:
            patch = [{"op": "replace", "path": "/stamp", "value": 1}]
            assert call("PATCH", "/digitaltwins/t", patch)[0] == 204
            answered.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert begun.wait(20)
            assert not answered.wait(0.3)
            other = caller(server)  # the others go on meanwhile
            assert other("GET", "/digitaltwins/t")[2]["stamp"] == 1
            other.close()
        finally:
            may_end.set()
            writer.join()
        assert answered.is_set()
        call.close()


def test_what_was_acknowledged_is_on_the_disk_whenever_the_power_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that keeps no more than what was synced: at each acknowledgement the log as long as it was at the begin
    of the last sync that had ended, beside the file as it was before the load, which so short a load leaves alone.
    """
    data = tmp_path / "adt.sqlite"
    log = tmp_path / "adt.sqlite-wal"
    real = os.fdatasync
    durable = [0]

    def synced(fd: int) -> None:
        size = log.stat().st_size
        real(fd)
        threading.Event().wait(0.003)  # as slow as a disk, so that writers meet a sync under way
        durable[0] = max(durable[0], size)

    acknowledged: list[tuple[int, str, int]] = []
    with LocalAdt(Options(data=data)) as server:
        first = caller(server)
        assert first("POST", "/models", MODELS)[0] == 201
        for k in range(4):
            assert first("PUT", f"/digitaltwins/t{k}", DEVICE)[0] == 200
        first.close()
        shutil.copyfile(data, tmp_path / "before")
        monkeypatch.setattr(os, "fdatasync", synced)

        def write(name: str) -> None:
            call = caller(server)
            for stamp in range(1, 41):
                patch = [{"op": "replace", "path": "/stamp", "value": stamp}]
                assert call("PATCH", f"/digitaltwins/{name}", patch)[0] == 204
                acknowledged.append((durable[0], name, stamp))
            call.close()

        writers = [threading.Thread(target=write, args=(f"t{k}",)) for k in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert data.read_bytes() == (tmp_path / "before").read_bytes()
        content = log.read_bytes()

    assert len(acknowledged) == 160
    sizes = sorted({size for size, _, _ in acknowledged})
    assert len(sizes) > 20
    for size in sizes:
        image = tmp_path / "image"
        image.write_bytes((tmp_path / "before").read_bytes())
        (tmp_path / "image-wal").write_bytes(content[:size] + b"what was never synced" * 500)
        with closing(sqlite3.connect(image)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            found = dict(db.execute("SELECT id, json_extract(doc, '$.stamp') FROM twins").fetchall())
        for name in found:
            promised = max((stamp for at, of, stamp in acknowledged if of == name and at <= size), default=0)
            assert found[name] >= promised, f"{name} with {size} bytes of the log"
        for leftover in tmp_path.glob("image*"):
            leftover.unlink()
