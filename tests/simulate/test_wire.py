"""What goes out is what a device would send, and can be read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from remhart_adt.errors import ConfigError
from remhart_adt.readings import CHANNELS, ComponentStatus
from remhart_adt.simulate.scenario import Tick
from remhart_adt.simulate.wire import TelemetryFile, bodies
from remhart_adt.sync.sources import read_records

T0 = 1_767_600_000_000_000


@pytest.fixture
def tick():
    values = np.full((3, len(CHANNELS)), np.nan)
    values[0, :3] = (230.1, 229.5, 231.0)
    values[2, :] = np.arange(25.0)
    return Tick(T0, values, (ComponentStatus("cb", T0, switch_state="open"),))


def test_statuses_come_first_and_lost_readings_not_at_all(tick):
    out = bodies(("a", "b", "c"), tick)

    assert out[0] == {"componentId": "cb", "timestamp": "2026-01-05T08:00:00Z", "switchState": "open"}
    assert [body.get("pointId") for body in out] == [None, "a", "c"]
    assert out[1] == {
        "pointId": "a",
        "timestamp": "2026-01-05T08:00:00Z",
        "voltage": {"phaseA": 230.1, "phaseB": 229.5, "phaseC": 231.0},
    }
    assert bodies(("a", "b", "c"), tick, "flat")[2]["ambient_temp"] == 24.0


@pytest.mark.parametrize(("per_event", "lines"), [(1, 3), (2, 2), (10, 1)])
def test_an_ndjson_file_holds_one_event_a_line(tick, tmp_path, per_event, lines):
    path = tmp_path / "t.ndjson"
    with TelemetryFile(path, per_event=per_event) as file:
        file.write(("a", "b", "c"), tick)
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    assert len(rows) == lines
    assert (file.readings, file.statuses) == (2, 1)
    flat = rows if per_event == 1 else [x for row in rows for x in row]
    assert flat == bodies(("a", "b", "c"), tick)


def test_a_csv_file_holds_the_readings_and_says_what_it_leaves_out(tick, tmp_path):
    path = tmp_path / "t.csv"
    with TelemetryFile(path) as file:
        file.write(("a", "b", "c"), tick)
    records = [json.loads(record.body) for record in read_records(path)]

    assert file.left_out == 1
    assert records == bodies(("a", "b", "c"), tick, "flat")[1:]


def test_a_file_of_another_kind_or_place_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.xlsx"):
        TelemetryFile(tmp_path / "t.xlsx")
    with pytest.raises(ConfigError, match="cannot write"):
        TelemetryFile(tmp_path / "gone" / "t.csv")
