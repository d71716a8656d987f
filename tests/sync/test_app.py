"""The daemon's life in this process: what a stop in the middle of a batch leaves behind."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from streams import reading, small_graph

from remhart_adt.client import AsyncAdtClient
from remhart_adt.local.adt import LocalAdt
from remhart_adt.resources import dtdl_dir
from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.app import Daemon
from remhart_adt.sync.config import load_config
from remhart_adt.testing import local_adt

__all__ = ["local_adt"]


@pytest.mark.slow
async def test_a_stop_while_a_batch_is_computed_loses_nothing(
    local_adt: LocalAdt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins, relationships = small_graph()
    async with AsyncAdtClient(local_adt.endpoint) as client:
        await client.models.upload([json.loads(path.read_text()) for path in sorted(dtdl_dir().glob("*.json"))])
        for twin in twins:
            await client.twins.put(twin["$dtId"], twin)
        for row in relationships:
            await client.relationships.put(row["$sourceId"], row["$relationshipId"], row)
    bodies = [reading("mp-1", t) for t in range(60)]
    (tmp_path / "readings.ndjson").write_text("".join(json.dumps(body) + "\n" for body in bodies))
    config = load_config(
        None,
        {
            "adt": {"endpoint": local_adt.endpoint},
            "source": {"file": tmp_path / "readings.ndjson", "speed": 20.0},  # three seconds
            "checkpoint": {"path": tmp_path / "checkpoints.db"},
            "health": {"port": None},
            "dead_letter": tmp_path / "dead",
            "report": tmp_path / "report.json",
        },
    )
    daemon = Daemon(config)
    process, sizes, loop = Engine.process, list[int](), asyncio.get_running_loop()

    def slowly(self: Engine, windows: Any, batch: Any) -> Any:
        scores = process(self, windows, batch)
        sizes.append(len(batch))
        if len(sizes) == 2:
            time.sleep(0.3)  # readings gather behind this batch
            loop.call_soon_threadsafe(daemon.stop)
            time.sleep(0.3)  # the daemon ends meanwhile
        return scores

    monkeypatch.setattr(Engine, "process", slowly)
    assert await daemon.run() == 0
    assert 2 < sum(sizes) < len(bodies)

    assert await Daemon(config).run() == 0

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["received"] == len(bodies)
    assert report["applied"] + report["merged"] == len(bodies)
