"""`scripts/bench local-adt` in small: it measures what it says, and its exit code follows its targets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "lib"))

from bench_local_adt import Figure, Sizes, run_local_adt

TINY = Sizes(
    twins=200,
    relationships=600,
    large_twins=300,
    large_relationships=750,
    small_twins=100,
    points=50,
    queries=24,
    rounds=1,
    seconds=0.1,
)


@pytest.mark.node
@pytest.mark.process
@pytest.mark.slow
def test_every_target_has_a_figure_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, passed = run_local_adt(tmp_path, TINY, {"cpu": "any"})

    figures = {row["name"]: row for row in report["figures"]}
    for name in ("PATCH (1 KB)", "GET (1 KB)", "PUT, create (1 KB)", "DELETE (1 KB)", "telemetry (1 KB)"):
        assert figures[name]["value"] > 0
        assert figures[name]["bare"] > 0
    for row in figures.values():
        assert row["value"] is not None or "501" in row["note"], row
    assert {row["name"] for row in report["figures"] if row["passed"] is False} == set(report["missed"])
    if report["missed"]:
        assert not passed
    assert report["machine"]["file_system"]
    table = capsys.readouterr().out
    assert all(name in table for name in figures)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "limit", "least", "passed"),
    [
        (1999.0, 2000.0, True, False),
        (2000.0, 2000.0, True, True),
        (20.1, 20.0, False, False),
        (20.0, 20.0, False, True),
        (None, 20.0, False, False),
        (None, None, False, None),
    ],
)
def test_a_figure_passes_by_its_limit_and_one_that_is_missing_does_not(
    value: float | None, limit: float | None, least: bool, passed: bool | None
) -> None:
    assert Figure("a figure", value, "ms", limit, least).passed is passed
