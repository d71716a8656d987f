"""The shipped mapping and graph on the measured transformer: the three real events and no other open phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from streams import component_twin, point_twin, relation

from remhart_adt.resources import examples_dir
from remhart_adt.scoring.engine import Engine
from remhart_adt.sync.grid import Grid
from remhart_adt.sync.mapping import Mapping
from remhart_adt.sync.processor import Processor
from remhart_adt.sync.site import build_site
from remhart_adt.sync.sources.records import read_records
from remhart_adt.sync.types import RawEvent

FOLDER = examples_dir() / "transformer-monitor"


def site(mapping: Mapping) -> Any:
    spec = YAML(typ="safe").load(FOLDER / "graph.yaml")
    twins = [component_twin(c["id"], c["type"], ratedCurrent=c.get("ratedCurrent")) for c in spec["components"]]
    twins += [point_twin(p["id"], gridStandard=p["gridStandard"]) for p in spec["points"]]
    rels = [
        relation("sub-feeding", "feedsTo", "tr-monitored"),
        relation("tr-monitored", "monitoredBy", "mp-transformer", phases="ABC"),
    ]
    return build_site(twins, rels, mapping)


@pytest.mark.shared
def test_three_real_events_raise_one_open_phase_alarm_each(shared_data: Path) -> None:
    mapping = Mapping.load(FOLDER / "mapping.yaml")
    events = [
        RawEvent(record.number, str(record.number), 1_700_000_000_000_000, record.body)
        for record in read_records(shared_data / "measured" / "transformer_monitor_head.csv", mapping.translate)
    ]
    assert len(events) == 5000
    engine, where = Engine([]), site(mapping)
    processor = Processor("0", where, engine, Grid(where, engine))
    messages: list[Any] = []
    final: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for start in range(0, len(events), 400):
        effects = processor.feed(events[start : start + 400])
        assert effects.dead == []
        for key, n in effects.counts.items():
            counts[key] = counts.get(key, 0) + n
        for write in effects.writes:
            messages += [m.body for m in write.telemetry]
            if write.target == ("mp-transformer", ""):
                final |= write.ops
    raised = [m["alarmRaised"] for m in messages if "alarmRaised" in m]
    opened = [(m["timestamp"], m["phases"]) for m in raised if m["alarmName"] == "openPhase"]
    # 16 July, 7 August and 11 August 2019 in local time; each at its second reading.
    assert opened == [("2019-07-16T01:00:00Z", "AB"), ("2019-08-07T13:30:00Z", "AC"), ("2019-08-11T16:45:00Z", "B")]
    assert not [m for m in raised if m["alarmName"] in ("interruption", "voltageSag", "voltageSwell", "overvoltage")]
    assert counts["received"] == 5000
    assert final["/voltage"]["phaseA"] > 200.0
    assert 0.0 < final["/temperature"]["oil"] < 100.0
    assert "/frequency" not in final
