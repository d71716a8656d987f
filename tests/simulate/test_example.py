"""The example runs offline and tells what it promises."""

from __future__ import annotations

import runpy

from remhart_adt.resources import examples_dir


def test_the_example_shows_events_and_the_alarms_they_raise(capsys):
    example = runpy.run_path(str(examples_dir() / "simulate_feeder.py"))
    example["main"]("village", 3)
    out = capsys.readouterr().out

    assert "24 points" in out
    for told in (
        "voltage_sag",
        "raise voltageSag",
        "overload",
        "raise openPhase",
        "raise interruption",
        "twice the EV",
    ):
        assert told in out
